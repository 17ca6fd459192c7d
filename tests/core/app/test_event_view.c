/* An event as the API shows it: to those who may see what is sealed, to others, and when it cannot be opened. */
#include "app/event_view.h"

#include "core/store/projection_fixture.h"
#include "lib/no_memory.h"
#include "lib/run.h"

#define OUT_MAX (1u << 20)

static struct projection_fixture f;
static struct buf out;
static struct event_shown shown;

static void setup(void)
{
	fixture_init(&f);
	out = (struct buf)BUF_INIT(OUT_MAX);
}

static void teardown(void)
{
	buf_finish(&out);
	fixture_finish(&f);
}

static int show_record(const struct log_record *record, bool personal, size_t arena_max)
{
	struct event_view view = {.sealer = f.sealer, .personal = personal};
	struct arena a = ARENA_INIT(arena_max);
	struct json_writer w = JSON_WRITER(&out);
	int rc;

	buf_finish(&out);
	out = (struct buf)BUF_INIT(OUT_MAX);
	rc = event_view_write(&view, record, &a, &w, &shown);
	arena_finish(&a);
	return rc;
}

static int show(uint64_t position, bool personal, size_t arena_max)
{
	struct log_read read = {0};
	struct log_record record;
	int rc;

	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	ck_assert_int_eq(eventlog_read_one(&read, position, &record), 0);
	rc = show_record(&record, personal, arena_max);
	log_read_stop(&read);
	return rc;
}

static bool has(const char *text)
{
	return memmem(out.ptr, out.len, text, strlen(text)) != NULL;
}

static uint64_t give_meeting(void)
{
	return give(&f, "meeting.created", "{\"meeting_id\":\"m1\",\"title\":\"a secret title\",\"operate_at_ms\":1000,"
	    "\"operator\":{\"uuid\":\"u1\",\"user_name\":\"Li\"}}");
}

START_TEST(who_may_see_it_sees_what_was_sealed)
{
	uint64_t position = give_meeting();

	ck_assert_int_eq(show(position, true, OUT_MAX), 0);
	ck_assert_int_eq(json_scan(buf_slice(&out), NULL, NULL), 0);
	ck_assert(has("\"a secret title\"") && has("\"user_name\":\"Li\"") && !has("$masked") && !has("$sealed"));
	ck_assert(has("\"position\":0,") && has("\"version\":") && has("\"stream\":") && has("\"type\":\"meeting.created\""));
}
END_TEST

START_TEST(others_see_that_something_is_there)
{
	uint64_t position = give_meeting();

	ck_assert_int_eq(show(position, false, OUT_MAX), 0);
	ck_assert_int_eq(json_scan(buf_slice(&out), NULL, NULL), 0);
	ck_assert(has("\"operator\":{\"$masked\":true}") && !has("\"Li\"") && !has("a secret title") && !has("$sealed"));
	ck_assert(has("\"subjects\":{")); /* what is not sealed stands as it is */
}
END_TEST

START_TEST(what_was_erased_is_not_there)
{
	uint64_t position = give_meeting();
	struct subject li;

	ck_assert_int_eq(sealer_subject(f.sealer, SLICE("tencent.user"), SLICE("u1"), &li), 0);
	ck_assert_int_eq(keyring_erase(f.keyring, &li.id, 1), 0);
	ck_assert_int_eq(show(position, true, OUT_MAX), 0);
	ck_assert(!has("user_name") && !has("\"Li\"") && !has("$masked"));
	ck_assert(has("a secret title")); /* the meeting's own key is there */
}
END_TEST

#define ENVELOPE_ID "0123456789abcdef0123456789abcdef"

/* A record as some other program, or a later one, may have written it. */
static void make_record(struct buf *text, struct log_record *ret, const char *type, const char *schema, const char *data)
{
	struct envelope e = {.id = SLICE(ENVELOPE_ID), .source = SLICE("/s"), .type = slice_str(type), .subject = SLICE("s/1"),
	    .actor = SLICE("a"), .causation = SLICE("c1"), .correlation = SLICE("c2"),
	    .traceparent = SLICE("00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"), .dataschema = slice_str(schema),
	    .data = slice_str(data)};
	uint32_t time_at, sequence_at;

	buf_clear(text);
	ck_assert_int_eq(envelope_encode(&e, text, &time_at, &sequence_at), 0);
	*ret = (struct log_record){.position = 0, .stream_version = 7, .entry = buf_slice(text)};
}

static const struct {
	const char *says, *type, *schema, *data, *shown;
} foreign[] = {
	{"no sealed member", "later.event", "later.event/1", "{\"a\":[1,{\"b\":null},[]],\"c\":\"d\"}",
	    "\"data\":{\"a\":[1,{\"b\":null},[]],\"c\":\"d\"}}"},
	{"sealed ones anywhere", "later.event", "later.event/1",
	    "{\"a\":[{\"$sealed\":\"AQ\"},{\"b\":{\"$sealed\":\"AQ\"}}],\"c\":{\"$sealed\":\"AQ\"}}",
	    "\"data\":{\"a\":[{\"$masked\":true},{\"b\":{\"$masked\":true}}],\"c\":{\"$masked\":true}}}"},
	{"escapes in names", "later.event", "later.event/1", "{\"a\\\"b\":1,\"\\u0024sealed\":\"AQ\"}", "\"data\":{\"$masked\":true}}"},
	{"a known event that is not what its schema says", "meeting.created", "meeting.created/1", "{\"meeting_id\":[]}",
	    "\"data\":{\"meeting_id\":[]}}"},
	{"a known event of a later version", "meeting.created", "meeting.created/9", "{\"x\":1}", "\"data\":{\"x\":1}}"},
};

START_TEST(what_is_not_known_is_shown_masked)
{
	struct buf text = BUF_INIT(65536);
	struct log_record record;

	make_record(&text, &record, foreign[_i].type, foreign[_i].schema, foreign[_i].data);
	for (int personal = 0; personal < 2; personal++) {
		ck_assert_int_eq(show_record(&record, personal, OUT_MAX), 0);
		ck_assert_msg(has(foreign[_i].shown), "%s: %.*s", foreign[_i].says, (int)out.len, out.ptr);
		ck_assert(has("\"causationId\":\"c1\",\"correlationId\":\"c2\",\"traceparent\":\"00-") && has("\"version\":7,"));
	}
	buf_finish(&text);
}
END_TEST

START_TEST(a_record_that_is_none_is_an_error)
{
	struct log_record record = {.position = 0, .entry = SLICE_INIT("{\"id\":\"no envelope\"}")};

	ck_assert_int_ne(show_record(&record, true, OUT_MAX), 0);
	ck_assert_uint_eq(out.len, 0);
}
END_TEST

/* One allocation fails, each in turn: the whole event or none. */
static void allocations_fail(const struct log_record *record, bool personal)
{
	struct buf good = BUF_INIT(OUT_MAX);
	bool any = true;

	ck_assert_int_eq(show_record(record, personal, OUT_MAX), 0);
	buf_append(&good, buf_slice(&out));
	for (int nth = 0; any; nth++) {
		int rc;

		no_memory_in = nth;
		rc = show_record(record, personal, OUT_MAX);
		any = no_memory_in < 0;
		no_memory_in = -1;
		if (rc == 0)
			ck_assert_slice_eq(buf_slice(&out), buf_slice(&good));
		else
			ck_assert_int_eq(rc, ERR_NOMEM);
		ck_assert(rc != 0 || !any || nth > 0);
	}
	buf_finish(&good);
}

START_TEST(without_memory_nothing_is_shown_by_halves)
{
	struct buf text = BUF_INIT(65536);
	struct log_read read = {0};
	struct log_record record;
	uint64_t position = give_meeting();

	ck_assert_int_eq(log_read_start(&read, f.log), 0);
	ck_assert_int_eq(eventlog_read_one(&read, position, &record), 0);
	allocations_fail(&record, true);
	allocations_fail(&record, false);
	log_read_stop(&read);
	make_record(&text, &record, foreign[1].type, foreign[1].schema, foreign[1].data);
	allocations_fail(&record, true);
	buf_finish(&text);
}
END_TEST

/* Room runs out at every step. */
START_TEST(without_room_neither)
{
	uint64_t position = give_meeting();
	unsigned n_failed = 0;

	for (size_t max = 64; max < 65536; max += max / 4) {
		int rc = show(position, true, max);

		n_failed += rc != 0;
		ck_assert_msg(rc == 0 ? has("Li") : rc == ERR_NOMEM, "%zu bytes: %s", max, err_name(rc));
	}
	ck_assert_uint_gt(n_failed, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("event_view");
	TCase *t = tcase_create("view");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, who_may_see_it_sees_what_was_sealed);
	tcase_add_test(t, others_see_that_something_is_there);
	tcase_add_test(t, what_was_erased_is_not_there);
	tcase_add_loop_test(t, what_is_not_known_is_shown_masked, 0, (int)COUNT(foreign));
	tcase_add_test(t, a_record_that_is_none_is_an_error);
	tcase_add_test(t, without_memory_nothing_is_shown_by_halves);
	tcase_add_test(t, without_room_neither);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
