/*
 * Fuzz entry: bytes as a record, read twice: by the envelope's own check and by
 * the verifier's, which were written apart. They must agree on what a record
 * is; the sequence is taken from the bytes, so that it can be right.
 */
#include "audit/verify_record.h"
#include "base/err.h"
#include "domain/event.h"
#include "fuzz.h"

static int on_blob(void *arg, struct slice hex, uint64_t size)
{
	unsigned *n = arg;

	(void)size;
	check(hex.len == 64);
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

/* The decoder of the service, all the way into the struct of the event. */
static void decode(struct slice record, uint64_t sequence, bool is_record)
{
	struct arena a = ARENA_INIT(16 << 20);
	struct event event;
	int rc = event_decode(record, sequence, NULL, &a, &event);

	check(is_record || rc != 0);
	if (is_record)
		check(rc == 0 || rc == ERR_INVALID || rc == ERR_TOO_BIG || rc == ERR_NOMEM);
	if (rc == 0)
		check((event.type == NULL) == (event.data == NULL) && event.envelope.sequence == sequence);
	arena_finish(&a);
}

void fuzz_one(struct slice input)
{
	uint64_t sequence = input.len == 0 ? 0 : sequence_in(input);
	const char *reason = NULL, *other = NULL;
	struct record_facts facts;
	unsigned n_blobs = 0;
	int ours = record_check(input, sequence, &facts, &reason), theirs = envelope_check(input, sequence, &other);

	check((ours == 0) == (theirs == 0) && (ours == 0 || (reason != NULL && other != NULL)));
	if (ours == 0)
		record_blobs(&facts, on_blob, &n_blobs);
	decode(input, sequence, theirs == 0);
}
