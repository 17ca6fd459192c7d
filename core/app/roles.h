/*
 * The roles every installation has, and what they may do: made with the first
 * account, known by their codes, changed by a new release alone. And giving roles.
 */
#ifndef LULAB_APP_ROLES_H
#define LULAB_APP_ROLES_H

#include "app/action.h"

#define ROLE_SUPER_ADMIN "SUPER_ADMIN"

struct system_role {
	const char *code, *name;
	int level; /* smaller is more powerful */
	const char *const *permissions; /* closed by NULL */
};
extern const struct system_role system_roles[]; /* closed by code NULL */

const struct system_role *system_role_find(struct slice code);
/* Its id, the same in every installation: a digest of its code. In the arena; NULL: no memory. */
const char *system_role_id(struct arena *arena, const struct system_role *role);
/* What makes it, and what makes one that is there what it is now; in the arena. False: no memory. */
struct system_role_event {
	struct event_role_created created;
	struct event_role_changed changed;
};
bool system_role_event(struct arena *arena, const struct system_role *role, struct system_role_event *ret);
/* Adds role.created of each that is not there yet: with the first account. */
void system_roles_add(struct action_events *e);
/* At the start, once the log can be appended to, before anybody is believed: see system_roles.c. What goes wrong is logged. */
void system_roles_update(struct app *app);
/* Adds role.granted. */
void system_role_grant(struct action_events *e, const struct system_role *role, struct slice user_id);
/*
 * The last super administrator stays one: false, and the 400 is set, when nobody else could do everything if this
 * account could not. For decisions (ACTION_DECISION) that take the role away, disable or delete an account.
 */
bool system_keeps_admin(struct action *c, struct slice user_id);

/*
 * Adds role.granted to a member of an organisation, for a caller who holds roles:grant there and has what the role
 * gives. *ret_binding (may be NULL): its id. False: the answer is set.
 */
bool role_bind(struct action_events *e, struct slice org, struct slice role_id, struct slice member_id,
    struct slice user_id, struct slice *ret_binding);

#endif
