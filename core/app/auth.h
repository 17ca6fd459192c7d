/*
 * Who is calling, and may they. This file knows one caller itself: the operator,
 * who holds the token in DATA/admin.token; principals.h knows the people and the keys.
 *
 * Routes name the permission they ask for ("meetings:read"); a principal's
 * list of permissions is matched by name, "*" being all of them. Read-only
 * after auth_open(), so any thread. A permission may also be held in one
 * organisation only, and there for a part of its things (enum data_scope).
 */
#ifndef LULAB_APP_AUTH_H
#define LULAB_APP_AUTH_H

#include "base/id.h"
#include "net/http.h"

#define ADMIN_TOKEN_FILE "admin.token"
#define ADMIN_TOKEN_BYTES 32

/* Of how much a permission is held; the greater includes the smaller. */
enum data_scope {
	SCOPE_NONE,
	SCOPE_OWN,          /* what is their own */
	SCOPE_DEPARTMENT,   /* of their departments in the organisation and those below */
	SCOPE_ORGANIZATION, /* of the organisation */
	SCOPE_ALL,          /* of every organisation, and what belongs to none */
};

/* A caller that was recognised. */
struct principal {
	const char *id;                 /* becomes the `actor` of what they do */
	const char *const *roles;       /* codes, closed by NULL; NULL for the operator */
	const char *const *permissions; /* held everywhere; closed by NULL; "*" is all */
	/* Held in organisations: "<organisation> <1 to 3, a data_scope> <permission> <permission> ...", closed by NULL; or NULL. */
	const char *const *in_orgs;
	char user_id[ID_TEXT_LEN + 1], session_id[ID_TEXT_LEN + 1]; /* of an account's log-in, else "" */
	bool shared; /* counted: principals_release() */
	char key_id[ID_TEXT_LEN + 1]; /* of an API key, else ""; user_id is its owner then */
	char org_id[ID_TEXT_LEN + 1]; /* of a key that counts in one organisation alone, else "" */
};

struct auth {
	struct principal admin;
	uint8_t admin_digest[32]; /* the token itself is not kept */
};

/*
 * Reads DATA/admin.token, or makes it (mode 0600) at the first start; *ret_made
 * (may be NULL) tells which. ERR_CONFIG when the file holds no usable token.
 */
int auth_open(struct auth *ret_auth, const char *data_dir, const struct rng *rng, bool *ret_made);
void auth_close(struct auth *auth); /* wipes */

/* The principal of a bearer token, or NULL. The time it takes tells nothing of the token. */
const struct principal *auth_recognise(const struct auth *auth, struct slice token);

/* Everywhere. */
bool principal_may(const struct principal *p, const char *permission);
/* In this organisation; an empty one: in any, the farthest reach there is. */
enum data_scope principal_scope(const struct principal *p, const char *permission, struct slice org);

/*
 * The server's authorize hook for any `auth`: 0 with rq->principal set, 401
 * (and WWW-Authenticate) or 403 with a sentence that says what to do.
 */
int auth_check(const struct auth *auth, struct http_request *rq, const char **ret_detail);

/* May the caller of this request see names, titles and other sealed fields? False without a principal. */
bool auth_sees_personal(const struct http_request *rq);

#endif
