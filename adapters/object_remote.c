/*
 * The stores that are elsewhere: S3 and what speaks its protocol, OSS, COS. They differ in their signatures and in a
 * few names (object_request.h); multipart uploads, and what is compared with what was sent, are the same.
 */
#include "object_request.h"

#include <inttypes.h>
#include <stdio.h>

#include "adapters/crc64.h"
#include "base/codec.h"
#include "base/err.h"

/* ---- what was received against what was sent -------------------------------------------------------- */

/* The store compares it with what arrived: an ETag is the same only where the store does not encrypt. */
static void content_md5(char ret[BASE64_LEN(MD5_LEN) + 1], struct slice bytes)
{
	uint8_t digest[MD5_LEN];

	md5(digest, &bytes, 1);
	base64_encode_to(ret, digest, sizeof(digest));
}

/* OSS and COS tell the CRC-64 of what they have. */
static int compare_crc(struct object_call *o, struct object_request *rq, uint64_t crc)
{
	const char *name = object_words[object_dialect_of(o)].crc;
	struct slice text;
	uint64_t told;

	if (name == NULL || !http_result_header(&rq->answer, name, &text) || slice_to_u64(text, &told) != 0 || told == crc)
		return 0;
	return object_fail(o, ERR_CORRUPT, "What the object store has is not what was sent.");
}

/*
 * An S3 ETag of 32 hex digits is the MD5 of what arrived, unless the store encrypts with keys it manages, which it then says.
 */
static int compare_etag(struct object_call *o, struct object_request *rq, struct slice bytes)
{
	struct slice etag, encryption;
	uint8_t ours[MD5_LEN], theirs[MD5_LEN];

	if (object_dialect_of(o) != OBJECT_S3 || !http_result_header(&rq->answer, "etag", &etag) || etag.len != 2 * MD5_LEN + 2 ||
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
	struct object_request rq = {.method = "PUT", .key = key, .body = bytes, .has_body = true};
	char sum[BASE64_LEN(MD5_LEN) + 1], sha256_hex[HEX_SHA256_LEN + 1];
	int rc;

	(void)name;
	content_md5(sum, bytes);
	wire_sha256_hex(sha256_hex, bytes);
	object_request_header(&rq, "content-md5", slice_str(sum));
	object_request_header(&rq, object_words[object_dialect_of(o)].meta_sha256, slice_str(sha256_hex));
	if (content_type.len > 0)
		object_request_header(&rq, "content-type", content_type);
	rc = object_request_run(o, &rq, NULL);
	if (rc == 0)
		rc = compare_crc(o, &rq, crc64(0, bytes));
	if (rc == 0)
		rc = compare_etag(o, &rq, bytes);
	object_request_finish(&rq);
	return rc;
}

static int begin(struct object_call *o, struct slice key, struct slice content_type, const char *name, struct slice *ret_id)
{
	struct object_request rq = {.method = "POST", .key = key, .has_body = true, .query = {object_request_pair("uploads", SLICE(""))}, .n_query = 1};
	struct object_answer xml;
	int rc;

	(void)name;
	if (content_type.len > 0)
		object_request_header(&rq, "content-type", content_type);
	rc = object_request_run(o, &rq, &xml);
	if (rc == 0 && xml.kind != OBJECT_INITIATED)
		rc = object_fail(o, ERR_UNAVAILABLE, "The object store did not say what it calls the upload.");
	if (rc == 0)
		rc = object_keep(o, xml.upload_id, ret_id);
	object_request_finish(&rq);
	return rc;
}

static int part(struct object_call *o, struct slice key, struct slice id, const struct object_piece *piece, struct slice *ret_etag)
{
	char number[16], sum[BASE64_LEN(MD5_LEN) + 1];
	struct object_request rq = {.method = "PUT", .key = key, .body = piece->bytes, .has_body = true,
	    .query = {object_request_pair("partNumber", slice_of(number, (size_t)snprintf(number, sizeof(number), "%u", piece->number))),
	        object_request_pair("uploadId", id)}, .n_query = 2};
	struct slice etag = {0};
	int rc;

	content_md5(sum, piece->bytes);
	object_request_header(&rq, "content-md5", slice_str(sum));
	rc = object_request_run(o, &rq, NULL);
	if (rc == 0)
		rc = compare_crc(o, &rq, crc64(0, piece->bytes));
	if (rc == 0)
		rc = compare_etag(o, &rq, piece->bytes);
	if (rc == 0 && !http_result_header(&rq.answer, "etag", &etag))
		rc = object_fail(o, ERR_UNAVAILABLE, "The object store did not say what it calls the part.");
	if (rc == 0)
		rc = object_keep(o, etag, ret_etag);
	object_request_finish(&rq);
	return rc;
}

/* A page of the parts; *marker moves behind them. */
static int list_parts(struct object_call *o, struct slice key, struct slice id, int64_t *marker, bool *ret_more,
    const struct object_part *parts, size_t n, size_t *same)
{
	char text[24];
	struct object_request rq = {.method = "GET", .key = key, .query = {object_request_pair("uploadId", id),
	    object_request_pair("part-number-marker", slice_of(text, (size_t)snprintf(text, sizeof(text), "%" PRId64, *marker)))},
	    .n_query = *marker > 0 ? 2 : 1};
	struct object_answer xml;
	int rc = object_request_run(o, &rq, &xml);

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
	object_request_finish(&rq);
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
	struct object_request rq = {.method = "HEAD", .key = key};
	struct object_head head = {.content_type = {"", 0}, .etag = {"", 0}};
	struct slice text;
	int rc = object_request_run(o, &rq, NULL);

	if (rc == 0 && (!http_result_header(&rq.answer, "content-length", &text) || slice_to_u64(text, &head.size) != 0))
		rc = object_fail(o, ERR_UNAVAILABLE, "The object store did not say how long an object is.");
	if (rc == 0 && http_result_header(&rq.answer, "content-type", &text))
		rc = object_keep(o, text, &head.content_type);
	if (rc == 0 && http_result_header(&rq.answer, "etag", &text))
		rc = object_keep(o, text, &head.etag);
	if (rc == 0)
		*ret = head;
	object_request_finish(&rq);
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
	struct object_request rq = {.method = "POST", .key = key, .has_body = true, .query = {object_request_pair("uploadId", id)}, .n_query = 1};
	struct object_answer xml = {0};
	int rc = object_complete_body(&body, parts, n);

	rq.body = buf_slice(&body);
	if (rc == 0) {
		object_request_header(&rq, "content-type", SLICE("application/xml"));
		rc = object_request_run(o, &rq, &xml);
		if (rc == 0)
			rc = compare_crc(o, &rq, whole->crc);
		object_request_finish(&rq);
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
	struct object_request rq = {.method = "DELETE", .key = key, .query = {object_request_pair("uploadId", id)}, .n_query = 1};
	int rc = object_request_run(o, &rq, NULL);

	object_request_finish(&rq);
	return rc;
}

static int get(struct object_call *o, struct slice key, uint64_t from, uint64_t len,
    int (*on_bytes)(void *arg, struct slice bytes), void *arg)
{
	struct object_request rq = {.method = "GET", .key = key, .on_bytes = on_bytes, .arg = arg, .from_middle = from > 0};
	char range[64];
	int rc;

	if (from > 0 || len > 0) {
		if (len > 0)
			snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, from, from + len - 1);
		else
			snprintf(range, sizeof(range), "bytes=%" PRIu64 "-", from);
		object_request_header(&rq, "range", slice_str(range));
	}
	rc = object_request_run(o, &rq, NULL);
	object_request_finish(&rq);
	return rc;
}

/* The store says the same whether it was there or not; some tell it. */
static int remove_object(struct object_call *o, struct slice key)
{
	struct object_request rq = {.method = "DELETE", .key = key};
	int rc = object_request_run(o, &rq, NULL);

	object_request_finish(&rq);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

#define REMOTE(name) \
	{ \
		.provider = name, .with_http = true, .put = put, .begin = begin, .part = part, .check = check, .complete = complete, \
		.abandon = abandon, .head = head, .get = get, .remove = remove_object, .presign = object_link_make, \
	}

const struct object_kind object_kind_s3 = REMOTE("S3"), object_kind_oss = REMOTE("OSS"), object_kind_cos = REMOTE("COS");
