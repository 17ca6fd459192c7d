/* jwt.c, judged by the vectors another implementation signed and judged. */
#include <stdio.h>

#include <cjson/cJSON.h>

#include "base/codec.h"
#include "base/io.h"
#include "domain/jwt.h"
#include "lib/run.h"

#define NOW 1760000400

static struct arena arena;
static uint8_t secret_key[ED25519_SECRET_LEN];
static struct jwt_key ours;

static void set_up(void)
{
	uint8_t seed[ED25519_SEED_LEN];

	ck_assert_int_eq(crypto_init(), 0);
	arena = (struct arena)ARENA_INIT(1 << 20);
	memset(seed, 7, sizeof(seed));
	ours = (struct jwt_key){.kid = "k1", .alg = JWT_EDDSA, .issuer = "us", .audience = "api", .type = "at+jwt"};
	ed25519_from_seed(ours.public_key, secret_key, seed);
}

static void tear_down(void)
{
	arena_finish(&arena);
}

static const char *text_of(const cJSON *object, const char *name)
{
	const cJSON *v = cJSON_GetObjectItem(object, name);

	return cJSON_IsString(v) ? v->valuestring : NULL;
}

/* What the other implementation's reason may be here. */
static bool fits(const char *reason, enum jwt_verdict verdict)
{
	static const struct {
		const char *reason;
		enum jwt_verdict verdicts[3];
	} table[] = {
	    {"ERR_JOSE_ALG_NOT_ALLOWED", {JWT_BAD_ALGORITHM, JWT_UNKNOWN_KEY, JWT_UNKNOWN_KEY}},
	    {"ERR_JWT_EXPIRED", {JWT_EXPIRED, JWT_EXPIRED, JWT_EXPIRED}},
	    {"ERR_JWT_CLAIM_VALIDATION_FAILED", {JWT_BAD_CLAIM, JWT_BAD_CLAIM, JWT_BAD_CLAIM}},
	    {"ERR_JWS_SIGNATURE_VERIFICATION_FAILED", {JWT_BAD_SIGNATURE, JWT_BAD_SIGNATURE, JWT_BAD_SIGNATURE}},
	    {"ERR_JWS_INVALID", {JWT_MALFORMED, JWT_MALFORMED, JWT_MALFORMED}},
	    {"ERR_JWT_INVALID", {JWT_MALFORMED, JWT_MALFORMED, JWT_MALFORMED}},
	    {"ERR_JOSE_NOT_SUPPORTED", {JWT_UNSUPPORTED, JWT_UNSUPPORTED, JWT_UNSUPPORTED}},
	};

	for (size_t i = 0; i < COUNT(table); i++)
		if (strcmp(reason, table[i].reason) == 0)
			return verdict == table[i].verdicts[0] || verdict == table[i].verdicts[1] ||
			    verdict == table[i].verdicts[2];
	return false;
}

START_TEST(vectors_of_another_implementation)
{
	struct buf text = BUF_INIT(1 << 20);
	const cJSON *one;
	cJSON *tree = NULL;
	int n_valid = 0, n_refused = 0;

	ck_assert_int_eq(file_read(&text, SHARED_VECTORS "/jwt.json"), 0);
	ck_assert_int_eq(json_tree(buf_slice(&text), NULL, &tree, NULL), 0);
	cJSON_ArrayForEach(one, cJSON_GetObjectItem(tree, "cases"))
	{
		const cJSON *input = cJSON_GetObjectItem(one, "input");
		const cJSON *expect = cJSON_GetObjectItem(one, "expect");
		const char *id = text_of(one, "id");
		const char *secret_hex = text_of(input, "secret_hex"), *public_hex = text_of(input, "public_key_hex");
		int64_t now = (int64_t)cJSON_GetObjectItem(input, "now")->valuedouble;
		struct jwt_key keys[2] = {{.issuer = text_of(input, "issuer"), .audience = text_of(input, "audience")}};
		struct jwt_claims claims = {0};
		enum jwt_verdict verdict;
		uint8_t secret[128];

		if (strcmp(text_of(input, "accepted_alg"), "HS256") == 0) {
			keys[0].alg = JWT_HS256;
			ck_assert_uint_le(strlen(secret_hex) / 2, sizeof(secret));
			ck_assert_int_eq(hex_decode(secret, strlen(secret_hex) / 2, slice_str(secret_hex)), 0);
			keys[0].secret = slice_of(secret, strlen(secret_hex) / 2);
		} else {
			keys[0].alg = JWT_EDDSA;
			ck_assert_int_eq(hex_decode(keys[0].public_key, 32, slice_str(public_hex)), 0);
		}
		keys[1] = keys[0];
		keys[1].kid = "fake-kid-1";
		verdict = jwt_verify(slice_str(text_of(input, "token")), keys, 2, now, 0, &arena, &claims);
		if (cJSON_IsTrue(cJSON_GetObjectItem(expect, "valid"))) {
			const cJSON *payload = cJSON_GetObjectItem(expect, "payload");

			ck_assert_msg(verdict == JWT_OK, "%s: %s", id, jwt_verdict_text(verdict));
			ck_assert_slice_eq(claims.sub, slice_str(text_of(payload, "sub")));
			ck_assert_slice_eq(claims.jti, slice_str(text_of(payload, "jti")));
			ck_assert_int_eq(claims.exp, (int64_t)cJSON_GetObjectItem(payload, "exp")->valuedouble);
			n_valid++;
		} else {
			ck_assert_msg(fits(text_of(expect, "reason"), verdict), "%s: %s, not %s", id,
			    jwt_verdict_text(verdict), text_of(expect, "reason"));
			ck_assert_ptr_null(claims.key);
			n_refused++;
		}
	}
	ck_assert_int_ge(n_valid, 6);
	ck_assert_int_ge(n_refused, 19);
	cJSON_Delete(tree);
	buf_finish(&text);
}
END_TEST

/* RFC 8037 appendix A.4: the signature of a known key over a known text. */
START_TEST(signature_of_rfc_8037)
{
	static const char seed_text[] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
	static const char public_text[] = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
	static const char token[] = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIb"
	                            "QR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
	struct jwt_key key = {.alg = JWT_EDDSA};
	uint8_t seed[ED25519_SEED_LEN], expected[ED25519_PUBLIC_LEN];
	struct jwt_claims claims;
	char spoilt[sizeof(token)];

	ck_assert_int_eq(base64url_decode_to(seed, sizeof(seed), slice_str(seed_text)), 0);
	ck_assert_int_eq(base64url_decode_to(expected, sizeof(expected), slice_str(public_text)), 0);
	ed25519_from_seed(key.public_key, secret_key, seed);
	ck_assert_slice_eq(slice_of(key.public_key, 32), slice_of(expected, 32));
	/* It is not JSON, so it is refused for that, and only after its signature held. */
	ck_assert_int_eq(jwt_verify(slice_str(token), &key, 1, NOW, 0, &arena, &claims), JWT_MALFORMED);
	memcpy(spoilt, token, sizeof(token));
	spoilt[30] ^= 1;
	ck_assert_int_eq(jwt_verify(slice_str(spoilt), &key, 1, NOW, 0, &arena, &claims), JWT_BAD_SIGNATURE);
}
END_TEST

#define GOOD "{\"iss\":\"us\",\"aud\":\"api\",\"sub\":\"u\",\"sid\":\"s\",\"jti\":\"j\",\"iat\":1760000400,\"nbf\":1760000400,\"exp\":1760001000}"

static enum jwt_verdict judge(const char *typ, const char *kid, const char *payload, int64_t now)
{
	struct buf token = BUF_INIT(8192);
	struct jwt_claims claims = {0};
	enum jwt_verdict verdict;

	ck_assert_int_eq(jwt_sign(&token, typ, kid, slice_str(payload), secret_key), 0);
	verdict = jwt_verify(buf_slice(&token), &ours, 1, now, 60, &arena, &claims);
	if (verdict == JWT_OK) {
		ck_assert_slice_eq(claims.sub, SLICE("u"));
		ck_assert_slice_eq(claims.sid, SLICE("s"));
		ck_assert_ptr_eq(claims.key, &ours);
	}
	buf_finish(&token);
	return verdict;
}

static const struct {
	const char *typ, *kid, *payload;
	int64_t now;
	enum jwt_verdict verdict;
} made[] = {
    {"at+jwt", "k1", GOOD, NOW, JWT_OK},
    {"at+jwt", "k1", GOOD, NOW - 60, JWT_OK},
    {"at+jwt", "k1", GOOD, NOW - 61, JWT_NOT_YET},
    {"at+jwt", "k1", GOOD, 1760001059, JWT_OK},
    {"at+jwt", "k1", GOOD, 1760001060, JWT_EXPIRED},
    {"JWT", "k1", GOOD, NOW, JWT_BAD_CLAIM},
    {"at+jwt", "k2", GOOD, NOW, JWT_UNKNOWN_KEY},
    {"at+jwt", "k1", "{\"iss\":\"us\",\"aud\":[\"x\",\"api\"],\"sub\":\"u\",\"sid\":\"s\",\"exp\":1760001000}", NOW, JWT_OK},
    {"at+jwt", "k1", "{\"iss\":\"us\",\"aud\":[\"x\"],\"sub\":\"u\",\"sid\":\"s\",\"exp\":1760001000}", NOW, JWT_BAD_CLAIM},
    {"at+jwt", "k1", "{\"iss\":\"us\",\"aud\":[1,\"api\"],\"exp\":1760001000}", NOW, JWT_BAD_CLAIM},
    {"at+jwt", "k1", "{\"iss\":\"us\",\"aud\":{},\"exp\":1760001000}", NOW, JWT_BAD_CLAIM},
    {"at+jwt", "k1", "{\"iss\":\"us\",\"exp\":1760001000}", NOW, JWT_BAD_CLAIM},
    {"at+jwt", "k1", "{\"iss\":\"them\",\"aud\":\"api\",\"exp\":1760001000}", NOW, JWT_BAD_CLAIM},
    {"at+jwt", "k1", "{\"aud\":\"api\",\"exp\":1760001000}", NOW, JWT_BAD_CLAIM},
    {"at+jwt", "k1", "{\"iss\":\"us\",\"aud\":\"api\"}", NOW, JWT_BAD_CLAIM},
    {"at+jwt", "k1", "{\"iss\":\"us\",\"aud\":\"api\",\"exp\":1e12}", NOW, JWT_BAD_CLAIM},
    {"at+jwt", "k1", "{\"iss\":\"us\",\"aud\":\"api\",\"exp\":-1}", NOW, JWT_BAD_CLAIM},
    {"at+jwt", "k1", "{\"iss\":\"us\",\"aud\":\"api\",\"exp\":1760001000,\"sub\":7}", NOW, JWT_BAD_CLAIM},
    {"at+jwt", "k1", "{\"iss\":\"us\",\"aud\":\"api\",\"exp\":1760001000,\"iat\":1760009999}", NOW, JWT_NOT_YET},
    {"at+jwt", "k1", "{\"iss\":\"us\",\"iss\":\"us\",\"aud\":\"api\",\"exp\":1760001000}", NOW, JWT_MALFORMED},
    {"at+jwt", "k1", "[]", NOW, JWT_MALFORMED},
    {"at+jwt", "k1", "", NOW, JWT_MALFORMED},
};

START_TEST(tokens_we_made)
{
	enum jwt_verdict verdict = judge(made[_i].typ, made[_i].kid, made[_i].payload, made[_i].now);

	ck_assert_msg(verdict == made[_i].verdict, "%s: %s", made[_i].payload, jwt_verdict_text(verdict));
}
END_TEST

/* Headers a stranger may try; signed with our own key so that nothing else is wrong. */
static const struct {
	const char *header;
	enum jwt_verdict verdict;
} headers[] = {
    {"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", JWT_OK},
    {"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"jwk\":{}}", JWT_UNSUPPORTED},
    {"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"jku\":\"http://x\"}", JWT_UNSUPPORTED},
    {"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"x5u\":\"http://x\"}", JWT_UNSUPPORTED},
    {"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"x5c\":[]}", JWT_UNSUPPORTED},
    {"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"k1\",\"crit\":[\"b64\"],\"b64\":true}", JWT_UNSUPPORTED},
    {"{\"alg\":\"eddsa\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", JWT_BAD_ALGORITHM},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", JWT_BAD_ALGORITHM},
    {"{\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", JWT_BAD_ALGORITHM},
    {"{\"typ\":\"at+jwt\",\"kid\":\"k1\"}", JWT_BAD_ALGORITHM},
    {"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\"}", JWT_UNKNOWN_KEY},
    {"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"\"}", JWT_UNKNOWN_KEY},
    {"{\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":1}", JWT_MALFORMED},
    {"{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\",\"typ\":\"at+jwt\",\"kid\":\"k1\"}", JWT_MALFORMED},
    {"{\"alg\":\"EdDSA\",\"kid\":\"k1\"}", JWT_BAD_CLAIM},
    {"\"EdDSA\"", JWT_MALFORMED},
};

START_TEST(headers_of_strangers)
{
	struct buf token = BUF_INIT(8192);
	uint8_t signature[ED25519_SIGNATURE_LEN];
	struct jwt_claims claims;
	enum jwt_verdict verdict;

	base64url_encode(&token, slice_str(headers[_i].header));
	buf_append_char(&token, '.');
	base64url_encode(&token, SLICE(GOOD));
	ed25519_sign(signature, buf_slice(&token), secret_key);
	buf_append_char(&token, '.');
	ck_assert_int_eq(base64url_encode(&token, slice_of(signature, sizeof(signature))), 0);
	verdict = jwt_verify(buf_slice(&token), &ours, 1, NOW, 60, &arena, &claims);
	ck_assert_msg(verdict == headers[_i].verdict, "%s: %s", headers[_i].header, jwt_verdict_text(verdict));
	buf_finish(&token);
}
END_TEST

/* No byte of a token can be another, and none can be missing or added. */
START_TEST(every_character_counts)
{
	struct buf token = BUF_INIT(8192);
	struct jwt_claims claims;

	ck_assert_int_eq(jwt_sign(&token, "at+jwt", "k1", SLICE(GOOD), secret_key), 0);
	for (size_t i = 0; i < token.len; i++) {
		char was = token.ptr[i];

		for (int bit = 0; bit < 8; bit++) {
			token.ptr[i] = (char)(was ^ (1 << bit));
			ck_assert_int_ne(jwt_verify(buf_slice(&token), &ours, 1, NOW, 60, &arena, &claims), JWT_OK);
			arena_reset(&arena);
		}
		token.ptr[i] = was;
		ck_assert_int_ne(jwt_verify(slice_of(token.ptr, i), &ours, 1, NOW, 60, &arena, &claims), JWT_OK);
	}
	buf_append_char(&token, '.');
	ck_assert_int_eq(jwt_verify(buf_slice(&token), &ours, 1, NOW, 60, &arena, &claims), JWT_MALFORMED);
	token.ptr[token.len - 1] = 'A';
	ck_assert_int_eq(jwt_verify(buf_slice(&token), &ours, 1, NOW, 60, &arena, &claims), JWT_BAD_SIGNATURE);
	buf_finish(&token);
}
END_TEST

START_TEST(keys_end_and_tokens_are_small)
{
	struct buf token = BUF_INIT(8192), payload = BUF_INIT(8192);
	struct jwt_claims claims;
	struct arena none = ARENA_INIT(16);

	ours.until_s = NOW + 1;
	ck_assert_int_eq(judge("at+jwt", "k1", GOOD, NOW), JWT_OK);
	ck_assert_int_eq(judge("at+jwt", "k1", GOOD, NOW + 1), JWT_UNKNOWN_KEY);
	ours.until_s = 0;
	ck_assert_int_eq(buf_printf(&payload, "{\"x\":\"%*s\"}", 4000, ""), 0);
	ck_assert_int_eq(jwt_sign(&token, "at+jwt", "k1", buf_slice(&payload), secret_key), 0);
	ck_assert_uint_gt(token.len, JWT_LEN_MAX);
	ck_assert_int_eq(jwt_verify(buf_slice(&token), &ours, 1, NOW, 60, &arena, &claims), JWT_MALFORMED);
	buf_clear(&token);
	ck_assert_int_eq(jwt_sign(&token, "at+jwt", "k1", SLICE(GOOD), secret_key), 0);
	ck_assert_int_eq(jwt_verify(buf_slice(&token), &ours, 1, NOW, 60, &none, &claims), JWT_NO_MEMORY);
	arena_finish(&none);
	buf_finish(&token);
	buf_finish(&payload);
}
END_TEST

START_TEST(key_as_jwk)
{
	struct buf out = BUF_INIT(1024);
	struct json_writer w = JSON_WRITER(&out);
	char expected[256], x[BASE64URL_LEN(32) + 1];

	ck_assert_int_eq(jwt_put_jwk(&w, "k1", ours.public_key), 0);
	base64url_encode_to(x, ours.public_key, 32);
	snprintf(expected, sizeof(expected),
	    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\",\"kid\":\"k1\",\"use\":\"sig\",\"alg\":\"EdDSA\"}", x);
	ck_assert_str_eq(out.ptr, expected);
	buf_finish(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("jwt");
	TCase *t = tcase_create("jwt");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, vectors_of_another_implementation);
	tcase_add_test(t, signature_of_rfc_8037);
	tcase_add_loop_test(t, tokens_we_made, 0, COUNT(made));
	tcase_add_loop_test(t, headers_of_strangers, 0, COUNT(headers));
	tcase_add_test(t, every_character_counts);
	tcase_add_test(t, keys_end_and_tokens_are_small);
	tcase_add_test(t, key_as_jwk);
	suite_add_tcase(s, t);
	return run_suite(s);
}
