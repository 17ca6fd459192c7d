/*
 * The event log: every fact the service knows, in the order it was learned.
 *
 * DATA/log is an LMDB environment that only one thread of one process writes;
 * log_format.h has the layout. A record is a small fixed header and the
 * entry, one CloudEvents object in JSON; its position counts from 0 without
 * gaps and is also its leaf in the Merkle tree, whose tiles are written in the
 * same transaction. DATA/index holds what is looked up by other keys (once,
 * claims, streams, types, subjects); it is a fold of the entries, brought
 * forward by a thread of its own and made again at will.
 *
 * An append is a batch of events that succeed or fail together. Appends of all
 * loops gather in one bounded queue; the writer takes all that wait, checks
 * their conditions in order, commits once and posts the results back. Nothing
 * is told before the commit, and the sync in it, has returned.
 *
 * Memory: slices given are borrowed until the call returns or, for an append,
 * until it is over. Slices got point into the memory map and hold until the
 * next call on the same cursor or read.
 *
 * Errors of an append: ERR_CONFLICT (expect), ERR_TAKEN (a claim), ERR_BUSY
 * (the queue is full or waits too long), ERR_DISK_FULL (reserve reached),
 * ERR_INVALID (the draft is not what the log accepts), ERR_TOO_BIG,
 * ERR_UNAVAILABLE (read-only, closing), ERR_UNKNOWN_OUTCOME (the commit failed:
 * it may or may not be found after the restart).
 */
#ifndef LULAB_STORE_EVENTLOG_H
#define LULAB_STORE_EVENTLOG_H

#include <uv.h>

#include "base/clock.h"
#include "base/list.h"
#include "domain/event_draft.h"
#include "domain/merkle.h"

struct eventlog;
struct log_port;
struct MDB_txn; /* private */
struct MDB_cursor;

/* ---- open and close ---------------------------------------------------- */

struct eventlog_options {
	const char *dir;       /* the data directory; `log` and `index` are made in it */
	const char *index_dir; /* NULL = dir/index */
	const struct clock *clock;
	uint64_t map_bytes; /* address space reserved; 0 = 1 TiB, less where so much cannot be had */

	/* Free bytes that new events must leave: max(reserve_bytes, reserve_percent of the disk).
	 * Both 0 = max(1 GiB, 5 %); reserve_off for tests and tools only. */
	uint64_t reserve_bytes;
	unsigned reserve_percent;
	bool reserve_off;
	/* NULL = statvfs of dir. 0 or ERR_*. Writer thread. */
	int (*disk_space)(void *arg, uint64_t *ret_free_bytes, uint64_t *ret_total_bytes);

	/* 0 = the defaults of integrity.md 11 and 13: 1,024 events and 4 MiB a commit; 4,096 appends
	 * and 64 MiB waiting; the oldest waiting 500 ms. */
	uint32_t commit_events_max, queue_appends_max, queue_wait_ms_max;
	uint64_t commit_bytes_max, queue_bytes_max;
	/* Where appends come several to a commit, the first of the next may wait so long for others (0 = the
	 * 2,000 of integrity.md 11.8). */
	uint32_t gather_us_max;
	/* How many events the index may stand behind before it commits (0 = 32,768) and, at most, how
	 * long (0 = 5,000 ms). What it lacks is in memory, so appends get ERR_BUSY when that gets too
	 * much (0 = 131,072 events). */
	uint32_t index_batch, index_delay_ms, index_lag_max;

	/* The x-id of an event type's name, 0 when unknown; NULL = believe drafts and record headers.
	 * For checking drafts, and wherever an index is made from entries. Any thread. */
	uint16_t (*type_number)(struct slice name);

	/* What the checkpoint signer has on record: a log smaller than that has lost events and is
	 * served read-only. Not signed yet: 0. With a size, also the root it signed. */
	uint64_t signed_size;
	struct merkle_hash signed_root;

	/* There was a log here: one that is missing is lost, and none is made in its place (ERR_NOT_FOUND). */
	bool existed;

	/* The commit failed; the writer has stopped and every waiting append was told. Called once, on
	 * the writer thread. A server ends the process here with its own exit status. */
	void (*on_fatal)(void *arg, int err);
	void *arg; /* of disk_space and on_fatal */

	/* For eventlog_open_readonly(): open the logs before this one, too (below), as eventlog_open() does. */
	bool before;

	/* Gets a sentence for people when opening fails; may be NULL. */
	struct buf *problem;
};

/*
 * Opens the log for this process alone, making it when there is none, and runs
 * the checks of integrity.md 10: last position equals count, the last 65,536
 * leaf hashes, right edge, root at the last note's size. The index is brought
 * forward before this returns. ERR_LOCKED when another process has it,
 * ERR_CORRUPT when a check fails, ERR_VERSION, ERR_DISK_FULL, ERR_IO, ERR_NOMEM.
 *
 * A log that is smaller than what was signed opens, but is read-only: see
 * eventlog_refusal().
 */
int eventlog_open(struct eventlog **ret_log, const struct eventlog_options *options);

/*
 * For tools: reads only, on a live or a stopped directory. Nothing is made or
 * checked. ERR_NOT_FOUND when there is no log. Not in a process that has the
 * same directory open already.
 */
int eventlog_open_readonly(struct eventlog **ret_log, const struct eventlog_options *options);

/*
 * Writes what waits, brings the index forward, joins the threads. Every port,
 * follower and cursor must have been closed. NULL is fine.
 */
void eventlog_close(struct eventlog *log);

/*
 * From now on appends get ERR_UNAVAILABLE; reads go on. `reason` is copied; the
 * first one stays. For those who find out later that events are missing (a
 * witness that saw a longer log).
 */
void eventlog_refuse(struct eventlog *log, const char *reason);
/* Why it is read-only, or NULL when it is not. Valid until the log is closed. */
const char *eventlog_refusal(struct eventlog *log);

/* ---- the logs before ---------------------------------------------------- */

/*
 * A log that succeeds others (store/succession.h) goes on where they ended: what they held under a once key is known,
 * their names are taken, their subjects keep their keys; all that is in its index. What they recorded is read there.
 *
 * Logs before are numbered from 1, the first. The place of their events is n << 48 | position, and stays that whatever
 * succeeds what; the place of the log's own events is their position.
 */
#define LOG_PLACE_BITS 48
#define LOG_PLACE(n, position) ((uint64_t)(n) << LOG_PLACE_BITS | (position))
#define LOG_PLACE_LOG(place) ((unsigned)((place) >> LOG_PLACE_BITS))
#define LOG_PLACE_POSITION(place) ((place) & (((uint64_t)1 << LOG_PLACE_BITS) - 1))

/* How many there are; the greatest number is that of the newest. */
unsigned eventlog_n_before(const struct eventlog *log);
/* Borrowed, open for reading. 0: the log itself; NULL: there is none of that number. */
struct eventlog *eventlog_before(struct eventlog *log, unsigned n);
/* Appends the name that it had, which its seals are bound to. ERR_MALFORMED when its successor does not say it. */
int eventlog_before_origin(struct eventlog *log, unsigned n, struct buf *out);

/* ---- append ------------------------------------------------------------ */

struct append;
typedef void append_cb(struct append *append);

#define APPEND_EVENTS_MAX 1024
#define APPEND_BYTES_MAX (32u << 20) /* entries and blobs of one append */

/* An append in flight. Embed it in whatever waits for it; zero it before use. */
struct append {
	const struct event_draft *events; /* 1..APPEND_EVENTS_MAX; entries are written to (time, sequence) */
	size_t n_events;
	append_cb *cb; /* on the loop of `port`, exactly once, never before eventlog_append() returned */
	struct log_port *port;
	void *arg;           /* the caller's */
	uint64_t *positions; /* NULL, or room for n_events: where each one is, on success */

	/* Results. */
	int rc;
	uint64_t position;       /* on success: of events[0], the first one's place when its once key was known */
	size_t n_appended;       /* events that were new; the others' once keys were known */
	bool duplicate;          /* success, and none was new */
	struct slice claim_taken; /* ERR_TAKEN: which of the draft's claims */
	uint64_t taken_by;        /* and the position that took it */
	uint64_t stream_version;  /* ERR_CONFLICT: where the stream stands */

	/* Below here: the log's. */
	struct list link;
	uint64_t bytes;
	int64_t queued_us;
	struct slice note;
	uint64_t note_size;
	bool done;
};

/*
 * Gives an append to the writer; any thread whose loop has the port. The drafts
 * and the bytes they name stay untouched until the callback. Conditions, for
 * each event in turn, earlier events of the same append counted:
 *
 *   once known already    left out, success; nothing else of it is looked at
 *   expect                else ERR_CONFLICT for the whole append
 *   claims                each free, else ERR_TAKEN for the whole append
 *
 * The entry is checked here, on the caller's thread: envelope, and that it tells
 * what the draft tells. A refusal arrives by the callback too.
 */
void eventlog_append(struct eventlog *log, struct append *append);

/* The same for a thread without a loop: waits, and gives append->rc. port and cb are not used. */
int eventlog_append_wait(struct eventlog *log, struct append *append);

/* ---- ports: the way back to a loop -------------------------------------- */

/* One per loop; holds one uv_async_t. Open and close on the loop's thread. */
int log_port_open(struct log_port **ret_port, struct eventlog *log, uv_loop_t *loop);
/* No append of it in flight, no follower left (asserted). The memory goes with a later turn of the loop. NULL is fine. */
void log_port_close(struct log_port *port);

/* Told on its loop after commits; several commits may be told once. */
struct log_follower;
typedef void log_follower_cb(struct log_follower *follower);
struct log_follower {
	log_follower_cb *cb;
	void *arg; /* the caller's */
	struct list link;
	struct log_port *port;
};
/* Loop thread. Look at the log once after starting: what came before is not told. */
void log_follower_start(struct log_follower *follower, struct log_port *port, log_follower_cb *cb);
void log_follower_stop(struct log_follower *follower); /* fine when not started (zeroed) or in a callback */

/* ---- reading ------------------------------------------------------------ */

struct log_record {
	uint64_t position;
	uint16_t type, flags;
	uint32_t stream_version; /* 1 for the first event of its stream */
	uint64_t stream;         /* number of its stream: the position of the stream's first event */
	int64_t time_us;
	struct slice entry;
};

/* How many events there are; durable ones only. Any thread. */
uint64_t eventlog_size(const struct eventlog *log);

/* A filter; zeroed = everything. Both may be given. */
struct log_filter {
	uint16_t type;
	struct slice stream; /* copied */
};

/*
 * Walks up the log. Its read transaction is renewed after some hundred records
 * or a second, but not while nobody asks: call eventlog_cursor_pause() before
 * waiting for anything. One thread at a time.
 */
struct eventlog_cursor {
	/* Private. */
	struct eventlog *log;
	struct MDB_txn *txn, *index_txn;
	struct MDB_cursor *entries, *index;
	uint64_t next, end, index_end;
	uint64_t stream;
	uint16_t type;
	bool has_stream, stream_known, placed;
	struct slice ahead; /* the record at `next`, when it was got with the one before it */
	unsigned left; /* records until the next look at the clock */
	int64_t since_us;
	uint8_t stream_len;
	char stream_name[STREAM_LEN_MAX];
};

/* From a position on; filter NULL = everything. Takes nothing yet, cannot fail; too long a stream name matches nothing. */
void eventlog_cursor_init(struct eventlog_cursor *c, struct eventlog *log, uint64_t from,
    const struct log_filter *filter);
/* ERR_END at the end of what is durable: ask again later. ERR_BUSY: no reader slot. ERR_CORRUPT, ERR_IO. */
int eventlog_cursor_next(struct eventlog_cursor *c, struct log_record *ret_record);
/* Where the next call would look first. */
uint64_t eventlog_cursor_position(const struct eventlog_cursor *c);
/* Gives the read transaction back until the next call. What was got from it is no longer valid. */
void eventlog_cursor_pause(struct eventlog_cursor *c);
void eventlog_cursor_finish(struct eventlog_cursor *c); /* accepts a zeroed one */

/* One read transaction for a few direct looks; short-lived, one thread. */
struct log_read {
	struct eventlog *log, *before; /* private, all */
	struct MDB_txn *txn, *before_txn;
};
int log_read_start(struct log_read *r, struct eventlog *log); /* ERR_BUSY, ERR_IO */
void log_read_stop(struct log_read *r);                       /* accepts a zeroed one */
/* Takes a place. ERR_NOT_FOUND past the end; ERR_CORRUPT. Valid until log_read_stop(), of a log before until the next call. */
int eventlog_read_one(struct log_read *r, uint64_t place, struct log_record *ret_record);
/* Blob n of an event; ERR_NOT_FOUND. */
int eventlog_blob(struct log_read *r, uint64_t position, uint32_t n, struct slice *ret_bytes);

/* Waits until the log has more than `position` events: 0, ERR_TIMEOUT, ERR_CANCELLED (closing, or eventlog_wake()). */
int eventlog_wait(struct eventlog *log, uint64_t position, int timeout_ms);
/* Ends all present and later waits with ERR_CANCELLED; the first step of a stop. */
void eventlog_wake(struct eventlog *log);

/* ---- looking up; durable events only, any thread, not for loops (may read from the disk) --------- */

/* ERR_NOT_FOUND. */
int eventlog_find_once(struct eventlog *log, const uint8_t once[ONCE_KEY_LEN], uint64_t *ret_position);
/* By which position a unique name is held; ERR_NOT_FOUND when it is free. */
int eventlog_find_claim(struct eventlog *log, struct slice claim, uint64_t *ret_position);
/* Events in the stream; 0 when there is none. */
int eventlog_stream_version(struct eventlog *log, struct slice stream, uint64_t *ret_version);
/*
 * How many events from a position on pass the filter. Everything, one stream or one type from 0 is one
 * look-up and at most the events not indexed yet; any other is walked.
 */
int eventlog_count(struct eventlog *log, const struct log_filter *filter, uint64_t from, uint64_t *ret_n);
/* The subject id last given to this reference; ERR_NOT_FOUND. Sees appends still on their way to disk:
 * a key handed out for a lost event harms nobody, two keys for one person would. */
int eventlog_find_subject(struct eventlog *log, const uint8_t ref[SUBJECT_REF_LEN], struct id *ret_id);

/* ---- the tree and the notes --------------------------------------------- */

/* The stored tiles, for domain/merkle.h; any thread, borrowed from the log. */
struct tile_reader eventlog_tiles(struct eventlog *log);
/* Size and root of what is durable, both of the same moment. */
void eventlog_root(struct eventlog *log, uint64_t *ret_size, struct merkle_hash *ret_root);

/* Keeps a signed note under the size it is for, replacing one that is there (cosignatures added). Waits for the commit. */
int eventlog_put_note(struct eventlog *log, uint64_t size, struct slice note);
/* The note with the smallest size >= from, appended to ret_note; ERR_NOT_FOUND past the last. */
int eventlog_next_note(struct eventlog *log, uint64_t from, uint64_t *ret_size, struct buf *ret_note);
/* The one with the greatest size; ERR_NOT_FOUND when there is none. */
int eventlog_last_note(struct eventlog *log, uint64_t *ret_size, struct buf *ret_note);

/* ---- copying ------------------------------------------------------------ */

/*
 * A consistent copy of the log's environment into a directory that exists and is empty,
 * while it is written; not synced. Also for a log opened for reading. ERR_DISK_FULL, ERR_EXISTS, ERR_IO.
 */
int eventlog_copy(struct eventlog *log, const char *dir);

/* ---- upkeep ------------------------------------------------------------- */

/* Counts of a histogram: bucket i counts values <= bounds[i], the last one the rest; not cumulative. */
#define LOG_BUCKETS 12
extern const uint32_t log_bounds_us[LOG_BUCKETS - 1];     /* commit time, from begin to synced */
extern const uint32_t log_bounds_events[LOG_BUCKETS - 1]; /* events in a commit */

struct log_histogram {
	uint64_t counts[LOG_BUCKETS];
	uint64_t n, sum;
};

struct eventlog_stats {
	uint64_t size;
	int64_t last_time_us; /* of the newest event; 0 when empty */
	uint64_t commits, appended, bytes; /* since open; bytes of entries and blobs */
	uint64_t duplicates, conflicts, taken, refused_busy, refused_disk, refused_invalid;
	struct log_histogram commit_us, commit_events;
	uint64_t queue_appends, queue_bytes;
	int64_t queue_oldest_ms;
	uint64_t index_position, index_commits, index_us; /* index_us: time spent in its commits */
	uint64_t tail_bytes; /* memory of the table of what is not indexed yet */
	uint64_t map_bytes, map_used_bytes, index_used_bytes;
	uint64_t disk_free_bytes, disk_total_bytes, disk_reserve_bytes;
	bool disk_low;  /* new events are refused */
	bool read_only;
	unsigned readers, readers_max;
};
void eventlog_stats(struct eventlog *log, struct eventlog_stats *ret_stats);

/*
 * Makes every index again from the entries alone, in a new environment beside
 * the old one, and compares the two; then the new one takes its place. Also
 * checks the header in front of every entry and puts wrong ones right. The log must
 * not be open in this process, nor for writing in another: ERR_LOCKED.
 * ERR_CORRUPT when an entry cannot be read; options->problem then says which.
 */
struct reindex_report {
	uint64_t size;
	uint64_t once, claims, streams, types, subjects; /* keys in the new index */
	bool had_old;          /* there was an index that could be opened, of this log */
	uint64_t old_position; /* how far it had come; the rest was added from the entries before comparing */
	uint64_t differences;  /* keys missing, surplus or different in it */
	uint64_t headers;      /* records whose header did not fit the entry */
	char first[160];       /* the first difference, for people; "" */
};
/* progress may be NULL. */
int eventlog_reindex(const struct eventlog_options *options, struct reindex_report *ret_report,
    void (*progress)(void *arg, uint64_t done, uint64_t total), void *progress_arg);

#endif
