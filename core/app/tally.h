/*
 * Counts of what a webhook source refused, and of repeats it answered without
 * storing: kept in memory, turned into one webhook.tallied event at most every
 * few seconds. A stranger's body is never stored, so a flood of refusals
 * costs a counter each. Any thread may count.
 */
#ifndef LULAB_APP_TALLY_H
#define LULAB_APP_TALLY_H

#include <uv.h>

#include "base/clock.h"

#define TALLY_REASONS_MAX 16
#define TALLY_POSITIONS_MAX 64

/* Ten refusals in five minutes look like a changed secret, or an attack (integrity 13.10). */
#define TALLY_ALARM_MAX 128
#define TALLY_ALARM_WINDOW_US (300 * 1000000LL)

struct tally {
	const char *source;         /* "tencent" */
	const char *const *reasons; /* names, n_reasons of them */
	unsigned n_reasons;
	const struct clock *clock;
	unsigned alarm_refusals; /* so many within the window; at most TALLY_ALARM_MAX, 0 = never */
	int64_t since_ms;        /* wall clock of the last take, or of the start */

	uv_mutex_t lock; /* guards all below; held for a few instructions */
	uint64_t pending[TALLY_REASONS_MAX];
	uint64_t totals[TALLY_REASONS_MAX]; /* since the start, for metrics */
	uint64_t duplicates_pending, duplicates_total;
	/* Which events were repeated since the last flush; the rest only counts. */
	uint64_t positions[TALLY_POSITIONS_MAX], position_counts[TALLY_POSITIONS_MAX];
	unsigned n_positions;
	int64_t recent_us[TALLY_ALARM_MAX]; /* ring of alarm_refusals: when the latest were */
	unsigned recent_at;
	int64_t alarmed_us; /* last alarm, 0 = never */
	uint64_t alarms;
};

/* What gathered since the last take. */
struct tally_taken {
	int64_t since_ms, until_ms; /* wall clock */
	uint64_t refused[TALLY_REASONS_MAX];
	uint64_t n_refused;
	uint64_t duplicates;
	uint64_t positions[TALLY_POSITIONS_MAX], position_counts[TALLY_POSITIONS_MAX];
	unsigned n_positions;
};

/* Names are static; n_reasons <= TALLY_REASONS_MAX. ERR_NOMEM. */
int tally_init(struct tally *t, const char *source, const char *const *reasons, unsigned n_reasons,
    unsigned alarm_refusals, const struct clock *clock);
void tally_finish(struct tally *t); /* accepts a zeroed one */

/* One refusal; logs a warning when it fills the five minutes' quota, at most once in that span. */
void tally_refuse(struct tally *t, unsigned reason);
/* One repeat of the delivery whose first event stands at `position`. */
void tally_repeat(struct tally *t, uint64_t position);

/* True and everything since the last time, or false when there was nothing. */
bool tally_take(struct tally *t, struct tally_taken *ret);
/* Puts it back, when it could not be recorded. */
void tally_put_back(struct tally *t, const struct tally_taken *taken);

/* Totals since the start. */
uint64_t tally_total(struct tally *t, unsigned reason);
uint64_t tally_repeats(struct tally *t);

#endif
