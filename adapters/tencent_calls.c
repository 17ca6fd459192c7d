/* See tencent_calls.h. */
#include "tencent_calls.h"

#include <stdatomic.h>

#include "base/err.h"
#include "domain/event.h"
#include "net/http_client.h"
#include "vendor_call.h"

#define CALL_MS 10000
#define ANSWER_MAX ((size_t)8 << 20)
#define HEADERS_MAX (TENCENT_REST_HEADERS + 1)
#define TRANSCRIPT_PAGE 500 /* paragraphs */
#define PAGES_MAX 1000
#define MINUTE_MS 60000
#define DAY_LIMIT_MS (3600 * 1000) /* waits longer than an hour count as an hour */

static bool fails(struct effect_call *call, enum effect_outcome outcome, const char *class, const char *message)
{
	call->outcome = outcome;
	call->class = class;
	call->message = message;
	return false;
}

static bool out_of_memory(struct effect_call *call)
{
	return fails(call, EFFECT_RETRY, "memory", "There was no memory for it.");
}

/* ---- one request ----------------------------------------------------------------------- */

static int header_lines(const struct tencent_rest_signed *s, struct arena *a, const char *lines[HEADERS_MAX])
{
	for (size_t i = 0; i < s->n_headers; i++) {
		lines[i] = arena_printf(a, "%.*s: %.*s", SLICE_ARG(s->headers[i].name), SLICE_ARG(s->headers[i].value));
		if (lines[i] == NULL)
			return ERR_NOMEM;
	}
	lines[s->n_headers] = NULL;
	return 0;
}

/* Another nonce each time, within the digits the vendor's own examples have. */
static uint64_t new_nonce(const struct effect_call *call)
{
	return 1 + rng_below(call->rng, 999999999);
}

static int send_once(struct effect_call *call, const struct tencent_rest *rest, struct slice uri, struct http_result *ret)
{
	struct tencent_rest_signed s;
	const char *headers[HEADERS_MAX];
	struct http_call http = {.headers = headers, .timeout_ms = CALL_MS, .answer_max = ANSWER_MAX};
	int rc = tencent_rest_sign(&rest->keys, "GET", uri, SLICE(""), new_nonce(call), clock_wall_ms(call->clock) / 1000,
	    call->arena, &s);

	if (rc == 0)
		rc = header_lines(&s, call->arena, headers);
	http.url = arena_printf(call->arena, "%s%.*s", rest->base_url, SLICE_ARG(uri));
	if (rc == 0 && http.url == NULL)
		rc = ERR_NOMEM;
	return rc == 0 ? http_client_call(call->thread, &http, ret) : rc;
}

static int64_t retry_after_ms(const struct effect_call *call, const struct http_result *r,
    const struct tencent_rest_error *e)
{
	struct slice value;
	int64_t s;

	if (http_result_header(r, "retry-after", &value) && slice_to_i64(slice_trim(value), &s) == 0 && s > 0)
		return s > DAY_LIMIT_MS / 1000 ? DAY_LIMIT_MS : s * 1000;
	if (e->code == 190310) /* calls a minute: the next minute */
		return MINUTE_MS - clock_wall_ms(call->clock) % MINUTE_MS;
	return e->is == ANSWER_LIMIT && e->code != 0 ? DAY_LIMIT_MS : 0;
}

static const char *message_of(const struct tencent_rest_error *e)
{
	switch (e->code) {
	case 500125:
		return "Tencent Meeting does not know this machine's address: add it to the application's IP allow-list.";
	case 200003:
		return "Tencent Meeting does not accept the signature: see TENCENT_MEETING_SECRET_ID and TENCENT_MEETING_SECRET_KEY.";
	case 190303:
		return "Tencent Meeting does not know these ids: see TENCENT_MEETING_APP_ID, TENCENT_MEETING_SDK_ID and "
		       "TENCENT_MEETING_SECRET_ID.";
	case 190300:
		return "Tencent Meeting says that this machine's clock is wrong.";
	case 190310:
	case 190311:
	case 190312:
		return "Tencent Meeting takes no more requests for a while.";
	case 9042:
		return "Tencent Meeting shows this to the meeting's creator alone.";
	case 4051:
	case 108004051:
		return "The recording was deleted at Tencent Meeting.";
	case 9002:
	case 9003:
		return "Tencent Meeting knows no such meeting.";
	default:
		return e->is == ANSWER_NOT_READY ? "Tencent Meeting is still making it." : "Tencent Meeting answers that it failed.";
	}
}

/* What is gone will not come back, whoever asks. */
static bool is_gone(int64_t code)
{
	return code == 4051 || code == 108004051 || code == 9002 || code == 9003;
}

static bool answered(struct effect_call *call, const struct http_result *r, bool generated, struct slice *ret_body,
    bool *ret_afresh)
{
	struct slice body = arena_dup(call->arena, buf_slice(&r->body)), trace;
	struct tencent_rest_error e;

	*ret_afresh = false;
	if (body.ptr == NULL || tencent_rest_judge(r->status, body, generated, call->arena, &e) != 0)
		return out_of_memory(call);
	if (e.is == ANSWER_OK && slice_trim(body).len == 0) {
		if (!generated)
			return fails(call, EFFECT_RETRY, "malformed", "Tencent Meeting answered with nothing.");
		e.is = ANSWER_NOT_READY;
	}
	if (e.is == ANSWER_OK) {
		*ret_body = body;
		call->status = r->status;
		return true;
	}
	*ret_afresh = e.is == ANSWER_AFRESH;
	vendor_answer(call, e.is, r->status, message_of(&e));
	if (is_gone(e.code))
		fails(call, EFFECT_FAILED, "gone", message_of(&e));
	if (e.code != 0) { /* it works, and says no */
		call->status = e.code;
		call->host_failed = e.is == ANSWER_RETRY && r->status >= 500;
	}
	call->retry_after_ms = retry_after_ms(call, r, &e);
	if (http_result_header(r, "x-tc-trace", &trace))
		call->vendor_id = arena_dup(call->arena, trace).ptr;
	return false;
}

/* generated: made after the meeting, so it may not be there yet. */
static bool get(struct effect_call *call, const struct tencent_rest *rest, struct slice uri, bool generated,
    struct slice *ret_body)
{
	bool good = false, afresh = true;

	if (call->thread == NULL)
		return out_of_memory(call);
	for (unsigned i = 0; !good && afresh && i < 2; i++) {
		struct http_result r = {0};
		int rc = send_once(call, rest, uri, &r);

		afresh = false;
		if (rc == ERR_NOMEM)
			out_of_memory(call);
		else if (rc != 0)
			vendor_no_answer(call, rc, false); /* reads may be repeated */
		else
			good = answered(call, &r, generated, ret_body, &afresh);
		http_result_finish(&r);
	}
	return good;
}

/* rc of one that made the address or read the answer. */
static bool made(struct effect_call *call, int rc)
{
	if (rc == 0)
		return true;
	if (rc == ERR_NOMEM)
		return out_of_memory(call);
	return fails(call, EFFECT_REFUSED, "invalid", "Tencent Meeting cannot be asked for this: an id is missing or no id.");
}

static bool parsed(struct effect_call *call, int rc)
{
	if (rc == 0)
		return true;
	if (rc == ERR_NOMEM)
		return out_of_memory(call);
	if (rc == ERR_NOT_FOUND) {
		vendor_answer(call, ANSWER_NOT_READY, (int)call->status, "Tencent Meeting has nothing there yet.");
		return false;
	}
	if (rc == ERR_TOO_BIG)
		return fails(call, EFFECT_REFUSED, "too_big", "Tencent Meeting's answer is longer than any it should give.");
	return fails(call, EFFECT_RETRY, "malformed", "Tencent Meeting's answer makes no sense.");
}

/* ---- in whose name ------------------------------------------------------------------------ */

static bool by(const struct event_person *p, struct tencent_operator *ret)
{
	if (p == NULL)
		return false;
	if (p->userid.len > 0)
		*ret = (struct tencent_operator){p->userid, TENCENT_USERID};
	else if (p->open_id.len > 0)
		*ret = (struct tencent_operator){p->open_id, TENCENT_OPEN_ID};
	else
		return false;
	return true;
}

bool tencent_operator_of(struct effect_call *call, const struct tencent_rest *rest, const struct event_person *creator,
    const struct event_person *doer, struct tencent_operator *ret)
{
	if (by(creator, ret) || by(doer, ret))
		return true;
	if (rest->operator_id.len == 0)
		return fails(call, EFFECT_REFUSED, "no_operator",
		    "Nobody is known in whose name Tencent Meeting could be asked: set USER_ID to the userid of an administrator.");
	*ret = (struct tencent_operator){rest->operator_id, TENCENT_USERID};
	return true;
}

/* ---- what there is one of -------------------------------------------------------------------- */

static int uri_of(enum tencent_thing thing, struct slice id, const struct tencent_operator *op, struct arena *a,
    struct slice *ret)
{
	switch (thing) {
	case TENCENT_ADDRESSES:
		return tencent_uri_address(id, op, a, ret);
	case TENCENT_SUMMARY:
		return tencent_uri_summary(id, op, a, ret);
	case TENCENT_MINUTES:
		return tencent_uri_minutes(id, op, 0, a, ret);
	case TENCENT_TOPICS:
		return tencent_uri_topics(id, op, a, ret);
	case TENCENT_MEETING:
		return tencent_uri_meeting(id, op, a, ret);
	case TENCENT_USER:
		return tencent_uri_user(id, op, a, ret);
	}
	return ERR_INVALID;
}

static int parse(enum tencent_thing thing, struct slice body, struct arena *a, union tencent_answer *ret)
{
	switch (thing) {
	case TENCENT_ADDRESSES:
		return tencent_address_parse(body, a, &ret->addresses);
	case TENCENT_SUMMARY:
		return tencent_summary_parse(body, a, &ret->summary);
	case TENCENT_MINUTES:
		return tencent_minutes_parse(body, a, &ret->minutes.minute, &ret->minutes.todo);
	case TENCENT_TOPICS:
		return tencent_topics_parse(body, a, &ret->topics);
	case TENCENT_MEETING:
		return tencent_meeting_parse(body, a, &ret->meeting);
	case TENCENT_USER:
		return tencent_user_parse(body, a, &ret->user);
	}
	return ERR_INVALID;
}

bool tencent_get(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    enum tencent_thing thing, struct slice id, union tencent_answer *ret)
{
	bool generated = thing != TENCENT_MEETING && thing != TENCENT_USER;
	struct slice uri, body;

	return made(call, uri_of(thing, id, op, call->arena, &uri)) && get(call, rest, uri, generated, &body) &&
	    parsed(call, parse(thing, body, call->arena, ret));
}

/* ---- what comes in pages ------------------------------------------------------------------------ */

/* Two runs of structs as one, in the arena. */
static void *joined(struct arena *a, const void *items, size_t n, const void *more, size_t n_more, size_t size)
{
	char *all = n == 0 && n_more == 0 ? arena_alloc(a, 1) : arena_calloc(a, n + n_more, size);

	if (all != NULL && n > 0)
		memcpy(all, items, n * size);
	if (all != NULL && n_more > 0)
		memcpy(all + n * size, more, n_more * size);
	return all;
}

static bool too_many_pages(struct effect_call *call)
{
	return fails(call, EFFECT_REFUSED, "too_big", "Tencent Meeting's list has no end.");
}

static bool is_stopping(struct effect_call *call)
{
	if (!atomic_load(call->stopping))
		return false;
	fails(call, EFFECT_RETRY, "stopped", "The service stopped before it was done.");
	return true;
}

bool tencent_get_transcript(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    struct slice record_file_id, struct slice meeting_id, struct tencent_transcript *ret)
{
	struct tencent_transcript all = {.speakers_known = true}, page = {.more = true};
	struct slice uri, body;

	for (unsigned i = 0; page.more; i++) {
		if (i == PAGES_MAX)
			return too_many_pages(call);
		if (is_stopping(call) ||
		    !made(call, tencent_uri_transcript(record_file_id, meeting_id, op, page.next_pid, TRANSCRIPT_PAGE, call->arena,
		              &uri)) ||
		    !get(call, rest, uri, true, &body) ||
		    !parsed(call, tencent_transcript_parse(body, page.next_pid, call->arena, &page)))
			return false;
		all.paragraphs = joined(call->arena, all.paragraphs, all.n, page.paragraphs, page.n, sizeof(*page.paragraphs));
		all.n += page.n;
		all.speakers_known = all.speakers_known && page.speakers_known;
		if (all.paragraphs == NULL)
			return out_of_memory(call);
	}
	*ret = all;
	return true;
}

bool tencent_get_participants(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    struct slice meeting_id, struct slice sub_meeting_id, struct tencent_participant_list *ret)
{
	struct tencent_participant_list all = {0};
	struct tencent_participants page = {.more = true};
	struct slice uri, body;

	for (; page.more; all.pages++) {
		if (all.pages == PAGES_MAX)
			return too_many_pages(call);
		if (is_stopping(call) ||
		    !made(call, tencent_uri_participants(meeting_id, sub_meeting_id, op, page.next_pos, TENCENT_PARTICIPANTS_PAGE,
		              call->arena, &uri)) ||
		    !get(call, rest, uri, false, &body) ||
		    !parsed(call, tencent_participants_parse(body, page.next_pos, call->arena, &page)))
			return false;
		all.items = joined(call->arena, all.items, all.n, page.items, page.n, sizeof(*page.items));
		all.n += page.n;
		if (all.items == NULL)
			return out_of_memory(call);
	}
	*ret = all;
	return true;
}

bool tencent_get_records(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    struct slice meeting_id, int64_t start_s, int64_t end_s, struct tencent_record_list *ret)
{
	struct tencent_record_list all = {0};
	struct tencent_records page = {.more = true};
	struct tencent_records_query q = {.op = *op, .start_s = start_s, .end_s = end_s, .meeting_id = meeting_id,
	    .page_size = TENCENT_RECORDS_PAGE};
	struct slice uri, body;

	while (page.more) {
		if (q.page++ == PAGES_MAX)
			return too_many_pages(call);
		if (is_stopping(call) || !made(call, tencent_uri_records(&q, call->arena, &uri)) ||
		    !get(call, rest, uri, false, &body) || !parsed(call, tencent_records_parse(body, call->arena, &page)))
			return false;
		all.items = joined(call->arena, all.items, all.n, page.items, page.n, sizeof(*page.items));
		all.n += page.n;
		if (all.items == NULL)
			return out_of_memory(call);
	}
	*ret = all;
	return true;
}

bool tencent_get_all_records(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    int64_t start_s, int64_t end_s, unsigned page, struct tencent_records *ret)
{
	struct tencent_records_query q = {.corp = true, .op = *op, .start_s = start_s, .end_s = end_s, .page = page,
	    .page_size = TENCENT_RECORDS_PAGE};
	struct slice uri, body;

	return !is_stopping(call) && made(call, tencent_uri_records(&q, call->arena, &uri)) &&
	    get(call, rest, uri, false, &body) && parsed(call, tencent_records_parse(body, call->arena, ret));
}
