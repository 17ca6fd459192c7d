/*
 * Delivery reports, pushed by Aliyun: unsigned, so they come to an address whose last part is a secret, are believed
 * for the fate of a message alone, and only of messages that an effect of ours has tried to send. The vendor tells a
 * report again until it reads the acknowledgement; what was told before is stored once.
 */
#include "adapters/aliyun_sms.h"

#include "app/action.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "domain/effect_id.h"

static struct slice code_of(struct slice code)
{
	for (size_t i = 0; i < code.len; i++)
		if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-", code.ptr[i]) == NULL)
			return (struct slice){0};
	return code.len == 0 || code.len > 64 ? (struct slice){0} : code;
}

static struct slice biz_id_of(struct slice id)
{
	return id.len == 0 || id.len > 128 ? (struct slice){0} : id;
}

int aliyun_sms_receipt(const struct event_context *ctx, const struct event_meta *meta, struct slice effect_id,
    const struct aliyun_receipt *receipt, const char *from, struct arena *arena, struct event_draft *ret)
{
	struct event_meta m = *meta;
	const char *key = arena_printf(arena, "%.*s:%d:%.*s", SLICE_ARG(effect_id), (int)receipt->delivery,
	    SLICE_ARG(receipt->err_code));
	struct slice source = slice_str(from), biz_id = biz_id_of(receipt->biz_id), code = code_of(receipt->err_code);
	bool has_time = receipt->report_ms != 0;
	struct event_sms_accepted accepted = {.effect_id = effect_id, .source = source, .biz_id = biz_id};
	struct event_sms_delivered delivered = {.effect_id = effect_id, .source = source, .biz_id = biz_id, .code = code,
	    .reported_at_ms = receipt->report_ms, .has_reported_at_ms = has_time};
	struct event_sms_undelivered undelivered = {.effect_id = effect_id, .source = source, .biz_id = biz_id, .code = code,
	    .reported_at_ms = receipt->report_ms, .has_reported_at_ms = has_time};

	if (key == NULL)
		return ERR_NOMEM;
	m.has_once = true;
	event_once_key(m.once, SLICE("aliyun_sms"), slice_str(key));
	switch (receipt->delivery) {
	case ALIYUN_DELIVERED:
		return event_draft_make(ctx, EVENT_SMS_DELIVERED, &delivered, &m, arena, ret, NULL);
	case ALIYUN_NOT_DELIVERED:
		return event_draft_make(ctx, EVENT_SMS_UNDELIVERED, &undelivered, &m, arena, ret, NULL);
	default:
		return event_draft_make(ctx, EVENT_SMS_ACCEPTED, &accepted, &m, arena, ret, NULL);
	}
}

/* ---- the webhook ------------------------------------------------------------------------------ */

static bool refuse(struct action *c, struct sms_service *sms, int status, const char *code, const char *why)
{
	atomic_fetch_add(&sms->reports_refused, 1);
	return action_fail(c, status, code, why, why);
}

/* One of ours that was tried; 0, ERR_NOT_FOUND, or what looking failed with. */
static int find(struct action *c, struct slice effect_id)
{
	struct action_param of = {"id", effect_id, 0};
	struct json_value row;
	int rc = effect_id.len == EFFECT_ID_LEN ? action_row(c, "effect_by_id", &of, 1, &row) : ERR_NOT_FOUND;

	if (rc == 0 && (!slice_is(row_text(c, row, "effect"), SMS_EFFECT) || row_i64(row, "attempt") == 0))
		rc = ERR_NOT_FOUND;
	return rc;
}

static void add(struct action_events *e, const struct aliyun_receipt *receipt)
{
	struct event_context ctx = {e->c->app->rng, e->c->app->clock, NULL};
	struct event_meta meta = {.source = SLICE(SMS_SOURCE), .actor = SLICE("webhook:aliyun"), .expect = EXPECT_ANY};
	int rc = aliyun_sms_receipt(&ctx, &meta, receipt->out_id, receipt, "REPORT", e->c->arena, &e->drafts[e->n]);

	e->n += rc == 0;
	e->rc = e->rc == 0 ? rc : e->rc;
}

static int keep(struct action *c, struct sms_service *sms, const struct aliyun_receipts *all)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < all->n;) {
		struct action_events *e = arena_calloc(c->arena, 1, sizeof(*e));

		if (e == NULL)
			return ERR_NOMEM;
		e->c = c;
		for (; rc == 0 && i < all->n && e->n < ACTION_EVENTS_MAX; i++) {
			rc = find(c, all->items[i].out_id);
			if (rc == 0)
				add(e, &all->items[i]);
			else if (rc == ERR_NOT_FOUND)
				rc = 0, atomic_fetch_add(&sms->reports_strange, 1);
		}
		if (rc == 0 && e->n > 0)
			rc = action_append(e);
	}
	return rc;
}

static void run_report(struct action *c)
{
	extern const struct adapter adapter_aliyun_sms;
	struct sms_service *sms = app_adapter_state(c->app, &adapter_aliyun_sms);
	struct aliyun_receipts all;
	int rc;

	if (sms->report_key.len == 0) {
		refuse(c, sms, 503, "not_configured", "Delivery reports are not taken: set LULAB_ALIYUN_SMS_REPORT_KEY.");
		return;
	}
	if (!crypto_equal(http_request_param(c->rq, "key"), sms->report_key)) {
		refuse(c, sms, 401, "bad_key", "This is not the address that was set at Aliyun: its last part is LULAB_ALIYUN_SMS_REPORT_KEY.");
		return;
	}
	rc = aliyun_report_parse(c->rq->body, c->arena, &all);
	if (rc == ERR_MALFORMED || rc == ERR_TOO_BIG) {
		refuse(c, sms, 400, "malformed_body", "The body is no array of delivery reports.");
		return;
	}
	if (rc == 0)
		rc = keep(c, sms, &all);
	if (!action_ok(c, rc))
		return;
	c->status = 200;
	buf_append(&c->body, SLICE(ALIYUN_REPORT_ACK));
}

void aliyun_sms_take_report(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_report);
}
