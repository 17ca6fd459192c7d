/*
 * SQL functions for projections: pure, deterministic, the same on every
 * machine. tools/gen_projections.py knows their names and argument counts.
 *
 *   row_id(a, b, ...)     "c" and 24 hex digits, a hash of the texts: the id of a
 *                         row that is the same in every rebuild (NULL counts as a
 *                         value of its own)
 *   timed_id(at, a, b, ...)  the same length, and at as 12 hex digits (milliseconds) in the place of half of the
 *                         hash: ids of what comes one after the other lie near each other in an index
 *   latest(at, value)     `at` as 16 digits and the value, so that max(x, latest(...))
 *                         keeps the newest value whatever the order of arrival; ''
 *                         when value is NULL. substr(x, 17) has the value again.
 *   effect_id(cause, effect, step)  the id of an effect (domain/effect_id.h): cause is the :id of the event
 *                         that asks for it
 */
#ifndef LULAB_STORE_SQLFN_H
#define LULAB_STORE_SQLFN_H

#include "base/slice.h"

struct sqlite3;

/* row_id() of texts for who is not SQL: at most ROW_ID_PARTS_MAX of them. */
#define ROW_ID_LEN 25
#define ROW_ID_PARTS_MAX 8
void row_id_make(char ret_id[ROW_ID_LEN + 1], const struct slice *texts, size_t n);

int sqlfn_register(struct sqlite3 *db);

#endif
