/*
 * The service while every call it makes fails once: at its start, and while it answers. An answer is the right one,
 * or one that says the server could not; afterwards all answers are right again.
 */
#include "core/app/app_rig.h"
#include "lib/failing.h"

static struct app_rig r;

static void setup(void)
{
	static const char *const settings[] = {"CORS_ORIGINS=https://app.example.org",
	    "CORS_ORIGIN_REGEXES=https://[a-z]*.example.net", NULL};

	app_rig_init(&r);
	app_rig_configure(&r, NULL, settings);
}

static void teardown(void)
{
	app_rig_finish(&r);
}

/* ---- the start ------------------------------------------------------------------------------ */

static int start(void)
{
	int rc = app_rig_start(&r, NULL);

	if (rc == 0) {
		eventlog_wake(r.app.log); /* so that the stop does not wait for waits to end */
		app_stop(&r.app);
	}
	return rc;
}

static void a_failure_is_explained(int rc, const char *what)
{
	ck_assert_msg(what != NULL || rc == 0, "%s: %s", err_name(rc), r.problem.ptr);
	ck_assert_msg(rc == 0 || r.problem.len > 10, "%s fails, and nothing is said of %s", what, err_name(rc));
}

START_TEST(the_start_fails_with_a_sentence)
{
	struct failing_walk walk = {.kinds = FAILING_MEMORY | FAILING_ARENAS | FAILING_FILES | FAILING_THREADS | FAILING_LOOPS, .act = start,
	    .after = a_failure_is_explained, .depth = 3};
	unsigned n;

	ck_assert_ptr_nonnull(buf_reserve(&r.problem, 4096)); /* the sentence itself never lacks memory */
	n = failing_walk(&walk);
	ck_assert_uint_ge(n, 50);
	ck_assert_int_eq(start(), 0);
}
END_TEST

/* ---- answers ---------------------------------------------------------------------------------- */

static const struct {
	const char *method, *target, *fields, *body;
	bool varies; /* only the status can be compared */
	int status;
} requests[] = {
	{"GET", "/livez", "", NULL, false, 200},
	{"GET", "/readyz?verbose", "", NULL, true, 200},
	{"GET", "/health", "", NULL, true, 200},
	{"GET", "/metrics", "", NULL, true, 200},
	{"GET", "/", "", NULL, false, 200},
	{"GET", "/openapi.json", "Accept-Encoding: gzip\r\n", NULL, true, 200},
	{"GET", "/nothing", "", NULL, true, 404},
	{"GET", "/api/v1/events", "", NULL, false, 200},
	{"GET", "/api/v1/events?limit=2&page=2", "Accept: application/json\r\n", NULL, false, 200},
	{"GET", "/api/v1/events?type=meeting.ended", "Origin: https://app.example.org\r\n", NULL, false, 200},
	{"GET", "/api/v1/events?stream=nobody", "Origin: https://a.example.net\r\n", NULL, false, 200},
	{"GET", "/api/v1/events?cursor=x", "Origin: https://a.example.netx\r\n", NULL, true, 400},
	{"GET", "/api/v1/events?type=nothing.known", "", NULL, true, 400},
	{"GET", "/api/v1/events?nonsense=1", "", NULL, true, 400},
	{"GET", "/api/v1/events/1", "", NULL, false, 200},
	{"GET", "/api/v1/events/1000", "", NULL, true, 404},
	{"GET", "/api/v1/events/x", "", NULL, true, 400},
	{"GET", "/api/v1/events/1/proof", "", NULL, false, 200},
	{"GET", "/api/v1/events/1000/proof", "", NULL, true, 404},
	{"GET", "/api/v1/checkpoint", "", NULL, false, 200},
	{"GET", "/api/v1/checkpoint/key", "", NULL, false, 200},
	{"GET", "/api/v1/meetings", "", NULL, false, 200},
	{"GET", "/api/v1/meetings?limit=1&sort=-createdAt", "Lulab-Min-Position: 3\r\n", NULL, false, 200},
	{"GET", "/api/v1/meetings", "Accept: application/x-ndjson\r\n", NULL, false, 200},
	{"GET", "/api/v1/meetings", "Accept: text/csv\r\n", NULL, false, 200},
	{"GET", "/api/v1/meetings?limit=x&page=0", "", NULL, true, 400},
	{"GET", "/api/v1/meetings", "Lulab-Min-Position: x\r\n", NULL, true, 400},
	{"GET", "/api/v1/meetings/nobody", "", NULL, true, 404},
	{"GET", "/api/v1/meetings/nobody/events", "", NULL, true, 404},
	{"GET", "/api/v1/meetings/nobody/participants", "", NULL, true, 404},
	{"GET", "/api/v1/recordings", "", NULL, false, 200},
	{"GET", "/api/v1/recordings/nobody", "", NULL, true, 404},
	{"GET", "/api/v1/webhooks", "", NULL, false, 200},
	{"GET", "/meetings?limit=1", "", NULL, false, 200},
	{"GET", "/meetings?limit=x", "", NULL, true, 400},
	{"GET", "/meetings/health", "", NULL, true, 200},
	{"GET", "/meetings/nobody", "", NULL, true, 404},
	{"POST", "/api/v1/projections/meetings/skip", "Content-Type: application/json\r\n", "{\"position\":1,\"reason\":\"x\"}",
	    true, 409},
	{"POST", "/api/v1/projections/meetings/skip", "Content-Type: application/json\r\n", "{}", true, 400},
	{"POST", "/api/v1/projections/nobody/skip", "Content-Type: application/json\r\n", "{\"position\":1,\"reason\":\"x\"}",
	    true, 404},
};
#define N_REQUESTS COUNT(requests)
#define N_STREAM 3 /* events a follower reads */

static struct buf good_bodies[N_REQUESTS];
static bool judging; /* nothing fails: answers must be right */

/* Everything until the server closes; 0: no answer, or a cut one. */
static int exchange(unsigned i, struct buf *ret_body)
{
	struct client c = client_connect(http_server_port(r.app.server));
	struct buf text = BUF_INIT(8192);
	struct answer a;
	int status = 0;

	buf_printf(&text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n%s", requests[i].method,
	    requests[i].target, r.token, requests[i].fields);
	if (requests[i].body != NULL)
		buf_printf(&text, "Content-Length: %zu\r\n", strlen(requests[i].body));
	buf_printf(&text, "\r\n%s", requests[i].body == NULL ? "" : requests[i].body);
	client_send(&c, buf_slice(&text));
	while (client_read(&c))
		;
	if (c.in.len > 0 && memmem(c.in.ptr, c.in.len, "\r\n\r\n", 4) != NULL) {
		a = client_head(&c);
		status = a.status;
		buf_append(ret_body, buf_slice(&c.in));
		answer_finish(&a);
	}
	buf_finish(&text);
	client_close(&c);
	return status;
}

/* The verification in the background met the failing call; it says so until it is tried again, a minute later. */
static bool is_unclear(unsigned i, int status, struct slice body)
{
	static const char said[] = "parts could not be read";

	return strcmp(requests[i].target, "/health") == 0 && status == 503 &&
	    memmem(body.ptr, body.len, said, sizeof(said) - 1) != NULL;
}

static bool is_good(unsigned i, int status, struct slice body)
{
	if (judging && good_bodies[i].max == 0) {
		good_bodies[i] = (struct buf)BUF_INIT(1u << 20);
		buf_append(&good_bodies[i], body);
	}
	return is_unclear(i, status, body) ||
	    (status == requests[i].status && (requests[i].varies || slice_eq(body, buf_slice(&good_bodies[i]))));
}

/* A failure while the body is on its way cuts it; what came must be the beginning of the right one. */
static bool is_cut(unsigned i, int status, struct slice body)
{
	return status == requests[i].status && body.len < good_bodies[i].len &&
	    (body.len == 0 || memcmp(body.ptr, good_bodies[i].ptr, body.len) == 0);
}

static void ask_all(void)
{
	failing_pause();
	for (unsigned i = 0; i < N_REQUESTS; i++) {
		struct buf body = BUF_INIT(1u << 20);
		int status = exchange(i, &body);

		ck_assert_msg(is_good(i, status, buf_slice(&body)) ||
		    (!judging && (status == 0 || status >= 500 || is_cut(i, status, buf_slice(&body)))),
		    "%s %s gives %d: %s", requests[i].method, requests[i].target, status, body.ptr == NULL ? "" : body.ptr);
		buf_finish(&body);
	}
	failing_go_on();
}

static int follow(void)
{
	struct client c;
	struct buf text = BUF_INIT(1024);
	unsigned n = 0;

	failing_pause();
	c = client_connect(http_server_port(r.app.server));
	buf_printf(&text, "GET /api/v1/events/stream?from=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", r.token);
	client_send(&c, buf_slice(&text));
	while (n < N_STREAM && client_read(&c)) {
		const char *at = c.in.ptr;

		for (n = 0; (at = memmem(at, c.in.len - (size_t)(at - c.in.ptr), "\ndata:", 6)) != NULL; at++)
			n++;
	}
	client_close(&c);
	buf_finish(&text);
	failing_go_on();
	return n >= N_STREAM ? 0 : ERR_NETWORK;
}

static int ask_and_follow(void)
{
	ask_all();
	return follow();
}

static void answers_are_right_again(int rc, const char *what)
{
	ck_assert_msg(what != NULL || rc == 0, "%s", err_name(rc));
	judging = true;
	ask_all();
	ck_assert_int_eq(follow(), 0);
	judging = false;
}

static void open_app(void)
{
	app_rig_open(&r, NULL);
	give(&r.f, "meeting.created", "{\"meeting_id\":\"m1\",\"title\":\"t\",\"operate_at_ms\":1000,\"operator\":{\"uuid\":\"u1\"}}");
	give(&r.f, "meeting.started", "{\"meeting_id\":\"m1\",\"operate_at_ms\":2000}");
	give(&r.f, "participant.joined", "{\"meeting_id\":\"m1\",\"operate_at_ms\":3000,\"operator\":{\"uuid\":\"u1\"}}");
	give(&r.f, "meeting.ended", "{\"meeting_id\":\"m1\",\"operate_at_ms\":4000,\"meeting_end_type\":1}");
	wait_all(&r.f, r.app.projector);
	ck_assert_int_eq(signer_sign_now(r.app.signer, eventlog_size(r.app.log)), 0);
}

START_TEST(an_answer_is_right_or_says_that_it_could_not)
{
	/* Without arenas: a request whose target finds no room in one is answered 400 by the server, not yet 503. */
	struct failing_walk walk = {.kinds = FAILING_ALL & ~FAILING_ARENAS, .act = ask_and_follow, .after = answers_are_right_again,
	    .runs_on = true, .depth = 10};
	unsigned n;

	open_app();
	judging = true;
	ask_all();
	judging = false;
	n = failing_walk(&walk);
	ck_assert_uint_ge(n, 100);
	app_stop(&r.app);
	for (unsigned i = 0; i < N_REQUESTS; i++)
		buf_finish(&good_bodies[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("app_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, the_start_fails_with_a_sentence);
	tcase_add_test(t, an_answer_is_right_or_says_that_it_could_not);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
