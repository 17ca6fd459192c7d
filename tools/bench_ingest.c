/*
 * Durable ingest over HTTP: unique, signed, encrypted webhooks against a real
 * `lulab serve`, and beside each figure what the ceiling program or one raw
 * commit does in the same run.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench_load.h"
#include "bench_server.h"
#include "bench_webhook.h"
#include "bench_work.h"
#include "store/projection.h"
#include "store/projector.h"

#define WARMUP_SECONDS 1.0
#define IDLE_CONNECTIONS 1000
#define OPEN_CONNECTIONS 256
/* A webhook's text is about this long; the ceiling program stores it as it is. */
#define RECORD_LEN 1536

struct ingest {
	struct bench *b;
	struct bench_server server;
	struct webhook_maker *maker;
	uint64_t next;      /* number of the next webhook */
	uint64_t ok;        /* answered 200, over all measurements */
	struct load_result result;
};

static int make(void *arg, uint64_t i, struct buf *request)
{
	return webhook_make(arg, i, request);
}

static void note_failures(struct bench_row *row, const struct load_result *r)
{
	size_t at = strlen(row->note);

	if (r->refused + r->wrong + r->broken + r->backlog == 0)
		return;
	snprintf(row->note + at, sizeof(row->note) - at,
	    "%s%" PRIu64 " refused, %" PRIu64 " wrong (%d), %" PRIu64 " broken, %" PRIu64 " late",
	    at > 0 ? "; " : "", r->refused, r->wrong, r->wrong_status, r->broken, r->backlog);
}

/* rate 0: closed loop. */
static struct bench_row *measure(struct ingest *in, unsigned connections, double rate, int *ret_rc)
{
	struct load_result *r = &in->result;
	double commits = 0, commits_after = 0;
	struct bench_row *row = rate > 0
	    ? bench_row(in->b, "ingest, open loop at %.0f/s, %u connections", rate, connections)
	    : bench_row(in->b, "ingest, %u connection%s", connections, connections == 1 ? "" : "s");
	bool has_commits = bench_server_metric(&in->server, BENCH_METRIC_COMMITS, &commits);
	int64_t cpu_us = bench_server_cpu_us(&in->server);

	*ret_rc = load_run(&(struct load_options){.clock = in->b->clock, .port = in->server.port,
	    .connections = connections, .warmup_seconds = WARMUP_SECONDS, .seconds = in->b->seconds,
	    .rate = rate, .make = make, .arg = in->maker, .first = in->next, .expect = 200}, r);
	in->next += r->sent;
	in->ok += r->ok_all;
	if (*ret_rc != 0)
		return row;
	bench_row_fill(row, "webhooks", r->ok, r->span_us, &r->latency);
	cpu_us = bench_server_cpu_us(&in->server) - cpu_us;
	if (has_commits && bench_server_metric(&in->server, BENCH_METRIC_COMMITS, &commits_after) &&
	    commits_after > commits && r->ok_all > 0)
		snprintf(row->note, sizeof(row->note), "%.1f a commit; %.0f us of processor each",
		    (double)r->ok_all / (commits_after - commits), (double)cpu_us / (double)r->ok_all);
	note_failures(row, r);
	return row;
}

/* How near it comes to what the design lets it come to, and to that with the rows that must follow. */
static void note_floors(struct bench_row *row, const struct bench_row *floor, const struct bench_row *rows)
{
	size_t at = strlen(row->note);

	if (floor->rate > 0 && rows->rate > 0)
		snprintf(row->note + at, sizeof(row->note) - at, "%s%.2f of what the design demands, %.2f of that and its rows",
		    at > 0 ? "; " : "", row->rate / floor->rate, row->rate / rows->rate);
}

/* A lone webhook costs a commit; its time is compared, not its rate. */
static void compare_times(struct bench_row *row, const struct bench_row *commit)
{
	if (commit->p50_us == 0 || commit->p99_us == 0)
		return;
	snprintf(row->limit, sizeof(row->limit), "%s", commit->what);
	row->ratio = (double)row->p50_us / (double)commit->p50_us;
	snprintf(row->note, sizeof(row->note), "ratio of p50; of p99 %.2f; p99 to its p50 %.2f",
	    (double)row->p99_us / (double)commit->p99_us, (double)row->p99_us / (double)commit->p50_us);
}

/* ---- how late read models are ------------------------------------------------------------------- */

#define MODELS_MAX 16

struct delays {
	double counts[MODELS_MAX][DELAY_BUCKETS]; /* cumulative over the buckets of a model */
};

static bool read_delays(struct bench_server *s, struct delays *ret)
{
	bool all = true;

	for (unsigned m = 0; all && projections[m] != NULL && m < MODELS_MAX; m++) {
		for (unsigned i = 0; all && i < DELAY_BUCKETS; i++) {
			char bound[32] = "+Inf", name[160];

			if (i < DELAY_BUCKETS - 1)
				snprintf(bound, sizeof(bound), "%g", (double)delay_bounds_us[i] * 1e-6);
			snprintf(name, sizeof(name), BENCH_METRIC_DELAY "_bucket{read_model=\"%s\",le=\"%s\"}", projections[m]->name,
			    bound);
			all = bench_server_metric(s, name, &ret->counts[m][i]);
		}
	}
	return all;
}

/* The bucket that holds a share of what was counted between two looks; DELAY_BUCKETS when nothing was. */
static unsigned bucket_of(const double before[DELAY_BUCKETS], const double after[DELAY_BUCKETS], double share)
{
	double n = after[DELAY_BUCKETS - 1] - before[DELAY_BUCKETS - 1];

	for (unsigned i = 0; n > 0 && i < DELAY_BUCKETS; i++)
		if (after[i] - before[i] >= share * n)
			return i;
	return DELAY_BUCKETS;
}

/* From recorded to readable, of the read model that is latest; what a bucket holds counts as its upper bound. */
static void compare_delays(struct ingest *in, const struct delays *before, const struct delays *after)
{
	struct bench_row *row = bench_row(in->b, "from recorded to readable, at that rate");
	unsigned latest = 0, p50, p99 = 0;

	row->unit = "webhooks";
	for (unsigned m = 0; projections[m] != NULL && m < MODELS_MAX; m++) {
		unsigned bucket = bucket_of(before->counts[m], after->counts[m], 0.99);

		if (bucket < DELAY_BUCKETS && bucket >= p99) {
			latest = m;
			p99 = bucket;
		}
	}
	p50 = bucket_of(before->counts[latest], after->counts[latest], 0.5);
	row->n = (uint64_t)(after->counts[latest][DELAY_BUCKETS - 1] - before->counts[latest][DELAY_BUCKETS - 1]);
	if (row->n == 0)
		return;
	row->p50_us = p50 < DELAY_BUCKETS - 1 ? delay_bounds_us[p50] : UINT64_MAX;
	row->p99_us = row->max_us = p99 < DELAY_BUCKETS - 1 ? delay_bounds_us[p99] : UINT64_MAX;
	snprintf(row->note, sizeof(row->note), "upper bounds, of the latest read model: %s", projections[latest]->name);
}

/* A steady rate, whatever the answers take: the time of a webhook, and until it can be read. */
static int measure_open(struct ingest *in, double rate, const struct bench_row *commit)
{
	struct delays before, after;
	struct bench_row *row;
	bool has_delays;
	int rc = bench_server_catch_up(&in->server, in->b, NULL);

	if (rc != 0)
		return rc;
	/* Part of the time is the machine's and the sender's. */
	row = bench_limit_floor_at(in->b, OPEN_CONNECTIONS, rate, &rc);
	if (rc != 0)
		return rc;
	compare_times(row, commit);
	row = bench_limit_rows_at(in->b, OPEN_CONNECTIONS, rate, &rc);
	if (rc != 0)
		return rc;
	compare_times(row, commit);
	has_delays = read_delays(&in->server, &before);
	row = measure(in, OPEN_CONNECTIONS, rate, &rc);
	if (rc != 0)
		return rc;
	compare_times(row, commit);
	note_failures(row, &in->result);
	rc = bench_server_catch_up(&in->server, in->b, NULL);
	if (rc == 0 && has_delays && read_delays(&in->server, &after))
		compare_delays(in, &before, &after);
	return rc;
}

/* What connections cost that say nothing. */
static int measure_idle(struct ingest *in)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)in->server.port)};
	struct bench_row *row = bench_row(in->b, "memory with %u idle connections, maps not counted", IDLE_CONNECTIONS);
	int fds[IDLE_CONNECTIONS], rc = 0;
	unsigned n = 0;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (; rc == 0 && n < IDLE_CONNECTIONS; n++) {
		fds[n] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fds[n] < 0 || connect(fds[n], (struct sockaddr *)&address, sizeof(address)) != 0)
			rc = ERR_NETWORK;
	}
	/* Its answer to one more says that it has accepted those before. */
	if (rc == 0 && !bench_server_metric(&in->server, BENCH_METRIC_EVENTS, &(double){0}))
		rc = ERR_NETWORK;
	row->unit = "MiB";
	row->n = bench_server_memory(&in->server) >> 20;
	while (n > 0)
		if (fds[--n] >= 0)
			close(fds[n]);
	return rc;
}

/* Every 200 is an event in the log, and nothing else is. */
static int check_books(struct ingest *in)
{
	struct bench_row *row = bench_row(in->b, "acknowledged webhooks found in the log");
	double appended = 0;

	row->unit = "webhooks";
	row->n = in->ok;
	if (!bench_server_metric(&in->server, BENCH_METRIC_EVENTS, &appended))
		return 0;
	snprintf(row->note, sizeof(row->note), "%.0f events in the log", appended);
	return appended >= (double)in->ok ? 0 : ERR_CORRUPT;
}

static int measure_all(struct ingest *in, const struct bench_row *commit)
{
	static const unsigned connections[] = {64, 256};
	struct bench_row *row, *limit, *floor, *rows;
	double peak = 0;
	int rc;

	rc = measure_idle(in);
	if (rc != 0)
		return rc;
	/* What a lone webhook costs at least: the same hand-overs, and no more work than there must be. */
	limit = bench_limit_ceiling(in->b, 1, &rc);
	if (rc != 0)
		return rc;
	compare_times(limit, commit);
	floor = bench_limit_floor(in->b, 1, &rc);
	if (rc != 0)
		return rc;
	compare_times(floor, commit);
	row = measure(in, 1, 0, &rc);
	if (rc != 0)
		return rc;
	compare_times(row, commit);
	for (unsigned i = 0; i < 2; i++) {
		limit = bench_limit_ceiling(in->b, connections[i], &rc);
		if (rc != 0)
			return rc;
		floor = bench_limit_floor(in->b, connections[i], &rc);
		if (rc != 0)
			return rc;
		bench_compare(floor, limit);
		rows = bench_limit_rows(in->b, connections[i], &rc);
		if (rc != 0)
			return rc;
		bench_compare(rows, limit);
		row = measure(in, connections[i], 0, &rc);
		if (rc != 0)
			return rc;
		bench_compare(row, limit);
		note_floors(row, floor, rows);
		if (row->rate > peak)
			peak = row->rate;
	}
	if (peak > 0) {
		rc = measure_open(in, peak / 2, commit);
		if (rc != 0)
			return rc;
	}
	row = bench_row(in->b, "memory of the server after all this, maps not counted");
	row->unit = "MiB";
	row->n = bench_server_memory(&in->server) >> 20;
	return check_books(in);
}

int bench_ingest(struct bench *b, double rate)
{
	struct ingest *in = calloc(1, sizeof(*in));
	struct bench_row *commit = NULL, *row;
	int64_t ready_us;
	int rc = in == NULL ? ERR_NOMEM : 0, stop_rc;

	if (rc != 0)
		return rc;
	in->b = b;
	rc = webhook_maker_create(&in->maker, (uint64_t)clock_wall_us(b->clock), b->clock);
	if (rc == 0)
		commit = bench_limit_lmdb(b, 1, RECORD_LEN, &rc);
	if (rc == 0)
		rc = bench_server_start(&in->server, b, "ingest", &ready_us);
	if (rc == 0) {
		row = bench_row(b, "start to ready, empty log");
		row->n = 1;
		row->p50_us = row->max_us = (uint64_t)ready_us;
		rc = rate > 0 ? measure_open(in, rate, commit) : measure_all(in, commit);
	}
	stop_rc = bench_server_stop(&in->server);
	webhook_maker_destroy(in->maker);
	free(in);
	return rc != 0 ? rc : stop_rc;
}
