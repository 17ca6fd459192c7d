/* Reads the files of tests/vectors in tests: one case after the other, members by a path with dots. */
#ifndef LULAB_TESTS_VECTORS_H
#define LULAB_TESTS_VECTORS_H

#include <check.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/io.h"
#include "base/json.h"

struct vectors {
	struct arena *arena;
	struct buf text;
	struct json_reader cases;
	struct json_value one;
	unsigned seen;
};

static inline void vectors_open(struct vectors *v, struct arena *a, const char *name)
{
	struct json_value cases;

	*v = (struct vectors){.arena = a, .text = BUF_INIT(16 << 20)};
	ck_assert_int_eq(file_read(&v->text, arena_printf(a, "%s/%s", SHARED_VECTORS, name)), 0);
	ck_assert_int_eq(json_scan(buf_slice(&v->text), NULL, NULL), 0);
	ck_assert(json_member(json_root(buf_slice(&v->text)), "cases", &cases));
	json_enter(&v->cases, cases);
}

static inline bool vectors_next(struct vectors *v)
{
	bool more = json_next(&v->cases, NULL, &v->one);

	v->seen += more;
	return more;
}

/* All of the file were looked at: so many. */
static inline void vectors_close(struct vectors *v, unsigned n)
{
	ck_assert_uint_eq(v->seen, n);
	buf_finish(&v->text);
}

static inline bool value_at(struct arena *a, struct json_value v, const char *path, struct json_value *ret)
{
	struct slice rest = slice_str(path), name;

	while (rest.len > 0) {
		slice_cut(rest, '.', &name, &rest);
		if (!json_member(v, arena_printf(a, "%.*s", SLICE_ARG(name)), &v))
			return false;
	}
	*ret = v;
	return true;
}

/* "input.headers.nonce"; the empty slice with ptr NULL for absent or null; other values as JSON. */
static inline struct slice text_at(struct arena *a, struct json_value v, const char *path)
{
	struct slice text;

	if (!value_at(a, v, path, &v) || v.type == JSON_NULL)
		return (struct slice){0};
	if (v.type != JSON_STRING)
		return v.text;
	ck_assert_int_eq(json_string(v, a, &text), 0);
	return text;
}

#define ck_slice_eq(is, should, id) \
	do { \
		struct slice is_ = (is), should_ = (should), id_ = (id); \
		ck_assert_msg(slice_eq(is_, should_), "%.*s: is\n%.*s\nshould be\n%.*s", SLICE_ARG(id_), SLICE_ARG(is_), \
		    SLICE_ARG(should_)); \
	} while (0)

#define LOOP(tc, test, table) tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

static inline int run_suite(Suite *s, struct arena *a)
{
	SRunner *runner = srunner_create(s);
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	arena_finish(a);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif
