/* Answers that say what is wrong: problem+json (RFC 9457). */
#include "net/http_internal.h"

#include <assert.h>

#include "base/err.h"
#include "base/json.h"

#define PROBLEM_TYPE "application/problem+json; charset=utf-8"

static void put_items(struct json_writer *w, const struct http_problem_item *items, size_t n_items)
{
	json_name(w, "errors");
	json_begin_array(w);
	for (size_t i = 0; i < n_items; i++) {
		json_begin_object(w);
		json_name(w, "path");
		json_put_string(w, items[i].path);
		json_name(w, "code");
		json_put_string(w, items[i].code);
		json_name(w, "message");
		json_put_string(w, items[i].message);
		json_end_object(w);
	}
	json_end_array(w);
}

void http_problem(struct http_request *rq, int status, const char *code, const char *detail,
    const struct http_problem_item *items, size_t n_items)
{
	struct buf body = BUF_INIT(HTTP_BODY_MAX);
	struct json_writer w = JSON_WRITER(&body);

	assert(status >= 400);
	json_begin_object(&w);
	json_name(&w, "type");
	json_put_str(&w, "about:blank");
	json_name(&w, "title");
	json_put_str(&w, http_status_text(status));
	json_name(&w, "status");
	json_put_i64(&w, status);
	if (detail != NULL) {
		json_name(&w, "detail");
		json_put_str(&w, detail);
	}
	if (rq->path.len > 0) {
		json_name(&w, "instance");
		json_put_string(&w, rq->path);
	}
	json_name(&w, "code");
	json_put_str(&w, code);
	if (rq->request_id.len > 0) {
		json_name(&w, "requestId");
		json_put_string(&w, rq->request_id);
	}
	if (n_items > 0)
		put_items(&w, items, n_items);
	json_end_object(&w);
	if (body.rc != 0) {
		buf_finish(&body);
		/* So many problems that the list does not fit: the first ones tell enough. Or no memory at all. */
		if (n_items > 0)
			http_problem(rq, status, code, detail, items, n_items / 2);
		else
			http_respond_slice(rq, status, PROBLEM_TYPE,
			    SLICE("{\"type\":\"about:blank\",\"detail\":\"There is no memory to say more.\"}"));
		return;
	}
	http_respond(rq, status, PROBLEM_TYPE, &body);
}

void http_problem_err(struct http_request *rq, int err, const char *detail)
{
	static const struct {
		int err, status;
		const char *code;
	} table[] = {
		{ERR_NOT_FOUND, 404, "not_found"}, {ERR_MALFORMED, 400, "malformed"}, {ERR_INVALID, 400, "invalid"},
		{ERR_RANGE, 400, "out_of_range"}, {ERR_TOO_BIG, 413, "too_big"}, {ERR_CONFLICT, 409, "conflict"},
		{ERR_TAKEN, 409, "taken"}, {ERR_EXISTS, 409, "exists"}, {ERR_DENIED, 403, "forbidden"},
		{ERR_BAD_SIGNATURE, 401, "bad_signature"}, {ERR_ERASED, 410, "erased"},
		{ERR_UNSUPPORTED, 415, "unsupported"}, {ERR_BUSY, 503, "busy"}, {ERR_UNAVAILABLE, 503, "unavailable"},
		{ERR_TIMEOUT, 503, "timeout"}, {ERR_DISK_FULL, 503, "disk_full"},
		{ERR_UNKNOWN_OUTCOME, 503, "outcome_unknown"}, {ERR_NOMEM, 503, "out_of_memory"},
		{ERR_NETWORK, 502, "bad_gateway"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].err == err) {
			http_problem(rq, table[i].status, table[i].code, detail != NULL ? detail : err_text(err), NULL, 0);
			return;
		}
	}
	http_problem(rq, 500, "internal", detail, NULL, 0);
}
