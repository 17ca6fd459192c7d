/* What a data directory says about the log in it, and what to do when it cannot be asked. */
#include "store/succession.h"

#include "log_fixture.h"

static struct log_fixture f;
static char path[128];

static const char *in_dir(const char *name)
{
	ck_assert_int_lt(snprintf(path, sizeof(path), "%s/%s", f.dir, name), (int)sizeof(path));
	return path;
}

/* A name that leads to itself cannot be looked at, as on a disk that gives errors. */
static void make_unseeable(const char *name)
{
	ck_assert_int_eq(symlink(name, in_dir(name)), 0);
}

static void setup(void)
{
	log_fixture_init(&f);
	log_fixture_open(&f);
}

static void teardown(void)
{
	log_fixture_finish(&f);
}

START_TEST(a_plain_log_is_written)
{
	bool restoring = true, succeeding = true;

	ck_assert_int_eq(restore_is_under_way(f.dir, &restoring), 0);
	ck_assert_int_eq(succession_is_under_way(f.dir, &succeeding), 0);
	ck_assert(!restoring && !succeeding);
	ck_assert_int_eq(log_refuse_restored(f.log, f.dir), 0);
	ck_assert_ptr_null(eventlog_refusal(f.log));
}
END_TEST

static const struct {
	const char *says, *restored, *refusal;
} refused[] = {
	{"the reason is the one in the file", "from the backup of May", "from the backup of May"},
	{"an empty file refuses all the same", "", "it was restored from a backup; only a successor log may go on"},
};

START_TEST(a_restored_log_is_not_written)
{
	ck_assert_int_eq(file_create(in_dir("restored"), slice_str(refused[_i].restored), 0600), 0);
	ck_assert_int_eq(log_refuse_restored(f.log, f.dir), 0);
	ck_assert_msg(eventlog_refusal(f.log) != NULL, "%s", refused[_i].says);
	ck_assert_str_eq(eventlog_refusal(f.log), refused[_i].refusal);
}
END_TEST

START_TEST(a_long_reason_refuses_too)
{
	static char text[4096];

	memset(text, 'x', sizeof(text) - 1);
	ck_assert_int_eq(file_create(in_dir("restored"), slice_str(text), 0600), 0);
	ck_assert_int_eq(log_refuse_restored(f.log, f.dir), 0);
	ck_assert_ptr_nonnull(eventlog_refusal(f.log));
}
END_TEST

START_TEST(what_cannot_be_looked_at_is_no_sign_of_a_restore)
{
	bool is = false;

	make_unseeable("restored");
	ck_assert_int_eq(log_refuse_restored(f.log, f.dir), ERR_IO);
	ck_assert_ptr_null(eventlog_refusal(f.log));
	make_unseeable("restore.tmp");
	ck_assert_int_eq(restore_is_under_way(f.dir, &is), ERR_IO);
	make_unseeable("succession");
	ck_assert_int_eq(succession_is_under_way(f.dir, &is), ERR_IO);
	ck_assert(!is);
}
END_TEST

START_TEST(a_restore_that_was_cut_off_is_seen)
{
	bool is = false;

	ck_assert_int_eq(dir_create(in_dir("restore.tmp"), 0700), 0);
	ck_assert_int_eq(restore_is_under_way(f.dir, &is), 0);
	ck_assert(!is); /* the log is there already */
	log_fixture_close(&f);
	ck_assert_int_eq(tree_remove(in_dir("log")), 0);
	ck_assert_int_eq(restore_is_under_way(f.dir, &is), 0);
	ck_assert(is);
}
END_TEST

START_TEST(a_succession_that_was_cut_off_is_seen)
{
	bool is = false;

	ck_assert_int_eq(succession_begin(f.dir), 0);
	ck_assert_int_eq(succession_is_under_way(f.dir, &is), 0);
	ck_assert(is);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("succession");
	TCase *t = tcase_create("data directory");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_plain_log_is_written);
	tcase_add_loop_test(t, a_restored_log_is_not_written, 0, sizeof(refused) / sizeof(refused[0]));
	tcase_add_test(t, a_long_reason_refuses_too);
	tcase_add_test(t, what_cannot_be_looked_at_is_no_sign_of_a_restore);
	tcase_add_test(t, a_restore_that_was_cut_off_is_seen);
	tcase_add_test(t, a_succession_that_was_cut_off_is_seen);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
