/*
 * Many keep-alive connections to one HTTP server on loopback, one request in
 * flight on each, on one thread. A server that dies is waited for: connections
 * are opened again when it listens again, so one sender lasts over any number
 * of restarts. (The loop of `lulab bench` ends with its server; this one is
 * for servers that are killed, overloaded or crowded.)
 *
 *   closed loop   a connection sends its next request when it has its answer
 *   open loop     requests are due at even times whether or not answers come;
 *                 a request's time counts from when it was due
 */
#ifndef LULAB_TESTS_LOAD_CONNECTIONS_H
#define LULAB_TESTS_LOAD_CONNECTIONS_H

#include <stdint.h>

#include "base/buf.h"
#include "bench_histogram.h"

struct connections_options {
	unsigned port;        /* on 127.0.0.1 */
	unsigned n;           /* connections */
	unsigned addresses;   /* source addresses, from 127.0.0.2 on; 0: the default one */
	double rate;          /* requests a second; 0: closed loop */
	unsigned late_ms_max; /* open loop: what is due for longer is given up; 0: never */
	void *arg;
	/* Appends the next request and names it; false: nothing to send now. */
	bool (*make)(void *arg, struct buf *request, uint32_t *ret_number);
	/* status 0: the connection ended before the answer. */
	void (*on_answer)(void *arg, uint32_t number, int status, struct slice body);
};

struct connections_stats {
	uint64_t opened, failed;    /* connections; attempts to connect */
	uint64_t given_up;          /* open loop: never sent, too late */
	struct bench_histogram ok;  /* time to answers with 200, microseconds */
	struct bench_histogram refused; /* to those with 503 */
};

struct connections;

/* 0 or ERR_*; opens nothing yet. */
int connections_create(struct connections **ret, const struct connections_options *options);
void connections_destroy(struct connections *c);

/* Waits for something to happen, `until_us` of CLOCK_MONOTONIC at most, and deals with it. 0 or ERR_*. */
int connections_turn(struct connections *c, int64_t until_us);

/* Sends nothing new while true; answers still come in. */
void connections_pause(struct connections *c, bool pause);
/* Requests a second from now on; 0: closed loop. */
void connections_set_rate(struct connections *c, double rate);
/* No more than so many requests wait for their answer at a time, from now on; 0: as many as there are connections. */
void connections_set_width(struct connections *c, unsigned width);
/* Requests without an answer so far. */
unsigned connections_busy(const struct connections *c);
/* Wakes connections_turn() when `fd` can be read. */
int connections_watch(struct connections *c, int fd);

struct connections_stats *connections_stats(struct connections *c);
int64_t connections_now_us(void);

#endif
