/*
 * The states after one operation, looked at: those that dice throw are made in a directory in memory and judged,
 * where not every part is known to be good (judge.h); and the parts that were found good are put together in ways that were
 * not thrown. States with the same contents and the same promises are looked at once.
 */
#ifndef LULAB_TESTS_POWER_LOOK_H
#define LULAB_TESTS_POWER_LOOK_H

#include "ground.h"
#include "run.h"
#include "variants.h"

/* Where a process is, for who must tell of which state it died or hangs. */
struct looking_at {
	_Atomic uint32_t prefix; /* 0: between states */
	_Atomic uint64_t number;
	_Atomic int64_t since_us; /* monotonic */
};

struct look {
	struct run *run;
	struct looking_at *at;
	struct disk *disk;
	struct judge *judge;
	struct ground ground;
	/* Below here: look_at_states()'s. */
	struct variants variants;
	struct choice *choices; /* the state at hand */
};

/* Of the disk as it stands, from state `first` on. Ends the process when a state cannot be made. */
void look_at_states(struct look *l, uint64_t first);

#endif
