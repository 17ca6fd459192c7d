/* What the machine can do: each limit is a few lines around the bare library. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/rng.h"
#include "bench.h"
#include "bench_ceiling.h"
#include "bench_load.h"
#include "bench_raw.h"
#include "bench_webhook.h"
#include "crypto/crypto.h"

#define SYNC_FILE_LEN ((size_t)16 << 20)
#define SYNC_BLOCK_LEN 4096
#define WARMUP_SECONDS 1.0

/* Not all zeros, in case something below compresses. */
static char *random_bytes(size_t len)
{
	char *bytes = malloc(len);

	if (bytes != NULL)
		rng_fill(&rng_system, bytes, len);
	return bytes;
}

struct bench_row *bench_limit_sync(struct bench *b, int *ret_rc)
{
	struct bench_row *row = bench_row(b, "raw write of 4 KiB and fdatasync");
	struct bench_histogram h = {{0}, 0, 0};
	char path[BENCH_PATH_MAX];
	char *block = random_bytes(SYNC_BLOCK_LEN);
	int64_t start, end, before, now;
	int fd;

	bench_path(b, path, "sync");
	fd = io_calls->open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	*ret_rc = fd < 0 || block == NULL || posix_fallocate(fd, 0, SYNC_FILE_LEN) != 0 ||
		io_calls->fsync(fd) != 0
	    ? ERR_IO : 0;
	start = before = bench_now_us(b);
	end = start + (int64_t)(b->seconds * 1e6);
	for (size_t at = 0; *ret_rc == 0 && before < end && !command_interrupted(); before = now) {
		if (lseek(fd, (off_t)at, SEEK_SET) < 0 ||
		    io_calls->write(fd, block, SYNC_BLOCK_LEN) != SYNC_BLOCK_LEN ||
		    io_calls->fdatasync(fd) != 0)
			*ret_rc = ERR_IO;
		at = (at + SYNC_BLOCK_LEN) % SYNC_FILE_LEN;
		now = bench_now_us(b);
		bench_histogram_add(&h, now - before);
	}
	bench_row_fill(row, "syncs", h.n, before - start, &h);
	if (fd >= 0)
		io_calls->close(fd);
	free(block);
	return row;
}

struct bench_row *bench_limit_lmdb(struct bench *b, unsigned batch, size_t record_len, int *ret_rc)
{
	struct bench_row *row =
	    bench_row(b, "raw LMDB, %u record%s of %zu bytes a commit", batch, batch == 1 ? "" : "s", record_len);
	struct bench_histogram h = {{0}, 0, 0};
	struct raw_store s;
	int64_t start, end, before, now;

	*ret_rc = raw_open(&s, b, "raw", record_len);
	start = before = bench_now_us(b);
	end = start + (int64_t)(b->seconds * 1e6);
	for (; *ret_rc == 0 && before < end && !command_interrupted(); before = now) {
		*ret_rc = raw_commit(&s, batch);
		now = bench_now_us(b);
		bench_histogram_add(&h, now - before);
	}
	bench_row_fill(row, "records", h.n * batch, before - start, &h);
	snprintf(row->note, sizeof(row->note), "times are of one commit");
	raw_close(&s);
	return row;
}

struct bench_row *bench_limit_scan(struct bench *b, uint64_t n, size_t record_len, int *ret_rc)
{
	struct bench_row *row = bench_row(b, "raw LMDB cursor and SHA-256, records of %zu bytes", record_len);
	struct raw_store s;
	MDB_txn *txn = NULL;
	MDB_cursor *cursor;
	MDB_val key, value;
	uint8_t hash[SHA256_LEN];
	uint64_t seen = 0;
	int64_t start;

	*ret_rc = raw_open(&s, b, "scan", record_len);
	while (*ret_rc == 0 && s.n < n)
		*ret_rc = raw_commit(&s, 1024);
	if (*ret_rc == 0 && mdb_txn_begin(s.env, NULL, MDB_RDONLY, &txn) != 0)
		*ret_rc = ERR_IO;
	start = bench_now_us(b);
	if (*ret_rc == 0 && mdb_cursor_open(txn, s.dbi, &cursor) == 0) {
		while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
			struct slice part = slice_of(value.mv_data, value.mv_size);

			sha256(hash, &part, 1);
			seen++;
		}
		mdb_cursor_close(cursor);
	}
	bench_row_fill(row, "records", seen, bench_now_us(b) - start, NULL);
	if (txn != NULL)
		mdb_txn_abort(txn);
	raw_close(&s);
	return row;
}

/* ---- HTTP ---- */

static int make_webhook(void *arg, uint64_t i, struct buf *request)
{
	return webhook_make(arg, i, request);
}

static int make_get(void *arg, uint64_t i, struct buf *request)
{
	(void)arg;
	(void)i;
	return buf_append_str(request, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
}

static unsigned processors(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : n > 8 ? 8 : (unsigned)n;
}

static void fill_from_load(struct bench_row *row, const char *unit, const struct load_result *r)
{
	bench_row_fill(row, unit, r->ok, r->span_us, &r->latency);
	if (r->refused + r->wrong + r->broken > 0)
		snprintf(row->note, sizeof(row->note), "%llu refused, %llu wrong, %llu broken",
		    (unsigned long long)r->refused, (unsigned long long)r->wrong,
		    (unsigned long long)r->broken);
}

enum program { CEILING, FLOOR, FLOOR_AND_ROWS };

static struct bench_row *program_row(struct bench *b, enum program program, unsigned connections, double rate)
{
	static const char *const names[] = {
	    [CEILING] = "ceiling program",
	    [FLOOR] = "ceiling program and what the design demands",
	    [FLOOR_AND_ROWS] = "ceiling program, what the design demands and its rows",
	};

	return rate > 0
	    ? bench_row(b, "%s, open loop at %.0f/s", names[program], rate)
	    : bench_row(b, "%s, %u connection%s", names[program], connections, connections == 1 ? "" : "s");
}

static void note_program(struct bench_row *row, struct ceiling *ceiling)
{
	uint64_t records, commits;

	ceiling_counts(ceiling, &records, &commits);
	if (row->note[0] == '\0')
		snprintf(row->note, sizeof(row->note), "%.1f a commit", commits > 0 ? (double)records / (double)commits : 0.0);
}

/* A closed loop leaves rows to be made when it ends: told, so that nobody takes its rate for all of the work. */
static int note_rows(struct bench *b, struct bench_row *row, struct ceiling *ceiling, double rate)
{
	struct floor_rows_result *result = calloc(1, sizeof(*result));
	size_t at = strlen(row->note);
	int rc = result == NULL ? ERR_NOMEM : ceiling_finish_rows(ceiling, result);

	if (rc == 0 && rate == 0)
		snprintf(row->note + at, sizeof(row->note) - at, "; rows of the last %" PRIu64 " to be made yet", result->behind);
	if (rc == 0 && rate > 0) {
		row = bench_row(b, "from stored to its rows, at that rate");
		bench_row_fill(row, "webhooks", result->delays.n, 0, &result->delays);
		snprintf(row->note, sizeof(row->note), "of the latest of its read models: %s", result->latest);
	}
	free(result);
	return rc;
}

/* rate 0: closed loop. */
static struct bench_row *measure_program(struct bench *b, enum program program, unsigned connections, double rate,
    int *ret_rc)
{
	struct bench_row *row = program_row(b, program, connections, rate);
	struct load_result *result = calloc(1, sizeof(*result));
	struct webhook_maker *maker = NULL;
	struct ceiling *ceiling = NULL;
	char dir[BENCH_PATH_MAX];

	bench_path(b, dir, "ceiling");
	tree_remove(dir);
	*ret_rc = result == NULL ? ERR_NOMEM : dir_create(dir, 0700);
	if (*ret_rc == 0)
		*ret_rc = webhook_maker_create(&maker, (uint64_t)clock_wall_us(b->clock), b->clock);
	if (*ret_rc == 0)
		*ret_rc = ceiling_start(&ceiling, &(struct ceiling_options){
			.loops = processors(), .keys = webhook_maker_keys(maker), .dir = dir,
			.demanded = program != CEILING, .rows = program == FLOOR_AND_ROWS, .clock = b->clock});
	if (*ret_rc == 0)
		*ret_rc = load_run(&(struct load_options){.clock = b->clock, .port = ceiling_port(ceiling),
			.connections = connections, .warmup_seconds = WARMUP_SECONDS, .seconds = b->seconds,
			.rate = rate, .make = make_webhook, .arg = maker, .expect = 200}, result);
	if (*ret_rc == 0) {
		fill_from_load(row, "webhooks", result);
		note_program(row, ceiling);
	}
	if (*ret_rc == 0 && program == FLOOR_AND_ROWS)
		*ret_rc = note_rows(b, row, ceiling, rate);
	ceiling_stop(ceiling);
	webhook_maker_destroy(maker);
	free(result);
	return row;
}

struct bench_row *bench_limit_ceiling(struct bench *b, unsigned connections, int *ret_rc)
{
	return measure_program(b, CEILING, connections, 0, ret_rc);
}

struct bench_row *bench_limit_floor(struct bench *b, unsigned connections, int *ret_rc)
{
	return measure_program(b, FLOOR, connections, 0, ret_rc);
}

struct bench_row *bench_limit_floor_at(struct bench *b, unsigned connections, double rate, int *ret_rc)
{
	return measure_program(b, FLOOR, connections, rate, ret_rc);
}

struct bench_row *bench_limit_rows(struct bench *b, unsigned connections, int *ret_rc)
{
	return measure_program(b, FLOOR_AND_ROWS, connections, 0, ret_rc);
}

struct bench_row *bench_limit_rows_at(struct bench *b, unsigned connections, double rate, int *ret_rc)
{
	return measure_program(b, FLOOR_AND_ROWS, connections, rate, ret_rc);
}

int bench_echo(struct bench *b, struct slice answer, size_t body_len, struct load_options *load, struct load_result *ret)
{
	struct ceiling *ceiling = NULL;
	int rc = ceiling_start(&ceiling, &(struct ceiling_options){.loops = processors(), .answer = answer, .body_len = body_len});

	if (rc == 0) {
		load->clock = b->clock;
		load->port = ceiling_port(ceiling);
		rc = load_run(load, ret);
	}
	ceiling_stop(ceiling);
	return rc;
}

struct bench_row *bench_limit_echo(struct bench *b, unsigned connections, size_t body_len, int *ret_rc)
{
	struct bench_row *row =
	    bench_row(b, "bare HTTP echo of %zu bytes, %u connections", body_len, connections);
	struct load_result *result = calloc(1, sizeof(*result));

	*ret_rc = result == NULL ? ERR_NOMEM : bench_echo(b, (struct slice){0}, body_len, &(struct load_options){
	    .connections = connections, .warmup_seconds = WARMUP_SECONDS, .seconds = b->seconds, .make = make_get, .expect = 200}, result);
	if (*ret_rc == 0)
		fill_from_load(row, "answers", result);
	free(result);
	return row;
}
