/* See api_admin.h. */
#include "app/api_admin.h"

#include "app/api.h"
#include "base/err.h"

/* ---- ids, parameters ------------------------------------------------------------------------ */

static struct slice id_text(struct action *c, const struct id *id)
{
	char *text = arena_alloc(c->arena, ID_TEXT_LEN + 1);

	if (text == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return (struct slice){0};
	}
	id_format(text, id);
	return slice_of(text, ID_TEXT_LEN);
}

struct slice admin_new_id(struct action *c)
{
	struct id id = id_random(c->app->rng);

	return id_text(c, &id);
}

struct slice admin_id_of(struct action *c, struct slice what, struct slice a, struct slice b)
{
	struct slice parts[] = {what, SLICE("\0"), a, SLICE("\0"), b};
	struct id id;

	blake2b(id.bytes, ID_LEN, (struct slice){0}, parts, 5);
	return id_text(c, &id);
}

bool admin_params(struct action *c, const struct schema *schema, void *ret)
{
	struct http_request *rq = c->rq;
	struct schema_pair *params = arena_calloc(c->arena, rq->n_query + 1, sizeof(*params));
	int rc;

	if (params == NULL)
		return action_fail_err(c, ERR_NOMEM);
	for (size_t i = 0; i < rq->n_query; i++)
		params[i] = (struct schema_pair){rq->query[i].name, rq->query[i].value};
	rc = schema_decode_pairs(schema, params, rq->n_query, c->arena, ret, &c->problems);
	if (rc == 0)
		return true;
	if (c->problems.n == 0)
		return action_fail_err(c, rc);
	return action_fail(c, 400, "invalid", "A parameter is not what this path takes; see errors.",
	    arena_printf(c->arena, "请求参数错误: %s", c->problems.items[0].path));
}

/* ---- answers ---------------------------------------------------------------------------------- */

static bool is_v1(const struct action *c)
{
	return slice_starts_with(slice_str(c->rq->route->path), SLICE("/api/v1/"));
}

static struct slice member_json(struct json_value row, const char *name)
{
	struct json_value v;

	return json_member(row, name, &v) ? v.text : SLICE("null");
}

void admin_page(struct action *c, const char *query, struct action_param *params, size_t n_params, int64_t page,
    int64_t page_size)
{
	struct json_value row;
	struct json_writer w;
	int64_t total;
	int rc;

	params[n_params++] = (struct action_param){"limit", {0}, page_size};
	params[n_params++] = (struct action_param){"offset", {0}, (page - 1) * page_size};
	rc = action_row(c, query, params, n_params, &row);
	if (!action_ok(c, rc))
		return;
	total = row_i64(row, "total");
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, is_v1(c) ? "data" : "items");
	json_put_raw(&w, member_json(row, "items"));
	if (is_v1(c)) {
		json_name(&w, "pagination");
		json_begin_object(&w);
	}
	json_name(&w, "total");
	json_put_i64(&w, total);
	json_name(&w, "page");
	json_put_i64(&w, page);
	json_name(&w, is_v1(c) ? "limit" : "pageSize");
	json_put_i64(&w, page_size);
	json_name(&w, "totalPages");
	json_put_i64(&w, (total + page_size - 1) / page_size);
	if (is_v1(c))
		json_end_object(&w);
	json_end_object(&w);
}

struct node {
	struct slice id, parent, object;
};

static void put_children(struct json_writer *w, const struct node *nodes, size_t n, struct slice of, unsigned depth);

/* The object with one more member. */
static void put_node(struct json_writer *w, const struct node *nodes, size_t n, const struct node *node, unsigned depth)
{
	struct json_reader r;
	struct slice name;
	struct json_value v;

	json_begin_object(w);
	json_enter(&r, json_root(node->object));
	while (json_next(&r, &name, &v)) {
		json_name_slice(w, name);
		json_put_raw(w, v.text);
	}
	json_name(w, "children");
	put_children(w, nodes, n, node->id, depth + 1);
	json_end_object(w);
}

static void put_children(struct json_writer *w, const struct node *nodes, size_t n, struct slice of, unsigned depth)
{
	json_begin_array(w);
	for (size_t i = 0; i < n && depth < TREE_DEPTH_MAX; i++)
		if (slice_eq(nodes[i].parent, of))
			put_node(w, nodes, n, &nodes[i], depth);
	json_end_array(w);
}

static bool is_among(const struct node *nodes, size_t n, struct slice id)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(nodes[i].id, id))
			return true;
	return false;
}

void admin_tree(struct action *c, struct json_value rows)
{
	struct json_reader r;
	struct json_value row;
	struct node *nodes;
	struct json_writer w;
	size_t n = 0;

	json_enter(&r, rows);
	while (json_next(&r, NULL, &row))
		n++;
	nodes = arena_calloc(c->arena, n + 1, sizeof(*nodes));
	if (nodes == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	n = 0;
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row))
		nodes[n++] = (struct node){row_text(c, row, "id"), row_text(c, row, "parent"), member_json(row, "object")};
	for (size_t i = 0; i < n; i++)
		if (nodes[i].parent.len > 0 && !is_among(nodes, n, nodes[i].parent))
			nodes[i].parent = (struct slice){0}; /* not to be seen: this is a root */
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, is_v1(c) ? "data" : "items");
	put_children(&w, nodes, n, (struct slice){0}, 0);
	json_end_object(&w);
}

bool admin_answer_row(struct action *c, int status, const char *query, struct slice id)
{
	struct json_value row;
	struct json_writer w;
	int rc = action_row(c, query, (struct action_param[]){{"id", id, 0}}, 1, &row);

	if (rc != 0)
		return action_fail_err(c, rc);
	w = action_answer(c, status);
	json_put_raw(&w, member_json(row, "object"));
	return true;
}

bool admin_refuse(struct action *c, const char *code, const char *text)
{
	return action_fail(c, 400, code, text, text);
}

bool admin_taken(struct action *c, const char *text)
{
	return action_fail(c, is_v1(c) ? 409 : 400, "taken", text, text);
}

bool admin_missing(struct action *c, const char *text)
{
	return action_fail(c, 404, "not_found", text, text);
}

/* ---- what several of them look up ---------------------------------------------------------------- */

bool admin_org_exists(struct action *c, struct slice org)
{
	struct json_value row;
	int rc = action_row(c, "org_by_id", (struct action_param[]){{"id", org, 0}}, 1, &row);

	if (rc == ERR_NOT_FOUND || (rc == 0 && row_bool(row, "deleted")))
		return admin_missing(c, "Organization not found");
	return action_ok(c, rc);
}

static bool member_within(struct action *c, struct json_value row, enum data_scope scope)
{
	struct action_param of[] = {{"caller", caller_id(c), 0}, {"org", row_text(c, row, "org"), 0},
	    {"scope", {0}, (int64_t)scope}, {"id", row_text(c, row, "id"), 0}};
	struct json_value found;
	int rc;

	if (scope >= SCOPE_ORGANIZATION)
		return true;
	rc = action_row(c, "member_in_reach", of, 4, &found);
	if (rc != 0)
		return action_fail_err(c, rc);
	return row_bool(found, "within") ||
	    action_fail(c, 403, "forbidden", "This member is out of your reach.", "没有权限");
}

bool admin_find_member(struct action *c, const char *permission, struct slice id, struct json_value *ret,
    enum data_scope *ret_scope)
{
	int rc = action_row(c, "member_by_id", (struct action_param[]){{"id", id, 0}}, 1, ret);

	if (rc != 0 && rc != ERR_NOT_FOUND)
		return action_fail_err(c, rc);
	if (!rights_in(c, permission, rc == 0 ? row_text(c, *ret, "org") : SLICE("-"), ret_scope))
		return false;
	if (rc == ERR_NOT_FOUND || row_bool(*ret, "deleted"))
		return admin_missing(c, MEMBER_NOT_FOUND);
	return member_within(c, *ret, *ret_scope);
}

/* ---- changing a part ---------------------------------------------------------------------------- */

bool admin_body_empties(struct action *c, const char *name)
{
	struct json_value v;

	return c->rq->body.len > 0 && json_member(json_root(c->rq->body), name, &v) && v.type == JSON_NULL;
}

struct slice admin_text(struct action *c, const char *name, struct slice in_body, struct slice before)
{
	if (in_body.ptr != NULL)
		return in_body.len > 0 ? in_body : (struct slice){0};
	if (admin_body_empties(c, name) || before.len == 0)
		return (struct slice){0};
	return before;
}

bool admin_texts(struct action *c, struct json_value array, struct slice **ret_items, size_t *ret_n)
{
	struct json_reader r;
	struct json_value one;
	struct slice *items;
	size_t n = 0;

	json_enter(&r, array);
	while (json_next(&r, NULL, &one))
		n++;
	items = arena_calloc(c->arena, n + 1, sizeof(*items));
	if (items == NULL)
		return action_fail_err(c, ERR_NOMEM);
	n = 0;
	json_enter(&r, array);
	while (json_next(&r, NULL, &one))
		if (json_string(one, c->arena, &items[n++]) != 0)
			return action_fail_err(c, ERR_NOMEM);
	*ret_items = items;
	*ret_n = n;
	return true;
}

struct slice admin_json_texts(struct action *c, const struct slice *items, size_t n)
{
	struct buf out = BUF_INIT(1 << 20);
	struct json_writer w = JSON_WRITER(&out);
	struct slice text;

	json_begin_array(&w);
	for (size_t i = 0; i < n; i++)
		json_put_string(&w, items[i]);
	json_end_array(&w);
	text = out.rc == 0 ? arena_dup(c->arena, buf_slice(&out)) : (struct slice){0};
	buf_finish(&out);
	if (text.ptr == NULL) {
		action_fail_err(c, ERR_NOMEM);
		return SLICE("[]");
	}
	return text;
}

struct slice admin_row_json(struct json_value row, const char *name)
{
	struct json_value v;

	return json_member(row, name, &v) && v.type == JSON_ARRAY ? v.text : SLICE("[]");
}

bool admin_check_parent(struct action *c, const char *line, const char *below, struct slice id, struct slice parent,
    const char *circle)
{
	struct json_value rows, row;
	struct json_reader r;
	int64_t depth = 0, height = 1;
	int rc = action_rows(c, line, (struct action_param[]){{"id", parent, 0}}, 1, &rows);

	if (rc != 0)
		return action_fail_err(c, rc);
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		if (id.len > 0 && slice_eq(row_text(c, row, "id"), id))
			return admin_refuse(c, "circle", circle);
		depth++;
	}
	if (below != NULL) {
		rc = action_row(c, below, (struct action_param[]){{"id", id, 0}}, 1, &row);
		if (rc != 0)
			return action_fail_err(c, rc);
		height = row_i64(row, "n");
	}
	if (depth + height > TREE_DEPTH_MAX)
		return admin_refuse(c, "too_deep", "The tree would become too deep");
	return true;
}

bool admin_append(struct action_events *e, const char *taken)
{
	int rc = action_append(e);

	if (rc == ERR_TAKEN)
		return admin_taken(e->c, taken);
	return action_ok(e->c, rc);
}
