/* See action.h. */
#include "app/action.h"

#include <assert.h>
#include <stdio.h>

#include "app/answer.h"
#include "base/err.h"
#include "base/log.h"

#define ANSWER_MAX (1 << 20)
#define SUBJECT_NAME "person"

/* ---- the answer, on the loop --------------------------------------------------------- */

/* RFC 9457, and what clients of the systems replaced read (functional-spec 1.3). */
static void write_problem(struct action *c)
{
	struct http_request *rq = c->rq;
	struct json_writer w = JSON_WRITER(&c->body);
	const char *title = http_status_text(c->status);

	buf_clear(&c->body);
	json_begin_object(&w);
	json_name(&w, "type");
	json_put_str(&w, "about:blank");
	json_name(&w, "title");
	json_put_str(&w, title);
	json_name(&w, "status");
	json_put_i64(&w, c->status);
	json_name(&w, "detail");
	json_put_str(&w, c->said.en);
	json_name(&w, "instance");
	json_put_string(&w, rq->path);
	json_name(&w, "code");
	json_put_str(&w, c->code);
	json_name(&w, "requestId");
	json_put_string(&w, rq->request_id);
	if (c->problems.n > 0) {
		json_name(&w, "errors");
		problems_write(&c->problems, &w);
	}
	json_name(&w, "statusCode");
	json_put_i64(&w, c->status);
	json_name(&w, "message");
	json_put_str(&w, c->said.zh);
	json_name(&w, "error");
	json_put_str(&w, title);
	json_end_object(&w);
}

static int start_job(struct action *c)
{
	struct app_loop *loop = loop_of(c->rq);
	struct job_port *const ports[] = {[ACTION_QUICK] = loop->action_port, [ACTION_HASHING] = loop->hashing_port,
	    [ACTION_DECISION] = loop->decision_port, [ACTION_LONG] = loop->long_port};

	c->job.port = ports[c->lane];
	return job_start(&c->job);
}

/* True: the command goes on. */
static bool go_on(struct action *c)
{
	int rc;

	if (c->then == NULL)
		return false;
	c->run = c->then;
	c->then = NULL;
	rc = start_job(c);
	if (rc != 0)
		c->err = rc; /* else it is the job's, which runs already */
	return rc == 0;
}

static void on_done(struct job *job)
{
	struct action *c = container_of(job, struct action, job);
	struct http_request *rq = c->rq;

	if (go_on(c))
		return;
	for (size_t i = 0; i < c->n_headers; i++)
		http_header(rq, c->headers[i].name.ptr, c->headers[i].value);
	if (c->has_position)
		answer_position(rq, c->position + 1);
	http_header(rq, "Cache-Control", SLICE("no-store"));
	if (c->err != 0) {
		buf_wipe(&c->body);
		http_problem_err(rq, c->err, NULL);
	} else if (c->status >= 400) {
		write_problem(c);
		if (c->status == 503)
			http_header(rq, "Retry-After", SLICE("1"));
		http_respond(rq, c->status, "application/problem+json; charset=utf-8", &c->body);
	} else if (c->body.len == 0) {
		http_respond(rq, c->status, NULL, NULL);
	} else {
		http_respond(rq, c->status, HTTP_JSON, &c->body);
	}
}

static void on_run(struct job *job)
{
	struct action *c = container_of(job, struct action, job);

	c->run(c);
	assert(c->then != NULL || c->status != 0 || c->err != 0);
}

void action_start(struct http_request *rq, enum action_lane lane, action_fn *run)
{
	struct action *c = arena_alloc(rq->arena, sizeof(*c));
	int rc;

	if (c == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	*c = (struct action){.rq = rq, .app = app_of(rq), .arena = rq->arena, .body = BUF_INIT(ANSWER_MAX),
	    .problems = PROBLEMS_INIT(rq->arena), .run = run, .lane = lane,
	    .job = {.run = on_run, .done = on_done}};
	rc = start_job(c);
	if (rc != 0)
		http_problem_err(rq, rc, "Too many are being served; try again in a moment.");
}

/* ---- for run --------------------------------------------------------------------------- */

void action_then(struct action *c, enum action_lane lane, action_fn *rest)
{
	c->lane = lane;
	c->then = rest;
}

bool action_fail_said(struct action *c, int status, const char *code, struct said said)
{
	if (said.en == NULL || said.zh == NULL) /* one that was to be made, and there was no memory */
		return action_fail_err(c, ERR_NOMEM);
	c->status = status;
	c->code = code;
	c->said = said;
	return false;
}

bool action_fail(struct action *c, int status, const char *code, const char *en, const char *zh)
{
	return action_fail_said(c, status, code, (struct said){en, zh});
}

bool action_fail_err(struct action *c, int err)
{
	c->err = err;
	return false;
}

bool action_read(struct action *c, const struct schema *schema, void *ret)
{
	int rc = schema_decode(schema, c->rq->body, c->arena, ret, &c->problems);
	struct said said = {"The body is not what this path takes; see errors.", NULL};

	if (rc == 0)
		return true;
	if (c->problems.n == 0)
		return action_fail_err(c, rc);
	said.zh = arena_printf(c->arena, "请求参数错误: %s", c->problems.items[0].path);
	return action_fail_said(c, 400, "invalid", said);
}

const char *action_made(struct action *c, const char *text)
{
	if (text != NULL)
		return text;
	action_fail_err(c, ERR_NOMEM);
	return "";
}

struct json_writer action_answer(struct action *c, int status)
{
	c->status = status;
	buf_clear(&c->body);
	return JSON_WRITER(&c->body);
}

void action_header(struct action *c, const char *name, const char *value)
{
	assert(c->n_headers < ACTION_HEADERS_MAX);
	c->headers[c->n_headers++] = (struct http_field){slice_str(name), slice_str(action_made(c, value))};
}

/* ---- looking up -------------------------------------------------------------------------- */

static int ask(struct action *c, const char *query, bool single, const struct action_param *params, size_t n_params,
    struct json_value *ret)
{
	uint64_t size = eventlog_size(c->app->log);
	struct query q = {.def = query_find(query), .n_params = (unsigned)n_params, .single = single,
	    .has_min_position = size > 0, .min_position = size - 1, .wait_ms = MIN_POSITION_WAIT_MS};
	struct slice text = {0};
	int rc;

	assert(q.def != NULL && n_params <= QUERY_PARAMS_MAX);
	for (size_t i = 0; i < n_params; i++)
		q.params[i] = (struct query_param){.name = params[i].name, .text = params[i].text,
		    .integer = params[i].integer, .is_integer = params[i].text.ptr == NULL};
	rc = query_run(c->app->queries, &q);
	if (rc == 0) {
		text = arena_dup(c->arena, buf_slice(&q.out));
		rc = text.ptr == NULL ? ERR_NOMEM : 0;
	}
	query_finish(&q);
	if (rc == 0)
		*ret = json_root(text);
	return rc;
}

int action_row(struct action *c, const char *query, const struct action_param *params, size_t n_params,
    struct json_value *ret_row)
{
	return ask(c, query, true, params, n_params, ret_row);
}

int action_rows(struct action *c, const char *query, const struct action_param *params, size_t n_params,
    struct json_value *ret_rows)
{
	return ask(c, query, false, params, n_params, ret_rows);
}

struct slice row_text(struct action *c, struct json_value row, const char *name)
{
	struct slice text = {0};
	struct json_value v;

	if (json_member(row, name, &v) && v.type == JSON_STRING && json_string(v, c->arena, &text) != 0)
		action_fail_err(c, ERR_NOMEM);
	return text;
}

bool row_bool(struct json_value row, const char *name)
{
	struct json_value v;

	return json_member(row, name, &v) && v.type == JSON_TRUE;
}

int64_t row_i64(struct json_value row, const char *name)
{
	return json_member_i64(row, name, 0);
}

/* ---- appending --------------------------------------------------------------------------- */

struct event_meta action_meta(const struct action *c)
{
	const struct principal *who = c->rq->principal;

	return (struct event_meta){.source = slice_str(c->rq->route->path), .actor = slice_str(who == NULL ? "anonymous" : who->id),
	    .expect = EXPECT_ANY};
}

void action_event(struct action_events *e, enum event_type type, const void *data, const struct id *person,
    const struct event_meta *meta)
{
	struct action *c = e->c;
	char id_text[ID_TEXT_LEN + 1];
	struct event_meta m = meta != NULL ? *meta : action_meta(c);
	struct seal_scope scope = {.sealer = c->app->sealer, .event_id = slice_of(id_text, ID_TEXT_LEN),
	    .subjects = &e->subject, .n_subjects = person != NULL};
	struct seal_hooks hooks;
	struct event_context ctx = {c->app->rng, c->app->clock, &hooks};
	struct problems problems = PROBLEMS_INIT(c->arena);
	int rc;

	assert(e->n < ACTION_EVENTS_MAX);
	m.has_id = true;
	m.id = id_random(c->app->rng);
	id_format(id_text, &m.id);
	if (person != NULL)
		e->subject = (struct seal_subject){SUBJECT_NAME, *person};
	seal_scope_hooks(&hooks, &scope);
	rc = event_draft_make(&ctx, type, data, &m, c->arena, &e->drafts[e->n], &problems);
	if (rc == ERR_INVALID && problems.n > 0)
		log_error("command", "an event breaks its schema", "event", event_type_name((uint16_t)type), "path",
		    problems.items[0].path);
	e->n += rc == 0;
	if (e->rc == 0)
		e->rc = rc;
}

/* May what was known of anybody's rights be wrong after it? */
static bool changes_access(uint16_t type)
{
	return type != EVENT_LOGIN_SUCCEEDED && type != EVENT_LOGIN_FAILED && type != EVENT_LOGIN_UNUSUAL &&
	    type != EVENT_SESSION_OPENED && type != EVENT_SESSION_ROTATED && type != EVENT_SESSION_REUSED &&
	    type != EVENT_ACCESS_DENIED && type != EVENT_VERIFICATION_REQUESTED && type != EVENT_VERIFICATION_USED &&
	    type != EVENT_VERIFICATION_FAILED && type != EVENT_USER_PROFILE_CHANGED && type != EVENT_USER_CONTACT_CHANGED &&
	    type != EVENT_OBJECT_LINKED && !(type >= EVENT_TASK_SCHEDULED && type <= EVENT_TASK_ALL_RESUMED);
}

static void raise_epoch(struct app *app, uint64_t to)
{
	uint64_t was = atomic_load(&app->access_epoch);

	while (was < to && !atomic_compare_exchange_weak(&app->access_epoch, &was, to)) {
	}
}

int action_append(struct action_events *e)
{
	struct action *c = e->c;
	int rc = c->err != 0 ? c->err : e->rc;

	if (rc != 0)
		return rc;
	e->append = (struct append){.events = e->drafts, .n_events = e->n, .positions = e->positions};
	rc = eventlog_append_wait(c->app->log, &e->append);
	if (rc == 0) {
		for (size_t i = 0; i < e->n; i++)
			if (changes_access(e->drafts[i].type))
				raise_epoch(c->app, eventlog_size(c->app->log));
		c->has_position = true;
		c->position = e->append.position + (e->append.n_appended > 0 ? e->append.n_appended - 1 : 0);
	}
	return rc;
}

int action_event_at(struct action *c, uint64_t position, struct event *ret_event, int64_t *ret_time_us)
{
	struct log_read read = {0};
	struct log_record record;
	struct envelope envelope;
	struct seal_scope scope = {.sealer = c->app->sealer};
	struct seal_hooks hooks;
	struct slice entry = {0};
	int rc = log_read_start(&read, c->app->log);

	if (rc == 0)
		rc = eventlog_read_one(&read, position, &record);
	if (rc == 0) {
		entry = arena_dup(c->arena, record.entry);
		*ret_time_us = record.time_us;
		rc = entry.ptr == NULL ? ERR_NOMEM : 0;
	}
	log_read_stop(&read);
	if (rc == 0)
		rc = envelope_decode(entry, position, c->arena, &envelope);
	if (rc != 0)
		return rc;
	scope.event_id = envelope.id;
	seal_scope_hooks(&hooks, &scope);
	return event_decode_data(&envelope, &hooks, c->arena, ret_event);
}
