/* json_scan.c, json_reader.c, json_writer.c; cJSON is asked for a second opinion. */
#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "base/err.h"
#include "base/json.h"
#include "base/rng.h"
#include "lib/run.h"

#define TEXT(literal) literal, sizeof(literal) - 1

/* After the style of the JSON parsing test suite: y_ accepted, n_ refused. */
static const struct {
	const char *text;
	size_t len;
	int rc;
} texts[] = {
    /* accepted */
    {TEXT("[]"), 0},
    {TEXT("{}"), 0},
    {TEXT(" \t\r\n[ ] \n"), 0},
    {TEXT("null"), 0},
    {TEXT("true"), 0},
    {TEXT("\"\""), 0},
    {TEXT("[1,-0,0,0.5,-1.5e+10,1E-2,10000000000000000999,123456789012345678901234567890]"), 0},
    {TEXT("{\"a\":1,\"b\":{\"a\":1},\"\":[{\"a\":2},{\"a\":3}]}"), 0},
    {TEXT("[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud834\\udd1e\"]"), 0},
    {TEXT("\"\xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80 \x7f\""), 0},
    {TEXT("{\"\\u0061\":1,\"b\":2}"), 0},
    {TEXT("[\"\xef\xbf\xbf\xf4\x8f\xbf\xbf\"]"), 0},
    /* structure */
    {TEXT(""), ERR_MALFORMED},
    {TEXT("   "), ERR_MALFORMED},
    {TEXT("["), ERR_MALFORMED},
    {TEXT("]"), ERR_MALFORMED},
    {TEXT("[1"), ERR_MALFORMED},
    {TEXT("[1,"), ERR_MALFORMED},
    {TEXT("[1,]"), ERR_MALFORMED},
    {TEXT("[,1]"), ERR_MALFORMED},
    {TEXT("[1 2]"), ERR_MALFORMED},
    {TEXT("[1}"), ERR_MALFORMED},
    {TEXT("{"), ERR_MALFORMED},
    {TEXT("{\"a\""), ERR_MALFORMED},
    {TEXT("{\"a\":"), ERR_MALFORMED},
    {TEXT("{\"a\":1"), ERR_MALFORMED},
    {TEXT("{\"a\":1,}"), ERR_MALFORMED},
    {TEXT("{\"a\" 1}"), ERR_MALFORMED},
    {TEXT("{a:1}"), ERR_MALFORMED},
    {TEXT("{1:1}"), ERR_MALFORMED},
    {TEXT("{\"a\":1]"), ERR_MALFORMED},
    {TEXT("{,}"), ERR_MALFORMED},
    {TEXT("[] []"), ERR_MALFORMED},
    {TEXT("{}x"), ERR_MALFORMED},
    {TEXT("1 2"), ERR_MALFORMED},
    {TEXT("[]\0"), ERR_MALFORMED},
    {TEXT("\0"), ERR_MALFORMED},
    {TEXT("\xef\xbb\xbf{}"), ERR_MALFORMED},
    {TEXT("/**/[]"), ERR_MALFORMED},
    {TEXT("[]//"), ERR_MALFORMED},
    {TEXT("\x0b[]"), ERR_MALFORMED},
    {TEXT("\xc2\xa0[]"), ERR_MALFORMED},
    /* words */
    {TEXT("nul"), ERR_MALFORMED},
    {TEXT("True"), ERR_MALFORMED},
    {TEXT("nullx"), ERR_MALFORMED},
    {TEXT("[NaN]"), ERR_MALFORMED},
    {TEXT("[Infinity]"), ERR_MALFORMED},
    {TEXT("['a']"), ERR_MALFORMED},
    /* numbers */
    {TEXT("-"), ERR_MALFORMED},
    {TEXT("01"), ERR_MALFORMED},
    {TEXT("[-01]"), ERR_MALFORMED},
    {TEXT("[1.]"), ERR_MALFORMED},
    {TEXT("[.5]"), ERR_MALFORMED},
    {TEXT("[+1]"), ERR_MALFORMED},
    {TEXT("[1e]"), ERR_MALFORMED},
    {TEXT("[1e+]"), ERR_MALFORMED},
    {TEXT("[0x10]"), ERR_MALFORMED},
    {TEXT("[1.5.5]"), ERR_MALFORMED},
    {TEXT("[-a]"), ERR_MALFORMED},
    {TEXT("12345678901234567890123456789012"), 0},
    {TEXT("123456789012345678901234567890123"), ERR_TOO_BIG},
    /* strings */
    {TEXT("\""), ERR_MALFORMED},
    {TEXT("\"a"), ERR_MALFORMED},
    {TEXT("\"\\"), ERR_MALFORMED},
    {TEXT("\"\\\""), ERR_MALFORMED},
    {TEXT("\"\\x41\""), ERR_MALFORMED},
    {TEXT("\"\\a\""), ERR_MALFORMED},
    {TEXT("\"\\U0041\""), ERR_MALFORMED},
    {TEXT("\"\\u004\""), ERR_MALFORMED},
    {TEXT("\"\\u00g0\""), ERR_MALFORMED},
    {TEXT("\"\\u0000\""), ERR_MALFORMED},
    {TEXT("\"\\ud800\""), ERR_MALFORMED},
    {TEXT("\"\\udc00\""), ERR_MALFORMED},
    {TEXT("\"\\ud800\\ud800\""), ERR_MALFORMED},
    {TEXT("\"\\ud800x\""), ERR_MALFORMED},
    {TEXT("\"\\ud800\\n\""), ERR_MALFORMED},
    {TEXT("\"\\ud800\\u\""), ERR_MALFORMED},
    {TEXT("\"abcdefg\nhijklmnop\""), ERR_MALFORMED},
    {TEXT("\"\t\""), ERR_MALFORMED},
    {TEXT("\"abc\0def\""), ERR_MALFORMED},
    {TEXT("\"\x1f\""), ERR_MALFORMED},
    {TEXT("\"\x80\""), ERR_MALFORMED},
    {TEXT("\"\xc0\xaf\""), ERR_MALFORMED},
    {TEXT("\"\xc1\xbf\""), ERR_MALFORMED},
    {TEXT("\"\xe0\x9f\xbf\""), ERR_MALFORMED},
    {TEXT("\"\xed\xa0\x80\""), ERR_MALFORMED},
    {TEXT("\"\xf0\x8f\xbf\xbf\""), ERR_MALFORMED},
    {TEXT("\"\xf4\x90\x80\x80\""), ERR_MALFORMED},
    {TEXT("\"\xf5\x80\x80\x80\""), ERR_MALFORMED},
    {TEXT("\"\xe4\xb8\""), ERR_MALFORMED},
    {TEXT("\"\xe4\xb8"), ERR_MALFORMED},
    {TEXT("\"\xff\""), ERR_MALFORMED},
    /* names */
    {TEXT("{\"a\":1,\"a\":2}"), ERR_MALFORMED},
    {TEXT("{\"a\":1,\"b\":2,\"\\u0061\":2}"), ERR_MALFORMED},
    {TEXT("{\"\\u4e2d\":1,\"\xe4\xb8\xad\":2}"), ERR_MALFORMED},
    {TEXT("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}"), ERR_MALFORMED},
    {TEXT("{\"\":1,\"\":2}"), ERR_MALFORMED},
    {TEXT("{\"x\":{\"a\":1,\"a\":1}}"), ERR_MALFORMED},
    {TEXT("{\"a\\u0000\":1}"), ERR_MALFORMED},
    {TEXT("{\"ab\":1,\"cd\":2,\"abc\":3,\"a\":4,\"A\":5}"), 0},
};

START_TEST(scan_accepts_and_refuses)
{
	struct json_error error = {.offset = SIZE_MAX};
	/* An exact heap copy, so that the address sanitizer sees one byte too far. */
	char *copy = malloc(texts[_i].len + (texts[_i].len == 0));
	struct slice text = slice_of(copy, texts[_i].len);
	cJSON *tree = NULL;
	int rc;

	memcpy(copy, texts[_i].text, texts[_i].len);
	rc = json_scan(text, NULL, &error);
	ck_assert_msg(rc == texts[_i].rc, "%.*s: %s", SLICE_ARG(text), err_name(rc));
	if (rc != 0) {
		ck_assert_uint_le(error.offset, texts[_i].len);
		ck_assert_ptr_nonnull(error.reason);
		ck_assert_int_eq(json_tree(text, NULL, &tree, NULL), rc);
		ck_assert_ptr_null(tree);
	} else {
		/* What we accept, cJSON accepts too. */
		ck_assert_int_eq(json_tree(text, NULL, &tree, NULL), 0);
		cJSON_Delete(tree);
	}
	free(copy);
}
END_TEST

static int scan_repeated(const char *before, const char *middle, const char *after, unsigned n)
{
	struct buf b = BUF_INIT(1 << 24);
	int rc;

	for (unsigned i = 0; i < n; i++)
		buf_append_str(&b, before);
	buf_append_str(&b, middle);
	for (unsigned i = 0; i < n; i++)
		buf_append_str(&b, after);
	ck_assert_int_eq(b.rc, 0);
	rc = json_scan(buf_slice(&b), NULL, NULL);
	buf_finish(&b);
	return rc;
}

START_TEST(scan_limits_depth_and_values)
{
	ck_assert_int_eq(scan_repeated("[", "", "]", 32), 0);
	ck_assert_int_eq(scan_repeated("[", "", "]", 33), ERR_TOO_BIG);
	ck_assert_int_eq(scan_repeated("{\"a\":", "1", "}", 32), 0);
	ck_assert_int_eq(scan_repeated("{\"a\":", "1", "}", 33), ERR_TOO_BIG);
	ck_assert_int_eq(scan_repeated("[", "", "", 100000), ERR_TOO_BIG);
	/* The array itself is a value too. */
	ck_assert_int_eq(scan_repeated("", "[1", ",1", 49998), ERR_MALFORMED);
	{
		struct buf b = BUF_INIT(1 << 20);

		buf_append_str(&b, "[1");
		for (int i = 0; i < 49998; i++)
			buf_append_str(&b, ",1");
		buf_append_str(&b, "]");
		ck_assert_int_eq(json_scan(buf_slice(&b), NULL, NULL), 0);
		b.ptr[b.len - 1] = ',';
		buf_append_str(&b, "1]");
		ck_assert_int_eq(json_scan(buf_slice(&b), NULL, NULL), ERR_TOO_BIG);
		buf_finish(&b);
	}
}
END_TEST

/* {"m0":0,...}; the last name repeats number `again` when that is >= 0. */
static int scan_members(unsigned n, int again, bool escaped)
{
	struct buf b = BUF_INIT(1 << 20);
	int rc;

	buf_append_str(&b, "{");
	for (unsigned i = 0; i < n; i++)
		buf_printf(&b, "%s\"m%u\":0", i > 0 ? "," : "", i);
	if (again >= 0)
		buf_printf(&b, escaped ? ",\"\\u006d%d\":0" : ",\"m%d\":0", again);
	buf_append_str(&b, "}");
	rc = json_scan(buf_slice(&b), NULL, NULL);
	buf_finish(&b);
	return rc;
}

START_TEST(scan_finds_duplicates_among_many)
{
	ck_assert_int_eq(scan_members(1000, -1, false), 0);
	ck_assert_int_eq(scan_members(1001, -1, false), ERR_TOO_BIG);
	for (unsigned n = 1; n < 999; n += n < 300 ? 1 : 97) {
		ck_assert_int_eq(scan_members(n, -1, false), 0);
		ck_assert_int_eq(scan_members(n, 0, false), ERR_MALFORMED);
		ck_assert_int_eq(scan_members(n, (int)n - 1, false), ERR_MALFORMED);
		ck_assert_int_eq(scan_members(n, (int)n / 2, true), ERR_MALFORMED);
		ck_assert_int_eq(scan_members(n, (int)n, true), 0);
	}
}
END_TEST

static const struct {
	const char *text;
	int rc;
} compact_texts[] = {
    {"{\"a b\":[1,\" x \",{}],\"c\":\"\\n\"}", 0},
    {"[]", 0},
    {" []", ERR_MALFORMED},
    {"[]\n", ERR_MALFORMED},
    {"[ ]", ERR_MALFORMED},
    {"[1 ]", ERR_MALFORMED},
    {"[1, 2]", ERR_MALFORMED},
    {"{\"a\" :1}", ERR_MALFORMED},
    {"{\"a\":\t1}", ERR_MALFORMED},
    {"{\"a\":1,\r\"b\":1}", ERR_MALFORMED},
};

START_TEST(scan_compact_allows_no_space)
{
	struct json_limits limits = JSON_LIMITS_DEFAULT;

	limits.compact = true;
	ck_assert_int_eq(json_scan(slice_str(compact_texts[_i].text), &limits, NULL), compact_texts[_i].rc);
	ck_assert_int_eq(json_scan(slice_str(compact_texts[_i].text), NULL, NULL), 0);
}
END_TEST

START_TEST(scan_says_where)
{
	struct json_error error;

	ck_assert_int_eq(json_scan(SLICE("{\"a\":1, \"a\":2}"), NULL, &error), ERR_MALFORMED);
	ck_assert_uint_eq(error.offset, 8);
	ck_assert_str_eq(error.reason, "duplicate member name");
	ck_assert_int_eq(json_scan(SLICE("[1, x]"), NULL, &error), ERR_MALFORMED);
	ck_assert_uint_eq(error.offset, 4);
	ck_assert_int_eq(json_scan((struct slice){0}, NULL, &error), ERR_MALFORMED);
	ck_assert_uint_eq(error.offset, 0);
}
END_TEST

START_TEST(reader_walks)
{
	struct slice text = SLICE(" { \"a\" : [1, \"x\\\"]\", {\"deep\":[[]]}] , \"b\\n\":\"\\u4e2d\\t\","
				  "\"n\":null,\"t\":true,\"f\":false,\"e\":{}, \"\\\\\":\"\\\\\" } ");
	struct arena arena = ARENA_INIT(1000);
	struct json_reader r, inner;
	struct json_value v, element;
	struct slice name, s;

	ck_assert_int_eq(json_scan(text, NULL, NULL), 0);
	json_enter(&r, json_root(text));
	ck_assert(json_next(&r, &name, &v));
	ck_assert_slice_eq(name, SLICE("a"));
	ck_assert_int_eq(v.type, JSON_ARRAY);
	json_enter(&inner, v);
	ck_assert(json_next(&inner, &name, &element));
	ck_assert_uint_eq(name.len, 0);
	ck_assert_slice_eq(element.text, SLICE("1"));
	ck_assert(json_next(&inner, NULL, &element));
	ck_assert_int_eq(json_string(element, &arena, &s), 0);
	ck_assert_slice_eq(s, SLICE("x\"]"));
	ck_assert(json_next(&inner, NULL, &element));
	ck_assert_slice_eq(element.text, SLICE("{\"deep\":[[]]}"));
	ck_assert(!json_next(&inner, NULL, &element));
	ck_assert(!json_next(&inner, NULL, &element));

	ck_assert(json_next(&r, &name, &v));
	ck_assert(json_name_is(name, SLICE("b\n")));
	ck_assert(!json_name_is(name, SLICE("b")));
	ck_assert(!json_name_is(name, SLICE("b\nn")));
	ck_assert_int_eq(json_string(v, &arena, &s), 0);
	ck_assert_slice_eq(s, SLICE("\xe4\xb8\xad\t"));
	for (enum json_type type = JSON_NULL; type <= JSON_TRUE; type++)
		ck_assert(json_next(&r, &name, &v));
	ck_assert(json_next(&r, &name, &v));
	ck_assert_int_eq(v.type, JSON_OBJECT);
	json_enter(&inner, v);
	ck_assert(!json_next(&inner, &name, &element));
	ck_assert(json_next(&r, &name, &v));
	ck_assert(json_name_is(name, SLICE("\\")));
	ck_assert_int_eq(json_string(v, &arena, &s), 0);
	ck_assert_slice_eq(s, SLICE("\\"));
	ck_assert(!json_next(&r, &name, &v));

	ck_assert(json_member(json_root(text), "t", &v));
	ck_assert_int_eq(v.type, JSON_TRUE);
	ck_assert(json_member(json_root(text), "f", &v));
	ck_assert_int_eq(v.type, JSON_FALSE);
	ck_assert(json_member(json_root(text), "n", &v));
	ck_assert_int_eq(v.type, JSON_NULL);
	ck_assert(!json_member(json_root(text), "missing", &v));
	ck_assert(!json_member(v, "n", &element));
	ck_assert_int_eq(json_string(v, &arena, &s), ERR_INVALID);
	arena_finish(&arena);
}
END_TEST

START_TEST(reader_borrows_and_runs_out_of_memory)
{
	struct arena none = ARENA_INIT(0);
	struct slice s;

	ck_assert_int_eq(json_string(json_root(SLICE("\"plain\"")), &none, &s), 0);
	ck_assert_slice_eq(s, SLICE("plain"));
	ck_assert_int_eq(json_string(json_root(SLICE("\"\\n\"")), &none, &s), ERR_NOMEM);
}
END_TEST

static const struct {
	const char *text;
	int rc_i64;
	int64_t i64;
	int rc_u64;
	uint64_t u64;
	double number;
} numbers[] = {
    {"0", 0, 0, 0, 0, 0},
    {"-0", 0, 0, 0, 0, 0},
    {"9007199254740993", 0, 9007199254740993, 0, 9007199254740993u, 9007199254740992.0},
    {"9223372036854775807", 0, INT64_MAX, 0, INT64_MAX, 9223372036854775808.0},
    {"9223372036854775808", ERR_RANGE, 0, 0, (uint64_t)INT64_MAX + 1, 9223372036854775808.0},
    {"18446744073709551615", ERR_RANGE, 0, 0, UINT64_MAX, 18446744073709551616.0},
    {"18446744073709551616", ERR_RANGE, 0, ERR_RANGE, 0, 18446744073709551616.0},
    {"-9223372036854775808", 0, INT64_MIN, ERR_RANGE, 0, -9223372036854775808.0},
    {"-9223372036854775809", ERR_RANGE, 0, ERR_RANGE, 0, -9223372036854775808.0},
    {"-1", 0, -1, ERR_RANGE, 0, -1},
    {"1.0", ERR_INVALID, 0, ERR_INVALID, 0, 1},
    {"1e3", ERR_INVALID, 0, ERR_INVALID, 0, 1000},
    {"1E3", ERR_INVALID, 0, ERR_INVALID, 0, 1000},
};

START_TEST(reader_numbers_are_exact)
{
	struct json_value v = json_root(slice_str(numbers[_i].text));
	int64_t i64 = 0;
	uint64_t u64 = 0;
	double number;

	ck_assert_int_eq(json_i64(v, &i64), numbers[_i].rc_i64);
	ck_assert_int_eq(i64, numbers[_i].i64);
	ck_assert_int_eq(json_u64(v, &u64), numbers[_i].rc_u64);
	ck_assert_uint_eq(u64, numbers[_i].u64);
	ck_assert_int_eq(json_double(v, &number), 0);
	ck_assert_double_eq(number, numbers[_i].number);
}
END_TEST

START_TEST(reader_numbers_refuse_others)
{
	int64_t i64;
	uint64_t u64;
	double number;

	ck_assert_int_eq(json_i64(json_root(SLICE("\"1\"")), &i64), ERR_INVALID);
	ck_assert_int_eq(json_u64(json_root(SLICE("null")), &u64), ERR_INVALID);
	ck_assert_int_eq(json_double(json_root(SLICE("true")), &number), ERR_INVALID);
	ck_assert_int_eq(json_double(json_root(SLICE("1e999")), &number), ERR_RANGE);
	ck_assert_int_eq(json_member_i64(json_root(SLICE("{\"a\":7}")), "a", -1), 7);
	ck_assert_int_eq(json_member_i64(json_root(SLICE("{\"a\":\"7\"}")), "a", -1), -1);
	ck_assert_int_eq(json_member_i64(json_root(SLICE("{\"a\":7}")), "b", -1), -1);
	ck_assert_int_eq(json_member_i64(json_root(SLICE("[7]")), "a", -1), -1);
}
END_TEST

START_TEST(a_member_is_read_as_text)
{
	struct arena arena = ARENA_INIT(4096), none = ARENA_INIT(0);
	struct json_value v = json_root(SLICE("{\"a\":\"plain\",\"b\":\"two\\nlines\",\"n\":7,\"e\":\"\"}"));

	ck_assert(slice_is(json_member_text(v, "a", &arena), "plain"));
	ck_assert(slice_is(json_member_text(v, "b", &arena), "two\nlines"));
	ck_assert_ptr_null(json_member_text(v, "n", &arena).ptr);
	ck_assert_ptr_null(json_member_text(v, "c", &arena).ptr);
	ck_assert_ptr_nonnull(json_member_text(v, "e", &arena).ptr);
	ck_assert_uint_eq(json_member_text(v, "e", &arena).len, 0);
	ck_assert_ptr_null(json_member_text(v, "b", &none).ptr);
	ck_assert_ptr_null(json_member_text(json_root(SLICE("[\"a\"]")), "a", &arena).ptr);
	arena_finish(&arena);
}
END_TEST

START_TEST(writer_writes)
{
	struct buf b = BUF_INIT(1000);
	struct json_writer w = JSON_WRITER(&b);

	json_begin_object(&w);
	json_name(&w, "s");
	json_put_string(&w, SLICE("\"\\\b\f\n\r\t\x01\x1f\x7f\xe4\xb8\xad/"));
	json_name(&w, "bad");
	json_put_string(&w, SLICE("a\xff\xe4\xb8z\xed\xa0\x80"));
	json_name_slice(&w, SLICE("a\"b"));
	json_begin_array(&w);
	json_put_i64(&w, INT64_MIN);
	json_put_u64(&w, UINT64_MAX);
	json_put_bool(&w, true);
	json_put_bool(&w, false);
	json_put_null(&w);
	json_put_str(&w, NULL);
	json_put_raw(&w, SLICE("{\"x\":1}"));
	json_begin_object(&w);
	json_end_object(&w);
	json_begin_array(&w);
	json_end_array(&w);
	json_put_double(&w, NAN);
	json_put_double(&w, INFINITY);
	json_put_double(&w, 0.1);
	json_put_string(&w, (struct slice){0});
	json_end_array(&w);
	json_name(&w, "last");
	json_put_i64(&w, 0);
	json_end_object(&w);
	ck_assert_int_eq(b.rc, 0);
	ck_assert_str_eq(b.ptr,
	    "{\"s\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xe4\xb8\xad/\","
	    "\"bad\":\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\","
	    "\"a\\\"b\":[-9223372036854775808,18446744073709551615,true,false,null,null,{\"x\":1},"
	    "{},[],null,null,0.1,\"\"],\"last\":0}");
	ck_assert_int_eq(json_scan(buf_slice(&b), NULL, NULL), 0);
	buf_finish(&b);
}
END_TEST

START_TEST(writer_doubles_read_back)
{
	static const double values[] = {0.0, -0.0, 1.0, 1e21, 5e-324, DBL_MAX, 1.0 / 3.0, 0.1 + 0.2,
	    123456789.125, 2e-7};

	for (size_t i = 0; i < COUNT(values); i++) {
		struct buf b = BUF_INIT(100);
		struct json_writer w = JSON_WRITER(&b);
		double back;

		json_put_double(&w, values[i]);
		ck_assert_int_eq(json_scan(buf_slice(&b), NULL, NULL), 0);
		ck_assert_int_eq(json_double(json_root(buf_slice(&b)), &back), 0);
		ck_assert(memcmp(&back, &values[i], sizeof(back)) == 0);
		buf_finish(&b);
	}
}
END_TEST

START_TEST(writer_failure_sticks_in_the_buffer)
{
	struct buf b = BUF_INIT(10);
	struct json_writer w = JSON_WRITER(&b);

	json_begin_array(&w);
	for (int i = 0; i < 100; i++)
		json_put_str(&w, "too much");
	json_end_array(&w);
	ck_assert_int_eq(b.rc, ERR_TOO_BIG);
	ck_assert_uint_le(b.len, 10);
	buf_finish(&b);
}
END_TEST

/* Copies a value through reader and writer. */
static void copy(struct json_value v, struct arena *a, struct json_writer *w)
{
	struct json_reader r;
	struct json_value child;
	struct slice name, text;

	switch (v.type) {
	case JSON_OBJECT:
		json_begin_object(w);
		for (json_enter(&r, v); json_next(&r, &name, &child);) {
			struct json_value as_string = json_value_of_name(name);

			ck_assert_int_eq(json_string(as_string, a, &text), 0);
			json_name_slice(w, text);
			copy(child, a, w);
		}
		json_end_object(w);
		break;
	case JSON_ARRAY:
		json_begin_array(w);
		for (json_enter(&r, v); json_next(&r, NULL, &child);)
			copy(child, a, w);
		json_end_array(w);
		break;
	case JSON_STRING:
		ck_assert_int_eq(json_string(v, a, &text), 0);
		json_put_string(w, text);
		break;
	default:
		json_put_raw(w, v.text);
		break;
	}
}

/* An index changes how far a walk has to look, not what it finds; `a_len`: room for one. */
static void check_index(struct slice text, size_t a_len, struct slice expected)
{
	struct arena index = ARENA_INIT(a_len), a = ARENA_INIT(1 << 16);
	struct buf out = BUF_INIT(1 << 18);
	struct json_writer w = JSON_WRITER(&out);
	struct json_value root;

	ck_assert_int_eq(json_index(text, NULL, &index, &root, NULL), 0);
	copy(root, &a, &w);
	ck_assert_int_eq(out.rc, 0);
	ck_assert_slice_eq(buf_slice(&out), expected);
	buf_finish(&out);
	arena_finish(&a);
	arena_finish(&index);
}

START_TEST(index_of_many_containers)
{
	struct buf text = BUF_INIT(1 << 18);
	struct arena a = ARENA_INIT(1 << 20);
	struct json_value root;

	for (unsigned n = 1; n < 20000; n = n * 3 + 1) {
		buf_clear(&text);
		buf_append_str(&text, "[[],{\"a\":[{}]}");
		for (unsigned i = 0; i < n; i++)
			buf_append_str(&text, ",[[1],{}]");
		buf_append_str(&text, "]");
		ck_assert_int_eq(text.rc, 0);
		check_index(buf_slice(&text), 1 << 20, buf_slice(&text));
		check_index(buf_slice(&text), 5000, buf_slice(&text)); /* no room for all */
		check_index(buf_slice(&text), 0, buf_slice(&text));
	}
	ck_assert_int_eq(json_index(SLICE("[1,]"), NULL, &a, &root, NULL), ERR_MALFORMED);
	ck_assert_int_eq(json_index(SLICE("[[2],3]"), NULL, &a, &root, NULL), 0);
	ck_assert_ptr_nonnull(root.span);
	ck_assert_uint_eq(root.span->n, 2);
	ck_assert_int_eq(json_index(SLICE(" 3 "), NULL, &a, &root, NULL), 0);
	ck_assert_int_eq(root.type, JSON_NUMBER);
	arena_finish(&a);
	buf_finish(&text);
}
END_TEST

/* Strings are looked at eight bytes at a time: each special byte at each place of a word and behind one. */
START_TEST(special_bytes_at_every_place)
{
	static const char *const specials[] = {"\"", "\\", "\x01", "\x1f", " ", "!", "#", "[", "]", "\x7f",
	    "\xc2\x80", "\xe4\xb8\xad", "\xf0\x9f\x98\x80", "\\\"", "\"\"", "\n\n"};

	for (size_t i = 0; i < COUNT(specials); i++) {
		for (size_t before = 0; before < 45; before++) {
			struct buf text = BUF_INIT(100), out = BUF_INIT(400);
			struct arena a = ARENA_INIT(1 << 12);
			struct json_writer w = JSON_WRITER(&out);
			struct json_reader r;
			struct json_value v;
			struct slice read;

			for (size_t n = 0; n < before; n++)
				buf_append_char(&text, (char)('a' + n % 26));
			buf_append_str(&text, specials[i]);
			for (size_t n = 0; n < (before * 7 + i) % 19; n++)
				buf_append_char(&text, 'z');
			json_begin_array(&w);
			json_put_string(&w, buf_slice(&text));
			json_put_i64(&w, 5);
			json_end_array(&w);
			ck_assert_int_eq(json_index(buf_slice(&out), NULL, &a, &v, NULL), 0);
			json_enter(&r, v);
			ck_assert(json_next(&r, NULL, &v));
			ck_assert_int_eq(json_string(v, &a, &read), 0);
			ck_assert_slice_eq(read, buf_slice(&text));
			ck_assert(json_next(&r, NULL, &v));
			ck_assert_slice_eq(v.text, SLICE("5"));
			arena_finish(&a);
			buf_finish(&text);
			buf_finish(&out);
		}
	}
}
END_TEST

/* What must not be in a string is found wherever it stands. */
START_TEST(bad_bytes_at_every_place)
{
	static const char bad[] = {'\x01', '\x1f', '\x80', '\xff', '\xc0'};

	for (size_t i = 0; i < sizeof(bad); i++) {
		for (size_t at = 1; at < 30; at++) {
			char text[33];
			struct json_error error;

			memset(text, 'x', sizeof(text));
			text[0] = text[32] = '"';
			ck_assert_int_eq(json_scan(slice_of(text, sizeof(text)), NULL, NULL), 0);
			text[at] = bad[i];
			ck_assert_int_eq(json_scan(slice_of(text, sizeof(text)), NULL, &error), ERR_MALFORMED);
			ck_assert_uint_eq(error.offset, at);
		}
	}
}
END_TEST

/*
 * Random edits of valid texts: what the scanner passes must be walkable, its
 * copy must read the same to cJSON, and nothing may touch a byte outside.
 */
START_TEST(mutants_agree_with_cjson)
{
	static const char *const seeds[] = {
	    "{\"event\":\"meeting.started\",\"payload\":[{\"operate_time\":1760000402000,"
	    "\"subject\":\"\xe5\x91\xa8\xe4\xbc\x9a\",\"f\":-1.5e3,\"ok\":true,\"n\":null}]}",
	    "[\"\\u00e9\\ud834\\udd1e\\\\\\\"\",{\"\\u0061\":[],\"b\":{}},0,-0.0,1E5,false]",
	};
	static const char bytes[] = "{}[]\",:\\u0eE+-.1 \ndtnf\xe4\xb8\x80\xed";
	struct rng_test rng;
	unsigned n_accepted = 0;

	rng_test_init(&rng, 7);
	for (int round = 0; round < 20000; round++) {
		struct arena a = ARENA_INIT(1 << 16);
		struct buf out = BUF_INIT(1 << 16);
		struct json_writer w = JSON_WRITER(&out);
		const char *seed = seeds[round % 2];
		size_t len = strlen(seed);
		char *text = malloc(len), *printed_before, *printed_after;
		cJSON *before = NULL, *after = NULL;

		memcpy(text, seed, len);
		for (uint64_t n = rng_below(&rng.rng, 3); n > 0; n--)
			text[rng_below(&rng.rng, len)] = bytes[rng_below(&rng.rng, sizeof(bytes))];
		if (json_tree(slice_of(text, len), NULL, &before, NULL) == 0) {
			n_accepted++;
			copy(json_root(slice_of(text, len)), &a, &w);
			ck_assert_int_eq(out.rc, 0);
			check_index(slice_of(text, len), 1 << 14, buf_slice(&out));
			ck_assert_int_eq(json_tree(buf_slice(&out), NULL, &after, NULL), 0);
			printed_before = cJSON_PrintUnformatted(before);
			printed_after = cJSON_PrintUnformatted(after);
			ck_assert_str_eq(printed_before, printed_after);
			free(printed_before);
			free(printed_after);
		}
		cJSON_Delete(before);
		cJSON_Delete(after);
		buf_finish(&out);
		arena_finish(&a);
		free(text);
	}
	ck_assert_uint_gt(n_accepted, 5000);
	ck_assert_uint_lt(n_accepted, 19000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("json");
	TCase *t = tcase_create("json");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, scan_accepts_and_refuses, 0, COUNT(texts));
	tcase_add_test(t, scan_limits_depth_and_values);
	tcase_add_test(t, scan_finds_duplicates_among_many);
	tcase_add_loop_test(t, scan_compact_allows_no_space, 0, COUNT(compact_texts));
	tcase_add_test(t, scan_says_where);
	tcase_add_test(t, reader_walks);
	tcase_add_test(t, reader_borrows_and_runs_out_of_memory);
	tcase_add_loop_test(t, reader_numbers_are_exact, 0, COUNT(numbers));
	tcase_add_test(t, reader_numbers_refuse_others);
	tcase_add_test(t, a_member_is_read_as_text);
	tcase_add_test(t, writer_writes);
	tcase_add_test(t, writer_doubles_read_back);
	tcase_add_test(t, writer_failure_sticks_in_the_buffer);
	tcase_add_test(t, index_of_many_containers);
	tcase_add_test(t, special_bytes_at_every_place);
	tcase_add_test(t, bad_bytes_at_every_place);
	tcase_add_test(t, mutants_agree_with_cjson);
	suite_add_tcase(s, t);
	return run_suite(s);
}
