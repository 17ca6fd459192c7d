/*
 * Prometheus' text format, and the histogram that it wants. Writing appends to
 * a buf whose own rc tells of failure. A family is its head, then its samples.
 */
#ifndef LULAB_APP_METRICS_TEXT_H
#define LULAB_APP_METRICS_TEXT_H

#include <stdatomic.h>

#include "base/buf.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* type: "counter", "gauge", "histogram". */
void metric_head(struct buf *out, const char *name, const char *type, const char *help);
/* labels as in the text, without braces: "queue_name=\"append\""; NULL for none. */
void metric_u64(struct buf *out, const char *name, const char *labels, uint64_t value);
void metric_double(struct buf *out, const char *name, const char *labels, double value);

/* Escapes a label's value into out: \ " and line feeds. */
void metric_label(struct buf *out, const char *name, struct slice value);

#define HISTOGRAM_BUCKETS_MAX 12

/* Spans by upper bound. One thread observes, any thread reads; a zeroed one is empty. */
struct span_histogram {
	_Atomic uint64_t buckets[HISTOGRAM_BUCKETS_MAX + 1]; /* not cumulative; the last is +Inf */
	_Atomic uint64_t sum_us;
};

/* Bounds in microseconds, ascending. */
struct span_bounds {
	unsigned n;
	int64_t us[HISTOGRAM_BUCKETS_MAX];
};

void span_observe(struct span_histogram *h, const struct span_bounds *bounds, int64_t us);
/* Adds what `from` holds. */
void span_add(struct span_histogram *to, const struct span_histogram *from);
/* name_bucket, name_sum and name_count. */
void span_write(struct buf *out, const char *name, const char *labels, const struct span_histogram *h,
    const struct span_bounds *bounds);

/* A counter that one thread raises, so without a locked instruction, and any thread reads. */
static inline void counter_add(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

static inline uint64_t counter_get(const _Atomic uint64_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

#endif
