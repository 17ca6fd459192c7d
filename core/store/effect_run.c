/*
 * A worker of a lane: takes a task whose attempts are in the log, makes them, and
 * leaves what became of them to the clerk. What was announced ahead is not begun when meanwhile
 * the lane was paused or its neighbour began to fail.
 */
#include "store/effect_private.h"

#include "base/thread.h"

#define USUAL_OF 8 /* tasks that "usually" is about */

/* ---- what a run says ----------------------------------------------------------------- */

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

/* With the lane's lock. What the calls say about the neighbour. Of those that went together one that was done says that it works. */
static void judge_host(struct lane *lane, struct effect_task *task)
{
	struct breaker *b = &task->host->breaker;
	int64_t now_ms = mono_ms(lane->engine);
	bool stop = false, failed = false, done = false;

	for (unsigned i = 0; i < task->n_tried; i++) {
		stop = stop || task->calls[i].outcome == EFFECT_STOP;
		failed = failed || task->calls[i].host_failed;
		done = done || task->calls[i].outcome == EFFECT_DONE;
		count(lane, &task->calls[i]);
	}
	task->end_move = breaker_end(b, now_ms, stop || (failed && !done));
	if (stop)
		task->end_move = breaker_trip(b, now_ms);
	task->until_ms = clock_wall_ms(lane->engine->clock) + (b->until_ms - now_ms);
}

/* With the lane's lock. */
static void judge_lane(struct lane *lane, const struct effect_task *task, int64_t took_us)
{
	lane->fine_in_row = task_is_done(task) ? lane->fine_in_row + 1 : 0;
	lane->usual_us += (took_us - lane->usual_us) / USUAL_OF;
}

/* ---- a task ---------------------------------------------------------------------------- */

/* Each effect of a lane may want something of its own on each thread; few do. */
static void *thread_of(const struct effect_task *task, const struct effects *e, void *threads[EFFECTS_MAX])
{
	size_t i = (size_t)(task->rows[0].entry - e->entries);
	const struct effect *effect = task->rows[0].entry->effect;

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

/* With the lane's lock. */
static bool may_begin(const struct lane *lane, const struct effect_task *task)
{
	return !task->is_ahead || (!lane->status.paused && task->host->breaker.state == BREAKER_CLOSED);
}

/* With the lane's lock, which is given back meanwhile. */
static void run_task(struct lane *lane, struct effect_task *task, struct workplace *at, void *threads[EFFECTS_MAX])
{
	int64_t since_us = clock_monotonic_us(lane->engine->clock);

	effect_progress_tell(&at->progress, 0, 0);
	at->since_ms = clock_wall_ms(lane->engine->clock);
	at->task = task;
	pthread_mutex_unlock(&lane->lock);
	for (unsigned i = 0; i < task->n_tried; i++) {
		task->calls[i].thread = thread_of(task, lane->engine, threads);
		task->calls[i].progress = &at->progress;
	}
	task->tried[0]->entry->effect->run(task->calls, task->n_tried);
	task->was_run = true;
	pthread_mutex_lock(&lane->lock);
	at->task = NULL;
	judge_host(lane, task);
	judge_lane(lane, task, clock_monotonic_us(lane->engine->clock) - since_us);
}

static struct effect_task *next_task(struct lane *lane)
{
	struct effect_task *task;

	while (list_empty(&lane->announced) && !atomic_load(&lane->engine->stopping))
		pthread_cond_wait(&lane->filled, &lane->lock);
	if (atomic_load(&lane->engine->stopping))
		return NULL;
	task = container_of(lane->announced.next, struct effect_task, link);
	list_remove(&task->link);
	return task;
}

void *effect_worker(void *arg)
{
	struct lane *lane = arg;
	void *threads[EFFECTS_MAX] = {NULL};
	struct effect_task *task;
	struct workplace *at;

	thread_name("lulab-effect");
	pthread_mutex_lock(&lane->lock);
	at = &lane->workplaces[lane->n_workplaces++];
	while ((task = next_task(lane)) != NULL) {
		if (may_begin(lane, task))
			run_task(lane, task, at, threads);
		list_append(&lane->ended, &task->link);
		pthread_cond_signal(&lane->due);
	}
	pthread_mutex_unlock(&lane->lock);
	for (unsigned i = 0; i < lane->engine->n_entries; i++)
		if (threads[i] != NULL && lane->engine->entries[i].effect->thread_close != NULL)
			lane->engine->entries[i].effect->thread_close(threads[i]);
	return NULL;
}
