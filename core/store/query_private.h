/* What the files of the query pool share; private to core/store/query*.c. */
#ifndef LULAB_STORE_QUERY_PRIVATE_H
#define LULAB_STORE_QUERY_PRIVATE_H

#include "store/query.h"

struct sqlite3_stmt;

/* ---- query_read.c: one thread's connections and prepared statements ---- */

struct reader;

int reader_create(struct reader **ret, struct projector *projector);
void reader_destroy(struct reader *r); /* NULL is fine */
/* Fills in q's results, rc last. */
void reader_answer(struct reader *r, struct query *q, size_t answer_max);

/* ---- query_list.c: the statement of a list ---- */

/* Which of a list's pieces a request uses; equal variants have the same text. */
uint32_t list_variant(const struct list_request *rq, bool count);
int list_sql(struct buf *out, const struct list_request *rq, bool count);
/* `search` is the FTS5 form of rq->search, borrowed until the statement is reset. */
int list_bind(struct sqlite3_stmt *stmt, const struct list_request *rq, bool count, struct slice search);
/* The cursor behind the row the statement stands at; its first columns are key and sort value. */
int list_cursor(struct buf *out, const struct list_request *rq, struct sqlite3_stmt *stmt);

/* ---- query_write.c: rows as text ---- */

/* The rows of one answer on their way to q->out. */
struct rows {
	struct query *q;
	const struct query_column *columns;
	uint64_t fields; /* as in list_request */
	/* Below here: of query_write.c. The day whose date was written last: the times of a row are mostly of one. */
	int64_t day;
	char date[11]; /* "2026-11-23T" */
};

void rows_begin(struct rows *rows, struct query *q, const struct query_column *columns, uint64_t fields);
/* The row the statement stands at, whose column `first` is columns[0]; q->rows were written before. */
void rows_put(struct rows *rows, struct sqlite3_stmt *stmt, int first);
void rows_end(struct rows *rows);

#endif
