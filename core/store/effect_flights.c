/* See effect_flights.h. */
#include "store/effect_flights.h"

#include <assert.h>
#include <string.h>

/* Ids are hashes: some of their digits are as good as any. */
static unsigned chain_of(const char *id)
{
	uint64_t word;

	memcpy(&word, id, sizeof(word));
	return (unsigned)(word * UINT64_C(0x9e3779b97f4a7c15) >> 52);
}
_Static_assert(FLIGHT_CHAINS == 1 << 12, "what chain_of() leaves");

/* The link that leads to it, or to nothing. */
static unsigned *find(struct flights *f, const char *id)
{
	unsigned *link = &f->chains[chain_of(id)];

	while (*link != 0 && memcmp(f->slots[*link - 1].id, id, ID_TEXT_LEN) != 0)
		link = &f->slots[*link - 1].next;
	return link;
}

void flights_add(struct flights *f, const char id[ID_TEXT_LEN + 1])
{
	unsigned *chain = &f->chains[chain_of(id)], slot = f->unused;

	assert(f->n < FLIGHTS_MAX);
	if (slot != 0)
		f->unused = f->slots[slot - 1].next;
	else
		slot = ++f->n_used;
	f->slots[slot - 1] = (struct flight){.next = *chain};
	memcpy(f->slots[slot - 1].id, id, sizeof(f->slots[slot - 1].id));
	*chain = slot;
	f->n++;
}

bool flights_has(const struct flights *f, const char *id)
{
	return *find((struct flights *)(uintptr_t)f, id) != 0;
}

void flights_end(struct flights *f, const char *id, uint64_t settled)
{
	unsigned slot = *find(f, id);

	if (slot == 0)
		return;
	f->slots[slot - 1].is_back = true;
	f->slots[slot - 1].settled = settled;
}

void flights_forget(struct flights *f, uint64_t position)
{
	for (unsigned c = 0; f->n > 0 && c < FLIGHT_CHAINS; c++) {
		unsigned *link = &f->chains[c];

		while (*link != 0) {
			unsigned slot = *link;
			struct flight *flight = &f->slots[slot - 1];

			if (!flight->is_back || flight->settled >= position) {
				link = &flight->next;
				continue;
			}
			*link = flight->next;
			flight->next = f->unused;
			f->unused = slot;
			f->n--;
		}
	}
}
