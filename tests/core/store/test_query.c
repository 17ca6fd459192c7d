/* Questions and answers: what a URL may ask, how pages follow each other, the three formats, loops and limits. */
#include "projection_fixture.h"

static struct projection_fixture f;
static struct projector *projector;
static struct query_pool *pool;

#define N_MEETINGS 23

/* Meetings m00..m22, created a second apart in pairs of equal time, so that the key has to break ties. */
static void setup(void)
{
	struct query_pool_options options = {.clock = &clock_system, .queue_max = 8};

	fixture_init(&f);
	for (unsigned i = 0; i < N_MEETINGS; i++) {
		char data[256];

		snprintf(data, sizeof(data), "{\"meeting_id\":\"m%02u\",\"title\":\"say \\\"%u\\\", twice\",\"meeting_type\":%u,"
		    "\"operate_at_ms\":%u,\"start_at_ms\":%llu}", i, i, i % 2, 1000 + i / 2 * 1000,
		    1767052800000ull + i * 3600000ull); /* 2025-12-30T00:00Z, hourly */
		give(&f, "meeting.created", data);
	}
	ck_assert_int_eq(projector_start(&projector, &f.options), 0);
	options.projector = projector;
	ck_assert_int_eq(query_pool_open(&pool, &options), 0);
	wait_all(&f, projector);
}

static void teardown(void)
{
	query_pool_close(pool);
	projector_stop(projector);
	fixture_finish(&f);
}

/* ---- what a URL may ask --------------------------------------------------------------- */

static const struct { const char *says, *name, *value, *code; } refused[] = {
	{"pages count from one", "page", "0", "range"},
	{"a page is a number", "page", "x", "invalid"},
	{"nothing but digits", "limit", "10 ", "invalid"},
	{"the limit is limited", "limit", "101", "range"},
	{"no rows is not a page", "limit", "0", "range"},
	{"too deep for pages", "page", "4294967295", "range"},
	{"an unknown parameter", "nonsense", "1", "unknown"},
	{"an unknown order", "sort", "title", "unknown"},
	{"a column is not an order", "sort", "created_at; drop table meetings", "unknown"},
	{"an empty order", "sort", "-", "unknown"},
	{"an unknown field", "fields", "id,nope", "unknown"},
	{"an empty field", "fields", "id,", "unknown"},
	{"a value outside the list", "platform", "NOPE", "invalid"},
	{"values are told in capitals", "type", "recurring", "invalid"},
	{"a day that is none", "startDate", "yesterday", "invalid"},
	{"a day the calendar lacks", "endDate", "2025-02-30", "invalid"},
	{"a cursor nobody gave", "cursor", "!", "invalid"},
	{"a cursor that only looks like one", "cursor", "MGRpMTAwMA", "invalid"},
	{"a cursor of an order there is not", "cursor", "OWRpMTAwMB9j", "invalid"},
	{"an empty cursor", "cursor", "", "invalid"},
};

START_TEST(what_is_wrong_is_named)
{
	struct list_param p = {slice_str(refused[_i].name), slice_str(refused[_i].value)};
	struct list_problem problems[LIST_PROBLEMS_MAX];
	struct list_request request;
	struct arena a = ARENA_INIT(65536);
	size_t n;

	ck_assert_int_eq(list_request_parse(&request, list_find("meetings"), &p, 1, LIST_LIMIT_MAX, &a, problems, &n), ERR_INVALID);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(problems[0].code, refused[_i].code);
	ck_assert(slice_is(problems[0].name, refused[_i].name));
	ck_assert_uint_gt(strlen(problems[0].message), 10);
	arena_finish(&a);
}
END_TEST

START_TEST(all_that_is_wrong_is_told_at_once)
{
	struct list_param p[] = {{SLICE("page"), SLICE("x")}, {SLICE("page"), SLICE("2")}, {SLICE("limit"), SLICE("y")},
	    {SLICE("startDate"), SLICE("2026-01-02")}, {SLICE("endDate"), SLICE("2026-01-01")}};
	struct list_problem problems[LIST_PROBLEMS_MAX];
	struct list_request request;
	struct arena a = ARENA_INIT(65536);
	size_t n;

	ck_assert_int_eq(list_request_parse(&request, list_find("meetings"), p, 5, LIST_LIMIT_MAX, &a, problems, &n), ERR_INVALID);
	ck_assert_uint_eq(n, 4);
	arena_finish(&a);
}
END_TEST

/* One meeting an hour, from midnight UTC: eight in the morning of Shanghai. */
START_TEST(a_bare_date_is_a_day_of_utc)
{
	rows_are(pool, "meetings", "startDate=2025-12-30&sort=startAt&limit=1&fields=meetingId", "[{\"meetingId\":\"m00\"}]");
	rows_are(pool, "meetings", "endDate=2025-12-30&sort=-startAt&limit=1&fields=meetingId", "[{\"meetingId\":\"m22\"}]");
	rows_are(pool, "meetings", "startDate=2025-12-31", "[]");
	rows_are(pool, "meetings", "startDate=2025-12-31T00:00:00+08:00&sort=startAt&limit=1&fields=meetingId",
	    "[{\"meetingId\":\"m16\"}]");
}
END_TEST

START_TEST(a_bare_end_date_is_the_whole_day)
{
	rows_are(pool, "meetings", "startDate=2025-12-30T21:00:00Z&endDate=2025-12-30&fields=meetingId&sort=startAt",
	    "[{\"meetingId\":\"m21\"},{\"meetingId\":\"m22\"}]");
	rows_are(pool, "meetings", "endDate=2025-12-29", "[]");
	rows_are(pool, "meetings", "endDate=2025-12-30T08:00:00+08:00&fields=meetingId", "[{\"meetingId\":\"m00\"}]");
}
END_TEST

/* ---- pages ------------------------------------------------------------------------------- */

static const char *const orders[] = {"", "&sort=createdAt", "&sort=-createdAt", "&sort=startAt", "&type=ONE_TIME", "&search=twice"};

START_TEST(cursors_give_every_row_once)
{
	char params[512], *whole, *page;
	struct query q = {0};
	unsigned seen = 0;

	snprintf(params, sizeof(params), "limit=100&fields=meetingId%s", orders[_i]);
	whole = ask_list(pool, "meetings", params, &q);
	ck_assert(!q.more);
	ck_assert_uint_eq(q.next_cursor.len, 0);
	ck_assert_uint_eq(q.total, q.rows);
	ck_assert_uint_eq(q.rows, strstr(orders[_i], "type") != NULL ? 12 : N_MEETINGS);
	for (char *at = whole + 1;;) {
		uint64_t total = q.total;

		snprintf(params, sizeof(params), "limit=4&fields=meetingId%s%s%.*s", seen == 0 ? orders[_i] : strstr(orders[_i], "sort") ? "" : orders[_i],
		    seen == 0 ? "" : "&cursor=", (int)q.next_cursor.len, q.next_cursor.len > 0 ? q.next_cursor.ptr : "");
		buf_finish(&q.next_cursor);
		q = (struct query){0};
		page = ask_list(pool, "meetings", params, &q);
		ck_assert_uint_eq(q.total, total);
		ck_assert_msg(strncmp(at, page + 1, strlen(page) - 2) == 0, "%s is not at %s", page, at);
		at += strlen(page) - 1; /* and the comma */
		seen += (unsigned)q.rows;
		free(page);
		if (!q.more)
			break;
	}
	ck_assert_uint_eq(seen, q.total);
	buf_finish(&q.next_cursor);
	free(whole);
}
END_TEST

START_TEST(a_cursor_keeps_its_place_while_rows_are_added)
{
	struct query q = {0};
	char params[256], *page = ask_list(pool, "meetings", "limit=2&fields=meetingId", &q);

	ck_assert_str_eq(page + strlen(page) - 2, "}]");
	free(page);
	give(&f, "meeting.created", "{\"meeting_id\":\"new\",\"operate_at_ms\":99000}");
	wait_all(&f, projector);
	snprintf(params, sizeof(params), "limit=100&cursor=%.*s", (int)q.next_cursor.len, q.next_cursor.ptr);
	buf_finish(&q.next_cursor);
	q = (struct query){0};
	page = ask_list(pool, "meetings", params, &q);
	ck_assert_uint_eq(q.rows, N_MEETINGS - 2);
	ck_assert_ptr_null(strstr(page, "\"new\""));
	free(page);
	buf_finish(&q.next_cursor);
}
END_TEST

START_TEST(pages_and_totals)
{
	struct query q = {0};
	char *page = ask_list(pool, "meetings", "page=3&limit=10&sort=createdAt&fields=meetingId", &q);

	ck_assert_uint_eq(q.rows, 3);
	ck_assert_uint_eq(q.total, N_MEETINGS);
	ck_assert_uint_eq(q.position, N_MEETINGS);
	free(page);
	buf_finish(&q.next_cursor);
	rows_are(pool, "meetings", "page=4&limit=10", "[]");
}
END_TEST

/* ---- formats ------------------------------------------------------------------------------ */

START_TEST(three_formats_say_the_same)
{
	struct query q = {.format = QUERY_CSV};
	char *text = ask_list(pool, "meetings", "limit=1&sort=createdAt&fields=title,hasRecording,createdAt,endAt&type=ONE_TIME", &q);

	ck_assert_str_eq(text, "title,endAt,hasRecording,createdAt\r\n"
	    "\"say \"\"0\"\", twice\",,false,1970-01-01T00:00:01.000Z\r\n");
	free(text);
	buf_finish(&q.next_cursor);
	q = (struct query){.format = QUERY_NDJSON};
	text = ask_list(pool, "meetings", "limit=2&sort=createdAt&fields=title&type=ONE_TIME", &q);
	ck_assert_str_eq(text, "{\"title\":\"say \\\"0\\\", twice\"}\n{\"title\":\"say \\\"2\\\", twice\"}\n");
	free(text);
	buf_finish(&q.next_cursor);
}
END_TEST

/* ---- named queries, limits, loops ------------------------------------------------------------ */

/* Every one of them, and none for what sorts before, between or after. */
START_TEST(queries_are_found_by_name)
{
	for (unsigned i = 0; projections[i] != NULL; i++)
		for (unsigned k = 0; projections[i]->queries[k] != NULL; k++)
			ck_assert_ptr_eq(query_find(projections[i]->queries[k]->name), projections[i]->queries[k]);
	ck_assert_ptr_null(query_find(""));
	ck_assert_ptr_null(query_find("meeting_by_i"));
	ck_assert_ptr_null(query_find("~"));
}
END_TEST

START_TEST(one_row_or_none)
{
	struct query q = {.def = query_find("meeting_by_id"), .single = true, .n_params = 1};

	ck_assert_ptr_nonnull(q.def);
	ck_assert_ptr_null(query_find("nobody"));
	ck_assert_ptr_null(list_find("nobody"));
	q.params[0] = (struct query_param){.name = "id", .text = SLICE("c000000000000000000000000")};
	ck_assert_int_eq(query_run(pool, &q), ERR_NOT_FOUND);
	query_finish(&q);
}
END_TEST

START_TEST(an_answer_has_a_ceiling)
{
	struct list_request request = {.list = list_find("meetings"), .page = 1, .limit = 100};
	struct query q = {.list = &request, .out = BUF_INIT(500)};

	ck_assert_int_eq(query_run(pool, &q), ERR_TOO_BIG);
	query_finish(&q);
}
END_TEST

START_TEST(who_waits_too_long_is_told)
{
	struct list_request request = {.list = list_find("meetings"), .page = 1, .limit = 1};
	struct query q = {.list = &request, .has_min_position = true, .min_position = 1000, .wait_ms = 30};

	ck_assert_int_eq(query_run(pool, &q), ERR_TIMEOUT);
	ck_assert_uint_eq(q.position, N_MEETINGS);
	query_finish(&q);
}
END_TEST

static unsigned n_called, n_busy;

static void on_answer(struct query *q)
{
	n_called++;
	n_busy += q->rc == ERR_BUSY;
	ck_assert_msg(q->rc == ERR_BUSY || q->rc == 0 || q->rc == ERR_TIMEOUT, "%s", err_name(q->rc));
	if (n_called == 20)
		query_port_close(q->port);
}

START_TEST(loops_are_called_back_and_too_many_are_refused)
{
	struct list_request request = {.list = list_find("meetings"), .page = 1, .limit = 5, .want_total = true};
	struct query queries[20] = {{0}};
	struct query_port *port;
	uv_loop_t loop;

	n_called = n_busy = 0;
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(query_port_open(&port, pool, &loop), 0);
	for (unsigned i = 0; i < 20; i++) {
		/* These wait for an event that never comes, so that the queue of eight fills up. */
		queries[i] = (struct query){.list = &request, .port = port, .cb = on_answer, .has_min_position = true,
		    .min_position = 1000, .wait_ms = 2000};
		query_start(pool, &queries[i]);
	}
	ck_assert_uint_eq(n_called, 0); /* never before the start returned */
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_uint_eq(n_called, 20);
	ck_assert_uint_eq(n_busy, 12);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	for (unsigned i = 0; i < 20; i++)
		query_finish(&queries[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("query");
	TCase *asking = tcase_create("asking"), *answers = tcase_create("answers");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(asking, what_is_wrong_is_named, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(asking, all_that_is_wrong_is_told_at_once);
	suite_add_tcase(suite, asking);
	tcase_add_checked_fixture(answers, setup, teardown);
	tcase_set_timeout(answers, 60);
	tcase_add_test(answers, a_bare_date_is_a_day_of_utc);
	tcase_add_test(answers, a_bare_end_date_is_the_whole_day);
	tcase_add_loop_test(answers, cursors_give_every_row_once, 0, sizeof(orders) / sizeof(orders[0]));
	tcase_add_test(answers, a_cursor_keeps_its_place_while_rows_are_added);
	tcase_add_test(answers, pages_and_totals);
	tcase_add_test(answers, three_formats_say_the_same);
	tcase_add_test(answers, queries_are_found_by_name);
	tcase_add_test(answers, one_row_or_none);
	tcase_add_test(answers, an_answer_has_a_ceiling);
	tcase_add_test(answers, who_waits_too_long_is_told);
	tcase_add_test(answers, loops_are_called_back_and_too_many_are_refused);
	suite_add_tcase(suite, answers);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
