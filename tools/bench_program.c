/* See bench_program.h. */
#include "bench_program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "bench_ceiling.h"
#include "bench_webhook.h"

unsigned program_loops(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 8 ? 8 : (unsigned)n;
}

static int make(void *arg, uint64_t i, struct buf *request)
{
	return webhook_make(arg, i, request);
}

static int finish_rows(struct ceiling *ceiling, struct program_sums *sums)
{
	struct floor_rows_result *result = calloc(1, sizeof(*result));
	int rc = result == NULL ? ERR_NOMEM : ceiling_finish_rows(ceiling, result);

	if (rc == 0) {
		sums->behind += result->behind;
		sums->latest = result->latest;
		bench_histogram_merge(&sums->delays, &result->delays);
	}
	free(result);
	return rc;
}

/* Against a program that runs. */
static int drive(struct bench *b, struct ceiling *ceiling, struct webhook_maker *maker, const struct load_options *load,
    struct program_sums *sums)
{
	struct load_result *result = calloc(1, sizeof(*result));
	struct load_options options = *load;
	uint64_t records, commits;
	int rc;

	options.clock = b->clock;
	options.port = ceiling_port(ceiling);
	options.make = make;
	options.arg = maker;
	options.expect = 200;
	rc = result == NULL ? ERR_NOMEM : load_run(&options, result);
	if (rc == 0) {
		load_merge(&sums->load, result);
		ceiling_counts(ceiling, &records, &commits);
		sums->records += records;
		sums->commits += commits;
	}
	free(result);
	return rc;
}

int program_turn(struct bench *b, enum program program, const struct load_options *load, struct program_sums *sums)
{
	struct webhook_maker *maker = NULL;
	struct ceiling *ceiling = NULL;
	char dir[BENCH_PATH_MAX];
	int rc;

	bench_path(b, dir, "ceiling");
	tree_remove(dir);
	rc = dir_create(dir, 0700);
	if (rc == 0)
		rc = webhook_maker_create(&maker, (uint64_t)clock_wall_us(b->clock), b->clock);
	if (rc == 0)
		rc = ceiling_start(&ceiling, &(struct ceiling_options){
			.loops = program_loops(), .keys = webhook_maker_keys(maker), .dir = dir,
			.demanded = program != PROGRAM_CEILING, .rows = program == PROGRAM_ROWS, .clock = b->clock});
	if (rc == 0)
		rc = drive(b, ceiling, maker, load, sums);
	if (rc == 0 && program == PROGRAM_ROWS)
		rc = finish_rows(ceiling, sums);
	ceiling_stop(ceiling);
	webhook_maker_destroy(maker);
	return rc;
}

struct bench_row *program_row(struct bench *b, enum program program, const struct load_options *load,
    const struct program_sums *sums)
{
	static const char *const names[] = {
	    [PROGRAM_CEILING] = "ceiling program",
	    [PROGRAM_FLOOR] = "ceiling program and what the design demands",
	    [PROGRAM_ROWS] = "ceiling program, what the design demands and its rows",
	};
	const struct load_result *r = &sums->load;
	struct bench_row *row = load->rate > 0
	    ? bench_row(b, "%s, open loop at %.0f/s", names[program], load->rate)
	    : bench_row(b, "%s, %u connection%s", names[program], load->connections, load->connections == 1 ? "" : "s");
	size_t at;

	bench_row_fill(row, "webhooks", r->ok, r->span_us, &r->latency);
	snprintf(row->note, sizeof(row->note), "%.1f a commit",
	    sums->commits > 0 ? (double)sums->records / (double)sums->commits : 0.0);
	/* A closed loop leaves rows to be made when it ends: told, so that nobody takes its rate for all of the work. */
	at = strlen(row->note);
	if (program == PROGRAM_ROWS && load->rate == 0)
		snprintf(row->note + at, sizeof(row->note) - at, "; rows of %" PRIu64 " to be made yet", sums->behind);
	bench_row_failures(row, r);
	return row;
}

struct bench_row *program_delays_row(struct bench *b, const struct program_sums *sums)
{
	struct bench_row *row = bench_row(b, "from stored to its rows, at that rate");

	bench_row_fill(row, "webhooks", sums->delays.n, 0, &sums->delays);
	snprintf(row->note, sizeof(row->note), "of the latest of its read models in each turn, at last: %s",
	    sums->latest == NULL ? "" : sums->latest);
	return row;
}
