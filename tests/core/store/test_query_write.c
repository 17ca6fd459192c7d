/* Rows as text: every kind of column in every format, and what of it has no text. */
#include <check.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/err.h"
#include "store/query_private.h"

#define KEY(name) SLICE_INIT("\"" name "\":")
#define STAMP "0001760000820000"

static sqlite3 *db;

static void setup(void)
{
	ck_assert_int_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
}

static void teardown(void)
{
	sqlite3_close(db);
}

/* All rows of sql as `columns`, into q->out. */
static void write_rows(struct query *q, const char *sql, const struct query_column *columns, uint64_t fields)
{
	sqlite3_stmt *stmt;
	struct rows rows;

	ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
	rows_begin(&rows, q, columns, fields);
	for (; sqlite3_step(stmt) == SQLITE_ROW; q->rows++)
		rows_put(&rows, stmt, 0);
	rows_end(&rows);
	sqlite3_finalize(stmt);
}

static const struct {
	const char *sql;
	enum column_kind kind;
	bool is_latest;
	const char *json, *csv;
} values[] = {
	{"select null", COLUMN_TEXT, false, "null", ""},
	{"select ''", COLUMN_TEXT, false, "\"\"", ""},
	{"select 'plain'", COLUMN_TEXT, false, "\"plain\"", "plain"},
	{"select 'eight by'", COLUMN_TEXT, false, "\"eight by\"", "eight by"},
	{"select 'a longer one, of words'", COLUMN_TEXT, false, "\"a longer one, of words\"", "\"a longer one, of words\""},
	{"select 'with \" inside'", COLUMN_TEXT, false, "\"with \\\" inside\"", "\"with \"\" inside\""},
	{"select 'seven \\'", COLUMN_TEXT, false, "\"seven \\\\\"", "seven \\"},
	{"select 'two' || char(10) || 'lines'", COLUMN_TEXT, false, "\"two\\nlines\"", "\"two\nlines\""},
	{"select char(1)", COLUMN_TEXT, false, "\"\\u0001\"", "\x01"},
	{"select '虚构周会'", COLUMN_TEXT, false, "\"虚构周会\"", "虚构周会"},
	{"select cast(x'61ff62' as text)", COLUMN_TEXT, false, "\"a\xef\xbf\xbd" "b\"", "a\xff" "b"},
	{"select 17", COLUMN_TEXT, false, "\"17\"", "17"},
	{"select 0", COLUMN_INTEGER, false, "0", "0"},
	{"select -9223372036854775807 - 1", COLUMN_INTEGER, false, "-9223372036854775808", "-9223372036854775808"},
	{"select 9223372036854775807", COLUMN_INTEGER, false, "9223372036854775807", "9223372036854775807"},
	{"select 0.25", COLUMN_REAL, false, "0.25", "0.25"},
	{"select 2", COLUMN_BOOL, false, "true", "true"},
	{"select 0", COLUMN_BOOL, false, "false", "false"},
	{"select null", COLUMN_BOOL, false, "null", ""},
	{"select 0", COLUMN_TIME, false, "\"1970-01-01T00:00:00.000Z\"", "1970-01-01T00:00:00.000Z"},
	{"select -1", COLUMN_TIME, false, "\"1969-12-31T23:59:59.999Z\"", "1969-12-31T23:59:59.999Z"},
	{"select 1767139199042", COLUMN_TIME, false, "\"2025-12-30T23:59:59.042Z\"", "2025-12-30T23:59:59.042Z"},
	{"select -62135596800000", COLUMN_TIME, false, "\"0001-01-01T00:00:00.000Z\"", "0001-01-01T00:00:00.000Z"},
	{"select 253402300799999", COLUMN_TIME, false, "\"9999-12-31T23:59:59.999Z\"", "9999-12-31T23:59:59.999Z"},
	{"select 253402300800000", COLUMN_TIME, false, "null", ""},
	{"select -62135596800001", COLUMN_TIME, false, "null", ""},
	{"select '{\"a\":1}'", COLUMN_JSON, false, "{\"a\":1}", "\"{\"\"a\"\":1}\""},
	{"select ''", COLUMN_TEXT, true, "null", ""},
	{"select '" STAMP "'", COLUMN_TEXT, true, "null", ""},
	{"select '" STAMP "会'", COLUMN_TEXT, true, "\"会\"", "会"},
	{"select null", COLUMN_TEXT, true, "null", ""},
	{"select '" STAMP "-5'", COLUMN_INTEGER, true, "-5", "-5"},
	{"select '" STAMP "five'", COLUMN_INTEGER, true, "null", "five"},
	{"select '" STAMP "1767139199042'", COLUMN_TIME, true, "\"2025-12-30T23:59:59.042Z\"", "2025-12-30T23:59:59.042Z"},
	{"select '" STAMP "today'", COLUMN_TIME, true, "null", ""},
	{"select '" STAMP "'", COLUMN_TIME, true, "null", ""},
	{"select '" STAMP "[1,2]'", COLUMN_JSON, true, "[1,2]", "\"[1,2]\""},
};

START_TEST(a_value_is_written_as_its_kind)
{
	struct query_column columns[] = {{"x", values[_i].kind, values[_i].is_latest, KEY("x"), {0}}, {0}};
	struct query json = {.format = QUERY_NDJSON, .out.max = 1000}, csv = {.format = QUERY_CSV, .out.max = 1000};
	char wanted[200];

	write_rows(&json, values[_i].sql, columns, 0);
	snprintf(wanted, sizeof(wanted), "{\"x\":%s}\n", values[_i].json);
	ck_assert_str_eq(json.out.ptr, wanted);
	write_rows(&csv, values[_i].sql, columns, 0);
	snprintf(wanted, sizeof(wanted), "x\r\n%s\r\n", values[_i].csv);
	ck_assert_str_eq(csv.out.ptr, wanted);
	query_finish(&json);
	query_finish(&csv);
}
END_TEST

/* Columns 1 and 3 are not in the statement. */
static const struct query_column columns[] = {
	{"at", COLUMN_TIME, false, KEY("at"), {0}},
	{"none", COLUMN_TEXT, false, KEY("none"), SLICE_INIT("null")},
	{"title", COLUMN_TEXT, true, KEY("title"), {0}},
	{"tags", COLUMN_JSON, false, KEY("tags"), SLICE_INIT("[1,2]")},
	{"n", COLUMN_INTEGER, false, KEY("n"), {0}},
	{0},
};
/* Two days and back: what is kept of a date is not taken for another day's. */
static const char three_rows[] = "values (1767139199042, '" STAMP "a', 1), (1767139200000, '', 2), (1767139199000, null, 3)";

static const struct {
	enum query_format format;
	bool single;
	uint64_t fields;
	const char *text;
} shapes[] = {
	{QUERY_JSON, false, 0,
	    "[{\"at\":\"2025-12-30T23:59:59.042Z\",\"none\":null,\"title\":\"a\",\"tags\":[1,2],\"n\":1},"
	    "{\"at\":\"2025-12-31T00:00:00.000Z\",\"none\":null,\"title\":null,\"tags\":[1,2],\"n\":2},"
	    "{\"at\":\"2025-12-30T23:59:59.000Z\",\"none\":null,\"title\":null,\"tags\":[1,2],\"n\":3}]"},
	{QUERY_JSON, false, 1 << 4 | 1 << 1, "[{\"none\":null,\"n\":1},{\"none\":null,\"n\":2},{\"none\":null,\"n\":3}]"},
	{QUERY_JSON, false, 1 << 2, "[{\"title\":\"a\"},{\"title\":null},{\"title\":null}]"},
	{QUERY_JSON, false, UINT64_C(1) << 40, "[{},{},{}]"},
	{QUERY_NDJSON, false, 1 << 3 | 1 << 4, "{\"tags\":[1,2],\"n\":1}\n{\"tags\":[1,2],\"n\":2}\n{\"tags\":[1,2],\"n\":3}\n"},
	{QUERY_CSV, false, 0,
	    "at,none,title,tags,n\r\n2025-12-30T23:59:59.042Z,,a,\"[1,2]\",1\r\n"
	    "2025-12-31T00:00:00.000Z,,,\"[1,2]\",2\r\n2025-12-30T23:59:59.000Z,,,\"[1,2]\",3\r\n"},
	{QUERY_CSV, false, 1 << 4, "n\r\n1\r\n2\r\n3\r\n"},
};

START_TEST(rows_have_the_shape_asked_for)
{
	struct query q = {.format = shapes[_i].format, .single = shapes[_i].single, .out.max = 4096};

	write_rows(&q, three_rows, columns, shapes[_i].fields);
	ck_assert_str_eq(q.out.ptr, shapes[_i].text);
	query_finish(&q);
}
END_TEST

/* An answer goes on behind what was there, a piece that continues a list has no names, one row is no array. */
START_TEST(what_is_around_the_rows_is_of_the_question)
{
	struct list_request continued = {.has_cursor = true};
	struct query csv = {.format = QUERY_CSV, .list = &continued, .out.max = 100};
	struct query one = {.format = QUERY_JSON, .single = true, .out.max = 100};

	write_rows(&csv, "values (0, '', 1)", columns, 1 << 4);
	ck_assert_str_eq(csv.out.ptr, "1\r\n");
	write_rows(&one, "values (0, '', 1)", columns, 1 << 4);
	ck_assert_str_eq(one.out.ptr, "{\"n\":1}");
	query_finish(&csv);
	query_finish(&one);
}
END_TEST

/* Wherever the ceiling falls, it is told, and never passed. */
START_TEST(a_ceiling_is_never_passed)
{
	static const struct query_column every[] = {
		{"t", COLUMN_TEXT, false, KEY("t"), {0}}, {"r", COLUMN_REAL, false, KEY("r"), {0}},
		{"j", COLUMN_JSON, false, KEY("j"), {0}}, {"w", COLUMN_TIME, false, KEY("w"), {0}}, {0},
	};
	static const char sql[] = "select 'a \"quoted\" text', 0.5, '{\"some\":[1,2,3,4,5,6,7,8]}', 0"
	    " union all select 'some text', 1.5, '{}', 1";
	static const enum query_format formats[] = {QUERY_JSON, QUERY_NDJSON, QUERY_CSV};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct query whole = {.format = formats[i], .out.max = 10000};
		size_t reached = 0;

		write_rows(&whole, sql, every, 0);
		for (size_t max = 1; max < whole.out.len + 100; max++) {
			struct query q = {.format = formats[i], .out.max = max};

			write_rows(&q, sql, every, 0);
			ck_assert_uint_le(q.out.len, max);
			if (q.out.rc == 0) {
				ck_assert_str_eq(q.out.ptr, whole.out.ptr);
				reached++;
			} else {
				ck_assert_int_eq(q.out.rc, ERR_TOO_BIG);
			}
			query_finish(&q);
		}
		ck_assert_uint_gt(reached, 0);
		query_finish(&whole);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("query_write");
	TCase *rows = tcase_create("rows");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(rows, setup, teardown);
	tcase_add_loop_test(rows, a_value_is_written_as_its_kind, 0, sizeof(values) / sizeof(values[0]));
	tcase_add_loop_test(rows, rows_have_the_shape_asked_for, 0, sizeof(shapes) / sizeof(shapes[0]));
	tcase_add_test(rows, what_is_around_the_rows_is_of_the_question);
	tcase_add_test(rows, a_ceiling_is_never_passed);
	suite_add_tcase(suite, rows);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
