/*
 * An arena: memory that lives exactly as long as a request or an operation.
 * Nothing in it is freed on its own; arena_finish() frees all. Not for threads
 * to share.
 */
#ifndef LULAB_BASE_ARENA_H
#define LULAB_BASE_ARENA_H

#include "slice.h"

struct arena_block;

struct arena {
	struct arena_block *head;
	size_t total; /* bytes handed out and held */
	size_t max;   /* ceiling of total */
};

#define ARENA_INIT(bytes_max) {.max = (bytes_max)}

void arena_finish(struct arena *a);
/* The same, and nothing of what was in it can be found in memory afterwards. */
void arena_wipe(struct arena *a);

/* Forgets everything handed out but keeps one block for the next use. */
void arena_reset(struct arena *a);

/* Aligned for any object, zeroed. NULL when the ceiling or the memory is reached. */
void *arena_alloc(struct arena *a, size_t size);

/* As arena_alloc for n * size, NULL also when the product overflows. */
void *arena_calloc(struct arena *a, size_t n, size_t size);

/* A copy followed by a NUL that is not counted; {NULL,0} on failure (also of an empty slice: ptr is then ""). */
struct slice arena_dup(struct arena *a, struct slice bytes);

/* printf into the arena, NUL-terminated; NULL on failure. */
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
