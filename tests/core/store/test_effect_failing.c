/*
 * The engine while every call of its threads that can fail does so once: what is owed is done all the same, by this run
 * of the engine or by the next, and nothing is tried that the log does not know of.
 */
#include "store/effect.h"

#include <stdatomic.h>

#include "base/log.h"
#include "base/thread.h"
#include "core/store/projection_fixture.h"
#include "lib/failing.h"
#include "lib/run.h"

#define GIVE_UP_MS 100 /* of an act whose engine was told to wait: the next one goes on */

static struct projection_fixture f;
static struct projector *projector;
static struct query_pool *pool;
static struct effects *engine;
static uint64_t n_wanted;
static bool noted; /* the first act, in which nothing fails, is over */
static _Atomic unsigned n_runs;

/* The first time it does not work. */
static void run(struct effect_call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		calls[i].outcome = calls[i].attempt == 1 ? EFFECT_RETRY : EFFECT_DONE;
		calls[i].class = calls[i].attempt == 1 ? "made_up" : NULL;
		atomic_fetch_add(&n_runs, 1);
	}
}

static struct effect_lane lane = {.name = "mail", .class = EFFECT_MAIL, .concurrency = 1, .base_ms = 1, .cap_ms = 2,
    .tries_max = 100, .age_max_ms = INT64_C(1) << 50};
static struct effect effect = {.name = "mail.code", .lane = &lane, .run = run};

static int start_engine(void)
{
	struct effect_entry entry = {.effect = &effect, .enabled = true};
	struct effects_options o = {.log = f.log, .queries = pool, .sealer = f.sealer, .clock = &clock_system,
	    .rng = &rng_system, .entries = &entry, .n_entries = 1, .base_max_ms = 2, .breaker_ms = 20};

	return effects_start(&engine, &o);
}

static void stop_engine(void)
{
	effects_stop(engine);
	engine = NULL;
}

static uint64_t count(const char *type)
{
	return count_events(&f, type);
}

static void want(const char *key)
{
	char data[512];

	snprintf(data, sizeof(data), "{\"request_id\":\"%032llu\",\"purpose\":\"LOGIN\",\"channel\":\"EMAIL\","
	    "\"target_digest\":\"%sAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
	    "\"address_digest\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"deliver\":true,"
	    "\"expires_at_ms\":9999999999999,\"sealed_code\":\"x\"}", (unsigned long long)n_wanted++, key);
	give(&f, "verification.requested", data);
}

/* All that is wanted, or until then. */
static void await_done(int64_t until_us)
{
	while (count("effect.done") < n_wanted && clock_monotonic_us(&clock_system) < until_us)
		ck_assert_int_ne(eventlog_wait(f.log, eventlog_size(f.log), 20), ERR_CANCELLED);
}

static int act(void)
{
	int rc = start_engine();

	failing_pause();
	want("AA");
	want("AA");
	want("BB");
	if (rc == 0)
		await_done(noted ? clock_monotonic_us(&clock_system) + GIVE_UP_MS * 1000 : INT64_MAX);
	failing_go_on();
	stop_engine();
	return rc;
}

static void all_is_done(int rc, const char *what)
{
	ck_assert_msg(rc == 0 || what != NULL, "%s", err_name(rc));
	ck_assert_int_eq(start_engine(), 0);
	await_done(INT64_MAX);
	stop_engine();
	ck_assert_msg(count("effect.done") == n_wanted, "after %s failed", what == NULL ? "nothing" : what);
	ck_assert_msg(n_runs <= count("effect.attempted"), "after %s failed more was tried than the log says", what);
	/* In the first act, that is. Later what was tried may have failed before it ran, also what the last act, without a failure, found. */
	ck_assert_msg(n_runs >= 2 * n_wanted || noted, "%u runs", n_runs);
	ck_assert_uint_eq(count("effect.dead") + count("effect.failed") + count("effect.cancelled"), 0);
	noted = true;
}

static void quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

static void setup(void)
{
	struct query_pool_options options = {.clock = &clock_system, .n_threads = 1};

	log_set_sink(quiet, NULL);
	fixture_init(&f);
	ck_assert_int_eq(projector_start(&projector, &f.options), 0);
	await_live(projector);
	options.projector = projector;
	ck_assert_int_eq(query_pool_open(&pool, &options), 0);
}

static void teardown(void)
{
	query_pool_close(pool);
	projector_stop(projector);
	fixture_finish(&f);
	log_set_sink(NULL, NULL);
}

/* 0: a call. 1: several in a row, so that what is told otherwise then cannot be told either. */
START_TEST(what_is_owed_is_done_whatever_fails)
{
	/* Not the log's writer and the read models, which have tests of their own. */
	static const char *const threads[] = {"the test", "lulab-effects", "lulab-clerk", "lulab-effect", NULL};
	struct failing_walk walk = {.kinds = FAILING_ALL, .act = act, .after = all_is_done, .threads = threads, .depth = 6,
	    .runs_on = true, .lasts = _i == 0 ? 1 : 4};
	unsigned n;

	thread_name("the test");
	n = failing_walk(&walk);
	ck_assert_msg(n >= 60, "only %u calls failed", n);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("effect_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, what_is_owed_is_done_whatever_fails, 0, 2);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
