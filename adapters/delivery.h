/*
 * A verified delivery of any vendor: what it said becomes durable, and only then it is answered.
 *
 *     the vendor's part: parse, translate --> delivery_add() for each fact, or delivery_keep()
 *     delivery_start(): append --> compare (a repeat) --> append the conflict --> done()
 *
 * Nothing is refused here. What has no event of ours, or does not fit its schema, is kept as it
 * is in a webhook.received event. A repeat is answered alike and stores nothing, unless it says something else
 * under the same id, which becomes a source.conflict event.
 *
 * All of a delivery lies in its arena, itself too.
 */
#ifndef LULAB_ADAPTERS_DELIVERY_H
#define LULAB_ADAPTERS_DELIVERY_H

#include "adapters/translate.h"
#include "app/app.h"
#include "app/tally.h"
#include "base/codec.h"
#include "crypto/crypto.h"

/* Why a request was refused, by the adapter's own numbers: what is answered, counted under the same name. */
struct delivery_refusal {
	int status;
	const char *code, *detail; /* static */
};
/* Those that are alike everywhere, five rows whose numbers follow each other: STORE, and, by the HTTP server, before
 * the adapter saw the request, TOO_BIG, TOO_SLOW, HEAD, REQUEST. */
#define DELIVERY_REFUSALS(store) \
	[store] = {503, "not_stored", "The event cannot be stored at the moment; send it again later."}, \
	[(store) + 1] = {413, "body_too_big", NULL}, [(store) + 2] = {408, "too_slow", NULL}, \
	[(store) + 3] = {431, "head_too_big", NULL}, [(store) + 4] = {400, "malformed_request", NULL}

/* One neighbour that tells us things. Read-only, but for the tally, which guards itself. */
struct delivery_source {
	struct app *app;
	const char *name;   /* "tencent" */
	const char *source; /* "/webhooks/tencent": its ids are told apart from others' by it, on whatever way they come */
	const char *meeting_kind, *body_kind; /* of subjects: "tencent.meeting", "tencent.body" */
	/* By what a person is known, best first; *ret_kind is static. False when nothing identifies them. */
	bool (*identify)(const struct event_person *p, struct slice meeting_id, struct arena *a, struct slice *ret_kind,
	    struct slice *ret_identity);
	/* Below here: filled in by delivery_source_init(). */
	bool keep_raw;
	struct tally *tally;
	const struct delivery_refusal *refusals;
	unsigned store; /* the first of DELIVERY_REFUSALS() */
	const char *reasons[TALLY_REASONS_MAX];
};

/* The tally is made ready, too: tally_finish() is the caller's. The source must not move from here on. ERR_NOMEM. */
int delivery_source_init(struct delivery_source *source, struct app *app, struct tally *tally,
    const struct delivery_refusal *refusals, unsigned n_refusals, unsigned store);

/* Answers for the reason, and counts it; detail NULL is the reason's own. */
void delivery_refuse(const struct delivery_source *source, struct http_request *rq, unsigned why, const char *detail);
/* Counts what the HTTP server refused, by the status it answered with. */
void delivery_count_refused(const struct delivery_source *source, int status);
/* A signed time, not too far from now. age_ms_max 0: any is. */
bool delivery_is_fresh(const struct delivery_source *source, struct slice timestamp, int64_t age_ms_max);

struct delivery;
typedef void delivery_done_cb(struct delivery *d);

struct delivery {
	/* The caller's, before delivery_begin(); all borrowed. */
	const struct delivery_source *source;
	const char *actor;      /* "webhook:tencent" */
	const char *traceparent; /* "": none */
	struct arena *arena;
	struct log_port *port;  /* of the loop it is on; NULL: the thread waits */
	struct slice raw;       /* as it came; kept for a while where the settings say so */
	struct slice plain;     /* the decrypted text */
	struct slice told;      /* what a repeat must say again, or it is a conflict */
	delivery_done_cb *done; /* exactly once */
	void *arg;

	/* The caller's too, before an event is added. The first two may be empty. */
	struct slice vendor_event, trace_id;
	struct slice trace;     /* what tells deliveries apart: the vendor's id of it, or body and time */

	/* Filled in by delivery_begin(). */
	char fingerprint[BASE64URL_LEN(SHA256_LEN) + 1];

	/* For done(): 0 once all of it is durable, or was before. */
	int rc;

	/* Below here: its own. */
	enum { DELIVERY_APPEND, DELIVERY_COMPARE, DELIVERY_APPEND_CONFLICT, DELIVERY_DONE } next;
	struct buf raw_sealed, text_sealed; /* blobs; borrowed by the drafts until the append is over */
	struct blob_draft blobs[2];
	struct event_draft *drafts;
	size_t n_drafts, n_expected;
	struct append append;
	uint64_t first_position;
	char first_fingerprint[BASE64URL_LEN(SHA256_LEN) + 1];
};

void delivery_begin(struct delivery *d);

/* Room for n facts. ERR_TOO_BIG: more than one append takes; ERR_NOMEM. */
int delivery_expect(struct delivery *d, size_t n);
/*
 * The next fact, sealed. ERR_INVALID or ERR_TOO_BIG: it does not fit its schema (see problems), the
 * whole is to be kept as it is; ERR_NOMEM, or an error of the keyring.
 */
int delivery_add(struct delivery *d, struct translated *fact, struct problems *problems);
/* Instead of facts: all of it as it is. reason: "unknown_event" or "unintelligible"; the list may be empty. */
int delivery_keep(struct delivery *d, const char *reason, const struct problems *problems);

/* Appends what was added, or tells rc when that is not 0. done() is called in here when there is no port, or on failure. */
void delivery_start(struct delivery *d, int rc);

/* 503, and why it could not be stored. */
void delivery_answer_unstored(const struct delivery *d, struct http_request *rq);

/* traceparent of a request, for deliveries that came with one; NULL without memory. */
const char *delivery_traceparent(const struct http_request *rq);

/* Counts as one webhook.tallied event, or keeps them for the next time; names are of the tally's reasons. */
void delivery_tally(const struct delivery_source *source, bool last);

#endif
