/* See id_set.h. */
#include "store/id_set.h"

#include <stdlib.h>

#include "base/err.h"

static size_t set_slot(const struct id_set *s, const struct id *id)
{
	uint64_t hash;
	size_t i;

	memcpy(&hash, id->bytes + 7, sizeof(hash));
	for (i = (size_t)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (s->cap - 1); s->used[i]; i = (i + 1) & (s->cap - 1))
		if (memcmp(s->ids[i].bytes, id->bytes, ID_LEN) == 0)
			break;
	return i;
}

bool id_set_has(const struct id_set *s, const struct id *id)
{
	return s->n > 0 && s->used[set_slot(s, id)];
}

void id_set_finish(struct id_set *s)
{
	free(s->ids);
	free(s->used);
	*s = (struct id_set){0};
}

int id_set_add(struct id_set *s, const struct id *id)
{
	size_t i;

	if (s->n * 2 >= s->cap) {
		struct id_set bigger = {.cap = s->cap == 0 ? 64 : 2 * s->cap};

		bigger.ids = calloc(bigger.cap, sizeof(*bigger.ids));
		bigger.used = calloc(bigger.cap, sizeof(*bigger.used));
		if (bigger.ids == NULL || bigger.used == NULL) {
			id_set_finish(&bigger);
			return ERR_NOMEM;
		}
		for (i = 0; i < s->cap; i++)
			if (s->used[i])
				id_set_add(&bigger, &s->ids[i]);
		id_set_finish(s);
		*s = bigger;
	}
	i = set_slot(s, id);
	if (!s->used[i]) {
		s->used[i] = true;
		s->ids[i] = *id;
		s->n++;
	}
	return 0;
}
