/*
 * Fuzz entry: bytes as a form, the names and values behind the '?' of a target; held against a
 * decoding of it one byte at a time.
 */
#include "base/codec.h"
#include "net/http_parser.h"
#include "fuzz.h"

static int hex(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)((at - digits) % 16);
}

/* One name or value; false: it is none. */
static bool decode(struct slice text, char *out, size_t *ret_len)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] != '%') {
			out[n++] = text.ptr[i] == '+' ? ' ' : text.ptr[i];
			continue;
		}
		if (text.len - i < 3 || hex(text.ptr[i + 1]) < 0 || hex(text.ptr[i + 2]) < 0)
			return false;
		out[n] = (char)(hex(text.ptr[i + 1]) << 4 | hex(text.ptr[i + 2]));
		if (out[n++] == '\0')
			return false;
		i += 2;
	}
	*ret_len = n;
	return utf8_valid(slice_of(out, n));
}

static void check_one(struct slice text, struct slice given, char *scratch)
{
	size_t len = 0;

	check(decode(text, scratch, &len));
	check(given.len == len && (len == 0 || memcmp(given.ptr, scratch, len) == 0));
}

/* All its pairs as they must be; false: one of them is none. */
static bool all_decode(struct slice form, char *scratch)
{
	struct slice pair, name, value;
	size_t len;

	while (form.len > 0) {
		slice_cut(form, '&', &pair, &form);
		slice_cut(pair, '=', &name, &value);
		if (!decode(name, scratch, &len) || !decode(value, scratch, &len))
			return false;
	}
	return true;
}

static void check_taken(const struct http_target *t, struct slice form, char *scratch)
{
	struct slice pair, name, value;
	size_t n = 0;

	while (form.len > 0) {
		slice_cut(form, '&', &pair, &form);
		if (pair.len == 0)
			continue;
		slice_cut(pair, '=', &name, &value);
		check(n < t->n_query);
		check_one(name, t->query[n].name, scratch);
		check_one(value, t->query[n].value, scratch);
		n++;
	}
	check(n == t->n_query && n <= HTTP_QUERY_MAX);
}

static void check_repeats(const struct http_target *t)
{
	struct slice repeated = http_query_repeated(t->query, t->n_query);
	size_t pairs = 0;

	for (size_t i = 0; i < t->n_query; i++)
		for (size_t j = i + 1; j < t->n_query; j++)
			pairs += slice_eq(t->query[i].name, t->query[j].name);
	check((repeated.ptr != NULL) == (pairs > 0));
}

void fuzz_one(struct slice input)
{
	struct arena arena = ARENA_INIT(1 << 20);
	char *copy = malloc(input.len + 2), *scratch = malloc(input.len + 1);
	const char *code = NULL;
	struct http_target t;
	struct slice form;
	bool plain = true;
	int status;

	check(copy != NULL && scratch != NULL);
	memcpy(copy, "/?", 2);
	if (input.len > 0)
		memcpy(copy + 2, input.ptr, input.len);
	form = slice_of(copy + 2, input.len);
	for (size_t i = 0; i < form.len; i++)
		plain = plain && form.ptr[i] > 0x20 && form.ptr[i] < 0x7f && form.ptr[i] != '#';
	status = http_target_parse(&t, slice_of(copy, input.len + 2), SLICE("host"), false, &arena, &code);
	check(status == 0 || code != NULL);
	if (status == 0) {
		check_taken(&t, form, scratch);
		check_repeats(&t);
	} else if (plain && strcmp(code, "bad_query") == 0) {
		check(!all_decode(form, scratch));
	}
	free(scratch);
	free(copy);
	arena_finish(&arena);
}
