/*
 * What Tencent Meeting's models write about a recording: the transcript, the
 * summary, minutes and to-dos, topics. Each is fetched when the vendor says that it is there, and once the
 * recording is complete; what was kept before is known by its fingerprint and kept once.
 */
#include "tencent_out.h"

#include "app/erase.h"
#include "app/summary.h"
#include "app/transcript.h"
#include "base/err.h"
#include "vendor_call.h"

#define STRETCH_MS 30000 /* a pause that long ends it */

/* ---- the transcript ---------------------------------------------------------------------- */

struct reading {
	struct effect_call *call;
	const struct tencent_operator *op;
	const struct tencent_people *people;
	struct slice meeting_id;
	int64_t at_ms;  /* when it was said */
	struct transcript t;
	struct said_by { /* as the vendor tells them, and which of our speakers that is */
		const struct tencent_paragraph *p;
		int speaker;
	} *told;
	size_t n_told;
};

/* By whom else they are told, that is the same speaker. */
static int known_speaker(const struct transcript *t, const struct transcript_speaker *s)
{
	for (size_t i = 0; i < t->n_speakers; i++) {
		const struct transcript_speaker *known = &t->speakers[i];

		if (s->identity.len > 0 ? slice_eq(known->kind, s->kind) && slice_eq(known->identity, s->identity)
		                        : known->identity.len == 0 && slice_eq(known->name, s->name))
			return (int)i;
	}
	return (int)t->n_speakers;
}

/* *ret_index: -1 when nobody can tell. False: the outcome is set. */
static bool find_speaker(struct reading *r, const struct tencent_paragraph *p, int *ret_index)
{
	const struct tencent_out *out = r->call->state;
	struct transcript_speaker s = {0};
	struct event_person person;
	int rc = 0;

	*ret_index = -1;
	if (!tencent_who_speaks(r->call, r->op, r->people, p, &person))
		return false;
	if (tencent_person_identity(&person, r->meeting_id, r->call->arena, &s.kind, &s.identity))
		rc = erase_find(out->app, s.kind, s.identity, r->at_ms, r->call->arena, &s.person);
	else if (person.user_name.len == 0)
		return true;
	if (rc != 0) {
		tencent_store_outcome(r->call, rc, 0);
		return false;
	}
	s.erased = s.person.len > 0;
	s.name = person.user_name;
	*ret_index = known_speaker(&r->t, &s);
	if (*ret_index == (int)r->t.n_speakers)
		r->t.speakers[r->t.n_speakers++] = s;
	return true;
}

static bool told_alike(const struct tencent_paragraph *a, const struct tencent_paragraph *b)
{
	return slice_eq(a->userid, b->userid) && slice_eq(a->open_id, b->open_id) && slice_eq(a->ms_open_id, b->ms_open_id) &&
	    slice_eq(a->user_name, b->user_name);
}

static bool speaker_index(struct reading *r, const struct tencent_paragraph *p, int *ret_index)
{
	for (size_t i = 0; i < r->n_told; i++)
		if (told_alike(r->told[i].p, p)) {
			*ret_index = r->told[i].speaker;
			return true;
		}
	if (!find_speaker(r, p, ret_index))
		return false;
	r->told[r->n_told++] = (struct said_by){p, *ret_index};
	return true;
}

static int words_of(const struct tencent_sentence *from, struct arena *a, struct transcript_sentence *to)
{
	to->words = arena_calloc(a, from->n_words + 1, sizeof(*to->words));
	if (to->words == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < from->n_words; i++)
		to->words[to->n_words++] = (struct transcript_word){from->words[i].wid, from->words[i].start_ms,
		    from->words[i].end_ms, from->words[i].text};
	return 0;
}

static int paragraph_of(const struct tencent_paragraph *from, struct arena *a, struct transcript_paragraph *to)
{
	int rc = 0;

	to->pid = from->pid;
	to->start_ms = from->start_ms;
	to->end_ms = from->end_ms;
	to->sentences = arena_calloc(a, from->n_sentences + 1, sizeof(*to->sentences));
	if (to->sentences == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; rc == 0 && i < from->n_sentences; i++) {
		struct transcript_sentence *s = &to->sentences[to->n_sentences++];

		if (slice_to_i64(from->sentences[i].sid, &s->sid) != 0)
			s->sid = (int64_t)i;
		s->start_ms = from->sentences[i].start_ms;
		s->end_ms = from->sentences[i].end_ms;
		s->text = from->sentences[i].text;
		rc = words_of(&from->sentences[i], a, s);
	}
	return rc;
}

/* False: the outcome is set. */
static bool read_transcript(struct reading *r, const struct tencent_transcript *from)
{
	struct arena *a = r->call->arena;
	int rc = 0;

	r->t = (struct transcript){.speakers_known = from->speakers_known};
	r->t.speakers = arena_calloc(a, from->n + 1, sizeof(*r->t.speakers));
	r->t.paragraphs = arena_calloc(a, from->n + 1, sizeof(*r->t.paragraphs));
	r->told = arena_calloc(a, from->n + 1, sizeof(*r->told));
	if (r->t.speakers == NULL || r->t.paragraphs == NULL || r->told == NULL)
		rc = ERR_NOMEM;
	for (size_t i = 0; rc == 0 && i < from->n; i++) {
		struct transcript_paragraph *p = &r->t.paragraphs[r->t.n++];

		rc = paragraph_of(&from->paragraphs[i], a, p);
		if (rc == 0 && !speaker_index(r, &from->paragraphs[i], &p->speaker))
			return false;
	}
	if (rc != 0)
		tencent_store_outcome(r->call, rc, 0);
	return rc == 0;
}

static int64_t said_at_ms(const struct effect_call *call, const struct tencent_told *told,
    const struct event_recording_file *file)
{
	if (file != NULL && file->has_start_at_ms)
		return file->start_at_ms;
	return told->starts_ms > 0 ? told->starts_ms : call->cause_us / 1000;
}

void tencent_fetch_transcript(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	const struct tencent_out *t = call->state;
	struct tencent_told told = tencent_told_of(call);
	struct slice file = tencent_file_of(call);
	const struct event_recording_file *file_told = tencent_file_told(&told, file);
	struct transcript_of of = {.platform = SLICE(TENCENT_PLATFORM), .record_file_id = file, .meeting_id = told.meeting_id,
	    .cause = call->cause, .source = slice_str(arena_printf(call->arena, "tencent-meeting:%.*s", SLICE_ARG(file)))};
	struct tencent_transcript fetched;
	struct tencent_people people;
	struct tencent_operator op;
	struct reading r = {.call = call, .op = &op, .people = &people, .meeting_id = told.meeting_id,
	    .at_ms = said_at_ms(call, &told, file_told)};
	int rc;

	(void)n;
	if (!tencent_operator_of(call, &t->rest, told.creator, told.doer, &op) || !tencent_find_occurrence(call, &op, &told) ||
	    !tencent_get_transcript(call, &t->rest, &op, file, told.meeting_id, &fetched)) {
		tencent_give_up_waiting(call);
		return;
	}
	if (fetched.n == 0) {
		vendor_answer(call, ANSWER_NOT_READY, (int)call->status, "Tencent Meeting has written nothing down yet.");
		tencent_give_up_waiting(call);
		return;
	}
	if (!tencent_people_of_meeting(call, &t->rest, &op, &told, &people) || !read_transcript(&r, &fetched))
		return;
	of.sub_meeting_id = told.sub_meeting_id;
	if (file_told != NULL)
		r.t.language = file_told->lang;
	rc = transcript_draft(t->app, &of, &r.t, call->arena, &call->results[0]);
	tencent_store_outcome(call, rc, 1);
	if (rc == 0 && !fetched.speakers_known && call->attempt < 4) {
		/* What is there is kept; that voices are told apart is waited for. */
		struct append append = {.events = call->results, .n_events = 1};

		rc = eventlog_append_wait(t->app->log, &append);
		call->n_results = 0;
		call->outcome = EFFECT_NOT_YET;
		call->class = "not_ready";
		call->message = "Tencent Meeting is still telling the speakers apart.";
	}
}

/* ---- summary, minutes, topics --------------------------------------------------------------- */

struct text {
	const char *kind;
	struct slice text;
	bool markdown;
};

/* Of the call's file; false: the outcome is set. */
static bool ask(struct effect_call *call, struct tencent_told *told, struct tencent_operator *op, enum tencent_thing thing,
    union tencent_answer *ret)
{
	const struct tencent_out *t = call->state;

	if (tencent_operator_of(call, &t->rest, told->creator, told->doer, op) && tencent_find_occurrence(call, op, told) &&
	    tencent_get(call, &t->rest, op, thing, tencent_file_of(call), ret))
		return true;
	tencent_give_up_waiting(call);
	return false;
}

static void keep_texts(struct effect_call *call, const struct tencent_told *told, const struct text *texts, size_t n)
{
	const struct tencent_out *t = call->state;
	struct slice file = tencent_file_of(call);
	const struct event_recording_file *file_told = tencent_file_told(told, file);
	size_t kept = 0;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct summary_of of = {.platform = SLICE(TENCENT_PLATFORM), .record_file_id = file, .meeting_id = told->meeting_id,
		    .sub_meeting_id = told->sub_meeting_id, .kind = slice_str(texts[i].kind), .source = SLICE(TENCENT_AI),
		    .markdown = texts[i].markdown, .cause = call->cause};

		if (texts[i].text.len == 0)
			continue;
		if (file_told != NULL)
			of.language = file_told->lang;
		rc = summary_draft(t->app, &of, texts[i].text, call->arena, &call->results[kept]);
		kept += rc == 0;
	}
	tencent_store_outcome(call, rc, kept);
}

void tencent_fetch_summary(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	struct tencent_told told = tencent_told_of(call);
	struct tencent_operator op;
	union tencent_answer answer;

	(void)n;
	if (ask(call, &told, &op, TENCENT_SUMMARY, &answer))
		keep_texts(call, &told, &(struct text){.kind = "FULL", .text = answer.summary}, 1);
}

void tencent_fetch_minutes(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	struct tencent_told told = tencent_told_of(call);
	struct tencent_operator op;
	union tencent_answer answer;

	(void)n;
	if (ask(call, &told, &op, TENCENT_MINUTES, &answer)) {
		struct text texts[] = {{"MINUTES", answer.minutes.minute, true}, {"TODO", answer.minutes.todo, true}};

		keep_texts(call, &told, texts, 2);
	}
}

static void put_time(struct buf *out, int64_t ms)
{
	int64_t s = ms < 0 ? 0 : ms / 1000;

	buf_printf(out, "%02lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
}

/* A line a topic: its name, and from when to when it was talked about. */
static int topics_text(const struct tencent_topics *topics, struct arena *a, struct slice *ret)
{
	struct buf out = BUF_INIT(SUMMARY_BYTES_MAX);
	int rc;

	for (size_t i = 0; i < topics->n; i++) {
		const struct tencent_topic *topic = &topics->items[i];

		if (topic->name.len == 0)
			continue;
		buf_append_str(&out, out.len > 0 ? "\n- " : "- ");
		buf_append(&out, topic->name);
		for (size_t k = 0; k < topic->n_times;) {
			int64_t start_ms = topic->times[k].start_ms, end_ms = topic->times[k].end_ms;

			/* The vendor tells of each paragraph; people want to know of the stretch. */
			for (k++; k < topic->n_times && topic->times[k].start_ms <= end_ms + STRETCH_MS; k++)
				end_ms = topic->times[k].end_ms;
			buf_append_str(&out, start_ms == topic->times[0].start_ms ? " (" : ", ");
			put_time(&out, start_ms);
			buf_append_str(&out, "–");
			put_time(&out, end_ms);
		}
		buf_append_str(&out, topic->n_times > 0 ? ")" : "");
	}
	*ret = arena_dup(a, buf_slice(&out));
	rc = out.rc != 0 ? out.rc : ret->ptr == NULL ? ERR_NOMEM : 0;
	buf_wipe(&out);
	return rc;
}

void tencent_fetch_topics(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	struct tencent_told told = tencent_told_of(call);
	struct tencent_operator op;
	union tencent_answer answer;
	struct text text = {.kind = "TOPIC", .markdown = true};

	(void)n;
	if (!ask(call, &told, &op, TENCENT_TOPICS, &answer))
		return;
	if (topics_text(&answer.topics, call->arena, &text.text) != 0)
		tencent_store_outcome(call, ERR_NOMEM, 0);
	else
		keep_texts(call, &told, &text, 1);
}
