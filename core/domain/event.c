/* See event.h. */
#include "domain/event.h"

#include <assert.h>

#include "base/codec.h"
#include "base/err.h"
#include "crypto/crypto.h"

#define ENTRY_LEN_USUAL 4000 /* most are shorter and then written without growing the buffer */
#define CLAIMS_MAX 32 /* of one event, and as many releases */
#define NAME_LEN_MAX STREAM_LEN_MAX
_Static_assert(STREAM_LEN_MAX == CLAIM_LEN_MAX, "one length for what templates make");

/* ---- the table ------------------------------------------------------------------- */

const struct event_type_info *event_type_by_id(uint16_t id)
{
	size_t low = 0, high = event_types_n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (event_types[middle].id == id)
			return &event_types[middle];
		if (event_types[middle].id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

const struct event_type_info *event_type_by_name(struct slice name)
{
	for (size_t i = 0; i < event_types_n; i++) {
		if (slice_is(name, event_types[i].name))
			return &event_types[i];
	}
	return NULL;
}

uint16_t event_type_number(struct slice name)
{
	const struct event_type_info *type = event_type_by_name(name);

	return type == NULL ? 0 : type->id;
}

const char *event_type_name(uint16_t id)
{
	const struct event_type_info *type = event_type_by_id(id);

	return type == NULL ? "?" : type->name;
}

/* ---- templates -------------------------------------------------------------------- */

/* Outside these a byte is %XX, so that no vendor's id can look like two segments. */
static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	    c == '~' || c == ':' || c == '-';
}

static void put_segment(struct buf *out, struct slice text)
{
	size_t run = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (is_plain(text.ptr[i]))
			continue;
		(void)buf_append(out, slice_of(text.ptr + run, i - run));
		(void)buf_printf(out, "%%%02X", (unsigned)(unsigned char)text.ptr[i]);
		run = i + 1;
	}
	(void)buf_append(out, slice_of(text.ptr + run, text.len - run));
}

/* False when the field is absent or empty. */
static bool put_field(struct buf *out, const struct schema *s, const struct event_template_part *part, const void *data)
{
	struct schema_path path;
	const struct schema_field *f;
	const void *member;
	struct slice text;
	int rc = schema_path_find(s, slice_str(part->field), &path);

	assert(rc == 0); /* the generator has looked */
	f = path.fields[path.n - 1];
	member = schema_path_get(&path, data);
	if (member == NULL)
		return false;
	if (f->kind == SCHEMA_INT) {
		(void)buf_printf(out, "%lld", (long long)*(const int64_t *)member);
		return true;
	}
	text = *(const struct slice *)member;
	put_segment(out, part->value != NULL && slice_is(text, part->value) ? slice_str(part->written_as) : text);
	return text.len > 0;
}

/* ERR_INVALID: a field that must be there is empty. */
static int expand(const struct event_template *t, const struct schema *s, const void *data, struct buf *out)
{
	for (size_t i = 0; i < t->n_parts; i++) {
		const struct event_template_part *part = &t->parts[i];
		size_t before = out->len;

		(void)buf_append_str(out, part->text);
		if (part->field == NULL || put_field(out, s, part, data))
			continue;
		if (!part->optional)
			return ERR_INVALID;
		out->len = before;
	}
	return out->rc;
}

static int expand_into(const struct event_template *t, const struct schema *s, const void *data, struct arena *arena,
    struct slice *ret)
{
	char bytes[NAME_LEN_MAX + 1];
	struct buf text = BUF_OVER(bytes);
	int rc = expand(t, s, data, &text);

	if (rc != 0)
		return rc;
	*ret = arena_dup(arena, buf_slice(&text));
	return ret->ptr == NULL ? ERR_NOMEM : 0;
}

int event_stream(const struct event_type_info *type, const void *data, struct arena *arena, struct slice *ret_stream)
{
	return expand_into(&type->stream, type->schema, data, arena, ret_stream);
}

static int expand_names(const struct event_type_info *type, const struct event_template *templates, size_t n,
    const void *data, struct arena *arena, const struct slice **ret_names, size_t *ret_n)
{
	struct slice *names;

	*ret_n = 0;
	if (n == 0)
		return 0;
	assert(n <= CLAIMS_MAX);
	names = arena_calloc(arena, n, sizeof(*names));
	if (names == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		int rc = expand_into(&templates[i], type->schema, data, arena, &names[*ret_n]);

		if (rc != 0)
			return rc;
		*ret_n += names[*ret_n].len > 0; /* one all in [ ] is no name when its field is absent */
	}
	*ret_names = names;
	return 0;
}

void event_once_key(uint8_t ret[ONCE_KEY_LEN], struct slice source, struct slice vendor_id)
{
	const struct slice parts[] = {SLICE("dup/v1\0"), source, SLICE("\0"), vendor_id};

	blake2b(ret, ONCE_KEY_LEN, (struct slice){0}, parts, sizeof(parts) / sizeof(parts[0]));
}

/* ---- subjects --------------------------------------------------------------------- */

static const struct schema_field *subjects_field(const struct schema *s, const void *data)
{
	const struct schema_field *f = schema_field_find(s, SLICE("subjects"));

	return f != NULL && f->kind == SCHEMA_OBJECT && schema_field_present(f, data) ? f : NULL;
}

/* One subject as the index wants it. 0, ERR_NOT_FOUND (it has no ref), ERR_INVALID. */
static int read_subject(const struct schema *s, const void *subject, struct subject_ref *ret)
{
	struct schema_path path;
	const struct slice *text;

	if (schema_path_find(s, SLICE("ref"), &path) != 0)
		return ERR_NOT_FOUND;
	text = schema_path_get(&path, subject);
	if (text == NULL)
		return ERR_NOT_FOUND;
	if (base64url_decode_to(ret->ref, SUBJECT_REF_LEN, *text) != 0)
		return ERR_INVALID;
	if (schema_path_find(s, SLICE("id"), &path) != 0)
		return ERR_INVALID;
	text = schema_path_get(&path, subject);
	return text != NULL && id_parse(*text, &ret->id) == 0 ? 0 : ERR_INVALID;
}

/* One person in two roles is one subject: the draft names a reference once. */
static bool is_listed(const struct subject_ref *refs, size_t n, const struct subject_ref *one)
{
	for (size_t i = 0; i < n; i++)
		if (memcmp(refs[i].ref, one->ref, SUBJECT_REF_LEN) == 0)
			return true;
	return false;
}

static int collect_subjects(const struct schema *s, const void *data, struct arena *arena, struct event_draft *draft)
{
	const struct schema_field *f = subjects_field(s, data);
	struct subject_ref *refs;
	const void *all;

	if (f == NULL)
		return 0;
	all = (const char *)data + f->offset;
	refs = arena_calloc(arena, f->object->n_fields, sizeof(*refs));
	if (refs == NULL)
		return ERR_NOMEM;
	draft->subjects = refs;
	for (size_t i = 0; i < f->object->n_fields; i++) {
		const struct schema_field *one = &f->object->fields[i];
		int rc;

		if (!schema_field_present(one, all))
			continue;
		rc = read_subject(one->object, (const char *)all + one->offset, &refs[draft->n_subjects]);
		if (rc == 0)
			draft->n_subjects += !is_listed(refs, draft->n_subjects, &refs[draft->n_subjects]);
		else if (rc != ERR_NOT_FOUND)
			return rc;
	}
	return 0;
}

/* ---- making ------------------------------------------------------------------------ */

static bool has_sealed(const struct schema *s, const void *data)
{
	for (size_t i = 0; i < s->n_fields; i++) {
		const struct schema_field *f = &s->fields[i];

		if (!schema_field_present(f, data))
			continue;
		if ((f->flags & FIELD_SEALED) != 0)
			return true;
		if (f->kind == SCHEMA_OBJECT && f->object->any_sealed && has_sealed(f->object, (const char *)data + f->offset))
			return true;
	}
	return false;
}

static void put_names(struct json_writer *w, const char *name, const struct slice *names, size_t n)
{
	if (n == 0)
		return;
	json_name(w, name);
	json_begin_array(w);
	for (size_t i = 0; i < n; i++)
		json_put_string(w, names[i]);
	json_end_array(w);
}

/* The data object: the struct's members, then the names taken and given back. */
static int put_data(const struct event_type_info *type, const void *data, const struct seal_hooks *hooks,
    const struct event_draft *draft, struct buf *out)
{
	struct json_writer w = JSON_WRITER(out);
	struct json_writer names;
	size_t at = out->len;
	int rc = schema_encode(type->schema, data, hooks, &w);

	if (rc != 0 || draft->n_claims + draft->n_releases == 0)
		return rc;
	/* Written as an object of its own, which then takes the place of the brace. */
	assert(out->ptr[out->len - 1] == '}');
	out->len--;
	if (out->len - at > 1)
		(void)buf_append_char(out, ',');
	at = out->len;
	names = JSON_WRITER(out);
	json_begin_object(&names);
	put_names(&names, "claims", draft->claims, draft->n_claims);
	put_names(&names, "releases", draft->releases, draft->n_releases);
	json_end_object(&names);
	if (out->rc != 0)
		return out->rc;
	memmove(out->ptr + at, out->ptr + at + 1, out->len - at - 1);
	out->len--;
	return 0;
}

static int put_entry(const struct event_context *ctx, const struct event_type_info *type, const void *data,
    const struct event_meta *meta, struct event_draft *draft, struct buf *out)
{
	char id_text[ID_TEXT_LEN + 1];
	int64_t now_us = clock_wall_us(ctx->clock);
	struct id id = meta->has_id ? meta->id : id_ordered(ctx->rng, now_us / 1000);
	struct envelope e = {
		.source = meta->source,
		.type = slice_str(type->name),
		.subject = draft->stream,
		.time_us = now_us,
		.actor = meta->actor,
		.causation = meta->causation,
		.correlation = meta->correlation,
		.traceparent = meta->traceparent,
		.has_once = meta->has_once,
		.dataschema = slice_str(type->dataschema),
	};
	struct envelope_writer w;
	int rc;

	id_format(id_text, &id);
	e.id = slice_of(id_text, ID_TEXT_LEN);
	memcpy(e.once, meta->once, ONCE_KEY_LEN);
	rc = envelope_begin(&w, &e, out);
	if (rc == 0)
		rc = put_data(type, data, ctx->hooks, draft, out);
	if (rc == 0)
		rc = envelope_end(&w);
	draft->time_at = w.time_at;
	draft->sequence_at = w.sequence_at;
	return rc;
}

static int draft_names(const struct event_type_info *type, const void *data, struct arena *arena,
    struct event_draft *draft)
{
	int rc = event_stream(type, data, arena, &draft->stream);

	if (rc == 0)
		rc = expand_names(type, type->claims, type->n_claims, data, arena, &draft->claims, &draft->n_claims);
	if (rc == 0)
		rc = expand_names(type, type->releases, type->n_releases, data, arena, &draft->releases, &draft->n_releases);
	return rc;
}

int event_draft_make(const struct event_context *ctx, enum event_type type_id, const void *data,
    const struct event_meta *meta, struct arena *arena, struct event_draft *ret, struct problems *problems)
{
	const struct event_type_info *type = event_type_by_id((uint16_t)type_id);
	struct event_draft draft = {.type = (uint16_t)type_id, .expect = meta->expect, .has_once = meta->has_once,
	    .blobs = meta->blobs, .n_blobs = meta->n_blobs};
	struct buf entry = BUF_INIT(ENTRY_LEN_MAX);
	struct slice copy;
	int rc;

	assert(type != NULL);
	rc = schema_check(type->schema, data, problems, arena);
	if (rc == 0 && ctx->hooks == NULL && has_sealed(type->schema, data))
		rc = ERR_BAD_KEY;
	if (rc == 0)
		rc = draft_names(type, data, arena, &draft);
	if (rc == 0)
		rc = collect_subjects(type->schema, data, arena, &draft);
	if (rc == 0)
		rc = buf_reserve(&entry, ENTRY_LEN_USUAL) != NULL ? put_entry(ctx, type, data, meta, &draft, &entry) : entry.rc;
	if (rc != 0)
		goto out;
	copy = arena_dup(arena, buf_slice(&entry));
	if (copy.ptr == NULL) {
		rc = ERR_NOMEM;
		goto out;
	}
	memcpy(draft.once, meta->once, ONCE_KEY_LEN);
	draft.entry = (char *)(uintptr_t)copy.ptr; /* our own copy, for the log's writer to patch */
	draft.entry_len = (uint32_t)copy.len;
	draft.is_made = true;
	*ret = draft;
out:
	buf_finish(&entry);
	return rc;
}

/* ---- reading ------------------------------------------------------------------------ */

int event_decode_data(const struct envelope *envelope, const struct seal_hooks *hooks, struct arena *arena,
    struct event *ret)
{
	struct event event = {.type = event_type_by_name(envelope->type), .envelope = *envelope};
	int rc;

	if (event.type != NULL) {
		event.data = arena_alloc(arena, event.type->schema->size);
		if (event.data == NULL)
			return ERR_NOMEM;
		/* The entry was scanned with its envelope. */
		rc = schema_decode_value(event.type->schema, envelope->data_value, "", hooks, arena, event.data, NULL);
		if (rc != 0)
			return rc;
	}
	*ret = event;
	return 0;
}

int event_decode(struct slice entry, uint64_t position, const struct seal_hooks *hooks, struct arena *arena,
    struct event *ret)
{
	struct envelope envelope;
	int rc = envelope_decode(entry, position, arena, &envelope);

	if (rc != 0)
		return rc;
	return event_decode_data(&envelope, hooks, arena, ret);
}
