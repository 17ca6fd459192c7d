/* Tencent Meeting's REST interface: signature, addresses of what is asked for, meaning of codes. */
#include "tencent_rest_wire.h"

#include "base/codec.h"
#include "wire_json.h"

/* --- signing ----------------------------------------------------------------------------- */

static bool uri_ok(struct slice uri)
{
	for (size_t i = 0; i < uri.len; i++)
		if (uri.ptr[i] <= ' ' || uri.ptr[i] > '~')
			return false;
	return uri.len > 0 && uri.ptr[0] == '/';
}

static bool keys_ok(const struct tencent_rest_keys *keys)
{
	return keys->app_id.len > 0 && keys->secret_id.len > 0 && keys->secret_key.len > 0 && wire_value_ok(keys->app_id) &&
	    wire_value_ok(keys->secret_id) && wire_value_ok(keys->sdk_id);
}

int tencent_rest_sign(const struct tencent_rest_keys *keys, const char *method, struct slice uri, struct slice body,
    uint64_t nonce, int64_t unix_s, struct arena *a, struct tencent_rest_signed *ret)
{
	struct tencent_rest_signed s = {0};
	char hex[HEX_SHA256_LEN + 1];
	char *nonce_text, *time_text;
	struct buf text = BUF_INIT(body.len + SIGNING_TEXT_MAX);
	struct wire_pair *h = s.headers;
	struct slice signature;
	int rc;

	if (!keys_ok(keys) || !uri_ok(uri) || nonce == 0 || unix_s < 0)
		return ERR_INVALID;
	nonce_text = arena_printf(a, "%llu", (unsigned long long)nonce);
	time_text = arena_printf(a, "%lld", (long long)unix_s);
	if (nonce_text == NULL || time_text == NULL)
		return ERR_NOMEM;
	buf_printf(&text, "%s\nX-TC-Key=%.*s&X-TC-Nonce=%s&X-TC-Timestamp=%s\n", method, SLICE_ARG(keys->secret_id), nonce_text,
	    time_text);
	buf_append(&text, uri);
	buf_append_char(&text, '\n');
	buf_append(&text, body);
	rc = wire_keep(a, &text, &s.string_to_sign);
	if (rc != 0)
		return rc;
	wire_hmac_sha256_hex(hex, keys->secret_key, s.string_to_sign);
	base64_encode_to(s.signature, hex, HEX_SHA256_LEN); /* of the digits, not of the bytes */
	signature = arena_dup(a, slice_str(s.signature));
	if (signature.ptr == NULL)
		return ERR_NOMEM;
	h[s.n_headers++] = (struct wire_pair){SLICE("Content-Type"), SLICE("application/json")};
	h[s.n_headers++] = (struct wire_pair){SLICE("X-TC-Key"), keys->secret_id};
	h[s.n_headers++] = (struct wire_pair){SLICE("X-TC-Timestamp"), slice_str(time_text)};
	h[s.n_headers++] = (struct wire_pair){SLICE("X-TC-Nonce"), slice_str(nonce_text)};
	h[s.n_headers++] = (struct wire_pair){SLICE("X-TC-Signature"), signature};
	h[s.n_headers++] = (struct wire_pair){SLICE("AppId"), keys->app_id};
	if (keys->sdk_id.len > 0)
		h[s.n_headers++] = (struct wire_pair){SLICE("SdkId"), keys->sdk_id};
	h[s.n_headers++] = (struct wire_pair){SLICE("X-TC-Registered"), SLICE("1")};
	*ret = s;
	return 0;
}

/* --- addresses ------------------------------------------------------------------------------- */

#define QUERY_MAX 12

/* An address being made: what is empty is never in it, as "undefined" once was. */
struct uri {
	struct arena *arena;
	struct wire_pair query[QUERY_MAX];
	size_t n;
	int rc;
};

static void put(struct uri *u, const char *name, struct slice value)
{
	if (value.len > 0)
		u->query[u->n++] = (struct wire_pair){slice_str(name), value};
}

static void put_number(struct uri *u, const char *name, int64_t value)
{
	char *text = arena_printf(u->arena, "%lld", (long long)value);

	if (text == NULL)
		u->rc = ERR_NOMEM;
	else
		put(u, name, slice_str(text));
}

static void put_operator(struct uri *u, const struct tencent_operator *op)
{
	if (op->id.len == 0 || op->type < TENCENT_USERID || op->type > TENCENT_MS_OPEN_ID) {
		u->rc = ERR_INVALID;
		return;
	}
	put(u, "operator_id", op->id);
	put_number(u, "operator_id_type", op->type);
}

static void need(struct uri *u, struct slice id)
{
	if (id.len == 0 || slice_is(id, ".") || slice_is(id, ".."))
		u->rc = ERR_INVALID;
}

/* before, the id percent-encoded, after, and the query. */
static int finish(struct uri *u, const char *before, struct slice id, const char *after, struct slice *ret)
{
	struct buf out = BUF_INIT(SIGNING_TEXT_MAX);
	int rc = u->rc;

	buf_append_str(&out, before);
	percent_encode(&out, id);
	buf_append_str(&out, after);
	if (u->n > 0)
		buf_append_char(&out, '?');
	if (rc == 0)
		rc = wire_query(&out, u->query, u->n, 0, u->arena);
	if (rc == 0)
		return wire_keep(u->arena, &out, ret);
	buf_finish(&out);
	return rc;
}

int tencent_uri_meeting(struct slice meeting_id, const struct tencent_operator *op, struct arena *a, struct slice *ret)
{
	struct uri u = {.arena = a};

	need(&u, meeting_id);
	put_operator(&u, op);
	put(&u, "instanceid", SLICE("1"));
	return finish(&u, "/v1/meetings/", meeting_id, "", ret);
}

int tencent_uri_participants(struct slice meeting_id, struct slice sub_meeting_id, const struct tencent_operator *op,
    int64_t pos, unsigned size, struct arena *a, struct slice *ret)
{
	struct uri u = {.arena = a};

	if (pos < 0 || size < 1 || size > TENCENT_PARTICIPANTS_PAGE)
		return ERR_INVALID;
	need(&u, meeting_id);
	put_operator(&u, op);
	put(&u, "sub_meeting_id", sub_meeting_id);
	put_number(&u, "pos", pos);
	put_number(&u, "size", size);
	return finish(&u, "/v1/meetings/", meeting_id, "/participants", ret);
}

int tencent_uri_records(const struct tencent_records_query *q, struct arena *a, struct slice *ret)
{
	struct uri u = {.arena = a};

	if (q->start_s < 0 || q->end_s < q->start_s || q->end_s - q->start_s > TENCENT_RECORDS_SPAN_S || q->page < 1 ||
	    q->page_size < 1 || q->page_size > TENCENT_RECORDS_PAGE || (q->corp && q->meeting_id.len > 0))
		return ERR_INVALID;
	put_operator(&u, &q->op);
	put_number(&u, "start_time", q->start_s);
	put_number(&u, "end_time", q->end_s);
	put(&u, "meeting_id", q->meeting_id);
	put_number(&u, "page", q->page);
	put_number(&u, "page_size", q->page_size);
	return finish(&u, q->corp ? "/v1/corp/records" : "/v1/records", SLICE(""), "", ret);
}

int tencent_uri_address(struct slice record_file_id, const struct tencent_operator *op, struct arena *a,
    struct slice *ret)
{
	struct uri u = {.arena = a};

	need(&u, record_file_id);
	put_operator(&u, op);
	return finish(&u, "/v1/addresses/", record_file_id, "", ret);
}

/* Those where the recording is a parameter. */
static int of_recording(const char *path, struct slice record_file_id, const struct tencent_operator *op, struct uri *u,
    struct slice *ret)
{
	if (record_file_id.len == 0)
		return ERR_INVALID;
	put(u, "record_file_id", record_file_id);
	put_operator(u, op);
	return finish(u, path, SLICE(""), "", ret);
}

int tencent_uri_transcript(struct slice record_file_id, struct slice meeting_id, const struct tencent_operator *op,
    int64_t pid, unsigned limit, struct arena *a, struct slice *ret)
{
	struct uri u = {.arena = a};

	if (pid < 0)
		return ERR_INVALID;
	put(&u, "meeting_id", meeting_id);
	put_number(&u, "pid", pid);
	if (limit > 0)
		put_number(&u, "limit", limit);
	return of_recording("/v1/records/transcripts/details", record_file_id, op, &u, ret);
}

int tencent_uri_summary(struct slice record_file_id, const struct tencent_operator *op, struct arena *a, struct slice *ret)
{
	struct uri u = {.arena = a};

	return of_recording("/v1/smart/fullsummary", record_file_id, op, &u, ret);
}

int tencent_uri_topics(struct slice record_file_id, const struct tencent_operator *op, struct arena *a, struct slice *ret)
{
	struct uri u = {.arena = a};

	return of_recording("/v1/smart/topics", record_file_id, op, &u, ret);
}

int tencent_uri_minutes(struct slice record_file_id, const struct tencent_operator *op, unsigned minute_type,
    struct arena *a, struct slice *ret)
{
	struct uri u = {.arena = a};

	if (minute_type > 3)
		return ERR_INVALID;
	need(&u, record_file_id);
	put_operator(&u, op);
	if (minute_type > 0)
		put_number(&u, "minute_type", minute_type);
	put(&u, "text_type", SLICE("2"));
	return finish(&u, "/v1/smart/minutes/", record_file_id, "", ret);
}

int tencent_uri_user(struct slice userid, const struct tencent_operator *op, struct arena *a, struct slice *ret)
{
	struct uri u = {.arena = a};

	need(&u, userid);
	put_operator(&u, op);
	return finish(&u, "/v1/users/", userid, "", ret);
}

int tencent_uri_users(unsigned page, unsigned page_size, const struct tencent_operator *op, struct arena *a,
    struct slice *ret)
{
	struct uri u = {.arena = a};

	if (page < 1 || page_size < 1)
		return ERR_INVALID;
	put_operator(&u, op);
	put_number(&u, "page", page);
	put_number(&u, "page_size", page_size);
	return finish(&u, "/v1/users/list", SLICE(""), "", ret);
}

/* --- errors -------------------------------------------------------------------------------------- */

static const struct { int64_t code; enum answer_class is; } codes[] = {
	{190300, ANSWER_AFRESH}, /* clock */
	{190301, ANSWER_AFRESH}, /* replay */
	{200002, ANSWER_AFRESH},
	{200190303, ANSWER_AFRESH}, /* token of the other mode, expired */
	{190310, ANSWER_RETRY},  /* calls a minute */
	{9061, ANSWER_RETRY},
	{190311, ANSWER_LIMIT},  /* calls a day */
	{190312, ANSWER_LIMIT},
	{9008, ANSWER_LIMIT},
	{41, ANSWER_RETRY},
	{5108, ANSWER_RETRY},
	{10000, ANSWER_RETRY},
	{200003, ANSWER_CONFIG}, /* signature wrong */
	{190303, ANSWER_CONFIG}, /* ids unknown */
	{500125, ANSWER_CONFIG}, /* our address is not on the list */
	{200001, ANSWER_REFUSED},
	{200004, ANSWER_REFUSED},
	{200005, ANSWER_REFUSED},
	{200006, ANSWER_REFUSED},
	{190004, ANSWER_REFUSED},
	{10001, ANSWER_REFUSED},
	{9002, ANSWER_REFUSED},
	{9003, ANSWER_REFUSED},  /* no such meeting */
	{9042, ANSWER_REFUSED},  /* not the creator: another operator might be */
	{20001, ANSWER_REFUSED},
	{190001, ANSWER_REFUSED},
	{20003, ANSWER_REFUSED},
	{4051, ANSWER_REFUSED},  /* recording deleted */
};

static bool find_code(int64_t code, enum answer_class *ret)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i].code == code) {
			*ret = codes[i].is;
			return true;
		}
	}
	return false;
}

enum answer_class tencent_rest_code_class(int64_t code)
{
	enum answer_class is;

	return find_code(code, &is) ? is : ANSWER_REFUSED;
}

int tencent_rest_judge(int status, struct slice body, bool generated, struct arena *a, struct tencent_rest_error *ret)
{
	struct tencent_rest_error e = {.is = answer_class_of_status(status), .message = SLICE("")};
	struct json_value root, info;
	int rc = wire_json_root(body, JSON_OBJECT, a, &root);

	if (rc == ERR_NOMEM)
		return rc;
	if (rc == 0 && json_member(root, "error_info", &info) && info.type == JSON_OBJECT) {
		e.code = wire_int(info, "new_error_code", 0, a);
		if (e.code == 0)
			e.code = wire_int(info, "error_code", 0, a);
		e.message = wire_text(info, "message", a);
		if (!find_code(e.code, &e.is))
			e.is = status >= 500 ? ANSWER_RETRY : generated ? ANSWER_NOT_READY : ANSWER_REFUSED;
	}
	*ret = e;
	return 0;
}
