/*
 * What the log shall hold about callers although no command of theirs says it:
 * that somebody asked for what they may not (access.denied), and that an API
 * key is in use. Kept in memory for a moment and written by the main thread's
 * tick, so that no request waits for it; after a crash the last seconds' are missing.
 *
 * Bounded, whoever asks: one event a minute for each caller and route, one a
 * minute for all strangers together, one in ten minutes for each key in use.
 */
#ifndef LULAB_APP_CALLER_NOTES_H
#define LULAB_APP_CALLER_NOTES_H

#include "base/clock.h"
#include "base/id.h"
#include "net/http.h"
#include "store/eventlog.h"

struct caller_notes;

#define CALLER_USE_SPAN_MS (10 * 60 * 1000LL)

int caller_notes_create(struct caller_notes **ret); /* ERR_NOMEM */
void caller_notes_destroy(struct caller_notes *n);  /* NULL is fine */

/* Any thread. principal NULL: nobody known. Routes are static. */
void caller_notes_denied(struct caller_notes *n, const char *principal, const struct route *route, int64_t now_ms);
/* Any thread. False when there is no room for it: try again with the next request. */
bool caller_notes_used(struct caller_notes *n, const struct id *key, const struct id *user, int64_t now_ms);

/* Appends what is due, or with `all` whatever there is. Main thread; blocks. */
void caller_notes_write(struct caller_notes *n, struct eventlog *log, const struct clock *clock,
    const struct rng *rng, bool all);

#endif
