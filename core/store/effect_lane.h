/*
 * May a lane try something now? Three who say no, each of its own memory:
 *
 *     token bucket   attempts a minute stay below what the neighbour allows
 *     retry budget   repetitions are at most a fifth of first tries, and ten, within a minute
 *     breaker        a neighbour that fails is left alone: closed -> open -> probing -> closed
 *
 * and how long is waited before a repetition. Pure: time is an argument. Not for threads to share.
 */
#ifndef LULAB_STORE_EFFECT_LANE_H
#define LULAB_STORE_EFFECT_LANE_H

#include "store/effect.h"

#define WINDOW_S 60

/* What happened in each of the last 60 seconds. */
struct window {
	int64_t second;          /* of the newest */
	uint32_t a[WINDOW_S], b[WINDOW_S];
};
void window_add(struct window *w, int64_t now_ms, uint32_t a, uint32_t b);
void window_sum(struct window *w, int64_t now_ms, uint32_t *ret_a, uint32_t *ret_b);

#define BREAKER_MAX_MS 600000 /* no longer open */

struct breaker {
	enum breaker_state state;
	struct window calls;     /* all, failed */
	unsigned in_row;         /* failures, while closed; successes, while probing */
	int64_t open_ms;         /* how long it stays open this time */
	int64_t until_ms;
	bool probe_out;          /* the one probe is under way */
	int64_t open_first_ms;   /* as configured */
};

enum breaker_move { BREAKER_STAYS, BREAKER_OPENS, BREAKER_PROBES, BREAKER_CLOSES };

void breaker_init(struct breaker *b, int64_t open_first_ms);
/* A breaker that the log says is open, after a start. */
void breaker_restore(struct breaker *b, int64_t until_ms);
/* May one call go out? If not, *ret_again_ms is when to ask again (0: when a probe has ended). */
bool breaker_allows(const struct breaker *b, int64_t now_ms, int64_t *ret_again_ms);
/* It goes out. BREAKER_PROBES when it is the first probe. */
enum breaker_move breaker_start(struct breaker *b, int64_t now_ms);
/* It has ended. */
enum breaker_move breaker_end(struct breaker *b, int64_t now_ms, bool failed);
/* It did not go out after all. */
void breaker_give_back(struct breaker *b);
/* Opens at once for the longest time: settings are wrong, trying changes nothing. */
enum breaker_move breaker_trip(struct breaker *b, int64_t now_ms);

struct lane_policy {
	const struct effect_lane *lane;
	double tokens;
	int64_t filled_ms;
	struct window tries;     /* first tries, repetitions */
};

void lane_policy_init(struct lane_policy *p, const struct effect_lane *lane, int64_t now_ms);
/* As breaker_allows(), for the bucket and, when it is a repetition, the budget. */
bool lane_policy_allows(struct lane_policy *p, int64_t now_ms, bool repetition, int64_t *ret_again_ms);
void lane_policy_start(struct lane_policy *p, int64_t now_ms, bool repetition);

/* Full jitter: uniform in 0..min(cap, base * 2^tries); at least retry_after_ms, which counts up to an hour. tries: made so far, from 1. */
int64_t lane_delay_ms(const struct effect_lane *lane, int64_t base_max_ms, unsigned tries, int64_t retry_after_ms,
    const struct rng *rng);
/* When to ask again for what the neighbour is still making: 1, 5, 15, then 60 minutes, a minute being base_max_ms when that is shorter and not 0. */
int64_t not_yet_delay_ms(int64_t base_max_ms, unsigned tries);

#endif
