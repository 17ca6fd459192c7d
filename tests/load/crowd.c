/*
 * A crowd of connections that mean no good. A third sends a head and a third a
 * body, a byte now and then; a third asks for much and reads nothing. Whoever
 * is dropped comes back, until the crowd is told to leave. The test commands it
 * over stdin, a line each, and reads one line of JSON for each:
 *
 *     full    when all are there and have said their first words
 *     leave   from now on nobody comes back
 *     gone    when all were dropped
 *     stats   counts
 *
 * and ends it by closing stdin. Usage: crowd NAME=VALUE...; see `options`.
 *
 *     away --> new --(connected, FIRST_US)--> talking --(every DRIP_US)--> talking
 *     dropped from any: back to away
 *
 * Each waits in the list of its state, in the order in which it is due.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "load/control.h"

#define FIRST_US INT64_C(100000)
#define DRIP_US INT64_C(2000000)
#define BURST_US INT64_C(10000) /* what came too late is made up for so far */
#define EVENTS_MAX 256
#define DEAF_BUFFER_LEN 4096
#define TOLD SLICE("HTTP/1.1 408 ")

static struct {
	uint64_t port, connections, addresses, opens_per_s;
} given = {.connections = 1500, .addresses = 64, .opens_per_s = 4000};

static const struct control_option options[] = {
    {"port", &given.port},               /* on 127.0.0.1 */
    {"connections", &given.connections},
    {"addresses", &given.addresses},     /* they come from so many: one has not ports enough */
    {"opens_per_s", &given.opens_per_s}, /* no more come in a second, the first time and again */
};

enum kind { HEAD, BODY, READER, KINDS };

static struct {
	const char *name;
	size_t first;    /* so much of the text is said at once, the rest by and by */
	struct buf text;
	uint64_t opened, dropped, told, failed;
	int64_t longest_us; /* from connecting to being dropped */
} kinds[KINDS] = {
    [HEAD] = {.name = "slow head", .first = 50, .text = BUF_INIT(4096)},
    [BODY] = {.name = "slow body", .first = 80, .text = BUF_INIT(4096)},
    [READER] = {.name = "slow reader", .first = SIZE_MAX, .text = BUF_INIT(8192)},
};

struct guest {
	struct list link;
	enum kind kind;
	unsigned address;
	int fd;
	bool connected;
	int64_t due_us, since_us;
	size_t sent;
	char got[16]; /* the beginning of what it was told */
	size_t got_len;
};

static struct {
	struct guest *guests;
	struct list away, new, talking;
	int epoll_fd;
	uint64_t here, most;
	int64_t open_at_us; /* not before this may the next one come */
	bool leaving, full_wanted, gone_wanted;
	struct control control;
} crowd;

static int64_t now_us(void)
{
	return clock_monotonic_us(&clock_system);
}

static int make_texts(void)
{
	int rc;

	buf_append(&kinds[HEAD].text, SLICE("POST /webhooks/tencent HTTP/1.1\r\nHost: a\r\nX-Slow: "));
	buf_append(&kinds[BODY].text,
	    SLICE("POST /webhooks/tencent HTTP/1.1\r\nHost: a\r\nContent-Length: 4000\r\n\r\n{\"data\":\""));
	for (int i = 0; i < 400; i++) {
		buf_append_char(&kinds[HEAD].text, 'x');
		buf_append_char(&kinds[BODY].text, 'x');
	}
	for (int i = 0; i < 100; i++)
		buf_append(&kinds[READER].text, SLICE("GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"));
	rc = kinds[HEAD].text.rc != 0 ? kinds[HEAD].text.rc : kinds[BODY].text.rc;
	return rc != 0 ? rc : kinds[READER].text.rc;
}

/* ---- coming and going ------------------------------------------------------- */

static int come(struct guest *g)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)given.port)};
	struct sockaddr_in from = {.sin_family = AF_INET};
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = g};
	int one = 1, deaf = DEAF_BUFFER_LEN;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + g->address);
	g->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (g->fd < 0)
		return err_from_errno(errno);
	if (g->kind == READER)
		setsockopt(g->fd, SOL_SOCKET, SO_RCVBUF, &deaf, sizeof(deaf));
	setsockopt(g->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
	if (bind(g->fd, (struct sockaddr *)&from, sizeof(from)) != 0 ||
	    epoll_ctl(crowd.epoll_fd, EPOLL_CTL_ADD, g->fd, &event) != 0)
		return err_from_errno(errno);
	g->connected = false;
	g->sent = g->got_len = 0;
	g->since_us = now_us();
	g->due_us = g->since_us + FIRST_US;
	list_remove(&g->link);
	list_append(&crowd.new, &g->link);
	crowd.here++;
	kinds[g->kind].opened++;
	if (connect(g->fd, (struct sockaddr *)&to, sizeof(to)) != 0 && errno != EINPROGRESS)
		return err_from_errno(errno);
	return 0;
}

static void gone(struct guest *g)
{
	int64_t stayed_us = now_us() - g->since_us;

	close(g->fd);
	g->fd = -1;
	crowd.here--;
	list_remove(&g->link);
	list_append(&crowd.away, &g->link);
	if (!g->connected) {
		kinds[g->kind].failed++;
		return;
	}
	kinds[g->kind].dropped++;
	kinds[g->kind].told += slice_starts_with(slice_of(g->got, g->got_len), TOLD);
	if (stayed_us > kinds[g->kind].longest_us)
		kinds[g->kind].longest_us = stayed_us;
}

static int come_all(void)
{
	int64_t step_us = 1000000 / (int64_t)given.opens_per_s, now = now_us();
	int rc = 0;

	if (crowd.open_at_us < now - BURST_US)
		crowd.open_at_us = now - BURST_US;
	for (; rc == 0 && !crowd.leaving && !list_empty(&crowd.away) && crowd.open_at_us <= now;
	    crowd.open_at_us += step_us)
		rc = come(container_of(crowd.away.next, struct guest, link));
	if (crowd.here > crowd.most)
		crowd.most = crowd.here;
	return rc;
}

/* ---- talking ------------------------------------------------------------------ */

/* What a sender is told before it is dropped. False at the end. */
static bool hears(struct guest *g)
{
	for (;;) {
		char bytes[4096];
		ssize_t n = recv(g->fd, bytes, sizeof(bytes), 0);
		size_t keep = sizeof(g->got) - g->got_len;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n <= 0)
			return false;
		keep = (size_t)n < keep ? (size_t)n : keep;
		memcpy(g->got + g->got_len, bytes, keep);
		g->got_len += keep;
	}
}

/* Says a little more. */
static void talk(struct guest *g, int64_t now)
{
	struct slice text = buf_slice(&kinds[g->kind].text);
	size_t len = g->sent == 0 ? kinds[g->kind].first : 1;
	ssize_t n = 0;

	if (len > text.len - g->sent)
		len = text.len - g->sent;
	if (g->connected && len > 0)
		n = send(g->fd, text.ptr + g->sent, len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN) {
		if (g->kind != READER)
			hears(g); /* what it was told before */
		gone(g);
		return;
	}
	g->sent += n > 0 ? (size_t)n : 0;
	g->due_us = now + (g->sent > 0 ? DRIP_US : FIRST_US);
	list_remove(&g->link);
	list_append(g->sent > 0 ? &crowd.talking : &crowd.new, &g->link);
}

static void talk_all(struct list *list, int64_t now)
{
	while (!list_empty(list)) {
		struct guest *g = container_of(list->next, struct guest, link);

		if (g->due_us > now)
			return;
		talk(g, now);
	}
}

static void on_event(struct guest *g, uint32_t events)
{
	if (g->fd < 0)
		return; /* of a socket that was closed in this turn */
	if ((events & (EPOLLERR | EPOLLHUP)) == 0 && (events & EPOLLOUT) != 0)
		g->connected = true;
	/* Who does not read notices nothing but the reset. */
	if (g->kind == READER ? (events & (EPOLLERR | EPOLLHUP)) != 0
			      : (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 && !hears(g))
		gone(g);
}

/* ---- commands ------------------------------------------------------------------- */

static void print_stats(void)
{
	printf("{\"here\":%" PRIu64 ",\"most\":%" PRIu64 ",\"kinds\":{", crowd.here, crowd.most);
	for (int k = 0; k < KINDS; k++)
		printf("%s\"%s\":{\"opened\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"told\":%" PRIu64 ",\"failed\":%" PRIu64
		       ",\"longest_ms\":%" PRIi64 "}",
		    k > 0 ? "," : "", kinds[k].name, kinds[k].opened, kinds[k].dropped, kinds[k].told, kinds[k].failed,
		    kinds[k].longest_us / 1000);
	printf("}}\n");
}

static void command(void *arg, const char *line)
{
	(void)arg;
	if (strcmp(line, "full") == 0) {
		crowd.full_wanted = true;
		return;
	}
	if (strcmp(line, "gone") == 0) {
		crowd.gone_wanted = true;
		return;
	}
	if (strcmp(line, "leave") == 0)
		crowd.leaving = true;
	else if (strcmp(line, "stats") != 0)
		printf("{\"error\":\"unknown command\"}\n");
	print_stats();
}

static void answer_waiting(void)
{
	bool full = list_empty(&crowd.new) && list_empty(&crowd.away);

	if ((crowd.full_wanted && full) || (crowd.gone_wanted && crowd.here == 0)) {
		crowd.full_wanted = crowd.gone_wanted = false;
		print_stats();
	}
}

/* ---- the loop ---------------------------------------------------------------------- */

static int turn(void)
{
	struct epoll_event events[EVENTS_MAX];
	int64_t now = now_us();
	int rc = come_all();
	int n;

	if (rc != 0)
		return rc;
	talk_all(&crowd.new, now);
	talk_all(&crowd.talking, now);
	n = epoll_wait(crowd.epoll_fd, events, EVENTS_MAX, 10);
	if (n < 0 && errno != EINTR)
		return err_from_errno(errno);
	for (int i = 0; i < n; i++)
		if (events[i].data.ptr != NULL)
			on_event(events[i].data.ptr, events[i].events);
	control_read(&crowd.control, command, NULL);
	answer_waiting();
	fflush(stdout);
	return 0;
}

static int gather(void)
{
	struct epoll_event commands = {.events = EPOLLIN, .data.ptr = NULL};

	list_init(&crowd.away);
	list_init(&crowd.new);
	list_init(&crowd.talking);
	crowd.guests = calloc(given.connections, sizeof(*crowd.guests));
	crowd.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (crowd.guests == NULL || crowd.epoll_fd < 0)
		return ERR_NOMEM;
	for (unsigned i = 0; i < given.connections; i++) {
		struct guest *g = &crowd.guests[i];

		*g = (struct guest){.fd = -1, .kind = i % KINDS, .address = i % (unsigned)given.addresses};
		list_append(&crowd.away, &g->link);
	}
	control_init(&crowd.control);
	if (epoll_ctl(crowd.epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &commands) != 0)
		return err_from_errno(errno);
	return make_texts();
}

int main(int argc, char **argv)
{
	int rc;

	if (!control_options(options, sizeof(options) / sizeof(options[0]), argc, argv))
		return 2;
	if (given.opens_per_s == 0 || given.opens_per_s > 1000000 || given.addresses == 0) {
		fprintf(stderr, "crowd: opens_per_s is 1 to 1000000, addresses 1 and more\n");
		return 2;
	}
	rc = gather();
	while (rc == 0 && !crowd.control.over)
		rc = turn();
	if (rc != 0)
		fprintf(stderr, "crowd: %s\n", err_text(rc));
	for (int k = 0; k < KINDS; k++)
		buf_finish(&kinds[k].text);
	free(crowd.guests);
	return rc == 0 ? 0 : 1;
}
