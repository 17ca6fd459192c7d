/* Tasks: rows that are tried together, from what is read of the log to what it is told. */
#include "store/effect_private.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/planted.h"

#define ARENA_MAX ((size_t)64 << 20)
#define BREAKER_EVENTS 1 /* at most, of a task's start and of its end */
#define OUTCOME_EVENTS 3 /* of a call: an attempt that is late (planted), an outcome, and that it was given up */

/* ---- their memory ------------------------------------------------------------------ */

static bool take_room(struct effect_task *task, unsigned n)
{
	task->rows = arena_calloc(&task->arena, n, sizeof(*task->rows));
	task->tried = arena_calloc(&task->arena, n, sizeof(struct effect_row *));
	task->calls = arena_calloc(&task->arena, n, sizeof(*task->calls));
	task->causes = arena_calloc(&task->arena, n, sizeof(*task->causes));
	return task->rows != NULL && task->tried != NULL && task->calls != NULL && task->causes != NULL;
}

struct effect_task *task_create(struct lane *lane, const struct effect_row *first, unsigned n)
{
	struct effect_task *task;
	struct arena arena = ARENA_INIT(ARENA_MAX);

	if (list_empty(&lane->spare)) {
		task = malloc(sizeof(*task));
	} else {
		task = container_of(lane->spare.next, struct effect_task, link);
		list_remove(&task->link);
		arena = task->arena;
	}
	if (task == NULL)
		return NULL;
	*task = (struct effect_task){.n = n, .arena = arena};
	list_init(&task->link);
	if (!take_room(task, n)) {
		task_destroy(task);
		return NULL;
	}
	memcpy(task->rows, first, n * sizeof(*first));
	return task;
}

void task_put_back(struct lane *lane, struct effect_task *task)
{
	arena_reset(&task->arena);
	list_append(&lane->spare, &task->link);
}

void task_destroy(struct effect_task *task)
{
	arena_finish(&task->arena);
	free(task);
}

/* ---- the event that asks ----------------------------------------------------------- */

static int read_cause(struct effects *e, const struct effect_row *row, struct arena *arena, struct event *ret,
    int64_t *ret_time_us)
{
	struct log_read read = {0};
	struct log_record record;
	struct envelope envelope;
	struct seal_scope scope = {.sealer = e->sealer};
	struct seal_hooks hooks;
	struct slice entry = {0};
	int rc = log_read_start(&read, e->log);

	if (rc == 0)
		rc = eventlog_read_one(&read, row->cause, &record);
	if (rc == 0) {
		entry = arena_dup(arena, record.entry);
		*ret_time_us = record.time_us;
		rc = entry.ptr == NULL ? ERR_NOMEM : envelope_decode(entry, record.position, arena, &envelope);
	}
	log_read_stop(&read);
	if (rc != 0)
		return rc;
	scope.event_id = envelope.id;
	seal_scope_hooks(&hooks, &scope);
	return event_decode_data(&envelope, &hooks, arena, ret);
}

static int add_call(struct effect_task *task, struct effects *e, struct effect_row *row)
{
	struct effect_call *call = &task->calls[task->n_tried];
	struct event *cause = &task->causes[task->n_tried];
	const struct effect *effect = row->entry->effect;
	int rc;

	*call = (struct effect_call){.id = row->id, .name = effect->name, .key = row->key, .attempt = row->attempt + 1,
	    .after_unknown = row->state == ROW_UNKNOWN, .cause = cause, .cause_position = row->cause,
	    .not_after_ms = row->not_after_ms, .state = row->entry->state, .arena = &task->arena, .clock = e->clock,
	    .rng = e->rng, .stopping = &e->stopping, .class = "unspecified"};
	rc = read_cause(e, row, &task->arena, cause, &call->cause_us);
	if (rc == 0 && effect->wanted != NULL && !effect->wanted(call))
		rc = ERR_ERASED;
	if (rc == 0)
		task->tried[task->n_tried++] = row;
	return rc;
}

/* ---- before the attempts --------------------------------------------------------------- */

static bool is_unreadable(int rc)
{
	return rc == ERR_MALFORMED || rc == ERR_INVALID || rc == ERR_CORRUPT || rc == ERR_VERSION || rc == ERR_TOO_BIG;
}

/* Those whose time is over, or whose cause is gone, are told of; the others get their calls. */
static int sort_out(struct effect_task *task, struct effects *e, struct telling *t)
{
	int64_t now_ms = clock_wall_ms(e->clock);

	task->n_tried = 0;
	for (unsigned i = 0; i < task->n; i++) {
		struct effect_row *row = &task->rows[i];
		int rc;

		if (row->not_after_ms != 0 && now_ms >= row->not_after_ms) {
			tell_dead(t, row, "EXPIRED");
			continue;
		}
		if (now_ms - row->asked_at_ms >= row->entry->effect->lane->age_max_ms) {
			tell_dead(t, row, "AGE");
			continue;
		}
		rc = add_call(task, e, row);
		if (rc == ERR_ERASED && row->state != ROW_UNKNOWN)
			tell_cancelled(t, row, "ERASED");
		else if (rc == ERR_ERASED)
			tell_dead(t, row, "EXPIRED");
		else if (is_unreadable(rc))
			tell_dead(t, row, "POISON");
		else if (rc != 0)
			return rc;
	}
	return 0;
}

static void tell_attempts(const struct effect_task *task, struct telling *t)
{
	for (unsigned i = 0; i < task->n_tried; i++)
		tell_attempted(t, task->tried[i]);
}

size_t task_start_events(const struct effect_task *task)
{
	return (size_t)task->n + BREAKER_EVENTS;
}

int task_tell_start(struct effect_task *task, struct lane *lane, struct telling *t)
{
	size_t n = t->n;
	int rc = sort_out(task, lane->engine, t);

	if (rc != 0) {
		t->n = n;
		task->n_tried = 0;
		return rc;
	}
	if (!PLANTED(attempt_late))
		tell_attempts(task, t);
	if (task->n_tried > 0)
		tell_breaker(t, lane, task->host, task->move, 0, "");
	return 0;
}

/* ---- after them -------------------------------------------------------------------------- */

bool task_is_done(const struct effect_task *task)
{
	for (unsigned i = 0; i < task->n_tried; i++)
		if (!task->was_run || task->calls[i].outcome != EFFECT_DONE)
			return false;
	return task->n_tried > 0;
}

const char *task_reason(const struct effect_task *task)
{
	for (unsigned i = task->n_tried; i-- > 0;)
		if (task->calls[i].message != NULL || task->calls[i].class != NULL)
			return task->calls[i].message != NULL ? task->calls[i].message : task->calls[i].class;
	return "unspecified";
}

size_t task_end_events(const struct effect_task *task)
{
	size_t n = BREAKER_EVENTS;

	for (unsigned i = 0; i < task->n_tried; i++)
		n += OUTCOME_EVENTS + task->calls[i].n_results;
	return n;
}

void task_tell_end(const struct effect_task *task, struct lane *lane, struct telling *t)
{
	int64_t now_ms = clock_wall_ms(lane->engine->clock);

	if (PLANTED(attempt_late))
		tell_attempts(task, t);
	for (unsigned i = 0; i < task->n_tried; i++) {
		if (task->was_run)
			tell_outcome(t, task->tried[i], &task->calls[i], now_ms);
		else
			tell_not_begun(t, task->tried[i], &task->calls[i], now_ms);
	}
	tell_breaker(t, lane, task->host, task->end_move, task->until_ms, task_reason(task));
}
