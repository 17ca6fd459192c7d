/* Zones by name and from made-up files; tests/zone/test_zones.py holds all there are against another reader. */
#include "base/zone.h"

#include <stdio.h>

#include "base/calendar.h"
#include "base/err.h"
#include "lib/run.h"

static const struct {
	const char *name;
	int rc;
} names[] = {
	{"Asia/Shanghai", 0},
	{"UTC", 0},
	{"America/Argentina/Ushuaia", 0},
	{"Etc/GMT+8", 0},
	{"", ERR_NOT_FOUND},
	{"Asia/Peking", ERR_NOT_FOUND},
	{"asia/shanghai", ERR_NOT_FOUND},
	{"Asia", ERR_NOT_FOUND},
	{"/etc/passwd", ERR_NOT_FOUND},
	{"../../../etc/passwd", ERR_NOT_FOUND},
	{"Asia/../Asia/Shanghai", ERR_NOT_FOUND},
	{"Asia//Shanghai", ERR_NOT_FOUND},
	{"Asia/", ERR_NOT_FOUND},
	{"right/UTC", ERR_NOT_FOUND},
	{"Asia/Shang\nhai", ERR_NOT_FOUND},
	{"Abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmn", ERR_NOT_FOUND},
};

START_TEST(names_are_looked_up_and_lead_nowhere_else)
{
	struct zone *z = NULL;

	ck_assert_msg(zone_open(&z, NULL, slice_str(names[_i].name)) == names[_i].rc, "%s", names[_i].name);
	zone_close(z);
}
END_TEST

START_TEST(no_database_is_told_apart_from_no_zone)
{
	struct zone *z;

	ck_assert_int_eq(zone_open(&z, "/nonexistent", SLICE("Asia/Shanghai")), ERR_UNAVAILABLE);
}
END_TEST

/* A file of version 2 without changes, two types, and this rule. */
static size_t make(char *out, const char *rule)
{
	static const char head[] = "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0"; /* and the NUL: 20 bytes */
	static const char counts[] = "\0\0\0\0" "\0\0\0\0" "\0\0\0\0" "\0\0\0\0" "\0\0\0\1" "\0\0\0\4";
	static const char data[] = "\0\0\0\0" "\0" "\0" "UTC";
	size_t n = 0;

	for (int i = 0; i < 2; i++) {
		memcpy(out + n, head, 20);
		memcpy(out + n + 20, counts, 24);
		memcpy(out + n + 44, data, 10);
		n += 54;
	}
	return n + (size_t)snprintf(out + n, 256 - n, "\n%s\n", rule);
}

static const struct {
	const char *rule;
	bool good;
	int64_t day; /* since 1970, at noon */
	int32_t offset_s;
} rules[] = {
	{"", true, 20000, 0},
	{"CST-8", true, 20000, 0}, /* no change leads there: the file's own type stands */
	{"EST5EDT,M3.2.0,M11.1.0", true, 20635, -4 * 3600}, /* 2026-07-01 */
	{"EST5EDT,M3.2.0,M11.1.0", true, 20819, -5 * 3600}, /* 2027-01-01 */
	{"EST5EDT,M3.2.0,M11.1.0", true, 73415, -5 * 3600}, /* 2171-01-01 */
	{"<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", true, 20819, 11 * 3600},
	{"IST-1GMT0,M10.5.0,M3.5.0/1", true, 20819, 0},
	{"AAA3BBB,J60/0,J300/0", true, 20512, -3 * 3600}, /* 2026-02-28 */
	{"AAA3BBB,J60/0,J300/0", true, 20513, -2 * 3600}, /* 2026-03-01 */
	{"AAA3BBB,J60/0,J300/0", true, 21243, -3 * 3600}, /* 2028-02-29 */
	{"AAA3BBB,J60/0,J300/0", true, 21244, -2 * 3600}, /* 2028-03-01 */
	{"AAA3BBB,59/0,300/0", true, 21243, -2 * 3600},   /* 2028-02-29 */
	{"XXX-2<+01>-1,0/0,J365/23", true, 20635, 3600},  /* summer all the year */
	{"EST5EDT,M13.2.0,M11.1.0", false, 0, 0},
	{"EST5EDT,M3.6.0,M11.1.0", false, 0, 0},
	{"EST5EDT,M3.2.7,M11.1.0", false, 0, 0},
	{"EST5EDT,M3.2.0", false, 0, 0},
	{"EST5EDT", false, 0, 0},
	{"E5", false, 0, 0},
	{"<EST5", false, 0, 0},
	{"EST", false, 0, 0},
	{"EST5EDT,J0,J1", false, 0, 0},
	{"EST5EDT,M3.2.0/168,M11.1.0", false, 0, 0},
	{"EST5EDT,M3.2.0,M11.1.0x", false, 0, 0},
};

START_TEST(rules_go_on_where_a_file_ends)
{
	char file[256];
	struct zone *z = NULL;
	size_t len = make(file, rules[_i].rule);
	int rc = zone_parse(&z, slice_of(file, len));

	ck_assert_msg(rc == (rules[_i].good ? 0 : ERR_MALFORMED), "%s: %d", rules[_i].rule, rc);
	if (rc == 0) {
		struct zone_span s = zone_span_at(z, rules[_i].day * S_PER_DAY + S_PER_DAY / 2);

		ck_assert_msg(s.offset_s == rules[_i].offset_s, "%s on %d: %d", rules[_i].rule, (int)rules[_i].day, s.offset_s);
	}
	zone_close(z);
}
END_TEST

START_TEST(a_file_cut_anywhere_is_refused)
{
	char file[256], *part;
	struct zone *z;
	size_t len = make(file, "EST5EDT,M3.2.0,M11.1.0");

	for (size_t n = 0; n < len; n++) {
		part = malloc(n + 1); /* its own, so that a read past the end is seen */
		memcpy(part, file, n);
		ck_assert_int_eq(zone_parse(&z, slice_of(part, n)), ERR_MALFORMED);
		free(part);
	}
}
END_TEST

START_TEST(a_file_with_any_byte_changed_harms_nobody)
{
	char file[256];
	size_t len = make(file, "EST5EDT,M3.2.0,M11.1.0");

	for (size_t i = 0; i < len; i++)
		for (int value = 0; value < 256; value += 15) {
			char kept = file[i];
			struct zone *z = NULL;

			file[i] = (char)value;
			if (zone_parse(&z, slice_of(file, len)) == 0)
				zone_span_at(z, INT64_C(1800000000));
			zone_close(z);
			file[i] = kept;
		}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("zone");
	TCase *tc = tcase_create("zone");

	tcase_add_loop_test(tc, names_are_looked_up_and_lead_nowhere_else, 0, (int)COUNT(names));
	tcase_add_test(tc, no_database_is_told_apart_from_no_zone);
	tcase_add_loop_test(tc, rules_go_on_where_a_file_ends, 0, (int)COUNT(rules));
	tcase_add_test(tc, a_file_cut_anywhere_is_refused);
	tcase_add_test(tc, a_file_with_any_byte_changed_harms_nobody);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
