/* Keys, their stock, their end; on a real directory with a clock moved by hand. */
#include "store/keyring.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"
#include "lib/temp_dir.h"

#define START_US INT64_C(1790000000000000)
#define DAY_US INT64_C(86400000000)
#define STOCK 64
#define HEADS_LEN 8192 /* the first two pages of a store name its newest tables */

/* The name by which LMDB calls it. */
static _Atomic bool heads_fail;

ssize_t library_pwrite(int fd, const void *bytes, size_t len, off_t at) __asm__("pwrite");

ssize_t library_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	if (heads_fail && at < HEADS_LEN) {
		errno = EIO;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, bytes, len, at);
}

static char dir[TEMP_DIR_LEN], keys_dir[96], root_path[96];
static struct clock_manual now;
static struct keyring *kr;

static struct keyring_options options(void)
{
	return (struct keyring_options){.dir = keys_dir, .root_key_path = root_path, .stock = STOCK, .keep_days = 30,
	    .clock = &now.clock, .rng = &rng_system};
}

static void open_again(void)
{
	struct keyring_options o = options();

	keyring_close(kr);
	kr = NULL;
	ck_assert_int_eq(keyring_open(&kr, &o), 0);
}

static void setup(void)
{
	heads_fail = false;
	temp_dir_make(dir, "keyring");
	snprintf(keys_dir, sizeof(keys_dir), "%s/keys", dir);
	snprintf(root_path, sizeof(root_path), "%s/root.key", dir);
	clock_manual_init(&now, START_US);
	open_again();
}

static void teardown(void)
{
	keyring_close(kr);
	kr = NULL;
	temp_dir_remove(dir);
}

static struct id take(enum key_kind kind)
{
	struct id id;

	ck_assert_int_eq(keyring_take(kr, kind, &id), 0);
	return id;
}

/* Until nothing is being made: keys under way when time is moved are as old as their making. */
static void await_stock(enum key_kind kind)
{
	struct keyring_stats stats;

	do
		ck_assert_int_eq(keyring_stats(kr, &stats), 0);
	while (stats.stock[kind] <= STOCK / 2);
}

static unsigned n_epoch_files(void)
{
	DIR *d = opendir(keys_dir);
	struct dirent *e;
	unsigned n = 0;

	ck_assert_ptr_nonnull(d);
	while ((e = readdir(d)) != NULL)
		n += strncmp(e->d_name, "epoch-", 6) == 0;
	closedir(d);
	return n;
}

START_TEST(keys_are_given_once_and_survive_a_stop)
{
	struct id ids[3 * STOCK];
	uint8_t keys[3 * STOCK][KEYRING_KEY_LEN], again[KEYRING_KEY_LEN];

	for (int i = 0; i < 3 * STOCK; i++) {
		if (i == 3 * STOCK / 2)
			open_again();
		ids[i] = take(KEY_SUBJECT);
		ck_assert_int_eq(keyring_get(kr, &ids[i], keys[i]), 0);
		/* Ordered by age, so that the writes are sequential; and never twice. */
		if (i > 0)
			ck_assert_int_lt(memcmp(ids[i - 1].bytes, ids[i].bytes, ID_LEN), 0);
	}
	open_again();
	for (int i = 0; i < 3 * STOCK; i++) {
		ck_assert_int_eq(keyring_get(kr, &ids[i], again), 0);
		ck_assert_mem_eq(again, keys[i], KEYRING_KEY_LEN);
		for (int j = 0; j < i; j++)
			ck_assert_mem_ne(keys[i], keys[j], KEYRING_KEY_LEN);
	}
}
END_TEST

START_TEST(a_clean_stop_keeps_the_stock)
{
	struct keyring_stats before, after;

	take(KEY_SUBJECT);
	keyring_close(kr);
	kr = NULL;
	open_again();
	ck_assert_int_eq(keyring_stats(kr, &before), 0);
	open_again();
	take(KEY_SUBJECT);
	ck_assert_int_eq(keyring_stats(kr, &after), 0);
	/* At most what one filling of each kind adds. */
	ck_assert_uint_le(after.subjects, before.subjects + STOCK / 2);
	ck_assert_uint_ge(before.subjects, STOCK / 2);
}
END_TEST

/* A copy of the directory is what a crash leaves: no clean stop was noted in it. */
START_TEST(after_a_crash_no_key_of_the_old_stock_is_used)
{
	struct id used[STOCK], id;
	int ids[2], status;
	pid_t child;

	keyring_close(kr);
	kr = NULL;
	ck_assert_int_eq(pipe(ids), 0);
	child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) { /* ends with its keyring open */
		open_again();
		for (int i = 0; i < STOCK; i++)
			used[i] = take(KEY_SUBJECT);
		_exit(write(ids[1], used, sizeof(used)) == (ssize_t)sizeof(used) ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(read(ids[0], used, sizeof(used)), (ssize_t)sizeof(used));
	close(ids[0]);
	close(ids[1]);
	open_again();
	for (int i = 0; i < STOCK; i++) {
		id = take(KEY_SUBJECT);
		ck_assert_int_gt(memcmp(id.bytes, used[STOCK - 1].bytes, ID_LEN), 0);
	}
}
END_TEST

START_TEST(an_erased_key_is_gone_for_good)
{
	struct id gone = take(KEY_SUBJECT), kept = take(KEY_SUBJECT), never = {{7}};
	uint8_t key[KEYRING_KEY_LEN], before[KEYRING_KEY_LEN];
	struct keyring_stats stats;

	ck_assert_int_eq(keyring_get(kr, &kept, before), 0);
	ck_assert(!keyring_is_erased(kr, &gone));
	ck_assert_int_eq(keyring_erase(kr, (struct id[]){gone, never}, 2), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert(keyring_is_erased(kr, &gone));
		ck_assert(!keyring_is_erased(kr, &kept));
		ck_assert_int_eq(keyring_get(kr, &gone, key), ERR_ERASED);
		ck_assert_int_eq(keyring_get(kr, &never, key), ERR_ERASED);
		ck_assert_int_eq(keyring_get(kr, &kept, key), 0);
		ck_assert_mem_eq(key, before, sizeof(key));
		ck_assert_int_eq(keyring_stats(kr, &stats), 0);
		ck_assert_uint_eq(stats.tombstones, 2);
		/* With so few keys the epoch turned at once, and its key is no more. */
		ck_assert_uint_eq(stats.epoch, 2);
		ck_assert_int_eq(stats.turn_due_at_us, 0);
		ck_assert_uint_eq(n_epoch_files(), 1);
		open_again();
	}
}
END_TEST

START_TEST(turning_the_epoch_keeps_every_key)
{
	struct id ids[8];
	uint8_t keys[8][KEYRING_KEY_LEN], key[KEYRING_KEY_LEN];
	struct keyring_stats stats;

	for (int i = 0; i < 8; i++) {
		ids[i] = take(i % 2 == 0 ? KEY_SUBJECT : KEY_DELIVERY);
		ck_assert_int_eq(keyring_get(kr, &ids[i], keys[i]), 0);
	}
	for (int turn = 0; turn < 3; turn++) {
		ck_assert_int_eq(keyring_turn_epoch(kr), 0);
		open_again();
		for (int i = 0; i < 8; i++) {
			ck_assert_int_eq(keyring_get(kr, &ids[i], key), 0);
			ck_assert_mem_eq(key, keys[i], sizeof(key));
		}
	}
	ck_assert_int_eq(keyring_stats(kr, &stats), 0);
	ck_assert_uint_eq(stats.epoch, 4);
	ck_assert_uint_eq(n_epoch_files(), 1);
}
END_TEST

static ssize_t refuse_write(int fd, const void *bytes, size_t len)
{
	(void)fd;
	(void)bytes;
	(void)len;
	return -1;
}

/* The old epoch key cannot be destroyed: the turn is owed, and the next start pays. */
START_TEST(an_interrupted_turn_is_finished_at_the_next_start)
{
	struct io broken = io_system;
	struct id id = take(KEY_SUBJECT);
	uint8_t key[KEYRING_KEY_LEN], before[KEYRING_KEY_LEN];
	char path[160], other[160];
	struct keyring_stats stats;

	ck_assert_int_eq(keyring_get(kr, &id, before), 0);
	/* Wait for the stock: its thread must not meet the broken calls. */
	do
		ck_assert_int_eq(keyring_stats(kr, &stats), 0);
	while (stats.stock[KEY_SUBJECT] <= STOCK / 2 || stats.stock[KEY_DELIVERY] <= STOCK / 2);
	snprintf(path, sizeof(path), "%s/epoch-00000001.key", keys_dir);
	snprintf(other, sizeof(other), "%s/saved", dir);
	ck_assert_int_eq(link(path, other), 0);
	broken.write = refuse_write;
	io_calls = &broken;
	ck_assert_int_ne(keyring_turn_epoch(kr), 0); /* its new file cannot be written */
	io_calls = &io_system;
	ck_assert_uint_eq(n_epoch_files(), 1);
	ck_assert_int_eq(keyring_get(kr, &id, key), 0);
	ck_assert_mem_eq(key, before, sizeof(key));

	ck_assert_int_eq(keyring_turn_epoch(kr), 0);
	keyring_close(kr);
	kr = NULL;
	/* As if the crash had come before the old file was overwritten: garbage here, overwritten half way. */
	ck_assert_int_eq(link(other, path), 0);
	ck_assert_uint_eq(n_epoch_files(), 2);
	open_again();
	ck_assert_uint_eq(n_epoch_files(), 1);
	ck_assert_int_eq(keyring_get(kr, &id, key), 0);
	ck_assert_mem_eq(key, before, sizeof(key));
}
END_TEST

START_TEST(raw_bodies_end_with_their_age)
{
	struct id old = take(KEY_DELIVERY), young, subject = take(KEY_SUBJECT);
	uint8_t key[KEYRING_KEY_LEN];
	uint64_t n;

	ck_assert_int_eq(keyring_get(kr, &old, key), 0);
	await_stock(KEY_DELIVERY);
	clock_manual_advance(&now, 29 * DAY_US);
	ck_assert_int_eq(keyring_sweep(kr, &n), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(keyring_get(kr, &old, key), 0);
	/* One taken now is not of the old stock, so it has its whole time before it. */
	young = take(KEY_DELIVERY);
	await_stock(KEY_DELIVERY);
	clock_manual_advance(&now, 2 * DAY_US);
	ck_assert_int_eq(keyring_sweep(kr, &n), 0); /* n may be 0: the keyring's own thread sweeps too */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(keyring_get(kr, &old, key), ERR_ERASED);
		ck_assert_int_eq(keyring_get(kr, &young, key), 0);
		ck_assert_int_eq(keyring_get(kr, &subject, key), 0);
		open_again();
	}
}
END_TEST

/* However many there were: nothing is left of them, and they are told from those that never were. */
START_TEST(codes_end_without_a_trace)
{
	struct id used[5 * STOCK], live, subject, unknown;
	uint8_t key[KEYRING_KEY_LEN];
	struct keyring_stats stats;

	for (int i = 0; i < 5 * STOCK; i++) {
		used[i] = take(KEY_CODE);
		ck_assert_int_eq(keyring_get(kr, &used[i], key), 0);
		if (i % STOCK == STOCK - 1)
			ck_assert_int_eq(keyring_erase(kr, &used[i + 1 - STOCK], STOCK), 0);
	}
	live = take(KEY_CODE);
	subject = take(KEY_SUBJECT);
	unknown = live;
	unknown.bytes[0]++; /* above all that were made */
	for (int round = 0; round < 2; round++) {
		ck_assert_int_eq(keyring_stats(kr, &stats), 0);
		ck_assert_uint_eq(stats.tombstones, 0);
		ck_assert_uint_le(stats.codes, 1 + 2 * STOCK);
		for (int i = 0; i < 5 * STOCK; i++)
			ck_assert_int_eq(keyring_get(kr, &used[i], key), ERR_ERASED);
		ck_assert_int_eq(keyring_get(kr, &live, key), 0);
		ck_assert_int_eq(keyring_get(kr, &subject, key), 0);
		ck_assert_int_eq(keyring_get(kr, &unknown, key), ERR_NOT_FOUND);
		open_again();
	}
	/* None is made twice, though the highest is gone from the table. */
	ck_assert_int_eq(keyring_erase(kr, &live, 1), 0);
	unknown = take(KEY_CODE);
	ck_assert_int_gt(memcmp(unknown.bytes, live.bytes, ID_LEN), 0);
}
END_TEST

/* A copy of the keyring from before brings none back for longer than some hours: by its age it does not open. */
START_TEST(a_code_nobody_erased_ends_with_its_age)
{
	struct id old = take(KEY_CODE), young, subject = take(KEY_SUBJECT);
	uint8_t key[KEYRING_KEY_LEN];
	uint64_t n;

	await_stock(KEY_CODE);
	clock_manual_advance(&now, DAY_US / 24 * (KEYRING_CODE_HOURS - 1));
	ck_assert(!keyring_is_erased(kr, &old));
	await_stock(KEY_CODE);
	clock_manual_advance(&now, DAY_US / 24 / 2);
	young = take(KEY_CODE); /* not of the stock there was */
	ck_assert_int_eq(keyring_get(kr, &old, key), 0);
	clock_manual_advance(&now, DAY_US / 24);
	ck_assert(keyring_is_erased(kr, &old));
	ck_assert_int_eq(keyring_sweep(kr, &n), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(keyring_get(kr, &old, key), ERR_ERASED);
		ck_assert_int_eq(keyring_get(kr, &young, key), 0);
		ck_assert_int_eq(keyring_get(kr, &subject, key), 0);
		open_again();
	}
}
END_TEST

START_TEST(with_no_days_to_keep_there_are_no_delivery_keys)
{
	struct keyring_options o = options();
	struct id id;

	keyring_close(kr);
	kr = NULL;
	o.keep_days = 0;
	ck_assert_int_eq(keyring_open(&kr, &o), 0);
	ck_assert_int_eq(keyring_take(kr, KEY_DELIVERY, &id), ERR_UNAVAILABLE);
	ck_assert_int_eq(keyring_take(kr, KEY_SUBJECT, &id), 0);
}
END_TEST

START_TEST(secrets_stay_the_same)
{
	uint8_t a[KEYRING_KEY_LEN], b[KEYRING_KEY_LEN];

	ck_assert_int_eq(keyring_secret(kr, "lookup", a), 0);
	open_again();
	ck_assert_int_eq(keyring_secret(kr, "lookup", b), 0);
	ck_assert_mem_eq(a, b, sizeof(a));
	ck_assert_int_eq(keyring_secret(kr, "other", b), 0);
	ck_assert_mem_ne(a, b, sizeof(a));
	ck_assert_int_eq(keyring_secret(kr, "", b), ERR_INVALID);
	ck_assert_int_eq(keyring_secret(kr, "a-name-of-more-than-thirty-two-bytes", b), ERR_INVALID);
}
END_TEST

START_TEST(a_wrong_or_missing_root_key_is_told)
{
	struct keyring_options o = options();
	struct keyring *other = NULL;
	char text[65];

	ck_assert_int_eq(keyring_open(&other, &o), ERR_LOCKED);
	keyring_close(kr);
	kr = NULL;
	memset(text, 'a', 64);
	ck_assert_int_eq(file_replace(root_path, slice_of(text, 64), 0600), 0);
	ck_assert_int_eq(keyring_open(&other, &o), ERR_BAD_KEY);
	ck_assert_int_eq(file_replace(root_path, SLICE("too short\n"), 0600), 0);
	ck_assert_int_eq(keyring_open(&other, &o), ERR_BAD_KEY);
	ck_assert_int_eq(unlink(root_path), 0);
	/* Never a new root key beside keys it could not open. */
	ck_assert_int_eq(keyring_open(&other, &o), ERR_NOT_FOUND);
	ck_assert(!file_exists(root_path));
	ck_assert_ptr_null(other);
}
END_TEST

START_TEST(an_altered_key_is_told_from_a_missing_one)
{
	struct id id = take(KEY_SUBJECT), unknown = id;
	struct buf file = BUF_INIT(1 << 26);
	uint8_t key[KEYRING_KEY_LEN];
	char path[160];
	char *at;

	unknown.bytes[8] ^= 1;
	ck_assert_int_eq(keyring_get(kr, &unknown, key), ERR_NOT_FOUND);
	keyring_close(kr);
	kr = NULL;
	snprintf(path, sizeof(path), "%s/data.mdb", keys_dir);
	ck_assert_int_eq(file_read(&file, path), 0);
	/* One bit of the wrapped key, wherever a page holds it: the id, then 0x01 and the epoch. */
	at = file.ptr;
	while ((at = memmem(at, (size_t)(file.ptr + file.len - at), id.bytes, ID_LEN)) != NULL) {
		if (memcmp(at + ID_LEN, "\x01\0\0\0\x01", 5) == 0)
			at[ID_LEN + 50] ^= 1;
		at++;
	}
	ck_assert_int_eq(file_replace(path, buf_slice(&file), 0600), 0);
	buf_finish(&file);
	open_again();
	ck_assert_int_eq(keyring_get(kr, &id, key), ERR_CORRUPT);
}
END_TEST

START_TEST(a_reader_beside_the_server_sees_keys_and_makes_none)
{
	struct id id = take(KEY_SUBJECT), other;
	uint8_t a[KEYRING_KEY_LEN], b[KEYRING_KEY_LEN];
	struct keyring_options o = options();

	ck_assert_int_eq(keyring_get(kr, &id, a), 0);
	ck_assert_int_eq(keyring_secret(kr, "lookup", b), 0);
	keyring_close(kr);
	kr = NULL;
	o.readonly = true;
	ck_assert_int_eq(keyring_open(&kr, &o), 0);
	ck_assert_int_eq(keyring_get(kr, &id, b), 0);
	ck_assert_mem_eq(a, b, sizeof(a));
	ck_assert_int_eq(keyring_secret(kr, "lookup", b), 0);
	ck_assert_int_eq(keyring_secret(kr, "new", b), ERR_NOT_FOUND);
	ck_assert_int_eq(keyring_take(kr, KEY_SUBJECT, &other), ERR_UNAVAILABLE);
	ck_assert_int_eq(keyring_erase(kr, &id, 1), ERR_UNAVAILABLE);
	ck_assert_int_eq(keyring_turn_epoch(kr), ERR_UNAVAILABLE);
}
END_TEST

static _Atomic int fatal_calls, fatal_err;

static void on_fatal(void *arg, int err)
{
	ck_assert_ptr_eq(arg, &now);
	fatal_err = err;
	fatal_calls++;
}

/* LMDB reads and writes nothing more after such a write: who goes on would refuse for ever. */
START_TEST(a_store_that_is_lost_to_us_is_told_once)
{
	struct keyring_options o = options();
	struct id id = take(KEY_SUBJECT), next;
	uint8_t key[KEYRING_KEY_LEN], again[KEYRING_KEY_LEN];

	ck_assert_int_eq(keyring_get(kr, &id, key), 0);
	keyring_close(kr);
	o.on_fatal = on_fatal;
	o.arg = &now;
	ck_assert_int_eq(keyring_open(&kr, &o), 0);
	ck_assert_int_eq(fatal_calls, 0);
	heads_fail = true;
	ck_assert_int_ne(keyring_turn_epoch(kr), 0);
	ck_assert_int_ne(keyring_turn_epoch(kr), 0);
	ck_assert_int_eq(fatal_calls, 1);
	ck_assert_int_ne(fatal_err, ERR_CORRUPT);
	heads_fail = false;
	open_again();
	ck_assert_int_eq(keyring_get(kr, &id, again), 0);
	ck_assert_mem_eq(key, again, sizeof(key));
	ck_assert_int_eq(keyring_take(kr, KEY_SUBJECT, &next), 0);
}
END_TEST

#define N_THREADS 4
#define N_TAKEN 500

static void *taker(void *arg)
{
	struct id *ids = arg;
	uint8_t key[KEYRING_KEY_LEN];

	for (int i = 0; i < N_TAKEN; i++) {
		if (keyring_take(kr, KEY_SUBJECT, &ids[i]) != 0 || keyring_get(kr, &ids[i], key) != 0)
			return ids;
		if (i % 100 == 99 && keyring_erase(kr, &ids[i], 1) != 0)
			return ids;
	}
	return NULL;
}

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, ID_LEN);
}

START_TEST(many_threads_never_get_the_same_key)
{
	static struct id ids[N_THREADS][N_TAKEN];
	pthread_t threads[N_THREADS];
	void *failed;

	for (int i = 0; i < N_THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, taker, ids[i]), 0);
	for (int i = 0; i < N_THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
		ck_assert_ptr_null(failed);
	}
	qsort(ids, N_THREADS * N_TAKEN, sizeof(struct id), by_bytes);
	for (int i = 1; i < N_THREADS * N_TAKEN; i++)
		ck_assert_mem_ne(((struct id *)ids)[i - 1].bytes, ((struct id *)ids)[i].bytes, ID_LEN);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("keyring");
	TCase *t = tcase_create("keyring");
	SRunner *r;
	int failed;

	if (crypto_init() != 0)
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, keys_are_given_once_and_survive_a_stop);
	tcase_add_test(t, a_clean_stop_keeps_the_stock);
	tcase_add_test(t, after_a_crash_no_key_of_the_old_stock_is_used);
	tcase_add_test(t, an_erased_key_is_gone_for_good);
	tcase_add_test(t, turning_the_epoch_keeps_every_key);
	tcase_add_test(t, an_interrupted_turn_is_finished_at_the_next_start);
	tcase_add_test(t, raw_bodies_end_with_their_age);
	tcase_add_test(t, codes_end_without_a_trace);
	tcase_add_test(t, a_code_nobody_erased_ends_with_its_age);
	tcase_add_test(t, with_no_days_to_keep_there_are_no_delivery_keys);
	tcase_add_test(t, secrets_stay_the_same);
	tcase_add_test(t, a_wrong_or_missing_root_key_is_told);
	tcase_add_test(t, an_altered_key_is_told_from_a_missing_one);
	tcase_add_test(t, a_reader_beside_the_server_sees_keys_and_makes_none);
	tcase_add_test(t, a_store_that_is_lost_to_us_is_told_once);
	tcase_add_test(t, many_threads_never_get_the_same_key);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
