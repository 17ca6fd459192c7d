/* What the two halves of the adapter share: aliyun_sms.c sends and asks, aliyun_sms_report.c takes what is pushed. */
#ifndef LULAB_ADAPTERS_ALIYUN_SMS_H
#define LULAB_ADAPTERS_ALIYUN_SMS_H

#include "adapters/aliyun_sms_wire.h"
#include "app/app.h"

#define SMS_EFFECT "sms.code"
#define SMS_SOURCE "/webhooks/aliyun/sms"

/* The adapter's state; read-only while serving, but for the counters. */
struct sms_service {
	struct app *app;
	const char *unready;
	struct aliyun_keys keys;
	struct slice url, host;
	struct slice report_key; /* empty: no reports are taken */
	_Atomic uint64_t reports_refused, reports_strange; /* wrong key or not readable; about messages that are not ours */
};

/*
 * What a receipt says, as an event of the message that the effect sent; the same said again is stored once. from:
 * "REPORT" or "QUERY". ERR_NOMEM, ...
 */
int aliyun_sms_receipt(const struct event_context *ctx, const struct event_meta *meta, struct slice effect_id,
    const struct aliyun_receipt *receipt, const char *from, struct arena *arena, struct event_draft *ret);

http_handler aliyun_sms_take_report;

#endif
