/* The server over loopback sockets: http_server.c, http_loop.c, http_conn.c, http_dispatch.c, http_answer.c. */
#include <errno.h>
#include <stdatomic.h>

#include <uv.h>
#include <zlib.h>

#include "base/err.h"
#include "base/rng.h"
#include "core/net/http_rig.h"

#define HOST "Host: a\r\n"
#define START_WALL_US INT64_C(1795477155000000) /* Mon, 23 Nov 2026 23:39:15 GMT */

static struct http_server *server;
static struct clock_manual hands;
static struct clock_manual still; /* by which no loop is ever late, however busy the machine is */
static struct rng_test rng;
static unsigned port;
static _Atomic bool overloaded;
static _Atomic unsigned n_outcomes, n_closed;
static _Atomic int last_status;

/* The handlers. */

static void hello(struct http_request *rq)
{
	http_respond_slice(rq, 200, HTTP_TEXT, SLICE("hello\n"));
}

static void echo(struct http_request *rq)
{
	struct slice type;

	http_request_field(rq, "content-type", &type);
	http_respond_slice(rq, 200, HTTP_TEXT, rq->body);
}

static void describe(struct http_request *rq)
{
	struct buf out = BUF_INIT(1 << 16);

	buf_printf(&out, "id=%.*s address=%.*s secure=%d trace=%s parent=%s sampled=%d",
	    SLICE_ARG(http_request_param(rq, "id")), SLICE_ARG(rq->address), rq->secure, rq->trace_id,
	    rq->parent_span_id, rq->trace_sampled);
	for (size_t i = 0; i < rq->n_query; i++)
		buf_printf(&out, " %.*s=%.*s", SLICE_ARG(rq->query[i].name), SLICE_ARG(rq->query[i].value));
	http_respond(rq, 200, HTTP_TEXT, &out);
}

#define LINES 5000

static void lines(struct http_request *rq)
{
	struct buf out = BUF_INIT(1 << 20);

	for (int i = 0; i < (slice_is(rq->path, "/few") ? 100 : LINES); i++)
		buf_printf(&out, "line %d of many\n", i);
	http_respond(rq, 200, HTTP_TEXT, &out);
}

#define HUGE_LEN ((size_t)24 << 20) /* more than any pair of socket buffers holds */

static void huge(struct http_request *rq)
{
	struct buf out = BUF_INIT(HUGE_LEN);
	char *to = buf_reserve(&out, HUGE_LEN);

	if (to != NULL) {
		memset(to, 'x', HUGE_LEN);
		buf_commit(&out, HUGE_LEN);
	}
	http_respond(rq, 200, "application/octet-stream", &out);
}

static void on_zero(uv_handle_t *handle)
{
	free(handle);
}

static void on_later(uv_timer_t *timer)
{
	struct http_request *rq = timer->data;

	uv_close((uv_handle_t *)timer, on_zero);
	http_respond_slice(rq, 200, HTTP_TEXT, rq->path);
}

static void later(struct http_request *rq)
{
	uv_timer_t *timer = malloc(sizeof(*timer));

	uv_timer_init(rq->loop, timer);
	timer->data = rq;
	uv_timer_start(timer, on_later, 0, 0);
}

/* Waits for /release on the same (only) loop. */
static struct http_request *held;

static void on_held_closed(struct http_request *rq)
{
	(void)rq;
	n_closed++;
}

static void hold(struct http_request *rq)
{
	held = rq;
	rq->on_closed = on_held_closed;
}

static void release(struct http_request *rq)
{
	struct http_request *waiting = held;

	held = NULL;
	http_respond_slice(rq, 200, HTTP_TEXT, SLICE("released"));
	if (waiting != NULL)
		http_respond_slice(waiting, 200, HTTP_TEXT, SLICE("held"));
}

static void problem(struct http_request *rq)
{
	struct http_problem_item items[] = {
		{SLICE("hosts[0].name"), SLICE("too_long"), SLICE("at most 10 \"characters\"")},
		{SLICE("limit"), SLICE("not_a_number"), SLICE("expected a number")},
	};

	http_problem(rq, 400, "invalid", "Two fields are wrong.", items, 2);
}

static void tagged(struct http_request *rq)
{
	http_header(rq, "ETag", SLICE("\"v1\""));
	http_header(rq, "Cache-Control", SLICE("public, max-age=60"));
	http_respond_slice(rq, 200, HTTP_JSON, SLICE("{}"));
}

static void hostile_header(struct http_request *rq)
{
	int rc = http_header(rq, "X-Name", SLICE("a\r\nSet-Cookie: b"));

	http_respond_slice(rq, rc == ERR_INVALID ? 200 : 500, HTTP_TEXT, SLICE("x"));
}

static const struct route routes[] = {
	{.method = HTTP_GET, .path = "/hello", .handler = hello, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_POST, .path = "/echo", .handler = echo, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_PUT, .path = "/echo", .handler = echo, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_POST, .path = "/small", .handler = echo, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT, .body_max = 16},
	{.method = HTTP_GET, .path = "/meetings/{id}", .handler = describe, .flags = ROUTE_PUBLIC, .rate = RATE_MEETINGS},
	{.method = HTTP_GET, .path = "/who/{id}", .handler = describe, .flags = ROUTE_PUBLIC | ROUTE_REPEATS},
	{.method = HTTP_GET, .path = "/lines", .handler = lines, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/few", .handler = lines, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/huge", .handler = huge, .flags = ROUTE_PUBLIC | ROUTE_NO_ETAG, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/later", .handler = later, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/hold", .handler = hold, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/release", .handler = release, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/problem", .handler = problem, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/tagged", .handler = tagged, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/hostile", .handler = hostile_header, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/private", .handler = hello, .permission = "read", .rate = RATE_EXEMPT},
	{.method = HTTP_POST, .path = "/private", .handler = echo, .permission = "write", .rate = RATE_EXEMPT},
	{.method = HTTP_POST, .path = "/hook", .handler = echo, .flags = ROUTE_PUBLIC | ROUTE_ESSENTIAL, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/livez", .handler = hello, .flags = ROUTE_PUBLIC | ROUTE_ESSENTIAL, .rate = RATE_EXEMPT},
	{0},
};

static const struct route *const tables[] = {routes, NULL};

static int authorize(void *app, struct http_request *rq, const char **ret_detail)
{
	struct slice token;

	(void)app;
	if (!http_request_bearer(rq, &token)) {
		*ret_detail = "A bearer token is needed.";
		return 401;
	}
	return slice_is(token, rq->route->permission) ? 0 : 403;
}

static bool cors(void *app, struct slice origin, bool *ret_credentials)
{
	(void)app;
	*ret_credentials = true;
	return slice_is(origin, "https://good.example");
}

static bool is_overloaded(void *app)
{
	(void)app;
	return overloaded;
}

/* Of the loop's own delay: every look at it finds that so much has passed. */
static _Atomic int64_t tick_us;

static int64_t tick_clock_us(void *arg)
{
	static _Atomic int64_t now_us = 1;

	(void)arg;
	return atomic_fetch_add(&now_us, atomic_load(&tick_us));
}

static const struct clock tick_clock = {.wall_us = tick_clock_us, .monotonic_us = tick_clock_us};

static void on_answered(void *app, const struct http_request *rq, const struct http_outcome *outcome)
{
	(void)app;
	(void)rq;
	last_status = outcome->status;
	n_outcomes++;
}

/* Everything a test may want to differ from the usual server. */
static struct http_options usual(void)
{
	clock_manual_init(&hands, START_WALL_US);
	rng_test_init(&rng, 7);
	n_outcomes = n_closed = 0;
	held = NULL;
	overloaded = false;
	clock_manual_init(&still, 1);
	return (struct http_options){.listen = "127.0.0.1:0", .loops = 1, .routes = tables, .clock = &hands.clock,
	    .rng = &rng.rng, .lag_clock = &still.clock, .authorize = authorize, .cors = cors, .overloaded = is_overloaded,
	    .on_answered = on_answered};
}

static void start(const struct http_options *options)
{
	const char *detail = NULL;
	int rc = http_server_start(&server, options, &detail);

	ck_assert_msg(rc == 0, "%s: %s", err_name(rc), detail == NULL ? "" : detail);
	port = http_server_port(server);
}

static void start_usual(void)
{
	struct http_options options = usual();

	start(&options);
}

static void stop(void)
{
	http_server_close(server);
	server = NULL;
}

static struct http_stats stats(void)
{
	struct http_stats s;

	http_server_stats(server, &s);
	return s;
}

/*
 * The (only) loop has dealt with all that was sent to it before: what it reads
 * is counted before it is acted upon, so the counts alone do not tell.
 */
static void let_loop_catch_up(void)
{
	ck_assert_int_eq(ask_status(port, "GET /hello HTTP/1.1\r\n" HOST "\r\n"), 200);
}

static void move_clock_ms(int64_t ms)
{
	clock_manual_advance(&hands, ms * 1000);
	http_server_tick(server);
}

/* Answers, byte by byte. */

START_TEST(an_answer_is_exactly_this)
{
	static const char expected[] =
	    "HTTP/1.1 200 OK\r\n"
	    "Date: Mon, 23 Nov 2026 23:39:15 GMT\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "X-Request-Id: my-own.id:1\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "X-Frame-Options: DENY\r\n"
	    "Referrer-Policy: no-referrer\r\n"
	    "Cache-Control: no-store\r\n"
	    "Vary: Origin\r\n"
	    "ETag: W/\"WJG1tSLV3whtD_Cx\"\r\n"
	    "Content-Length: 6\r\n"
	    "\r\n"
	    "hello\n";
	struct client c;

	start_usual();
	c = client_connect(port);
	client_say(&c, "GET /hello HTTP/1.1\r\n" HOST "X-Request-Id: my-own.id:1\r\n\r\n");
	client_need(&c, sizeof(expected) - 1);
	ck_assert_str_eq(c.in.ptr, expected);
	client_close(&c);
	stop();
}
END_TEST

static const struct {
	const char *says, *sent;
	int status;
	const char *field, *value; /* a header to find in the answer, or NULL */
	const char *body;          /* or NULL for whatever */
} cases[] = {
	{"a GET", "GET /hello HTTP/1.1\r\n" HOST "\r\n", 200, "content-length", "6", "hello\n"},
	{"one trailing slash is forgiven", "GET /hello/ HTTP/1.1\r\n" HOST "\r\n", 200, NULL, NULL, "hello\n"},
	{"HEAD has the length and no body", "HEAD /hello HTTP/1.1\r\n" HOST "\r\n", 200, "content-length", "6", ""},
	{"a body comes back", "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 200, NULL, NULL, "abc"},
	{"chunks come back joined", "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
		"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 200, NULL, NULL, "abc"},
	{"an empty body is an empty body", "POST /echo HTTP/1.1\r\n" HOST "\r\n", 200, "content-length", "0", ""},
	{"a parameter is decoded", "GET /who/%E4%BD%A0%20b HTTP/1.1\r\n" HOST "\r\n", 200, NULL, NULL, NULL},
	{"HTTP/1.0 closes", "GET /hello HTTP/1.0\r\n\r\n", 200, "connection", "close", "hello\n"},
	{"HTTP/1.0 stays when asked", "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, "connection", "keep-alive", NULL},
	{"close is answered", "GET /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", 200, "connection", "close", NULL},
	{"nothing there", "GET /nothing HTTP/1.1\r\n" HOST "\r\n", 404, "content-type", "application/problem+json; charset=utf-8", NULL},
	{"dots are not resolved", "GET /a/../hello HTTP/1.1\r\n" HOST "\r\n", 404, NULL, NULL, NULL},
	{"not with this method", "DELETE /echo HTTP/1.1\r\n" HOST "\r\n", 405, "allow", "POST, PUT, OPTIONS", NULL},
	{"TRACE is known and refused", "TRACE /hello HTTP/1.1\r\n" HOST "\r\n", 405, "allow", "GET, HEAD, OPTIONS", NULL},
	{"nobody knows this method", "BREW /hello HTTP/1.1\r\n" HOST "\r\n", 501, "connection", "close", NULL},
	{"OPTIONS tells the methods", "OPTIONS /echo HTTP/1.1\r\n" HOST "\r\n", 204, "allow", "POST, PUT, OPTIONS", ""},
	{"OPTIONS of the whole", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 204, "allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS", ""},
	{"OPTIONS of nothing", "OPTIONS /nothing HTTP/1.1\r\n" HOST "\r\n", 404, NULL, NULL, NULL},
	{"a preflight of a good origin", "OPTIONS /echo HTTP/1.1\r\n" HOST "Origin: https://good.example\r\n"
		"Access-Control-Request-Method: PUT\r\n\r\n", 204, "access-control-allow-methods", "POST, PUT, OPTIONS", ""},
	{"a preflight of a bad origin", "OPTIONS /echo HTTP/1.1\r\n" HOST "Origin: https://bad.example\r\n"
		"Access-Control-Request-Method: PUT\r\n\r\n", 204, "access-control-allow-methods", NULL, ""},
	{"a good origin may read", "GET /hello HTTP/1.1\r\n" HOST "Origin: https://good.example\r\n\r\n", 200,
		"access-control-allow-origin", "https://good.example", NULL},
	{"a bad origin may not", "GET /hello HTTP/1.1\r\n" HOST "Origin: https://bad.example\r\n\r\n", 200,
		"access-control-allow-origin", NULL, NULL},
	{"who are you", "GET /private HTTP/1.1\r\n" HOST "\r\n", 401, "www-authenticate", "Bearer", NULL},
	{"you may not", "GET /private HTTP/1.1\r\n" HOST "Authorization: Bearer write\r\n\r\n", 403, NULL, NULL, NULL},
	{"you may", "GET /private HTTP/1.1\r\n" HOST "Authorization: bearer read\r\n\r\n", 200, NULL, NULL, "hello\n"},
	{"a known length over the route's limit", "POST /small HTTP/1.1\r\n" HOST "Content-Length: 17\r\n\r\n", 413, "connection", "close", NULL},
	{"chunks over the route's limit", "POST /small HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n11\r\n", 413, "connection", "close", NULL},
	{"a body at the route's limit", "POST /small HTTP/1.1\r\n" HOST "Content-Length: 16\r\n\r\n0123456789abcdef", 200, NULL, NULL, "0123456789abcdef"},
	{"a compressed body", "POST /echo HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", 415, "connection", "close", NULL},
	{"a parameter given twice", "GET /meetings/1?a=1&a=2 HTTP/1.1\r\n" HOST "\r\n", 400, NULL, NULL, NULL},
	{"a parameter given twice where that is meant", "GET /who/1?a=1&a=2 HTTP/1.1\r\n" HOST "\r\n", 200, NULL, NULL, NULL},
	{"a header with a line end is refused", "GET /hostile HTTP/1.1\r\n" HOST "\r\n", 200, "set-cookie", NULL, NULL},
	{"a malformed head closes", "GET /hello HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n", 400, "connection", "close", NULL},
	{"an answer of the handler's own caching", "GET /tagged HTTP/1.1\r\n" HOST "\r\n", 200, "cache-control", "public, max-age=60", "{}"},
	{"the handler's tag is known", "GET /tagged HTTP/1.1\r\n" HOST "If-None-Match: W/\"v1\"\r\n\r\n", 304, "etag", "\"v1\"", ""},
	{"our tag is known, in a list", "GET /hello HTTP/1.1\r\n" HOST "If-None-Match: \"x\", W/\"WJG1tSLV3whtD_Cx\"\r\n\r\n", 304,
		"content-type", NULL, ""},
	{"any tag is known", "HEAD /hello HTTP/1.1\r\n" HOST "If-None-Match: *\r\n\r\n", 304, NULL, NULL, ""},
	{"another tag is not", "GET /hello HTTP/1.1\r\n" HOST "If-None-Match: \"x\"\r\n\r\n", 200, NULL, NULL, "hello\n"},
	{"later is as good as now", "GET /later HTTP/1.1\r\n" HOST "\r\n", 200, NULL, NULL, "/later"},
	{"no id of ours but a sane one", "GET /hello HTTP/1.1\r\n" HOST "X-Request-Id: abc_1\r\n\r\n", 200, "x-request-id", "abc_1", NULL},
};

START_TEST(requests_and_answers)
{
	struct answer a;
	struct slice value;

	start_usual();
	a = ask(port, cases[_i].sent);
	ck_assert_msg(a.status == cases[_i].status, "%s: %d", cases[_i].says, a.status);
	if (cases[_i].body != NULL)
		ck_assert_msg(slice_is(buf_slice(&a.body), cases[_i].body), "%s: %s", cases[_i].says, a.body.ptr);
	if (cases[_i].field != NULL) {
		bool there = answer_field(&a, cases[_i].field, &value);

		ck_assert_msg(there == (cases[_i].value != NULL), "%s: %s", cases[_i].says, a.head.ptr);
		if (there)
			ck_assert_msg(slice_is(value, cases[_i].value), "%s: %.*s", cases[_i].says, SLICE_ARG(value));
	}
	if (a.status >= 400) {
		ck_assert(answer_field(&a, "x-request-id", &value));
		ck_assert_ptr_nonnull(memmem(a.body.ptr, a.body.len, value.ptr, value.len));
	}
	answer_finish(&a);
	stop();
}
END_TEST

START_TEST(a_problem_names_every_place)
{
	struct answer a;

	start_usual();
	a = ask(port, "GET /problem HTTP/1.1\r\n" HOST "X-Request-Id: r1\r\n\r\n");
	ck_assert_int_eq(a.status, 400);
	ck_assert_str_eq(a.body.ptr,
	    "{\"type\":\"about:blank\",\"title\":\"Bad Request\",\"status\":400,\"detail\":\"Two fields are wrong.\","
	    "\"instance\":\"/problem\",\"code\":\"invalid\",\"requestId\":\"r1\",\"errors\":["
	    "{\"path\":\"hosts[0].name\",\"code\":\"too_long\",\"message\":\"at most 10 \\\"characters\\\"\"},"
	    "{\"path\":\"limit\",\"code\":\"not_a_number\",\"message\":\"expected a number\"}]}");
	answer_finish(&a);
	stop();
}
END_TEST

/* Ids and traces. */

START_TEST(ids_and_traces_are_taken_or_made)
{
	static const char parent[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
	static const char *const bad[] = {
		"00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
		"0af7651916cd43dd8448eb211c80319c",
	};
	char request[512];
	struct answer a;
	struct slice value;

	start_usual();
	snprintf(request, sizeof(request), "GET /who/1 HTTP/1.1\r\n" HOST "traceparent: %s\r\nX-Request-Id: a b\r\n\r\n", parent);
	a = ask(port, request);
	ck_assert_ptr_nonnull(strstr(a.body.ptr, "trace=0af7651916cd43dd8448eb211c80319c parent=b7ad6b7169203331 sampled=1"));
	ck_assert(answer_field(&a, "x-request-id", &value));
	ck_assert_uint_eq(value.len, 32);
	answer_finish(&a);
	for (size_t i = 0; i < COUNT(bad); i++) {
		snprintf(request, sizeof(request), "GET /who/1 HTTP/1.1\r\n" HOST "traceparent: %s\r\n\r\n", bad[i]);
		a = ask(port, request);
		ck_assert_msg(strstr(a.body.ptr, "parent= sampled=0") != NULL, "%s", bad[i]);
		ck_assert_ptr_null(strstr(a.body.ptr, "trace=0af7651916cd43dd8448eb211c80319c"));
		answer_finish(&a);
	}
	stop();
}
END_TEST

/* Several requests on one connection. */

START_TEST(pipelined_requests_are_answered_in_order)
{
	struct client c;
	static const char *const bodies[] = {"hello\n", "/later", "abc", "/later", "hello\n"};

	start_usual();
	c = client_connect(port);
	client_say(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n"
		       "GET /later HTTP/1.1\r\n" HOST "\r\n"
		       "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
		       "GET /later HTTP/1.1\r\n" HOST "\r\n"
		       "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	for (size_t i = 0; i < COUNT(bodies); i++) {
		struct answer a = client_answer(&c, true);

		ck_assert_int_eq(a.status, 200);
		ck_assert_str_eq(a.body.ptr, bodies[i]);
		answer_finish(&a);
	}
	client_close(&c);
	stop();
}
END_TEST

START_TEST(a_flood_of_pipelined_requests_is_answered_whole)
{
	enum { N = 900 };
	struct buf flood = BUF_INIT(1 << 20);
	struct client c;

	start_usual();
	c = client_connect(port);
	for (int i = 0; i < N; i++)
		buf_printf(&flood, "GET /later HTTP/1.1\r\n" HOST "X-Padding: %0180d\r\n\r\n", i);
	client_send(&c, buf_slice(&flood));
	shutdown(c.fd, SHUT_WR);
	for (int i = 0; i < N; i++) {
		struct answer a = client_answer(&c, true);

		ck_assert_str_eq(a.body.ptr, "/later");
		answer_finish(&a);
	}
	ck_assert(client_at_end(&c));
	buf_finish(&flood);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(any_split_gives_the_same_answers)
{
	static const char sent[] =
	    "POST /echo HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: u\r\n\r\n"
	    "GET /later HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";

	start_usual();
	for (size_t cut = 1; cut < sizeof(sent) - 1; cut++) {
		struct client c = client_connect(port);
		struct answer first, second;
		uint64_t before = stats().bytes_in;

		client_send(&c, slice_of(sent, cut));
		wait_until(stats().bytes_in == before + cut);
		client_send(&c, slice_of(sent + cut, sizeof(sent) - 1 - cut));
		first = client_answer(&c, true);
		second = client_answer(&c, true);
		ck_assert_slice_eq(buf_slice(&first.body), SLICE("abc"));
		ck_assert_slice_eq(buf_slice(&second.body), SLICE("/later"));
		ck_assert(client_at_end(&c));
		answer_finish(&first);
		answer_finish(&second);
		client_close(&c);
	}
	stop();
}
END_TEST

START_TEST(a_connection_serves_so_many_requests)
{
	struct http_options options = usual();
	struct client c;

	options.limits.requests_max = 3;
	start(&options);
	c = client_connect(port);
	for (int i = 1; i <= 3; i++) {
		struct answer a;

		client_say(&c, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
		a = client_answer(&c, true);
		ck_assert_int_eq(a.status, 200);
		ck_assert_int_eq(slice_is(answer_value(&a, "connection"), "close"), i == 3);
		answer_finish(&a);
	}
	ck_assert(client_at_end(&c));
	client_close(&c);
	stop();
}
END_TEST

START_TEST(a_refused_body_is_read_away_and_the_connection_lives_on)
{
	struct client c;
	struct answer a;

	start_usual();
	c = client_connect(port);
	client_say(&c, "POST /private HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhe");
	client_say(&c, "lloGET /hello HTTP/1.1\r\n" HOST "\r\n");
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 401);
	ck_assert(!answer_field(&a, "connection", &(struct slice){0}));
	answer_finish(&a);
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 200);
	answer_finish(&a);
	/* A large one is not worth reading. */
	client_say(&c, "POST /private HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 401);
	ck_assert_slice_eq(answer_value(&a, "connection"), SLICE("close"));
	answer_finish(&a);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(expect_is_answered_before_the_body)
{
	struct client c;
	struct answer a;

	start_usual();
	c = client_connect(port);
	client_say(&c, "POST /echo HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 3\r\n\r\n");
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 100);
	answer_finish(&a);
	client_say(&c, "abc");
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 200);
	ck_assert_str_eq(a.body.ptr, "abc");
	answer_finish(&a);
	client_say(&c, "POST /small HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 17\r\n\r\n");
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 413);
	answer_finish(&a);
	ck_assert(client_at_end(&c));
	client_close(&c);
	stop();
}
END_TEST

/* gzip. */

static struct buf inflate_all(struct slice zipped)
{
	struct buf out = BUF_INIT(1 << 20);
	z_stream z = {.next_in = (Bytef *)(uintptr_t)zipped.ptr, .avail_in = (uInt)zipped.len};
	char *to = buf_reserve(&out, 1 << 19);

	ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
	z.next_out = (Bytef *)to;
	z.avail_out = 1 << 19;
	ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	buf_commit(&out, z.total_out);
	inflateEnd(&z);
	return out;
}

static const struct {
	const char *says, *path, *fields;
	bool zipped, varies;
} gzip_cases[] = {
	{"asked for", "/lines", "Accept-Encoding: gzip\r\n", true, true},
	{"short enough for the loop", "/few", "Accept-Encoding: gzip\r\n", true, true},
	{"asked for among others", "/lines", "Accept-Encoding: br;q=1, GZIP;q=0.5\r\n", true, true},
	{"anything goes", "/lines", "Accept-Encoding: *\r\n", true, true},
	{"not asked for", "/lines", "", false, true},
	{"refused by weight", "/lines", "Accept-Encoding: gzip;q=0, *;q=1\r\n", false, true},
	{"refused by a long weight", "/lines", "Accept-Encoding: gzip;q=0.000\r\n", false, true},
	{"switched off", "/lines", "Accept-Encoding: gzip\r\nX-No-Compression: 1\r\n", false, true},
	{"too small to bother", "/hello", "Accept-Encoding: gzip\r\n", false, false},
	{"bytes that are no text", "/huge", "Accept-Encoding: gzip\r\n", false, false},
};

START_TEST(gzip_where_it_is_wanted)
{
	struct http_options options = usual();
	struct answer a;
	char request[256];

	options.cors = NULL;
	start(&options);
	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "%s\r\n", gzip_cases[_i].path, gzip_cases[_i].fields);
	a = ask(port, request);
	ck_assert_msg(slice_is(answer_value(&a, "content-encoding"), gzip_cases[_i].zipped ? "gzip" : ""), "%s", gzip_cases[_i].says);
	ck_assert_msg(slice_is(answer_value(&a, "vary"), gzip_cases[_i].varies ? "Accept-Encoding" : ""), "%s", gzip_cases[_i].says);
	if (gzip_cases[_i].zipped) {
		struct buf plain = inflate_all(buf_slice(&a.body));

		buf_finish(&a.body);
		a.body = plain;
	}
	if (strcmp(gzip_cases[_i].path, "/few") == 0)
		ck_assert_ptr_nonnull(strstr(a.body.ptr, "line 99 of many\n"));
	if (strcmp(gzip_cases[_i].path, "/lines") == 0) {
		ck_assert_ptr_nonnull(strstr(a.body.ptr, "line 4999 of many\n"));
		ck_assert(slice_starts_with(buf_slice(&a.body), SLICE("line 0 of many\nline 1 of many\n")));
	}
	answer_finish(&a);
	stop();
}
END_TEST

#define ZIPPED "GET /lines HTTP/1.1\r\n" HOST "Accept-Encoding: gzip\r\n\r\n"

/* A long answer is zipped on another thread; what the client sends meanwhile waits its turn. */
START_TEST(requests_behind_a_zipped_answer_wait)
{
	struct client c;

	start_usual();
	c = client_connect(port);
	for (int i = 0; i < 3; i++)
		client_say(&c, ZIPPED "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	for (int i = 0; i < 6; i++) {
		struct answer a = client_answer(&c, true);

		ck_assert_int_eq(a.status, 200);
		ck_assert(slice_is(answer_value(&a, "content-encoding"), i % 2 == 0 ? "gzip" : ""));
		answer_finish(&a);
	}
	client_close(&c);
	stop();
}
END_TEST

/* Whenever the client goes, the exchange is freed once (the sanitizers look on), and the server ends. */
START_TEST(a_client_may_leave_while_its_answer_is_zipped)
{
	start_usual();
	for (int i = 0; i < 20; i++) {
		struct client c = client_connect(port);

		client_say(&c, ZIPPED ZIPPED);
		if (i % 2 == 0)
			let_loop_catch_up();
		client_close(&c);
	}
	wait_until(stats().connections_open == 0);
	for (int i = 0; i < 5; i++) {
		struct client c = client_connect(port);

		client_say(&c, ZIPPED);
		if (i == 4)
			http_server_stop(server, 0);
		client_close(&c);
	}
	stop();
}
END_TEST

START_TEST(a_large_answer_arrives_whole)
{
	struct answer a;

	start_usual();
	a = ask(port, "GET /huge HTTP/1.1\r\n" HOST "\r\n");
	ck_assert_uint_eq(a.body.len, HUGE_LEN);
	ck_assert_int_eq(a.body.ptr[HUGE_LEN - 1], 'x');
	answer_finish(&a);
	stop();
}
END_TEST

/* Rates and addresses. */

START_TEST(rates_are_told_and_kept)
{
	static const char get[] = "GET /meetings/1 HTTP/1.1\r\n" HOST "\r\n";
	struct http_options options = usual();
	struct answer a;

	options.rate_general = (struct http_rate){5, 900};
	options.rate_meetings = (struct http_rate){2, 60};
	start(&options);
	a = ask(port, get);
	ck_assert_int_eq(a.status, 200);
	ck_assert_slice_eq(answer_value(&a, "ratelimit"), SLICE("\"meetings\";r=1;t=60"));
	ck_assert_slice_eq(answer_value(&a, "ratelimit-policy"), SLICE("\"general\";q=5;w=900, \"meetings\";q=2;w=60"));
	ck_assert_slice_eq(answer_value(&a, "x-ratelimit-limit"), SLICE("2"));
	ck_assert_slice_eq(answer_value(&a, "x-ratelimit-remaining"), SLICE("1"));
	ck_assert_slice_eq(answer_value(&a, "x-ratelimit-reset"), SLICE("1795477215"));
	answer_finish(&a);
	ck_assert_int_eq(ask_status(port, get), 200);
	clock_manual_advance(&hands, 10000000);
	a = ask(port, get);
	ck_assert_int_eq(a.status, 429);
	ck_assert_slice_eq(answer_value(&a, "retry-after"), SLICE("50"));
	ck_assert_slice_eq(answer_value(&a, "x-ratelimit-remaining"), SLICE("0"));
	answer_finish(&a);
	/* Elsewhere the general quota still has two. */
	ck_assert_int_eq(ask_status(port, "GET /who/1 HTTP/1.1\r\n" HOST "\r\n"), 200);
	ck_assert_int_eq(ask_status(port, "GET /nothing HTTP/1.1\r\n" HOST "\r\n"), 404);
	ck_assert_int_eq(ask_status(port, "GET /who/1 HTTP/1.1\r\n" HOST "\r\n"), 429);
	ck_assert_int_eq(ask_status(port, "GET /hello HTTP/1.1\r\n" HOST "\r\n"), 200);
	clock_manual_advance(&hands, 891000000);
	ck_assert_int_eq(ask_status(port, get), 200);
	ck_assert_uint_eq(stats().refused_by_rate, 2);
	stop();
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
	struct http_options options = usual();
	char request[512];
	struct answer a;

	options.trusted_proxies = proxies[_i].trusted;
	start(&options);
	snprintf(request, sizeof(request), "GET /who/1 HTTP/1.1\r\n" HOST "%s\r\n", proxies[_i].fields);
	a = ask(port, request);
	ck_assert_msg(strstr(a.body.ptr, proxies[_i].expected) != NULL, "%s: %s", proxies[_i].says, a.body.ptr);
	answer_finish(&a);
	stop();
}
END_TEST

START_TEST(an_address_has_so_many_connections)
{
	struct http_options options = usual();
	struct client first, second, third;

	options.limits.limit_loopback = true;
	options.limits.address_connections_max = 2;
	start(&options);
	first = client_connect(port);
	second = client_connect(port);
	wait_until(stats().connections_total == 2);
	third = client_connect(port);
	ck_assert(client_at_end(&third));
	ck_assert_uint_eq(stats().connections_refused, 1);
	client_close(&first);
	wait_until(stats().connections_open == 1);
	client_close(&third);
	third = client_connect(port);
	client_say(&third, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	client_need(&third, 1);
	client_close(&second);
	client_close(&third);
	stop();
}
END_TEST

START_TEST(an_address_makes_so_many_new_connections_a_second)
{
	struct http_options options = usual();
	struct client c;

	options.limits.limit_loopback = true;
	options.limits.address_new_per_s_max = 3;
	start(&options);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(ask_status(port, "GET /hello HTTP/1.1\r\n" HOST "\r\n"), 200);
	c = client_connect(port);
	ck_assert(client_at_end(&c));
	client_close(&c);
	clock_manual_advance(&hands, 1000000);
	ck_assert_int_eq(ask_status(port, "GET /hello HTTP/1.1\r\n" HOST "\r\n"), 200);
	stop();
}
END_TEST

START_TEST(the_newest_idle_connection_makes_room)
{
	struct http_options options = usual();
	struct client old, young, next;

	options.limits.connections_max = 2;
	start(&options);
	old = client_connect(port);
	wait_until(stats().connections_total == 1);
	young = client_connect(port);
	wait_until(stats().connections_total == 2);
	next = client_connect(port);
	client_say(&next, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	client_need(&next, 1);
	ck_assert(client_at_end(&young));
	client_say(&old, "GET /hello HTTP/1.1\r\n" HOST "\r\n");
	client_need(&old, 1);
	client_close(&old);
	client_close(&young);
	client_close(&next);
	stop();
}
END_TEST

START_TEST(overload_turns_away_all_but_the_essential)
{
	struct answer a;
	uint64_t seconds;

	start_usual();
	overloaded = true;
	/* The hook is asked at the next tick of the loop's own timer. */
	wait_until(ask_status(port, "GET /hello HTTP/1.1\r\n" HOST "\r\n") == 503);
	a = ask(port, "GET /private HTTP/1.1\r\n" HOST "Authorization: Bearer read\r\n\r\n");
	ck_assert_int_eq(a.status, 503);
	ck_assert_int_eq(slice_to_u64(answer_value(&a, "retry-after"), &seconds), 0);
	ck_assert(seconds >= 1 && seconds <= 5);
	answer_finish(&a);
	ck_assert_int_eq(ask_status(port, "GET /livez HTTP/1.1\r\n" HOST "\r\n"), 200);
	ck_assert_uint_ge(stats().refused_by_load, 2);
	overloaded = false;
	wait_until(ask_status(port, "GET /hello HTTP/1.1\r\n" HOST "\r\n") == 200);
	stop();
}
END_TEST

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
	struct http_options options = usual();

	options.lag_clock = &tick_clock;
	tick_us = lags[_i].tick_us;
	start(&options);
	/* Two late ticks in a row it takes, and the third has certainly seen both. */
	if (lags[_i].stranger == 503)
		wait_until(ask_status(port, STRANGER) == 503);
	else
		wait_until(stats().lag_us_max == tick_us - 100000);
	ck_assert_int_eq(ask_status(port, STRANGER), lags[_i].stranger);
	ck_assert_int_eq(ask_status(port, SIGNED_IN), lags[_i].signed_in);
	ck_assert_int_eq(ask_status(port, "GET /livez HTTP/1.1\r\n" HOST "\r\n"), 200);
	ck_assert_int_eq(ask_status(port, "POST /hook HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nhi"), 200);
	ck_assert_int_eq(stats().lag_us_max, tick_us - 100000);
	ck_assert(lags[_i].stranger == 503 ? stats().refused_by_load >= 2 : stats().refused_by_load == 0);
	tick_us = 100000;
	wait_until(ask_status(port, STRANGER) == 200);
	stop();
}
END_TEST

/* Slow and rude clients. */

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

	start_usual();
	c = client_connect(port);
	wait_until(stats().connections_total == 1);
	client_say(&c, slow[_i].sent);
	wait_until(stats().bytes_in == len);
	let_loop_catch_up();
	if (slow[_i].status == 0) {
		a = client_answer(&c, true);
		ck_assert_int_eq(a.status, 200);
		answer_finish(&a);
	}
	move_clock_ms(slow[_i].early_ms);
	let_loop_catch_up();
	ck_assert_int_eq(recv(c.fd, (char[1]){0}, 1, MSG_DONTWAIT), -1);
	move_clock_ms(slow[_i].late_ms);
	if (slow[_i].status != 0) {
		a = client_answer(&c, true);
		ck_assert_msg(a.status == slow[_i].status, "%s: %d", slow[_i].says, a.status);
		ck_assert_slice_eq(answer_value(&a, "connection"), SLICE("close"));
		answer_finish(&a);
		ck_assert_uint_eq(stats().timeouts, 1);
	}
	ck_assert(client_at_end(&c));
	client_close(&c);
	stop();
}
END_TEST

START_TEST(a_byte_now_and_then_does_not_stretch_the_head)
{
	static const char head[] = "GET /hello HTTP/1.1\r\n";
	struct client c;
	struct answer a;

	start_usual();
	c = client_connect(port);
	for (size_t i = 0; i < 10; i++) {
		client_send(&c, slice_of(head + i, 1));
		wait_until(stats().bytes_in >= i + 1);
		let_loop_catch_up();
		move_clock_ms(1100);
	}
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 408);
	answer_finish(&a);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(a_body_just_fast_enough_still_has_an_end)
{
	struct client c;
	struct answer a;
	char piece[2048];

	start_usual();
	memset(piece, 'x', sizeof(piece));
	c = client_connect(port);
	client_say(&c, "POST /echo HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
	for (int s = 0; s < 30; s++) {
		uint64_t before = stats().bytes_in;

		ck_assert_int_eq(recv(c.fd, (char[1]){0}, 1, MSG_DONTWAIT), -1);
		client_send(&c, slice_of(piece, sizeof(piece)));
		wait_until(stats().bytes_in >= before + sizeof(piece));
		let_loop_catch_up();
		move_clock_ms(1000);
	}
	move_clock_ms(1000);
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 408);
	answer_finish(&a);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(a_reader_that_does_not_read_is_cut_off)
{
	struct client c;

	start_usual();
	c = client_connect(port);
	client_say(&c, "GET /huge HTTP/1.1\r\n" HOST "\r\n");
	wait_until(stats().bytes_out > 0);
	/* Two windows: in the first the socket may still take some. */
	for (int i = 0; i < 25 && stats().timeouts == 0; i++) {
		move_clock_ms(1000);
		let_loop_catch_up();
	}
	wait_until(stats().timeouts == 1);
	while (client_read(&c))
		;
	ck_assert_uint_lt(c.in.len, HUGE_LEN);
	client_close(&c);
	stop();
}
END_TEST

START_TEST(a_client_that_leaves_does_not_hurt)
{
	struct client c;
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	start_usual();
	c = client_connect(port);
	client_say(&c, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_until(stats().requests_in_flight == 1);
	setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	client_close(&c); /* with a reset */
	wait_until(n_closed == 1);
	ck_assert_uint_eq(stats().requests_in_flight, 1);
	ck_assert_int_eq(ask_status(port, "GET /release HTTP/1.1\r\n" HOST "\r\n"), 200);
	wait_until(stats().requests_in_flight == 0);
	ck_assert_uint_eq(n_closed, 1);
	stop();
}
END_TEST

START_TEST(clients_that_leave_while_they_are_written_to)
{
	start_usual();
	for (int i = 0; i < 60; i++) {
		struct client c = client_connect(port);
		struct linger now = {.l_onoff = 1, .l_linger = 0};

		client_say(&c, "GET /lines HTTP/1.1\r\n" HOST "\r\nGET /huge HTTP/1.1\r\n" HOST "\r\n"
			       "GET /later HTTP/1.1\r\n" HOST "\r\nGET /huge HTTP/1.1\r\n" HOST "\r\n");
		if (i % 3 == 0)
			client_need(&c, 1000);
		if (i % 2 == 0)
			setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
		client_close(&c);
	}
	let_loop_catch_up();
	wait_until(stats().connections_open == 0);
	ck_assert_uint_eq(stats().requests_in_flight, 0);
	stop();
}
END_TEST

START_TEST(half_a_hang_up_still_gets_its_answer)
{
	struct client c;
	struct answer a;

	start_usual();
	c = client_connect(port);
	client_say(&c, "GET /later HTTP/1.1\r\n" HOST "\r\n");
	shutdown(c.fd, SHUT_WR);
	a = client_answer(&c, true);
	ck_assert_int_eq(a.status, 200);
	answer_finish(&a);
	ck_assert(client_at_end(&c));
	client_close(&c);
	/* Half a request is nothing to answer. */
	c = client_connect(port);
	client_say(&c, "GET /later HT");
	shutdown(c.fd, SHUT_WR);
	ck_assert(client_at_end(&c));
	client_close(&c);
	stop();
}
END_TEST

/* Start and stop. */

START_TEST(what_is_in_flight_is_finished_before_the_end)
{
	struct client idle, busy, other;
	struct answer a;

	start_usual();
	idle = client_connect(port);
	busy = client_connect(port);
	other = client_connect(port);
	client_say(&busy, "GET /hold HTTP/1.1\r\n" HOST "\r\n");
	wait_until(stats().requests_in_flight == 1);
	client_say(&other, "GET /rele");
	wait_until(stats().bytes_in == strlen("GET /hold HTTP/1.1\r\n" HOST "\r\nGET /rele"));
	http_server_stop(server, 60000);
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
	stop();
}
END_TEST

START_TEST(a_taken_port_is_told)
{
	struct http_options options = usual();
	struct http_server *second = NULL;
	char address[64];
	const char *detail = NULL;

	start(&options);
	snprintf(address, sizeof(address), "%s", http_server_address(server));
	options.listen = address;
	ck_assert_int_eq(http_server_start(&second, &options, &detail), ERR_TAKEN);
	ck_assert_ptr_null(second);
	ck_assert_str_eq(detail, "the port is in use");
	stop();
}
END_TEST

START_TEST(a_wrong_option_is_told)
{
	static const struct route no_handler[] = {{.method = HTTP_GET, .path = "/x"}, {0}};
	static const struct route twice[] = {
		{.method = HTTP_GET, .path = "/x/{a}", .handler = hello}, {.method = HTTP_GET, .path = "/x/{b}", .handler = hello}, {0}};
	const struct route *const wrong[][2] = {{no_handler, NULL}, {twice, NULL}};
	struct http_options options = usual();
	struct http_server *none = NULL;

	for (size_t i = 0; i < 2; i++) {
		options.routes = wrong[i];
		ck_assert_int_eq(http_server_start(&none, &options, NULL), ERR_INVALID);
	}
	options = usual();
	options.listen = "nowhere:80";
	ck_assert_int_eq(http_server_start(&none, &options, NULL), ERR_INVALID);
	options = usual();
	options.trusted_proxies = "10.0.0.0/33";
	ck_assert_int_eq(http_server_start(&none, &options, NULL), ERR_INVALID);
	options = usual();
	options.tls_cert = "/nowhere.pem";
	options.tls_key = "/nowhere.key";
	ck_assert_int_eq(http_server_start(&none, &options, NULL), ERR_CONFIG);
	ck_assert_ptr_null(none);
}
END_TEST

/* Several loops and threads, for the sanitizers to watch. */

static void *ask_often(void *arg)
{
	struct client c = client_connect(port);
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
	struct http_options options = usual();
	pthread_t threads[4];
	unsigned n_good[4] = {0}, sum = 0;

	options.loops = 3;
	options.rate_meetings = (struct http_rate){300, 60};
	start(&options);
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_create(&threads[i], NULL, ask_often, &n_good[i]);
	for (size_t i = 0; i < COUNT(threads); i++) {
		pthread_join(threads[i], NULL);
		sum += n_good[i];
	}
	/* 400 of /later, and of the 400 meetings as many as the quota. */
	ck_assert_uint_eq(sum, 700);
	ck_assert_uint_eq(stats().requests_total, 800);
	wait_until(n_outcomes == 800);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_server");
	TCase *tc = tcase_create("server");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, an_answer_is_exactly_this);
	tcase_add_loop_test(tc, requests_and_answers, 0, (int)COUNT(cases));
	tcase_add_test(tc, a_problem_names_every_place);
	tcase_add_test(tc, ids_and_traces_are_taken_or_made);
	tcase_add_test(tc, pipelined_requests_are_answered_in_order);
	tcase_add_test(tc, a_flood_of_pipelined_requests_is_answered_whole);
	tcase_add_test(tc, any_split_gives_the_same_answers);
	tcase_add_test(tc, a_connection_serves_so_many_requests);
	tcase_add_test(tc, a_refused_body_is_read_away_and_the_connection_lives_on);
	tcase_add_test(tc, expect_is_answered_before_the_body);
	tcase_add_loop_test(tc, gzip_where_it_is_wanted, 0, (int)COUNT(gzip_cases));
	tcase_add_test(tc, requests_behind_a_zipped_answer_wait);
	tcase_add_test(tc, a_client_may_leave_while_its_answer_is_zipped);
	tcase_add_test(tc, a_large_answer_arrives_whole);
	tcase_add_test(tc, rates_are_told_and_kept);
	tcase_add_loop_test(tc, the_client_behind_a_proxy, 0, (int)COUNT(proxies));
	tcase_add_test(tc, an_address_has_so_many_connections);
	tcase_add_test(tc, an_address_makes_so_many_new_connections_a_second);
	tcase_add_test(tc, the_newest_idle_connection_makes_room);
	tcase_add_test(tc, overload_turns_away_all_but_the_essential);
	tcase_add_loop_test(tc, a_lagging_loop_sheds_load, 0, sizeof(lags) / sizeof(lags[0]));
	tcase_add_loop_test(tc, silence_ends_by_the_clock, 0, (int)COUNT(slow));
	tcase_add_test(tc, a_byte_now_and_then_does_not_stretch_the_head);
	tcase_add_test(tc, a_body_just_fast_enough_still_has_an_end);
	tcase_add_test(tc, a_reader_that_does_not_read_is_cut_off);
	tcase_add_test(tc, a_client_that_leaves_does_not_hurt);
	tcase_add_test(tc, clients_that_leave_while_they_are_written_to);
	tcase_add_test(tc, half_a_hang_up_still_gets_its_answer);
	tcase_add_test(tc, what_is_in_flight_is_finished_before_the_end);
	tcase_add_test(tc, a_taken_port_is_told);
	tcase_add_test(tc, a_wrong_option_is_told);
	tcase_add_test(tc, several_loops_serve_several_threads);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
