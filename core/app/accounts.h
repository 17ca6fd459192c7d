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

/* Keyed digest of a personal value, in the arena: "username", "email", "phone", "address", "network". Empty: no memory, and the error is set. */
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

/* Somebody else has a name: claim as the log tells it ("email:..."). False. */
bool account_answer_taken(struct action *c, int status, struct slice claim);

/* May this be the password of who goes by these names (closed by NULL; NULLs of no memory are none)? False: the 400 is set. */
bool account_password_check(struct action *c, struct slice password, const char *const *names);
/* Its hash, in the arena, at some cost; NULL: the answer is set. */
const char *account_password_hash(struct action *c, struct slice password);

/* Where a request came from, as log-ins are counted by. */
struct caller {
	struct slice address_digest, network_digest;
	struct slice user_agent, device_info, device_id;
	bool has_credentials_version; /* set by who has looked at an account that this is to be a log-in of: */
	int64_t credentials_version;  /* what account_by_claim said; should that change meanwhile, it is no log-in */
};
bool caller_read(struct action *c, struct slice device_info, struct slice device_id, struct caller *ret);

/*
 * integrity.md 20: how long somebody has to wait before the next try, after so many wrong ones within
 * FAILURES_WINDOW_MS (query failures_of_target) of which the last was then; 0: not at all.
 */
#define FAILURES_WINDOW_MS (24 * 3600 * 1000LL)
int64_t failures_wait_ms(int64_t failures, int64_t last_at_ms, int64_t now_ms);
/* The 429 that says so; False. */
bool failures_refuse(struct action *c, int64_t wait_ms, const char *zh);

/*
 * Before a log-in: may it leave its token in a cookie (client_type web)? Not at the wish of a page that is none of ours: it would sign
 * its reader in as somebody else. Who sends no Origin is no page. False: the 403 is set.
 */
bool caller_takes_cookie(struct action *c, struct slice client_type);

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
/*
 * Ends a person's log-ins but one (empty: all of them): session.closed into e, which must hold nothing yet and keeps
 * room for `room` events more. Those that find no room there are ended right now.
 */
int sessions_end(struct action_events *e, struct slice user_id, struct slice but, const char *reason, size_t room);
/*
 * For what is sensitive (integrity.md 20, ASVS 7.3, 7.5): has the caller signed in within twelve hours, and never been idle for
 * half an hour since? A log-in of long ago, or a key, is not enough. False: the 403 is set.
 */
bool session_is_recent(struct action *c);
/* The tokens and who they are for; the cookie for web clients. */
void session_answer(struct action *c, int status, const struct session *s, struct slice name, struct slice roles_json);
/*
 * The refresh token of a request: the body's, else the cookie's. Empty: there is none. False, and the 403 is set: its cookie came
 * from a page that is none of ours (app_cookie_allowed()).
 */
bool session_token_of(struct action *c, struct slice in_body, struct slice *ret);
void session_clear_cookie(struct action *c);

/* A new refresh token, in the arena; empty: no memory, and the error is set. */
struct slice session_new_token(struct action *c);

#endif
