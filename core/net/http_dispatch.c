/*
 * From a whole head to a handler, or to a refusal: target, route, load, rate,
 * permission, body size, in this order. A refusal of a request whose body is
 * still to come waits until a small body has been read away, so that the
 * connection lives on; otherwise it is answered at once and closes.
 */
#include "net/http_internal.h"

#include "base/codec.h"
#include "base/planted.h"

#define LAG_WORSE_US INT64_C(1000000)

static struct slice field(const struct exchange *x, const char *name)
{
	struct slice value;

	http_request_field(&x->rq, name, &value);
	return value;
}

/* Who is asking, under which id and in which trace. Also for heads that were refused. */
static void identify(struct exchange *x)
{
	struct http_loop *l = x->conn->loop;
	struct http_server *server = l->server;
	struct http_request *rq = &x->rq;
	bool trusted = server->trusted.n > 0 && address_ranges_hold(&server->trusted, &x->conn->peer);
	struct slice id;
	uint8_t random[16];

	rq->received_at_us = clock_wall_us(server->options.clock);
	rq->secure = x->conn->tls != NULL;
	x->client = x->conn->peer;
	if (server->options.bare)
		return;
	if (trusted) {
		x->client = address_of_client(&server->trusted, &x->client, field(x, "x-forwarded-for"));
		rq->secure = rq->secure || slice_eq_nocase(field(x, "x-forwarded-proto"), SLICE("https"));
	}
	address_format(x->address_text, &x->client);
	rq->address = slice_str(x->address_text);
	id = field(x, "x-request-id");
	if (request_id_sane(id)) {
		rq->request_id = id;
	} else {
		loop_random(l, random, sizeof(random));
		hex_encode(x->id_text, random, sizeof(random));
		rq->request_id = slice_of(x->id_text, 32);
	}
	trace_take(rq, l, field(x, "traceparent"));
}

static void fill_request(struct exchange *x)
{
	const struct http_head *head = &x->parser.head;
	struct http_request *rq = &x->rq;

	rq->method = head->verb;
	rq->head = head->is_head;
	rq->http_1_0 = head->http_1_0;
	rq->target = head->target;
	rq->host = head->host;
	rq->fields = x->parser.fields;
	rq->n_fields = head->n_fields;
}

static bool body_to_come(const struct exchange *x)
{
	return x->parser.stage == HTTP_STAGE_BODY;
}

/* Refuse, now or once a small body has been read away. */
static void refuse(struct exchange *x, int status, const char *code, const char *detail)
{
	const struct http_head *head = &x->parser.head;

	if (body_to_come(x) && !head->chunked && !head->expect_continue && head->content_length <= DISCARD_MAX) {
		x->refusal_status = status;
		x->refusal_code = code;
		x->refusal_detail = detail;
		http_parser_discard_body(&x->parser, DISCARD_MAX);
		return;
	}
	if (body_to_come(x))
		x->conn->close_after = true;
	http_problem(&x->rq, status, code, detail, NULL, 0);
}

static void refuse_and_close(struct exchange *x, int status, const char *code, const char *detail)
{
	x->conn->close_after = true;
	http_problem(&x->rq, status, code, detail, NULL, 0);
}

/* What brings a body to an essential route is a webhook: it waits for the log, and many of them wait long. */
static bool is_webhook(const struct exchange *x)
{
	return x->match.route != NULL && (x->match.route->flags & ROUTE_ESSENTIAL) != 0 && x->rq.method != HTTP_GET;
}

static bool waits_too_long(struct http_loop *l)
{
	int64_t limit_ms = PLANTED(late_500) ? 3 : l->server->limits.wait_ms_max;

	return admission_refuses(&l->admission, loop_work_us(), limit_ms * 1000);
}

/* True when shed: the stranger's calls first, then everybody's; webhooks only when they would wait too long, probes never. */
static bool shed(struct exchange *x)
{
	struct http_loop *l = x->conn->loop;
	const struct route *route = x->match.route;
	bool worst = l->overloaded || (l->n_lagging >= 2 && l->lag_us >= LAG_WORSE_US);
	bool essential = route != NULL && (route->flags & ROUTE_ESSENTIAL) != 0;

	if (essential && !(is_webhook(x) && waits_too_long(l)))
		return false;
	if (!essential && l->n_lagging < 2 && !worst)
		return false;
	if (!essential && !worst && (field(x, "authorization").len > 0 || field(x, "x-api-key").len > 0))
		return false;
	COUNT(l->n_by_load, 1);
	/* Refusing costs a fifth of a webhook: who hammers on is not read before he was told to come back. */
	x->cool_after = essential;
	refuse(x, PLANTED(late_500) ? 500 : 503, "overloaded", "The server is overloaded; try again in a few seconds.");
	return true;
}

static bool over_rate(struct exchange *x)
{
	struct http_loop *l = x->conn->loop;
	const struct http_options *o = &l->server->options;
	const struct http_rate *const rates[PEERS_RATES] = {&o->rate_general, &o->rate_meetings};
	enum route_rate rate = x->match.route != NULL ? x->match.route->rate : RATE_GENERAL;
	unsigned n = rate == RATE_EXEMPT ? 0 : rate == RATE_MEETINGS ? 2 : 1;
	bool exceeded = false;

	if (o->bare)
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (rates[i]->quota == 0)
			continue;
		x->rates[i] = peers_take(l->server->peers, &x->client, i, rates[i]->quota, rates[i]->window_s,
		    x->rq.started_us);
		exceeded = exceeded || x->rates[i].exceeded;
	}
	if (!exceeded)
		return false;
	COUNT(l->n_by_rate, 1);
	refuse(x, 429, "too_many_requests", "Too many requests from this address; wait as Retry-After tells.");
	return true;
}

static const char *code_of_refusal(int status)
{
	switch (status) {
	case 401:
		return "unauthorized";
	case 403:
		return "forbidden";
	case 429:
		return "too_many_requests";
	default:
		return "unavailable";
	}
}

static bool not_permitted(struct exchange *x)
{
	const struct http_options *o = &x->conn->loop->server->options;
	const char *detail = NULL;
	int status;

	if ((x->match.route->flags & ROUTE_PUBLIC) != 0 || o->authorize == NULL)
		return false;
	status = o->authorize(o->app, &x->rq, &detail);
	x->authorize_later = status == HTTP_AUTHORIZE_LATER;
	if (status == 0 || x->authorize_later)
		return false;
	if (status == 401)
		http_header(&x->rq, "WWW-Authenticate", SLICE("Bearer"));
	refuse(x, status, code_of_refusal(status), detail);
	return true;
}

void http_authorized(struct http_request *rq, int status, const char *detail)
{
	if (status == 0)
		rq->route->handler(rq);
	else
		http_problem(rq, status, code_of_refusal(status), detail, NULL, 0);
}

static bool not_routed(struct exchange *x)
{
	if (x->match.route != NULL)
		return false;
	if (x->match.methods == 0) {
		refuse(x, 404, "not_found", "There is nothing at this path.");
		return true;
	}
	http_header(&x->rq, "Allow", router_allow(x->match.methods, &x->arena));
	refuse(x, 405, "method_not_allowed", "This path does not take that method; see Allow.");
	return true;
}

static bool query_repeats(struct exchange *x)
{
	struct slice name;

	if ((x->match.route->flags & ROUTE_REPEATS) != 0)
		return false;
	name = http_query_repeated(x->rq.query, x->rq.n_query);
	if (name.ptr == NULL)
		return false;
	refuse(x, 400, "repeated_parameter", arena_printf(&x->arena, "The query parameter \"%.*s\" is given twice.",
	    SLICE_ARG(name)));
	return true;
}

/* Sets how much body is kept; true when it is known to be too big already. */
static bool body_too_big(struct exchange *x)
{
	const struct route *route = x->match.route;
	size_t max = route->body_max != 0 ? route->body_max : HTTP_BODY_MAX;

	if (!body_to_come(x))
		return false;
	if ((route->flags & ROUTE_DISCARD_BODY) != 0)
		http_parser_discard_body(&x->parser, max);
	else
		http_parser_keep_body(&x->parser, max);
	if (body_to_come(x))
		return false;
	refuse_and_close(x, 413, x->parser.code, "The request body is larger than this path takes.");
	return true;
}

static void allow_origin(struct exchange *x)
{
	const struct http_options *o = &x->conn->loop->server->options;
	struct slice origin;

	if (o->cors == NULL || !http_request_field(&x->rq, "origin", &origin))
		return;
	if (o->cors(o->app, origin, &x->cors_credentials))
		x->cors_origin = origin;
}

void dispatch_head(struct conn *c)
{
	struct exchange *x = c->x;
	const struct http_head *head = &x->parser.head;
	struct http_target target;
	const char *code;
	int status;

	COUNT(c->loop->n_requests, 1);
	fill_request(x);
	identify(x);
	if (!head->keep_alive || c->n_requests >= c->loop->server->limits.requests_max)
		c->close_after = true;
	status = http_target_parse(&target, head->target, head->host, head->is_options, &x->arena, &code);
	if (status != 0) {
		COUNT(c->loop->n_malformed, status == 400);
		refuse_and_close(x, status, code, status == 400 ? "The request target is malformed." : "There is no memory for it now.");
		return;
	}
	x->rq.path = target.path;
	x->rq.query_text = target.query_text;
	x->rq.query = target.query;
	x->rq.n_query = target.n_query;
	router_find(&c->loop->server->router, head->verb, target.path, &x->match);
	x->rq.route = x->match.route;
	x->rq.params = x->match.params;
	x->rq.n_params = x->match.n_params;
	allow_origin(x);
	if (shed(x) || over_rate(x))
		return;
	if (head->is_options && (x->match.methods != 0 || slice_is(target.path, "*"))) {
		if (body_to_come(x))
			c->close_after = true;
		answer_options(x);
		return;
	}
	if (not_routed(x) || not_permitted(x) || query_repeats(x) || body_too_big(x))
		return;
	if (head->expect_continue && body_to_come(x)) {
		conn_put(c, SLICE("HTTP/1.1 100 Continue\r\n\r\n"));
		conn_pump(c);
	}
}

void dispatch_request(struct conn *c)
{
	struct exchange *x = c->x;

	conn_move(c, CONN_HANDLING);
	if (x->refusal_status != 0) {
		http_problem(&x->rq, x->refusal_status, x->refusal_code, x->refusal_detail, NULL, 0);
		return;
	}
	x->rq.body = x->parser.body.len > 0 ? buf_slice(&x->parser.body) : SLICE("");
	x->handed = true;
	if (is_webhook(x))
		admission_enter(&c->loop->admission, &x->wait, loop_work_us());
	COUNT(c->loop->n_in_flight, 1);
	if (x->authorize_later)
		c->loop->server->options.authorize_later(c->loop->server->options.app, &x->rq);
	else
		x->match.route->handler(&x->rq);
}

static const char *refusal_text(int status)
{
	switch (status) {
	case 408:
		return "The request did not arrive in time.";
	case 413:
		return "The request body is larger than this path takes.";
	case 414:
		return "The request target is too long.";
	case 415:
		return "Request bodies are taken as they are, without content coding.";
	case 417:
		return "Only the expectation 100-continue is known.";
	case 431:
		return "The request head is too large.";
	case 501:
		return "This method is not known here.";
	case 503:
		return "The server is out of memory.";
	default:
		return "The request is malformed.";
	}
}

/* For the counts: which route would have been asked. Nothing else of the head is used. */
static void guess_route(struct exchange *x)
{
	struct http_target target;
	struct slice text;
	const char *code;

	if (!http_parser_target(&x->parser, &text) ||
	    http_target_parse(&target, text, SLICE(""), false, &x->arena, &code) != 0)
		return;
	router_find(&x->conn->loop->server->router, x->parser.head.verb, target.path, &x->match);
	x->rq.route = x->match.route;
}

void dispatch_refused(struct conn *c, int status, const char *code)
{
	struct exchange *x = c->x;

	if (status != 408 && status != 503)
		COUNT(c->loop->n_malformed, 1);
	if (c->state == CONN_HEAD) {
		/* What the head said so far is not to be trusted, but for who it came from. */
		x->rq.head = x->parser.head.is_head;
		x->rq.method = x->parser.head.verb;
		identify(x);
		guess_route(x);
	}
	refuse_and_close(x, status, code, refusal_text(status));
}
