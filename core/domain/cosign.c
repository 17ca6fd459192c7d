/* See cosign.h. */
#include "domain/cosign.h"

#include <assert.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"

/* "old 17": decimal without leading zeros. */
static int parse_old(struct slice line, uint64_t *ret_size)
{
	struct slice digits = slice_of(line.ptr + 4, line.len - 4);

	if (digits.len > 1 && digits.ptr[0] == '0')
		return ERR_MALFORMED;
	return slice_to_u64(digits, ret_size) == 0 ? 0 : ERR_MALFORMED;
}

int cosign_request_parse(struct cosign_request *ret, struct slice bytes)
{
	struct cosign_request request = {0};
	struct slice line, rest;
	int rc;

	if (bytes.len > COSIGN_REQUEST_MAX)
		return ERR_TOO_BIG;
	if (!slice_cut(bytes, '\n', &line, &rest) || !slice_starts_with(line, SLICE("old ")))
		return ERR_MALFORMED;
	rc = parse_old(line, &request.old_size);
	if (rc != 0)
		return rc;
	rc = proof_lines_parse(&rest, &request.proof);
	if (rc != 0)
		return rc;
	request.note = rest;
	*ret = request;
	return 0;
}

int cosign_request_format(struct buf *out, const struct cosign_request *request)
{
	buf_printf(out, "old %llu\n", (unsigned long long)request->old_size);
	proof_lines_format(out, &request->proof);
	return buf_append(out, request->note);
}

/* The line of `lines` that holds signature number n, with its newline. */
static struct slice nth_line(struct slice lines, unsigned n)
{
	struct slice line = {0}, rest = lines;

	for (unsigned i = 0; i <= n; i++) {
		bool there = slice_cut(rest, '\n', &line, &rest);

		assert(there); /* as many were parsed */
	}
	return slice_of(line.ptr, line.len + 1);
}

static bool is_by(const struct note_signature *s, const struct note_key *key)
{
	return memcmp(s->id, key->id, NOTE_ID_LEN) == 0 && slice_is(s->name, key->name);
}

int cosign_note_add(struct buf *out, struct slice bytes, struct slice lines, const struct note_key *key)
{
	struct note *note = calloc(2, sizeof(*note)), *answer;
	struct buf whole = BUF_INIT(2 * NOTE_BYTES_MAX);
	unsigned found;
	int rc;

	if (note == NULL)
		return ERR_NOMEM;
	answer = note + 1;
	/* The answer's lines under the note's text are a note too, which the usual reader checks. */
	rc = note_parse(note, bytes);
	if (rc == 0) {
		buf_append(&whole, note->text);
		buf_append_char(&whole, '\n');
		rc = buf_append(&whole, lines);
	}
	if (rc == 0)
		rc = note_parse(answer, buf_slice(&whole));
	if (rc != 0)
		goto out;
	for (found = 0; found < answer->n_signatures && !is_by(&answer->signatures[found], key); found++)
		;
	if (found == answer->n_signatures) {
		rc = ERR_NOT_FOUND;
		goto out;
	}
	rc = note_verify(answer, key, 1, NULL);
	if (rc != 0)
		goto out;
	for (unsigned i = 0; i < note->n_signatures; i++)
		if (is_by(&note->signatures[i], key))
			lines = (struct slice){0};
	buf_append(out, bytes);
	rc = lines.len == 0 ? out->rc : buf_append(out, nth_line(lines, found));
out:
	buf_finish(&whole);
	free(note);
	return rc;
}
