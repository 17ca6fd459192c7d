/*
 * What the fuzz entries share. An entry is fuzz_x.c, which defines fuzz_one();
 * fuzz_entry.c is what libFuzzer and replay.c call, and measures it.
 */
#ifndef LULAB_TESTS_FUZZ_H
#define LULAB_TESTS_FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/slice.h"

/* One input. Whatever must not be ends in abort(), as a sanitizer's finding does. */
void fuzz_one(struct slice input);

/* Where fuzz_one() puts its input to several things one after the other, each of which a caller would put it to
 * alone: what came since the last call, or the beginning, was one of them, and is measured by itself. */
void fuzz_part_done(void);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the search with this input, and says what did not hold. */
#define check(holds) ((holds) ? (void)0 : check_failed(#holds, __FILE__, __LINE__))

static inline void check_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
	abort();
}

/* part lies within whole. */
static inline bool inside(struct slice part, struct slice whole)
{
	return part.len <= whole.len && part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len;
}

/* A copy of its own size, so that the address sanitizer sees a read of one byte too many. free() it. */
static inline char *fuzz_copy(struct slice bytes)
{
	char *copy = malloc(bytes.len == 0 ? 1 : bytes.len);

	check(copy != NULL);
	if (bytes.len > 0)
		memcpy(copy, bytes.ptr, bytes.len);
	return copy;
}

#endif
