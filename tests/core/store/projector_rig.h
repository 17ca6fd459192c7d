/* A projector over a log and read models of the test's own, and a read model made by hand. */
#ifndef LULAB_TESTS_PROJECTOR_RIG_H
#define LULAB_TESTS_PROJECTOR_RIG_H

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "base/log.h"
#include "lib/run.h"
#include "projection_fixture.h"

static struct projection_fixture f;
static struct projector *projector;
static struct query_pool *pool;

static inline void quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

static inline void setup(void)
{
	log_set_sink(quiet, NULL); /* stops and set-aside files are what is tested here */
	fixture_init(&f);
}

static inline void start(const struct projection *const *models)
{
	struct query_pool_options options = {.clock = &clock_system, .n_threads = 2};

	f.options.models = models;
	ck_assert_int_eq(projector_start(&projector, &f.options), 0);
	options.projector = projector;
	ck_assert_int_eq(query_pool_open(&pool, &options), 0);
}

static inline void stop(void)
{
	query_pool_close(pool);
	projector_stop(projector);
	pool = NULL;
	projector = NULL;
}

static inline void teardown(void)
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
        tally_binds, 2, 7, NULL, NULL, NULL},
};
static const struct projection_statement tally_doubled_statements[] = {
    {"insert into tally values (:meeting_id, :title, 2) on conflict (meeting) do update set events = events + 2,"
     " title = excluded.title",
        tally_binds, 2, 7, NULL, NULL, NULL},
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
    {"select 1, :meeting_id, iif(:title = 'none', null, :title)", tally_binds, 2, 7, tally_gathers, gathered_order, NULL},
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
/* As tally, but a meeting is counted while the one called "open" has a row; a title "close" takes that away. */
static const struct projection_condition tally_conditions[] = {
    {"select exists (select 1 from tally where meeting = 'open')", 8}};
static const struct projection_statement tally_while_statements[] = {
    {"insert into tally select :meeting_id, :title, 1 where :meeting_id = 'open' on conflict (meeting) do nothing",
        tally_binds, 2, 7, NULL, NULL, NULL},
    {"delete from tally where meeting = 'open' and :title = 'close'", tally_binds + 1, 1, 7, NULL, NULL, NULL},
    {"insert into tally values (:meeting_id, :title, 1) on conflict (meeting) do update set events = events + 1",
        tally_binds, 2, 9, NULL, NULL, tally_conditions},
};
static const struct projection_handler tally_while_handlers[] = {{EVENT_MEETING_CREATED, tally_while_statements, 3}};
static const struct projection tally_while;
static const struct query_def tally_while_query = {
    "tally_all", &tally_while, "select meeting, events from tally order by meeting", no_params, tally_columns};
static const struct query_def *const tally_while_queries[] = {&tally_while_query, NULL};
static const struct projection tally_while = {
    .name = "tally", .file = "projections/tally.sql", .version = "0000000000000004", .ddl = tally_ddl,
    .handlers = tally_while_handlers, .n_handlers = 1, .conditions = tally_conditions, .n_conditions = 1,
    .tables = tally_tables, .queries = tally_while_queries, .lists = no_lists,
};
static const struct projection *const only_while[] = {&tally_while, NULL};
static const struct projection *const only_gathered[] = {&tally_gathered, NULL};
static const struct projection *const only_tally[] = {&tally, NULL};
static const struct projection *const only_doubled[] = {&tally_doubled, NULL};

static inline void created(const char *meeting, const char *title)
{
	char data[256];

	snprintf(data, sizeof(data), "{\"meeting_id\":\"%s\",\"title\":\"%s\",\"operate_at_ms\":1}", meeting, title);
	give(&f, "meeting.created", data);
}

static inline void tally_is(const char *json)
{
	const struct query_def *def = f.options.models[0]->queries[0];
	struct query q = {.def = def, .has_min_position = true, .min_position = eventlog_size(f.log) - 1,
	    .wait_ms = 20000};

	ck_assert_int_eq(query_run(pool, &q), 0);
	ck_assert_str_eq(q.out.ptr, json);
	query_finish(&q);
}

static inline struct projection_status status_now(void)
{
	struct projection_status s;

	ck_assert_int_eq(projector_status_of(projector, "tally", &s), 0);
	return s;
}

/* Looks again every few milliseconds; nothing tells of changes of state alone. */
static inline struct projection_status wait_for_state(enum projection_state state)
{
	struct projection_status s = status_now();

	for (unsigned i = 0; i < 5000 && s.state != state; i++) { /* the test's own time limit comes about first */
		eventlog_wait(f.log, eventlog_size(f.log), 10);
		s = status_now();
	}
	ck_assert_msg(s.state == state, "state is %s: %s", projection_state_name(s.state), s.problem);
	return s;
}

static inline char *file_of(const struct projection *model, const char *suffix)
{
	static char text[4096];
	struct buf path = BUF_INIT(4096);

	ck_assert_int_eq(projection_path(&path, f.dir, model), 0);
	snprintf(text, sizeof(text), "%s%s", path.ptr, suffix);
	buf_finish(&path);
	return text;
}

#endif
