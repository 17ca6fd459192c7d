/* Accounts, as operators and administrators see them. */
#include "app/accounts.h"
#include "app/api.h"
#include "app/api_list.h"
#include "app/roles.h"
#include "app/users.h"
#include "base/err.h"
#include "requests.gen.h"

/* ---- new accounts, whoever makes them -------------------------------------------------------- */

bool account_new_password(struct action *c, struct account_new *n, struct slice password)
{
	const char *const names[] = {action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(n->names.username))),
	    action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(n->names.email_key))),
	    action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(n->display_name))), NULL};

	if (!account_password_check(c, password, names))
		return false;
	n->hash = account_password_hash(c, password);
	return n->hash != NULL;
}

static struct slice claim_of(struct action *c, const char *kind, struct slice key)
{
	return key.len == 0 ? (struct slice){0} : account_digest(c, kind, key);
}

static struct event_meta meta_of(const struct action *c, const struct account_new *n, const char *part)
{
	struct event_meta meta = action_meta(c);

	meta.has_once = n->once != NULL;
	if (meta.has_once)
		event_once_key(meta.once, slice_str(n->once), slice_str(part));
	return meta;
}

static void add_registered(struct action_events *e, struct account_new *n)
{
	struct action *c = e->c;
	struct event_user_registered data = {.user_id = n->user_text, .username = n->names.username, .email = n->names.email,
	    .phone = n->names.phone, .country_code = n->names.country_code, .display_name = n->display_name,
	    .username_claim = claim_of(c, "username", n->names.username_key),
	    .email_claim = claim_of(c, "email", n->names.email_key), .phone_claim = claim_of(c, "phone", n->names.phone_key),
	    .legacy_claim = claim_of(c, "legacy", n->legacy_id),
	    .how = slice_str(n->how), .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = n->user_text}}};
	struct event_meta meta = meta_of(c, n, "registered");

	action_event(e, EVENT_USER_REGISTERED, &data, &n->user, &meta);
}

static void add_password(struct action_events *e, struct account_new *n)
{
	struct event_user_password_set data = {.user_id = n->user_text, .hash = slice_str(n->hash), .how = slice_str(n->how),
	    .has_subjects = true, .subjects = {.has_person = true, .person = {.id = n->user_text}}};
	struct event_meta meta = meta_of(e->c, n, "password");

	action_event(e, EVENT_USER_PASSWORD_SET, &data, &n->user, &meta);
}

static void add_role(struct action_events *e, struct account_new *n)
{
	struct event_role_granted data = {.role_id = slice_str(action_made(e->c, system_role_id(e->c->arena, n->role))),
	    .user_id = n->user_text};
	struct event_meta meta = meta_of(e->c, n, "role");

	action_event(e, EVENT_ROLE_GRANTED, &data, NULL, &meta);
}

int account_new_add(struct action_events *e, struct account_new *n)
{
	struct action *c = e->c;
	char *text = arena_alloc(c->arena, ID_TEXT_LEN + 1);
	int rc = text == NULL ? ERR_NOMEM : keyring_take(c->app->keyring, KEY_SUBJECT, &n->user);

	if (rc != 0)
		return rc;
	id_format(text, &n->user);
	n->user_text = slice_of(text, ID_TEXT_LEN);
	system_roles_add(e);
	add_registered(e, n);
	if (n->hash != NULL)
		add_password(e, n);
	add_role(e, n);
	return 0;
}

bool account_new_taken(struct action *c, struct slice claim)
{
	if (slice_starts_with(claim, SLICE("username:")))
		return action_fail(c, 409, "taken", "This user name has an account already.", "用户名已被注册");
	if (slice_starts_with(claim, SLICE("email:")))
		return action_fail(c, 409, "taken", "This mail address has an account already.", "邮箱已被注册");
	if (slice_starts_with(claim, SLICE("legacy:")))
		return action_fail(c, 409, "taken", "This legacyId has an account already.", "该旧系统用户已存在");
	return action_fail(c, 409, "taken", "This phone number has an account already.", "手机号已被注册");
}

/* ---- one of an administrator's --------------------------------------------------------------- */

static bool read_role(struct action *c, struct slice code, struct account_new *n)
{
	n->role = system_role_find(code.len > 0 ? code : SLICE("MEMBER"));
	if (n->role == NULL)
		return action_fail(c, 400, "invalid", "role: there is no such role of the whole system.", "角色不存在");
	if (!principal_may(c->rq->principal, "roles:grant") && strcmp(n->role->code, "MEMBER") != 0)
		return action_fail(c, 403, "forbidden", "role: giving one needs the permission roles:grant.", "没有权限");
	if (strcmp(n->role->code, ROLE_SUPER_ADMIN) == 0 && !principal_may(c->rq->principal, "*"))
		return action_fail(c, 403, "forbidden", "role: nobody gives more than they have.", "没有权限");
	return true;
}

bool account_new_read(struct action *c, struct account_new *n)
{
	struct request_user_create body;

	if (!action_read(c, &schema_request_user_create, &body) ||
	    !account_names_read(c, body.username, body.email, body.country_code, body.phone, &n->names))
		return false;
	if (n->names.username_key.len == 0 && n->names.email_key.len == 0 && n->names.phone_key.len == 0)
		return action_fail(c, 400, "invalid", "An account needs a user name, a mail address or a phone number.",
		    "请提供用户名、邮箱或手机号");
	n->display_name = body.display_name;
	n->legacy_id = body.legacy_id;
	return read_role(c, body.role, n) && (body.password.len == 0 || account_new_password(c, n, body.password));
}

static void run_create(struct action *c)
{
	struct account_new n = {.how = "OPERATOR"};
	struct action_events e = {.c = c};
	struct json_writer w;
	int rc;

	if (!account_new_read(c, &n))
		return;
	rc = account_new_add(&e, &n);
	if (rc == 0)
		rc = action_append(&e);
	if (rc == ERR_TAKEN) {
		account_new_taken(c, e.append.claim_taken);
		return;
	}
	if (rc != 0) {
		action_fail_err(c, rc);
		return;
	}
	w = action_answer(c, 201);
	json_begin_object(&w);
	json_name(&w, "id");
	json_put_string(&w, n.user_text);
	json_name(&w, "roles");
	json_begin_array(&w);
	json_put_str(&w, n.role->code);
	json_end_array(&w);
	json_end_object(&w);
}

static void create_user(struct http_request *rq)
{
	action_start(rq, ACTION_HASHING, run_create);
}

/* ---- looking --------------------------------------------------------------------------------- */

static bool is_asked(const struct http_request *rq, const char *name)
{
	for (size_t i = 0; i < rq->n_query; i++)
		if (slice_is(rq->query[i].name, name))
			return true;
	return false;
}

/* Those that were deleted are shown to who asks for them. */
static void list_users(struct http_request *rq)
{
	struct list_fixed there = {"deleted", SLICE_INIT("false")};
	bool all = is_asked(rq, "deleted") || is_asked(rq, "state");

	api_list(rq, "users", &there, all ? 0 : 1);
}

static void get_user(struct http_request *rq)
{
	api_one(rq, "user_by_id", http_request_param(rq, "id"), NO_SUCH_USER, false);
}

/* In a body: what people are called is not written into addresses. */
static bool read_name(struct action *c, struct slice *ret_claim)
{
	static const char *const kinds[] = {[ACCOUNT_USERNAME] = "username", [ACCOUNT_EMAIL] = "email", [ACCOUNT_PHONE] = "phone"};
	struct request_user_find body;
	struct account_names names;
	enum account_kind kind;

	if (!action_read(c, &schema_request_user_find, &body))
		return false;
	kind = account_kind_of(body.name);
	if (!account_names_read(c, kind == ACCOUNT_USERNAME ? body.name : (struct slice){0},
	        kind == ACCOUNT_EMAIL ? body.name : (struct slice){0}, (struct slice){0},
	        kind == ACCOUNT_PHONE ? body.name : (struct slice){0}, &names))
		return false;
	*ret_claim = account_digest(c, kinds[kind], kind == ACCOUNT_USERNAME ? names.username_key
	                                            : kind == ACCOUNT_EMAIL  ? names.email_key : names.phone_key);
	return ret_claim->ptr != NULL || action_fail_err(c, ERR_NOMEM);
}

static void run_find(struct action *c)
{
	struct slice claim;
	struct json_value row;
	int rc;

	if (!read_name(c, &claim))
		return;
	rc = action_row(c, "account_by_claim", (struct action_param[]){{"claim", claim, 0}}, 1, &row);
	if (rc == ERR_NOT_FOUND)
		action_fail(c, 404, "not_found", NO_SUCH_USER, "用户不存在");
	else if (rc != 0)
		action_fail_err(c, rc);
	else
		account_answer(c, row_text(c, row, "id"));
}

static void find_user(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_find);
}

static const struct api_list_doc list_doc = {"users", NULL};

const struct route api_users_routes[] = {
	{HTTP_GET, "/api/v1/users", list_users, "users:read", .answer = "UserList", .tag = "users",
	    .summary = "Who has an account; deleted ones when state or deleted asks for them", .extra = &list_doc},
	{HTTP_GET, "/api/v1/users/{id}", get_user, "users:read", .answer = "User", .tag = "users", .summary = "One of them"},
	{HTTP_POST, "/api/v1/users/find", find_user, "users:read", .flags = ROUTE_NO_ETAG, .request = &schema_request_user_find,
	    .answer = "User", .tag = "users", .summary = "Who it is that is called so"},
	{HTTP_POST, "/api/v1/users", create_user, "users:write", .flags = ROUTE_NO_ETAG, .request = &schema_request_user_create,
	    .answer = "object", .success = "201", .tag = "users", .summary = "Give somebody an account"},
	{0},
};
