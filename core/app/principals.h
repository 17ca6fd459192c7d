/*
 * From an access token to who is calling and what they may do.
 *
 * What an account may do is told by the read model `identity`, asked once per
 * session and loop and then remembered, until an event that changes anybody's
 * rights or ends a session has been appended: app->access_epoch counts them.
 * So a revocation works from the moment it is durable.
 *
 * A loop's own, a table of fixed size: a newer session takes an older one's place.
 */
#ifndef LULAB_APP_PRINCIPALS_H
#define LULAB_APP_PRINCIPALS_H

#include "app/auth.h"

struct principals;

int principals_create(struct principals **ret); /* ERR_NOMEM */
void principals_destroy(struct principals *p);  /* NULL is fine */

/* http_options.authorize and authorize_later. */
int principals_authorize(void *app, struct http_request *rq, const char **ret_detail);
void principals_authorize_later(void *app, struct http_request *rq);

#endif
