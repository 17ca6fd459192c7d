/* How an LMDB environment comes into being: whole or not at all, whenever the power goes. */
#include "store/log_mdb.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "lib/run.h"
#include "lib/temp_dir.h"

#define MAP_BYTES ((uint64_t)1 << 30)

static char dir[PATH_MAX - 64];
static int syncs;           /* of data so far */
static int syncs_at_rename; /* -1: there was none */
static bool power_goes;

/* The library syncs through the C library's name, which this program takes for itself. */
int fdatasync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

static const char *in_dir(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static int watched_rename(const char *from, const char *to)
{
	ck_assert(!file_exists(in_dir("data.mdb")));
	syncs_at_rename = syncs;
	if (power_goes)
		return -1;
	return rename(from, to);
}

static struct io watched;

static void setup(void)
{
	temp_dir_make_on_disk(dir, "mdb");
	watched = io_system;
	watched.rename = watched_rename;
	io_calls = &watched;
	syncs = 0;
	syncs_at_rename = -1;
	power_goes = false;
}

static void teardown(void)
{
	io_calls = &io_system;
	temp_dir_remove(dir);
}

static int open_and_close(void)
{
	struct log_env env;
	int rc = log_env_open(&env, dir, MAP_BYTES, false);

	if (rc == 0)
		log_env_close(&env);
	return rc;
}

START_TEST(gets_its_name_when_it_is_on_disk)
{
	ck_assert_int_eq(open_and_close(), 0);
	ck_assert_int_gt(syncs_at_rename, 0);
	ck_assert(file_exists(in_dir("data.mdb")));
	ck_assert(!file_exists(in_dir("data.mdb.new")));
	ck_assert(!file_exists(in_dir("data.mdb.new-lock")));
}
END_TEST

START_TEST(is_made_once)
{
	ck_assert_int_eq(open_and_close(), 0);
	syncs_at_rename = -1;
	ck_assert_int_eq(open_and_close(), 0);
	ck_assert_int_eq(syncs_at_rename, -1);
}
END_TEST

START_TEST(does_not_stumble_over_half_of_one)
{
	power_goes = true;
	ck_assert_int_ne(open_and_close(), 0);
	ck_assert(!file_exists(in_dir("data.mdb")));
	ck_assert_int_eq(truncate(in_dir("data.mdb.new"), 100), 0);
	power_goes = false;
	ck_assert_int_eq(open_and_close(), 0);
}
END_TEST

/* One that cannot be looked at just now (EIO, a loop of links) may hold a log: nothing takes its place. */
START_TEST(does_not_take_the_place_of_one_it_cannot_see)
{
	struct log_env env;

	ck_assert_int_eq(symlink("data.mdb", in_dir("data.mdb")), 0);
	ck_assert(file_exists(in_dir("data.mdb")));
	ck_assert_int_ne(log_env_open(&env, dir, MAP_BYTES, false), 0);
	ck_assert_int_eq(syncs_at_rename, -1);
	ck_assert_int_eq(unlink(in_dir("data.mdb")), 0);
	ck_assert(!file_exists(in_dir("data.mdb")));
}
END_TEST

/* The library would begin anew in it. */
START_TEST(is_not_made_in_a_file_that_lost_its_content)
{
	struct log_env env;

	ck_assert_int_eq(open_and_close(), 0);
	ck_assert_int_eq(truncate(in_dir("data.mdb"), 0), 0);
	ck_assert_int_eq(log_env_open(&env, dir, MAP_BYTES, false), ERR_CORRUPT);
}
END_TEST

START_TEST(is_not_made_by_those_who_only_read)
{
	struct log_env env;

	ck_assert_int_ne(log_env_open(&env, dir, 0, true), 0);
	ck_assert_int_eq(syncs_at_rename, -1);
	ck_assert(!file_exists(in_dir("data.mdb")));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_mdb");
	TCase *tc = tcase_create("a new environment");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, gets_its_name_when_it_is_on_disk);
	tcase_add_test(tc, is_made_once);
	tcase_add_test(tc, does_not_stumble_over_half_of_one);
	tcase_add_test(tc, does_not_take_the_place_of_one_it_cannot_see);
	tcase_add_test(tc, is_not_made_in_a_file_that_lost_its_content);
	tcase_add_test(tc, is_not_made_by_those_who_only_read);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
