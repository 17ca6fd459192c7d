/*
 * What becomes of an account: enabled, disabled, deleted so that it can be given
 * back, given a password by somebody else. Disabling and deleting end every
 * log-in, with the very event (projections/identity.sql).
 */
#include "app/accounts.h"
#include "app/api.h"
#include "app/users.h"
#include "base/err.h"
#include "crypto/password.h"
#include "params.gen.h"
#include "requests.gen.h"

/* ---- the account at hand ------------------------------------------------------------------ */

/* Nobody changes an account that may do more than they: with its password they could do that too. */
static bool may_touch(struct action *c, const struct account *a)
{
	const struct principal *who = c->rq->principal;
	struct json_value permissions, one;
	struct json_reader r;
	struct slice text;

	if (!json_member(a->row, "permissions", &permissions))
		return true;
	json_enter(&r, permissions);
	while (json_next(&r, NULL, &one)) {
		const char *name;

		if (json_string(one, c->arena, &text) != 0 ||
		    (name = arena_printf(c->arena, "%.*s", SLICE_ARG(text))) == NULL)
			return action_fail_err(c, ERR_NOMEM);
		if (!principal_may(who, name))
			return action_fail(c, 403, "forbidden", "Nobody changes an account that may do more than they may.",
			    "没有权限");
	}
	return true;
}

bool account_look(struct action *c, struct account *ret)
{
	struct slice stream;
	uint64_t version;
	int rc;

	*ret = (struct account){.id = http_request_param(c->rq, "id"), .meta = action_meta(c)};
	if (id_parse(ret->id, &ret->subject) != 0)
		return action_fail(c, 404, "not_found", NO_SUCH_USER, "用户不存在");
	stream = slice_str(action_made(c, arena_printf(c->arena, "user/%.*s", SLICE_ARG(ret->id))));
	rc = eventlog_stream_version(c->app->log, stream, &version);
	if (rc == 0)
		rc = action_row(c, "user_standing", (struct action_param[]){{"id", ret->id, 0}}, 1, &ret->row);
	if (rc == ERR_NOT_FOUND)
		return action_fail(c, 404, "not_found", NO_SUCH_USER, "用户不存在");
	if (rc != 0)
		return action_fail_err(c, rc);
	ret->active = row_bool(ret->row, "active");
	ret->deleted = row_bool(ret->row, "deleted");
	ret->erased = row_bool(ret->row, "erased");
	ret->last_admin = row_bool(ret->row, "lastAdmin");
	ret->meta.expect = (int64_t)version;
	return may_touch(c, ret);
}

bool account_look_to_close(struct action *c, struct account *ret)
{
	const struct principal *who = c->rq->principal;

	if (!account_look(c, ret))
		return false;
	if (ret->last_admin && who->user_id[0] != '\0')
		return action_fail(c, 409, "last_admin",
		    "This is the last account that may do everything: make another one first.", "不能停用或删除最后一个超级管理员");
	return true;
}

bool account_conflict(struct action *c)
{
	return action_fail(c, 409, "conflict", "Somebody else changed this account just now; look again.",
	    "用户刚刚被修改，请刷新后重试");
}

bool account_append(struct action_events *e)
{
	struct action *c = e->c;
	int rc = action_append(e);

	if (rc == ERR_CONFLICT)
		return account_conflict(c);
	return action_ok(c, rc);
}

void account_answer(struct action *c, struct slice id)
{
	struct json_value row;
	struct json_writer w;
	int rc = action_row(c, "user_by_id", (struct action_param[]){{"id", id, 0}}, 1, &row);

	if (!action_ok(c, rc))
		return;
	w = action_answer(c, 200);
	json_begin_object(&w);
	json_name(&w, "data");
	json_put_raw(&w, row.text);
	json_end_object(&w);
}

bool account_is_there(struct action *c, const struct account *a)
{
	if (a->erased)
		return action_fail(c, 410, "erased", "What was known of this person has been erased.", "用户数据已被清除");
	if (a->deleted)
		return action_fail(c, 409, "deleted", "This account was deleted; restore it first.", "用户已被删除");
	return true;
}

/* ---- what is done ------------------------------------------------------------------------------ */

static void append_one(struct action *c, struct account *a, enum event_type type, const void *data)
{
	struct action_events e = {.c = c};

	action_event(&e, type, data, NULL, &a->meta);
	if (account_append(&e))
		account_answer(c, a->id);
}

static void run_enable(struct action *c)
{
	struct account a;
	struct event_user_enabled data;

	if (!account_look(c, &a) || !account_is_there(c, &a))
		return;
	data = (struct event_user_enabled){.user_id = a.id};
	if (a.active)
		account_answer(c, a.id);
	else
		append_one(c, &a, EVENT_USER_ENABLED, &data);
}

static void run_disable(struct action *c)
{
	struct request_user_reason body = {0};
	struct account a;
	struct event_user_disabled data;

	if ((c->rq->body.len > 0 && !action_read(c, &schema_request_user_reason, &body)) || !account_look_to_close(c, &a) ||
	    !account_is_there(c, &a))
		return;
	data = (struct event_user_disabled){.user_id = a.id, .reason = body.reason};
	if (!a.active)
		account_answer(c, a.id);
	else
		append_one(c, &a, EVENT_USER_DISABLED, &data);
}

static void run_delete(struct action *c)
{
	const struct params_user_delete *params = c->rq->data;
	struct account a;
	struct event_user_deleted data;
	struct action_events e = {.c = c};

	if (params->erase) {
		user_erase_run(c, params->ground);
		return;
	}
	if (!account_look_to_close(c, &a))
		return;
	if (!a.deleted) {
		data = (struct event_user_deleted){.user_id = a.id};
		action_event(&e, EVENT_USER_DELETED, &data, NULL, &a.meta);
		if (!account_append(&e))
			return;
	}
	c->status = 204;
}

static void run_restore(struct action *c)
{
	struct account a;
	struct event_user_restored data;

	if (!account_look(c, &a))
		return;
	if (a.erased) {
		account_is_there(c, &a);
		return;
	}
	data = (struct event_user_restored){.user_id = a.id};
	if (!a.deleted)
		account_answer(c, a.id);
	else
		append_one(c, &a, EVENT_USER_RESTORED, &data);
}

/* ---- a password ---------------------------------------------------------------------------------- */

static const char *text_of(struct action *c, const struct account *a, const char *name)
{
	struct slice text = row_text(c, a->row, name);

	return text.len == 0 ? "" : action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(text)));
}

static void run_set_password(struct action *c)
{
	struct request_user_password body;
	struct account a;
	struct action_events e = {.c = c};
	struct event_user_password_set data;
	char *hash = arena_alloc(c->arena, PASSWORD_HASH_SIZE);
	struct said why;
	int rc;

	if (!action_read(c, &schema_request_user_password, &body) || !account_look(c, &a) || !account_is_there(c, &a))
		return;
	const char *const names[] = {text_of(c, &a, "username"), text_of(c, &a, "email"), text_of(c, &a, "phone"),
	    text_of(c, &a, "displayName"), NULL};
	rc = hash == NULL ? ERR_NOMEM : account_password(body.password, names, &why);
	if (rc == ERR_INVALID) {
		action_fail_said(c, 400, "weak_password", why);
		return;
	}
	if (rc == 0)
		rc = password_hash(hash, body.password, &PASSWORD_COST_DEFAULT, c->app->rng);
	if (!action_ok(c, rc))
		return;
	data = (struct event_user_password_set){.user_id = a.id, .hash = slice_str(hash), .how = SLICE("OPERATOR"),
	    .has_subjects = true, .subjects = {.has_person = true, .person = {.id = a.id}}};
	action_event(&e, EVENT_USER_PASSWORD_SET, &data, &a.subject, &a.meta);
	if (account_append(&e))
		c->status = 204;
}

/* ---- a log-in for a program, or to look at what somebody sees ---------------------------------------- */

static void run_token(struct action *c)
{
	struct account a;
	struct action_events e = {.c = c};
	struct caller caller;
	struct session s;

	if (!account_look(c, &a) || !account_is_there(c, &a))
		return;
	if (!a.active) {
		action_fail(c, 409, "disabled", "This account is disabled; enable it first.", "用户已被禁用");
		return;
	}
	if (!caller_read(c, (struct slice){0}, (struct slice){0}, &caller))
		return;
	session_open(&e, &a.subject, &caller, "OPERATOR", false, &s);
	if (account_append(&e))
		session_answer(c, 201, &s, (struct slice){0}, (struct slice){0});
}

/* ---- routes ------------------------------------------------------------------------------------------ */

static void enable_user(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_enable);
}

static void disable_user(struct http_request *rq)
{
	action_start(rq, ACTION_DECISION, run_disable);
}

static void delete_user(struct http_request *rq)
{
	struct params_user_delete *params = arena_calloc(rq->arena, 1, sizeof(*params));

	if (params == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	if (!api_decode_params(rq, &schema_params_user_delete, params))
		return;
	rq->data = params;
	action_start(rq, ACTION_DECISION, run_delete);
}

static void restore_user(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_restore);
}

static void set_password(struct http_request *rq)
{
	action_start(rq, ACTION_HASHING, run_set_password);
}

static void make_token(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_token);
}

#define USER_ROUTE(method, path, handler, ...) \
	{method, "/api/v1/users/{id}" path, handler, "users:write", .flags = ROUTE_NO_ETAG, .tag = "users", __VA_ARGS__}

const struct route api_user_states_routes[] = {
	USER_ROUTE(HTTP_DELETE, "", delete_user, .params = &schema_params_user_delete, .success = "204",
	    .summary = "Take an account away, so that it can be restored; or erase the person, answered by a receipt"),
	USER_ROUTE(HTTP_POST, "/enable", enable_user, .answer = "User", .summary = "Let an account be used again"),
	USER_ROUTE(HTTP_POST, "/disable", disable_user, .request = &schema_request_user_reason, .answer = "User",
	    .summary = "Let an account not be used; ends its log-ins"),
	USER_ROUTE(HTTP_POST, "/restore", restore_user, .answer = "User", .summary = "Give back an account that was deleted"),
	USER_ROUTE(HTTP_PUT, "/password", set_password, .request = &schema_request_user_password, .success = "204",
	    .summary = "Give somebody a password; ends their log-ins"),
	{HTTP_POST, "/api/v1/users/{id}/tokens", make_token, "users:impersonate", .flags = ROUTE_NO_ETAG, .answer = "object",
	    .success = "201", .tag = "users", .summary = "A log-in of this account, for who may do everything"},
	{0},
};
