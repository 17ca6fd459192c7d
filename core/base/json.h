/*
 * JSON (RFC 8259), strict. Three ways in, one way out:
 *
 *   json_scan     checks a whole text against the limits, keeps nothing
 *   json_index    the same, and notes where each container ends
 *   json_reader   walks a text that json_scan accepted, member by member,
 *                 without building anything; integers exact to 64 bits,
 *                 longer ones as their digits
 *   json_tree     a cJSON tree, for the places that edit or search one
 *   json_writer   appends JSON to a buf, commas and escapes its business
 *
 * cJSON alone accepts [01], raw control bytes and invalid UTF-8 and loses
 * integers above 2^53; so nothing reaches it that the scanner has not passed.
 */
#ifndef LULAB_BASE_JSON_H
#define LULAB_BASE_JSON_H

#include "arena.h"
#include "buf.h"

struct cJSON;

/* integrity.md section 18. */
struct json_limits {
	unsigned depth_max;
	unsigned values_max;
	unsigned members_max;    /* of one object */
	unsigned number_len_max; /* characters */
	bool compact;            /* white space outside strings is malformed: one fact, one text */
};
#define JSON_LIMITS_DEFAULT ((struct json_limits){32, 50000, 1000, 32, false})

struct json_error {
	size_t offset;      /* byte where it went wrong */
	const char *reason; /* static, for people: "duplicate member name" */
};

/*
 * 0, ERR_MALFORMED (syntax, UTF-8, lone surrogate, \u0000, duplicate names,
 * trailing bytes) or ERR_TOO_BIG (a limit). limits NULL = the defaults;
 * ret_error may be NULL.
 */
int json_scan(struct slice text, const struct json_limits *limits, struct json_error *ret_error);

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

/* Where a container of an indexed text ends, and how many there are in it, itself included. */
struct json_span {
	const char *end;
	size_t n;
};

/* One value inside a scanned text. `text` is its source, quotes and brackets included. */
struct json_value {
	enum json_type type;
	struct slice text;
	const struct json_span *span; /* of a container in an indexed text; those inside follow. Else NULL */
};

/*
 * json_scan(), and the text's value with its containers indexed, in the arena:
 * walking it then looks at each byte once, however deep it lies. A text with
 * thousands of containers, or an arena without room, leaves it without.
 */
int json_index(struct slice text, const struct json_limits *limits, struct arena *a, struct json_value *ret_root,
    struct json_error *ret_error);

/*
 * Cursor over the members of an object or the elements of an array. The text
 * must have passed json_scan(); the reader asserts what that guarantees.
 */
struct json_reader {
	const char *at, *end;
	const struct json_span *span; /* of the next container, when known */
	bool is_object;
};

/* The single value of a scanned text (white space around it is skipped). */
struct json_value json_root(struct slice scanned);

/* v must be an object or an array. */
void json_enter(struct json_reader *r, struct json_value v);

/*
 * Next member or element: true, or false at the end. ret_name gets the raw
 * characters between the quotes (escapes not resolved; use json_name_is), and
 * may be NULL for arrays.
 */
bool json_next(struct json_reader *r, struct slice *ret_name, struct json_value *ret_value);

/* A raw member name as the string it is: in the text it has its quotes around it. */
static inline struct json_value json_value_of_name(struct slice raw_name)
{
	return (struct json_value){.type = JSON_STRING, .text = {raw_name.ptr - 1, raw_name.len + 2}};
}

/* Compares a raw member name, resolving escapes. */
bool json_name_is(struct slice raw_name, struct slice name);

/* The member of that name; false when absent or v is not an object. */
bool json_member(struct json_value v, const char *name, struct json_value *ret_value);

/*
 * Text of a string value with escapes resolved: borrowed from the source when
 * it has none, else made in the arena. ERR_NOMEM; ERR_INVALID when not a string.
 */
int json_string(struct json_value v, struct arena *a, struct slice *ret_text);

/* Exact; ERR_INVALID when not an integer (1.0 and 1e3 are not), ERR_RANGE beyond 64 bits. */
int json_i64(struct json_value v, int64_t *ret_value);
int json_u64(struct json_value v, uint64_t *ret_value);
/* The member of that name as an integer; `otherwise` when there is none, or it is no such number. */
int64_t json_member_i64(struct json_value v, const char *name, int64_t otherwise);
/* The member of that name as json_string() gives it; empty when there is none, it is no string, or there was no memory. */
struct slice json_member_text(struct json_value v, const char *name, struct arena *a);
/* Any number, as a double; ERR_RANGE when it is beyond one (1e999). */
int json_double(struct json_value v, double *ret_value);

/* Scan, then parse with cJSON; free with cJSON_Delete(). Numbers beyond 2^53 lose digits here. */
int json_tree(struct slice text, const struct json_limits *limits, struct cJSON **ret_tree,
    struct json_error *ret_error);

/* Writes one text. Zero it with JSON_WRITER(&buf); errors stick in the buf. */
struct json_writer {
	struct buf *out;
	uint64_t comma; /* bit per depth: something was written there */
	unsigned depth;
	bool after_name;
};
#define JSON_WRITER(buf_ptr) ((struct json_writer){.out = (buf_ptr)})

void json_begin_object(struct json_writer *w);
void json_end_object(struct json_writer *w);
void json_begin_array(struct json_writer *w);
void json_end_array(struct json_writer *w);
void json_name(struct json_writer *w, const char *name);
void json_name_slice(struct json_writer *w, struct slice name);
/* Text must be UTF-8; invalid bytes become U+FFFD so that the output is always JSON. Only ", \ and controls are escaped. */
void json_put_string(struct json_writer *w, struct slice text);
void json_put_str(struct json_writer *w, const char *text); /* NULL writes null */
void json_put_i64(struct json_writer *w, int64_t value);
void json_put_u64(struct json_writer *w, uint64_t value);
void json_put_double(struct json_writer *w, double value); /* shortest that reads back; NaN and infinity become null */
void json_put_bool(struct json_writer *w, bool value);
void json_put_null(struct json_writer *w);
/* A text that is JSON already. */
void json_put_raw(struct json_writer *w, struct slice json);
/*
 * A value of a scanned text with the members of its objects sorted by name, escapes and white space as we write them:
 * two ways to write a value give the same bytes. Numbers alone stay as they are written. ERR_NOMEM.
 */
int json_put_sorted(struct json_writer *w, struct json_value v, struct arena *a);

#endif
