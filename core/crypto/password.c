/* See password.h. */
#include "crypto/password.h"

#include <crypt.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"
#include "crypto/crypto.h"

#define SALT_LEN 16
#define HASH_LEN 32
#define MEMORY_KIB_MAX (256 * 1024)
#define PASSES_MAX 16
#define LANES_MAX 16
#define BCRYPT_LEN 60
#define BCRYPT_COST_MAX 15
#define BCRYPT_PASSWORD_MAX 72 /* what comes after is not looked at, so a longer one proves nothing */

/* Argon2's text form has the standard alphabet without padding. */
static void encode_unpadded(char *ret_text, const uint8_t *bytes, size_t len)
{
	base64_encode_to(ret_text, bytes, len);
	ret_text[strcspn(ret_text, "=")] = '\0';
}

int password_hash(char ret_text[PASSWORD_HASH_SIZE], struct slice password, const struct password_cost *cost,
    const struct rng *rng)
{
	uint8_t salt[SALT_LEN], hash[HASH_LEN];
	char salt_text[BASE64_LEN(SALT_LEN) + 1], hash_text[BASE64_LEN(HASH_LEN) + 1];

	if (cost->passes < crypto_pwhash_argon2id_OPSLIMIT_MIN || cost->passes > PASSES_MAX ||
	    cost->memory_kib < crypto_pwhash_argon2id_MEMLIMIT_MIN / 1024 || cost->memory_kib > MEMORY_KIB_MAX)
		return ERR_INVALID;
	rng_fill(rng, salt, sizeof(salt));
	if (crypto_pwhash(hash, sizeof(hash), password.len > 0 ? password.ptr : "", password.len, salt,
		cost->passes, (size_t)cost->memory_kib * 1024, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return ERR_NOMEM;
	encode_unpadded(salt_text, salt, sizeof(salt));
	encode_unpadded(hash_text, hash, sizeof(hash));
	snprintf(ret_text, PASSWORD_HASH_SIZE, "$argon2id$v=19$m=%u,t=%u,p=1$%s$%s", cost->memory_kib, cost->passes,
	    salt_text, hash_text);
	crypto_wipe(hash, sizeof(hash));
	return 0;
}

/* What an Argon2 text asks for. */
struct argon2_params {
	uint64_t memory_kib, passes, lanes;
	bool is_id; /* Argon2id; else Argon2i */
};

/* "name=123" at the front, up to `end`; both are taken off. */
static bool take_number(struct slice *text, const char *name, char end, uint64_t *ret)
{
	struct slice field, rest, digits;

	if (!slice_cut(*text, end, &field, &rest) || !slice_starts_with(field, slice_str(name)))
		return false;
	digits = slice_of(field.ptr + strlen(name), field.len - strlen(name));
	*text = rest;
	return slice_to_u64(digits, ret) == 0;
}

static bool read_params(struct slice text, struct argon2_params *ret)
{
	struct slice id = SLICE("$argon2id$"), i = SLICE("$argon2i$");
	uint64_t version;

	ret->is_id = slice_starts_with(text, id);
	if (!ret->is_id && !slice_starts_with(text, i))
		return false;
	text = slice_of(text.ptr + (ret->is_id ? id.len : i.len), text.len - (ret->is_id ? id.len : i.len));
	return take_number(&text, "v=", '$', &version) && version == 19 &&
	    take_number(&text, "m=", ',', &ret->memory_kib) && take_number(&text, "t=", ',', &ret->passes) &&
	    take_number(&text, "p=", '$', &ret->lanes) && ret->memory_kib <= MEMORY_KIB_MAX &&
	    ret->passes >= 1 && ret->passes <= PASSES_MAX && ret->lanes >= 1 && ret->lanes <= LANES_MAX;
}

static int verify_argon2(const char *text, struct slice password, const struct password_cost *cost,
    bool *ret_rehash)
{
	struct argon2_params p;

	if (!read_params(slice_str(text), &p))
		return ERR_MALFORMED;
	errno = 0; /* by which libsodium tells why: EINVAL for a hash that differs, ENOMEM from mmap() */
	if (crypto_pwhash_str_verify(text, password.len > 0 ? password.ptr : "", password.len) != 0)
		return errno == EINVAL ? ERR_BAD_KEY : errno == 0 ? ERR_MALFORMED : ERR_NOMEM;
	*ret_rehash = !p.is_id || p.memory_kib < cost->memory_kib || p.passes < cost->passes;
	return 0;
}

/* "$2b$12$" and 53 characters. */
static bool is_bcrypt(struct slice text)
{
	struct slice digits = text.len == BCRYPT_LEN ? slice_of(text.ptr + 4, 2) : (struct slice){0};
	uint64_t cost;

	return digits.ptr != NULL && memcmp(text.ptr, "$2", 2) == 0 && strchr("aby", text.ptr[2]) != NULL &&
	    text.ptr[3] == '$' && text.ptr[6] == '$' && slice_to_u64(digits, &cost) == 0 && cost <= BCRYPT_COST_MAX;
}

static int verify_bcrypt(const char *text, struct slice password)
{
	char clear[BCRYPT_PASSWORD_MAX + 1];
	struct crypt_data *work;
	const char *made;
	int rc;

	if (password.len == 0 || password.len > BCRYPT_PASSWORD_MAX ||
	    memchr(password.ptr, '\0', password.len) != NULL)
		return ERR_BAD_KEY;
	work = calloc(1, sizeof(*work));
	if (work == NULL)
		return ERR_NOMEM;
	memcpy(clear, password.ptr, password.len);
	clear[password.len] = '\0';
	made = crypt_rn(clear, text, work, sizeof(*work)); /* gives NULL, never a token, when it fails */
	if (made == NULL)
		rc = ERR_MALFORMED;
	else
		rc = crypto_equal(slice_str(made), slice_str(text)) ? 0 : ERR_BAD_KEY;
	crypto_wipe(clear, sizeof(clear));
	crypto_wipe(work, sizeof(*work));
	free(work);
	return rc;
}

int password_verify(struct slice text, struct slice password, const struct password_cost *cost, bool *ret_rehash)
{
	char copy[PASSWORD_HASH_SIZE];
	int rc;

	if (text.len >= sizeof(copy) || memchr(text.ptr, '\0', text.len) != NULL)
		return ERR_MALFORMED;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (is_bcrypt(text)) {
		rc = verify_bcrypt(copy, password);
		*ret_rehash = true;
	} else {
		rc = verify_argon2(copy, password, cost, ret_rehash);
	}
	crypto_wipe(copy, sizeof(copy));
	return rc;
}
