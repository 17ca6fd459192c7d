/* One part of a recording: cut out by ffmpeg, sent as a form, asked for again at once a few times. */
#include "ai_transcribe.h"

#include "base/err.h"
#include "base/thread.h"
#include "media.h"
#include "model_reply.h"
#include "net/http_client.h"
#include "openai_wire.h"
#include "vendor_call.h"

#define CALL_MS 600000
#define ANSWER_BYTES_MAX ((size_t)16 << 20)
#define FORM_BYTES_MAX 8192
#define FILE_NAME "part.mp3" /* nothing of the recording's own name leaves */

int speech_media_failed(struct effect_call *call, int rc)
{
	if (rc == ERR_CANCELLED || rc == ERR_NOMEM) {
		vendor_no_answer(call, rc, false);
		return ERR_CANCELLED;
	}
	call->outcome = rc == ERR_NOT_FOUND ? EFFECT_STOP : rc == ERR_TIMEOUT || rc == ERR_IO ? EFFECT_RETRY : EFFECT_REFUSED;
	call->class = rc == ERR_NOT_FOUND ? "configuration" : "media";
	call->message = rc == ERR_NOT_FOUND ? "There is no ffmpeg on this machine (Debian: ffmpeg)." :
	    rc == ERR_TIMEOUT ? "The sound was not read in time." : "ffmpeg cannot read the recording's sound.";
	return ERR_CANCELLED;
}

/* The form: what stands before the sound, the sound, and what stands behind it. */
static int put_form(const struct effect_call *call, const struct speech *s, const struct speech_question *q, struct slice sound,
    char boundary[ID_TEXT_LEN + 1], struct buf *form)
{
	struct openai_transcription t = {.file_name = SLICE(FILE_NAME), .model = s->model, .language = q->language,
	    .response_format = s->answer, .segments = strcmp(s->answer, "verbose_json") == 0};
	struct buf after = BUF_INIT(FORM_BYTES_MAX);
	struct id random = id_random(call->rng);
	int rc;

	id_format(boundary, &random);
	rc = openai_body_transcription(&t, slice_str(boundary), sound.len, form, &after);
	if (rc == 0)
		rc = buf_append(form, sound);
	if (rc == 0)
		rc = buf_append(form, buf_slice(&after));
	buf_finish(&after);
	return rc;
}

struct asking {
	struct effect_call *call;
	const struct speech *s;
	struct arena *scratch;
	struct slice form;
	const char *boundary;
};

struct answer {
	struct model_reply head;
	struct openai_transcript said;
	int64_t took_ms;
	bool senseless;
};

static int read_answer(const struct asking *k, const struct http_result *r, struct answer *ret)
{
	struct slice body = arena_dup(k->scratch, buf_slice(&r->body));
	int rc;

	if (r->status < 200 || r->status > 299)
		return model_reply_error(k->call, r, r->status, buf_slice(&r->body), &ret->head);
	rc = body.ptr == NULL ? ERR_NOMEM : openai_transcript_parse(body, k->scratch, &ret->said);
	ret->senseless = rc == ERR_MALFORMED || rc == ERR_TOO_BIG;
	return rc;
}

static void send_form(const struct asking *k, struct answer *ret)
{
	struct arena *a = k->scratch;
	struct slice url, authorization = SLICE("");
	struct http_result r = {0};
	int rc = openai_url(k->s->base, "/audio/transcriptions", a, &url);

	*ret = (struct answer){0};
	if (rc == 0 && k->s->key.len > 0)
		rc = openai_authorization(k->s->key, a, &authorization);
	if (rc == 0) {
		const char *type = arena_printf(a, "Content-Type: multipart/form-data; boundary=%s", k->boundary);
		const char *key = arena_printf(a, "Authorization: %.*s", SLICE_ARG(authorization));
		const char *headers[] = {type, "Accept: application/json", authorization.len > 0 ? key : NULL, NULL};
		struct http_call call = {.url = url.ptr, .headers = headers, .body = k->form, .timeout_ms = CALL_MS,
		    .stopping = k->call->stopping, .answer_max = ANSWER_BYTES_MAX};

		rc = type == NULL || key == NULL ? ERR_NOMEM : http_client_call(k->call->thread, &call, &r);
		model_reply_head(k->call, &r, &ret->head);
		ret->took_ms = r.duration_us / 1000;
		if (rc == 0)
			rc = read_answer(k, &r, ret);
	}
	ret->head.rc = rc;
	http_result_finish(&r);
}

static int ask(const struct asking *k, struct answer *ret)
{
	for (unsigned repeats = 0;; repeats++) {
		int64_t wait;

		send_form(k, ret);
		if (ret->head.rc == 0 && !ret->head.is_error) {
			k->call->status = ret->head.status;
			k->call->vendor_id = ret->head.vendor_id;
			return 0;
		}
		wait = model_reply_wait_ms(k->call, k->s->app->config->effects_retry_base, &ret->head, repeats);
		if (wait == 0 || !thread_pause(wait, k->call->stopping))
			break;
	}
	if (ret->senseless) {
		k->call->outcome = EFFECT_RETRY;
		k->call->class = "malformed";
		k->call->message = "The service's answer is no transcript.";
		k->call->vendor_id = ret->head.vendor_id;
	} else {
		model_reply_judge(k->call, &ret->head);
		if (ret->head.is_error && ret->head.error.is == ANSWER_REFUSED)
			k->call->message = "The service refuses the request: does its model answer as LULAB_TRANSCRIBE_ANSWER says?";
	}
	return ERR_CANCELLED;
}

static int hear(const struct asking *k, const struct speech_question *q, struct speech_heard *ret, struct speech_use *ret_use)
{
	struct answer answer;
	int rc = ask(k, &answer);

	if (rc != 0)
		return rc;
	if (answer.said.language.len == 0)
		answer.said.language = q->language;
	*ret_use = (struct speech_use){1, answer.said.billed_ms, answer.said.usage.prompt, answer.said.usage.completion, answer.took_ms};
	if (ret_use->billed_ms == 0)
		ret_use->billed_ms = q->span.end_ms - q->span.start_ms;
	rc = speech_hear(q->span, &answer.said, k->scratch, ret);
	if (rc != 0)
		vendor_no_answer(k->call, rc, false);
	return rc == 0 ? 0 : ERR_CANCELLED;
}

int speech_ask(struct effect_call *call, const struct speech *s, const struct speech_question *q, struct arena *scratch,
    struct speech_heard *ret, struct speech_use *ret_use)
{
	struct buf sound = BUF_INIT(OPENAI_AUDIO_MAX), form = BUF_INIT(OPENAI_AUDIO_MAX + 2 * FORM_BYTES_MAX);
	char boundary[ID_TEXT_LEN + 1];
	struct asking k = {.call = call, .s = s, .scratch = scratch, .boundary = boundary};
	int rc = media_sound(q->path, q->span.start_ms, q->span.end_ms - q->span.start_ms, call->stopping, &sound);

	if (rc == ERR_END)
		goto out;
	if (rc != 0) {
		rc = speech_media_failed(call, rc);
		goto out;
	}
	rc = put_form(call, s, q, buf_slice(&sound), boundary, &form);
	if (rc != 0) {
		vendor_no_answer(call, rc, false);
		rc = ERR_CANCELLED;
		goto out;
	}
	buf_finish(&sound);
	k.form = buf_slice(&form);
	rc = hear(&k, q, ret, ret_use);
out:
	buf_wipe(&sound);
	buf_wipe(&form);
	return rc;
}
