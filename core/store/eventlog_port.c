/*
 * The way of an append: from any thread into the one queue, and back to the
 * loop it came from.
 *
 *     eventlog_append --> port's staged list --> queue --> writer --> port's done list --> async --> cb
 *
 * What a loop appends while it goes through what its sockets brought is handed over
 * together, at the end of that round or when a few have gathered: one lock and one wake-up
 * of the writer for all of them, and a commit that holds them all where otherwise the first one
 * would be committed alone. A lone append is a round's only one, and waits for nothing.
 *
 * A refusal (bad draft, full queue) takes the second half of the same way, so
 * there is one story to tell. A port's async serves its followers as well.
 */
#include "store/eventlog_private.h"

#include <assert.h>
#include <stdlib.h>

/* A round of a busy loop is milliseconds; no append waits for longer than it takes to make so many. */
#define STAGED_MAX 16

struct log_port {
	struct eventlog *log;
	uv_async_t async;
	uv_prepare_t before_wait; /* hand over what was appended before the loop waits for its sockets */
	uv_check_t after_round;   /* and after it went through what they brought */
	unsigned n_handles;       /* loop thread: not closed yet */
	struct list staged;       /* loop thread: appends to hand over */
	unsigned n_staged;
	struct list link;      /* in log->ports */
	struct list followers; /* loop thread */
	unsigned n_in_flight;  /* loop thread */
	_Atomic unsigned n_followers;
	bool due; /* writer: results were put in `posted` */
	struct list posted; /* writer: results of the commit at hand */

	pthread_mutex_t lock; /* guards: */
	struct list done;
	bool grown;
};

/* ---- into the queue ------------------------------------------------------ */

static int check(struct eventlog *log, struct append *a)
{
	int rc = 0;

	a->bytes = a->note.len;
	if (a->n_events == 0)
		return a->note.len > 0 ? 0 : ERR_INVALID;
	if (a->n_events > APPEND_EVENTS_MAX)
		return ERR_TOO_BIG;
	for (size_t i = 0; rc == 0 && i < a->n_events; i++) {
		const struct event_draft *d = &a->events[i];

		rc = facts_check_draft(d, log->o.type_number);
		a->bytes += d->entry_len;
		for (size_t b = 0; b < d->n_blobs; b++)
			a->bytes += d->blobs[b].bytes.len;
	}
	return rc == 0 && a->bytes > APPEND_BYTES_MAX ? ERR_TOO_BIG : rc;
}

/* Why the queue takes no more, or 0. Notes are let in: they are few, and cover what is there already. */
static int admit(struct eventlog *log, const struct append *a, int64_t now_us)
{
	if (log->stopped)
		return log->stopped_rc;
	if (log->closing)
		return ERR_UNAVAILABLE;
	if (a->n_events == 0)
		return 0;
	if (atomic_load(&log->refused))
		return ERR_UNAVAILABLE;
	if (log->queue_appends >= log->o.queue_appends_max)
		return ERR_BUSY;
	if (log->queue_appends > 0) {
		const struct append *oldest = container_of(log->queue.next, struct append, link);

		if (log->queue_bytes + a->bytes > log->o.queue_bytes_max ||
		    now_us - oldest->queued_us > (int64_t)log->o.queue_wait_ms_max * 1000)
			return ERR_BUSY;
	}
	return 0;
}

/* Under queue_lock. */
static int enqueue(struct eventlog *log, struct append *a, int64_t now_us)
{
	int rc = admit(log, a, now_us);

	if (rc != 0)
		return rc;
	a->queued_us = now_us;
	list_append(&log->queue, &a->link);
	log->queue_appends++;
	log->queue_bytes += a->bytes;
	if (log->queue_appends == 1)
		pthread_cond_signal(&log->queue_filled);
	return 0;
}

static int start(struct eventlog *log, struct append *a)
{
	a->rc = 0;
	a->n_appended = 0;
	a->duplicate = a->done = false;
	return log->readonly ? ERR_UNAVAILABLE : check(log, a);
}

static void count_refused(struct eventlog *log, int rc)
{
	pthread_mutex_lock(&log->state_lock);
	log->stats.refused_busy += rc == ERR_BUSY;
	log->stats.refused_invalid += rc == ERR_INVALID || rc == ERR_TOO_BIG;
	pthread_mutex_unlock(&log->state_lock);
}

/* Refused appends of a loop: told as if the writer had done so. */
static void refuse_all(struct log_port *port, struct list *refused)
{
	for (struct list *l = refused->next; l != refused; l = l->next)
		count_refused(port->log, container_of(l, struct append, link)->rc);
	pthread_mutex_lock(&port->lock);
	list_splice(&port->done, refused);
	pthread_mutex_unlock(&port->lock);
	uv_async_send(&port->async);
}

static void hand_over(struct log_port *port)
{
	struct eventlog *log = port->log;
	struct list refused;
	int64_t now_us;

	if (port->n_staged == 0)
		return;
	list_init(&refused);
	now_us = clock_monotonic_us(log->o.clock);
	pthread_mutex_lock(&log->queue_lock);
	while (!list_empty(&port->staged)) {
		struct append *a = container_of(port->staged.next, struct append, link);

		list_remove(&a->link);
		a->rc = enqueue(log, a, now_us);
		if (a->rc != 0)
			list_append(&refused, &a->link);
		/* else the writer's already, when the lock is given back */
	}
	pthread_mutex_unlock(&log->queue_lock);
	port->n_staged = 0;
	if (!list_empty(&refused))
		refuse_all(port, &refused);
}

void eventlog_append(struct eventlog *log, struct append *append)
{
	struct log_port *port = append->port;
	struct list refused;

	assert(port != NULL && port->log == log && append->cb != NULL && append->events != NULL);
	append->note = (struct slice){0};
	port->n_in_flight++;
	append->rc = start(log, append);
	if (append->rc == 0) {
		list_append(&port->staged, &append->link);
		if (++port->n_staged >= STAGED_MAX)
			hand_over(port);
		return;
	}
	list_init(&refused);
	list_append(&refused, &append->link);
	refuse_all(port, &refused);
}

int eventlog_append_wait(struct eventlog *log, struct append *append)
{
	int rc;

	append->port = NULL;
	rc = start(log, append);
	if (rc == 0) {
		int64_t now_us = clock_monotonic_us(log->o.clock);

		pthread_mutex_lock(&log->queue_lock);
		rc = enqueue(log, append, now_us);
		while (rc == 0 && !append->done)
			pthread_cond_wait(&log->done, &log->queue_lock);
		pthread_mutex_unlock(&log->queue_lock);
	}
	if (rc == 0)
		return append->rc;
	if (!log->readonly)
		count_refused(log, rc);
	return append->rc = rc;
}

/* ---- and back, on the writer thread -------------------------------------- */

void log_port_post(struct append *append)
{
	struct log_port *port = append->port;

	assert(port != NULL);
	list_append(&port->posted, &append->link);
	port->due = true;
}

void log_ports_flush(struct eventlog *log, bool grown)
{
	pthread_mutex_lock(&log->ports_lock);
	for (struct list *l = log->ports.next; l != &log->ports; l = l->next) {
		struct log_port *port = container_of(l, struct log_port, link);
		bool tell = grown && atomic_load(&port->n_followers) > 0;

		if (!port->due && !tell)
			continue;
		pthread_mutex_lock(&port->lock);
		list_splice(&port->done, &port->posted);
		port->grown |= tell;
		/* Inside the lock: once the results are seen the port may be closed. */
		uv_async_send(&port->async);
		pthread_mutex_unlock(&port->lock);
		port->due = false;
	}
	pthread_mutex_unlock(&log->ports_lock);
}

/* ---- ports and followers, on the loop's thread --------------------------- */

static void call_back(struct log_port *port, struct list *done)
{
	while (!list_empty(done)) {
		struct append *a = container_of(done->next, struct append, link);

		list_remove(&a->link);
		assert(port->n_in_flight > 0);
		port->n_in_flight--;
		a->cb(a); /* may free it, and start others */
	}
}

static void tell_followers(struct log_port *port)
{
	struct list waiting;

	list_init(&waiting);
	list_splice(&waiting, &port->followers);
	while (!list_empty(&waiting)) {
		struct log_follower *f = container_of(waiting.next, struct log_follower, link);

		list_remove(&f->link);
		list_append(&port->followers, &f->link);
		f->cb(f); /* may stop itself or others: they are on one of the two lists */
	}
}

static void on_async(uv_async_t *async)
{
	struct log_port *port = async->data;
	struct list done;
	bool grown;

	list_init(&done);
	pthread_mutex_lock(&port->lock);
	list_splice(&done, &port->done);
	grown = port->grown;
	port->grown = false;
	pthread_mutex_unlock(&port->lock);
	call_back(port, &done);
	if (grown && !uv_is_closing((uv_handle_t *)async))
		tell_followers(port);
}

static void on_before_wait(uv_prepare_t *handle)
{
	hand_over(handle->data);
}

static void on_after_round(uv_check_t *handle)
{
	hand_over(handle->data);
}

int log_port_open(struct log_port **ret_port, struct eventlog *log, uv_loop_t *loop)
{
	struct log_port *port = calloc(1, sizeof(*port));

	if (port == NULL)
		return ERR_NOMEM;
	if (uv_async_init(loop, &port->async, on_async) != 0) {
		free(port);
		return ERR_IO;
	}
	/* These two cannot fail, and do not keep the loop running. */
	uv_prepare_init(loop, &port->before_wait);
	uv_check_init(loop, &port->after_round);
	uv_prepare_start(&port->before_wait, on_before_wait);
	uv_check_start(&port->after_round, on_after_round);
	uv_unref((uv_handle_t *)&port->before_wait);
	uv_unref((uv_handle_t *)&port->after_round);
	port->async.data = port->before_wait.data = port->after_round.data = port;
	port->n_handles = 3;
	port->log = log;
	list_init(&port->staged);
	list_init(&port->followers);
	list_init(&port->posted);
	list_init(&port->done);
	pthread_mutex_init(&port->lock, NULL);
	pthread_mutex_lock(&log->ports_lock);
	list_append(&log->ports, &port->link);
	pthread_mutex_unlock(&log->ports_lock);
	*ret_port = port;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct log_port *port = handle->data;

	if (--port->n_handles > 0)
		return;
	pthread_mutex_destroy(&port->lock);
	free(port);
}

void log_port_close(struct log_port *port)
{
	if (port == NULL)
		return;
	assert(port->n_in_flight == 0 && list_empty(&port->followers));
	/* The writer walks the ports under this lock: after it, it no longer knows this one. */
	pthread_mutex_lock(&port->log->ports_lock);
	list_remove(&port->link);
	pthread_mutex_unlock(&port->log->ports_lock);
	uv_close((uv_handle_t *)&port->async, on_closed);
	uv_close((uv_handle_t *)&port->before_wait, on_closed);
	uv_close((uv_handle_t *)&port->after_round, on_closed);
}

void log_follower_start(struct log_follower *follower, struct log_port *port, log_follower_cb *cb)
{
	follower->cb = cb;
	follower->port = port;
	list_append(&port->followers, &follower->link);
	atomic_fetch_add(&port->n_followers, 1);
}

void log_follower_stop(struct log_follower *follower)
{
	if (follower->port == NULL)
		return;
	list_remove(&follower->link);
	atomic_fetch_sub(&follower->port->n_followers, 1);
	follower->port = NULL;
}
