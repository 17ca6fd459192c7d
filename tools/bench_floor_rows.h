/*
 * What the design demands beside a record: that what a webhook tells can be read within 50 ms, by the same processors. For
 * each read model that webhooks of the bench change there is a thread at the low priority of ours, with a file of its own
 * that is set up, and written to the WAL and the disk, as ours is. Once in 20 ms it makes the rows (bench_floor_models.h)
 * of what was stored since, in one transaction with the place it has come to.
 *
 * In it is what there must be to have those rows: the tables and their indexes, the full-text index (by our tokenizer, for
 * it must hold the same words), the transactions, the checkpoints. Not in it: reading the log, opening what is sealed,
 * JSON, the hashes that name rows, triggers, that of two values the newer stays whichever comes first, models that pass
 * over all of this, and readers.
 */
#ifndef LULAB_TOOLS_BENCH_FLOOR_ROWS_H
#define LULAB_TOOLS_BENCH_FLOOR_ROWS_H

#include "base/clock.h"
#include "bench_histogram.h"

struct floor_rows;

struct floor_rows_result {
	uint64_t behind;    /* webhooks of which rows were still to be made */
	const char *latest; /* the read model that was; static */
	/* From stored to committed in that one, of each webhook that it makes rows of. (The server counts from before the log's
	 * commit.) */
	struct bench_histogram delays;
};

/* Files go to `dir`, which must exist. 0, ERR_NOMEM, ERR_IO. */
int floor_rows_open(struct floor_rows **ret, const char *dir, const struct clock *clock);
/* Ends the threads, when they have made all rows, and frees. NULL is fine. */
void floor_rows_close(struct floor_rows *r);

/* The writer's, after the commit, for each record of it: webhook `number` of the bench. Then floor_rows_committed(). */
void floor_rows_tell(struct floor_rows *r, uint64_t number);
void floor_rows_committed(struct floor_rows *r);

/* After the last webhook: sees how things stand, waits for the rest and ends the threads. 0, or why rows are missing. */
int floor_rows_finish(struct floor_rows *r, struct floor_rows_result *ret);

#endif
