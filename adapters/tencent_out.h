/*
 * Tencent Meeting out: what the files of adapters/tencent_*.c that ask the
 * vendor's REST interface have in common. Which event asks for which effect is in projections/effects.sql:
 *
 *     meeting.ended        participants; after a while, the list of recordings
 *     recording.completed  participants; of each file: recording, transcript, summary, minutes, topics
 *     transcript.ready     transcript of each file, once more
 *     summary.ready        summary, minutes.ready  minutes; likewise
 *     recording.requested  as recording.completed: what is missing of it
 *     sync.requested       the list of recordings of a span of time
 *
 * The key of what is about a file begins with "<record_file_id>/", and goes on so that what is not made yet holds up
 * nothing else.
 */
#ifndef LULAB_ADAPTERS_TENCENT_OUT_H
#define LULAB_ADAPTERS_TENCENT_OUT_H

#include "app/app.h"
#include "app/tasks.h"
#include "tencent_calls.h"
#include "tencent_events.h"

#define TENCENT_OUT_SOURCE "/effects/tencent"
#define TENCENT_AI "tencent-meeting-ai"

/* The adapter's state. Read-only while serving. */
struct tencent_out {
	struct app *app;
	const char *unready; /* static; or NULL */
	struct tencent_rest rest;
};

/* What the events that ask have in common; members borrowed from call->cause. */
struct tencent_told {
	struct slice meeting_id, sub_meeting_id;
	const struct event_person *creator, *doer; /* NULL: nobody was named, or they were erased */
	bool creator_erased;
	bool recurring;            /* it comes again, or may: nobody said that it does not */
	int64_t starts_ms;         /* when this occurrence was to begin; 0: not told */
	const struct event_subject *meeting;       /* NULL: nothing is sealed for it */
	const struct event_recording_file *files;
	size_t n_files;
};
struct tencent_told tencent_told_of(const struct effect_call *call);

/* The file a call is about: what its key begins with. */
struct slice tencent_file_of(const struct effect_call *call);
/* As the cause tells it; NULL when it does not. */
const struct event_recording_file *tencent_file_told(const struct tencent_told *told, struct slice record_file_id);

/*
 * After a call that got nothing: what nobody said would come, and has not come after some hours, was not made at all. That is no
 * failure anybody could mend.
 */
void tencent_give_up_waiting(struct effect_call *call);

/* The outcome of what was made of an answer, once it is there: done, with so many results, or what rc means. */
void tencent_store_outcome(struct effect_call *call, int rc, size_t n_results);

/* ---- tencent_occurrence.c ------------------------------------------------------------------ */

/*
 * Which occurrence of a recurring meeting it is about, where the cause does not say. False, and the outcome set: that has to be
 * waited for, or nobody can tell.
 */
bool tencent_find_occurrence(struct effect_call *call, const struct tencent_operator *op, struct tencent_told *told);
/* The one that a recording begun then is of; empty: the meeting has none. */
struct slice tencent_occurrence_at(const struct tencent_meeting_detail *meeting, int64_t at_ms);
/* Whether a recording begun then may be of that occurrence. */
bool tencent_is_of_occurrence(const struct tencent_told *told, int64_t at_ms);

/* ---- tencent_people.c ---------------------------------------------------------------------- */

void tencent_fetch_participants(struct effect_call *calls, size_t n);

struct event_person tencent_person_of(const struct tencent_participant *p);
bool tencent_same_person(const struct tencent_participant *a, const struct tencent_participant *b);

/* ---- tencent_speakers.c ------------------------------------------------------------------- */

/* The meeting's list of participants. */
struct tencent_people {
	const struct tencent_participant *items;
	size_t n;
};
/*
 * A list that is refused is none, and speakers are known by what the transcript says. False, and the outcome set: it fails for
 * the moment, so it is asked for some times again before that.
 */
bool tencent_people_of_meeting(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    const struct tencent_told *told, struct tencent_people *ret);
/*
 * The participant with one of these ids; else who has this uuid, when one was found for the userid; else the only participant of that
 * name. By whatever they are known comes out of tencent_person_identity() of the person filled in here.
 */
void tencent_speaker(const struct tencent_people *people, const struct tencent_paragraph *p, struct slice uuid,
    struct event_person *ret);
/* Of the person with that userid; empty: nobody knows. False, and the outcome set: to be asked again. */
bool tencent_find_uuid(struct effect_call *call, const struct tencent_operator *op, struct slice userid, struct slice *ret);
/* Who it is, with whom we or the vendor know besides. False, and the outcome set: to be asked again. */
bool tencent_who_speaks(struct effect_call *call, const struct tencent_operator *op, const struct tencent_people *people,
    const struct tencent_paragraph *p, struct event_person *ret);

/* ---- tencent_links.c ---------------------------------------------------------------------- */

/* Accounts whose proven number is that of somebody in the list. 0, or ERR_* of a query or the log: to be done again. */
int tencent_link_people(struct effect_call *call, struct slice meeting_id, const struct tencent_participant *items, size_t n);

/* ---- tencent_recording.c ------------------------------------------------------------------ */

void tencent_fetch_recording(struct effect_call *calls, size_t n);

/* ---- tencent_records.c -------------------------------------------------------------------- */

void tencent_compare_records(struct effect_call *calls, size_t n);
/* Whether we know that it is complete, or deleted, or failed. 0 or an error of the read model. */
int tencent_is_told(struct effect_call *call, struct slice record_file_id, bool *ret);
/* What a delivery would have told of it. */
int tencent_completed_draft(struct effect_call *call, const struct tencent_told *told, const struct tencent_record *record,
    const struct tencent_record_file *file, struct event_draft *ret);

/* ---- tencent_sync.c ----------------------------------------------------------------------- */

void tencent_sync_records(struct effect_call *calls, size_t n);

/* ---- tencent_tasks.c ---------------------------------------------------------------------- */

extern const struct task_kind tencent_task_kinds[];

/* ---- tencent_texts.c ------------------------------------------------------------------------ */

void tencent_fetch_transcript(struct effect_call *calls, size_t n);
void tencent_fetch_summary(struct effect_call *calls, size_t n);
void tencent_fetch_minutes(struct effect_call *calls, size_t n);
void tencent_fetch_topics(struct effect_call *calls, size_t n);

#endif
