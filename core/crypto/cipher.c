/* Encryption: AES-256-CBC as the vendors use it, and what seals our own fields. */
#include "crypto/crypto.h"

#include <assert.h>

#include <mbedtls/aes.h>
#include <sodium.h>

#include "base/err.h"

#define BLOCK_LEN 16

/* The length without PKCS#7 padding, or ERR_MALFORMED; looks at every pad byte whatever it finds. */
static int unpad(const uint8_t *plain, size_t len, size_t *ret_len)
{
	unsigned pad = plain[len - 1], wrong = pad == 0 || pad > BLOCK_LEN;

	for (unsigned i = 1; i <= BLOCK_LEN; i++)
		wrong |= (i <= pad) & (plain[len - i] != pad);
	if (wrong)
		return ERR_MALFORMED;
	*ret_len = len - pad;
	return 0;
}

int aes256_cbc_decrypt(struct buf *out, const uint8_t key[32], const uint8_t iv[16], struct slice cipher)
{
	mbedtls_aes_context aes;
	uint8_t chain[BLOCK_LEN];
	size_t len;
	char *plain;
	int rc;

	if (cipher.len == 0 || cipher.len % BLOCK_LEN != 0)
		return ERR_MALFORMED;
	plain = buf_reserve(out, cipher.len);
	if (plain == NULL)
		return out->rc;
	mbedtls_aes_init(&aes);
	memcpy(chain, iv, sizeof(chain));
	rc = mbedtls_aes_setkey_dec(&aes, key, 256);
	assert(rc == 0);
	rc = mbedtls_aes_crypt_cbc(&aes, MBEDTLS_AES_DECRYPT, cipher.len, chain,
	    (const uint8_t *)cipher.ptr, (uint8_t *)plain);
	assert(rc == 0);
	mbedtls_aes_free(&aes);

	rc = unpad((uint8_t *)plain, cipher.len, &len);
	if (rc != 0) {
		crypto_wipe(plain, cipher.len);
		return rc;
	}
	buf_commit(out, len);
	return 0;
}

int aes256_cbc_encrypt(struct buf *out, const uint8_t key[32], const uint8_t iv[16], struct slice plain)
{
	size_t pad = BLOCK_LEN - plain.len % BLOCK_LEN, len;
	mbedtls_aes_context aes;
	uint8_t chain[BLOCK_LEN];
	char *cipher;
	int rc;

	if (__builtin_add_overflow(plain.len, pad, &len))
		return ERR_TOO_BIG;
	cipher = buf_reserve(out, len);
	if (cipher == NULL)
		return out->rc;
	if (plain.len > 0)
		memcpy(cipher, plain.ptr, plain.len);
	memset(cipher + plain.len, (int)pad, pad);
	mbedtls_aes_init(&aes);
	memcpy(chain, iv, sizeof(chain));
	rc = mbedtls_aes_setkey_enc(&aes, key, 256);
	assert(rc == 0);
	rc = mbedtls_aes_crypt_cbc(&aes, MBEDTLS_AES_ENCRYPT, len, chain, (uint8_t *)cipher,
	    (uint8_t *)cipher);
	assert(rc == 0);
	mbedtls_aes_free(&aes);
	buf_commit(out, len);
	return 0;
}

void xchacha_seal(uint8_t *ret, struct slice plain, struct slice aad,
    const uint8_t nonce[XCHACHA_NONCE_LEN], const uint8_t key[XCHACHA_KEY_LEN])
{
	crypto_aead_xchacha20poly1305_ietf_encrypt(ret, NULL, (const uint8_t *)plain.ptr, plain.len,
	    (const uint8_t *)aad.ptr, aad.len, NULL, nonce, key);
}

int xchacha_open(uint8_t *ret, struct slice cipher, struct slice aad,
    const uint8_t nonce[XCHACHA_NONCE_LEN], const uint8_t key[XCHACHA_KEY_LEN])
{
	if (cipher.len < XCHACHA_TAG_LEN)
		return ERR_BAD_KEY;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(ret, NULL, NULL, (const uint8_t *)cipher.ptr,
		cipher.len, (const uint8_t *)aad.ptr, aad.len, nonce, key) == 0)
		return 0;
	crypto_wipe(ret, cipher.len - XCHACHA_TAG_LEN);
	return ERR_BAD_KEY;
}
