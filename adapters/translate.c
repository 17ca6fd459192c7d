/* See translate.h. */
#include "translate.h"

#include "base/err.h"
#include "tencent_wire.h"

#define EXTRA_MAX (1024 * 1024)

static const struct place *place_of(const struct vocabulary *v, unsigned in, struct slice raw_name)
{
	for (size_t i = 0; i < v->n_places; i++)
		if (v->places[i].in == in && raw_name.len >= v->places[i].vendor.len && json_name_is(raw_name, v->places[i].vendor))
			return &v->places[i];
	return NULL;
}

/* --- members of ours ----------------------------------------------------------------- */

void *translate_member(struct translating *t, const struct schema_field *f)
{
	return t->data + f->offset;
}

void translate_present(struct translating *t, const struct schema_field *f)
{
	if (f->has_offset != 0)
		*(bool *)(void *)(t->data + f->has_offset) = true;
}

const struct schema_field *translate_field(struct translating *t, const char *name, enum schema_kind kind)
{
	const struct schema_field *f = name == NULL ? NULL : schema_field_find(t->schema, slice_str(name));

	return f != NULL && f->kind == kind ? f : NULL;
}

void translate_set_text(struct translating *t, const char *name, struct slice value)
{
	const struct schema_field *f = translate_field(t, name, SCHEMA_TEXT);

	if (f != NULL && value.len > 0)
		*(struct slice *)translate_member(t, f) = value;
}

struct slice translate_get_text(struct translating *t, const char *name)
{
	const struct schema_field *f = translate_field(t, name, SCHEMA_TEXT);

	return f == NULL ? (struct slice){0} : *(const struct slice *)translate_member(t, f);
}

bool translate_set_int(struct translating *t, const char *name, int64_t value)
{
	const struct schema_field *f = translate_field(t, name, SCHEMA_INT);

	if (f == NULL)
		return false;
	*(int64_t *)translate_member(t, f) = value;
	translate_present(t, f);
	return true;
}

bool translate_get_int(struct translating *t, const char *name, int64_t *ret)
{
	const struct schema_field *f = translate_field(t, name, SCHEMA_INT);

	if (f == NULL || !schema_field_present(f, t->data))
		return false;
	*ret = *(const int64_t *)translate_member(t, f);
	return true;
}

/* --- forms ---------------------------------------------------------------------------- */

static void keep(struct translating *t, struct slice raw_name, struct json_value v)
{
	struct slice name;

	if (v.type == JSON_NULL)
		return;
	if (!t->has_extra) {
		t->has_extra = true;
		json_begin_object(&t->extra);
	}
	/* The raw name is between quotes in the text: as a string value its escapes are resolved. */
	if (json_string(json_value_of_name(raw_name), t->arena, &name) != 0) {
		t->rc = ERR_NOMEM;
		return;
	}
	json_name_slice(&t->extra, name);
	json_put_raw(&t->extra, v.text);
}

bool translate_text(struct translating *t, struct json_value v, struct slice *ret)
{
	if (v.type == JSON_NUMBER) {
		*ret = v.text;
		return true;
	}
	if (v.type != JSON_STRING)
		return false;
	if (json_string(v, t->arena, ret) != 0)
		t->rc = ERR_NOMEM;
	return t->rc == 0;
}

bool translate_int(struct translating *t, struct json_value v, int64_t *ret)
{
	struct slice text;

	if (v.type == JSON_NUMBER)
		return json_i64(v, ret) == 0;
	return v.type == JSON_STRING && translate_text(t, v, &text) && slice_to_i64(text, ret) == 0;
}

static bool take_text(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = translate_field(t, p->field, SCHEMA_TEXT);
	struct slice text;

	if (f == NULL || !translate_text(t, v, &text))
		return false;
	/* An empty id is none: "sub_meeting_id": "" is how some senders say that there is no occurrence. */
	if (text.len > 0 || (f->flags & FIELD_MIN) == 0)
		*(struct slice *)translate_member(t, f) = text;
	return true;
}

static bool take_int(struct translating *t, const struct place *p, struct json_value v)
{
	int64_t value;

	return translate_int(t, v, &value) && translate_set_int(t, p->field, value);
}

static bool take_time(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = translate_field(t, p->field, SCHEMA_TEXT);
	struct slice text;
	int64_t value;

	if (f == NULL || !translate_int(t, v, &value) || value < 0 || !translate_text(t, v, &text))
		return false;
	*(struct slice *)translate_member(t, f) = text;
	return value == 0 || translate_set_int(t, p->instant, tencent_ms_of(value)); /* 0 is "not set" */
}

/* Decodes with our schema of the member; persons and rooms gather what they do not know themselves. */
static bool take_object(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = translate_field(t, p->field, SCHEMA_OBJECT);
	int rc;

	if (f == NULL || v.type != JSON_OBJECT)
		return false;
	rc = schema_decode_value(f->object, v, "", NULL, t->arena, translate_member(t, f), NULL);
	if (rc == ERR_NOMEM)
		t->rc = rc;
	if (rc != 0) {
		memset(translate_member(t, f), 0, f->object->size);
		return false;
	}
	translate_present(t, f);
	return true;
}

size_t translate_count(struct json_value v)
{
	struct json_reader r;
	size_t n = 0;

	json_enter(&r, v);
	while (json_next(&r, NULL, &v))
		n++;
	return n;
}

static bool take_list(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = translate_field(t, p->field, SCHEMA_LIST);
	struct translate_list list = {0};
	struct json_reader r;
	struct json_value one;

	if (f == NULL || v.type != JSON_ARRAY || f->item->kind != SCHEMA_OBJECT)
		return false;
	list.items = arena_calloc(t->arena, translate_count(v) + 1, f->item_size);
	if (list.items == NULL) {
		t->rc = ERR_NOMEM;
		return false;
	}
	json_enter(&r, v);
	for (; json_next(&r, NULL, &one); list.n++)
		if (one.type != JSON_OBJECT || schema_decode_value(f->item->object, one, "", NULL, t->arena,
		                                   (char *)list.items + list.n * f->item_size, NULL) != 0)
			return false;
	memcpy(translate_member(t, f), &list, sizeof(list));
	return true;
}

/* --- the walk -------------------------------------------------------------------------- */

static bool take(struct translating *t, const struct place *p, struct json_value v)
{
	switch (p->form) {
	case AS_TEXT:
		return take_text(t, p, v);
	case AS_INT:
		return take_int(t, p, v);
	case AS_TIME:
		return take_time(t, p, v);
	case AS_PERSON:
		return take_object(t, p, v);
	case AS_LIST:
		return take_list(t, p, v);
	case AS_OBJECT:
		if (v.type != JSON_OBJECT)
			return false;
		translate_walk(t, p->object, v);
		return true;
	case AS_KNOWN:
		return true;
	case AS_OWN:
		return p->take(t, p, v);
	}
	return false;
}

void translate_walk(struct translating *t, unsigned in, struct json_value v)
{
	const char *under = t->vocabulary->object_names[in];
	struct json_reader r;
	struct slice name;
	struct json_value m;
	bool opened = false;

	json_enter(&r, v);
	while (t->rc == 0 && json_next(&r, &name, &m)) {
		const struct place *p = place_of(t->vocabulary, in, name);

		if (m.type == JSON_NULL || (p != NULL && take(t, p, m)))
			continue;
		if (under != NULL && !opened) {
			if (!t->has_extra)
				json_begin_object(&t->extra);
			t->has_extra = opened = true;
			json_name(&t->extra, under);
			json_begin_object(&t->extra);
		}
		keep(t, name, m);
	}
	if (opened)
		json_end_object(&t->extra);
}

int translate_begin(struct translating *t, const struct vocabulary *vocabulary, const struct event_type_info *type,
    struct arena *a)
{
	*t = (struct translating){.vocabulary = vocabulary, .schema = type->schema, .type = type, .arena = a,
	    .data = arena_alloc(a, type->schema->size), .extra_text = BUF_INIT(EXTRA_MAX)};
	t->extra = JSON_WRITER(&t->extra_text);
	if (t->data == NULL)
		t->rc = ERR_NOMEM;
	return t->rc;
}

/* extra leaves the buffer for the arena. */
static void put_extra(struct translating *t)
{
	const struct schema_field *f = translate_field(t, "extra", SCHEMA_JSON);
	struct slice text;

	if (!t->has_extra || t->rc != 0)
		return;
	json_end_object(&t->extra);
	text = arena_dup(t->arena, buf_slice(&t->extra_text));
	if (t->extra_text.rc != 0 || text.ptr == NULL)
		t->rc = ERR_NOMEM;
	else if (f != NULL)
		*(struct slice *)translate_member(t, f) = text;
}

static const struct event_person *person(struct translating *t, const char *name)
{
	const struct schema_field *f = translate_field(t, name, SCHEMA_OBJECT);

	return f != NULL && schema_field_present(f, t->data) ? translate_member(t, f) : NULL;
}

static struct slice first_file(struct translating *t)
{
	const struct schema_field *f = translate_field(t, "recording_files", SCHEMA_LIST);
	struct translate_list list;

	if (f == NULL)
		return (struct slice){0};
	memcpy(&list, translate_member(t, f), sizeof(list));
	return list.n == 0 ? (struct slice){0} : ((const struct event_recording_file *)list.items)[0].record_file_id;
}

int translate_end(struct translating *t, struct translated *ret)
{
	put_extra(t);
	buf_wipe(&t->extra_text);
	if (t->rc != 0)
		return t->rc;
	*ret = (struct translated){.type = t->type, .data = t->data, .meeting_id = translate_get_text(t, "meeting_id"),
	    .file_id = first_file(t)};
	ret->people[TOLD_OPERATOR] = person(t, "operator");
	ret->people[TOLD_CREATOR] = person(t, "creator");
	ret->people[TOLD_TO_OPERATOR] = person(t, "to_operator");
	return 0;
}

/* --- seals ------------------------------------------------------------------------------ */

static void set_subject(const struct event_subject *from, struct event_subject *to, bool *ret_has)
{
	if (from == NULL)
		return;
	*to = *from;
	*ret_has = true;
}

void translated_seal(struct translated *fact, const struct translated_seals *seals)
{
	struct translating t = {.schema = fact->type->schema, .data = fact->data};
	const struct schema_field *f = translate_field(&t, "subjects", SCHEMA_OBJECT);
	struct event_subjects subjects = {0};

	translate_set_text(&t, "fingerprint", seals->fingerprint);
	set_subject(seals->meeting, &subjects.meeting, &subjects.has_meeting);
	set_subject(seals->people[TOLD_OPERATOR], &subjects.operator, &subjects.has_operator);
	set_subject(seals->people[TOLD_CREATOR], &subjects.creator, &subjects.has_creator);
	set_subject(seals->people[TOLD_TO_OPERATOR], &subjects.to_operator, &subjects.has_to_operator);
	set_subject(seals->raw, &subjects.raw, &subjects.has_raw);
	if (f != NULL) {
		memcpy(translate_member(&t, f), &subjects, sizeof(subjects));
		translate_present(&t, f);
	}
	f = translate_field(&t, "raw", SCHEMA_OBJECT);
	if (f != NULL && seals->raw_blob != NULL) {
		memcpy(translate_member(&t, f), seals->raw_blob, sizeof(*seals->raw_blob));
		translate_present(&t, f);
	}
}
