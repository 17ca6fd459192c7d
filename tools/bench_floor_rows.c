/*
 * The writer tells the numbers of webhooks in the order of the log; they stay, in chunks, until the end, so that each
 * model's thread reads them at its own pace without a lock: what lies before `n_told` does not change any more.
 */
#include "bench_floor_rows.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/thread.h"
#include "bench_floor_models.h"
#include "bench_sqlite.h"
#include "bench_webhook.h"
#include "store/projection_file.h"
#include "store/projection_fold.h"

#define PACE_US 20000 /* as the projector's */
#define CHUNK ((size_t)1 << 14)
#define CHUNKS 4096
#define PATH_LEN_MAX 4096

struct told {
	uint64_t number;
	int64_t stored_us;
};

struct model {
	const struct floor_model *def;
	struct floor_rows *rows;
	pthread_t thread;
	bool started;
	struct floor_upserts upserts;
	sqlite3_stmt *begin, *save, *commit;
	uint64_t numbers[FOLD_BATCH]; /* of the transaction at hand */
	atomic_ullong n_done;
	struct bench_histogram delays;
};

struct floor_rows {
	const struct clock *clock;
	struct told *chunks[CHUNKS];
	uint64_t n_noted; /* the writer's alone; not all told yet */
	atomic_ullong n_told;
	atomic_bool ending;
	atomic_int rc; /* the first error of a thread */
	struct model models[FLOOR_MODELS];
};

/* ---- the writer ---- */

static struct told *told_at(const struct floor_rows *r, uint64_t i)
{
	return &r->chunks[i / CHUNK][i % CHUNK];
}

void floor_rows_tell(struct floor_rows *r, uint64_t number)
{
	uint64_t chunk = r->n_noted / CHUNK;

	if (chunk < CHUNKS && r->chunks[chunk] == NULL)
		r->chunks[chunk] = malloc(CHUNK * sizeof(struct told));
	if (chunk >= CHUNKS || r->chunks[chunk] == NULL) {
		atomic_store(&r->rc, ERR_NOMEM);
		return;
	}
	told_at(r, r->n_noted++)->number = number;
}

void floor_rows_committed(struct floor_rows *r)
{
	int64_t now_us = clock_monotonic_us(r->clock);

	for (uint64_t i = atomic_load(&r->n_told); i < r->n_noted; i++)
		told_at(r, i)->stored_us = now_us;
	atomic_store(&r->n_told, r->n_noted);
}

/* ---- a model's thread ---- */

static int compare_numbers(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool concerns(const struct model *m, uint64_t number)
{
	return (m->def->kinds & 1u << (number % WEBHOOK_EVENTS_PER_MEETING)) != 0;
}

static int run(sqlite3_stmt *stmt)
{
	int code = sqlite3_step(stmt);

	sqlite3_reset(stmt);
	return code == SQLITE_DONE ? 0 : ERR_IO;
}

static int transact(struct model *m, size_t n, uint64_t end)
{
	int rc = run(m->begin);

	if (rc == 0)
		rc = m->def->make(&m->upserts, m->numbers, n);
	sqlite3_bind_int64(m->save, 1, (sqlite3_int64)end);
	if (rc == 0)
		rc = run(m->save);
	return rc == 0 ? run(m->commit) : rc;
}

/* The rows of some webhooks, up to `end`. */
static int make_rows(struct model *m, uint64_t end)
{
	uint64_t start = m->n_done;
	int64_t now_us;
	size_t n = 0;
	int rc;

	for (uint64_t i = start; i < end; i++)
		if (concerns(m, told_at(m->rows, i)->number))
			m->numbers[n++] = told_at(m->rows, i)->number;
	if (n > 0) {
		qsort(m->numbers, n, sizeof(m->numbers[0]), compare_numbers);
		m->upserts.position = start;
		rc = transact(m, n, end);
		if (rc != 0)
			return rc;
		now_us = clock_monotonic_us(m->rows->clock);
		for (uint64_t i = start; i < end; i++)
			if (concerns(m, told_at(m->rows, i)->number))
				bench_histogram_add(&m->delays, now_us - told_at(m->rows, i)->stored_us);
	}
	atomic_store(&m->n_done, end);
	return 0;
}

static void *run_model(void *arg)
{
	struct model *m = arg;
	struct floor_rows *r = m->rows;

	thread_name(m->def->name);
	thread_yield_to_others(THREAD_MAY_LAG);
	for (;;) {
		bool last = atomic_load(&r->ending);
		uint64_t n_done = atomic_load(&m->n_done), end = atomic_load(&r->n_told);
		int64_t began_us = clock_monotonic_us(r->clock), spent_us;
		int rc;

		if (end == n_done && last)
			return NULL;
		rc = make_rows(m, end - n_done > FOLD_BATCH ? n_done + FOLD_BATCH : end);
		if (rc != 0) {
			atomic_store(&r->rc, rc);
			return NULL;
		}
		spent_us = clock_monotonic_us(r->clock) - began_us;
		if (spent_us < PACE_US)
			thread_pause((PACE_US - spent_us) / 1000, &r->ending);
	}
}

/* ---- begin and end ---- */

static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
	return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) == SQLITE_OK ? 0 : ERR_IO;
}

static int open_model(struct model *m, const char *dir)
{
	struct floor_upserts *u = &m->upserts;
	char path[PATH_LEN_MAX];
	int rc;

	if (snprintf(path, sizeof(path), "%s/%s.db", dir, m->def->name) >= (int)sizeof(path))
		return ERR_TOO_BIG;
	rc = projection_connect_writer(&u->db, path, NULL);
	if (rc == 0 && sqlite3_exec(u->db, "begin; create table place (position integer not null); insert into place values (0)",
			   NULL, NULL, NULL) != SQLITE_OK)
		rc = ERR_IO;
	if (rc == 0)
		rc = bench_model_tables(u->db, projection_find(m->def->name), true);
	if (rc == 0)
		rc = prepare(u->db, "begin", &m->begin);
	if (rc == 0)
		rc = prepare(u->db, "update place set position = ?1", &m->save);
	if (rc == 0)
		rc = prepare(u->db, "commit", &m->commit);
	for (unsigned i = 0; rc == 0 && i < FLOOR_UPSERTS_MAX && m->def->sql[i] != NULL; i++)
		rc = prepare(u->db, m->def->sql[i], &u->stmts[i]);
	return rc == 0 ? run(m->commit) : rc;
}

static void close_model(struct model *m)
{
	for (unsigned i = 0; i < FLOOR_UPSERTS_MAX; i++)
		sqlite3_finalize(m->upserts.stmts[i]);
	sqlite3_finalize(m->begin);
	sqlite3_finalize(m->save);
	sqlite3_finalize(m->commit);
	sqlite3_close(m->upserts.db); /* what is in the WAL goes to the file, as when ours is closed */
}

int floor_rows_open(struct floor_rows **ret, const char *dir, const struct clock *clock)
{
	struct floor_rows *r = calloc(1, sizeof(*r));
	int rc = 0;

	if (r == NULL)
		return ERR_NOMEM;
	r->clock = clock;
	for (unsigned i = 0; rc == 0 && i < FLOOR_MODELS; i++) {
		r->models[i].def = &floor_models[i];
		r->models[i].rows = r;
		rc = open_model(&r->models[i], dir);
	}
	for (unsigned i = 0; rc == 0 && i < FLOOR_MODELS; i++) {
		rc = pthread_create(&r->models[i].thread, NULL, run_model, &r->models[i]) == 0 ? 0 : ERR_NOMEM;
		r->models[i].started = rc == 0;
	}
	if (rc != 0) {
		floor_rows_close(r);
		return rc;
	}
	*ret = r;
	return 0;
}

static void end_threads(struct floor_rows *r)
{
	atomic_store(&r->ending, true);
	for (unsigned i = 0; i < FLOOR_MODELS; i++) {
		if (r->models[i].started)
			pthread_join(r->models[i].thread, NULL);
		r->models[i].started = false;
	}
}

int floor_rows_finish(struct floor_rows *r, struct floor_rows_result *ret)
{
	uint64_t n_told = atomic_load(&r->n_told);
	const struct model *latest = &r->models[0];

	ret->behind = 0;
	for (unsigned i = 0; i < FLOOR_MODELS; i++) {
		uint64_t behind = n_told - atomic_load(&r->models[i].n_done);

		if (behind > ret->behind)
			ret->behind = behind;
	}
	end_threads(r);
	for (unsigned i = 1; i < FLOOR_MODELS; i++)
		if (bench_histogram_at(&r->models[i].delays, 0.99) > bench_histogram_at(&latest->delays, 0.99))
			latest = &r->models[i];
	ret->latest = latest->def->name;
	ret->delays = latest->delays;
	return atomic_load(&r->rc);
}

void floor_rows_close(struct floor_rows *r)
{
	if (r == NULL)
		return;
	end_threads(r);
	for (unsigned i = 0; i < FLOOR_MODELS; i++)
		close_model(&r->models[i]);
	for (size_t i = 0; i < CHUNKS; i++)
		free(r->chunks[i]);
	free(r);
}
