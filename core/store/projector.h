/*
 * Projectors fold the log into read models: one SQLite file and one thread for
 * each, DATA/read/<name>-<version>.db. The file also holds the position it was
 * read up to, committed with the rows; positions are strictly contiguous.
 *
 * A read model whose definition changed is built beside the file of the old
 * version, which goes on answering; when it has caught up it takes its place.
 * A file that is damaged, or ahead of the log, is set aside (*.bad) and built
 * anew. An event that cannot be applied stops that read model alone, visibly,
 * until a projection.skipped event for it is in the log or the program changes.
 *
 * Nothing in the rows comes from a clock, from chance or from another file:
 * the same log gives the same rows, and projection_digest() shows it.
 */
#ifndef LULAB_STORE_PROJECTOR_H
#define LULAB_STORE_PROJECTOR_H

#include "base/buf.h"
#include "base/clock.h"
#include "crypto/crypto.h"
#include "store/projection.h"

struct eventlog;
struct projector;
struct sealer;

struct projector_options {
	const char *dir;      /* the data directory; `read` is made in it */
	struct eventlog *log; /* outlives the projector */
	struct sealer *sealer; /* opens sealed fields; NULL: they are NULL in the rows, as erased ones are */
	const struct projection *const *models; /* ends with NULL; NULL = projections */
	const struct clock *clock;
	/*
	 * Its threads yield to every other on the machine (thread_yield_to_others): for a server, where somebody
	 * waits for the others. Where the rows themselves are waited for, as in a tool or a test, leave it false:
	 * beside a busy neighbour they may get a tenth of a processor.
	 */
	bool yields;
	unsigned backfill_pages; /* as many in its WAL go into the file of a live model; 0: PROJECTION_WAL_PAGES */
};

/* Opens or makes the files and starts the threads. ERR_IO, ERR_NOMEM, ERR_DENIED. */
int projector_start(struct projector **ret, const struct projector_options *options);

/* Ends the threads after the event at hand; closes the files. Close query pools first. NULL is fine. */
void projector_stop(struct projector *p);

/* A stop is near: ends its threads' work and a projector_renew() under way; what is in the files goes on to answer. Any thread. */
void projector_interrupt(struct projector *p);

enum projection_state {
	PROJECTION_BUILDING, /* never caught up yet; `serving` says whether an older file answers meanwhile */
	PROJECTION_LIVE,
	PROJECTION_STOPPED, /* at an event it cannot apply */
	PROJECTION_FAILED,  /* its file cannot be opened or made; tried again every few seconds */
};
const char *projection_state_name(enum projection_state state); /* "building", "live", ... */

/* How long after it was recorded an event is in the rows of a live read model: bounds of the counts of a histogram. */
#define DELAY_BUCKETS 20
extern const uint32_t delay_bounds_us[DELAY_BUCKETS - 1];

struct projection_status {
	const struct projection *model;
	enum projection_state state;
	uint64_t position; /* events folded so far: the next to be applied */
	uint64_t target;   /* events in the log */
	uint64_t lag;      /* target - position */
	uint64_t serving_position; /* of the file that answers queries */
	uint64_t rows_position;    /* of its newest commit: what was passed over since concerns none of its rows */
	uint64_t generation;       /* changes when another file answers */
	bool serving;              /* there is such a file */
	bool serving_old;          /* and it is one of an older version */
	uint64_t applied;          /* since start */
	uint64_t rebuilds;         /* since start: files set aside or made anew */
	int64_t applied_at_us;     /* wall clock of the newest commit; 0 = none yet */
	/* While live: bucket i counts events up to delay_bounds_us[i], the last one the rest; not cumulative. */
	uint64_t delays[DELAY_BUCKETS], delay_us;
	double rate;               /* events a second while last catching up */
	int err;                   /* why it stopped or failed, else 0 */
	uint64_t err_position;
	char problem[200];         /* the same for people; names file and line, never a value */
};

/* The i-th read model; false past the last. Any thread. */
bool projector_status(struct projector *p, unsigned i, struct projection_status *ret);
/* By name; ERR_NOT_FOUND. */
int projector_status_of(struct projector *p, const char *name, struct projection_status *ret);

/*
 * Where the file of this generation stands, if it is the one that answers for the model. While `rows` is the same
 * whatever it was asked it would say again, and it holds all that concerns it of the events up to `position`.
 * One of options.models itself. For every request: cheap. Any thread.
 */
struct projector_stand {
	uint64_t rows;     /* projection_status.rows_position */
	uint64_t position; /* projection_status.serving_position */
};
bool projector_stand(struct projector *p, const struct projection *model, uint64_t generation, struct projector_stand *ret);

/*
 * Makes every read model anew beside the file that answers, from the log as it can be opened now, and puts it in its
 * place; the old files, also those set aside or of other versions, are taken away with what was in them. For after an erasure: what is
 * deleted from a row stays in the file's unused pages. Blocks for as long as a rebuild takes; meanwhile questions are
 * answered. One caller at a time. ERR_CANCELLED: the projector stops. A model that stopped at an event is made anew by its own
 * thread, and stops there again.
 */
int projector_renew(struct projector *p);

/*
 * Waits until events 0..position are in the rows: 0, ERR_TIMEOUT, ERR_NOT_FOUND
 * (no such read model), ERR_UNAVAILABLE (it stopped before). Not for loops;
 * queries have min_position.
 */
int projector_wait(struct projector *p, const char *name, uint64_t position, int timeout_ms);

/* Somebody waits for rows of a model that are still to come: the next ones are not held back for long. Any thread. */
void projector_hurry(struct projector *p, const struct projection *model);

/* Told on a projector's thread after each commit and each change of state; must be quick. One at a time,
 * and the query pool is that one; NULL ends it. */
typedef void projector_watch_cb(void *arg, const struct projection *model);
void projector_watch(struct projector *p, projector_watch_cb *cb, void *arg);

/* For the query pool: the file that answers for a model and a number that changes with it. ERR_UNAVAILABLE. */
int projector_serving(struct projector *p, const struct projection *model, struct buf *ret_path, uint64_t *ret_generation);

/* ---- without a running projector: tools ---------------------------------- */

/* As far as a file tells; live or stopped directories. target is left 0. ERR_NOT_FOUND when there is no file. */
int projection_inspect(const char *dir, const struct projection *model, struct projection_status *ret);

/* SHA-256 over all rows of all tables in the order of their keys, and the position they stand at, of one moment. */
int projection_digest(const char *path, const struct projection *model, uint8_t ret_digest[SHA256_LEN],
    uint64_t *ret_position);
/* DATA/read/<name>-<version>.db */
int projection_path(struct buf *out, const char *dir, const struct projection *model);

/* Progress of the long ones; returns false to stop them (ERR_CANCELLED). */
typedef bool projection_progress(void *arg, uint64_t done, uint64_t total);

/*
 * Folds the log from 0 up to `until` events (UINT64_MAX = all there are) into a
 * new file at `path`, which must not exist. On ERR_* `problem` says which event
 * and why (may be NULL). options->models is not used.
 */
int projection_build(const struct projector_options *options, const struct projection *model, const char *path,
    uint64_t until, projection_progress *progress, void *arg, struct buf *problem);

/* Makes the file of a stopped directory anew and puts it in its place. */
int projection_rebuild(const struct projector_options *options, const struct projection *model,
    projection_progress *progress, void *arg, struct buf *problem);

struct projection_verdict {
	uint64_t position; /* both stand here */
	uint8_t stored[SHA256_LEN], fresh[SHA256_LEN];
	bool equal;
};
/* Digest of the file against one of a fresh fold up to the same position; live or stopped directories. */
int projection_verify(const struct projector_options *options, const struct projection *model,
    struct projection_verdict *ret, projection_progress *progress, void *arg, struct buf *problem);

#endif
