/* What waits for the log's writer is bounded, in number and in time. */
#include "log_fixture.h"

#include <pthread.h>
#include <sched.h>

#include "base/thread.h"
#include "lib/run.h"

static struct log_fixture f;

static void setup(void)
{
	log_fixture_init(&f);
}

static void teardown(void)
{
	log_fixture_finish(&f);
}

static void *appender(void *arg)
{
	int *rc = arg;

	*rc = append_one(f.log, &(struct test_event){.stream = "a"});
	return NULL;
}

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int at_gate;

/* The writer asks for the disk before each commit; holding the gate holds it up there. */
static int held_disk(void *arg, uint64_t *ret_free, uint64_t *ret_total)
{
	at_gate++;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	(void)arg;
	*ret_free = (uint64_t)50 << 30;
	*ret_total = (uint64_t)100 << 30;
	return 0;
}

/* One append in the writer's hands, which stands at the gate; later ones stay in the queue. */
static void hold_writer(pthread_t *thread, int *rc)
{
	at_gate = 0;
	pthread_mutex_lock(&gate);
	clock_manual_advance(&f.clock, 1000000);
	ck_assert_int_eq(pthread_create(thread, NULL, appender, rc), 0);
	while (at_gate == 0)
		sched_yield();
}

static uint64_t queued(void)
{
	struct eventlog_stats stats;

	eventlog_stats(f.log, &stats);
	return stats.queue_appends;
}

START_TEST(a_full_queue_is_busy)
{
	pthread_t threads[5];
	int rcs[5];
	struct eventlog_stats stats;

	f.options.queue_appends_max = 4;
	f.options.disk_space = held_disk;
	log_fixture_open(&f);
	hold_writer(&threads[0], &rcs[0]);
	for (int i = 1; i < 5; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, appender, &rcs[i]), 0);
	while (queued() < 4)
		sched_yield();
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), ERR_BUSY);
	eventlog_stats(f.log, &stats);
	ck_assert_uint_eq(stats.refused_busy, 1);
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < 5; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(rcs[i], 0);
	}
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	ck_assert_uint_eq(eventlog_size(f.log), 6);
}
END_TEST

START_TEST(a_queue_that_waits_too_long_is_busy)
{
	pthread_t threads[2];
	int rcs[2];

	f.options.disk_space = held_disk;
	log_fixture_open(&f);
	hold_writer(&threads[0], &rcs[0]);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, appender, &rcs[1]), 0);
	while (queued() != 1)
		sched_yield();
	clock_manual_advance(&f.clock, 501000);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), ERR_BUSY);
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(rcs[i], 0);
	}
}
END_TEST

static void *appender_of(void *arg)
{
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = arg}), 0);
	return NULL;
}

static _Atomic unsigned commit_ms, commits_begun;
static _Atomic bool commit_held;

/* As the first, each commit asks, and takes as long as it is told to when it begins. */
static int slow_disk(void *arg, uint64_t *ret_free, uint64_t *ret_total)
{
	unsigned ms = commit_ms;

	(void)arg;
	clock_manual_advance(&f.clock, 1000000);
	commits_begun++;
	while (commit_held)
		sched_yield();
	thread_pause(ms, NULL);
	*ret_free = (uint64_t)50 << 30;
	*ret_total = (uint64_t)100 << 30;
	return 0;
}

static uint64_t commits(void)
{
	struct eventlog_stats stats;

	eventlog_stats(f.log, &stats);
	return stats.commits;
}

/* The commit under way has one append; the next will have those of two threads. */
static void two_in_a_commit(void)
{
	pthread_t threads[3];
	unsigned begun;

	commit_held = true;
	begun = commits_begun;
	clock_manual_advance(&f.clock, 1000000);
	ck_assert_int_eq(pthread_create(&threads[0], NULL, appender_of, (void *)"a"), 0);
	while (commits_begun == begun)
		sched_yield();
	commit_ms = 4000;
	for (int i = 1; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, appender_of, (void *)"b"), 0);
	while (queued() != 2)
		sched_yield();
	commit_held = false;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	commit_ms = 0;
}

START_TEST(under_load_an_append_waits_for_others)
{
	pthread_t threads[2];
	uint64_t before;

	f.options.disk_space = slow_disk;
	f.options.gather_us_max = 10 * 1000 * 1000;
	log_fixture_open(&f);
	two_in_a_commit();
	before = commits();
	ck_assert_uint_eq(before, 2);
	ck_assert_int_eq(pthread_create(&threads[0], NULL, appender_of, (void *)"c"), 0);
	while (queued() != 1)
		sched_yield();
	ck_assert_int_eq(pthread_create(&threads[1], NULL, appender_of, (void *)"d"), 0);
	while (queued() != 2)
		sched_yield();
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_eq(commits(), before + 1);
	ck_assert_uint_eq(eventlog_size(f.log), 5);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("eventlog_queue");
	TCase *t = tcase_create("eventlog_queue");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_full_queue_is_busy);
	tcase_add_test(t, a_queue_that_waits_too_long_is_busy);
	tcase_add_test(t, under_load_an_append_waits_for_others);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
