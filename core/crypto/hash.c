/* Digests and message authentication codes. */
#include "crypto/crypto.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include <openssl/evp.h>
#include <sodium.h>

#include "base/err.h"

#define HMAC_BLOCK_LEN 64

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int init_rc;
static pthread_key_t thread_key;
static EVP_MD *md_sha1, *md_sha256;

/*
 * Setting up an OpenSSL context costs more than hashing a small text with it,
 * so every thread keeps one for each hash.
 */
struct contexts {
	EVP_MD_CTX *sha1, *sha256;
};

static _Thread_local struct contexts *contexts;

static void free_contexts(void *arg)
{
	struct contexts *c = arg;

	EVP_MD_CTX_free(c->sha1);
	EVP_MD_CTX_free(c->sha256);
	free(c);
}

static void init_once(void)
{
	init_rc = ERR_UNAVAILABLE;
	if (sodium_init() < 0 || pthread_key_create(&thread_key, free_contexts) != 0)
		return;
	/* Fetched once: looking an algorithm up by name is slow in OpenSSL 3. */
	md_sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	md_sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (md_sha1 != NULL && md_sha256 != NULL)
		init_rc = 0;
}

int crypto_init(void)
{
	pthread_once(&once, init_once);
	return init_rc;
}

static struct contexts *thread_contexts(void)
{
	struct contexts *c = contexts;

	if (c != NULL)
		return c;
	assert(md_sha1 != NULL && md_sha256 != NULL && "crypto_init() comes first");
	c = calloc(1, sizeof(*c));
	if (c == NULL || (c->sha1 = EVP_MD_CTX_new()) == NULL ||
	    (c->sha256 = EVP_MD_CTX_new()) == NULL || pthread_setspecific(thread_key, c) != 0)
		abort();
	contexts = c;
	return c;
}

/* These calls fail only for a missing algorithm or no memory: nothing right could follow. */
static void must(int ok)
{
	if (ok != 1)
		abort();
}

static void digest(EVP_MD_CTX *context, const EVP_MD *md, uint8_t *ret, const struct slice *parts,
    size_t n_parts)
{
	must(EVP_DigestInit_ex2(context, md, NULL));
	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].len > 0)
			must(EVP_DigestUpdate(context, parts[i].ptr, parts[i].len));
	}
	must(EVP_DigestFinal_ex(context, ret, NULL));
}

void sha1(uint8_t ret[SHA1_LEN], const struct slice *parts, size_t n_parts)
{
	digest(thread_contexts()->sha1, md_sha1, ret, parts, n_parts);
}

void sha256(uint8_t ret[SHA256_LEN], const struct slice *parts, size_t n_parts)
{
	digest(thread_contexts()->sha256, md_sha256, ret, parts, n_parts);
}

static void xor_block(uint8_t block[HMAC_BLOCK_LEN], uint8_t with)
{
	for (int i = 0; i < HMAC_BLOCK_LEN; i++)
		block[i] ^= with;
}

/* RFC 2104, on top of the thread's SHA-256: OpenSSL's own would allocate at every call. */
void hmac_sha256(uint8_t ret[SHA256_LEN], struct slice key, const struct slice *parts, size_t n_parts)
{
	EVP_MD_CTX *context = thread_contexts()->sha256;
	uint8_t block[HMAC_BLOCK_LEN] = {0}, inner[SHA256_LEN];

	if (key.len > sizeof(block))
		sha256(block, &key, 1);
	else if (key.len > 0)
		memcpy(block, key.ptr, key.len);

	xor_block(block, 0x36);
	must(EVP_DigestInit_ex2(context, md_sha256, NULL));
	must(EVP_DigestUpdate(context, block, sizeof(block)));
	for (size_t i = 0; i < n_parts; i++) {
		if (parts[i].len > 0)
			must(EVP_DigestUpdate(context, parts[i].ptr, parts[i].len));
	}
	must(EVP_DigestFinal_ex(context, inner, NULL));

	xor_block(block, 0x36 ^ 0x5c);
	sha256(ret, (struct slice[]){slice_of(block, sizeof(block)), slice_of(inner, sizeof(inner))}, 2);
	crypto_wipe(block, sizeof(block));
	crypto_wipe(inner, sizeof(inner));
}

struct sha256_stream {
	EVP_MD_CTX *context;
};

int sha256_stream_create(struct sha256_stream **ret)
{
	struct sha256_stream *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ERR_NOMEM;
	s->context = EVP_MD_CTX_new();
	if (s->context == NULL || EVP_DigestInit_ex2(s->context, md_sha256, NULL) != 1) {
		sha256_stream_destroy(s);
		return ERR_NOMEM;
	}
	*ret = s;
	return 0;
}

void sha256_stream_update(struct sha256_stream *s, struct slice bytes)
{
	if (bytes.len > 0)
		must(EVP_DigestUpdate(s->context, bytes.ptr, bytes.len));
}

void sha256_stream_finish(struct sha256_stream *s, uint8_t ret[SHA256_LEN])
{
	must(EVP_DigestFinal_ex(s->context, ret, NULL));
	must(EVP_DigestInit_ex2(s->context, md_sha256, NULL));
}

void sha256_stream_destroy(struct sha256_stream *s)
{
	if (s == NULL)
		return;
	EVP_MD_CTX_free(s->context);
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
