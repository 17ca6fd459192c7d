/* The engine over a log and read models of the test's own, with one lane and a neighbour made up by the test. */
#ifndef LULAB_TESTS_EFFECT_RIG_H
#define LULAB_TESTS_EFFECT_RIG_H

#include "store/effect.h"

#include <pthread.h>
#include <stdatomic.h>

#include "lib/run.h"
#include "projection_fixture.h"

static struct projection_fixture f;
static struct projector *projector;
static struct query_pool *pool;
static struct effects *engine;

/* ---- the neighbour ----------------------------------------------------------------- */

#define SEEN_MAX 512

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool held;               /* runs wait */
	unsigned n, n_running, n_running_max, n_batches;
	uint64_t causes[SEEN_MAX];
	bool after_unknown[SEEN_MAX];
	char first_key[EFFECT_KEY_MAX + 1];
	enum effect_outcome next[8]; /* of the first runs; then EFFECT_DONE */
	unsigned n_next;
	bool host_failed;
	bool erased;
	const char *class; /* of what is not done */
} peer = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline void run(struct effect_call *calls, size_t n)
{
	pthread_mutex_lock(&peer.lock);
	if (peer.n_batches++ == 0)
		snprintf(peer.first_key, sizeof(peer.first_key), "%s", calls[0].key);
	peer.n_running++;
	peer.n_running_max = peer.n_running > peer.n_running_max ? peer.n_running : peer.n_running_max;
	for (size_t i = 0; i < n; i++) {
		peer.causes[peer.n % SEEN_MAX] = calls[i].cause_position;
		peer.after_unknown[peer.n % SEEN_MAX] = calls[i].after_unknown;
		calls[i].outcome = peer.n < peer.n_next ? peer.next[peer.n] : EFFECT_DONE;
		calls[i].host_failed = peer.n < peer.n_next && peer.host_failed;
		calls[i].class = calls[i].outcome == EFFECT_DONE ? NULL : peer.class;
		effect_progress_tell(calls[i].progress, 7, 9);
		peer.n++;
	}
	pthread_cond_broadcast(&peer.changed);
	while (peer.held && !atomic_load(calls[0].stopping)) { /* of which nobody tells */
		pthread_mutex_unlock(&peer.lock);
		usleep(1000);
		pthread_mutex_lock(&peer.lock);
	}
	peer.n_running--;
	pthread_mutex_unlock(&peer.lock);
}

static inline void until_seen(unsigned n)
{
	pthread_mutex_lock(&peer.lock);
	while (peer.n < n)
		pthread_cond_wait(&peer.changed, &peer.lock);
	pthread_mutex_unlock(&peer.lock);
}

static inline void hold(bool held)
{
	pthread_mutex_lock(&peer.lock);
	peer.held = held;
	pthread_cond_broadcast(&peer.changed);
	pthread_mutex_unlock(&peer.lock);
}

static inline bool wanted(const struct effect_call *call)
{
	(void)call;
	return !peer.erased;
}

/* ---- the service ---------------------------------------------------------------------- */

static struct effect_lane lane;
static struct effect effect;
static int64_t batch_wait_max_ms; /* a setting */
static const struct clock *engine_clock = &clock_system;

static inline void start_engine(void)
{
	struct effect_entry entry = {.effect = &effect, .enabled = true};
	struct effects_options o = {.log = f.log, .queries = pool, .sealer = f.sealer, .clock = engine_clock,
	    .rng = &rng_system, .entries = &entry, .n_entries = 1, .base_max_ms = 5, .breaker_ms = 20,
	    .batch_wait_max_ms = batch_wait_max_ms};

	ck_assert_int_eq(effects_start(&engine, &o), 0);
}

static inline void stop_engine(void)
{
	hold(false);
	effects_stop(engine);
	engine = NULL;
}

/* As fixture_init_on(). */
static inline void setup_on(int (*disk_space)(void *, uint64_t *, uint64_t *))
{
	struct query_pool_options options = {.clock = &clock_system};

	fixture_init_on(&f, disk_space);
	ck_assert_int_eq(projector_start(&projector, &f.options), 0);
	await_live(projector);
	options.projector = projector;
	ck_assert_int_eq(query_pool_open(&pool, &options), 0);
	lane = (struct effect_lane){.name = "mail", .class = EFFECT_MAIL, .concurrency = 2, .base_ms = 5, .cap_ms = 40,
	    .tries_max = 4, .age_max_ms = INT64_C(1) << 50};
	effect = (struct effect){.name = "mail.code", .lane = &lane, .run = run, .wanted = wanted};
	memset(peer.causes, 0, sizeof(peer.causes));
	peer.n = peer.n_running = peer.n_running_max = peer.n_batches = peer.n_next = 0;
	peer.held = peer.host_failed = peer.erased = false;
	peer.class = "made_up";
	batch_wait_max_ms = 0;
}

static inline void setup(void)
{
	setup_on(NULL);
}

static inline void teardown(void)
{
	stop_engine();
	query_pool_close(pool);
	projector_stop(projector);
	fixture_finish(&f);
}

#define NEVER "9999999999999"

static inline uint64_t want_until(const char *key, const char *expires)
{
	static int n;
	char data[512];

	snprintf(data, sizeof(data), "{\"request_id\":\"%032d\",\"purpose\":\"LOGIN\",\"channel\":\"EMAIL\","
	    "\"target_digest\":\"%sAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
	    "\"address_digest\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"deliver\":true,\"expires_at_ms\":%s,"
	    "\"sealed_code\":\"x\"}", n++, key, expires);
	return give(&f, "verification.requested", data);
}

static inline uint64_t want(const char *key)
{
	return want_until(key, NEVER);
}

static inline uint64_t count(const char *type)
{
	return count_events(&f, type);
}

/* Until the log has so many of them; the test's own time limit says when that was never. */
static inline void until_told(const char *type, uint64_t n)
{
	while (count(type) < n)
		ck_assert_int_ne(eventlog_wait(f.log, eventlog_size(f.log), 50), ERR_CANCELLED);
}

static inline void states_are(const char *json)
{
	wait_all(&f, projector);
	rows_are(pool, "effects", "fields=state,reason,attempt&sort=createdAt", json);
}

#endif
