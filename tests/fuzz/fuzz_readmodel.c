/*
 * Fuzz entry: damage to the SQLite file of a read model, which is then opened
 * as the projector opens it and read as the query pool and the tools read it.
 * Whatever the damage, the outcome is rows or an error, and the error is one
 * that makes the projector set the file aside and build a new one.
 */
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "fuzz.h"
#include "patches.h"
#include "store/projection_file.h"
#include "store/projector.h"

#define FILE_MAX ((size_t)4 << 20)
#define ROWS 40

static char dir[64], path[96];
static struct buf good = BUF_INIT(FILE_MAX);

/* A row of the right types; a table that wants something else goes without. */
static void fill(sqlite3 *db, const char *table)
{
	sqlite3_stmt *info, *insert = NULL;
	struct buf sql = BUF_INIT(65536);
	int types[64] = {0}, n = 0;

	buf_printf(&sql, "pragma table_info(%s)", table);
	check(sqlite3_prepare_v2(db, sql.ptr, -1, &info, NULL) == SQLITE_OK);
	buf_clear(&sql);
	buf_printf(&sql, "insert or ignore into %s values (", table);
	while (sqlite3_step(info) == SQLITE_ROW && n < 64) {
		types[n] = sqlite3_column_text(info, 2)[0];
		buf_printf(&sql, "%s?", n++ == 0 ? "" : ",");
	}
	sqlite3_finalize(info);
	buf_append_str(&sql, ")");
	if (sqlite3_prepare_v2(db, sql.ptr, -1, &insert, NULL) == SQLITE_OK)
		for (int row = 1; row <= ROWS; row++) {
			for (int i = 0; i < n; i++) {
				if (types[i] == 'i' || types[i] == 'I')
					sqlite3_bind_int(insert, i + 1, row);
				else
					sqlite3_bind_text(insert, i + 1, i % 2 == 0 ? "17950000000000000" : "some text of a row", -1,
					    SQLITE_STATIC);
			}
			sqlite3_step(insert);
			sqlite3_reset(insert);
		}
	sqlite3_finalize(insert);
	buf_finish(&sql);
}

static void clean_up(void)
{
	tree_remove(dir);
}

static void make(void)
{
	struct projection_file *f = NULL;
	sqlite3 *db = NULL;

	snprintf(dir, sizeof(dir), "%s/lulab-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	check(mkdtemp(dir) != NULL);
	atexit(clean_up);
	snprintf(path, sizeof(path), "%s/model.db", dir);
	check(projection_file_open(&f, projections[0], path, NULL) == 0);
	projection_file_close(f);
	check(sqlite3_open(path, &db) == SQLITE_OK && projection_register_functions(db) == 0);
	for (unsigned i = 0; projections[0]->tables[i].name != NULL; i++)
		fill(db, projections[0]->tables[i].name);
	check(sqlite3_total_changes(db) > ROWS);
	check(sqlite3_exec(db, "pragma wal_checkpoint(truncate)", NULL, NULL, NULL) == SQLITE_OK);
	sqlite3_close(db);
	check(file_read(&good, path) == 0 && good.len > 16384);
}

static void put(struct slice bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	check(fd >= 0 && write(fd, bytes.ptr, bytes.len) == (ssize_t)bytes.len);
	close(fd);
}

static void read_rows(void)
{
	sqlite3 *db = NULL;
	uint64_t position;

	if (projection_open_readonly(&db, path) == 0 && projection_read_position(db, &position) == 0)
		for (unsigned i = 0; projections[0]->lists[i] != NULL; i++) {
			const struct list_def *l = projections[0]->lists[i];
			struct buf sql = BUF_INIT(65536);
			sqlite3_stmt *stmt = NULL;

			buf_printf(&sql, "select %s from %s", l->select, l->from);
			if (sqlite3_prepare_v2(db, sql.ptr, -1, &stmt, NULL) == SQLITE_OK)
				while (sqlite3_step(stmt) == SQLITE_ROW)
					check(sqlite3_column_count(stmt) > 0);
			sqlite3_finalize(stmt);
			buf_finish(&sql);
		}
	projection_close_readonly(db);
}

void fuzz_one(struct slice input)
{
	struct buf damaged = BUF_INIT(FILE_MAX), problem = BUF_INIT(4096);
	struct projection_file *f = NULL;
	uint8_t digest[SHA256_LEN];
	uint64_t position;
	int rc;

	if (good.len == 0)
		make();
	check(buf_append(&damaged, buf_slice(&good)) == 0);
	patches_apply(&damaged, input);
	projection_file_remove(path);
	put(buf_slice(&damaged));
	rc = projection_digest(path, projections[0], digest, &position);
	check(rc <= 0);
	read_rows();
	rc = projection_file_open(&f, projections[0], path, &problem);
	if (rc == 0 && projection_file_begin(f) == 0) {
		rc = projection_file_flush(f, &problem);
		if (rc == 0)
			rc = projection_file_commit(f, digest);
		if (rc != 0)
			projection_file_rollback(f);
	}
	check(rc == 0 || projection_file_is_lost(rc) || rc == ERR_NOMEM);
	projection_file_close(f);
	buf_finish(&damaged);
	buf_finish(&problem);
}
