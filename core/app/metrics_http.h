/*
 * What the HTTP server did, counted per loop so that no two threads write the
 * same cache line: requests by method, route and status, and how long they
 * took. A scrape adds the loops up.
 */
#ifndef LULAB_APP_METRICS_HTTP_H
#define LULAB_APP_METRICS_HTTP_H

#include "metrics_text.h"
#include "net/http.h"

struct metrics_http; /* opaque; one per loop */

/* ERR_NOMEM. */
int metrics_http_create(struct metrics_http **ret);
void metrics_http_destroy(struct metrics_http *m);

/* On the loop of `m`. Past the table's size requests are counted as route "other". */
void metrics_http_count(struct metrics_http *m, const struct http_request *rq, const struct http_outcome *outcome);

/* Any thread; http_requests_total and http_request_duration_seconds over all n loops. NULL entries are skipped. */
void metrics_http_write(struct buf *out, struct metrics_http *const *loops, size_t n);

#endif
