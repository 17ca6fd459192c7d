/* io.c with every call failing once, and log.c. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "lib/run.h"
#include "lib/temp_dir.h"

static char dir[TEMP_DIR_LEN];
static char path[200];

static void set_up(void)
{
	temp_dir_make_on_disk(dir, "io");
	snprintf(path, sizeof(path), "%s/file", dir);
}

static void tear_down(void)
{
	io_calls = &io_system;
	temp_dir_remove(dir);
	ck_assert(!file_exists(dir));
}

/* The n-th call of any kind fails with EIO; -1: none. Every write is short. */
static int calls_left;
static bool interrupted; /* the next read or write is, by a signal */

static bool fails(void)
{
	if (calls_left == 0) {
		calls_left = -1;
		errno = EIO;
		return true;
	}
	if (calls_left > 0)
		calls_left--;
	return false;
}

static int faulty_open(const char *p, int flags, mode_t mode)
{
	return fails() ? -1 : io_system.open(p, flags, mode);
}

static ssize_t faulty_read(int fd, void *bytes, size_t len)
{
	if (interrupted) {
		interrupted = false;
		errno = EINTR;
		return -1;
	}
	return fails() ? -1 : io_system.read(fd, bytes, len);
}

static ssize_t faulty_write(int fd, const void *bytes, size_t len)
{
	if (interrupted) {
		interrupted = false;
		errno = EINTR;
		return -1;
	}
	return fails() ? -1 : io_system.write(fd, bytes, len > 3 ? 3 : len);
}

static int faulty_fsync(int fd)
{
	return fails() ? -1 : io_system.fsync(fd);
}

static int faulty_rename(const char *from, const char *to)
{
	return fails() ? -1 : io_system.rename(from, to);
}

static int faulty_link(const char *from, const char *to)
{
	return fails() ? -1 : io_system.link(from, to);
}

static int faulty_unlink(const char *p)
{
	return fails() ? -1 : io_system.unlink(p);
}

static int faulty_close(int fd)
{
	int rc = io_system.close(fd);

	return fails() ? -1 : rc;
}

static const struct io faulty = {faulty_open, faulty_read, faulty_write, faulty_fsync, faulty_fsync,
    faulty_rename, faulty_link, faulty_unlink, faulty_close, NULL};

static void expect_file(const char *text)
{
	struct buf b = BUF_INIT(100);

	ck_assert_int_eq(file_read(&b, path), 0);
	ck_assert_slice_eq(buf_slice(&b), slice_str(text));
	buf_finish(&b);
}

START_TEST(files_are_replaced_whole)
{
	struct stat st;

	ck_assert_int_eq(file_create(path, SLICE("one"), 0600), 0);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(file_create(path, SLICE("two"), 0600), ERR_EXISTS);
	expect_file("one");
	ck_assert_int_eq(file_replace(path, SLICE("three"), 0600), 0);
	expect_file("three");
	ck_assert_int_eq(file_replace(path, (struct slice){0}, 0600), 0);
	expect_file("");
}
END_TEST

START_TEST(files_are_read_up_to_a_ceiling)
{
	struct buf b = BUF_INIT(5);

	ck_assert_int_eq(file_read(&b, path), ERR_NOT_FOUND);
	ck_assert_int_eq(file_create(path, SLICE("12345"), 0600), 0);
	ck_assert_int_eq(file_read(&b, path), 0);
	ck_assert_slice_eq(buf_slice(&b), SLICE("12345"));
	buf_finish(&b);
	b.max = 4;
	ck_assert_int_eq(file_read(&b, path), ERR_TOO_BIG);
	buf_finish(&b);
	ck_assert_int_eq(file_read(&b, dir), ERR_IO);
	buf_finish(&b);
}
END_TEST

/* Whatever call fails, the file is the old or the new one, and success is never claimed falsely. */
START_TEST(replace_survives_every_failure)
{
	struct slice old_text = SLICE("old text"), new_text = SLICE("new longer text");
	int n_failures = 0;

	for (int n = 0;; n++) {
		struct buf b = BUF_INIT(100);
		int rc;

		io_calls = &io_system;
		ck_assert_int_eq(file_replace(path, old_text, 0600), 0);
		io_calls = &faulty;
		calls_left = n;
		rc = file_replace(path, new_text, 0600);
		io_calls = &io_system;
		ck_assert_int_eq(file_read(&b, path), 0);
		ck_assert(slice_eq(buf_slice(&b), old_text) || slice_eq(buf_slice(&b), new_text));
		if (rc == 0)
			ck_assert_slice_eq(buf_slice(&b), new_text);
		buf_finish(&b);
		if (calls_left >= 0)
			break;
		n_failures += rc != 0;
	}
	/* unlink, open, five short writes, fsync, close, rename, open and fsync of the directory. */
	ck_assert_int_ge(n_failures, 12);
}
END_TEST

START_TEST(create_survives_every_failure)
{
	int n_failures = 0;

	for (int n = 0;; n++) {
		int rc;

		ck_assert_int_eq(tree_remove(path), 0);
		io_calls = &faulty;
		calls_left = n;
		rc = file_create(path, SLICE("text"), 0600);
		io_calls = &io_system;
		if (rc == 0 || file_exists(path))
			expect_file("text");
		if (calls_left >= 0)
			break;
		n_failures += rc != 0;
	}
	ck_assert_int_ge(n_failures, 8);
}
END_TEST

START_TEST(reading_reports_failures)
{
	ck_assert_int_eq(file_create(path, SLICE("text"), 0600), 0);
	for (int n = 0; n < 2; n++) {
		struct buf b = BUF_INIT(100);

		io_calls = &faulty;
		calls_left = n;
		ck_assert_int_eq(file_read(&b, path), ERR_IO);
		buf_finish(&b);
	}
}
END_TEST

START_TEST(a_signal_is_no_failure)
{
	io_calls = &faulty;
	calls_left = -1;
	interrupted = true;
	ck_assert_int_eq(file_create(path, SLICE("text"), 0600), 0);
	ck_assert(!interrupted);
	interrupted = true;
	expect_file("text");
	ck_assert(!interrupted);
}
END_TEST

START_TEST(names_may_be_bare_or_too_long)
{
	char here[200], *name = malloc(PATH_MAX + 100);
	struct buf lost = BUF_INIT(1), b = BUF_INIT(10);

	ck_assert(name != NULL && getcwd(here, sizeof(here)) != NULL);
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(file_replace("bare", SLICE("text"), 0600), 0);
	ck_assert_int_eq(file_read(&b, "bare"), 0);
	ck_assert_slice_eq(buf_slice(&b), SLICE("text"));
	ck_assert_int_eq(dir_create("sub/dir", 0700), 0);
	ck_assert(file_exists("sub/dir"));
	ck_assert_int_eq(chdir(here), 0);
	memset(name, 'n', PATH_MAX + 99);
	name[PATH_MAX + 99] = '\0';
	ck_assert_int_eq(file_replace(name, SLICE("x"), 0600), ERR_TOO_BIG);
	ck_assert_int_eq(dir_create(name, 0700), ERR_TOO_BIG);
	/* A buffer that lost bytes takes no more. */
	buf_append(&lost, SLICE("too much"));
	ck_assert_int_ne(lost.rc, 0);
	ck_assert_int_eq(file_read(&lost, path), lost.rc);
	buf_finish(&lost);
	buf_finish(&b);
	free(name);
}
END_TEST

START_TEST(directories_are_made_and_removed)
{
	char deep[300], blocked[300], target[300];

	snprintf(deep, sizeof(deep), "%s/a//b/c/", dir);
	ck_assert_int_eq(dir_create(deep, 0700), 0);
	ck_assert_int_eq(dir_create(deep, 0700), 0);
	ck_assert(file_exists(deep));
	ck_assert_int_eq(dir_create("", 0700), ERR_INVALID);
	ck_assert_int_eq(file_create(path, SLICE("x"), 0600), 0);
	snprintf(blocked, sizeof(blocked), "%s/sub", path);
	ck_assert_int_lt(dir_create(blocked, 0700), 0);
	ck_assert_int_eq(dir_create(path, 0700), ERR_EXISTS);
	ck_assert_int_eq(dir_sync(path), ERR_NOT_FOUND);

	/* A link is removed, what it points to is not. */
	snprintf(target, sizeof(target), "%s/a/link", dir);
	ck_assert_int_eq(symlink(path, target), 0);
	snprintf(deep, sizeof(deep), "%s/a", dir);
	ck_assert_int_eq(tree_remove(deep), 0);
	ck_assert(!file_exists(deep));
	expect_file("x");
	ck_assert_int_eq(tree_remove(deep), 0);
}
END_TEST

/* A loop of links can be looked at no more than what is on a broken disk. */
START_TEST(what_cannot_be_looked_at_is_neither_there_nor_absent)
{
	bool there = true;

	ck_assert_int_eq(file_look(path, &there), 0);
	ck_assert(!there);
	ck_assert_int_eq(file_create(path, SLICE("x"), 0600), 0);
	ck_assert_int_eq(file_look(path, &there), 0);
	ck_assert(there);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(symlink(path, path), 0);
	ck_assert_int_eq(file_look(path, &there), ERR_IO);
	ck_assert(file_exists(path));
}
END_TEST

START_TEST(errno_becomes_ours)
{
	ck_assert_int_eq(err_from_errno(0), 0);
	ck_assert_int_eq(err_from_errno(ENOSPC), ERR_DISK_FULL);
	ck_assert_int_eq(err_from_errno(ENOMEM), ERR_NOMEM);
	ck_assert_int_eq(err_from_errno(EACCES), ERR_DENIED);
	ck_assert_int_eq(err_from_errno(ECONNREFUSED), ERR_NETWORK);
	ck_assert_int_eq(err_from_errno(EIO), ERR_IO);
	ck_assert_int_eq(err_from_errno(12345), ERR_IO);
}
END_TEST

static struct buf lines = BUF_INIT(1 << 22);

static void collect(void *arg, struct slice line)
{
	buf_append(arg, line);
}

static void log_to_lines(void)
{
	buf_clear(&lines);
	log_set_sink(collect, &lines);
	log_set_level(LOG_LEVEL_INFO);
	log_set_plain(false);
}

static void log_to_stderr(void)
{
	log_set_sink(NULL, NULL);
	log_set_plain(false);
	log_set_trace(NULL, NULL);
	buf_finish(&lines);
}

static void expect_member(struct slice line, const char *name, const char *text)
{
	struct arena a = ARENA_INIT(10000);
	struct json_value v;
	struct slice s;

	ck_assert_int_eq(json_scan(line, NULL, NULL), 0);
	ck_assert_msg(json_member(json_root(line), name, &v), "%s is missing", name);
	ck_assert_int_eq(json_string(v, &a, &s), 0);
	ck_assert_slice_eq(s, slice_str(text));
	arena_finish(&a);
}

START_TEST(log_lines_are_json)
{
	struct json_value v;

	log_to_lines();
	log_set_trace("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
	log_info("store", "a \"message\"\n", "dir", "/tmp", "none", (const char *)NULL);
	ck_assert_int_eq(lines.ptr[lines.len - 1], '\n');
	expect_member(buf_slice(&lines), "level", "info");
	expect_member(buf_slice(&lines), "context", "store");
	expect_member(buf_slice(&lines), "message", "a \"message\"\n");
	expect_member(buf_slice(&lines), "traceId", "4bf92f3577b34da6a3ce929d0e0e4736");
	expect_member(buf_slice(&lines), "spanId", "00f067aa0ba902b7");
	expect_member(buf_slice(&lines), "dir", "/tmp");
	ck_assert(json_member(json_root(buf_slice(&lines)), "none", &v));
	ck_assert_int_eq(v.type, JSON_NULL);
	ck_assert(json_member(json_root(buf_slice(&lines)), "timestamp", &v));

	buf_clear(&lines);
	log_set_trace(NULL, NULL);
	log_debug("store", "not at this level");
	ck_assert_uint_eq(lines.len, 0);
	log_set_level(LOG_LEVEL_DEBUG);
	ck_assert_int_eq(log_get_level(), LOG_LEVEL_DEBUG);
	log_debug("store", "now");
	ck_assert(!json_member(json_root(buf_slice(&lines)), "traceId", &v));
	log_to_stderr();
}
END_TEST

START_TEST(log_plain_lines_hide_controls)
{
	log_to_lines();
	log_set_plain(true);
	log_error("net", "bad\x1b[31m", "x", "a\xff\n", "y", (const char *)NULL);
	ck_assert_ptr_nonnull(strstr(lines.ptr, "error net: bad\\x1b[31m x=a\\xff\\x0a y=-\n"));
	log_to_stderr();
}
END_TEST

START_TEST(log_clips_long_values)
{
	char *value = malloc(10001);

	log_to_lines();
	memset(value, 'a', 10000);
	value[10000] = '\0';
	memcpy(value + 4095, "\xe4\xb8\xad", 3); /* the cut would fall inside it */
	log_warn("net", "long", "v", value);
	ck_assert_uint_lt(lines.len, 5000);
	value[4095] = '\0';
	expect_member(buf_slice(&lines), "v", value);
	log_to_stderr();
	free(value);
}
END_TEST

START_TEST(log_levels_have_names)
{
	enum log_level level = LOG_LEVEL_ERROR;

	ck_assert_int_eq(log_level_parse(SLICE("debug"), &level), 0);
	ck_assert_int_eq(level, LOG_LEVEL_DEBUG);
	ck_assert_int_eq(log_level_parse(SLICE("loud"), &level), ERR_INVALID);
}
END_TEST

static void *log_much(void *arg)
{
	log_set_trace(arg, arg);
	for (int i = 0; i < 500; i++)
		log_info("thread", "line", "who", (const char *)arg);
	return NULL;
}

START_TEST(log_lines_of_threads_stay_whole)
{
	static char names[][2] = {"a", "b", "c"};
	pthread_t threads[COUNT(names)];
	struct slice rest, line;
	int n = 0;

	log_to_lines();
	for (size_t i = 0; i < COUNT(names); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, log_much, names[i]), 0);
	for (size_t i = 0; i < COUNT(names); i++)
		pthread_join(threads[i], NULL);
	for (rest = buf_slice(&lines); slice_cut(rest, '\n', &line, &rest); n++) {
		struct json_value who, trace;

		ck_assert_int_eq(json_scan(line, NULL, NULL), 0);
		ck_assert(json_member(json_root(line), "who", &who));
		ck_assert(json_member(json_root(line), "traceId", &trace));
		ck_assert(slice_eq(who.text, trace.text));
	}
	ck_assert_int_eq(n, 1500);
	log_to_stderr();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("io");
	TCase *t = tcase_create("io"), *l = tcase_create("log");

	tcase_add_checked_fixture(t, set_up, tear_down);
	tcase_add_test(t, files_are_replaced_whole);
	tcase_add_test(t, files_are_read_up_to_a_ceiling);
	tcase_add_test(t, replace_survives_every_failure);
	tcase_add_test(t, create_survives_every_failure);
	tcase_add_test(t, reading_reports_failures);
	tcase_add_test(t, a_signal_is_no_failure);
	tcase_add_test(t, names_may_be_bare_or_too_long);
	tcase_add_test(t, directories_are_made_and_removed);
	tcase_add_test(t, what_cannot_be_looked_at_is_neither_there_nor_absent);
	tcase_add_test(t, errno_becomes_ours);
	suite_add_tcase(s, t);
	tcase_add_test(l, log_lines_are_json);
	tcase_add_test(l, log_plain_lines_hide_controls);
	tcase_add_test(l, log_clips_long_values);
	tcase_add_test(l, log_levels_have_names);
	tcase_add_test(l, log_lines_of_threads_stay_whole);
	suite_add_tcase(s, l);
	return run_suite(s);
}
