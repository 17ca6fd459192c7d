/*
 * LMDB as the log uses it: an environment opened by our rules (integrity.md
 * 11), its error codes in our terms, and a pool of read transactions.
 *
 * Only default flags, MDB_NOTLS and MDB_RDONLY are ever used. The flags that
 * weaken commits do not occur in this program; a test greps for them.
 */
#ifndef LULAB_STORE_LOG_MDB_H
#define LULAB_STORE_LOG_MDB_H

#include <lmdb.h>
#include <pthread.h>

#include "base/slice.h"

#define LOG_READERS_MAX 256      /* slots in the lock file: ours, and those of tools that look in */
#define LOG_READERS_POOL 192     /* the most this process takes */

struct log_env {
	MDB_env *env;
	pthread_mutex_t lock; /* guards idle and the counts */
	MDB_txn *idle[LOG_READERS_POOL];
	unsigned n_idle, n_made;
};

/* The ERR_* for an LMDB or errno code; 0 stays 0. */
int mdb_err(int code);

/*
 * Opens the environment in `dir`, which must exist; unless readonly, makes it when there is none, so that
 * a power cut leaves the whole of an empty one or nothing. map_bytes 0 leaves the size
 * the file has (readers); where so much address space cannot be had it is halved, down to
 * 16 GiB. Clears slots of dead readers. After a failure *e is zeroed.
 */
int log_env_open(struct log_env *e, const char *dir, uint64_t map_bytes, bool readonly);
/* Every transaction must have been given back. Accepts a zeroed one. */
void log_env_close(struct log_env *e);

/* A read transaction of the newest commit; ERR_BUSY when all are out. Any thread. */
int log_env_read(struct log_env *e, MDB_txn **ret_txn);
/* Gives it back and sets *txn to NULL; fine when it is NULL. Cursors on it must have been closed. */
void log_env_done(struct log_env *e, MDB_txn **txn);
unsigned log_env_readers(struct log_env *e);
uint64_t log_env_map_bytes(const struct log_env *e); /* what it got */

/* Opens a table, making it when the transaction writes. */
int log_table(MDB_txn *txn, const char *name, MDB_dbi *ret_dbi);

static inline MDB_val val_of(const void *ptr, size_t len)
{
	return (MDB_val){.mv_size = len, .mv_data = (void *)(uintptr_t)ptr};
}

static inline struct slice val_slice(MDB_val v)
{
	return slice_of(v.mv_data, v.mv_size);
}

#endif
