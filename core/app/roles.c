/* See roles.h. */
#include "app/roles.h"

#include "base/codec.h"
#include "base/err.h"

#define PERMISSIONS_MAX 32

static const char *const all[] = {"*", NULL};
static const char *const of_admins[] = {"meetings:read", "personal:read", "events:read", "recordings:read",
    "webhooks:read", "metrics:read", "projections:write", "users:read", "users:write", "roles:read", "roles:grant", "identities:read", "identities:write", "api_keys:manage", NULL};
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

struct slice system_role_id(struct action *c, const struct system_role *role)
{
	struct slice parts[] = {SLICE("system-role/v1\0"), slice_str(role->code)};
	char *text = arena_alloc(c->arena, ID_TEXT_LEN + 1);
	struct id id;

	if (text == NULL)
		return (struct slice){0};
	blake2b(id.bytes, ID_LEN, (struct slice){0}, parts, 2);
	id_format(text, &id);
	return slice_of(text, ID_TEXT_LEN);
}

static void add_role(struct action_events *e, const struct system_role *role)
{
	struct slice permissions[PERMISSIONS_MAX];
	struct event_meta meta = action_meta(e->c);
	struct event_role_created data = {.role_id = system_role_id(e->c, role), .code = slice_str(role->code),
	    .name = slice_str(role->name), .type = SLICE("SYSTEM"), .level = role->level, .has_level = true};
	uint64_t known;

	event_once_key(meta.once, SLICE("system-role"), slice_str(role->code));
	if (eventlog_find_once(e->c->app->log, meta.once, &known) == 0)
		return;
	meta.has_once = true;
	while (role->permissions[data.permissions.n] != NULL && data.permissions.n < PERMISSIONS_MAX) {
		permissions[data.permissions.n] = slice_str(role->permissions[data.permissions.n]);
		data.permissions.n++;
	}
	data.permissions.items = permissions;
	action_event(e, EVENT_ROLE_CREATED, &data, NULL, &meta);
}

void system_roles_add(struct action_events *e)
{
	for (const struct system_role *r = system_roles; r->code != NULL; r++)
		add_role(e, r);
}

void system_role_grant(struct action_events *e, const struct system_role *role, struct slice user_id)
{
	struct event_role_granted data = {.role_id = system_role_id(e->c, role), .user_id = user_id};

	action_event(e, EVENT_ROLE_GRANTED, &data, NULL, NULL);
}
