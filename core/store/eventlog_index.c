/*
 * The indexer: a thread that brings the index forward in large batches, and
 * does the upkeep that wants doing now and then.
 *
 * A batch is due when enough events wait or one has waited long enough; its
 * facts come from the tail, where the writer left them. At start, and in
 * reindex, they come from the entries instead. Both ways make the same index.
 */
#include "store/eventlog_private.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/planted.h"
#include "base/thread.h"

#define COPY_BYTES ((size_t)64 << 10)
#define CATCH_UP_BATCH 131072
#define UPKEEP_US 1000000
#define READER_CHECK_US 60000000
#define DISK_CHECK_US 10000000 /* the writer looks oftener, but only while it writes */

/* ---- from the tail -------------------------------------------------------- */

struct folding {
	struct log_index_batch batch;
	uint64_t target; /* fold events before this one */
};

static int fold(struct folding *f, const struct log_fact *fact)
{
	uint64_t stream = 0;
	uint32_t version = 0;
	int rc;

	rc = log_index_fold(&f->batch, fact, &stream, &version);
	if (rc != 0 || fact->kind != FACT_EVENT)
		return rc;
	/* The writer found the same when it made the record's header, by another way. */
	return stream == fact->stream && version == fact->version ? 0 : ERR_CORRUPT;
}

static int fold_tail(struct eventlog *log, struct folding *f)
{
	uint64_t *copy = malloc(COPY_BYTES);
	uint64_t at = 0;
	size_t n;
	int rc = copy == NULL ? ERR_NOMEM : 0;

	while (rc == 0 && (n = log_tail_copy(&log->tail, &at, (uint8_t *)copy, COPY_BYTES)) > 0) {
		const uint8_t *next = (const uint8_t *)copy;
		struct log_fact fact;

		while (rc == 0 && log_tail_take(&next, &n, &fact)) {
			if (fact.position >= f->target)
				goto out;
			/* The index is ahead of the tail's begin: the writer drops only when it writes. */
			if (fact.position >= f->batch.start)
				rc = fold(f, &fact);
		}
	}
out:
	free(copy);
	return rc;
}

static int leaf_of(struct eventlog *log, uint64_t position, struct merkle_hash *ret)
{
	struct tile_reader tiles = eventlog_tiles(log);
	struct merkle_place place = merkle_place(position, 0);

	return tiles.read(tiles.arg, 0, place.number, place.at, 1, ret);
}

static int bring_forward(struct eventlog *log, uint64_t target)
{
	struct folding f = {.target = target};
	struct merkle_hash leaf;
	uint64_t began_us = log_monotonic_us();
	int rc;

	rc = log_index_begin(&log->index, &f.batch);
	if (rc != 0)
		return rc;
	rc = fold_tail(log, &f);
	if (rc == 0 && f.batch.position != target)
		rc = ERR_CORRUPT;
	if (rc == 0)
		rc = leaf_of(log, target - 1, &leaf);
	if (rc != 0) {
		log_index_abort(&f.batch);
		return rc;
	}
	rc = log_index_commit(&f.batch, &leaf);
	if (rc != 0)
		return rc;
	atomic_store(&log->index_position, target);
	pthread_mutex_lock(&log->state_lock);
	log->stats.index_commits++;
	log->stats.index_us += log_monotonic_us() - began_us;
	pthread_mutex_unlock(&log->state_lock);
	return 0;
}

/* ---- from the entries ------------------------------------------------------ */

struct refolding {
	struct log_index_batch batch;
	uint16_t type; /* of the event at hand, as the entries say */
	uint64_t stream;
	uint32_t version;
};

static int refold(void *arg, const struct log_fact *fact)
{
	struct refolding *r = arg;

	if (PLANTED(forget_at_start) && fact->kind == FACT_ONCE)
		return 0;
	if (fact->kind == FACT_EVENT)
		r->type = fact->type;
	return log_index_fold(&r->batch, fact, &r->stream, &r->version);
}

static int refold_one(struct eventlog *log, struct refolding *r, const struct log_record *record,
    const struct log_refold *how)
{
	int rc;

	rc = facts_of_entry(record->entry, record->position, record->type, log->o.type_number, refold, r);
	if (rc != 0)
		return rc;
	if (how->record != NULL)
		return how->record(how->arg, record, r->type, r->stream, r->version);
	return r->type == record->type && r->stream == record->stream && r->version == record->stream_version ?
	    0 : ERR_CORRUPT;
}

static int refold_batch(struct eventlog *log, struct log_index *x, struct eventlog_cursor *cursor, uint64_t end,
    const struct log_refold *how)
{
	struct refolding r = {0};
	struct log_record record;
	struct merkle_hash leaf;
	int rc;

	rc = log_index_begin(x, &r.batch);
	if (rc != 0)
		return rc;
	while (rc == 0 && r.batch.position < end) {
		rc = eventlog_cursor_next(cursor, &record);
		if (rc == 0)
			rc = refold_one(log, &r, &record, how);
	}
	if (rc == 0)
		rc = leaf_of(log, end - 1, &leaf);
	if (rc != 0) {
		log_index_abort(&r.batch);
		return rc == ERR_END || rc == ERR_MALFORMED ? ERR_CORRUPT : rc;
	}
	return log_index_commit(&r.batch, &leaf);
}

/* ---- from the logs before ---------------------------------------------------- */

struct carrying {
	struct log_index_batch batch;
	unsigned n; /* of the log */
};

static int carry_fact(void *arg, const struct log_fact *fact)
{
	struct carrying *c = arg;

	return log_index_carry(&c->batch, fact, LOG_PLACE(c->n, fact->position));
}

static int carry_batch(struct eventlog *log, struct log_index *x, struct eventlog_cursor *cursor, unsigned n, bool *ret_end)
{
	struct carrying c = {.n = n};
	struct log_record record;
	int rc = log_index_begin(x, &c.batch);

	if (rc != 0)
		return rc;
	for (unsigned i = 0; rc == 0 && i < CATCH_UP_BATCH; i++) {
		rc = eventlog_cursor_next(cursor, &record);
		if (rc == 0)
			rc = facts_of_entry(record.entry, record.position, record.type, log->o.type_number, carry_fact, &c);
	}
	*ret_end = rc == ERR_END;
	if (rc == 0 || rc == ERR_END)
		return log_index_commit_carried(&c.batch, *ret_end && n == log->n_before ? n : 0);
	log_index_abort(&c.batch);
	return rc == ERR_MALFORMED ? ERR_CORRUPT : rc;
}

/* Once, into a new index. */
static int carry(struct eventlog *log, struct log_index *x)
{
	int rc = 0;

	for (unsigned n = 1; rc == 0 && n <= log->n_before; n++) {
		struct eventlog_cursor cursor;
		bool end = false;

		eventlog_cursor_init(&cursor, log->before[n - 1], 0, NULL);
		while (rc == 0 && !end)
			rc = carry_batch(log, x, &cursor, n, &end);
		eventlog_cursor_finish(&cursor);
	}
	return rc;
}

int eventlog_index_catch_up(struct eventlog *log, struct log_index *x, const struct log_refold *how)
{
	struct log_index_state state;
	unsigned carried = 0;
	struct eventlog_cursor cursor;
	MDB_txn *txn = NULL;
	uint64_t size = eventlog_size(log);
	int rc;

	rc = log_env_read(&x->env, &txn);
	if (rc == 0)
		rc = log_index_state(x, txn, &state);
	if (rc == 0)
		rc = log_index_carried(x, txn, &carried);
	log_env_done(&x->env, &txn);
	if (rc == 0 && state.position == 0 && carried != log->n_before)
		rc = carry(log, x);
	if (rc != 0)
		return rc;
	eventlog_cursor_init(&cursor, log, state.position, NULL);
	while (rc == 0 && state.position < size) {
		uint64_t end = size - state.position > CATCH_UP_BATCH ? state.position + CATCH_UP_BATCH : size;

		rc = refold_batch(log, x, &cursor, end, how);
		if (rc == 0)
			state.position = end;
		if (rc == 0 && how->progress != NULL)
			how->progress(how->arg, state.position, size);
	}
	eventlog_cursor_finish(&cursor);
	return rc;
}

/* ---- the thread ------------------------------------------------------------ */

void eventlog_index_tell(struct eventlog *log, uint64_t size)
{
	uint64_t behind = size - atomic_load(&log->index_position);
	bool first;

	pthread_mutex_lock(&log->index_lock);
	log->index_target = size;
	first = log->index_since_us == 0;
	if (first)
		log->index_since_us = (int64_t)log_monotonic_us();
	if (first || behind >= log->o.index_batch)
		pthread_cond_signal(&log->index_due);
	pthread_mutex_unlock(&log->index_lock);
}

static void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t at_us)
{
	struct timespec at = {.tv_sec = (time_t)(at_us / 1000000), .tv_nsec = (long)(at_us % 1000000) * 1000};

	pthread_cond_timedwait(cond, lock, &at);
}

/* Sleeps until a batch is due (and may be made) or the upkeep is. True when a batch is; *ret_target: up to where. */
static bool wait_for_work(struct eventlog *log, bool may, int64_t upkeep_us, uint64_t *ret_target, bool *ret_stop)
{
	bool due = false;

	pthread_mutex_lock(&log->index_lock);
	for (;;) {
		int64_t now_us = (int64_t)log_monotonic_us();
		uint64_t behind = log->index_target - atomic_load(&log->index_position);
		int64_t at_us = upkeep_us;

		*ret_stop = log->index_stop;
		*ret_target = log->index_target;
		if (may && behind > 0) {
			int64_t due_us = log->index_since_us + (int64_t)log->o.index_delay_ms * 1000;

			due = log->index_stop || behind >= log->o.index_batch || now_us >= due_us;
			at_us = due_us < at_us ? due_us : at_us;
		}
		if (due || log->index_stop || now_us >= upkeep_us)
			break;
		wait_until(&log->index_due, &log->index_lock, at_us);
	}
	if (due)
		log->index_since_us = 0;
	pthread_mutex_unlock(&log->index_lock);
	return due;
}

struct upkeep {
	int64_t readers_us, disk_us; /* when they were last looked at */
};

static void upkeep(struct eventlog *log, struct upkeep *last)
{
	int64_t now_us = (int64_t)log_monotonic_us();
	int dead = 0;

	if (now_us - last->disk_us >= DISK_CHECK_US) {
		last->disk_us = now_us;
		eventlog_disk_check(log);
	}
	if (now_us - last->readers_us < READER_CHECK_US)
		return;
	last->readers_us = now_us;
	mdb_reader_check(log->env.env, &dead);
	mdb_reader_check(log->index.env.env, &dead);
}

/* What may be otherwise in a second: LMDB has undone its transaction, and the index is where it was. */
static bool passes(int rc)
{
	return rc == ERR_NOMEM || rc == ERR_BUSY || rc == ERR_DISK_FULL;
}

/*
 * Entries that do not agree are left for a person to look at; a device that
 * fails ends the process, as it does under the log (integrity.md 11.2).
 */
static void give_up(struct eventlog *log, int rc)
{
	log_error("eventlog", "the index cannot be brought forward: no event is taken until the restart", "error",
	    err_name(rc), "dir", log->index_dir);
	eventlog_refuse(log, "the index cannot be brought forward; the next start makes what is missing");
	if (rc != ERR_CORRUPT && log->o.on_fatal != NULL)
		log->o.on_fatal(log->o.arg, rc);
}

void *eventlog_indexer(void *arg)
{
	struct eventlog *log = arg;
	int64_t now_us = (int64_t)log_monotonic_us();
	struct upkeep last = {now_us, now_us};
	bool stop = false;
	int rc = 0;

	thread_name("log index");
	while (!stop) {
		/* Near the end of the disk the room left is for the log's own last words. After a failure
		 * one round of waiting, until the next upkeep. */
		bool may = rc == 0 && !atomic_load(&log->disk_critical);
		uint64_t target;
		bool due = wait_for_work(log, may, (int64_t)log_monotonic_us() + UPKEEP_US, &target, &stop);

		upkeep(log, &last);
		if (passes(rc))
			rc = 0;
		if (!due)
			continue;
		rc = bring_forward(log, target);
		if (passes(rc))
			log_warn("eventlog", "the index could not be brought forward, trying again", "error", err_name(rc));
		else if (rc != 0)
			give_up(log, rc);
	}
	return NULL;
}
