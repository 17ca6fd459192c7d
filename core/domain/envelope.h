/*
 * The envelope: the CloudEvents 1.0 object every record is (integrity.md 2.4).
 * Its bytes are hashed and never made again, so they are checked before they
 * are written and whenever they are read. Pure functions, any thread.
 */
#ifndef LULAB_DOMAIN_ENVELOPE_H
#define LULAB_DOMAIN_ENVELOPE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "domain/event_draft.h"

#define EVENT_TYPE_LEN_MAX 64

/* Members in the order they have in the text. An empty slice is an absent member. */
struct envelope {
	struct slice id;      /* 128 bits as text: 32 lower-case hex digits */
	struct slice source;  /* URI reference: "/webhooks/tencent" */
	struct slice type;    /* [a-z0-9._-], at most 64 */
	struct slice subject; /* the stream, 1..200 bytes */
	int64_t time_us;      /* when it was recorded */
	uint64_t sequence;    /* its position */
	struct slice actor;
	struct slice causation, correlation, traceparent; /* optional */
	bool has_once;
	uint8_t once[ONCE_KEY_LEN];
	struct slice dataschema; /* "meeting.started/1" */
	struct slice data;       /* JSON object */
	struct json_value data_value; /* set by envelope_decode(): the same, to be walked */
};

/*
 * Appends the text. *ret_time_at and *ret_sequence_at are offsets from where it
 * begins, for the log's writer to put the final values in place. ERR_INVALID
 * when a member is not what it must be, ERR_TOO_BIG beyond ENTRY_LEN_MAX, ERR_NOMEM.
 */
int envelope_encode(const struct envelope *e, struct buf *out, uint32_t *ret_time_at, uint32_t *ret_sequence_at);

/* As envelope_encode, the data being written by the caller in between (it may be big). */
struct envelope_writer {
	struct buf *out;
	size_t start;
	uint32_t time_at, sequence_at;
};
int envelope_begin(struct envelope_writer *w, const struct envelope *e, struct buf *out);
int envelope_end(struct envelope_writer *w); /* ERR_TOO_BIG */

#define ENVELOPE_ANY_POSITION UINT64_MAX

/*
 * Reads an entry; slices point into it or the arena. ERR_MALFORMED: not strict
 * JSON, duplicate, unknown, missing or misplaced members, white space outside
 * strings, trailing bytes, wrong forms. ERR_VERSION: unknown specversion.
 * ERR_CORRUPT: sequence is not `position`. ERR_TOO_BIG.
 */
int envelope_decode(struct slice entry, uint64_t position, struct arena *arena, struct envelope *ret);
/* The checks alone. ret_reason may be NULL; static text. */
int envelope_check(struct slice entry, uint64_t position, const char **ret_reason);

/* Writes the final time and sequence into an entry made by envelope_encode(). */
void envelope_patch(char *entry, uint32_t time_at, int64_t time_us, uint32_t sequence_at, uint64_t sequence);

#endif
