/*
 * See api_list.h.
 *
 *     page:    ASK --> ANSWER
 *     stream:  ASK --> SEND --> ASK (next cursor) ... --> END
 *              SEND waits for room (on_drain); a client that left ends it
 */
#include "api_list.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "app/answer.h"
#include "app/app.h"
#include "app/known.h"
#include "base/err.h"

#define PIECE_BYTES (64 * 1024) /* of what the server holds for a slow client */

/* One list being answered. In the request's arena. */
struct listing {
	struct http_request *rq;
	struct list_request request;
	struct query query;
	bool streaming, started, asking;
	bool sending;              /* inside a call of the server's, which may tell us that the client left */
	bool gone;                 /* the client left; end when the query is back */
	struct slice unsent;       /* of query.out */
	struct buf cursor_text;    /* the piece before's cursor, which request borrows from */
};

static void ask(struct listing *l);

/* Frees what is not the arena's. */
static void listing_finish(struct listing *l)
{
	query_finish(&l->query);
	buf_finish(&l->cursor_text);
}

/* --- a page ------------------------------------------------------------------- */

static void write_pagination(struct json_writer *w, const struct listing *l)
{
	const struct query *q = &l->query;
	uint32_t limit = l->request.limit;

	json_name(w, "pagination");
	json_begin_object(w);
	json_name(w, "page");
	if (l->request.has_cursor)
		json_put_null(w);
	else
		json_put_u64(w, l->request.page);
	json_name(w, "limit");
	json_put_u64(w, limit);
	json_name(w, "total");
	json_put_u64(w, q->total);
	json_name(w, "totalPages");
	json_put_u64(w, (q->total + limit - 1) / limit);
	json_name(w, "nextCursor");
	if (q->next_cursor.len > 0)
		json_put_string(w, buf_slice(&q->next_cursor));
	else
		json_put_null(w);
	json_end_object(w);
}

/* Answering ends the request and its arena, and the listing with them: all that is needed is taken out before. */
static void answer_page(struct listing *l)
{
	struct http_request *rq = l->rq;
	struct query *q = &l->query;
	enum query_format format = q->format;
	struct buf body = BUF_INIT(q->out.len + 4096);
	struct json_writer w = JSON_WRITER(&body);

	answer_position(rq, q->position);
	if (q->stale)
		http_header(rq, "Lulab-Stale", SLICE("true"));
	if (format != QUERY_JSON) {
		http_header_printf(rq, "Lulab-Total", "%" PRIu64, q->total);
		if (q->next_cursor.len > 0)
			http_header(rq, "Lulab-Next-Cursor", buf_slice(&q->next_cursor));
		body = q->out;
		q->out = (struct buf){0};
	} else {
		json_begin_object(&w);
		json_name(&w, "data");
		json_put_raw(&w, buf_slice(&q->out));
		write_pagination(&w, l);
		json_end_object(&w);
	}
	if (body.rc == 0)
		known_note(rq, q, buf_slice(&body));
	listing_finish(l);
	http_respond(rq, 200, answer_content_type(format), &body);
}

/* --- a stream ----------------------------------------------------------------- */

static void stream_end(struct listing *l, bool complete)
{
	struct http_request *rq = l->rq;

	listing_finish(l);
	http_stream_end(rq, complete);
}

/* True when all of this piece is out. */
static bool send_piece(struct listing *l)
{
	while (l->unsent.len > 0) {
		struct slice part = l->unsent;
		int rc;

		if (part.len > PIECE_BYTES)
			part.len = PIECE_BYTES;
		l->sending = true;
		rc = http_stream_write(l->rq, part);
		l->sending = false;
		if (rc == ERR_BUSY && !l->gone)
			return false;
		if (rc != 0 || l->gone) {
			l->gone = true;
			return true;
		}
		l->unsent.ptr += part.len;
		l->unsent.len -= part.len;
	}
	return true;
}

/* The cursor of the last piece becomes the start of the next. */
static int next_piece(struct listing *l)
{
	struct list_param cursor = {SLICE_INIT("cursor"), {NULL, 0}};
	struct list_problem problems[LIST_PROBLEMS_MAX];
	struct list_request next;
	size_t n;
	int rc;

	buf_clear(&l->cursor_text);
	rc = buf_append(&l->cursor_text, buf_slice(&l->query.next_cursor));
	if (rc != 0)
		return rc;
	cursor.value = buf_slice(&l->cursor_text);
	rc = list_request_parse(&next, l->request.list, &cursor, 1, LIST_LIMIT_MAX, l->rq->arena, problems, &n);
	if (rc != 0)
		return rc;
	l->request.has_cursor = true;
	l->request.cursor_is_integer = next.cursor_is_integer;
	l->request.cursor_integer = next.cursor_integer;
	l->request.cursor_text = next.cursor_text;
	l->request.cursor_key = next.cursor_key;
	l->request.want_total = false;
	return 0;
}

static void stream_step(struct listing *l)
{
	if (!l->gone && !send_piece(l))
		return; /* on_drain comes back here */
	if (l->gone) {
		stream_end(l, false);
		return;
	}
	if (!l->query.more || l->query.next_cursor.len == 0) {
		stream_end(l, true);
		return;
	}
	if (next_piece(l) != 0) {
		stream_end(l, false);
		return;
	}
	ask(l);
}

static void on_drain(struct http_request *rq)
{
	struct listing *l = rq->data;

	if (!l->asking && !l->sending)
		stream_step(l);
}

static void on_closed(struct http_request *rq)
{
	struct listing *l = rq->data;

	l->gone = true;
	if (!l->asking && !l->sending)
		stream_end(l, false);
}

static void stream_piece(struct listing *l)
{
	if (!l->started) {
		answer_position(l->rq, l->query.position);
		l->rq->on_drain = on_drain;
		l->rq->on_closed = on_closed;
		l->started = l->sending = true;
		http_stream_start(l->rq, 200, answer_content_type(l->query.format));
		l->sending = false;
	}
	l->unsent = buf_slice(&l->query.out);
	stream_step(l);
}

/* --- both --------------------------------------------------------------------- */

static void on_listed(struct query *q)
{
	struct listing *l = q->arg;
	struct http_request *rq = l->rq;

	l->asking = false;
	if (l->started && (l->gone || q->rc != 0)) {
		stream_end(l, false);
		return;
	}
	if (q->rc != 0) {
		int rc = q->rc;

		listing_finish(l);
		answer_query_failure(rq, rc, NULL);
		return;
	}
	if (l->streaming)
		stream_piece(l);
	else
		answer_page(l);
}

static void ask(struct listing *l)
{
	struct query *q = &l->query;
	enum query_format format = q->format;
	bool has_min = q->has_min_position;
	uint64_t min = q->min_position;

	query_finish(q);
	*q = (struct query){.list = &l->request, .format = format, .has_min_position = has_min && !l->started,
	    .min_position = min, .wait_ms = MIN_POSITION_WAIT_MS, .port = loop_of(l->rq)->query_port,
	    .cb = on_listed, .arg = l};
	l->asking = true;
	query_start(app_of(l->rq)->queries, q);
}

/* Filters the path decides are put in front of what the query string says; the latter may not name them. */
static int parse(struct listing *l, const struct list_def *def, const struct list_fixed *fixed, size_t n_fixed,
    struct list_problem *problems, size_t *ret_n)
{
	struct http_request *rq = l->rq;
	struct list_param *params = arena_calloc(rq->arena, rq->n_query + n_fixed + 1, sizeof(*params));
	size_t n = 0;

	if (params == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n_fixed; i++)
		params[n++] = (struct list_param){slice_str(fixed[i].filter), fixed[i].value};
	for (size_t i = 0; i < rq->n_query; i++)
		params[n++] = (struct list_param){rq->query[i].name, rq->query[i].value};
	return list_request_parse(&l->request, def, params, n, LIST_LIMIT_MAX, rq->arena, problems, ret_n);
}

static bool asks_for_a_page(const struct http_request *rq)
{
	struct slice value;

	return http_request_query(rq, "page", &value) || http_request_query(rq, "limit", &value) ||
	    http_request_query(rq, "cursor", &value);
}

void api_list(struct http_request *rq, const char *list, const struct list_fixed *fixed, size_t n_fixed)
{
	const struct list_def *def = list_find(list);
	struct listing *l = arena_alloc(rq->arena, sizeof(*l));
	struct list_problem problems[LIST_PROBLEMS_MAX];
	size_t n_problems = 0;
	int rc;

	assert(def != NULL);
	if (l == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	*l = (struct listing){.rq = rq, .cursor_text = BUF_INIT(8192)};
	rc = parse(l, def, fixed, n_fixed, problems, &n_problems);
	if (rc == ERR_INVALID) {
		answer_list_problems(rq, problems, n_problems);
		return;
	}
	if (rc != 0) {
		http_problem_err(rq, rc, NULL);
		return;
	}
	if (!answer_min_position(rq, &l->query.has_min_position, &l->query.min_position))
		return;
	l->query.format = answer_format(rq);
	http_header(rq, "Vary", SLICE("Accept"));
	l->streaming = l->query.format != QUERY_JSON && !asks_for_a_page(rq);
	l->request.want_total = !l->streaming;
	if (l->streaming)
		l->request.limit = LIST_STREAM_LIMIT;
	rq->data = l;
	/* An answer ends the request, its arena and the listing in it. */
	if (l->streaming || l->query.has_min_position || !known_answer(rq, def->projection, l->query.format))
		ask(l);
}

void api_list_own(struct http_request *rq, const char *list, const char *filter)
{
	const struct principal *who = rq->principal;
	struct list_fixed own = {filter, slice_str(who->user_id)};

	if (own.value.len == 0) /* which would filter nothing */
		http_problem(rq, 400, "invalid", "The operator's token belongs to no account.", NULL, 0);
	else
		api_list(rq, list, &own, 1);
}

/* --- one row ------------------------------------------------------------------ */

struct lookup {
	struct http_request *rq;
	struct query query;
	const char *missing;
	bool bare;
};

static void on_found(struct query *q)
{
	struct lookup *l = q->arg;
	struct http_request *rq = l->rq;
	const char *missing = l->missing;
	struct buf body = BUF_INIT(q->out.len + 16);
	int rc = q->rc;

	if (rc == 0) {
		answer_position(rq, q->position);
		buf_append_str(&body, l->bare ? "" : "{\"data\":");
		buf_append(&body, buf_slice(&q->out));
		buf_append_str(&body, l->bare ? "" : "}");
		if (body.rc == 0)
			known_note(rq, q, buf_slice(&body));
	}
	query_finish(q);
	if (rc == 0)
		http_respond(rq, 200, HTTP_JSON, &body);
	else
		answer_query_failure(rq, rc, missing);
}

void api_one(struct http_request *rq, const char *query, struct slice id, const char *missing, bool bare)
{
	struct lookup *l = arena_alloc(rq->arena, sizeof(*l));

	if (l == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	*l = (struct lookup){.rq = rq, .missing = missing, .bare = bare};
	l->query = (struct query){.def = query_find(query), .n_params = 1, .single = true,
	    .wait_ms = MIN_POSITION_WAIT_MS, .port = loop_of(rq)->query_port, .cb = on_found, .arg = l};
	assert(l->query.def != NULL);
	l->query.params[0] = (struct query_param){.name = "id", .text = id};
	if (!answer_min_position(rq, &l->query.has_min_position, &l->query.min_position))
		return;
	if (l->query.has_min_position || !known_answer(rq, l->query.def->projection, QUERY_JSON))
		query_start(app_of(rq)->queries, &l->query);
}
