/*
 * What the disk does to the event log: a sync that fails, a write that fails, no more room.
 *
 * LMDB makes its system calls through the C library's names, which this
 * program takes for itself: the functions below fail when told to.
 */
#include "log_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "lib/run.h"

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

int main(void)
{
	Suite *suite = suite_create("eventlog_faults");
	TCase *t = tcase_create("eventlog_faults");

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
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
