/* See jwt.h. */
#include "domain/jwt.h"

#include "base/codec.h"
#include "base/err.h"
#include "base/planted.h"

static const struct json_limits token_limits = {8, 500, 100, 32, false};

/* The JSON object in one part; its bytes are decoded into the arena. */
static enum jwt_verdict decode_object(struct slice part, struct arena *arena, struct json_value *ret)
{
	struct buf bytes = BUF_INIT(JWT_LEN_MAX);
	struct slice text = {0};
	int rc = base64url_decode(&bytes, part);

	if (rc == 0) {
		text = arena_dup(arena, buf_slice(&bytes));
		rc = text.ptr == NULL ? ERR_NOMEM : json_scan(text, &token_limits, NULL);
	}
	buf_finish(&bytes);
	if (rc == ERR_NOMEM)
		return JWT_NO_MEMORY;
	if (rc != 0)
		return JWT_MALFORMED;
	*ret = json_root(text);
	return ret->type == JSON_OBJECT ? JWT_OK : JWT_MALFORMED;
}

/* A text member: absent is fine and leaves *ret_text as it is; any other type is not. */
static enum jwt_verdict text_member(struct json_value object, const char *name, struct arena *arena,
    struct slice *ret_text)
{
	struct json_value v;

	if (!json_member(object, name, &v))
		return JWT_OK;
	switch (json_string(v, arena, ret_text)) {
	case 0:
		return JWT_OK;
	case ERR_NOMEM:
		return JWT_NO_MEMORY;
	default:
		return JWT_BAD_CLAIM;
	}
}

/* A NumericDate. RFC 7519 lets it have a fraction; nobody we read tokens of writes one. */
static bool time_member(struct json_value object, const char *name, bool *ret_has, int64_t *ret_s)
{
	struct json_value v;

	*ret_has = json_member(object, name, &v);
	return !*ret_has || (json_i64(v, ret_s) == 0 && *ret_s >= 0);
}

static bool asks_for_too_much(struct json_value header)
{
	static const char *const refused[] = {"jwk", "jku", "x5u", "x5c", "crit", "b64", "zip"};
	struct json_value v;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (json_member(header, refused[i], &v))
			return true;
	return false;
}

static const struct jwt_key *find_key(const struct jwt_key *keys, size_t n_keys, struct slice kid, int64_t now_s)
{
	for (size_t i = 0; i < n_keys; i++) {
		bool same = keys[i].kid == NULL ? kid.ptr == NULL : kid.ptr != NULL && slice_is(kid, keys[i].kid);

		if (same && (keys[i].until_s == 0 || now_s < keys[i].until_s))
			return &keys[i];
	}
	return NULL;
}

static bool signature_holds(const struct jwt_key *key, struct slice text, struct slice part)
{
	uint8_t given[ED25519_SIGNATURE_LEN], ours[SHA256_LEN];

	if (key->alg == JWT_EDDSA)
		return base64url_decode_to(given, ED25519_SIGNATURE_LEN, part) == 0 &&
		    ed25519_verify(given, text, key->public_key);
	if (base64url_decode_to(given, SHA256_LEN, part) != 0)
		return false;
	hmac_sha256(ours, key->secret, &text, 1);
	return crypto_equal(slice_of(ours, SHA256_LEN), slice_of(given, SHA256_LEN));
}

static enum jwt_verdict read_header(struct json_value header, const struct jwt_key *keys, size_t n_keys,
    int64_t now_s, struct arena *arena, const struct jwt_key **ret_key)
{
	static const char *const names[] = {[JWT_EDDSA] = "EdDSA", [JWT_HS256] = "HS256"};
	struct slice alg = {0}, kid = {0}, typ = {0};
	enum jwt_verdict verdict;

	if (asks_for_too_much(header))
		return JWT_UNSUPPORTED;
	if ((verdict = text_member(header, "alg", arena, &alg)) != JWT_OK ||
	    (verdict = text_member(header, "kid", arena, &kid)) != JWT_OK ||
	    (verdict = text_member(header, "typ", arena, &typ)) != JWT_OK)
		return verdict == JWT_BAD_CLAIM ? JWT_MALFORMED : verdict;
	*ret_key = find_key(keys, n_keys, kid, now_s);
	if (*ret_key == NULL)
		return JWT_UNKNOWN_KEY;
	if (!slice_is(alg, names[(*ret_key)->alg]) && !PLANTED(jwt_any_alg))
		return JWT_BAD_ALGORITHM;
	if ((*ret_key)->type != NULL && !slice_is(typ, (*ret_key)->type))
		return JWT_BAD_CLAIM;
	return JWT_OK;
}

static enum jwt_verdict check_audience(struct json_value payload, const char *audience, struct arena *arena)
{
	struct json_value aud, one;
	struct json_reader r;
	struct slice text;

	if (audience == NULL)
		return JWT_OK;
	if (!json_member(payload, "aud", &aud))
		return JWT_BAD_CLAIM;
	if (aud.type == JSON_STRING) {
		if (json_string(aud, arena, &text) != 0)
			return JWT_NO_MEMORY;
		return slice_is(text, audience) ? JWT_OK : JWT_BAD_CLAIM;
	}
	if (aud.type != JSON_ARRAY)
		return JWT_BAD_CLAIM;
	json_enter(&r, aud);
	while (json_next(&r, NULL, &one)) {
		if (one.type != JSON_STRING)
			return JWT_BAD_CLAIM;
		if (json_string(one, arena, &text) != 0)
			return JWT_NO_MEMORY;
		if (slice_is(text, audience))
			return JWT_OK;
	}
	return JWT_BAD_CLAIM;
}

static enum jwt_verdict check_times(struct jwt_claims *claims, int64_t now_s, int64_t tolerance_s)
{
	bool has_exp, has_nbf, has_iat;

	if (!time_member(claims->payload, "exp", &has_exp, &claims->exp) || !has_exp ||
	    !time_member(claims->payload, "nbf", &has_nbf, &claims->nbf) ||
	    !time_member(claims->payload, "iat", &has_iat, &claims->iat))
		return JWT_BAD_CLAIM;
	if (claims->exp <= now_s - tolerance_s)
		return JWT_EXPIRED;
	if ((has_nbf && claims->nbf > now_s + tolerance_s) || (has_iat && claims->iat > now_s + tolerance_s))
		return JWT_NOT_YET;
	return JWT_OK;
}

static enum jwt_verdict read_payload(struct jwt_claims *claims, int64_t now_s, int64_t tolerance_s,
    struct arena *arena)
{
	const struct jwt_key *key = claims->key;
	struct slice issuer = {0};
	enum jwt_verdict verdict;

	if ((verdict = check_times(claims, now_s, tolerance_s)) != JWT_OK ||
	    (verdict = text_member(claims->payload, "iss", arena, &issuer)) != JWT_OK ||
	    (verdict = text_member(claims->payload, "sub", arena, &claims->sub)) != JWT_OK ||
	    (verdict = text_member(claims->payload, "sid", arena, &claims->sid)) != JWT_OK ||
	    (verdict = text_member(claims->payload, "jti", arena, &claims->jti)) != JWT_OK)
		return verdict;
	if (key->issuer != NULL && !slice_is(issuer, key->issuer))
		return JWT_BAD_CLAIM;
	return check_audience(claims->payload, key->audience, arena);
}

enum jwt_verdict jwt_verify(struct slice token, const struct jwt_key *keys, size_t n_keys, int64_t now_s,
    int64_t tolerance_s, struct arena *arena, struct jwt_claims *ret_claims)
{
	struct jwt_claims claims = {0};
	struct slice head, rest, payload, signature;
	struct json_value header;
	enum jwt_verdict verdict;

	if (token.len > JWT_LEN_MAX || !slice_cut(token, '.', &head, &rest) ||
	    !slice_cut(rest, '.', &payload, &signature))
		return JWT_MALFORMED;
	verdict = decode_object(head, arena, &header);
	if (verdict == JWT_OK)
		verdict = read_header(header, keys, n_keys, now_s, arena, &claims.key);
	if (verdict != JWT_OK)
		return verdict;
	if (memchr(signature.ptr, '.', signature.len) != NULL)
		return JWT_MALFORMED;
	if (!signature_holds(claims.key, slice_of(token.ptr, head.len + 1 + payload.len), signature))
		return JWT_BAD_SIGNATURE;
	verdict = decode_object(payload, arena, &claims.payload);
	if (verdict == JWT_OK)
		verdict = read_payload(&claims, now_s, tolerance_s, arena);
	if (verdict == JWT_OK)
		*ret_claims = claims;
	return verdict;
}

const char *jwt_verdict_text(enum jwt_verdict verdict)
{
	static const char *const texts[] = {
	    [JWT_OK] = "valid",
	    [JWT_MALFORMED] = "malformed",
	    [JWT_UNKNOWN_KEY] = "signed with a key that is not known here",
	    [JWT_BAD_ALGORITHM] = "signed with another algorithm than its key is for",
	    [JWT_UNSUPPORTED] = "its header asks for what is not done here",
	    [JWT_BAD_SIGNATURE] = "its signature does not hold",
	    [JWT_EXPIRED] = "expired",
	    [JWT_NOT_YET] = "not valid yet",
	    [JWT_BAD_CLAIM] = "a claim is not what it must be",
	    [JWT_NO_MEMORY] = "no memory to read it",
	};

	return texts[verdict];
}

int jwt_sign(struct buf *out, const char *typ, const char *kid, struct slice payload,
    const uint8_t secret_key[ED25519_SECRET_LEN])
{
	struct buf header = BUF_INIT(256);
	struct json_writer w = JSON_WRITER(&header);
	uint8_t signature[ED25519_SIGNATURE_LEN];
	size_t from = out->len;

	json_begin_object(&w);
	json_name(&w, "alg");
	json_put_str(&w, "EdDSA");
	json_name(&w, "typ");
	json_put_str(&w, typ);
	json_name(&w, "kid");
	json_put_str(&w, kid);
	json_end_object(&w);
	if (header.rc != 0)
		out->rc = header.rc;
	base64url_encode(out, buf_slice(&header));
	buf_finish(&header);
	buf_append_char(out, '.');
	base64url_encode(out, payload);
	if (out->rc != 0)
		return out->rc;
	ed25519_sign(signature, slice_of(out->ptr + from, out->len - from), secret_key);
	buf_append_char(out, '.');
	return base64url_encode(out, slice_of(signature, sizeof(signature)));
}

int jwt_put_jwk(struct json_writer *w, const char *kid, const uint8_t public_key[ED25519_PUBLIC_LEN])
{
	char x[BASE64URL_LEN(ED25519_PUBLIC_LEN) + 1];

	base64url_encode_to(x, public_key, ED25519_PUBLIC_LEN);
	json_begin_object(w);
	json_name(w, "kty");
	json_put_str(w, "OKP");
	json_name(w, "crv");
	json_put_str(w, "Ed25519");
	json_name(w, "x");
	json_put_str(w, x);
	json_name(w, "kid");
	json_put_str(w, kid);
	json_name(w, "use");
	json_put_str(w, "sig");
	json_name(w, "alg");
	json_put_str(w, "EdDSA");
	json_end_object(w);
	return w->out->rc;
}
