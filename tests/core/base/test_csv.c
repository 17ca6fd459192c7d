/* Tables of people, as spreadsheets write them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/csv.h"
#include "base/err.h"

#define FIELDS_MAX 4

/* What is read is written as: fields in brackets, records on lines, in the end the error. */
static const struct {
	const char *says, *text, *reads;
	int rc;
} cases[] = {
	{"nothing has no records", "", "", ERR_END},
	{"fields lie between commas", "a,b,c\n1,2,3\n", "1[a][b][c] 2[1][2][3] ", ERR_END},
	{"the last line needs no end", "a,b", "1[a][b] ", ERR_END},
	{"fields may be empty", ",\na,\n", "1[][] 2[a][] ", ERR_END},
	{"lines may end as in Windows", "a\r\nb\r\n", "1[a] 2[b] ", ERR_END},
	{"a carriage return alone is text", "a\rb\n", "1[a\rb] ", ERR_END},
	{"a byte order mark is none of the text", "\xEF\xBB\xBF" "a\n", "1[a] ", ERR_END},
	{"empty lines are passed over and counted", "\n\na\n\r\n\nb\n", "3[a] 6[b] ", ERR_END},
	{"quotes hold commas, ends of lines and quotes", "\"a,b\",\"c\nd\",\"e\"\"f\"\ng\n", "1[a,b][c\nd][e\"f] 3[g] ", ERR_END},
	{"quotes may hold nothing", "\"\",a\n\"\"", "1[][a] 2[] ", ERR_END},
	{"only quotes in quotes", "\"\"\"\"\"\"\n", "1[\"\"] ", ERR_END},
	{"a quote that is not closed ends it", "a\n\"b\nc", "1[a] ", ERR_MALFORMED},
	{"a doubled quote does not close it", "\"a\"\"", "", ERR_MALFORMED},
	{"nothing may stand behind quotes", "\"a\"b\n", "", ERR_MALFORMED},
	{"a quote inside of a bare field is none", "a\"b\n", "", ERR_MALFORMED},
	{"more fields than there is room for are told, and passed over", "1,2,3,4,5\na\n", "1! 2[a] ", ERR_END},
	{"Chinese is as good", "张三,\"李,四\"\n", "1[张三][李,四] ", ERR_END},
};

START_TEST(reads)
{
	struct csv_reader r = CSV_READER(slice_str(cases[_i].text));
	struct arena arena = ARENA_INIT(65536);
	struct slice fields[FIELDS_MAX];
	char got[512];
	size_t n, len = 0;
	int rc;

	got[0] = '\0';
	while ((rc = csv_next(&r, &arena, fields, FIELDS_MAX, &n)) == 0 || rc == ERR_TOO_BIG) {
		len += (size_t)snprintf(got + len, sizeof(got) - len, "%d%s", (int)r.line, rc == 0 ? "" : "!");
		for (size_t i = 0; rc == 0 && i < n; i++)
			len += (size_t)snprintf(got + len, sizeof(got) - len, "[%.*s]", SLICE_ARG(fields[i]));
		len += (size_t)snprintf(got + len, sizeof(got) - len, " ");
	}
	ck_assert_msg(strcmp(got, cases[_i].reads) == 0, "%s: %s", cases[_i].says, got);
	ck_assert_msg(rc == cases[_i].rc, "%s: %d", cases[_i].says, rc);
	arena_finish(&arena);
}
END_TEST

/* Whatever the bytes: it ends, and within them. */
START_TEST(any_bytes)
{
	static const char letters[] = "a,\"\n\r";
	uint32_t seed = 1;

	for (int round = 0; round < 20000; round++) {
		size_t len = (seed >> 8) % 24, n;
		char *text = malloc(len + 1); /* exactly so long: a sanitizer sees what lies behind */
		struct slice fields[FIELDS_MAX];
		struct arena arena = ARENA_INIT(65536);
		struct csv_reader r;

		for (size_t i = 0; i < len; i++) {
			seed = seed * 1664525u + 1013904223u;
			text[i] = letters[(seed >> 16) % 5];
		}
		seed = seed * 1664525u + 1013904223u;
		r = CSV_READER(slice_of(text, len));
		for (int rc = 0, i = 0; rc == 0 || rc == ERR_TOO_BIG; i++) {
			ck_assert_int_le(i, 25);
			rc = csv_next(&r, &arena, fields, FIELDS_MAX, &n);
		}
		arena_finish(&arena);
		free(text);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("csv");
	TCase *t = tcase_create("csv");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(t, reads, 0, sizeof(cases) / sizeof(cases[0]));
	tcase_add_test(t, any_bytes);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
