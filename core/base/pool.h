/*
 * A bounded pool of objects of one size, for what comes and goes with every
 * connection or request: at most n_max are out at once, and given-back ones
 * are kept for the next taker, so that a busy server stops allocating.
 * Any thread.
 */
#ifndef LULAB_BASE_POOL_H
#define LULAB_BASE_POOL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct pool_link;

struct pool {
	size_t size, n_max;
	pthread_mutex_t lock; /* guards what is below */
	struct pool_link *spare;
	size_t n_out, n_spare;
};

/* size: bytes of one object; n_max: how many may be out at once, and are kept. */
void pool_init(struct pool *p, size_t size, size_t n_max);

/* Frees the spare ones. Every object must be back. Accepts a zeroed pool. */
void pool_finish(struct pool *p);

/* A zeroed object, aligned for any type; NULL when n_max are out or memory is. */
void *pool_take(struct pool *p);

/* Gives one back; NULL is fine. */
void pool_give(struct pool *p, void *object);

/* How many are out at this moment. */
size_t pool_n_out(struct pool *p);

#endif
