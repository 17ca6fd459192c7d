/*
 * Fuzz entry: bytes as a stream of events, cut into pieces as its first byte says. What
 * the parser makes of the pieces is what another reading makes of the whole, line by
 * line; and the same bytes as answers of a model, in a stream and whole.
 */
#include "fuzz.h"
#include "openai_wire.h"

#include "base/err.h"

static void note(struct buf *out, struct slice name, struct slice data)
{
	buf_append(out, name);
	buf_append_char(out, '\0');
	buf_append(out, data);
	buf_append_char(out, '\1');
}

static int note_event(void *arg, struct slice name, struct slice data)
{
	note(arg, name, data);
	return 0;
}

/* The line at the front of rest; false when it has no end. */
static bool take_line(struct slice *rest, struct slice *ret)
{
	for (size_t i = 0; i < rest->len; i++) {
		size_t end = 1;

		if (rest->ptr[i] != '\n' && rest->ptr[i] != '\r')
			continue;
		if (rest->ptr[i] == '\r' && i + 1 < rest->len && rest->ptr[i + 1] == '\n')
			end = 2;
		*ret = slice_of(rest->ptr, i);
		*rest = slice_of(rest->ptr + i + end, rest->len - i - end);
		return true;
	}
	return false;
}

static void read_whole(struct slice text, struct buf *out)
{
	struct buf data = BUF_INIT(1 << 20);
	struct slice line, value, name = {"", 0};
	bool any = false;

	if (slice_starts_with(text, SLICE("\xef\xbb\xbf")))
		text = slice_of(text.ptr + 3, text.len - 3);
	while (take_line(&text, &line)) {
		if (line.len == 0) {
			if (any)
				note(out, name, buf_slice(&data));
			buf_clear(&data);
			name = SLICE("");
			any = false;
			continue;
		}
		value = SLICE("");
		for (size_t i = 0; i < line.len; i++) { /* at the first: the line ends there, and so does the loop */
			if (line.ptr[i] == ':') {
				value = slice_of(line.ptr + i + 1, line.len - i - 1);
				line.len = i;
			}
		}
		if (slice_starts_with(value, SLICE(" ")))
			value = slice_of(value.ptr + 1, value.len - 1);
		if (slice_is(line, "event"))
			name = value;
		if (slice_is(line, "data")) {
			if (any)
				buf_append_char(&data, '\n');
			buf_append(&data, value);
			any = true;
		}
	}
	buf_finish(&data);
}

static void try_events(struct slice text, size_t piece)
{
	struct sse_parser p = SSE_PARSER();
	struct buf seen = BUF_INIT(1 << 20), should = BUF_INIT(1 << 20);

	for (size_t at = 0; at < text.len; at += piece) {
		size_t len = text.len - at < piece ? text.len - at : piece;
		char *copy = fuzz_copy(slice_of(text.ptr + at, len));

		check(sse_feed(&p, slice_of(copy, len), note_event, &seen) == 0);
		free(copy);
	}
	read_whole(text, &should);
	check(slice_eq(buf_slice(&seen), buf_slice(&should)));
	sse_finish(&p);
	buf_finish(&seen);
	buf_finish(&should);
}

static void try_stream(struct slice text, size_t piece)
{
	struct arena scratch = ARENA_INIT(16 << 20);
	struct openai_answer answer;
	struct openai_stream s;
	int rc = 0, end;

	openai_stream_init(&s, &scratch);
	for (size_t at = 0; at < text.len && rc == 0; at += piece)
		rc = openai_stream_feed(&s, slice_of(text.ptr + at, text.len - at < piece ? text.len - at : piece));
	check(rc == 0 || rc == ERR_MALFORMED || rc == ERR_CANCELLED || rc == ERR_TOO_BIG);
	check(s.failed == (rc == ERR_CANCELLED));
	end = openai_stream_end(&s, &answer);
	check(rc == 0 ? end == 0 || end == ERR_END : end == rc);
	openai_stream_finish(&s);
	arena_finish(&scratch);
}

static void try_answers(struct slice text)
{
	struct openai_hints hints = {text, text, text, 1760000400};
	struct arena a = ARENA_INIT(64 << 20);
	struct openai_transcript transcript;
	struct openai_answer answer;
	struct openai_error error;
	const char *why;

	if (openai_chat_parse(text, &a, &answer) == 0)
		check((openai_answer_check(&answer, OPENAI_JSON_OBJECT, &why) == 0) == (why == NULL));
	if (openai_transcript_parse(text, &a, &transcript) == 0)
		for (size_t i = 0; i < transcript.n_segments; i++)
			check(transcript.segments[i].start_ms >= 0 && transcript.segments[i].end_ms >= 0);
	check(openai_error_parse(429, text, &hints, &a, &error) == 0);
	check(error.retry_after_ms >= -1 && error.retry_after_ms <= 3600000);
	arena_finish(&a);
}

void fuzz_one(struct slice input)
{
	size_t piece;

	if (input.len == 0)
		return;
	piece = (uint8_t)input.ptr[0] % 64 + 1;
	input = slice_of(input.ptr + 1, input.len - 1);
	try_events(input, piece);
	try_stream(input, piece);
	try_answers(input);
}
