/* See server_rig.h. */
#include "core/net/server_rig.h"

#include <uv.h>

#include "base/err.h"
#include "base/rng.h"

#define START_WALL_US INT64_C(1795477155000000) /* Mon, 23 Nov 2026 23:39:15 GMT */

struct rig rig;
static struct clock_manual still; /* by which no loop is ever late, however busy the machine is */
static struct rng_test random_bytes;

/* The handlers. */

void rig_hello(struct http_request *rq)
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

static void huge(struct http_request *rq)
{
	struct buf out = BUF_INIT(RIG_HUGE_LEN);
	char *to = buf_reserve(&out, RIG_HUGE_LEN);

	if (to != NULL) {
		memset(to, 'x', RIG_HUGE_LEN);
		buf_commit(&out, RIG_HUGE_LEN);
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

/* They wait for /release on the same (only) loop. */
static struct http_request *held[32];
static size_t n_held;

static void on_held_closed(struct http_request *rq)
{
	(void)rq;
	rig.n_closed++;
}

static void hold(struct http_request *rq)
{
	ck_assert_uint_lt(n_held, COUNT(held));
	held[n_held++] = rq;
	rq->on_closed = on_held_closed;
}

static void release(struct http_request *rq)
{
	http_respond_slice(rq, 200, HTTP_TEXT, SLICE("released"));
	while (n_held > 0)
		http_respond_slice(held[--n_held], 200, HTTP_TEXT, SLICE("held"));
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
	{.method = HTTP_GET, .path = "/hello", .handler = rig_hello, .flags = ROUTE_PUBLIC, .rate = RATE_EXEMPT},
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
	{.method = HTTP_GET, .path = "/private", .handler = rig_hello, .permission = "read", .rate = RATE_EXEMPT},
	{.method = HTTP_POST, .path = "/private", .handler = echo, .permission = "write", .rate = RATE_EXEMPT},
	{.method = HTTP_POST, .path = "/hook", .handler = echo, .flags = ROUTE_PUBLIC | ROUTE_ESSENTIAL, .rate = RATE_EXEMPT},
	{.method = HTTP_POST, .path = "/hook/hold", .handler = hold, .flags = ROUTE_PUBLIC | ROUTE_ESSENTIAL, .rate = RATE_EXEMPT},
	{.method = HTTP_GET, .path = "/livez", .handler = rig_hello, .flags = ROUTE_PUBLIC | ROUTE_ESSENTIAL, .rate = RATE_EXEMPT},
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
	return rig.overloaded;
}

static void on_answered(void *app, const struct http_request *rq, const struct http_outcome *outcome)
{
	(void)app;
	(void)rq;
	(void)outcome;
	rig.n_outcomes++;
}

struct http_options rig_options(void)
{
	clock_manual_init(&rig.clock, START_WALL_US);
	rng_test_init(&random_bytes, 7);
	rig.n_outcomes = rig.n_closed = 0;
	n_held = 0;
	rig.overloaded = false;
	clock_manual_init(&still, 1);
	return (struct http_options){.listen = "127.0.0.1:0", .loops = 1, .routes = tables, .clock = &rig.clock.clock,
	    .rng = &random_bytes.rng, .lag_clock = &still.clock, .authorize = authorize, .cors = cors, .overloaded = is_overloaded,
	    .on_answered = on_answered};
}

void rig_start(const struct http_options *options)
{
	const char *detail = NULL;
	int rc = http_server_start(&rig.server, options, &detail);

	ck_assert_msg(rc == 0, "%s: %s", err_name(rc), detail == NULL ? "" : detail);
	rig.port = http_server_port(rig.server);
}

void rig_start_usual(void)
{
	struct http_options options = rig_options();

	rig_start(&options);
}

void rig_stop(void)
{
	http_server_close(rig.server);
	rig.server = NULL;
}

struct http_stats rig_stats(void)
{
	struct http_stats s;

	http_server_stats(rig.server, &s);
	return s;
}

void rig_let_loop_catch_up(void)
{
	ck_assert_int_eq(ask_status(rig.port, "GET /hello HTTP/1.1\r\n" HOST "\r\n"), 200);
}

void rig_move_clock_ms(int64_t ms)
{
	clock_manual_advance(&rig.clock, ms * 1000);
	http_server_tick(rig.server);
}
