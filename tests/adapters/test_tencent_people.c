/* tencent_speakers.c: who speaks, by the list of participants; tencent_out.c: what asks, and what its key says. */
#include "adapters/tencent_out.h"
#include "lib/run.h"

static const struct tencent_participant list[] = {
	{.userid = SLICE_INIT("u1"), .uuid = SLICE_INIT("uuid-1"), .user_name = SLICE_INIT("张伟"), .ms_open_id = SLICE_INIT("ms-1")},
	{.userid = SLICE_INIT("u1"), .uuid = SLICE_INIT("uuid-1"), .user_name = SLICE_INIT("张伟"), .ms_open_id = SLICE_INIT("ms-1")},
	{.open_id = SLICE_INIT("o2"), .uuid = SLICE_INIT("uuid-2"), .user_name = SLICE_INIT("李娜"), .ms_open_id = SLICE_INIT("ms-2")},
	{.uuid = SLICE_INIT("uuid-3"), .user_name = SLICE_INIT("李娜"), .ms_open_id = SLICE_INIT("ms-3")},
	{.ms_open_id = SLICE_INIT("ms-4"), .user_name = SLICE_INIT("访客")},
};
static const struct tencent_people people = {list, sizeof(list) / sizeof(list[0])};

static struct event_person speaker(struct tencent_paragraph p)
{
	struct event_person person;

	tencent_speaker(&people, &p, SLICE(""), &person);
	return person;
}

START_TEST(an_id_tells_who_it_is)
{
	ck_assert_slice_eq(speaker((struct tencent_paragraph){.userid = SLICE("u1")}).uuid, SLICE("uuid-1"));
	ck_assert_slice_eq(speaker((struct tencent_paragraph){.open_id = SLICE("o2")}).uuid, SLICE("uuid-2"));
	ck_assert_slice_eq(speaker((struct tencent_paragraph){.ms_open_id = SLICE("ms-3"), .user_name = SLICE("张伟")}).uuid,
	    SLICE("uuid-3"));
	/* As they are called in the recording. */
	ck_assert_slice_eq(speaker((struct tencent_paragraph){.userid = SLICE("u1"), .user_name = SLICE("小张")}).user_name,
	    SLICE("小张"));
}
END_TEST

START_TEST(a_name_does_when_only_one_has_it)
{
	ck_assert_slice_eq(speaker((struct tencent_paragraph){.user_name = SLICE("张伟")}).uuid, SLICE("uuid-1"));
	ck_assert_uint_eq(speaker((struct tencent_paragraph){.user_name = SLICE("李娜")}).uuid.len, 0);
	ck_assert_slice_eq(speaker((struct tencent_paragraph){.user_name = SLICE("访客")}).ms_open_id, SLICE("ms-4"));
}
END_TEST

START_TEST(nobody_is_made_up)
{
	struct event_person p = speaker((struct tencent_paragraph){.userid = SLICE("u9"), .user_name = SLICE("王芳")});

	ck_assert_slice_eq(p.userid, SLICE("u9"));
	ck_assert_uint_eq(p.uuid.len, 0);
	p = speaker((struct tencent_paragraph){0});
	ck_assert_uint_eq(p.userid.len + p.uuid.len + p.user_name.len + p.ms_open_id.len, 0);
}
END_TEST

START_TEST(a_uuid_comes_between_ids_and_names)
{
	struct tencent_paragraph p = {.userid = SLICE("u9"), .user_name = SLICE("张伟")};
	struct event_person person;

	tencent_speaker(&people, &p, SLICE("uuid-9"), &person);
	ck_assert_slice_eq(person.uuid, SLICE("uuid-9"));
	p.userid = SLICE("u1");
	tencent_speaker(&people, &p, SLICE("uuid-9"), &person);
	ck_assert_slice_eq(person.uuid, SLICE("uuid-1"));
}
END_TEST

START_TEST(a_key_names_its_file)
{
	struct effect_call call = {.key = "2001/transcript/ready"};
	struct event_recording_file files[] = {{.record_file_id = SLICE("2000")}, {.record_file_id = SLICE("2001"), .lang = SLICE("zh")}};
	struct tencent_told told = {.files = files, .n_files = 2};

	ck_assert_slice_eq(tencent_file_of(&call), SLICE("2001"));
	ck_assert_slice_eq(tencent_file_told(&told, SLICE("2001"))->lang, SLICE("zh"));
	ck_assert_ptr_null(tencent_file_told(&told, SLICE("2")));
}
END_TEST

START_TEST(a_recording_is_of_the_nearest_occurrence)
{
	struct tencent_sub_meeting subs[] = {{SLICE("mon"), SLICE(""), 1000000000000, 1000003600000},
	    {SLICE("tue"), SLICE(""), 1000086400000, 1000090000000}};
	struct tencent_meeting_detail meeting = {.meeting_type = TENCENT_RECURRING, .subs = subs, .n_subs = 2,
	    .current_sub_meeting_id = SLICE("wed")};
	struct tencent_told told = {.sub_meeting_id = SLICE("tue"), .starts_ms = 1000086400000};

	ck_assert_slice_eq(tencent_occurrence_at(&meeting, 1000000300000), SLICE("mon"));
	ck_assert_slice_eq(tencent_occurrence_at(&meeting, 1000086100000), SLICE("tue")); /* somebody was early */
	ck_assert_slice_eq(tencent_occurrence_at(&meeting, 1000172800000), SLICE("wed"));
	meeting.meeting_type = 0;
	ck_assert_slice_eq(tencent_occurrence_at(&meeting, 1000000300000), SLICE(""));
	ck_assert(tencent_is_of_occurrence(&told, 1000086100000));
	ck_assert(!tencent_is_of_occurrence(&told, 1000000300000));
	told.sub_meeting_id = SLICE("");
	ck_assert(tencent_is_of_occurrence(&told, 1000000300000));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tencent_people");
	TCase *t = tcase_create("tencent_people");

	tcase_add_test(t, an_id_tells_who_it_is);
	tcase_add_test(t, a_name_does_when_only_one_has_it);
	tcase_add_test(t, nobody_is_made_up);
	tcase_add_test(t, a_uuid_comes_between_ids_and_names);
	tcase_add_test(t, a_key_names_its_file);
	tcase_add_test(t, a_recording_is_of_the_nearest_occurrence);
	suite_add_tcase(s, t);
	return run_suite(s);
}
