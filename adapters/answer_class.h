/*
 * What an answer of a neighbour means for what was asked, whatever the
 * neighbour calls it. Each vendor's wire maps its codes to these; the effect
 * that asked maps them to what happens next.
 */
#ifndef LULAB_ADAPTERS_ANSWER_CLASS_H
#define LULAB_ADAPTERS_ANSWER_CLASS_H

enum answer_class {
	ANSWER_OK,
	ANSWER_RETRY,     /* it did not happen; later it may */
	ANSWER_AFRESH,    /* repeat once with a new signature, nonce or token: nothing else was wrong */
	ANSWER_NOT_READY, /* the neighbour is still making it: after 1, 5, 15 and 60 minutes */
	ANSWER_LIMIT,     /* a quota is used up: not before its window has passed */
	ANSWER_DUPLICATE, /* it happened before, under the same key */
	ANSWER_UNKNOWN,   /* it may have happened: look first where one can look */
	ANSWER_REFUSED,   /* never, as asked */
	ANSWER_CONFIG,    /* credentials, permissions, account: a person must act, other requests fail too */
};

/* "retry", "not_ready", ...: static, [a-z_], as the log keeps it. */
const char *answer_class_name(enum answer_class c);

/*
 * By HTTP status alone, for answers without a code that is known: 2xx is OK,
 * 401 and 403 CONFIG, 408, 425 and 5xx RETRY, 429 LIMIT, the rest REFUSED.
 */
enum answer_class answer_class_of_status(int status);

#endif
