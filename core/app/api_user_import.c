/* Accounts from a CSV file: the upload, and what became of its rows (user_import.h). */
#include "app/action.h"
#include "app/api.h"
#include "app/api_list.h"
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

static void run_start(struct action *c)
{
	struct json_writer w;
	struct slice id;
	size_t rows;

	if (!is_csv(c->rq)) {
		action_fail(c, 415, "not_csv", "Send the file itself as text/csv.", "请以 text/csv 格式上传");
		return;
	}
	if (!user_import_start(c, c->rq->body, &id, &rows))
		return;
	action_header(c, "Location", arena_printf(c->arena, PATH "/%.*s", SLICE_ARG(id)));
	w = action_answer(c, 202);
	json_begin_object(&w);
	json_name(&w, "id");
	json_put_string(&w, id);
	json_name(&w, "total");
	json_put_u64(&w, rows);
	json_end_object(&w);
}

static void start_import(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_start);
}

/* For people, of what is kept of a row that could not be made: its code, and the column that is meant. */
static const char *message_of(struct slice code, bool has_field)
{
	if (slice_is(code, "taken"))
		return "somebody has an account under it already.";
	if (slice_is(code, "forbidden"))
		return "who sent the file may not give it.";
	if (slice_is(code, "invalid"))
		return has_field ? "is not as POST /api/v1/users takes it."
		                 : "The row has not as many fields as the first line, or no user name, mail address or phone number.";
	return "The account could not be made.";
}

static void write_row(struct action *c, struct json_value row, struct json_writer *w)
{
	struct slice user = row_text(c, row, "userId"), code = row_text(c, row, "code"), field = row_text(c, row, "field");

	json_begin_object(w);
	json_name(w, "row");
	json_put_i64(w, row_i64(row, "row"));
	json_name(w, "line");
	json_put_i64(w, row_i64(row, "line"));
	json_name(w, "status");
	json_put_str(w, user.len > 0 ? "CREATED" : "FAILED");
	if (user.len > 0) {
		json_name(w, "userId");
		json_put_string(w, user);
	} else {
		json_name(w, "code");
		json_put_string(w, code);
		if (field.len > 0) {
			json_name(w, "field");
			json_put_string(w, field);
		}
		json_name(w, "message");
		json_put_str(w, action_made(c, arena_printf(c->arena, "%s%.*s%s%s", field.len > 0 ? "/" : "", SLICE_ARG(field),
		    field.len > 0 ? ": " : "", message_of(code, field.len > 0))));
	}
	json_end_object(w);
}

/* What the read model has, and `rows` behind it. */
static void write_import(struct action *c, struct json_value import, struct json_value rows)
{
	struct json_writer w = action_answer(c, 200);
	struct json_reader r;
	struct json_value v;
	struct slice name;

	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	json_enter(&r, import);
	while (json_next(&r, &name, &v)) {
		json_name(&w, action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(name))));
		json_put_raw(&w, v.text);
	}
	json_name(&w, "rows");
	json_begin_array(&w);
	json_enter(&r, rows);
	while (json_next(&r, NULL, &v))
		write_row(c, v, &w);
	json_end_array(&w);
	json_end_object(&w);
	json_end_object(&w);
}

static void run_look(struct action *c)
{
	const struct params_user_import *params = c->rq->data;
	struct action_param of[] = {{"id", http_request_param(c->rq, "id"), 0}, {"from", {0}, params->from},
	    {"limit", {0}, params->limit}};
	struct json_value import, rows;
	int rc = action_row(c, "user_import_by_id", of, 1, &import);

	if (rc == 0)
		rc = action_rows(c, "user_import_rows", of, 3, &rows);
	if (rc == 0)
		write_import(c, import, rows);
	else if (rc == ERR_NOT_FOUND)
		action_fail(c, 404, "not_found", "There is no such import.", "导入任务不存在");
	else
		action_fail_err(c, rc);
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

static void list_imports(struct http_request *rq)
{
	api_list(rq, "user_imports", NULL, 0);
}

static const struct api_list_doc list_doc = {"user_imports", NULL};

const struct route api_user_import_routes[] = {
	{HTTP_POST, PATH, start_import, "users:write", .flags = ROUTE_NO_ETAG, .body_max = IMPORT_BYTES_MAX, .answer = "object",
	    .success = "202", .tag = "users", .summary = "Give many an account: a CSV file of at most 1 MiB and 5,000 rows"},
	{HTTP_GET, PATH, list_imports, "users:write", .answer = "UserImportList", .tag = "users",
	    .summary = "Files of accounts that were sent, and how far each is", .extra = &list_doc},
	{HTTP_GET, PATH "/{id}", look_at_import, "users:write", .flags = ROUTE_NO_ETAG, .params = &schema_params_user_import,
	    .answer = "object", .tag = "users", .summary = "How far an import is, and what became of its rows"},
	{0},
};
