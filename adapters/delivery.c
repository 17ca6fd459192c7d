/* See delivery.h; its story is delivery_step(). */
#include "adapters/delivery.h"

#include <assert.h>

#include "base/err.h"
#include "base/log.h"

#define BODY_IN_RECORD_MAX 32768 /* longer texts go beside the record */

static void delivery_step(struct delivery *d);

static int once_key(const struct delivery *d, const char *what, size_t index, uint8_t ret[ONCE_KEY_LEN])
{
	const char *id = what == NULL ? NULL : arena_printf(d->arena, "%s%.*s#%zu", what, SLICE_ARG(d->trace), index);

	if (id == NULL)
		return ERR_NOMEM; /* by another key a repeat would not be known again */
	event_once_key(ret, slice_str(d->source->source), slice_str(id));
	return 0;
}

/* The event's id is made first: seals are bound to it. */
static struct event_meta meta_of(const struct delivery *d, char ret_id_text[ID_TEXT_LEN + 1])
{
	struct event_meta meta = {.source = slice_str(d->source->source), .actor = slice_str(d->actor),
	    .traceparent = slice_str(d->traceparent), .has_once = true, .has_id = true,
	    .id = id_random(d->source->app->rng), .expect = EXPECT_ANY};

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
	int rc = sealer_subject(d->source->app->sealer, kind, identity, &subject);

	if (rc != 0)
		return rc;
	s->subjects[s->n++] = (struct seal_subject){name, subject.id};
	return name_subject(d->arena, &subject.id, subject.ref, ret);
}

static void bind_hooks(struct delivery *d, struct sealing *s)
{
	s->scope = (struct seal_scope){.sealer = d->source->app->sealer,
	    .event_id = slice_of(s->id_text, ID_TEXT_LEN), .subjects = s->subjects, .n_subjects = s->n};
	seal_scope_hooks(&s->hooks, &s->scope);
}

/* Seals bytes under a key as a blob of the event; the blob's name goes to *ret. */
static int seal_blob(struct delivery *d, const struct id *key, struct slice event_id, const char *field,
    struct slice bytes, struct buf *into, struct blob_draft *blob, struct event_blob *ret)
{
	char *hex = arena_alloc(d->arena, SHA256_LEN * 2 + 1);
	int rc;

	if (hex == NULL)
		return ERR_NOMEM;
	*into = (struct buf)BUF_INIT(SEALED_LEN(bytes.len));
	rc = seal_field(d->source->app->sealer, key, event_id, slice_str(field), bytes, into);
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
	int rc = sealer_delivery(d->source->app->sealer, &key);

	if (rc == 0)
		rc = seal_blob(d, &key, event_id, "raw", d->raw, &d->raw_sealed, &d->blobs[0], ret);
	return rc != 0 ? rc : name_subject(d->arena, &key, NULL, ret_subject);
}

/* --- one fact becomes one event -------------------------------------------------------- */

static const char *const role_names[TOLD_ROLES] = {"operator", "creator", "to_operator"};

struct translated_subjects {
	struct event_subject meeting, people[TOLD_ROLES], raw;
	struct event_blob blob;
};

/* Somebody without any id is sealed under the meeting's key: there is nobody to ask for erasure but the meeting. */
static int add_person(struct delivery *d, struct sealing *s, const struct translated *fact, unsigned role,
    struct translated_subjects *subjects)
{
	struct slice kind, identity;

	if (d->source->identify(fact->people[role], fact->meeting_id, d->arena, &kind, &identity))
		return add_subject(d, s, role_names[role], kind, identity, &subjects->people[role]);
	s->subjects[s->n++] = (struct seal_subject){role_names[role], s->subjects[0].id};
	subjects->people[role] = (struct event_subject){.id = subjects->meeting.id};
	return 0;
}

static int seal_fact(struct delivery *d, struct sealing *s, struct translated *fact, struct translated_subjects *subjects,
    bool with_raw)
{
	struct translated_seals seals = {.fingerprint = slice_str(d->fingerprint), .meeting = &subjects->meeting};
	struct slice identity = fact->meeting_id.len > 0 ? fact->meeting_id : fact->file_id;
	int rc = add_subject(d, s, "meeting", slice_str(d->source->meeting_kind), identity.len > 0 ? identity : d->trace,
	    &subjects->meeting);

	for (unsigned role = 0; rc == 0 && role < TOLD_ROLES; role++) {
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
		translated_seal(fact, &seals);
	return rc;
}

int delivery_expect(struct delivery *d, size_t n)
{
	if (n > APPEND_EVENTS_MAX)
		return ERR_TOO_BIG;
	d->drafts = arena_calloc(d->arena, n, sizeof(*d->drafts));
	d->n_expected = n;
	return d->drafts == NULL ? ERR_NOMEM : 0;
}

int delivery_add(struct delivery *d, struct translated *fact, struct problems *problems)
{
	struct sealing s = {0};
	struct translated_subjects subjects = {0};
	struct event_meta meta = meta_of(d, s.id_text);
	struct event_context ctx = {d->source->app->rng, d->source->app->clock, &s.hooks};
	size_t index = d->n_drafts;
	bool with_raw = index == 0 && d->source->keep_raw;
	int rc = seal_fact(d, &s, fact, &subjects, with_raw);

	assert(index < d->n_expected);
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
	d->n_drafts++;
	return event_draft_make(&ctx, (enum event_type)fact->type->id, fact->data, &meta, d->arena, &d->drafts[index], problems);
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
	rc = add_subject(d, &k->s, "body", slice_str(d->source->body_kind), slice_str(d->fingerprint), &k->subjects.body);
	k->subjects.has_body = true;
	if (rc == 0 && d->source->keep_raw) {
		buf_finish(&d->raw_sealed);
		rc = seal_raw(d, event_id, &k->subjects.raw, &k->raw);
		k->subjects.has_raw = k->has_raw = true;
		n++;
	}
	if (rc == 0 && d->plain.len <= BODY_IN_RECORD_MAX) {
		k->body = d->plain;
	} else if (rc == 0) {
		rc = seal_blob(d, &k->s.subjects[0].id, event_id, "body_blob", d->plain, &d->text_sealed, &d->blobs[n++],
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
	struct app *app = d->source->app;
	struct event_context ctx = {app->rng, app->clock, &k->s.hooks};

	d->drafts = arena_alloc(d->arena, sizeof(*d->drafts));
	d->n_drafts = 1;
	if (d->drafts == NULL)
		return ERR_NOMEM;
	return event_draft_make(&ctx, type, data, &k->meta, d->arena, d->drafts, NULL);
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
	    arena_calloc(d->arena, problems->n + 1, sizeof(*items));

	if (items == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < problems->n; i++)
		items[i] = (struct event_webhook_received_problems){at_most(slice_str(problems->items[i].path), 256),
		    slice_str(problems->items[i].code)};
	data->problems.items = items;
	data->problems.n = problems->n;
	return 0;
}

static struct slice if_told(struct slice text)
{
	return text.len > 0 ? at_most(text, 128) : (struct slice){0};
}

/* Members that both events have; the structs are two types. */
#define SAYS_ALIKE(d, k) \
	.source = slice_str((d)->source->name), .vendor_event = if_told((d)->vendor_event), .trace_id = if_told((d)->trace_id), \
	.fingerprint = slice_str((d)->fingerprint), .has_subjects = true, .subjects = (k)->subjects, .body = (k)->body, \
	.body_blob = (k)->body_blob, .has_body_blob = (k)->has_body_blob, .raw = (k)->raw, .has_raw = (k)->has_raw

int delivery_keep(struct delivery *d, const char *reason, const struct problems *problems)
{
	struct kept k = {0};
	int rc = keep_body(d, &k);
	struct event_webhook_received data = {SAYS_ALIKE(d, &k), .reason = slice_str(reason)};

	if (rc == 0 && problems->n > 0)
		rc = list_problems(d, problems, &data);
	if (rc == 0)
		rc = once_key(d, "", 0, k.meta.once);
	return rc == 0 ? one_draft(d, EVENT_WEBHOOK_RECEIVED, &data, &k) : rc;
}

static int make_conflict(struct delivery *d)
{
	struct kept k = {0};
	int rc = keep_body(d, &k);
	struct event_source_conflict data = {SAYS_ALIKE(d, &k), .first_position = (int64_t)d->first_position,
	    .first_fingerprint = slice_str(d->first_fingerprint)};

	/* Each different content of one id is told once. */
	if (rc == 0)
		rc = once_key(d, arena_printf(d->arena, "conflict:%s:", d->fingerprint), 0, k.meta.once);
	return rc == 0 ? one_draft(d, EVENT_SOURCE_CONFLICT, &data, &k) : rc;
}

/* --- the story ---------------------------------------------------------------------- */

static void on_appended(struct append *append)
{
	struct delivery *d = append->arg;

	d->rc = append->rc;
	delivery_step(d);
}

static void start_append(struct delivery *d)
{
	d->append = (struct append){.events = d->drafts, .n_events = d->n_drafts, .cb = on_appended, .port = d->port, .arg = d};
	if (d->port != NULL) {
		eventlog_append(d->source->app->log, &d->append);
		return;
	}
	(void)eventlog_append_wait(d->source->app->log, &d->append);
	on_appended(&d->append);
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
	if (log_read_start(&read, d->source->app->log) == 0 &&
	    eventlog_read_one(&read, d->first_position, &record) == 0 &&
	    envelope_decode(record.entry, record.position, d->arena, &envelope) == 0 &&
	    json_member(envelope.data_value, "fingerprint", &v) &&
	    json_string(v, d->arena, &first) == 0 && first.len == BASE64URL_LEN(SHA256_LEN))
		memcpy(d->first_fingerprint, first.ptr, first.len);
	log_read_stop(&read);
	return d->first_fingerprint[0] != '\0' && strcmp(d->first_fingerprint, d->fingerprint) != 0;
}

static void finish(struct delivery *d)
{
	if (d->first_position != 0 && d->rc == 0 && d->append.n_appended > 0)
		log_warn(d->source->name, "a delivery repeated a known id with another content: kept as source.conflict");
	if (d->rc != 0 && d->rc != ERR_BUSY && d->rc != ERR_DISK_FULL && d->rc != ERR_UNAVAILABLE && d->rc != ERR_UNKNOWN_OUTCOME)
		log_error(d->source->name, "a webhook could not be stored", "error", err_name(d->rc));
	buf_finish(&d->raw_sealed);
	buf_finish(&d->text_sealed);
	d->done(d);
}

static void delivery_step(struct delivery *d)
{
	if (d->rc != 0)
		d->next = DELIVERY_DONE;
	switch (d->next) {
	case DELIVERY_APPEND:
		d->next = DELIVERY_COMPARE;
		start_append(d);
		break;
	case DELIVERY_COMPARE:
		d->next = DELIVERY_DONE;
		if (d->append.duplicate) {
			tally_repeat(d->source->tally, d->append.position);
			if (is_conflict(d)) {
				d->rc = make_conflict(d);
				d->next = DELIVERY_APPEND_CONFLICT;
			}
		}
		delivery_step(d);
		break;
	case DELIVERY_APPEND_CONFLICT:
		d->next = DELIVERY_DONE;
		start_append(d);
		break;
	case DELIVERY_DONE:
		finish(d);
		break;
	}
}

void delivery_begin(struct delivery *d)
{
	uint8_t fingerprint[SHA256_LEN];

	sealer_fingerprint(d->source->app->sealer, d->told, fingerprint);
	base64url_encode_to(d->fingerprint, fingerprint, sizeof(fingerprint));
}

void delivery_start(struct delivery *d, int rc)
{
	d->rc = rc;
	d->next = DELIVERY_APPEND;
	delivery_step(d);
}

/* --- answers and counts ---------------------------------------------------------------- */

/* Of a log that lost events its sender may know that repeating is of no use before somebody acts. */
void delivery_answer_unstored(const struct delivery *d, struct http_request *rq)
{
	const char *refusal = d->rc == ERR_UNAVAILABLE ? eventlog_refusal(d->source->app->log) : NULL;

	http_header(rq, "Retry-After", d->rc == ERR_BUSY ? SLICE("1") : SLICE("60"));
	if (refusal != NULL)
		http_problem(rq, 503, "read_only", arena_printf(rq->arena, "No event is stored here at the moment: %s.", refusal), NULL, 0);
	else
		http_problem(rq, 503, d->rc == ERR_DISK_FULL ? "disk_full" : "not_stored",
		    "The event cannot be stored at the moment; send it again later.", NULL, 0);
}

const char *delivery_traceparent(const struct http_request *rq)
{
	return arena_printf(rq->arena, "00-%s-%s-%02x", rq->trace_id, rq->span_id, rq->trace_sampled ? 1u : 0u);
}

static int append_tally(const struct delivery_source *source, const struct tally_taken *taken)
{
	const struct app *app = source->app;
	struct arena a = ARENA_INIT(1 << 20);
	struct event_webhook_tallied_refused refused[TALLY_REASONS_MAX];
	struct event_webhook_tallied_duplicates repeats[TALLY_POSITIONS_MAX];
	struct event_webhook_tallied data = {.source = slice_str(source->name), .since_ms = taken->since_ms,
	    .until_ms = taken->until_ms};
	struct event_context ctx = {app->rng, app->clock, NULL};
	struct event_meta meta = {.source = slice_str(source->source), .actor = SLICE("system"), .expect = EXPECT_ANY};
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	size_t n = 0;
	int rc;

	for (unsigned i = 0; i < source->tally->n_reasons; i++)
		if (taken->refused[i] > 0)
			refused[n++] = (struct event_webhook_tallied_refused){slice_str(source->tally->reasons[i]),
			    (int64_t)taken->refused[i]};
	if (n > 0)
		data.refused.items = refused;
	data.refused.n = n;
	for (unsigned i = 0; i < taken->n_positions; i++)
		repeats[i] = (struct event_webhook_tallied_duplicates){(int64_t)taken->positions[i],
		    (int64_t)taken->position_counts[i]};
	if (taken->n_positions > 0)
		data.duplicates.items = repeats;
	data.duplicates.n = taken->n_positions;
	rc = event_draft_make(&ctx, EVENT_WEBHOOK_TALLIED, &data, &meta, &a, &draft, NULL);
	if (rc == 0)
		rc = eventlog_append_wait(app->log, &append);
	arena_finish(&a);
	return rc;
}

void delivery_tally(const struct delivery_source *source, bool last)
{
	struct tally_taken taken;
	int rc;

	if (!tally_take(source->tally, &taken))
		return;
	rc = append_tally(source, &taken);
	if (rc == 0)
		return;
	tally_put_back(source->tally, &taken);
	if (last || (rc != ERR_BUSY && rc != ERR_DISK_FULL && rc != ERR_UNAVAILABLE))
		log_warn(source->name, "the counts of refused webhooks could not be stored", "error", err_name(rc));
}
