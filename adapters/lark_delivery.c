/* What Feishu told, on whatever way: from the event to what becomes durable. The vendor's part of delivery.h. */
#include "adapters/lark_events.h"
#include "adapters/lark_private.h"
#include "base/err.h"

/* The Verification Token proves who speaks: it is not for those who may read bodies. */
static struct slice without_token(struct slice text, struct slice token, struct arena *a)
{
	size_t before;
	const char *made;

	if (token.len == 0 || token.ptr < text.ptr || token.ptr + token.len > text.ptr + text.len)
		return text;
	before = (size_t)(token.ptr - text.ptr);
	made = arena_printf(a, "%.*s\"\"%.*s", (int)before, text.ptr, (int)(text.len - before - token.len), token.ptr + token.len);
	return slice_str(made);
}

static int name_delivery(struct delivery *d, const struct lark_received *r, struct slice when)
{
	d->vendor_event = r->event_type;
	d->trace_id = d->trace = r->event_id;
	if (d->trace.len == 0)
		d->trace = slice_str(arena_printf(d->arena, "%s@%.*s", d->fingerprint, SLICE_ARG(when)));
	return d->trace.ptr == NULL ? ERR_NOMEM : 0;
}

static int make_event(struct delivery *d, const struct lark_received *r, bool understood)
{
	struct problems problems = PROBLEMS_INIT(d->arena);
	struct translated translated = {0};
	int rc;

	if (!understood) {
		problems_add(&problems, "", "envelope", "no event with a type and an id");
		return delivery_keep(d, "unintelligible", &problems);
	}
	rc = lark_translate(r, d->arena, &translated);
	if (rc == ERR_NOT_FOUND)
		return delivery_keep(d, "unknown_event", &problems);
	if (rc == 0)
		rc = delivery_expect(d, 1);
	if (rc == 0)
		rc = delivery_add(d, &translated, &problems);
	return rc == ERR_INVALID || rc == ERR_TOO_BIG ? delivery_keep(d, "unintelligible", &problems) : rc;
}

void lark_deliver(struct lark *l, struct delivery *d, const struct lark_received *r, bool understood, struct slice when)
{
	bool raw_is_plain = d->raw.ptr == r->plain.ptr;
	int rc = 0;

	d->source = &l->source;
	d->plain = without_token(r->plain, r->token, d->arena);
	if (raw_is_plain)
		d->raw = d->plain;
	d->told = d->plain;
	if (understood)
		rc = lark_told(r, d->arena, &d->told);
	if (rc == 0 && (d->plain.ptr == NULL || d->traceparent == NULL))
		rc = ERR_NOMEM;
	if (rc == 0) {
		delivery_begin(d);
		rc = name_delivery(d, r, when);
	}
	delivery_start(d, rc != 0 ? rc : make_event(d, r, understood));
}
