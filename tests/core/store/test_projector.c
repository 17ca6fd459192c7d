/* The engine: positions, stops and skips, rows that cannot be made, and threads at work meanwhile. */
#include "projector_rig.h"

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

/* Of many events at once, one of which fails when some of them are written, and of one after the other. */
START_TEST(a_condition_is_asked_again_when_rows_have_changed)
{
	struct projection_verdict verdict;
	struct buf problem = BUF_INIT(512);

	created("a", "none is open");
	created("open", "one"); /* its own row comes first, and counts it once more */
	created("b", "open");
	created("c", "close");
	created("d", "closed");
	created("open", "again");
	created("e", "bad");
	start(only_while);
	ck_assert_uint_eq(wait_for_state(PROJECTION_STOPPED).position, 6);
	give(&f, "projection.skipped", "{\"projection\":\"tally\",\"position\":6,\"reason\":\"a test\"}");
	created("f", "still open");
	wait_for_state(PROJECTION_LIVE); /* questions do not wait for a model that is stopped */
	tally_is("[{\"meeting\":\"b\",\"events\":1},{\"meeting\":\"f\",\"events\":1},{\"meeting\":\"open\",\"events\":2}]");
	created("g", "close");
	tally_is("[{\"meeting\":\"b\",\"events\":1},{\"meeting\":\"f\",\"events\":1}]");
	created("h", "passed over, which writes nothing");
	tally_is("[{\"meeting\":\"b\",\"events\":1},{\"meeting\":\"f\",\"events\":1}]");
	created("open", "and again");
	created("i", "open");
	tally_is("[{\"meeting\":\"b\",\"events\":1},{\"meeting\":\"f\",\"events\":1},{\"meeting\":\"i\",\"events\":1},"
	         "{\"meeting\":\"open\",\"events\":2}]");
	stop();
	ck_assert_int_eq(projection_verify(&f.options, &tally_while, &verdict, NULL, NULL, &problem), 0);
	ck_assert(verdict.equal);
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
	tcase_add_loop_test(engine, the_event_is_found_whose_row_cannot_be_gathered, 0, sizeof(unfit) / sizeof(unfit[0]));
	tcase_add_test(engine, rows_gathered_of_many_events_are_those_of_one_after_the_other);
	tcase_add_test(engine, a_condition_is_asked_again_when_rows_have_changed);
	tcase_add_test(engine, a_replay_passes_over_what_was_passed_over);
	tcase_add_test(engine, reads_hold_what_they_waited_for_while_everything_runs);
	suite_add_tcase(suite, engine);
	return run_suite(suite);
}
