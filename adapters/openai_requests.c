/* What is asked of OpenAI and its like. */
#include "openai_wire.h"

#include "base/codec.h"
#include "base/err.h"

static bool printable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return false;
	return text.len > 0;
}

int openai_url(struct slice base, const char *path, struct arena *a, struct slice *ret)
{
	char *url;

	while (base.len > 0 && base.ptr[base.len - 1] == '/')
		base.len--;
	if (!printable(base) || (!slice_starts_with(base, SLICE("https://")) && !slice_starts_with(base, SLICE("http://"))))
		return ERR_INVALID;
	while (*path == '/')
		path++;
	url = arena_printf(a, "%.*s/%s", SLICE_ARG(base), path);
	*ret = slice_str(url);
	return url == NULL ? ERR_NOMEM : 0;
}

int openai_authorization(struct slice key, struct arena *a, struct slice *ret)
{
	char *value;

	if (!printable(key))
		return ERR_INVALID;
	value = arena_printf(a, "Bearer %.*s", SLICE_ARG(key));
	*ret = slice_str(value);
	return value == NULL ? ERR_NOMEM : 0;
}

/* --- chat ------------------------------------------------------------------------------------ */

static bool name_ok(const char *name)
{
	struct slice s = slice_str(name);

	for (size_t i = 0; i < s.len; i++) {
		char c = s.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_' && c != '-')
			return false;
	}
	return s.len > 0 && s.len <= 64;
}

static bool chat_ok(const struct openai_chat *chat)
{
	if (chat->model.len == 0 || !utf8_valid(chat->model) || chat->n_messages == 0 || chat->max_tokens < 0)
		return false;
	if (chat->has_temperature && !(chat->temperature >= 0 && chat->temperature <= 2))
		return false;
	for (size_t i = 0; i < chat->n_messages; i++)
		if (chat->messages[i].role == NULL || !utf8_valid(chat->messages[i].content))
			return false;
	if (chat->format != OPENAI_JSON_SCHEMA)
		return true;
	return name_ok(chat->schema_name) && json_scan(chat->schema, NULL, NULL) == 0 &&
	    json_root(chat->schema).type == JSON_OBJECT;
}

static void put_format(struct json_writer *w, const struct openai_chat *chat)
{
	json_name(w, "response_format");
	json_begin_object(w);
	json_name(w, "type");
	json_put_str(w, chat->format == OPENAI_JSON_SCHEMA ? "json_schema" : "json_object");
	if (chat->format == OPENAI_JSON_SCHEMA) {
		json_name(w, "json_schema");
		json_begin_object(w);
		json_name(w, "name");
		json_put_str(w, chat->schema_name);
		json_name(w, "strict");
		json_put_bool(w, true);
		json_name(w, "schema");
		json_put_raw(w, chat->schema);
		json_end_object(w);
	}
	json_end_object(w);
}

int openai_body_chat(struct buf *out, const struct openai_chat *chat)
{
	struct json_writer w = JSON_WRITER(out);

	if (!chat_ok(chat))
		return ERR_INVALID;
	json_begin_object(&w);
	json_name(&w, "model");
	json_put_string(&w, chat->model);
	json_name(&w, "messages");
	json_begin_array(&w);
	for (size_t i = 0; i < chat->n_messages; i++) {
		json_begin_object(&w);
		json_name(&w, "role");
		json_put_str(&w, chat->messages[i].role);
		json_name(&w, "content");
		json_put_string(&w, chat->messages[i].content);
		json_end_object(&w);
	}
	json_end_array(&w);
	if (chat->has_temperature) {
		json_name(&w, "temperature");
		json_put_double(&w, chat->temperature);
	}
	if (chat->max_tokens > 0) {
		json_name(&w, chat->old_max_tokens ? "max_tokens" : "max_completion_tokens");
		json_put_i64(&w, chat->max_tokens);
	}
	if (chat->format != OPENAI_TEXT)
		put_format(&w, chat);
	if (chat->stream) {
		json_name(&w, "stream");
		json_put_bool(&w, true);
		json_name(&w, "stream_options");
		json_put_raw(&w, SLICE("{\"include_usage\":true}"));
	}
	json_end_object(&w);
	return out->rc;
}

/* --- transcription ------------------------------------------------------------------------------ */

static const struct { const char *extension, *type; } formats[] = {
	{"flac", "audio/flac"}, {"m4a", "audio/mp4"}, {"mp3", "audio/mpeg"}, {"mp4", "video/mp4"}, {"mpeg", "audio/mpeg"},
	{"mpga", "audio/mpeg"}, {"ogg", "audio/ogg"}, {"wav", "audio/wav"}, {"webm", "audio/webm"},
};

static const char *type_of(struct slice file_name)
{
	struct slice rest = file_name, head;

	while (slice_cut(rest, '.', &head, &rest))
		for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
			if (slice_eq_nocase(rest, slice_str(formats[i].extension)) && head.ptr + head.len > file_name.ptr)
				return formats[i].type;
	return NULL;
}

static bool boundary_ok(struct slice b)
{
	for (size_t i = 0; i < b.len; i++) {
		char c = b.ptr[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '-')
			return false;
	}
	return b.len > 0 && b.len <= OPENAI_BOUNDARY_MAX;
}

/* No control characters: none ends a line, whatever the reader takes for one. */
static bool value_ok(struct slice value)
{
	for (size_t i = 0; i < value.len; i++)
		if ((unsigned char)value.ptr[i] < ' ' || value.ptr[i] == 0x7f)
			return false;
	return utf8_valid(value);
}

static void put_part(struct buf *out, struct slice boundary, const char *name, struct slice value)
{
	buf_printf(out, "--%.*s\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n", SLICE_ARG(boundary), name);
	buf_append(out, value);
	buf_append_str(out, "\r\n");
}

/* Quotes as browsers write them. */
static void put_file_name(struct buf *out, struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '"')
			buf_append_str(out, "%22");
		else
			buf_append_char(out, name.ptr[i]);
	}
}

static void put_settings(const struct openai_transcription *t, struct slice boundary, struct buf *out)
{
	put_part(out, boundary, "model", t->model);
	if (t->language.len > 0)
		put_part(out, boundary, "language", t->language);
	if (t->prompt.len > 0)
		put_part(out, boundary, "prompt", t->prompt);
	if (t->response_format != NULL)
		put_part(out, boundary, "response_format", slice_str(t->response_format));
	if (t->has_temperature) {
		struct buf number = BUF_INIT(64);
		struct json_writer w = JSON_WRITER(&number);

		json_put_double(&w, t->temperature);
		put_part(out, boundary, "temperature", buf_slice(&number));
		buf_finish(&number);
	}
	if (t->words)
		put_part(out, boundary, "timestamp_granularities[]", SLICE("word"));
	if (t->segments)
		put_part(out, boundary, "timestamp_granularities[]", SLICE("segment"));
}

int openai_body_transcription(const struct openai_transcription *t, struct slice boundary, uint64_t file_bytes,
    struct buf *before, struct buf *after)
{
	const char *type = type_of(t->file_name);

	if (type == NULL || file_bytes == 0 || file_bytes > OPENAI_AUDIO_MAX || !boundary_ok(boundary) || t->model.len == 0 ||
	    !value_ok(t->file_name) || !value_ok(t->model) || !value_ok(t->language) || !value_ok(t->prompt) ||
	    !value_ok(slice_str(t->response_format)) ||
	    (t->has_temperature && !(t->temperature >= 0 && t->temperature <= 1)))
		return ERR_INVALID;
	buf_printf(before, "--%.*s\r\nContent-Disposition: form-data; name=\"file\"; filename=\"", SLICE_ARG(boundary));
	put_file_name(before, t->file_name);
	buf_printf(before, "\"\r\nContent-Type: %s\r\n\r\n", type);
	buf_append_str(after, "\r\n");
	put_settings(t, boundary, after);
	buf_printf(after, "--%.*s--\r\n", SLICE_ARG(boundary));
	return before->rc != 0 ? before->rc : after->rc;
}
