/* What core/app/codes*.c share. */
#ifndef LULAB_APP_CODES_PRIVATE_H
#define LULAB_APP_CODES_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "app/codes.h"

#define CODE_SEALED_FIELD "code" /* the event id of the sealed field is the request id */

#define CODES_STRIPES 64

struct codes {
	struct app *app;
	/*
	 * That of a client's address is held from looking at the limits until the code that was allowed is in the log. A
	 * target's limits are kept by the log; the day's, for all, may be passed by as many as there are command threads.
	 */
	pthread_mutex_t asking[CODES_STRIPES];
	_Atomic int64_t alarmed_at_ms; /* when the log last said that the day is full */

	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	bool over; /* one may be over */
	bool stopping;
};

/* One is over: its key will be destroyed soon. Any thread. */
void codes_over(struct codes *codes);

#endif
