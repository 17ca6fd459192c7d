/* See login_watch.h. */
#include "app/login_watch.h"

#include "base/err.h"

#define CLOSED_MAX 4 /* at a time: an append has room for few; who has more than one too many loses them bit by bit */

void logins_make_room(struct action_events *e, const struct id *user, int64_t now_ms)
{
	struct action *c = e->c;
	char user_text[ID_TEXT_LEN + 1];
	struct action_param of[] = {{"user", slice_of(user_text, ID_TEXT_LEN), 0}, {"now", {0}, now_ms},
	    {"offset", {0}, LOGINS_MAX - 1}};
	struct json_value rows, row;
	struct json_reader r;
	size_t n = 0;
	int rc;

	id_format(user_text, user);
	rc = action_rows(c, "sessions_too_many", of, 3, &rows);
	if (rc != 0) {
		e->rc = e->rc == 0 ? rc : e->rc;
		return;
	}
	json_enter(&r, rows);
	while (n++ < CLOSED_MAX && json_next(&r, NULL, &row)) {
		struct event_session_closed data = {.session_id = row_text(c, row, "id"),
		    .user_id = slice_of(user_text, ID_TEXT_LEN), .reason = SLICE("TOO_MANY")};

		action_event(e, EVENT_SESSION_CLOSED, &data, NULL, NULL);
	}
}

int login_note_unusual(struct action_events *e, const struct id *user, const struct session *session,
    const struct caller *caller)
{
	struct action *c = e->c;
	struct action_param of[] = {{"user", session->user_id, 0},
	    {"device", caller->device_id.len > 0 ? caller->device_id : SLICE(""), 0},
	    {"agent", caller->user_agent.len > 0 ? caller->user_agent : SLICE(""), 0},
	    {"network", caller->network_digest, 0}};
	struct event_login_unusual data = {.session_id = session->id, .user_id = session->user_id,
	    .network_digest = caller->network_digest, .ip = c->rq->address, .user_agent = caller->user_agent,
	    .device_info = caller->device_info, .device_id = caller->device_id, .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = session->user_id}}};
	struct json_value row;
	int rc;

	if (session->user_id.ptr == NULL)
		return ERR_NOMEM;
	rc = action_row(c, "logins_like_this", of, 4, &row);
	if (rc == 0 && row_bool(row, "any") && !row_bool(row, "device") && !row_bool(row, "network"))
		action_event(e, EVENT_LOGIN_UNUSUAL, &data, user, NULL);
	return rc;
}
