/*
 * One file of one read model, open for writing: its rows, the position they
 * were read up to, and the prepared statements that carry events into them.
 * Used by one thread; the projector's, or a tool's.
 *
 * Beside the tables of the model each file has
 *
 *     projection_state (id 1, model, version, position, last_hash, clean, problem)
 *
 * position is the place of the next event to be applied (eventlog.h: of the logs before, the oldest first, or of the log
 * itself), last_hash the SHA-256 of the entry before it (so that a file cannot be carried on with another log; zeros
 * when there is none), clean is 0
 * while somebody writes, problem says why it does not go on (for tools).
 */
#ifndef LULAB_STORE_PROJECTION_FILE_H
#define LULAB_STORE_PROJECTION_FILE_H

#include "base/buf.h"
#include "crypto/crypto.h"
#include "store/projection.h"

struct fed_event;
struct projection_file;
struct sqlite3;

/*
 * Opens the file or makes it, at position 0. ERR_CORRUPT: not ours, of another
 * version, or it failed quick_check after an unclean stop; set it aside. The
 * path is copied. `problem` gets a sentence for people; may be NULL.
 */
int projection_file_open(struct projection_file **ret, const struct projection *model, const char *path,
    struct buf *problem);

/* Marks it clean, leaves no -wal behind unless somebody reads. NULL is fine. */
void projection_file_close(struct projection_file *f);

/* The place of the next event; inside a transaction after those not yet committed. */
uint64_t projection_file_position(const struct projection_file *f);
/* The same as the file itself has it: behind, while events were passed over outside of a transaction. */
uint64_t projection_file_saved(const struct projection_file *f);
/* Zeros before the first event. */
void projection_file_last_hash(const struct projection_file *f, uint8_t ret[SHA256_LEN]);

int projection_file_begin(struct projection_file *f);
/*
 * Applies the event at projection_file_position(). ERR_INVALID and the codec's errors: this event cannot be applied
 * (or, with rows that are gathered, one before it), the transaction must be rolled back. ERR_CORRUPT, ERR_IO,
 * ERR_DISK_FULL: the file is to be set aside. The same from the commit.
 */
int projection_file_apply(struct projection_file *f, const struct fed_event *event, struct buf *problem);
/* From now on the rows of each event are written with it, so that errors tell which event it was; slower. */
void projection_file_singly(struct projection_file *f, bool singly);
/* Passes over the event there; outside of a transaction the next commit writes that down. */
void projection_file_skip(struct projection_file *f);
/* From the end of one log to the beginning of the next. */
void projection_file_move(struct projection_file *f, uint64_t place);
/* Writes what was gathered, and what the model does at the end of each transaction; before a commit that follows events. */
int projection_file_flush(struct projection_file *f, struct buf *problem);
/* Whether a row was written since the transaction began: as SQLite counts, so one that was written as it was is one. */
bool projection_file_changed(const struct projection_file *f);
int projection_file_commit(struct projection_file *f, const uint8_t last_hash[SHA256_LEN]);
/* Ends a transaction that changed nothing: where it has got to is written down by the next commit. */
void projection_file_pass(struct projection_file *f);
/* Back to where the transaction began. */
void projection_file_rollback(struct projection_file *f);

/*
 * A WAL of so many pages (16 MiB) is written into the file by the commit that makes it so long, which takes long then. After
 * keep_wal() it is not, and the caller sees to it: by projection_backfill() beside, in any other thread, then by
 * projection_file_backfill() for what came meanwhile. Neither has an error: what could not be done is to be done again.
 */
#define PROJECTION_WAL_PAGES 8000
void projection_file_keep_wal(struct projection_file *f);
/* Of the newest commit, without those that projection_file_backfill() has written; 0 before keep_wal(). */
unsigned projection_file_wal_pages(const struct projection_file *f);
void projection_file_backfill(struct projection_file *f);
void projection_backfill(const char *path);

/* Leaves word of why it stopped; the next commit takes it back. */
void projection_file_note(struct projection_file *f, struct slice problem);

/* Whether an error is about the file, not about the event. */
bool projection_file_is_lost(int err);

/* ---- shared with the readers ------------------------------------------------ */

/* ERR_* for a result code of SQLite; 0 for OK, ROW and DONE. */
int projection_sqlite_err(int code);
/* Our functions and tokenizer on a connection. */
int projection_register_functions(struct sqlite3 *db);
/* Opens a connection for one thread (SQLITE_OPEN_READONLY, or READWRITE | CREATE) with our functions and tokenizer.
 * *ret is the caller's to close in any case, for its error message; 0 or an SQLite result code. */
int projection_connect(struct sqlite3 **ret, const char *path, int flags);
/* One that writes the file of a read model, made if need be, and set up for that. *ret as above; 0 or ERR_*, with a
 * sentence in `problem` (may be NULL). */
int projection_connect_writer(struct sqlite3 **ret, const char *path, struct buf *problem);
/* A connection with our functions and tokenizer that never writes and never checkpoints. */
int projection_open_readonly(struct sqlite3 **ret, const char *path);
void projection_close_readonly(struct sqlite3 *db); /* NULL is fine */
/* 0 while it reads the logs before. */
#define PROJECTION_POSITION_SQL "select iif(position >> 48, 0, position) from projection_state where id = 1"
/* Where the file stands in the log, in the read transaction at hand if there is one. ERR_CORRUPT when it is not a read model. */
int projection_read_position(struct sqlite3 *db, uint64_t *ret_position);
/* The place of the next event, as it is. */
int projection_read_place(struct sqlite3 *db, uint64_t *ret_place);
/* Appends why it stopped; false when it did not. */
bool projection_read_problem(struct sqlite3 *db, struct buf *out);

/* Takes a file away, with its -wal and -shm; absent is fine. */
void projection_file_remove(const char *path);

#endif
