/*
 * Organisations, a tree (functional-spec 13.1). Who holds orgs:write in one
 * changes what it is called; where it stands, whether it is in use and that it
 * exists is decided by who holds it everywhere.
 */
#include "app/api.h"
#include "app/api_admin.h"
#include "base/err.h"
#include "params.gen.h"
#include "requests.gen.h"

#define NOT_FOUND "Organization not found"
#define CODE_TAKEN "Organization code already exists"

/* ---- reading ---------------------------------------------------------------------------------- */

/* For who may: the row, deleted ones only where wanted; false: the 403 or 404 is set. */
static bool find(struct action *c, const char *permission, bool deleted_too, struct json_value *ret)
{
	struct slice id = http_request_param(c->rq, "orgId");
	int rc;

	if (!rights_in(c, permission, id, NULL))
		return false;
	rc = action_row(c, "org_by_id", (struct action_param[]){{"id", id, 0}}, 1, ret);
	if (rc == ERR_NOT_FOUND || (rc == 0 && !deleted_too && row_bool(*ret, "deleted")))
		return admin_missing(c, NOT_FOUND);
	return action_ok(c, rc);
}

static void run_list(struct action *c)
{
	struct params_orgs q;
	struct action_param of[5] = {{0}};
	struct slice orgs;
	bool all;

	if (!admin_params(c, &schema_params_orgs, &q))
		return;
	orgs = rights_orgs(c, "orgs:read", &all);
	of[0] = (struct action_param){"all", {0}, all};
	of[1] = (struct action_param){"orgs", orgs, 0};
	of[2] = (struct action_param){"keyword", q.keyword.len > 0 ? q.keyword : SLICE(""), 0};
	admin_page(c, "orgs_page", of, 3, q.page, q.has_limit ? q.limit : q.page_size);
}

static void run_get(struct action *c)
{
	struct json_value row;

	if (find(c, "orgs:read", true, &row))
		admin_answer_row(c, 200, "org_by_id", http_request_param(c->rq, "orgId"));
}

static int org_counts(struct action *c, struct json_value *ret)
{
	struct action_param of[] = {{"id", http_request_param(c->rq, "orgId"), 0}, {"now", {0}, clock_wall_ms(c->app->clock)}};

	return action_row(c, "org_stats", of, 2, ret);
}

static void run_stats(struct action *c)
{
	static const char *const counts[] = {"totalUsers", "totalDepartments", "disabledUsers", "activeUsers", "adminUsers",
	    "totalApiKeys", "activeApiKeys"};
	struct json_value row, stats;
	struct json_writer w;
	int rc;

	if (!find(c, "orgs:read", false, &row))
		return;
	rc = org_counts(c, &stats);
	if (!action_ok(c, rc))
		return;
	w = action_answer(c, 200);
	json_begin_object(&w);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		json_name(&w, counts[i]);
		json_put_i64(&w, row_i64(stats, counts[i]));
	}
	json_end_object(&w);
}

/* ---- changing ----------------------------------------------------------------------------------- */

static bool check_parent(struct action *c, struct slice id, struct slice parent)
{
	struct json_value row;
	int rc;

	if (parent.len == 0)
		return true;
	rc = action_row(c, "org_by_id", (struct action_param[]){{"id", parent, 0}}, 1, &row);
	if (rc == ERR_NOT_FOUND || (rc == 0 && row_bool(row, "deleted")))
		return admin_missing(c, "Parent organization not found");
	if (rc != 0)
		return action_fail_err(c, rc);
	return admin_check_parent(c, "org_line", id.len > 0 ? "org_depth_below" : NULL, id, parent,
	    "Organization cannot be below itself");
}

static void run_create(struct action *c)
{
	struct request_org_create body;
	struct action_events e = {.c = c};
	struct event_org_created data;
	struct slice id;

	if (!rights_in(c, "orgs:write", (struct slice){0}, NULL) || !action_read(c, &schema_request_org_create, &body) ||
	    !check_parent(c, (struct slice){0}, body.parent_id))
		return;
	id = admin_new_id(c);
	if (id.len == 0)
		return;
	data = (struct event_org_created){.org_id = id, .name = body.name, .code = body.code,
	    .description = admin_text(c, "description", body.description, (struct slice){0}),
	    .logo = admin_text(c, "logo", body.logo, (struct slice){0}),
	    .parent_id = admin_text(c, "parentId", body.parent_id, (struct slice){0}),
	    .sort_order = body.has_sort_order ? body.sort_order : 0, .active = !body.has_active || body.active};
	action_event(&e, EVENT_ORG_CREATED, &data, NULL, NULL);
	if (admin_append(&e, CODE_TAKEN))
		admin_answer_row(c, 201, "org_by_id", id);
}

/* From what it is: every event of a change tells all of it. */
static struct event_org_changed as_it_is(struct action *c, struct json_value row)
{
	return (struct event_org_changed){.org_id = row_text(c, row, "id"), .name = row_text(c, row, "name"),
	    .code = row_text(c, row, "code"), .description = row_text(c, row, "description"),
	    .logo = row_text(c, row, "logo"), .parent_id = row_text(c, row, "parent"),
	    .sort_order = row_i64(row, "sortOrder"), .active = row_bool(row, "active")};
}

/* Empty texts are absent in an event. */
static void append_change(struct action *c, struct event_org_changed *data)
{
	struct action_events e = {.c = c};

	data->description = admin_text(c, "", data->description, (struct slice){0});
	data->logo = admin_text(c, "", data->logo, (struct slice){0});
	data->parent_id = admin_text(c, "", data->parent_id, (struct slice){0});
	action_event(&e, EVENT_ORG_CHANGED, data, NULL, NULL);
	if (admin_append(&e, CODE_TAKEN))
		admin_answer_row(c, 200, "org_by_id", data->org_id);
}

static void run_update(struct action *c)
{
	struct request_org_update body;
	struct event_org_changed data;
	struct json_value row;
	struct slice parent;

	if (!find(c, "orgs:write", false, &row) || !action_read(c, &schema_request_org_update, &body))
		return;
	data = as_it_is(c, row);
	parent = admin_text(c, "parentId", body.parent_id, data.parent_id);
	if ((!slice_eq(parent, data.parent_id) || (body.has_active && body.active != data.active)) &&
	    !rights_in(c, "orgs:write", (struct slice){0}, NULL))
		return;
	if (!slice_eq(parent, data.parent_id) && !check_parent(c, data.org_id, parent))
		return;
	if (body.code.len > 0 && !slice_eq(body.code, data.code)) {
		data.claimed_code = body.code;
		data.released_code = data.code;
		data.code = body.code;
	}
	data.name = body.name.len > 0 ? body.name : data.name;
	data.description = admin_text(c, "description", body.description, data.description);
	data.logo = admin_text(c, "logo", body.logo, data.logo);
	data.parent_id = parent;
	data.sort_order = body.has_sort_order ? body.sort_order : data.sort_order;
	data.active = body.has_active ? body.active : data.active;
	append_change(c, &data);
}

static void run_status(struct action *c)
{
	struct request_active_status body;
	struct event_org_changed data;
	struct json_value row;

	if (!rights_in(c, "orgs:write", (struct slice){0}, NULL) || !find(c, "orgs:write", false, &row) ||
	    !action_read(c, &schema_request_active_status, &body))
		return;
	data = as_it_is(c, row);
	data.active = body.active;
	append_change(c, &data);
}

static void run_delete(struct action *c)
{
	struct slice id = http_request_param(c->rq, "orgId");
	struct event_org_deleted data = {.org_id = id};
	struct action_events e = {.c = c};
	struct json_value row, stats;
	int rc;

	if (!rights_in(c, "orgs:write", (struct slice){0}, NULL) || !find(c, "orgs:write", false, &row))
		return;
	rc = org_counts(c, &stats);
	if (!action_ok(c, rc))
		return;
	if (row_i64(stats, "children") > 0) {
		admin_refuse(c, "in_use", "Cannot delete organization with child organizations");
		return;
	}
	if (row_i64(stats, "totalUsers") > 0) {
		admin_refuse(c, "in_use", "Cannot delete organization with members");
		return;
	}
	action_event(&e, EVENT_ORG_DELETED, &data, NULL, NULL);
	if (admin_append(&e, CODE_TAKEN))
		c->status = 204;
}

/* ---- routes --------------------------------------------------------------------------------------- */

static void list(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_list);
}

static void get(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_get);
}

static void stats(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_stats);
}

static void create(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_create);
}

static void update(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_update);
}

static void set_status(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_status);
}

static void delete(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_delete);
}

#define TAG .tag = "organisations"

const struct route api_orgs_routes[] = {
	ADMIN_ROUTES(HTTP_POST, "/orgs", create, "orgs:write", 0, .request = &schema_request_org_create, .answer = "object",
	    .success = "201", TAG, .summary = "Found an organisation"),
	ADMIN_ROUTES(HTTP_GET, "/orgs", list, "orgs:read", ROUTE_SCOPED, .params = &schema_params_orgs, .answer = "object", TAG,
	    .summary = "Organisations the caller may see"),
	ADMIN_ROUTES(HTTP_GET, "/orgs/{orgId}", get, "orgs:read", ROUTE_SCOPED, .answer = "object", TAG,
	    .summary = "One organisation"),
	ADMIN_ROUTES(HTTP_PUT, "/orgs/{orgId}", update, "orgs:write", ROUTE_SCOPED, .request = &schema_request_org_update,
	    .answer = "object", TAG, .summary = "Change an organisation"),
	ADMIN_ROUTES(HTTP_DELETE, "/orgs/{orgId}", delete, "orgs:write", 0, .success = "204", TAG,
	    .summary = "Delete an organisation that has no members"),
	ADMIN_ROUTES(HTTP_PATCH, "/orgs/{orgId}/status", set_status, "orgs:write", 0, .request = &schema_request_active_status,
	    .answer = "object", TAG, .summary = "Let an organisation rest, or use it again"),
	ADMIN_ROUTES(HTTP_GET, "/orgs/{orgId}/stats", stats, "orgs:read", ROUTE_SCOPED, .answer = "object", TAG,
	    .summary = "Counts of an organisation"),
	{0},
};
