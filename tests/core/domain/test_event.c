/*
 * From a struct to the bytes of a record and back, sealed and in clear, and
 * one entry whose every byte is written down.
 */
#include "domain/event.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"
#include "base/json.h"
#include "crypto/crypto.h"

static struct arena arena;
static struct problems problems;
static struct clock_manual moment;
static struct rng_test dice;
static struct event_context context;

static void start(void)
{
	ck_assert_int_eq(crypto_init(), 0);
	arena = (struct arena)ARENA_INIT(4 << 20);
	problems = (struct problems)PROBLEMS_INIT(&arena);
	clock_manual_init(&moment, INT64_C(1760000402003004));
	rng_test_init(&dice, 1);
	context = (struct event_context){.rng = &dice.rng, .clock = &moment.clock};
}

static void stop(void)
{
	arena_finish(&arena);
}

/* ---- a seal one can see through: field, subject and value in a row --------------------- */

struct toy {
	const char *erased; /* a subject whose key is gone */
	const char *only;   /* sealing for any other subject fails; NULL = all are known */
	int n_sealed;
};

static int toy_seal(void *arg, const char *field, const char *subject, struct slice plain, struct buf *out)
{
	struct toy *toy = arg;

	if (toy->only != NULL && strcmp(subject, toy->only) != 0)
		return ERR_INVALID;
	toy->n_sealed++;
	return buf_printf(out, "%s|%s|%.*s", field, subject, SLICE_ARG(plain));
}

static int toy_open(void *arg, const char *field, struct slice sealed, struct arena *a, struct slice *ret)
{
	struct toy *toy = arg;
	struct slice name, subject, rest;

	if (!slice_cut(sealed, '|', &name, &rest) || !slice_cut(rest, '|', &subject, &rest) || !slice_is(name, field))
		return ERR_BAD_KEY;
	if (toy->erased != NULL && slice_is(subject, toy->erased))
		return ERR_ERASED;
	*ret = arena_dup(a, rest);
	return ret->ptr == NULL ? ERR_NOMEM : 0;
}

static struct seal_hooks toy_hooks(struct toy *toy)
{
	return (struct seal_hooks){.seal = toy_seal, .open = toy_open, .arg = toy};
}

/* ---- samples ----------------------------------------------------------------------------- */

#define FINGERPRINT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define SUBJECT_A "000102030405060708090a0b0c0d0e0f"
#define SUBJECT_B "ffeeddccbbaa99887766554433221100"

static struct event_meeting_started sample(void)
{
	return (struct event_meeting_started){
		.platform = SLICE("TENCENT_MEETING"),
		.vendor_event = SLICE("meeting.started"),
		.trace_id = SLICE("t-1"),
		.fingerprint = SLICE(FINGERPRINT),
		.has_operate_at_ms = true,
		.operate_at_ms = 1760000401234,
		.operate_time = SLICE("1760000401234"),
		.meeting_id = SLICE("15799355397363795495"),
		.sub_meeting_id = SLICE("1767051000"),
		.title = SLICE("\xe5\x91\xa8\xe4\xbc\x9a \"1\""),
		.meeting_code = SLICE("100200300"),
		.has_meeting_type = true,
		.meeting_type = 1,
		.has_operator = true,
		.operator = {.uuid = SLICE("u1"), .user_name = SLICE("\xe4\xb9\x99"), .extra = SLICE("{\"new\":[1]}")},
		.has_subjects = true,
		.subjects = {
			.has_meeting = true, .meeting = {SLICE(SUBJECT_A), SLICE(FINGERPRINT)},
			.has_operator = true, .operator = {SLICE(SUBJECT_B), {0}},
		},
	};
}

static const struct event_meta meta = {
	.source = SLICE_INIT("/webhooks/tencent"),
	.actor = SLICE_INIT("webhook:tencent"),
	.has_id = true,
	.id = {{0x11, 0x22}},
	.expect = EXPECT_ANY,
};

/* ---- making ------------------------------------------------------------------------------- */

START_TEST(an_entry_has_exactly_these_bytes)
{
	/* sha256sum of the text below, made apart from this program. */
	static const char sum[] = "01b55b68f9edfe85be5625c4c02c96a6ce66a6e6414714ac63e7fb76066d8d58";
	static const char entry[] =
	    "{\"specversion\":\"1.0\",\"id\":\"11220000000000000000000000000000\",\"source\":\"/system\","
	    "\"type\":\"log.created\",\"subject\":\"log\",\"time\":\"2025-10-09T09:00:02.003004Z\","
	    "\"sequence\":\"00000000000000000000\",\"actor\":\"system\","
	    "\"oncekey\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"dataschema\":\"log.created/1\","
	    "\"datacontenttype\":\"application/json\",\"data\":{\"origin\":\"log.example.test/events\",\"vkey\":\"k+1+x\"}}";
	struct event_log_created data = {.origin = SLICE("log.example.test/events"), .vkey = SLICE("k+1+x")};
	struct event_meta m = {.source = SLICE("/system"), .actor = SLICE("system"), .has_id = true, .id = meta.id,
	    .has_once = true, .expect = EXPECT_NONE};
	struct event_draft draft;
	struct slice bytes;
	uint8_t hash[SHA256_LEN];
	char hex[2 * SHA256_LEN + 1];

	ck_assert_int_eq(event_draft_make(&context, EVENT_LOG_CREATED, &data, &m, &arena, &draft, &problems), 0);
	bytes = slice_of(draft.entry, draft.entry_len);
	ck_assert_msg(slice_is(bytes, entry), "%.*s", SLICE_ARG(bytes));
	sha256(hash, &bytes, 1);
	hex_encode(hex, hash, sizeof(hash));
	ck_assert_str_eq(hex, sum);
	ck_assert_uint_eq(draft.type, 1);
	ck_assert(slice_is(draft.stream, "log"));
	ck_assert_int_eq(draft.expect, EXPECT_NONE);
	ck_assert(draft.has_once);
	ck_assert(memcmp(draft.entry + draft.time_at, "2025-10-09T09:00:02.003004Z\"", ENTRY_TIME_LEN + 1) == 0);
	ck_assert(memcmp(draft.entry + draft.sequence_at, "00000000000000000000\"", ENTRY_SEQUENCE_LEN + 1) == 0);
}
END_TEST

START_TEST(what_was_sealed_opens_again)
{
	struct toy toy = {0};
	struct seal_hooks hooks = toy_hooks(&toy);
	struct event_meeting_started data = sample(), *back;
	struct event_draft draft;
	struct event event;
	struct slice entry;

	context.hooks = &hooks;
	ck_assert_int_eq(event_draft_make(&context, EVENT_MEETING_STARTED, &data, &meta, &arena, &draft, &problems), 0);
	entry = slice_of(draft.entry, draft.entry_len);
	ck_assert_int_eq(toy.n_sealed, 3); /* code, title, operator: the person as a whole */
	ck_assert_ptr_null(memmem(entry.ptr, entry.len, "\xe4\xb9\x99", 3));
	ck_assert_ptr_null(memmem(entry.ptr, entry.len, "100200300", 9));
	ck_assert(slice_is(draft.stream, "meeting/TENCENT/15799355397363795495/1767051000"));
	/* One of the two subjects can be looked up. */
	ck_assert_uint_eq(draft.n_subjects, 1);
	ck_assert_int_eq(draft.subjects[0].id.bytes[15], 0x0f);
	ck_assert_int_eq(draft.subjects[0].ref[31], 31);

	envelope_patch(draft.entry, draft.time_at, INT64_C(1760000500000000), draft.sequence_at, 77);
	ck_assert_int_eq(event_decode(entry, 77, &hooks, &arena, &event), 0);
	ck_assert_uint_eq(event.type->id, EVENT_MEETING_STARTED);
	ck_assert_int_eq(event.envelope.time_us, INT64_C(1760000500000000));
	back = event.data;
	ck_assert(slice_eq(back->title, data.title));
	ck_assert(slice_is(back->meeting_code, "100200300"));
	ck_assert(back->has_operator && slice_is(back->operator.user_name, "\xe4\xb9\x99"));
	ck_assert(slice_is(back->operator.extra, "{\"new\":[1]}"));
	ck_assert(slice_is(back->subjects.operator.id, SUBJECT_B));
	ck_assert(!back->has_creator && back->hosts.items == NULL);
	ck_assert_int_eq(back->operate_at_ms, data.operate_at_ms);
}
END_TEST

START_TEST(an_arena_that_is_too_small_is_an_error)
{
	struct toy toy = {0};
	struct seal_hooks hooks = toy_hooks(&toy);
	struct event_meeting_started data = sample();
	struct event_draft draft;
	struct event event;
	struct slice entry;
	unsigned refused = 0;

	context.hooks = &hooks;
	ck_assert_int_eq(event_draft_make(&context, EVENT_MEETING_STARTED, &data, &meta, &arena, &draft, NULL), 0);
	entry = slice_of(draft.entry, draft.entry_len);
	for (size_t max = 0; max < 8192; max += 64) {
		struct arena small = ARENA_INIT(max);
		int rc = event_draft_make(&context, EVENT_MEETING_STARTED, &data, &meta, &small, &draft, NULL);

		ck_assert(rc == 0 || rc == ERR_NOMEM);
		refused += rc != 0;
		arena_reset(&small);
		rc = event_decode(entry, ENVELOPE_ANY_POSITION, &hooks, &small, &event);
		ck_assert(rc == 0 || rc == ERR_NOMEM);
		arena_finish(&small);
	}
	ck_assert(refused > 5 && refused < 120);
}
END_TEST

START_TEST(what_was_erased_is_absent_and_the_rest_stays)
{
	struct toy toy = {0};
	struct seal_hooks hooks = toy_hooks(&toy);
	struct event_meeting_started data = sample(), *back;
	struct event_draft draft;
	struct event event;

	context.hooks = &hooks;
	ck_assert_int_eq(event_draft_make(&context, EVENT_MEETING_STARTED, &data, &meta, &arena, &draft, &problems), 0);
	toy.erased = "operator";
	ck_assert_int_eq(event_decode(slice_of(draft.entry, draft.entry_len), 0, &hooks, &arena, &event), 0);
	back = event.data;
	ck_assert(!back->has_operator);
	ck_assert(slice_eq(back->title, data.title));
	/* Without any key all that is sealed is absent. */
	ck_assert_int_eq(event_decode(slice_of(draft.entry, draft.entry_len), 0, NULL, &arena, &event), 0);
	back = event.data;
	ck_assert(!back->has_operator && back->title.ptr == NULL && slice_is(back->meeting_id, "15799355397363795495"));
}
END_TEST

START_TEST(a_seal_moved_to_another_field_does_not_open)
{
	struct toy toy = {0};
	struct seal_hooks hooks = toy_hooks(&toy);
	struct event_meeting_started data = sample();
	struct event_draft draft;
	struct event event;
	char *title, *code;

	context.hooks = &hooks;
	ck_assert_int_eq(event_draft_make(&context, EVENT_MEETING_STARTED, &data, &meta, &arena, &draft, &problems), 0);
	title = memmem(draft.entry, draft.entry_len, "\"title\":", 8);
	code = memmem(draft.entry, draft.entry_len, "\"meeting_code\":", 15);
	ck_assert(title != NULL && code != NULL);
	memcpy(title, "\"extra\":", 8);
	ck_assert_int_eq(event_decode(slice_of(draft.entry, draft.entry_len), 0, &hooks, &arena, &event), ERR_BAD_KEY);
}
END_TEST

START_TEST(nothing_private_goes_in_clear)
{
	struct toy toy = {.only = "operator"};
	struct seal_hooks hooks = toy_hooks(&toy);
	struct event_meeting_started data = sample();
	struct event_draft draft;

	ck_assert_int_eq(event_draft_make(&context, EVENT_MEETING_STARTED, &data, &meta, &arena, &draft, &problems),
	    ERR_BAD_KEY);
	context.hooks = &hooks;
	ck_assert_int_eq(event_draft_make(&context, EVENT_MEETING_STARTED, &data, &meta, &arena, &draft, &problems),
	    ERR_INVALID);
	/* Nothing sealed in it: no keys needed. */
	context.hooks = NULL;
	data.title = data.meeting_code = (struct slice){0};
	data.has_operator = false;
	ck_assert_int_eq(event_draft_make(&context, EVENT_MEETING_STARTED, &data, &meta, &arena, &draft, &problems), 0);
}
END_TEST

START_TEST(a_wrong_struct_is_refused_with_all_its_problems)
{
	struct event_meeting_started data = sample();
	struct event_draft draft;

	data.platform = SLICE("CARRIER_PIGEON");
	data.meeting_id = (struct slice){0};
	data.fingerprint = SLICE("short");
	ck_assert_int_eq(event_draft_make(&context, EVENT_MEETING_STARTED, &data, &meta, &arena, &draft, &problems),
	    ERR_INVALID);
	ck_assert_uint_eq(problems.n, 3);
}
END_TEST

START_TEST(an_event_that_is_too_long_is_refused)
{
	struct toy toy = {0};
	struct seal_hooks hooks = toy_hooks(&toy);
	struct event_webhook_received data = {.source = SLICE("tencent"), .reason = SLICE("unknown_event"),
	    .fingerprint = SLICE(FINGERPRINT)};
	struct event_draft draft;
	char *body = arena_alloc(&arena, 60000);

	context.hooks = &hooks;
	memset(body, 'x', 60000);
	data.body = slice_of(body, 60000);
	ck_assert_int_eq(event_draft_make(&context, EVENT_WEBHOOK_RECEIVED, &data, &meta, &arena, &draft, NULL), ERR_TOO_BIG);
	data.body = slice_of(body, 40000);
	ck_assert_int_eq(event_draft_make(&context, EVENT_WEBHOOK_RECEIVED, &data, &meta, &arena, &draft, NULL), 0);
}
END_TEST

static const struct {
	const char *says, *platform, *meeting_id, *sub_meeting_id, *stream; /* NULL: refused */
} stream_cases[] = {
	{"a meeting alone", "TENCENT_MEETING", "123", NULL, "meeting/TENCENT/123"},
	{"an occurrence", "TENCENT_MEETING", "123", "456", "meeting/TENCENT/123/456"},
	{"an empty occurrence is none", "TENCENT_MEETING", "123", "", "meeting/TENCENT/123"},
	{"a slash in an id makes no segment", "TENCENT_MEETING", "1/2 \xe4\xb9\x99", NULL, "meeting/TENCENT/1%2F2%20%E4%B9%99"},
	{"another platform has streams of its own", "FEISHU", "123", NULL, "meeting/FEISHU/123"},
	{"no id, no stream", "TENCENT_MEETING", "", NULL, NULL},
	{"no platform, no stream", NULL, "123", NULL, NULL},
};

START_TEST(streams_follow_their_template)
{
	struct event_meeting_started data = {.platform = slice_str(stream_cases[_i].platform),
	    .meeting_id = slice_str(stream_cases[_i].meeting_id),
	    .sub_meeting_id = slice_str(stream_cases[_i].sub_meeting_id)};
	struct slice stream = {0};
	int rc = event_stream(event_type_by_id(EVENT_MEETING_STARTED), &data, &arena, &stream);

	if (stream_cases[_i].stream == NULL)
		ck_assert_int_eq(rc, ERR_INVALID);
	else
		ck_assert_msg(rc == 0 && slice_is(stream, stream_cases[_i].stream), "%s: %.*s", stream_cases[_i].says,
		    SLICE_ARG(stream));
}
END_TEST

START_TEST(an_upload_has_a_stream_of_its_own)
{
	struct event_recording_deleted data = {.platform = SLICE("TENCENT_MEETING"), .upload_file_id = SLICE("99")};
	struct slice stream;

	ck_assert_int_eq(event_stream(event_type_by_id(EVENT_RECORDING_DELETED), &data, &arena, &stream), 0);
	ck_assert(slice_is(stream, "meeting/TENCENT/upload/99"));
}
END_TEST

/* A claim all in [ ] is none when its field is absent; those that are left keep their order. */
START_TEST(names_not_given_are_not_claimed)
{
	struct event_user_registered user = {.user_id = SLICE(SUBJECT_A), .how = SLICE("OPERATOR"),
	    .username_claim = SLICE(FINGERPRINT), .phone_claim = SLICE(FINGERPRINT)};
	struct event_meta about = {.source = SLICE("/api/v1/users"), .actor = SLICE("admin"), .expect = EXPECT_ANY};
	struct event_draft draft;

	ck_assert_int_eq(event_draft_make(&context, EVENT_USER_REGISTERED, &user, &about, &arena, &draft, &problems), 0);
	ck_assert_uint_eq(draft.n_claims, 2);
	ck_assert(slice_eq(draft.claims[0], SLICE("username:" FINGERPRINT)));
	ck_assert(slice_eq(draft.claims[1], SLICE("phone:" FINGERPRINT)));
	user.username_claim = user.phone_claim = (struct slice){0};
	ck_assert_int_eq(event_draft_make(&context, EVENT_USER_REGISTERED, &user, &about, &arena, &draft, &problems), 0);
	ck_assert_uint_eq(draft.n_claims, 0);
}
END_TEST

START_TEST(every_type_can_be_found)
{
	for (size_t i = 0; i < event_types_n; i++) {
		const struct event_type_info *type = &event_types[i];

		ck_assert(i == 0 || type[-1].id < type->id);
		ck_assert_ptr_eq(event_type_by_id(type->id), type);
		ck_assert_ptr_eq(event_type_by_name(slice_str(type->name)), type);
		ck_assert_str_eq(event_type_name(type->id), type->name);
	}
	ck_assert_ptr_null(event_type_by_id(0));
	ck_assert_ptr_null(event_type_by_id(9999));
	ck_assert_ptr_null(event_type_by_name(SLICE("meeting.begun")));
	ck_assert_str_eq(event_type_name(9999), "?");
}
END_TEST

START_TEST(once_keys_are_those_of_the_specification)
{
	/* python3: hashlib.blake2b(b"dup/v1\0tencent\0t-1#0", digest_size=32) */
	uint8_t key[ONCE_KEY_LEN];
	char hex[2 * ONCE_KEY_LEN + 1];

	event_once_key(key, SLICE("tencent"), SLICE("t-1#0"));
	hex_encode(hex, key, sizeof(key));
	ck_assert_str_eq(hex, "1e09b914203da669aa6a4b64afca75249a13322c0f21b7f6c7812a1ed2e77013");
}
END_TEST

START_TEST(an_unknown_type_keeps_its_envelope)
{
	struct event_log_created data = {.origin = SLICE("a"), .vkey = SLICE("b")};
	struct event_draft draft;
	struct event event;
	char *at;

	ck_assert_int_eq(event_draft_make(&context, EVENT_LOG_CREATED, &data, &meta, &arena, &draft, NULL), 0);
	while ((at = memmem(draft.entry, draft.entry_len, "log.created", 11)) != NULL)
		memcpy(at, "log.krempel", 11);
	ck_assert_int_eq(event_decode(slice_of(draft.entry, draft.entry_len), 0, NULL, &arena, &event), 0);
	ck_assert_ptr_null(event.type);
	ck_assert_ptr_null(event.data);
	ck_assert(slice_is(event.envelope.type, "log.krempel"));
}
END_TEST

/* Damage that a reader may meet: it must refuse or read, never fall over. */
START_TEST(a_damaged_entry_does_no_harm)
{
	struct toy toy = {0};
	struct seal_hooks hooks = toy_hooks(&toy);
	struct event_meeting_started data = sample();
	struct event_draft draft;
	struct arena small = ARENA_INIT(1 << 20);
	unsigned refused = 0;
	enum { ROUNDS = 5000 };

	context.hooks = &hooks;
	ck_assert_int_eq(event_draft_make(&context, EVENT_MEETING_STARTED, &data, &meta, &arena, &draft, NULL), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		/* A copy of its own size, so that a sanitizer sees a step beyond it. */
		size_t len = draft.entry_len - (round % 5 == 0 ? rng_below(&dice.rng, draft.entry_len) : 0);
		char *bytes = malloc(len);
		struct event event;

		memcpy(bytes, draft.entry, len);
		for (uint64_t n = rng_below(&dice.rng, 3) + 1; n > 0; n--)
			bytes[rng_below(&dice.rng, len)] = "\"\\{}[],:x0\xff\n"[rng_below(&dice.rng, 12)];
		refused += event_decode(slice_of(bytes, len), 0, &hooks, &small, &event) != 0;
		arena_reset(&small);
		free(bytes);
	}
	ck_assert_uint_gt(refused, ROUNDS / 2);
	arena_finish(&small);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("event");
	TCase *tc = tcase_create("event");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, an_entry_has_exactly_these_bytes);
	tcase_add_test(tc, what_was_sealed_opens_again);
	tcase_add_test(tc, an_arena_that_is_too_small_is_an_error);
	tcase_add_test(tc, what_was_erased_is_absent_and_the_rest_stays);
	tcase_add_test(tc, a_seal_moved_to_another_field_does_not_open);
	tcase_add_test(tc, nothing_private_goes_in_clear);
	tcase_add_test(tc, a_wrong_struct_is_refused_with_all_its_problems);
	tcase_add_test(tc, an_event_that_is_too_long_is_refused);
	tcase_add_loop_test(tc, streams_follow_their_template, 0, (int)(sizeof(stream_cases) / sizeof(stream_cases[0])));
	tcase_add_test(tc, an_upload_has_a_stream_of_its_own);
	tcase_add_test(tc, names_not_given_are_not_claimed);
	tcase_add_test(tc, every_type_can_be_found);
	tcase_add_test(tc, once_keys_are_those_of_the_specification);
	tcase_add_test(tc, an_unknown_type_keeps_its_envelope);
	tcase_add_test(tc, a_damaged_entry_does_no_harm);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
