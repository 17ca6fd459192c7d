/*
 * How far a long job is, on stderr: one line redrawn in place on a terminal
 * (done, share, rate, time left), a plain line now and then elsewhere. Cheap
 * enough to be called for every item.
 */
#ifndef LULAB_TOOLS_PROGRESS_H
#define LULAB_TOOLS_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/clock.h"

struct progress {
	/* Private. */
	FILE *out;
	const struct clock *clock;
	const char *what, *unit;
	uint64_t done, total;
	int64_t started_us, next_us;
	bool terminal, drawn;
};

/*
 * `what` is the work ("verifying"), `unit` what is counted ("events"); total 0
 * when not known beforehand. Texts are borrowed until progress_finish(). Says
 * nothing at all about work that is over within a second.
 */
void progress_start(struct progress *p, FILE *out, const struct clock *clock, const char *what,
    const char *unit, uint64_t total);
void progress_set(struct progress *p, uint64_t done);
/* The closing line with the mean rate, if anything was drawn before. Accepts a zeroed one. */
void progress_finish(struct progress *p);

#endif
