/* The benchmarks of what we do; each adds its rows and those of its limits. 0 or ERR_*. */
#ifndef LULAB_TOOLS_BENCH_WORK_H
#define LULAB_TOOLS_BENCH_WORK_H

#include "bench.h"

/* Metrics of the server that are looked at. */
#define BENCH_METRIC_COMMITS "lulab_log_commit_duration_seconds_count"
#define BENCH_METRIC_EVENTS "lulab_log_events"
#define BENCH_METRIC_LAG "lulab_projection_lag_events"
#define BENCH_METRIC_DELAY "lulab_projection_delay_seconds"

struct bench_server;
struct webhook_maker;

/* Sends n webhooks and waits until the read models have them; adds rows of how fast that went. */
int bench_fill(struct bench *b, struct bench_server *s, struct webhook_maker *maker, uint64_t n);

/* Webhooks over HTTP into a served log: as fast as it goes and at half of that, or only at `rate` a second (0: the former). */
int bench_ingest(struct bench *b, double rate);

/* Answers over HTTP from read models of n_meetings meetings. */
int bench_query(struct bench *b, uint64_t n_meetings);

/* Log-ins beside bare Argon2id, what a token costs a request, what the time of a refusal tells. */
int bench_login(struct bench *b);

/* Appends straight into the event log: at the start and after n events. */
int bench_append(struct bench *b, uint64_t n);

/* Reading and hashing a log of n events, and folding it into read models. */
int bench_replay(struct bench *b, uint64_t n);

/* n effects that each make one HTTP call to `url` (empty: to a neighbour in this process), beside the bare HTTP client. */
int bench_effects(struct bench *b, uint64_t n, const char *url);

#endif
