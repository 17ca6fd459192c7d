/*
 * The indexes: what is looked up in the log by other keys than the position.
 *
 * A fold of the facts in the entries (log_facts.h), kept in an LMDB environment
 * of its own (log_format.h has the tables) so that the random keys do not cost
 * the log's commit anything. A batch of facts and the position it was read up
 * to commit together; the folder is one thread, readers are any.
 *
 * It can be deleted: log_index_open() starts it anew, the fold starts at 0.
 */
#ifndef LULAB_STORE_LOG_INDEX_H
#define LULAB_STORE_LOG_INDEX_H

#include "domain/merkle.h"
#include "store/log_facts.h"
#include "store/log_mdb.h"
#include "store/log_once.h"

struct log_index {
	struct log_env env;
	MDB_dbi meta, claims, streams, stream_events, types, type_counts, subjects;
	struct log_once once;
};

/* Readonly: ERR_NOT_FOUND when there is none. ERR_VERSION, ERR_CORRUPT, ERR_IO, ERR_DISK_FULL. */
int log_index_open(struct log_index *x, const char *dir, uint64_t map_bytes, bool readonly);
void log_index_close(struct log_index *x); /* accepts a zeroed one */

/* Events folded so far, and the leaf hash of the last of them (zero when none): it tells whose index this is. */
struct log_index_state {
	uint64_t position;
	struct merkle_hash last_leaf;
};
int log_index_state(struct log_index *x, MDB_txn *txn, struct log_index_state *ret);

/* How many logs before this one it has the facts of. */
int log_index_carried(struct log_index *x, MDB_txn *txn, unsigned *ret_n);

/* ---- folding: one thread, one batch at a time --------------------------- */

struct log_index_batch {
	struct log_index *x;
	MDB_txn *txn;
	uint64_t start;    /* events folded before this batch */
	uint64_t position; /* and with it */
	struct log_once_batch once;
};
int log_index_begin(struct log_index *x, struct log_index_batch *ret);
/*
 * Facts in the order of the log. The first of every event is FACT_EVENT and
 * stands at batch->position, which it moves on: ERR_CORRUPT when it does not. *ret_stream
 * and *ret_version (NULL or) get what the index makes of the event's stream.
 */
int log_index_fold(struct log_index_batch *batch, const struct log_fact *fact, uint64_t *ret_stream,
    uint32_t *ret_version);
/* Ends the batch either way; a failed commit leaves the index where it was or not usable, never in between. */
int log_index_commit(struct log_index_batch *batch, const struct merkle_hash *last_leaf);
void log_index_abort(struct log_index_batch *batch);

/*
 * Facts of the logs before, before any fact of its own: keys, names and subjects, with the place of their event; streams and
 * types are each log's own. Committed by the other function, which in the last batch notes of how many logs they were
 * (else 0): cut off before, all is carried again and nothing is different.
 */
int log_index_carry(struct log_index_batch *batch, const struct log_fact *fact, uint64_t place);
int log_index_commit_carried(struct log_index_batch *batch, unsigned n_logs);

/* ---- looking up in a read transaction of x->env; ERR_NOT_FOUND ---------- */

int log_index_once(struct log_index *x, MDB_txn *txn, const uint8_t once[ONCE_KEY_LEN], uint64_t *ret_position);
int log_index_claim(struct log_index *x, MDB_txn *txn, struct slice claim, uint64_t *ret_position);
int log_index_stream(struct log_index *x, MDB_txn *txn, struct slice stream, uint64_t *ret_number,
    uint64_t *ret_version);
/* Events of a type; 0 when there are none. */
int log_index_type_count(struct log_index *x, MDB_txn *txn, uint16_t type, uint64_t *ret_n);
int log_index_subject(struct log_index *x, MDB_txn *txn, const uint8_t ref[SUBJECT_REF_LEN], struct id *ret_id);

/*
 * The first event at or after `from` of a stream (by number) or of a type.
 * *cursor is opened in txn when NULL and must be closed before the transaction
 * is given back. ERR_NOT_FOUND past the last one indexed.
 */
int log_index_next_of_stream(struct log_index *x, MDB_txn *txn, MDB_cursor **cursor, uint64_t stream,
    uint64_t from, uint64_t *ret_position);
int log_index_next_of_type(struct log_index *x, MDB_txn *txn, MDB_cursor **cursor, uint16_t type,
    uint64_t from, uint64_t *ret_position);

/* ---- comparing two, for reindex ------------------------------------------ */

struct log_index_counts {
	uint64_t once, claims, streams, types, subjects;
};
int log_index_count(struct log_index *x, struct log_index_counts *ret);

/*
 * Compares every table key by key. *ret_n counts keys missing in, surplus in or different in `b`;
 * ret_first (NUL-terminated, may be cut) says where the first is, "" when none.
 */
int log_index_compare(struct log_index *a, struct log_index *b, uint64_t *ret_n, char *ret_first, size_t first_len);

#endif
