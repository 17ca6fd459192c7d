/*
 * See mail_order.h. Who gets a copy unseen is in no header: every recipient has a message to themselves, and all of
 * them are the same bytes.
 */
#include "adapters/mail_order.h"

#include "base/codec.h"
#include "base/err.h"
#include "domain/effect_id.h"

static void add_reader(struct mail_readers *r, struct slice address)
{
	for (size_t i = 0; i < r->n; i++)
		if (slice_eq_nocase(r->envelope[i], address))
			return;
	r->envelope[r->n++] = address;
}

static int read_some(struct mail_readers *r, const char *member, const struct slice *texts, size_t n, struct mail_address *header,
    size_t *n_header)
{
	for (size_t i = 0; i < n; i++) {
		struct mail_address address;

		r->wrong = member;
		r->wrong_at = i;
		if (mail_address_parse(texts[i], &address) != 0)
			return ERR_INVALID;
		if (r->n == MAIL_READERS_MAX)
			return ERR_RANGE;
		add_reader(r, address.address);
		if (header != NULL)
			header[(*n_header)++] = address;
	}
	return 0;
}

int mail_readers_read(const struct request_mail_send *asked, struct mail_readers *r)
{
	int rc;

	*r = (struct mail_readers){.n = 0};
	rc = read_some(r, "to", asked->to.items, asked->to.n, r->to, &r->n_to);
	if (rc == 0)
		rc = read_some(r, "cc", asked->cc.items, asked->cc.n, r->cc, &r->n_cc);
	if (rc == 0)
		rc = read_some(r, "bcc", asked->bcc.items, asked->bcc.n, NULL, NULL);
	return rc;
}

int mail_attachments_read(const struct request_mail_send *asked, struct arena *arena, struct mail_attachment **ret,
    size_t *ret_wrong)
{
	struct mail_attachment *all = arena_calloc(arena, asked->attachments.n + 1, sizeof(*all));
	size_t left = MAIL_ATTACHED_MAX;

	for (size_t i = 0; all != NULL && i < asked->attachments.n; i++) {
		const struct request_mail_send_attachments *a = &asked->attachments.items[i];
		struct buf bytes = BUF_INIT(left);
		int rc = base64_decode(&bytes, a->content, 0);

		*ret_wrong = i;
		all[i] = (struct mail_attachment){.name = a->filename,
		    .content_type = a->content_type.len > 0 ? a->content_type : SLICE("application/octet-stream"),
		    .bytes = arena_dup(arena, buf_slice(&bytes))};
		left -= bytes.len;
		buf_wipe(&bytes);
		if (rc != 0 || !mail_attachment_ok(&all[i]))
			return rc == ERR_TOO_BIG || rc == ERR_NOMEM ? rc : ERR_INVALID;
		if (all[i].bytes.ptr == NULL)
			return ERR_NOMEM;
	}
	*ret = all;
	return all == NULL ? ERR_NOMEM : 0;
}

/* ---- the event that asks --------------------------------------------------------------------------- */

static int seal_content(struct fact *f, const struct event_subject *whose, const struct request_mail_send *asked,
    struct event_blob *ret)
{
	struct buf json = BUF_INIT(MAIL_ORDER_MAX);
	struct json_writer w = {.out = &json};
	int rc = schema_encode(&schema_request_mail_send, asked, NULL, &w);

	if (rc == 0)
		rc = fact_blob(f, whose, MAIL_CONTENT_FIELD, buf_slice(&json), ret);
	buf_wipe(&json);
	return rc;
}

int mail_order_draft(struct fact *f, const struct request_mail_send *asked, const struct mail_readers *readers,
    struct slice user_id, int64_t send_at_ms, struct slice request_digest, struct slice *ret_mail_id, struct event_draft *ret)
{
	char *id = arena_alloc(f->arena, ID_TEXT_LEN + 1);
	struct id mail_id = id_random(f->app->rng);
	struct event_mail_requested data = {.recipients = (int64_t)readers->n, .send_at_ms = send_at_ms,
	    .has_send_at_ms = send_at_ms != 0, .attachments = (int64_t)asked->attachments.n,
	    .has_attachments = asked->attachments.n > 0, .subject = asked->subject,
	    .request_digest = request_digest, .has_subjects = true, .subjects = {.has_person = true}};
	int rc;

	if (id == NULL)
		return ERR_NOMEM;
	id_format(id, &mail_id);
	data.mail_id = slice_of(id, ID_TEXT_LEN);
	data.to.items = asked->to.items;
	data.to.n = asked->to.n;
	data.cc.items = asked->cc.items;
	data.cc.n = asked->cc.n;
	data.bcc.items = asked->bcc.items;
	data.bcc.n = asked->bcc.n;
	if (user_id.len > 0)
		rc = fact_account(f, "person", user_id, &data.subjects.person);
	else
		rc = fact_subject(f, "person", SLICE("mail.address"), readers->envelope[0], &data.subjects.person);
	if (rc == 0)
		rc = seal_content(f, &data.subjects.person, asked, &data.content);
	if (rc == 0)
		rc = fact_draft(f, EVENT_MAIL_REQUESTED, &data, ret);
	*ret_mail_id = data.mail_id;
	return rc;
}

/* ---- sending it ---------------------------------------------------------------------------------------- */

bool mail_has_content(const struct effect_call *call)
{
	return ((const struct event_mail_requested *)call->cause->data)->subject.ptr != NULL;
}

static size_t index_of(const struct effect_call *call)
{
	char id[EFFECT_ID_LEN + 1], step[U64_TEXT_MAX];
	size_t i = 0;

	do
		effect_id_make(id, call->cause->envelope.id, SLICE(MAIL_MESSAGE_EFFECT), u64_format(step, i));
	while (strcmp(id, call->id) != 0 && ++i < MAIL_READERS_MAX);
	return i;
}

/* Borrows from *json. */
static int open_content(struct effect_call *call, struct buf *json, struct request_mail_send *ret)
{
	const struct mail *mail = call->state;
	int rc = fact_blob_read(mail->app, call->cause, call->cause_position, 0, MAIL_CONTENT_FIELD, json);

	return rc == 0 ? schema_decode(&schema_request_mail_send, buf_slice(json), call->arena, ret, NULL) : rc;
}

static void send_to(struct effect_call *call, const struct mail_readers *readers, size_t i,
    const struct request_mail_send *asked, const struct mail_attachment *attachments)
{
	const struct event_mail_requested *cause = call->cause->data;
	struct mail_message m = {.to = readers->to, .n_to = readers->n_to, .cc = readers->cc, .n_cc = readers->n_cc,
	    .id = arena_printf(call->arena, "%.*s", SLICE_ARG(cause->mail_id)),
	    .date_us = cause->has_send_at_ms ? cause->send_at_ms * 1000 : call->cause_us, .subject = asked->subject,
	    .text = asked->text, .html = asked->html, .attachments = attachments, .n_attachments = asked->attachments.n};

	if (m.id == NULL)
		mail_outcome(call, ERR_NOMEM, &(struct smtp_answer){0});
	else
		mail_send(call, &m, readers->envelope[i]);
}

void mail_message(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	struct mail_readers *readers = arena_alloc(call->arena, sizeof(*readers));
	struct request_mail_send asked;
	struct mail_attachment *attachments;
	struct buf json = BUF_INIT(MAIL_ORDER_MAX + 64);
	size_t i = index_of(call), wrong;
	int rc = readers == NULL ? ERR_NOMEM : open_content(call, &json, &asked);

	(void)n;
	if (rc == 0)
		rc = mail_readers_read(&asked, readers);
	if (rc == 0)
		rc = mail_attachments_read(&asked, call->arena, &attachments, &wrong);
	if (rc == 0 && i < readers->n)
		send_to(call, readers, i, &asked, attachments);
	else
		mail_outcome_set(call, EFFECT_RETRY, rc == ERR_NOMEM ? "memory" : "malformed", "What was asked for cannot be read.");
	buf_wipe(&json);
}
