/* Encryption: AES-256-CBC as the vendors use it, and what seals our own fields. */
#include "crypto/crypto.h"

#include <assert.h>
#include <limits.h>
#include <stdatomic.h>

#include <openssl/evp.h>
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

/*
 * OpenSSL's, which decrypts several blocks at a time. Looked up once: that takes locks, and longer than a webhook's
 * blocks. NULL: no memory, another time there may be.
 */
static const EVP_CIPHER *aes256_cbc(void)
{
	static _Atomic(EVP_CIPHER *) known;
	EVP_CIPHER *cipher = atomic_load(&known), *other = NULL;

	if (cipher != NULL)
		return cipher;
	cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	if (cipher == NULL || atomic_compare_exchange_strong(&known, &other, cipher))
		return cipher;
	EVP_CIPHER_free(cipher); /* another thread was quicker */
	return other;
}

/* Whole blocks; `to` and `from` may be the same place. 0 or ERR_NOMEM. */
static int crypt_blocks(bool encrypt, uint8_t *to, const uint8_t *from, size_t len, const uint8_t key[32],
    const uint8_t iv[BLOCK_LEN])
{
	const EVP_CIPHER *cipher = aes256_cbc();
	EVP_CIPHER_CTX *context = cipher == NULL ? NULL : EVP_CIPHER_CTX_new();
	int n, rc = ERR_NOMEM;

	assert(len > 0 && len % BLOCK_LEN == 0 && len <= INT_MAX);
	/* Padding is checked here, in constant time, and so left to nobody else. */
	if (context != NULL && EVP_CipherInit_ex2(context, cipher, key, iv, encrypt, NULL) == 1 &&
	    EVP_CIPHER_CTX_set_padding(context, 0) == 1 && EVP_CipherUpdate(context, to, &n, from, (int)len) == 1 &&
	    n == (int)len)
		rc = 0;
	EVP_CIPHER_CTX_free(context); /* wipes the key */
	return rc;
}

int aes256_cbc_decrypt(struct buf *out, const uint8_t key[32], const uint8_t iv[16], struct slice cipher)
{
	size_t len;
	char *plain;
	int rc;

	if (cipher.len == 0 || cipher.len % BLOCK_LEN != 0)
		return ERR_MALFORMED;
	if (cipher.len > INT_MAX)
		return ERR_TOO_BIG;
	plain = buf_reserve(out, cipher.len);
	if (plain == NULL)
		return out->rc;
	rc = crypt_blocks(false, (uint8_t *)plain, (const uint8_t *)cipher.ptr, cipher.len, key, iv);
	if (rc != 0)
		return out->rc = rc;
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
	char *cipher;
	int rc;

	if (__builtin_add_overflow(plain.len, pad, &len) || len > INT_MAX)
		return ERR_TOO_BIG;
	cipher = buf_reserve(out, len);
	if (cipher == NULL)
		return out->rc;
	if (plain.len > 0)
		memcpy(cipher, plain.ptr, plain.len);
	memset(cipher + plain.len, (int)pad, pad);
	rc = crypt_blocks(true, (uint8_t *)cipher, (uint8_t *)cipher, len, key, iv);
	if (rc != 0) {
		crypto_wipe(cipher, len);
		return out->rc = rc;
	}
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
