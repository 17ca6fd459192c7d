/* Comparing, trimming and cutting slices, and the numbers in them. */
#include "base/slice.h"

#include "base/err.h"

static unsigned char lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

bool slice_same_nocase(const char *a, const char *b, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (lower((unsigned char)a[i]) != lower((unsigned char)b[i]))
			return false;
	}
	return true;
}

int slice_cmp(struct slice a, struct slice b)
{
	size_t len = a.len < b.len ? a.len : b.len;
	int cmp = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);

	if (cmp != 0)
		return cmp;
	return (a.len > b.len) - (a.len < b.len);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice slice_trim(struct slice a)
{
	while (a.len > 0 && is_space(a.ptr[0])) {
		a.ptr++;
		a.len--;
	}
	while (a.len > 0 && is_space(a.ptr[a.len - 1]))
		a.len--;
	return a;
}

bool slice_cut(struct slice a, char sep, struct slice *ret_head, struct slice *ret_tail)
{
	const char *at = a.len == 0 ? NULL : memchr(a.ptr, sep, a.len);

	if (at == NULL) {
		*ret_head = a;
		*ret_tail = (struct slice){0};
		return false;
	}
	*ret_head = slice_of(a.ptr, (size_t)(at - a.ptr));
	*ret_tail = slice_of(at + 1, a.len - (size_t)(at - a.ptr) - 1);
	return true;
}

int slice_to_u64(struct slice a, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (a.len == 0)
		return ERR_MALFORMED;
	for (size_t i = 0; i < a.len; i++) {
		if (a.ptr[i] < '0' || a.ptr[i] > '9')
			return ERR_MALFORMED;
	}
	for (size_t i = 0; i < a.len; i++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, (uint64_t)(a.ptr[i] - '0'), &value))
			return ERR_RANGE;
	}
	*ret_value = value;
	return 0;
}

int slice_to_i64(struct slice a, int64_t *ret_value)
{
	bool negative = a.len > 0 && a.ptr[0] == '-';
	uint64_t limit = (uint64_t)INT64_MAX + negative;
	uint64_t value;
	int rc;

	if (negative) {
		a.ptr++;
		a.len--;
	}
	rc = slice_to_u64(a, &value);
	if (rc != 0)
		return rc;
	if (value > limit)
		return ERR_RANGE;
	/* In this order so that INT64_MIN does not overflow on the way. */
	*ret_value = negative && value > 0 ? -(int64_t)(value - 1) - 1 : (int64_t)value;
	return 0;
}
