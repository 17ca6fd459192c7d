/*
 * The routing tree: a node a segment, literal children in a list (a handful
 * each), at most one child that takes any segment. See router.h.
 */
#include "net/router.h"

#include <assert.h>

#include "base/err.h"

#define ROUTER_BYTES_MAX (1u << 20)

struct router_node {
	struct slice segment; /* "{}" stands for any */
	struct router_node *children, *next;
	struct router_node *any;
	const struct route *routes[HTTP_METHOD_COUNT];
};

static const char *const method_names[HTTP_METHOD_COUNT] = {
	[HTTP_GET] = "GET, HEAD", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT", [HTTP_PATCH] = "PATCH",
	[HTTP_DELETE] = "DELETE",
};

static bool is_param(struct slice segment)
{
	return segment.len > 2 && segment.ptr[0] == '{' && segment.ptr[segment.len - 1] == '}';
}

static struct router_node *child(struct router *r, struct router_node *at, struct slice segment)
{
	struct router_node *node;

	if (is_param(segment)) {
		if (at->any == NULL)
			at->any = arena_alloc(&r->arena, sizeof(*at));
		return at->any;
	}
	for (node = at->children; node != NULL; node = node->next)
		if (slice_eq(node->segment, segment))
			return node;
	node = arena_alloc(&r->arena, sizeof(*node));
	if (node == NULL)
		return NULL;
	node->segment = segment;
	node->next = at->children;
	at->children = node;
	return node;
}

static int add(struct router *r, const struct route *route)
{
	struct slice path = slice_str(route->path), segment, rest;
	struct router_node *node = r->root;
	size_t n_params = 0;

	if (path.len == 0 || path.ptr[0] != '/' || route->handler == NULL || route->method >= HTTP_METHOD_COUNT)
		return ERR_INVALID;
	rest = slice_of(path.ptr + 1, path.len - 1);
	while (rest.len > 0) {
		slice_cut(rest, '/', &segment, &rest);
		if (segment.len == 0)
			return ERR_INVALID;
		n_params += is_param(segment);
		node = child(r, node, segment);
		if (node == NULL)
			return ERR_NOMEM;
	}
	if (n_params > HTTP_PARAMS_MAX || node->routes[route->method] != NULL)
		return ERR_INVALID;
	node->routes[route->method] = route;
	return 0;
}

int router_init(struct router *r, const struct route *const *tables, const struct route **ret_bad)
{
	int rc = 0;

	*r = (struct router){.arena = ARENA_INIT(ROUTER_BYTES_MAX)};
	r->root = arena_alloc(&r->arena, sizeof(*r->root));
	if (r->root == NULL)
		return ERR_NOMEM;
	for (; tables != NULL && *tables != NULL && rc == 0; tables++) {
		for (const struct route *route = *tables; route->method != HTTP_NONE; route++) {
			rc = add(r, route);
			if (rc != 0) {
				*ret_bad = route;
				break;
			}
		}
	}
	if (rc != 0)
		router_finish(r);
	return rc;
}

void router_finish(struct router *r)
{
	arena_finish(&r->arena);
	r->root = NULL;
}

struct search {
	enum http_method method;
	struct slice values[HTTP_PARAMS_MAX];
	struct router_match *found;
};

/* Names come from the route, since two routes may name the same place differently. */
static void take(struct search *s, const struct route *route, size_t n_values)
{
	struct slice rest = slice_str(route->path), segment;
	size_t n = 0;

	while (rest.len > 0) {
		slice_cut(rest, '/', &segment, &rest);
		if (!is_param(segment))
			continue;
		assert(n < n_values);
		s->found->params[n].name = slice_of(segment.ptr + 1, segment.len - 2);
		s->found->params[n].value = s->values[n];
		n++;
	}
	s->found->n_params = n;
	s->found->route = route;
}

/* Depth is bounded by the tree's, which is bounded by the tables'. */
static void descend(struct search *s, const struct router_node *node, struct slice rest, bool more, size_t n_values)
{
	struct slice segment;

	if (!more) {
		for (unsigned m = 1; m < HTTP_METHOD_COUNT; m++)
			if (node->routes[m] != NULL)
				s->found->methods |= 1u << m;
		if (node->routes[s->method] != NULL)
			take(s, node->routes[s->method], n_values);
		return;
	}
	more = slice_cut(rest, '/', &segment, &rest);
	if (segment.len == 0 || slice_is(segment, ".") || slice_is(segment, ".."))
		return;
	for (const struct router_node *c = node->children; c != NULL; c = c->next) {
		if (slice_eq(c->segment, segment)) {
			descend(s, c, rest, more, n_values);
			break;
		}
	}
	if (s->found->route != NULL || node->any == NULL || n_values == HTTP_PARAMS_MAX)
		return;
	s->values[n_values] = segment;
	descend(s, node->any, rest, more, n_values + 1);
}

void router_find(const struct router *r, enum http_method method, struct slice path, struct router_match *ret)
{
	struct search s = {.method = method, .found = ret};

	ret->route = NULL;
	ret->methods = 0;
	ret->n_params = 0;
	if (path.len == 0 || path.ptr[0] != '/')
		return;
	if (path.len > 1 && path.ptr[path.len - 1] == '/')
		path.len--;
	descend(&s, r->root, slice_of(path.ptr + 1, path.len - 1), path.len > 1, 0);
}

struct slice router_allow(unsigned methods, struct arena *arena)
{
	char *text = arena_alloc(arena, 64);
	size_t len = 0;

	if (text == NULL)
		return SLICE("OPTIONS");
	for (unsigned m = 1; m < HTTP_METHOD_COUNT; m++) {
		size_t n;

		if ((methods & 1u << m) == 0)
			continue;
		n = strlen(method_names[m]);
		memcpy(text + len, method_names[m], n);
		memcpy(text + len + n, ", ", 2);
		len += n + 2;
	}
	memcpy(text + len, "OPTIONS", 7);
	return slice_of(text, len + 7);
}
