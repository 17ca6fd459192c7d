/* See bench.h. */
#include "bench.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/io.h"
#include "base/rng.h"
#include "table.h"

int bench_init(struct bench *b, const char *parent, double seconds)
{
	*b = (struct bench){.clock = &clock_system, .seconds = seconds};
	if (snprintf(b->dir, sizeof(b->dir), "%s/lulab-bench-XXXXXX", parent) >= (int)sizeof(b->dir) - 64) {
		b->dir[0] = '\0';
		return ERR_TOO_BIG;
	}
	if (mkdtemp(b->dir) == NULL) {
		b->dir[0] = '\0';
		return ERR_DENIED;
	}
	return 0;
}

void bench_finish(struct bench *b)
{
	if (b->dir[0] != '\0')
		tree_remove(b->dir);
	b->dir[0] = '\0';
}

void bench_path(const struct bench *b, char ret_path[BENCH_PATH_MAX], const char *name)
{
	snprintf(ret_path, BENCH_PATH_MAX, "%.*s/%s", (int)(BENCH_PATH_MAX - 64), b->dir, name);
}

struct bench_row *bench_row(struct bench *b, const char *format, ...)
{
	/* More rows than anyone would read: the last one is written over. */
	struct bench_row *row = &b->rows[b->n_rows < BENCH_ROWS_MAX ? b->n_rows++ : BENCH_ROWS_MAX - 1];
	va_list args;

	*row = (struct bench_row){0};
	va_start(args, format);
	vsnprintf(row->what, sizeof(row->what), format, args);
	va_end(args);
	return row;
}

void bench_row_fill(struct bench_row *row, const char *unit, uint64_t n, int64_t span_us,
    const struct bench_histogram *latency)
{
	row->unit = unit;
	row->n = n;
	row->rate = span_us > 0 ? (double)n * 1e6 / (double)span_us : 0;
	if (latency == NULL)
		return;
	row->p50_us = bench_histogram_at(latency, 0.50);
	row->p99_us = bench_histogram_at(latency, 0.99);
	row->p999_us = bench_histogram_at(latency, 0.999);
	row->max_us = latency->max;
}

bool bench_row_failures(struct bench_row *row, const struct load_result *r)
{
	size_t at = strlen(row->note);

	if (r->refused + r->wrong + r->broken + r->backlog == 0)
		return false;
	snprintf(row->note + at, sizeof(row->note) - at,
	    "%s%" PRIu64 " refused, %" PRIu64 " wrong (%d), %" PRIu64 " broken, %" PRIu64 " late",
	    at > 0 ? "; " : "", r->refused, r->wrong, r->wrong_status, r->broken, r->backlog);
	return true;
}

void bench_compare(struct bench_row *row, const struct bench_row *limit)
{
	if (row == NULL || limit == NULL || limit->rate <= 0)
		return;
	snprintf(row->limit, sizeof(row->limit), "%s", limit->what);
	row->ratio = row->rate / limit->rate;
}

uint64_t *bench_draw(size_t n, uint64_t bound)
{
	uint64_t *numbers = calloc(n, sizeof(*numbers));

	for (size_t i = 0; numbers != NULL && i < n; i++)
		numbers[i] = rng_below(&rng_system, bound);
	return numbers;
}

uint64_t bench_bytes_written(void)
{
	struct buf text = BUF_INIT(4096);
	struct slice rest, line;
	uint64_t bytes = 0;

	file_read(&text, "/proc/self/io");
	for (rest = buf_slice(&text); slice_cut(rest, '\n', &line, &rest);) {
		if (slice_starts_with(line, SLICE("wchar: ")))
			slice_to_u64(slice_of(line.ptr + 7, line.len - 7), &bytes);
	}
	buf_finish(&text);
	return bytes;
}

static void put_us(struct table *t, uint64_t us)
{
	if (us == 0)
		table_put_none(t);
	else
		table_put_u64(t, us);
}

int bench_print(const struct bench *b, bool json)
{
	static const struct table_column columns[] = {
	    {"MEASURED", "what", TABLE_TEXT},
	    {"RATE/S", "ratePerSecond", TABLE_NUMBER},
	    {"OF", "unit", TABLE_TEXT},
	    {"COUNT", "count", TABLE_NUMBER},
	    {"P50 US", "p50Us", TABLE_NUMBER},
	    {"P99 US", "p99Us", TABLE_NUMBER},
	    {"P99.9 US", "p999Us", TABLE_NUMBER},
	    {"MAX US", "maxUs", TABLE_NUMBER},
	    {"RATIO", "ratio", TABLE_JSON},
	    {"TO THE LIMIT", "limit", TABLE_TEXT},
	    {"NOTE", "note", TABLE_TEXT},
	    {0},
	};
	struct table *t;
	int rc = table_open(&t, stdout, columns, json);

	if (rc != 0)
		return rc;
	for (size_t i = 0; i < b->n_rows; i++) {
		const struct bench_row *row = &b->rows[i];
		char ratio[32];

		snprintf(ratio, sizeof(ratio), "%.3f", row->ratio);
		table_put_str(t, row->what);
		/* Some rows are a count or a time, and have no rate. */
		if (row->rate > 0)
			table_put_u64(t, (uint64_t)(row->rate + 0.5));
		else
			table_put_none(t);
		table_put_str(t, row->unit);
		table_put_u64(t, row->n);
		put_us(t, row->p50_us);
		put_us(t, row->p99_us);
		put_us(t, row->p999_us);
		put_us(t, row->max_us);
		table_put_str(t, row->limit[0] == '\0' ? NULL : ratio);
		table_put_str(t, row->limit[0] == '\0' ? NULL : row->limit);
		table_put_str(t, row->note[0] == '\0' ? NULL : row->note);
	}
	return table_close(t);
}
