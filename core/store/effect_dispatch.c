/*
 * The dispatcher: one thread that gives rows to the clerks of lanes. It is woken by events
 * that concern the read model, by tasks that are back, and by the time at which the next
 * row, token or breaker is due; each time it does the whole of look().
 *
 *     RECOVER  what the process before left in TRYING is told to be unknown
 *     LANES    which are paused, which neighbours are left alone
 *     then, lane by lane: hand out what is known to be ready, ask the rows again when they changed
 *
 * It acts only on rows that have seen all there was in the log at the start. An effect that was handed out is passed
 * over until the rows know what became of it.
 */
#include "store/effect_private.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "store/projection.h"

#define SOON_MS 100     /* the rows are not there yet */
#define LATEST_MS 10000 /* a wall clock may have been set */
#define OLD_MS 200      /* rows that wait for a worker may be so old: others may have become more urgent */
#define FEW_MS 5        /* and so old when they are few, or little room is left for flights */
#define NEWS_MS 5       /* so often a lane without work looks whether the rows have got as far as the log, */
#define NEWS_SLOW_MS 1000 /* and each SOON_MS when they are as long in coming */
#define FEW (READY_MAX / 8)
#define AHEAD_MAX 128   /* tasks handed out beside those that are run */
#define AHEAD_MS 10     /* and no more than are usually through in such a time */
#define AHEAD_FINE 8    /* after so many in a row were done */
#define COUNT_MS 1000   /* lanes are counted as often, when something happened */
#define TRYING_MAX 1024

/* ---- what is new in the log ---------------------------------------------------------- */

static void read_log(struct effects *e)
{
	struct log_record record;

	while (eventlog_cursor_next(&e->cursor, &record) == 0) {
		if (projection_handler_of(e->model, record.type) != NULL) {
			e->needed = record.position + 1;
			e->needed_ms = mono_ms(e);
		}
		if (record.type == EVENT_LANE_PAUSED || record.type == EVENT_LANE_RESUMED)
			e->lanes_known = false;
	}
	eventlog_cursor_pause(&e->cursor);
}

/* ---- handing out ------------------------------------------------------------------------- */

static int64_t sooner(int64_t a_ms, int64_t b_ms)
{
	return a_ms == 0 || (b_ms != 0 && b_ms < a_ms) ? b_ms : a_ms;
}

struct lane_host *lane_host_of(struct lane *lane, const struct effect_entry *entry)
{
	const char *name = entry->effect->host == NULL ? lane->decl->name : entry->effect->host(entry->state);

	for (unsigned i = 0; i < lane->n_hosts; i++)
		if (strcmp(lane->hosts[i].name, name) == 0)
			return &lane->hosts[i];
	return &lane->hosts[0]; /* made for every entry at the start */
}

static bool go_together(const struct effect_entry *a, const struct effect_entry *b)
{
	return a->effect->run == b->effect->run && a->state == b->state;
}

/*
 * How many it may go with. The more often its process ended, the fewer: of those that went together one alone may be to
 * blame, and the others are not to become poison with it; and less is lost when the next process ends as soon.
 */
static unsigned company_of(const struct effect_row *row, unsigned max)
{
	return row->ends + 1 >= EFFECT_ENDS_MAX ? 1 : row->ends > 0 ? (max + 7) / 8 : max;
}

static int64_t batch_wait_ms(const struct lane *lane)
{
	int64_t max_ms = lane->engine->batch_wait_max_ms;

	return max_ms != 0 && max_ms < lane->decl->batch_wait_ms ? max_ms : lane->decl->batch_wait_ms;
}

/* How many rows from `next` on go together; 0: they wait for others, until *ret_again_ms (wall clock). */
static unsigned batch_of(const struct lane *lane, int64_t wall_ms, int64_t *ret_again_ms)
{
	unsigned max = lane->decl->batch_max < 1 ? 1 : lane->decl->batch_max > BATCH_MAX ? BATCH_MAX : lane->decl->batch_max;
	const struct effect_row *first = &lane->ready[lane->next];
	int64_t waited_ms;
	unsigned n = 1, most;

	most = company_of(first, max);
	while (n < most && lane->next + n < lane->n_ready && go_together(first[n].entry, first->entry) &&
	    company_of(&first[n], max) > n)
		n++;
	waited_ms = wall_ms - first->ready_at_ms; /* below 0: the clock was put back, and says nothing */
	if (n < most && lane->next + n == lane->n_ready && waited_ms >= 0 && waited_ms < batch_wait_ms(lane)) {
		*ret_again_ms = first->ready_at_ms + batch_wait_ms(lane);
		return 0;
	}
	return n;
}

/* Under the lane's lock. May the next rows go out now? *ret_again_ms: else, when to ask again (monotonic). */
static bool allowed(struct lane *lane, struct lane_host *host, const struct effect_row *row, int64_t now_ms,
    int64_t *ret_again_ms)
{
	*ret_again_ms = 0;
	if (lane->status.paused)
		return false;
	if (now_ms < lane->held_until_ms) {
		*ret_again_ms = lane->held_until_ms;
		return false;
	}
	return breaker_allows(&host->breaker, now_ms, ret_again_ms) &&
	    lane_policy_allows(&lane->policy, now_ms, row->repetition, ret_again_ms);
}

/*
 * Under the lane's lock. Where a neighbour answers faster than the log commits, workers would wait for the log most of the
 * time: the next attempts are told meanwhile. After a crash these are unknown like those that were under way, so it is
 * done only where that harms nobody, and with nothing that was tried before.
 */
static unsigned ahead(const struct lane *lane, const struct effect_row *row)
{
	const struct effect_lane *decl = lane->decl;
	uint64_t n;

	if (decl->class == EFFECT_ONCE || decl->batch_max > 1 || decl->tries_max < 3 || row->state != ROW_WANTED ||
	    row->attempt > 0 || lane->fine_in_row < AHEAD_FINE)
		return 0;
	n = (uint64_t)decl->concurrency * AHEAD_MS * 1000 / (uint64_t)(lane->usual_us > 0 ? lane->usual_us : 1);
	return n < AHEAD_MAX ? (unsigned)n : AHEAD_MAX;
}

/* Under the lane's lock. */
static struct effect_task *task_of(struct lane *lane, unsigned n)
{
	struct effect_task *task =
	    lane->flights.n + n > FLIGHTS_MAX ? NULL : task_create(lane, &lane->ready[lane->next], n);

	for (unsigned i = 0; task != NULL && i < n; i++)
		flights_add(&lane->flights, task->rows[i].id);
	return task;
}

/* Under the lane's lock: one task to the clerk. False: no more before *again_ms (monotonic, 0 = until something happens). */
static bool hand_one(struct lane *lane, int64_t *again_ms)
{
	struct effects *e = lane->engine;
	int64_t now_ms = mono_ms(e), wall_ms = clock_wall_ms(e->clock), at_ms = 0;
	const struct effect_row *row = &lane->ready[lane->next];
	struct lane_host *host = lane_host_of(lane, row->entry);
	struct effect_task *task = NULL;
	unsigned n = batch_of(lane, wall_ms, &at_ms);
	bool is_ahead = lane->n_out >= lane->decl->concurrency;

	if (n == 0) {
		*again_ms = sooner(*again_ms, now_ms + (at_ms - wall_ms));
		return false;
	}
	if (is_ahead && lane->n_out >= lane->decl->concurrency + ahead(lane, row))
		return false;
	if (allowed(lane, host, row, now_ms, &at_ms))
		task = task_of(lane, n);
	*again_ms = sooner(*again_ms, at_ms);
	if (task == NULL)
		return false;
	task->host = host;
	task->move = breaker_start(&host->breaker, now_ms);
	task->is_probe = host->breaker.state != BREAKER_CLOSED;
	task->is_ahead = is_ahead;
	lane_policy_start(&lane->policy, now_ms, row->repetition);
	lane->n_out++;
	list_append(&lane->waiting, &task->link);
	lane->next += n;
	return true;
}

static void take_back(struct lane *lane)
{
	pthread_mutex_lock(&lane->lock);
	while (!list_empty(&lane->back)) {
		struct effect_task *task = container_of(lane->back.next, struct effect_task, link);

		list_remove(&task->link);
		for (unsigned i = 0; i < task->n; i++)
			flights_end(&lane->flights, task->rows[i].id, task->settled);
		/* Its row was passed over when these rows were read, and may be due again. */
		lane->was_read = lane->was_read && (task->settled >= lane->read_position || task_is_done(task));
		task_put_back(lane, task);
	}
	pthread_mutex_unlock(&lane->lock);
}

static void hand_out(struct lane *lane, int64_t *again_ms)
{
	unsigned next = lane->next;

	pthread_mutex_lock(&lane->lock);
	while (lane->next < lane->n_ready && hand_one(lane, again_ms)) {
	}
	if (lane->next != next)
		pthread_cond_signal(&lane->due);
	pthread_mutex_unlock(&lane->lock);
}

static bool has_out(struct lane *lane)
{
	bool any;

	pthread_mutex_lock(&lane->lock);
	any = lane->n_out > 0;
	pthread_mutex_unlock(&lane->lock);
	return any;
}

/*
 * Whether the rows say anything new. Most events want nothing of most lanes: one that has nothing to do makes nobody hurry
 * with their fold, and asks only when it changed rows.
 */
static bool has_news(struct lane *lane, int64_t *again_ms)
{
	struct effects *e = lane->engine;
	struct projector_stand stand;

	if (lane->read_position >= e->needed)
		return false;
	if (lane->n_ready > 0 || has_out(lane))
		return true;
	if (!query_stand(e->queries, e->model, lane->read_generation, &stand) || stand.rows != lane->read_rows)
		return true;
	if (stand.position >= e->needed)
		lane->read_position = stand.position;
	else
		*again_ms = sooner(*again_ms, mono_ms(e) + (mono_ms(e) - e->needed_ms < NEWS_SLOW_MS ? NEWS_MS : SOON_MS));
	return false;
}

/*
 * What is told of some rows does not make the others wrong: a row is handed out once, and should a person have decided on it
 * meanwhile, its stream has another version than the attempt expects. So rows are asked again when they are used up or old,
 * or few and the query had more.
 */
static bool is_stale(struct lane *lane, int64_t *again_ms)
{
	struct effects *e = lane->engine;
	int64_t old_ms = OLD_MS;

	if (!lane->was_read || effects_behind_ms(e) - lane->read_behind_ms > SOON_MS)
		return true;
	if (lane->next < lane->n_ready) {
		if ((lane->more && lane->n_ready - lane->next < FEW) || lane->flights.n > FLIGHTS_MAX / 2)
			old_ms = FEW_MS;
		*again_ms = lane->read_position < e->needed ? sooner(*again_ms, lane->read_ms + old_ms) : *again_ms;
		return lane->read_position < e->needed && mono_ms(e) - lane->read_ms >= old_ms;
	}
	return has_news(lane, again_ms) || lane->more || (lane->next_ready_ms != 0 && lane->next_ready_ms <= clock_wall_ms(e->clock));
}

static int serve_lane(struct lane *lane, int64_t *again_ms)
{
	struct effects *e = lane->engine;
	int rc = 0;

	take_back(lane);
	hand_out(lane, again_ms);
	if (is_stale(lane, again_ms)) {
		/* As long as there are others, nobody waits for the newest. */
		rc = rows_ready(e, lane, lane->was_read && lane->next < lane->n_ready ? e->bar : e->needed);
		/* The rows may be newer than what was seen of the log: a lane that was paused before them stays so. */
		read_log(e);
		if (rc == 0 && !e->lanes_known)
			rc = ERR_BUSY;
		if (rc == 0)
			hand_out(lane, again_ms);
	}
	if (lane->next_ready_ms != 0)
		*again_ms = sooner(*again_ms, mono_ms(e) + (lane->next_ready_ms - clock_wall_ms(e->clock)));
	return rc;
}

/* ---- at the start ---------------------------------------------------------------------------- */

static int tell_unfinished(struct effects *e, const struct effect_row *rows, unsigned n)
{
	struct arena arena = ARENA_INIT(16 << 20);
	struct telling t;
	uint64_t position;
	int rc = telling_init(&t, e, &arena, (size_t)2 * n);

	for (unsigned i = 0; rc == 0 && i < n; i++)
		tell_process_ended(&t, &rows[i], clock_wall_ms(e->clock));
	if (rc == 0)
		rc = telling_append(&t, &position);
	if (rc == 0) {
		e->needed = e->bar = position + 1;
		log_warn("effects", "the process before ended while effects were tried; whether they happened is not known",
		    "effects", arena_printf(&arena, "%u", n));
	}
	arena_finish(&arena);
	return rc;
}

static int recover(struct effects *e)
{
	struct effect_row *rows = calloc(TRYING_MAX, sizeof(*rows));
	unsigned n = 0;
	int rc = rows == NULL ? ERR_NOMEM : rows_trying(e, rows, TRYING_MAX / 2, &n);

	if (rc == 0 && n > 0)
		rc = tell_unfinished(e, rows, n);
	free(rows);
	e->recovered = rc == 0 && n < TRYING_MAX / 2;
	return rc == 0 && !e->recovered ? ERR_BUSY : rc;
}

/* ---- one look ---------------------------------------------------------------------------------- */

static int look(struct effects *e, int64_t *again_ms)
{
	uint64_t needed;
	int rc = 0;

	read_log(e);
	needed = e->needed;
	if (!e->recovered)
		rc = recover(e);
	if (rc == 0 && !e->lanes_known) {
		rc = rows_lanes(e, !e->breakers_known);
		e->lanes_known = rc == 0;
		e->breakers_known = e->breakers_known || rc == 0;
	}
	for (unsigned i = 0; rc == 0 && i < e->n_lanes; i++)
		rc = serve_lane(e->lanes[i], again_ms);
	/* More may have been read of the log after a lane had its turn, and one that asked for what was there may have used it up. */
	for (unsigned i = 0; i < e->n_lanes; i++) {
		const struct lane *lane = e->lanes[i];

		if (e->needed != needed || (lane->n_ready > 0 && lane->next == lane->n_ready && lane->read_position < e->needed))
			*again_ms = sooner(*again_ms, mono_ms(e));
	}
	if (rc == 0 && mono_ms(e) - e->counted_ms >= COUNT_MS && e->counted_at < e->needed) {
		rc = rows_counts(e);
		e->counted_ms = mono_ms(e);
		e->counted_at = rc == 0 ? e->needed : e->counted_at;
	}
	if (e->counted_at < e->needed)
		*again_ms = sooner(*again_ms, e->counted_ms + COUNT_MS);
	return rc;
}

/* Whether there is nothing to be done but to wait for rows, or for events that want something. */
static bool is_idle(struct effects *e)
{
	for (unsigned i = 0; i < e->n_lanes; i++)
		if (e->lanes[i]->n_ready > 0 || has_out(e->lanes[i]))
			return false;
	return true;
}

static void on_timer(uv_timer_t *timer);
static void on_commit(struct log_follower *follower);

/*
 * Has the log tell of the next commit; not while the next look, which reads it, is due before rows could have seen that
 * commit anyway: under load it would be woken by each. False: something has come that the last look did not see.
 */
static bool follow(struct effects *e, bool looks_soon)
{
	uint64_t needed = e->needed;

	if (looks_soon) {
		log_follower_stop(&e->follower);
	} else if (e->follower.port == NULL) {
		log_follower_start(&e->follower, e->port, on_commit);
		read_log(e); /* what came before the start is not told */
	}
	return e->needed == needed;
}

static void act(struct effects *e)
{
	int64_t again_ms = 0, left_ms;
	int rc;

	if (atomic_load(&e->stopping)) {
		uv_stop(&e->loop);
		return;
	}
	rc = look(e, &again_ms);
	if (rc != 0 && rc != ERR_UNAVAILABLE && rc != ERR_TIMEOUT && rc != ERR_BUSY && rc != ERR_CANCELLED)
		log_warn("effects", "what is to be done cannot be told at the moment", "error", err_name(rc));
	left_ms = again_ms == 0 ? LATEST_MS : again_ms - mono_ms(e);
	if (rc != 0 && left_ms > SOON_MS)
		left_ms = SOON_MS;
	if (!follow(e, left_ms <= NEWS_MS && is_idle(e)) && left_ms > NEWS_MS)
		left_ms = NEWS_MS;
	left_ms = left_ms < 1 ? 1 : left_ms > LATEST_MS ? LATEST_MS : left_ms;
	uv_timer_start(&e->timer, on_timer, (uint64_t)left_ms, 0);
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
	struct effects *e = follower->arg;
	uint64_t needed = e->needed;

	read_log(e);
	if (e->needed != needed)
		act(e);
}

/* ---- the thread ---------------------------------------------------------------------------------- */

static void *run(void *arg)
{
	struct effects *e = arg;

	thread_name("lulab-effects");
	if (log_port_open(&e->port, e->log, &e->loop) == 0) {
		e->follower.arg = e;
		act(e);
		uv_run(&e->loop, UV_RUN_DEFAULT);
		log_follower_stop(&e->follower);
		log_port_close(e->port);
	} else {
		log_error("effects", "the dispatcher cannot follow the log: nothing is tried until the next start");
	}
	uv_close((uv_handle_t *)&e->timer, NULL);
	uv_close((uv_handle_t *)&e->wake, NULL);
	uv_run(&e->loop, UV_RUN_DEFAULT);
	eventlog_cursor_finish(&e->cursor);
	return NULL;
}

int dispatcher_start(struct effects *e)
{
	e->model = projection_find(EFFECT_MODEL);
	e->needed = e->bar = eventlog_size(e->log);
	eventlog_cursor_init(&e->cursor, e->log, e->needed, NULL);
	e->counted_ms = mono_ms(e) - COUNT_MS;
	if (uv_loop_init(&e->loop) != 0)
		return ERR_NOMEM;
	if (uv_async_init(&e->loop, &e->wake, on_wake) != 0) {
		uv_loop_close(&e->loop);
		return ERR_NOMEM;
	}
	uv_timer_init(&e->loop, &e->timer);
	e->wake.data = e->timer.data = e;
	if (pthread_create(&e->thread, NULL, run, e) != 0) {
		uv_close((uv_handle_t *)&e->timer, NULL);
		uv_close((uv_handle_t *)&e->wake, NULL);
		uv_run(&e->loop, UV_RUN_DEFAULT);
		uv_loop_close(&e->loop);
		return ERR_NOMEM;
	}
	e->thread_started = true;
	return 0;
}

void dispatcher_stop(struct effects *e)
{
	if (!e->thread_started)
		return;
	pthread_join(e->thread, NULL);
	uv_loop_close(&e->loop);
	for (unsigned i = 0; i < e->n_lanes; i++)
		take_back(e->lanes[i]);
}
