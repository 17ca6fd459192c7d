/* See bench_raw.h. */
#include "bench_raw.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/io.h"
#include "base/rng.h"

#define MAP_LEN ((size_t)64 << 30)

void raw_close(struct raw_store *s)
{
	if (s->env != NULL)
		mdb_env_close(s->env);
	free(s->record);
	*s = (struct raw_store){0};
}

int raw_open(struct raw_store *s, const struct bench *b, const char *name, size_t record_len)
{
	char path[BENCH_PATH_MAX];
	MDB_txn *txn = NULL;
	int rc;

	*s = (struct raw_store){.record = malloc(record_len), .record_len = record_len};
	if (s->record == NULL)
		return ERR_NOMEM;
	/* Not all zeros, in case something below compresses. */
	rng_fill(&rng_system, s->record, record_len);
	bench_path(b, path, name);
	rc = tree_remove(path) == 0 && dir_create(path, 0700) == 0 ? mdb_env_create(&s->env) : ERR_IO;
	if (rc == 0)
		rc = mdb_env_set_mapsize(s->env, MAP_LEN);
	if (rc == 0)
		rc = mdb_env_open(s->env, path, 0, 0600);
	if (rc == 0)
		rc = mdb_txn_begin(s->env, NULL, 0, &txn);
	if (rc == 0)
		rc = mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &s->dbi);
	if (rc == 0)
		rc = mdb_txn_commit(txn);
	else if (txn != NULL)
		mdb_txn_abort(txn);
	if (rc != 0)
		raw_close(s);
	return rc == 0 ? 0 : ERR_IO;
}

int raw_commit(struct raw_store *s, unsigned batch)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(s->env, NULL, 0, &txn);

	if (rc != 0)
		return ERR_IO;
	for (unsigned i = 0; rc == 0 && i < batch; i++, s->n++) {
		MDB_val key = {sizeof(s->n), &s->n}, value = {s->record_len, s->record};

		rc = mdb_put(txn, s->dbi, &key, &value, MDB_APPEND);
	}
	if (rc != 0) {
		mdb_txn_abort(txn);
		return ERR_IO;
	}
	return mdb_txn_commit(txn) == 0 ? 0 : ERR_IO;
}

struct bench_row *raw_measure_append(struct bench *b, struct raw_store *s, const char *what, unsigned batch, uint64_t n,
    int *ret_rc)
{
	struct bench_row *row = bench_row(b, "raw LMDB, %u record%s of %zu bytes a commit, %s", batch,
	    batch == 1 ? "" : "s", s->record_len, what);
	struct bench_histogram h = {{0}, 0, 0};
	uint64_t first = s->n, written = bench_bytes_written();
	int64_t start = bench_now_us(b), before = start, now;

	*ret_rc = 0;
	for (; *ret_rc == 0 && s->n - first < n; before = now) {
		*ret_rc = command_interrupted() ? ERR_CANCELLED : raw_commit(s, batch);
		now = bench_now_us(b);
		bench_histogram_add(&h, now - before);
	}
	bench_row_fill(row, "records", s->n - first, before - start, &h);
	snprintf(row->note, sizeof(row->note), "times are of one commit; %.2f bytes written per byte",
	    (double)(bench_bytes_written() - written) / ((double)row->n * (double)s->record_len));
	return row;
}

struct bench_row *raw_measure_reads(struct bench *b, struct raw_store *s, const char *what, unsigned n, int *ret_rc)
{
	struct bench_row *row = bench_row(b, "raw LMDB, read one record at random, %s", what);
	uint64_t *numbers = bench_draw(n, s->n);
	MDB_txn *txn = NULL;
	int64_t start = bench_now_us(b);
	int rc = numbers == NULL ? ENOMEM : mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);

	for (unsigned i = 0; rc == 0 && i < n; i++) {
		MDB_val key = {sizeof(numbers[i]), &numbers[i]}, value;

		mdb_txn_reset(txn);
		rc = mdb_txn_renew(txn);
		if (rc == 0)
			rc = mdb_get(txn, s->dbi, &key, &value);
		/* Its two ends, as a reader that checks them would. */
		if (rc == 0 && (value.mv_size != s->record_len || ((const char *)value.mv_data)[0] != s->record[0] ||
				   ((const char *)value.mv_data)[s->record_len - 1] != s->record[s->record_len - 1]))
			rc = MDB_CORRUPTED;
	}
	bench_row_fill(row, "records", n, bench_now_us(b) - start, NULL);
	if (txn != NULL)
		mdb_txn_abort(txn);
	free(numbers);
	*ret_rc = rc == 0 ? 0 : rc == ENOMEM ? ERR_NOMEM : ERR_IO;
	return row;
}
