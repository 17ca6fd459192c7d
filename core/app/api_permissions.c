/*
 * The catalogue of permissions, and rules of how far those of a resource reach
 * (functional-spec 13.5). What the program's own routes ask for is in it always
 * and cannot be changed. Both count for everybody: only who may everything
 * holds permissions:write.
 */
#include "app/api.h"
#include "app/api_admin.h"
#include "base/err.h"
#include "params.gen.h"
#include "requests.gen.h"

#define NOT_FOUND "Permission not found"
#define RULE_NOT_FOUND "Data permission rule not found"

/* ---- permissions: looking -------------------------------------------------------------------------- */

static bool find(struct action *c, const char *query, struct slice id, const char *missing, struct json_value *ret)
{
	int rc = action_row(c, query, (struct action_param[]){{"id", id, 0}}, 1, ret);

	if (rc == ERR_NOT_FOUND)
		return admin_missing(c, missing);
	return action_ok(c, rc);
}

static struct slice or_empty(struct slice text)
{
	return text.len > 0 ? text : SLICE("");
}

static void run_list(struct action *c)
{
	struct params_permissions q;
	struct action_param of[8] = {{0}};

	if (!admin_params(c, &schema_params_permissions, &q))
		return;
	of[0] = (struct action_param){"name", or_empty(q.name), 0};
	of[1] = (struct action_param){"code", or_empty(q.code), 0};
	of[2] = (struct action_param){"resource", or_empty(q.resource), 0};
	of[3] = (struct action_param){"parent", or_empty(q.parent_id), 0};
	of[4] = (struct action_param){"type", or_empty(q.type), 0};
	of[5] = (struct action_param){"active", {0}, q.has_active ? q.active : -1};
	admin_page(c, "permissions_page", of, 6, q.page, q.has_limit ? q.limit : q.page_size);
}

static void run_tree(struct action *c)
{
	struct json_value rows;
	int rc = action_rows(c, "permissions_tree", NULL, 0, &rows);

	if (rc != 0)
		action_fail_err(c, rc);
	else
		admin_tree(c, rows);
}

static void answer_one(struct action *c, struct slice name)
{
	struct json_value row;

	if (find(c, "permission_by_name", name, NOT_FOUND, &row))
		admin_answer_row(c, 200, "permission_by_name", name);
}

static void run_get(struct action *c)
{
	answer_one(c, http_request_param(c->rq, "id"));
}

static void run_get_by_code(struct action *c)
{
	answer_one(c, http_request_param(c->rq, "code"));
}

/* ---- permissions: changing --------------------------------------------------------------------------- */

static bool check_parent(struct action *c, struct slice id, struct slice parent)
{
	struct json_value row;

	if (parent.len == 0)
		return true;
	return find(c, "permission_by_name", parent, "Parent permission not found", &row) &&
	    (slice_eq(row_text(c, row, "id"), parent) || admin_missing(c, "Parent permission not found")) &&
	    admin_check_parent(c, "permission_line", NULL, id, parent, "Permission cannot be below itself");
}

static bool code_exists(struct action *c, struct slice code)
{
	struct json_value row;
	int rc = action_row(c, "permission_by_name", (struct action_param[]){{"id", code, 0}}, 1, &row);

	if (rc == 0)
		return !admin_taken(c, arena_printf(c->arena, "Permission code \"%.*s\" already exists", SLICE_ARG(code)));
	return rc != ERR_NOT_FOUND && !action_fail_err(c, rc);
}

static void run_create(struct action *c)
{
	struct request_permission_create body;
	struct event_permission_created data;
	struct action_events e = {.c = c};
	struct slice id;

	if (!rights_in(c, "permissions:write", (struct slice){0}, NULL) ||
	    !action_read(c, &schema_request_permission_create, &body))
		return;
	if (!slice_is(body.code,
	        action_made(c, arena_printf(c->arena, "%.*s:%.*s", SLICE_ARG(body.resource), SLICE_ARG(body.action))))) {
		admin_refuse(c, "invalid", "The code is resource:action");
		return;
	}
	if (code_exists(c, body.code) || !check_parent(c, (struct slice){0}, body.parent_id))
		return;
	id = admin_new_id(c);
	if (id.len == 0)
		return;
	data = (struct event_permission_created){.permission_id = id, .code = body.code, .name = body.name,
	    .description = admin_text(c, "", body.description, (struct slice){0}), .resource = body.resource,
	    .action = body.action, .type = body.type.len > 0 ? body.type : SLICE("MENU"),
	    .parent_id = admin_text(c, "", body.parent_id, (struct slice){0}), .level = body.has_level ? body.level : 1,
	    .sort_order = body.has_sort_order ? body.sort_order : 0, .active = !body.has_active || body.active};
	action_event(&e, EVENT_PERMISSION_CREATED, &data, NULL, NULL);
	if (admin_append(&e, arena_printf(c->arena, "Permission code \"%.*s\" already exists", SLICE_ARG(body.code))))
		admin_answer_row(c, 201, "permission_by_name", id);
}

/* One that may be changed; false: the answer is set. */
static bool find_to_change(struct action *c, struct json_value *ret)
{
	if (!rights_in(c, "permissions:write", (struct slice){0}, NULL) ||
	    !find(c, "permission_by_name", http_request_param(c->rq, "id"), NOT_FOUND, ret))
		return false;
	return !row_bool(*ret, "builtIn") || admin_refuse(c, "built_in", "Cannot change permissions of the system");
}

static void run_update(struct action *c)
{
	struct request_permission_update body;
	struct event_permission_changed data;
	struct action_events e = {.c = c};
	struct json_value row;
	struct slice parent;

	if (!find_to_change(c, &row) || !action_read(c, &schema_request_permission_update, &body))
		return;
	parent = admin_text(c, "parentId", body.parent_id, row_text(c, row, "parent"));
	if (!check_parent(c, row_text(c, row, "id"), parent))
		return;
	data = (struct event_permission_changed){.permission_id = row_text(c, row, "id"), .code = row_text(c, row, "code"),
	    .name = body.name.len > 0 ? body.name : row_text(c, row, "name"),
	    .description = admin_text(c, "description", body.description, row_text(c, row, "description")),
	    .resource = row_text(c, row, "resource"), .action = row_text(c, row, "action"),
	    .type = body.type.len > 0 ? body.type : row_text(c, row, "type"), .parent_id = parent,
	    .level = body.has_level ? body.level : row_i64(row, "level"),
	    .sort_order = body.has_sort_order ? body.sort_order : row_i64(row, "sortOrder"),
	    .active = body.has_active ? body.active : row_bool(row, "active")};
	action_event(&e, EVENT_PERMISSION_CHANGED, &data, NULL, NULL);
	if (admin_append(&e, ""))
		admin_answer_row(c, 200, "permission_by_name", data.permission_id);
}

static void run_delete(struct action *c)
{
	struct event_permission_deleted data;
	struct action_events e = {.c = c};
	struct json_value row;

	if (!find_to_change(c, &row))
		return;
	if (row_i64(row, "children") > 0) {
		admin_refuse(c, "in_use", "Cannot delete permission with child permissions");
		return;
	}
	data = (struct event_permission_deleted){.permission_id = row_text(c, row, "id"), .code = row_text(c, row, "code")};
	action_event(&e, EVENT_PERMISSION_DELETED, &data, NULL, NULL);
	if (admin_append(&e, ""))
		c->status = 204;
}

/* ---- data rules ----------------------------------------------------------------------------------------- */

static void run_rules(struct action *c)
{
	struct params_data_rules q;
	struct action_param of[6] = {{0}};

	if (!admin_params(c, &schema_params_data_rules, &q))
		return;
	of[0] = (struct action_param){"name", or_empty(q.name), 0};
	of[1] = (struct action_param){"code", or_empty(q.code), 0};
	of[2] = (struct action_param){"resource", or_empty(q.resource), 0};
	of[3] = (struct action_param){"active", {0}, q.has_active ? q.active : -1};
	admin_page(c, "data_rules_page", of, 4, q.page, q.has_limit ? q.limit : q.page_size);
}

static void answer_rule(struct action *c, struct slice name)
{
	struct json_value row;

	if (find(c, "data_rule_by_name", name, RULE_NOT_FOUND, &row))
		admin_answer_row(c, 200, "data_rule_by_name", name);
}

static void run_rule(struct action *c)
{
	answer_rule(c, http_request_param(c->rq, "id"));
}

static void run_rule_by_code(struct action *c)
{
	answer_rule(c, http_request_param(c->rq, "code"));
}

/* What a condition says: {"scope":"OWN"}. Others are refused, since nobody would act on them. */
static bool read_condition(struct action *c, struct slice condition, struct slice *ret_scope)
{
	static const char *const scopes[] = {"OWN", "DEPARTMENT", "ORGANIZATION"};
	struct json_value root, v, other;
	struct json_reader r;
	struct slice name, scope = {0};

	if (json_scan(condition, NULL, NULL) != 0)
		return admin_refuse(c, "invalid", "condition must be JSON");
	root = json_root(condition);
	if (root.type != JSON_OBJECT || !json_member(root, "scope", &v) || v.type != JSON_STRING ||
	    json_string(v, c->arena, &scope) != 0)
		return admin_refuse(c, "invalid", "condition must be an object with scope: OWN, DEPARTMENT or ORGANIZATION");
	json_enter(&r, root);
	while (json_next(&r, &name, &other))
		if (!json_name_is(name, SLICE("scope")))
			return admin_refuse(c, "invalid", "condition has members other than scope, which nothing acts on");
	for (size_t i = 0; i < sizeof(scopes) / sizeof(scopes[0]); i++)
		if (slice_is(scope, scopes[i])) {
			*ret_scope = slice_str(scopes[i]);
			return true;
		}
	return admin_refuse(c, "invalid", "scope must be OWN, DEPARTMENT or ORGANIZATION");
}

static void run_rule_create(struct action *c)
{
	struct request_data_rule_create body;
	struct event_data_rule_created data;
	struct action_events e = {.c = c};
	struct slice id, scope;

	if (!rights_in(c, "permissions:write", (struct slice){0}, NULL) ||
	    !action_read(c, &schema_request_data_rule_create, &body) || !read_condition(c, body.condition, &scope))
		return;
	id = admin_new_id(c);
	if (id.len == 0)
		return;
	data = (struct event_data_rule_created){.rule_id = id, .code = body.code, .name = body.name,
	    .description = admin_text(c, "", body.description, (struct slice){0}), .resource = body.resource,
	    .condition = body.condition, .data_scope = scope, .active = !body.has_active || body.active};
	action_event(&e, EVENT_DATA_RULE_CREATED, &data, NULL, NULL);
	if (admin_append(&e, arena_printf(c->arena, "Data permission rule code \"%.*s\" already exists", SLICE_ARG(body.code))))
		admin_answer_row(c, 201, "data_rule_by_name", id);
}

static void run_rule_update(struct action *c)
{
	struct request_data_rule_update body;
	struct event_data_rule_changed data;
	struct action_events e = {.c = c};
	struct json_value row;
	struct slice scope;

	if (!rights_in(c, "permissions:write", (struct slice){0}, NULL) ||
	    !find(c, "data_rule_by_name", http_request_param(c->rq, "id"), RULE_NOT_FOUND, &row) ||
	    !action_read(c, &schema_request_data_rule_update, &body) ||
	    !read_condition(c, body.condition.len > 0 ? body.condition : row_text(c, row, "condition"), &scope))
		return;
	data = (struct event_data_rule_changed){.rule_id = row_text(c, row, "id"), .code = row_text(c, row, "code"),
	    .name = body.name.len > 0 ? body.name : row_text(c, row, "name"),
	    .description = admin_text(c, "description", body.description, row_text(c, row, "description")),
	    .resource = body.resource.len > 0 ? body.resource : row_text(c, row, "resource"),
	    .condition = body.condition.len > 0 ? body.condition : row_text(c, row, "condition"), .data_scope = scope,
	    .active = body.has_active ? body.active : row_bool(row, "active")};
	action_event(&e, EVENT_DATA_RULE_CHANGED, &data, NULL, NULL);
	if (admin_append(&e, ""))
		admin_answer_row(c, 200, "data_rule_by_name", data.rule_id);
}

static void run_rule_delete(struct action *c)
{
	struct event_data_rule_deleted data;
	struct action_events e = {.c = c};
	struct json_value row;

	if (!rights_in(c, "permissions:write", (struct slice){0}, NULL) ||
	    !find(c, "data_rule_by_name", http_request_param(c->rq, "id"), RULE_NOT_FOUND, &row))
		return;
	data = (struct event_data_rule_deleted){.rule_id = row_text(c, row, "id"), .code = row_text(c, row, "code")};
	action_event(&e, EVENT_DATA_RULE_DELETED, &data, NULL, NULL);
	if (admin_append(&e, ""))
		c->status = 204;
}

/* ---- routes ----------------------------------------------------------------------------------------------- */

static void list(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_list);
}

static void tree(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_tree);
}

static void get(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_get);
}

static void get_by_code(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_get_by_code);
}

static void create(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_create);
}

static void update(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_update);
}

static void delete(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_delete);
}

static void rules(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_rules);
}

static void rule(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_rule);
}

static void rule_by_code(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_rule_by_code);
}

static void rule_create(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_rule_create);
}

static void rule_update(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_rule_update);
}

static void rule_delete(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_rule_delete);
}

#define READ "permissions:read", 0
#define WRITE "permissions:write", 0
#define TAG .tag = "permissions"

const struct route api_permissions_routes[] = {
	ADMIN_ROUTES(HTTP_POST, "/permissions", create, WRITE, .request = &schema_request_permission_create, .answer = "object",
	    .success = "201", TAG, .summary = "Add a permission to the catalogue"),
	ADMIN_ROUTES(HTTP_GET, "/permissions", list, READ, .params = &schema_params_permissions, .answer = "object", TAG,
	    .summary = "The catalogue of permissions"),
	ADMIN_ROUTES(HTTP_GET, "/permissions/tree", tree, READ, .answer = "object", TAG, .summary = "Active ones as a tree"),
	ADMIN_ROUTES(HTTP_GET, "/permissions/code/{code}", get_by_code, READ, .answer = "object", TAG,
	    .summary = "One permission by its code"),
	ADMIN_ROUTES(HTTP_GET, "/permissions/{id}", get, READ, .answer = "object", TAG, .summary = "One permission"),
	ADMIN_ROUTES(HTTP_PUT, "/permissions/{id}", update, WRITE, .request = &schema_request_permission_update,
	    .answer = "object", TAG, .summary = "Change a permission"),
	ADMIN_ROUTES(HTTP_DELETE, "/permissions/{id}", delete, WRITE, .success = "204", TAG,
	    .summary = "Delete a permission: no role gives it any more"),
	ADMIN_ROUTES(HTTP_POST, "/data-permission-rules", rule_create, WRITE, .request = &schema_request_data_rule_create,
	    .answer = "object", .success = "201", TAG, .summary = "Make a rule of how far permissions of a resource reach"),
	ADMIN_ROUTES(HTTP_GET, "/data-permission-rules", rules, READ, .params = &schema_params_data_rules, .answer = "object",
	    TAG, .summary = "Rules of reach"),
	ADMIN_ROUTES(HTTP_GET, "/data-permission-rules/code/{code}", rule_by_code, READ, .answer = "object", TAG,
	    .summary = "One rule by its code"),
	ADMIN_ROUTES(HTTP_GET, "/data-permission-rules/{id}", rule, READ, .answer = "object", TAG, .summary = "One rule"),
	ADMIN_ROUTES(HTTP_PUT, "/data-permission-rules/{id}", rule_update, WRITE, .request = &schema_request_data_rule_update,
	    .answer = "object", TAG, .summary = "Change a rule"),
	ADMIN_ROUTES(HTTP_DELETE, "/data-permission-rules/{id}", rule_delete, WRITE, .success = "204", TAG,
	    .summary = "Delete a rule"),
	{0},
};
