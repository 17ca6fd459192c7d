/*
 * Tencent Meeting's list of all recordings of a span of time, compared with what we know (integrity.md 13.11): what nobody told of
 * is told as if it had been delivered. A portion at a time, since the vendor answers ten such calls a minute; each asks for the
 * next, and says how far it is.
 */
#include "tencent_out.h"

#include "app/fact.h"
#include "base/err.h"

#define PAGES_A_TIME 8
#define SECOND_MS 1000

struct syncing {
	struct effect_call *call;
	const struct tencent_out *t;
	const struct event_sync_requested *asked;
	struct tencent_operator op;
	int64_t listed, told, page, pages;
};

/* Which occurrence, and who booked it, as far as the vendor tells. False: the outcome is set. */
static bool look_up(struct syncing *s, const struct tencent_record *record, int64_t at_ms, struct event_person *creator,
    struct tencent_told *ret)
{
	struct effect_call *call = s->call;
	struct tencent_operator host = {record->host_userid, TENCENT_USERID};
	union tencent_answer answer;

	*creator = (struct event_person){.userid = record->host_userid};
	*ret = (struct tencent_told){.meeting_id = record->meeting_id, .creator = record->host_userid.len > 0 ? creator : NULL};
	if (ret->creator != NULL && !tencent_find_uuid(call, &s->op, record->host_userid, &creator->uuid))
		return false;
	if (tencent_get(call, &s->t->rest, ret->creator != NULL ? &host : &s->op, TENCENT_MEETING, record->meeting_id, &answer))
		ret->sub_meeting_id = tencent_occurrence_at(&answer.meeting, at_ms);
	else if (call->outcome == EFFECT_RETRY || call->outcome == EFFECT_STOP)
		return false; /* a meeting that is gone was none that comes again, as far as anybody can tell */
	call->host_failed = false;
	call->retry_after_ms = 0;
	return true;
}

static bool tell(struct syncing *s, const struct tencent_record *record, const struct tencent_record_file *file)
{
	struct event_person creator;
	struct tencent_told told;
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	int rc;

	if (!look_up(s, record, file->start_ms > 0 ? file->start_ms : record->start_ms, &creator, &told))
		return false;
	rc = tencent_completed_draft(s->call, &told, record, file, &draft);
	if (rc == 0)
		rc = eventlog_append_wait(s->t->app->log, &append);
	if (rc != 0)
		tencent_store_outcome(s->call, rc, 0);
	s->told += rc == 0 && append.n_appended > 0;
	return rc == 0;
}

static bool compare(struct syncing *s, const struct tencent_record *record)
{
	for (size_t i = 0; record->state == TENCENT_RECORDED && record->meeting_id.len > 0 && i < record->n_files; i++) {
		bool known = false;
		int rc = tencent_is_told(s->call, record->files[i].id, &known);

		s->listed++;
		if (rc != 0) {
			tencent_store_outcome(s->call, rc, 0);
			return false;
		}
		if (!known && !tell(s, record, &record->files[i]))
			return false;
	}
	return true;
}

static int progressed(struct syncing *s)
{
	struct event_sync_progressed e = {.request_id = s->asked->request_id, .platform = SLICE(TENCENT_PLATFORM), .page = s->page,
	    .pages = s->pages, .has_pages = true, .listed = s->listed, .told = s->told};
	struct fact f;

	fact_begin(&f, s->t->app, TENCENT_OUT_SOURCE, s->call->cause, s->call->arena);
	return fact_draft(&f, EVENT_SYNC_PROGRESSED, &e, &s->call->results[0]);
}

static int ask_on(struct syncing *s)
{
	struct event_sync_requested next = *s->asked;
	struct fact f;

	next.page = s->page + 1;
	fact_begin(&f, s->t->app, TENCENT_OUT_SOURCE, s->call->cause, s->call->arena);
	return fact_draft(&f, EVENT_SYNC_REQUESTED, &next, &s->call->results[1]);
}

void tencent_sync_records(struct effect_call *calls, size_t n)
{
	struct syncing s = {.call = calls, .t = calls->state, .asked = calls->cause->data};
	struct tencent_records list = {.more = true};
	int rc;

	(void)n;
	if (!tencent_operator_of(s.call, &s.t->rest, NULL, NULL, &s.op))
		return;
	s.page = s.asked->page - 1;
	for (unsigned i = 0; list.more && i < PAGES_A_TIME; i++) {
		if (!tencent_get_all_records(s.call, &s.t->rest, &s.op, s.asked->from_ms / SECOND_MS, s.asked->to_ms / SECOND_MS,
		        (unsigned)++s.page, &list))
			return;
		s.pages = list.pages;
		for (size_t k = 0; k < list.n; k++)
			if (!compare(&s, &list.items[k]))
				return;
	}
	rc = progressed(&s);
	if (rc == 0 && list.more)
		rc = ask_on(&s);
	tencent_store_outcome(s.call, rc, list.more ? 2 : 1);
}
