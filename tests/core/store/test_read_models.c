/* Given these events, then these rows: the read models of projections/, and that the order of arrival does not matter. */
#include "projection_fixture.h"

static struct projection_fixture f;
static struct projector *projector;
static struct query_pool *pool;

static void setup(void)
{
	fixture_init(&f);
}

static void start(void)
{
	struct query_pool_options options = {.clock = &clock_system};

	ck_assert_int_eq(projector_start(&projector, &f.options), 0);
	options.projector = projector;
	ck_assert_int_eq(query_pool_open(&pool, &options), 0);
	wait_all(&f, projector);
}

static void teardown(void)
{
	query_pool_close(pool);
	projector_stop(projector);
	pool = NULL;
	projector = NULL;
	fixture_finish(&f);
}

#define WANG "{\"uuid\":\"u1\",\"user_name\":\"王芳\",\"instance_id\":\"1\"}"
#define LI "{\"uuid\":\"u2\",\"user_name\":\"李四\",\"instance_id\":\"2\"}"
#define M "\"meeting_id\":\"15799355397363795495\""

/* ---- tables of examples ----------------------------------------------------------- */

#define GIVEN_MAX 8

static const struct example {
	const char *says;
	struct given given[GIVEN_MAX];
	const char *list, *params, *rows;
} examples[] = {
	{"a meeting that began has its plan and its true start",
	    {{"meeting.started", "{" M ",\"title\":\"季度预算评审会\",\"meeting_type\":0,\"start_at_ms\":1767051000000,"
	                         "\"end_at_ms\":1767054600000,\"operate_at_ms\":1767051029171,\"operator\":" WANG "}"}},
	    "meetings", "fields=meetingId,subMeetingId,title,type,state,scheduledStartAt,startAt,endAt,durationSeconds",
	    "[{\"meetingId\":\"15799355397363795495\",\"subMeetingId\":\"__ROOT__\",\"title\":\"季度预算评审会\","
	    "\"type\":\"ONE_TIME\",\"state\":\"STARTED\",\"scheduledStartAt\":\"2025-12-29T23:30:00.000Z\","
	    "\"startAt\":\"2025-12-29T23:30:29.171Z\",\"endAt\":null,\"durationSeconds\":null}]"},
	{"the end comes first and the duration is right all the same",
	    {{"meeting.ended", "{" M ",\"operate_at_ms\":1767054629171,\"meeting_end_type\":1}"},
	        {"meeting.started", "{" M ",\"operate_at_ms\":1767051029171}"}},
	    "meetings", "fields=state,durationSeconds,metadata",
	    "[{\"state\":\"ENDED\",\"durationSeconds\":3600,\"metadata\":{\"endType\":1}}]"},
	{"an older title does not take the place of a newer one",
	    {{"meeting.updated", "{" M ",\"title\":\"新标题\",\"operate_at_ms\":2000}"},
	        {"meeting.created", "{" M ",\"title\":\"旧标题\",\"operate_at_ms\":1000}"}},
	    "meetings", "fields=title,createdAt,updatedAt",
	    "[{\"title\":\"新标题\",\"createdAt\":\"1970-01-01T00:00:01.000Z\",\"updatedAt\":\"1970-01-01T00:00:02.000Z\"}]"},
	{"an occurrence is a row of its own, with its own plan",
	    {{"meeting.started", "{" M ",\"sub_meeting_id\":\"1767051000\",\"meeting_type\":1,\"start_at_ms\":1767051000000,"
	                         "\"end_at_ms\":1780626600000,\"sub_meeting_start_at_ms\":1767051000000,"
	                         "\"sub_meeting_end_at_ms\":1767061800000,\"operate_at_ms\":1767051029171}"},
	        {"meeting.created", "{" M ",\"meeting_type\":1,\"operate_at_ms\":1767000000000}"}},
	    "meetings", "fields=subMeetingId,type,scheduledEndAt&sort=createdAt",
	    "[{\"subMeetingId\":\"__ROOT__\",\"type\":\"RECURRING\",\"scheduledEndAt\":null},"
	    "{\"subMeetingId\":\"1767051000\",\"type\":\"RECURRING\",\"scheduledEndAt\":\"2025-12-30T02:30:00.000Z\"}]"},
	{"a meeting entered again after its end is running, and the end was not the end",
	    {{"meeting.started", "{" M ",\"operate_at_ms\":1000}"}, {"meeting.started", "{" M ",\"operate_at_ms\":9000}"},
	        {"meeting.ended", "{" M ",\"operate_at_ms\":5000}"}},
	    "meetings", "fields=state,startAt,endAt",
	    "[{\"state\":\"STARTED\",\"startAt\":\"1970-01-01T00:00:01.000Z\",\"endAt\":null}]"},
	{"people are counted once, on however many devices",
	    {{"participant.joined", "{" M ",\"operate_at_ms\":1000,\"operator\":" WANG "}"},
	        {"participant.joined", "{" M ",\"operate_at_ms\":2000,\"operator\":" LI "}"},
	        {"participant.left", "{" M ",\"operate_at_ms\":3000,\"operator\":" WANG "}"},
	        {"participant.joined", "{" M ",\"operate_at_ms\":4000,\"operator\":{\"uuid\":\"u1\",\"instance_id\":\"2\"}}"}},
	    "meetings", "fields=participantCount", "[{\"participantCount\":2}]"},
	{"the summary comes before its recording and meets it",
	    {{"summary.ready", "{" M ",\"operate_at_ms\":1000,\"recording_files\":[{\"record_file_id\":\"f1\",\"lang\":\"zh\"}]}"},
	        {"recording.completed", "{" M ",\"sub_meeting_id\":\"s1\",\"operate_at_ms\":2000,\"start_at_ms\":100,"
	                                "\"end_at_ms\":90100,\"recording_files\":[{\"record_file_id\":\"f1\"}]}"}},
	    "meetings", "fields=subMeetingId,hasRecording,recordingStatus,processingStatus,scheduledStartAt",
	    "[{\"subMeetingId\":\"s1\",\"scheduledStartAt\":null,\"hasRecording\":true,\"recordingStatus\":\"COMPLETED\","
	    "\"processingStatus\":\"COMPLETED\"}]"},
	{"the same seen from the recording",
	    {{"summary.ready", "{" M ",\"operate_at_ms\":1000,\"recording_files\":[{\"record_file_id\":\"f1\",\"lang\":\"zh\"}]}"},
	        {"recording.completed", "{" M ",\"sub_meeting_id\":\"s1\",\"operate_at_ms\":2000,\"start_at_ms\":100,"
	                                "\"end_at_ms\":90100,\"recording_files\":[{\"record_file_id\":\"f1\"}]}"}},
	    "recordings", "fields=externalId,status,durationSeconds,texts",
	    "[{\"externalId\":\"f1\",\"status\":\"COMPLETED\",\"durationSeconds\":90,"
	    "\"texts\":[{\"kind\":\"SUMMARY\",\"lang\":\"zh\",\"failed\":false}]}]"},
	{"a recording under way is listed until its file is there",
	    {{"recording.started", "{" M ",\"operate_at_ms\":1000}"}},
	    "recordings", "fields=externalId,status", "[{\"externalId\":null,\"status\":\"RECORDING\"}]"},
	{"and then the file is",
	    {{"recording.completed", "{" M ",\"operate_at_ms\":9000,\"recording_files\":[{\"record_file_id\":\"f1\"}]}"},
	        {"recording.stopped", "{" M ",\"operate_at_ms\":5000}"}, {"recording.started", "{" M ",\"operate_at_ms\":1000}"}},
	    "recordings", "fields=externalId,status", "[{\"externalId\":\"f1\",\"status\":\"COMPLETED\"}]"},
	{"failed, then made again: the better one stays",
	    {{"recording.completed", "{" M ",\"operate_at_ms\":2000,\"recording_files\":[{\"record_file_id\":\"f1\"}]}"},
	        {"recording.failed", "{" M ",\"operate_at_ms\":1000,\"recording_files\":[{\"record_file_id\":\"f1\"}]}"}},
	    "recordings", "fields=status,deletedAt", "[{\"status\":\"COMPLETED\",\"deletedAt\":null}]"},
	{"a deleted upload belongs to no meeting",
	    {{"recording.deleted", "{\"operate_at_ms\":3000,\"upload_file_id\":\"f9\",\"recording_files\":[{\"record_file_id\":\"f9\"}]}"}},
	    "recordings", "fields=externalId,meetingId,deletedAt&deleted=true",
	    "[{\"externalId\":\"f9\",\"meetingId\":null,\"deletedAt\":\"1970-01-01T00:00:03.000Z\"}]"},
	{"several stays, told in any order",
	    {{"participant.left", "{" M ",\"operate_at_ms\":50000,\"operator\":" LI "}"},
	        {"participant.joined", "{" M ",\"operate_at_ms\":20000,\"operator\":" LI "}"},
	        {"participant.joined", "{" M ",\"operate_at_ms\":10000,\"operator\":" WANG "}"},
	        {"participant.left", "{" M ",\"operate_at_ms\":15000,\"operator\":" WANG "}"},
	        {"participant.joined", "{" M ",\"operate_at_ms\":30000,\"operator\":" WANG "}"},
	        {"participant.left", "{" M ",\"operate_at_ms\":40000,\"operator\":" WANG "}"}},
	    "participants", "fields=displayName,durationSeconds,instanceId",
	    "[{\"displayName\":\"王芳\",\"durationSeconds\":5,\"instanceId\":1},"
	    "{\"displayName\":\"李四\",\"durationSeconds\":30,\"instanceId\":2},"
	    "{\"displayName\":\"王芳\",\"durationSeconds\":10,\"instanceId\":1}]"},
	{"who never left, left with the meeting; who never came, was there",
	    {{"participant.joined", "{" M ",\"operate_at_ms\":10000,\"operator\":" WANG "}"},
	        {"participant.left", "{" M ",\"operate_at_ms\":15000,\"operator\":" LI "}"},
	        {"meeting.ended", "{" M ",\"operate_at_ms\":70000}"}},
	    "participants", "fields=displayName,joinTime,durationSeconds",
	    "[{\"displayName\":\"王芳\",\"joinTime\":\"1970-01-01T00:00:10.000Z\",\"durationSeconds\":60},"
	    "{\"displayName\":\"李四\",\"joinTime\":null,\"durationSeconds\":null}]"},
	{"a waiting room is not the meeting; the one let in is not the one who let in",
	    {{"participant.entered_waiting_room", "{" M ",\"operate_at_ms\":1000,\"operator\":" LI "}"},
	        {"participant.admitted", "{" M ",\"operate_at_ms\":4000,\"operator\":" WANG ",\"to_operator\":" LI "}"},
	        {"participant.left_waiting_room", "{" M ",\"operate_at_ms\":4100,\"operator\":" LI "}"},
	        {"participant.joined", "{" M ",\"operate_at_ms\":5000,\"operator\":" LI "}"}},
	    "participants", "fields=displayName,room,durationSeconds",
	    "[{\"displayName\":\"李四\",\"room\":\"WAITING_ROOM\",\"durationSeconds\":3},"
	    "{\"displayName\":\"李四\",\"room\":\"MEETING\",\"durationSeconds\":null}]"},
	{"one delivery with two items is one line of the inbox",
	    {{"meeting.created", "{" M ",\"trace_id\":\"t1\"}"}, {"+meeting.created", "{\"meeting_id\":\"m2\",\"trace_id\":\"t1\"}"},
	        {"webhook.tallied", "{\"source\":\"tencent\",\"since_ms\":1,\"until_ms\":2,\"duplicates\":[{\"position\":0,\"count\":3}],"
	                            "\"refused\":[{\"reason\":\"bad_signature\",\"count\":7}]}"}},
	    "webhooks", "fields=source,verdict,traceId,reason,items,duplicates,position&sort=receivedAt",
	    "[{\"source\":\"tencent\",\"verdict\":\"ACCEPTED\",\"traceId\":\"t1\",\"reason\":null,\"position\":0,\"items\":2,"
	    "\"duplicates\":3},{\"source\":\"tencent\",\"verdict\":\"REFUSED\",\"traceId\":null,\"reason\":\"bad_signature\","
	    "\"position\":2,\"items\":7,\"duplicates\":0}]"},
};

START_TEST(rows_of_an_example)
{
	const struct example *e = &examples[_i];

	/* A plus: together with the one before it. */
	for (unsigned i = 0, n; i < GIVEN_MAX && e->given[i].type != NULL; i += n) {
		struct given together[TOGETHER_MAX] = {e->given[i]};

		for (n = 1; i + n < GIVEN_MAX && e->given[i + n].type != NULL && e->given[i + n].type[0] == '+'; n++)
			together[n] = (struct given){e->given[i + n].type + 1, e->given[i + n].data};
		give_together(&f, together, n);
	}
	start();
	rows_are(pool, e->list, e->params, e->rows);
}
END_TEST

/* ---- any order -------------------------------------------------------------------------- */

/* One meeting with everything that can go wrong with order, and a second one beside it. */
static const struct given story[] = {
	{"meeting.created", "{" M ",\"title\":\"甲\",\"meeting_type\":0,\"start_at_ms\":1000000,\"end_at_ms\":2000000,"
	                    "\"operate_at_ms\":500,\"creator\":" WANG "}"},
	{"meeting.updated", "{" M ",\"title\":\"乙\",\"meeting_type\":0,\"start_at_ms\":1100000,\"operate_at_ms\":700}"},
	{"meeting.updated", "{" M ",\"title\":\"丙\",\"meeting_type\":5,\"start_at_ms\":1200000,\"operate_at_ms\":700}"},
	{"meeting.started", "{" M ",\"title\":\"乙\",\"operate_at_ms\":1100000,\"operator\":" WANG "}"},
	{"meeting.ended", "{" M ",\"operate_at_ms\":1900000,\"meeting_end_type\":0}"},
	{"participant.joined", "{" M ",\"operate_at_ms\":1100500,\"operator\":" WANG "}"},
	{"participant.joined", "{" M ",\"operate_at_ms\":1200000,\"operator\":" LI "}"},
	{"participant.left", "{" M ",\"operate_at_ms\":1300000,\"operator\":" LI "}"},
	{"participant.joined", "{" M ",\"operate_at_ms\":1400000,\"operator\":" LI "}"},
	{"participant.joined", "{" M ",\"operate_at_ms\":1500000,\"operator\":{\"uuid\":\"u2\",\"user_name\":\"李思\",\"instance_id\":\"2\"}}"},
	{"participant.left", "{" M ",\"operate_at_ms\":1600000,\"operator\":" LI "}"},
	{"participant.entered_waiting_room", "{" M ",\"operate_at_ms\":1190000,\"operator\":" LI "}"},
	{"participant.admitted", "{" M ",\"operate_at_ms\":1199000,\"operator\":" WANG ",\"to_operator\":" LI "}"},
	{"recording.started", "{" M ",\"operate_at_ms\":1150000,\"operator\":" WANG "}"},
	{"recording.paused", "{" M ",\"operate_at_ms\":1160000}"},
	{"recording.stopped", "{" M ",\"operate_at_ms\":1800000}"},
	{"recording.failed", "{" M ",\"operate_at_ms\":1850000,\"recording_files\":[{\"record_file_id\":\"f1\"}]}"},
	{"recording.completed", "{" M ",\"operate_at_ms\":1950000,\"start_at_ms\":1150000,\"end_at_ms\":1800000,"
	                        "\"recording_files\":[{\"record_file_id\":\"f1\",\"total_size\":77},{\"record_file_id\":\"f2\"}]}"},
	{"recording.deleted", "{" M ",\"operate_at_ms\":2950000,\"recording_files\":[{\"record_file_id\":\"f2\"}]}"},
	{"transcript.ready", "{" M ",\"operate_at_ms\":1960000,\"recording_files\":[{\"record_file_id\":\"f1\",\"lang\":\"zh\"}]}"},
	{"minutes.ready", "{" M ",\"operate_at_ms\":1961000,\"result\":2,\"recording_files\":[{\"record_file_id\":\"f1\",\"lang\":\"zh\"}]}"},
	{"summary.ready", "{" M ",\"operate_at_ms\":1940000,\"result\":1,\"recording_files\":[{\"record_file_id\":\"f1\",\"lang\":\"en\"}]}"},
	{"meeting.cancelled", "{\"meeting_id\":\"m2\",\"title\":\"另一个\",\"operate_at_ms\":400}"},
	{"meeting.created", "{\"meeting_id\":\"m2\",\"title\":\"另一\",\"operate_at_ms\":300}"},
};
#define N_STORY (sizeof(story) / sizeof(story[0]))

/* Folds the story in this order into fresh files and digests them. The inbox tells of arrival and is left out. */
static void digest_of_order(const unsigned *order, uint8_t digests[3][SHA256_LEN])
{
	static const char *const names[] = {"meetings", "attendance", "recordings"};
	struct projection_fixture one;

	fixture_init(&one);
	/* Subject ids are random; people must be the same ones in every order, so the story has its own sealer. */
	sealer_destroy(one.sealer);
	one.sealer = f.sealer;
	one.options.sealer = f.sealer;
	for (unsigned i = 0; i < N_STORY; i++)
		give(&one, story[order[i]].type, story[order[i]].data);
	for (unsigned i = 0; i < 3; i++) {
		struct buf path = BUF_INIT(4096), problem = BUF_INIT(512);
		uint64_t position;
		int rc;

		ck_assert_int_eq(buf_printf(&path, "%s/%s.db", one.dir, names[i]), 0);
		rc = projection_build(&one.options, projection_find(names[i]), path.ptr, UINT64_MAX, NULL, NULL, &problem);
		ck_assert_msg(rc == 0, "%s: %s", names[i], problem.ptr);
		ck_assert_int_eq(projection_digest(path.ptr, projection_find(names[i]), digests[i], &position), 0);
		ck_assert_uint_eq(position, N_STORY);
		buf_finish(&path);
		buf_finish(&problem);
	}
	one.sealer = NULL;
	fixture_finish(&one);
}

START_TEST(every_order_gives_the_same_rows)
{
	uint8_t want[3][SHA256_LEN], have[3][SHA256_LEN];
	unsigned order[N_STORY];

	for (unsigned i = 0; i < N_STORY; i++)
		order[i] = i;
	digest_of_order(order, want);
	for (unsigned round = 0; round < 12; round++) {
		for (unsigned i = N_STORY - 1; i > 0; i--) {
			unsigned k = (unsigned)rng_below(&f.rng.rng, i + 1), swap = order[i];

			order[i] = order[k];
			order[k] = swap;
		}
		if (round == 0)
			for (unsigned i = 0; i < N_STORY; i++)
				order[i] = N_STORY - 1 - i;
		digest_of_order(order, have);
		for (unsigned i = 0; i < 3; i++)
			ck_assert_msg(memcmp(want[i], have[i], SHA256_LEN) == 0, "model %u differs in round %u", i, round);
	}
}
END_TEST

/* ---- search ------------------------------------------------------------------------------- */

START_TEST(titles_and_people_are_found)
{
	static const struct { const char *search, *found; } cases[] = {
		{"路线", "[{\"meetingId\":\"a\"}]"},
		{"路线图讨论", "[{\"meetingId\":\"a\"}]"},
		{"火星", "[]"},
		{"线路", "[]"},
		{"论", "[{\"meetingId\":\"a\"}]"},
		{"budget", "[{\"meetingId\":\"b\"}]"},
		{"BUD", "[{\"meetingId\":\"b\"}]"},
		{"udget", "[]"},
		{"q3 预算", "[{\"meetingId\":\"b\"}]"},
		{"王芳", "[{\"meetingId\":\"b\"},{\"meetingId\":\"a\"}]"},
		{"王芳 路线", "[{\"meetingId\":\"a\"}]"},
		{"cafe", "[{\"meetingId\":\"b\"}]"},
		{"旧名", "[]"},
		{"\" or 1=1 --", "[]"},
		{"!!!", "[]"},
	};

	give(&f, "meeting.created", "{\"meeting_id\":\"a\",\"title\":\"旧名\",\"operate_at_ms\":1000}");
	give(&f, "meeting.updated", "{\"meeting_id\":\"a\",\"title\":\"产品路线图讨论\",\"operate_at_ms\":1001}");
	give(&f, "meeting.created", "{\"meeting_id\":\"b\",\"title\":\"Ｑ3预算 Budget (Café)\",\"operate_at_ms\":2000}");
	give(&f, "participant.joined", "{\"meeting_id\":\"a\",\"operate_at_ms\":1500,\"operator\":" WANG "}");
	give(&f, "participant.joined", "{\"meeting_id\":\"b\",\"operate_at_ms\":2500,\"operator\":" WANG "}");
	start();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char params[128];

		snprintf(params, sizeof(params), "fields=meetingId&search=%s", cases[i].search);
		rows_are(pool, "meetings", params, cases[i].found);
	}
}
END_TEST

/* ---- erasure --------------------------------------------------------------------------------- */

START_TEST(an_erased_person_is_gone_from_a_rebuild_and_still_counted)
{
	struct subject wang;
	struct buf problem = BUF_INIT(512);

	give(&f, "participant.joined", "{" M ",\"operate_at_ms\":1000,\"operator\":" WANG "}");
	ck_assert_int_eq(sealer_subject(f.sealer, SLICE("tencent.user"), SLICE("u1"), &wang), 0);
	ck_assert_int_eq(keyring_erase(f.keyring, &wang.id, 1), 0);
	ck_assert_int_eq(projection_rebuild(&f.options, projection_find("attendance"), NULL, NULL, &problem), 0);
	start();
	rows_are(pool, "participants", "fields=displayName,joinTime",
	    "[{\"displayName\":null,\"joinTime\":\"1970-01-01T00:00:01.000Z\"}]");
	rows_are(pool, "meetings", "fields=participantCount", "[{\"participantCount\":1}]");
	buf_finish(&problem);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("read models");
	TCase *rows = tcase_create("rows"), *order = tcase_create("order");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(rows, setup, teardown);
	tcase_add_loop_test(rows, rows_of_an_example, 0, sizeof(examples) / sizeof(examples[0]));
	tcase_add_test(rows, titles_and_people_are_found);
	tcase_add_test(rows, an_erased_person_is_gone_from_a_rebuild_and_still_counted);
	suite_add_tcase(suite, rows);
	tcase_add_checked_fixture(order, setup, teardown);
	tcase_add_test(order, every_order_gives_the_same_rows);
	tcase_set_timeout(order, 60);
	suite_add_tcase(suite, order);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
