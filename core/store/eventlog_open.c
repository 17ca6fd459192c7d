/*
 * Opening and closing the event log.
 *
 *     lock --> environment --> checks (eventlog_check.c) --> index caught up --> threads
 */
#include "store/eventlog_private.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

#include "base/io.h"
#include "base/log.h"
#include "store/log_format.h"
#include "store/log_pages.h"

#define TEXT_MAX 512

uint64_t log_monotonic_us(void)
{
	return (uint64_t)clock_monotonic_us(&clock_system);
}

int log_problem(const struct eventlog *log, int rc, const char *format, ...)
{
	va_list args;

	if (rc != 0 && log->o.problem != NULL && log->o.problem->len == 0) {
		va_start(args, format);
		buf_vprintf(log->o.problem, format, args);
		va_end(args);
	}
	return rc;
}

static void set_defaults(struct eventlog_options *o)
{
	if (o->map_bytes == 0)
		o->map_bytes = 1024 * GIB;
	if (o->reserve_bytes == 0 && o->reserve_percent == 0) {
		o->reserve_bytes = GIB;
		o->reserve_percent = 5;
	}
	if (o->commit_events_max == 0)
		o->commit_events_max = 1024;
	if (o->commit_bytes_max == 0)
		o->commit_bytes_max = 4u << 20;
	if (o->gather_us_max == 0)
		o->gather_us_max = 2000;
	if (o->queue_appends_max == 0)
		o->queue_appends_max = 4096;
	if (o->queue_bytes_max == 0)
		o->queue_bytes_max = 64u << 20;
	if (o->queue_wait_ms_max == 0)
		o->queue_wait_ms_max = 500;
	if (o->index_batch == 0)
		o->index_batch = 32768;
	if (o->index_delay_ms == 0)
		o->index_delay_ms = 5000;
	if (o->index_lag_max == 0)
		o->index_lag_max = 131072;
}

/* Waits by real time, whatever clock events are stamped with. */
static void cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

static int create(struct eventlog **ret, const struct eventlog_options *options)
{
	struct eventlog *log = calloc(1, sizeof(*log));
	int n = 0;

	if (log == NULL)
		return ERR_NOMEM;
	log->o = *options;
	set_defaults(&log->o);
	log->lock_fd = -1;
	list_init(&log->queue);
	list_init(&log->ports);
	pthread_mutex_init(&log->queue_lock, NULL);
	pthread_mutex_init(&log->state_lock, NULL);
	pthread_mutex_init(&log->ports_lock, NULL);
	pthread_mutex_init(&log->index_lock, NULL);
	pthread_mutex_init(&log->catch_up_lock, NULL);
	cond_init(&log->queue_filled);
	cond_init(&log->done);
	cond_init(&log->grown);
	cond_init(&log->index_due);
	log->tree = calloc(1, sizeof(*log->tree));
	if (asprintf(&log->log_dir, "%s/log", options->dir) < 0)
		log->log_dir = NULL;
	if (options->index_dir != NULL)
		log->index_dir = strdup(options->index_dir);
	else
		n = asprintf(&log->index_dir, "%s/index", options->dir);
	if (n < 0)
		log->index_dir = NULL;
	*ret = log;
	if (log->tree == NULL || log->log_dir == NULL || log->index_dir == NULL)
		return ERR_NOMEM;
	return log_tail_init(&log->tail);
}

void eventlog_destroy(struct eventlog *log)
{
	eventlog_before_close(log);
	log_index_close(&log->index);
	log_env_close(&log->env);
	if (log->lock_fd >= 0)
		io_calls->close(log->lock_fd);
	log_tail_finish(&log->tail);
	pthread_mutex_destroy(&log->queue_lock);
	pthread_mutex_destroy(&log->state_lock);
	pthread_mutex_destroy(&log->ports_lock);
	pthread_mutex_destroy(&log->index_lock);
	pthread_mutex_destroy(&log->catch_up_lock);
	pthread_cond_destroy(&log->queue_filled);
	pthread_cond_destroy(&log->done);
	pthread_cond_destroy(&log->grown);
	pthread_cond_destroy(&log->index_due);
	free(log->refusal);
	free(log->tree);
	free(log->log_dir);
	free(log->index_dir);
	free(log);
}

/* ---- the files ----------------------------------------------------------- */

/* LMDB lets several processes write in turn; our tail and tree would not know of it. */
static int lock_dir(struct eventlog *log)
{
	char path[TEXT_MAX];
	int n = snprintf(path, sizeof(path), "%s/writer.lock", log->log_dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return ERR_TOO_BIG;
	log->lock_fd = io_calls->open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (log->lock_fd < 0)
		return log_problem(log, ERR_IO, "cannot open %s", path);
	if (flock(log->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return log_problem(log, ERR_LOCKED, "%s is held by another process: only one may write a log", path);
	return 0;
}

static int tables_open(struct eventlog *log, MDB_txn *txn)
{
	int rc;

	rc = log_table(txn, "meta", &log->meta);
	if (rc == 0)
		rc = log_table(txn, "entries", &log->entries);
	if (rc == 0)
		rc = log_table(txn, "blobs", &log->blobs);
	if (rc == 0)
		rc = log_table(txn, "tiles", &log->tiles);
	if (rc == 0)
		rc = log_table(txn, "notes", &log->notes);
	return rc;
}

static int format_check(struct eventlog *log, MDB_txn *txn)
{
	uint8_t format[4];
	MDB_val key = val_of("format", 6), value;
	int rc;

	rc = mdb_err(mdb_get(txn, log->meta, &key, &value));
	if (rc == ERR_NOT_FOUND && !log->readonly) {
		put_le(format, LOG_FORMAT, 4);
		value = val_of(format, sizeof(format));
		return mdb_err(mdb_put(txn, log->meta, &key, &value, 0));
	}
	if (rc != 0)
		return rc;
	if (value.mv_size == 4 && get_le(value.mv_data, 4) == LOG_FORMAT)
		return 0;
	return log_problem(log, ERR_VERSION, "%s was made by another version of this program", log->log_dir);
}

static int open_env(struct eventlog *log)
{
	MDB_txn *txn = NULL;
	int rc;

	/* Only who writes may look at the pages: nobody changes them meanwhile. */
	rc = log->readonly ? 0 : log_pages_check(log->log_dir, log->o.map_bytes, log->o.problem);
	if (rc != 0)
		return log_problem(log, rc, "cannot open the log in %s: %s", log->log_dir, err_text(rc));
	rc = log_env_open(&log->env, log->log_dir, log->readonly ? 0 : log->o.map_bytes, log->readonly);
	if (rc != 0)
		return log_problem(log, rc, "cannot open the log in %s: %s", log->log_dir, err_text(rc));
	log->o.map_bytes = log_env_map_bytes(&log->env);
	rc = mdb_err(mdb_txn_begin(log->env.env, NULL, log->readonly ? MDB_RDONLY : 0, &txn));
	if (rc != 0)
		return log_problem(log, rc, "cannot read the log in %s: %s", log->log_dir, err_text(rc));
	rc = tables_open(log, txn);
	if (rc == 0)
		rc = format_check(log, txn);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return log_problem(log, rc, "cannot read the log in %s: %s", log->log_dir, err_text(rc));
	}
	rc = mdb_err(mdb_txn_commit(txn));
	if (rc == 0 && !log->readonly)
		rc = dir_sync(log->log_dir); /* LMDB does not sync the directory of the files it makes */
	return log_problem(log, rc, "cannot set up the log in %s: %s", log->log_dir, err_text(rc));
}

/* ---- the index ------------------------------------------------------------ */

/* An index of another history (an older copy of the log was put back, say) is as good as none. */
static int index_fits(struct eventlog *log, bool *ret_fits)
{
	struct log_index_state state;
	struct tile_reader tiles = eventlog_tiles(log);
	struct merkle_hash leaf;
	MDB_txn *txn = NULL;
	unsigned carried = 0;
	int rc;

	*ret_fits = false;
	rc = log_env_read(&log->index.env, &txn);
	if (rc == 0)
		rc = log_index_state(&log->index, txn, &state);
	if (rc == 0)
		rc = log_index_carried(&log->index, txn, &carried);
	log_env_done(&log->index.env, &txn);
	if (rc == ERR_CORRUPT)
		return 0;
	/* The index follows the log: an empty log never had one that is further. */
	if (rc == 0 && state.position > 0 && atomic_load(&log->size) == 0)
		eventlog_refuse(log, "events were lost: the index has some, the log none; restore a backup");
	if (rc != 0 || state.position > atomic_load(&log->size))
		return rc;
	if (state.position > 0) {
		struct merkle_place place = merkle_place(state.position - 1, 0);

		rc = tiles.read(tiles.arg, 0, place.number, place.at, 1, &leaf);
		if (rc != 0)
			return rc;
	}
	*ret_fits = state.position == 0 || (merkle_hash_eq(&leaf, &state.last_leaf) && carried == log->n_before);
	return 0;
}

static int open_index(struct eventlog *log)
{
	bool fits = false;
	int rc;

	rc = dir_create(log->index_dir, 0700);
	if (rc == 0)
		rc = log_index_open(&log->index, log->index_dir, log->o.map_bytes, false);
	if (rc == 0)
		rc = index_fits(log, &fits);
	if (rc == 0 && fits)
		return 0;
	if (rc != 0 && rc != ERR_CORRUPT && rc != ERR_VERSION && rc != ERR_NOT_FOUND)
		return rc;
	/* It is a fold: whatever is wrong with it, making it again cures. */
	log_warn("eventlog", "the index does not fit the log and is made again", "dir", log->index_dir);
	log_index_close(&log->index);
	rc = tree_remove(log->index_dir);
	if (rc == 0)
		rc = dir_create(log->index_dir, 0700);
	if (rc == 0)
		rc = log_index_open(&log->index, log->index_dir, log->o.map_bytes, false);
	return rc;
}

static int ready_index(struct eventlog *log)
{
	struct log_refold how = {0};
	int rc;

	rc = open_index(log);
	if (rc == 0)
		rc = eventlog_index_catch_up(log, &log->index, &how);
	if (rc == ERR_CORRUPT)
		return log_problem(log, rc, "%s: an entry cannot be indexed, or its header does not fit; see `lulab log reindex`",
		    log->log_dir);
	if (rc != 0)
		return log_problem(log, rc, "%s: the index cannot be brought forward: %s", log->index_dir, err_text(rc));
	atomic_store(&log->index_position, atomic_load(&log->size));
	log->index_target = atomic_load(&log->size);
	return 0;
}

/* ---- open and close ------------------------------------------------------ */

static int start_threads(struct eventlog *log)
{
	if (pthread_create(&log->writer, NULL, eventlog_writer, log) != 0)
		return ERR_NOMEM;
	if (pthread_create(&log->indexer, NULL, eventlog_indexer, log) != 0) {
		pthread_mutex_lock(&log->queue_lock);
		log->closing = true;
		pthread_cond_signal(&log->queue_filled);
		pthread_mutex_unlock(&log->queue_lock);
		pthread_join(log->writer, NULL);
		return ERR_NOMEM;
	}
	log->threads_run = true;
	return 0;
}

/* Whoever starts on a directory that has lost its log must hear of it before anything is appended. */
static int check_there(struct eventlog *log)
{
	char path[TEXT_MAX];
	int n = snprintf(path, sizeof(path), "%s/data.mdb", log->log_dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return ERR_TOO_BIG;
	if (!log->o.existed || file_exists(path))
		return 0;
	return log_problem(log, ERR_NOT_FOUND, "%s is missing, and what lies beside it shows that there was a log: put it back, "
	    "restore a backup, or begin anew in an empty directory", path);
}

int eventlog_open_checked(struct eventlog **ret_log, const struct eventlog_options *options)
{
	struct eventlog *log = NULL;
	int rc;

	assert(options->dir != NULL && options->clock != NULL);
	rc = create(&log, options);
	if (rc == 0)
		rc = check_there(log);
	if (rc == 0)
		rc = dir_create(log->log_dir, 0700);
	if (rc == 0)
		rc = lock_dir(log);
	if (rc == 0)
		rc = open_env(log);
	if (rc == 0)
		rc = eventlog_check(log);
	if (rc == 0)
		rc = eventlog_before_open(log, options->dir);
	if (rc == 0) {
		*ret_log = log;
		return 0;
	}
	if (log != NULL) {
		log_problem(log, rc, "cannot open the log in %s: %s", options->dir, err_text(rc));
		eventlog_destroy(log);
	}
	return rc;
}

int eventlog_open(struct eventlog **ret_log, const struct eventlog_options *options)
{
	struct eventlog *log;
	int rc;

	rc = eventlog_open_checked(&log, options);
	if (rc != 0)
		return rc;
	rc = ready_index(log);
	if (rc == 0) {
		eventlog_disk_check(log);
		log->disk_checked_us = clock_monotonic_us(log->o.clock);
		rc = start_threads(log);
	}
	if (rc != 0) {
		eventlog_destroy(log);
		return rc;
	}
	log->o.problem = NULL;
	*ret_log = log;
	return 0;
}

int eventlog_open_readonly(struct eventlog **ret_log, const struct eventlog_options *options)
{
	struct eventlog *log = NULL;
	struct log_index_state state = {0};
	MDB_txn *txn = NULL;
	uint64_t size;
	int rc;

	rc = create(&log, options);
	if (rc == 0) {
		log->readonly = true;
		atomic_store(&log->refused, true);
		rc = open_env(log);
	}
	if (rc == 0 && options->before)
		rc = eventlog_before_open(log, options->dir);
	if (rc == 0)
		rc = log_size_now(log, &size);
	/* Without an index a tool still reads: the tail is filled from the entries when something is looked up. */
	if (rc == 0 && log_index_open(&log->index, log->index_dir, 0, true) == 0) {
		rc = log_env_read(&log->index.env, &txn);
		if (rc == 0)
			rc = log_index_state(&log->index, txn, &state);
		log_env_done(&log->index.env, &txn);
	}
	if (rc == 0) {
		log->o.problem = NULL;
		log->catch_up_position = state.position;
		atomic_store(&log->index_position, state.position);
		*ret_log = log;
		return 0;
	}
	if (log != NULL)
		eventlog_destroy(log);
	return rc;
}

void eventlog_close(struct eventlog *log)
{
	if (log == NULL)
		return;
	eventlog_wake(log);
	if (log->threads_run) {
		pthread_mutex_lock(&log->queue_lock);
		log->closing = true;
		pthread_cond_signal(&log->queue_filled);
		pthread_mutex_unlock(&log->queue_lock);
		pthread_join(log->writer, NULL);

		pthread_mutex_lock(&log->index_lock);
		log->index_stop = true;
		pthread_cond_signal(&log->index_due);
		pthread_mutex_unlock(&log->index_lock);
		pthread_join(log->indexer, NULL);
	}
	assert(list_empty(&log->ports));
	eventlog_destroy(log);
}

void eventlog_refuse(struct eventlog *log, const char *reason)
{
	pthread_mutex_lock(&log->state_lock);
	if (log->refusal == NULL) {
		log->refusal = strdup(reason);
		atomic_store(&log->refused, true);
	}
	pthread_mutex_unlock(&log->state_lock);
}

const char *eventlog_refusal(struct eventlog *log)
{
	const char *reason;

	pthread_mutex_lock(&log->state_lock);
	reason = log->refusal;
	pthread_mutex_unlock(&log->state_lock);
	if (reason == NULL && atomic_load(&log->refused))
		return log->readonly ? "opened for reading" : "out of memory for the reason";
	return reason;
}
