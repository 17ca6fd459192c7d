/* Accounts, as operators and administrators see them. */
#include "app/accounts.h"
#include "app/api.h"
#include "app/api_list.h"
#include "app/roles.h"
#include "app/users.h"
#include "base/err.h"
#include "crypto/password.h"
#include "requests.gen.h"

struct creation {
	struct action *c;
	struct request_user_create body;
	struct account_names names;
	const struct system_role *role;
	struct id user;
	struct slice user_text;
	const char *hash; /* NULL: no password */
};

static bool check_password(struct creation *n)
{
	struct action *c = n->c;
	const char *const names[] = {arena_printf(c->arena, "%.*s", SLICE_ARG(n->names.username)),
	    arena_printf(c->arena, "%.*s", SLICE_ARG(n->names.email_key)),
	    arena_printf(c->arena, "%.*s", SLICE_ARG(n->body.display_name)), NULL};
	char *hash = arena_alloc(c->arena, PASSWORD_HASH_SIZE);
	struct said why;
	int rc;

	if (n->body.password.len == 0)
		return true;
	rc = hash == NULL ? ERR_NOMEM : account_password(n->body.password, names, &why);
	if (rc == ERR_INVALID)
		return action_fail_said(c, 400, "weak_password", why);
	if (rc == 0)
		rc = password_hash(hash, n->body.password, &PASSWORD_COST_DEFAULT, c->app->rng);
	if (rc != 0)
		return action_fail_err(c, rc);
	n->hash = hash;
	return true;
}

static bool read_creation(struct creation *n)
{
	struct action *c = n->c;

	if (!action_read(c, &schema_request_user_create, &n->body) ||
	    !account_names_read(c, n->body.username, n->body.email, n->body.country_code, n->body.phone, &n->names))
		return false;
	if (n->names.username_key.len == 0 && n->names.email_key.len == 0 && n->names.phone_key.len == 0)
		return action_fail(c, 400, "invalid", "An account needs a user name, a mail address or a phone number.",
		    "请提供用户名、邮箱或手机号");
	n->role = system_role_find(n->body.role.len > 0 ? n->body.role : SLICE("MEMBER"));
	if (n->role == NULL)
		return action_fail(c, 400, "invalid", "There is no such role of the whole system.", "角色不存在");
	if (!principal_may(c->rq->principal, "roles:grant") && strcmp(n->role->code, "MEMBER") != 0)
		return action_fail(c, 403, "forbidden", "Giving a role needs the permission roles:grant.", "没有权限");
	if (strcmp(n->role->code, ROLE_SUPER_ADMIN) == 0 && !principal_may(c->rq->principal, "*"))
		return action_fail(c, 403, "forbidden", "Nobody gives more than they have.", "没有权限");
	return check_password(n);
}

static struct slice claim_of(struct action *c, const char *kind, struct slice key)
{
	return key.len == 0 ? (struct slice){0} : account_digest(c, kind, key);
}

static void add_events(struct creation *n, struct action_events *e)
{
	struct action *c = n->c;
	struct event_user_registered data = {.user_id = n->user_text, .username = n->names.username, .email = n->names.email,
	    .phone = n->names.phone, .country_code = n->names.country_code, .display_name = n->body.display_name,
	    .username_claim = claim_of(c, "username", n->names.username_key),
	    .email_claim = claim_of(c, "email", n->names.email_key), .phone_claim = claim_of(c, "phone", n->names.phone_key),
	    .legacy_claim = claim_of(c, "legacy", n->body.legacy_id),
	    .how = SLICE("OPERATOR"), .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = n->user_text}}};
	struct event_user_password_set password = {.user_id = n->user_text, .how = SLICE("OPERATOR"), .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = n->user_text}}};

	system_roles_add(e);
	action_event(e, EVENT_USER_REGISTERED, &data, &n->user, NULL);
	if (n->hash != NULL) {
		password.hash = slice_str(n->hash);
		action_event(e, EVENT_USER_PASSWORD_SET, &password, &n->user, NULL);
	}
	system_role_grant(e, n->role, n->user_text);
}

static bool answer_taken(struct action *c, struct slice claim)
{
	if (slice_starts_with(claim, SLICE("username:")))
		return action_fail(c, 409, "taken", "This user name has an account already.", "用户名已被注册");
	if (slice_starts_with(claim, SLICE("email:")))
		return action_fail(c, 409, "taken", "This mail address has an account already.", "邮箱已被注册");
	if (slice_starts_with(claim, SLICE("legacy:")))
		return action_fail(c, 409, "taken", "This legacyId has an account already.", "该旧系统用户已存在");
	return action_fail(c, 409, "taken", "This phone number has an account already.", "手机号已被注册");
}

static void run_create(struct action *c)
{
	struct creation n = {.c = c};
	struct action_events e = {.c = c};
	char *id_text = arena_alloc(c->arena, ID_TEXT_LEN + 1);
	struct json_writer w;
	int rc;

	if (!read_creation(&n))
		return;
	rc = id_text == NULL ? ERR_NOMEM : keyring_take(c->app->keyring, KEY_SUBJECT, &n.user);
	if (rc != 0) {
		action_fail_err(c, rc);
		return;
	}
	id_format(id_text, &n.user);
	n.user_text = slice_of(id_text, ID_TEXT_LEN);
	add_events(&n, &e);
	rc = action_append(&e);
	if (rc == ERR_TAKEN) {
		answer_taken(c, e.append.claim_taken);
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

	api_list(rq, "users", &there, all ? 0 : 1, LIST_SHAPE_PAGE);
}

static void get_user(struct http_request *rq)
{
	api_one(rq, "user_by_id", http_request_param(rq, "id"), NO_SUCH_USER, false);
}

static const struct api_list_doc list_doc = {"users", NULL};

const struct route api_users_routes[] = {
	{HTTP_GET, "/api/v1/users", list_users, "users:read", .answer = "UserList", .tag = "users",
	    .summary = "Who has an account; deleted ones when state or deleted asks for them", .extra = &list_doc},
	{HTTP_GET, "/api/v1/users/{id}", get_user, "users:read", .answer = "User", .tag = "users", .summary = "One of them"},
	{HTTP_POST, "/api/v1/users", create_user, "users:write", .flags = ROUTE_NO_ETAG, .request = &schema_request_user_create,
	    .answer = "object", .success = "201", .tag = "users", .summary = "Give somebody an account"},
	{0},
};
