/* One value, one text: see json_put_sorted() in json.h. */
#include <stdlib.h>

#include "base/err.h"
#include "base/json.h"
#include "base/planted.h"

struct member {
	struct slice name;
	struct json_value value;
};

static int by_name(const void *a, const void *b)
{
	return slice_cmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static size_t count(struct json_value v)
{
	struct json_reader r;
	size_t n = 0;

	json_enter(&r, v);
	while (json_next(&r, NULL, &v))
		n++;
	return n;
}

static int put_object(struct json_writer *w, struct json_value v, struct arena *a)
{
	struct member *members = arena_alloc(a, (count(v) + 1) * sizeof(*members));
	struct json_reader r;
	struct slice name;
	size_t n = 0;
	int rc = members == NULL ? ERR_NOMEM : 0;

	json_begin_object(w);
	json_enter(&r, v);
	while (rc == 0 && json_next(&r, &name, &members[n].value))
		rc = json_string(json_value_of_name(name), a, &members[n++].name);
	if (rc == 0)
		qsort(members, PLANTED(last_unsorted) && n > 0 ? n - 1 : n, sizeof(*members), by_name);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		json_name_slice(w, members[i].name);
		rc = json_put_sorted(w, members[i].value, a);
	}
	if (rc == 0)
		json_end_object(w);
	return rc;
}

static int put_array(struct json_writer *w, struct json_value v, struct arena *a)
{
	struct json_reader r;
	int rc = 0;

	json_begin_array(w);
	json_enter(&r, v);
	while (rc == 0 && json_next(&r, NULL, &v))
		rc = json_put_sorted(w, v, a);
	if (rc == 0)
		json_end_array(w);
	return rc;
}

int json_put_sorted(struct json_writer *w, struct json_value v, struct arena *a)
{
	struct slice text;
	int rc;

	switch (v.type) {
	case JSON_OBJECT:
		return put_object(w, v, a);
	case JSON_ARRAY:
		return put_array(w, v, a);
	case JSON_STRING:
		rc = json_string(v, a, &text);
		if (rc == 0)
			json_put_string(w, text);
		return rc;
	default:
		json_put_raw(w, v.text);
		return w->out->rc;
	}
}
