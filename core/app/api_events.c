/* The log over HTTP: lists of events, one event, its proof, the checkpoint. The live stream is in api_event_stream.c. */
#include <inttypes.h>

#include "app/answer.h"
#include "app/api.h"
#include "app/app.h"
#include "app/event_page.h"
#include "base/err.h"
#include "domain/event.h"
#include "params.gen.h"

/* --- a list -------------------------------------------------------------------------- */

struct event_listing {
	struct http_request *rq;
	struct event_page page;
	uint64_t page_number; /* 0: by cursor */
	uint64_t limit;
	bool single;
};

static void write_pagination(struct json_writer *w, const struct event_listing *l)
{
	const struct event_page *p = &l->page;
	char cursor[24];

	json_name(w, "pagination");
	json_begin_object(w);
	json_name(w, "page");
	if (l->page_number > 0)
		json_put_u64(w, l->page_number);
	else
		json_put_null(w);
	json_name(w, "limit");
	json_put_u64(w, l->limit);
	json_name(w, "total");
	json_put_u64(w, p->total);
	json_name(w, "totalPages");
	json_put_u64(w, (p->total + l->limit - 1) / l->limit);
	json_name(w, "nextCursor");
	snprintf(cursor, sizeof(cursor), "%" PRIu64, p->next);
	json_put_str(w, p->more ? cursor : NULL);
	json_end_object(w);
}

static void on_listed(struct event_page *p)
{
	struct event_listing *l = p->arg;
	struct http_request *rq = l->rq;
	struct buf body = BUF_INIT(p->out.len + 4096);
	struct json_writer w = JSON_WRITER(&body);
	enum query_format format = p->format;
	int rc = p->rc;

	if (rc == 0 && l->single && p->n == 0)
		rc = ERR_NOT_FOUND;
	if (rc != 0) {
		event_page_finish(p);
		buf_finish(&body);
		if (rc == ERR_NOT_FOUND)
			http_problem(rq, 404, "not_found", "The log has no event at this position yet.", NULL, 0);
		else
			http_problem_err(rq, rc, NULL);
		return;
	}
	answer_position(rq, p->size);
	if (format != QUERY_JSON) {
		http_header_printf(rq, "Lulab-Total", "%" PRIu64, p->total);
		if (p->more)
			http_header_printf(rq, "Lulab-Next-Cursor", "%" PRIu64, p->next);
		buf_append(&body, buf_slice(&p->out));
	} else if (l->single) {
		buf_append_str(&body, "{\"data\":");
		buf_append(&body, slice_of(p->out.ptr + 1, p->out.len - 2)); /* without the brackets */
		buf_append_char(&body, '}');
	} else {
		json_begin_object(&w);
		json_name(&w, "data");
		json_put_raw(&w, buf_slice(&p->out));
		write_pagination(&w, l);
		json_end_object(&w);
	}
	event_page_finish(p);
	http_respond(rq, 200, answer_content_type(format), &body);
}

static struct event_listing *listing(struct http_request *rq)
{
	struct event_listing *l = arena_alloc(rq->arena, sizeof(*l));

	if (l == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return NULL;
	}
	l->rq = rq;
	l->page = (struct event_page){.log = app_of(rq)->log,
	    .view = {.sealer = app_of(rq)->sealer, .personal = auth_sees_personal(rq)}, .cb = on_listed, .arg = l};
	return l;
}

bool api_decode_params(struct http_request *rq, const struct schema *schema, void *ret)
{
	struct problems problems = PROBLEMS_INIT(rq->arena);
	struct schema_pair *pairs = arena_calloc(rq->arena, rq->n_query + 1, sizeof(*pairs));
	int rc;

	if (pairs == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return false;
	}
	for (size_t i = 0; i < rq->n_query; i++)
		pairs[i] = (struct schema_pair){rq->query[i].name, rq->query[i].value};
	rc = schema_decode_pairs(schema, pairs, rq->n_query, rq->arena, ret, &problems);
	if (rc == ERR_INVALID)
		answer_problems(rq, &problems);
	else if (rc != 0)
		http_problem_err(rq, rc, NULL);
	return rc == 0;
}

bool api_event_filter(struct http_request *rq, struct slice type, struct slice stream, struct log_filter *ret)
{
	const struct event_type_info *info = type.len > 0 ? event_type_by_name(type) : NULL;
	struct problems problems = PROBLEMS_INIT(rq->arena);

	if (type.len > 0 && info == NULL) {
		problems_add(&problems, "type", "enum", "there is no such event type; /openapi.json and events.md list them");
		answer_problems(rq, &problems);
		return false;
	}
	*ret = (struct log_filter){.type = info == NULL ? 0 : info->id, .stream = stream};
	return true;
}

void api_list_events(struct http_request *rq, struct slice stream)
{
	struct params_events params;
	struct event_listing *l;
	struct event_page *p;

	if (!api_decode_params(rq, &schema_params_events, &params))
		return;
	l = listing(rq);
	if (l == NULL)
		return;
	p = &l->page;
	if (!api_event_filter(rq, params.type, stream.len > 0 ? stream : params.stream, &p->filter))
		return;
	p->from = p->total_from = params.has_from ? (uint64_t)params.from : 0;
	l->limit = (uint64_t)params.limit;
	if (params.cursor.len > 0) {
		if (slice_to_u64(params.cursor, &p->from) != 0) {
			http_problem(rq, 400, "invalid_parameters", "cursor: take nextCursor of the answer before as it is.",
			    NULL, 0);
			return;
		}
	} else {
		l->page_number = (uint64_t)params.page;
		p->skip = (l->page_number - 1) * l->limit;
		if (p->filter.type == 0 && p->filter.stream.len == 0) { /* positions are dense: no need to walk */
			p->from += p->skip;
			p->skip = 0;
		}
	}
	p->limit = (size_t)l->limit;
	p->want_total = true;
	p->format = answer_format(rq);
	http_header(rq, "Vary", SLICE("Accept"));
	event_page_start(p, rq->loop);
}

static void list_events(struct http_request *rq)
{
	api_list_events(rq, (struct slice){0});
}

/* --- one event ---------------------------------------------------------------------------- */

static bool position_param(struct http_request *rq, uint64_t *ret)
{
	if (slice_to_u64(http_request_param(rq, "position"), ret) == 0)
		return true;
	http_problem(rq, 400, "invalid_parameters", "A position is a whole number, counted from 0.", NULL, 0);
	return false;
}

static void get_event(struct http_request *rq)
{
	struct event_listing *l;
	uint64_t position;

	if (!position_param(rq, &position))
		return;
	l = listing(rq);
	if (l == NULL)
		return;
	l->single = true;
	l->page.from = position;
	l->page.limit = 1;
	event_page_start(&l->page, rq->loop);
}

/* --- proofs ---------------------------------------------------------------------------------- */

/* What an auditor fetches: made on a worker thread, for it may wait for a signature. */
struct evidence {
	struct http_request *rq;
	struct app *app;
	uv_work_t work;
	bool want_proof;
	uint64_t position;
	struct buf out;
	int rc;
};

/* The newest checkpoint that covers `size` events, with a quorum if such a one does; one is signed when there is none. */
static int covering_note(struct app *app, uint64_t size, struct buf *note)
{
	uint64_t noted;
	int rc = signer_size(app->signer) >= size ? 0 : signer_sign_now(app->signer, size);

	if (rc == 0)
		rc = witnesses_note(app->witnesses, app->log, &noted, note);
	if (rc == 0 && noted < size) {
		buf_clear(note);
		rc = eventlog_last_note(app->log, &noted, note);
	}
	if (rc == 0 && noted < size)
		rc = ERR_UNAVAILABLE;
	return rc;
}

static int make_proof(struct evidence *e, struct slice note_text)
{
	struct tile_reader tiles = eventlog_tiles(e->app->log);
	struct proof_file file = {.index = e->position, .checkpoint = note_text};
	struct checkpoint checkpoint;
	int rc = checkpoint_open(&checkpoint, NULL, note_text, signer_key(e->app->signer), 1, NULL);

	if (rc == 0)
		rc = merkle_inclusion_make(&file.proof, e->position, checkpoint.size, &tiles);
	return rc != 0 ? rc : proof_file_format(&e->out, &file);
}

int api_event_proof(struct app *app, uint64_t position, struct buf *out)
{
	struct evidence e = {.app = app, .position = position, .out = BUF_INIT(2 * NOTE_BYTES_MAX)};
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);
	int rc = covering_note(app, position + 1, &note);

	if (rc == 0)
		rc = make_proof(&e, buf_slice(&note));
	if (rc == 0)
		rc = buf_append(out, buf_slice(&e.out));
	buf_finish(&e.out);
	buf_finish(&note);
	return rc;
}

static void on_evidence(uv_work_t *work)
{
	struct evidence *e = work->data;
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);

	if (e->want_proof && e->position >= eventlog_size(e->app->log))
		e->rc = ERR_NOT_FOUND;
	else
		e->rc = covering_note(e->app, e->want_proof ? e->position + 1 : 0, &note);
	if (e->rc == 0)
		e->rc = e->want_proof ? make_proof(e, buf_slice(&note)) : buf_append(&e->out, buf_slice(&note));
	buf_finish(&note);
}

static void on_evidence_done(uv_work_t *work, int status)
{
	struct evidence *e = work->data;
	struct http_request *rq = e->rq;
	struct buf out = e->out;
	int rc = status != 0 ? ERR_CANCELLED : e->rc;

	if (rc == 0) {
		http_respond(rq, 200, HTTP_TEXT, &out);
		return;
	}
	buf_finish(&out);
	if (rc == ERR_NOT_FOUND)
		http_problem(rq, 404, "not_found", e->want_proof ? "The log has no event at this position yet."
		                                                 : "Nothing has been signed yet.", NULL, 0);
	else
		http_problem_err(rq, rc, NULL);
}

static void start_evidence(struct http_request *rq, bool want_proof, uint64_t position)
{
	struct evidence *e = arena_alloc(rq->arena, sizeof(*e));

	if (e == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	*e = (struct evidence){.rq = rq, .app = app_of(rq), .want_proof = want_proof, .position = position,
	    .out = BUF_INIT(NOTE_BYTES_MAX * 2)};
	e->work.data = e;
	uv_queue_work(rq->loop, &e->work, on_evidence, on_evidence_done);
}

static void get_proof(struct http_request *rq)
{
	uint64_t position;

	if (position_param(rq, &position))
		start_evidence(rq, true, position);
}

static void get_checkpoint(struct http_request *rq)
{
	start_evidence(rq, false, 0);
}

static void get_key(struct http_request *rq)
{
	struct buf text = BUF_INIT(2048);
	const struct note_key *key;

	for (unsigned i = 0; (key = signer_key_nth(app_of(rq)->signer, i)) != NULL; i++) {
		note_key_format(&text, key);
		buf_append_char(&text, '\n');
	}
	http_respond(rq, 200, HTTP_TEXT, &text);
}

const struct route api_events_routes[] = {
	{HTTP_GET, "/api/v1/events", list_events, "events:read", .params = &schema_params_events, .answer = "EventList",
	    .tag = "events", .summary = "Events of the log, by position, type or stream"},
	{HTTP_GET, "/api/v1/events/{position}", get_event, "events:read", .answer = "Event", .tag = "events",
	    .summary = "One event"},
	{HTTP_GET, "/api/v1/events/{position}/proof", get_proof, "events:read", .answer = "text", .tag = "audit",
	    .summary = "Proof that the event is in the signed log, to be checked offline"},
	{HTTP_GET, "/api/v1/checkpoint", get_checkpoint, "events:read", .flags = ROUTE_NO_ETAG, .answer = "text",
	    .tag = "audit", .summary = "The newest signed checkpoint of the log"},
	{HTTP_GET, "/api/v1/checkpoint/key", get_key, "events:read", .answer = "text", .tag = "audit",
	    .summary = "The key that checkpoints are verified with, one a line; two while it is being changed"},
	{0},
};
