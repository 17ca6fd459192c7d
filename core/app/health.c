/*
 * Is it alive (restart me if not), is it ready (send me requests), how is it
 * (for people and monitors). Liveness looks at nothing: a loop that answers is
 * alive. Readiness and health look at the log, the read models, memory and disk.
 */
#include <inttypes.h>

#include "app/api.h"
#include "app/app_http.h"
#include "base/err.h"
#include "store/effect.h"

#define CHECKS_MAX 48
#define PERCENT_MAX 90 /* functional-spec 16.1: memory or disk above 90 % is an error */

struct check {
	const char *name;
	const char *group; /* member of /health's answer */
	bool ok;
	bool essential;    /* readiness needs it */
	const char *note;  /* static or arena; "" */
};

struct checks {
	struct check items[CHECKS_MAX];
	unsigned n;
};

static void add(struct checks *c, const char *group, const char *name, bool ok, bool essential, const char *note)
{
	if (c->n < CHECKS_MAX)
		c->items[c->n++] = (struct check){name, group, ok, essential, note == NULL ? "" : note};
}

static void check_log(struct checks *c, struct app *app, struct arena *a)
{
	struct eventlog_stats s;
	const char *refusal = eventlog_refusal(app->log);
	uint64_t used;

	eventlog_stats(app->log, &s);
	if (atomic_load(&app->fatal) != 0)
		add(c, "log", "log", false, true, "a commit failed; the process is about to end");
	else if (refusal != NULL)
		add(c, "log", "log", false, true, arena_printf(a, "read-only: %s", refusal));
	else
		add(c, "log", "log", true, true, arena_printf(a, "%" PRIu64 " events", s.size));
	used = s.disk_total_bytes == 0 ? 0 : 100 - s.disk_free_bytes * 100 / s.disk_total_bytes;
	add(c, "disk", "disk", !s.disk_low && used <= PERCENT_MAX, false,
	    arena_printf(a, "%" PRIu64 " %% used%s", used, s.disk_low ? "; new events are refused until there is room" : ""));
}

/* Damage found is also why the log is read-only; readiness hears of it there. */
static void check_verification(struct checks *c, struct app *app, struct arena *a)
{
	char when[TIME_TEXT_MS_LEN + 1];
	struct log_check_status s;
	const char *last, *now = "";

	log_check_status(app->log_check, &s);
	time_format_ms(when, s.ended_us / 1000);
	if (s.running)
		now = arena_printf(a, "; reading, %" PRIu64 " of %" PRIu64 " events", s.done, s.total);
	if (s.problem[0] != '\0')
		last = s.problem;
	else if (s.verdict == LOG_GOOD)
		last = arena_printf(a, "%" PRIu64 " events are as they were signed, verified at %s", s.size, when);
	else
		last = "not verified yet since the start";
	add(c, "log", "verification", s.verdict != LOG_BAD && s.verdict != LOG_UNCLEAR, false,
	    arena_printf(a, "%s%s", last, now));
}

static void check_models(struct checks *c, struct app *app, struct arena *a)
{
	struct projection_status s;

	for (unsigned i = 0; projector_status(app->projector, i, &s); i++) {
		bool ok = s.serving && s.state != PROJECTION_STOPPED && s.state != PROJECTION_FAILED;

		add(c, "readModels", s.model->name, ok, !s.serving,
		    arena_printf(a, "%s, %" PRIu64 " of %" PRIu64 " events%s%s%s", projection_state_name(s.state), s.position,
		        s.target, s.serving_old ? ", an older version answers" : "", s.err != 0 ? ": " : "",
		        s.err != 0 ? s.problem : ""));
	}
}

/* Without their signatures the log goes on: an alarm, not a reason to take the service out of use. */
static void check_witnesses(struct checks *c, struct app *app, struct arena *a)
{
	static const char *const says[] = {
		[WITNESS_ASKED] = "has not answered yet", [WITNESS_OK] = "signs", [WITNESS_UNREACHABLE] = "unreachable",
		[WITNESS_REFUSING] = "refuses",
	};
	unsigned quorum = witnesses_quorum(app->witnesses), n_ok = 0, i;
	uint64_t size = signer_size(app->signer);
	struct witness_status s;

	for (i = 0; witnesses_status(app->witnesses, i, &s); i++) {
		n_ok += s.state == WITNESS_OK;
		add(c, "witnesses", s.name, s.state == WITNESS_OK, false,
		    arena_printf(a, "%s%s%s; %" PRIu64 " of %" PRIu64 " events", says[s.state], s.reason[0] != '\0' ? ": " : "",
		        s.reason, s.size, size));
	}
	if (i > 0)
		add(c, "witnesses", "quorum", n_ok >= quorum, false, arena_printf(a, "%u sign, %u are needed", n_ok, quorum));
}

/* A neighbour that fails, and what was given up, are a person's to see; the service itself is well. */
static void check_effects(struct checks *c, struct app *app, struct arena *a)
{
	struct effect_lane_status s;

	for (unsigned i = 0; effects_status(app->effects, i, &s); i++)
		add(c, "effects", s.lane->name, true, false,
		    arena_printf(a, "%" PRIu64 " wait, %" PRIu64 " dead%s%s%s", s.waiting, s.dead, s.paused ? "; paused" : "",
		        s.breaker == BREAKER_CLOSED ? "" : "; left alone because it fails: ",
		        s.breaker == BREAKER_CLOSED ? "" : s.host));
}

static void check_rest(struct checks *c, struct app *app, struct arena *a)
{
	uint64_t used, limit;

	app_memory(app, &used, &limit);
	add(c, "memory", "memory", limit == 0 || used <= limit / 100 * PERCENT_MAX, false,
	    arena_printf(a, "%" PRIu64 " MiB of %" PRIu64 " MiB", used >> 20, limit >> 20));
	if (signer_refusal(app->signer) != NULL)
		add(c, "log", "signer", false, false, signer_refusal(app->signer));
	for (unsigned i = 0; i < app->n_adapters_started; i++) {
		const struct adapter *adapter = app->adapters[i];
		const char *why = adapter->unready == NULL ? NULL : adapter->unready(app->adapter_states[i]);

		bool ok = true;

		if (why == NULL)
			why = adapter->condition == NULL ? "configured" : adapter->condition(app->adapter_states[i], a, &ok);
		/* A neighbour that is not configured is no illness. */
		add(c, "adapters", adapter->name, ok, false, why);
	}
	if (atomic_load(&app->stopping))
		add(c, "log", "stopping", false, true, "the service is stopping");
}

static void look(struct checks *c, struct app *app, struct arena *a)
{
	*c = (struct checks){0};
	check_log(c, app, a);
	check_verification(c, app, a);
	check_models(c, app, a);
	check_witnesses(c, app, a);
	check_effects(c, app, a);
	check_rest(c, app, a);
}

static void livez(struct http_request *rq)
{
	http_respond_slice(rq, 200, HTTP_TEXT, SLICE("ok\n"));
}

static void readyz(struct http_request *rq)
{
	struct buf body = BUF_INIT(65536);
	struct checks c;
	struct slice value;
	bool ready = true, verbose = http_request_query(rq, "verbose", &value);

	look(&c, app_of(rq), rq->arena);
	for (unsigned i = 0; i < c.n; i++) {
		const struct check *k = &c.items[i];

		ready = ready && (k->ok || !k->essential);
		if (verbose)
			buf_printf(&body, "[%s] %s: %s\n", k->ok ? "ok" : k->essential ? "not ready" : "warning", k->name,
			    k->note);
	}
	buf_append_str(&body, ready ? "ready\n" : "not ready\n");
	http_respond(rq, ready ? 200 : 503, HTTP_TEXT, &body);
}

static void write_group(struct json_writer *w, const struct checks *c, const char *group)
{
	json_name(w, group);
	json_begin_object(w);
	for (unsigned i = 0; i < c->n; i++) {
		const struct check *k = &c->items[i];

		if (strcmp(k->group, group) != 0)
			continue;
		json_name(w, k->name);
		json_begin_object(w);
		json_name(w, "status");
		json_put_str(w, k->ok ? "ok" : "error");
		json_name(w, "note");
		json_put_str(w, k->note);
		json_end_object(w);
	}
	json_end_object(w);
}

static void health(struct http_request *rq)
{
	static const char *const groups[] = {"log", "witnesses", "readModels", "effects", "memory", "disk", "adapters"};
	struct app *app = app_of(rq);
	struct buf body = BUF_INIT(65536);
	struct json_writer w = JSON_WRITER(&body);
	char now[TIME_TEXT_MS_LEN + 1];
	struct checks c;
	bool ok = true;

	look(&c, app, rq->arena);
	for (unsigned i = 0; i < c.n; i++)
		ok = ok && c.items[i].ok;
	time_format_ms(now, clock_wall_ms(app->clock));
	json_begin_object(&w);
	json_name(&w, "status");
	json_put_str(&w, ok ? "ok" : "error");
	json_name(&w, "timestamp");
	json_put_str(&w, now);
	json_name(&w, "uptimeSeconds");
	json_put_i64(&w, (clock_wall_us(app->clock) - app->started_us) / 1000000);
	json_name(&w, "checks");
	json_begin_object(&w);
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		write_group(&w, &c, groups[i]);
	json_end_object(&w);
	json_end_object(&w);
	http_respond(rq, ok ? 200 : 503, HTTP_JSON, &body);
}

#define HEALTH_FLAGS (ROUTE_PUBLIC | ROUTE_ESSENTIAL | ROUTE_NO_ETAG)

const struct route health_routes[] = {
	{HTTP_GET, "/livez", livez, .flags = HEALTH_FLAGS, .rate = RATE_EXEMPT, .answer = "text", .tag = "service",
	    .summary = "Is the process alive"},
	{HTTP_GET, "/readyz", readyz, .flags = HEALTH_FLAGS, .rate = RATE_EXEMPT, .answer = "text", .tag = "service",
	    .summary = "May requests be sent here; ?verbose tells of every part"},
	{HTTP_GET, "/health", health, .flags = HEALTH_FLAGS, .rate = RATE_EXEMPT, .answer = "object", .tag = "service",
	    .summary = "How every part is: log, witnesses, read models, memory, disk"},
	{0},
};
