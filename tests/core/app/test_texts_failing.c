/*
 * What was said in meetings and what was written about it, read and asked for while every call that can fail does so once;
 * what is refused, and how; and nothing of it when the meeting was erased.
 */
#include "app/adapter.h"
#include "app/summary.h"
#include "app/transcript.h"
#include "core/app/request_walk.h"

#define LONG_TEXT ((size_t)SUMMARY_IN_EVENT_MAX + 1000)
#define NOBODY "0123456789abcdef0123456789abcdef"
#define NO_MEETING "c000000000000000000000000"
#define SHA "0000000000000000000000000000000000000000000000000000000000000000"

static void run(struct effect_call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		calls[i].outcome = EFFECT_DONE;
}

static int start_rig(struct app *app, void **ret_state)
{
	*ret_state = app;
	return 0;
}

static const struct effect_lane models = {.name = "model", .class = EFFECT_HARMLESS, .concurrency = 1, .base_ms = 1, .cap_ms = 2,
    .tries_max = 100, .age_max_ms = INT64_C(1) << 50};
static const struct effect_lane speech = {.name = "speech", .class = EFFECT_HARMLESS, .concurrency = 1, .base_ms = 1, .cap_ms = 2,
    .tries_max = 100, .age_max_ms = INT64_C(1) << 50};
static const struct effect effects[] = {{.name = "ai.asked", .lane = &models, .run = run},
    {.name = "ai.transcribe_asked", .lane = &speech, .run = run}, {0}};
static const struct adapter rig = {.name = "rig", .start = start_rig, .effects = effects};

static uint64_t place; /* of the transcript */

static uint64_t append(struct event_draft *draft)
{
	struct append one = {.events = draft, .n_events = 1};

	ck_assert_int_eq(eventlog_append_wait(walk.r.app.log, &one), 0);
	return one.position;
}

static void keep_transcript(struct arena *a)
{
	static struct transcript_word words[] = {{0, 3309, 5000, SLICE_INIT("大家")}, {1, 5000, 7789, SLICE_INIT("好")}};
	static struct transcript_sentence first[] = {{0, 3309, 7789, SLICE_INIT("大家好"), words, 2}},
	    second[] = {{1, 10000, 11000, SLICE_INIT("\"再见\""), NULL, 0}};
	static struct transcript_paragraph paragraphs[] = {{0, 3309, 7789, 0, first, 1}, {1, 10000, 11000, -1, second, 1}};
	static struct transcript_speaker speakers[] = {{.name = SLICE_INIT("甲"), .kind = SLICE_INIT("tencent.uuid"),
	    .identity = SLICE_INIT("uuid-a")}};
	const struct transcript said = {.language = SLICE("zh"), .speakers_known = true, .speakers = speakers, .n_speakers = 1,
	    .paragraphs = paragraphs, .n = 2};
	const struct transcript_of of = {.platform = SLICE("TENCENT_MEETING"), .record_file_id = SLICE("2001"),
	    .meeting_id = SLICE("1001"), .source = SLICE("tencent-meeting:2001")};
	struct event_draft draft;

	ck_assert_int_eq(transcript_draft(&walk.r.app, &of, &said, a, &draft), 0);
	place = append(&draft);
}

static void keep_summary(struct arena *a, const char *kind, size_t len)
{
	const struct summary_of of = {.platform = SLICE("TENCENT_MEETING"), .record_file_id = SLICE("2001"),
	    .meeting_id = SLICE("1001"), .kind = slice_str(kind), .source = SLICE("tencent-meeting-ai"), .language = SLICE("zh")};
	struct buf text = BUF_INIT(LONG_TEXT);
	struct event_draft draft;

	for (size_t i = 0; i < len; i++)
		buf_append_char(&text, "words of it "[i % 12]);
	ck_assert_int_eq(summary_draft(&walk.r.app, &of, buf_slice(&text), a, &draft), 0);
	append(&draft);
	buf_finish(&text);
}

static void keep_file(struct arena *a)
{
	struct slice recording = fact_recording_id(a, SLICE("TENCENT_MEETING"), SLICE("2001"));
	char data[700];

	snprintf(data, sizeof(data), "{\"recording_id\":\"%.*s\",\"meeting_id\":\"1001\",\"file_id\":\"" NOBODY "\",\"file_type\":\"AUDIO\","
	    "\"source\":\"PLATFORM_AUTO\",\"object_id\":\"" NOBODY "\",\"size\":7,\"sha256\":\"" SHA "\"}", SLICE_ARG(recording));
	give(&walk.r.f, "recording.stored", data);
	walk_set("rec", recording);
	walk_set("bare", fact_recording_id(a, SLICE("TENCENT_MEETING"), SLICE("2002")));
}

static void setup(void)
{
	static const char *const settings[] = {"LULAB_TRUSTED_PROXIES=127.0.0.1/32", NULL};
	static const struct adapter *const with[] = {&rig, NULL};
	static const struct walk_request found[] = {
		ASK(NULL, "POST /api/v1/effects/pause", "{'reason':'so that what is asked for stays so'}", 200),
		{NULL, "GET /api/v1/summaries?part=MINUTES", NULL, 200, "short=id", NULL, false, "'total':1"},
		{NULL, "GET /api/v1/summaries?part=FULL", NULL, 200, "long=id", NULL, false, "'total':1"},
		{NULL, "GET /api/v1/meetings?search=silence", NULL, 200, "silent=id", NULL, false, "'total':1"},
		{NULL, "GET /api/v1/meetings?search=talk", NULL, 200, "meeting=id", NULL, false, "'total':1"},
	};
	struct arena a = ARENA_INIT(1u << 24);

	walk_open(with, settings, NULL, 0);
	give(&walk.r.f, "meeting.created", "{\"meeting_id\":\"1001\",\"title\":\"talk\",\"operate_at_ms\":1000}");
	give(&walk.r.f, "meeting.created", "{\"meeting_id\":\"1002\",\"title\":\"silence\",\"operate_at_ms\":1000}");
	give(&walk.r.f, "recording.completed", "{\"meeting_id\":\"1001\",\"operate_at_ms\":2000,\"start_at_ms\":100,\"end_at_ms\":90100,"
	    "\"recording_files\":[{\"record_file_id\":\"2001\"}]}");
	give(&walk.r.f, "recording.completed", "{\"meeting_id\":\"1002\",\"operate_at_ms\":2000,\"start_at_ms\":100,\"end_at_ms\":90100,"
	    "\"recording_files\":[{\"record_file_id\":\"2002\"}]}");
	keep_file(&a);
	keep_transcript(&a);
	keep_summary(&a, "MINUTES", 300);
	keep_summary(&a, "FULL", LONG_TEXT);
	wait_all(&walk.r.f, walk.r.app.projector);
	arena_finish(&a);
	for (size_t i = 0; i < COUNT(found); i++)
		walk_do(&found[i]);
}

#define GET(target, status, says) {MADE_NOTHING, ASK_SAYS(NULL, "GET /api/v1/" target, NULL, status, says)}
#define POST(target, body, status, says) {MADE_NOTHING, ASK_SAYS(NULL, "POST /api/v1/" target, body, status, says)}

static const struct walk_case reading[] = {
	GET("summaries?limit=2", 200, "'kind':'PLATFORM'"), GET("summaries/$short", 200, "words of it words of it"),
	GET("summaries/$long", 200, "words of it words of it"), GET("summaries/" NOBODY, 404, "no summary with this id"),
	GET("meetings/$meeting/summaries", 200, "'total':2"),
	GET("recordings/$rec/transcript", 200, "大家好"), GET("recordings/$rec/transcript?words=true&limit=1", 200, "'next':1"),
	GET("recordings/$rec/transcript?from=1", 200, "'next':null"), GET("recordings/$rec/transcript?format=text", 200, "甲(00:00:03)：大家好"),
	GET("recordings/$rec/transcript?limit=x", 400, "limit"), GET("recordings/$bare/transcript", 404, "'no_transcript'"),
	GET("recordings/" NO_MEETING "/transcript", 404, "'not_found'"),
};

static const struct walk_case asking[] = {
	POST("meetings/$meeting/summaries", "{}", 202, "'requestId'"), POST("meetings/$meeting/summaries", NULL, 202, "'requestId'"),
	POST("meetings/$meeting/summaries", "{'recordingId':'$rec'}", 202, "'requestId'"),
	POST("meetings/$meeting/summaries", "{'recordingId':'$bare'}", 409, "nothing to sum up"),
	POST("meetings/$silent/summaries", "{}", 409, "nothing to sum up"),
	POST("meetings/" NO_MEETING "/summaries", "{}", 404, "no meeting with this id"),
	POST("meetings/$meeting/summaries", "{'recordingId':1}", 400, "/recordingId"),
	POST("summaries/periods", "{'periodType':'DAILY','day':'2026-11-23'}", 202, "'requestId'"),
	POST("summaries/periods", "{'periodType':'DAILY','day':'2026-11-23','platformUserId':'" NOBODY "','orgId':'" NOBODY "'}", 400,
	    "of one or of the other"),
	POST("summaries/periods", "{'day':'2026-11-23'}", 400, "/periodType"),
	POST("recordings/$rec/transcript", NULL, 409, "'has_transcript'"),
	POST("recordings/$rec/transcript", "{'again':1}", 400, "/again"),
	POST("recordings/$bare/transcript", "{}", 409, "'no_file'"),
	POST("recordings/" NO_MEETING "/transcript", "{}", 404, "'not_found'"),
	/* However often: it is one request until it is done. */
	POST("recordings/$rec/transcript", "{'again':true,'language':'zh'}", 202, "'requestId'"),
};

#define KINDS (FAILING_MEMORY | FAILING_ARENAS | FAILING_SQLITE | FAILING_LMDB)

START_TEST(what_is_read_is_whole_and_what_is_asked_for_is_known)
{
	unsigned n = walk_cases(reading, COUNT(reading), KINDS, 4);

	n += walk_cases(asking, COUNT(asking), KINDS, 4);
	ck_assert_msg(n >= 60, "only %u calls failed", n);
	ck_assert_uint_eq(count_events(&walk.r.f, "transcript.requested"), 1);
}
END_TEST

static struct id meeting_of(uint64_t at)
{
	struct arena a = ARENA_INIT(1u << 20);
	struct event event;
	struct id id;

	ck_assert_int_eq(fact_read(&walk.r.app, at, &a, &event), 0);
	ck_assert_int_eq(id_parse(((struct event_transcript_stored *)event.data)->subjects.meeting.id, &id), 0);
	arena_finish(&a);
	return id;
}

START_TEST(nothing_is_told_of_a_meeting_that_was_erased)
{
	static const struct walk_case gone[] = {
		GET("recordings/$rec/transcript", 410, "'erased'"), GET("summaries/$long", 200, "'content':null"),
	};
	struct id id = meeting_of(place);

	ck_assert_int_eq(keyring_erase(walk.r.app.keyring, &id, 1), 0);
	walk_answers(gone, COUNT(gone));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("texts_failing");
	TCase *t = tcase_create("failing");

	tcase_set_timeout(t, 100);
	tcase_add_checked_fixture(t, setup, walk_close);
	tcase_add_test(t, nothing_is_told_of_a_meeting_that_was_erased);
	tcase_add_test(t, what_is_read_is_whole_and_what_is_asked_for_is_known);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
