/* See api_key.h. */
#include "app/api_key.h"

#define PREFIX_BYTES 8 /* make eleven characters, of which ten are used */

bool api_key_looks_like(struct slice text)
{
	return slice_starts_with(text, SLICE(API_KEY_START));
}

static bool is_base64url(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char c = text[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

bool api_key_parse(struct slice text, struct slice *ret_prefix)
{
	const char *prefix = text.ptr + sizeof(API_KEY_START) - 1;

	if (text.len != API_KEY_LEN || !api_key_looks_like(text) || prefix[API_KEY_PREFIX_LEN] != '.' ||
	    !is_base64url(prefix, API_KEY_PREFIX_LEN) ||
	    !is_base64url(prefix + API_KEY_PREFIX_LEN + 1, BASE64URL_LEN(API_KEY_SECRET_BYTES)))
		return false;
	*ret_prefix = slice_of(prefix, API_KEY_PREFIX_LEN);
	return true;
}

void api_key_make(char ret_text[API_KEY_LEN + 1], const struct rng *rng)
{
	uint8_t random[PREFIX_BYTES], secret[API_KEY_SECRET_BYTES];
	char prefix[BASE64URL_LEN(PREFIX_BYTES) + 1];
	char *at = ret_text;

	rng_fill(rng, random, sizeof(random));
	rng_fill(rng, secret, sizeof(secret));
	base64url_encode_to(prefix, random, sizeof(random));
	memcpy(at, API_KEY_START, sizeof(API_KEY_START) - 1);
	at += sizeof(API_KEY_START) - 1;
	memcpy(at, prefix, API_KEY_PREFIX_LEN);
	at += API_KEY_PREFIX_LEN;
	*at++ = '.';
	base64url_encode_to(at, secret, sizeof(secret));
	ret_text[API_KEY_LEN] = '\0';
	crypto_wipe(secret, sizeof(secret));
}

void api_key_digest(uint8_t ret[SHA256_LEN], struct slice text)
{
	sha256(ret, &text, 1);
}
