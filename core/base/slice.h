/*
 * A slice is bytes that somebody else owns: a pointer and a length, not
 * NUL-terminated. It is passed by value and borrowed until the call returns
 * unless a declaration says otherwise. `ptr` may be NULL only when len is 0.
 */
#ifndef LULAB_BASE_SLICE_H
#define LULAB_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *ptr;
	size_t len;
};

/* A slice of a string literal; usable in static initialisers as SLICE_INIT. */
#define SLICE_INIT(literal) {(literal), sizeof(literal) - 1}
#define SLICE(literal) ((struct slice)SLICE_INIT(literal))

/* printf("%.*s", SLICE_ARG(s)) */
#define SLICE_ARG(s) (int)(s).len, (s).ptr

static inline struct slice slice_of(const void *ptr, size_t len)
{
	return (struct slice){(const char *)ptr, len};
}

/* NULL gives the empty slice. */
static inline struct slice slice_str(const char *text)
{
	return (struct slice){text, text == NULL ? 0 : strlen(text)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool slice_is(struct slice a, const char *text)
{
	return slice_eq(a, slice_str(text));
}

static inline bool slice_starts_with(struct slice a, struct slice prefix)
{
	return a.len >= prefix.len && (prefix.len == 0 || memcmp(a.ptr, prefix.ptr, prefix.len) == 0);
}

/* ASCII letters compare equal in either case; other bytes as they are. */
bool slice_same_nocase(const char *a, const char *b, size_t len);
static inline bool slice_eq_nocase(struct slice a, struct slice b)
{
	return a.len == b.len && slice_same_nocase(a.ptr, b.ptr, a.len);
}

/* Bytewise order, a prefix before what it begins: <0, 0, >0. */
int slice_cmp(struct slice a, struct slice b);

/* Without leading and trailing spaces, tabs, CR and LF. */
struct slice slice_trim(struct slice a);

/* Split at the first `sep`: true and both halves when found; else false, *ret_head = a, *ret_tail empty. */
bool slice_cut(struct slice a, char sep, struct slice *ret_head, struct slice *ret_tail);

/* Decimal digits only (signed: one leading '-'), no spaces, whole slice. ERR_MALFORMED or ERR_RANGE. */
int slice_to_u64(struct slice a, uint64_t *ret_value);
int slice_to_i64(struct slice a, int64_t *ret_value);

/* The digits of a number, at the end of ret_text. */
#define U64_TEXT_MAX 20
static inline struct slice u64_format(char ret_text[U64_TEXT_MAX], uint64_t value)
{
	size_t at = U64_TEXT_MAX;

	do {
		ret_text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value > 0);
	return slice_of(ret_text + at, U64_TEXT_MAX - at);
}

#endif
