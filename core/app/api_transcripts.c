/*
 * What was said in a recording (functional-spec 15: transcripts, their paragraphs, sentences and words), and asking for it to be
 * written down: that appends transcript.requested, and the model's adapter does the rest.
 */
#include "app/action.h"
#include "app/api.h"
#include "app/api_admin.h"
#include "app/transcript.h"
#include "base/err.h"
#include "params.gen.h"
#include "requests.gen.h"

#define NO_SUCH_RECORDING "There is no recording with this id; GET /api/v1/recordings lists those there are."
#define ARENA_MAX ((size_t)128 << 20)
#define PAGE_BYTES (768 * 1024) /* an answer that is as long ends; the rest is asked for */

static void put_i64(struct json_writer *w, const char *name, int64_t value)
{
	json_name(w, name);
	json_put_i64(w, value);
}

static void put_text(struct json_writer *w, const char *name, struct slice text)
{
	json_name(w, name);
	if (text.len == 0)
		json_put_null(w);
	else
		json_put_string(w, text);
}

static void put_times(struct json_writer *w, int64_t start_ms, int64_t end_ms)
{
	put_i64(w, "startTimeMs", start_ms);
	put_i64(w, "endTimeMs", end_ms);
}

static void put_sentence(struct json_writer *w, const struct transcript_sentence *s, bool words)
{
	json_begin_object(w);
	put_i64(w, "sid", s->sid);
	put_times(w, s->start_ms, s->end_ms);
	json_name(w, "text");
	json_put_string(w, s->text);
	if (words) {
		json_name(w, "words");
		json_begin_array(w);
		for (size_t i = 0; i < s->n_words; i++) {
			json_begin_object(w);
			put_i64(w, "wid", s->words[i].wid);
			put_times(w, s->words[i].start_ms, s->words[i].end_ms);
			json_name(w, "text");
			json_put_string(w, s->words[i].text);
			json_end_object(w);
		}
		json_end_array(w);
	}
	json_end_object(w);
}

static void put_paragraph(struct json_writer *w, const struct transcript *t, const struct transcript_paragraph *p, bool words)
{
	const struct transcript_speaker *s = p->speaker < 0 ? NULL : &t->speakers[p->speaker];

	json_begin_object(w);
	put_i64(w, "pid", p->pid);
	put_times(w, p->start_ms, p->end_ms);
	put_text(w, "speakerId", s == NULL ? SLICE("") : s->person);
	put_text(w, "speakerName", s == NULL ? SLICE("") : s->name);
	json_name(w, "sentences");
	json_begin_array(w);
	for (size_t i = 0; i < p->n_sentences; i++)
		put_sentence(w, &p->sentences[i], words);
	json_end_array(w);
	json_end_object(w);
}

static void put_speakers(struct json_writer *w, const struct transcript *t)
{
	json_name(w, "speakers");
	json_begin_array(w);
	for (size_t i = 0; i < t->n_speakers; i++) {
		json_begin_object(w);
		put_text(w, "id", t->speakers[i].person);
		put_text(w, "name", t->speakers[i].name);
		json_name(w, "erased");
		json_put_bool(w, t->speakers[i].erased);
		json_end_object(w);
	}
	json_end_array(w);
}

/* How many paragraphs are in it. */
static size_t put_page(struct action *c, struct json_writer *w, const struct transcript *t, const struct params_transcript *p)
{
	size_t from = (size_t)p->from < t->n ? (size_t)p->from : t->n, i = from;

	json_name(w, "paragraphs");
	json_begin_array(w);
	while (i < t->n && i - from < (size_t)p->limit && (i == from || c->body.len < PAGE_BYTES))
		put_paragraph(w, t, &t->paragraphs[i++], p->words);
	json_end_array(w);
	return i;
}

static int put_whole(struct json_writer *w, const struct transcript *t)
{
	struct buf text = BUF_INIT(TRANSCRIPT_BYTES_MAX);
	int rc = transcript_write_text(t, &text);

	put_text(w, "text", buf_slice(&text));
	buf_wipe(&text);
	return rc;
}

static void put_member(struct json_writer *w, struct json_value row, const char *name)
{
	struct json_value v;

	json_name(w, name);
	json_put_raw(w, json_member(row, name, &v) ? v.text : SLICE("null"));
}

static void answer(struct action *c, struct json_value row, const struct transcript *t, const struct params_transcript *p)
{
	static const char *const members[] = {"id", "recordingId", "source", "language", "speakersKnown", "createdAt"};
	struct json_writer w = action_answer(c, 200);
	size_t next = t->n;
	int rc = 0;

	c->body.max = TRANSCRIPT_BYTES_MAX;
	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		put_member(&w, row, members[i]);
	put_i64(&w, "status", 2); /* there is no other: what is not there is 404 */
	put_speakers(&w, t);
	if (slice_is(p->format, "text"))
		rc = put_whole(&w, t);
	else
		next = put_page(c, &w, t, p);
	json_end_object(&w);
	json_name(&w, "pagination");
	json_begin_object(&w);
	put_i64(&w, "from", p->from);
	put_i64(&w, "limit", p->limit);
	put_i64(&w, "total", (int64_t)t->n);
	json_name(&w, "next");
	if (next < t->n)
		json_put_i64(&w, (int64_t)next);
	else
		json_put_null(&w);
	json_end_object(&w);
	json_end_object(&w);
	if (rc != 0)
		action_fail_err(c, rc);
}

static void run_transcript(struct action *c)
{
	struct params_transcript p;
	struct arena a = ARENA_INIT(ARENA_MAX);
	struct transcript t;
	struct event stored;
	struct json_value row;
	uint64_t place;
	int rc;

	if (!admin_params(c, &schema_params_transcript, &p))
		return;
	rc = action_row(c, "transcript_of_recording", (struct action_param[]){{"id", http_request_param(c->rq, "id"), 0}}, 1, &row);
	if (rc == ERR_NOT_FOUND) {
		action_fail(c, 404, "not_found", NO_SUCH_RECORDING, "录制不存在");
		return;
	}
	if (!action_ok(c, rc))
		return;
	if (row_text(c, row, "id").len == 0) {
		action_fail(c, 404, "no_transcript", "There is no transcript of this recording, or not yet.", "该录制暂无转写");
		return;
	}
	place = (uint64_t)row_i64(row, "place");
	rc = fact_read(c->app, place, &a, &stored);
	if (rc == 0)
		rc = transcript_read(c->app, &stored, place, &a, &t);
	if (rc == ERR_ERASED)
		action_fail(c, 410, "erased", "What was said there was erased.", "该转写已被删除");
	else if (action_ok(c, rc))
		answer(c, row, &t, &p);
	arena_wipe(&a);
}

static void get_transcript(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_transcript);
}

/* ---- asking for one ------------------------------------------------------------------------ */

/* Without a model a request would wait for nobody. */
static bool somebody_listens(struct action *c)
{
	struct action_param of = {"effect", SLICE("ai.transcribe_asked"), 0};
	struct json_value row;
	int rc = action_row(c, "effect_is_on", &of, 1, &row);

	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 503, "not_configured",
		    "Recordings are not transcribed here: see LULAB_TRANSCRIBE_MODEL, and GET /health for the reason.", "未配置语音转写");
	return action_ok(c, rc);
}

/* Where the log tells of its file. False: the answer is set. */
static bool find_file(struct action *c, struct slice recording, bool again, int64_t *ret_place)
{
	struct action_param of = {"id", recording, 0};
	struct json_value row;
	int rc = action_row(c, "recording_to_transcribe", &of, 1, &row);

	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 404, "not_found", NO_SUCH_RECORDING, "录制不存在");
	if (rc != 0)
		return action_fail_err(c, rc);
	*ret_place = row_i64(row, "place");
	if (row_bool(row, "deleted") || *ret_place == 0) /* the log does not begin with a recording */
		return action_fail(c, 409, "no_file", "The file of this recording is not kept here, or not yet.", "该录制的文件尚未保存");
	if (row_bool(row, "transcribed") && !again)
		return action_fail(c, 409, "has_transcript", "There is a transcript already; with again: true another one is made.", "该录制已有转写");
	return true;
}

static void answer_request(struct action *c, struct slice request_id)
{
	struct json_writer w = action_answer(c, 202);

	json_begin_object(&w);
	json_name(&w, "data");
	json_begin_object(&w);
	json_name(&w, "requestId");
	json_put_string(&w, request_id);
	json_end_object(&w);
	json_end_object(&w);
}

/* Asked for before, and not done yet: that request is this one. */
static bool was_asked(struct action *c, struct slice recording)
{
	struct action_param of = {"recording", recording, 0};
	struct json_value rows, row;
	struct json_reader r;
	int rc = action_rows(c, "transcriptions_open", &of, 1, &rows);

	if (rc != 0)
		return !action_fail_err(c, rc);
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		struct slice id = row_text(c, row, "requestId");

		if (id.len == 0)
			continue;
		answer_request(c, id);
		return true;
	}
	return false;
}

static void run_ask(struct action *c)
{
	struct request_transcript_request body = {0};
	struct event_transcript_requested data = {.recording_id = http_request_param(c->rq, "id"), .has_again = true};
	struct action_events e = {.c = c};
	char *id = arena_alloc(c->arena, ID_TEXT_LEN + 1);
	struct id made = id_random(c->app->rng);

	if (c->rq->body.len > 0 && !action_read(c, &schema_request_transcript_request, &body))
		return;
	data.again = body.again;
	data.language = body.language;
	if (!find_file(c, data.recording_id, data.again, &data.stored_at) || !somebody_listens(c) || was_asked(c, data.recording_id))
		return;
	if (id == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	id_format(id, &made);
	data.request_id = slice_of(id, ID_TEXT_LEN);
	action_event(&e, EVENT_TRANSCRIPT_REQUESTED, &data, NULL, NULL);
	if (action_ok(c, action_append(&e)))
		answer_request(c, data.request_id);
}

/* Decided by one thread: of two that ask at the same time the second finds the first. */
static void ask_transcript(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_ask);
}

const struct route api_transcripts_routes[] = {
	{HTTP_GET, "/api/v1/recordings/{id}/transcript", get_transcript, "recordings:read",
	    .params = &schema_params_transcript, .answer = "object", .tag = "recordings",
	    .summary = "What was said in a recording, and by whom"},
	{HTTP_POST, "/api/v1/recordings/{id}/transcript", ask_transcript, "summaries:write",
	    .request = &schema_request_transcript_request, .answer = "object", .success = "202", .tag = "recordings",
	    .summary = "Have a recording transcribed"},
	{0},
};
