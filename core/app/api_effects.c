/*
 * Effects, as a person deals with them: what is owed to the world, what was
 * given up, trying that again or letting it be, and holding a lane. Each act is an event of
 * the effect's stream at the version that was looked at, so that it never meets an attempt under way.
 */
#include "app/action.h"
#include "app/api.h"
#include "app/api_list.h"
#include "base/err.h"
#include "requests.gen.h"
#include "store/effect.h"

#define MINUTE_MS 60000

/* ---- looking ---------------------------------------------------------------------------- */

static void list_effects(struct http_request *rq)
{
	api_list(rq, "effects", NULL, 0);
}

#define MISSING "There is no effect with this id; GET /api/v1/effects lists those there are."

static void get_effect(struct http_request *rq)
{
	api_one(rq, "effect_by_id", http_request_param(rq, "id"), MISSING, false);
}

/* ---- one effect ---------------------------------------------------------------------------- */

struct standing {
	struct slice id, effect, lane, state;
	int64_t attempt, version;
	bool closed;
};

static void read_standing(struct action *c, struct json_value row, struct standing *ret)
{
	*ret = (struct standing){row_text(c, row, "id"), row_text(c, row, "effect"), row_text(c, row, "lane"),
	    row_text(c, row, "state"), row_i64(row, "attempt"), row_i64(row, "version"), row_bool(row, "closed")};
}

static bool find(struct action *c, struct standing *ret)
{
	struct action_param of = {"id", http_request_param(c->rq, "id"), 0};
	struct json_value row;
	int rc = action_row(c, "effect_to_change", &of, 1, &row);

	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 404, "not_found", MISSING, "没有这个外部操作");
	if (rc != 0)
		return action_fail_err(c, rc);
	read_standing(c, row, ret);
	return true;
}

#define ABOUT(s) .effect_id = (s)->id, .effect = (s)->effect, .lane = (s)->lane, .attempt = (s)->attempt

static void add(struct action_events *e, enum event_type type, const void *data, int64_t version)
{
	struct event_meta meta = action_meta(e->c);

	meta.expect = version;
	action_event(e, type, data, NULL, &meta);
}

static bool append(struct action_events *e)
{
	int rc = action_append(e);

	if (rc == ERR_CONFLICT)
		return action_fail(e->c, 409, "conflict", "It was changed meanwhile; look at it again.", "已被改动，请重新查看");
	return rc == 0 || action_fail_err(e->c, rc);
}

static void answer_state(struct action *c, const struct standing *s, const char *state)
{
	struct json_writer w = action_answer(c, 200);

	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	json_name(&w, "id");
	json_put_string(&w, s->id);
	json_name(&w, "state");
	json_put_str(&w, state);
	json_end_object(&w);
	json_end_object(&w);
}

static void add_redriven(struct action_events *e, const struct standing *s, int64_t ready_at_ms)
{
	struct event_effect_dead dead = {ABOUT(s), .reason = SLICE("PERSON")};
	struct event_effect_redriven redriven = {ABOUT(s), .ready_at_ms = ready_at_ms};
	int64_t version = s->version;

	if (slice_is(s->state, "UNKNOWN")) /* whoever asks for it takes it for not done */
		add(e, EVENT_EFFECT_DEAD, &dead, version++);
	add(e, EVENT_EFFECT_REDRIVEN, &redriven, version);
}

static void run_retry(struct action *c)
{
	struct action_events e = {.c = c};
	struct standing s;

	if (!find(c, &s))
		return;
	if (!slice_is(s.state, "DEAD") && !slice_is(s.state, "UNKNOWN")) {
		action_fail(c, 409, "conflict", "Only what was given up (DEAD), or is UNKNOWN, can be tried again.", "只有已放弃或结果未知的操作才能重试");
		return;
	}
	add_redriven(&e, &s, clock_wall_ms(c->app->clock));
	if (append(&e))
		answer_state(c, &s, "WANTED");
}

static void retry_one(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_retry);
}

static void run_drop(struct action *c)
{
	struct request_effect_reason body;
	struct action_events e = {.c = c};
	struct standing s;

	if (!action_read(c, &schema_request_effect_reason, &body) || !find(c, &s))
		return;
	if (slice_is(s.state, "DEAD") && !s.closed) {
		struct event_effect_closed closed = {ABOUT(&s), .reason = body.reason};

		add(&e, EVENT_EFFECT_CLOSED, &closed, s.version);
		if (append(&e))
			answer_state(c, &s, "DEAD");
	} else if (slice_is(s.state, "WANTED") || slice_is(s.state, "WAITING")) {
		struct event_effect_cancelled cancelled = {ABOUT(&s), .reason = SLICE("PERSON"), .note = body.reason};

		add(&e, EVENT_EFFECT_CANCELLED, &cancelled, s.version);
		if (append(&e))
			answer_state(c, &s, "CANCELLED");
	} else {
		action_fail(c, 409, "conflict", "It is under way or over: there is nothing to drop.", "该操作正在进行或已结束");
	}
}

static void drop_one(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_drop);
}

/* ---- many ------------------------------------------------------------------------------------ */

/* An append holds some of them; one that was changed meanwhile leaves its portion as it is, for the next time. */
static bool redrive(struct action *c, struct json_value rows, int64_t per_minute, int64_t *ret_n)
{
	struct json_reader r;
	struct json_value row;
	int64_t now_ms = clock_wall_ms(c->app->clock);
	bool more = true;

	json_enter(&r, rows);
	for (*ret_n = 0; more;) {
		struct action_events *e = arena_calloc(c->arena, 1, sizeof(*e));
		int64_t n = 0;
		int rc;

		if (e == NULL)
			return action_fail_err(c, ERR_NOMEM);
		e->c = c;
		while (e->n < ACTION_EVENTS_MAX && (more = json_next(&r, NULL, &row))) {
			struct standing s;

			read_standing(c, row, &s);
			add_redriven(e, &s, now_ms + (*ret_n + n) * MINUTE_MS / per_minute);
			n++;
		}
		rc = e->n == 0 ? 0 : action_append(e);
		if (rc != 0 && rc != ERR_CONFLICT)
			return action_fail_err(c, rc);
		*ret_n += rc == 0 ? n : 0;
	}
	return true;
}

static void run_retry_many(struct action *c)
{
	struct request_effects_retry body;
	struct action_param of[3];
	struct json_value rows;
	struct json_writer w;
	struct slice any = SLICE("");
	int64_t n;
	int rc;

	if (!action_read(c, &schema_request_effects_retry, &body))
		return;
	of[0] = (struct action_param){"lane", body.lane.ptr == NULL ? any : body.lane, 0};
	of[1] = (struct action_param){"effect", body.effect.ptr == NULL ? any : body.effect, 0};
	of[2] = (struct action_param){"reason", body.reason.ptr == NULL ? any : body.reason, 0};
	rc = action_rows(c, "effects_to_redrive", of, 3, &rows);
	if (rc != 0) {
		action_fail_err(c, rc);
		return;
	}
	if (!redrive(c, rows, body.per_minute, &n))
		return;
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	json_name(&w, "count");
	json_put_i64(&w, n);
	json_end_object(&w);
	json_end_object(&w);
}

static void retry_many(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_retry_many);
}

/* ---- lanes ------------------------------------------------------------------------------------- */

/* Why a lane is paused, by itself or with all others; NULL ptr: it is not. */
static struct slice pause_of(struct action *c, struct json_value pauses, const char *lane)
{
	struct json_reader r;
	struct json_value row;
	struct slice found = {0};

	json_enter(&r, pauses);
	while (json_next(&r, NULL, &row)) {
		struct slice name = row_text(c, row, "lane");

		if (slice_is(name, lane) || slice_is(name, "*"))
			found = row_text(c, row, "reason");
	}
	return found;
}

static void put_count(struct json_writer *w, const char *name, uint64_t n)
{
	json_name(w, name);
	json_put_u64(w, n);
}

static void put_lane(struct action *c, struct json_writer *w, const struct effect_lane_status *s, struct json_value pauses)
{
	struct slice pause = pause_of(c, pauses, s->lane->name);
	char when[TIME_TEXT_MS_LEN + 1];

	json_begin_object(w);
	json_name(w, "lane");
	json_put_str(w, s->lane->name);
	json_name(w, "paused");
	json_put_bool(w, pause.ptr != NULL);
	json_name(w, "reason");
	if (pause.ptr != NULL)
		json_put_string(w, pause);
	else
		json_put_null(w);
	json_name(w, "breaker");
	json_put_str(w, breaker_state_name(s->breaker));
	json_name(w, "host");
	json_put_str(w, s->host);
	put_count(w, "concurrency", s->lane->concurrency);
	put_count(w, "running", s->running);
	put_count(w, "waiting", s->waiting);
	put_count(w, "dead", s->dead);
	json_name(w, "oldestAt");
	if (s->oldest_ms != 0) {
		time_format_ms(when, s->oldest_ms);
		json_put_str(w, when);
	} else {
		json_put_null(w);
	}
	json_end_object(w);
}

static void run_lanes(struct action *c)
{
	struct effect_lane_status s;
	struct json_value pauses;
	struct json_writer w;
	int rc = action_rows(c, "lane_pauses", NULL, 0, &pauses);

	if (rc != 0) {
		action_fail_err(c, rc);
		return;
	}
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_array(&w);
	for (unsigned i = 0; effects_status(c->app->effects, i, &s); i++)
		put_lane(c, &w, &s, pauses);
	json_end_array(&w);
	json_end_object(&w);
}

static void list_lanes(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_lanes);
}

/* ---- under way ---------------------------------------------------------------------------------- */

#define UNDER_WAY_MAX 1024 /* more threads and batches than there are */

static void put_under_way(struct json_writer *w, const struct effect_under_way *u)
{
	char when[TIME_TEXT_MS_LEN + 1];

	json_begin_object(w);
	json_name(w, "id");
	json_put_str(w, u->id);
	json_name(w, "effect");
	json_put_str(w, u->effect);
	json_name(w, "lane");
	json_put_str(w, u->lane);
	put_count(w, "attempt", u->attempt);
	time_format_ms(when, u->since_ms);
	json_name(w, "startedAt");
	json_put_str(w, when);
	put_count(w, "doneBytes", u->done);
	json_name(w, "totalBytes");
	if (u->total > 0)
		json_put_u64(w, u->total);
	else
		json_put_null(w);
	json_end_object(w);
}

static void run_under_way(struct action *c)
{
	struct effect_under_way *all = arena_calloc(c->arena, UNDER_WAY_MAX, sizeof(*all));
	struct json_writer w;
	unsigned n;

	if (all == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	n = effects_under_way(c->app->effects, all, UNDER_WAY_MAX);
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_array(&w);
	for (unsigned i = 0; i < n; i++)
		put_under_way(&w, &all[i]);
	json_end_array(&w);
	json_end_object(&w);
}

static void list_under_way(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_under_way);
}

/* ---- holding a lane ------------------------------------------------------------------------------- */

/* Without adapters, as for a command on a stopped directory, nobody knows which lanes there are. */
static bool is_lane(struct action *c, struct slice name)
{
	struct effect_lane_status any;

	return effects_has_lane(c->app->effects, name) || !effects_status(c->app->effects, 0, &any) ||
	    action_fail(c, 404, "not_found", "There is no such lane; GET /api/v1/effects/lanes lists those there are.", "没有这个通道");
}

static void answer_lane(struct action *c, struct slice lane, bool paused)
{
	struct json_writer w = action_answer(c, 200);

	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	json_name(&w, "lane");
	json_put_string(&w, lane);
	json_name(&w, "paused");
	json_put_bool(&w, paused);
	json_end_object(&w);
	json_end_object(&w);
}

static void hold(struct action *c, struct slice lane)
{
	struct request_effect_reason body;
	struct event_lane_paused data = {.lane = lane};
	struct action_events e = {.c = c};

	if (!action_read(c, &schema_request_effect_reason, &body) || !is_lane(c, lane))
		return;
	data.reason = body.reason;
	action_event(&e, EVENT_LANE_PAUSED, &data, NULL, NULL);
	if (append(&e))
		answer_lane(c, data.lane, true);
}

static void run_pause(struct action *c)
{
	hold(c, http_request_param(c->rq, "lane"));
}

static void run_pause_all(struct action *c)
{
	hold(c, SLICE("*"));
}

static void pause_lane(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_pause);
}

static void pause_all(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_pause_all);
}

static void let_go(struct action *c, struct slice lane)
{
	struct event_lane_resumed data = {.lane = lane};
	struct action_events e = {.c = c};

	if (!is_lane(c, lane))
		return;
	action_event(&e, EVENT_LANE_RESUMED, &data, NULL, NULL);
	if (append(&e))
		answer_lane(c, data.lane, false);
}

static void run_resume(struct action *c)
{
	let_go(c, http_request_param(c->rq, "lane"));
}

static void run_resume_all(struct action *c)
{
	let_go(c, SLICE("*"));
}

static void resume_lane(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_resume);
}

static void resume_all(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_resume_all);
}

static const struct api_list_doc effects_doc = {"effects", NULL};

#define MANAGE "effects:manage"

const struct route api_effects_routes[] = {
	{HTTP_GET, "/api/v1/effects", list_effects, "effects:read", .answer = "EffectList", .tag = "effects",
	    .summary = "What is owed to the world, and what became of it", .extra = &effects_doc},
	{HTTP_GET, "/api/v1/effects/lanes", list_lanes, "effects:read", .answer = "object", .tag = "effects",
	    .flags = ROUTE_NO_ETAG, .summary = "How each lane stands"},
	{HTTP_GET, "/api/v1/effects/running", list_under_way, "effects:read", .answer = "object", .tag = "effects",
	    .flags = ROUTE_NO_ETAG, .summary = "What is being tried at the moment, and how far it has come"},
	{HTTP_GET, "/api/v1/effects/{id}", get_effect, "effects:read", .answer = "Effect", .tag = "effects",
	    .summary = "One effect, with its attempts"},
	{HTTP_POST, "/api/v1/effects/retry", retry_many, MANAGE, .request = &schema_request_effects_retry,
	    .answer = "object", .tag = "effects", .summary = "Try all dead effects again that match, at most 1,000 at a time"},
	{HTTP_POST, "/api/v1/effects/pause", pause_all, MANAGE, .request = &schema_request_effect_reason,
	    .answer = "object", .tag = "effects", .summary = "Hold every lane"},
	{HTTP_POST, "/api/v1/effects/resume", resume_all, MANAGE, .answer = "object", .tag = "effects",
	    .summary = "Take that back; lanes that were paused by themselves stay so"},
	{HTTP_POST, "/api/v1/effects/lanes/{lane}/pause", pause_lane, MANAGE, .request = &schema_request_effect_reason,
	    .answer = "object", .tag = "effects", .summary = "Hold a lane: what runs ends, nothing more is tried"},
	{HTTP_POST, "/api/v1/effects/lanes/{lane}/resume", resume_lane, MANAGE, .answer = "object", .tag = "effects",
	    .summary = "Let a paused lane go on"},
	{HTTP_POST, "/api/v1/effects/{id}/retry", retry_one, MANAGE, .answer = "object", .tag = "effects",
	    .summary = "Try a dead effect again, with the same id"},
	{HTTP_POST, "/api/v1/effects/{id}/drop", drop_one, MANAGE, .request = &schema_request_effect_reason,
	    .answer = "object", .tag = "effects", .summary = "Let a dead effect be, or cancel one that waits"},
	{0},
};
