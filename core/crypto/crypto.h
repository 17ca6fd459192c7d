/*
 * The few cryptographic verbs we use, whatever library does them.
 *
 *   MD5, SHA-1, SHA-256, HMAC   OpenSSL: uses the processor's SHA instructions
 *   AES-256-CBC              mbedTLS: what the meeting vendors ask for
 *   Ed25519, XChaCha20-Poly1305, BLAKE2b, compare, wipe    libsodium
 *
 * crypto_init() once before anything else; then any thread.
 */
#ifndef LULAB_CRYPTO_CRYPTO_H
#define LULAB_CRYPTO_CRYPTO_H

#include "base/buf.h"

#define SHA1_LEN 20
#define SHA256_LEN 32

int crypto_init(void); /* 0 or ERR_UNAVAILABLE; idempotent */

/* Hash of parts[0] || parts[1] || ... ; these cannot fail once crypto_init() succeeded. */
void sha1(uint8_t ret[SHA1_LEN], const struct slice *parts, size_t n_parts);
void sha256(uint8_t ret[SHA256_LEN], const struct slice *parts, size_t n_parts);
/* At most 15 parts (asserted). */
void hmac_sha256(uint8_t ret[SHA256_LEN], struct slice key, const struct slice *parts, size_t n_parts);
/* For vendors that ask for nothing better. */
#define MD5_LEN 16
void md5(uint8_t ret[MD5_LEN], const struct slice *parts, size_t n_parts);
void hmac_sha1(uint8_t ret[SHA1_LEN], struct slice key, const struct slice *parts, size_t n_parts);

/* Incremental SHA-256, for streams. */
struct sha256_stream;
int sha256_stream_create(struct sha256_stream **ret);
void sha256_stream_update(struct sha256_stream *s, struct slice bytes);
void sha256_stream_finish(struct sha256_stream *s, uint8_t ret[SHA256_LEN]); /* and ready for the next text */
void sha256_stream_destroy(struct sha256_stream *s);
/* Put away after a multiple of 64 bytes (asserted), and gone on with later, by another process too: for what takes hours. */
#define SHA256_STATE_LEN 40
void sha256_stream_save(const struct sha256_stream *s, uint8_t ret[SHA256_STATE_LEN]);
/* ERR_MALFORMED: no such state. */
int sha256_stream_restore(struct sha256_stream *s, const uint8_t state[SHA256_STATE_LEN]);

/* BLAKE2b (RFC 7693), 1..64 bytes out, key may be empty. */
void blake2b(uint8_t *ret, size_t ret_len, struct slice key, const struct slice *parts, size_t n_parts);

/*
 * SipHash-2-4 of 128 bits: for short texts, where every request pays for it. A
 * pseudo-random function while the key is secret, and without a meaning once it
 * is known: nothing that is stored or sent is made with it.
 */
#define SIPHASH_LEN 16
#define SIPHASH_KEY_LEN 16
void siphash(uint8_t ret[SIPHASH_LEN], const uint8_t key[SIPHASH_KEY_LEN], struct slice text);

/*
 * AES-256-CBC with PKCS#7 padding (block 16). Decrypt: ERR_MALFORMED for an
 * empty text, a length not a multiple of 16, or bad padding (all pad bytes are
 * checked); appends the plaintext to out. Encrypt appends the ciphertext.
 */
int aes256_cbc_decrypt(struct buf *out, const uint8_t key[32], const uint8_t iv[16], struct slice cipher);
int aes256_cbc_encrypt(struct buf *out, const uint8_t key[32], const uint8_t iv[16], struct slice plain);

/* Ed25519 (RFC 8032). The secret key is libsodium's 64 bytes: seed || public. */
#define ED25519_SEED_LEN 32
#define ED25519_PUBLIC_LEN 32
#define ED25519_SECRET_LEN 64
#define ED25519_SIGNATURE_LEN 64
void ed25519_from_seed(uint8_t ret_public[ED25519_PUBLIC_LEN], uint8_t ret_secret[ED25519_SECRET_LEN],
    const uint8_t seed[ED25519_SEED_LEN]);
void ed25519_sign(uint8_t ret[ED25519_SIGNATURE_LEN], struct slice text, const uint8_t secret[ED25519_SECRET_LEN]);
bool ed25519_verify(const uint8_t signature[ED25519_SIGNATURE_LEN], struct slice text,
    const uint8_t public_key[ED25519_PUBLIC_LEN]);

/* XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03). ret has plain.len + 16 / cipher.len - 16 bytes. */
#define XCHACHA_KEY_LEN 32
#define XCHACHA_NONCE_LEN 24
#define XCHACHA_TAG_LEN 16
void xchacha_seal(uint8_t *ret, struct slice plain, struct slice aad, const uint8_t nonce[XCHACHA_NONCE_LEN],
    const uint8_t key[XCHACHA_KEY_LEN]);
/* ERR_BAD_KEY when the tag does not fit; ret is then zeroed. */
int xchacha_open(uint8_t *ret, struct slice cipher, struct slice aad, const uint8_t nonce[XCHACHA_NONCE_LEN],
    const uint8_t key[XCHACHA_KEY_LEN]);

/* Constant time in the content; different lengths compare unequal at once (lengths are not secret). */
bool crypto_equal(struct slice a, struct slice b);

/* Overwrites with zeros, not optimised away. */
void crypto_wipe(void *bytes, size_t len);

#endif
