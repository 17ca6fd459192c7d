/* The lanes of effects as metrics; part of metrics.c. */
#include <stdio.h>

#include "app/app_http.h"
#include "store/effect.h"

static void family(struct buf *out, struct app *app, const char *name, const char *type, const char *help,
    uint64_t (*value)(struct app *app, const struct effect_lane_status *s))
{
	struct effect_lane_status s;

	metric_head(out, name, type, help);
	for (unsigned i = 0; effects_status(app->effects, i, &s); i++) {
		char labels[96];

		snprintf(labels, sizeof(labels), "lane=\"%s\"", s.lane->name);
		metric_u64(out, name, labels, value(app, &s));
	}
}

static uint64_t waiting(struct app *app, const struct effect_lane_status *s)
{
	(void)app;
	return s->waiting;
}

static uint64_t running(struct app *app, const struct effect_lane_status *s)
{
	(void)app;
	return s->running;
}

static uint64_t dead(struct app *app, const struct effect_lane_status *s)
{
	(void)app;
	return s->dead;
}

static uint64_t paused(struct app *app, const struct effect_lane_status *s)
{
	(void)app;
	return s->paused;
}

static uint64_t breaker(struct app *app, const struct effect_lane_status *s)
{
	(void)app;
	return s->breaker != BREAKER_CLOSED;
}

static uint64_t age_s(struct app *app, const struct effect_lane_status *s)
{
	int64_t age_ms = s->oldest_ms == 0 ? 0 : clock_wall_ms(app->clock) - s->oldest_ms;

	return age_ms < 0 ? 0 : (uint64_t)age_ms / 1000;
}

void metrics_effects(struct buf *out, struct app *app)
{
	struct effect_lane_status s;

	family(out, app, "lulab_effects_waiting", "gauge", "Effects that wait to be tried.", waiting);
	family(out, app, "lulab_effects_running", "gauge", "Tasks of a lane under way.", running);
	family(out, app, "lulab_effects_dead", "gauge", "Dead letters nobody has dealt with.", dead);
	family(out, app, "lulab_effects_paused", "gauge", "1 when a person holds the lane.", paused);
	family(out, app, "lulab_effects_breaker_open", "gauge", "1 when a neighbour of the lane is left alone.", breaker);
	family(out, app, "lulab_effects_oldest_seconds", "gauge", "Age of the oldest effect that is owed.", age_s);
	metric_head(out, "lulab_effects_attempts_total", "counter", "Attempts that ended, by outcome.");
	for (unsigned i = 0; effects_status(app->effects, i, &s); i++) {
		const struct {
			const char *name;
			uint64_t n;
		} outcomes[] = {{"done", s.done}, {"retry", s.retried}, {"refused", s.refused}, {"failed", s.failed},
		    {"unknown", s.unknown}};

		for (size_t k = 0; k < sizeof(outcomes) / sizeof(outcomes[0]); k++) {
			char labels[128];

			snprintf(labels, sizeof(labels), "lane=\"%s\",outcome=\"%s\"", s.lane->name, outcomes[k].name);
			metric_u64(out, "lulab_effects_attempts_total", labels, outcomes[k].n);
		}
	}
}
