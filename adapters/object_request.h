/*
 * A request to a store that is elsewhere and its answer: what S3, OSS and COS have in common, and where they differ. Used by what
 * asks (object_remote.c) and by links (object_link.c).
 */
#ifndef LULAB_ADAPTERS_OBJECT_REQUEST_H
#define LULAB_ADAPTERS_OBJECT_REQUEST_H

#include "adapters/object_private.h"
#include "net/http_client.h"

#define OBJECT_HEADERS_MAX 12
#define OBJECT_SCRATCH_MAX ((size_t)16 << 20)

enum object_dialect { OBJECT_S3, OBJECT_OSS, OBJECT_COS };

/* Names that differ. */
struct object_words {
	const char *date, *content_hash, *token, *meta_sha256, *crc, *request_id;
};
extern const struct object_words object_words[];

enum object_dialect object_dialect_of(const struct object_call *o);

struct object_request {
	const char *method;
	struct slice key;
	struct wire_pair query[4];
	size_t n_query;
	struct wire_pair headers[OBJECT_HEADERS_MAX]; /* those of the signature are added */
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

struct wire_pair object_request_pair(const char *name, struct slice value);
void object_request_header(struct object_request *rq, const char *name, struct slice value);
/* "/bucket/key" or "/key", encoded, in the request's arena. */
int object_request_path(const struct object_call *o, struct object_request *rq, struct slice *ret);

/* One request, signed, and its answer, which stays in rq until object_request_finish(), to be called in any case. ret_xml may be NULL. */
int object_request_run(struct object_call *o, struct object_request *rq, struct object_answer *ret_xml);
void object_request_finish(struct object_request *rq);

/* A copy in the call's arena. */
int object_keep(struct object_call *o, struct slice text, struct slice *ret);

/* A URL that carries its permission; see object_presign(). */
int object_link_make(struct object_call *o, struct slice key, const struct object_link *link, const char **ret_url);

#endif
