/* The scheduler with a clock that the test moves: what fires, once each, over pauses, restarts and steps of the clock. */
#include "app/task_scheduler.h"

#include <inttypes.h>

#include "lib/run.h"
#include "core/store/projection_fixture.h"

#define MINUTE_MS INT64_C(60000)
#define A "00000000000000000000000000000001"
#define B "00000000000000000000000000000002"

static struct projection_fixture f;
static struct projector *projector;
static struct query_pool *pool;
static struct task_scheduler *scheduler;
static int64_t start_ms; /* a full minute */

static void start(void)
{
	struct task_scheduler_options o = {.log = f.log, .queries = pool, .sealer = f.sealer, .keyring = f.keyring,
	    .clock = &f.clock.clock, .rng = &rng_system};

	ck_assert_int_eq(task_scheduler_start(&scheduler, &o), 0);
}

static void stop(void)
{
	task_scheduler_stop(scheduler);
	scheduler = NULL;
}

static void setup(void)
{
	struct query_pool_options options = {.clock = &clock_system};

	fixture_init(&f);
	start_ms = FIXTURE_TIME_US / 1000 / MINUTE_MS * MINUTE_MS + MINUTE_MS;
	ck_assert_int_eq(projector_start(&projector, &f.options), 0);
	await_live(projector);
	options.projector = projector;
	ck_assert_int_eq(query_pool_open(&pool, &options), 0);
}

static void teardown(void)
{
	stop();
	query_pool_close(pool);
	projector_stop(projector);
	fixture_finish(&f);
}

/* So many milliseconds from the start. */
static void move_to(int64_t ms)
{
	clock_manual_set_wall(&f.clock, (start_ms + ms) * 1000);
	if (scheduler != NULL)
		task_scheduler_look(scheduler);
}

static void put(const char *type, const char *id, const char *schedule, const char *missed, int64_t next)
{
	char data[512];

	snprintf(data, sizeof(data), "{\"task_id\":\"%s\",\"name\":\"n\",\"kind\":\"cleanupExpiredData\",%s,\"missed\":\"%s\","
	    "\"missed_max\":3,\"priority\":\"NORMAL\",\"time_limit_ms\":1000,\"tries_max\":3,\"next_at_ms\":%" PRId64 "}", id,
	    schedule, missed, start_ms + next);
	give(&f, type, data);
}

#define ONCE "\"type\":\"ONCE\",\"run_at_ms\":1"
#define CRON(text) "\"type\":\"CRON\",\"cron\":\"" text "\",\"timezone\":\"Asia/Shanghai\""
#define EVERY_MINUTE CRON("* * * * *")

static void say(const char *type, const char *id)
{
	char data[128];

	snprintf(data, sizeof(data), "{\"task_id\":\"%s\"}", id);
	give(&f, type, data);
}

static uint64_t count(const char *type)
{
	struct log_filter filter = {.type = event_type_number(slice_str(type))};
	uint64_t n;

	ck_assert_int_eq(eventlog_count(f.log, &filter, 0, &n), 0);
	return n;
}

/* Until the log has so many of them, and no more: what follows would have come in the same look. */
static void until_told(const char *type, uint64_t n)
{
	while (count(type) < n)
		ck_assert_int_ne(eventlog_wait(f.log, eventlog_size(f.log), 50), ERR_CANCELLED);
	ck_assert_uint_eq(count(type), n);
}

static void runs_are(const char *json)
{
	wait_all(&f, projector);
	rows_are(pool, "task_runs", "fields=trigger,dueAt&sort=dueAt", json);
}

/* Fires another task, which every look before it has passed; then nothing more of the first may have come. */
static void settle(uint64_t n_fired)
{
	put("task.scheduled", B, ONCE, "ONCE", -60 * MINUTE_MS);
	task_scheduler_look(scheduler);
	until_told("task.fired", n_fired + 1);
}

START_TEST(a_task_fires_when_it_is_due_and_once)
{
	start();
	put("task.scheduled", A, ONCE, "ONCE", 5000);
	move_to(4900); /* every event given takes a millisecond */
	settle(0);
	move_to(5000);
	until_told("task.fired", 2);
	move_to(500000);
	stop();
	start();
	say("task.paused", B); /* something to look at */
	wait_all(&f, projector);
	ck_assert_uint_eq(count("task.fired"), 2);
}
END_TEST

/* Long before it would look by itself: the quickest of some, for the machine may be busy. */
START_TEST(a_task_is_seen_soon_in_a_log_that_grows_and_in_one_that_does_not)
{
	int64_t quickest_us[2] = {INT64_MAX, INT64_MAX};
	char id[ID_TEXT_LEN + 1];

	start();
	for (unsigned i = 0; i < 10; i++) {
		bool grows = i % 2 == 0;
		int64_t since_us;

		for (unsigned k = 0; grows && k < 30; k++)
			give(&f, "meeting.started", "{\"meeting_id\":\"m\"}");
		if (!grows)
			usleep(100000);
		snprintf(id, sizeof(id), "%032u", i + 1);
		since_us = clock_monotonic_us(&clock_system);
		put("task.scheduled", id, ONCE, "ONCE", -60 * MINUTE_MS);
		until_told("task.fired", i + 1);
		since_us = clock_monotonic_us(&clock_system) - since_us;
		if (since_us < quickest_us[grows])
			quickest_us[grows] = since_us;
	}
	ck_assert_int_lt(quickest_us[0], 500000);
	ck_assert_int_lt(quickest_us[1], 500000);
}
END_TEST

START_TEST(one_that_repeats_goes_on)
{
	start();
	put("task.scheduled", A, EVERY_MINUTE, "ONCE", 0);
	for (int i = 0; i < 3; i++) {
		move_to(i * MINUTE_MS);
		until_told("task.fired", (uint64_t)i + 1);
	}
	runs_are("[{\"trigger\":\"SCHEDULE\",\"dueAt\":\"2026-11-23T22:40:00.000Z\"},"
	    "{\"trigger\":\"SCHEDULE\",\"dueAt\":\"2026-11-23T22:41:00.000Z\"},"
	    "{\"trigger\":\"SCHEDULE\",\"dueAt\":\"2026-11-23T22:42:00.000Z\"}]");
}
END_TEST

static const struct {
	const char *missed, *runs;
	uint64_t n;
} policies[] = {
	{"SKIP", "[{\"trigger\":\"MISSED\",\"dueAt\":\"2026-11-23T22:50:00.000Z\"}]", 1},
	{"ONCE", "[{\"trigger\":\"MISSED\",\"dueAt\":\"2026-11-23T22:50:00.000Z\"}]", 1},
	{"ALL", "[{\"trigger\":\"MISSED\",\"dueAt\":\"2026-11-23T22:48:00.000Z\"},"
	    "{\"trigger\":\"SCHEDULE\",\"dueAt\":\"2026-11-23T22:49:00.000Z\"},"
	    "{\"trigger\":\"SCHEDULE\",\"dueAt\":\"2026-11-23T22:50:00.000Z\"}]", 3},
};

START_TEST(what_was_missed_while_nobody_looked_is_up_to_the_task)
{
	put("task.scheduled", A, EVERY_MINUTE, policies[_i].missed, 0);
	move_to(10 * MINUTE_MS);
	start();
	until_told("task.fired", policies[_i].n);
	runs_are(policies[_i].runs);
	stop();
	start();
	move_to(11 * MINUTE_MS);
	until_told("task.fired", policies[_i].n + 1);
}
END_TEST

START_TEST(one_that_may_be_skipped_is_and_goes_on)
{
	put("task.scheduled", A, CRON("0 * * * *"), "SKIP", 0);
	move_to(30 * MINUTE_MS);
	start();
	until_told("task.missed", 1);
	ck_assert_uint_eq(count("task.fired"), 0);
	move_to(80 * MINUTE_MS); /* 00:00 UTC */
	until_told("task.fired", 1);
}
END_TEST

START_TEST(a_paused_one_waits)
{
	start();
	put("task.scheduled", A, ONCE, "ONCE", 5000);
	say("task.paused", A);
	move_to(10000);
	settle(0);
	say("task.resumed", A);
	until_told("task.fired", 2);
}
END_TEST

START_TEST(all_may_be_paused)
{
	start();
	give(&f, "task.all_paused", "{\"reason\":\"test\"}");
	put("task.scheduled", A, ONCE, "ONCE", 0);
	put("task.scheduled", B, ONCE, "ONCE", 0);
	move_to(10000);
	give(&f, "task.all_resumed", "{\"reason\":\"test\"}");
	until_told("task.fired", 2);
}
END_TEST

START_TEST(a_deleted_one_is_gone)
{
	put("task.scheduled", A, ONCE, "ONCE", 5000);
	say("task.deleted", A);
	move_to(10000);
	start();
	settle(0);
}
END_TEST

START_TEST(a_clock_that_is_put_back_fires_nothing_again)
{
	start();
	put("task.scheduled", A, EVERY_MINUTE, "ALL", 0);
	move_to(0);
	until_told("task.fired", 1);
	move_to(-30 * MINUTE_MS);
	settle(1);
	move_to(MINUTE_MS);
	until_told("task.fired", 3);
}
END_TEST

START_TEST(a_time_that_fired_does_not_again_whatever_the_rows_say)
{
	start();
	put("task.scheduled", A, ONCE, "ONCE", 0);
	move_to(0);
	until_told("task.fired", 1);
	put("task.changed", A, ONCE, "ONCE", 0);
	until_told("task.missed", 1);
	settle(1);
}
END_TEST

START_TEST(many_at_once_all_fire)
{
	char id[33];

	for (int i = 0; i < 100; i++) {
		snprintf(id, sizeof(id), "%032x", i + 16);
		put("task.scheduled", id, ONCE, "ONCE", i % 7);
	}
	move_to(10);
	start();
	until_told("task.fired", 100);
}
END_TEST

START_TEST(one_that_cannot_be_told_holds_no_other_back)
{
	put("task.scheduled", A, CRON("no such thing at all"), "ONCE", 0);
	put("task.scheduled", B, "\"type\":\"CRON\",\"cron\":\"* * * * *\",\"timezone\":\"Asia/Atlantis\"", "ONCE", 0);
	put("task.scheduled", "00000000000000000000000000000003", ONCE, "ONCE", 1);
	move_to(10);
	start();
	until_told("task.fired", 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("task_scheduler");
	TCase *tc = tcase_create("task_scheduler");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_task_fires_when_it_is_due_and_once);
	tcase_add_test(tc, a_task_is_seen_soon_in_a_log_that_grows_and_in_one_that_does_not);
	tcase_add_test(tc, one_that_repeats_goes_on);
	tcase_add_loop_test(tc, what_was_missed_while_nobody_looked_is_up_to_the_task, 0, (int)COUNT(policies));
	tcase_add_test(tc, one_that_may_be_skipped_is_and_goes_on);
	tcase_add_test(tc, a_paused_one_waits);
	tcase_add_test(tc, all_may_be_paused);
	tcase_add_test(tc, a_deleted_one_is_gone);
	tcase_add_test(tc, a_clock_that_is_put_back_fires_nothing_again);
	tcase_add_test(tc, a_time_that_fired_does_not_again_whatever_the_rows_say);
	tcase_add_test(tc, many_at_once_all_fire);
	tcase_add_test(tc, one_that_cannot_be_told_holds_no_other_back);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
