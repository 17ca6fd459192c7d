/*
 * Why was this webhook refused? Takes the same steps as the server, one after
 * the other, and at the one that fails tries what usually went wrong: another
 * token, another key, a body that was re-encoded on the way, a clock.
 */
#ifndef LULAB_TOOLS_WEBHOOK_EXPLAIN_H
#define LULAB_TOOLS_WEBHOOK_EXPLAIN_H

#include "base/arena.h"

/* A request as it was saved; all borrowed. An absent header has ptr NULL. */
struct webhook_request {
	struct slice timestamp, nonce, signature; /* those of Feishu are called X-Lark-... */
	bool is_feishu;         /* by its headers or its path */
	struct slice body;      /* of a POST */
	struct slice check_str; /* of a GET, as in the query string; ptr NULL for a POST */
};

/*
 * Reads a saved request: an optional request line, headers, an empty line,
 * the body. Lines end in LF or CRLF. ERR_MALFORMED with *ret_reason (static).
 */
int webhook_request_parse(struct slice text, struct webhook_request *ret, const char **ret_reason);

struct webhook_secrets {
	struct slice token, token_old; /* ptr NULL: not set. Feishu's Verification Token */
	struct slice aes_key, aes_key_old; /* and its Encrypt Key */
	int64_t max_age_s; /* 0: any age */
};

enum step_result { STEP_OK, STEP_DOUBTFUL, STEP_FAILED };

struct explain_step {
	const char *name;
	enum step_result result;
	const char *detail; /* what was found */
	const char *cause;  /* the likely cause and the way out; NULL when all is well */
};

#define EXPLAIN_STEPS_MAX 8

struct explanation {
	struct explain_step steps[EXPLAIN_STEPS_MAX]; /* texts in the arena */
	unsigned n_steps;                             /* up to the one that failed */
	int http_status;                              /* what the server answers */
};

/* Of Tencent Meeting. 0, or ERR_NOMEM. A refused request is a good answer, not an error. */
int webhook_explain(const struct webhook_request *request, const struct webhook_secrets *secrets,
    int64_t now_ms, struct arena *a, struct explanation *ret);
/* The same of Feishu. */
int webhook_explain_feishu(const struct webhook_request *request, const struct webhook_secrets *secrets,
    int64_t now_ms, struct arena *a, struct explanation *ret);

#endif
