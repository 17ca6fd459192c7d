/*
 * What a log sends to a witness (C2SP tlog-witness, integrity.md section 7):
 *
 *     old <size the witness is expected to hold>
 *     <consistency proof, one base64 hash a line, at most 63>
 *     <empty line>
 *     <the checkpoint note>
 *
 * Pure functions over bytes; any thread.
 */
#ifndef LULAB_DOMAIN_COSIGN_H
#define LULAB_DOMAIN_COSIGN_H

#include "domain/note.h"

/* "old " and a size, 63 lines of base64, an empty line, a note. */
#define COSIGN_REQUEST_MAX (32 + MERKLE_PROOF_MAX * 45 + 1 + NOTE_BYTES_MAX)

struct cosign_request {
	uint64_t old_size;
	struct merkle_proof proof;
	struct slice note; /* borrowed; not looked into */
};

/* ERR_MALFORMED; ERR_TOO_BIG for more than 63 hashes or bytes than a request can have. */
int cosign_request_parse(struct cosign_request *ret, struct slice bytes);
int cosign_request_format(struct buf *out, const struct cosign_request *request);

/*
 * Puts the first cosignature by `key` among `lines` (a witness's answer) under the
 * note and appends the whole to `out`. Signatures by others, and one the note has
 * already, are left out. ERR_NOT_FOUND: none is by that key; ERR_BAD_SIGNATURE: it is not over this note; ERR_MALFORMED.
 */
int cosign_note_add(struct buf *out, struct slice note, struct slice lines, const struct note_key *key);

#endif
