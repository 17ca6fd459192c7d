/*
 * Permissions that one member of an organisation was given beside their roles,
 * or is denied whatever these give (member_permissions of functional-spec 15,
 * which the systems replaced kept and never looked at).
 *
 * They count there and nowhere else: what somebody may as an account of the
 * whole system is not taken away by an organisation. Who sets one has to have
 * the permission in the whole organisation; and nobody denies anything to a
 * member who may do more than they.
 */
#include "app/api.h"
#include "app/api_admin.h"
#include "base/err.h"
#include "params.gen.h"
#include "requests.gen.h"

struct target {
	struct slice member, org, user, permission, code;
	struct slice grant_id;
	bool is_set, granted; /* as it is now */
};

static bool find_member(struct action *c, const char *permission, struct target *t)
{
	struct json_value row;
	enum data_scope scope;

	t->member = http_request_param(c->rq, "memberId");
	if (!admin_find_member(c, permission, t->member, &row, &scope))
		return false;
	t->org = row_text(c, row, "org");
	t->user = row_text(c, row, "user");
	return true;
}

/* The caller has to have it too, everywhere there. */
static bool may_set(struct action *c, const struct target *t)
{
	return rights_cover(c, t->org, admin_json_texts(c, &t->code, 1), SLICE("[]"), SCOPE_ORGANIZATION);
}

static bool find(struct action *c, struct target *t)
{
	struct slice name = http_request_param(c->rq, "permissionId");
	struct json_value row;
	int rc;

	if (!find_member(c, "roles:grant", t))
		return false;
	rc = action_row(c, "permission_by_name", (struct action_param[]){{"id", name, 0}}, 1, &row);
	if (rc != 0)
		return rc == ERR_NOT_FOUND ? admin_missing(c, "Permission not found") : action_fail_err(c, rc);
	t->permission = row_text(c, row, "id");
	t->code = row_text(c, row, "code");
	t->grant_id = admin_id_of(c, SLICE("member-permission/v1"), t->member, t->permission);
	if (t->grant_id.ptr == NULL || !may_set(c, t))
		return false;
	rc = action_row(c, "member_permission_by_id", (struct action_param[]){{"id", t->grant_id, 0}}, 1, &row);
	if (rc != 0 && rc != ERR_NOT_FOUND)
		return action_fail_err(c, rc);
	t->is_set = rc == 0;
	t->granted = rc == 0 && row_bool(row, "granted");
	return true;
}

static bool may_deny(struct action *c, const struct target *t)
{
	struct action_param of[] = {{"user", t->user, 0}, {"org", t->org, 0}};
	struct json_value row;
	int rc = action_row(c, "rights_in_org", of, 2, &row);

	if (rc != 0)
		return action_fail_err(c, rc);
	return rights_cover(c, t->org, admin_row_json(row, "permissions"), SLICE("[]"), SCOPE_OWN);
}

/* ---- what is done ------------------------------------------------------------------------ */

static void run_list(struct action *c)
{
	struct params_admin_page q;
	struct target t = {0};
	struct action_param of[3] = {{0}};

	if (!find_member(c, "members:read", &t) || !admin_params(c, &schema_params_admin_page, &q))
		return;
	of[0] = (struct action_param){"member", t.member, 0};
	admin_page(c, "member_permissions_page", of, 1, q.page, q.has_limit ? q.limit : q.page_size);
}

static void run_set(struct action *c)
{
	struct request_member_permission body;
	struct event_member_permission_set data;
	struct action_events e = {.c = c};
	struct target t = {0};

	if (!find(c, &t) || !action_read(c, &schema_request_member_permission, &body) || (!body.granted && !may_deny(c, &t)))
		return;
	if (!t.is_set || t.granted != body.granted) {
		data = (struct event_member_permission_set){.member_id = t.member, .org_id = t.org, .user_id = t.user,
		    .grant_id = t.grant_id, .permission_id = t.permission, .code = t.code, .granted = body.granted};
		action_event(&e, EVENT_MEMBER_PERMISSION_SET, &data, NULL, NULL);
		if (!admin_append(&e, ""))
			return;
	}
	admin_answer_row(c, 200, "member_permission_by_id", t.grant_id);
}

static void run_clear(struct action *c)
{
	struct event_member_permission_cleared data;
	struct action_events e = {.c = c};
	struct target t = {0};

	if (!find(c, &t))
		return;
	if (!t.is_set) {
		admin_missing(c, "Permission is neither granted nor denied to this member");
		return;
	}
	data = (struct event_member_permission_cleared){.member_id = t.member, .org_id = t.org, .user_id = t.user,
	    .permission_id = t.permission, .code = t.code};
	action_event(&e, EVENT_MEMBER_PERMISSION_CLEARED, &data, NULL, NULL);
	if (admin_append(&e, ""))
		c->status = 204;
}

/* ---- routes -------------------------------------------------------------------------------- */

static void list(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_list);
}

static void set(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_set);
}

static void clear(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_clear);
}

#define TAG .tag = "members"

const struct route api_member_permissions_routes[] = {
	ADMIN_ROUTES(HTTP_GET, "/members/{memberId}/permissions", list, "members:read", ROUTE_SCOPED,
	    .params = &schema_params_admin_page, .answer = "object", TAG,
	    .summary = "What a member was given or denied beside their roles"),
	ADMIN_ROUTES(HTTP_PUT, "/members/{memberId}/permissions/{permissionId}", set, "roles:grant", ROUTE_SCOPED,
	    .request = &schema_request_member_permission, .answer = "object", TAG,
	    .summary = "Give a member a permission, named by id or code, or deny it whatever their roles give"),
	ADMIN_ROUTES(HTTP_DELETE, "/members/{memberId}/permissions/{permissionId}", clear, "roles:grant", ROUTE_SCOPED,
	    .success = "204", TAG, .summary = "Leave a permission to a member's roles again"),
	{0},
};
