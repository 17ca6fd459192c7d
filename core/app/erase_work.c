/*
 * The thread that finishes erasures. Whoever asked for one draws a number and waits until a
 * round that began after that is over; a round takes all that is pending, however many asked.
 * A round that failed is made again in a minute.
 */
#include <pthread.h>
#include <stdlib.h>

#include "app/erase.h"
#include "base/err.h"
#include "base/log.h"
#include "base/thread.h"

#define WAITING_MAX 2       /* command threads that wait at once: the others serve */
#define AGAIN_MS 60000u
#define READ_WAIT_MS 10000  /* for read models that are behind at the start */

struct erasures {
	struct app *app;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	uint64_t asked, done; /* numbers drawn, and up to which they are served */
	int rc;               /* of the newest round */
	unsigned waiting;
	bool cancelled, stopping;
};

/* A stop ends it; the next start goes on. */
static void tell(int rc, size_t n)
{
	if (rc == 0 && n > 0)
		log_info("erase", "what was asked for is erased");
	else if (rc != 0 && rc != ERR_CANCELLED)
		log_error("erase", "an erasure could not be finished; it is tried again in a minute", "error", err_name(rc),
		    "reason", err_text(rc));
}

static void *run(void *arg)
{
	struct erasures *e = arg;

	thread_name("lulab-erase");
	pthread_mutex_lock(&e->lock);
	while (!e->stopping) {
		struct timespec again;
		uint64_t asked = e->asked;
		size_t n;
		int rc;

		if (e->done == asked && e->rc == 0) {
			pthread_cond_wait(&e->changed, &e->lock);
			continue;
		}
		pthread_mutex_unlock(&e->lock);
		rc = erase_finish_pending(e->app, &n);
		tell(rc, n);
		pthread_mutex_lock(&e->lock);
		e->done = asked;
		e->rc = rc;
		pthread_cond_broadcast(&e->changed);
		again = thread_deadline(AGAIN_MS);
		while (rc != 0 && !e->stopping && e->done == e->asked)
			if (pthread_cond_timedwait(&e->changed, &e->lock, &again) != 0)
				break;
	}
	pthread_mutex_unlock(&e->lock);
	return NULL;
}

/* Whether every read model has read as far as the log goes now. What answers may still be opened, so all are waited for. */
static bool is_read(struct app *app)
{
	uint64_t size = eventlog_size(app->log);
	struct projection_status status;

	for (unsigned i = 0; projector_status(app->projector, i, &status); i++)
		if (projector_wait(app->projector, status.model->name, size - 1, READ_WAIT_MS) != 0)
			return false;
	return true;
}

/* The thread goes on with what is pending when the start is ready. */
static int prepare(struct erasures *e)
{
	size_t n = 0;
	bool pending;
	int rc = erase_is_pending(e->app, &pending);

	if (rc != 0 || !pending)
		return rc;
	log_warn("erase", "an erasure was interrupted and is finished now: the read models are made anew");
	e->asked = 1;
	if (is_read(e->app))
		return 0;
	return erase_finish_pending(e->app, &n);
}

static void destroy(struct erasures *e)
{
	pthread_cond_destroy(&e->changed);
	pthread_mutex_destroy(&e->lock);
	free(e);
}

int erasures_open(struct erasures **ret, struct app *app)
{
	struct erasures *e = calloc(1, sizeof(*e));
	pthread_condattr_t attr;
	int rc;

	if (e == NULL)
		return ERR_NOMEM;
	e->app = app;
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->changed, &attr);
	pthread_condattr_destroy(&attr);
	rc = prepare(e);
	if (rc == 0)
		rc = pthread_create(&e->thread, NULL, run, e) == 0 ? 0 : ERR_NOMEM;
	if (rc != 0) {
		destroy(e);
		return rc;
	}
	*ret = e;
	return 0;
}

void erasures_cancel(struct erasures *e)
{
	if (e == NULL)
		return;
	pthread_mutex_lock(&e->lock);
	e->cancelled = true;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
}

void erasures_close(struct erasures *e)
{
	if (e == NULL)
		return;
	pthread_mutex_lock(&e->lock);
	e->stopping = true;
	pthread_cond_broadcast(&e->changed);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	destroy(e);
}

int erasures_wait(struct erasures *e)
{
	uint64_t number;
	int rc;

	pthread_mutex_lock(&e->lock);
	number = ++e->asked;
	pthread_cond_broadcast(&e->changed);
	if (e->waiting == WAITING_MAX) {
		pthread_mutex_unlock(&e->lock);
		return ERR_BUSY;
	}
	e->waiting++;
	while (e->done < number && !e->cancelled)
		pthread_cond_wait(&e->changed, &e->lock);
	e->waiting--;
	rc = e->done < number ? ERR_CANCELLED : e->rc;
	pthread_mutex_unlock(&e->lock);
	return rc;
}
