/* See metrics_text.h. */
#include "metrics_text.h"

#include <inttypes.h>

void metric_head(struct buf *out, const char *name, const char *type, const char *help)
{
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void open_sample(struct buf *out, const char *name, const char *suffix, const char *labels)
{
	buf_append_str(out, name);
	buf_append_str(out, suffix);
	if (labels != NULL)
		buf_printf(out, "{%s}", labels);
	buf_append_char(out, ' ');
}

void metric_u64(struct buf *out, const char *name, const char *labels, uint64_t value)
{
	open_sample(out, name, "", labels);
	buf_printf(out, "%" PRIu64 "\n", value);
}

void metric_double(struct buf *out, const char *name, const char *labels, double value)
{
	open_sample(out, name, "", labels);
	buf_printf(out, "%.9g\n", value);
}

void metric_label(struct buf *out, const char *name, struct slice value)
{
	buf_printf(out, "%s=\"", name);
	for (size_t i = 0; i < value.len; i++) {
		if (value.ptr[i] == '\n') {
			buf_append_str(out, "\\n");
			continue;
		}
		if (value.ptr[i] == '"' || value.ptr[i] == '\\')
			buf_append_char(out, '\\');
		buf_append_char(out, value.ptr[i]);
	}
	buf_append_char(out, '"');
}

void span_observe(struct span_histogram *h, const struct span_bounds *bounds, int64_t us)
{
	unsigned i = 0;

	while (i < bounds->n && us > bounds->us[i])
		i++;
	counter_add(&h->buckets[i == bounds->n ? HISTOGRAM_BUCKETS_MAX : i], 1);
	counter_add(&h->sum_us, us > 0 ? (uint64_t)us : 0);
}

void span_add(struct span_histogram *to, const struct span_histogram *from)
{
	for (unsigned i = 0; i <= HISTOGRAM_BUCKETS_MAX; i++)
		counter_add(&to->buckets[i], counter_get(&from->buckets[i]));
	counter_add(&to->sum_us, counter_get(&from->sum_us));
}

void span_write(struct buf *out, const char *name, const char *labels, const struct span_histogram *h,
    const struct span_bounds *bounds)
{
	const char *comma = labels == NULL ? "" : ",";
	uint64_t n = 0;

	for (unsigned i = 0; i < bounds->n; i++) {
		n += counter_get(&h->buckets[i]);
		buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", name, labels == NULL ? "" : labels, comma,
		    (double)bounds->us[i] / 1e6, n);
	}
	n += counter_get(&h->buckets[HISTOGRAM_BUCKETS_MAX]);
	buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", name, labels == NULL ? "" : labels, comma, n);
	open_sample(out, name, "_sum", labels);
	buf_printf(out, "%.6f\n", (double)counter_get(&h->sum_us) / 1e6);
	open_sample(out, name, "_count", labels);
	buf_printf(out, "%" PRIu64 "\n", n);
}
