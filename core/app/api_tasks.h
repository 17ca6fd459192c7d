/* What the files of /tasks share (api_tasks.c, api_task_changes.c). */
#ifndef LULAB_APP_API_TASKS_H
#define LULAB_APP_API_TASKS_H

#include "app/action.h"
#include "domain/cron.h"

/* Where existing clients look, and under /api/v1. There an object is in `data`. */
#define TASK_ROUTES(...) TASK_ROUTES_BOTH(__VA_ARGS__)
#define TASK_ROUTES_BOTH(method, path, handler, permission, ...) \
	{method, path, handler, permission, .flags = ROUTE_NO_ETAG, .tag = TASK_TAG, __VA_ARGS__}, \
	{method, "/api/v1" path, handler, permission, .flags = ROUTE_NO_ETAG, .tag = TASK_TAG, __VA_ARGS__}
#define TASK_TAG "tasks"

bool task_is_v1(const struct action *c);

/* Answers with a task as it is now, every event of before seen. */
void task_answer(struct action *c, int status, struct slice id);

/* A task as it stands. */
struct task_standing {
	struct slice id, name, type, kind, payload, cron, timezone, missed, priority, hint;
	bool has_run_at, has_next, paused, held;
	int64_t run_at_ms, next_ms, missed_max, time_limit_ms, tries_max, version;
	struct id key;
};

/* The task that the path names; false: the 404 is set. */
bool task_find(struct action *c, struct task_standing *ret);

/* 400: this member of the body is not right. The sentences begin after its name: "cron: ...". */
bool task_fail_field(struct action *c, const char *member, const char *en, const char *zh);
/* An expression and its zone; close the zone in any case. False: the 400 is set. */
struct task_cron {
	struct cron cron;
	struct zone *zone;
};
bool task_cron_read(struct action *c, struct slice text, struct slice zone_name, struct task_cron *ret);

/* 409: it was changed meanwhile. */
bool task_fail_conflict(struct action *c);

#endif
