/* See variants.h. */
#include "variants.h"

#include <stdlib.h>
#include <string.h>

void variants_begin(struct variants *v, struct disk *d)
{
	const struct item *items;

	memset(v->n, 0, sizeof(v->n));
	v->n_items = disk_items(d, &items);
	v->part_of_item = realloc(v->part_of_item, (v->n_items + 1) * sizeof(*v->part_of_item));
	for (size_t i = 0; i < v->n_items; i++)
		v->part_of_item[i] = part_of(disk_item_name(d, i));
}

void variants_add(struct variants *v, struct prints *parts, const struct choice *choices)
{
	for (unsigned part = 0; part < parts_count(); part++) {
		uint64_t print = *prints_part(parts, part);
		unsigned i = 0;

		while (i < v->n[part] && v->prints[part][i] != print)
			i++;
		if (i < v->n[part] || i == VARIANTS_MAX)
			continue;
		v->prints[part][i] = print;
		v->choices[part][i] = realloc(v->choices[part][i], (v->n_items + 1) * sizeof(*choices));
		memcpy(v->choices[part][i], choices, v->n_items * sizeof(*choices));
		v->n[part]++;
	}
}

uint64_t variants_all(const struct variants *v)
{
	uint64_t all = 1;

	for (unsigned part = 0; part < parts_count(); part++)
		all *= v->n[part];
	return all;
}

void variants_combine(const struct variants *v, uint64_t number, unsigned ret_which[PARTS_MAX], struct prints *ret)
{
	*ret = (struct prints){0};
	for (unsigned part = 0; part < parts_count(); part++) {
		ret_which[part] = (unsigned)(number % v->n[part]);
		number /= v->n[part];
		*prints_part(ret, part) = v->prints[part][ret_which[part]];
	}
}

void variants_choose(const struct variants *v, const unsigned which[PARTS_MAX], struct choice *choices)
{
	for (size_t i = 0; i < v->n_items; i++) {
		unsigned part = v->part_of_item[i];

		choices[i] = v->choices[part][which[part]][i];
	}
}
