/* A summary becomes an event; see model_summary.h. */
#include <assert.h>
#include <stdio.h>

#include "app/app.h"
#include "base/codec.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "model_summary.h"
#include "vendor_call.h"

#define SOURCE "/effects/model"
#define QUERY_BYTES_MAX ((size_t)16 << 20)
#define QUERY_WAIT_MS 5000
#define PARAMS_MAX 8

/* ---- failures of ours ------------------------------------------------------------------- */

bool model_failed(struct effect_call *call, int rc)
{
	if (rc == ERR_ERASED) {
		call->outcome = EFFECT_FAILED;
		call->class = "erased";
		call->message = "What it is of was erased.";
	} else if (rc == ERR_TOO_BIG) {
		call->outcome = EFFECT_RETRY;
		call->class = "malformed";
		call->message = "The model wrote more than an event takes.";
	} else if (rc == ERR_NOT_FOUND || rc == ERR_MALFORMED || rc == ERR_CORRUPT || rc == ERR_INVALID) {
		call->outcome = EFFECT_REFUSED;
		call->class = "unreadable";
		call->message = "The text it is of cannot be read from this log.";
	} else if (rc == ERR_NOMEM) {
		vendor_no_answer(call, rc, false);
	} else {
		call->outcome = EFFECT_RETRY;
		call->class = "busy";
		call->message = "What is stored could not be looked at.";
	}
	return false;
}

/* ---- looking up --------------------------------------------------------------------------- */

int model_query(struct effect_call *call, struct app *app, const char *query, const struct model_param *params,
    size_t n_params, bool single, struct json_value *ret)
{
	uint64_t size = eventlog_size(app->log);
	struct query q = {.def = query_find(query), .n_params = (unsigned)n_params, .single = single,
	    .has_min_position = size > 0, .min_position = size - 1, .wait_ms = QUERY_WAIT_MS,
	    .out = BUF_INIT(QUERY_BYTES_MAX)};
	struct slice text = {0};
	int rc;

	assert(q.def != NULL && n_params <= PARAMS_MAX);
	for (size_t i = 0; i < n_params; i++)
		q.params[i] = (struct query_param){.name = params[i].name, .text = params[i].text,
		    .integer = params[i].integer, .is_integer = params[i].text.ptr == NULL};
	rc = query_run(app->queries, &q);
	if (rc == 0) {
		text = arena_dup(call->arena, buf_slice(&q.out));
		rc = text.ptr == NULL ? ERR_NOMEM : 0;
	}
	query_finish(&q);
	if (rc == 0)
		*ret = json_root(text);
	return rc;
}

struct slice model_row_text(struct effect_call *call, struct json_value row, const char *name)
{
	struct slice text;
	struct json_value v;

	return json_member(row, name, &v) && v.type == JSON_STRING && json_string(v, call->arena, &text) == 0 ? text : SLICE("");
}

int64_t model_row_number(struct json_value row, const char *name)
{
	return json_member_i64(row, name, 0);
}

/* ---- which summary it is --------------------------------------------------------------------- */

static void make_key(const struct model_of *of, char ret[ID_TEXT_LEN + 1])
{
	bool of_days = strcmp(of->period, "SINGLE") != 0;
	char numbers[64];
	struct slice zero = slice_of("", 1);
	struct id id;

	/* A speaker nobody knows is who has that place in the recording's transcript. */
	snprintf(numbers, sizeof(numbers), "%lld/%lld", of_days ? (long long)of->start_ms : 0,
	    of->person_id.len > 0 ? -1LL : (long long)of->speaker);
	blake2b(id.bytes, ID_LEN, (struct slice){0},
	    (struct slice[]){SLICE("summary/v1"), zero, slice_str(of->kind), zero, slice_str(of->period), zero, slice_str(numbers),
	        zero, of->meeting, zero, of->recording_id, zero, of->person_id, zero, of->org_id},
	    15);
	id_format(ret, &id);
}

int model_version_find(struct effect_call *call, struct model *m, const struct model_of *of, struct model_version *ret)
{
	struct json_value row;
	int rc;

	*ret = (struct model_version){0};
	make_key(of, ret->key);
	rc = model_query(call, m->app, "summary_latest", (struct model_param[]){{"key", slice_str(ret->key), 0}}, 1, true, &row);
	if (rc == ERR_NOT_FOUND)
		return 0;
	if (rc == 0) {
		ret->id = model_row_text(call, row, "id");
		ret->transcript_id = model_row_text(call, row, "transcript");
		ret->version = model_row_number(row, "version");
	}
	return rc;
}

/* ---- the event ----------------------------------------------------------------------------------- */

static int name_owner(struct fact *f, const struct model_of *of, struct event_subject *ret)
{
	if (of->person_id.len > 0)
		return fact_subject_known(f, "owner", of->person_id, ret);
	if (of->org_id.len > 0)
		return fact_subject(f, "owner", SLICE("lulab.org_summaries"), of->org_id, ret);
	return fact_subject(f, "owner", SLICE("tencent.meeting"), of->meeting_id, ret);
}

static void put_lists(struct event_summary_generated *e, const struct request_model_summary *s)
{
	/* The members are the same, of two schemas. */
	_Static_assert(sizeof(*e->key_points.items) == sizeof(*s->key_points.items) &&
	    sizeof(*e->action_items.items) == sizeof(*s->action_items.items) &&
	    sizeof(*e->decisions.items) == sizeof(*s->decisions.items), "the lists of schemas/answers are those of the event");
	e->key_points.items = (void *)s->key_points.items;
	e->key_points.n = s->key_points.n;
	e->action_items.items = (void *)s->action_items.items;
	e->action_items.n = s->action_items.n;
	e->decisions.items = (void *)s->decisions.items;
	e->decisions.n = s->decisions.n;
	e->keywords.items = s->keywords.items;
	e->keywords.n = s->keywords.n;
}

static void put_use(struct event_summary_generated *e, const struct model_writing *w)
{
	const struct model *m = w->model;

	e->model = m->name;
	e->calls = w->use.calls;
	e->parts = (int64_t)w->parts;
	e->prompt_tokens = w->use.prompt_tokens;
	e->completion_tokens = w->use.completion_tokens;
	e->took_ms = w->use.took_ms;
	e->has_calls = e->has_parts = e->has_prompt_tokens = e->has_completion_tokens = e->has_took_ms = true;
	if (m->price_in <= 0 && m->price_out <= 0)
		return;
	/* Prices are of a million tokens: so many millionths a token. */
	e->cost_micros = (int64_t)((double)e->prompt_tokens * m->price_in + (double)e->completion_tokens * m->price_out + 0.5);
	e->has_cost_micros = true;
	e->currency = m->currency;
}

static void put_of(struct event_summary_generated *e, const struct model_of *of)
{
	e->kind = slice_str(of->kind);
	e->period = slice_str(of->period);
	e->period_start_ms = of->start_ms;
	e->has_period_start_ms = true;
	e->period_end_ms = of->end_ms;
	e->has_period_end_ms = of->end_ms != 0;
	e->platform = of->platform;
	e->meeting = of->meeting;
	e->meeting_id = of->meeting_id;
	e->sub_meeting_id = of->sub_meeting_id;
	e->recording_id = of->recording_id;
	e->transcript_id = of->transcript_id;
	e->transcript_at = of->transcript_at;
	e->has_transcript_at = of->transcript_id.len > 0;
	e->person_id = of->person_id;
	e->org_id = of->org_id;
	e->request_id = of->request_id;
	e->person_name = of->person_name;
	e->sources.items = of->sources;
	e->sources.n = of->n_sources;
	e->speakers.items = (int64_t *)of->speakers;
	e->speakers.n = of->n_speakers;
}

/* Absent, not empty. */
static void leave_out(struct slice *texts[], size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (texts[i]->len == 0)
			*texts[i] = (struct slice){0};
}

static int draft(struct model_writing *w, struct fact *f, struct event_summary_generated *e, const struct model_of *of,
    const char *once)
{
	struct slice *optional[] = {&e->parent_id, &e->platform, &e->meeting, &e->meeting_id, &e->sub_meeting_id,
	    &e->recording_id, &e->transcript_id, &e->person_id, &e->org_id, &e->request_id, &e->person_name, &e->title};
	int rc = name_owner(f, of, &e->subjects.owner);

	e->subjects.has_owner = e->has_subjects = true;
	leave_out(optional, sizeof(optional) / sizeof(optional[0]));
	if (rc == 0 && strcmp(of->kind, "MEETING") == 0 && w->notes.len > 0) {
		rc = fact_blob(f, &e->subjects.owner, "notes", w->notes, &e->notes);
		e->has_notes = true;
	}
	fact_once(f, SOURCE, slice_str(once));
	return rc != 0 ? rc : fact_draft(f, EVENT_SUMMARY_GENERATED, e, &w->call->results[w->call->n_results]);
}

bool model_tell(struct model_writing *w, const struct model_of *of, const char *prompt,
    const struct request_model_summary *s)
{
	struct effect_call *call = w->call;
	const struct model_prompt *p = model_prompt_find(prompt, w->language);
	char *id = arena_alloc(call->arena, ID_TEXT_LEN + 1);
	struct event_summary_generated e = {.language = slice_str(p->language), .prompt = slice_str(p->version),
	    .title = s->title, .content = s->content};
	struct model_version before;
	struct id made = id_random(w->model->app->rng);
	struct fact f;
	const char *once;
	int rc = id == NULL || call->n_results == EFFECT_RESULTS_MAX ? ERR_NOMEM :
	    model_version_find(call, w->model, of, &before);

	if (rc != 0)
		return model_failed(call, rc);
	id_format(id, &made);
	e.summary_id = slice_of(id, ID_TEXT_LEN);
	e.summary_key = slice_str(before.key);
	e.version = before.version + 1;
	e.parent_id = before.id;
	put_of(&e, of);
	put_use(&e, w);
	put_lists(&e, s);
	/* Of two that make the same version the second is left out by the log. */
	once = arena_printf(call->arena, "%s#%lld", before.key, (long long)e.version);
	fact_begin(&f, w->model->app, SOURCE, call->cause, call->arena);
	rc = once == NULL ? ERR_NOMEM : draft(w, &f, &e, of, once);
	if (rc != 0)
		return model_failed(call, rc);
	call->n_results++;
	return true;
}

bool model_ask_again(struct effect_call *call, struct model *m, const struct event_summary_requested *data)
{
	struct fact f;
	int rc = call->n_results == EFFECT_RESULTS_MAX ? ERR_NOMEM : 0;

	if (rc == 0) {
		fact_begin(&f, m->app, SOURCE, call->cause, call->arena);
		rc = fact_draft(&f, EVENT_SUMMARY_REQUESTED, data, &call->results[call->n_results]);
	}
	if (rc != 0)
		return model_failed(call, rc);
	call->n_results++;
	return true;
}
