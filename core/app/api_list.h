/*
 * A list of a read model as an answer: one page as JSON, or the whole list as
 * NDJSON or CSV, streamed piece by piece with the cursor of the piece before.
 * Used by every api_*.c; a route only names its list.
 */
#ifndef LULAB_APP_API_LIST_H
#define LULAB_APP_API_LIST_H

#include "net/http.h"
#include "store/query.h"

/* A filter the path decides ("meetingId"), not the query string. */
struct list_fixed {
	const char *filter; /* name of one of the list's filters */
	struct slice value; /* lives as long as the request */
};

/* For the OpenAPI document: route.extra of a list's route. */
struct api_list_doc {
	const char *list;
	const char *fixed; /* filter the path decides, or NULL */
};

/*
 * Answers rq with the list of that name (of the read models; asserted):
 * {"data":[...],"pagination":{page,limit,total,totalPages,nextCursor}}. Query
 * parameters are the list's own, all problems told at once. fixed may be NULL.
 */
void api_list(struct http_request *rq, const char *list, const struct list_fixed *fixed, size_t n_fixed);

/* The rows of a list that are the caller's own: those whose filter names their account. 400 to callers without one. */
void api_list_own(struct http_request *rq, const char *list, const char *filter);

/* Answers with the one row of a named query whose parameter `id` is that, or 404 with `missing`. */
void api_one(struct http_request *rq, const char *query, struct slice id, const char *missing, bool bare);

#endif
