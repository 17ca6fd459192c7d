/* transcript.c, summary.c: what is kept is read again, once, and without who was erased. */
#include "app/summary.h"
#include "app/transcript.h"
#include "app_rig.h"
#include "base/err.h"
#include "base/thread.h"
#include "lib/failing.h"
#include "lib/run.h"

static struct app_rig rig;
static struct arena arena;

static void set_up(void)
{
	app_rig_init(&rig);
	app_rig_configure(&rig, NULL, NULL);
	app_rig_open(&rig, NULL);
	arena = (struct arena)ARENA_INIT((size_t)64 << 20);
}

static void tear_down(void)
{
	arena_finish(&arena);
	app_stop(&rig.app);
	app_rig_finish(&rig);
}

static struct transcript_word words[] = {{0, 3309, 5000, SLICE_INIT("大家")}, {1, 5000, 7789, SLICE_INIT("好")}};
static struct transcript_sentence first[] = {{0, 3309, 7789, SLICE_INIT("大家好"), words, 2}, {1, 7789, 9000, SLICE_INIT("。 "), NULL, 0}};
static struct transcript_sentence second[] = {{2, 3723000, 3724000, SLICE_INIT("\"再见\""), NULL, 0}};
static struct transcript_sentence third[] = {{3, 360000000, 360000001, SLICE_INIT(""), NULL, 0}};
static struct transcript_paragraph paragraphs[] = {{0, 3309, 9000, 0, first, 2}, {1, 3723000, 3724000, 1, second, 1},
    {2, 0, 0, 0, NULL, 0}, {3, 360000000, 360000001, -1, third, 1}};
static struct transcript_speaker speakers[] = {
	{.name = SLICE_INIT("甲"), .kind = SLICE_INIT("tencent.uuid"), .identity = SLICE_INIT("uuid-a")},
	{.name = SLICE_INIT("乙")}};
static const struct transcript said = {.language = SLICE_INIT("zh"), .speakers_known = true, .speakers = speakers,
    .n_speakers = 2, .paragraphs = paragraphs, .n = 4};
static const struct transcript_of of = {.platform = SLICE_INIT("TENCENT_MEETING"), .record_file_id = SLICE_INIT("2001"),
    .meeting_id = SLICE_INIT("1001"), .source = SLICE_INIT("tencent-meeting:2001")};

static uint64_t keep(const struct transcript *t, bool *ret_duplicate)
{
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};

	ck_assert_int_eq(transcript_draft(&rig.app, &of, t, &arena, &draft), 0);
	ck_assert_int_eq(eventlog_append_wait(rig.app.log, &append), 0);
	*ret_duplicate = append.duplicate;
	return append.position;
}

static void check_text(uint64_t place, const char *expected)
{
	struct buf text = BUF_INIT(4096);
	struct event event;

	ck_assert_int_eq(fact_read(&rig.app, place, &arena, &event), 0);
	ck_assert_int_eq(transcript_read_text(&rig.app, &event, place, &text), 0);
	ck_assert_slice_eq(buf_slice(&text), slice_str(expected));
	buf_finish(&text);
}

START_TEST(it_is_read_as_it_was_kept)
{
	struct transcript t;
	struct event event;
	bool duplicate;
	uint64_t place = keep(&said, &duplicate);
	const struct event_transcript_stored *e;

	ck_assert_int_eq(fact_read(&rig.app, place, &arena, &event), 0);
	e = event.data;
	ck_assert_int_eq(e->paragraphs, 4);
	ck_assert_int_eq(e->sentences, 4);
	ck_assert_int_eq(e->words, 2);
	ck_assert_int_eq(e->characters, 9);
	ck_assert_int_eq(e->end_ms, 360000001);
	ck_assert_int_eq(e->speakers.items[0].speaking_ms, 9000 - 3309);
	ck_assert_int_eq(e->speakers.items[0].paragraphs, 2);
	ck_assert(e->speakers.items[1].person.ptr == NULL);
	ck_assert_int_eq(transcript_read(&rig.app, &event, place, &arena, &t), 0);
	ck_assert_uint_eq(t.n, 4);
	ck_assert_slice_eq(t.speakers[0].name, SLICE("甲"));
	ck_assert_slice_eq(t.paragraphs[0].sentences[0].words[1].text, SLICE("好"));
	ck_assert_int_eq(t.paragraphs[0].sentences[0].words[1].end_ms, 7789);
	ck_assert_int_eq(t.paragraphs[3].speaker, -1);
	check_text(place, "甲(00:00:03)：大家好。\n\n乙(01:02:03)：\"再见\"\n\n未知发言人(100:00:00)：");
}
END_TEST

START_TEST(the_same_is_kept_once_and_another_beside_it)
{
	struct transcript other = said;
	bool duplicate;
	uint64_t place = keep(&said, &duplicate);

	ck_assert(!duplicate);
	ck_assert_uint_eq(keep(&said, &duplicate), place);
	ck_assert(duplicate);
	other.n = 2;
	keep(&other, &duplicate);
	ck_assert(!duplicate);
	other = said;
	other.n_speakers = 1; /* they were told apart otherwise */
	keep(&other, &duplicate);
	ck_assert(!duplicate);
}
END_TEST

START_TEST(who_was_erased_has_no_name)
{
	bool duplicate;
	uint64_t place = keep(&said, &duplicate);
	struct event event;
	struct id id;

	ck_assert_int_eq(fact_read(&rig.app, place, &arena, &event), 0);
	ck_assert_int_eq(id_parse(((struct event_transcript_stored *)event.data)->speakers.items[0].person, &id), 0);
	ck_assert_int_eq(keyring_erase(rig.app.keyring, &id, 1), 0);
	check_text(place, "已删除用户(00:00:03)：大家好。\n\n乙(01:02:03)：\"再见\"\n\n未知发言人(100:00:00)：");
}
END_TEST

START_TEST(nothing_is_read_of_a_meeting_that_was_erased)
{
	struct buf text = BUF_INIT(4096);
	bool duplicate;
	uint64_t place = keep(&said, &duplicate);
	struct event event;
	struct id id;

	ck_assert_int_eq(fact_read(&rig.app, place, &arena, &event), 0);
	ck_assert_int_eq(id_parse(((struct event_transcript_stored *)event.data)->subjects.meeting.id, &id), 0);
	ck_assert_int_eq(keyring_erase(rig.app.keyring, &id, 1), 0);
	ck_assert_int_eq(transcript_read_text(&rig.app, &event, place, &text), ERR_ERASED);
	buf_finish(&text);
}
END_TEST

/* As many speakers, and as long names, as may come: it is one event still. */
START_TEST(any_number_of_speakers_fits)
{
	struct transcript t = said;
	struct slice name = SLICE("一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十");
	bool duplicate;

	t.n_speakers = 1000;
	t.speakers = arena_calloc(&arena, t.n_speakers, sizeof(*t.speakers));
	for (size_t i = 0; i < t.n_speakers; i++)
		t.speakers[i] = (struct transcript_speaker){.name = name, .kind = SLICE("tencent.uuid"),
		    .identity = slice_str(arena_printf(&arena, "uuid-%zu", i))};
	keep(&t, &duplicate);
	ck_assert(!duplicate);
}
END_TEST

static void check_summary(size_t len)
{
	const struct summary_of about = {.platform = of.platform, .record_file_id = of.record_file_id,
	    .meeting_id = of.meeting_id, .kind = SLICE("MINUTES"), .source = SLICE("tencent-meeting-ai"), .markdown = true};
	struct event_draft drafts[2];
	struct append append = {.events = drafts, .n_events = 2};
	struct buf text = BUF_INIT(len + 1), again = BUF_INIT(len + 64);
	struct event event;

	for (size_t i = 0; i < len; i++)
		buf_append_char(&text, (char)('a' + i % 26));
	ck_assert_int_eq(summary_draft(&rig.app, &about, buf_slice(&text), &arena, &drafts[0]), 0);
	ck_assert_int_eq(summary_draft(&rig.app, &about, buf_slice(&text), &arena, &drafts[1]), 0);
	ck_assert_int_eq(eventlog_append_wait(rig.app.log, &append), 0);
	ck_assert_uint_eq(append.n_appended, 1);
	ck_assert_int_eq(fact_read(&rig.app, append.position, &arena, &event), 0);
	ck_assert_int_eq(summary_read_text(&rig.app, &event, append.position, &again), 0);
	ck_assert_slice_eq(buf_slice(&again), buf_slice(&text));
	buf_finish(&text);
	buf_finish(&again);
}

START_TEST(a_summary_of_any_length_is_kept_whole)
{
	check_summary(1);
	check_summary(SUMMARY_IN_EVENT_MAX);
	check_summary(SUMMARY_IN_EVENT_MAX + 1);
	check_summary(500000);
}
END_TEST

/* An event whose words are this text, as none would write them. */
static uint64_t keep_words(const char *json)
{
	struct event_transcript_stored e = {.platform = of.platform, .record_file_id = of.record_file_id,
	    .recording_id = SLICE("c000000000000000000000000"), .meeting_id = of.meeting_id, .source = of.source,
	    .fingerprint = SLICE("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), .has_subjects = true,
	    .subjects = {.has_meeting = true}};
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	struct fact f;

	fact_begin(&f, &rig.app, "/effects", NULL, &arena);
	ck_assert_int_eq(fact_meeting(&f, of.meeting_id, &e.subjects.meeting), 0);
	ck_assert_int_eq(fact_blob(&f, &e.subjects.meeting, "transcript", slice_str(json), &e.transcript), 0);
	ck_assert_int_eq(fact_draft(&f, EVENT_TRANSCRIPT_STORED, &e, &draft), 0);
	ck_assert_int_eq(eventlog_append_wait(rig.app.log, &append), 0);
	return append.position;
}

#define SENTENCES(text) "{\"paragraphs\":[{\"pid\":0,\"speaker\":0,\"sentences\":[" text "]}]}"
static const struct {
	const char *says, *json;
	int rc;
} kept_words[] = {
	{"nothing was said", "{\"paragraphs\":[]}", 0},
	{"places that are not told are 0, and a speaker who is not there is unknown",
	    SENTENCES("{\"text\":\"x\",\"start\":\"0\",\"words\":[[0,1,2,\"x\"]]}"), 0},
	{"no JSON", "{", ERR_MALFORMED},
	{"no paragraphs", "{}", ERR_MALFORMED},
	{"paragraphs that are no list", "{\"paragraphs\":{}}", ERR_MALFORMED},
	{"a paragraph without sentences", "{\"paragraphs\":[{}]}", ERR_MALFORMED},
	{"a sentence without words", SENTENCES("{\"text\":\"x\"}"), ERR_MALFORMED},
	{"a sentence without text", SENTENCES("{\"words\":[]}"), ERR_MALFORMED},
	{"a text that is a number", SENTENCES("{\"text\":1,\"words\":[]}"), ERR_INVALID},
	{"a word that is no list", SENTENCES("{\"text\":\"x\",\"words\":[{}]}"), ERR_MALFORMED},
	{"a word without text", SENTENCES("{\"text\":\"x\",\"words\":[[0,1,2]]}"), ERR_MALFORMED},
	{"a word whose number is none", SENTENCES("{\"text\":\"x\",\"words\":[[\"0\",1,2,\"x\"]]}"), ERR_MALFORMED},
	{"a word whose beginning is none", SENTENCES("{\"text\":\"x\",\"words\":[[0,null,2,\"x\"]]}"), ERR_MALFORMED},
	{"a word whose end is none", SENTENCES("{\"text\":\"x\",\"words\":[[0,1,[],\"x\"]]}"), ERR_MALFORMED},
};

START_TEST(words_that_none_wrote_are_malformed)
{
	uint64_t place = keep_words(kept_words[_i].json);
	struct transcript t = {0};
	struct event event;
	int rc;

	ck_assert_int_eq(fact_read(&rig.app, place, &arena, &event), 0);
	rc = transcript_read(&rig.app, &event, place, &arena, &t);
	ck_assert_msg(rc == kept_words[_i].rc, "%s: %s", kept_words[_i].says, err_name(rc));
	if (rc == 0 && t.n > 0) {
		ck_assert_int_eq(t.paragraphs[0].speaker, -1);
		ck_assert_int_eq(t.paragraphs[0].sentences[0].start_ms, 0);
	}
}
END_TEST

/* Kept and read again, each call failing once: the whole, or an error. */
static int keep_and_read(void)
{
	static const char expected[] = "甲(00:00:03)：大家好。\n\n乙(01:02:03)：\"再见\"\n\n未知发言人(100:00:00)：";
	static const struct transcript_made by = {.job_id = SLICE_INIT("0123456789abcdef0123456789abcdef"),
	    .model = SLICE_INIT("m"), .currency = SLICE_INIT("CNY"), .calls = 1, .prompt_tokens = 2, .cost_micros = 3};
	static int n;
	struct arena a = ARENA_INIT(1u << 24);
	struct transcript_of one = of;
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	struct buf text = BUF_INIT(4096);
	char source[32];
	struct event event;
	int rc;

	snprintf(source, sizeof(source), "model:%d", n++);
	one.source = slice_str(source);
	one.sub_meeting_id = SLICE("sub");
	one.made = &by;
	rc = transcript_draft(&rig.app, &one, &said, &a, &draft);
	failing_pause();
	if (rc == 0)
		ck_assert_int_eq(eventlog_append_wait(rig.app.log, &append), 0);
	failing_go_on();
	if (rc == 0)
		rc = fact_read(&rig.app, append.position, &a, &event);
	if (rc == 0)
		rc = transcript_read_text(&rig.app, &event, append.position, &text);
	failing_pause();
	if (rc == 0)
		ck_assert_slice_eq(buf_slice(&text), slice_str(expected));
	failing_go_on();
	buf_finish(&text);
	arena_finish(&a);
	return rc;
}

static void said_so(int rc, const char *what)
{
	ck_assert_msg(rc == 0 || (what != NULL && (rc == ERR_NOMEM || rc == ERR_IO || rc == ERR_BUSY)), "%s: %s",
	    what == NULL ? "nothing" : what, err_name(rc));
}

START_TEST(it_is_whole_or_an_error)
{
	static const char *const threads[] = {"the test", NULL};
	struct failing_walk walk = {.kinds = FAILING_MEMORY | FAILING_ARENAS | FAILING_LMDB, .act = keep_and_read, .after = said_so,
	    .runs_on = true, .threads = threads, .depth = 6};

	thread_name("the test");
	ck_assert_uint_ge(failing_walk(&walk), 30);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("transcript");
	TCase *c = tcase_create("transcript");

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_add_test(c, it_is_read_as_it_was_kept);
	tcase_add_test(c, the_same_is_kept_once_and_another_beside_it);
	tcase_add_test(c, who_was_erased_has_no_name);
	tcase_add_test(c, nothing_is_read_of_a_meeting_that_was_erased);
	tcase_add_test(c, any_number_of_speakers_fits);
	tcase_add_test(c, a_summary_of_any_length_is_kept_whole);
	tcase_add_loop_test(c, words_that_none_wrote_are_malformed, 0, COUNT(kept_words));
	tcase_add_test(c, it_is_whole_or_an_error);
	suite_add_tcase(s, c);
	return run_suite(s);
}
