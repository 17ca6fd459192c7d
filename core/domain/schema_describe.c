/* A schema as JSON Schema, for OpenAPI and for whoever asks what a body looks like. */
#include "base/err.h"
#include "domain/schema_rules.h"

static const char *const type_names[] = {
	[SCHEMA_TEXT] = "string",
	[SCHEMA_INT] = "integer",
	[SCHEMA_REAL] = "number",
	[SCHEMA_BOOL] = "boolean",
	[SCHEMA_JSON] = "object",
	[SCHEMA_OBJECT] = "object",
	[SCHEMA_LIST] = "array",
};

static const char *const format_names[] = {
	[FORMAT_NONE] = NULL,
	[FORMAT_DATE_TIME] = "date-time",
	[FORMAT_DATE] = "date",
	[FORMAT_DATE_OR_TIME] = NULL,
	[FORMAT_BASE64URL] = NULL,
	[FORMAT_JSON] = NULL,
};

static void describe_type(const struct schema_field *f, struct json_writer *w)
{
	const char *other = (f->flags & FIELD_TEXT_NUMBER) != 0 ? "integer" :
	    (f->flags & FIELD_NUMBER_TEXT) != 0 ? "string" : NULL;

	if (f->kind == SCHEMA_JSON && (f->flags & FIELD_JSON_OBJECT) == 0)
		return;
	json_name(w, "type");
	if (other == NULL && (f->flags & FIELD_NULL) == 0) {
		json_put_str(w, type_names[f->kind]);
		return;
	}
	json_begin_array(w);
	json_put_str(w, type_names[f->kind]);
	if (other != NULL)
		json_put_str(w, other);
	if ((f->flags & FIELD_NULL) != 0)
		json_put_str(w, "null");
	json_end_array(w);
}

static void describe_limits(const struct schema_field *f, struct json_writer *w)
{
	static const char *const low[] = {[SCHEMA_TEXT] = "minLength", [SCHEMA_INT] = "minimum",
	    [SCHEMA_REAL] = "minimum", [SCHEMA_LIST] = "minItems"};
	static const char *const high[] = {[SCHEMA_TEXT] = "maxLength", [SCHEMA_INT] = "maximum",
	    [SCHEMA_REAL] = "maximum", [SCHEMA_LIST] = "maxItems"};

	if ((f->flags & FIELD_MIN) != 0) {
		json_name(w, low[f->kind]);
		if (f->kind == SCHEMA_REAL)
			json_put_double(w, f->real_min);
		else
			json_put_i64(w, f->min);
	}
	if ((f->flags & FIELD_MAX) != 0) {
		json_name(w, high[f->kind]);
		if (f->kind == SCHEMA_REAL)
			json_put_double(w, f->real_max);
		else
			json_put_i64(w, f->max);
	}
}

static void describe_text(const struct schema_field *f, struct json_writer *w)
{
	if (f->choices != NULL) {
		json_name(w, "enum");
		json_begin_array(w);
		for (size_t i = 0; i < f->n_choices; i++)
			json_put_string(w, f->choices[i]);
		json_end_array(w);
	}
	if (f->pattern != NULL) {
		json_name(w, "pattern");
		json_put_str(w, f->pattern->source);
	}
	if (format_names[f->format] != NULL) {
		json_name(w, "format");
		json_put_str(w, format_names[f->format]);
	}
}

static void describe_default(const struct schema_field *f, struct json_writer *w)
{
	struct slice text = slice_str(f->preset), part;

	if ((f->flags & FIELD_DEFAULT) == 0)
		return;
	json_name(w, "default");
	if (f->kind == SCHEMA_TEXT) {
		json_put_string(w, text);
	} else if (f->kind == SCHEMA_LIST) {
		json_begin_array(w);
		while (text.len > 0) {
			(void)slice_cut(text, ',', &part, &text);
			json_put_string(w, part);
		}
		json_end_array(w);
	} else {
		json_put_raw(w, text); /* a number, true or false looks the same in JSON */
	}
}

static void describe_members(const struct schema *s, struct json_writer *w)
{
	bool required = false;

	json_name(w, "properties");
	json_begin_object(w);
	for (size_t i = 0; i < s->n_fields; i++) {
		if ((s->fields[i].flags & FIELD_EXTRA) != 0)
			continue;
		json_name_slice(w, s->fields[i].name);
		schema_describe_field(&s->fields[i], w);
	}
	json_end_object(w);
	for (size_t i = 0; i < s->n_fields; i++) {
		if ((s->fields[i].flags & FIELD_REQUIRED) == 0)
			continue;
		if (!required) {
			json_name(w, "required");
			json_begin_array(w);
			required = true;
		}
		json_put_string(w, s->fields[i].name);
	}
	if (required)
		json_end_array(w);
	if (s->closed) {
		json_name(w, "additionalProperties");
		json_put_bool(w, false);
	}
}

void schema_describe_field(const struct schema_field *f, struct json_writer *w)
{
	json_begin_object(w);
	describe_type(f, w);
	if (f->description != NULL) {
		json_name(w, "description");
		json_put_str(w, f->description);
	}
	describe_limits(f, w);
	describe_text(f, w);
	describe_default(f, w);
	if (f->kind == SCHEMA_OBJECT)
		describe_members(f->object, w);
	if (f->kind == SCHEMA_LIST) {
		json_name(w, "items");
		schema_describe_field(f->item, w);
	}
	json_end_object(w);
}

void schema_describe(const struct schema *s, struct json_writer *w)
{
	json_begin_object(w);
	json_name(w, "type");
	json_put_str(w, "object");
	describe_members(s, w);
	json_end_object(w);
}
