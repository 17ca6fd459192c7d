/*
 * Transcripts: what was said in a recording, and by whom, as the event
 * transcript.stored keeps it.
 *
 * The words are a blob of the event, sealed under the meeting's key:
 *
 *     {"paragraphs":[{"pid":0,"start":3309,"end":20109,"speaker":0,"sentences":[
 *         {"sid":0,"start":3309,"end":7789,"text":"大家好","words":[[0,3309,7789,"大家好"]]}]}]}
 *
 * Times are milliseconds from the start of the file. `speaker` counts in the event's list of speakers and is absent
 * where nobody knows. What speakers are called is sealed in the event, each under their own key: an erased
 * person's words stay, without a name.
 */
#ifndef LULAB_APP_TRANSCRIPT_H
#define LULAB_APP_TRANSCRIPT_H

#include "app/fact.h"

#define TRANSCRIPT_BYTES_MAX ((size_t)16 << 20) /* of the JSON */
#define TRANSCRIPT_SPEAKERS_MAX 180             /* as an event has room for; further ones count as unknown */

struct transcript_word {
	int64_t wid, start_ms, end_ms;
	struct slice text;
};
struct transcript_sentence {
	int64_t sid, start_ms, end_ms;
	struct slice text;
	struct transcript_word *words;
	size_t n_words;
};
struct transcript_paragraph {
	int64_t pid, start_ms, end_ms;
	int speaker; /* in `speakers`; -1: unknown */
	struct transcript_sentence *sentences;
	size_t n_sentences;
};
struct transcript_speaker {
	struct slice person; /* subject id as text; empty: nobody we could tell */
	struct slice name;   /* empty: not told, or erased */
	bool erased;
	/* Making one: by what they are known, when they are; that finds person, unless they are erased: then it says which they were. */
	struct slice kind, identity;
};
struct transcript {
	struct slice language;
	bool speakers_known;
	struct transcript_speaker *speakers;
	size_t n_speakers;
	struct transcript_paragraph *paragraphs;
	size_t n;
};

/* ---- reading ---------------------------------------------------------------------------- */

/*
 * The transcript of an event transcript.stored at `place` of the log (an effect's call->cause_position), in the arena.
 * ERR_ERASED: the meeting was; ERR_MALFORMED, ERR_INVALID, ERR_NOT_FOUND, ERR_NOMEM, or of the log.
 */
int transcript_read(struct app *app, const struct event *stored, uint64_t place, struct arena *a, struct transcript *ret);

/*
 * As plain text, a block a paragraph with an empty line between: `name(HH:MM:SS)：text`. Who is not known is
 * 未知发言人, who was erased 已删除用户; a paragraph without sentences is left out.
 */
int transcript_write_text(const struct transcript *t, struct buf *out);
/* Both at once. */
int transcript_read_text(struct app *app, const struct event *stored, uint64_t place, struct buf *out);

/* ---- making one ------------------------------------------------------------------------- */

/* What it took a model to write it. */
struct transcript_made {
	struct slice job_id, request_id, model, currency; /* request_id may be empty */
	int64_t calls, billed_ms, prompt_tokens, completion_tokens, took_ms;
	int64_t cost_micros; /* 0 = not known */
};

struct transcript_of {
	struct slice platform;
	struct slice record_file_id;
	struct slice meeting_id, sub_meeting_id; /* the latter may be empty */
	struct slice source;                     /* "tencent-meeting:<file>", or which model made it */
	const struct event *cause;
	const struct transcript_made *made;      /* NULL: no model of ours did */
};

/*
 * The event that keeps it, to be appended: words sealed under the meeting's key, names under the speakers'. The same transcript of the
 * same source a second time is left out by the log. ERR_TOO_BIG, ERR_NOMEM, ERR_INVALID, or of the seals.
 */
int transcript_draft(struct app *app, const struct transcript_of *of, const struct transcript *t, struct arena *a,
    struct event_draft *ret);

#endif
