/* What the read model `effects` says, for the dispatcher: which rows may be tried, which lanes are paused. */
#include "store/effect_private.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "base/json.h"
#include "base/log.h"

#define WAIT_MS 1000
#define ALARM_PAUSE_MS 900000

int rows_query(struct effects *e, struct query *q, const char *name, uint64_t needed)
{
	q->def = query_find(name);
	q->wait_ms = WAIT_MS;
	q->has_min_position = needed > 0;
	q->min_position = needed - 1;
	if (query_run(e->queries, q) != 0)
		return q->rc;
	/* The file of an older version knows other rows; its successor is on its way. */
	return q->stale ? ERR_UNAVAILABLE : 0;
}

static void put_int(struct query *q, const char *name, int64_t value)
{
	q->params[q->n_params++] = (struct query_param){.name = name, .integer = value, .is_integer = true};
}

static void put_text(struct query *q, const char *name, const char *value)
{
	q->params[q->n_params++] = (struct query_param){.name = name, .text = slice_str(value)};
}

static enum row_state state_of(struct slice name)
{
	if (slice_is(name, "TRYING"))
		return ROW_TRYING;
	if (slice_is(name, "UNKNOWN"))
		return ROW_UNKNOWN;
	return slice_is(name, "WAITING") ? ROW_WAITING : ROW_WANTED;
}

static void read_row(const struct effects *e, struct json_value v, struct arena *arena, struct effect_row *ret)
{
	struct slice id = json_member_text(v, "id", arena), key = json_member_text(v, "key", arena);

	*ret = (struct effect_row){.entry = effects_entry(e, json_member_text(v, "effect", arena)),
	    .state = state_of(json_member_text(v, "state", arena)), .cause = (uint64_t)json_member_i64(v, "cause", 0),
	    .attempt = (unsigned)json_member_i64(v, "attempt", 0), .tries = (unsigned)json_member_i64(v, "tries", 0),
	    .ends = (unsigned)json_member_i64(v, "ends", 0), .version = (uint64_t)json_member_i64(v, "version", 0),
	    .ready_at_ms = json_member_i64(v, "readyAt", 0), .not_after_ms = json_member_i64(v, "notAfter", 0),
	    .asked_at_ms = json_member_i64(v, "askedAt", 0), .repetition = json_member_i64(v, "repetition", 0) != 0};
	if (key.len <= EFFECT_KEY_MAX)
		snprintf(ret->key, sizeof(ret->key), "%.*s", SLICE_ARG(key));
	if (id.len == ID_TEXT_LEN)
		snprintf(ret->id, sizeof(ret->id), "%.*s", SLICE_ARG(id));
	else
		ret->entry = NULL;
}

static int next_ready(struct effects *e, struct lane *lane, int64_t now_ms, int64_t behind_ms)
{
	struct query q = {0};
	struct json_value row;
	struct json_reader r;
	int rc;

	put_text(&q, "lane", lane->decl->name);
	put_int(&q, "now", now_ms);
	put_int(&q, "behind", behind_ms);
	rc = rows_query(e, &q, "effects_next", e->bar);
	if (rc == 0) {
		json_enter(&r, json_root(buf_slice(&q.out)));
		if (json_next(&r, NULL, &row))
			lane->next_ready_ms = json_member_i64(row, "readyAt", 0);
	}
	query_finish(&q);
	return rc;
}

int rows_ready(struct effects *e, struct lane *lane, uint64_t needed)
{
	int64_t now_ms = clock_wall_ms(e->clock), behind_ms = effects_behind_ms(e);
	struct arena arena = ARENA_INIT(4 << 20);
	struct query q = {0};
	struct json_value v;
	struct json_reader r;
	unsigned n = 0;
	int rc;

	put_text(&q, "lane", lane->decl->name);
	put_int(&q, "now", now_ms);
	put_int(&q, "behind", behind_ms);
	rc = rows_query(e, &q, "effects_ready", needed);
	if (rc == 0) {
		flights_forget(&lane->flights, q.position);
		lane->read_position = q.position;
		lane->read_rows = q.rows_position;
		lane->read_generation = q.generation;
		lane->read_ms = mono_ms(e);
		lane->read_behind_ms = behind_ms;
		lane->was_read = true;
		lane->n_ready = lane->next = 0;
		json_enter(&r, json_root(buf_slice(&q.out)));
		for (; json_next(&r, NULL, &v) && n < READY_MAX; n++) {
			struct effect_row *row = &lane->ready[lane->n_ready];

			read_row(e, v, &arena, row);
			lane->n_ready += row->entry != NULL && row->entry->enabled && !flights_has(&lane->flights, row->id);
		}
		lane->more = n == READY_MAX;
	}
	query_finish(&q);
	arena_finish(&arena);
	lane->next_ready_ms = 0;
	/* With more at hand than it could give it will be asked again soon. */
	return rc == 0 && !lane->more ? next_ready(e, lane, now_ms, behind_ms) : rc;
}

int rows_trying(struct effects *e, struct effect_row *rows, unsigned max, unsigned *ret_n)
{
	struct arena arena = ARENA_INIT(4 << 20);
	struct query q = {0};
	struct json_value v;
	struct json_reader r;
	int rc = rows_query(e, &q, "effects_trying", e->needed);

	*ret_n = 0;
	if (rc == 0) {
		json_enter(&r, json_root(buf_slice(&q.out)));
		while (*ret_n < max && json_next(&r, NULL, &v)) {
			read_row(e, v, &arena, &rows[*ret_n]);
			*ret_n += rows[*ret_n].entry != NULL;
		}
	}
	query_finish(&q);
	arena_finish(&arena);
	return rc;
}

/* ---- lanes ------------------------------------------------------------------------------- */

static struct lane *lane_of(struct effects *e, struct slice name)
{
	for (unsigned i = 0; i < e->n_lanes; i++)
		if (slice_is(name, e->lanes[i]->decl->name))
			return e->lanes[i];
	return NULL;
}

static void note_pauses(struct effects *e, struct json_value rows, struct arena *arena)
{
	bool paused[LANES_MAX] = {false}, all = false;
	struct json_value row;
	struct json_reader r;

	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		struct slice name = json_member_text(row, "lane", arena);

		all = all || slice_is(name, "*");
		for (unsigned i = 0; i < e->n_lanes; i++)
			paused[i] = paused[i] || slice_is(name, e->lanes[i]->decl->name);
	}
	for (unsigned i = 0; i < e->n_lanes; i++) {
		pthread_mutex_lock(&e->lanes[i]->lock);
		e->lanes[i]->status.paused = all || paused[i];
		pthread_mutex_unlock(&e->lanes[i]->lock);
	}
}

static void note_breakers(struct effects *e, struct json_value rows, struct arena *arena)
{
	struct json_value row;
	struct json_reader r;

	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		struct lane *lane = lane_of(e, json_member_text(row, "lane", arena));
		struct slice host = json_member_text(row, "host", arena);
		int64_t left_ms = json_member_i64(row, "until", 0) - clock_wall_ms(e->clock);

		if (lane == NULL)
			continue;
		left_ms = left_ms < BREAKER_MAX_MS ? left_ms : BREAKER_MAX_MS; /* a wall clock may have been put back */
		pthread_mutex_lock(&lane->lock);
		for (unsigned i = 0; i < lane->n_hosts; i++)
			if (slice_is(host, lane->hosts[i].name))
				breaker_restore(&lane->hosts[i].breaker, mono_ms(e) + (left_ms > 0 ? left_ms : 0));
		pthread_mutex_unlock(&lane->lock);
	}
}

static int read_lanes(struct effects *e, const char *query,
    void (*note)(struct effects *e, struct json_value rows, struct arena *arena))
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct query q = {0};
	int rc = rows_query(e, &q, query, e->needed);

	if (rc == 0)
		note(e, json_root(buf_slice(&q.out)), &arena);
	query_finish(&q);
	arena_finish(&arena);
	return rc;
}

int rows_lanes(struct effects *e, bool with_breakers)
{
	int rc = read_lanes(e, "lane_pauses", note_pauses);

	return rc == 0 && with_breakers ? read_lanes(e, "breakers", note_breakers) : rc;
}

static void note_open(struct effects *e, struct json_value rows, struct arena *arena)
{
	struct json_value row;
	struct json_reader r;

	for (unsigned i = 0; i < e->n_lanes; i++) {
		pthread_mutex_lock(&e->lanes[i]->lock);
		e->lanes[i]->status.waiting = 0;
		e->lanes[i]->status.oldest_ms = 0;
		pthread_mutex_unlock(&e->lanes[i]->lock);
	}
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		struct lane *lane = lane_of(e, json_member_text(row, "lane", arena));

		if (lane == NULL)
			continue;
		pthread_mutex_lock(&lane->lock);
		lane->status.waiting = (uint64_t)(json_member_i64(row, "open", 0) - json_member_i64(row, "trying", 0));
		lane->status.oldest_ms = json_member_i64(row, "oldest", 0);
		pthread_mutex_unlock(&lane->lock);
	}
}

/* integrity.md 16: at the first one, and while there are more and more. */
static void tell_operator(struct effects *e, struct lane *lane, uint64_t dead)
{
	char n[24];

	if (dead == 0)
		lane->alarmed_ms = 0;
	if (dead <= lane->status.dead || (lane->alarmed_ms != 0 && mono_ms(e) - lane->alarmed_ms < ALARM_PAUSE_MS))
		return;
	lane->alarmed_ms = mono_ms(e);
	snprintf(n, sizeof(n), "%" PRIu64, dead);
	log_error("effects", "effects were given up and wait for a person; lulab effects list --state DEAD shows them", "lane",
	    lane->decl->name, "dead", n);
}

static void note_dead(struct effects *e, struct json_value rows, struct arena *arena)
{
	uint64_t dead[LANES_MAX] = {0};
	struct json_value row;
	struct json_reader r;

	json_enter(&r, rows);
	while (json_next(&r, NULL, &row))
		for (unsigned i = 0; i < e->n_lanes; i++)
			if (slice_is(json_member_text(row, "lane", arena), e->lanes[i]->decl->name))
				dead[i] = (uint64_t)json_member_i64(row, "dead", 0);
	for (unsigned i = 0; i < e->n_lanes; i++) {
		tell_operator(e, e->lanes[i], dead[i]);
		pthread_mutex_lock(&e->lanes[i]->lock);
		e->lanes[i]->status.dead = dead[i];
		pthread_mutex_unlock(&e->lanes[i]->lock);
	}
}

int rows_counts(struct effects *e)
{
	int rc = read_lanes(e, "lane_counts", note_open);

	return rc == 0 ? read_lanes(e, "dead_counts", note_dead) : rc;
}
