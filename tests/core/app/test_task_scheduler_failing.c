/*
 * The scheduler while every call of its threads that can fail does so once: a time that has come fires once, in this run of
 * it or in the next, and what was deleted can be read no more.
 */
#include "app/task_scheduler.h"

#include <inttypes.h>

#include "base/log.h"
#include "base/thread.h"
#include "core/store/projection_fixture.h"
#include "lib/failing.h"
#include "lib/run.h"

#define GIVE_UP_US 100000 /* of an act whose scheduler leaves the task alone for a while: the next one goes on */

static struct projection_fixture f;
static struct projector *projector;
static struct query_pool *pool;
static struct task_scheduler *scheduler;
static uint64_t n_due, n_deleted;
static bool noted; /* the first act, in which nothing fails, is over */

static int start(void)
{
	struct task_scheduler_options o = {.log = f.log, .queries = pool, .sealer = f.sealer, .keyring = f.keyring,
	    .clock = &clock_system, .rng = &rng_system};

	return task_scheduler_start(&scheduler, &o);
}

static void stop(void)
{
	task_scheduler_stop(scheduler);
	scheduler = NULL;
}

/* The n-th that is due, or that was deleted. */
static struct id id_of(char kind, uint64_t n)
{
	char text[ID_TEXT_LEN + 1];
	struct id id;

	snprintf(text, sizeof(text), "%c%031" PRIx64, kind, n);
	ck_assert_int_eq(id_parse(slice_str(text), &id), 0);
	return id;
}

static void put(char kind, uint64_t n, const char *schedule)
{
	struct id id = id_of(kind, n);
	char text[ID_TEXT_LEN + 1], data[512];

	id_format(text, &id);
	snprintf(data, sizeof(data), "{\"task_id\":\"%s\",\"name\":\"n\",\"kind\":\"cleanupExpiredData\",%s,\"missed\":\"ONCE\","
	    "\"missed_max\":3,\"priority\":\"NORMAL\",\"time_limit_ms\":1000,\"tries_max\":3,\"next_at_ms\":1000}", text, schedule);
	give(&f, "task.scheduled", data);
}

static void delete(uint64_t n)
{
	struct id id = id_of('d', n);
	char text[ID_TEXT_LEN + 1], data[64];

	put('d', n, "\"type\":\"ONCE\",\"run_at_ms\":9999999999999");
	id_format(text, &id);
	snprintf(data, sizeof(data), "{\"task_id\":\"%s\"}", text);
	give(&f, "task.deleted", data);
}

static uint64_t count(const char *type)
{
	return count_events(&f, type);
}

static void await_fired(int64_t until_us)
{
	while (count("task.fired") < n_due && clock_monotonic_us(&clock_system) < until_us)
		ck_assert_int_ne(eventlog_wait(f.log, eventlog_size(f.log), 20), ERR_CANCELLED);
}

static int act(void)
{
	int rc;

	failing_pause();
	put('a', n_due++, "\"type\":\"ONCE\",\"run_at_ms\":1000");
	put('a', n_due++, "\"type\":\"CRON\",\"cron\":\"0 0 1 1 *\",\"timezone\":\"UTC\"");
	delete(n_deleted++);
	failing_go_on();
	rc = start();
	failing_pause();
	if (rc == 0)
		await_fired(noted ? clock_monotonic_us(&clock_system) + GIVE_UP_US : INT64_MAX);
	failing_go_on();
	stop();
	return rc;
}

static void all_have_fired(int rc, const char *what)
{
	ck_assert_msg(rc == 0 || what != NULL, "%s", err_name(rc));
	ck_assert_int_eq(start(), 0);
	await_fired(INT64_MAX);
	for (uint64_t i = 0; i < n_deleted; i++) {
		struct id id = id_of('d', i);

		while (!keyring_is_erased(f.keyring, &id)) {
			task_scheduler_look(scheduler);
			usleep(1000);
		}
	}
	stop();
	ck_assert_msg(count("task.fired") == n_due, "after %s failed", what == NULL ? "nothing" : what);
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

START_TEST(what_is_due_fires_once_whatever_fails)
{
	/* Not the log's writer and the read models, which have tests of their own. */
	static const char *const threads[] = {"the test", "lulab-tasks", NULL};
	struct failing_walk walk = {.kinds = FAILING_ALL, .act = act, .after = all_have_fired, .threads = threads, .depth = 6,
	    .runs_on = true};
	unsigned n;

	thread_name("the test");
	n = failing_walk(&walk);
	ck_assert_msg(n >= 15, "only %u calls failed", n);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("task_scheduler_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, what_is_due_fires_once_whatever_fails);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
