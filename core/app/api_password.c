/*
 * A new password: with a code by who cannot sign in (functional-spec 3.11), with
 * the old one by who is signed in. Either ends the other log-ins, and what was
 * counted against wrong tries (integrity.md 20).
 *
 * A code is used up only by a password that was set; whether an address has an
 * account is told by nothing.
 */
#include "app/accounts.h"
#include "app/api.h"
#include "app/codes.h"
#include "base/err.h"
#include "crypto/password.h"
#include "requests.gen.h"

/* What a password must not hold: all that the person is called. Room for its NULL. */
#define NAMES_MAX 5

static void names_of(struct action *c, struct json_value account, const char *names[NAMES_MAX])
{
	static const char *const columns[] = {"username", "email", "phone", "displayName"};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		struct slice name = row_text(c, account, columns[i]);

		names[n] = name.len == 0 ? NULL : action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(name)));
		n += names[n] != NULL;
	}
	names[n] = NULL;
}

static int account_of(struct action *c, struct slice user, struct json_value *ret)
{
	return action_row(c, "profile_of_user", (struct action_param[]){{"id", user, 0}}, 1, ret);
}

static void add_password(struct action_events *e, const struct id *user, struct slice user_text, const char *hash,
    const char *how)
{
	struct event_user_password_set data = {.user_id = user_text, .hash = slice_str(hash), .how = slice_str(how),
	    .has_subjects = true, .subjects = {.has_person = true, .person = {.id = user_text}}};

	action_event(e, EVENT_USER_PASSWORD_SET, &data, user, NULL);
}

static void answer_done(struct action *c, const char *zh)
{
	struct json_writer w = action_answer(c, 200);

	json_begin_object(&w);
	json_name(&w, "success");
	json_put_bool(&w, true);
	json_name(&w, "message");
	json_put_str(&w, zh);
	json_end_object(&w);
}

/* ---- with a code ------------------------------------------------------------------------ */

struct reset {
	struct action *c;
	struct request_reset_password body;
	struct code_target target;
	struct caller caller;
	struct code_right code;
	struct json_value account;
	struct id user;
	struct slice user_text;
	const char *hash;
};

static bool read_reset(struct reset *r)
{
	struct action *c = r->c;
	const char *names[2] = {NULL};

	if (!action_read(c, &schema_request_reset_password, &r->body) ||
	    !code_target_read(c, r->body.target, r->body.country_code, &r->target) || !code_text_check(c, r->body.code))
		return false;
	names[0] = action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(r->target.key)));
	return account_password_check(c, r->body.new_password, names) &&
	       caller_read(c, (struct slice){0}, (struct slice){0}, &r->caller);
}

/* False: no code of theirs, or of nobody who has an account; answered. */
static bool check_reset(struct reset *r)
{
	struct action *c = r->c;
	struct json_value row;
	int code_rc = code_check(c, CODE_RESET_PASSWORD, &r->target, r->body.request_id, r->body.code, &r->code), rc;

	if (code_rc != 0 && code_rc != ERR_DENIED)
		return action_fail_err(c, code_rc);
	rc = action_row(c, "account_by_claim", (struct action_param[]){{"claim", r->target.digest, 0}}, 1, &row);
	if (rc != 0 && rc != ERR_NOT_FOUND)
		return action_fail_err(c, rc);
	if (code_rc != 0 || rc != 0 || row_bool(row, "deleted") || !row_bool(row, "active"))
		return code_refuse(c, 400);
	r->user_text = row_text(c, row, "id");
	rc = id_parse(r->user_text, &r->user);
	if (rc == 0)
		rc = account_of(c, r->user_text, &r->account);
	return action_ok(c, rc);
}

static bool prepare_reset(struct reset *r)
{
	const char *names[NAMES_MAX];

	names_of(r->c, r->account, names);
	if (!account_password_check(r->c, r->body.new_password, names))
		return false;
	if (r->hash == NULL)
		r->hash = account_password_hash(r->c, r->body.new_password);
	return r->hash != NULL;
}

/* One go; ERR_CONFLICT when the code was tried or used by somebody else meanwhile. Else it is answered. */
static int reset_once(struct reset *r)
{
	struct action *c = r->c;
	struct action_events e = {.c = c};
	struct event_login_succeeded login = {.target_digest = r->target.digest, .target = r->target.address,
	    .login_type = SLICE("PASSWORD_RESET"), .address_digest = r->caller.address_digest,
	    .network_digest = r->caller.network_digest, .ip = c->rq->address, .user_agent = r->caller.user_agent,
	    .has_subjects = true, .subjects = {.has_person = true}};
	int rc;

	if (!check_reset(r) || !prepare_reset(r))
		return 0;
	login.user_id = login.subjects.person.id = r->user_text;
	add_password(&e, &r->user, r->user_text, r->hash, "RESET"); /* which ends every log-in */
	action_event(&e, EVENT_LOGIN_SUCCEEDED, &login, &r->user, NULL);
	code_use(&e, &r->code, r->user_text);
	rc = action_append(&e);
	if (rc == ERR_CONFLICT)
		return rc;
	if (rc != 0) {
		action_fail_err(c, rc);
	} else {
		code_used(c);
		answer_done(c, "密码重置成功");
	}
	return 0;
}

static void run_reset(struct action *c)
{
	struct reset r = {.c = c};

	if (!read_reset(&r))
		return;
	while (reset_once(&r) == ERR_CONFLICT) {
	}
}

static void reset_password(struct http_request *rq)
{
	action_start(rq, ACTION_HASHING, run_reset);
}

/* ---- with the old one -------------------------------------------------------------------- */

struct change {
	struct action *c;
	struct request_change_password body;
	struct json_value account;
	struct id user;
	struct slice user_text;
	struct slice claim; /* of one of their names: what wrong tries are counted against */
};

static bool find_own_account(struct change *h)
{
	static const char *const claims[] = {"usernameClaim", "emailClaim", "phoneClaim"};
	struct action *c = h->c;
	const struct principal *who = c->rq->principal;
	int rc;

	/* A key or token that is no log-in may do much for its owner, but not shut them out. */
	if (who->session_id[0] == '\0')
		return action_fail(c, 403, "forbidden", "Only who is signed in changes a password.", "请先登录");
	h->user_text = slice_str(who->user_id);
	rc = id_parse(h->user_text, &h->user);
	if (rc == 0)
		rc = account_of(c, h->user_text, &h->account);
	if (rc != 0)
		return action_fail_err(c, rc);
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]) && h->claim.len == 0; i++)
		h->claim = row_text(c, h->account, claims[i]);
	return true;
}

static bool may_try(struct change *h)
{
	struct action *c = h->c;
	int64_t now_ms = clock_wall_ms(c->app->clock), wait_ms;
	struct action_param of[] = {{"digest", h->claim, 0}, {"since", {0}, now_ms - FAILURES_WINDOW_MS}};
	struct json_value row;
	int rc = action_row(c, "failures_of_target", of, 2, &row);

	if (rc != 0)
		return action_fail_err(c, rc);
	wait_ms = failures_wait_ms(row_i64(row, "failures"), row_i64(row, "lastAt"), now_ms);
	return wait_ms == 0 || failures_refuse(c, wait_ms, "密码错误次数过多，请稍后再试");
}

static bool refuse_change(struct change *h)
{
	struct action *c = h->c;
	struct action_events e = {.c = c};
	struct event_login_failed data = {.target_digest = h->claim, .user_id = h->user_text,
	    .login_type = SLICE("PASSWORD_CHANGE"), .reason = SLICE("WRONG_PASSWORD"), .ip = c->rq->address,
	    .has_subjects = true, .subjects = {.has_person = true, .person = {.id = h->user_text}}};
	struct caller caller;
	int rc;

	if (!caller_read(c, (struct slice){0}, (struct slice){0}, &caller))
		return false;
	data.address_digest = caller.address_digest;
	data.network_digest = caller.network_digest;
	data.user_agent = caller.user_agent;
	action_event(&e, EVENT_LOGIN_FAILED, &data, &h->user, NULL);
	rc = action_append(&e);
	if (rc != 0)
		return action_fail_err(c, rc);
	return action_fail(c, 400, "wrong_password", "oldPassword: is not the password.", "原密码错误");
}

static bool check_old_password(struct change *h)
{
	struct action *c = h->c;
	struct slice hash = row_text(c, h->account, "passwordHash");
	bool rehash;
	int rc;

	if (hash.len == 0)
		return action_fail(c, 400, "no_password", "There is no old password; set one with a code, by reset-password.",
		    "该账户未设置密码，请通过验证码重置密码");
	if (!may_try(h))
		return false;
	rc = password_verify(hash, h->body.old_password, &PASSWORD_COST_DEFAULT, &rehash);
	if (rc == ERR_NOMEM)
		return action_fail_err(c, rc);
	return rc == 0 || refuse_change(h);
}

static void run_change(struct action *c)
{
	const struct principal *who = c->rq->principal;
	struct change h = {.c = c};
	struct action_events e = {.c = c};
	const char *names[NAMES_MAX], *hash;
	int rc;

	if (!action_read(c, &schema_request_change_password, &h.body) || !find_own_account(&h) || !check_old_password(&h))
		return;
	names_of(c, h.account, names);
	if (slice_eq(h.body.old_password, h.body.new_password)) {
		action_fail(c, 400, "weak_password", "newPassword: is the old one.", "新密码不能与原密码相同");
		return;
	}
	if (!account_password_check(c, h.body.new_password, names))
		return;
	hash = account_password_hash(c, h.body.new_password);
	if (hash == NULL)
		return;
	rc = sessions_end(&e, h.user_text, slice_str(who->session_id), "PASSWORD", 1);
	add_password(&e, &h.user, h.user_text, hash, "CHANGE");
	if (rc == 0)
		rc = action_append(&e);
	if (rc != 0)
		action_fail_err(c, rc);
	else
		answer_done(c, "密码修改成功");
}

static void change_password(struct http_request *rq)
{
	action_start(rq, ACTION_HASHING, run_change);
}

const struct route api_password_routes[] = {
	AUTH_ROUTES(HTTP_POST, "/reset-password", reset_password, ROUTE_PUBLIC, .request = &schema_request_reset_password,
	    .answer = "object", .summary = "Set a new password, with a code of type reset_password"),
	AUTH_ROUTES(HTTP_POST, "/change-password", change_password, 0, .request = &schema_request_change_password,
	    .answer = "object", .summary = "Set a new password, with the old one"),
	{0},
};
