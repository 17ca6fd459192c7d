/*
 * What the parts of `lulab bench` share. A benchmark measures what the machine
 * can do at best (a limit: the same work in the fewest lines) and what we do,
 * in one run and one report, because only their ratio says anything on a
 * machine that is busy with other things as well.
 *
 * Everything is bounded: by time (seconds), by count, and in place: a temporary
 * directory that is removed, and loopback.
 */
#ifndef LULAB_TOOLS_BENCH_H
#define LULAB_TOOLS_BENCH_H

#include "base/clock.h"
#include "bench_histogram.h"
#include "bench_load.h"
#include "command.h"

#define BENCH_ROWS_MAX 64
#define BENCH_PATH_MAX 512

/* One line of the report. Zero is "not measured". */
struct bench_row {
	char what[88];
	double rate;       /* units a second */
	const char *unit;  /* "webhooks", "commits"; static */
	uint64_t n;        /* how many were measured */
	uint64_t p50_us, p99_us, p999_us, max_us;
	char limit[88];    /* `what` of the row it is compared with, or empty */
	double ratio;      /* of the rates, or of the times when ratio_of_times: 1.0 = as good as the limit */
	char note[120];    /* for people: "3 refused with 503" */
};

struct bench {
	const struct clock *clock;
	double seconds;             /* of each measurement */
	char dir[BENCH_PATH_MAX];   /* temporary; removed by bench_finish() */
	struct bench_row rows[BENCH_ROWS_MAX];
	size_t n_rows;
};

/* Makes the temporary directory in `parent`. 0 or ERR_*. */
int bench_init(struct bench *b, const char *parent, double seconds);
/* Removes it. Accepts a zeroed one. */
void bench_finish(struct bench *b);

/* A path below the temporary directory; not made yet. */
void bench_path(const struct bench *b, char ret_path[BENCH_PATH_MAX], const char *name);

/* A new row, zeroed but for its name. Valid until the bench is finished. */
struct bench_row *bench_row(struct bench *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Fills n, rate and percentiles. */
void bench_row_fill(struct bench_row *row, const char *unit, uint64_t n, int64_t span_us,
    const struct bench_histogram *latency);
/* Notes, behind what the row says already, what was not answered as it should; false when all was. */
bool bench_row_failures(struct bench_row *row, const struct load_result *r);
/* Compares the row's rate with that of a limit; either may be NULL or 0. */
void bench_compare(struct bench_row *row, const struct bench_row *limit);

/* Prints all rows on stdout. 0, ERR_NOMEM, ERR_IO. */
int bench_print(const struct bench *b, bool json);

/* n numbers below `bound`, drawn before the clock runs, for that costs as much as reading a record. Caller frees; NULL. */
uint64_t *bench_draw(size_t n, uint64_t bound);

/*
 * By this process, to files and all else. Not what the kernel counts as written to disk: where it caches a file in big
 * pieces, a page changed in one counts as the whole piece, up to 256 times what is written.
 */
uint64_t bench_bytes_written(void);

static inline int64_t bench_now_us(const struct bench *b)
{
	return clock_monotonic_us(b->clock);
}

/*
 * The limits. Each adds its rows and gives the row others compare with, or
 * NULL with *ret_rc set.
 */
struct bench_row *bench_limit_sync(struct bench *b, int *ret_rc);
/* One writer, `batch` records of `record_len` bytes a commit. */
struct bench_row *bench_limit_lmdb(struct bench *b, unsigned batch, size_t record_len, int *ret_rc);
/* The webhook path in the fewest lines, driven by `connections`. */
struct bench_row *bench_limit_ceiling(struct bench *b, unsigned connections, int *ret_rc);
/* The same with what the design demands of a record besides, and nothing else: see bench_floor.h. */
struct bench_row *bench_limit_floor(struct bench *b, unsigned connections, int *ret_rc);
/* The floor and the rows that must follow: see bench_floor_rows.h. */
struct bench_row *bench_limit_rows(struct bench *b, unsigned connections, int *ret_rc);
/* An HTTP answer of body_len bytes and nothing else. */
struct bench_row *bench_limit_echo(struct bench *b, unsigned connections, size_t body_len, int *ret_rc);
/*
 * A run against a program that answers with these bytes (head and body), or with a head and body_len bytes when there
 * are none, and does nothing else. `load` without clock and port. 0 or ERR_*; adds no row.
 */
int bench_echo(struct bench *b, struct slice answer, size_t body_len, struct load_options *load, struct load_result *ret);
/* A cursor over `n` LMDB records with a SHA-256 of each. */
struct bench_row *bench_limit_scan(struct bench *b, uint64_t n, size_t record_len, int *ret_rc);
/*
 * n upserts, in the best batch size, of the rows of table `meetings` in the
 * finished read model at `path` into a new table of the same definition.
 */
struct bench_row *bench_limit_sqlite(struct bench *b, const char *path, uint64_t n, int *ret_rc);

#endif
