/*
 * A worker of a lane: takes a task, tells the log that it is about to be tried,
 * and only when that is durable tries it; then tells what became of it, with the
 * versions that the streams must stand at, so that who is late tells nothing.
 */
#include "store/effect_private.h"

#include "base/err.h"
#include "base/log.h"
#include "base/planted.h"
#include "base/thread.h"

#define ARENA_MAX ((size_t)64 << 20)
#define HOLD_MS 1000       /* a log that took nothing is asked again */
#define TELL_AGAIN_MS 200

/* A task being run. */
struct running {
	struct effects *engine;
	struct lane *lane;
	struct effect_task *task;
	void *thread;
	struct workplace *at;
	struct arena arena;
	struct effect_row *rows[BATCH_MAX]; /* of the task, those that are tried */
	struct effect_call calls[BATCH_MAX];
	struct event causes[BATCH_MAX];
	unsigned n;
};

/* ---- the event that asks ----------------------------------------------------------- */

static int read_cause(struct running *r, const struct effect_row *row, struct event *ret, int64_t *ret_time_us)
{
	struct log_read read = {0};
	struct log_record record;
	struct envelope envelope;
	struct seal_scope scope = {.sealer = r->engine->sealer};
	struct seal_hooks hooks;
	struct slice entry = {0};
	int rc = log_read_start(&read, r->engine->log);

	if (rc == 0)
		rc = eventlog_read_one(&read, row->cause, &record);
	if (rc == 0) {
		entry = arena_dup(&r->arena, record.entry);
		*ret_time_us = record.time_us;
		rc = entry.ptr == NULL ? ERR_NOMEM : envelope_decode(entry, record.position, &r->arena, &envelope);
	}
	log_read_stop(&read);
	if (rc != 0)
		return rc;
	scope.event_id = envelope.id;
	seal_scope_hooks(&hooks, &scope);
	return event_decode_data(&envelope, &hooks, &r->arena, ret);
}

static int add_call(struct running *r, struct effect_row *row)
{
	struct effect_call *call = &r->calls[r->n];
	const struct effect *effect = row->entry->effect;
	int rc;

	*call = (struct effect_call){.id = row->id, .name = effect->name, .key = row->key, .attempt = row->attempt + 1,
	    .after_unknown = row->state == ROW_UNKNOWN, .cause = &r->causes[r->n], .cause_position = row->cause,
	    .not_after_ms = row->not_after_ms, .state = row->entry->state, .thread = r->thread, .arena = &r->arena,
	    .clock = r->engine->clock, .rng = r->engine->rng, .stopping = &r->engine->stopping, .progress = &r->at->progress,
	    .class = "unspecified"};
	rc = read_cause(r, row, &r->causes[r->n], &call->cause_us);
	if (rc == 0 && effect->wanted != NULL && !effect->wanted(call))
		rc = ERR_ERASED;
	if (rc == 0)
		r->rows[r->n++] = row;
	return rc;
}

/* ---- before an attempt ---------------------------------------------------------------- */

static bool is_unreadable(int rc)
{
	return rc == ERR_MALFORMED || rc == ERR_INVALID || rc == ERR_CORRUPT || rc == ERR_VERSION || rc == ERR_TOO_BIG;
}

/* Those whose time is over, or whose cause is gone, are told of; the others are in r->calls. */
static int sort_out(struct running *r)
{
	int64_t now_ms = clock_wall_ms(r->engine->clock);
	struct telling t;
	int rc = telling_init(&t, r->engine, &r->arena, TELL_ROOM(r->task->n));

	for (unsigned i = 0; rc == 0 && i < r->task->n; i++) {
		struct effect_row *row = &r->task->rows[i];

		if (row->not_after_ms != 0 && now_ms >= row->not_after_ms) {
			tell_dead(&t, row, "EXPIRED");
			continue;
		}
		if (now_ms - row->asked_at_ms >= row->entry->effect->lane->age_max_ms) {
			tell_dead(&t, row, "AGE");
			continue;
		}
		rc = add_call(r, row);
		if (rc == ERR_ERASED && row->state != ROW_UNKNOWN)
			tell_cancelled(&t, row, "ERASED");
		else if (rc == ERR_ERASED)
			tell_dead(&t, row, "EXPIRED");
		else if (is_unreadable(rc))
			tell_dead(&t, row, "POISON");
		else
			continue;
		rc = 0;
	}
	if (rc == 0)
		rc = telling_append(&t, &r->task->settled);
	return rc;
}

static int tell_attempts(struct running *r)
{
	struct telling t;
	int rc = telling_init(&t, r->engine, &r->arena, TELL_ROOM(r->n));

	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < r->n; i++)
		tell_attempted(&t, r->rows[i]);
	tell_breaker(&t, r->lane, r->task->host, r->task->move, 0, "");
	return telling_append(&t, &r->task->settled);
}

/* ---- after it ---------------------------------------------------------------------------- */

static void count(struct lane *lane, const struct effect_call *call)
{
	struct effect_lane_status *s = &lane->status;

	s->attempts++;
	switch (call->outcome) {
	case EFFECT_DONE:
		s->done++;
		break;
	case EFFECT_RETRY:
	case EFFECT_NOT_TRIED:
	case EFFECT_NOT_YET:
	case EFFECT_STOP:
		s->retried++;
		break;
	case EFFECT_REFUSED:
		s->refused++;
		break;
	case EFFECT_FAILED:
		s->failed++;
		break;
	case EFFECT_NOT_SET:
	case EFFECT_IS_UNKNOWN:
		s->unknown++;
		break;
	}
}

/* What the calls say about the neighbour. Of those that went together one that was done says that it works. */
static enum breaker_move judge_host(struct running *r, int64_t *ret_until_ms)
{
	struct lane *lane = r->lane;
	struct breaker *b = &r->task->host->breaker;
	int64_t now_ms = mono_ms(r->engine);
	enum breaker_move move;
	bool stop = false, failed = false, done = false;

	pthread_mutex_lock(&lane->lock);
	for (unsigned i = 0; i < r->n; i++) {
		stop = stop || r->calls[i].outcome == EFFECT_STOP;
		failed = failed || r->calls[i].host_failed;
		done = done || r->calls[i].outcome == EFFECT_DONE;
		count(lane, &r->calls[i]);
	}
	move = breaker_end(b, now_ms, stop || (failed && !done));
	if (stop)
		move = breaker_trip(b, now_ms);
	*ret_until_ms = clock_wall_ms(r->engine->clock) + (b->until_ms - now_ms);
	pthread_mutex_unlock(&lane->lock);
	return move;
}

static void tell_operator(const struct running *r, enum breaker_move move, const char *reason)
{
	if (move == BREAKER_OPENS)
		log_error("effects", "a neighbour fails and is left alone for a while", "lane", r->lane->decl->name, "host",
		    r->task->host->name, "reason", reason);
	else if (move == BREAKER_CLOSES)
		log_info("effects", "a neighbour works again", "lane", r->lane->decl->name, "host", r->task->host->name);
}

static bool is_of_the_moment(int rc)
{
	return rc == ERR_BUSY || rc == ERR_DISK_FULL;
}

/* The outcome is known to this process alone: it goes on telling, and else the next start finds the attempt without one. */
static int append_until_told(struct running *r, struct telling *t)
{
	int rc = telling_append(t, &r->task->settled);

	while (is_of_the_moment(rc) && !atomic_load(&r->engine->stopping)) {
		struct timespec until = thread_deadline(TELL_AGAIN_MS);

		pthread_mutex_lock(&r->lane->lock);
		if (!atomic_load(&r->engine->stopping))
			pthread_cond_timedwait(&r->lane->filled, &r->lane->lock, &until);
		pthread_mutex_unlock(&r->lane->lock);
		rc = telling_append(t, &r->task->settled);
	}
	return rc;
}

/* Of the last one that did not go well: in a batch others may have, and the breaker moves all the same. */
static const char *reason_of(const struct running *r)
{
	for (unsigned i = r->n; i-- > 0;)
		if (r->calls[i].message != NULL || r->calls[i].class != NULL)
			return r->calls[i].message != NULL ? r->calls[i].message : r->calls[i].class;
	return "unspecified";
}

static void tell_outcomes(struct running *r)
{
	int64_t until_ms = 0, now_ms = clock_wall_ms(r->engine->clock);
	enum breaker_move move = judge_host(r, &until_ms);
	const char *reason = reason_of(r);
	struct telling t;
	int rc = telling_init(&t, r->engine, &r->arena, TELL_ROOM(r->n));

	for (unsigned i = 0; rc == 0 && i < r->n; i++)
		tell_outcome(&t, r->rows[i], &r->calls[i], now_ms);
	if (rc == 0)
		tell_breaker(&t, r->lane, r->task->host, move, until_ms, reason);
	tell_operator(r, move, reason);
	if (rc == 0)
		rc = append_until_told(r, &t);
	if (rc != 0)
		log_error("effects", "what became of an effect could not be stored; it counts as unknown from the next start on",
		    "lane", r->lane->decl->name, "effect", r->calls[0].id, "error", err_name(rc));
}

/* ---- a task ---------------------------------------------------------------------------------- */

static void not_tried(struct running *r, int rc)
{
	struct lane *lane = r->lane;

	pthread_mutex_lock(&lane->lock);
	breaker_give_back(&r->task->host->breaker);
	if (rc != 0 && rc != ERR_CONFLICT)
		lane->held_until_ms = mono_ms(r->engine) + HOLD_MS;
	pthread_mutex_unlock(&lane->lock);
	/* A conflict: somebody decided otherwise meanwhile, which the rows will show. */
	if (rc != 0 && rc != ERR_CONFLICT && !is_of_the_moment(rc))
		log_warn("effects", "an effect could not be begun; it is tried again", "lane", lane->decl->name, "error",
		    err_name(rc));
}

static void run_calls(struct running *r)
{
	r->rows[0]->entry->effect->run(r->calls, r->n);
}

static void run_task(struct running *r)
{
	int rc = sort_out(r);

	if (rc == 0 && r->n > 0 && PLANTED(attempt_late)) {
		run_calls(r);
		rc = tell_attempts(r);
		if (rc == 0)
			tell_outcomes(r);
		return;
	}
	if (rc == 0 && r->n > 0)
		rc = tell_attempts(r);
	if (rc != 0 || r->n == 0) {
		not_tried(r, rc);
		return;
	}
	run_calls(r);
	tell_outcomes(r);
}

static struct effect_task *next_task(struct lane *lane)
{
	struct effect_task *task;

	while (list_empty(&lane->waiting) && !atomic_load(&lane->engine->stopping))
		pthread_cond_wait(&lane->filled, &lane->lock);
	if (atomic_load(&lane->engine->stopping))
		return NULL;
	task = container_of(lane->waiting.next, struct effect_task, link);
	list_remove(&task->link);
	return task;
}

/* Each effect of a lane may want something of its own on each thread; few do. */
static void *thread_of(struct running *r, void *threads[EFFECTS_MAX])
{
	size_t i = (size_t)(r->task->rows[0].entry - r->engine->entries);
	const struct effect *effect = r->task->rows[0].entry->effect;

	if (threads[i] == NULL && effect->thread_open != NULL)
		threads[i] = effect->thread_open();
	return threads[i];
}

void effect_progress_tell(struct effect_progress *p, uint64_t done, uint64_t total)
{
	if (p == NULL)
		return;
	atomic_store_explicit(&p->done, done, memory_order_relaxed);
	atomic_store_explicit(&p->total, total, memory_order_relaxed);
}

void *effect_worker(void *arg)
{
	struct lane *lane = arg;
	struct running *r = &(struct running){.engine = lane->engine, .lane = lane, .arena = ARENA_INIT(ARENA_MAX)};
	void *threads[EFFECTS_MAX] = {NULL};

	thread_name("lulab-effect");
	pthread_mutex_lock(&lane->lock);
	r->at = &lane->workplaces[lane->n_workplaces++];
	while ((r->task = next_task(lane)) != NULL) {
		effect_progress_tell(&r->at->progress, 0, 0);
		r->at->since_ms = clock_wall_ms(lane->engine->clock);
		r->at->task = r->task;
		pthread_mutex_unlock(&lane->lock);
		r->n = 0;
		r->thread = thread_of(r, threads);
		run_task(r);
		arena_reset(&r->arena);
		pthread_mutex_lock(&lane->lock);
		r->at->task = NULL;
		lane->n_out--;
		list_append(&lane->back, &r->task->link);
		uv_async_send(&lane->engine->wake);
	}
	pthread_mutex_unlock(&lane->lock);
	for (unsigned i = 0; i < lane->engine->n_entries; i++)
		if (threads[i] != NULL && lane->engine->entries[i].effect->thread_close != NULL)
			lane->engine->entries[i].effect->thread_close(threads[i]);
	arena_finish(&r->arena);
	return NULL;
}
