/*
 * A mail as a task: what is asked for each time is what POST /api/v1/mail takes, and mail_order.c sends it. It lies under
 * the task's key, so that what a deleted task has not sent yet stays unsent.
 */
#include "adapters/mail_order.h"

#include "app/fact.h"
#include "base/err.h"

static int make(struct task_run *run, const struct request_mail_send *asked, size_t n_readers, struct event_draft *ret)
{
	struct buf json = BUF_INIT(MAIL_ORDER_MAX);
	struct json_writer w = {.out = &json};
	struct fact f;
	struct event_mail_requested data = {.mail_id = slice_str(run->id), .recipients = (int64_t)n_readers,
	    .subject = asked->subject, .has_subjects = true, .subjects = {.has_person = true}};
	int rc;

	data.to.items = asked->to.items;
	data.to.n = asked->to.n;
	data.cc.items = asked->cc.items;
	data.cc.n = asked->cc.n;
	data.bcc.items = asked->bcc.items;
	data.bcc.n = asked->bcc.n;
	fact_begin(&f, run->app, "/tasks", run->cause, run->arena);
	fact_once(&f, "task-mail", data.mail_id);
	rc = fact_account(&f, "person", run->fired->task_id, &data.subjects.person);
	if (rc == 0)
		rc = schema_encode(&schema_request_mail_send, asked, NULL, &w);
	if (rc == 0)
		rc = fact_blob(&f, &data.subjects.person, MAIL_CONTENT_FIELD, buf_slice(&json), &data.content);
	buf_wipe(&json);
	return rc != 0 ? rc : fact_draft(&f, EVENT_MAIL_REQUESTED, &data, ret);
}

static void send_mail(struct task_run *run)
{
	const struct request_mail_send *asked = run->payload;
	const char *result = arena_printf(run->arena, "{\"mailId\":\"%s\"}", run->id);
	struct mail_attachment *attachments;
	struct mail_readers readers;
	struct event_draft draft;
	size_t wrong;
	int rc = mail_readers_read(asked, &readers);

	if (rc == 0)
		rc = mail_attachments_read(asked, run->arena, &attachments, &wrong);
	if (rc == ERR_INVALID || rc == ERR_RANGE || rc == ERR_TOO_BIG) {
		task_run_refused(run, "payload", "An address or an attachment of the mail is not right.");
		return;
	}
	if (rc == 0)
		rc = result == NULL ? ERR_NOMEM : make(run, asked, readers.n, &draft);
	if (rc == 0)
		rc = task_run_result(run, &draft);
	if (rc == 0)
		task_run_done(run, slice_str(result));
	else
		task_run_failed(run, rc, "The mail could not be asked for.");
}

static const char *unready(struct app *app)
{
	extern const struct adapter adapter_mail;
	const struct mail *mail = app_adapter_state(app, &adapter_mail);

	return mail == NULL ? "There is no mail here." : mail->unready;
}

const struct task_kind mail_task_kinds[] = {
	{.name = "sendEmail", .summary = "Send a mail, as POST /api/v1/mail does; sendAt counts for nothing",
	    .payload = &schema_request_mail_send, .permission = "mail:send", .run = send_mail, .unready = unready},
	{0},
};
