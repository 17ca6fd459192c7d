/*
 * Walking a scanned text. What the scanner promises is asserted, not checked
 * again: a text that did not pass json_scan() stops the program here.
 */
#include "base/json.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/json_text.h"

#define DOUBLE_TEXT_MAX 512
#define SHORT_WORDS 4

static unsigned hex4(const char *at)
{
	uint8_t unit[2];
	int rc = hex_decode(unit, 2, slice_of(at, 4));

	assert(rc == 0);
	return (unsigned)unit[0] << 8 | unit[1];
}

static size_t put_utf8(char ret_bytes[4], unsigned code)
{
	if (code < 0x80) {
		ret_bytes[0] = (char)code;
		return 1;
	}
	if (code < 0x800) {
		ret_bytes[0] = (char)(0xc0 | code >> 6);
		ret_bytes[1] = (char)(0x80 | (code & 63));
		return 2;
	}
	if (code < 0x10000) {
		ret_bytes[0] = (char)(0xe0 | code >> 12);
		ret_bytes[1] = (char)(0x80 | (code >> 6 & 63));
		ret_bytes[2] = (char)(0x80 | (code & 63));
		return 3;
	}
	ret_bytes[0] = (char)(0xf0 | code >> 18);
	ret_bytes[1] = (char)(0x80 | (code >> 12 & 63));
	ret_bytes[2] = (char)(0x80 | (code >> 6 & 63));
	ret_bytes[3] = (char)(0x80 | (code & 63));
	return 4;
}

size_t json_unescape(const char **at, const char *end, char ret_bytes[4])
{
	const char *p = *at;
	unsigned code;

	assert(p < end);
	if (*p != '\\') {
		ret_bytes[0] = *p;
		*at = p + 1;
		return 1;
	}
	assert(end - p >= 2);
	*at = p + 2;
	switch (p[1]) {
	case 'b':
		ret_bytes[0] = '\b';
		return 1;
	case 'f':
		ret_bytes[0] = '\f';
		return 1;
	case 'n':
		ret_bytes[0] = '\n';
		return 1;
	case 'r':
		ret_bytes[0] = '\r';
		return 1;
	case 't':
		ret_bytes[0] = '\t';
		return 1;
	case 'u':
		assert(end - p >= 6);
		code = hex4(p + 2);
		*at = p + 6;
		if (code >= 0xd800 && code <= 0xdbff) {
			assert(end - p >= 12);
			code = 0x10000 + ((code - 0xd800) << 10) + (hex4(p + 8) - 0xdc00);
			*at = p + 12;
		}
		return put_utf8(ret_bytes, code);
	default:
		ret_bytes[0] = p[1];
		return 1;
	}
}

/* The next resolved byte of a string, or -1 at its end. */
struct unescaped {
	const char *at, *end;
	char bytes[4];
	size_t i, n;
};

static int next_byte(struct unescaped *u)
{
	if (u->i == u->n) {
		if (u->at == u->end)
			return -1;
		u->n = json_unescape(&u->at, u->end, u->bytes);
		u->i = 0;
	}
	return (uint8_t)u->bytes[u->i++];
}

bool json_same_text(struct slice a, struct slice b)
{
	struct unescaped left = {.at = a.ptr, .end = a.ptr + a.len};
	struct unescaped right = {.at = b.ptr, .end = b.ptr + b.len};
	int c;

	do {
		c = next_byte(&left);
		if (c != next_byte(&right))
			return false;
	} while (c >= 0);
	return true;
}

static const char *skip_space(const char *at, const char *end)
{
	while (at < end && json_is_space(*at))
		at++;
	return at;
}

/* From the opening quote to past the closing one. */
static const char *skip_string(const char *at, const char *end)
{
	at++;
	/* Most strings are short: a call of memchr() would cost more than looking at eight bytes at a time. */
	for (int i = 0; i < SHORT_WORDS && end - at >= 8; i++, at += 8) {
		uint64_t marks = json_mark_ends(json_word(at));

		if (marks == 0)
			continue;
		at += json_first(marks);
		if (*at == '"')
			return at + 1;
		break;
	}
	for (;; at++) {
		const char *quote = memchr(at, '"', (size_t)(end - at)), *back;

		assert(quote != NULL);
		/* A quote ends the string unless an odd run of backslashes stands before it. */
		for (back = quote; back > at && back[-1] == '\\'; back--)
			;
		if ((quote - back) % 2 == 0)
			return quote + 1;
		at = quote;
	}
}

static const char *skip_container(const char *at, const char *end)
{
	size_t depth = 0;

	for (;;) {
		assert(at < end);
		switch (*at) {
		case '"':
			at = skip_string(at, end);
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return at + 1;
			break;
		}
		at++;
	}
}

static const char *skip_scalar(const char *at, const char *end)
{
	while (at < end && *at != ',' && *at != '}' && *at != ']' && !json_is_space(*at))
		at++;
	return at;
}

static enum json_type type_at(const char *at)
{
	switch (*at) {
	case '"':
		return JSON_STRING;
	case '{':
		return JSON_OBJECT;
	case '[':
		return JSON_ARRAY;
	case 't':
		return JSON_TRUE;
	case 'f':
		return JSON_FALSE;
	case 'n':
		return JSON_NULL;
	default:
		assert(*at == '-' || (*at >= '0' && *at <= '9'));
		return JSON_NUMBER;
	}
}

/* The value at `at`; *span is its own if it is a container, and moves past it. */
static struct json_value value_at(const char *at, const char *end, const struct json_span **span)
{
	struct json_value v = {.type = type_at(at)};
	const char *past;

	if (v.type == JSON_STRING) {
		past = skip_string(at, end);
	} else if (v.type != JSON_OBJECT && v.type != JSON_ARRAY) {
		past = skip_scalar(at, end);
	} else if (*span == NULL) {
		past = skip_container(at, end);
	} else {
		v.span = *span;
		past = v.span->end;
		*span += v.span->n;
	}
	assert(past > at && past <= end);
	v.text = slice_of(at, (size_t)(past - at));
	return v;
}

struct json_value json_root(struct slice scanned)
{
	struct slice text = slice_trim(scanned);

	/* The one value of the text ends where the text does: nothing to look for. */
	assert(text.len > 0);
	return (struct json_value){.type = type_at(text.ptr), .text = text};
}

void json_enter(struct json_reader *r, struct json_value v)
{
	assert(v.type == JSON_OBJECT || v.type == JSON_ARRAY);
	assert(v.text.len >= 2);
	r->at = v.text.ptr + 1;
	r->end = v.text.ptr + v.text.len - 1;
	r->span = v.span == NULL ? NULL : v.span + 1;
	r->is_object = v.type == JSON_OBJECT;
}

bool json_next(struct json_reader *r, struct slice *ret_name, struct json_value *ret_value)
{
	const char *at = skip_space(r->at, r->end);

	if (at == r->end)
		return false;
	if (r->is_object) {
		const char *past;

		assert(*at == '"');
		past = skip_string(at, r->end);
		if (ret_name != NULL)
			*ret_name = slice_of(at + 1, (size_t)(past - at) - 2);
		at = skip_space(past, r->end);
		assert(at < r->end && *at == ':');
		at = skip_space(at + 1, r->end);
	} else if (ret_name != NULL) {
		*ret_name = (struct slice){0};
	}
	assert(at < r->end);
	*ret_value = value_at(at, r->end, &r->span);
	at = skip_space(ret_value->text.ptr + ret_value->text.len, r->end);
	if (at < r->end) {
		assert(*at == ',');
		at++;
	}
	r->at = at;
	return true;
}

bool json_name_is(struct slice raw_name, struct slice name)
{
	struct unescaped u;

	/* An escape is longer than what it stands for, so the usual other name is told by its length or its front. */
	if (raw_name.len < name.len || raw_name.len == 0)
		return slice_eq(raw_name, name);
	if (raw_name.ptr[0] != '\\' && (name.len == 0 || raw_name.ptr[0] != name.ptr[0]))
		return false;
	if (memchr(raw_name.ptr, '\\', raw_name.len) == NULL)
		return slice_eq(raw_name, name);
	u = (struct unescaped){.at = raw_name.ptr, .end = raw_name.ptr + raw_name.len};
	for (size_t i = 0; i < name.len; i++) {
		if (next_byte(&u) != (uint8_t)name.ptr[i])
			return false;
	}
	return next_byte(&u) < 0;
}

bool json_member(struct json_value v, const char *name, struct json_value *ret_value)
{
	struct slice wanted = slice_str(name), raw_name;
	struct json_value member;
	struct json_reader r;

	if (v.type != JSON_OBJECT)
		return false;
	json_enter(&r, v);
	while (json_next(&r, &raw_name, &member)) {
		if (json_name_is(raw_name, wanted)) {
			*ret_value = member;
			return true;
		}
	}
	return false;
}

int json_string(struct json_value v, struct arena *a, struct slice *ret_text)
{
	struct slice inner;
	const char *at, *end;
	char *text;
	size_t len = 0;

	if (v.type != JSON_STRING)
		return ERR_INVALID;
	assert(v.text.len >= 2);
	inner = slice_of(v.text.ptr + 1, v.text.len - 2);
	if (memchr(inner.ptr, '\\', inner.len) == NULL) {
		*ret_text = inner;
		return 0;
	}
	/* No escape is shorter than what it stands for; +4 for the last one's scratch. */
	text = arena_alloc(a, inner.len + 4);
	if (text == NULL)
		return ERR_NOMEM;
	at = inner.ptr;
	end = at + inner.len;
	while (at < end)
		len += json_unescape(&at, end, text + len);
	*ret_text = slice_of(text, len);
	return 0;
}

static bool is_integer(struct json_value v)
{
	if (v.type != JSON_NUMBER)
		return false;
	for (size_t i = 0; i < v.text.len; i++) {
		char c = v.text.ptr[i];

		if (c == '.' || c == 'e' || c == 'E')
			return false;
	}
	return true;
}

int json_i64(struct json_value v, int64_t *ret_value)
{
	return is_integer(v) ? slice_to_i64(v.text, ret_value) : ERR_INVALID;
}

int json_u64(struct json_value v, uint64_t *ret_value)
{
	if (!is_integer(v))
		return ERR_INVALID;
	if (v.text.ptr[0] == '-') {
		if (!slice_is(v.text, "-0"))
			return ERR_RANGE;
		*ret_value = 0;
		return 0;
	}
	return slice_to_u64(v.text, ret_value);
}

int64_t json_member_i64(struct json_value v, const char *name, int64_t otherwise)
{
	struct json_value member;
	int64_t n;

	return json_member(v, name, &member) && json_i64(member, &n) == 0 ? n : otherwise;
}

struct slice json_member_text(struct json_value v, const char *name, struct arena *a)
{
	struct slice text = {0};
	struct json_value member;

	if (json_member(v, name, &member) && member.type == JSON_STRING && json_string(member, a, &text) != 0)
		text = (struct slice){0};
	return text;
}

static locale_t plain_locale;
static pthread_once_t locale_once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
	plain_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

int json_double(struct json_value v, double *ret_value)
{
	char text[DOUBLE_TEXT_MAX];
	double value;

	if (v.type != JSON_NUMBER)
		return ERR_INVALID;
	if (v.text.len >= sizeof(text))
		return ERR_RANGE;
	memcpy(text, v.text.ptr, v.text.len);
	text[v.text.len] = '\0';
	/* The user's locale may want a comma where JSON has a point. */
	pthread_once(&locale_once, make_locale);
	if (plain_locale == (locale_t)0)
		return ERR_NOMEM;
	value = strtod_l(text, NULL, plain_locale);
	if (isinf(value))
		return ERR_RANGE;
	*ret_value = value;
	return 0;
}

int json_tree(struct slice text, const struct json_limits *limits, struct cJSON **ret_tree,
    struct json_error *ret_error)
{
	cJSON *tree;
	int rc = json_scan(text, limits, ret_error);

	if (rc != 0)
		return rc;
	tree = cJSON_ParseWithLength(text.ptr, text.len);
	if (tree == NULL)
		return ERR_NOMEM;
	*ret_tree = tree;
	return 0;
}
