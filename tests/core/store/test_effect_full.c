/* The engine beside a log that takes no events for a while, since the disk is full. */
#include "effect_rig.h"

#include "base/log.h"

static _Atomic bool full;
static _Atomic int64_t ahead_us; /* of the engine's monotonic clock, so that it need not be waited for */

static int disk_space(void *arg, uint64_t *ret_free, uint64_t *ret_total)
{
	(void)arg;
	*ret_free = full ? 0 : (uint64_t)50 << 30;
	*ret_total = (uint64_t)100 << 30;
	return 0;
}

static int64_t wall(void *arg)
{
	(void)arg;
	return clock_wall_us(&clock_system);
}

static int64_t monotonic(void *arg)
{
	(void)arg;
	return clock_monotonic_us(&clock_system) + ahead_us;
}

static void quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

static void setup_full(void)
{
	static const struct clock clock = {wall, monotonic, NULL};

	log_set_sink(quiet, NULL);
	full = false;
	ahead_us = 0;
	engine_clock = &clock;
	setup_on(disk_space);
}

static void fill(bool to)
{
	full = to;
	clock_manual_advance(&f.clock, 1000000); /* the disk is looked at again */
}

static void until_refused(uint64_t n)
{
	struct eventlog_stats stats;

	do {
		usleep(1000);
		eventlog_stats(f.log, &stats);
	} while (stats.refused_disk < n);
}

/* 0: what became of it is told when there is room. 1: the engine ends before. */
START_TEST(an_outcome_is_told_until_it_is_taken)
{
	start_engine();
	hold(true);
	want("AA");
	until_seen(1);
	fill(true);
	hold(false);
	until_refused(3); /* with others, for itself, and again */
	ck_assert_uint_eq(count("effect.done"), 0);
	if (_i == 1)
		stop_engine();
	fill(false);
	if (_i == 1)
		start_engine();
	until_told("effect.done", 1);
	ck_assert_uint_eq(count("effect.unknown"), _i == 1);
	ck_assert_uint_eq(count("effect.attempted"), _i == 1 ? 2 : 1);
	ck_assert_uint_eq(peer.n, _i == 1 ? 2 : 1);
	ck_assert(_i == 0 || peer.after_unknown[1]);
	states_are(_i == 1 ? "[{\"state\":\"DONE\",\"reason\":null,\"attempt\":2}]" : "[{\"state\":\"DONE\",\"reason\":null,\"attempt\":1}]");
}
END_TEST

START_TEST(nothing_is_tried_that_cannot_be_told)
{
	give(&f, "effect.enabled", "{\"effect\":\"mail.code\"}");
	want("AA");
	fill(true);
	start_engine();
	until_refused(2);
	ck_assert_uint_eq(peer.n, 0);
	fill(false);
	ahead_us = 10000000; /* the lane is held for a while */
	want("BB");          /* and looked at */
	until_told("effect.done", 2);
	ck_assert_uint_eq(count("effect.attempted"), 2);
	ck_assert_uint_eq(peer.n, 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("effect_full");
	TCase *t = tcase_create("engine");

	tcase_set_timeout(t, 20);
	tcase_add_checked_fixture(t, setup_full, teardown);
	tcase_add_loop_test(t, an_outcome_is_told_until_it_is_taken, 0, 2);
	tcase_add_test(t, nothing_is_tried_that_cannot_be_told);
	suite_add_tcase(s, t);
	return run_suite(s);
}
