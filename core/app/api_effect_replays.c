/*
 * Effects of the past: an effect that was switched on late owes nothing for what came before, unless a person asks
 * (design.md 8). What history would have wanted is computed by the read model itself (store/effect_replay.h); of that, what
 * has no row yet becomes events, a portion at a time, which make the rows.
 *
 *     wishes of the range --> not known --> effect.replayed
 *
 * Asked for twice, or again after it was broken off, nothing is wanted twice: each has its once key.
 */
#include "app/action.h"
#include "app/api.h"
#include "base/err.h"
#include "base/log.h"
#include "requests.gen.h"
#include "store/effect.h"
#include "store/effect_replay.h"

#define PORTION 256
#define PORTION_BYTES_MAX (8u << 20)
#define PROBLEM_BYTES_MAX 256
#define KNOWN_WAIT_MS 10000
#define ONCE_SOURCE "effect-replay"

struct replay {
	struct action *c;
	struct request_effects_replay body;
	uint64_t from, until;
	struct effect_replay *history;
	struct arena arena; /* of the portion at hand */
	struct effect_wish wishes[PORTION];
	bool known[PORTION];
	size_t n;
	uint64_t n_found, n_known, n_expired, n_new;
};

/* ---- what is asked for ------------------------------------------------------------------------ */

static bool fail_field(struct action *c, const char *member, const char *en, const char *zh)
{
	problems_add(&c->problems, action_made(c, arena_printf(c->arena, "/%s", member)), "invalid", "%s", en);
	return action_fail(c, 400, "invalid", action_made(c, arena_printf(c->arena, "%s: %s", member, en)),
	    action_made(c, arena_printf(c->arena, "%s: %s", member, zh)));
}

static bool fail_off(struct action *c, const char *why)
{
	return action_fail_said(c, 409, "effect_off", (struct said){
	    arena_printf(c->arena, "The effect is switched off, so nothing of it would be tried: %s", why),
	    arena_printf(c->arena, "该外部操作未启用：%s", why)});
}

/* Whether it would be tried. Without adapters, as for a command on a stopped directory, the log alone says what is switched on. */
static bool is_on(struct action *c, struct slice effect)
{
	struct action_param of = {"effect", effect, 0};
	struct effect_lane_status any;
	const struct effect_entry *entry = effects_entry(c->app->effects, effect);
	struct json_value row;
	int rc;

	if (entry != NULL)
		return entry->enabled || fail_off(c, entry->why_not);
	rc = effects_status(c->app->effects, 0, &any) ? ERR_NOT_FOUND : action_row(c, "effect_switch", &of, 1, &row);
	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 404, "not_found", "There is no effect of this name.", "没有这种外部操作");
	if (rc != 0)
		return action_fail_err(c, rc);
	return row_bool(row, "enabled") || fail_off(c, "the service that ran last had it switched off.");
}

/* One end of the range into *ret, which holds what it is when it is not given. */
static bool read_end(struct action *c, const char *member, bool has_place, int64_t place, const char *time_member,
    struct slice time, uint64_t *ret)
{
	struct eventlog *log = c->app->log, *of;
	int64_t us;
	int rc = 0;

	if (has_place && time.len > 0)
		return fail_field(c, time_member, "and a position exclude each other.", "不能与位置同时使用");
	if (time.len > 0) {
		if (time_parse_us(time, &us) != 0)
			return fail_field(c, time_member, "is no instant, as 2027-01-31T00:00:00Z.", "不是有效的时间");
		rc = effect_replay_at(log, us, ret);
	} else if (has_place) {
		of = eventlog_before(log, LOG_PLACE_LOG(place));
		if (of == NULL)
			return fail_field(c, member, "is in no log.", "不在任何日志中");
		*ret = (uint64_t)place;
		if (LOG_PLACE_POSITION(*ret) > eventlog_size(of))
			*ret = LOG_PLACE(LOG_PLACE_LOG(*ret), eventlog_size(of));
	}
	return rc == 0 || action_fail_err(c, rc);
}

static bool read_range(struct replay *r)
{
	struct action *c = r->c;
	struct request_effects_replay *body = &r->body;

	r->from = effect_replay_beginning(c->app->log);
	r->until = eventlog_size(c->app->log);
	if (!read_end(c, "from", body->has_from, body->from, "fromTime", body->from_time, &r->from) ||
	    !read_end(c, "to", body->has_to, body->to, "toTime", body->to_time, &r->until))
		return false;
	if (effect_replay_is_before(r->until, r->from))
		return fail_field(c, "to", "is before the beginning.", "早于起点");
	return true;
}

/* ---- a portion ------------------------------------------------------------------------------------ */

static struct slice keep(struct replay *r, struct slice text, int *rc)
{
	struct slice copy = arena_dup(&r->arena, text);

	if (copy.ptr == NULL && text.len > 0)
		*rc = ERR_NOMEM;
	return copy;
}

/* Fills r->wishes; ERR_END when there are no more. */
static int gather(struct replay *r)
{
	int rc = 0;

	arena_reset(&r->arena);
	for (r->n = 0; rc == 0 && r->n < PORTION;) {
		struct effect_wish *w = &r->wishes[r->n];

		rc = effect_replay_next(r->history, w);
		if (rc != 0)
			break;
		r->n_found++;
		r->n_expired += w->expired;
		if (w->expired)
			continue;
		w->id = keep(r, w->id, &rc);
		w->lane = keep(r, w->lane, &rc);
		w->key = keep(r, w->key, &rc);
		w->cause_type = keep(r, w->cause_type, &rc);
		w->cause_stream = keep(r, w->cause_stream, &rc);
		r->n++;
	}
	return rc;
}

static struct slice ids_of(struct replay *r)
{
	struct buf ids = BUF_INIT(PORTION_BYTES_MAX);
	struct json_writer w = JSON_WRITER(&ids);
	struct slice text;

	json_begin_array(&w);
	for (size_t i = 0; i < r->n; i++)
		json_put_string(&w, r->wishes[i].id);
	json_end_array(&w);
	text = ids.rc == 0 ? arena_dup(&r->arena, buf_slice(&ids)) : (struct slice){0};
	buf_finish(&ids);
	return text;
}

/* Both are in the order of the wishes. */
static void mark(struct replay *r, struct slice rows)
{
	struct json_reader reader;
	struct json_value row, id;
	struct slice text;
	size_t i = 0;

	json_enter(&reader, json_root(rows));
	while (json_next(&reader, NULL, &row)) {
		if (!json_member(row, "id", &id) || json_string(id, &r->arena, &text) != 0)
			continue;
		while (i < r->n && !slice_eq(r->wishes[i].id, text))
			i++;
		if (i < r->n)
			r->known[i] = true;
	}
}

/* Which of them have a row. */
static int find_known(struct replay *r)
{
	struct app *app = r->c->app;
	uint64_t size = eventlog_size(app->log);
	struct query q = {.def = query_find("effects_known"), .n_params = 1, .has_min_position = size > 0,
	    .min_position = size - 1, .wait_ms = KNOWN_WAIT_MS};
	int rc;

	memset(r->known, 0, sizeof(r->known));
	q.params[0] = (struct query_param){.name = "ids", .text = ids_of(r)};
	rc = q.params[0].text.ptr == NULL ? ERR_NOMEM : query_run(app->queries, &q);
	if (rc == 0)
		mark(r, buf_slice(&q.out));
	query_finish(&q);
	return rc;
}

static int make_draft(struct replay *r, const struct effect_wish *w, struct event_draft *ret)
{
	struct event_effect_replayed data = {.effect_id = w->id, .effect = r->body.effect, .lane = w->lane, .key = w->key,
	    .cause = (int64_t)w->cause, .cause_type = w->cause_type, .cause_stream = w->cause_stream, .priority = w->priority,
	    .ready_at_ms = w->ready_at_ms, .not_after_ms = w->not_after_ms, .has_not_after_ms = w->has_not_after};
	struct event_context ctx = {r->c->app->rng, r->c->app->clock, NULL};
	struct event_meta meta = action_meta(r->c);

	meta.has_once = true;
	event_once_key(meta.once, SLICE(ONCE_SOURCE), w->id);
	return event_draft_make(&ctx, EVENT_EFFECT_REPLAYED, &data, &meta, &r->arena, ret, NULL);
}

static int append_unknown(struct replay *r)
{
	struct event_draft *drafts = arena_calloc(&r->arena, PORTION, sizeof(*drafts));
	struct append append = {.events = drafts};
	int rc = drafts == NULL ? ERR_NOMEM : 0;

	for (size_t i = 0; rc == 0 && i < r->n; i++)
		if (!r->known[i])
			rc = make_draft(r, &r->wishes[i], &drafts[append.n_events++]);
	if (rc != 0 || append.n_events == 0)
		return rc;
	rc = eventlog_append_wait(r->c->app->log, &append);
	if (rc == 0) {
		r->n_new += append.n_appended;
		r->n_known += append.n_events - append.n_appended;
		r->c->has_position = true;
		r->c->position = append.position + append.n_appended - 1;
	}
	return rc;
}

static int take_portion(struct replay *r)
{
	int rc = find_known(r);
	size_t n_unknown = 0;

	for (size_t i = 0; i < r->n; i++)
		n_unknown += !r->known[i];
	r->n_known += r->n - n_unknown;
	if (rc == 0 && !r->body.dry_run)
		return append_unknown(r);
	r->n_new += n_unknown;
	return rc;
}

/* ---- all of it -------------------------------------------------------------------------------------- */

static int take_all(struct replay *r)
{
	bool more = true;
	int rc = 0;

	while (rc == 0 && more) {
		rc = gather(r);
		more = rc != ERR_END;
		if (rc == 0 || rc == ERR_END)
			rc = r->n == 0 ? 0 : take_portion(r);
		if (rc == 0 && more && atomic_load(&r->c->app->stopping))
			rc = ERR_CANCELLED;
	}
	return rc;
}

static int replay_range(struct replay *r)
{
	struct app *app = r->c->app;
	struct buf problem = BUF_INIT(PROBLEM_BYTES_MAX);
	struct effect_replay_options o = {.log = app->log, .sealer = app->sealer, .dir = app->data_dir,
	    .effect = r->body.effect, .from = r->from, .until = r->until, .now_ms = clock_wall_ms(app->clock),
	    .stopping = &app->stopping};
	int rc = effect_replay_open(&r->history, &o, &problem);

	if (rc == 0)
		rc = take_all(r);
	if (rc != 0)
		log_warn("effects", "a replay came to no end; asked for again, it goes on", "effect",
		    arena_printf(r->c->arena, "%.*s", SLICE_ARG(r->body.effect)), "error", err_name(rc), "problem",
		    arena_printf(r->c->arena, "%.*s", SLICE_ARG(buf_slice(&problem))));
	effect_replay_close(r->history);
	arena_finish(&r->arena);
	buf_finish(&problem);
	return rc == ERR_CANCELLED ? ERR_UNAVAILABLE : rc;
}

static void put_u64(struct json_writer *w, const char *name, uint64_t n)
{
	json_name(w, name);
	json_put_u64(w, n);
}

static void answer(const struct replay *r)
{
	struct json_writer w = action_answer(r->c, 200);

	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	json_name(&w, "effect");
	json_put_string(&w, r->body.effect);
	put_u64(&w, "from", r->from);
	put_u64(&w, "to", r->until);
	json_name(&w, "dryRun");
	json_put_bool(&w, r->body.dry_run);
	put_u64(&w, "found", r->n_found);
	put_u64(&w, "expired", r->n_expired);
	put_u64(&w, "known", r->n_known);
	put_u64(&w, "count", r->n_new);
	json_end_object(&w);
	json_end_object(&w);
}

static void fail_replaying(struct action *c)
{
	action_fail(c, 409, "conflict", "Another replay is under way; ask again when it is over.", "另一个重放正在进行");
}

/* One at a time: each has the file to itself, and reads all of the log. */
static void run_all(struct action *c)
{
	struct replay *r = c->state;
	int rc;

	if (atomic_exchange(&c->app->replaying, true)) {
		fail_replaying(c);
		return;
	}
	rc = replay_range(r);
	atomic_store(&c->app->replaying, false);
	if (action_ok(c, rc))
		answer(r);
}

static void run_replay(struct action *c)
{
	struct replay *r = arena_calloc(c->arena, 1, sizeof(*r));

	if (r == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	r->c = c;
	r->arena = (struct arena)ARENA_INIT(PORTION_BYTES_MAX);
	if (!action_read(c, &schema_request_effects_replay, &r->body) || !is_on(c, r->body.effect) || !read_range(r))
		return;
	if (atomic_load(&c->app->replaying)) {
		fail_replaying(c);
		return;
	}
	c->state = r;
	action_then(c, ACTION_LONG, run_all);
}

static void start_replay(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_replay);
}

const struct route api_effect_replays_routes[] = {
	{HTTP_POST, "/api/v1/effects/replays", start_replay, "effects:manage", .request = &schema_request_effects_replay,
	    .answer = "object", .tag = "effects",
	    .summary = "Want of events before what an effect is for that was switched on later, or count it"},
	{0},
};
