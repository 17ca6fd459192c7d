/*
 * Signing in and out: /api/auth as existing clients know it (functional-spec
 * chapter 3), by the rules of integrity.md 20. The same under /api/v1/auth.
 *
 * Every attempt is an event. Somebody unknown, somebody without a password and
 * a wrong password cost the same time and get the same answer.
 */
#include <assert.h>

#include "app/accounts.h"
#include "app/api.h"
#include "app/codes.h"
#include "app/login_watch.h"
#include "app/principals.h"
#include "app/tokens.h"
#include "base/err.h"
#include "crypto/password.h"
#include "requests.gen.h"

#define ADDRESS_WINDOW_MS (60 * 1000LL)
#define ADDRESS_TRIES 20
#define NETWORK_TRIES 100
/* The hash of no password anybody knows: what unknown names are checked against, at the usual cost. */
#define NOBODYS_HASH "$argon2id$v=19$m=65536,t=2,p=1$yFW2q4winWicP7wz30LNHg$QUXGCMGwFM4tyAWpCcoiCT6QkjG/0clbtj2BfI6bsNE"
#define REUSE_GRACE_MS 10000 /* an answer that got lost is asked for again within this time */

/* ---- login ------------------------------------------------------------------------------ */

struct login {
	struct action *c;
	struct request_login body;
	struct account_names names;
	struct caller caller;
	struct slice target, key; /* as typed; its one spelling */
	struct slice claim;       /* digest of the key; also the name of the log-in's stream */
	const char *kind, *login_type;
	bool by_code;
	struct code_right code;
	struct json_value account;
	bool known;
	struct id user;
	struct slice user_text;
};

/* The kind of log-in says what they call themselves by; nothing else of the names is looked at. */
static const struct login_kind {
	const char *type, *kind, *login_type;
	bool by_code;
} kinds[] = {
	{"username_password", "username", "USERNAME_PASSWORD", false},
	{"email_password", "email", "EMAIL_PASSWORD", false},
	{"phone_password", "phone", "PHONE_PASSWORD", false},
	{"email_code", "email", "EMAIL_CODE", true},
	{"phone_code", "phone", "PHONE_CODE", true},
};

static bool read_login(struct login *l)
{
	struct action *c = l->c;
	const struct login_kind *kind = kinds;

	if (!action_read(c, &schema_request_login, &l->body))
		return false;
	while (!slice_is(l->body.type, kind->type))
		kind++; /* the schema knows no other */
	l->kind = kind->kind;
	l->login_type = kind->login_type;
	if (!account_names_read(c, strcmp(kind->kind, "username") == 0 ? l->body.username : (struct slice){0},
	        strcmp(kind->kind, "email") == 0 ? l->body.email : (struct slice){0}, l->body.country_code,
	        strcmp(kind->kind, "phone") == 0 ? l->body.phone : (struct slice){0}, &l->names))
		return false;
	l->target = l->names.username.len > 0 ? l->names.username : l->names.email.len > 0 ? l->names.email : l->names.phone;
	l->key = l->names.username_key.len > 0 ? l->names.username_key
	    : l->names.email_key.len > 0      ? l->names.email_key
	                                       : l->names.phone_key;
	if (l->key.len == 0)
		return action_fail(c, 400, "invalid", "Say who you are: the name that this type of log-in goes by is missing.",
		    "请提供用户名、邮箱或手机号");
	l->by_code = kind->by_code;
	/* S1 of the systems replaced: without a code any that was asked for let people in. */
	if (l->by_code && l->body.code.len == 0)
		return action_fail(c, 400, "invalid", "code: is missing.", "验证码不能为空");
	if (!l->by_code && l->body.password.len == 0)
		return action_fail(c, 400, "invalid", "The password is missing.", "密码不能为空");
	l->claim = account_digest(c, l->kind, l->key);
	if (l->claim.ptr == NULL)
		return action_fail_err(c, ERR_NOMEM);
	return caller_takes_cookie(c, l->body.client_type) &&
	    caller_read(c, l->body.device_info, l->body.device_id, &l->caller);
}

/* Their own device, with the password, is let in however often others have guessed: nobody is locked out from outside. */
static int is_known_device(struct login *l, bool *ret)
{
	struct action_param of[] = {{"user", l->user_text, 0}, {"device", l->body.device_id, 0}};
	struct json_value row;
	int rc;

	*ret = false;
	if (!l->known || l->body.device_id.len == 0)
		return 0;
	rc = action_row(l->c, "device_seen", of, 2, &row);
	if (rc == 0)
		*ret = row_bool(row, "seen");
	return rc;
}

/* integrity.md 20: from the fifth failure a growing delay against the name; limits against address and network. */
static bool within_limits(struct login *l)
{
	struct action *c = l->c;
	int64_t now_ms = clock_wall_ms(c->app->clock);
	struct action_param of_target[] = {{"digest", l->claim, 0}, {"since", {0}, now_ms - FAILURES_WINDOW_MS}};
	struct action_param of_network[] = {{"address", l->caller.address_digest, 0},
	    {"network", l->caller.network_digest, 0}, {"since", {0}, now_ms - ADDRESS_WINDOW_MS}};
	struct json_value row;
	int64_t wait_ms;
	bool known_device;
	int rc = action_row(c, "failures_of_target", of_target, 2, &row);

	if (rc == 0)
		rc = is_known_device(l, &known_device);
	if (rc != 0)
		return action_fail_err(c, rc);
	wait_ms = failures_wait_ms(row_i64(row, "failures"), row_i64(row, "lastAt"), now_ms);
	if (wait_ms > 0 && !known_device)
		return failures_refuse(c, wait_ms, "登录失败次数过多，请稍后再试");
	rc = action_row(c, "failures_of_network", of_network, 3, &row);
	if (rc != 0)
		return action_fail_err(c, rc);
	if (row_i64(row, "address") >= ADDRESS_TRIES || row_i64(row, "network") >= NETWORK_TRIES)
		return failures_refuse(c, ADDRESS_WINDOW_MS, "该IP登录失败次数过多，请稍后再试");
	return true;
}

static bool find_account(struct login *l)
{
	struct action_param by[] = {{"claim", l->claim, 0}};
	int rc = action_row(l->c, "account_by_claim", by, 1, &l->account);

	if (rc != 0 && rc != ERR_NOT_FOUND)
		return action_fail_err(l->c, rc);
	l->known = rc == 0;
	if (l->known) {
		l->user_text = row_text(l->c, l->account, "id");
		if (id_parse(l->user_text, &l->user) != 0)
			return action_fail_err(l->c, ERR_CORRUPT);
		l->caller.has_credentials_version = true;
		l->caller.credentials_version = row_i64(l->account, "credentialsVersion");
	}
	return true;
}

static const char *why_barred(struct login *l)
{
	if (row_bool(l->account, "deleted"))
		return "DELETED";
	return row_bool(l->account, "active") ? NULL : "DISABLED";
}

/* Why they may not come in, or NULL. The hash of nobody takes as long as anybody's. */
static const char *verify(struct login *l, bool *ret_rehash, int *ret_rc)
{
	struct slice hash = l->known ? row_text(l->c, l->account, "passwordHash") : (struct slice){0};
	int rc = password_verify(hash.len > 0 ? hash : SLICE(NOBODYS_HASH), l->body.password,
	    &PASSWORD_COST_DEFAULT, ret_rehash);

	*ret_rc = rc == ERR_NOMEM ? rc : 0;
	if (!l->known)
		return "UNKNOWN_USER";
	if (hash.len == 0)
		return "NO_PASSWORD";
	return rc != 0 ? "WRONG_PASSWORD" : why_barred(l);
}

/* The same with a code, which is not used up by that. */
static const char *verify_code(struct login *l, int *ret_rc)
{
	struct code_target target = {.digest = l->claim};
	int rc = code_check(l->c, CODE_LOGIN, &target, l->body.request_id, l->body.code, &l->code);

	*ret_rc = rc == ERR_DENIED ? 0 : rc;
	if (!l->known)
		return "UNKNOWN_USER";
	return rc != 0 ? "WRONG_CODE" : why_barred(l);
}

static void refuse_login(struct login *l, const char *reason)
{
	struct action *c = l->c;
	struct action_events e = {.c = c};
	struct event_login_failed data = {.target_digest = l->claim, .login_type = slice_str(l->login_type),
	    .reason = slice_str(reason), .address_digest = l->caller.address_digest, .network_digest = l->caller.network_digest};
	int rc;

	if (l->known) {
		data.user_id = l->user_text;
		data.target = l->target;
		data.ip = c->rq->address;
		data.user_agent = l->caller.user_agent;
		data.has_subjects = data.subjects.has_person = true;
		data.subjects.person = (struct event_subject){.id = l->user_text};
	}
	action_event(&e, EVENT_LOGIN_FAILED, &data, l->known ? &l->user : NULL, NULL);
	rc = action_append(&e);
	if (rc != 0)
		action_fail_err(c, rc);
	else if (strcmp(reason, "DISABLED") == 0)
		action_fail(c, 401, "disabled", "This account is disabled.", "账户已被禁用");
	else if (l->by_code)
		code_refuse(c, 401);
	else
		action_fail(c, 401, "bad_credentials", "The name or the password is wrong.", "用户名或密码错误");
}

static int add_rehash(struct login *l, struct action_events *e)
{
	char *hash = arena_alloc(l->c->arena, PASSWORD_HASH_SIZE);
	struct event_user_password_set data = {.user_id = l->user_text, .how = SLICE("REHASH"), .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = l->user_text}}};
	int rc = hash == NULL ? ERR_NOMEM
	                      : password_hash(hash, l->body.password, &PASSWORD_COST_DEFAULT, l->c->app->rng);

	if (rc != 0)
		return rc;
	data.hash = slice_str(hash);
	action_event(e, EVENT_USER_PASSWORD_SET, &data, &l->user, NULL);
	return 0;
}

/* ERR_CONFLICT: the code was tried or used by somebody else meanwhile. Else it is answered. */
static int let_in(struct login *l, bool rehash)
{
	struct action *c = l->c;
	struct action_events e = {.c = c};
	struct action_param who[] = {{"user", l->user_text, 0}, {"session", SLICE("-"), 0}}, by_id[] = {{"id", l->user_text, 0}};
	struct event_login_succeeded data = {.target_digest = l->claim, .user_id = l->user_text, .target = l->target,
	    .login_type = slice_str(l->login_type), .address_digest = l->caller.address_digest,
	    .network_digest = l->caller.network_digest, .ip = c->rq->address, .user_agent = l->caller.user_agent,
	    .device_info = l->caller.device_info, .device_id = l->caller.device_id, .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = l->user_text}}};
	struct json_value principal, account, roles;
	struct session session;
	struct slice name;
	int rc = action_row(c, "principal_of_user", who, 2, &principal);

	if (rc == 0)
		rc = action_row(c, "account_by_id", by_id, 1, &account);
	if (rc == 0 && rehash)
		rc = add_rehash(l, &e);
	session_open(&e, &l->user, &l->caller, l->login_type, slice_is(l->body.client_type, "web"), &session);
	data.session_id = session.id;
	if (rc == 0)
		rc = login_note_unusual(&e, &l->user, &session, &l->caller);
	action_event(&e, EVENT_LOGIN_SUCCEEDED, &data, &l->user, NULL);
	if (l->by_code)
		code_use(&e, &l->code, l->user_text);
	if (rc == 0)
		rc = action_append(&e);
	if (rc == ERR_CONFLICT && l->by_code)
		return rc;
	if (rc != 0 || !json_member(principal, "roles", &roles)) {
		action_fail_err(c, rc != 0 ? rc : ERR_CORRUPT);
		return 0;
	}
	if (l->by_code)
		code_used(c);
	name = row_text(c, account, "displayName");
	session_answer(c, 200, &session, name.len > 0 ? name : l->target, roles.text);
	return 0;
}

static void run_login(struct action *c)
{
	struct login l = {.c = c};
	bool rehash = false;
	const char *reason;
	int rc;

	if (!read_login(&l) || !find_account(&l) || !within_limits(&l))
		return;
	do {
		reason = l.by_code ? verify_code(&l, &rc) : verify(&l, &rehash, &rc);
		if (rc != 0)
			action_fail_err(c, rc);
		else if (reason != NULL)
			refuse_login(&l, reason);
	} while (rc == 0 && reason == NULL && let_in(&l, rehash) == ERR_CONFLICT);
}

static void login(struct http_request *rq)
{
	action_start(rq, ACTION_HASHING, run_login);
}

/* ---- refresh ------------------------------------------------------------------------------- */

static bool bad_refresh(struct action *c)
{
	return action_fail(c, 401, "invalid_token", "This refresh token is not good any more; sign in again.", "刷新令牌无效");
}

/* The presented token was used before. Within seconds by whoever lost the answer: the same successor. Else somebody has a copy. */
static void refresh_again(struct action *c, uint64_t position, struct slice digest, const struct caller *caller,
    struct session *s)
{
	struct event_session_rotated *first;
	struct event_session_reused reused;
	struct event_session_closed closed;
	struct action_events e = {.c = c};
	struct event event;
	int64_t now_us = clock_wall_us(c->app->clock), at_us = 0;
	struct id user;
	int rc = action_event_at(c, position, &event, &at_us);

	if (rc != 0 || event.data == NULL || event.type->id != EVENT_SESSION_ROTATED) {
		action_fail_err(c, rc != 0 ? rc : ERR_CORRUPT);
		return;
	}
	first = event.data;
	if (now_us - at_us <= REUSE_GRACE_MS * 1000LL && first->successor.len > 0 &&
	    slice_eq(first->user_agent, caller->user_agent) && slice_eq(first->device_id, caller->device_id)) {
		struct action_param of[] = {{"digest", first->to_digest, 0}};
		struct json_value row;

		rc = action_row(c, "session_of_token", of, 1, &row);
		if (rc != 0 && rc != ERR_NOT_FOUND) { /* which says nothing of who asks */
			action_fail_err(c, rc);
			return;
		}
		if (rc == 0 && row_i64(row, "usedAt") == 0 && !row_bool(row, "closed")) {
			s->refresh_token = first->successor;
			s->expires_at_ms = first->expires_at_ms;
			session_answer(c, 200, s, (struct slice){0}, (struct slice){0});
			return;
		}
	}
	if (id_parse(s->user_id, &user) != 0) {
		action_fail_err(c, ERR_CORRUPT);
		return;
	}
	reused = (struct event_session_reused){.session_id = s->id, .user_id = s->user_id, .digest = digest,
	    .ip = c->rq->address, .user_agent = caller->user_agent, .device_info = caller->device_info,
	    .device_id = caller->device_id, .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = s->user_id}}};
	closed = (struct event_session_closed){.session_id = s->id, .user_id = s->user_id, .reason = SLICE("REUSE")};
	action_event(&e, EVENT_SESSION_REUSED, &reused, &user, NULL);
	action_event(&e, EVENT_SESSION_CLOSED, &closed, NULL, NULL);
	rc = action_append(&e);
	if (rc != 0)
		action_fail_err(c, rc);
	else
		bad_refresh(c);
}

static bool may_refresh(struct action *c, struct json_value row)
{
	int64_t now_ms = clock_wall_ms(c->app->clock);

	return !row_bool(row, "closed") && row_bool(row, "active") && !row_bool(row, "deleted") &&
	    row_i64(row, "expiresAt") > now_ms && row_i64(row, "until") > now_ms;
}

static void rotate(struct action *c, struct slice digest, int64_t until_ms, const struct caller *caller,
    struct session *s)
{
	struct action_events e = {.c = c};
	struct event_meta meta = action_meta(c);
	struct event_session_rotated data;
	struct id user;
	int rc;

	s->refresh_token = session_new_token(c);
	s->expires_at_ms = clock_wall_ms(c->app->clock) + (int64_t)SESSION_IDLE_S * 1000;
	if (s->expires_at_ms > until_ms)
		s->expires_at_ms = until_ms;
	if (s->refresh_token.ptr == NULL || id_parse(s->user_id, &user) != 0) {
		action_fail_err(c, ERR_NOMEM);
		return;
	}
	data = (struct event_session_rotated){.session_id = s->id, .user_id = s->user_id, .from_digest = digest,
	    .to_digest = token_digest(c, s->refresh_token), .successor = s->refresh_token, .expires_at_ms = s->expires_at_ms,
	    .ip = c->rq->address, .user_agent = caller->user_agent, .device_info = caller->device_info,
	    .device_id = caller->device_id, .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = s->user_id}}};
	/* One successor for one token: decided by the log's writer, whoever asks at the same time. */
	meta.has_once = true;
	event_once_key(meta.once, SLICE("refresh"), digest);
	action_event(&e, EVENT_SESSION_ROTATED, &data, &user, &meta);
	rc = action_append(&e);
	if (rc != 0)
		action_fail_err(c, rc);
	else if (e.append.duplicate)
		refresh_again(c, e.append.position, digest, caller, s);
	else
		session_answer(c, 200, s, (struct slice){0}, (struct slice){0});
}

static void run_refresh(struct action *c)
{
	struct request_refresh_token body;
	struct session s = {0};
	struct caller caller;
	struct slice token, digest;
	struct json_value row;
	uint64_t known;
	uint8_t once[ONCE_KEY_LEN];
	int rc;

	if (!action_read(c, &schema_request_refresh_token, &body) ||
	    !caller_read(c, body.device_info, body.device_id, &caller))
		return;
	if (!session_token_of(c, body.refresh_token, &token))
		return;
	if (token.len == 0) {
		action_fail(c, 401, "invalid_token", "The refresh token is missing.", "刷新令牌不能为空");
		return;
	}
	digest = token_digest(c, token);
	if (digest.ptr == NULL)
		return;
	rc = action_row(c, "session_of_token", (struct action_param[]){{"digest", digest, 0}}, 1, &row);
	if (rc == ERR_NOT_FOUND || (rc == 0 && !may_refresh(c, row))) {
		bad_refresh(c);
		return;
	}
	if (!action_ok(c, rc))
		return;
	s.id = row_text(c, row, "id");
	s.user_id = row_text(c, row, "user");
	s.is_web = slice_is(row_text(c, row, "clientType"), "web");
	event_once_key(once, SLICE("refresh"), digest);
	if (eventlog_find_once(c->app->log, once, &known) == 0)
		refresh_again(c, known, digest, &caller, &s);
	else
		rotate(c, digest, row_i64(row, "until"), &caller, &s);
}

static void refresh_token(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_refresh);
}

/* ---- the public keys ------------------------------------------------------------------------------ */

static void jwks(struct http_request *rq)
{
	struct buf out = BUF_INIT(8192);
	struct json_writer w = JSON_WRITER(&out);
	int rc = tokens_write_jwks(app_of(rq)->tokens, &w);

	if (rc != 0) {
		buf_finish(&out);
		http_problem_err(rq, rc, NULL);
		return;
	}
	http_header(rq, "Cache-Control", SLICE("public, max-age=3600"));
	http_respond(rq, 200, HTTP_JSON, &out);
}

const struct route api_auth_routes[] = {
	AUTH_ROUTES(HTTP_POST, "/login", login, ROUTE_PUBLIC, .request = &schema_request_login, .answer = "object",
	    .summary = "Sign in"),
	AUTH_ROUTES(HTTP_POST, "/refresh-token", refresh_token, ROUTE_PUBLIC, .request = &schema_request_refresh_token,
	    .answer = "object", .summary = "A new pair of tokens for the refresh token, which is used up"),
	{HTTP_GET, "/.well-known/jwks.json", jwks, .flags = ROUTE_PUBLIC, .tag = AUTH_TAG, .answer = "object",
	    .summary = "The public keys of access tokens"},
	{0},
};
