/*
 * API keys (functional-spec 13.7) as they are made and changed: for programs, by
 * the people whose rights they carry. A key has no right that its maker lacks
 * when it is made, nor any that its owner lacks when it is used (principals.c).
 * It is shown once; the log has its SHA-256.
 *
 * Everybody who is signed in has keys of their own; those of others need
 * api_keys:manage. A key makes no keys: a log-in does, and no old one. A key of
 * an organisation has its scopes there and nowhere else, from whatever its owner
 * may there.
 */
#include "app/accounts.h"
#include "app/api.h"
#include "app/api_admin.h"
#include "app/api_key.h"
#include "app/api_keys.h"
#include "base/err.h"
#include "net/address.h"
#include "requests.gen.h"

#define LIFE_MAX_MS (366LL * 86400 * 1000) /* integrity.md 20: at most a year */
#define RATE_DEFAULT 600
#define LAST_LEN 4
#define KEYS_MAX 100 /* good ones a person; of many who make one at once some more may be made */

/* The members that its owner decides on. */
struct key_terms {
	struct slice name;
	struct slice org; /* empty: of none */
	struct slice *scopes;
	size_t n_scopes;
	int64_t expires_at_ms, rate_limit;
	bool restricted;
	struct slice allowed; /* ranges, separated by commas */
};

/* ---- terms ------------------------------------------------------------------------------ */

static bool fail_at(struct action *c, const char *path, const char *en, const char *zh)
{
	problems_add(&c->problems, path, "invalid", "%s", en);
	return action_fail(c, 400, "invalid", en, zh);
}

static bool read_expiry(struct action *c, struct slice text, int64_t *ret_ms)
{
	int64_t now_ms = clock_wall_ms(c->app->clock), at_us;

	if (text.len == 0)
		return true;
	if (time_parse_us(text, &at_us) != 0)
		return fail_at(c, "/expiresAt", "expiresAt is no instant, as 2026-11-23T00:00:00Z.", "过期时间格式不正确");
	*ret_ms = at_us / 1000;
	if (*ret_ms <= now_ms)
		return fail_at(c, "/expiresAt", "The key would have expired already.", "Expiration date must be in the future");
	if (*ret_ms > now_ms + LIFE_MAX_MS)
		return fail_at(c, "/expiresAt", "A key lives for a year at most.", "过期时间不能超过一年");
	return true;
}

static bool has(const struct principal *who, const char *scope, struct slice org)
{
	return org.len > 0 ? principal_scope(who, scope, org) != SCOPE_NONE : principal_may(who, scope);
}

/* Nobody gives more than they have: not the caller, nor the owner, who may be the same (NULL). */
static bool check_scopes(struct action *c, const struct key_terms *t, const struct principal *owner)
{
	const char *missing = NULL;

	for (size_t i = 0; i < t->n_scopes; i++) {
		const char *scope = action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(t->scopes[i])));

		if (has(c->rq->principal, scope, t->org) && (owner == NULL || has(owner, scope, t->org)))
			continue;
		missing = missing == NULL ? scope : action_made(c, arena_printf(c->arena, "%s, %s", missing, scope));
	}
	if (missing == NULL)
		return true;
	return action_fail(c, 403, "forbidden", arena_printf(c->arena, "A key cannot have what you do not: %s.", missing),
	    arena_printf(c->arena, "没有以下权限: %s", missing));
}

static bool read_allowed(struct action *c, const struct slice *items, size_t n, struct key_terms *t)
{
	struct buf text = BUF_INIT(2000);
	struct address_ranges ranges;

	t->restricted = n > 0;
	for (size_t i = 0; i < n; i++) {
		if (memchr(items[i].ptr, ',', items[i].len) != NULL || address_ranges_parse(items[i], &ranges) != 0) {
			buf_finish(&text);
			return fail_at(c, action_made(c, arena_printf(c->arena, "/allowedIps/%zu", i)),
			    "This is no address and no range of addresses, as 10.0.0.0/8.", "IP地址格式不正确");
		}
		if (i > 0)
			buf_append(&text, SLICE(","));
		buf_append(&text, items[i]);
	}
	t->allowed = text.len > 0 ? arena_dup(c->arena, buf_slice(&text)) : (struct slice){0};
	buf_finish(&text);
	return (n == 0 || t->allowed.ptr != NULL) ? true : action_fail_err(c, ERR_NOMEM);
}

/* The operator's token owns no keys: it names whose a new one is. */
static bool is_signed_in(struct action *c)
{
	const struct principal *who = c->rq->principal;

	return who->user_id[0] != '\0' ||
	    action_fail(c, 400, "invalid", "The operator's token belongs to no account: say userId.", "当前凭证不属于任何账户");
}

/* ---- create ----------------------------------------------------------------------------------- */

/* A key that is being made. */
struct making {
	char text[API_KEY_LEN + 1];
	struct slice id, prefix, digest, last4;
};

static bool make(struct action *c, struct making *m)
{
	struct id id = id_ordered(c->app->rng, clock_wall_ms(c->app->clock));
	char *id_text = arena_alloc(c->arena, ID_TEXT_LEN + 1);

	if (id_text == NULL)
		return action_fail_err(c, ERR_NOMEM);
	id_format(id_text, &id);
	m->id = slice_of(id_text, ID_TEXT_LEN);
	api_key_make(m->text, c->app->rng);
	api_key_parse(slice_str(m->text), &m->prefix);
	m->last4 = slice_of(m->text + API_KEY_LEN - LAST_LEN, LAST_LEN);
	m->digest = token_digest(c, slice_str(m->text));
	return m->digest.ptr != NULL || action_fail_err(c, ERR_NOMEM);
}

static bool texts_of(struct action *c, struct json_value row, const char *name, const char *const **ret)
{
	struct slice *texts;
	const char **list;
	size_t n;

	if (!admin_texts(c, json_root(admin_row_json(row, name)), &texts, &n))
		return false;
	list = arena_calloc(c->arena, n + 1, sizeof(*list));
	if (list == NULL)
		return action_fail_err(c, ERR_NOMEM);
	for (size_t i = 0; i < n; i++)
		list[i] = action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(texts[i])));
	*ret = list;
	return c->err == 0;
}

/* Of another's key: what its owner may. False: there is no such account, or an error; the answer is set. */
static bool find_owner(struct action *c, struct slice user, struct principal *ret)
{
	struct action_param who[] = {{"user", user, 0}, {"session", SLICE("-"), 0}};
	struct json_value row;
	int rc = action_row(c, "principal_of_user", who, 2, &row);

	*ret = (struct principal){0};
	if (rc == ERR_NOT_FOUND || (rc == 0 && !row_bool(row, "active")))
		return action_fail(c, 404, "not_found", "There is no such account, or it may not be used.", "用户不存在");
	if (rc != 0)
		return action_fail_err(c, rc);
	return texts_of(c, row, "permissions", &ret->permissions) && texts_of(c, row, "inOrgs", &ret->in_orgs);
}

/* Keys that are good, of one person. */
static bool has_room(struct action *c, struct slice owner)
{
	struct action_param of[] = {{"user", owner, 0}, {"org", SLICE(""), 0}, {"status", SLICE("ACTIVE"), 0},
	    {"now", {0}, clock_wall_ms(c->app->clock)}};
	struct json_value row;
	int rc = action_row(c, "count_of_api_keys", of, 4, &row);

	if (rc != 0)
		return action_fail_err(c, rc);
	return row_i64(row, "total") < KEYS_MAX ||
	    action_fail(c, 400, "too_many", "There are a hundred keys already: revoke those that nobody uses.", "API Key 数量已达上限");
}

/* The organisation comes last: whether there is one is told to those alone who could do something in it. */
static bool check_rights(struct action *c, const struct key_terms *t, const struct principal *owner)
{
	if (t->org.len > 0 && t->n_scopes == 0)
		return fail_at(c, "/scopes", "A key of an organisation needs a permission there.", "请至少选择一个权限");
	return check_scopes(c, t, owner) && (t->org.len == 0 || admin_org_exists(c, t->org));
}

static bool read_creation(struct action *c, struct request_api_key_create *body, struct key_terms *t,
    struct slice *ret_owner)
{
	const struct principal *who = c->rq->principal;
	struct principal owner;
	bool own;

	if (!action_read(c, &schema_request_api_key_create, body))
		return false;
	*ret_owner = body->user_id.len > 0 ? body->user_id : slice_str(who->user_id);
	if (body->user_id.len == 0 && !is_signed_in(c))
		return false;
	*t = (struct key_terms){.name = body->name, .org = body->org_id, .scopes = body->scopes.items,
	    .n_scopes = body->scopes.n, .expires_at_ms = clock_wall_ms(c->app->clock) + LIFE_MAX_MS,
	    .rate_limit = body->has_rate_limit ? body->rate_limit : RATE_DEFAULT};
	own = slice_is(*ret_owner, who->user_id);
	if (!own && !api_keys_manages(who, t->org))
		return action_fail(c, 403, "forbidden", "A key for somebody else needs the permission " API_KEYS_MANAGE ".", "没有权限");
	if (!own && !find_owner(c, *ret_owner, &owner))
		return false;
	return read_expiry(c, body->expires_at, &t->expires_at_ms) && check_rights(c, t, own ? NULL : &owner) &&
	    read_allowed(c, body->allowed_ips.items, body->allowed_ips.n, t);
}

/* A key lasts for longer than a log-in: who found an old one does not get it. The operator's token is no log-in. */
static bool may_make(struct action *c)
{
	const struct principal *who = c->rq->principal;

	return who->user_id[0] == '\0' || session_is_recent(c);
}

static void run_create(struct action *c)
{
	struct request_api_key_create body;
	struct event_api_key_created data;
	struct action_events e = {.c = c};
	struct making m;
	struct key_terms t;
	struct slice owner, none[1] = {{0}};
	struct id person;
	int rc;

	if (!read_creation(c, &body, &t, &owner) || !may_make(c) || !has_room(c, owner) || !make(c, &m))
		return;
	data = (struct event_api_key_created){.key_id = m.id, .user_id = owner, .org_id = t.org, .prefix = m.prefix, .digest = m.digest,
	    .last4 = m.last4, .name = t.name, .expires_at_ms = t.expires_at_ms, .rate_limit = t.rate_limit,
	    .restricted = t.restricted, .allowed = t.allowed, .has_subjects = true,
	    .subjects = {.has_person = true, .person = {.id = owner}}};
	data.scopes.items = t.n_scopes > 0 ? t.scopes : none;
	data.scopes.n = t.n_scopes;
	rc = id_parse(owner, &person);
	if (rc == 0) {
		action_event(&e, EVENT_API_KEY_CREATED, &data, &person, NULL);
		rc = action_append(&e);
	}
	if (rc != 0)
		action_fail_err(c, rc);
	else
		api_key_answer(c, 201, m.id, m.text, NULL);
	crypto_wipe(m.text, sizeof(m.text));
}

static void create(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_create);
}

/* ---- change ------------------------------------------------------------------------------------------ */

static bool is_given(const struct action *c, const char *name)
{
	struct json_value v;

	return json_member(json_root(c->rq->body), name, &v) && v.type != JSON_NULL;
}

static bool scopes_of_row(struct action *c, struct json_value row, struct key_terms *t)
{
	struct json_value scopes, one;
	struct json_reader r;
	size_t n = 0;

	if (!json_member(row, "scopes", &scopes) || scopes.type != JSON_ARRAY)
		return action_fail_err(c, ERR_CORRUPT);
	json_enter(&r, scopes);
	while (json_next(&r, NULL, &one))
		n++;
	t->scopes = arena_calloc(c->arena, n + 1, sizeof(*t->scopes));
	if (t->scopes == NULL)
		return action_fail_err(c, ERR_NOMEM);
	json_enter(&r, scopes);
	while (json_next(&r, NULL, &one))
		if (json_string(one, c->arena, &t->scopes[t->n_scopes++]) != 0)
			return action_fail_err(c, ERR_NOMEM);
	return true;
}

/* What the body does not name stays. Scopes are looked at only when they are given: a key may outlive its owner's rights. */
static bool merge(struct action *c, struct json_value row, const struct request_api_key_change *body,
    struct key_terms *t)
{
	const struct principal *who = c->rq->principal;
	struct principal owner;
	bool own = slice_is(row_text(c, row, "userId"), who->user_id);

	*t = (struct key_terms){.org = row_text(c, row, "orgId"), .name = body->name.len > 0 ? body->name : row_text(c, row, "name"),
	    .expires_at_ms = row_i64(row, "expiresAtMs"),
	    .rate_limit = body->has_rate_limit ? body->rate_limit : row_i64(row, "rateLimit"),
	    .restricted = row_bool(row, "restricted"), .allowed = row_text(c, row, "allowedIps")};
	if (!read_expiry(c, body->expires_at, &t->expires_at_ms))
		return false;
	if (is_given(c, "scopes")) {
		t->scopes = body->scopes.items;
		t->n_scopes = body->scopes.n;
		if ((!own && !find_owner(c, row_text(c, row, "userId"), &owner)) || !check_scopes(c, t, own ? NULL : &owner))
			return false;
	} else if (!scopes_of_row(c, row, t)) {
		return false;
	}
	return !is_given(c, "allowedIps") || read_allowed(c, body->allowed_ips.items, body->allowed_ips.n, t);
}

/* A change of more than the name may give more than the key had. */
static bool may_change(struct action *c)
{
	return !(is_given(c, "scopes") || is_given(c, "expiresAt") || is_given(c, "allowedIps") || is_given(c, "rateLimit")) ||
	    may_make(c);
}

/* Nothing of a revoked key is changed, and of two who change it at once one is told to look again. */
static void run_change(struct action *c)
{
	struct request_api_key_change body;
	struct event_meta meta = action_meta(c);
	struct event_api_key_changed data;
	struct action_events e = {.c = c};
	struct slice id = http_request_param(c->rq, "id"), none[1] = {{0}}, owner;
	struct json_value row;
	struct key_terms t;
	struct id person;
	int rc;

	if (!action_read(c, &schema_request_api_key_change, &body) || !api_key_find(c, &row) || !merge(c, row, &body, &t) ||
	    !may_change(c))
		return;
	if (slice_is(row_text(c, row, "status"), "REVOKED")) {
		action_fail(c, 400, "revoked", "A revoked API key cannot be changed.", "API Key 已被撤销");
		return;
	}
	owner = row_text(c, row, "userId");
	data = (struct event_api_key_changed){.key_id = id, .user_id = owner, .name = t.name,
	    .expires_at_ms = t.expires_at_ms, .rate_limit = t.rate_limit, .restricted = t.restricted, .allowed = t.allowed,
	    .has_subjects = true, .subjects = {.has_person = true, .person = {.id = owner}}};
	data.scopes.items = t.n_scopes > 0 ? t.scopes : none;
	data.scopes.n = t.n_scopes;
	meta.expect = row_i64(row, "version");
	rc = id_parse(owner, &person);
	if (rc == 0) {
		action_event(&e, EVENT_API_KEY_CHANGED, &data, &person, &meta);
		rc = action_append(&e);
	}
	if (rc == ERR_CONFLICT)
		action_fail(c, 409, "conflict", "The key was changed or used meanwhile; look again and repeat.", "请重试");
	else if (rc != 0)
		action_fail_err(c, rc);
	else
		api_key_answer(c, 200, id, NULL, NULL);
}

static void change(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_change);
}

/* ---- revoke and rotate ------------------------------------------------------------------------------------ */

/* Again is fine: what is wanted is the case. */
static void run_revoke(struct action *c)
{
	const struct principal *who = c->rq->principal;
	struct action_events e = {.c = c};
	struct event_api_key_revoked data;
	struct json_value row;
	int rc = 0;

	if (!api_key_find(c, &row))
		return;
	data = (struct event_api_key_revoked){.key_id = http_request_param(c->rq, "id"),
	    .user_id = row_text(c, row, "userId")};
	data.reason = slice_is(data.user_id, who->user_id) ? SLICE("OWNER") : SLICE("OPERATOR");
	if (!slice_is(row_text(c, row, "status"), "REVOKED")) {
		action_event(&e, EVENT_API_KEY_REVOKED, &data, NULL, NULL);
		rc = action_append(&e);
	}
	if (rc != 0)
		action_fail_err(c, rc);
	else
		c->status = 204;
}

static void end_key(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_revoke);
}

/* One successor, whoever asks at the same time; the old key ends with the event that makes the new one. */
static void run_rotate(struct action *c)
{
	struct event_meta meta = action_meta(c);
	struct action_events e = {.c = c};
	struct slice id = http_request_param(c->rq, "id");
	struct event_api_key_rotated data;
	struct json_value row;
	struct making m;
	int rc;

	if (!api_key_find(c, &row))
		return;
	if (!slice_is(row_text(c, row, "status"), "ACTIVE")) {
		action_fail(c, 400, "not_active", "This API key is revoked or has expired; make a new one.", "API Key 已失效");
		return;
	}
	if (!may_make(c) || !make(c, &m))
		return;
	data = (struct event_api_key_rotated){.key_id = m.id, .from_key_id = id, .user_id = row_text(c, row, "userId"),
	    .prefix = m.prefix, .digest = m.digest, .last4 = m.last4};
	meta.has_once = true;
	event_once_key(meta.once, SLICE("api-key-rotate"), id);
	action_event(&e, EVENT_API_KEY_ROTATED, &data, NULL, &meta);
	rc = action_append(&e);
	if (rc != 0)
		action_fail_err(c, rc);
	else if (e.append.duplicate)
		action_fail(c, 409, "conflict", "This API key was rotated by somebody else at the same time.", "API Key 已被轮换");
	else
		api_key_answer(c, 201, m.id, m.text, action_made(c, arena_printf(c->arena, "%.*s", SLICE_ARG(id))));
	crypto_wipe(m.text, sizeof(m.text));
}

static void rotate(struct http_request *rq)
{
	action_start(rq, ACTION_QUICK, run_rotate);
}

const struct route api_key_changes_routes[] = {
	API_KEY_ROUTES(HTTP_POST, "", create, .request = &schema_request_api_key_create, .answer = "object", .success = "201",
	    .summary = "Make an API key, which is shown this once"),
	API_KEY_ROUTES(HTTP_PATCH, "/{id}", change, .request = &schema_request_api_key_change, .answer = "object",
	    .summary = "Change what an API key may do"),
	API_KEY_ROUTES(HTTP_POST, "/{id}/revoke", end_key, .success = "204", .summary = "Revoke an API key, from now on"),
	API_KEY_ROUTES(HTTP_DELETE, "/{id}", end_key, .success = "204", .summary = "Revoke an API key, from now on"),
	API_KEY_ROUTES(HTTP_POST, "/{id}/rotate", rotate, .answer = "object", .success = "201",
	    .summary = "A new API key in place of this one, which ends"),
	{0},
};
