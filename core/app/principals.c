/* See principals.h. */
#include "app/principals.h"

#include <assert.h>
#include <stdlib.h>

#include "app/answer.h"
#include "app/api_key.h"
#include "app/app.h"
#include "app/caller_notes.h"
#include "app/tokens.h"
#include "base/err.h"
#include "base/id.h"
#include "base/planted.h"
#include "net/address.h"
#include "net/peers.h"

#define SLOTS 1024 /* a power of two */
#define GRANT_MAX ((size_t)256 * 1024) /* what one principal's names and lists may take */
#define KEY_RATE_WINDOW_S 60
#define KEY_RATE_MAX 1000000

/* What beside rights is asked of an API key. */
struct key_facts {
	uint8_t digest[SHA256_LEN]; /* of the whole key: nothing of it is kept */
	struct id id;
	int64_t expires_at_ms;
	unsigned rate_limit; /* requests a minute */
	bool restricted;
	struct address_ranges allowed;
	char org[ID_TEXT_LEN + 1]; /* the one where it counts, or "" */
	int64_t noted_ms; /* its use is in the log, or will be */
};

/*
 * Who somebody is, shared by their requests: counted on the loop they are all on, made once. All of it lies in its arena.
 */
struct grant {
	unsigned refs; /* requests that are not answered yet, and its place in the table */
	struct principal who;
	struct arena arena;
};

/* One session or key. */
struct remembered {
	struct id session, user;
	struct key_facts *key; /* NULL: a session */
	uint64_t epoch;
	struct grant *grant; /* NULL: a free place */
};

/* A token whose signature held. That is so until it expires; whether it is of any use is looked at each time. */
struct seen_token {
	uint8_t digest[SHA256_LEN];
	struct id user, session;
	int64_t until_s; /* 0: a free place */
};

struct principals {
	struct remembered slots[SLOTS];
	struct seen_token tokens[SLOTS];
};

int principals_create(struct principals **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret == NULL ? ERR_NOMEM : 0;
}

static void grant_release(struct grant *g)
{
	if (g == NULL || --g->refs > 0)
		return;
	arena_finish(&g->arena);
	free(g);
}

void principals_release(const struct http_request *rq)
{
	struct principal *who = rq->principal;

	if (who != NULL && who->shared)
		grant_release(container_of(who, struct grant, who));
}

static void forget(struct remembered *m)
{
	grant_release(m->grant);
	free(m->key);
	*m = (struct remembered){0};
}

void principals_destroy(struct principals *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		forget(&p->slots[i]);
	free(p);
}

/* ---- grants --------------------------------------------------------------------------- */

/* The texts of a JSON array, closed by NULL; NULL: no memory. */
static const char **list_of(struct json_value array, struct arena *arena)
{
	struct json_reader r;
	struct json_value one;
	struct slice text;
	const char **list;
	size_t n = 0;

	json_enter(&r, array);
	while (json_next(&r, NULL, &one))
		n++;
	list = arena_calloc(arena, n + 1, sizeof(*list));
	if (list == NULL)
		return NULL;
	json_enter(&r, array);
	for (n = 0; json_next(&r, NULL, &one); n++) {
		if (json_string(one, arena, &text) != 0)
			return NULL;
		list[n] = arena_printf(arena, "%.*s", SLICE_ARG(text));
		if (list[n] == NULL)
			return NULL;
	}
	return list;
}

/* What a key has of its scopes: those that its owner may at this moment. NULL: no memory. */
static const char **scopes_of(struct json_value scopes, const char *const *owners, struct arena *arena)
{
	const struct principal owner = {.permissions = owners};
	const char **wanted = list_of(scopes, arena);
	size_t n = 0;

	if (wanted == NULL)
		return NULL;
	for (size_t i = 0; wanted[i] != NULL; i++) {
		if (principal_may(&owner, wanted[i]))
			wanted[n++] = wanted[i];
		else if (strcmp(wanted[i], "*") == 0)
			return (const char **)(uintptr_t)owners; /* all that its owner may, whatever that is by now */
	}
	wanted[n] = NULL;
	return wanted;
}

/* "<org> <reach>" and these of the wanted that are held there so far. NULL: no memory. */
static const char *line_of_key(const char *const *wanted, const struct principal *owner, const char *org, int reach,
    struct arena *arena)
{
	struct buf out = BUF_INIT(16384);
	const char *line;

	buf_printf(&out, "%s %d", org, reach);
	for (size_t i = 0; wanted[i] != NULL; i++) {
		enum data_scope scope = principal_scope(owner, wanted[i], slice_str(org));

		if ((scope > SCOPE_ORGANIZATION ? SCOPE_ORGANIZATION : scope) == (enum data_scope)reach)
			buf_printf(&out, " %s", wanted[i]);
	}
	line = out.rc == 0 ? arena_printf(arena, "%.*s", SLICE_ARG(buf_slice(&out))) : NULL;
	buf_finish(&out);
	return line;
}

/* The same of a key that counts in one organisation: nothing anywhere else. NULL: no memory. */
static const char **scopes_there(struct json_value scopes, const struct principal *owner, const char *org, struct arena *arena)
{
	const char **wanted = list_of(scopes, arena);
	const char **lines = arena_calloc(arena, 4, sizeof(*lines));

	if (wanted == NULL || lines == NULL)
		return NULL;
	for (int reach = SCOPE_OWN; reach <= SCOPE_ORGANIZATION; reach++) {
		lines[reach - SCOPE_OWN] = line_of_key(wanted, owner, org, reach, arena);
		if (lines[reach - SCOPE_OWN] == NULL)
			return NULL;
	}
	return lines;
}

/* What a key has, from what its owner has. False: no memory. */
static bool narrow(struct principal *who, const struct key_facts *key, struct json_value scopes, struct arena *arena)
{
	static const char *const nothing[] = {NULL};
	struct principal owner = *who;

	who->in_orgs = NULL;
	if (key->org[0] == '\0') { /* scopes are of what its owner may everywhere */
		who->permissions = scopes_of(scopes, owner.permissions, arena);
		return who->permissions != NULL;
	}
	memcpy(who->org_id, key->org, sizeof(who->org_id));
	who->permissions = nothing;
	who->in_orgs = scopes_there(scopes, &owner, key->org, arena);
	return who->in_orgs != NULL;
}

/* From the row of principal_of_user. key NULL: a session, or neither when that is zero. NULL: no memory. */
static struct grant *grant_make(const struct id *user, const struct id *session, const struct key_facts *key,
    struct json_value roles, struct json_value permissions, struct json_value in_orgs, struct json_value scopes)
{
	static const struct id none;
	struct grant *g = calloc(1, sizeof(*g));
	struct principal *who;

	if (g == NULL)
		return NULL;
	g->arena = (struct arena)ARENA_INIT(GRANT_MAX);
	who = &g->who;
	who->shared = true;
	id_format(who->user_id, user);
	if (key != NULL)
		id_format(who->key_id, &key->id);
	else if (memcmp(session, &none, sizeof(none)) != 0)
		id_format(who->session_id, session);
	who->id = key != NULL ? arena_printf(&g->arena, "api_key:%s", who->key_id) : arena_printf(&g->arena, "user:%s", who->user_id);
	who->roles = list_of(roles, &g->arena);
	who->permissions = list_of(permissions, &g->arena);
	who->in_orgs = list_of(in_orgs, &g->arena);
	if (who->id == NULL || who->roles == NULL || who->permissions == NULL || who->in_orgs == NULL ||
	    (key != NULL && !narrow(who, key, scopes, &g->arena))) {
		arena_finish(&g->arena);
		free(g);
		return NULL;
	}
	return g;
}

/* ---- authorising ------------------------------------------------------------------------ */

/* What is looked up for a request, and by what. */
struct lookup {
	struct http_request *rq;
	struct query query;
	struct id user, session; /* of a log-in */
	struct key_facts *key;   /* of a key, in the arena; NULL: of a log-in */
	bool legacy;             /* of a token of the system replaced, whose `claim` names the account */
	char claim[BASE64URL_LEN(SHA256_LEN) + 1];
	struct slice prefix;
	struct json_value scopes;
	char user_text[ID_TEXT_LEN + 1], session_text[ID_TEXT_LEN + 1];
	uint64_t epoch;
};

static const char no_key[] = "This API key is not valid here.";
static const char try_again[] = "Who is asking cannot be looked up at the moment; try again.";

static struct remembered *slot_of(struct http_request *rq, const uint8_t *random_end)
{
	uint32_t n;

	memcpy(&n, random_end - sizeof(n), sizeof(n));
	return &loop_of(rq)->principals->slots[n & (SLOTS - 1)];
}

static struct remembered *slot_of_session(struct http_request *rq, const struct id *session)
{
	return slot_of(rq, session->bytes + ID_LEN);
}

static struct remembered *slot_of_key(struct http_request *rq, const struct key_facts *key)
{
	return slot_of(rq, key->digest + SHA256_LEN);
}

static int refuse_token(struct http_request *rq, const char **ret_detail, const char *detail)
{
	http_header(rq, "WWW-Authenticate", SLICE("Bearer realm=\"lulab\", error=\"invalid_token\""));
	*ret_detail = detail;
	return 401;
}

/* The request is theirs from here on, whether they may or not: a refusal is noted under their name. */
static int permit(struct http_request *rq, struct grant *g, const char **ret_detail)
{
	if (g == NULL) {
		*ret_detail = "There is no memory to look at who is asking.";
		return 503;
	}
	g->refs++;
	rq->principal = &g->who;
	if (rq->route->permission == NULL && g->who.key_id[0] != '\0' && (rq->route->flags & ROUTE_KEYS) == 0) {
		*ret_detail = "An API key is no log-in: this asks for an access token.";
		return 403;
	}
	if (!principal_may(&g->who, rq->route->permission) && !((rq->route->flags & ROUTE_SCOPED) != 0 &&
	        principal_scope(&g->who, rq->route->permission, (struct slice){0}) != SCOPE_NONE)) {
		*ret_detail = arena_printf(rq->arena, "This needs the permission %s.", rq->route->permission);
		return 403;
	}
	return 0;
}

static bool from_allowed_address(const struct http_request *rq, const struct key_facts *key)
{
	struct address address;

	return !key->restricted ||
	    (address_parse(rq->address, &address) == 0 && address_ranges_hold(&key->allowed, &address));
}

/* Its rate is one for all loops. */
static int over_key_rate(struct http_request *rq, const struct key_facts *key, const char **ret_detail)
{
	struct address as_address = {0};
	struct rate_state rate;

	memcpy(as_address.bytes, key->id.bytes + ID_LEN / 2, ID_LEN / 2); /* its random half; the rest is not counted by */
	rate = peers_take(app_of(rq)->key_rates, &as_address, 0, key->rate_limit, KEY_RATE_WINDOW_S, rq->started_us);
	if (!rate.exceeded)
		return 0;
	http_header_printf(rq, "Retry-After", "%u", rate.reset_s);
	*ret_detail = arena_printf(rq->arena, "This API key may ask %u times a minute; wait as Retry-After tells.",
	    key->rate_limit);
	return 429;
}

/* A key that is known and was not revoked. */
static int permit_key(struct http_request *rq, struct remembered *m, const char **ret_detail)
{
	struct key_facts *key = m->key;
	int64_t now_ms = clock_wall_ms(app_of(rq)->clock);
	int status;

	if (now_ms >= key->expires_at_ms)
		return refuse_token(rq, ret_detail, "This API key has expired; make a new one.");
	status = over_key_rate(rq, key, ret_detail);
	if (status != 0)
		return status;
	if (!from_allowed_address(rq, key)) {
		permit(rq, m->grant, ret_detail);
		*ret_detail = "This API key may not be used from this address.";
		return 403;
	}
	if (now_ms - key->noted_ms >= CALLER_USE_SPAN_MS &&
	    caller_notes_used(app_of(rq)->caller_notes, &key->id, &m->user, now_ms))
		key->noted_ms = now_ms;
	return permit(rq, m->grant, ret_detail);
}

static bool looks_like_jwt(struct slice token)
{
	const char *dot = memchr(token.ptr, '.', token.len);

	return dot != NULL && memchr(dot + 1, '.', token.len - (size_t)(dot + 1 - token.ptr)) != NULL;
}

static bool is_current(const struct app *app, const struct remembered *m)
{
	return m->grant != NULL && (m->epoch == atomic_load(&app->access_epoch) || PLANTED(keep_rights));
}

static int look_up(struct http_request *rq, struct lookup *l)
{
	l->rq = rq;
	rq->data = l;
	return HTTP_AUTHORIZE_LATER;
}

static int authorize_key(struct app *app, struct http_request *rq, struct slice token, const char **ret_detail)
{
	struct lookup *l = arena_calloc(rq->arena, 1, sizeof(*l));
	struct remembered *m;

	if (l != NULL)
		l->key = arena_calloc(rq->arena, 1, sizeof(*l->key));
	if (l == NULL || l->key == NULL)
		return permit(rq, NULL, ret_detail);
	if (!api_key_parse(token, &l->prefix))
		return refuse_token(rq, ret_detail, no_key);
	api_key_digest(l->key->digest, token);
	m = slot_of_key(rq, l->key);
	if (is_current(app, m) && m->key != NULL &&
	    crypto_equal(slice_of(m->key->digest, SHA256_LEN), slice_of(l->key->digest, SHA256_LEN)))
		return permit_key(rq, m, ret_detail);
	return look_up(rq, l);
}

/* Looked up anew each time: such tokens are there for the days of a move. They have no session that could be ended here. */
static int authorize_legacy(struct app *app, struct http_request *rq, struct lookup *l, struct slice sub,
    const char **ret_detail)
{
	const char *text = arena_printf(rq->arena, "legacy:%.*s", SLICE_ARG(sub));
	uint8_t digest[SHA256_LEN];

	if (text == NULL)
		return permit(rq, NULL, ret_detail);
	sealer_fingerprint(app->sealer, slice_str(text), digest);
	base64url_encode_to(l->claim, digest, sizeof(digest));
	l->legacy = true;
	return look_up(rq, l);
}

/* Known already, or to be verified and then known: of our own tokens only. JWT_OK fills the lookup, or claims alone for legacy. */
static enum jwt_verdict verify(struct app *app, struct http_request *rq, struct slice token, struct lookup *l,
    struct slice *ret_legacy)
{
	int64_t now_s = clock_wall_ms(app->clock) / 1000;
	struct jwt_claims claims;
	enum jwt_verdict verdict;
	struct seen_token *seen;
	uint8_t digest[SHA256_LEN];
	uint32_t n;

	*ret_legacy = (struct slice){0};
	sha256(digest, &token, 1);
	memcpy(&n, digest, sizeof(n));
	seen = &loop_of(rq)->principals->tokens[n & (SLOTS - 1)];
	if (now_s < seen->until_s && memcmp(seen->digest, digest, sizeof(digest)) == 0) {
		l->user = seen->user;
		l->session = seen->session;
		return JWT_OK;
	}
	verdict = tokens_verify(app->tokens, token, rq->arena, &claims);
	if (verdict != JWT_OK)
		return verdict;
	if (claims.sid.len == 0) {
		*ret_legacy = claims.sub;
		return JWT_OK;
	}
	if (id_parse(claims.sub, &l->user) != 0 || id_parse(claims.sid, &l->session) != 0)
		return JWT_BAD_CLAIM;
	*seen = (struct seen_token){.user = l->user, .session = l->session, .until_s = claims.exp + TOKEN_TOLERANCE_S};
	memcpy(seen->digest, digest, sizeof(digest));
	return JWT_OK;
}

static int authorize_jwt(struct app *app, struct http_request *rq, struct slice token, const char **ret_detail)
{
	struct lookup *l = arena_calloc(rq->arena, 1, sizeof(*l));
	enum jwt_verdict verdict;
	struct remembered *m;
	struct slice legacy;

	if (l == NULL)
		return permit(rq, NULL, ret_detail);
	verdict = verify(app, rq, token, l, &legacy);
	if (verdict == JWT_NO_MEMORY)
		return permit(rq, NULL, ret_detail);
	if (verdict == JWT_EXPIRED)
		return refuse_token(rq, ret_detail, "This access token has expired; get a new one with the refresh token.");
	if (verdict != JWT_OK)
		return refuse_token(rq, ret_detail, "This access token is not valid here.");
	if (legacy.len > 0)
		return authorize_legacy(app, rq, l, legacy, ret_detail);
	m = slot_of_session(rq, &l->session);
	if (is_current(app, m) && m->key == NULL && memcmp(m->session.bytes, l->session.bytes, ID_LEN) == 0 &&
	    memcmp(m->user.bytes, l->user.bytes, ID_LEN) == 0)
		return permit(rq, m->grant, ret_detail);
	return look_up(rq, l);
}

int principals_authorize(void *arg, struct http_request *rq, const char **ret_detail)
{
	struct app *app = arg;
	struct slice token;

	if (!http_request_bearer(rq, &token)) {
		if (http_request_field(rq, "x-api-key", &token))
			return authorize_key(app, rq, token, ret_detail);
	} else if (api_key_looks_like(token)) {
		return authorize_key(app, rq, token, ret_detail);
	} else if (looks_like_jwt(token)) {
		return authorize_jwt(app, rq, token, ret_detail);
	}
	return auth_check(&app->auth, rq, ret_detail);
}

/* ---- looking up ------------------------------------------------------------------------- */

static int admit(struct lookup *l, struct remembered *m, const char **ret_detail)
{
	return m->key != NULL ? permit_key(l->rq, m, ret_detail) : permit(l->rq, m->grant, ret_detail);
}

/* The row into the table; 0 or the status to refuse with. */
static int remember(struct lookup *l, struct json_value row, const char **ret_detail)
{
	struct remembered *m;
	struct json_value v, roles, permissions, in_orgs;
	struct grant *g;

	if (!json_member(row, "active", &v) || v.type != JSON_TRUE)
		return refuse_token(l->rq, ret_detail, "This account may not be used.");
	if (!json_member(row, "closed", &v) || v.type != JSON_FALSE)
		return refuse_token(l->rq, ret_detail, "This log-in has ended; sign in again.");
	if (!json_member(row, "roles", &roles) || !json_member(row, "permissions", &permissions) ||
	    !json_member(row, "inOrgs", &in_orgs))
		return 503;
	g = grant_make(&l->user, &l->session, l->key, roles, permissions, in_orgs, l->scopes);
	if (g == NULL || l->legacy)
		return permit(l->rq, g, ret_detail); /* goes with the request */
	m = l->key != NULL ? slot_of_key(l->rq, l->key) : slot_of_session(l->rq, &l->session);
	forget(m);
	g->refs++;
	*m = (struct remembered){.session = l->session, .user = l->user, .epoch = l->epoch, .grant = g};
	if (l->key != NULL) {
		m->key = malloc(sizeof(*m->key));
		if (m->key == NULL) {
			forget(m);
			return permit(l->rq, NULL, ret_detail);
		}
		*m->key = *l->key;
	}
	return admit(l, m, ret_detail);
}

static void on_account(struct query *q)
{
	struct lookup *l = q->arg;
	struct http_request *rq = l->rq;
	const char *detail = try_again;
	int status = 503;

	rq->data = NULL;
	if (q->rc == 0)
		status = remember(l, json_root(buf_slice(&q->out)), &detail);
	else if (q->rc == ERR_NOT_FOUND)
		status = refuse_token(rq, &detail, "This access token is of an account that does not exist.");
	query_finish(q);
	http_authorized(rq, status, detail);
}

static void ask(struct lookup *l, const char *query, query_cb *cb)
{
	l->query = (struct query){.def = query_find(query), .single = true, .has_min_position = l->epoch > 0,
	    .min_position = l->epoch - 1, .wait_ms = MIN_POSITION_WAIT_MS, .port = loop_of(l->rq)->query_port, .cb = cb,
	    .arg = l};
	assert(l->query.def != NULL);
}

static void ask_for_account(struct lookup *l)
{
	id_format(l->user_text, &l->user);
	id_format(l->session_text, &l->session);
	ask(l, "principal_of_user", on_account);
	l->query.n_params = 2;
	l->query.params[0] = (struct query_param){.name = "user", .text = slice_of(l->user_text, ID_TEXT_LEN)};
	l->query.params[1] = (struct query_param){.name = "session",
	    .text = l->key != NULL || l->legacy ? SLICE("-") : slice_of(l->session_text, ID_TEXT_LEN)};
	query_start(app_of(l->rq)->queries, &l->query);
}

static bool text_of(struct lookup *l, struct json_value row, const char *name, struct slice *ret)
{
	struct json_value v;

	*ret = (struct slice){0};
	return json_member(row, name, &v) && json_string(v, l->rq->arena, ret) == 0;
}

static bool number_of(struct json_value row, const char *name, int64_t *ret)
{
	struct json_value v;

	*ret = 0;
	return json_member(row, name, &v) && json_i64(v, ret) == 0;
}

/* The row of a key; false: it is none that we can judge by. Addresses that cannot be read any more allow none. */
static bool read_key(struct lookup *l, struct json_value row)
{
	struct key_facts *key = l->key;
	struct slice id, user, org, allowed;
	struct json_value v, of;
	int64_t rate_limit;

	if (!text_of(l, row, "id", &id) || id_parse(id, &key->id) != 0 || !text_of(l, row, "user", &user) ||
	    id_parse(user, &l->user) != 0 || !number_of(row, "expiresAt", &key->expires_at_ms) ||
	    !number_of(row, "rateLimit", &rate_limit) || rate_limit < 1 || rate_limit > KEY_RATE_MAX ||
	    !json_member(row, "scopes", &l->scopes) || l->scopes.type != JSON_ARRAY ||
	    !json_member(row, "restricted", &v))
		return false;
	/* Of which organisation it is has to be known for certain: without one it counts everywhere. */
	if (!json_member(row, "org", &of))
		return false;
	if (of.type != JSON_NULL) {
		if (!text_of(l, row, "org", &org) || org.len != ID_TEXT_LEN)
			return false;
		memcpy(key->org, org.ptr, org.len);
	}
	key->rate_limit = (unsigned)rate_limit;
	key->restricted = v.type != JSON_FALSE;
	number_of(row, "lastUsedAt", &key->noted_ms);
	if (key->restricted && (!text_of(l, row, "allowed", &allowed) || address_ranges_parse(allowed, &key->allowed) != 0))
		key->allowed.n = 0;
	return true;
}

/* Whoever does not have the whole key learns nothing of it: what is wrong is told alike. */
static int judge_key(struct lookup *l, struct json_value row, const char **ret_detail)
{
	uint8_t digest[SHA256_LEN];
	struct slice text;
	struct json_value v;

	if (!text_of(l, row, "digest", &text) || base64url_decode_to(digest, sizeof(digest), text) != 0)
		return 503;
	if (!crypto_equal(slice_of(digest, sizeof(digest)), slice_of(l->key->digest, sizeof(digest))))
		return refuse_token(l->rq, ret_detail, no_key);
	if (!json_member(row, "revoked", &v) || v.type != JSON_FALSE)
		return refuse_token(l->rq, ret_detail, "This API key has been revoked.");
	return read_key(l, row) ? 0 : 503;
}

static void on_key(struct query *q)
{
	struct lookup *l = q->arg;
	struct http_request *rq = l->rq;
	const char *detail = try_again;
	int status = 503;
	struct slice row;

	if (q->rc == 0) {
		row = arena_dup(rq->arena, buf_slice(&q->out)); /* its scopes are looked at once more */
		if (row.ptr != NULL)
			status = judge_key(l, json_root(row), &detail);
	} else if (q->rc == ERR_NOT_FOUND) {
		status = refuse_token(rq, &detail, no_key);
	}
	query_finish(q);
	if (status == 0) {
		ask_for_account(l);
		return;
	}
	rq->data = NULL;
	http_authorized(rq, status, detail);
}

static void on_legacy(struct query *q)
{
	struct lookup *l = q->arg;
	struct http_request *rq = l->rq;
	const char *detail = try_again;
	int status = 503;
	struct slice id;

	if (q->rc == ERR_NOT_FOUND)
		status = refuse_token(rq, &detail, "This access token is of an account that does not exist.");
	else if (q->rc == 0 && text_of(l, json_root(buf_slice(&q->out)), "id", &id) && id_parse(id, &l->user) == 0)
		status = 0;
	query_finish(q);
	if (status == 0) {
		ask_for_account(l);
		return;
	}
	rq->data = NULL;
	http_authorized(rq, status, detail);
}

void principals_authorize_later(void *arg, struct http_request *rq)
{
	struct app *app = arg;
	struct lookup *l = rq->data;

	/* Before the question: an answer from before a change must not be taken for one from after it. */
	l->epoch = atomic_load(&app->access_epoch);
	if (l->legacy) {
		ask(l, "account_by_legacy_claim", on_legacy);
		l->query.n_params = 1;
		l->query.params[0] = (struct query_param){.name = "claim", .text = slice_str(l->claim)};
		query_start(app->queries, &l->query);
		return;
	}
	if (l->key == NULL) {
		ask_for_account(l);
		return;
	}
	ask(l, "api_key_by_prefix", on_key);
	l->query.n_params = 1;
	l->query.params[0] = (struct query_param){.name = "prefix", .text = l->prefix};
	query_start(app->queries, &l->query);
}
