/* ws_client.c while every call that can fail does so once, and over a connection that takes and gives a byte at a time. */
#include <curl/curl.h>
#include <wslay/wslay.h>

#include "core/net/ws_peer.h"
#include "lib/failing.h"
#include "lib/run.h"

static bool slow; /* every other time there is nothing, and else a byte */

#define CALL(type, name, params, args, failure) FAILING_CALL(FAILING_LOOPS, type, name, params, args, failure)

CALL(int, wslay_event_context_client_init,
    (wslay_event_context_ptr *ret, const struct wslay_event_callbacks *callbacks, void *arg), (ret, callbacks, arg),
    WSLAY_ERR_NOMEM)
CALL(int, wslay_event_queue_msg, (wslay_event_context_ptr frames, const struct wslay_event_msg *m), (frames, m), WSLAY_ERR_NOMEM)
CALL(int, wslay_event_queue_close, (wslay_event_context_ptr frames, uint16_t code, const uint8_t *reason, size_t len),
    (frames, code, reason, len), WSLAY_ERR_NOMEM)
CALL(int, wslay_event_recv, (wslay_event_context_ptr frames), (frames), WSLAY_ERR_NOMEM)
CALL(int, wslay_event_send, (wslay_event_context_ptr frames), (frames), WSLAY_ERR_NOMEM)

static bool is_nothing_yet(size_t *len)
{
	static unsigned n;

	*len = slow && *len > 1 ? 1 : *len;
	return slow && n++ % 2 == 0;
}

CURLcode __real_curl_easy_send(CURL *curl, const void *bytes, size_t len, size_t *ret);
CURLcode __wrap_curl_easy_send(CURL *curl, const void *bytes, size_t len, size_t *ret);
CURLcode __wrap_curl_easy_send(CURL *curl, const void *bytes, size_t len, size_t *ret)
{
	if (failing_call(FAILING_LOOPS, "curl_easy_send", __builtin_return_address(0)))
		return CURLE_SEND_ERROR;
	return is_nothing_yet(&len) ? CURLE_AGAIN : __real_curl_easy_send(curl, bytes, len, ret);
}

CURLcode __real_curl_easy_recv(CURL *curl, void *room, size_t len, size_t *ret);
CURLcode __wrap_curl_easy_recv(CURL *curl, void *room, size_t len, size_t *ret);
CURLcode __wrap_curl_easy_recv(CURL *curl, void *room, size_t len, size_t *ret)
{
	if (failing_call(FAILING_LOOPS, "curl_easy_recv", __builtin_return_address(0)))
		return CURLE_RECV_ERROR;
	return is_nothing_yet(&len) ? CURLE_AGAIN : __real_curl_easy_recv(curl, room, len, ret);
}

static struct peer peer;
static bool sent, wrong; /* our message left; something was other than it should be */

#define SAID UPGRADED "\x82\x02hi" "\x02\x01" "a\x89\x01!\x00\x01" "b\x80\x01" "c"

static int receives(struct ws_client *w, const char *right)
{
	struct slice message;
	int rc = ws_receive(w, 20000, &message);

	wrong = wrong || (rc == 0 && !slice_is(message, right));
	return rc;
}

static int talk(void)
{
	struct ws_client *w = NULL;
	struct http_result answer;
	int rc = open_to(&peer, &w, &answer);

	http_result_finish(&answer);
	wrong = (rc == 0) != (w != NULL);
	if (rc == 0)
		rc = receives(w, "hi");
	if (rc == 0)
		rc = receives(w, "abc");
	if (rc == 0)
		rc = ws_send(w, SLICE("xyz"));
	sent = rc == 0;
	if (w != NULL && rc != 0) /* it stays as it is */
		wrong = wrong || ws_send(w, SLICE("more")) != rc;
	ws_close(w);
	failing_pause();
	peer_end(&peer);
	failing_go_on();
	return rc;
}

static void meet(void)
{
	sent = false;
	peer_start(&peer, SLICE(SAID), false);
}

/* Whether such a frame of ours came to the peer, which are masked. */
static bool has_frame(unsigned kind, const char *text)
{
	size_t at = 0, len, want = strlen(text);

	for (; at + 6 <= peer.rest_len; at += 6 + len) {
		const char *frame = peer.rest + at;
		bool same = ((uint8_t)frame[0] & 0xf) == kind;

		len = (uint8_t)frame[1] & 0x7f;
		for (size_t i = 0; same && i < len && at + 6 + i < peer.rest_len; i++)
			same = i < want && (frame[6 + i] ^ frame[2 + i % 4]) == text[i];
		if (same && len == want)
			return true;
	}
	return false;
}

static void what_was_told_is_so(int rc, const char *what)
{
	const char *when = what == NULL ? "nothing" : what;

	ck_assert_msg(what != NULL || rc == 0, "%s", err_name(rc));
	ck_assert_msg(rc == 0 || rc == ERR_NOMEM || rc == ERR_NETWORK || rc == ERR_INVALID, "%s fails: %s", when, err_name(rc));
	ck_assert_msg(!wrong, "%s fails, and what came is wrong", when);
	ck_assert_msg(!sent || has_frame(2, "xyz"), "%s fails, and the message did not come", when);
	ck_assert_msg(!sent || has_frame(10, "!"), "%s fails, and the ping was not answered", when);
	ck_assert_msg(rc == 0 || !has_frame(2, "more"), "%s fails, and more is sent", when);
	ck_assert_msg(what != NULL || has_frame(8, "\x03\xe8"), "no goodbye");
}

START_TEST(what_is_told_is_so_whatever_fails)
{
	static const char *const threads[] = {"the test", NULL};
	struct failing_walk walk = {.kinds = FAILING_MEMORY | FAILING_LOOPS, .before = meet, .act = talk,
	    .after = what_was_told_is_so, .threads = threads};
	unsigned n;

	thread_name("the test");
	n = failing_walk(&walk);
	ck_assert_msg(n >= 20, "only %u calls failed", n);
}
END_TEST

START_TEST(a_byte_at_a_time_is_as_good)
{
	slow = true;
	meet();
	ck_assert_int_eq(talk(), 0);
	what_was_told_is_so(0, NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ws_client_failing");
	TCase *t = tcase_create("failing");
	struct http_client *http;
	int rc;

	if (crypto_init() != 0 || http_client_create(&http) != 0)
		return 1;
	tcase_set_timeout(t, 30);
	tcase_add_test(t, what_is_told_is_so_whatever_fails);
	tcase_add_test(t, a_byte_at_a_time_is_as_good);
	suite_add_tcase(suite, t);
	rc = run_suite(suite);
	http_client_destroy(http);
	return rc;
}
