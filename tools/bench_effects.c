/*
 * Effects: one HTTP call each to a neighbour that answers at once. Beside it the
 * same client makes the same calls from as many threads, and nothing else.
 *
 * An effect costs three events (what asks for it, its attempt, its end), a row of
 * the read model and a look at it; two of the events are durable before and after the call.
 * What no engine could do without is measured, too: see bench_effects_floor.h.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/io.h"
#include "bench_ceiling.h"
#include "bench_effects_floor.h"
#include "bench_work.h"
#include "crypto/crypto.h"
#include "domain/event.h"
#include "net/http_client.h"
#include "store/effect.h"
#include "store/eventlog.h"
#include "store/keyring.h"
#include "store/projector.h"
#include "store/query.h"
#include "store/seal.h"

#define THREADS 8 /* as the lanes of chat and table APIs have */
#define ANSWER_LEN 64
#define AHEAD 128    /* attempts that the engine tells before a thread is free */
#define RECORD_LEN 512 /* about what is told of an attempt or of its outcome */
#define WANTED_BATCH 64
#define ARENA_BYTES (1 << 20)
#define POLL_US 5000
#define TIMEOUT_US INT64_C(300000000)

/* What both sides call. */
struct neighbour {
	struct ceiling *server; /* NULL: somebody else's */
	char url[256];
};

static int neighbour_start(struct neighbour *n, const char *url)
{
	int rc;

	if (url[0] != '\0') {
		snprintf(n->url, sizeof(n->url), "%s", url);
		return strlen(url) < sizeof(n->url) ? 0 : ERR_TOO_BIG;
	}
	rc = ceiling_start(&n->server, &(struct ceiling_options){.loops = 1, .body_len = ANSWER_LEN});

	if (rc == 0)
		snprintf(n->url, sizeof(n->url), "http://127.0.0.1:%u/act", ceiling_port(n->server));
	return rc;
}

static int act(struct http_client *client, const struct neighbour *n)
{
	struct http_result result;
	int rc = http_client_call(client, &(struct http_call){.url = n->url, .body = SLICE("{\"act\":1}")}, &result);

	if (rc == 0 && result.status != 200)
		rc = ERR_NETWORK;
	http_result_finish(&result);
	return rc;
}

static void *thread_open(void)
{
	struct http_client *client;

	return http_client_create(&client) == 0 ? client : NULL;
}

static void thread_close(void *thread)
{
	http_client_destroy(thread);
}

static int64_t processor_us(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * INT64_C(1000000) + used.ru_utime.tv_usec + used.ru_stime.tv_usec;
}

/* ---- bare ---------------------------------------------------------------------- */

struct caller {
	pthread_t thread;
	const struct neighbour *neighbour;
	_Atomic uint64_t *left;
	int rc;
};

static bool take_one(_Atomic uint64_t *left)
{
	uint64_t n = atomic_load(left);

	while (n > 0 && !atomic_compare_exchange_weak(left, &n, n - 1)) {
	}
	return n > 0;
}

static void *call(void *arg)
{
	struct caller *c = arg;
	struct http_client *client;

	c->rc = http_client_create(&client);
	if (c->rc != 0)
		return NULL;
	while (c->rc == 0 && take_one(c->left))
		c->rc = act(client, c->neighbour);
	http_client_destroy(client);
	return NULL;
}

static int call_all(const struct neighbour *neighbour, unsigned n_threads, uint64_t n)
{
	struct caller callers[THREADS];
	_Atomic uint64_t left = n;
	unsigned started = 0;
	int rc = 0;

	for (; started < n_threads; started++) {
		callers[started] = (struct caller){.neighbour = neighbour, .left = &left};
		if (pthread_create(&callers[started].thread, NULL, call, &callers[started]) != 0)
			break;
	}
	for (unsigned i = 0; i < started; i++) {
		pthread_join(callers[i].thread, NULL);
		rc = rc == 0 ? callers[i].rc : rc;
	}
	return started < n_threads ? ERR_NOMEM : rc;
}

/* A neighbour may answer fewer at a time more quickly, so the limit is what the best number of threads reaches. */
static struct bench_row *measure_bare(struct bench *b, const struct neighbour *neighbour, uint64_t n, int *ret_rc)
{
	struct bench_row *row = bench_row(b, "bare HTTP client, best of 1 to %d threads", THREADS);
	int64_t best_us = INT64_MAX;

	*ret_rc = 0;
	for (unsigned n_threads = 1; *ret_rc == 0 && n_threads <= THREADS; n_threads *= 2) {
		int64_t start_us = bench_now_us(b), used_us = processor_us(), took_us;

		*ret_rc = call_all(neighbour, n_threads, n);
		took_us = bench_now_us(b) - start_us;
		if (took_us >= best_us)
			continue;
		best_us = took_us;
		snprintf(row->note, sizeof(row->note), "%u threads, %.0f us of processor each", n_threads,
		    (double)(processor_us() - used_us) / (double)n);
	}
	if (*ret_rc == 0)
		bench_row_fill(row, "calls", n, best_us, NULL);
	return row;
}

/* ---- the floor -------------------------------------------------------------------- */

static int call_neighbour(void *thread, const void *arg)
{
	return act(thread, arg);
}

static struct bench_row *measure_floor(struct bench *b, const struct neighbour *neighbour, uint64_t n, int *ret_rc)
{
	struct bench_row *row = bench_row(b, "floor: the calls, two commits and a fold");
	int64_t took_us, used_us = processor_us();

	*ret_rc = effects_floor(b, &(struct effects_floor_options){.n = n, .n_threads = THREADS, .n_ahead = AHEAD,
	    .record_len = RECORD_LEN, .thread_open = thread_open, .thread_close = thread_close, .call = call_neighbour,
	    .arg = neighbour}, &took_us);
	bench_row_fill(row, "effects", n, took_us, NULL);
	snprintf(row->note, sizeof(row->note), "%.0f us of processor each", (double)(processor_us() - used_us) / (double)n);
	return row;
}

/* ---- the engine ------------------------------------------------------------------- */

struct engine {
	struct bench *b;
	struct eventlog *log;
	struct keyring *keyring;
	struct sealer *sealer;
	struct projector *projector;
	struct query_pool *queries;
	struct effects *effects;
	uint64_t n_wanted;
};

static void run(struct effect_call *calls, size_t n)
{
	(void)n;
	if (act(calls->thread, calls->state) == 0) {
		calls->outcome = EFFECT_DONE;
	} else {
		calls->outcome = EFFECT_RETRY;
		calls->class = "broken";
	}
}

/* In the place of the codes by mail, whose rows need nothing but one event. */
static const struct effect_lane lane = {.name = "mail", .class = EFFECT_KEYED, .concurrency = THREADS, .base_ms = 500,
    .cap_ms = 300000, .tries_max = 8, .age_max_ms = 86400000};
static const struct effect effect = {.name = "mail.code", .lane = &lane, .run = run, .thread_open = thread_open,
    .thread_close = thread_close};

static int open_stores(struct engine *e, const char *dir)
{
	char keys[BENCH_PATH_MAX + 16], root[BENCH_PATH_MAX + 16];
	int rc;

	snprintf(keys, sizeof(keys), "%s/keys", dir);
	snprintf(root, sizeof(root), "%s/root.key", dir);
	rc = crypto_init();
	if (rc == 0)
		rc = eventlog_open(&e->log, &(struct eventlog_options){.dir = dir, .clock = e->b->clock});
	if (rc == 0)
		rc = keyring_open(&e->keyring, &(struct keyring_options){.dir = keys, .root_key_path = root, .stock = 512,
			.keep_days = 30, .clock = e->b->clock, .rng = &rng_system});
	if (rc == 0)
		rc = sealer_create(&e->sealer, &(struct sealer_options){.keyring = e->keyring, .origin = "bench.example/events",
			.rng = &rng_system});
	if (rc == 0)
		rc = projector_start(&e->projector, &(struct projector_options){.dir = dir, .log = e->log, .sealer = e->sealer,
			.clock = e->b->clock});
	if (rc == 0)
		rc = query_pool_open(&e->queries, &(struct query_pool_options){.projector = e->projector, .clock = e->b->clock});
	return rc;
}

static int start_effects(struct engine *e, const struct neighbour *neighbour)
{
	struct effect_entry entry = {.effect = &effect, .state = (void *)(uintptr_t)neighbour, .enabled = true};

	return effects_start(&e->effects, &(struct effects_options){.log = e->log, .queries = e->queries,
	    .sealer = e->sealer, .clock = e->b->clock, .rng = &rng_system, .entries = &entry, .n_entries = 1});
}

static void close_all(struct engine *e)
{
	effects_stop(e->effects);
	query_pool_close(e->queries);
	projector_stop(e->projector);
	sealer_destroy(e->sealer);
	keyring_close(e->keyring);
	eventlog_close(e->log);
}

static int make_wanted(struct arena *arena, uint64_t i, struct event_draft *ret)
{
	const char *id = arena_printf(arena, "%032" PRIx64, i), *digest = arena_printf(arena, "%043" PRIu64, i);
	struct event_verification_requested data = {
	    .request_id = slice_str(id),
	    .purpose = SLICE("LOGIN"),
	    .channel = SLICE("EMAIL"),
	    .target_digest = slice_str(digest),
	    .address_digest = slice_str(digest),
	    .deliver = true,
	    .expires_at_ms = INT64_C(1) << 50,
	    .sealed_code = SLICE("x"),
	};
	struct event_context context = {.rng = &rng_system, .clock = &clock_system};
	struct event_meta meta = {.source = SLICE("/bench"), .actor = SLICE("bench"), .expect = EXPECT_ANY};

	return event_draft_make(&context, EVENT_VERIFICATION_REQUESTED, &data, &meta, arena, ret, NULL);
}

static int append_wanted(struct engine *e, uint64_t n)
{
	struct arena arena = ARENA_INIT(ARENA_BYTES);
	struct event_draft drafts[WANTED_BATCH];
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < n;) {
		struct append append = {.events = drafts};

		arena_reset(&arena);
		for (; rc == 0 && i < n && append.n_events < WANTED_BATCH; i++)
			rc = make_wanted(&arena, i, &drafts[append.n_events++]);
		if (rc == 0)
			rc = eventlog_append_wait(e->log, &append);
	}
	arena_finish(&arena);
	return rc;
}

static void pause_us(long us)
{
	nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL);
}

static bool is_live(struct engine *e)
{
	struct projection_status status;

	for (unsigned i = 0; projector_status(e->projector, i, &status); i++)
		if (status.state != PROJECTION_LIVE || status.position < eventlog_size(e->log))
			return false;
	return true;
}

static int await(struct engine *e, bool (*reached)(struct engine *e))
{
	int64_t start_us = bench_now_us(e->b);

	while (!reached(e)) {
		if (command_interrupted())
			return ERR_CANCELLED;
		if (bench_now_us(e->b) - start_us > TIMEOUT_US)
			return ERR_TIMEOUT;
		pause_us(POLL_US);
	}
	return 0;
}

/* Told, and so durable. */
static bool all_done(struct engine *e)
{
	struct effect_lane_status status = {0};

	return effects_status(e->effects, 0, &status) && status.done >= e->n_wanted && status.running == 0;
}

static struct bench_row *measure_engine(struct engine *e, const struct neighbour *neighbour, uint64_t n, int *ret_rc)
{
	struct bench_row *row = bench_row(e->b, "effects, the same calls");
	struct effect_lane_status status = {0};
	int64_t start_us, used_us;

	/* What a start tells of its switches is there before the wanted ones, which else are not: it stops and starts. */
	*ret_rc = start_effects(e, neighbour);
	if (*ret_rc == 0)
		*ret_rc = await(e, is_live);
	effects_stop(e->effects);
	e->effects = NULL;
	if (*ret_rc == 0)
		*ret_rc = append_wanted(e, n);
	if (*ret_rc == 0)
		*ret_rc = await(e, is_live);
	start_us = bench_now_us(e->b);
	used_us = processor_us();
	if (*ret_rc == 0)
		*ret_rc = start_effects(e, neighbour);
	if (*ret_rc == 0)
		*ret_rc = await(e, all_done);
	bench_row_fill(row, "effects", n, bench_now_us(e->b) - start_us, NULL);
	effects_status(e->effects, 0, &status);
	snprintf(row->note, sizeof(row->note), "%.0f us of processor each; %" PRIu64 " attempts",
	    (double)(processor_us() - used_us) / (double)n, status.attempts);
	return row;
}

static void note_floor(struct bench_row *row, const struct bench_row *floor)
{
	size_t len = strlen(row->note);

	snprintf(row->note + len, sizeof(row->note) - len, "; %.2f of the floor", row->rate / floor->rate);
}

int bench_effects(struct bench *b, uint64_t n, const char *url)
{
	struct engine e = {.b = b, .n_wanted = n};
	struct neighbour neighbour = {0};
	struct bench_row *bare = NULL, *floor = NULL, *row = NULL;
	char dir[BENCH_PATH_MAX];
	int rc;

	bench_path(b, dir, "effects");
	rc = dir_create(dir, 0700);
	if (rc == 0)
		rc = neighbour_start(&neighbour, url);
	if (rc == 0)
		bare = measure_bare(b, &neighbour, n, &rc);
	if (rc == 0)
		floor = measure_floor(b, &neighbour, n, &rc);
	if (rc == 0)
		rc = open_stores(&e, dir);
	if (rc == 0)
		row = measure_engine(&e, &neighbour, n, &rc);
	if (rc == 0) {
		bench_compare(floor, bare);
		bench_compare(row, bare);
		note_floor(row, floor);
	}
	close_all(&e);
	ceiling_stop(neighbour.server);
	return rc;
}
