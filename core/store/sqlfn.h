/*
 * SQL functions for projections: pure, deterministic, the same on every
 * machine. tools/gen_projections.py knows their names and argument counts.
 *
 *   row_id(a, b, ...)     "c" and 24 hex digits, a hash of the texts: the id of a
 *                         row that is the same in every rebuild (NULL counts as a
 *                         value of its own)
 *   latest(at, value)     text that sorts by `at`, then by value, so that
 *                         max(x, latest(...)) keeps the newest whatever the order
 *                         of arrival; '' when value is NULL
 *   latest_value(text)    the value in it, NULL for ''
 */
#ifndef LULAB_STORE_SQLFN_H
#define LULAB_STORE_SQLFN_H

struct sqlite3;

int sqlfn_register(struct sqlite3 *db);

#endif
