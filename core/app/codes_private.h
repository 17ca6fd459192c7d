/* What core/app/codes*.c share. */
#ifndef LULAB_APP_CODES_PRIVATE_H
#define LULAB_APP_CODES_PRIVATE_H

#include <pthread.h>

#include "app/codes.h"

#define CODE_SEALED_FIELD "code" /* the event id of the sealed field is the request id */

struct codes {
	struct app *app;
	/* Held from looking at the limits until the code that was allowed is in the log. */
	pthread_mutex_t asking;
	int64_t alarmed_at_ms; /* under `asking`: when the log last said that the day is full */

	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	bool over; /* one may be over */
	bool stopping;
};

/* One is over: its key will be destroyed soon. Any thread. */
void codes_over(struct codes *codes);

#endif
