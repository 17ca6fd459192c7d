/*
 * Recordings that come without a transcript are written down by a model behind OpenAI's interface:
 *
 *     recording.stored (after a while), transcript.requested
 *         --> file of the object storage --> parts of its sound --> transcript.part_stored, one a part
 *         --> transcript.stored --> summaries
 *
 * A part that was heard is an event at once: an attempt that ends early, also by the end of the process, is gone on with behind
 * it, and nothing is paid for twice but the part that was on its way. What is stored of the platform meanwhile makes
 * an attempt superfluous: it ends well and asks nobody.
 */
#include "ai_transcribe.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"
#include "crypto/crypto.h"
#include "media.h"
#include "model_reply.h"
#include "model_summary.h"
#include "net/http_client.h"
#include "spool.h"
#include "vendor_call.h"

#define SOURCE "/effects/transcribe"
#define PART_FIELD "part"
#define PART_BYTES_MAX ((size_t)1 << 20)
#define SCRATCH_MAX ((size_t)64 << 20)
#define LOG_PAUSE_MS 200
#define UNDER_WAY_MS 60000 /* until it is looked again whether another attempt is over */

/* Long calls, few at a time; a lane of its own, so that summaries do not wait for it. Tries: one an hour of the delay, too. */
static const struct effect_lane lane = {.name = "speech", .class = EFFECT_HARMLESS, .concurrency = 2, .per_minute = 120,
    .burst = 20, .base_ms = 2000, .cap_ms = 600000, .tries_max = 24, .age_max_ms = 3 * INT64_C(86400000)};

struct dictation {
	struct effect_call *call;
	const struct speech *s;
	const struct event_recording_stored *file;
	struct event stored; /* that tells of it, where the cause is a request */
	struct slice language, request_id;
	bool asked, again;
	char id[ID_TEXT_LEN + 1];
	struct object_call objects;
	struct spool spool;
	int64_t duration_ms;
	struct slice *parts; /* what was heard, as JSON, in the arena; ptr NULL: not yet */
	size_t n_parts;
	struct speech_use use;
};

/* ---- outcomes -------------------------------------------------------------------------- */

static bool end(struct dictation *d, enum effect_outcome outcome, const char *class, const char *message)
{
	d->call->outcome = outcome;
	d->call->class = class;
	d->call->message = message;
	return false;
}

static bool not_yet(struct dictation *d, int64_t wait_ms, const char *message)
{
	d->call->retry_after_ms = wait_ms;
	return end(d, EFFECT_RETRY, "not_ready", message);
}

/* ---- what is to be done ------------------------------------------------------------------ */

/* By what is heard where, and in what language: parts of another attempt are good for this one when all of it is the same. */
static void name_job(struct dictation *d)
{
	struct slice zero = slice_of("", 1);
	char part_ms[32];
	struct id id;

	snprintf(part_ms, sizeof(part_ms), "%lld", (long long)d->s->part_ms);
	blake2b(id.bytes, ID_LEN, (struct slice){0},
	    (struct slice[]){SLICE("speech/v1"), zero, d->file->recording_id, zero, d->file->sha256, zero, d->s->model, zero,
	        slice_str(d->s->answer), zero, slice_str(part_ms), zero, d->language, zero, d->again ? d->request_id : SLICE("")},
	    15);
	id_format(d->id, &id);
}

static bool is_erased(const struct dictation *d)
{
	const struct event_recording_stored *f = d->file;
	struct id meeting;

	return f->has_subjects && f->subjects.has_meeting && id_parse(f->subjects.meeting.id, &meeting) == 0 &&
	    keyring_is_erased(d->s->app->keyring, &meeting);
}

static bool begin(struct dictation *d)
{
	const struct event_transcript_requested *asked = d->call->cause->data;
	int rc;

	d->language = d->s->language;
	if (d->call->cause->type->id == EVENT_TRANSCRIPT_REQUESTED) {
		rc = fact_read(d->s->app, (uint64_t)asked->stored_at, d->call->arena, &d->stored);
		if (rc == 0 && (d->stored.type == NULL || d->stored.type->id != EVENT_RECORDING_STORED))
			rc = ERR_MALFORMED;
		if (rc != 0)
			return model_failed(d->call, rc);
		d->asked = true;
		d->again = asked->has_again && asked->again;
		d->request_id = asked->request_id;
		if (asked->language.len > 0)
			d->language = asked->language;
		d->file = d->stored.data;
	} else {
		d->file = d->call->cause->data;
	}
	if (is_erased(d))
		return end(d, EFFECT_FAILED, "erased", "The meeting was erased.");
	name_job(d);
	return true;
}

/* Some other effect that is about this recording, if it is of that kind and state. */
static bool is_open(struct dictation *d, struct json_value rows, bool asked, const char *state)
{
	struct json_reader r;
	struct json_value row;

	json_enter(&r, rows);
	while (json_next(&r, NULL, &row))
		if ((model_row_text(d->call, row, "requestId").len > 0) == asked &&
		    (state == NULL || slice_is(model_row_text(d->call, row, "state"), state)))
			return true;
	return false;
}

/* Somebody else writes it down, or will. False: the outcome is set. */
static bool nobody_else_does(struct dictation *d)
{
	struct model_param of = {"recording", d->file->recording_id, 0};
	struct json_value rows;
	int rc = model_query(d->call, d->s->app, "transcriptions_open", &of, 1, false, &rows);

	if (rc != 0)
		return model_failed(d->call, rc);
	if (!d->asked && is_open(d, rows, true, NULL))
		return end(d, EFFECT_DONE, NULL, NULL);
	if (d->asked && is_open(d, rows, false, "TRYING"))
		return not_yet(d, UNDER_WAY_MS, "It is being transcribed already.");
	return true;
}

static bool row_is(struct json_value row, const char *name)
{
	struct json_value v;

	return json_member(row, name, &v) && v.type == JSON_TRUE;
}

/* The recording's row; {} when there is none. */
static int look_up(struct dictation *d, struct json_value *ret)
{
	struct model_param of = {"id", d->file->recording_id, 0};
	int rc = model_query(d->call, d->s->app, "recording_to_transcribe", &of, 1, true, ret);

	if (rc == ERR_NOT_FOUND)
		*ret = json_root(SLICE("{}"));
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static bool was_deleted(struct dictation *d)
{
	return end(d, EFFECT_FAILED, "deleted", "The recording was deleted.");
}

static bool is_wanted(struct dictation *d)
{
	int64_t ready_ms = d->call->cause_us / 1000 + d->s->delay_ms, now_ms = clock_wall_us(d->call->clock) / 1000;
	struct json_value row;
	int rc = look_up(d, &row);

	if (rc != 0)
		return model_failed(d->call, rc);
	if (row_is(row, "deleted"))
		return was_deleted(d);
	if (!d->again && row_is(row, "transcribed"))
		return end(d, EFFECT_DONE, NULL, NULL);
	if (!d->asked && now_ms < ready_ms)
		return not_yet(d, ready_ms - now_ms, "The platform's own transcript is waited for.");
	return nobody_else_does(d);
}

/* ---- the file ------------------------------------------------------------------------------- */

static bool store_failed(struct dictation *d, int rc)
{
	object_outcome(d->call, &d->objects, rc);
	d->call->host_failed = false; /* it is not the model's */
	return false;
}

static bool fetch(struct dictation *d)
{
	struct effect_call *call = d->call;
	struct model_param of = {"id", d->file->object_id, 0};
	struct json_value row;
	int rc = model_query(call, d->s->app, "storage_object", &of, 1, true, &row);

	if (rc == ERR_NOT_FOUND || (rc == 0 && model_row_text(call, row, "deletedAt").len > 0))
		return end(d, EFFECT_FAILED, "deleted", "The recording's file is not kept any more.");
	if (rc != 0)
		return model_failed(call, rc);
	d->objects = object_call_of(call, d->s->app, call->thread);
	d->objects.store = object_store_find(d->s->app, model_row_text(call, row, "provider"), model_row_text(call, row, "bucket"));
	if (d->objects.store == NULL)
		return end(d, EFFECT_REFUSED, "configuration", "The storage its file lies in is not configured any more.");
	rc = spool_take(&d->spool, d->s->app->data_dir, &d->objects, model_row_text(call, row, "objectKey"),
	    (uint64_t)d->file->size, call->id);
	return rc == 0 || store_failed(d, rc);
}

static bool plan(struct dictation *d)
{
	struct media_info info;
	int rc = media_probe(d->spool.path, d->call->stopping, d->call->arena, &info);

	if (rc != 0)
		return speech_media_failed(d->call, rc) == 0;
	if (info.audio_codec.len == 0)
		return end(d, EFFECT_FAILED, "no_sound", "The recording has no sound.");
	d->duration_ms = info.duration_ms;
	d->n_parts = speech_count(info.duration_ms, d->s->part_ms);
	if (d->n_parts == 0)
		return end(d, EFFECT_REFUSED, "too_long", "The recording is longer than a day.");
	d->parts = arena_calloc(d->call->arena, d->n_parts, sizeof(*d->parts));
	return d->parts != NULL || model_failed(d->call, ERR_NOMEM);
}

/* ---- parts -------------------------------------------------------------------------------------- */

static void add_use(struct dictation *d, const struct speech_use *u)
{
	d->use.calls += u->calls;
	d->use.billed_ms += u->billed_ms;
	d->use.prompt_tokens += u->prompt_tokens;
	d->use.completion_tokens += u->completion_tokens;
	d->use.took_ms += u->took_ms;
}

static int recall_part(struct dictation *d, uint64_t place)
{
	struct buf text = BUF_INIT(PART_BYTES_MAX + 64);
	const struct event_transcript_part_stored *e;
	struct event stored;
	int rc = fact_read(d->s->app, place, d->call->arena, &stored);

	if (rc == 0 && (stored.type == NULL || stored.type->id != EVENT_TRANSCRIPT_PART_STORED))
		rc = ERR_MALFORMED;
	if (rc == 0)
		rc = fact_blob_read(d->s->app, &stored, place, 0, PART_FIELD, &text);
	if (rc == 0) {
		e = stored.data;
		if ((uint64_t)e->part < d->n_parts) {
			d->parts[e->part] = arena_dup(d->call->arena, buf_slice(&text));
			add_use(d, &(struct speech_use){1, e->billed_ms, e->prompt_tokens, e->completion_tokens, e->took_ms});
			rc = d->parts[e->part].ptr == NULL ? ERR_NOMEM : 0;
		}
	}
	buf_wipe(&text);
	return rc;
}

/* Of attempts before this one. */
static bool recall(struct dictation *d)
{
	struct model_param of = {"job", slice_str(d->id), 0};
	struct json_value rows, row;
	struct json_reader r;
	int rc = model_query(d->call, d->s->app, "transcript_parts", &of, 1, false, &rows);

	json_enter(&r, rows);
	while (rc == 0 && json_next(&r, NULL, &row))
		rc = recall_part(d, (uint64_t)model_row_number(row, "place"));
	return rc == 0 || model_failed(d->call, rc);
}

static int draft_part(struct dictation *d, size_t i, struct speech_span span, const struct speech_use *u, struct arena *a,
    struct event_draft *ret)
{
	struct event_transcript_part_stored e = {.job_id = slice_str(d->id), .recording_id = d->file->recording_id, .part = (int64_t)i,
	    .start_ms = span.start_ms, .end_ms = span.end_ms, .model = d->s->model, .billed_ms = u->billed_ms, .has_billed_ms = true,
	    .prompt_tokens = u->prompt_tokens, .has_prompt_tokens = u->prompt_tokens > 0,
	    .completion_tokens = u->completion_tokens, .has_completion_tokens = u->completion_tokens > 0, .took_ms = u->took_ms,
	    .has_took_ms = true, .has_subjects = true, .subjects = {.has_meeting = true}};
	struct fact f;
	int rc;

	fact_begin(&f, d->s->app, SOURCE, d->call->cause, a);
	rc = fact_meeting(&f, d->file->meeting_id, &e.subjects.meeting);
	if (rc == 0)
		rc = fact_blob(&f, &e.subjects.meeting, PART_FIELD, d->parts[i], &e.text);
	fact_once(&f, "transcript.part", slice_str(arena_printf(a, "%s/%zu", d->id, i)));
	return rc != 0 ? rc : fact_draft(&f, EVENT_TRANSCRIPT_PART_STORED, &e, ret);
}

/* At once: what was paid for is kept, whatever becomes of the rest. */
static int keep_part(struct dictation *d, size_t i, struct speech_span span, const struct speech_heard *heard,
    const struct speech_use *u, struct arena *a)
{
	struct buf text = BUF_INIT(PART_BYTES_MAX);
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	int rc = speech_write(heard, &text);

	if (rc == 0) {
		d->parts[i] = arena_dup(d->call->arena, buf_slice(&text));
		rc = d->parts[i].ptr == NULL ? ERR_NOMEM : 0;
	}
	buf_wipe(&text);
	if (rc == 0)
		rc = draft_part(d, i, span, u, a, &draft);
	if (rc != 0)
		return rc;
	do
		rc = eventlog_append_wait(d->s->app->log, &append);
	while (rc == ERR_BUSY && thread_pause(LOG_PAUSE_MS, d->call->stopping));
	return rc;
}

/* 0; ERR_END: the file has no sound from here on; ERR_CANCELLED: the outcome is set. */
static int listen_to(struct dictation *d, size_t i, struct arena *scratch)
{
	struct speech_question q = {.path = d->spool.path, .span = speech_span(d->duration_ms, d->s->part_ms, i),
	    .language = d->language};
	struct speech_heard heard;
	struct speech_use use;
	int rc = speech_ask(d->call, d->s, &q, scratch, &heard, &use);

	if (rc != 0)
		return rc;
	rc = keep_part(d, i, q.span, &heard, &use, scratch);
	if (rc != 0) {
		model_failed(d->call, rc);
		return ERR_CANCELLED;
	}
	add_use(d, &use);
	return 0;
}

/* As bytes of the file, which is what progress is told in. */
static void tell_progress(const struct dictation *d, size_t i)
{
	int64_t at_ms = speech_span(d->duration_ms, d->s->part_ms, i).start_ms;
	uint64_t size = (uint64_t)d->file->size;

	if (d->duration_ms > 0)
		effect_progress_tell(d->call->progress, (uint64_t)((double)size * (double)at_ms / (double)d->duration_ms), size);
}

static bool listen_to_all(struct dictation *d)
{
	struct arena scratch = ARENA_INIT(SCRATCH_MAX);
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < d->n_parts; i++) {
		if (d->parts[i].ptr != NULL)
			continue;
		tell_progress(d, i);
		rc = listen_to(d, i, &scratch);
		arena_wipe(&scratch);
		if (rc == ERR_END)
			d->n_parts = i;
	}
	return rc == 0 || rc == ERR_END;
}

/* ---- together --------------------------------------------------------------------------------------- */

static int join(struct dictation *d, struct transcript *ret)
{
	struct arena *a = d->call->arena;
	struct speech_heard *heard = arena_calloc(a, d->n_parts + 1, sizeof(*heard));
	int rc = heard == NULL ? ERR_NOMEM : 0;

	for (size_t i = 0; rc == 0 && i < d->n_parts; i++)
		rc = speech_read(d->parts[i], a, &heard[i]);
	return rc != 0 ? rc : speech_join(heard, d->n_parts, a, ret);
}

static bool tell(struct dictation *d)
{
	const struct event_recording_stored *f = d->file;
	struct effect_call *call = d->call;
	struct transcript_made made = {.job_id = slice_str(d->id), .request_id = d->request_id, .model = d->s->model,
	    .currency = d->s->currency, .calls = d->use.calls, .billed_ms = d->use.billed_ms, .prompt_tokens = d->use.prompt_tokens,
	    .completion_tokens = d->use.completion_tokens, .took_ms = d->use.took_ms,
	    .cost_micros = (int64_t)((double)d->use.billed_ms / 3600000.0 * d->s->price_hour * 1e6 + 0.5)};
	struct transcript_of of = {.platform = f->platform, .record_file_id = f->record_file_id, .meeting_id = f->meeting_id,
	    .sub_meeting_id = f->sub_meeting_id, .cause = call->cause, .made = &made,
	    .source = slice_str(arena_printf(call->arena, "ai:%.*s", (int)(d->s->model.len < 120 ? d->s->model.len : 120), d->s->model.ptr))};
	struct transcript t;
	int rc = of.source.ptr == NULL ? ERR_NOMEM : join(d, &t);

	if (rc == 0)
		rc = transcript_draft(d->s->app, &of, &t, call->arena, &call->results[0]);
	if (rc != 0)
		return model_failed(call, rc);
	call->n_results = 1;
	return true;
}

/* A file that cannot be read may have gone under our hands. */
static void look_again(struct dictation *d)
{
	struct json_value row;

	if (d->call->outcome == EFFECT_REFUSED && d->file != NULL && look_up(d, &row) == 0 && row_is(row, "deleted"))
		was_deleted(d);
}

static void transcribe(struct effect_call *calls, size_t n)
{
	struct dictation d = {.call = calls, .s = calls->state};

	(void)n;
	if (calls->thread == NULL)
		vendor_no_answer(calls, ERR_NOMEM, false);
	else if (begin(&d) && is_wanted(&d) && fetch(&d) && plan(&d) && recall(&d) && listen_to_all(&d) && tell(&d))
		calls->outcome = EFFECT_DONE;
	else
		look_again(&d);
	spool_drop(&d.spool);
}

/* ---- the adapter ------------------------------------------------------------------------------------- */

static const char *host(void *state)
{
	const struct speech *s = state;

	return s->host.len == 0 ? "" : s->host.ptr;
}

static const char *when_asked_alone(void *state)
{
	const struct speech *s = state;

	return s->automatic ? NULL : "LULAB_TRANSCRIBE_AUTO is false: recordings are transcribed when somebody asks.";
}

static const struct effect effects[] = {
	{.name = "ai.transcribe", .lane = &lane, .run = transcribe, .off = when_asked_alone, .host = host,
	    .thread_open = vendor_thread_open, .thread_close = vendor_thread_close},
	{.name = "ai.transcribe_asked", .lane = &lane, .run = transcribe, .host = host, .thread_open = vendor_thread_open,
	    .thread_close = vendor_thread_close},
	{0},
};

static const char *configure(struct speech *s, const struct config *c)
{
	bool elsewhere = c->transcribe_base_url.len > 0;
	struct arena probe = ARENA_INIT(4096);
	struct slice url, authorization;
	const char *problem = NULL;

	s->model = c->transcribe_model;
	s->base = elsewhere ? c->transcribe_base_url : c->openai_base_url;
	s->key = c->transcribe_api_key;
	if (s->key.len == 0 && !elsewhere) /* a key is told to nobody but whose it is */
		s->key = c->ark_api_key.len > 0 ? c->ark_api_key : c->openai_api_key;
	s->language = c->transcribe_language;
	s->answer = slice_is(c->transcribe_answer, "json") ? "json" : "verbose_json";
	s->part_ms = c->transcribe_part;
	if (strcmp(s->answer, "json") == 0 && s->part_ms > SPEECH_PART_PLAIN_MS)
		s->part_ms = SPEECH_PART_PLAIN_MS;
	s->automatic = c->transcribe_auto;
	s->delay_ms = c->transcribe_delay;
	s->price_hour = c->transcribe_price;
	s->currency = c->ai_currency;
	if (s->model.len == 0)
		problem = "Recordings are not transcribed: set LULAB_TRANSCRIBE_MODEL.";
	else if (openai_url(s->base, "/", &probe, &url) != 0)
		problem = "The address of transcription is none: see LULAB_TRANSCRIBE_BASE_URL.";
	else if (s->key.len > 0 && openai_authorization(s->key, &probe, &authorization) != 0)
		problem = "The key of transcription has characters that no key has: see LULAB_TRANSCRIBE_API_KEY.";
	else if (s->key.len == 0 && !elsewhere)
		problem = "Transcription has no key: set LULAB_TRANSCRIBE_API_KEY, or that of the language model.";
	else if (s->language.len == 1)
		problem = "LULAB_TRANSCRIBE_LANGUAGE has two letters, as zh.";
	else if (!media_programs_there())
		problem = "Recordings are not transcribed: there is no ffmpeg or ffprobe on this machine (Debian: ffmpeg).";
	arena_wipe(&probe);
	return problem;
}

static void stop(void *state)
{
	struct speech *s = state;

	free((char *)s->host.ptr);
	free(s);
}

static int start(struct app *app, void **ret_state)
{
	struct speech *s = calloc(1, sizeof(*s));
	struct http_client *client; /* makes libcurl ready, before there are threads */
	struct slice name;
	int rc = s == NULL ? ERR_NOMEM : http_client_create(&client);

	if (rc != 0) {
		free(s);
		return rc;
	}
	http_client_destroy(client);
	s->app = app;
	s->unready = configure(s, app->config);
	name = model_host_of(s->base);
	s->host = slice_str(strndup(name.ptr == NULL ? "" : name.ptr, name.len));
	if (s->host.ptr == NULL) {
		stop(s);
		return ERR_NOMEM;
	}
	if (s->unready != NULL && s->model.len > 0) /* without a model it is not meant to */
		log_warn("transcribe", s->unready);
	*ret_state = s;
	return 0;
}

static const char *unready(void *state)
{
	return ((struct speech *)state)->unready;
}

static const struct route routes[] = {{0}};

const struct adapter adapter_ai_transcribe = {
	.name = "ai_transcribe",
	.routes = routes,
	.effects = effects,
	.start = start,
	.stop = stop,
	.unready = unready,
};
