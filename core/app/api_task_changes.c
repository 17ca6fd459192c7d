/*
 * A new task, and what is otherwise with one (functional-spec 11.2). Both come to one thing: what the task is now,
 * all of it, with what the body says put in, checked, and then when it is due next.
 *
 * What clients of the systems replaced wrote says what to do in payload.originalName, or by the name; a `kind` is plainer
 * and wins.
 */
#include "app/api.h"
#include "app/api_admin.h"
#include "app/api_tasks.h"
#include "app/rights.h"
#include "app/tasks.h"
#include "base/err.h"
#include "domain/task_plan.h"
#include "requests.gen.h"
#include "store/keyring.h"

#define ZONE_DEFAULT SLICE("Asia/Shanghai")
#define MISSED_MAX_DEFAULT 10
#define TIME_LIMIT_MS_DEFAULT 300000
#define TRIES_MAX_DEFAULT 3 /* functional-spec 16.1 */
#define PAYLOAD_MAX 16384
#define TASKS_MAX 10000
#define CHANGES_MAX 3 /* a task may fire while it is changed */
#define ORIGINAL_NAME "originalName"

/* A task as it is to be. */
struct draft {
	struct slice id, name, kind, payload, cron, timezone, missed, priority;
	bool has_run_at;
	int64_t run_at_ms, missed_max, time_limit_ms, tries_max;
	bool has_next;
	int64_t next_ms;
};

/* What a body says; what is absent is empty. */
struct wish {
	struct slice name, kind, payload, cron, timezone, run_at, missed, priority;
	bool has_delay, has_missed_max, has_time_limit, has_tries;
	int64_t delay_ms, missed_max, time_limit_ms, tries_max;
};

#define WISH(b) \
	.name = (b).name, .kind = (b).kind, .payload = (b).payload, .missed = (b).missed, .priority = (b).priority, \
	.has_missed_max = (b).has_missed_max, .missed_max = (b).missed_max, .has_time_limit = (b).has_time_limit_ms, \
	.time_limit_ms = (b).time_limit_ms, .has_tries = (b).has_max_attempts, .tries_max = (b).max_attempts

/* ---- the schedule --------------------------------------------------------------------- */

static bool open_zone(struct action *c, struct slice name, struct zone **ret)
{
	int rc = zone_open(ret, NULL, name);

	if (rc == ERR_NOT_FOUND)
		return task_fail_field(c, "timezone", "is no IANA time zone, as Asia/Shanghai.", "不是有效的 IANA 时区");
	if (rc == ERR_UNAVAILABLE)
		return action_fail(c, 503, "no_time_zones", "This machine has no time zones: install the package tzdata.",
		    "服务器缺少时区数据，请安装 tzdata");
	return action_ok(c, rc);
}

bool task_cron_read(struct action *c, struct slice text, struct slice zone_name, struct task_cron *ret)
{
	struct cron_problem p;

	ret->zone = NULL;
	if (cron_parse(text, &ret->cron, &p) == 0)
		return open_zone(c, zone_name, &ret->zone);
	if (strcmp(p.field, "cron") == 0)
		return task_fail_field(c, "cron", action_made(c, arena_printf(c->arena, "%s.", p.says)), p.says_zh);
	return task_fail_field(c, "cron", action_made(c, arena_printf(c->arena, "the %s %s.", p.field, p.says)),
	    action_made(c, arena_printf(c->arena, "%s %s", p.field, p.says_zh)));
}

/* When a task with this schedule is due; the past is now. */
static bool find_next(struct action *c, struct draft *d)
{
	int64_t now_ms = clock_wall_ms(c->app->clock);
	struct task_cron cron;
	bool ok;

	d->has_next = true;
	if (d->cron.len == 0) {
		d->next_ms = d->run_at_ms > now_ms ? d->run_at_ms : now_ms;
		return true;
	}
	ok = task_cron_read(c, d->cron, d->timezone, &cron);
	if (ok && !task_first(&cron.cron, cron.zone, now_ms, &d->next_ms))
		ok = task_fail_field(c, "cron", "names a day that never comes.", "指定的日期永远不会出现");
	zone_close(cron.zone);
	return ok;
}

/* What the body says about when; *ret_changed: it says something. */
static bool put_schedule(struct action *c, struct draft *d, const struct wish *w, bool *ret_changed)
{
	int64_t us;

	*ret_changed = w->cron.len > 0 || w->timezone.len > 0 || w->run_at.len > 0 || w->has_delay;
	d->cron = w->cron.len > 0 ? w->cron : d->cron;
	if (d->cron.len > 0 && (w->run_at.len > 0 || w->has_delay))
		return task_fail_field(c, w->run_at.len > 0 ? "runAt" : "delayMs", "is for a task that has no cron.",
		    "不能与 cron 同时使用");
	if (d->cron.len == 0 && w->timezone.len > 0)
		return task_fail_field(c, "timezone", "is for a task that has a cron; runAt names its offset.", "只能与 cron 一起使用");
	if (w->run_at.len > 0 && w->has_delay)
		return task_fail_field(c, "delayMs", "and runAt exclude each other.", "不能与 runAt 同时使用");
	d->timezone = w->timezone.len > 0 ? w->timezone : d->timezone;
	if (d->cron.len > 0 && d->timezone.len == 0)
		d->timezone = ZONE_DEFAULT;
	if (w->run_at.len > 0) {
		if (time_parse_us(w->run_at, &us) != 0)
			return task_fail_field(c, "runAt", "is no instant, as 2027-01-31T00:00:00+08:00.", "不是有效的时间");
		d->run_at_ms = us / 1000;
		d->has_run_at = true;
	} else if (w->has_delay) {
		d->run_at_ms = clock_wall_ms(c->app->clock) + w->delay_ms;
		d->has_run_at = true;
	}
	if (d->cron.len > 0)
		d->has_run_at = false;
	return d->cron.len > 0 || d->has_run_at ||
	    task_fail_field(c, "runAt", "says when, or delayMs does.", "必须指定 runAt 或 delayMs");
}

/* ---- the kind and its payload ------------------------------------------------------------- */

static struct slice original_name(struct action *c, struct slice payload)
{
	struct slice text = {0};
	struct json_value v;

	if (payload.len > 0 && json_member(json_root(payload), ORIGINAL_NAME, &v) && v.type == JSON_STRING &&
	    json_string(v, c->arena, &text) != 0)
		action_fail_err(c, ERR_NOMEM);
	return text;
}

/* It says the kind, and is none of what a kind wants to know. */
static bool without_original_name(struct action *c, struct slice *payload)
{
	struct buf out = BUF_INIT(payload->len + 64);
	struct json_writer w = JSON_WRITER(&out);
	struct json_reader r;
	struct json_value v;
	struct slice name;

	json_begin_object(&w);
	json_enter(&r, json_root(*payload));
	while (json_next(&r, &name, &v))
		if (!json_name_is(name, SLICE(ORIGINAL_NAME))) {
			buf_append(&out, slice_of(out.len > 1 ? "," : "", out.len > 1));
			buf_append_char(&out, '"');
			buf_append(&out, name); /* as it was written, escapes and all */
			buf_append_str(&out, "\":");
			buf_append(&out, v.text);
		}
	buf_append_char(&out, '}');
	*payload = out.rc == 0 ? arena_dup(c->arena, buf_slice(&out)) : (struct slice){0};
	buf_finish(&out);
	return payload->ptr != NULL || action_fail_err(c, ERR_NOMEM);
}

static bool fail_kind(struct action *c, bool named)
{
	return task_fail_field(c, "kind",
	    named ? "is none there is; GET /api/v1/tasks/kinds lists them."
	          : "is missing, and neither payload.originalName nor the name is one; GET /api/v1/tasks/kinds lists them.",
	    named ? "未知的任务类型" : "缺少任务类型");
}

static bool check_payload(struct action *c, const struct task_kind *kind, struct slice payload)
{
	struct json_reader r;
	struct json_value v;
	void *ret;

	if (payload.len > PAYLOAD_MAX)
		return task_fail_field(c, "payload", "is longer than 16,384 bytes.", "过长");
	if (kind->payload == NULL) {
		json_enter(&r, json_root(payload));
		return !json_next(&r, NULL, &v) ||
		    task_fail_field(c, "payload", "must be empty: this kind wants to know nothing.", "该任务类型不需要参数");
	}
	ret = arena_alloc(c->arena, kind->payload->size);
	if (ret == NULL)
		return action_fail_err(c, ERR_NOMEM);
	if (schema_decode_value(kind->payload, json_root(payload), "/payload", NULL, c->arena, ret, &c->problems) == 0)
		return true;
	return action_fail(c, 400, "invalid", "The payload is not what this kind of task takes; see errors.",
	    action_made(c, arena_printf(c->arena, "请求参数错误: %s", c->problems.n > 0 ? c->problems.items[0].path : "/payload")));
}

static bool put_kind(struct action *c, struct draft *d, const struct wish *w)
{
	const struct task_kind *kind;
	struct slice said;
	void *state;

	d->payload = w->payload.len > 0 ? w->payload : d->payload.len > 0 ? d->payload : SLICE("{}");
	said = w->kind.len > 0 ? w->kind : original_name(c, d->payload);
	if (said.len == 0)
		said = d->kind.len > 0 ? d->kind : d->name;
	kind = task_kind_find(c->app, said, &state);
	if (kind == NULL)
		return fail_kind(c, w->kind.len > 0);
	if (kind->permission != NULL && !rights_in(c, kind->permission, (struct slice){0}, NULL))
		return false;
	d->kind = slice_str(kind->name);
	return without_original_name(c, &d->payload) && check_payload(c, kind, d->payload);
}

/* Everything of a body but when. */
static bool put_rest(struct action *c, struct draft *d, const struct wish *w)
{
	d->name = w->name.len > 0 ? w->name : d->name;
	d->missed = w->missed.len > 0 ? w->missed : d->missed;
	d->priority = w->priority.len > 0 ? w->priority : d->priority;
	d->missed_max = w->has_missed_max ? w->missed_max : d->missed_max;
	d->time_limit_ms = w->has_time_limit ? w->time_limit_ms : d->time_limit_ms;
	d->tries_max = w->has_tries ? w->tries_max : d->tries_max;
	return put_kind(c, d, w);
}

#define DEFINITION(d) \
	.task_id = (d)->id, .name = (d)->name, .type = (d)->cron.len > 0 ? SLICE("CRON") : SLICE("ONCE"), .kind = (d)->kind, \
	.has_run_at_ms = (d)->has_run_at, .run_at_ms = (d)->run_at_ms, .cron = (d)->cron, .timezone = (d)->timezone, \
	.missed = (d)->missed, .missed_max = (d)->missed_max, .priority = (d)->priority, .time_limit_ms = (d)->time_limit_ms, \
	.tries_max = (d)->tries_max, .has_next_at_ms = (d)->has_next, .next_at_ms = (d)->next_ms, .payload = (d)->payload, \
	.has_subjects = true, .subjects = {.has_person = true, .person = {.id = (d)->id}}

/* ---- a new one -------------------------------------------------------------------------------- */

static bool has_room(struct action *c)
{
	struct json_value row;
	int rc = action_row(c, "tasks_count", NULL, 0, &row);

	if (rc != 0)
		return action_fail_err(c, rc);
	return row_i64(row, "count") < TASKS_MAX ||
	    action_fail(c, 409, "too_many", "There are 10,000 tasks; delete some first.", "任务过多，请先删除一些");
}

/* Asked for once more: the task that has the hint, when that is the same. */
static void answer_of_hint(struct action *c, struct slice hint, const struct draft *d)
{
	struct json_value row;
	int rc = action_row(c, "task_by_hint", (struct action_param[]){{"hint", hint, 0}}, 1, &row);

	if (rc == ERR_NOT_FOUND)
		task_fail_conflict(c);
	else if (action_ok(c, rc) && slice_eq(row_text(c, row, "kind"), d->kind) &&
	    slice_eq(row_text(c, row, "name"), d->name) && slice_eq(row_text(c, row, "payload"), d->payload) &&
	    slice_eq(row_text(c, row, "cron"), d->cron))
		task_answer(c, 200, row_text(c, row, "id"));
	else if (c->err == 0)
		action_fail(c, 409, "taken", "jobIdHint: another task has it.", "jobIdHint 已被其他任务使用");
}

static bool take_id(struct action *c, struct id *key, struct slice *ret)
{
	char *text = arena_alloc(c->arena, ID_TEXT_LEN + 1);
	int rc = text == NULL ? ERR_NOMEM : keyring_take(c->app->keyring, KEY_SUBJECT, key);

	if (rc != 0)
		return action_fail_err(c, rc);
	id_format(text, key);
	*ret = slice_of(text, ID_TEXT_LEN);
	return true;
}

/* *ret: its id. False: the answer is set. */
static bool make_task(struct action *c, const struct wish *w, struct slice hint, struct slice *ret)
{
	struct draft d = {.missed = SLICE("ONCE"), .priority = SLICE("NORMAL"), .missed_max = MISSED_MAX_DEFAULT,
	    .time_limit_ms = TIME_LIMIT_MS_DEFAULT, .tries_max = TRIES_MAX_DEFAULT};
	struct action_events e = {.c = c};
	struct event_task_scheduled data;
	struct event_meta meta = action_meta(c);
	struct id key;
	bool changed;
	int rc;

	if (!put_rest(c, &d, w) || !put_schedule(c, &d, w, &changed) || !find_next(c, &d) || !has_room(c) ||
	    !take_id(c, &key, &d.id))
		return false;
	data = (struct event_task_scheduled){DEFINITION(&d), .hint = hint.len > 0 ? hint : (struct slice){0}};
	meta.expect = EXPECT_NONE;
	action_event(&e, EVENT_TASK_SCHEDULED, &data, &key, &meta);
	rc = action_append(&e);
	*ret = d.id;
	if (rc != ERR_TAKEN)
		return action_ok(c, rc);
	answer_of_hint(c, hint, &d);
	return false;
}

static void create_task(struct action *c, const struct wish *w, struct slice hint)
{
	struct slice id;

	if (make_task(c, w, hint, &id))
		task_answer(c, 201, id);
}

static void run_once(struct action *c)
{
	struct request_task_once body;

	if (action_read(c, &schema_request_task_once, &body))
		create_task(c, &(struct wish){WISH(body), .run_at = body.run_at, .has_delay = body.has_delay_ms,
		    .delay_ms = body.delay_ms}, body.job_id_hint);
}

static void run_cron(struct action *c)
{
	struct request_task_cron body;

	if (action_read(c, &schema_request_task_cron, &body))
		create_task(c, &(struct wish){WISH(body), .cron = body.cron, .timezone = body.timezone}, body.job_id_hint);
}

static void run_create(struct action *c)
{
	struct request_task_create body;

	if (action_read(c, &schema_request_task_create, &body))
		create_task(c, &(struct wish){WISH(body), .run_at = body.run_at, .has_delay = body.has_delay_ms,
		    .delay_ms = body.delay_ms, .cron = body.cron, .timezone = body.timezone}, body.job_id_hint);
}

/* ---- a meeting once more ----------------------------------------------------------------------- */

#define REPROCESS_KIND "processMeetingRecording" /* of who fetches recordings */

/* May its recordings be gone through again? */
static bool can_reprocess(struct action *c, struct slice meeting_id)
{
	struct action_param params[] = {{"recording", SLICE(""), 0}, {"meeting", meeting_id, 0}};
	void *state;
	const struct task_kind *kind = task_kind_find(c->app, SLICE(REPROCESS_KIND), &state);
	const char *why = kind == NULL ? "There is nobody here who fetches recordings."
	    : kind->unready == NULL ? NULL : kind->unready(c->app);
	struct json_value recording;
	int rc;

	if (why != NULL)
		return action_fail(c, 409, "unavailable", why, "未配置获取录制文件的平台");
	rc = action_row(c, "recordings_to_process", params, 2, &recording);
	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 409, "no_recordings", "There is no recording of this meeting that could be gone through again.",
		    "该会议没有可重新处理的录制");
	return action_ok(c, rc);
}

/* A task of its own, due at once, whose history tells what came of it. Existing clients want the meeting as it was. */
static void run_reprocess(struct action *c)
{
	struct slice id = http_request_param(c->rq, "id"), task;
	struct json_value meeting;
	struct json_writer w;
	int rc = action_row(c, "meeting_by_id", (struct action_param[]){{"id", id, 0}}, 1, &meeting);
	struct wish wish = {.kind = SLICE(REPROCESS_KIND), .has_delay = true};

	if (!rights_in(c, "meetings:read", (struct slice){0}, NULL))
		return;
	if (rc == ERR_NOT_FOUND) {
		action_fail(c, 404, "not_found", "There is no meeting with this id; GET /api/v1/meetings lists those there are.",
		    action_made(c, arena_printf(c->arena, "会议记录未找到: %.*s", SLICE_ARG(id))));
		return;
	}
	if (!action_ok(c, rc) || !can_reprocess(c, id))
		return;
	wish.name = slice_str(action_made(c, arena_printf(c->arena, "reprocess %.*s", SLICE_ARG(id))));
	wish.payload = slice_str(action_made(c, arena_printf(c->arena, "{\"meetingId\":\"%.*s\"}", SLICE_ARG(id))));
	if (!make_task(c, &wish, (struct slice){0}, &task))
		return;
	action_header(c, "Location", arena_printf(c->arena, "/api/v1/tasks/%.*s", SLICE_ARG(task)));
	if (task_is_v1(c)) {
		task_answer(c, 202, task);
		return;
	}
	w = action_answer(c, 200);
	json_put_raw(&w, meeting.text);
}

/* ---- a change ------------------------------------------------------------------------------------- */

static void add_paused(struct action_events *e, const struct task_standing *t, struct slice status, int64_t version)
{
	struct event_meta meta = action_meta(e->c);
	struct event_task_paused paused = {.task_id = t->id};
	struct event_task_resumed resumed = {.task_id = t->id};

	meta.expect = version;
	if (slice_is(status, "PAUSED") && !t->paused)
		action_event(e, EVENT_TASK_PAUSED, &paused, NULL, &meta);
	else if (slice_is(status, "SCHEDULED") && t->paused)
		action_event(e, EVENT_TASK_RESUMED, &resumed, NULL, &meta);
}

/* ERR_CONFLICT: it fired, or somebody changed it, while this looked. Other failures have set the answer, and give 0. */
static int change_once(struct action *c, const struct request_task_change *body, struct slice *ret_id)
{
	struct wish w = {WISH(*body), .run_at = body->run_at, .has_delay = body->has_delay_ms, .delay_ms = body->delay_ms,
	    .cron = body->cron, .timezone = body->timezone};
	struct action_events *e = arena_calloc(c->arena, 1, sizeof(*e));
	struct event_meta meta = action_meta(c);
	struct event_task_changed data;
	struct task_standing t;
	struct draft d;
	bool when;

	if (e == NULL)
		return action_fail_err(c, ERR_NOMEM);
	if (!task_find(c, &t))
		return 0;
	e->c = c;
	d = (struct draft){t.id, t.name, t.kind, t.payload, t.cron, t.timezone, t.missed, t.priority, t.has_run_at, t.run_at_ms,
	    t.missed_max, t.time_limit_ms, t.tries_max, t.has_next, t.next_ms};
	if (!put_rest(c, &d, &w) || !put_schedule(c, &d, &w, &when) || (when && !find_next(c, &d)))
		return 0;
	data = (struct event_task_changed){DEFINITION(&d)};
	meta.expect = t.version;
	action_event(e, EVENT_TASK_CHANGED, &data, &t.key, &meta);
	add_paused(e, &t, body->status, t.version + 1);
	*ret_id = t.id;
	return action_append(e);
}

static void run_change(struct action *c)
{
	struct request_task_change body;
	struct slice id = {0};
	int rc = ERR_CONFLICT;

	if (!action_read(c, &schema_request_task_change, &body))
		return;
	for (int i = 0; rc == ERR_CONFLICT && i < CHANGES_MAX; i++)
		rc = change_once(c, &body, &id);
	if (c->status != 0 || c->err != 0)
		return;
	if (rc == ERR_CONFLICT)
		task_fail_conflict(c);
	else if (action_ok(c, rc))
		task_answer(c, 200, id);
}

/* ---- routes ------------------------------------------------------------------------------------------ */

static void once(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_once);
}

static void cron(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_cron);
}

static void create(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_create);
}

static void reprocess(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_reprocess);
}

static void change(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_change);
}

#define WRITE "tasks:write"

const struct route api_task_changes_routes[] = {
	TASK_ROUTES(HTTP_POST, "/tasks/once", once, WRITE, .request = &schema_request_task_once, .answer = "object",
	    .success = "201", .summary = "Schedule work that is to be done once"),
	TASK_ROUTES(HTTP_POST, "/tasks/cron", cron, WRITE, .request = &schema_request_task_cron, .answer = "object",
	    .success = "201", .summary = "Schedule work that is to be done again and again"),
	{HTTP_POST, "/api/v1/tasks", create, WRITE, .flags = ROUTE_NO_ETAG, .request = &schema_request_task_create,
	    .answer = "object", .success = "201", .tag = TASK_TAG, .summary = "Schedule a task, once or with cron"},
	TASK_ROUTES(HTTP_PATCH, "/tasks/{id}", change, WRITE, .request = &schema_request_task_change, .answer = "object",
	    .summary = "Change a task; a new schedule counts from now"),
	{HTTP_POST, "/meetings/{id}/reprocess", reprocess, WRITE, .flags = ROUTE_NO_ETAG, .answer = "object", .tag = "meetings",
	    .summary = "Go through its recordings again; the meeting as it was"},
	{HTTP_POST, "/api/v1/meetings/{id}/reprocess", reprocess, WRITE, .flags = ROUTE_NO_ETAG, .answer = "object", .success = "202",
	    .tag = "meetings", .summary = "Go through its recordings again: what is missing is fetched. The task that does so"},
	{0},
};
