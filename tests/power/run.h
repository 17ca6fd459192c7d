/*
 * A run of `power`: what is asked for, what was recorded, and what its processes find. The workers are
 * forked when all but `found` and the memos stands.
 */
#ifndef LULAB_TESTS_POWER_RUN_H
#define LULAB_TESTS_POWER_RUN_H

#include <limits.h>

#include "memo.h"
#include "reference.h"

#define NO_NUMBER UINT64_MAX /* a state that was put together */
#define KINDS_MAX 64

/* Violations that differ in numbers only are of one kind; the first one stands for all. */
struct violation_kind {
	char words[640]; /* the reason without its numbers */
	char why[640];
	uint32_t prefix;
	uint64_t number;
	uint64_t after; /* states looked at before */
	uint64_t count;
};

/* Between the processes. */
struct found {
	_Atomic uint64_t states;   /* distinct, and judged */
	_Atomic uint64_t repeated; /* made up again, not looked at */
	_Atomic uint64_t composed; /* of `states`: every part was known */
	_Atomic uint64_t combined, controlled; /* of `states`: put together of known parts; made after all */
	_Atomic uint64_t cores, opened, lost, thorough; /* of the others: what was opened */
	_Atomic uint64_t spare; /* states that earlier prefixes could not use */
	_Atomic uint64_t n_violations;
	_Atomic bool stop;
	_Atomic bool kinds_busy; /* guards these two */
	unsigned n_kinds;
	struct violation_kind kinds[KINDS_MAX];
};

struct run {
	const char *trace;
	uint64_t states, seed;
	uint32_t from, to; /* prefixes */
	unsigned jobs;
	bool stop_at_first;
	char base[PATH_MAX]; /* each process has a directory of its own in it */
	struct reference reference;
	uint64_t weight; /* of all prefixes */
	struct found *found;
	struct memo *seen, *known;
};

/* What is between the processes; as big as what is asked for. */
void run_share(struct run *run, const struct disk *d);
void run_violation(struct run *run, uint32_t prefix, uint64_t number, const char *why);

void run_report_progress(const struct run *run, int64_t took_us);
void run_report(const struct run *run, const struct disk *d, int64_t took_us);

/* Zeroed memory that stays one after a fork, as long as any of the processes lives. Aborts when there is none. */
void *run_shared_memory(size_t len);

#endif
