/* Pools: memory for many things of one size, used again instead of freed. */
#include "base/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct pool_link {
	struct pool_link *next;
};

void pool_init(struct pool *p, size_t size, size_t n_max)
{
	*p = (struct pool){.size = size < sizeof(struct pool_link) ? sizeof(struct pool_link) : size,
	    .n_max = n_max};
	pthread_mutex_init(&p->lock, NULL);
}

void pool_finish(struct pool *p)
{
	if (p->size == 0)
		return;
	assert(p->n_out == 0);
	while (p->spare != NULL) {
		struct pool_link *next = p->spare->next;

		free(p->spare);
		p->spare = next;
	}
	pthread_mutex_destroy(&p->lock);
	*p = (struct pool){0};
}

void *pool_take(struct pool *p)
{
	struct pool_link *object = NULL;
	bool allowed;

	pthread_mutex_lock(&p->lock);
	allowed = p->n_out < p->n_max;
	if (allowed) {
		p->n_out++;
		object = p->spare;
		if (object != NULL) {
			p->spare = object->next;
			p->n_spare--;
		}
	}
	pthread_mutex_unlock(&p->lock);
	if (!allowed)
		return NULL;
	if (object == NULL)
		object = malloc(p->size);
	if (object == NULL) {
		pthread_mutex_lock(&p->lock);
		p->n_out--;
		pthread_mutex_unlock(&p->lock);
		return NULL;
	}
	memset(object, 0, p->size);
	return object;
}

void pool_give(struct pool *p, void *object)
{
	struct pool_link *link = object;

	if (link == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	assert(p->n_out > 0);
	p->n_out--;
	link->next = p->spare;
	p->spare = link;
	p->n_spare++;
	pthread_mutex_unlock(&p->lock);
}

size_t pool_n_out(struct pool *p)
{
	size_t n;

	pthread_mutex_lock(&p->lock);
	n = p->n_out;
	pthread_mutex_unlock(&p->lock);
	return n;
}
