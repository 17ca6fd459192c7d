/*
 * What a task that is due has to do now, and when it is due next. Times may have
 * passed while nothing could fire: the service was down, the task was paused, the clock was put forward. One that passed
 * less than a minute ago is not late. What becomes of the others is up to the task:
 *
 *     SKIP  nothing
 *     ONCE  the newest of all those times fires, for the others as well
 *     ALL   each fires, the newest missed_max of them
 *
 * Pure functions.
 */
#ifndef LULAB_DOMAIN_TASK_PLAN_H
#define LULAB_DOMAIN_TASK_PLAN_H

#include "domain/cron.h"

#define TASK_GRACE_MS 60000
#define TASK_MISSED_MAX 100

enum task_missed { TASK_SKIP, TASK_ONCE, TASK_ALL };

struct task_schedule {
	const struct cron *cron; /* NULL: it is due once */
	const struct zone *zone; /* of cron */
	int64_t next_ms;         /* when it is due */
	enum task_missed missed;
	unsigned missed_max;     /* TASK_ALL: from 1 to TASK_MISSED_MAX */
};

struct task_plan {
	int64_t due_ms[TASK_MISSED_MAX]; /* times that fire, ascending */
	size_t n;                        /* 0: none does */
	bool passed_over;                /* others do not, from from_ms on until the first that does; when none does, until until_ms */
	int64_t from_ms, until_ms;
	bool has_next;
	int64_t next_ms;
};

/* s->next_ms <= now_ms. */
void task_plan(const struct task_schedule *s, int64_t now_ms, struct task_plan *ret);

/* When it is due first, from now on; false: never. */
bool task_first(const struct cron *cron, const struct zone *zone, int64_t now_ms, int64_t *ret_ms);

static inline bool task_is_late(int64_t due_ms, int64_t now_ms)
{
	return now_ms - due_ms > TASK_GRACE_MS;
}

#endif
