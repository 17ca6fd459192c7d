/*
 * Summaries: what was written about meetings, people and spans of days, and asking
 * for it. Who asks appends summary.requested; the model's adapter does the rest.
 */
#include "app/action.h"
#include "app/api.h"
#include "app/api_list.h"
#include "app/summary.h"
#include "base/err.h"
#include "requests.gen.h"

#define NO_SUCH_MEETING "There is no meeting with this id; GET /api/v1/meetings lists those there are."
#define NO_SUCH_SUMMARY "There is no summary with this id; GET /api/v1/summaries lists those there are."

/* ---- looking ---------------------------------------------------------------------------- */

static void list_summaries(struct http_request *rq)
{
	api_list(rq, "summaries", NULL, 0);
}

static void list_of_meeting(struct http_request *rq)
{
	struct list_fixed of_meeting = {"meetingId", http_request_param(rq, "id")};

	api_list(rq, "summaries", &of_meeting, 1);
}

/* A platform's long text lies beside its event; the row has all but that. */
static int read_elsewhere(struct action *c, int64_t place, struct slice *ret)
{
	struct buf text = BUF_INIT(SUMMARY_BYTES_MAX + 64);
	struct event stored;
	int rc = fact_read(c->app, (uint64_t)place, c->arena, &stored);

	*ret = (struct slice){0};
	if (rc == 0 && stored.type != NULL && stored.type->id == EVENT_SUMMARY_STORED)
		rc = summary_read_text(c->app, &stored, (uint64_t)place, &text);
	if (rc == 0) {
		*ret = arena_dup(c->arena, buf_slice(&text));
		rc = ret->ptr == NULL && text.len > 0 ? ERR_NOMEM : 0;
	}
	buf_wipe(&text);
	return rc == ERR_ERASED ? 0 : rc;
}

/* The row as it is, with the text in its place. */
static void answer_with(struct action *c, struct json_value row, struct slice content)
{
	struct json_writer w = action_answer(c, 200);
	struct json_reader r;
	struct json_value v;
	struct slice name;

	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	json_enter(&r, row);
	while (json_next(&r, &name, &v)) {
		json_name_slice(&w, name);
		if (json_name_is(name, SLICE("content")) && content.len > 0)
			json_put_string(&w, content);
		else
			json_put_raw(&w, v.text);
	}
	json_end_object(&w);
	json_end_object(&w);
}

static void run_get(struct action *c)
{
	struct action_param of = {"id", http_request_param(c->rq, "id"), 0};
	struct json_value row, place;
	struct slice content = {0};
	int rc = action_row(c, "summary_by_id", &of, 1, &row);

	if (rc == ERR_NOT_FOUND) {
		action_fail(c, 404, "not_found", NO_SUCH_SUMMARY, "没有这份总结");
		return;
	}
	if (rc == 0)
		rc = action_row(c, "summary_place", &of, 1, &place);
	if (rc == 0 && row_bool(place, "elsewhere") && slice_is(row_text(c, place, "kind"), "PLATFORM"))
		rc = read_elsewhere(c, row_i64(place, "place"), &content);
	if (action_ok(c, rc))
		answer_with(c, row, content);
}

static void get_summary(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_get);
}

/* ---- asking ------------------------------------------------------------------------------- */

/* Without a model a request would wait for nobody. */
static bool model_is_there(struct action *c)
{
	struct action_param of = {"effect", SLICE("ai.asked"), 0};
	struct json_value row;
	int rc = action_row(c, "effect_is_on", &of, 1, &row);

	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 503, "not_configured", "No language model is configured: see ARK_API_KEY and OPENAI_API_KEY.", "未配置语言模型");
	return action_ok(c, rc);
}

static void ask(struct action *c, struct event_summary_requested *data)
{
	struct action_events e = {.c = c};
	char *id = arena_alloc(c->arena, ID_TEXT_LEN + 1);
	struct id made = id_random(c->app->rng);
	struct json_writer w;

	if (id == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	id_format(id, &made);
	data->request_id = slice_of(id, ID_TEXT_LEN);
	action_event(&e, EVENT_SUMMARY_REQUESTED, data, NULL, NULL);
	if (!action_ok(c, action_append(&e)))
		return;
	w = action_answer(c, 202);
	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	json_name(&w, "requestId");
	json_put_string(&w, data->request_id);
	json_end_object(&w);
	json_end_object(&w);
}

static bool meeting_has_transcript(struct action *c, struct slice meeting, struct slice recording)
{
	struct action_param id = {"id", meeting, 0};
	struct action_param of[] = {{"meeting", meeting, 0}, {"recording", recording.len > 0 ? recording : SLICE(""), 0},
	    {"after", SLICE(""), 0}};
	struct json_value row;
	int rc = action_row(c, "transcripts_of_meeting", of, 3, &row);

	if (rc != ERR_NOT_FOUND)
		return action_ok(c, rc);
	rc = action_row(c, "meeting_stream", &id, 1, &row);
	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 404, "not_found", NO_SUCH_MEETING, "没有这个会议");
	if (rc != 0)
		return action_fail_err(c, rc);
	return action_fail(c, 409, "no_transcript", "There is no transcript of it yet, so there is nothing to sum up.", "该会议还没有转写文本");
}

static void run_ask_meeting(struct action *c)
{
	struct request_summary_meeting body = {0};
	struct event_summary_requested data = {.target = SLICE("MEETING"), .again = true, .has_again = true,
	    .meeting = http_request_param(c->rq, "id")};

	if (c->rq->body.len > 0 && !action_read(c, &schema_request_summary_meeting, &body))
		return;
	data.recording_id = body.recording_id;
	if (model_is_there(c) && meeting_has_transcript(c, data.meeting, data.recording_id))
		ask(c, &data);
}

static void ask_meeting(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_ask_meeting);
}

static void run_ask_period(struct action *c)
{
	struct request_summary_period body;
	struct event_summary_requested data = {.target = SLICE("PERIOD"), .has_again = true};

	if (!action_read(c, &schema_request_summary_period, &body))
		return;
	if (body.platform_user_id.len > 0 && body.org_id.len > 0) {
		action_fail(c, 400, "invalid", "platformUserId and orgId: it is of one or of the other.", "platformUserId 与 orgId 只能指定一个");
		return;
	}
	data.again = body.again;
	data.period = body.period_type;
	data.day = body.day;
	data.person_id = body.platform_user_id;
	data.org_id = body.org_id;
	if (model_is_there(c))
		ask(c, &data);
}

static void ask_period(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_ask_period);
}

static const struct api_list_doc summaries_doc = {"summaries", NULL}, of_meeting_doc = {"summaries", "meetingId"};

const struct route api_summaries_routes[] = {
	{HTTP_GET, "/api/v1/summaries", list_summaries, "summaries:read", .answer = "SummaryList", .tag = "summaries",
	    .summary = "Summaries, filtered and sorted", .extra = &summaries_doc},
	{HTTP_GET, "/api/v1/summaries/{id}", get_summary, "summaries:read", .answer = "Summary", .tag = "summaries",
	    .summary = "One summary"},
	{HTTP_POST, "/api/v1/summaries/periods", ask_period, "summaries:write", .request = &schema_request_summary_period,
	    .answer = "object", .success = "202", .tag = "summaries",
	    .summary = "Have a day, week, month, quarter or year summed up"},
	{HTTP_GET, "/api/v1/meetings/{id}/summaries", list_of_meeting, "summaries:read", .answer = "SummaryList",
	    .tag = "summaries", .summary = "Summaries of a meeting and of those who spoke in it", .extra = &of_meeting_doc},
	{HTTP_POST, "/api/v1/meetings/{id}/summaries", ask_meeting, "summaries:write",
	    .request = &schema_request_summary_meeting, .answer = "object", .success = "202", .tag = "summaries",
	    .summary = "Have a meeting summed up anew"},
	{0},
};
