/*
 * The writer thread: takes what waits, checks conditions in order, commits
 * once, tells everyone.
 *
 *     take --> decide each append --> put its records --> commit --> publish --> answer --> tell
 *
 * Deciding only touches the tail, and a refused append is undone there; records
 * are put once an append is known to succeed, so the transaction never holds
 * half of one. An error of the commit is final: what was in it is of unknown
 * outcome, the writer stops for good (integrity.md 11.2). Memory or room that
 * lacked before the commit undoes the turn, as if it had not begun.
 */
#include "store/eventlog_private.h"

#include <assert.h>

#include "base/log.h"
#include "base/planted.h"
#include "base/thread.h"
#include "domain/envelope.h"
#include "store/log_format.h"

#define DISK_CHECK_US 200000
#define DISK_CHECK_BYTES ((uint64_t)16 << 20)
#define GATHER_PERCENT 50 /* of what the last commit took */
#define GATHER_ENOUGH 16  /* appends, over which the cost of a commit is spread well */

const uint32_t log_bounds_us[LOG_BUCKETS - 1] = {
    250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 1000000};
const uint32_t log_bounds_events[LOG_BUCKETS - 1] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

/* What one turn of the writer works on. */
struct turn {
	struct list appends;
	uint64_t n_appends;
	uint64_t events, bytes; /* as asked for; some will be refused */
	uint64_t size;          /* of the log, with what this turn put so far */
	uint64_t tail_mark;     /* where the tail ended before */
	bool wrote;             /* something to commit */
	bool committing;        /* from here on a failure leaves the outcome unknown */
	uint64_t duplicates, conflicts, taken, refused_disk, refused_busy, appended, appended_bytes;
};

/* ---- disk ---------------------------------------------------------------- */

static void disk_check_now_and_then(struct eventlog *log)
{
	int64_t now_us = clock_monotonic_us(log->o.clock);

	if (now_us - log->disk_checked_us < DISK_CHECK_US && log->disk_written < DISK_CHECK_BYTES)
		return;
	log->disk_checked_us = now_us;
	log->disk_written = 0;
	eventlog_disk_check(log);
}

/* ---- deciding ------------------------------------------------------------ */

/* Adds a draft's facts to the tail, as the event at `position`. */
struct noting {
	struct eventlog *log;
	uint64_t stream;
	uint32_t version;
};

static int note_fact(void *arg, const struct log_fact *fact)
{
	struct noting *n = arg;
	struct log_fact known = *fact;

	known.stream = n->stream;
	known.version = n->version;
	return log_tail_add(&n->log->tail, &known);
}

static bool releases(const struct event_draft *d, struct slice claim)
{
	for (size_t i = 0; i < d->n_releases; i++) {
		if (slice_eq(d->releases[i], claim))
			return true;
	}
	return false;
}

static int decide_claims(struct eventlog *log, struct append *a, const struct event_draft *d)
{
	for (size_t i = 0; i < d->n_claims; i++) {
		uint64_t by;
		int rc = releases(d, d->claims[i]) ? ERR_NOT_FOUND : log_find_claim(log, d->claims[i], &by);

		if (rc == 0) {
			a->claim_taken = d->claims[i];
			a->taken_by = by;
			return ERR_TAKEN;
		}
		if (rc != ERR_NOT_FOUND)
			return rc;
	}
	return 0;
}

/*
 * One event. *ret_position is where it will be, or where its once key is;
 * *ret_new tells which. What a record's header needs of it goes to *ret_header.
 */
static int decide_event(struct eventlog *log, struct append *a, const struct event_draft *d, uint64_t position,
    uint64_t *ret_position, bool *ret_new, struct record_header *ret_header)
{
	struct noting noting = {.log = log};
	uint64_t stream, version;
	int rc;

	*ret_new = false;
	if (d->has_once) {
		rc = log_find_once(log, d->once, ret_position);
		if (PLANTED(forget_tail) && rc == 0 && *ret_position >= atomic_load(&log->index_position))
			rc = ERR_NOT_FOUND;
		if (rc != ERR_NOT_FOUND)
			return rc;
	}
	rc = log_find_stream(log, d->stream, &stream, &version);
	if (rc == ERR_NOT_FOUND) {
		stream = position;
		version = 0;
	} else if (rc != 0) {
		return rc;
	}
	if (d->expect != EXPECT_ANY && (uint64_t)d->expect != version) {
		a->stream_version = version;
		return ERR_CONFLICT;
	}
	rc = decide_claims(log, a, d);
	if (rc != 0)
		return rc;
	noting.stream = stream;
	noting.version = (uint32_t)(version + 1);
	rc = facts_of_draft(d, position, note_fact, &noting);
	if (rc != 0)
		return rc;
	*ret_header = (struct record_header){
	    .type = d->type,
	    .flags = d->flags,
	    .time_at = (uint16_t)d->time_at,
	    .sequence_at = (uint16_t)d->sequence_at,
	    .stream_version = noting.version,
	    .stream = stream,
	};
	*ret_position = position;
	*ret_new = true;
	return 0;
}

/* ---- putting ------------------------------------------------------------- */

static int put_blobs(struct eventlog *log, const struct event_draft *d, uint64_t position)
{
	uint8_t place[12];
	int rc = 0;

	put_be64(place, position);
	for (size_t i = 0; rc == 0 && i < d->n_blobs; i++) {
		MDB_val key = val_of(place, sizeof(place));
		MDB_val value = val_of(d->blobs[i].bytes.ptr, d->blobs[i].bytes.len);

		put_be32(place + 8, (uint32_t)i);
		rc = mdb_err(mdb_put(log->txn, log->blobs, &key, &value, MDB_APPEND));
	}
	return rc;
}

static int put_record(struct eventlog *log, struct turn *t, const struct event_draft *d, struct record_header *h,
    int64_t time_us)
{
	uint8_t place[8];
	MDB_val key = val_of(place, sizeof(place)), value = {.mv_size = RECORD_HEADER_LEN + d->entry_len};
	struct merkle_hash leaf;
	int rc;

	if (PLANTED(skip_position) && t->size % 500 == 499)
		t->size++;
	h->time_us = time_us;
	envelope_patch(d->entry, d->time_at, time_us, d->sequence_at, t->size);
	assert(sequence_is(d->entry + d->sequence_at, t->size));
	merkle_leaf(&leaf, slice_of(d->entry, d->entry_len));

	put_be64(place, t->size);
	rc = mdb_err(mdb_put(log->txn, log->entries, &key, &value, MDB_APPEND | MDB_RESERVE));
	if (rc != 0)
		return rc;
	record_header_put(value.mv_data, h);
	memcpy((uint8_t *)value.mv_data + RECORD_HEADER_LEN, d->entry, d->entry_len);
	rc = put_blobs(log, d, t->size);
	if (rc == 0)
		rc = log_tiles_add(log, &leaf);
	t->size++;
	return rc;
}

static int put_note(struct eventlog *log, const struct append *a)
{
	uint8_t place[8];
	MDB_val key = val_of(place, sizeof(place)), value = val_of(a->note.ptr, a->note.len);

	put_be64(place, a->note_size);
	return mdb_err(mdb_put(log->txn, log->notes, &key, &value, 0));
}

static int begin(struct eventlog *log)
{
	return log->txn != NULL ? 0 : mdb_err(mdb_txn_begin(log->env.env, NULL, 0, &log->txn));
}

/* Errors that are the append's own; all others end the writer. */
static bool is_answer(int rc)
{
	return rc == ERR_CONFLICT || rc == ERR_TAKEN;
}

/* The events of one append: decided all, then put all. */
static int append_events(struct eventlog *log, struct turn *t, struct append *a, struct record_header *headers,
    bool *is_new)
{
	uint64_t mark = log_tail_mark(&log->tail), position, n_new = 0;
	int64_t now_us;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < a->n_events; i++) {
		rc = decide_event(log, a, &a->events[i], t->size + n_new, &position, &is_new[i], &headers[i]);
		if (rc != 0)
			break;
		if (i == 0)
			a->position = position;
		if (a->positions != NULL)
			a->positions[i] = position;
		n_new += is_new[i];
	}
	if (rc != 0) {
		log_tail_undo(&log->tail, mark);
		return rc;
	}
	a->n_appended = n_new;
	a->duplicate = n_new == 0;
	t->duplicates += a->n_events - n_new;
	if (n_new == 0)
		return 0;

	now_us = clock_wall_us(log->o.clock);
	if (now_us < log->last_time_us && !PLANTED(time_falls))
		now_us = log->last_time_us; /* time in the log never goes backwards */
	log->last_time_us = now_us;
	rc = begin(log);
	for (size_t i = 0; rc == 0 && i < a->n_events; i++) {
		if (is_new[i])
			rc = put_record(log, t, &a->events[i], &headers[i], now_us);
	}
	t->wrote = true;
	t->appended += n_new;
	t->appended_bytes += a->bytes;
	return rc;
}

/* a->rc becomes the append's answer; what is returned ends the turn. */
static int append_one(struct eventlog *log, struct turn *t, struct append *a, struct record_header *headers,
    bool *is_new)
{
	int rc;

	if (a->n_events == 0) {
		if (atomic_load(&log->disk_critical)) {
			a->rc = ERR_DISK_FULL;
			return 0;
		}
		rc = begin(log);
		if (rc == 0)
			rc = put_note(log, a);
		t->wrote = true;
		return rc;
	}
	if (atomic_load(&log->refused)) {
		a->rc = ERR_UNAVAILABLE;
		return 0;
	}
	if (atomic_load(&log->disk_low)) {
		a->rc = ERR_DISK_FULL;
		t->refused_disk++;
		return 0;
	}
	if (t->size - atomic_load(&log->index_position) > log->o.index_lag_max) {
		a->rc = ERR_BUSY;
		t->refused_busy++;
		return 0;
	}
	rc = append_events(log, t, a, headers, is_new);
	t->conflicts += rc == ERR_CONFLICT;
	t->taken += rc == ERR_TAKEN;
	if (!is_answer(rc))
		return rc;
	a->rc = rc;
	return 0;
}

/* ---- a turn -------------------------------------------------------------- */

/*
 * With queue_lock. A commit costs about the same whatever is in it, and under load that is processor and disk which the answers
 * and the read models lack: a few hundred microseconds of waiting save a quarter of it. An append alone never waits,
 * nor does one behind which many have gathered already.
 */
static void gather(struct eventlog *log)
{
	uint64_t us = log->turn_us * GATHER_PERCENT / 100;
	struct timespec until;

	if (log->turn_appends < 2 || log->queue_appends >= GATHER_ENOUGH)
		return;
	until = thread_deadline_us(us < log->o.gather_us_max ? us : log->o.gather_us_max);
	while (!log->closing && pthread_cond_timedwait(&log->queue_filled, &log->queue_lock, &until) == 0)
		;
}

/* Waits for work and takes as much as one commit may hold. False when there will be no more. */
static bool take(struct eventlog *log, struct turn *t)
{
	*t = (struct turn){.size = atomic_load(&log->size)};
	list_init(&t->appends);
	pthread_mutex_lock(&log->queue_lock);
	while (list_empty(&log->queue) && !log->closing)
		pthread_cond_wait(&log->queue_filled, &log->queue_lock);
	gather(log);
	while (!list_empty(&log->queue)) {
		struct append *a = container_of(log->queue.next, struct append, link);
		uint64_t n = a->n_events > 0 ? a->n_events : 1;

		if (!list_empty(&t->appends) &&
		    (t->events + n > log->o.commit_events_max || t->bytes + a->bytes > log->o.commit_bytes_max))
			break;
		list_remove(&a->link);
		list_append(&t->appends, &a->link);
		t->n_appends++;
		t->events += n;
		t->bytes += a->bytes;
		log->queue_appends--;
		log->queue_bytes -= a->bytes;
	}
	pthread_mutex_unlock(&log->queue_lock);
	return !list_empty(&t->appends);
}

/* The index as it stands now, for this turn's look-ups; and the tail without what it has. */
static int look_at_index(struct eventlog *log)
{
	struct log_index_state state;
	int rc;

	rc = log_env_read(&log->index.env, &log->index_txn);
	if (rc == 0)
		rc = log_index_state(&log->index, log->index_txn, &state);
	if (rc == 0)
		log_tail_drop(&log->tail, state.position);
	return rc;
}

static void answer(struct eventlog *log, struct list *appends, int rc, bool grown);

static int write_turn(struct eventlog *log, struct turn *t)
{
	static _Thread_local struct record_header headers[APPEND_EVENTS_MAX];
	static _Thread_local bool is_new[APPEND_EVENTS_MAX];
	int rc;

	disk_check_now_and_then(log);
	t->tail_mark = log_tail_mark(&log->tail);
	rc = look_at_index(log);
	for (struct list *l = t->appends.next; rc == 0 && l != &t->appends; l = l->next)
		rc = append_one(log, t, container_of(l, struct append, link), headers, is_new);
	log_env_done(&log->index.env, &log->index_txn);
	if (rc == 0 && t->wrote)
		rc = log_tiles_flush(log);
	if (PLANTED(ack_before_commit) && rc == 0)
		answer(log, &t->appends, 0, false);
	if (rc == 0 && t->wrote) {
		t->committing = true;
		rc = mdb_err(mdb_txn_commit(log->txn));
		log->txn = NULL;
		if (PLANTED(ignore_commit))
			rc = 0;
	}
	log->disk_written += t->appended_bytes;
	return rc;
}

static void histogram_add(struct log_histogram *h, const uint32_t bounds[LOG_BUCKETS - 1], uint64_t value)
{
	unsigned i = 0;

	while (i < LOG_BUCKETS - 1 && value > bounds[i])
		i++;
	h->counts[i]++;
	h->n++;
	h->sum += value;
}

/* Durable: first the look-ups, then the size. Whoever is answered or told after this finds the events. */
static void publish(struct eventlog *log, const struct turn *t)
{
	struct eventlog_stats *s = &log->stats;
	bool grown = t->appended > 0;

	log_tail_commit(&log->tail);
	pthread_mutex_lock(&log->state_lock);
	if (grown) {
		log->edge = log->tree->edge;
		s->last_time_us = log->last_time_us;
	}
	atomic_store_explicit(&log->size, t->size, memory_order_release);
	s->appended += t->appended;
	s->bytes += t->appended_bytes;
	s->duplicates += t->duplicates;
	s->conflicts += t->conflicts;
	s->taken += t->taken;
	s->refused_disk += t->refused_disk;
	s->refused_busy += t->refused_busy;
	if (t->wrote) {
		s->commits++;
		histogram_add(&s->commit_us, log_bounds_us, log->turn_us);
		histogram_add(&s->commit_events, log_bounds_events, t->appended);
	}
	pthread_mutex_unlock(&log->state_lock);
}

/* Read models and index come last: they are behind anyway, while somebody waits for each answer. */
static void tell(struct eventlog *log, const struct turn *t)
{
	pthread_mutex_lock(&log->state_lock);
	pthread_cond_broadcast(&log->grown);
	pthread_mutex_unlock(&log->state_lock);
	eventlog_index_tell(log, t->size);
}

/* Every append goes back where it came from, with its own rc or, where that is 0, this one. */
static void answer(struct eventlog *log, struct list *appends, int rc, bool grown)
{
	bool waited = false;

	while (!list_empty(appends)) {
		struct append *a = container_of(appends->next, struct append, link);

		list_remove(&a->link);
		if (a->rc == 0)
			a->rc = rc;
		if (a->port != NULL) {
			log_port_post(a);
			continue;
		}
		pthread_mutex_lock(&log->queue_lock);
		a->done = waited = true;
		pthread_mutex_unlock(&log->queue_lock);
	}
	if (waited) {
		pthread_mutex_lock(&log->queue_lock);
		pthread_cond_broadcast(&log->done);
		pthread_mutex_unlock(&log->queue_lock);
	}
	log_ports_flush(log, grown);
}

/* No append is taken from now on; those that wait are told. */
static void stop_queue(struct eventlog *log, int rc)
{
	struct list rest;

	list_init(&rest);
	pthread_mutex_lock(&log->queue_lock);
	log->stopped = true;
	log->stopped_rc = rc;
	list_splice(&rest, &log->queue);
	log->queue_appends = 0;
	log->queue_bytes = 0;
	pthread_mutex_unlock(&log->queue_lock);
	answer(log, &rest, rc, false);
}

static void drop_txn(struct eventlog *log)
{
	if (log->txn != NULL)
		mdb_txn_abort(log->txn);
	log->txn = NULL;
}

/* What may pass, and was met before anything was committed. */
static bool is_harmless(const struct turn *t, int rc)
{
	return !t->committing && (rc == ERR_NOMEM || rc == ERR_BUSY || rc == ERR_DISK_FULL);
}

/* The writer as it was before the turn; its appends are told rc. */
static int undo(struct eventlog *log, struct turn *t, int rc)
{
	MDB_txn *txn = NULL;
	int undo_rc;

	drop_txn(log);
	log_tail_undo(&log->tail, t->tail_mark);
	undo_rc = log_env_read(&log->env, &txn);
	if (undo_rc == 0)
		undo_rc = log_tiles_load(log, txn, atomic_load(&log->size));
	log_env_done(&log->env, &txn);
	if (undo_rc != 0)
		return undo_rc;
	log_warn("eventlog", "a batch was refused before anything of it was written", "error", err_name(rc));
	answer(log, &t->appends, rc, false);
	return 0;
}

static void die(struct eventlog *log, struct turn *t, int rc)
{
	log_error("eventlog", "writing failed, its outcome is unknown: the writer has stopped", "error",
	    err_name(rc), "dir", log->log_dir);
	drop_txn(log);
	eventlog_refuse(log, "writing failed; the next start will find out what was kept");
	answer(log, &t->appends, ERR_UNKNOWN_OUTCOME, false);
	stop_queue(log, ERR_UNAVAILABLE);
	if (log->o.on_fatal != NULL)
		log->o.on_fatal(log->o.arg, rc);
}

void *eventlog_writer(void *arg)
{
	struct eventlog *log = arg;
	struct turn turn;

	thread_name("log writer");
	while (take(log, &turn)) {
		uint64_t began_us = log_monotonic_us();
		int rc = write_turn(log, &turn);

		if (is_harmless(&turn, rc) && undo(log, &turn, rc) == 0)
			continue;
		if (rc != 0) {
			die(log, &turn, rc);
			return NULL;
		}
		log->turn_us = log_monotonic_us() - began_us;
		log->turn_appends = turn.n_appends;
		publish(log, &turn);
		answer(log, &turn.appends, 0, turn.appended > 0);
		if (turn.appended > 0)
			tell(log, &turn);
	}
	stop_queue(log, ERR_UNAVAILABLE);
	return NULL;
}
