/*
 * One-time codes by text message, through Aliyun.
 *
 *     verification.requested -> sms.code: SendSms, once and never again
 *     effect.unknown         -> sms.look: QuerySendDetails, whether it was sent after all
 *
 * The vendor knows no idempotency key, so the lane's class is EFFECT_ONCE: after an attempt whose outcome nobody
 * knows the message is not sent again, and what the vendor's receipts tell of it is recorded beside it. Our effect id is the
 * OutId of the message, by which receipts name it. Who got no code asks for another.
 */
#include "adapters/aliyun_sms.h"

#include <stdlib.h>

#include "adapters/vendor_call.h"
#include "app/codes.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "domain/effect_id.h"
#include "net/http_client.h"

#define CODE_BYTES_MAX 64
#define CALL_BYTES_MAX ((size_t)1 << 20)
#define ANSWER_BYTES_MAX ((size_t)1 << 20)
#define CONNECT_MS 3000 /* integrity.md 16 */
#define TIMEOUT_MS 10000
#define PAGE_SIZE 50      /* more than a number may get in a day */
#define CHINA_MS (8 * 3600000LL)
#define NONCE_BYTES 16

/* Figures of integrity.md 16. The vendor takes 5,000 a second; people ask for far fewer. */
static const struct effect_lane send_lane = {.name = "sms", .class = EFFECT_ONCE, .concurrency = 4, .per_minute = 6000,
    .burst = 100, .base_ms = 2000, .cap_ms = 30000, .tries_max = 3, .age_max_ms = 300000};
/* Of its own, so that asking never waits behind sending, nor the other way round. */
static const struct effect_lane look_lane = {.name = "sms_look", .class = EFFECT_HARMLESS, .concurrency = 1,
    .per_minute = 600, .burst = 10, .base_ms = 2000, .cap_ms = 60000, .tries_max = 6, .age_max_ms = 300000};

/* ---- calling ------------------------------------------------------------------------------ */

/* A request made and sent; what it holds of a code is in the arena, which its owner wipes. */
struct asked {
	const struct sms_service *sms;
	struct effect_call *call;
	struct arena *arena;
	struct aliyun_call with;
	char date[ALIYUN_DATE_LEN + 1], nonce[2 * NONCE_BYTES + 1];
	struct aliyun_made made;
	struct http_result result;
};

static int prepare(struct asked *a)
{
	uint8_t nonce[NONCE_BYTES];

	rng_fill(a->call->rng, nonce, sizeof(nonce));
	hex_encode(a->nonce, nonce, sizeof(nonce));
	a->with = (struct aliyun_call){.host = a->sms->host, .nonce = slice_str(a->nonce)};
	if (aliyun_date(a->date, clock_wall_ms(a->call->clock) / 1000) != 0)
		return ERR_RANGE;
	a->with.date = slice_str(a->date);
	return 0;
}

static int post(struct asked *a)
{
	const char *headers[ALIYUN_HEADERS_MAX + 1] = {NULL};
	struct http_call call = {.method = "POST", .headers = headers, .has_body = true, .connect_ms = CONNECT_MS,
	    .timeout_ms = TIMEOUT_MS, .answer_max = ANSWER_BYTES_MAX, .flags = CLIENT_FRESH};
	size_t n = 0;

	call.url = arena_printf(a->arena, "%.*s%.*s", SLICE_ARG(a->sms->url), SLICE_ARG(a->made.url_path_query));
	if (call.url == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < a->made.n_headers; i++) {
		const struct wire_pair *h = &a->made.headers[i];

		if (slice_is(h->name, "host")) /* as the client writes it by itself */
			continue;
		headers[n] = arena_printf(a->arena, "%.*s: %.*s", SLICE_ARG(h->name), SLICE_ARG(h->value));
		if (headers[n++] == NULL)
			return ERR_NOMEM;
	}
	return http_client_call(a->call->thread, &call, &a->result);
}

static bool is_open(struct effect_call *call)
{
	if (call->thread != NULL)
		return true;
	vendor_no_answer(call, ERR_NOMEM, false);
	return false;
}

/* ---- what an answer means ------------------------------------------------------------------ */

/* The vendor's code, as far as it is one: its message may quote what it was sent. */
static const char *told(struct arena *arena, struct slice code)
{
	for (size_t i = 0; i < code.len; i++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-", code.ptr[i]) == NULL)
			return "Aliyun said no, in a way that is not known.";
	if (code.len == 0 || code.len > 64)
		return "Aliyun answered without a code.";
	return arena_printf(arena, "Aliyun answered %.*s.", SLICE_ARG(code));
}

/* It is this number that gets none, whoever asks: nothing for an operator to mend. */
static bool is_about_the_number(struct slice code)
{
	return slice_is(code, "isv.MOBILE_NUMBER_ILLEGAL") || slice_is(code, "isv.BLACK_KEY_CONTROL_LIMIT");
}

static int64_t retry_after_ms(const struct http_result *r, const struct aliyun_answer *answer)
{
	struct slice text;
	int64_t ms;

	if (answer->is == ANSWER_LIMIT)
		return aliyun_limit_window_ms(answer->code, answer->message);
	return http_result_header(r, "x-acs-retry-after", &text) && slice_to_i64(text, &ms) == 0 && ms > 0 ? ms : 0;
}

static const char *kept(struct effect_call *call, struct slice text)
{
	return text.len == 0 || text.len > 128 ? NULL : arena_printf(call->arena, "%.*s", SLICE_ARG(text));
}

static void judge(struct effect_call *call, const struct http_result *r, const struct aliyun_answer *answer)
{
	/* Nobody else makes such a nonce: the request came there twice, and of the first nobody knows. */
	bool twice = slice_is(answer->code, "SignatureNonceUsed");

	vendor_answer(call, twice ? ANSWER_UNKNOWN : answer->is, r->status, told(call->arena, answer->code));
	call->vendor_id = kept(call, call->outcome == EFFECT_DONE ? answer->biz_id : answer->request_id);
	call->retry_after_ms = retry_after_ms(r, answer);
	if (is_about_the_number(answer->code)) {
		call->outcome = EFFECT_FAILED;
		call->class = "number";
		call->message = "Aliyun sends nothing to this number.";
	}
}

/* ---- sending a code ---------------------------------------------------------------------------- */

static struct slice template_of(const struct config *c, struct slice purpose)
{
	if (slice_is(purpose, "LOGIN"))
		return c->aliyun_sms_template_login;
	if (slice_is(purpose, "RESET_PASSWORD"))
		return c->aliyun_sms_template_reset;
	if (slice_is(purpose, "CHANGE_CONTACT") && c->aliyun_sms_template_contact.len > 0)
		return c->aliyun_sms_template_contact;
	return c->aliyun_sms_template_register;
}

/* Numbers of China go without the country's code; others need a template of their own kind. False: there is none. */
static bool address_sms(const struct config *c, const struct event_verification_requested *asked, struct aliyun_sms *ret)
{
	struct slice china = SLICE("+86"), target = asked->target;

	ret->template_code = template_of(c, asked->purpose);
	ret->phone_numbers = target;
	if (slice_starts_with(target, china)) {
		ret->phone_numbers = slice_of(target.ptr + china.len, target.len - china.len);
		return true;
	}
	ret->template_code = c->aliyun_sms_template_abroad;
	return ret->template_code.len > 0;
}

static void send_once(struct asked *a, const struct aliyun_sms *message, bool *ret_afresh)
{
	struct aliyun_answer answer;
	int rc = prepare(a);

	*ret_afresh = false;
	if (rc == 0)
		rc = aliyun_make_send(&a->sms->keys, &a->with, message, a->arena, &a->made);
	if (rc != 0) {
		vendor_no_answer(a->call, rc, false);
		return;
	}
	rc = post(a);
	if (rc == 0)
		rc = aliyun_answer_parse(a->result.status, buf_slice(&a->result.body), a->arena, &answer);
	if (rc == 0) {
		judge(a->call, &a->result, &answer);
		*ret_afresh = answer.is == ANSWER_AFRESH && a->call->outcome == EFFECT_RETRY;
	} else {
		vendor_no_answer(a->call, rc, a->result.sent);
	}
	http_result_finish(&a->result);
}

/* A clock that was refused proves that nothing was sent: signed anew, once. */
static void send_message(struct effect_call *call, const struct aliyun_sms *message, struct arena *arena)
{
	bool afresh = true;

	for (int i = 0; i < 2 && afresh; i++) {
		struct asked a = {.sms = call->state, .call = call, .arena = arena};

		send_once(&a, message, &afresh);
	}
}

static bool code_wanted(const struct effect_call *call)
{
	const struct sms_service *sms = call->state;
	const struct event_verification_requested *asked = call->cause->data;
	struct buf code = BUF_INIT(CODE_BYTES_MAX);
	int rc = asked->target.ptr == NULL ? ERR_ERASED : code_unseal(sms->app, asked->request_id, asked->sealed_code, &code);

	buf_wipe(&code);
	return rc != ERR_ERASED && rc != ERR_NOT_FOUND;
}

static void send_code(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	const struct sms_service *sms = call->state;
	const struct event_verification_requested *asked = call->cause->data;
	struct aliyun_sms message = {.sign_name = sms->app->config->aliyun_sms_sign_name, .out_id = slice_str(call->id)};
	struct arena arena = ARENA_INIT(CALL_BYTES_MAX);
	struct buf code = BUF_INIT(CODE_BYTES_MAX);
	int rc = code_unseal(sms->app, asked->request_id, asked->sealed_code, &code);

	(void)n;
	if (!is_open(call)) {
		/* said */
	} else if (!address_sms(sms->app->config, asked, &message)) {
		call->outcome = EFFECT_FAILED;
		call->class = "abroad";
		call->message = "There is no template for numbers outside China: see LULAB_ALIYUN_SMS_TEMPLATE_ABROAD.";
	} else if (rc == 0) {
		message.template_param = slice_str(arena_printf(&arena, "{\"code\":\"%.*s\"}", SLICE_ARG(buf_slice(&code))));
		if (message.template_param.ptr != NULL)
			send_message(call, &message, &arena);
		else
			vendor_no_answer(call, ERR_NOMEM, false);
	} else {
		call->outcome = EFFECT_RETRY;
		call->class = "code";
		call->message = "The code cannot be read at the moment.";
	}
	buf_wipe(&code);
	arena_wipe(&arena);
	arena_finish(&arena);
}

/* ---- looking whether one was sent ---------------------------------------------------------------- */

static bool look_wanted(const struct effect_call *call)
{
	return ((const struct event_verification_requested *)call->cause->data)->target.ptr != NULL;
}

/* The day in China, "20260101". */
static const char *china_day(struct arena *arena, int64_t unix_ms)
{
	char text[TIME_TEXT_LEN + 1];

	time_format_us(text, (unix_ms + CHINA_MS) * 1000);
	return arena_printf(arena, "%.4s%.2s%.2s", text, text + 5, text + 8);
}

/* Sets the outcome unless it is an answer with receipts in it. */
static bool query(struct asked *a, struct slice number, const char *day, struct aliyun_receipts *ret)
{
	struct aliyun_answer answer;
	struct slice body = {0}; /* receipts borrow from it */
	int rc = day == NULL ? ERR_NOMEM : prepare(a);

	if (rc == 0)
		rc = aliyun_make_query(&a->sms->keys, &a->with, number, slice_str(day), SLICE(""), 1, PAGE_SIZE, a->arena, &a->made);
	if (rc == 0)
		rc = post(a);
	if (rc == 0) {
		body = arena_dup(a->arena, buf_slice(&a->result.body));
		rc = body.ptr == NULL ? ERR_NOMEM : aliyun_answer_parse(a->result.status, body, a->arena, &answer);
	}
	if (rc != 0) {
		vendor_no_answer(a->call, rc, false);
	} else {
		judge(a->call, &a->result, &answer);
		/* What may have happened may happen again: it is a question. */
		if (a->call->outcome == EFFECT_IS_UNKNOWN)
			a->call->outcome = EFFECT_RETRY;
		rc = a->call->outcome == EFFECT_DONE ? aliyun_details_parse(body, a->arena, ret) : ERR_DENIED;
		if (a->call->outcome == EFFECT_DONE && rc != 0) {
			a->call->outcome = EFFECT_RETRY;
			a->call->class = "malformed";
		}
	}
	http_result_finish(&a->result);
	return rc == 0;
}

static const struct aliyun_receipt *receipt_of(const struct aliyun_receipts *all, const char *out_id)
{
	for (size_t i = 0; i < all->n; i++)
		if (slice_is(all->items[i].out_id, out_id))
			return &all->items[i];
	return NULL;
}

static void note_receipt(struct effect_call *call, const char *sms_id, const struct aliyun_receipt *receipt)
{
	struct event_context ctx = {call->rng, call->clock, NULL};
	struct event_meta meta = {.source = SLICE("/effects"), .actor = SLICE("system"), .expect = EXPECT_ANY,
	    .causation = call->cause->envelope.id};
	int rc = aliyun_sms_receipt(&ctx, &meta, slice_str(sms_id), receipt, "QUERY", call->arena, &call->results[0]);

	call->n_results = rc == 0;
	if (rc != 0)
		vendor_no_answer(call, ERR_NOMEM, false);
}

/* The day on which it was sent is that of the request or, around midnight, the next. */
static void look(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	const struct sms_service *sms = call->state;
	const struct event_verification_requested *asked = call->cause->data;
	const char *days[2] = {china_day(call->arena, clock_wall_ms(call->clock)), china_day(call->arena, call->cause_us / 1000)};
	struct aliyun_sms message = {0};
	const struct aliyun_receipt *receipt = NULL;
	struct aliyun_receipts receipts = {0};
	char sms_id[EFFECT_ID_LEN + 1];

	(void)n;
	effect_id_make(sms_id, call->cause->envelope.id, SLICE(SMS_EFFECT), SLICE(""));
	address_sms(sms->app->config, asked, &message);
	if (!is_open(call))
		return;
	for (size_t i = 0; i < 2 && receipt == NULL; i++) {
		struct asked a = {.sms = sms, .call = call, .arena = call->arena};

		if (i == 1 && days[0] != NULL && days[1] != NULL && strcmp(days[0], days[1]) == 0)
			break;
		if (!query(&a, message.phone_numbers, days[i], &receipts))
			return;
		receipt = receipt_of(&receipts, sms_id);
	}
	if (receipt != NULL) {
		note_receipt(call, sms_id, receipt);
		return;
	}
	call->outcome = call->attempt < look_lane.tries_max ? EFFECT_RETRY : EFFECT_FAILED;
	call->class = "not_found";
	call->message = "Aliyun knows of no such message.";
}

static const char *host(void *state)
{
	return ((const struct sms_service *)state)->url.ptr;
}

static const struct effect effects[] = {
	{.name = SMS_EFFECT, .lane = &send_lane, .run = send_code, .wanted = code_wanted, .host = host,
	    .thread_open = vendor_thread_open, .thread_close = vendor_thread_close},
	{.name = "sms.look", .lane = &look_lane, .run = look, .wanted = look_wanted, .host = host,
	    .thread_open = vendor_thread_open, .thread_close = vendor_thread_close},
	{0},
};

/* ---- start and stop --------------------------------------------------------------------------------- */

static const char *configure(struct sms_service *sms, const struct config *c)
{
	struct slice scheme;

	sms->report_key = c->aliyun_sms_report_key;
	sms->url = c->aliyun_sms_url;
	slice_cut(c->aliyun_sms_url, ':', &scheme, &sms->host); /* the setting's pattern lets "://host[:port]" follow */
	sms->host = slice_of(sms->host.ptr + 2, sms->host.len - 2);
	sms->keys = (struct aliyun_keys){c->alibaba_cloud_access_key_id, c->alibaba_cloud_access_key_secret,
	    c->alibaba_cloud_security_token};
	if (sms->keys.access_key_id.len == 0 || sms->keys.secret.len == 0)
		return "Text messages are not configured: set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or "
		       "nobody gets a code by telephone.";
	return NULL;
}

static int start(struct app *app, void **ret_state)
{
	struct sms_service *sms = calloc(1, sizeof(*sms));

	if (sms == NULL)
		return ERR_NOMEM;
	sms->app = app;
	sms->unready = configure(sms, app->config);
	if (sms->unready != NULL)
		log_warn("sms", sms->unready);
	*ret_state = sms;
	return 0;
}

static const char *unready(void *state)
{
	return ((struct sms_service *)state)->unready;
}

static void write_metrics(void *state, struct buf *out)
{
	struct sms_service *sms = state;

	metric_head(out, "lulab_sms_reports_refused_total", "counter",
	    "Delivery reports that were not taken: a wrong address, or not readable.");
	metric_u64(out, "lulab_sms_reports_refused_total", NULL, atomic_load(&sms->reports_refused));
	metric_head(out, "lulab_sms_reports_strange_total", "counter", "Delivery reports about messages that are not ours.");
	metric_u64(out, "lulab_sms_reports_strange_total", NULL, atomic_load(&sms->reports_strange));
}

static const struct route routes[] = {
	{HTTP_POST, "/webhooks/aliyun/sms/{key}", aliyun_sms_take_report,
	    .flags = ROUTE_PUBLIC | ROUTE_ESSENTIAL | ROUTE_NO_ETAG, .rate = RATE_EXEMPT, .tag = "webhooks",
	    .summary = "Aliyun tells whether text messages arrived"},
	{0},
};

const struct adapter adapter_aliyun_sms = {
	.name = "aliyun_sms",
	.routes = routes,
	.effects = effects,
	.start = start,
	.stop = free,
	.unready = unready,
	.metrics = write_metrics,
};
