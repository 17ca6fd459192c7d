/*
 * Mails that somebody asks for over the API: now, or not before a time. What is asked for is an event, sealed, so it
 * survives everything; mail_order.c sends it. With an Idempotency-Key it is asked for once, however often the client tries.
 */
#include "adapters/mail_order.h"

#include "app/accounts.h"
#include "app/action.h"
#include "app/api_list.h"
#include "app/request_key.h"
#include "base/codec.h"
#include "base/err.h"
#include "requests.gen.h"

#define AHEAD_MS_MAX (366 * INT64_C(86400000))
#define SEND "mail:send"

/* ---- asking ----------------------------------------------------------------------------------- */

struct order {
	struct action *c;
	struct mail *mail;
	const struct request_mail_send *asked;
	struct mail_readers readers;
	struct request_key key;
	int64_t send_at_ms; /* 0: at once */
	struct arena big;   /* more than a request's own may hold; until the append is over */
	struct slice mail_id;
};

static bool check_readers(struct order *o)
{
	struct action *c = o->c;
	int rc = mail_readers_read(o->asked, &o->readers);
	const char *path = arena_printf(c->arena, "/%s/%zu", o->readers.wrong, o->readers.wrong_at);

	if (rc == ERR_INVALID) {
		problems_add(&c->problems, action_made(c, path), "address", "is no mail address, nor a name and one in <>");
		return action_fail(c, 400, "invalid", "An address cannot be written to; see errors.", "收件人邮箱格式不正确");
	}
	return rc == 0 || action_fail(c, 400, "too_many_recipients", "A mail has at most 50 recipients.", "收件人不能超过50个");
}

static bool check_attachments(struct order *o)
{
	struct action *c = o->c;
	struct mail_attachment *all;
	size_t wrong = 0;
	int rc = mail_attachments_read(o->asked, &o->big, &all, &wrong);

	if (rc == ERR_TOO_BIG)
		return action_fail(c, 400, "too_big", "The attachments have more than 5 MiB together.", "附件总大小不能超过5MB");
	if (rc == ERR_INVALID) {
		problems_add(&c->problems, action_made(c, arena_printf(c->arena, "/attachments/%zu", wrong)), "attachment",
		    "its content is not base64, its name no file's, or its type none");
		return action_fail(c, 400, "invalid", "An attachment cannot be sent; see errors.", "附件格式不正确");
	}
	return action_ok(c, rc);
}

static bool check_time(struct order *o)
{
	int64_t us, now_ms = clock_wall_ms(o->c->app->clock);

	if (o->asked->send_at.len > 0 && time_parse_us(o->asked->send_at, &us) == 0)
		o->send_at_ms = us / 1000;
	if (o->send_at_ms > now_ms + AHEAD_MS_MAX)
		return action_fail(o->c, 400, "invalid", "sendAt: is more than a year ahead.", "发送时间不能超过一年");
	if (o->send_at_ms <= now_ms)
		o->send_at_ms = 0;
	return true;
}

/* Whose account has the address, if any has: their key seals it, with an account its mail is erased. */
static int find_user(struct order *o, struct slice *ret)
{
	struct action *c = o->c;
	struct slice address, digest;
	struct json_value row;
	struct said why;
	int rc = account_email(o->readers.envelope[0], c->arena, &address, &why);

	*ret = SLICE("");
	if (rc == ERR_INVALID) /* one that no account can have */
		return 0;
	digest = rc == 0 ? account_digest(c, "email", address) : (struct slice){0};
	if (digest.ptr == NULL)
		return ERR_NOMEM;
	rc = action_row(c, "account_by_claim", (struct action_param[]){{"claim", digest, 0}}, 1, &row);
	if (rc == 0)
		*ret = row_text(c, row, "id");
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int make(struct order *o, struct action_events *e)
{
	struct action *c = o->c;
	struct fact *f = arena_alloc(&o->big, sizeof(*f));
	struct slice user, mail_id;
	int rc = f == NULL ? ERR_NOMEM : find_user(o, &user);

	if (rc != 0)
		return rc;
	fact_begin(f, c->app, c->rq->route->path, NULL, &o->big);
	f->meta.actor = action_meta(c).actor;
	f->meta.has_once = o->key.is_given;
	memcpy(f->meta.once, o->key.once, sizeof(f->meta.once));
	rc = mail_order_draft(f, o->asked, &o->readers, user, o->send_at_ms, o->key.digest, &mail_id, &e->drafts[0]);
	e->n = rc == 0;
	if (rc == 0)
		o->mail_id = arena_dup(c->arena, mail_id);
	return rc == 0 && o->mail_id.ptr == NULL ? ERR_NOMEM : rc;
}

static struct mail *mail_of(struct action *c)
{
	extern const struct adapter adapter_mail;

	return app_adapter_state(c->app, &adapter_mail);
}

/* The same was asked for before: what became of it is told, not what was asked now. */
static bool take_first(struct order *o, uint64_t position)
{
	const struct event_mail_requested *first;
	struct event event;
	int64_t time_us;
	int rc = action_event_at(o->c, position, &event, &time_us);

	if (rc != 0)
		return action_fail_err(o->c, rc);
	if (event.data == NULL || event.type->id != EVENT_MAIL_REQUESTED) /* the key was of another command */
		return request_key_same(o->c, &o->key, SLICE(""));
	first = event.data;
	o->mail_id = first->mail_id;
	o->send_at_ms = first->has_send_at_ms ? first->send_at_ms : 0;
	return request_key_same(o->c, &o->key, first->request_digest);
}

static bool take_new(struct order *o)
{
	struct action *c = o->c;
	struct action_events e = {.c = c};

	if (!check_attachments(o) || !check_time(o) || !action_ok(c, make(o, &e)) || !action_ok(c, action_append(&e)))
		return false;
	return !e.append.duplicate || take_first(o, e.append.position); /* two came at once */
}

/* Checks it and makes it an event. False: the answer is set. */
static bool take(struct order *o, struct action *c, const struct request_mail_send *asked)
{
	uint64_t first;
	bool taken;
	int rc;

	o->c = c;
	o->mail = mail_of(c);
	o->asked = asked;
	if (o->mail->unready != NULL)
		return action_fail(c, 503, "not_configured", o->mail->unready, "邮件服务未配置");
	if (!check_readers(o) || !request_key_read(c, &o->key))
		return false;
	rc = request_key_find(c, &o->key, &first);
	if (rc != ERR_NOT_FOUND)
		return action_ok(c, rc) && take_first(o, first);
	o->big = (struct arena)ARENA_INIT(4 * MAIL_ORDER_MAX);
	taken = take_new(o);
	arena_wipe(&o->big);
	arena_finish(&o->big);
	return taken;
}

static void put_ids(struct order *o, struct json_writer *w)
{
	struct slice local, domain;

	slice_cut(o->mail->from.address, '@', &local, &domain);
	json_name(w, "id");
	json_put_string(w, o->mail_id);
	json_name(w, "messageId");
	json_put_str(w, action_made(o->c, arena_printf(o->c->arena, "<%.*s@%.*s>", SLICE_ARG(o->mail_id), SLICE_ARG(domain))));
}

static void run_send(struct action *c)
{
	struct order *o = arena_calloc(c->arena, 1, sizeof(*o));
	struct request_mail_send asked;
	char when[TIME_TEXT_MS_LEN + 1];
	struct json_writer w;

	if (o == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	if (!action_read(c, &schema_request_mail_send, &asked) || !take(o, c, &asked))
		return;
	w = action_answer(c, 201);
	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	put_ids(o, &w);
	json_name(&w, "recipients");
	json_put_u64(&w, o->readers.n);
	json_name(&w, "sendAt");
	if (o->send_at_ms != 0) {
		time_format_ms(when, o->send_at_ms);
		json_put_str(&w, when);
	} else {
		json_put_null(&w);
	}
	json_end_object(&w);
	json_end_object(&w);
}

/* ---- as existing clients ask ---------------------------------------------------------------------- */

static void answer_legacy(struct order *o, const char *message)
{
	struct json_writer w = action_answer(o->c, 201);

	json_begin_object(&w);
	json_name(&w, "statusCode");
	json_put_u64(&w, 200); /* as they know it, beside HTTP's 201 */
	json_name(&w, "message");
	json_put_str(&w, message);
	json_name(&w, "data");
	json_begin_object(&w);
	put_ids(o, &w);
	json_end_object(&w);
	json_end_object(&w);
}

static void run_legacy(struct action *c)
{
	struct order *o = arena_calloc(c->arena, 1, sizeof(*o));
	struct request_mail_send_legacy body;
	struct request_mail_send asked = {0};

	if (o == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	if (!action_read(c, &schema_request_mail_send_legacy, &body))
		return;
	asked.to.items = &body.to;
	asked.to.n = 1;
	asked.cc.items = body.cc.items;
	asked.cc.n = body.cc.n;
	asked.bcc.items = body.bcc.items;
	asked.bcc.n = body.bcc.n;
	asked.subject = body.subject;
	asked.text = body.text;
	asked.html = body.html;
	if (take(o, c, &asked))
		answer_legacy(o, "邮件已提交发送");
}

static void run_later(struct action *c)
{
	struct order *o = arena_calloc(c->arena, 1, sizeof(*o));
	struct request_mail_send_later body;
	struct request_mail_send asked = {0};

	if (o == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	if (!action_read(c, &schema_request_mail_send_later, &body))
		return;
	asked.to.items = &body.email;
	asked.to.n = 1;
	asked.subject = body.subject;
	asked.text = body.text;
	asked.html = body.html;
	o->send_at_ms = clock_wall_ms(c->app->clock) + body.delay;
	if (take(o, c, &asked))
		answer_legacy(o, action_made(c, arena_printf(c->arena, "已将发送 %.*s 的任务加入队列，延迟 %g 秒执行",
		    SLICE_ARG(o->readers.envelope[0]), (double)body.delay / 1000)));
}

static void answer_connected(struct action *c, bool connected)
{
	struct json_writer w = action_answer(c, 200);

	json_begin_object(&w);
	json_name(&w, "statusCode");
	json_put_u64(&w, 200);
	json_name(&w, "message");
	json_put_str(&w, connected ? "SMTP连接正常" : "SMTP连接失败");
	json_name(&w, "data");
	json_begin_object(&w);
	json_name(&w, "connected");
	json_put_bool(&w, connected);
	json_end_object(&w);
	json_end_object(&w);
}

/* A look takes as long as the server lets it: one command thread at a time is enough for that. */
static void run_verify(struct action *c)
{
	struct mail *mail = mail_of(c);
	struct smtp_answer answer;
	int rc = ERR_UNAVAILABLE;

	if (atomic_exchange(&mail->checking, true)) {
		action_header(c, "Retry-After", "5");
		action_fail(c, 429, "busy", "Somebody is looking at it already.", "正在检查，请稍后再试");
		return;
	}
	if (mail->unready == NULL)
		rc = smtp_check(&mail->server, mail->from.address, &c->app->stopping, &answer);
	atomic_store(&mail->checking, false);
	answer_connected(c, rc == 0);
}

/* ---- what became of one ----------------------------------------------------------------------------- */

#define MISSING "There is no mail with this id."

static void get_mail(struct http_request *rq)
{
	api_one(rq, "mail_by_id", http_request_param(rq, "id"), MISSING, false);
}

/* Those in an append are cancelled together or, when one of them was tried meanwhile, not at all. */
static bool cancel(struct action *c, struct json_value rows, uint64_t *ret_n)
{
	struct json_reader r;
	struct json_value row;
	bool more = true;
	int rc = 0;

	*ret_n = 0;
	json_enter(&r, rows);
	while (more && rc == 0) {
		struct action_events *e = arena_calloc(c->arena, 1, sizeof(*e));

		if (e == NULL)
			return action_fail_err(c, ERR_NOMEM);
		e->c = c;
		while (e->n < ACTION_EVENTS_MAX && (more = json_next(&r, NULL, &row))) {
			struct event_effect_cancelled data = {.effect_id = row_text(c, row, "id"), .effect = SLICE(MAIL_MESSAGE_EFFECT),
			    .lane = row_text(c, row, "lane"), .attempt = row_i64(row, "attempt"), .reason = SLICE("PERSON")};
			struct event_meta meta = action_meta(c);

			meta.expect = row_i64(row, "version");
			action_event(e, EVENT_EFFECT_CANCELLED, &data, NULL, &meta);
		}
		rc = e->n == 0 ? 0 : action_append(e);
		*ret_n += rc == 0 ? e->n : 0;
	}
	return rc == 0 || (rc == ERR_CONFLICT ? action_fail(c, 409, "conflict", "It is being sent just now; look at it again.", "邮件正在发送")
	                                      : action_fail_err(c, rc));
}

static void run_cancel(struct action *c)
{
	struct action_param of = {"id", http_request_param(c->rq, "id"), 0};
	struct json_value rows, row;
	struct json_writer w;
	uint64_t n;
	int rc = action_row(c, "mail_by_id", &of, 1, &row);

	if (rc == ERR_NOT_FOUND) {
		action_fail(c, 404, "not_found", MISSING, "没有这封邮件");
		return;
	}
	if (rc == 0)
		rc = action_rows(c, "mail_to_cancel", &of, 1, &rows);
	if (!action_ok(c, rc) || !cancel(c, rows, &n))
		return;
	if (n == 0) {
		action_fail(c, 409, "conflict", "Nothing of it waits any more.", "邮件已发送，无法取消");
		return;
	}
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	json_name(&w, "id");
	json_put_string(&w, of.text);
	json_name(&w, "cancelled");
	json_put_u64(&w, n);
	json_end_object(&w);
	json_end_object(&w);
}

#define HANDLER(name, run) \
	static void name(struct http_request *rq) \
	{ \
		action_start(rq, ACTION_QUICK, run); \
	}
HANDLER(ask, run_send)
HANDLER(ask_legacy, run_legacy)
HANDLER(ask_later, run_later)
HANDLER(verify, run_verify)
HANDLER(cancel_mail, run_cancel)

const struct route mail_routes[] = {
	{HTTP_POST, "/api/v1/mail", ask, SEND, .flags = ROUTE_KEYED, .body_max = MAIL_ORDER_MAX, .request = &schema_request_mail_send, .answer = "object",
	    .success = "201", .tag = "mail", .summary = "Send a mail, now or later"},
	{HTTP_GET, "/api/v1/mail/verify", verify, SEND, .flags = ROUTE_NO_ETAG, .answer = "object", .tag = "mail",
	    .summary = "Whether the mail server lets us in"},
	{HTTP_GET, "/api/v1/mail/{id}", get_mail, SEND, .answer = "object", .tag = "mail", .summary = "What became of a mail"},
	{HTTP_DELETE, "/api/v1/mail/{id}", cancel_mail, SEND, .answer = "object", .tag = "mail",
	    .summary = "Do not send what of a mail still waits"},
	{HTTP_POST, "/mail/send", ask_legacy, SEND, .flags = ROUTE_KEYED, .body_max = MAIL_ORDER_MAX, .request = &schema_request_mail_send_legacy,
	    .answer = "object", .success = "201", .tag = "mail", .summary = "Send a mail"},
	{HTTP_POST, "/mail/send-later", ask_later, SEND, .flags = ROUTE_KEYED, .body_max = MAIL_ORDER_MAX, .request = &schema_request_mail_send_later,
	    .answer = "object", .success = "201", .tag = "mail", .summary = "Send a mail after a while"},
	{HTTP_GET, "/mail/verify", verify, SEND, .flags = ROUTE_NO_ETAG, .answer = "object", .tag = "mail",
	    .summary = "Whether the mail server lets us in"},
	{0},
};
