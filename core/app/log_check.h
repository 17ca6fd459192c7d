/*
 * The log verifies itself while it is served (integrity.md 10): after the start
 * and at least daily every record, blob, tile and checkpoint is read and hashed
 * again by the auditor's own rules (audit/verify.h), from this process's store.
 *
 * One thread, which yields to the others and reads no faster than it was told;
 * every read transaction is over with the tile it was for.
 *
 * Evidence of change or loss makes the log refuse writing at once, and is kept:
 *
 *     DATA/log.damage    one sentence; the log is read-only as long as it is there
 *
 * so that a restart does not go on as if nothing were known. A later run over the
 * mended log that finds nothing removes the file; the start after that writes again.
 */
#ifndef LULAB_APP_LOG_CHECK_H
#define LULAB_APP_LOG_CHECK_H

#include "audit/verify.h"
#include "base/clock.h"

struct eventlog;
struct log_check;

struct log_check_options {
	struct eventlog *log;
	const char *data_dir;
	const struct clock *clock;
	struct note_key keys[VERIFY_KEYS_MAX]; /* that sign this log's checkpoints; earlier ones are found from them */
	unsigned n_keys;
	unsigned interval_s;    /* from the end of a run to the next */
	uint64_t bytes_per_s;   /* records and blobs; 0 = as fast as the disk gives them */
};

/* The log must stay until log_check_stop(). ERR_NOMEM, ERR_TOO_BIG. */
int log_check_start(struct log_check **ret, const struct log_check_options *options);
/* Ends a run where it is. NULL is fine. */
void log_check_stop(struct log_check *c);

enum log_verdict {
	LOG_UNCHECKED, /* no run has ended yet */
	LOG_GOOD,
	LOG_UNCLEAR,   /* something could not be read; tried again within a minute */
	LOG_BAD,
};

struct log_check_status {
	enum log_verdict verdict; /* of the last run that ended */
	bool running;
	uint64_t done, total;     /* records, of the run at work */
	uint64_t runs[LOG_BAD + 1]; /* that ended, by verdict */
	uint64_t size;            /* records read by the last run */
	int64_t ended_us;         /* wall clock; 0 = never */
	int64_t good_us;          /* the last good one */
	double seconds;           /* it took */
	bool has_bad;
	uint64_t first_bad;       /* lowest index with evidence against it */
	char problem[256];        /* of the last run, or as kept from before the start; "" */
};
void log_check_status(struct log_check *c, struct log_check_status *ret);

/* A log of this process as the verifier reads it; log_check_source.c. */
struct verify_source log_check_source(struct eventlog *log);

#endif
