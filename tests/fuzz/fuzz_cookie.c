/*
 * Fuzz entry: bytes as a Cookie header, in which a name is looked for; held against a
 * reading of it one byte at a time.
 */
#include "net/http.h"
#include "fuzz.h"

#define NAME "__Host-t"

/* How often the name is there, and the value of the last. */
static unsigned count(struct slice text, struct slice *ret_value)
{
	unsigned n = 0;
	size_t from = 0;

	for (size_t i = 0; i <= text.len; i++) {
		size_t begin = from, end = i, equals;

		if (i < text.len && text.ptr[i] != ';')
			continue;
		from = i + 1;
		while (begin < end && strchr(" \t\r\n", text.ptr[begin]) != NULL && text.ptr[begin] != '\0')
			begin++;
		while (end > begin && strchr(" \t\r\n", text.ptr[end - 1]) != NULL && text.ptr[end - 1] != '\0')
			end--;
		for (equals = begin; equals < end && text.ptr[equals] != '='; equals++)
			;
		if (equals == end || equals - begin != sizeof(NAME) - 1 || memcmp(text.ptr + begin, NAME, equals - begin) != 0)
			continue;
		n++;
		*ret_value = slice_of(text.ptr + equals + 1, end - equals - 1);
	}
	return n;
}

void fuzz_one(struct slice input)
{
	char *copy = fuzz_copy(input);
	struct slice text = slice_of(copy, input.len), value, expected = {0};
	unsigned n = count(text, &expected);

	if (http_cookie(text, NAME, &value))
		check(n == 1 && slice_eq(value, expected) && inside(value, text));
	else
		check(n != 1 && value.len == 0);
	free(copy);
}
