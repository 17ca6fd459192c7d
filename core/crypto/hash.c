/*
 * Digests and message authentication codes.
 *
 * SHA comes from OpenSSL's older calls, whose state lies on the stack: those
 * that replaced them allocate at every digest, and a hash that can fail for
 * want of memory would have to be expected to everywhere. They use the same
 * instructions of the processor.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/crypto.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include <openssl/md5.h>
#include <openssl/sha.h>
#include <sodium.h>

#include "base/err.h"

#define HMAC_BLOCK_LEN 64
#define HMAC_PARTS_MAX 15

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int init_rc;

static void init_once(void)
{
	init_rc = sodium_init() < 0 ? ERR_UNAVAILABLE : 0;
}

int crypto_init(void)
{
	pthread_once(&once, init_once);
	return init_rc;
}

void sha1(uint8_t ret[SHA1_LEN], const struct slice *parts, size_t n_parts)
{
	SHA_CTX context;

	SHA1_Init(&context);
	for (size_t i = 0; i < n_parts; i++)
		SHA1_Update(&context, parts[i].ptr, parts[i].len);
	SHA1_Final(ret, &context);
}

void md5(uint8_t ret[MD5_LEN], const struct slice *parts, size_t n_parts)
{
	MD5_CTX context;

	MD5_Init(&context);
	for (size_t i = 0; i < n_parts; i++)
		MD5_Update(&context, parts[i].ptr, parts[i].len);
	MD5_Final(ret, &context);
}

static void sha256_parts(SHA256_CTX *context, const struct slice *parts, size_t n_parts)
{
	for (size_t i = 0; i < n_parts; i++)
		SHA256_Update(context, parts[i].ptr, parts[i].len);
}

void sha256(uint8_t ret[SHA256_LEN], const struct slice *parts, size_t n_parts)
{
	SHA256_CTX context;

	SHA256_Init(&context);
	sha256_parts(&context, parts, n_parts);
	SHA256_Final(ret, &context);
}

static void xor_block(uint8_t block[HMAC_BLOCK_LEN], uint8_t with)
{
	for (int i = 0; i < HMAC_BLOCK_LEN; i++)
		block[i] ^= with;
}

typedef void digest_fn(uint8_t *ret, const struct slice *parts, size_t n_parts);

/* RFC 2104, of a hash with blocks of 64 bytes. */
static void hmac(digest_fn *digest, size_t len, uint8_t *ret, struct slice key, const struct slice *parts, size_t n_parts)
{
	uint8_t block[HMAC_BLOCK_LEN] = {0}, inner[HMAC_BLOCK_LEN];
	struct slice all[HMAC_PARTS_MAX + 1];

	assert(n_parts <= HMAC_PARTS_MAX);
	if (key.len > sizeof(block))
		digest(block, &key, 1);
	else if (key.len > 0)
		memcpy(block, key.ptr, key.len);
	all[0] = slice_of(block, sizeof(block));
	for (size_t i = 0; i < n_parts; i++)
		all[i + 1] = parts[i];

	xor_block(block, 0x36);
	digest(inner, all, n_parts + 1);
	xor_block(block, 0x36 ^ 0x5c);
	digest(ret, (struct slice[]){all[0], slice_of(inner, len)}, 2);
	crypto_wipe(block, sizeof(block));
	crypto_wipe(inner, sizeof(inner));
}

void hmac_sha256(uint8_t ret[SHA256_LEN], struct slice key, const struct slice *parts, size_t n_parts)
{
	hmac(sha256, SHA256_LEN, ret, key, parts, n_parts);
}

void hmac_sha1(uint8_t ret[SHA1_LEN], struct slice key, const struct slice *parts, size_t n_parts)
{
	hmac(sha1, SHA1_LEN, ret, key, parts, n_parts);
}

struct sha256_stream {
	SHA256_CTX context;
};

int sha256_stream_create(struct sha256_stream **ret)
{
	struct sha256_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_NOMEM;
	SHA256_Init(&s->context);
	*ret = s;
	return 0;
}

void sha256_stream_update(struct sha256_stream *s, struct slice bytes)
{
	SHA256_Update(&s->context, bytes.ptr, bytes.len);
}

void sha256_stream_finish(struct sha256_stream *s, uint8_t ret[SHA256_LEN])
{
	SHA256_Final(ret, &s->context);
	SHA256_Init(&s->context);
}

static void put_be(uint8_t *to, uint64_t value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(value >> 8 * (len - 1 - i));
}

static uint64_t get_be(const uint8_t *from, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | from[i];
	return value;
}

/* The eight words, then how many bytes there were. */
void sha256_stream_save(const struct sha256_stream *s, uint8_t ret[SHA256_STATE_LEN])
{
	const SHA256_CTX *c = &s->context;

	assert(c->num == 0);
	for (size_t i = 0; i < 8; i++)
		put_be(ret + 4 * i, c->h[i], 4);
	put_be(ret + 32, ((uint64_t)c->Nh << 32 | c->Nl) >> 3, 8);
}

int sha256_stream_restore(struct sha256_stream *s, const uint8_t state[SHA256_STATE_LEN])
{
	uint64_t bytes = get_be(state + 32, 8);

	if (bytes % SHA256_CBLOCK != 0 || bytes > UINT64_MAX >> 3)
		return ERR_MALFORMED;
	SHA256_Init(&s->context);
	for (size_t i = 0; i < 8; i++)
		s->context.h[i] = (SHA_LONG)get_be(state + 4 * i, 4);
	s->context.Nh = (SHA_LONG)(bytes << 3 >> 32);
	s->context.Nl = (SHA_LONG)(bytes << 3);
	return 0;
}

void sha256_stream_destroy(struct sha256_stream *s)
{
	free(s);
}

void blake2b(uint8_t *ret, size_t ret_len, struct slice key, const struct slice *parts, size_t n_parts)
{
	crypto_generichash_blake2b_state state;
	int rc;

	assert(ret_len >= 1 && ret_len <= crypto_generichash_blake2b_BYTES_MAX);
	assert(key.len <= crypto_generichash_blake2b_KEYBYTES_MAX);
	rc = crypto_generichash_blake2b_init(&state, (const uint8_t *)key.ptr, key.len, ret_len);
	assert(rc == 0);
	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].len > 0)
			crypto_generichash_blake2b_update(&state, (const uint8_t *)parts[i].ptr,
			    parts[i].len);
	}
	rc = crypto_generichash_blake2b_final(&state, ret, ret_len);
	assert(rc == 0);
	if (key.len > 0)
		crypto_wipe(&state, sizeof(state));
}

void siphash(uint8_t ret[SIPHASH_LEN], const uint8_t key[SIPHASH_KEY_LEN], struct slice text)
{
	crypto_shorthash_siphashx24(ret, (const uint8_t *)text.ptr, text.len, key);
}
