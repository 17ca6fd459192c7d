/*
 * What a webhook costs beyond the ceiling program's work because the design demands it, in the fewest
 * lines: the personal fields and the raw body sealed, told-again-or-new decided by two keyed
 * hashes and a look-up, a record as long as ours that is scanned once before it is written
 * (integrity 2) and hashed into Merkle tiles, the look-up keys folded into an index of
 * its own by a thread, and with them a wrapped key for each delivery. No limits, no checks of what
 * comes in, no translation, no schema, no keys that can be erased, no read models.
 *
 * With it the ceiling program is the floor under what durable ingest can cost here.
 */
#ifndef LULAB_TOOLS_BENCH_FLOOR_H
#define LULAB_TOOLS_BENCH_FLOOR_H

#include <lmdb.h>

#include "base/arena.h"

struct floor;

#define FLOOR_TABLES 8 /* for mdb_env_set_maxdbs() of the environment it puts into */

struct floor_record {
	struct slice record, blob; /* in the arena */
	uint8_t once[32], ref[32];
	char stream[32];
};

/* The index goes to `dir`, which must exist. 0 or ERR_*. */
int floor_open(struct floor **ret, MDB_env *env, const char *dir);
/* Ends its thread and frees. NULL is fine. */
void floor_close(struct floor *f);

/* On the loop: seals, hashes, and writes the record. 0 or ERR_NOMEM. */
int floor_make(struct slice body, struct slice plain, struct arena *arena, struct floor_record *ret);

/* The writer, for each record of a commit; then floor_flush(), and floor_committed() after it. LMDB's codes. */
int floor_put(struct floor *f, MDB_txn *txn, uint64_t position, const struct floor_record *record);
int floor_flush(struct floor *f, MDB_txn *txn);
void floor_committed(struct floor *f);

#endif
