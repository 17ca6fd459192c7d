/* child.c: programs run under limits, and what they cannot do. */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/child.h"
#include "base/err.h"
#include "lib/run.h"

static const struct child_limits usual = {.time_ms = 20000, .memory_bytes = (size_t)1 << 30};

#define RUN(out, ...) child_run((const char *const[]){__VA_ARGS__, NULL}, &usual, NULL, out)

static int shell(const char *script, struct buf *out)
{
	return RUN(out, "/bin/sh", "-c", script);
}

START_TEST(what_it_says_is_heard)
{
	struct buf out = BUF_INIT(100);

	ck_assert_int_eq(RUN(&out, "echo", "a b", "$HOME; true"), 0);
	ck_assert_slice_eq(buf_slice(&out), SLICE("a b $HOME; true\n"));
	ck_assert_int_eq(shell("echo more; echo lost >&2", &out), 0);
	ck_assert_slice_eq(buf_slice(&out), SLICE("a b $HOME; true\nmore\n"));
	buf_finish(&out);
}
END_TEST

START_TEST(what_is_not_there_and_what_fails_are_told_apart)
{
	struct buf out = BUF_INIT(100);

	ck_assert_int_eq(RUN(&out, "no-such-program-anywhere"), ERR_NOT_FOUND);
	ck_assert_int_eq(RUN(&out, "/no/such/path"), ERR_NOT_FOUND);
	ck_assert_int_eq(shell("exit 3", &out), ERR_INVALID);
	ck_assert_int_eq(shell("kill -9 $$", &out), ERR_INVALID);
	buf_finish(&out);
}
END_TEST

START_TEST(it_has_neither_our_environment_nor_our_files)
{
	struct buf out = BUF_INIT(1000);
	char script[100];
	int fds[2];

	setenv("SECRET_OF_OURS", "x", 1);
	ck_assert_int_eq(pipe(fds), 0); /* one that is not closed by itself */
	ck_assert_int_eq(shell("echo ${SECRET_OF_OURS-none}", &out), 0);
	ck_assert_slice_eq(buf_slice(&out), SLICE("none\n"));
	snprintf(script, sizeof(script), "test -e /proc/self/fd/%d", fds[0]);
	ck_assert_int_eq(shell(script, &out), ERR_INVALID);
	close(fds[0]);
	close(fds[1]);
	buf_finish(&out);
}
END_TEST

START_TEST(it_writes_no_files)
{
	struct buf out = BUF_INIT(1000);
	char script[100];

	snprintf(script, sizeof(script), "echo x > /tmp/lulab-child-%d; test -s /tmp/lulab-child-%d", (int)getpid(), (int)getpid());
	ck_assert_int_eq(shell(script, &out), ERR_INVALID);
	snprintf(script, sizeof(script), "/tmp/lulab-child-%d", (int)getpid());
	unlink(script);
	buf_finish(&out);
}
END_TEST

START_TEST(too_long_too_much_and_too_big_end_it)
{
	const struct child_limits brief = {.time_ms = 150, .memory_bytes = (size_t)1 << 30};
	const struct child_limits narrow = {.time_ms = 20000, .memory_bytes = (size_t)64 << 20};
	const char *const sleeps[] = {"/bin/sh", "-c", "sleep 100 & wait", NULL};
	const char *const swells[] = {"awk", "BEGIN { s = \"x\"; while (length(s) < 1e9) s = s s; print length(s) }", NULL};
	struct buf out = BUF_INIT(100000);

	ck_assert_int_eq(child_run(sleeps, &brief, NULL, &out), ERR_TIMEOUT);
	ck_assert_int_eq(RUN(&out, "cat", "/dev/zero"), ERR_TOO_BIG);
	ck_assert_int_eq(child_run(swells, &narrow, NULL, &out), ERR_INVALID);
	buf_finish(&out);
}
END_TEST

START_TEST(who_stops_does_not_wait)
{
	_Atomic bool stopping = true;
	const char *const sleeps[] = {"sleep", "100", NULL};
	struct buf out = BUF_INIT(100);

	ck_assert_int_eq(child_run(sleeps, &usual, &stopping, &out), ERR_CANCELLED);
	buf_finish(&out);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("child");
	TCase *t = tcase_create("child");

	tcase_add_test(t, what_it_says_is_heard);
	tcase_add_test(t, what_is_not_there_and_what_fails_are_told_apart);
	tcase_add_test(t, it_has_neither_our_environment_nor_our_files);
	tcase_add_test(t, it_writes_no_files);
	tcase_add_test(t, too_long_too_much_and_too_big_end_it);
	tcase_add_test(t, who_stops_does_not_wait);
	suite_add_tcase(s, t);
	return run_suite(s);
}
