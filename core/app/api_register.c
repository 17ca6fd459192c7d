/*
 * Getting an account by oneself (functional-spec 3.2): with a code that shows
 * whose address or number it is. Its names and the code are decided by the log's writer in one append, so of any number who ask
 * at once one gets the account.
 *
 * That an address has an account already is told only to who has shown that it is theirs.
 */
#include "app/accounts.h"
#include "app/api.h"
#include "app/codes.h"
#include "app/roles.h"
#include "base/err.h"
#include "requests.gen.h"

struct registration {
	struct action *c;
	struct request_register body;
	struct account_names names;
	struct code_target target;
	struct caller caller;
	bool by_phone, by_password;
	struct slice display_name;
	const char *hash; /* NULL: no password */
	struct code_right code;
	struct id user;
	struct slice user_text; /* empty: no id was taken yet */
	struct session session;
};

static bool given(struct slice text)
{
	return text.len > 0;
}

/* The types that never give an account, and what existing clients are told then. */
static bool check_type(struct registration *n)
{
	struct action *c = n->c;

	n->by_password = slice_is(n->body.type, "email_password") || slice_is(n->body.type, "phone_password");
	n->by_phone = slice_starts_with(n->body.type, SLICE("phone"));
	if (slice_is(n->body.type, "username_password"))
		return action_fail(c, 400, "unsupported",
		    "An account needs a mail address or phone number: ask for a code and register with it.",
		    "请使用邮箱或手机验证码注册");
	if (!given(n->by_phone ? n->body.phone : n->body.email) || (n->by_password && !given(n->body.password)) ||
	    (!n->by_password && !given(n->body.code))) {
		if (n->by_password)
			return n->by_phone ? action_fail(c, 400, "invalid", "phone, password: both are needed.", "手机号和密码不能为空")
			                   : action_fail(c, 400, "invalid", "email, password: both are needed.", "邮箱和密码不能为空");
		return n->by_phone ? action_fail(c, 400, "invalid", "phone, code: both are needed.", "手机号和验证码不能为空")
		                   : action_fail(c, 400, "invalid", "email, code: both are needed.", "邮箱和验证码不能为空");
	}
	/* Of an address that nobody has shown to be theirs no account is made: its owner could not have one any more. */
	if (n->by_phone && given(n->body.email))
		return action_fail(c, 400, "invalid", "email: add it to the profile later, with a code of its own.",
		    "手机注册时不能填写邮箱，请注册后在个人资料中绑定");
	if (!n->by_phone && given(n->body.phone))
		return action_fail(c, 400, "invalid", "phone: add it to the profile later, with a code of its own.",
		    "邮箱注册时不能填写手机号，请注册后在个人资料中绑定");
	return n->by_password || code_text_check(c, n->body.code);
}

/* What the person is called at first: functional-spec 3.2, step 5. */
static struct slice first_name(const struct registration *n)
{
	struct slice local, domain;

	if (given(n->names.username))
		return n->names.username;
	if (n->by_phone)
		return n->names.phone;
	slice_cut(n->names.email, '@', &local, &domain);
	return local;
}

static bool read_registration(struct registration *n)
{
	struct action *c = n->c;
	const char *names[4] = {NULL};

	if (!action_read(c, &schema_request_register, &n->body) || !check_type(n) ||
	    !account_names_read(c, n->body.username, n->body.email, n->body.country_code, n->body.phone, &n->names))
		return false;
	n->display_name = first_name(n);
	names[0] = action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(n->by_phone ? n->names.phone : n->names.email_key)));
	names[1] = given(n->names.username) ? action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(n->names.username))) : NULL;
	if (given(n->body.password) && !account_password_check(c, n->body.password, names))
		return false;
	if (n->by_password)
		return n->by_phone
		           ? action_fail(c, 400, "unsupported", "Ask for a code and register as phone_code.", "请先验证手机号")
		           : action_fail(c, 400, "unsupported", "Ask for a code and register as email_code.", "请先验证邮箱");
	return code_target_of(c, &n->names, n->by_phone, &n->target) &&
	       caller_takes_cookie(c, n->body.client_type) &&
	       caller_read(c, n->body.device_info, n->body.device_id, &n->caller);
}

/* Before the costly part; the log's writer has the last word. */
static bool is_free(struct registration *n)
{
	const struct {
		const char *kind;
		struct slice key;
	} names[] = {{"username", n->names.username_key}, {"email", n->names.email_key}, {"phone", n->names.phone_key}};
	struct action *c = n->c;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct slice digest, claim;
		uint64_t position;
		int rc;

		if (!given(names[i].key))
			continue;
		digest = account_digest(c, names[i].kind, names[i].key);
		claim = slice_str(action_made(c, arena_printf(c->arena, "%s:%.*s", names[i].kind, SLICE_ARG(digest))));
		rc = c->err != 0 ? c->err : eventlog_find_claim(c->app->log, claim, &position);
		if (rc == 0)
			return account_answer_taken(c, 400, claim);
		if (rc != ERR_NOT_FOUND)
			return action_fail_err(c, rc);
	}
	return true;
}

static bool prepare(struct registration *n)
{
	struct action *c = n->c;
	char *id_text;
	int rc;

	if (given(n->body.password) && n->hash == NULL) {
		n->hash = account_password_hash(c, n->body.password);
		if (n->hash == NULL)
			return false;
	}
	if (n->user_text.len > 0)
		return true;
	id_text = arena_alloc(c->arena, ID_TEXT_LEN + 1);
	rc = id_text == NULL ? ERR_NOMEM : keyring_take(c->app->keyring, KEY_SUBJECT, &n->user);
	if (rc != 0)
		return action_fail_err(c, rc);
	id_format(id_text, &n->user);
	n->user_text = slice_of(id_text, ID_TEXT_LEN);
	return true;
}

static struct slice claim_of(struct action *c, const char *kind, struct slice key)
{
	return key.len == 0 ? (struct slice){0} : account_digest(c, kind, key);
}

static void add_account(struct registration *n, struct action_events *e)
{
	struct action *c = n->c;
	struct event_user_registered data = {.user_id = n->user_text, .username = n->names.username,
	    .email = n->names.email, .phone = n->names.phone, .country_code = n->names.country_code,
	    .display_name = n->display_name, .username_claim = claim_of(c, "username", n->names.username_key),
	    .email_claim = claim_of(c, "email", n->names.email_key), .phone_claim = claim_of(c, "phone", n->names.phone_key),
	    .email_verified = !n->by_phone, .phone_verified = n->by_phone,
	    .how = n->by_phone ? SLICE("PHONE_CODE") : SLICE("EMAIL_CODE"), .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = n->user_text}}};
	struct event_user_password_set password = {.user_id = n->user_text, .how = SLICE("REGISTRATION"),
	    .has_subjects = true, .subjects = {.has_person = true, .person = {.id = n->user_text}}};

	system_roles_add(e);
	action_event(e, EVENT_USER_REGISTERED, &data, &n->user, NULL);
	if (n->hash != NULL) {
		password.hash = slice_str(n->hash);
		action_event(e, EVENT_USER_PASSWORD_SET, &password, &n->user, NULL);
	}
	system_role_grant(e, system_role_find(SLICE("MEMBER")), n->user_text);
	code_use(e, &n->code, n->user_text);
}

static void add_login(struct registration *n, struct action_events *e)
{
	struct action *c = n->c;
	const char *login_type = n->by_phone ? "PHONE_CODE" : "EMAIL_CODE";
	struct event_login_succeeded data = {.target_digest = n->target.digest, .user_id = n->user_text,
	    .target = n->target.address, .login_type = slice_str(login_type), .address_digest = n->caller.address_digest,
	    .network_digest = n->caller.network_digest, .ip = c->rq->address, .user_agent = n->caller.user_agent,
	    .device_info = n->caller.device_info, .device_id = n->caller.device_id, .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = n->user_text}}};

	session_open(e, &n->user, &n->caller, login_type, slice_is(n->body.client_type, "web"), &n->session);
	data.session_id = n->session.id;
	action_event(e, EVENT_LOGIN_SUCCEEDED, &data, &n->user, NULL);
}

/* One go; ERR_CONFLICT when the code was tried or used by somebody else meanwhile. Else it is answered. */
static int register_once(struct registration *n)
{
	struct action *c = n->c;
	struct action_events e = {.c = c};
	int rc = code_check(c, CODE_REGISTER, &n->target, n->body.request_id, n->body.code, &n->code);

	if (rc != 0) {
		rc == ERR_DENIED ? code_refuse(c, 400) : action_fail_err(c, rc);
		return 0;
	}
	if (!is_free(n) || !prepare(n))
		return 0;
	add_account(n, &e);
	add_login(n, &e);
	rc = action_append(&e);
	if (rc == ERR_CONFLICT)
		return rc;
	if (rc == ERR_TAKEN) {
		account_answer_taken(c, 400, e.append.claim_taken);
	} else if (rc != 0) {
		action_fail_err(c, rc);
	} else {
		code_used(c);
		session_answer(c, 201, &n->session, n->display_name, SLICE("[\"MEMBER\"]"));
	}
	return 0;
}

static void run_register(struct action *c)
{
	struct registration n = {.c = c};

	if (!read_registration(&n))
		return;
	while (register_once(&n) == ERR_CONFLICT) {
	}
}

static void register_account(struct http_request *rq)
{
	action_start(rq, ACTION_HASHING, run_register);
}

const struct route api_register_routes[] = {
	AUTH_ROUTES(HTTP_POST, "/register", register_account, ROUTE_PUBLIC, .request = &schema_request_register,
	    .answer = "object", .success = "201", .summary = "Get an account, with a code of type register"),
	{0},
};
