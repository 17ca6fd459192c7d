/*
 * What the resources of administration share (functional-spec 13): their routes
 * at two places, pages and trees as answers, and changes of a part of an object.
 * The objects themselves are made by the read model (projections/identity.sql).
 */
#ifndef LULAB_APP_API_ADMIN_H
#define LULAB_APP_API_ADMIN_H

#include "app/action.h"
#include "app/rights.h"

#define TREE_DEPTH_MAX 32

/* Where existing clients look, and under /api/v1. scoped: ROUTE_SCOPED or 0. */
#define ADMIN_ROUTES(...) ADMIN_ROUTES_BOTH(__VA_ARGS__)
#define ADMIN_ROUTES_BOTH(method, path, handler, permission, scoped, ...) \
	{method, "/admin" path, handler, permission, .flags = (scoped) | ROUTE_NO_ETAG, __VA_ARGS__}, \
	{method, "/api/v1" path, handler, permission, .flags = (scoped) | ROUTE_NO_ETAG, __VA_ARGS__}

/* A new id, in the arena; empty: no memory, and the error is set. */
struct slice admin_new_id(struct action *c);
/* An id made of these, always the same. */
struct slice admin_id_of(struct action *c, struct slice what, struct slice a, struct slice b);

/* Query parameters into the struct of their schema; false: the 400 is set. */
bool admin_params(struct action *c, const struct schema *schema, void *ret);

/*
 * Answers with one page: the named query gives a row {total, items}. Its parameters limit and offset are added here;
 * params has room for two more. Existing clients get {items, total, page, pageSize, totalPages}, /api/v1 what all its lists are.
 */
void admin_page(struct action *c, const char *query, struct action_param *params, size_t n_params, int64_t page,
    int64_t page_size);

/* Rows {id, parent, object} as {items} or {data}: the objects, each with its children. What has no parent among them is a root. */
void admin_tree(struct action *c, struct json_value rows);

/* The member `object` of the row that a query finds by id; false: the error is set. */
bool admin_answer_row(struct action *c, int status, const char *query, struct slice id);

/* A refusal by a rule: 400 with the text existing clients know. */
bool admin_refuse(struct action *c, const char *code, const char *text);
/* A name that is in use: 400 for existing clients, 409 under /api/v1. */
bool admin_taken(struct action *c, const char *text);
bool admin_missing(struct action *c, const char *text);

/* False: the 404 is set. */
bool admin_org_exists(struct action *c, struct slice org);
/* The member of this id for who may; false: the 403 or 404 is set. Whether there is one is told to nobody else. */
#define MEMBER_NOT_FOUND "Member not found"
bool admin_find_member(struct action *c, const char *permission, struct slice id, struct json_value *ret,
    enum data_scope *ret_scope);

/* Does the body say null for this member? (Absent leaves a value, null empties it.) */
bool admin_body_empties(struct action *c, const char *name);
/* What a text is after the change. Empty texts are none. */
struct slice admin_text(struct action *c, const char *name, struct slice in_body, struct slice before);

/* The JSON array of texts as slices in the arena; false: the error is set. */
bool admin_texts(struct action *c, struct json_value array, struct slice **ret_items, size_t *ret_n);
/* And back, as JSON. */
struct slice admin_json_texts(struct action *c, const struct slice *items, size_t n);
/* That member of a row, an array, as its JSON text; [] when absent. */
struct slice admin_row_json(struct json_value row, const char *name);

/*
 * May `id` get this parent? line: a named query of the rows {id, n} from the parent up; below: the one that tells how
 * deep the tree under :id is, or NULL for something new. False: circle or depth, and the 400 is set.
 */
bool admin_check_parent(struct action *c, const char *line, const char *below, struct slice id, struct slice parent,
    const char *circle);

/* Appends; false: the answer is set. taken: what to say when one of the names is in use. */
bool admin_append(struct action_events *e, const char *taken);

#endif
