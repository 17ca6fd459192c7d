/*
 * Answers that a client has already. A 304 that first makes the whole answer to
 * hash it saves the network and nothing else; here a loop remembers which tag
 * the answer to a question had while the read model stood at which position. As
 * long as it stands there, the question is answered 304 without being asked.
 *
 * A loop's own, a table of fixed size: a newer question takes an older one's place.
 */
#ifndef LULAB_APP_KNOWN_H
#define LULAB_APP_KNOWN_H

#include "net/http.h"
#include "store/query.h"

struct known;
struct rng;

int known_create(struct known **ret, const struct rng *rng);
void known_destroy(struct known *k); /* NULL is fine */

/* Before a query is started: answers 304 and gives true when the client's If-None-Match names what it would get. */
bool known_answer(struct http_request *rq, const struct projection *model, enum query_format format);
/* Before the 200 of a query: gives the answer its ETag and remembers it. */
void known_note(struct http_request *rq, const struct query *q, struct slice body);

#endif
