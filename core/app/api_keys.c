/*
 * API keys (functional-spec 13.7) as they are seen: the lists, one of them, and
 * what a key may do. See api_key_changes.c for how they are made.
 */
#include "app/api.h"
#include "app/api_keys.h"
#include "base/err.h"
#include "params.gen.h"

#define LIMIT_DEFAULT 10

bool api_keys_manages(const struct principal *who, struct slice org)
{
	return principal_may(who, API_KEYS_MANAGE) ||
	    (org.len > 0 && principal_scope(who, API_KEYS_MANAGE, org) >= SCOPE_ORGANIZATION);
}

bool api_key_find(struct action *c, struct json_value *ret_row)
{
	const struct principal *who = c->rq->principal;
	struct action_param of[] = {{"id", http_request_param(c->rq, "id"), 0}, {"now", {0}, clock_wall_ms(c->app->clock)}};
	int rc = action_row(c, "api_key_by_id", of, 2, ret_row);

	if (rc == 0 && !slice_is(row_text(c, *ret_row, "userId"), who->user_id) &&
	    !api_keys_manages(who, row_text(c, *ret_row, "orgId")))
		rc = ERR_NOT_FOUND;
	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 404, "not_found", "There is no such API key.", "API Key not found");
	return rc == 0 || action_fail_err(c, rc);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void put_allowed(struct json_writer *w, struct slice ranges)
{
	struct slice one;

	json_begin_array(w);
	while (ranges.len > 0) {
		slice_cut(ranges, ',', &one, &ranges);
		json_put_string(w, one);
	}
	json_end_array(w);
}

/* What a row tells. Its version and the like are ours. */
static void put_row(struct action *c, struct json_writer *w, struct json_value row)
{
	static const char *const names[] = {"id", "userId", "orgId", "name", "prefix", "last4", "status", "scopes", "expiresAt",
	    "rateLimit", "rotatedFromId", "revokedAt", "lastUsedAt", "createdAt"};
	struct json_value v;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!json_member(row, names[i], &v))
			continue;
		json_name(w, names[i]);
		json_put_raw(w, v.text);
	}
	json_name(w, "allowedIps");
	put_allowed(w, row_text(c, row, "allowedIps"));
}

void api_key_answer(struct action *c, int status, struct slice id, const char *key, const char *old_id)
{
	struct action_param of[] = {{"id", id, 0}, {"now", {0}, clock_wall_ms(c->app->clock)}};
	struct json_value row;
	struct json_writer w;
	int rc = action_row(c, "api_key_by_id", of, 2, &row);

	if (rc != 0) {
		action_fail_err(c, rc);
		return;
	}
	w = action_answer(c, status);
	json_begin_object(&w);
	put_row(c, &w, row);
	if (key != NULL) {
		json_name(&w, "key");
		json_put_str(&w, key);
	}
	if (old_id != NULL) {
		json_name(&w, "oldKeyId");
		json_put_str(&w, old_id);
	}
	json_end_object(&w);
}

/* ---- list and one ---------------------------------------------------------------------------------- */

static bool is_legacy(const struct action *c)
{
	return slice_starts_with(slice_str(c->rq->route->path), SLICE("/admin/"));
}

static void put_page(struct json_writer *w, const char *limit_name, int64_t page, int64_t limit, int64_t total)
{
	json_name(w, "page");
	json_put_i64(w, page);
	json_name(w, limit_name);
	json_put_i64(w, limit);
	json_name(w, "total");
	json_put_i64(w, total);
	json_name(w, "totalPages");
	json_put_i64(w, (total + limit - 1) / limit);
}

/* {items, total, page, pageSize, totalPages} as existing clients know it, or {data, pagination}. */
static void write_list(struct action *c, struct json_value rows, int64_t page, int64_t limit, int64_t total)
{
	struct json_writer w = action_answer(c, 200);
	struct json_value row;
	struct json_reader r;

	json_begin_object(&w);
	json_name(&w, is_legacy(c) ? "items" : "data");
	json_begin_array(&w);
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		json_begin_object(&w);
		put_row(c, &w, row);
		json_end_object(&w);
	}
	json_end_array(&w);
	if (is_legacy(c)) {
		put_page(&w, "pageSize", page, limit, total);
	} else {
		json_name(&w, "pagination");
		json_begin_object(&w);
		put_page(&w, "limit", page, limit, total);
		json_name(&w, "nextCursor");
		json_put_null(&w);
		json_end_object(&w);
	}
	json_end_object(&w);
}

static void run_list(struct action *c)
{
	const struct params_api_keys *p = c->rq->data;
	const struct principal *who = c->rq->principal;
	bool others = p->user_id.len > 0 ? !slice_is(p->user_id, who->user_id) : p->org_id.len > 0 || who->user_id[0] == '\0';
	bool all = others && api_keys_manages(who, p->org_id);
	int64_t limit = p->has_limit ? p->limit : p->has_page_size ? p->page_size : LIMIT_DEFAULT;
	struct slice user = !all ? slice_str(who->user_id) : p->user_id.len > 0 ? p->user_id : SLICE("");
	struct action_param of[] = {{"user", user, 0}, {"org", p->org_id.len > 0 ? p->org_id : SLICE(""), 0},
	    {"status", p->status.len > 0 ? p->status : SLICE(""), 0}, {"now", {0}, clock_wall_ms(c->app->clock)},
	    {"limit", {0}, limit}, {"offset", {0}, (p->page - 1) * limit}};
	struct json_value rows, count;
	int rc;

	if (p->user_id.len > 0 && others && !all) {
		action_fail(c, 403, "forbidden", "The keys of others need the permission " API_KEYS_MANAGE ".", "没有权限");
		return;
	}
	rc = action_rows(c, "api_keys_of_user", of, 6, &rows);
	if (rc == 0)
		rc = action_row(c, "count_of_api_keys", of, 4, &count);
	if (rc != 0)
		action_fail_err(c, rc);
	else
		write_list(c, rows, p->page, limit, row_i64(count, "total"));
}

static void list(struct http_request *rq)
{
	struct params_api_keys *params = arena_alloc(rq->arena, sizeof(*params));

	if (params == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	if (!api_decode_params(rq, &schema_params_api_keys, params))
		return;
	rq->data = params;
	action_start(rq, ACTION_QUICK, run_list);
}

static void run_show(struct action *c)
{
	struct json_value row;

	if (api_key_find(c, &row))
		api_key_answer(c, 200, http_request_param(c->rq, "id"), NULL, NULL);
}

static void show(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_show);
}

/* ---- who am I, for a key ---------------------------------------------------------------------------------------- */

/* The permissions of "<organisation> <reach> <permission> <permission>...". */
static void put_scopes_there(struct json_writer *w, struct slice line)
{
	struct slice word;

	for (size_t n = 0; line.len > 0; n++) {
		slice_cut(line, ' ', &word, &line);
		if (n >= 2)
			json_put_string(w, word);
	}
}

static void me(struct http_request *rq)
{
	const struct principal *who = rq->principal;
	struct buf out = BUF_INIT(64 * 1024);
	struct json_writer w = JSON_WRITER(&out);

	json_begin_object(&w);
	json_name(&w, "apiKeyId");
	if (who->key_id[0] != '\0')
		json_put_str(&w, who->key_id);
	else
		json_put_null(&w);
	json_name(&w, "userId");
	if (who->user_id[0] != '\0')
		json_put_str(&w, who->user_id);
	else
		json_put_null(&w);
	json_name(&w, "orgId");
	if (who->org_id[0] != '\0')
		json_put_str(&w, who->org_id);
	else
		json_put_null(&w);
	json_name(&w, "scopes");
	json_begin_array(&w);
	for (const char *const *p = who->permissions; *p != NULL; p++)
		json_put_str(&w, *p);
	for (size_t i = 0; who->org_id[0] != '\0' && who->in_orgs[i] != NULL; i++)
		put_scopes_there(&w, slice_str(who->in_orgs[i]));
	json_end_array(&w);
	json_end_object(&w);
	http_respond(rq, 200, HTTP_JSON, &out);
}

#define ME_ROUTE(path) \
	{HTTP_GET, path, me, .flags = ROUTE_NO_ETAG | ROUTE_KEYS, .tag = "api keys", .answer = "object", \
	    .summary = "What the caller's API key or token may do"}

const struct route api_keys_routes[] = {
	API_KEY_ROUTES(HTTP_GET, "", list, .params = &schema_params_api_keys, .answer = "object",
	    .summary = "The caller's API keys, or with " API_KEYS_MANAGE " anybody's"),
	API_KEY_ROUTES(HTTP_GET, "/{id}", show, .answer = "object", .summary = "One API key"),
	ME_ROUTE("/v1/me"),
	ME_ROUTE("/api/v1/me"),
	{0},
};
