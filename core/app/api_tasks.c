/*
 * Tasks, as people see and steer them (functional-spec 11.2): what there is, when it ran, run now, pause and
 * resume, one or all, delete. What is answered is what the read model says, so that a client sees its own act.
 */
#include "app/api_tasks.h"

#include <assert.h>

#include "app/api.h"
#include "app/api_admin.h"
#include "app/api_list.h"
#include "app/tasks.h"
#include "base/err.h"
#include "domain/effect_id.h"
#include "domain/task_plan.h"
#include "params.gen.h"
#include "requests.gen.h"
#include "store/keyring.h"

#define NOT_FOUND "Task not found"
#define NEXT_MAX 100

/* ---- what is shared ------------------------------------------------------------------- */

bool task_is_v1(const struct action *c)
{
	return slice_starts_with(slice_str(c->rq->route->path), SLICE("/api/v1/"));
}

static void put_object(struct action *c, int status, struct slice json)
{
	struct json_writer w = action_answer(c, status);

	if (task_is_v1(c)) {
		json_begin_object(&w);
		json_name(&w, "data");
	}
	json_put_raw(&w, json);
	if (task_is_v1(c))
		json_end_object(&w);
}

/* With why a run would come to nothing as things stand, at the end of the object. */
static void answer_object(struct action *c, int status, struct json_value row)
{
	struct json_value object = {0};
	bool there = json_member(row, "object", &object);
	struct buf out = BUF_INIT(object.text.len + 1024);
	struct json_writer w = {.out = &out};
	const struct task_kind *kind;
	struct slice all;
	void *state;

	assert(there);
	kind = task_kind_find(c->app, row_text(c, object, "kind"), &state);
	buf_append(&out, slice_of(object.text.ptr, object.text.len - 1));
	buf_append_str(&out, ",\"unready\":");
	json_put_str(&w, kind == NULL ? "There is no such kind of task any more." : kind->unready == NULL ? NULL : kind->unready(c->app));
	buf_append_char(&out, '}');
	all = out.rc == 0 ? arena_dup(c->arena, buf_slice(&out)) : (struct slice){0};
	buf_finish(&out);
	if (all.ptr != NULL)
		put_object(c, status, all);
	else
		action_fail_err(c, ERR_NOMEM);
}

void task_answer(struct action *c, int status, struct slice id)
{
	struct json_value row;
	int rc = action_row(c, "task_by_id", (struct action_param[]){{"id", id, 0}}, 1, &row);

	if (rc == ERR_NOT_FOUND)
		admin_missing(c, NOT_FOUND);
	else if (action_ok(c, rc))
		answer_object(c, status, row);
}

static bool has(struct json_value row, const char *name)
{
	struct json_value v;

	return json_member(row, name, &v) && v.type != JSON_NULL;
}

bool task_find(struct action *c, struct task_standing *ret)
{
	struct json_value row;
	int rc = action_row(c, "task_to_change", (struct action_param[]){{"id", http_request_param(c->rq, "id"), 0}}, 1, &row);

	if (rc == ERR_NOT_FOUND)
		return admin_missing(c, NOT_FOUND);
	if (rc != 0)
		return action_fail_err(c, rc);
	*ret = (struct task_standing){.id = row_text(c, row, "id"), .name = row_text(c, row, "name"),
	    .type = row_text(c, row, "type"), .kind = row_text(c, row, "kind"), .payload = row_text(c, row, "payload"),
	    .cron = row_text(c, row, "cron"), .timezone = row_text(c, row, "timezone"), .missed = row_text(c, row, "missed"),
	    .priority = row_text(c, row, "priority"), .hint = row_text(c, row, "hint"), .has_run_at = has(row, "runAt"),
	    .has_next = has(row, "nextAt"), .paused = row_bool(row, "paused"), .held = row_bool(row, "held"),
	    .run_at_ms = row_i64(row, "runAt"), .next_ms = row_i64(row, "nextAt"), .missed_max = row_i64(row, "missedMax"),
	    .time_limit_ms = row_i64(row, "timeLimitMs"), .tries_max = row_i64(row, "triesMax"),
	    .version = row_i64(row, "version")};
	return action_ok(c, id_parse(ret->id, &ret->key) == 0 ? 0 : ERR_CORRUPT);
}

bool task_fail_field(struct action *c, const char *member, const char *en, const char *zh)
{
	problems_add(&c->problems, action_made(c, arena_printf(c->arena, "/%s", member)), "invalid", "%s", en);
	return action_fail(c, 400, "invalid", action_made(c, arena_printf(c->arena, "%s: %s", member, en)),
	    action_made(c, arena_printf(c->arena, "%s: %s", member, zh)));
}

bool task_fail_conflict(struct action *c)
{
	return action_fail(c, 409, "conflict", "The task was changed meanwhile; look at it again.", "任务已被改动，请重新查看");
}

static struct event_meta at_version(struct action *c, int64_t version)
{
	struct event_meta meta = action_meta(c);

	meta.expect = version;
	return meta;
}

static bool append(struct action_events *e)
{
	int rc = action_append(e);

	return rc == ERR_CONFLICT ? task_fail_conflict(e->c) : action_ok(e->c, rc);
}

/* ---- looking ------------------------------------------------------------------------------ */

static void run_list(struct action *c)
{
	struct params_tasks q;
	struct action_param of[8];
	struct slice any = SLICE("");

	if (!admin_params(c, &schema_params_tasks, &q))
		return;
	of[0] = (struct action_param){"search", q.search.len > 0 ? q.search : any, 0};
	of[1] = (struct action_param){"status", q.status.len > 0 ? q.status : any, 0};
	of[2] = (struct action_param){"type", q.type.len > 0 ? q.type : any, 0};
	of[3] = (struct action_param){"kind", q.kind.len > 0 ? q.kind : any, 0};
	of[4] = (struct action_param){"by_update", {0}, slice_is(q.order_by, "updatedAt")};
	of[5] = (struct action_param){"ascending", {0}, slice_is(q.order_dir, "asc")};
	admin_page(c, "tasks_page", of, 6, q.page, q.has_limit ? q.limit : q.page_size);
}

static void run_get(struct action *c)
{
	task_answer(c, 200, http_request_param(c->rq, "id"));
}

static void list_runs(struct http_request *rq)
{
	struct list_fixed of = {"task", http_request_param(rq, "id")};

	api_list(rq, "task_runs", &of, 1);
}

static void run_health(struct action *c)
{
	char now[TIME_TEXT_MS_LEN + 1];
	struct json_value hold;
	struct json_writer w;
	int rc = action_row(c, "task_hold", NULL, 0, &hold);

	if (rc != 0 && rc != ERR_NOT_FOUND) {
		action_fail_err(c, rc);
		return;
	}
	time_format_ms(now, clock_wall_ms(c->app->clock));
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, "status");
	json_put_str(&w, "ok");
	json_name(&w, "timestamp");
	json_put_str(&w, now);
	json_name(&w, "paused");
	json_put_bool(&w, rc == 0);
	json_end_object(&w);
}

static void run_kinds(struct action *c)
{
	struct json_writer w = action_answer(c, 200);
	const struct task_kind *kind;

	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_array(&w);
	for (unsigned i = 0; (kind = task_kind_at(c->app, i)) != NULL; i++) {
		json_begin_object(&w);
		json_name(&w, "kind");
		json_put_str(&w, kind->name);
		json_name(&w, "summary");
		json_put_str(&w, kind->summary);
		json_name(&w, "unready");
		json_put_str(&w, kind->unready == NULL ? NULL : kind->unready(c->app));
		json_name(&w, "payload");
		if (kind->payload != NULL)
			schema_describe(kind->payload, &w);
		else
			json_put_null(&w);
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
}

/* ---- when an expression comes next ----------------------------------------------------------- */

static void put_times(struct action *c, const struct cron *cron, const struct zone *zone, int64_t after_ms, int64_t count)
{
	struct json_writer w = action_answer(c, 200);
	char text[TIME_TEXT_MS_LEN + 1];

	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_array(&w);
	while (count-- > 0 && task_first(cron, zone, after_ms, &after_ms)) {
		time_format_ms(text, after_ms);
		json_put_str(&w, text);
	}
	json_end_array(&w);
	json_end_object(&w);
}

static void run_next(struct action *c)
{
	struct params_task_next q;
	struct task_cron cron;
	int64_t after_us = clock_wall_us(c->app->clock);

	if (!admin_params(c, &schema_params_task_next, &q) || !task_cron_read(c, q.cron, q.timezone, &cron))
		return;
	if (q.after.len > 0 && time_parse_us(q.after, &after_us) != 0)
		task_fail_field(c, "after", "is no instant, as 2027-01-31T00:00:00Z.", "不是有效的时间");
	else
		put_times(c, &cron.cron, cron.zone, after_us / 1000, q.count);
	zone_close(cron.zone);
}

/* ---- run now ------------------------------------------------------------------------------------ */

/* The run's id follows from the event that made it. */
static void run_id_of(char ret[EFFECT_ID_LEN + 1], const struct action_events *e, struct slice priority)
{
	struct json_value cause = {0};
	bool there = json_member(json_root(slice_of(e->drafts[0].entry, e->drafts[0].entry_len)), "id", &cause);

	assert(there);
	effect_id_make(ret, slice_of(cause.text.ptr + 1, cause.text.len - 2), /* between its quotes */
	    slice_is(priority, "LOW") ? SLICE("task.run_low") : SLICE("task.run"), (struct slice){0});
}

static void answer_run(struct action *c, const char *run_id)
{
	struct json_writer w = action_answer(c, 202);

	json_begin_object(&w);
	if (task_is_v1(c)) {
		json_name(&w, "data");
		json_begin_object(&w);
	}
	json_name(&w, "jobId");
	json_put_str(&w, run_id);
	if (task_is_v1(c))
		json_end_object(&w);
	json_end_object(&w);
}

static void run_now(struct action *c)
{
	struct action_events e = {.c = c};
	struct event_task_fired fired;
	char run_id[EFFECT_ID_LEN + 1];
	struct task_standing t;

	if (!task_find(c, &t))
		return;
	if (t.held) {
		action_fail(c, 409, "paused", "All tasks are paused; resume them first.", "任务队列已暂停，请先恢复");
		return;
	}
	fired = (struct event_task_fired){.task_id = t.id, .trigger = SLICE("MANUAL"),
	    .due_at_ms = clock_wall_ms(c->app->clock), .kind = t.kind, .priority = t.priority, .time_limit_ms = t.time_limit_ms,
	    .tries_max = t.tries_max, .payload = t.payload, .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = t.id}}};
	action_event(&e, EVENT_TASK_FIRED, &fired, &t.key, NULL);
	if (!append(&e))
		return;
	run_id_of(run_id, &e, t.priority);
	answer_run(c, run_id);
}

/* ---- pause, resume, delete ----------------------------------------------------------------------- */

/* Again what it is already is fine, and no event. */
static void set_paused(struct action *c, bool paused)
{
	struct action_events e = {.c = c};
	struct task_standing t;

	if (!task_find(c, &t))
		return;
	if (t.paused != paused) {
		struct event_meta meta = at_version(c, t.version);
		struct event_task_paused pause = {.task_id = t.id};
		struct event_task_resumed resume = {.task_id = t.id};

		if (paused)
			action_event(&e, EVENT_TASK_PAUSED, &pause, NULL, &meta);
		else
			action_event(&e, EVENT_TASK_RESUMED, &resume, NULL, &meta);
		if (!append(&e))
			return;
	}
	task_answer(c, 200, t.id);
}

static void run_pause(struct action *c)
{
	set_paused(c, true);
}

static void run_resume(struct action *c)
{
	set_paused(c, false);
}

static void answer_ok(struct action *c)
{
	put_object(c, 200, SLICE("{\"ok\":true}"));
}

static void set_all_paused(struct action *c, bool paused)
{
	struct request_task_reason body = {{0}};
	struct action_events e = {.c = c};
	struct json_value hold;
	int rc;

	if (c->rq->body.len > 0 && !action_read(c, &schema_request_task_reason, &body))
		return;
	rc = action_row(c, "task_hold", NULL, 0, &hold);
	if (rc != 0 && rc != ERR_NOT_FOUND) {
		action_fail_err(c, rc);
		return;
	}
	if (paused != (rc == 0)) {
		struct event_task_all_paused pause = {.reason = body.reason};
		struct event_task_all_resumed resume = {.reason = body.reason};

		if (paused)
			action_event(&e, EVENT_TASK_ALL_PAUSED, &pause, NULL, NULL);
		else
			action_event(&e, EVENT_TASK_ALL_RESUMED, &resume, NULL, NULL);
		if (!append(&e))
			return;
	}
	answer_ok(c);
}

static void run_pause_all(struct action *c)
{
	set_all_paused(c, true);
}

static void run_resume_all(struct action *c)
{
	set_all_paused(c, false);
}

static void run_delete(struct action *c)
{
	struct action_events e = {.c = c};
	struct event_task_deleted deleted;
	struct event_meta meta;
	struct task_standing t;

	if (!task_find(c, &t))
		return;
	meta = at_version(c, t.version);
	deleted = (struct event_task_deleted){.task_id = t.id, .hint = t.hint.len > 0 ? t.hint : (struct slice){0}};
	action_event(&e, EVENT_TASK_DELETED, &deleted, NULL, &meta);
	if (!append(&e))
		return;
	/* What it wanted to know is readable no more; the next start does it if this fails. */
	keyring_erase(c->app->keyring, &t.key, 1);
	if (task_is_v1(c))
		c->status = 204;
	else
		answer_ok(c);
}

/* ---- routes --------------------------------------------------------------------------------------- */

#define HANDLER(name, run) \
	static void name(struct http_request *rq) \
	{ \
		action_start(rq, ACTION_QUICK, run); \
	}

HANDLER(list, run_list)
HANDLER(get, run_get)
HANDLER(health, run_health)
HANDLER(kinds, run_kinds)
HANDLER(next, run_next)
HANDLER(fire, run_now)
HANDLER(pause_one, run_pause)
HANDLER(resume_one, run_resume)
HANDLER(pause_all, run_pause_all)
HANDLER(resume_all, run_resume_all)
HANDLER(delete, run_delete)

#define READ "tasks:read"
#define WRITE "tasks:write"

static const struct api_list_doc runs_doc = {"task_runs", "task"};

const struct route api_tasks_routes[] = {
	TASK_ROUTES(HTTP_GET, "/tasks", list, READ, .params = &schema_params_tasks, .answer = "object", .summary = "Tasks there are"),
	TASK_ROUTES(HTTP_GET, "/tasks/health", health, READ, .answer = "object", .summary = "Whether tasks fire"),
	TASK_ROUTES(HTTP_GET, "/tasks/{id}", get, READ, .answer = "object", .summary = "One task"),
	TASK_ROUTES(HTTP_DELETE, "/tasks/{id}", delete, WRITE, .answer = "object",
	    .summary = "Delete a task; its payload is readable no more"),
	TASK_ROUTES(HTTP_POST, "/tasks/pause", pause_all, WRITE, .request = &schema_request_task_reason, .answer = "object",
	    .summary = "Let no task fire; what runs goes on"),
	TASK_ROUTES(HTTP_POST, "/tasks/resume", resume_all, WRITE, .request = &schema_request_task_reason, .answer = "object",
	    .summary = "Take that back; what was missed is up to each task"),
	TASK_ROUTES(HTTP_POST, "/tasks/{id}/run", fire, WRITE, .answer = "object", .success = "202",
	    .summary = "Run a task now, beside its schedule"),
	TASK_ROUTES(HTTP_POST, "/tasks/{id}/pause", pause_one, WRITE, .answer = "object",
	    .summary = "Let a task not fire by itself"),
	TASK_ROUTES(HTTP_POST, "/tasks/{id}/resume", resume_one, WRITE, .answer = "object",
	    .summary = "Take that back; what it missed is up to the task"),
	{HTTP_GET, "/api/v1/tasks/kinds", kinds, READ, .flags = ROUTE_NO_ETAG, .answer = "object", .tag = TASK_TAG,
	    .summary = "What tasks can do, and what each kind wants to know"},
	{HTTP_GET, "/api/v1/tasks/next", next, READ, .flags = ROUTE_NO_ETAG, .params = &schema_params_task_next,
	    .answer = "object", .tag = TASK_TAG, .summary = "When a cron expression comes next"},
	{HTTP_GET, "/api/v1/tasks/{id}/runs", list_runs, READ, .answer = "TaskRunList", .tag = TASK_TAG,
	    .summary = "The history of a task: its newest 1,000 runs", .extra = &runs_doc},
	{0},
};
