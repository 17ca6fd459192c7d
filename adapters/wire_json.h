/*
 * Reading what vendors answer: members that may come as a text or a number, and
 * may be absent, null or of another type than the page says. One that is not
 * what is wanted counts as absent: who needs it looks, nobody else fails.
 */
#ifndef LULAB_ADAPTERS_WIRE_JSON_H
#define LULAB_ADAPTERS_WIRE_JSON_H

#include "base/err.h"
#include "base/json.h"

/* A transcript has five values a word. How long an answer may be is for who fetches it to say. */
#define WIRE_JSON_LIMITS ((struct json_limits){32, 2000000, 1000, 32, false})

/*
 * An answer's root, indexed. ERR_MALFORMED: not JSON, or not an object (array: not an
 * array). ERR_TOO_BIG (a limit of the scanner), ERR_NOMEM.
 */
static inline int wire_json_root(struct slice body, enum json_type type, struct arena *a, struct json_value *ret)
{
	int rc = json_index(body, &WIRE_JSON_LIMITS, a, ret, NULL);

	return rc == 0 && ret->type != type ? ERR_MALFORMED : rc;
}

/* Text, or the digits of a number as they came (ids beyond 2^53 stay whole). Empty, ptr not NULL, for anything else. */
static inline struct slice wire_text(struct json_value v, const char *name, struct arena *a)
{
	struct slice text;
	struct json_value found;

	if (!json_member(v, name, &found))
		return SLICE("");
	if (found.type == JSON_NUMBER)
		return found.text;
	if (found.type != JSON_STRING || json_string(found, a, &text) != 0 || text.ptr == NULL)
		return SLICE("");
	return text;
}

/* A whole number, or a text that is one. */
static inline int64_t wire_int(struct json_value v, const char *name, int64_t absent, struct arena *a)
{
	struct slice text = wire_text(v, name, a);
	int64_t n;

	return slice_to_i64(text, &n) == 0 ? n : absent;
}

/* true, "true" or 1. */
static inline bool wire_bool(struct json_value v, const char *name, struct arena *a)
{
	struct json_value found;

	if (!json_member(v, name, &found))
		return false;
	return found.type == JSON_TRUE || slice_is(wire_text(v, name, a), "true") || wire_int(v, name, 0, a) == 1;
}

/* The member when it is of that type. */
static inline bool wire_member(struct json_value v, const char *name, enum json_type type, struct json_value *ret)
{
	return json_member(v, name, ret) && ret->type == type;
}

/* How many objects an array has; others in it are passed over. */
static inline size_t wire_count(struct json_value array)
{
	struct json_reader r;
	struct json_value item;
	size_t n = 0;

	json_enter(&r, array);
	while (json_next(&r, NULL, &item))
		n += item.type == JSON_OBJECT;
	return n;
}

/* The next object of an array. */
static inline bool wire_next(struct json_reader *r, struct json_value *ret)
{
	while (json_next(r, NULL, ret))
		if (ret->type == JSON_OBJECT)
			return true;
	return false;
}

#endif
