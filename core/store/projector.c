/*
 * A model's thread goes round this circle:
 *
 *     OPEN --> FOLD --> WAIT --> FOLD ...
 *      ^        |
 *      +--------+  the file is lost: set aside, made anew
 *
 * What others may see of it (status, which file answers) lies behind one lock
 * for all models, held for a few instructions; the file itself and the fold
 * are the thread's alone.
 */
#include "store/projector_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/io.h"
#include "base/log.h"
#include "base/thread.h"

/* The log wakes its waiters; this bounds how long a stop takes. */
#define WAIT_MS 200
#define RETRY_MS 500
/*
 * A transaction costs more than an event, and rows that lie near each other are
 * written once in it. When events come in a stream, live rows are committed at
 * most this often, somewhat oftener while somebody waits for them; an event
 * after a quiet moment is folded at once.
 */
#define PACE_US 20000
#define PACE_AWAITED_US 4000
/*
 * However little of the processor is left for read models, what they have done
 * is kept every so often, the first of it soon: many crashes in a row cannot hold
 * them up for good, and readers see how they come forward.
 */
#define BATCH_US 500000
#define BATCH_LEAST 256
#define PROBLEM_BYTES_MAX 180

const char *projection_state_name(enum projection_state state)
{
	static const char *const names[] = {
		[PROJECTION_BUILDING] = "building",
		[PROJECTION_LIVE] = "live",
		[PROJECTION_STOPPED] = "stopped",
		[PROJECTION_FAILED] = "failed",
	};

	return names[state];
}

/* ---- what others see --------------------------------------------------------- */

static void tell(struct model *m)
{
	struct projector *p = m->p;

	uv_mutex_lock(&p->watch_lock);
	if (p->watch != NULL)
		p->watch(p->watch_arg, m->def);
	uv_mutex_unlock(&p->watch_lock);
}

bool projector_is_stopping(struct projector *p)
{
	bool stopping;

	uv_mutex_lock(&p->lock);
	stopping = p->stopping;
	uv_mutex_unlock(&p->lock);
	return stopping;
}

/* With the lock. */
void model_serve(struct model *m, struct slice path, bool old)
{
	buf_clear(&m->serving);
	buf_append(&m->serving, path);
	m->status.serving = path.len > 0 && m->serving.rc == 0;
	m->status.serving_old = m->status.serving && old;
	m->status.generation++;
}

static void note_trouble(struct model *m, enum projection_state state, int err, uint64_t position)
{
	struct projector *p = m->p;
	bool news;

	uv_mutex_lock(&p->lock);
	news = m->status.state != state || m->status.err != err || m->status.err_position != position;
	m->status.state = state;
	m->status.err = err;
	m->status.err_position = position;
	snprintf(m->status.problem, sizeof(m->status.problem), "%.*s", SLICE_ARG(buf_slice(&m->problem)));
	uv_cond_broadcast(&p->changed);
	uv_mutex_unlock(&p->lock);
	if (news) {
		char at[24];

		snprintf(at, sizeof(at), "%" PRIu64, position);
		log_error("projector", state == PROJECTION_STOPPED ? "read model stopped" : "read model failed", "model",
		    m->def->name, "position", at, "error", err_name(err), "problem", m->status.problem);
	}
	tell(m);
}

/* ---- which file answers ---------------------------------------------------- */

/* Which file answers from now: this version's once it has caught up, or when there is no other. */
static void choose_serving(struct model *m)
{
	struct buf path = BUF_INIT(PROJECTOR_PATH_MAX);
	uint64_t position = fold_position(&m->fold), old_position = 0;
	bool old = position < eventlog_size(m->p->options.log) && model_best_old_file(m, &path, &old_position);

	uv_mutex_lock(&m->p->lock);
	model_serve(m, buf_slice(old ? &path : &m->path), old);
	m->status.position = position;
	m->status.serving_position = m->status.rows_position = old ? old_position : position;
	m->status.err = 0;
	m->status.problem[0] = '\0';
	m->status.state = PROJECTION_BUILDING;
	uv_mutex_unlock(&m->p->lock);
	buf_finish(&path);
}

/* ---- its own file -------------------------------------------------------------- */

void model_close(struct model *m)
{
	model_backfill_end(m);
	projection_file_close(m->fold.file);
	m->fold.file = NULL;
}

static int open_once(struct model *m)
{
	buf_clear(&m->problem);
	return projection_file_open(&m->fold.file, m->def, m->path.ptr, &m->problem);
}

/* ---- the thread ------------------------------------------------------------------ */

static void set_aside(struct model *m)
{
	struct buf bad = BUF_INIT(PROJECTOR_PATH_MAX);

	log_warn("projector", "read model set aside, building it anew", "model", m->def->name, "problem",
	    m->problem.ptr == NULL ? "" : m->problem.ptr);
	model_close(m);
	uv_mutex_lock(&m->p->lock);
	model_serve(m, SLICE(""), false);
	m->status.rebuilds++;
	m->status.position = m->status.serving_position = m->status.rows_position = 0;
	m->status.state = PROJECTION_BUILDING;
	uv_mutex_unlock(&m->p->lock);
	if (buf_printf(&bad, "%s.bad", m->path.ptr) == 0)
		io_calls->rename(m->path.ptr, bad.ptr);
	projection_file_remove(m->path.ptr);
	buf_finish(&bad);
}

int model_open(struct model *m)
{
	int rc;

	rc = open_once(m);
	if (rc == 0)
		rc = fold_check(&m->fold);
	if (rc == ERR_CORRUPT && !m->fold.log_failed) {
		set_aside(m);
		rc = open_once(m);
	}
	if (rc == 0) {
		choose_serving(m);
		m->fold_us = 0;
		m->fold_events = 0;
		tell(m);
		return 0;
	}
	model_close(m);
	note_trouble(m, PROJECTION_FAILED, rc, 0);
	return rc;
}

/* Sleeps until stopped or, at most, for so long. */
static void pause_ms(struct projector *p, unsigned ms)
{
	uint64_t until_ns = uv_hrtime() + (uint64_t)ms * 1000000, now_ns;

	/* The others' news wake this too: models in trouble must not keep each other busy. */
	uv_mutex_lock(&p->lock);
	while (!p->stopping && (now_ns = uv_hrtime()) < until_ns)
		uv_cond_timedwait(&p->changed, &p->lock, until_ns - now_ns);
	uv_mutex_unlock(&p->lock);
}

/* Whether none came for a while. */
static bool wait_for_events(struct model *m, uint64_t size)
{
	int rc;

	feed_reader_pause(&m->fold.reader);
	rc = eventlog_wait(m->p->options.log, size, WAIT_MS);
	if (rc == ERR_CANCELLED)
		pause_ms(m->p, WAIT_MS);
	return rc == ERR_TIMEOUT;
}

/* First time at the end of the log: this file answers from now on, older ones go. Without memory for that: later. */
static void come_alive(struct model *m)
{
	bool swapped;

	uv_mutex_lock(&m->p->lock);
	swapped = m->status.serving_old;
	if (swapped || !m->status.serving)
		model_serve(m, buf_slice(&m->path), false);
	if (!m->status.serving) {
		uv_mutex_unlock(&m->p->lock);
		return;
	}
	m->status.state = PROJECTION_LIVE;
	m->status.serving_position = m->status.position;
	m->status.rows_position = fold_saved(&m->fold);
	uv_cond_broadcast(&m->p->changed);
	uv_mutex_unlock(&m->p->lock);
	projection_file_keep_wal(m->fold.file);
	if (swapped)
		log_info("projector", "read model of a new version took its place", "model", m->def->name);
	model_remove_old_files(m);
	tell(m);
}

/* Close to each other around the 50 ms that are promised. */
const uint32_t delay_bounds_us[DELAY_BUCKETS - 1] = {2000, 5000, 10000, 15000, 20000, 25000, 30000, 40000, 50000, 60000, 80000,
	100000, 150000, 200000, 300000, 500000, 1000000, 5000000, 30000000};

/* Behind the lock: how late the events of a batch are. A clock that was set back makes no negative delay. */
static void note_delays(struct model *m, uint64_t applied)
{
	struct projection_status *s = &m->status;

	for (uint64_t i = 0; i < applied; i++) {
		int64_t delay_us = s->applied_at_us - m->fold.recorded_us[i];
		unsigned bucket = 0;

		if (delay_us < 0)
			delay_us = 0;
		while (bucket < DELAY_BUCKETS - 1 && delay_us > (int64_t)delay_bounds_us[bucket])
			bucket++;
		s->delays[bucket]++;
		s->delay_us += (uint64_t)delay_us;
	}
}

static void note_progress(struct model *m, uint64_t applied, int64_t spent_us)
{
	struct projection_status *s = &m->status;
	uint64_t position = fold_position(&m->fold);

	m->fold_us += spent_us;
	m->fold_events += applied;
	uv_mutex_lock(&m->p->lock);
	if (s->state == PROJECTION_STOPPED || s->state == PROJECTION_FAILED)
		s->state = PROJECTION_BUILDING;
	s->err = 0;
	s->problem[0] = '\0';
	s->position = position;
	if (s->serving && !s->serving_old) {
		s->serving_position = position;
		s->rows_position = fold_saved(&m->fold);
	}
	s->applied += applied;
	s->applied_at_us = clock_wall_us(m->p->options.clock);
	if (s->state == PROJECTION_LIVE)
		note_delays(m, applied);
	if (s->state == PROJECTION_BUILDING && m->fold_us > 0)
		s->rate = (double)m->fold_events * 1e6 / (double)m->fold_us;
	uv_cond_broadcast(&m->p->changed);
	uv_mutex_unlock(&m->p->lock);
	tell(m);
}

static void choose_batch(struct model *m, int64_t spent_us)
{
	unsigned *batch = &m->fold.batch_max;

	if (spent_us > BATCH_US && *batch > BATCH_LEAST)
		*batch /= 2;
	else if (spent_us < BATCH_US / 4 && *batch < FOLD_BATCH)
		*batch *= 2;
}

static void on_fold_error(struct model *m, int rc, uint64_t size)
{
	if (m->fold.log_failed) {
		note_trouble(m, PROJECTION_FAILED, rc, m->fold.err_position);
		pause_ms(m->p, RETRY_MS);
	} else if (fold_is_event_error(rc)) {
		bool again = m->status.state == PROJECTION_STOPPED;

		if (!again)
			projection_file_note(m->fold.file, buf_slice(&m->problem));
		note_trouble(m, PROJECTION_STOPPED, rc, m->fold.err_position);
		wait_for_events(m, size);
	} else if (rc == ERR_DISK_FULL) {
		/* The transaction is undone and the rows are good: they answer on, and a new file would need even
		 * more room. Opened again it is looked through. */
		note_trouble(m, PROJECTION_FAILED, rc, m->fold.err_position);
		model_close(m);
		pause_ms(m->p, RETRY_MS);
	} else if (projection_file_is_lost(rc)) {
		set_aside(m);
		if (rc == ERR_DENIED)
			pause_ms(m->p, RETRY_MS);
	} else {
		note_trouble(m, PROJECTION_FAILED, rc, m->fold.err_position);
		pause_ms(m->p, RETRY_MS);
	}
}

/* Until it is time for the next commit of live rows. */
static void keep_pace(struct model *m)
{
	struct projector *p = m->p;
	const struct clock *clock = p->options.clock;

	uv_mutex_lock(&p->lock);
	while (m->status.state == PROJECTION_LIVE && !p->stopping) {
		int64_t due_us = m->began_us + (m->awaited ? PACE_AWAITED_US : PACE_US), now_us = clock_monotonic_us(clock);

		if (now_us >= due_us || uv_cond_timedwait(&p->hurry, &p->lock, (uint64_t)(due_us - now_us) * 1000) == UV_ETIMEDOUT)
			break;
	}
	m->awaited = false;
	uv_mutex_unlock(&p->lock);
}

/* A quiet moment: those who look at the file itself see what was passed over. */
static void save(struct model *m)
{
	int rc;

	buf_clear(&m->problem);
	rc = fold_save(&m->fold);
	uv_mutex_lock(&m->p->lock);
	if (rc == 0 && !m->status.serving_old)
		m->status.rows_position = fold_saved(&m->fold);
	uv_mutex_unlock(&m->p->lock);
	if (rc != 0)
		on_fold_error(m, rc, eventlog_size(m->p->options.log));
}

static void fold_once(struct model *m)
{
	const struct clock *clock = m->p->options.clock;
	uint64_t size = eventlog_size(m->p->options.log), applied;
	int64_t start_us, spent_us;
	int rc;

	/* One that stopped looks again when there is something new: it may be the word to pass over the event. */
	if (m->status.state == PROJECTION_STOPPED && size == m->tried_at) {
		wait_for_events(m, size);
		return;
	}
	buf_clear(&m->problem);
	keep_pace(m);
	start_us = clock_monotonic_us(clock);
	rc = fold_batch(&m->fold, UINT64_MAX, &applied);
	if (applied > 0) {
		spent_us = clock_monotonic_us(clock) - start_us;
		note_progress(m, applied, spent_us);
		choose_batch(m, spent_us);
		m->began_us = start_us;
		model_backfill(m);
	}
	if (rc != 0) {
		m->tried_at = size;
		on_fold_error(m, rc, size);
		return;
	}
	if (fold_position(&m->fold) < size)
		return;
	if (m->status.state != PROJECTION_LIVE)
		come_alive(m);
	if (wait_for_events(m, size))
		save(m);
}

static void run(void *arg)
{
	struct model *m = arg;

	/* Rows may be late; an append somebody waits for may not. */
	thread_name(m->def->name);
	if (m->p->options.yields)
		thread_yield_to_others(THREAD_MAY_LAG);
	while (!projector_is_stopping(m->p)) {
		if (model_is_renewed(m))
			model_take_renewed(m);
		else if (m->fold.file == NULL && model_open(m) != 0)
			pause_ms(m->p, RETRY_MS);
		else
			fold_once(m);
	}
	if (m->fold.file != NULL)
		fold_save(&m->fold);
	/* The file stays open until projector_stop(): the last to close it writes what its WAL holds, and readers do not. */
}

/* ---- start and stop ------------------------------------------------------------------ */

static int start_model(struct projector *p, struct model *m, const struct projection *def)
{
	m->p = p;
	m->def = def;
	m->path = m->serving = (struct buf)BUF_INIT(PROJECTOR_PATH_MAX);
	m->problem = (struct buf)BUF_INIT(PROBLEM_BYTES_MAX);
	m->status.model = def;
	m->fold = (struct fold){.model = def, .log = p->options.log, .sealer = p->options.sealer, .problem = &m->problem,
	    .batch_max = BATCH_LEAST};
	feed_reader_init(&m->fold.reader, p->feed, def);
	return projection_path(&m->path, p->options.dir, def);
}

int projector_start(struct projector **ret, const struct projector_options *options)
{
	const struct projection *const *defs = options->models != NULL ? options->models : projections;
	struct projector *p = calloc(1, sizeof(*p));
	struct buf dir = BUF_INIT(PROJECTOR_PATH_MAX);
	unsigned n = 0;
	int rc;

	if (p == NULL)
		return ERR_NOMEM;
	p->options = *options;
	uv_mutex_init(&p->lock);
	uv_mutex_init(&p->watch_lock);
	uv_cond_init(&p->changed);
	uv_cond_init(&p->hurry);
	uv_cond_init(&p->backfill);
	rc = buf_printf(&dir, "%s/read", options->dir);
	if (rc == 0)
		rc = dir_create(dir.ptr, 0700);
	while (defs[n] != NULL)
		n++;
	p->models = calloc(n + 1, sizeof(*p->models));
	if (p->models == NULL)
		rc = ERR_NOMEM;
	if (rc == 0)
		rc = event_feed_open(&p->feed, &(struct event_feed_options){.log = options->log, .sealer = options->sealer,
		    .models = defs, .readers_max = n, .yields = options->yields});
	for (unsigned i = 0; i < n && rc == 0; i++) {
		rc = start_model(p, &p->models[i], defs[i]);
		p->n_models = i + 1;
	}
	if (rc == 0)
		rc = backfill_start(p);
	for (unsigned i = 0; i < n && rc == 0; i++) {
		if (uv_thread_create(&p->models[i].thread, run, &p->models[i]) != 0)
			rc = ERR_NOMEM;
		else
			p->models[i].running = true;
	}
	buf_finish(&dir);
	if (rc == 0)
		*ret = p;
	else
		projector_stop(p);
	return rc;
}

void projector_interrupt(struct projector *p)
{
	uv_mutex_lock(&p->lock);
	p->stopping = true;
	uv_cond_broadcast(&p->changed);
	uv_cond_broadcast(&p->hurry);
	uv_cond_broadcast(&p->backfill);
	uv_mutex_unlock(&p->lock);
}

void projector_stop(struct projector *p)
{
	if (p == NULL)
		return;
	projector_interrupt(p);
	backfill_stop(p);
	for (unsigned i = 0; i < p->n_models; i++) {
		struct model *m = &p->models[i];

		if (m->running)
			uv_thread_join(&m->thread);
		model_close(m);
		feed_reader_finish(&m->fold.reader);
		fold_finish(&m->fold);
		buf_finish(&m->path);
		buf_finish(&m->serving);
		buf_finish(&m->problem);
	}
	free(p->models);
	event_feed_close(p->feed);
	uv_cond_destroy(&p->backfill);
	uv_cond_destroy(&p->hurry);
	uv_cond_destroy(&p->changed);
	uv_mutex_destroy(&p->watch_lock);
	uv_mutex_destroy(&p->lock);
	free(p);
}

void projector_watch(struct projector *p, projector_watch_cb *cb, void *arg)
{
	uv_mutex_lock(&p->watch_lock);
	p->watch = cb;
	p->watch_arg = arg;
	uv_mutex_unlock(&p->watch_lock);
}

/* ---- questions ------------------------------------------------------------------------- */

static struct model *model_of(struct projector *p, const char *name)
{
	for (unsigned i = 0; i < p->n_models; i++)
		if (strcmp(p->models[i].def->name, name) == 0)
			return &p->models[i];
	return NULL;
}

bool projector_status(struct projector *p, unsigned i, struct projection_status *ret)
{
	uint64_t size = eventlog_size(p->options.log);

	if (i >= p->n_models)
		return false;
	uv_mutex_lock(&p->lock);
	*ret = p->models[i].status;
	uv_mutex_unlock(&p->lock);
	ret->target = size > ret->position ? size : ret->position;
	ret->lag = ret->target - ret->position;
	return true;
}

int projector_status_of(struct projector *p, const char *name, struct projection_status *ret)
{
	struct model *m = model_of(p, name);

	return m != NULL && projector_status(p, (unsigned)(m - p->models), ret) ? 0 : ERR_NOT_FOUND;
}

bool projector_stand(struct projector *p, const struct projection *model, uint64_t generation, struct projector_stand *ret)
{
	bool stands = false;

	uv_mutex_lock(&p->lock);
	for (unsigned i = 0; i < p->n_models; i++) {
		const struct projection_status *s = &p->models[i].status;

		if (p->models[i].def != model)
			continue;
		stands = s->serving && s->generation == generation;
		if (stands)
			*ret = (struct projector_stand){.rows = s->rows_position, .position = s->serving_position};
	}
	uv_mutex_unlock(&p->lock);
	return stands;
}

/* With the lock. */
static void await(struct model *m)
{
	if (!m->awaited)
		uv_cond_broadcast(&m->p->hurry);
	m->awaited = true;
}

void projector_hurry(struct projector *p, const struct projection *model)
{
	struct model *m = model_of(p, model->name);

	if (m == NULL)
		return;
	uv_mutex_lock(&p->lock);
	await(m);
	uv_mutex_unlock(&p->lock);
}

int projector_wait(struct projector *p, const char *name, uint64_t position, int timeout_ms)
{
	const struct clock *clock = p->options.clock;
	int64_t deadline_us = clock_monotonic_us(clock) + (int64_t)timeout_ms * 1000;
	struct model *m = model_of(p, name);
	int rc = 0;

	if (m == NULL)
		return ERR_NOT_FOUND;
	uv_mutex_lock(&p->lock);
	while (rc == 0 && (m->status.position <= position || m->status.serving_old)) {
		int64_t left_us = deadline_us - clock_monotonic_us(clock);

		await(m);
		if (m->status.state == PROJECTION_STOPPED || p->stopping)
			rc = ERR_UNAVAILABLE;
		else if (left_us <= 0 || uv_cond_timedwait(&p->changed, &p->lock, (uint64_t)left_us * 1000) == UV_ETIMEDOUT)
			rc = ERR_TIMEOUT;
	}
	uv_mutex_unlock(&p->lock);
	return rc;
}

int projector_serving(struct projector *p, const struct projection *model, struct buf *ret_path, uint64_t *ret_generation)
{
	struct model *m = model_of(p, model->name);
	int rc = ERR_UNAVAILABLE;

	if (m == NULL)
		return ERR_NOT_FOUND;
	uv_mutex_lock(&p->lock);
	if (m->status.serving) {
		buf_clear(ret_path);
		rc = buf_append(ret_path, buf_slice(&m->serving));
		*ret_generation = m->status.generation;
	}
	uv_mutex_unlock(&p->lock);
	return rc;
}
