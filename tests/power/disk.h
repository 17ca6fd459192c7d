/*
 * A disk that loses power: what is surely on it after a prefix of a trace, and
 * what may or may not be.
 *
 * The trace is applied operation by operation. What a sync has covered is
 * durable; the rest are items, and each item may end in one of several ways:
 *
 *     SECTOR  512 bytes of a file: the durable bytes, or those after any of the
 *             writes to it since, in order; or torn, between two of these: the
 *             first bytes of the later one, the rest of the earlier
 *     SIZE    the durable size of a file, or any it has had since
 *     NAME    a name put in or taken from a directory that was not synced
 *             since: done or not; a rename within a directory is one thing
 *
 * All combinations are legal. A state is one choice for every item. A file
 * that was mapped to be written (a lock file, shared memory of SQLite) has no
 * items: it holds noise.
 */
#ifndef LULAB_TESTS_POWER_DISK_H
#define LULAB_TESTS_POWER_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace.h"

#define SECTOR_LEN 512

struct disk;

/* Reads the whole trace. NULL after a message on stderr. */
struct disk *disk_open(const char *trace_path);
void disk_close(struct disk *d);

uint32_t disk_ops(const struct disk *d); /* in the trace */
const struct trace_op *disk_op(const struct disk *d, uint32_t i, const uint8_t **ret_bytes);

/* Applies the next operation; disk_at() of them have been. */
void disk_step(struct disk *d);
/* Until so many have been. */
void disk_step_to(struct disk *d, uint32_t ops);
uint32_t disk_at(const struct disk *d);

/* One of the things still open: 0 .. n_ways is how many of its changes have happened. */
struct item {
	enum { ITEM_SECTOR, ITEM_SIZE, ITEM_NAME } kind;
	uint32_t n_ways;
	uint32_t file; /* number of the file or directory: items of one file are neighbours */
	uint32_t at;   /* sector */
};
/* Good until the next step. */
size_t disk_items(struct disk *d, const struct item **ret_items);
/* Which operation made change number `way` (from 0) of item i. */
uint32_t disk_item_op(struct disk *d, size_t i, uint32_t way);
/* What is being written to, for people: path, from the names as the program saw them. */
const char *disk_file_name(struct disk *d, uint32_t file);

/* DIRECTORY/NAME, without what is above: of a name the one that is put, or else taken. */
const char *disk_item_name(struct disk *d, size_t i);
/* No name of a directory is open: then each item is about one file, and all are independent file by file. */
bool disk_dirs_settled(const struct disk *d);

struct choice {
	uint16_t way;  /* 0 .. n_ways */
	uint16_t torn; /* SECTOR with way < n_ways: so many bytes, from the sector's begin, are of the next change; 0: none */
};

/* Room for a choice for every item, all 0; the caller's to free(). Aborts when there is no memory. */
struct choice *disk_choices(struct disk *d);

/*
 * Makes the state below `dir`, which stands for the watched directory; what else is there is removed. NULL: makes
 * nothing, only tells its print. noise seeds what mapped
 * files hold. *ret_print tells states with different contents apart; each_file, when not NULL, hears of every
 * file and directory with its path below dir and the print of its content, and says true when that is what lies there
 * already. False after a message on stderr.
 */
typedef bool disk_file_fn(void *arg, const char *path, uint64_t print);
bool disk_build(struct disk *d, const struct choice *choices, uint64_t noise, const char *dir, uint64_t *ret_print,
    disk_file_fn *each_file, void *arg);

/* A well mixed 64 bits of two. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = a * UINT64_C(0x9e3779b97f4a7c15) ^ (b + UINT64_C(0x632be59bd9b4e019)) * UINT64_C(0xff51afd7ed558ccd);

	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

static inline uint64_t mix_text(uint64_t seed, const char *text)
{
	for (; *text != '\0'; text++)
		seed = mix(seed, (uint8_t)*text);
	return seed;
}

#endif
