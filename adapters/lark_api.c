/* Rows of Feishu's tables as a person deals with them: how they stand, what was changed on both sides, messages. */
#include "lark_out.h"

#include "app/action.h"
#include "app/api_list.h"
#include "app/fact.h"
#include "base/codec.h"
#include "base/err.h"
#include "requests.gen.h"

#define MISSING "There is no row with this id; GET /api/v1/lark/rows lists those there are."

static void list_rows(struct http_request *rq)
{
	api_list(rq, "lark_rows", NULL, 0);
}

static void list_conflicts(struct http_request *rq)
{
	struct list_fixed fixed = {"state", SLICE("CONFLICT")};

	api_list(rq, "lark_rows", &fixed, 1);
}

static void get_conflict(struct http_request *rq)
{
	api_one(rq, "lark_conflict", http_request_param(rq, "id"), MISSING, false);
}

/* ---- deciding -------------------------------------------------------------------------------- */

static void answer_state(struct action *c, struct slice id, const char *state)
{
	struct json_writer w = action_answer(c, 200);

	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	json_name(&w, "id");
	json_put_string(&w, id);
	json_name(&w, "state");
	json_put_str(&w, state);
	json_end_object(&w);
	json_end_object(&w);
}

static void run_resolve(struct action *c)
{
	struct request_lark_resolve body;
	struct action_param of = {"id", http_request_param(c->rq, "id"), 0};
	struct action_events e = {.c = c};
	struct event_lark_conflict_resolved data;
	struct json_value row;
	bool ours;
	int rc;

	if (!action_read(c, &schema_request_lark_resolve, &body))
		return;
	rc = action_row(c, "lark_conflict", &of, 1, &row);
	if (rc == ERR_NOT_FOUND) {
		action_fail(c, 404, "not_found", MISSING, "没有这一行");
		return;
	}
	if (!action_ok(c, rc))
		return;
	if (!slice_is(row_text(c, row, "state"), "CONFLICT")) {
		action_fail(c, 409, "conflict", "Nothing is to be decided about this row.", "该行没有待处理的冲突");
		return;
	}
	ours = slice_is(body.keep, "ours");
	data = (struct event_lark_conflict_resolved){.table = row_text(c, row, "table"), .row = row_text(c, row, "row"),
	    .keep = ours ? SLICE("OURS") : SLICE("THEIRS"), .note = body.note};
	action_event(&e, EVENT_LARK_CONFLICT_RESOLVED, &data, NULL, NULL);
	if (action_ok(c, action_append(&e)))
		answer_state(c, of.text, ours ? "RESOLVING" : slice_is(row_text(c, row, "reason"), "DELETED") ? "DROPPED" : "SYNCED");
}

static void resolve(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_resolve);
}

/* ---- messages ----------------------------------------------------------------------------------- */

static int put_text(struct action *c, struct slice text, struct slice *ret)
{
	struct buf out = BUF_INIT((size_t)256 << 10);
	struct json_writer w = JSON_WRITER(&out);

	json_begin_object(&w);
	json_name(&w, "text");
	json_put_string(&w, text);
	json_end_object(&w);
	*ret = arena_dup(c->arena, buf_slice(&out));
	buf_wipe(&out);
	return ret->ptr == NULL ? ERR_NOMEM : 0;
}

static int make_message(struct action *c, const struct request_lark_message *body, struct fact *f, struct event_draft *ret)
{
	struct event_lark_message_requested data = {.message_id = slice_of(f->id_text, ID_TEXT_LEN),
	    .receive_id_type = body->receive_id_type, .receive_id = body->receive_id, .has_subjects = true,
	    .msg_type = body->card.ptr != NULL ? SLICE("interactive") : SLICE("text"), .content = body->card};
	struct slice parts[] = {SLICE("lark.receiver"), body->receive_id_type, body->receive_id};
	int rc = body->card.ptr != NULL ? 0 : put_text(c, body->text, &data.content);

	data.subjects.has_receiver = true;
	data.receiver_digest = fact_fingerprint(f, parts, 3);
	if (rc == 0 && data.receiver_digest.ptr == NULL)
		rc = ERR_NOMEM;
	if (rc == 0)
		rc = fact_subject(f, "receiver", SLICE("lark.receiver"), body->receive_id, &data.subjects.receiver);
	return rc == 0 ? fact_draft(f, EVENT_LARK_MESSAGE_REQUESTED, &data, ret) : rc;
}

static void run_message(struct action *c)
{
	struct request_lark_message body;
	struct event_meta meta = action_meta(c);
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	struct fact *f = arena_calloc(c->arena, 1, sizeof(*f));
	int rc = f == NULL ? ERR_NOMEM : 0;

	if (!action_ok(c, rc) || !action_read(c, &schema_request_lark_message, &body))
		return;
	if ((body.text.ptr == NULL) == (body.card.ptr == NULL)) {
		action_fail(c, 400, "invalid", "Either text or card is wanted.", "text 与 card 必须二选一");
		return;
	}
	if (body.card.ptr != NULL && (json_scan(body.card, NULL, NULL) != 0 || json_root(body.card).type != JSON_OBJECT)) {
		action_fail(c, 400, "invalid", "card: must be a text that holds a JSON object.", "card 必须是 JSON 对象文本");
		return;
	}
	fact_begin(f, c->app, "/api/v1/lark/messages", NULL, c->arena);
	f->meta.actor = meta.actor;
	f->meta.traceparent = meta.traceparent;
	rc = make_message(c, &body, f, &draft);
	if (rc == ERR_TOO_BIG || rc == ERR_INVALID) {
		action_fail(c, 400, "invalid", "The message is longer than Feishu takes.", "消息过长");
		return;
	}
	if (rc == 0)
		rc = eventlog_append_wait(c->app->log, &append);
	if (action_ok(c, rc)) {
		struct json_writer w = action_answer(c, 202);

		json_begin_object(&w);
		json_name(&w, "data");
		json_begin_object(&w);
		json_name(&w, "id");
		json_put_string(&w, slice_of(f->id_text, ID_TEXT_LEN));
		json_end_object(&w);
		json_end_object(&w);
	}
}

static void send_message(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_message);
}

static const struct api_list_doc rows_doc = {"lark_rows", NULL};
static const struct api_list_doc conflicts_doc = {"lark_rows", "state"};

const struct route lark_routes[] = {
	{HTTP_GET, "/api/v1/lark/rows", list_rows, "lark:read", .answer = "LarkRowList", .tag = "lark",
	    .summary = "Rows of Feishu's tables, and how they stand", .extra = &rows_doc},
	{HTTP_GET, "/api/v1/lark/conflicts", list_conflicts, "lark:read", .answer = "LarkRowList", .tag = "lark",
	    .summary = "Rows that were changed there and wait for somebody who decides", .extra = &conflicts_doc},
	{HTTP_GET, "/api/v1/lark/conflicts/{id}", get_conflict, "lark:manage", .answer = "object", .tag = "lark",
	    .summary = "One of them, with what both sides have"},
	{HTTP_POST, "/api/v1/lark/conflicts/{id}/resolve", resolve, "lark:manage", .request = &schema_request_lark_resolve,
	    .answer = "object", .tag = "lark", .summary = "Keep ours, which is written there again, or theirs"},
	{HTTP_POST, "/api/v1/lark/messages", send_message, "lark:manage", .request = &schema_request_lark_message,
	    .answer = "object", .tag = "lark", .summary = "Send a text or a card to a person or a chat"},
	{0},
};
