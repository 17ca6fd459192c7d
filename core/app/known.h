/*
 * Answers that are known already. A 304 that first makes the whole answer to
 * hash it saves the network and nothing else; here a loop remembers which tag
 * the answer to a question had while the read model stood at which position. As
 * long as it stands there, the question is answered 304 without being asked.
 *
 * A question that came before, at whatever position, is likely to come again:
 * the JSON of its answer is kept as well, and until the next event it is given
 * to who has not got it yet.
 *
 * A loop's own, a table of fixed size with at most 4 MiB of answers: a newer
 * question takes an older one's place.
 */
#ifndef LULAB_APP_KNOWN_H
#define LULAB_APP_KNOWN_H

#include "net/http.h"
#include "store/query.h"

struct known;
struct rng;

int known_create(struct known **ret, const struct rng *rng);
void known_destroy(struct known *k); /* NULL is fine */

/* Before a query is started: answers and gives true when what the client would get is known: 304 when its
 * If-None-Match names it, else 200 when it is kept. Not for who demands a position. */
bool known_answer(struct http_request *rq, const struct projection *model, enum query_format format);
/* Before the 200 of a query: gives the answer its ETag and remembers it. */
void known_note(struct http_request *rq, const struct query *q, struct slice body);

#endif
