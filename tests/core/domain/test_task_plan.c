/* What a task does when it is due, by its policy and by how much it missed. Times are seconds of a minute's cron unless said. */
#include "domain/task_plan.h"

#include <check.h>

#include "lib/run.h"

#define START INT64_C(1800000000) /* 2027-01-15T08:00:00Z */
#define NOBODY (-1)

static const struct {
	const char *says, *cron; /* NULL: once */
	enum task_missed missed;
	unsigned max;
	int64_t next, now;       /* seconds from START */
	int64_t fires[4];        /* seconds from START, ends with NOBODY */
	int64_t from, then;      /* NOBODY: none are passed over; there is no next time */
} cases[] = {
	{"on time", "* * * * *", TASK_ONCE, 1, 60, 60, {60, NOBODY}, NOBODY, 120},
	{"a little late", "* * * * *", TASK_SKIP, 1, 60, 119, {60, NOBODY}, NOBODY, 120},
	{"SKIP: the newest is on time, those before are gone", "* * * * *", TASK_SKIP, 1, 60, 200, {180, NOBODY}, 60, 240},
	{"SKIP: an hourly one that is late is gone", "0 * * * *", TASK_SKIP, 1, 3600, 4000, {NOBODY}, 3600, 7200},
	{"ONCE: it still fires", "0 * * * *", TASK_ONCE, 1, 3600, 4000, {3600, NOBODY}, NOBODY, 7200},
	{"ONCE: the newest for all of them", "0 * * * *", TASK_ONCE, 1, 3600, 20000, {18000, NOBODY}, 3600, 21600},
	{"ALL: each of them", "0 * * * *", TASK_ALL, 3, 3600, 11000, {3600, 7200, 10800, NOBODY}, NOBODY, 14400},
	{"ALL: the newest of too many", "0 * * * *", TASK_ALL, 3, 3600, 20000, {10800, 14400, 18000, NOBODY}, 3600, 21600},
	{"ALL: just as many", "0 * * * *", TASK_ALL, 3, 3600, 10800, {3600, 7200, 10800, NOBODY}, NOBODY, 14400},
	{"once, on time", NULL, TASK_SKIP, 1, 60, 61, {60, NOBODY}, NOBODY, NOBODY},
	{"once, late, SKIP", NULL, TASK_SKIP, 1, 60, 1000, {NOBODY}, 60, NOBODY},
	{"once, late, ONCE", NULL, TASK_ONCE, 1, 60, 1000000, {60, NOBODY}, NOBODY, NOBODY},
	{"once, late, ALL", NULL, TASK_ALL, 100, 60, 1000000, {60, NOBODY}, NOBODY, NOBODY},
	{"a time that the zone does not have any more fires all the same", "0 * * * *", TASK_ONCE, 1, 3700, 3800,
	    {3700, NOBODY}, NOBODY, 7200},
};

START_TEST(what_is_due_is_told)
{
	struct task_plan plan;
	struct zone *zone;
	struct cron cron;
	struct task_schedule s = {.next_ms = (START + cases[_i].next) * 1000, .missed = cases[_i].missed,
	    .missed_max = cases[_i].max};
	size_t n = 0;

	ck_assert_int_eq(zone_open(&zone, NULL, SLICE("UTC")), 0);
	if (cases[_i].cron != NULL) {
		ck_assert_int_eq(cron_parse(slice_str(cases[_i].cron), &cron, NULL), 0);
		s.cron = &cron;
		s.zone = zone;
	}
	task_plan(&s, (START + cases[_i].now) * 1000, &plan);
	for (; n < 4 && cases[_i].fires[n] != NOBODY; n++)
		ck_assert_msg(n < plan.n && plan.due_ms[n] == (START + cases[_i].fires[n]) * 1000, "%s: %zu.", cases[_i].says, n);
	ck_assert_msg(plan.n == n, "%s: %zu times", cases[_i].says, plan.n);
	ck_assert_msg(plan.passed_over == (cases[_i].from != NOBODY), "%s: passed over", cases[_i].says);
	ck_assert_int_eq(plan.from_ms, s.next_ms);
	ck_assert_msg(plan.has_next == (cases[_i].then != NOBODY), "%s: next", cases[_i].says);
	if (plan.has_next)
		ck_assert_int_eq(plan.next_ms, (START + cases[_i].then) * 1000);
	zone_close(zone);
}
END_TEST

START_TEST(a_year_of_seconds_takes_no_time)
{
	struct task_plan plan;
	struct zone *zone;
	struct cron cron;
	struct task_schedule s = {.next_ms = (START - 365 * 86400) * 1000, .missed = TASK_ALL, .missed_max = TASK_MISSED_MAX};

	ck_assert_int_eq(zone_open(&zone, NULL, SLICE("Asia/Shanghai")), 0);
	ck_assert_int_eq(cron_parse(SLICE("* * * * * *"), &cron, NULL), 0);
	s.cron = &cron;
	s.zone = zone;
	task_plan(&s, START * 1000 + 999, &plan);
	ck_assert_uint_eq(plan.n, TASK_MISSED_MAX);
	ck_assert_int_eq(plan.due_ms[0], (START - TASK_MISSED_MAX + 1) * 1000);
	ck_assert_int_eq(plan.due_ms[TASK_MISSED_MAX - 1], START * 1000);
	ck_assert_int_eq(plan.next_ms, (START + 1) * 1000);
	zone_close(zone);
}
END_TEST

START_TEST(what_never_comes_is_never_due)
{
	struct zone *zone;
	struct cron cron;
	int64_t at_ms;

	ck_assert_int_eq(zone_open(&zone, NULL, SLICE("UTC")), 0);
	ck_assert_int_eq(cron_parse(SLICE("0 0 30 2 *"), &cron, NULL), 0);
	ck_assert(!task_first(&cron, zone, START * 1000, &at_ms));
	zone_close(zone);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("task_plan");
	TCase *tc = tcase_create("task_plan");

	tcase_add_loop_test(tc, what_is_due_is_told, 0, (int)COUNT(cases));
	tcase_add_test(tc, a_year_of_seconds_takes_no_time);
	tcase_add_test(tc, what_never_comes_is_never_due);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
