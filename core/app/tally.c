/* See tally.h. */
#include "tally.h"

#include <assert.h>

#include "base/err.h"
#include "base/log.h"

int tally_init(struct tally *t, const char *source, const char *const *reasons, unsigned n_reasons,
    unsigned alarm_refusals, const struct clock *clock)
{
	assert(n_reasons <= TALLY_REASONS_MAX);
	*t = (struct tally){.reasons = reasons, .n_reasons = n_reasons, .clock = clock,
	    .alarm_refusals = alarm_refusals > TALLY_ALARM_MAX ? TALLY_ALARM_MAX : alarm_refusals,
	    .since_ms = clock_wall_ms(clock)};
	if (uv_mutex_init(&t->lock) != 0)
		return ERR_NOMEM;
	t->source = source; /* set: there is a lock to destroy */
	return 0;
}

void tally_finish(struct tally *t)
{
	if (t->source != NULL)
		uv_mutex_destroy(&t->lock);
	*t = (struct tally){0};
}

/* Under the lock. True when this refusal fills the window and nobody was told of it yet. */
static bool alarm_due(struct tally *t, int64_t now_us)
{
	int64_t oldest_us;

	if (t->alarm_refusals == 0)
		return false;
	t->recent_us[t->recent_at] = now_us;
	t->recent_at = (t->recent_at + 1) % t->alarm_refusals;
	oldest_us = t->recent_us[t->recent_at]; /* of the last alarm_refusals; 0 before there were as many */
	if (oldest_us == 0 || now_us - oldest_us > TALLY_ALARM_WINDOW_US)
		return false;
	if (t->alarmed_us != 0 && now_us - t->alarmed_us < TALLY_ALARM_WINDOW_US)
		return false;
	t->alarmed_us = now_us;
	t->alarms++;
	return true;
}

void tally_refuse(struct tally *t, unsigned reason)
{
	int64_t now_us = clock_monotonic_us(t->clock) + 1; /* never 0 */
	bool alarm;

	assert(reason < t->n_reasons);
	uv_mutex_lock(&t->lock);
	t->pending[reason]++;
	t->totals[reason]++;
	alarm = alarm_due(t, now_us);
	uv_mutex_unlock(&t->lock);
	if (alarm)
		log_warn("webhook", "many webhooks were refused within five minutes: has the secret changed?", "source",
		    t->source, "latest_reason", t->reasons[reason]);
}

/* Under the lock. */
static void count_position(struct tally *t, uint64_t position, uint64_t n)
{
	for (unsigned i = 0; i < t->n_positions; i++) {
		if (t->positions[i] == position) {
			t->position_counts[i] += n;
			return;
		}
	}
	if (t->n_positions == TALLY_POSITIONS_MAX)
		return; /* still counted in the sum */
	t->positions[t->n_positions] = position;
	t->position_counts[t->n_positions++] = n;
}

void tally_repeat(struct tally *t, uint64_t position)
{
	uv_mutex_lock(&t->lock);
	t->duplicates_pending++;
	t->duplicates_total++;
	count_position(t, position, 1);
	uv_mutex_unlock(&t->lock);
}

bool tally_take(struct tally *t, struct tally_taken *ret)
{
	*ret = (struct tally_taken){0};
	uv_mutex_lock(&t->lock);
	for (unsigned i = 0; i < t->n_reasons; i++) {
		ret->refused[i] = t->pending[i];
		ret->n_refused += t->pending[i];
		t->pending[i] = 0;
	}
	ret->duplicates = t->duplicates_pending;
	ret->since_ms = t->since_ms;
	ret->until_ms = t->since_ms = clock_wall_ms(t->clock);
	ret->n_positions = t->n_positions;
	memcpy(ret->positions, t->positions, sizeof(ret->positions));
	memcpy(ret->position_counts, t->position_counts, sizeof(ret->position_counts));
	t->duplicates_pending = 0;
	t->n_positions = 0;
	uv_mutex_unlock(&t->lock);
	return ret->n_refused > 0 || ret->duplicates > 0;
}

void tally_put_back(struct tally *t, const struct tally_taken *taken)
{
	uv_mutex_lock(&t->lock);
	for (unsigned i = 0; i < t->n_reasons; i++)
		t->pending[i] += taken->refused[i];
	t->duplicates_pending += taken->duplicates;
	t->since_ms = taken->since_ms;
	for (unsigned i = 0; i < taken->n_positions; i++)
		count_position(t, taken->positions[i], taken->position_counts[i]);
	uv_mutex_unlock(&t->lock);
}

uint64_t tally_total(struct tally *t, unsigned reason)
{
	uint64_t n;

	uv_mutex_lock(&t->lock);
	n = t->totals[reason];
	uv_mutex_unlock(&t->lock);
	return n;
}

uint64_t tally_repeats(struct tally *t)
{
	uint64_t n;

	uv_mutex_lock(&t->lock);
	n = t->duplicates_total;
	uv_mutex_unlock(&t->lock);
	return n;
}
