/*
 * A verified delivery of Tencent Meeting: from its decrypted text to durable events and the answer.
 *
 *     parse -> translate -> seal -> append -> answer
 *
 * Nothing is refused here. What we do not know or cannot understand becomes a
 * webhook.received event. The vendor reads its acknowledgement only after the
 * append is durable; a repeat is answered alike and stores nothing, unless it
 * says something else under the same id, which becomes a source.conflict event.
 *
 * All of a delivery lies in its request's arena; its state is `struct
 * delivery`, its story delivery_step().
 */
#include <stdio.h>

#include "adapters/tencent_events.h"
#include "adapters/tencent_private.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "crypto/crypto.h"

#define BODY_IN_RECORD_MAX 32768 /* longer texts go beside the record */
#define ITEMS_MAX APPEND_EVENTS_MAX

/* APPEND --> COMPARE (a repeat) --> APPEND_CONFLICT --> ANSWER */
struct delivery {
	struct http_request *rq;
	struct tencent *tencent;
	enum { APPEND, COMPARE, APPEND_CONFLICT, ANSWER } next;
	int rc; /* first failure, or 0 */

	struct slice plain;
	struct tencent_envelope envelope;
	struct slice trace;       /* what tells deliveries apart: the trace id, or body and time */
	char fingerprint[BASE64URL_LEN(SHA256_LEN) + 1];
	char traceparent[56];
	struct buf raw, text;     /* sealed blobs; borrowed by the drafts until the append is over */
	struct blob_draft blobs[2];
	struct event_draft *drafts;
	size_t n_drafts;
	struct append append;
	uint64_t first_position;
	char first_fingerprint[BASE64URL_LEN(SHA256_LEN) + 1];
};

static void delivery_step(struct delivery *d);

static void on_appended(struct append *append)
{
	struct delivery *d = append->arg;

	d->rc = append->rc;
	delivery_step(d);
}

static int once_key(const struct delivery *d, const char *what, size_t index, uint8_t ret[ONCE_KEY_LEN])
{
	const char *id = what == NULL ? NULL : arena_printf(d->rq->arena, "%s%.*s#%zu", what, SLICE_ARG(d->trace), index);

	if (id == NULL)
		return ERR_NOMEM; /* by another key a repeat would not be known again */
	event_once_key(ret, SLICE(TENCENT_SOURCE), slice_str(id));
	return 0;
}

/* The event's id is made first: seals are bound to it. */
static struct event_meta meta_of(const struct delivery *d, char ret_id_text[ID_TEXT_LEN + 1])
{
	struct event_meta meta = {.source = SLICE(TENCENT_SOURCE), .actor = SLICE(TENCENT_ACTOR),
	    .traceparent = slice_str(d->traceparent), .has_once = true, .has_id = true,
	    .id = id_random(d->tencent->app->rng), .expect = EXPECT_ANY};

	id_format(ret_id_text, &meta.id);
	return meta;
}

/* --- seals -------------------------------------------------------------------------- */

/* Subjects of one event, and the scope its seals are made in. */
struct sealing {
	char id_text[ID_TEXT_LEN + 1];
	struct seal_subject subjects[5];
	size_t n;
	struct seal_scope scope;
	struct seal_hooks hooks;
};

/* As the event shows it. ref NULL: a subject known by its id alone. */
static int name_subject(struct arena *a, const struct id *id, const uint8_t *ref, struct event_subject *ret)
{
	char *id_text = arena_alloc(a, ID_TEXT_LEN + 1);
	char *ref_text = arena_alloc(a, BASE64URL_LEN(SEAL_REF_LEN) + 1);

	if (id_text == NULL || ref_text == NULL)
		return ERR_NOMEM;
	id_format(id_text, id);
	*ret = (struct event_subject){.id = slice_of(id_text, ID_TEXT_LEN)};
	if (ref != NULL) {
		base64url_encode_to(ref_text, ref, SEAL_REF_LEN);
		ret->ref = slice_of(ref_text, BASE64URL_LEN(SEAL_REF_LEN));
	}
	return 0;
}

static int add_subject(struct delivery *d, struct sealing *s, const char *name, struct slice kind, struct slice identity,
    struct event_subject *ret)
{
	struct subject subject;
	int rc = sealer_subject(d->tencent->app->sealer, kind, identity, &subject);

	if (rc != 0)
		return rc;
	s->subjects[s->n++] = (struct seal_subject){name, subject.id};
	return name_subject(d->rq->arena, &subject.id, subject.ref, ret);
}

static void bind_hooks(struct delivery *d, struct sealing *s)
{
	s->scope = (struct seal_scope){.sealer = d->tencent->app->sealer,
	    .event_id = slice_of(s->id_text, ID_TEXT_LEN), .subjects = s->subjects, .n_subjects = s->n};
	seal_scope_hooks(&s->hooks, &s->scope);
}

/* Seals bytes under a key as a blob of the event; the blob's name goes to *ret. */
static int seal_blob(struct delivery *d, const struct id *key, struct slice event_id, const char *field,
    struct slice bytes, struct buf *into, struct blob_draft *blob, struct event_blob *ret)
{
	char *hex = arena_alloc(d->rq->arena, SHA256_LEN * 2 + 1);
	int rc;

	if (hex == NULL)
		return ERR_NOMEM;
	*into = (struct buf)BUF_INIT(SEALED_LEN(bytes.len));
	rc = seal_field(d->tencent->app->sealer, key, event_id, slice_str(field), bytes, into);
	if (rc != 0)
		return rc;
	blob->bytes = buf_slice(into);
	sha256(blob->sha256, &blob->bytes, 1);
	hex_encode(hex, blob->sha256, SHA256_LEN);
	*ret = (struct event_blob){.blob = slice_of(hex, SHA256_LEN * 2), .size = (int64_t)blob->bytes.len};
	return 0;
}

/* The body as it came, under a key of its own. Does nothing when none are kept. */
static int seal_raw(struct delivery *d, struct slice event_id, struct event_subject *ret_subject, struct event_blob *ret)
{
	struct id key;
	int rc = sealer_delivery(d->tencent->app->sealer, &key);

	if (rc == 0)
		rc = seal_blob(d, &key, event_id, "raw", d->rq->body, &d->raw, &d->blobs[0], ret);
	return rc != 0 ? rc : name_subject(d->rq->arena, &key, NULL, ret_subject);
}

/* --- one item becomes one event -------------------------------------------------------- */

static const char *const role_names[TENCENT_ROLES] = {"operator", "creator", "to_operator"};

struct fact_subjects {
	struct event_subject meeting, people[TENCENT_ROLES], raw;
	struct event_blob blob;
};

/* Somebody without any id is sealed under the meeting's key: there is nobody to ask for erasure but the meeting. */
static int add_person(struct delivery *d, struct sealing *s, const struct tencent_fact *fact, unsigned role,
    struct fact_subjects *subjects)
{
	struct slice kind, identity;

	if (tencent_person_identity(fact->people[role], fact->meeting_id, d->rq->arena, &kind, &identity))
		return add_subject(d, s, role_names[role], kind, identity, &subjects->people[role]);
	s->subjects[s->n++] = (struct seal_subject){role_names[role], s->subjects[0].id};
	subjects->people[role] = (struct event_subject){.id = subjects->meeting.id};
	return 0;
}

static int seal_fact(struct delivery *d, struct sealing *s, struct tencent_fact *fact, struct fact_subjects *subjects,
    bool with_raw)
{
	struct tencent_seals seals = {.fingerprint = slice_str(d->fingerprint), .meeting = &subjects->meeting};
	struct slice identity = fact->meeting_id.len > 0 ? fact->meeting_id : fact->file_id;
	int rc = add_subject(d, s, "meeting", SLICE("tencent.meeting"), identity.len > 0 ? identity : d->trace,
	    &subjects->meeting);

	for (unsigned role = 0; rc == 0 && role < TENCENT_ROLES; role++) {
		if (fact->people[role] == NULL)
			continue;
		rc = add_person(d, s, fact, role, subjects);
		seals.people[role] = &subjects->people[role];
	}
	if (rc == 0 && with_raw) {
		rc = seal_raw(d, slice_of(s->id_text, ID_TEXT_LEN), &subjects->raw, &subjects->blob);
		seals.raw = &subjects->raw;
		seals.raw_blob = &subjects->blob;
	}
	if (rc == 0)
		tencent_fact_seal(fact, &seals);
	return rc;
}

static int make_item(struct delivery *d, size_t index, struct json_value item, struct problems *problems)
{
	struct app *app = d->tencent->app;
	struct tencent_fact fact = {0};
	struct sealing s = {0};
	struct fact_subjects subjects = {0};
	struct event_meta meta = meta_of(d, s.id_text);
	struct event_context ctx = {app->rng, app->clock, &s.hooks};
	bool with_raw = index == 0 && d->tencent->keep_raw;
	int rc = tencent_translate(&d->envelope, index, item, d->rq->arena, &fact);

	if (rc == 0)
		rc = seal_fact(d, &s, &fact, &subjects, with_raw);
	if (rc != 0)
		return rc;
	bind_hooks(d, &s);
	rc = once_key(d, "", index, meta.once);
	if (rc != 0)
		return rc;
	if (with_raw) {
		meta.blobs = d->blobs;
		meta.n_blobs = 1;
	}
	return event_draft_make(&ctx, (enum event_type)fact.type->id, fact.data, &meta, d->rq->arena, &d->drafts[index],
	    problems);
}

static int make_items(struct delivery *d, struct problems *problems)
{
	struct json_reader r;
	struct json_value item;
	int rc = 0;

	if (d->envelope.n_items > ITEMS_MAX)
		return ERR_TOO_BIG;
	d->drafts = arena_calloc(d->rq->arena, d->envelope.n_items, sizeof(*d->drafts));
	if (d->drafts == NULL)
		return ERR_NOMEM;
	json_enter(&r, d->envelope.payload);
	while (rc == 0 && json_next(&r, NULL, &item))
		rc = make_item(d, d->n_drafts++, item, problems);
	return rc;
}

/* --- a delivery that is kept as it is ------------------------------------------------- */

/* What webhook.received and source.conflict say alike: the decrypted text, in the record or beside it. */
struct kept {
	struct sealing s;
	struct event_meta meta;
	struct event_subjects subjects;
	struct slice body;
	struct event_blob body_blob, raw;
	bool has_body_blob, has_raw;
};

static int keep_body(struct delivery *d, struct kept *k)
{
	struct slice event_id;
	size_t n = 0;
	int rc;

	k->meta = meta_of(d, k->s.id_text);
	event_id = slice_of(k->s.id_text, ID_TEXT_LEN);
	rc = add_subject(d, &k->s, "body", SLICE("tencent.body"), slice_str(d->fingerprint), &k->subjects.body);
	k->subjects.has_body = true;
	if (rc == 0 && d->tencent->keep_raw) {
		buf_finish(&d->raw);
		rc = seal_raw(d, event_id, &k->subjects.raw, &k->raw);
		k->subjects.has_raw = k->has_raw = true;
		n++;
	}
	if (rc == 0 && d->plain.len <= BODY_IN_RECORD_MAX) {
		k->body = d->plain;
	} else if (rc == 0) {
		rc = seal_blob(d, &k->s.subjects[0].id, event_id, "body_blob", d->plain, &d->text, &d->blobs[n++],
		    &k->body_blob);
		k->has_body_blob = true;
	}
	k->meta.blobs = d->blobs;
	k->meta.n_blobs = n;
	bind_hooks(d, &k->s);
	return rc;
}

static int one_draft(struct delivery *d, enum event_type type, const void *data, struct kept *k)
{
	struct app *app = d->tencent->app;
	struct event_context ctx = {app->rng, app->clock, &k->s.hooks};

	d->drafts = arena_alloc(d->rq->arena, sizeof(*d->drafts));
	d->n_drafts = 1;
	if (d->drafts == NULL)
		return ERR_NOMEM;
	return event_draft_make(&ctx, type, data, &k->meta, d->rq->arena, d->drafts, NULL);
}

/* Vendor texts in open fields are cut to what the schema takes; whole they are in the body. */
static struct slice at_most(struct slice text, size_t len)
{
	while (len > 0 && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
		len--; /* not inside a character */
	return text.len > len ? slice_of(text.ptr, len) : text;
}

static int list_problems(struct delivery *d, const struct problems *problems, struct event_webhook_received *data)
{
	struct event_webhook_received_problems *items =
	    arena_calloc(d->rq->arena, problems->n + 1, sizeof(*items));

	if (items == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < problems->n; i++)
		items[i] = (struct event_webhook_received_problems){at_most(slice_str(problems->items[i].path), 256),
		    slice_str(problems->items[i].code)};
	data->problems.items = items;
	data->problems.n = problems->n;
	return 0;
}

static int make_received(struct delivery *d, const char *reason, const struct problems *problems)
{
	struct event_webhook_received data = {.source = SLICE(TENCENT_SOURCE_NAME), .reason = slice_str(reason),
	    .fingerprint = slice_str(d->fingerprint), .has_subjects = true};
	struct kept k = {0};
	int rc = keep_body(d, &k);

	if (rc == 0 && problems->n > 0)
		rc = list_problems(d, problems, &data);
	if (rc != 0)
		return rc;
	if (d->envelope.event.len > 0)
		data.vendor_event = at_most(d->envelope.event, 128);
	if (d->envelope.trace_id.len > 0)
		data.trace_id = at_most(d->envelope.trace_id, 128);
	data.subjects = k.subjects;
	data.body = k.body;
	data.body_blob = k.body_blob;
	data.has_body_blob = k.has_body_blob;
	data.raw = k.raw;
	data.has_raw = k.has_raw;
	rc = once_key(d, "", 0, k.meta.once);
	return rc == 0 ? one_draft(d, EVENT_WEBHOOK_RECEIVED, &data, &k) : rc;
}

static int make_conflict(struct delivery *d)
{
	struct event_source_conflict data = {.source = SLICE(TENCENT_SOURCE_NAME),
	    .first_position = (int64_t)d->first_position, .first_fingerprint = slice_str(d->first_fingerprint),
	    .fingerprint = slice_str(d->fingerprint), .has_subjects = true};
	struct kept k = {0};
	int rc = keep_body(d, &k);

	if (rc != 0)
		return rc;
	if (d->envelope.event.len > 0)
		data.vendor_event = at_most(d->envelope.event, 128);
	if (d->envelope.trace_id.len > 0)
		data.trace_id = at_most(d->envelope.trace_id, 128);
	data.subjects = k.subjects;
	data.body = k.body;
	data.body_blob = k.body_blob;
	data.has_body_blob = k.has_body_blob;
	data.raw = k.raw;
	data.has_raw = k.has_raw;
	/* Each different content of one id is told once. */
	rc = once_key(d, arena_printf(d->rq->arena, "conflict:%s:", d->fingerprint), 0, k.meta.once);
	return rc == 0 ? one_draft(d, EVENT_SOURCE_CONFLICT, &data, &k) : rc;
}

/* --- the story ---------------------------------------------------------------------- */

static void start_append(struct delivery *d)
{
	d->append = (struct append){.events = d->drafts, .n_events = d->n_drafts, .cb = on_appended,
	    .port = loop_of(d->rq)->log_port, .arg = d};
	eventlog_append(d->tencent->app->log, &d->append);
}

/*
 * The drafts of what was decrypted. What has no event of ours, or does not
 * fit its schema, is kept as it is: a verified delivery is never dropped.
 */
static int make_drafts(struct delivery *d)
{
	struct problems problems = PROBLEMS_INIT(d->rq->arena);
	const char *reason;
	int rc = tencent_parse(d->plain, d->rq->arena, &d->envelope, &reason);
	bool known;

	if (rc == ERR_NOMEM)
		return rc;
	d->trace = d->envelope.trace_id;
	if (d->trace.len == 0) { /* integrity 14: the content and the signed time */
		struct slice timestamp;

		http_request_field(d->rq, "timestamp", &timestamp);
		d->trace = slice_str(arena_printf(d->rq->arena, "%s@%.*s", d->fingerprint, SLICE_ARG(timestamp)));
		if (d->trace.ptr == NULL)
			return ERR_NOMEM;
	}
	if (rc != 0) {
		problems_add(&problems, "", "envelope", "%s", reason);
		return make_received(d, "unintelligible", &problems);
	}
	known = tencent_event_type(d->envelope.event) != NULL;
	if (known)
		rc = make_items(d, &problems);
	if (!known)
		return make_received(d, "unknown_event", &problems);
	return rc == ERR_INVALID || rc == ERR_TOO_BIG ? make_received(d, "unintelligible", &problems) : rc;
}

/* A repeat says what the first one said, or it is a conflict. True when it is. */
static bool is_conflict(struct delivery *d)
{
	struct log_read read = {0};
	struct log_record record;
	struct envelope envelope;
	struct json_value v;
	struct slice first = {0};

	d->first_position = d->append.position;
	if (log_read_start(&read, d->tencent->app->log) == 0 &&
	    eventlog_read_one(&read, d->first_position, &record) == 0 &&
	    envelope_decode(record.entry, record.position, d->rq->arena, &envelope) == 0 &&
	    json_member(envelope.data_value, "fingerprint", &v) &&
	    json_string(v, d->rq->arena, &first) == 0 && first.len == BASE64URL_LEN(SHA256_LEN))
		memcpy(d->first_fingerprint, first.ptr, first.len);
	log_read_stop(&read);
	return d->first_fingerprint[0] != '\0' && strcmp(d->first_fingerprint, d->fingerprint) != 0;
}

/* 503, and why: of a log that lost events its sender may know that repeating is of no use before somebody acts. */
static void refuse(struct delivery *d, int rc)
{
	struct http_request *rq = d->rq;
	const char *refusal = rc == ERR_UNAVAILABLE ? eventlog_refusal(d->tencent->app->log) : NULL;

	http_header(rq, "Retry-After", rc == ERR_BUSY ? SLICE("1") : SLICE("60"));
	if (refusal != NULL)
		http_problem(rq, 503, "read_only", arena_printf(rq->arena, "No event is stored here at the moment: %s.", refusal), NULL, 0);
	else
		http_problem(rq, 503, rc == ERR_DISK_FULL ? "disk_full" : "not_stored",
		    "The event cannot be stored at the moment; send it again later.", NULL, 0);
}

static void answer(struct delivery *d)
{
	struct http_request *rq = d->rq;
	struct tencent *t = d->tencent;
	int rc = d->rc;

	buf_finish(&d->raw);
	buf_finish(&d->text);
	if (rc == 0) {
		http_respond_slice(rq, 200, HTTP_TEXT, SLICE(TENCENT_ACK));
		return;
	}
	if (rc != ERR_BUSY && rc != ERR_DISK_FULL && rc != ERR_UNAVAILABLE && rc != ERR_UNKNOWN_OUTCOME)
		log_error("tencent", "a webhook could not be stored", "error", err_name(rc));
	tally_refuse(&t->tally, TENCENT_REFUSED_STORE);
	refuse(d, rc);
}

static void delivery_step(struct delivery *d)
{
	if (d->rc != 0)
		d->next = ANSWER;
	switch (d->next) {
	case APPEND:
		d->next = COMPARE;
		start_append(d);
		break;
	case COMPARE:
		d->next = ANSWER;
		if (d->append.duplicate) {
			tally_repeat(&d->tencent->tally, d->append.position);
			if (is_conflict(d)) {
				d->rc = make_conflict(d);
				d->next = APPEND_CONFLICT;
			}
		}
		delivery_step(d);
		break;
	case APPEND_CONFLICT:
		d->next = ANSWER;
		start_append(d);
		break;
	case ANSWER:
		if (d->first_position != 0 && d->rc == 0 && d->append.n_appended > 0)
			log_warn("tencent", "a delivery repeated a known id with another content: kept as source.conflict");
		answer(d);
		break;
	}
}

void tencent_deliver(struct tencent *t, struct http_request *rq, struct slice plain)
{
	struct delivery *d = arena_alloc(rq->arena, sizeof(*d));
	uint8_t fingerprint[SHA256_LEN];

	if (d == NULL) {
		tencent_refuse(t, rq, TENCENT_REFUSED_STORE, NULL);
		return;
	}
	*d = (struct delivery){.rq = rq, .tencent = t, .plain = plain, .next = APPEND};
	sealer_fingerprint(t->app->sealer, plain, fingerprint);
	base64url_encode_to(d->fingerprint, fingerprint, sizeof(fingerprint));
	snprintf(d->traceparent, sizeof(d->traceparent), "00-%s-%s-%02x", rq->trace_id, rq->span_id,
	    rq->trace_sampled ? 1u : 0u);
	d->rc = make_drafts(d);
	delivery_step(d);
}
