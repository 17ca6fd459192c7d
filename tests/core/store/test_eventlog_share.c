/* Who else may have the log open: one process writes, tools read beside it. */
#include "log_fixture.h"

#include <sys/wait.h>

#include "lib/run.h"

static struct log_fixture f;

static void setup(void)
{
	log_fixture_init(&f);
}

static void teardown(void)
{
	log_fixture_finish(&f);
}

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

int main(void)
{
	Suite *suite = suite_create("eventlog_share");
	TCase *t = tcase_create("eventlog_share");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, tools_read_what_another_process_writes);
	tcase_add_test(t, reading_makes_nothing);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
