/*
 * What tasks can do without a neighbour of their own. Names are those of the
 * systems replaced where they had one (functional-spec 11.3); there all but one did nothing.
 */
#include "app/fact.h"
#include "app/tasks.h"
#include "base/err.h"
#include "requests.gen.h"
#include "store/query.h"

/* ---- upkeep ------------------------------------------------------------------------------ */

/* The keyring does so every hour by itself; this is for who wants it now, or wants to see that it was done. */
static void clean_up(struct task_run *run)
{
	uint64_t n = 0;
	int rc = keyring_sweep(run->app->keyring, &n);
	const char *result = rc == 0 ? arena_printf(run->arena, "{\"deliveries\":%llu}", (unsigned long long)n) : NULL;

	if (result != NULL)
		task_run_done(run, slice_str(result));
	else
		task_run_failed(run, rc == 0 ? ERR_NOMEM : rc, "What is past its age could not be destroyed.");
}

/* ---- summaries ----------------------------------------------------------------------------- */

/* One request a run, however often it is tried; whoever makes summaries takes it from there. */
static void ask_for_summary(struct task_run *run, struct event_summary_requested *data)
{
	const char *result = arena_printf(run->arena, "{\"requestId\":\"%s\"}", run->id);
	struct event_draft draft;
	struct fact fact;
	int rc = result == NULL ? ERR_NOMEM : 0;

	data->request_id = slice_str(run->id);
	data->task_id = run->fired->task_id;
	fact_begin(&fact, run->app, "/tasks", run->cause, run->arena);
	fact_once(&fact, "task-summary", data->request_id);
	if (rc == 0)
		rc = fact_draft(&fact, EVENT_SUMMARY_REQUESTED, data, &draft);
	if (rc == 0)
		rc = task_run_result(run, &draft);
	if (rc == 0)
		task_run_done(run, slice_str(result));
	else
		task_run_failed(run, rc, "The summary could not be asked for.");
}

/* What asks for what nobody acts upon comes to nothing, now and later. */
static const char *no_model(struct app *app)
{
	struct query q = {.def = query_find("effect_is_on"), .n_params = 1, .single = true,
	    .params = {{.name = "effect", .text = SLICE("ai.asked")}}};
	int rc = query_run(app->queries, &q);

	query_finish(&q);
	return rc == ERR_NOT_FOUND ? "There is no language model here: set ARK_API_KEY or OPENAI_API_KEY, and OPENAI_MODEL." : NULL;
}

static void period_summary(struct task_run *run)
{
	const struct request_task_payload_period *p = run->payload;
	struct event_summary_requested data = {.target = SLICE("PERIOD"), .period = p->period_type, .day = p->day,
	    .person_id = p->person_id, .org_id = p->org_id, .again = p->again, .has_again = p->has_again};

	ask_for_summary(run, &data);
}

static void meeting_summary(struct task_run *run)
{
	const struct request_task_payload_meeting *p = run->payload;
	struct event_summary_requested data = {.target = SLICE("MEETING"), .meeting = p->meeting_id,
	    .recording_id = p->recording_id, .again = p->again, .has_again = p->has_again};

	ask_for_summary(run, &data);
}

/* ---- reports --------------------------------------------------------------------------------- */

/* Figures alone, of nobody by name: what the history of a run may hold. */
static int attendance(struct task_run *run, int64_t from_ms, int64_t to_ms, struct slice *ret)
{
	struct query q = {.def = query_find("attendance_totals"), .n_params = 2, .single = true,
	    .params = {{.name = "from", .integer = from_ms, .is_integer = true}, {.name = "to", .integer = to_ms, .is_integer = true}}};
	int rc = query_run(run->app->queries, &q);

	if (rc == 0) {
		*ret = arena_dup(run->arena, buf_slice(&q.out));
		rc = ret->ptr == NULL ? ERR_NOMEM : 0;
	}
	query_finish(&q);
	return rc;
}

static void report(struct task_run *run)
{
	const struct request_task_payload_report *p = run->payload;
	struct event_summary_requested data = {.target = SLICE("PERIOD"), .day = p->day, .org_id = p->org_id,
	    .period = p->period_type.len > 0 ? p->period_type : SLICE("DAILY")};
	int64_t from_ms, to_ms;
	struct slice figures;
	int rc;

	if (slice_is(p->report, "SUMMARIES")) {
		const char *unready = no_model(run->app);

		if (unready != NULL)
			task_run_refused(run, "unready", unready);
		else
			ask_for_summary(run, &data);
		return;
	}
	if (task_run_span(run, p->from, p->to, p->has_days ? p->days : 0, &from_ms, &to_ms) != 0) {
		task_run_refused(run, "payload", "The span of time is none.");
		return;
	}
	rc = attendance(run, from_ms, to_ms, &figures);
	if (rc == 0)
		task_run_done(run, figures);
	else
		task_run_failed(run, rc, "Who was in meetings cannot be told at the moment.");
}

const struct task_kind task_kinds[] = {
	{.name = "cleanupExpiredData", .summary = "Destroy the keys of raw deliveries and codes that are past their age",
	    .run = clean_up},
	{.name = "personalMeetingSummary", .summary = "Ask for the summaries of a period: one a person, or one of an organisation",
	    .payload = &schema_request_task_payload_period, .run = period_summary, .unready = no_model},
	{.name = "meetingSummary", .summary = "Ask for the summaries of a meeting", .payload = &schema_request_task_payload_meeting,
	    .run = meeting_summary, .unready = no_model},
	{.name = "generateReport",
	    .summary = "Count meetings, people and hours of a span of time, into the run's result; or ask for the summaries of a period",
	    .payload = &schema_request_task_payload_report, .run = report},
	{0},
};
