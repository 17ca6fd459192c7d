/*
 * The digest of a read model: SHA-256 over
 *
 *     for each table by name   'T' name
 *     for each row by key      'R', then for each column one of
 *                              'N' | 'I' i64 | 'F' f64 | 'S' text | 'B' bytes
 *
 * lengths and numbers as 8 bytes big-endian. Columns that are computed from
 * others and the full-text index, which follows from the rows, are left out.
 */
#include <sqlite3.h>

#include "base/err.h"
#include "store/projection_file.h"
#include "store/projector.h"

struct digest {
	struct sha256_stream *sha;
	struct buf pending; /* small pieces gather, a hash call each would cost more than the bytes */
};

#define PENDING_MAX (1u << 20)
#define PENDING_FLUSH (1u << 16)

static void flush(struct digest *d)
{
	sha256_stream_update(d->sha, buf_slice(&d->pending));
	buf_clear(&d->pending);
}

static void put_number(struct digest *d, char tag, uint64_t n)
{
	char bytes[9] = {tag};

	for (int i = 0; i < 8; i++)
		bytes[1 + i] = (char)(n >> (56 - 8 * i));
	buf_append(&d->pending, slice_of(bytes, sizeof(bytes)));
}

static void put_bytes(struct digest *d, char tag, struct slice bytes)
{
	put_number(d, tag, bytes.len);
	if (bytes.len > PENDING_FLUSH) {
		flush(d);
		sha256_stream_update(d->sha, bytes);
		return;
	}
	buf_append(&d->pending, bytes);
	if (d->pending.len > PENDING_FLUSH)
		flush(d);
}

static void put_column(struct digest *d, sqlite3_stmt *stmt, int i)
{
	double real;
	uint64_t bits;

	switch (sqlite3_column_type(stmt, i)) {
	case SQLITE_INTEGER:
		put_number(d, 'I', (uint64_t)sqlite3_column_int64(stmt, i));
		break;
	case SQLITE_FLOAT:
		real = sqlite3_column_double(stmt, i);
		memcpy(&bits, &real, sizeof(bits));
		put_number(d, 'F', bits);
		break;
	case SQLITE_TEXT:
		put_bytes(d, 'S', slice_of(sqlite3_column_text(stmt, i), (size_t)sqlite3_column_bytes(stmt, i)));
		break;
	case SQLITE_BLOB:
		put_bytes(d, 'B', slice_of(sqlite3_column_blob(stmt, i), (size_t)sqlite3_column_bytes(stmt, i)));
		break;
	default:
		buf_append_char(&d->pending, 'N');
	}
}

static int put_table(struct digest *d, sqlite3 *db, const struct projection_table *table)
{
	sqlite3_stmt *stmt = NULL;
	int code = sqlite3_prepare_v2(db, table->rows_sql, -1, &stmt, NULL);

	put_bytes(d, 'T', slice_str(table->name));
	if (code == SQLITE_OK) {
		int n = sqlite3_column_count(stmt);

		while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
			buf_append_char(&d->pending, 'R');
			for (int i = 0; i < n; i++)
				put_column(d, stmt, i);
		}
	}
	sqlite3_finalize(stmt);
	code &= 0xff;
	/* A table that is not what its version says is damage, not a question badly put. */
	return code == SQLITE_ERROR ? ERR_CORRUPT : projection_sqlite_err(code);
}

int projection_digest(const char *path, const struct projection *model, uint8_t ret_digest[SHA256_LEN],
    uint64_t *ret_position)
{
	struct digest d = {.pending = BUF_INIT(PENDING_MAX)};
	sqlite3 *db = NULL;
	int rc;

	rc = sha256_stream_create(&d.sha);
	if (rc == 0)
		rc = projection_open_readonly(&db, path);
	if (rc == 0)
		rc = projection_sqlite_err(sqlite3_exec(db, "begin", NULL, NULL, NULL));
	if (rc == 0)
		rc = projection_read_place(db, ret_position);
	for (unsigned i = 0; rc == 0 && model->tables[i].name != NULL; i++)
		rc = put_table(&d, db, &model->tables[i]);
	if (rc == 0)
		rc = d.pending.rc;
	if (rc == 0) {
		flush(&d);
		sha256_stream_finish(d.sha, ret_digest);
	}
	projection_close_readonly(db);
	sha256_stream_destroy(d.sha);
	buf_finish(&d.pending);
	return rc;
}
