/*
 * Summaries a meeting platform's own model wrote, as the event summary.stored
 * keeps them: the text in the event, sealed under the meeting's key, or beside
 * it when it is longer than an event takes.
 */
#ifndef LULAB_APP_SUMMARY_H
#define LULAB_APP_SUMMARY_H

#include "app/fact.h"

#define SUMMARY_BYTES_MAX ((size_t)4 << 20)
#define SUMMARY_IN_EVENT_MAX 32768

struct summary_of {
	struct slice platform;
	struct slice record_file_id;
	struct slice meeting_id, sub_meeting_id; /* the latter may be empty */
	struct slice kind;                       /* "FULL", ... as schemas/events/summary.stored.json has them */
	struct slice language;                   /* may be empty */
	struct slice source;                     /* "tencent-meeting-ai" */
	bool markdown;
	const struct event *cause;
};

/*
 * The event that keeps a text, to be appended; the same text of the same source and kind a second time is left out by the
 * log. ERR_TOO_BIG, ERR_NOMEM, ERR_INVALID, or of the seals.
 */
int summary_draft(struct app *app, const struct summary_of *of, struct slice text, struct arena *a,
    struct event_draft *ret);

/* The text of an event summary.stored at `place` of the log, appended to out (up to SUMMARY_BYTES_MAX, and 64 bytes of room). ERR_ERASED: the meeting was. */
int summary_read_text(struct app *app, const struct event *stored, uint64_t place, struct buf *out);

#endif
