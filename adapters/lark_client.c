/* See lark_client.h. */
#include "lark_client.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/err.h"
#include "net/http_client.h"
#include "vendor_call.h"

#define CALL_MS 10000 /* integrity.md 16 */
#define TOKEN_PATH "/open-apis/auth/v3/tenant_access_token/internal"
#define TOKEN_MAX 2048

struct lark_client {
	struct lark_client_options o;

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t fetched;
	bool fetching;        /* somebody asks for a token: others wait for what comes of it */
	uint64_t round;       /* how often somebody did */
	struct lark_reply last; /* of the newest round, when it brought none; its texts left out */
	char token[TOKEN_MAX];
	int64_t good_until_us; /* monotonic */
};

int lark_client_create(struct lark_client **ret, const struct lark_client_options *options)
{
	struct lark_client *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return ERR_NOMEM;
	c->o = *options;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->fetched, NULL);
	*ret = c;
	return 0;
}

void lark_client_destroy(struct lark_client *c)
{
	if (c == NULL)
		return;
	crypto_wipe(c->token, sizeof(c->token));
	pthread_cond_destroy(&c->fetched);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- one request ------------------------------------------------------------------------- */

static void send(struct lark_client *c, const struct effect_call *call, const struct lark_ask *ask,
    const char *authorization, struct lark_reply *ret, struct slice *ret_body)
{
	const char *headers[] = {"Content-Type: application/json; charset=utf-8", authorization, NULL};
	struct http_result result = {0};
	struct http_call http = {.method = ask->method, .headers = headers, .body = ask->body, .has_body = ask->body.len > 0,
	    .ca_file = c->o.ca_file, .timeout_ms = CALL_MS, .flags = ask->acts ? CLIENT_FRESH : 0};
	struct slice reset;

	*ret = (struct lark_reply){0};
	http.url = arena_printf(call->arena, "%.*s%s", SLICE_ARG(c->o.base_url), ask->path);
	if (call->thread == NULL || http.url == NULL || (authorization != NULL && authorization[0] == '\0'))
		ret->rc = ERR_NOMEM;
	else
		ret->rc = http_client_call(call->thread, &http, &result);
	ret->unknown = ret->rc != 0 && result.sent && ask->acts;
	ret->status = result.status;
	if (ret->rc == 0) {
		*ret_body = arena_dup(call->arena, buf_slice(&result.body));
		ret->rc = ret_body->ptr == NULL ? ERR_NOMEM : lark_answer_parse(result.status, *ret_body, call->arena, &ret->answer);
		/* It was done and nobody can say how. */
		ret->unknown = ask->acts && (ret->rc != 0 || ret->answer.is == ANSWER_UNKNOWN);
		if (http_result_header(&result, "x-ogw-ratelimit-reset", &reset))
			ret->wait_ms = lark_reset_ms(reset);
	}
	http_result_finish(&result);
}

/* ---- the token ---------------------------------------------------------------------------- */

static void fetch_token(struct lark_client *c, const struct effect_call *call, struct lark_reply *ret, struct lark_token *ret_token)
{
	struct buf body = BUF_INIT(4096);
	struct lark_ask ask = {.method = "POST", .path = TOKEN_PATH};
	struct slice answer = SLICE("");

	if (lark_body_token(&body, c->o.app_id, c->o.app_secret) != 0) {
		*ret = (struct lark_reply){.rc = ERR_NOMEM};
	} else {
		ask.body = buf_slice(&body);
		send(c, call, &ask, NULL, ret, &answer);
		if (lark_went_well(ret))
			ret->rc = lark_token_parse(answer, call->arena, ret_token);
		if (ret->rc == 0 && lark_went_well(ret) && ret_token->token.len >= TOKEN_MAX)
			ret->rc = ERR_TOO_BIG;
	}
	buf_wipe(&body);
}

/* Under the lock. What came of the round is told to all who waited for it. */
static void keep_token(struct lark_client *c, const struct effect_call *call, const struct lark_reply *reply,
    const struct lark_token *token)
{
	c->last = (struct lark_reply){.rc = reply->rc, .status = reply->status, .wait_ms = reply->wait_ms,
	    .answer = {.is = reply->answer.is, .code = reply->answer.code}};
	c->token[0] = '\0';
	if (lark_went_well(reply)) {
		memcpy(c->token, token->token.ptr, token->token.len);
		c->token[token->token.len] = '\0';
		/* One that is nearly over serves who waited for it. */
		c->good_until_us = clock_monotonic_us(call->clock) + (token->good_s > 1 ? token->good_s : 1) * 1000000;
	}
	c->fetching = false;
	c->round++;
	pthread_cond_broadcast(&c->fetched);
}

/* "Authorization: Bearer ..." in the call's arena; NULL: *ret says why there is none. */
static const char *authorize(struct lark_client *c, const struct effect_call *call, struct lark_reply *ret)
{
	struct lark_token token = {0};
	const char *header = NULL;

	pthread_mutex_lock(&c->lock);
	while (c->token[0] == '\0' || clock_monotonic_us(call->clock) >= c->good_until_us) {
		uint64_t round = c->round;

		if (c->fetching) {
			while (c->round == round)
				pthread_cond_wait(&c->fetched, &c->lock);
		} else {
			c->fetching = true;
			pthread_mutex_unlock(&c->lock);
			fetch_token(c, call, ret, &token);
			pthread_mutex_lock(&c->lock);
			keep_token(c, call, ret, &token);
		}
		if (!lark_went_well(&c->last)) {
			*ret = c->last;
			pthread_mutex_unlock(&c->lock);
			return NULL;
		}
	}
	header = arena_printf(call->arena, "Authorization: Bearer %s", c->token);
	pthread_mutex_unlock(&c->lock);
	if (header == NULL)
		*ret = (struct lark_reply){.rc = ERR_NOMEM};
	return header;
}

/* The vendor does not know it; a newer one that somebody fetched meanwhile stays. */
static void drop_token(struct lark_client *c, const char *authorization)
{
	pthread_mutex_lock(&c->lock);
	if (strcmp(authorization + strlen("Authorization: Bearer "), c->token) == 0)
		c->token[0] = '\0';
	pthread_mutex_unlock(&c->lock);
}

void lark_ask(struct lark_client *c, const struct effect_call *call, const struct lark_ask *ask, struct lark_reply *ret)
{
	struct slice body = SLICE("");

	for (int i = 0; i < 2; i++) {
		const char *authorization = authorize(c, call, ret);

		if (authorization == NULL)
			return;
		send(c, call, ask, authorization, ret, &body);
		if (ret->rc != 0 || ret->answer.is != ANSWER_AFRESH)
			return;
		drop_token(c, authorization);
	}
}

/* ---- outcomes --------------------------------------------------------------------------------- */

static const struct { int64_t code; const char *says; } hints[] = {
	{10003, "Feishu does not know the app: see LARK_APP_ID, and whether LARK_BASE_URL is the place that knows it."},
	{10014, "The app's secret is wrong: see LARK_APP_SECRET."},
	{1254040, "There is no such base: see LARK_BITABLE_APP_TOKEN."},
	{1254041, "There is no such table: see the settings LARK_TABLE_*."},
	{1254045, "The table lacks a field."},
	{1254302, "The app may not write there: add it to the base as one that edits."},
	{230002, "The bot is not in the chat: add it there."},
};

static const char *say(struct arena *a, const struct lark_reply *r)
{
	const char *text;

	for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++)
		if (hints[i].code == r->answer.code)
			return hints[i].says;
	if (r->answer.code == 0)
		return NULL;
	text = arena_printf(a, "Feishu answered with its code %lld.", (long long)r->answer.code);
	return text;
}

void lark_outcome(struct effect_call *call, const struct lark_reply *r)
{
	if (r->rc != 0) {
		vendor_no_answer(call, r->rc, r->unknown);
		return;
	}
	vendor_answer(call, r->answer.is == ANSWER_UNKNOWN && !r->unknown ? ANSWER_RETRY : r->answer.is, r->status, say(call->arena, r));
	call->status = r->answer.code != 0 ? r->answer.code : r->status;
	call->retry_after_ms = r->wait_ms;
	if (r->answer.log_id.len > 0 && r->answer.log_id.len <= 128)
		call->vendor_id = arena_printf(call->arena, "%.*s", SLICE_ARG(r->answer.log_id));
}
