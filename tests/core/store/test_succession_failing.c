/*
 * Two logs change places while every call fails once: then the change is not complete, and asked for again it comes to
 * the end it would have come to.
 */
#include "store/succession.h"

#include <limits.h>

#include "core/store/log_fixture.h"
#include "lib/failing.h"
#include "lib/run.h"
#include "lib/temp_dir.h"

static const char *const parts[] = {"origin", "log.vkey", "signer.state", "signer.key", "log/data.mdb"};
static const char *const marks[] = {"restored", "log.damage", "signer.next.key"};
static const char *const folds[] = {"index/data.mdb", "read/meetings.sqlite"};

static char dir[TEMP_DIR_LEN];

static const char *in_dir(const char *name)
{
	static char path[160];

	ck_assert_int_lt(snprintf(path, sizeof(path), "%s/%s", dir, name), (int)sizeof(path));
	return path;
}

static void put(const char *where, const char *name, const char *text)
{
	char under[96], path[160];

	snprintf(under, sizeof(under), "%s%s", where, name);
	snprintf(path, sizeof(path), "%s", in_dir(under));
	*strrchr(path, '/') = '\0';
	ck_assert_int_eq(dir_create(path, 0700), 0);
	ck_assert_int_eq(file_create(in_dir(under), slice_str(text), 0600), 0);
}

static bool is(const char *where, const char *name, const char *text)
{
	struct buf found = BUF_INIT(100);
	char under[96];
	bool same;

	snprintf(under, sizeof(under), "%s%s", where, name);
	same = file_read(&found, in_dir(under)) == 0 && slice_is(buf_slice(&found), text);
	buf_finish(&found);
	return same;
}

static void before(void)
{
	temp_dir_remove(dir);
	for (size_t i = 0; i < COUNT(parts); i++) {
		put("", parts[i], "old");
		put("successor.tmp/", parts[i], "new");
	}
	for (size_t i = 0; i < COUNT(marks); i++)
		put("", marks[i], "old");
	for (size_t i = 0; i < COUNT(folds); i++)
		put("", folds[i], "old");
}

static int change(void)
{
	char previous[PATH_MAX];
	bool is_begun = false;
	int rc = succession_is_under_way(dir, &is_begun);

	if (rc == 0 && !is_begun)
		rc = succession_begin(dir);
	if (rc == 0)
		rc = succession_finish(dir, previous);
	return rc;
}

static void it_is_complete(int rc, const char *what)
{
	bool under_way = true;

	ck_assert_msg(what != NULL || rc == 0, "%s", err_name(rc));
	/* At the very end all is done, and only nobody knows whether the disk has it. */
	ck_assert_int_eq(succession_is_under_way(dir, &under_way), 0);
	if (rc == 0)
		ck_assert_msg(!under_way, "a failing %s is passed over", what == NULL ? "nothing" : what);
	if (rc != 0 && (under_way || is("", "origin", "old")))
		ck_assert_int_eq(change(), 0);
	for (size_t i = 0; i < COUNT(parts); i++) {
		ck_assert_msg(is("", parts[i], "new"), "%s is not the new one after %s failed", parts[i], what);
		ck_assert_msg(is("previous/1/", parts[i], "old"), "the old %s is lost after %s failed", parts[i], what);
	}
	for (size_t i = 0; i < COUNT(marks); i++) {
		ck_assert(!file_exists(in_dir(marks[i])));
		ck_assert(is("previous/1/", marks[i], "old"));
	}
	ck_assert(!file_exists(in_dir("index")) && !file_exists(in_dir("read")) && !file_exists(in_dir("successor.tmp")));
	ck_assert_int_eq(succession_is_under_way(dir, &under_way), 0);
	ck_assert(!under_way);
}

/* All was moved and the mark is still there, as after a power cut. */
static void at_its_end(void)
{
	before();
	ck_assert_int_eq(change(), 0);
	ck_assert_int_eq(file_create(in_dir("succession"), SLICE("1\n"), 0600), 0);
}

static const struct {
	void (*before)(void);
	unsigned n_min; /* calls */
} walks[] = {{before, 25}, {at_its_end, 10}};

static void setup(void)
{
	temp_dir_make(dir, "succession");
}

static void teardown(void)
{
	temp_dir_remove(dir);
}

START_TEST(every_call_fails_once)
{
	struct failing_walk walk = {.kinds = FAILING_ALL, .before = walks[_i].before, .act = change, .after = it_is_complete};

	ck_assert_uint_ge(failing_walk(&walk), walks[_i].n_min);
}
END_TEST

START_TEST(a_second_one_has_the_next_number)
{
	bool is_begun = true;

	before();
	ck_assert_int_eq(change(), 0);
	put("successor.tmp/", "log/data.mdb", "third");
	put("successor.tmp/", "origin", "third");
	ck_assert_int_eq(change(), 0);
	ck_assert(is("", "log/data.mdb", "third") && is("previous/2/", "log/data.mdb", "new"));
	ck_assert(is("", "log.vkey", "new")); /* has no successor: it stays */
	ck_assert_int_eq(succession_is_under_way(dir, &is_begun), 0);
	ck_assert(!is_begun);
}
END_TEST

static const char *const bad_marks[] = {"", "x\n", "0\n", "1001\n", "-1\n"};

START_TEST(a_mark_that_says_no_number_is_damage)
{
	char previous[PATH_MAX];

	before();
	ck_assert_int_eq(file_create(in_dir("succession"), slice_str(bad_marks[_i]), 0600), 0);
	ck_assert_int_eq(succession_finish(dir, previous), ERR_CORRUPT);
	ck_assert(is("", "origin", "old") && is("", "read/meetings.sqlite", "old"));
}
END_TEST

START_TEST(paths_have_a_length)
{
	static char longest[PATH_MAX], long_dir[PATH_MAX];
	char previous[PATH_MAX];
	bool is_so;

	/* From too long for anything to just long enough for the directory itself. */
	memset(long_dir, 'x', PATH_MAX - 1);
	long_dir[0] = '/';
	for (unsigned len = PATH_MAX - 24; len < PATH_MAX; len++) {
		memcpy(longest, long_dir, PATH_MAX);
		longest[len] = '\0';
		ck_assert_int_ne(succession_begin(longest), 0);
		ck_assert_int_ne(succession_finish(longest, previous), 0);
		ck_assert_int_ne(succession_is_under_way(longest, &is_so), 0);
		ck_assert_int_ne(restore_is_under_way(longest, &is_so), 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("succession_failing");
	TCase *t = tcase_create("failing");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, every_call_fails_once, 0, (int)COUNT(walks));
	tcase_add_test(t, a_second_one_has_the_next_number);
	tcase_add_loop_test(t, a_mark_that_says_no_number_is_damage, 0, (int)COUNT(bad_marks));
	tcase_add_test(t, paths_have_a_length);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
