/*
 * See bench_effects_floor.h. The calling thread commits, workers call, and one more
 * thread folds; what gathers while one of them is busy goes on together.
 *
 *     asked (committed) --> begun (a worker has it) --> over --> told (committed)
 */
#include "bench_effects_floor.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include <sqlite3.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/rng.h"
#include "bench_raw.h"

#define THREADS_MAX 64
#define ID_BYTES 16
#define ID_LEN (2 * ID_BYTES)
#define PACE_NS 16000000L /* as a read model's: it is written no oftener */

struct floor {
	const struct effects_floor_options *o;
	struct raw_store log;
	sqlite3 *db;
	sqlite3_stmt *put, *attempted, *done;
	char (*ids)[ID_LEN + 1];
	pthread_t workers[THREADS_MAX], folder;
	unsigned n_workers;
	bool has_folder;
	pthread_mutex_t lock; /* guards: */
	pthread_cond_t filled; /* for workers: something was asked, or all is over */
	pthread_cond_t due;    /* for the committer: something is over */
	pthread_cond_t grown;  /* for the folder: something was committed, or all is over */
	uint64_t asked, begun, over, told;
	bool stop;
	int rc; /* the first that was not 0 */
};

static void note(struct floor *f, int rc)
{
	f->rc = f->rc == 0 ? rc : f->rc;
}

/* ---- the rows ------------------------------------------------------------------------ */

static int with_id(struct floor *f, sqlite3_stmt *stmt, uint64_t i)
{
	int code = sqlite3_bind_text(stmt, 1, f->ids[i], ID_LEN, SQLITE_STATIC);

	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	sqlite3_reset(stmt);
	return code == SQLITE_DONE ? 0 : ERR_IO;
}

static int run(struct floor *f, const char *sql)
{
	return sqlite3_exec(f->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : ERR_IO;
}

static int open_rows(struct floor *f, const struct bench *b)
{
	char path[BENCH_PATH_MAX];
	uint8_t id[ID_BYTES];
	int rc;

	bench_path(b, path, "floor.db");
	f->ids = calloc(f->o->n, sizeof(f->ids[0]));
	if (f->ids == NULL)
		return ERR_NOMEM;
	rc = sqlite3_open(path, &f->db) == SQLITE_OK ? 0 : ERR_IO;
	if (rc == 0)
		rc = run(f, "pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = -32768;"
			    "create table effects (id text primary key, state text not null, attempt integer not null) strict");
	if (rc == 0 &&
	    (sqlite3_prepare_v2(f->db, "insert into effects values (?, 'WANTED', 0)", -1, &f->put, NULL) != SQLITE_OK ||
		sqlite3_prepare_v2(f->db, "update effects set state = 'TRYING', attempt = 1 where id = ?", -1, &f->attempted, NULL) !=
		    SQLITE_OK ||
		sqlite3_prepare_v2(f->db, "update effects set state = 'DONE' where id = ?", -1, &f->done, NULL) != SQLITE_OK))
		rc = ERR_IO;
	if (rc == 0)
		rc = run(f, "begin");
	for (uint64_t i = 0; rc == 0 && i < f->o->n; i++) {
		rng_fill(&rng_system, id, sizeof(id));
		hex_encode(f->ids[i], id, sizeof(id));
		rc = with_id(f, f->put, i);
	}
	return rc == 0 ? run(f, "commit") : rc;
}

static int fold(struct floor *f, uint64_t *attempted, uint64_t asked, uint64_t *done, uint64_t told)
{
	int rc = run(f, "begin");

	for (; rc == 0 && *attempted < asked; ++*attempted)
		rc = with_id(f, f->attempted, *attempted);
	for (; rc == 0 && *done < told; ++*done)
		rc = with_id(f, f->done, *done);
	return rc == 0 ? run(f, "commit") : rc;
}

static void *folder(void *arg)
{
	struct floor *f = arg;
	uint64_t attempted = 0, done = 0, asked, told;
	int rc;

	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		if (f->asked == attempted && f->told == done) {
			pthread_cond_wait(&f->grown, &f->lock);
			continue;
		}
		asked = f->asked;
		told = f->told;
		pthread_mutex_unlock(&f->lock);
		rc = fold(f, &attempted, asked, &done, told);
		nanosleep(&(struct timespec){.tv_nsec = PACE_NS}, NULL);
		pthread_mutex_lock(&f->lock);
		note(f, rc);
		f->stop = f->stop || rc != 0;
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* ---- the calls --------------------------------------------------------------------------- */

static void *worker(void *arg)
{
	struct floor *f = arg;
	void *thread = f->o->thread_open();
	int rc = thread == NULL ? ERR_NOMEM : 0;

	pthread_mutex_lock(&f->lock);
	for (;;) {
		note(f, rc);
		while (f->begun == f->asked && f->begun < f->o->n && f->rc == 0)
			pthread_cond_wait(&f->filled, &f->lock);
		if (f->begun == f->o->n || f->rc != 0)
			break;
		f->begun++;
		pthread_mutex_unlock(&f->lock);
		rc = f->o->call(thread, f->o->arg);
		pthread_mutex_lock(&f->lock);
		f->over++;
		pthread_cond_signal(&f->due);
	}
	pthread_cond_signal(&f->due);
	pthread_cond_broadcast(&f->filled);
	pthread_mutex_unlock(&f->lock);
	f->o->thread_close(thread);
	return NULL;
}

/* ---- the commits ------------------------------------------------------------------------- */

/* With the lock. How many more may be asked for. */
static uint64_t room(const struct floor *f)
{
	uint64_t out = f->asked - f->told, max = f->o->n_threads + f->o->n_ahead, left = f->o->n - f->asked;

	return out >= max ? 0 : left < max - out ? left : max - out;
}

static void commit_all(struct floor *f)
{
	pthread_mutex_lock(&f->lock);
	while (f->told < f->o->n && f->rc == 0) {
		uint64_t ask, tell;
		int rc;

		while (f->over == f->told && room(f) == 0 && f->rc == 0)
			pthread_cond_wait(&f->due, &f->lock);
		ask = room(f);
		tell = f->over - f->told;
		pthread_mutex_unlock(&f->lock);
		rc = raw_commit(&f->log, (unsigned)(ask + tell));
		pthread_mutex_lock(&f->lock);
		note(f, rc);
		f->asked += ask;
		f->told += tell;
		pthread_cond_broadcast(&f->filled);
		pthread_cond_signal(&f->grown);
	}
	pthread_mutex_unlock(&f->lock);
}

static int start(struct floor *f)
{
	if (f->o->n_threads > THREADS_MAX)
		return ERR_RANGE;
	f->has_folder = pthread_create(&f->folder, NULL, folder, f) == 0;
	while (f->n_workers < f->o->n_threads && pthread_create(&f->workers[f->n_workers], NULL, worker, f) == 0)
		f->n_workers++;
	return f->has_folder && f->n_workers == f->o->n_threads ? 0 : ERR_NOMEM;
}

static void stop(struct floor *f, int rc)
{
	pthread_mutex_lock(&f->lock);
	note(f, rc);
	f->stop = true;
	pthread_cond_broadcast(&f->filled);
	pthread_cond_broadcast(&f->grown);
	pthread_mutex_unlock(&f->lock);
	for (unsigned i = 0; i < f->n_workers; i++)
		pthread_join(f->workers[i], NULL);
	if (f->has_folder)
		pthread_join(f->folder, NULL);
}

static void finish(struct floor *f)
{
	sqlite3_finalize(f->put);
	sqlite3_finalize(f->attempted);
	sqlite3_finalize(f->done);
	sqlite3_close(f->db);
	free(f->ids);
	raw_close(&f->log);
	pthread_cond_destroy(&f->filled);
	pthread_cond_destroy(&f->due);
	pthread_cond_destroy(&f->grown);
	pthread_mutex_destroy(&f->lock);
}

int effects_floor(const struct bench *b, const struct effects_floor_options *options, int64_t *ret_us)
{
	struct floor f = {.o = options};
	int64_t start_us;
	int rc;

	pthread_mutex_init(&f.lock, NULL);
	pthread_cond_init(&f.filled, NULL);
	pthread_cond_init(&f.due, NULL);
	pthread_cond_init(&f.grown, NULL);
	rc = raw_open(&f.log, b, "floor", options->record_len);
	if (rc == 0)
		rc = open_rows(&f, b);
	start_us = bench_now_us(b);
	if (rc == 0)
		rc = start(&f);
	if (rc == 0)
		commit_all(&f);
	*ret_us = bench_now_us(b) - start_us;
	stop(&f, rc);
	rc = f.rc;
	finish(&f);
	return rc;
}
