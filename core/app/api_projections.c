/* The read models themselves: what an operator decides about them. How they stand is in /readyz?verbose. */
#include "app/answer.h"
#include "app/api.h"
#include "app/app.h"
#include "base/err.h"
#include "requests.gen.h"
#include "store/projection_skip.h"

struct skipping {
	struct http_request *rq;
	const char *model;
	uint64_t position;
	struct event_draft draft;
	struct append append;
};

static void on_appended(struct append *append)
{
	struct skipping *s = append->arg;
	struct http_request *rq = s->rq;
	struct buf out = BUF_INIT(1024);
	struct json_writer w = JSON_WRITER(&out);

	if (append->rc != 0) {
		http_problem_err(rq, append->rc, "The decision could not be stored; try again later.");
		return;
	}
	json_begin_object(&w);
	json_name(&w, "projection");
	json_put_str(&w, s->model);
	json_name(&w, "position");
	json_put_u64(&w, s->position);
	json_name(&w, "event");
	json_put_u64(&w, append->position);
	json_end_object(&w);
	answer_position(rq, append->position + 1);
	answer_data(rq, buf_slice(&out));
	buf_finish(&out);
}

static bool find_model(struct http_request *rq, struct projection_status *ret)
{
	struct slice name = http_request_param(rq, "model");
	const char *text = arena_printf(rq->arena, "%.*s", SLICE_ARG(name));

	if (text == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return false;
	}
	if (projector_status_of(app_of(rq)->projector, text, ret) == 0)
		return true;
	http_problem(rq, 404, "not_found", "There is no read model of this name; /readyz?verbose lists those there are.",
	    NULL, 0);
	return false;
}

static bool read_body(struct http_request *rq, struct request_projection_skip *ret)
{
	struct problems problems = PROBLEMS_INIT(rq->arena);
	int rc = schema_decode(&schema_request_projection_skip, rq->body, rq->arena, ret, &problems);

	if (rc == 0)
		return true;
	if (problems.n > 0)
		answer_problems(rq, &problems);
	else
		http_problem_err(rq, rc, NULL);
	return false;
}

static void skip_event(struct http_request *rq)
{
	const struct principal *who = rq->principal;
	struct skipping *s = arena_alloc(rq->arena, sizeof(*s));
	struct event_context ctx = {app_of(rq)->rng, app_of(rq)->clock, NULL};
	struct request_projection_skip body;
	struct projection_status status;
	struct projection_skip skip;
	const char *why = NULL;
	int rc;

	if (s == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	if (!find_model(rq, &status) || !read_body(rq, &body))
		return;
	skip = (struct projection_skip){.position = (uint64_t)body.position, .reason = body.reason,
	    .source = SLICE("/api/v1/projections"), .actor = slice_str(who->id)};
	*s = (struct skipping){.rq = rq, .model = status.model->name, .position = skip.position};
	rc = projection_skip_draft(&skip, &status, &ctx, rq->arena, &s->draft, &why);
	if (rc != 0) {
		http_problem_err(rq, rc, why);
		return;
	}
	s->append = (struct append){
	    .events = &s->draft, .n_events = 1, .cb = on_appended, .port = loop_of(rq)->log_port, .arg = s};
	eventlog_append(app_of(rq)->log, &s->append);
}

const struct route api_projections_routes[] = {
	{HTTP_POST, "/api/v1/projections/{model}/skip", skip_event, "projections:write",
	    .request = &schema_request_projection_skip, .answer = "object", .tag = "projections",
	    .summary = "Let a stopped read model pass over the event it cannot apply"},
	{0},
};
