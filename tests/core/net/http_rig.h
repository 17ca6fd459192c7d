/*
 * A raw client for tests of the server: it says exactly the bytes it is told
 * to, and reads one answer at a time. Every wait has an end, after which the
 * test fails: 50 s, for a machine may be busy.
 */
#ifndef LULAB_TESTS_HTTP_RIG_H
#define LULAB_TESTS_HTTP_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "lib/run.h"
#include "net/http.h"

#define WAIT_US INT64_C(50000000)

/* Looks again and again until the condition holds; fails the test when it never does. */
#define wait_until(condition)                                                                      \
	do {                                                                                       \
		int64_t end_us_ = clock_monotonic_us(&clock_system) + WAIT_US;                     \
		while (!(condition)) {                                                             \
			ck_assert_msg(clock_monotonic_us(&clock_system) < end_us_, "waited in vain: %s", \
			    #condition);                                                           \
			sched_yield();                                                             \
		}                                                                                  \
	} while (0)

struct client {
	int fd;
	struct buf in; /* read and not yet taken */
};

struct answer {
	int status;
	struct buf head; /* status line and fields, without the empty line */
	struct buf body;
};

static inline struct client client_connect(unsigned port)
{
	struct client c = {.fd = socket(AF_INET, SOCK_STREAM, 0), .in = BUF_INIT(64 << 20)};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval wait = {.tv_sec = WAIT_US / 1000000};
	int one = 1;

	ck_assert_int_ge(c.fd, 0);
	setsockopt(c.fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(c.fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(c.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	ck_assert_int_eq(connect(c.fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return c;
}

static inline void client_close(struct client *c)
{
	close(c->fd);
	buf_finish(&c->in);
}

static inline void client_send(struct client *c, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

		ck_assert_msg(n > 0, "the server does not take our bytes");
		bytes.ptr += n;
		bytes.len -= (size_t)n;
	}
}

static inline void client_say(struct client *c, const char *text)
{
	client_send(c, slice_str(text));
}

/* Reads some; false at the end of the connection, however it came. */
static inline bool client_read(struct client *c)
{
	char *to = buf_reserve(&c->in, 65536);
	ssize_t n;

	ck_assert_ptr_nonnull(to);
	n = recv(c->fd, to, 65536, 0);
	ck_assert_msg(n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK), "no answer came");
	if (n <= 0)
		return false;
	buf_commit(&c->in, (size_t)n);
	return true;
}

/* Nothing more comes. Bytes that did come are left in c->in. */
static inline bool client_at_end(struct client *c)
{
	size_t len = c->in.len;

	return !client_read(c) && c->in.len == len;
}

static inline void client_need(struct client *c, size_t len)
{
	while (c->in.len < len)
		ck_assert_msg(client_read(c), "the connection ended within an answer");
}

static inline size_t client_need_line(struct client *c, size_t from, const char *end)
{
	const char *at;

	while (c->in.len <= from || (at = memmem(c->in.ptr + from, c->in.len - from, end, strlen(end))) == NULL)
		ck_assert_msg(client_read(c), "the connection ended within an answer: %s", c->in.ptr == NULL ? "" : c->in.ptr);
	return (size_t)(at - c->in.ptr);
}

static inline bool answer_field(const struct answer *a, const char *name, struct slice *ret_value)
{
	struct slice line, rest = buf_slice(&a->head), head, value;

	*ret_value = (struct slice){0};
	while (rest.len > 0) {
		slice_cut(rest, '\n', &line, &rest);
		if (slice_cut(line, ':', &head, &value) && slice_eq_nocase(head, slice_str(name))) {
			*ret_value = slice_trim(value);
			return true;
		}
	}
	return false;
}

static inline struct slice answer_value(const struct answer *a, const char *name)
{
	struct slice value;

	answer_field(a, name, &value);
	return value;
}

static inline void answer_finish(struct answer *a)
{
	buf_finish(&a->head);
	buf_finish(&a->body);
}

static inline void take_chunks(struct client *c, struct answer *a)
{
	for (;;) {
		size_t eol = client_need_line(c, 0, "\r\n");
		size_t len = strtoul(c->in.ptr, NULL, 16);

		client_need(c, eol + 2 + len + 2);
		buf_append(&a->body, slice_of(c->in.ptr + eol + 2, len));
		ck_assert(memcmp(c->in.ptr + eol + 2 + len, "\r\n", 2) == 0);
		buf_consume(&c->in, eol + 2 + len + 2);
		if (len == 0)
			return;
	}
}

/* The head only; what follows stays in c->in. */
static inline struct answer client_head(struct client *c)
{
	struct answer a = {.head = BUF_INIT(1 << 20), .body = BUF_INIT(64 << 20)};
	size_t end = client_need_line(c, 0, "\r\n\r\n");

	ck_assert_int_eq(sscanf(c->in.ptr, "HTTP/1.1 %d ", &a.status), 1);
	buf_append(&a.head, slice_of(c->in.ptr, end + 2));
	buf_consume(&c->in, end + 4);
	return a;
}

static inline struct answer client_answer(struct client *c, bool has_body)
{
	struct answer a = client_head(c);
	struct slice value;
	uint64_t len = 0;

	if (!has_body || a.status == 204 || a.status == 304 || a.status < 200)
		return a;
	if (answer_field(&a, "transfer-encoding", &value)) {
		take_chunks(c, &a);
	} else if (answer_field(&a, "content-length", &value)) {
		ck_assert_int_eq(slice_to_u64(value, &len), 0);
		client_need(c, len);
		buf_append(&a.body, slice_of(c->in.ptr, len));
		buf_consume(&c->in, len);
	} else {
		while (client_read(c))
			;
		buf_append(&a.body, buf_slice(&c->in));
		buf_clear(&c->in);
	}
	return a;
}

/* One request, one answer, one connection. */
static inline struct answer ask(unsigned port, const char *request)
{
	struct client c = client_connect(port);
	struct answer a;

	client_say(&c, request);
	a = client_answer(&c, strncmp(request, "HEAD ", 5) != 0);
	client_close(&c);
	return a;
}

static inline int ask_status(unsigned port, const char *request)
{
	struct answer a = ask(port, request);
	int status = a.status;

	answer_finish(&a);
	return status;
}

#endif
