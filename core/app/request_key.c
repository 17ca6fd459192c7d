/* See request_key.h. */
#include "app/request_key.h"

#include "app/auth.h"
#include "app/fact.h"
#include "base/err.h"

#define LEN_MIN 16
#define LEN_MAX 128

static bool is_key(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] <= ' ' || text.ptr[i] > '~')
			return false;
	return text.len >= LEN_MIN && text.len <= LEN_MAX;
}

/* No caller's name holds a space, and no key does. */
static bool make(struct action *c, struct slice key, struct request_key *ret)
{
	struct fact f = {.app = c->app, .arena = c->arena};
	const char *id = arena_printf(c->arena, "%.*s %.*s", SLICE_ARG(action_meta(c).actor), SLICE_ARG(key));

	ret->digest = fact_fingerprint(&f, (struct slice[]){SLICE("request"), slice_str(c->rq->route->path), c->rq->body}, 3);
	if (id == NULL || ret->digest.ptr == NULL)
		return action_fail_err(c, ERR_NOMEM);
	event_once_key(ret->once, SLICE("idempotency-key"), slice_str(id));
	return true;
}

bool request_key_read(struct action *c, struct request_key *ret)
{
	struct slice key;

	*ret = (struct request_key){.is_given = http_request_field(c->rq, "Idempotency-Key", &key)};
	if (!ret->is_given)
		return true;
	if (!is_key(key))
		return action_fail(c, 400, "invalid", "Idempotency-Key: 16 to 128 visible characters of ASCII.",
		    "Idempotency-Key 应为 16 到 128 个可见 ASCII 字符");
	return make(c, key, ret);
}

int request_key_find(struct action *c, const struct request_key *key, uint64_t *ret_position)
{
	return key->is_given ? eventlog_find_once(c->app->log, key->once, ret_position) : ERR_NOT_FOUND;
}

bool request_key_same(struct action *c, const struct request_key *key, struct slice digest)
{
	return slice_eq(key->digest, digest) ||
	    action_fail(c, 422, "key_reused", "This Idempotency-Key came with another request before.",
	        "该 Idempotency-Key 已用于其他请求");
}
