/* See summary.h. */
#include "app/summary.h"

#include "base/codec.h"
#include "base/err.h"

#define BLOB_FIELD "text_blob"

static int keep_text(struct fact *f, struct slice text, struct event_summary_stored *e)
{
	if (text.len <= SUMMARY_IN_EVENT_MAX) {
		e->text = text;
		return 0;
	}
	e->has_text_blob = true;
	return fact_blob(f, &e->subjects.meeting, BLOB_FIELD, text, &e->text_blob);
}

int summary_draft(struct app *app, const struct summary_of *of, struct slice text, struct arena *a,
    struct event_draft *ret)
{
	struct event_summary_stored e = {.platform = of->platform, .record_file_id = of->record_file_id,
	    .recording_id = fact_recording_id(a, of->platform, of->record_file_id), .meeting_id = of->meeting_id,
	    .kind = of->kind, .source = of->source, .format = of->markdown ? SLICE("MARKDOWN") : SLICE("TEXT"),
	    .characters = (int64_t)utf8_length(text), .has_characters = true, .has_subjects = true,
	    .subjects = {.has_meeting = true}};
	struct fact f;
	const char *once;
	int rc = text.len > SUMMARY_BYTES_MAX ? ERR_TOO_BIG : e.recording_id.ptr == NULL ? ERR_NOMEM : 0;

	fact_begin(&f, app, "/effects", of->cause, a);
	if (of->sub_meeting_id.len > 0)
		e.sub_meeting_id = of->sub_meeting_id;
	if (of->language.len > 0)
		e.language = of->language;
	if (rc == 0)
		rc = fact_meeting(&f, of->meeting_id, &e.subjects.meeting);
	if (rc == 0)
		rc = keep_text(&f, text, &e);
	if (rc != 0)
		return rc;
	e.fingerprint = fact_fingerprint(&f, &text, 1);
	once = arena_printf(a, "%.*s/%.*s/%.*s/%.*s", SLICE_ARG(e.recording_id), SLICE_ARG(of->source), SLICE_ARG(of->kind),
	    SLICE_ARG(e.fingerprint));
	if (e.fingerprint.ptr == NULL || once == NULL)
		return ERR_NOMEM;
	fact_once(&f, "summary", slice_str(once));
	return fact_draft(&f, EVENT_SUMMARY_STORED, &e, ret);
}

int summary_read_text(struct app *app, const struct event *stored, uint64_t place, struct buf *out)
{
	const struct event_summary_stored *e = stored->data;

	if (e->has_text_blob)
		return fact_blob_read(app, stored, place, 0, BLOB_FIELD, out);
	return e->text.ptr == NULL ? ERR_ERASED : buf_append(out, e->text);
}
