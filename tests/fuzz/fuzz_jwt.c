/*
 * Fuzz entry: bytes as a JSON Web Token. The first byte says which: as they are,
 * or as a header and a payload (cut at the first line feed) that are signed as the
 * system being replaced would, so that what is behind the signature is reached.
 * What is believed must be signed, of the algorithm of its key, and in its time,
 * as an independent reading of it says.
 */
#include <cjson/cJSON.h>

#include "base/codec.h"
#include "domain/jwt.h"
#include "fuzz.h"

#define NOW 1760000000
#define TOLERANCE 60
#define SECRET "a secret of thirty-two bytes or so"

static struct slice signed_text(struct arena *a, struct slice header, struct slice payload)
{
	struct buf token = BUF_INIT(JWT_LEN_MAX * 4);
	uint8_t mac[SHA256_LEN];
	struct slice text;

	base64url_encode(&token, header);
	buf_append_char(&token, '.');
	base64url_encode(&token, payload);
	text = buf_slice(&token);
	hmac_sha256(mac, SLICE(SECRET), &text, 1);
	buf_append_char(&token, '.');
	base64url_encode(&token, slice_of((const char *)mac, sizeof(mac)));
	text = arena_dup(a, buf_slice(&token));
	buf_finish(&token);
	return text;
}

static cJSON *object_of(struct slice part)
{
	struct buf bytes = BUF_INIT(JWT_LEN_MAX * 2);
	cJSON *object;

	check(base64url_decode(&bytes, part) == 0);
	object = cJSON_ParseWithLength(bytes.ptr, bytes.len);
	check(cJSON_IsObject(object));
	buf_finish(&bytes);
	return object;
}

static double number(const cJSON *object, const char *name, double absent)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, name);

	check(v == NULL || cJSON_IsNumber(v));
	return v == NULL ? absent : v->valuedouble;
}

static void check_believed(struct slice token, const struct jwt_claims *claims)
{
	static const char *const refused[] = {"jwk", "jku", "x5u", "x5c", "crit"};
	struct slice head = {0}, rest = {0}, payload = {0}, signature = {0}, text;
	uint8_t mac[SHA256_LEN], given[SHA256_LEN];
	cJSON *header, *body;
	const cJSON *alg;

	check(token.len <= JWT_LEN_MAX);
	check(slice_cut(token, '.', &head, &rest) && slice_cut(rest, '.', &payload, &signature));
	text = slice_of(token.ptr, head.len + 1 + payload.len);
	hmac_sha256(mac, SLICE(SECRET), &text, 1);
	check(base64url_decode_to(given, sizeof(given), signature) == 0 && memcmp(mac, given, sizeof(mac)) == 0);
	header = object_of(head);
	body = object_of(payload);
	alg = cJSON_GetObjectItemCaseSensitive(header, "alg");
	check(cJSON_IsString(alg) && strcmp(alg->valuestring, "HS256") == 0);
	check(!cJSON_HasObjectItem(header, "kid") || cJSON_GetObjectItemCaseSensitive(header, "kid") == NULL);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		check(cJSON_GetObjectItemCaseSensitive(header, refused[i]) == NULL);
	check(number(body, "exp", 0) > NOW - TOLERANCE);
	check(number(body, "nbf", 0) <= NOW + TOLERANCE && number(body, "iat", 0) <= NOW + TOLERANCE);
	check(claims->exp == (int64_t)number(body, "exp", 0) || claims->exp > INT64_C(1) << 53);
	cJSON_Delete(header);
	cJSON_Delete(body);
}

void fuzz_one(struct slice input)
{
	static const struct jwt_key keys[] = {
	    {.kid = "ours", .alg = JWT_EDDSA, .public_key = {1, 2, 3}, .issuer = "lulab", .audience = "lulab", .type = "at+jwt"},
	    {.alg = JWT_HS256, .secret = {SECRET, sizeof(SECRET) - 1}},
	};
	struct arena a = ARENA_INIT(1 << 20);
	struct jwt_claims claims;
	struct slice rest, header, payload, token;
	enum jwt_verdict verdict;
	char *copy;

	if (input.len == 0)
		return;
	rest = slice_of(input.ptr + 1, input.len - 1);
	if ((input.ptr[0] & 1) != 0) {
		slice_cut(rest, '\n', &header, &payload);
		token = signed_text(&a, header, payload);
	} else {
		token = rest;
	}
	copy = fuzz_copy(token);
	token = slice_of(copy, token.len);
	verdict = jwt_verify(token, keys, 2, NOW, TOLERANCE, &a, &claims);
	check(jwt_verdict_text(verdict) != NULL);
	if (verdict == JWT_OK)
		check_believed(token, &claims);
	free(copy);
	arena_finish(&a);
}
