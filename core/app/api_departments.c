/*
 * Departments, a tree in each organisation (functional-spec 13.2). Whose rights
 * reach their departments only changes what lies below these.
 */
#include "app/api.h"
#include "app/api_admin.h"
#include "base/err.h"
#include "params.gen.h"
#include "requests.gen.h"

#define NOT_FOUND "Department not found"
#define CODE_TAKEN "Department code already exists"

/* ---- looking ------------------------------------------------------------------------------------ */

/* Is a department of that organisation within the caller's reach? False: the answer is set. */
static bool in_reach(struct action *c, struct slice org, struct slice department, enum data_scope scope, const char *missing)
{
	struct action_param of[] = {{"caller", caller_id(c), 0}, {"org", org, 0}, {"scope", {0}, (int64_t)scope},
	    {"departments", admin_json_texts(c, &department, 1), 0}};
	struct json_value rows, row;
	struct json_reader r;
	int rc = action_rows(c, "departments_out_of_reach", of, 4, &rows);

	if (rc != 0)
		return action_fail_err(c, rc);
	json_enter(&r, rows);
	if (!json_next(&r, NULL, &row))
		return true;
	if (row_bool(row, "missing"))
		return admin_missing(c, missing);
	return action_fail(c, 403, "forbidden", "This department is out of your reach.", "没有权限");
}

/* The department of the path for who may; false: the 403 or 404 is set. Whether it exists is told to nobody else. */
static bool find(struct action *c, const char *permission, bool deleted_too, struct json_value *ret,
    enum data_scope *ret_scope)
{
	struct slice id = http_request_param(c->rq, "deptId");
	int rc = action_row(c, "department_by_id", (struct action_param[]){{"id", id, 0}}, 1, ret);
	struct slice org = rc == 0 ? row_text(c, *ret, "org") : SLICE("-");

	if (rc != 0 && rc != ERR_NOT_FOUND)
		return action_fail_err(c, rc);
	if (!rights_in(c, permission, org, ret_scope))
		return false;
	if (rc == ERR_NOT_FOUND || (row_bool(*ret, "deleted") && !deleted_too))
		return admin_missing(c, NOT_FOUND);
	return *ret_scope >= SCOPE_ORGANIZATION || in_reach(c, org, id, *ret_scope, NOT_FOUND);
}

static void run_list(struct action *c)
{
	struct slice org = http_request_param(c->rq, "orgId");
	struct params_departments q;
	enum data_scope scope;
	struct action_param of[7] = {{"caller", caller_id(c), 0}, {"org", org, 0}};

	if (!rights_in(c, "departments:read", org, &scope) || !admin_org_exists(c, org) ||
	    !admin_params(c, &schema_params_departments, &q))
		return;
	of[2] = (struct action_param){"scope", {0}, (int64_t)scope};
	of[3] = (struct action_param){"parent", q.parent_id.len > 0 ? q.parent_id : SLICE(""), 0};
	of[4] = (struct action_param){"level", {0}, q.has_level ? q.level : 0};
	admin_page(c, "departments_page", of, 5, q.page, q.has_limit ? q.limit : q.page_size);
}

static void run_tree(struct action *c)
{
	struct slice org = http_request_param(c->rq, "orgId");
	enum data_scope scope;
	struct json_value rows;
	int rc;

	if (!rights_in(c, "departments:read", org, &scope) || !admin_org_exists(c, org))
		return;
	rc = action_rows(c, "departments_tree",
	    (struct action_param[]){{"caller", caller_id(c), 0}, {"org", org, 0}, {"scope", {0}, (int64_t)scope}}, 3, &rows);
	if (rc != 0)
		action_fail_err(c, rc);
	else
		admin_tree(c, rows);
}

static void run_get(struct action *c)
{
	struct json_value row;
	enum data_scope scope;

	if (find(c, "departments:read", true, &row, &scope))
		admin_answer_row(c, 200, "department_by_id", http_request_param(c->rq, "deptId"));
}

static void run_members(struct action *c)
{
	struct params_department_members q;
	struct json_value row;
	enum data_scope scope;
	struct action_param of[6] = {{"caller", caller_id(c), 0}, {"id", http_request_param(c->rq, "deptId"), 0}};

	if (!find(c, "departments:read", false, &row, &scope) ||
	    !rights_in(c, "members:read", row_text(c, row, "org"), &scope) ||
	    !admin_params(c, &schema_params_department_members, &q))
		return;
	of[2] = (struct action_param){"scope", {0}, (int64_t)scope};
	of[3] = (struct action_param){"children", {0}, q.has_include_children && q.include_children};
	admin_page(c, "department_members", of, 4, q.page, q.has_limit ? q.limit : q.page_size);
}

static void run_ancestors(struct action *c)
{
	struct slice id = http_request_param(c->rq, "deptId");
	struct json_value row, rows;
	struct json_reader r;
	struct json_writer w;
	enum data_scope scope;
	int rc;

	if (!find(c, "departments:read", false, &row, &scope))
		return;
	rc = action_rows(c, "department_line", (struct action_param[]){{"id", id, 0}}, 1, &rows);
	if (!action_ok(c, rc))
		return;
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, "items");
	json_begin_array(&w);
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		if (slice_eq(row_text(c, row, "id"), id))
			continue;
		json_begin_object(&w);
		json_name(&w, "id");
		json_put_string(&w, row_text(c, row, "id"));
		json_name(&w, "name");
		json_put_string(&w, row_text(c, row, "name"));
		json_name(&w, "code");
		json_put_string(&w, row_text(c, row, "code"));
		json_name(&w, "level");
		json_put_i64(&w, row_i64(row, "level"));
		json_end_object(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
}

static void run_children(struct action *c)
{
	struct json_value row;
	struct json_writer w;
	enum data_scope scope;
	int rc;

	if (!find(c, "departments:read", false, &row, &scope))
		return;
	rc = action_row(c, "department_children",
	    (struct action_param[]){{"id", http_request_param(c->rq, "deptId"), 0}}, 1, &row);
	if (!action_ok(c, rc))
		return;
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, "items");
	json_put_raw(&w, admin_row_json(row, "items"));
	json_end_object(&w);
}

/* ---- changing ------------------------------------------------------------------------------------- */

/* A parent of the same organisation, without circles, and within reach: at the top is the whole organisation's business. */
static bool check_parent(struct action *c, struct slice org, struct slice id, struct slice parent, enum data_scope scope)
{
	struct json_value row;
	int rc;

	if (parent.len == 0)
		return scope >= SCOPE_ORGANIZATION ||
		    action_fail(c, 403, "forbidden", "Your rights reach parts of the organisation only.", "没有权限");
	if (id.len > 0 && slice_eq(id, parent))
		return admin_refuse(c, "circle", "Department cannot be its own parent");
	rc = action_row(c, "department_by_id", (struct action_param[]){{"id", parent, 0}}, 1, &row);
	if (rc == ERR_NOT_FOUND || (rc == 0 && row_bool(row, "deleted")))
		return admin_missing(c, "Parent department not found");
	if (rc != 0)
		return action_fail_err(c, rc);
	if (!slice_eq(row_text(c, row, "org"), org))
		return admin_refuse(c, "foreign", "Parent department must belong to the same organization");
	return in_reach(c, org, parent, scope, "Parent department not found") &&
	    admin_check_parent(c, "department_line", id.len > 0 ? "department_depth_below" : NULL, id, parent,
	        "Department cannot be below itself");
}

static bool check_leader(struct action *c, struct slice org, struct slice user)
{
	struct json_value row;
	int rc;

	if (user.len == 0)
		return true;
	rc = action_row(c, "member_of_org", (struct action_param[]){{"org", org, 0}, {"user", user, 0}}, 2, &row);
	if (rc == ERR_NOT_FOUND)
		return admin_refuse(c, "foreign", "The leader is not a member of the organization");
	return action_ok(c, rc);
}

static void run_create(struct action *c)
{
	struct slice org = http_request_param(c->rq, "orgId"), id;
	struct request_department_create body;
	struct event_department_created data;
	struct action_events e = {.c = c};
	enum data_scope scope;

	if (!rights_in(c, "departments:write", org, &scope) || !admin_org_exists(c, org) ||
	    !action_read(c, &schema_request_department_create, &body) ||
	    !check_parent(c, org, (struct slice){0}, body.parent_id, scope) || !check_leader(c, org, body.leader_user_id))
		return;
	id = admin_new_id(c);
	if (id.len == 0)
		return;
	data = (struct event_department_created){.department_id = id, .org_id = org, .name = body.name, .code = body.code,
	    .description = admin_text(c, "description", body.description, (struct slice){0}),
	    .parent_id = admin_text(c, "parentId", body.parent_id, (struct slice){0}),
	    .leader_id = admin_text(c, "leaderUserId", body.leader_user_id, (struct slice){0}),
	    .sort_order = body.has_sort_order ? body.sort_order : 0, .active = !body.has_active || body.active};
	action_event(&e, EVENT_DEPARTMENT_CREATED, &data, NULL, NULL);
	if (admin_append(&e, CODE_TAKEN))
		admin_answer_row(c, 201, "department_by_id", id);
}

/* From what it is: every event of a change tells all of it. */
static struct event_department_changed as_it_is(struct action *c, struct json_value row)
{
	return (struct event_department_changed){.department_id = row_text(c, row, "id"), .org_id = row_text(c, row, "org"),
	    .name = row_text(c, row, "name"), .code = row_text(c, row, "code"),
	    .description = row_text(c, row, "description"), .parent_id = row_text(c, row, "parent"),
	    .leader_id = row_text(c, row, "leader"), .sort_order = row_i64(row, "sortOrder"),
	    .active = row_bool(row, "active")};
}

static void append_change(struct action *c, struct event_department_changed *data)
{
	struct action_events e = {.c = c};

	data->description = admin_text(c, "", data->description, (struct slice){0});
	data->parent_id = admin_text(c, "", data->parent_id, (struct slice){0});
	data->leader_id = admin_text(c, "", data->leader_id, (struct slice){0});
	action_event(&e, EVENT_DEPARTMENT_CHANGED, data, NULL, NULL);
	if (admin_append(&e, CODE_TAKEN))
		admin_answer_row(c, 200, "department_by_id", data->department_id);
}

static struct slice code_in(struct action *c, struct slice org, struct slice code)
{
	return slice_str(action_made(c, arena_printf(c->arena, "%.*s:%.*s", SLICE_ARG(org), SLICE_ARG(code))));
}

/* Whose rights reach down from above comes to reach more: what these give, the caller must have for this department. */
static bool check_growth(struct action *c, const struct event_department_changed *data)
{
	struct action_param of[] = {{"id", data->department_id, 0}, {"parent", data->parent_id, 0}};
	struct json_value rows, row;
	struct json_reader r;
	enum data_scope needed;
	int rc;

	if (data->parent_id.len == 0)
		return true;
	rc = action_rows(c, "roles_above", of, 2, &rows);
	if (rc != 0)
		return action_fail_err(c, rc);
	if (!rights_reach(c, data->org_id, admin_json_texts(c, &data->department_id, 1), &needed))
		return false;
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row))
		if (!rights_cover_reach(c, data->org_id, row, needed))
			return false;
	return true;
}

static bool set_parent(struct action *c, struct event_department_changed *data, struct slice parent, enum data_scope scope)
{
	if (slice_eq(parent, data->parent_id))
		return true;
	data->parent_id = parent;
	return check_parent(c, data->org_id, data->department_id, parent, scope) && check_growth(c, data);
}

static void run_update(struct action *c)
{
	struct request_department_update body;
	struct event_department_changed data;
	struct json_value row;
	enum data_scope scope;

	if (!find(c, "departments:write", false, &row, &scope) ||
	    !action_read(c, &schema_request_department_update, &body))
		return;
	data = as_it_is(c, row);
	if (!set_parent(c, &data, admin_text(c, "parentId", body.parent_id, data.parent_id), scope))
		return;
	if (body.code.len > 0 && !slice_eq(body.code, data.code)) {
		data.claimed_code = code_in(c, data.org_id, body.code);
		data.released_code = code_in(c, data.org_id, data.code);
		data.code = body.code;
	}
	data.name = body.name.len > 0 ? body.name : data.name;
	data.description = admin_text(c, "description", body.description, data.description);
	data.leader_id = admin_text(c, "leaderUserId", body.leader_user_id, data.leader_id);
	data.sort_order = body.has_sort_order ? body.sort_order : data.sort_order;
	data.active = body.has_active ? body.active : data.active;
	if (check_leader(c, data.org_id, data.leader_id))
		append_change(c, &data);
}

static void run_move(struct action *c)
{
	struct request_department_move body;
	struct event_department_changed data;
	struct json_value row;
	enum data_scope scope;

	if (!find(c, "departments:write", false, &row, &scope) || !action_read(c, &schema_request_department_move, &body))
		return;
	data = as_it_is(c, row);
	if (!set_parent(c, &data, admin_text(c, "parentId", body.parent_id, data.parent_id), scope))
		return;
	data.sort_order = body.has_sort_order ? body.sort_order : data.sort_order;
	append_change(c, &data);
}

static void run_status(struct action *c)
{
	struct request_active_status body;
	struct event_department_changed data;
	struct json_value row;
	enum data_scope scope;

	if (!find(c, "departments:write", false, &row, &scope) || !action_read(c, &schema_request_active_status, &body))
		return;
	data = as_it_is(c, row);
	data.active = body.active;
	append_change(c, &data);
}

static void run_delete(struct action *c)
{
	struct slice id = http_request_param(c->rq, "deptId");
	struct event_department_deleted data = {.department_id = id};
	struct action_events e = {.c = c};
	struct json_value row, use;
	enum data_scope scope;
	int rc;

	if (!find(c, "departments:write", false, &row, &scope))
		return;
	data.org_id = row_text(c, row, "org");
	rc = action_row(c, "department_in_use", (struct action_param[]){{"id", id, 0}}, 1, &use);
	if (!action_ok(c, rc))
		return;
	if (row_i64(use, "children") > 0) {
		admin_refuse(c, "in_use", "Cannot delete department with child departments");
		return;
	}
	if (row_i64(use, "members") > 0) {
		admin_refuse(c, "in_use", "Cannot delete department with members");
		return;
	}
	action_event(&e, EVENT_DEPARTMENT_DELETED, &data, NULL, NULL);
	if (admin_append(&e, CODE_TAKEN))
		c->status = 204;
}

/* ---- routes ----------------------------------------------------------------------------------------- */

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

static void members(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_members);
}

static void ancestors(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_ancestors);
}

static void children(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_children);
}

static void create(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_create);
}

static void update(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_update);
}

static void move(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_move);
}

static void set_status(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_status);
}

static void delete(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_delete);
}

#define READ "departments:read", ROUTE_SCOPED
#define WRITE "departments:write", ROUTE_SCOPED
#define TAG .tag = "departments"

const struct route api_departments_routes[] = {
	ADMIN_ROUTES(HTTP_POST, "/orgs/{orgId}/departments", create, WRITE, .request = &schema_request_department_create,
	    .answer = "object", .success = "201", TAG, .summary = "Make a department"),
	ADMIN_ROUTES(HTTP_GET, "/orgs/{orgId}/departments", list, READ, .params = &schema_params_departments, .answer = "object",
	    TAG, .summary = "Departments of an organisation"),
	ADMIN_ROUTES(HTTP_GET, "/orgs/{orgId}/departments/tree", tree, READ, .answer = "object", TAG,
	    .summary = "The same as a tree"),
	ADMIN_ROUTES(HTTP_GET, "/departments/{deptId}", get, READ, .answer = "object", TAG, .summary = "One department"),
	ADMIN_ROUTES(HTTP_PUT, "/departments/{deptId}", update, WRITE, .request = &schema_request_department_update,
	    .answer = "object", TAG, .summary = "Change a department"),
	ADMIN_ROUTES(HTTP_DELETE, "/departments/{deptId}", delete, WRITE, .success = "204", TAG,
	    .summary = "Delete an empty department"),
	ADMIN_ROUTES(HTTP_PATCH, "/departments/{deptId}/move", move, WRITE, .request = &schema_request_department_move,
	    .answer = "object", TAG, .summary = "Put a department elsewhere in its tree"),
	ADMIN_ROUTES(HTTP_PATCH, "/departments/{deptId}/status", set_status, WRITE, .request = &schema_request_active_status,
	    .answer = "object", TAG, .summary = "Close or open a department"),
	ADMIN_ROUTES(HTTP_GET, "/departments/{deptId}/members", members, READ, .params = &schema_params_department_members,
	    .answer = "object", TAG, .summary = "Who is in a department"),
	ADMIN_ROUTES(HTTP_GET, "/departments/{deptId}/ancestors", ancestors, READ, .answer = "object", TAG,
	    .summary = "The departments above, from the top"),
	ADMIN_ROUTES(HTTP_GET, "/departments/{deptId}/children", children, READ, .answer = "object", TAG,
	    .summary = "The departments right below"),
	{0},
};
