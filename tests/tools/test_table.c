/* Listings in both forms. Widths are counted in columns of a terminal: a Chinese character takes two. */
#include <check.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "lib/run.h"
#include "table.h"

static const struct table_column columns[] = {
	{"POSITION", "position", TABLE_NUMBER},
	{"TITLE", "title", TABLE_TEXT},
	{"SIZE", "size", TABLE_BYTES},
	{"DONE", "done", TABLE_BOOL},
	{"TIME", "time", TABLE_TIME},
	{0},
};

static void fill(struct table *t)
{
	table_put_u64(t, 7);
	table_put_str(t, "季度预算评审会");
	table_put_u64(t, 1536);
	table_put_bool(t, true);
	table_put_time(t, 1767051029171000);
	table_put_i64(t, 12345);
	table_put(t, SLICE("plain \"title\""));
	table_put_u64(t, 12);
	table_put_none(t);
	table_put_time(t, 0);
}

/* What a listing prints, in memory of the caller. */
static char *printed(bool json, bool rows)
{
	struct table *t = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	ck_assert_int_eq(table_open(&t, out, columns, json), 0);
	if (rows)
		fill(t);
	ck_assert_int_eq(table_close(t), 0);
	fclose(out);
	return text;
}

START_TEST(table_is_aligned_with_chinese_text)
{
	char *text = printed(false, true);

	ck_assert_str_eq(text,
	    "POSITION TITLE             SIZE DONE TIME\n"
	    "       7 季度预算评审会 1.5 KiB yes  2025-12-29 23:30:29\n"
	    "   12345 plain \"title\"     12 B      1970-01-01 00:00:00\n");
	free(text);
}
END_TEST

START_TEST(json_has_the_same_rows)
{
	char *text = printed(true, true);

	ck_assert_str_eq(text,
	    "[\n"
	    "{\"position\":7,\"title\":\"季度预算评审会\",\"size\":1536,\"done\":true,"
	    "\"time\":\"2025-12-29T23:30:29.171000Z\"},\n"
	    "{\"position\":12345,\"title\":\"plain \\\"title\\\"\",\"size\":12,\"done\":null,"
	    "\"time\":\"1970-01-01T00:00:00.000000Z\"}\n"
	    "]\n");
	free(text);
}
END_TEST

START_TEST(nothing_is_an_empty_array_and_no_table)
{
	char *text = printed(true, false);

	ck_assert_str_eq(text, "[]\n");
	free(text);
	text = printed(false, false);
	ck_assert_str_eq(text == NULL ? "" : text, "");
	free(text);
}
END_TEST

START_TEST(a_full_disk_is_told)
{
	FILE *out = fopen("/dev/full", "w");
	struct table *t = NULL;

	if (out == NULL)
		return; /* no such device here */
	ck_assert_int_eq(table_open(&t, out, columns, _i == 1), 0);
	fill(t);
	ck_assert_int_eq(table_close(t), ERR_IO);
	fclose(out);
}
END_TEST

START_TEST(closing_nothing_is_fine)
{
	ck_assert_int_eq(table_close(NULL), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("table");
	TCase *t = tcase_create("table");

	setlocale(LC_CTYPE, "C.UTF-8");
	tcase_add_test(t, table_is_aligned_with_chinese_text);
	tcase_add_test(t, json_has_the_same_rows);
	tcase_add_test(t, nothing_is_an_empty_array_and_no_table);
	tcase_add_loop_test(t, a_full_disk_is_told, 0, 2);
	tcase_add_test(t, closing_nothing_is_fine);
	suite_add_tcase(s, t);
	return run_suite(s);
}
