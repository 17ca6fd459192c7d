/*
 * Summaries of a meeting, and of each who spoke in it.
 *
 *     transcript.stored, summary.requested --> ai.meeting, ai.asked --> summary.generated MEETING
 *     summary.generated MEETING --> ai.participant, one a speaker --> summary.generated PARTICIPANT
 *
 * A long transcript is read once: the notes of its parts go with the meeting's summary, and those of the speakers are
 * made of them. Two speakers of one name are told apart in the text; who is whom is known by the transcript, not by name.
 */
#include "app/app.h"
#include "app/transcript.h"
#include "base/err.h"
#include "model_summary.h"
#include "model_text.h"
#include "store/sqlfn.h"

#define TEXT_BYTES_MAX ((size_t)16 << 20)
#define NOTES_BYTES_MAX ((size_t)8 << 20)
#define RECORDINGS_A_TIME 15

/* What is summed up: a transcript, and what it is of. */
struct material {
	struct effect_call *call;
	struct model *model;
	const struct event *stored;
	uint64_t place;
	struct transcript transcript;
	struct slice *names; /* of its speakers, no two alike */
	struct slice text, title;
	struct model_of of;
};

/* ---- the text ------------------------------------------------------------------------------ */

static int name_speakers(struct material *m)
{
	struct arena *a = m->call->arena;
	const struct transcript *t = &m->transcript;

	m->names = arena_calloc(a, t->n_speakers + 1, sizeof(*m->names));
	if (m->names == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < t->n_speakers; i++) {
		const struct transcript_speaker *s = &t->speakers[i];
		unsigned alike = 1;

		m->names[i] = s->erased ? SLICE("已删除用户") : s->name.len > 0 ? s->name : SLICE("未知发言人");
		for (size_t j = 0; j < i && s->name.len > 0; j++)
			alike += slice_eq(t->speakers[j].name, s->name);
		if (alike > 1)
			m->names[i] = slice_str(arena_printf(a, "%.*s (%u)", SLICE_ARG(s->name), alike));
		if (m->names[i].ptr == NULL)
			return ERR_NOMEM;
	}
	return 0;
}

static void put_line_text(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		buf_append_char(out, text.ptr[i] == '\n' || text.ptr[i] == '\r' ? ' ' : text.ptr[i]);
}

static bool says_something(const struct transcript_paragraph *p)
{
	for (size_t i = 0; i < p->n_sentences; i++)
		if (slice_trim(p->sentences[i].text).len > 0)
			return true;
	return false;
}

/* A line a paragraph: name(HH:MM:SS)：text */
static int write_text(struct material *m)
{
	struct buf out = BUF_INIT(TEXT_BYTES_MAX);
	int rc;

	for (size_t i = 0; i < m->transcript.n; i++) {
		const struct transcript_paragraph *p = &m->transcript.paragraphs[i];
		struct slice name = p->speaker < 0 ? SLICE("未知发言人") : m->names[p->speaker];
		long long s = p->start_ms / 1000;

		if (!says_something(p))
			continue;
		put_line_text(&out, name);
		buf_printf(&out, "(%02lld:%02lld:%02lld)：", s / 3600, s / 60 % 60, s % 60);
		for (size_t j = 0; j < p->n_sentences; j++)
			put_line_text(&out, p->sentences[j].text);
		buf_append_char(&out, '\n');
	}
	rc = out.rc;
	m->text = rc == 0 ? arena_dup(m->call->arena, buf_slice(&out)) : (struct slice){0};
	buf_wipe(&out);
	return rc != 0 ? rc : m->text.ptr == NULL ? ERR_NOMEM : 0;
}

/* ---- what it is of ------------------------------------------------------------------------------ */

/* When the recording was, and what the meeting is called; without them it is when the transcript came, and has no title. */
static int look_up(struct material *m)
{
	struct model_param of = {"id", m->of.recording_id, 0};
	struct json_value row;
	int64_t us;
	int rc = model_query(m->call, m->model->app, "recording_by_id", &of, 1, true, &row);

	m->of.start_ms = m->call->cause_us / 1000;
	if (rc == 0) {
		if (time_parse_us(model_row_text(m->call, row, "startAt"), &us) == 0)
			m->of.start_ms = us / 1000;
		if (time_parse_us(model_row_text(m->call, row, "endAt"), &us) == 0)
			m->of.end_ms = us / 1000;
		m->title = model_row_text(m->call, row, "title");
	}
	if (rc == 0 || rc == ERR_NOT_FOUND) {
		of.text = m->of.meeting;
		rc = model_query(m->call, m->model->app, "meeting_by_id", &of, 1, true, &row);
	}
	if (rc == 0 && model_row_text(m->call, row, "title").len > 0)
		m->title = model_row_text(m->call, row, "title");
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int name_meeting(struct material *m, const struct event_transcript_stored *e)
{
	char *meeting = arena_alloc(m->call->arena, ROW_ID_LEN + 1);

	if (meeting == NULL)
		return ERR_NOMEM;
	row_id_make(meeting, (struct slice[]){e->platform, e->meeting_id,
	    e->sub_meeting_id.len > 0 ? e->sub_meeting_id : SLICE("__ROOT__")}, 3);
	m->of = (struct model_of){.period = "SINGLE", .platform = e->platform, .meeting = slice_of(meeting, ROW_ID_LEN),
	    .meeting_id = e->meeting_id, .sub_meeting_id = e->sub_meeting_id, .recording_id = e->recording_id,
	    .transcript_id = m->stored->envelope.id, .transcript_at = (int64_t)m->place, .speaker = -1};
	return 0;
}

/* False: the outcome says why not. */
static bool load(struct material *m)
{
	struct app *app = m->model->app;
	int rc = m->stored->type == NULL || m->stored->type->id != EVENT_TRANSCRIPT_STORED ? ERR_MALFORMED :
	    name_meeting(m, m->stored->data);

	m->title = SLICE("");
	if (rc == 0)
		rc = transcript_read(app, m->stored, m->place, m->call->arena, &m->transcript);
	if (rc == 0)
		rc = name_speakers(m);
	if (rc == 0)
		rc = write_text(m);
	if (rc == 0)
		rc = look_up(m);
	return rc == 0 || model_failed(m->call, rc);
}

static struct model_writing begin_writing(const struct material *m)
{
	struct model_writing w = {.call = m->call, .model = m->model, .title = m->title};

	w.language = m->transcript.language.len > 0 ? m->transcript.language : slice_str(model_language(m->text));
	if (w.language.len == 0)
		w.language = slice_str(m->model->language);
	return w;
}

/* ---- a meeting ---------------------------------------------------------------------------------- */

static bool nothing_said(struct material *m)
{
	struct slice text = slice_trim(m->text);

	if (text.len == 0)
		m->call->outcome = EFFECT_DONE;
	return text.len == 0;
}

static int list_speakers(struct material *m)
{
	int64_t *list = arena_calloc(m->call->arena, m->transcript.n_speakers + 1, sizeof(*list));

	if (list == NULL)
		return ERR_NOMEM;
	m->of.speakers = list;
	for (size_t i = 0; i < m->transcript.n_speakers; i++)
		if (!m->transcript.speakers[i].erased && m->transcript.speakers[i].name.len > 0)
			list[m->of.n_speakers++] = (int64_t)i;
	return 0;
}

static void sum_up(struct material *m, struct slice request_id, bool again)
{
	struct request_model_summary summary;
	struct model_version before;
	struct model_writing w;
	int rc;

	if (!load(m) || nothing_said(m))
		return;
	m->of.kind = "MEETING";
	m->of.request_id = request_id;
	rc = list_speakers(m);
	if (rc == 0)
		rc = model_version_find(m->call, m->model, &m->of, &before);
	if (rc != 0) {
		model_failed(m->call, rc);
		return;
	}
	if (!again && slice_eq(before.transcript_id, m->of.transcript_id)) {
		m->call->outcome = EFFECT_DONE; /* this very transcript was summed up already */
		return;
	}
	w = begin_writing(m);
	if (model_write(&w, "meeting", (struct model_value[]){{0}}, m->text, &summary) == 0 &&
	    model_tell(&w, &m->of, "meeting", &summary))
		m->call->outcome = EFFECT_DONE;
}

void model_meeting_run(struct effect_call *call, size_t n)
{
	struct material m = {.call = call, .model = call->state, .stored = call->cause, .place = call->cause_position};

	(void)n;
	sum_up(&m, SLICE(""), false);
}

/* ---- one who spoke ---------------------------------------------------------------------------------- */

/* The cause is the meeting's summary; the row's key ends with the place in the transcript's list. */
static bool speaker_of(const struct effect_call *call, size_t n_speakers, size_t *ret)
{
	const char *last = strrchr(call->key, '/');
	uint64_t n;

	if (last == NULL || slice_to_u64(slice_str(last + 1), &n) != 0 || n >= n_speakers)
		return false;
	*ret = (size_t)n;
	return true;
}

static int read_notes(struct material *m, const struct event_summary_generated *e)
{
	struct buf notes = BUF_INIT(NOTES_BYTES_MAX + 64);
	int rc;

	if (!e->has_notes)
		return 0;
	rc = fact_blob_read(m->model->app, m->call->cause, m->call->cause_position, 0, "notes", &notes);
	if (rc == 0) {
		m->text = arena_dup(m->call->arena, buf_slice(&notes));
		rc = m->text.ptr == NULL ? ERR_NOMEM : 0;
	}
	buf_wipe(&notes);
	return rc;
}

static void sum_up_speaker(struct material *m, const struct event_summary_generated *e, size_t i)
{
	const struct transcript_speaker *s = &m->transcript.speakers[i];
	struct model_writing w = begin_writing(m);
	struct request_model_summary summary;
	int rc = read_notes(m, e);

	if (rc == 0 && s->erased)
		rc = ERR_ERASED;
	if (rc != 0) {
		model_failed(m->call, rc);
		return;
	}
	m->of.kind = "PARTICIPANT";
	m->of.speaker = (int64_t)i;
	m->of.person_id = s->person;
	m->of.person_name = s->name;
	m->of.request_id = e->request_id;
	if (model_write(&w, "participant", (struct model_value[]){{"person", m->names[i]}, {0}}, m->text, &summary) == 0 &&
	    model_tell(&w, &m->of, "participant", &summary))
		m->call->outcome = EFFECT_DONE;
}

void model_participant_run(struct effect_call *call, size_t n)
{
	const struct event_summary_generated *e = call->cause->data;
	struct event stored;
	struct material m = {.call = call, .model = call->state, .stored = &stored, .place = (uint64_t)e->transcript_at};
	size_t i;
	int rc = fact_read(m.model->app, m.place, call->arena, &stored);

	(void)n;
	if (rc != 0)
		model_failed(call, rc);
	else if (!load(&m))
		return;
	else if (!speaker_of(call, m.transcript.n_speakers, &i))
		model_failed(call, ERR_MALFORMED);
	else
		sum_up_speaker(&m, e, i);
}

/* ---- asked anew ----------------------------------------------------------------------------------------- */

static bool ask_each(struct effect_call *call, struct model *m, const struct event_summary_requested *asked,
    struct json_value rows)
{
	struct event_summary_requested one = *asked;
	struct json_reader r;
	struct json_value row;
	size_t n = 0;

	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		if (n++ == RECORDINGS_A_TIME) { /* the others after these */
			one.recording_id = (struct slice){0};
			return model_ask_again(call, m, &one);
		}
		one.recording_id = model_row_text(call, row, "recording");
		one.after = (struct slice){0};
		if (!model_ask_again(call, m, &one))
			return false;
		one.after = one.recording_id;
	}
	return true;
}

static void one_recording(struct effect_call *call, struct model *m, const struct event_summary_requested *asked,
    struct json_value row)
{
	struct event stored;
	struct material material = {.call = call, .model = m, .stored = &stored, .place = (uint64_t)model_row_number(row, "place")};
	int rc = fact_read(m->app, material.place, call->arena, &stored);

	if (rc != 0) {
		model_failed(call, rc);
		return;
	}
	sum_up(&material, asked->request_id, asked->has_again && asked->again);
}

void model_meeting_asked(struct effect_call *call)
{
	const struct event_summary_requested *asked = call->cause->data;
	struct model *m = call->state;
	struct model_param of[] = {{"meeting", asked->meeting.len > 0 ? asked->meeting : SLICE(""), 0},
	    {"recording", asked->recording_id.len > 0 ? asked->recording_id : SLICE(""), 0},
	    {"after", asked->after.len > 0 ? asked->after : SLICE(""), 0}};
	struct json_value rows, row;
	struct json_reader r;
	int rc = model_query(call, m->app, "transcripts_of_meeting", of, 3, false, &rows);

	if (rc != 0) {
		model_failed(call, rc);
		return;
	}
	json_enter(&r, rows);
	if (!json_next(&r, NULL, &row))
		call->outcome = EFFECT_DONE; /* there is nothing to sum up */
	else if (asked->recording_id.len > 0)
		one_recording(call, m, asked, row);
	else if (ask_each(call, m, asked, rows))
		call->outcome = EFFECT_DONE;
}
