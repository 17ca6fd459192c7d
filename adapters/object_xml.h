/*
 * The XML of object storage that we send and read: multipart uploads and
 * errors. Pure functions, any thread; the same for S3, OSS and COS. What is read is hostile
 * until it is read: no DTD (so no entities but XML's own five), a depth and a length
 * that end it, names without their prefix.
 *
 * Sources: vendor-protocols 6.5.
 */
#ifndef LULAB_ADAPTERS_OBJECT_XML_H
#define LULAB_ADAPTERS_OBJECT_XML_H

#include "answer_class.h"
#include "base/arena.h"
#include "base/buf.h"

#define OBJECT_PARTS_MAX 10000
#define OBJECT_XML_MAX (4 << 20) /* 1000 parts a page are some 300 KiB */

struct object_part {
	int64_t number; /* 1 to OBJECT_PARTS_MAX */
	struct slice etag; /* with its quotes, as the vendor gave it */
	int64_t size;   /* bytes; 0 when not told */
};

/*
 * <CompleteMultipartUpload>, appended to out. ERR_INVALID: no parts, more than
 * OBJECT_PARTS_MAX, numbers that do not rise, an ETag that is empty or not printable ASCII.
 */
int object_complete_body(struct buf *out, const struct object_part *parts, size_t n);

enum object_answer_kind {
	OBJECT_ERROR,     /* code, message, request_id. Also comes with HTTP 200, after a Complete */
	OBJECT_INITIATED, /* upload_id */
	OBJECT_COMPLETED, /* etag */
	OBJECT_PARTS,     /* parts, truncated, next_marker */
};

struct object_answer {
	enum object_answer_kind kind;
	struct slice upload_id, etag;
	struct slice code, message, request_id;
	struct object_part *parts;
	size_t n_parts;
	bool truncated;      /* ask again with part-number-marker = next_marker */
	int64_t next_marker;
};

/*
 * Texts lie in the arena. ERR_MALFORMED: not XML, a DTD, too deep, or a member missing
 * that the kind must have, or a number that is none. ERR_UNSUPPORTED: another
 * root. ERR_TOO_BIG: longer than OBJECT_XML_MAX, or too many parts. ERR_NOMEM.
 */
int object_answer_parse(struct slice xml, struct arena *a, struct object_answer *ret);

/* By HTTP status and the error's code ("" when there was no body, as after HEAD). */
enum answer_class object_answer_class(int status, struct slice code);

#endif
