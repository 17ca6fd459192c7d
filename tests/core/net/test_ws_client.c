/* ws_client.c against a server that says what a table has for it, to the byte. */
#include <stdlib.h>
#include <sys/eventfd.h>

#include "core/net/ws_peer.h"
#include "lib/run.h"

static struct http_client *http;

#define X1000 X100 X100 X100 X100 X100 X100 X100 X100 X100 X100
#define X100 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

/* --- the upgrade ---------------------------------------------------------------------- */

/* more: so many bytes behind it */
static const struct { const char *says; struct slice answer; int rc; size_t more; } upgrades[] = {
	{"it is made", SLICE_INIT(UPGRADED), 0, 0},
	{"header names may be written otherwise", SLICE_INIT("HTTP/1.1 101 ok\r\nupgrade:WebSocket\r\nSEC-WEBSOCKET-ACCEPT:" ACCEPT "\r\n\r\n"), 0, 0},
	{"the key was not ours", SLICE_INIT("HTTP/1.1 101 ok\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"), ERR_UNAVAILABLE, 0},
	{"no key at all", SLICE_INIT("HTTP/1.1 101 ok\r\nUpgrade: websocket\r\n\r\n"), ERR_UNAVAILABLE, 0},
	{"another upgrade", SLICE_INIT("HTTP/1.1 101 ok\r\nUpgrade: h2c\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n"), ERR_UNAVAILABLE, 0},
	{"it says no", SLICE_INIT("HTTP/1.1 403 Forbidden\r\nhandshake-status: 514\r\nContent-Length: 0\r\n\r\n"), ERR_UNAVAILABLE, 0},
	{"a success that is none", SLICE_INIT("HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n"), ERR_UNAVAILABLE, 0},
	{"no HTTP", SLICE_INIT("SSH-2.0-x\r\n\r\n"), ERR_UNAVAILABLE, 0},
	{"another HTTP", SLICE_INIT("HTTP/2 101\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n"), ERR_UNAVAILABLE, 0},
	{"no status", SLICE_INIT("HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n"), ERR_UNAVAILABLE, 0},
	{"a status in words", SLICE_INIT("HTTP/1.1 fine\r\n\r\n"), ERR_UNAVAILABLE, 0},
	{"a status too small", SLICE_INIT("HTTP/1.1 99 ok\r\n\r\n"), ERR_UNAVAILABLE, 0},
	{"a status too great", SLICE_INIT("HTTP/1.1 1010 ok\r\n\r\n"), ERR_UNAVAILABLE, 0},
	{"a head cut off", SLICE_INIT("HTTP/1.1 101 Swit"), ERR_NETWORK, 0},
	{"nothing", SLICE_INIT(""), ERR_NETWORK, 0},
	{"a head without an end", SLICE_INIT("HTTP/1.1 101 ok\r\nX: "), ERR_UNAVAILABLE, 20000},
};

START_TEST(upgrade)
{
	struct buf said = BUF_INIT(1 << 16);
	struct ws_client *w = NULL;
	struct http_result answer;
	struct slice status;
	struct peer p;
	int rc;

	buf_append(&said, upgrades[_i].answer);
	for (size_t i = 0; i < upgrades[_i].more; i++)
		buf_append_char(&said, 'x');
	peer_start(&p, buf_slice(&said), upgrades[_i].rc != 0);
	rc = open_to(&p, &w, &answer);
	ck_assert_msg(rc == upgrades[_i].rc, "%s: %s", upgrades[_i].says, err_name(rc));
	if (answer.status == 403)
		ck_assert(http_result_header(&answer, "handshake-status", &status) && slice_is(status, "514"));
	http_result_finish(&answer);
	if (rc == 0)
		ws_close(w);
	peer_end(&p);
	buf_finish(&said);
	ck_assert_ptr_nonnull(strstr(p.request, "GET /ws/v2?a=b&ticket=t HTTP/1.1\r\nHost: 127.0.0.1:"));
	if (rc == 0) /* the goodbye: masked, 1000 */
		ck_assert(p.rest_len == 8 && (uint8_t)p.rest[0] == 0x88 && (uint8_t)p.rest[1] == 0x82 &&
		    (uint8_t)(p.rest[2] ^ p.rest[6]) == 0x03 && (uint8_t)(p.rest[3] ^ p.rest[7]) == 0xe8);
}
END_TEST

static const struct { const char *says, *url; int rc; } places[] = {
	{"without TLS to nobody but this machine", "ws://192.0.2.1/", ERR_DENIED},
	{"another scheme", "http://127.0.0.1/", ERR_DENIED},
	{"a file", "file:///etc/passwd", ERR_DENIED},
	{"a line of a head", "ws://127.0.0.1/\r\nX: y", ERR_INVALID},
	{"white space", "ws://127.0.0.1/a b", ERR_INVALID},
	{"a letter that has to be encoded", "ws://127.0.0.1/\xc3\xa4", ERR_INVALID},
	{"credentials", "ws://a:b@127.0.0.1/", ERR_INVALID},
	{"no host", "ws://", ERR_INVALID},
	{"a port too high", "ws://127.0.0.1:99999/", ERR_INVALID},
	{"nobody there", "ws://127.0.0.1:1/", ERR_NETWORK},
	{"nobody there, with TLS", "wss://127.0.0.1:1/", ERR_NETWORK},
};

START_TEST(where)
{
	struct ws_call call = {.url = places[_i].url, .message_max = 1000, .stop_fd = -1, .rng = &rng_system};
	struct ws_client *w = NULL;
	struct http_result answer;
	int rc = ws_open(&w, &call, &answer);

	ck_assert_msg(rc == places[_i].rc, "%s: %s", places[_i].says, err_name(rc));
	ck_assert_ptr_null(w);
	http_result_finish(&answer);
}
END_TEST

/* --- messages --------------------------------------------------------------------------- */

/* What is said after the upgrade, and what the calls of ws_receive() give until the first error. */
static const struct { const char *says; struct slice said; const char *messages; int rc; } messages[] = {
	{"one", SLICE_INIT("\x82\x02hi"), "hi|", ERR_NETWORK},
	{"text too", SLICE_INIT("\x81\x02hi"), "hi|", ERR_NETWORK},
	{"several at once", SLICE_INIT("\x82\x01" "a\x82\x00\x82\x01" "b"), "a||b|", ERR_NETWORK},
	{"in fragments, with a ping in between", SLICE_INIT("\x02\x01" "a\x89\x01!\x00\x01" "b\x80\x01" "c"), "abc|", ERR_NETWORK},
	{"a goodbye", SLICE_INIT("\x82\x01" "a\x88\x02\x03\xe8"), "a|", ERR_END},
	{"a goodbye without a reason", SLICE_INIT("\x88\x00"), "", ERR_END},
	{"of the greatest length", SLICE_INIT("\x82\x7e\x03\xe8" X1000), X1000 "|", ERR_NETWORK},
	{"too long", SLICE_INIT("\x82\x7e\x03\xe9" X1000 "x"), "", ERR_TOO_BIG},
	{"too long in fragments", SLICE_INIT("\x02\x7e\x03\xe8" X1000 "\x80\x01x"), "", ERR_TOO_BIG},
	{"as long as can be said", SLICE_INIT("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff" "x"), "", ERR_TOO_BIG},
	{"a length with its first bit", SLICE_INIT("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff" "x"), "", ERR_MALFORMED},
	{"masked", SLICE_INIT("\x82\x81\x00\x00\x00\x00x"), "", ERR_MALFORMED},
	{"reserved bits", SLICE_INIT("\xc2\x01x"), "", ERR_MALFORMED},
	{"an unknown kind", SLICE_INIT("\x83\x01x"), "", ERR_MALFORMED},
	{"a fragment of nothing", SLICE_INIT("\x80\x01x"), "", ERR_MALFORMED},
	{"a ping in fragments", SLICE_INIT("\x09\x01x"), "", ERR_MALFORMED},
	{"a ping too long", SLICE_INIT("\x89\x7e\x00\x7e" X100 "12345678901234567890123456"), "", ERR_MALFORMED},
	{"no UTF-8 in a text", SLICE_INIT("\x81\x02\xff\xfe"), "", ERR_MALFORMED},
	{"cut off", SLICE_INIT("\x82\x05hi"), "", ERR_NETWORK},
};

START_TEST(receiving)
{
	struct buf said = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);
	struct ws_client *w = NULL;
	struct http_result answer;
	struct slice message;
	struct peer p;
	int rc;

	buf_append(&said, SLICE(UPGRADED));
	buf_append(&said, messages[_i].said);
	peer_start(&p, buf_slice(&said), true);
	ck_assert_int_eq(open_to(&p, &w, &answer), 0);
	http_result_finish(&answer);
	while ((rc = ws_receive(w, 20000, &message)) == 0) {
		buf_append(&got, message);
		buf_append_char(&got, '|');
	}
	ck_assert_msg(rc == messages[_i].rc && slice_is(buf_slice(&got), messages[_i].messages), "%s: %s, %.*s", messages[_i].says,
	    err_name(rc), SLICE_ARG(buf_slice(&got)));
	ck_assert_int_eq(ws_receive(w, 0, &message), rc);
	ws_close(w);
	peer_end(&p);
	buf_finish(&said);
	buf_finish(&got);
}
END_TEST

START_TEST(pings_are_answered_and_messages_sent)
{
	struct ws_client *w = NULL;
	struct http_result answer;
	struct slice message;
	struct peer p;

	peer_start(&p, SLICE(UPGRADED "\x89\x02hi\x82\x01x"), false);
	ck_assert_int_eq(open_to(&p, &w, &answer), 0);
	http_result_finish(&answer);
	ck_assert_int_eq(ws_receive(w, 20000, &message), 0);
	ck_assert_int_eq(ws_receive(w, 1, &message), ERR_TIMEOUT);
	ck_assert_int_eq(ws_send(w, SLICE("abc")), 0);
	ws_close(w);
	peer_end(&p);
	ck_assert_uint_eq(p.rest_len, 8 + 9 + 8);
	ck_assert((uint8_t)p.rest[0] == 0x8a && (uint8_t)p.rest[8] == 0x82 && (uint8_t)p.rest[9] == 0x83 &&
	    (p.rest[14] ^ p.rest[10]) == 'a' && (p.rest[16] ^ p.rest[12]) == 'c');
}
END_TEST

/* More than a head may be is not asked for; nobody is asked without the certificates they are to be judged by. */
START_TEST(what_cannot_be_asked_is_not)
{
	struct ws_call call = {.message_max = 1000, .stop_fd = -1, .rng = &rng_system, .timeout_ms = 20000};
	struct buf url = BUF_INIT(1 << 20);
	struct ws_client *w = NULL;
	struct http_result answer;
	struct peer p;

	peer_start(&p, SLICE(""), false);
	buf_printf(&url, "%s://127.0.0.1:%u/?", _i == 0 ? "ws" : "wss", p.port);
	for (int i = 0; _i == 0 && i < 100000; i++)
		buf_append_char(&url, 'x');
	call.url = url.ptr;
	call.ca_file = _i == 0 ? NULL : "/nowhere/ca.pem";
	ck_assert_int_eq(ws_open(&w, &call, &answer), _i == 0 ? ERR_INVALID : ERR_BAD_SIGNATURE);
	ck_assert_ptr_null(w);
	http_result_finish(&answer);
	peer_end(&p);
	ck_assert_ptr_null(strstr(p.request, "GET"));
	buf_finish(&url);
}
END_TEST

START_TEST(what_nobody_read_goes_with_the_connection)
{
	struct ws_client *w = NULL;
	struct http_result answer;
	struct slice message;
	struct peer p;

	ws_close(NULL);
	peer_start(&p, SLICE(UPGRADED "\x82\x01x\x82\x01y\x82\x01z"), false);
	ck_assert_int_eq(open_to(&p, &w, &answer), 0);
	http_result_finish(&answer);
	ck_assert_int_eq(ws_receive(w, 20000, &message), 0);
	ck_assert(slice_is(message, "x"));
	ws_close(w);
	peer_end(&p);
	ck_assert_uint_eq(p.rest_len, 8); /* the goodbye */
}
END_TEST

START_TEST(a_stop_ends_every_wait)
{
	const uint64_t one = 1;
	char url[64];
	struct ws_call call = {.url = url, .message_max = 1000, .stop_fd = eventfd(0, EFD_CLOEXEC), .rng = &rng_system, .timeout_ms = 60000};
	struct ws_client *w = NULL;
	struct http_result answer;
	struct slice message;
	struct peer p;

	peer_start(&p, SLICE(UPGRADED), false);
	snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", p.port);
	ck_assert_int_eq(ws_open(&w, &call, &answer), 0);
	http_result_finish(&answer);
	ck_assert_int_eq(write(call.stop_fd, &one, sizeof(one)), sizeof(one));
	ck_assert_int_eq(ws_receive(w, 60000, &message), ERR_CANCELLED);
	ws_close(w);
	peer_end(&p);
	ck_assert_uint_eq(p.rest_len, 8); /* it says goodbye all the same */
	w = NULL;
	peer_start(&p, SLICE(UPGRADED), false);
	snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", p.port);
	ck_assert_int_eq(ws_open(&w, &call, &answer), ERR_CANCELLED);
	http_result_finish(&answer);
	peer_end(&p);
	close(call.stop_fd);
}
END_TEST

/* A server that says nothing is left after the time that was given. */
START_TEST(silence_is_not_waited_for)
{
	char url[64];
	struct ws_call call = {.url = url, .message_max = 1000, .stop_fd = -1, .rng = &rng_system, .timeout_ms = 1};
	struct ws_client *w = NULL;
	struct http_result answer;
	struct peer p;
	int rc;

	peer_start(&p, SLICE(""), false);
	snprintf(url, sizeof(url), "ws://127.0.0.1:%u/", p.port);
	rc = ws_open(&w, &call, &answer);
	ck_assert_msg(rc == ERR_TIMEOUT, "%s", err_name(rc));
	http_result_finish(&answer);
	peer_end(&p);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("ws_client");
	Suite *s = suite_create("ws_client");
	int rc;

	if (crypto_init() != 0 || http_client_create(&http) != 0)
		return 1;
	tcase_add_loop_test(tc, upgrade, 0, COUNT(upgrades));
	tcase_add_loop_test(tc, where, 0, COUNT(places));
	tcase_add_loop_test(tc, receiving, 0, COUNT(messages));
	tcase_add_test(tc, pings_are_answered_and_messages_sent);
	tcase_add_loop_test(tc, what_cannot_be_asked_is_not, 0, 2);
	tcase_add_test(tc, what_nobody_read_goes_with_the_connection);
	tcase_add_test(tc, a_stop_ends_every_wait);
	tcase_add_test(tc, silence_is_not_waited_for);
	suite_add_tcase(s, tc);
	rc = run_suite(s);
	http_client_destroy(http);
	return rc;
}
