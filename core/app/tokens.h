/*
 * Access tokens: making them and believing them (integrity.md 20). One key
 * signs for TOKEN_KEY_DAYS days and is believed for one more period, so that
 * what it signed last can run out. The keys are secrets of the keyring, named by
 * their period: nothing has to be kept in step. Any thread.
 */
#ifndef LULAB_APP_TOKENS_H
#define LULAB_APP_TOKENS_H

#include "domain/jwt.h"
#include "store/keyring.h"

#define TOKEN_AUDIENCE "lulab"
#define TOKEN_TYPE "at+jwt" /* RFC 9068 */
#define TOKEN_LIFE_S 600
#define TOKEN_TOLERANCE_S 60
#define TOKEN_KEY_DAYS 90

struct tokens;

/* issuer: of the tokens; copied. ERR_* of keyring_secret(). */
int tokens_open(struct tokens **ret, struct keyring *keyring, const char *issuer, const struct clock *clock,
    const struct rng *rng);
void tokens_close(struct tokens *t); /* wipes; NULL is fine */

/* Appends a token for a user's session, good for TOKEN_LIFE_S. */
int tokens_issue(struct tokens *t, struct slice user_id, struct slice session_id, struct buf *out);

/*
 * From now until `until_s` tokens of the system replaced are believed as well: HS256 under this secret (copied), without
 * `kid`; of their claims sub, jti, iat and exp are read. Before other threads have it. ERR_INVALID: fewer than
 * TOKEN_LEGACY_SECRET_MIN bytes, which can be guessed.
 */
#define TOKEN_LEGACY_SECRET_MIN 32
int tokens_believe_legacy(struct tokens *t, struct slice secret, int64_t until_s);

/* Of a token that the system replaced made sid is empty, and sub its name for the account. */
enum jwt_verdict tokens_verify(struct tokens *t, struct slice token, struct arena *arena, struct jwt_claims *ret_claims);

/* {"keys":[...]} (RFC 7517 5). */
int tokens_write_jwks(struct tokens *t, struct json_writer *w);

#endif
