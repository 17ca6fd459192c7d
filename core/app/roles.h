/*
 * The roles every installation has, and what they may do: made with the first
 * account, known by their codes, never changed by anybody. And giving roles.
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
/* Its id, the same in every installation: a digest of its code. In the arena. */
struct slice system_role_id(struct action *c, const struct system_role *role);
/* Adds role.created of each that is not there yet, role.changed of one that gives something else than the program says. */
void system_roles_add(struct action_events *e);
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
