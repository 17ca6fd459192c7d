/*
 * The parts of a recorded data directory, which are judged one by one: the log, the index, who the log
 * is, the keyring, each read model. Every file belongs to one of them.
 */
#ifndef LULAB_TESTS_POWER_PARTS_H
#define LULAB_TESTS_POWER_PARTS_H

#include "disk.h"

#define MODELS_MAX 16

enum { PART_LOG, PART_INDEX, PART_SELF, PART_KEYS, PART_MODELS, PARTS_MAX = PART_MODELS + MODELS_MAX };

/* Of the parts of a state; those with the same contents have the same. */
struct prints {
	uint64_t log, index; /* what is in these directories */
	uint64_t self;       /* who the log is: the files of the data directory itself */
	uint64_t keys;       /* the keyring, and the root key */
	uint64_t models[MODELS_MAX]; /* database and -wal */
};

/* Numbers from 0 to below it are parts: PART_*, or PART_MODELS + number of the read model. */
unsigned parts_count(void);

/* Only the last directory in the path counts, and the name in it. */
unsigned part_of(const char *path);

uint64_t *prints_part(struct prints *p, unsigned part);
/* Of the whole, by its parts. */
uint64_t prints_whole(struct prints *p);
/* Of a state of the disk as it stands; nothing is made. */
void prints_of(struct disk *d, const struct choice *choices, struct prints *ret);

#endif
