/* See model_reply.h. */
#include "model_reply.h"

#include "base/err.h"
#include "net/http_client.h"
#include "vendor_call.h"

#define REPEATS 2 /* then the effect waits */
#define REPEAT_WAIT_MS_MAX 5000
#define REPEAT_BASE_MS 500
#define VENDOR_ID_LEN_MAX 128

void model_reply_head(struct effect_call *call, const struct http_result *r, struct model_reply *reply)
{
	struct slice id;

	reply->sent = r->sent;
	reply->status = r->status;
	if (http_result_header(r, "x-request-id", &id))
		reply->vendor_id = arena_printf(call->arena, "%.*s", (int)(id.len > VENDOR_ID_LEN_MAX ? VENDOR_ID_LEN_MAX : id.len), id.ptr);
}

int model_reply_error(struct effect_call *call, const struct http_result *r, int status, struct slice body,
    struct model_reply *reply)
{
	struct openai_hints hints = {.now_s = clock_wall_us(call->clock) / 1000000};

	http_result_header(r, "x-should-retry", &hints.should_retry);
	http_result_header(r, "retry-after-ms", &hints.retry_after_ms);
	http_result_header(r, "retry-after", &hints.retry_after);
	reply->is_error = true;
	body = arena_dup(call->arena, body); /* its code and words are looked at when the bytes are gone */
	return body.ptr == NULL ? ERR_NOMEM : openai_error_parse(status, body, &hints, call->arena, &reply->error);
}

void model_reply_judge(struct effect_call *call, const struct model_reply *r)
{
	if (r->is_error) {
		vendor_answer(call, r->error.is, r->status,
		    r->error.is == ANSWER_CONFIG ? "The model's service does not take our key or knows no such model, or the account has no credit." :
		    r->error.is == ANSWER_REFUSED ? "The model's service refuses the request as it is." :
		    "The model's service cannot take it at the moment.");
		call->retry_after_ms = r->error.retry_after_ms > 0 ? r->error.retry_after_ms : 0;
	} else if (r->rc == ERR_END) {
		call->outcome = EFFECT_RETRY;
		call->class = "broken_stream";
		call->message = "The model's answer broke off.";
		call->host_failed = true;
	} else {
		vendor_no_answer(call, r->rc, false); /* asking again harms nobody */
	}
	call->vendor_id = r->vendor_id;
}

static bool is_of_the_moment(const struct model_reply *r)
{
	return r->is_error ? r->error.is == ANSWER_RETRY || r->error.is == ANSWER_LIMIT :
	    r->rc == ERR_NETWORK || r->rc == ERR_TIMEOUT || r->rc == ERR_END;
}

int64_t model_reply_wait_ms(const struct effect_call *call, int64_t base_max_ms, const struct model_reply *r, unsigned repeats)
{
	int64_t told = r->is_error ? r->error.retry_after_ms : 0;
	int64_t wait = (base_max_ms < REPEAT_BASE_MS ? base_max_ms : REPEAT_BASE_MS) << repeats;

	if (repeats >= REPEATS || !is_of_the_moment(r) || told > REPEAT_WAIT_MS_MAX)
		return 0;
	wait -= (int64_t)rng_below(call->rng, (uint64_t)wait / 4 + 1);
	return wait < told ? told : wait < 1 ? 1 : wait;
}
