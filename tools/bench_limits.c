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
#include "bench_program.h"
#include "bench_raw.h"
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

static int make_get(void *arg, uint64_t i, struct buf *request)
{
	(void)arg;
	(void)i;
	return buf_append_str(request, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
}

static struct bench_row *one_turn(struct bench *b, enum program program, unsigned connections, int *ret_rc)
{
	struct program_sums *sums = calloc(1, sizeof(*sums));
	struct load_options load = {.connections = connections, .warmup_seconds = WARMUP_SECONDS, .seconds = b->seconds};
	struct bench_row *row = NULL;

	*ret_rc = sums == NULL ? ERR_NOMEM : program_turn(b, program, &load, sums);
	if (*ret_rc == 0)
		row = program_row(b, program, &load, sums);
	free(sums);
	return row;
}

struct bench_row *bench_limit_ceiling(struct bench *b, unsigned connections, int *ret_rc)
{
	return one_turn(b, PROGRAM_CEILING, connections, ret_rc);
}

struct bench_row *bench_limit_floor(struct bench *b, unsigned connections, int *ret_rc)
{
	return one_turn(b, PROGRAM_FLOOR, connections, ret_rc);
}

struct bench_row *bench_limit_rows(struct bench *b, unsigned connections, int *ret_rc)
{
	return one_turn(b, PROGRAM_ROWS, connections, ret_rc);
}

int bench_echo(struct bench *b, struct slice answer, size_t body_len, struct load_options *load, struct load_result *ret)
{
	struct ceiling *ceiling = NULL;
	int rc = ceiling_start(&ceiling, &(struct ceiling_options){.loops = program_loops(), .answer = answer, .body_len = body_len});

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
		bench_row_fill(row, "answers", result->ok, result->span_us, &result->latency);
	free(result);
	return row;
}
