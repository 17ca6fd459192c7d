/*
 * The programs that a webhook's path is measured beside. Each runs in turns, in a new directory each time, as other
 * things do in between: on a machine that others use as well, what is measured one after the other was not measured
 * on the same machine.
 */
#ifndef LULAB_TOOLS_BENCH_PROGRAM_H
#define LULAB_TOOLS_BENCH_PROGRAM_H

#include "bench.h"
#include "bench_load.h"

enum program {
	PROGRAM_CEILING, /* bench_ceiling.h */
	PROGRAM_FLOOR,   /* and what the design demands: bench_floor.h */
	PROGRAM_ROWS,    /* and the rows that must follow: bench_floor_rows.h */
};

/* Over all turns. */
struct program_sums {
	struct load_result load;
	uint64_t records, commits;
	/* PROGRAM_ROWS: webhooks whose rows were still to be made when time was up, and how late those of the latest
	 * model of each turn were; `latest` was it at last. */
	uint64_t behind;
	const char *latest;
	struct bench_histogram delays;
};

/* How many loops serve: one for each processor, 8 at most. */
unsigned program_loops(void);

/* One turn of load->seconds; of `load` connections, times and rate matter. 0 or ERR_*. */
int program_turn(struct bench *b, enum program program, const struct load_options *load, struct program_sums *sums);
/* The row of its turns. */
struct bench_row *program_row(struct bench *b, enum program program, const struct load_options *load,
    const struct program_sums *sums);
/* How late rows were (PROGRAM_ROWS). */
struct bench_row *program_delays_row(struct bench *b, const struct program_sums *sums);

#endif
