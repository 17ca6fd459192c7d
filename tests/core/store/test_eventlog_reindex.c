/* The index can be lost, spoiled and made again; so can what the headers of records say. */
#include "log_tamper.h"

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

/* An index that says more, or something else, than the entries. */
static void spoil_index(const char *table, struct slice key, struct slice value)
{
	MDB_val k = {.mv_size = key.len, .mv_data = (void *)(uintptr_t)key.ptr};
	MDB_val v = {.mv_size = value.len, .mv_data = (void *)(uintptr_t)value.ptr};
	char dir[80];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	snprintf(dir, sizeof(dir), "%s/index", f.dir);
	ck_assert_int_eq(mdb_env_create(&env), 0);
	ck_assert_int_eq(mdb_env_set_maxdbs(env, 16), 0);
	ck_assert_int_eq(mdb_env_set_mapsize(env, f.options.map_bytes), 0);
	ck_assert_int_eq(mdb_env_open(env, dir, 0, 0600), 0);
	ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, table, 0, &dbi), 0);
	ck_assert_int_eq(mdb_put(txn, dbi, &k, &v, 0), 0);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

START_TEST(an_index_is_made_again)
{
	const struct test_event e = {.stream = "a", .once = "k"};
	struct append answer = {0};
	uint8_t earlier[4];
	char path[96];

	put_le(earlier, INDEX_FORMAT - 1, sizeof(earlier));
	make_five(&f);
	ck_assert_int_eq(append_one(f.log, &e), 0);
	log_fixture_close(&f);
	if (_i == 0) {
		snprintf(path, sizeof(path), "%s/index", f.dir);
		ck_assert_int_eq(tree_remove(path), 0);
	} else if (_i == 1) {
		spoil_index("meta", SLICE("format"), slice_of(earlier, sizeof(earlier)));
	} else {
		snprintf(path, sizeof(path), "%s/index/data.mdb", f.dir);
		ck_assert_int_eq(file_replace(path, SLICE("this is no index, but long enough to be looked at"), 0600), 0);
	}
	log_fixture_open(&f);
	ck_assert_int_eq(append_events(f.log, &e, 1, &answer), 0);
	ck_assert(answer.duplicate);
	ck_assert_uint_eq(answer.position, 5);
}
END_TEST

START_TEST(reindex_finds_and_cures)
{
	static const char no_key[ONCE_KEY_LEN];
	struct reindex_report report;

	make_five(&f);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "b", .once = "k", .claims = {"n:1"}}), 0);
	log_fixture_close(&f);
	spoil_index("once_00", slice_of(no_key, sizeof(no_key)), SLICE("\0\0\0\0\0\0\0\0"));
	spoil_index("claims", SLICE("n:2"), SLICE("\0\0\0\0\0\0\0\0"));
	spoil_index("claims", SLICE("n:1"), SLICE("\3\0\0\0\0\0\0\0"));
	spoil_index("type_counts", SLICE("\0\7"), SLICE("\5\0\0\0\0\0\0\0"));
	tamper(&f, tamper_position);
	ck_assert_int_eq(eventlog_open(&f.log, &f.options), ERR_CORRUPT);
	buf_clear(&f.problem);
	f.log = NULL;
	tamper(&f, tamper_position); /* back again: flipping twice */
	ck_assert_int_eq(eventlog_reindex(&f.options, &report, NULL, NULL), 0);
	ck_assert_uint_eq(report.differences, 4);
	ck_assert_msg(strstr(report.first, "once") != NULL, "%s", report.first);
	ck_assert_uint_eq(report.once, 1);
	ck_assert_uint_eq(report.claims, 1);
	ck_assert_uint_eq(report.streams, 2);
	ck_assert_uint_eq(report.types, 6);
	ck_assert_int_eq(eventlog_reindex(&f.options, &report, NULL, NULL), 0);
	ck_assert_uint_eq(report.differences, 0);
	ck_assert_uint_eq(report.headers, 0);
	log_fixture_open(&f);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "b", .claims = {"n:2"}}), 0);
}
END_TEST

static void change_header(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	(void)tiles;
	tamper_value(txn, entries, "\0\0\0\0\0\0\0\3", 8, 8, 0x40); /* stream version */
	tamper_value(txn, entries, "\0\0\0\0\0\0\0\3", 8, 17, 0x40); /* time */
}

START_TEST(headers_are_put_right)
{
	struct reindex_report report;
	struct log_read read;
	struct log_record r;

	make_five(&f);
	log_fixture_close(&f);
	tamper(&f, change_header); /* the start does not look at it: it is derived and not hashed */
	ck_assert_int_eq(eventlog_reindex(&f.options, &report, NULL, NULL), 0);
	ck_assert_uint_eq(report.headers, 1);
	ck_assert_int_eq(eventlog_reindex(&f.options, &report, NULL, NULL), 0);
	ck_assert_uint_eq(report.headers, 0);
	log_fixture_open(&f);
	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	ck_assert_int_eq(eventlog_read_one(&read, 3, &r), 0);
	ck_assert_uint_eq(r.stream_version, 4);
	ck_assert_int_eq(r.time_us, FIXTURE_TIME_US);
	log_read_stop(&read);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("eventlog_reindex");
	TCase *t = tcase_create("eventlog_reindex");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, an_index_is_made_again, 0, 3);
	tcase_add_test(t, reindex_finds_and_cures);
	tcase_add_test(t, headers_are_put_right);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
