/*
 * The service while every call it makes fails once: at its start, and while it answers. An answer is the right one,
 * or one that says the server could not; afterwards all answers are right again.
 */
#include "core/app/request_walk.h"

static const char *const settings[] = {"CORS_ORIGINS=https://app.example.org",
    "CORS_ORIGIN_REGEXES=https://[a-z]*.example.net", NULL};

/* ---- the start ------------------------------------------------------------------------------ */

static struct app_rig r;

static void setup(void)
{
	app_rig_init(&r);
	app_rig_configure(&r, NULL, settings);
}

static void teardown(void)
{
	app_rig_finish(&r);
}

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
	struct failing_walk of = {.kinds = FAILING_MEMORY | FAILING_ARENAS | FAILING_FILES | FAILING_THREADS | FAILING_LOOPS,
	    .act = start, .after = a_failure_is_explained, .depth = 3};
	unsigned n;

	ck_assert_ptr_nonnull(buf_reserve(&r.problem, 4096)); /* the sentence itself never lacks memory */
	n = failing_walk(&of);
	ck_assert_uint_ge(n, 50);
	ck_assert_int_eq(start(), 0);
}
END_TEST

/* ---- answers ---------------------------------------------------------------------------------- */

#define GET(target, status) {MADE_NOTHING, ASK(NULL, "GET " target, NULL, status)}
#define GET_VARYING(target, status) {MADE_NOTHING, {NULL, "GET " target, NULL, status, NULL, NULL, true, NULL}}
#define GET_WITH(target, field, status) {MADE_NOTHING, ASK_WITH(NULL, "GET " target, NULL, status, field)}
#define SKIP(model, body, status) {MADE_NOTHING, ASK(NULL, "POST /api/v1/projections/" model "/skip", body, status)}

static const struct walk_case answers[] = {
	GET("/livez", 200),
	GET_VARYING("/readyz?verbose", 200),
	GET_VARYING("/health", 200),
	GET_VARYING("/metrics", 200),
	GET("/", 200),
	/* Not packed when there is no memory for that. */
	{MADE_NOTHING, {NULL, "GET /openapi.json", NULL, 200, NULL, "Accept-Encoding: gzip\r\n", true, NULL}},
	GET("/nothing", 404),
	GET("/api/v1/events", 200),
	GET_WITH("/api/v1/events?limit=2&page=2", "Accept: application/json\r\n", 200),
	GET_WITH("/api/v1/events?type=meeting.ended", "Origin: https://app.example.org\r\n", 200),
	GET_WITH("/api/v1/events?stream=nobody", "Origin: https://a.example.net\r\n", 200),
	GET_WITH("/api/v1/events?cursor=x", "Origin: https://a.example.netx\r\n", 400),
	GET("/api/v1/events?type=nothing.known", 400),
	GET("/api/v1/events?nonsense=1", 400),
	GET("/api/v1/events/1", 200),
	GET("/api/v1/events/1000", 404),
	GET("/api/v1/events/x", 400),
	GET("/api/v1/events/1/proof", 200),
	GET("/api/v1/events/1000/proof", 404),
	GET("/api/v1/checkpoint", 200),
	GET("/api/v1/checkpoint/key", 200),
	GET("/api/v1/meetings", 200),
	GET_WITH("/api/v1/meetings?limit=1&sort=-createdAt", "Lulab-Min-Position: 3\r\n", 200),
	GET_WITH("/api/v1/meetings", "Accept: application/x-ndjson\r\n", 200),
	GET_WITH("/api/v1/meetings", "Accept: text/csv\r\n", 200),
	GET("/api/v1/meetings?limit=x&page=0", 400),
	GET_WITH("/api/v1/meetings", "Lulab-Min-Position: x\r\n", 400),
	GET("/api/v1/meetings/nobody", 404),
	GET("/api/v1/meetings/nobody/events", 404),
	GET("/api/v1/meetings/nobody/participants", 404),
	GET("/api/v1/recordings", 200),
	GET("/api/v1/recordings/nobody", 404),
	GET("/api/v1/webhooks", 200),
	GET("/meetings?limit=1", 200),
	GET("/meetings?limit=x", 400),
	GET_VARYING("/meetings/health", 200),
	GET("/meetings/nobody", 404),
	SKIP("meetings", "{'position':1,'reason':'x'}", 409),
	SKIP("meetings", "{}", 400),
	SKIP("nobody", "{'position':1,'reason':'x'}", 404),
};

#define N_STREAM 3 /* events a follower reads */

static int follow(void)
{
	struct client c;
	struct buf text = BUF_INIT(1024);
	unsigned n = 0;

	failing_pause();
	c = client_connect(http_server_port(walk.r.app.server));
	buf_printf(&text, "GET /api/v1/events/stream?from=0 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
	    "Authorization: Bearer %s\r\n\r\n", walk.r.token);
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

static void can_be_followed(int rc, const char *what)
{
	ck_assert_msg(what != NULL || rc == 0, "%s", err_name(rc));
	ck_assert_int_eq(follow(), 0);
}

static void setup_served(void)
{
	struct projection_fixture *f = &walk.r.f;

	walk_open(NULL, settings, NULL, 0);
	give(f, "meeting.created", "{\"meeting_id\":\"m1\",\"title\":\"t\",\"operate_at_ms\":1000,\"operator\":{\"uuid\":\"u1\"}}");
	give(f, "meeting.started", "{\"meeting_id\":\"m1\",\"operate_at_ms\":2000}");
	give(f, "participant.joined", "{\"meeting_id\":\"m1\",\"operate_at_ms\":3000,\"operator\":{\"uuid\":\"u1\"}}");
	give(f, "meeting.ended", "{\"meeting_id\":\"m1\",\"operate_at_ms\":4000,\"meeting_end_type\":1}");
	wait_all(f, walk.r.app.projector);
	ck_assert_int_eq(signer_sign_now(walk.r.app.signer, eventlog_size(walk.r.app.log)), 0);
}

START_TEST(an_answer_is_right_or_says_that_it_could_not)
{
	ck_assert_uint_ge(walk_cases(answers, COUNT(answers), FAILING_ALL, 10), 100);
}
END_TEST

START_TEST(a_follower_is_served_again)
{
	struct failing_walk of = {.kinds = FAILING_ALL, .act = follow, .after = can_be_followed, .runs_on = true, .depth = 10};

	ck_assert_uint_ge(failing_walk(&of), 20);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("app_failing");
	TCase *starting = tcase_create("starting"), *served = tcase_create("served");

	tcase_set_timeout(starting, 100);
	tcase_add_checked_fixture(starting, setup, teardown);
	tcase_add_test(starting, the_start_fails_with_a_sentence);
	suite_add_tcase(suite, starting);
	tcase_set_timeout(served, 100);
	tcase_add_checked_fixture(served, setup_served, walk_close);
	tcase_add_test(served, an_answer_is_right_or_says_that_it_could_not);
	tcase_add_test(served, a_follower_is_served_again);
	suite_add_tcase(suite, served);
	return run_suite(suite);
}
