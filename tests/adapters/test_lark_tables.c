/* The tables in Feishu: what cells say, what may be shown under a name, whether a table fits, requests about many records. */
#include <check.h>
#include <stdlib.h>

#include "base/err.h"
#include "lark_tables.h"
#include "lib/vectors.h"

static struct arena arena = ARENA_INIT(16 << 20);

#define SAYS(text, said) ck_assert_msg(slice_is(text, said), "%.*s instead of %s", SLICE_ARG(text), said)

/* ---- what cells say -------------------------------------------------------------------- */

static const struct { const char *column, *fields, *said; } cells[] = {
	{"subject", "{\"subject\":[{\"text\":\"周\",\"type\":\"text\"},{\"text\":\"会\",\"type\":\"url\",\"link\":\"x\"}]}", "周会"},
	{"subject", "{\"subject\":\"周会\"}", "周会"},
	{"subject", "{\"subject\":{\"text\":\"周会\"}}", "周会"},
	{"subject", "{\"subject\":null}", ""},
	{"subject", "{\"subject\":[]}", ""},
	{"subject", "{\"subject\":7}", ""},
	{"subject", "{}", ""},
	{"start_time", "{\"start_time\":1760000400000}", "1760000400000"},
	{"start_time", "{\"start_time\":\"1760000400000\"}", "1760000400000"},
	{"start_time", "{\"start_time\":\"soon\"}", ""},
	{"participants", "{\"participants\":{\"link_record_ids\":[\"recB\",\"recA\"]}}", "recA,recB"},
	{"participants", "{\"participants\":[\"recB\",\"recA\"]}", "recA,recB"},
	{"participants", "{\"participants\":[{\"record_ids\":[\"recB\",\"recA\"],\"table_id\":\"t\"}]}", "recA,recB"},
	{"participants", "{\"participants\":{\"link_record_ids\":null}}", ""},
	{"participants", "{\"participants\":{}}", ""},
};

START_TEST(what_is_there_is_told_alike_whatever_its_form)
{
	const struct lark_column *c = lark_column_of(LARK_MEETING, slice_str(cells[_i].column));
	struct slice said;

	ck_assert_int_eq(lark_said_there(json_root(slice_str(cells[_i].fields)), c, &arena, &said), 0);
	SAYS(said, cells[_i].said);
}
END_TEST

START_TEST(what_is_written_is_told_as_it_is_read_back)
{
	static const struct slice ids[] = {SLICE_INIT("recB"), SLICE_INIT("recA")};
	const struct lark_field fields[] = {
		{.name = SLICE("subject"), .type = LARK_TEXT, .text = SLICE("周会")},
		{.name = SLICE("start_time"), .type = LARK_DATE, .ms = 1760000400000},
		{.name = SLICE("participants"), .type = LARK_ONE_WAY, .items = ids, .n_items = 2},
		{.name = SLICE("yes"), .type = LARK_BOOL, .yes = true},
		{.name = SLICE("no"), .type = LARK_BOOL},
		{.name = SLICE("subject"), .type = LARK_TEXT, .clear = true, .text = SLICE("x")},
	};
	const char *said[] = {"周会", "1760000400000", "recA,recB", "true", "", ""};
	struct slice text;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		ck_assert_int_eq(lark_said(&fields[i], &arena, &text), 0);
		SAYS(text, said[i]);
	}
}
END_TEST

/* ---- what may be shown (functional-spec 8.8) --------------------------------------------- */

static const struct { struct lark_field field; bool fits; } shown[] = {
	{{.name = SLICE_INIT("开始时间"), .type = LARK_DATE, .ms = 0}, true},
	{{.name = SLICE_INIT("开始时间"), .type = LARK_DATE, .ms = -1}, false},
	{{.name = SLICE_INIT("日期"), .type = LARK_TEXT, .text = SLICE_INIT("昨天")}, false},
	{{.name = SLICE_INIT("start_time"), .type = LARK_DATE, .ms = -1}, false},
	{{.name = SLICE_INIT("评分"), .type = LARK_NUMBER, .number = 5}, true},
	{{.name = SLICE_INIT("评分"), .type = LARK_NUMBER, .number = 5.5}, false},
	{{.name = SLICE_INIT("进度"), .type = LARK_NUMBER, .number = -1}, false},
	{{.name = SLICE_INIT("复选框"), .type = LARK_BOOL}, true},
	{{.name = SLICE_INIT("复选框"), .type = LARK_TEXT, .text = SLICE_INIT("true")}, false},
	{{.name = SLICE_INIT("电话"), .type = LARK_TEXT, .text = SLICE_INIT("+8613911112222")}, true},
	{{.name = SLICE_INIT("手机号"), .type = LARK_TEXT, .text = SLICE_INIT("139 1111")}, false},
	{{.name = SLICE_INIT("手机号"), .type = LARK_TEXT, .text = SLICE_INIT("+")}, false},
	{{.name = SLICE_INIT("邮箱"), .type = LARK_TEXT, .text = SLICE_INIT("a@example.com")}, true},
	{{.name = SLICE_INIT("email"), .type = LARK_TEXT, .text = SLICE_INIT("a@b@example.com")}, false},
	{{.name = SLICE_INIT("email"), .type = LARK_TEXT, .text = SLICE_INIT("a@example")}, false},
	{{.name = SLICE_INIT("email"), .type = LARK_TEXT, .clear = true}, true},
	{{.name = SLICE_INIT("subject"), .type = LARK_TEXT, .text = SLICE_INIT("anything")}, true},
};

START_TEST(names_promise_what_they_hold)
{
	ck_assert_int_eq(lark_field_fits(&shown[_i].field), shown[_i].fits);
}
END_TEST

/* ---- tables ------------------------------------------------------------------------------- */

START_TEST(a_table_that_fits_and_one_that_does_not)
{
	struct json_value data = json_root(SLICE("{\"items\":[{\"field_name\":\"meet_participant\",\"type\":21},"
	    "{\"field_name\":\"their own\",\"type\":1},{\"field_name\":\"record_file\",\"type\":18}],"
	    "\"has_more\":true,\"page_token\":\"2\"}"));
	int64_t there[LARK_ROW_FIELDS_MAX] = {0};
	struct slice next;

	ck_assert_int_eq(lark_columns_read(LARK_SUMMARY, data, &arena, there, &next), 0);
	SAYS(next, "2");
	ck_assert_str_eq(lark_columns_unfit(LARK_SUMMARY, there)->name, "participant_summary");
	data = json_root(SLICE("{\"items\":[{\"field_name\":\"participant_summary\",\"type\":\"3\"}]}"));
	ck_assert_int_eq(lark_columns_read(LARK_SUMMARY, data, &arena, there, &next), 0);
	ck_assert_uint_eq(next.len, 0);
	ck_assert_ptr_null(lark_columns_unfit(LARK_SUMMARY, there));
	there[0] = LARK_TEXT;
	ck_assert_str_eq(lark_columns_unfit(LARK_SUMMARY, there)->name, "meet_participant");
	ck_assert_int_eq(lark_columns_read(LARK_SUMMARY, json_root(SLICE("{}")), &arena, there, &next), ERR_MALFORMED);
}
END_TEST

START_TEST(tables_by_name)
{
	for (unsigned t = 0; t < LARK_TABLES; t++)
		ck_assert_uint_eq(lark_table_of(slice_str(lark_tables[t].name)), t);
	ck_assert_uint_eq(lark_table_of(SLICE("user")), LARK_TABLES);
	ck_assert_ptr_null(lark_column_of(LARK_USER, SLICE("phone")));
}
END_TEST

/* ---- requests ------------------------------------------------------------------------------ */

START_TEST(bodies)
{
	const struct slice ids[] = {SLICE("a"), SLICE("B")};
	const struct lark_field name = {.name = SLICE("user_name"), .type = LARK_TEXT, .text = SLICE("张")};
	const struct lark_write writes[] = {{SLICE("rec1"), &name, 1}, {SLICE(""), &name, 1}};
	const struct lark_field bad = {.name = SLICE(""), .type = LARK_TEXT};
	const struct lark_write spoilt = {SLICE(""), &bad, 1};
	struct buf out = BUF_INIT(4096);

	ck_assert_int_eq(lark_body_search_any(&out, LARK_SUMMARY, lark_tables[LARK_SUMMARY].columns, ids, 2), 0);
	ck_assert_str_eq(out.ptr, "{\"field_names\":[\"meet_participant\",\"record_file\",\"participant_summary\"],"
	    "\"filter\":{\"conjunction\":\"or\",\"conditions\":["
	    "{\"field_name\":\"meet_participant\",\"operator\":\"contains\",\"value\":[\"a\"]},"
	    "{\"field_name\":\"meet_participant\",\"operator\":\"contains\",\"value\":[\"B\"]}]},\"automatic_fields\":false}");
	buf_clear(&out);
	ck_assert_int_eq(lark_body_ids(&out, ids, 2), 0);
	ck_assert_str_eq(out.ptr, "{\"record_ids\":[\"a\",\"B\"]}");
	buf_clear(&out);
	ck_assert_int_eq(lark_body_records(&out, writes, 2), 0);
	ck_assert_str_eq(out.ptr, "{\"records\":[{\"record_id\":\"rec1\",\"fields\":{\"user_name\":\"张\"}},"
	    "{\"fields\":{\"user_name\":\"张\"}}]}");
	buf_clear(&out);
	ck_assert_int_eq(lark_body_create(&out, &writes[1]), 0);
	ck_assert_str_eq(out.ptr, "{\"fields\":{\"user_name\":\"张\"}}");
	buf_clear(&out);
	ck_assert_int_eq(lark_body_create(&out, &spoilt), ERR_INVALID);
	ck_assert_int_eq(lark_body_records(&out, &spoilt, 1), ERR_INVALID);
	buf_finish(&out);
}
END_TEST

static const struct { const char *data; int rc; size_t n; } answers[] = {
	{"{\"record\":{\"record_id\":\"r\",\"fields\":{}}}", 0, 1},
	{"{\"records\":[{\"record_id\":\"r\",\"fields\":{}},{\"record_id\":\"s\",\"fields\":{}}]}", 0, 2},
	{"{\"records\":[],\"absent_record_ids\":[\"r\"]}", 0, 0},
	{"{\"records\":null}", ERR_MALFORMED, 0},
	{"{\"record\":{\"fields\":{}}}", ERR_MALFORMED, 0},
	{"{\"records\":[{\"record_id\":\"r\"}]}", ERR_MALFORMED, 0},
	{"{}", ERR_MALFORMED, 0},
};

START_TEST(answers_to_writes)
{
	struct lark_records r = {0};

	ck_assert_int_eq(lark_written_parse(json_root(slice_str(answers[_i].data)), &arena, &r), answers[_i].rc);
	ck_assert_uint_eq(r.n, answers[_i].n);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lark_tables");
	TCase *tc = tcase_create("tables");

	LOOP(tc, what_is_there_is_told_alike_whatever_its_form, cells);
	tcase_add_test(tc, what_is_written_is_told_as_it_is_read_back);
	LOOP(tc, names_promise_what_they_hold, shown);
	tcase_add_test(tc, a_table_that_fits_and_one_that_does_not);
	tcase_add_test(tc, tables_by_name);
	tcase_add_test(tc, bodies);
	LOOP(tc, answers_to_writes, answers);
	suite_add_tcase(s, tc);
	return run_suite(s, &arena);
}
