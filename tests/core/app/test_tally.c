/* Refusals are counted, told once, and a run of them raises one alarm. */
#include <check.h>
#include <stdlib.h>

#include "app/tally.h"
#include "base/err.h"
#include "base/log.h"

static const char *const reasons[] = {"bad_signature", "stale_timestamp"};
static struct clock_manual manual;
static struct tally tally;
static unsigned alarms;

static void count_warnings(void *arg, struct slice line)
{
	(void)arg;
	alarms += memmem(line.ptr, line.len, "\"warn\"", 6) != NULL;
	ck_assert_ptr_nonnull(memmem(line.ptr, line.len, "tencent", 7));
}

static void setup(void)
{
	alarms = 0;
	log_set_sink(count_warnings, NULL);
	clock_manual_init(&manual, INT64_C(1760000000000000));
	ck_assert_int_eq(tally_init(&tally, "tencent", reasons, 2, 10, &manual.clock), 0);
}

static void teardown(void)
{
	tally_finish(&tally);
	log_set_sink(NULL, NULL);
}

START_TEST(what_gathered_is_taken_once)
{
	struct tally_taken taken;

	ck_assert(!tally_take(&tally, &taken));
	tally_refuse(&tally, 0);
	tally_refuse(&tally, 1);
	tally_refuse(&tally, 1);
	tally_repeat(&tally, 7);
	tally_repeat(&tally, 9);
	tally_repeat(&tally, 7);
	clock_manual_advance(&manual, 5000000);
	ck_assert(tally_take(&tally, &taken));
	ck_assert_uint_eq(taken.refused[0], 1);
	ck_assert_uint_eq(taken.refused[1], 2);
	ck_assert_uint_eq(taken.n_refused, 3);
	ck_assert_uint_eq(taken.duplicates, 3);
	ck_assert_uint_eq(taken.n_positions, 2);
	ck_assert_uint_eq(taken.positions[0], 7);
	ck_assert_uint_eq(taken.position_counts[0], 2);
	ck_assert_int_eq(taken.until_ms - taken.since_ms, 5000);
	ck_assert(!tally_take(&tally, &taken));
	ck_assert_uint_eq(tally_total(&tally, 1), 2); /* totals stay */
	ck_assert_uint_eq(tally_repeats(&tally), 3);
}
END_TEST

START_TEST(what_could_not_be_kept_is_told_later)
{
	struct tally_taken taken, again;

	tally_refuse(&tally, 0);
	tally_repeat(&tally, 3);
	ck_assert(tally_take(&tally, &taken));
	tally_put_back(&tally, &taken);
	tally_repeat(&tally, 3);
	ck_assert(tally_take(&tally, &again));
	ck_assert_uint_eq(again.refused[0], 1);
	ck_assert_uint_eq(again.position_counts[0], 2);
	ck_assert_int_eq(again.since_ms, taken.since_ms);
}
END_TEST

START_TEST(more_positions_than_room_still_count)
{
	struct tally_taken taken;

	for (uint64_t i = 0; i < TALLY_POSITIONS_MAX + 10; i++)
		tally_repeat(&tally, i);
	ck_assert(tally_take(&tally, &taken));
	ck_assert_uint_eq(taken.n_positions, TALLY_POSITIONS_MAX);
	ck_assert_uint_eq(taken.duplicates, TALLY_POSITIONS_MAX + 10);
}
END_TEST

START_TEST(ten_in_five_minutes_are_an_alarm_once)
{
	for (int i = 0; i < 9; i++)
		tally_refuse(&tally, 0);
	ck_assert_uint_eq(alarms, 0);
	tally_refuse(&tally, 0);
	ck_assert_uint_eq(alarms, 1);
	for (int i = 0; i < 50; i++)
		tally_refuse(&tally, 0);
	ck_assert_uint_eq(alarms, 1); /* once in that span */
	clock_manual_advance(&manual, TALLY_ALARM_WINDOW_US + 1);
	tally_refuse(&tally, 0);
	ck_assert_uint_eq(alarms, 1); /* the others are too old */
	for (int i = 0; i < 9; i++)
		tally_refuse(&tally, 0);
	ck_assert_uint_eq(alarms, 2);
}
END_TEST

START_TEST(a_refusal_now_and_then_is_none)
{
	for (int i = 0; i < 100; i++) {
		tally_refuse(&tally, 0);
		clock_manual_advance(&manual, TALLY_ALARM_WINDOW_US / 8);
	}
	ck_assert_uint_eq(alarms, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tally");
	TCase *tc = tcase_create("tally");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_gathered_is_taken_once);
	tcase_add_test(tc, what_could_not_be_kept_is_told_later);
	tcase_add_test(tc, more_positions_than_room_still_count);
	tcase_add_test(tc, ten_in_five_minutes_are_an_alarm_once);
	tcase_add_test(tc, a_refusal_now_and_then_is_none);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
