/* Accounts from a CSV file: the upload, and what became of its rows (user_import.h). */
#include "app/action.h"
#include "app/api.h"
#include "app/user_import.h"
#include "base/err.h"
#include "params.gen.h"

#define PATH "/api/v1/users/imports"

static bool is_csv(const struct http_request *rq)
{
	struct slice type, rest;

	http_request_field(rq, "content-type", &type);
	slice_cut(type, ';', &type, &rest);
	return slice_eq_nocase(slice_trim(type), SLICE("text/csv"));
}

static void answer_started(struct action *c, const struct id *id, size_t rows)
{
	char *text = arena_alloc(c->arena, ID_TEXT_LEN + 1);
	struct json_writer w;

	if (text == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	id_format(text, id);
	action_header(c, "Location", arena_printf(c->arena, PATH "/%s", text));
	w = action_answer(c, 202);
	json_begin_object(&w);
	json_name(&w, "id");
	json_put_str(&w, text);
	json_name(&w, "total");
	json_put_u64(&w, rows);
	json_end_object(&w);
}

static void run_start(struct action *c)
{
	const struct principal *who = c->rq->principal;
	struct import_caller caller = {who->id, principal_may(who, "roles:grant"), principal_may(who, "*")};
	struct said why = {0};
	struct id id;
	size_t rows;
	int rc;

	if (!is_csv(c->rq)) {
		action_fail(c, 415, "not_csv", "Send the file itself as text/csv.", "请以 text/csv 格式上传");
		return;
	}
	rc = user_import_start(c->app->imports, c->rq->body, &caller, c->arena, &id, &rows, &why);
	if (rc == ERR_INVALID)
		action_fail_said(c, 400, "invalid", why);
	else if (rc == ERR_BUSY)
		action_fail(c, 409, "busy", "Another import runs; wait until it is done.", "正在进行另一个导入");
	else if (rc != 0)
		action_fail_err(c, rc);
	else
		answer_started(c, &id, rows);
}

static void start_import(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_start);
}

static void run_look(struct action *c)
{
	const struct params_user_import *params = c->rq->data;
	struct json_writer w = action_answer(c, 200);
	struct id id;
	int rc = id_parse(http_request_param(c->rq, "id"), &id);

	json_begin_object(&w);
	json_name(&w, "data");
	if (rc == 0)
		rc = user_import_write(c->app->imports, &id, (size_t)params->from, (size_t)params->limit, &w);
	if (rc == 0)
		json_end_object(&w);
	else
		action_fail(c, 404, "not_found", "There is no such import, or no more: the last eight are known, until the service ends.",
		    "导入任务不存在");
}

static void look_at_import(struct http_request *rq)
{
	struct params_user_import *params = arena_calloc(rq->arena, 1, sizeof(*params));

	if (params == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	if (!api_decode_params(rq, &schema_params_user_import, params))
		return;
	rq->data = params;
	action_start(rq, ACTION_QUICK, run_look);
}

const struct route api_user_import_routes[] = {
	{HTTP_POST, PATH, start_import, "users:write", .flags = ROUTE_NO_ETAG, .body_max = IMPORT_BYTES_MAX, .answer = "object",
	    .success = "202", .tag = "users", .summary = "Give many an account: a CSV file of at most 1 MiB and 5,000 rows"},
	{HTTP_GET, PATH "/{id}", look_at_import, "users:write", .flags = ROUTE_NO_ETAG, .params = &schema_params_user_import,
	    .answer = "object", .tag = "users", .summary = "How far an import is, and what became of its rows"},
	{0},
};
