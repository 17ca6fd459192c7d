/* A verified delivery of Tencent Meeting, from its decrypted text to the answer: the vendor's part of delivery.h. */
#include "adapters/tencent_events.h"
#include "adapters/tencent_private.h"
#include "base/err.h"

struct tencent_delivery {
	struct delivery common;
	struct http_request *rq;
	struct tencent *tencent;
	struct tencent_envelope envelope;
};

static int add_items(struct tencent_delivery *d, struct problems *problems)
{
	struct json_reader r;
	struct json_value item;
	int rc = delivery_expect(&d->common, d->envelope.n_items);

	json_enter(&r, d->envelope.payload);
	for (size_t i = 0; rc == 0 && json_next(&r, NULL, &item); i++) {
		struct translated fact = {0};

		rc = tencent_translate(&d->envelope, i, item, d->rq->arena, &fact);
		if (rc == 0)
			rc = delivery_add(&d->common, &fact, problems);
	}
	return rc;
}

/* integrity 14: without an id the content and the signed time tell deliveries apart. */
static int name_delivery(struct tencent_delivery *d)
{
	struct slice timestamp;

	d->common.vendor_event = d->envelope.event;
	d->common.trace_id = d->common.trace = d->envelope.trace_id;
	if (d->common.trace.len > 0)
		return 0;
	http_request_field(d->rq, "timestamp", &timestamp);
	d->common.trace = slice_str(arena_printf(d->rq->arena, "%s@%.*s", d->common.fingerprint, SLICE_ARG(timestamp)));
	return d->common.trace.ptr == NULL ? ERR_NOMEM : 0;
}

static int make_events(struct tencent_delivery *d)
{
	struct problems problems = PROBLEMS_INIT(d->rq->arena);
	const char *reason;
	int rc = tencent_parse(d->common.plain, d->rq->arena, &d->envelope, &reason);

	if (rc == ERR_NOMEM || name_delivery(d) != 0)
		return ERR_NOMEM;
	if (rc != 0) {
		problems_add(&problems, "", "envelope", "%s", reason);
		return delivery_keep(&d->common, "unintelligible", &problems);
	}
	if (tencent_event_type(d->envelope.event) == NULL)
		return delivery_keep(&d->common, "unknown_event", &problems);
	rc = add_items(d, &problems);
	return rc == ERR_INVALID || rc == ERR_TOO_BIG ? delivery_keep(&d->common, "unintelligible", &problems) : rc;
}

static void answer(struct delivery *common)
{
	struct tencent_delivery *d = common->arg;

	if (common->rc == 0) {
		http_respond_slice(d->rq, 200, HTTP_TEXT, SLICE(TENCENT_ACK));
		return;
	}
	tally_refuse(&d->tencent->tally, TENCENT_REFUSED_STORE);
	delivery_answer_unstored(common, d->rq);
}

void tencent_deliver(struct tencent *t, struct http_request *rq, struct slice plain)
{
	struct tencent_delivery *d = arena_calloc(rq->arena, 1, sizeof(*d));

	if (d == NULL) {
		tencent_refuse(t, rq, TENCENT_REFUSED_STORE, NULL);
		return;
	}
	d->rq = rq;
	d->tencent = t;
	d->common = (struct delivery){.source = &t->source, .actor = TENCENT_ACTOR, .arena = rq->arena,
	    .traceparent = delivery_traceparent(rq), .port = loop_of(rq)->log_port, .raw = rq->body, .plain = plain,
	    .told = plain, .done = answer, .arg = d};
	delivery_begin(&d->common);
	delivery_start(&d->common, d->common.traceparent == NULL ? ERR_NOMEM : make_events(d));
}
