/*
 * Mail: what people are told by it.
 *
 *     verification.requested -> mail.code             the one-time code
 *     user.registered        -> mail.welcome
 *     user.password_set      -> mail.password_reset   that somebody set a new one, with a code
 *     login.unusual          -> mail.new_device
 *     summary.generated      -> mail.summary          mail.requested for each who took part
 *     mail.requested         -> mail.message          one effect for each who gets it
 *
 * A mail may go out twice when nobody knows whether the first one did; both have
 * one Message-ID, by which the reader's side tells that they are one.
 */
#include "adapters/mail.h"

#include <stdlib.h>

#include "app/codes.h"
#include "base/err.h"
#include "base/log.h"
#include "net/http_client.h"

#define CODE_BYTES_MAX 64
#define SMTPS_PORT 465
#define SMTP_PORT 587

/* Figures of integrity.md 16; a minute's number is low enough for the providers there are. */
const struct effect_lane mail_lane = {.name = "mail", .class = EFFECT_MAIL, .concurrency = 2, .per_minute = 600,
    .burst = 60, .base_ms = 60000, .cap_ms = 3600000, .tries_max = 12, .age_max_ms = 86400000};

/* ---- sending ------------------------------------------------------------------------------- */

void mail_send(struct effect_call *call, struct mail_message *m, struct slice to)
{
	struct mail *mail = call->state;
	struct buf message = BUF_INIT(MAIL_MESSAGE_MAX);
	struct smtp_answer answer = {0};
	int rc;

	m->from = mail->from;
	rc = mail_write(&message, m);
	if (rc == 0)
		rc = smtp_send(&mail->server, mail->from.address, to, buf_slice(&message), call->stopping, &answer);
	mail_outcome(call, rc, &answer);
	buf_wipe(&message);
}

void mail_send_template(struct effect_call *call, const struct mail_template *t, struct slice to,
    const struct mail_value *values)
{
	struct buf subject = BUF_INIT(1024), text = BUF_INIT(MAIL_BYTES_MAX), html = BUF_INIT(MAIL_BYTES_MAX);
	struct mail_address address;
	struct mail_message m = {.to = &address, .n_to = 1, .id = call->id, .date_us = call->cause_us};

	if (mail_address_parse(to, &address) != 0) {
		mail_outcome_set(call, EFFECT_FAILED, "address", "No mail can be sent to an address of this form.");
		return;
	}
	mail_fill(&subject, t->subject, values, false);
	mail_fill(&text, t->text, values, false);
	mail_fill(&html, t->html, values, true);
	m.subject = buf_slice(&subject);
	m.text = buf_slice(&text);
	m.html = buf_slice(&html);
	if (subject.rc != 0 || text.rc != 0 || html.rc != 0)
		mail_outcome(call, ERR_NOMEM, &(struct smtp_answer){0});
	else
		mail_send(call, &m, address.address);
	buf_finish(&subject);
	buf_wipe(&text);
	buf_wipe(&html);
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
		{.name = "code", .value = buf_slice(&code)}, {.name = "purpose", .value = mail_word(t, asked->purpose)},
		{.name = "minutes", .value = slice_str(minutes)}, {0}};

	(void)n;
	if (rc == 0)
		mail_send_template(call, t, asked->target, values);
	else
		mail_outcome_set(call, EFFECT_RETRY, "code", "The code cannot be read at the moment.");
	buf_wipe(&code);
}

static const char *host(void *state)
{
	const struct mail *mail = state;

	return mail->server.host == NULL ? "" : mail->server.host;
}

static const struct effect effects[] = {
	{.name = "mail.code", .lane = &mail_lane, .run = send_code, .wanted = code_wanted, .host = host},
	{.name = "mail.welcome", .lane = &mail_lane, .run = mail_welcome, .wanted = mail_has_person, .host = host},
	{.name = "mail.password_reset", .lane = &mail_lane, .run = mail_password_reset, .host = host},
	{.name = "mail.new_device", .lane = &mail_lane, .run = mail_new_device, .host = host},
	{.name = "mail.summary", .lane = &mail_lane, .run = mail_summary, .wanted = mail_has_summary, .off = mail_summary_off,
	    .host = host},
	{.name = "mail.personal_summary", .lane = &mail_lane, .run = mail_personal_summary, .wanted = mail_has_summary,
	    .off = mail_personal_summary_off, .host = host},
	{.name = "mail.message", .lane = &mail_lane, .run = mail_message, .wanted = mail_has_content, .host = host},
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

const struct adapter adapter_mail = {
	.name = "mail",
	.routes = mail_routes,
	.effects = effects,
	.task_kinds = mail_task_kinds,
	.start = start,
	.stop = free,
	.unready = unready,
};
