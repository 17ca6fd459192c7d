/* See roles.h. */
#include "app/roles.h"

#include <assert.h>

#include "app/api_admin.h"
#include "base/codec.h"
#include "base/err.h"

#define PERMISSIONS_MAX 64

static const char *const all[] = {"*", NULL};
static const char *const of_admins[] = {"meetings:read", "personal:read", "events:read", "recordings:read",
    "webhooks:read", "metrics:read", "projections:write", "users:read", "users:write", "orgs:read", "orgs:write",
    "departments:read", "departments:write", "members:read", "members:write", "roles:read", "roles:write", "roles:grant",
    "permissions:read", "identities:read", "identities:write", "api_keys:manage", "effects:read", "effects:manage",
    "lark:read", "lark:manage", "storage:read", "mail:send", "tasks:read", "tasks:write", "summaries:read", "summaries:write", NULL};
static const char *const of_members[] = {"meetings:read", "recordings:read", NULL};
/* Events and proofs, and no names in them. */
static const char *const of_auditors[] = {"events:read", NULL};
static const char *const of_services[] = {"meetings:read", "recordings:read", "events:read", NULL};

const struct system_role system_roles[] = {
	{ROLE_SUPER_ADMIN, "Super administrator", 0, all},
	{"ADMIN", "Administrator", 10, of_admins},
	{"MEMBER", "Member", 100, of_members},
	{"AUDITOR", "Auditor", 50, of_auditors},
	{"SERVICE", "Service", 100, of_services},
	{0},
};

const struct system_role *system_role_find(struct slice code)
{
	for (const struct system_role *r = system_roles; r->code != NULL; r++)
		if (slice_is(code, r->code))
			return r;
	return NULL;
}

const char *system_role_id(struct arena *arena, const struct system_role *role)
{
	struct slice parts[] = {SLICE("system-role/v1\0"), slice_str(role->code)};
	char *text = arena_alloc(arena, ID_TEXT_LEN + 1);
	struct id id;

	if (text == NULL)
		return NULL;
	blake2b(id.bytes, ID_LEN, (struct slice){0}, parts, 2);
	id_format(text, &id);
	return text;
}

bool system_role_event(struct arena *arena, const struct system_role *role, struct system_role_event *ret)
{
	struct slice *permissions = arena_calloc(arena, PERMISSIONS_MAX, sizeof(*permissions));

	*ret = (struct system_role_event){
	    .created = {.role_id = slice_str(system_role_id(arena, role)), .code = slice_str(role->code), .name = slice_str(role->name),
	        .type = SLICE("SYSTEM"), .level = role->level, .has_level = true},
	    .changed = {.name = slice_str(role->name), .level = role->level, .active = true}};
	if (permissions == NULL || ret->created.role_id.ptr == NULL)
		return false;
	while (role->permissions[ret->created.permissions.n] != NULL && ret->created.permissions.n < PERMISSIONS_MAX) {
		permissions[ret->created.permissions.n] = slice_str(role->permissions[ret->created.permissions.n]);
		ret->created.permissions.n++;
	}
	assert(role->permissions[ret->created.permissions.n] == NULL);
	ret->changed.role_id = ret->created.role_id;
	ret->created.permissions.items = ret->changed.permissions.items = permissions;
	ret->changed.permissions.n = ret->created.permissions.n;
	return true;
}

/* Of several who come first, one makes it. */
static void add_role(struct action_events *e, const struct system_role *role)
{
	struct action *c = e->c;
	struct event_meta meta = action_meta(c);
	const char *claim = arena_printf(c->arena, "role:%s", role->code);
	struct system_role_event event;
	uint64_t known;

	if (claim == NULL || !system_role_event(c->arena, role, &event)) {
		e->rc = ERR_NOMEM;
		return;
	}
	if (eventlog_find_claim(c->app->log, slice_str(claim), &known) == 0)
		return;
	event_once_key(meta.once, SLICE("system-role/3"), slice_str(role->code));
	meta.has_once = true;
	action_event(e, EVENT_ROLE_CREATED, &event.created, NULL, &meta);
}

void system_roles_add(struct action_events *e)
{
	for (const struct system_role *r = system_roles; r->code != NULL; r++)
		add_role(e, r);
}

void system_role_grant(struct action_events *e, const struct system_role *role, struct slice user_id)
{
	struct event_role_granted data = {.role_id = slice_str(action_made(e->c, system_role_id(e->c->arena, role))),
	    .user_id = user_id};

	action_event(e, EVENT_ROLE_GRANTED, &data, NULL, NULL);
}

bool system_keeps_admin(struct action *c, struct slice user_id)
{
	struct json_value row;
	int rc = action_row(c, "other_super_admins", (struct action_param[]){{"user", user_id, 0}}, 1, &row);

	if (rc != 0)
		return action_fail_err(c, rc);
	return row_i64(row, "n") > 0 ||
	    action_fail(c, 400, "last_admin", "This is the last super administrator.", "不能移除最后一个超级管理员");
}

/* ---- roles in organisations -------------------------------------------------------------- */

bool role_bind(struct action_events *e, struct slice org, struct slice role_id, struct slice member_id,
    struct slice user_id, struct slice *ret_binding)
{
	struct action *c = e->c;
	struct json_value role;
	struct event_role_granted data = {.role_id = role_id, .user_id = user_id, .org_id = org, .member_id = member_id};
	struct slice of;
	int rc = action_row(c, "role_by_id", (struct action_param[]){{"id", role_id, 0}}, 1, &role);

	of = rc == 0 ? row_text(c, role, "org") : (struct slice){0};
	if (rc == ERR_NOT_FOUND || (rc == 0 && of.len > 0 && !slice_eq(of, org)))
		return admin_missing(c, "Role not found");
	if (rc != 0)
		return action_fail_err(c, rc);
	if (slice_is(row_text(c, role, "code"), ROLE_SUPER_ADMIN) && of.len == 0)
		return admin_refuse(c, "system_role", "SUPER_ADMIN is a role of the whole system");
	if (!rights_cover(c, org, admin_row_json(role, "permissions"), admin_row_json(role, "rules"),
	        (enum data_scope)row_i64(role, "scope")))
		return false;
	data.binding_id = admin_id_of(c, SLICE("binding/v1"), member_id, role_id);
	if (data.binding_id.len == 0)
		return false;
	action_event(e, EVENT_ROLE_GRANTED, &data, NULL, NULL);
	if (ret_binding != NULL)
		*ret_binding = data.binding_id;
	return true;
}
