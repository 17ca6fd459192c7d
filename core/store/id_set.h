/*
 * A set of ids in memory, which only grows. Open addressing: ids are random
 * enough to be their own hash. It locks nothing; whoever has one does.
 */
#ifndef LULAB_STORE_ID_SET_H
#define LULAB_STORE_ID_SET_H

#include "base/id.h"

/* Empty when zeroed. */
struct id_set {
	size_t n;
	/* Private. */
	size_t cap;
	struct id *ids;
	bool *used;
};

bool id_set_has(const struct id_set *s, const struct id *id);
/* Also one that is in it. ERR_NOMEM: the set is as it was. */
int id_set_add(struct id_set *s, const struct id *id);
void id_set_finish(struct id_set *s);

#endif
