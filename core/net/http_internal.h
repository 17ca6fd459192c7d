/*
 * What the server's own files share: the server, its loops, a connection, an
 * exchange (a request on its way to an answer).
 *
 *     http_server.c   threads, listeners, start and stop
 *     http_loop.c     what a loop does between events: time limits, lag, stopping
 *     http_conn.c     a connection: bytes in, its states, its time limits
 *     http_out.c      a connection's bytes out
 *     http_dispatch.c from a whole head to a handler, or to a refusal
 *     http_answer.c   answers
 *     http_problem.c  answers that say what is wrong
 *     http_stream.c   streamed answers
 *     http_request.c  what a handler may ask of a request
 *
 * An idle connection holds no buffers: its exchange, and with it every buffer,
 * goes back to the loop, which keeps a few for the next request.
 */
#ifndef LULAB_NET_HTTP_INTERNAL_H
#define LULAB_NET_HTTP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>
#include <zlib.h>

#include "base/list.h"
#include "net/address.h"
#include "net/admission.h"
#include "net/http.h"
#include "net/http_parser.h"
#include "net/peers.h"
#include "net/router.h"
#include "net/tls.h"

#define REQUEST_ARENA_MAX ((size_t)8 << 20) /* what one handler may make while answering */
#define ARENA_KEPT_MAX ((size_t)32 * 1024)  /* one block, in which a webhook of usual size finds room */
#define BUFFER_KEPT_MAX ((size_t)16 * 1024)
#define EXCHANGES_KEPT_MAX 64
#define PENDING_MAX ((size_t)64 * 1024)     /* bytes behind the request in hand before we stop reading */
#define DISCARD_MAX ((size_t)64 * 1024)     /* a refused body up to this is read, so that the connection lives on */
#define OUT_MAX ((size_t)1 << 20)           /* more than any piece we queue at once, framing and TLS included */
#define COOL_S 2 /* the least that Retry-After says to a webhook, and so long its sender is not read */
#define SCRATCH_LEN ((size_t)64 * 1024)
#define RANDOM_POOL_LEN 1024

/* Time limits a connection can be under; one list each, in order of arming. */
enum span {
	SPAN_NONE,
	SPAN_HANDSHAKE,
	SPAN_FIRST_BYTE, /* new, nothing said yet */
	SPAN_IDLE,       /* between requests */
	SPAN_COOL,       /* told to come back later: not read before */
	SPAN_HEAD,
	SPAN_TICK,       /* looked at every second: bodies, answers, streams */
	SPAN_LINGER,     /* we have said all and wait for the other side to hang up */
	SPAN_COUNT,
};

/*
 * HANDSHAKE --> IDLE --> HEAD --> BODY --> HANDLING --> ANSWERING --> IDLE ...
 *                                             `--> STREAMING --> ANSWERING
 * ANSWERING --> LINGERING --> CLOSING; every state may go to CLOSING.
 */
enum conn_state {
	CONN_HANDSHAKE,
	CONN_IDLE,
	CONN_HEAD,
	CONN_BODY,
	CONN_HANDLING,
	CONN_STREAMING,
	CONN_ANSWERING,
	CONN_LINGERING,
	CONN_CLOSING,
	CONN_STATE_COUNT,
};

struct conn;

/* A request, its parser and its answer; borrowed from the loop while there is one. */
struct exchange {
	struct http_request rq; /* what the handler sees */
	struct conn *conn;
	struct exchange *next_spare;
	struct http_parser parser;
	struct arena arena;
	struct router_match match;

	/* The answer in the making. */
	struct buf headers;       /* lines added by http_header() */

	/* From here on zeroed for the next request. */
	char state_begin;
	bool has_cache_control, has_retry_after, has_encoding, has_content_policy;
	struct slice etag;        /* the handler's */
	struct rate_state rates[PEERS_RATES];

	bool authorize_later;     /* the application looks up whether, once the request is complete */
	struct slice cors_origin; /* allowed one, or empty */
	bool cors_credentials;

	/* A refusal that waits until the body has been read away. */
	int refusal_status;
	const char *refusal_code, *refusal_detail;

	struct http_outcome outcome;
	struct admission_wait wait; /* a webhook's, for its handler */
	bool cool_after; /* a webhook that was told to come back later */
	bool handed;    /* the handler has it and owes an answer */
	bool answered;  /* http_respond() or http_stream_end() was called: the handler is through */
	bool zipping;   /* answered, and its bytes are with a worker thread, which holds on to this */
	bool told_closed;
	bool streaming, chunked, stream_cut;
	bool has_len; /* of a stream */
	uint64_t len;
	bool is_sse, wants_drain;
	int64_t heartbeat_us, spoke_at_us;
	struct address client;
	char id_text[33];
	char address_text[ADDRESS_TEXT_MAX];
};

struct conn {
	uv_tcp_t tcp;
	uv_write_t write;
	struct http_loop *loop;
	struct list all;   /* in loop->conns */
	struct list timed; /* in loop->spans[span] */
	enum conn_state state;
	enum span span;
	int64_t armed_at_us;
	struct exchange *x; /* NULL between requests */
	struct tls_session *tls;
	struct address peer;
	bool peer_counted;
	bool feeding;      /* inside conn_feed(): answers must not start the next request */
	bool ready;        /* listed to continue with `pending` */
	bool reading;
	bool ended;        /* the other side sends no more */
	bool close_after;  /* the answer in hand is the last */
	bool cool;         /* told to come back later, and not read until then */
	bool handle_closed;
	unsigned n_requests;
	struct list ready_link;
	struct buf pending; /* bytes behind the request in hand */

	/* Out: `out` from out_at, then `body` from body_at; `later` gathers while `out` is with the system. */
	bool writing;
	bool out_waits;          /* the socket did not take all: the drain rule holds */
	struct buf out, later;
	size_t out_at;
	const char *body;
	char *body_owned;        /* to be freed with it, or NULL */
	size_t body_len, body_at;
	int64_t busy_at_us;      /* body: when its request began; answer: since when it waits */
	int64_t window_at_us;    /* of the drain rule */
	uint64_t window_bytes;
	uint64_t sent;           /* by this connection, to the system */
	size_t write_len;        /* of the write in flight */
};

struct http_loop {
	struct http_server *server;
	unsigned index;
	void *data;
	uv_loop_t uv;
	uv_thread_t thread;
	uv_tcp_t listener;
	uv_timer_t timer;
	uv_async_t wake;
	uv_idle_t resume; /* runs while `ready` has connections or `owes_spans` */
	bool open;    /* its handles are */
	bool running; /* it has a thread */
	bool listening, stopping, ended, owes_accept;
	bool owes_spans; /* more have passed a limit than one turn deals with */
	int start_rc;
	uint64_t stop_at_ms; /* uv_now() when patience ends */
	struct list conns;
	struct list spans[SPAN_COUNT];
	struct list ready;
	struct exchange *spares;
	unsigned n_spares, n_exchanges;
	struct buf spare_out;
	struct slice tagged; /* the shared body that was answered last, and its entity tag */
	char tag[HTTP_ETAG_LEN + 1];
	z_stream gzip;
	bool gzip_ready;

	struct admission admission; /* by loop_work_us(): a test that moves time has not overworked the machine */
	int64_t ticked_at_us; /* by lag_clock, of the last tick of the timer; 0 before the first */
	unsigned n_lagging;
	bool overloaded;
	_Atomic int64_t lag_us;

	int64_t date_s;
	char date[TIME_TEXT_HTTP_LEN + 1];
	uint8_t random[RANDOM_POOL_LEN];
	size_t random_used;

	/* Counted here, summed by http_server_stats(). */
	_Atomic uint64_t n_total, n_refused, n_requests, n_in_flight, n_streams, n_by_rate, n_by_load, n_malformed,
	    n_timeouts, bytes_in, bytes_out;
	char scratch[SCRATCH_LEN]; /* what one read brings */
	char plain[SCRATCH_LEN];   /* and what it decrypts to */
};

struct http_server {
	struct http_options options;
	struct http_limits limits;
	struct router router;
	struct address_ranges trusted;
	struct peers *peers;
	struct tls *tls;
	char address[ADDRESS_TEXT_MAX + 10];
	unsigned port;
	_Atomic uint64_t n_open;
	_Atomic bool stop;
	_Atomic unsigned grace_ms;
	unsigned n_loops;
	struct http_loop **loops;
	pthread_mutex_t lock; /* guards n_started */
	pthread_cond_t one_started;
	unsigned n_started;
};

/* A loop's counts: its own thread alone changes them, any thread reads. A locked instruction is not needed then. */
#define COUNT(counter, n) \
	atomic_store_explicit(&(counter), atomic_load_explicit(&(counter), memory_order_relaxed) + (n), memory_order_relaxed)

static inline int64_t loop_now_us(const struct http_loop *l)
{
	return clock_monotonic_us(l->server->options.clock);
}

/* By the machine's own clock. */
static inline int64_t loop_work_us(void)
{
	return (int64_t)(uv_hrtime() / 1000);
}

static inline struct exchange *exchange_of(struct http_request *rq)
{
	return container_of(rq, struct exchange, rq);
}

/* http_loop.c */
int loop_init(struct http_loop *l, struct http_server *server, unsigned index);
void loop_run(struct http_loop *l);
void loop_finish(struct http_loop *l);
struct exchange *loop_take_exchange(struct http_loop *l);
void loop_give_exchange(struct http_loop *l, struct exchange *x);
void loop_arm(struct conn *c, enum span span, int64_t now_us);
void loop_disarm(struct conn *c);
void loop_make_ready(struct conn *c);
void loop_random(struct http_loop *l, void *bytes, size_t len);
const char *loop_date(struct http_loop *l);
void loop_end_when_done(struct http_loop *l);

/* http_conn.c */
void conn_settle(struct conn *c);              /* put it under the time limit of its state */
void conn_on_drained(struct conn *c);          /* nothing waits to be sent */
void conn_accept(struct http_loop *l);
void conn_move(struct conn *c, enum conn_state to);
void conn_on_time(struct conn *c, enum span span); /* it has passed, and is disarmed */
void conn_stop(struct conn *c);                /* the loop stops: end what may end */
void conn_close(struct conn *c);               /* now, gracefully towards the handler */
void conn_continue(struct conn *c);            /* with `pending` */
void conn_answer(struct conn *c);              /* everything of the last answer is put: send it and go on */
void conn_stream(struct conn *c);              /* a stream has begun or grown */
void conn_reset(struct conn *c);               /* close so that the other side sees it was cut short */
bool conn_gone(const struct conn *c);
void exchange_end(struct exchange *x);         /* handler and bytes are through with it */

/* http_out.c */
void conn_put(struct conn *c, struct slice plain);
struct buf *conn_out(struct conn *c);          /* where plain bytes may be appended instead; NULL with TLS */
/* Sent after what was put. `owned` is freed then; NULL: the bytes are somebody's who keeps them. */
void conn_send_body(struct conn *c, struct slice bytes, char *owned);
void conn_pump(struct conn *c);
size_t conn_waiting(const struct conn *c);     /* bytes not yet with the system */
struct buf *conn_out_target(struct conn *c);   /* where raw bytes go now */
void conn_drop_body(struct conn *c);
void conn_give_out_back(struct conn *c);       /* idle: hold no buffers */

/* http_dispatch.c */
void dispatch_head(struct conn *c);            /* head whole: route, limits, permission; may answer */
void dispatch_request(struct conn *c);         /* body whole: to the handler */
void dispatch_refused(struct conn *c, int status, const char *code); /* the parser or the clock refused it */

/* http_answer.c */
void answer_options(struct exchange *x);
void answer_head(struct exchange *x, struct buf *out, int status, const char *content_type);
bool answer_has_body(int status);

/* http_stream.c */
void stream_on_drained(struct exchange *x);
void stream_on_tick(struct exchange *x, int64_t now_us);

/* http_trace.c */
void trace_take(struct http_request *rq, struct http_loop *l, struct slice traceparent);
bool request_id_sane(struct slice id);

#endif
