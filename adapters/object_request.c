/* See object_request.h: signed, sent, judged (vendor-protocols 6). */
#include "object_request.h"

#include "adapters/cos_wire.h"
#include "base/codec.h"
#include "base/err.h"

/* integrity.md 16 */
#define CONNECT_MS 3000
#define REQUEST_MS 60000
#define SLOW_BYTES_PER_S 10240
#define SLOW_S 20
#define GET_MS (24 * 3600000u) /* a whole recording: its speed is what is watched */

const struct object_words object_words[] = {
	[OBJECT_S3] = {"x-amz-date", "x-amz-content-sha256", "x-amz-security-token", "x-amz-meta-sha256", NULL, "x-amz-request-id"},
	[OBJECT_OSS] = {"x-oss-date", "x-oss-content-sha256", "x-oss-security-token", "x-oss-meta-sha256", "x-oss-hash-crc64ecma",
	    "x-oss-request-id"},
	[OBJECT_COS] = {NULL, NULL, "x-cos-security-token", "x-cos-meta-sha256", "x-cos-hash-crc64ecma", "x-cos-request-id"},
};

enum object_dialect object_dialect_of(const struct object_call *o)
{
	return o->store->kind == &object_kind_s3 ? OBJECT_S3 : o->store->kind == &object_kind_oss ? OBJECT_OSS : OBJECT_COS;
}

struct wire_pair object_request_pair(const char *name, struct slice value)
{
	return (struct wire_pair){slice_str(name), value};
}

void object_request_header(struct object_request *rq, const char *name, struct slice value)
{
	rq->headers[rq->n_headers++] = object_request_pair(name, value);
}

int object_request_path(const struct object_call *o, struct object_request *rq, struct slice *ret)
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

static int sign_v4(struct object_call *o, struct object_request *rq, struct slice path, struct slice *ret)
{
	enum object_dialect d = object_dialect_of(o);
	const struct sigv4_scheme *scheme = d == OBJECT_OSS ? &sigv4_oss : &sigv4_s3;
	struct sigv4_request to_sign = {.method = slice_str(rq->method), .path = path, .query = rq->query,
	    .n_query = rq->n_query, .headers = rq->headers};
	struct sigv4_signed s;
	char date[SIGV4_DATE_LEN + 1], *hash = arena_alloc(&rq->arena, HEX_SHA256_LEN + 1);
	int rc = hash == NULL ? ERR_NOMEM : sigv4_date(date, clock_wall_us(o->clock) / 1000000);

	if (rc != 0)
		return rc;
	wire_sha256_hex(hash, rq->body);
	object_request_header(rq, object_words[d].date, arena_dup(&rq->arena, slice_of(date, SIGV4_DATE_LEN)));
	object_request_header(rq, object_words[d].content_hash, d == OBJECT_OSS ? SLICE(SIGV4_UNSIGNED) : slice_str(hash));
	to_sign.n_headers = rq->n_headers;
	if (d == OBJECT_OSS)
		to_sign.bucket = o->store->bucket;
	rc = sigv4_sign(scheme, &o->store->keys, &to_sign, &rq->arena, &s);
	*ret = s.authorization;
	return rc;
}

static int sign_cos(struct object_call *o, struct object_request *rq, struct slice *ret)
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
static int list_headers(struct object_request *rq, struct slice authorization, const char *ret[OBJECT_HEADERS_MAX + 2])
{
	size_t n = 0;

	object_request_header(rq, "authorization", authorization);
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

static int url_of(struct object_call *o, struct object_request *rq, struct slice path, const char **ret)
{
	struct buf url = BUF_INIT(SIGNING_TEXT_MAX);
	struct slice text;
	int rc;

	buf_append_str(&url, o->store->base);
	buf_append(&url, path);
	if (rq->n_query > 0) {
		buf_append_char(&url, '?');
		rc = wire_query(&url, rq->query, rq->n_query, object_dialect_of(o) == OBJECT_OSS ? WIRE_BARE_EMPTY : 0, &rq->arena);
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

static void note(struct object_call *o, struct object_request *rq, const struct object_answer *xml)
{
	struct slice id = xml->request_id;

	if (id.len == 0)
		http_result_header(&rq->answer, object_words[object_dialect_of(o)].request_id, &id);
	o->status = rq->answer.status;
	o->vendor_id = id.len > 0 && id.len <= 128 ? arena_dup(o->arena, id).ptr : NULL;
}

/* xml: what the body says, when it is one of ours; kind OBJECT_ERROR with a status of 200 is a failure too. */
static int judge(struct object_call *o, struct object_request *rq, int rc, struct object_answer *ret_xml)
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
	struct object_request *rq = arg;

	rq->status = so_far->status;
	return rq->status == 200 && rq->from_middle; /* the whole, in the place of its middle */
}

static int on_piece(void *arg, struct slice bytes)
{
	struct object_request *rq = arg;

	return rq->status < 300 ? rq->on_bytes(rq->arg, bytes) : buf_append(&rq->refusal, bytes);
}

void object_request_finish(struct object_request *rq)
{
	buf_finish(&rq->refusal);
	http_result_finish(&rq->answer);
	arena_finish(&rq->arena);
}

int object_request_run(struct object_call *o, struct object_request *rq, struct object_answer *ret_xml)
{
	const struct object_store *store = o->store;
	enum object_dialect d = object_dialect_of(o);
	struct http_call call = {.method = rq->method, .body = rq->body, .has_body = rq->has_body, .timeout_ms = REQUEST_MS,
	    .connect_ms = CONNECT_MS, .slow_bytes_per_s = SLOW_BYTES_PER_S, .slow_s = SLOW_S, .stopping = o->stopping,
	    .ca_file = store->ca_file, .answer_max = OBJECT_XML_MAX};
	const char *lines[OBJECT_HEADERS_MAX + 2];
	struct slice path, authorization = {0};
	int rc;

	rq->arena = (struct arena)ARENA_INIT(OBJECT_SCRATCH_MAX);
	rq->answer = (struct http_result){0};
	rq->refusal = (struct buf)BUF_INIT(OBJECT_XML_MAX);
	object_request_header(rq, "host", slice_str(store->host));
	if (store->keys.session_token.len > 0)
		object_request_header(rq, object_words[d].token, store->keys.session_token);
	rc = object_request_path(o, rq, &path);
	if (rc == 0)
		rc = d == OBJECT_COS ? sign_cos(o, rq, &authorization) : sign_v4(o, rq, path, &authorization);
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

int object_keep(struct object_call *o, struct slice text, struct slice *ret)
{
	*ret = arena_dup(o->arena, text);
	return ret->ptr == NULL ? ERR_NOMEM : 0;
}
