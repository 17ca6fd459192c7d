/* What the two halves of the Tencent Meeting adapter share: tencent_meeting.c opens deliveries, tencent_delivery.c keeps them. */
#ifndef LULAB_ADAPTERS_TENCENT_PRIVATE_H
#define LULAB_ADAPTERS_TENCENT_PRIVATE_H

#include "adapters/delivery.h"
#include "adapters/tencent_wire.h"

#define TENCENT_SOURCE "/webhooks/tencent"
#define TENCENT_SOURCE_NAME "tencent"
#define TENCENT_ACTOR "webhook:tencent"

/* Why a delivery was not kept; each is counted. */
enum tencent_refusal {
	TENCENT_REFUSED_UNCONFIGURED,
	TENCENT_REFUSED_HEADERS,
	TENCENT_REFUSED_BODY,
	TENCENT_REFUSED_SIGNATURE,
	TENCENT_REFUSED_TIME,
	TENCENT_REFUSED_CIPHER,
	TENCENT_REFUSED_STORE,
	/* By the HTTP server, before the adapter saw the request. */
	TENCENT_REFUSED_TOO_BIG,
	TENCENT_REFUSED_TOO_SLOW,
	TENCENT_REFUSED_HEAD,
	TENCENT_REFUSED_REQUEST,
	TENCENT_REFUSALS,
};

/* The adapter's state. Read-only while serving, but for the tally, which guards itself. */
struct tencent {
	struct app *app;
	struct tencent_keys keys;
	const char *unready; /* why it cannot work, static; or NULL */
	int64_t age_ms_max;  /* 0 = any age */
	struct delivery_source source;
	struct tally tally;
};

/* Answers for the reason, and counts it; detail NULL is the reason's own. */
void tencent_refuse(struct tencent *t, struct http_request *rq, enum tencent_refusal why, const char *detail);

/*
 * Keeps what a verified request said, and answers rq once it is durable: the
 * acknowledgement, or 503. `plain` is the decrypted text, in the request's arena.
 */
void tencent_deliver(struct tencent *t, struct http_request *rq, struct slice plain);

#endif
