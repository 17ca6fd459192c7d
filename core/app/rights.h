/*
 * What the caller of a command may do where: for commands about organisations
 * and roles, whose routes are ROUTE_SCOPED. For command threads (action.h).
 *
 * The request's principal is asked first. In a decision (ACTION_DECISION)
 * the read model is asked too, so that somebody whose rights went while they
 * waited for their turn decides nothing.
 */
#ifndef LULAB_APP_RIGHTS_H
#define LULAB_APP_RIGHTS_H

#include "app/action.h"
#include "app/auth.h"

/*
 * May they, in this organisation? An empty one: everywhere. False: not at all, and the 403 is set; it is the same
 * whether or not there is such an organisation. ret_scope may be NULL: less than the whole organisation is then refused.
 */
bool rights_in(struct action *c, const char *permission, struct slice org, enum data_scope *ret_scope);

/*
 * Nobody gives more than they have: has the caller all these permissions (a JSON array of codes) in the organisation,
 * each as far as a role of that scope with these data rules (a JSON array of ids) gives it? False: a 403 that names one.
 */
bool rights_cover(struct action *c, struct slice org, struct slice permissions, struct slice rules, enum data_scope scope);

/*
 * Rights that reach departments grow when somebody joins one, or when one is put below theirs: how far the caller must
 * have such rights to let that happen with these departments (a JSON array of ids). SCOPE_DEPARTMENT when all are within
 * their own reach, else SCOPE_ORGANIZATION. False: the error is set.
 */
bool rights_reach(struct action *c, struct slice org, struct slice departments, enum data_scope *ret_needed);
/* rights_cover() of a role (a row with permissions, rules, scope), but no less far than that. */
bool rights_cover_reach(struct action *c, struct slice org, struct json_value role, enum data_scope needed);

/* The caller's account; "" for who has none. */
struct slice caller_id(const struct action *c);

/* The organisations where they hold a permission, as a JSON array, and whether it is all of them. */
struct slice rights_orgs(struct action *c, const char *permission, bool *ret_all);

#endif
