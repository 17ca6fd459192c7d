/*
 * libFuzzer: bytes as a record, read twice: by the envelope's own check and by
 * the verifier's, which were written apart. They must agree on what a record
 * is; the sequence is taken from the bytes, so that it can be right.
 */
#include <stdlib.h>

#include "base/err.h"
#include "domain/envelope.h"
#include "audit/verify_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_blob(void *arg, struct slice hex, uint64_t size)
{
	unsigned *n = arg;

	(void)size;
	if (hex.len != 64)
		abort();
	++*n;
	return 0;
}

static uint64_t sequence_in(struct slice record)
{
	static const char name[] = "\"sequence\":\"";
	const char *at = memmem(record.ptr, record.len, name, sizeof(name) - 1);
	uint64_t sequence = 0;

	if (at != NULL && (size_t)(record.ptr + record.len - at) >= sizeof(name) - 1 + 20)
		slice_to_u64(slice_of(at + sizeof(name) - 1, 20), &sequence);
	return sequence;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice record = slice_of(data, size);
	uint64_t sequence = size == 0 ? 0 : sequence_in(record);
	const char *reason = NULL, *other = NULL;
	struct record_facts facts;
	unsigned n_blobs = 0;
	int ours = record_check(record, sequence, &facts, &reason), theirs = envelope_check(record, sequence, &other);

	if ((ours == 0) != (theirs == 0) || (ours != 0 && reason == NULL))
		abort();
	if (ours == 0)
		record_blobs(&facts, on_blob, &n_blobs);
	return 0;
}
