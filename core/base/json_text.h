/* What the scanner and the reader share about characters; private to core/base/json_*.c. */
#ifndef LULAB_BASE_JSON_TEXT_H
#define LULAB_BASE_JSON_TEXT_H

#include "slice.h"

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
