/*
 * Start and stop: one listener and one thread a loop. The listeners share an
 * address by SO_REUSEPORT and the kernel spreads connections among them.
 */
#include "net/http_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "crypto/crypto.h"
#include "base/thread.h"

#define PEERS_KEPT 65536
#define LOOPS_MAX 256

static int fail(const char **ret_detail, int rc, const char *detail)
{
	if (ret_detail != NULL)
		*ret_detail = detail;
	return rc;
}

static socklen_t sockaddr_len(const struct sockaddr_storage *ss)
{
	return ss->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

/* Answers wait here, not in the system: without it a reader that does not read is given megabytes. Inherited. */
#define SEND_BUFFER_LEN (128 * 1024) /* doubled by the system, for its own needs */

static int bind_socket(const struct sockaddr_storage *ss, bool share)
{
	int one = 1, send_len = SEND_BUFFER_LEN, rc;
	int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return err_from_errno(errno);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (share) {
		setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_len, sizeof(send_len));
	}
	if (bind(fd, (const struct sockaddr *)ss, sockaddr_len(ss)) == 0)
		return fd;
	rc = errno == EADDRINUSE ? ERR_TAKEN : errno == EACCES ? ERR_DENIED : ERR_INVALID;
	close(fd);
	return rc;
}

/* SO_REUSEPORT would let a second server of ours share the port in silence; a plain bind finds it out. */
static int port_is_free(const struct sockaddr_storage *ss)
{
	int fd = bind_socket(ss, false);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

static void note_address(struct http_server *server, const struct sockaddr_storage *ss)
{
	struct address a = address_of_sockaddr((const struct sockaddr *)ss);
	char text[ADDRESS_TEXT_MAX];

	address_format(text, &a);
	if (ss->ss_family == AF_INET)
		server->port = ntohs(((const struct sockaddr_in *)(const void *)ss)->sin_port);
	else
		server->port = ntohs(((const struct sockaddr_in6 *)(const void *)ss)->sin6_port);
	snprintf(server->address, sizeof(server->address), ss->ss_family == AF_INET ? "%s:%u" : "[%s]:%u", text,
	    server->port);
}

static int bind_loops(struct http_server *server)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int rc = listen_parse(slice_str(server->options.listen), &ss);

	if (rc == 0)
		rc = port_is_free(&ss);
	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < server->n_loops; i++) {
		int fd = bind_socket(&ss, true);

		if (fd < 0)
			return fd;
		/* Port 0: the first loop takes one, the others join it. */
		if (i == 0 && getsockname(fd, (struct sockaddr *)&ss, &len) != 0) {
			close(fd);
			return ERR_IO;
		}
		if (uv_tcp_open(&server->loops[i]->listener, fd) != 0) {
			close(fd);
			return ERR_IO;
		}
	}
	note_address(server, &ss);
	return 0;
}

static void set_defaults(struct http_server *server)
{
	struct http_options *o = &server->options;
	struct rlimit files;

	if (o->clock == NULL)
		o->clock = &clock_system;
	if (o->lag_clock == NULL)
		o->lag_clock = &clock_system;
	if (o->rng == NULL)
		o->rng = &rng_system;
	if (o->rate_general.window_s == 0)
		o->rate_general = (struct http_rate){o->rate_general.quota != 0 ? o->rate_general.quota : 1000, 900};
	if (o->rate_meetings.window_s == 0)
		o->rate_meetings = (struct http_rate){o->rate_meetings.quota != 0 ? o->rate_meetings.quota : 100, 60};
	server->limits = o->limits;
	http_limits_complete(&server->limits);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY &&
	    server->limits.connections_max > files.rlim_cur / 5 * 4)
		server->limits.connections_max = (unsigned)(files.rlim_cur / 5 * 4);
	server->n_loops = o->loops != 0 ? o->loops : uv_available_parallelism();
	if (server->n_loops > LOOPS_MAX)
		server->n_loops = LOOPS_MAX;
}

static int make_parts(struct http_server *server, const char **ret_detail)
{
	const struct http_options *o = &server->options;
	const struct route *bad = NULL;
	int rc;

	rc = router_init(&server->router, o->routes, &bad);
	if (rc != 0)
		return fail(ret_detail, rc, bad != NULL ? bad->path : "the routing tables do not fit");
	if (address_ranges_parse(slice_str(o->trusted_proxies), &server->trusted) != 0)
		return fail(ret_detail, ERR_INVALID, "trusted proxies: expected addresses like 10.0.0.0/8, ::1");
	server->peers = peers_create(PEERS_KEPT, o->rng);
	if (server->peers == NULL)
		return ERR_NOMEM;
	if (o->tls_cert != NULL) {
		rc = o->tls_key == NULL ? ERR_CONFIG : tls_create(&server->tls, o->tls_cert, o->tls_key, o->clock);
		if (rc != 0)
			return fail(ret_detail, rc, "TLS certificate and key cannot be used together");
	}
	return 0;
}

/* Closes what loop_init() opened, for a loop whose thread never ran. */
static void undo_loop(struct http_loop *l)
{
	l->stopping = true;
	uv_close((uv_handle_t *)&l->listener, NULL);
	uv_close((uv_handle_t *)&l->timer, NULL);
	uv_close((uv_handle_t *)&l->resume, NULL);
	uv_close((uv_handle_t *)&l->wake, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

static void free_server(struct http_server *server)
{
	for (unsigned i = 0; i < server->n_loops; i++)
		loop_finish(server->loops[i]);
	free(server->loops);
	router_finish(&server->router);
	peers_destroy(server->peers);
	tls_destroy(server->tls);
	pthread_cond_destroy(&server->one_started);
	pthread_mutex_destroy(&server->lock);
	free(server);
}

static void run_thread(void *arg)
{
	thread_name("http loop");
	loop_run(arg);
}

static int make_loops(struct http_server *server)
{
	server->loops = calloc(server->n_loops, sizeof(struct http_loop *));
	if (server->loops == NULL)
		return ERR_NOMEM;
	for (unsigned i = 0; i < server->n_loops; i++) {
		server->loops[i] = calloc(1, sizeof(struct http_loop));
		if (server->loops[i] == NULL || loop_init(server->loops[i], server, i) != 0)
			return ERR_NOMEM;
	}
	return 0;
}

static int start_threads(struct http_server *server)
{
	int rc = 0;

	unsigned n_running = 0;

	for (; n_running < server->n_loops && rc == 0; n_running += rc == 0) {
		struct http_loop *l = server->loops[n_running];

		if (uv_thread_create(&l->thread, run_thread, l) != 0)
			rc = ERR_NOMEM;
		l->running = rc == 0;
	}
	pthread_mutex_lock(&server->lock);
	while (server->n_started < n_running)
		pthread_cond_wait(&server->one_started, &server->lock);
	pthread_mutex_unlock(&server->lock);
	for (unsigned i = 0; i < n_running && rc == 0; i++)
		rc = server->loops[i]->start_rc;
	return rc;
}

int http_server_start(struct http_server **ret_server, const struct http_options *options,
    const char **ret_detail)
{
	struct http_server *server = calloc(1, sizeof(*server));
	int rc;

	if (server == NULL)
		return ERR_NOMEM;
	/* libuv writes without MSG_NOSIGNAL: a client that left is an EPIPE for its connection, not the program's end. */
	signal(SIGPIPE, SIG_IGN);
	server->options = *options;
	pthread_mutex_init(&server->lock, NULL);
	pthread_cond_init(&server->one_started, NULL);
	set_defaults(server);
	rc = crypto_init(); /* entity tags are hashes */
	if (rc == 0)
		rc = make_parts(server, ret_detail);
	if (rc == 0)
		rc = make_loops(server);
	if (rc == 0) {
		rc = bind_loops(server);
		if (rc != 0)
			fail(ret_detail, rc, rc == ERR_TAKEN ? "the port is in use" : "cannot listen on that address");
	}
	if (rc == 0) {
		*ret_server = server; /* a request may come, and its handler ask for it, before this has returned */
		rc = start_threads(server);
		if (rc != 0)
			fail(ret_detail, rc, "a loop could not start");
	}
	if (rc != 0) {
		http_server_close(server);
		*ret_server = NULL;
	}
	return rc;
}

const char *http_server_address(const struct http_server *server)
{
	return server->address;
}

unsigned http_server_port(const struct http_server *server)
{
	return server->port;
}

void http_server_tick(struct http_server *server)
{
	for (unsigned i = 0; i < server->n_loops; i++)
		if (server->loops[i]->running)
			uv_async_send(&server->loops[i]->wake);
}

void http_server_stop(struct http_server *server, unsigned grace_ms)
{
	atomic_store(&server->grace_ms, grace_ms);
	if (!atomic_exchange(&server->stop, true))
		http_server_tick(server);
}

void http_server_close(struct http_server *server)
{
	if (server == NULL)
		return;
	if (server->loops == NULL)
		server->n_loops = 0; /* a start that failed half-way */
	while (server->n_loops > 0 && server->loops[server->n_loops - 1] == NULL)
		server->n_loops--;
	http_server_stop(server, 0);
	for (unsigned i = 0; i < server->n_loops; i++) {
		if (server->loops[i]->running)
			uv_thread_join(&server->loops[i]->thread);
		else if (server->loops[i]->open)
			undo_loop(server->loops[i]);
	}
	free_server(server);
}

int http_server_reload_tls(struct http_server *server)
{
	return server->tls == NULL ? 0 : tls_reload(server->tls);
}

int64_t http_server_tls_expires_at(const struct http_server *server)
{
	return server->tls == NULL ? 0 : tls_expires_at(server->tls);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

void http_server_stats(const struct http_server *server, struct http_stats *ret_stats)
{
	struct http_stats s = {.connections_open = get(&server->n_open)};

	for (unsigned i = 0; i < server->n_loops; i++) {
		const struct http_loop *l = server->loops[i];
		int64_t lag_us = atomic_load_explicit(&l->lag_us, memory_order_relaxed);

		s.connections_total += get(&l->n_total);
		s.connections_refused += get(&l->n_refused);
		s.requests_total += get(&l->n_requests);
		s.requests_in_flight += get(&l->n_in_flight);
		s.streams_open += get(&l->n_streams);
		s.refused_by_rate += get(&l->n_by_rate);
		s.refused_by_load += get(&l->n_by_load);
		s.refused_malformed += get(&l->n_malformed);
		s.timeouts += get(&l->n_timeouts);
		s.bytes_in += get(&l->bytes_in);
		s.bytes_out += get(&l->bytes_out);
		if (lag_us > s.lag_us_max)
			s.lag_us_max = lag_us;
	}
	*ret_stats = s;
}
