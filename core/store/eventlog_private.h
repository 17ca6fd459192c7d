/*
 * The inside of an eventlog, shared by eventlog_*.c only.
 *
 * Threads: the writer (eventlog_write.c) owns the write transaction and what is
 * marked so; the indexer (eventlog_index.c) folds and does the upkeep; everyone
 * else appends through the queue and reads through pooled transactions. Of the
 * mutexes below and the tail's none is ever taken while another is held.
 */
#ifndef LULAB_STORE_EVENTLOG_PRIVATE_H
#define LULAB_STORE_EVENTLOG_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/eventlog.h"
#include "store/log_index.h"
#include "store/log_tail.h"

#define GIB ((uint64_t)1 << 30)

/* The newest hashes of every tile level, to the next chunk border. Writer's. */
struct log_tiles {
	struct merkle_edge edge;
	struct {
		struct merkle_hash hashes[16];
		uint64_t count;  /* hashes this level has */
		bool changed;    /* the chunk at hand holds hashes not yet put */
	} levels[MERKLE_LEVELS];
};

struct eventlog {
	struct eventlog_options o; /* with defaults filled in; dir and problem not to be used after open */
	char *log_dir, *index_dir;
	int lock_fd;
	bool readonly; /* opened so */
	struct log_env env;
	MDB_dbi meta, entries, blobs, tiles, notes;
	struct log_index index;
	struct log_tail tail;

	_Atomic uint64_t size;           /* durable events */
	_Atomic uint64_t index_position; /* events in the index */
	_Atomic bool refused;
	_Atomic bool disk_low, disk_critical;

	/* The writer's alone. */
	pthread_t writer;
	struct log_tiles *tree;
	MDB_txn *txn;
	MDB_txn *index_txn; /* of the current batch */
	int64_t last_time_us;
	int64_t disk_checked_us;
	uint64_t disk_written; /* since then */
	uint64_t turn_us, turn_appends; /* what the last commit took, of how many appends */

	pthread_mutex_t queue_lock; /* guards the queue: */
	pthread_cond_t queue_filled;
	pthread_cond_t done; /* an append of eventlog_append_wait() is over */
	struct list queue;
	uint64_t queue_appends, queue_bytes;
	bool closing, stopped; /* stopped: the writer takes no more, ever */
	int stopped_rc;

	pthread_mutex_t state_lock; /* guards what the writer tells the world: */
	pthread_cond_t grown;       /* size, or the index being due; also ends of waits */
	struct merkle_edge edge;    /* of what is durable */
	bool woken;
	char *refusal;
	struct eventlog_stats stats;

	pthread_mutex_t ports_lock; /* guards the list */
	struct list ports;

	pthread_t indexer;
	pthread_mutex_t index_lock; /* guards: */
	pthread_cond_t index_due;
	uint64_t index_target; /* size the indexer knows of */
	int64_t index_since_us; /* since when something waits; 0: nothing does */
	bool index_stop;
	bool threads_run;

	struct eventlog **before; /* the logs that this one succeeds, open for reading */
	unsigned n_before;

	pthread_mutex_t catch_up_lock; /* read-only logs: one at a time extends the tail */
	uint64_t catch_up_position;
};

/* eventlog_open.c */
uint64_t log_monotonic_us(void); /* for spans that wait on the real world; not what events are stamped with */

/* eventlog_open.c: a sentence into options.problem, when it is the first; gives rc back. */
int log_problem(const struct eventlog *log, int rc, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* eventlog_before.c: those of a data directory, as many as there are. */
int eventlog_before_open(struct eventlog *log, const char *dir);
void eventlog_before_close(struct eventlog *log);

/* eventlog_check.c: the checks at start; sets size, tree and last time. */
int eventlog_check(struct eventlog *log);

/* eventlog_disk.c: looks at disk and map; sets disk_low and disk_critical. Writer and indexer. */
void eventlog_disk_check(struct eventlog *log);

/* eventlog_write.c */
void *eventlog_writer(void *log);

/* eventlog_index.c */
void *eventlog_indexer(void *log);
void eventlog_index_tell(struct eventlog *log, uint64_t size);
/*
 * Folds entries into an index up to the log's size, in big batches. Before the
 * threads run, or in a tool. `record` hears of every record, with what the
 * entries say its header should; where it is NULL a difference is ERR_CORRUPT.
 */
struct log_refold {
	void (*progress)(void *arg, uint64_t done, uint64_t total); /* or NULL */
	int (*record)(void *arg, const struct log_record *record, uint16_t type, uint64_t stream, uint32_t version);
	void *arg;
};
int eventlog_index_catch_up(struct eventlog *log, struct log_index *x, const struct log_refold *how);

/* eventlog_open.c: all of opening but index and threads; eventlog_destroy() undoes it. */
int eventlog_open_checked(struct eventlog **ret_log, const struct eventlog_options *options);
void eventlog_destroy(struct eventlog *log);

/* eventlog_port.c: the append is over; its rc and results are set. */
void log_port_post(struct append *append);
void log_ports_flush(struct eventlog *log, bool grown);

/* eventlog_read.c */
int log_record_at(struct eventlog *log, MDB_txn *txn, uint64_t position, struct log_record *ret);
int log_record_check(uint64_t position, MDB_val value, struct log_record *ret);
/* eventlog_size(), or why it cannot be looked up (a log opened for reading); then *ret is what it was last. */
int log_size_now(struct eventlog *log, uint64_t *ret);

/* eventlog_find.c: the number of a stream, durable; ERR_NOT_FOUND. */
int log_stream_number(struct eventlog *log, struct slice stream, uint64_t *ret_number);
/* The writer's look-ups, durable or of this batch, in index_txn. */
int log_find_once(struct eventlog *log, const uint8_t once[ONCE_KEY_LEN], uint64_t *ret_position);
int log_find_claim(struct eventlog *log, struct slice claim, uint64_t *ret_position);
int log_find_stream(struct eventlog *log, struct slice stream, uint64_t *ret_number, uint64_t *ret_version);

/* eventlog_tree.c: the writer's side of the tiles. */
int log_tiles_load(struct eventlog *log, MDB_txn *txn, uint64_t size);
int log_tiles_add(struct eventlog *log, const struct merkle_hash *leaf);
int log_tiles_flush(struct eventlog *log);
int log_tiles_read(struct eventlog *log, MDB_txn *txn, unsigned level, uint64_t number, unsigned first,
    unsigned n, struct merkle_hash *ret);

#endif
