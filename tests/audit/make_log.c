/*
 * Makes a data directory with a signed log in it, for the tests of the auditor's
 * tools: `make_log DIR EVENTS BLOB_EVERY SIGN_EVERY`. Every BLOB_EVERY-th event
 * has a blob (0: none); a checkpoint is signed after every SIGN_EVERY events
 * and at the end. Run again on the same directory it adds to the log.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/io.h"
#include "crypto/crypto.h"
#include "domain/event.h"
#include "store/checkpoint.h"
#include "store/eventlog.h"

#define BATCH 256

static uint16_t type_number(struct slice name)
{
	const struct event_type_info *type = event_type_by_name(name);

	return type == NULL ? 0 : type->id;
}

static int make_draft(struct arena *a, uint64_t number, bool has_blob, struct event_draft *ret)
{
	struct event_context ctx = {.rng = &rng_system, .clock = &clock_system};
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

	e.trace_id = slice_str(arena_printf(a, "trace-%0100" PRIu64, number));
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
	if (rc == 0)
		rc = eventlog_append_wait(log, &append);
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

int main(int argc, char **argv)
{
	char origin[LOG_ORIGIN_MAX + 1];
	struct buf problem = BUF_INIT(1024);
	struct signer *signer = NULL;
	struct eventlog *log = NULL;
	int rc;

	if (argc != 5)
		return 2;
	rc = crypto_init();
	if (rc == 0)
		rc = dir_create(argv[1], 0755);
	if (rc == 0)
		rc = log_origin(origin, argv[1], "log.example.test/events", &rng_system);
	if (rc == 0) {
		struct eventlog_options options = {.dir = argv[1], .clock = &clock_system, .reserve_off = true,
		    .type_number = type_number, .problem = &problem, .map_bytes = UINT64_C(64) << 30};

		rc = eventlog_open(&log, &options);
	}
	if (rc == 0) {
		struct signer_options options = {.data_dir = argv[1], .origin = origin, .log = signed_log_of(log),
		    .interval_ms = 60000, .events_max = UINT64_MAX, .clock = &clock_system, .rng = &rng_system};

		rc = signer_start(&signer, &options);
	}
	if (rc == 0)
		rc = fill(log, signer, strtoull(argv[2], NULL, 10), (unsigned)strtoul(argv[3], NULL, 10),
		    strtoull(argv[4], NULL, 10));
	signer_stop(signer);
	eventlog_close(log);
	if (rc != 0)
		fprintf(stderr, "make_log: %s %s\n", err_name(rc), problem.ptr == NULL ? "" : problem.ptr);
	buf_finish(&problem);
	return rc == 0 ? 0 : 1;
}
