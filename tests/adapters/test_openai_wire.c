/* OpenAI's interface: requests, streams and errors by their vectors; answers good and bad. */
#include <check.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

#include "lib/vectors.h"
#include "openai_wire.h"

static struct arena arena = ARENA_INIT(64 << 20);

static struct slice t(struct json_value v, const char *path)
{
	return text_at(&arena, v, path);
}

/* --- requests ----------------------------------------------------------------------------------- */

static void same_json(struct slice is, struct slice should, struct slice id)
{
	cJSON *a = cJSON_ParseWithLength(is.ptr, is.len), *b = cJSON_ParseWithLength(should.ptr, should.len);

	ck_assert_msg(a != NULL && cJSON_Compare(a, b, true), "%.*s: %.*s", SLICE_ARG(id), SLICE_ARG(is));
	cJSON_Delete(a);
	cJSON_Delete(b);
}

static void judge_head(struct json_value one, const char *path)
{
	struct slice url, bearer;

	ck_assert_int_eq(openai_url(SLICE("https://h/v1/"), path, &arena, &url), 0);
	ck_slice_eq(slice_of(url.ptr + 9, url.len - 9), t(one, "expect.request.path"), t(one, "id"));
	ck_assert_int_eq(openai_authorization(t(one, "input.api_key"), &arena, &bearer), 0);
	ck_slice_eq(bearer, t(one, "expect.request.headers.authorization"), t(one, "id"));
}

static void judge_request(struct json_value one)
{
	const struct openai_message messages[] = {{"system", SLICE("你是助手")}, {"user", SLICE("hi")}};
	const struct openai_chat chat = {.model = SLICE("fake-model"), .messages = messages, .n_messages = 2,
	    .has_temperature = true, .temperature = 0.7, .max_tokens = 100, .old_max_tokens = true};
	struct openai_answer answer;
	struct buf body = BUF_INIT(4096);
	const char *why;

	judge_head(one, "/chat/completions");
	ck_assert_int_eq(openai_body_chat(&body, &chat), 0);
	same_json(buf_slice(&body), t(one, "expect.request.body_json"), t(one, "id"));
	buf_finish(&body);
	ck_assert_int_eq(openai_chat_parse(t(one, "reply"), &arena, &answer), 0);
	ck_slice_eq(answer.content, t(one, "parsed.content"), t(one, "id"));
	ck_assert_int_eq(answer.finish, OPENAI_STOP);
	ck_assert_int_eq(answer.usage.total, 15);
	ck_assert_int_eq(openai_answer_check(&answer, OPENAI_JSON_SCHEMA, &why), 0);
}

static void judge_multipart(struct json_value one)
{
	struct slice format = t(one, "input.params.response_format"), id = t(one, "id"), content = t(one, "input.file.content_utf8");
	bool verbose = slice_is(format, "verbose_json");
	struct openai_transcription tr = {t(one, "input.file.name"), t(one, "input.params.model"), t(one, "input.params.language"),
	    {0}, arena_dup(&arena, format).ptr, true, 0, verbose, verbose};
	struct buf before = BUF_INIT(4096), after = BUF_INIT(4096);
	struct openai_transcript parsed;

	judge_head(one, "audio/transcriptions");
	ck_assert_int_eq(openai_body_transcription(&tr, SLICE("BOUNDARY"), content.len, &before, &after), 0);
	buf_append(&before, content);
	buf_append(&before, buf_slice(&after));
	ck_slice_eq(buf_slice(&before), t(one, "expect.request.body_with_boundary_replaced"), id);
	if (verbose) {
		ck_assert_int_eq(openai_transcript_parse(t(one, "reply"), &arena, &parsed), 0);
		ck_assert(slice_is(parsed.text, "你好"));
		ck_assert_int_eq(parsed.duration_ms, 1500);
		ck_assert_uint_eq(parsed.n_segments, 1);
		ck_assert_int_eq(parsed.segments[0].end_ms, 1500);
	}
	buf_finish(&before);
	buf_finish(&after);
}

/* --- streams -------------------------------------------------------------------------------------- */

/* In pieces of so many bytes. */
static int run_stream(struct openai_stream *s, struct slice body, size_t piece, struct arena *scratch)
{
	int rc = 0;

	openai_stream_init(s, scratch);
	for (size_t at = 0; at < body.len && rc == 0; at += piece)
		rc = openai_stream_feed(s, slice_of(body.ptr + at, body.len - at < piece ? body.len - at : piece));
	return rc;
}

static void judge_stream(struct json_value one)
{
	static const size_t pieces[] = {1, 2, 3, 7, 13, 33, 1000000};
	struct slice id = t(one, "id"), body = t(one, "input.body_utf8"), total = t(one, "expect.usage.total_tokens"), events;
	struct arena scratch = ARENA_INIT(1 << 20);

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct openai_hints hints = {0};
		struct openai_answer answer = {0};
		struct openai_stream s;
		struct openai_error e;
		int rc = run_stream(&s, body, pieces[i], &scratch);

		if (slice_is(t(one, "expect.throws"), "true")) {
			ck_assert_int_eq(rc, ERR_CANCELLED);
			ck_assert(s.failed);
			ck_assert_int_eq(openai_stream_feed(&s, SLICE("data: [DONE]\n\n")), ERR_CANCELLED);
			ck_assert_int_eq(openai_stream_end(&s, &answer), ERR_CANCELLED);
			ck_assert_int_eq(openai_error_parse(0, buf_slice(&s.error_body), &hints, &arena, &e), 0);
			ck_slice_eq(e.message, t(one, "expect.message_contains"), id);
			ck_assert_int_eq(e.is, ANSWER_RETRY);
			openai_stream_finish(&s);
			continue;
		}
		ck_assert_int_eq(rc, 0);
		rc = openai_stream_end(&s, &answer);
		ck_slice_eq(buf_slice(&s.content), t(one, "expect.content"), id);
		ck_assert(s.done == slice_is(t(one, "expect.done"), "true"));
		ck_assert_int_eq(rc, t(one, "expect.treat_as").ptr != NULL ? ERR_END : 0);
		ck_assert(rc != 0 || answer.finish == OPENAI_STOP);
		if (total.ptr != NULL)
			ck_assert_str_eq(arena_printf(&arena, "%d", (int)answer.usage.total), arena_dup(&arena, total).ptr);
		events = t(one, "expect.events");
		if (events.ptr != NULL)
			ck_assert_str_eq(arena_printf(&arena, "%u", s.n_events), arena_dup(&arena, events).ptr);
		openai_stream_finish(&s);
	}
	arena_finish(&scratch);
}

/* --- errors ------------------------------------------------------------------------------------------ */

/* What the client did with each answer: repeated it or not, and when the headers said so, after how long. */
static void judge_retry(struct json_value one)
{
	struct slice id = t(one, "id"), ok = t(one, "expect.ok");
	struct json_value replies, reply;
	struct json_reader r;
	unsigned n = 0;
	int64_t attempts;

	ck_assert_int_eq(slice_to_i64(t(one, "expect.attempts"), &attempts), 0);
	ck_assert(value_at(&arena, one, "input.replies", &replies));
	json_enter(&r, replies);
	while (json_next(&r, NULL, &reply)) {
		struct openai_hints hints = {t(reply, "headers.x-should-retry"), t(reply, "headers.retry-after-ms"),
		    t(reply, "headers.retry-after"), 0};
		struct openai_error e;
		int64_t status;

		n++;
		ck_assert_int_eq(slice_to_i64(t(reply, "status"), &status), 0);
		if (status == 200)
			continue;
		ck_assert_int_eq(openai_error_parse((int)status, t(reply, "body"), &hints, &arena, &e), 0);
		ck_assert_msg((e.is == ANSWER_RETRY) == (attempts > 1), "%.*s: %s", SLICE_ARG(id), answer_class_name(e.is));
		if (hints.retry_after_ms.len > 0)
			ck_assert_int_eq(e.retry_after_ms, 300);
		else
			ck_assert_int_eq(e.retry_after_ms, hints.retry_after.len > 0 ? 1000 : -1);
		if (slice_is(ok, "false") && t(one, "expect.code").ptr != NULL)
			ck_slice_eq(e.code, t(one, "expect.code"), id);
	}
	ck_assert_int_eq(n, attempts);
}

START_TEST(all_vectors)
{
	struct vectors v;

	vectors_open(&v, &arena, "openai-http.json");
	while (vectors_next(&v)) {
		struct slice kind = t(v.one, "kind");

		if (slice_is(kind, "request"))
			judge_request(v.one);
		else if (slice_is(kind, "multipart"))
			judge_multipart(v.one);
		else if (slice_is(kind, "sse") || slice_is(kind, "sse-error"))
			judge_stream(v.one);
		else if (slice_is(kind, "retry"))
			judge_retry(v.one);
		else
			ck_abort_msg("%.*s", SLICE_ARG(kind));
	}
	vectors_close(&v, 20);
}
END_TEST

static const struct { int status; const char *body, *should, *ms, *s; enum answer_class is; int64_t after_ms; } errors[] = {
	{429, "{\"error\":{\"code\":\"insufficient_quota\"}}", "", "", "", ANSWER_CONFIG, -1},
	{429, "{\"error\":{\"type\":\"insufficient_quota\",\"code\":null}}", "", "", "", ANSWER_CONFIG, -1},
	{429, "{\"error\":{\"code\":\"insufficient_quota\"}}", "true", "", "", ANSWER_CONFIG, -1},
	{408, "", "", "", "", ANSWER_RETRY, -1}, {409, "x", "", "", "", ANSWER_RETRY, -1},
	{503, "<html>", "", "", "5", ANSWER_RETRY, 5000}, {403, "[]", "", "", "", ANSWER_CONFIG, -1},
	{422, "{\"error\":\"text\"}", "", "", "", ANSWER_REFUSED, -1},
	{429, "", "", "99999999", "", ANSWER_RETRY, 3600000}, {429, "", "", "x", "2", ANSWER_RETRY, 2000},
	{429, "", "", "", "-5", ANSWER_RETRY, -1}, {429, "", "", "", "99999999", ANSWER_RETRY, 3600000},
	{429, "", "", "", "99999999999999999999", ANSWER_RETRY, -1}, {429, "", "", "", "1.5", ANSWER_RETRY, 2000},
	{429, "", "", "", "Thu, 09 Oct 2025 09:00:10 GMT", ANSWER_RETRY, 10000},
	{429, "", "", "", "Thu, 09 Oct 2025 08:00:00 GMT", ANSWER_RETRY, 0},
	{429, "", "", "", "Thu, 09 Oct 2026 08:00:00 GMT", ANSWER_RETRY, 3600000},
	{429, "", "", "", "Thu, 09 Xxx 2025 08:00:00 GMT", ANSWER_RETRY, -1},
	{429, "", "", "", "Thu, 09 Oct 2025 08:00:00 CET", ANSWER_RETRY, -1},
};

START_TEST(classes_of_errors)
{
	struct openai_hints hints = {slice_str(errors[_i].should), slice_str(errors[_i].ms), slice_str(errors[_i].s), 1760000400};
	struct openai_error e;

	ck_assert_int_eq(openai_error_parse(errors[_i].status, slice_str(errors[_i].body), &hints, &arena, &e), 0);
	ck_assert_msg(e.is == errors[_i].is, "%d: %s", _i, answer_class_name(e.is));
	ck_assert_int_eq(e.retry_after_ms, errors[_i].after_ms);
}
END_TEST

/* --- what may not be asked ------------------------------------------------------------------------------ */

START_TEST(structured_output)
{
	const struct openai_message message = {"user", SLICE("hi")};
	struct openai_chat chat = {.model = SLICE("m"), .messages = &message, .n_messages = 1, .max_tokens = 9,
	    .format = OPENAI_JSON_SCHEMA, .schema_name = "minutes", .schema = SLICE("{\"type\":\"object\"}"), .stream = true};
	struct buf body = BUF_INIT(4096);

	ck_assert_int_eq(openai_body_chat(&body, &chat), 0);
	ck_assert_str_eq(body.ptr, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"max_completion_tokens\":9,"
	    "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"minutes\",\"strict\":true,\"schema\":"
	    "{\"type\":\"object\"}}},\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
	buf_clear(&body);
	chat.format = OPENAI_JSON_OBJECT;
	chat.stream = false;
	chat.has_temperature = true; /* of 0: sent, not left to a default */
	ck_assert_int_eq(openai_body_chat(&body, &chat), 0);
	ck_assert_str_eq(body.ptr, "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"temperature\":0,"
	    "\"max_completion_tokens\":9,\"response_format\":{\"type\":\"json_object\"}}");
	buf_finish(&body);
}
END_TEST

START_TEST(chats_that_are_none)
{
	const struct openai_message message = {"user", SLICE("hi")}, broken = {"user", SLICE("\xff")}, nobody = {NULL, SLICE("hi")};
	const struct openai_chat good = {.model = SLICE("m"), .messages = &message, .n_messages = 1,
	    .format = OPENAI_JSON_SCHEMA, .schema_name = "n", .schema = SLICE("{}")};
	struct openai_chat c[13];
	struct buf body = BUF_INIT(4096);

	for (int i = 0; i < 13; i++)
		c[i] = good;
	c[0].model = SLICE("");
	c[1].n_messages = 0;
	c[2].messages = &broken;
	c[3].messages = &nobody;
	c[4].has_temperature = true, c[4].temperature = 2.1;
	c[5].has_temperature = true, c[5].temperature = -1;
	c[6].has_temperature = true, c[6].temperature = __builtin_nan("");
	c[7].schema = SLICE("[]");
	c[8].schema = SLICE("{");
	c[9].schema_name = "a b";
	c[10].schema_name = NULL;
	c[11].max_tokens = -1;
	c[12].model = SLICE("\xff");
	for (int i = 0; i < 13; i++)
		ck_assert_msg(openai_body_chat(&body, &c[i]) == ERR_INVALID, "%d", i);
	ck_assert_uint_eq(body.len, 0);
	ck_assert_int_eq(openai_body_chat(&body, &good), 0);
	buf_finish(&body);
}
END_TEST

static const struct { const char *file, *boundary, *prompt; uint64_t bytes; int rc; } uploads[] = {
	{"a.wav", "b", "", 1, 0}, {"a.b.M4A", "b", "", OPENAI_AUDIO_MAX, 0},
	{"a.wav", "b", "", 0, ERR_INVALID}, {"a.wav", "b", "", OPENAI_AUDIO_MAX + 1, ERR_INVALID},
	{"a.txt", "b", "", 1, ERR_INVALID}, {"wav", "b", "", 1, ERR_INVALID}, {".wav", "b", "", 1, ERR_INVALID},
	{"", "b", "", 1, ERR_INVALID}, {"a\r\nb.wav", "b", "", 1, ERR_INVALID}, {"a\xff.wav", "b", "", 1, ERR_INVALID},
	{"a.wav", "", "", 1, ERR_INVALID}, {"a.wav", "b c", "", 1, ERR_INVALID}, {"a.wav", "b\r\n", "", 1, ERR_INVALID},
	{"a.wav", "b", "x\r\n--b", 1, ERR_INVALID}, {"a.wav", "b", "\x7f", 1, ERR_INVALID},
	{"a.wav", "12345678901234567890123456789012345678901234567890123456789012345678901", "", 1, ERR_INVALID},
};

START_TEST(uploads_that_are_none)
{
	struct openai_transcription tr = {.file_name = slice_str(uploads[_i].file), .model = SLICE("m"),
	    .prompt = slice_str(uploads[_i].prompt)};
	struct buf before = BUF_INIT(4096), after = BUF_INIT(4096);

	ck_assert_int_eq(openai_body_transcription(&tr, slice_str(uploads[_i].boundary), uploads[_i].bytes, &before, &after),
	    uploads[_i].rc);
	buf_finish(&before);
	buf_finish(&after);
}
END_TEST

START_TEST(a_quote_in_a_file_name)
{
	struct openai_transcription tr = {.file_name = SLICE("a\"; name=\"x.wav"), .model = SLICE("m")};
	struct buf before = BUF_INIT(4096), after = BUF_INIT(4096);

	ck_assert_int_eq(openai_body_transcription(&tr, SLICE("b"), 1, &before, &after), 0);
	ck_assert(strstr(before.ptr, "filename=\"a%22; name=%22x.wav\"\r\n") != NULL);
	buf_finish(&before);
	buf_finish(&after);
}
END_TEST

static const struct { const char *base, *url; } urls[] = {
	{"https://h/v1", "https://h/v1/x"}, {"https://h/v1///", "https://h/v1/x"}, {"http://127.0.0.1:8080", "http://127.0.0.1:8080/x"},
	{"", NULL}, {"h/v1", NULL}, {"ftp://h", NULL}, {"https://h/v 1", NULL}, {"https://h\r\nx: y", NULL}, {"///", NULL},
};

START_TEST(addresses)
{
	struct slice url;

	ck_assert_int_eq(openai_url(slice_str(urls[_i].base), "/x", &arena, &url), urls[_i].url == NULL ? ERR_INVALID : 0);
	if (urls[_i].url != NULL)
		ck_assert(slice_is(url, urls[_i].url));
	ck_assert_int_eq(openai_authorization(SLICE("sk\r\nx: y"), &arena, &url), ERR_INVALID);
	ck_assert_int_eq(openai_authorization(SLICE(""), &arena, &url), ERR_INVALID);
}
END_TEST

/* --- answers ---------------------------------------------------------------------------------------------- */

#define MESSAGE(content, finish) "{\"choices\":[{\"message\":{\"content\":" content "},\"finish_reason\":" finish "}]}"

static const struct { const char *body; int rc; const char *why; } answers[] = {
	{MESSAGE("\"{}\"", "\"stop\""), 0, NULL},
	{MESSAGE("\"{}\"", "\"length\""), 0, "length"},
	{MESSAGE("\"{}\"", "\"content_filter\""), 0, "filtered"},
	{MESSAGE("\"{}\"", "\"tool_calls\""), 0, "unfinished"},
	{MESSAGE("\"{}\"", "null"), 0, "unfinished"},
	{MESSAGE("\"\"", "\"stop\""), 0, "empty"},
	{MESSAGE("null", "\"stop\""), 0, "empty"},
	{MESSAGE("\"[]\"", "\"stop\""), 0, "not_json"},
	{MESSAGE("\"```json {}```\"", "\"stop\""), 0, "not_json"},
	{MESSAGE("\"{\\\"a\\\":1,\\\"a\\\":2}\"", "\"stop\""), 0, "not_json"},
	{"{\"choices\":[{\"message\":{\"content\":\"{}\",\"refusal\":\"no\"},\"finish_reason\":\"stop\"}]}", 0, "refusal"},
	{"", ERR_MALFORMED, NULL}, {"[]", ERR_MALFORMED, NULL}, {"{}", ERR_MALFORMED, NULL},
	{"{\"choices\":[]}", ERR_MALFORMED, NULL}, {"{\"choices\":[1]}", ERR_MALFORMED, NULL},
	{"{\"choices\":[{}]}", ERR_MALFORMED, NULL}, {"{\"choices\":{\"message\":{}}}", ERR_MALFORMED, NULL},
};

START_TEST(answers_whole)
{
	struct openai_answer answer;
	const char *why = NULL;

	ck_assert_int_eq(openai_chat_parse(slice_str(answers[_i].body), &arena, &answer), answers[_i].rc);
	if (answers[_i].rc != 0)
		return;
	ck_assert_int_eq(openai_answer_check(&answer, OPENAI_JSON_OBJECT, &why), answers[_i].why == NULL ? 0 : ERR_INVALID);
	if (answers[_i].why == NULL)
		ck_assert_ptr_null(why);
	else
		ck_assert_str_eq(why, answers[_i].why);
}
END_TEST

static const struct { const char *body; int rc; } transcripts[] = {
	{"{\"text\":\"\"}", 0}, {"{\"text\":\"a\",\"duration\":-1,\"segments\":[{\"start\":1e300}],\"words\":{}}", 0},
	{"", ERR_MALFORMED}, {"{}", ERR_MALFORMED}, {"{\"text\":1}", ERR_MALFORMED}, {"1\n00:00 --> 00:01\nx\n", ERR_MALFORMED},
};

START_TEST(transcripts_read)
{
	struct openai_transcript tr;

	ck_assert_int_eq(openai_transcript_parse(slice_str(transcripts[_i].body), &arena, &tr), transcripts[_i].rc);
	if (transcripts[_i].rc == 0)
		ck_assert(tr.duration_ms == 0 && (tr.n_segments == 0 || tr.segments[0].start_ms == 0));
}
END_TEST

/* --- events, cut and bent ------------------------------------------------------------------------------------ */

static int note_event(void *arg, struct slice name, struct slice data)
{
	buf_printf(arg, "[%.*s|%.*s]", SLICE_ARG(name), SLICE_ARG(data));
	return 0;
}

static const struct { const char *text, *events; } streams[] = {
	{"data: a\n\n", "[|a]"}, {"data:a\n\n", "[|a]"}, {"data:  a\n\n", "[| a]"}, {"data\n\n", "[|]"}, {"data:\n\n", "[|]"},
	{"data: a\ndata: b\n\n", "[|a\nb]"}, {"event: x\ndata: a\n\ndata: b\n\n", "[x|a][|b]"}, {"event: x\n\ndata: a\n\n", "[|a]"},
	{"data: a\r\ndata: b\r\n\r\n", "[|a\nb]"}, {"data: a\rdata: b\r\r", "[|a\nb]"}, {"data: a\r\n\rdata: b\n\r\n", "[|a][|b]"},
	{": note\n\n\n\ndata: a\n\n", "[|a]"}, {"id: 1\nretry: 5\nother\ndata: a\n\n", "[|a]"}, {"data: a", ""}, {"data: a\n", ""},
	{"\xef\xbb\xbf" "data: a\n\n", "[|a]"}, {"\xef\xbb" "data: a\n\n", ""}, {"dat\xef\xbb\xbf" "a: a\n\ndata: b\n\n", "[|b]"},
	{"data: a:b: c\n\n", "[|a:b: c]"}, {"Data: a\n\n", ""}, {" data: a\n\n", ""},
};

START_TEST(events)
{
	struct slice text = slice_str(streams[_i].text);

	for (size_t cut = 0; cut <= text.len; cut++) {
		struct sse_parser p = SSE_PARSER();
		struct buf seen = BUF_INIT(4096);

		buf_append_str(&seen, "");
		ck_assert_int_eq(sse_feed(&p, slice_of(text.ptr, cut), note_event, &seen), 0);
		ck_assert_int_eq(sse_feed(&p, slice_of(text.ptr + cut, text.len - cut), note_event, &seen), 0);
		ck_assert_msg(slice_is(buf_slice(&seen), streams[_i].events), "%d cut at %zu: %.*s", _i, cut, SLICE_ARG(buf_slice(&seen)));
		sse_finish(&p);
		buf_finish(&seen);
	}
}
END_TEST

START_TEST(events_too_long)
{
	struct sse_parser p = SSE_PARSER(), q = SSE_PARSER();
	struct buf seen = BUF_INIT(4096), line = BUF_INIT(1 << 20);
	int rc = 0;

	buf_append_str(&line, "data: ");
	while (line.len < 1 << 16)
		buf_append_char(&line, 'x');
	for (int i = 0; i < 20 && rc == 0; i++)
		rc = sse_feed(&p, buf_slice(&line), note_event, &seen); /* one line that never ends */
	ck_assert_int_eq(rc, ERR_TOO_BIG);
	ck_assert_int_eq(sse_feed(&p, SLICE("\n\n"), note_event, &seen), ERR_TOO_BIG);
	buf_append_char(&line, '\n');
	rc = 0;
	for (int i = 0; i < 20 && rc == 0; i++)
		rc = sse_feed(&q, buf_slice(&line), note_event, &seen); /* one event that never ends */
	ck_assert_int_eq(rc, ERR_TOO_BIG);
	ck_assert_uint_eq(seen.len, 0);
	sse_finish(&p);
	sse_finish(&q);
	buf_finish(&line);
}
END_TEST

#define CHUNK(inner) "data: {\"choices\":[{\"index\":0," inner "}]}\n\n"

static const struct { const char *says, *text; int rc, end_rc; enum openai_finish finish; const char *content; } chats[] = {
	{"no [DONE], but a reason", CHUNK("\"delta\":{\"content\":\"a\"}") CHUNK("\"delta\":{},\"finish_reason\":\"stop\""), 0, 0,
	    OPENAI_STOP, "a"},
	{"[DONE] without a reason", CHUNK("\"delta\":{\"content\":\"a\"}") "data: [DONE]\n\n", 0, 0, OPENAI_UNFINISHED, "a"},
	{"cut", CHUNK("\"finish_reason\":\"length\"") "data: [DONE]\n\n", 0, 0, OPENAI_LENGTH, ""},
	{"another choice is not ours", "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}}]}\n\ndata: [DONE]\n\n", 0, 0,
	    OPENAI_UNFINISHED, ""},
	{"after [DONE] nothing counts", "data: [DONE]\n\n" CHUNK("\"delta\":{\"content\":\"a\"}"), 0, 0, OPENAI_UNFINISHED, ""},
	{"nothing", "", 0, ERR_END, 0, NULL},
	{"not JSON", "data: x\n\n", ERR_MALFORMED, ERR_MALFORMED, 0, NULL},
	{"a list", "data: []\n\n", ERR_MALFORMED, ERR_MALFORMED, 0, NULL},
	{"an error", "data: {\"error\":\"x\"}\n\n", ERR_CANCELLED, ERR_CANCELLED, 0, NULL},
	{"no error", "data: {\"error\":null}\n\ndata: [DONE]\n\n", 0, 0, OPENAI_UNFINISHED, ""},
	{"a response that failed", "data: {\"type\":\"response.failed\"}\n\n", ERR_CANCELLED, ERR_CANCELLED, 0, NULL},
	{"a response that was cut", "data: {\"type\":\"response.incomplete\"}\n\n", 0, 0, OPENAI_LENGTH, ""},
	{"HTML", "<html>\n\n</html>", 0, ERR_END, 0, NULL},
};

START_TEST(streams_of_chats)
{
	struct arena scratch = ARENA_INIT(1 << 20);
	struct openai_answer answer = {0};
	struct openai_stream s;

	ck_assert_msg(run_stream(&s, slice_str(chats[_i].text), 5, &scratch) == chats[_i].rc, "%s", chats[_i].says);
	ck_assert_msg(openai_stream_end(&s, &answer) == chats[_i].end_rc, "%s", chats[_i].says);
	if (chats[_i].content != NULL) {
		ck_assert(slice_is(answer.content, chats[_i].content));
		ck_assert_int_eq(answer.finish, chats[_i].finish);
	}
	openai_stream_finish(&s);
	arena_finish(&scratch);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("openai_wire");
	TCase *tc = tcase_create("wire");

	if (crypto_init() != 0)
		return 1;
	tcase_add_test(tc, all_vectors);
	LOOP(tc, classes_of_errors, errors);
	tcase_add_test(tc, structured_output);
	tcase_add_test(tc, chats_that_are_none);
	LOOP(tc, uploads_that_are_none, uploads);
	tcase_add_test(tc, a_quote_in_a_file_name);
	LOOP(tc, addresses, urls);
	LOOP(tc, answers_whole, answers);
	LOOP(tc, transcripts_read, transcripts);
	LOOP(tc, events, streams);
	tcase_add_test(tc, events_too_long);
	LOOP(tc, streams_of_chats, chats);
	suite_add_tcase(s, tc);
	return run_suite(s, &arena);
}
