/* See effect_lane.h. */
#include "store/effect_lane.h"

#define OPEN_FIRST_MS 30000
#define FAILED_IN_ROW 5
#define CALLS_MIN 10          /* before half of them failing says anything */
#define SUCCESSES_IN_ROW 3
#define REPEATS_FREE 10
#define REPEATS_SHARE 5       /* one of so many */
#define REPEAT_LATER_MS 1000
#define RETRY_AFTER_MAX_MS 3600000
#define MINUTE_MS 60000

/* ---- the last minute --------------------------------------------------------------- */

static void window_move(struct window *w, int64_t now_ms)
{
	int64_t second = now_ms / 1000;

	if (second - w->second >= WINDOW_S || second < w->second - WINDOW_S)
		*w = (struct window){.second = second};
	while (w->second < second) {
		w->second++;
		w->a[w->second % WINDOW_S] = w->b[w->second % WINDOW_S] = 0;
	}
}

void window_add(struct window *w, int64_t now_ms, uint32_t a, uint32_t b)
{
	window_move(w, now_ms);
	w->a[w->second % WINDOW_S] += a;
	w->b[w->second % WINDOW_S] += b;
}

void window_sum(struct window *w, int64_t now_ms, uint32_t *ret_a, uint32_t *ret_b)
{
	window_move(w, now_ms);
	*ret_a = *ret_b = 0;
	for (unsigned i = 0; i < WINDOW_S; i++) {
		*ret_a += w->a[i];
		*ret_b += w->b[i];
	}
}

/* ---- the breaker --------------------------------------------------------------------- */

const char *breaker_state_name(enum breaker_state state)
{
	static const char *const names[] = {
		[BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_PROBING] = "probing"};

	return names[state];
}

void breaker_init(struct breaker *b, int64_t open_first_ms)
{
	*b = (struct breaker){.open_first_ms = open_first_ms > 0 ? open_first_ms : OPEN_FIRST_MS};
	b->open_ms = b->open_first_ms;
}

void breaker_restore(struct breaker *b, int64_t until_ms)
{
	b->state = BREAKER_OPEN;
	b->until_ms = until_ms;
}

bool breaker_allows(const struct breaker *b, int64_t now_ms, int64_t *ret_again_ms)
{
	*ret_again_ms = 0;
	if (b->state == BREAKER_CLOSED)
		return true;
	if (b->state == BREAKER_OPEN && now_ms < b->until_ms) {
		*ret_again_ms = b->until_ms;
		return false;
	}
	return !b->probe_out;
}

enum breaker_move breaker_start(struct breaker *b, int64_t now_ms)
{
	(void)now_ms;
	if (b->state == BREAKER_CLOSED)
		return BREAKER_STAYS;
	b->probe_out = true;
	if (b->state == BREAKER_PROBING)
		return BREAKER_STAYS;
	b->state = BREAKER_PROBING;
	b->in_row = 0;
	return BREAKER_PROBES;
}

static enum breaker_move open(struct breaker *b, int64_t now_ms, int64_t ms)
{
	b->state = BREAKER_OPEN;
	b->until_ms = now_ms + ms;
	b->in_row = 0;
	b->probe_out = false;
	b->calls = (struct window){0};
	return BREAKER_OPENS;
}

static enum breaker_move end_of_probe(struct breaker *b, int64_t now_ms, bool failed)
{
	b->probe_out = false;
	if (failed) {
		b->open_ms = b->open_ms * 2 < BREAKER_MAX_MS ? b->open_ms * 2 : BREAKER_MAX_MS;
		return open(b, now_ms, b->open_ms);
	}
	if (++b->in_row < SUCCESSES_IN_ROW)
		return BREAKER_STAYS;
	breaker_init(b, b->open_first_ms);
	return BREAKER_CLOSES;
}

enum breaker_move breaker_end(struct breaker *b, int64_t now_ms, bool failed)
{
	uint32_t n, n_failed;

	if (b->state == BREAKER_PROBING)
		return end_of_probe(b, now_ms, failed);
	if (b->state == BREAKER_OPEN) /* begun before it opened */
		return BREAKER_STAYS;
	b->in_row = failed ? b->in_row + 1 : 0;
	window_add(&b->calls, now_ms, 1, failed);
	window_sum(&b->calls, now_ms, &n, &n_failed);
	if (!failed || (b->in_row < FAILED_IN_ROW && (n < CALLS_MIN || n_failed * 2 < n)))
		return BREAKER_STAYS;
	return open(b, now_ms, b->open_ms);
}

void breaker_give_back(struct breaker *b)
{
	b->probe_out = false;
}

enum breaker_move breaker_trip(struct breaker *b, int64_t now_ms)
{
	return open(b, now_ms, b->open_first_ms < OPEN_FIRST_MS ? b->open_first_ms : BREAKER_MAX_MS);
}

/* ---- bucket and budget ------------------------------------------------------------------ */

void lane_policy_init(struct lane_policy *p, const struct effect_lane *lane, int64_t now_ms)
{
	*p = (struct lane_policy){.lane = lane, .tokens = lane->burst, .filled_ms = now_ms};
}

static void fill(struct lane_policy *p, int64_t now_ms)
{
	if (now_ms > p->filled_ms)
		p->tokens += (double)(now_ms - p->filled_ms) * p->lane->per_minute / MINUTE_MS;
	p->filled_ms = now_ms; /* a clock that was set back fills nothing, and takes nothing */
	if (p->tokens > p->lane->burst)
		p->tokens = p->lane->burst;
}

bool lane_policy_allows(struct lane_policy *p, int64_t now_ms, bool repetition, int64_t *ret_again_ms)
{
	uint32_t first, again;

	*ret_again_ms = 0;
	if (p->lane->per_minute > 0) {
		fill(p, now_ms);
		if (p->tokens < 1) {
			*ret_again_ms = now_ms + 1 + (int64_t)((1 - p->tokens) * MINUTE_MS / p->lane->per_minute);
			return false;
		}
	}
	if (!repetition)
		return true;
	window_sum(&p->tries, now_ms, &first, &again);
	if (again < REPEATS_FREE + first / REPEATS_SHARE)
		return true;
	*ret_again_ms = now_ms + REPEAT_LATER_MS;
	return false;
}

void lane_policy_start(struct lane_policy *p, int64_t now_ms, bool repetition)
{
	p->tokens -= p->lane->per_minute > 0 ? 1 : 0;
	window_add(&p->tries, now_ms, !repetition, repetition);
}

int64_t lane_delay_ms(const struct effect_lane *lane, int64_t base_max_ms, unsigned tries, int64_t retry_after_ms,
    const struct rng *rng)
{
	int64_t base = base_max_ms > 0 && base_max_ms < lane->base_ms ? base_max_ms : lane->base_ms;
	int64_t most = base, delay;

	for (unsigned i = 0; i < tries && most < lane->cap_ms; i++)
		most *= 2;
	most = most > lane->cap_ms ? lane->cap_ms : most;
	delay = (int64_t)rng_below(rng, (uint64_t)most + 1);
	if (retry_after_ms > RETRY_AFTER_MAX_MS)
		retry_after_ms = RETRY_AFTER_MAX_MS;
	return delay > retry_after_ms ? delay : retry_after_ms;
}

int64_t not_yet_delay_ms(int64_t base_max_ms, unsigned tries)
{
	static const int64_t minutes[] = {1, 5, 15, 60};
	int64_t minute = base_max_ms > 0 && base_max_ms < MINUTE_MS ? base_max_ms : MINUTE_MS;
	size_t last = sizeof(minutes) / sizeof(*minutes) - 1;

	return minute * minutes[tries == 0 ? 0 : tries - 1 < last ? tries - 1 : last];
}
