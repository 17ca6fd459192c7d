/*
 * Once keys: which event has one, among millions of keys without any order.
 *
 * In one tree, every new key writes a page of its own as soon as the tree is
 * much larger than a batch. So they lie in runs, a tree each (a log-structured
 * merge tree, O'Neil et al. 1996). New keys go to the young run; when that is
 * large enough it is closed and a new one begins. Four whole runs of a level
 * become one of the next level, written in the order of its keys, a stretch
 * with every batch, so that no batch takes long. Meanwhile the sources answer.
 *
 * A closed run has a Bloom filter, in pieces of a page: a key that is nowhere,
 * as most that are asked for, costs a look at each filter and one small tree.
 *
 * A key is put once. Should it be there twice all the same, the later place counts
 * wherever the two meet.
 */
#ifndef LULAB_STORE_LOG_ONCE_H
#define LULAB_STORE_LOG_ONCE_H

#include <lmdb.h>

#include "domain/event_draft.h"

#define ONCE_RUNS_MAX 64 /* some seven levels, each with runs that wait, runs that are merged and the one made of them */

enum once_run_kind { RUN_NONE, RUN_YOUNG, RUN_WHOLE, RUN_IN_WORK };

struct once_run {
	enum once_run_kind kind;
	unsigned level;
	uint32_t pieces;  /* of its filter; 0 while it is young */
	uint64_t keys;    /* in it; of one in work: so far */
	uint64_t sources; /* of one in work: bit i for run i */
};

struct log_once {
	MDB_dbi meta, filters, runs[ONCE_RUNS_MAX];
	uint64_t run_keys; /* the young run is closed when it has so many; tests make it small */
};

/* The tables in an environment; `meta` is the index's own. */
int log_once_open(struct log_once *o, MDB_txn *txn, MDB_dbi meta);

/* ERR_NOT_FOUND, ERR_CORRUPT. Any transaction. */
int log_once_find(const struct log_once *o, MDB_txn *txn, const uint8_t key[ONCE_KEY_LEN], uint64_t *ret_place);
/* Keys there are. */
int log_once_count(const struct log_once *o, MDB_txn *txn, uint64_t *ret_n);

/* ---- adding: one batch at a time, in a write transaction ------------------ */

struct log_once_batch {
	const struct log_once *o;
	MDB_txn *txn;
	uint64_t n_added;
	struct once_run runs[ONCE_RUNS_MAX];
};
int log_once_begin(struct log_once_batch *ret, const struct log_once *o, MDB_txn *txn);
int log_once_put(struct log_once_batch *b, const uint8_t key[ONCE_KEY_LEN], uint64_t place);
/* Closes, merges and notes what runs there are; last thing before the transaction commits. */
int log_once_end(struct log_once_batch *b);

/* ---- all of them, in order ------------------------------------------------- */

struct log_once_walk {
	MDB_cursor *cursors[ONCE_RUNS_MAX];
	MDB_val keys[ONCE_RUNS_MAX], values[ONCE_RUNS_MAX];
	unsigned n;
};
/* log_once_walk_end() also after a failure. */
int log_once_walk_begin(struct log_once_walk *w, const struct log_once *o, MDB_txn *txn);
/* ERR_NOT_FOUND past the last. */
int log_once_walk_next(struct log_once_walk *w, MDB_val *ret_key, MDB_val *ret_value);
void log_once_walk_end(struct log_once_walk *w); /* accepts a zeroed one */

#endif
