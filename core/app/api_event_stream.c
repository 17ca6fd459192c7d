/*
 * The log as server-sent events: first what is there from the place asked for,
 * then what comes, without a gap and without a repeat, because both are read
 * from the log by position. The id of an event is its position, so a client
 * that reconnects with Last-Event-ID goes on where it was.
 *
 *     READ --> SEND --> READ ... --> WAIT (nothing new) --> READ
 *
 * READ runs on a worker thread, the rest on the loop. A commit while we read or
 * send only sets `fresh`. SEND pauses when the client does not keep up; nothing
 * piles up here, the log is the buffer.
 */
#include <inttypes.h>

#include "app/answer.h"
#include "app/api.h"
#include "app/app.h"
#include "app/event_page.h"
#include "base/err.h"
#include "params.gen.h"

#define BATCH_EVENTS 100
#define BATCH_BYTES (128 * 1024)

struct follow {
	struct http_request *rq;
	struct log_follower follower;
	struct event_page page;
	size_t sent;   /* items of the page that are out */
	bool reading;
	bool fresh;    /* the log grew since the last read began */
	bool sending;  /* inside a call of the server's, which may tell us that the client left */
	bool gone;     /* the client left, or the server stops */
};

static void follow_step(struct follow *f);

static void follow_end(struct follow *f)
{
	struct http_request *rq = f->rq;

	log_follower_stop(&f->follower);
	event_page_finish(&f->page);
	http_stream_end(rq, false);
}

static void on_read(struct event_page *page)
{
	struct follow *f = page->arg;

	f->reading = false;
	f->sent = 0;
	if (page->rc != 0)
		f->gone = true;
	follow_step(f);
}

/* True when the page is out; false: on_drain comes, or `gone` was set. */
static bool send_page(struct follow *f)
{
	struct event_page *p = &f->page;

	while (f->sent < p->n) {
		const struct event_item *item = &p->items[f->sent];
		char id[24];
		int rc;

		snprintf(id, sizeof(id), "%" PRIu64, item->position);
		f->sending = true;
		rc = http_sse_send(f->rq, slice_str(id), item->type, slice_of(p->out.ptr + item->at, item->len));
		f->sending = false;
		if (rc == ERR_BUSY && !f->gone)
			return false;
		if (rc != 0 || f->gone) {
			f->gone = true;
			return false;
		}
		f->sent++;
	}
	return true;
}

static void start_read(struct follow *f)
{
	f->reading = true;
	f->fresh = false;
	f->page.from = f->page.next;
	event_page_start(&f->page, f->rq->loop);
}

static void follow_step(struct follow *f)
{
	if (f->reading || f->sending)
		return;
	if (!f->gone && !send_page(f) && !f->gone)
		return;
	if (f->gone) {
		follow_end(f);
		return;
	}
	if (f->page.more || f->fresh)
		start_read(f);
}

static void on_commit(struct log_follower *follower)
{
	struct follow *f = follower->arg;

	f->fresh = true;
	follow_step(f);
}

static void on_drain(struct http_request *rq)
{
	follow_step(rq->data);
}

static void on_closed(struct http_request *rq)
{
	struct follow *f = rq->data;

	f->gone = true;
	follow_step(f);
}

/* Behind the last event the client has, else `from`, else what comes from now on. */
static bool first_position(struct http_request *rq, const struct params_event_stream *params, uint64_t *ret)
{
	struct slice text;

	*ret = params->has_from ? (uint64_t)params->from : eventlog_size(app_of(rq)->log);
	if (!http_request_field(rq, "Last-Event-ID", &text) || text.len == 0)
		return true;
	if (slice_to_u64(slice_trim(text), ret) == 0 && *ret < UINT64_MAX) {
		*ret += 1;
		return true;
	}
	http_problem(rq, 400, "invalid_parameters", "Last-Event-ID must be the id of an event of this stream.", NULL, 0);
	return false;
}

static void stream_events(struct http_request *rq)
{
	struct params_event_stream params;
	struct follow *f;

	if (!api_decode_params(rq, &schema_params_event_stream, &params))
		return;
	f = arena_alloc(rq->arena, sizeof(*f));
	if (f == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	f->rq = rq;
	f->page = (struct event_page){.log = app_of(rq)->log,
	    .view = {.sealer = app_of(rq)->sealer, .personal = auth_sees_personal(rq)}, .limit = BATCH_EVENTS,
	    .bytes_max = BATCH_BYTES, .pieces = true, .cb = on_read, .arg = f};
	if (!first_position(rq, &params, &f->page.next) ||
	    !api_event_filter(rq, params.type, params.stream, &f->page.filter))
		return;
	rq->data = f;
	rq->on_drain = on_drain;
	rq->on_closed = on_closed;
	f->follower.arg = f;
	f->sending = true;
	http_sse_start(rq, 0);
	f->sending = false;
	if (f->gone) {
		follow_end(f);
		return;
	}
	log_follower_start(&f->follower, loop_of(rq)->log_port, on_commit);
	start_read(f);
}

const struct route api_event_stream_routes[] = {
	{HTTP_GET, "/api/v1/events/stream", stream_events, "events:read", .flags = ROUTE_NO_ETAG,
	    .params = &schema_params_event_stream, .answer = "event-stream", .tag = "events",
	    .summary = "Events as they come, from Last-Event-ID or `from` on"},
	{0},
};
