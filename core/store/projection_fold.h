/*
 * Carrying the log into a file, batch by batch: what a projector's thread and
 * the tools have in common. One thread.
 */
#ifndef LULAB_STORE_PROJECTION_FOLD_H
#define LULAB_STORE_PROJECTION_FOLD_H

#include "store/event_feed.h"
#include "store/projection_file.h"

struct eventlog;

/* Events of one transaction at most. Bigger ones rewrite hot pages less often while catching up, and readers
 * see them later; at the end of the log a batch is whatever has come since, so one event when it is quiet. */
#define FOLD_BATCH 8192
/* Events that are none of a model's business are passed over without a transaction; so many are looked at again, at
 * most, after a crash. */
#define FOLD_UNSAVED_MAX 8192

struct fold {
	struct projection_file *file;
	const struct projection *model;
	struct eventlog *log;
	unsigned batch_max; /* events of one transaction at most; 0: FOLD_BATCH */
	struct sealer *sealer; /* that of the log; what logs before it sealed is opened with its keys */
	struct feed_reader reader;
	int64_t recorded_us[FOLD_BATCH]; /* when each event of the last batch was recorded, wall clock */
	/* After ERR_*: which event, why in words for people (set the buffer before). */
	uint64_t err_position;
	bool log_failed; /* the log could not be read: nothing is wrong with the file */
	struct buf *problem;
	/* Private. */
	uint64_t batch_start; /* a place */
	/* Private: reading a log before. */
	unsigned before; /* its number, 0: none is open */
	struct event_feed *before_feed;
	struct sealer *before_sealer;
	struct feed_reader before_reader;
};

/* Lets go of what it opened itself. A zeroed one is fine. */
void fold_finish(struct fold *f);

/* How many events of the log are in the file: 0 while it reads the logs before. */
uint64_t fold_position(const struct fold *f);
/* The same as the file itself has it: where it stood when rows were last written, or fold_save() was called. */
uint64_t fold_saved(const struct fold *f);

/*
 * Applies events from the file's position up to `until` (a place), the end of the log or
 * FOLD_BATCH of them, in one transaction, or in none when no event of them concerns the model. *ret_applied counts them, and the step from one log to the next. A new
 * file begins with the oldest of the logs before. When an
 * event cannot be applied, those before it are committed and its error is given,
 * unless a projection.skipped event for it is in the log: then it is passed over.
 * ERR_* of the file: nothing was committed, see projection_file_is_lost().
 */
int fold_batch(struct fold *f, uint64_t until, uint64_t *ret_applied);

/* Writes down how far the file was read, when fold_batch() only passed events over since; else does nothing. Errors are the file's. */
int fold_save(struct fold *f);

/* Whether a file can be carried on with this log: 0, ERR_CORRUPT when it is ahead of it or was read from another. */
int fold_check(struct fold *f);

/* Whether errors of fold_batch() tell of one event, rather than of the file or the log. */
bool fold_is_event_error(int err);

#endif
