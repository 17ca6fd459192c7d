/*
 * The text of an API key: sk_<prefix>.<secret>. The prefix finds it, and may be
 * shown; the secret is 32 random bytes. Of the whole only a SHA-256 is kept,
 * which is enough for what nobody can guess. Pure; any thread.
 */
#ifndef LULAB_APP_API_KEY_H
#define LULAB_APP_API_KEY_H

#include "base/codec.h"
#include "base/rng.h"
#include "base/slice.h"
#include "crypto/crypto.h"

#define API_KEY_START "sk_"
#define API_KEY_PREFIX_LEN 10
#define API_KEY_SECRET_BYTES 32
#define API_KEY_LEN (3 + API_KEY_PREFIX_LEN + 1 + BASE64URL_LEN(API_KEY_SECRET_BYTES))

/* Is this meant to be one, whatever is behind sk_? */
bool api_key_looks_like(struct slice text);
/* Exactly the form that we make, else false. *ret_prefix lies in the text. */
bool api_key_parse(struct slice text, struct slice *ret_prefix);
/* A new one; wipe it when it has been shown. */
void api_key_make(char ret_text[API_KEY_LEN + 1], const struct rng *rng);
void api_key_digest(uint8_t ret[SHA256_LEN], struct slice text);

#endif
