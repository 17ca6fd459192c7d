/*
 * An event that is ready to be appended: its bytes, and what the log has to
 * know about them without reading them. Plain data, made by event_draft_make()
 * and borrowed by the log until the append is over.
 */
#ifndef LULAB_DOMAIN_EVENT_DRAFT_H
#define LULAB_DOMAIN_EVENT_DRAFT_H

#include "base/id.h"
#include "base/slice.h"

/* One record, envelope included (integrity.md 2.3). Bigger things are blobs. */
#define ENTRY_LEN_MAX 65535
#define STREAM_LEN_MAX 200
#define CLAIM_LEN_MAX 200
#define ONCE_KEY_LEN 32
#define SUBJECT_REF_LEN 32

/* `time` and `sequence` in an entry have a fixed width, so that the writer can put them in. */
#define ENTRY_TIME_LEN 27     /* 2026-11-23T22:39:15.123456Z */
#define ENTRY_SEQUENCE_LEN 20 /* decimal digits */

/* Values of event_draft.expect; any other is a count of events. */
#define EXPECT_ANY (-1)
#define EXPECT_NONE 0 /* the stream has no event yet */

/* Bytes too big, or too private, for the entry; named there as {"$blob":"<sha256 hex>","size":n}. */
struct blob_draft {
	struct slice bytes; /* as stored: already sealed */
	uint8_t sha256[32]; /* of bytes */
};

/* A person or thing whose fields are sealed: the lookup reference, and the subject id it stands for. */
struct subject_ref {
	uint8_t ref[SUBJECT_REF_LEN]; /* HMAC of the clear identity under the server's lookup key */
	struct id id;
};

struct event_draft {
	uint16_t type; /* x-id of the event's schema, never 0 */
	uint16_t flags; /* EVENT_FLAG_*; kept in front of the entry, for skipping without parsing */

	/* The CloudEvents object of integrity.md 2.4. The writer puts time and sequence in place. */
	char *entry;
	uint32_t entry_len;
	uint32_t time_at;     /* offset of the first of the ENTRY_TIME_LEN characters, after the quote */
	uint32_t sequence_at; /* offset of the first of the ENTRY_SEQUENCE_LEN digits, after the quote */

	/* Conditions and index data. All but `expect` must be told by the entry as well, so
	 * that the indexes can be rebuilt from the log alone: stream = subject, once = oncekey,
	 * claims = data.claims, releases = data.releases, subjects = data.subjects. */
	struct slice stream;
	int64_t expect; /* events in the stream before this one, or EXPECT_ANY */
	bool has_once;
	uint8_t once[ONCE_KEY_LEN];
	const struct slice *claims; /* unique names this event takes */
	size_t n_claims;
	const struct slice *releases; /* and gives back */
	size_t n_releases;
	const struct subject_ref *subjects;
	size_t n_subjects;

	const struct blob_draft *blobs; /* stored as blob 0, 1, ... of this position */
	size_t n_blobs;

	/* event_draft_make()'s alone: entry and facts are of one make, so that the log need not read the one to compare it with
	 * the other. Whoever changes one of the two afterwards takes it back. */
	bool is_made;
};

#endif
