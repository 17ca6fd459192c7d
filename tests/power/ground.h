/*
 * The directory in which one worker makes state after state. What lies there already as it should
 * be is left alone: states in a row are much alike, and most of their bytes are in few files.
 */
#ifndef LULAB_TESTS_POWER_GROUND_H
#define LULAB_TESTS_POWER_GROUND_H

#include "disk.h"
#include "judge.h"

#define PLACES_MAX 128

/* Begin with the directory alone: {.dir = dir}. It need not be there; nobody but these functions and the judge changes it. */
struct ground {
	const char *dir; /* borrowed */
	/* Below here: file by file what lies there. */
	struct place {
		uint64_t path, print; /* hash of the path, print of the content; 0: opened, so anything */
		unsigned part;
		uint64_t built;       /* the last build that put it there */
	} places[PLACES_MAX];
	unsigned n;
	uint64_t builds;
};

/* Makes the state; see disk_build(). False after a message on stderr. */
bool ground_make(struct ground *g, struct disk *d, const struct choice *choices, uint64_t noise);
/* What the judge opened may have changed. */
void ground_opened(struct ground *g, const struct verdict *v);

#endif
