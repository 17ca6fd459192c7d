/*
 * Whether the pages of an LMDB file hang together, before LMDB trusts them.
 *
 * LMDB follows what its pages say without looking twice: a damaged offset makes
 * it read outside the page, a damaged length makes the next commit write outside
 * of its memory. So the writer looks first: the heads of the file, all of the
 * table of tables and of the free list, and of every table the newest pages (a
 * log's commits write at the right-hand end), PAGES_CHECKED_MAX at most, so that
 * the time it takes does not grow with the log. What lies deeper is only read,
 * and found by the verification; see log_guard.h for reads that go astray.
 */
#ifndef LULAB_STORE_LOG_PAGES_H
#define LULAB_STORE_LOG_PAGES_H

#include "base/buf.h"

#define PAGES_CHECKED_MAX 512 /* of one table */

/*
 * Checks DIR/data.mdb, which no process may be writing. 0 also when there is
 * none yet. ERR_CORRUPT: `problem` (may be NULL) gets what is wrong and where;
 * ERR_VERSION when it is no LMDB file of the version we know; ERR_IO, ERR_NOMEM.
 */
int log_pages_check(const char *dir, uint64_t map_bytes, struct buf *problem);

#endif
