/*
 * A stretch of the log, read and written out as JSON on a worker thread: what
 * the lists of events, one event and the event stream are made of. The log is
 * read in place; loops never touch the disk for it.
 */
#ifndef LULAB_APP_EVENT_PAGE_H
#define LULAB_APP_EVENT_PAGE_H

#include <uv.h>

#include "app/event_view.h"
#include "store/query.h"

#define EVENT_PAGE_BYTES_MAX (8 * 1024 * 1024)

struct event_page;
typedef void event_page_cb(struct event_page *page);

/* Embed it in whatever waits; zero it, fill in the first part. */
struct event_page {
	struct eventlog *log;
	struct event_view view;
	struct log_filter filter;  /* borrowed until the callback */
	uint64_t from;
	uint64_t skip;             /* matching events passed over first */
	size_t limit;              /* events at most */
	size_t bytes_max;          /* stop after so many, 0 = EVENT_PAGE_BYTES_MAX */
	bool want_total;
	uint64_t total_from;       /* the total counts from here on */
	enum query_format format;  /* JSON array, lines, or CSV with its head */
	bool pieces;               /* one by one, for a stream: see `items` */
	event_page_cb *cb;         /* on the loop, exactly once */
	void *arg;

	/* Results. event_page_finish() when done with them. */
	int rc;
	struct buf out;
	size_t n;
	uint64_t next;   /* where to go on */
	bool more;       /* something may follow now: not stopped by the end of the log */
	uint64_t total;  /* when want_total: of the filter, not of the page */
	uint64_t size;   /* events in the log */
	struct event_item {
		uint64_t position;
		struct slice type;
		size_t at, len; /* of its JSON in out */
	} *items;

	/* Private. */
	uv_work_t work;
	struct arena arena;
};

/* Loop thread. The callback comes in a later turn of the loop, also on failure. */
void event_page_start(struct event_page *page, uv_loop_t *loop);
/* Frees what it holds; it may be started again. */
void event_page_finish(struct event_page *page);

#endif
