/*
 * The floor under an effect: what the design demands of one, in the fewest
 * steps. Its attempt is on the disk before the call and its outcome after it, both as a record in a
 * group commit; both change a row that is found by the effect's id. None of what they say, no
 * conditions, no order of keys, no other read model.
 */
#ifndef LULAB_TOOLS_BENCH_EFFECTS_FLOOR_H
#define LULAB_TOOLS_BENCH_EFFECTS_FLOOR_H

#include "bench.h"

struct effects_floor_options {
	uint64_t n;
	unsigned n_threads; /* that make calls */
	unsigned n_ahead;   /* attempts on the disk beside those being made */
	size_t record_len;
	/* As of struct effect; call gives 0 or ERR_*. */
	void *(*thread_open)(void);
	void (*thread_close)(void *thread);
	int (*call)(void *thread, const void *arg);
	const void *arg;
};

/* *ret_us: until the last outcome was on the disk. 0 or ERR_*. */
int effects_floor(const struct bench *b, const struct effects_floor_options *options, int64_t *ret_us);

#endif
