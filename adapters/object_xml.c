/* Multipart uploads' XML, written by hand and read with expat. */
#include "object_xml.h"

#include <expat.h>

#include "base/codec.h"
#include "base/err.h"

#define DEPTH_MAX 8
#define TEXT_MAX 4096 /* of one element that we read */

/* --- writing ------------------------------------------------------------------- */

static bool printable(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < ' ' || text.ptr[i] > '~')
			return false;
	return text.len > 0;
}

int object_complete_body(struct buf *out, const struct object_part *parts, size_t n)
{
	if (n == 0 || n > OBJECT_PARTS_MAX)
		return ERR_INVALID;
	for (size_t i = 0; i < n; i++)
		if (parts[i].number < 1 || parts[i].number > OBJECT_PARTS_MAX || !printable(parts[i].etag) ||
		    (i > 0 && parts[i].number <= parts[i - 1].number))
			return ERR_INVALID;
	buf_append_str(out, "<CompleteMultipartUpload>");
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, "<Part><PartNumber>%lld</PartNumber><ETag>", (long long)parts[i].number);
		markup_escape(out, parts[i].etag);
		buf_append_str(out, "</ETag></Part>");
	}
	return buf_append_str(out, "</CompleteMultipartUpload>");
}

/* --- reading --------------------------------------------------------------------- */

static const struct { const char *root; enum object_answer_kind kind; } roots[] = {
	{"Error", OBJECT_ERROR},
	{"InitiateMultipartUploadResult", OBJECT_INITIATED},
	{"CompleteMultipartUploadResult", OBJECT_COMPLETED},
	{"ListPartsResult", OBJECT_PARTS},
};

struct reading {
	XML_Parser parser;
	struct arena *arena;
	struct object_answer answer;
	struct buf text;
	struct object_part part; /* under way */
	size_t parts_cap;
	unsigned depth;
	bool in_part;
	bool has_marker;
	int rc;
};

static void stop(struct reading *r, int rc)
{
	if (r->rc == 0)
		r->rc = rc;
	XML_StopParser(r->parser, XML_FALSE);
}

static struct slice local(const char *name)
{
	const char *colon = strrchr(name, ':');

	return slice_str(colon == NULL ? name : colon + 1);
}

static void on_doctype(void *arg, const char *name, const char *system, const char *public, int internal)
{
	(void)name, (void)system, (void)public, (void)internal;
	stop(arg, ERR_MALFORMED);
}

static void on_start(void *arg, const char *name, const char **attributes)
{
	struct reading *r = arg;
	struct slice is = local(name);
	bool known = false;

	(void)attributes;
	buf_clear(&r->text);
	if (r->depth == 0) {
		for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
			if (slice_is(is, roots[i].root)) {
				r->answer.kind = roots[i].kind;
				known = true;
			}
		}
		if (!known)
			stop(r, ERR_UNSUPPORTED);
	} else if (r->depth == 1 && r->answer.kind == OBJECT_PARTS && slice_is(is, "Part")) {
		r->in_part = true;
		r->part = (struct object_part){0};
	}
	if (++r->depth > DEPTH_MAX)
		stop(r, ERR_MALFORMED);
}

static void on_text(void *arg, const char *text, int len)
{
	struct reading *r = arg;

	if (r->text.len + (size_t)len > TEXT_MAX)
		stop(r, ERR_MALFORMED);
	else if (buf_append(&r->text, slice_of(text, (size_t)len)) != 0)
		stop(r, r->text.rc);
}

static void keep_text(struct reading *r, struct slice *ret)
{
	if (ret->ptr != NULL) { /* there twice: which one counts? */
		stop(r, ERR_MALFORMED);
		return;
	}
	*ret = arena_dup(r->arena, slice_trim(buf_slice(&r->text)));
	if (ret->ptr == NULL)
		stop(r, ERR_NOMEM);
}

static void keep_number(struct reading *r, int64_t *ret)
{
	if (slice_to_i64(slice_trim(buf_slice(&r->text)), ret) != 0 || *ret < 0)
		stop(r, ERR_MALFORMED);
}

static int grow(struct reading *r)
{
	size_t cap = r->parts_cap == 0 ? 64 : 2 * r->parts_cap;
	struct object_part *parts = arena_calloc(r->arena, cap, sizeof(*parts));

	if (parts == NULL)
		return ERR_NOMEM;
	if (r->answer.n_parts > 0)
		memcpy(parts, r->answer.parts, r->answer.n_parts * sizeof(*parts));
	r->answer.parts = parts;
	r->parts_cap = cap;
	return 0;
}

static void end_part(struct reading *r)
{
	int rc = 0;

	r->in_part = false;
	if (r->part.number < 1 || r->part.number > OBJECT_PARTS_MAX || r->part.etag.len == 0)
		rc = ERR_MALFORMED;
	else if (r->answer.n_parts == OBJECT_PARTS_MAX)
		rc = ERR_TOO_BIG;
	else if (r->answer.n_parts == r->parts_cap)
		rc = grow(r);
	if (rc != 0)
		stop(r, rc);
	else
		r->answer.parts[r->answer.n_parts++] = r->part;
}

static void end_in_part(struct reading *r, struct slice is)
{
	if (slice_is(is, "PartNumber"))
		keep_number(r, &r->part.number);
	else if (slice_is(is, "Size"))
		keep_number(r, &r->part.size);
	else if (slice_is(is, "ETag"))
		keep_text(r, &r->part.etag);
}

static void end_member(struct reading *r, struct slice is)
{
	struct object_answer *answer = &r->answer;
	enum object_answer_kind kind = answer->kind;

	if (kind == OBJECT_ERROR && slice_is(is, "Code"))
		keep_text(r, &answer->code);
	else if (kind == OBJECT_ERROR && slice_is(is, "Message"))
		keep_text(r, &answer->message);
	else if (kind == OBJECT_ERROR && slice_is(is, "RequestId"))
		keep_text(r, &answer->request_id);
	else if ((kind == OBJECT_INITIATED || kind == OBJECT_PARTS) && slice_is(is, "UploadId"))
		keep_text(r, &answer->upload_id);
	else if (kind == OBJECT_COMPLETED && slice_is(is, "ETag"))
		keep_text(r, &answer->etag);
	else if (kind == OBJECT_PARTS && slice_is(is, "IsTruncated"))
		answer->truncated = slice_eq_nocase(slice_trim(buf_slice(&r->text)), SLICE("true"));
	else if (kind == OBJECT_PARTS && slice_is(is, "NextPartNumberMarker") && slice_trim(buf_slice(&r->text)).len > 0) {
		keep_number(r, &answer->next_marker);
		r->has_marker = true;
	}
}

static void on_end(void *arg, const char *name)
{
	struct reading *r = arg;
	struct slice is = local(name);

	r->depth--;
	if (r->in_part && r->depth == 2)
		end_in_part(r, is);
	else if (r->in_part && r->depth == 1)
		end_part(r);
	else if (!r->in_part && r->depth == 1)
		end_member(r, is);
	buf_clear(&r->text);
}

/* Whether what its kind is for was in it. A page that leads nowhere would be asked for for ever. */
static bool complete(const struct reading *r)
{
	const struct object_answer *answer = &r->answer;

	switch (answer->kind) {
	case OBJECT_ERROR:
		return answer->code.len > 0;
	case OBJECT_INITIATED:
		return answer->upload_id.len > 0;
	case OBJECT_COMPLETED:
		return answer->etag.len > 0;
	case OBJECT_PARTS:
		return !answer->truncated || (r->has_marker && answer->next_marker > 0 && answer->n_parts > 0);
	}
	return false;
}

int object_answer_parse(struct slice xml, struct arena *a, struct object_answer *ret)
{
	struct reading r = {.arena = a, .text = BUF_INIT(TEXT_MAX + 1)};

	if (xml.len > OBJECT_XML_MAX)
		return ERR_TOO_BIG;
	r.parser = XML_ParserCreate("UTF-8");
	if (r.parser == NULL)
		return ERR_NOMEM;
	XML_SetUserData(r.parser, &r);
	XML_SetElementHandler(r.parser, on_start, on_end);
	XML_SetCharacterDataHandler(r.parser, on_text);
	XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
	if (XML_Parse(r.parser, xml.len == 0 ? "" : xml.ptr, (int)xml.len, XML_TRUE) != XML_STATUS_OK && r.rc == 0)
		r.rc = XML_GetErrorCode(r.parser) == XML_ERROR_NO_MEMORY ? ERR_NOMEM : ERR_MALFORMED;
	XML_ParserFree(r.parser);
	buf_finish(&r.text);
	if (r.rc == 0 && !complete(&r))
		r.rc = ERR_MALFORMED;
	if (r.rc == 0)
		*ret = r.answer;
	return r.rc;
}

/* --- what an error means ------------------------------------------------------------ */

static const struct { const char *code; enum answer_class is; } codes[] = {
	{"SlowDown", ANSWER_RETRY},
	{"InternalError", ANSWER_RETRY},
	{"ServiceUnavailable", ANSWER_RETRY},
	{"RequestTimeout", ANSWER_RETRY},
	{"OperationAborted", ANSWER_RETRY},
	{"RequestTimeTooSkewed", ANSWER_AFRESH},
	{"PreconditionFailed", ANSWER_DUPLICATE}, /* If-None-Match: the object is there */
	{"FileAlreadyExists", ANSWER_DUPLICATE},  /* OSS, forbid-overwrite */
	{"SignatureDoesNotMatch", ANSWER_CONFIG},
	{"InvalidAccessKeyId", ANSWER_CONFIG},
	{"AccessDenied", ANSWER_CONFIG},
	{"ExpiredToken", ANSWER_CONFIG},
	{"InvalidSecurityToken", ANSWER_CONFIG},
	{"NoSuchBucket", ANSWER_CONFIG},
	{"NoSuchKey", ANSWER_REFUSED},
	{"NoSuchUpload", ANSWER_REFUSED},
};

enum answer_class object_answer_class(int status, struct slice code)
{
	enum answer_class by_status;

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (slice_is(code, codes[i].code))
			return codes[i].is;
	by_status = answer_class_of_status(status);
	if (by_status == ANSWER_LIMIT) /* no quota is behind it here, only haste */
		return ANSWER_RETRY;
	return by_status == ANSWER_OK && code.len > 0 ? ANSWER_REFUSED : by_status;
}
