/*
 * What a loop does between events: time limits, its own lag, spare exchanges,
 * random bytes and the Date line, and the way it ends.
 *
 * Connections under the same limit are listed in the order they came under
 * it, which is the order in which they pass it, so a tick looks only at the
 * heads of a few lists.
 */
#include "net/http_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/planted.h"

#define TICK_MS 100
#define LAG_US INT64_C(200000)
#define COOL_US ((int64_t)COOL_S * 1000000)
/*
 * Work that comes in crowds (thousands that pass their limit in one moment, requests that were sent behind
 * others) goes on in the next turn after so long: who has just asked is not to wait for all of it.
 */
#define SHARE_NS UINT64_C(2000000)
#define BACKLOG 4096 /* a full one makes who comes next wait a second for his second try; the system may allow less */

static void on_resume(uv_idle_t *idle);

static int64_t span_us(const struct http_loop *l, enum span span)
{
	const struct http_limits *limits = &l->server->limits;

	switch (span) {
	case SPAN_HANDSHAKE:
		return (int64_t)limits->handshake_ms * 1000;
	case SPAN_FIRST_BYTE:
		return (int64_t)limits->first_byte_ms * 1000;
	case SPAN_IDLE:
		return (int64_t)limits->idle_ms * 1000;
	case SPAN_COOL:
		return COOL_US;
	case SPAN_HEAD:
		return (int64_t)limits->head_ms * 1000;
	case SPAN_TICK:
		return 1000000;
	case SPAN_LINGER:
		return 2000000;
	case SPAN_NONE:
	case SPAN_COUNT:
		break;
	}
	return INT64_MAX;
}

void loop_arm(struct conn *c, enum span span, int64_t now_us)
{
	list_remove(&c->timed);
	c->span = span;
	if (span == SPAN_NONE)
		return;
	c->armed_at_us = now_us;
	list_append(&c->loop->spans[span], &c->timed);
}

void loop_disarm(struct conn *c)
{
	list_remove(&c->timed);
	c->span = SPAN_NONE;
}

static bool used_up(uint64_t since_ns)
{
	return uv_hrtime() - since_ns >= SHARE_NS;
}

static void check_spans(struct http_loop *l)
{
	int64_t now_us = loop_now_us(l);
	uint64_t since_ns = uv_hrtime();

	l->owes_spans = false;

	for (enum span span = SPAN_NONE + 1; span < SPAN_COUNT; span++) {
		int64_t limit_us = span_us(l, span);

		while (!list_empty(&l->spans[span])) {
			struct conn *c = container_of(l->spans[span].next, struct conn, timed);

			if (now_us - c->armed_at_us < limit_us)
				break;
			if (used_up(since_ns)) {
				l->owes_spans = true;
				uv_idle_start(&l->resume, on_resume);
				return;
			}
			loop_disarm(c);
			conn_on_time(c, span);
		}
	}
}

/* How late the timer came is how long a request would have waited for the loop. */
static void measure_lag(struct http_loop *l)
{
	const struct http_options *options = &l->server->options;
	int64_t now_us = clock_monotonic_us(options->lag_clock);
	int64_t lag_us = now_us - l->ticked_at_us - TICK_MS * 1000;

	if (l->ticked_at_us == 0 || lag_us < 0)
		lag_us = 0;
	l->ticked_at_us = now_us;
	atomic_store_explicit(&l->lag_us, lag_us, memory_order_relaxed);
	/* Twice in a row: a machine that slept once is not overworked. */
	l->n_lagging = lag_us >= LAG_US ? l->n_lagging + 1 : 0;
	l->overloaded = options->overloaded != NULL && options->overloaded(options->app);
}

static void begin_stop(struct http_loop *l)
{
	struct list *link, *next;

	l->stopping = true;
	l->stop_at_ms = uv_now(&l->uv) + atomic_load(&l->server->grace_ms);
	if (l->listening)
		uv_close((uv_handle_t *)&l->listener, NULL);
	l->listening = false;
	for (link = l->conns.next; link != &l->conns; link = next) {
		next = link->next;
		conn_stop(container_of(link, struct conn, all));
	}
	loop_end_when_done(l);
}

static void break_all(struct http_loop *l)
{
	struct list *link, *next;

	for (link = l->conns.next; link != &l->conns; link = next) {
		next = link->next;
		conn_close(container_of(link, struct conn, all));
	}
}

static void look_around(struct http_loop *l)
{
	if (!l->stopping && atomic_load(&l->server->stop))
		begin_stop(l);
	if (l->owes_accept && l->listening)
		conn_accept(l);
	check_spans(l);
	if (l->stopping && !l->ended && uv_now(&l->uv) >= l->stop_at_ms)
		break_all(l);
}

static void on_timer(uv_timer_t *timer)
{
	struct http_loop *l = timer->data;

	measure_lag(l);
	look_around(l);
}

static void on_wake(uv_async_t *wake)
{
	struct http_loop *l = wake->data;

	uv_update_time(&l->uv);
	look_around(l);
}

/* What was left for this turn, a share of each. Those made ready meanwhile are the next turn's. */
static void on_resume(uv_idle_t *idle)
{
	struct http_loop *l = idle->data;
	uint64_t since_ns = uv_hrtime();
	struct list now;

	list_init(&now);
	list_splice(&now, &l->ready);
	while (!list_empty(&now) && !used_up(since_ns)) {
		struct conn *c = container_of(now.next, struct conn, ready_link);

		list_remove(&c->ready_link);
		conn_continue(c);
	}
	list_splice(&now, &l->ready); /* behind those who wait longer */
	list_splice(&l->ready, &now);
	if (l->owes_spans)
		check_spans(l);
	if (list_empty(&l->ready) && !l->owes_spans)
		uv_idle_stop(idle);
}

void loop_make_ready(struct conn *c)
{
	list_remove(&c->ready_link);
	list_append(&c->loop->ready, &c->ready_link);
	uv_idle_start(&c->loop->resume, on_resume);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct http_loop *l = listener->data;

	if (status == 0)
		conn_accept(l);
}

struct exchange *loop_take_exchange(struct http_loop *l)
{
	struct exchange *x = l->spares;

	if (x != NULL) {
		l->spares = x->next_spare;
		l->n_spares--;
	} else {
		x = calloc(1, sizeof(*x));
		if (x == NULL)
			return NULL;
		x->arena = (struct arena)ARENA_INIT(REQUEST_ARENA_MAX);
		x->headers.max = SCRATCH_LEN;
		http_parser_init(&x->parser, &l->server->limits);
	}
	l->n_exchanges++;
	x->rq.arena = &x->arena;
	x->rq.app = l->server->options.app;
	x->rq.loop = &l->uv;
	x->rq.loop_data = l->data;
	x->rq.loop_index = l->index;
	return x;
}

static void free_exchange(struct exchange *x)
{
	http_parser_finish(&x->parser);
	arena_finish(&x->arena);
	buf_finish(&x->headers);
	free(x);
}

/* Everything but the memory that the next request can use again. */
void loop_give_exchange(struct http_loop *l, struct exchange *x)
{
	assert(l->n_exchanges > 0);
	l->n_exchanges--;
	if (x->handed)
		COUNT(l->n_in_flight, -1);
	if (x->streaming)
		COUNT(l->n_streams, -1);
	if (PLANTED(leak_request))
		return;
	if (l->n_spares >= EXCHANGES_KEPT_MAX) {
		free_exchange(x);
		return;
	}
	arena_reset(&x->arena);
	if (x->arena.total > ARENA_KEPT_MAX)
		arena_finish(&x->arena);
	if (x->headers.cap > BUFFER_KEPT_MAX)
		buf_finish(&x->headers);
	else
		buf_clear(&x->headers);
	http_parser_reset(&x->parser);
	memset(&x->rq, 0, sizeof(x->rq));
	memset((char *)x + offsetof(struct exchange, state_begin), 0,
	    sizeof(*x) - offsetof(struct exchange, state_begin));
	x->conn = NULL;
	x->match.route = NULL;
	x->next_spare = l->spares;
	l->spares = x;
	l->n_spares++;
}

void loop_random(struct http_loop *l, void *bytes, size_t len)
{
	assert(len <= RANDOM_POOL_LEN);
	if (l->random_used + len > RANDOM_POOL_LEN) {
		rng_fill_many(l->server->options.rng, l->random, RANDOM_POOL_LEN);
		l->random_used = 0;
	}
	memcpy(bytes, l->random + l->random_used, len);
	l->random_used += len;
}

const char *loop_date(struct http_loop *l)
{
	int64_t now_s = clock_wall_us(l->server->options.clock) / 1000000;

	if (now_s != l->date_s || l->date[0] == '\0') {
		time_format_http(l->date, now_s);
		l->date_s = now_s;
	}
	return l->date;
}

int loop_init(struct http_loop *l, struct http_server *server, unsigned index)
{
	l->server = server;
	l->index = index;
	l->random_used = RANDOM_POOL_LEN;
	l->spare_out = (struct buf)BUF_INIT(OUT_MAX);
	admission_init(&l->admission);
	list_init(&l->conns);
	list_init(&l->ready);
	for (int i = 0; i < SPAN_COUNT; i++)
		list_init(&l->spans[i]);
	if (uv_loop_init(&l->uv) != 0)
		return ERR_NOMEM;
	if (uv_async_init(&l->uv, &l->wake, on_wake) != 0) {
		uv_loop_close(&l->uv);
		return ERR_NOMEM;
	}
	uv_timer_init(&l->uv, &l->timer);
	uv_idle_init(&l->uv, &l->resume);
	uv_tcp_init(&l->uv, &l->listener);
	l->timer.data = l->resume.data = l->listener.data = l->wake.data = l;
	l->open = l->listening = true;
	return 0;
}

/* When the last connection and the last request are gone: the hooks' handles, then ours, and uv_run() returns. */
void loop_end_when_done(struct http_loop *l)
{
	const struct http_options *options = &l->server->options;

	if (!l->stopping || l->ended || !list_empty(&l->conns) || l->n_exchanges > 0)
		return;
	l->ended = true;
	if (options->on_loop_stop != NULL)
		options->on_loop_stop(options->app, l->data);
	uv_close((uv_handle_t *)&l->timer, NULL);
	uv_close((uv_handle_t *)&l->resume, NULL);
	uv_close((uv_handle_t *)&l->wake, NULL);
}

/* The thread of a loop. */
void loop_run(struct http_loop *l)
{
	const struct http_options *options = &l->server->options;

	if (options->on_loop_start != NULL) {
		l->data = options->on_loop_start(options->app, &l->uv, l->index);
		if (l->data == NULL)
			l->start_rc = ERR_UNAVAILABLE;
	}
	if (l->start_rc == 0 && uv_listen((uv_stream_t *)&l->listener, BACKLOG, on_connection) != 0)
		l->start_rc = ERR_TAKEN;
	pthread_mutex_lock(&l->server->lock);
	l->server->n_started++;
	pthread_cond_signal(&l->server->one_started);
	pthread_mutex_unlock(&l->server->lock);
	uv_timer_start(&l->timer, on_timer, TICK_MS, TICK_MS);
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_finish(struct http_loop *l)
{
	if (l == NULL)
		return;
	if (l->open && uv_loop_close(&l->uv) != 0)
		log_error("http", "a loop still has handles after its end");
	while (l->spares != NULL) {
		struct exchange *x = l->spares;

		l->spares = x->next_spare;
		free_exchange(x);
	}
	buf_finish(&l->spare_out);
	if (l->gzip_ready)
		deflateEnd(&l->gzip);
	free(l);
}
