/*
 * The scheduler: fires tasks when they are due.
 *
 * When that is, is a fold of the log (projections/tasks.sql), and firing is an event that says when the task is due again: a
 * restart loses nothing and fires nothing twice. The once key of a firing is the task and the time it is for, so it
 * happens once also where several look at the same log. What is fired runs as an effect (task_run.c).
 *
 * One thread, woken by events of tasks, by the time of the next one, and every second, since a wall clock may be set.
 */
#ifndef LULAB_APP_TASK_SCHEDULER_H
#define LULAB_APP_TASK_SCHEDULER_H

#include "base/clock.h"
#include "base/rng.h"

struct eventlog;
struct keyring;
struct query_pool;
struct sealer;
struct task_scheduler;

struct task_scheduler_options {
	struct eventlog *log;
	struct query_pool *queries;
	struct sealer *sealer;
	struct keyring *keyring;
	const struct clock *clock;
	const struct rng *rng;
	const char *zones; /* directory of time zones; NULL = the system's */
};

/* ERR_NOMEM. A read-only log: nothing fires. */
int task_scheduler_start(struct task_scheduler **ret, const struct task_scheduler_options *options);
/* Before the query pool closes. NULL is fine. */
void task_scheduler_stop(struct task_scheduler *s);

/* Any thread: look now; for tests that move the clock. */
void task_scheduler_look(struct task_scheduler *s);

#endif
