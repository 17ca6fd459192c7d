/*
 * Members reached by name, for those who have a schema but not its struct:
 * bindings of read models, copies between like structs, descriptions.
 */
#include <assert.h>

#include "base/err.h"
#include "domain/schema_rules.h"

/* ---- paths --------------------------------------------------------------------- */

int schema_path_find(const struct schema *s, struct slice path, struct schema_path *ret)
{
	struct slice name;
	bool more = true;

	ret->n = 0;
	while (more) {
		const struct schema_field *f;

		more = slice_cut(path, '.', &name, &path);
		if (s == NULL || ret->n == SCHEMA_DEPTH_MAX)
			return ERR_NOT_FOUND;
		f = schema_field_find(s, name);
		if (f == NULL)
			return ERR_NOT_FOUND;
		ret->fields[ret->n++] = f;
		s = f->object;
	}
	return 0;
}

const void *schema_path_get(const struct schema_path *p, const void *data)
{
	for (unsigned i = 0; i < p->n; i++) {
		if (!schema_field_present(p->fields[i], data))
			return NULL;
		data = field_member_const(p->fields[i], data);
	}
	return data;
}

/* ---- copies -------------------------------------------------------------------- */

static size_t kind_size(const struct schema_field *f)
{
	switch ((enum schema_kind)f->kind) {
	case SCHEMA_TEXT:
	case SCHEMA_JSON:
		return sizeof(struct slice);
	case SCHEMA_INT:
		return sizeof(int64_t);
	case SCHEMA_REAL:
		return sizeof(double);
	case SCHEMA_BOOL:
		return sizeof(bool);
	case SCHEMA_LIST:
		return sizeof(struct schema_list);
	case SCHEMA_OBJECT:
		return f->object->size;
	}
	return 0;
}

static bool alike(const struct schema_field *a, const struct schema_field *b)
{
	if (a->kind != b->kind || a->object != b->object)
		return false;
	if (a->kind != SCHEMA_LIST)
		return true;
	return a->item->kind == b->item->kind && a->item->object == b->item->object;
}

void schema_copy(const struct schema *dst_schema, void *dst, const struct schema *src_schema, const void *src)
{
	for (size_t i = 0; i < dst_schema->n_fields; i++) {
		const struct schema_field *to = &dst_schema->fields[i];
		/* Like structs keep their members in like places. */
		const struct schema_field *from = i < src_schema->n_fields ? &src_schema->fields[i] : NULL;

		if (from == NULL || !slice_eq(from->name, to->name))
			from = schema_field_find(src_schema, to->name);
		if (from == NULL || !alike(from, to) || !schema_field_present(from, src))
			continue;
		memcpy(field_member(to, dst), field_member_const(from, src), kind_size(to));
		field_set_has(to, dst, true);
	}
}

/* ---- what a schema does not know ----------------------------------------------------- */

/* Objects are begun late: only when something inside is unknown. */
struct unknown {
	struct json_writer *w;
	struct unknown *up;
	struct slice name; /* member, or empty for the root */
	size_t index;
	bool is_element;
	bool begun;
};

static void unknown_begin(struct unknown *u)
{
	if (u->begun)
		return;
	if (u->up != NULL) {
		char digits[24];
		size_t at = sizeof(digits);
		size_t index = u->index;

		unknown_begin(u->up);
		if (u->is_element) {
			do
				digits[--at] = (char)('0' + index % 10);
			while ((index /= 10) > 0);
			json_name_slice(u->w, slice_of(digits + at, sizeof(digits) - at));
		} else {
			json_name_slice(u->w, u->name);
		}
	}
	json_begin_object(u->w);
	u->begun = true;
}

static void unknown_object(const struct schema *s, struct json_value v, struct unknown *u);

static void unknown_value(const struct schema_field *f, struct json_value v, struct unknown *u)
{
	struct json_value element;
	struct json_reader r;

	if (f->kind == SCHEMA_OBJECT) {
		unknown_object(f->object, v, u);
	} else if (f->kind == SCHEMA_LIST && v.type == JSON_ARRAY) {
		json_enter(&r, v);
		for (size_t i = 0; json_next(&r, NULL, &element); i++) {
			struct unknown inner = {.w = u->w, .up = u, .index = i, .is_element = true};

			unknown_value(f->item, element, &inner);
			if (inner.begun)
				json_end_object(inner.w);
		}
	}
}

static const struct schema_field *field_raw(const struct schema *s, struct slice raw_name)
{
	for (size_t i = 0; i < s->n_fields; i++) {
		if (json_name_is(raw_name, s->fields[i].name) && (s->fields[i].flags & FIELD_EXTRA) == 0)
			return &s->fields[i];
	}
	return NULL;
}

/* A member as it stands, name and value: wrapped so that extra_write() can write it. */
static void unknown_put(struct unknown *u, struct slice raw_name, struct json_value v)
{
	struct buf one = BUF_INIT(raw_name.len + v.text.len + 8);

	(void)buf_append_char(&one, '{');
	(void)buf_append(&one, slice_of(raw_name.ptr - 1, raw_name.len + 2));
	(void)buf_append_char(&one, ':');
	(void)buf_append(&one, v.text);
	if (buf_append_char(&one, '}') != 0 || extra_write(buf_slice(&one), u->w) != 0)
		u->w->out->rc = ERR_NOMEM;
	buf_finish(&one);
}

static void unknown_object(const struct schema *s, struct json_value v, struct unknown *u)
{
	struct json_reader r;
	struct json_value member;
	struct slice name;

	if (v.type != JSON_OBJECT || s->has_extra)
		return;
	json_enter(&r, v);
	while (json_next(&r, &name, &member)) {
		const struct schema_field *f = field_raw(s, name);
		struct unknown inner = {.w = u->w, .up = u};

		if (f == NULL) {
			unknown_begin(u);
			unknown_put(u, name, member);
			continue;
		}
		inner.name = f->name;
		unknown_value(f, member, &inner);
		if (inner.begun)
			json_end_object(u->w);
	}
}

void schema_unknown(const struct schema *s, struct json_value v, struct json_writer *w, bool *ret_any)
{
	struct unknown root = {.w = w};

	unknown_object(s, v, &root);
	if (root.begun)
		json_end_object(w);
	*ret_any = root.begun;
}
