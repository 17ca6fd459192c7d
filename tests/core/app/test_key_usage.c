/* What keys are used for is counted, told at once when it is new, else now and then, and never lost while there is room. */
#include "app/key_usage.h"

#include "base/log.h"
#include "core/store/projection_fixture.h"
#include "lib/run.h"

static const struct route routes[] = {
	{HTTP_GET, "/one", NULL, NULL, .flags = ROUTE_HIDDEN},
	{HTTP_PATCH, "/two/{id}", NULL, NULL, .flags = ROUTE_HIDDEN},
};
static struct projection_fixture f;
static struct key_usage *usage;
static unsigned warnings;

static void count_warnings(void *arg, struct slice line)
{
	(void)arg;
	warnings += memmem(line.ptr, line.len, "more than is told", 17) != NULL;
}

static void setup(void)
{
	warnings = 0;
	fixture_init(&f);
	log_set_sink(count_warnings, NULL);
	ck_assert_int_eq(key_usage_create(&usage), 0);
}

static void teardown(void)
{
	key_usage_destroy(usage);
	log_set_sink(NULL, NULL);
	fixture_finish(&f);
}

static void use(unsigned key, size_t route, int status, int64_t duration_us)
{
	struct principal who = {.id = "api_key"};

	snprintf(who.key_id, sizeof(who.key_id), "%032x", key);
	snprintf(who.user_id, sizeof(who.user_id), "%032x", 7u);
	if (key % 2 == 1)
		snprintf(who.org_id, sizeof(who.org_id), "%032x", 9u);
	key_usage_note(usage, &who, &routes[route], status, duration_us, clock_wall_ms(&f.clock.clock));
}

static void write_down(bool all)
{
	struct rng rng = rng_system;

	key_usage_write(usage, f.log, &f.clock.clock, &rng, all);
}

/* All events so far, and what they count together. */
static void told(uint64_t *ret_events, uint64_t *ret_uses)
{
	struct eventlog_cursor cursor;
	struct log_record record;

	*ret_events = *ret_uses = 0;
	eventlog_cursor_init(&cursor, f.log, 0, NULL);
	while (eventlog_cursor_next(&cursor, &record) == 0) {
		struct json_value data, v;
		int64_t n = 0;

		if (record.type != EVENT_API_KEY_TALLIED)
			continue;
		ck_assert(json_member(json_root(record.entry), "data", &data));
		ck_assert(json_member(data, "count", &v) && json_i64(v, &n) == 0);
		(*ret_events)++;
		*ret_uses += (uint64_t)n;
	}
	eventlog_cursor_finish(&cursor);
}

#define ck_told(events, uses) \
	do { \
		uint64_t told_events, told_uses; \
		told(&told_events, &told_uses); \
		ck_assert_uint_eq(told_events, events); \
		ck_assert_uint_eq(told_uses, uses); \
	} while (0)

START_TEST(what_is_new_is_told_at_once_and_the_rest_now_and_then)
{
	write_down(false);
	ck_told(0, 0);
	use(1, 0, 200, 1000);
	use(1, 0, 200, 3000);
	use(1, 0, 404, 1);
	use(1, 1, 200, 1);
	use(2, 0, 200, 1);
	write_down(false);
	ck_told(4, 5);
	for (int i = 0; i < 1000; i++) {
		use(1, 0, 200, 1);
		write_down(false);
	}
	ck_told(4, 5);
	clock_manual_advance(&f.clock, KEY_USAGE_SPAN_MS * 1000);
	write_down(false);
	ck_told(5, 1005);
	/* Its place was given to somebody else meanwhile: it is new again. */
	clock_manual_advance(&f.clock, 2 * KEY_USAGE_SPAN_MS * 1000);
	write_down(false);
	use(2, 0, 200, 1);
	write_down(false);
	ck_told(6, 1006);
}
END_TEST

START_TEST(at_the_end_all_of_it_is_told)
{
	use(1, 0, 200, 1);
	write_down(false);
	use(1, 0, 200, 1);
	write_down(false);
	ck_told(1, 1);
	write_down(true);
	ck_told(2, 2);
	write_down(true);
	ck_told(2, 2);
}
END_TEST

START_TEST(an_event_says_how_often_how_long_and_where)
{
	struct log_read read = {0};
	struct log_record record;
	struct event event;
	struct arena a = ARENA_INIT(65536);
	const struct event_api_key_tallied *t;

	use(3, 1, 409, 1000);
	clock_manual_advance(&f.clock, 2000);
	use(3, 1, 409, 5000);
	write_down(false);
	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	ck_assert_int_eq(eventlog_read_one(&read, eventlog_size(f.log) - 1, &record), 0);
	ck_assert_int_eq(event_decode(record.entry, eventlog_size(f.log) - 1, NULL, &a, &event), 0);
	t = event.data;
	ck_assert(slice_is(event.envelope.actor, "api_key:00000000000000000000000000000003"));
	ck_assert(slice_is(event.envelope.subject, "api_key_usage/00000000000000000000000000000003"));
	ck_assert(slice_is(t->method, "PATCH") && slice_is(t->route, "/two/{id}") && t->status == 409);
	ck_assert(slice_is(t->org_id, "00000000000000000000000000000009"));
	ck_assert_int_eq(t->count, 2);
	ck_assert_int_eq(t->latency_us_total, 6000);
	ck_assert_int_eq(t->latency_us_max, 5000);
	ck_assert_int_eq(t->until_ms - t->since_ms, 2);
	log_read_stop(&read);
	arena_finish(&a);
}
END_TEST

START_TEST(more_than_there_is_room_for_is_said_and_costs_no_more_events)
{
	uint64_t n_events, n_uses;

	for (unsigned key = 0; key < 4 * KEY_USAGE_PLACES; key++)
		use(key * 2654435761u, 0, 200, 1);
	write_down(false);
	told(&n_events, &n_uses);
	ck_assert_uint_le(n_events, KEY_USAGE_PLACES);
	ck_assert_uint_ge(n_events, KEY_USAGE_PLACES / 2);
	ck_assert_uint_eq(n_uses, n_events);
	ck_assert_uint_eq(warnings, 1);
	for (unsigned key = 0; key < 4 * KEY_USAGE_PLACES; key++)
		use(key * 2654435761u, 0, 200, 1);
	write_down(false);
	ck_told(n_events, n_events);
}
END_TEST

START_TEST(a_log_that_takes_nothing_gets_it_later)
{
	use(1, 0, 200, 1);
	eventlog_refuse(f.log, "the test says so");
	write_down(false);
	use(1, 0, 200, 1);
	write_down(true);
	ck_told(0, 0);
	fixture_finish(&f);
	fixture_init(&f); /* a log that takes it */
	write_down(false);
	ck_told(1, 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("key_usage");
	TCase *tc = tcase_create("key_usage");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_is_new_is_told_at_once_and_the_rest_now_and_then);
	tcase_add_test(tc, at_the_end_all_of_it_is_told);
	tcase_add_test(tc, an_event_says_how_often_how_long_and_where);
	tcase_add_test(tc, more_than_there_is_room_for_is_said_and_costs_no_more_events);
	tcase_add_test(tc, a_log_that_takes_nothing_gets_it_later);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
