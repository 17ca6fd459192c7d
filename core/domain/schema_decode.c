/*
 * JSON into a struct, one walk over the scanned text. Our own writer keeps the
 * order of the schema, so the field after the last one is tried first and the
 * usual member costs one comparison.
 */
#include <assert.h>
#include <inttypes.h>

#include "base/codec.h"
#include "base/err.h"
#include "domain/schema_rules.h"

struct decoding {
	struct check check;
	const struct seal_hooks *hooks;
};

static void decode_object(struct decoding *d, const struct schema *s, struct json_value v, const struct place *at,
    void *data);

static const char *const type_words[] = {
	[SCHEMA_TEXT] = "a text",
	[SCHEMA_INT] = "an integer",
	[SCHEMA_REAL] = "a number",
	[SCHEMA_BOOL] = "true or false",
	[SCHEMA_JSON] = "an object",
	[SCHEMA_OBJECT] = "an object",
	[SCHEMA_LIST] = "an array",
};

static void tell_type(struct decoding *d, const struct schema_field *f, const struct place *at)
{
	check_tell(&d->check, at, "type", "must be %s%s", type_words[f->kind],
	    (f->flags & FIELD_TEXT_NUMBER) != 0 ? " or an integer" :
	    (f->flags & FIELD_NUMBER_TEXT) != 0 ? " or its digits as a text" : "");
}

/* ---- scalars -------------------------------------------------------------------- */

static bool all_digits(struct slice number)
{
	for (size_t i = number.len > 0 && number.ptr[0] == '-' ? 1 : 0; i < number.len; i++) {
		if (number.ptr[i] < '0' || number.ptr[i] > '9')
			return false;
	}
	return true;
}

static void decode_text(struct decoding *d, const struct schema_field *f, struct json_value v, const struct place *at,
    struct slice *member)
{
	struct slice text;
	int rc;

	if (v.type == JSON_NUMBER && (f->flags & FIELD_TEXT_NUMBER) != 0 && all_digits(v.text)) {
		*member = v.text;
		return;
	}
	rc = json_string(v, d->check.arena, &text);
	if (rc == ERR_INVALID) {
		tell_type(d, f, at);
		return;
	}
	if (rc != 0) {
		d->check.rc = rc;
		return;
	}
	check_text(&d->check, f, text, at);
	*member = text;
}

static void decode_int(struct decoding *d, const struct schema_field *f, struct json_value v, const struct place *at,
    int64_t *member)
{
	int64_t value;
	int rc;

	if (v.type == JSON_STRING && (f->flags & FIELD_NUMBER_TEXT) != 0) {
		struct slice text = slice_of(v.text.ptr + 1, v.text.len - 2);

		rc = slice_to_i64(text, &value);
		if (rc == ERR_MALFORMED) {
			check_tell(&d->check, at, "pattern", "must be an integer or its digits as a text");
			return;
		}
	} else {
		rc = json_i64(v, &value);
	}
	if (rc == ERR_RANGE) {
		bool negative = v.text.ptr[v.type == JSON_STRING ? 1 : 0] == '-';

		check_tell(&d->check, at, negative ? "minimum" : "maximum", "must fit 64 bits");
	} else if (rc != 0) {
		tell_type(d, f, at);
	} else {
		check_int(&d->check, f, value, at);
		*member = value;
	}
}

static void decode_real(struct decoding *d, const struct schema_field *f, struct json_value v, const struct place *at,
    double *member)
{
	double value;
	int rc = json_double(v, &value);

	if (rc == ERR_RANGE) {
		check_tell(&d->check, at, "maximum", "is too large a number");
	} else if (rc != 0) {
		tell_type(d, f, at);
	} else {
		check_real(&d->check, f, value, at);
		*member = value;
	}
}

/* ---- lists ------------------------------------------------------------------------ */

static bool decode_value(struct decoding *d, const struct schema_field *f, struct json_value v,
    const struct place *at, void *member);

static void decode_list(struct decoding *d, const struct schema_field *f, struct json_value v, const struct place *at,
    struct schema_list *member)
{
	struct json_reader r;
	struct json_value element;
	size_t n = 0;
	char *items;

	json_enter(&r, v);
	while (json_next(&r, NULL, &element))
		n++;
	if (!check_count(&d->check, f, n, at))
		return;
	/* One more than none, so that an empty list is not an absent one. */
	items = arena_calloc(d->check.arena, n == 0 ? 1 : n, f->item_size);
	if (items == NULL) {
		d->check.rc = ERR_NOMEM;
		return;
	}
	json_enter(&r, v);
	for (size_t i = 0; json_next(&r, NULL, &element) && d->check.rc == 0; i++) {
		struct place here = {.up = at, .index = i};

		(void)decode_value(d, f->item, element, &here, items + i * f->item_size);
	}
	member->items = items;
	member->n = n;
}

/* ---- one value -------------------------------------------------------------------- */

/* True when the member holds something afterwards. */
static bool decode_value(struct decoding *d, const struct schema_field *f, struct json_value v,
    const struct place *at, void *member)
{
	static const uint8_t wanted[] = {[SCHEMA_OBJECT] = JSON_OBJECT, [SCHEMA_LIST] = JSON_ARRAY};

	if (v.type == JSON_NULL && (f->flags & FIELD_NULL) != 0)
		return false;
	switch ((enum schema_kind)f->kind) {
	case SCHEMA_TEXT:
		decode_text(d, f, v, at, member);
		break;
	case SCHEMA_INT:
		decode_int(d, f, v, at, member);
		break;
	case SCHEMA_REAL:
		decode_real(d, f, v, at, member);
		break;
	case SCHEMA_BOOL:
		if (v.type == JSON_TRUE || v.type == JSON_FALSE)
			*(bool *)member = v.type == JSON_TRUE;
		else
			tell_type(d, f, at);
		break;
	case SCHEMA_JSON:
		if ((f->flags & FIELD_JSON_OBJECT) != 0 && v.type != JSON_OBJECT)
			tell_type(d, f, at);
		else
			*(struct slice *)member = v.text;
		break;
	case SCHEMA_OBJECT:
	case SCHEMA_LIST:
		if (v.type != wanted[f->kind])
			tell_type(d, f, at);
		else if (f->kind == SCHEMA_OBJECT)
			decode_object(d, f->object, v, at, member);
		else
			decode_list(d, f, v, at, member);
		break;
	}
	return true;
}

/* {"$sealed":"..."} and nothing else. */
static bool is_sealed(struct json_value v, struct slice *ret_text)
{
	struct json_reader r;
	struct json_value inner, more;
	struct slice name;

	if (v.type != JSON_OBJECT)
		return false;
	json_enter(&r, v);
	if (!json_next(&r, &name, &inner) || !slice_is(name, "$sealed") || inner.type != JSON_STRING)
		return false;
	*ret_text = slice_of(inner.text.ptr + 1, inner.text.len - 2);
	return !json_next(&r, &name, &more);
}

/* The clear value behind a sealed one. False: erased, or the run has ended. */
static bool open_sealed(struct decoding *d, const struct schema_field *f, struct slice text, struct json_value *ret)
{
	size_t len = BASE64URL_DECODED_LEN(text.len);
	char *raw = arena_alloc(d->check.arena, len);
	struct slice json;
	int rc = raw == NULL ? ERR_NOMEM : base64url_decode_to(raw, len, text);

	if (rc == 0)
		rc = d->hooks->open(d->hooks->arg, f->path, slice_of(raw, len), d->check.arena, &json);
	if (rc == 0)
		rc = json_scan(json, NULL, NULL);
	if (rc == 0)
		*ret = json_root(json);
	else if (rc != ERR_ERASED)
		d->check.rc = rc;
	return rc == 0;
}

static void decode_member(struct decoding *d, const struct schema_field *f, struct json_value v,
    const struct place *at, void *data)
{
	struct slice sealed;

	if ((f->flags & FIELD_SEALED) != 0 && is_sealed(v, &sealed)) {
		const struct seal_hooks *h = d->hooks;

		if (h == NULL || (h->wants != NULL && !h->wants(h->arg, f)) || !open_sealed(d, f, sealed, &v))
			return;
	}
	if (decode_value(d, f, v, at, field_member(f, data)))
		field_set_has(f, data, true);
}

/* ---- objects ------------------------------------------------------------------------ */

/* Index of the field with this raw name, or n_fields. *hint: where to look first. */
static size_t find_field(const struct schema *s, struct slice raw_name, size_t *hint)
{
	bool plain = raw_name.len == 0 || memchr(raw_name.ptr, '\\', raw_name.len) == NULL;
	size_t i = *hint;

	for (size_t tried = 0; tried < s->n_fields; tried++, i++) {
		const struct schema_field *f;

		if (i >= s->n_fields)
			i = 0;
		f = &s->fields[i];
		if ((f->flags & FIELD_EXTRA) != 0)
			continue;
		if (plain ? slice_eq(f->name, raw_name) : json_name_is(raw_name, f->name)) {
			*hint = i + 1;
			return i;
		}
	}
	return s->n_fields;
}

/* Unknown members of an object, gathered as an object of their own. */
struct extra {
	char *text;
	size_t len;
};

static void extra_add(struct decoding *d, struct extra *e, struct json_value object, struct slice raw_name,
    struct json_value v)
{
	if (e->text == NULL) {
		/* What is gathered was part of the object, so it is no longer than that. */
		e->text = arena_alloc(d->check.arena, object.text.len + 2);
		if (e->text == NULL) {
			d->check.rc = ERR_NOMEM;
			return;
		}
		e->text[e->len++] = '{';
	} else {
		e->text[e->len++] = ',';
	}
	memcpy(e->text + e->len, raw_name.ptr - 1, raw_name.len + 2);
	e->len += raw_name.len + 2;
	e->text[e->len++] = ':';
	memcpy(e->text + e->len, v.text.ptr, v.text.len);
	e->len += v.text.len;
}

static void extra_store(const struct schema *s, struct extra *e, void *data)
{
	if (e->text == NULL)
		return;
	e->text[e->len++] = '}';
	for (size_t i = 0; i < s->n_fields; i++) {
		if ((s->fields[i].flags & FIELD_EXTRA) != 0)
			*(struct slice *)field_member(&s->fields[i], data) = slice_of(e->text, e->len);
	}
}

static void finish_absent(struct decoding *d, const struct schema *s, const uint64_t *seen, const struct place *at,
    void *data)
{
	for (size_t i = 0; i < s->n_fields; i++) {
		const struct schema_field *f = &s->fields[i];
		struct place here = {.up = at, .name = f->name};

		if ((seen[i / 64] >> i % 64 & 1) != 0)
			continue;
		if ((f->flags & FIELD_REQUIRED) != 0)
			check_tell(&d->check, &here, "required", "is required");
		else if ((f->flags & FIELD_DEFAULT) != 0)
			set_text(&d->check, f, slice_str(f->preset), &here, data);
	}
}

static void decode_object(struct decoding *d, const struct schema *s, struct json_value v, const struct place *at,
    void *data)
{
	uint64_t seen[SCHEMA_FIELDS_MAX / 64] = {0};
	struct extra extra = {0};
	struct json_reader r;
	struct json_value member;
	struct slice name;
	size_t hint = 0;

	json_enter(&r, v);
	while (d->check.rc == 0 && json_next(&r, &name, &member)) {
		struct place here = {.up = at, .name = name, .raw = true};
		size_t i = find_field(s, name, &hint);

		if (i < s->n_fields) {
			seen[i / 64] |= UINT64_C(1) << i % 64;
			decode_member(d, &s->fields[i], member, &here, data);
		} else if (s->closed) {
			check_tell(&d->check, &here, "additionalProperties", "is not a member we know");
		} else if (s->has_extra) {
			extra_add(d, &extra, v, name, member);
		}
	}
	extra_store(s, &extra, data);
	finish_absent(d, s, seen, at, data);
}

/* ---- entry points -------------------------------------------------------------------- */

int schema_decode_value(const struct schema *s, struct json_value v, const char *path, const struct seal_hooks *hooks,
    struct arena *arena, void *ret_struct, struct problems *problems)
{
	struct decoding d = {.check = {.arena = arena, .problems = problems}, .hooks = hooks};
	struct place root = {.name = slice_str(path)};

	assert(s->n_fields <= SCHEMA_FIELDS_MAX);
	memset(ret_struct, 0, s->size);
	if (v.type != JSON_OBJECT)
		check_tell(&d.check, &root, "type", "must be an object");
	else
		decode_object(&d, s, v, &root, ret_struct);
	return check_result(&d.check);
}

int schema_decode_sealed(const struct schema *s, struct slice json, const struct seal_hooks *hooks,
    struct arena *arena, void *ret_struct, struct problems *problems)
{
	struct json_error error;
	int rc = json_scan(json, NULL, &error);

	if (rc != 0) {
		memset(ret_struct, 0, s->size);
		if (problems != NULL)
			problems_add(problems, "", "json", "%s at byte %zu", error.reason, error.offset);
		return rc;
	}
	return schema_decode_value(s, json_root(json), "", hooks, arena, ret_struct, problems);
}

int schema_decode(const struct schema *s, struct slice json, struct arena *arena, void *ret_struct,
    struct problems *problems)
{
	return schema_decode_sealed(s, json, NULL, arena, ret_struct, problems);
}
