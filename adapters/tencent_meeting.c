/*
 * Tencent Meeting in: the URL check and the webhook, up to the decrypted text.
 *
 *     headers -> body -> signature -> time stamp -> decrypt -> tencent_deliver()
 *
 * Whatever fails on this way is refused and counted, and nothing of it is
 * stored; every `tick` the counts become one webhook.tallied event. After it
 * nothing is refused any more: see tencent_delivery.c.
 */
#include <stdlib.h>

#include "adapters/tencent_events.h"
#include "adapters/tencent_private.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"

#define BODY_MAX (1024 * 1024)       /* integrity 18 */

extern const struct adapter adapter_tencent_meeting;

/* --- refusing -------------------------------------------------------------------- */

static const struct delivery_refusal refusals[TENCENT_REFUSALS] = {
	[TENCENT_REFUSED_UNCONFIGURED] = {503, "not_configured", NULL},
	[TENCENT_REFUSED_HEADERS] = {400, "missing_headers", NULL},
	[TENCENT_REFUSED_BODY] = {400, "malformed_body", NULL},
	[TENCENT_REFUSED_SIGNATURE] = {401, "bad_signature",
	    "The signature does not fit. Check that the token set at Tencent Meeting is TENCENT_MEETING_TOKEN, and that "
	    "nothing between changes the body."},
	[TENCENT_REFUSED_TIME] = {401, "stale_timestamp",
	    "The signed time stamp is too far from now. Check the sender's clock, and this machine's."},
	[TENCENT_REFUSED_CIPHER] = {400, "undecryptable",
	    "The signature fits, but the content cannot be decrypted. Check that the EncodingAESKey set at Tencent "
	    "Meeting is TENCENT_MEETING_ENCODING_AES_KEY."},
	DELIVERY_REFUSALS(TENCENT_REFUSED_STORE),
};

void tencent_refuse(struct tencent *t, struct http_request *rq, enum tencent_refusal why, const char *detail)
{
	delivery_refuse(&t->source, rq, why, detail);
}

static void count_refused(void *state, const struct route *route, int status)
{
	(void)route;
	delivery_count_refused(&((struct tencent *)state)->source, status);
}

/* The three headers; false when one is missing and the answer was sent. */
static bool read_headers(struct tencent *t, struct http_request *rq, struct tencent_signed *s)
{
	const struct {
		const char *name;
		struct slice *value;
	} headers[] = {{"timestamp", &s->timestamp}, {"nonce", &s->nonce}, {"signature", &s->signature}};

	for (size_t i = 0; i < 3; i++) {
		if (http_request_field(rq, headers[i].name, headers[i].value) && headers[i].value->len > 0)
			continue;
		tencent_refuse(t, rq, TENCENT_REFUSED_HEADERS,
		    arena_printf(rq->arena, "The header %s is missing; a webhook carries timestamp, nonce and signature.",
		        headers[i].name));
		return false;
	}
	return true;
}

/* Signature, time, decryption; false when the answer was sent. */
static bool open_signed(struct tencent *t, struct http_request *rq, const struct tencent_signed *s,
    struct slice *ret_plain)
{
	int rc;

	if (!tencent_verify(&t->keys, s)) {
		tencent_refuse(t, rq, TENCENT_REFUSED_SIGNATURE, NULL);
		return false;
	}
	if (!delivery_is_fresh(&t->source, s->timestamp, t->age_ms_max)) {
		tencent_refuse(t, rq, TENCENT_REFUSED_TIME, NULL);
		return false;
	}
	rc = tencent_decrypt(&t->keys, s->data, rq->arena, ret_plain);
	if (rc == ERR_NOMEM) {
		tencent_refuse(t, rq, TENCENT_REFUSED_STORE, NULL);
		return false;
	}
	/* A wrong key fits the padding once in 256 times; what comes out is then no text. */
	if (rc != 0 || !utf8_valid(*ret_plain)) {
		tencent_refuse(t, rq, TENCENT_REFUSED_CIPHER, NULL);
		return false;
	}
	return true;
}

/* --- the URL check ---------------------------------------------------------------- */

/* By hand: '+' is part of base64 here and must not become a space (vendor-protocols 1.5). */
static bool read_check_str(struct http_request *rq, struct slice *ret)
{
	struct slice rest = rq->query_text, pair, name, value;

	while (rest.len > 0) {
		struct buf decoded = BUF_INIT(rest.len + 1);
		bool good;

		slice_cut(rest, '&', &pair, &rest);
		if (!slice_cut(pair, '=', &name, &value) || !slice_is(name, "check_str"))
			continue;
		good = percent_decode(&decoded, value, 0) == 0 && decoded.len > 0;
		if (good)
			*ret = arena_dup(rq->arena, buf_slice(&decoded));
		buf_finish(&decoded);
		return good && ret->ptr != NULL;
	}
	return false;
}

static void verify_address(struct http_request *rq)
{
	struct tencent *t = app_adapter_state(app_of(rq), &adapter_tencent_meeting);
	struct tencent_signed s = {0};
	struct slice plain;

	if (t->unready != NULL)
		tencent_refuse(t, rq, TENCENT_REFUSED_UNCONFIGURED, t->unready);
	else if (!read_check_str(rq, &s.data))
		tencent_refuse(t, rq, TENCENT_REFUSED_BODY, "The query parameter check_str is missing or not percent-encoded base64.");
	else if (read_headers(t, rq, &s) && open_signed(t, rq, &s, &plain))
		http_respond_slice(rq, 200, HTTP_TEXT, plain);
}

static void take_event(struct http_request *rq)
{
	struct tencent *t = app_adapter_state(app_of(rq), &adapter_tencent_meeting);
	struct tencent_signed s = {0};
	struct slice plain;
	int rc = t->unready == NULL ? tencent_body_data(rq->body, rq->arena, &s.data) : 0;

	if (t->unready != NULL)
		tencent_refuse(t, rq, TENCENT_REFUSED_UNCONFIGURED, t->unready);
	else if (rc == ERR_NOMEM)
		tencent_refuse(t, rq, TENCENT_REFUSED_STORE, NULL);
	else if (rc != 0)
		tencent_refuse(t, rq, TENCENT_REFUSED_BODY, "The body must be a JSON object whose member data holds base64 text.");
	else if (read_headers(t, rq, &s) && open_signed(t, rq, &s, &plain))
		tencent_deliver(t, rq, plain);
}

/* --- counts ----------------------------------------------------------------------------- */

static void tick(void *state, bool last)
{
	delivery_tally(&((struct tencent *)state)->source, last);
}

static struct tally *tally(void *state)
{
	return &((struct tencent *)state)->tally;
}

/* --- start and stop ------------------------------------------------------------------------ */

static const char *load_keys(struct tencent_keys *keys, const struct config *c)
{
	if (c->tencent_meeting_token.len == 0)
		return "Tencent Meeting is not configured: set TENCENT_MEETING_TOKEN to the token of the webhook, and "
		       "TENCENT_MEETING_ENCODING_AES_KEY when its events are encrypted.";
	tencent_keys_add_token(keys, c->tencent_meeting_token);
	if (c->tencent_meeting_token_old.len > 0)
		tencent_keys_add_token(keys, c->tencent_meeting_token_old);
	if (c->tencent_meeting_encoding_aes_key.len > 0 &&
	    tencent_keys_add_aes(keys, c->tencent_meeting_encoding_aes_key) != 0)
		return "TENCENT_MEETING_ENCODING_AES_KEY is not 43 characters of base64.";
	if (c->tencent_meeting_encoding_aes_key_old.len > 0 &&
	    tencent_keys_add_aes(keys, c->tencent_meeting_encoding_aes_key_old) != 0)
		return "TENCENT_MEETING_ENCODING_AES_KEY_OLD is not 43 characters of base64.";
	return NULL;
}

static void stop(void *state)
{
	struct tencent *t = state;

	tally_finish(&t->tally);
	tencent_keys_finish(&t->keys);
	free(t);
}

static int start(struct app *app, void **ret_state)
{
	const struct config *c = app->config;
	struct tencent *t = calloc(1, sizeof(*t));
	int rc;

	if (t == NULL)
		return ERR_NOMEM;
	t->app = app;
	t->age_ms_max = c->webhook_max_age * 1000;
	t->source = (struct delivery_source){.name = TENCENT_SOURCE_NAME, .source = TENCENT_SOURCE, .meeting_kind = "tencent.meeting",
	    .body_kind = "tencent.body", .identify = tencent_person_identity};
	t->unready = load_keys(&t->keys, c);
	rc = delivery_source_init(&t->source, app, &t->tally, refusals, TENCENT_REFUSALS, TENCENT_REFUSED_STORE);
	if (rc != 0) {
		stop(t);
		return rc;
	}
	if (t->unready != NULL)
		log_warn("tencent", t->unready);
	*ret_state = t;
	return 0;
}

static const char *unready(void *state)
{
	return ((struct tencent *)state)->unready;
}

static const struct route routes[] = {
	{HTTP_GET, "/webhooks/tencent", verify_address, .flags = ROUTE_PUBLIC | ROUTE_ESSENTIAL | ROUTE_NO_ETAG,
	    .rate = RATE_EXEMPT, .tag = "webhooks", .summary = "Tencent Meeting checks the address of its webhook"},
	{HTTP_POST, "/webhooks/tencent", take_event, .flags = ROUTE_PUBLIC | ROUTE_ESSENTIAL | ROUTE_NO_ETAG,
	    .rate = RATE_EXEMPT, .body_max = BODY_MAX, .tag = "webhooks",
	    .summary = "Tencent Meeting tells what happened"},
	{0},
};

const struct adapter adapter_tencent_meeting = {
	.name = "tencent_meeting",
	.routes = routes,
	.start = start,
	.stop = stop,
	.refused = count_refused,
	.tick = tick,
	.unready = unready,
	.tally = tally,
};
