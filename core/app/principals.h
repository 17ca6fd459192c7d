/*
 * From an access token or an API key to who is calling and what they may do.
 *
 * A key may what its scopes name and its owner may at this moment, within its
 * time, its rate and the addresses it is for. It is no log-in: routes that ask
 * for no permission but a log-in refuse it, but for those with ROUTE_KEYS.
 *
 * What an account may do is told by the read model `identity`, asked once per
 * session or key and loop and then remembered, until an event that changes anybody's
 * rights or ends a session has been appended: app->access_epoch counts them.
 * So a revocation works from the moment it is durable.
 *
 * A loop's own, a table of fixed size: a newer one takes an older one's place.
 */
#ifndef LULAB_APP_PRINCIPALS_H
#define LULAB_APP_PRINCIPALS_H

#include "app/auth.h"

struct principals;

int principals_create(struct principals **ret); /* ERR_NOMEM */
void principals_destroy(struct principals *p);  /* NULL is fine */

/* When its request has been answered. */
void principals_release(const struct http_request *rq);

/* http_options.authorize and authorize_later. */
int principals_authorize(void *app, struct http_request *rq, const char **ret_detail);
void principals_authorize_later(void *app, struct http_request *rq);

#endif
