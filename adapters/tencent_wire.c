/* The wire of Tencent Meeting: signing, encrypting and reading, in both directions. */
#include "tencent_wire.h"

#include "base/codec.h"
#include "base/err.h"
#include "base/planted.h"
#include "crypto/crypto.h"

int tencent_keys_add_token(struct tencent_keys *keys, struct slice token)
{
	if (token.len == 0 || keys->n_tokens == TENCENT_SECRETS_MAX)
		return ERR_INVALID;
	keys->tokens[keys->n_tokens++] = token;
	return 0;
}

int tencent_keys_add_aes(struct tencent_keys *keys, struct slice encoding_aes_key)
{
	if (encoding_aes_key.len != TENCENT_AES_KEY_TEXT_LEN || keys->n_aes == TENCENT_SECRETS_MAX)
		return ERR_INVALID;
	/* 43 characters carry 258 bits; the two low bits of the last one are left unused. */
	if (base64_decode_to(keys->aes[keys->n_aes], TENCENT_AES_KEY_LEN, encoding_aes_key, BASE64_LENIENT) != 0)
		return ERR_INVALID;
	keys->n_aes++;
	return 0;
}

void tencent_keys_finish(struct tencent_keys *keys)
{
	crypto_wipe(keys, sizeof(*keys));
}

/* --- signature --------------------------------------------------------------- */

static void sort4(struct slice v[4])
{
	for (int i = 1; i < 4; i++) {
		struct slice x = v[i];
		int j = i;

		for (; j > 0 && slice_cmp(v[j - 1], x) > 0; j--)
			v[j] = v[j - 1];
		v[j] = x;
	}
}

void tencent_sign(char ret_hex[TENCENT_SIGNATURE_LEN + 1], struct slice token, struct slice timestamp,
    struct slice nonce, struct slice data)
{
	struct slice parts[4] = {token, timestamp, nonce, data};
	uint8_t digest[SHA1_LEN];

	sort4(parts);
	sha1(digest, parts, 4);
	hex_encode(ret_hex, digest, sizeof(digest));
}

bool tencent_verify(const struct tencent_keys *keys, const struct tencent_signed *s)
{
	char mine[TENCENT_SIGNATURE_LEN + 1];
	bool good = false;

	for (unsigned i = 0; i < keys->n_tokens; i++) {
		tencent_sign(mine, keys->tokens[i], s->timestamp, s->nonce, s->data);
		good |= crypto_equal(slice_of(mine, TENCENT_SIGNATURE_LEN), s->signature);
	}
	return good;
}

int64_t tencent_ms_of(int64_t any_unit)
{
	if (PLANTED(seconds_only) || any_unit < 100000000000) /* 1e11: seconds until the year 5138 */
		return any_unit * 1000;
	if (any_unit < 100000000000000) /* 1e14 */
		return any_unit;
	return any_unit / 1000;
}

int tencent_time_ms(struct slice timestamp, int64_t *ret_ms)
{
	uint64_t value;

	if (slice_to_u64(timestamp, &value) != 0 || value > INT64_MAX)
		return ERR_MALFORMED;
	*ret_ms = tencent_ms_of((int64_t)value);
	return 0;
}

/* --- encryption -------------------------------------------------------------- */

int tencent_body_data(struct slice body, struct arena *a, struct slice *ret_data)
{
	struct json_value root, data;
	struct slice text;
	int rc = json_scan(body, NULL, NULL);

	if (rc != 0)
		return rc;
	root = json_root(body);
	if (root.type != JSON_OBJECT)
		return ERR_MALFORMED;
	if (!json_member(root, "data", &data) || data.type != JSON_STRING)
		return ERR_NOT_FOUND;
	rc = json_string(data, a, &text);
	if (rc != 0)
		return rc;
	if (text.len == 0)
		return ERR_NOT_FOUND;
	*ret_data = text;
	return 0;
}

static int into_arena(struct arena *a, struct buf *from, struct slice *ret)
{
	*ret = arena_dup(a, buf_slice(from));
	return ret->ptr == NULL ? ERR_NOMEM : 0;
}

/* Decrypts with every key; the choice is made after all were tried. */
static int open_with_keys(const struct tencent_keys *keys, struct slice cipher, struct arena *a, struct slice *ret_plain)
{
	struct buf plain[TENCENT_SECRETS_MAX];
	int chosen = -1, rc = ERR_MALFORMED;

	for (unsigned i = 0; i < keys->n_aes; i++) {
		plain[i] = (struct buf)BUF_INIT(cipher.len + 16);
		if (aes256_cbc_decrypt(&plain[i], keys->aes[i], keys->aes[i], cipher) != 0) {
			if (plain[i].rc == ERR_NOMEM)
				rc = ERR_NOMEM; /* this key was not tried: another time it may fit */
			continue;
		}
		if (chosen < 0 || (!utf8_valid(buf_slice(&plain[chosen])) && utf8_valid(buf_slice(&plain[i]))))
			chosen = (int)i;
	}
	if (chosen >= 0)
		rc = into_arena(a, &plain[chosen], ret_plain);
	for (unsigned i = 0; i < keys->n_aes; i++)
		buf_wipe(&plain[i]);
	return rc;
}

int tencent_decrypt(const struct tencent_keys *keys, struct slice data, struct arena *a, struct slice *ret_plain)
{
	struct buf raw = BUF_INIT(data.len + 4);
	int rc = base64_decode(&raw, data, BASE64_LENIENT);

	if (rc == 0 && raw.len == 0)
		rc = ERR_MALFORMED;
	if (rc == 0)
		rc = keys->n_aes > 0 ? open_with_keys(keys, buf_slice(&raw), a, ret_plain)
		                     : into_arena(a, &raw, ret_plain);
	buf_wipe(&raw);
	return rc;
}

int tencent_encrypt(const struct tencent_keys *keys, struct slice plain, struct buf *out)
{
	struct buf cipher = BUF_INIT(plain.len + 32);
	int rc = 0;

	if (keys->n_aes == 0)
		return base64_encode(out, plain);
	rc = aes256_cbc_encrypt(&cipher, keys->aes[0], keys->aes[0], plain);
	if (rc == 0)
		rc = base64_encode(out, buf_slice(&cipher));
	buf_finish(&cipher);
	return rc;
}

int tencent_make_post(const struct tencent_keys *keys, struct slice plain, struct slice timestamp,
    struct slice nonce, struct buf *body, char ret_signature[TENCENT_SIGNATURE_LEN + 1])
{
	size_t start;

	if (keys->n_tokens == 0)
		return ERR_BAD_KEY;
	buf_append_str(body, "{\"data\":\"");
	start = body->len;
	if (tencent_encrypt(keys, plain, body) == 0) /* base64 needs no escaping */
		tencent_sign(ret_signature, keys->tokens[0], timestamp, nonce,
		    slice_of(body->ptr + start, body->len - start));
	return buf_append_str(body, "\"}");
}

int tencent_make_check(const struct tencent_keys *keys, struct slice plain, struct slice timestamp,
    struct slice nonce, struct buf *query, char ret_signature[TENCENT_SIGNATURE_LEN + 1])
{
	struct buf data = BUF_INIT(plain.len * 2 + 64);
	int rc;

	if (keys->n_tokens == 0)
		return ERR_BAD_KEY;
	rc = tencent_encrypt(keys, plain, &data);
	if (rc == 0) {
		tencent_sign(ret_signature, keys->tokens[0], timestamp, nonce, buf_slice(&data));
		buf_append_str(query, "check_str=");
		rc = percent_encode(query, buf_slice(&data));
	}
	buf_finish(&data);
	return rc;
}

/* --- envelope ---------------------------------------------------------------- */

/* A text, or the digits of a number: ids come both ways. Empty for anything else. */
static struct slice text_or_digits(struct json_value root, const char *name, struct arena *a)
{
	struct json_value v;
	struct slice text = {"", 0};

	if (!json_member(root, name, &v))
		return text;
	if (v.type == JSON_NUMBER)
		return v.text;
	if (v.type == JSON_STRING && json_string(v, a, &text) != 0)
		text = SLICE("");
	return text;
}

static const char *count_items(struct tencent_envelope *e)
{
	struct json_reader r;
	struct json_value item;

	json_enter(&r, e->payload);
	for (e->n_items = 0; json_next(&r, NULL, &item); e->n_items++)
		if (item.type != JSON_OBJECT)
			return "a payload item is not an object";
	return e->n_items == 0 ? "the payload is empty" : NULL;
}

int tencent_parse(struct slice plain, struct arena *a, struct tencent_envelope *ret, const char **ret_reason)
{
	struct tencent_envelope e = {0};
	const char *reason = NULL;
	int rc = json_index(plain, NULL, a, &e.root, NULL);

	*ret = (struct tencent_envelope){0};
	*ret_reason = "the decrypted text is not JSON";
	if (rc != 0)
		return rc == ERR_TOO_BIG ? ERR_TOO_BIG : ERR_MALFORMED;
	if (e.root.type != JSON_OBJECT) {
		reason = "the decrypted JSON is not an object";
		goto out;
	}
	e.event = text_or_digits(e.root, "event", a);
	e.trace_id = text_or_digits(e.root, "trace_id", a);
	if (!json_member(e.root, "payload", &e.payload) || e.payload.type != JSON_ARRAY) {
		e.payload = (struct json_value){0};
		reason = "the payload is not an array";
	} else {
		reason = count_items(&e);
	}
	if (e.event.len == 0)
		reason = "the event has no name";
out:
	*ret = e;
	*ret_reason = reason;
	return reason == NULL ? 0 : ERR_INVALID;
}
