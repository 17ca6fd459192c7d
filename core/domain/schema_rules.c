/*
 * The rules of a field, and how a breach is told: the same words whether the
 * value came in an event, a request, a query string or the environment.
 */
#include "domain/schema_rules.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"

#define MESSAGE_LEN_MAX 512
#define PATH_LEN_MAX 512
#define TIME_LEN_MAX 64

/* ---- problems --------------------------------------------------------------- */

static void add(struct problems *p, struct slice path, const char *code, const char *format, va_list args)
    __attribute__((format(printf, 4, 0)));

static void add(struct problems *p, struct slice path, const char *code, const char *format, va_list args)
{
	char message[MESSAGE_LEN_MAX];
	struct problem *problem;

	p->total++;
	if (p->n == PROBLEMS_MAX)
		return;
	if (p->items == NULL) {
		p->items = arena_calloc(p->arena, PROBLEMS_MAX, sizeof(*p->items));
		if (p->items == NULL)
			return;
	}
	vsnprintf(message, sizeof(message), format, args);
	problem = &p->items[p->n];
	problem->code = code;
	problem->path = arena_dup(p->arena, path).ptr;
	problem->message = arena_dup(p->arena, slice_str(message)).ptr;
	if (problem->path != NULL && problem->message != NULL)
		p->n++;
}

void problems_add(struct problems *p, const char *path, const char *code, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	add(p, slice_str(path), code, format, args);
	va_end(args);
}

void problems_write(const struct problems *p, struct json_writer *w)
{
	json_begin_array(w);
	for (size_t i = 0; i < p->n; i++) {
		json_begin_object(w);
		json_name(w, "path");
		json_put_str(w, p->items[i].path);
		json_name(w, "code");
		json_put_str(w, p->items[i].code);
		json_name(w, "message");
		json_put_str(w, p->items[i].message);
		json_end_object(w);
	}
	json_end_array(w);
}

/* A member name inside a JSON pointer: ~ and / are escaped (RFC 6901). */
static void put_segment(struct buf *out, struct slice name, bool raw)
{
	struct slice text = name;
	struct arena scratch = ARENA_INIT(PATH_LEN_MAX * 8);

	if (raw && name.len < PATH_LEN_MAX)
		(void)json_string(json_value_of_name(name), &scratch, &text);
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '~' || c == '/')
			(void)buf_append_str(out, c == '~' ? "~0" : "~1");
		else
			(void)buf_append_char(out, c);
	}
	arena_finish(&scratch);
}

static void put_place(struct buf *out, const struct place *at)
{
	if (at->up == NULL) {
		(void)buf_append(out, at->name);
		return;
	}
	put_place(out, at->up);
	(void)buf_append_char(out, '/');
	if (at->name.ptr == NULL)
		(void)buf_printf(out, "%zu", at->index);
	else
		put_segment(out, at->name, at->raw);
}

void check_tell(struct check *c, const struct place *at, const char *code, const char *format, ...)
{
	struct buf path = BUF_INIT(PATH_LEN_MAX);
	va_list args;

	c->failed = true;
	if (c->problems == NULL)
		return;
	put_place(&path, at);
	va_start(args, format);
	add(c->problems, buf_slice(&path), code, format, args);
	va_end(args);
	buf_finish(&path);
}

int check_result(const struct check *c)
{
	if (c->rc != 0)
		return c->rc;
	return c->failed ? ERR_INVALID : 0;
}

/* ---- rules -------------------------------------------------------------------- */

bool pattern_matches(const struct schema_pattern *p, struct slice text)
{
	size_t at = 0;

	/* Greedy is right: the generator refuses runs that share characters with what follows. */
	for (size_t i = 0; i < p->n_runs; i++) {
		const struct schema_run *run = &p->runs[i];
		uint32_t n = 0;

		while (at < text.len && n < run->max) {
			unsigned char c = (unsigned char)text.ptr[at];

			if (c > 127 || (run->set[c / 32] >> c % 32 & 1) == 0)
				break;
			at++;
			n++;
		}
		if (n < run->min)
			return false;
	}
	return at == text.len;
}

static bool is_date(struct slice text)
{
	int64_t ignored;

	return text.len == 10 && time_parse_us(text, &ignored) == 0;
}

static bool is_date_time(struct slice text)
{
	int64_t ignored;

	return text.len > 10 && text.len < TIME_LEN_MAX && time_parse_us(text, &ignored) == 0;
}

static bool is_base64url(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return text.len % 4 != 1;
}

static const struct {
	const char *what;
} format_words[] = {
	[FORMAT_NONE] = {""},
	[FORMAT_DATE_TIME] = {"an instant such as 2026-11-23T22:39:15Z"},
	[FORMAT_DATE] = {"a date such as 2026-11-23"},
	[FORMAT_DATE_OR_TIME] = {"a date such as 2026-11-23 or an instant such as 2026-11-23T22:39:15Z"},
	[FORMAT_BASE64URL] = {"base64url without padding"},
	[FORMAT_JSON] = {"JSON"},
};

static bool format_fits(enum schema_format format, struct slice text)
{
	switch (format) {
	case FORMAT_NONE:
		return true;
	case FORMAT_DATE_TIME:
		return is_date_time(text);
	case FORMAT_DATE:
		return is_date(text);
	case FORMAT_DATE_OR_TIME:
		return is_date(text) || is_date_time(text);
	case FORMAT_BASE64URL:
		return is_base64url(text);
	case FORMAT_JSON:
		return json_scan(text, NULL, NULL) == 0;
	}
	return false;
}

static void tell_choices(struct check *c, const struct schema_field *f, const struct place *at)
{
	struct buf list = BUF_INIT(MESSAGE_LEN_MAX - 32);

	for (size_t i = 0; i < f->n_choices; i++) {
		(void)buf_append_str(&list, i == 0 ? "" : ", ");
		(void)buf_append(&list, f->choices[i]);
	}
	check_tell(c, at, "enum", "must be %s%.*s", f->n_choices > 1 ? "one of " : "", SLICE_ARG(buf_slice(&list)));
	buf_finish(&list);
}

static bool is_choice(const struct schema_field *f, struct slice text)
{
	for (size_t i = 0; i < f->n_choices; i++) {
		if (slice_eq(f->choices[i], text))
			return true;
	}
	return false;
}

void check_text(struct check *c, const struct schema_field *f, struct slice text, const struct place *at)
{
	/* Bytes bound characters from above, so most texts need no counting. */
	if ((f->flags & FIELD_MAX) != 0 && (int64_t)text.len > f->max && (int64_t)utf8_length(text) > f->max)
		check_tell(c, at, "maxLength", "must have at most %" PRId64 " characters", f->max);
	if ((f->flags & FIELD_MIN) != 0 && (int64_t)(f->min > 1 ? utf8_length(text) : text.len) < f->min) {
		if (f->min == 1)
			check_tell(c, at, "minLength", "must not be empty");
		else
			check_tell(c, at, "minLength", "must have at least %" PRId64 " characters", f->min);
	}
	if (f->choices != NULL && !is_choice(f, text))
		tell_choices(c, f, at);
	if (f->pattern != NULL && !pattern_matches(f->pattern, text))
		check_tell(c, at, "pattern", "must have the form %s", f->pattern->source);
	if (f->format != FORMAT_NONE && !format_fits(f->format, text))
		check_tell(c, at, "format", "must be %s", format_words[f->format].what);
}

void check_int(struct check *c, const struct schema_field *f, int64_t value, const struct place *at)
{
	if ((f->flags & FIELD_MIN) != 0 && value < f->min)
		check_tell(c, at, "minimum", "must be at least %" PRId64, f->min);
	if ((f->flags & FIELD_MAX) != 0 && value > f->max)
		check_tell(c, at, "maximum", "must be at most %" PRId64, f->max);
}

void check_real(struct check *c, const struct schema_field *f, double value, const struct place *at)
{
	if ((f->flags & FIELD_MIN) != 0 && value < f->real_min)
		check_tell(c, at, "minimum", "must be at least %g", f->real_min);
	if ((f->flags & FIELD_MAX) != 0 && value > f->real_max)
		check_tell(c, at, "maximum", "must be at most %g", f->real_max);
}

bool check_count(struct check *c, const struct schema_field *f, size_t n, const struct place *at)
{
	if ((f->flags & FIELD_MIN) != 0 && (int64_t)n < f->min) {
		check_tell(c, at, "minItems", "must have at least %" PRId64 " elements", f->min);
		return false;
	}
	if ((f->flags & FIELD_MAX) != 0 && (int64_t)n > f->max) {
		check_tell(c, at, "maxItems", "must have at most %" PRId64 " elements", f->max);
		return false;
	}
	return true;
}
