/* The client of effects while every call of it that can fail does so once: the whole answer, or an error. */
#include "core/net/server_rig.h"

#include <stdio.h>

#include "base/err.h"
#include "base/thread.h"
#include "lib/failing.h"
#include "lib/run.h"
#include "net/http_client.h"

static bool wrong; /* an answer was told that is none */

static int call(struct http_client *client, const char *path, const char *body, const char *right)
{
	static const char *const headers[] = {"X-One: 1", "Content-Type: text/plain", NULL};
	char url[64];
	struct http_call what = {.url = url, .headers = headers, .body = slice_str(body), .timeout_ms = 20000};
	struct http_result answer;
	struct slice type;
	int rc;

	snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", rig.port, path);
	rc = http_client_call(client, &what, &answer);
	wrong = wrong || (rc == 0 && (answer.status != 200 || !slice_is(buf_slice(&answer.body), right) ||
	    !http_result_header(&answer, "content-type", &type)));
	http_result_finish(&answer);
	return rc;
}

static int talk(void)
{
	struct http_client *client = NULL;
	char host[HTTP_URL_HOST_MAX];
	int rc = http_client_create(&client);

	wrong = (rc == 0) != (client != NULL);
	if (rc == 0)
		rc = call(client, "/echo", "abc", "abc");
	if (rc == 0)
		rc = call(client, "/hello", "", "hello\n");
	if (rc == 0)
		rc = http_url_host("https://A.example/", host);
	wrong = wrong || (rc == 0 && strcmp(host, "a.example") != 0);
	http_client_destroy(client);
	return rc;
}

static void whole_or_an_error(int rc, const char *what)
{
	ck_assert_msg(what != NULL || rc == 0, "%s", err_name(rc));
	ck_assert_msg(rc == 0 || rc == ERR_NOMEM || rc == ERR_INVALID || rc == ERR_NETWORK, "%s fails: %s", what, err_name(rc));
	ck_assert_msg(!wrong, "%s fails, and what is told is wrong", what == NULL ? "nothing" : what);
}

START_TEST(an_answer_is_whole_or_an_error)
{
	static const char *const threads[] = {"the test", NULL};
	struct failing_walk walk = {.kinds = FAILING_MEMORY | FAILING_LOOPS, .act = talk, .after = whole_or_an_error,
	    .threads = threads, .runs_on = true};
	unsigned n;

	thread_name("the test");
	n = failing_walk(&walk);
	ck_assert_msg(n >= 10, "only %u calls failed", n);
}
END_TEST

static void setup(void)
{
	rig_start_usual();
}

static void teardown(void)
{
	rig_stop();
}

int main(void)
{
	Suite *suite = suite_create("http_client_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 30);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_answer_is_whole_or_an_error);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
