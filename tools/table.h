/*
 * Listings, declared once and printed two ways: as a table whose columns stay
 * aligned with Chinese text (libsmartcols), or as a JSON array of objects, one
 * a line. Cells are given row by row in the order of the columns.
 *
 *     static const struct table_column columns[] = {
 *             {"POSITION", "position", TABLE_NUMBER},
 *             {"TITLE", "title", TABLE_TEXT}, {0}};
 *
 *     table_open(&t, stdout, columns, json);
 *     table_put_u64(t, position);
 *     table_put_str(t, title);
 *     rc = table_close(t);
 */
#ifndef LULAB_TOOLS_TABLE_H
#define LULAB_TOOLS_TABLE_H

#include <stdio.h>

#include "base/slice.h"

enum table_kind {
	TABLE_TEXT,   /* left; a JSON string */
	TABLE_NUMBER, /* right; a JSON number */
	TABLE_BYTES,  /* right; "1.5 MiB" in the table, the number of bytes in JSON */
	TABLE_BOOL,   /* "yes" and "no"; true and false */
	TABLE_TIME,   /* UTC to the second in the table; RFC 3339 with microseconds in JSON */
	TABLE_JSON,   /* a JSON text, taken as it is */
	TABLE_WRAP,   /* as TABLE_TEXT, wrapped at the width of the terminal */
};

struct table_column {
	const char *title; /* head of the column; NULL ends a list */
	const char *name;  /* member name in JSON, camelCase */
	enum table_kind kind;
};

struct table;

/* Columns and `out` are borrowed until table_close(). ERR_NOMEM. */
int table_open(struct table **ret_table, FILE *out, const struct table_column *columns, bool json);

/* The next cell; the kind of its column must fit (asserted). The first failure sticks until table_close(). */
void table_put(struct table *t, struct slice text); /* TEXT, WRAP, JSON */
void table_put_str(struct table *t, const char *text); /* as table_put; NULL as table_put_none */
void table_put_u64(struct table *t, uint64_t value); /* NUMBER, BYTES */
void table_put_i64(struct table *t, int64_t value);  /* NUMBER */
void table_put_bool(struct table *t, bool value);
void table_put_time(struct table *t, int64_t wall_us);
void table_put_none(struct table *t); /* an empty cell, null in JSON */

/* Prints what was put, frees the table. 0, ERR_NOMEM, ERR_IO. NULL is fine. */
int table_close(struct table *t);

#endif
