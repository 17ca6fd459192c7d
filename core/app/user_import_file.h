/*
 * A CSV file of accounts: looked through before anything is made of it, then
 * read row by row, each as the body of POST /api/v1/users. Pure.
 */
#ifndef LULAB_APP_USER_IMPORT_FILE_H
#define LULAB_APP_USER_IMPORT_FILE_H

#include "base/buf.h"
#include "base/csv.h"
#include "domain/account.h"

#define IMPORT_BYTES_MAX (1 << 20)
#define IMPORT_ROWS_MAX 5000
#define IMPORT_COLUMNS_MAX 16

struct import_file {
	const char *columns[IMPORT_COLUMNS_MAX];
	size_t n_columns;
	size_t n_rows; /* import_file_check() tells */
	struct csv_reader reader; /* private; stands behind the row read last */
};

struct import_row {
	uint64_t line; /* where it begins */
	struct slice fields[IMPORT_COLUMNS_MAX];
	size_t n;      /* 0: more than there may be */
};

/* Reads the first line. text is borrowed. ERR_INVALID with a sentence in *why, in the arena. */
int import_file_open(struct import_file *f, struct slice text, struct arena *arena, struct said *why);
/* And all the others. The file has to be opened again after it. */
int import_file_check(struct import_file *f, struct slice text, struct arena *arena, struct said *why);

/* Fields are borrowed from the text or in the arena. ERR_END. */
int import_file_next(struct import_file *f, struct arena *arena, struct import_row *ret);

/* The row as a body; *ret_hash is its passwordHash, or empty. ERR_INVALID: it is none; *why and *ret_field (a column, or NULL). */
int import_row_body(const struct import_file *f, const struct import_row *row, struct buf *out, struct slice *ret_hash,
    struct said *why, const char **ret_field);

/* The column that a text about it begins with, as "/email" or "email: ..."; NULL: none. */
const char *import_column_told(struct slice text);

#endif
