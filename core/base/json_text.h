/* What the scanner and the reader share about characters; private to core/base/json_*.c. */
#ifndef LULAB_BASE_JSON_TEXT_H
#define LULAB_BASE_JSON_TEXT_H

#include <endian.h>

#include "slice.h"

/*
 * Eight bytes at a time: a word has the first byte lowest, and a test for some
 * kind of byte sets the top bit of each byte of that kind. Borrows run upwards,
 * so a test may also mark bytes behind the first one marked, never before it.
 */
#define JSON_ONES UINT64_C(0x0101010101010101)
#define JSON_TOPS UINT64_C(0x8080808080808080)

static inline uint64_t json_word(const char *at)
{
	uint64_t word;

	memcpy(&word, at, sizeof(word));
	return le64toh(word);
}

/* Which byte is the first one marked; marks is not 0. */
static inline unsigned json_first(uint64_t marks)
{
	return (unsigned)__builtin_ctzll(marks) / 8;
}

/* Quotes and backslashes. */
static inline uint64_t json_mark_ends(uint64_t word)
{
	uint64_t quote = word ^ (JSON_ONES * '"'), backslash = word ^ (JSON_ONES * '\\');

	return (((quote - JSON_ONES) & ~quote) | ((backslash - JSON_ONES) & ~backslash)) & JSON_TOPS;
}

/* Those, controls and what is above ASCII: all that a string does not hold as it is. */
static inline uint64_t json_mark_special(uint64_t word)
{
	uint64_t quote = word ^ (JSON_ONES * '"'), backslash = word ^ (JSON_ONES * '\\');

	return ((word - JSON_ONES * 0x20) | (quote - JSON_ONES) | (backslash - JSON_ONES) | word) & JSON_TOPS;
}

static inline bool json_is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/*
 * Resolves one character or escape at *at of a string the scanner has passed:
 * its 1 to 4 UTF-8 bytes go to ret_bytes, *at moves past it.
 */
size_t json_unescape(const char **at, const char *end, char ret_bytes[4]);

/* Whether two strings between their quotes say the same, escapes resolved. */
bool json_same_text(struct slice a, struct slice b);

#endif
