/* See webhook_vendor.h: the vendors, and how their webhooks are made. */
#include "webhook_vendor.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/config.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rng.h"
#include "lark_wire.h"
#include "tencent_wire.h"
#include "webhook_edit.h"

const struct webhook_vendor *const webhook_vendors[] = {&webhook_tencent, &webhook_feishu, NULL};

const struct webhook_vendor *webhook_vendor_find(const char *name)
{
	for (const struct webhook_vendor *const *v = webhook_vendors; *v != NULL; v++)
		if (strcmp((*v)->name, name) == 0 || ((*v)->alias != NULL && strcmp((*v)->alias, name) == 0))
			return *v;
	return NULL;
}

static void header(struct webhook_post *p, size_t i, const char *name, const char *value)
{
	p->headers[i].name = name;
	snprintf(p->headers[i].value, sizeof(p->headers[i].value), "%s", value);
}

static void make_nonce(char ret[16])
{
	snprintf(ret, 16, "%llu", (unsigned long long)(10000000 + rng_below(&rng_system, 90000000)));
}

static const char *text_of(const struct cJSON *object, const char *name)
{
	const cJSON *text = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsString(text) ? text->valuestring : "";
}

/* ---- Tencent Meeting ---------------------------------------------------------------- */

static struct webhook_secrets tencent_secrets(const struct config *c)
{
	return (struct webhook_secrets){.token = c->tencent_meeting_token, .token_old = c->tencent_meeting_token_old,
	    .aes_key = c->tencent_meeting_encoding_aes_key, .aes_key_old = c->tencent_meeting_encoding_aes_key_old,
	    .max_age_s = c->webhook_max_age};
}

static int add_keys(struct tencent_keys *keys, const struct webhook_secrets *s)
{
	if (tencent_keys_add_token(keys, s->token) != 0)
		return ERR_NOT_FOUND;
	return s->aes_key.len > 0 && tencent_keys_add_aes(keys, s->aes_key) != 0 ? ERR_INVALID : 0;
}

static int tencent_fit(const struct webhook_secrets *s)
{
	struct tencent_keys keys = {0};
	int rc = add_keys(&keys, s);

	tencent_keys_finish(&keys);
	return rc;
}

static int tencent_freshen(struct cJSON *event, const char *id, int64_t now_ms)
{
	int rc = webhook_set_trace_id(event, id);

	return rc == 0 ? webhook_set_now(event, now_ms) : rc;
}

static const char *tencent_id(const struct cJSON *event)
{
	return text_of(event, "trace_id");
}

static int tencent_make(const struct webhook_secrets *s, const struct cJSON *event, struct slice plain, struct webhook_post *ret)
{
	char timestamp[24], nonce[16], signature[TENCENT_SIGNATURE_LEN + 1] = "";
	struct tencent_keys keys = {0};
	int rc = add_keys(&keys, s);

	(void)event;
	snprintf(timestamp, sizeof(timestamp), "%lld", (long long)clock_wall_ms(&clock_system));
	make_nonce(nonce);
	if (rc == 0)
		rc = tencent_make_post(&keys, plain, slice_str(timestamp), slice_str(nonce), &ret->body, signature);
	header(ret, 0, "timestamp", timestamp);
	header(ret, 1, "nonce", nonce);
	header(ret, 2, "signature", signature);
	tencent_keys_finish(&keys);
	return rc;
}

const struct webhook_vendor webhook_tencent = {
	.name = "tencent",
	.title = "Tencent Meeting",
	.path = "webhooks/tencent",
	.first = "meeting.started",
	.no_secrets = "no token to sign with: set TENCENT_MEETING_TOKEN (tools/run makes an .env with one) or give --token",
	.bad_secret = "the AES key must be 43 letters and digits",
	.secrets_of = tencent_secrets,
	.secrets_fit = tencent_fit,
	.freshen = tencent_freshen,
	.id_of = tencent_id,
	.make = tencent_make,
	.explain = webhook_explain,
};

/* ---- Feishu ------------------------------------------------------------------------------ */

static struct webhook_secrets feishu_secrets(const struct config *c)
{
	return (struct webhook_secrets){.token = c->lark_event_verification_token, .token_old = c->lark_event_verification_token_old,
	    .aes_key = c->lark_event_encrypt_key, .aes_key_old = c->lark_event_encrypt_key_old, .max_age_s = c->lark_webhook_max_age};
}

static int feishu_fit(const struct webhook_secrets *s)
{
	return s->token.len == 0 && s->aes_key.len == 0 ? ERR_NOT_FOUND : 0;
}

static int put_text(cJSON *object, const char *name, const char *text)
{
	cJSON *value = cJSON_CreateString(text);

	if (value != NULL && (cJSON_GetObjectItemCaseSensitive(object, name) != NULL
	    ? cJSON_ReplaceItemInObjectCaseSensitive(object, name, value) : cJSON_AddItemToObject(object, name, value)))
		return 0;
	cJSON_Delete(value);
	return ERR_NOMEM;
}

static bool is_challenge(const struct cJSON *event)
{
	return strcmp(text_of(event, "type"), "url_verification") == 0;
}

/* Texts of seconds. */
static int move_meeting(cJSON *meeting, int64_t by_s)
{
	static const char *const names[] = {"start_time", "end_time"};
	char digits[32];
	int rc = 0;

	for (size_t i = 0; i < 2 && rc == 0; i++) {
		uint64_t at_s;

		if (slice_to_u64(slice_str(text_of(meeting, names[i])), &at_s) != 0 || at_s > INT64_MAX / 2)
			continue;
		snprintf(digits, sizeof(digits), "%lld", (long long)at_s + (long long)by_s);
		rc = put_text(meeting, names[i], digits);
	}
	return rc;
}

static int feishu_freshen(struct cJSON *event, const char *id, int64_t now_ms)
{
	cJSON *header = cJSON_GetObjectItemCaseSensitive(event, "header");
	cJSON *meeting = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(event, "event"), "meeting");
	char digits[32];
	uint64_t before_ms;
	int rc = 0;

	if (is_challenge(event))
		return put_text(event, "challenge", id);
	if (!cJSON_IsObject(header))
		return 0;
	snprintf(digits, sizeof(digits), "%lld", (long long)now_ms);
	if (cJSON_IsObject(meeting) && slice_to_u64(slice_str(text_of(header, "create_time")), &before_ms) == 0 &&
	    before_ms < INT64_MAX)
		rc = move_meeting(meeting, now_ms / 1000 - (int64_t)before_ms / 1000);
	if (rc == 0)
		rc = put_text(header, "create_time", digits);
	return rc == 0 ? put_text(header, "event_id", id) : rc;
}

static const char *feishu_id(const struct cJSON *event)
{
	return is_challenge(event) ? text_of(event, "challenge")
	                           : text_of(cJSON_GetObjectItemCaseSensitive(event, "header"), "event_id");
}

/* The Verification Token, where there is none yet. */
static int feishu_complete(struct cJSON *event, const struct webhook_secrets *s)
{
	cJSON *in = cJSON_GetObjectItemCaseSensitive(event, "header");
	char *token;
	int rc;

	if (!cJSON_IsObject(in))
		in = event;
	if (text_of(in, "token")[0] != '\0')
		return 0;
	token = strndup(s->token.len == 0 ? "" : s->token.ptr, s->token.len);
	rc = token == NULL ? ERR_NOMEM : put_text(in, "token", token);
	free(token);
	return rc;
}

static int feishu_make(const struct webhook_secrets *s, const struct cJSON *event, struct slice plain, struct webhook_post *ret)
{
	char timestamp[24], nonce[16], signature[LARK_SIGNATURE_LEN + 1];
	uint8_t iv[LARK_IV_LEN];
	int rc;

	snprintf(timestamp, sizeof(timestamp), "%lld", (long long)(clock_wall_ms(&clock_system) / 1000));
	make_nonce(nonce);
	rng_fill(&rng_system, iv, sizeof(iv));
	rc = lark_make_post(s->aes_key, plain, slice_str(timestamp), slice_str(nonce), iv, &ret->body, signature);
	if (signature[0] == '\0' || is_challenge(event)) /* the challenge comes unsigned */
		return rc;
	header(ret, 0, "X-Lark-Request-Timestamp", timestamp);
	header(ret, 1, "X-Lark-Request-Nonce", nonce);
	header(ret, 2, "X-Lark-Signature", signature);
	return rc;
}

const struct webhook_vendor webhook_feishu = {
	.name = "feishu",
	.alias = "lark",
	.title = "Feishu",
	.path = "webhooks/lark",
	.first = "vc.meeting.all_meeting_started_v1",
	.no_secrets = "no secret to prove it with: set LARK_EVENT_ENCRYPT_KEY and LARK_EVENT_VERIFICATION_TOKEN, or give --aes-key "
	              "and --token",
	.secrets_of = feishu_secrets,
	.secrets_fit = feishu_fit,
	.freshen = feishu_freshen,
	.id_of = feishu_id,
	.complete = feishu_complete,
	.make = feishu_make,
	.explain = webhook_explain_feishu,
};
