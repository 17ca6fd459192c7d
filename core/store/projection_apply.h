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

/* Runs the statements of one event, in the caller's transaction; errors as projection_file_apply(). */
int projection_applier_run(struct projection_applier *a, const struct fed_event *event, struct buf *problem);

#endif
