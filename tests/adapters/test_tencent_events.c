/* Every event of the vendor becomes one of ours, whole: nothing told is dropped. */
#include <check.h>
#include <stdlib.h>

#include "adapters/tencent_events.h"
#include "base/err.h"
#include "base/io.h"
#include "crypto/crypto.h"

static struct arena arena = ARENA_INIT(128 << 20);

/* --- helpers -------------------------------------------------------------------------- */

/* Translates the only item of an envelope text. */
static int translate(const char *text, struct translated *ret)
{
	struct tencent_envelope e;
	struct json_reader r;
	struct json_value item;
	const char *reason;

	ck_assert_int_eq(tencent_parse(slice_str(text), &arena, &e, &reason), 0);
	json_enter(&r, e.payload);
	ck_assert(json_next(&r, NULL, &item));
	return tencent_translate(&e, 0, item, &arena, ret);
}

/* What is in the struct, as JSON in clear. */
static struct json_value shown(const struct translated *fact)
{
	struct buf out = BUF_INIT(1 << 20);
	struct json_writer w = JSON_WRITER(&out);
	struct slice text;

	ck_assert_int_eq(schema_encode(fact->type->schema, fact->data, NULL, &w), 0);
	text = arena_dup(&arena, buf_slice(&out));
	buf_finish(&out);
	ck_assert_int_eq(json_scan(text, NULL, NULL), 0);
	return json_root(text);
}

/* "meeting_info.subject"; the source text of the value, empty when absent. */
static struct slice at(struct json_value v, const char *path)
{
	struct slice rest = slice_str(path), name;

	while (rest.len > 0) {
		slice_cut(rest, '.', &name, &rest);
		if (!json_member(v, arena_printf(&arena, "%.*s", SLICE_ARG(name)), &v))
			return SLICE("");
	}
	return v.text;
}

/* --- one fact, many ways to say it ------------------------------------------------------- */

#define ITEM(members) "{\"event\":\"recording.completed\",\"trace_id\":\"t\",\"payload\":[{" members "}]}"
#define MEETING(members) ITEM("\"meeting_info\":{\"meeting_id\":\"m\"" members "}")

static const struct { const char *says, *text, *path, *value; } facts[] = {
	{"milliseconds stay", ITEM("\"operate_time\":1760004301234"), "operate_at_ms", "1760004301234"},
	{"seconds become milliseconds", ITEM("\"operate_time\":1760004301"), "operate_at_ms", "1760004301000"},
	{"what was written stays beside it", ITEM("\"operate_time\":1760004301"), "operate_time", "\"1760004301\""},
	{"numbers may be strings", ITEM("\"operate_time\":\"1760004301234\""), "operate_at_ms", "1760004301234"},
	{"zero is no time", MEETING(",\"end_time\":0"), "end_at_ms", ""},
	{"ids beyond 2^63 keep their digits", ITEM("\"meeting_info\":{\"meeting_id\":15799355397363795495}"), "meeting_id",
	    "\"15799355397363795495\""},
	{"ids need not be numbers", ITEM("\"meeting_info\":{\"meeting_id\":\"mock-1\"}"), "meeting_id", "\"mock-1\""},
	{"an empty sub id is none", MEETING(",\"sub_meeting_id\":\"\""), "sub_meeting_id", ""},
	{"a sub id is kept", MEETING(",\"sub_meeting_id\":\"1760000400\""), "sub_meeting_id", "\"1760000400\""},
	{"the vendor's subject is our title", MEETING(",\"subject\":\"周会\""), "title", "\"周会\""},
	{"enums may be strings", MEETING(",\"media_set_type\":\"2\""), "media_set_type", "2"},
	{"unknown enum values are kept", MEETING(",\"meeting_type\":99"), "meeting_type", "99"},
	{"a wrong type goes to extra", MEETING(",\"meeting_type\":[1]"), "extra.meeting_info.meeting_type", "[1]"},
	{"and not to its field", MEETING(",\"meeting_type\":[1]"), "meeting_type", ""},
	{"unknown members stay where they stood", MEETING(",\"new\":{\"a\":1}"), "extra.meeting_info.new", "{\"a\":1}"},
	{"of the item too", ITEM("\"new\":\"x\""), "extra.new", "\"x\""},
	{"null is absent", MEETING(",\"subject\":null,\"new\":null"), "extra", ""},
	{"a file's size", ITEM("\"recording_files\":[{\"record_file_id\":\"1\",\"total_size\":\"7\"}]"), "recording_files",
	    "[{\"record_file_id\":\"1\",\"total_size\":7}]"},
	{"a file's id may be a number", ITEM("\"recording_files\":[{\"record_file_id\":1318080818611111111}]"),
	    "recording_files", "[{\"record_file_id\":\"1318080818611111111\"}]"},
	{"a file's unknown member keeps the list in extra", ITEM("\"recording_files\":[{\"record_file_id\":\"1\",\"x\":2}]"),
	    "extra.recording_files", "[{\"record_file_id\":\"1\",\"x\":2}]"},
	{"a person's unknown member stays with the person", ITEM("\"operator\":{\"uuid\":\"u\",\"x\":2}"),
	    "operator.x", "2"},
	{"a field other events have is extra here", ITEM("\"cancel_reason\":\"ill\""), "extra.cancel_reason", "\"ill\""},
	{"meeting_info that is no object is extra", ITEM("\"meeting_info\":7"), "extra.meeting_info", "7"},
};

START_TEST(members_find_their_place)
{
	struct translated fact = {0};
	struct slice value;

	ck_assert_int_eq(translate(facts[_i].text, &fact), 0);
	value = at(shown(&fact), facts[_i].path);
	ck_assert_msg(slice_is(value, facts[_i].value), "%s: %.*s", facts[_i].says, SLICE_ARG(value));
}
END_TEST

START_TEST(the_envelopes_own_members)
{
	struct translated fact = {0};

	ck_assert_int_eq(translate("{\"event\":\"smart.fullsummary\",\"trace_id\":\"t\",\"payload\":[{}],"
	                           "\"result\":1,\"new\":2}", &fact), 0);
	ck_assert_str_eq(fact.type->name, "summary.ready");
	ck_assert(slice_is(at(shown(&fact), "result"), "1"));
	ck_assert(slice_is(at(shown(&fact), "extra.envelope.new"), "2"));
}
END_TEST

START_TEST(an_unknown_event_is_told)
{
	struct translated fact = {0};

	ck_assert_int_eq(translate("{\"event\":\"meeting.future\",\"trace_id\":\"t\",\"payload\":[{}]}", &fact),
	    ERR_NOT_FOUND);
	ck_assert_ptr_null(tencent_event_type(SLICE("meeting.ended"))); /* not the vendor's name */
	for (size_t i = 0; tencent_event_names[i] != NULL; i++)
		ck_assert_ptr_nonnull(tencent_event_type(slice_str(tencent_event_names[i])));
}
END_TEST

static const struct { const char *says, *person, *kind, *identity; } people[] = {
	{"the platform-wide id first", "\"uuid\":\"u\",\"userid\":\"x\",\"open_id\":\"o\"", "tencent.uuid", "u"},
	{"then the open id", "\"userid\":\"x\",\"open_id\":\"o\"", "tencent.open_id", "o"},
	{"then that of the enterprise", "\"uuid\":\"\",\"userid\":\"x\"", "tencent.userid", "x"},
	{"a phone", "\"pstn_number\":\"123\"", "tencent.pstn", "123"},
	{"an id of one meeting only counts there", "\"ms_open_id\":\"s\"", "tencent.ms_open_id", "m/s"},
	{"a device is nobody", "\"instance_id\":\"2\"", NULL, NULL},
};

START_TEST(who_somebody_is)
{
	struct translated fact = {0};
	struct slice kind, identity;
	bool found;

	ck_assert_int_eq(translate(arena_printf(&arena, "{\"event\":\"meeting.started\",\"payload\":[{\"operator\":{%s}}]}",
	    people[_i].person), &fact), 0);
	found = tencent_person_identity(fact.people[TOLD_OPERATOR], SLICE("m"), &arena, &kind, &identity);
	ck_assert_msg(found == (people[_i].kind != NULL), "%s", people[_i].says);
	if (found)
		ck_assert_msg(slice_is(kind, people[_i].kind) && slice_is(identity, people[_i].identity), "%s",
		    people[_i].says);
}
END_TEST

/* --- the vendor's vectors, from the wire to a record --------------------------------------- */

static int seal_in_clear(void *arg, const char *field, const char *subject, struct slice json, struct buf *out)
{
	(void)arg;
	(void)field;
	ck_assert_ptr_nonnull(subject);
	return buf_append(out, json);
}

static int open_in_clear(void *arg, const char *field, struct slice raw, struct arena *a, struct slice *ret)
{
	(void)arg;
	(void)field;
	*ret = arena_dup(a, raw);
	return 0;
}

static const struct seal_hooks in_clear = {.seal = seal_in_clear, .open = open_in_clear};

static void to_a_record_and_back(struct translated *fact, struct slice id)
{
	struct event_subject subject = {.id = SLICE("0123456789abcdef0123456789abcdef")};
	struct translated_seals seals = {.meeting = &subject, .people = {&subject, &subject, &subject},
	    .fingerprint = SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")};
	struct event_context ctx = {&rng_system, &clock_system, &in_clear};
	struct event_meta meta = {.source = SLICE("/webhooks/tencent"), .actor = SLICE("webhook:tencent"),
	    .expect = EXPECT_ANY};
	struct problems problems = PROBLEMS_INIT(&arena);
	struct event_draft draft;
	struct event event;
	int rc;

	translated_seal(fact, &seals);
	rc = event_draft_make(&ctx, (enum event_type)fact->type->id, fact->data, &meta, &arena, &draft, &problems);
	ck_assert_msg(rc == 0, "%.*s: %s %s", SLICE_ARG(id), err_name(rc),
	    problems.n > 0 ? problems.items[0].message : "");
	ck_assert(slice_starts_with(draft.stream, SLICE("meeting/TENCENT/")));
	ck_assert_int_eq(event_decode(slice_of(draft.entry, draft.entry_len), ENVELOPE_ANY_POSITION, &in_clear, &arena,
	    &event), 0);
	struct translated again = {.type = fact->type, .data = event.data};
	ck_assert_msg(slice_eq(shown(fact).text, shown(&again).text), "%.*s", SLICE_ARG(id));
}

static void check_vector(struct json_value one, unsigned *ret_known)
{
	struct slice id = at(one, "id");
	struct tencent_envelope e;
	struct json_reader r;
	struct json_value plain, item;
	const char *reason;

	if (!json_member(one, "plain_event", &plain) || plain.type != JSON_OBJECT)
		return;
	ck_assert_int_eq(tencent_parse(plain.text, &arena, &e, &reason), 0);
	if (tencent_event_type(e.event) == NULL)
		return;
	json_enter(&r, e.payload);
	for (size_t i = 0; json_next(&r, NULL, &item); i++) {
		struct translated fact = {0};

		ck_assert_int_eq(tencent_translate(&e, i, item, &arena, &fact), 0);
		/* All members of the documented events have a place of ours. */
		ck_assert_msg(at(shown(&fact), "extra").len == 0, "%.*s: %.*s", SLICE_ARG(id),
		    SLICE_ARG(at(shown(&fact), "extra")));
		ck_assert(at(shown(&fact), "operate_at_ms").len == 13);
		to_a_record_and_back(&fact, id);
		(*ret_known)++;
	}
}

START_TEST(vectors_become_records)
{
	struct buf text = BUF_INIT(16 << 20);
	struct json_value cases, one;
	struct json_reader r;
	unsigned known = 0;

	ck_assert_int_eq(file_read(&text, SHARED_VECTORS "/tencent-webhook-bodies.json"), 0);
	ck_assert_int_eq(json_scan(buf_slice(&text), NULL, NULL), 0);
	ck_assert(json_member(json_root(buf_slice(&text)), "cases", &cases));
	json_enter(&r, cases);
	while (json_next(&r, NULL, &one))
		check_vector(one, &known);
	ck_assert_uint_ge(known, 36);
	buf_finish(&text);
}
END_TEST

#define LOOP(tc, test, table) tcase_add_loop_test(tc, test, 0, (int)(sizeof(table) / sizeof((table)[0])))

int main(void)
{
	Suite *s = suite_create("tencent_events");
	TCase *tc = tcase_create("events");
	SRunner *runner;
	int failed;

	if (crypto_init() != 0)
		return 1;
	LOOP(tc, members_find_their_place, facts);
	tcase_add_test(tc, the_envelopes_own_members);
	tcase_add_test(tc, an_unknown_event_is_told);
	LOOP(tc, who_somebody_is, people);
	tcase_add_test(tc, vectors_become_records);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	arena_finish(&arena);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
