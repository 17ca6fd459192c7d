/*
 * The strict scanner: recursive descent over the text, once, keeping only the
 * member names of the objects it is inside. Those live in a fixed table on the
 * stack for texts of ordinary size; bigger ones take memory, bounded by the
 * limits.
 */
#include "base/json.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include <sodium.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/json_text.h"
#include "base/planted.h"
#include "base/rng.h"

#define NAMES_FIXED 128 /* names held without allocating */
#define SPANS_MIN 32
#define SPANS_MAX 4096 /* containers that are indexed */
#define LINEAR_MAX 24   /* members compared one by one; beyond, by hash */

struct name {
	const char *ptr;
	uint32_t len;
	uint32_t tag; /* length and outer bytes; equal for equal names without escapes */
	bool escaped;
};

struct scan {
	const char *start, *at, *end;
	struct json_limits limits;
	unsigned depth, n_values;
	struct name *names; /* of all open objects, outermost first */
	size_t n_names, names_cap;
	bool names_escaped; /* some of all so far */
	struct name names_fixed[NAMES_FIXED];
	struct arena *arena; /* of the spans; NULL: none are kept */
	struct json_span *spans; /* of all containers, in the order they begin */
	size_t n_spans, spans_cap;
	const char *reason;
};

/* Bytes a string may hold as they are: not a control, quote, backslash or above ASCII. */
static const uint8_t plain[256] = {
#define ROW 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
    [0x20] = ROW, [0x30] = ROW, [0x40] = ROW, [0x50] = ROW, [0x60] = ROW, [0x70] = ROW,
#undef ROW
    /* The quote and the backslash are taken out in skip_plain(). */
};

static int scan_value(struct scan *s);

static int fail(struct scan *s, int rc, const char *reason)
{
	s->reason = reason;
	return rc;
}

/* In a compact text nothing is skipped, so white space is then an unexpected character. */
static void skip_space(struct scan *s)
{
	while (!s->limits.compact && s->at < s->end && json_is_space(*s->at))
		s->at++;
}

static void skip_plain(struct scan *s)
{
	const char *at = s->at;

	for (; s->end - at >= (PLANTED(json_overread) ? 7 : 8); at += 8) {
		uint64_t marks = json_mark_special(json_word(at));

		if (marks != 0) {
			s->at = at + json_first(marks);
			return;
		}
	}
	while (at < s->end && plain[(uint8_t)*at] && *at != '"' && *at != '\\')
		at++;
	s->at = at;
}

/* Four hex digits at the cursor, taken. */
static int scan_hex4(struct scan *s, unsigned *ret_unit)
{
	uint8_t unit[2];

	if (s->end - s->at < 4 || hex_decode(unit, 2, slice_of(s->at, 4)) != 0)
		return fail(s, ERR_MALFORMED, "\\u needs four hex digits");
	s->at += 4;
	*ret_unit = (unsigned)unit[0] << 8 | unit[1];
	return 0;
}

/* After "\u". */
static int scan_unicode(struct scan *s)
{
	unsigned unit, low;
	int rc = scan_hex4(s, &unit);

	if (rc != 0)
		return rc;
	if (unit == 0)
		return fail(s, ERR_MALFORMED, "\\u0000 in a string");
	if (unit < 0xd800 || unit > 0xdfff)
		return 0;
	if (unit > 0xdbff || s->end - s->at < 2 || s->at[0] != '\\' || s->at[1] != 'u')
		return fail(s, ERR_MALFORMED, "lone surrogate");
	s->at += 2;
	rc = scan_hex4(s, &low);
	if (rc != 0)
		return rc;
	if (low < 0xdc00 || low > 0xdfff)
		return fail(s, ERR_MALFORMED, "lone surrogate");
	return 0;
}

static int scan_escape(struct scan *s)
{
	if (s->at == s->end)
		return fail(s, ERR_MALFORMED, "unfinished string");
	switch (*s->at++) {
	case '"':
	case '\\':
	case '/':
	case 'b':
	case 'f':
	case 'n':
	case 'r':
	case 't':
		return 0;
	case 'u':
		return scan_unicode(s);
	default:
		s->at--;
		return fail(s, ERR_MALFORMED, "unknown escape");
	}
}

/* At the opening quote. *ret_inner: what is between the quotes; *ret_escaped: it has escapes. */
static int scan_string(struct scan *s, struct slice *ret_inner, bool *ret_escaped)
{
	const char *inner = ++s->at;
	bool escaped = false;

	for (;;) {
		uint8_t c;

		skip_plain(s);
		if (s->at == s->end)
			return fail(s, ERR_MALFORMED, "unfinished string");
		c = (uint8_t)*s->at;
		if (c == '"') {
			*ret_inner = slice_of(inner, (size_t)(s->at - inner));
			*ret_escaped = escaped;
			s->at++;
			return 0;
		}
		if (c == '\\') {
			int rc;

			escaped = true;
			s->at++;
			rc = scan_escape(s);
			if (rc != 0)
				return rc;
		} else if (c < 0x20) {
			return fail(s, ERR_MALFORMED, "control character in a string");
		} else {
			size_t n = utf8_sequence(s->at, (size_t)(s->end - s->at));

			if (n == 0)
				return fail(s, ERR_MALFORMED, "invalid UTF-8");
			s->at += n;
		}
	}
}

static bool skip_digits(struct scan *s)
{
	const char *first = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > first;
}

static int scan_number(struct scan *s)
{
	const char *first = s->at;

	if (*s->at == '-')
		s->at++;
	if (s->at < s->end && *s->at == '0')
		s->at++;
	else if (!skip_digits(s))
		return fail(s, ERR_MALFORMED, "not a number");
	if (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		return fail(s, ERR_MALFORMED, "number with a leading zero");
	if (s->at < s->end && *s->at == '.') {
		s->at++;
		if (!skip_digits(s))
			return fail(s, ERR_MALFORMED, "no digit after the point");
	}
	if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
		s->at++;
		if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
			s->at++;
		if (!skip_digits(s))
			return fail(s, ERR_MALFORMED, "no digit in the exponent");
	}
	if ((size_t)(s->at - first) > s->limits.number_len_max)
		return fail(s, ERR_TOO_BIG, "number too long");
	return 0;
}

static int scan_word(struct scan *s, struct slice word)
{
	if (!slice_starts_with(slice_of(s->at, (size_t)(s->end - s->at)), word))
		return fail(s, ERR_MALFORMED, "unexpected character");
	s->at += word.len;
	return 0;
}

static int hold_name(struct scan *s, struct name name)
{
	if (s->n_names == s->names_cap) {
		size_t cap = s->names_cap * 2;
		bool fixed = s->names == s->names_fixed;
		struct name *names = realloc(fixed ? NULL : s->names, cap * sizeof(*names));

		if (names == NULL)
			return fail(s, ERR_NOMEM, "out of memory");
		if (fixed)
			memcpy(names, s->names_fixed, sizeof(s->names_fixed));
		s->names = names;
		s->names_cap = cap;
	}
	s->names[s->n_names++] = name;
	return 0;
}

static struct name make_name(struct slice inner, bool escaped)
{
	struct name name = {.ptr = inner.ptr, .len = (uint32_t)inner.len, .escaped = escaped};

	if (!escaped && inner.len > 0)
		name.tag = (uint32_t)inner.len | (uint32_t)(uint8_t)inner.ptr[0] << 24 |
		    (uint32_t)(uint8_t)inner.ptr[inner.len - 1] << 16;
	return name;
}

static bool same_name(const struct name *a, const struct name *b)
{
	if (!a->escaped && !b->escaped)
		return a->tag == b->tag && a->len == b->len && memcmp(a->ptr, b->ptr, a->len) == 0;
	return json_same_text(slice_of(a->ptr, a->len), slice_of(b->ptr, b->len));
}

/*
 * Names of one big object by hash, so that a thousand members stay linear.
 * The hash is keyed: nobody outside can choose names that collide.
 */
struct name_table {
	uint32_t *slots; /* index + 1 into scan.names from `base`; 0 empty */
	size_t n_slots;  /* power of two */
	size_t n_held;
};

static uint8_t hash_key[crypto_shorthash_KEYBYTES];
static pthread_once_t hash_once = PTHREAD_ONCE_INIT;

static void make_hash_key(void)
{
	rng_fill(&rng_system, hash_key, sizeof(hash_key));
}

static int hash_name(const struct name *name, uint64_t *ret_hash)
{
	uint8_t hash[crypto_shorthash_BYTES];
	const char *at = name->ptr, *end = at + name->len;
	char *text = NULL;
	size_t len = 0;

	pthread_once(&hash_once, make_hash_key);
	if (name->escaped) {
		text = malloc(name->len + 4);
		if (text == NULL)
			return ERR_NOMEM;
		while (at < end)
			len += json_unescape(&at, end, text + len);
		crypto_shorthash(hash, (uint8_t *)text, len, hash_key);
		free(text);
	} else {
		crypto_shorthash(hash, (const uint8_t *)name->ptr, name->len, hash_key);
	}
	memcpy(ret_hash, hash, sizeof(*ret_hash));
	return 0;
}

/* ERR_EXISTS when an equal name is there. */
static int table_put(struct name_table *t, struct scan *s, size_t base, size_t index)
{
	const struct name *names = s->names + base;
	uint64_t hash;
	int rc = hash_name(&names[index], &hash);

	if (rc != 0)
		return rc;
	for (size_t i = hash & (t->n_slots - 1);; i = (i + 1) & (t->n_slots - 1)) {
		if (t->slots[i] == 0) {
			t->slots[i] = (uint32_t)index + 1;
			t->n_held++;
			return 0;
		}
		if (same_name(&names[t->slots[i] - 1], &names[index]))
			return ERR_EXISTS;
	}
}

/* Makes the table, or one twice as large, of the first n names of the object. */
static int table_grow(struct name_table *t, struct scan *s, size_t base, size_t n)
{
	size_t n_slots = t->n_slots == 0 ? 256 : t->n_slots * 2;

	free(t->slots);
	*t = (struct name_table){.slots = calloc(n_slots, sizeof(*t->slots)), .n_slots = n_slots};
	if (t->slots == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		int rc = table_put(t, s, base, i);

		if (rc != 0)
			return rc;
	}
	return 0;
}

/* Whether the last name held is new among those from base on. */
static int check_name(struct scan *s, struct name_table *t, size_t base)
{
	size_t n = s->n_names - base - 1;
	int rc = 0;

	if (n < LINEAR_MAX) {
		const struct name *last = &s->names[s->n_names - 1], *name = s->names + base;

		for (; name < last; name++) {
			/* Tags tell most apart at once. */
			if ((name->tag == last->tag || s->names_escaped) && same_name(name, last))
				return fail(s, ERR_MALFORMED, "duplicate member name");
		}
		return 0;
	}
	if (t->slots == NULL || t->n_held >= t->n_slots / 2)
		rc = table_grow(t, s, base, n);
	if (rc == 0)
		rc = table_put(t, s, base, n);
	if (rc == ERR_EXISTS)
		return fail(s, ERR_MALFORMED, "duplicate member name");
	return rc == 0 ? 0 : fail(s, rc, "out of memory");
}

static int scan_member(struct scan *s, struct name_table *t, size_t base)
{
	struct slice inner;
	bool escaped;
	const char *quote = s->at;
	int rc;

	if (s->at == s->end || *s->at != '"')
		return fail(s, ERR_MALFORMED, "member name expected");
	if (s->n_names - base >= s->limits.members_max)
		return fail(s, ERR_TOO_BIG, "too many members in an object");
	rc = scan_string(s, &inner, &escaped);
	if (rc != 0)
		return rc;
	if (inner.len > UINT32_MAX)
		return fail(s, ERR_TOO_BIG, "member name too long");
	s->names_escaped |= escaped;
	rc = hold_name(s, make_name(inner, escaped));
	if (rc == 0)
		rc = check_name(s, t, base);
	if (rc != 0) {
		s->at = quote;
		return rc;
	}
	skip_space(s);
	if (s->at == s->end || *s->at != ':')
		return fail(s, ERR_MALFORMED, "':' expected");
	s->at++;
	skip_space(s);
	return scan_value(s);
}

/* Another container begins. Where there is no room for so many, none are kept: a walk is then only longer. */
static void begin_span(struct scan *s)
{
	if (s->arena != NULL && s->n_spans == s->spans_cap) {
		size_t cap = s->spans_cap == 0 ? SPANS_MIN : s->spans_cap * 2;
		struct json_span *spans = cap > SPANS_MAX ? NULL : arena_calloc(s->arena, cap, sizeof(*spans));

		if (spans != NULL && s->n_spans > 0)
			memcpy(spans, s->spans, s->n_spans * sizeof(*spans));
		if (spans == NULL)
			s->arena = NULL;
		s->spans = spans;
		s->spans_cap = cap;
	}
	s->n_spans++;
}

/* After '{' or '[': the first thing, or the end of an empty one (then *ret_done). */
static int scan_open(struct scan *s, char close, bool *ret_done)
{
	if (++s->depth > s->limits.depth_max)
		return fail(s, ERR_TOO_BIG, "nested too deeply");
	begin_span(s);
	s->at++;
	skip_space(s);
	*ret_done = s->at < s->end && *s->at == close;
	if (*ret_done) {
		s->at++;
		s->depth--;
	}
	return 0;
}

/* After a member or element: on to the next, or *ret_done. */
static int scan_comma(struct scan *s, char close, bool *ret_done)
{
	skip_space(s);
	if (s->at < s->end && *s->at == ',') {
		s->at++;
		skip_space(s);
		return 0;
	}
	if (s->at < s->end && *s->at == close) {
		s->at++;
		s->depth--;
		*ret_done = true;
		return 0;
	}
	return fail(s, ERR_MALFORMED, close == '}' ? "',' or '}' expected" : "',' or ']' expected");
}

/* The container that began as number `first` ends here. */
static void end_span(struct scan *s, size_t first)
{
	if (s->arena != NULL)
		s->spans[first] = (struct json_span){.end = s->at, .n = s->n_spans - first};
}

static int scan_object(struct scan *s)
{
	struct name_table table = {0};
	size_t base = s->n_names, first = s->n_spans;
	bool done;
	int rc = scan_open(s, '}', &done);

	while (rc == 0 && !done) {
		rc = scan_member(s, &table, base);
		if (rc == 0)
			rc = scan_comma(s, '}', &done);
	}
	free(table.slots);
	s->n_names = base;
	if (rc == 0)
		end_span(s, first);
	return rc;
}

static int scan_array(struct scan *s)
{
	size_t first = s->n_spans;
	bool done;
	int rc = scan_open(s, ']', &done);

	while (rc == 0 && !done) {
		rc = scan_value(s);
		if (rc == 0)
			rc = scan_comma(s, ']', &done);
	}
	if (rc == 0)
		end_span(s, first);
	return rc;
}

static int scan_value(struct scan *s)
{
	struct slice inner;
	bool escaped;

	if (s->at == s->end)
		return fail(s, ERR_MALFORMED, "value expected");
	if (++s->n_values > s->limits.values_max)
		return fail(s, ERR_TOO_BIG, "too many values");
	switch (*s->at) {
	case '"':
		return scan_string(s, &inner, &escaped);
	case '{':
		return scan_object(s);
	case '[':
		return scan_array(s);
	case 't':
		return scan_word(s, SLICE("true"));
	case 'f':
		return scan_word(s, SLICE("false"));
	case 'n':
		return scan_word(s, SLICE("null"));
	case '-':
	case '0':
	case '1':
	case '2':
	case '3':
	case '4':
	case '5':
	case '6':
	case '7':
	case '8':
	case '9':
		return scan_number(s);
	default:
		return fail(s, ERR_MALFORMED, "unexpected character");
	}
}

/* The spans of the text's containers are made in `a` unless that is NULL. */
static int scan_text(struct slice text, const struct json_limits *limits, struct arena *a,
    const struct json_span **ret_spans, struct json_error *ret_error)
{
	struct scan s;
	int rc;

	/* Not zeroed as a whole: the name table is large and filled before it is read. */
	s.start = s.at = text.len == 0 ? "" : text.ptr;
	s.end = s.start + text.len;
	s.limits = limits != NULL ? *limits : JSON_LIMITS_DEFAULT;
	s.depth = s.n_values = 0;
	s.names = s.names_fixed;
	s.n_names = 0;
	s.names_cap = NAMES_FIXED;
	s.names_escaped = false;
	s.arena = a;
	s.spans = NULL;
	s.n_spans = s.spans_cap = 0;
	s.reason = NULL;

	skip_space(&s);
	rc = scan_value(&s);
	if (rc == 0) {
		assert(s.depth == 0 && s.n_names == 0);
		skip_space(&s);
		if (s.at != s.end)
			rc = fail(&s, ERR_MALFORMED, "something after the value");
	}
	if (rc != 0 && ret_error != NULL)
		*ret_error = (struct json_error){(size_t)(s.at - s.start), s.reason};
	if (s.names != s.names_fixed)
		free(s.names);
	*ret_spans = s.spans;
	return rc;
}

int json_scan(struct slice text, const struct json_limits *limits, struct json_error *ret_error)
{
	const struct json_span *none;

	return scan_text(text, limits, NULL, &none, ret_error);
}

int json_index(struct slice text, const struct json_limits *limits, struct arena *a, struct json_value *ret_root,
    struct json_error *ret_error)
{
	const struct json_span *spans;
	int rc = scan_text(text, limits, a, &spans, ret_error);

	if (rc != 0)
		return rc;
	*ret_root = json_root(text);
	ret_root->span = spans; /* none, when it is no container */
	return 0;
}
