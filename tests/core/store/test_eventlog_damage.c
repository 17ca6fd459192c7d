/* What the start finds wrong: bytes that were changed, records that are missing, another history than was signed. */
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

static void change_entry(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	(void)tiles;
	tamper_value(txn, entries, "\0\0\0\0\0\0\0\2", 8, RECORD_HEADER_LEN + 40, 1);
}

static void change_hash(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	(void)entries;
	tamper_value(txn, tiles, "\377\0\0\0\0\0\0\0\0", 9, 32 * 3, 1);
}

static void drop_middle(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	MDB_val k = {.mv_size = 8, .mv_data = (char[]){0, 0, 0, 0, 0, 0, 0, 2}};

	(void)tiles;
	ck_assert_int_eq(mdb_del(txn, entries, &k, NULL), 0);
}

static void drop_last(MDB_txn *txn, MDB_dbi entries, MDB_dbi tiles)
{
	MDB_val k = {.mv_size = 8, .mv_data = (char[]){0, 0, 0, 0, 0, 0, 0, 4}};

	(void)tiles;
	ck_assert_int_eq(mdb_del(txn, entries, &k, NULL), 0);
}

static const struct {
	const char *says;
	tamper_fn *change;
	const char *names; /* what the problem has to speak of */
} changes[] = {
	{"a changed byte in an entry", change_entry, "position 2"},
	{"a changed leaf hash", change_hash, "position 3"},
	{"a missing record", drop_middle, "do not fit"},
	{"a header that points elsewhere", tamper_position, ""},
};

START_TEST(changes_are_found_at_start)
{
	int rc;

	make_five(&f);
	log_fixture_close(&f);
	tamper(&f, changes[_i].change);
	rc = eventlog_open(&f.log, &f.options);
	ck_assert_msg(rc == ERR_CORRUPT, "%s: %s", changes[_i].says, err_name(rc));
	ck_assert_msg(strstr(f.problem.ptr, changes[_i].names) != NULL, "%s", f.problem.ptr);
	f.log = NULL;
}
END_TEST

START_TEST(a_log_shorter_than_signed_is_read_only)
{
	struct merkle_hash root;
	uint64_t size;

	make_five(&f);
	eventlog_root(f.log, &size, &root);
	log_fixture_close(&f);
	f.options.signed_size = size;
	f.options.signed_root = root;
	log_fixture_open(&f);
	ck_assert_ptr_null(eventlog_refusal(f.log));
	log_fixture_close(&f);
	tamper(&f, drop_last); /* as an older copy put back would lack it */
	log_fixture_open(&f);
	ck_assert_ptr_nonnull(strstr(eventlog_refusal(f.log), "the log has 4, was signed for 5"));
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), ERR_UNAVAILABLE);
	ck_assert_uint_eq(eventlog_size(f.log), 4);
}
END_TEST

START_TEST(another_history_than_signed_is_refused)
{
	uint64_t size;

	make_five(&f);
	eventlog_root(f.log, &size, &f.options.signed_root);
	log_fixture_close(&f);
	f.options.signed_size = size;
	f.options.signed_root.bytes[0] ^= 1;
	ck_assert_int_eq(eventlog_open(&f.log, &f.options), ERR_CORRUPT);
	f.log = NULL;
}
END_TEST

static void leave_note(uint64_t size, const struct merkle_hash *root)
{
	struct buf note = BUF_INIT(4000);

	checkpoint_make(&note, size, root);
	ck_assert_int_eq(eventlog_put_note(f.log, size, buf_slice(&note)), 0);
	buf_finish(&note);
}

START_TEST(the_newest_checkpoint_is_compared)
{
	struct merkle_hash root;
	uint64_t size;

	make_five(&f);
	eventlog_root(f.log, &size, &root);
	leave_note(size, &root);
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), 0);
	log_fixture_close(&f);
	log_fixture_open(&f); /* the log has grown since; the root at that size is the same */
	ck_assert_ptr_null(eventlog_refusal(f.log));
	eventlog_root(f.log, &size, &root);
	if (_i == 0) { /* another root at its size */
		root.bytes[31] ^= 1;
		leave_note(size, &root);
	} else if (_i == 1) { /* not a checkpoint */
		ck_assert_int_eq(eventlog_put_note(f.log, size, SLICE("a shopping list\n")), 0);
	} else { /* over more events than there are */
		leave_note(size + 1, &root);
	}
	log_fixture_close(&f);
	if (_i < 2) {
		ck_assert_int_eq(eventlog_open(&f.log, &f.options), ERR_CORRUPT);
		ck_assert_ptr_nonnull(strstr(f.problem.ptr, _i == 0 ? "the root over 6 events" : "cannot be read"));
		f.log = NULL;
		return;
	}
	log_fixture_open(&f);
	ck_assert_ptr_nonnull(strstr(eventlog_refusal(f.log), "events were lost"));
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), ERR_UNAVAILABLE);
}
END_TEST

/* ---- a log that is gone is not a new one ---------------------------------------------- */

static const char *log_file(void)
{
	static char path[96];

	snprintf(path, sizeof(path), "%s/log/data.mdb", f.dir);
	return path;
}

START_TEST(a_file_without_content_is_no_new_log)
{
	make_five(&f);
	log_fixture_close(&f);
	ck_assert_int_eq(truncate(log_file(), 0), 0);
	ck_assert_int_eq(eventlog_open(&f.log, &f.options), ERR_CORRUPT);
	ck_assert_ptr_nonnull(strstr(f.problem.ptr, "is damaged"));
	f.log = NULL;
}
END_TEST

START_TEST(a_missing_file_is_no_new_log_where_there_was_one)
{
	char dir[90];

	make_five(&f);
	log_fixture_close(&f);
	snprintf(dir, sizeof(dir), "%s/log", f.dir);
	ck_assert_int_eq(tree_remove(_i == 0 ? log_file() : dir), 0);
	f.options.existed = true;
	ck_assert_int_eq(eventlog_open(&f.log, &f.options), ERR_NOT_FOUND);
	ck_assert_ptr_nonnull(strstr(f.problem.ptr, "is missing"));
	ck_assert(!file_exists(log_file()));
	ck_assert(_i == 0 || !file_exists(dir)); /* where there is none a backup can be restored */
	f.log = NULL;
}
END_TEST

START_TEST(an_empty_log_beside_an_index_of_events_takes_nothing)
{
	make_five(&f);
	log_fixture_close(&f);
	ck_assert_int_eq(tree_remove(log_file()), 0);
	log_fixture_open(&f);
	ck_assert_ptr_nonnull(strstr(eventlog_refusal(f.log), "events were lost"));
	ck_assert_int_eq(append_one(f.log, &(struct test_event){.stream = "a"}), ERR_UNAVAILABLE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("eventlog_damage");
	TCase *t = tcase_create("eventlog_damage");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, changes_are_found_at_start, 0, COUNT(changes));
	tcase_add_test(t, a_log_shorter_than_signed_is_read_only);
	tcase_add_test(t, another_history_than_signed_is_refused);
	tcase_add_loop_test(t, the_newest_checkpoint_is_compared, 0, 3);
	tcase_add_test(t, a_file_without_content_is_no_new_log);
	tcase_add_loop_test(t, a_missing_file_is_no_new_log_where_there_was_one, 0, 2);
	tcase_add_test(t, an_empty_log_beside_an_index_of_events_takes_nothing);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
