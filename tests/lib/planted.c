/*
 * Which of the planted bugs (core/base/planted.h) this process shows: the one
 * that PLANTED_BUG names, or none. A name that is none ends it, so that a
 * test of a bug cannot pass by running without one.
 */
#include "base/planted.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum planted_bug planted_bug;

static const struct {
	const char *name, *what;
} bugs[] = {
    {"none", "the program as it should be"},
#define PLANTED_ROW(name, what) {#name, what},
    PLANTED_BUGS(PLANTED_ROW)
#undef PLANTED_ROW
};

#define N_BUGS (sizeof(bugs) / sizeof(bugs[0]))

__attribute__((constructor)) static void choose(void)
{
	const char *wanted = getenv("PLANTED_BUG");

	if (wanted == NULL)
		return;
	for (size_t i = 0; i < N_BUGS; i++) {
		if (strcmp(wanted, bugs[i].name) == 0) {
			planted_bug = (enum planted_bug)i;
			return;
		}
	}
	fprintf(stderr, "PLANTED_BUG=%s: there is no such bug; there are\n", wanted);
	for (size_t i = 0; i < N_BUGS; i++)
		fprintf(stderr, "  %-20s %s\n", bugs[i].name, bugs[i].what);
	exit(2);
}
