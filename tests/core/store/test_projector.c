/* The engine: positions, stops and skips, files that changed, broke or ran ahead, and threads at work meanwhile. */
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/log.h"
#include "projection_fixture.h"

static struct projection_fixture f;
static struct projector *projector;
static struct query_pool *pool;

static void quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

static void setup(void)
{
	log_set_sink(quiet, NULL); /* stops and set-aside files are what is tested here */
	fixture_init(&f);
}

static void start(const struct projection *const *models)
{
	struct query_pool_options options = {.clock = &clock_system, .n_threads = 2};

	f.options.models = models;
	ck_assert_int_eq(projector_start(&projector, &f.options), 0);
	options.projector = projector;
	ck_assert_int_eq(query_pool_open(&pool, &options), 0);
}

static void stop(void)
{
	query_pool_close(pool);
	projector_stop(projector);
	pool = NULL;
	projector = NULL;
}

static void teardown(void)
{
	stop();
	fixture_finish(&f);
	log_set_sink(NULL, NULL);
}

/* ---- a read model made by hand ------------------------------------------------------ */

/* Counts meetings by title length; a title called "bad" breaks its check. */
static const char *const tally_ddl[] = {
    "create table tally (meeting text primary key, title text constraint no_bad check (title <> 'bad'), events integer not null) strict;",
    NULL,
};
static const struct projection_bind tally_binds[] = {{PROJECTION_FIELD, "meeting_id"}, {PROJECTION_FIELD, "title"}};
static const struct projection_statement tally_statements[] = {
    {"insert into tally values (:meeting_id, :title, 1) on conflict (meeting) do update set events = events + 1,"
     " title = excluded.title",
        tally_binds, 2, 7, NULL, NULL},
};
static const struct projection_statement tally_doubled_statements[] = {
    {"insert into tally values (:meeting_id, :title, 2) on conflict (meeting) do update set events = events + 2,"
     " title = excluded.title",
        tally_binds, 2, 7, NULL, NULL},
};
static const struct projection_handler tally_handlers[] = {{EVENT_MEETING_CREATED, tally_statements, 1}};
static const struct projection_handler tally_doubled_handlers[] = {{EVENT_MEETING_CREATED, tally_doubled_statements, 1}};
static const struct projection_table tally_tables[] = {{"tally", "select * from tally order by meeting"}, {0}};
static const struct projection tally, tally_doubled;
static const struct query_column tally_columns[] = {{"meeting", COLUMN_TEXT, false, SLICE_INIT("\"meeting\":"), {0}},
	{"events", COLUMN_INTEGER, false, SLICE_INIT("\"events\":"), {0}}, {0}};
static const char *const no_params[] = {NULL};
static const struct query_def tally_query = {
    "tally_all", &tally, "select meeting, events from tally order by meeting", no_params, tally_columns};
static const struct query_def tally_doubled_query = {
    "tally_all", &tally_doubled, "select meeting, events from tally order by meeting", no_params, tally_columns};
static const struct query_def *const tally_queries[] = {&tally_query, NULL};
static const struct query_def *const tally_doubled_queries[] = {&tally_doubled_query, NULL};
static const struct list_def *const no_lists[] = {NULL};
static const struct projection tally = {
    .name = "tally", .file = "projections/tally.sql", .version = "0000000000000001", .ddl = tally_ddl,
    .handlers = tally_handlers, .n_handlers = 1, .tables = tally_tables, .queries = tally_queries, .lists = no_lists,
};
static const struct projection tally_doubled = {
    .name = "tally", .file = "projections/tally.sql", .version = "0000000000000002", .ddl = tally_ddl,
    .handlers = tally_doubled_handlers, .n_handlers = 1, .tables = tally_tables, .queries = tally_doubled_queries, .lists = no_lists,
};
/* As tally, but the rows of a batch are written together, and the first title of a meeting stays. */
static const struct gather_column gathered_columns[] = {
    {"meeting", false, true, GATHER_KEY}, {"title", false, true, GATHER_FIRST}, {"events", true, false, GATHER_SUM}};
static const struct projection_gather tally_gathers[] = {
    {gathered_columns, 3,
        "insert into tally values (?1, ?2, coalesce(?3, 0)) on conflict (meeting) do update set"
        " events = events + excluded.events", 5}};
static const unsigned char gathered_order[] = {2, 0, 1};
static const struct projection_statement tally_gathered_statements[] = {
    {"select 1, :meeting_id, iif(:title = 'none', null, :title)", tally_binds, 2, 7, tally_gathers, gathered_order},
};
static const struct projection_handler tally_gathered_handlers[] = {{EVENT_MEETING_CREATED, tally_gathered_statements, 1}};
static const struct projection tally_gathered;
static const struct query_def tally_gathered_query = {
    "tally_all", &tally_gathered, "select meeting, events from tally order by meeting", no_params, tally_columns};
static const struct query_def *const tally_gathered_queries[] = {&tally_gathered_query, NULL};
static const struct projection tally_gathered = {
    .name = "tally", .file = "projections/tally.sql", .version = "0000000000000003", .ddl = tally_ddl,
    .handlers = tally_gathered_handlers, .n_handlers = 1, .gathers = tally_gathers, .n_gathers = 1,
    .tables = tally_tables, .queries = tally_gathered_queries, .lists = no_lists,
};
static const struct projection *const only_gathered[] = {&tally_gathered, NULL};
static const struct projection *const only_tally[] = {&tally, NULL};
static const struct projection *const only_doubled[] = {&tally_doubled, NULL};

static void created(const char *meeting, const char *title)
{
	char data[256];

	snprintf(data, sizeof(data), "{\"meeting_id\":\"%s\",\"title\":\"%s\",\"operate_at_ms\":1}", meeting, title);
	give(&f, "meeting.created", data);
}

static void tally_is(const char *json)
{
	const struct query_def *def = f.options.models[0]->queries[0];
	struct query q = {.def = def, .has_min_position = true, .min_position = eventlog_size(f.log) - 1,
	    .wait_ms = 20000};

	ck_assert_int_eq(query_run(pool, &q), 0);
	ck_assert_str_eq(q.out.ptr, json);
	query_finish(&q);
}

static struct projection_status status_now(void)
{
	struct projection_status s;

	ck_assert_int_eq(projector_status_of(projector, "tally", &s), 0);
	return s;
}

/* Looks again every few milliseconds; nothing tells of changes of state alone. */
static struct projection_status wait_for_state(enum projection_state state)
{
	struct projection_status s = status_now();

	for (unsigned i = 0; i < 5000 && s.state != state; i++) { /* the test's own time limit comes about first */
		eventlog_wait(f.log, eventlog_size(f.log), 10);
		s = status_now();
	}
	ck_assert_msg(s.state == state, "state is %s: %s", projection_state_name(s.state), s.problem);
	return s;
}

static char *file_of(const struct projection *model, const char *suffix)
{
	static char text[4096];
	struct buf path = BUF_INIT(4096);

	ck_assert_int_eq(projection_path(&path, f.dir, model), 0);
	snprintf(text, sizeof(text), "%s%s", path.ptr, suffix);
	buf_finish(&path);
	return text;
}

/* ---- memory that is not there for a moment --------------------------------------------- */

#define FRESH_BUFFERS 6 /* more than the thread of a model begins while it starts */

/* Buffers that the thread of the model "tally" begins until one cannot be; negative: none. */
static _Atomic int buffers_left = -1;

void *__real_realloc(void *ptr, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

void *__wrap_realloc(void *ptr, size_t size)
{
	char name[16] = "";

	if (buffers_left >= 0 && ptr == NULL && pthread_getname_np(pthread_self(), name, sizeof(name)) == 0 &&
	    strcmp(name, "tally") == 0 && buffers_left-- == 0)
		return NULL;
	return __real_realloc(ptr, size);
}

/* ---- tests --------------------------------------------------------------------------- */

START_TEST(events_become_rows_as_they_come)
{
	start(only_tally);
	created("a", "one");
	tally_is("[{\"meeting\":\"a\",\"events\":1}]");
	created("a", "two");
	created("b", "one");
	tally_is("[{\"meeting\":\"a\",\"events\":2},{\"meeting\":\"b\",\"events\":1}]");
	ck_assert_uint_eq(status_now().position, 3);
	ck_assert_int_eq(wait_for_state(PROJECTION_LIVE).err, 0);
	ck_assert_int_eq(projector_wait(projector, "tally", 99, 1), ERR_TIMEOUT);
	ck_assert_int_eq(projector_wait(projector, "nobody", 0, 1), ERR_NOT_FOUND);
}
END_TEST

START_TEST(it_answers_though_memory_was_short_at_its_start)
{
	buffers_left = _i;
	start(only_tally);
	created("a", "one");
	tally_is("[{\"meeting\":\"a\",\"events\":1}]");
	buffers_left = -1;
}
END_TEST

START_TEST(a_restart_goes_on_where_it_stood)
{
	struct projection_status s;

	created("a", "one");
	start(only_tally);
	tally_is("[{\"meeting\":\"a\",\"events\":1}]");
	stop();
	created("a", "two");
	start(only_tally);
	tally_is("[{\"meeting\":\"a\",\"events\":2}]");
	s = status_now();
	ck_assert_uint_eq(s.applied, 1);
	ck_assert_uint_eq(s.rebuilds, 0);
}
END_TEST

START_TEST(an_event_that_cannot_be_applied_stops_it_until_a_person_says_so)
{
	struct projection_status s;

	created("a", "one");
	created("a", "bad");
	created("a", "three");
	start(only_tally);
	s = wait_for_state(PROJECTION_STOPPED);
	ck_assert_uint_eq(s.position, 1);
	ck_assert_uint_eq(s.err_position, 1);
	ck_assert_int_eq(s.err, ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(s.problem, "projections/tally.sql:7: meeting.created"));
	ck_assert_ptr_null(strstr(s.problem, "'bad'"));
	ck_assert_int_eq(projector_wait(projector, "tally", 2, 60000), ERR_UNAVAILABLE);

	/* The word for another position, or another model, is not for this one. */
	give(&f, "projection.skipped", "{\"projection\":\"tally\",\"position\":0,\"reason\":\"no\"}");
	give(&f, "projection.skipped", "{\"projection\":\"other\",\"position\":1,\"reason\":\"no\"}");
	ck_assert_int_eq(projector_wait(projector, "tally", 2, 60000), ERR_UNAVAILABLE);
	ck_assert_int_eq(status_now().state, PROJECTION_STOPPED);

	give(&f, "projection.skipped", "{\"projection\":\"tally\",\"position\":1,\"reason\":\"a test\"}");
	wait_for_state(PROJECTION_LIVE);
	tally_is("[{\"meeting\":\"a\",\"events\":2}]");
}
END_TEST

START_TEST(it_says_whether_it_still_stands_where_it_answered)
{
	struct projector_stand stand;
	struct projection_status s;

	start(only_tally);
	created("a", "one");
	tally_is("[{\"meeting\":\"a\",\"events\":1}]");
	s = wait_for_state(PROJECTION_LIVE);
	ck_assert(projector_stand(projector, &tally, s.generation, &stand));
	ck_assert_uint_eq(stand.rows, 1);
	ck_assert_uint_eq(stand.position, 1);
	ck_assert(!projector_stand(projector, &tally, s.generation + 1, &stand));
	ck_assert(!projector_stand(projector, &tally_doubled, s.generation, &stand));
	created("a", "two");
	tally_is("[{\"meeting\":\"a\",\"events\":2}]");
	ck_assert(projector_stand(projector, &tally, s.generation, &stand));
	ck_assert_uint_eq(stand.rows, 2);
}
END_TEST

static uint64_t position_in_the_file(void)
{
	struct projection_status s;

	ck_assert_int_eq(projection_inspect(f.dir, &tally, &s), 0);
	return s.position;
}

START_TEST(what_does_not_concern_it_is_passed_without_writing)
{
	struct query q = {.def = &tally_query, .has_min_position = true, .min_position = 299, .wait_ms = 20000};
	struct projector_stand stand;
	uint64_t generation;

	start(only_tally);
	created("a", "one");
	tally_is("[{\"meeting\":\"a\",\"events\":1}]");
	generation = wait_for_state(PROJECTION_LIVE).generation;
	for (unsigned i = 1; i < 300; i++)
		give(&f, "projection.skipped", "{\"projection\":\"other\",\"position\":1,\"reason\":\"no\"}");
	/* It is up to date, and its rows are those that they were. */
	ck_assert_int_eq(query_run(pool, &q), 0);
	ck_assert_uint_eq(q.position, 300);
	query_finish(&q);
	ck_assert_int_eq(projector_wait(projector, "tally", 299, 60000), 0);
	ck_assert(projector_stand(projector, &tally, generation, &stand));
	ck_assert_uint_eq(stand.position, 300);
	/* Stopped, it leaves word of how far it was. */
	stop();
	ck_assert_uint_eq(position_in_the_file(), 300);
	start(only_tally);
	created("a", "two");
	tally_is("[{\"meeting\":\"a\",\"events\":2}]");
	ck_assert_uint_eq(status_now().rebuilds, 0);
}
END_TEST

START_TEST(what_it_passed_is_written_in_a_quiet_moment)
{
	start(only_tally);
	created("a", "one");
	tally_is("[{\"meeting\":\"a\",\"events\":1}]");
	give(&f, "projection.skipped", "{\"projection\":\"other\",\"position\":1,\"reason\":\"no\"}");
	ck_assert_int_eq(projector_wait(projector, "tally", 1, 60000), 0);
	while (position_in_the_file() < 2) /* the test's own time limit ends this */
		eventlog_wait(f.log, 2, 10);
}
END_TEST

/* The file tells tools where it stopped, also when what lies before that was only passed. */
START_TEST(stopped_behind_what_it_passed_it_says_where)
{
	struct projection_status s;

	for (unsigned i = 0; i < 5; i++)
		give(&f, "projection.skipped", "{\"projection\":\"other\",\"position\":1,\"reason\":\"no\"}");
	created("a", "bad");
	start(only_tally);
	s = wait_for_state(PROJECTION_STOPPED);
	ck_assert_uint_eq(s.err_position, 5);
	stop();
	ck_assert_int_eq(projection_inspect(f.dir, &tally, &s), 0);
	ck_assert_int_eq(s.state, PROJECTION_STOPPED);
	ck_assert_uint_eq(s.err_position, 5);
}
END_TEST

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
static const struct { const char *says, *title; } unfit[] = {
	{"a value is missing", "none"},
	{"its row cannot be written", "bad"},
};

START_TEST(the_event_is_found_whose_row_cannot_be_gathered)
{
	struct projection_verdict verdict;
	struct projection_status s;
	struct buf problem = BUF_INIT(512);

	for (unsigned i = 0; i < 100; i++)
		created("a", "one");
	created("b", unfit[_i].title);
	created("c", unfit[_i].title);
	created("a", "two");
	start(only_gathered);
	s = wait_for_state(PROJECTION_STOPPED);
	ck_assert_uint_eq(s.position, 100);
	ck_assert_uint_eq(s.err_position, 100);
	ck_assert_int_eq(s.err, ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(s.problem, "projections/tally.sql:"));
	give(&f, "projection.skipped", "{\"projection\":\"tally\",\"position\":100,\"reason\":\"a test\"}");
	give(&f, "projection.skipped", "{\"projection\":\"tally\",\"position\":101,\"reason\":\"a test\"}");
	created("b", "good");
	wait_for_state(PROJECTION_LIVE);
	tally_is("[{\"meeting\":\"a\",\"events\":101},{\"meeting\":\"b\",\"events\":1}]");
	ck_assert_int_eq(projection_verify(&f.options, &tally_gathered, &verdict, NULL, NULL, &problem), 0);
	ck_assert(verdict.equal);
	buf_finish(&problem);
}
END_TEST

START_TEST(rows_gathered_of_many_events_are_those_of_one_after_the_other)
{
	struct projection_verdict verdict;
	struct buf problem = BUF_INIT(512);
	char meeting[16];

	start(only_gathered);
	for (unsigned i = 0; i < 4000; i++) { /* more rows than the table of them begins with */
		snprintf(meeting, sizeof(meeting), "m%u", i * 7919 % 1500);
		created(meeting, i < 1500 ? "first" : "later");
		if (i % 1000 < 20) /* as it comes now and then, many together otherwise */
			ck_assert_int_eq(projector_wait(projector, "tally", eventlog_size(f.log) - 1, 20000), 0);
	}
	ck_assert_int_eq(projector_wait(projector, "tally", eventlog_size(f.log) - 1, 20000), 0);
	stop();
	ck_assert_int_eq(projection_verify(&f.options, &tally_gathered, &verdict, NULL, NULL, &problem), 0);
	ck_assert(verdict.equal);
	ck_assert_uint_eq(verdict.position, 4000);
	buf_finish(&problem);
}
END_TEST

START_TEST(a_replay_passes_over_what_was_passed_over)
{
	struct projection_verdict verdict;
	struct buf problem = BUF_INIT(512);
	struct projection_status s;

	created("a", "bad");
	created("a", "good");
	start(only_tally);
	wait_for_state(PROJECTION_STOPPED);
	stop();
	ck_assert_int_eq(projection_inspect(f.dir, &tally, &s), 0);
	ck_assert_int_eq(s.state, PROJECTION_STOPPED);
	ck_assert_ptr_nonnull(strstr(s.problem, "meeting.created"));
	ck_assert_int_eq(projection_rebuild(&f.options, &tally, NULL, NULL, &problem), ERR_INVALID);
	ck_assert_ptr_nonnull(strstr(problem.ptr, "position 0: projections/tally.sql:7"));
	give(&f, "projection.skipped", "{\"projection\":\"tally\",\"position\":0,\"reason\":\"a test\"}");
	buf_clear(&problem);
	ck_assert_int_eq(projection_rebuild(&f.options, &tally, NULL, NULL, &problem), 0);
	ck_assert_int_eq(projection_verify(&f.options, &tally, &verdict, NULL, NULL, &problem), 0);
	ck_assert(verdict.equal);
	ck_assert_uint_eq(verdict.position, 3);
	buf_finish(&problem);
}
END_TEST

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

/* ---- together: appends, four projectors, readers ---------------------------------------- */

struct asker {
	uv_thread_t thread;
	unsigned failed;
};

static void ask_often(void *arg)
{
	struct asker *a = arg;

	for (unsigned i = 0; i < 60; i++) {
		struct list_request request = {.list = list_find("meetings"), .page = 1, .limit = 5, .want_total = true};
		struct query q = {.list = &request};
		uint64_t before = eventlog_size(f.log);

		q.has_min_position = before > 0;
		q.min_position = before - 1;
		q.wait_ms = 20000;
		a->failed += query_run(pool, &q) != 0 || q.position < before;
		query_finish(&q);
	}
}

START_TEST(reads_hold_what_they_waited_for_while_everything_runs)
{
	struct asker askers[3] = {{0}};
	struct projection_verdict verdict;

	start(NULL);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(uv_thread_create(&askers[i].thread, ask_often, &askers[i]), 0);
	for (unsigned i = 0; i < 120; i++) {
		char data[256];

		snprintf(data, sizeof(data), "{\"meeting_id\":\"m%u\",\"title\":\"会议%u\",\"operate_at_ms\":%u,"
		    "\"operator\":{\"uuid\":\"u%u\",\"user_name\":\"人%u\"}}", i % 7, i, 1000 + i, i % 5, i % 5);
		give(&f, i % 3 == 0 ? "meeting.started" : i % 3 == 1 ? "participant.joined" : "participant.left", data);
	}
	for (unsigned i = 0; i < 3; i++) {
		uv_thread_join(&askers[i].thread);
		ck_assert_uint_eq(askers[i].failed, 0);
	}
	wait_all(&f, projector);
	for (unsigned i = 0; projections[i] != NULL; i++) {
		ck_assert_int_eq(projection_verify(&f.options, projections[i], &verdict, NULL, NULL, NULL), 0);
		ck_assert_msg(verdict.equal, "%s differs from its replay", projections[i]->name);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("projector");
	TCase *engine = tcase_create("engine");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(engine, setup, teardown);
	tcase_set_timeout(engine, 60);
	tcase_add_test(engine, events_become_rows_as_they_come);
	tcase_add_loop_test(engine, it_answers_though_memory_was_short_at_its_start, 0, FRESH_BUFFERS);
	tcase_add_test(engine, a_restart_goes_on_where_it_stood);
	tcase_add_test(engine, an_event_that_cannot_be_applied_stops_it_until_a_person_says_so);
	tcase_add_test(engine, it_says_whether_it_still_stands_where_it_answered);
	tcase_add_test(engine, what_does_not_concern_it_is_passed_without_writing);
	tcase_add_test(engine, what_it_passed_is_written_in_a_quiet_moment);
	tcase_add_test(engine, stopped_behind_what_it_passed_it_says_where);
	tcase_add_test(engine, renewed_it_is_another_file_of_the_same_rows);
	tcase_add_test(engine, one_that_stopped_stops_there_again_when_it_is_renewed);
	tcase_add_loop_test(engine, the_event_is_found_whose_row_cannot_be_gathered, 0, sizeof(unfit) / sizeof(unfit[0]));
	tcase_add_test(engine, rows_gathered_of_many_events_are_those_of_one_after_the_other);
	tcase_add_test(engine, a_replay_passes_over_what_was_passed_over);
	tcase_add_test(engine, a_changed_file_is_built_beside_the_old_one);
	tcase_add_test(engine, the_old_file_answers_while_the_new_one_cannot);
	tcase_add_loop_test(engine, a_harmed_file_is_set_aside_and_made_anew, 0, sizeof(harms) / sizeof(harms[0]));
	tcase_add_test(engine, verify_finds_a_changed_row);
	tcase_add_test(engine, an_interrupted_rebuild_leaves_the_old_file);
	tcase_add_test(engine, reads_hold_what_they_waited_for_while_everything_runs);
	suite_add_tcase(suite, engine);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
