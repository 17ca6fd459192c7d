/*
 * What the parts of Feishu's ways in share: lark.c opens webhooks, lark_connection.c holds the long connection,
 * lark_delivery.c keeps what either brings.
 */
#ifndef LULAB_ADAPTERS_LARK_PRIVATE_H
#define LULAB_ADAPTERS_LARK_PRIVATE_H

#include "adapters/delivery.h"
#include "adapters/lark_wire.h"

/* Also of what comes over the long connection: one source, whose event_id is known again whatever the way. */
#define LARK_SOURCE "/webhooks/lark"
#define LARK_SOURCE_NAME "lark"
#define LARK_WEBHOOK_ACTOR "webhook:lark"
#define LARK_CONNECTION_ACTOR "connection:lark"

/* While secrets are changed the old ones are good beside the new: both keys with both tokens. */
#define LARK_SECRETS_MAX 4

/* Why a delivery was not kept; each is counted. */
enum lark_refusal {
	LARK_REFUSED_UNCONFIGURED,
	LARK_REFUSED_BODY,
	LARK_REFUSED_SIGNATURE,
	LARK_REFUSED_TOKEN,
	LARK_REFUSED_TIME,
	LARK_REFUSED_CIPHER,
	LARK_REFUSED_STORE,
	/* By the HTTP server, before the adapter saw the request. */
	LARK_REFUSED_TOO_BIG,
	LARK_REFUSED_TOO_SLOW,
	LARK_REFUSED_HEAD,
	LARK_REFUSED_REQUEST,
	/* Of the long connection: a message that is no frame, or a piece that fits no message. */
	LARK_REFUSED_FRAME,
	LARK_REFUSALS,
};

struct lark_connection;

/* The adapter's state. Read-only while serving, but for the tally and the connection, which guard themselves. */
struct lark {
	struct app *app;
	struct lark_secrets secrets[LARK_SECRETS_MAX];
	unsigned n_secrets;
	const char *no_webhook; /* why there is none, static; or NULL */
	int64_t age_ms_max;     /* 0 = any age */
	struct delivery_source source;
	struct tally tally;
	struct lark_connection *connection; /* NULL: there is none */
};

/*
 * Keeps an event, and calls d->done once it is durable. The caller has filled in actor, traceparent, arena,
 * port, raw, done and arg. r: what lark_receive() or lark_event_parse() read; understood says whether it is
 * an event, else r->plain alone counts. when: what tells two such texts apart, if they have no id: the signed
 * time, or the message's id.
 */
void lark_deliver(struct lark *l, struct delivery *d, const struct lark_received *r, bool understood, struct slice when);

#endif
