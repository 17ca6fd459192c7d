/*
 * Answers: the status line and headers of every answer, entity tags, gzip.
 * One pass into the connection's buffer, no allocation for a
 * small answer.
 */
#include "net/http_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/planted.h"
#include "crypto/crypto.h"

#define GZIP_MIN 1024
#define GZIP_MAX ((size_t)16 << 20)       /* more is not worth a worker's time */
#define GZIP_ON_LOOP_MAX ((size_t)64 << 10) /* a millisecond or two; what is longer goes to a worker thread */
#define GZIP_LEVEL 6
#define COPIED_BODY_MAX ((size_t)16 * 1024) /* up to here a copy is cheaper than a second piece */

static const struct {
	int status;
	const char *text;
} statuses[] = {
	{200, "OK"}, {201, "Created"}, {202, "Accepted"}, {204, "No Content"}, {206, "Partial Content"},
	{301, "Moved Permanently"}, {302, "Found"}, {303, "See Other"}, {304, "Not Modified"},
	{307, "Temporary Redirect"}, {308, "Permanent Redirect"},
	{400, "Bad Request"}, {401, "Unauthorized"}, {402, "Payment Required"}, {403, "Forbidden"},
	{404, "Not Found"}, {405, "Method Not Allowed"}, {406, "Not Acceptable"}, {408, "Request Timeout"},
	{409, "Conflict"}, {410, "Gone"}, {411, "Length Required"}, {412, "Precondition Failed"},
	{413, "Content Too Large"}, {414, "URI Too Long"}, {415, "Unsupported Media Type"},
	{416, "Range Not Satisfiable"}, {417, "Expectation Failed"}, {421, "Misdirected Request"},
	{422, "Unprocessable Content"}, {423, "Locked"}, {425, "Too Early"}, {426, "Upgrade Required"},
	{428, "Precondition Required"}, {429, "Too Many Requests"}, {431, "Request Header Fields Too Large"},
	{500, "Internal Server Error"}, {501, "Not Implemented"}, {502, "Bad Gateway"},
	{503, "Service Unavailable"}, {504, "Gateway Timeout"}, {507, "Insufficient Storage"},
};

const char *http_status_text(int status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			return statuses[i].text;
	return "Unknown";
}

bool answer_has_body(int status)
{
	return status >= 200 && status != 204 && status != 304;
}

/* The handler's own headers. */

static const struct slice ours[] = {
	SLICE_INIT("connection"), SLICE_INIT("content-length"), SLICE_INIT("content-type"), SLICE_INIT("date"),
	SLICE_INIT("keep-alive"), SLICE_INIT("trailer"), SLICE_INIT("transfer-encoding"), SLICE_INIT("upgrade"),
	SLICE_INIT("x-request-id"),
};

static void note_header(struct exchange *x, struct slice name, struct slice value)
{
	for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		assert(!slice_eq_nocase(name, ours[i]));
	if (slice_eq_nocase(name, SLICE("cache-control")))
		x->has_cache_control = true;
	else if (slice_eq_nocase(name, SLICE("content-security-policy")))
		x->has_content_policy = true; /* a page's own takes the place of "nothing" */
	else if (slice_eq_nocase(name, SLICE("retry-after")))
		x->has_retry_after = true;
	else if (slice_eq_nocase(name, SLICE("content-encoding")))
		x->has_encoding = true;
	else if (slice_eq_nocase(name, SLICE("etag")))
		x->etag = arena_dup(&x->arena, value);
}

int http_header(struct http_request *rq, const char *name, struct slice value)
{
	struct exchange *x = exchange_of(rq);
	struct slice name_slice = slice_str(name);

	for (size_t i = 0; i < name_slice.len; i++)
		if (!http_is_token(name[i]))
			return ERR_INVALID;
	for (size_t i = 0; i < value.len; i++)
		if (((unsigned char)value.ptr[i] < 0x20 && value.ptr[i] != '\t') || value.ptr[i] == 0x7f)
			return ERR_INVALID;
	if (name_slice.len == 0)
		return ERR_INVALID;
	note_header(x, name_slice, value);
	buf_append(&x->headers, name_slice);
	buf_append(&x->headers, SLICE(": "));
	buf_append(&x->headers, value);
	return buf_append(&x->headers, SLICE("\r\n"));
}

int http_header_printf(struct http_request *rq, const char *name, const char *format, ...)
{
	struct buf value = BUF_INIT(SCRATCH_LEN);
	va_list args;
	int rc;

	va_start(args, format);
	rc = buf_vprintf(&value, format, args);
	va_end(args);
	if (rc == 0)
		rc = http_header(rq, name, buf_slice(&value));
	buf_finish(&value);
	return rc;
}

/* The head. */

static void put_u64(struct buf *out, uint64_t value)
{
	char digits[U64_TEXT_MAX];

	buf_append(out, u64_format(digits, value));
}

static void put_status(struct buf *out, int status)
{
	if (status == 200) {
		buf_append(out, SLICE("HTTP/1.1 200 OK\r\nDate: "));
		return;
	}
	if (status == 304) {
		buf_append(out, SLICE("HTTP/1.1 304 Not Modified\r\nDate: "));
		return;
	}
	buf_append(out, SLICE("HTTP/1.1 "));
	put_u64(out, (uint64_t)status);
	buf_append_char(out, ' ');
	buf_append_str(out, http_status_text(status));
	buf_append(out, SLICE("\r\nDate: "));
}

static void put_field(struct buf *out, const char *before, const char *text)
{
	buf_append_str(out, before);
	buf_append_str(out, text);
}

static void put_number(struct buf *out, const char *before, uint64_t number)
{
	buf_append_str(out, before);
	put_u64(out, number);
}

/* RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers), and the older X- names for the tighter quota. */
static void put_rates(struct exchange *x, struct buf *out)
{
	static const char *const names[PEERS_RATES] = {"general", "meetings"};
	const struct rate_state *tight = NULL;
	unsigned tight_i = 0;

	for (unsigned i = 0; i < PEERS_RATES; i++) {
		const struct rate_state *r = &x->rates[i];

		if (r->quota == 0)
			continue;
		if (tight == NULL || (r->exceeded && !tight->exceeded) ||
		    (r->exceeded == tight->exceeded && r->remaining < tight->remaining)) {
			tight = r;
			tight_i = i;
		}
	}
	if (tight == NULL)
		return;
	put_field(out, "RateLimit: \"", names[tight_i]);
	put_number(out, "\";r=", tight->remaining);
	put_number(out, ";t=", tight->reset_s);
	for (unsigned i = 0, n = 0; i < PEERS_RATES; i++) {
		if (x->rates[i].quota == 0)
			continue;
		put_field(out, n++ > 0 ? ", \"" : "\r\nRateLimit-Policy: \"", names[i]);
		put_number(out, "\";q=", x->rates[i].quota);
		put_number(out, ";w=", x->rates[i].window_s);
	}
	put_number(out, "\r\nX-RateLimit-Limit: ", tight->quota);
	put_number(out, "\r\nX-RateLimit-Remaining: ", tight->remaining);
	put_number(out, "\r\nX-RateLimit-Reset: ", (uint64_t)(x->rq.received_at_us / 1000000 + (int64_t)tight->reset_s));
	buf_append(out, SLICE("\r\n"));
	if (tight->exceeded && !x->has_retry_after) {
		put_number(out, "Retry-After: ", tight->reset_s);
		buf_append(out, SLICE("\r\n"));
		x->has_retry_after = true;
	}
}

static void put_cors(struct exchange *x, struct buf *out)
{
	if (x->conn->loop->server->options.cors == NULL)
		return;
	buf_append(out, SLICE("Vary: Origin\r\n"));
	if (x->cors_origin.len == 0)
		return;
	buf_append(out, SLICE("Access-Control-Allow-Origin: "));
	buf_append(out, x->cors_origin);
	buf_append(out, SLICE("\r\nAccess-Control-Expose-Headers: ETag, Link, Location, Lulab-Next-Cursor, Lulab-Position, Lulab-Stale, "
			      "Lulab-Total, RateLimit, RateLimit-Policy, Retry-After, X-Request-Id\r\n"));
	if (x->cors_credentials)
		buf_append(out, SLICE("Access-Control-Allow-Credentials: true\r\n"));
}

static void put_retry_after(struct exchange *x, struct buf *out)
{
	uint8_t random;

	if (x->has_retry_after)
		return;
	/* Up to 5 s, jittered so that those who were turned away do not come back together. */
	loop_random(x->conn->loop, &random, 1);
	if (x->cool_after)
		buf_printf(out, "Retry-After: %u\r\n", COOL_S + random % (6u - COOL_S));
	else
		buf_printf(out, "Retry-After: %u\r\n", 1u + random % 5);
}

/* Everything up to the framing fields and the empty line, which the caller adds. */
void answer_head(struct exchange *x, struct buf *out, int status, const char *content_type)
{
	struct conn *c = x->conn;
	struct http_loop *l = c->loop;

	x->outcome.status = status;
	c->close_after = c->close_after || l->stopping;
	put_status(out, status);
	buf_append(out, slice_of(loop_date(l), TIME_TEXT_HTTP_LEN));
	if (content_type != NULL) {
		buf_append(out, SLICE("\r\nContent-Type: "));
		buf_append_str(out, content_type);
	}
	if (c->close_after)
		buf_append(out, SLICE("\r\nConnection: close\r\n"));
	else if (x->rq.http_1_0)
		buf_append(out, SLICE("\r\nConnection: keep-alive\r\n"));
	else
		buf_append(out, SLICE("\r\n"));
	if (l->server->options.bare)
		return;
	buf_append(out, SLICE("X-Request-Id: "));
	buf_append(out, x->rq.request_id);
	buf_append(out, SLICE("\r\nX-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\n"
			      "Referrer-Policy: no-referrer\r\n"));
	if (!x->has_content_policy)
		buf_append(out, SLICE("Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"));
	buf_append(out, SLICE("Cross-Origin-Resource-Policy: same-origin\r\n"));
	if (!x->has_cache_control)
		buf_append(out, SLICE("Cache-Control: no-store\r\n"));
	if (x->rq.secure)
		buf_append(out, SLICE("Strict-Transport-Security: max-age=31536000\r\n"));
	put_rates(x, out);
	put_cors(x, out);
	if (status == 503 || status == 429)
		put_retry_after(x, out);
	buf_append(out, buf_slice(&x->headers));
}

/* Entity tags. */

void http_etag(char ret_text[HTTP_ETAG_LEN + 1], struct slice body)
{
	uint8_t hash[SHA256_LEN];

	sha256(hash, &body, 1);
	memcpy(ret_text, "W/\"", 3);
	base64url_encode_to(ret_text + 3, hash, 12);
	memcpy(ret_text + HTTP_ETAG_LEN - 1, "\"", 2);
}

static struct slice opaque(struct slice etag)
{
	return slice_starts_with(etag, SLICE("W/")) ? slice_of(etag.ptr + 2, etag.len - 2) : etag;
}

bool http_etag_matches(struct slice list, struct slice etag)
{
	struct slice one, rest = list;

	while (rest.len > 0) {
		slice_cut(rest, ',', &one, &rest);
		one = slice_trim(one);
		if (slice_is(one, "*") || slice_eq(opaque(one), opaque(etag)))
			return true;
	}
	return false;
}

/* Body and whoever frees it: `owned` is malloc'ed memory that holds the bytes, or NULL. */
struct payload {
	struct slice bytes;
	char *owned;
	bool shared; /* not owned, and there as long as the server */
};

/* Shared bytes stay what they are: their tag is made once, not for everybody who asks. */
static struct slice make_tag(struct http_loop *l, const struct payload *body)
{
	bool known = body->shared && l->tagged.ptr == body->bytes.ptr && l->tagged.len == body->bytes.len;

	if (!known) {
		http_etag(l->tag, body->bytes);
		l->tagged = body->shared ? body->bytes : (struct slice){0};
	}
	return slice_of(l->tag, HTTP_ETAG_LEN);
}

/* True when the client has this answer already. Adds the tag as a header otherwise and then too. */
static bool not_modified(struct exchange *x, int status, const struct payload *body)
{
	struct http_request *rq = &x->rq;
	struct slice wanted, etag = x->etag;

	if (status != 200 || rq->method != HTTP_GET || rq->route == NULL || body->bytes.len == 0 ||
	    (etag.len == 0 && (rq->route->flags & ROUTE_NO_ETAG) != 0))
		return false;
	if (etag.len == 0) {
		etag = make_tag(x->conn->loop, body);
		buf_append(&x->headers, SLICE("ETag: "));
		buf_append(&x->headers, etag);
		buf_append(&x->headers, SLICE("\r\n"));
	}
	return http_request_field(rq, "if-none-match", &wanted) && http_etag_matches(wanted, etag);
}

/* gzip. */

static bool compressible(const char *content_type)
{
	static const char *const types[] = {"text/", "application/json", "application/problem+json",
		"application/x-ndjson", "application/javascript", "application/xml", "image/svg+xml"};

	for (size_t i = 0; content_type != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		if (slice_starts_with(slice_str(content_type), slice_str(types[i])))
			return true;
	return false;
}

/* Accept-Encoding names gzip, or everything, and not with quality 0. */
static bool takes_gzip(const struct http_request *rq)
{
	struct slice list, one, rest, coding, weight;
	bool any = false;

	if (!http_request_field(rq, "accept-encoding", &list))
		return false;
	for (rest = list; rest.len > 0;) {
		bool zero;

		slice_cut(rest, ',', &one, &rest);
		slice_cut(one, ';', &coding, &weight);
		coding = slice_trim(coding);
		weight = slice_trim(weight);
		zero = slice_starts_with(weight, SLICE("q=0")) &&
		    (weight.len == 3 || strspn(weight.ptr + 3, ".0") >= weight.len - 3);
		if (slice_eq_nocase(coding, SLICE("gzip")) || slice_eq_nocase(coding, SLICE("x-gzip")))
			return !zero;
		if (slice_is(coding, "*"))
			any = !zero;
	}
	return any;
}

static bool gzip_init(z_stream *z)
{
	/* 15 + 16: the largest window, with gzip's framing. */
	return deflateInit2(z, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
}

/* Into malloc'ed memory; NULL when it would not become smaller or there is no memory. */
static char *gzip(z_stream *z, struct slice body, size_t *ret_len)
{
	size_t max = body.len - 1;
	char *out = malloc(max);

	if (out == NULL)
		return NULL;
	z->next_in = (Bytef *)(uintptr_t)body.ptr;
	z->avail_in = (uInt)body.len;
	z->next_out = (Bytef *)out;
	z->avail_out = (uInt)max;
	if (deflate(z, Z_FINISH) != Z_STREAM_END) {
		free(out);
		return NULL;
	}
	*ret_len = max - z->avail_out;
	return out;
}

static char *gzip_on_loop(struct http_loop *l, struct slice body, size_t *ret_len)
{
	if (l->gzip_ready)
		deflateReset(&l->gzip);
	else
		l->gzip_ready = gzip_init(&l->gzip);
	return l->gzip_ready ? gzip(&l->gzip, body, ret_len) : NULL;
}

/* Also says by Vary that it depends, where it does. */
static bool wants_gzip(struct exchange *x, const struct payload *body, const char *content_type)
{
	struct slice off;

	if (body->bytes.len < GZIP_MIN || body->bytes.len > GZIP_MAX || x->has_encoding || !compressible(content_type))
		return false;
	buf_append(&x->headers, SLICE("Vary: Accept-Encoding\r\n")); /* beside a handler's own: the fields add up */
	return !http_request_field(&x->rq, "x-no-compression", &off) && takes_gzip(&x->rq);
}

static void take_zipped(struct exchange *x, struct payload *body, char *zipped, size_t len)
{
	if (zipped == NULL)
		return;
	buf_append(&x->headers, SLICE("Content-Encoding: gzip\r\n"));
	free(body->owned);
	body->owned = zipped;
	body->bytes = slice_of(zipped, len);
}

/* Sending. */

static void send_answer(struct exchange *x, int status, const char *content_type, struct payload body)
{
	struct conn *c = x->conn;
	struct buf own = BUF_INIT(OUT_MAX), *out = conn_out(c);
	bool with_body = answer_has_body(status);

	if (out == NULL)
		out = &own;
	answer_head(x, out, status, with_body && body.bytes.len > 0 ? content_type : NULL);
	if (with_body) {
		buf_append(out, SLICE("Content-Length: "));
		put_u64(out, body.bytes.len);
		buf_append(out, SLICE("\r\n\r\n"));
	} else {
		buf_append(out, SLICE("\r\n"));
	}
	if (x->headers.rc != 0)
		out->rc = x->headers.rc;
	if (!with_body || (x->rq.head && !PLANTED(head_body)))
		body.bytes.len = 0;
	x->outcome.bytes = body.bytes.len;
	if (body.bytes.len > 0 && (body.bytes.len <= COPIED_BODY_MAX || (body.owned == NULL && !body.shared))) {
		buf_append(out, body.bytes);
		body.bytes.len = 0;
	}
	if (out == &own) {
		conn_put(c, buf_slice(&own));
		if (own.rc != 0)
			conn_close(c);
		buf_finish(&own);
	}
	if (body.bytes.len > 0)
		conn_send_body(c, body.bytes, body.owned);
	else
		free(body.owned);
}

/* A long answer on its way through a worker thread. The exchange waits for it, also when the client has gone. */
struct zipping {
	uv_work_t work;
	struct exchange *x;
	int status;
	const char *content_type;
	struct payload body;
	char *zipped; /* NULL: sent as it is */
	size_t len;
};

static void on_zip(uv_work_t *work)
{
	struct zipping *z = work->data;
	z_stream stream = {0};

	if (!gzip_init(&stream))
		return;
	z->zipped = gzip(&stream, z->body.bytes, &z->len);
	deflateEnd(&stream);
}

static void on_zipped(uv_work_t *work, int cancelled)
{
	struct zipping *z = work->data;
	struct exchange *x = z->x;
	struct conn *c = x->conn;

	(void)cancelled; /* nobody cancels; not zipped is fine */
	x->zipping = false;
	take_zipped(x, &z->body, z->zipped, z->len);
	if (conn_gone(c)) {
		free(z->body.owned);
		exchange_end(x);
	} else {
		send_answer(x, z->status, z->content_type, z->body);
		if (!conn_gone(c))
			conn_answer(c);
	}
	free(z);
}

/* False without memory: then it goes out as it is. */
static bool zip_elsewhere(struct exchange *x, int status, const char *content_type, struct payload body)
{
	struct zipping *z = malloc(sizeof(*z));

	if (z == NULL)
		return false;
	*z = (struct zipping){.x = x, .status = status, .content_type = content_type, .body = body};
	z->work.data = z;
	x->zipping = true;
	uv_queue_work(&x->conn->loop->uv, &z->work, on_zip, on_zipped); /* fails only without a work function */
	return true;
}

static void answer(struct http_request *rq, int status, const char *content_type, struct payload body)
{
	struct exchange *x = exchange_of(rq);
	struct conn *c = x->conn;

	assert(status >= 200 && status <= 599);
	assert(!x->answered && !x->streaming);
	x->answered = true;
	admission_leave(&c->loop->admission, &x->wait);
	if (conn_gone(c)) {
		free(body.owned);
		exchange_end(x);
		return;
	}
	if (!c->loop->server->options.bare) {
		if (not_modified(x, status, &body)) {
			status = 304;
		} else if (wants_gzip(x, &body, content_type)) {
			size_t len = 0;

			if (body.bytes.len > GZIP_ON_LOOP_MAX) {
				assert(body.owned != NULL || body.shared); /* the bytes outlive this call */
				if (zip_elsewhere(x, status, content_type, body))
					return;
			} else {
				char *zipped = gzip_on_loop(c->loop, body.bytes, &len);

				take_zipped(x, &body, zipped, len);
			}
		}
	}
	send_answer(x, status, content_type, body);
	if (!conn_gone(c))
		conn_answer(c);
}

void http_respond_slice(struct http_request *rq, int status, const char *content_type, struct slice body)
{
	struct payload payload = {.bytes = body};

	/* What does not fit the connection's buffer needs memory that outlives this call. */
	if (body.len > COPIED_BODY_MAX) {
		payload.owned = malloc(body.len);
		if (payload.owned == NULL) {
			http_problem_err(rq, ERR_NOMEM, NULL);
			return;
		}
		memcpy(payload.owned, body.ptr, body.len);
		payload.bytes.ptr = payload.owned;
	}
	answer(rq, status, content_type, payload);
}

void http_respond_shared(struct http_request *rq, int status, const char *content_type, struct slice body)
{
	answer(rq, status, content_type, (struct payload){.bytes = body, .shared = true});
}

void http_respond(struct http_request *rq, int status, const char *content_type, struct buf *body)
{
	struct payload payload = {.owned = NULL};

	if (body != NULL && body->rc != 0) {
		int rc = body->rc;

		buf_finish(body);
		if (rc == ERR_NOMEM)
			http_problem_err(rq, rc, NULL);
		else
			http_problem(rq, 500, "internal", "The answer could not be made.", NULL, 0);
		return;
	}
	if (body != NULL) {
		payload.owned = buf_take(body, &payload.bytes.len);
		payload.bytes.ptr = payload.owned;
	}
	answer(rq, status, content_type, payload);
}

void answer_options(struct exchange *x)
{
	struct slice allow = x->match.methods != 0 ? router_allow(x->match.methods, &x->arena)
						   : SLICE("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
	struct slice asked;

	http_header(&x->rq, "Allow", allow);
	if (x->cors_origin.len > 0 && http_request_field(&x->rq, "access-control-request-method", &asked)) {
		http_header(&x->rq, "Access-Control-Allow-Methods", allow);
		http_header(&x->rq, "Access-Control-Allow-Headers",
		    SLICE("Authorization, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, "
			  "Lulab-Min-Position, X-API-Key, X-No-Compression, X-Request-Id, traceparent"));
		http_header(&x->rq, "Access-Control-Max-Age", SLICE("600"));
	}
	http_respond(&x->rq, 204, NULL, NULL);
}
