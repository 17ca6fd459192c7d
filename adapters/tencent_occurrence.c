/*
 * Which occurrence of a recurring meeting a text is of. Notices of texts do not say so (functional-spec 7.5), and may come
 * before the recording that they are of is told; the participants, and where a text belongs, depend on it.
 *
 *     the recording is known  -->  it says so
 *     it will be, usually within seconds: wait a few times
 *     nobody told of it       -->  when it began, by the vendor's list; and the occurrence that was nearest
 */
#include "tencent_out.h"

#include "app/fact.h"
#include "base/err.h"
#include "store/query.h"

#define PATIENCE 4          /* attempts until a recording is believed to come no more: 21 minutes */
#define RECORDS_S 86400     /* it began at most so long before its texts were there */
#define NEAR_MS 43200000    /* occurrences are a day apart at least */

/* ERR_NOT_FOUND: its recording is not known. */
static int known(struct effect_call *call, struct slice *ret)
{
	const struct tencent_out *t = call->state;
	struct query q = {.def = query_find("recording_occurrence"), .n_params = 1, .single = true,
	    .params = {{.name = "id", .text = fact_recording_id(call->arena, SLICE(TENCENT_PLATFORM), tencent_file_of(call))}}};
	struct json_value v;
	struct slice row;
	int rc = q.params[0].text.ptr == NULL ? ERR_NOMEM : query_run(t->app->queries, &q);

	if (rc == 0) {
		row = arena_dup(call->arena, buf_slice(&q.out));
		if (row.ptr == NULL)
			rc = ERR_NOMEM;
		else if (json_member(json_root(row), "subMeetingId", &v) && v.type == JSON_STRING)
			rc = json_string(v, call->arena, ret);
	}
	query_finish(&q);
	return rc;
}

static int64_t apart(int64_t a, int64_t b)
{
	return a < b ? b - a : a - b;
}

struct slice tencent_occurrence_at(const struct tencent_meeting_detail *meeting, int64_t at_ms)
{
	struct slice id = SLICE("");
	int64_t nearest = INT64_MAX;

	if (meeting->meeting_type != TENCENT_RECURRING)
		return id;
	for (size_t i = 0; i < meeting->n_subs; i++) {
		const struct tencent_sub_meeting *sub = &meeting->subs[i];

		if (sub->start_ms > 0 && apart(sub->start_ms, at_ms) < nearest) {
			nearest = apart(sub->start_ms, at_ms);
			id = sub->id;
		}
	}
	return nearest <= NEAR_MS ? id : meeting->current_sub_meeting_id;
}

bool tencent_is_of_occurrence(const struct tencent_told *told, int64_t at_ms)
{
	return told->sub_meeting_id.len == 0 || told->starts_ms == 0 || at_ms == 0 || apart(told->starts_ms, at_ms) <= NEAR_MS;
}

/* When the recording began; when its text was told, where the list does not have it. */
static bool began(struct effect_call *call, const struct tencent_operator *op, const struct tencent_told *told, int64_t *ret_ms)
{
	const struct tencent_out *t = call->state;
	struct tencent_record_list list;
	int64_t told_s = call->cause_us / 1000000;
	struct slice file = tencent_file_of(call);

	*ret_ms = told_s * 1000;
	if (!tencent_get_records(call, &t->rest, op, told->meeting_id, told_s - RECORDS_S, told_s, &list))
		return false;
	for (size_t i = 0; i < list.n; i++)
		for (size_t k = 0; k < list.items[i].n_files; k++)
			if (slice_eq(list.items[i].files[k].id, file))
				*ret_ms = list.items[i].start_ms;
	return true;
}

static bool ask(struct effect_call *call, const struct tencent_operator *op, struct tencent_told *told)
{
	const struct tencent_out *t = call->state;
	union tencent_answer answer;
	int64_t at_ms;

	if (!tencent_get(call, &t->rest, op, TENCENT_MEETING, told->meeting_id, &answer))
		return false;
	if (answer.meeting.meeting_type != TENCENT_RECURRING)
		return true;
	if (!began(call, op, told, &at_ms))
		return false;
	told->sub_meeting_id = tencent_occurrence_at(&answer.meeting, at_ms);
	return true;
}

bool tencent_find_occurrence(struct effect_call *call, const struct tencent_operator *op, struct tencent_told *told)
{
	enum event_type type = call->cause->type->id;
	int rc;

	if (told->sub_meeting_id.len > 0 || !told->recurring || type == EVENT_MEETING_ENDED || type == EVENT_RECORDING_COMPLETED ||
	    type == EVENT_RECORDING_REQUESTED)
		return true;
	rc = known(call, &told->sub_meeting_id);
	if (rc == 0)
		return true;
	if (rc != ERR_NOT_FOUND) {
		tencent_store_outcome(call, rc, 0);
		return false;
	}
	if (call->attempt >= PATIENCE)
		return ask(call, op, told);
	call->outcome = EFFECT_NOT_YET;
	call->class = "not_ready";
	call->message = "Of which occurrence of the meeting it is will be known when its recording is complete.";
	return false;
}
