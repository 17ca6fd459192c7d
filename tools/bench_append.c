/*
 * Appends straight into an event log, without HTTP, keys or read models:
 * 64 waiters on one loop, each with one event in flight, which is what group
 * commit is made for. Measured at the start of a new log and again when it
 * has grown, because neither an append nor a read must get slower.
 *
 * Raw LMDB gets slower, too: deeper trees, and more pages than the processor's
 * caches and the map's page tables hold at once. So it is grown to as many records of
 * the same size, and what we keep of our rates is compared with what it keeps of its. Both
 * are grown in bigger commits than are measured: trees of keys that only rise come out the same.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/io.h"
#include "bench_raw.h"
#include "bench_work.h"
#include "domain/event.h"
#include "store/eventlog.h"

#define WAITERS 64
#define GROWERS 1024 /* while nothing is measured: bigger commits, sooner done */
#define ARENA_MAX ((size_t)1 << 18)
#define PROBE_EVENTS 100000 /* how many are measured at either end */
#define EVENTS_PER_STREAM 8
#define READS 40000
#define PROOFS 5000
#define RAW_GROW_BATCH 4096
#define INDEX_WAIT_US INT64_C(60000000)

struct waiter {
	struct append append;
	struct event_draft draft;
	struct arena arena;
	int64_t sent_us;
	struct appender *of;
};

struct appender {
	struct bench *b;
	struct eventlog *log;
	struct log_port *port;
	uv_loop_t loop;
	struct waiter waiters[GROWERS];
	uint64_t next, until; /* events begun, and when to stop */
	unsigned n_waiting;
	uint64_t entry_bytes;
	struct bench_histogram latency;
	int rc;
};

/* A meeting's event as it comes from the vendor, but for what would be sealed. */
static int make_draft(struct waiter *w, uint64_t i)
{
	struct event_meeting_started data = {
	    .platform = SLICE("TENCENT_MEETING"),
	    .vendor_event = SLICE("meeting.started"),
	    .operate_at_ms = INT64_C(1760000400000) + (int64_t)i,
	    .has_operate_at_ms = true,
	    .start_at_ms = INT64_C(1760000400000),
	    .has_start_at_ms = true,
	    .end_at_ms = INT64_C(1760004000000),
	    .has_end_at_ms = true,
	    .fingerprint = SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
	};
	struct event_context context = {.rng = &rng_system, .clock = &clock_system};
	struct event_meta meta = {.source = SLICE("/webhooks/tencent"), .actor = SLICE("webhook:tencent"),
	    .has_once = true, .expect = EXPECT_ANY};
	const char *text;

	arena_reset(&w->arena);
	text = arena_printf(&w->arena, "1%016" PRIu64, i / EVENTS_PER_STREAM);
	data.meeting_id = slice_str(text);
	text = arena_printf(&w->arena, "%032" PRIx64, i);
	data.trace_id = slice_str(text);
	event_once_key(meta.once, meta.source, data.trace_id);
	return event_draft_make(&context, EVENT_MEETING_STARTED, &data, &meta, &w->arena, &w->draft, NULL);
}

static append_cb on_appended;

static void send_next(struct waiter *w)
{
	struct appender *a = w->of;

	if (a->rc != 0 || a->next == a->until)
		return;
	a->rc = make_draft(w, a->next);
	if (a->rc != 0)
		return;
	a->next++;
	a->n_waiting++;
	a->entry_bytes += w->draft.entry_len;
	w->append = (struct append){
	    .events = &w->draft, .n_events = 1, .cb = on_appended, .port = a->port, .arg = w};
	w->sent_us = bench_now_us(a->b);
	eventlog_append(a->log, &w->append);
}

static void on_appended(struct append *append)
{
	struct waiter *w = append->arg;
	struct appender *a = w->of;

	bench_histogram_add(&a->latency, bench_now_us(a->b) - w->sent_us);
	a->n_waiting--;
	if (append->rc != 0 && a->rc == 0)
		a->rc = append->rc;
	if (command_interrupted() && a->rc == 0)
		a->rc = ERR_CANCELLED;
	send_next(w);
}

/* Appends until the log has `until` events, n_waiters of them in flight. */
static int append_until(struct appender *a, unsigned n_waiters, uint64_t until)
{
	memset(&a->latency, 0, sizeof(a->latency));
	a->entry_bytes = 0;
	a->until = until;
	for (unsigned i = 0; i < n_waiters; i++)
		send_next(&a->waiters[i]);
	while (a->n_waiting > 0)
		uv_run(&a->loop, UV_RUN_ONCE);
	return a->rc;
}

/* *ret_batch: events a commit, on the average. */
static struct bench_row *measure(struct appender *a, const char *what, uint64_t n, unsigned *ret_batch)
{
	struct bench_row *row = bench_row(a->b, "append, %u waiters, %s", WAITERS, what);
	uint64_t first = a->next, written = bench_bytes_written();
	struct eventlog_stats before, after;
	int64_t start_us = bench_now_us(a->b);

	eventlog_stats(a->log, &before);
	if (append_until(a, WAITERS, first + n) != 0)
		return row;
	eventlog_stats(a->log, &after);
	bench_row_fill(row, "events", a->next - first, bench_now_us(a->b) - start_us, &a->latency);
	*ret_batch = after.commits > before.commits
	    ? (unsigned)((after.appended - before.appended) / (after.commits - before.commits)) : 1;
	snprintf(row->note, sizeof(row->note), "%u a commit; %.2f bytes written per byte", *ret_batch,
	    (double)(bench_bytes_written() - written) / (double)a->entry_bytes);
	return row;
}

/* ---- reading ---------------------------------------------------------------- */

/* Single events all over the log. */
static int read_points(struct appender *a, const char *what, struct bench_row **ret_row)
{
	uint64_t *positions = bench_draw(READS, eventlog_size(a->log));
	int64_t start_us = bench_now_us(a->b);
	int rc = positions == NULL ? ERR_NOMEM : 0;

	*ret_row = bench_row(a->b, "read one event at random, %s", what);
	for (unsigned i = 0; rc == 0 && i < READS; i++) {
		struct log_read read = {0};
		struct log_record record;

		rc = log_read_start(&read, a->log);
		if (rc == 0)
			rc = eventlog_read_one(&read, positions[i], &record);
		log_read_stop(&read);
	}
	bench_row_fill(*ret_row, "events", READS, bench_now_us(a->b) - start_us, NULL);
	free(positions);
	return rc;
}

/* All events of streams all over the log. */
static int read_streams(struct appender *a, const char *what, struct bench_row **ret_row)
{
	uint64_t n = 0;
	uint64_t *numbers = bench_draw(READS / EVENTS_PER_STREAM, eventlog_size(a->log) / EVENTS_PER_STREAM);
	int64_t start_us = bench_now_us(a->b);
	int rc = numbers == NULL ? ERR_NOMEM : 0;

	*ret_row = bench_row(a->b, "read a stream at random, %s", what);
	for (unsigned i = 0; rc == 0 && i < READS / EVENTS_PER_STREAM; i++) {
		struct eventlog_cursor cursor;
		struct log_record record;
		char name[64];

		snprintf(name, sizeof(name), "meeting/TENCENT/1%016" PRIu64, numbers[i]);
		eventlog_cursor_init(&cursor, a->log, 0, &(struct log_filter){.stream = slice_str(name)});
		for (; (rc = eventlog_cursor_next(&cursor, &record)) == 0; n++)
			;
		rc = rc == ERR_END ? 0 : rc;
		eventlog_cursor_finish(&cursor);
	}
	bench_row_fill(*ret_row, "events", n, bench_now_us(a->b) - start_us, NULL);
	free(numbers);
	/* Streams that are not found would be read quickly. */
	return rc == 0 && n < READS / 2 ? ERR_CORRUPT : rc;
}

/* Proofs that single events all over the log are in it, made and checked. */
static int prove_points(struct appender *a, const char *what, struct bench_row **ret_row)
{
	struct tile_reader tiles = eventlog_tiles(a->log);
	struct merkle_hash root;
	uint64_t size;
	int64_t start_us = bench_now_us(a->b);
	int rc = 0;

	*ret_row = bench_row(a->b, "prove that an event is in it, %s", what);
	memset(&a->latency, 0, sizeof(a->latency));
	eventlog_root(a->log, &size, &root);
	for (unsigned i = 0; rc == 0 && i < PROOFS; i++) {
		uint64_t position = rng_below(&rng_system, size);
		int64_t began_us = bench_now_us(a->b);
		struct merkle_proof proof;
		struct merkle_hash leaf;
		struct log_read read = {0};
		struct log_record record;

		rc = merkle_inclusion_make(&proof, position, size, &tiles);
		if (rc == 0)
			rc = log_read_start(&read, a->log);
		if (rc == 0)
			rc = eventlog_read_one(&read, position, &record);
		if (rc == 0)
			merkle_leaf(&leaf, record.entry);
		log_read_stop(&read);
		if (rc == 0 && !merkle_inclusion_holds(&proof, position, size, &leaf, &root))
			rc = ERR_CORRUPT;
		bench_histogram_add(&a->latency, bench_now_us(a->b) - began_us);
	}
	bench_row_fill(*ret_row, "proofs", PROOFS, bench_now_us(a->b) - start_us, &a->latency);
	return rc;
}

struct reads {
	struct bench_row *points, *streams, *proofs;
};

/* What the index does not have yet is looked through; that is the price of its big batches, not of the log's size. */
static int wait_for_index(struct appender *a)
{
	int64_t until_us = bench_now_us(a->b) + INDEX_WAIT_US;
	struct eventlog_stats stats;

	do {
		eventlog_stats(a->log, &stats);
		if (stats.index_position == stats.size)
			return 0;
		uv_sleep(20);
	} while (bench_now_us(a->b) < until_us);
	return ERR_TIMEOUT;
}

static int measure_reads(struct appender *a, const char *what, struct reads *ret)
{
	int rc = wait_for_index(a);

	if (rc == 0)
		rc = read_points(a, what, &ret->points);
	if (rc == 0)
		rc = read_streams(a, what, &ret->streams);
	return rc != 0 ? rc : prove_points(a, what, &ret->proofs);
}

/* ---- raw LMDB over the same range ------------------------------------------- */

struct raw {
	struct raw_store store;
	unsigned batch;
	struct bench_row *early, *early_points;
};

/* Records of the same size in commits of the same size, and then as many of them as the log is to have. */
static int begin_raw(struct appender *a, uint64_t n, unsigned batch, size_t record_len, struct raw *ret)
{
	struct raw_store *s = &ret->store;
	int rc = raw_open(s, a->b, "raw", record_len);

	ret->batch = batch;
	if (rc == 0)
		ret->early = raw_measure_append(a->b, s, "new", batch, PROBE_EVENTS < n ? PROBE_EVENTS : n, &rc);
	if (rc == 0)
		ret->early_points = raw_measure_reads(a->b, s, "new", READS, &rc);
	while (rc == 0 && n >= 2 * PROBE_EVENTS && s->n < n - PROBE_EVENTS)
		rc = command_interrupted() ? ERR_CANCELLED : raw_commit(s, RAW_GROW_BATCH);
	return rc;
}

/* What of its rate something keeps as the log grows, to what raw LMDB keeps. */
static void compare_kept(struct bench *b, const char *what, const struct bench_row *late, double kept, double raw_kept)
{
	struct bench_row *row = bench_row(b, "%s: kept of its rate", what);

	if (raw_kept <= 0)
		return;
	snprintf(row->limit, sizeof(row->limit), "what raw LMDB keeps");
	row->n = late->n;
	row->ratio = kept / raw_kept;
	snprintf(row->note, sizeof(row->note), "%.3f here, %.3f there", kept, raw_kept);
}

/*
 * The disk may be busy for others by now. So raw LMDB is measured on both sides of our
 * appends, each time with half as many, and the times are added.
 */
static int measure_late_appends(struct appender *a, const char *what, const struct bench_row *early, struct raw *raw)
{
	struct bench_row *before, *late, *after;
	unsigned batch;
	int rc;

	before = raw_measure_append(a->b, &raw->store, what, raw->batch, PROBE_EVENTS / 2, &rc);
	if (rc != 0)
		return rc;
	late = measure(a, what, PROBE_EVENTS, &batch);
	if (a->rc != 0)
		return a->rc;
	after = raw_measure_append(a->b, &raw->store, what, raw->batch, PROBE_EVENTS / 2, &rc);
	if (rc != 0)
		return rc;
	bench_compare(before, raw->early);
	bench_compare(late, early);
	bench_compare(after, raw->early);
	compare_kept(a->b, "append", late, late->ratio, 2 / (1 / before->ratio + 1 / after->ratio));
	return 0;
}

static int measure_late_reads(struct appender *a, const char *what, const struct reads *first, struct raw *raw)
{
	struct bench_row *raw_points;
	struct reads last;
	int rc = measure_reads(a, what, &last);

	if (rc != 0)
		return rc;
	raw_points = raw_measure_reads(a->b, &raw->store, what, READS, &rc);
	if (rc != 0)
		return rc;
	bench_compare(raw_points, raw->early_points);
	bench_compare(last.points, first->points);
	bench_compare(last.streams, first->streams);
	bench_compare(last.proofs, first->proofs);
	compare_kept(a->b, "read one event at random", last.points, last.points->ratio, raw_points->ratio);
	compare_kept(a->b, "read a stream at random", last.streams, last.streams->ratio, raw_points->ratio);
	compare_kept(a->b, "prove that an event is in it", last.proofs, last.proofs->ratio, raw_points->ratio);
	return 0;
}

/* ---- all of it --------------------------------------------------------------- */

static int measure_all(struct appender *a, uint64_t n, struct raw *raw)
{
	struct bench_row *early;
	struct reads first;
	char what[32];
	unsigned batch;
	int rc;

	early = measure(a, "new log", n < PROBE_EVENTS ? n : PROBE_EVENTS, &batch);
	if (a->rc != 0)
		return a->rc;
	rc = measure_reads(a, "new log", &first);
	if (rc == 0)
		rc = begin_raw(a, n, batch > 0 ? batch : 1, (size_t)(a->entry_bytes / early->n), raw);
	if (rc != 0)
		return rc;
	bench_compare(early, raw->early);
	if (n < 2 * PROBE_EVENTS)
		return 0;
	if (append_until(a, GROWERS, n - PROBE_EVENTS) != 0)
		return a->rc;
	snprintf(what, sizeof(what), "at %" PRIu64 " events", n);
	rc = wait_for_index(a); /* so that what is measured pays for its own entries, and for no others */
	if (rc == 0)
		rc = measure_late_appends(a, what, early, raw);
	return rc == 0 ? measure_late_reads(a, what, &first, raw) : rc;
}

/* With all the checks of a start. */
static int open_again(struct bench *b, const char *dir, uint64_t n)
{
	struct bench_row *row = bench_row(b, "open a log of %" PRIu64 " events again", n);
	struct eventlog *log = NULL;
	int64_t start_us = bench_now_us(b);
	int rc = eventlog_open(&log, &(struct eventlog_options){.dir = dir, .clock = b->clock});

	row->n = rc == 0;
	row->p50_us = row->max_us = (uint64_t)(bench_now_us(b) - start_us);
	eventlog_close(log);
	return rc;
}

int bench_append(struct bench *b, uint64_t n)
{
	struct appender *a = calloc(1, sizeof(*a));
	struct raw raw = {0};
	char dir[BENCH_PATH_MAX];
	int rc;

	if (a == NULL)
		return ERR_NOMEM;
	a->b = b;
	for (unsigned i = 0; i < GROWERS; i++) {
		a->waiters[i].of = a;
		a->waiters[i].arena.max = ARENA_MAX;
	}
	bench_path(b, dir, "append");
	rc = dir_create(dir, 0700);
	if (rc == 0)
		rc = uv_loop_init(&a->loop) == 0 ? 0 : ERR_NOMEM;
	if (rc == 0)
		rc = eventlog_open(&a->log, &(struct eventlog_options){.dir = dir, .clock = b->clock});
	if (rc == 0)
		rc = log_port_open(&a->port, a->log, &a->loop);
	if (rc == 0)
		rc = measure_all(a, n, &raw);
	raw_close(&raw.store);
	log_port_close(a->port);
	uv_run(&a->loop, UV_RUN_DEFAULT);
	eventlog_close(a->log);
	uv_loop_close(&a->loop);
	if (rc == 0)
		rc = open_again(b, dir, n);
	for (unsigned i = 0; i < GROWERS; i++)
		arena_finish(&a->waiters[i].arena);
	free(a);
	return rc;
}
