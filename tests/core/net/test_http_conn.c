/* Requests on one connection: http_conn.c. They are answered in their order, however their bytes arrive. */
#include "core/net/server_rig.h"

/* Several requests on one connection. */

START_TEST(pipelined_requests_are_answered_in_order)
{
	struct client c;
	static const char *const bodies[] = {"hello\n", "/later", "abc", "/later", "hello\n"};

	rig_start_usual();
	c = client_connect(rig.port);
	client_say(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n"
		       "GET /later HTTP/1.1\r\n" HOST "\r\n"
		       "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
		       "GET /later HTTP/1.1\r\n" HOST "\r\n"
		       "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct answer a = client_answer(&c, true);

		ck_assert_int_eq(a.status, 200);
		ck_assert_str_eq(a.body.ptr, bodies[i]);
		answer_finish(&a);
	}
	client_close(&c);
	rig_stop();
}
END_TEST

START_TEST(a_flood_of_pipelined_requests_is_answered_whole)
{
	enum { N = 900 };
	struct buf flood = BUF_INIT(1 << 20);
	struct client c;

	rig_start_usual();
	c = client_connect(rig.port);
	for (int i = 0; i < N; i++)
		buf_printf(&flood, "GET /later HTTP/1.1\r\n" HOST "X-Padding: %0180d\r\n\r\n", i);
	client_send(&c, buf_slice(&flood));
	shutdown(c.fd, SHUT_WR);
	for (int i = 0; i < N; i++) {
		struct answer a = client_answer(&c, true);

		ck_assert_str_eq(a.body.ptr, "/later");
		answer_finish(&a);
	}
	ck_assert(client_at_end(&c));
	buf_finish(&flood);
	client_close(&c);
	rig_stop();
}
END_TEST

START_TEST(any_split_gives_the_same_answers)
{
	static const char sent[] =
	    "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: u\r\n\r\n"
	    "GET /later HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";

	rig_start_usual();
	for (size_t cut = 1; cut < sizeof(sent) - 1; cut++) {
		struct client c = client_connect(rig.port);
		struct answer first, second;
		uint64_t before = rig_stats().bytes_in;

		client_send(&c, slice_of(sent, cut));
		wait_until(rig_stats().bytes_in == before + cut);
		client_send(&c, slice_of(sent + cut, sizeof(sent) - 1 - cut));
		first = client_answer(&c, true);
		second = client_answer(&c, true);
		ck_assert_slice_eq(buf_slice(&first.body), SLICE("abc"));
		ck_assert_slice_eq(buf_slice(&second.body), SLICE("/later"));
		ck_assert(client_at_end(&c));
		answer_finish(&first);
		answer_finish(&second);
		client_close(&c);
	}
	rig_stop();
}
END_TEST

START_TEST(a_connection_serves_so_many_requests)
{
	struct http_options options = rig_options();
	struct client c;

	options.limits.requests_max = 3;
	rig_start(&options);
	c = client_connect(rig.port);
	for (int i = 1; i <= 3; i++) {
		struct answer a;

		client_say(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
		a = client_answer(&c, true);
		ck_assert_int_eq(a.status, 200);
		ck_assert_int_eq(slice_is(answer_value(&a, "connection"), "close"), i == 3);
		answer_finish(&a);
	}
	ck_assert(client_at_end(&c));
	client_close(&c);
	rig_stop();
}
END_TEST

START_TEST(a_refused_body_is_read_away_and_the_connection_lives_on)
{
	struct client c;
	struct answer a;

	rig_start_usual();
	c = client_connect(rig.port);
	client_say(&c, "POST /private HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhe");
	client_say(&c, "lloGET /hello HTTP/1.1\r\n" HOST "\r\n");
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 401);
	ck_assert(!answer_field(&a, "connection", &(struct slice){0}));
	answer_finish(&a);
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 200);
	answer_finish(&a);
	/* A large one is not worth reading. */
	client_say(&c, "POST /private HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 401);
	ck_assert_slice_eq(answer_value(&a, "connection"), SLICE("close"));
	answer_finish(&a);
	client_close(&c);
	rig_stop();
}
END_TEST

START_TEST(expect_is_answered_before_the_body)
{
	struct client c;
	struct answer a;

	rig_start_usual();
	c = client_connect(rig.port);
	client_say(&c, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 100);
	answer_finish(&a);
	client_say(&c, "abc");
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(a.body.ptr, "abc");
	answer_finish(&a);
	client_say(&c, "POST /small HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 17\r\n\r\n");
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 413);
	answer_finish(&a);
	ck_assert(client_at_end(&c));
	client_close(&c);
	rig_stop();
}
END_TEST

#define ZIPPED "GET /lines HTTP/1.1\r\n" HOST "Accept-Encoding: gzip\r\n\r\n"

/* A long answer is zipped on another thread; what the client sends meanwhile waits its turn. */
START_TEST(requests_behind_a_zipped_answer_wait)
{
	struct client c;

	rig_start_usual();
	c = client_connect(rig.port);
	for (int i = 0; i < 3; i++)
		client_say(&c, ZIPPED "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	for (int i = 0; i < 6; i++) {
		struct answer a = client_answer(&c, true);

		ck_assert_int_eq(a.status, 200);
		ck_assert(slice_is(answer_value(&a, "content-encoding"), i % 2 == 0 ? "gzip" : ""));
		answer_finish(&a);
	}
	client_close(&c);
	rig_stop();
}
END_TEST

/* Whenever the client goes, the exchange is freed once (the sanitizers look on), and the server ends. */
START_TEST(a_client_may_leave_while_its_answer_is_zipped)
{
	rig_start_usual();
	for (int i = 0; i < 20; i++) {
		struct client c = client_connect(rig.port);

		client_say(&c, ZIPPED ZIPPED);
		if (i % 2 == 0)
			rig_let_loop_catch_up();
		client_close(&c);
	}
	wait_until(rig_stats().connections_open == 0);
	for (int i = 0; i < 5; i++) {
		struct client c = client_connect(rig.port);

		client_say(&c, ZIPPED);
		if (i == 4)
			http_server_stop(rig.server, 0);
		client_close(&c);
	}
	rig_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_conn");
	TCase *tc = tcase_create("http_conn");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, pipelined_requests_are_answered_in_order);
	tcase_add_test(tc, a_flood_of_pipelined_requests_is_answered_whole);
	tcase_add_test(tc, any_split_gives_the_same_answers);
	tcase_add_test(tc, a_connection_serves_so_many_requests);
	tcase_add_test(tc, a_refused_body_is_read_away_and_the_connection_lives_on);
	tcase_add_test(tc, expect_is_answered_before_the_body);
	tcase_add_test(tc, requests_behind_a_zipped_answer_wait);
	tcase_add_test(tc, a_client_may_leave_while_its_answer_is_zipped);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
