/* How long texts are for a model, where they are cut, and what language they are in. */
#include "model_text.h"

#include <check.h>

#include "base/buf.h"
#include "lib/run.h"


/* With what two of OpenAI's own tables make of them (o200k_base, cl100k_base). */
static const struct {
	const char *text;
	size_t fewer, more;
} counted[] = {
	{"我们今天讨论一下下周的发布计划，测试已经完成了一半，王芳负责把剩下的用例跑完，李四更新文档，周五之前必须合入主干分支。", 45, 67},
	{"王芳(00:01:23)：嗯，对，那个我觉得啊，就是说这个方案其实还可以再优化一下，你们看呢？\n李四(00:01:40)：行，那就先这么定，回头我拉个会。", 54, 79},
	{"We discussed the release plan for next week. Testing is half done; Fang will finish the remaining cases and Li updates "
	 "the documentation before Friday.", 28, 28},
	{"Fang(00:01:23): Uh, yeah, I think we could, you know, optimise that approach a bit more, couldn't we?\n"
	 "Li(00:01:40): OK, let's go with that for now.", 48, 51},
	{"我们用 Kubernetes 部署 v2.13.7，CPU 占用从 85% 降到 42%，PR #1234 已经 merge 到 main 了。", 38, 44},
	{"来週のリリース計画について話し合いました。テストは半分終わっています。", 23, 31},
	{"다음 주 출시 계획에 대해 논의했습니다. 테스트는 절반이 끝났습니다.", 20, 36},
	{"Мы обсудили план выпуска на следующую неделю. Тестирование наполовину завершено.", 20, 35},
	{"好的👍👍🎉🚀😂", 8, 16},
	{"138001380001380013800013800138000 2026-11-28 09:15:00 3.1415926", 30, 30},
	{"{\"points\":[{\"speaker\":\"王芳\",\"text\":\"测试完成一半\"}],\"decisions\":[],\"action_items\":[{\"task\":\"更新文档\","
	 "\"assignee\":\"李四\",\"due\":\"周五\"}]}", 43, 46},
	{"antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis", 19, 21},
};

START_TEST(the_estimate_is_a_little_high)
{
	size_t n = model_tokens(slice_str(counted[_i].text));

	ck_assert_uint_ge(n * 10, counted[_i].more * 9);
	ck_assert_uint_le(n, counted[_i].more * 2);
}
END_TEST

START_TEST(what_is_no_text_counts_by_the_byte)
{
	ck_assert_uint_eq(model_tokens(SLICE("")), 0);
	ck_assert_uint_eq(model_tokens(SLICE("\xff\xc0\xe4\xbd")), 4);
	ck_assert_uint_eq(model_tokens(SLICE("a")), 1);
}
END_TEST

/* ---- cutting ---------------------------------------------------------------------- */

static void all_parts_are_the_text(struct slice text, size_t max)
{
	struct slice rest = text, part;
	const char *at = text.ptr;

	while (model_cut(&rest, max, &part)) {
		ck_assert_ptr_eq(part.ptr, at);
		ck_assert_uint_gt(part.len, 0);
		if (model_tokens(part) > max) /* then it is one character */
			ck_assert_uint_le(part.len, 4);
		ck_assert(rest.len == 0 || ((unsigned char)*rest.ptr & 0xc0) != 0x80);
		at += part.len;
	}
	ck_assert_ptr_eq(at, text.ptr + text.len);
}

START_TEST(parts_are_within_the_limit_and_are_all_of_it)
{
	for (size_t i = 0; i < COUNT(counted); i++)
		for (size_t max = 0; max < 90; max += 1 + max / 4)
			all_parts_are_the_text(slice_str(counted[i].text), max);
}
END_TEST

START_TEST(parts_end_with_lines_or_sentences)
{
	struct slice rest = SLICE("一二三四五六。\n七八九十。一二。三四五六七八九十一二三四五六七八九十"), part;

	ck_assert(model_cut(&rest, 14, &part));
	ck_assert(slice_is(part, "一二三四五六。\n"));
	ck_assert(model_cut(&rest, 14, &part));
	ck_assert(slice_is(part, "七八九十。一二。"));
	ck_assert(model_cut(&rest, 5, &part));
	ck_assert(slice_is(part, "三四五六"));
	/* A line's end that would leave most of the room unused is passed over. */
	rest = SLICE("甲\n乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未");
	ck_assert(model_cut(&rest, 12, &part));
	ck_assert_uint_gt(part.len, 4);
}
END_TEST

START_TEST(a_long_text_is_cut_in_one_pass)
{
	struct buf text = BUF_INIT(4 << 20);
	struct slice rest, part;
	size_t parts = 0;

	for (int i = 0; i < 20000; i++)
		buf_printf(&text, "王芳(00:%02d:%02d)：第%d句，我们讨论一下 release plan。\n", i / 60 % 60, i % 60, i);
	rest = buf_slice(&text);
	while (model_cut(&rest, 12000, &part)) {
		ck_assert_uint_le(model_tokens(part), 12000);
		ck_assert(part.ptr[part.len - 1] == '\n');
		parts++;
	}
	ck_assert_uint_ge(parts, model_tokens(buf_slice(&text)) / 12000);
	buf_finish(&text);
}
END_TEST

/* ---- languages --------------------------------------------------------------------------- */

START_TEST(languages_are_told_apart)
{
	static const struct { const char *text, *language; } in[] = {
		{"我们今天讨论一下下周的发布计划，测试 done 了一半", "zh-CN"}, {"We discussed the plan; 王芳 agreed.", "en"},
		{"来週のリリース計画について話し合いました。", "ja"}, {"다음 주 출시 계획에 대해", "ko"},
		{"Мы обсудили план", ""}, {"12345 67890", ""}, {"", ""},
	};

	for (size_t i = 0; i < COUNT(in); i++)
		ck_assert_str_eq(model_language(slice_str(in[i].text)), in[i].language);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("model_text");
	TCase *t = tcase_create("model_text");

	tcase_add_loop_test(t, the_estimate_is_a_little_high, 0, (int)COUNT(counted));
	tcase_add_test(t, what_is_no_text_counts_by_the_byte);
	tcase_add_test(t, parts_are_within_the_limit_and_are_all_of_it);
	tcase_add_test(t, parts_end_with_lines_or_sentences);
	tcase_add_test(t, a_long_text_is_cut_in_one_pass);
	tcase_add_test(t, languages_are_told_apart);
	suite_add_tcase(s, t);
	return run_suite(s);
}
