/*
 * Reading the read models: a few threads with read-only SQLite connections and
 * one bounded queue. Loops ask and are called back; nothing here blocks them.
 *
 * Two kinds of question. A named query binds its parameters and answers all its
 * rows. A list answers one page: filters, a range, a search, an order, then
 * either page and limit or a cursor that continues behind the last row seen,
 * whatever was inserted meanwhile. A whole list as a stream is the same list
 * asked again with the cursor of the last answer until there is none.
 *
 * Every statement is constant text from projections/; values are bound, never
 * pasted.
 */
#ifndef LULAB_STORE_QUERY_H
#define LULAB_STORE_QUERY_H

#include <uv.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "store/projection.h"
#include "store/projector.h"

struct projector;
struct query_pool;
struct query_port;

#define QUERY_PARAMS_MAX 12
#define LIST_FILTERS_MAX 12
#define LIST_PAGE_DEFAULT 10
#define LIST_LIMIT_MAX 100      /* functional-spec 6.2 */
#define LIST_STREAM_LIMIT 500   /* rows of one piece of a stream */
#define LIST_OFFSET_MAX 1000000 /* deeper pages need a cursor */
#define LIST_SEARCH_MAX 200     /* bytes */

/* ---- the pool ------------------------------------------------------------ */

struct query_pool_options {
	struct projector *projector; /* outlives the pool */
	const struct clock *clock;
	unsigned n_threads;   /* 0 = 2 */
	unsigned queue_max;   /* questions waiting; 0 = 1024; more get ERR_BUSY */
	size_t answer_max;    /* bytes of one answer; 0 = 32 MiB */
};

int query_pool_open(struct query_pool **ret, const struct query_pool_options *options);
/* Questions still waiting get ERR_CANCELLED; every port must have been closed. NULL is fine. */
void query_pool_close(struct query_pool *pool);

/* The way back to a loop: one per loop, opened and closed on its thread. */
int query_port_open(struct query_port **ret, struct query_pool *pool, uv_loop_t *loop);
/* No query of it in flight (asserted). The memory goes with a later turn of the loop. NULL is fine. */
void query_port_close(struct query_port *port);

/* ---- a question ---------------------------------------------------------- */

enum query_format {
	QUERY_JSON,   /* an array of objects */
	QUERY_NDJSON, /* an object a line */
	QUERY_CSV,    /* RFC 4180, first line the column names (not when a cursor continues) */
};

/* A parameter of a named query: text unless is_integer. Borrowed until the callback. */
struct query_param {
	const char *name;
	struct slice text;
	int64_t integer;
	bool is_integer, is_null;
};

/*
 * What is asked of a list. list_request_parse() makes it from the parameters
 * of a URL; a caller may also fill it in. Slices are borrowed until the callback.
 */
struct list_request {
	const struct list_def *list;
	struct slice filters[LIST_FILTERS_MAX]; /* by index of list->filters; ptr NULL = absent */
	bool has_from, has_to;
	int64_t from_ms, to_ms; /* both inclusive */
	struct slice search;    /* as typed; empty = absent */
	unsigned sort;          /* index of list->sorts */
	bool descending;
	uint32_t page, limit; /* from 1 */
	bool want_total;
	bool has_cursor;
	bool cursor_is_integer;
	int64_t cursor_integer; /* sort value and key of the last row seen */
	struct slice cursor_text, cursor_key;
	uint64_t fields; /* bit per column to be written; 0 = all */
};

struct list_problem {
	struct slice name;   /* the parameter, as given */
	const char *code;    /* static: "unknown", "invalid", "range", "repeated" */
	const char *message; /* for people, in the arena or static; never holds the value */
};
#define LIST_PROBLEMS_MAX 16

struct list_param {
	struct slice name, value; /* decoded */
};

/*
 * page, limit, cursor, sort (-name = descending), fields, search, the filters
 * and the range of the list. All problems are told at once; ERR_INVALID when
 * there are any. limit_max: LIST_LIMIT_MAX for pages. The decoded cursor lives
 * in the arena, all other slices in the parameters.
 */
int list_request_parse(struct list_request *ret, const struct list_def *list, const struct list_param *params,
    size_t n_params, uint32_t limit_max, struct arena *a, struct list_problem *problems, size_t *ret_n_problems);

struct query;
typedef void query_cb(struct query *q);

/* A question in flight. Embed it in whatever waits for it; zero it before use. */
struct query {
	const struct query_def *def; /* this with params, ... */
	struct query_param params[QUERY_PARAMS_MAX];
	unsigned n_params;
	const struct list_request *list; /* ... or this; borrowed until the callback */

	enum query_format format;
	bool single;   /* QUERY_JSON of a query: the first row as an object; ERR_NOT_FOUND when there is none */
	bool has_min_position; /* the rows must hold this event; ERR_TIMEOUT after wait_ms (0 = 2000) */
	uint64_t min_position;
	uint32_t wait_ms;

	struct query_port *port;
	query_cb *cb; /* on the port's loop, exactly once, never before query_start() returned */
	void *arg;    /* the caller's */

	/* Results. `out` is the caller's to finish in any case; set its max or leave it zeroed for the pool's. */
	struct buf out;
	int rc; /* ERR_BUSY, ERR_TIMEOUT, ERR_UNAVAILABLE (no file, or being rebuilt), ERR_TOO_BIG, ERR_CANCELLED, ... */
	uint64_t rows;
	uint64_t position; /* events folded into what was read: the newest is position - 1 */
	uint64_t rows_position; /* of the newest commit to the file; until there is another the answer stays the same */
	uint64_t generation; /* of the file, as projection_status has it */
	bool stale;        /* answered by the file of an older version, which no longer advances */
	uint64_t total;    /* when want_total */
	bool more;         /* there are rows behind these */
	struct buf next_cursor; /* text for cursor=; empty when there is no more; finish it too */

	/* Below here: the pool's. */
	struct list link;
	int64_t deadline_us;
	bool done;
};

/* Any loop thread. A failure arrives by the callback too. */
void query_start(struct query_pool *pool, struct query *q);
/* For threads that may block: waits, and gives q->rc. port and cb are not used. */
int query_run(struct query_pool *pool, struct query *q);
/* Frees out and next_cursor. */
void query_finish(struct query *q);
/* Where the file that answered now stands, by q->generation: whether asking again could give anything else. As projector_stand(). */
bool query_stand(struct query_pool *pool, const struct projection *model, uint64_t generation, struct projector_stand *ret);

#define QUERY_BUCKETS 9
extern const uint32_t query_bounds_us[QUERY_BUCKETS - 1];
#define QUERY_MODELS_MAX 32

/* Of one read model, since the pool was opened. */
struct query_stats {
	const struct projection *model;
	uint64_t answered, failed, refused_busy, timed_out;
	/* How long answering took: bucket i counts up to query_bounds_us[i], the last one the rest; not cumulative. */
	uint64_t took[QUERY_BUCKETS], took_us;
};

struct query_pool_stats {
	unsigned waiting, running;
	unsigned n_models;
	struct query_stats models[QUERY_MODELS_MAX]; /* those that were asked something */
};
void query_pool_stats(struct query_pool *pool, struct query_pool_stats *ret);

#endif
