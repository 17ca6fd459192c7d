/*
 * A few threads and one bounded queue for work that would hold up a loop:
 * hashing passwords, and commands that wait for the disk. Run in the order
 * given; the result goes back to the loop it came from.
 */
#ifndef LULAB_APP_JOB_POOL_H
#define LULAB_APP_JOB_POOL_H

#include <uv.h>

#include "base/list.h"

struct job_pool;
struct job_port;
struct job;
typedef void job_fn(struct job *job);

/* Embed it in what it is about; untouched by its owner from job_start() until `done`. */
struct job {
	job_fn *run;  /* on a thread of the pool */
	job_fn *done; /* on the port's loop, exactly once, never before job_start() returned */
	struct job_port *port;
	struct list link; /* the pool's */
};

/* name: of its threads, at most 15 bytes. queue_max: jobs waiting. ERR_NOMEM. */
int job_pool_open(struct job_pool **ret, const char *name, unsigned n_threads, unsigned queue_max);
/* Runs what waits, joins the threads. Every port must have been closed. NULL is fine. */
void job_pool_close(struct job_pool *pool);

/* One per loop, opened and closed on its thread; no job of it may be in flight when it closes (asserted). NULL is fine. */
int job_port_open(struct job_port **ret, struct job_pool *pool, uv_loop_t *loop);
void job_port_close(struct job_port *port);

/* Loop thread. ERR_BUSY when as many wait as may: nothing is called then. */
int job_start(struct job *job);

struct job_pool_stats {
	unsigned waiting, running;
	unsigned long long done, refused;
};
void job_pool_stats(struct job_pool *pool, struct job_pool_stats *ret); /* any thread */

#endif
