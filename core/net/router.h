/*
 * From a path to a row of a routing table. The tables are folded into a tree
 * of path segments at the start; a literal segment is preferred to a {name}.
 */
#ifndef LULAB_NET_ROUTER_H
#define LULAB_NET_ROUTER_H

#include "net/http.h"

struct router_node;

struct router {
	struct arena arena;
	struct router_node *root;
};

struct router_match {
	const struct route *route;                /* NULL: nothing, or not with this method */
	unsigned methods;                         /* bit per enum http_method that the path has */
	struct http_field params[HTTP_PARAMS_MAX];
	size_t n_params;
};

/* ERR_INVALID for a malformed path or the same route twice, *ret_bad then names it; ERR_NOMEM. */
int router_init(struct router *r, const struct route *const *tables, const struct route **ret_bad);
void router_finish(struct router *r);

/* path is decoded; one trailing slash is ignored. Values point into it. */
void router_find(const struct router *r, enum http_method method, struct slice path, struct router_match *ret);

/* "GET, HEAD, OPTIONS" for a set of methods; static buffers are not used: text lives in the arena. */
struct slice router_allow(unsigned methods, struct arena *arena);

#endif
