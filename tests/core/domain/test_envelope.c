/* What an entry must look like, and everything that makes it not one. */
#include "domain/envelope.h"

#include <check.h>
#include <stdlib.h>

#include "base/err.h"

#define HEAD "{\"specversion\":\"1.0\",\"id\":\"00112233445566778899aabbccddeeff\",\"source\":\"/api\","
#define TYPE "\"type\":\"meeting.started\","
#define SUBJECT "\"subject\":\"meeting/TENCENT/1\","
#define TIME "\"time\":\"2026-11-23T22:39:15.123456Z\","
#define SEQUENCE "\"sequence\":\"00000000000000000007\","
#define ACTOR "\"actor\":\"system\","
#define SCHEMA "\"dataschema\":\"meeting.started/1\","
#define CONTENT "\"datacontenttype\":\"application/json\","
#define REST "\"actor\":\"system\"," SCHEMA CONTENT "\"data\":{}}"
#define GOOD HEAD TYPE SUBJECT TIME SEQUENCE REST
#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

static const struct {
	const char *says, *entry;
	int rc;
} cases[] = {
	{"the least there must be", GOOD, 0},
	{"with all there may be", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR "\"causationid\":\"a\",\"correlationid\":\"b\","
	    "\"traceparent\":\"" TRACE "\",\"oncekey\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\","
	    SCHEMA CONTENT "\"data\":{\"a\":\"b c\"}}", 0},
	{"nothing", "", ERR_MALFORMED},
	{"no object", "[]", ERR_MALFORMED},
	{"a space before", " " GOOD, ERR_MALFORMED},
	{"a newline after", GOOD "\n", ERR_MALFORMED},
	{"a space in data", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR SCHEMA CONTENT "\"data\":{\"a\": 1}}", ERR_MALFORMED},
	{"bytes after the end", GOOD "x", ERR_MALFORMED},
	{"invalid UTF-8", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR SCHEMA CONTENT "\"data\":{\"a\":\"\xff\"}}", ERR_MALFORMED},
	{"a name twice in data", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR SCHEMA CONTENT "\"data\":{\"a\":1,\"a\":1}}",
	    ERR_MALFORMED},
	{"another version", "{\"specversion\":\"2.0\"" ",\"id\":\"0\"}", ERR_VERSION},
	{"two members changed places", HEAD SUBJECT TYPE TIME SEQUENCE REST, ERR_MALFORMED},
	{"a member missing", HEAD TYPE SUBJECT SEQUENCE REST, ERR_MALFORMED},
	{"a member nobody knows", HEAD TYPE SUBJECT TIME SEQUENCE "\"mood\":\"good\"," REST, ERR_MALFORMED},
	{"the last member missing", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR SCHEMA "\"datacontenttype\":\"application/json\"}",
	    ERR_MALFORMED},
	{"a sequence of another place", HEAD TYPE SUBJECT TIME "\"sequence\":\"00000000000000000008\"," REST, ERR_CORRUPT},
	{"a short sequence", HEAD TYPE SUBJECT TIME "\"sequence\":\"7\"," REST, ERR_MALFORMED},
	{"a sequence as number", HEAD TYPE SUBJECT TIME "\"sequence\":7," REST, ERR_MALFORMED},
	{"a sequence beyond 64 bits", HEAD TYPE SUBJECT TIME "\"sequence\":\"99999999999999999999\"," REST, ERR_MALFORMED},
	{"a time of another form", HEAD TYPE SUBJECT "\"time\":\"2026-11-23T22:39:15.123456z\"," SEQUENCE REST, ERR_MALFORMED},
	{"a day that is none", HEAD TYPE SUBJECT "\"time\":\"2026-02-30T22:39:15.123456Z\"," SEQUENCE REST, ERR_MALFORMED},
	{"a type in capitals", HEAD "\"type\":\"Meeting\"," SUBJECT TIME SEQUENCE REST, ERR_MALFORMED},
	{"a schema of another type", HEAD "\"type\":\"meeting.ended\"," SUBJECT TIME SEQUENCE REST, ERR_MALFORMED},
	{"an empty subject", HEAD TYPE "\"subject\":\"\"," TIME SEQUENCE REST, ERR_MALFORMED},
	{"an escape in a member of ours", HEAD TYPE "\"subject\":\"a\\u0062\"," TIME SEQUENCE REST, ERR_MALFORMED},
	{"an escape in a name of ours", HEAD TYPE "\"subj\\u0065ct\":\"a\"," TIME SEQUENCE REST, ERR_MALFORMED},
	{"data that is no object", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR SCHEMA CONTENT "\"data\":[]}", ERR_MALFORMED},
	{"another content type", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR SCHEMA "\"datacontenttype\":\"text/plain\",\"data\":{}}",
	    ERR_MALFORMED},
	{"a member behind data", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR SCHEMA CONTENT "\"data\":{},\"x\":1}", ERR_MALFORMED},
	{"a type of nothing", HEAD "\"type\":\"\"," SUBJECT TIME SEQUENCE REST, ERR_MALFORMED},
	{"a type of 65 letters", HEAD "\"type\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
	    SUBJECT TIME SEQUENCE REST, ERR_MALFORMED},
	{"a type of all there may be in one", HEAD "\"type\":\"a_b-9.z\"," SUBJECT TIME SEQUENCE ACTOR
	    "\"dataschema\":\"a_b-9.z/12\"," CONTENT "\"data\":{}}", 0},
	{"a type with a brace", HEAD "\"type\":\"a{\"," SUBJECT TIME SEQUENCE REST, ERR_MALFORMED},
	{"a type with a colon", HEAD "\"type\":\"a:\"," SUBJECT TIME SEQUENCE REST, ERR_MALFORMED},
	{"a space in a subject", HEAD TYPE "\"subject\":\"a b\"," TIME SEQUENCE REST, ERR_MALFORMED},
	{"a letter beyond ASCII in a subject", HEAD TYPE "\"subject\":\"a\xc3\xa4\"," TIME SEQUENCE REST, ERR_MALFORMED},
	{"an escaped quote in a subject", HEAD TYPE "\"subject\":\"a\\\"\"," TIME SEQUENCE REST, ERR_MALFORMED},
	{"a DEL in a subject", HEAD TYPE "\"subject\":\"a\x7f\"," TIME SEQUENCE REST, ERR_MALFORMED},
	{"a trace with its dash elsewhere", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR
	    "\"traceparent\":\"00x0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"," SCHEMA CONTENT "\"data\":{}}",
	    ERR_MALFORMED},
	{"a trace that is not hex", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR
	    "\"traceparent\":\"00-0af7651916cd43dd8448eb211c8031gc-b7ad6b7169203331-01\"," SCHEMA CONTENT "\"data\":{}}",
	    ERR_MALFORMED},
	{"a schema without a version", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR "\"dataschema\":\"meeting.started\"," CONTENT
	    "\"data\":{}}", ERR_MALFORMED},
	{"a schema of an empty version", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR "\"dataschema\":\"meeting.started/\"," CONTENT
	    "\"data\":{}}", ERR_MALFORMED},
	{"a schema of a long version", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR "\"dataschema\":\"meeting.started/1234567890\","
	    CONTENT "\"data\":{}}", ERR_MALFORMED},
	{"a schema of version 01", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR "\"dataschema\":\"meeting.started/01\"," CONTENT
	    "\"data\":{}}", ERR_MALFORMED},
	{"a schema of version x", HEAD TYPE SUBJECT TIME SEQUENCE ACTOR "\"dataschema\":\"meeting.started/x\"," CONTENT
	    "\"data\":{}}", ERR_MALFORMED},
	{"an id that is not hex", "{\"specversion\":\"1.0\",\"id\":\"00112233445566778899aabbccddee/f\",\"source\":\"/api\","
	    TYPE SUBJECT TIME SEQUENCE REST, ERR_MALFORMED},
	{"a time without a fraction", HEAD TYPE SUBJECT "\"time\":\"2026-11-23T22:39:15Z\"," SEQUENCE REST, ERR_MALFORMED},
	{"a time that is none", HEAD TYPE SUBJECT "\"time\":\"2026-11-23T22:39:15.12345xZ\"," SEQUENCE REST, ERR_MALFORMED},
	{"a short id", "{\"specversion\":\"1.0\",\"id\":\"00\",\"source\":\"/api\"," TYPE SUBJECT TIME SEQUENCE REST,
	    ERR_MALFORMED},
};

START_TEST(entries_are_read_strictly)
{
	struct arena arena = ARENA_INIT(4096);
	struct envelope e;
	const char *reason = NULL;
	int rc = envelope_decode(slice_str(cases[_i].entry), 7, &arena, &e);

	ck_assert_msg(rc == cases[_i].rc, "%s: %s", cases[_i].says, err_name(rc));
	ck_assert_int_eq(envelope_check(slice_str(cases[_i].entry), 7, &reason), cases[_i].rc);
	ck_assert((reason != NULL) == (cases[_i].rc != 0));
	arena_finish(&arena);
}
END_TEST

static struct envelope full(void)
{
	return (struct envelope){
		.id = SLICE("00112233445566778899aabbccddeeff"),
		.source = SLICE("/webhooks/tencent"),
		.type = SLICE("meeting.started"),
		.subject = SLICE("meeting/TENCENT/1"),
		.time_us = INT64_C(1795473555123456),
		.sequence = 18,
		.actor = SLICE("webhook:tencent"),
		.causation = SLICE("c1"),
		.correlation = SLICE("c2"),
		.traceparent = SLICE(TRACE),
		.has_once = true,
		.once = {1, 2, 3},
		.dataschema = SLICE("meeting.started/1"),
		.data = SLICE("{\"a\":\"x y\"}"),
	};
}

START_TEST(what_is_written_is_read_back)
{
	struct arena arena = ARENA_INIT(4096);
	struct buf out = BUF_INIT(ENTRY_LEN_MAX + 10);
	struct envelope e = full(), back;
	uint32_t time_at, sequence_at;

	buf_append_str(&out, "before"); /* offsets count from the entry, not from the buffer */
	ck_assert_int_eq(envelope_encode(&e, &out, &time_at, &sequence_at), 0);
	buf_consume(&out, 6);
	ck_assert_int_eq(envelope_decode(buf_slice(&out), 18, &arena, &back), 0);
	ck_assert_int_eq(back.time_us, e.time_us);
	ck_assert_uint_eq(back.sequence, 18);
	ck_assert(slice_eq(back.traceparent, e.traceparent) && slice_eq(back.data, e.data));
	ck_assert(slice_eq(back.causation, e.causation) && slice_eq(back.correlation, e.correlation));
	ck_assert(back.has_once && memcmp(back.once, e.once, ONCE_KEY_LEN) == 0);
	envelope_patch(out.ptr, time_at, e.time_us + 1, sequence_at, UINT64_MAX);
	ck_assert_int_eq(envelope_decode(buf_slice(&out), UINT64_MAX, &arena, &back), 0);
	ck_assert_int_eq(back.time_us, e.time_us + 1);
	ck_assert_uint_eq(back.sequence, UINT64_MAX);
	buf_finish(&out);
	arena_finish(&arena);
}
END_TEST

START_TEST(what_would_not_be_read_is_not_written)
{
	struct buf out = BUF_INIT(4096);
	uint32_t time_at, sequence_at;
	char stream[STREAM_LEN_MAX + 2];
	struct envelope wrong[12];

	memset(stream, 'x', sizeof(stream));
	for (size_t i = 0; i < 12; i++)
		wrong[i] = full();
	wrong[0].id = SLICE("AA112233445566778899aabbccddeeff");
	wrong[1].type = SLICE("Meeting");
	wrong[2].subject = slice_of(stream, STREAM_LEN_MAX + 1);
	wrong[3].actor = (struct slice){0};
	wrong[4].source = SLICE("a \"b\"");
	wrong[5].traceparent = SLICE("00-xyz");
	wrong[6].dataschema = SLICE("meeting.ended/1");
	wrong[7].causation = SLICE("\xe4\xb9\x99");
	wrong[8].correlation = SLICE("a b");
	wrong[9].source = SLICE("a\\b");
	wrong[10].source = SLICE("a\"b");
	wrong[11].id = SLICE("00");
	for (size_t i = 0; i < 12; i++) {
		buf_clear(&out);
		ck_assert_int_eq(envelope_encode(&wrong[i], &out, &time_at, &sequence_at), ERR_INVALID);
	}
	buf_finish(&out);
}
END_TEST

START_TEST(what_has_no_room_is_not_written)
{
	struct buf out = BUF_INIT(4096);
	struct envelope e = full();
	uint32_t time_at, sequence_at;

	e.traceparent = (struct slice){0}; /* and need not be there */
	for (size_t max = 0; max < 600; max++) {
		struct buf little = BUF_INIT(max);
		int rc = envelope_encode(&e, &little, &time_at, &sequence_at);

		ck_assert(rc == ERR_TOO_BIG || (rc == 0 && little.len <= max));
		buf_finish(&little);
	}
	ck_assert_int_eq(envelope_check(SLICE("{}x"), 7, NULL), ERR_MALFORMED);
	e.dataschema = SLICE("meeting.ended/1");
	ck_assert_int_eq(envelope_encode(&e, &out, &time_at, &sequence_at), ERR_INVALID);
	/* The least there must be. */
	e = (struct envelope){.id = e.id, .source = e.source, .type = e.type, .subject = e.subject, .time_us = e.time_us,
	    .actor = e.actor, .dataschema = SLICE("meeting.started/1"), .data = e.data};
	ck_assert_int_eq(envelope_encode(&e, &out, &time_at, &sequence_at), 0);
	ck_assert_int_eq(envelope_check(buf_slice(&out), 0, NULL), 0);
	buf_finish(&out);
}
END_TEST

START_TEST(an_entry_has_a_longest_length)
{
	struct arena arena = ARENA_INIT(4096);
	struct buf out = BUF_INIT(2 * ENTRY_LEN_MAX);
	struct envelope e = full();
	char *data = malloc(ENTRY_LEN_MAX + 1);
	uint32_t time_at, sequence_at;

	memset(data, 'x', ENTRY_LEN_MAX);
	memcpy(data, "{\"a\":\"", 6);
	memcpy(data + ENTRY_LEN_MAX - 2, "\"}", 2);
	e.data = slice_of(data, ENTRY_LEN_MAX);
	ck_assert_int_eq(envelope_encode(&e, &out, &time_at, &sequence_at), ERR_TOO_BIG);
	ck_assert_int_eq(envelope_decode(buf_slice(&out), ENVELOPE_ANY_POSITION, &arena, &e), ERR_TOO_BIG);
	free(data);
	buf_finish(&out);
	arena_finish(&arena);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("envelope");
	TCase *tc = tcase_create("envelope");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, entries_are_read_strictly, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, what_is_written_is_read_back);
	tcase_add_test(tc, what_would_not_be_read_is_not_written);
	tcase_add_test(tc, an_entry_has_a_longest_length);
	tcase_add_test(tc, what_has_no_room_is_not_written);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
