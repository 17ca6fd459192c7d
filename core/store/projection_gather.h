/*
 * Rows that wait for the end of the transaction. Many events in a row change
 * the same few rows; what they give is put together here, and each row is
 * written once. That is possible because a gathered table's columns only ever
 * take the greatest, the least or the sum of what they are given: in whatever
 * portions that arrives, the row becomes the same.
 *
 *     event --> "select" of the statement --> row by key --> "upsert", once
 *
 * One thread; private to projection_apply.c.
 */
#ifndef LULAB_STORE_PROJECTION_GATHER_H
#define LULAB_STORE_PROJECTION_GATHER_H

#include <stddef.h>

#include "store/projection.h"

struct projection_gather;
struct gather;
struct sqlite3;
struct sqlite3_stmt;

/* For one table; the connection must outlive it. An SQLite result code. */
int gather_create(struct gather **ret, const struct projection_gather *table, struct sqlite3 *db);
void gather_destroy(struct gather *g); /* NULL is fine */

/*
 * Takes the row a statement stands at: its i-th column is column[i] of the table, those not named are given
 * nothing. An SQLite result code: SQLITE_MISMATCH for a text where a number belongs, SQLITE_CONSTRAINT for a
 * NULL where a value is required, SQLITE_NOMEM.
 */
int gather_add(struct gather *g, struct sqlite3_stmt *from, const unsigned char *column);

/* Bytes that wait. */
size_t gather_bytes(const struct gather *g);
/* Writes the rows in the order in which they came, and forgets them if that succeeds. An SQLite result code. */
int gather_flush(struct gather *g);
void gather_forget(struct gather *g);

#endif
