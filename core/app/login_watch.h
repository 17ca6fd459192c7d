/*
 * What is looked at when somebody signs in: how many log-ins they have, and whether this one is like them. For
 * command threads (action.h).
 */
#ifndef LULAB_APP_LOGIN_WATCH_H
#define LULAB_APP_LOGIN_WATCH_H

#include "app/accounts.h"

#define LOGINS_MAX 20 /* live ones a person; integrity.md 20 */

/* Before one more: adds session.closed of the oldest while there are too many. */
void logins_make_room(struct action_events *e, const struct id *user, int64_t now_ms);

/* Adds login.unusual when neither the device nor the network was seen in a log-in of theirs, and there were some. 0 or ERR_*. */
int login_note_unusual(struct action_events *e, const struct id *user, const struct session *session,
    const struct caller *caller);

#endif
