/*
 * See task_scheduler.h. Each look:
 *
 *     rows that are due, which have seen all events of tasks --> what they have to do (domain/task_plan.h) --> one append a task,
 *     at the version of its stream that was looked at: who changed it meanwhile wins, and it is looked at again
 *
 * Also here, since it is as seldom: the keys of deleted tasks are destroyed, which a crash after the deletion left over.
 */
#include "app/task_scheduler.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

#include "base/err.h"
#include "base/json.h"
#include "base/log.h"
#include "base/thread.h"
#include "domain/event.h"
#include "domain/task_plan.h"
#include "store/eventlog.h"
#include "store/keyring.h"
#include "store/query.h"
#include "store/seal.h"

#define WAIT_MS 1000   /* for rows that are behind */
#define SOON_MS 100
#define LATEST_MS 1000
#define REST_MS 20     /* so often it looks at a log that grows all the time */
#define FAILED_MS 10000 /* a task that could not be fired is left alone for so long */
#define DUE_MAX 32      /* what the query gives */
#define FAILED_MAX DUE_MAX
#define ARENA_MAX ((size_t)16 << 20)
#define ONCE_SOURCE SLICE("task")

/* One that could not be fired, for a reason that lasts. */
struct failed {
	struct id id;
	int64_t until_ms; /* monotonic */
};

struct task_scheduler {
	struct task_scheduler_options o;
	pthread_t thread;
	bool started;
	_Atomic bool stopping, told;

	/* The thread's alone. */
	uv_loop_t loop;
	uv_async_t wake;
	uv_timer_t timer;
	struct log_port *port;
	struct log_follower follower;
	struct eventlog_cursor cursor;
	uint64_t needed;  /* events the rows must have seen */
	bool swept;       /* keys of deleted tasks are gone */
	bool known;       /* next_ms is that of the rows */
	int64_t next_ms;  /* wall clock; 0 = nothing will be due */
	struct failed failed[FAILED_MAX];
	unsigned n_failed;
};

/* A row that is due. Texts lie in the arena of the look. */
struct due {
	struct slice id_text, kind, payload, cron, timezone, missed, priority;
	struct id id;
	int64_t missed_max, time_limit_ms, tries_max, next_ms, version;
};

/* ---- rows --------------------------------------------------------------------------- */

static int64_t now_mono_ms(const struct task_scheduler *s)
{
	return clock_monotonic_us(s->o.clock) / 1000;
}

/* The rows of a query, as an array in the arena. */
static int ask(struct task_scheduler *s, const char *name, const struct query_param *param, struct arena *a,
    struct json_value *ret)
{
	struct query q = {.def = query_find(name), .params = {*param}, .n_params = 1, .wait_ms = WAIT_MS,
	    .has_min_position = s->needed > 0, .min_position = s->needed - 1};
	struct slice text;
	int rc = query_run(s->o.queries, &q);

	if (rc == 0 && q.stale) /* the file of an older version knows other rows; its successor is on its way */
		rc = ERR_UNAVAILABLE;
	if (rc == 0) {
		text = arena_dup(a, buf_slice(&q.out));
		rc = text.ptr == NULL ? ERR_NOMEM : 0;
	}
	query_finish(&q);
	if (rc == 0)
		*ret = json_root(text);
	return rc;
}

static bool read_due(struct json_value row, struct arena *a, struct due *ret)
{
	*ret = (struct due){.id_text = json_member_text(row, "id", a), .kind = json_member_text(row, "kind", a),
	    .payload = json_member_text(row, "payload", a), .cron = json_member_text(row, "cron", a),
	    .timezone = json_member_text(row, "timezone", a), .missed = json_member_text(row, "missed", a),
	    .priority = json_member_text(row, "priority", a), .missed_max = json_member_i64(row, "missedMax", 0),
	    .time_limit_ms = json_member_i64(row, "timeLimitMs", 0), .tries_max = json_member_i64(row, "triesMax", 0), .next_ms = json_member_i64(row, "nextAt", 0),
	    .version = json_member_i64(row, "version", 0)};
	return id_parse(ret->id_text, &ret->id) == 0 && ret->missed_max >= 1 && ret->missed_max <= TASK_MISSED_MAX;
}

/* ---- what to tell -------------------------------------------------------------------- */

struct telling {
	struct task_scheduler *s;
	const struct due *d;
	struct arena *arena;
	struct event_draft drafts[TASK_MISSED_MAX];
	size_t n;
};

static int add(struct telling *t, enum event_type type, const void *data, int64_t due_ms, bool once)
{
	struct task_scheduler *s = t->s;
	char id_text[ID_TEXT_LEN + 1];
	struct seal_subject subject = {"person", t->d->id};
	struct seal_scope scope = {.sealer = s->o.sealer, .event_id = slice_of(id_text, ID_TEXT_LEN), .subjects = &subject,
	    .n_subjects = 1};
	struct seal_hooks hooks;
	struct event_context ctx = {s->o.rng, s->o.clock, &hooks};
	struct event_meta meta = {.source = SLICE("/tasks"), .actor = SLICE("system"), .has_id = true, .has_once = once,
	    .id = id_random(s->o.rng), .expect = t->d->version + (int64_t)t->n};
	const char *key = arena_printf(t->arena, "task/%.*s/%" PRId64, SLICE_ARG(t->d->id_text), due_ms);
	int rc;

	if (key == NULL)
		return ERR_NOMEM;
	id_format(id_text, &meta.id);
	seal_scope_hooks(&hooks, &scope);
	event_once_key(meta.once, ONCE_SOURCE, slice_str(key));
	rc = event_draft_make(&ctx, type, data, &meta, t->arena, &t->drafts[t->n], NULL);
	t->n += rc == 0;
	return rc;
}

static int add_fired(struct telling *t, const struct task_plan *plan, size_t i, int64_t now_ms)
{
	const struct due *d = t->d;
	bool passed_over = i == 0 && plan->passed_over;
	bool late = passed_over || task_is_late(plan->due_ms[i], now_ms);
	struct event_task_fired fired = {.task_id = d->id_text, .trigger = late ? SLICE("MISSED") : SLICE("SCHEDULE"),
	    .due_at_ms = plan->due_ms[i], .has_missed_from_ms = passed_over, .missed_from_ms = plan->from_ms,
	    .has_next_at_ms = plan->has_next, .next_at_ms = plan->next_ms, .kind = d->kind, .priority = d->priority,
	    .time_limit_ms = d->time_limit_ms, .tries_max = d->tries_max, .payload = d->payload,
	    .has_subjects = true, .subjects = {.has_person = true, .person = {.id = d->id_text}}};

	return add(t, EVENT_TASK_FIRED, &fired, plan->due_ms[i], true);
}

static int add_missed(struct telling *t, const struct task_plan *plan)
{
	struct event_task_missed missed = {.task_id = t->d->id_text, .from_ms = plan->from_ms, .until_ms = plan->until_ms,
	    .has_next_at_ms = plan->has_next, .next_at_ms = plan->next_ms};

	return add(t, EVENT_TASK_MISSED, &missed, plan->until_ms, false);
}

static int append(struct telling *t, bool *ret_known)
{
	struct append append = {.events = t->drafts, .n_events = t->n};
	int rc = eventlog_append_wait(t->s->o.log, &append);

	*ret_known = rc == 0 && append.n_appended == 0;
	if (rc == 0 && append.n_appended > 0)
		t->s->needed = append.position + append.n_appended;
	return rc;
}

static int tell(struct telling *t, const struct task_plan *plan, int64_t now_ms)
{
	bool known = false;
	int rc = plan->n == 0 ? add_missed(t, plan) : 0;

	for (size_t i = 0; rc == 0 && i < plan->n; i++)
		rc = add_fired(t, plan, i, now_ms);
	if (rc == 0)
		rc = append(t, &known);
	if (rc == 0 && known) { /* these times have fired, whatever the rows say: only the next one is news */
		t->n = 0;
		rc = add_missed(t, plan);
		if (rc == 0)
			rc = append(t, &known);
	}
	return rc;
}

/* ---- one task ---------------------------------------------------------------------------- */

static int plan_of(struct task_scheduler *s, const struct due *d, int64_t now_ms, struct task_plan *ret)
{
	struct task_schedule schedule = {.next_ms = d->next_ms, .missed_max = (unsigned)d->missed_max,
	    .missed = slice_is(d->missed, "SKIP") ? TASK_SKIP : slice_is(d->missed, "ALL") ? TASK_ALL : TASK_ONCE};
	struct zone *zone = NULL;
	struct cron cron;
	int rc = 0;

	if (d->cron.len > 0) {
		rc = cron_parse(d->cron, &cron, NULL);
		if (rc == 0)
			rc = zone_open(&zone, s->o.zones, d->timezone);
		schedule.cron = &cron;
		schedule.zone = zone;
	}
	if (rc == 0)
		task_plan(&schedule, now_ms, ret);
	zone_close(zone);
	return rc;
}

static int fire(struct task_scheduler *s, const struct due *d, int64_t now_ms)
{
	struct telling *t = calloc(1, sizeof(*t));
	struct task_plan *plan = calloc(1, sizeof(*plan));
	struct arena arena = ARENA_INIT(ARENA_MAX);
	int rc = t == NULL || plan == NULL ? ERR_NOMEM : plan_of(s, d, now_ms, plan);

	if (rc == 0) {
		*t = (struct telling){.s = s, .d = d, .arena = &arena};
		rc = tell(t, plan, now_ms);
	}
	arena_finish(&arena);
	free(plan);
	free(t);
	return rc;
}

static bool is_left_alone(struct task_scheduler *s, const struct id *id)
{
	for (unsigned i = 0; i < s->n_failed; i++)
		if (memcmp(&s->failed[i].id, id, sizeof(*id)) == 0)
			return true;
	return false;
}

static void forget_failed(struct task_scheduler *s)
{
	int64_t now_ms = now_mono_ms(s);

	for (unsigned i = 0; i < s->n_failed;) {
		if (s->failed[i].until_ms <= now_ms)
			s->failed[i] = s->failed[--s->n_failed];
		else
			i++;
	}
}

static void leave_alone(struct task_scheduler *s, const struct due *d, int rc)
{
	char id[ID_TEXT_LEN + 1];

	id_format(id, &d->id);
	log_error("tasks", "a task that is due could not be fired; it is tried again", "task", id, "error", err_name(rc));
	if (s->n_failed < FAILED_MAX)
		s->failed[s->n_failed++] = (struct failed){d->id, now_mono_ms(s) + FAILED_MS};
}

static int fire_rows(struct task_scheduler *s, struct json_value rows, struct arena *a, unsigned *ret_n)
{
	struct json_reader r;
	struct json_value row;

	json_enter(&r, rows);
	for (*ret_n = 0; !atomic_load(&s->stopping) && json_next(&r, NULL, &row); ++*ret_n) {
		int64_t now_ms = clock_wall_ms(s->o.clock);
		struct due d;
		int rc;

		if (!read_due(row, a, &d) || d.next_ms > now_ms || is_left_alone(s, &d.id))
			continue;
		rc = fire(s, &d, now_ms);
		if (rc == ERR_BUSY || rc == ERR_DISK_FULL || rc == ERR_UNAVAILABLE)
			return rc; /* the log takes nothing at the moment */
		if (rc != 0 && rc != ERR_CONFLICT)
			leave_alone(s, &d, rc);
	}
	return 0;
}

/* ---- keys of deleted tasks ---------------------------------------------------------------- */

static int sweep(struct task_scheduler *s, struct arena *a)
{
	struct query_param after = {.name = "after", .text = SLICE("")};
	struct json_reader r;
	struct json_value rows, row;
	struct id id;
	unsigned n;
	int rc;

	do {
		rc = ask(s, "tasks_deleted", &after, a, &rows);
		if (rc == 0)
			json_enter(&r, rows);
		for (n = 0; rc == 0 && json_next(&r, NULL, &row); n++) {
			after.text = json_member_text(row, "id", a);
			if (id_parse(after.text, &id) == 0 && !keyring_is_erased(s->o.keyring, &id))
				rc = keyring_erase(s->o.keyring, &id, 1);
		}
	} while (rc == 0 && n > 0);
	s->swept = rc == 0;
	return rc;
}

/* ---- a look ---------------------------------------------------------------------------------- */

static bool concerns(uint16_t type)
{
	return type >= EVENT_TASK_SCHEDULED && type <= EVENT_TASK_ALL_RESUMED;
}

/* True when there was anything new. */
static bool read_log(struct task_scheduler *s)
{
	struct log_record record;
	bool any = false;

	for (; eventlog_cursor_next(&s->cursor, &record) == 0; any = true)
		if (concerns(record.type)) {
			s->needed = record.position + 1 > s->needed ? record.position + 1 : s->needed;
			s->known = false;
		}
	eventlog_cursor_pause(&s->cursor);
	return any;
}

static void on_commit(struct log_follower *follower);

/*
 * Reads what is new, and has the log tell of the next commit. False: commits come one upon the other, and to be woken by
 * each of them would cost more than all that is done here; the next look is due in REST_MS.
 */
static bool follow(struct task_scheduler *s)
{
	bool any = read_log(s);

	if (!any && s->follower.port == NULL) {
		log_follower_start(&s->follower, s->port, on_commit);
		any = read_log(s); /* what came before the start is not told */
	}
	if (any)
		log_follower_stop(&s->follower);
	return !any;
}

static int find_next(struct task_scheduler *s, int64_t now_ms, struct arena *a)
{
	struct query_param now = {.name = "now", .integer = now_ms, .is_integer = true};
	struct json_value rows, row;
	struct json_reader r;
	int rc = ask(s, "tasks_next", &now, a, &rows);

	if (rc != 0)
		return rc;
	json_enter(&r, rows);
	s->next_ms = json_next(&r, NULL, &row) ? json_member_i64(row, "nextAt", 0) : 0;
	s->known = true;
	return 0;
}

/* *ret_again: there is more to do at once. */
static int look(struct task_scheduler *s, bool *ret_again)
{
	int64_t now_ms = clock_wall_ms(s->o.clock);
	struct query_param now = {.name = "now", .integer = now_ms, .is_integer = true};
	struct arena arena = ARENA_INIT(ARENA_MAX);
	struct json_value rows;
	unsigned n = 0;
	int rc = s->swept ? 0 : sweep(s, &arena);

	forget_failed(s);
	if (rc == 0)
		rc = ask(s, "tasks_due", &now, &arena, &rows);
	if (rc == 0)
		rc = fire_rows(s, rows, &arena, &n);
	*ret_again = n > 0 && s->n_failed < n;
	if (rc == 0 && !*ret_again)
		rc = find_next(s, now_ms, &arena);
	arena_finish(&arena);
	return rc;
}

static void on_timer(uv_timer_t *timer);

static bool has_work(const struct task_scheduler *s)
{
	return !s->known || s->n_failed > 0 || (s->next_ms != 0 && s->next_ms <= clock_wall_ms(s->o.clock));
}

static void act(struct task_scheduler *s)
{
	bool again = false, follows;
	int64_t left_ms = LATEST_MS;
	int rc = 0;

	if (atomic_load(&s->stopping)) {
		uv_stop(&s->loop);
		return;
	}
	follows = follow(s);
	if (has_work(s))
		rc = look(s, &again);
	if (rc != 0 && rc != ERR_UNAVAILABLE && rc != ERR_TIMEOUT && rc != ERR_BUSY && rc != ERR_CANCELLED && rc != ERR_DISK_FULL)
		log_warn("tasks", "which tasks are due cannot be told at the moment", "error", err_name(rc));
	s->known = s->known && rc == 0 && !again;
	if (s->known && s->next_ms != 0)
		left_ms = s->next_ms - clock_wall_ms(s->o.clock);
	if (rc != 0 && left_ms > SOON_MS)
		left_ms = SOON_MS;
	if (!follows && left_ms > REST_MS)
		left_ms = REST_MS;
	left_ms = left_ms < 1 || again ? 1 : left_ms > LATEST_MS ? LATEST_MS : left_ms;
	uv_timer_start(&s->timer, on_timer, (uint64_t)left_ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
	act(timer->data);
}

static void on_wake(uv_async_t *async)
{
	act(async->data);
}

static void on_commit(struct log_follower *follower)
{
	act(follower->arg);
}

/* ---- the thread --------------------------------------------------------------------------------- */

static void *run(void *arg)
{
	struct task_scheduler *s = arg;

	thread_name("lulab-tasks");
	if (log_port_open(&s->port, s->o.log, &s->loop) == 0) {
		s->follower.arg = s;
		act(s);
		uv_run(&s->loop, UV_RUN_DEFAULT);
		log_follower_stop(&s->follower);
		log_port_close(s->port);
	} else {
		log_error("tasks", "the scheduler cannot follow the log: no task fires until the next start");
	}
	uv_close((uv_handle_t *)&s->timer, NULL);
	uv_close((uv_handle_t *)&s->wake, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	eventlog_cursor_finish(&s->cursor);
	return NULL;
}

static int start_thread(struct task_scheduler *s)
{
	if (uv_loop_init(&s->loop) != 0)
		return ERR_NOMEM;
	if (uv_async_init(&s->loop, &s->wake, on_wake) != 0) {
		uv_loop_close(&s->loop);
		return ERR_NOMEM;
	}
	uv_timer_init(&s->loop, &s->timer);
	s->wake.data = s->timer.data = s;
	s->started = pthread_create(&s->thread, NULL, run, s) == 0;
	if (s->started)
		return 0;
	uv_close((uv_handle_t *)&s->timer, NULL);
	uv_close((uv_handle_t *)&s->wake, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	uv_loop_close(&s->loop);
	return ERR_NOMEM;
}

int task_scheduler_start(struct task_scheduler **ret, const struct task_scheduler_options *options)
{
	struct task_scheduler *s = calloc(1, sizeof(*s));
	int rc = 0;

	if (s == NULL)
		return ERR_NOMEM;
	s->o = *options;
	s->needed = eventlog_size(s->o.log);
	eventlog_cursor_init(&s->cursor, s->o.log, s->needed, NULL);
	if (eventlog_refusal(s->o.log) == NULL)
		rc = start_thread(s);
	if (rc != 0) {
		free(s);
		return rc;
	}
	*ret = s;
	return 0;
}

void task_scheduler_stop(struct task_scheduler *s)
{
	if (s == NULL)
		return;
	atomic_store(&s->stopping, true);
	if (s->started) {
		uv_async_send(&s->wake);
		pthread_join(s->thread, NULL);
		uv_loop_close(&s->loop);
	}
	free(s);
}

void task_scheduler_look(struct task_scheduler *s)
{
	if (s->started)
		uv_async_send(&s->wake);
}
