/* The engine's files: renewed, changed, broken, ahead, compared and made anew. */
#include "projector_rig.h"

static ino_t inode_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static void leave(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT, 0600);

	ck_assert_int_ge(fd, 0);
	close(fd);
}

START_TEST(renewed_it_is_another_file_of_the_same_rows)
{
	struct projection_status before, after;
	char kept[4096];
	ino_t old;

	start(only_tally);
	created("a", "one");
	created("b", "two");
	tally_is("[{\"meeting\":\"a\",\"events\":1},{\"meeting\":\"b\",\"events\":1}]");
	before = wait_for_state(PROJECTION_LIVE);
	/* It stays under another name, for a file system may give the inode of one that is gone to the next. */
	snprintf(kept, sizeof(kept), "%s", file_of(&tally, ".kept"));
	ck_assert_int_eq(link(file_of(&tally, ""), kept), 0);
	old = inode_of(kept);
	leave(file_of(&tally, ".bad"));
	leave(file_of(&tally_doubled, ""));
	ck_assert_int_eq(projector_renew(projector), 0);
	ck_assert(inode_of(file_of(&tally, "")) != 0 && inode_of(file_of(&tally, "")) != old);
	ck_assert_uint_eq(inode_of(file_of(&tally, ".new")), 0);
	ck_assert_uint_eq(inode_of(file_of(&tally, ".bad")), 0);
	ck_assert_uint_eq(inode_of(file_of(&tally_doubled, "")), 0);
	after = wait_for_state(PROJECTION_LIVE);
	ck_assert_uint_eq(after.rebuilds, before.rebuilds + 1);
	ck_assert_uint_ne(after.generation, before.generation);
	ck_assert_uint_eq(after.position, 2);
	created("b", "three");
	tally_is("[{\"meeting\":\"a\",\"events\":1},{\"meeting\":\"b\",\"events\":2}]");
}
END_TEST

/* What it cannot apply it cannot apply anew; renewing does not wait for a person. */
START_TEST(one_that_stopped_stops_there_again_when_it_is_renewed)
{
	struct projection_status s;

	start(only_tally);
	created("a", "one");
	created("a", "bad");
	wait_for_state(PROJECTION_STOPPED);
	ck_assert_int_eq(projector_renew(projector), 0);
	s = wait_for_state(PROJECTION_STOPPED);
	ck_assert_uint_eq(s.position, 1);
	ck_assert_uint_eq(s.rebuilds, 1);
	ck_assert_uint_eq(inode_of(file_of(&tally, ".new")), 0);
}
END_TEST

/* What is wrong with an event shows when it is applied, or only when the rows of many are written. */
START_TEST(a_changed_file_is_built_beside_the_old_one)
{
	created("a", "one");
	created("b", "one");
	start(only_tally);
	tally_is("[{\"meeting\":\"a\",\"events\":1},{\"meeting\":\"b\",\"events\":1}]");
	stop();
	start(only_doubled);
	wait_for_state(PROJECTION_LIVE); /* before that the old rows are the answer */
	tally_is("[{\"meeting\":\"a\",\"events\":2},{\"meeting\":\"b\",\"events\":2}]");
	ck_assert(!status_now().serving_old);
	stop(); /* the old file goes at the swap */
	ck_assert(!file_exists(file_of(&tally, "")));
	ck_assert(!file_exists(file_of(&tally, "-wal")));
	ck_assert(file_exists(file_of(&tally_doubled, "")));
}
END_TEST

START_TEST(the_old_file_answers_while_the_new_one_cannot)
{
	struct query q = {.def = &tally_doubled_query};
	struct projection_status s;

	created("a", "one");
	start(only_tally);
	tally_is("[{\"meeting\":\"a\",\"events\":1}]");
	stop();
	created("a", "bad");
	start(only_doubled);
	s = wait_for_state(PROJECTION_STOPPED);
	ck_assert(s.serving && s.serving_old);
	ck_assert_uint_eq(s.serving_position, 1);
	ck_assert_int_eq(query_run(pool, &q), 0);
	ck_assert(q.stale);
	ck_assert_uint_eq(q.position, 1);
	ck_assert_str_eq(q.out.ptr, "[{\"meeting\":\"a\",\"events\":1}]");
	query_finish(&q);
}
END_TEST

static void overwrite(const char *path, off_t at, const char *bytes, size_t len)
{
	int fd = open(path, O_WRONLY);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, bytes, len, at), (ssize_t)len);
	close(fd);
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;

	ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* How a file can be broken while nobody looks. */
static void no_database(const char *path)
{
	overwrite(path, 0, "this is no database at all", 26);
}

static void torn_page(const char *path)
{
	char zeros[64] = {0};
	struct stat st;

	run_sql(path, "update projection_state set clean = 0");
	ck_assert_int_eq(stat(path, &st), 0);
	for (off_t at = 4096; at < st.st_size; at += 4096)
		overwrite(path, at, zeros, sizeof(zeros));
}

static void ahead(const char *path)
{
	run_sql(path, "update projection_state set position = 1000");
}

static void of_another_log(const char *path)
{
	run_sql(path, "update projection_state set last_hash = zeroblob(32)");
}

static void of_another_model(const char *path)
{
	run_sql(path, "update projection_state set model = 'somebody'");
}

static const struct { const char *says; void (*harm)(const char *path); } harms[] = {
	{"not a database", no_database},
	{"pages torn by an unclean stop", torn_page},
	{"ahead of the log", ahead},
	{"read from another log", of_another_log},
	{"another read model's", of_another_model},
};

START_TEST(a_harmed_file_is_set_aside_and_made_anew)
{
	created("a", "one");
	created("a", "two");
	start(only_tally);
	tally_is("[{\"meeting\":\"a\",\"events\":2}]");
	stop();
	harms[_i].harm(file_of(&tally, ""));
	start(only_tally);
	tally_is("[{\"meeting\":\"a\",\"events\":2}]");
	ck_assert_msg(status_now().rebuilds == 1, "%s", harms[_i].says);
	ck_assert(file_exists(file_of(&tally, ".bad")));
}
END_TEST

START_TEST(verify_finds_a_changed_row)
{
	struct projection_verdict verdict;

	created("a", "one");
	start(only_tally);
	tally_is("[{\"meeting\":\"a\",\"events\":1}]");
	ck_assert_int_eq(projection_verify(&f.options, &tally, &verdict, NULL, NULL, NULL), 0); /* beside the live one */
	ck_assert(verdict.equal);
	stop();
	run_sql(file_of(&tally, ""), "update tally set events = 9");
	ck_assert_int_eq(projection_verify(&f.options, &tally, &verdict, NULL, NULL, NULL), 0);
	ck_assert(!verdict.equal);
	ck_assert(!file_exists(file_of(&tally, ".verify")));
}
END_TEST

static bool never(void *arg, uint64_t done, uint64_t total)
{
	(void)arg;
	(void)done;
	(void)total;
	return false;
}

#define WAL_PAGE (2048 + 24)

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : 0;
}

/* Each in a commit of its own. */
static void tell(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		char meeting[16];

		snprintf(meeting, sizeof(meeting), "m%05u", i);
		created(meeting, "one");
		ck_assert_int_eq(projector_wait(projector, "tally", i, 20000), 0);
	}
}

static void count_is(int meetings)
{
	static const struct query_column columns[] = {{"n", COLUMN_INTEGER, false, SLICE_INIT("\"n\":"), {0}}, {0}};
	static const struct query_def def = {"tally_count", &tally, "select count(*) from tally where events = 1", no_params, columns};
	struct query q = {.def = &def, .has_min_position = true, .min_position = eventlog_size(f.log) - 1, .wait_ms = 20000};
	char json[64];

	snprintf(json, sizeof(json), "[{\"n\":%d}]", meetings);
	ck_assert_int_eq(query_run(pool, &q), 0);
	ck_assert_str_eq(q.out.ptr, json);
	query_finish(&q);
}

/* A commit that writes all of the WAL into the file would take long: another thread does it, while live rows go on. */
START_TEST(a_wal_goes_into_the_file_beside_live_rows)
{
	off_t file, wal;
	unsigned n = 0;

	f.options.backfill_pages = 40;
	start(only_tally);
	wait_for_state(PROJECTION_LIVE);
	file = size_of(file_of(&tally, ""));
	/* Now it is due. The model itself does nothing of it before its next commit. */
	for (; size_of(file_of(&tally, "-wal")) < 40 * WAL_PAGE; n++)
		tell(n, n + 1);
	for (int i = 0; i < 2000 && size_of(file_of(&tally, "")) == file; i++)
		usleep(10000);
	ck_assert_int_gt(size_of(file_of(&tally, "")), file);
	tell(n, 400);
	wal = size_of(file_of(&tally, "-wal"));
	tell(400, 800);
	ck_assert_int_lt(wal, 40 * 5 * WAL_PAGE);
	ck_assert_int_lt(size_of(file_of(&tally, "-wal")), 40 * 5 * WAL_PAGE);
	count_is(800);
	stop();
	ck_assert_uint_eq(inode_of(file_of(&tally, "-wal")), 0);
	start(only_tally);
	count_is(800);
}
END_TEST

/* Whatever the other thread is at, a file that is to go is nobody's by then. */
START_TEST(it_is_renewed_while_its_wal_goes_into_it)
{
	f.options.backfill_pages = 1;
	start(only_tally);
	for (unsigned i = 0; i < 10; i++) {
		tell(20 * i, 20 * i + 20);
		ck_assert_int_eq(projector_renew(projector), 0);
	}
	count_is(200);
	ck_assert_uint_eq(status_now().rebuilds, 10);
	ck_assert_uint_eq(inode_of(file_of(&tally, ".bad")), 0);
}
END_TEST

START_TEST(an_interrupted_rebuild_leaves_the_old_file)
{
	struct projection_verdict verdict;

	created("a", "one");
	start(only_tally);
	tally_is("[{\"meeting\":\"a\",\"events\":1}]");
	stop();
	ck_assert_int_eq(projection_rebuild(&f.options, &tally, never, NULL, NULL), ERR_CANCELLED);
	ck_assert_int_eq(projection_verify(&f.options, &tally, &verdict, NULL, NULL, NULL), 0);
	ck_assert(verdict.equal);
	ck_assert(!file_exists(file_of(&tally, ".new")));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("projector_files");
	TCase *engine = tcase_create("engine");

	tcase_add_checked_fixture(engine, setup, teardown);
	tcase_set_timeout(engine, 60);
	tcase_add_test(engine, renewed_it_is_another_file_of_the_same_rows);
	tcase_add_test(engine, one_that_stopped_stops_there_again_when_it_is_renewed);
	tcase_add_test(engine, a_changed_file_is_built_beside_the_old_one);
	tcase_add_test(engine, the_old_file_answers_while_the_new_one_cannot);
	tcase_add_loop_test(engine, a_harmed_file_is_set_aside_and_made_anew, 0, sizeof(harms) / sizeof(harms[0]));
	tcase_add_test(engine, verify_finds_a_changed_row);
	tcase_add_test(engine, a_wal_goes_into_the_file_beside_live_rows);
	tcase_add_test(engine, it_is_renewed_while_its_wal_goes_into_it);
	tcase_add_test(engine, an_interrupted_rebuild_leaves_the_old_file);
	suite_add_tcase(suite, engine);
	return run_suite(suite);
}
