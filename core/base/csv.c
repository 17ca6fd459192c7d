/* See csv.h. */
#include "base/csv.h"

#include "base/err.h"

static bool at(const struct csv_reader *r, size_t i, char c)
{
	return i < r->rest.len && r->rest.ptr[i] == c;
}

static void pass(struct csv_reader *r, size_t n)
{
	r->rest = slice_of(r->rest.ptr + n, r->rest.len - n);
}

/* How long the end of a line is here; 0: it is none. */
static size_t line_end(const struct csv_reader *r, size_t i)
{
	return at(r, i, '\n') ? 1 : at(r, i, '\r') && at(r, i + 1, '\n') ? 2 : 0;
}

/* Behind the opening quote. */
static int quoted(struct csv_reader *r, struct arena *arena, struct slice *ret)
{
	size_t n = 0, i = 0;
	char *text;

	for (; !at(r, i, '"') || at(r, i + 1, '"'); i++, n++) {
		if (i >= r->rest.len)
			return ERR_MALFORMED;
		r->next_line += at(r, i, '\n');
		i += at(r, i, '"');
	}
	text = arena_alloc(arena, n + 1);
	if (text == NULL)
		return ERR_NOMEM;
	n = 0;
	for (size_t j = 0; j < i; j++) {
		text[n++] = r->rest.ptr[j];
		j += r->rest.ptr[j] == '"';
	}
	pass(r, i + 1);
	*ret = slice_of(text, n);
	return at(r, 0, ',') || r->rest.len == 0 || line_end(r, 0) > 0 ? 0 : ERR_MALFORMED;
}

static int bare(struct csv_reader *r, struct slice *ret)
{
	size_t i = 0;

	for (; i < r->rest.len && !at(r, i, ',') && line_end(r, i) == 0; i++)
		if (at(r, i, '"'))
			return ERR_MALFORMED;
	*ret = slice_of(r->rest.ptr, i);
	pass(r, i);
	return 0;
}

static void skip_to_record(struct csv_reader *r)
{
	size_t n;

	if (!r->begun && slice_starts_with(r->rest, SLICE("\xEF\xBB\xBF")))
		pass(r, 3);
	r->begun = true;
	while ((n = line_end(r, 0)) > 0) {
		pass(r, n);
		r->next_line++;
	}
}

int csv_next(struct csv_reader *r, struct arena *arena, struct slice *ret_fields, size_t fields_max, size_t *ret_n)
{
	size_t n = 0;
	struct slice field;

	skip_to_record(r);
	if (r->rest.len == 0)
		return ERR_END;
	r->line = r->next_line;
	for (;;) {
		int rc;

		if (at(r, 0, '"')) {
			pass(r, 1);
			rc = quoted(r, arena, &field);
		} else {
			rc = bare(r, &field);
		}
		if (rc != 0)
			return rc;
		if (n < fields_max)
			ret_fields[n] = field;
		n++;
		if (!at(r, 0, ','))
			break;
		pass(r, 1);
	}
	pass(r, line_end(r, 0));
	r->next_line++;
	*ret_n = n;
	return n > fields_max ? ERR_TOO_BIG : 0;
}
