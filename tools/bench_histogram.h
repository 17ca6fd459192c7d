/*
 * Counts of times in buckets that grow with them: 64 to each doubling, so that
 * a percentile is at most 1.6 % too high whatever its size. Fixed memory, no
 * allocation, one thread.
 */
#ifndef LULAB_TOOLS_BENCH_HISTOGRAM_H
#define LULAB_TOOLS_BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_STEPS 64
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 32) /* up to 2^37 microseconds */

struct bench_histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t n, max;
};

void bench_histogram_add(struct bench_histogram *h, int64_t us); /* negative counts as 0 */

/* What `other` counted, too. */
void bench_histogram_merge(struct bench_histogram *h, const struct bench_histogram *other);

/* The smallest value that `share` (0..1) of all values do not exceed; 0 when empty. */
uint64_t bench_histogram_at(const struct bench_histogram *h, double share);

#endif
