/* The limit of a rebuild: the same rows put into the same table by bare SQLite. Its tables: bench_sqlite.h. */
#include <stdio.h>
#include <stdlib.h>

#include <sqlite3.h>

#include "base/io.h"
#include "bench.h"
#include "bench_sqlite.h"
#include "store/projection.h"
#include "store/sqlfn.h"
#include "store/tokenizer.h"

#define COLUMNS_MAX 64
#define ROWS_MAX 200000
#define SQL_MAX ((size_t)16384)

struct rows {
	char *names[COLUMNS_MAX];
	unsigned n_columns;
	sqlite3_value **values; /* n_rows times n_columns */
	size_t n_rows;
};

static void rows_finish(struct rows *r)
{
	for (unsigned i = 0; i < r->n_columns; i++)
		free(r->names[i]);
	for (size_t i = 0; r->values != NULL && i < r->n_rows * r->n_columns; i++)
		sqlite3_value_free(r->values[i]);
	free(r->values);
}

/* Stored columns only: what the table computes by itself is nobody's to insert. */
static int read_names(struct rows *r, sqlite3 *db)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "select name from pragma_table_info('meetings')", -1, &stmt, NULL);

	while (rc == SQLITE_OK && sqlite3_step(stmt) == SQLITE_ROW && r->n_columns < COLUMNS_MAX) {
		r->names[r->n_columns] = strdup((const char *)sqlite3_column_text(stmt, 0));
		if (r->names[r->n_columns++] == NULL)
			rc = SQLITE_NOMEM;
	}
	sqlite3_finalize(stmt);
	return rc == SQLITE_OK && r->n_columns > 1 ? 0 : ERR_IO;
}

/* "a, b, c" with a prefix and a suffix for each. */
static void put_list(struct buf *sql, const struct rows *r, unsigned from, const char *format_as)
{
	for (unsigned i = from; i < r->n_columns; i++) {
		if (i > from)
			buf_append_str(sql, ", ");
		if (strcmp(format_as, "name") == 0)
			buf_append_str(sql, r->names[i]);
		else if (strcmp(format_as, "bind") == 0)
			buf_printf(sql, "?%u", i + 1);
		else
			buf_printf(sql, "%s = excluded.%s", r->names[i], r->names[i]);
	}
}

static int read_rows(struct rows *r, sqlite3 *db)
{
	struct buf sql = BUF_INIT(SQL_MAX);
	sqlite3_stmt *stmt = NULL;
	int rc;

	r->values = calloc((size_t)ROWS_MAX * r->n_columns, sizeof(*r->values));
	buf_append_str(&sql, "select ");
	put_list(&sql, r, 0, "name");
	rc = buf_printf(&sql, " from meetings limit %d", ROWS_MAX);
	if (r->values == NULL || rc != 0)
		rc = ERR_NOMEM;
	if (rc == 0 && sqlite3_prepare_v2(db, sql.ptr, -1, &stmt, NULL) != SQLITE_OK)
		rc = ERR_IO;
	while (rc == 0 && sqlite3_step(stmt) == SQLITE_ROW) {
		for (unsigned i = 0; i < r->n_columns; i++)
			r->values[r->n_rows * r->n_columns + i] =
			    sqlite3_value_dup(sqlite3_column_value(stmt, (int)i));
		r->n_rows++;
	}
	sqlite3_finalize(stmt);
	buf_finish(&sql);
	return rc;
}

static int prepare_upsert(const struct rows *r, sqlite3 *db, sqlite3_stmt **ret)
{
	struct buf sql = BUF_INIT(SQL_MAX);
	int rc;

	/* The first column is the key. */
	buf_append_str(&sql, "insert into meetings (");
	put_list(&sql, r, 0, "name");
	buf_append_str(&sql, ") values (");
	put_list(&sql, r, 0, "bind");
	buf_printf(&sql, ") on conflict (%s) do update set ", r->names[0]);
	put_list(&sql, r, 1, "update");
	rc = sql.rc != 0 || sqlite3_prepare_v2(db, sql.ptr, -1, ret, NULL) != SQLITE_OK ? ERR_IO : 0;
	buf_finish(&sql);
	return rc;
}

/* Each row as many times in a row as a meeting has events. */
static int upsert(const struct rows *r, sqlite3 *db, sqlite3_stmt *stmt, uint64_t n, unsigned batch)
{
	uint64_t repeat = n / r->n_rows + 1;

	for (uint64_t i = 0; i < n; i++) {
		size_t row = (size_t)(i / repeat);
		bool last = i + 1 == n || (i + 1) % batch == 0;

		if (i % batch == 0 && sqlite3_exec(db, "begin", NULL, NULL, NULL) != SQLITE_OK)
			return ERR_IO;
		for (unsigned c = 0; c < r->n_columns; c++)
			sqlite3_bind_value(stmt, (int)c + 1, r->values[row * r->n_columns + c]);
		if (sqlite3_step(stmt) != SQLITE_DONE)
			return ERR_IO;
		sqlite3_reset(stmt);
		if (last && sqlite3_exec(db, "commit", NULL, NULL, NULL) != SQLITE_OK)
			return ERR_IO;
	}
	return 0;
}

int bench_model_tables(sqlite3 *db, const struct projection *model, bool bare)
{
	for (size_t i = 0; model->ddl[i] != NULL; i++) {
		bool is_bare = strstr(model->ddl[i], "create trigger ") == NULL && strstr(model->ddl[i], "create view ") == NULL;

		if ((is_bare || !bare) && sqlite3_exec(db, model->ddl[i], NULL, NULL, NULL) != SQLITE_OK)
			return ERR_IO;
	}
	return 0;
}

static int open_target(const struct bench *b, sqlite3 **ret)
{
	char path[BENCH_PATH_MAX];

	bench_path(b, path, "raw.db");
	tree_remove(path);
	if (sqlite3_open(path, ret) != SQLITE_OK || sqlfn_register(*ret) != 0 ||
	    tokenizer_register(*ret) != 0)
		return ERR_IO;
	if (sqlite3_exec(*ret, "pragma journal_mode = wal; pragma synchronous = normal; "
			       "pragma cache_size = -32768; pragma temp_store = memory",
		NULL, NULL, NULL) != SQLITE_OK)
		return ERR_IO;
	return bench_model_tables(*ret, projection_find("meetings"), false);
}

struct bench_row *bench_limit_sqlite(struct bench *b, const char *path, uint64_t n, int *ret_rc)
{
	static const unsigned batches[] = {1000, 10000};
	struct bench_row *row = bench_row(b, "raw SQLite upserts of the same meetings");
	struct rows r = {.n_rows = 0};
	sqlite3 *db = NULL;

	*ret_rc = sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK || sqlfn_register(db) != 0 ||
	        tokenizer_register(db) != 0
	    ? ERR_IO : read_names(&r, db);
	if (*ret_rc == 0)
		*ret_rc = read_rows(&r, db);
	sqlite3_close(db);
	if (*ret_rc == 0 && r.n_rows == 0)
		*ret_rc = ERR_NOT_FOUND;
	for (size_t i = 0; *ret_rc == 0 && i < sizeof(batches) / sizeof(batches[0]); i++) {
		sqlite3_stmt *stmt = NULL;
		int64_t start_us;
		double best = row->rate;

		db = NULL;
		*ret_rc = open_target(b, &db);
		if (*ret_rc == 0)
			*ret_rc = prepare_upsert(&r, db, &stmt);
		start_us = bench_now_us(b);
		if (*ret_rc == 0)
			*ret_rc = upsert(&r, db, stmt, n, batches[i]);
		bench_row_fill(row, "upserts", n, bench_now_us(b) - start_us, NULL);
		if (row->rate < best)
			row->rate = best;
		else
			snprintf(row->note, sizeof(row->note), "%zu rows, %u a transaction", r.n_rows, batches[i]);
		if (*ret_rc != 0)
			fprintf(stderr, "raw SQLite upserts: %s\n", db == NULL ? "no database" : sqlite3_errmsg(db));
		sqlite3_finalize(stmt);
		sqlite3_close(db);
	}
	rows_finish(&r);
	return row;
}
