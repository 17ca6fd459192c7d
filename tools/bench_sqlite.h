/* Files of read models made by bare SQLite, to compare ours with. */
#ifndef LULAB_TOOLS_BENCH_SQLITE_H
#define LULAB_TOOLS_BENCH_SQLITE_H

#include <stdbool.h>

struct projection;
struct sqlite3;

/*
 * Makes a model's tables and indexes on a connection that knows our functions and tokenizer; with its triggers and
 * views, unless bare. ERR_IO.
 */
int bench_model_tables(struct sqlite3 *db, const struct projection *model, bool bare);

#endif
