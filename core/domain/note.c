/* See note.h. */
#include "domain/note.h"

#include <assert.h>
#include <stdio.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/planted.h"

#define DASH "\xe2\x80\x94 " /* U+2014 and a space open a signature line */
#define COSIGNATURE_LEN (8 + ED25519_SIGNATURE_LEN)
#define COSIGNED_TEXT_MAX (NOTE_BYTES_MAX + 64)

static void put_u64_be(uint8_t *ret, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		ret[i] = (uint8_t)value;
}

static uint64_t get_u64_be(const uint8_t *bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* The code point at the front of well-formed text of that many bytes. */
static uint32_t code_point(const char *text, size_t len)
{
	const uint8_t *b = (const uint8_t *)text;

	switch (len) {
	case 1:
		return b[0];
	case 2:
		return (uint32_t)(b[0] & 0x1f) << 6 | (b[1] & 0x3f);
	case 3:
		return (uint32_t)(b[0] & 0x0f) << 12 | (uint32_t)(b[1] & 0x3f) << 6 | (b[2] & 0x3f);
	default:
		return (uint32_t)(b[0] & 0x07) << 18 | (uint32_t)(b[1] & 0x3f) << 12 |
		    (uint32_t)(b[2] & 0x3f) << 6 | (b[3] & 0x3f);
	}
}

/* Unicode's White_Space property, the control characters left out. */
static bool is_space(uint32_t c)
{
	return c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	    (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

static bool name_is_valid(struct slice name)
{
	if (name.len == 0 || name.len > NOTE_NAME_MAX || !utf8_valid(name))
		return false;
	for (size_t i = 0, n; i < name.len; i += n) {
		uint32_t c;

		n = utf8_sequence(name.ptr + i, name.len - i);
		c = code_point(name.ptr + i, n);
		if (c < 0x20 || c == '+' || is_space(c))
			return false;
	}
	return true;
}

static void key_id(uint8_t ret[NOTE_ID_LEN], struct slice name, struct slice typed_key)
{
	uint8_t hash[SHA256_LEN];

	sha256(hash, (struct slice[]){name, SLICE("\n"), typed_key}, 3);
	memcpy(ret, hash, NOTE_ID_LEN);
}

int note_key_make(struct note_key *ret, struct slice name, enum note_key_type type,
    const uint8_t public_key[ED25519_PUBLIC_LEN])
{
	struct note_key key = {.type = type};
	uint8_t typed[1 + ED25519_PUBLIC_LEN];

	if (!name_is_valid(name))
		return ERR_INVALID;
	memcpy(key.name, name.ptr, name.len);
	memcpy(key.public_key, public_key, sizeof(key.public_key));
	typed[0] = (uint8_t)type;
	memcpy(typed + 1, public_key, ED25519_PUBLIC_LEN);
	key_id(key.id, name, slice_of(typed, sizeof(typed)));
	*ret = key;
	return 0;
}

int note_key_parse(struct note_key *ret, struct slice text)
{
	struct slice name, rest, id_text, key_text;
	uint8_t id[NOTE_ID_LEN], typed[1 + ED25519_PUBLIC_LEN];
	struct note_key key;
	int rc;

	/* Names have no '+', but base64 may. */
	if (!slice_cut(text, '+', &name, &rest) || !slice_cut(rest, '+', &id_text, &key_text))
		return ERR_MALFORMED;
	rc = hex_decode(id, sizeof(id), id_text);
	if (rc != 0)
		return rc;
	rc = base64_decode_to(typed, sizeof(typed), key_text, 0);
	if (rc != 0)
		return rc;
	if (typed[0] != NOTE_ED25519 && typed[0] != NOTE_COSIGNATURE)
		return ERR_UNSUPPORTED;
	if (note_key_make(&key, name, (enum note_key_type)typed[0], typed + 1) != 0)
		return ERR_MALFORMED;
	if (memcmp(key.id, id, sizeof(id)) != 0)
		return ERR_BAD_KEY;
	*ret = key;
	return 0;
}

int note_key_format(struct buf *out, const struct note_key *key)
{
	char id[2 * NOTE_ID_LEN + 1];
	uint8_t typed[1 + ED25519_PUBLIC_LEN];

	hex_encode(id, key->id, sizeof(key->id));
	typed[0] = (uint8_t)key->type;
	memcpy(typed + 1, key->public_key, ED25519_PUBLIC_LEN);
	buf_printf(out, "%s+%s+", key->name, id);
	return base64_encode(out, slice_of(typed, sizeof(typed)));
}

/* One signature line, without its newline. */
static int parse_signature(struct note_signature *ret, struct slice line)
{
	struct buf decoded = BUF_INIT(NOTE_BYTES_MAX);
	struct slice name, base64;
	int rc;

	if (!slice_starts_with(line, SLICE(DASH)))
		return ERR_MALFORMED;
	line.ptr += sizeof(DASH) - 1;
	line.len -= sizeof(DASH) - 1;
	if (!slice_cut(line, ' ', &name, &base64) || !name_is_valid(name))
		return ERR_MALFORMED;
	rc = base64_decode(&decoded, base64, 0);
	if (rc == 0 && decoded.len <= NOTE_ID_LEN)
		rc = ERR_MALFORMED;
	if (rc == 0) {
		size_t len = decoded.len - NOTE_ID_LEN;

		*ret = (struct note_signature){.name = name, .len = (unsigned)len};
		memcpy(ret->id, decoded.ptr, NOTE_ID_LEN);
		memcpy(ret->bytes, decoded.ptr + NOTE_ID_LEN, len < sizeof(ret->bytes) ? len : sizeof(ret->bytes));
	}
	buf_finish(&decoded);
	return rc;
}

static bool text_is_clean(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((uint8_t)text.ptr[i] < 0x20 && text.ptr[i] != '\n')
			return false;
	return utf8_valid(text);
}

int note_parse(struct note *ret, struct slice bytes)
{
	struct slice text, rest, line;
	size_t at;
	int rc;

	ret->n_signatures = 0;
	if (bytes.len > NOTE_BYTES_MAX)
		return ERR_TOO_BIG;
	if (bytes.len < 3 || bytes.ptr[bytes.len - 1] != '\n' || !text_is_clean(bytes))
		return ERR_MALFORMED;
	/* The last empty line separates; the text before it may have its own. */
	for (at = bytes.len - 1; at >= 2; at--)
		if (bytes.ptr[at - 1] == '\n' && bytes.ptr[at - 2] == '\n')
			break;
	if (at < 2)
		return ERR_MALFORMED;
	text = slice_of(bytes.ptr, at - 1);
	rest = slice_of(bytes.ptr + at, bytes.len - at);
	while (rest.len > 0) {
		if (ret->n_signatures == NOTE_SIGNATURES_MAX)
			return ERR_TOO_BIG;
		slice_cut(rest, '\n', &line, &rest); /* the last byte is a newline */
		rc = parse_signature(&ret->signatures[ret->n_signatures], line);
		if (rc != 0)
			return rc;
		ret->n_signatures++;
	}
	assert(ret->n_signatures > 0); /* behind the empty line there is at least the last byte */
	ret->text = text;
	return 0;
}

static bool is_by(const struct note_signature *s, const struct note_key *key)
{
	return memcmp(s->id, key->id, NOTE_ID_LEN) == 0 && slice_is(s->name, key->name);
}

/* What a witness signs. */
static int cosigned_text(struct buf *out, struct slice text, uint64_t seconds)
{
	buf_printf(out, "cosignature/v1\ntime %llu\n", (unsigned long long)seconds);
	return buf_append(out, text);
}

/* 0 or ERR_BAD_SIGNATURE; ERR_NOMEM, which says nothing of the signature. */
static int check_signature(const struct note_signature *s, struct slice text, const struct note_key *key)
{
	struct buf cosigned = BUF_INIT(COSIGNED_TEXT_MAX);
	const uint8_t *signature = s->bytes;
	int rc = 0;

	if (s->len != (key->type == NOTE_ED25519 ? ED25519_SIGNATURE_LEN : COSIGNATURE_LEN))
		return ERR_BAD_SIGNATURE;
	if (key->type == NOTE_COSIGNATURE) {
		rc = cosigned_text(&cosigned, text, get_u64_be(s->bytes));
		text = buf_slice(&cosigned);
		signature += 8;
	}
	if (rc == 0 && !ed25519_verify(signature, text, key->public_key))
		rc = ERR_BAD_SIGNATURE;
	buf_finish(&cosigned);
	return rc;
}

int note_verify(const struct note *note, const struct note_key *keys, unsigned n_keys, uint64_t *ret_signed)
{
	uint64_t by = 0;
	int rc;

	assert(n_keys <= 64);
	for (unsigned i = 0; i < note->n_signatures; i++) {
		for (unsigned k = 0; k < n_keys; k++) {
			if (!is_by(&note->signatures[i], &keys[k]))
				continue;
			rc = check_signature(&note->signatures[i], note->text, &keys[k]);
			if (rc != 0)
				return rc;
			by |= UINT64_C(1) << k;
		}
	}
	if (by == 0)
		return ERR_BAD_SIGNATURE;
	if (ret_signed != NULL)
		*ret_signed = by;
	return 0;
}

int note_cosignature_time(const struct note *note, const struct note_key *key, uint64_t *ret_seconds)
{
	for (unsigned i = 0; i < note->n_signatures; i++) {
		const struct note_signature *s = &note->signatures[i];

		if (key->type != NOTE_COSIGNATURE || s->len != COSIGNATURE_LEN || !is_by(s, key))
			continue;
		*ret_seconds = get_u64_be(s->bytes);
		return 0;
	}
	return ERR_NOT_FOUND;
}

static int put_line(struct buf *out, const struct note_key *key, struct slice signature)
{
	uint8_t bytes[NOTE_ID_LEN + COSIGNATURE_LEN];

	assert(signature.len <= COSIGNATURE_LEN);
	memcpy(bytes, key->id, NOTE_ID_LEN);
	memcpy(bytes + NOTE_ID_LEN, signature.ptr, signature.len);
	buf_printf(out, DASH "%s ", key->name);
	base64_encode(out, slice_of(bytes, NOTE_ID_LEN + signature.len));
	return buf_append_char(out, '\n');
}

int note_sign_line(struct buf *out, struct slice text, const struct note_key *key,
    const uint8_t secret[ED25519_SECRET_LEN])
{
	uint8_t signature[ED25519_SIGNATURE_LEN];

	assert(key->type == NOTE_ED25519);
	if (text.len == 0 || text.ptr[text.len - 1] != '\n' || !text_is_clean(text))
		return ERR_INVALID;
	ed25519_sign(signature, text, secret);
	return put_line(out, key, slice_of(signature, sizeof(signature)));
}

int note_cosign_line(struct buf *out, struct slice text, const struct note_key *key,
    const uint8_t secret[ED25519_SECRET_LEN], uint64_t seconds)
{
	struct buf cosigned = BUF_INIT(COSIGNED_TEXT_MAX);
	uint8_t signature[COSIGNATURE_LEN];
	int rc;

	assert(key->type == NOTE_COSIGNATURE);
	if (text.len == 0 || text.ptr[text.len - 1] != '\n' || !text_is_clean(text))
		return ERR_INVALID;
	rc = cosigned_text(&cosigned, text, seconds);
	if (rc == 0) {
		put_u64_be(signature, seconds);
		ed25519_sign(signature + 8, buf_slice(&cosigned), secret);
		rc = put_line(out, key, slice_of(signature, sizeof(signature)));
	}
	buf_finish(&cosigned);
	return rc;
}

int note_sign(struct buf *out, struct slice text, const struct note_key *key,
    const uint8_t secret[ED25519_SECRET_LEN])
{
	buf_append(out, text);
	buf_append_char(out, '\n');
	return note_sign_line(out, text, key, secret);
}

int checkpoint_format(struct buf *out, const struct checkpoint *checkpoint)
{
	buf_append(out, checkpoint->origin);
	buf_printf(out, "\n%llu\n", (unsigned long long)checkpoint->size);
	base64_encode(out, slice_of(checkpoint->root.bytes, MERKLE_HASH_LEN));
	return buf_append_char(out, '\n');
}

/* Decimal without sign or leading zeros. */
static int parse_number(struct slice text, uint64_t *ret)
{
	if (text.len > 1 && text.ptr[0] == '0' && !PLANTED(number_zeros))
		return ERR_MALFORMED;
	return slice_to_u64(text, ret) == 0 ? 0 : ERR_MALFORMED;
}

int checkpoint_parse(struct checkpoint *ret, struct slice text)
{
	struct slice size_line, root_line, rest;
	struct checkpoint c;
	int rc;

	if (!slice_cut(text, '\n', &c.origin, &rest) || !slice_cut(rest, '\n', &size_line, &rest) ||
	    !slice_cut(rest, '\n', &root_line, &rest) || rest.len != 0 || c.origin.len == 0)
		return ERR_MALFORMED;
	rc = parse_number(size_line, &c.size);
	if (rc != 0)
		return rc;
	rc = base64_decode_to(c.root.bytes, MERKLE_HASH_LEN, root_line, 0);
	if (rc != 0)
		return rc;
	*ret = c;
	return 0;
}

int checkpoint_open(struct checkpoint *ret, struct note *ret_note, struct slice bytes,
    const struct note_key *keys, unsigned n_keys, uint64_t *ret_signed)
{
	struct checkpoint c;
	struct note note;
	uint64_t by;
	int rc;

	assert(n_keys >= 1);
	rc = note_parse(&note, bytes);
	if (rc != 0)
		return rc;
	rc = note_verify(&note, keys, n_keys, &by);
	if (rc != 0)
		return rc;
	rc = checkpoint_parse(&c, note.text);
	if (rc != 0)
		return rc;
	if ((by & 1) == 0 || !slice_is(c.origin, keys[0].name))
		return ERR_BAD_SIGNATURE;
	*ret = c;
	if (ret_note != NULL)
		*ret_note = note;
	if (ret_signed != NULL)
		*ret_signed = by;
	return 0;
}

void proof_lines_format(struct buf *out, const struct merkle_proof *proof)
{
	for (unsigned i = 0; i < proof->n; i++) {
		base64_encode(out, slice_of(proof->hashes[i].bytes, MERKLE_HASH_LEN));
		buf_append_char(out, '\n');
	}
	buf_append_char(out, '\n');
}

int proof_lines_parse(struct slice *rest, struct merkle_proof *ret)
{
	struct slice line;

	ret->n = 0;
	for (;;) {
		if (!slice_cut(*rest, '\n', &line, rest))
			return ERR_MALFORMED;
		if (line.len == 0)
			return 0;
		if (ret->n == MERKLE_PROOF_MAX)
			return ERR_TOO_BIG;
		if (base64_decode_to(ret->hashes[ret->n++].bytes, MERKLE_HASH_LEN, line, 0) != 0)
			return ERR_MALFORMED;
	}
}

#define PROOF_FILE_HEAD "c2sp.org/tlog-proof@v1"

int proof_file_format(struct buf *out, const struct proof_file *file)
{
	buf_printf(out, PROOF_FILE_HEAD "\nindex %llu\n", (unsigned long long)file->index);
	proof_lines_format(out, &file->proof);
	return buf_append(out, file->checkpoint);
}

int proof_file_parse(struct proof_file *ret, struct slice bytes)
{
	struct proof_file file = {0};
	struct slice line, rest;
	int rc;

	if (!slice_cut(bytes, '\n', &line, &rest) || !slice_is(line, PROOF_FILE_HEAD) ||
	    !slice_cut(rest, '\n', &line, &rest) || !slice_starts_with(line, SLICE("index ")))
		return ERR_MALFORMED;
	rc = parse_number(slice_of(line.ptr + 6, line.len - 6), &file.index);
	if (rc != 0)
		return rc;
	rc = proof_lines_parse(&rest, &file.proof);
	if (rc != 0)
		return rc;
	file.checkpoint = rest;
	*ret = file;
	return 0;
}
