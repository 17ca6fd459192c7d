/* See speech_parts.h. */
#include "speech_parts.h"

#include "base/err.h"

#define PAUSE_MS 2000          /* ends a paragraph */
#define PARAGRAPH_MS_MAX 60000 /* and so does a sentence that begins so long after it */
#define LANGUAGE_LEN_MAX 32    /* as the event takes it */

static const struct json_limits part_limits = {4, 500000, 4, 16, true};

/* ---- where they are cut ----------------------------------------------------------------- */

size_t speech_count(int64_t duration_ms, int64_t part_ms)
{
	int64_t n = duration_ms / part_ms;

	if (duration_ms > SPEECH_MS_MAX)
		return 0;
	if (duration_ms <= 0)
		return (size_t)(SPEECH_MS_MAX / part_ms);
	if (n == 0 || duration_ms % part_ms >= SPEECH_REST_MS)
		n++;
	return (size_t)n;
}

struct speech_span speech_span(int64_t duration_ms, int64_t part_ms, size_t i)
{
	struct speech_span s = {(int64_t)i * part_ms, (int64_t)(i + 1) * part_ms};

	if (duration_ms > 0 && i + 1 == speech_count(duration_ms, part_ms))
		s.end_ms = duration_ms;
	return s;
}

/* ---- what was heard ---------------------------------------------------------------------- */

/* Some services tell names, some codes. */
static struct slice language_of(struct slice told)
{
	static const char *const names[][2] = {{"chinese", "zh-CN"}, {"mandarin", "zh-CN"}, {"zh", "zh-CN"}, {"english", "en"},
	    {"cantonese", "zh-HK"}, {"yue", "zh-HK"}, {"japanese", "ja"}, {"korean", "ko"}, {"french", "fr"}, {"german", "de"},
	    {"spanish", "es"}, {"russian", "ru"}};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq_nocase(told, slice_str(names[i][0])))
			return slice_str(names[i][1]);
	return told.len > 0 && told.len <= LANGUAGE_LEN_MAX ? told : SLICE("");
}

static int64_t between(int64_t at, int64_t low, int64_t high)
{
	return at < low ? low : at > high ? high : at;
}

int speech_hear(struct speech_span span, const struct openai_transcript *answer, struct arena *a, struct speech_heard *ret)
{
	struct speech_heard h = {.language = language_of(answer->language)};
	int64_t not_before = span.start_ms;

	h.said = arena_calloc(a, answer->n_segments + 1, sizeof(*h.said));
	if (h.said == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < answer->n_segments; i++) {
		const struct openai_segment *s = &answer->segments[i];
		struct slice text = slice_trim(s->text);
		int64_t start_ms = between(span.start_ms + s->start_ms, not_before, span.end_ms);

		if (text.len == 0)
			continue;
		h.said[h.n++] = (struct openai_segment){start_ms, between(span.start_ms + s->end_ms, start_ms, span.end_ms), text};
		not_before = start_ms;
	}
	if (h.n == 0 && slice_trim(answer->text).len > 0)
		h.said[h.n++] = (struct openai_segment){span.start_ms, span.end_ms, slice_trim(answer->text)};
	*ret = h;
	return 0;
}

/* ---- as it is kept ------------------------------------------------------------------------- */

int speech_write(const struct speech_heard *h, struct buf *out)
{
	struct json_writer w = JSON_WRITER(out);

	json_begin_object(&w);
	json_name(&w, "language");
	json_put_string(&w, h->language);
	json_name(&w, "said");
	json_begin_array(&w);
	for (size_t i = 0; i < h->n; i++) {
		json_begin_array(&w);
		json_put_i64(&w, h->said[i].start_ms);
		json_put_i64(&w, h->said[i].end_ms);
		json_put_string(&w, h->said[i].text);
		json_end_array(&w);
	}
	json_end_array(&w);
	json_end_object(&w);
	return out->rc;
}

static int read_one(struct json_value item, struct arena *a, struct openai_segment *s)
{
	struct json_value v[3];
	struct json_reader r;

	if (item.type != JSON_ARRAY)
		return ERR_MALFORMED;
	json_enter(&r, item);
	for (size_t i = 0; i < 3; i++)
		if (!json_next(&r, NULL, &v[i]))
			return ERR_MALFORMED;
	if (v[2].type != JSON_STRING || json_i64(v[0], &s->start_ms) != 0 || json_i64(v[1], &s->end_ms) != 0)
		return ERR_MALFORMED;
	return json_string(v[2], a, &s->text);
}

int speech_read(struct slice json, struct arena *a, struct speech_heard *ret)
{
	struct speech_heard h = {0};
	struct json_value root, language, said, item;
	struct json_reader r;
	size_t n = 0;
	int rc = json_index(json, &part_limits, a, &root, NULL);

	if (rc != 0)
		return rc;
	if (!json_member(root, "language", &language) || language.type != JSON_STRING || !json_member(root, "said", &said) ||
	    said.type != JSON_ARRAY)
		return ERR_MALFORMED;
	for (json_enter(&r, said); json_next(&r, NULL, &item);)
		n++;
	h.said = arena_calloc(a, n + 1, sizeof(*h.said));
	rc = h.said == NULL ? ERR_NOMEM : json_string(language, a, &h.language);
	for (json_enter(&r, said); rc == 0 && json_next(&r, NULL, &item);)
		rc = read_one(item, a, &h.said[h.n++]);
	if (rc == 0)
		*ret = h;
	return rc;
}

/* ---- together ---------------------------------------------------------------------------------- */

static bool begins_paragraph(const struct transcript *t, const struct openai_segment *s)
{
	const struct transcript_paragraph *p = t->n == 0 ? NULL : &t->paragraphs[t->n - 1];

	return p == NULL || s->start_ms - p->end_ms >= PAUSE_MS || s->start_ms - p->start_ms >= PARAGRAPH_MS_MAX;
}

/* Sentences of a paragraph are read one after the other: words with letters need a space between. */
static struct slice spaced(struct slice text, bool first, struct arena *a)
{
	if (first || text.len == 0 || (unsigned char)text.ptr[0] >= 0x80)
		return text;
	return slice_str(arena_printf(a, " %.*s", SLICE_ARG(text)));
}

static int add_sentence(struct transcript *t, struct transcript_sentence *s, const struct openai_segment *said, struct arena *a)
{
	bool first = begins_paragraph(t, said);
	struct transcript_paragraph *p = &t->paragraphs[first ? t->n : t->n - 1];

	if (first) {
		*p = (struct transcript_paragraph){.pid = (int64_t)t->n, .start_ms = said->start_ms, .speaker = -1, .sentences = s};
		t->n++;
	}
	s->start_ms = said->start_ms;
	s->end_ms = said->end_ms;
	s->text = spaced(said->text, first, a);
	p->end_ms = said->end_ms > p->end_ms ? said->end_ms : p->end_ms;
	p->n_sentences++;
	return s->text.ptr == NULL ? ERR_NOMEM : 0;
}

int speech_join(const struct speech_heard *parts, size_t n, struct arena *a, struct transcript *ret)
{
	struct transcript t = {.language = SLICE("")};
	struct transcript_sentence *sentences;
	size_t n_said = 0, at = 0;
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		n_said += parts[i].n;
		if (t.language.len == 0 && parts[i].n > 0)
			t.language = parts[i].language;
	}
	sentences = arena_calloc(a, n_said + 1, sizeof(*sentences)); /* those of a paragraph lie together */
	t.paragraphs = arena_calloc(a, n_said + 1, sizeof(*t.paragraphs));
	if (sentences == NULL || t.paragraphs == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; rc == 0 && k < parts[i].n; k++, at++) {
			sentences[at].sid = (int64_t)at;
			rc = add_sentence(&t, &sentences[at], &parts[i].said[k], a);
		}
	if (rc == 0)
		*ret = t;
	return rc;
}
