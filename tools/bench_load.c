/* See bench_load.h. */
#include "bench_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "command.h"

#define REQUEST_MAX ((size_t)1 << 20)
#define ANSWER_MAX ((size_t)4 << 20)
#define EVENTS_MAX 256
#define DRAIN_US 5000000

struct conn {
	int fd;
	bool busy;
	bool close_after;
	int64_t due_us;  /* what its time counts from */
	struct buf out;
	size_t sent;
	struct buf in;
	struct conn *next_idle;
};

struct load {
	const struct load_options *options;
	struct load_result *result;
	int epoll_fd;
	struct conn *conns;
	struct conn *idle, **last_idle; /* that has waited longest comes first: all get something to do */
	unsigned n_busy;
	uint64_t next;          /* number of the next request */
	int64_t start_us, count_from_us, end_us;
	uint64_t n_due;         /* open loop: requests given a time so far */
};

static int64_t now_us(const struct load *l)
{
	return clock_monotonic_us(l->options->clock);
}

static int conn_open(struct load *l, struct conn *c)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->options->port)};
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
	int one = 1;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return err_from_errno(errno);
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		return ERR_NETWORK;
	fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0)
		return err_from_errno(errno);
	return 0;
}

static void conn_close(struct conn *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->close_after = false;
	buf_clear(&c->in);
}

static void add_idle(struct load *l, struct conn *c)
{
	c->next_idle = NULL;
	*l->last_idle = c;
	l->last_idle = &c->next_idle;
}

static void set_idle(struct load *l, struct conn *c)
{
	c->busy = false;
	l->n_busy--;
	add_idle(l, c);
}

/* The connection ended under a request, or said nothing we understand. */
static int conn_broken(struct load *l, struct conn *c)
{
	conn_close(c);
	if (c->busy) {
		l->result->broken++;
		set_idle(l, c);
	}
	return conn_open(l, c);
}

static int conn_write(struct load *l, struct conn *c)
{
	while (c->sent < c->out.len) {
		ssize_t n = send(c->fd, c->out.ptr + c->sent, c->out.len - c->sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n < 0)
			return conn_broken(l, c);
		c->sent += (size_t)n;
	}
	return 0;
}

static int conn_send(struct load *l, struct conn *c, int64_t due_us)
{
	int rc;

	buf_clear(&c->out);
	c->sent = 0;
	rc = l->options->make(l->options->arg, l->next, &c->out);
	if (rc != 0)
		return rc;
	l->next++;
	l->result->sent++;
	c->busy = true;
	l->n_busy++;
	/* A closed loop counts from here: making the request is not the server's time. */
	c->due_us = l->options->rate > 0 ? due_us : now_us(l);
	return conn_write(l, c);
}

/* The two headers of an answer that matter here, or empty; in one pass, for what we spend the server has not. */
static void read_head(struct slice head, struct slice *ret_connection, struct slice *ret_length)
{
	struct slice line, field, value;

	*ret_connection = *ret_length = (struct slice){0};
	while (head.len > 0) {
		slice_cut(head, '\n', &line, &head);
		if (line.len == 0 || (line.ptr[0] | 0x20) != 'c' || !slice_cut(line, ':', &field, &value))
			continue;
		if (ret_connection->len == 0 && slice_eq_nocase(field, SLICE("connection")))
			*ret_connection = slice_trim(value);
		else if (ret_length->len == 0 && slice_eq_nocase(field, SLICE("content-length")))
			*ret_length = slice_trim(value);
	}
}

/* Length of the whole answer when all of it is there, 0 when not yet, negative when it is none. */
static ssize_t answer_len(struct conn *c, int *ret_status)
{
	const char *end = c->in.len == 0 ? NULL : memmem(c->in.ptr, c->in.len, "\r\n\r\n", 4);
	struct slice head, connection, length;
	uint64_t body_len = 0, status;

	if (end == NULL)
		return c->in.len > 65536 ? -1 : 0;
	head = slice_of(c->in.ptr, (size_t)(end - c->in.ptr) + 2);
	if (head.len < 13 || !slice_starts_with(head, SLICE("HTTP/1.1 ")) ||
	    slice_to_u64(slice_of(head.ptr + 9, 3), &status) != 0)
		return -1;
	*ret_status = (int)status;
	read_head(head, &connection, &length);
	c->close_after = slice_eq_nocase(connection, SLICE("close"));
	if (length.len > 0 && status != 304 && slice_to_u64(length, &body_len) != 0)
		return -1;
	if (length.len == 0 && status != 304 && status != 204)
		return -1;
	if (body_len > ANSWER_MAX)
		return -1;
	return c->in.len >= head.len + 2 + body_len ? (ssize_t)(head.len + 2 + body_len) : 0;
}

static void count_answer(struct load *l, const struct conn *c, int status)
{
	struct load_result *r = l->result;
	int64_t now = now_us(l);

	if (status == 503 || status == 429) {
		r->refused++;
	} else if (status != l->options->expect) {
		r->wrong++;
		r->wrong_status = status;
	} else {
		r->ok_all++;
		if (now >= l->count_from_us && now < l->end_us) {
			r->ok++;
			bench_histogram_add(&r->latency, now - c->due_us);
		}
	}
}

static int conn_read(struct load *l, struct conn *c)
{
	while (c->fd >= 0) {
		char *at = buf_reserve(&c->in, 4096);
		ssize_t n, len;
		int status = 0;

		if (at == NULL)
			return c->in.rc;
		n = recv(c->fd, at, c->in.cap - c->in.len - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return 0;
		if (n <= 0)
			return conn_broken(l, c);
		/* At a very low rate some have nothing to do for so long that the server ends them (408). */
		if (!c->busy)
			return conn_broken(l, c);
		buf_commit(&c->in, (size_t)n);
		len = answer_len(c, &status);
		if (len == 0)
			continue;
		if (len < 0) {
			l->result->wrong++;
			return conn_broken(l, c);
		}
		count_answer(l, c, status);
		buf_consume(&c->in, (size_t)len);
		set_idle(l, c);
		if (c->close_after) {
			conn_close(c);
			return conn_open(l, c);
		}
		/* Most answers come in one piece: leave finding that nothing follows to the next event. */
		return 0;
	}
	return 0;
}

static bool is_enough(const struct load *l)
{
	return l->options->requests_max > 0 && l->result->sent >= l->options->requests_max;
}

/* Gives work to idle connections: all of them, or as much as is due. *ret_next_us: when more is due. */
static int feed(struct load *l, int64_t *ret_next_us)
{
	double rate = l->options->rate;

	*ret_next_us = l->end_us;
	while (l->idle != NULL) {
		int64_t now = now_us(l), due = now;
		struct conn *c = l->idle;
		int rc;

		if (now >= l->end_us || is_enough(l))
			return 0;
		if (rate > 0) {
			due = l->start_us + (int64_t)((double)l->n_due * 1e6 / rate);
			if (due > now) {
				*ret_next_us = due;
				return 0;
			}
			l->n_due++;
		}
		l->idle = c->next_idle;
		if (l->idle == NULL)
			l->last_idle = &l->idle;
		rc = conn_send(l, c, due);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int turn(struct load *l, int64_t until_us)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t wait_us = until_us - now_us(l);
	struct timespec wait = {0};
	int n;

	if (wait_us > 0) {
		wait.tv_sec = wait_us / 1000000;
		wait.tv_nsec = wait_us % 1000000 * 1000;
	}
	n = epoll_pwait2(l->epoll_fd, events, EVENTS_MAX, &wait, NULL);
	if (n < 0 && errno != EINTR)
		return err_from_errno(errno);
	for (int i = 0; i < n; i++) {
		struct conn *c = events[i].data.ptr;
		int rc = 0;

		if (events[i].events & EPOLLOUT && c->busy)
			rc = conn_write(l, c);
		if (rc == 0 && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
			rc = conn_read(l, c);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int run(struct load *l)
{
	const struct load_options *o = l->options;
	int64_t next_us;
	int rc;

	l->last_idle = &l->idle;
	for (unsigned i = 0; i < o->connections; i++) {
		rc = conn_open(l, &l->conns[i]);
		if (rc != 0)
			return rc;
		add_idle(l, &l->conns[i]);
	}
	l->start_us = now_us(l);
	l->count_from_us = l->start_us + (int64_t)(o->warmup_seconds * 1e6);
	l->end_us = l->count_from_us + (int64_t)(o->seconds * 1e6);
	while (now_us(l) < l->end_us && !(is_enough(l) && l->n_busy == 0)) {
		if (command_interrupted())
			return ERR_CANCELLED;
		rc = feed(l, &next_us);
		if (rc == 0)
			rc = turn(l, next_us);
		if (rc != 0)
			return rc;
	}
	l->result->span_us = now_us(l) - l->count_from_us;
	if (o->rate > 0) {
		uint64_t due = (uint64_t)((double)(l->end_us - l->start_us) * o->rate / 1e6);

		l->result->backlog = due > l->n_due ? due - l->n_due : 0;
	}
	/* What is in flight still gets its answer, so that the server's books can be compared with ours. */
	while (l->n_busy > 0 && now_us(l) < l->end_us + DRAIN_US) {
		rc = turn(l, l->end_us + DRAIN_US);
		if (rc != 0)
			return rc;
	}
	l->result->broken += l->n_busy;
	return 0;
}

int load_run(const struct load_options *options, struct load_result *ret_result)
{
	struct load l = {.options = options, .result = ret_result, .next = options->first};
	int rc;

	memset(ret_result, 0, sizeof(*ret_result));
	l.conns = calloc(options->connections, sizeof(*l.conns));
	if (l.conns == NULL)
		return ERR_NOMEM;
	for (unsigned i = 0; i < options->connections; i++)
		l.conns[i] = (struct conn){.fd = -1, .out = BUF_INIT(REQUEST_MAX), .in = BUF_INIT(ANSWER_MAX + 65536)};
	l.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	rc = l.epoll_fd < 0 ? err_from_errno(errno) : run(&l);
	for (unsigned i = 0; i < options->connections; i++) {
		conn_close(&l.conns[i]);
		buf_finish(&l.conns[i].out);
		buf_finish(&l.conns[i].in);
	}
	if (l.epoll_fd >= 0)
		close(l.epoll_fd);
	free(l.conns);
	return rc;
}

void load_merge(struct load_result *r, const struct load_result *other)
{
	r->sent += other->sent;
	r->ok += other->ok;
	r->ok_all += other->ok_all;
	r->refused += other->refused;
	r->wrong += other->wrong;
	r->broken += other->broken;
	r->backlog += other->backlog;
	r->span_us += other->span_us;
	if (other->wrong_status != 0)
		r->wrong_status = other->wrong_status;
	bench_histogram_merge(&r->latency, &other->latency);
}
