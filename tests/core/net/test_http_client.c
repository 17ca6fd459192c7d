/* The client of effects, against our own server. */
#include "core/net/server_rig.h"

#include <stdio.h>

#include "base/err.h"
#include "lib/run.h"
#include "net/address.h"
#include "net/http_client.h"

static struct http_client *client;
static char url[64];

static void setup(void)
{
	rig_start_usual();
	ck_assert_int_eq(http_client_create(&client), 0);
}

static void teardown(void)
{
	http_client_destroy(client);
	rig_stop();
}

static const char *at(const char *path)
{
	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", rig.port, path);
	return url;
}

/* A body that is made while it is sent, and notes about the answer. */
struct piecewise {
	uint64_t at, len, fail_at;
	size_t step;
	unsigned n_heads;
	int status;
	uint64_t got;
	bool cut;
	_Atomic bool *stop_at_first;
};

static int64_t next_bytes(void *arg, char *bytes, size_t room)
{
	struct piecewise *p = arg;
	size_t n = room < p->step ? room : p->step;

	if (p->fail_at != 0 && p->at >= p->fail_at)
		return ERR_CORRUPT;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (char)('a' + (p->at + i) % 26);
	p->at += n;
	return (int64_t)n;
}

static int on_head(void *arg, const struct http_result *so_far)
{
	struct piecewise *p = arg;

	p->n_heads++;
	p->status = so_far->status;
	return p->cut ? 1 : 0;
}

static int on_bytes(void *arg, struct slice bytes)
{
	struct piecewise *p = arg;

	p->got += bytes.len;
	if (p->stop_at_first != NULL)
		*p->stop_at_first = true;
	return 0;
}

START_TEST(a_body_goes_piece_by_piece)
{
	struct piecewise p = {.len = 100000, .step = 777};
	struct http_call call = {.url = at("/echo"), .on_read = next_bytes, .body_len = p.len, .arg = &p};
	struct http_result r;

	ck_assert_int_eq(http_client_call(client, &call, &r), 0);
	ck_assert_int_eq(r.status, 200);
	ck_assert(r.sent);
	ck_assert_uint_eq(r.body.len, p.len);
	for (size_t i = 0; i < r.body.len; i++)
		ck_assert_int_eq(r.body.ptr[i], 'a' + (int)(i % 26));
	http_result_finish(&r);
}
END_TEST

START_TEST(a_body_of_nothing_is_sent_too)
{
	struct piecewise p = {.step = 1};
	struct http_call call = {.url = at("/echo"), .on_read = next_bytes, .arg = &p};
	struct http_result r;

	ck_assert_int_eq(http_client_call(client, &call, &r), 0);
	ck_assert_int_eq(r.status, 200);
	ck_assert_uint_eq(r.body.len, 0);
	ck_assert_uint_eq(p.at, 0);
	http_result_finish(&r);
}
END_TEST

START_TEST(a_body_that_fails_ends_the_call_with_its_error)
{
	struct piecewise p = {.len = 100000, .step = 1000, .fail_at = 20000};
	struct http_call call = {.url = at("/echo"), .on_read = next_bytes, .body_len = p.len, .arg = &p};
	struct http_result r;

	ck_assert_int_eq(http_client_call(client, &call, &r), ERR_CORRUPT);
	http_result_finish(&r);
	/* And the client is as good as before. */
	call = (struct http_call){.url = at("/hello")};
	ck_assert_int_eq(http_client_call(client, &call, &r), 0);
	ck_assert_slice_eq(buf_slice(&r.body), SLICE("hello\n"));
	http_result_finish(&r);
}
END_TEST

START_TEST(the_head_comes_before_the_bytes)
{
	struct piecewise p = {0};
	struct http_call call = {.url = at("/huge"), .on_head = on_head, .on_bytes = on_bytes, .arg = &p};
	struct http_result r;

	ck_assert_int_eq(http_client_call(client, &call, &r), 0);
	ck_assert_uint_eq(p.n_heads, 1);
	ck_assert_int_eq(p.status, 200);
	ck_assert_uint_eq(p.got, RIG_HUGE_LEN);
	http_result_finish(&r);

	p = (struct piecewise){.cut = true};
	ck_assert_int_eq(http_client_call(client, &call, &r), ERR_CANCELLED);
	ck_assert_uint_eq(p.got, 0);
	http_result_finish(&r);

	/* Of an answer without a body as well. */
	p = (struct piecewise){0};
	call.method = "HEAD";
	ck_assert_int_eq(http_client_call(client, &call, &r), 0);
	ck_assert_uint_eq(p.n_heads, 1);
	http_result_finish(&r);
}
END_TEST

START_TEST(a_service_that_stops_waits_for_nobody)
{
	_Atomic bool stopping = true;
	struct piecewise p = {.stop_at_first = &stopping};
	struct http_call call = {.url = at("/hold"), .stopping = &stopping, .timeout_ms = 600000};
	struct http_result r;

	ck_assert_int_eq(http_client_call(client, &call, &r), ERR_CANCELLED);
	http_result_finish(&r);

	stopping = false;
	call = (struct http_call){.url = at("/huge"), .stopping = &stopping, .on_bytes = on_bytes, .arg = &p};
	ck_assert_int_eq(http_client_call(client, &call, &r), ERR_CANCELLED);
	ck_assert_uint_lt(p.got, RIG_HUGE_LEN);
	http_result_finish(&r);
}
END_TEST

START_TEST(one_that_says_nothing_is_given_up)
{
	struct http_call call = {.url = at("/hold"), .timeout_ms = 600000, .slow_bytes_per_s = 10240, .slow_s = 1};
	struct http_result r;

	ck_assert_int_eq(http_client_call(client, &call, &r), ERR_TIMEOUT);
	http_result_finish(&r);
	call = (struct http_call){.url = at("/release")}; /* who is held would keep the server from ending */
	ck_assert_int_eq(http_client_call(client, &call, &r), 0);
	http_result_finish(&r);
}
END_TEST

START_TEST(only_public_addresses_for_what_came_from_outside)
{
	struct address_ranges also;
	struct http_call call = {.url = at("/hello"), .flags = CLIENT_PUBLIC_ONLY};
	struct http_result r;

	/* A connection that was kept from before is no way around it. */
	call.flags = 0;
	ck_assert_int_eq(http_client_call(client, &call, &r), 0);
	http_result_finish(&r);
	call.flags = CLIENT_PUBLIC_ONLY;
	ck_assert_int_eq(http_client_call(client, &call, &r), ERR_DENIED);
	http_result_finish(&r);
	ck_assert_uint_eq(rig_stats().requests_total, 1);

	ck_assert_int_eq(address_ranges_parse(SLICE("127.0.0.0/8"), &also), 0);
	call.also = &also;
	ck_assert_int_eq(http_client_call(client, &call, &r), 0);
	http_result_finish(&r);
}
END_TEST

START_TEST(other_spellings_of_this_machine_are_refused)
{
	static const char *const hosts[] = {"http://localhost", "http://127.1", "http://2130706433", "http://0x7f000001",
	    "http://0", "http://[::1]", "http://[::ffff:127.0.0.1]", "https://10.0.0.1", "https://169.254.169.254",
	    "https://[fd00::1]", "https://[64:ff9b::7f00:1]", "https://[2002:7f00:1::]"};
	struct http_result r;

	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct http_call call = {.flags = CLIENT_PUBLIC_ONLY | CLIENT_PLAIN, .timeout_ms = 2000, .url = url};
		int rc;

		snprintf(url, sizeof(url), "%s:%u/hello", hosts[i], rig.port);
		rc = http_client_call(client, &call, &r);
		ck_assert_msg(rc == ERR_DENIED || rc == ERR_NETWORK, "%s: %s", hosts[i], err_name(rc));
		http_result_finish(&r);
	}
	ck_assert_uint_eq(rig_stats().requests_total, 0);
}
END_TEST

static int64_t too_much(void *arg, char *bytes, size_t room)
{
	(void)arg;
	(void)bytes;
	return (int64_t)room + 1;
}

static int64_t nothing(void *arg, char *bytes, size_t room)
{
	(void)arg;
	(void)bytes;
	(void)room;
	return 0;
}

static const char *const split_header[] = {"X-One: 1\r\nX-Two: 2", NULL};

/* The server's port goes between host and path. */
static const struct { const char *says, *host, *path; struct http_call call; int rc; } calls[] = {
	{"a line of a head in the URL", "http://127.0.0.1", "/hello\r\nX: y", {0}, ERR_INVALID},
	{"in the method", "http://127.0.0.1", "/hello", {.method = "GET / HTTP/1.1\r\nX: y"}, ERR_INVALID},
	{"in a header", "http://127.0.0.1", "/hello", {.headers = split_header}, ERR_INVALID},
	{"no URL", "http://[::1", "/", {0}, ERR_INVALID},
	{"another scheme", "ftp://127.0.0.1", "/", {0}, ERR_DENIED},
	{"a body of more bytes than there are", "http://127.0.0.1", "/echo", {.on_read = nothing, .body_len = UINT64_MAX}, ERR_TOO_BIG},
	{"a body that gives more than there is room for", "http://127.0.0.1", "/echo", {.on_read = too_much, .body_len = 5}, ERR_INVALID},
	{"a body that gives nothing", "http://127.0.0.1", "/echo", {.on_read = nothing, .body_len = 5}, ERR_INVALID},
	{"more than is wanted", "http://127.0.0.1", "/huge", {.answer_max = 1000}, ERR_TOO_BIG},
	{"certificates that are not there", "https://127.0.0.1", "/", {.ca_file = "/nowhere/ca.pem"}, ERR_BAD_SIGNATURE},
	{"no TLS", "https://127.0.0.1", "/", {0}, ERR_NETWORK},
};

START_TEST(what_is_wrong_with_a_call_is_said)
{
	struct http_call call = calls[_i].call;
	struct http_result r;
	int rc;

	snprintf(url, sizeof(url), "%s:%u%s", calls[_i].host, rig.port, calls[_i].path);
	call.url = url;
	call.timeout_ms = 20000;
	rc = http_client_call(client, &call, &r);
	ck_assert_msg(rc == calls[_i].rc, "%s: %s", calls[_i].says, err_name(rc));
	http_result_finish(&r);
	/* And the client is as good as before. */
	call = (struct http_call){.url = at("/hello")};
	ck_assert_int_eq(http_client_call(client, &call, &r), 0);
	ck_assert_slice_eq(buf_slice(&r.body), SLICE("hello\n"));
	http_result_finish(&r);
}
END_TEST

static const struct { const char *url, *host; } urls[] = {
	{"https://Meeting.Tencent.com/a?b", "meeting.tencent.com"}, {"http://127.0.0.1:8080/", "127.0.0.1"},
	{"https://[::1]:1/", "::1"}, {"https://a.example:443", "a.example"},
	{"", NULL}, {"a.example", NULL}, {"//a.example/", NULL}, {"ftp://a.example/", NULL}, {"file:///etc/passwd", NULL},
	{"https://user@a.example/", NULL}, {"https://user:password@a.example/", NULL}, {"https:///a", "a"},
	{"https://a.example\\@b.example/", NULL}, {"https://a b/", NULL}, {"gopher://a/", NULL},
};

START_TEST(hosts_as_the_client_takes_them)
{
	char host[HTTP_URL_HOST_MAX];
	int rc = http_url_host(urls[_i].url, host);

	ck_assert_msg((rc == 0) == (urls[_i].host != NULL), "%s: %s", urls[_i].url, rc == 0 ? host : err_name(rc));
	if (rc == 0)
		ck_assert_str_eq(host, urls[_i].host);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_client");
	TCase *t = tcase_create("all");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_body_goes_piece_by_piece);
	tcase_add_test(t, a_body_of_nothing_is_sent_too);
	tcase_add_test(t, a_body_that_fails_ends_the_call_with_its_error);
	tcase_add_test(t, the_head_comes_before_the_bytes);
	tcase_add_test(t, a_service_that_stops_waits_for_nobody);
	tcase_add_test(t, one_that_says_nothing_is_given_up);
	tcase_add_test(t, only_public_addresses_for_what_came_from_outside);
	tcase_add_test(t, other_spellings_of_this_machine_are_refused);
	tcase_add_loop_test(t, what_is_wrong_with_a_call_is_said, 0, (int)COUNT(calls));
	suite_add_tcase(suite, t);
	t = tcase_create("urls");
	tcase_add_loop_test(t, hosts_as_the_client_takes_them, 0, (int)COUNT(urls));
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
