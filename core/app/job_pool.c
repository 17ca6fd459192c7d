/* See job_pool.h. */
#include "app/job_pool.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/thread.h"

struct job_port {
	struct job_pool *pool;
	uv_async_t async;
	unsigned n_in_flight; /* loop thread */
	struct list done;     /* under the pool's lock */
};

struct job_pool {
	const char *name;
	unsigned queue_max;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t filled;
	struct list waiting;
	struct job_pool_stats stats;
	bool closing;
	unsigned n_threads;
	pthread_t threads[];
};

static struct job *next_job(struct job_pool *pool)
{
	struct job *job = NULL;

	while (list_empty(&pool->waiting) && !pool->closing)
		pthread_cond_wait(&pool->filled, &pool->lock);
	if (!list_empty(&pool->waiting)) {
		job = container_of(pool->waiting.next, struct job, link);
		list_remove(&job->link);
		pool->stats.waiting--;
		pool->stats.running++;
	}
	return job;
}

static void *work(void *arg)
{
	struct job_pool *pool = arg;
	struct job *job;

	thread_name(pool->name);
	pthread_mutex_lock(&pool->lock);
	while ((job = next_job(pool)) != NULL) {
		pthread_mutex_unlock(&pool->lock);
		job->run(job);
		pthread_mutex_lock(&pool->lock);
		pool->stats.running--;
		pool->stats.done++;
		list_append(&job->port->done, &job->link);
		/* Under the lock: once it is let go the loop may end, and the port with it. */
		uv_async_send(&job->port->async);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

int job_pool_open(struct job_pool **ret, const char *name, unsigned n_threads, unsigned queue_max)
{
	struct job_pool *pool = calloc(1, sizeof(*pool) + n_threads * sizeof(pool->threads[0]));

	if (pool == NULL)
		return ERR_NOMEM;
	pool->name = name;
	pool->queue_max = queue_max;
	list_init(&pool->waiting);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->filled, NULL);
	for (; pool->n_threads < n_threads; pool->n_threads++) {
		if (pthread_create(&pool->threads[pool->n_threads], NULL, work, pool) != 0) {
			job_pool_close(pool);
			return ERR_NOMEM;
		}
	}
	*ret = pool;
	return 0;
}

void job_pool_close(struct job_pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->closing = true;
	pthread_cond_broadcast(&pool->filled);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->n_threads; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->filled);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

static void on_done(uv_async_t *async)
{
	struct job_port *port = async->data;
	struct list done;

	list_init(&done);
	pthread_mutex_lock(&port->pool->lock);
	list_splice(&done, &port->done);
	pthread_mutex_unlock(&port->pool->lock);
	while (!list_empty(&done)) {
		struct job *job = container_of(done.next, struct job, link);

		list_remove(&job->link);
		port->n_in_flight--;
		job->done(job);
	}
}

int job_port_open(struct job_port **ret, struct job_pool *pool, uv_loop_t *loop)
{
	struct job_port *port = calloc(1, sizeof(*port));

	if (port == NULL)
		return ERR_NOMEM;
	port->pool = pool;
	port->async.data = port;
	list_init(&port->done);
	if (uv_async_init(loop, &port->async, on_done) != 0) {
		free(port);
		return ERR_NOMEM;
	}
	*ret = port;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void job_port_close(struct job_port *port)
{
	if (port == NULL)
		return;
	assert(port->n_in_flight == 0);
	uv_close((uv_handle_t *)&port->async, on_closed);
}

int job_start(struct job *job)
{
	struct job_pool *pool = job->port->pool;
	int rc = 0;

	pthread_mutex_lock(&pool->lock);
	if (pool->stats.waiting >= pool->queue_max) {
		pool->stats.refused++;
		rc = ERR_BUSY;
	} else {
		pool->stats.waiting++;
		list_append(&pool->waiting, &job->link);
		pthread_cond_signal(&pool->filled);
	}
	pthread_mutex_unlock(&pool->lock);
	if (rc == 0)
		job->port->n_in_flight++;
	return rc;
}

void job_pool_stats(struct job_pool *pool, struct job_pool_stats *ret)
{
	pthread_mutex_lock(&pool->lock);
	*ret = pool->stats;
	pthread_mutex_unlock(&pool->lock);
}
