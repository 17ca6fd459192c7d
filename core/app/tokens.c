/* See tokens.h. */
#include "app/tokens.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/id.h"

#define PERIOD_S ((int64_t)TOKEN_KEY_DAYS * 86400)
#define KEYS 2 /* this period's, and the one's before */
#define ISSUER_MAX 256

struct period_key {
	int64_t period;
	char kid[24];
	uint8_t public_key[ED25519_PUBLIC_LEN], secret[ED25519_SECRET_LEN];
};

struct tokens {
	struct keyring *keyring;
	const struct clock *clock;
	const struct rng *rng;
	char issuer[ISSUER_MAX];
	struct buf legacy_secret; /* of the system replaced; empty: its tokens are not believed */
	int64_t legacy_until_s;
	pthread_mutex_t lock; /* guards: */
	struct period_key keys[KEYS]; /* the newest first */
};

static int make_key(struct tokens *t, int64_t period, struct period_key *ret)
{
	uint8_t seed[KEYRING_KEY_LEN];
	int rc;

	snprintf(ret->kid, sizeof(ret->kid), "token-%lld", (long long)period);
	rc = keyring_secret(t->keyring, ret->kid, seed);
	if (rc == 0)
		ed25519_from_seed(ret->public_key, ret->secret, seed);
	crypto_wipe(seed, sizeof(seed));
	ret->period = period;
	return rc;
}

/* Under the lock. A clock set back keeps the keys there are: both are believed anyhow. */
static int turn_keys(struct tokens *t, int64_t now_s)
{
	int64_t period = now_s / PERIOD_S;
	struct period_key made[KEYS];
	int rc = 0;

	if (period <= t->keys[0].period)
		return 0;
	for (int i = 0; rc == 0 && i < KEYS; i++)
		rc = make_key(t, period - i, &made[i]);
	if (rc == 0)
		memcpy(t->keys, made, sizeof(made));
	crypto_wipe(made, sizeof(made));
	return rc;
}

/* A copy of the keys as they stand now; wipe it. */
static int keys_now(struct tokens *t, int64_t now_s, struct period_key ret[KEYS])
{
	int rc;

	pthread_mutex_lock(&t->lock);
	rc = turn_keys(t, now_s);
	memcpy(ret, t->keys, sizeof(t->keys));
	pthread_mutex_unlock(&t->lock);
	return rc;
}

int tokens_open(struct tokens **ret, struct keyring *keyring, const char *issuer, const struct clock *clock,
    const struct rng *rng)
{
	struct tokens *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return ERR_NOMEM;
	t->keyring = keyring;
	t->clock = clock;
	t->rng = rng;
	snprintf(t->issuer, sizeof(t->issuer), "%s", issuer);
	pthread_mutex_init(&t->lock, NULL);
	rc = turn_keys(t, clock_wall_us(clock) / 1000000);
	if (rc != 0)
		tokens_close(t);
	else
		*ret = t;
	return rc;
}

void tokens_close(struct tokens *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	buf_wipe(&t->legacy_secret);
	crypto_wipe(t, sizeof(*t));
	free(t);
}

int tokens_believe_legacy(struct tokens *t, struct slice secret, int64_t until_s)
{
	if (secret.len < TOKEN_LEGACY_SECRET_MIN)
		return ERR_INVALID;
	t->legacy_secret = (struct buf)BUF_INIT(4096);
	t->legacy_until_s = until_s;
	return buf_append(&t->legacy_secret, secret);
}

int tokens_issue(struct tokens *t, struct slice user_id, struct slice session_id, struct buf *out)
{
	int64_t now_s = clock_wall_us(t->clock) / 1000000;
	struct buf payload = BUF_INIT(JWT_LEN_MAX);
	struct json_writer w = JSON_WRITER(&payload);
	struct period_key keys[KEYS];
	struct id jti = id_random(t->rng);
	char jti_text[ID_TEXT_LEN + 1];
	int rc = keys_now(t, now_s, keys);

	id_format(jti_text, &jti);
	json_begin_object(&w);
	json_name(&w, "iss");
	json_put_str(&w, t->issuer);
	json_name(&w, "aud");
	json_put_str(&w, TOKEN_AUDIENCE);
	json_name(&w, "sub");
	json_put_string(&w, user_id);
	json_name(&w, "sid");
	json_put_string(&w, session_id);
	json_name(&w, "iat");
	json_put_i64(&w, now_s);
	json_name(&w, "nbf");
	json_put_i64(&w, now_s);
	json_name(&w, "exp");
	json_put_i64(&w, now_s + TOKEN_LIFE_S);
	json_name(&w, "jti");
	json_put_str(&w, jti_text);
	json_end_object(&w);
	if (rc == 0)
		rc = payload.rc;
	if (rc == 0)
		rc = jwt_sign(out, TOKEN_TYPE, keys[0].kid, buf_slice(&payload), keys[0].secret);
	crypto_wipe(keys, sizeof(keys));
	buf_finish(&payload);
	return rc;
}

enum jwt_verdict tokens_verify(struct tokens *t, struct slice token, struct arena *arena, struct jwt_claims *ret_claims)
{
	int64_t now_s = clock_wall_us(t->clock) / 1000000;
	struct period_key keys[KEYS];
	struct jwt_key believed[KEYS + 1];
	size_t n = KEYS;
	enum jwt_verdict verdict = JWT_NO_MEMORY;
	struct jwt_claims claims;

	if (keys_now(t, now_s, keys) != 0)
		return verdict;
	for (int i = 0; i < KEYS; i++) {
		believed[i] = (struct jwt_key){.kid = keys[i].kid, .alg = JWT_EDDSA, .issuer = t->issuer,
		    .audience = TOKEN_AUDIENCE, .type = TOKEN_TYPE};
		memcpy(believed[i].public_key, keys[i].public_key, ED25519_PUBLIC_LEN);
	}
	if (t->legacy_secret.len > 0)
		believed[n++] = (struct jwt_key){.alg = JWT_HS256, .secret = buf_slice(&t->legacy_secret),
		    .until_s = t->legacy_until_s};
	verdict = jwt_verify(token, believed, n, now_s, TOKEN_TOLERANCE_S, arena, &claims);
	crypto_wipe(keys, sizeof(keys));
	if (verdict == JWT_OK && claims.key->alg == JWT_HS256)
		claims.sid = (struct slice){0}; /* it has none of ours, whatever it says */
	else if (verdict == JWT_OK && claims.sid.len == 0)
		verdict = JWT_BAD_CLAIM;
	if (verdict == JWT_OK && claims.sub.len == 0)
		verdict = JWT_BAD_CLAIM;
	if (verdict == JWT_OK) {
		claims.key = NULL; /* it lies on our stack */
		*ret_claims = claims;
	}
	return verdict;
}

int tokens_write_jwks(struct tokens *t, struct json_writer *w)
{
	struct period_key keys[KEYS];
	int rc = keys_now(t, clock_wall_us(t->clock) / 1000000, keys);

	json_begin_object(w);
	json_name(w, "keys");
	json_begin_array(w);
	for (int i = 0; rc == 0 && i < KEYS; i++)
		rc = jwt_put_jwk(w, keys[i].kid, keys[i].public_key);
	json_end_array(w);
	json_end_object(w);
	crypto_wipe(keys, sizeof(keys));
	return rc != 0 ? rc : w->out->rc;
}
