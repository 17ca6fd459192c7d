/* From the parameters of a URL to a request of a list that has one of everything. */
#include "store/query.h"

#include "base/codec.h"
#include "base/err.h"
#include "lib/run.h"
#include "store/projection.h"

static const char *const colours[] = {"RED", "BLUE", NULL};

static const struct list_filter filters[] = {
	{"on", NULL, false, true, "on_ = :on"},
	{"level", NULL, true, false, "level = :level"},
	{"name", NULL, false, false, "name = :name"},
	{"colour", colours, false, false, "colour = :colour"},
	{0},
};
static const struct list_sort sorts[] = {{"at", true, "at"}, {"name", false, "name"}, {0}};
static const struct query_column columns[] = {{.name = "id"}, {.name = "name"}, {0}};
static const struct list_def list = {
	.name = "things", .key = "id", .filters = filters, .range_from = "from", .range_to = "to",
	.range_from_sql = "at >= :from", .range_to_sql = "at <= :to", .search_sql = "text match :search",
	.sorts = sorts, .columns = columns,
};
static const struct list_def bare_list = {.name = "bare", .key = "id", .filters = filters, .sorts = sorts, .columns = columns};

static struct arena arena;
static struct list_request request;
static struct list_problem problems[LIST_PROBLEMS_MAX];
static size_t n_problems;

static void setup(void)
{
	arena = (struct arena)ARENA_INIT(1 << 16);
}

static void teardown(void)
{
	arena_finish(&arena);
}

/* "name=value&name=value", values as they are. */
static int parse_of(const struct list_def *of, const char *text)
{
	static struct list_param params[40];
	struct slice rest = slice_str(text), pair;
	size_t n = 0;

	while (rest.len > 0) {
		slice_cut(rest, '&', &pair, &rest);
		slice_cut(pair, '=', &params[n].name, &params[n].value);
		n++;
	}
	return list_request_parse(&request, of, params, n, 100, &arena, problems, &n_problems);
}

static const struct {
	const char *says, *params, *code, *message;
} refused[] = {
	{"a truth is one of four", "on=yes", "invalid", "must be true or false"},
	{"a number is whole", "level=1.5", "invalid", "must be a whole number"},
	{"a text is UTF-8", "name=\xff", "invalid", "must be UTF-8, at most 256 bytes"},
	{"one of a few", "colour=red", "invalid", "must be one of RED, BLUE"},
	{"no order without a name", "sort=", "unknown", "must be one of at, name, with - in front for descending order"},
	{"a word to search for is UTF-8", "search=\xe4\xbc", "invalid", "must be UTF-8"},
	{"no cursor in base64 of anything", "cursor=_w", "invalid", NULL},
	{"a cursor without a key", "cursor=MGRpMTAwMA", "invalid", NULL},
	{"a cursor of nothing but a key", "cursor=H2s", "invalid", NULL}, /* 1f k */
	{"a cursor whose order has three digits", "cursor=MDAwZGkxH2s", "invalid", NULL}, /* 000di1 1f k */
	{"a cursor that ends behind its order", "cursor=MWQfaw", "invalid", NULL}, /* 1d 1f k */
	{"a cursor of the third order of two", "cursor=MmRpMR9r", "invalid", NULL}, /* 2di1 1f k */
	{"a cursor whose number is none", "cursor=MGRpeB9r", "invalid", NULL}, /* 0dix 1f k */
	{"a cursor beside a page", "cursor=MGRpMR9r&page=2", "invalid", "cannot be combined with cursor"},
	{"a cursor of another order", "cursor=MGRpMR9r&sort=name", "invalid", NULL},
	{"a cursor that goes the other way", "cursor=MGRpMR9r&sort=at", "invalid", NULL},
	{"an end before its start", "from=2026-11-24&to=2026-11-23", "range", "must not lie before the start of the range"},
	{"once is enough", "level=1&level=1", "repeated", "is given more than once"},
};

START_TEST(what_cannot_be_asked)
{
	ck_assert_msg(parse_of(&list, refused[_i].params) == ERR_INVALID, "%s", refused[_i].says);
	ck_assert_msg(n_problems == 1 && strcmp(problems[0].code, refused[_i].code) == 0, "%s: %zu, %s", refused[_i].says,
	    n_problems, problems[0].code);
	if (refused[_i].message != NULL)
		ck_assert_str_eq(problems[0].message, refused[_i].message);
}
END_TEST

START_TEST(what_is_asked_is_found_in_the_request)
{
	ck_assert_int_eq(parse_of(&list, "on=1&level=-7&name=&colour=BLUE&search= a b &from=2026-11-23&to=2026-11-23&sort=-name"
	    "&fields=name, id&limit=7&page=3"), 0);
	ck_assert_slice_eq(request.filters[0], SLICE("1"));
	ck_assert_slice_eq(request.filters[1], SLICE("-7"));
	ck_assert(request.filters[2].ptr != NULL && request.filters[2].len == 0); /* asked for, though empty */
	ck_assert_slice_eq(request.filters[3], SLICE("BLUE"));
	ck_assert_slice_eq(request.search, SLICE("a b"));
	ck_assert_int_eq(request.to_ms - request.from_ms, 86400000 - 1);
	ck_assert_uint_eq(request.sort, 1);
	ck_assert(request.descending);
	ck_assert_uint_eq(request.fields, 3);
	ck_assert_uint_eq(request.limit, 7);
	ck_assert_uint_eq(request.page, 3);
}
END_TEST

static const char *const truths[] = {"true", "false", "1", "0"};

START_TEST(a_truth_has_four_forms)
{
	char params[20];

	snprintf(params, sizeof(params), "on=%s", truths[_i]);
	ck_assert_int_eq(parse_of(&list, params), 0);
	ck_assert_slice_eq(request.filters[0], slice_str(truths[_i]));
}
END_TEST

START_TEST(a_cursor_says_where_to_go_on)
{
	ck_assert_int_eq(parse_of(&list, "cursor=MGRpLTEfaw"), 0); /* 0di-1 1f k */
	ck_assert(request.has_cursor && request.cursor_is_integer && request.cursor_integer == -1 && request.descending);
	ck_assert_slice_eq(request.cursor_key, SLICE("k"));
	ck_assert_int_eq(parse_of(&list, "cursor=MWF0YR8&sort=name"), 0); /* 1ata 1f, no key */
	ck_assert(request.has_cursor && !request.cursor_is_integer && request.sort == 1 && !request.descending);
	ck_assert_slice_eq(request.cursor_text, SLICE("a"));
}
END_TEST

START_TEST(a_list_may_have_less)
{
	static const char *const params[] = {"search=a", "from=2026-11-23", "to=2026-11-23"};

	for (size_t i = 0; i < COUNT(params); i++) {
		ck_assert_int_eq(parse_of(&bare_list, params[i]), ERR_INVALID);
		ck_assert_str_eq(problems[0].code, "unknown");
	}
}
END_TEST

/* Milliseconds are whole downwards, before 1970 too. */
START_TEST(instants_before_1970_are_rounded_down)
{
	ck_assert_int_eq(parse_of(&list, "from=1969-12-31T23:59:59.9995Z"), 0);
	ck_assert_int_eq(request.from_ms, -1);
	ck_assert_int_eq(parse_of(&list, "from=1969-12-31T23:59:59.999Z"), 0);
	ck_assert_int_eq(request.from_ms, -1);
	ck_assert_int_eq(parse_of(&list, "from=1969-12-31T23:59:59.998999Z"), 0);
	ck_assert_int_eq(request.from_ms, -2);
}
END_TEST

START_TEST(texts_have_a_length)
{
	static const char *const names[] = {"search", "name", "cursor"};
	static const size_t most[] = {LIST_SEARCH_MAX, 256, 2048};

	for (size_t i = 0; i < COUNT(names); i++) {
		struct buf params = BUF_INIT(4096);

		buf_printf(&params, "%s=", names[i]);
		for (size_t n = 0; n <= most[i]; n++)
			buf_append_char(&params, 'x');
		ck_assert_int_eq(parse_of(&list, params.ptr), ERR_INVALID);
		ck_assert_uint_eq(n_problems, 1);
		ck_assert_slice_eq(problems[0].name, slice_str(names[i]));
		buf_finish(&params);
	}
}
END_TEST

START_TEST(problems_beyond_the_last_one_are_left_out)
{
	ck_assert_int_eq(parse_of(&list, "a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1&l=1&m=1&n=1&o=1&p=1&q=1&r=1"), ERR_INVALID);
	ck_assert_uint_eq(n_problems, LIST_PROBLEMS_MAX);
	ck_assert_slice_eq(problems[LIST_PROBLEMS_MAX - 1].name, SLICE("p"));
}
END_TEST

/* There is a sentence even where there is no memory for the one that tells more. */
START_TEST(no_memory_is_no_excuse)
{
	static const char *const params[] = {"colour=red", "limit=1000", "sort=x", "fields=x"};

	for (size_t i = 0; i < COUNT(params); i++) {
		arena.max = 0;
		ck_assert_int_eq(parse_of(&list, params[i]), ERR_INVALID);
		ck_assert_str_eq(problems[0].message, "is not valid");
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("query_request");
	TCase *t = tcase_create("request");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, what_cannot_be_asked, 0, COUNT(refused));
	tcase_add_test(t, what_is_asked_is_found_in_the_request);
	tcase_add_loop_test(t, a_truth_has_four_forms, 0, COUNT(truths));
	tcase_add_test(t, a_cursor_says_where_to_go_on);
	tcase_add_test(t, a_list_may_have_less);
	tcase_add_test(t, instants_before_1970_are_rounded_down);
	tcase_add_test(t, texts_have_a_length);
	tcase_add_test(t, problems_beyond_the_last_one_are_left_out);
	tcase_add_test(t, no_memory_is_no_excuse);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
