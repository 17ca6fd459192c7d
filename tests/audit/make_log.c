/*
 * Makes a data directory with a signed log in it, for the tests of the auditor's
 * tools: `make_log DIR EVENTS BLOB_EVERY SIGN_EVERY`. Every BLOB_EVERY-th event
 * has a blob (0: none); a checkpoint is signed after every SIGN_EVERY events
 * and at the end. Run again on the same directory it adds to the log.
 *
 * With a fifth argument a new log begins with log.created, as the service's do,
 * and all is written as if it were so many days ago.
 *
 * MAKE_LOG_PAD in the environment sets how long a record is: 540 bytes and so many
 * (default 100).
 *
 * `make_log DIR add-key DAYS_AGO` and `make_log DIR retire-key DAYS_AGO` change
 * the key then, as `lulab log key` does now.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "crypto/crypto.h"
#include "domain/event.h"
#include "store/checkpoint.h"
#include "store/eventlog.h"
#include "store/log_keys.h"

#define BATCH 1024

static int64_t days_ago;
static int pad = 100;

static int64_t wall_us(void *arg)
{
	(void)arg;
	return clock_wall_us(&clock_system) - days_ago * INT64_C(86400000000);
}

static int64_t monotonic_us(void *arg)
{
	(void)arg;
	return clock_monotonic_us(&clock_system);
}

static const struct clock clock_then = {.wall_us = wall_us, .monotonic_us = monotonic_us};

static uint16_t type_number(struct slice name)
{
	const struct event_type_info *type = event_type_by_name(name);

	return type == NULL ? 0 : type->id;
}

static int make_draft(struct arena *a, uint64_t number, bool has_blob, struct event_draft *ret)
{
	struct event_context ctx = {.rng = &rng_system, .clock = &clock_then};
	struct event_meta meta = {.source = SLICE("/webhooks/tencent"), .actor = SLICE("webhook:tencent"),
	    .expect = EXPECT_ANY, .has_once = true};
	struct event_webhook_received e = {
	    .source = SLICE("tencent"),
	    .vendor_event = SLICE("meeting.something-new"),
	    .reason = SLICE("unknown_event"),
	    .fingerprint = SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
	};
	struct slice parts[2] = {SLICE("make_log"), slice_of(&number, sizeof(number))};
	struct blob_draft *blob = arena_alloc(a, sizeof(*blob));

	e.trace_id = slice_str(arena_printf(a, "trace-%0*" PRIu64, pad, number));
	blake2b(meta.once, sizeof(meta.once), SLICE(""), parts, 2);
	if (has_blob) {
		char hex[65];

		blob->bytes = slice_str(arena_printf(a, "the body of delivery %" PRIu64 "%0*d", number, (int)(number % 5000), 0));
		sha256(blob->sha256, &blob->bytes, 1);
		for (int i = 0; i < 32; i++)
			snprintf(hex + 2 * i, 3, "%02x", blob->sha256[i]);
		meta.blobs = blob;
		meta.n_blobs = 1;
		e.has_raw = true;
		e.raw.blob = slice_str(arena_printf(a, "%s", hex));
		e.raw.size = (int64_t)blob->bytes.len;
	}
	return event_draft_make(&ctx, EVENT_WEBHOOK_RECEIVED, &e, &meta, a, ret, NULL);
}

static int append_some(struct eventlog *log, uint64_t first, unsigned n, unsigned blob_every)
{
	struct arena a = ARENA_INIT(64u << 20);
	struct event_draft drafts[BATCH];
	struct append append = {.events = drafts, .n_events = n};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < n; i++)
		rc = make_draft(&a, first + i, blob_every > 0 && (first + i) % blob_every == 0, &drafts[i]);
	/* Refused while the index is too far behind: asked for again, as any sender does. */
	while (rc == 0 && (rc = eventlog_append_wait(log, &append)) == ERR_BUSY) {
		usleep(10000);
		rc = 0;
	}
	arena_finish(&a);
	return rc;
}

static int begin(struct eventlog *log, const struct signer *signer, const char *origin)
{
	struct event_context ctx = {.rng = &rng_system, .clock = &clock_then};
	struct event_meta meta = {.source = SLICE("/"), .actor = SLICE("system"), .expect = EXPECT_NONE};
	struct event_log_created e = {.origin = slice_str(origin)};
	struct buf vkey = BUF_INIT(1024);
	struct arena a = ARENA_INIT(1u << 20);
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	int rc;

	rc = note_key_format(&vkey, signer_key(signer));
	e.vkey = buf_slice(&vkey);
	if (rc == 0)
		rc = event_draft_make(&ctx, EVENT_LOG_CREATED, &e, &meta, &a, &draft, NULL);
	if (rc == 0)
		rc = eventlog_append_wait(log, &append);
	buf_finish(&vkey);
	arena_finish(&a);
	return rc;
}

static int fill(struct eventlog *log, struct signer *signer, uint64_t n, unsigned blob_every, uint64_t sign_every)
{
	uint64_t first = eventlog_size(log), end = first + n;
	int rc = 0;

	for (uint64_t at = first; rc == 0 && at < end;) {
		uint64_t to_sign = sign_every - at % sign_every, left = end - at;
		unsigned some = BATCH;

		if (some > left)
			some = (unsigned)left;
		if (some > to_sign)
			some = (unsigned)to_sign;
		rc = append_some(log, at, some, blob_every);
		at += some;
		if (rc == 0 && at % sign_every == 0)
			rc = signer_sign_now(signer, at);
	}
	return rc;
}

struct run {
	struct eventlog *log;
	struct signer *signer;
	struct signer_options options;
};

static int sign(void *arg)
{
	struct run *r = arg;
	int rc = signer_start(&r->signer, &r->options);

	if (rc == 0)
		rc = signer_sign_now(r->signer, eventlog_size(r->log));
	signer_stop(r->signer);
	r->signer = NULL;
	return rc;
}

static int change_key(struct run *r, bool add)
{
	struct log_key_change c = {.log = r->log, .data_dir = r->options.data_dir, .origin = r->options.origin,
	    .clock = &clock_then, .rng = &rng_system};
	struct log_key key;
	int64_t ready_us;
	int rc;

	rc = add ? log_key_add(&c, &key) : log_key_retire(&c, sign, r, &key, &ready_us);
	return rc != 0 ? rc : sign(r);
}

int main(int argc, char **argv)
{
	char origin[LOG_ORIGIN_MAX + 1];
	struct buf problem = BUF_INIT(1024);
	bool add_key = argc == 4 && strcmp(argv[2], "add-key") == 0, retire_key = argc == 4 && strcmp(argv[2], "retire-key") == 0;
	struct run r = {0};
	int rc;

	if (argc != 5 && argc != 6 && !add_key && !retire_key)
		return 2;
	if (argc != 5)
		days_ago = strtol(argv[argc - 1], NULL, 10);
	if (getenv("MAKE_LOG_PAD") != NULL)
		pad = (int)strtol(getenv("MAKE_LOG_PAD"), NULL, 10);
	rc = crypto_init();
	if (rc == 0)
		rc = dir_create(argv[1], 0755);
	if (rc == 0)
		rc = log_origin(origin, argv[1], "log.example.test/events", &rng_system);
	if (rc == 0) {
		struct eventlog_options options = {.dir = argv[1], .clock = &clock_then, .reserve_off = true,
		    .type_number = type_number, .problem = &problem, .map_bytes = UINT64_C(64) << 30};

		rc = eventlog_open(&r.log, &options);
	}
	if (rc == 0)
		r.options = (struct signer_options){.data_dir = argv[1], .origin = origin, .log = signed_log_of(r.log),
		    .interval_ms = 60000, .events_max = UINT64_MAX, .clock = &clock_then, .rng = &rng_system};
	if (rc == 0 && argc == 4) {
		rc = change_key(&r, add_key);
	} else if (rc == 0) {
		rc = signer_start(&r.signer, &r.options);
		if (rc == 0 && argc == 6 && eventlog_size(r.log) == 0)
			rc = begin(r.log, r.signer, origin);
		if (rc == 0)
			rc = fill(r.log, r.signer, strtoull(argv[2], NULL, 10), (unsigned)strtoul(argv[3], NULL, 10),
			    strtoull(argv[4], NULL, 10));
		signer_stop(r.signer);
	}
	eventlog_close(r.log);
	if (rc != 0)
		fprintf(stderr, "make_log: %s %s\n", err_name(rc), problem.ptr == NULL ? "" : problem.ptr);
	buf_finish(&problem);
	return rc == 0 ? 0 : 1;
}
