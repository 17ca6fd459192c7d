/* Days, weeks, months, quarters and years of Asia/Shanghai. */
#include <check.h>

#include "base/clock.h"
#include "base/err.h"
#include "lib/run.h"
#include "summary_days.h"

static int64_t at(const char *text)
{
	int64_t us;

	ck_assert_int_eq(time_parse_us(slice_str(text), &us), 0);
	return us / 1000;
}

static const struct {
	enum period period;
	const char *now; /* in it */
	const char *from, *to;
	const char *before_from, *before_to;
} spans[] = {
	{PERIOD_DAILY, "2026-11-28T00:00:00+08:00", "2026-11-28", "2026-11-28", "2026-11-27", "2026-11-27"},
	{PERIOD_DAILY, "2026-11-27T23:59:59.999+08:00", "2026-11-27", "2026-11-27", "2026-11-26", "2026-11-26"},
	{PERIOD_DAILY, "2026-12-31T16:00:00Z", "2027-01-01", "2027-01-01", "2026-12-31", "2026-12-31"},
	{PERIOD_DAILY, "2028-02-29T12:00:00+08:00", "2028-02-29", "2028-02-29", "2028-02-28", "2028-02-28"},
	/* 2026-11-30 is a Monday. */
	{PERIOD_WEEKLY, "2026-11-30T00:00:00+08:00", "2026-11-30", "2026-12-06", "2026-11-23", "2026-11-29"},
	{PERIOD_WEEKLY, "2026-11-29T23:59:59+08:00", "2026-11-23", "2026-11-29", "2026-11-16", "2026-11-22"},
	{PERIOD_WEEKLY, "2027-01-01T08:00:00+08:00", "2026-12-28", "2027-01-03", "2026-12-21", "2026-12-27"},
	{PERIOD_MONTHLY, "2027-01-15T08:00:00+08:00", "2027-01-01", "2027-01-31", "2026-12-01", "2026-12-31"},
	{PERIOD_MONTHLY, "2028-03-01T00:00:00+08:00", "2028-03-01", "2028-03-31", "2028-02-01", "2028-02-29"},
	{PERIOD_QUARTERLY, "2027-01-01T00:00:00+08:00", "2027-01-01", "2027-03-31", "2026-10-01", "2026-12-31"},
	{PERIOD_QUARTERLY, "2026-11-28T00:00:00+08:00", "2026-10-01", "2026-12-31", "2026-07-01", "2026-09-30"},
	{PERIOD_YEARLY, "2026-12-31T23:59:59.999+08:00", "2026-01-01", "2026-12-31", "2025-01-01", "2025-12-31"},
	{PERIOD_YEARLY, "2027-01-01T00:00:00+08:00", "2027-01-01", "2027-12-31", "2026-01-01", "2026-12-31"},
};

START_TEST(an_instant_is_in_one_and_after_another)
{
	struct period_span in = period_around(spans[_i].period, at(spans[_i].now)), of_day,
	                   before = period_before(spans[_i].period, at(spans[_i].now));

	ck_assert_str_eq(in.from, spans[_i].from);
	ck_assert_str_eq(in.to, spans[_i].to);
	ck_assert_str_eq(before.from, spans[_i].before_from);
	ck_assert_str_eq(before.to, spans[_i].before_to);
	ck_assert(in.from_ms <= at(spans[_i].now) && at(spans[_i].now) <= in.to_ms);
	ck_assert_int_eq(before.to_ms + 1, in.from_ms);
	ck_assert_int_eq(period_of_day(spans[_i].period, slice_str(in.to), &of_day), 0);
	ck_assert_int_eq(of_day.from_ms, in.from_ms);
	ck_assert_int_eq(of_day.to_ms, in.to_ms);
}
END_TEST

/* A hundred years of days: each is in one of each kind, and these follow each other without a gap. */
START_TEST(periods_have_no_gaps)
{
	enum period p = (enum period)_i;
	struct period_span last = period_around(p, at("1992-01-01T00:00:00+08:00"));

	for (int64_t day = at("1992-01-01T12:00:00+08:00"); day < at("2092-01-01T00:00:00Z"); day += 86400000) {
		struct period_span span = period_around(p, day);

		ck_assert(span.from_ms <= day && day <= span.to_ms);
		if (span.from_ms == last.from_ms)
			ck_assert_int_eq(span.to_ms, last.to_ms);
		else
			ck_assert_int_eq(span.from_ms, last.to_ms + 1);
		last = span;
	}
}
END_TEST

START_TEST(names_and_days_are_checked)
{
	struct period_span span;
	enum period p;

	ck_assert_int_eq(period_parse(SLICE("QUARTERLY"), &p), 0);
	ck_assert_int_eq(p, PERIOD_QUARTERLY);
	ck_assert_str_eq(period_name(p), "QUARTERLY");
	ck_assert_int_eq(period_parse(SLICE("SINGLE"), &p), ERR_INVALID);
	ck_assert_int_eq(period_of_day(PERIOD_DAILY, SLICE("2026-02-30"), &span), ERR_INVALID);
	ck_assert_int_eq(period_of_day(PERIOD_DAILY, SLICE("2026-2-3"), &span), ERR_INVALID);
	ck_assert_int_eq(period_of_day(PERIOD_DAILY, SLICE("1969-12-31"), &span), ERR_INVALID);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("summary_days");
	TCase *t = tcase_create("summary_days");

	tcase_add_loop_test(t, an_instant_is_in_one_and_after_another, 0, (int)COUNT(spans));
	tcase_add_loop_test(t, periods_have_no_gaps, PERIOD_DAILY, PERIOD_YEARLY + 1);
	tcase_add_test(t, names_and_days_are_checked);
	suite_add_tcase(s, t);
	return run_suite(s);
}
