/* Requests that are no deliveries: answered, counted, and nothing of them stored. See delivery.h. */
#include "adapters/delivery.h"
#include "adapters/tencent_wire.h"
#include "base/err.h"

#define AHEAD_MS_MAX (300 * 1000) /* integrity 13.3 */

void delivery_refuse(const struct delivery_source *source, struct http_request *rq, unsigned why, const char *detail)
{
	const struct delivery_refusal *r = &source->refusals[why];

	tally_refuse(source->tally, why);
	if (r->status == 503)
		http_header(rq, "Retry-After", SLICE("60"));
	http_problem(rq, r->status, r->code, detail == NULL ? r->detail : detail, NULL, 0);
}

void delivery_count_refused(const struct delivery_source *source, int status)
{
	static const int statuses[] = {503, 413, 408, 431};
	unsigned i = 0;

	if (status == 414)
		status = 431;
	while (i < sizeof(statuses) / sizeof(statuses[0]) && statuses[i] != status)
		i++;
	tally_refuse(source->tally, source->store + i);
}

bool delivery_is_fresh(const struct delivery_source *source, struct slice timestamp, int64_t age_ms_max)
{
	int64_t sent_ms, now_ms = clock_wall_ms(source->app->clock);

	if (age_ms_max == 0)
		return true;
	if (tencent_time_ms(timestamp, &sent_ms) != 0)
		return false;
	return sent_ms <= now_ms + AHEAD_MS_MAX && sent_ms >= now_ms - age_ms_max;
}

int delivery_source_init(struct delivery_source *source, struct app *app, struct tally *tally,
    const struct delivery_refusal *refusals, unsigned n_refusals, unsigned store)
{
	const struct config *c = app->config;

	source->app = app;
	source->tally = tally;
	source->keep_raw = c->webhook_keep_raw_days > 0;
	source->refusals = refusals;
	source->store = store;
	for (unsigned i = 0; i < n_refusals; i++)
		source->reasons[i] = refusals[i].code;
	return tally_init(tally, source->name, source->reasons, n_refusals, (unsigned)c->webhook_alarm_refusals, app->clock);
}
