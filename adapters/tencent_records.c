/*
 * Recordings whose completion nobody told us of: the vendor repeats a delivery three times and never again
 * (vendor-protocols 1.6), so some time after a meeting its list of recordings is compared with what we know. What is
 * missing is told as if it had been delivered, and takes its usual way from there.
 */
#include "tencent_out.h"

#include "app/erase.h"
#include "app/fact.h"
#include "base/err.h"
#include "store/query.h"

#define PATIENCE 4      /* attempts until a file nobody told of is believed to be lost: 21 minutes */
#define LOOKS_MAX 6     /* and until there is none to come */
#define BEFORE_S 86400  /* recordings of the meeting began at most so long before its end */

int tencent_is_told(struct effect_call *call, struct slice record_file_id, bool *ret)
{
	const struct tencent_out *t = call->state;
	struct query q = {.def = query_find("recording_told"), .n_params = 1, .single = true,
	    .params = {{.name = "id", .text = fact_recording_id(call->arena, SLICE(TENCENT_PLATFORM), record_file_id)}}};
	int rc = q.params[0].text.ptr == NULL ? ERR_NOMEM : query_run(t->app->queries, &q);

	query_finish(&q);
	*ret = rc == 0;
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int seal_creator(struct fact *f, const struct tencent_told *told, int64_t at_ms, struct event_recording_completed *e)
{
	struct slice kind, identity, erased;
	int rc;

	if (told->creator == NULL || !tencent_person_identity(told->creator, told->meeting_id, f->arena, &kind, &identity))
		return 0;
	rc = erase_find(f->app, kind, identity, at_ms, f->arena, &erased);
	if (rc != 0 || erased.len > 0)
		return rc;
	e->creator = *told->creator;
	e->has_creator = e->subjects.has_creator = true;
	return fact_subject(f, "creator", kind, identity, &e->subjects.creator);
}

int tencent_completed_draft(struct effect_call *call, const struct tencent_told *told, const struct tencent_record *record,
    const struct tencent_record_file *file, struct event_draft *ret)
{
	const struct tencent_out *t = call->state;
	struct event_recording_file *item = arena_alloc(call->arena, sizeof(*item));
	struct event_recording_completed e = {.platform = SLICE(TENCENT_PLATFORM), .vendor_event = SLICE("records.list"),
	    .meeting_id = told->meeting_id, .has_subjects = true};
	struct fact f;
	int rc;

	if (item == NULL)
		return ERR_NOMEM;
	*item = (struct event_recording_file){.record_file_id = file->id, .start_at_ms = file->start_ms,
	    .has_start_at_ms = file->start_ms > 0, .end_at_ms = file->end_ms, .has_end_at_ms = file->end_ms > 0,
	    .total_size = file->size, .has_total_size = file->size > 0};
	e.recording_files.items = item;
	e.recording_files.n = 1;
	if (told->sub_meeting_id.len > 0)
		e.sub_meeting_id = told->sub_meeting_id;
	fact_begin(&f, t->app, TENCENT_OUT_SOURCE, call->cause, call->arena);
	e.fingerprint = fact_fingerprint(&f, &file->id, 1);
	e.subjects.has_meeting = true;
	rc = e.fingerprint.ptr == NULL ? ERR_NOMEM : fact_meeting(&f, told->meeting_id, &e.subjects.meeting);
	if (rc == 0 && record->subject.len > 0)
		e.title = record->subject;
	if (rc == 0)
		rc = seal_creator(&f, told, file->start_ms, &e);
	fact_once(&f, "tencent.records", file->id);
	return rc == 0 ? fact_draft(&f, EVENT_RECORDING_COMPLETED, &e, ret) : rc;
}

static bool not_yet(struct effect_call *call, const char *message)
{
	if (call->attempt >= LOOKS_MAX)
		return false;
	call->outcome = EFFECT_NOT_YET;
	call->class = "not_ready";
	call->message = message;
	return true;
}

/* Those of the list that are lost; *ret_pending: of some it is too early to say. */
static int look(struct effect_call *call, const struct tencent_told *told, const struct tencent_record_list *list,
    size_t *ret_n, bool *ret_pending)
{
	int rc = 0;

	*ret_n = 0;
	*ret_pending = list->n == 0;
	for (size_t i = 0; rc == 0 && i < list->n; i++) {
		const struct tencent_record *record = &list->items[i];

		if (!tencent_is_of_occurrence(told, record->start_ms))
			continue; /* yesterday's, of the same meeting */
		*ret_pending = *ret_pending || record->state != TENCENT_RECORDED;
		for (size_t k = 0; rc == 0 && k < record->n_files && *ret_n < EFFECT_RESULTS_MAX; k++) {
			bool known = false;

			rc = tencent_is_told(call, record->files[k].id, &known);
			if (rc != 0 || known)
				continue;
			if (call->attempt < PATIENCE)
				*ret_pending = true;
			else
				rc = tencent_completed_draft(call, told, record, &record->files[k], &call->results[(*ret_n)++]);
		}
	}
	return rc;
}

void tencent_compare_records(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	const struct tencent_out *t = call->state;
	struct tencent_told told = tencent_told_of(call);
	struct tencent_record_list list;
	struct tencent_operator op;
	int64_t ended_s = call->cause_us / 1000000, now_s = clock_wall_ms(call->clock) / 1000;
	bool pending = false;
	size_t lost = 0;
	int rc;

	(void)n;
	if (!tencent_operator_of(call, &t->rest, told.creator, told.doer, &op) ||
	    !tencent_get_records(call, &t->rest, &op, told.meeting_id, ended_s - BEFORE_S, now_s, &list))
		return;
	rc = look(call, &told, &list, &lost, &pending);
	if (rc == 0 && pending && lost == 0 && not_yet(call, "Tencent Meeting lists no finished recording that was not told of yet."))
		return;
	tencent_store_outcome(call, rc, lost);
}
