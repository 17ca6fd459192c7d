/* A keyring in a file and back, with a clock moved by hand; what the log says of erasures is in tests/e2e/test_backup.py. */
#include "store/keyring_backup.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "store/eventlog.h"
#include "lib/temp_dir.h"

#define START_US INT64_C(1790000000000000)
#define DAY_US INT64_C(86400000000)
#define MANY 1500 /* of each kind: more than one chunk and one batch */

static char dir[TEMP_DIR_LEN], keys_dir[96], root_path[96], copy_path[96], partial_path[112];
static struct clock_manual now;
static struct keyring *kr;
static struct eventlog *log_;

static struct keyring_options options(void)
{
	return (struct keyring_options){.dir = keys_dir, .root_key_path = root_path, .stock = 2 * MANY, .keep_days = 30,
	    .clock = &now.clock, .rng = &rng_system};
}

static void open_ring(void)
{
	struct keyring_options o = options();

	ck_assert_int_eq(keyring_open(&kr, &o), 0);
}

static void close_ring(void)
{
	keyring_close(kr);
	kr = NULL;
}

static void setup(void)
{
	struct eventlog_options o = {.dir = dir, .clock = &now.clock, .reserve_off = true, .map_bytes = 1 << 24};

	temp_dir_make(dir, "keyring");
	snprintf(keys_dir, sizeof(keys_dir), "%s/keys", dir);
	snprintf(root_path, sizeof(root_path), "%s/root.key", dir);
	snprintf(copy_path, sizeof(copy_path), "%s/copy", dir);
	snprintf(partial_path, sizeof(partial_path), "%s.partial", copy_path);
	clock_manual_init(&now, START_US);
	ck_assert_int_eq(eventlog_open(&log_, &o), 0);
	open_ring();
}

static void teardown(void)
{
	close_ring();
	eventlog_close(log_);
	log_ = NULL;
	temp_dir_remove(dir);
}

static int back_up(struct keyring_backup *ret)
{
	struct keyring_options o = options();

	return keyring_backup(&o, copy_path, ret);
}

static int restore(struct keyring_backup *ret)
{
	struct keyring_options o = options();

	return keyring_restore(&o, copy_path, log_, ret);
}

static uint32_t epoch(void)
{
	struct keyring_stats stats;

	ck_assert_int_eq(keyring_stats(kr, &stats), 0);
	return stats.epoch;
}

START_TEST(every_key_comes_back_and_no_erased_one)
{
	static struct id ids[2 * MANY];
	static uint8_t keys[2 * MANY][KEYRING_KEY_LEN];
	uint8_t secret[KEYRING_KEY_LEN], again[KEYRING_KEY_LEN];
	struct keyring_backup told, read, back;
	uint32_t last_epoch;

	ck_assert_int_eq(keyring_secret(kr, "lookup", secret), 0);
	for (int i = 0; i < 2 * MANY; i++) {
		ck_assert_int_eq(keyring_take(kr, i % 2 == 0 ? KEY_SUBJECT : KEY_DELIVERY, &ids[i]), 0);
		ck_assert_int_eq(keyring_get(kr, &ids[i], keys[i]), 0);
	}
	ck_assert_int_eq(keyring_erase(kr, &ids[4], 1), 0);
	last_epoch = epoch();
	close_ring();
	ck_assert_int_eq(back_up(&told), 0);
	ck_assert_int_eq(keyring_backup_check(copy_path, root_path, &read), 0);
	ck_assert_uint_ge(told.keys, 2 * MANY - 1);
	ck_assert_uint_eq(read.keys, told.keys);
	ck_assert_uint_eq(read.tombstones, 1);
	ck_assert_int_eq(read.made_at_ms, START_US / 1000);
	ck_assert_int_eq(tree_remove(keys_dir), 0);

	ck_assert_int_eq(restore(&back), 0);
	ck_assert_uint_eq(back.keys, told.keys);
	ck_assert_uint_eq(back.erased + back.lost, 0);
	open_ring();
	/* No epoch of it had a number that was there before. */
	ck_assert_uint_gt(epoch(), last_epoch);
	ck_assert_int_eq(keyring_secret(kr, "lookup", again), 0);
	ck_assert_mem_eq(again, secret, sizeof(secret));
	for (int i = 0; i < 2 * MANY; i++) {
		if (i == 4) {
			ck_assert_int_eq(keyring_get(kr, &ids[i], again), ERR_ERASED);
			continue;
		}
		ck_assert_int_eq(keyring_get(kr, &ids[i], again), 0);
		ck_assert_mem_eq(again, keys[i], sizeof(again));
	}
	/* And none that was given out is given out again. */
	for (int i = 0; i < MANY; i++) {
		struct id id;

		ck_assert_int_eq(keyring_take(kr, KEY_SUBJECT, &id), 0);
		ck_assert_int_gt(memcmp(&id, &ids[2 * MANY - 2], sizeof(id)), 0);
	}
}
END_TEST

START_TEST(a_copy_is_of_use_for_seven_days)
{
	struct keyring_backup told;
	int64_t made_at_ms;

	close_ring();
	ck_assert_int_eq(back_up(&told), 0);
	ck_assert_int_eq(back_up(&told), ERR_EXISTS);
	ck_assert_int_eq(keyring_backup_made_at(copy_path, &made_at_ms), 0);
	ck_assert_int_eq(made_at_ms, START_US / 1000);
	ck_assert_int_eq(restore(&told), ERR_EXISTS);
	ck_assert_int_eq(tree_remove(keys_dir), 0);
	clock_manual_advance(&now, KEYRING_BACKUP_DAYS * DAY_US + 1000);
	ck_assert_int_eq(restore(&told), ERR_RANGE);
	ck_assert(!file_exists(keys_dir));
	clock_manual_advance(&now, -1000);
	ck_assert_int_eq(restore(&told), 0);
}
END_TEST

START_TEST(what_a_cut_off_run_left_is_in_nobodys_way)
{
	struct keyring_backup told;
	char left[160];

	close_ring();
	ck_assert_int_eq(file_create(partial_path, SLICE("half"), 0600), 0);
	ck_assert_int_eq(back_up(&told), 0);
	ck_assert(!file_exists(partial_path));
	ck_assert_int_eq(tree_remove(keys_dir), 0);
	snprintf(left, sizeof(left), "%s.tmp", keys_dir);
	ck_assert_int_eq(dir_create(left, 0700), 0);
	snprintf(left, sizeof(left), "%s.tmp/epoch-0000ffff.key", keys_dir);
	ck_assert_int_eq(file_create(left, SLICE("half"), 0600), 0);
	ck_assert_int_eq(restore(&told), 0);
	open_ring();
	ck_assert_uint_lt(epoch(), 0xffff);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keyring backup");
	TCase *tc = tcase_create("copies");
	SRunner *runner;
	int failed;

	if (crypto_init() != 0)
		return 1;
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, every_key_comes_back_and_no_erased_one);
	tcase_add_test(tc, a_copy_is_of_use_for_seven_days);
	tcase_add_test(tc, what_a_cut_off_run_left_is_in_nobodys_way);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? 0 : 1;
}
