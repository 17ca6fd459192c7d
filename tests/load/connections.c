/* See connections.h. */
#include "load/connections.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

#define REQUEST_MAX ((size_t)64 << 10)
#define ANSWER_MAX ((size_t)64 << 10)
#define EVENTS_MAX 256
#define REOPEN_US 3000
#define RETRY_US 2000 /* while nobody listens: a test that starts a server wants the processors for it */

/* CLOSED --> CONNECTING --> IDLE <--> BUSY; back to CLOSED from any. */
struct conn {
	enum { CLOSED, CONNECTING, IDLE, BUSY } state;
	int fd;
	unsigned address;
	bool close_after;
	uint32_t number;   /* of the request in flight */
	int64_t due_us;    /* what its time counts from */
	int64_t open_at_us; /* closed: not before */
	struct buf out, in;
	size_t sent;
	struct conn *next; /* in the list of its state */
};

struct connections {
	struct connections_options o;
	struct connections_stats stats;
	int epoll_fd;
	struct conn *conns;
	struct conn *idle;
	struct conn *closed, **closed_end; /* oldest first, so the first may be opened first */
	unsigned n_busy, n_connecting;
	unsigned width; /* of them may be busy; 0: all */
	bool down;          /* the last attempt to connect failed: one at a time... */
	int64_t retry_at_us; /* ...and not before */
	bool paused;
	int64_t start_us;   /* open loop: when its time began */
	uint64_t n_due;     /* requests given a time so far */
};

int64_t connections_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct connections_stats *connections_stats(struct connections *c)
{
	return &c->stats;
}

unsigned connections_busy(const struct connections *c)
{
	return c->n_busy;
}

/* ---- opening and closing --------------------------------------------------- */

static void conn_close(struct connections *c, struct conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	if (conn->state == CONNECTING)
		c->n_connecting--;
	conn->fd = -1;
	conn->state = CLOSED;
	conn->close_after = false;
	conn->open_at_us = connections_now_us() + REOPEN_US;
	buf_clear(&conn->in);
	conn->next = NULL;
	*c->closed_end = conn;
	c->closed_end = &conn->next;
}

static void set_idle(struct connections *c, struct conn *conn)
{
	conn->state = IDLE;
	conn->next = c->idle;
	c->idle = conn;
}

static void unlink_idle(struct connections *c, struct conn *conn)
{
	struct conn **at = &c->idle;

	while (*at != conn)
		at = &(*at)->next;
	*at = conn->next;
}

/* The connection ended; a request in flight stays without an answer. */
static void conn_broken(struct connections *c, struct conn *conn)
{
	bool busy = conn->state == BUSY;

	if (conn->state == IDLE)
		unlink_idle(c, conn);
	if (conn->state == CONNECTING) {
		c->down = true;
		c->retry_at_us = connections_now_us() + RETRY_US;
		c->stats.failed++;
	}
	conn_close(c, conn);
	if (busy) {
		c->n_busy--;
		c->o.on_answer(c->o.arg, conn->number, 0, (struct slice){0});
	}
}

static int conn_connect(struct connections *c, struct conn *conn)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)c->o.port)};
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = conn};
	int one = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + conn->address);
	conn->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (conn->fd < 0)
		return err_from_errno(errno);
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(conn->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (c->o.addresses > 0 && bind(conn->fd, (struct sockaddr *)&from, sizeof(from)) != 0)
		return err_from_errno(errno);
	conn->state = CONNECTING;
	c->n_connecting++;
	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event) != 0)
		return err_from_errno(errno);
	if (connect(conn->fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
		conn_broken(c, conn);
	return 0;
}

/* When the next closed connection may be opened; INT64_MAX: when one of those that are being opened has ended. */
static int64_t next_open_us(const struct connections *c)
{
	if (c->closed == NULL || (c->down && c->n_connecting > 0))
		return INT64_MAX;
	return c->down && c->retry_at_us > c->closed->open_at_us ? c->retry_at_us : c->closed->open_at_us;
}

/* Opens closed connections whose time has come: all of them, or one while nobody listens. */
static int open_closed(struct connections *c, int64_t now_us)
{
	while (next_open_us(c) <= now_us) {
		struct conn *conn = c->closed;
		int rc;

		c->closed = conn->next;
		if (c->closed == NULL)
			c->closed_end = &c->closed;
		rc = conn_connect(c, conn);
		if (rc != 0)
			return rc;
		if (c->down)
			break;
	}
	return 0;
}

static void conn_connected(struct connections *c, struct conn *conn)
{
	int error = 0;
	socklen_t len = sizeof(error);

	getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (error != 0) {
		conn_broken(c, conn);
		return;
	}
	if (c->down) { /* it listens again: what waits need not */
		c->down = false;
		for (struct conn *other = c->closed; other != NULL; other = other->next)
			other->open_at_us = 0;
	}
	c->n_connecting--;
	c->stats.opened++;
	set_idle(c, conn);
}

/* ---- requests and answers --------------------------------------------------- */

static void conn_write(struct connections *c, struct conn *conn)
{
	while (conn->sent < conn->out.len) {
		ssize_t n = send(conn->fd, conn->out.ptr + conn->sent, conn->out.len - conn->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			conn_broken(c, conn);
			return;
		}
		conn->sent += (size_t)n;
	}
}

/* Value of a header in an answer's head, or empty. */
static struct slice head_field(struct slice head, const char *name)
{
	struct slice line, field, value;

	while (head.len > 0) {
		slice_cut(head, '\n', &line, &head);
		if (slice_cut(line, ':', &field, &value) && slice_eq_nocase(field, slice_str(name)))
			return slice_trim(value);
	}
	return (struct slice){0};
}

/* True when all of the answer is there; *ret_status 0 when it is none. */
static bool take_answer(struct conn *conn, int *ret_status, struct slice *ret_body)
{
	const char *end = conn->in.len == 0 ? NULL : memmem(conn->in.ptr, conn->in.len, "\r\n\r\n", 4);
	struct slice head;
	uint64_t status = 0, body_len = 0;

	*ret_status = 0;
	if (end == NULL)
		return conn->in.len >= ANSWER_MAX / 2;
	head = slice_of(conn->in.ptr, (size_t)(end - conn->in.ptr) + 2);
	if (!slice_starts_with(head, SLICE("HTTP/1.1 ")) || head.len < 13 ||
	    slice_to_u64(slice_of(head.ptr + 9, 3), &status) != 0 ||
	    slice_to_u64(head_field(head, "content-length"), &body_len) != 0 || body_len > ANSWER_MAX / 2)
		return true;
	if (conn->in.len < head.len + 2 + body_len)
		return false;
	conn->close_after = slice_eq_nocase(head_field(head, "connection"), SLICE("close"));
	*ret_status = (int)status;
	*ret_body = slice_of(end + 4, (size_t)body_len);
	return true;
}

static void conn_answered(struct connections *c, struct conn *conn, int status, struct slice body)
{
	int64_t took_us = connections_now_us() - conn->due_us;

	if (status == 200)
		bench_histogram_add(&c->stats.ok, took_us);
	else if (status == 503)
		bench_histogram_add(&c->stats.refused, took_us);
	c->n_busy--;
	c->o.on_answer(c->o.arg, conn->number, status, body);
	buf_clear(&conn->in);
	if (conn->close_after)
		conn_close(c, conn);
	else
		set_idle(c, conn);
}

static void conn_read(struct connections *c, struct conn *conn)
{
	while (conn->state == IDLE || conn->state == BUSY) {
		char *at = buf_reserve(&conn->in, 2048);
		ssize_t n = at == NULL ? 0 : recv(conn->fd, at, conn->in.cap - conn->in.len - 1, 0);
		struct slice body = {0};
		int status;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n > 0)
			buf_commit(&conn->in, (size_t)n);
		if (n <= 0 || conn->state != BUSY) {
			conn_broken(c, conn);
			return;
		}
		if (!take_answer(conn, &status, &body))
			continue;
		if (status == 0) {
			conn_broken(c, conn);
			return;
		}
		conn_answered(c, conn, status, body);
		return; /* one request, one answer: what else there is, the next event tells */
	}
}

/* ---- what is due -------------------------------------------------------------- */

/* A connection that may send, or NULL. */
static struct conn *free_one(const struct connections *c)
{
	return c->width > 0 && c->n_busy >= c->width ? NULL : c->idle;
}

static bool conn_send(struct connections *c, struct conn *conn, int64_t due_us)
{
	buf_clear(&conn->out);
	conn->sent = 0;
	if (!c->o.make(c->o.arg, &conn->out, &conn->number))
		return false;
	c->idle = conn->next;
	conn->state = BUSY;
	conn->due_us = due_us;
	c->n_busy++;
	conn_write(c, conn);
	return true;
}

/* Gives up what is due for too long. */
static void drop_late(struct connections *c, int64_t now_us)
{
	double due_by = (double)(now_us - (int64_t)c->o.late_ms_max * 1000 - c->start_us) * c->o.rate / 1e6;

	if (c->o.late_ms_max == 0 || due_by <= (double)c->n_due)
		return;
	c->stats.given_up += (uint64_t)due_by - c->n_due;
	c->n_due = (uint64_t)due_by;
}

/* Gives work to idle connections: all of them, or as much as is due. When to come again. */
static int64_t feed(struct connections *c, int64_t until_us)
{
	int64_t now_us = connections_now_us(), due_us;

	if (c->paused)
		return until_us;
	if (c->o.rate == 0) {
		while (free_one(c) != NULL && conn_send(c, c->idle, connections_now_us()))
			continue;
		return until_us;
	}
	if (c->start_us == 0)
		c->start_us = now_us;
	drop_late(c, now_us);
	while (free_one(c) != NULL) {
		due_us = c->start_us + (int64_t)((double)c->n_due * 1e6 / c->o.rate);
		if (due_us > now_us)
			return due_us < until_us ? due_us : until_us;
		if (!conn_send(c, c->idle, due_us))
			return until_us;
		c->n_due++;
	}
	return until_us;
}

int connections_turn(struct connections *c, int64_t until_us)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t now_us = connections_now_us();
	struct timespec wait = {0};
	int n, rc;

	rc = open_closed(c, now_us);
	if (rc != 0)
		return rc;
	until_us = feed(c, until_us);
	if (next_open_us(c) < until_us)
		until_us = next_open_us(c);
	if (until_us > now_us) {
		wait.tv_sec = (until_us - now_us) / 1000000;
		wait.tv_nsec = (until_us - now_us) % 1000000 * 1000;
	}
	n = epoll_pwait2(c->epoll_fd, events, EVENTS_MAX, &wait, NULL);
	if (n < 0 && errno != EINTR)
		return err_from_errno(errno);
	for (int i = 0; i < n; i++) {
		struct conn *conn = events[i].data.ptr;

		if (conn == NULL)
			continue; /* what the caller watches */
		if (conn->state == CONNECTING)
			conn_connected(c, conn);
		else if (conn->state == BUSY && events[i].events & EPOLLOUT)
			conn_write(c, conn);
		if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP))
			conn_read(c, conn);
	}
	return 0;
}

void connections_pause(struct connections *c, bool pause)
{
	c->paused = pause;
	c->start_us = 0; /* what was not due while paused is not owed afterwards */
	c->n_due = 0;
}

void connections_set_rate(struct connections *c, double rate)
{
	c->o.rate = rate;
	c->start_us = 0;
	c->n_due = 0;
}

void connections_set_width(struct connections *c, unsigned width)
{
	c->width = width;
}

int connections_watch(struct connections *c, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};

	return epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : err_from_errno(errno);
}

int connections_create(struct connections **ret, const struct connections_options *options)
{
	struct connections *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NOMEM;
	c->o = *options;
	c->closed_end = &c->closed;
	c->down = true; /* nobody listens until one was reached */
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	c->conns = calloc(options->n, sizeof(*c->conns));
	if (c->epoll_fd < 0 || c->conns == NULL) {
		connections_destroy(c);
		return ERR_NOMEM;
	}
	for (unsigned i = 0; i < options->n; i++) {
		struct conn *conn = &c->conns[i];

		*conn = (struct conn){.fd = -1, .out = BUF_INIT(REQUEST_MAX), .in = BUF_INIT(ANSWER_MAX),
		    .address = options->addresses == 0 ? 0 : i % options->addresses};
		*c->closed_end = conn;
		c->closed_end = &conn->next;
	}
	*ret = c;
	return 0;
}

void connections_destroy(struct connections *c)
{
	if (c == NULL)
		return;
	for (unsigned i = 0; c->conns != NULL && i < c->o.n; i++) {
		if (c->conns[i].fd >= 0)
			close(c->conns[i].fd);
		buf_finish(&c->conns[i].out);
		buf_finish(&c->conns[i].in);
	}
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	free(c->conns);
	free(c);
}
