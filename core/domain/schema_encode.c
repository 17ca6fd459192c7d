/*
 * A struct into JSON, and the check of a struct that did not come out of JSON.
 */
#include <assert.h>

#include "base/codec.h"
#include "base/err.h"
#include "domain/schema_rules.h"

/* One member before and after sealing; the entry it goes into ends at 64 KiB. */
#define PLAIN_MAX (64u * 1024)
#define PLAIN_USUAL 1000 /* most are shorter and then written without growing the buffer */

bool schema_field_present(const struct schema_field *f, const void *data)
{
	const void *member = field_member_const(f, data);

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_TEXT:
	case SCHEMA_JSON:
		return ((const struct slice *)member)->ptr != NULL;
	case SCHEMA_LIST:
		return ((const struct schema_list *)member)->items != NULL;
	case SCHEMA_INT:
	case SCHEMA_REAL:
	case SCHEMA_BOOL:
	case SCHEMA_OBJECT:
		return f->has_offset == 0 || *(const bool *)((const char *)data + f->has_offset);
	}
	return false;
}

/* ---- writing -------------------------------------------------------------------- */

struct encoding {
	const struct seal_hooks *hooks;
	struct buf plain, sealed; /* of the member being sealed */
};

static int encode_object(struct encoding *e, const struct schema *s, const void *data, struct json_writer *w);

static int encode_list(struct encoding *e, const struct schema_field *f, const struct schema_list *list,
    struct json_writer *w);

static int encode_value(struct encoding *e, const struct schema_field *f, const void *member, struct json_writer *w)
{
	switch ((enum schema_kind)f->kind) {
	case SCHEMA_TEXT:
		json_put_string(w, *(const struct slice *)member);
		break;
	case SCHEMA_INT:
		json_put_i64(w, *(const int64_t *)member);
		break;
	case SCHEMA_REAL:
		json_put_double(w, *(const double *)member);
		break;
	case SCHEMA_BOOL:
		json_put_bool(w, *(const bool *)member);
		break;
	case SCHEMA_JSON:
		json_put_raw(w, *(const struct slice *)member);
		break;
	case SCHEMA_OBJECT:
		return encode_object(e, f->object, member, w);
	case SCHEMA_LIST:
		return encode_list(e, f, member, w);
	}
	return w->out->rc;
}

static int encode_list(struct encoding *e, const struct schema_field *f, const struct schema_list *list,
    struct json_writer *w)
{
	int rc = 0;

	json_begin_array(w);
	for (size_t i = 0; i < list->n && rc == 0; i++)
		rc = encode_value(e, f->item, (const char *)list->items + i * f->item_size, w);
	if (rc != 0)
		return rc;
	json_end_array(w);
	return w->out->rc;
}

static int encode_sealed(struct encoding *e, const struct schema_field *f, const void *member, struct json_writer *w)
{
	struct json_writer inner = JSON_WRITER(&e->plain);
	struct encoding clear = {0};
	int rc;

	buf_clear(&e->plain);
	buf_clear(&e->sealed);
	(void)buf_reserve(&e->plain, PLAIN_USUAL);
	(void)buf_reserve(&e->sealed, PLAIN_USUAL);
	/* Sealed as a whole: nothing inside is sealed once more. */
	rc = encode_value(&clear, f, member, &inner);
	if (rc == 0)
		rc = e->hooks->seal(e->hooks->arg, f->path, f->subject, buf_slice(&e->plain), &e->sealed);
	if (rc != 0)
		return rc;
	json_put_raw(w, SLICE("{\"$sealed\":\""));
	(void)base64url_encode(w->out, buf_slice(&e->sealed));
	return buf_append(w->out, SLICE("\"}"));
}

/* A raw member name is the inside of a string: give it its quotes back to resolve it. */
static int extra_write(struct slice extra, struct json_writer *w)
{
	struct arena scratch = ARENA_INIT(PLAIN_MAX);
	struct json_reader r;
	struct json_value v;
	struct slice raw_name, name;
	int rc = 0;

	json_enter(&r, json_root(extra));
	while (rc == 0 && json_next(&r, &raw_name, &v)) {
		rc = json_string(json_value_of_name(raw_name), &scratch, &name);
		if (rc != 0)
			break;
		json_name_slice(w, name);
		json_put_raw(w, v.text);
	}
	arena_finish(&scratch);
	return rc;
}

static int encode_member(struct encoding *e, const struct schema_field *f, const void *data, struct json_writer *w)
{
	const void *member = field_member_const(f, data);

	if ((f->flags & FIELD_EXTRA) != 0)
		return extra_write(*(const struct slice *)member, w);
	json_name_slice(w, f->name);
	if (e->hooks != NULL && (f->flags & FIELD_SEALED) != 0)
		return encode_sealed(e, f, member, w);
	return encode_value(e, f, member, w);
}

static int encode_object(struct encoding *e, const struct schema *s, const void *data, struct json_writer *w)
{
	int rc = 0;

	json_begin_object(w);
	for (size_t i = 0; i < s->n_fields && rc == 0; i++) {
		if (schema_field_present(&s->fields[i], data))
			rc = encode_member(e, &s->fields[i], data, w);
	}
	if (rc != 0)
		return rc; /* what was begun stays open: the text is of no use */
	json_end_object(w);
	return w->out->rc;
}

int schema_encode(const struct schema *s, const void *data, const struct seal_hooks *hooks, struct json_writer *w)
{
	struct encoding e = {.hooks = s->any_sealed ? hooks : NULL, .plain = BUF_INIT(PLAIN_MAX),
	    .sealed = BUF_INIT(PLAIN_MAX)};
	int rc = encode_object(&e, s, data, w);

	buf_wipe(&e.plain);
	buf_finish(&e.sealed);
	return rc;
}

int schema_encode_field(const struct schema_field *f, const void *member, struct json_writer *w)
{
	struct encoding e = {0};

	return encode_value(&e, f, member, w);
}

/* ---- checking -------------------------------------------------------------------- */

static void check_object(struct check *c, const struct schema *s, const void *data, const struct place *at);

static void check_json(struct check *c, const struct schema_field *f, struct slice json, const struct place *at)
{
	struct json_error error;

	if (json_scan(json, NULL, &error) != 0)
		check_tell(c, at, "json", "%s at byte %zu", error.reason, error.offset);
	else if ((f->flags & FIELD_JSON_OBJECT) != 0 && json_root(json).type != JSON_OBJECT)
		check_tell(c, at, "type", "must be an object");
}

static void check_value(struct check *c, const struct schema_field *f, const void *member, const struct place *at)
{
	const struct schema_list *list = member;

	switch ((enum schema_kind)f->kind) {
	case SCHEMA_TEXT:
		check_text(c, f, *(const struct slice *)member, at);
		break;
	case SCHEMA_INT:
		check_int(c, f, *(const int64_t *)member, at);
		break;
	case SCHEMA_REAL:
		check_real(c, f, *(const double *)member, at);
		break;
	case SCHEMA_BOOL:
		break;
	case SCHEMA_JSON:
		check_json(c, f, *(const struct slice *)member, at);
		break;
	case SCHEMA_OBJECT:
		check_object(c, f->object, member, at);
		break;
	case SCHEMA_LIST:
		(void)check_count(c, f, list->n, at);
		for (size_t i = 0; i < list->n; i++) {
			struct place here = {.up = at, .index = i};

			check_value(c, f->item, (const char *)list->items + i * f->item_size, &here);
		}
		break;
	}
}

static void check_object(struct check *c, const struct schema *s, const void *data, const struct place *at)
{
	for (size_t i = 0; i < s->n_fields; i++) {
		const struct schema_field *f = &s->fields[i];
		struct place here = {.up = at, .name = f->name};

		if (schema_field_present(f, data))
			check_value(c, f, field_member_const(f, data), &here);
		else if ((f->flags & FIELD_REQUIRED) != 0)
			check_tell(c, &here, "required", "is required");
	}
}

int schema_check(const struct schema *s, const void *data, struct problems *problems, struct arena *arena)
{
	struct check c = {.arena = arena, .problems = problems};
	struct place root = {0};

	check_object(&c, s, data, &root);
	return check_result(&c);
}
