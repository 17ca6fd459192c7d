/*
 * Files and directories through the table of calls a test can make fail, and the
 * few operations that must survive a power cut half-way.
 */
#include "base/io.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/planted.h"

#define READ_LEN ((size_t)64 * 1024)
#define TREE_FDS 16

static int system_open(const char *path, int flags, mode_t mode)
{
	return open(path, flags, mode);
}

static void system_start_writeback(int fd, off_t from, off_t len)
{
	(void)sync_file_range(fd, from, len, SYNC_FILE_RANGE_WRITE);
}

const struct io io_system = {
    .open = system_open,
    .read = read,
    .write = write,
    .fsync = fsync,
    .fdatasync = fdatasync,
    .rename = rename,
    .link = link,
    .unlink = unlink,
    .close = close,
    .start_writeback = system_start_writeback,
};

const struct io *io_calls = &io_system;

/* One read, interrupted ones repeated. */
static ssize_t read_some(int fd, void *bytes, size_t len)
{
	ssize_t n;

	do
		n = io_calls->read(fd, bytes, len);
	while (n < 0 && errno == EINTR);
	return n;
}

static int read_all(struct buf *b, int fd)
{
	for (;;) {
		size_t room = b->max - b->len < READ_LEN ? b->max - b->len : READ_LEN;
		char past, *at = &past;
		ssize_t n;

		/* At the ceiling one more byte tells whether the file ends here. */
		if (room > 0) {
			at = buf_reserve(b, room);
			if (at == NULL)
				return b->rc;
		}
		n = read_some(fd, at, room > 0 ? room : 1);
		if (n < 0)
			return err_from_errno(errno);
		if (n == 0)
			return 0;
		if (room == 0)
			return ERR_TOO_BIG;
		buf_commit(b, (size_t)n);
	}
}

int file_read(struct buf *b, const char *path)
{
	int fd, rc;

	if (b->rc != 0)
		return b->rc;
	fd = io_calls->open(path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return err_from_errno(errno);
	rc = read_all(b, fd);
	io_calls->close(fd);
	return rc;
}

static int write_all(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = io_calls->write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_from_errno(errno);
		bytes.ptr += n;
		bytes.len -= (size_t)n;
	}
	return 0;
}

/* A new file with these bytes, on disk when this returns 0 (its name not yet). */
static int write_new(const char *path, struct slice bytes, mode_t mode)
{
	int fd, rc;

	fd = io_calls->open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return err_from_errno(errno);
	rc = write_all(fd, bytes);
	if (rc == 0 && !PLANTED(unsynced_file) && io_calls->fsync(fd) != 0)
		rc = err_from_errno(errno);
	/* A late write error may only show here. */
	if (io_calls->close(fd) != 0 && rc == 0)
		rc = err_from_errno(errno);
	return rc;
}

/* The directory a path names its last part in; "." for a bare name. */
static int parent_of(char ret_dir[PATH_MAX], const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash == NULL ? 0 : (size_t)(slash - path);

	if (len >= PATH_MAX)
		return ERR_TOO_BIG;
	if (slash == NULL) {
		memcpy(ret_dir, ".", 2);
	} else if (len == 0) {
		memcpy(ret_dir, "/", 2);
	} else {
		memcpy(ret_dir, path, len);
		ret_dir[len] = '\0';
	}
	return 0;
}

static int put_file(const char *path, struct slice bytes, mode_t mode,
    int (*name_it)(const char *from, const char *to))
{
	char temporary[PATH_MAX], dir[PATH_MAX];
	int rc;

	if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int)sizeof(temporary))
		return ERR_TOO_BIG;
	rc = parent_of(dir, path);
	if (rc != 0)
		return rc;
	/* One may be left from a run that died half way. */
	if (io_calls->unlink(temporary) != 0 && errno != ENOENT)
		return err_from_errno(errno);
	rc = write_new(temporary, bytes, mode);
	if (rc == 0 && name_it(temporary, path) != 0)
		rc = err_from_errno(errno);
	if (rc != 0 || name_it == io_calls->link)
		io_calls->unlink(temporary);
	return rc != 0 ? rc : dir_sync(dir);
}

int file_replace(const char *path, struct slice bytes, mode_t mode)
{
	return put_file(path, bytes, mode, io_calls->rename);
}

int file_create(const char *path, struct slice bytes, mode_t mode)
{
	return put_file(path, bytes, mode, io_calls->link);
}

int dir_sync(const char *path)
{
	int fd, rc = 0;

	if (PLANTED(unsynced_names))
		return 0;
	fd = io_calls->open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (fd < 0)
		return err_from_errno(errno);
	if (io_calls->fsync(fd) != 0)
		rc = err_from_errno(errno);
	io_calls->close(fd);
	return rc;
}

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int make_one(const char *path, mode_t mode)
{
	char dir[PATH_MAX];
	int rc;

	if (mkdir(path, mode) != 0) {
		if (errno == EEXIST && is_dir(path))
			return 0;
		return err_from_errno(errno);
	}
	rc = parent_of(dir, path);
	return rc != 0 ? rc : dir_sync(dir);
}

int dir_create(const char *path, mode_t mode)
{
	char part[PATH_MAX];
	size_t len = strlen(path);

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len == 0)
		return ERR_INVALID;
	if (len >= sizeof(part))
		return ERR_TOO_BIG;
	memcpy(part, path, len);
	part[len] = '\0';
	if (is_dir(part))
		return 0;
	for (size_t i = 1; i < len; i++) {
		int rc;

		if (part[i] != '/' || part[i - 1] == '/')
			continue;
		part[i] = '\0';
		rc = make_one(part, mode);
		part[i] = '/';
		if (rc != 0)
			return rc;
	}
	return make_one(part, mode);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

int tree_remove(const char *path)
{
	if (nftw(path, remove_entry, TREE_FDS, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT)
		return 0;
	return err_from_errno(errno);
}

int file_look(const char *path, bool *ret_there)
{
	bool there = access(path, F_OK) == 0;

	if (!there && errno != ENOENT && errno != ENOTDIR)
		return err_from_errno(errno);
	*ret_there = there;
	return 0;
}

bool file_exists(const char *path)
{
	bool there = false;

	return file_look(path, &there) != 0 || there;
}
