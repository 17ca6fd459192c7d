/*
 * Messages in Feishu: what was asked for (lark.message_requested), and a card
 * for a chat when a meeting has ended.
 *
 * A message's uuid is its effect's id: the vendor sends one for all requests with it within an
 * hour. Nobody knows later, so an effect that is unknown is not repeated after 50 minutes.
 */
#include "lark_out.h"

#include <time.h>

#include "app/fact.h"
#include "base/err.h"
#include "domain/account.h"
#include "wire_json.h"

#define MESSAGE_MAX ((size_t)128 << 10)
#define CHINA_S 28800

static void tell_sent(struct effect_call *call, struct app *app, struct slice message_id, const struct lark_reply *reply)
{
	struct fact *f = arena_calloc(call->arena, 1, sizeof(*f));
	struct event_lark_message_sent data = {.message_id = message_id, .effect_id = slice_str(call->id),
	    .cause_type = slice_str(call->cause->type->name),
	    .vendor_message_id = wire_text(reply->answer.data, "message_id", call->arena)};

	if (f == NULL)
		return; /* it was sent all the same: effect.done says so */
	fact_begin(f, app, "/effects/lark", call->cause, call->arena);
	if (fact_draft(f, EVENT_LARK_MESSAGE_SENT, &data, &call->results[0]) == 0)
		call->n_results = 1;
}

static void say(struct effect_call *call, const char *receive_id_type, struct slice receive_id, const char *msg_type,
    struct slice content, struct slice message_id)
{
	struct lark_out *out = call->state;
	struct buf body = BUF_INIT(MESSAGE_MAX);
	struct lark_reply reply = {0};
	struct lark_ask ask = {.method = "POST", .acts = true};
	int rc = lark_body_message(&body, receive_id, msg_type, content, slice_str(call->id));

	ask.path = arena_printf(call->arena, "/open-apis/im/v1/messages?receive_id_type=%s", receive_id_type);
	ask.body = buf_slice(&body);
	if (rc == ERR_INVALID) {
		call->outcome = EFFECT_FAILED;
		call->class = "message";
		call->message = "The message is not one that Feishu takes: its content is no JSON or too long.";
	} else {
		reply.rc = rc != 0 ? rc : ask.path == NULL ? ERR_NOMEM : 0;
		if (reply.rc == 0)
			lark_ask(out->client, call, &ask, &reply);
		lark_outcome(call, &reply);
		if (lark_went_well(&reply))
			tell_sent(call, out->app, message_id, &reply);
	}
	buf_wipe(&body);
}

void lark_send_message(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	const struct event_lark_message_requested *m = call->cause->data;
	const char *type = arena_printf(call->arena, "%.*s", SLICE_ARG(m->receive_id_type));
	const char *kind = arena_printf(call->arena, "%.*s", SLICE_ARG(m->msg_type));

	(void)n;
	if (type == NULL || kind == NULL || m->receive_id.ptr == NULL || m->content.ptr == NULL) {
		call->outcome = EFFECT_FAILED;
		call->class = "erased";
		call->message = "What was to be said, or to whom, was erased.";
		return;
	}
	say(call, type, m->receive_id, kind, m->content, m->message_id);
}

/* ---- the card ------------------------------------------------------------------------------ */

static void put_line(struct json_writer *w, struct slice text)
{
	json_begin_object(w);
	json_name(w, "tag");
	json_put_str(w, "div");
	json_name(w, "text");
	json_begin_object(w);
	json_name(w, "tag");
	json_put_str(w, "plain_text"); /* what others wrote is no markup of ours */
	json_name(w, "content");
	json_put_string(w, text);
	json_end_object(w);
	json_end_object(w);
}

static const char *clock_text(struct arena *a, int64_t ms)
{
	time_t t = (time_t)(ms / 1000 + CHINA_S);
	struct tm tm;

	return gmtime_r(&t, &tm) == NULL ? NULL
	                                 : arena_printf(a, "%04d-%02d-%02d %02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
	                                       tm.tm_hour, tm.tm_min);
}

static void put_card(struct json_writer *w, struct json_value m, struct arena *a)
{
	struct slice title = wire_text(m, "title", a), code = wire_text(m, "code", a);
	int64_t started_ms = wire_int(m, "startedAt", 0, a), ended_ms = wire_int(m, "endedAt", 0, a);

	json_begin_object(w);
	json_name(w, "schema");
	json_put_str(w, "2.0");
	json_name(w, "header");
	json_begin_object(w);
	json_name(w, "title");
	json_begin_object(w);
	json_name(w, "tag");
	json_put_str(w, "plain_text");
	json_name(w, "content");
	json_put_str(w, "会议已结束");
	json_end_object(w);
	json_end_object(w);
	json_name(w, "body");
	json_begin_object(w);
	json_name(w, "elements");
	json_begin_array(w);
	put_line(w, title.len > 0 ? title : SLICE("（无主题）"));
	if (code.len > 0)
		put_line(w, slice_str(arena_printf(a, "会议号：%.*s", SLICE_ARG(code))));
	if (ended_ms > 0)
		put_line(w, slice_str(arena_printf(a, "结束时间：%s", clock_text(a, ended_ms))));
	if (started_ms > 0 && ended_ms > started_ms)
		put_line(w, slice_str(arena_printf(a, "时长：%d 分钟", (int)((ended_ms - started_ms + 59999) / 60000))));
	put_line(w, slice_str(arena_printf(a, "参会人数：%d", (int)wire_int(m, "people", 0, a))));
	json_end_array(w);
	json_end_object(w);
	json_end_object(w);
}

void lark_send_card(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	struct lark_out *out = call->state;
	struct lark_sync s = {.out = out, .app = out->app, .arena = call->arena, .position = eventlog_size(out->app->log) - 1};
	struct buf card = BUF_INIT(LARK_CARD_MAX);
	struct json_writer w = JSON_WRITER(&card);
	struct json_value meeting;
	int rc = lark_ask_one(&s, "meeting_to_share", "id", slice_str(call->key), &meeting);

	(void)n;
	if (rc == 0) {
		put_card(&w, meeting, call->arena);
		rc = card.rc;
	}
	if (rc == 0) {
		say(call, "chat_id", out->chat, "interactive", buf_slice(&card), slice_str(call->id));
	} else {
		call->outcome = rc == ERR_NOT_FOUND ? EFFECT_FAILED : EFFECT_RETRY;
		call->class = "read_model";
		call->message = "The meeting cannot be read at the moment.";
	}
	buf_wipe(&card);
}
