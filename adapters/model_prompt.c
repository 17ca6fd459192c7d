/* See model_prompt.h. */
#include "model_prompt.h"

#include <assert.h>

#include "base/codec.h"
#include "store/seal.h"

const struct model_prompt *model_prompt_find(const char *name, struct slice language)
{
	bool chinese = language.len == 0 || slice_starts_with(language, SLICE("zh"));
	const struct model_prompt *p = model_prompts;

	while (p->name != NULL && (strcmp(p->name, name) != 0 || (strcmp(p->language, "zh-CN") == 0) != chinese))
		p++;
	assert(p->name != NULL);
	return p;
}

static const struct model_value *value_at(const struct model_value *values, const char *brace, size_t *ret_len)
{
	for (; values->name != NULL; values++) {
		size_t len = strlen(values->name);

		*ret_len = len + 2;
		if (strncmp(brace + 1, values->name, len) == 0 && brace[1 + len] == '}')
			return values;
	}
	return NULL;
}

void model_fill(struct buf *out, const char *text, const struct model_value *values)
{
	const char *brace;

	for (; (brace = strchr(text, '{')) != NULL; text = brace) {
		size_t len = 0;
		const struct model_value *v = value_at(values, brace, &len);

		buf_append(out, slice_of(text, (size_t)(brace - text)));
		buf_append(out, v != NULL ? v->value : SLICE("{"));
		brace += v != NULL ? len : 1;
	}
	buf_append_str(out, text);
}

#define FENCE_BYTES 12

struct slice model_fence(struct sealer *sealer, struct slice text, struct arena *a)
{
	uint8_t mac[SHA256_LEN];
	char hex[2 * FENCE_BYTES + 1];

	sealer_fingerprint(sealer, text, mac);
	hex_encode(hex, mac, FENCE_BYTES);
	return slice_str(arena_printf(a, "=====%s=====", hex));
}

/* ---- schemas ----------------------------------------------------------------------------- */

static void put_i64(struct json_writer *w, const char *name, int64_t value)
{
	json_name(w, name);
	json_put_i64(w, value);
}

static void put_field(const struct schema_field *f, bool with_limits, struct json_writer *w);

static void put_text(const struct schema_field *f, bool with_limits, struct json_writer *w)
{
	json_name(w, "type");
	json_put_str(w, "string");
	if (with_limits && (f->flags & FIELD_MAX) != 0)
		put_i64(w, "maxLength", f->max);
	if (f->n_choices == 0)
		return;
	json_name(w, "enum");
	json_begin_array(w);
	for (size_t i = 0; i < f->n_choices; i++)
		json_put_string(w, f->choices[i]);
	json_end_array(w);
}

static void put_object(const struct schema *s, bool with_limits, struct json_writer *w)
{
	json_name(w, "type");
	json_put_str(w, "object");
	json_name(w, "properties");
	json_begin_object(w);
	for (size_t i = 0; i < s->n_fields; i++) {
		json_name_slice(w, s->fields[i].name);
		put_field(&s->fields[i], with_limits, w);
	}
	json_end_object(w);
	json_name(w, "required");
	json_begin_array(w);
	for (size_t i = 0; i < s->n_fields; i++)
		json_put_string(w, s->fields[i].name);
	json_end_array(w);
	json_name(w, "additionalProperties");
	json_put_bool(w, false);
}

static void put_field(const struct schema_field *f, bool with_limits, struct json_writer *w)
{
	json_begin_object(w);
	if (f->kind == SCHEMA_OBJECT) {
		put_object(f->object, with_limits, w);
	} else if (f->kind == SCHEMA_LIST) {
		json_name(w, "type");
		json_put_str(w, "array");
		if (with_limits && (f->flags & FIELD_MAX) != 0)
			put_i64(w, "maxItems", f->max);
		json_name(w, "items");
		put_field(f->item, with_limits, w);
	} else {
		put_text(f, with_limits, w);
	}
	if (f->description != NULL && f->description[0] != '\0') {
		json_name(w, "description");
		json_put_str(w, f->description);
	}
	json_end_object(w);
}

void model_schema_write(const struct schema *s, bool with_limits, struct json_writer *w)
{
	json_begin_object(w);
	put_object(s, with_limits, w);
	json_end_object(w);
}
