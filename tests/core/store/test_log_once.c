/* Once keys in their runs, against a plain list of what was put. */
#include "store/log_once.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/rng.h"
#include "lib/run.h"
#include "lib/temp_dir.h"
#include "store/log_format.h"
#include "store/log_mdb.h"

#define MAP_BYTES ((uint64_t)1 << 30)
#define KEYS_MAX 40000

static char dir[TEMP_DIR_LEN];
static struct log_env env;
static struct log_once once;
static struct rng_test rng;
static MDB_dbi meta;

/* The list: the i-th key put has place i. */
static uint8_t keys[KEYS_MAX][ONCE_KEY_LEN];
static uint64_t n_keys;

static void open_it(void)
{
	MDB_txn *txn;

	ck_assert_int_eq(log_env_open(&env, dir, MAP_BYTES, false), 0);
	ck_assert_int_eq(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
	ck_assert_int_eq(log_table(txn, "meta", &meta), 0);
	ck_assert_int_eq(log_once_open(&once, txn, meta), 0);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	once.run_keys = 64;
}

static void setup(void)
{
	temp_dir_make(dir, "once");
	rng_test_init(&rng, 20261128);
	n_keys = 0;
	open_it();
}

static void teardown(void)
{
	log_env_close(&env);
	temp_dir_remove(dir);
}

static void reopen(void)
{
	log_env_close(&env);
	open_it();
}

static MDB_txn *begin(struct log_once_batch *b)
{
	MDB_txn *txn;

	ck_assert_int_eq(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
	ck_assert_int_eq(log_once_begin(b, &once, txn), 0);
	return txn;
}

/* A batch of new keys; one that is not kept is as one that never was. */
static void put_batch(unsigned n, bool keep)
{
	struct log_once_batch b;
	MDB_txn *txn = begin(&b);

	ck_assert_uint_le(n_keys + n, KEYS_MAX);
	for (unsigned i = 0; i < n; i++) {
		rng_fill(&rng.rng, keys[n_keys + i], ONCE_KEY_LEN);
		ck_assert_int_eq(log_once_put(&b, keys[n_keys + i], n_keys + i), 0);
	}
	ck_assert_int_eq(log_once_end(&b), 0);
	if (!keep) {
		mdb_txn_abort(txn);
		return;
	}
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	n_keys += n;
}

static MDB_txn *reading(void)
{
	MDB_txn *txn;

	ck_assert_int_eq(mdb_txn_begin(env.env, NULL, MDB_RDONLY, &txn), 0);
	return txn;
}

/* Every step-th key is found, with its place, and keys like them are not. */
static void check_finds(uint64_t step)
{
	MDB_txn *txn = reading();

	for (uint64_t i = 0; i < n_keys; i += step) {
		uint8_t other[ONCE_KEY_LEN];
		uint64_t place = UINT64_MAX;

		ck_assert_int_eq(log_once_find(&once, txn, keys[i], &place), 0);
		ck_assert_uint_eq(place, i);
		memcpy(other, keys[i], sizeof(other));
		other[ONCE_KEY_LEN - 1] ^= 1; /* no filter tells it apart */
		ck_assert_int_eq(log_once_find(&once, txn, other, &place), ERR_NOT_FOUND);
		rng_fill(&rng.rng, other, sizeof(other));
		ck_assert_int_eq(log_once_find(&once, txn, other, &place), ERR_NOT_FOUND);
	}
	mdb_txn_abort(txn);
}

static int by_key(const void *a, const void *b)
{
	return memcmp(keys[*(const uint64_t *)a], keys[*(const uint64_t *)b], ONCE_KEY_LEN);
}

/* A walk gives all of them in order. */
static void check_walk(void)
{
	struct log_once_walk w = {.n = 0};
	uint64_t *order = calloc(KEYS_MAX, sizeof(*order)), count;
	MDB_txn *txn = reading();
	MDB_val key, value;

	ck_assert_ptr_nonnull(order);
	for (uint64_t i = 0; i < n_keys; i++)
		order[i] = i;
	qsort(order, n_keys, sizeof(*order), by_key);
	ck_assert_int_eq(log_once_walk_begin(&w, &once, txn), 0);
	for (uint64_t i = 0; i < n_keys; i++) {
		ck_assert_int_eq(log_once_walk_next(&w, &key, &value), 0);
		ck_assert_uint_eq(key.mv_size, ONCE_KEY_LEN);
		ck_assert_mem_eq(key.mv_data, keys[order[i]], ONCE_KEY_LEN);
		ck_assert_uint_eq(get_le(value.mv_data, 8), order[i]);
	}
	ck_assert_int_eq(log_once_walk_next(&w, &key, &value), ERR_NOT_FOUND);
	log_once_walk_end(&w);
	ck_assert_int_eq(log_once_count(&once, txn, &count), 0);
	ck_assert_uint_eq(count, n_keys);
	mdb_txn_abort(txn);
	free(order);
}

struct shape {
	unsigned runs, top;
	uint64_t pieces, filters; /* of closed runs and those in work; there are */
};

static struct shape shape_now(void)
{
	struct shape s = {0};
	struct log_once_batch b;
	MDB_txn *txn = begin(&b);
	MDB_stat stat;

	for (unsigned i = 0; i < ONCE_RUNS_MAX; i++) {
		s.runs += b.runs[i].kind != RUN_NONE;
		s.top = b.runs[i].level > s.top ? b.runs[i].level : s.top;
		s.pieces += b.runs[i].pieces;
	}
	ck_assert_int_eq(mdb_stat(txn, once.filters, &stat), 0);
	s.filters = stat.ms_entries;
	mdb_txn_abort(txn);
	return s;
}

START_TEST(finds_what_was_put_whatever_is_being_merged)
{
	struct shape s;

	for (unsigned i = 0; i < 300; i++) {
		put_batch((unsigned)rng_below(&rng.rng, 200), i % 7 != 3);
		if (i % 10 == 9)
			reopen();
		check_finds(97);
	}
	check_finds(1);
	check_walk();
	s = shape_now();
	ck_assert_uint_ge(s.top, 3);
	ck_assert_uint_le(s.runs, 4 * (s.top + 2)); /* merges keep pace */
	ck_assert_uint_le(s.filters, s.pieces);     /* those of runs that are gone went with them */
}
END_TEST

/* A merge moves two keys with each: it is cut off, and looked at, at every point. */
START_TEST(a_merge_can_stop_anywhere)
{
	once.run_keys = 8;
	for (unsigned i = 0; i < 400; i++) {
		put_batch(1, true);
		put_batch(1, false);
		check_finds(1);
	}
	check_walk();
	reopen();
	check_finds(1);
	ck_assert_uint_ge(shape_now().top, 2);
}
END_TEST

START_TEST(of_one_key_twice_the_later_place_counts)
{
	uint8_t key[ONCE_KEY_LEN] = "the same";
	struct log_once_batch b;
	uint64_t place;
	MDB_txn *txn;

	txn = begin(&b);
	ck_assert_int_eq(log_once_put(&b, key, 500000), 0);
	ck_assert_int_eq(log_once_put(&b, key, 700000), 0);
	ck_assert_int_eq(log_once_end(&b), 0);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	put_batch(64, true); /* that run is closed */
	txn = begin(&b);
	ck_assert_int_eq(log_once_put(&b, key, 600000), 0);
	ck_assert_int_eq(log_once_end(&b), 0);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	for (unsigned i = 0; i < 10; i++)
		put_batch(64, true); /* and both are merged */
	txn = reading();
	ck_assert_int_eq(log_once_find(&once, txn, key, &place), 0);
	ck_assert_uint_eq(place, 700000);
	mdb_txn_abort(txn);
}
END_TEST

static void overwrite(MDB_dbi table, MDB_val key, MDB_val value)
{
	MDB_txn *txn;

	ck_assert_int_eq(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
	ck_assert_int_eq(mdb_put(txn, table, &key, &value, 0), 0);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
}

START_TEST(what_is_no_list_of_runs_is_not_believed)
{
	static uint8_t list[ONCE_RUNS_MAX * 24];
	struct log_once_batch b;
	uint64_t place;
	MDB_txn *txn;

	put_batch(10, true);
	for (unsigned i = 0; i < 2; i++) {
		list[24] = 9; /* no kind there is */
		overwrite(meta, val_of("once runs", 9), val_of(list, i == 0 ? 100 : sizeof(list)));
		txn = reading();
		ck_assert_int_eq(log_once_find(&once, txn, keys[0], &place), ERR_CORRUPT);
		ck_assert_int_eq(log_once_count(&once, txn, &place), ERR_CORRUPT);
		mdb_txn_abort(txn);
		ck_assert_int_eq(mdb_txn_begin(env.env, NULL, 0, &txn), 0);
		ck_assert_int_eq(log_once_begin(&b, &once, txn), ERR_CORRUPT);
		mdb_txn_abort(txn);
	}
}
END_TEST

START_TEST(a_filter_cut_short_is_not_believed)
{
	uint8_t name[5] = {0};
	uint64_t place;
	MDB_txn *txn;

	put_batch(64, true); /* closed: run 0, one piece */
	overwrite(once.filters, val_of(name, sizeof(name)), val_of("short", 5));
	txn = reading();
	ck_assert_int_eq(log_once_find(&once, txn, keys[0], &place), ERR_CORRUPT);
	mdb_txn_abort(txn);
}
END_TEST

START_TEST(a_row_of_another_length_is_not_believed)
{
	struct log_once_walk w = {.n = 0};
	uint64_t place;
	MDB_txn *txn;

	put_batch(10, true);
	overwrite(once.runs[0], val_of(keys[3], ONCE_KEY_LEN), val_of("123", 3));
	txn = reading();
	ck_assert_int_eq(log_once_find(&once, txn, keys[3], &place), ERR_CORRUPT);
	mdb_txn_abort(txn);
	overwrite(once.runs[0], val_of("0", 1), val_of("12345678", 8));
	txn = reading();
	{
		MDB_val key, value;
		int rc = log_once_walk_begin(&w, &once, txn);

		while (rc == 0)
			rc = log_once_walk_next(&w, &key, &value);
		ck_assert_int_eq(rc, ERR_CORRUPT);
	}
	log_once_walk_end(&w);
	mdb_txn_abort(txn);
}
END_TEST

/* Without a free slot the young run goes on growing. */
START_TEST(does_without_more_runs)
{
	struct log_once_batch b;
	MDB_txn *txn = begin(&b);

	for (unsigned i = 0; i < ONCE_RUNS_MAX; i++)
		b.runs[i] = (struct once_run){.kind = RUN_WHOLE, .level = i, .pieces = 1};
	b.runs[5] = (struct once_run){.kind = RUN_YOUNG};
	ck_assert_int_eq(log_once_end(&b), 0);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	put_batch(200, true);
	check_finds(1);
	ck_assert_uint_eq(shape_now().runs, ONCE_RUNS_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log_once");
	TCase *tc = tcase_create("runs");

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, finds_what_was_put_whatever_is_being_merged);
	tcase_add_test(tc, a_merge_can_stop_anywhere);
	tcase_add_test(tc, of_one_key_twice_the_later_place_counts);
	tcase_add_test(tc, what_is_no_list_of_runs_is_not_believed);
	tcase_add_test(tc, a_filter_cut_short_is_not_believed);
	tcase_add_test(tc, a_row_of_another_length_is_not_believed);
	tcase_add_test(tc, does_without_more_runs);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
