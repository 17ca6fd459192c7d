/*
 * What a person sees of a verification that a command runs: each finding, how far
 * it is, and that it ends when they interrupt it.
 */
#ifndef LULAB_TOOLS_VERIFY_WATCH_H
#define LULAB_TOOLS_VERIFY_WATCH_H

#include "audit/verify.h"
#include "progress.h"

struct json_writer;

struct verify_watch {
	FILE *out;                    /* one line for each finding; not used with `findings` */
	struct json_writer *findings; /* else NULL: an array that is open, of one object for each */
	/* Private. */
	struct progress progress;
};

/* Puts itself into the options, which are not used after verify_watch_finish(). Progress is told on stderr. */
void verify_watch_start(struct verify_watch *w, struct verify_options *o);
void verify_watch_finish(struct verify_watch *w);

#endif
