/*
 * From an event to statements: what a read model does with each event, prepared
 * on one connection. One thread; private to projection_file.c.
 */
#ifndef LULAB_STORE_PROJECTION_APPLY_H
#define LULAB_STORE_PROJECTION_APPLY_H

#include "base/buf.h"
#include "store/projection.h"

struct fed_event;
struct projection_applier;
struct sqlite3;

/* The connection must outlive it. ERR_UNSUPPORTED: the model does not fit this program's events or the file's tables. */
int projection_applier_create(struct projection_applier **ret, const struct projection *model, struct sqlite3 *db,
    struct buf *problem);
void projection_applier_destroy(struct projection_applier *a); /* NULL is fine */

/* Runs the statements of one event, in the caller's transaction; errors as projection_file_apply(). Rows of gathered
 * tables wait, within bounds, for projection_applier_flush(). */
int projection_applier_run(struct projection_applier *a, const struct fed_event *event, struct buf *problem);
/* Writes the rows that wait. An error may be of any event since the last time. */
int projection_applier_flush(struct projection_applier *a, struct buf *problem);
void projection_applier_forget(struct projection_applier *a);

#endif
