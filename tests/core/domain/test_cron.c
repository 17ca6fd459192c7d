/* Cron expressions, judged by a stock library's answers (tests/cron/make_vectors.mjs) and by what cron.h says of clocks that change. */
#include "domain/cron.h"

#include <inttypes.h>

#include "base/clock.h"
#include "lib/vectors.h"

static struct arena arena = ARENA_INIT(64 << 20);

/* ---- the library's --------------------------------------------------------------------- */

static struct zone *open_zone(struct slice name)
{
	static struct {
		struct slice name;
		struct zone *zone;
	} known[16];
	size_t i = 0;

	for (; known[i].zone != NULL; i++)
		if (slice_eq(known[i].name, name))
			return known[i].zone;
	known[i].name = arena_dup(&arena, name);
	ck_assert_int_eq(zone_open(&known[i].zone, NULL, name), 0);
	return known[i].zone;
}

static int64_t next_i64(struct json_reader *r)
{
	struct json_value v;
	int64_t n;

	ck_assert(json_next(r, NULL, &v));
	ck_assert_int_eq(slice_to_i64(v.text, &n), 0);
	return n;
}

static struct slice next_text(struct json_reader *r)
{
	struct json_value v;
	struct slice text;

	ck_assert(json_next(r, NULL, &v));
	ck_assert_int_eq(json_string(v, &arena, &text), 0);
	return text;
}

/* No such expression, or no such time. */
static void is_refused(struct slice text, struct slice zone, int64_t from_s)
{
	struct cron c;

	if (cron_parse(text, &c, NULL) == 0)
		ck_assert_msg(cron_next(&c, open_zone(zone), from_s, &from_s) == ERR_NOT_FOUND, "%.*s is taken", SLICE_ARG(text));
}

START_TEST(instants_are_those_of_a_stock_library)
{
	struct vectors v;

	vectors_open(&v, &arena, "cron.json");
	while (vectors_next(&v)) {
		struct json_reader one, list;
		struct json_value next;
		struct slice text, zone;
		struct cron c;
		int64_t at, start;

		json_enter(&one, v.one);
		text = next_text(&one);
		zone = next_text(&one);
		at = start = next_i64(&one);
		ck_assert(json_next(&one, NULL, &next));
		if (next.type == JSON_NULL) {
			is_refused(text, zone, at);
			continue;
		}
		ck_assert_msg(cron_parse(text, &c, NULL) == 0, "%.*s is not taken", SLICE_ARG(text));
		json_enter(&list, next);
		for (int i = 0; i < 4; i++) {
			int64_t expected = next_i64(&list);

			ck_assert_int_eq(cron_next(&c, open_zone(zone), at, &at), 0);
			ck_assert_msg(at == expected, "%.*s in %.*s after %" PRId64 ": %d. is %" PRId64 ", should be %" PRId64,
			    SLICE_ARG(text), SLICE_ARG(zone), start, i, at, expected);
		}
	}
	ck_assert_uint_gt(v.seen, 3500);
	vectors_close(&v, v.seen);
}
END_TEST

/* ---- clocks that change ------------------------------------------------------------------- */

static const struct {
	const char *says, *text, *zone, *from, *next[4];
} changes[] = {
	{"a time that is skipped comes as much later", "30 2 * * *", "America/New_York", "2027-03-14T00:00:00Z",
	    {"2027-03-14T07:30:00Z", "2027-03-15T06:30:00Z"}},
	{"and only once where it was asked for anyhow", "30 2,3 * * *", "America/New_York", "2027-03-14T00:00:00Z",
	    {"2027-03-14T07:30:00Z", "2027-03-15T06:30:00Z", "2027-03-15T07:30:00Z"}},
	{"a time that comes twice counts the first time", "30 1 * * *", "America/New_York", "2027-11-07T00:00:00Z",
	    {"2027-11-07T05:30:00Z", "2027-11-08T06:30:00Z"}},
	{"also for one who looks in between", "30 1 * * *", "America/New_York", "2027-11-07T05:45:00Z",
	    {"2027-11-08T06:30:00Z"}},
	{"every hour means each of them", "30 * * * *", "America/New_York", "2027-11-07T05:00:00Z",
	    {"2027-11-07T05:30:00Z", "2027-11-07T06:30:00Z", "2027-11-07T07:30:00Z"}},
	{"also where one is missing", "30 * * * *", "America/New_York", "2027-03-14T06:00:00Z",
	    {"2027-03-14T06:30:00Z", "2027-03-14T07:30:00Z", "2027-03-14T08:30:00Z"}},
	{"midnight may be skipped", "0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z",
	    {"2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"}},
	{"and come twice", "30 23 * * *", "America/Santiago", "2026-04-04T12:00:00Z",
	    {"2026-04-05T02:30:00Z", "2026-04-06T03:30:00Z"}},
	{"half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z",
	    {"2026-10-03T15:45:00Z", "2026-10-04T15:15:00Z"}},
	{"half an hour twice", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00Z",
	    {"2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"}},
	{"a whole day that was not", "0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z",
	    {"2011-12-29T19:00:00Z", "2011-12-30T19:00:00Z", "2011-12-31T19:00:00Z"}},
	{"Shanghai does not change its clocks", "30 2 * * *", "Asia/Shanghai", "2027-03-13T12:00:00Z",
	    {"2027-03-13T18:30:00Z", "2027-03-14T18:30:00Z"}},
	{"but did", "30 2 * * *", "Asia/Shanghai", "1988-04-16T00:00:00Z",
	    {"1988-04-16T18:30:00Z", "1988-04-17T17:30:00Z"}},
	{"long after the database ends", "30 2 * * *", "Europe/Berlin", "2099-03-28T12:00:00Z",
	    {"2099-03-29T01:30:00Z", "2099-03-30T00:30:00Z"}},
};

static int64_t instant(const char *text)
{
	int64_t us;

	ck_assert_int_eq(time_parse_us(slice_str(text), &us), 0);
	return us / 1000000;
}

START_TEST(clocks_that_change_lose_and_double_nothing)
{
	struct cron c;
	int64_t at = instant(changes[_i].from);

	ck_assert_int_eq(cron_parse(slice_str(changes[_i].text), &c, NULL), 0);
	for (int i = 0; i < 4 && changes[_i].next[i] != NULL; i++) {
		ck_assert_int_eq(cron_next(&c, open_zone(slice_str(changes[_i].zone)), at, &at), 0);
		ck_assert_msg(at == instant(changes[_i].next[i]), "%s: %d. is %" PRId64 ", should be %s", changes[_i].says, i, at,
		    changes[_i].next[i]);
	}
}
END_TEST

/* ---- the text ---------------------------------------------------------------------------------- */

static const struct {
	const char *says, *text, *field; /* NULL: it is taken */
} texts[] = {
	{"five fields", "0 9 * * 1-5", NULL},
	{"six", "0 0 9 * * MON-FRI", NULL},
	{"spaces and tabs between", " 0  9\t* * * ", NULL},
	{"a week that ends on Sunday", "0 9 * * FRI-SUN", NULL},
	{"from a number on", "5/10 9 * * *", NULL},
	{"four fields are too few", "0 9 * *", "cron"},
	{"seven are too many", "0 0 9 * * * 2027", "cron"},
	{"nothing", "", "cron"},
	{"a name for a whole expression", "@daily", "cron"},
	{"the last day has no sign", "0 0 L * *", "day"},
	{"nor has the nearest weekday", "0 0 15W * *", "day"},
	{"nor the n-th weekday", "0 0 * * 5#3", "weekday"},
	{"nor no day at all", "0 0 ? * 1", "day"},
	{"a minute that is not", "60 9 * * *", "minute"},
	{"a second that is not", "60 0 9 * * *", "second"},
	{"an hour that is not", "0 24 * * *", "hour"},
	{"a day that is not", "0 0 0 * *", "day"},
	{"a month that is not", "0 0 1 13 *", "month"},
	{"a name in the wrong field", "0 0 1 MON *", "month"},
	{"a weekday that is not", "0 0 * * 8", "weekday"},
	{"a step of nothing", "*/0 * * * *", "minute"},
	{"a step past the end", "*/90 * * * *", "minute"},
	{"backwards", "0 22-3 * * *", "hour"},
	{"two ranges in one", "1-5-7 * * * *", "minute"},
	{"two steps", "*/2/3 * * * *", "minute"},
	{"a number past all numbers", "99999999999999999999 * * * *", "minute"},
};

START_TEST(a_wrong_field_is_named)
{
	struct cron c;
	struct cron_problem p = {0};
	int rc = cron_parse(slice_str(texts[_i].text), &c, &p);

	ck_assert_msg(rc == (texts[_i].field == NULL ? 0 : ERR_MALFORMED), "%s: %d", texts[_i].says, rc);
	if (texts[_i].field != NULL)
		ck_assert_str_eq(p.field, texts[_i].field);
}
END_TEST

START_TEST(a_text_without_end_is_refused)
{
	char text[CRON_TEXT_MAX + 2];
	struct cron c;

	memset(text, ' ', sizeof(text));
	memcpy(text, "* * * * *", 9);
	ck_assert_int_eq(cron_parse(slice_of(text, CRON_TEXT_MAX), &c, NULL), 0);
	ck_assert_int_eq(cron_parse(slice_of(text, CRON_TEXT_MAX + 1), &c, NULL), ERR_MALFORMED);
}
END_TEST

/* ---- the last ones --------------------------------------------------------------------------------- */

static const struct {
	const char *says, *text, *from, *until;
	size_t max, n;
	const char *first, *last;
	bool all;
} lasts[] = {
	{"none yet", "0 9 * * *", "2026-11-28T02:00:00Z", "2026-11-28T03:00:00Z", 4, 0, NULL, NULL, true},
	{"both ends count", "0 9 * * *", "2026-11-27T01:00:00Z", "2026-11-28T01:00:00Z", 4, 2, "2026-11-27T01:00:00Z",
	    "2026-11-28T01:00:00Z", true},
	{"just as many", "0 9 * * *", "2026-11-25T01:00:00Z", "2026-11-28T01:00:00Z", 4, 4, "2026-11-25T01:00:00Z",
	    "2026-11-28T01:00:00Z", true},
	{"the newest of many", "0 9 * * *", "2020-01-01T00:00:00Z", "2026-11-28T05:00:00Z", 4, 4, "2026-11-25T01:00:00Z",
	    "2026-11-28T01:00:00Z", false},
	{"one of a year of seconds", "* * * * * *", "2025-11-28T01:00:00Z", "2026-11-28T01:00:00Z", 1, 1,
	    "2026-11-28T01:00:00Z", "2026-11-28T01:00:00Z", false},
	{"rare ones", "0 0 29 2 *", "2001-01-01T00:00:00Z", "2026-11-28T01:00:00Z", 10, 6, "2004-02-28T16:00:00Z",
	    "2024-02-28T16:00:00Z", true},
	{"an empty stretch", "* * * * *", "2026-11-28T02:00:00Z", "2026-11-28T01:00:00Z", 4, 0, NULL, NULL, true},
};

START_TEST(the_last_ones_are_found)
{
	struct cron c;
	int64_t at[16];
	bool all;
	size_t n;

	ck_assert_int_eq(cron_parse(slice_str(lasts[_i].text), &c, NULL), 0);
	n = cron_last(&c, open_zone(SLICE("Asia/Shanghai")), instant(lasts[_i].from), instant(lasts[_i].until), at, lasts[_i].max,
	    &all);
	ck_assert_msg(n == lasts[_i].n && all == lasts[_i].all, "%s: %zu %d", lasts[_i].says, n, all);
	if (n > 0) {
		ck_assert_int_eq(at[0], instant(lasts[_i].first));
		ck_assert_int_eq(at[n - 1], instant(lasts[_i].last));
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cron");
	TCase *tc = tcase_create("cron");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, instants_are_those_of_a_stock_library);
	LOOP(tc, clocks_that_change_lose_and_double_nothing, changes);
	LOOP(tc, a_wrong_field_is_named, texts);
	tcase_add_test(tc, a_text_without_end_is_refused);
	LOOP(tc, the_last_ones_are_found, lasts);
	suite_add_tcase(s, tc);
	return run_suite(s, &arena);
}
