/* Tencent Meeting out: settings, lanes and the table of effects; see tencent_out.h. */
#include "tencent_out.h"

#include <stdlib.h>

#include "app/fact.h"
#include "base/err.h"
#include "base/log.h"
#include "net/http_client.h"
#include "object_store.h"
#include "vendor_call.h"

#define NEVER_MADE_TRIES 6 /* after 1, 5, 15, 60 and 60 minutes */

/* 80 % of the 10 requests a second that the vendor's default budget has (vendor-protocols 1.3). */
static const struct effect_lane lane = {.name = "tencent", .class = EFFECT_HARMLESS, .concurrency = 4, .per_minute = 480,
    .burst = 16, .base_ms = 500, .cap_ms = 300000, .tries_max = 12, .age_max_ms = 86400000};

/* Downloads: long, few at a time, and gone on with where they were. */
static const struct effect_lane files_lane = {.name = "tencent_files", .class = EFFECT_HARMLESS, .concurrency = 2,
    .per_minute = 60, .burst = 8, .base_ms = 500, .cap_ms = 300000, .tries_max = 20, .age_max_ms = 3 * INT64_C(86400000)};

/* ---- what asks --------------------------------------------------------------------------- */

#define PERSON(e, who) ((e)->has_##who ? &(e)->who : NULL)
#define TOLD(e, of) \
	(struct tencent_told){.meeting_id = (e)->meeting_id, .sub_meeting_id = (e)->sub_meeting_id, \
	    .creator = PERSON(e, creator), .doer = PERSON(e, operator), \
	    .creator_erased = (e)->has_subjects && (e)->subjects.has_creator && !(e)->has_creator, \
	    .recurring = !(e)->has_meeting_type || (e)->meeting_type == TENCENT_RECURRING, \
	    .starts_ms = (e)->has_sub_meeting_start_at_ms ? (e)->sub_meeting_start_at_ms : 0, \
	    .meeting = (e)->has_subjects && (e)->subjects.has_meeting ? &(e)->subjects.meeting : NULL, of}
#define FILES(e) .files = (e)->recording_files.items, .n_files = (e)->recording_files.n

static struct tencent_told told_of_completed(const struct event_recording_completed *e)
{
	return TOLD(e, FILES(e));
}

/* What it was told by is read anew: who booked the meeting is named there, unless they were erased. */
static struct tencent_told told_of_requested(const struct effect_call *call)
{
	const struct tencent_out *t = call->state;
	const struct event_recording_requested *e = call->cause->data;
	struct event event;

	if (e->has_told_position && fact_read(t->app, (uint64_t)e->told_position, call->arena, &event) == 0 &&
	    event.type->id == EVENT_RECORDING_COMPLETED)
		return told_of_completed(event.data);
	return (struct tencent_told){.meeting_id = e->meeting_id, .sub_meeting_id = e->sub_meeting_id, FILES(e)};
}

struct tencent_told tencent_told_of(const struct effect_call *call)
{
	const void *data = call->cause->data;

	switch (call->cause->type->id) {
	case EVENT_MEETING_ENDED: {
		const struct event_meeting_ended *e = data;

		return TOLD(e, .n_files = 0);
	}
	case EVENT_RECORDING_COMPLETED:
		return told_of_completed(data);
	case EVENT_TRANSCRIPT_READY: {
		const struct event_transcript_ready *e = data;

		return TOLD(e, FILES(e));
	}
	case EVENT_SUMMARY_READY: {
		const struct event_summary_ready *e = data;

		return TOLD(e, FILES(e));
	}
	case EVENT_MINUTES_READY: {
		const struct event_minutes_ready *e = data;

		return TOLD(e, FILES(e));
	}
	case EVENT_RECORDING_REQUESTED:
		return told_of_requested(call);
	default:
		return (struct tencent_told){0};
	}
}

struct slice tencent_file_of(const struct effect_call *call)
{
	struct slice file, what;

	slice_cut(slice_str(call->key), '/', &file, &what);
	return file;
}

const struct event_recording_file *tencent_file_told(const struct tencent_told *told, struct slice record_file_id)
{
	for (size_t i = 0; i < told->n_files; i++)
		if (slice_eq(told->files[i].record_file_id, record_file_id))
			return &told->files[i];
	return NULL;
}

void tencent_give_up_waiting(struct effect_call *call)
{
	enum event_type cause = call->cause->type->id;

	if (call->outcome != EFFECT_NOT_YET || call->attempt < NEVER_MADE_TRIES ||
	    (cause != EVENT_RECORDING_COMPLETED && cause != EVENT_RECORDING_REQUESTED))
		return;
	call->outcome = EFFECT_FAILED;
	call->class = "never_made";
	call->message = "Tencent Meeting made none of this recording.";
}

static void set(struct effect_call *call, enum effect_outcome outcome, const char *class, const char *message)
{
	call->outcome = outcome;
	call->class = class;
	call->message = message;
}

void tencent_store_outcome(struct effect_call *call, int rc, size_t n_results)
{
	call->n_results = rc == 0 ? n_results : 0;
	if (rc == 0)
		set(call, EFFECT_DONE, NULL, NULL);
	else if (rc == ERR_ERASED)
		set(call, EFFECT_FAILED, "erased", "Whom it is about was erased meanwhile.");
	else if (rc == ERR_TOO_BIG || rc == ERR_INVALID)
		set(call, EFFECT_REFUSED, "unfit", "What Tencent Meeting answered cannot be kept: it is too long, or against our rules.");
	else if (rc == ERR_NOMEM)
		set(call, EFFECT_RETRY, "memory", "There was no memory for it.");
	else
		set(call, EFFECT_RETRY, "log", "The log takes no events at the moment.");
}

/* Not of a meeting that was erased, nor in the name of a person who was, unless somebody else can ask. */
static bool wanted(const struct effect_call *call)
{
	const struct tencent_out *t = call->state;
	struct tencent_told told = tencent_told_of(call);
	struct id meeting;

	if (told.meeting_id.len == 0)
		return false;
	if (told.meeting != NULL && id_parse(told.meeting->id, &meeting) == 0 && keyring_is_erased(t->app->keyring, &meeting))
		return false;
	return !told.creator_erased || told.doer != NULL || t->rest.operator_id.len > 0;
}

static const char *host(void *state)
{
	const struct tencent_out *t = state;

	return t->rest.base_url;
}

static const char *no_store(void *state)
{
	const struct tencent_out *t = state;

	return object_store_current(t->app) == NULL ? object_store_unready(t->app) : NULL;
}

#define EFFECT(called, fn) \
	{.name = (called), .lane = &lane, .run = (fn), .wanted = wanted, .host = host, .thread_open = vendor_thread_open, \
	    .thread_close = vendor_thread_close}

static const struct effect effects[] = {
	{.name = "tencent.recording", .lane = &files_lane, .run = tencent_fetch_recording, .wanted = wanted, .off = no_store,
	    .thread_open = vendor_thread_open, .thread_close = vendor_thread_close},
	EFFECT("tencent.participants", tencent_fetch_participants),
	EFFECT("tencent.records", tencent_compare_records),
	EFFECT("tencent.transcript", tencent_fetch_transcript),
	EFFECT("tencent.summary", tencent_fetch_summary),
	EFFECT("tencent.minutes", tencent_fetch_minutes),
	EFFECT("tencent.topics", tencent_fetch_topics),
	{.name = "tencent.sync", .lane = &lane, .run = tencent_sync_records, .host = host, .thread_open = vendor_thread_open,
	    .thread_close = vendor_thread_close},
	{0},
};

/* ---- start and stop ------------------------------------------------------------------------ */

static const char *configure(struct tencent_out *t, const struct config *c)
{
	t->rest = (struct tencent_rest){.base_url = c->tencent_meeting_base_url.ptr, .operator_id = c->user_id,
	    .keys = {.app_id = c->tencent_meeting_app_id, .sdk_id = c->tencent_meeting_sdk_id,
	        .secret_id = c->tencent_meeting_secret_id, .secret_key = c->tencent_meeting_secret_key}};
	if (t->rest.keys.secret_id.len == 0 || t->rest.keys.secret_key.len == 0 || t->rest.keys.app_id.len == 0)
		return "Nothing is fetched from Tencent Meeting: set TENCENT_MEETING_SECRET_ID, TENCENT_MEETING_SECRET_KEY and "
		       "TENCENT_MEETING_APP_ID.";
	return NULL;
}

static int start(struct app *app, void **ret_state)
{
	struct tencent_out *t = calloc(1, sizeof(*t));
	struct http_client *client; /* makes libcurl ready, before there are threads */
	int rc = t == NULL ? ERR_NOMEM : http_client_create(&client);

	if (rc != 0) {
		free(t);
		return rc;
	}
	http_client_destroy(client);
	t->app = app;
	t->unready = configure(t, app->config);
	if (t->unready != NULL)
		log_warn("tencent", t->unready);
	*ret_state = t;
	return 0;
}

static const char *unready(void *state)
{
	return ((struct tencent_out *)state)->unready;
}

static const struct route routes[] = {{0}};

const struct adapter adapter_tencent_out = {
	.name = "tencent_out",
	.routes = routes,
	.effects = effects,
	.task_kinds = tencent_task_kinds,
	.start = start,
	.stop = free,
	.unready = unready,
};
