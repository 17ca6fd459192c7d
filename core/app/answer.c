/* See answer.h. */
#include "answer.h"

#include <inttypes.h>

#include "app/app.h"
#include "base/err.h"

/* One wrong parameter, told in the form of many. */
static void refuse_param(struct http_request *rq, const char *name, const char *code, const char *message)
{
	struct http_problem_item item = {slice_str(name), slice_str(code), slice_str(message)};

	http_problem(rq, 400, "invalid_parameters",
	    arena_printf(rq->arena, "%s: %s", name, message == NULL ? "is not valid" : message), &item, 1);
}

bool answer_min_position(struct http_request *rq, bool *ret_has, uint64_t *ret_position)
{
	struct slice text;
	uint64_t size;

	*ret_has = http_request_field(rq, "Lulab-Min-Position", &text);
	if (!*ret_has)
		return true;
	if (slice_is(slice_trim(text), "newest")) {
		size = eventlog_size(app_of(rq)->log);
		*ret_has = size > 0;
		*ret_position = size - 1;
		return true;
	}
	if (slice_to_u64(slice_trim(text), ret_position) == 0)
		return true;
	refuse_param(rq, "Lulab-Min-Position", "invalid",
	    "must be the position of an event, a whole number, as Lulab-Position of an earlier answer gave it; or newest");
	return false;
}

void answer_position(struct http_request *rq, uint64_t count)
{
	char text[U64_TEXT_MAX];

	if (count > 0)
		http_header(rq, "Lulab-Position", u64_format(text, count - 1));
}

static const struct {
	enum query_format format;
	const char *media_type, *content_type;
} formats[] = {
	{QUERY_JSON, "application/json", HTTP_JSON},
	{QUERY_NDJSON, "application/x-ndjson", "application/x-ndjson; charset=utf-8"},
	{QUERY_CSV, "text/csv", "text/csv; charset=utf-8; header=present"},
};

enum query_format answer_format(const struct http_request *rq)
{
	unsigned best = http_request_accept_quality(rq, formats[0].media_type);
	size_t chosen = 0;

	for (size_t i = 1; i < sizeof(formats) / sizeof(formats[0]); i++) {
		unsigned quality = http_request_accept_quality(rq, formats[i].media_type);

		if (quality > best) {
			best = quality;
			chosen = i;
		}
	}
	return formats[chosen].format;
}

const char *answer_content_type(enum query_format format)
{
	return formats[format].content_type;
}

void answer_problems(struct http_request *rq, const struct problems *problems)
{
	struct http_problem_item *items = arena_calloc(rq->arena, problems->n + 1, sizeof(*items));

	if (items == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	for (size_t i = 0; i < problems->n; i++)
		items[i] = (struct http_problem_item){slice_str(problems->items[i].path),
		    slice_str(problems->items[i].code), slice_str(problems->items[i].message)};
	http_problem(rq, 400, "invalid_input", "Some of the input is not valid; `errors` has each place.", items,
	    problems->n);
}

void answer_list_problems(struct http_request *rq, const struct list_problem *problems, size_t n)
{
	struct http_problem_item items[LIST_PROBLEMS_MAX];

	for (size_t i = 0; i < n && i < LIST_PROBLEMS_MAX; i++)
		items[i] = (struct http_problem_item){problems[i].name, slice_str(problems[i].code),
		    slice_str(problems[i].message)};
	http_problem(rq, 400, "invalid_parameters", "Some query parameters are not valid; `errors` has each of them.",
	    items, n < LIST_PROBLEMS_MAX ? n : LIST_PROBLEMS_MAX);
}

void answer_query_failure(struct http_request *rq, int rc, const char *missing)
{
	switch (rc) {
	case ERR_NOT_FOUND:
		http_problem(rq, 404, "not_found", missing, NULL, 0);
		return;
	case ERR_TIMEOUT:
		http_header(rq, "Retry-After", SLICE("1"));
		http_problem(rq, 503, "not_yet",
		    "The read model has not come as far as Lulab-Min-Position; ask again in a moment.", NULL, 0);
		return;
	case ERR_UNAVAILABLE:
		http_header(rq, "Retry-After", SLICE("2"));
		http_problem(rq, 503, "rebuilding",
		    "This read model is being built from the log; /readyz?verbose tells how far it is.", NULL, 0);
		return;
	case ERR_TOO_BIG:
		http_problem(rq, 422, "answer_too_big",
		    "The answer would be too big; ask for fewer rows (limit) or fewer columns (fields).", NULL, 0);
		return;
	default:
		http_problem_err(rq, rc, NULL);
	}
}

void answer_data(struct http_request *rq, struct slice json)
{
	struct buf body = BUF_INIT(json.len + 16);

	buf_append_str(&body, "{\"data\":");
	buf_append(&body, json);
	buf_append_char(&body, '}');
	http_respond(rq, 200, HTTP_JSON, &body);
}
