/* See caller_notes.h. */
#include "app/caller_notes.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "domain/event.h"

#define DENIALS_MAX 128
#define DENIALS_SPAN_MS 60000
#define USES_MAX 256
#define PRINCIPAL_MAX 64

/* The first two places are of all strangers, and of whoever has no place of their own any more. */
enum { OF_STRANGERS, OF_THE_REST, OF_SOMEBODY };

struct denial {
	char principal[PRINCIPAL_MAX]; /* "": a free place */
	const struct route *route;     /* NULL: several */
	uint64_t count;                /* not yet written */
	int64_t since_ms, until_ms;
	int64_t written_ms; /* 0: never */
};

struct use {
	struct id key, user;
	int64_t at_ms;
};

struct caller_notes {
	pthread_mutex_t lock; /* guards all below; held for a walk over the table at most */
	struct denial denials[DENIALS_MAX];
	struct use uses[USES_MAX];
	size_t n_uses;
};

int caller_notes_create(struct caller_notes **ret)
{
	struct caller_notes *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return ERR_NOMEM;
	pthread_mutex_init(&n->lock, NULL);
	snprintf(n->denials[OF_STRANGERS].principal, PRINCIPAL_MAX, "anonymous");
	snprintf(n->denials[OF_THE_REST].principal, PRINCIPAL_MAX, "several");
	*ret = n;
	return 0;
}

void caller_notes_destroy(struct caller_notes *n)
{
	if (n == NULL)
		return;
	pthread_mutex_destroy(&n->lock);
	free(n);
}

/* Under the lock. */
static struct denial *denial_of(struct caller_notes *n, const char *principal, const struct route *route)
{
	struct denial *free_place = NULL;

	if (principal == NULL)
		return &n->denials[OF_STRANGERS];
	for (size_t i = OF_SOMEBODY; i < DENIALS_MAX; i++) {
		struct denial *d = &n->denials[i];

		if (d->principal[0] == '\0')
			free_place = free_place == NULL ? d : free_place;
		else if (d->route == route && strcmp(d->principal, principal) == 0)
			return d;
	}
	if (free_place == NULL || strlen(principal) >= PRINCIPAL_MAX)
		return &n->denials[OF_THE_REST];
	*free_place = (struct denial){.route = route};
	snprintf(free_place->principal, PRINCIPAL_MAX, "%s", principal);
	return free_place;
}

void caller_notes_denied(struct caller_notes *n, const char *principal, const struct route *route, int64_t now_ms)
{
	struct denial *d;

	pthread_mutex_lock(&n->lock);
	d = denial_of(n, principal, route);
	if (d->count++ == 0)
		d->since_ms = now_ms;
	d->until_ms = now_ms;
	pthread_mutex_unlock(&n->lock);
}

bool caller_notes_used(struct caller_notes *n, const struct id *key, const struct id *user, int64_t now_ms)
{
	bool ok;

	pthread_mutex_lock(&n->lock);
	ok = n->n_uses < USES_MAX;
	if (ok)
		n->uses[n->n_uses++] = (struct use){*key, *user, now_ms};
	pthread_mutex_unlock(&n->lock);
	return ok;
}

/* ---- writing ------------------------------------------------------------------- */

struct taken {
	struct denial denials[DENIALS_MAX];
	size_t places[DENIALS_MAX], n_denials;
	struct use uses[USES_MAX];
	size_t n_uses;
};

static bool is_due(const struct denial *d, int64_t now_ms)
{
	return d->written_ms == 0 || now_ms - d->written_ms >= DENIALS_SPAN_MS || now_ms < d->written_ms;
}

static void take(struct caller_notes *n, struct taken *t, int64_t now_ms, bool all)
{
	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < DENIALS_MAX; i++) {
		struct denial *d = &n->denials[i];

		if (d->count > 0 && (all || is_due(d, now_ms))) {
			t->places[t->n_denials] = i;
			t->denials[t->n_denials++] = *d;
			d->count = 0;
			d->written_ms = now_ms;
		} else if (d->count == 0 && i >= OF_SOMEBODY && is_due(d, now_ms)) {
			d->principal[0] = '\0';
		}
	}
	t->n_uses = n->n_uses;
	memcpy(t->uses, n->uses, n->n_uses * sizeof(n->uses[0]));
	n->n_uses = 0;
	pthread_mutex_unlock(&n->lock);
}

/* Places are freed by the taker alone, so they are the same still. Uses are noted again by the next. */
static void put_back(struct caller_notes *n, const struct taken *t)
{
	pthread_mutex_lock(&n->lock);
	for (size_t i = 0; i < t->n_denials; i++) {
		struct denial *d = &n->denials[t->places[i]];

		if (d->count == 0)
			d->until_ms = t->denials[i].until_ms;
		d->count += t->denials[i].count;
		d->since_ms = t->denials[i].since_ms;
		d->written_ms = t->denials[i].written_ms;
	}
	for (size_t i = 0; i < t->n_uses && n->n_uses < USES_MAX; i++)
		n->uses[n->n_uses++] = t->uses[i];
	pthread_mutex_unlock(&n->lock);
}

static int draft_denial(const struct event_context *ctx, const struct denial *d, struct arena *a,
    struct event_draft *ret)
{
	static const char *const methods[HTTP_METHOD_COUNT] = {"*", "GET", "POST", "PUT", "PATCH", "DELETE"};
	struct event_meta meta = {.source = SLICE("/"), .actor = slice_str(d->principal), .expect = EXPECT_ANY};
	struct event_access_denied data = {.principal = slice_str(d->principal), .route = SLICE("*"),
	    .method = SLICE("*"), .permission = SLICE("*"), .count = (int64_t)d->count, .has_count = true,
	    .since_ms = d->since_ms, .has_since_ms = true, .until_ms = d->until_ms, .has_until_ms = true};

	if (d->route != NULL) {
		data.route = slice_str(d->route->path);
		data.method = slice_str(methods[d->route->method]);
		data.permission = slice_str(d->route->permission == NULL ? "" : d->route->permission);
	}
	return event_draft_make(ctx, EVENT_ACCESS_DENIED, &data, &meta, a, ret, NULL);
}

/* The first use is one event, however many loops see it; later ones one a span. */
static int draft_use(const struct event_context *ctx, const struct use *u, struct eventlog *log, struct arena *a,
    struct event_draft *ret)
{
	char key[ID_TEXT_LEN + 1], user[ID_TEXT_LEN + 1];
	struct event_meta meta = {.source = SLICE("/"), .expect = EXPECT_ANY, .has_once = true};
	struct event_api_key_used_first first = {.used_at_ms = u->at_ms};
	struct event_api_key_used again = {.used_at_ms = u->at_ms};
	uint64_t known;

	id_format(key, &u->key);
	id_format(user, &u->user);
	first.key_id = again.key_id = slice_of(key, ID_TEXT_LEN);
	first.user_id = again.user_id = slice_of(user, ID_TEXT_LEN);
	meta.actor = slice_str(arena_printf(a, "api_key:%s", key));
	if (meta.actor.ptr == NULL)
		return ERR_NOMEM;
	event_once_key(meta.once, SLICE("api-key-first"), first.key_id);
	if (eventlog_find_once(log, meta.once, &known) != 0)
		return event_draft_make(ctx, EVENT_API_KEY_USED_FIRST, &first, &meta, a, ret, NULL);
	event_once_key(meta.once, SLICE("api-key-used"),
	    slice_str(arena_printf(a, "%s:%lld", key, (long long)(u->at_ms / CALLER_USE_SPAN_MS))));
	return event_draft_make(ctx, EVENT_API_KEY_USED, &again, &meta, a, ret, NULL);
}

void caller_notes_write(struct caller_notes *n, struct eventlog *log, const struct clock *clock,
    const struct rng *rng, bool all)
{
	struct arena a = ARENA_INIT(4 << 20);
	struct event_context ctx = {rng, clock, NULL};
	struct taken *t = arena_calloc(&a, 1, sizeof(*t));
	struct event_draft *drafts = arena_calloc(&a, DENIALS_MAX + USES_MAX, sizeof(*drafts));
	struct append append = {.events = drafts};
	int rc = 0;

	if (t == NULL || drafts == NULL) {
		arena_finish(&a);
		return; /* the next tick has memory again */
	}
	take(n, t, clock_wall_ms(clock), all);
	for (size_t i = 0; rc == 0 && i < t->n_denials; i++)
		rc = draft_denial(&ctx, &t->denials[i], &a, &drafts[append.n_events++]);
	for (size_t i = 0; rc == 0 && i < t->n_uses; i++)
		rc = draft_use(&ctx, &t->uses[i], log, &a, &drafts[append.n_events++]);
	if (rc == 0 && append.n_events > 0)
		rc = eventlog_append_wait(log, &append);
	if (rc == ERR_BUSY || rc == ERR_DISK_FULL || rc == ERR_UNAVAILABLE)
		put_back(n, t);
	else if (rc != 0)
		log_warn("access", "what was refused to callers could not be stored", "error", err_name(rc));
	arena_finish(&a);
}
