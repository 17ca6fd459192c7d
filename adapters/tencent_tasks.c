/*
 * What tasks may do with Tencent Meeting, under the names that existing clients have for it (functional-spec 11.3): ask again what
 * recordings there are of a span of time, and go through recordings again. A run asks by an event; effects do it.
 */
#include "tencent_out.h"

#include "app/fact.h"
#include "app/tasks.h"
#include "base/err.h"
#include "requests.gen.h"
#include "store/eventlog.h"
#include "store/query.h"

#define DAY_MS INT64_C(86400000)
#define SPAN_MS (INT64_C(1000) * TENCENT_RECORDS_SPAN_S)
#define RECORDINGS_MAX 14 /* as many events as a run may leave */

static const char *unready(struct app *app)
{
	extern const struct adapter adapter_tencent_out;
	const struct tencent_out *t = app_adapter_state(app, &adapter_tencent_out);

	return t == NULL ? "There is no Tencent Meeting here." : t->unready;
}

static void say(struct task_run *run, int rc, const char *result)
{
	if (rc == 0 && result == NULL)
		rc = ERR_NOMEM;
	if (rc == 0)
		task_run_done(run, slice_str(result));
	else
		task_run_failed(run, rc, "It could not be asked for.");
}

/* One event of a run, however often the run is tried. */
static int leave(struct task_run *run, enum event_type type, const void *data, struct slice what)
{
	const char *once = arena_printf(run->arena, "%s/%.*s", run->id, SLICE_ARG(what));
	struct event_draft draft;
	struct fact f;
	int rc = once == NULL ? ERR_NOMEM : 0;

	fact_begin(&f, run->app, "/tasks", run->cause, run->arena);
	if (rc == 0) {
		fact_once(&f, "task-tencent", slice_str(once));
		rc = fact_draft(&f, type, data, &draft);
	}
	return rc == 0 ? task_run_result(run, &draft) : rc;
}

/* ---- a span of time -------------------------------------------------------------------------- */

static void synchronise(struct task_run *run)
{
	const struct request_task_payload_sync *p = run->payload;
	struct event_sync_requested e = {.request_id = slice_str(run->id), .platform = SLICE(TENCENT_PLATFORM), .page = 1,
	    .task_id = run->fired->task_id};
	int rc = task_run_span(run, p->from, p->to, p->has_days ? p->days : 0, &e.from_ms, &e.to_ms);

	if (rc == 0 && e.to_ms - e.from_ms > SPAN_MS)
		rc = ERR_RANGE;
	if (rc != 0) {
		task_run_refused(run, "payload", "The span of time is none, or longer than 31 days.");
		return;
	}
	say(run, leave(run, EVENT_SYNC_REQUESTED, &e, SLICE("sync")),
	    arena_printf(run->arena, "{\"requestId\":\"%s\"}", run->id));
}

/* ---- recordings --------------------------------------------------------------------------------- */

/* The event that told last that it is complete. */
static int find_told(struct task_run *run, struct event_recording_requested *e, struct slice file)
{
	const char *stream = arena_printf(run->arena, "meeting/TENCENT/%.*s%s%.*s", SLICE_ARG(e->meeting_id),
	    e->sub_meeting_id.len > 0 ? "/" : "", SLICE_ARG(e->sub_meeting_id));
	const char *named = arena_printf(run->arena, "\"%.*s\"", SLICE_ARG(file));
	struct log_filter filter = {.type = EVENT_RECORDING_COMPLETED, .stream = slice_str(stream == NULL ? "" : stream)};
	struct eventlog_cursor cursor;
	struct log_record record;
	int rc = stream == NULL || named == NULL ? ERR_NOMEM : 0;

	eventlog_cursor_init(&cursor, run->app->log, 0, &filter);
	while (rc == 0 && (rc = eventlog_cursor_next(&cursor, &record)) == 0)
		if (memmem(record.entry.ptr, record.entry.len, named, strlen(named)) != NULL) {
			e->told_position = (int64_t)record.position;
			e->has_told_position = true;
		}
	eventlog_cursor_finish(&cursor);
	return rc == ERR_END ? 0 : rc;
}

static int ask_for_one(struct task_run *run, struct json_value row)
{
	struct event_recording_file file = {.record_file_id = json_member_text(row, "externalId", run->arena)};
	struct event_recording_requested e = {.request_id = slice_str(run->id), .platform = SLICE(TENCENT_PLATFORM),
	    .meeting_id = json_member_text(row, "platformMeetingId", run->arena), .task_id = run->fired->task_id};
	struct slice sub = json_member_text(row, "subMeetingId", run->arena);
	int rc;

	if (file.record_file_id.len == 0 || e.meeting_id.len == 0)
		return ERR_NOMEM; /* the query gives them both */
	if (sub.len > 0)
		e.sub_meeting_id = sub;
	e.recording_files.items = &file;
	e.recording_files.n = 1;
	rc = find_told(run, &e, file.record_file_id);
	return rc == 0 ? leave(run, EVENT_RECORDING_REQUESTED, &e, file.record_file_id) : rc;
}

static int find(struct task_run *run, const struct request_task_payload_recording *p, struct json_value *ret)
{
	struct query q = {.def = query_find("recordings_to_process"), .n_params = 2,
	    .params = {{.name = "recording", .text = p->recording_id.len > 0 ? p->recording_id : SLICE("")},
	        {.name = "meeting", .text = p->meeting_id.len > 0 ? p->meeting_id : SLICE("")}}};
	struct slice rows;
	int rc = query_run(run->app->queries, &q);

	if (rc == 0) {
		rows = arena_dup(run->arena, buf_slice(&q.out));
		rc = rows.ptr == NULL ? ERR_NOMEM : 0;
	}
	query_finish(&q);
	if (rc == 0)
		*ret = json_root(rows);
	return rc;
}

static void process_recordings(struct task_run *run)
{
	const struct request_task_payload_recording *p = run->payload;
	struct json_value rows, row;
	struct json_reader r;
	unsigned n = 0;
	int rc = find(run, p, &rows);

	if (rc == 0)
		json_enter(&r, rows);
	while (rc == 0 && json_next(&r, NULL, &row) && n < RECORDINGS_MAX) {
		rc = ask_for_one(run, row);
		n += rc == 0;
	}
	if (rc == 0 && n == 0)
		task_run_refused(run, "not_found", "Tencent Meeting completed no recording with that recordingId or meetingId.");
	else
		say(run, rc, arena_printf(run->arena, "{\"requestId\":\"%s\",\"recordings\":%u}", run->id, n));
}

const struct task_kind tencent_task_kinds[] = {
	{.name = "syncData", .summary = "Ask Tencent Meeting which recordings there are of a span of time, and fetch those nobody told of",
	    .payload = &schema_request_task_payload_sync, .run = synchronise, .unready = unready},
	{.name = "processMeetingRecording",
	    .summary = "Go through a recording, or the newest 14 of a meeting, again: what is missing of it is fetched",
	    .payload = &schema_request_task_payload_recording, .run = process_recordings, .unready = unready},
	{0},
};
