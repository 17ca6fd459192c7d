/* Private to adapters/ai_transcribe*.c; what it is about stands in ai_transcribe.c. */
#ifndef LULAB_ADAPTERS_AI_TRANSCRIBE_H
#define LULAB_ADAPTERS_AI_TRANSCRIBE_H

#include "app/app.h"
#include "app/fact.h"
#include "speech_parts.h"
#include "store/effect.h"

/* Who is asked, and how. Read-only while serving. */
struct speech {
	struct app *app;
	const char *unready;  /* why nothing is transcribed, static; or NULL */
	struct slice base, key, model, host;
	struct slice language; /* ISO 639-1; empty: the model finds out */
	const char *answer;    /* "verbose_json", "json" */
	int64_t part_ms;
	bool automatic;
	int64_t delay_ms;
	double price_hour;     /* 0 = not known */
	struct slice currency;
};

/* What it took, added up over parts. */
struct speech_use {
	int64_t calls, billed_ms, prompt_tokens, completion_tokens, took_ms;
};

struct speech_question {
	const char *path; /* of the recording */
	struct speech_span span;
	struct slice language;
};
/*
 * One part of a recording, cut out, sent and heard; everything in the scratch arena. 0; ERR_END: there is no sound at that
 * place; ERR_CANCELLED: the call's outcome says why not.
 */
int speech_ask(struct effect_call *call, const struct speech *s, const struct speech_question *q, struct arena *scratch,
    struct speech_heard *ret, struct speech_use *ret_use);

/* The outcome for ffmpeg's and ffprobe's. ERR_CANCELLED. */
int speech_media_failed(struct effect_call *call, int rc);

#endif
