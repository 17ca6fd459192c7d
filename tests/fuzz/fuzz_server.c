/*
 * Fuzz entry: bytes sent to the whole server over a connection, in two pieces:
 * accept, parser, dispatch, handlers, answers. The first byte says where to
 * cut. What comes back must be whole answers, one for each request the server
 * says it answered, with the same status and in the same order, and then the
 * end of the connection; and the server must go on to answer the next one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "fuzz.h"
#include "net/http.h"

#define OUTCOMES_MAX 4096
#define ANSWERS_MAX ((size_t)16 << 20)
#define WAIT_S 20

/* ---- the server ---- */

struct told {
	int status;
	bool head;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static struct told told[OUTCOMES_MAX];
static unsigned n_told;

static void on_answered(void *app, const struct http_request *rq, const struct http_outcome *outcome)
{
	(void)app;
	/* Given up without an answer; told when the connection is closed already, maybe after we have seen that. */
	if (outcome->status == 0)
		return;
	pthread_mutex_lock(&lock);
	check(n_told < OUTCOMES_MAX);
	told[n_told++] = (struct told){outcome->status, rq->head};
	pthread_mutex_unlock(&lock);
}

static void get_item(struct http_request *rq)
{
	struct slice value;

	http_header_printf(rq, "X-Item", "%zu", http_request_param(rq, "id").len);
	http_request_query(rq, "q", &value);
	http_request_accepts(rq, "text/csv");
	http_request_bearer(rq, &value);
	http_respond_slice(rq, 200, HTTP_TEXT, http_request_param(rq, "id"));
}

static void echo(struct http_request *rq)
{
	if (http_request_is(rq, "application/json"))
		http_respond_slice(rq, 201, HTTP_JSON, rq->body);
	else
		http_respond_slice(rq, 200, HTTP_TEXT, rq->body);
}

static void drop(struct http_request *rq)
{
	struct http_problem_item item = {SLICE("body"), SLICE("dropped"), rq->query_text};

	http_problem(rq, 422, "dropped", "The body was not wanted.", &item, 1);
}

static void stream(struct http_request *rq)
{
	http_stream_start(rq, 200, HTTP_TEXT);
	for (int i = 0; i < 3; i++)
		http_stream_write(rq, SLICE("some of it\n"));
	http_stream_end(rq, true);
}

static void events(struct http_request *rq)
{
	http_sse_start(rq, 0);
	http_sse_send(rq, SLICE("1"), SLICE("test"), rq->path);
	http_stream_end(rq, true);
}

static void nothing(struct http_request *rq)
{
	http_respond(rq, 204, NULL, NULL);
}

static int authorize(void *app, struct http_request *rq, const char **ret_detail)
{
	struct slice token;

	(void)app;
	*ret_detail = "Who are you?";
	return !http_request_bearer(rq, &token) ? 401 : slice_is(token, "good") ? 0 : 403;
}

static bool cors(void *app, struct slice origin, bool *ret_credentials)
{
	(void)app;
	*ret_credentials = true;
	return slice_is(origin, "https://ours.example");
}

static const struct route routes[] = {
	{.method = HTTP_GET, .path = "/items/{id}", .handler = get_item, .flags = ROUTE_PUBLIC | ROUTE_REPEATS},
	{.method = HTTP_POST, .path = "/echo", .handler = echo, .flags = ROUTE_PUBLIC, .body_max = 1024},
	{.method = HTTP_PUT, .path = "/drop", .handler = drop, .flags = ROUTE_PUBLIC | ROUTE_DISCARD_BODY},
	{.method = HTTP_GET, .path = "/stream", .handler = stream, .flags = ROUTE_PUBLIC},
	{.method = HTTP_GET, .path = "/events", .handler = events, .flags = ROUTE_PUBLIC},
	{.method = HTTP_DELETE, .path = "/items/{id}", .handler = nothing},
	{.method = HTTP_GET, .path = "/healthz", .handler = nothing, .flags = ROUTE_PUBLIC | ROUTE_ESSENTIAL},
	{0},
};

static unsigned start(void)
{
	static const struct route *const tables[] = {routes, NULL};
	struct http_options options = {.listen = "127.0.0.1:0", .loops = 1, .routes = tables, .authorize = authorize,
	    .cors = cors, .on_answered = on_answered, .rate_general = {0, 1}, .rate_meetings = {0, 1},
	    .trusted_proxies = "127.0.0.0/8"};
	struct http_server *server;

	check(http_server_start(&server, &options, NULL) == 0);
	return http_server_port(server); /* it runs until the process ends */
}

/* ---- the client ---- */

static int say(unsigned port, struct slice bytes, size_t cut)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval wait = {.tv_sec = WAIT_S};
	/* No TIME_WAIT: there are more inputs than ports. */
	struct linger now = {.l_onoff = 1};
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	check(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	check(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	if (cut > 0)
		send(fd, bytes.ptr, cut, MSG_NOSIGNAL);
	if (cut > 0 && cut < bytes.len)
		sched_yield();
	if (cut < bytes.len)
		send(fd, bytes.ptr + cut, bytes.len - cut, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	return fd;
}

/* All that comes; true when the connection was ended in order, not reset. */
static bool hear(int fd, struct buf *in)
{
	ssize_t n;

	do {
		char *to = buf_reserve(in, 65536);

		check(to != NULL);
		n = recv(fd, to, 65536, 0);
		check(n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK)); /* it hangs */
		if (n > 0)
			buf_commit(in, (size_t)n);
	} while (n > 0);
	close(fd);
	return n == 0;
}

/* ---- what the answers must be ---- */

struct answer {
	int status;
	struct slice fields;
};

static bool take_line(struct slice *rest, struct slice *ret_line)
{
	const char *end = rest->len < 2 ? NULL : memmem(rest->ptr, rest->len, "\r\n", 2);

	if (end == NULL)
		return false;
	*ret_line = slice_of(rest->ptr, (size_t)(end - rest->ptr));
	*rest = slice_of(end + 2, rest->len - ret_line->len - 2);
	return true;
}

static bool take_head(struct slice *rest, struct answer *ret)
{
	struct slice line, name, value;
	char status[4] = {0};

	if (!take_line(rest, &line))
		return false;
	check(line.len > 13 && slice_starts_with(line, SLICE("HTTP/1.1 ")) && line.ptr[12] == ' ');
	memcpy(status, line.ptr + 9, 3);
	ret->status = (int)strtol(status, NULL, 10);
	check(ret->status >= 100 && ret->status < 600);
	ret->fields = *rest;
	while (take_line(rest, &line)) {
		if (line.len == 0) {
			ret->fields.len = (size_t)(rest->ptr - ret->fields.ptr);
			return true;
		}
		check(slice_cut(line, ':', &name, &value) && name.len > 0);
	}
	return false;
}

static bool field(const struct answer *a, const char *wanted, struct slice *ret_value)
{
	struct slice rest = a->fields, line, name, value;
	bool found = false;

	while (take_line(&rest, &line)) {
		if (slice_cut(line, ':', &name, &value) && slice_eq_nocase(name, slice_str(wanted))) {
			check(!found);
			found = true;
			*ret_value = slice_trim(value);
		}
	}
	return found;
}

static bool skip(struct slice *rest, size_t n)
{
	if (rest->len < n)
		return false;
	*rest = slice_of(rest->ptr + n, rest->len - n);
	return true;
}

static bool skip_chunks(struct slice *rest)
{
	struct slice line;

	while (take_line(rest, &line)) {
		char digits[17] = {0};
		size_t n;

		check(line.len > 0 && line.len < sizeof(digits));
		memcpy(digits, line.ptr, line.len);
		n = strtoul(digits, NULL, 16);
		if (!skip(rest, n))
			return false;
		if (!take_line(rest, &line))
			return false;
		check(line.len == 0);
		if (n == 0)
			return true;
	}
	return false;
}

static bool skip_body(struct slice *rest, const struct answer *a, bool head)
{
	struct slice value;
	uint64_t len;

	if (head || a->status == 204 || a->status == 304)
		return true;
	if (field(a, "transfer-encoding", &value)) {
		check(slice_is(value, "chunked"));
		return skip_chunks(rest);
	}
	if (field(a, "content-length", &value)) {
		check(slice_to_u64(value, &len) == 0);
		return skip(rest, len);
	}
	return skip(rest, rest->len); /* until the end, as HTTP/1.0 has it */
}

/* Answers that were cut short by a reset are not looked at; before that, and without one, all must be there. */
static void match(struct slice rest, bool whole)
{
	struct answer interim;

	for (unsigned i = 0; i < n_told; i++) {
		struct answer a;

		do {
			if (!take_head(&rest, &a)) {
				check(!whole);
				return;
			}
		} while (a.status == 100);
		check(a.status == told[i].status);
		if (!skip_body(&rest, &a, told[i].head)) {
			check(!whole);
			return;
		}
	}
	/* A client that was told to go on, and did not, gets no answer. */
	if (slice_starts_with(rest, SLICE("HTTP/1.1 100 ")) && !take_head(&rest, &interim)) {
		check(!whole);
		return;
	}
	check(rest.len == 0);
}

/*
 * libFuzzer's alarm, every so many seconds, would end the calls on the socket, which have limits of their own, with EINTR:
 * an answer that is not waited for.
 */
static void hold_alarms(int how)
{
	sigset_t alarms;

	sigemptyset(&alarms);
	sigaddset(&alarms, SIGALRM);
	pthread_sigmask(how, &alarms, NULL);
}

static void ask(unsigned port, struct slice bytes, size_t cut)
{
	struct buf in = BUF_INIT(ANSWERS_MAX);
	bool whole;

	hold_alarms(SIG_BLOCK);
	pthread_mutex_lock(&lock);
	n_told = 0;
	pthread_mutex_unlock(&lock);
	whole = hear(say(port, bytes, cut), &in);
	hold_alarms(SIG_UNBLOCK);
	pthread_mutex_lock(&lock);
	match(buf_slice(&in), whole);
	pthread_mutex_unlock(&lock);
	buf_finish(&in);
}

void fuzz_one(struct slice input)
{
	static unsigned port, n;

	if (port == 0)
		port = start();
	if (input.len < 2)
		return;
	ask(port, slice_of(input.ptr + 1, input.len - 1), (uint8_t)input.ptr[0] % input.len);
	if (++n % 64 == 0) {
		ask(port, SLICE("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
		check(n_told == 1 && told[0].status == 204);
	}
}
