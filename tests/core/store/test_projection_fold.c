/* The fold itself: when it writes, and where it says it stands. */
#include "lib/run.h"
#include "projection_fixture.h"
#include "store/projection_fold.h"

static struct projection_fixture f;
static struct fold fold;
static struct event_feed *feed;
static struct buf problem = BUF_INIT(1024);

static void setup(void)
{
	fixture_init(&f);
}

static void start(const char *name)
{
	struct buf path = BUF_INIT(4096);
	static const struct projection *only[2];

	only[0] = projection_find(name);
	ck_assert_int_eq(buf_printf(&path, "%s/rows.db", f.dir), 0);
	fold = (struct fold){.model = only[0], .log = f.log, .sealer = f.sealer, .problem = &problem};
	ck_assert_int_eq(event_feed_open(&feed, &(struct event_feed_options){
	    .log = f.log, .sealer = f.sealer, .models = only, .readers_max = 1}), 0);
	ck_assert_int_eq(projection_file_open(&fold.file, fold.model, path.ptr, &problem), 0);
	feed_reader_init(&fold.reader, feed, fold.model);
	buf_finish(&path);
}

static void stop(void)
{
	projection_file_close(fold.file);
	feed_reader_finish(&fold.reader);
	fold_finish(&fold);
	event_feed_close(feed);
}

static void teardown(void)
{
	stop();
	buf_finish(&problem);
	fixture_finish(&f);
}

static void folds_all(void)
{
	uint64_t applied;

	ck_assert_int_eq(fold_batch(&fold, UINT64_MAX, &applied), 0);
	ck_assert_uint_eq(fold_position(&fold), eventlog_size(f.log));
}

/* Known to both models; with nothing switched on nobody is owed anything for it. */
static void give_meetings(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		give(&f, "meeting.created", "{\"meeting_id\":\"m1\",\"title\":\"one\",\"operate_at_ms\":1}");
}

START_TEST(rows_and_position_are_written_together)
{
	start("meetings");
	give_meetings(3);
	folds_all();
	ck_assert_uint_eq(fold_saved(&fold), 3);
}
END_TEST

START_TEST(events_that_change_no_row_are_not_written)
{
	start("effects");
	ck_assert_ptr_nonnull(projection_handler_of(fold.model, EVENT_MEETING_CREATED));
	give_meetings(3);
	folds_all();
	ck_assert_uint_eq(fold_saved(&fold), 0);
	ck_assert_int_eq(fold_save(&fold), 0);
	ck_assert_uint_eq(fold_saved(&fold), 3);
	/* What they would have changed is not lost with the transaction that was not committed. */
	give(&f, "effect.enabled", "{\"effect\":\"lark.meeting\"}");
	give_meetings(1);
	folds_all();
	ck_assert_uint_eq(fold_saved(&fold), 5);
}
END_TEST

/* The delay of an event is its own, not that of the oldest it is folded with. */
START_TEST(the_time_of_each_event_of_a_batch_is_noted)
{
	start("meetings");
	give_meetings(1);
	folds_all();
	for (unsigned i = 0; i < 2; i++) {
		clock_manual_advance(&f.clock, 10000000);
		give_meetings(1);
	}
	/* One that is passed over. */
	clock_manual_advance(&f.clock, 10000000);
	give(&f, "effect.enabled", "{\"effect\":\"lark.meeting\"}");
	folds_all();
	for (int64_t i = 0; i < 3; i++)
		ck_assert_int_eq((fold.recorded_us[i] - FIXTURE_TIME_US) / 10000000, i + 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("projection_fold");
	TCase *engine = tcase_create("fold");

	tcase_add_checked_fixture(engine, setup, teardown);
	tcase_add_test(engine, rows_and_position_are_written_together);
	tcase_add_test(engine, events_that_change_no_row_are_not_written);
	tcase_add_test(engine, the_time_of_each_event_of_a_batch_is_noted);
	suite_add_tcase(suite, engine);
	return run_suite(suite);
}
