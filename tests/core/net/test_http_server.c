/* Start and stop, and several loops: http_server.c, http_loop.c. */
#include <pthread.h>

#include "base/err.h"
#include "core/net/server_rig.h"

/* Start and stop. */

START_TEST(what_is_in_flight_is_finished_before_the_end)
{
	struct client idle, busy, other;
	struct answer a;

	rig_start_usual();
	idle = client_connect(rig.port);
	busy = client_connect(rig.port);
	other = client_connect(rig.port);
	client_say(&busy, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_until(rig_stats().requests_in_flight == 1);
	client_say(&other, "GET /rele");
	wait_until(rig_stats().bytes_in == strlen("GET /hold HTTP/1.1\r\n" HOST "\r\nGET /rele"));
	http_server_stop(rig.server, 60000);
	ck_assert(client_at_end(&idle));
	client_say(&other, "ase HTTP/1.1\r\n" HOST "\r\n");
	a = client_answer(&other, true);
	ck_assert_int_eq(a.status, 200);
	ck_assert_slice_eq(answer_value(&a, "connection"), SLICE("close"));
	answer_finish(&a);
	a = client_answer(&busy, true);
	ck_assert_str_eq(a.body.ptr, "held");
	answer_finish(&a);
	client_close(&idle);
	client_close(&busy);
	client_close(&other);
	rig_stop();
}
END_TEST

static struct http_server *starting;
static _Atomic bool seen_before_it_was_there;

static void *look_for_server(void *app, struct uv_loop_s *loop, unsigned index)
{
	(void)app;
	(void)index;
	if (starting == NULL)
		seen_before_it_was_there = true;
	return loop; /* anything */
}

START_TEST(a_request_may_come_before_the_start_returns)
{
	struct http_options options = rig_options();

	options.on_loop_start = look_for_server;
	options.on_loop_stop = NULL;
	ck_assert_int_eq(http_server_start(&starting, &options, NULL), 0);
	http_server_stop(starting, 0);
	http_server_close(starting);
	ck_assert(!seen_before_it_was_there);
}
END_TEST

START_TEST(a_taken_port_is_told)
{
	struct http_options options = rig_options();
	struct http_server *second = NULL;
	char address[64];
	const char *detail = NULL;

	rig_start(&options);
	snprintf(address, sizeof(address), "%s", http_server_address(rig.server));
	options.listen = address;
	ck_assert_int_eq(http_server_start(&second, &options, &detail), ERR_TAKEN);
	ck_assert_ptr_null(second);
	ck_assert_str_eq(detail, "the port is in use");
	rig_stop();
}
END_TEST

START_TEST(a_wrong_option_is_told)
{
	static const struct route no_handler[] = {{.method = HTTP_GET, .path = "/x"}, {0}};
	static const struct route twice[] = {
		{.method = HTTP_GET, .path = "/x/{a}", .handler = rig_hello}, {.method = HTTP_GET, .path = "/x/{b}", .handler = rig_hello}, {0}};
	const struct route *const wrong[][2] = {{no_handler, NULL}, {twice, NULL}};
	struct http_options options = rig_options();
	struct http_server *none = NULL;

	for (size_t i = 0; i < 2; i++) {
		options.routes = wrong[i];
		ck_assert_int_eq(http_server_start(&none, &options, NULL), ERR_INVALID);
	}
	options = rig_options();
	options.listen = "nowhere:80";
	ck_assert_int_eq(http_server_start(&none, &options, NULL), ERR_INVALID);
	options = rig_options();
	options.trusted_proxies = "10.0.0.0/33";
	ck_assert_int_eq(http_server_start(&none, &options, NULL), ERR_INVALID);
	options = rig_options();
	options.tls_cert = "/nowhere.pem";
	options.tls_key = "/nowhere.key";
	ck_assert_int_eq(http_server_start(&none, &options, NULL), ERR_CONFIG);
	ck_assert_ptr_null(none);
}
END_TEST

/* Several loops and threads, for the sanitizers to watch. */

static void *ask_often(void *arg)
{
	struct client c = client_connect(rig.port);
	unsigned *n_good = arg;

	for (int i = 0; i < 200; i++) {
		struct answer a;

		client_say(&c, i % 2 == 0 ? "GET /meetings/1 HTTP/1.1\r\n" HOST "\r\n" : "GET /later HTTP/1.1\r\n" HOST "\r\n");
		a = client_answer(&c, true);
		*n_good += a.status == 200;
		answer_finish(&a);
	}
	client_close(&c);
	return NULL;
}

START_TEST(several_loops_serve_several_threads)
{
	struct http_options options = rig_options();
	pthread_t threads[4];
	unsigned n_good[4] = {0}, sum = 0;

	options.loops = 3;
	options.rate_meetings = (struct http_rate){300, 60};
	rig_start(&options);
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_create(&threads[i], NULL, ask_often, &n_good[i]);
	for (size_t i = 0; i < COUNT(threads); i++) {
		pthread_join(threads[i], NULL);
		sum += n_good[i];
	}
	/* 400 of /later, and of the 400 meetings as many as the quota. */
	ck_assert_uint_eq(sum, 700);
	ck_assert_uint_eq(rig_stats().requests_total, 800);
	wait_until(rig.n_outcomes == 800);
	rig_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_server");
	TCase *tc = tcase_create("http_server");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, what_is_in_flight_is_finished_before_the_end);
	tcase_add_test(tc, a_taken_port_is_told);
	tcase_add_test(tc, a_request_may_come_before_the_start_returns);
	tcase_add_test(tc, a_wrong_option_is_told);
	tcase_add_test(tc, several_loops_serve_several_threads);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
