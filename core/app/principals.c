/* See principals.h. */
#include "app/principals.h"

#include <assert.h>
#include <stdlib.h>

#include "app/answer.h"
#include "app/app.h"
#include "app/tokens.h"
#include "base/err.h"
#include "base/id.h"

#define SLOTS 1024 /* a power of two */
#define TEXT_MAX (32 * 1024)
#define LIST_MAX 512

/* One session. The lists are texts behind each other, each closed by NUL, the last one empty. */
struct remembered {
	struct id session, user;
	uint64_t epoch;
	char *roles, *permissions;
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

static const struct principal *principal_make(const struct remembered *m, struct arena *arena)
{
	struct principal *who = arena_alloc(arena, sizeof(*who));
	const char *const *roles = unpack(m->roles, m->roles_len, arena);
	const char *const *permissions = unpack(m->permissions, m->permissions_len, arena);

	if (who == NULL || roles == NULL || permissions == NULL)
		return NULL;
	*who = (struct principal){.roles = roles, .permissions = permissions};
	id_format(who->user_id, &m->user);
	id_format(who->session_id, &m->session);
	who->id = arena_printf(arena, "user:%s", who->user_id);
	return who->id == NULL ? NULL : who;
}

/* ---- authorising ------------------------------------------------------------------------ */

/* What is looked up for a request, and by what. */
struct lookup {
	struct http_request *rq;
	struct query query;
	struct id user, session;
	char user_text[ID_TEXT_LEN + 1], session_text[ID_TEXT_LEN + 1];
	uint64_t epoch;
};

static struct remembered *slot_of(struct http_request *rq, const struct id *session)
{
	uint32_t n;

	memcpy(&n, session->bytes + ID_LEN - sizeof(n), sizeof(n)); /* its random end */
	return &loop_of(rq)->principals->slots[n & (SLOTS - 1)];
}

static int refuse_token(struct http_request *rq, const char **ret_detail, const char *detail)
{
	http_header(rq, "WWW-Authenticate", SLICE("Bearer realm=\"lulab\", error=\"invalid_token\""));
	*ret_detail = detail;
	return 401;
}

static int permit(struct http_request *rq, const struct principal *who, const char **ret_detail)
{
	if (who == NULL) {
		*ret_detail = "There is no memory to look at who is asking.";
		return 503;
	}
	if (!principal_may(who, rq->route->permission)) {
		*ret_detail = arena_printf(rq->arena, "This needs the permission %s.", rq->route->permission);
		return 403;
	}
	rq->principal = (void *)(uintptr_t)who;
	return 0;
}

static bool looks_like_jwt(struct slice token)
{
	const char *dot = memchr(token.ptr, '.', token.len);

	return dot != NULL && memchr(dot + 1, '.', token.len - (size_t)(dot + 1 - token.ptr)) != NULL;
}

int principals_authorize(void *arg, struct http_request *rq, const char **ret_detail)
{
	struct app *app = arg;
	struct lookup *l;
	struct remembered *m;
	struct jwt_claims claims;
	enum jwt_verdict verdict;
	struct slice token;

	if (!http_request_bearer(rq, &token) || !looks_like_jwt(token))
		return auth_check(&app->auth, rq, ret_detail);
	verdict = tokens_verify(app->tokens, token, rq->arena, &claims);
	l = arena_alloc(rq->arena, sizeof(*l));
	if (verdict == JWT_NO_MEMORY || l == NULL)
		return permit(rq, NULL, ret_detail);
	if (verdict == JWT_EXPIRED)
		return refuse_token(rq, ret_detail, "This access token has expired; get a new one with the refresh token.");
	if (verdict != JWT_OK || id_parse(claims.sub, &l->user) != 0 || id_parse(claims.sid, &l->session) != 0)
		return refuse_token(rq, ret_detail, "This access token is not valid here.");
	m = slot_of(rq, &l->session);
	if (m->permissions != NULL && m->epoch == atomic_load(&app->access_epoch) &&
	    memcmp(m->session.bytes, l->session.bytes, ID_LEN) == 0 && memcmp(m->user.bytes, l->user.bytes, ID_LEN) == 0)
		return permit(rq, principal_make(m, rq->arena), ret_detail);
	l->rq = rq;
	rq->data = l;
	return HTTP_AUTHORIZE_LATER;
}

/* The row into the table; 0 or the status to refuse with. */
static int remember(struct lookup *l, struct json_value row, const char **ret_detail)
{
	struct remembered *m = slot_of(l->rq, &l->session);
	struct json_value v, roles, permissions;

	if (!json_member(row, "active", &v) || v.type != JSON_TRUE)
		return refuse_token(l->rq, ret_detail, "This account may not be used.");
	if (!json_member(row, "closed", &v) || v.type != JSON_FALSE)
		return refuse_token(l->rq, ret_detail, "This log-in has ended; sign in again.");
	if (!json_member(row, "roles", &roles) || !json_member(row, "permissions", &permissions))
		return 503;
	forget(m);
	m->roles = pack(roles, l->rq->arena, &m->roles_len);
	m->permissions = pack(permissions, l->rq->arena, &m->permissions_len);
	m->session = l->session;
	m->user = l->user;
	m->epoch = l->epoch;
	if (m->roles != NULL && m->permissions != NULL)
		return permit(l->rq, principal_make(m, l->rq->arena), ret_detail);
	forget(m);
	return permit(l->rq, NULL, ret_detail);
}

static void on_row(struct query *q)
{
	struct lookup *l = q->arg;
	struct http_request *rq = l->rq;
	const char *detail = "Who is asking cannot be looked up at the moment; try again.";
	int status = 503;

	rq->data = NULL;
	if (q->rc == 0)
		status = remember(l, json_root(buf_slice(&q->out)), &detail);
	else if (q->rc == ERR_NOT_FOUND)
		status = refuse_token(rq, &detail, "This access token is of an account that does not exist.");
	query_finish(q);
	http_authorized(rq, status, detail);
}

void principals_authorize_later(void *arg, struct http_request *rq)
{
	struct app *app = arg;
	struct lookup *l = rq->data;

	id_format(l->user_text, &l->user);
	id_format(l->session_text, &l->session);
	/* Before the question: an answer from before a change must not be taken for one from after it. */
	l->epoch = atomic_load(&app->access_epoch);
	l->query = (struct query){.def = query_find("principal_of_user"), .n_params = 2, .single = true,
	    .has_min_position = l->epoch > 0, .min_position = l->epoch - 1, .wait_ms = MIN_POSITION_WAIT_MS,
	    .port = loop_of(rq)->query_port, .cb = on_row, .arg = l};
	assert(l->query.def != NULL);
	l->query.params[0] = (struct query_param){.name = "user", .text = slice_of(l->user_text, ID_TEXT_LEN)};
	l->query.params[1] = (struct query_param){.name = "session", .text = slice_of(l->session_text, ID_TEXT_LEN)};
	query_start(app->queries, &l->query);
}
