/*
 * The way of an append: from any thread into the one queue, and back to the
 * loop it came from.
 *
 *     eventlog_append --> queue --> writer --> port's done list --> async --> cb
 *
 * A refusal (bad draft, full queue) takes the second half of the same way, so
 * there is one story to tell. A port's async serves its followers as well.
 */
#include "store/eventlog_private.h"

#include <assert.h>
#include <stdlib.h>

struct log_port {
	struct eventlog *log;
	uv_async_t async;
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

static int enqueue(struct eventlog *log, struct append *a)
{
	int64_t now_us = clock_monotonic_us(log->o.clock);
	int rc;

	pthread_mutex_lock(&log->queue_lock);
	rc = admit(log, a, now_us);
	if (rc == 0) {
		a->queued_us = now_us;
		list_append(&log->queue, &a->link);
		log->queue_appends++;
		log->queue_bytes += a->bytes;
		if (log->queue_appends == 1)
			pthread_cond_signal(&log->queue_filled);
	}
	pthread_mutex_unlock(&log->queue_lock);
	return rc;
}

static int start(struct eventlog *log, struct append *a)
{
	int rc;

	a->rc = 0;
	a->n_appended = 0;
	a->duplicate = a->done = false;
	rc = log->readonly ? ERR_UNAVAILABLE : check(log, a);
	if (rc == 0)
		rc = enqueue(log, a);
	if (rc != 0 && !log->readonly) {
		pthread_mutex_lock(&log->state_lock);
		log->stats.refused_busy += rc == ERR_BUSY;
		log->stats.refused_invalid += rc == ERR_INVALID || rc == ERR_TOO_BIG;
		pthread_mutex_unlock(&log->state_lock);
	}
	return rc;
}

void eventlog_append(struct eventlog *log, struct append *append)
{
	struct log_port *port = append->port;
	int rc;

	assert(port != NULL && port->log == log && append->cb != NULL && append->events != NULL);
	append->note = (struct slice){0};
	port->n_in_flight++;
	rc = start(log, append);
	if (rc == 0)
		return; /* the writer's already, and perhaps done with */
	append->rc = rc;
	pthread_mutex_lock(&port->lock);
	list_append(&port->done, &append->link);
	pthread_mutex_unlock(&port->lock);
	uv_async_send(&port->async);
}

int eventlog_append_wait(struct eventlog *log, struct append *append)
{
	int rc;

	append->port = NULL;
	rc = start(log, append);
	if (rc != 0)
		return append->rc = rc;
	pthread_mutex_lock(&log->queue_lock);
	while (!append->done)
		pthread_cond_wait(&log->done, &log->queue_lock);
	pthread_mutex_unlock(&log->queue_lock);
	return append->rc;
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

int log_port_open(struct log_port **ret_port, struct eventlog *log, uv_loop_t *loop)
{
	struct log_port *port = calloc(1, sizeof(*port));

	if (port == NULL)
		return ERR_NOMEM;
	if (uv_async_init(loop, &port->async, on_async) != 0) {
		free(port);
		return ERR_IO;
	}
	port->async.data = port;
	port->log = log;
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
