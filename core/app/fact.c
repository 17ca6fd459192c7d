/* See fact.h. */
#include "app/fact.h"

#include "base/codec.h"
#include "base/err.h"
#include "crypto/crypto.h"
#include "store/sqlfn.h"

void fact_begin(struct fact *f, struct app *app, const char *source, const struct event *cause, struct arena *a)
{
	*f = (struct fact){.app = app, .arena = a,
	    .meta = {.source = slice_str(source), .actor = SLICE("system"), .has_id = true, .id = id_random(app->rng),
	        .expect = EXPECT_ANY}};
	id_format(f->id_text, &f->meta.id);
	if (cause != NULL) {
		f->meta.causation = cause->envelope.id;
		f->meta.correlation = cause->envelope.correlation;
		f->meta.traceparent = cause->envelope.traceparent;
	}
	f->meta.blobs = f->blobs;
}

int fact_subject(struct fact *f, const char *name, struct slice kind, struct slice identity, struct event_subject *ret)
{
	struct subject subject;
	char *id = arena_alloc(f->arena, ID_TEXT_LEN + 1), *ref = arena_alloc(f->arena, BASE64URL_LEN(SEAL_REF_LEN) + 1);
	int rc = id == NULL || ref == NULL ? ERR_NOMEM : sealer_subject(f->app->sealer, kind, identity, &subject);

	if (rc == 0 && name != NULL && f->n_subjects == FACT_SUBJECTS_MAX)
		rc = ERR_RANGE;
	if (rc != 0)
		return rc;
	if (name != NULL)
		f->subjects[f->n_subjects++] = (struct seal_subject){name, subject.id};
	id_format(id, &subject.id);
	base64url_encode_to(ref, subject.ref, SEAL_REF_LEN);
	*ret = (struct event_subject){.id = slice_of(id, ID_TEXT_LEN), .ref = slice_of(ref, BASE64URL_LEN(SEAL_REF_LEN))};
	return 0;
}

int fact_account(struct fact *f, const char *name, struct slice user_id, struct event_subject *ret)
{
	struct id id;
	int rc = id_parse(user_id, &id);

	if (rc == 0 && f->n_subjects == FACT_SUBJECTS_MAX)
		rc = ERR_RANGE;
	if (rc == 0) {
		f->subjects[f->n_subjects++] = (struct seal_subject){name, id};
		*ret = (struct event_subject){.id = user_id};
	}
	return rc;
}

int fact_meeting(struct fact *f, struct slice meeting_id, struct event_subject *ret)
{
	return fact_subject(f, "meeting", SLICE("tencent.meeting"), meeting_id, ret);
}

int fact_subject_known(struct fact *f, const char *name, struct slice id, struct event_subject *ret)
{
	struct id parsed;
	int rc = f->n_subjects == FACT_SUBJECTS_MAX ? ERR_RANGE : id_parse(id, &parsed);

	if (rc != 0)
		return rc;
	f->subjects[f->n_subjects++] = (struct seal_subject){name, parsed};
	*ret = (struct event_subject){.id = id};
	return 0;
}

static int seal(struct fact *f, const struct event_subject *subject, const char *field, struct slice plain,
    struct slice *ret)
{
	struct buf sealed = BUF_INIT(SEALED_LEN(plain.len));
	struct id id;
	int rc = id_parse(subject->id, &id);

	if (rc == 0)
		rc = seal_field(f->app->sealer, &id, slice_of(f->id_text, ID_TEXT_LEN), slice_str(field), plain, &sealed);
	if (rc == 0) {
		*ret = arena_dup(f->arena, buf_slice(&sealed));
		rc = ret->ptr == NULL ? ERR_NOMEM : 0;
	}
	buf_finish(&sealed);
	return rc;
}

int fact_seal(struct fact *f, const struct event_subject *subject, const char *field, struct slice plain,
    struct slice *ret_sealed)
{
	struct slice raw;
	char *text;
	int rc = seal(f, subject, field, plain, &raw);

	if (rc != 0)
		return rc;
	text = arena_alloc(f->arena, BASE64URL_LEN(raw.len) + 1);
	if (text == NULL)
		return ERR_NOMEM;
	base64url_encode_to(text, raw.ptr, raw.len);
	*ret_sealed = slice_of(text, BASE64URL_LEN(raw.len));
	return 0;
}

int fact_blob(struct fact *f, const struct event_subject *subject, const char *field, struct slice plain,
    struct event_blob *ret)
{
	struct blob_draft *blob = &f->blobs[f->meta.n_blobs];
	char *hex = arena_alloc(f->arena, SHA256_LEN * 2 + 1);
	int rc = hex == NULL ? ERR_NOMEM : 0;

	if (rc == 0 && f->meta.n_blobs == sizeof(f->blobs) / sizeof(f->blobs[0]))
		rc = ERR_RANGE;
	if (rc == 0)
		rc = seal(f, subject, field, plain, &blob->bytes);
	if (rc != 0)
		return rc;
	sha256(blob->sha256, &blob->bytes, 1);
	hex_encode(hex, blob->sha256, SHA256_LEN);
	*ret = (struct event_blob){.blob = slice_of(hex, SHA256_LEN * 2), .size = (int64_t)blob->bytes.len};
	f->meta.n_blobs++;
	return 0;
}

void fact_once(struct fact *f, const char *source, struct slice id)
{
	f->meta.has_once = true;
	event_once_key(f->meta.once, slice_str(source), id);
}

int fact_draft(struct fact *f, enum event_type type, const void *data, struct event_draft *ret)
{
	struct seal_scope scope = {.sealer = f->app->sealer, .event_id = slice_of(f->id_text, ID_TEXT_LEN),
	    .subjects = f->subjects, .n_subjects = f->n_subjects};
	struct seal_hooks hooks;
	struct event_context ctx = {f->app->rng, f->app->clock, &hooks};
	struct blob_draft *blobs;

	seal_scope_hooks(&hooks, &scope);
	if (f->meta.n_blobs > 0) { /* the draft may outlive the fact */
		blobs = arena_calloc(f->arena, f->meta.n_blobs, sizeof(*blobs));
		if (blobs == NULL)
			return ERR_NOMEM;
		memcpy(blobs, f->blobs, f->meta.n_blobs * sizeof(*blobs));
		f->meta.blobs = blobs;
	}
	return event_draft_make(&ctx, type, data, &f->meta, f->arena, ret, NULL);
}

struct slice fact_fingerprint(struct fact *f, const struct slice *texts, size_t n)
{
	uint8_t mac[SHA256_LEN];
	struct buf all = BUF_INIT((size_t)64 << 20);
	char *text = arena_alloc(f->arena, BASE64URL_LEN(SHA256_LEN) + 1);
	int rc = text == NULL ? ERR_NOMEM : 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		buf_append(&all, texts[i]);
		rc = buf_append_char(&all, '\0');
	}
	if (rc == 0) {
		sealer_fingerprint(f->app->sealer, buf_slice(&all), mac);
		base64url_encode_to(text, mac, sizeof(mac));
	}
	buf_wipe(&all);
	return rc == 0 ? slice_of(text, BASE64URL_LEN(SHA256_LEN)) : (struct slice){0};
}

struct slice fact_recording_id(struct arena *a, struct slice platform, struct slice record_file_id)
{
	char *id = arena_alloc(a, ROW_ID_LEN + 1);

	_Static_assert(ROW_ID_LEN == FACT_RECORDING_ID_LEN, "what the read models call a row");
	if (id == NULL)
		return (struct slice){0};
	row_id_make(id, (struct slice[]){SLICE("file"), platform, record_file_id}, 3);
	return slice_of(id, ROW_ID_LEN);
}

/* ---- the other way ------------------------------------------------------------------- */

int fact_blob_read(struct app *app, const struct event *event, uint64_t place, uint32_t n, const char *field,
    struct buf *out)
{
	struct log_read read = {0};
	struct slice sealed;
	int rc = log_read_start(&read, app->log);

	if (rc == 0)
		rc = eventlog_blob(&read, place, n, &sealed);
	if (rc == 0)
		rc = seal_open_to(app->sealer, event->envelope.id, slice_str(field), sealed, out);
	log_read_stop(&read);
	return rc;
}

int fact_unseal(struct app *app, const struct event *event, const char *field, struct slice sealed, struct arena *a,
    struct slice *ret_plain)
{
	struct buf raw = BUF_INIT(sealed.len + 1);
	int rc = base64url_decode(&raw, sealed);

	if (rc == 0)
		rc = seal_open(app->sealer, event->envelope.id, slice_str(field), buf_slice(&raw), a, ret_plain);
	buf_finish(&raw);
	return rc;
}

int fact_read(struct app *app, uint64_t place, struct arena *a, struct event *ret)
{
	struct seal_scope scope = {.sealer = app->sealer};
	struct log_read read = {0};
	struct log_record record;
	struct envelope envelope;
	struct seal_hooks hooks;
	struct slice entry = {0};
	int rc = log_read_start(&read, app->log);

	if (rc == 0)
		rc = eventlog_read_one(&read, place, &record);
	if (rc == 0) {
		entry = arena_dup(a, record.entry);
		rc = entry.ptr == NULL ? ERR_NOMEM : envelope_decode(entry, record.position, a, &envelope);
	}
	log_read_stop(&read);
	if (rc != 0)
		return rc;
	scope.event_id = envelope.id;
	seal_scope_hooks(&hooks, &scope);
	return event_decode_data(&envelope, &hooks, a, ret);
}
