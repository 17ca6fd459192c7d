/* What is committed is in the files: a copy of them, taken while they are in use, has it all, read by the usual VFS. */
#include "store/projection_wal.h"

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

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

static off_t told_to, told_in_all, told_most, told_of_file;
static int n_told, n_anew;

static bool is_file(const struct stat *st, const char *suffix)
{
	struct stat named;
	char path[80];

	snprintf(path, sizeof(path), "%s/a.db%s", dir, suffix);
	return stat(path, &named) == 0 && named.st_ino == st->st_ino;
}

static void note_writeback(int fd, off_t from, off_t len)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_int_le(from + len, st.st_size); /* nothing that is not written yet, */
	ck_assert_int_eq(from % 4096, 0);
	ck_assert_int_eq(len % 4096, 0);
	ck_assert_int_gt(len, 0); /* that would be all of the file */
	if (is_file(&st, "")) { /* a checkpoint's, of the pages that changed */
		told_of_file += len;
		return;
	}
	ck_assert(is_file(&st, "-wal"));
	if (from == 0)
		n_anew++;
	else
		ck_assert_int_eq(from, told_to); /* and nothing left out */
	told_to = from + len;
	told_in_all += len;
	if (len > told_most)
		told_most = len;
	n_told++;
}

/* What a sync finds to do is bounded, however much was written since the one before. */
START_TEST(the_disk_begins_before_the_sync)
{
	static struct io told;

	told = io_system;
	told.start_writeback = note_writeback;
	io_calls = &told;
	run("pragma wal_autocheckpoint = 0; pragma cache_size = 1000"); /* no page is written twice in a transaction */
	for (int round = 1; round <= 2; round++) {
		for (int i = 0; i < 40; i++) {
			char first[16], last[16];

			snprintf(first, sizeof(first), "%d", (round * 40 + i) * 200 + 1);
			snprintf(last, sizeof(last), "%d", (round * 40 + i) * 200 + 200);
			add(first, last);
		}
		run("pragma wal_checkpoint(restart)");
		ck_assert_int_eq(n_anew, round); /* the second time at the beginning of the WAL again */
		ck_assert_int_gt(told_of_file, round * 8000 * 600 - (1 << 20));
	}
	/* 2 * 8,000 rows of 600 bytes, and some pages more than once. */
	ck_assert_int_gt(told_in_all, 2 * 8000 * 600);
	ck_assert_int_gt(n_told, 2 * 8000 * 600 / (320 << 10));
	ck_assert_int_le(told_most, (256 << 10) + (64 << 10) + 4096);
	io_calls = &io_system;
	copy_has(16000);
}
END_TEST

static int n_hints;

static void note_hint(int fd, off_t from, off_t len)
{
	(void)fd;
	(void)from;
	ck_assert_int_gt(len, 0);
	n_hints++;
}

/* By the system call itself: SQLite writes nothing so often. */
START_TEST(less_than_a_page_is_not_all_of_the_file)
{
	static struct io told;
	static const char bytes[1000];
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	ssize_t (*write_at)(int, const void *, size_t, off_t) =
	    (ssize_t (*)(int, const void *, size_t, off_t))vfs->xGetSystemCall(vfs, "pwrite64");
	FILE *file = tmpfile();

	ck_assert(write_at != NULL && file != NULL);
	told = io_system;
	told.start_writeback = note_hint;
	io_calls = &told;
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(write_at(fileno(file), bytes, sizeof(bytes), 0), (ssize_t)sizeof(bytes));
	ck_assert_int_eq(n_hints, 0);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(write_at(fileno(file), bytes, sizeof(bytes), i * (off_t)sizeof(bytes)), (ssize_t)sizeof(bytes));
	ck_assert_int_gt(n_hints, 1);
	io_calls = &io_system;
	fclose(file);
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
	tcase_add_test(tcase, the_disk_begins_before_the_sync);
	tcase_add_test(tcase, less_than_a_page_is_not_all_of_the_file);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
