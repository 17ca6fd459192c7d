/*
 * A `lulab serve` of our own for a benchmark: a child process on a new data
 * directory and a free port of 127.0.0.1, with the webhook secrets of
 * bench_webhook.h and without rate limits.
 */
#ifndef LULAB_TOOLS_BENCH_SERVER_H
#define LULAB_TOOLS_BENCH_SERVER_H

#include <sys/types.h>

#include "bench.h"
#include "net/http_client.h"

struct bench_server {
	pid_t pid;
	unsigned port;
	char data[BENCH_PATH_MAX]; /* its data directory */
	char token[128];           /* the admin's */
	struct http_client *client;
	bool behind_proxy; /* set before the start: it believes X-Forwarded-For of 127.0.0.1 */
};

/*
 * Starts it on the directory `name` below the bench's (which may hold a log
 * already) and waits until it is ready; *ret_ready_us: how long that took, or
 * NULL. 0, ERR_TIMEOUT, ERR_UNAVAILABLE (it ended; its last words went to stderr), ERR_*.
 */
int bench_server_start(struct bench_server *s, const struct bench *b, const char *name, int64_t *ret_ready_us);

/* Asks it to stop and waits; kills it after 20 s (ERR_TIMEOUT). ERR_UNAVAILABLE when it ended badly. Accepts a zeroed one. */
int bench_server_stop(struct bench_server *s);

/* GET of a path with the admin's token. The status, or a negative ERR_*. The caller finishes ret. */
int bench_server_get(struct bench_server *s, const char *path, struct http_result *ret);
/* With one more header line ("Name: value"; NULL: none). */
int bench_server_ask(struct bench_server *s, const char *path, const char *header, struct http_result *ret);

/* The sum of a metric's samples at this moment; false when there is none of that name. */
bool bench_server_metric(struct bench_server *s, const char *name, double *ret_value);

/* Waits until its read models have all events; *ret_took_us: how long that took, or NULL. ERR_TIMEOUT after some
 * minutes, ERR_CANCELLED. */
int bench_server_catch_up(struct bench_server *s, const struct bench *b, int64_t *ret_took_us);

/* Processor time it has used so far, all threads; steadier than rates on a busy machine. */
int64_t bench_server_cpu_us(const struct bench_server *s);

/* Memory it has in use, file maps not counted, in bytes; 0 when unknown. */
uint64_t bench_server_memory(const struct bench_server *s);

#endif
