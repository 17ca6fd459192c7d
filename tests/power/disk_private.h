/*
 * What is kept of a disk that loses power; private to disk.c, which follows the
 * trace with it, and disk_build.c, which only reads it but for the scratch.
 */
#ifndef LULAB_TESTS_POWER_DISK_PRIVATE_H
#define LULAB_TESTS_POWER_DISK_PRIVATE_H

#include <string.h>

#include "disk.h"

/* Part of a write, within one sector. */
struct piece {
	uint32_t op;
	uint16_t from, len;
	const uint8_t *bytes; /* NULL: zeros */
};

struct sector {
	struct piece *pieces;
	uint32_t n, cap;
	uint32_t durable_op; /* last one in the durable bytes, plus 1 */
};

struct size_change {
	uint32_t op;
	uint64_t size;
};

struct entry {
	const char *name;
	struct file *file;
};

struct file {
	uint32_t number;
	uint64_t ino;
	bool dir, mapped;
	unsigned refs; /* durable names and open changes of names that lead here */
	struct file *parent; /* as the program saw it last, for people */
	const char *name;

	uint8_t *image; /* durable, zeros behind `size` */
	size_t room;
	uint64_t size, live_size;
	struct sector *sectors; /* room / SECTOR_LEN */
	uint32_t *dirty;        /* those with pieces */
	size_t n_dirty, dirty_cap;
	struct size_change *sizes;
	size_t n_sizes, sizes_cap;
	uint64_t print; /* of the durable bytes */

	struct entry *entries; /* durable */
	size_t n_entries, entries_cap;

	size_t first_item; /* while items are good */
};

/* An open change of names in `dir`. */
struct renaming {
	uint32_t op;
	struct file *dir, *what;
	const char *clear, *set; /* either may be NULL */
};

struct syncing {
	uint64_t id;
	struct file *file;
	uint32_t before; /* covers operations before this one */
	uint64_t from, to; /* bytes */
};

struct disk {
	uint8_t *trace;
	size_t trace_len;
	size_t *offsets;
	uint32_t n_ops, at;
	struct file *root;
	struct file **files;
	size_t n_files, files_cap;
	struct file **by_number;
	size_t n_numbers, numbers_cap;
	struct renaming *renamings;
	size_t n_renamings, renamings_cap;
	struct syncing *syncings;
	size_t n_syncings, syncings_cap;
	struct item *items;
	size_t n_items, items_cap;
	bool items_good;
	char **names; /* all that the trace has named */
	size_t n_names, names_cap;
	uint8_t *scratch;
	size_t scratch_room;
};

/* Of a sector whose last change was made by that operation, counted from 1; 0: of none. */
static inline uint64_t sector_print(uint32_t sector, uint32_t op)
{
	return op == 0 ? 0 : mix(sector, op);
}

/* The first `len` bytes of a piece, into the sector's. */
static inline void put_piece(uint8_t *sector, const struct piece *p, unsigned len)
{
	if (p->bytes != NULL)
		memcpy(sector + p->from, p->bytes, len);
	else
		memset(sector + p->from, 0, len);
}

#endif
