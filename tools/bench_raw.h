/* The bare LMDB store that limits are measured on: one table, numbers for keys, every record the same bytes. */
#ifndef LULAB_TOOLS_BENCH_RAW_H
#define LULAB_TOOLS_BENCH_RAW_H

#include <lmdb.h>

#include "bench.h"

struct raw_store {
	MDB_env *env;
	MDB_dbi dbi;
	char *record;
	size_t record_len;
	uint64_t n; /* records in it: their keys are 0 .. n-1 */
};

/* A new one below the bench's directory, in place of any there. ERR_NOMEM, ERR_IO. */
int raw_open(struct raw_store *s, const struct bench *b, const char *name, size_t record_len);
void raw_close(struct raw_store *s); /* accepts a zeroed one; leaves the files */

/* One commit of `batch` records. ERR_IO. */
int raw_commit(struct raw_store *s, unsigned batch);

/* n records, `batch` a commit; times are of one commit. */
struct bench_row *raw_measure_append(struct bench *b, struct raw_store *s, const char *what, unsigned batch, uint64_t n,
    int *ret_rc);
/* n times a read transaction and a record at random in it. */
struct bench_row *raw_measure_reads(struct bench *b, struct raw_store *s, const char *what, unsigned n, int *ret_rc);

#endif
