/* Who people are on the meeting platforms, and whose account that is: functional-spec 7.8 and 15, user_platforms. */
#include "app/action.h"
#include "app/api.h"
#include "app/api_list.h"
#include "base/err.h"
#include "events.gen.h"
#include "requests.gen.h"

#define PATH "/api/v1/platform-identities"
#define NO_SUCH_IDENTITY "There is no such identity; GET " PATH " lists those that meetings have shown."

static void list_identities(struct http_request *rq)
{
	api_list(rq, "platform_identities", NULL, 0);
}

static void list_of_user(struct http_request *rq)
{
	struct list_fixed theirs = {"localUserId", http_request_param(rq, "id")};

	api_list(rq, "platform_identities", &theirs, 1);
}

static void get_identity(struct http_request *rq)
{
	api_one(rq, "platform_identity_by_id", http_request_param(rq, "id"), NO_SUCH_IDENTITY, false);
}

/* ---- linking ----------------------------------------------------------------------------------- */

struct linking {
	struct action *c;
	struct slice identity_id;
	struct slice user_id; /* whose it is; empty: nobody's */
	struct event_meta meta; /* expects the identity where it was looked at: of two who link it one is told */
};

static bool look_at_identity(struct linking *l)
{
	struct action *c = l->c;
	struct json_value identity;
	struct slice stream;
	uint64_t version;
	int rc;

	l->identity_id = http_request_param(c->rq, "id");
	l->meta = action_meta(c);
	stream = slice_str(action_made(c, arena_printf(c->arena, "identity/%.*s", SLICE_ARG(l->identity_id))));
	rc = eventlog_stream_version(c->app->log, stream, &version);
	if (rc == 0)
		rc = action_row(c, "platform_identity_by_id", (struct action_param[]){{"id", l->identity_id, 0}}, 1, &identity);
	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 404, "not_found", NO_SUCH_IDENTITY, "平台身份不存在");
	if (rc != 0)
		return action_fail_err(c, rc);
	l->meta.expect = (int64_t)version;
	l->user_id = row_text(c, identity, "localUserId");
	return true;
}

static bool find_account(struct action *c, struct slice id)
{
	struct json_value account;
	int rc = action_row(c, "account_by_id", (struct action_param[]){{"id", id, 0}}, 1, &account);

	if (rc == ERR_NOT_FOUND || (rc == 0 && row_bool(account, "deleted")))
		return action_fail(c, 404, "not_found", "There is no account with this userId.", "用户不存在");
	return action_ok(c, rc);
}

static void answer_taken(struct action *c)
{
	action_fail(c, 409, "taken", "This identity is linked to another account; unlink it first.",
	    "该平台身份已绑定其他账户");
}

static void append_and_answer(struct linking *l, struct action_events *e)
{
	struct action *c = l->c;
	int rc = action_append(e);

	if (rc == ERR_CONFLICT)
		action_fail(c, 409, "conflict", "Somebody else linked or unlinked this identity just now; look again.",
		    "平台身份刚刚被修改，请刷新后重试");
	else if (rc != 0)
		action_fail_err(c, rc);
	else
		c->status = 204;
}

static void run_link(struct action *c)
{
	struct linking l = {.c = c};
	struct request_identity_link body;
	struct event_identity_linked data;
	struct action_events e = {.c = c};

	if (!action_read(c, &schema_request_identity_link, &body) || !look_at_identity(&l) || !find_account(c, body.user_id))
		return;
	if (slice_eq(l.user_id, body.user_id)) {
		c->status = 204;
	} else if (l.user_id.len > 0) {
		answer_taken(c);
	} else {
		data = (struct event_identity_linked){.identity_id = l.identity_id, .user_id = body.user_id};
		action_event(&e, EVENT_IDENTITY_LINKED, &data, NULL, &l.meta);
		append_and_answer(&l, &e);
	}
}

static void run_unlink(struct action *c)
{
	struct linking l = {.c = c};
	struct event_identity_unlinked data;
	struct action_events e = {.c = c};

	if (!look_at_identity(&l))
		return;
	if (l.user_id.len == 0) {
		action_fail(c, 409, "not_linked", "This identity is linked to no account.", "该平台身份未绑定账户");
		return;
	}
	data = (struct event_identity_unlinked){.identity_id = l.identity_id, .user_id = l.user_id};
	action_event(&e, EVENT_IDENTITY_UNLINKED, &data, NULL, &l.meta);
	append_and_answer(&l, &e);
}

static void link_identity(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_link);
}

static void unlink_identity(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_unlink);
}

static const struct api_list_doc all_doc = {"platform_identities", NULL}, own_doc = {"platform_identities", "localUserId"};

static void list_own(struct http_request *rq)
{
	api_list_own(rq, "platform_identities", own_doc.fixed);
}

const struct route api_platform_identities_routes[] = {
	{HTTP_GET, PATH, list_identities, "identities:read", .answer = "PlatformIdentityList", .tag = "identities",
	    .summary = "Who people are on the meeting platforms", .extra = &all_doc},
	{HTTP_GET, PATH "/{id}", get_identity, "identities:read", .answer = "PlatformIdentity", .tag = "identities",
	    .summary = "One of them"},
	{HTTP_PUT, PATH "/{id}/user", link_identity, "identities:write", .flags = ROUTE_NO_ETAG,
	    .request = &schema_request_identity_link, .success = "204", .tag = "identities",
	    .summary = "Say whose account it is"},
	{HTTP_DELETE, PATH "/{id}/user", unlink_identity, "identities:write", .flags = ROUTE_NO_ETAG, .success = "204",
	    .tag = "identities", .summary = "Say that it is nobody's"},
	{HTTP_GET, "/api/v1/users/{id}/platform-identities", list_of_user, "identities:read",
	    .answer = "PlatformIdentityList", .tag = "identities", .summary = "Those of one account", .extra = &own_doc},
	{HTTP_GET, "/api/v1/auth/platform-identities", list_own, NULL, .answer = "PlatformIdentityList",
	    .tag = "identities", .summary = "The caller's own", .extra = &own_doc},
	{0},
};
