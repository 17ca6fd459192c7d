/* See transcript.h. */
#include "app/transcript.h"

#include "base/codec.h"
#include "base/err.h"

#define BLOB_FIELD "transcript"
#define NAME_FIELD "speaker"
#define NAME_BYTES_MAX 95 /* so that the speakers fit into an event */

static const struct json_limits blob_limits = {8, 5000000, 16, 32, true};

/* ---- reading ---------------------------------------------------------------------------- */

/* The elements of an array member, and room for so many structs. */
static int list_of(struct json_value object, const char *name, size_t size, struct arena *a, struct json_reader *r,
    void **ret_items)
{
	struct json_value array, item;
	size_t n = 0;

	if (!json_member(object, name, &array) || array.type != JSON_ARRAY)
		return ERR_MALFORMED;
	json_enter(r, array);
	while (json_next(r, NULL, &item))
		n++;
	json_enter(r, array);
	*ret_items = arena_calloc(a, n + 1, size);
	return *ret_items == NULL ? ERR_NOMEM : 0;
}

static int read_word(struct json_value item, struct arena *a, struct transcript_word *w)
{
	struct json_value v[4];
	struct json_reader r;

	if (item.type != JSON_ARRAY)
		return ERR_MALFORMED;
	json_enter(&r, item);
	for (size_t i = 0; i < 4; i++)
		if (!json_next(&r, NULL, &v[i]))
			return ERR_MALFORMED;
	if (json_i64(v[0], &w->wid) != 0 || json_i64(v[1], &w->start_ms) != 0 || json_i64(v[2], &w->end_ms) != 0)
		return ERR_MALFORMED;
	return json_string(v[3], a, &w->text);
}

static int read_sentence(struct json_value item, struct arena *a, struct transcript_sentence *s)
{
	struct json_value text, word;
	struct json_reader r;
	void *words = NULL;
	int rc = list_of(item, "words", sizeof(*s->words), a, &r, &words);

	s->words = words;
	s->sid = json_member_i64(item, "sid", 0);
	s->start_ms = json_member_i64(item, "start", 0);
	s->end_ms = json_member_i64(item, "end", 0);
	if (rc == 0 && !json_member(item, "text", &text))
		rc = ERR_MALFORMED;
	if (rc == 0)
		rc = json_string(text, a, &s->text);
	while (rc == 0 && json_next(&r, NULL, &word))
		rc = read_word(word, a, &s->words[s->n_words++]);
	return rc;
}

static int read_paragraph(struct json_value item, size_t n_speakers, struct arena *a, struct transcript_paragraph *p)
{
	struct json_value sentence;
	struct json_reader r;
	void *sentences = NULL;
	int64_t speaker = json_member_i64(item, "speaker", -1);
	int rc = list_of(item, "sentences", sizeof(*p->sentences), a, &r, &sentences);

	p->sentences = sentences;
	p->pid = json_member_i64(item, "pid", 0);
	p->start_ms = json_member_i64(item, "start", 0);
	p->end_ms = json_member_i64(item, "end", 0);
	p->speaker = speaker >= 0 && speaker < (int64_t)n_speakers ? (int)speaker : -1;
	while (rc == 0 && json_next(&r, NULL, &sentence))
		rc = read_sentence(sentence, a, &p->sentences[p->n_sentences++]);
	return rc;
}

static int read_paragraphs(struct slice json, struct arena *a, struct transcript *t)
{
	struct json_value root, item;
	struct json_reader r;
	void *paragraphs = NULL;
	int rc = json_index(json, &blob_limits, a, &root, NULL);

	if (rc == 0)
		rc = list_of(root, "paragraphs", sizeof(*t->paragraphs), a, &r, &paragraphs);
	if (rc != 0)
		return rc;
	t->paragraphs = paragraphs;
	while (rc == 0 && json_next(&r, NULL, &item))
		rc = read_paragraph(item, t->n_speakers, a, &t->paragraphs[t->n++]);
	return rc;
}

static int read_speakers(struct app *app, const struct event *stored, struct arena *a, struct transcript *t)
{
	const struct event_transcript_stored *e = stored->data;
	int rc = 0;

	t->speakers = arena_calloc(a, e->speakers.n + 1, sizeof(*t->speakers));
	if (t->speakers == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; rc == 0 && i < e->speakers.n; i++) {
		struct transcript_speaker *s = &t->speakers[t->n_speakers++];
		struct id person;

		s->person = e->speakers.items[i].person;
		if (e->speakers.items[i].sealed_name.len > 0)
			rc = fact_unseal(app, stored, NAME_FIELD, e->speakers.items[i].sealed_name, a, &s->name);
		s->erased = rc == ERR_ERASED || (id_parse(s->person, &person) == 0 && keyring_is_erased(app->keyring, &person));
		if (rc != ERR_NOMEM)
			rc = 0; /* a name that does not open is a name less */
	}
	return rc;
}

int transcript_read(struct app *app, const struct event *stored, uint64_t place, struct arena *a, struct transcript *ret)
{
	const struct event_transcript_stored *e = stored->data;
	struct buf json = BUF_INIT(TRANSCRIPT_BYTES_MAX + 64);
	struct transcript t = {.language = e->language, .speakers_known = e->has_speakers_known && e->speakers_known};
	struct slice kept = {0};
	int rc = fact_blob_read(app, stored, place, 0, BLOB_FIELD, &json);

	if (rc == 0) {
		kept = arena_dup(a, buf_slice(&json));
		rc = kept.ptr == NULL ? ERR_NOMEM : 0;
	}
	buf_wipe(&json);
	if (rc == 0)
		rc = read_speakers(app, stored, a, &t);
	if (rc == 0)
		rc = read_paragraphs(kept, a, &t);
	if (rc == 0)
		*ret = t;
	return rc;
}

/* ---- as text ---------------------------------------------------------------------------- */

static struct slice name_of(const struct transcript *t, int speaker)
{
	if (speaker < 0)
		return SLICE("未知发言人");
	if (t->speakers[speaker].erased)
		return SLICE("已删除用户");
	return t->speakers[speaker].name.len > 0 ? t->speakers[speaker].name : SLICE("未知发言人");
}

static void write_block(const struct transcript *t, const struct transcript_paragraph *p, struct buf *out)
{
	int64_t s = p->sentences[0].start_ms < 0 ? 0 : p->sentences[0].start_ms / 1000;
	struct buf text = BUF_INIT(out->max);

	for (size_t i = 0; i < p->n_sentences; i++)
		buf_append(&text, p->sentences[i].text);
	if (out->len > 0)
		buf_append_str(out, "\n\n");
	buf_append(out, name_of(t, p->speaker));
	buf_printf(out, "(%02lld:%02d:%02d)：", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
	buf_append(out, slice_trim(buf_slice(&text)));
	if (text.rc != 0 && out->rc == 0)
		out->rc = text.rc;
	buf_wipe(&text);
}

int transcript_write_text(const struct transcript *t, struct buf *out)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->paragraphs[i].n_sentences > 0)
			write_block(t, &t->paragraphs[i], out);
	return out->rc;
}

int transcript_read_text(struct app *app, const struct event *stored, uint64_t place, struct buf *out)
{
	struct arena a = ARENA_INIT((size_t)128 << 20);
	struct transcript t;
	int rc = transcript_read(app, stored, place, &a, &t);

	if (rc == 0)
		rc = transcript_write_text(&t, out);
	arena_wipe(&a);
	return rc;
}

/* ---- making one ------------------------------------------------------------------------- */

static void write_sentence(const struct transcript_sentence *s, struct json_writer *w)
{
	json_begin_object(w);
	json_name(w, "sid");
	json_put_i64(w, s->sid);
	json_name(w, "start");
	json_put_i64(w, s->start_ms);
	json_name(w, "end");
	json_put_i64(w, s->end_ms);
	json_name(w, "text");
	json_put_string(w, s->text);
	json_name(w, "words");
	json_begin_array(w);
	for (size_t i = 0; i < s->n_words; i++) {
		json_begin_array(w);
		json_put_i64(w, s->words[i].wid);
		json_put_i64(w, s->words[i].start_ms);
		json_put_i64(w, s->words[i].end_ms);
		json_put_string(w, s->words[i].text);
		json_end_array(w);
	}
	json_end_array(w);
	json_end_object(w);
}

static void write_paragraph(const struct transcript_paragraph *p, struct json_writer *w)
{
	json_begin_object(w);
	json_name(w, "pid");
	json_put_i64(w, p->pid);
	json_name(w, "start");
	json_put_i64(w, p->start_ms);
	json_name(w, "end");
	json_put_i64(w, p->end_ms);
	if (p->speaker >= 0 && p->speaker < TRANSCRIPT_SPEAKERS_MAX) {
		json_name(w, "speaker");
		json_put_i64(w, p->speaker);
	}
	json_name(w, "sentences");
	json_begin_array(w);
	for (size_t i = 0; i < p->n_sentences; i++)
		write_sentence(&p->sentences[i], w);
	json_end_array(w);
	json_end_object(w);
}

static int write_json(const struct transcript *t, struct buf *out)
{
	struct json_writer w = JSON_WRITER(out);

	json_begin_object(&w);
	json_name(&w, "paragraphs");
	json_begin_array(&w);
	for (size_t i = 0; i < t->n; i++)
		write_paragraph(&t->paragraphs[i], &w);
	json_end_array(&w);
	json_end_object(&w);
	return out->rc;
}

static void count(const struct transcript *t, struct event_transcript_stored *e)
{
	e->paragraphs = (int64_t)t->n;
	for (size_t i = 0; i < t->n; i++) {
		const struct transcript_paragraph *p = &t->paragraphs[i];

		e->sentences += (int64_t)p->n_sentences;
		for (size_t k = 0; k < p->n_sentences; k++) {
			e->words += (int64_t)p->sentences[k].n_words;
			e->characters += (int64_t)utf8_length(p->sentences[k].text);
		}
		e->start_ms = i == 0 || p->start_ms < e->start_ms ? p->start_ms : e->start_ms;
		e->end_ms = i == 0 || p->end_ms > e->end_ms ? p->end_ms : e->end_ms;
	}
	e->has_start_ms = e->has_end_ms = t->n > 0;
}

static void put_made(struct event_transcript_stored *e, const struct transcript_made *m)
{
	e->job_id = m->job_id;
	if (m->request_id.len > 0)
		e->request_id = m->request_id;
	e->model = m->model;
	e->calls = m->calls;
	e->billed_ms = m->billed_ms;
	e->prompt_tokens = m->prompt_tokens;
	e->completion_tokens = m->completion_tokens;
	e->took_ms = m->took_ms;
	e->has_calls = e->has_billed_ms = e->has_took_ms = true;
	e->has_prompt_tokens = e->has_completion_tokens = m->prompt_tokens > 0 || m->completion_tokens > 0;
	if (m->cost_micros <= 0)
		return;
	e->cost_micros = m->cost_micros;
	e->has_cost_micros = true;
	e->currency = m->currency;
}

static struct slice at_most(struct slice text, size_t len)
{
	while (len > 0 && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
		len--; /* not inside a character */
	return text.len > len ? slice_of(text.ptr, len) : text;
}

/* Each under their own key; who cannot be told from others under the meeting's. */
static int seal_speaker(struct fact *f, const struct transcript_speaker *s, const struct event_subject *meeting,
    struct event_transcript_stored_speakers *ret)
{
	struct event_subject person = *meeting;
	int rc = 0;

	if (s->erased) {
		ret->person = s->person;
		return 0;
	}
	if (s->identity.len > 0)
		rc = fact_subject(f, NULL, s->kind, s->identity, &person);
	if (rc == 0 && s->identity.len > 0)
		ret->person = person.id;
	if (rc == 0 && s->name.len > 0)
		rc = fact_seal(f, &person, NAME_FIELD, at_most(s->name, NAME_BYTES_MAX), &ret->sealed_name);
	return rc;
}

static int seal_speakers(struct fact *f, const struct transcript *t, const struct event_subject *meeting,
    struct event_transcript_stored *e)
{
	size_t n = t->n_speakers < TRANSCRIPT_SPEAKERS_MAX ? t->n_speakers : TRANSCRIPT_SPEAKERS_MAX;
	int rc = 0;

	e->speakers.items = arena_calloc(f->arena, n + 1, sizeof(*e->speakers.items));
	e->speakers.n = n;
	if (e->speakers.items == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = seal_speaker(f, &t->speakers[i], meeting, &e->speakers.items[i]);
	for (size_t i = 0; rc == 0 && i < t->n; i++) {
		const struct transcript_paragraph *p = &t->paragraphs[i];

		if (p->speaker < 0 || p->speaker >= (int)n)
			continue;
		e->speakers.items[p->speaker].paragraphs++;
		if (p->end_ms > p->start_ms)
			e->speakers.items[p->speaker].speaking_ms += p->end_ms - p->start_ms;
	}
	return rc;
}

/* Of what was said and who said it: telling the speakers apart later makes another transcript. */
static struct slice fingerprint(struct fact *f, const struct transcript *t, struct slice json)
{
	struct slice *texts = arena_calloc(f->arena, t->n_speakers * 2 + 2, sizeof(*texts));
	size_t n = 0;

	if (texts == NULL)
		return (struct slice){0};
	texts[n++] = json;
	for (size_t i = 0; i < t->n_speakers; i++) {
		texts[n++] = t->speakers[i].identity;
		texts[n++] = t->speakers[i].name;
	}
	return fact_fingerprint(f, texts, n);
}

static int draft_of(struct fact *f, const struct transcript_of *of, const struct transcript *t, struct slice json,
    struct event_draft *ret)
{
	struct event_transcript_stored e = {.platform = of->platform, .record_file_id = of->record_file_id,
	    .recording_id = fact_recording_id(f->arena, of->platform, of->record_file_id), .meeting_id = of->meeting_id,
	    .source = of->source, .fingerprint = fingerprint(f, t, json), .speakers_known = t->speakers_known,
	    .has_speakers_known = true, .has_subjects = true, .subjects = {.has_meeting = true}};
	const char *once;
	int rc = e.fingerprint.ptr == NULL || e.recording_id.ptr == NULL ? ERR_NOMEM : 0;

	if (of->sub_meeting_id.len > 0)
		e.sub_meeting_id = of->sub_meeting_id;
	if (t->language.len > 0)
		e.language = t->language;
	if (of->made != NULL)
		put_made(&e, of->made);
	count(t, &e);
	if (rc == 0)
		rc = fact_meeting(f, of->meeting_id, &e.subjects.meeting);
	if (rc == 0)
		rc = fact_blob(f, &e.subjects.meeting, BLOB_FIELD, json, &e.transcript);
	if (rc == 0)
		rc = seal_speakers(f, t, &e.subjects.meeting, &e);
	if (rc != 0)
		return rc;
	once = arena_printf(f->arena, "%.*s/%.*s/%.*s", SLICE_ARG(e.recording_id), SLICE_ARG(of->source),
	    SLICE_ARG(e.fingerprint));
	if (once == NULL)
		return ERR_NOMEM;
	fact_once(f, "transcript", slice_str(once));
	return fact_draft(f, EVENT_TRANSCRIPT_STORED, &e, ret);
}

int transcript_draft(struct app *app, const struct transcript_of *of, const struct transcript *t, struct arena *a,
    struct event_draft *ret)
{
	struct buf json = BUF_INIT(TRANSCRIPT_BYTES_MAX);
	struct fact f;
	int rc = write_json(t, &json);

	fact_begin(&f, app, "/effects", of->cause, a);
	if (rc == 0)
		rc = draft_of(&f, of, t, buf_slice(&json), ret);
	buf_wipe(&json);
	return rc;
}
