/* See bench_histogram.h. */
#include "bench_histogram.h"

#include <stddef.h>

/* Below HISTOGRAM_STEPS each value has its bucket; above, each doubling has HISTOGRAM_STEPS. */
static unsigned bucket_of(uint64_t us)
{
	unsigned shift, bucket;

	if (us < HISTOGRAM_STEPS)
		return (unsigned)us;
	/* How far to shift so that HISTOGRAM_STEPS <= value < 2 * HISTOGRAM_STEPS. */
	shift = 63 - (unsigned)__builtin_clzll(us) - 6;
	bucket = shift * HISTOGRAM_STEPS + (unsigned)(us >> shift);
	return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t value_of(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * HISTOGRAM_STEPS)
		return bucket;
	shift = bucket / HISTOGRAM_STEPS - 1;
	return (((uint64_t)bucket - shift * HISTOGRAM_STEPS + 1) << shift) - 1;
}

void bench_histogram_add(struct bench_histogram *h, int64_t us)
{
	uint64_t value = us < 0 ? 0 : (uint64_t)us;

	h->counts[bucket_of(value)]++;
	h->n++;
	if (value > h->max)
		h->max = value;
}

void bench_histogram_merge(struct bench_histogram *h, const struct bench_histogram *other)
{
	for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++)
		h->counts[i] += other->counts[i];
	h->n += other->n;
	if (other->max > h->max)
		h->max = other->max;
}

uint64_t bench_histogram_at(const struct bench_histogram *h, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)h->n), seen = 0;

	if (h->n == 0)
		return 0;
	if (wanted < 1 || (double)wanted < share * (double)h->n)
		wanted++;
	for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
		seen += h->counts[i];
		if (seen >= wanted)
			return value_of(i) < h->max ? value_of(i) : h->max;
	}
	return h->max;
}
