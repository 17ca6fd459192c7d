/*
 * Events that an effect appends about what it found: their id, what in them is
 * sealed and under whose key, blobs. On a lane's thread; everything lies in the
 * arena given, which must outlive the append.
 *
 *     fact_begin -> fact_subject, fact_seal, fact_blob ... -> fact_draft
 */
#ifndef LULAB_APP_FACT_H
#define LULAB_APP_FACT_H

#include "app/app.h"
#include "domain/event.h"

#define FACT_SUBJECTS_MAX 4

struct fact {
	struct event_meta meta;  /* the caller may set more: once, expect */
	struct app *app;         /* below here: private, but for id_text */
	struct arena *arena;
	char id_text[ID_TEXT_LEN + 1];
	struct seal_subject subjects[FACT_SUBJECTS_MAX];
	size_t n_subjects;
	struct blob_draft blobs[2];
};

/* source: "/effects/tencent". cause: the event that led to it; NULL = none. The struct must not move from here on. */
void fact_begin(struct fact *f, struct app *app, const char *source, const struct event *cause, struct arena *a);

/*
 * Whose key seals the fields of that x-subject: the subject of this identity, the one it had before or a new one.
 * Who was erased gets a new one, which nothing of before is sealed with.
 */
int fact_subject(struct fact *f, const char *name, struct slice kind, struct slice identity, struct event_subject *ret);
/* The subject of an account: its id is both. */
int fact_account(struct fact *f, const char *name, struct slice user_id, struct event_subject *ret);
/* The subject of a meeting, as deliveries of the platform name it. */
int fact_meeting(struct fact *f, struct slice meeting_id, struct event_subject *ret);

/* Somebody an event named, by their subject id. What is sealed for who was erased gives ERR_ERASED. */
int fact_subject_known(struct fact *f, const char *name, struct slice id, struct event_subject *ret);

/* A text sealed by hand into an open field, base64url: under this subject's key, bound to the event and `field`. */
int fact_seal(struct fact *f, const struct event_subject *subject, const char *field, struct slice plain,
    struct slice *ret_sealed);
/* Bytes kept beside the event, sealed alike. The struct holds two at most. */
int fact_blob(struct fact *f, const struct event_subject *subject, const char *field, struct slice plain,
    struct event_blob *ret);

/* Known by this once key from now on; a second one is left out of what is appended. */
void fact_once(struct fact *f, const char *source, struct slice id);

/* The struct of that type becomes a draft. Errors of event_draft_make(). */
int fact_draft(struct fact *f, enum event_type type, const void *data, struct event_draft *ret);

/* HMAC under the server's lookup key of texts joined by NULs, base64url, in the arena: equal for equal texts. {NULL,0}: no memory. */
struct slice fact_fingerprint(struct fact *f, const struct slice *texts, size_t n);

/* What the API calls the recording of a platform's file: row_id('file', platform, record_file_id) of the read models. */
#define FACT_RECORDING_ID_LEN 25
struct slice fact_recording_id(struct arena *a, struct slice platform, struct slice record_file_id);

/* ---- the other way ------------------------------------------------------------------- */

/* Blob n of the event at that place, opened: appended to out, whose ceiling must leave 64 bytes more. ERR_ERASED, ERR_NOT_FOUND, or of the log or the seal. */
int fact_blob_read(struct app *app, const struct event *event, uint64_t place, uint32_t n, const char *field,
    struct buf *out);
/* What fact_seal() sealed, in the arena. ERR_ERASED. */
int fact_unseal(struct app *app, const struct event *event, const char *field, struct slice sealed, struct arena *a,
    struct slice *ret_plain);
/* The event at a place, unsealed as far as its keys are there. Everything in the arena. */
int fact_read(struct app *app, uint64_t place, struct arena *a, struct event *ret);

#endif
