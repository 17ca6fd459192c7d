/*
 * The HTTP/1.1 server: what a handler and the application need of it.
 *
 * A server runs N loop threads. Each has its own listener on the same address
 * (SO_REUSEPORT), and a connection lives and dies on the loop that accepted
 * it; nothing here may be called from another thread unless it says so.
 *
 * A handler is called on the loop with a complete request (head checked, body
 * read) and answers at once or later, on the same loop, exactly once:
 *
 *     http_respond()  or  http_problem()  or  http_stream_start() ... http_stream_end()
 *
 * also when the client has gone meanwhile; the bytes are then dropped. The
 * request and everything in its arena are gone when that call returns.
 *
 * The server itself does: framing checks and every limit of `http_limits`,
 * keep-alive, one pipelined request at a time, Expect, HEAD, OPTIONS and CORS,
 * 404/405/501, gzip, ETag and 304, request ids, trace context, rate limits,
 * load shedding, security headers, problem+json, TLS, graceful stop.
 */
#ifndef LULAB_NET_HTTP_H
#define LULAB_NET_HTTP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/rng.h"

struct http_request;
struct http_server;
struct schema;
struct uv_loop_s;

enum http_method {
	HTTP_NONE, /* ends a table of routes */
	HTTP_GET,  /* a HEAD request reaches the GET route; see http_request.head */
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_METHOD_COUNT,
};

typedef void http_handler(struct http_request *rq);

/* Which quota a route draws from besides the general one; see http_options.rates. */
enum route_rate {
	RATE_GENERAL, /* only the general quota */
	RATE_MEETINGS, /* the general one and a tighter one */
	RATE_EXEMPT,  /* none: health checks and webhooks */
};

#define ROUTE_PUBLIC 1u      /* answered without asking options.authorize */
#define ROUTE_ESSENTIAL 2u   /* never shed under load: health checks and webhooks */
#define ROUTE_REPEATS 4u     /* a query parameter may occur more than once */
#define ROUTE_HIDDEN 8u      /* not in the OpenAPI document */
#define ROUTE_NO_ETAG 16u    /* answers differ every time: metrics, health */
#define ROUTE_KEYS 64u       /* asks for no permission, and API keys are welcome: what it tells is about the caller alone */
#define ROUTE_DISCARD_BODY 32u /* a request body is read and dropped, unused */
#define ROUTE_KEYED 256u       /* an Idempotency-Key is heeded: app/request_key.h */
#define ROUTE_SCOPED 128u      /* the permission may be held in some organisation only: the handler looks in which */

/* One row of a routing table; a row with .method HTTP_NONE ends the table. */
struct route {
	enum http_method method;
	const char *path; /* "/api/v1/meetings/{id}/events"; a {name} stands for one whole segment */
	http_handler *handler;
	const char *permission; /* what options.authorize asks of the caller; NULL: signed in is enough */
	unsigned flags;         /* ROUTE_* */
	enum route_rate rate;
	size_t body_max; /* bytes; 0 = HTTP_BODY_MAX */

	/* For the OpenAPI document and for validation by the application. */
	const struct schema *params;  /* path and query parameters, or NULL */
	const struct schema *request; /* body, or NULL */
	const char *answer;           /* name of the answer's schema in the document, or NULL */
	const char *success;          /* status of a success, "201"; NULL = "200" */
	const char *tag;
	const char *summary; /* one line, no full stop */
	const void *extra;   /* the application's own */
};

#define HTTP_BODY_MAX (256 * 1024)
#define HTTP_FIELDS_MAX 64
#define HTTP_QUERY_MAX 64
#define HTTP_PARAMS_MAX 8

/* A header field, or a decoded parameter. */
struct http_field {
	struct slice name, value;
};

/* A request, read-only for handlers but where said. Slices live as long as it does. */
struct http_request {
	struct arena *arena; /* for whatever the handler makes while answering */
	void *app;           /* http_options.app */
	void *loop_data;     /* what options.on_loop_start returned on this loop */
	struct uv_loop_s *loop;
	unsigned loop_index;

	/* NULL only in on_answered, for what no route took. There it may also be what a refused head asked for,
	 * as far as its request line told. */
	const struct route *route;
	enum http_method method;
	bool head;                 /* HEAD: answer as for GET, the server drops the body */
	bool http_1_0;
	bool secure;               /* came by TLS, here or at a trusted proxy */
	struct slice target;       /* as sent */
	struct slice path;         /* decoded once, without query */
	struct slice query_text;   /* as sent, after '?' */
	struct slice host;
	const struct http_field *fields; /* names as sent */
	size_t n_fields;
	const struct http_field *params; /* {names} of the route's path, decoded UTF-8 */
	size_t n_params;
	const struct http_field *query; /* decoded UTF-8, in order */
	size_t n_query;
	struct slice body; /* followed by a NUL that is not counted */

	struct slice address;      /* the client's, as text: the socket's, or what a trusted proxy tells */
	struct slice request_id;   /* the client's own when sane, else ours */
	char trace_id[33], span_id[17]; /* W3C trace context; span_id is this request's own */
	char parent_span_id[17];        /* "" when the trace starts here */
	bool trace_sampled;
	int64_t received_at_us; /* wall clock at the end of the head */
	int64_t started_us;     /* monotonic, at the first byte */

	/* The handler's and the application's to set. */
	void *principal; /* by options.authorize */
	void *data;
	/*
	 * The client has gone before the answer was complete, or the server
	 * stops and this is an event stream. Not called after the answer. The handler still has to end
	 * the request, within this callback or later.
	 */
	void (*on_closed)(struct http_request *rq);
	/* A stream has room again after http_stream_write() said ERR_BUSY. */
	void (*on_drain)(struct http_request *rq);
};

/* Case-insensitive. False, and *ret_value empty, when absent; the first when repeated. */
bool http_request_field(const struct http_request *rq, const char *name, struct slice *ret_value);
/* Path parameter; must exist in the route's path (asserted). */
struct slice http_request_param(const struct http_request *rq, const char *name);
/* Query parameter. False when absent. */
bool http_request_query(const struct http_request *rq, const char *name, struct slice *ret_value);
/* Does Accept prefer or allow this type ("text/csv")? Absent Accept allows all; quality 0 refuses. */
bool http_request_accepts(const struct http_request *rq, const char *media_type);
/* The quality given to it, in thousandths, most specific range first; 1000 without Accept. */
unsigned http_request_accept_quality(const struct http_request *rq, const char *media_type);
/* The token of "Authorization: Bearer ..."; false when there is none. */
bool http_request_bearer(const struct http_request *rq, struct slice *ret_token);
/* The value of a cookie, from the value of a Cookie header. False, and *ret empty: it is not there, or not just once. */
bool http_cookie(struct slice cookies, const char *name, struct slice *ret);
/* Media type of the body without parameters equals this, any case. */
bool http_request_is(const struct http_request *rq, const char *media_type);

/* The entity tag the server gives an answer that has none of its own: weak, of the body's hash. */
#define HTTP_ETAG_LEN 20
void http_etag(char ret_text[HTTP_ETAG_LEN + 1], struct slice body);
/* Whether an If-None-Match names the tag, by weak comparison (RFC 9110 13.1.2). */
bool http_etag_matches(struct slice list, struct slice etag);

/*
 * An answer header, before the answer. ERR_INVALID when name is no token or
 * value holds a control character; the framing fields and those the server
 * writes itself (Date, Connection, Content-Length, ...) are asserted away.
 */
int http_header(struct http_request *rq, const char *name, struct slice value);
int http_header_printf(struct http_request *rq, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define HTTP_AUTHORIZE_LATER (-1)
/* From options.authorize_later: 0 and the handler has the request, or the status to refuse it with. */
void http_authorized(struct http_request *rq, int status, const char *detail);

/* "Not Found" for 404. */
const char *http_status_text(int status);

#define HTTP_JSON "application/json; charset=utf-8"
#define HTTP_TEXT "text/plain; charset=utf-8"

/*
 * Answer and end the request. Takes the bytes of `body` (NULL: none), which is
 * empty afterwards; a body whose rc is set becomes a 500. content_type is
 * static or in the arena; NULL with an empty body.
 */
void http_respond(struct http_request *rq, int status, const char *content_type, struct buf *body);
/* As http_respond with a copy of these bytes. */
void http_respond_slice(struct http_request *rq, int status, const char *content_type, struct slice body);
/* As http_respond with these bytes, which stay as they are until the server has been closed: many answers, one memory. */
void http_respond_shared(struct http_request *rq, int status, const char *content_type, struct slice body);

/* What is wrong with one place of the input. */
struct http_problem_item {
	struct slice path;    /* "hosts[0].name", or the parameter's name */
	struct slice code;    /* machine-readable: "too_long" */
	struct slice message; /* for people */
};

/*
 * Answer with problem+json (RFC 9457): type, title, status, detail, instance,
 * code, requestId, and `errors` when items are given. code is machine-readable
 * ("not_found"), detail a sentence that tells what to do about it and nothing
 * internal; may be NULL. 503 and 429 get a Retry-After when none was set.
 */
void http_problem(struct http_request *rq, int status, const char *code, const char *detail,
    const struct http_problem_item *items, size_t n_items);

/* The usual answer to an ERR_*: NOT_FOUND 404, INVALID 400, BUSY 503, CONFLICT 409, TOO_BIG 413, ... */
void http_problem_err(struct http_request *rq, int err, const char *detail);

/*
 * A streamed answer, chunked (or until close for HTTP/1.0). After start, write
 * as there is something; the server holds at most HTTP_STREAM_BUFFER bytes.
 */
#define HTTP_STREAM_BUFFER (256 * 1024)
void http_stream_start(struct http_request *rq, int status, const char *content_type);
/* As http_stream_start, of an answer whose length is known: sent as Content-Length, also to HEAD. Exactly so much is to be
 * written; else the connection is broken off at the end. */
void http_stream_start_len(struct http_request *rq, int status, const char *content_type, uint64_t len);
/*
 * 0 taken; ERR_BUSY nothing taken, wait for on_drain; ERR_TOO_BIG one piece
 * over the buffer's size; ERR_CANCELLED the client has gone (or asked with HEAD):
 * end the stream.
 */
int http_stream_write(struct http_request *rq, struct slice bytes);
/* Ends the request. `complete` false breaks the connection so that the client sees the answer is cut short. */
void http_stream_end(struct http_request *rq, bool complete);

/*
 * Server-sent events over a stream: starts with text/event-stream, and sends a
 * comment when nothing was sent for heartbeat_ms (0 = 15 s). End with
 * http_stream_end(). In http_sse_send id and event may be empty; data may hold
 * line feeds. Results as http_stream_write.
 */
void http_sse_start(struct http_request *rq, unsigned heartbeat_ms);
int http_sse_send(struct http_request *rq, struct slice id, struct slice event, struct slice data);

/* Limits of integrity 18; zeros mean the defaults given here. */
struct http_limits {
	unsigned connections_max;         /* 80 % of the descriptor limit, at most 16000 */
	unsigned address_connections_max; /* 256; loopback and trusted proxies exempt */
	unsigned address_new_per_s_max;   /* 100; likewise */
	bool limit_loopback;              /* count loopback as any other address */
	unsigned handshake_ms;            /* 5000 */
	unsigned first_byte_ms;           /* 10000 */
	unsigned head_ms;                 /* 10000, from its first byte */
	unsigned idle_ms;                 /* 30000 between requests (5000-75000) */
	unsigned head_bytes_max;          /* 16 KiB */
	unsigned line_bytes_max;          /* 8 KiB */
	unsigned target_bytes_max;        /* 4 KiB */
	unsigned body_grace_ms;           /* 5000 */
	unsigned body_ms;                 /* 30000 */
	unsigned rate_bytes_per_s_min;    /* 1024: bodies in, answers out */
	unsigned drain_ms;                /* 60000 for a whole answer */
	unsigned requests_max;            /* 1000 a connection */
	unsigned wait_ms_max;             /* 500: webhooks get 503 while the oldest waits for so long */
};

/* So many requests per address in so many seconds; quota 0 switches it off. */
struct http_rate {
	unsigned quota;
	unsigned window_s;
};

struct http_outcome {
	int status;          /* 0: the client went before an answer */
	bool handled;        /* the handler had the request; else the server itself refused it or answered OPTIONS */
	uint64_t bytes;      /* of the body, as sent */
	int64_t duration_us; /* first byte of the request to the last byte handed to the system */
};

struct http_options {
	const char *listen;  /* "127.0.0.1:3000", "[::1]:0"; port 0 takes a free one */
	unsigned loops;      /* 0 = one per processor */
	const struct route *const *routes; /* tables, closed by NULL; all must outlive the server */
	void *app;           /* becomes http_request.app and the hooks' first argument */
	const struct clock *clock; /* NULL = the system's */
	const struct rng *rng;     /* NULL = the system's */
	/* Read once a tick of a loop, to tell how late the tick is. NULL = the system's, also where
	 * `clock` is moved by hand: a test that moves time has not overworked the machine. */
	const struct clock *lag_clock;
	struct http_limits limits;
	struct http_rate rate_general;  /* {0} = 1000 per 900 s; window_s set and quota 0 = off */
	struct http_rate rate_meetings; /* {0} = 100 per 60 s */
	const char *trusted_proxies;    /* "10.0.0.0/8, ::1", or NULL: X-Forwarded-* from nobody */
	const char *tls_cert, *tls_key; /* PEM paths, or NULL for plain HTTP */
	bool bare; /* for benchmarks: no rate limits, ids, trace, ETag or gzip */

	/* Hooks; each may be NULL. Called on the request's loop unless said. */

	/* On the loop's thread before it serves; the result becomes loop_data, NULL fails the start when the hook is set. */
	void *(*on_loop_start)(void *app, struct uv_loop_s *loop, unsigned loop_index);
	/* On the loop's thread after its last request; must close every handle it made in the loop. NULL data: it never started. */
	void (*on_loop_stop)(void *app, void *loop_data);
	/*
	 * May this caller do this? After the head, before the body is read. 0, or
	 * the status to answer (401, 403, 429, 503) with *ret_detail (static or arena).
	 * HTTP_AUTHORIZE_LATER: not yet known. Not asked for ROUTE_PUBLIC.
	 */
	int (*authorize)(void *app, struct http_request *rq, const char **ret_detail);
	/*
	 * Who answered HTTP_AUTHORIZE_LATER has to look something up: asked when the request is
	 * complete, in the handler's place. Ends with http_authorized(), at once or later.
	 */
	void (*authorize_later)(void *app, struct http_request *rq);
	/* May pages of this origin read answers? *ret_credentials: with cookies too. NULL hook: nobody. */
	bool (*cors)(void *app, struct slice origin, bool *ret_credentials);
	/* Out of memory budget or otherwise over-worked; asked at most every 100 ms and loop. */
	bool (*overloaded)(void *app);
	/* After an answer: metrics and the access log. */
	void (*on_answered)(void *app, const struct http_request *rq, const struct http_outcome *outcome);
};

/*
 * Listens and starts the loop threads. ERR_INVALID (address, route table),
 * ERR_TAKEN (port in use), ERR_DENIED, ERR_CONFIG (certificate), ERR_NOMEM;
 * *ret_detail (may be NULL) then tells more, static text. From here on the
 * process ignores SIGPIPE. *ret_server is set before the first handler or hook
 * runs, which may be before this returns; NULL after a failure.
 */
int http_server_start(struct http_server **ret_server, const struct http_options *options,
    const char **ret_detail);
/* "127.0.0.1:34567", with the port really taken. */
const char *http_server_address(const struct http_server *server);
unsigned http_server_port(const struct http_server *server);

/*
 * Any thread, also from a signal watcher: take no more connections, let what is in flight
 * finish for at most grace_ms, end streams, then break what is left.
 */
void http_server_stop(struct http_server *server, unsigned grace_ms);
/* Waits for the loops to end and frees. Stops with grace 0 when nobody has. NULL is fine. Not on a loop. */
void http_server_close(struct http_server *server);

/* Any thread: read certificate and key again; running connections keep theirs. ERR_CONFIG keeps the old pair. */
int http_server_reload_tls(struct http_server *server);
/* When the certificate ends, seconds since 1970; 0 without TLS. Any thread. */
int64_t http_server_tls_expires_at(const struct http_server *server);

struct http_stats {
	uint64_t connections_open, connections_total, connections_refused;
	uint64_t requests_total, requests_in_flight, streams_open;
	uint64_t refused_by_rate, refused_by_load, refused_malformed, timeouts;
	uint64_t bytes_in, bytes_out;
	int64_t lag_us_max; /* worst loop, last second */
};
/* Any thread. */
void http_server_stats(const struct http_server *server, struct http_stats *ret_stats);

/* Any thread: look at time limits now; for tests that move the clock. */
void http_server_tick(struct http_server *server);

#endif
