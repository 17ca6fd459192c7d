/*
 * Between libFuzzer (or replay.c) and an entry: tells the processor time of
 * the slowest input at the end, and, when FUZZ_UNIT_US_MAX is set, stops at an
 * input that needs more. What may be the slowest is run again to measure it,
 * and its best time counts: memory taken for the first time, or a cache gone
 * cold, is not the parser's doing.
 */
#include <stdio.h>
#include <time.h>

#include "fuzz.h"

#define RUNS_MAX 5
#define THREADS_MAX 4 /* that an entry keeps busy at once: so much more than the time that passes its processor time can be */

static int64_t slowest_us, limit_us = -1;
static size_t slowest_len;
static int64_t (*part_clock_us)(void);
static int64_t part_began_us, part_most_us;

/* Of the whole process: an entry may have threads of its own. */
static int64_t processor_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Without a system call. */
static int64_t passed_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void fuzz_part_done(void)
{
	int64_t now_us = part_clock_us();

	if (now_us - part_began_us > part_most_us)
		part_most_us = now_us - part_began_us;
	part_began_us = now_us;
}

static int64_t timed(struct slice input, int64_t (*clock_us)(void))
{
	part_most_us = 0;
	part_clock_us = clock_us;
	part_began_us = clock_us();
	fuzz_one(input);
	fuzz_part_done();
	return part_most_us;
}

static void tell_slowest(void)
{
	fprintf(stderr, "slowest input: %lld us of processor time, %zu bytes\n", (long long)slowest_us, slowest_len);
}

static void start(void)
{
	const char *text = getenv("FUZZ_UNIT_US_MAX");

	limit_us = text == NULL ? INT64_MAX : strtoll(text, NULL, 10);
	atexit(tell_slowest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice input = slice_of(data, size);
	int64_t took_us = INT64_MAX;

	if (limit_us < 0)
		start();
	if ((timed(input, passed_us) + 1) * THREADS_MAX <= slowest_us)
		return 0;
	for (int i = 0; i < RUNS_MAX && took_us > slowest_us; i++) {
		int64_t again_us = timed(input, processor_us);

		if (again_us < took_us)
			took_us = again_us;
	}
	if (took_us <= slowest_us)
		return 0;
	slowest_us = took_us;
	slowest_len = size;
	if (took_us > limit_us) {
		fprintf(stderr, "an input of %zu bytes takes %lld us of processor time, more than %lld\n", size,
		    (long long)took_us, (long long)limit_us);
		abort();
	}
	return 0;
}
