/*
 * What a vendor's answer, or its silence, means for an effect: the one place
 * where answer_class becomes an outcome. On the lane's thread.
 *
 * Source: integrity.md 15 and 16.
 */
#ifndef LULAB_ADAPTERS_VENDOR_CALL_H
#define LULAB_ADAPTERS_VENDOR_CALL_H

#include "answer_class.h"
#include "store/effect.h"

/*
 * The vendor answered. message: for people, our own words, static or in the
 * call's arena; NULL = none. ANSWER_OK and _DUPLICATE are done. What is of the
 * neighbour (408, 429, 5xx) counts against it. The caller may set vendor_id and retry_after_ms besides.
 */
void vendor_answer(struct effect_call *call, enum answer_class is, int status, const char *message);

/*
 * http_client_call() failed with rc. may_have_happened: the request began to leave
 * (http_result.sent) and it asks for something to happen; then the effect is unknown.
 */
void vendor_no_answer(struct effect_call *call, int rc, bool may_have_happened);

/* An effect's thread_open and thread_close: call->thread is a struct http_client. */
void *vendor_thread_open(void);
void vendor_thread_close(void *thread);

#endif
