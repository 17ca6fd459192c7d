/*
 * Damage to a file, as bytes a fuzzer can work on: a list of patches
 *
 *     offset (4, little-endian)   length n (1)   n bytes
 *
 * The offset is taken modulo the file's length. A patch of length 0 cuts the
 * file off there.
 */
#ifndef LULAB_TESTS_PATCHES_H
#define LULAB_TESTS_PATCHES_H

#include "base/buf.h"
#include "fuzz.h"

static inline void patches_apply(struct buf *file, struct slice patches)
{
	while (patches.len >= 5 && file->len > 0) {
		const uint8_t *at = (const uint8_t *)patches.ptr;
		size_t offset = (at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16 | (size_t)at[3] << 24) % file->len;
		size_t n = at[4];

		patches = slice_of(patches.ptr + 5, patches.len - 5);
		if (n == 0)
			file->len = offset;
		if (n > patches.len)
			n = patches.len;
		if (n > file->len - offset)
			n = file->len - offset;
		memcpy(file->ptr + offset, patches.ptr, n);
		patches = slice_of(patches.ptr + n, patches.len - n);
	}
}

#endif
