/* Webhooks of Feishu: who sent them, what is in them. */
#include "lark_wire.h"

#include "base/codec.h"
#include "tencent_wire.h"
#include "wire_json.h"

#define IV_LEN LARK_IV_LEN

static void sign(struct slice encrypt_key, struct slice timestamp, struct slice nonce, struct slice raw_body,
    char ret_hex[LARK_SIGNATURE_LEN + 1])
{
	struct slice parts[] = {timestamp, nonce, encrypt_key, raw_body};
	uint8_t digest[SHA256_LEN];

	sha256(digest, parts, 4);
	hex_encode(ret_hex, digest, sizeof(digest));
}

bool lark_verify(struct slice encrypt_key, const struct lark_headers *h, struct slice raw_body)
{
	char hex[LARK_SIGNATURE_LEN + 1];

	sign(encrypt_key, h->timestamp, h->nonce, raw_body, hex);
	return crypto_equal(slice_str(hex), h->signature);
}

bool lark_card_verify(struct slice verification_token, const struct lark_headers *h, struct slice raw_body)
{
	struct slice parts[] = {h->timestamp, h->nonce, verification_token, raw_body};
	uint8_t digest[SHA1_LEN];
	char hex[HEX_SHA1_LEN + 1];

	sha1(digest, parts, 4);
	hex_encode(hex, digest, sizeof(digest));
	return crypto_equal(slice_str(hex), h->signature);
}

int lark_decrypt(struct slice encrypt_key, struct slice base64_text, struct arena *a, struct slice *ret_plain)
{
	struct buf raw = BUF_INIT(base64_text.len + 4), plain = BUF_INIT(base64_text.len + IV_LEN);
	uint8_t key[SHA256_LEN];
	int rc = base64_decode(&raw, base64_text, BASE64_LENIENT);

	if (rc == 0 && raw.len <= IV_LEN)
		rc = ERR_MALFORMED;
	if (rc == 0) {
		sha256(key, &encrypt_key, 1);
		rc = aes256_cbc_decrypt(&plain, key, (const uint8_t *)raw.ptr, slice_of(raw.ptr + IV_LEN, raw.len - IV_LEN));
		crypto_wipe(key, sizeof(key));
	}
	if (rc == 0 && !utf8_valid(buf_slice(&plain)))
		rc = ERR_MALFORMED;
	if (rc == 0)
		rc = wire_keep(a, &plain, ret_plain);
	buf_wipe(&plain);
	buf_wipe(&raw);
	return rc;
}

static int encrypt(struct slice encrypt_key, struct slice plain, const uint8_t iv[IV_LEN], struct buf *out)
{
	struct buf raw = BUF_INIT(plain.len + 2 * IV_LEN);
	uint8_t key[SHA256_LEN];
	int rc = buf_append(&raw, slice_of((const char *)iv, IV_LEN));

	sha256(key, &encrypt_key, 1);
	if (rc == 0)
		rc = aes256_cbc_encrypt(&raw, key, iv, plain);
	if (rc == 0)
		rc = base64_encode(out, buf_slice(&raw));
	crypto_wipe(key, sizeof(key));
	buf_finish(&raw);
	return rc;
}

int lark_make_post(struct slice encrypt_key, struct slice plain, struct slice timestamp, struct slice nonce,
    const uint8_t iv[LARK_IV_LEN], struct buf *body, char ret_signature[LARK_SIGNATURE_LEN + 1])
{
	size_t start = body->len;
	int rc;

	ret_signature[0] = '\0';
	if (encrypt_key.len == 0)
		return buf_append(body, plain);
	buf_append_str(body, "{\"encrypt\":\"");
	rc = encrypt(encrypt_key, plain, iv, body); /* base64 needs no escaping */
	if (rc == 0)
		rc = buf_append_str(body, "\"}");
	if (rc == 0)
		sign(encrypt_key, timestamp, nonce, slice_of(body->ptr + start, body->len - start), ret_signature);
	return rc;
}

int lark_challenge_answer(struct buf *out, struct slice challenge)
{
	struct json_writer w = JSON_WRITER(out);

	json_begin_object(&w);
	json_name(&w, "challenge");
	json_put_string(&w, challenge);
	json_end_object(&w);
	return out->rc;
}

/* --- envelopes ---------------------------------------------------------------------------- */

/* Digits of any unit, or of seconds with a fraction. */
static int64_t time_of(struct slice text)
{
	struct slice whole, fraction;
	int64_t ms;

	slice_cut(text, '.', &whole, &fraction);
	return tencent_time_ms(whole, &ms) == 0 && ms > 0 ? ms : 0;
}

static void note_token(struct json_value in, struct arena *a, struct lark_received *r, struct slice *ret_token)
{
	struct json_value token;

	*ret_token = wire_text(in, "token", a);
	if (json_member(in, "token", &token))
		r->token = token.text;
}

static void read_envelope(struct json_value root, struct arena *a, struct lark_received *r, struct slice *ret_token)
{
	struct json_value header;

	if (!wire_member(root, "event", JSON_OBJECT, &r->event))
		r->event = (struct json_value){0};
	if (wire_member(root, "header", JSON_OBJECT, &header)) { /* schema 2.0 */
		r->event_type = wire_text(header, "event_type", a);
		r->event_id = wire_text(header, "event_id", a);
		r->app_id = wire_text(header, "app_id", a);
		r->tenant_key = wire_text(header, "tenant_key", a);
		r->create_ms = time_of(wire_text(header, "create_time", a));
		note_token(header, a, r, ret_token);
		return;
	}
	r->event_type = wire_text(r->event, "type", a);
	r->event_id = wire_text(root, "uuid", a);
	r->app_id = wire_text(r->event, "app_id", a);
	r->tenant_key = wire_text(r->event, "tenant_key", a);
	r->create_ms = time_of(wire_text(root, "ts", a));
	note_token(root, a, r, ret_token);
}

static int parse_plain(struct slice plain, struct arena *a, struct lark_received *ret, struct slice *ret_token)
{
	struct lark_received r = {.plain = plain};
	struct json_value root;
	int rc = wire_json_root(plain, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	r.root = root;
	if (slice_is(wire_text(root, "type", a), "url_verification")) {
		r.is_challenge = true;
		r.challenge = wire_text(root, "challenge", a);
		*ret_token = wire_text(root, "token", a);
		rc = r.challenge.len == 0 ? ERR_INVALID : 0;
	} else {
		read_envelope(root, a, &r, ret_token);
		rc = r.event_type.len == 0 || r.event_id.len == 0 ? ERR_INVALID : 0;
	}
	*ret = r;
	return rc;
}

int lark_event_parse(struct slice plain, struct arena *a, struct lark_received *ret)
{
	struct slice token;
	int rc = parse_plain(plain, a, ret, &token);

	return rc == 0 && ret->is_challenge ? ERR_INVALID : rc;
}

static int open_body(struct slice encrypt_key, struct slice raw_body, struct arena *a, struct slice *ret_plain)
{
	struct json_value root, encrypted;
	int rc = wire_json_root(raw_body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	if (!wire_member(root, "encrypt", JSON_STRING, &encrypted))
		return ERR_DENIED;
	return lark_decrypt(encrypt_key, wire_text(root, "encrypt", a), a, ret_plain);
}

int lark_receive(const struct lark_secrets *secrets, const struct lark_headers *h, struct slice raw_body, struct arena *a,
    struct lark_received *ret)
{
	bool encrypted = secrets->encrypt_key.len > 0, is_signed = !encrypted;
	struct slice plain = raw_body, token = SLICE("");
	int rc = 0;

	if (!encrypted && secrets->verification_token.len == 0)
		return ERR_BAD_KEY;
	if (encrypted) {
		is_signed = lark_verify(secrets->encrypt_key, h, raw_body);
		rc = open_body(secrets->encrypt_key, raw_body, a, &plain);
	}
	if (rc == 0)
		rc = parse_plain(plain, a, ret, &token);
	if (rc == ERR_NOMEM)
		return rc;
	if (!is_signed && (rc != 0 || !ret->is_challenge))
		return ERR_BAD_SIGNATURE;
	if (rc != 0)
		return rc;
	if (secrets->verification_token.len > 0 && !crypto_equal(secrets->verification_token, token))
		return ERR_DENIED;
	return 0;
}
