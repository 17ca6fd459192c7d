/*
 * What goes wrong around the event log: a sync that fails, a disk that fills, a
 * second writer, bytes that were changed, events that were lost.
 *
 * LMDB makes its system calls through the C library's names, which this
 * program takes for itself: the functions below fail when told to.
 */
#include "log_fixture.h"

#include <errno.h>
#include <lmdb.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "domain/note.h"
#include "store/log_format.h"

static _Atomic int fail_sync, fail_write; /* errno to give, 0: none */
static _Atomic int n_failed_writes;

int fdatasync(int fd)
{
	if (fail_sync != 0) {
		errno = fail_sync;
		return -1;
	}
	return (int)syscall(SYS_fdatasync, fd);
}

/* The library was built with the short names of these, whatever ours are. */
ssize_t library_pwrite(int fd, const void *bytes, size_t len, off_t at) __asm__("pwrite");
ssize_t library_writev(int fd, const struct iovec *parts, int n) __asm__("writev");

ssize_t library_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	if (fail_write != 0) {
		n_failed_writes++;
		errno = fail_write;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t library_writev(int fd, const struct iovec *parts, int n)
{
	if (fail_write != 0) {
		n_failed_writes++;
		errno = fail_write;
		return -1;
	}
	return syscall(SYS_writev, fd, parts, n);
}

static struct log_fixture f;

static void setup(void)
{
	fail_sync = fail_write = 0;
	log_fixture_init(&f);
}

static void teardown(void)
{
	fail_sync = fail_write = 0;
	log_fixture_finish(&f);
}

/* ---- a commit that fails -------------------------------------------------------- */

static _Atomic int fatal_calls, fatal_err;

static void on_fatal(void *arg, int err)
{
	(void)arg;
	fatal_err = err;
	fatal_calls++;
}

static void failing_commit(_Atomic int *what, int errnum)
{
	uint64_t before;

	fatal_calls = 0;
	f.options.on_fatal = on_fatal;
	log_fixture_open(&f);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a", .once = "kept"}), 0);
	before = eventlog_size(f.log);
	*what = errnum;
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a", .once = "unknown"}), ERR_UNKNOWN_OUTCOME);
	*what = 0;
	/* The disk works again; that is not believed. */
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), ERR_UNAVAILABLE);
	ck_assert_int_eq(eventlog_put_note(f.log, 1, SLICE("note")), ERR_UNAVAILABLE);
	ck_assert_uint_eq(eventlog_size(f.log), before);
	ck_assert_ptr_nonnull(eventlog_refusal(f.log));
	log_fixture_close(&f);
	ck_assert_int_eq(fatal_calls, 1);
	ck_assert_int_ne(fatal_err, 0);
	/* The next start finds out: the acknowledged one is there, the other may be. */
	log_fixture_open(&f);
	ck_assert_uint_ge(eventlog_size(f.log), 1);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a", .once = "unknown"}), 0);
	ck_assert_uint_eq(eventlog_size(f.log), 2);
}

START_TEST(a_failed_sync_is_final)
{
	failing_commit(&fail_sync, EIO);
}
END_TEST

START_TEST(a_failed_write_is_final)
{
	failing_commit(&fail_write, ENOSPC);
}
END_TEST

/* Appends that wait behind the failing one are told as well, and nothing hangs. */
static void *appender(void *arg)
{
	int *rc = arg;

	*rc = append_one(f.log, &(struct test_event){.stream = "a"});
	return NULL;
}

START_TEST(everyone_waiting_is_told)
{
	pthread_t threads[8];
	int rcs[8];

	log_fixture_open(&f);
	fail_sync = EIO;
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, appender, &rcs[i]), 0);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], NULL);
		ck_assert(rcs[i] == ERR_UNKNOWN_OUTCOME || rcs[i] == ERR_UNAVAILABLE);
	}
	fail_sync = 0;
}
END_TEST

/* ---- a disk that fills ---------------------------------------------------------- */

static _Atomic uint64_t free_bytes;

static int disk_space(void *arg, uint64_t *ret_free, uint64_t *ret_total)
{
	(void)arg;
	*ret_free = free_bytes;
	*ret_total = (uint64_t)100 << 30;
	return 0;
}

static int append_later(void)
{
	clock_manual_advance(&f.clock, 1000000); /* the disk is looked at again */
	return append_one(f.log, &(struct test_event){.stream = "a"});
}

START_TEST(below_the_reserve_events_are_refused)
{
	struct eventlog_stats stats;
	struct log_read read;
	struct log_record r;

	f.options.reserve_off = false;
	f.options.disk_space = disk_space;
	free_bytes = (uint64_t)50 << 30;
	log_fixture_open(&f);
	ck_assert_int_eq(append_later(), 0);
	free_bytes = ((uint64_t)5 << 30) - 1; /* 5 % of the disk is more than 1 GiB */
	ck_assert_int_eq(append_later(), ERR_DISK_FULL);
	eventlog_stats(f.log, &stats);
	ck_assert(stats.disk_low);
	ck_assert_uint_eq(stats.refused_disk, 1);
	ck_assert_uint_eq(stats.disk_reserve_bytes / (1 << 20), 5 << 10);
	/* Reads and checkpoints go on, */
	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	ck_assert_int_eq(eventlog_read_one(&read, 0, &r), 0);
	log_read_stop(&read);
	ck_assert_int_eq(eventlog_put_note(f.log, 1, SLICE("note")), 0);
	/* below half of it nothing is written at all, */
	free_bytes = (uint64_t)2 << 30;
	ck_assert_int_eq(append_later(), ERR_DISK_FULL);
	ck_assert_int_eq(eventlog_put_note(f.log, 1, SLICE("note")), ERR_DISK_FULL);
	/* and with room again all is well. */
	free_bytes = (uint64_t)6 << 30;
	ck_assert_int_eq(append_later(), 0);
}
END_TEST

START_TEST(a_full_map_is_foreseen)
{
	static char filler[40000];
	int rc = 0, n = 0;

	memset(filler, 'x', sizeof(filler) - 1);
	f.options.map_bytes = 4 << 20;
	log_fixture_open(&f);
	while (rc == 0 && n++ < 1000) {
		clock_manual_advance(&f.clock, 1000000);
		rc = append_one(f.log, &(struct test_event){.stream = "a", .filler = filler});
	}
	ck_assert_int_eq(rc, ERR_DISK_FULL);
	ck_assert_int_gt(n, 50);
	ck_assert_ptr_null(eventlog_refusal(f.log)); /* refused in time, not failed */
}
END_TEST

/* More at once than the map has left: LMDB says so before the commit, and nothing of it happened. */
START_TEST(a_turn_that_finds_no_room_is_undone)
{
	static char filler[40000];
	struct test_event big[60];
	struct append answer = {0};
	struct merkle_hash before, after;
	uint64_t size;

	memset(filler, 'x', sizeof(filler) - 1);
	f.options.map_bytes = 4 << 20;
	log_fixture_open(&f);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a", .filler = filler}), 0);
	eventlog_root(f.log, &size, &before);
	for (int i = 0; i < 60; i++)
		big[i] = (struct test_event){.stream = i == 0 ? "new" : "a", .once = i == 0 ? "k" : NULL, .filler = filler};
	ck_assert_int_eq(append_events(f.log, big, 60, &answer), ERR_DISK_FULL);
	ck_assert_ptr_null(eventlog_refusal(f.log));
	ck_assert_uint_eq(eventlog_size(f.log), 50);
	eventlog_root(f.log, &size, &after);
	ck_assert_mem_eq(&before, &after, sizeof(before));
	/* Neither its key nor its stream is known, and the log goes on. */
	ck_assert_int_eq(append_events(f.log, &(struct test_event){.stream = "new", .once = "k", .has_expect = true,
	    .expect = EXPECT_NONE}, 1, &answer), 0);
	ck_assert(!answer.duplicate);
	ck_assert_uint_eq(answer.position, 50);
	log_fixture_close(&f);
	log_fixture_open(&f); /* whose checks hash what is stored */
	ck_assert_uint_eq(eventlog_size(f.log), 51);
}
END_TEST

/* The log's own commit is through; then the disk fills, and later has room again. */
START_TEST(an_index_without_room_is_tried_again)
{
	struct eventlog_stats stats;

	f.options.index_delay_ms = 100;
	log_fixture_open(&f);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	n_failed_writes = 0;
	fail_write = ENOSPC;
	while (n_failed_writes == 0)
		sched_yield();
	fail_write = 0;
	do {
		sched_yield();
		eventlog_stats(f.log, &stats);
	} while (stats.index_position < 1);
	ck_assert_ptr_null(eventlog_refusal(f.log));
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
}
END_TEST

static int index_fails(int errnum)
{
	fatal_calls = 0;
	f.options.on_fatal = on_fatal;
	f.options.index_delay_ms = 100;
	log_fixture_open(&f);
	if (append_one(f.log, &(struct test_event){.stream = "a"}) != 0)
		return ERR_INVALID;
	fail_write = errnum;
	while (fatal_calls == 0)
		sched_yield();
	fail_write = 0;
	return append_one(f.log, &(struct test_event){.stream = "a"});
}

START_TEST(an_index_that_cannot_be_written_is_final)
{
	ck_assert_int_eq(index_fails(EIO), ERR_UNAVAILABLE);
	ck_assert_int_eq(fatal_err, ERR_IO);
	ck_assert_ptr_nonnull(eventlog_refusal(f.log));
	log_fixture_close(&f);
	log_fixture_open(&f);
	ck_assert_uint_eq(eventlog_size(f.log), 1);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
}
END_TEST

/* ---- a second one ---------------------------------------------------------------- */

static int in_child(int (*what)(void))
{
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		_exit(-what());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	return -WEXITSTATUS(status);
}

static int open_to_write(void)
{
	struct eventlog *log;

	return eventlog_open(&log, &f.options);
}

static int open_to_read(void)
{
	struct log_filter filter = {.stream = SLICE_INIT("a")};
	struct eventlog *log;
	struct eventlog_cursor c;
	struct log_record r;
	struct merkle_hash root;
	uint64_t size, version, n = 0;
	int rc = eventlog_open_readonly(&log, &f.options);

	if (rc != 0)
		return rc;
	eventlog_cursor_init(&c, log, 0, &filter);
	while (eventlog_cursor_next(&c, &r) == 0)
		n++;
	eventlog_cursor_finish(&c);
	eventlog_root(log, &size, &root);
	if (n != 3 || size != 4 || eventlog_stream_version(log, SLICE("a"), &version) != 0 || version != 3)
		rc = ERR_CORRUPT;
	if (eventlog_put_note(log, 1, SLICE("x")) != ERR_UNAVAILABLE)
		rc = ERR_INVALID;
	eventlog_close(log);
	return rc;
}

/* The environment must not be open in the child (one handle a process), so the parent has none while it forks. */
START_TEST(tools_read_what_another_process_writes)
{
	int ready[2], done[2];
	char byte;
	pid_t pid;
	int status;

	ck_assert_int_eq(pipe(ready), 0);
	ck_assert_int_eq(pipe(done), 0);
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		const char *const streams[] = {"a", "b", "a", "a"};
		int rc = eventlog_open(&f.log, &f.options);

		for (int i = 0; rc == 0 && i < 4; i++)
			rc = append_one(f.log, &(struct test_event){.stream = streams[i]});
		byte = (char)-rc;
		if (write(ready[1], &byte, 1) != 1 || read(done[0], &byte, 1) != 1)
			_exit(1);
		eventlog_close(f.log);
		_exit(0);
	}
	ck_assert_int_eq(read(ready[0], &byte, 1), 1);
	ck_assert_int_eq(byte, 0);
	ck_assert_int_eq(in_child(open_to_write), ERR_LOCKED);
	ck_assert_int_eq(in_child(open_to_read), 0); /* while it runs: three of the four are in its memory only */
	ck_assert_int_eq(write(done[1], "x", 1), 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(in_child(open_to_read), 0); /* and when it has stopped */
	close(ready[0]);
	close(ready[1]);
	close(done[0]);
	close(done[1]);
}
END_TEST

START_TEST(reading_makes_nothing)
{
	struct eventlog *log;

	ck_assert_int_eq(eventlog_open_readonly(&log, &f.options), ERR_NOT_FOUND);
}
END_TEST

/* ---- what is found at start ------------------------------------------------------- */

/* Changes the log behind its back. */
static void tamper(void (*change)(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles))
{
	char dir[80];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi entries, tiles;

	snprintf(dir, sizeof(dir), "%s/log", f.dir);
	ck_assert_int_eq(mdb_env_create(&env), 0);
	ck_assert_int_eq(mdb_env_set_maxdbs(env, 16), 0);
	ck_assert_int_eq(mdb_env_set_mapsize(env, f.options.map_bytes), 0);
	ck_assert_int_eq(mdb_env_open(env, dir, 0, 0600), 0);
	ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, "entries", 0, &entries), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, "tiles", 0, &tiles), 0);
	change(txn, entries, tiles);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void replace(MDB_txn *txn, MDB_dbi dbi, const void *key, size_t key_len, size_t at, uint8_t flip)
{
	static uint8_t copy[70000];
	MDB_val k = {.mv_size = key_len, .mv_data = (void *)(uintptr_t)key}, v;

	ck_assert_int_eq(mdb_get(txn, dbi, &k, &v), 0);
	ck_assert_uint_lt(at, v.mv_size);
	memcpy(copy, v.mv_data, v.mv_size);
	copy[at] ^= flip;
	v.mv_data = copy;
	ck_assert_int_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
}

static void change_entry(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	(void)tiles;
	replace(txn, entries, "\0\0\0\0\0\0\0\2", 8, RECORD_HEADER_LEN + 40, 1);
}

static void change_hash(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	(void)entries;
	replace(txn, tiles, "\377\0\0\0\0\0\0\0\0", 9, 32 * 3, 1);
}

static void drop_middle(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	MDB_val k = {.mv_size = 8, .mv_data = (char[]){0, 0, 0, 0, 0, 0, 0, 2}};

	(void)tiles;
	ck_assert_int_eq(mdb_del(txn, entries, &k, NULL), 0);
}

static void swap_position(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	(void)tiles;
	replace(txn, entries, "\0\0\0\0\0\0\0\4", 8, 6, 2); /* the header's idea of where sequence is */
}

static void drop_last(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	MDB_val k = {.mv_size = 8, .mv_data = (char[]){0, 0, 0, 0, 0, 0, 0, 4}};

	(void)tiles;
	ck_assert_int_eq(mdb_del(txn, entries, &k, NULL), 0);
}

static const struct {
	const char *says;
	void (*change)(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles);
	const char *names; /* what the problem has to speak of */
} changes[] = {
    {"a changed byte in an entry", change_entry, "position 2"},
    {"a changed leaf hash", change_hash, "position 3"},
    {"a missing record", drop_middle, "do not fit"},
    {"a header that points elsewhere", swap_position, ""},
};

static void make_five(void)
{
	log_fixture_open(&f);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
}

START_TEST(changes_are_found_at_start)
{
	int rc;

	make_five();
	log_fixture_close(&f);
	tamper(changes[_i].change);
	rc = eventlog_open(&f.log, &f.options);
	ck_assert_msg(rc == ERR_CORRUPT, "%s: %s", changes[_i].says, err_name(rc));
	ck_assert_msg(strstr(f.problem.ptr, changes[_i].names) != NULL, "%s", f.problem.ptr);
	f.log = NULL;
}
END_TEST

START_TEST(a_log_shorter_than_signed_is_read_only)
{
	struct merkle_hash root;
	uint64_t size;

	make_five();
	eventlog_root(f.log, &size, &root);
	log_fixture_close(&f);
	f.options.signed_size = size;
	f.options.signed_root = root;
	log_fixture_open(&f);
	ck_assert_ptr_null(eventlog_refusal(f.log));
	log_fixture_close(&f);
	tamper(drop_last); /* as an older copy put back would lack it */
	log_fixture_open(&f);
	ck_assert_ptr_nonnull(strstr(eventlog_refusal(f.log), "the log has 4, was signed for 5"));
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), ERR_UNAVAILABLE);
	ck_assert_uint_eq(eventlog_size(f.log), 4);
}
END_TEST

START_TEST(another_history_than_signed_is_refused)
{
	uint64_t size;

	make_five();
	eventlog_root(f.log, &size, &f.options.signed_root);
	log_fixture_close(&f);
	f.options.signed_size = size;
	f.options.signed_root.bytes[0] ^= 1;
	ck_assert_int_eq(eventlog_open(&f.log, &f.options), ERR_CORRUPT);
	f.log = NULL;
}
END_TEST

static void leave_note(uint64_t size, const struct merkle_hash *root)
{
	struct buf note = BUF_INIT(4000);

	checkpoint_make(&note, size, root);
	ck_assert_int_eq(eventlog_put_note(f.log, size, buf_slice(&note)), 0);
	buf_finish(&note);
}

START_TEST(the_newest_checkpoint_is_compared)
{
	struct merkle_hash root;
	uint64_t size;

	make_five();
	eventlog_root(f.log, &size, &root);
	leave_note(size, &root);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	log_fixture_close(&f);
	log_fixture_open(&f); /* the log has grown since; the root at that size is the same */
	ck_assert_ptr_null(eventlog_refusal(f.log));
	eventlog_root(f.log, &size, &root);
	if (_i == 0) { /* another root at its size */
		root.bytes[31] ^= 1;
		leave_note(size, &root);
	} else if (_i == 1) { /* not a checkpoint */
		ck_assert_int_eq(eventlog_put_note(f.log, size, SLICE("a shopping list\n")), 0);
	} else { /* over more events than there are */
		leave_note(size + 1, &root);
	}
	log_fixture_close(&f);
	if (_i < 2) {
		ck_assert_int_eq(eventlog_open(&f.log, &f.options), ERR_CORRUPT);
		ck_assert_ptr_nonnull(strstr(f.problem.ptr, _i == 0 ? "the root over 6 events" : "cannot be read"));
		f.log = NULL;
		return;
	}
	log_fixture_open(&f);
	ck_assert_ptr_nonnull(strstr(eventlog_refusal(f.log), "events were lost"));
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), ERR_UNAVAILABLE);
}
END_TEST

/* ---- a log that is gone is not a new one ---------------------------------------------- */

static const char *log_file(void)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/log/data.mdb", f.dir);
	return path;
}

START_TEST(a_file_without_content_is_no_new_log)
{
	make_five();
	log_fixture_close(&f);
	ck_assert_int_eq(truncate(log_file(), 0), 0);
	ck_assert_int_eq(eventlog_open(&f.log, &f.options), ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(f.problem.ptr, "is damaged"));
	f.log = NULL;
}
END_TEST

START_TEST(a_missing_file_is_no_new_log_where_there_was_one)
{
	char dir[90];

	make_five();
	log_fixture_close(&f);
	snprintf(dir, sizeof(dir), "%s/log", f.dir);
	ck_assert_int_eq(tree_remove(_i == 0 ? log_file() : dir), 0);
	f.options.existed = true;
	ck_assert_int_eq(eventlog_open(&f.log, &f.options), ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(f.problem.ptr, "is missing"));
	ck_assert(!file_exists(log_file()));
	ck_assert(_i == 0 || !file_exists(dir)); /* where there is none a backup can be restored */
	f.log = NULL;
}
END_TEST

START_TEST(an_empty_log_beside_an_index_of_events_takes_nothing)
{
	make_five();
	log_fixture_close(&f);
	ck_assert_int_eq(tree_remove(log_file()), 0);
	log_fixture_open(&f);
	ck_assert_ptr_nonnull(strstr(eventlog_refusal(f.log), "events were lost"));
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), ERR_UNAVAILABLE);
}
END_TEST

/* ---- the index can be lost ----------------------------------------------------------- */

START_TEST(an_index_is_made_again)
{
	const struct test_event e = {.stream = "a", .once = "k"};
	struct append answer = {0};
	char path[96];

	make_five();
	ck_assert_int_eq(append_one(f.log, &e), 0);
	log_fixture_close(&f);
	if (_i == 0) {
		snprintf(path, sizeof(path), "%s/index", f.dir);
		ck_assert_int_eq(tree_remove(path), 0);
	} else {
		snprintf(path, sizeof(path), "%s/index/data.mdb", f.dir);
		ck_assert_int_eq(file_replace(path, SLICE("this is no index, but long enough to be looked at"), 0600), 0);
	}
	log_fixture_open(&f);
	ck_assert_int_eq(append_events(f.log, &e, 1, &answer), 0);
	ck_assert(answer.duplicate);
	ck_assert_uint_eq(answer.position, 5);
}
END_TEST

/* An index that says more, or something else, than the entries. */
static void spoil_index(const char *table, struct slice key, struct slice value)
{
	MDB_val k = {.mv_size = key.len, .mv_data = (void *)(uintptr_t)key.ptr};
	MDB_val v = {.mv_size = value.len, .mv_data = (void *)(uintptr_t)value.ptr};
	char dir[80];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	snprintf(dir, sizeof(dir), "%s/index", f.dir);
	ck_assert_int_eq(mdb_env_create(&env), 0);
	ck_assert_int_eq(mdb_env_set_maxdbs(env, 16), 0);
	ck_assert_int_eq(mdb_env_set_mapsize(env, f.options.map_bytes), 0);
	ck_assert_int_eq(mdb_env_open(env, dir, 0, 0600), 0);
	ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, table, 0, &dbi), 0);
	ck_assert_int_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

START_TEST(reindex_finds_and_cures)
{
	struct reindex_report report;

	make_five();
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "b", .claims = {"n:1"}}), 0);
	log_fixture_close(&f);
	spoil_index("claims", SLICE("n:2"), SLICE("\0\0\0\0\0\0\0\0"));
	spoil_index("claims", SLICE("n:1"), SLICE("\3\0\0\0\0\0\0\0"));
	spoil_index("type_counts", SLICE("\0\7"), SLICE("\5\0\0\0\0\0\0\0"));
	tamper(swap_position);
	ck_assert_int_eq(eventlog_open(&f.log, &f.options), ERR_CORRUPT);
	buf_clear(&f.problem);
	f.log = NULL;
	tamper(swap_position); /* back again: flipping twice */
	ck_assert_int_eq(eventlog_reindex(&f.options, &report, NULL, NULL), 0);
	ck_assert_uint_eq(report.differences, 3);
	ck_assert_msg(strstr(report.first, "claims") != NULL, "%s", report.first);
	ck_assert_uint_eq(report.claims, 1);
	ck_assert_uint_eq(report.streams, 2);
	ck_assert_uint_eq(report.types, 6);
	ck_assert_int_eq(eventlog_reindex(&f.options, &report, NULL, NULL), 0);
	ck_assert_uint_eq(report.differences, 0);
	ck_assert_uint_eq(report.headers, 0);
	log_fixture_open(&f);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "b", .claims = {"n:2"}}), 0);
}
END_TEST

static void change_header(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	(void)tiles;
	replace(txn, entries, "\0\0\0\0\0\0\0\3", 8, 8, 0x40); /* stream version */
	replace(txn, entries, "\0\0\0\0\0\0\0\3", 8, 17, 0x40); /* time */
}

START_TEST(headers_are_put_right)
{
	struct reindex_report report;
	struct log_read read;
	struct log_record r;

	make_five();
	log_fixture_close(&f);
	tamper(change_header); /* the start does not look at it: it is derived and not hashed */
	ck_assert_int_eq(eventlog_reindex(&f.options, &report, NULL, NULL), 0);
	ck_assert_uint_eq(report.headers, 1);
	ck_assert_int_eq(eventlog_reindex(&f.options, &report, NULL, NULL), 0);
	ck_assert_uint_eq(report.headers, 0);
	log_fixture_open(&f);
	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	ck_assert_int_eq(eventlog_read_one(&read, 3, &r), 0);
	ck_assert_uint_eq(r.stream_version, 4);
	ck_assert_int_eq(r.time_us, FIXTURE_TIME_US);
	log_read_stop(&read);
}
END_TEST

/* ---- the queue is bounded -------------------------------------------------------------- */

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int at_gate;

/* The writer asks for the disk before each commit; holding the gate holds it up there. */
static int held_disk(void *arg, uint64_t *ret_free, uint64_t *ret_total)
{
	at_gate++;
	pthread_mutex_lock(&gate);
	pthread_mutex_unlock(&gate);
	return disk_space(arg, ret_free, ret_total);
}

/* One append in the writer's hands, which stands at the gate; later ones stay in the queue. */
static void hold_writer(pthread_t *thread, int *rc)
{
	at_gate = 0;
	pthread_mutex_lock(&gate);
	clock_manual_advance(&f.clock, 1000000);
	ck_assert_int_eq(pthread_create(thread, NULL, appender, rc), 0);
	while (at_gate == 0)
		sched_yield();
}

static uint64_t queued(void)
{
	struct eventlog_stats stats;

	eventlog_stats(f.log, &stats);
	return stats.queue_appends;
}

START_TEST(a_full_queue_is_busy)
{
	pthread_t threads[5];
	int rcs[5];
	struct eventlog_stats stats;

	f.options.queue_appends_max = 4;
	f.options.disk_space = held_disk;
	free_bytes = (uint64_t)50 << 30;
	log_fixture_open(&f);
	hold_writer(&threads[0], &rcs[0]);
	for (int i = 1; i < 5; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, appender, &rcs[i]), 0);
	while (queued() < 4)
		sched_yield();
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), ERR_BUSY);
	eventlog_stats(f.log, &stats);
	ck_assert_uint_eq(stats.refused_busy, 1);
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < 5; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(rcs[i], 0);
	}
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	ck_assert_uint_eq(eventlog_size(f.log), 6);
}
END_TEST

START_TEST(a_queue_that_waits_too_long_is_busy)
{
	pthread_t threads[2];
	int rcs[2];

	f.options.disk_space = held_disk;
	free_bytes = (uint64_t)50 << 30;
	log_fixture_open(&f);
	hold_writer(&threads[0], &rcs[0]);
	ck_assert_int_eq(pthread_create(&threads[1], NULL, appender, &rcs[1]), 0);
	while (queued() != 1)
		sched_yield();
	clock_manual_advance(&f.clock, 501000);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), ERR_BUSY);
	pthread_mutex_unlock(&gate);
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		ck_assert_int_eq(rcs[i], 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("eventlog_faults");
	TCase *t = tcase_create("faults");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_failed_sync_is_final);
	tcase_add_test(t, a_failed_write_is_final);
	tcase_add_test(t, everyone_waiting_is_told);
	tcase_add_test(t, below_the_reserve_events_are_refused);
	tcase_add_test(t, a_full_map_is_foreseen);
	tcase_add_test(t, a_turn_that_finds_no_room_is_undone);
	tcase_add_test(t, an_index_without_room_is_tried_again);
	tcase_add_test(t, an_index_that_cannot_be_written_is_final);
	tcase_add_test(t, tools_read_what_another_process_writes);
	tcase_add_test(t, reading_makes_nothing);
	tcase_add_loop_test(t, changes_are_found_at_start, 0, sizeof(changes) / sizeof(changes[0]));
	tcase_add_test(t, a_log_shorter_than_signed_is_read_only);
	tcase_add_test(t, another_history_than_signed_is_refused);
	tcase_add_loop_test(t, the_newest_checkpoint_is_compared, 0, 3);
	tcase_add_test(t, a_file_without_content_is_no_new_log);
	tcase_add_loop_test(t, a_missing_file_is_no_new_log_where_there_was_one, 0, 2);
	tcase_add_test(t, an_empty_log_beside_an_index_of_events_takes_nothing);
	tcase_add_loop_test(t, an_index_is_made_again, 0, 2);
	tcase_add_test(t, reindex_finds_and_cures);
	tcase_add_test(t, headers_are_put_right);
	tcase_add_test(t, a_full_queue_is_busy);
	tcase_add_test(t, a_queue_that_waits_too_long_is_busy);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
