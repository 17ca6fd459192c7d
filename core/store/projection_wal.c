/*
 * A VFS over the usual one, which opens all files; only a "-wal" gets methods of ours. These keep the order of writes and
 * hold nothing back that anybody but the connection itself may look for: of a transaction that has not committed all is
 * its own, and the frame that commits it (bytes 4 to 7 of its head are not zero) is written at once, with what is before
 * it, so that its error is the commit's. Whatever else asks for the file writes first what gathered.
 *
 * A handle is its connection's, and so its thread's.
 */
#include "store/projection_wal.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/projection_writeback.h"

#define FRAME_HEAD_LEN 24
#define GATHERED_MAX ((size_t)64 << 10)

struct wal_file {
	sqlite3_file base;
	sqlite3_file *real;  /* lies behind this one */
	uint8_t *gathered;   /* NULL until something is written; readers have none */
	size_t len;
	sqlite3_int64 at;    /* where it belongs */
	bool through;        /* the last head was that of a frame that commits */
};

static sqlite3_vfs *usual;
static sqlite3_vfs vfs;

/* What could not be written is gone: it belongs to a transaction that SQLite undoes on the error. */
static int flush(struct wal_file *f)
{
	size_t len = f->len;

	f->len = 0;
	return len == 0 ? SQLITE_OK : f->real->pMethods->xWrite(f->real, f->gathered, (int)len, f->at);
}

static int wal_close(sqlite3_file *file)
{
	struct wal_file *f = (struct wal_file *)file;
	int code = flush(f), closed = f->real->pMethods->xClose(f->real);

	free(f->gathered);
	f->gathered = NULL;
	return code == SQLITE_OK ? closed : code;
}

static int wal_read(sqlite3_file *file, void *into, int len, sqlite3_int64 at)
{
	struct wal_file *f = (struct wal_file *)file;
	int code = flush(f);

	return code == SQLITE_OK ? f->real->pMethods->xRead(f->real, into, len, at) : code;
}

static int wal_write(sqlite3_file *file, const void *bytes, int len, sqlite3_int64 at)
{
	static const uint8_t open_end[4];
	struct wal_file *f = (struct wal_file *)file;
	int code = SQLITE_OK;

	if (len == FRAME_HEAD_LEN)
		f->through = memcmp((const uint8_t *)bytes + 4, open_end, sizeof(open_end)) != 0;
	if (f->len > 0 && (at != f->at + (sqlite3_int64)f->len || f->len + (size_t)len > GATHERED_MAX))
		code = flush(f);
	if (code != SQLITE_OK)
		return code;
	if (f->gathered == NULL)
		f->gathered = malloc(GATHERED_MAX);
	if (f->gathered == NULL || (size_t)len > GATHERED_MAX)
		return f->real->pMethods->xWrite(f->real, bytes, len, at);
	if (f->len == 0)
		f->at = at;
	memcpy(f->gathered + f->len, bytes, (size_t)len);
	f->len += (size_t)len;
	return f->through ? flush(f) : SQLITE_OK;
}

static int wal_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	struct wal_file *f = (struct wal_file *)file;
	int code = flush(f);

	return code == SQLITE_OK ? f->real->pMethods->xTruncate(f->real, size) : code;
}

static int wal_sync(sqlite3_file *file, int flags)
{
	struct wal_file *f = (struct wal_file *)file;
	int code = flush(f);

	return code == SQLITE_OK ? f->real->pMethods->xSync(f->real, flags) : code;
}

static int wal_size(sqlite3_file *file, sqlite3_int64 *ret)
{
	struct wal_file *f = (struct wal_file *)file;
	int code = flush(f);

	return code == SQLITE_OK ? f->real->pMethods->xFileSize(f->real, ret) : code;
}

static int wal_lock(sqlite3_file *file, int lock)
{
	struct wal_file *f = (struct wal_file *)file;

	return f->real->pMethods->xLock(f->real, lock);
}

static int wal_unlock(sqlite3_file *file, int lock)
{
	struct wal_file *f = (struct wal_file *)file;

	return f->real->pMethods->xUnlock(f->real, lock);
}

static int wal_is_reserved(sqlite3_file *file, int *ret)
{
	struct wal_file *f = (struct wal_file *)file;

	return f->real->pMethods->xCheckReservedLock(f->real, ret);
}

static int wal_control(sqlite3_file *file, int op, void *arg)
{
	struct wal_file *f = (struct wal_file *)file;
	int code = flush(f);

	return code == SQLITE_OK ? f->real->pMethods->xFileControl(f->real, op, arg) : code;
}

static int wal_sector_size(sqlite3_file *file)
{
	struct wal_file *f = (struct wal_file *)file;

	return f->real->pMethods->xSectorSize(f->real);
}

static int wal_characteristics(sqlite3_file *file)
{
	struct wal_file *f = (struct wal_file *)file;

	return f->real->pMethods->xDeviceCharacteristics(f->real);
}

/* Of version 1: nobody maps a WAL, or shares memory by it. */
static const sqlite3_io_methods wal_methods = {1, wal_close, wal_read, wal_write, wal_truncate, wal_sync, wal_size, wal_lock,
	wal_unlock, wal_is_reserved, wal_control, wal_sector_size, wal_characteristics, NULL, NULL, NULL, NULL, NULL, NULL};

/* A file that the usual one could not open has no methods, and SQLite does not close it. */
static int open_file(sqlite3_vfs *own, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	struct wal_file *f = (struct wal_file *)file;
	int code;

	(void)own;
	if ((flags & SQLITE_OPEN_WAL) == 0)
		return usual->xOpen(usual, name, file, flags, ret_flags);
	*f = (struct wal_file){.real = (sqlite3_file *)(f + 1)};
	memset(f->real, 0, (size_t)usual->szOsFile);
	code = usual->xOpen(usual, name, f->real, flags, ret_flags);
	if (f->real->pMethods != NULL)
		f->base.pMethods = &wal_methods;
	return code;
}

const char *projection_wal_register(void)
{
	_Static_assert(sizeof(struct wal_file) % sizeof(sqlite3_int64) == 0, "what lies behind it is aligned");
	usual = sqlite3_vfs_find(NULL);
	if (usual == NULL)
		return NULL;
	projection_writeback_register(usual);
	vfs = *usual;
	vfs.zName = "lulab";
	vfs.szOsFile = (int)sizeof(struct wal_file) + usual->szOsFile;
	vfs.pNext = NULL;
	vfs.xOpen = open_file;
	return sqlite3_vfs_register(&vfs, 0) == SQLITE_OK ? vfs.zName : NULL;
}
