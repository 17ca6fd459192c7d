/*
 * Says of each line on stdin, "<schema> TAB <JSON>", what our codec finds wrong
 * with it: one line each, a JSON array of "path code", empty when it is good.
 * test_judge.py holds the answers against those of a stock validator.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "domain/event.h"
#include "params.gen.h"
#include "requests.gen.h"
#include "sample.gen.h"

#define LINE_MAX_BYTES (1 << 20)

static const struct schema *find_in(const struct schema *const *list, struct slice name)
{
	for (; *list != NULL; list++) {
		if (slice_is(name, (*list)->name))
			return *list;
	}
	return NULL;
}

static const struct schema *find(struct slice name)
{
	const struct schema *const *const families[] = {schemas_requests, schemas_params, schemas_sample};
	const struct schema *found = NULL;

	for (size_t i = 0; i < event_types_n; i++) {
		if (slice_is(name, event_types[i].schema->name))
			return event_types[i].schema;
	}
	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]) && found == NULL; i++)
		found = find_in(families[i], name);
	return found;
}

static int judge(struct slice line)
{
	struct arena arena = ARENA_INIT(16 << 20);
	struct problems problems = PROBLEMS_INIT(&arena);
	struct buf out = BUF_INIT(LINE_MAX_BYTES);
	struct json_writer w = JSON_WRITER(&out);
	struct slice name, json;
	const struct schema *s;
	void *data;
	int rc = 0;

	if (!slice_cut(line, '\t', &name, &json) || (s = find(name)) == NULL) {
		fprintf(stderr, "schema_judge: no such schema: %.*s\n", SLICE_ARG(name));
		return ERR_NOT_FOUND;
	}
	data = arena_alloc(&arena, s->size);
	if (data == NULL)
		return ERR_NOMEM;
	rc = schema_decode(s, json, &arena, data, &problems);
	json_begin_array(&w);
	for (size_t i = 0; i < problems.n; i++)
		json_put_str(&w, arena_printf(&arena, "%s %s", problems.items[i].path, problems.items[i].code));
	if (rc != 0 && problems.n == 0)
		json_put_str(&w, err_name(rc));
	json_end_array(&w);
	printf("%s\n", out.ptr);
	buf_finish(&out);
	arena_finish(&arena);
	return 0;
}

int main(void)
{
	char *line = NULL;
	size_t cap = 0;
	ssize_t len;
	int rc = 0;

	while (rc == 0 && (len = getline(&line, &cap, stdin)) > 0) {
		if (line[len - 1] == '\n')
			len--;
		rc = judge(slice_of(line, (size_t)len));
	}
	free(line);
	return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
