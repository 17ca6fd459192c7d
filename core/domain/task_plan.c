/* See task_plan.h. */
#include "domain/task_plan.h"

#include <assert.h>

#include "base/calendar.h"

#define MS 1000

bool task_first(const struct cron *cron, const struct zone *zone, int64_t now_ms, int64_t *ret_ms)
{
	int64_t at_s;

	if (cron_next(cron, zone, floor_div(now_ms, MS), &at_s) != 0)
		return false;
	*ret_ms = at_s * MS;
	return true;
}

/* The newest times up to now, at most max, and whether there are older ones that did not fire. */
static void find_times(const struct task_schedule *s, int64_t now_ms, size_t max, struct task_plan *ret)
{
	bool all = true;

	ret->due_ms[0] = s->next_ms;
	ret->n = 1;
	if (s->cron == NULL)
		return;
	/* The next time that was told counts even where the zone's clocks are others by now. */
	ret->n = cron_last(s->cron, s->zone, floor_div(s->next_ms, MS), floor_div(now_ms, MS), ret->due_ms, max, &all);
	for (size_t i = 0; i < ret->n; i++)
		ret->due_ms[i] *= MS;
	if (ret->n == 0)
		ret->due_ms[ret->n++] = s->next_ms;
	ret->passed_over = !all;
}

void task_plan(const struct task_schedule *s, int64_t now_ms, struct task_plan *ret)
{
	int64_t last_ms;

	assert(s->next_ms <= now_ms && s->missed_max >= 1 && s->missed_max <= TASK_MISSED_MAX);
	*ret = (struct task_plan){.from_ms = s->next_ms};
	find_times(s, now_ms, s->missed == TASK_ALL ? s->missed_max : 1, ret);
	last_ms = ret->due_ms[ret->n - 1];
	if (s->missed == TASK_SKIP && task_is_late(last_ms, now_ms)) {
		ret->passed_over = true;
		ret->n = 0;
	}
	ret->until_ms = last_ms;
	ret->has_next = s->cron != NULL && task_first(s->cron, s->zone, now_ms, &ret->next_ms);
}
