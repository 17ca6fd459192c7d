/* See mail_outcome.h. */
#include "mail_outcome.h"

#include "base/err.h"

void mail_outcome_set(struct effect_call *call, enum effect_outcome outcome, const char *class, const char *message)
{
	call->outcome = outcome;
	call->class = class;
	call->message = message;
}

/* 450, 421 and the like are of the moment; 550 after RCPT is about the mailbox, unless it says that we may not. */
static void judge_reply(struct effect_call *call, const struct smtp_answer *a)
{
	bool mailbox = a->phase == SMTP_TO && (a->detail == 1 || (a->detail < 0 && (a->code == 550 || a->code == 551 || a->code == 553)));

	if (a->code == 530 || a->code == 534 || a->code == 535 || (a->phase == SMTP_AUTH && a->code >= 500))
		mail_outcome_set(call, EFFECT_STOP, "credentials",
		    "The mail server does not let us sign in: see SMTP_USER and SMTP_PASS.");
	else if (a->code < 500)
		mail_outcome_set(call, EFFECT_RETRY, "smtp_temporary",
		    "The mail server cannot take it at the moment.");
	else if (mailbox)
		mail_outcome_set(call, EFFECT_FAILED, "mailbox",
		    "The mail server says that there is no such mailbox.");
	else
		mail_outcome_set(call, EFFECT_REFUSED, "smtp_refused", "The mail server refused the mail for good.");
	call->host_failed = a->code == 421;
}

void mail_outcome(struct effect_call *call, int rc, const struct smtp_answer *a)
{
	call->status = a->code;
	if (rc == 0)
		call->outcome = EFFECT_DONE;
	else if (a->certificate)
		mail_outcome_set(call, EFFECT_STOP, "certificate",
		    "The mail server's certificate is not to be trusted.");
	else if (a->no_tls)
		mail_outcome_set(call, EFFECT_STOP, "no_tls", "The mail server offers no encryption.");
	else if (a->code >= 400)
		judge_reply(call, a);
	else if (a->phase == SMTP_END)
		mail_outcome_set(call, EFFECT_IS_UNKNOWN, "no_answer",
		    "The mail was given to the mail server, which did not answer.");
	else if (rc == ERR_CANCELLED)
		mail_outcome_set(call, EFFECT_RETRY, "stopped", "The service stopped before the mail was sent.");
	else if (rc == ERR_NOMEM)
		mail_outcome_set(call, EFFECT_RETRY, "memory", "There was no memory for it.");
	else if (a->phase == SMTP_CONNECTING)
		mail_outcome_set(call, EFFECT_RETRY, "connect", "The mail server cannot be reached.");
	else
		mail_outcome_set(call, EFFECT_RETRY, "broken", "The mail server went away before the mail was sent.");
	call->host_failed = call->host_failed || (rc == ERR_NETWORK || rc == ERR_TIMEOUT);
}
