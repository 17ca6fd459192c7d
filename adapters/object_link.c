/* Links to objects of stores that are elsewhere: URLs that carry their own permission. */
#include "object_request.h"

#include "adapters/cos_wire.h"
#include "base/codec.h"
#include "base/err.h"

static int sign_link_v4(struct object_call *o, struct object_request *rq, struct slice path, int64_t expires_s, struct slice *ret)
{
	char date[SIGV4_DATE_LEN + 1];
	struct sigv4_presign to_sign = {.scheme = object_dialect_of(o) == OBJECT_OSS ? &sigv4_oss : &sigv4_s3, .method = slice_str(rq->method),
	    .scheme_host = slice_str(o->store->base), .path = path, .bucket = object_dialect_of(o) == OBJECT_OSS ? o->store->bucket : SLICE(""),
	    .extra = rq->query, .n_extra = rq->n_query, .date = slice_of(date, SIGV4_DATE_LEN), .expires_s = expires_s};
	struct sigv4_signed s;
	int rc = sigv4_date(date, clock_wall_us(o->clock) / 1000000);

	return rc == 0 ? sigv4_presign(&o->store->keys, &to_sign, &rq->arena, &s, ret) : rc;
}

static int sign_link_cos(struct object_call *o, struct object_request *rq, struct slice path, int64_t expires_s, struct slice *ret)
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

int object_link_make(struct object_call *o, struct slice key, const struct object_link *link, const char **ret_url)
{
	struct object_request rq = {.method = "GET", .key = key, .arena = ARENA_INIT(OBJECT_SCRATCH_MAX)};
	struct slice path, url, kept;
	int rc = object_request_path(o, &rq, &path);

	object_request_header(&rq, "host", slice_str(o->store->host));
	if (link->file_name.len > 0) {
		const char *text = object_disposition(&rq.arena, link->file_name);

		if (text == NULL)
			rc = ERR_NOMEM;
		rq.query[rq.n_query++] = object_request_pair("response-content-disposition", slice_str(text));
	}
	if (link->content_type.len > 0)
		rq.query[rq.n_query++] = object_request_pair("response-content-type", link->content_type);
	if (rc == 0)
		rc = object_dialect_of(o) == OBJECT_COS ? sign_link_cos(o, &rq, path, link->expires_s, &url) :
		    sign_link_v4(o, &rq, path, link->expires_s, &url);
	if (rc == 0)
		rc = object_keep(o, url, &kept);
	if (rc == 0)
		*ret_url = kept.ptr;
	arena_finish(&rq.arena);
	return rc;
}
