/* The engine as a whole: its lanes and threads come and go here. See effect.h. */
#include "store/effect_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"

/* ---- lanes --------------------------------------------------------------------------- */

static void destroy_all(struct list *tasks)
{
	while (!list_empty(tasks)) {
		struct effect_task *task = container_of(tasks->next, struct effect_task, link);

		list_remove(&task->link);
		task_destroy(task);
	}
}

static void lane_destroy(struct lane *lane)
{
	if (lane == NULL)
		return;
	destroy_all(&lane->waiting);
	destroy_all(&lane->back);
	destroy_all(&lane->spare);
	pthread_cond_destroy(&lane->filled);
	pthread_cond_destroy(&lane->due);
	pthread_mutex_destroy(&lane->lock);
	free(lane->threads);
	free(lane->workplaces);
	free(lane);
}

static struct lane *lane_create(struct effects *e, const struct effect_lane *decl)
{
	struct lane *lane = calloc(1, sizeof(*lane));
	pthread_condattr_t attr;

	if (lane == NULL)
		return NULL;
	lane->engine = e;
	lane->decl = lane->status.lane = decl;
	list_init(&lane->waiting);
	list_init(&lane->announced);
	list_init(&lane->ended);
	list_init(&lane->back);
	list_init(&lane->spare);
	pthread_mutex_init(&lane->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&lane->filled, NULL);
	pthread_cond_init(&lane->due, &attr);
	pthread_condattr_destroy(&attr);
	lane_policy_init(&lane->policy, decl, mono_ms(e));
	lane->threads = calloc(decl->concurrency, sizeof(lane->threads[0]));
	lane->workplaces = calloc(decl->concurrency, sizeof(lane->workplaces[0]));
	if (lane->threads == NULL || lane->workplaces == NULL) {
		lane_destroy(lane);
		return NULL;
	}
	return lane;
}

static struct lane *lane_for(struct effects *e, const struct effect_lane *decl)
{
	struct lane *lane;

	for (unsigned i = 0; i < e->n_lanes; i++)
		if (e->lanes[i]->decl == decl)
			return e->lanes[i];
	lane = e->n_lanes == LANES_MAX ? NULL : lane_create(e, decl);
	if (lane != NULL)
		e->lanes[e->n_lanes++] = lane;
	return lane;
}

static int add_host(struct lane *lane, const struct effect_entry *entry)
{
	const char *name = entry->effect->host == NULL ? lane->decl->name : entry->effect->host(entry->state);

	for (unsigned i = 0; i < lane->n_hosts; i++)
		if (strcmp(lane->hosts[i].name, name) == 0)
			return 0;
	if (lane->n_hosts == HOSTS_MAX)
		return ERR_RANGE;
	lane->hosts[lane->n_hosts].name = name;
	breaker_init(&lane->hosts[lane->n_hosts++].breaker, lane->engine->breaker_ms);
	return 0;
}

static int make_lanes(struct effects *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < e->n_entries; i++) {
		struct lane *lane = lane_for(e, e->entries[i].effect->lane);

		rc = lane == NULL ? ERR_NOMEM : add_host(lane, &e->entries[i]);
	}
	return rc;
}

static int start_workers(struct lane *lane)
{
	for (; lane->n_threads < lane->decl->concurrency; lane->n_threads++)
		if (pthread_create(&lane->threads[lane->n_threads], NULL, effect_worker, lane) != 0)
			return ERR_NOMEM;
	lane->has_clerk = pthread_create(&lane->clerk, NULL, effect_clerk, lane) == 0;
	return lane->has_clerk ? 0 : ERR_NOMEM;
}

/* The clerk goes last: it tells what became of what ran, and of what it announced and nobody began. */
static void stop_workers(struct lane *lane)
{
	pthread_mutex_lock(&lane->lock);
	pthread_cond_broadcast(&lane->filled);
	pthread_cond_broadcast(&lane->due);
	pthread_mutex_unlock(&lane->lock);
	for (; lane->n_threads > 0; lane->n_threads--)
		pthread_join(lane->threads[lane->n_threads - 1], NULL);
	pthread_mutex_lock(&lane->lock);
	lane->workers_gone = true;
	pthread_cond_signal(&lane->due);
	pthread_mutex_unlock(&lane->lock);
	if (lane->has_clerk)
		pthread_join(lane->clerk, NULL);
	lane->has_clerk = false;
}

/* ---- a clock that is put back ------------------------------------------------------------ */

int64_t effects_behind_ms(struct effects *e)
{
	int64_t ahead_ms = clock_wall_ms(e->clock) - mono_ms(e), most_ms = atomic_load(&e->ahead_ms);

	while (ahead_ms > most_ms && !atomic_compare_exchange_weak(&e->ahead_ms, &most_ms, ahead_ms)) {
	}
	return ahead_ms < most_ms ? most_ms - ahead_ms : 0;
}

/* ---- start and stop --------------------------------------------------------------------- */

int effects_start(struct effects **ret, const struct effects_options *o)
{
	struct effects *e = o->n_entries > EFFECTS_MAX ? NULL : calloc(1, sizeof(*e));
	struct eventlog_stats stats;
	int rc;

	if (e == NULL)
		return ERR_NOMEM;
	e->log = o->log;
	e->queries = o->queries;
	e->sealer = o->sealer;
	e->clock = o->clock;
	e->rng = o->rng;
	e->base_max_ms = o->base_max_ms;
	e->breaker_ms = o->breaker_ms;
	e->batch_wait_max_ms = o->batch_wait_max_ms;
	eventlog_stats(o->log, &stats);
	atomic_store(&e->ahead_ms, stats.last_time_us / 1000 - mono_ms(e));
	e->n_entries = o->n_entries;
	if (o->n_entries > 0)
		memcpy(e->entries, o->entries, o->n_entries * sizeof(o->entries[0]));
	rc = make_lanes(e);
	if (rc == 0 && e->n_lanes > 0 && eventlog_refusal(e->log) == NULL) {
		rc = switches_tell(e);
		if (rc == ERR_DISK_FULL || rc == ERR_BUSY) {
			log_error("effects", "too little room in the log: what changed about effects is told at the next start");
			rc = 0;
		}
		for (unsigned i = 0; rc == 0 && i < e->n_lanes; i++)
			rc = start_workers(e->lanes[i]);
		if (rc == 0)
			rc = dispatcher_start(e);
	}
	if (rc != 0) {
		effects_stop(e);
		return rc;
	}
	*ret = e;
	return 0;
}

void effects_stop(struct effects *e)
{
	if (e == NULL)
		return;
	atomic_store(&e->stopping, true);
	for (unsigned i = 0; i < e->n_lanes; i++)
		stop_workers(e->lanes[i]);
	/* Last, since clerks wake it; it ends at once. */
	if (e->thread_started)
		uv_async_send(&e->wake);
	dispatcher_stop(e);
	for (unsigned i = 0; i < e->n_lanes; i++)
		lane_destroy(e->lanes[i]);
	free(e);
}

/* ---- how it stands ------------------------------------------------------------------------- */

bool effects_status(struct effects *e, unsigned i, struct effect_lane_status *ret)
{
	struct lane *lane;

	if (e == NULL || i >= e->n_lanes)
		return false;
	lane = e->lanes[i];
	pthread_mutex_lock(&lane->lock);
	*ret = lane->status;
	ret->running = lane->n_out;
	for (unsigned k = 0; k < lane->n_hosts; k++) {
		if (k > 0 && lane->hosts[k].breaker.state == BREAKER_CLOSED)
			continue;
		ret->breaker = lane->hosts[k].breaker.state;
		snprintf(ret->host, sizeof(ret->host), "%s", lane->hosts[k].name);
		if (ret->breaker == BREAKER_OPEN)
			break;
	}
	pthread_mutex_unlock(&lane->lock);
	return true;
}

static unsigned list_task(const struct lane *lane, struct workplace *at, struct effect_under_way *ret, unsigned max)
{
	unsigned n = 0;

	for (; at->task != NULL && n < at->task->n && n < max; n++) {
		const struct effect_row *row = &at->task->rows[n];

		ret[n] = (struct effect_under_way){.effect = row->entry->effect->name, .lane = lane->decl->name,
		    .attempt = row->attempt + 1, .since_ms = at->since_ms, .done = atomic_load(&at->progress.done),
		    .total = atomic_load(&at->progress.total)};
		memcpy(ret[n].id, row->id, sizeof(ret[n].id));
	}
	return n;
}

unsigned effects_under_way(struct effects *e, struct effect_under_way *ret, unsigned max)
{
	unsigned n = 0;

	for (unsigned i = 0; e != NULL && i < e->n_lanes; i++) {
		struct lane *lane = e->lanes[i];

		pthread_mutex_lock(&lane->lock);
		for (unsigned k = 0; k < lane->n_workplaces; k++)
			n += list_task(lane, &lane->workplaces[k], ret + n, max - n);
		pthread_mutex_unlock(&lane->lock);
	}
	return n;
}

const struct effect_entry *effects_entry(const struct effects *e, struct slice name)
{
	for (unsigned i = 0; e != NULL && i < e->n_entries; i++)
		if (slice_is(name, e->entries[i].effect->name))
			return &e->entries[i];
	return NULL;
}

bool effects_has_lane(struct effects *e, struct slice name)
{
	for (unsigned i = 0; e != NULL && i < e->n_lanes; i++)
		if (slice_is(name, e->lanes[i]->decl->name))
			return true;
	return slice_is(name, "*");
}
