/* See effect_replay.h. */
#include "store/effect_replay.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/err.h"
#include "events.gen.h"
#include "store/projection_fold.h"
#include "store/projector.h"

#define PATH_BYTES_MAX 4096
#define WORDS_BYTES_MAX 180
#define HANDLERS_MAX 512

struct effect_replay {
	struct projection model; /* effects, but for what it makes of switches */
	struct projection_handler handlers[HANDLERS_MAX];
	struct buf path;
	struct sqlite3 *db; /* beside the fold's own connection */
	sqlite3_stmt *rows;
};

/* ---- places ------------------------------------------------------------------------- */

uint64_t effect_replay_beginning(struct eventlog *log)
{
	return eventlog_n_before(log) > 0 ? LOG_PLACE(1, 0) : 0;
}

static unsigned rank(uint64_t place)
{
	unsigned n = LOG_PLACE_LOG(place);

	return n == 0 ? UINT32_MAX : n;
}

bool effect_replay_is_before(uint64_t a, uint64_t b)
{
	return rank(a) != rank(b) ? rank(a) < rank(b) : a < b;
}

static int time_of(struct eventlog *log, uint64_t place, int64_t *ret_us)
{
	struct log_read read = {0};
	struct log_record record;
	int rc = log_read_start(&read, log);

	if (rc == 0)
		rc = eventlog_read_one(&read, place, &record);
	if (rc == 0)
		*ret_us = record.time_us;
	log_read_stop(&read);
	return rc;
}

/* In the n-th log, whose size it is when all in it came before. Times of a log never go back. */
static int search(struct eventlog *log, unsigned n, int64_t time_us, uint64_t *ret_position)
{
	uint64_t low = 0, high = eventlog_size(eventlog_before(log, n)), middle;
	int64_t us;
	int rc = 0;

	while (rc == 0 && low < high) {
		middle = low + (high - low) / 2;
		rc = time_of(log, LOG_PLACE(n, middle), &us);
		if (rc == 0 && us < time_us)
			low = middle + 1;
		else if (rc == 0)
			high = middle;
	}
	*ret_position = low;
	return rc;
}

int effect_replay_at(struct eventlog *log, int64_t time_us, uint64_t *ret_place)
{
	uint64_t position;
	int rc;

	for (unsigned n = 1; n <= eventlog_n_before(log); n++) {
		rc = search(log, n, time_us, &position);
		*ret_place = LOG_PLACE(n, position);
		if (rc != 0 || position < eventlog_size(eventlog_before(log, n)))
			return rc;
	}
	return search(log, 0, time_us, ret_place);
}

/* A fold that is at the end of one log is not at the beginning of the next yet, and one that is new is at none. */
static uint64_t as_folded(struct eventlog *log, uint64_t place)
{
	unsigned n = eventlog_n_before(log);

	return place == 0 && n > 0 ? LOG_PLACE(n, eventlog_size(eventlog_before(log, n))) : place;
}

/* ---- the file ------------------------------------------------------------------------- */

static void make_model(struct effect_replay *r)
{
	const struct projection *effects = projection_find("effects");

	assert(effects->n_handlers <= HANDLERS_MAX);
	r->model = *effects;
	r->model.handlers = r->handlers;
	r->model.n_handlers = 0;
	for (unsigned i = 0; i < effects->n_handlers; i++) {
		uint16_t type = effects->handlers[i].type;

		if (type != EVENT_EFFECT_ENABLED && type != EVENT_EFFECT_DISABLED && type != EVENT_EFFECT_REPLAYED)
			r->handlers[r->model.n_handlers++] = effects->handlers[i];
	}
}

static int run(struct effect_replay *r, const char *sql, struct slice effect)
{
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(r->db, sql, -1, &stmt, NULL);

	if (code == SQLITE_OK && effect.ptr != NULL)
		code = sqlite3_bind_text(stmt, 1, effect.ptr, (int)effect.len, SQLITE_STATIC);
	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	sqlite3_finalize(stmt);
	return projection_sqlite_err(code);
}

static int switch_off(struct effect_replay *r)
{
	return run(r, "delete from effect_switches", (struct slice){0});
}

static int switch_on(struct effect_replay *r, struct slice effect)
{
	return run(r, "insert into effect_switches (effect, enabled, since) values (?1, 1, 0)", effect);
}

static int fold_to(struct fold *f, uint64_t until, const _Atomic bool *stopping)
{
	uint64_t applied = 1;
	int rc = 0;

	until = as_folded(f->log, until);
	while (rc == 0 && applied > 0 && !atomic_load(stopping)) {
		buf_clear(f->problem);
		rc = fold_batch(f, until, &applied);
	}
	return rc == 0 && applied > 0 ? ERR_CANCELLED : rc;
}

static int fold_range(struct effect_replay *r, const struct effect_replay_options *o, struct fold *f)
{
	int rc = projection_file_open(&f->file, &r->model, r->path.ptr, f->problem);

	if (rc == 0)
		rc = projection_sqlite_err(projection_connect(&r->db, r->path.ptr, SQLITE_OPEN_READWRITE));
	if (rc == 0)
		rc = switch_off(r);
	if (rc == 0)
		rc = fold_to(f, o->from, o->stopping);
	if (rc == 0)
		rc = switch_on(r, o->effect);
	if (rc == 0)
		rc = fold_to(f, o->until, o->stopping);
	return rc;
}

static int fold_all(struct effect_replay *r, const struct effect_replay_options *o, struct buf *problem)
{
	const struct projection *const models[] = {&r->model, NULL};
	struct buf words = BUF_INIT(WORDS_BYTES_MAX);
	struct fold fold = {.model = &r->model, .log = o->log, .sealer = o->sealer, .problem = &words};
	struct event_feed *feed = NULL;
	int rc = event_feed_open(&feed, &(struct event_feed_options){.log = o->log, .sealer = o->sealer, .models = models,
	    .yields = true});

	feed_reader_init(&fold.reader, feed, &r->model);
	if (rc == 0)
		rc = fold_range(r, o, &fold);
	buf_append(problem, buf_slice(&words));
	projection_file_close(fold.file);
	feed_reader_finish(&fold.reader);
	fold_finish(&fold);
	event_feed_close(feed);
	buf_finish(&words);
	return rc;
}

static int select_rows(struct effect_replay *r, int64_t now_ms)
{
	int code = sqlite3_prepare_v2(r->db, query_find("effects_to_replay")->sql, -1, &r->rows, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(r->rows, 1, now_ms); /* its one parameter */
	return projection_sqlite_err(code);
}

static int path_of(struct buf *out, const char *dir)
{
	int rc = projection_path(out, dir, projection_find("effects"));

	return rc == 0 ? buf_append_str(out, ".replay") : rc;
}

void effect_replay_clear(const char *dir)
{
	struct buf path = BUF_INIT(PATH_BYTES_MAX);

	if (path_of(&path, dir) == 0)
		projection_file_remove(path.ptr);
	buf_finish(&path);
}

int effect_replay_open(struct effect_replay **ret, const struct effect_replay_options *options, struct buf *problem)
{
	struct effect_replay *r = calloc(1, sizeof(*r));
	int rc;

	if (r == NULL)
		return ERR_NOMEM;
	r->path = (struct buf)BUF_INIT(PATH_BYTES_MAX);
	make_model(r);
	rc = path_of(&r->path, options->dir);
	if (rc == 0)
		rc = fold_all(r, options, problem);
	if (rc == 0)
		rc = select_rows(r, options->now_ms);
	if (rc == 0)
		*ret = r;
	else
		effect_replay_close(r);
	return rc;
}

void effect_replay_close(struct effect_replay *r)
{
	if (r == NULL)
		return;
	sqlite3_finalize(r->rows);
	sqlite3_close(r->db);
	if (r->path.rc == 0 && r->path.len > 0)
		projection_file_remove(r->path.ptr);
	buf_finish(&r->path);
	free(r);
}

/* ---- what it says ------------------------------------------------------------------------ */

static struct slice text(sqlite3_stmt *stmt, int column)
{
	const char *p = (const char *)sqlite3_column_text(stmt, column);

	return p == NULL ? SLICE("") : slice_of(p, (size_t)sqlite3_column_bytes(stmt, column));
}

int effect_replay_next(struct effect_replay *r, struct effect_wish *ret)
{
	enum { ID, LANE, KEY, CAUSE, CAUSE_TYPE, CAUSE_STREAM, PRIORITY, READY_AT, NOT_AFTER, EXPIRED };
	int code = sqlite3_step(r->rows);

	if (code != SQLITE_ROW)
		return code == SQLITE_DONE ? ERR_END : projection_sqlite_err(code);
	*ret = (struct effect_wish){.id = text(r->rows, ID), .lane = text(r->rows, LANE), .key = text(r->rows, KEY),
	    .cause_type = text(r->rows, CAUSE_TYPE), .cause_stream = text(r->rows, CAUSE_STREAM),
	    .cause = (uint64_t)sqlite3_column_int64(r->rows, CAUSE), .priority = sqlite3_column_int64(r->rows, PRIORITY),
	    .ready_at_ms = sqlite3_column_int64(r->rows, READY_AT), .not_after_ms = sqlite3_column_int64(r->rows, NOT_AFTER),
	    .has_not_after = sqlite3_column_type(r->rows, NOT_AFTER) != SQLITE_NULL,
	    .expired = sqlite3_column_int(r->rows, EXPIRED) != 0};
	return 0;
}
