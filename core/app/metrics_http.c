/*
 * See metrics_http.h.
 *
 * A cell is named by the route's address and the status; routes are static, so
 * the address is the name. Cells are only ever added, by the loop's thread,
 * and published by `status`, so that a scrape on another thread sees whole ones.
 */
#include "metrics_http.h"

#include <stdlib.h>

#include "base/err.h"

#define CELLS 512 /* a power of two; some 40 routes with a handful of statuses each */
#define TOTALS_MAX 1024

/* functional-spec 16.1 asks for 0.1 to 5; a webhook takes milliseconds, hence the finer ones below. */
static const struct span_bounds bounds = {10,
    {1000, 2500, 5000, 10000, 25000, 100000, 500000, 1000000, 2000000, 5000000}};

struct cell {
	const struct route *route; /* NULL: no route took the request */
	enum http_method method;
	_Atomic int status; /* 0 = free */
	_Atomic uint64_t requests;
	struct span_histogram duration;
};

struct metrics_http {
	struct cell cells[CELLS];
	struct cell other;
};

int metrics_http_create(struct metrics_http **ret)
{
	struct metrics_http *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return ERR_NOMEM;
	*ret = m;
	return 0;
}

void metrics_http_destroy(struct metrics_http *m)
{
	free(m);
}

static struct cell *cell_of(struct metrics_http *m, const struct route *route, enum http_method method, int status)
{
	size_t at = ((uintptr_t)route / sizeof(void *)) * 31 + (size_t)status * 7 + (size_t)method;

	for (size_t probe = 0; probe < 32; probe++) {
		struct cell *c = &m->cells[(at + probe) & (CELLS - 1)];
		int taken = atomic_load_explicit(&c->status, memory_order_relaxed);

		if (taken == status && c->route == route && c->method == method)
			return c;
		if (taken == 0) {
			c->route = route;
			c->method = method;
			atomic_store_explicit(&c->status, status, memory_order_release);
			return c;
		}
	}
	return &m->other;
}

void metrics_http_count(struct metrics_http *m, const struct http_request *rq, const struct http_outcome *outcome)
{
	int status = outcome->status == 0 ? 499 : outcome->status; /* the client left first */
	struct cell *c = cell_of(m, rq->route, rq->method, status);

	counter_add(&c->requests, 1);
	span_observe(&c->duration, &bounds, outcome->duration_us);
}

/* --- scrape -------------------------------------------------------------------- */

static const char *const method_names[HTTP_METHOD_COUNT] = {
	[HTTP_NONE] = "other", [HTTP_GET] = "GET", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT",
	[HTTP_PATCH] = "PATCH", [HTTP_DELETE] = "DELETE",
};

struct totals {
	struct cell *cells;
	size_t n;
};

static void merge(struct totals *t, const struct cell *from, int status, bool by_status)
{
	struct cell *c = NULL;

	for (size_t i = 0; i < t->n && c == NULL; i++)
		if (t->cells[i].route == from->route && t->cells[i].method == from->method &&
		    (!by_status || t->cells[i].status == status))
			c = &t->cells[i];
	if (c == NULL) {
		if (t->n == TOTALS_MAX)
			return;
		c = &t->cells[t->n++];
		c->route = from->route;
		c->method = from->method;
		c->status = status;
	}
	counter_add(&c->requests, counter_get(&from->requests));
	span_add(&c->duration, &from->duration);
}

static void merge_all(struct totals *t, struct metrics_http *const *loops, size_t n, bool by_status)
{
	t->n = 0;
	for (size_t l = 0; l < n; l++) {
		if (loops[l] == NULL)
			continue;
		for (size_t i = 0; i < CELLS; i++) {
			const struct cell *c = &loops[l]->cells[i];
			int status = atomic_load_explicit(&c->status, memory_order_acquire);

			if (status != 0)
				merge(t, c, status, by_status);
		}
		if (counter_get(&loops[l]->other.requests) > 0)
			merge(t, &loops[l]->other, 0, by_status);
	}
}

static const char *labels_of(struct buf *out, const struct cell *c, bool with_status)
{
	buf_clear(out);
	metric_label(out, "method", slice_str(method_names[c->method]));
	buf_append_char(out, ',');
	metric_label(out, "route", slice_str(c->route == NULL ? "other" : c->route->path));
	if (with_status)
		buf_printf(out, ",status_code=\"%d\"", c->status);
	return out->rc == 0 ? out->ptr : "";
}

void metrics_http_write(struct buf *out, struct metrics_http *const *loops, size_t n)
{
	struct buf labels = BUF_INIT(4096);
	struct totals t = {.cells = calloc(TOTALS_MAX, sizeof(*t.cells))};

	if (t.cells == NULL) {
		out->rc = ERR_NOMEM;
		return;
	}
	merge_all(&t, loops, n, true);
	metric_head(out, "http_requests_total", "counter", "Requests answered.");
	for (size_t i = 0; i < t.n; i++)
		metric_u64(out, "http_requests_total", labels_of(&labels, &t.cells[i], true),
		    counter_get(&t.cells[i].requests));
	memset(t.cells, 0, TOTALS_MAX * sizeof(*t.cells));
	merge_all(&t, loops, n, false);
	metric_head(out, "http_request_duration_seconds", "histogram",
	    "Time from a request's first byte to its answer's last.");
	for (size_t i = 0; i < t.n; i++)
		span_write(out, "http_request_duration_seconds", labels_of(&labels, &t.cells[i], false),
		    &t.cells[i].duration, &bounds);
	buf_finish(&labels);
	free(t.cells);
}
