/* Slow clients, and those that leave: the time limits of http_conn.c and http_loop.c. */
#include <errno.h>

#include "core/net/server_rig.h"

static const struct {
	const char *says, *sent; /* then silence */
	int64_t early_ms, late_ms; /* still waiting then; answered then */
	int status;              /* 0: just closed */
} slow[] = {
	{"says nothing at all", "", 9900, 100, 408},
	{"does not end its head", "GET /hello HTTP/1.1\r\nHo", 9900, 100, 408},
	{"stops within its body", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nab", 4900, 1200, 408},
	{"sits idle after a request", "GET /hello HTTP/1.1\r\n" HOST "\r\n", 29900, 100, 0},
};

START_TEST(silence_ends_by_the_clock)
{
	struct client c;
	struct answer a;
	size_t len = strlen(slow[_i].sent);

	rig_start_usual();
	c = client_connect(rig.port);
	wait_until(rig_stats().connections_total == 1);
	client_say(&c, slow[_i].sent);
	wait_until(rig_stats().bytes_in == len);
	rig_let_loop_catch_up();
	if (slow[_i].status == 0) {
		a = client_answer(&c, true);
		ck_assert_int_eq(a.status, 200);
		answer_finish(&a);
	}
	rig_move_clock_ms(slow[_i].early_ms);
	rig_let_loop_catch_up();
	ck_assert_int_eq(recv(c.fd, (char[1]){0}, 1, MSG_DONTWAIT), -1);
	rig_move_clock_ms(slow[_i].late_ms);
	if (slow[_i].status != 0) {
		a = client_answer(&c, true);
		ck_assert_msg(a.status == slow[_i].status, "%s: %d", slow[_i].says, a.status);
		ck_assert_slice_eq(answer_value(&a, "connection"), SLICE("close"));
		answer_finish(&a);
		ck_assert_uint_eq(rig_stats().timeouts, 1);
	}
	ck_assert(client_at_end(&c));
	client_close(&c);
	rig_stop();
}
END_TEST

START_TEST(a_byte_now_and_then_does_not_stretch_the_head)
{
	static const char head[] = "GET /hello HTTP/1.1\r\n";
	struct client c;
	struct answer a;

	rig_start_usual();
	c = client_connect(rig.port);
	for (size_t i = 0; i < 10; i++) {
		client_send(&c, slice_of(head + i, 1));
		wait_until(rig_stats().bytes_in >= i + 1);
		rig_let_loop_catch_up();
		rig_move_clock_ms(1100);
	}
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 408);
	answer_finish(&a);
	client_close(&c);
	rig_stop();
}
END_TEST

START_TEST(a_body_just_fast_enough_still_has_an_end)
{
	struct client c;
	struct answer a;
	char piece[2048];

	rig_start_usual();
	memset(piece, 'x', sizeof(piece));
	c = client_connect(rig.port);
	client_say(&c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
	for (int s = 0; s < 30; s++) {
		uint64_t before = rig_stats().bytes_in;

		ck_assert_int_eq(recv(c.fd, (char[1]){0}, 1, MSG_DONTWAIT), -1);
		client_send(&c, slice_of(piece, sizeof(piece)));
		wait_until(rig_stats().bytes_in >= before + sizeof(piece));
		rig_let_loop_catch_up();
		rig_move_clock_ms(1000);
	}
	rig_move_clock_ms(1000);
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 408);
	answer_finish(&a);
	client_close(&c);
	rig_stop();
}
END_TEST

START_TEST(a_reader_that_does_not_read_is_cut_off)
{
	struct client c;

	rig_start_usual();
	c = client_connect(rig.port);
	client_say(&c, "GET /huge HTTP/1.1\r\n" HOST "\r\n");
	wait_until(rig_stats().bytes_out > 0);
	/* Two windows: in the first the socket may still take some. */
	for (int i = 0; i < 25 && rig_stats().timeouts == 0; i++) {
		rig_move_clock_ms(1000);
		rig_let_loop_catch_up();
	}
	wait_until(rig_stats().timeouts == 1);
	while (client_read(&c))
		;
	ck_assert_uint_lt(c.in.len, RIG_HUGE_LEN);
	client_close(&c);
	rig_stop();
}
END_TEST

START_TEST(a_client_that_leaves_does_not_hurt)
{
	struct client c;
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	rig_start_usual();
	c = client_connect(rig.port);
	client_say(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_until(rig_stats().requests_in_flight == 1);
	setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	client_close(&c); /* with a reset */
	wait_until(rig.n_closed == 1);
	ck_assert_uint_eq(rig_stats().requests_in_flight, 1);
	ck_assert_int_eq(ask_status(rig.port, "GET /release HTTP/1.1\r\n" HOST "\r\n"), 200);
	wait_until(rig_stats().requests_in_flight == 0);
	ck_assert_uint_eq(rig.n_closed, 1);
	rig_stop();
}
END_TEST

START_TEST(clients_that_leave_while_they_are_written_to)
{
	rig_start_usual();
	for (int i = 0; i < 60; i++) {
		struct client c = client_connect(rig.port);
		struct linger now = {.l_onoff = 1, .l_linger = 0};

		client_say(&c, "GET /lines HTTP/1.1\r\n" HOST "\r\nGET /huge HTTP/1.1\r\n" HOST "\r\n"
			       "GET /later HTTP/1.1\r\n" HOST "\r\nGET /huge HTTP/1.1\r\n" HOST "\r\n");
		if (i % 3 == 0)
			client_need(&c, 1000);
		if (i % 2 == 0)
			setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		client_close(&c);
	}
	rig_let_loop_catch_up();
	wait_until(rig_stats().connections_open == 0);
	ck_assert_uint_eq(rig_stats().requests_in_flight, 0);
	rig_stop();
}
END_TEST

START_TEST(half_a_hang_up_still_gets_its_answer)
{
	struct client c;
	struct answer a;

	rig_start_usual();
	c = client_connect(rig.port);
	client_say(&c, "GET /later HTTP/1.1\r\n" HOST "\r\n");
	shutdown(c.fd, SHUT_WR);
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 200);
	answer_finish(&a);
	ck_assert(client_at_end(&c));
	client_close(&c);
	/* Half a request is nothing to answer. */
	c = client_connect(rig.port);
	client_say(&c, "GET /later HT");
	shutdown(c.fd, SHUT_WR);
	ck_assert(client_at_end(&c));
	client_close(&c);
	rig_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_rude");
	TCase *tc = tcase_create("http_rude");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, silence_ends_by_the_clock, 0, (int)COUNT(slow));
	tcase_add_test(tc, a_byte_now_and_then_does_not_stretch_the_head);
	tcase_add_test(tc, a_body_just_fast_enough_still_has_an_end);
	tcase_add_test(tc, a_reader_that_does_not_read_is_cut_off);
	tcase_add_test(tc, a_client_that_leaves_does_not_hurt);
	tcase_add_test(tc, clients_that_leave_while_they_are_written_to);
	tcase_add_test(tc, half_a_hang_up_still_gets_its_answer);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
