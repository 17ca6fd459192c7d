/* Who is turned away before his request is looked at: http_dispatch.c, peers.c. Rates, addresses, load. */
#include <stdatomic.h>

#include "core/net/server_rig.h"

/* Rates and addresses. */

START_TEST(rates_are_told_and_kept)
{
	static const char get[] = "GET /meetings/1 HTTP/1.1\r\n" HOST "\r\n";
	struct http_options options = rig_options();
	struct answer a;

	options.rate_general = (struct http_rate){5, 900};
	options.rate_meetings = (struct http_rate){2, 60};
	rig_start(&options);
	a = ask(rig.port, get);
	ck_assert_int_eq(a.status, 200);
	ck_assert_slice_eq(answer_value(&a, "ratelimit"), SLICE("\"meetings\";r=1;t=60"));
	ck_assert_slice_eq(answer_value(&a, "ratelimit-policy"), SLICE("\"general\";q=5;w=900, \"meetings\";q=2;w=60"));
	ck_assert_slice_eq(answer_value(&a, "x-ratelimit-limit"), SLICE("2"));
	ck_assert_slice_eq(answer_value(&a, "x-ratelimit-remaining"), SLICE("1"));
	ck_assert_slice_eq(answer_value(&a, "x-ratelimit-reset"), SLICE("1795477215"));
	answer_finish(&a);
	ck_assert_int_eq(ask_status(rig.port, get), 200);
	clock_manual_advance(&rig.clock, 10000000);
	a = ask(rig.port, get);
	ck_assert_int_eq(a.status, 429);
	ck_assert_slice_eq(answer_value(&a, "retry-after"), SLICE("50"));
	ck_assert_slice_eq(answer_value(&a, "x-ratelimit-remaining"), SLICE("0"));
	answer_finish(&a);
	/* Elsewhere the general quota still has two. */
	ck_assert_int_eq(ask_status(rig.port, "GET /who/1 HTTP/1.1\r\n" HOST "\r\n"), 200);
	ck_assert_int_eq(ask_status(rig.port, "GET /nothing HTTP/1.1\r\n" HOST "\r\n"), 404);
	ck_assert_int_eq(ask_status(rig.port, "GET /who/1 HTTP/1.1\r\n" HOST "\r\n"), 429);
	ck_assert_int_eq(ask_status(rig.port, "GET /hello HTTP/1.1\r\n" HOST "\r\n"), 200);
	clock_manual_advance(&rig.clock, 891000000);
	ck_assert_int_eq(ask_status(rig.port, get), 200);
	ck_assert_uint_eq(rig_stats().refused_by_rate, 2);
	rig_stop();
}
END_TEST

static const struct {
	const char *says, *trusted, *fields, *expected;
} proxies[] = {
	{"nobody is trusted", NULL, "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n", "address=127.0.0.1 secure=0"},
	{"the proxy tells", "127.0.0.0/8", "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n", "address=9.9.9.9 secure=1"},
	{"the right-most stranger", "127.0.0.0/8, 10.0.0.1", "X-Forwarded-For: 6.6.6.6, 9.9.9.9, 10.0.0.1\r\n", "address=9.9.9.9 secure=0"},
	{"a proxy that tells nothing", "127.0.0.0/8", "", "address=127.0.0.1 secure=0"},
	{"a proxy that tells rubbish", "127.0.0.0/8", "X-Forwarded-For: 9.9.9.9, rubbish\r\n", "address=127.0.0.1 secure=0"},
	{"a trusted proxy elsewhere", "10.0.0.0/8", "X-Forwarded-For: 9.9.9.9\r\n", "address=127.0.0.1 secure=0"},
	{"an IPv6 client", "127.0.0.1", "X-Forwarded-For: 2001:db8::1\r\n", "address=2001:db8::1 secure=0"},
};

START_TEST(the_client_behind_a_proxy)
{
	struct http_options options = rig_options();
	char request[512];
	struct answer a;

	options.trusted_proxies = proxies[_i].trusted;
	rig_start(&options);
	snprintf(request, sizeof(request), "GET /who/1 HTTP/1.1\r\n" HOST "%s\r\n", proxies[_i].fields);
	a = ask(rig.port, request);
	ck_assert_msg(strstr(a.body.ptr, proxies[_i].expected) != NULL, "%s: %s", proxies[_i].says, a.body.ptr);
	answer_finish(&a);
	rig_stop();
}
END_TEST

START_TEST(an_address_has_so_many_connections)
{
	struct http_options options = rig_options();
	struct client first, second, third;

	options.limits.limit_loopback = true;
	options.limits.address_connections_max = 2;
	rig_start(&options);
	first = client_connect(rig.port);
	second = client_connect(rig.port);
	wait_until(rig_stats().connections_total == 2);
	third = client_connect(rig.port);
	ck_assert(client_at_end(&third));
	ck_assert_uint_eq(rig_stats().connections_refused, 1);
	client_close(&first);
	wait_until(rig_stats().connections_open == 1);
	client_close(&third);
	third = client_connect(rig.port);
	client_say(&third, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	client_need(&third, 1);
	client_close(&second);
	client_close(&third);
	rig_stop();
}
END_TEST

START_TEST(an_address_makes_so_many_new_connections_a_second)
{
	struct http_options options = rig_options();
	struct client c;

	options.limits.limit_loopback = true;
	options.limits.address_new_per_s_max = 3;
	rig_start(&options);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(ask_status(rig.port, "GET /hello HTTP/1.1\r\n" HOST "\r\n"), 200);
	c = client_connect(rig.port);
	ck_assert(client_at_end(&c));
	client_close(&c);
	clock_manual_advance(&rig.clock, 1000000);
	ck_assert_int_eq(ask_status(rig.port, "GET /hello HTTP/1.1\r\n" HOST "\r\n"), 200);
	rig_stop();
}
END_TEST

START_TEST(the_newest_idle_connection_makes_room)
{
	struct http_options options = rig_options();
	struct client old, young, next;

	options.limits.connections_max = 2;
	rig_start(&options);
	old = client_connect(rig.port);
	wait_until(rig_stats().connections_total == 1);
	young = client_connect(rig.port);
	wait_until(rig_stats().connections_total == 2);
	next = client_connect(rig.port);
	client_say(&next, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	client_need(&next, 1);
	ck_assert(client_at_end(&young));
	client_say(&old, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	client_need(&old, 1);
	client_close(&old);
	client_close(&young);
	client_close(&next);
	rig_stop();
}
END_TEST

START_TEST(overload_turns_away_all_but_the_essential)
{
	struct answer a;
	uint64_t seconds;

	rig_start_usual();
	rig.overloaded = true;
	/* The hook is asked at the next tick of the loop's own timer. */
	wait_until(ask_status(rig.port, "GET /hello HTTP/1.1\r\n" HOST "\r\n") == 503);
	a = ask(rig.port, "GET /private HTTP/1.1\r\n" HOST "Authorization: Bearer read\r\n\r\n");
	ck_assert_int_eq(a.status, 503);
	ck_assert_int_eq(slice_to_u64(answer_value(&a, "retry-after"), &seconds), 0);
	ck_assert(seconds >= 1 && seconds <= 5);
	answer_finish(&a);
	ck_assert_int_eq(ask_status(rig.port, "GET /livez HTTP/1.1\r\n" HOST "\r\n"), 200);
	ck_assert_uint_ge(rig_stats().refused_by_load, 2);
	rig.overloaded = false;
	wait_until(ask_status(rig.port, "GET /hello HTTP/1.1\r\n" HOST "\r\n") == 200);
	rig_stop();
}
END_TEST

/* Of the loop's own delay: every look at it finds that so much has passed. */
static _Atomic int64_t tick_us;

static int64_t tick_clock_us(void *arg)
{
	static _Atomic int64_t now_us = 1;

	(void)arg;
	return atomic_fetch_add(&now_us, atomic_load(&tick_us));
}

static const struct clock tick_clock = {.wall_us = tick_clock_us, .monotonic_us = tick_clock_us};

/* A loop that lags: strangers are turned away first, then those with a token, health and webhooks never. */

#define STRANGER "GET /hello HTTP/1.1\r\n" HOST "\r\n"
#define SIGNED_IN "GET /private HTTP/1.1\r\n" HOST "Authorization: Bearer read\r\n\r\n"

static const struct {
	const char *says;
	int64_t tick_us; /* from one tick to the next; 100000 is on time */
	int stranger, signed_in;
} lags[] = {
	{"on time", 100000, 200, 200},
	{"late, but less than 200 ms", 299000, 200, 200},
	{"200 ms late", 300000, 503, 200},
	{"nearly a second late", 1099000, 503, 200},
	{"a second late", 1100000, 503, 503},
};

START_TEST(a_lagging_loop_sheds_load)
{
	struct http_options options = rig_options();

	options.lag_clock = &tick_clock;
	tick_us = lags[_i].tick_us;
	rig_start(&options);
	/* Two late ticks in a row it takes, and the third has certainly seen both. */
	if (lags[_i].stranger == 503)
		wait_until(ask_status(rig.port, STRANGER) == 503);
	else
		wait_until(rig_stats().lag_us_max == tick_us - 100000);
	ck_assert_int_eq(ask_status(rig.port, STRANGER), lags[_i].stranger);
	ck_assert_int_eq(ask_status(rig.port, SIGNED_IN), lags[_i].signed_in);
	ck_assert_int_eq(ask_status(rig.port, "GET /livez HTTP/1.1\r\n" HOST "\r\n"), 200);
	ck_assert_int_eq(ask_status(rig.port, "POST /hook HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"), 200);
	ck_assert_int_eq(rig_stats().lag_us_max, tick_us - 100000);
	ck_assert(lags[_i].stranger == 503 ? rig_stats().refused_by_load >= 2 : rig_stats().refused_by_load == 0);
	tick_us = 100000;
	wait_until(ask_status(rig.port, STRANGER) == 200);
	rig_stop();
}
END_TEST

/* Webhooks wait for the log. When the oldest waits for long, who comes next is told to come back, and not read until then. */

#define HOOK "POST /hook HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"
#define HOOK_HOLD "POST /hook/hold HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"
#define WAITING 12

static int next_status(struct client *c)
{
	struct answer a = client_answer(c, true);
	int status = a.status;

	answer_finish(&a);
	return status;
}

/* On a server that lets nobody wait for more than a millisecond. The last ones may have been refused. */
static void let_many_wait(struct client waiting[WAITING])
{
	struct http_options options = rig_options();
	int64_t since_us = 0;

	options.limits.wait_ms_max = 1;
	rig_start(&options);
	for (size_t i = 0; i < WAITING; i++) {
		waiting[i] = client_connect(rig.port);
		client_say(&waiting[i], HOOK_HOLD);
		wait_until(rig_stats().requests_total == i + 1);
		if (i > 0)
			continue;
		wait_until(rig_stats().requests_in_flight == 1);
		since_us = clock_monotonic_us(&clock_system);
	}
	wait_until(clock_monotonic_us(&clock_system) - since_us > 2000);
}

START_TEST(a_webhook_that_would_wait_is_told_to_come_back)
{
	struct client waiting[WAITING], next;
	uint64_t n_in;

	let_many_wait(waiting);
	next = client_connect(rig.port);
	client_say(&next, HOOK);
	ck_assert_int_eq(next_status(&next), 503);
	ck_assert_uint_ge(rig_stats().refused_by_load, 1);
	ck_assert_int_eq(ask_status(rig.port, "GET /livez HTTP/1.1\r\n" HOST "\r\n"), 200);

	/* It does not heed: what it sends, all of it webhooks, is left where it is. */
	ck_assert_int_eq(ask_status(rig.port, "GET /release HTTP/1.1\r\n" HOST "\r\n"), 200);
	n_in = rig_stats().bytes_in;
	client_say(&next, HOOK HOOK);
	rig_move_clock_ms(1900);
	rig_let_loop_catch_up();
	ck_assert_uint_lt(rig_stats().bytes_in, n_in + strlen(HOOK HOOK));
	ck_assert_int_eq(recv(next.fd, (char[1]){0}, 1, MSG_DONTWAIT), -1);
	rig_move_clock_ms(100);
	ck_assert_int_eq(next_status(&next), 200);
	ck_assert_int_eq(next_status(&next), 200);
	for (size_t i = 0; i < WAITING; i++)
		client_close(&waiting[i]);
	client_close(&next);
	rig_stop();
}
END_TEST

/* The same, sent at once: what was read already waits too. */
START_TEST(what_stands_behind_a_refused_webhook_waits)
{
	struct client waiting[WAITING], next;

	let_many_wait(waiting);
	next = client_connect(rig.port);
	client_say(&next, HOOK HOOK);
	ck_assert_int_eq(next_status(&next), 503);
	ck_assert_int_eq(ask_status(rig.port, "GET /release HTTP/1.1\r\n" HOST "\r\n"), 200);
	ck_assert_int_eq(recv(next.fd, (char[1]){0}, 1, MSG_DONTWAIT), -1);
	rig_move_clock_ms(2000);
	ck_assert_int_eq(next_status(&next), 200);
	for (size_t i = 0; i < WAITING; i++)
		client_close(&waiting[i]);
	client_close(&next);
	rig_stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_dispatch");
	TCase *tc = tcase_create("http_dispatch");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, rates_are_told_and_kept);
	tcase_add_loop_test(tc, the_client_behind_a_proxy, 0, (int)COUNT(proxies));
	tcase_add_test(tc, an_address_has_so_many_connections);
	tcase_add_test(tc, an_address_makes_so_many_new_connections_a_second);
	tcase_add_test(tc, the_newest_idle_connection_makes_room);
	tcase_add_test(tc, overload_turns_away_all_but_the_essential);
	tcase_add_loop_test(tc, a_lagging_loop_sheds_load, 0, sizeof(lags) / sizeof(lags[0]));
	tcase_add_test(tc, a_webhook_that_would_wait_is_told_to_come_back);
	tcase_add_test(tc, what_stands_behind_a_refused_webhook_waits);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
