/*
 * The stores that are elsewhere: S3 and what speaks its protocol, OSS, COS. They differ in their signatures and in a
 * few names; requests, multipart uploads and errors are the same (vendor-protocols 6).
 */
#include "object_private.h"

#include <inttypes.h>
#include <stdio.h>

#include "adapters/cos_wire.h"
#include "adapters/crc64.h"
#include "base/codec.h"
#include "base/err.h"
#include "net/http_client.h"

/* integrity.md 16 */
#define CONNECT_MS 3000
#define REQUEST_MS 60000
#define SLOW_BYTES_PER_S 10240
#define SLOW_S 20
#define GET_MS (24 * 3600000u) /* a whole recording: its speed is what is watched */
#define HEADERS_MAX 12
#define SCRATCH_MAX ((size_t)16 << 20)

enum dialect { S3, OSS, COS };

/* Names that differ. */
static const struct words {
	const char *date, *content_hash, *token, *meta_sha256, *crc, *request_id;
} words[] = {
	[S3] = {"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-meta-sha256", NULL, "x-amz-request-id"},
	[OSS] = {"x-oss-date", "x-oss-content-sha256", "x-oss-security-token", "x-oss-meta-sha256", "x-oss-hash-crc64ecma",
	    "x-oss-request-id"},
	[COS] = {NULL, NULL, "x-cos-security-token", "x-cos-meta-sha256", "x-cos-hash-crc64ecma", "x-cos-request-id"},
};

static enum dialect dialect_of(const struct object_call *o)
{
	return o->store->kind == &object_kind_s3 ? S3 : o->store->kind == &object_kind_oss ? OSS : COS;
}

static struct wire_pair pair(const char *name, struct slice value)
{
	return (struct wire_pair){slice_str(name), value};
}

/* ---- a request ---------------------------------------------------------------------------------- */

struct request {
	const char *method;
	struct slice key;
	struct wire_pair query[4];
	size_t n_query;
	struct wire_pair headers[HEADERS_MAX]; /* those of the signature are added */
	size_t n_headers;
	struct slice body;
	bool has_body;
	int (*on_bytes)(void *arg, struct slice bytes); /* of a success alone: what an error says stays in `answer` */
	void *arg;
	bool from_middle; /* only a part was asked for */

	struct arena arena; /* of one try */
	struct http_result answer;
	int status;         /* once the head is there */
	struct buf refusal; /* what an error says while on_bytes is set */
};

static void add_header(struct request *rq, const char *name, struct slice value)
{
	rq->headers[rq->n_headers++] = pair(name, value);
}

static int object_path_of(const struct object_call *o, struct request *rq, struct slice *ret)
{
	struct buf path = BUF_INIT(SIGNING_TEXT_MAX);
	const char *name = o->store->path_style ?
	    arena_printf(&rq->arena, "%.*s/%.*s", SLICE_ARG(o->store->bucket), SLICE_ARG(rq->key)) :
	    arena_printf(&rq->arena, "%.*s", SLICE_ARG(rq->key));
	int rc = name == NULL ? ERR_NOMEM : wire_object_path(&path, slice_str(name));

	if (rc == 0)
		return wire_keep(&rq->arena, &path, ret);
	buf_finish(&path);
	return rc;
}

static int sign_v4(struct object_call *o, struct request *rq, struct slice path, struct slice *ret)
{
	enum dialect d = dialect_of(o);
	const struct sigv4_scheme *scheme = d == OSS ? &sigv4_oss : &sigv4_s3;
	struct sigv4_request to_sign = {.method = slice_str(rq->method), .path = path, .query = rq->query,
	    .n_query = rq->n_query, .headers = rq->headers};
	struct sigv4_signed s;
	char date[SIGV4_DATE_LEN + 1], *hash = arena_alloc(&rq->arena, HEX_SHA256_LEN + 1);
	int rc = hash == NULL ? ERR_NOMEM : sigv4_date(date, clock_wall_us(o->clock) / 1000000);

	if (rc != 0)
		return rc;
	wire_sha256_hex(hash, rq->body);
	add_header(rq, words[d].date, arena_dup(&rq->arena, slice_of(date, SIGV4_DATE_LEN)));
	add_header(rq, words[d].content_hash, d == OSS ? SLICE(SIGV4_UNSIGNED) : slice_str(hash));
	to_sign.n_headers = rq->n_headers;
	if (d == OSS)
		to_sign.bucket = o->store->bucket;
	rc = sigv4_sign(scheme, &o->store->keys, &to_sign, &rq->arena, &s);
	*ret = s.authorization;
	return rc;
}

static int sign_cos(struct object_call *o, struct request *rq, struct slice *ret)
{
	int64_t now_s = clock_wall_us(o->clock) / 1000000;
	struct cos_request to_sign = {.secret_id = o->store->keys.access_key_id, .secret_key = o->store->keys.secret,
	    .method = slice_str(rq->method), .object = rq->key, .start_s = now_s - 1, .end_s = now_s + 900,
	    .query = rq->query, .n_query = rq->n_query, .headers = rq->headers, .n_headers = rq->n_headers};
	struct cos_signed s;
	int rc = cos_sign(&to_sign, &rq->arena, &s);

	*ret = s.authorization;
	return rc;
}

/* "Name: value" each, and the authorization. */
static int list_headers(struct request *rq, struct slice authorization, const char *ret[HEADERS_MAX + 2])
{
	size_t n = 0;

	add_header(rq, "authorization", authorization);
	for (size_t i = 0; i < rq->n_headers; i++) {
		if (slice_is(rq->headers[i].name, "host")) /* the client says it itself */
			continue;
		ret[n] = arena_printf(&rq->arena, "%.*s: %.*s", SLICE_ARG(rq->headers[i].name), SLICE_ARG(rq->headers[i].value));
		if (ret[n++] == NULL)
			return ERR_NOMEM;
	}
	ret[n] = NULL;
	return 0;
}

static int url_of(struct object_call *o, struct request *rq, struct slice path, const char **ret)
{
	struct buf url = BUF_INIT(SIGNING_TEXT_MAX);
	struct slice text;
	int rc;

	buf_append_str(&url, o->store->base);
	buf_append(&url, path);
	if (rq->n_query > 0) {
		buf_append_char(&url, '?');
		rc = wire_query(&url, rq->query, rq->n_query, dialect_of(o) == OSS ? WIRE_BARE_EMPTY : 0, &rq->arena);
		if (rc != 0) {
			buf_finish(&url);
			return rc;
		}
	}
	rc = wire_keep(&rq->arena, &url, &text);
	*ret = text.ptr;
	return rc;
}

/* ---- an answer ------------------------------------------------------------------------------------- */

static int rc_of_answer(enum answer_class is, int status)
{
	switch (is) {
	case ANSWER_OK:
	case ANSWER_DUPLICATE:
		return 0;
	case ANSWER_LIMIT:
		return ERR_BUSY;
	case ANSWER_RETRY:
	case ANSWER_AFRESH:
	case ANSWER_NOT_READY:
	case ANSWER_UNKNOWN:
		return status == 429 ? ERR_BUSY : ERR_UNAVAILABLE;
	case ANSWER_CONFIG:
		return ERR_CONFIG;
	case ANSWER_REFUSED:
		break;
	}
	return status == 404 ? ERR_NOT_FOUND : status == 416 ? ERR_RANGE : ERR_DENIED;
}

/* What failed before there was an answer. */
static int rc_of_silence(int rc)
{
	switch (rc) {
	case ERR_CANCELLED:
	case ERR_NOMEM:
	case ERR_TOO_BIG:
		return rc;
	case ERR_INVALID:
	case ERR_DENIED:
	case ERR_BAD_SIGNATURE:
		return ERR_CONFIG;
	default:
		return ERR_UNAVAILABLE;
	}
}

static void note(struct object_call *o, struct request *rq, const struct object_answer *xml)
{
	struct slice id = xml->request_id;

	if (id.len == 0)
		http_result_header(&rq->answer, words[dialect_of(o)].request_id, &id);
	o->status = rq->answer.status;
	o->vendor_id = id.len > 0 && id.len <= 128 ? arena_dup(o->arena, id).ptr : NULL;
}

/* xml: what the body says, when it is one of ours; kind OBJECT_ERROR with a status of 200 is a failure too. */
static int judge(struct object_call *o, struct request *rq, int rc, struct object_answer *ret_xml)
{
	struct object_answer xml = {.kind = OBJECT_COMPLETED, .code = {"", 0}};
	struct slice body = rq->on_bytes != NULL ? buf_slice(&rq->refusal) : buf_slice(&rq->answer.body);
	int status = rq->answer.status;

	if (rc != 0)
		return object_fail(o, rc_of_silence(rc), rc == ERR_BAD_SIGNATURE ? "The object store's certificate is not to be trusted." :
		    rc == ERR_DENIED ? "Plain http to an object store is only allowed on this machine." : "The object store did not answer.");
	if (body.len > 0 && object_answer_parse(body, &rq->arena, &xml) != 0)
		xml = (struct object_answer){.kind = OBJECT_COMPLETED, .code = {"", 0}};
	if (ret_xml != NULL)
		*ret_xml = xml;
	note(o, rq, &xml);
	if (status >= 300 || xml.kind == OBJECT_ERROR)
		o->class = object_answer_class(status, xml.code);
	else
		o->class = ANSWER_OK;
	rc = rc_of_answer(o->class, status);
	if (slice_is(xml.code, "NoSuchBucket"))
		o->message = "The bucket of LULAB_STORAGE_BUCKET does not exist.";
	else if (rc == ERR_CONFIG)
		o->message = "The object store does not let us in: see LULAB_STORAGE_KEY_ID, _SECRET and the bucket's policy.";
	else if (rc != 0)
		o->message = "The object store refused the request.";
	return rc;
}

static int on_head(void *arg, const struct http_result *so_far)
{
	struct request *rq = arg;

	rq->status = so_far->status;
	return rq->status == 200 && rq->from_middle; /* the whole, in the place of its middle */
}

static int on_piece(void *arg, struct slice bytes)
{
	struct request *rq = arg;

	return rq->status < 300 ? rq->on_bytes(rq->arg, bytes) : buf_append(&rq->refusal, bytes);
}

static void request_finish(struct request *rq)
{
	buf_finish(&rq->refusal);
	http_result_finish(&rq->answer);
	arena_finish(&rq->arena);
}

/* One request and its answer, which stays in rq until request_finish(). */
static int run(struct object_call *o, struct request *rq, struct object_answer *ret_xml)
{
	const struct object_store *store = o->store;
	enum dialect d = dialect_of(o);
	struct http_call call = {.method = rq->method, .body = rq->body, .has_body = rq->has_body, .timeout_ms = REQUEST_MS,
	    .connect_ms = CONNECT_MS, .slow_bytes_per_s = SLOW_BYTES_PER_S, .slow_s = SLOW_S, .stopping = o->stopping,
	    .ca_file = store->ca_file, .answer_max = OBJECT_XML_MAX};
	const char *lines[HEADERS_MAX + 2];
	struct slice path, authorization = {0};
	int rc;

	rq->arena = (struct arena)ARENA_INIT(SCRATCH_MAX);
	rq->answer = (struct http_result){0};
	rq->refusal = (struct buf)BUF_INIT(OBJECT_XML_MAX);
	add_header(rq, "host", slice_str(store->host));
	if (store->keys.session_token.len > 0)
		add_header(rq, words[d].token, store->keys.session_token);
	rc = object_path_of(o, rq, &path);
	if (rc == 0)
		rc = d == COS ? sign_cos(o, rq, &authorization) : sign_v4(o, rq, path, &authorization);
	if (rc == 0)
		rc = list_headers(rq, authorization, lines);
	if (rc == 0)
		rc = url_of(o, rq, path, &call.url);
	if (rc != 0)
		return object_fail(o, rc, "The request to the object store could not be signed.");
	call.headers = lines;
	if (rq->on_bytes != NULL) {
		call.timeout_ms = GET_MS;
		call.on_head = on_head;
		call.on_bytes = on_piece;
		call.arg = rq;
	}
	rc = http_client_call(o->http, &call, &rq->answer);
	if (rc == ERR_CANCELLED && rq->status == 200 && rq->from_middle)
		return object_fail(o, ERR_DENIED, "The object store does not give parts of objects.");
	return judge(o, rq, rc, ret_xml);
}

static int keep(struct object_call *o, struct slice text, struct slice *ret)
{
	*ret = arena_dup(o->arena, text);
	return ret->ptr == NULL ? ERR_NOMEM : 0;
}

/* ---- what was received against what was sent -------------------------------------------------------- */

/* The store compares it with what arrived: an ETag is the same only where the store does not encrypt. */
static void content_md5(char ret[BASE64_LEN(MD5_LEN) + 1], struct slice bytes)
{
	uint8_t digest[MD5_LEN];

	md5(digest, &bytes, 1);
	base64_encode_to(ret, digest, sizeof(digest));
}

/* OSS and COS tell the CRC-64 of what they have. */
static int compare_crc(struct object_call *o, struct request *rq, uint64_t crc)
{
	const char *name = words[dialect_of(o)].crc;
	struct slice text;
	uint64_t told;

	if (name == NULL || !http_result_header(&rq->answer, name, &text) || slice_to_u64(text, &told) != 0 || told == crc)
		return 0;
	return object_fail(o, ERR_CORRUPT, "What the object store has is not what was sent.");
}

/*
 * An S3 ETag of 32 hex digits is the MD5 of what arrived, unless the store encrypts with keys it manages, which it then says.
 */
static int compare_etag(struct object_call *o, struct request *rq, struct slice bytes)
{
	struct slice etag, encryption;
	uint8_t ours[MD5_LEN], theirs[MD5_LEN];

	if (dialect_of(o) != S3 || !http_result_header(&rq->answer, "etag", &etag) || etag.len != 2 * MD5_LEN + 2 ||
	    hex_decode(theirs, sizeof(theirs), slice_of(etag.ptr + 1, 2 * MD5_LEN)) != 0)
		return 0;
	if ((http_result_header(&rq->answer, "x-amz-server-side-encryption", &encryption) && !slice_is(encryption, "AES256")) ||
	    http_result_header(&rq->answer, "x-amz-server-side-encryption-customer-algorithm", &encryption))
		return 0;
	md5(ours, &bytes, 1);
	return memcmp(ours, theirs, sizeof(ours)) == 0 ? 0 :
	    object_fail(o, ERR_CORRUPT, "What the object store has is not what was sent.");
}

/* ---- the verbs ------------------------------------------------------------------------------------------ */

static int put(struct object_call *o, struct slice key, struct slice content_type, const char *name, struct slice bytes)
{
	struct request rq = {.method = "PUT", .key = key, .body = bytes, .has_body = true};
	char sum[BASE64_LEN(MD5_LEN) + 1], sha256_hex[HEX_SHA256_LEN + 1];
	int rc;

	(void)name;
	content_md5(sum, bytes);
	wire_sha256_hex(sha256_hex, bytes);
	add_header(&rq, "content-md5", slice_str(sum));
	add_header(&rq, words[dialect_of(o)].meta_sha256, slice_str(sha256_hex));
	if (content_type.len > 0)
		add_header(&rq, "content-type", content_type);
	rc = run(o, &rq, NULL);
	if (rc == 0)
		rc = compare_crc(o, &rq, crc64(0, bytes));
	if (rc == 0)
		rc = compare_etag(o, &rq, bytes);
	request_finish(&rq);
	return rc;
}

static int begin(struct object_call *o, struct slice key, struct slice content_type, const char *name, struct slice *ret_id)
{
	struct request rq = {.method = "POST", .key = key, .has_body = true, .query = {pair("uploads", SLICE(""))}, .n_query = 1};
	struct object_answer xml;
	int rc;

	(void)name;
	if (content_type.len > 0)
		add_header(&rq, "content-type", content_type);
	rc = run(o, &rq, &xml);
	if (rc == 0 && xml.kind != OBJECT_INITIATED)
		rc = object_fail(o, ERR_UNAVAILABLE, "The object store did not say what it calls the upload.");
	if (rc == 0)
		rc = keep(o, xml.upload_id, ret_id);
	request_finish(&rq);
	return rc;
}

static int part(struct object_call *o, struct slice key, struct slice id, const struct object_piece *piece, struct slice *ret_etag)
{
	char number[16], sum[BASE64_LEN(MD5_LEN) + 1];
	struct request rq = {.method = "PUT", .key = key, .body = piece->bytes, .has_body = true,
	    .query = {pair("partNumber", slice_of(number, (size_t)snprintf(number, sizeof(number), "%u", piece->number))),
	        pair("uploadId", id)}, .n_query = 2};
	struct slice etag = {0};
	int rc;

	content_md5(sum, piece->bytes);
	add_header(&rq, "content-md5", slice_str(sum));
	rc = run(o, &rq, NULL);
	if (rc == 0)
		rc = compare_crc(o, &rq, crc64(0, piece->bytes));
	if (rc == 0)
		rc = compare_etag(o, &rq, piece->bytes);
	if (rc == 0 && !http_result_header(&rq.answer, "etag", &etag))
		rc = object_fail(o, ERR_UNAVAILABLE, "The object store did not say what it calls the part.");
	if (rc == 0)
		rc = keep(o, etag, ret_etag);
	request_finish(&rq);
	return rc;
}

/* A page of the parts; *marker moves behind them. */
static int list_parts(struct object_call *o, struct slice key, struct slice id, int64_t *marker, bool *ret_more,
    const struct object_part *parts, size_t n, size_t *same)
{
	char text[24];
	struct request rq = {.method = "GET", .key = key, .query = {pair("uploadId", id),
	    pair("part-number-marker", slice_of(text, (size_t)snprintf(text, sizeof(text), "%" PRId64, *marker)))},
	    .n_query = *marker > 0 ? 2 : 1};
	struct object_answer xml;
	int rc = run(o, &rq, &xml);

	if (rc == 0 && xml.kind != OBJECT_PARTS)
		rc = ERR_UNSUPPORTED;
	for (size_t i = 0; rc == 0 && i < xml.n_parts && *same < n; i++) {
		const struct object_part *ours = &parts[*same], *theirs = &xml.parts[i];

		if (theirs->number != ours->number || !slice_eq(theirs->etag, ours->etag) ||
		    (theirs->size != 0 && theirs->size != ours->size))
			break;
		(*same)++;
	}
	*ret_more = rc == 0 && xml.truncated && *same < n && *same > 0 && parts[*same - 1].number == xml.next_marker;
	*marker = rc == 0 ? xml.next_marker : 0;
	request_finish(&rq);
	return rc;
}

static int check(struct object_call *o, struct slice key, struct slice id, const struct object_part *parts, size_t n, size_t *ret_n)
{
	int64_t marker = 0;
	bool more = true;
	int rc = 0;

	*ret_n = 0;
	while (rc == 0 && more)
		rc = list_parts(o, key, id, &marker, &more, parts, n, ret_n);
	/* Some that are compatible list nothing: then complete() is what finds out. */
	if (rc == ERR_UNSUPPORTED || rc == ERR_DENIED || o->status == 501) {
		*ret_n = n;
		return 0;
	}
	return rc;
}

static int head(struct object_call *o, struct slice key, struct object_head *ret)
{
	struct request rq = {.method = "HEAD", .key = key};
	struct object_head head = {.content_type = {"", 0}, .etag = {"", 0}};
	struct slice text;
	int rc = run(o, &rq, NULL);

	if (rc == 0 && (!http_result_header(&rq.answer, "content-length", &text) || slice_to_u64(text, &head.size) != 0))
		rc = object_fail(o, ERR_UNAVAILABLE, "The object store did not say how long an object is.");
	if (rc == 0 && http_result_header(&rq.answer, "content-type", &text))
		rc = keep(o, text, &head.content_type);
	if (rc == 0 && http_result_header(&rq.answer, "etag", &text))
		rc = keep(o, text, &head.etag);
	if (rc == 0)
		*ret = head;
	request_finish(&rq);
	return rc;
}

/* The object that came of it is as long as what was sent. */
static int compare_whole(struct object_call *o, struct slice key, const struct object_whole *whole)
{
	struct object_head there;
	int rc = head(o, key, &there);

	if (rc == 0 && there.size != whole->size)
		rc = object_fail(o, ERR_CORRUPT, "What the object store has is not as long as what was sent.");
	return rc;
}

static int complete(struct object_call *o, struct slice key, struct slice id, const struct object_part *parts, size_t n,
    const struct object_whole *whole)
{
	struct buf body = BUF_INIT(OBJECT_XML_MAX);
	struct request rq = {.method = "POST", .key = key, .has_body = true, .query = {pair("uploadId", id)}, .n_query = 1};
	struct object_answer xml = {0};
	int rc = object_complete_body(&body, parts, n);

	rq.body = buf_slice(&body);
	if (rc == 0) {
		add_header(&rq, "content-type", SLICE("application/xml"));
		rc = run(o, &rq, &xml);
		if (rc == 0)
			rc = compare_crc(o, &rq, whole->crc);
		request_finish(&rq);
	}
	buf_finish(&body);
	/* An attempt before may have completed it, and the store have forgotten how. */
	if (rc == 0 || rc == ERR_NOT_FOUND) {
		int there = compare_whole(o, key, whole);

		rc = there != 0 ? there : 0;
	}
	return rc;
}

static int abandon(struct object_call *o, struct slice key, struct slice id)
{
	struct request rq = {.method = "DELETE", .key = key, .query = {pair("uploadId", id)}, .n_query = 1};
	int rc = run(o, &rq, NULL);

	request_finish(&rq);
	return rc;
}

static int get(struct object_call *o, struct slice key, uint64_t from, uint64_t len,
    int (*on_bytes)(void *arg, struct slice bytes), void *arg)
{
	struct request rq = {.method = "GET", .key = key, .on_bytes = on_bytes, .arg = arg, .from_middle = from > 0};
	char range[64];
	int rc;

	if (from > 0 || len > 0) {
		if (len > 0)
			snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, from, from + len - 1);
		else
			snprintf(range, sizeof(range), "bytes=%" PRIu64 "-", from);
		add_header(&rq, "range", slice_str(range));
	}
	rc = run(o, &rq, NULL);
	request_finish(&rq);
	return rc;
}

/* The store says the same whether it was there or not; some tell it. */
static int remove_object(struct object_call *o, struct slice key)
{
	struct request rq = {.method = "DELETE", .key = key};
	int rc = run(o, &rq, NULL);

	request_finish(&rq);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* ---- links -------------------------------------------------------------------------------------------------- */

static int sign_link_v4(struct object_call *o, struct request *rq, struct slice path, int64_t expires_s, struct slice *ret)
{
	char date[SIGV4_DATE_LEN + 1];
	struct sigv4_presign to_sign = {.scheme = dialect_of(o) == OSS ? &sigv4_oss : &sigv4_s3, .method = slice_str(rq->method),
	    .scheme_host = slice_str(o->store->base), .path = path, .bucket = dialect_of(o) == OSS ? o->store->bucket : SLICE(""),
	    .extra = rq->query, .n_extra = rq->n_query, .date = slice_of(date, SIGV4_DATE_LEN), .expires_s = expires_s};
	struct sigv4_signed s;
	int rc = sigv4_date(date, clock_wall_us(o->clock) / 1000000);

	return rc == 0 ? sigv4_presign(&o->store->keys, &to_sign, &rq->arena, &s, ret) : rc;
}

static int sign_link_cos(struct object_call *o, struct request *rq, struct slice path, int64_t expires_s, struct slice *ret)
{
	int64_t now_s = clock_wall_us(o->clock) / 1000000;
	struct cos_request to_sign = {.secret_id = o->store->keys.access_key_id, .secret_key = o->store->keys.secret,
	    .method = slice_str(rq->method), .object = rq->key, .start_s = now_s - 1, .end_s = now_s + expires_s,
	    .query = rq->query, .n_query = rq->n_query, .headers = rq->headers, .n_headers = rq->n_headers};
	struct buf url = BUF_INIT(SIGNING_TEXT_MAX);
	struct cos_signed s;
	int rc = cos_sign(&to_sign, &rq->arena, &s);

	if (rc != 0)
		return rc;
	buf_printf(&url, "%s%.*s?", o->store->base, SLICE_ARG(path));
	if (rq->n_query > 0) {
		rc = wire_query(&url, rq->query, rq->n_query, 0, &rq->arena);
		buf_append_char(&url, '&');
	}
	/* Its values hold ";" and the escapes of names: they go into a query as texts do. */
	for (struct slice one, rest = s.authorization, name, value; rest.len > 0;) {
		slice_cut(rest, '&', &one, &rest);
		slice_cut(one, '=', &name, &value);
		buf_append(&url, name);
		buf_append_char(&url, '=');
		percent_encode(&url, value);
		if (rest.len > 0)
			buf_append_char(&url, '&');
	}
	if (o->store->keys.session_token.len > 0) {
		buf_append_str(&url, "&x-cos-security-token=");
		percent_encode(&url, o->store->keys.session_token);
	}
	if (rc == 0)
		return wire_keep(&rq->arena, &url, ret);
	buf_finish(&url);
	return rc;
}

static int presign(struct object_call *o, struct slice key, const struct object_link *link, const char **ret_url)
{
	struct request rq = {.method = "GET", .key = key, .arena = ARENA_INIT(SCRATCH_MAX)};
	struct slice path, url, kept;
	int rc = object_path_of(o, &rq, &path);

	add_header(&rq, "host", slice_str(o->store->host));
	if (link->file_name.len > 0) {
		const char *text = object_disposition(&rq.arena, link->file_name);

		if (text == NULL)
			rc = ERR_NOMEM;
		rq.query[rq.n_query++] = pair("response-content-disposition", slice_str(text));
	}
	if (link->content_type.len > 0)
		rq.query[rq.n_query++] = pair("response-content-type", link->content_type);
	if (rc == 0)
		rc = dialect_of(o) == COS ? sign_link_cos(o, &rq, path, link->expires_s, &url) :
		    sign_link_v4(o, &rq, path, link->expires_s, &url);
	if (rc == 0)
		rc = keep(o, url, &kept);
	if (rc == 0)
		*ret_url = kept.ptr;
	arena_finish(&rq.arena);
	return rc;
}

#define REMOTE(name) \
	{ \
		.provider = name, .with_http = true, .put = put, .begin = begin, .part = part, .check = check, .complete = complete, \
		.abandon = abandon, .head = head, .get = get, .remove = remove_object, .presign = presign, \
	}

const struct object_kind object_kind_s3 = REMOTE("S3"), object_kind_oss = REMOTE("OSS"), object_kind_cos = REMOTE("COS");
