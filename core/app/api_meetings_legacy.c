/*
 * /meetings and /meetings/:id as existing clients know them (functional-spec
 * 6.2, 6.3): the same rows, each with its recordings inside, and the counts
 * beside the data. Recordings are a read model of their own, so a page takes
 * two questions:
 *
 *     MEETINGS --> RECORDINGS of these --> ANSWER
 */
#include <assert.h>
#include <inttypes.h>

#include "app/answer.h"
#include "app/api.h"
#include "app/api_list.h"
#include "app/app.h"
#include "base/err.h"

#define IDS_MAX (LIST_LIMIT_MAX * 200)

struct legacy {
	struct http_request *rq;
	struct list_request request;
	struct query meetings, recordings;
	struct buf ids; /* JSON array */
	bool single;
};

static void legacy_fail(struct legacy *l, int rc)
{
	struct http_request *rq = l->rq;
	const char *missing = arena_printf(rq->arena, "会议记录未找到: %.*s",
	    l->single ? (int)http_request_param(rq, "id").len : 0, l->single ? http_request_param(rq, "id").ptr : "");

	query_finish(&l->meetings);
	query_finish(&l->recordings);
	buf_finish(&l->ids);
	answer_query_failure(rq, rc, missing);
}

/* The recordings of one meeting, out of those of the page. */
static void write_recordings(struct json_writer *w, struct json_value all, struct json_value meeting_id)
{
	struct json_reader r;
	struct json_value one, of;

	json_begin_array(w);
	json_enter(&r, all);
	while (json_next(&r, NULL, &one))
		if (json_member(one, "meetingId", &of) && slice_eq(of.text, meeting_id.text))
			json_put_raw(w, one.text);
	json_end_array(w);
}

static void write_meeting(struct json_writer *w, struct json_value meeting, struct json_value recordings)
{
	struct json_reader r;
	struct slice name;
	struct json_value v, id = {0};

	json_begin_object(w);
	json_enter(&r, meeting);
	while (json_next(&r, &name, &v)) { /* names are ours: no escapes in them */
		json_name_slice(w, name);
		json_put_raw(w, v.text);
		if (json_name_is(name, SLICE("id")))
			id = v;
	}
	json_name(w, "recordings");
	write_recordings(w, recordings, id);
	json_end_object(w);
}

static void write_page(struct json_writer *w, const struct legacy *l, struct json_value meetings,
    struct json_value recordings)
{
	uint32_t limit = l->request.limit;
	struct json_reader r;
	struct json_value one;

	json_begin_object(w);
	json_name(w, "data");
	json_begin_array(w);
	json_enter(&r, meetings);
	while (json_next(&r, NULL, &one))
		write_meeting(w, one, recordings);
	json_end_array(w);
	json_name(w, "total");
	json_put_u64(w, l->meetings.total);
	json_name(w, "page");
	json_put_u64(w, l->request.page);
	json_name(w, "limit");
	json_put_u64(w, limit);
	json_name(w, "totalPages");
	json_put_u64(w, (l->meetings.total + limit - 1) / limit);
	json_end_object(w);
}

static void on_recordings(struct query *q)
{
	struct legacy *l = q->arg;
	struct http_request *rq = l->rq;
	struct buf body = BUF_INIT(l->meetings.out.len + q->out.len + 65536);
	struct json_writer w = JSON_WRITER(&body);
	struct json_value meetings = json_root(buf_slice(&l->meetings.out)), recordings;

	if (q->rc != 0) {
		legacy_fail(l, q->rc);
		return;
	}
	recordings = json_root(buf_slice(&q->out));
	if (l->single)
		write_meeting(&w, meetings, recordings);
	else
		write_page(&w, l, meetings, recordings);
	answer_position(rq, l->meetings.position);
	query_finish(&l->meetings);
	query_finish(q);
	buf_finish(&l->ids);
	http_respond(rq, 200, HTTP_JSON, &body);
}

static void add_id(struct json_writer *w, struct json_value meeting)
{
	struct json_value id;

	if (json_member(meeting, "id", &id))
		json_put_raw(w, id.text);
}

static void on_meetings(struct query *q)
{
	struct legacy *l = q->arg;
	struct json_writer w = JSON_WRITER(&l->ids);
	struct json_reader r;
	struct json_value root, one;

	if (q->rc != 0) {
		legacy_fail(l, q->rc);
		return;
	}
	root = json_root(buf_slice(&q->out));
	json_begin_array(&w);
	if (l->single) {
		add_id(&w, root);
	} else {
		json_enter(&r, root);
		while (json_next(&r, NULL, &one))
			add_id(&w, one);
	}
	json_end_array(&w);
	l->recordings = (struct query){.def = query_find("recordings_of"), .n_params = 1,
	    .has_min_position = l->meetings.has_min_position, .min_position = l->meetings.min_position,
	    .wait_ms = MIN_POSITION_WAIT_MS,
	    .port = loop_of(l->rq)->query_port, .cb = on_recordings, .arg = l};
	assert(l->recordings.def != NULL);
	l->recordings.params[0] = (struct query_param){.name = "ids", .text = buf_slice(&l->ids)};
	query_start(app_of(l->rq)->queries, &l->recordings);
}

static struct legacy *legacy(struct http_request *rq)
{
	struct legacy *l = arena_alloc(rq->arena, sizeof(*l));

	if (l == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return NULL;
	}
	*l = (struct legacy){.rq = rq, .ids = BUF_INIT(IDS_MAX)};
	l->meetings = (struct query){.wait_ms = MIN_POSITION_WAIT_MS, .port = loop_of(rq)->query_port, .cb = on_meetings,
	    .arg = l};
	if (!answer_min_position(rq, &l->meetings.has_min_position, &l->meetings.min_position))
		return NULL;
	return l;
}

static void list_meetings(struct http_request *rq)
{
	struct list_param *params = arena_calloc(rq->arena, rq->n_query + 1, sizeof(*params));
	struct list_problem problems[LIST_PROBLEMS_MAX];
	struct legacy *l = legacy(rq);
	size_t n = 0;
	int rc;

	if (l == NULL)
		return;
	for (size_t i = 0; params != NULL && i < rq->n_query; i++)
		params[i] = (struct list_param){rq->query[i].name, rq->query[i].value};
	rc = params == NULL ? ERR_NOMEM
	                    : list_request_parse(&l->request, list_find("meetings"), params, rq->n_query, LIST_LIMIT_MAX,
	                          rq->arena, problems, &n);
	if (rc == ERR_INVALID) {
		answer_list_problems(rq, problems, n);
		return;
	}
	if (rc != 0) {
		http_problem_err(rq, rc, NULL);
		return;
	}
	l->request.want_total = true;
	l->request.fields = 0; /* the id is needed to find the recordings */
	l->meetings.list = &l->request;
	query_start(app_of(rq)->queries, &l->meetings);
}

static void get_meeting(struct http_request *rq)
{
	struct legacy *l = legacy(rq);

	if (l == NULL)
		return;
	l->single = true;
	l->meetings.def = query_find("meeting_by_id");
	l->meetings.single = true;
	l->meetings.n_params = 1;
	l->meetings.params[0] = (struct query_param){.name = "id", .text = http_request_param(rq, "id")};
	query_start(app_of(rq)->queries, &l->meetings);
}

static void get_health(struct http_request *rq)
{
	char now[TIME_TEXT_MS_LEN + 1];
	struct buf body = BUF_INIT(256);

	time_format_ms(now, clock_wall_ms(app_of(rq)->clock));
	buf_printf(&body, "{\"status\":\"ok\",\"timestamp\":\"%s\",\"service\":\"meeting-service\"}", now);
	http_respond(rq, 200, HTTP_JSON, &body);
}

static const struct api_list_doc meetings_doc = {"meetings", NULL};

const struct route api_meetings_legacy_routes[] = {
	{HTTP_GET, "/meetings", list_meetings, "meetings:read", .rate = RATE_MEETINGS, .answer = "object",
	    .tag = "compatible", .summary = "Meetings with their recordings, as existing clients know them",
	    .extra = &meetings_doc},
	{HTTP_GET, "/meetings/health", get_health, "meetings:read", .flags = ROUTE_NO_ETAG, .answer = "object",
	    .tag = "compatible", .summary = "Whether the meeting service answers"},
	{HTTP_GET, "/meetings/{id}", get_meeting, "meetings:read", .rate = RATE_MEETINGS, .answer = "object",
	    .tag = "compatible", .summary = "One meeting with its recordings, as existing clients know it"},
	{0},
};
