/*
 * Feishu's REST interface, asked with the tenant token, which is fetched once for all
 * who wait for it and again when its time is over or the vendor no longer knows it.
 *
 * Shared by all lanes that speak to Feishu; any thread. A request is blocking code on
 * a lane's thread, whose call->thread is a struct http_client (vendor_call.h).
 */
#ifndef LULAB_ADAPTERS_LARK_CLIENT_H
#define LULAB_ADAPTERS_LARK_CLIENT_H

#include "lark_wire.h"
#include "store/effect.h"

struct lark_client;

struct lark_client_options {
	struct slice base_url; /* "https://open.feishu.cn" */
	struct slice app_id, app_secret;
	const char *ca_file;   /* NULL: the system's */
};

/* The options are borrowed for good. ERR_NOMEM. */
int lark_client_create(struct lark_client **ret, const struct lark_client_options *options);
void lark_client_destroy(struct lark_client *c); /* NULL is fine */

struct lark_ask {
	const char *method; /* "POST" */
	const char *path;   /* "/open-apis/...", with its query */
	struct slice body;  /* JSON; empty = none */
	bool acts;          /* it asks for something to happen */
};

/* What came of it. Texts and data lie in the call's arena. */
struct lark_reply {
	int rc;        /* of the request; 0: the vendor answered */
	bool unknown;  /* it may have happened */
	int status;
	struct lark_answer answer;
	int64_t wait_ms; /* not before; 0 = the lane decides */
};

void lark_ask(struct lark_client *c, const struct effect_call *call, const struct lark_ask *ask, struct lark_reply *ret);

static inline bool lark_went_well(const struct lark_reply *r)
{
	return r->rc == 0 && r->answer.is == ANSWER_OK;
}

/* The reply becomes the outcome of the call; it may be given to several calls of a batch. */
void lark_outcome(struct effect_call *call, const struct lark_reply *reply);

#endif
