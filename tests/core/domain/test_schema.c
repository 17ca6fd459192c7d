/* The codec on one object that has one of everything (tests/schema/sample.json). */
#include "domain/schema.h"

#include <check.h>
#include <stdlib.h>

#include "base/err.h"
#include "sample.gen.h"

static struct arena arena;
static struct problems problems;

static void start(void)
{
	arena = (struct arena)ARENA_INIT(1 << 20);
	problems = (struct problems)PROBLEMS_INIT(&arena);
}

static void stop(void)
{
	arena_finish(&arena);
}

/* "path code" of each problem, one after the other, with "; " between. */
static const char *told(void)
{
	struct buf out = BUF_INIT(8192);
	const char *text;

	for (size_t i = 0; i < problems.n; i++)
		buf_printf(&out, "%s%s %s", i == 0 ? "" : "; ", problems.items[i].path, problems.items[i].code);
	text = out.len == 0 ? "" : arena_printf(&arena, "%s", out.ptr);
	buf_finish(&out);
	return text;
}

/* ---- decoding ---------------------------------------------------------------- */

static const struct {
	const char *says, *json;
	int rc;
	const char *told;
} decode_cases[] = {
	{"what is required is enough", "{\"name\":\"abc\",\"count\":1}", 0, ""},
	{"white space is nothing", " { \"name\" : \"abc\" , \"count\" : 1 } ", 0, ""},
	{"names may be written with escapes", "{\"n\\u0061me\":\"abc\",\"count\":1}", 0, ""},
	{"everything missing is told at once", "{}", ERR_INVALID, "/name required; /count required"},
	{"an array is no object", "[]", ERR_INVALID, " type"},
	{"half a text is not JSON", "{\"name\":", ERR_MALFORMED, " json"},
	{"a name twice is not JSON to us", "{\"name\":\"ab\",\"name\":\"ab\"}", ERR_MALFORMED, " json"},
	{"a stranger is refused by name", "{\"name\":\"abc\",\"count\":1,\"colour\":2}", ERR_INVALID,
	    "/colour additionalProperties"},
	{"a pointer escapes what it must", "{\"name\":\"abc\",\"count\":1,\"a/b~\":2}", ERR_INVALID,
	    "/a~1b~0 additionalProperties"},
	{"many wrongs, many problems",
	    "{\"name\":\"a\",\"count\":1001,\"state\":\"up\",\"code\":\"A1\",\"ratio\":2,\"yes\":1}", ERR_INVALID,
	    "/name minLength; /count maximum; /state enum; /code pattern; /ratio maximum; /yes type"},
	{"length is in characters", "{\"name\":\"\xe4\xbc\x9a\xe8\xae\xae\xe4\xbc\x9a\xe8\xae\xae\xe4\xbc\x9a\xe8\xae\xae"
	    "\xe4\xbc\x9a\xe8\xae\xae\",\"count\":1}", 0, ""},
	{"one character too many", "{\"name\":\"123456789\",\"count\":1}", ERR_INVALID, "/name maxLength"},
	{"one character is not two", "{\"name\":\"\xe4\xbc\x9a\",\"count\":1}", ERR_INVALID, "/name minLength"},
	{"a number is no text", "{\"name\":12,\"count\":1}", ERR_INVALID, "/name type"},
	{"a fraction is no integer", "{\"name\":\"ab\",\"count\":1.5}", ERR_INVALID, "/count type"},
	{"below the least", "{\"name\":\"ab\",\"count\":-6}", ERR_INVALID, "/count minimum"},
	{"beyond 64 bits", "{\"name\":\"ab\",\"count\":1,\"any_count\":9223372036854775808}", ERR_INVALID,
	    "/any_count maximum"},
	{"beyond 64 bits below", "{\"name\":\"ab\",\"count\":1,\"any_count\":-9223372036854775809}", ERR_INVALID,
	    "/any_count minimum"},
	{"null only where it is allowed", "{\"name\":null,\"count\":1,\"nullable\":null}", ERR_INVALID, "/name type"},
	{"digits as number or text", "{\"name\":\"ab\",\"count\":1,\"digits\":12345678901234567890,\"lenient\":\"-12\"}", 0, ""},
	{"a fraction has no digits to keep", "{\"name\":\"ab\",\"count\":1,\"digits\":1.5}", ERR_INVALID, "/digits type"},
	{"a word is no number", "{\"name\":\"ab\",\"count\":1,\"lenient\":\"many\"}", ERR_INVALID, "/lenient pattern"},
	{"an instant", "{\"name\":\"ab\",\"count\":1,\"when\":\"2026-11-23T22:39:15+08:00\",\"day\":\"2026-02-28\"}", 0, ""},
	{"no instant, no day", "{\"name\":\"ab\",\"count\":1,\"when\":\"yesterday\",\"day\":\"2026-02-30\"}", ERR_INVALID,
	    "/when format; /day format"},
	{"elements are told by index",
	    "{\"name\":\"ab\",\"count\":1,\"rows\":[{\"id\":\"x\"},{\"n\":1},{\"id\":\"\",\"z\":0}],\"numbers\":[1,-1]}",
	    ERR_INVALID, "/rows/1/id required; /rows/2/id minLength; /rows/2/z additionalProperties; /numbers/1 minimum"},
	{"too few and too many", "{\"name\":\"ab\",\"count\":1,\"tags\":[],\"rows\":[{},{},{},{},{}]}", ERR_INVALID,
	    "/tags minItems; /rows maxItems"},
	{"a bag is an object", "{\"name\":\"ab\",\"count\":1,\"bag\":[],\"free\":[1]}", ERR_INVALID, "/bag type"},
	{"inside of inside", "{\"name\":\"ab\",\"count\":1,\"inner\":{\"b\":\"x\"}}", ERR_INVALID,
	    "/inner/b type; /inner/a required"},
};

START_TEST(a_text_is_told_what_is_wrong_with_it)
{
	struct request_sample sample;
	int rc = schema_decode(&schema_request_sample, slice_str(decode_cases[_i].json), &arena, &sample, &problems);

	ck_assert_msg(rc == decode_cases[_i].rc, "%s: %s", decode_cases[_i].says, err_name(rc));
	ck_assert_msg(strcmp(told(), decode_cases[_i].told) == 0, "%s: told \"%s\"", decode_cases[_i].says, told());
	/* Nobody need want to know. */
	ck_assert_int_eq(schema_decode(&schema_request_sample, slice_str(decode_cases[_i].json), &arena, &sample, NULL),
	    decode_cases[_i].rc);
}
END_TEST

START_TEST(values_land_in_their_members)
{
	struct request_sample s;
	struct slice json = SLICE("{\"name\":\"a\\u4f1a\\n\",\"count\":-5,\"any_count\":-9223372036854775808,\"ratio\":0.25,"
	    "\"yes\":true,\"digits\":99999999999999999999,\"lenient\":\"42\",\"nullable\":null,\"free\":[1,{\"a\":null}],"
	    "\"bag\":{\"x\":1},\"tags\":[\"q\",\"\"],\"numbers\":[],\"inner\":{\"a\":\"\",\"new\":{\"y\":[2]},\"\\u0062x\":1},"
	    "\"rows\":[{\"id\":\"1\",\"n\":9},{\"id\":\"2\"}],\"default\":\"d\"}");

	ck_assert_int_eq(schema_decode(&schema_request_sample, json, &arena, &s, &problems), 0);
	ck_assert(slice_is(s.name, "a\xe4\xbc\x9a\n"));
	ck_assert_int_eq(s.count, -5);
	ck_assert(s.has_any_count && s.any_count == INT64_MIN);
	ck_assert(s.has_ratio && s.ratio == 0.25);
	ck_assert(s.has_yes && s.yes);
	ck_assert(slice_is(s.digits, "99999999999999999999"));
	ck_assert(s.has_lenient && s.lenient == 42);
	ck_assert_ptr_null(s.nullable.ptr);
	ck_assert(slice_is(s.state, "on")); /* its default */
	ck_assert(slice_is(s.free, "[1,{\"a\":null}]"));
	ck_assert(slice_is(s.bag, "{\"x\":1}"));
	ck_assert_uint_eq(s.tags.n, 2);
	ck_assert(slice_is(s.tags.items[0], "q"));
	ck_assert(s.tags.items[1].ptr != NULL && s.tags.items[1].len == 0);
	ck_assert(s.numbers.items != NULL && s.numbers.n == 0);
	ck_assert(s.has_inner && s.inner.a.ptr != NULL && s.inner.b == 7);
	ck_assert(slice_is(s.inner.rest, "{\"new\":{\"y\":[2]},\"\\u0062x\":1}"));
	ck_assert_uint_eq(s.rows.n, 2);
	ck_assert(s.rows.items[0].has_n && s.rows.items[0].n == 9 && !s.rows.items[1].has_n);
	ck_assert(slice_is(s.default_, "d"));
	ck_assert_ptr_null(s.when.ptr);
}
END_TEST

START_TEST(what_was_read_is_written_in_the_order_of_the_schema)
{
	static const char clear[] = "{\"name\":\"\\\"\xe4\xbc\x9a\",\"state\":\"off\",\"count\":3,\"any_count\":0,"
	    "\"ratio\":1.5,\"yes\":false,\"digits\":\"18446744073709551616\",\"lenient\":1,\"free\":null,\"bag\":{},"
	    "\"tags\":[\"a\"],\"numbers\":[0,9223372036854775807],\"inner\":{\"a\":\"x\",\"b\":7,\"later\":[true],\"b\\\"q\":1},"
	    "\"rows\":[]}";
	struct buf out = BUF_INIT(4096), again = BUF_INIT(4096);
	struct json_writer w = JSON_WRITER(&out), w2 = JSON_WRITER(&again);
	struct request_sample s;

	ck_assert_int_eq(schema_decode(&schema_request_sample, slice_str(clear), &arena, &s, &problems), 0);
	ck_assert_int_eq(schema_encode(&schema_request_sample, &s, NULL, &w), 0);
	ck_assert_str_eq(out.ptr, clear);
	ck_assert_int_eq(schema_check(&schema_request_sample, &s, &problems, &arena), 0);
	ck_assert_int_eq(schema_decode(&schema_request_sample, buf_slice(&out), &arena, &s, &problems), 0);
	ck_assert_int_eq(schema_encode(&schema_request_sample, &s, NULL, &w2), 0);
	ck_assert(slice_eq(buf_slice(&out), buf_slice(&again)));
	buf_finish(&out);
	buf_finish(&again);
}
END_TEST

START_TEST(an_output_that_is_too_long_is_an_error)
{
	struct request_sample s = {.name = SLICE("long enough"), .state = SLICE("on")};

	for (size_t max = 0; max < 20; max++) {
		struct buf out = BUF_INIT(max);
		struct json_writer w = JSON_WRITER(&out);

		ck_assert_int_eq(schema_encode(&schema_request_sample, &s, NULL, &w), ERR_TOO_BIG);
		buf_finish(&out);
	}
}
END_TEST

START_TEST(an_arena_that_is_too_small_is_an_error)
{
	struct slice json = SLICE("{\"name\":\"a\\nb\",\"count\":1,\"tags\":[\"a\",\"b\"],\"inner\":{\"a\":\"\",\"z\":1}}");
	struct request_sample s;
	unsigned refused = 0;

	/* Whichever allocation it is that fails. */
	for (size_t max = 0; max < 512; max += 8) {
		struct arena small = ARENA_INIT(max);
		int rc = schema_decode(&schema_request_sample, json, &small, &s, NULL);

		ck_assert(rc == 0 || rc == ERR_NOMEM);
		refused += rc != 0;
		arena_finish(&small);
	}
	ck_assert(refused > 5 && refused < 60);
}
END_TEST

START_TEST(a_struct_of_our_own_is_checked_too)
{
	struct slice tags[] = {SLICE("ok"), SLICE("too long")};
	struct request_sample s = {.name = SLICE("x"), .state = SLICE("up"), .count = 2000, .bag = SLICE("[]"),
	    .free = SLICE("{"), .has_inner = true};

	s.tags.items = tags;
	s.tags.n = 2;
	ck_assert_int_eq(schema_check(&schema_request_sample, &s, &problems, &arena), ERR_INVALID);
	ck_assert_str_eq(told(), "/name minLength; /state enum; /count maximum; /free json; /bag type; /tags/1 maxLength; "
	    "/inner/a required");
}
END_TEST

/* ---- texts ---------------------------------------------------------------------- */

static const struct {
	const char *says, *pairs[7]; /* name, value, ..., NULL */
	int rc;
	const char *told;
} pair_cases[] = {
	{"numbers and truths out of texts", {"name", "ab", "count", "12", "yes", "1"}, 0, ""},
	{"nothing is not a number", {"name", "ab", "count", ""}, ERR_INVALID, "count type"},
	{"a sign alone neither", {"name", "ab", "count", "-"}, ERR_INVALID, "count type"},
	{"required", {"name", "ab"}, ERR_INVALID, "count required"},
	{"a stranger", {"name", "ab", "count", "1", "x", "1"}, ERR_INVALID, "x additionalProperties"},
	{"once is enough", {"name", "ab", "count", "1", "name", "ab"}, ERR_INVALID, "name repeated"},
	{"a list may come in pieces", {"name", "ab", "count", "1", "tags", "a,b,c"}, 0, ""},
	{"but not too many", {"name", "ab", "count", "1", "tags", "a,b,c,d"}, ERR_INVALID, "tags maxItems"},
	{"objects do not fit", {"name", "ab", "count", "1", "inner", "{}"}, ERR_INVALID, "inner type"},
	{"not a number", {"name", "ab", "count", "1", "ratio", "1,5"}, ERR_INVALID, "ratio type"},
	{"not a truth", {"name", "ab", "count", "1", "yes", "yes"}, ERR_INVALID, "yes type"},
};

START_TEST(pairs_are_read_and_told_about)
{
	struct schema_pair pairs[3];
	struct request_sample s;
	size_t n = 0;
	int rc;

	for (; n < 3 && pair_cases[_i].pairs[2 * n] != NULL; n++)
		pairs[n] = (struct schema_pair){slice_str(pair_cases[_i].pairs[2 * n]),
		    slice_str(pair_cases[_i].pairs[2 * n + 1])};
	rc = schema_decode_pairs(&schema_request_sample, pairs, n, &arena, &s, &problems);
	ck_assert_msg(rc == pair_cases[_i].rc, "%s: %s", pair_cases[_i].says, err_name(rc));
	ck_assert_msg(strcmp(told(), pair_cases[_i].told) == 0, "%s: told \"%s\"", pair_cases[_i].says, told());
	ck_assert(slice_is(s.state, "on"));
}
END_TEST

static const struct {
	uint16_t flags;
	const char *text;
	int64_t value; /* -1: refused */
} unit_cases[] = {
	{FIELD_BYTES, "4096", 4096}, {FIELD_BYTES, "64KiB", 65536}, {FIELD_BYTES, "2 GiB", INT64_C(2) << 30},
	{FIELD_BYTES, "1MB", 1000000}, {FIELD_BYTES, "9999999TiB", -1}, {FIELD_BYTES, "1 pony", -1}, {FIELD_BYTES, "KiB", -1},
	{FIELD_SPAN_MS, "1500", 1500}, {FIELD_SPAN_MS, "90s", 90000}, {FIELD_SPAN_MS, "7d", 604800000},
	{FIELD_SPAN_S, "15m", 900}, {FIELD_SPAN_S, "30", 30}, {FIELD_SPAN_S, "1500ms", -1}, {FIELD_SPAN_S, "2000ms", 2},
	{0, "12", 12}, {0, "12s", -1},
};

START_TEST(numbers_may_have_units)
{
	struct schema_field f = {.name = SLICE_INIT("x"), .kind = SCHEMA_INT, .flags = unit_cases[_i].flags};
	int64_t value = 0;
	int rc = schema_set_text(&f, slice_str(unit_cases[_i].text), "X", &arena, &value, &problems);

	ck_assert_msg(rc == (unit_cases[_i].value < 0 ? ERR_INVALID : 0), "%s: %s", unit_cases[_i].text, err_name(rc));
	if (rc == 0)
		ck_assert_int_eq(value, unit_cases[_i].value);
	else
		ck_assert_str_eq(problems.items[0].path, "X");
}
END_TEST

/* ---- by name ---------------------------------------------------------------------- */

START_TEST(members_are_found_by_path)
{
	struct request_sample s = {.name = SLICE("ab"), .count = 4};
	struct schema_path p;

	ck_assert_int_eq(schema_path_find(&schema_request_sample, SLICE("count"), &p), 0);
	ck_assert_int_eq(*(const int64_t *)schema_path_get(&p, &s), 4);
	ck_assert_int_eq(schema_path_find(&schema_request_sample, SLICE("inner.b"), &p), 0);
	ck_assert_ptr_null(schema_path_get(&p, &s));
	s.has_inner = true;
	s.inner.b = 8;
	ck_assert_int_eq(*(const int64_t *)schema_path_get(&p, &s), 8);
	ck_assert_int_eq(schema_path_find(&schema_request_sample, SLICE("inner.c"), &p), ERR_NOT_FOUND);
	ck_assert_int_eq(schema_path_find(&schema_request_sample, SLICE("count.b"), &p), ERR_NOT_FOUND);
	ck_assert_int_eq(schema_path_find(&schema_request_sample, SLICE(""), &p), ERR_NOT_FOUND);
}
END_TEST

START_TEST(a_schema_describes_itself)
{
	struct buf out = BUF_INIT(16384);
	struct json_writer w = JSON_WRITER(&out);
	struct json_value properties, field, value;

	schema_describe(&schema_request_sample, &w);
	ck_assert_int_eq(json_scan(buf_slice(&out), NULL, NULL), 0);
	ck_assert(json_member(json_root(buf_slice(&out)), "properties", &properties));
	ck_assert(json_member(properties, "count", &field));
	ck_assert(slice_is(field.text, "{\"type\":\"integer\",\"minimum\":-5,\"maximum\":1000}"));
	ck_assert(json_member(properties, "state", &field));
	ck_assert(slice_is(field.text, "{\"type\":\"string\",\"enum\":[\"on\",\"off\"],\"default\":\"on\"}"));
	ck_assert(json_member(properties, "rows", &field) && json_member(field, "items", &value));
	ck_assert(json_member(json_root(buf_slice(&out)), "required", &value));
	ck_assert(slice_is(value.text, "[\"name\",\"count\"]"));
	buf_finish(&out);
}
END_TEST

START_TEST(problems_are_counted_beyond_the_last_one_kept)
{
	struct buf json = BUF_INIT(8192), out = BUF_INIT(32768);
	struct json_writer w = JSON_WRITER(&out);
	struct request_sample s;

	buf_append_str(&json, "{\"name\":\"ab\",\"count\":1");
	for (int i = 0; i < 100; i++)
		buf_printf(&json, ",\"x%d\":1", i);
	buf_append_str(&json, "}");
	ck_assert_int_eq(schema_decode(&schema_request_sample, buf_slice(&json), &arena, &s, &problems), ERR_INVALID);
	ck_assert_uint_eq(problems.n, PROBLEMS_MAX);
	ck_assert_uint_eq(problems.total, 100);
	problems_write(&problems, &w);
	ck_assert_int_eq(json_scan(buf_slice(&out), NULL, NULL), 0);
	buf_finish(&json);
	buf_finish(&out);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

int main(void)
{
	Suite *suite = suite_create("schema");
	TCase *tc = tcase_create("schema");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_loop_test(tc, a_text_is_told_what_is_wrong_with_it, 0, COUNT(decode_cases));
	tcase_add_test(tc, values_land_in_their_members);
	tcase_add_test(tc, what_was_read_is_written_in_the_order_of_the_schema);
	tcase_add_test(tc, an_output_that_is_too_long_is_an_error);
	tcase_add_test(tc, an_arena_that_is_too_small_is_an_error);
	tcase_add_test(tc, a_struct_of_our_own_is_checked_too);
	tcase_add_loop_test(tc, pairs_are_read_and_told_about, 0, COUNT(pair_cases));
	tcase_add_loop_test(tc, numbers_may_have_units, 0, COUNT(unit_cases));
	tcase_add_test(tc, members_are_found_by_path);
	tcase_add_test(tc, a_schema_describes_itself);
	tcase_add_test(tc, problems_are_counted_beyond_the_last_one_kept);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
