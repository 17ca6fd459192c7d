/*
 * Of verify_*.c alone: what one run of the verifier is made of.
 *
 * verify.c begins and ends it, verify_tile.c checks one tile of 256 records on
 * its own, verify_tree.c adds what was found to the whole in the order of the log.
 */
#ifndef LULAB_AUDIT_VERIFY_PRIVATE_H
#define LULAB_AUDIT_VERIFY_PRIVATE_H

#include <pthread.h>

#include "audit/verify.h"

#define TOLD_PER_TILE 32   /* findings of one tile that are told; the rest are counted */
#define NOTES_PER_TILE 256 /* one size each */
#define RETIREMENTS_PER_TILE 4

/* A tile and what was found in it. One thread's, until its turn comes. */
struct verify_tile {
	uint64_t number;
	unsigned width;
	struct merkle_hash leaves[MERKLE_TILE_WIDTH];  /* of the records */
	struct merkle_hash stored[MERKLE_TILE_WIDTH];  /* level 0 as it is kept */
	bool has_leaf[MERKLE_TILE_WIDTH], has_stored;
	int64_t first_us, last_us; /* of the readable records; INT64_MIN: none */
	uint64_t bytes, blobs, blob_bytes, once_keys, records;
	struct {
		uint64_t size;
		struct merkle_hash root;
		uint64_t cosigned_at; /* by the first witness; 0 = not */
		uint64_t by;          /* bit per log key */
	} notes[NOTES_PER_TILE];
	unsigned n_notes;
	struct verify_finding findings[TOLD_PER_TILE];
	unsigned n_findings;
	uint64_t n_evidence, n_unknown, first_bad;
	struct buf bundle;
	uint64_t blob_index; /* of the record whose blobs are looked at */
	struct {
		uint64_t index;
		uint64_t keys; /* bit per log key that it ends */
	} retirements[RETIREMENTS_PER_TILE];
	unsigned n_retirements;
};

struct verify {
	const struct verify_source *source;
	const struct verify_options *options;
	struct verify_summary *summary;
	uint64_t *note_sizes; /* ascending */
	size_t n_note_sizes;
	uint64_t total, n_tiles; /* records to read */
	struct checkpoint newest, old;
	bool has_newest, has_old;
	uint64_t newest_by, old_by; /* bit per log key */

	/* The log's keys: those given, then those reached by key changes. Fixed before the threads start. */
	struct note_key log_keys[VERIFY_KEYS_MAX];
	uint64_t key_from[VERIFY_KEYS_MAX]; /* the size from which on it may sign */
	unsigned n_log_keys;

	pthread_mutex_t lock; /* guards all below, and summary */
	pthread_cond_t turn;
	uint64_t next_tile, next_merge;
	int rc;
	uint64_t n_told;

	/* Of the thread whose turn it is. */
	struct merkle_builder rebuilt, stored;
	bool split;       /* `stored` has gone its own way */
	bool rebuilt_gap; /* records that could not be read are in `rebuilt` by their stored hash, or not at all */
	bool hole; /* somewhere neither the record nor its stored hash could be read: what follows leads nowhere */
	int64_t last_us;
	uint64_t last_cosigned_at;
	uint64_t retired; /* bit per log key that a record so far has ended */
	uint64_t retired_at;
	uint64_t agreed, disagreed; /* the greatest size a note agreed at, the least it did not; the latter 0 = none */
	bool newest_rebuilt, newest_stored, newest_seen;
};

/* verify.c. Where there is no index to name: NO_INDEX. Under the lock, or while there are no threads. */
#define NO_INDEX UINT64_MAX
void verify_found(struct verify *v, bool evidence, uint64_t index, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void verify_tell(struct verify *v, const struct verify_finding *finding);

/*
 * verify_keys.c. A note signed by the log under a key that may sign at its size. *ret_by has a bit per
 * log key that did, *ret_witnesses the number of witnesses; each may be NULL. `ret` and `ret_note` borrow
 * from the bytes.
 */
int verify_note_open(const struct verify *v, struct slice bytes, struct checkpoint *ret, struct note *ret_note,
    uint64_t *ret_by, unsigned *ret_witnesses);
/* The given keys, and those that the log itself leads to from them. After the notes were listed. ERR_NOMEM. */
int verify_keys_follow(struct verify *v);
/* Which of the log's keys a record ends: bits, 0 when it is no such record. */
struct record_facts;
uint64_t verify_keys_ended(const struct verify *v, const struct record_facts *facts);

/* verify_tile.c. */
/* Index of the first note size above `size`. */
size_t verify_notes_above(const struct verify *v, uint64_t size);
/* Reads and checks t->number, t->width. Any thread; touches nothing but the tile. */
void verify_tile_check(const struct verify *v, struct verify_tile *t);

/* verify_tree.c. Under the lock, in the order of the log. */
void verify_tile_merge(struct verify *v, const struct verify_tile *t);
/* Behind the last tile: what the two trees, together, say. */
void verify_conclude(struct verify *v);

#endif
