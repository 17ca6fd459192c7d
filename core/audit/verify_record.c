/* See verify_record.h. */
#include "audit/verify_record.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/json.h"

#define RECORD_LEN_MAX 65535
#define SEQUENCE_LEN 20
#define NAME_LEN_MAX 255 /* source, actor, ids */
#define STREAM_LEN_MAX 200

/* ---- forms of members --------------------------------------------------------- */

typedef bool form(struct slice text);

static bool is_version(struct slice text)
{
	return slice_is(text, "1.0");
}

static bool is_id(struct slice text)
{
	if (text.len != 32)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (!((text.ptr[i] >= '0' && text.ptr[i] <= '9') || (text.ptr[i] >= 'a' && text.ptr[i] <= 'f')))
			return false;
	return true;
}

/* Visible ASCII without escapes (so without quotes): then the text in the record is the text it stands for. */
static bool is_visible(struct slice text, size_t len_max)
{
	if (text.len == 0 || text.len > len_max)
		return false;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || text.ptr[i] == '\\')
			return false;
	return true;
}

static bool is_name(struct slice text)
{
	return is_visible(text, NAME_LEN_MAX);
}

static bool is_type(struct slice text)
{
	if (text.len == 0 || text.len > 64)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
			return false;
	}
	return true;
}

static bool is_stream(struct slice text)
{
	return is_visible(text, STREAM_LEN_MAX);
}

static bool is_time(struct slice text)
{
	int64_t us;

	/* No leap second: times are compared, and one instant has one form. */
	return text.len == TIME_TEXT_LEN && text.ptr[10] == 'T' && text.ptr[19] == '.' && text.ptr[26] == 'Z' &&
	    text.ptr[17] < '6' && time_parse_us(text, &us) == 0;
}

static bool is_sequence(struct slice text)
{
	uint64_t n;

	return text.len == SEQUENCE_LEN && slice_to_u64(text, &n) == 0;
}

/* W3C trace context: 00-<32 hex>-<16 hex>-<2 hex>. */
static bool is_traceparent(struct slice text)
{
	static const char shape[] = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";

	if (text.len != sizeof(shape) - 1)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

		if (shape[i] == 'x' ? !is_hex : c != '-')
			return false;
	}
	return true;
}

/* <type>/<version>; that the type is the record's own is looked at in record_check(). */
static bool is_schema(struct slice text)
{
	struct slice type, version;
	uint64_t n;

	return slice_cut(text, '/', &type, &version) && is_type(type) && version.len > 0 && version.len <= 9 &&
	    version.ptr[0] != '0' && slice_to_u64(version, &n) == 0;
}

static bool is_once(struct slice text)
{
	uint8_t key[RECORD_ONCE_LEN];

	return base64url_decode_to(key, sizeof(key), text) == 0;
}

static bool is_json_type(struct slice text)
{
	return slice_is(text, "application/json");
}

enum { M_VERSION, M_ID, M_SOURCE, M_TYPE, M_SUBJECT, M_TIME, M_SEQUENCE, M_ACTOR, M_CAUSATION, M_CORRELATION,
	M_TRACEPARENT, M_ONCE, M_SCHEMA, M_CONTENT_TYPE, M_DATA, N_MEMBERS };

/* In the order they have in a record. */
static const struct {
	const char *name;
	form *form; /* NULL: an object */
	bool required;
	const char *reason;
} members[N_MEMBERS] = {
    [M_VERSION] = {"specversion", is_version, true, "specversion is not 1.0"},
    [M_ID] = {"id", is_id, true, "id is not 32 lower-case hex digits"},
    [M_SOURCE] = {"source", is_name, true, "source is not 1 to 255 visible characters"},
    [M_TYPE] = {"type", is_type, true, "type has other characters than [a-z0-9._-], or more than 64"},
    [M_SUBJECT] = {"subject", is_stream, true, "subject is not 1 to 200 visible characters"},
    [M_TIME] = {"time", is_time, true, "time is not RFC 3339 UTC with microseconds"},
    [M_SEQUENCE] = {"sequence", is_sequence, true, "sequence is not 20 digits"},
    [M_ACTOR] = {"actor", is_name, true, "actor is not 1 to 255 visible characters"},
    [M_CAUSATION] = {"causationid", is_name, false, "causationid is not 1 to 255 visible characters"},
    [M_CORRELATION] = {"correlationid", is_name, false, "correlationid is not 1 to 255 visible characters"},
    [M_TRACEPARENT] = {"traceparent", is_traceparent, false, "traceparent is not that of W3C trace context"},
    [M_ONCE] = {"oncekey", is_once, false, "oncekey is not 32 bytes in base64url"},
    [M_SCHEMA] = {"dataschema", is_schema, true, "dataschema is not a type, a slash and a version"},
    [M_CONTENT_TYPE] = {"datacontenttype", is_json_type, true, "datacontenttype is not application/json"},
    [M_DATA] = {"data", NULL, true, "data is not an object"},
};

/* A blank outside strings, in a text that is JSON. */
static bool has_blank(struct slice json)
{
	bool in_string = false;

	for (size_t i = 0; i < json.len; i++) {
		char c = json.ptr[i];

		if (in_string && c == '\\')
			i++;
		else if (c == '"')
			in_string = !in_string;
		else if (!in_string && c == ' ')
			return true;
	}
	return false;
}

/*
 * White space outside strings, in a text that is JSON. Line ends and tabs cannot
 * be in a JSON string as they are; blanks can, but in most records there is none at all.
 */
static bool has_space(struct slice json)
{
	if (memchr(json.ptr, '\n', json.len) != NULL || memchr(json.ptr, '\r', json.len) != NULL ||
	    memchr(json.ptr, '\t', json.len) != NULL)
		return true;
	return memchr(json.ptr, ' ', json.len) != NULL && has_blank(json);
}

static int malformed(const char **ret_reason, const char *reason)
{
	*ret_reason = reason;
	return ERR_MALFORMED;
}

int record_check(struct slice record, uint64_t index, struct record_facts *ret, const char **ret_reason)
{
	struct slice found[N_MEMBERS] = {{0}}, name;
	struct json_error error;
	struct json_reader r;
	struct json_value v;
	unsigned at = 0;
	uint64_t sequence;

	if (record.len > RECORD_LEN_MAX)
		return malformed(ret_reason, "longer than 65,535 bytes");
	if (record.len == 0 || record.ptr[0] != '{' || record.ptr[record.len - 1] != '}')
		return malformed(ret_reason, "not one JSON object from its first byte to its last");
	if (json_scan(record, NULL, &error) != 0)
		return malformed(ret_reason, error.reason);
	if (has_space(record))
		return malformed(ret_reason, "white space between members");
	json_enter(&r, json_root(record));
	while (json_next(&r, &name, &v)) {
		while (at < N_MEMBERS && !slice_is(name, members[at].name)) {
			if (members[at].required)
				return malformed(ret_reason, "a member is unknown, missing or out of its place");
			at++;
		}
		if (at == N_MEMBERS)
			return malformed(ret_reason, "a member is unknown, missing or out of its place");
		if (v.type != (members[at].form == NULL ? JSON_OBJECT : JSON_STRING))
			return malformed(ret_reason, members[at].reason);
		/* No form leaves room for an escape, so members are looked at as they stand. */
		found[at] = members[at].form == NULL ? v.text : slice_of(v.text.ptr + 1, v.text.len - 2);
		if (members[at].form != NULL && !members[at].form(found[at]))
			return malformed(ret_reason, members[at].reason);
		at++;
	}
	if (at != N_MEMBERS)
		return malformed(ret_reason, "a member is unknown, missing or out of its place");
	slice_cut(found[M_SCHEMA], '/', &name, &(struct slice){0});
	if (!slice_eq(name, found[M_TYPE]))
		return malformed(ret_reason, "dataschema is of another type");
	slice_to_u64(found[M_SEQUENCE], &sequence);
	if (sequence != index)
		return malformed(ret_reason, "its sequence is not its place: the record was moved");
	*ret = (struct record_facts){.type = found[M_TYPE], .data = found[M_DATA], .has_once = found[M_ONCE].len > 0};
	time_parse_us(found[M_TIME], &ret->time_us);
	if (ret->has_once)
		base64url_decode_to(ret->once, sizeof(ret->once), found[M_ONCE]);
	return 0;
}

/* ---- blobs ----------------------------------------------------------------------- */

static bool is_blob_hash(struct json_value v)
{
	if (v.type != JSON_STRING || v.text.len != 66)
		return false;
	for (size_t i = 1; i < 65; i++)
		if (!((v.text.ptr[i] >= '0' && v.text.ptr[i] <= '9') || (v.text.ptr[i] >= 'a' && v.text.ptr[i] <= 'f')))
			return false;
	return true;
}

/* Depth is bounded: the scan refused deeper texts. */
static int walk(struct json_value v, record_blob_cb *cb, void *arg)
{
	struct json_value hash, size, inner;
	struct json_reader r;
	struct slice name;
	int rc = 0;

	if (v.type != JSON_OBJECT && v.type != JSON_ARRAY)
		return 0;
	if (json_member(v, "$blob", &hash)) {
		uint64_t n;

		if (!is_blob_hash(hash) || !json_member(v, "size", &size) || json_u64(size, &n) != 0)
			return ERR_MALFORMED;
		return cb(arg, slice_of(hash.text.ptr + 1, 64), n);
	}
	json_enter(&r, v);
	while (rc == 0 && json_next(&r, &name, &inner))
		rc = walk(inner, cb, arg);
	return rc;
}

int record_blobs(const struct record_facts *facts, record_blob_cb *cb, void *arg)
{
	/* Nearly all records have none: one look for the name spares the walk. */
	if (memmem(facts->data.ptr, facts->data.len, "blob\"", 5) == NULL)
		return 0;
	return walk(json_root(facts->data), cb, arg);
}
