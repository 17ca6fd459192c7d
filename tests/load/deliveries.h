/*
 * The vendor's side of a run: which webhook goes out next, what became of
 * each, and whether a stopped server's log agrees.
 *
 * A run is `unique` webhooks, numbered from 0, in an order shuffled by the
 * seed, with `repeats` deliveries of ones already sent strewn among them (half
 * of those of the last few, which may still be under way). One without a 200
 * is delivered again until it has one, as the vendor does. The same seed gives
 * the same webhooks in the same order, but for the times they tell of.
 */
#ifndef LULAB_TESTS_LOAD_DELIVERIES_H
#define LULAB_TESTS_LOAD_DELIVERIES_H

#include <stdbool.h>
#include <stdint.h>

struct deliveries {
	/* Counts, for reports. */
	uint64_t sent;         /* deliveries begun, retries and repeats too */
	uint64_t acked;        /* webhooks with a 200 */
	uint64_t answered;     /* deliveries with a 200 */
	uint64_t unanswered;   /* deliveries whose connection ended first */
	uint64_t refused;      /* deliveries answered 503 */
	uint64_t stored;       /* webhooks found in the log */
	uint64_t repeats_of_stored; /* deliveries acknowledged of webhooks that an earlier check had seen in the log */
	uint64_t position;     /* how far the log has been looked through */
	/* Ours. */
	uint64_t seed, rng;
	uint32_t unique, repeats, drawn;
	uint32_t *order;       /* the shuffled numbers; drawn ones first */
	uint8_t *marks;        /* of each number */
	uint32_t *again;       /* ring of numbers to deliver again, one place a number */
	uint32_t again_at, n_again;
	uint32_t *to_check;    /* acknowledged, and not looked for in the log yet */
	uint32_t n_to_check;
};

/* 0 or ERR_NOMEM. */
int deliveries_init(struct deliveries *d, uint64_t seed, uint32_t unique, uint32_t repeats);
void deliveries_finish(struct deliveries *d);

/* False when there is nothing to send at the moment. */
bool deliveries_next(struct deliveries *d, uint32_t *ret_number);
void deliveries_acked(struct deliveries *d, uint32_t number);
/* No answer, or a 503: it will be delivered again. */
void deliveries_unanswered(struct deliveries *d, uint32_t number);
void deliveries_refused(struct deliveries *d, uint32_t number);
/* All of the plan was sent and acknowledged. */
bool deliveries_done(const struct deliveries *d);

/*
 * Looks at what the log in `dir` (DATA/log) gained since the last check; no
 * server may run. Every position is there, what is found was sent and is there
 * once, and all that was acknowledged so far is among it. False: *ret_why
 * names the first breach; borrowed, static.
 */
bool deliveries_check(struct deliveries *d, const char *dir, const char **ret_why);

#endif
