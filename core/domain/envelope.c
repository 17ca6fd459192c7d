/* See envelope.h. */
#include "domain/envelope.h"

#include <assert.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/json.h"
#include "base/planted.h"

#define SPECVERSION "1.0"
#define CONTENT_TYPE "application/json"
#define ATTRIBUTE_LEN_MAX 255 /* actor, source and the ids: ours, and short */
#define TRACEPARENT_LEN 55

/* The members in their order; what is optional may be left out. */
enum member {
	M_SPECVERSION,
	M_ID,
	M_SOURCE,
	M_TYPE,
	M_SUBJECT,
	M_TIME,
	M_SEQUENCE,
	M_ACTOR,
	M_CAUSATION,
	M_CORRELATION,
	M_TRACEPARENT,
	M_ONCE,
	M_DATASCHEMA,
	M_CONTENTTYPE,
	M_DATA,
	M_COUNT,
};

static const struct {
	struct slice name;
	bool optional;
	const char *wrong;
} members[M_COUNT] = {
	[M_SPECVERSION] = {SLICE_INIT("specversion"), false, "specversion is not a known one"},
	[M_ID] = {SLICE_INIT("id"), false, "id must be 32 lower-case hex digits"},
	[M_SOURCE] = {SLICE_INIT("source"), false, "source must be 1 to 255 visible characters"},
	[M_TYPE] = {SLICE_INIT("type"), false, "type must be 1 to 64 of a-z 0-9 . _ -"},
	[M_SUBJECT] = {SLICE_INIT("subject"), false, "subject must be 1 to 200 visible characters"},
	[M_TIME] = {SLICE_INIT("time"), false, "time must be RFC 3339 UTC with microseconds"},
	[M_SEQUENCE] = {SLICE_INIT("sequence"), false, "sequence must be 20 digits"},
	[M_ACTOR] = {SLICE_INIT("actor"), false, "actor must be 1 to 255 visible characters"},
	[M_CAUSATION] = {SLICE_INIT("causationid"), true, "causationid must be 1 to 255 visible characters"},
	[M_CORRELATION] = {SLICE_INIT("correlationid"), true, "correlationid must be 1 to 255 visible characters"},
	[M_TRACEPARENT] = {SLICE_INIT("traceparent"), true, "traceparent must be that of W3C trace context"},
	[M_ONCE] = {SLICE_INIT("oncekey"), true, "oncekey must be base64url of 32 bytes"},
	[M_DATASCHEMA] = {SLICE_INIT("dataschema"), false, "dataschema must be the type, a slash and a version"},
	[M_CONTENTTYPE] = {SLICE_INIT("datacontenttype"), false, "datacontenttype must be application/json"},
	[M_DATA] = {SLICE_INIT("data"), false, "data must be an object"},
};

/* ---- forms ------------------------------------------------------------------- */

/* Visible ASCII without what JSON escapes, so that text and JSON text are the same bytes. */
static bool is_visible(struct slice text, size_t len_max)
{
	if (text.len == 0 || text.len > len_max)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c <= ' ' || c > '~' || c == '"' || c == '\\')
			return false;
	}
	return true;
}

static bool is_hex(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
			return false;
	}
	return true;
}

static bool is_type(struct slice text)
{
	if (text.len == 0 || text.len > EVENT_TYPE_LEN_MAX)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

/* version "-" trace id "-" parent id "-" flags, lower-case hex. */
static bool is_traceparent(struct slice text)
{
	static const size_t dashes[] = {2, 35, 52};
	size_t from = 0;

	if (text.len != TRACEPARENT_LEN)
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (text.ptr[dashes[i]] != '-' || !is_hex(slice_of(text.ptr + from, dashes[i] - from)))
			return false;
		from = dashes[i] + 1;
	}
	return is_hex(slice_of(text.ptr + from, text.len - from));
}

static bool is_dataschema(struct slice text, struct slice type)
{
	struct slice head, tail;
	uint64_t version;

	return slice_cut(text, '/', &head, &tail) && slice_eq(head, type) && tail.len > 0 && tail.len <= 9 &&
	    tail.ptr[0] != '0' && slice_to_u64(tail, &version) == 0;
}

static bool is_time(struct slice text, int64_t *ret_us)
{
	char again[TIME_TEXT_LEN + 1];

	if (text.len != ENTRY_TIME_LEN || time_parse_us(text, ret_us) != 0)
		return false;
	/* One instant has one form. */
	time_format_us(again, *ret_us);
	return slice_eq(text, slice_of(again, TIME_TEXT_LEN));
}

static bool is_sequence(struct slice text, uint64_t *ret_sequence)
{
	struct slice digits = text;

	if (text.len != ENTRY_SEQUENCE_LEN)
		return false;
	while (digits.len > 1 && digits.ptr[0] == '0') {
		digits.ptr++;
		digits.len--;
	}
	return slice_to_u64(digits, ret_sequence) == 0;
}

/* ---- writing ------------------------------------------------------------------- */

static bool optional_fits(struct slice text)
{
	return text.len == 0 || is_visible(text, ATTRIBUTE_LEN_MAX);
}

static bool envelope_fits(const struct envelope *e)
{
	if (e->traceparent.len > 0 && !is_traceparent(e->traceparent))
		return false;
	if (!optional_fits(e->causation) || !optional_fits(e->correlation))
		return false;
	return e->id.len == ID_TEXT_LEN && is_hex(e->id) && is_visible(e->source, ATTRIBUTE_LEN_MAX) &&
	    is_type(e->type) && is_visible(e->subject, STREAM_LEN_MAX) && is_visible(e->actor, ATTRIBUTE_LEN_MAX) &&
	    is_dataschema(e->dataschema, e->type);
}

/* `,"name":"` and the value and `"`; the value needs no escapes (envelope_fits). Returns where the value begins. */
static size_t put(struct buf *out, enum member m, struct slice value)
{
	size_t at;

	(void)buf_append(out, m == M_SPECVERSION ? SLICE("{\"") : SLICE(",\""));
	(void)buf_append(out, members[m].name);
	(void)buf_append(out, SLICE("\":\""));
	at = out->len;
	(void)buf_append(out, value);
	(void)buf_append_char(out, '"');
	return at;
}

static void put_sequence(char ret_digits[ENTRY_SEQUENCE_LEN], uint64_t sequence)
{
	for (size_t i = ENTRY_SEQUENCE_LEN; i-- > 0; sequence /= 10)
		ret_digits[i] = (char)('0' + sequence % 10);
}

int envelope_begin(struct envelope_writer *w, const struct envelope *e, struct buf *out)
{
	char time[TIME_TEXT_LEN + 1], sequence[ENTRY_SEQUENCE_LEN], once[BASE64URL_LEN(ONCE_KEY_LEN) + 1];

	if (!envelope_fits(e))
		return ERR_INVALID;
	time_format_us(time, e->time_us);
	put_sequence(sequence, e->sequence);
	*w = (struct envelope_writer){.out = out, .start = out->len};
	put(out, M_SPECVERSION, SLICE(SPECVERSION));
	put(out, M_ID, e->id);
	put(out, M_SOURCE, e->source);
	put(out, M_TYPE, e->type);
	put(out, M_SUBJECT, e->subject);
	w->time_at = (uint32_t)(put(out, M_TIME, slice_of(time, ENTRY_TIME_LEN)) - w->start);
	w->sequence_at = (uint32_t)(put(out, M_SEQUENCE, slice_of(sequence, ENTRY_SEQUENCE_LEN)) - w->start);
	put(out, M_ACTOR, e->actor);
	if (e->causation.len > 0)
		put(out, M_CAUSATION, e->causation);
	if (e->correlation.len > 0)
		put(out, M_CORRELATION, e->correlation);
	if (e->traceparent.len > 0)
		put(out, M_TRACEPARENT, e->traceparent);
	if (e->has_once) {
		base64url_encode_to(once, e->once, ONCE_KEY_LEN);
		put(out, M_ONCE, slice_str(once));
	}
	put(out, M_DATASCHEMA, e->dataschema);
	put(out, M_CONTENTTYPE, SLICE(CONTENT_TYPE));
	return buf_append(out, SLICE(",\"data\":"));
}

int envelope_end(struct envelope_writer *w)
{
	int rc = buf_append_char(w->out, '}');

	if (rc != 0)
		return rc;
	return w->out->len - w->start > ENTRY_LEN_MAX ? ERR_TOO_BIG : 0;
}

int envelope_encode(const struct envelope *e, struct buf *out, uint32_t *ret_time_at, uint32_t *ret_sequence_at)
{
	struct envelope_writer w;
	int rc = envelope_begin(&w, e, out);

	if (rc != 0)
		return rc;
	(void)buf_append(out, e->data);
	rc = envelope_end(&w);
	if (rc != 0)
		return rc;
	*ret_time_at = w.time_at;
	*ret_sequence_at = w.sequence_at;
	return 0;
}

void envelope_patch(char *entry, uint32_t time_at, int64_t time_us, uint32_t sequence_at, uint64_t sequence)
{
	char time[TIME_TEXT_LEN + 1];

	time_format_us(time, time_us);
	memcpy(entry + time_at, time, ENTRY_TIME_LEN);
	put_sequence(entry + sequence_at, sequence);
}

/* ---- reading ------------------------------------------------------------------- */

static bool take(struct envelope *e, enum member m, struct slice text)
{
	switch (m) {
	case M_ID:
		e->id = text;
		return text.len == ID_TEXT_LEN && is_hex(text);
	case M_SOURCE:
		e->source = text;
		return is_visible(text, ATTRIBUTE_LEN_MAX);
	case M_TYPE:
		e->type = text;
		return is_type(text);
	case M_SUBJECT:
		e->subject = text;
		return is_visible(text, STREAM_LEN_MAX);
	case M_TIME:
		return is_time(text, &e->time_us);
	case M_SEQUENCE:
		return is_sequence(text, &e->sequence);
	case M_ACTOR:
		e->actor = text;
		return is_visible(text, ATTRIBUTE_LEN_MAX);
	case M_CAUSATION:
		e->causation = text;
		return is_visible(text, ATTRIBUTE_LEN_MAX);
	case M_CORRELATION:
		e->correlation = text;
		return is_visible(text, ATTRIBUTE_LEN_MAX);
	case M_TRACEPARENT:
		e->traceparent = text;
		return is_traceparent(text);
	case M_ONCE:
		e->has_once = true;
		return base64url_decode_to(e->once, ONCE_KEY_LEN, text) == 0;
	case M_DATASCHEMA:
		e->dataschema = text;
		return is_dataschema(text, e->type);
	default: /* those with values of their own are read_member()'s */
		assert(m == M_CONTENTTYPE);
		return slice_is(text, CONTENT_TYPE);
	}
}

static int read_member(struct envelope *e, enum member m, struct json_value v)
{
	struct slice text;

	if (m == M_DATA) {
		e->data = v.text;
		e->data_value = v;
		return v.type == JSON_OBJECT ? 0 : ERR_MALFORMED;
	}
	if (v.type != JSON_STRING)
		return ERR_MALFORMED;
	text = slice_of(v.text.ptr + 1, v.text.len - 2);
	if (m == M_SPECVERSION)
		return slice_is(text, SPECVERSION) ? 0 : ERR_VERSION;
	return take(e, m, text) ? 0 : ERR_MALFORMED;
}

static int read_members(struct envelope *e, struct json_value root, const char **ret_reason)
{
	struct json_reader r;
	struct json_value v;
	struct slice name;
	unsigned m = 0;
	int rc;

	json_enter(&r, root);
	while (json_next(&r, &name, &v)) {
		while (m < M_COUNT && members[m].optional && !slice_eq(members[m].name, name))
			m++;
		if (m == M_COUNT || !slice_eq(members[m].name, name)) {
			*ret_reason = "a member is missing, unknown or out of order";
			return ERR_MALFORMED;
		}
		rc = read_member(e, (enum member)m, v);
		if (rc != 0) {
			*ret_reason = members[m].wrong;
			return rc;
		}
		m++;
	}
	if (m != M_COUNT) {
		*ret_reason = "a member is missing";
		return ERR_MALFORMED;
	}
	return 0;
}

/* arena NULL: the data is not going to be walked. */
static int decode(struct slice entry, uint64_t position, struct arena *arena, struct envelope *ret,
    const char **ret_reason)
{
	struct json_limits limits = JSON_LIMITS_DEFAULT;
	struct envelope e = {0};
	struct json_error error;
	struct json_value root;
	int rc;

	if (entry.len > ENTRY_LEN_MAX) {
		*ret_reason = "longer than an entry may be";
		return ERR_TOO_BIG;
	}
	/* The scanner would allow white space, but one fact has one text. */
	limits.compact = !PLANTED(entry_spaces);
	rc = arena != NULL ? json_index(entry, &limits, arena, &root, &error) : json_scan(entry, &limits, &error);
	if (rc != 0) {
		*ret_reason = error.reason;
		return rc;
	}
	if (arena == NULL)
		root = json_root(entry);
	if (root.type != JSON_OBJECT) {
		*ret_reason = "not an object";
		return ERR_MALFORMED;
	}
	rc = read_members(&e, root, ret_reason);
	if (rc != 0)
		return rc;
	if (position != ENVELOPE_ANY_POSITION && e.sequence != position) {
		*ret_reason = "sequence is not its position";
		return ERR_CORRUPT;
	}
	*ret = e;
	return 0;
}

int envelope_decode(struct slice entry, uint64_t position, struct arena *arena, struct envelope *ret)
{
	const char *reason;

	/* No member has escapes, so all point into the entry; the arena is for the index of the data. */
	return decode(entry, position, arena, ret, &reason);
}

int envelope_check(struct slice entry, uint64_t position, const char **ret_reason)
{
	struct envelope ignored;
	const char *reason = NULL;
	int rc = decode(entry, position, NULL, &ignored, &reason);

	if (rc != 0 && ret_reason != NULL)
		*ret_reason = reason;
	return rc;
}
