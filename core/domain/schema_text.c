/*
 * Values from plain text: query strings, forms, the environment, defaults.
 */
#include <inttypes.h>
#include <limits.h>

#include "base/err.h"
#include "domain/schema_rules.h"

/* ---- numbers with units ------------------------------------------------------------ */

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit byte_units[] = {
	{"", 1}, {"B", 1},
	{"K", 1024}, {"KiB", 1024}, {"kB", 1000},
	{"M", 1024 * 1024}, {"MiB", 1024 * 1024}, {"MB", 1000 * 1000},
	{"G", 1024 * 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}, {"GB", 1000 * 1000 * 1000},
	{"T", INT64_C(1) << 40}, {"TiB", INT64_C(1) << 40}, {"TB", INT64_C(1000000000000)},
	{NULL, 0},
};

/* In milliseconds. */
static const struct unit span_units[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"w", 604800000},
	{NULL, 0},
};

static const struct unit *find_unit(const struct unit *units, struct slice name)
{
	for (; units->name != NULL; units++) {
		if (slice_is(name, units->name))
			return units;
	}
	return NULL;
}

static int scaled(struct slice digits, int64_t factor, int64_t *ret_value)
{
	int64_t value;
	int rc = slice_to_i64(digits, &value);

	if (rc != 0)
		return rc;
	return __builtin_mul_overflow(value, factor, ret_value) ? ERR_RANGE : 0;
}

/* A number and an optional unit; ERR_MALFORMED, ERR_RANGE. */
static int read_int(const struct schema_field *f, struct slice text, int64_t *ret_value)
{
	const struct unit *units = (f->flags & FIELD_BYTES) != 0 ? byte_units : span_units, *unit;
	size_t digits = text.len > 0 && text.ptr[0] == '-' ? 1 : 0;
	bool in_seconds = (f->flags & FIELD_SPAN_S) != 0;
	int rc;

	if ((f->flags & (FIELD_BYTES | FIELD_SPAN_MS | FIELD_SPAN_S)) == 0)
		return slice_to_i64(text, ret_value);
	while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
		digits++;
	if (digits == text.len)
		return slice_to_i64(text, ret_value);
	unit = find_unit(units, slice_trim(slice_of(text.ptr + digits, text.len - digits)));
	if (unit == NULL)
		return ERR_MALFORMED;
	rc = scaled(slice_of(text.ptr, digits), unit->factor, ret_value);
	if (rc == 0 && in_seconds) {
		if (*ret_value % 1000 != 0)
			return ERR_MALFORMED;
		*ret_value /= 1000;
	}
	return rc;
}

static const char *int_words(const struct schema_field *f)
{
	if ((f->flags & FIELD_BYTES) != 0)
		return "a number of bytes such as 4096, 64KiB or 1MiB";
	if ((f->flags & FIELD_SPAN_MS) != 0)
		return "a span such as 500ms, 30s, 15m, 12h or 7d";
	if ((f->flags & FIELD_SPAN_S) != 0)
		return "a span of whole seconds such as 30s, 15m, 12h or 7d";
	return "an integer";
}

static void set_int(struct check *c, const struct schema_field *f, struct slice text, const struct place *at,
    int64_t *member)
{
	int64_t value;
	int rc = read_int(f, text, &value);

	if (rc == ERR_RANGE) {
		bool negative = text.ptr[0] == '-';

		check_tell(c, at, negative ? "minimum" : "maximum", "must fit 64 bits");
	} else if (rc != 0) {
		check_tell(c, at, "type", "must be %s", int_words(f));
	} else {
		check_int(c, f, value, at);
		*member = value;
	}
}

static void set_real(struct check *c, const struct schema_field *f, struct slice text, const struct place *at,
    double *member)
{
	double value;

	/* JSON's form of a number is the one we take everywhere. */
	if (json_scan(text, NULL, NULL) != 0 || json_root(text).type != JSON_NUMBER ||
	    json_double(json_root(text), &value) != 0) {
		check_tell(c, at, "type", "must be a number");
		return;
	}
	check_real(c, f, value, at);
	*member = value;
}

static void set_bool(struct check *c, struct slice text, const struct place *at, bool *member)
{
	if (slice_is(text, "true") || slice_is(text, "1"))
		*member = true;
	else if (slice_is(text, "false") || slice_is(text, "0"))
		*member = false;
	else
		check_tell(c, at, "type", "must be true or false");
}

/* ---- lists -------------------------------------------------------------------------- */

static size_t count_parts(struct slice text)
{
	struct slice head;
	size_t n = 0;

	while (text.len > 0) {
		(void)slice_cut(text, ',', &head, &text);
		n++;
	}
	return n;
}

/* Adds the comma-separated values to what is there. */
static void set_list(struct check *c, const struct schema_field *f, struct slice text, const struct place *at,
    struct schema_list *member)
{
	size_t n = member->n + count_parts(text);
	struct slice head;
	char *items;

	if (!check_count(c, f, n, at))
		return;
	items = arena_calloc(c->arena, n == 0 ? 1 : n, f->item_size);
	if (items == NULL) {
		c->rc = ERR_NOMEM;
		return;
	}
	if (member->n > 0)
		memcpy(items, member->items, member->n * f->item_size);
	for (size_t i = member->n; i < n && c->rc == 0; i++) {
		struct place here = {.up = at, .index = i};

		(void)slice_cut(text, ',', &head, &text);
		set_text(c, f->item, slice_trim(head), &here, items + i * f->item_size);
	}
	member->items = items;
	member->n = n;
}

/* ---- one value ------------------------------------------------------------------------ */

void set_text(struct check *c, const struct schema_field *f, struct slice text, const struct place *at, void *data)
{
	void *member = field_member(f, data);
	struct slice copy;

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_TEXT:
		check_text(c, f, text, at);
		copy = arena_dup(c->arena, text);
		if (copy.ptr == NULL) {
			c->rc = ERR_NOMEM;
			return;
		}
		*(struct slice *)member = copy;
		break;
	case SCHEMA_INT:
		set_int(c, f, text, at, member);
		break;
	case SCHEMA_REAL:
		set_real(c, f, text, at, member);
		break;
	case SCHEMA_BOOL:
		set_bool(c, text, at, member);
		break;
	case SCHEMA_LIST:
		set_list(c, f, text, at, member);
		break;
	case SCHEMA_JSON:
	case SCHEMA_OBJECT:
		check_tell(c, at, "type", "cannot be given as text");
		return;
	}
	field_set_has(f, data, true);
}

int schema_set_text(const struct schema_field *f, struct slice text, const char *label, struct arena *arena,
    void *ret_struct, struct problems *problems)
{
	struct check c = {.arena = arena, .problems = problems};
	struct place root = {.name = slice_str(label)};

	set_text(&c, f, text, &root, ret_struct);
	return check_result(&c);
}

/* ---- pairs ------------------------------------------------------------------------------ */

static const struct schema_field *field_named(const struct schema *s, struct slice name, size_t *ret_index)
{
	for (size_t i = 0; i < s->n_fields; i++) {
		if (slice_eq(s->fields[i].name, name)) {
			*ret_index = i;
			return &s->fields[i];
		}
	}
	return NULL;
}

const struct schema_field *schema_field_find(const struct schema *s, struct slice name)
{
	size_t ignored;

	return field_named(s, name, &ignored);
}

int schema_decode_pairs(const struct schema *s, const struct schema_pair *pairs, size_t n_pairs, struct arena *arena,
    void *ret_struct, struct problems *problems)
{
	uint64_t seen[SCHEMA_FIELDS_MAX / 64] = {0};
	struct check c = {.arena = arena, .problems = problems};

	memset(ret_struct, 0, s->size);
	for (size_t i = 0; i < n_pairs && c.rc == 0; i++) {
		struct place at = {.name = pairs[i].name};
		size_t index = 0;
		const struct schema_field *f = field_named(s, pairs[i].name, &index);
		bool again = f != NULL && (seen[index / 64] >> index % 64 & 1) != 0;

		if (f == NULL) {
			if (s->closed)
				check_tell(&c, &at, "additionalProperties", "is not a parameter we know");
			continue;
		}
		seen[index / 64] |= UINT64_C(1) << index % 64;
		if (again && f->kind != SCHEMA_LIST)
			check_tell(&c, &at, "repeated", "is given more than once");
		else
			set_text(&c, f, pairs[i].value, &at, ret_struct);
	}
	for (size_t i = 0; i < s->n_fields && c.rc == 0; i++) {
		const struct schema_field *f = &s->fields[i];
		struct place at = {.name = f->name};

		if ((seen[i / 64] >> i % 64 & 1) != 0)
			continue;
		if ((f->flags & FIELD_REQUIRED) != 0)
			check_tell(&c, &at, "required", "is required");
		else if ((f->flags & FIELD_DEFAULT) != 0)
			set_text(&c, f, slice_str(f->preset), &at, ret_struct);
	}
	return check_result(&c);
}
