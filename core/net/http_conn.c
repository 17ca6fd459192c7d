/*
 * A connection: bytes in, bytes out, and the state between. Each callback of
 * the loop notes what happened and lets conn_feed() or conn_pump() go on;
 * conn_settle() then puts the connection under the time limit of its state.
 */
#include "net/http_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/log.h"
#include "base/planted.h"

#define TO(state) (1u << (state))
#define DRAIN_WINDOW_US INT64_C(10000000)
#define REQUESTS_A_TURN_MAX 16

static const struct {
	const char *name;
	unsigned moves;
	enum span span;
} states[CONN_STATE_COUNT] = {
	[CONN_HANDSHAKE] = {"handshake", TO(CONN_IDLE) | TO(CONN_CLOSING), SPAN_HANDSHAKE},
	[CONN_IDLE] = {"idle", TO(CONN_HEAD) | TO(CONN_CLOSING), SPAN_FIRST_BYTE},
	[CONN_HEAD] = {"head", TO(CONN_BODY) | TO(CONN_HANDLING) | TO(CONN_ANSWERING) | TO(CONN_CLOSING), SPAN_HEAD},
	[CONN_BODY] = {"body", TO(CONN_HANDLING) | TO(CONN_ANSWERING) | TO(CONN_CLOSING), SPAN_TICK},
	[CONN_HANDLING] = {"handling", TO(CONN_STREAMING) | TO(CONN_ANSWERING) | TO(CONN_CLOSING), SPAN_NONE},
	[CONN_STREAMING] = {"streaming", TO(CONN_ANSWERING) | TO(CONN_CLOSING), SPAN_TICK},
	[CONN_ANSWERING] = {"answering", TO(CONN_IDLE) | TO(CONN_LINGERING) | TO(CONN_CLOSING), SPAN_TICK},
	[CONN_LINGERING] = {"lingering", TO(CONN_CLOSING), SPAN_LINGER},
	[CONN_CLOSING] = {"closing", 0, SPAN_NONE},
};

void conn_move(struct conn *c, enum conn_state to)
{
	assert(to < CONN_STATE_COUNT);
	if ((states[c->state].moves & TO(to)) == 0) {
		log_error("http", "connection made a move it may not", "from", states[c->state].name, "to",
		    states[to].name);
		abort();
	}
	c->state = to;
}

bool conn_gone(const struct conn *c)
{
	return c->state == CONN_CLOSING;
}

/* The time limit that fits the state; one that already runs goes on. */
void conn_settle(struct conn *c)
{
	enum span span = states[c->state].span;

	if (c->state == CONN_IDLE && c->n_requests > 0)
		span = c->cool ? SPAN_COOL : SPAN_IDLE;
	if (span != c->span)
		loop_arm(c, span, span == SPAN_NONE ? 0 : loop_now_us(c->loop));
}

static void set_reading(struct conn *c, bool on);

/* Closing. */

static void on_handle_closed(uv_handle_t *handle)
{
	struct conn *c = container_of((uv_tcp_t *)handle, struct conn, tcp);
	struct http_loop *l = c->loop;

	c->handle_closed = true;
	list_remove(&c->all);
	list_remove(&c->ready_link);
	if (c->peer_counted)
		peers_disconnect(l->server->peers, &c->peer);
	atomic_fetch_sub(&l->server->n_open, 1);
	buf_finish(&c->pending);
	buf_finish(&c->out);
	buf_finish(&c->later);
	conn_drop_body(c);
	tls_session_destroy(c->tls);
	c->tls = NULL;
	if (c->x == NULL && !(PLANTED(leak_refused) && c->n_requests == 0))
		free(c);
	loop_end_when_done(l);
}

/* The handler is told when it still owes an answer, and keeps the request until it gives one. */
static void tell_exchange(struct conn *c)
{
	struct exchange *x = c->x;

	if (x == NULL)
		return;
	if (x->zipping) {
		/* ends when the worker gives it back */
	} else if (x->answered || !x->handed) {
		exchange_end(x);
	} else if (!x->told_closed) {
		x->told_closed = true;
		if (x->rq.on_closed != NULL)
			x->rq.on_closed(&x->rq);
	}
}

static void close_by(struct conn *c, bool reset)
{
	if (conn_gone(c))
		return;
	conn_move(c, CONN_CLOSING);
	loop_disarm(c);
	if (!reset || uv_tcp_close_reset(&c->tcp, on_handle_closed) != 0)
		uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
	tell_exchange(c);
}

void conn_close(struct conn *c)
{
	close_by(c, false);
}

void conn_reset(struct conn *c)
{
	close_by(c, true);
}

static void end_exchange_at(struct exchange *x, int64_t now_us)
{
	struct conn *c = x->conn;
	struct http_loop *l = c->loop;
	const struct http_options *options = &l->server->options;

	x->outcome.duration_us = now_us - x->rq.started_us;
	x->outcome.handled = x->handed;
	if (options->on_answered != NULL && x->rq.request_id.len > 0)
		options->on_answered(options->app, &x->rq, &x->outcome);
	c->x = NULL;
	loop_give_exchange(l, x);
	if (c->handle_closed) {
		free(c);
		loop_end_when_done(l);
	}
}

void exchange_end(struct exchange *x)
{
	end_exchange_at(x, loop_now_us(x->conn->loop));
}

/* All is said: hang up our half and give the other side time to read, or a reset would eat the last answer. */
static void linger(struct conn *c)
{
	uv_os_fd_t fd;

	if (c->tls != NULL) {
		tls_session_bye(c->tls);
		buf_clear(&c->out);
		if (tls_session_take(c->tls, &c->out) == 0 && c->out.len > 0) {
			uv_buf_t bye = uv_buf_init(c->out.ptr, (unsigned)c->out.len);

			uv_try_write((uv_stream_t *)&c->tcp, &bye, 1);
		}
	}
	if (c->ended || uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0 || shutdown(fd, SHUT_WR) != 0) {
		conn_close(c);
		return;
	}
	buf_finish(&c->pending);
	conn_move(c, CONN_LINGERING);
	set_reading(c, true);
	conn_settle(c);
}

/* Answers. */

static void finish_answer(struct conn *c)
{
	struct exchange *x = c->x;
	int64_t now_us = loop_now_us(c->loop);

	conn_drop_body(c);
	c->cool = x->cool_after;
	end_exchange_at(x, now_us);
	if (c->close_after || (c->ended && !c->feeding && c->pending.len == 0)) {
		linger(c);
		return;
	}
	conn_move(c, CONN_IDLE);
	conn_give_out_back(c);
	if (c->cool)
		set_reading(c, false);
	loop_arm(c, c->cool ? SPAN_COOL : SPAN_IDLE, now_us);
	if (c->pending.len > 0 && !c->feeding && !c->cool)
		loop_make_ready(c);
}

void conn_on_drained(struct conn *c)
{
	c->out_waits = false;
	if (c->state == CONN_ANSWERING)
		finish_answer(c);
	else if (c->state == CONN_STREAMING)
		stream_on_drained(c->x);
}

void conn_answer(struct conn *c)
{
	conn_move(c, CONN_ANSWERING);
	conn_pump(c);
	if (!c->feeding && !conn_gone(c))
		conn_settle(c);
}

void conn_stream(struct conn *c)
{
	if (c->state != CONN_STREAMING)
		conn_move(c, CONN_STREAMING);
	conn_pump(c);
	if (!c->feeding && !conn_gone(c))
		conn_settle(c);
}

/* Bytes in. */

static bool takes_requests(const struct conn *c)
{
	return c->state == CONN_IDLE || c->state == CONN_HEAD || c->state == CONN_BODY;
}

/* And is not to wait before the next one. */
static bool goes_on(const struct conn *c)
{
	return takes_requests(c) && !c->cool;
}

static bool begin_request(struct conn *c)
{
	struct exchange *x = loop_take_exchange(c->loop);

	if (x == NULL)
		return false;
	c->x = x;
	x->conn = c;
	x->rq.started_us = loop_now_us(c->loop);
	conn_move(c, CONN_HEAD);
	return true;
}

static size_t feed_parser(struct conn *c, struct slice bytes)
{
	struct http_parser *p;
	size_t used;

	if (c->state == CONN_IDLE && !begin_request(c)) {
		conn_close(c);
		return bytes.len;
	}
	p = &c->x->parser;
	used = http_parser_feed(p, bytes);
	if (c->state == CONN_HEAD && (p->stage == HTTP_STAGE_BODY || p->stage == HTTP_STAGE_DONE)) {
		c->n_requests++;
		dispatch_head(c);
		if (c->state != CONN_HEAD)
			return used;
		if (p->stage == HTTP_STAGE_BODY) {
			conn_move(c, CONN_BODY);
			c->busy_at_us = c->x->rq.started_us;
		}
	}
	if (p->stage == HTTP_STAGE_REFUSED)
		dispatch_refused(c, p->status, p->code);
	else if (p->stage == HTTP_STAGE_DONE)
		dispatch_request(c);
	return used;
}

static void keep_pending(struct conn *c, struct slice bytes)
{
	if (c->close_after || conn_gone(c) || c->state == CONN_LINGERING)
		return;
	c->pending.max = PENDING_MAX + SCRATCH_LEN * 2;
	if (buf_append(&c->pending, bytes) != 0)
		conn_close(c);
	else if (c->pending.len >= PENDING_MAX)
		set_reading(c, false);
}

/* Requests one after the other, until one of them waits for its answer or others had to wait for too many. */
static void conn_feed(struct conn *c, struct slice bytes)
{
	unsigned n_requests_max = c->n_requests + REQUESTS_A_TURN_MAX;

	c->feeding = true;
	while (bytes.len > 0 && goes_on(c) && c->n_requests < n_requests_max) {
		size_t used = feed_parser(c, bytes);

		bytes.ptr += used;
		bytes.len -= used;
	}
	c->feeding = false;
	if (bytes.len > 0)
		keep_pending(c, bytes);
	if (conn_gone(c))
		return;
	if (goes_on(c) && c->pending.len > 0)
		loop_make_ready(c);
	if (c->ended && c->pending.len == 0 && takes_requests(c))
		conn_close(c);
	else
		conn_settle(c);
}

void conn_continue(struct conn *c)
{
	struct buf bytes = c->pending;

	if (conn_gone(c) || !goes_on(c))
		return;
	c->pending = (struct buf){0};
	conn_feed(c, buf_slice(&bytes));
	buf_finish(&bytes);
	if (!conn_gone(c) && !c->ended && !c->cool && c->pending.len < PENDING_MAX)
		set_reading(c, true);
}

static void take_plain(struct conn *c, struct slice bytes)
{
	if (conn_gone(c) || c->state == CONN_LINGERING)
		return;
	if (c->pending.len > 0 || !goes_on(c))
		keep_pending(c, bytes);
	else
		conn_feed(c, bytes);
}

static void on_end(struct conn *c)
{
	c->ended = true;
	if (conn_gone(c))
		return;
	set_reading(c, false);
	/* Half a hang-up: who has asked may still read the answer. An event stream has no end to wait for. */
	if ((takes_requests(c) && c->pending.len == 0) || c->state == CONN_HANDSHAKE ||
	    c->state == CONN_LINGERING || (c->state == CONN_STREAMING && c->x->is_sse))
		conn_close(c);
}

static void take_cipher(struct conn *c, struct slice bytes)
{
	struct http_loop *l = c->loop;
	int n;

	if (tls_session_feed(c->tls, bytes) != 0) {
		conn_close(c);
		return;
	}
	do {
		n = tls_session_read(c->tls, l->plain, sizeof(l->plain));
		if (c->state == CONN_HANDSHAKE && tls_session_ready(c->tls)) {
			conn_move(c, CONN_IDLE);
			conn_settle(c);
		}
		/* Handshake bytes and alerts leave before anything answers. */
		if (tls_session_take(c->tls, conn_out_target(c)) != 0)
			n = ERR_NETWORK;
		if (n > 0)
			take_plain(c, slice_of(l->plain, (size_t)n));
	} while (n > 0 && !conn_gone(c));
	if (conn_gone(c))
		return;
	conn_pump(c);
	if (n == ERR_END)
		on_end(c);
	else if (n < 0)
		conn_close(c);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
	struct conn *c = container_of((uv_tcp_t *)handle, struct conn, tcp);

	(void)suggested;
	*ret = uv_buf_init(c->loop->scratch, sizeof(c->loop->scratch));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct conn *c = container_of((uv_tcp_t *)stream, struct conn, tcp);

	if (n == UV_EOF) {
		on_end(c);
	} else if (n < 0) {
		conn_close(c);
	} else if (n > 0) {
		struct slice bytes = slice_of(buf->base, (size_t)n);

		COUNT(c->loop->bytes_in, (uint64_t)n);
		if (c->state == CONN_LINGERING)
			return;
		if (c->tls != NULL)
			take_cipher(c, bytes);
		else
			take_plain(c, bytes);
	}
}

static void set_reading(struct conn *c, bool on)
{
	if (on == c->reading)
		return;
	c->reading = on;
	if (on)
		uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
	else
		uv_read_stop((uv_stream_t *)&c->tcp);
}

/* Time. */

/* A body must arrive at the least rate after its grace, and within its limit whatever the rate. */
static bool body_too_slow(const struct conn *c, int64_t now_us)
{
	const struct http_limits *limits = &c->loop->server->limits;
	int64_t age_us = now_us - c->busy_at_us;

	if (PLANTED(slow_forever))
		return false;
	if (age_us >= (int64_t)limits->body_ms * 1000)
		return true;
	return age_us >= (int64_t)limits->body_grace_ms * 1000 &&
	    (int64_t)c->x->parser.body_bytes_in * 1000000 < (int64_t)limits->rate_bytes_per_s_min * age_us;
}

/* An answer must leave at the least rate over a window, and within its limit; a stream has no end to be late for. */
static bool drain_too_slow(struct conn *c, int64_t now_us)
{
	const struct http_limits *limits = &c->loop->server->limits;
	uint64_t sent = c->sent;

	if (!c->out_waits)
		return false;
	if (c->state == CONN_ANSWERING && now_us - c->busy_at_us >= (int64_t)limits->drain_ms * 1000)
		return true;
	if (now_us - c->window_at_us < DRAIN_WINDOW_US)
		return false;
	if (c->writing)
		sent += c->write_len - uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
	if ((int64_t)(sent - c->window_bytes) * 1000000 <
	    (int64_t)limits->rate_bytes_per_s_min * (now_us - c->window_at_us))
		return true;
	c->window_at_us = now_us;
	c->window_bytes = sent;
	return false;
}

static void on_tick(struct conn *c)
{
	int64_t now_us = loop_now_us(c->loop);

	if (c->state == CONN_BODY && body_too_slow(c, now_us)) {
		COUNT(c->loop->n_timeouts, 1);
		dispatch_refused(c, 408, "body_too_slow");
		return;
	}
	if (drain_too_slow(c, now_us)) {
		COUNT(c->loop->n_timeouts, 1);
		conn_reset(c);
		return;
	}
	if (c->state == CONN_STREAMING)
		stream_on_tick(c->x, now_us);
}

/* It was told to come back later, and this is later. */
static void warm_up(struct conn *c)
{
	c->cool = false;
	if (c->pending.len > 0)
		loop_make_ready(c);
	else if (!c->ended)
		set_reading(c, true);
}

void conn_on_time(struct conn *c, enum span span)
{
	if (span == SPAN_HANDSHAKE || span == SPAN_FIRST_BYTE || span == SPAN_HEAD)
		COUNT(c->loop->n_timeouts, 1);
	if (span == SPAN_TICK)
		on_tick(c);
	else if (span == SPAN_COOL)
		warm_up(c);
	else if (span == SPAN_HEAD || (span == SPAN_FIRST_BYTE && begin_request(c)))
		dispatch_refused(c, 408, "request_timeout");
	else
		conn_close(c);
	if (!conn_gone(c))
		conn_settle(c);
}

void conn_stop(struct conn *c)
{
	struct exchange *x = c->x;

	switch (c->state) {
	case CONN_HANDSHAKE:
	case CONN_IDLE:
		conn_close(c);
		break;
	case CONN_STREAMING:
		c->close_after = true;
		/* An export comes to its end by itself; events never do. */
		if (!x->is_sse || x->told_closed)
			break;
		x->told_closed = true;
		if (x->rq.on_closed != NULL)
			x->rq.on_closed(&x->rq);
		break;
	default:
		c->close_after = true;
		break;
	}
}

/* Accepting. */

/* The newest idle connection makes room: the older ones have shown that they come back. */
static bool close_newest_idle(struct http_loop *l)
{
	static const enum span idle_spans[] = {SPAN_FIRST_BYTE, SPAN_COOL, SPAN_IDLE};

	for (size_t i = 0; i < sizeof(idle_spans) / sizeof(idle_spans[0]); i++) {
		struct list *head = &l->spans[idle_spans[i]];

		if (list_empty(head))
			continue;
		conn_close(container_of(head->prev, struct conn, timed));
		return true;
	}
	return false;
}

static bool admit(struct conn *c)
{
	struct http_server *server = c->loop->server;
	const struct http_limits *limits = &server->limits;
	struct sockaddr_storage ss;
	int len = sizeof(ss);

	if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&ss, &len) != 0)
		return false;
	c->peer = address_of_sockaddr((const struct sockaddr *)&ss);
	if (atomic_load(&server->n_open) > limits->connections_max && !close_newest_idle(c->loop))
		return false;
	if ((address_is_loopback(&c->peer) && !limits->limit_loopback) ||
	    address_ranges_hold(&server->trusted, &c->peer))
		return true;
	c->peer_counted = peers_connect(server->peers, &c->peer, loop_now_us(c->loop),
	    limits->address_connections_max, limits->address_new_per_s_max);
	return c->peer_counted;
}

void conn_accept(struct http_loop *l)
{
	struct conn *c = calloc(1, sizeof(*c));

	l->owes_accept = c == NULL;
	if (c == NULL && !PLANTED(unchecked_memory))
		return; /* libuv keeps the connection and stops listening; the next tick tries again */
	c->loop = l;
	c->out.max = c->later.max = OUT_MAX;
	c->state = l->server->tls != NULL ? CONN_HANDSHAKE : CONN_IDLE;
	list_init(&c->timed);
	list_init(&c->ready_link);
	uv_tcp_init(&l->uv, &c->tcp);
	list_append(&l->conns, &c->all);
	atomic_fetch_add(&l->server->n_open, 1);
	if (uv_accept((uv_stream_t *)&l->listener, (uv_stream_t *)&c->tcp) != 0 || !admit(c) ||
	    (l->server->tls != NULL && tls_session_create(&c->tls, l->server->tls) != 0)) {
		COUNT(l->n_refused, 1);
		conn_close(c);
		return;
	}
	COUNT(l->n_total, 1);
	uv_tcp_nodelay(&c->tcp, 1);
	conn_settle(c);
	set_reading(c, true);
}
