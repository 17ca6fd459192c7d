/*
 * What the commands about people share: finding an account by what somebody
 * calls themselves, the events of a log-in, and the answer with its tokens.
 * For command threads (action.h).
 */
#ifndef LULAB_APP_ACCOUNTS_H
#define LULAB_APP_ACCOUNTS_H

#include "app/action.h"
#include "base/codec.h"

#define DIGEST_TEXT_LEN BASE64URL_LEN(32)
#define SESSION_IDLE_S (7 * 86400)   /* integrity.md 20 */
#define SESSION_LIFE_S (30 * 86400)
#define REFRESH_COOKIE "__Host-refreshToken"

/* Keyed digest of a personal value, in the arena: "username", "email", "phone", "address", "network". Empty: no memory. */
struct slice account_digest(struct action *c, const char *kind, struct slice value);
/* What the log may keep of a secret that is random enough: SHA-256, base64url. */
struct slice token_digest(struct action *c, struct slice token);

/* The names an account may have, each as given and in its one spelling (account.h); empty where not given. */
struct account_names {
	struct slice username, username_key;
	struct slice email, email_key;
	struct slice phone, phone_key; /* both E.164 */
	struct slice country_code;
};
/* False: a name is none, and the 400 is set. */
bool account_names_read(struct action *c, struct slice username, struct slice email, struct slice country_code,
    struct slice phone, struct account_names *ret);

/* Where a request came from, as log-ins are counted by. */
struct caller {
	struct slice address_digest, network_digest;
	struct slice user_agent, device_info, device_id;
};
bool caller_read(struct action *c, struct slice device_info, struct slice device_id, struct caller *ret);

/* ---- sessions -------------------------------------------------------------- */

struct session {
	struct slice id, user_id;
	struct slice refresh_token;
	bool is_web; /* the refresh token travels in a cookie */
	int64_t expires_at_ms;
};

/* A new log-in: adds session.opened, fills *ret. */
void session_open(struct action_events *e, const struct id *user, const struct caller *caller, const char *login_type,
    bool is_web, struct session *ret);
/* The tokens and who they are for; the cookie for web clients. */
void session_answer(struct action *c, int status, const struct session *s, struct slice name, struct slice roles_json);
/*
 * The refresh token of a request: the body's, else the cookie's. Empty: there is none. False, and the 403 is set: its cookie came
 * from a page that is none of ours (app_cookie_allowed()).
 */
bool session_token_of(struct action *c, struct slice in_body, struct slice *ret);
void session_clear_cookie(struct action *c);

/* A new refresh token, in the arena; empty: no memory. */
struct slice session_new_token(struct action *c);

#endif
