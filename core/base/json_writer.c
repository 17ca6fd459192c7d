/* Writing JSON: commas, escapes and numbers that read back exactly. */
#include "base/json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/json_text.h"

#define DEPTH_MAX 63

static void before_value(struct json_writer *w)
{
	uint64_t bit = (uint64_t)1 << w->depth;

	if (w->after_name) {
		w->after_name = false;
		return;
	}
	if (w->comma & bit)
		buf_append_char(w->out, ',');
	w->comma |= bit;
}

static void begin(struct json_writer *w, char open)
{
	before_value(w);
	assert(w->depth < DEPTH_MAX);
	w->depth++;
	w->comma &= ~((uint64_t)1 << w->depth);
	buf_append_char(w->out, open);
}

static void end(struct json_writer *w, char close)
{
	assert(w->depth > 0 && !w->after_name);
	w->depth--;
	buf_append_char(w->out, close);
}

void json_begin_object(struct json_writer *w)
{
	begin(w, '{');
}

void json_end_object(struct json_writer *w)
{
	end(w, '}');
}

void json_begin_array(struct json_writer *w)
{
	begin(w, '[');
}

void json_end_array(struct json_writer *w)
{
	end(w, ']');
}

static void put_escape(struct buf *out, uint8_t c)
{
	switch (c) {
	case '"':
		buf_append(out, SLICE("\\\""));
		break;
	case '\\':
		buf_append(out, SLICE("\\\\"));
		break;
	case '\b':
		buf_append(out, SLICE("\\b"));
		break;
	case '\f':
		buf_append(out, SLICE("\\f"));
		break;
	case '\n':
		buf_append(out, SLICE("\\n"));
		break;
	case '\r':
		buf_append(out, SLICE("\\r"));
		break;
	case '\t':
		buf_append(out, SLICE("\\t"));
		break;
	default:
		buf_printf(out, "\\u%04x", (unsigned)c);
		break;
	}
}

/* Up to where the text can be written as it is. */
static size_t plain_len(struct slice text)
{
	size_t i = 0;

	for (; text.len - i >= 8; i += 8) {
		uint64_t marks = json_mark_special(json_word(text.ptr + i));

		if (marks != 0)
			return i + json_first(marks);
	}
	for (; i < text.len; i++) {
		uint8_t c = (uint8_t)text.ptr[i];

		if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
			break;
	}
	return i;
}

/* Some of the text cannot be written as it is. */
static void put_escaped(struct buf *out, struct slice text)
{
	size_t run = 0, i = 0;

	buf_append_char(out, '"');
	while (i < text.len) {
		uint8_t c = (uint8_t)text.ptr[i];
		size_t n = c >= 0x80 ? utf8_sequence(text.ptr + i, text.len - i)
				     : plain_len(slice_of(text.ptr + i, text.len - i));

		i += n;
		if (n > 0)
			continue;
		buf_append(out, slice_of(text.ptr + run, i - run));
		if (c >= 0x80)
			buf_append(out, SLICE("\xef\xbf\xbd"));
		else
			put_escape(out, c);
		run = ++i;
	}
	if (i > run)
		buf_append(out, slice_of(text.ptr + run, i - run));
	buf_append_char(out, '"');
}

/* Names and most values are short and need no escapes: quotes and all in one go. */
static void put_quoted(struct buf *out, struct slice text, bool colon)
{
	char *at;

	if (plain_len(text) < text.len) {
		put_escaped(out, text);
		if (colon)
			buf_append_char(out, ':');
		return;
	}
	at = buf_reserve(out, text.len + 2 + colon);
	if (at == NULL)
		return;
	at[0] = '"';
	if (text.len > 0)
		memcpy(at + 1, text.ptr, text.len);
	at[text.len + 1] = '"';
	at[text.len + 2] = ':'; /* where none is wanted, in the place of the buffer's NUL */
	buf_commit(out, text.len + 2 + colon);
}

void json_name_slice(struct json_writer *w, struct slice name)
{
	assert(!w->after_name);
	before_value(w);
	put_quoted(w->out, name, true);
	w->after_name = true;
}

void json_name(struct json_writer *w, const char *name)
{
	json_name_slice(w, slice_str(name));
}

void json_put_string(struct json_writer *w, struct slice text)
{
	before_value(w);
	put_quoted(w->out, text, false);
}

void json_put_str(struct json_writer *w, const char *text)
{
	if (text == NULL)
		json_put_null(w);
	else
		json_put_string(w, slice_str(text));
}

static void put_decimal(struct json_writer *w, uint64_t value, bool negative)
{
	char digits[24], *at = digits + sizeof(digits);

	do
		*--at = (char)('0' + value % 10);
	while ((value /= 10) != 0);
	if (negative)
		*--at = '-';
	before_value(w);
	buf_append(w->out, slice_of(at, (size_t)(digits + sizeof(digits) - at)));
}

void json_put_i64(struct json_writer *w, int64_t value)
{
	put_decimal(w, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, value < 0);
}

void json_put_u64(struct json_writer *w, uint64_t value)
{
	put_decimal(w, value, false);
}

void json_put_double(struct json_writer *w, double value)
{
	char text[40];

	if (!isfinite(value)) {
		json_put_null(w);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof(text), "%.*g", digits, value);
		if (strtod(text, NULL) == value)
			break;
	}
	/* A locale's decimal comma is not JSON's. */
	for (char *at = text; *at != '\0'; at++) {
		if (*at == ',')
			*at = '.';
	}
	before_value(w);
	buf_append_str(w->out, text);
}

void json_put_bool(struct json_writer *w, bool value)
{
	before_value(w);
	buf_append_str(w->out, value ? "true" : "false");
}

void json_put_null(struct json_writer *w)
{
	before_value(w);
	buf_append(w->out, SLICE("null"));
}

void json_put_raw(struct json_writer *w, struct slice json)
{
	before_value(w);
	buf_append(w->out, json);
}
