/* The sentences of lulab demo: each is one line, whatever the event holds. */
#include <check.h>
#include <stdlib.h>

#include "demo_story.h"
#include "lib/run.h"

static const struct {
	const char *says, *type, *data, *line;
} cases[] = {
	{"members, and members of members", "meeting.started", "{\"title\":\"周会\",\"operator\":{\"user_name\":\"张伟\"}}",
	    "“周会” begins; 张伟 is the host"},
	{"what is absent", "meeting.started", "{\"operator\":null}", "“?” begins; ? is the host"},
	{"what is of another type", "participant.joined", "{\"operator\":[{\"user_name\":1}]}", "? comes in"},
	{"numbers", "transcript.stored", "{\"paragraphs\":13,\"words\":162}",
	    "what was said is stored: 13 paragraphs, 162 words"},
	{"bytes are told in KiB", "object.stored", "{\"content_type\":\"video/mp4\",\"size\":33551}",
	    "a file is in the storage: video/mp4, 33 KiB"},
	{"milliseconds as seconds", "recording.stored", "{\"format\":\"mp4\",\"width\":320,\"height\":180,\"duration_ms\":6050}",
	    "the recording is stored and looked into: mp4, 320×180, 6.0 s"},
	{"nothing moves the cursor", "participant.left", "{\"operator\":{\"user_name\":\"a\\nb\\u001b[2J\\u007f\"}}", "a b [2J  leaves"},
	{"a long text is cut between two characters", "summary.stored",
	    "{\"kind\":\"FULL\",\"text\":\"一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五\"}",
	    "FULL: 一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四五六七八九十一二三四…"},
	{"an effect that is of the story", "effect.done", "{\"effect\":\"mail.code\"}", "a mail is out (mail.code)"},
	{"one of a kind that has a sentence of its own", "effect.done", "{\"effect\":\"mail.summary\"}",
	    "the summary goes to who was there and has shown that their address is theirs"},
	{"one that another event tells of", "effect.done", "{\"effect\":\"tencent.summary\"}", NULL},
	{"an effect without a name", "effect.done", "{}", NULL},
	{"an event of another story", "login.succeeded", "{}", NULL},
};

START_TEST(it_tells)
{
	struct buf line = BUF_INIT(4096);
	bool told;

	ck_assert_int_eq(json_scan(slice_str(cases[_i].data), NULL, NULL), 0);
	told = demo_tell(slice_str(cases[_i].type), json_root(slice_str(cases[_i].data)), &line);
	ck_assert_msg(told == (cases[_i].line != NULL), "%s", cases[_i].says);
	if (told)
		ck_assert_str_eq(line.ptr, cases[_i].line);
	buf_finish(&line);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("demo_story");
	TCase *tc = tcase_create("story");

	tcase_add_loop_test(tc, it_tells, 0, sizeof(cases) / sizeof(cases[0]));
	suite_add_tcase(s, tc);
	return run_suite(s);
}
