/* What is committed is in the files: a copy of them, taken while they are in use, has it all, read by the usual VFS. */
#include "store/projection_wal.h"

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/io.h"
#include "store/projection_file.h"

static char dir[64];
static sqlite3 *db;

static void run(const char *sql)
{
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
}

static void setup(void)
{
	char path[80];

	snprintf(dir, sizeof(dir), "/tmp/lulab-wal-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/a.db", dir);
	ck_assert_int_eq(projection_connect(&db, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE), SQLITE_OK);
	/* So small a cache writes pages of a transaction before its end. */
	run("pragma page_size = 2048; pragma journal_mode = wal; pragma synchronous = normal; pragma cache_size = 10;"
	    "create table t (id integer primary key, text text)");
}

static void teardown(void)
{
	sqlite3_close(db);
	tree_remove(dir);
}

static void add(const char *from, const char *to)
{
	char sql[256];

	snprintf(sql, sizeof(sql), "with recursive n (i) as (select %s union all select i + 1 from n where i < %s)"
	    "insert into t select i, hex(zeroblob(300)) from n", from, to);
	run(sql);
}

static void copy(const char *suffix)
{
	char from[80], to[80];
	FILE *in, *out;
	int c;

	snprintf(from, sizeof(from), "%s/a.db%s", dir, suffix);
	snprintf(to, sizeof(to), "%s/b.db%s", dir, suffix);
	in = fopen(from, "rb");
	out = fopen(to, "wb");
	ck_assert(in != NULL && out != NULL);
	while ((c = getc(in)) != EOF)
		putc(c, out);
	fclose(in);
	ck_assert_int_eq(fclose(out), 0);
}

/* The rows of a copy, which must be whole. */
static void copy_has(int rows)
{
	sqlite3_stmt *stmt = NULL;
	sqlite3 *other = NULL;
	char path[80];

	copy("");
	copy("-wal");
	snprintf(path, sizeof(path), "%s/b.db", dir);
	ck_assert_int_eq(sqlite3_open(path, &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_prepare_v2(other, "select count(*) from t where length(text) = 600 union all "
	    "select integrity_check = 'ok' from pragma_integrity_check", -1, &stmt, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	ck_assert_int_eq(sqlite3_column_int(stmt, 0), rows);
	ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
	ck_assert_int_eq(sqlite3_column_int(stmt, 0), 1);
	sqlite3_finalize(stmt);
	sqlite3_close(other);
	remove(path);
	snprintf(path, sizeof(path), "%s/b.db-wal", dir);
	remove(path);
}

START_TEST(every_commit_is_in_the_files)
{
	for (int i = 0; i < 20; i++) {
		char first[16], last[16];

		snprintf(first, sizeof(first), "%d", i * 50 + 1);
		snprintf(last, sizeof(last), "%d", i * 50 + 1 + i * 2);
		add(first, last);
		copy_has((i + 1) * (i + 1));
	}
}
END_TEST

START_TEST(long_transactions_are_whole_or_nothing)
{
	run("begin");
	add("1", "1000");
	run("update t set text = lower(text)"); /* pages that were written already are written over */
	copy_has(0);
	run("commit");
	copy_has(1000);
	run("begin");
	add("1001", "3000");
	copy_has(1000);
	run("rollback");
	copy_has(1000);
	add("5000", "5000");
	copy_has(1001);
}
END_TEST

START_TEST(a_checkpoint_between)
{
	add("1", "500");
	run("pragma wal_checkpoint(truncate)");
	copy_has(500);
	add("501", "600");
	copy_has(600);
	run("pragma wal_checkpoint(restart)");
	add("601", "601");
	copy_has(601);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("projection wal");
	TCase *tcase = tcase_create("files");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, every_commit_is_in_the_files);
	tcase_add_test(tcase, long_transactions_are_whole_or_nothing);
	tcase_add_test(tcase, a_checkpoint_between);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
