/* What the service answers in pages, as a table. See service.h. */
#include <stdio.h>

#include "base/codec.h"
#include "base/err.h"
#include "service.h"

#define ANSWER_MAX (8 << 20)
#define PATH_BYTES_MAX 2048

struct slice service_text(struct json_value row, const char *name, struct arena *arena)
{
	struct slice text = {0};
	struct json_value v;

	if (!json_member(row, name, &v))
		return text;
	if (v.type == JSON_STRING)
		json_string(v, arena, &text);
	else if (v.type != JSON_NULL)
		text = v.text;
	return text;
}

void service_put_option(struct json_writer *w, const struct invocation *in, const char *option, const char *member)
{
	const char *value = option_text(in, option);

	if (value == NULL)
		return;
	json_name(w, member);
	json_put_str(w, value);
}

static void put_cell(struct table *t, const struct table_column *c, struct slice text)
{
	int64_t n;

	if (c->kind == TABLE_NUMBER && slice_to_i64(text, &n) == 0)
		table_put_i64(t, n);
	else if (c->kind == TABLE_BOOL)
		table_put_bool(t, slice_is(text, "true"));
	else if (c->kind == TABLE_TEXT && text.len > 0)
		table_put(t, text);
	else
		table_put_none(t);
}

/* The rows of a page, and where the next begins: empty after the last. */
static int put_page(struct table *t, const struct table_column *columns, struct slice answer, struct buf *cursor)
{
	struct arena arena = ARENA_INIT(2 * ANSWER_MAX);
	struct json_value page = json_root(answer), data, row, pagination;
	struct json_reader r;

	buf_clear(cursor);
	if (json_member(page, "pagination", &pagination))
		buf_append(cursor, service_text(pagination, "nextCursor", &arena));
	if (json_member(page, "data", &data)) {
		json_enter(&r, data);
		while (json_next(&r, NULL, &row))
			for (const struct table_column *c = columns; c->title != NULL; c++)
				put_cell(t, c, service_text(row, c->name, &arena));
	}
	arena_finish(&arena);
	return cursor->rc;
}

static void write_path(struct buf *path, const struct service_list *list, const struct invocation *in, struct slice cursor)
{
	buf_printf(path, "%s?limit=100", list->path);
	for (const char *const *name = list->options; name != NULL && *name != NULL; name++)
		if (option_text(in, *name) != NULL) {
			buf_printf(path, "&%s=", *name);
			percent_encode(path, slice_str(option_text(in, *name)));
		}
	if (cursor.len > 0)
		buf_printf(path, "&cursor=%.*s", SLICE_ARG(cursor));
}

static enum exit_status put_pages(struct service *s, const struct service_list *list, struct table *t)
{
	struct buf cursor = BUF_INIT(PATH_BYTES_MAX);
	enum exit_status status;
	int rc = 0;

	do {
		struct buf path = BUF_INIT(PATH_BYTES_MAX), answer = BUF_INIT(ANSWER_MAX);

		write_path(&path, list, s->in, buf_slice(&cursor));
		status = path.rc != 0 ? command_fail_usage(s->in, "what is asked for is too long")
		                      : service_ask(s, "GET", path.ptr, (struct slice){0}, &answer);
		if (status == STATUS_OK)
			rc = put_page(t, list->columns, buf_slice(&answer), &cursor);
		if (rc != 0)
			status = command_fail_err(s->in, rc, "cannot list %s", list->what);
		buf_finish(&path);
		buf_finish(&answer);
	} while (status == STATUS_OK && cursor.len > 0 && !command_interrupted());
	buf_finish(&cursor);
	return status;
}

enum exit_status service_list(struct invocation *in, const struct service_list *list)
{
	struct service s;
	struct table *t = NULL;
	enum exit_status status = service_open(&s, in);
	int rc = 0;

	if (status == STATUS_OK)
		rc = table_open(&t, stdout, list->columns, option_is_set(in, "json"));
	if (status == STATUS_OK && rc == 0)
		status = put_pages(&s, list, t);
	if (status == STATUS_OK && rc == 0)
		rc = table_close(t);
	if (rc != 0)
		status = command_fail_err(in, rc, "cannot list %s", list->what);
	service_close(&s);
	return status;
}
