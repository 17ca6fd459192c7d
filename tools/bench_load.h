/*
 * A load generator on one thread: many keep-alive connections to one address
 * on loopback, one request in flight on each.
 *
 *   closed loop   each connection sends its next request when it has its answer
 *   open loop     requests are due at even times whether or not answers come,
 *                 and a request's time counts from when it was due, so a server
 *                 that stalls is charged for everyone it kept waiting
 */
#ifndef LULAB_TOOLS_BENCH_LOAD_H
#define LULAB_TOOLS_BENCH_LOAD_H

#include "base/buf.h"
#include "base/clock.h"
#include "bench_histogram.h"

struct load_options {
	const struct clock *clock;
	unsigned port;         /* on 127.0.0.1 */
	unsigned connections;  /* 1..4096 */
	double warmup_seconds; /* before counting begins */
	double seconds;
	double rate;           /* requests a second; 0 = closed loop */
	/* Appends the bytes of request number i, counted over the whole run. 0 or ERR_*. */
	int (*make)(void *arg, uint64_t i, struct buf *request);
	void *arg;
	uint64_t first;        /* number of the first request */
	uint64_t requests_max; /* stop after so many, even before time is up; 0 = no such end */
	int expect;            /* the status that counts as success */
};

struct load_result {
	uint64_t sent;         /* all, warm-up included */
	uint64_t ok;           /* as expected, and counted */
	uint64_t ok_all;       /* as expected, warm-up included */
	uint64_t refused;      /* 503 and 429 */
	uint64_t wrong;        /* any other status, or no HTTP */
	uint64_t broken;       /* connections that ended before their answer */
	uint64_t backlog;      /* open loop: due but not sent when time was up */
	int64_t span_us;       /* in which `ok` was counted */
	int wrong_status;      /* one of the wrong ones */
	struct bench_histogram latency;
};

/* ERR_NETWORK when nobody listens; ERR_CANCELLED on Ctrl-C; what `make` returned. */
int load_run(const struct load_options *options, struct load_result *ret_result);

/* What a further run counted, too. */
void load_merge(struct load_result *r, const struct load_result *other);

#endif
