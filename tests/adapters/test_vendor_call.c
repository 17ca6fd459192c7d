/* vendor_call.c: answers and silences of vendors become outcomes; whether a request left is told by http_client.c. */
#include <arpa/inet.h>
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "lib/run.h"
#include "net/http_client.h"
#include "vendor_call.h"

static const struct {
	enum answer_class is;
	int status;
	enum effect_outcome outcome;
	const char *class;
	bool host_failed;
} answers[] = {
	{ANSWER_OK, 200, EFFECT_DONE, NULL, false},
	{ANSWER_DUPLICATE, 409, EFFECT_DONE, NULL, false},
	{ANSWER_RETRY, 503, EFFECT_RETRY, "retry", true},
	{ANSWER_RETRY, 200, EFFECT_RETRY, "retry", false},
	{ANSWER_AFRESH, 400, EFFECT_RETRY, "afresh", false},
	{ANSWER_NOT_READY, 400, EFFECT_NOT_YET, "not_ready", false},
	{ANSWER_LIMIT, 429, EFFECT_RETRY, "limit", true},
	{ANSWER_UNKNOWN, 504, EFFECT_IS_UNKNOWN, "unknown", true},
	{ANSWER_REFUSED, 400, EFFECT_REFUSED, "refused", false},
	{ANSWER_CONFIG, 403, EFFECT_STOP, "configuration", false},
};

START_TEST(answers_become_outcomes)
{
	struct effect_call call = {0};

	vendor_answer(&call, answers[_i].is, answers[_i].status, "why");
	ck_assert_int_eq(call.outcome, answers[_i].outcome);
	ck_assert_int_eq(call.status, answers[_i].status);
	ck_assert_pstr_eq(call.class, answers[_i].class);
	ck_assert_pstr_eq(call.message, answers[_i].class == NULL ? NULL : "why");
	ck_assert(call.host_failed == answers[_i].host_failed);
}
END_TEST

static const struct {
	int rc;
	enum effect_outcome outcome;
	const char *class;
	bool host_failed;
} silences[] = {
	{ERR_CANCELLED, EFFECT_RETRY, "stopped", false},
	{ERR_NOMEM, EFFECT_RETRY, "memory", false},
	{ERR_INVALID, EFFECT_STOP, "address", false},
	{ERR_DENIED, EFFECT_STOP, "address", false},
	{ERR_BAD_SIGNATURE, EFFECT_STOP, "certificate", true},
	{ERR_TOO_BIG, EFFECT_REFUSED, "too_big", false},
	{ERR_TIMEOUT, EFFECT_RETRY, "timeout", true},
	{ERR_NETWORK, EFFECT_RETRY, "connect", true},
	{ERR_IO, EFFECT_RETRY, "connect", true}, /* whatever else */
};

START_TEST(silences_become_outcomes)
{
	struct effect_call call = {0};

	vendor_no_answer(&call, silences[_i].rc, false);
	ck_assert_int_eq(call.outcome, silences[_i].outcome);
	ck_assert_str_eq(call.class, silences[_i].class);
	ck_assert(call.host_failed == silences[_i].host_failed);
	vendor_no_answer(&call, silences[_i].rc, true);
	ck_assert_int_eq(call.outcome, EFFECT_IS_UNKNOWN);
	ck_assert_str_eq(call.class, "no_answer");
}
END_TEST

/* ---- did it leave? -------------------------------------------------------------------- */

static int listening(char *ret_url, size_t size)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && getsockname(fd, (struct sockaddr *)&at, &len) == 0);
	snprintf(ret_url, size, "http://127.0.0.1:%d/act", ntohs(at.sin_port));
	return fd;
}

static void *reads_and_hangs_up(void *arg)
{
	char request[1024];
	int fd = accept(*(int *)arg, NULL, NULL);

	while (fd >= 0 && read(fd, request, sizeof(request)) == (ssize_t)sizeof(request))
		;
	close(fd);
	return NULL;
}

START_TEST(what_nobody_took_has_not_left)
{
	char url[64];
	int fd = listening(url, sizeof(url)); /* and nobody listens */
	struct http_client *client = vendor_thread_open();
	struct http_result r;

	ck_assert_int_eq(http_client_call(client, &(struct http_call){.url = url, .body = SLICE("x")}, &r), ERR_NETWORK);
	ck_assert(!r.sent);
	http_result_finish(&r);
	vendor_thread_close(client);
	close(fd);
}
END_TEST

START_TEST(what_was_taken_without_an_answer_has_left)
{
	char url[64];
	int fd = listening(url, sizeof(url));
	struct http_client *client = vendor_thread_open();
	struct http_result r;
	pthread_t peer;

	ck_assert_int_eq(listen(fd, 1), 0);
	ck_assert_int_eq(pthread_create(&peer, NULL, reads_and_hangs_up, &fd), 0);
	ck_assert_int_eq(http_client_call(client, &(struct http_call){.url = url, .body = SLICE("x")}, &r), ERR_NETWORK);
	ck_assert(r.sent);
	pthread_join(peer, NULL);
	http_result_finish(&r);
	vendor_thread_close(client);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vendor_call");
	TCase *t = tcase_create("vendor_call");

	tcase_add_loop_test(t, answers_become_outcomes, 0, (int)COUNT(answers));
	tcase_add_loop_test(t, silences_become_outcomes, 0, (int)COUNT(silences));
	tcase_add_test(t, what_nobody_took_has_not_left);
	tcase_add_test(t, what_was_taken_without_an_answer_has_left);
	suite_add_tcase(s, t);
	return run_suite(s);
}
