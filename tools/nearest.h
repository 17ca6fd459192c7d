/*
 * "Did you mean": the known name nearest to what was typed, by edit distance
 * or as the start of it. Offer every name there is, then look:
 *
 *     struct nearest n = NEAREST_INIT(typed);
 *
 *     for (...)
 *             nearest_offer(&n, name);
 *     if (n.name != NULL) ...
 */
#ifndef LULAB_TOOLS_NEAREST_H
#define LULAB_TOOLS_NEAREST_H

#include "base/slice.h"

struct nearest {
	struct slice typed;
	const char *name;  /* the best so far; NULL when nothing offered is near */
	unsigned distance; /* private */
};

#define NEAREST_INIT(slice) {.typed = (slice)}

/* `name` is borrowed: it becomes n->name when it is nearer than those before. */
void nearest_offer(struct nearest *n, const char *name);

/* Edits (insert, drop, change, swap neighbours; letters in either case alike) from a to b; UINT32_MAX past 64 bytes. */
unsigned edit_distance(struct slice a, struct slice b);

#endif
