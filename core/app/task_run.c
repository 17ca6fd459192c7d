/* A run of a task: an effect whose cause is task.fired. See tasks.h. */
#include "app/tasks.h"

#include "base/err.h"

#define US_PER_MS 1000
#define DAY_US INT64_C(86400000000)
#define RESULTS_MAX (EFFECT_RESULTS_MAX - 2)

/* functional-spec 16.1: back-off from two seconds on. How often it is tried is up to the task, within tries_max. */
#define LANE(text, threads) {.name = (text), .class = EFFECT_HARMLESS, .concurrency = (threads), .base_ms = 2000, \
	    .cap_ms = 300000, .tries_max = 10, .age_max_ms = 86400000}

static const struct effect_lane lane = LANE("tasks", 2);
static const struct effect_lane lane_low = LANE("tasks_low", 1);

/* ---- kinds ---------------------------------------------------------------------------- */

static const struct task_kind *at(struct app *app, unsigned i, void **ret_state)
{
	const struct task_kind *kind = task_kinds;

	*ret_state = NULL;
	for (unsigned next = 0;; kind++) {
		while (kind == NULL || kind->name == NULL) {
			if (next == app->n_adapters_started)
				return NULL;
			*ret_state = app->adapter_states[next];
			kind = app->adapters[next++]->task_kinds;
		}
		if (i-- == 0)
			return kind;
	}
}

const struct task_kind *task_kind_at(struct app *app, unsigned i)
{
	void *state;

	return at(app, i, &state);
}

const struct task_kind *task_kind_find(struct app *app, struct slice name, void **ret_state)
{
	const struct task_kind *kind;

	for (unsigned i = 0; (kind = at(app, i, ret_state)) != NULL; i++)
		if (slice_is(name, kind->name))
			return kind;
	return NULL;
}

/* ---- what a kind may say ---------------------------------------------------------------- */

bool task_run_is_over(const struct task_run *run)
{
	return atomic_load(run->call->stopping) || clock_monotonic_us(run->call->clock) >= run->until_us;
}

void task_run_done(struct task_run *run, struct slice result)
{
	run->call->outcome = EFFECT_DONE;
	run->result = result;
}

static void say(struct task_run *run, enum effect_outcome outcome, const char *class, const char *message)
{
	run->call->outcome = outcome;
	run->call->class = class;
	run->call->message = message;
}

void task_run_failed(struct task_run *run, int err, const char *message)
{
	if (atomic_load(run->call->stopping))
		say(run, EFFECT_RETRY, "stopped", "The service stopped.");
	else if (clock_monotonic_us(run->call->clock) >= run->until_us)
		say(run, EFFECT_RETRY, "time_limit", "It took longer than the task allows.");
	else
		say(run, EFFECT_RETRY, err == ERR_NOMEM ? "memory" : err == ERR_NETWORK || err == ERR_TIMEOUT ? "connect" : "failed",
		    message);
}

void task_run_refused(struct task_run *run, const char *class, const char *message)
{
	say(run, EFFECT_REFUSED, class, message);
}

int task_run_result(struct task_run *run, const struct event_draft *draft)
{
	if (run->call->n_results == RESULTS_MAX)
		return ERR_RANGE;
	run->call->results[run->call->n_results++] = *draft;
	return 0;
}

int task_run_span(const struct task_run *run, struct slice from, struct slice to, int64_t days, int64_t *ret_from_ms,
    int64_t *ret_to_ms)
{
	int64_t from_us = 0, to_us = run->fired->due_at_ms * US_PER_MS;

	if (days > 0 && from.len + to.len > 0)
		return ERR_INVALID;
	if (to.len > 0 && time_parse_us(to, &to_us) != 0)
		return ERR_INVALID;
	from_us = to_us - (days > 0 ? days : 1) * DAY_US;
	if (from.len > 0 && time_parse_us(from, &from_us) != 0)
		return ERR_INVALID;
	if (from_us < 0 || from_us >= to_us)
		return ERR_INVALID;
	*ret_from_ms = from_us / US_PER_MS;
	*ret_to_ms = to_us / US_PER_MS;
	return 0;
}

/* ---- a run ---------------------------------------------------------------------------------- */

static int read_payload(struct task_run *run, const struct task_kind *kind)
{
	void *payload;

	if (kind->payload == NULL)
		return 0;
	payload = arena_alloc(run->arena, kind->payload->size);
	run->payload = payload;
	return payload == NULL ? ERR_NOMEM : schema_decode(kind->payload, run->fired->payload, run->arena, payload, NULL);
}

static void do_it(struct task_run *run)
{
	const struct task_kind *kind = task_kind_find(run->app, run->fired->kind, &run->state);
	const char *unready;
	int rc;

	if (kind == NULL) {
		task_run_refused(run, "unknown_kind", "There is no such kind of task any more.");
		return;
	}
	unready = kind->unready == NULL ? NULL : kind->unready(run->app);
	if (unready != NULL) {
		task_run_refused(run, "unready", unready);
		return;
	}
	rc = read_payload(run, kind);
	if (rc == ERR_NOMEM)
		task_run_failed(run, rc, "There was no memory for it.");
	else if (rc != 0)
		task_run_refused(run, "payload", "The payload is not what the kind takes.");
	else
		kind->run(run);
}

static int add_done(struct task_run *run)
{
	struct effect_call *call = run->call;
	struct event_context ctx = {call->rng, call->clock, NULL};
	struct event_meta meta = {.source = SLICE("/tasks"), .actor = SLICE("system"), .expect = EXPECT_ANY,
	    .causation = run->cause->envelope.id};
	struct event_task_done done = {.task_id = run->fired->task_id, .run_id = slice_str(call->id), .result = run->result};

	return event_draft_make(&ctx, EVENT_TASK_DONE, &done, &meta, run->arena, &call->results[call->n_results++], NULL);
}

/* One end for all of it: what a task may try is the task's, and what was left behind goes with what is done alone. */
static void conclude(struct task_run *run)
{
	struct effect_call *call = run->call;
	bool stopped = atomic_load(call->stopping);

	if (call->outcome == EFFECT_DONE && add_done(run) != 0)
		say(run, EFFECT_RETRY, "memory", "There was no memory for it.");
	if (call->outcome != EFFECT_DONE)
		call->n_results = 0;
	if (call->outcome == EFFECT_RETRY && !stopped && call->attempt >= (unsigned)run->fired->tries_max)
		call->outcome = EFFECT_REFUSED;
}

static void run_task(struct effect_call *calls, size_t n)
{
	struct effect_call *call = &calls[0];
	struct task_run run = {.id = call->id, .app = call->state, .call = call, .cause = call->cause, .fired = call->cause->data,
	    .arena = call->arena};

	(void)n;
	run.until_us = clock_monotonic_us(call->clock) + run.fired->time_limit_ms * US_PER_MS;
	do_it(&run);
	conclude(&run);
}

/* The payload goes with the task's key: of a task that was deleted nothing runs any more. */
static bool is_wanted(const struct effect_call *call)
{
	const struct event_task_fired *fired = call->cause->data;

	return fired->payload.ptr != NULL;
}

const struct effect task_effects[] = {
	{.name = "task.run", .lane = &lane, .run = run_task, .wanted = is_wanted, .built_in = true},
	{.name = "task.run_low", .lane = &lane_low, .run = run_task, .wanted = is_wanted, .built_in = true},
	{0},
};
