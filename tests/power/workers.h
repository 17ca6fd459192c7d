/*
 * The worker processes: each holds the disk in memory, steps through the trace, and looks at the states of the prefixes
 * that are its share. One that dies of a state or hangs is a violation; another takes its place.
 */
#ifndef LULAB_TESTS_POWER_WORKERS_H
#define LULAB_TESTS_POWER_WORKERS_H

#include "run.h"

#define JOBS_MAX 64

/* Until all prefixes were looked at, or run->found->stop. Ends the program when a worker fails. */
void workers_run(struct run *run);

#endif
