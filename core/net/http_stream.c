/*
 * Streamed answers and server-sent events. What a handler writes is framed
 * into the connection's buffer at once; a full buffer pushes back until it has
 * left.
 */
#include "net/http_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"

#define HEARTBEAT_MS 15000
#define FRAME_ROOM 16 /* "ffffffff\r\n" and "\r\n" around a piece */

static void start(struct exchange *x, int status, const char *content_type)
{
	struct http_request *rq = &x->rq;
	struct conn *c = x->conn;
	struct buf head = BUF_INIT(OUT_MAX);

	assert(x->handed && !x->answered && !x->streaming);
	assert(answer_has_body(status));
	x->streaming = true;
	COUNT(c->loop->n_streams, 1);
	if (conn_gone(c))
		return;
	x->chunked = !rq->http_1_0 && !x->has_len;
	if (rq->http_1_0 && !rq->head && !x->has_len)
		c->close_after = true;
	answer_head(x, &head, status, content_type);
	if (x->chunked)
		buf_append(&head, SLICE("Transfer-Encoding: chunked\r\n"));
	else if (x->has_len)
		buf_printf(&head, "Content-Length: %" PRIu64 "\r\n", x->len);
	buf_append(&head, SLICE("\r\n"));
	conn_put(c, buf_slice(&head));
	if (head.rc != 0 || x->headers.rc != 0)
		conn_close(c);
	else
		conn_stream(c);
	buf_finish(&head);
}

void http_stream_start(struct http_request *rq, int status, const char *content_type)
{
	start(exchange_of(rq), status, content_type);
}

void http_stream_start_len(struct http_request *rq, int status, const char *content_type, uint64_t len)
{
	struct exchange *x = exchange_of(rq);

	x->has_len = true;
	x->len = len;
	start(x, status, content_type);
}

static void put_piece(struct exchange *x, struct slice bytes)
{
	char size[FRAME_ROOM];

	if (!x->chunked) {
		conn_put(x->conn, bytes);
		return;
	}
	snprintf(size, sizeof(size), "%zx\r\n", bytes.len);
	conn_put(x->conn, slice_str(size));
	conn_put(x->conn, bytes);
	conn_put(x->conn, SLICE("\r\n"));
}

int http_stream_write(struct http_request *rq, struct slice bytes)
{
	struct exchange *x = exchange_of(rq);
	struct conn *c = x->conn;
	size_t waiting = conn_waiting(c);

	assert(x->streaming && !x->answered);
	if (conn_gone(c) || rq->head)
		return ERR_CANCELLED;
	if (bytes.len > HTTP_STREAM_BUFFER)
		return ERR_TOO_BIG;
	if (bytes.len == 0)
		return 0;
	assert(!x->has_len || bytes.len <= x->len - x->outcome.bytes);
	if (waiting > 0 && waiting + bytes.len > HTTP_STREAM_BUFFER) {
		x->wants_drain = true;
		return ERR_BUSY;
	}
	put_piece(x, bytes);
	x->outcome.bytes += bytes.len;
	x->spoke_at_us = loop_now_us(c->loop);
	if (!c->writing)
		conn_stream(c);
	return conn_gone(c) ? ERR_CANCELLED : 0;
}

void stream_on_drained(struct exchange *x)
{
	if (!x->wants_drain || x->answered)
		return;
	x->wants_drain = false;
	if (x->rq.on_drain != NULL)
		x->rq.on_drain(&x->rq);
}

void http_stream_end(struct http_request *rq, bool complete)
{
	struct exchange *x = exchange_of(rq);
	struct conn *c = x->conn;

	assert(x->streaming && !x->answered);
	x->answered = true;
	if (conn_gone(c)) {
		exchange_end(x);
		return;
	}
	if (!complete || (x->has_len && !rq->head && x->outcome.bytes != x->len)) {
		conn_reset(c);
		return;
	}
	if (x->chunked && !rq->head)
		conn_put(c, SLICE("0\r\n\r\n"));
	conn_answer(c);
}

void http_sse_start(struct http_request *rq, unsigned heartbeat_ms)
{
	struct exchange *x = exchange_of(rq);

	x->is_sse = true;
	x->heartbeat_us = (int64_t)(heartbeat_ms != 0 ? heartbeat_ms : HEARTBEAT_MS) * 1000;
	x->spoke_at_us = loop_now_us(x->conn->loop);
	/* nginx would gather events in its buffer otherwise. */
	http_header(rq, "X-Accel-Buffering", SLICE("no"));
	http_stream_start(rq, 200, "text/event-stream; charset=utf-8");
}

void stream_on_tick(struct exchange *x, int64_t now_us)
{
	if (!x->is_sse || x->answered || now_us - x->spoke_at_us < x->heartbeat_us || conn_waiting(x->conn) > 0)
		return;
	http_stream_write(&x->rq, SLICE(":\n\n"));
}

int http_sse_send(struct http_request *rq, struct slice id, struct slice event, struct slice data)
{
	struct buf text = BUF_INIT(HTTP_STREAM_BUFFER);
	struct slice line, rest = data;
	bool more = true;
	int rc;

	if (id.len > 0)
		buf_printf(&text, "id: %.*s\n", SLICE_ARG(id));
	if (event.len > 0)
		buf_printf(&text, "event: %.*s\n", SLICE_ARG(event));
	while (more) {
		more = slice_cut(rest, '\n', &line, &rest);
		buf_append(&text, SLICE("data: "));
		buf_append(&text, line);
		buf_append_char(&text, '\n');
	}
	buf_append_char(&text, '\n');
	rc = text.rc != 0 ? text.rc : http_stream_write(rq, buf_slice(&text));
	buf_finish(&text);
	return rc;
}
