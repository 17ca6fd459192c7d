/* See rights.h. */
#include "app/rights.h"

#include "base/err.h"

struct slice caller_id(const struct action *c)
{
	const struct principal *who = c->rq->principal;

	return slice_str(who->user_id);
}

static bool refuse(struct action *c, const char *permission)
{
	const char *en = arena_printf(c->arena, "This needs the permission %s here.", permission);

	return action_fail(c, 403, "forbidden", en, "没有权限");
}

/* What the read model says now. */
static bool ask_again(struct action *c, const char *permission, struct slice org, enum data_scope *scope)
{
	struct action_param of[] = {{"user", caller_id(c), 0}, {"org", org.len > 0 ? org : SLICE(""), 0},
	    {"permission", slice_str(permission), 0}};
	struct json_value row;
	int rc;

	if (c->lane != ACTION_DECISION || caller_id(c).len == 0)
		return true;
	rc = action_row(c, "right_of_user", of, 3, &row);
	if (rc != 0)
		return action_fail_err(c, rc);
	if (row_i64(row, "scope") < (int64_t)*scope)
		*scope = (enum data_scope)row_i64(row, "scope");
	return true;
}

bool rights_in(struct action *c, const char *permission, struct slice org, enum data_scope *ret_scope)
{
	const struct principal *who = c->rq->principal;
	enum data_scope scope = org.len > 0 ? principal_scope(who, permission, org)
	    : principal_may(who, permission) ? SCOPE_ALL
	                                     : SCOPE_NONE;

	if (scope == SCOPE_NONE)
		return refuse(c, permission);
	if (!ask_again(c, permission, org, &scope))
		return false;
	if (scope == SCOPE_NONE || (org.len == 0 && scope != SCOPE_ALL) || (ret_scope == NULL && scope < SCOPE_ORGANIZATION))
		return refuse(c, permission);
	if (ret_scope != NULL)
		*ret_scope = scope;
	return true;
}

static bool refuse_more(struct action *c, struct slice code)
{
	const char *en = arena_printf(c->arena, "Nobody gives more than they have: %.*s is not yours to give here.",
	    SLICE_ARG(code));

	return action_fail(c, 403, "forbidden", en, "不能授予自己没有的权限");
}

bool rights_cover(struct action *c, struct slice org, struct slice permissions, struct slice rules, enum data_scope scope)
{
	const struct principal *who = c->rq->principal;
	struct action_param of[] = {{"user", caller_id(c), 0}, {"org", org.len > 0 ? org : SLICE(""), 0},
	    {"permissions", permissions, 0}, {"rules", rules, 0}, {"scope", {0}, (int64_t)scope}};
	struct json_value rows, one;
	struct json_reader r;
	int rc;

	json_enter(&r, json_root(permissions));
	while (json_next(&r, NULL, &one)) {
		struct slice code = {0};
		const char *text;

		if (json_string(one, c->arena, &code) != 0)
			return action_fail_err(c, ERR_NOMEM);
		text = arena_printf(c->arena, "%.*s", SLICE_ARG(code));
		if (text == NULL)
			return action_fail_err(c, ERR_NOMEM);
		if (org.len > 0 ? principal_scope(who, text, org) == SCOPE_NONE : !principal_may(who, text))
			return refuse_more(c, code);
	}
	if (caller_id(c).len == 0)
		return true;
	rc = action_rows(c, "rights_lacking", of, 5, &rows);
	if (rc != 0)
		return action_fail_err(c, rc);
	json_enter(&r, rows);
	if (json_next(&r, NULL, &one))
		return refuse_more(c, row_text(c, one, "code"));
	return true;
}

bool rights_reach(struct action *c, struct slice org, struct slice departments, enum data_scope *ret_needed)
{
	struct action_param of[] = {{"caller", caller_id(c), 0}, {"org", org, 0}, {"scope", {0}, SCOPE_DEPARTMENT},
	    {"departments", departments, 0}};
	struct json_value rows, row;
	struct json_reader r;
	int rc = action_rows(c, "departments_out_of_reach", of, 4, &rows);

	if (rc != 0)
		return action_fail_err(c, rc);
	json_enter(&r, rows);
	*ret_needed = json_next(&r, NULL, &row) ? SCOPE_ORGANIZATION : SCOPE_DEPARTMENT;
	return true;
}

bool rights_cover_reach(struct action *c, struct slice org, struct json_value role, enum data_scope needed)
{
	struct json_value permissions, rules;

	if (!json_member(role, "permissions", &permissions) || !json_member(role, "rules", &rules))
		return action_fail_err(c, ERR_MALFORMED);
	if (needed >= SCOPE_ORGANIZATION)
		return rights_cover(c, org, permissions.text, SLICE("[]"), needed);
	return rights_cover(c, org, permissions.text, rules.text, (enum data_scope)row_i64(role, "scope"));
}

struct slice rights_orgs(struct action *c, const char *permission, bool *ret_all)
{
	const struct principal *who = c->rq->principal;
	struct buf out = BUF_INIT(1 << 20);
	struct json_writer w = JSON_WRITER(&out);
	struct slice text;

	*ret_all = principal_may(who, permission);
	json_begin_array(&w);
	for (size_t i = 0; who->in_orgs != NULL && who->in_orgs[i] != NULL; i++) {
		struct slice org, rest;

		if (slice_cut(slice_str(who->in_orgs[i]), ' ', &org, &rest) &&
		    principal_scope(who, permission, org) >= SCOPE_ORGANIZATION)
			json_put_string(&w, org);
	}
	json_end_array(&w);
	text = out.rc == 0 ? arena_dup(c->arena, buf_slice(&out)) : (struct slice){0};
	buf_finish(&out);
	return text.ptr == NULL ? SLICE("[]") : text;
}
