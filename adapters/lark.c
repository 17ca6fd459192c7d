/*
 * Feishu (Lark) in: the webhook, up to the opened event, and whether there is a long connection.
 *
 *     body -> signature over its bytes -> decrypt -> token -> time -> lark_deliver()
 *
 * Whatever fails on this way is refused and counted, and nothing of it is
 * stored. The challenge, by which the vendor looks whether the address is ours, comes
 * unsigned and is answered at once; its token, and the encryption where there is one, protect it.
 */
#include <stdlib.h>

#include "adapters/lark_connection.h"
#include "adapters/lark_events.h"
#include "adapters/lark_private.h"
#include "base/err.h"
#include "base/log.h"

#define BODY_MAX (1024 * 1024)    /* integrity 18 */

extern const struct adapter adapter_lark;

/* --- refusing -------------------------------------------------------------------- */

static const struct delivery_refusal refusals[LARK_REFUSALS] = {
	[LARK_REFUSED_UNCONFIGURED] = {503, "not_configured", NULL},
	[LARK_REFUSED_BODY] = {400, "malformed_body", "The body must be a JSON object: an event with its type and id, or one that is encrypted."},
	[LARK_REFUSED_SIGNATURE] = {401, "bad_signature",
	    "The signature does not fit. Check that the Encrypt Key set at Feishu is LARK_EVENT_ENCRYPT_KEY, and that nothing "
	    "between changes the body or the headers X-Lark-Signature, X-Lark-Request-Timestamp and X-Lark-Request-Nonce."},
	[LARK_REFUSED_TOKEN] = {401, "bad_token",
	    "The token does not fit. Check that the Verification Token set at Feishu is LARK_EVENT_VERIFICATION_TOKEN, and that "
	    "LARK_EVENT_ENCRYPT_KEY is set where Feishu encrypts, and only there."},
	[LARK_REFUSED_TIME] = {401, "stale_timestamp",
	    "The signed time stamp is too far from now. Check the sender's clock, and this machine's."},
	[LARK_REFUSED_CIPHER] = {400, "undecryptable", "The signature fits, but the content cannot be decrypted or is no JSON object."},
	DELIVERY_REFUSALS(LARK_REFUSED_STORE),
	[LARK_REFUSED_FRAME] = {400, "bad_frame", NULL},
};

static void refuse(struct lark *l, struct http_request *rq, enum lark_refusal why, const char *detail)
{
	delivery_refuse(&l->source, rq, why, detail);
}

static void count_refused(void *state, const struct route *route, int status)
{
	(void)route;
	delivery_count_refused(&((struct lark *)state)->source, status);
}

/* --- opening ----------------------------------------------------------------------- */

/* How far it came: what gets further with one pair of secrets than with another is judged by that one. */
static int progress(int rc)
{
	static const int order[] = {ERR_BAD_SIGNATURE, ERR_MALFORMED, ERR_TOO_BIG, ERR_DENIED, ERR_INVALID, 0, ERR_NOMEM};

	for (int i = 0; i < (int)(sizeof(order) / sizeof(order[0])); i++)
		if (order[i] == rc)
			return i;
	return 0;
}

/* By each pair of secrets, whatever came of the one before. */
static int open_body(const struct lark *l, const struct lark_headers *h, struct http_request *rq, struct lark_received *ret)
{
	int rc = ERR_BAD_SIGNATURE;

	for (unsigned i = 0; i < l->n_secrets; i++) {
		struct lark_received one = {0};
		int one_rc = lark_receive(&l->secrets[i], h, rq->body, rq->arena, &one);

		if (i == 0 || progress(one_rc) > progress(rc)) {
			rc = one_rc;
			*ret = one;
		}
	}
	return rc;
}

/* Only with an Encrypt Key is the time signed. */
static bool is_fresh(const struct lark *l, struct slice timestamp)
{
	return l->secrets[0].encrypt_key.len == 0 || delivery_is_fresh(&l->source, timestamp, l->age_ms_max);
}

static void answer_challenge(struct lark *l, struct http_request *rq, struct slice challenge)
{
	struct buf body = BUF_INIT(2 * BODY_MAX);

	if (lark_challenge_answer(&body, challenge) == 0)
		http_respond(rq, 200, HTTP_JSON, &body);
	else
		refuse(l, rq, LARK_REFUSED_STORE, NULL);
	buf_finish(&body);
}

static void on_kept(struct delivery *d)
{
	struct http_request *rq = d->arg;
	struct lark *l = app_adapter_state(app_of(rq), &adapter_lark);

	if (d->rc == 0) {
		http_respond_slice(rq, 200, HTTP_JSON, SLICE("{}"));
		return;
	}
	tally_refuse(&l->tally, LARK_REFUSED_STORE);
	delivery_answer_unstored(d, rq);
}

static void keep(struct lark *l, struct http_request *rq, const struct lark_received *r, bool understood, struct slice when)
{
	struct delivery *d = arena_calloc(rq->arena, 1, sizeof(*d));

	if (d == NULL) {
		refuse(l, rq, LARK_REFUSED_STORE, NULL);
		return;
	}
	*d = (struct delivery){.actor = LARK_WEBHOOK_ACTOR, .traceparent = delivery_traceparent(rq), .arena = rq->arena,
	    .port = loop_of(rq)->log_port, .raw = rq->body, .done = on_kept, .arg = rq};
	lark_deliver(l, d, r, understood, when);
}

static void take_event(struct http_request *rq)
{
	struct lark *l = app_adapter_state(app_of(rq), &adapter_lark);
	struct lark_received r = {0};
	struct lark_headers h = {0};
	bool encrypted;
	int rc;

	if (l->no_webhook != NULL) {
		refuse(l, rq, LARK_REFUSED_UNCONFIGURED, l->no_webhook);
		return;
	}
	http_request_field(rq, "x-lark-request-timestamp", &h.timestamp);
	http_request_field(rq, "x-lark-request-nonce", &h.nonce);
	http_request_field(rq, "x-lark-signature", &h.signature);
	encrypted = l->secrets[0].encrypt_key.len > 0;
	rc = open_body(l, &h, rq, &r);
	if (rc == ERR_NOMEM)
		refuse(l, rq, LARK_REFUSED_STORE, NULL);
	else if (rc == ERR_BAD_SIGNATURE)
		refuse(l, rq, LARK_REFUSED_SIGNATURE, NULL);
	else if (rc == ERR_DENIED)
		refuse(l, rq, LARK_REFUSED_TOKEN, NULL);
	else if (rc == ERR_MALFORMED || rc == ERR_TOO_BIG)
		refuse(l, rq, encrypted ? LARK_REFUSED_CIPHER : LARK_REFUSED_BODY, NULL);
	else if (rc != 0 && (!encrypted || r.is_challenge)) /* without a signature the token alone could prove it, and was not compared */
		refuse(l, rq, LARK_REFUSED_BODY, NULL);
	else if (r.is_challenge)
		answer_challenge(l, rq, r.challenge);
	else if (!is_fresh(l, h.timestamp))
		refuse(l, rq, LARK_REFUSED_TIME, NULL);
	else
		keep(l, rq, &r, rc == 0, h.timestamp);
}

/* --- counts ----------------------------------------------------------------------------- */

/* The connection ends before the counts are taken for the last time: it may bring one more until then. */
static void tick(void *state, bool last)
{
	struct lark *l = state;

	if (last)
		lark_connection_stop(l->connection);
	delivery_tally(&l->source, last);
}

static struct tally *tally(void *state)
{
	return &((struct lark *)state)->tally;
}

static void write_metrics(void *state, struct buf *out)
{
	lark_connection_metrics(((struct lark *)state)->connection, out);
}

/* --- start and stop ------------------------------------------------------------------------ */

static void add_secrets(struct lark *l, struct slice key, struct slice token)
{
	l->secrets[l->n_secrets++] = (struct lark_secrets){key, token};
}

static const char *load_secrets(struct lark *l, const struct config *c)
{
	struct slice key = c->lark_event_encrypt_key, token = c->lark_event_verification_token;
	struct slice old_key = c->lark_event_encrypt_key_old, old_token = c->lark_event_verification_token_old;
	bool both_keys = key.len > 0 && old_key.len > 0, both_tokens = token.len > 0 && old_token.len > 0;

	if (key.len == 0 && token.len == 0)
		return "Feishu's webhook is not configured: set LARK_EVENT_ENCRYPT_KEY and LARK_EVENT_VERIFICATION_TOKEN to what the "
		       "application's page shows under Events and Callbacks, Encryption Strategy.";
	add_secrets(l, key, token);
	if (both_keys)
		add_secrets(l, old_key, token);
	if (both_tokens)
		add_secrets(l, key, old_token);
	if (both_keys && both_tokens)
		add_secrets(l, old_key, old_token);
	return NULL;
}

static void stop(void *state)
{
	struct lark *l = state;

	lark_connection_destroy(l->connection);
	tally_finish(&l->tally);
	free(l);
}

static int start(struct app *app, void **ret_state)
{
	const struct config *c = app->config;
	struct lark *l = calloc(1, sizeof(*l));
	int rc;

	if (l == NULL)
		return ERR_NOMEM;
	l->app = app;
	l->age_ms_max = c->lark_webhook_max_age * 1000;
	l->no_webhook = load_secrets(l, c);
	l->source = (struct delivery_source){.name = LARK_SOURCE_NAME, .source = LARK_SOURCE, .meeting_kind = "lark.meeting",
	    .body_kind = "lark.body", .identify = lark_person_identity};
	rc = delivery_source_init(&l->source, app, &l->tally, refusals, LARK_REFUSALS, LARK_REFUSED_STORE);
	if (rc == 0 && lark_connection_wanted(c))
		rc = lark_connection_start(&l->connection, l);
	if (rc != 0) {
		stop(l);
		return rc;
	}
	*ret_state = l;
	return 0;
}

static const char *unready(void *state)
{
	const struct lark *l = state;

	if (l->connection != NULL)
		return lark_connection_says(l->connection);
	if (l->no_webhook != NULL)
		return "Feishu is not configured: set LARK_EVENT_ENCRYPT_KEY and LARK_EVENT_VERIFICATION_TOKEN for its webhook, or "
		       "LARK_APP_ID and LARK_APP_SECRET for the long connection.";
	return NULL;
}

#define WEBHOOK(path, what) \
	{HTTP_POST, path, take_event, .flags = ROUTE_PUBLIC | ROUTE_ESSENTIAL | ROUTE_NO_ETAG, .rate = RATE_EXEMPT, \
	    .body_max = BODY_MAX, .tag = "webhooks", .summary = what}

static const struct route routes[] = {
	WEBHOOK("/webhooks/lark", "Feishu (Lark) tells what happened, or checks the address of its webhook"),
	WEBHOOK("/webhooks/feishu", "The same under the vendor's other name"),
	{0},
};

const struct adapter adapter_lark = {
	.name = "lark",
	.routes = routes,
	.start = start,
	.stop = stop,
	.refused = count_refused,
	.tick = tick,
	.unready = unready,
	.tally = tally,
	.metrics = write_metrics,
};
