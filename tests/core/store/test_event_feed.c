/* Readers of one feed, near each other and far apart, while the log grows. */
#include "store/event_feed.h"

#include <pthread.h>

#include "lib/run.h"
#include "projection_fixture.h"

#define AHEAD 128
#define EVENTS 700 /* more than the ring holds */
#define READERS 4

static struct projection_fixture f;
static struct event_feed *feed;

static void open_feed(void)
{
	fixture_init(&f);
	ck_assert_int_eq(event_feed_open(&feed, &(struct event_feed_options){.log = f.log, .sealer = f.sealer,
	    .models = projections, .readers_max = READERS, .ahead = AHEAD}), 0);
}

static void close_feed(void)
{
	event_feed_close(feed);
	fixture_finish(&f);
}

static void grow(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char data[256];

		snprintf(data, sizeof(data), "{\"meeting_id\":\"m-%u\",\"operate_at_ms\":%u,\"title\":\"title %u\","
		    "\"operator\":{\"uuid\":\"u-%u\",\"user_name\":\"name %u\"}}", i % 7, 1000 + i, i, i % 5, i);
		give(&f, i % 3 == 0 ? "meeting.started" : "participant.joined", data);
	}
}

/* The event at this place as the log has it: right number, right type, seals open. */
static void check_event(const struct fed_event *e, uint64_t position, const struct projection *model)
{
	struct log_record record;
	struct log_read read;
	struct schema_path path;
	const struct slice *title;

	ck_assert_uint_eq(e->position, position);
	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	ck_assert_int_eq(eventlog_read_one(&read, position, &record), 0);
	ck_assert_uint_eq(e->type, record.type);
	ck_assert_uint_eq(e->stream_version, record.stream_version);
	if (projection_handler_of(model, record.type) != NULL) {
		ck_assert(e->decoded);
		ck_assert_int_eq(e->rc, 0);
		ck_assert(record.entry.len > e->event.envelope.data.len);
		ck_assert(memmem(record.entry.ptr, record.entry.len, e->event.envelope.id.ptr, ID_TEXT_LEN) != NULL);
		ck_assert_int_eq(schema_path_find(e->event.type->schema, SLICE("title"), &path), 0);
		title = schema_path_get(&path, e->event.data);
		ck_assert_ptr_nonnull(title);
		ck_assert(slice_starts_with(*title, SLICE("title ")));
	}
	log_read_stop(&read);
}

static const struct projection *meetings(void)
{
	return projection_find("meetings");
}

START_TEST(a_reader_gets_every_event_in_its_place)
{
	struct feed_reader r;
	const struct fed_event *e;

	open_feed();
	grow(EVENTS);
	feed_reader_init(&r, feed, meetings());
	for (uint64_t at = 0; at < eventlog_size(f.log); at++) {
		ck_assert_int_eq(feed_reader_at(&r, at, &e), 0);
		check_event(e, at, meetings());
	}
	feed_reader_finish(&r);
	close_feed();
}
END_TEST

START_TEST(one_far_behind_decodes_for_itself_and_comes_back)
{
	struct feed_reader front, back;
	const struct fed_event *e;
	uint64_t size;

	open_feed();
	grow(EVENTS);
	size = eventlog_size(f.log);
	feed_reader_init(&front, feed, meetings());
	feed_reader_init(&back, feed, meetings());
	for (uint64_t at = 0; at < size; at++)
		ck_assert_int_eq(feed_reader_at(&front, at, &e), 0);
	for (uint64_t at = 0; at < size; at++) {
		ck_assert_int_eq(feed_reader_at(&back, at, &e), 0);
		check_event(e, at, meetings());
	}
	ck_assert_ptr_nonnull(back.own);
	ck_assert_ptr_null(front.own);
	grow(1);
	ck_assert_int_eq(feed_reader_at(&back, size, &e), 0);
	check_event(e, size, meetings());
	ck_assert_ptr_ne((void *)back.chunk, (void *)back.own); /* which begins with its chunk */
	feed_reader_finish(&front);
	feed_reader_finish(&back);
	close_feed();
}
END_TEST

/* A model that binds nothing of an event has nothing opened of it when it decodes for itself. */
START_TEST(what_nobody_binds_stays_shut)
{
	const struct projection *only[] = {projection_find("webhooks"), NULL};
	struct event_feed *narrow = NULL;
	struct schema_path path;
	struct feed_reader r;
	const struct fed_event *e;

	open_feed();
	grow(1);
	ck_assert_int_eq(event_feed_open(&narrow, &(struct event_feed_options){.log = f.log, .sealer = f.sealer,
	    .models = only, .readers_max = 1}), 0);
	feed_reader_init(&r, narrow, only[0]);
	ck_assert_int_eq(feed_reader_at(&r, 0, &e), 0);
	ck_assert(e->decoded && e->rc == 0);
	ck_assert_int_eq(schema_path_find(e->event.type->schema, SLICE("title"), &path), 0);
	ck_assert_ptr_null(schema_path_get(&path, e->event.data));
	feed_reader_finish(&r);
	event_feed_close(narrow);
	close_feed();
}
END_TEST

struct follower {
	pthread_t thread;
	unsigned number;
	uint64_t until;
};

static void *follow(void *arg)
{
	struct follower *me = arg;
	struct feed_reader r;
	const struct fed_event *e;
	uint64_t at = 0;

	feed_reader_init(&r, feed, projections[me->number]);
	while (at < me->until) {
		if (at >= eventlog_size(f.log)) {
			feed_reader_pause(&r);
			eventlog_wait(f.log, at, 50);
			continue;
		}
		ck_assert_int_eq(feed_reader_at(&r, at, &e), 0);
		ck_assert_uint_eq(e->position, at);
		ck_assert(!e->decoded || e->rc == 0);
		/* Some are slower than others. */
		if (at % 64 == 63 && me->number > 0)
			usleep(500 * me->number);
		at++;
	}
	feed_reader_finish(&r);
	return NULL;
}

START_TEST(all_follow_while_the_log_grows)
{
	struct follower followers[READERS];

	open_feed();
	grow(100);
	for (unsigned i = 0; i < READERS; i++) {
		ck_assert_ptr_nonnull(projections[i]);
		followers[i] = (struct follower){.number = i, .until = 100 + EVENTS};
		ck_assert_int_eq(pthread_create(&followers[i].thread, NULL, follow, &followers[i]), 0);
	}
	grow(EVENTS);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(followers[i].thread, NULL);
	close_feed();
}
END_TEST

static bool has_title(const struct fed_event *e)
{
	struct schema_path path;

	ck_assert(e->decoded && e->rc == 0);
	ck_assert_int_eq(schema_path_find(e->event.type->schema, SLICE("title"), &path), 0);
	return schema_path_get(&path, e->event.data) != NULL;
}

static struct id meeting_of(const struct fed_event *e)
{
	struct arena arena = ARENA_INIT(4096);
	struct json_value v;
	struct slice text;
	struct id id;

	ck_assert(json_member(json_root(e->event.envelope.data), "subjects", &v) && json_member(v, "meeting", &v) &&
	    json_member(v, "id", &v) && json_string(v, &arena, &text) == 0 && id_parse(text, &id) == 0);
	arena_finish(&arena);
	return id;
}

/* What is in the ring was opened before the key went: asked for after that, it is opened again, and stays shut. */
START_TEST(what_was_opened_is_forgotten)
{
	struct feed_reader first, second;
	const struct fed_event *held, *e;
	struct id id;

	open_feed();
	grow(EVENTS);
	feed_reader_init(&first, feed, meetings());
	feed_reader_init(&second, feed, meetings());
	ck_assert_int_eq(feed_reader_at(&first, 0, &held), 0);
	ck_assert(has_title(held));
	id = meeting_of(held);
	ck_assert_int_eq(keyring_erase(f.keyring, &id, 1), 0);
	ck_assert_int_eq(feed_reader_at(&second, 0, &e), 0);
	ck_assert(has_title(e)); /* the ring's */
	feed_reader_pause(&second);
	event_feed_forget(feed);
	ck_assert(has_title(held)); /* until it is let go of */
	ck_assert_int_eq(feed_reader_at(&second, 0, &e), 0);
	ck_assert(!has_title(e));
	ck_assert_int_eq(feed_reader_at(&first, 1, &e), 0);
	ck_assert(has_title(e)); /* of another meeting */
	feed_reader_pause(&first);
	ck_assert_int_eq(feed_reader_at(&first, 0, &e), 0);
	ck_assert(!has_title(e));
	/* Nothing is missing behind, whoever decodes. */
	for (uint64_t at = 0; at < eventlog_size(f.log); at++) {
		ck_assert_int_eq(feed_reader_at(&first, at, &e), 0);
		ck_assert_uint_eq(e->position, at);
		ck_assert(has_title(e) == (at % 7 != 0));
		if (at % 200 == 0)
			event_feed_forget(feed);
	}
	feed_reader_finish(&first);
	feed_reader_finish(&second);
	close_feed();
}
END_TEST

START_TEST(a_feed_nobody_reads_stops)
{
	open_feed();
	grow(3);
	ck_assert_uint_eq(eventlog_size(f.log), 3);
	close_feed();
	event_feed_close(NULL);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("event feed");
	TCase *tc = tcase_create("feed");

	tcase_set_timeout(tc, 120);
	tcase_add_test(tc, a_reader_gets_every_event_in_its_place);
	tcase_add_test(tc, one_far_behind_decodes_for_itself_and_comes_back);
	tcase_add_test(tc, what_nobody_binds_stays_shut);
	tcase_add_test(tc, all_follow_while_the_log_grows);
	tcase_add_test(tc, what_was_opened_is_forgotten);
	tcase_add_test(tc, a_feed_nobody_reads_stops);
	suite_add_tcase(s, tc);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
