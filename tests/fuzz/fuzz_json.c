/*
 * Fuzz entry: bytes as JSON. What the scanner takes, the reader must walk, with
 * an index of it and without, our writer must write back as a text that means
 * the same, and cJSON, which is laxer, must take too.
 */
#include <cjson/cJSON.h>

#include "base/err.h"
#include "base/json.h"
#include "fuzz.h"

#define OUT_MAX ((size_t)16 << 20)

static void copy_value(struct json_writer *w, struct json_value v, struct arena *a);

static void copy_members(struct json_writer *w, struct json_value v, struct arena *a)
{
	struct json_reader r;
	struct slice raw, name;
	struct json_value member, found;

	json_enter(&r, v);
	while (json_next(&r, &raw, &member)) {
		if (v.type == JSON_OBJECT) {
			check(inside(raw, v.text));
			if (json_string(json_value_of_name(raw), a, &name) != 0)
				return;
			check(json_name_is(raw, name));
			if (memchr(name.ptr, 0, name.len) == NULL && a->total < a->max / 2) {
				check(json_member(v, arena_printf(a, "%.*s", SLICE_ARG(name)), &found));
				check(found.text.ptr == member.text.ptr);
			}
			json_name_slice(w, name);
		}
		copy_value(w, member, a);
	}
}

static void copy_number(struct json_writer *w, struct json_value v)
{
	int64_t i;
	uint64_t u;
	double d;
	int rc = json_i64(v, &i);

	check(rc == 0 || rc == ERR_INVALID || rc == ERR_RANGE);
	if (rc == 0 && i >= 0)
		check(json_u64(v, &u) == 0 && u == (uint64_t)i);
	rc = json_double(v, &d);
	check(rc == 0 || rc == ERR_RANGE);
	json_put_raw(w, v.text);
}

static void copy_value(struct json_writer *w, struct json_value v, struct arena *a)
{
	struct slice text;

	switch (v.type) {
	case JSON_OBJECT:
		json_begin_object(w);
		copy_members(w, v, a);
		json_end_object(w);
		break;
	case JSON_ARRAY:
		json_begin_array(w);
		copy_members(w, v, a);
		json_end_array(w);
		break;
	case JSON_STRING:
		if (json_string(v, a, &text) == 0)
			json_put_string(w, text);
		else
			json_put_null(w);
		break;
	case JSON_NUMBER:
		copy_number(w, v);
		break;
	default:
		json_put_raw(w, v.text);
		break;
	}
}

/* Its text again, compact; written twice it must be the same. */
static void copy(struct json_value root, struct buf *out, struct arena *a)
{
	struct json_writer w = JSON_WRITER(out);

	buf_clear(out);
	copy_value(&w, root, a);
}

static void try_good(struct slice text)
{
	struct json_limits compact = JSON_LIMITS_DEFAULT;
	struct buf once = BUF_INIT(OUT_MAX), twice = BUF_INIT(OUT_MAX);
	struct arena a = ARENA_INIT(64 << 20);
	struct cJSON *tree = NULL;
	struct json_value indexed;

	compact.compact = true;
	copy(json_root(text), &once, &a);
	check(once.rc == 0 && json_scan(buf_slice(&once), &compact, NULL) == 0);
	copy(json_root(buf_slice(&once)), &twice, &a);
	check(slice_eq(buf_slice(&once), buf_slice(&twice)));
	check(json_index(text, NULL, &a, &indexed, NULL) == 0);
	copy(indexed, &twice, &a);
	check(slice_eq(buf_slice(&once), buf_slice(&twice)));
	check(json_tree(text, NULL, &tree, NULL) == 0 && tree != NULL);
	cJSON_Delete(tree);
	buf_finish(&once);
	buf_finish(&twice);
	arena_finish(&a);
}

void fuzz_one(struct slice input)
{
	struct json_limits compact = JSON_LIMITS_DEFAULT;
	struct json_error error = {0};
	int rc = json_scan(input, NULL, &error);

	compact.compact = true;
	check(rc == 0 || rc == ERR_MALFORMED || rc == ERR_TOO_BIG);
	if (json_scan(input, &compact, NULL) == 0)
		check(rc == 0);
	if (rc == 0)
		try_good(input);
	else
		check(error.reason != NULL && error.offset <= input.len);
}
