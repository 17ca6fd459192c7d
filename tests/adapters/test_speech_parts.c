/* speech_parts.c: where a recording is cut, whose times are whose, and what a transcript is made of. */
#include <check.h>

#include "adapters/speech_parts.h"
#include "base/err.h"
#include "lib/run.h"

static struct arena arena;

static void set_up(void)
{
	arena = (struct arena)ARENA_INIT(64 << 20);
}

static void tear_down(void)
{
	arena_finish(&arena);
}

/* ---- where it is cut ------------------------------------------------------------------- */

static const struct {
	const char *says;
	int64_t duration_ms, part_ms;
	size_t n;
	int64_t last_start_ms, last_end_ms;
} plans[] = {
	{"a short one is one part", 3000, 600000, 1, 0, 3000},
	{"so is what is shorter than a rest", 100, 600000, 1, 0, 100},
	{"exactly one", 600000, 600000, 1, 0, 600000},
	{"a rest of less than two seconds is no part", 601999, 600000, 1, 0, 601999},
	{"one of two seconds is", 602000, 600000, 2, 600000, 602000},
	{"three", 1800000, 600000, 3, 1200000, 1800000},
	{"a day", 86400000, 600000, 144, 85800000, 86400000},
	{"short parts", 31000, 10000, 3, 20000, 31000},
	{"a length that nobody knows: as many as there may be", 0, 600000, 144, 85800000, 86400000},
};

START_TEST(parts_have_no_gaps)
{
	int64_t at = 0;

	ck_assert_uint_eq(speech_count(plans[_i].duration_ms, plans[_i].part_ms), plans[_i].n);
	for (size_t i = 0; i < plans[_i].n; i++) {
		struct speech_span s = speech_span(plans[_i].duration_ms, plans[_i].part_ms, i);

		ck_assert_int_eq(s.start_ms, at);
		ck_assert_int_gt(s.end_ms, s.start_ms);
		ck_assert_int_lt(s.end_ms - s.start_ms, plans[_i].part_ms + SPEECH_REST_MS);
		at = s.end_ms;
		if (i + 1 == plans[_i].n) {
			ck_assert_int_eq(s.start_ms, plans[_i].last_start_ms);
			ck_assert_int_eq(s.end_ms, plans[_i].last_end_ms);
		}
	}
}
END_TEST

START_TEST(more_than_a_day_is_not_cut)
{
	ck_assert_uint_eq(speech_count(SPEECH_MS_MAX + 1, 600000), 0);
}
END_TEST

/* ---- what is heard --------------------------------------------------------------------------- */

#define SPAN ((struct speech_span){10000, 20000})

static struct speech_heard hear(struct openai_segment *segments, size_t n, const char *text)
{
	struct openai_transcript answer = {.text = slice_str(text), .language = SLICE("chinese"), .segments = segments, .n_segments = n};
	struct speech_heard h;

	ck_assert_int_eq(speech_hear(SPAN, &answer, &arena, &h), 0);
	return h;
}

START_TEST(times_are_those_of_the_file)
{
	struct openai_segment told[] = {{0, 2500, SLICE_INIT(" 大家好。 ")}, {2500, 2600, SLICE_INIT("  ")}, {3000, 5000, SLICE_INIT("开始。")},
	    {1000, 900, SLICE_INIT("早了。")}, {9000, 30000, SLICE_INIT("晚了。")}, {11000, 12000, SLICE_INIT("更晚。")}};
	struct speech_heard h = hear(told, 6, "大家好。");
	const int64_t want[][2] = {{10000, 12500}, {13000, 15000}, {13000, 13000}, {19000, 20000}, {20000, 20000}};

	ck_assert_slice_eq(h.language, SLICE("zh-CN"));
	ck_assert_uint_eq(h.n, 5);
	ck_assert_slice_eq(h.said[0].text, SLICE("大家好。"));
	for (size_t i = 0; i < 5; i++) {
		ck_assert_int_eq(h.said[i].start_ms, want[i][0]);
		ck_assert_int_eq(h.said[i].end_ms, want[i][1]);
	}
}
END_TEST

START_TEST(a_text_without_times_has_those_of_its_part)
{
	struct speech_heard h = hear(NULL, 0, " 大家好。\n");

	ck_assert_uint_eq(h.n, 1);
	ck_assert_slice_eq(h.said[0].text, SLICE("大家好。"));
	ck_assert_int_eq(h.said[0].start_ms, 10000);
	ck_assert_int_eq(h.said[0].end_ms, 20000);
	ck_assert_uint_eq(hear(NULL, 0, "  ").n, 0);
}
END_TEST

START_TEST(what_is_kept_is_read_again)
{
	struct openai_segment told[] = {{0, 2500, SLICE_INIT("say \"so\"\n")}, {2500, 2600, SLICE_INIT("好")}};
	struct speech_heard h = hear(told, 2, "x"), again;
	struct buf text = BUF_INIT(4096);

	ck_assert_int_eq(speech_write(&h, &text), 0);
	ck_assert_int_eq(speech_read(buf_slice(&text), &arena, &again), 0);
	ck_assert_slice_eq(again.language, h.language);
	ck_assert_uint_eq(again.n, 2);
	for (size_t i = 0; i < 2; i++) {
		ck_assert_slice_eq(again.said[i].text, h.said[i].text);
		ck_assert_int_eq(again.said[i].start_ms, h.said[i].start_ms);
		ck_assert_int_eq(again.said[i].end_ms, h.said[i].end_ms);
	}
	buf_finish(&text);
}
END_TEST

START_TEST(what_is_no_part_is_refused)
{
	static const char *const bad[] = {"", "[]", "{}", "{\"language\":\"\"}", "{\"language\":1,\"said\":[]}", "{\"language\":\"\",\"said\":[1]}",
	    "{\"language\":\"\",\"said\":[[1,2]]}", "{\"language\":\"\",\"said\":[[1,2,3]]}", "{\"language\":\"\",\"said\":[[\"a\",2,\"b\"]]}"};
	struct speech_heard h;

	ck_assert_int_ne(speech_read(slice_str(bad[_i]), &arena, &h), 0);
}
END_TEST

/* ---- together ------------------------------------------------------------------------------------ */

START_TEST(paragraphs_end_at_pauses_and_when_they_are_long)
{
	struct openai_segment first[] = {{0, 2000, SLICE_INIT("Hello.")}, {2500, 4000, SLICE_INIT("Let us begin.")}, {6000, 8000, SLICE_INIT("Second.")}},
	    third[] = {{9000, 66000, SLICE_INIT("好。")}, {66500, 70000, SLICE_INIT("新的一段。")}};
	struct speech_heard parts[] = {{SLICE_INIT("en"), first, 3}, {SLICE_INIT(""), NULL, 0}, {SLICE_INIT("zh-CN"), third, 2}};
	struct transcript t;

	ck_assert_int_eq(speech_join(parts, 3, &arena, &t), 0);
	ck_assert_slice_eq(t.language, SLICE("en"));
	ck_assert(!t.speakers_known);
	ck_assert_uint_eq(t.n, 3);
	ck_assert_uint_eq(t.paragraphs[0].n_sentences, 2);
	ck_assert_slice_eq(t.paragraphs[0].sentences[0].text, SLICE("Hello."));
	ck_assert_slice_eq(t.paragraphs[0].sentences[1].text, SLICE(" Let us begin."));
	ck_assert_int_eq(t.paragraphs[0].end_ms, 4000);
	ck_assert_uint_eq(t.paragraphs[1].n_sentences, 2);
	ck_assert_slice_eq(t.paragraphs[1].sentences[1].text, SLICE("好。"));
	ck_assert_int_eq(t.paragraphs[1].start_ms, 6000);
	ck_assert_int_eq(t.paragraphs[1].end_ms, 66000);
	ck_assert_int_eq(t.paragraphs[2].start_ms, 66500);
	ck_assert_int_eq(t.paragraphs[2].sentences[0].sid, 4);
	ck_assert_int_eq(t.paragraphs[2].speaker, -1);
}
END_TEST

START_TEST(nothing_said_is_a_transcript_too)
{
	struct speech_heard parts[] = {{SLICE_INIT("en"), NULL, 0}};
	struct transcript t;

	ck_assert_int_eq(speech_join(parts, 1, &arena, &t), 0);
	ck_assert_uint_eq(t.n, 0);
	ck_assert_uint_eq(t.language.len, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("speech_parts");
	TCase *tc = tcase_create("speech_parts");

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, parts_have_no_gaps, 0, sizeof(plans) / sizeof(plans[0]));
	tcase_add_test(tc, more_than_a_day_is_not_cut);
	tcase_add_test(tc, times_are_those_of_the_file);
	tcase_add_test(tc, a_text_without_times_has_those_of_its_part);
	tcase_add_test(tc, what_is_kept_is_read_again);
	tcase_add_loop_test(tc, what_is_no_part_is_refused, 0, 9);
	tcase_add_test(tc, paragraphs_end_at_pauses_and_when_they_are_long);
	tcase_add_test(tc, nothing_said_is_a_transcript_too);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
