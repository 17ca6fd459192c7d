/*
 * Roles and who has them (functional-spec 13.4). Roles of the whole system are
 * the program's: nobody changes them. Others belong to an organisation, and
 * what they give holds there. Nobody makes, changes, gives or takes a role that
 * gives more than they have.
 */
#include "app/api.h"
#include "app/api_admin.h"
#include "app/roles.h"
#include "base/err.h"
#include "params.gen.h"
#include "requests.gen.h"

#define NOT_FOUND "Role not found"

static struct slice scope_name(int64_t scope)
{
	return scope == SCOPE_OWN ? SLICE("OWN") : scope == SCOPE_DEPARTMENT ? SLICE("DEPARTMENT") : SLICE("ORGANIZATION");
}

static enum data_scope scope_of(struct slice name)
{
	return slice_is(name, "OWN") ? SCOPE_OWN : slice_is(name, "DEPARTMENT") ? SCOPE_DEPARTMENT : SCOPE_ORGANIZATION;
}

/* ---- looking ------------------------------------------------------------------------------------ */

/* The role of that id, for who may; those of the whole system are seen by whoever sees roles anywhere. */
static bool find(struct action *c, const char *permission, struct slice id, struct json_value *ret)
{
	int rc = action_row(c, "role_by_id", (struct action_param[]){{"id", id, 0}}, 1, ret);
	struct slice org = rc == 0 ? row_text(c, *ret, "org") : SLICE("-");

	if (rc != 0 && rc != ERR_NOT_FOUND)
		return action_fail_err(c, rc);
	if (org.len > 0 && !rights_in(c, permission, org, NULL))
		return false;
	return rc == 0 || admin_missing(c, NOT_FOUND);
}

static void run_list(struct action *c)
{
	struct params_roles q;
	struct action_param of[9] = {{0}};
	struct slice orgs;
	bool all;

	if (!admin_params(c, &schema_params_roles, &q))
		return;
	orgs = rights_orgs(c, "roles:read", &all);
	of[0] = (struct action_param){"all", {0}, all};
	of[1] = (struct action_param){"orgs", orgs, 0};
	of[2] = (struct action_param){"org", q.org_id.len > 0 ? q.org_id : SLICE(""), 0};
	of[3] = (struct action_param){"name", q.name.len > 0 ? q.name : SLICE(""), 0};
	of[4] = (struct action_param){"code", q.code.len > 0 ? q.code : SLICE(""), 0};
	of[5] = (struct action_param){"type", q.type.len > 0 ? q.type : SLICE(""), 0};
	of[6] = (struct action_param){"active", {0}, q.has_active ? q.active : -1};
	admin_page(c, "roles_page", of, 7, q.page, q.has_limit ? q.limit : q.page_size);
}

static void run_get(struct action *c)
{
	struct slice id = http_request_param(c->rq, "id");
	struct json_value row;

	if (find(c, "roles:read", id, &row))
		admin_answer_row(c, 200, "role_by_id", id);
}

/* A code is one role of the whole system, or one of each organisation: the first that the caller may see. */
static void run_get_by_code(struct action *c)
{
	struct json_value rows, row;
	struct json_reader r;
	const struct principal *who = c->rq->principal;
	int rc = action_rows(c, "roles_by_code", (struct action_param[]){{"code", http_request_param(c->rq, "code"), 0}}, 1, &rows);

	if (!action_ok(c, rc))
		return;
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		struct slice org = row_text(c, row, "org");

		if (org.len > 0 && principal_scope(who, "roles:read", org) < SCOPE_ORGANIZATION)
			continue;
		admin_answer_row(c, 200, "role_by_id", row_text(c, row, "id"));
		return;
	}
	admin_missing(c, NOT_FOUND);
}

/* ---- what a role gives ----------------------------------------------------------------------------- */

/* Codes of permissions named by id or code; one nobody knows is refused. False: the answer is set. */
static bool permission_codes(struct action *c, const struct slice *names, size_t n, struct slice **ret_codes, size_t *ret_n)
{
	struct action_param of[] = {{"names", admin_json_texts(c, names, n), 0}};
	struct slice *codes = arena_calloc(c->arena, n + 1, sizeof(*codes));
	struct json_value rows, row;
	struct json_reader r;
	int rc = codes == NULL ? ERR_NOMEM : action_rows(c, "permission_codes", of, 1, &rows);

	if (rc != 0)
		return action_fail_err(c, rc);
	*ret_n = 0;
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		struct slice code = row_text(c, row, "code");
		bool again = false;

		if (row_bool(row, "unknown"))
			return admin_refuse(c, "unknown_permission", arena_printf(c->arena, "Permission not found: %.*s", SLICE_ARG(code)));
		for (size_t i = 0; i < *ret_n; i++)
			again = again || slice_eq(codes[i], code);
		if (!again)
			codes[(*ret_n)++] = code;
	}
	*ret_codes = codes;
	return true;
}

static bool check_rules(struct action *c, const struct slice *rules, size_t n)
{
	struct action_param of[] = {{"rules", admin_json_texts(c, rules, n), 0}};
	struct json_value rows, row;
	struct json_reader r;
	int rc = n == 0 ? 0 : action_rows(c, "rules_unknown", of, 1, &rows);

	if (rc != 0)
		return action_fail_err(c, rc);
	if (n == 0)
		return true;
	json_enter(&r, rows);
	return !json_next(&r, NULL, &row) || admin_refuse(c, "unknown_rule", "Data permission rule not found");
}

/* Has the caller all that this role would give? */
static bool covers(struct action *c, const struct event_role_changed *role)
{
	return rights_cover(c, role->org_id, admin_json_texts(c, role->permissions.items, role->permissions.n),
	    admin_json_texts(c, role->data_rules.items, role->data_rules.n), scope_of(role->data_scope));
}

static void run_create(struct action *c)
{
	struct request_role_create body;
	struct event_role_created data;
	struct event_role_changed same;
	struct action_events e = {.c = c};
	struct slice *codes, id;
	size_t n_codes;

	if (!action_read(c, &schema_request_role_create, &body) || !rights_in(c, "roles:write", body.org_id, NULL) ||
	    !admin_org_exists(c, body.org_id))
		return;
	if (slice_is(body.type, "SYSTEM")) {
		admin_refuse(c, "system_role", "Cannot create system roles");
		return;
	}
	if (!permission_codes(c, body.permission_ids.items, body.permission_ids.n, &codes, &n_codes) ||
	    !check_rules(c, body.data_rule_ids.items, body.data_rule_ids.n))
		return;
	id = admin_new_id(c);
	if (id.len == 0)
		return;
	data = (struct event_role_created){.role_id = id, .org_id = body.org_id, .code = body.code, .name = body.name,
	    .description = admin_text(c, "", body.description, (struct slice){0}), .type = SLICE("CUSTOM"),
	    .level = body.has_level ? body.level : 1, .has_level = true, .active = !body.has_active || body.active,
	    .has_active = true, .data_scope = scope_name((int64_t)scope_of(body.data_scope))};
	data.permissions.items = codes;
	data.permissions.n = n_codes;
	data.data_rules.items = body.data_rule_ids.items;
	data.data_rules.n = body.data_rule_ids.n;
	same = (struct event_role_changed){.org_id = data.org_id, .data_scope = data.data_scope};
	same.permissions.items = codes;
	same.permissions.n = n_codes;
	same.data_rules.items = body.data_rule_ids.items;
	same.data_rules.n = body.data_rule_ids.n;
	if (!covers(c, &same))
		return;
	action_event(&e, EVENT_ROLE_CREATED, &data, NULL, NULL);
	if (admin_append(&e, arena_printf(c->arena, "Role code \"%.*s\" already exists", SLICE_ARG(body.code))))
		admin_answer_row(c, 201, "role_by_id", id);
}

/* A role that the caller may change: an organisation's, which gives nothing they have not. False: the answer is set. */
static bool find_to_change(struct action *c, struct slice id, const char *system_refusal, struct event_role_changed *ret)
{
	struct json_value row;
	struct slice *permissions, *rules;
	size_t n_permissions, n_rules;

	if (!find(c, "roles:write", id, &row))
		return false;
	if (row_text(c, row, "org").len == 0)
		return admin_refuse(c, "system_role", system_refusal);
	if (!admin_texts(c, json_root(admin_row_json(row, "permissions")), &permissions, &n_permissions) ||
	    !admin_texts(c, json_root(admin_row_json(row, "rules")), &rules, &n_rules))
		return false;
	*ret = (struct event_role_changed){.role_id = id, .org_id = row_text(c, row, "org"), .name = row_text(c, row, "name"),
	    .description = row_text(c, row, "description"), .level = row_i64(row, "level"), .active = row_bool(row, "active"),
	    .data_scope = scope_name(row_i64(row, "scope"))};
	ret->permissions.items = permissions;
	ret->permissions.n = n_permissions;
	ret->data_rules.items = rules;
	ret->data_rules.n = n_rules;
	return covers(c, ret);
}

static bool append_change(struct action *c, struct event_role_changed *role)
{
	struct action_events e = {.c = c};

	if (!covers(c, role))
		return false;
	role->description = admin_text(c, "", role->description, (struct slice){0});
	action_event(&e, EVENT_ROLE_CHANGED, role, NULL, NULL);
	return admin_append(&e, "");
}

static void run_update(struct action *c)
{
	struct request_role_update body;
	struct event_role_changed role;
	struct slice *codes;

	if (!find_to_change(c, http_request_param(c->rq, "id"), "Cannot update system roles", &role) ||
	    !action_read(c, &schema_request_role_update, &body))
		return;
	if (body.permission_ids.items != NULL) {
		if (!permission_codes(c, body.permission_ids.items, body.permission_ids.n, &codes, &role.permissions.n))
			return;
		role.permissions.items = codes;
	}
	if (body.data_rule_ids.items != NULL) {
		role.data_rules.items = body.data_rule_ids.items;
		role.data_rules.n = body.data_rule_ids.n;
	}
	role.name = body.name.len > 0 ? body.name : role.name;
	role.description = admin_text(c, "description", body.description, role.description);
	role.level = body.has_level ? body.level : role.level;
	role.active = body.has_active ? body.active : role.active;
	role.data_scope = body.data_scope.len > 0 ? body.data_scope : role.data_scope;
	if (check_rules(c, role.data_rules.items, role.data_rules.n) && append_change(c, &role))
		admin_answer_row(c, 200, "role_by_id", role.role_id);
}

static void run_permissions(struct action *c)
{
	struct request_role_permissions body;
	struct event_role_changed role;
	struct slice *codes;
	struct json_value row;
	struct json_writer w;
	int rc;

	if (!rights_in(c, "roles:write", http_request_param(c->rq, "orgId"), NULL) ||
	    !find_to_change(c, http_request_param(c->rq, "roleId"), "Cannot update system roles", &role))
		return;
	if (!slice_eq(role.org_id, http_request_param(c->rq, "orgId"))) {
		admin_missing(c, NOT_FOUND);
		return;
	}
	if (!action_read(c, &schema_request_role_permissions, &body) ||
	    !permission_codes(c, body.permission_keys.items, body.permission_keys.n, &codes, &role.permissions.n))
		return;
	role.permissions.items = codes;
	if (!append_change(c, &role))
		return;
	rc = action_row(c, "permissions_of_role", (struct action_param[]){{"id", role.role_id, 0}}, 1, &row);
	if (!action_ok(c, rc))
		return;
	w = action_answer(c, 200);
	json_put_raw(&w, admin_row_json(row, "items"));
}

static void run_delete(struct action *c)
{
	struct event_role_changed role;
	struct event_role_deleted data;
	struct action_events e = {.c = c};
	struct json_value row;

	if (!find_to_change(c, http_request_param(c->rq, "id"), "Cannot delete system roles", &role) ||
	    !find(c, "roles:write", role.role_id, &row))
		return;
	data = (struct event_role_deleted){.role_id = role.role_id, .org_id = role.org_id, .code = row_text(c, row, "code")};
	action_event(&e, EVENT_ROLE_DELETED, &data, NULL, NULL);
	if (admin_append(&e, ""))
		c->status = 204;
}

/* ---- who has a role in an organisation ---------------------------------------------------------------- */

static void run_bind(struct action *c)
{
	struct slice org = http_request_param(c->rq, "orgId"), binding;
	struct request_role_binding body;
	struct action_events e = {.c = c};
	struct json_value member, row;
	struct json_writer w;
	enum data_scope scope;
	int rc;

	if (!rights_in(c, "roles:grant", org, &scope) || !action_read(c, &schema_request_role_binding, &body) ||
	    !admin_find_member(c, "roles:grant", body.membership_id, &member, &scope))
		return;
	if (!slice_eq(row_text(c, member, "org"), org)) {
		admin_missing(c, MEMBER_NOT_FOUND);
		return;
	}
	if (!role_bind(&e, org, body.role_id, body.membership_id, row_text(c, member, "user"), &binding) ||
	    !admin_append(&e, "The member has this role already"))
		return;
	rc = action_row(c, "binding_by_id", (struct action_param[]){{"id", binding, 0}}, 1, &row);
	if (!action_ok(c, rc))
		return;
	w = action_answer(c, 201);
	json_begin_object(&w);
	json_name(&w, "id");
	json_put_string(&w, binding);
	json_name(&w, "roleId");
	json_put_string(&w, body.role_id);
	json_name(&w, "membershipId");
	json_put_string(&w, body.membership_id);
	json_name(&w, "createdAt");
	json_put_string(&w, row_text(c, row, "createdAt"));
	json_end_object(&w);
}

static void run_unbind(struct action *c)
{
	struct slice org = http_request_param(c->rq, "orgId"), id = http_request_param(c->rq, "bindingId");
	struct event_role_revoked data = {.binding_id = id, .org_id = org};
	struct action_events e = {.c = c};
	struct json_value row, member;
	enum data_scope scope;
	int rc;

	if (!rights_in(c, "roles:grant", org, &scope))
		return;
	rc = action_row(c, "binding_by_id", (struct action_param[]){{"id", id, 0}}, 1, &row);
	if (rc == ERR_NOT_FOUND || (rc == 0 && !slice_eq(row_text(c, row, "org"), org))) {
		admin_missing(c, "Role binding not found");
		return;
	}
	if (!action_ok(c, rc))
		return;
	data.role_id = row_text(c, row, "role");
	data.member_id = row_text(c, row, "member");
	data.user_id = row_text(c, row, "user");
	if (!admin_find_member(c, "roles:grant", data.member_id, &member, &scope) ||
	    !rights_cover(c, org, admin_row_json(row, "permissions"), admin_row_json(row, "rules"),
	        (enum data_scope)row_i64(row, "scope")))
		return;
	action_event(&e, EVENT_ROLE_REVOKED, &data, NULL, NULL);
	if (admin_append(&e, ""))
		c->status = 204;
}

/* ---- who has a role of the whole system ----------------------------------------------------------------- */

static struct slice id_of(struct action *c, const struct system_role *role)
{
	return slice_str(action_made(c, system_role_id(c->arena, role)));
}

/* The role of the path, of the whole system and such that the caller may give or take it. False: the answer is set. */
static bool find_system_role(struct action *c, const struct system_role **ret)
{
	struct slice id = http_request_param(c->rq, "id");
	struct json_value row;
	int rc;

	if (!rights_in(c, "roles:grant", (struct slice){0}, NULL))
		return false;
	for (const struct system_role *r = system_roles; r->code != NULL; r++) {
		if (!slice_is(id, r->code) && !slice_eq(id, id_of(c, r)))
			continue;
		rc = action_row(c, "role_by_id", (struct action_param[]){{"id", id_of(c, r), 0}}, 1, &row);
		if (rc != 0 && rc != ERR_NOT_FOUND)
			return action_fail_err(c, rc);
		*ret = r;
		return rc == ERR_NOT_FOUND ? admin_missing(c, NOT_FOUND)
		                           : rights_cover(c, (struct slice){0}, admin_row_json(row, "permissions"), SLICE("[]"), SCOPE_ALL);
	}
	return admin_missing(c, "There is no such role of the whole system");
}

/* Whether somebody has it; false: the answer is set. */
static bool look_up_grant(struct action *c, const struct system_role *role, struct slice user, bool *ret_has)
{
	struct action_param of[] = {{"user", user, 0}, {"role", id_of(c, role), 0}};
	struct json_value row;
	int rc = action_row(c, "account_exists", (struct action_param[]){{"id", user, 0}}, 1, &row);

	if (rc == ERR_NOT_FOUND)
		return admin_missing(c, "User not found");
	if (rc != 0)
		return action_fail_err(c, rc);
	rc = action_row(c, "grant_of_role", of, 2, &row);
	*ret_has = rc == 0;
	return rc == 0 || rc == ERR_NOT_FOUND || action_fail_err(c, rc);
}

static void run_grant(struct action *c)
{
	struct request_role_grant body;
	const struct system_role *role;
	struct action_events e = {.c = c};
	bool has;

	if (!find_system_role(c, &role) || !action_read(c, &schema_request_role_grant, &body) ||
	    !look_up_grant(c, role, body.user_id, &has))
		return;
	if (!has) {
		system_role_grant(&e, role, body.user_id);
		if (!admin_append(&e, ""))
			return;
	}
	c->status = 204;
}

static void run_revoke(struct action *c)
{
	struct slice user = http_request_param(c->rq, "userId");
	const struct system_role *role;
	struct event_role_revoked data = {.user_id = user};
	struct action_events e = {.c = c};
	bool has;

	if (!find_system_role(c, &role) || !look_up_grant(c, role, user, &has))
		return;
	if (!has) {
		admin_missing(c, "The account does not have this role");
		return;
	}
	if (strcmp(role->code, ROLE_SUPER_ADMIN) == 0 && !system_keeps_admin(c, user))
		return;
	data.role_id = id_of(c, role);
	action_event(&e, EVENT_ROLE_REVOKED, &data, NULL, NULL);
	if (admin_append(&e, ""))
		c->status = 204;
}

/* ---- routes ------------------------------------------------------------------------------------------------ */

static void list(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_list);
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

static void set_permissions(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_permissions);
}

static void bind_role(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_bind);
}

static void unbind_role(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_unbind);
}

static void grant_role(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_grant);
}

static void revoke_role(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_revoke);
}

#define READ "roles:read", ROUTE_SCOPED
#define WRITE "roles:write", ROUTE_SCOPED
#define GRANT "roles:grant", ROUTE_SCOPED
#define TAG .tag = "roles"

const struct route api_roles_routes[] = {
	ADMIN_ROUTES(HTTP_POST, "/roles", create, WRITE, .request = &schema_request_role_create, .answer = "object",
	    .success = "201", TAG, .summary = "Make a role of an organisation"),
	ADMIN_ROUTES(HTTP_GET, "/roles", list, READ, .params = &schema_params_roles, .answer = "object", TAG,
	    .summary = "Roles of the whole system and of the caller's organisations"),
	ADMIN_ROUTES(HTTP_GET, "/roles/code/{code}", get_by_code, READ, .answer = "object", TAG, .summary = "One role by its code"),
	ADMIN_ROUTES(HTTP_GET, "/roles/{id}", get, READ, .answer = "object", TAG, .summary = "One role"),
	ADMIN_ROUTES(HTTP_PUT, "/roles/{id}", update, WRITE, .request = &schema_request_role_update, .answer = "object", TAG,
	    .summary = "Change a role of an organisation"),
	ADMIN_ROUTES(HTTP_DELETE, "/roles/{id}", delete, WRITE, .success = "204", TAG,
	    .summary = "Delete a role of an organisation"),
	ADMIN_ROUTES(HTTP_PUT, "/roles/orgs/{orgId}/roles/{roleId}/permissions", set_permissions, WRITE,
	    .request = &schema_request_role_permissions, .answer = "object", TAG, .summary = "Set all that a role gives"),
	ADMIN_ROUTES(HTTP_POST, "/roles/orgs/{orgId}/role-bindings", bind_role, GRANT, .request = &schema_request_role_binding,
	    .answer = "object", .success = "201", TAG, .summary = "Give a member a role"),
	ADMIN_ROUTES(HTTP_DELETE, "/roles/orgs/{orgId}/role-bindings/{bindingId}", unbind_role, GRANT, .success = "204", TAG,
	    .summary = "Take a role from a member"),
	ADMIN_ROUTES(HTTP_POST, "/roles/{id}/users", grant_role, "roles:grant", 0, .request = &schema_request_role_grant,
	    .success = "204", TAG, .summary = "Give an account a role of the whole system, named by id or code"),
	ADMIN_ROUTES(HTTP_DELETE, "/roles/{id}/users/{userId}", revoke_role, "roles:grant", 0, .success = "204", TAG,
	    .summary = "Take such a role from an account"),
	{0},
};
