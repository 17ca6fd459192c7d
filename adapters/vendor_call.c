/* Answers and silences of vendors, as outcomes of effects. */
#include "vendor_call.h"

#include "base/err.h"
#include "net/http_client.h"

static const enum effect_outcome outcomes[] = {
	[ANSWER_OK] = EFFECT_DONE,
	[ANSWER_RETRY] = EFFECT_RETRY,
	[ANSWER_AFRESH] = EFFECT_RETRY,
	[ANSWER_NOT_READY] = EFFECT_NOT_YET,
	[ANSWER_LIMIT] = EFFECT_RETRY,
	[ANSWER_DUPLICATE] = EFFECT_DONE,
	[ANSWER_UNKNOWN] = EFFECT_IS_UNKNOWN,
	[ANSWER_REFUSED] = EFFECT_REFUSED,
	[ANSWER_CONFIG] = EFFECT_STOP,
};

static bool of_the_host(int status)
{
	return status == 408 || status == 429 || status >= 500;
}

void vendor_answer(struct effect_call *call, enum answer_class is, int status, const char *message)
{
	call->outcome = outcomes[is];
	call->status = status;
	call->class = call->outcome == EFFECT_DONE ? NULL : answer_class_name(is);
	call->message = call->outcome == EFFECT_DONE ? NULL : message;
	call->host_failed = of_the_host(status);
}

struct silence {
	int rc;
	enum effect_outcome outcome;
	const char *class;
	const char *message;
	bool host_failed;
};

static const struct silence silences[] = {
	{ERR_CANCELLED, EFFECT_RETRY, "stopped", "The service stopped before it was done.", false},
	{ERR_NOMEM, EFFECT_RETRY, "memory", "There was no memory for it.", false},
	{ERR_INVALID, EFFECT_STOP, "address", "The vendor's address in the settings cannot be used.", false},
	{ERR_DENIED, EFFECT_STOP, "address", "The vendor's address may not be called: plain http, or a network that is closed to it.", false},
	{ERR_BAD_SIGNATURE, EFFECT_STOP, "certificate", "The vendor's certificate is not to be trusted.", true},
	{ERR_TOO_BIG, EFFECT_REFUSED, "too_big", "The vendor's answer is longer than any it should give.", false},
	{ERR_TIMEOUT, EFFECT_RETRY, "timeout", "The vendor did not answer in time.", true},
	{ERR_NETWORK, EFFECT_RETRY, "connect", "The vendor cannot be reached.", true},
};

void vendor_no_answer(struct effect_call *call, int rc, bool may_have_happened)
{
	const struct silence *s = &silences[0];

	while (s->rc != rc && s->rc != ERR_NETWORK)
		s++;
	call->outcome = s->outcome;
	call->class = s->class;
	call->message = s->message;
	call->host_failed = s->host_failed;
	if (may_have_happened) {
		call->outcome = EFFECT_IS_UNKNOWN;
		call->class = "no_answer";
		call->message = "The vendor was asked, and its answer did not come.";
	}
}

void *vendor_thread_open(void)
{
	struct http_client *client;

	return http_client_create(&client) == 0 ? client : NULL;
}

void vendor_thread_close(void *thread)
{
	http_client_destroy(thread);
}
