/*
 * Mail: what people are told by it. One effect so far, the one-time codes of
 * verification.requested.
 *
 * A mail may go out twice when nobody knows whether the first one did; both have
 * one Message-ID, by which the reader's side tells that they are one.
 */
#include <stdlib.h>

#include "app/app.h"
#include "app/codes.h"
#include "base/err.h"
#include "base/log.h"
#include "mail_message.h"
#include "mail_smtp.h"
#include "net/http_client.h"

#define CODE_BYTES_MAX 64
#define MINUTES_MAX 8
#define SMTPS_PORT 465
#define SMTP_PORT 587

struct mail {
	struct app *app;
	const char *unready;
	struct smtp_server server;
	struct mail_address from;
};

/* Figures of integrity.md 16; a minute's number is low enough for the providers there are. */
static const struct effect_lane lane = {.name = "mail", .class = EFFECT_MAIL, .concurrency = 2, .per_minute = 600,
    .burst = 60, .base_ms = 60000, .cap_ms = 3600000, .tries_max = 12, .age_max_ms = 86400000};

/* ---- what an answer means -------------------------------------------------------------- */

static void set(struct effect_call *call, enum effect_outcome outcome, const char *class, const char *message)
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
		set(call, EFFECT_STOP, "credentials", "The mail server does not let us sign in: see SMTP_USER and SMTP_PASS.");
	else if (a->code < 500)
		set(call, EFFECT_RETRY, "smtp_temporary", "The mail server cannot take it at the moment.");
	else if (mailbox)
		set(call, EFFECT_FAILED, "mailbox", "The mail server says that there is no such mailbox.");
	else
		set(call, EFFECT_REFUSED, "smtp_refused", "The mail server refused the mail for good.");
	call->host_failed = a->code == 421;
}

static void judge(struct effect_call *call, int rc, const struct smtp_answer *a)
{
	call->status = a->code;
	if (rc == 0)
		call->outcome = EFFECT_DONE;
	else if (a->certificate)
		set(call, EFFECT_STOP, "certificate", "The mail server's certificate is not to be trusted.");
	else if (a->no_tls)
		set(call, EFFECT_STOP, "no_tls", "The mail server offers no encryption.");
	else if (a->code >= 400)
		judge_reply(call, a);
	else if (a->phase == SMTP_END)
		set(call, EFFECT_IS_UNKNOWN, "no_answer", "The mail was given to the mail server, which did not answer.");
	else if (rc == ERR_CANCELLED)
		set(call, EFFECT_RETRY, "stopped", "The service stopped before the mail was sent.");
	else if (rc == ERR_NOMEM)
		set(call, EFFECT_RETRY, "memory", "There was no memory for it.");
	else if (a->phase == SMTP_CONNECTING)
		set(call, EFFECT_RETRY, "connect", "The mail server cannot be reached.");
	else
		set(call, EFFECT_RETRY, "broken", "The mail server went away before the mail was sent.");
	call->host_failed = call->host_failed || (rc == ERR_NETWORK || rc == ERR_TIMEOUT);
}

static void send_mail(struct effect_call *call, const struct mail_template *t, struct slice to,
    const struct mail_value *values)
{
	struct mail *mail = call->state;
	struct buf subject = BUF_INIT(1024), text = BUF_INIT(MAIL_BYTES_MAX), html = BUF_INIT(MAIL_BYTES_MAX),
	           message = BUF_INIT(3 * MAIL_BYTES_MAX);
	struct mail_message m = {.from = mail->from, .id = call->id, .date_us = call->cause_us};
	struct smtp_answer answer = {0};
	int rc = mail_address_parse(to, &m.to);

	if (rc != 0) {
		set(call, EFFECT_FAILED, "address", "No mail can be sent to an address of this form.");
		return;
	}
	mail_fill(&subject, t->subject, values, false);
	mail_fill(&text, t->text, values, false);
	mail_fill(&html, t->html, values, true);
	m.subject = buf_slice(&subject);
	m.text = buf_slice(&text);
	m.html = buf_slice(&html);
	rc = subject.rc != 0 ? subject.rc : text.rc != 0 ? text.rc : html.rc != 0 ? html.rc : mail_write(&message, &m);
	if (rc == 0)
		rc = smtp_send(&mail->server, m.from.address, m.to.address, buf_slice(&message), call->stopping, &answer);
	judge(call, rc, &answer);
	buf_finish(&subject);
	buf_wipe(&text);
	buf_wipe(&html);
	buf_wipe(&message);
}

/* ---- one-time codes ------------------------------------------------------------------------ */

static bool code_wanted(const struct effect_call *call)
{
	const struct mail *mail = call->state;
	const struct event_verification_requested *asked = call->cause->data;
	struct buf code = BUF_INIT(CODE_BYTES_MAX);
	int rc = asked->target.ptr == NULL ? ERR_ERASED : code_unseal(mail->app, asked->request_id, asked->sealed_code, &code);

	buf_wipe(&code);
	return rc != ERR_ERASED && rc != ERR_NOT_FOUND;
}

static void send_code(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	const struct mail *mail = call->state;
	const struct event_verification_requested *asked = call->cause->data;
	const struct mail_template *t = mail_template_find("code", asked->language);
	struct buf code = BUF_INIT(CODE_BYTES_MAX);
	int rc = code_unseal(mail->app, asked->request_id, asked->sealed_code, &code);
	const char *minutes = arena_printf(call->arena, "%d", CODE_LIFE_S / 60);
	struct mail_value values[] = {
		{"code", buf_slice(&code)}, {"purpose", mail_word(t, asked->purpose)}, {"minutes", slice_str(minutes)}, {0}};

	(void)n;
	if (rc == 0)
		send_mail(call, t, asked->target, values);
	else
		set(call, EFFECT_RETRY, "code", "The code cannot be read at the moment.");
	buf_wipe(&code);
}

static const char *host(void *state)
{
	const struct mail *mail = state;

	return mail->server.host == NULL ? "" : mail->server.host;
}

static const struct effect effects[] = {
	{.name = "mail.code", .lane = &lane, .run = send_code, .wanted = code_wanted, .host = host},
	{0},
};

/* ---- start and stop -------------------------------------------------------------------------- */

static const char *configure(struct mail *mail, const struct config *c)
{
	if (c->smtp_host.len == 0)
		return "Mail is not configured: set SMTP_HOST, or nobody gets a code by mail.";
	mail->server = (struct smtp_server){.host = c->smtp_host.ptr, .port = (unsigned)c->smtp_port, .tls = c->smtp_secure,
	    .user = c->smtp_user.len > 0 ? c->smtp_user.ptr : NULL,
	    .password = c->smtp_pass.len > 0 ? c->smtp_pass.ptr : "",
	    .ca_file = c->smtp_ca_file.len > 0 ? c->smtp_ca_file.ptr : NULL};
	if (mail->server.tls && mail->server.port == SMTP_PORT) /* not chosen: the default of the other way */
		mail->server.port = SMTPS_PORT;
	if (mail_address_parse(c->smtp_from.len > 0 ? c->smtp_from : c->smtp_user, &mail->from) != 0)
		return "Mail has no sender: set SMTP_FROM to an address, or to a name and an address in <>.";
	return NULL;
}

static int start(struct app *app, void **ret_state)
{
	struct mail *mail = calloc(1, sizeof(*mail));
	struct http_client *client; /* makes libcurl ready, before there are threads */
	int rc = mail == NULL ? ERR_NOMEM : http_client_create(&client);

	if (rc != 0) {
		free(mail);
		return rc;
	}
	http_client_destroy(client);
	mail->app = app;
	mail->unready = configure(mail, app->config);
	if (mail->unready != NULL)
		log_warn("mail", mail->unready);
	*ret_state = mail;
	return 0;
}

static const char *unready(void *state)
{
	return ((struct mail *)state)->unready;
}

static const struct route routes[] = {{0}};

const struct adapter adapter_mail = {
	.name = "mail",
	.routes = routes,
	.effects = effects,
	.start = start,
	.stop = free,
	.unready = unready,
};
