/* Every meeting event of the vendor becomes one of ours, whole: nothing told is dropped but the token. */
#include "adapters/lark_events.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "lib/vectors.h"

static struct arena arena = ARENA_INIT(64 << 20);

static int translate(const char *text, struct translated *ret)
{
	struct lark_received r;
	int rc = lark_event_parse(slice_str(text), &arena, &r);

	return rc == 0 ? lark_translate(&r, &arena, ret) : rc;
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

#define SAID(type, event) "{\"schema\":\"2.0\",\"header\":{\"event_id\":\"e1\",\"event_type\":\"vc.meeting." type \
	"\",\"create_time\":\"1760000401005\",\"token\":\"secret\",\"tenant_key\":\"k\"},\"event\":{" event "}}"
#define MEETING(more) "\"meeting\":{\"id\":\"7\"" more "}"
#define TIMES ",\"start_time\":\"1760000400\",\"end_time\":\"1760004000\""
#define WHO(n) "{\"id\":{\"union_id\":\"on_" n "\",\"user_id\":\"\",\"open_id\":\"ou_" n "\"},\"user_role\":2,\"user_type\":1}"

static const struct { const char *says, *text, *path, *value; } facts[] = {
	{"the platform", SAID("meeting_started_v1", MEETING("")), "platform", "\"FEISHU\""},
	{"the delivery's id is the event's", SAID("meeting_started_v1", MEETING("")), "trace_id", "\"e1\""},
	{"a meeting begins when it says", SAID("all_meeting_started_v1", MEETING(TIMES)), "operate_at_ms", "1760000400000"},
	{"and ends when it says", SAID("all_meeting_ended_v1", MEETING(TIMES)), "operate_at_ms", "1760004000000"},
	{"what was written stays beside it", SAID("meeting_ended_v1", MEETING(TIMES)), "operate_time", "\"1760004000\""},
	{"without such a time it is when the event was made", SAID("meeting_ended_v1", MEETING("")), "operate_at_ms", "1760000401005"},
	{"people come when the event was made", SAID("join_meeting_v1", MEETING(TIMES)), "operate_at_ms", "1760000401005"},
	{"the topic is the title", SAID("meeting_ended_v1", MEETING(",\"topic\":\"虚构\"")), "title", "\"虚构\""},
	{"the number people dial", SAID("meeting_ended_v1", MEETING(",\"meeting_no\":\"100200300\"")), "meeting_code", "\"100200300\""},
	{"how it came about", SAID("meeting_ended_v1", MEETING(",\"meeting_source\":2")), "meeting_source", "2"},
	{"the owner made it", SAID("meeting_ended_v1", MEETING(",\"owner\":" WHO("1"))), "creator.uuid", "\"on_1\""},
	{"with all ids", SAID("meeting_ended_v1", MEETING(",\"owner\":" WHO("1"))), "creator.open_id", "\"ou_1\""},
	{"a role stays with the person", SAID("meeting_ended_v1", MEETING(",\"owner\":" WHO("1"))), "creator.user_role", "2"},
	{"a host", SAID("meeting_ended_v1", MEETING(",\"host_user\":{\"id\":{\"open_id\":\"ou_1\"}}")), "hosts", "[{\"open_id\":\"ou_1\"}]"},
	{"who did it", SAID("join_meeting_v1", MEETING("") ",\"operator\":" WHO("2")), "operator.uuid", "\"on_2\""},
	{"who left", SAID("leave_meeting_v1", MEETING("") ",\"operator\":" WHO("2") ",\"leave_user\":" WHO("2")), "operator.uuid", "\"on_2\""},
	{"that is no news twice", SAID("leave_meeting_v1", MEETING("") ",\"operator\":" WHO("2") ",\"leave_user\":" WHO("2")), "extra.operator", ""},
	{"who was removed is who left", SAID("leave_meeting_v1", MEETING("") ",\"operator\":" WHO("1") ",\"leave_user\":" WHO("2")),
	    "operator.uuid", "\"on_2\""},
	{"in whatever order", SAID("leave_meeting_v1", "\"leave_user\":" WHO("2") ",\"operator\":" WHO("1") "," MEETING("")),
	    "operator.uuid", "\"on_2\""},
	{"who removed them stays", SAID("leave_meeting_v1", MEETING("") ",\"operator\":" WHO("1") ",\"leave_user\":" WHO("2")),
	    "extra.operator.id.union_id", "\"on_1\""},
	{"a leaver without an id is none", SAID("leave_meeting_v1", MEETING("") ",\"operator\":" WHO("1") ",\"leave_user\":{\"id\":{}}"),
	    "operator.uuid", "\"on_1\""},
	{"nobody told who did it", SAID("leave_meeting_v1", MEETING("") ",\"leave_user\":" WHO("2")), "operator.uuid", "\"on_2\""},
	{"why they left", SAID("leave_meeting_v1", MEETING("") ",\"leave_reason\":\"3\""), "leave_reason", "3"},
	{"a recording is known by its minutes", SAID("recording_ready_v1", MEETING("") ",\"url\":\"https://x.invalid/minutes/obcn1?a=b\",\"duration\":\"3600000\""),
	    "recording_files", "[{\"record_file_id\":\"obcn1\",\"duration_ms\":3600000}]"},
	{"its address stays", SAID("recording_ready_v1", MEETING("") ",\"url\":\"https://x.invalid/minutes/obcn1\""), "extra.url",
	    "\"https://x.invalid/minutes/obcn1\""},
	{"an address without minutes names no file", SAID("recording_ready_v1", MEETING("") ",\"url\":\"https://x.invalid/a b\""),
	    "recording_files", ""},
	{"the token is not kept", SAID("meeting_ended_v1", MEETING("")), "extra.header.token", ""},
	{"the rest of the header is", SAID("meeting_ended_v1", MEETING("")), "extra.header.tenant_key", "\"k\""},
	{"unknown members stay where they stood", SAID("meeting_ended_v1", MEETING(",\"new\":{\"a\":1}")), "extra.meeting.new", "{\"a\":1}"},
	{"of the event too", SAID("meeting_ended_v1", MEETING("") ",\"new\":[1]"), "extra.new", "[1]"},
	{"a person of another form is extra", SAID("join_meeting_v1", MEETING("") ",\"operator\":\"me\""), "extra.operator", "\"me\""},
	{"a person's member under a name of ours is extra", SAID("join_meeting_v1", MEETING("") ",\"operator\":{\"uuid\":\"x\"}"),
	    "extra.operator.uuid", "\"x\""},
};

START_TEST(members_find_their_place)
{
	struct translated fact = {0};
	struct json_value v;
	struct slice value;

	ck_assert_int_eq(translate(facts[_i].text, &fact), 0);
	value = value_at(&arena, shown(&fact), facts[_i].path, &v) ? v.text : SLICE("");
	ck_assert_msg(slice_is(value, facts[_i].value), "%s: %.*s", facts[_i].says, SLICE_ARG(value));
}
END_TEST

START_TEST(an_unknown_event_is_told)
{
	struct translated fact = {0};

	ck_assert_int_eq(translate(SAID("unheard_of_v1", MEETING("")), &fact), ERR_NOT_FOUND);
}
END_TEST

static const struct { const char *says, *one, *other; bool same; } tellings[] = {
	{"the order of members", "{\"a\":1,\"b\":[1,2]}", "{\"b\":[1,2],\"a\":1}", true},
	{"white space", "{\"a\":1}", "{ \"a\" : 1 }", true},
	{"escapes", "{\"\\u0061\":\"\\u4f60\"}", "{\"a\":\"你\"}", true},
	{"deep inside", "{\"a\":[{\"c\":1,\"b\":2}]}", "{\"a\":[{\"b\":2,\"c\":1}]}", true},
	{"another value", "{\"a\":1}", "{\"a\":2}", false},
	{"the order of a list", "{\"a\":[1,2]}", "{\"a\":[2,1]}", false},
};

static struct slice told(const char *event)
{
	struct lark_received r;
	struct slice text = {0};

	ck_assert_int_eq(lark_event_parse(slice_str(arena_printf(&arena, "{\"header\":{\"event_id\":\"%s\",\"event_type\":\"x\"},\"event\":%s}",
	    "e", event)), &arena, &r), 0);
	ck_assert_int_eq(lark_told(&r, &arena, &text), 0);
	return text;
}

START_TEST(the_same_event_is_told_the_same)
{
	ck_assert_msg(slice_eq(told(tellings[_i].one), told(tellings[_i].other)) == tellings[_i].same, "%s", tellings[_i].says);
}
END_TEST

static int seal_in_clear(void *arg, const char *field, const char *subject, struct slice json, struct buf *out)
{
	(void)arg, (void)field, (void)subject;
	return buf_append(out, json);
}

static int open_in_clear(void *arg, const char *field, struct slice raw, struct arena *a, struct slice *ret)
{
	(void)arg, (void)field;
	*ret = arena_dup(a, raw);
	return ret->ptr == NULL ? ERR_NOMEM : 0;
}

static const struct seal_hooks in_clear = {.seal = seal_in_clear, .open = open_in_clear};

static void to_a_record_and_back(struct translated *fact, struct slice id)
{
	struct event_subject subject = {.id = SLICE("0123456789abcdef0123456789abcdef")};
	struct translated_seals seals = {.meeting = &subject, .people = {&subject, &subject, &subject},
	    .fingerprint = SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")};
	struct event_context ctx = {&rng_system, &clock_system, &in_clear};
	struct event_meta meta = {.source = SLICE("/webhooks/lark"), .actor = SLICE("webhook:lark"), .expect = EXPECT_ANY};
	struct problems problems = PROBLEMS_INIT(&arena);
	struct event_draft draft;
	struct event event;
	int rc;

	translated_seal(fact, &seals);
	rc = event_draft_make(&ctx, (enum event_type)fact->type->id, fact->data, &meta, &arena, &draft, &problems);
	ck_assert_msg(rc == 0, "%.*s: %s %s", SLICE_ARG(id), err_name(rc), problems.n > 0 ? problems.items[0].path : "");
	ck_assert(slice_starts_with(draft.stream, SLICE("meeting/FEISHU/700000000000000000")));
	rc = event_decode(slice_of(draft.entry, draft.entry_len), ENVELOPE_ANY_POSITION, &in_clear, &arena, &event);
	ck_assert_msg(rc == 0, "%.*s: %s", SLICE_ARG(id), err_name(rc));
}

START_TEST(every_example_becomes_a_record)
{
	struct vectors v;
	unsigned n_meetings = 0;

	vectors_open(&v, &arena, "lark-webhook-bodies.json");
	while (vectors_next(&v)) {
		struct slice id = text_at(&arena, v.one, "id"), plain = text_at(&arena, v.one, "plain_event");
		struct translated fact = {0};
		struct lark_received r;
		int rc;

		if (plain.len == 0)
			continue;
		ck_assert_int_eq(lark_event_parse(plain, &arena, &r), 0);
		rc = lark_translate(&r, &arena, &fact);
		ck_assert_msg(rc == (slice_starts_with(id, SLICE("vc.")) ? 0 : ERR_NOT_FOUND), "%.*s", SLICE_ARG(id));
		if (rc == 0) {
			n_meetings++;
			to_a_record_and_back(&fact, id);
		}
	}
	vectors_close(&v, 23);
	ck_assert_uint_eq(n_meetings, 13);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("lark_events");
	Suite *s = suite_create("lark_events");

	if (crypto_init() != 0)
		return 1;
	LOOP(tc, members_find_their_place, facts);
	tcase_add_test(tc, an_unknown_event_is_told);
	LOOP(tc, the_same_event_is_told_the_same, tellings);
	tcase_add_test(tc, every_example_becomes_a_record);
	suite_add_tcase(s, tc);
	return run_suite(s, &arena);
}
