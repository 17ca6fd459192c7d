/*
 * Signed notes (C2SP signed-note v1), verifier keys, checkpoints,
 * cosignatures and proof files: integrity.md sections 5 to 8.
 *
 *     <text, last byte a newline>
 *     <empty line>
 *     — <key name> <base64(4-byte key id || signature)>
 *
 * Pure functions over bytes; any thread. Parsed things borrow from the bytes
 * they were parsed from.
 */
#ifndef LULAB_DOMAIN_NOTE_H
#define LULAB_DOMAIN_NOTE_H

#include "base/buf.h"
#include "crypto/crypto.h"
#include "domain/merkle.h"

#define NOTE_BYTES_MAX 65536
#define NOTE_SIGNATURES_MAX 64
#define NOTE_NAME_MAX 200
#define NOTE_ID_LEN 4
#define NOTE_SIGNATURE_MAX 96 /* bytes we keep of one; longer ones are by nobody we know */

enum note_key_type {
	NOTE_ED25519 = 0x01,     /* signs the text */
	NOTE_COSIGNATURE = 0x04, /* signs the text and a time stamp */
};

/* A verifier key: <name>+<8 hex digits of id>+<base64(type || public key)>. */
struct note_key {
	char name[NOTE_NAME_MAX + 1];
	uint8_t id[NOTE_ID_LEN];
	enum note_key_type type;
	uint8_t public_key[ED25519_PUBLIC_LEN];
};

/* Computes the id. ERR_INVALID for a name that is empty, too long, or has spaces, control characters or '+'. */
int note_key_make(struct note_key *ret, struct slice name, enum note_key_type type,
    const uint8_t public_key[ED25519_PUBLIC_LEN]);
/* ERR_MALFORMED; ERR_UNSUPPORTED for another key type; ERR_BAD_KEY when the id is not that of the key. */
int note_key_parse(struct note_key *ret, struct slice text);
/* Appends the text form, without newline. */
int note_key_format(struct buf *out, const struct note_key *key);

struct note_signature {
	struct slice name;
	uint8_t id[NOTE_ID_LEN];
	unsigned len; /* of the whole signature, also when it is longer than what is kept */
	uint8_t bytes[NOTE_SIGNATURE_MAX];
};

struct note {
	struct slice text; /* final newline included; what is signed */
	unsigned n_signatures;
	struct note_signature signatures[NOTE_SIGNATURES_MAX];
};

/* ERR_MALFORMED, or ERR_TOO_BIG for more than 64 lines or 64 KiB. Checks no signature. */
int note_parse(struct note *ret, struct slice bytes);

/*
 * 0 when at least one of the keys signed it, and *ret_signed (may be NULL) has
 * bit i set for keys[i], i < 64. Signatures by keys not given are ignored; one by a
 * given key that does not verify makes it ERR_BAD_SIGNATURE whatever the others
 * say, and so does having none. ERR_NOMEM, which says nothing of them. n_keys <= 64.
 */
int note_verify(const struct note *note, const struct note_key *keys, unsigned n_keys, uint64_t *ret_signed);

/* Time stamp of the first cosignature by that key, which note_verify() must have accepted. ERR_NOT_FOUND. */
int note_cosignature_time(const struct note *note, const struct note_key *key, uint64_t *ret_seconds);

/* Appends one signature line over `text` (which ends in a newline). The key's type must fit; secret is 64 bytes. */
int note_sign_line(struct buf *out, struct slice text, const struct note_key *key,
    const uint8_t secret[ED25519_SECRET_LEN]);
int note_cosign_line(struct buf *out, struct slice text, const struct note_key *key,
    const uint8_t secret[ED25519_SECRET_LEN], uint64_t seconds);

/* A note with one signature: text, empty line, signature line. */
int note_sign(struct buf *out, struct slice text, const struct note_key *key,
    const uint8_t secret[ED25519_SECRET_LEN]);

/* A checkpoint: exactly three lines, origin, size, root. */
struct checkpoint {
	struct slice origin;
	uint64_t size;
	struct merkle_hash root;
};

int checkpoint_format(struct buf *out, const struct checkpoint *checkpoint);
/* The text of a note. ERR_MALFORMED also for extension lines. */
int checkpoint_parse(struct checkpoint *ret, struct slice text);

/*
 * The usual whole: parse the note, verify it under these keys, parse the
 * checkpoint, and require that its origin is the name of keys[0], that key
 * being the log's. ERR_MALFORMED, ERR_TOO_BIG, ERR_BAD_SIGNATURE (also when the
 * log itself did not sign). ret_note may be NULL.
 */
int checkpoint_open(struct checkpoint *ret, struct note *ret_note, struct slice bytes,
    const struct note_key *keys, unsigned n_keys, uint64_t *ret_signed);

/* A proof as proof files and requests to witnesses hold it: a base64 hash a line, then an empty line. */
void proof_lines_format(struct buf *out, const struct merkle_proof *proof);
/* From the front of *rest, which is left behind the empty line. ERR_MALFORMED; ERR_TOO_BIG before a hash too many is read. */
int proof_lines_parse(struct slice *rest, struct merkle_proof *ret);

/* A proof file (.tlog-proof): all that is needed to check one record offline. */
struct proof_file {
	uint64_t index;
	struct merkle_proof proof;
	struct slice checkpoint; /* a note */
};

int proof_file_format(struct buf *out, const struct proof_file *file);
int proof_file_parse(struct proof_file *ret, struct slice bytes);

#endif
