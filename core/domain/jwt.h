/*
 * JSON Web Tokens (RFC 7519, RFC 8725, RFC 9068) as lulab makes and believes
 * them: compact JWS, signed with Ed25519 (RFC 8037). HS256 (RFC 7518) is only
 * read, for tokens of the system being replaced.
 *
 * What a key may sign is fixed beside the key, never by the token: the header's
 * `alg` must be the key's own, and a header that brings a key or asks for
 * processing we do not do (jwk, jku, x5u, x5c, crit) is refused. Pure; any thread.
 */
#ifndef LULAB_DOMAIN_JWT_H
#define LULAB_DOMAIN_JWT_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "crypto/crypto.h"

#define JWT_LEN_MAX 4096
#define JWT_KID_LEN_MAX 64

enum jwt_alg { JWT_EDDSA, JWT_HS256 };

/* A key we verify with, and what its tokens must say. Texts are borrowed; NULL asks for nothing. */
struct jwt_key {
	const char *kid; /* NULL: for tokens that name none */
	enum jwt_alg alg;
	uint8_t public_key[ED25519_PUBLIC_LEN]; /* JWT_EDDSA */
	struct slice secret;                    /* JWT_HS256 */
	int64_t until_s;                        /* wall clock; not believed from then on. 0 = no end */
	const char *issuer, *audience, *type;   /* `iss`, one of `aud`, header `typ`; compared exactly */
};

/* The claims we use; empty texts and 0 when absent, but exp is always there. Live as long as the arena. */
struct jwt_claims {
	struct slice sub, sid, jti;
	int64_t iat, nbf, exp; /* seconds since 1970 */
	struct json_value payload;
	const struct jwt_key *key; /* that signed it */
};

enum jwt_verdict {
	JWT_OK,
	JWT_MALFORMED,     /* not three canonical base64url parts of JSON objects, too long, a name twice */
	JWT_UNKNOWN_KEY,   /* no key of this kid, or its time is over */
	JWT_BAD_ALGORITHM, /* not the one its key is for */
	JWT_UNSUPPORTED,   /* header asks for what we do not do */
	JWT_BAD_SIGNATURE,
	JWT_EXPIRED,
	JWT_NOT_YET,   /* nbf or iat ahead of us */
	JWT_BAD_CLAIM, /* iss, aud, typ, or a claim of the wrong kind */
	JWT_NO_MEMORY, /* of the arena */
};

/*
 * Clocks may differ by tolerance_s either way. Only JWT_OK fills ret_claims.
 * Nothing of the payload is looked at before the signature holds.
 */
enum jwt_verdict jwt_verify(struct slice token, const struct jwt_key *keys, size_t n_keys, int64_t now_s,
    int64_t tolerance_s, struct arena *arena, struct jwt_claims *ret_claims);

/* For logs: static, no secret. */
const char *jwt_verdict_text(enum jwt_verdict verdict);

/* Appends the signed token of this payload (a JSON object). */
int jwt_sign(struct buf *out, const char *typ, const char *kid, struct slice payload,
    const uint8_t secret_key[ED25519_SECRET_LEN]);

/* Appends the JWK (RFC 8037 2) of a public key: one object of the set at /.well-known/jwks.json. */
int jwt_put_jwk(struct json_writer *w, const char *kid, const uint8_t public_key[ED25519_PUBLIC_LEN]);

#endif
