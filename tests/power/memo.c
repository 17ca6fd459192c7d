/*
 * See memo.h. Open addressing; a place is taken by the key and never given back.
 * The value is written after the key and is one more than what was put, so that whoever finds a key
 * without its value takes it for unknown.
 */
#include "memo.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

struct place {
	_Atomic uint64_t key, value;
};

struct memo {
	uint64_t mask;
	struct place places[];
};

struct memo *memo_create(uint64_t keys)
{
	uint64_t room = 1024;
	struct memo *m;

	while (room < 2 * keys)
		room *= 2;
	m = mmap(NULL, sizeof(*m) + room * sizeof(m->places[0]), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m == MAP_FAILED)
		abort();
	m->mask = room - 1;
	return m;
}

/* The place of the key, made when `ret_made` is given; NULL: not there, or no room. */
static struct place *find(const struct memo *memo, uint64_t key, bool *ret_made)
{
	struct memo *m = (struct memo *)(uintptr_t)memo;

	key |= 1;
	for (uint64_t n = 0, i = (key >> 1) & m->mask; n <= m->mask; n++, i = (i + 1) & m->mask) {
		uint64_t there = atomic_load(&m->places[i].key);

		if (there == 0 && ret_made == NULL)
			return NULL;
		if (there == 0 && atomic_compare_exchange_strong(&m->places[i].key, &there, key)) {
			*ret_made = true;
			return &m->places[i];
		}
		if (there == key)
			return &m->places[i];
	}
	return NULL;
}

void memo_put(struct memo *m, uint64_t key, uint64_t value)
{
	bool made = false;
	struct place *p = find(m, key, &made);

	if (p != NULL)
		atomic_store(&p->value, value + 1);
}

bool memo_get(const struct memo *m, uint64_t key, uint64_t *ret_value)
{
	struct place *p = find(m, key, NULL);
	uint64_t value = p == NULL ? 0 : atomic_load(&p->value);

	*ret_value = value - 1;
	return value != 0;
}

bool memo_is_new(struct memo *m, uint64_t key)
{
	bool made = false;

	return find(m, key, &made) == NULL || made;
}
