/*
 * What the commands that administer accounts share: the account at hand, and
 * whether the caller may touch it. For command threads (action.h).
 */
#ifndef LULAB_APP_USERS_H
#define LULAB_APP_USERS_H

#include "app/action.h"

#define NO_SUCH_USER "There is no such account; GET /api/v1/users lists those there are."

struct account {
	struct slice id;
	struct id subject;       /* the same; names the person's key */
	struct json_value row;   /* of the query user_standing */
	bool active, deleted, erased, last_admin;
	struct event_meta meta;  /* of what is done to it: expects it where it was looked at */
};

/*
 * The account the path names. False: there is none, or its owner may do more
 * than the caller, who could else make that their own; the answer is set.
 */
bool account_look(struct action *c, struct account *ret);

/* As account_look() for what takes an account away from its owner: the last that may do everything stays, but for the operator. */
bool account_look_to_close(struct action *c, struct account *ret);

/* What e holds, all about this account; false: it is answered, also that somebody else was quicker. */
bool account_append(struct action_events *e);

/* 200 with the account as it is now. */
void account_answer(struct action *c, struct slice id);

#endif
