/*
 * One listing, two forms. In table form cells go to libsmartcols, which knows
 * how wide a Chinese character is; in JSON form each row is written at once.
 */
#include "table.h"

#include <assert.h>
#include <libsmartcols.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"

enum { ROW_BYTES_MAX = 1 << 20 };

struct table {
	FILE *out;
	const struct table_column *columns;
	unsigned n_columns, next; /* next: the column the next cell goes to */
	uint64_t n_rows;
	bool json;
	int rc; /* first failure */
	struct libscols_table *cols; /* table form */
	struct libscols_line *line;
	struct buf row; /* JSON form: the row being written */
	struct json_writer writer;
};

static int open_columns(struct table *t)
{
	t->cols = scols_new_table();
	if (t->cols == NULL)
		return ERR_NOMEM;
	scols_table_enable_noheadings(t->cols, 0);
	for (unsigned i = 0; i < t->n_columns; i++) {
		enum table_kind kind = t->columns[i].kind;
		int flags = kind == TABLE_NUMBER || kind == TABLE_BYTES ? SCOLS_FL_RIGHT
		    : kind == TABLE_WRAP ? SCOLS_FL_WRAP : 0;

		if (scols_table_new_column(t->cols, t->columns[i].title, 0, flags) == NULL)
			return ERR_NOMEM;
	}
	scols_table_set_stream(t->cols, t->out);
	return 0;
}

int table_open(struct table **ret_table, FILE *out, const struct table_column *columns, bool json)
{
	struct table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return ERR_NOMEM;
	*t = (struct table){.out = out, .columns = columns, .json = json, .row = BUF_INIT(ROW_BYTES_MAX)};
	while (columns[t->n_columns].title != NULL)
		t->n_columns++;
	assert(t->n_columns > 0);
	if (!json)
		t->rc = open_columns(t);
	if (t->rc != 0)
		return table_close(t);
	*ret_table = t;
	return 0;
}

/* Ready for the next cell; returns its column, or NULL after a failure. */
static const struct table_column *begin_cell(struct table *t)
{
	const struct table_column *column = &t->columns[t->next];

	if (t->rc != 0)
		return NULL;
	if (t->next == 0 && t->json) {
		buf_clear(&t->row);
		t->writer = JSON_WRITER(&t->row);
		json_begin_object(&t->writer);
	} else if (t->next == 0) {
		t->line = scols_table_new_line(t->cols, NULL);
		if (t->line == NULL) {
			t->rc = ERR_NOMEM;
			return NULL;
		}
	}
	if (t->json)
		json_name(&t->writer, column->name);
	return column;
}

static void end_cell(struct table *t)
{
	if (++t->next < t->n_columns)
		return;
	t->next = 0;
	if (t->json) {
		json_end_object(&t->writer);
		t->rc = t->row.rc;
		if (t->rc == 0)
			fprintf(t->out, "%s\n%.*s", t->n_rows == 0 ? "[" : ",", SLICE_ARG(buf_slice(&t->row)));
	}
	t->n_rows++;
}

static void cell_text(struct table *t, const char *text)
{
	if (scols_line_set_data(t->line, t->next, text) != 0)
		t->rc = ERR_NOMEM;
}

void table_put(struct table *t, struct slice text)
{
	const struct table_column *column = begin_cell(t);
	char *copy;

	if (column == NULL)
		return;
	assert(column->kind == TABLE_TEXT || column->kind == TABLE_WRAP || column->kind == TABLE_JSON);
	if (t->json && column->kind == TABLE_JSON) {
		json_put_raw(&t->writer, text);
	} else if (t->json) {
		json_put_string(&t->writer, text);
	} else {
		copy = strndup(text.ptr == NULL ? "" : text.ptr, text.len);
		if (copy == NULL)
			t->rc = ERR_NOMEM;
		else
			cell_text(t, copy);
		free(copy);
	}
	end_cell(t);
}

void table_put_none(struct table *t)
{
	if (begin_cell(t) == NULL)
		return;
	if (t->json)
		json_put_null(&t->writer);
	end_cell(t);
}

void table_put_str(struct table *t, const char *text)
{
	if (text == NULL)
		table_put_none(t);
	else
		table_put(t, slice_str(text));
}

/* 1536 -> "1.5 KiB" */
static void bytes_text(char *ret_text, size_t cap, uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	snprintf(ret_text, cap, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

void table_put_u64(struct table *t, uint64_t value)
{
	const struct table_column *column = begin_cell(t);
	char text[32];

	if (column == NULL)
		return;
	assert(column->kind == TABLE_NUMBER || column->kind == TABLE_BYTES);
	if (t->json) {
		json_put_u64(&t->writer, value);
	} else {
		if (column->kind == TABLE_BYTES)
			bytes_text(text, sizeof(text), value);
		else
			snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
		cell_text(t, text);
	}
	end_cell(t);
}

void table_put_i64(struct table *t, int64_t value)
{
	const struct table_column *column = begin_cell(t);
	char text[32];

	if (column == NULL)
		return;
	assert(column->kind == TABLE_NUMBER);
	if (t->json) {
		json_put_i64(&t->writer, value);
	} else {
		snprintf(text, sizeof(text), "%lld", (long long)value);
		cell_text(t, text);
	}
	end_cell(t);
}

void table_put_bool(struct table *t, bool value)
{
	const struct table_column *column = begin_cell(t);

	if (column == NULL)
		return;
	assert(column->kind == TABLE_BOOL);
	if (t->json)
		json_put_bool(&t->writer, value);
	else
		cell_text(t, value ? "yes" : "no");
	end_cell(t);
}

void table_put_time(struct table *t, int64_t wall_us)
{
	const struct table_column *column = begin_cell(t);
	char text[TIME_TEXT_LEN + 1];

	if (column == NULL)
		return;
	assert(column->kind == TABLE_TIME);
	time_format_us(text, wall_us);
	if (t->json) {
		json_put_str(&t->writer, text);
	} else {
		/* 2026-11-23T22:39:15.123456Z -> 2026-11-23 22:39:15 */
		text[10] = ' ';
		text[19] = '\0';
		cell_text(t, text);
	}
	end_cell(t);
}

int table_close(struct table *t)
{
	int rc;

	if (t == NULL)
		return 0;
	assert(t->next == 0 || t->rc != 0);
	if (t->rc == 0 && t->json)
		fputs(t->n_rows == 0 ? "[]\n" : "\n]\n", t->out);
	else if (t->rc == 0 && t->n_rows > 0 && scols_print_table(t->cols) != 0)
		t->rc = ERR_IO;
	if (t->rc == 0 && (fflush(t->out) != 0 || ferror(t->out)))
		t->rc = ERR_IO;
	rc = t->rc;
	if (t->cols != NULL)
		scols_unref_table(t->cols);
	buf_finish(&t->row);
	free(t);
	return rc;
}
