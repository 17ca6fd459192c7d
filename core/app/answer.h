/*
 * What the API's handlers share: positions in headers, formats by Accept,
 * problems in the one form. Loop threads.
 */
#ifndef LULAB_APP_ANSWER_H
#define LULAB_APP_ANSWER_H

#include "domain/schema.h"
#include "net/http.h"
#include "store/query.h"

/* A read asks to see at least this event, or all there are by now ("newest"): header Lulab-Min-Position. */
#define MIN_POSITION_WAIT_MS 2000

/*
 * Reads the header. True also when it is absent (*ret_has false); false when
 * it is neither a number nor "newest", and the 400 was sent.
 */
bool answer_min_position(struct http_request *rq, bool *ret_has, uint64_t *ret_position);

/* Lulab-Position: the newest event that is in the answer. `count` events are; 0 tells nothing. */
void answer_position(struct http_request *rq, uint64_t count);

/* JSON, NDJSON or CSV, whichever Accept likes best; JSON when it allows none of them. */
enum query_format answer_format(const struct http_request *rq);
const char *answer_content_type(enum query_format format);

/* 400 with all problems. */
void answer_problems(struct http_request *rq, const struct problems *problems);
void answer_list_problems(struct http_request *rq, const struct list_problem *problems, size_t n);

/* What a failed query says. ERR_NOT_FOUND is answered with `missing` (a sentence), the rest by its kind. */
void answer_query_failure(struct http_request *rq, int rc, const char *missing);

/* {"data":<json>} with 200; takes json's bytes into the answer. */
void answer_data(struct http_request *rq, struct slice json);

#endif
