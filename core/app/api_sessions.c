/*
 * One's own log-ins: who one is there, and ending them (functional-spec 3.4,
 * 3.10). Only the caller's: another's is nobody's business.
 */
#include "app/accounts.h"
#include "app/api.h"
#include "base/err.h"
#include "requests.gen.h"

/* ---- logout ---------------------------------------------------------------------------------- */

static void close_session(struct action_events *e, struct slice session_id, struct slice user_id, const char *reason)
{
	struct event_session_closed data = {.session_id = session_id, .user_id = user_id, .reason = slice_str(reason)};

	action_event(e, EVENT_SESSION_CLOSED, &data, NULL, NULL);
}

/*
 * Which of the caller's own log-ins end: this one; those of a device; all. Another's is nobody's business (S13).
 * As many as one append takes; *ret_more: ask again when they have ended.
 */
static int sessions_to_close(struct action *c, const struct principal *who, const struct request_logout *body,
    struct action_events *e, bool *ret_more)
{
	struct action_param of[] = {{"user", slice_str(who->user_id), 0}, {"now", {0}, clock_wall_ms(c->app->clock)}};
	struct json_value rows, row;
	struct json_reader r;
	int rc = action_rows(c, "sessions_of_user", of, 2, &rows);

	*ret_more = false;
	if (rc != 0)
		return rc;
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row)) {
		struct slice id = row_text(c, row, "id");
		bool all = body->has_revoke_all_devices && body->revoke_all_devices;
		bool device = body->device_id.len > 0 && slice_eq(row_text(c, row, "deviceId"), body->device_id);

		if (!all && !device && !slice_is(id, who->session_id))
			continue;
		*ret_more = e->n == ACTION_EVENTS_MAX;
		if (*ret_more)
			break;
		close_session(e, id, slice_str(who->user_id), all ? "LOGOUT_ALL" : "LOGOUT");
	}
	return 0;
}

static void answer_logout(struct action *c, bool all, bool device, unsigned n)
{
	struct json_writer w = action_answer(c, 200);
	const char *text = "退出登录成功";

	if (all)
		text = action_made(c, arena_printf(c->arena, "退出登录成功，已撤销所有设备的 %u 个令牌", n));
	else if (device)
		text = action_made(c, arena_printf(c->arena, "退出登录成功，已撤销当前设备的 %u 个令牌", n));
	json_begin_object(&w);
	json_name(&w, "success");
	json_put_bool(&w, true);
	json_name(&w, "message");
	json_put_str(&w, text);
	json_name(&w, "details");
	json_begin_object(&w);
	json_name(&w, "accessTokenRevoked");
	json_put_bool(&w, true);
	json_name(&w, "refreshTokenRevoked");
	json_put_bool(&w, n > 0);
	json_name(&w, "allDevicesLoggedOut");
	json_put_bool(&w, all);
	json_name(&w, "revokedTokensCount");
	json_put_u64(&w, n);
	json_end_object(&w);
	json_end_object(&w);
}

static void run_logout(struct action *c)
{
	const struct principal *who = c->rq->principal;
	struct request_logout body = {0};
	bool more = true;
	unsigned n = 0;
	int rc = 0;

	if (c->rq->body.len > 0 && !action_read(c, &schema_request_logout, &body))
		return;
	if (who->session_id[0] == '\0') {
		action_fail(c, 400, "invalid", "The operator's token is no log-in: there is nothing to end.", "当前凭证不是登录会话");
		return;
	}
	while (rc == 0 && more) {
		struct action_events e = {.c = c};

		rc = sessions_to_close(c, who, &body, &e, &more);
		if (rc == 0 && (e.n > 0 || e.rc != 0))
			rc = action_append(&e);
		n += (unsigned)e.n;
	}
	if (!action_ok(c, rc))
		return;
	session_clear_cookie(c);
	answer_logout(c, body.revoke_all_devices, body.device_id.len > 0, n);
}

static void logout(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_logout);
}

/* ---- who am I ---------------------------------------------------------------------------------- */

static void put_text(struct action *c, struct json_writer *w, struct json_value row, const char *name)
{
	struct slice text = row_text(c, row, name);

	if (text.len == 0)
		return;
	json_name(w, name);
	json_put_string(w, text);
}

static void put_list(struct json_writer *w, const char *name, const char *const *texts)
{
	json_name(w, name);
	json_begin_array(w);
	for (; *texts != NULL; texts++)
		json_put_str(w, *texts);
	json_end_array(w);
}

static struct slice name_of(struct action *c, struct json_value account)
{
	static const char *const names[] = {"displayName", "username", "email", "phone"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct slice name = row_text(c, account, names[i]);

		if (name.len > 0)
			return name;
	}
	return SLICE("Unknown");
}

/* orgs: what they may do in organisations; only in the answer about permissions. */
static void write_me(struct action *c, struct json_value account, const struct principal *who, bool all, struct slice orgs)
{
	struct json_writer w = action_answer(c, 200);

	json_begin_object(&w);
	json_name(&w, "id");
	json_put_str(&w, who->user_id);
	if (all) {
		put_text(c, &w, account, "username");
		json_name(&w, "email");
		json_put_string(&w, row_text(c, account, "email"));
		put_text(c, &w, account, "phone");
		put_text(c, &w, account, "countryCode");
	}
	json_name(&w, "name");
	json_put_string(&w, name_of(c, account));
	put_list(&w, "roles", who->roles);
	put_list(&w, "perm", who->permissions);
	if (!all) {
		json_name(&w, "organizations");
		json_put_raw(&w, orgs);
	}
	if (all) {
		json_name(&w, "active");
		json_put_bool(&w, row_bool(account, "active"));
		json_name(&w, "emailVerified");
		json_put_bool(&w, row_bool(account, "emailVerified"));
		json_name(&w, "phoneVerified");
		json_put_bool(&w, row_bool(account, "phoneVerified"));
		put_text(c, &w, account, "createdAt");
		put_text(c, &w, account, "lastLoginAt");
	}
	json_end_object(&w);
}

static void tell_me(struct action *c, bool all)
{
	const struct principal *who = c->rq->principal;
	struct json_value account, orgs = {0};
	int rc;

	if (who->user_id[0] == '\0') {
		action_fail(c, 400, "invalid", "The operator's token belongs to no account.", "当前凭证不属于任何账户");
		return;
	}
	rc = action_row(c, "account_by_id", (struct action_param[]){{"id", slice_str(who->user_id), 0}}, 1, &account);
	if (rc == 0 && !all)
		rc = action_rows(c, "organizations_of_user", (struct action_param[]){{"user", slice_str(who->user_id), 0}}, 1, &orgs);
	if (rc != 0)
		action_fail_err(c, rc);
	else
		write_me(c, account, who, all, orgs.text);
}

static void run_me(struct action *c)
{
	tell_me(c, true);
}

static void run_permissions(struct action *c)
{
	tell_me(c, false);
}

static void me(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_me);
}

static void permissions(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_permissions);
}

/* ---- one's own log-ins -------------------------------------------------------------------------- */

static void run_sessions(struct action *c)
{
	const struct principal *who = c->rq->principal;
	struct action_param of[] = {{"user", slice_str(who->user_id), 0}, {"now", {0}, clock_wall_ms(c->app->clock)}};
	struct json_value rows;
	struct json_writer w;
	int rc = action_rows(c, "sessions_of_user", of, 2, &rows);

	if (!action_ok(c, rc))
		return;
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, "data");
	json_put_raw(&w, rows.text);
	json_name(&w, "current");
	json_put_str(&w, who->session_id);
	json_end_object(&w);
}

static void sessions(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_sessions);
}

static void run_end_session(struct action *c)
{
	const struct principal *who = c->rq->principal;
	struct slice wanted = http_request_param(c->rq, "id");
	struct action_param of[] = {{"user", slice_str(who->user_id), 0}, {"now", {0}, clock_wall_ms(c->app->clock)}};
	struct action_events e = {.c = c};
	struct json_value rows, row;
	struct json_reader r;
	int rc;

	rc = action_rows(c, "sessions_of_user", of, 2, &rows);
	if (!action_ok(c, rc))
		return;
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row))
		if (slice_eq(row_text(c, row, "id"), wanted))
			close_session(&e, wanted, slice_str(who->user_id), "LOGOUT");
	if (e.n == 0 && e.rc == 0) {
		action_fail(c, 404, "not_found", "You have no such log-in; GET /api/v1/auth/sessions lists them.", "登录会话不存在");
		return;
	}
	/* One's own ends at any time; whoever has an old one of somebody's must not shut them out of the others. */
	if (!slice_is(wanted, who->session_id) && !session_is_recent(c))
		return;
	rc = action_append(&e);
	if (rc != 0)
		action_fail_err(c, rc);
	else
		c->status = 204;
}

static void end_session(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_end_session);
}

const struct route api_sessions_routes[] = {
	AUTH_ROUTES(HTTP_POST, "/logout", logout, 0, .request = &schema_request_logout, .answer = "object",
	    .summary = "Sign out here, of a device, or everywhere"),
	AUTH_ROUTES(HTTP_GET, "/me", me, 0, .answer = "object", .summary = "Who the caller is"),
	AUTH_ROUTES(HTTP_GET, "/permissions", permissions, 0, .answer = "object", .summary = "What the caller may do"),
	AUTH_ROUTES(HTTP_GET, "/sessions", sessions, 0, .answer = "object", .summary = "The caller's own log-ins"),
	AUTH_ROUTES(HTTP_DELETE, "/sessions/{id}", end_session, 0, .success = "204", .summary = "End one of them"),
	{0},
};
