/*
 * What each API key is used for (api_key_usage_logs of functional-spec 15):
 * counted in memory by key, route and status, and written by the main thread's
 * tick as api_key.tallied, so that no request waits for it and a busy key does
 * not fill the log. What has not been seen for a while is written at once, the
 * rest at most every ten minutes; after a crash that long may be missing.
 *
 * Bounded, whoever asks: so many key, route and status at a time; uses for which there
 * is no room are told to the operator by their number alone. Addresses are not kept:
 * a key may be held to some (allowedIps), and refusals are events of their own.
 */
#ifndef LULAB_APP_KEY_USAGE_H
#define LULAB_APP_KEY_USAGE_H

#include "app/auth.h"
#include "store/eventlog.h"

#define KEY_USAGE_SPAN_MS (10 * 60 * 1000LL)
#define KEY_USAGE_PLACES 512

struct key_usage;

int key_usage_create(struct key_usage **ret); /* ERR_NOMEM */
void key_usage_destroy(struct key_usage *u);  /* NULL is fine */

/* A request by this key was answered; 0: its caller did not wait. Any thread. Routes are static. */
void key_usage_note(struct key_usage *u, const struct principal *key, const struct route *route, int status,
    int64_t duration_us, int64_t now_ms);

/* Appends what is due, or with `all` whatever there is. Main thread; blocks. */
void key_usage_write(struct key_usage *u, struct eventlog *log, const struct clock *clock, const struct rng *rng, bool all);

#endif
