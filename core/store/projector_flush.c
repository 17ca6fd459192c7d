/*
 * Flushing read models: what has been committed to a WAL is written into the
 * file itself, and made durable, now and then. That takes as long as the disk takes,
 * beside the log's own syncs often tens of milliseconds, and SQLite would have it done by whoever
 * commits: rows would be late every time. So a thread of its own does it, a model at a time, with
 * a connection of its own, while the fold goes on (SQLite, "Write-Ahead Logging", 2.2: a passive
 * checkpoint blocks nobody). The limit at which a fold does it by itself (projection_file.c) is far above what this leaves.
 *
 * A file is flushed while its fold has it open, and is neither closed nor replaced meanwhile: whoever
 * is the last to close a file takes its WAL away, by name.
 */
#include "store/projector_private.h"

#include <sqlite3.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"

#define TURN_MS 200      /* from one model to the next */
#define EVENTS_MIN 1024  /* folded since it was flushed */
#define AGAIN_MAX 3      /* the fold went on meanwhile: what is left is less each time, and none lets the WAL begin anew */

static int flush(const char *path)
{
	sqlite3 *db = NULL;
	int in_wal = 0, flushed = 0, code = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	if (code == SQLITE_OK)
		code = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (code == SQLITE_OK) /* before its first look a connection does not know that there is a WAL */
		code = sqlite3_exec(db, "select 1 from sqlite_schema limit 1", NULL, NULL, NULL);
	for (int i = 0; code == SQLITE_OK && i < AGAIN_MAX && (i == 0 || flushed < in_wal); i++)
		code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &flushed);
	sqlite3_close(db);
	return projection_sqlite_err(code);
}

static void flush_model(struct model *m)
{
	uint64_t position;
	int rc = 0;

	if (uv_mutex_trylock(&m->file_lock) != 0)
		return;
	uv_mutex_lock(&m->p->lock);
	position = m->status.position;
	if (m->status.state != PROJECTION_LIVE)
		m->flushed_at = position;
	uv_mutex_unlock(&m->p->lock);
	if (m->is_open && position >= m->flushed_at + EVENTS_MIN) {
		rc = flush(m->path.ptr);
		m->flushed_at = position;
	} else if (position < m->flushed_at) {
		m->flushed_at = position; /* made anew */
	}
	uv_mutex_unlock(&m->file_lock);
	/* The fold's own comes to the same trouble if it lasts, and knows what to do. */
	if (rc != 0 && rc != ERR_BUSY)
		log_debug("projector", "a read model could not be flushed", "model", m->def->name, "error", err_name(rc));
}

static void run(void *arg)
{
	struct projector *p = arg;
	unsigned next = 0;

	thread_name("flush");
	if (p->options.yields)
		thread_yield_to_others();
	while (!projector_is_stopping(p)) {
		uv_mutex_lock(&p->lock);
		if (!p->stopping)
			uv_cond_timedwait(&p->flush_due, &p->lock, (uint64_t)TURN_MS * 1000000);
		uv_mutex_unlock(&p->lock);
		flush_model(&p->models[next]);
		next = (next + 1) % p->n_models;
	}
}

int projector_flush_start(struct projector *p)
{
	if (p->n_models == 0)
		return 0;
	if (uv_thread_create(&p->flusher, run, p) != 0)
		return ERR_NOMEM;
	p->flushes = true;
	return 0;
}

void projector_flush_stop(struct projector *p)
{
	if (p->flushes)
		uv_thread_join(&p->flusher);
	p->flushes = false;
}
