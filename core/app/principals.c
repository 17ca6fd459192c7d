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
#include "net/address.h"
#include "net/peers.h"

#define SLOTS 1024 /* a power of two */
#define TEXT_MAX (32 * 1024)
#define LIST_MAX 512
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
	int64_t noted_ms; /* its use is in the log, or will be */
};

/* One session or key. The lists are texts behind each other, each closed by NUL, the last one empty. */
struct remembered {
	struct id session, user;
	struct key_facts *key; /* NULL: a session */
	uint64_t epoch;
	char *roles, *permissions; /* NULL: a free place */
	size_t roles_len, permissions_len;
};

struct principals {
	struct remembered slots[SLOTS];
};

int principals_create(struct principals **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret == NULL ? ERR_NOMEM : 0;
}

static void forget(struct remembered *m)
{
	free(m->roles);
	free(m->permissions);
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

/* ---- texts and lists ------------------------------------------------------------------ */

/* A JSON array of texts into one memory; its length in *ret_len. NULL: no memory, or too much of it. */
static char *pack(struct json_value array, struct arena *arena, size_t *ret_len)
{
	struct buf out = BUF_INIT(TEXT_MAX);
	struct json_reader r;
	struct json_value one;
	struct slice text;

	json_enter(&r, array);
	while (json_next(&r, NULL, &one)) {
		if (one.type != JSON_STRING || json_string(one, arena, &text) != 0)
			out.rc = ERR_NOMEM;
		else if (text.len > 0 && buf_append(&out, text) == 0)
			buf_append_char(&out, '\0');
	}
	buf_append_char(&out, '\0');
	if (out.rc != 0) {
		buf_finish(&out);
		return NULL;
	}
	return buf_take(&out, ret_len);
}

/* The other way: pointers into a copy in the arena, closed by NULL. */
static const char *const *unpack(const char *packed, size_t len, struct arena *arena)
{
	struct slice copy = arena_dup(arena, slice_of(packed, len));
	const char **list;
	size_t n = 0, at = 0;

	if (copy.ptr == NULL)
		return NULL;
	for (size_t i = 0; i < len; i++)
		n += packed[i] == '\0';
	list = arena_calloc(arena, n + 1, sizeof(*list));
	if (list == NULL)
		return NULL;
	n = 0;
	while (copy.ptr[at] != '\0') {
		list[n++] = copy.ptr + at;
		at += strlen(copy.ptr + at) + 1;
	}
	return list;
}

static bool all_zero(const struct id *id)
{
	static const struct id zero;

	return memcmp(id, &zero, sizeof(zero)) == 0;
}

static struct principal *principal_make(const struct remembered *m, struct arena *arena)
{
	struct principal *who = arena_alloc(arena, sizeof(*who));
	const char *const *roles = unpack(m->roles, m->roles_len, arena);
	const char *const *permissions = unpack(m->permissions, m->permissions_len, arena);

	if (who == NULL || roles == NULL || permissions == NULL)
		return NULL;
	*who = (struct principal){.roles = roles, .permissions = permissions};
	id_format(who->user_id, &m->user);
	if (m->key != NULL)
		id_format(who->key_id, &m->key->id);
	else if (!all_zero(&m->session))
		id_format(who->session_id, &m->session);
	who->id = m->key != NULL ? arena_printf(arena, "api_key:%s", who->key_id) : arena_printf(arena, "user:%s", who->user_id);
	return who->id == NULL ? NULL : who;
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
static int permit(struct http_request *rq, const struct principal *who, const char **ret_detail)
{
	if (who == NULL) {
		*ret_detail = "There is no memory to look at who is asking.";
		return 503;
	}
	rq->principal = (void *)(uintptr_t)who;
	if (rq->route->permission == NULL && who->key_id[0] != '\0' && (rq->route->flags & ROUTE_KEYS) == 0) {
		*ret_detail = "An API key is no log-in: this asks for an access token.";
		return 403;
	}
	if (!principal_may(who, rq->route->permission)) {
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
		rq->principal = (void *)(uintptr_t)principal_make(m, rq->arena);
		*ret_detail = "This API key may not be used from this address.";
		return 403;
	}
	if (now_ms - key->noted_ms >= CALLER_USE_SPAN_MS &&
	    caller_notes_used(app_of(rq)->caller_notes, &key->id, &m->user, now_ms))
		key->noted_ms = now_ms;
	return permit(rq, principal_make(m, rq->arena), ret_detail);
}

static bool looks_like_jwt(struct slice token)
{
	const char *dot = memchr(token.ptr, '.', token.len);

	return dot != NULL && memchr(dot + 1, '.', token.len - (size_t)(dot + 1 - token.ptr)) != NULL;
}

static bool is_current(const struct app *app, const struct remembered *m)
{
	return m->permissions != NULL && m->epoch == atomic_load(&app->access_epoch);
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

static int authorize_jwt(struct app *app, struct http_request *rq, struct slice token, const char **ret_detail)
{
	struct lookup *l = arena_calloc(rq->arena, 1, sizeof(*l));
	struct jwt_claims claims;
	enum jwt_verdict verdict = tokens_verify(app->tokens, token, rq->arena, &claims);
	struct remembered *m;

	if (verdict == JWT_NO_MEMORY || l == NULL)
		return permit(rq, NULL, ret_detail);
	if (verdict == JWT_EXPIRED)
		return refuse_token(rq, ret_detail, "This access token has expired; get a new one with the refresh token.");
	if (verdict == JWT_OK && claims.sid.len == 0)
		return authorize_legacy(app, rq, l, claims.sub, ret_detail);
	if (verdict != JWT_OK || id_parse(claims.sub, &l->user) != 0 || id_parse(claims.sid, &l->session) != 0)
		return refuse_token(rq, ret_detail, "This access token is not valid here.");
	m = slot_of_session(rq, &l->session);
	if (is_current(app, m) && m->key == NULL && memcmp(m->session.bytes, l->session.bytes, ID_LEN) == 0 &&
	    memcmp(m->user.bytes, l->user.bytes, ID_LEN) == 0)
		return permit(rq, principal_make(m, rq->arena), ret_detail);
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

/* What a key has of its scopes: those that its owner may at this moment. */
static char *pack_scopes(struct lookup *l, const char *owners, size_t owners_len, size_t *ret_len)
{
	struct principal owner = {.permissions = unpack(owners, owners_len, l->rq->arena)};
	struct buf out = BUF_INIT(TEXT_MAX);
	struct json_reader r;
	struct json_value one;
	struct slice scope;

	if (owner.permissions == NULL)
		return NULL;
	json_enter(&r, l->scopes);
	while (out.rc == 0 && json_next(&r, NULL, &one)) {
		const char *text;

		if (one.type != JSON_STRING || json_string(one, l->rq->arena, &scope) != 0 ||
		    (text = arena_printf(l->rq->arena, "%.*s", SLICE_ARG(scope))) == NULL) {
			out.rc = ERR_NOMEM;
		} else if (text[0] != '\0' && principal_may(&owner, text)) {
			buf_append_str(&out, text);
			buf_append_char(&out, '\0');
		} else if (strcmp(text, "*") == 0) { /* all that its owner may, whatever that is by now */
			buf_append(&out, slice_of(owners, owners_len - 1));
		}
	}
	buf_append_char(&out, '\0');
	if (out.rc != 0) {
		buf_finish(&out);
		return NULL;
	}
	return buf_take(&out, ret_len);
}

static bool remember_key(struct lookup *l, struct remembered *m)
{
	size_t len = 0;
	char *scopes = pack_scopes(l, m->permissions, m->permissions_len, &len);

	free(m->permissions);
	m->permissions = scopes;
	m->permissions_len = len;
	m->key = malloc(sizeof(*m->key));
	if (m->key != NULL)
		*m->key = *l->key;
	return m->key != NULL && m->permissions != NULL;
}

/* The row into the table; 0 or the status to refuse with. */
static int remember(struct lookup *l, struct json_value row, const char **ret_detail)
{
	struct remembered once = {0}, *m = &once;
	struct json_value v, roles, permissions;
	struct principal *who;

	if (!json_member(row, "active", &v) || v.type != JSON_TRUE)
		return refuse_token(l->rq, ret_detail, "This account may not be used.");
	if (!json_member(row, "closed", &v) || v.type != JSON_FALSE)
		return refuse_token(l->rq, ret_detail, "This log-in has ended; sign in again.");
	if (!json_member(row, "roles", &roles) || !json_member(row, "permissions", &permissions))
		return 503;
	if (!l->legacy)
		m = l->key != NULL ? slot_of_key(l->rq, l->key) : slot_of_session(l->rq, &l->session);
	forget(m);
	m->roles = pack(roles, l->rq->arena, &m->roles_len);
	m->permissions = pack(permissions, l->rq->arena, &m->permissions_len);
	m->session = l->session;
	m->user = l->user;
	m->epoch = l->epoch;
	if (m->roles == NULL || m->permissions == NULL || (l->key != NULL && !remember_key(l, m))) {
		forget(m);
		return permit(l->rq, NULL, ret_detail);
	}
	if (m->key != NULL)
		return permit_key(l->rq, m, ret_detail);
	who = principal_make(m, l->rq->arena);
	forget(&once);
	return permit(l->rq, who, ret_detail);
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
	return json_member(row, name, &v) && v.type == JSON_STRING && json_string(v, l->rq->arena, ret) == 0;
}

static bool number_of(struct json_value row, const char *name, int64_t *ret)
{
	struct json_value v;

	*ret = 0;
	return json_member(row, name, &v) && v.type == JSON_NUMBER && json_i64(v, ret) == 0;
}

/* The row of a key; false: it is none that we can judge by. Addresses that cannot be read any more allow none. */
static bool read_key(struct lookup *l, struct json_value row)
{
	struct key_facts *key = l->key;
	struct slice id, user, allowed;
	struct json_value v;
	int64_t rate_limit;

	if (!text_of(l, row, "id", &id) || id_parse(id, &key->id) != 0 || !text_of(l, row, "user", &user) ||
	    id_parse(user, &l->user) != 0 || !number_of(row, "expiresAt", &key->expires_at_ms) ||
	    !number_of(row, "rateLimit", &rate_limit) || rate_limit < 1 || rate_limit > KEY_RATE_MAX ||
	    !json_member(row, "scopes", &l->scopes) || l->scopes.type != JSON_ARRAY ||
	    !json_member(row, "restricted", &v))
		return false;
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
