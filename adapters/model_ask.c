/* See model_ask.h. */
#include "model_ask.h"

#include <stdlib.h>

#include "app/app.h"
#include "base/err.h"
#include "base/thread.h"
#include "model_reply.h"
#include "model_text.h"
#include "net/http_client.h"
#include "vendor_call.h"

#define QUESTION_BYTES_MAX ((size_t)16 << 20)
#define STREAM_BYTES_MAX ((size_t)32 << 20) /* integrity.md 19 */
#define EVENT_ARENA_MAX ((size_t)8 << 20)
#define CALL_MS 600000
#define MESSAGES_MAX 4
#define VALUES_MAX 12

/* ---- answers of late ----------------------------------------------------------------------- */

void model_memo_init(struct model_memo *memo)
{
	*memo = (struct model_memo){0};
	pthread_mutex_init(&memo->lock, NULL);
}

static void forget(struct model_memo *memo, struct model_memo_entry *e)
{
	if (e->content == NULL)
		return;
	crypto_wipe(e->content, e->len);
	free(e->content);
	memo->bytes -= e->len;
	*e = (struct model_memo_entry){0};
}

void model_memo_finish(struct model_memo *memo)
{
	for (unsigned i = 0; i < MODEL_MEMO_ANSWERS; i++)
		forget(memo, &memo->entries[i]);
	pthread_mutex_destroy(&memo->lock);
}

static bool recall(struct model_memo *memo, const uint8_t digest[32], struct arena *a, struct slice *ret)
{
	bool found = false;

	pthread_mutex_lock(&memo->lock);
	for (unsigned i = 0; !found && i < MODEL_MEMO_ANSWERS; i++) {
		const struct model_memo_entry *e = &memo->entries[i];

		if (e->content == NULL || memcmp(e->digest, digest, sizeof(e->digest)) != 0)
			continue;
		*ret = arena_dup(a, slice_of(e->content, e->len));
		found = ret->ptr != NULL;
	}
	pthread_mutex_unlock(&memo->lock);
	return found;
}

static void remember(struct model_memo *memo, const uint8_t digest[32], struct slice content)
{
	char *copy = content.len == 0 || content.len > MODEL_MEMO_BYTES ? NULL : malloc(content.len);

	if (copy == NULL)
		return;
	memcpy(copy, content.ptr, content.len);
	pthread_mutex_lock(&memo->lock);
	struct model_memo_entry *e = &memo->entries[memo->next % MODEL_MEMO_ANSWERS];

	forget(memo, e);
	memcpy(e->digest, digest, sizeof(e->digest));
	e->content = copy;
	e->len = content.len;
	memo->bytes += content.len;
	memo->next++;
	for (unsigned i = 0; memo->bytes > MODEL_MEMO_BYTES && i < MODEL_MEMO_ANSWERS - 1; i++) /* the oldest first */
		forget(memo, &memo->entries[(memo->next + i) % MODEL_MEMO_ANSWERS]);
	pthread_mutex_unlock(&memo->lock);
}

/* ---- one request --------------------------------------------------------------------------------- */

struct asking {
	struct effect_call *call;
	struct model *model;
	const struct model_question *question;
	struct model_use *use;
	struct openai_message messages[MESSAGES_MAX];
	size_t n_messages;
	struct slice schema; /* as the vendor takes it */
	struct buf raw;      /* of the answer at hand */
};

/* What came of it: an answer, or why there is none. */
struct reply {
	struct model_reply head;
	struct openai_answer answer;
};

static int take_bytes(void *arg, struct slice bytes)
{
	struct asking *k = arg;

	effect_progress_tell(k->call->progress, k->raw.len + bytes.len, 0);
	return atomic_load(k->call->stopping) ? ERR_CANCELLED : buf_append(&k->raw, bytes);
}

static int keep_answer(struct asking *k, const struct openai_answer *answer, struct reply *ret)
{
	ret->answer = (struct openai_answer){.finish = answer->finish, .usage = answer->usage};
	ret->answer.content = arena_dup(k->call->arena, answer->content);
	ret->answer.refusal = arena_dup(k->call->arena, answer->refusal);
	return ret->answer.content.ptr == NULL || ret->answer.refusal.ptr == NULL ? ERR_NOMEM : 0;
}

static int read_stream(struct asking *k, const struct http_result *r, struct reply *ret)
{
	struct arena event = ARENA_INIT(EVENT_ARENA_MAX);
	struct openai_stream stream;
	struct openai_answer answer;
	int rc;

	openai_stream_init(&stream, &event);
	openai_stream_feed(&stream, buf_slice(&k->raw));
	rc = stream.failed ? model_reply_error(k->call, r, 0, buf_slice(&stream.error_body), &ret->head) : openai_stream_end(&stream, &answer);
	if (rc == 0 && !stream.failed)
		rc = keep_answer(k, &answer, ret);
	openai_stream_finish(&stream);
	arena_wipe(&event);
	return rc == ERR_MALFORMED ? ERR_END : rc;
}

static int read_reply(struct asking *k, const struct http_result *r, struct reply *ret)
{
	struct openai_answer answer;
	struct slice type;
	int rc;

	if (r->status < 200 || r->status > 299)
		return model_reply_error(k->call, r, r->status, buf_slice(&k->raw), &ret->head);
	if (http_result_header(r, "content-type", &type) && slice_starts_with(type, SLICE("text/event-stream")))
		return read_stream(k, r, ret);
	rc = openai_chat_parse(buf_slice(&k->raw), k->call->arena, &answer); /* one that does not stream */
	return rc == 0 ? keep_answer(k, &answer, ret) : rc == ERR_MALFORMED ? ERR_END : rc;
}

static void tally(struct asking *k, struct slice body, const struct http_result *r, const struct reply *reply)
{
	const struct openai_usage *u = &reply->answer.usage;

	k->use->calls++;
	k->use->took_ms += r->duration_us / 1000;
	if (reply->head.rc != 0 || reply->head.is_error)
		return;
	/* Some compatibles do not count. */
	k->use->prompt_tokens += u->prompt > 0 ? u->prompt : (int64_t)model_tokens(body);
	k->use->completion_tokens += u->completion > 0 ? u->completion : (int64_t)model_tokens(reply->answer.content);
}

static void send_request(struct asking *k, struct slice body, struct reply *ret)
{
	struct model *m = k->model;
	struct arena *a = k->call->arena;
	struct slice url, authorization;
	struct http_result r = {0};
	int rc = openai_url(m->base, "/chat/completions", a, &url);

	*ret = (struct reply){0};
	if (rc == 0)
		rc = openai_authorization(m->key, a, &authorization);
	if (rc == 0) {
		const char *header = arena_printf(a, "Authorization: %.*s", SLICE_ARG(authorization));
		const char *headers[] = {header, "Content-Type: application/json", "Accept: text/event-stream, application/json", NULL};
		struct http_call call = {.url = url.ptr, .headers = headers, .body = body, .timeout_ms = CALL_MS,
		    .on_bytes = take_bytes, .arg = k};

		k->raw = (struct buf)BUF_INIT(STREAM_BYTES_MAX);
		rc = header == NULL ? ERR_NOMEM : http_client_call(k->call->thread, &call, &r);
		if (k->raw.rc != 0)
			rc = k->raw.rc;
		model_reply_head(k->call, &r, &ret->head);
		if (rc == 0)
			rc = read_reply(k, &r, ret);
	}
	ret->head.rc = rc;
	tally(k, body, &r, ret);
	http_result_finish(&r);
	buf_wipe(&k->raw);
}

/* ---- what it means ----------------------------------------------------------------------------------- */

static bool has(struct slice text, const char *part)
{
	return text.len > 0 && memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* Compatibles have codes of their own for it, and say it in words. */
static bool is_too_long(const struct model_reply *r)
{
	return r->is_error && (r->status == 400 || r->status == 413) &&
	    (slice_is(r->error.code, "context_length_exceeded") || has(r->error.message, "context length") ||
	        has(r->error.message, "context_length") || has(r->error.message, "maximum context"));
}

/* The model's answer to the messages so far. Errors as model_ask(). */
static int answer_to(struct asking *k, struct slice body, struct openai_answer *ret)
{
	struct reply r;

	for (unsigned repeats = 0;; repeats++) {
		int64_t wait;

		send_request(k, body, &r);
		if (r.head.rc == 0 && !r.head.is_error) {
			*ret = r.answer;
			k->call->status = r.head.status;
			k->call->vendor_id = r.head.vendor_id;
			return 0;
		}
		if (is_too_long(&r.head))
			return ERR_TOO_BIG;
		wait = model_reply_wait_ms(k->call, k->model->app->config->effects_retry_base, &r.head, repeats);
		if (wait == 0 || !thread_pause(wait, k->call->stopping))
			break;
	}
	model_reply_judge(k->call, &r.head);
	return ERR_CANCELLED;
}

/* ---- question and answer ---------------------------------------------------------------------------------- */

static int out_of_memory(struct effect_call *call)
{
	vendor_no_answer(call, ERR_NOMEM, false);
	return ERR_CANCELLED;
}

/* Text with its values, in the arena. */
static bool filled(struct arena *a, const char *text, const struct model_value *values, struct slice *ret)
{
	struct buf out = BUF_INIT(QUESTION_BYTES_MAX);

	model_fill(&out, text, values);
	*ret = out.rc == 0 ? arena_dup(a, buf_slice(&out)) : (struct slice){0};
	buf_wipe(&out);
	return ret->ptr != NULL;
}

static bool schema_text(const struct schema *s, bool with_limits, struct arena *a, struct slice *ret)
{
	struct buf out = BUF_INIT(65536);
	struct json_writer w = JSON_WRITER(&out);

	model_schema_write(s, with_limits, &w);
	*ret = out.rc == 0 ? arena_dup(a, buf_slice(&out)) : (struct slice){0};
	buf_finish(&out);
	return ret->ptr != NULL;
}

static bool begin(struct asking *k)
{
	const struct model_question *q = k->question;
	const struct model_prompt *format = model_prompt_find("format", slice_str(q->prompt->language));
	struct arena *a = k->call->arena;
	struct model_value values[VALUES_MAX] = {{0}};
	struct slice schema, format_text;
	size_t n = 0;

	for (; q->values[n].name != NULL && n < VALUES_MAX - 2; n++)
		values[n] = q->values[n];
	if (!schema_text(q->schema, false, a, &k->schema) || !schema_text(q->schema, true, a, &schema) ||
	    !filled(a, format->system, (struct model_value[]){{"schema", schema}, {0}}, &format_text))
		return false;
	values[n] = (struct model_value){"format", format_text};
	k->messages[0].role = "system";
	k->messages[1].role = "user";
	k->n_messages = 2;
	return filled(a, q->prompt->system, values, &k->messages[0].content) &&
	    filled(a, q->prompt->user, values, &k->messages[1].content);
}

static int body_of(struct asking *k, struct buf *body)
{
	const struct model *m = k->model;
	struct openai_chat chat = {.model = m->name, .messages = k->messages, .n_messages = k->n_messages,
	    .has_temperature = true, .temperature = m->temperature, .max_tokens = (int64_t)m->answer_tokens,
	    .old_max_tokens = !m->strict, .format = m->strict ? OPENAI_JSON_SCHEMA : OPENAI_JSON_OBJECT,
	    .schema_name = k->question->schema_name, .schema = k->schema, .stream = true};

	return openai_body_chat(body, &chat);
}

/* Why an answer is of no use, for the model to read; NULL: it is good, and in *ret. "" : it is as long as answers may be. */
static const char *judge_answer(struct asking *k, const struct openai_answer *answer, void *ret)
{
	struct problems problems = PROBLEMS_INIT(k->call->arena);
	const char *why;

	openai_answer_check(answer, OPENAI_JSON_OBJECT, &why);
	if (why != NULL)
		return strcmp(why, "length") == 0 ? "" : why;
	if (schema_decode(k->question->schema, answer->content, k->call->arena, ret, &problems) == 0)
		return NULL;
	why = problems.n == 0 ? "not_json" : arena_printf(k->call->arena, "%s: %s", problems.items[0].path, problems.items[0].message);
	return why == NULL ? "not_json" : why;
}

/* Its own answer and what is wrong with it. */
static bool complain(struct asking *k, const struct openai_answer *answer, const char *why)
{
	const struct model_prompt *format = model_prompt_find("format", slice_str(k->question->prompt->language));
	struct openai_message *m = &k->messages[k->n_messages];

	m[0] = (struct openai_message){"assistant", answer->content.len > 0 ? answer->content : answer->refusal};
	m[1].role = "user";
	k->n_messages += 2;
	return filled(k->call->arena, format->user, (struct model_value[]){{"problem", slice_str(why)}, {0}}, &m[1].content);
}

/* Twice unusable. */
static int give_up(struct effect_call *call, const char *why)
{
	bool refused = strcmp(why, "refusal") == 0 || strcmp(why, "filtered") == 0;

	call->outcome = refused ? EFFECT_REFUSED : EFFECT_RETRY;
	call->class = refused ? "refusal" : "malformed";
	call->message = refused ? "The model refuses to write about this text." : "The model's answer is not in the form it was asked for.";
	return ERR_CANCELLED;
}

static int ask(struct asking *k, void *ret)
{
	struct buf body = BUF_INIT(2 * QUESTION_BYTES_MAX);
	struct openai_answer answer = {0};
	uint8_t digest[32];
	const char *why = "not_json";
	int rc = 0;

	if (!begin(k))
		return out_of_memory(k->call);
	while (rc == 0 && why != NULL && k->n_messages <= MESSAGES_MAX) {
		buf_clear(&body);
		rc = body_of(k, &body);
		if (rc != 0) {
			vendor_no_answer(k->call, rc, false);
			rc = ERR_CANCELLED;
			break;
		}
		blake2b(digest, sizeof(digest), (struct slice){0}, (struct slice[]){slice_str(k->call->id), buf_slice(&body)}, 2);
		if (recall(&k->model->memo, digest, k->call->arena, &answer.content))
			answer.finish = OPENAI_STOP;
		else
			rc = answer_to(k, buf_slice(&body), &answer);
		why = rc == 0 ? judge_answer(k, &answer, ret) : why;
		if (rc == 0 && why != NULL && why[0] == '\0')
			rc = ERR_TOO_BIG;
		else if (rc == 0 && why == NULL)
			remember(&k->model->memo, digest, answer.content);
		else if (rc == 0 && k->n_messages == MESSAGES_MAX)
			rc = give_up(k->call, why);
		else if (rc == 0 && !complain(k, &answer, why))
			rc = out_of_memory(k->call);
	}
	buf_wipe(&body);
	return rc;
}

int model_ask(struct effect_call *call, struct model *m, const struct model_question *q, struct model_use *use, void *ret)
{
	struct asking k = {.call = call, .model = m, .question = q, .use = use};

	if (call->thread == NULL)
		return out_of_memory(call);
	return ask(&k, ret);
}
