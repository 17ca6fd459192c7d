/* What OpenAI and its like answer, whole: chats, errors, transcripts. */
#include "openai_wire.h"

#include <stdio.h>

#include "base/clock.h"
#include "openai_private.h"
#include "wire_json.h"

/* --- chat ------------------------------------------------------------------------------------- */

enum openai_finish openai_finish_of(struct slice reason)
{
	if (reason.len == 0)
		return OPENAI_UNFINISHED;
	return slice_is(reason, "stop") ? OPENAI_STOP : slice_is(reason, "length") ? OPENAI_LENGTH :
	    slice_is(reason, "content_filter") ? OPENAI_FILTERED : OPENAI_OTHER;
}

void openai_usage_of(struct json_value v, struct arena *a, struct openai_usage *usage)
{
	struct json_value u;

	if (!wire_member(v, "usage", JSON_OBJECT, &u))
		return;
	/* The Responses interface calls them input and output. */
	usage->prompt = wire_int(u, "prompt_tokens", wire_int(u, "input_tokens", 0, a), a);
	usage->completion = wire_int(u, "completion_tokens", wire_int(u, "output_tokens", 0, a), a);
	usage->total = wire_int(u, "total_tokens", 0, a);
}

int openai_chat_parse(struct slice body, struct arena *a, struct openai_answer *ret)
{
	struct openai_answer answer = {0};
	struct json_value root, choices, choice, message;
	struct json_reader r;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	if (!wire_member(root, "choices", JSON_ARRAY, &choices))
		return ERR_MALFORMED;
	json_enter(&r, choices);
	if (!wire_next(&r, &choice) || !wire_member(choice, "message", JSON_OBJECT, &message))
		return ERR_MALFORMED;
	answer.content = wire_text(message, "content", a);
	answer.refusal = wire_text(message, "refusal", a);
	answer.finish = openai_finish_of(wire_text(choice, "finish_reason", a));
	answer.model = wire_text(root, "model", a);
	answer.id = wire_text(root, "id", a);
	openai_usage_of(root, a, &answer.usage);
	*ret = answer;
	return 0;
}

int openai_answer_check(const struct openai_answer *answer, enum openai_format format, const char **ret_why)
{
	const char *why = NULL;

	if (answer->refusal.len > 0)
		why = "refusal";
	else if (answer->finish == OPENAI_LENGTH)
		why = "length";
	else if (answer->finish == OPENAI_FILTERED)
		why = "filtered";
	else if (answer->finish != OPENAI_STOP)
		why = "unfinished";
	else if (answer->content.len == 0)
		why = "empty";
	else if (format != OPENAI_TEXT &&
	    (json_scan(answer->content, NULL, NULL) != 0 || json_root(answer->content).type != JSON_OBJECT))
		why = "not_json";
	*ret_why = why;
	return why == NULL ? 0 : ERR_INVALID;
}

/* --- errors -------------------------------------------------------------------------------------- */

static enum answer_class class_of(int status, struct slice code)
{
	/* The official client would repeat it: an account without money answers 429 for ever. */
	if (slice_is(code, "insufficient_quota"))
		return ANSWER_CONFIG;
	if (status == 401 || status == 403 || slice_is(code, "invalid_api_key"))
		return ANSWER_CONFIG;
	if (slice_is(code, "model_not_found"))
		return ANSWER_CONFIG;
	if (status == 0 || status == 408 || status == 409 || status == 429 || status >= 500)
		return ANSWER_RETRY;
	return ANSWER_REFUSED;
}

static int month_of(struct slice name)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++)
		if (name.len == 3 && memcmp(names + 3 * i, name.ptr, 3) == 0)
			return i + 1;
	return 0;
}

/* "Thu, 09 Oct 2025 09:00:00 GMT" in seconds since 1970; -1 for anything else. */
static int64_t http_date_s(struct slice text)
{
	char iso[32];
	int64_t us;
	int month;

	if (text.len != TIME_TEXT_HTTP_LEN || memcmp(text.ptr + 25, " GMT", 4) != 0)
		return -1;
	month = month_of(slice_of(text.ptr + 8, 3));
	snprintf(iso, sizeof(iso), "%.4s-%02d-%.2sT%.8sZ", text.ptr + 12, month, text.ptr + 5, text.ptr + 17);
	return time_parse_us(slice_str(iso), &us) == 0 ? us / 1000000 : -1;
}

static int64_t retry_after_of(const struct openai_hints *h)
{
	const int64_t hour_ms = 3600000;
	struct slice text = slice_trim(h->retry_after_ms), whole, fraction;
	int64_t n, ms = -1;

	slice_cut(text, '.', &whole, &fraction);
	if (slice_to_i64(whole, &n) == 0 && n >= 0) {
		ms = n;
	} else {
		text = slice_trim(h->retry_after);
		slice_cut(text, '.', &whole, &fraction);
		if (slice_to_i64(whole, &n) == 0 && n >= 0) {
			ms = n > hour_ms / 1000 ? hour_ms : n * 1000 + (fraction.len > 0 ? 1000 : 0);
		} else {
			n = http_date_s(text);
			if (n >= 0)
				ms = n <= h->now_s ? 0 : n - h->now_s > hour_ms / 1000 ? hour_ms : (n - h->now_s) * 1000;
		}
	}
	return ms > hour_ms ? hour_ms : ms;
}

int openai_error_parse(int status, struct slice body, const struct openai_hints *hints, struct arena *a,
    struct openai_error *ret)
{
	struct openai_error e = {.code = SLICE(""), .type = SLICE(""), .message = SLICE("")};
	struct json_value root, error;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc == ERR_NOMEM)
		return rc;
	if (rc == 0 && wire_member(root, "error", JSON_OBJECT, &error)) {
		e.code = wire_text(error, "code", a);
		e.type = wire_text(error, "type", a);
		e.message = wire_text(error, "message", a);
		if (e.code.len == 0 && slice_is(e.type, "insufficient_quota"))
			e.code = e.type;
	}
	e.is = class_of(status, e.code);
	/* The vendor knows best, except that nobody pays by asking again. */
	if (slice_is(hints->should_retry, "false") && e.is == ANSWER_RETRY)
		e.is = ANSWER_REFUSED;
	if (slice_is(hints->should_retry, "true") && e.is == ANSWER_REFUSED)
		e.is = ANSWER_RETRY;
	e.retry_after_ms = retry_after_of(hints);
	*ret = e;
	return 0;
}

/* --- transcripts ------------------------------------------------------------------------------------ */

/* Seconds, with a fraction, to the nearest millisecond. 0 when there are none, or no time of a recording. */
static int64_t ms_at(struct json_value v, const char *name)
{
	struct json_value n;
	double s;

	if (!json_member(v, name, &n) || n.type != JSON_NUMBER || json_double(n, &s) != 0 || !(s > 0 && s < 1e9))
		return 0;
	return (int64_t)(s * 1000 + 0.5);
}

static int pieces_of(struct json_value root, const char *list_name, const char *text_name, struct arena *a,
    struct openai_segment **ret, size_t *ret_n)
{
	struct json_value list, item;
	struct json_reader r;

	if (!wire_member(root, list_name, JSON_ARRAY, &list))
		return 0;
	*ret = arena_calloc(a, wire_count(list) + 1, sizeof(**ret));
	if (*ret == NULL)
		return ERR_NOMEM;
	json_enter(&r, list);
	while (wire_next(&r, &item))
		(*ret)[(*ret_n)++] = (struct openai_segment){ms_at(item, "start"), ms_at(item, "end"), wire_text(item, text_name, a)};
	return 0;
}

int openai_transcript_parse(struct slice body, struct arena *a, struct openai_transcript *ret)
{
	struct openai_transcript t = {0};
	struct json_value root, text, usage;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc != 0)
		return rc;
	if (!wire_member(root, "text", JSON_STRING, &text))
		return ERR_MALFORMED;
	t.text = wire_text(root, "text", a);
	t.language = wire_text(root, "language", a);
	t.duration_ms = ms_at(root, "duration");
	openai_usage_of(root, a, &t.usage);
	if (wire_member(root, "usage", JSON_OBJECT, &usage))
		t.billed_ms = ms_at(usage, "seconds");
	rc = pieces_of(root, "segments", "text", a, &t.segments, &t.n_segments);
	if (rc == 0)
		rc = pieces_of(root, "words", "word", a, &t.words, &t.n_words);
	if (rc == 0)
		*ret = t;
	return rc;
}
