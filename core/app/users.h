/*
 * What the commands that administer accounts share: the account at hand, and
 * whether the caller may touch it. For command threads (action.h).
 */
#ifndef LULAB_APP_USERS_H
#define LULAB_APP_USERS_H

#include "app/accounts.h"
#include "app/roles.h"

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

/* Is it in use, or at least could be? False: it was deleted or erased; the answer is set. */
bool account_is_there(struct action *c, const struct account *a);

/* What e holds, all about this account; false: it is answered, also that somebody else was quicker. */
bool account_append(struct action_events *e);
/* The 409 for that. False. */
bool account_conflict(struct action *c);

/* 200 with the account as it is now. */
void account_answer(struct action *c, struct slice id);

/* Erases the person behind the account the path names, with the receipt as the answer (api_erase.c). */
void user_erase_run(struct action *c, struct slice ground);

/* ---- new ones --------------------------------------------------------------- */

struct account_new {
	struct account_names names;
	struct slice display_name;
	struct slice legacy_id; /* in the system that is replaced; empty: none */
	const char *hash; /* NULL: no password */
	const struct system_role *role;
	const char *how;  /* user.registered has it */
	const char *once; /* NULL, or the source of `once` keys under which it is made once for all */
	struct id user;   /* account_new_add() sets these */
	struct slice user_text;
};

/* What POST /api/v1/users takes, from the body; `how` stays. False: the answer is set. */
bool account_new_read(struct action *c, struct account_new *n);
/* Its password, hashed at some cost; false: the answer is set. */
bool account_new_password(struct action *c, struct account_new *n, struct slice password);
/* Adds all that it consists of, the system's roles among it. ERR_* of keyring_take(). */
int account_new_add(struct action_events *e, struct account_new *n);
/* Sets the answer to ERR_TAKEN: whose name it is that somebody has. False. */
bool account_new_taken(struct action *c, struct slice claim);

#endif
