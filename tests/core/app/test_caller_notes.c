/* What is noted of callers: how much is kept, when it is written, and what becomes of it when the log takes nothing. */
#include "app/caller_notes.h"

#include "base/log.h"
#include "core/store/projection_fixture.h"
#include "lib/run.h"

#define USES 256    /* kept at most */
#define CALLERS 126 /* that have a place of their own */
#define MINUTE_US INT64_C(60000000)

static struct projection_fixture f;
static struct caller_notes *notes;

static const struct route reads = {.method = HTTP_GET, .path = "/things", .permission = "things:read"};
static const struct route open_to_callers = {.method = HTTP_POST, .path = "/own"};

static void quiet(void *arg, struct slice line)
{
	(void)arg;
	(void)line;
}

static void setup(void)
{
	log_set_sink(quiet, NULL);
	fixture_init(&f);
	ck_assert_int_eq(caller_notes_create(&notes), 0);
}

static void teardown(void)
{
	caller_notes_destroy(notes);
	fixture_finish(&f);
	log_set_sink(NULL, NULL);
}

static void write_notes(struct eventlog *log, bool all)
{
	caller_notes_write(notes, log, &f.clock.clock, &rng_system, all);
}

static void deny(const char *principal, const struct route *route)
{
	caller_notes_denied(notes, principal, route, clock_wall_ms(&f.clock.clock));
}

static bool use(unsigned key)
{
	struct id k = {{(uint8_t)key, (uint8_t)(key >> 8), 1}}, user = {{2}};

	return caller_notes_used(notes, &k, &user, clock_wall_ms(&f.clock.clock));
}

static uint64_t count(enum event_type type)
{
	struct log_filter filter = {.type = (uint16_t)type};
	uint64_t n = 0;

	ck_assert_int_eq(eventlog_count(f.log, &filter, 0, &n), 0);
	return n;
}

/* In how many entries it stands. */
static unsigned entries_with(const char *text)
{
	struct log_read read = {0};
	struct log_record record;
	unsigned n = 0;

	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	for (uint64_t at = 0; at < eventlog_size(f.log); at++) {
		ck_assert_int_eq(eventlog_read_one(&read, at, &record), 0);
		n += memmem(record.entry.ptr, record.entry.len, text, strlen(text)) != NULL;
	}
	log_read_stop(&read);
	return n;
}

START_TEST(uses_are_bounded_and_the_first_is_told)
{
	for (unsigned i = 0; i < USES; i++)
		ck_assert(use(i));
	ck_assert(!use(USES)); /* until there is room */
	write_notes(f.log, false);
	ck_assert_uint_eq(count(EVENT_API_KEY_USED_FIRST), USES);
	ck_assert(use(USES));
	ck_assert(use(0));
	write_notes(f.log, false);
	ck_assert_uint_eq(count(EVENT_API_KEY_USED_FIRST), USES + 1);
	ck_assert_uint_eq(count(EVENT_API_KEY_USED), 1);
	ck_assert(use(0)); /* within the same span: once */
	write_notes(f.log, false);
	ck_assert_uint_eq(count(EVENT_API_KEY_USED), 1);
	write_notes(f.log, true); /* nothing is nothing */
	ck_assert_uint_eq(eventlog_size(f.log), USES + 2);
}
END_TEST

START_TEST(refusals_are_counted_and_written_once_a_minute)
{
	deny("user:a", &reads);
	deny("user:a", &reads);
	deny("user:a", &open_to_callers);
	deny(NULL, &reads);
	write_notes(f.log, false);
	ck_assert_uint_eq(count(EVENT_ACCESS_DENIED), 3);
	ck_assert_uint_eq(entries_with("\"count\":2"), 1);
	ck_assert_uint_eq(entries_with("\"anonymous\""), 1);
	deny("user:a", &reads);
	write_notes(f.log, false);
	ck_assert_uint_eq(count(EVENT_ACCESS_DENIED), 3);
	clock_manual_advance(&f.clock, MINUTE_US);
	write_notes(f.log, false);
	ck_assert_uint_eq(count(EVENT_ACCESS_DENIED), 4);
	/* A clock that was set back makes nobody wait. */
	deny("user:a", &reads);
	clock_manual_set_wall(&f.clock, FIXTURE_TIME_US - MINUTE_US);
	write_notes(f.log, false);
	ck_assert_uint_eq(count(EVENT_ACCESS_DENIED), 5);
	deny("user:a", &reads);
	write_notes(f.log, true); /* at the end of the service */
	ck_assert_uint_eq(count(EVENT_ACCESS_DENIED), 6);
}
END_TEST

START_TEST(who_has_no_place_is_one_of_several)
{
	char name[100];

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	deny(name, &reads); /* longer than a place */
	for (unsigned i = 0; i < CALLERS + 2; i++) {
		snprintf(name, sizeof(name), "user:%u", i);
		deny(name, &reads);
	}
	write_notes(f.log, false);
	ck_assert_uint_eq(count(EVENT_ACCESS_DENIED), CALLERS + 1);
	ck_assert_uint_eq(entries_with("\"several\""), 1);
	ck_assert_uint_eq(entries_with("\"count\":3"), 1);
	/* Places are given back by those who are not refused any more. */
	clock_manual_advance(&f.clock, MINUTE_US);
	write_notes(f.log, false);
	deny("user:new", &reads);
	write_notes(f.log, false);
	ck_assert_uint_eq(entries_with("\"user:new\""), 1);
}
END_TEST

START_TEST(what_the_log_does_not_take_now_is_written_later)
{
	struct eventlog *closed = NULL;
	struct eventlog_options options = {.map_bytes = (uint64_t)1 << 28, .reserve_off = true, .clock = &f.clock.clock,
	    .problem = &f.problem};
	char dir[TEMP_DIR_LEN];

	temp_dir_make(dir, "notes");
	options.dir = dir;
	ck_assert_int_eq(eventlog_open(&closed, &options), 0);
	eventlog_refuse(closed, "a test");
	deny("user:a", &reads);
	ck_assert(use(1));
	write_notes(closed, false);
	deny("user:a", &reads);
	for (unsigned i = 2; i <= USES; i++)
		ck_assert(use(i));
	ck_assert(!use(USES + 1)); /* the first one has its room again */
	write_notes(closed, true);
	write_notes(f.log, true);
	ck_assert_uint_eq(eventlog_size(closed), 0);
	ck_assert_uint_eq(count(EVENT_API_KEY_USED_FIRST), USES);
	ck_assert_uint_eq(count(EVENT_ACCESS_DENIED), 1);
	ck_assert_uint_eq(entries_with("\"count\":2"), 1);
	eventlog_close(closed);
	temp_dir_remove(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("caller_notes");
	TCase *t = tcase_create("notes");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, uses_are_bounded_and_the_first_is_told);
	tcase_add_test(t, refusals_are_counted_and_written_once_a_minute);
	tcase_add_test(t, who_has_no_place_is_one_of_several);
	tcase_add_test(t, what_the_log_does_not_take_now_is_written_later);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
