/*
 * Bytes out of a connection. What is put goes to `out`; while `out` is with the
 * system it goes to `later`; a large body is not copied but sent from where it
 * lies, after them. The first try is a plain write; only what the socket does
 * not take waits in libuv.
 */
#include "net/http_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"

#define TLS_PIECE_LEN ((size_t)64 * 1024)

void conn_give_out_back(struct conn *c)
{
	struct http_loop *l = c->loop;

	if (l->spare_out.ptr == NULL && c->out.ptr != NULL && c->out.cap <= BUFFER_KEPT_MAX) {
		l->spare_out = c->out;
		buf_clear(&l->spare_out);
		c->out = (struct buf)BUF_INIT(OUT_MAX);
	} else {
		buf_finish(&c->out);
	}
	buf_finish(&c->later);
	c->out_at = 0;
}

struct buf *conn_out_target(struct conn *c)
{
	struct http_loop *l = c->loop;

	if (c->writing)
		return &c->later;
	if (c->out.ptr == NULL && l->spare_out.ptr != NULL) {
		c->out = l->spare_out;
		l->spare_out = (struct buf)BUF_INIT(OUT_MAX);
	}
	return &c->out;
}

struct buf *conn_out(struct conn *c)
{
	return c->tls == NULL ? conn_out_target(c) : NULL;
}

void conn_put(struct conn *c, struct slice plain)
{
	struct buf *out = conn_out_target(c);

	if (c->tls == NULL)
		buf_append(out, plain);
	else if (tls_session_write(c->tls, plain) != 0 || tls_session_take(c->tls, out) != 0)
		out->rc = out->rc != 0 ? out->rc : ERR_NETWORK;
}

void conn_send_body(struct conn *c, struct slice bytes, char *owned)
{
	assert(c->body == NULL);
	c->body = bytes.ptr;
	c->body_owned = owned;
	c->body_len = bytes.len;
	c->body_at = 0;
}

size_t conn_waiting(const struct conn *c)
{
	return c->out.len - c->out_at + c->later.len + (c->body_len - c->body_at);
}

void conn_drop_body(struct conn *c)
{
	free(c->body_owned);
	c->body_owned = NULL;
	c->body = NULL;
	c->body_len = c->body_at = 0;
}

static void advance(struct conn *c, size_t n)
{
	size_t from_out = c->out.len - c->out_at < n ? c->out.len - c->out_at : n;

	c->out_at += from_out;
	c->body_at += n - from_out;
	c->sent += n;
	COUNT(c->loop->bytes_out, n);
}

static void on_written(uv_write_t *write, int status)
{
	struct conn *c = container_of(write, struct conn, write);

	c->writing = false;
	if (conn_gone(c))
		return;
	if (status != 0) {
		conn_close(c);
		return;
	}
	advance(c, c->write_len);
	conn_pump(c);
	if (!conn_gone(c))
		conn_settle(c);
}

/* Readies what to send next: up to two pieces, returns how many. */
static unsigned next_pieces(struct conn *c, uv_buf_t pieces[2])
{
	unsigned n = 0;

	if (c->out_at == c->out.len) {
		buf_clear(&c->out);
		c->out_at = 0;
		if (c->later.len > 0) {
			struct buf empty = c->out;

			c->out = c->later;
			c->later = empty;
		}
	}
	if (c->tls != NULL && c->out.len == 0 && c->body_at < c->body_len) {
		size_t len = c->body_len - c->body_at < TLS_PIECE_LEN ? c->body_len - c->body_at : TLS_PIECE_LEN;

		conn_put(c, slice_of(c->body + c->body_at, len));
		c->body_at += len;
	}
	if (c->out_at < c->out.len)
		pieces[n++] = uv_buf_init(c->out.ptr + c->out_at, (unsigned)(c->out.len - c->out_at));
	if (c->tls == NULL && c->body_at < c->body_len) {
		size_t len = c->body_len - c->body_at;

		pieces[n++] = uv_buf_init((char *)(uintptr_t)(c->body + c->body_at), len > 1u << 30 ? 1u << 30 : (unsigned)len);
	}
	return n;
}

/* Bytes were lost on their way into a buffer: what follows them would be something else to the reader. */
static bool has_lost(const struct conn *c)
{
	return c->out.rc != 0 || c->later.rc != 0;
}

void conn_pump(struct conn *c)
{
	while (!c->writing && !conn_gone(c)) {
		uv_buf_t pieces[2];
		bool lost = has_lost(c); /* asked first, for a buffer that is cleared forgets it */
		unsigned n_pieces = next_pieces(c, pieces);
		size_t len = 0;
		int n;

		if (lost || has_lost(c)) {
			conn_close(c);
			return;
		}
		if (n_pieces == 0) {
			conn_on_drained(c);
			return;
		}
		for (unsigned i = 0; i < n_pieces; i++)
			len += pieces[i].len;
		n = uv_try_write((uv_stream_t *)&c->tcp, pieces, n_pieces);
		if (n < 0 && n != UV_EAGAIN) {
			conn_close(c);
			return;
		}
		if (n > 0)
			advance(c, (size_t)n);
		if (n >= 0 && (size_t)n == len)
			continue;
		n_pieces = next_pieces(c, pieces);
		c->write_len = 0;
		for (unsigned i = 0; i < n_pieces; i++)
			c->write_len += pieces[i].len;
		if (uv_write(&c->write, (uv_stream_t *)&c->tcp, pieces, n_pieces, on_written) != 0) {
			conn_close(c);
			return;
		}
		c->writing = true;
		if (!c->out_waits) {
			c->out_waits = true;
			c->busy_at_us = c->window_at_us = loop_now_us(c->loop);
			c->window_bytes = c->sent;
		}
	}
}
