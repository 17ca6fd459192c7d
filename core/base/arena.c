/*
 * Arenas: blocks in a list, the newest first and each larger than the one before,
 * so that many small things cost one allocation.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#define BLOCK_LEN_MIN ((size_t)4096)
#define BLOCK_LEN_MAX ((size_t)1 << 20)

struct arena_block {
	struct arena_block *next;
	size_t len, used;
	alignas(max_align_t) char bytes[];
};

void arena_finish(struct arena *a)
{
	while (a->head != NULL) {
		struct arena_block *next = a->head->next;

		free(a->head);
		a->head = next;
	}
	a->total = 0;
}

void arena_wipe(struct arena *a)
{
	for (struct arena_block *block = a->head; block != NULL; block = block->next)
		sodium_memzero(block->bytes, block->len);
	arena_finish(a);
}

void arena_reset(struct arena *a)
{
	struct arena_block *kept = a->head;

	if (kept == NULL)
		return;
	/* The newest is the largest: blocks double. */
	a->head = kept->next;
	arena_finish(a);
	kept->next = NULL;
	kept->used = 0;
	a->head = kept;
	a->total = kept->len;
}

static struct arena_block *add_block(struct arena *a, size_t size)
{
	size_t left = a->max > a->total ? a->max - a->total : 0;
	size_t len = a->head == NULL ? BLOCK_LEN_MIN : a->head->len * 2;
	struct arena_block *block;

	if (size > left)
		return NULL;
	if (len > BLOCK_LEN_MAX)
		len = BLOCK_LEN_MAX;
	if (len < size)
		len = size;
	if (len > left)
		len = left;
	block = malloc(sizeof(*block) + len);
	if (block == NULL)
		return NULL;
	block->len = len;
	block->used = 0;
	block->next = a->head;
	a->head = block;
	a->total += len;
	return block;
}

static void *take(struct arena *a, size_t size)
{
	size_t align = alignof(max_align_t);
	struct arena_block *block = a->head;
	char *ptr;

	if (size == 0)
		size = 1;
	if (block != NULL && block->used <= block->len && block->len - block->used >= size) {
		ptr = block->bytes + block->used;
	} else {
		block = add_block(a, size);
		if (block == NULL)
			return NULL;
		ptr = block->bytes;
	}
	/* Rounding may step past the end; the comparison above allows for it. */
	block->used += (size + align - 1) / align * align;
	return ptr;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *ptr;

	if (size > PTRDIFF_MAX)
		return NULL;
	ptr = take(a, size);
	if (ptr != NULL)
		memset(ptr, 0, size);
	return ptr;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
	size_t product;

	if (__builtin_mul_overflow(n, size, &product))
		return NULL;
	return arena_alloc(a, product);
}

struct slice arena_dup(struct arena *a, struct slice bytes)
{
	char *copy;

	if (bytes.len == 0)
		return (struct slice){"", 0};
	if (bytes.len >= PTRDIFF_MAX)
		return (struct slice){0};
	copy = take(a, bytes.len + 1);
	if (copy == NULL)
		return (struct slice){0};
	memcpy(copy, bytes.ptr, bytes.len);
	copy[bytes.len] = '\0';
	return slice_of(copy, bytes.len);
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	size_t room = a->head == NULL || a->head->used > a->head->len ? 0 : a->head->len - a->head->used;
	char *text = room == 0 ? NULL : a->head->bytes + a->head->used;
	va_list args;
	int len;

	/* Where it fits what is left of the block, once is enough. */
	va_start(args, format);
	len = vsnprintf(text, room, format, args);
	va_end(args);
	if (len < 0)
		return NULL;
	text = take(a, (size_t)len + 1);
	if (text == NULL || (size_t)len < room)
		return text;
	va_start(args, format);
	vsnprintf(text, (size_t)len + 1, format, args);
	va_end(args);
	return text;
}
