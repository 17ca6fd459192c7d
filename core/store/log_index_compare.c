/* Two indexes side by side: what a rebuilt one says of the one in use. */
#include <stdio.h>

#include "base/codec.h"
#include "base/err.h"
#include "store/log_index.h"

/* How much of a key is shown: as hex, for claims and references name people. */
#define KEY_SHOWN 24

struct table {
	const char *name;
	size_t dbi; /* offset in struct log_index */
};

static const struct table tables[] = {
    {"claims", offsetof(struct log_index, claims)},
    {"streams", offsetof(struct log_index, streams)},
    {"stream_events", offsetof(struct log_index, stream_events)},
    {"types", offsetof(struct log_index, types)},
    {"type_counts", offsetof(struct log_index, type_counts)},
    {"subjects", offsetof(struct log_index, subjects)},
};
#define TABLES (sizeof(tables) / sizeof(tables[0]))

static MDB_dbi dbi_of(const struct log_index *x, const struct table *table)
{
	MDB_dbi dbi;

	memcpy(&dbi, (const char *)x + table->dbi, sizeof(dbi));
	return dbi;
}

/* All of a table in the order of its keys: by a cursor, or where there is none by the walk of the once keys. */
struct side {
	MDB_cursor *cursor;
	struct log_once_walk *walk;
	MDB_val key, value;
	bool end;
};

static int step(struct side *s)
{
	int rc = s->cursor != NULL ? mdb_err(mdb_cursor_get(s->cursor, &s->key, &s->value, MDB_NEXT))
	                           : log_once_walk_next(s->walk, &s->key, &s->value);

	s->end = rc == ERR_NOT_FOUND;
	return s->end ? 0 : rc;
}

struct report {
	uint64_t *n;
	char *first;
	size_t first_len;
};

static void report(struct report *r, const char *table, const char *what, MDB_val key)
{
	char shown[2 * KEY_SHOWN + 1];
	size_t n = key.mv_size < KEY_SHOWN ? key.mv_size : KEY_SHOWN;

	if ((*r->n)++ > 0)
		return;
	hex_encode(shown, key.mv_data, n);
	snprintf(r->first, r->first_len, "table %s, key %s%s: %s", table, shown,
	    n < key.mv_size ? "..." : "", what);
}

static int compare_sides(struct side *a, struct side *b, const char *table, struct report *r)
{
	int rc = step(a);

	if (rc == 0)
		rc = step(b);
	while (rc == 0 && !(a->end && b->end)) {
		int order = a->end ? 1 : b->end ? -1 : slice_cmp(val_slice(a->key), val_slice(b->key));

		if (order < 0)
			report(r, table, "missing", a->key);
		else if (order > 0)
			report(r, table, "surplus", b->key);
		else if (!slice_eq(val_slice(a->value), val_slice(b->value)))
			report(r, table, "different", a->key);
		if (order <= 0)
			rc = step(a);
		if (rc == 0 && order >= 0)
			rc = step(b);
	}
	return rc;
}

static int compare_tables(struct log_index *a, MDB_txn *ta, struct log_index *b, MDB_txn *tb, const struct table *table,
    struct report *r)
{
	struct side sa = {0}, sb = {0};
	int rc;

	rc = mdb_err(mdb_cursor_open(ta, dbi_of(a, table), &sa.cursor));
	if (rc == 0)
		rc = mdb_err(mdb_cursor_open(tb, dbi_of(b, table), &sb.cursor));
	if (rc == 0)
		rc = compare_sides(&sa, &sb, table->name, r);
	if (sa.cursor != NULL)
		mdb_cursor_close(sa.cursor);
	if (sb.cursor != NULL)
		mdb_cursor_close(sb.cursor);
	return rc;
}

static int compare_once(struct log_index *a, MDB_txn *ta, struct log_index *b, MDB_txn *tb, struct report *r)
{
	struct log_once_walk wa = {.n = 0}, wb = {.n = 0};
	struct side sa = {.walk = &wa}, sb = {.walk = &wb};
	int rc;

	rc = log_once_walk_begin(&wa, &a->once, ta);
	if (rc == 0)
		rc = log_once_walk_begin(&wb, &b->once, tb);
	if (rc == 0)
		rc = compare_sides(&sa, &sb, "once", r);
	log_once_walk_end(&wa);
	log_once_walk_end(&wb);
	return rc;
}

int log_index_compare(struct log_index *a, struct log_index *b, uint64_t *ret_n, char *ret_first, size_t first_len)
{
	struct report r = {ret_n, ret_first, first_len};
	MDB_txn *ta = NULL, *tb = NULL;
	int rc;

	*ret_n = 0;
	ret_first[0] = '\0';
	rc = log_env_read(&a->env, &ta);
	if (rc == 0)
		rc = log_env_read(&b->env, &tb);
	if (rc == 0)
		rc = compare_once(a, ta, b, tb, &r);
	for (size_t i = 0; rc == 0 && i < TABLES; i++)
		rc = compare_tables(a, ta, b, tb, &tables[i], &r);
	log_env_done(&a->env, &ta);
	log_env_done(&b->env, &tb);
	return rc;
}

int log_index_count(struct log_index *x, struct log_index_counts *ret)
{
	uint64_t counts[TABLES] = {0}, once = 0;
	MDB_txn *txn = NULL;
	int rc;

	rc = log_env_read(&x->env, &txn);
	if (rc == 0)
		rc = log_once_count(&x->once, txn, &once);
	for (size_t i = 0; rc == 0 && i < TABLES; i++) {
		MDB_stat stat;

		rc = mdb_err(mdb_stat(txn, dbi_of(x, &tables[i]), &stat));
		counts[i] = stat.ms_entries;
	}
	log_env_done(&x->env, &txn);
	if (rc == 0)
		*ret = (struct log_index_counts){once, counts[0], counts[1], counts[3], counts[5]};
	return rc;
}
