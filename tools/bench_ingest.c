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

#include "bench_program.h"
#include "bench_raw.h"
#include "bench_server.h"
#include "bench_webhook.h"
#include "bench_work.h"
#include "store/projection.h"
#include "store/projector.h"

#define TURNS 5 /* of each measurement */
#define WARMUP_SECONDS 0.3
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
	struct load_result turn;
};

/* What is measured in turns: raw commits, some of the programs, and ours. */
struct contest {
	struct load_options load; /* connections, times, rate: of a turn of each */
	bool with_commits, with_ceiling;
	struct raw_store raw;
	struct bench_histogram commits;
	int64_t commits_us;
	struct program_sums programs[PROGRAM_ROWS + 1];
	struct load_result ours;
	double our_commits;
	int64_t our_cpu_us;
	struct bench_row *commit_row, *rows[PROGRAM_ROWS + 1], *our_row;
};

static int make(void *arg, uint64_t i, struct buf *request)
{
	return webhook_make(arg, i, request);
}

/* ---- turns ---------------------------------------------------------------------------------------- */

static int turn_of_commits(struct ingest *in, struct contest *c)
{
	int64_t start = bench_now_us(in->b), end = start + (int64_t)(c->load.seconds * 1e6), before = start, now;
	int rc = 0;

	for (; rc == 0 && before < end && !command_interrupted(); before = now) {
		rc = raw_commit(&c->raw, 1);
		now = bench_now_us(in->b);
		bench_histogram_add(&c->commits, now - before);
	}
	c->commits_us += before - start;
	return rc;
}

/* The rows are made before the next one's turn. */
static int our_turn(struct ingest *in, struct contest *c)
{
	struct load_options load = c->load;
	double commits = 0, commits_after = 0;
	bool has_commits = bench_server_metric(&in->server, BENCH_METRIC_COMMITS, &commits);
	int64_t cpu_us = bench_server_cpu_us(&in->server);
	int rc;

	load.clock = in->b->clock;
	load.port = in->server.port;
	load.make = make;
	load.arg = in->maker;
	load.first = in->next;
	load.expect = 200;
	memset(&in->turn, 0, sizeof(in->turn));
	rc = load_run(&load, &in->turn);
	in->next += in->turn.sent;
	in->ok += in->turn.ok_all;
	load_merge(&c->ours, &in->turn);
	c->our_cpu_us += bench_server_cpu_us(&in->server) - cpu_us;
	if (has_commits && bench_server_metric(&in->server, BENCH_METRIC_COMMITS, &commits_after))
		c->our_commits += commits_after - commits;
	return rc == 0 ? bench_server_catch_up(&in->server, in->b, NULL) : rc;
}

static int take_turns(struct ingest *in, struct contest *c)
{
	int rc = 0;

	c->load.warmup_seconds = WARMUP_SECONDS;
	c->load.seconds = in->b->seconds / TURNS;
	if (c->with_commits)
		rc = raw_open(&c->raw, in->b, "raw", RECORD_LEN);
	for (int i = 0; rc == 0 && i < TURNS; i++) {
		if (c->with_commits)
			rc = turn_of_commits(in, c);
		for (unsigned p = c->with_ceiling ? PROGRAM_CEILING : PROGRAM_FLOOR; rc == 0 && p <= PROGRAM_ROWS; p++)
			rc = program_turn(in->b, (enum program)p, &c->load, &c->programs[p]);
		if (rc == 0)
			rc = our_turn(in, c);
	}
	raw_close(&c->raw);
	return rc;
}

static struct bench_row *row_of_ours(struct ingest *in, const struct contest *c)
{
	const struct load_result *r = &c->ours;
	struct bench_row *row = c->load.rate > 0
	    ? bench_row(in->b, "ingest, open loop at %.0f/s, %u connections", c->load.rate, c->load.connections)
	    : bench_row(in->b, "ingest, %u connection%s", c->load.connections, c->load.connections == 1 ? "" : "s");

	bench_row_fill(row, "webhooks", r->ok, r->span_us, &r->latency);
	if (c->our_commits > 0 && r->ok_all > 0)
		snprintf(row->note, sizeof(row->note), "%.1f a commit; %.0f us of processor each",
		    (double)r->ok_all / c->our_commits, (double)c->our_cpu_us / (double)r->ok_all);
	bench_row_failures(row, r);
	return row;
}

static int contend(struct ingest *in, struct contest *c)
{
	int rc = take_turns(in, c);

	if (rc != 0)
		return rc;
	if (c->with_commits) {
		c->commit_row = bench_row(in->b, "raw LMDB, 1 record of %d bytes a commit", RECORD_LEN);
		bench_row_fill(c->commit_row, "records", c->commits.n, c->commits_us, &c->commits);
		snprintf(c->commit_row->note, sizeof(c->commit_row->note), "times are of one commit");
	}
	for (unsigned p = c->with_ceiling ? PROGRAM_CEILING : PROGRAM_FLOOR; p <= PROGRAM_ROWS; p++)
		c->rows[p] = program_row(in->b, (enum program)p, &c->load, &c->programs[p]);
	if (c->load.rate > 0)
		program_delays_row(in->b, &c->programs[PROGRAM_ROWS]);
	c->our_row = row_of_ours(in, c);
	return 0;
}

/* ---- what becomes of them ---------------------------------------------------------------------------- */

/* How near it comes to what the design lets it come to, and to that with the rows that must follow. */
static void note_floors(struct bench_row *row, const struct bench_row *floor, const struct bench_row *rows)
{
	size_t at = strlen(row->note);

	if (floor->rate > 0 && rows->rate > 0)
		snprintf(row->note + at, sizeof(row->note) - at, "%s%.2f of what the design demands, %.2f of that and its rows",
		    at > 0 ? "; " : "", row->rate / floor->rate, row->rate / rows->rate);
}

/* A webhook costs a commit at least; its time is compared, not its rate. */
static void compare_times(struct bench_row *row, const struct bench_row *commit)
{
	size_t at = strlen(row->note);

	if (commit->p50_us == 0 || commit->p99_us == 0)
		return;
	snprintf(row->limit, sizeof(row->limit), "%s", commit->what);
	row->ratio = (double)row->p50_us / (double)commit->p50_us;
	snprintf(row->note + at, sizeof(row->note) - at, "%sratio of p50; of p99 %.2f; p99 to its p50 %.2f", at > 0 ? "; " : "",
	    (double)row->p99_us / (double)commit->p99_us, (double)row->p99_us / (double)commit->p50_us);
}

static void compare_all_times(struct contest *c)
{
	for (unsigned p = c->with_ceiling ? PROGRAM_CEILING : PROGRAM_FLOOR; p <= PROGRAM_ROWS; p++)
		compare_times(c->rows[p], c->commit_row);
	compare_times(c->our_row, c->commit_row);
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
static int measure_open(struct ingest *in, struct contest *c, double rate)
{
	struct delays before, after;
	int rc = bench_server_catch_up(&in->server, in->b, NULL);
	bool has_delays = rc == 0 && read_delays(&in->server, &before);

	*c = (struct contest){.load = {.connections = OPEN_CONNECTIONS, .rate = rate}, .with_commits = true};
	if (rc == 0)
		rc = contend(in, c);
	if (rc != 0)
		return rc;
	compare_all_times(c);
	if (has_delays && read_delays(&in->server, &after))
		compare_delays(in, &before, &after);
	return 0;
}

/* What a webhook costs at least that has the service for itself. */
static int measure_lone(struct ingest *in, struct contest *c)
{
	int rc;

	*c = (struct contest){.load = {.connections = 1}, .with_commits = true, .with_ceiling = true};
	rc = contend(in, c);
	if (rc == 0)
		compare_all_times(c);
	return rc;
}

/* As many as come through; *ret_peak is raised to that. */
static int measure_closed(struct ingest *in, struct contest *c, unsigned connections, double *ret_peak)
{
	int rc;

	*c = (struct contest){.load = {.connections = connections}, .with_ceiling = true};
	rc = contend(in, c);
	if (rc != 0)
		return rc;
	for (unsigned p = PROGRAM_FLOOR; p <= PROGRAM_ROWS; p++)
		bench_compare(c->rows[p], c->rows[PROGRAM_CEILING]);
	bench_compare(c->our_row, c->rows[PROGRAM_CEILING]);
	note_floors(c->our_row, c->rows[PROGRAM_FLOOR], c->rows[PROGRAM_ROWS]);
	if (c->our_row->rate > *ret_peak)
		*ret_peak = c->our_row->rate;
	return 0;
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

static int measure_all(struct ingest *in, struct contest *c)
{
	struct bench_row *row;
	double peak = 0;
	int rc = measure_idle(in);

	if (rc == 0)
		rc = measure_lone(in, c);
	if (rc == 0)
		rc = measure_closed(in, c, 64, &peak);
	if (rc == 0)
		rc = measure_closed(in, c, 256, &peak);
	if (rc == 0 && peak > 0)
		rc = measure_open(in, c, peak / 2);
	if (rc != 0)
		return rc;
	row = bench_row(in->b, "memory of the server after all this, maps not counted");
	row->unit = "MiB";
	row->n = bench_server_memory(&in->server) >> 20;
	return check_books(in);
}

int bench_ingest(struct bench *b, double rate)
{
	struct ingest *in = calloc(1, sizeof(*in));
	struct contest *c = calloc(1, sizeof(*c));
	struct bench_row *row;
	int64_t ready_us;
	int rc = in == NULL || c == NULL ? ERR_NOMEM : 0, stop_rc;

	if (rc != 0) {
		free(in);
		free(c);
		return rc;
	}
	in->b = b;
	rc = webhook_maker_create(&in->maker, (uint64_t)clock_wall_us(b->clock), b->clock);
	if (rc == 0)
		rc = bench_server_start(&in->server, b, "ingest", &ready_us);
	if (rc == 0) {
		row = bench_row(b, "start to ready, empty log");
		row->n = 1;
		row->p50_us = row->max_us = (uint64_t)ready_us;
		rc = rate > 0 ? measure_open(in, c, rate) : measure_all(in, c);
	}
	stop_rc = bench_server_stop(&in->server);
	webhook_maker_destroy(in->maker);
	free(in);
	free(c);
	return rc != 0 ? rc : stop_rc;
}
