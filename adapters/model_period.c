/*
 * Summaries of days, weeks, months, quarters and years: of one person, or of an
 * organisation. They are made of the latest summaries there are of that time,
 * shorter spans before what these are made of; so nothing counts twice, and what came late is not lost.
 *
 * Whoever asks names a period, or takes the last one that was over. Asked for everybody, a request a person is
 * appended, in portions. A period is summed up once, unless it is asked for again.
 */
#include "app/app.h"
#include "base/err.h"
#include "model_summary.h"
#include "model_text.h"
#include "summary_days.h"

#define PEOPLE_A_TIME 15
#define SOURCES_MAX 400
#define TEXT_BYTES_MAX ((size_t)16 << 20)

/* What each is made of. */
static const char *const made_of[] = {
	[PERIOD_DAILY] = "[\"SINGLE\"]",
	[PERIOD_WEEKLY] = "[\"SINGLE\",\"DAILY\"]",
	[PERIOD_MONTHLY] = "[\"SINGLE\",\"DAILY\"]",
	[PERIOD_QUARTERLY] = "[\"SINGLE\",\"DAILY\",\"MONTHLY\"]",
	[PERIOD_YEARLY] = "[\"SINGLE\",\"DAILY\",\"MONTHLY\"]",
};

struct asked {
	struct effect_call *call;
	struct model *model;
	const struct event_summary_requested *event;
	enum period period;
	struct period_span span;
	bool again;
};

static bool done(struct effect_call *call)
{
	call->outcome = EFFECT_DONE;
	return true;
}

/* Which period: by the day it was asked for, or by when it was asked. */
static int read_asked(struct asked *k)
{
	const struct event_summary_requested *e = k->event;
	int rc = period_parse(e->period, &k->period);

	k->again = e->has_again && e->again;
	if (rc != 0)
		return rc;
	if (e->day.len > 0)
		return period_of_day(k->period, e->day, &k->span);
	k->span = period_before(k->period, k->call->cause_us / 1000);
	return 0;
}

/* ---- everybody ---------------------------------------------------------------------------------- */

/* The day goes with each request: by then it may be another. */
static bool ask_each(struct asked *k, struct json_value rows)
{
	struct event_summary_requested one = *k->event;
	struct json_reader r;
	struct json_value row;
	struct slice last = {0};
	size_t n = 0;

	one.day = slice_str(k->span.from);
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		bool more = n++ == PEOPLE_A_TIME;

		one.person_id = more ? (struct slice){0} : model_row_text(k->call, row, "person");
		one.after = more ? last : (struct slice){0};
		if (!model_ask_again(k->call, k->model, &one))
			return false;
		last = one.person_id;
	}
	return true;
}

static void for_everybody(struct asked *k)
{
	struct model_param of[] = {{"after", k->event->after.len > 0 ? k->event->after : SLICE(""), 0},
	    {"from", {0}, k->span.from_ms}, {"to", {0}, k->span.to_ms}, {"periods", slice_str(made_of[k->period]), 0},
	    {"period", slice_str(period_name(k->period)), 0}, {"again", {0}, k->again}};
	struct json_value rows;
	int rc = model_query(k->call, k->model->app, "period_people", of, sizeof(of) / sizeof(of[0]), false, &rows);

	if (rc != 0)
		model_failed(k->call, rc);
	else if (ask_each(k, rows))
		done(k->call);
}

/* ---- one ---------------------------------------------------------------------------------------------- */

/* A heading of ours, and what was written. */
static void put_source(struct asked *k, struct json_value row, struct buf *out)
{
	struct slice title = model_row_text(k->call, row, "title"), period = model_row_text(k->call, row, "period");
	struct slice at = model_row_text(k->call, row, "startsAt");
	struct json_value list;

	buf_printf(out, "## %.*s %.*s %.*s\n", SLICE_ARG(at), SLICE_ARG(period), SLICE_ARG(title));
	buf_append(out, model_row_text(k->call, row, "content"));
	buf_append_char(out, '\n');
	for (unsigned i = 0; i < 2; i++) {
		const char *name = i == 0 ? "actionItems" : "decisions";

		if (json_member(row, name, &list) && list.type == JSON_ARRAY && list.text.len > 2)
			buf_printf(out, "%s: %.*s\n", name, SLICE_ARG(list.text));
	}
	buf_append_char(out, '\n');
}

struct gathered {
	struct slice text, name;
	struct slice *ids;
	size_t n;
};

static int gather(struct asked *k, struct json_value rows, struct gathered *ret)
{
	struct buf text = BUF_INIT(TEXT_BYTES_MAX);
	struct json_reader r;
	struct json_value row;
	int rc;

	*ret = (struct gathered){.name = SLICE(""), .ids = arena_calloc(k->call->arena, SOURCES_MAX, sizeof(struct slice))};
	json_enter(&r, rows);
	while (ret->ids != NULL && json_next(&r, NULL, &row)) {
		struct slice name = model_row_text(k->call, row, "name");

		if (ret->n == SOURCES_MAX) {
			buf_finish(&text);
			return ERR_RANGE;
		}
		ret->ids[ret->n++] = model_row_text(k->call, row, "id");
		ret->name = name.len > 0 ? name : ret->name;
		put_source(k, row, &text);
	}
	ret->text = text.rc == 0 ? arena_dup(k->call->arena, buf_slice(&text)) : (struct slice){0};
	rc = text.rc != 0 ? text.rc : ret->text.ptr == NULL || ret->ids == NULL ? ERR_NOMEM : 0;
	buf_wipe(&text);
	return rc;
}

static void write_period(struct asked *k, struct model_of *of, const struct gathered *g)
{
	const char *language = model_language(g->text);
	struct model_writing w = {.call = k->call, .model = k->model, .title = SLICE(""),
	    .language = slice_str(language[0] != '\0' ? language : k->model->language)};
	bool english = !slice_starts_with(w.language, SLICE("zh"));
	struct slice name = g->name.len > 0 ? g->name : of->org_id.len > 0 ? SLICE("organisation") : SLICE("-");
	struct model_value values[] = {{"person", name}, {"period", slice_str(period_word(k->period, english))},
	    {"from", slice_str(k->span.from)}, {"to", slice_str(k->span.to)}, {0}};
	struct request_model_summary summary;

	of->sources = g->ids;
	of->n_sources = g->n;
	of->person_name = of->org_id.len > 0 ? SLICE("") : g->name;
	if (model_write(&w, "period", values, g->text, &summary) == 0 && model_tell(&w, of, "period", &summary))
		done(k->call);
}

static int sources_of(struct asked *k, const struct model_of *of, struct json_value *ret_rows)
{
	bool org = of->org_id.len > 0;
	struct model_param params[] = {org ? (struct model_param){"org", of->org_id, 0} : (struct model_param){"person", of->person_id, 0},
	    {"from", {0}, k->span.from_ms}, {"to", {0}, k->span.to_ms}, {"periods", slice_str(made_of[k->period]), 0}};

	return model_query(k->call, k->model->app, org ? "period_sources_of_org" : "period_sources_of_person", params, 4, false, ret_rows);
}

static void for_one(struct asked *k)
{
	struct model_of of = {.kind = "PERIOD", .period = period_name(k->period), .start_ms = k->span.from_ms,
	    .end_ms = k->span.to_ms, .speaker = -1, .request_id = k->event->request_id,
	    .org_id = k->event->org_id, .person_id = k->event->org_id.len > 0 ? SLICE("") : k->event->person_id};
	struct model_version before;
	struct json_value rows;
	struct gathered g;
	int rc = model_version_find(k->call, k->model, &of, &before);

	if (rc == 0 && before.version > 0 && !k->again) {
		done(k->call);
		return;
	}
	if (rc == 0)
		rc = sources_of(k, &of, &rows);
	if (rc == 0)
		rc = gather(k, rows, &g);
	if (rc == ERR_RANGE) {
		k->call->outcome = EFFECT_REFUSED;
		k->call->class = "too_many";
		k->call->message = "There are more than 400 summaries in it: have the shorter periods summed up first.";
	} else if (rc != 0) {
		model_failed(k->call, rc);
	} else if (g.n == 0) {
		done(k->call);
	} else {
		write_period(k, &of, &g);
	}
}

void model_asked_run(struct effect_call *call, size_t n)
{
	struct asked k = {.call = call, .model = call->state, .event = call->cause->data};

	(void)n;
	if (slice_is(k.event->target, "MEETING"))
		model_meeting_asked(call);
	else if (read_asked(&k) != 0)
		model_failed(call, ERR_INVALID);
	else if (k.event->org_id.len > 0 || k.event->person_id.len > 0)
		for_one(&k);
	else
		for_everybody(&k);
}
