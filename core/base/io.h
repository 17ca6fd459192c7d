/*
 * The file and socket calls whose failure we must survive, behind one table,
 * so that a test can make the n-th of them fail. Semantics and errno are the
 * system's (POSIX); every other file uses these, never the bare call, where a
 * write, a sync or a socket is concerned.
 */
#ifndef LULAB_BASE_IO_H
#define LULAB_BASE_IO_H

#include <sys/types.h>

#include "buf.h"

struct io {
	int (*open)(const char *path, int flags, mode_t mode);
	ssize_t (*read)(int fd, void *bytes, size_t len);
	ssize_t (*write)(int fd, const void *bytes, size_t len);
	int (*fsync)(int fd);
	int (*fdatasync)(int fd);
	int (*rename)(const char *from, const char *to);
	int (*link)(const char *from, const char *to);
	int (*unlink)(const char *path);
	int (*close)(int fd);
	/* Begins to write these bytes to the disk and does not wait, for a sync that has little left to do. A hint: nothing
	 * is promised, and whether it failed is not told. (sync_file_range(2)) */
	void (*start_writeback)(int fd, off_t from, off_t len);
};

/* The table in force; tests swap it before threads start. */
extern const struct io *io_calls;
extern const struct io io_system;

/* Whole file; ERR_TOO_BIG past the buffer's ceiling, ERR_NOT_FOUND, ERR_DENIED, ERR_IO. */
int file_read(struct buf *b, const char *path);

/*
 * Replaces a file so that after a power cut it holds either the old or the
 * new bytes: write a temporary beside it (path.tmp), sync, rename, sync the
 * directory. One thread at a time for one path.
 */
int file_replace(const char *path, struct slice bytes, mode_t mode);

/* As file_replace but ERR_EXISTS when the file is there. */
int file_create(const char *path, struct slice bytes, mode_t mode);

/* mkdir -p with mode for every directory made; syncs the parents of what it made. */
int dir_create(const char *path, mode_t mode);
int dir_sync(const char *path);

/* Removes a file or a whole directory tree; absent is fine. */
int tree_remove(const char *path);

/* Whether anything has this name; or why that cannot be told just now. */
int file_look(const char *path, bool *ret_there);
/* False only when there is certainly nothing: who makes a new file in place of one that could not be looked at just now
 * would destroy it. */
bool file_exists(const char *path);

#endif
