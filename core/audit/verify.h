/*
 * The verifier: reads every byte of a log and says whether it is what
 * was signed (integrity.md section 9). It shares with the server only the tree
 * arithmetic, the note format and the JSON scanner; what a record looks like
 * and how an export or a store lies on disk it knows from the specification, so
 * this layer sees neither the store nor what encodes records.
 *
 * Two threads take turns at tiles of 256 records; what they found is merged in
 * the order of the log. Memory does not grow with the log, but for eight bytes
 * a stored checkpoint.
 */
#ifndef LULAB_AUDIT_VERIFY_H
#define LULAB_AUDIT_VERIFY_H

#include "base/buf.h"
#include "domain/merkle.h"
#include "domain/note.h"

/*
 * Where a log is read from. Functions are called from two threads at once.
 * ERR_NOT_FOUND: it is not there. Other errors: it cannot be read.
 */
struct verify_source {
	void *arg;
	/* The newest note. */
	int (*newest)(void *arg, struct buf *ret_note);
	/* Sizes of all notes kept, in any order; malloc'ed, the caller's. */
	int (*note_sizes)(void *arg, uint64_t **ret_sizes, size_t *ret_n);
	int (*note)(void *arg, uint64_t size, struct buf *ret_note);
	/* Records there are, when that can be more than the newest note says; NULL: exactly what it says. */
	int (*size)(void *arg, uint64_t *ret_size);
	/* Up to 256 records from tile * 256 on, each behind a 2-byte big-endian length. */
	int (*entries)(void *arg, uint64_t tile, unsigned width, struct buf *ret_bytes);
	/* Hashes of a stored tile, `width` of them. */
	int (*hashes)(void *arg, unsigned level, uint64_t tile, unsigned width, struct merkle_hash *ret_hashes);
	/* The blob with that hash, belonging to the record: its real hash and length. */
	int (*blob)(void *arg, uint64_t index, struct slice hex, uint8_t ret_hash[SHA256_LEN], uint64_t *ret_size);
};

/* An export directory. Borrows `dir`. */
int verify_export_open(struct verify_source *ret, const char *dir);
void verify_export_close(struct verify_source *source);
/* The log of a data directory, beside a running server or none; read-only. ERR_NOT_FOUND, ERR_VERSION, ERR_IO, ... */
int verify_data_open(struct verify_source *ret, const char *data_dir);
void verify_data_close(struct verify_source *source);

#define VERIFY_KEYS_MAX 32

/* One thing that is wrong. */
struct verify_finding {
	bool evidence; /* of change or loss; else something could not be checked */
	bool has_index;
	uint64_t index;
	char text[240];
};

struct verify_summary {
	char origin[NOTE_NAME_MAX + 1];
	uint64_t size; /* of the newest checkpoint */
	struct merkle_hash root; /* rebuilt from the records, at that size; zero when it could not be */
	bool has_root;
	uint64_t records, unsigned_records, bytes, blobs, blob_bytes, checkpoints, tiles;
	uint64_t n_evidence, n_unknown; /* findings, also those beyond what was told */
	bool has_bad;
	uint64_t first_bad; /* lowest index with evidence against it */
	unsigned keys_reached; /* log keys that were not given, but named by the log under one that was */
	uint64_t once_keys; /* seen; compared with each other when semantics were asked for */
	uint64_t open_erasures; /* requested and not completed; semantics only */
};

struct verify_options {
	/* The log's, all of one name, then the witnesses'. Keys that the log changed to are found from those given. */
	struct note_key keys[VERIFY_KEYS_MAX];
	unsigned n_log_keys, n_witness_keys;
	unsigned witnesses_needed;
	struct slice old_checkpoint; /* a note, or empty */
	bool semantics;
	unsigned threads; /* 0 = 2; 1 = the caller's own alone */
	/* Called in the order of the log, from one thread at a time. */
	void (*on_finding)(void *arg, const struct verify_finding *finding);
	/* After every tile; may be NULL, and may take its time. */
	void (*on_progress)(void *arg, const struct verify_summary *so_far, uint64_t done, uint64_t total);
	bool (*stopped)(void *arg); /* may be NULL; true ends the work with ERR_CANCELLED */
	void *arg;
};

/*
 * Checks everything. 0 when it came to an end, good or bad: n_evidence and
 * n_unknown tell. ERR_CANCELLED, ERR_NOMEM.
 */
int verify_log(const struct verify_source *source, const struct verify_options *options, struct verify_summary *ret);

/* Of verify_log(): the semantic pass; private to verify*.c. `index` UINT64_MAX: of no record. */
typedef void verify_found_cb(void *arg, bool evidence, uint64_t index, const char *text);
int verify_semantics(const struct verify_source *source, uint64_t size, struct verify_summary *summary,
    const struct verify_options *options, verify_found_cb *found, void *arg);

/* Walks over the records of a bundle of `entries`. False at the end; a cut one ends it too, with *ret_cut set. */
bool bundle_next(struct slice *bundle, struct slice *ret_record, bool *ret_cut);

#define BUNDLE_LEN_MAX (MERKLE_TILE_WIDTH * (2 + 65535))

#endif
