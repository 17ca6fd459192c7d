/*
 * The pool: threads that answer, the questions that wait for a position, and
 * the ports that carry answers back to loops.
 *
 *     query_start --> WAITING --(position reached, or too late)--> READY --> answered
 *                 \------------(no position asked for)-----------/
 *
 * One lock guards both lists; a port has its own for the way back.
 */
#include "store/query.h"

#include <assert.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/thread.h"
#include "store/projector.h"
#include "store/query_private.h"

#define THREADS_DEFAULT 2
#define THREADS_MAX 16
#define QUEUE_DEFAULT 1024
#define ANSWER_DEFAULT (32u << 20)
#define WAIT_MS_DEFAULT 2000

const uint32_t query_bounds_us[QUERY_BUCKETS - 1] = {1000, 5000, 10000, 50000, 100000, 500000, 1000000, 2000000};

struct query_pool {
	struct query_pool_options options;
	uv_thread_t threads[THREADS_MAX];
	unsigned n_threads;
	struct reader *readers[THREADS_MAX];
	uv_mutex_t lock; /* guards all below */
	uv_cond_t work;  /* for the threads */
	uv_cond_t done;  /* for query_run() */
	bool stopping;
	struct list ready, waiting;
	unsigned n_queued;
	unsigned n_started; /* threads that have taken their reader */
	struct query_pool_stats stats;
};

struct query_port {
	struct query_pool *pool;
	uv_async_t async;
	unsigned in_flight; /* the loop's */
	uv_mutex_t lock;    /* guards `finished` */
	struct list finished;
};

/* ---- the way back ------------------------------------------------------------------ */

static void finish(struct query_pool *pool, struct query *q)
{
	struct query_port *port = q->port;

	if (port != NULL) {
		uv_mutex_lock(&port->lock);
		list_append(&port->finished, &q->link);
		/* Under the lock: once the loop has seen the query it may close the port. */
		uv_async_send(&port->async);
		uv_mutex_unlock(&port->lock);
		return;
	}
	uv_mutex_lock(&pool->lock);
	q->done = true;
	uv_cond_broadcast(&pool->done);
	uv_mutex_unlock(&pool->lock);
}

static void on_async(uv_async_t *async)
{
	struct query_port *port = async->data;
	struct list finished;

	list_init(&finished);
	uv_mutex_lock(&port->lock);
	list_splice(&finished, &port->finished);
	uv_mutex_unlock(&port->lock);
	while (!list_empty(&finished)) {
		struct query *q = container_of(finished.next, struct query, link);

		list_remove(&q->link);
		port->in_flight--;
		q->cb(q);
	}
}

int query_port_open(struct query_port **ret, struct query_pool *pool, uv_loop_t *loop)
{
	struct query_port *port = calloc(1, sizeof(*port));

	if (port == NULL)
		return ERR_NOMEM;
	if (uv_async_init(loop, &port->async, on_async) != 0) {
		free(port);
		return ERR_NOMEM;
	}
	port->pool = pool;
	port->async.data = port;
	list_init(&port->finished);
	uv_mutex_init(&port->lock);
	*ret = port;
	return 0;
}

static void on_port_closed(uv_handle_t *handle)
{
	struct query_port *port = handle->data;

	uv_mutex_destroy(&port->lock);
	free(port);
}

void query_port_close(struct query_port *port)
{
	if (port == NULL)
		return;
	assert(port->in_flight == 0);
	uv_close((uv_handle_t *)&port->async, on_port_closed);
}

/* ---- waiting for a position ------------------------------------------------------------ */

static const struct projection *model_of(const struct query *q)
{
	return q->list != NULL ? q->list->list->projection : q->def->projection;
}

/* Whether there is a file that holds the position asked for, or no hope of one. Just after the start there is none
 * at all for a moment; every question waits for that. */
static bool is_reached(struct query_pool *pool, const struct query *q)
{
	struct projection_status status;

	if (projector_status_of(pool->options.projector, model_of(q)->name, &status) != 0)
		return true;
	if (status.state == PROJECTION_STOPPED || status.state == PROJECTION_FAILED)
		return true;
	return status.serving && (!q->has_min_position || status.serving_position > q->min_position);
}

/* With the lock. */
static void make_ready(struct query_pool *pool, struct query *q)
{
	list_remove(&q->link);
	list_append(&pool->ready, &q->link);
	uv_cond_signal(&pool->work);
}

/* On a projector's thread, after each of its commits. */
static void on_progress(void *arg, const struct projection *model)
{
	struct query_pool *pool = arg;
	struct list *at, *next;

	uv_mutex_lock(&pool->lock);
	for (at = pool->waiting.next; at != &pool->waiting; at = next) {
		struct query *q = container_of(at, struct query, link);

		next = at->next;
		if (model_of(q) == model && is_reached(pool, q))
			make_ready(pool, q);
	}
	uv_mutex_unlock(&pool->lock);
}

/* With the lock. Those too late go to the ready ones; the file is looked at once more there. Gives the next
 * deadline, or -1. */
static int64_t expire(struct query_pool *pool, int64_t now_us)
{
	struct list *at, *next;
	int64_t earliest_us = -1;

	for (at = pool->waiting.next; at != &pool->waiting; at = next) {
		struct query *q = container_of(at, struct query, link);

		next = at->next;
		if (q->deadline_us <= now_us)
			make_ready(pool, q);
		else if (earliest_us < 0 || q->deadline_us < earliest_us)
			earliest_us = q->deadline_us;
	}
	return earliest_us;
}

/* ---- the threads ------------------------------------------------------------------------- */

/* With the lock. The program has a handful of read models; were there too many, the last would stand for the rest. */
static struct query_stats *stats_of(struct query_pool *pool, const struct query *q)
{
	struct query_pool_stats *all = &pool->stats;
	unsigned i = 0;

	while (i < all->n_models && all->models[i].model != model_of(q))
		i++;
	if (i == QUERY_MODELS_MAX)
		return &all->models[i - 1];
	if (i == all->n_models)
		all->models[all->n_models++].model = model_of(q);
	return &all->models[i];
}

static void count(struct query_stats *s, int rc, int64_t spent_us)
{
	unsigned bucket = 0;

	while (bucket < QUERY_BUCKETS - 1 && spent_us > (int64_t)query_bounds_us[bucket])
		bucket++;
	s->took[bucket]++;
	s->took_us += (uint64_t)spent_us;
	if (rc == 0 || rc == ERR_NOT_FOUND)
		s->answered++;
	else if (rc == ERR_TIMEOUT)
		s->timed_out++;
	else
		s->failed++;
}

/* With the lock on both sides. */
static void answer(struct query_pool *pool, struct reader *r, struct query *q)
{
	const struct clock *clock = pool->options.clock;
	int64_t start_us = clock_monotonic_us(clock), spent_us;
	int rc;

	list_remove(&q->link);
	pool->n_queued--;
	pool->stats.running++;
	uv_mutex_unlock(&pool->lock);
	reader_answer(r, q, pool->options.answer_max);
	rc = q->rc;
	spent_us = clock_monotonic_us(clock) - start_us;
	uv_mutex_lock(&pool->lock);
	pool->stats.running--;
	count(stats_of(pool, q), rc, spent_us);
	uv_mutex_unlock(&pool->lock);
	finish(pool, q);
	uv_mutex_lock(&pool->lock);
}

static void run(void *arg)
{
	struct query_pool *pool = arg;
	struct reader *r;

	thread_name("query");
	uv_mutex_lock(&pool->lock);
	r = pool->readers[pool->n_started++];
	while (!pool->stopping) {
		int64_t now_us = clock_monotonic_us(pool->options.clock);
		int64_t earliest_us = expire(pool, now_us);

		if (!list_empty(&pool->ready))
			answer(pool, r, container_of(pool->ready.next, struct query, link));
		else if (earliest_us < 0)
			uv_cond_wait(&pool->work, &pool->lock);
		else
			uv_cond_timedwait(&pool->work, &pool->lock, (uint64_t)(earliest_us - now_us) * 1000);
	}
	uv_mutex_unlock(&pool->lock);
}

int query_pool_open(struct query_pool **ret, const struct query_pool_options *options)
{
	struct query_pool *pool = calloc(1, sizeof(*pool));
	unsigned n = options->n_threads == 0 ? THREADS_DEFAULT : options->n_threads;
	int rc = 0;

	if (pool == NULL)
		return ERR_NOMEM;
	pool->options = *options;
	pool->options.queue_max = options->queue_max == 0 ? QUEUE_DEFAULT : options->queue_max;
	pool->options.answer_max = options->answer_max == 0 ? ANSWER_DEFAULT : options->answer_max;
	list_init(&pool->ready);
	list_init(&pool->waiting);
	uv_mutex_init(&pool->lock);
	uv_cond_init(&pool->work);
	uv_cond_init(&pool->done);
	n = n > THREADS_MAX ? THREADS_MAX : n;
	for (unsigned i = 0; i < n && rc == 0; i++)
		rc = reader_create(&pool->readers[i], options->projector);
	for (unsigned i = 0; i < n && rc == 0; i++) {
		if (uv_thread_create(&pool->threads[i], run, pool) != 0)
			rc = ERR_NOMEM;
		else
			pool->n_threads = i + 1;
	}
	projector_watch(options->projector, on_progress, pool);
	if (rc == 0)
		*ret = pool;
	else
		query_pool_close(pool);
	return rc;
}

static void cancel_all(struct query_pool *pool)
{
	struct list left;

	list_init(&left);
	uv_mutex_lock(&pool->lock);
	list_splice(&left, &pool->ready);
	list_splice(&left, &pool->waiting);
	uv_mutex_unlock(&pool->lock);
	while (!list_empty(&left)) {
		struct query *q = container_of(left.next, struct query, link);

		list_remove(&q->link);
		q->rc = ERR_CANCELLED;
		finish(pool, q);
	}
}

void query_pool_close(struct query_pool *pool)
{
	if (pool == NULL)
		return;
	projector_watch(pool->options.projector, NULL, NULL);
	uv_mutex_lock(&pool->lock);
	pool->stopping = true;
	uv_cond_broadcast(&pool->work);
	uv_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->n_threads; i++)
		uv_thread_join(&pool->threads[i]);
	cancel_all(pool);
	for (unsigned i = 0; i < THREADS_MAX; i++)
		reader_destroy(pool->readers[i]);
	uv_cond_destroy(&pool->done);
	uv_cond_destroy(&pool->work);
	uv_mutex_destroy(&pool->lock);
	free(pool);
}

/* ---- questions ----------------------------------------------------------------------------- */

static int enqueue(struct query_pool *pool, struct query *q)
{
	uint32_t wait_ms = q->wait_ms == 0 ? WAIT_MS_DEFAULT : q->wait_ms;
	int rc = 0;

	assert((q->def != NULL) != (q->list != NULL));
	q->rc = 0;
	q->rows = q->total = q->position = q->rows_position = 0;
	q->more = q->stale = q->done = false;
	uv_mutex_lock(&pool->lock);
	if (pool->stopping || pool->n_queued >= pool->options.queue_max) {
		rc = pool->stopping ? ERR_CANCELLED : ERR_BUSY;
		stats_of(pool, q)->refused_busy += rc == ERR_BUSY;
	} else {
		pool->n_queued++;
		q->deadline_us = clock_monotonic_us(pool->options.clock) + (int64_t)wait_ms * 1000;
		if (is_reached(pool, q)) {
			list_append(&pool->ready, &q->link);
		} else {
			list_append(&pool->waiting, &q->link);
			projector_hurry(pool->options.projector, model_of(q));
		}
		/* Also for one that waits: a thread must know its deadline. */
		uv_cond_signal(&pool->work);
	}
	uv_mutex_unlock(&pool->lock);
	return rc;
}

void query_start(struct query_pool *pool, struct query *q)
{
	int rc;

	assert(q->port != NULL && q->cb != NULL);
	q->port->in_flight++;
	rc = enqueue(pool, q);
	if (rc != 0) {
		q->rc = rc;
		finish(pool, q);
	}
}

int query_run(struct query_pool *pool, struct query *q)
{
	int rc;

	q->port = NULL;
	rc = enqueue(pool, q);
	if (rc != 0) /* else rc is the answering thread's until it is done */
		return q->rc = rc;
	uv_mutex_lock(&pool->lock);
	while (!q->done)
		uv_cond_wait(&pool->done, &pool->lock);
	uv_mutex_unlock(&pool->lock);
	return q->rc;
}

void query_finish(struct query *q)
{
	buf_finish(&q->out);
	buf_finish(&q->next_cursor);
}

bool query_stand(struct query_pool *pool, const struct projection *model, uint64_t generation, struct projector_stand *ret)
{
	return projector_stand(pool->options.projector, model, generation, ret);
}

void query_pool_stats(struct query_pool *pool, struct query_pool_stats *ret)
{
	uv_mutex_lock(&pool->lock);
	*ret = pool->stats;
	ret->waiting = pool->n_queued;
	uv_mutex_unlock(&pool->lock);
}
