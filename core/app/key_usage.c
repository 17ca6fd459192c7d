/* See key_usage.h. */
#include "app/key_usage.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "domain/event.h"

#define PROBES 16 /* places looked at for one key, route and status */

struct place {
	char key[ID_TEXT_LEN + 1]; /* "": a free place */
	char user[ID_TEXT_LEN + 1], org[ID_TEXT_LEN + 1];
	const struct route *route;
	int status;
	uint64_t count; /* not yet written, as all below */
	int64_t us_total, us_max;
	int64_t since_ms, until_ms;
	int64_t written_ms; /* 0: never */
};

struct key_usage {
	pthread_mutex_t lock; /* guards all below; held for a look at PROBES places, by the writer for a walk over all */
	struct place places[KEY_USAGE_PLACES];
	uint64_t without_place;
};

int key_usage_create(struct key_usage **ret)
{
	struct key_usage *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return ERR_NOMEM;
	pthread_mutex_init(&u->lock, NULL);
	*ret = u;
	return 0;
}

void key_usage_destroy(struct key_usage *u)
{
	if (u == NULL)
		return;
	pthread_mutex_destroy(&u->lock);
	free(u);
}

/* ---- counting ------------------------------------------------------------------------ */

/* Ids of keys are random at their end, and nobody chooses them. */
static size_t start_of(const char *key, const struct route *route, int status)
{
	size_t n = (size_t)(uintptr_t)route / sizeof(*route) * 31 + (size_t)status;

	for (const char *c = key; *c != '\0'; c++)
		n = n * 33 + (unsigned char)*c;
	return n;
}

/* Under the lock. NULL: no room. */
static struct place *place_of(struct key_usage *u, const struct principal *key, const struct route *route, int status)
{
	size_t start = start_of(key->key_id, route, status);
	struct place *free_place = NULL;

	for (size_t i = 0; i < PROBES; i++) {
		struct place *p = &u->places[(start + i) % KEY_USAGE_PLACES];

		if (p->key[0] == '\0')
			free_place = free_place == NULL ? p : free_place;
		else if (p->route == route && p->status == status && strcmp(p->key, key->key_id) == 0)
			return p;
	}
	if (free_place == NULL)
		return NULL;
	*free_place = (struct place){.route = route, .status = status};
	memcpy(free_place->key, key->key_id, sizeof(free_place->key));
	memcpy(free_place->user, key->user_id, sizeof(free_place->user));
	memcpy(free_place->org, key->org_id, sizeof(free_place->org));
	return free_place;
}

static void add(struct place *p, uint64_t count, int64_t us_total, int64_t us_max, int64_t since_ms, int64_t until_ms)
{
	if (p->count == 0 || since_ms < p->since_ms)
		p->since_ms = since_ms;
	if (p->count == 0 || until_ms > p->until_ms)
		p->until_ms = until_ms;
	p->count += count;
	p->us_total += us_total;
	p->us_max = us_max > p->us_max ? us_max : p->us_max;
}

void key_usage_note(struct key_usage *u, const struct principal *key, const struct route *route, int status,
    int64_t duration_us, int64_t now_ms)
{
	struct place *p;

	pthread_mutex_lock(&u->lock);
	p = place_of(u, key, route, status);
	if (p == NULL)
		u->without_place++;
	else
		add(p, 1, duration_us, duration_us, now_ms, now_ms);
	pthread_mutex_unlock(&u->lock);
}

/* ---- writing --------------------------------------------------------------------------- */

struct taken {
	struct place places[KEY_USAGE_PLACES];
	size_t at[KEY_USAGE_PLACES], n;
	uint64_t without_place;
};

static bool is_due(const struct place *p, int64_t now_ms)
{
	return p->written_ms == 0 || now_ms - p->written_ms >= KEY_USAGE_SPAN_MS || now_ms < p->written_ms;
}

static void take(struct key_usage *u, struct taken *t, int64_t now_ms, bool all)
{
	pthread_mutex_lock(&u->lock);
	for (size_t i = 0; i < KEY_USAGE_PLACES; i++) {
		struct place *p = &u->places[i];

		if (p->count > 0 && (all || is_due(p, now_ms))) {
			t->at[t->n] = i;
			t->places[t->n++] = *p;
			p->count = 0;
			p->us_total = p->us_max = 0;
			p->written_ms = now_ms;
		} else if (p->count == 0 && is_due(p, now_ms)) {
			p->key[0] = '\0';
		}
	}
	t->without_place = u->without_place;
	u->without_place = 0;
	pthread_mutex_unlock(&u->lock);
}

/* Places are freed by the taker alone, so they are the same still. */
static void put_back(struct key_usage *u, const struct taken *t)
{
	pthread_mutex_lock(&u->lock);
	for (size_t i = 0; i < t->n; i++) {
		const struct place *was = &t->places[i];

		add(&u->places[t->at[i]], was->count, was->us_total, was->us_max, was->since_ms, was->until_ms);
		u->places[t->at[i]].written_ms = was->written_ms;
	}
	pthread_mutex_unlock(&u->lock);
}

static int draft(const struct event_context *ctx, const struct place *p, struct arena *a, struct event_draft *ret)
{
	static const char *const methods[HTTP_METHOD_COUNT] = {"", "GET", "POST", "PUT", "PATCH", "DELETE"};
	struct event_meta meta = {.source = SLICE("/"), .expect = EXPECT_ANY};
	struct event_api_key_tallied data = {.key_id = slice_str(p->key), .user_id = slice_str(p->user),
	    .method = slice_str(methods[p->route->method]), .route = slice_str(p->route->path), .status = p->status,
	    .count = (int64_t)p->count, .latency_us_total = p->us_total, .latency_us_max = p->us_max,
	    .since_ms = p->since_ms, .until_ms = p->until_ms};

	if (p->org[0] != '\0')
		data.org_id = slice_str(p->org);
	meta.actor = slice_str(arena_printf(a, "api_key:%s", p->key));
	return meta.actor.ptr == NULL ? ERR_NOMEM : event_draft_make(ctx, EVENT_API_KEY_TALLIED, &data, &meta, a, ret, NULL);
}

static int append_taken(struct taken *t, struct arena *a, struct eventlog *log, const struct event_context *ctx)
{
	struct event_draft *drafts = arena_calloc(a, t->n + 1, sizeof(*drafts));
	struct append append = {.events = drafts, .n_events = t->n};
	int rc = drafts == NULL ? ERR_NOMEM : 0;

	for (size_t i = 0; rc == 0 && i < t->n; i++)
		rc = draft(ctx, &t->places[i], a, &drafts[i]);
	return rc == 0 && t->n > 0 ? eventlog_append_wait(log, &append) : rc;
}

void key_usage_write(struct key_usage *u, struct eventlog *log, const struct clock *clock, const struct rng *rng, bool all)
{
	struct arena a = ARENA_INIT(4 << 20);
	struct event_context ctx = {rng, clock, NULL};
	struct taken *t = arena_calloc(&a, 1, sizeof(*t));
	int rc;

	if (t == NULL)
		return; /* the next tick has memory again */
	take(u, t, clock_wall_ms(clock), all);
	rc = append_taken(t, &a, log, &ctx);
	if (rc == ERR_BUSY || rc == ERR_DISK_FULL || rc == ERR_UNAVAILABLE || rc == ERR_NOMEM)
		put_back(u, t);
	else if (rc != 0)
		log_warn("access", "what API keys were used for could not be stored", "error", err_name(rc));
	if (t->without_place > 0) {
		char n[24];

		snprintf(n, sizeof(n), "%" PRIu64, t->without_place);
		log_warn("access", "API keys are used for more than is told one by one", "uses", n);
	}
	arena_finish(&a);
}
