/*
 * Which of the states after a prefix are looked at.
 *
 * Where they are few, all of them; else a sample that is biased to what goes
 * wrong: nothing of what is open has happened, all has; one thing alone is
 * missing, or there; everything up to some moment; whole files; each thing by
 * a throw of dice, loaded either way; and sectors torn.
 *
 * A state is named PREFIX.NUMBER: with the seed that is all it takes to make
 * it again.
 */
#ifndef LULAB_TESTS_POWER_STATES_H
#define LULAB_TESTS_POWER_STATES_H

#include "disk.h"

/* How many combinations there are without torn sectors; UINT64_MAX when too many to count. */
uint64_t states_all(const struct item *items, size_t n);

/* Numbers of two states there always are: nothing of what is open has happened, all has. */
enum { STATE_NOTHING, STATE_ALL };

/* State `number` of the disk as it stands: one of all while there are such, and all are few. choices has room for all items. */
void states_choose(struct disk *d, uint64_t seed, uint64_t number, struct choice *choices);

/* Each decision that is not "as the program did it", a line each, for people. */
void states_describe(struct disk *d, const struct choice *choices);

/* How much a prefix that ends with this operation deserves to be looked at. */
unsigned states_weight(const struct trace_op *op);
/* And all together that end with operation `from`, counted from 0, or later. */
uint64_t states_weight_from(const struct disk *d, uint32_t from);

#endif
