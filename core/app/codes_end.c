/*
 * The end of one-time codes: a thread destroys the keys of those that are over,
 * some at a time, since each time the keyring turns its epoch. What is owed is
 * read from the log's fold: verification.ended follows the destruction, so a
 * crash between the two does it again.
 */
#include <stdlib.h>

#include "app/codes_private.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"

#define PERIOD_MS 60000 /* for those that nobody used */
#define PAUSE_MS 5000   /* gathers what is over */
#define AT_ONCE_MAX 256 /* what the query gives */
#define ENDING_BYTES_MAX (4u << 20)

/* The events of one go. */
struct ending {
	struct arena arena;
	struct id ids[AT_ONCE_MAX];
	struct event_draft drafts[AT_ONCE_MAX];
	size_t n;
};

static int add_one(struct codes *codes, struct ending *e, struct json_value row)
{
	struct event_context ctx = {codes->app->rng, codes->app->clock, NULL};
	struct event_meta meta = {.source = SLICE("codes"), .actor = SLICE("system"), .has_once = true, .expect = EXPECT_ANY};
	struct event_verification_ended data = {0};
	struct json_value id, reason;
	int rc;

	if (!json_member(row, "id", &id) || !json_member(row, "reason", &reason))
		return ERR_CORRUPT;
	rc = json_string(id, &e->arena, &data.request_id);
	if (rc == 0)
		rc = json_string(reason, &e->arena, &data.reason);
	if (rc == 0)
		rc = id_parse(data.request_id, &e->ids[e->n]);
	if (rc == 0) {
		event_once_key(meta.once, SLICE("code-ended"), data.request_id);
		rc = event_draft_make(&ctx, EVENT_VERIFICATION_ENDED, &data, &meta, &e->arena, &e->drafts[e->n], NULL);
	}
	e->n += rc == 0;
	return rc;
}

static int find_over(struct codes *codes, struct ending *e)
{
	uint64_t size = eventlog_size(codes->app->log);
	struct query q = {.def = query_find("codes_over"), .n_params = 1, .has_min_position = size > 0,
	    .min_position = size - 1};
	struct json_value row;
	struct json_reader r;
	int rc;

	q.params[0] = (struct query_param){.name = "now", .integer = clock_wall_ms(codes->app->clock), .is_integer = true};
	rc = query_run(codes->app->queries, &q);
	if (rc == 0) {
		json_enter(&r, json_root(buf_slice(&q.out)));
		while (rc == 0 && e->n < AT_ONCE_MAX && json_next(&r, NULL, &row))
			rc = add_one(codes, e, row);
	}
	query_finish(&q);
	return rc;
}

/* *ret_more: there may be more of them. */
static int end_some(struct codes *codes, struct ending *e, bool *ret_more)
{
	struct append append = {.events = e->drafts};
	int rc = find_over(codes, e);

	*ret_more = false;
	if (rc != 0 || e->n == 0)
		return rc;
	rc = keyring_erase(codes->app->keyring, e->ids, e->n);
	append.n_events = e->n;
	if (rc == 0)
		rc = eventlog_append_wait(codes->app->log, &append);
	*ret_more = rc == 0 && e->n == AT_ONCE_MAX;
	return rc;
}

/* A read model that is being built, or a stop: nothing to worry about. */
static bool is_of_the_moment(int rc)
{
	return rc == ERR_UNAVAILABLE || rc == ERR_TIMEOUT || rc == ERR_BUSY || rc == ERR_CANCELLED;
}

static void end_all(struct codes *codes)
{
	bool more = eventlog_refusal(codes->app->log) == NULL; /* what became of them could not be told */

	while (more) {
		struct ending *e = calloc(1, sizeof(*e));
		int rc = e == NULL ? ERR_NOMEM : 0;

		more = false;
		if (rc == 0) {
			e->arena = (struct arena)ARENA_INIT(ENDING_BYTES_MAX);
			rc = end_some(codes, e, &more);
			arena_finish(&e->arena);
		}
		free(e);
		if (rc != 0 && !is_of_the_moment(rc))
			log_warn("codes", "the keys of codes that are over could not be destroyed; it is tried again in a minute",
			    "error", err_name(rc));
	}
}

/* Under the lock: as long as this, or until it stops; with `until_over` until one may be over. */
static void wait_for(struct codes *codes, unsigned ms, bool until_over)
{
	struct timespec deadline = thread_deadline(ms);

	while (!codes->stopping && !(until_over && codes->over))
		if (pthread_cond_timedwait(&codes->wake, &codes->lock, &deadline) != 0)
			break;
}

static void *run(void *arg)
{
	struct codes *codes = arg;

	thread_name("lulab-codes");
	pthread_mutex_lock(&codes->lock);
	while (!codes->stopping) {
		codes->over = false;
		pthread_mutex_unlock(&codes->lock);
		end_all(codes);
		pthread_mutex_lock(&codes->lock);
		wait_for(codes, PERIOD_MS, true);
		wait_for(codes, PAUSE_MS, false);
	}
	pthread_mutex_unlock(&codes->lock);
	return NULL;
}

void codes_over(struct codes *codes)
{
	pthread_mutex_lock(&codes->lock);
	codes->over = true;
	pthread_cond_signal(&codes->wake);
	pthread_mutex_unlock(&codes->lock);
}

static void destroy(struct codes *codes)
{
	pthread_cond_destroy(&codes->wake);
	pthread_mutex_destroy(&codes->lock);
	for (int i = 0; i < CODES_STRIPES; i++)
		pthread_mutex_destroy(&codes->asking[i]);
	free(codes);
}

int codes_open(struct codes **ret, struct app *app)
{
	struct codes *codes = calloc(1, sizeof(*codes));
	pthread_condattr_t attr;

	if (codes == NULL)
		return ERR_NOMEM;
	codes->app = app;
	for (int i = 0; i < CODES_STRIPES; i++)
		pthread_mutex_init(&codes->asking[i], NULL);
	pthread_mutex_init(&codes->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&codes->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&codes->thread, NULL, run, codes) != 0) {
		destroy(codes);
		return ERR_NOMEM;
	}
	if (slice_is(app->config->env, "development"))
		log_warn("codes", "LULAB_ENV=development: one-time codes are written here, for everybody who reads this");
	*ret = codes;
	return 0;
}

void codes_close(struct codes *codes)
{
	if (codes == NULL)
		return;
	pthread_mutex_lock(&codes->lock);
	codes->stopping = true;
	pthread_cond_signal(&codes->wake);
	pthread_mutex_unlock(&codes->lock);
	pthread_join(codes->thread, NULL);
	destroy(codes);
}
