/*
 * The clerk of a lane: tells the log what is about to be tried and what became of
 * what was, as much as has gathered in one append. While that is on its way to the disk the next
 * gathers, so a busy lane costs few commits.
 *
 *     handed out --> attempt told --> (a worker runs it) --> outcome told --> back to the dispatcher
 *
 * An attempt is durable before a worker gets its task. Everything is told with the versions that the streams must stand
 * at, so that who is late tells nothing: when one of many is, each is told for itself.
 */
#include "store/effect_private.h"

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"

#define ARENA_MAX ((size_t)64 << 20)
#define HOLD_MS 1000       /* a log that took nothing is asked again */
#define TELL_AGAIN_MS 200

struct clerk {
	struct lane *lane;
	struct arena arena;         /* of the events of one append */
	struct list ended, started; /* tasks at hand */
	size_t n_events;            /* that they need at most */
	struct list to_run, back;   /* where they go then */
	unsigned n_to_run, n_back;
};

static struct effect_task *first_of(struct list *tasks)
{
	return container_of(tasks->next, struct effect_task, link);
}

static struct effect_task *task_at(struct list *link)
{
	return container_of(link, struct effect_task, link);
}

/* ---- where tasks go ------------------------------------------------------------------ */

static void is_over(struct clerk *c, struct effect_task *task)
{
	list_remove(&task->link);
	list_append(&c->back, &task->link);
	c->n_back++;
}

static void is_announced(struct clerk *c, struct effect_task *task)
{
	list_remove(&task->link);
	list_append(&c->to_run, &task->link);
	c->n_to_run++;
}

static bool is_of_the_moment(int rc)
{
	return rc == ERR_BUSY || rc == ERR_DISK_FULL;
}

/* rc 0: nothing of it was to be tried. */
static void was_not_tried(struct clerk *c, struct effect_task *task, int rc)
{
	struct lane *lane = c->lane;

	pthread_mutex_lock(&lane->lock);
	if (task->is_probe)
		breaker_give_back(&task->host->breaker);
	if (rc != 0 && rc != ERR_CONFLICT)
		lane->held_until_ms = mono_ms(lane->engine) + HOLD_MS;
	pthread_mutex_unlock(&lane->lock);
	/* A conflict: somebody decided otherwise meanwhile, which the rows will show. */
	if (rc != 0 && rc != ERR_CONFLICT && !is_of_the_moment(rc))
		log_warn("effects", "an effect could not be begun; it is tried again", "lane", lane->decl->name, "error",
		    err_name(rc));
	is_over(c, task);
}

static void was_started(struct clerk *c, struct effect_task *task)
{
	if (task->n_tried > 0)
		is_announced(c, task);
	else
		was_not_tried(c, task, 0);
}

static void tell_operator(const struct lane *lane, const struct effect_task *task)
{
	if (task->end_move == BREAKER_OPENS)
		log_error("effects", "a neighbour fails and is left alone for a while", "lane", lane->decl->name, "host",
		    task->host->name, "reason", task_reason(task));
	else if (task->end_move == BREAKER_CLOSES)
		log_info("effects", "a neighbour works again", "lane", lane->decl->name, "host", task->host->name);
}

/* ---- one by one --------------------------------------------------------------------------- */

/* The outcome is known to this process alone: it goes on telling, and else the next start finds the attempt without one. */
static int append_until_told(struct clerk *c, struct telling *t, uint64_t *ret_settled)
{
	struct lane *lane = c->lane;
	int rc = telling_append(t, ret_settled);

	while (is_of_the_moment(rc) && !atomic_load(&lane->engine->stopping)) {
		struct timespec until = thread_deadline(TELL_AGAIN_MS);

		pthread_mutex_lock(&lane->lock);
		if (!atomic_load(&lane->engine->stopping))
			pthread_cond_timedwait(&lane->due, &lane->lock, &until);
		pthread_mutex_unlock(&lane->lock);
		rc = telling_append(t, ret_settled);
	}
	return rc;
}

static void tell_end(struct clerk *c, struct effect_task *task)
{
	struct telling t;
	int rc = telling_init(&t, c->lane->engine, &c->arena, task_end_events(task));

	if (rc == 0) {
		task_tell_end(task, c->lane, &t);
		rc = append_until_told(c, &t, &task->settled);
	}
	if (rc != 0)
		log_error("effects", "what became of an effect could not be stored; it counts as unknown from the next start on",
		    "lane", c->lane->decl->name, "effect", task->calls[0].id, "error", err_name(rc));
	is_over(c, task);
	arena_reset(&c->arena);
}

static void tell_start(struct clerk *c, struct effect_task *task)
{
	struct telling t;
	int rc = telling_init(&t, c->lane->engine, &c->arena, task_start_events(task));

	if (rc == 0)
		rc = task_tell_start(task, c->lane, &t);
	if (rc == 0)
		rc = telling_append(&t, &task->settled);
	if (rc == 0)
		was_started(c, task);
	else
		was_not_tried(c, task, rc);
	arena_reset(&c->arena);
}

/* ---- together ------------------------------------------------------------------------------- */

/* 0, or nothing of it was told. */
static int tell_all(struct clerk *c)
{
	uint64_t settled = 0;
	struct telling t;
	int rc = telling_init(&t, c->lane->engine, &c->arena, c->n_events);

	if (rc != 0)
		return rc;
	for (struct list *l = c->ended.next; l != &c->ended; l = l->next)
		task_tell_end(task_at(l), c->lane, &t);
	for (struct list *l = c->started.next; rc == 0 && l != &c->started; l = l->next)
		rc = task_tell_start(task_at(l), c->lane, &t);
	if (rc == 0)
		rc = telling_append(&t, &settled);
	arena_reset(&c->arena);
	if (rc != 0)
		return rc;
	while (!list_empty(&c->ended)) {
		first_of(&c->ended)->settled = settled;
		is_over(c, first_of(&c->ended));
	}
	while (!list_empty(&c->started)) {
		first_of(&c->started)->settled = settled;
		was_started(c, first_of(&c->started));
	}
	return 0;
}

static void tell(struct clerk *c)
{
	for (struct list *l = c->ended.next; l != &c->ended; l = l->next)
		tell_operator(c->lane, task_at(l));
	if (tell_all(c) == 0)
		return;
	while (!list_empty(&c->ended))
		tell_end(c, first_of(&c->ended));
	while (!list_empty(&c->started))
		tell_start(c, first_of(&c->started));
}

/* ---- the thread -------------------------------------------------------------------------------- */

/* With the lane's lock. As many as one append holds. */
static void gather(struct clerk *c, struct list *from, struct list *to, size_t (*events)(const struct effect_task *task))
{
	while (!list_empty(from)) {
		struct effect_task *task = first_of(from);
		size_t n = events(task);

		if (c->n_events > 0 && c->n_events + n > APPEND_EVENTS_MAX)
			return;
		list_remove(&task->link);
		list_append(to, &task->link);
		c->n_events += n;
	}
}

/* With the lane's lock. False: there is and will be nothing more. */
static bool take(struct clerk *c)
{
	struct lane *lane = c->lane;
	const _Atomic bool *stopping = &lane->engine->stopping;

	while (list_empty(&lane->ended) && !lane->workers_gone && (list_empty(&lane->waiting) || atomic_load(stopping)))
		pthread_cond_wait(&lane->due, &lane->lock);
	if (lane->workers_gone)
		list_splice(&lane->ended, &lane->announced);
	c->n_events = 0;
	gather(c, &lane->ended, &c->ended, task_end_events);
	if (!atomic_load(stopping))
		gather(c, &lane->waiting, &c->started, task_start_events);
	return c->n_events > 0;
}

/* With the lane's lock. */
static void give(struct clerk *c)
{
	struct lane *lane = c->lane;

	if (c->n_to_run > 1)
		pthread_cond_broadcast(&lane->filled);
	else if (c->n_to_run == 1)
		pthread_cond_signal(&lane->filled);
	if (c->n_back > 0)
		uv_async_send(&lane->engine->wake);
	lane->n_out -= c->n_back;
	list_splice(&lane->announced, &c->to_run);
	list_splice(&lane->back, &c->back);
	c->n_to_run = c->n_back = 0;
}

void *effect_clerk(void *arg)
{
	struct lane *lane = arg;
	struct clerk c = {.lane = lane, .arena = ARENA_INIT(ARENA_MAX)};

	thread_name("lulab-clerk");
	list_init(&c.ended);
	list_init(&c.started);
	list_init(&c.to_run);
	list_init(&c.back);
	pthread_mutex_lock(&lane->lock);
	while (take(&c)) {
		pthread_mutex_unlock(&lane->lock);
		tell(&c);
		pthread_mutex_lock(&lane->lock);
		give(&c);
	}
	pthread_mutex_unlock(&lane->lock);
	arena_finish(&c.arena);
	return NULL;
}
