/*
 * The roles every installation has, and what they may do. They are made with
 * the first account, and known by their codes.
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
/* Adds role.created of each that is not there yet. */
void system_roles_add(struct action_events *e);
/* Adds role.granted. */
void system_role_grant(struct action_events *e, const struct system_role *role, struct slice user_id);

#endif
