/*
 * The store that is a directory of this machine.
 *
 *     DIR/<key>              an object; its folders are made as they are needed
 *     DIR/.uploads/<name>    one in the making, written at its parts' places
 *
 * An object appears whole or not at all: its bytes are durable before it gets its name, and the name before
 * anybody is told. Keys cannot leave the directory: object_key_ok() lets no segment begin with a point.
 */
#include "object_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/io.h"

#define READ_LEN ((size_t)256 << 10)
#define FILE_MODE 0600
#define DIR_MODE 0700

static int fail_errno(struct object_call *o, int errnum)
{
	return object_fail(o, err_from_errno(errnum), "The directory of objects cannot be read or written.");
}

const char *object_local_path(struct object_call *o, struct slice key)
{
	return arena_printf(o->arena, "%s/%.*s", o->store->dir, SLICE_ARG(key));
}

static const char *upload_path(struct object_call *o, struct slice id)
{
	return arena_printf(o->arena, "%s/.uploads/%.*s", o->store->dir, SLICE_ARG(id));
}

/* The folder a path is in, in the arena. */
static const char *folder_of(struct object_call *o, const char *path)
{
	return arena_printf(o->arena, "%.*s", (int)(strrchr(path, '/') - path), path);
}

static int write_at(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = io_calls->write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? EIO : errno;
		bytes = slice_of(bytes.ptr + n, bytes.len - (size_t)n);
	}
	return 0;
}

static int begin(struct object_call *o, struct slice key, struct slice content_type, const char *name, struct slice *ret_id)
{
	const char *path = upload_path(o, slice_str(name));
	int rc = path == NULL ? ERR_NOMEM : dir_create(folder_of(o, path), DIR_MODE);
	int fd;

	(void)key;
	(void)content_type;
	if (rc != 0)
		return object_fail(o, rc, "The directory of objects cannot be made.");
	fd = io_calls->open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
	if (fd < 0)
		return fail_errno(o, errno);
	io_calls->close(fd);
	*ret_id = slice_str(name);
	return 0;
}

static int part(struct object_call *o, struct slice key, struct slice id, const struct object_piece *piece, struct slice *ret_etag)
{
	const char *path = upload_path(o, id);
	int fd, errnum = 0;

	(void)key;
	if (path == NULL)
		return ERR_NOMEM;
	fd = io_calls->open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : fail_errno(o, errno);
	if (lseek(fd, (off_t)piece->offset, SEEK_SET) < 0)
		errnum = errno;
	if (errnum == 0)
		errnum = write_at(fd, piece->bytes);
	if (errnum == 0 && io_calls->fdatasync(fd) != 0)
		errnum = errno;
	io_calls->close(fd);
	*ret_etag = SLICE("-");
	return errnum == 0 ? 0 : fail_errno(o, errnum);
}

static int check(struct object_call *o, struct slice key, struct slice id, const struct object_part *parts, size_t n, size_t *ret_n)
{
	const char *path = upload_path(o, id);
	int64_t size = 0;
	struct stat st;

	(void)key;
	if (path == NULL)
		return ERR_NOMEM;
	if (stat(path, &st) != 0)
		return errno == ENOENT ? ERR_NOT_FOUND : fail_errno(o, errno);
	for (*ret_n = 0; *ret_n < n && size + parts[*ret_n].size <= st.st_size; (*ret_n)++)
		size += parts[*ret_n].size;
	return 0;
}

/* What is written under a name of its own gets its last one. */
static int give_name(struct object_call *o, const char *from, const char *to)
{
	const char *folder = folder_of(o, to);
	int rc = folder == NULL ? ERR_NOMEM : dir_create(folder, DIR_MODE);

	if (rc == 0 && io_calls->rename(from, to) != 0)
		rc = errno == EISDIR || errno == ENOTEMPTY ? ERR_EXISTS : err_from_errno(errno);
	if (rc == ERR_EXISTS) /* "a" and "a/b": one is a file, the other wants it to be a folder */
		return object_fail(o, ERR_INVALID, "An object cannot be called that: another one is in the way.");
	if (rc == 0)
		rc = dir_sync(folder);
	return rc == 0 ? 0 : object_fail(o, rc, "The directory of objects cannot be written.");
}

/* What is behind the last part is of an attempt that was cut. */
static int settle(struct object_call *o, const char *path, uint64_t size)
{
	int fd = io_calls->open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0), errnum = 0;
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : fail_errno(o, errno);
	if (ftruncate(fd, (off_t)size) != 0 || io_calls->fsync(fd) != 0 || fstat(fd, &st) != 0)
		errnum = errno;
	io_calls->close(fd);
	if (errnum != 0)
		return fail_errno(o, errnum);
	return (uint64_t)st.st_size == size ? 0 : ERR_CORRUPT;
}

static int complete(struct object_call *o, struct slice key, struct slice id, const struct object_part *parts, size_t n,
    const struct object_whole *whole)
{
	const char *from = upload_path(o, id), *to = object_local_path(o, key);
	struct stat st;
	int rc;

	(void)parts;
	(void)n;
	if (from == NULL || to == NULL)
		return ERR_NOMEM;
	rc = settle(o, from, whole->size);
	/* It had its name before the attempt ended. */
	if (rc == ERR_NOT_FOUND && stat(to, &st) == 0 && (uint64_t)st.st_size == whole->size)
		return 0;
	return rc == 0 ? give_name(o, from, to) : rc;
}

static int abandon(struct object_call *o, struct slice key, struct slice id)
{
	const char *path = upload_path(o, id);

	(void)key;
	if (path == NULL)
		return ERR_NOMEM;
	return io_calls->unlink(path) == 0 || errno == ENOENT ? 0 : fail_errno(o, errno);
}

static int put(struct object_call *o, struct slice key, struct slice content_type, const char *name, struct slice bytes)
{
	const struct object_piece whole = {.number = 1, .bytes = bytes};
	struct slice id, etag;
	int rc = begin(o, key, content_type, name, &id);

	if (rc == 0)
		rc = part(o, key, id, &whole, &etag);
	return rc == 0 ? complete(o, key, id, NULL, 0, &(struct object_whole){.size = bytes.len}) : rc;
}

static int open_object(struct object_call *o, struct slice key, int *ret_fd, struct stat *ret_st)
{
	const char *path = object_local_path(o, key);
	int fd;

	if (path == NULL)
		return ERR_NOMEM;
	fd = io_calls->open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR ? ERR_NOT_FOUND : fail_errno(o, errno);
	if (fstat(fd, ret_st) != 0 || !S_ISREG(ret_st->st_mode)) {
		io_calls->close(fd);
		return ERR_NOT_FOUND;
	}
	*ret_fd = fd;
	return 0;
}

static int head(struct object_call *o, struct slice key, struct object_head *ret)
{
	struct stat st;
	int fd = -1, rc = open_object(o, key, &fd, &st);

	if (rc != 0)
		return rc;
	io_calls->close(fd);
	*ret = (struct object_head){.size = (uint64_t)st.st_size, .content_type = {"", 0}, .etag = {"", 0}};
	return 0;
}

static int get(struct object_call *o, struct slice key, uint64_t from, uint64_t len,
    int (*on_bytes)(void *arg, struct slice bytes), void *arg)
{
	struct buf piece = BUF_INIT(READ_LEN);
	struct stat st;
	uint64_t left;
	int fd = -1, rc = open_object(o, key, &fd, &st);

	if (rc != 0)
		return rc;
	if (from > (uint64_t)st.st_size || (from == (uint64_t)st.st_size && from > 0))
		rc = ERR_RANGE;
	else if (buf_reserve(&piece, READ_LEN) == NULL)
		rc = ERR_NOMEM;
	else if (lseek(fd, (off_t)from, SEEK_SET) < 0)
		rc = fail_errno(o, errno);
	left = rc != 0 ? 0 : (uint64_t)st.st_size - from;
	if (len != 0 && len < left)
		left = len;
	while (rc == 0 && left > 0) {
		ssize_t n = io_calls->read(fd, piece.ptr, left < READ_LEN ? (size_t)left : READ_LEN);

		if (o->stopping != NULL && atomic_load(o->stopping))
			rc = ERR_CANCELLED;
		else if (n < 0 && errno != EINTR)
			rc = fail_errno(o, errno);
		else if (n == 0)
			rc = ERR_CORRUPT; /* it became shorter while it was read */
		else if (n > 0 && on_bytes(arg, slice_of(piece.ptr, (size_t)n)) != 0)
			rc = ERR_CANCELLED;
		left -= n > 0 ? (uint64_t)n : 0;
	}
	io_calls->close(fd);
	buf_finish(&piece);
	return rc;
}

/* Folders that become empty stay: another put may be about to use them. */
static int remove_object(struct object_call *o, struct slice key)
{
	const char *path = object_local_path(o, key), *folder;
	int rc;

	if (path == NULL || (folder = folder_of(o, path)) == NULL)
		return ERR_NOMEM;
	if (io_calls->unlink(path) != 0)
		return errno == ENOENT || errno == ENOTDIR ? 0 : fail_errno(o, errno);
	rc = dir_sync(folder);
	return rc == 0 ? 0 : object_fail(o, rc, "The directory of objects cannot be written.");
}

static int presign(struct object_call *o, struct slice key, const struct object_link *link, const char **ret_url)
{
	(void)o;
	(void)key;
	(void)link;
	(void)ret_url;
	return ERR_UNSUPPORTED;
}

const struct object_kind object_kind_local = {
	.provider = "LOCAL",
	.put = put,
	.begin = begin,
	.part = part,
	.check = check,
	.complete = complete,
	.abandon = abandon,
	.head = head,
	.get = get,
	.remove = remove_object,
	.presign = presign,
};
