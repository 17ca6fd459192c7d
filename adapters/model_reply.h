/*
 * What a service that speaks as OpenAI does answered, when it is no answer: what that
 * means for the effect, and whether it is asked once more at once. On a lane's thread.
 */
#ifndef LULAB_ADAPTERS_MODEL_REPLY_H
#define LULAB_ADAPTERS_MODEL_REPLY_H

#include "openai_wire.h"
#include "store/effect.h"

struct http_result;

struct model_reply {
	int rc; /* of the call; ERR_END: an answer without its end, or that makes no sense */
	bool sent;
	int status;
	const char *vendor_id;
	bool is_error;             /* the service told one: by a status that is not 2xx, or within a stream */
	struct openai_error error;
};

/* Status and the request's id at the service, in the call's arena. */
void model_reply_head(struct effect_call *call, const struct http_result *r, struct model_reply *reply);
/* The service told an error; status 0: within a stream. ERR_NOMEM. */
int model_reply_error(struct effect_call *call, const struct http_result *r, int status, struct slice body,
    struct model_reply *reply);
/* The outcome of an effect that got this and no answer. */
void model_reply_judge(struct effect_call *call, const struct model_reply *reply);

/*
 * How long until it is asked again within the same attempt, as the vendor's own client does; 0: not at once. repeats: how often it was.
 * base_max_ms: LULAB_EFFECTS_RETRY_BASE.
 */
int64_t model_reply_wait_ms(const struct effect_call *call, int64_t base_max_ms, const struct model_reply *reply, unsigned repeats);

#endif
