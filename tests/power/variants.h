/*
 * Variants of each part after one operation, from states that were found good. As every item of the disk is about one
 * part, any of one with any of another is a state that may be on the disk.
 */
#ifndef LULAB_TESTS_POWER_VARIANTS_H
#define LULAB_TESTS_POWER_VARIANTS_H

#include "parts.h"

#define VARIANTS_MAX 16

/* Begins zeroed; lives as long as its process, prefix after prefix. */
struct variants {
	unsigned n[PARTS_MAX];
	/* Below here: private. */
	size_t n_items;
	struct choice *choices[PARTS_MAX][VARIANTS_MAX];
	uint64_t prints[PARTS_MAX][VARIANTS_MAX];
	unsigned *part_of_item;
};

/* There are none of the disk as it stands. */
void variants_begin(struct variants *v, struct disk *d);
/* Those of a good state, where they are new and there is room. */
void variants_add(struct variants *v, struct prints *parts, const struct choice *choices);

/* How many combinations there are of one of each part. */
uint64_t variants_all(const struct variants *v);
/* Combination `number` of them: which of each part. */
void variants_combine(const struct variants *v, uint64_t number, unsigned ret_which[PARTS_MAX], struct prints *ret);
/* What makes that combination. */
void variants_choose(const struct variants *v, const unsigned which[PARTS_MAX], struct choice *choices);

#endif
