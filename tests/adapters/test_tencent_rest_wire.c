/* Tencent Meeting's REST interface: the signature by its vectors, addresses, codes, answers good and bad. */
#include <check.h>
#include <stdlib.h>

#include "lib/vectors.h"
#include "tencent_rest_wire.h"

static struct arena arena = ARENA_INIT(64 << 20);
static const struct tencent_operator op = {SLICE_INIT("u/1"), TENCENT_USERID};

static struct slice t(struct json_value v, const char *path)
{
	return text_at(&arena, v, path);
}

/* --- signing --------------------------------------------------------------------------- */

START_TEST(signature_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "tencent-rest-signature.json");
	while (vectors_next(&v)) {
		struct tencent_rest_keys keys = {t(v.one, "input.app_id"), t(v.one, "input.sdk_id"), t(v.one, "input.secret_id"),
		    t(v.one, "input.secret_key")};
		struct slice id = t(v.one, "id"), name, value;
		struct tencent_rest_signed s;
		struct json_value headers, member;
		struct json_reader r;
		uint64_t nonce;
		int64_t time;
		size_t n = 0;

		ck_assert_int_eq(slice_to_u64(t(v.one, "input.nonce"), &nonce), 0);
		ck_assert_int_eq(slice_to_i64(t(v.one, "input.timestamp"), &time), 0);
		ck_assert_int_eq(tencent_rest_sign(&keys, arena_dup(&arena, t(v.one, "input.method")).ptr, t(v.one, "input.uri"),
		    t(v.one, "input.body"), nonce, time, &arena, &s), 0);
		ck_slice_eq(s.string_to_sign, t(v.one, "expect.string_to_sign"), id);
		ck_assert(value_at(&arena, v.one, "expect.headers", &headers));
		json_enter(&r, headers);
		while (json_next(&r, &name, &member)) {
			ck_assert_msg(wire_header(s.headers, s.n_headers, arena_dup(&arena, name).ptr, &value), "%.*s lacks %.*s",
			    SLICE_ARG(id), SLICE_ARG(name));
			ck_slice_eq(value, t(headers, arena_dup(&arena, name).ptr), id);
			n++;
		}
		ck_assert_uint_eq(n, s.n_headers);
	}
	vectors_close(&v, 10);
}
END_TEST

static const struct { const char *app, *sdk, *id, *key, *uri; uint64_t nonce; int rc; } signs[] = {
	{"a", "s", "i", "k", "/v1/x", 1, 0},
	{"", "s", "i", "k", "/v1/x", 1, ERR_INVALID},
	{"a", "s", "", "k", "/v1/x", 1, ERR_INVALID},
	{"a", "s", "i", "", "/v1/x", 1, ERR_INVALID},
	{"a\r\nx: y", "s", "i", "k", "/v1/x", 1, ERR_INVALID},
	{"a", "s\n", "i", "k", "/v1/x", 1, ERR_INVALID},
	{"a", "s", "i\n", "k", "/v1/x", 1, ERR_INVALID},
	{"a", "s", "i", "k", "", 1, ERR_INVALID},
	{"a", "s", "i", "k", "v1/x", 1, ERR_INVALID},
	{"a", "s", "i", "k", "/v1/x y", 1, ERR_INVALID},
	{"a", "s", "i", "k", "/v1/x\ny", 1, ERR_INVALID},
	{"a", "s", "i", "k", "/v1/会", 1, ERR_INVALID},
	{"a", "s", "i", "k", "/v1/x", 0, ERR_INVALID},
};

START_TEST(signing_refuses)
{
	struct tencent_rest_keys keys = {slice_str(signs[_i].app), slice_str(signs[_i].sdk), slice_str(signs[_i].id),
	    slice_str(signs[_i].key)};
	struct tencent_rest_signed s;

	ck_assert_int_eq(tencent_rest_sign(&keys, "GET", slice_str(signs[_i].uri), SLICE(""), signs[_i].nonce, 1, &arena, &s),
	    signs[_i].rc);
}
END_TEST

START_TEST(without_sdk_id_there_is_no_header)
{
	struct tencent_rest_keys keys = {SLICE("a"), SLICE(""), SLICE("i"), SLICE("k")};
	struct tencent_rest_signed s;
	struct slice value;

	ck_assert_int_eq(tencent_rest_sign(&keys, "GET", SLICE("/v1/x"), SLICE(""), 7, 1, &arena, &s), 0);
	ck_assert_uint_eq(s.n_headers, 7);
	ck_assert(!wire_header(s.headers, s.n_headers, "SdkId", &value));
}
END_TEST

/* --- addresses ------------------------------------------------------------------------------- */

#define OP "operator_id=u%2F1&operator_id_type=1"

START_TEST(addresses)
{
	struct tencent_records_query q = {.op = op, .start_s = 10, .end_s = 20, .page = 1, .page_size = 20};
	struct slice uri;

	ck_assert_int_eq(tencent_uri_meeting(SLICE("1"), &op, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/meetings/1?instanceid=1&" OP));
	ck_assert_int_eq(tencent_uri_participants(SLICE("1"), SLICE(""), &op, 0, 100, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/meetings/1/participants?" OP "&pos=0&size=100"));
	ck_assert_int_eq(tencent_uri_participants(SLICE("1"), SLICE("2"), &op, 100, 100, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/meetings/1/participants?" OP "&pos=100&size=100&sub_meeting_id=2"));
	ck_assert_int_eq(tencent_uri_records(&q, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/records?end_time=20&" OP "&page=1&page_size=20&start_time=10"));
	q.corp = true;
	ck_assert_int_eq(tencent_uri_records(&q, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/corp/records?end_time=20&" OP "&page=1&page_size=20&start_time=10"));
	ck_assert_int_eq(tencent_uri_address(SLICE("a/b?c"), &op, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/addresses/a%2Fb%3Fc?" OP));
	ck_assert_int_eq(tencent_uri_transcript(SLICE("9"), SLICE("1"), &op, 0, 0, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/records/transcripts/details?meeting_id=1&" OP "&pid=0&record_file_id=9"));
	ck_assert_int_eq(tencent_uri_transcript(SLICE("9"), SLICE(""), &op, 50, 40, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/records/transcripts/details?limit=40&" OP "&pid=50&record_file_id=9"));
	ck_assert_int_eq(tencent_uri_summary(SLICE("9"), &op, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/smart/fullsummary?" OP "&record_file_id=9"));
	ck_assert_int_eq(tencent_uri_topics(SLICE("9"), &op, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/smart/topics?" OP "&record_file_id=9"));
	ck_assert_int_eq(tencent_uri_minutes(SLICE("9"), &op, 0, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/smart/minutes/9?" OP "&text_type=2"));
	ck_assert_int_eq(tencent_uri_minutes(SLICE("9"), &op, 3, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/smart/minutes/9?minute_type=3&" OP "&text_type=2"));
	ck_assert_int_eq(tencent_uri_user(SLICE("张"), &op, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/users/%E5%BC%A0?" OP));
	ck_assert_int_eq(tencent_uri_users(2, 20, &op, &arena, &uri), 0);
	ck_assert(slice_is(uri, "/v1/users/list?" OP "&page=2&page_size=20"));
}
END_TEST

START_TEST(addresses_that_are_none)
{
	const struct tencent_operator nobody = {SLICE(""), TENCENT_USERID}, odd = {SLICE("u"), 5}, odder = {SLICE("u"), 0};
	const struct tencent_records_query good = {.op = op, .start_s = 10, .end_s = 20, .page = 1, .page_size = 20};
	struct tencent_records_query q[8];
	struct slice uri;

	for (int i = 0; i < 8; i++)
		q[i] = good;
	q[0].page = 0;
	q[1].page_size = 21;
	q[2].page_size = 0;
	q[3].start_s = -1;
	q[4].end_s = 9;
	q[5].end_s = 11 + TENCENT_RECORDS_SPAN_S;
	q[6].op = nobody;
	q[7].corp = true;
	q[7].meeting_id = SLICE("1");
	for (int i = 0; i < 8; i++)
		ck_assert_msg(tencent_uri_records(&q[i], &arena, &uri) == ERR_INVALID, "%d", i);
	ck_assert_int_eq(tencent_uri_meeting(SLICE(""), &op, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_meeting(SLICE(".."), &op, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_meeting(SLICE("."), &op, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_meeting(SLICE("1"), &nobody, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_meeting(SLICE("1"), &odd, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_meeting(SLICE("1"), &odder, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_participants(SLICE("1"), SLICE(""), &op, -1, 100, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_participants(SLICE("1"), SLICE(""), &op, 0, 101, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_participants(SLICE("1"), SLICE(""), &op, 0, 0, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_transcript(SLICE("9"), SLICE(""), &op, -1, 0, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_transcript(SLICE(""), SLICE(""), &op, 0, 0, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_minutes(SLICE("9"), &op, 4, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_minutes(SLICE(""), &op, 0, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_user(SLICE(""), &op, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_users(0, 1, &op, &arena, &uri), ERR_INVALID);
	ck_assert_int_eq(tencent_uri_users(1, 0, &op, &arena, &uri), ERR_INVALID);
}
END_TEST

/* --- codes ------------------------------------------------------------------------------------- */

#define E(code, new) "{\"error_info\":{\"error_code\":" #code ",\"new_error_code\":" #new ",\"message\":\"M\"}}"

static const struct { int status; const char *body; bool generated; enum answer_class is; int64_t code; } judged[] = {
	{200, "{}", false, ANSWER_OK, 0}, {200, "", false, ANSWER_OK, 0},
	{400, E(9003, 0), false, ANSWER_REFUSED, 9003}, {200, E(9003, 0), false, ANSWER_REFUSED, 9003},
	{400, E(1, 190310), false, ANSWER_RETRY, 190310}, {400, E(190300, 0), false, ANSWER_AFRESH, 190300},
	{400, E(190301, 0), false, ANSWER_AFRESH, 190301}, {400, E(190311, 0), false, ANSWER_LIMIT, 190311},
	{400, E(200003, 0), false, ANSWER_CONFIG, 200003}, {400, E(500125, 0), false, ANSWER_CONFIG, 500125},
	{400, E(9042, 0), true, ANSWER_REFUSED, 9042}, {400, E(4051, 0), true, ANSWER_REFUSED, 4051},
	{400, E(123456, 0), true, ANSWER_NOT_READY, 123456}, {400, E(123456, 0), false, ANSWER_REFUSED, 123456},
	{500, E(123456, 0), true, ANSWER_RETRY, 123456}, {500, E(10000, 0), false, ANSWER_RETRY, 10000},
	{400, "{\"error_info\":{\"error_code\":\"9003\"}}", false, ANSWER_REFUSED, 9003},
	{200, "{\"error_info\":{}}", false, ANSWER_REFUSED, 0}, {200, "{\"error_info\":null}", false, ANSWER_OK, 0},
	{502, "<html>", false, ANSWER_RETRY, 0}, {503, "", true, ANSWER_RETRY, 0}, {404, "x", false, ANSWER_REFUSED, 0},
	{429, "", false, ANSWER_LIMIT, 0}, {403, "", false, ANSWER_CONFIG, 0},
};

START_TEST(answers_are_judged)
{
	struct tencent_rest_error e;

	ck_assert_int_eq(tencent_rest_judge(judged[_i].status, slice_str(judged[_i].body), judged[_i].generated, &arena, &e), 0);
	ck_assert_msg(e.is == judged[_i].is, "%d %s: %s", judged[_i].status, judged[_i].body, answer_class_name(e.is));
	ck_assert_int_eq(e.code, judged[_i].code);
}
END_TEST

/* --- answers ------------------------------------------------------------------------------------- */

START_TEST(meeting_detail)
{
	struct tencent_meeting_detail m;

	ck_assert_int_eq(tencent_meeting_parse(SLICE("{\"meeting_number\":1,\"meeting_info_list\":[{\"subject\":\"周会\","
	    "\"meeting_id\":10000000000000000001,\"meeting_code\":\"100200300\",\"status\":\"MEETING_STATE_ENDED\",\"meeting_type\":1,"
	    "\"start_time\":\"1760000400\",\"end_time\":\"1760004000\",\"hosts\":[{\"userid\":\"a\"},\"b\",7,{}],"
	    "\"sub_meetings\":[{\"sub_meeting_id\":\"s1\",\"status\":0,\"start_time\":\"1760000400\",\"end_time\":1760004000}],"
	    "\"remain_sub_meetings\":3}]}"), &arena, &m), 0);
	ck_assert(slice_is(m.meeting_id, "10000000000000000001"));
	ck_assert_int_eq(m.start_ms, 1760000400000);
	ck_assert_uint_eq(m.n_hosts, 2);
	ck_assert(slice_is(m.hosts[1], "b"));
	ck_assert_uint_eq(m.n_subs, 1);
	ck_assert_int_eq(m.subs[0].end_ms, 1760004000000);
	ck_assert_int_eq(m.remain_subs, 3);
}
END_TEST

START_TEST(participants)
{
	struct tencent_participants p;

	ck_assert_int_eq(tencent_participants_parse(SLICE("{\"meeting_id\":\"1\",\"meeting_code\":\"2\",\"subject\":\"x\","
	    "\"has_remaining\":true,\"next_pos\":100,\"total_count\":131,\"participants\":[{\"userid\":\"u\",\"uuid\":\"U\","
	    "\"user_name\":\"5LmZ\",\"join_time\":\"1760000405\",\"left_time\":\"1760003990\",\"instanceid\":1,\"user_role\":\"3\"},"
	    "{\"user_name\":\"not base64!\",\"join_time\":0,\"is_enterprise_user\":true},1,{\"user_name\":\"gIA=\"}]}"), 0, &arena, &p), 0);
	ck_assert_uint_eq(p.n, 3);
	ck_assert(slice_is(p.items[0].user_name, "乙"));
	ck_assert_int_eq(p.items[0].join_ms, 1760000405000);
	ck_assert_int_eq(p.items[0].user_role, 3);
	ck_assert(slice_is(p.items[1].user_name, "not base64!"));
	ck_assert_int_eq(p.items[1].join_ms, 0);
	ck_assert(p.items[1].is_enterprise_user);
	ck_assert(slice_is(p.items[2].user_name, "gIA=")); /* not UTF-8 inside */
	ck_assert(p.more);
	ck_assert_int_eq(p.next_pos, 100);
	ck_assert_int_eq(tencent_participants_parse(SLICE("{\"meeting_id\":\"1\",\"participants\":null}"), 0, &arena, &p), 0);
	ck_assert_uint_eq(p.n, 0);
	ck_assert(!p.more);
}
END_TEST

START_TEST(records)
{
	struct tencent_records r;

	ck_assert_int_eq(tencent_records_parse(SLICE("{\"total_count\":21,\"current_size\":20,\"current_page\":1,\"total_page\":2,"
	    "\"record_meetings\":[{\"meeting_record_id\":\"r\",\"meeting_id\":\"m\",\"userid\":\"u\",\"media_start_time\":1760000400123,"
	    "\"state\":3,\"record_type\":0,\"record_files\":[{\"record_file_id\":1318080818611111111,\"record_start_time\":1760000400123,"
	    "\"record_size\":\"42\"},{}]},{\"state\":2,\"host_user_id\":\"h\"}]}"), &arena, &r), 0);
	ck_assert_uint_eq(r.n, 2);
	ck_assert(r.more);
	ck_assert_uint_eq(r.items[0].n_files, 1);
	ck_assert(slice_is(r.items[0].files[0].id, "1318080818611111111"));
	ck_assert_int_eq(r.items[0].files[0].size, 42);
	ck_assert(slice_is(r.items[0].host_userid, "u"));
	ck_assert(slice_is(r.items[1].host_userid, "h"));
	ck_assert_int_eq(tencent_records_parse(SLICE("{\"total_count\":0}"), &arena, &r), 0);
	ck_assert(r.n == 0 && !r.more);
	/* An empty page leads nowhere, whatever it says of others. */
	ck_assert_int_eq(tencent_records_parse(SLICE("{\"current_page\":1,\"total_page\":9,\"record_meetings\":[]}"), &arena, &r), 0);
	ck_assert(!r.more);
}
END_TEST

START_TEST(download_addresses)
{
	struct tencent_addresses d;

	ck_assert_int_eq(tencent_address_parse(SLICE("{\"record_file_id\":\"9\",\"meeting_id\":\"1\",\"download_address\":\"https://x/v\","
	    "\"download_address_file_type\":\"mp4\",\"audio_address\":\"file:///etc/passwd\",\"meeting_summary\":[{\"download_address\":"
	    "\"https://x/s\",\"file_type\":\"txt\"},{\"download_address\":\"http://x/plain\"},{\"download_address\":\"https://x/ y\"},{}],"
	    "\"ai_minutes\":{}}"), &arena, &d), 0);
	ck_assert(slice_is(d.video.address, "https://x/v"));
	ck_assert(slice_is(d.video.file_type, "mp4"));
	ck_assert_uint_eq(d.audio.address.len, 0);
	ck_assert_uint_eq(d.n_summaries, 1);
	ck_assert_uint_eq(d.n_minutes, 0);
}
END_TEST

START_TEST(transcript)
{
	struct tencent_transcript tr;

	ck_assert_int_eq(tencent_transcript_parse(SLICE("{\"more\":true,\"minutes\":{\"audio_detect\":1,\"paragraphs\":[{\"pid\":\"5\","
	    "\"start_time\":3309,\"end_time\":20109,\"speaker_info\":{\"userid\":\"u\",\"username\":\"甲\",\"ms_open_id\":\"m\"},"
	    "\"sentences\":[{\"sid\":\"0\",\"start_time\":3309,\"end_time\":7789,\"words\":[{\"text\":\"大家\"},{\"text\":\"好\"},{}]},{}]},"
	    "{\"pid\":6}]}}"), 5, &arena, &tr), 0);
	ck_assert_uint_eq(tr.n, 2);
	ck_assert(tr.speakers_known && tr.more);
	ck_assert_int_eq(tr.next_pid, 7);
	ck_assert(slice_is(tr.paragraphs[0].user_name, "甲"));
	ck_assert(slice_is(tr.paragraphs[0].sentences[0].text, "大家好"));
	ck_assert_int_eq(tr.paragraphs[0].sentences[0].start_ms, 3309);
	ck_assert_uint_eq(tr.paragraphs[0].n_sentences, 2);
	ck_assert_uint_eq(tr.paragraphs[1].n_sentences, 0);
}
END_TEST

START_TEST(smart)
{
	struct tencent_topics topics;
	struct slice text, todo;

	ck_assert_int_eq(tencent_summary_parse(SLICE("{\"ai_summary\":\"5LmZ\"}"), &arena, &text), 0);
	ck_assert(slice_is(text, "乙"));
	ck_assert_int_eq(tencent_summary_parse(SLICE("{\"ai_summary\":\"\"}"), &arena, &text), ERR_NOT_FOUND);
	ck_assert_int_eq(tencent_minutes_parse(SLICE("{\"meeting_minute\":{\"minute\":\"## a\\\\nb\\nc\\\\\",\"todo\":null}}"), &arena, &text,
	    &todo), 0);
	ck_assert(slice_is(text, "## a\nb\nc\\"));
	ck_assert_uint_eq(todo.len, 0);
	ck_assert_int_eq(tencent_minutes_parse(SLICE("{\"meeting_minute\":{}}"), &arena, &text, &todo), ERR_NOT_FOUND);
	ck_assert_int_eq(tencent_topics_parse(SLICE("{\"ai_topic_list\":[{\"topic_id\":1,\"topic_name\":\"5LmZ\",\"topic_time\":"
	    "[{\"pid\":\"1\",\"start_time\":\"10\",\"end_time\":\"20\"}]},{}]}"), &arena, &topics), 0);
	ck_assert_uint_eq(topics.n, 2);
	ck_assert(slice_is(topics.items[0].name, "乙"));
	ck_assert_int_eq(topics.items[0].times[0].end_ms, 20);
}
END_TEST

START_TEST(people)
{
	struct tencent_users users;
	struct tencent_user u;

	ck_assert_int_eq(tencent_user_parse(SLICE("{\"userid\":\"u\",\"username\":\"甲\",\"status\":\"1\"}"), &arena, &u), 0);
	ck_assert_int_eq(u.status, 1);
	ck_assert_int_eq(tencent_users_parse(SLICE("{\"total_count\":2,\"users\":[{\"userid\":\"a\"},{},{\"userid\":\"b\"}]}"), &arena,
	    &users), 0);
	ck_assert_uint_eq(users.n, 2);
	ck_assert(slice_is(users.items[1].userid, "b"));
}
END_TEST

/* What each answer must not be. */
static const struct { char which; const char *body; int rc; } bad[] = {
	{'m', "", ERR_MALFORMED}, {'m', "[]", ERR_MALFORMED}, {'m', "{}", ERR_MALFORMED},
	{'m', "{\"meeting_info_list\":{}}", ERR_MALFORMED}, {'m', "{\"meeting_info_list\":[]}", ERR_NOT_FOUND},
	{'m', "{\"meeting_info_list\":[1]}", ERR_NOT_FOUND}, {'m', "{\"meeting_info_list\":[{}]}", ERR_MALFORMED},
	{'p', "<html>", ERR_MALFORMED}, {'p', "{}", ERR_MALFORMED}, {'p', "{\"meeting_id\":\"1\",\"participants\":{}}", ERR_MALFORMED},
	{'p', "{\"meeting_id\":\"1\",\"has_remaining\":true}", ERR_MALFORMED},
	{'p', "{\"meeting_id\":\"1\",\"has_remaining\":true,\"next_pos\":5}", ERR_MALFORMED},
	{'r', "", ERR_MALFORMED}, {'r', "{}", ERR_MALFORMED}, {'r', "{\"total_count\":1}", ERR_MALFORMED},
	{'r', "{\"record_meetings\":\"x\"}", ERR_MALFORMED},
	{'a', "", ERR_MALFORMED}, {'a', "{}", ERR_MALFORMED}, {'a', "{\"record_file_id\":[]}", ERR_MALFORMED},
	{'t', "", ERR_MALFORMED}, {'t', "{}", ERR_MALFORMED}, {'t', "{\"minutes\":{}}", ERR_MALFORMED},
	{'t', "{\"minutes\":{\"paragraphs\":[{}]}}", ERR_MALFORMED}, {'t', "{\"minutes\":{\"paragraphs\":[{\"pid\":-1}]}}", ERR_MALFORMED},
	{'t', "{\"minutes\":{\"paragraphs\":[{\"pid\":9223372036854775807}]}}", ERR_MALFORMED},
	{'t', "{\"more\":true,\"minutes\":{\"paragraphs\":[]}}", ERR_MALFORMED},
	{'t', "{\"more\":true,\"minutes\":{\"paragraphs\":[{\"pid\":4}]}}", ERR_MALFORMED},
	{'s', "", ERR_MALFORMED}, {'s', "{}", ERR_MALFORMED}, {'s', "{\"ai_summary\":1}", ERR_MALFORMED},
	{'n', "", ERR_MALFORMED}, {'n', "{}", ERR_MALFORMED}, {'n', "{\"meeting_minute\":\"x\"}", ERR_MALFORMED},
	{'o', "", ERR_MALFORMED}, {'o', "{}", ERR_MALFORMED}, {'o', "{\"ai_topic_list\":{}}", ERR_MALFORMED},
	{'u', "", ERR_MALFORMED}, {'u', "{}", ERR_MALFORMED}, {'U', "", ERR_MALFORMED}, {'U', "{\"users\":{}}", ERR_MALFORMED},
};

START_TEST(answers_that_are_none)
{
	union {
		struct tencent_meeting_detail m;
		struct tencent_participants p;
		struct tencent_records r;
		struct tencent_addresses a;
		struct tencent_transcript t;
		struct tencent_topics o;
		struct tencent_user u;
		struct tencent_users us;
		struct slice s[2];
	} x;
	struct slice body = slice_str(bad[_i].body);
	char w = bad[_i].which;
	int rc = w == 'm' ? tencent_meeting_parse(body, &arena, &x.m) : w == 'p' ? tencent_participants_parse(body, 5, &arena, &x.p) :
	    w == 'r' ? tencent_records_parse(body, &arena, &x.r) : w == 'a' ? tencent_address_parse(body, &arena, &x.a) :
	    w == 't' ? tencent_transcript_parse(body, 5, &arena, &x.t) : w == 's' ? tencent_summary_parse(body, &arena, &x.s[0]) :
	    w == 'n' ? tencent_minutes_parse(body, &arena, &x.s[0], &x.s[1]) : w == 'o' ? tencent_topics_parse(body, &arena, &x.o) :
	    w == 'u' ? tencent_user_parse(body, &arena, &x.u) : tencent_users_parse(body, &arena, &x.us);

	ck_assert_msg(rc == bad[_i].rc, "%c %s: %s", w, bad[_i].body, err_name(rc));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("tencent_rest_wire");
	TCase *tc = tcase_create("wire");

	if (crypto_init() != 0)
		return 1;
	tcase_add_test(tc, signature_vectors);
	LOOP(tc, signing_refuses, signs);
	tcase_add_test(tc, without_sdk_id_there_is_no_header);
	tcase_add_test(tc, addresses);
	tcase_add_test(tc, addresses_that_are_none);
	LOOP(tc, answers_are_judged, judged);
	tcase_add_test(tc, meeting_detail);
	tcase_add_test(tc, participants);
	tcase_add_test(tc, records);
	tcase_add_test(tc, download_addresses);
	tcase_add_test(tc, transcript);
	tcase_add_test(tc, smart);
	tcase_add_test(tc, people);
	LOOP(tc, answers_that_are_none, bad);
	suite_add_tcase(s, tc);
	return run_suite(s, &arena);
}
