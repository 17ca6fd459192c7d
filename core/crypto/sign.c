/* Ed25519 signatures, comparing and wiping of secrets. */
#include "crypto/crypto.h"

#include <sodium.h>

#include "base/planted.h"

void ed25519_from_seed(uint8_t ret_public[ED25519_PUBLIC_LEN], uint8_t ret_secret[ED25519_SECRET_LEN],
    const uint8_t seed[ED25519_SEED_LEN])
{
	crypto_sign_seed_keypair(ret_public, ret_secret, seed);
}

void ed25519_sign(uint8_t ret[ED25519_SIGNATURE_LEN], struct slice text,
    const uint8_t secret[ED25519_SECRET_LEN])
{
	crypto_sign_detached(ret, NULL, (const uint8_t *)text.ptr, text.len, secret);
}

bool ed25519_verify(const uint8_t signature[ED25519_SIGNATURE_LEN], struct slice text,
    const uint8_t public_key[ED25519_PUBLIC_LEN])
{
	return crypto_sign_verify_detached(signature, (const uint8_t *)text.ptr, text.len,
		   public_key) == 0;
}

bool crypto_equal(struct slice a, struct slice b)
{
	if (PLANTED(leaky_compare))
		return slice_eq(a, b);
	return a.len == b.len && (a.len == 0 || sodium_memcmp(a.ptr, b.ptr, a.len) == 0);
}

void crypto_wipe(void *bytes, size_t len)
{
	if (len > 0)
		sodium_memzero(bytes, len);
}
