/*
 * A recording is written down in parts: where they are cut, what was heard in each, and
 * how a transcript is put together from them. Pure functions, any thread; what is returned lies in the arena.
 *
 * Parts are cut at fixed lengths, so that after a restart they are the same. A word that is cut is heard in two halves, or once:
 * with ten minutes a part that is one word in thousands.
 */
#ifndef LULAB_ADAPTERS_SPEECH_PARTS_H
#define LULAB_ADAPTERS_SPEECH_PARTS_H

#include "app/transcript.h"
#include "openai_wire.h"

#define SPEECH_PART_PLAIN_MS 60000 /* where the answer has no times: the part's own are those of its text */
#define SPEECH_REST_MS 2000        /* an end that is shorter belongs to the part before it */
#define SPEECH_MS_MAX (24 * INT64_C(3600000))

struct speech_span {
	int64_t start_ms, end_ms;
};
/* How many parts; 0: it is longer than SPEECH_MS_MAX. duration 0, not known: as many as there may be, and the first without sound ends them. */
size_t speech_count(int64_t duration_ms, int64_t part_ms);
struct speech_span speech_span(int64_t duration_ms, int64_t part_ms, size_t i);

/* What was heard in one part; times from the start of the file. */
struct speech_heard {
	struct slice language; /* as the log keeps it: zh-CN, en; empty: not told */
	struct openai_segment *said;
	size_t n;
};
/* From the service's answer, whose times are those of the part. Never outside the span; what is empty is left out. ERR_NOMEM. */
int speech_hear(struct speech_span span, const struct openai_transcript *answer, struct arena *a, struct speech_heard *ret);

/* {"language":"zh-CN","said":[[600,3100,"大家好。"]]}, as the event transcript.part_stored keeps it. */
int speech_write(const struct speech_heard *h, struct buf *out);
int speech_read(struct slice json, struct arena *a, struct speech_heard *ret);

/* Paragraphs end at pauses, and when they are long. Nobody knows who speaks. ERR_NOMEM. */
int speech_join(const struct speech_heard *parts, size_t n, struct arena *a, struct transcript *ret);

#endif
