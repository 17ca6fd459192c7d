/* A server for tests of ws_client.c that says what a test has for it, to the byte. */
#ifndef LULAB_TESTS_WS_PEER_H
#define LULAB_TESTS_WS_PEER_H

#include <check.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/thread.h"
#include "crypto/crypto.h"
#include "net/ws_client.h"

#define ACCEPT "{accept}" /* in an answer: what the client's key asks for */

/* One connection: reads the request, says `answer`, and keeps what else comes until the client is gone. */
struct peer {
	int listening, fd;
	unsigned port;
	struct slice answer;
	bool hangs_up; /* after its answer */
	pthread_t thread;
	char request[4096], rest[8192];
	size_t request_len, rest_len;
};

static inline void read_request(struct peer *p)
{
	while (p->request_len < sizeof(p->request) - 1 && strstr(p->request, "\r\n\r\n") == NULL) {
		ssize_t n = read(p->fd, p->request + p->request_len, sizeof(p->request) - 1 - p->request_len);

		if (n <= 0)
			return;
		p->request_len += (size_t)n;
	}
}

static inline void accept_of(const struct peer *p, char ret[BASE64_LEN(SHA1_LEN) + 1])
{
	const char *key = strstr(p->request, "Sec-WebSocket-Key: ");
	struct slice parts[2] = {SLICE(""), SLICE("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")};
	uint8_t digest[SHA1_LEN];

	if (key != NULL)
		parts[0] = slice_of(key + 19, strcspn(key + 19, "\r"));
	sha1(digest, parts, 2);
	base64_encode_to(ret, digest, sizeof(digest));
}

static inline void say(struct peer *p, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = send(p->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
	}
}

static inline void *serve(void *arg)
{
	struct peer *p = arg;
	const char *mark;
	char accepted[BASE64_LEN(SHA1_LEN) + 1];
	ssize_t n;

	thread_name("peer");
	p->fd = accept(p->listening, NULL, NULL);
	if (p->fd < 0)
		return NULL;
	read_request(p);
	mark = p->answer.len == 0 ? NULL : memmem(p->answer.ptr, p->answer.len, ACCEPT, strlen(ACCEPT));
	if (mark != NULL) {
		accept_of(p, accepted);
		say(p, slice_of(p->answer.ptr, (size_t)(mark - p->answer.ptr)));
		say(p, slice_str(accepted));
		mark += strlen(ACCEPT);
		say(p, slice_of(mark, p->answer.len - (size_t)(mark - p->answer.ptr)));
	} else {
		say(p, p->answer);
	}
	if (p->hangs_up)
		shutdown(p->fd, SHUT_WR);
	while (p->rest_len < sizeof(p->rest) && (n = read(p->fd, p->rest + p->rest_len, sizeof(p->rest) - p->rest_len)) > 0)
		p->rest_len += (size_t)n;
	close(p->fd);
	return NULL;
}

static inline void peer_start(struct peer *p, struct slice answer, bool hangs_up)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);

	*p = (struct peer){.answer = answer, .hangs_up = hangs_up, .listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
	ck_assert_int_eq(bind(p->listening, (struct sockaddr *)&a, sizeof(a)), 0);
	ck_assert_int_eq(listen(p->listening, 1), 0);
	ck_assert_int_eq(getsockname(p->listening, (struct sockaddr *)&a, &len), 0);
	p->port = ntohs(a.sin_port);
	ck_assert_int_eq(pthread_create(&p->thread, NULL, serve, p), 0);
}

static inline void peer_end(struct peer *p)
{
	shutdown(p->listening, SHUT_RDWR);
	pthread_join(p->thread, NULL);
	close(p->listening);
}

static inline int open_to(struct peer *p, struct ws_client **ret, struct http_result *answer)
{
	char url[64];
	struct ws_call call = {.url = url, .message_max = 1000, .stop_fd = -1, .rng = &rng_system, .timeout_ms = 20000};

	snprintf(url, sizeof(url), "ws://127.0.0.1:%u/ws/v2?a=b&ticket=t", p->port);
	return ws_open(ret, &call, answer);
}

#define UPGRADED "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " ACCEPT "\r\n\r\n"

#endif
