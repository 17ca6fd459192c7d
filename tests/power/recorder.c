/*
 * Put before the C library of a `lulab serve`, this records what the process
 * does to the files below POWER_DIR, and what it answers over HTTP, into the
 * file POWER_TRACE (trace.h has the form; a further run is appended).
 *
 * A call that changes something is made and recorded under one lock, so that
 * the trace has the order in which they took effect. A sync is not: its
 * beginning is recorded before the call and its end after it, and others may
 * write meanwhile. An answer is recorded before it is sent.
 *
 * With POWER_EXIT the end of the process is an answer as well, "exit STATUS": what a command says it has done. It
 * comes before what the command still has to print.
 *
 * POWER_WAL_PAGES=n makes SQLite checkpoint after so many pages: the run is
 * small, its checkpoints should not be rare.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "trace.h"

#define FDS_MAX 65536
#define ANSWER_MAX 2048 /* its head is enough */

struct file {
	bool watched, dsync;
	uint64_t ino;
};

static struct {
	pthread_mutex_t lock;
	char dir[PATH_MAX];
	size_t dir_len;
	int trace_fd;
	uint64_t syncs;
	struct file files[FDS_MAX];
} r = {.lock = PTHREAD_MUTEX_INITIALIZER, .trace_fd = -1};

/* The C library's own, found once, before main(). */
static struct {
	int (*open)(const char *, int, ...);
	int (*close)(int);
	ssize_t (*write)(int, const void *, size_t);
	ssize_t (*writev)(int, const struct iovec *, int);
	ssize_t (*pwrite)(int, const void *, size_t, off_t);
	ssize_t (*pwritev)(int, const struct iovec *, int, off_t);
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
	int (*ftruncate)(int, off_t);
	int (*fsync)(int);
	int (*fdatasync)(int);
	int (*rename)(const char *, const char *);
	int (*link)(const char *, const char *);
	int (*unlink)(const char *);
	int (*rmdir)(const char *);
	int (*mkdir)(const char *, mode_t);
	void *(*mmap)(void *, size_t, int, int, int, off_t);
	int (*sqlite3_exec)(void *, const char *, void *, void *, char **);
	int (*sqlite3_wal_autocheckpoint)(void *, int);
} real;

/* ---- writing the trace ------------------------------------------------------ */

static void die(const char *why)
{
	fprintf(stderr, "recorder: %s: %s\n", why, strerror(errno));
	abort();
}

/* Under the lock. */
static void put(enum trace_kind kind, uint64_t ino, uint64_t offset, uint64_t arg, const struct iovec *bytes, int n)
{
	struct trace_op op = {.kind = kind, .ino = ino, .offset = offset, .arg = arg};
	struct iovec all[64] = {{&op, sizeof(op)}};
	size_t total = sizeof(op);

	if (n > 63)
		die("too many pieces");
	for (int i = 0; i < n; i++) {
		all[1 + i] = bytes[i];
		op.len += (uint32_t)bytes[i].iov_len;
	}
	total += op.len;
	if (syscall(SYS_writev, r.trace_fd, all, 1 + n) != (ssize_t)total)
		die("the trace cannot be written");
}

static void put_name(enum trace_kind kind, uint64_t ino, uint64_t dir, uint64_t arg, const char *name)
{
	struct iovec v = {(void *)(uintptr_t)name, strlen(name)};

	put(kind, ino, dir, arg, &v, 1);
}

static void lock(void)
{
	pthread_mutex_lock(&r.lock);
}

static void unlock(void)
{
	int err = errno;

	pthread_mutex_unlock(&r.lock);
	errno = err;
}

/* ---- paths and descriptors --------------------------------------------------- */

static bool is_watched(const char *path)
{
	return r.trace_fd >= 0 && strncmp(path, r.dir, r.dir_len) == 0 && (path[r.dir_len] == '/' || path[r.dir_len] == '\0');
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

static uint64_t ino_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? st.st_ino : 0;
}

static uint64_t parent_ino(const char *path)
{
	char dir[PATH_MAX];
	size_t len = (size_t)(last_part(path) - path);

	memcpy(dir, path, len);
	dir[len > 0 ? len - 1 : 0] = '\0';
	return ino_of(dir);
}

static struct file *file_of(int fd)
{
	return fd >= 0 && fd < FDS_MAX && r.files[fd].watched ? &r.files[fd] : NULL;
}

static void note_exit(int status, void *arg)
{
	char text[32];
	struct iovec v = {text, (size_t)snprintf(text, sizeof(text), "exit %d", status)};

	(void)arg;
	lock();
	put(TRACE_ANSWER, 0, 0, 0, &v, 1);
	unlock();
}

__attribute__((constructor)) static void begin(void)
{
	const char *dir = getenv("POWER_DIR"), *trace = getenv("POWER_TRACE");
	struct stat st;

#define FIND(name) *(void **)&real.name = dlsym(RTLD_NEXT, #name)
	FIND(open);
	FIND(close);
	FIND(write);
	FIND(writev);
	FIND(pwrite);
	FIND(pwritev);
	FIND(sendmsg);
	FIND(ftruncate);
	FIND(fsync);
	FIND(fdatasync);
	FIND(rename);
	FIND(link);
	FIND(unlink);
	FIND(rmdir);
	FIND(mkdir);
	FIND(mmap);
	FIND(sqlite3_exec);
	FIND(sqlite3_wal_autocheckpoint);
#undef FIND
	if (dir == NULL || trace == NULL)
		return;
	r.dir_len = strlen(dir);
	memcpy(r.dir, dir, r.dir_len + 1);
	r.trace_fd = (int)syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (r.trace_fd < 0 || fstat(r.trace_fd, &st) != 0)
		die(trace);
	r.syncs = (uint64_t)st.st_size; /* numbers of this run are above those of the last */
	if (st.st_size == 0)
		put(TRACE_ROOT, ino_of(dir), 0, 0, NULL, 0);
	put(TRACE_START, 0, 0, 0, NULL, 0);
	if (getenv("POWER_EXIT") != NULL)
		on_exit(note_exit, NULL);
}

static int open_watched(const char *path, int flags, mode_t mode)
{
	struct stat st;
	uint64_t before;
	int fd;

	lock();
	before = ino_of(path);
	fd = real.open(path, flags, mode);
	if (fd >= 0 && fd < FDS_MAX && fstat(fd, &st) == 0) {
		r.files[fd] = (struct file){.watched = true, .dsync = (flags & O_DSYNC) != 0, .ino = st.st_ino};
		if (before == 0)
			put_name(TRACE_CREATE, st.st_ino, parent_ino(path), 0, last_part(path));
		else if ((flags & O_TRUNC) != 0)
			put(TRACE_TRUNCATE, st.st_ino, 0, 0, NULL, 0);
	}
	unlock();
	return fd;
}

int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	if ((flags & O_CREAT) != 0) {
		va_list args;

		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return is_watched(path) ? open_watched(path, flags, mode) : real.open(path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int close(int fd)
{
	lock();
	if (fd >= 0 && fd < FDS_MAX)
		r.files[fd].watched = false;
	unlock();
	return real.close(fd);
}

/* ---- writing ------------------------------------------------------------------ */

/* Only the head, and only where one begins: what follows says nothing. */
static void note_answer(const void *bytes, size_t len)
{
	static const char head[] = "HTTP/1.1 2";
	struct iovec v = {(void *)(uintptr_t)bytes, len < ANSWER_MAX ? len : ANSWER_MAX};

	if (r.trace_fd < 0 || len < sizeof(head) - 1 || memcmp(bytes, head, sizeof(head) - 1) != 0)
		return;
	lock();
	put(TRACE_ANSWER, 0, 0, 0, &v, 1);
	unlock();
}

static ssize_t write_watched(struct file *f, int fd, const struct iovec *v, int n, off_t at, bool moves)
{
	uint64_t sync = 0;
	size_t total = 0;
	ssize_t done;

	for (int i = 0; i < n; i++)
		total += v[i].iov_len;
	lock();
	if (moves)
		at = lseek(fd, 0, (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? SEEK_END : SEEK_CUR);
	if (f->dsync)
		sync = ++r.syncs;
	put(TRACE_WRITE, f->ino, (uint64_t)at, sync, v, n);
	if (f->dsync)
		unlock();
	done = moves ? real.writev(fd, v, n) : real.pwritev(fd, v, n, at);
	if (done != (ssize_t)total)
		die("a write was cut short");
	if (f->dsync) {
		lock();
		put(TRACE_END, 0, 0, sync, NULL, 0);
	}
	unlock();
	return done;
}

ssize_t write(int fd, const void *bytes, size_t len)
{
	struct iovec v = {(void *)(uintptr_t)bytes, len};
	struct file *f = file_of(fd);

	if (f != NULL)
		return write_watched(f, fd, &v, 1, 0, true);
	note_answer(bytes, len);
	return real.write(fd, bytes, len);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	struct file *f = file_of(fd);

	if (f != NULL)
		return write_watched(f, fd, v, n, 0, true);
	if (n > 0)
		note_answer(v[0].iov_base, v[0].iov_len);
	return real.writev(fd, v, n);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	if (msg->msg_iovlen > 0)
		note_answer(msg->msg_iov[0].iov_base, msg->msg_iov[0].iov_len);
	return real.sendmsg(fd, msg, flags);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	struct iovec v = {(void *)(uintptr_t)bytes, len};
	struct file *f = file_of(fd);

	return f != NULL ? write_watched(f, fd, &v, 1, at, false) : real.pwrite(fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at) __attribute__((alias("pwrite")));

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	struct file *f = file_of(fd);

	return f != NULL ? write_watched(f, fd, v, n, at, false) : real.pwritev(fd, v, n, at);
}

ssize_t pwritev64(int fd, const struct iovec *v, int n, off_t at) __attribute__((alias("pwritev")));

int ftruncate(int fd, off_t size)
{
	struct file *f = file_of(fd);
	int rc;

	if (f == NULL)
		return real.ftruncate(fd, size);
	lock();
	rc = real.ftruncate(fd, size);
	if (rc == 0)
		put(TRACE_TRUNCATE, f->ino, 0, (uint64_t)size, NULL, 0);
	unlock();
	return rc;
}

int ftruncate64(int fd, off_t size) __attribute__((alias("ftruncate")));

/* Ways to write that nobody here uses; should somebody begin to, the trace would lie. */
int fallocate(int fd, int mode, off_t at, off_t len)
{
	if (file_of(fd) != NULL)
		die("fallocate is not recorded");
	return (int)syscall(SYS_fallocate, fd, mode, at, len);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
	return fallocate(fd, 0, at, len) == 0 ? 0 : errno;
}

int truncate(const char *path, off_t size)
{
	if (is_watched(path))
		die("truncate is not recorded");
	return (int)syscall(SYS_truncate, path, size);
}

/* ---- syncing -------------------------------------------------------------------- */

static int sync_watched(struct file *f, int fd, int (*how)(int))
{
	uint64_t sync;
	int rc;

	lock();
	sync = ++r.syncs;
	put(TRACE_BEGIN, f->ino, 0, sync, NULL, 0);
	unlock();
	rc = how(fd);
	lock();
	if (rc == 0)
		put(TRACE_END, 0, 0, sync, NULL, 0);
	unlock();
	return rc;
}

int fsync(int fd)
{
	struct file *f = file_of(fd);

	return f != NULL ? sync_watched(f, fd, real.fsync) : real.fsync(fd);
}

int fdatasync(int fd)
{
	struct file *f = file_of(fd);

	return f != NULL ? sync_watched(f, fd, real.fdatasync) : real.fdatasync(fd);
}

/* ---- names ------------------------------------------------------------------------ */

int mkdir(const char *path, mode_t mode)
{
	int rc;

	if (!is_watched(path))
		return real.mkdir(path, mode);
	lock();
	rc = real.mkdir(path, mode);
	if (rc == 0)
		put_name(TRACE_MKDIR, ino_of(path), parent_ino(path), 0, last_part(path));
	unlock();
	return rc;
}

int rename(const char *from, const char *to)
{
	const char *names[] = {last_part(from), last_part(to)};
	struct iovec v[2] = {{(void *)(uintptr_t)names[0], strlen(names[0]) + 1}, {(void *)(uintptr_t)names[1], strlen(names[1])}};
	int rc;

	if (!is_watched(from) && !is_watched(to))
		return real.rename(from, to);
	lock();
	rc = real.rename(from, to);
	if (rc == 0)
		put(TRACE_RENAME, ino_of(to), parent_ino(from), parent_ino(to), v, 2);
	unlock();
	return rc;
}

int link(const char *from, const char *to)
{
	int rc;

	if (!is_watched(to))
		return real.link(from, to);
	lock();
	rc = real.link(from, to);
	if (rc == 0)
		put_name(TRACE_LINK, ino_of(to), parent_ino(to), 0, last_part(to));
	unlock();
	return rc;
}

static int remove_watched(const char *path, int (*how)(const char *))
{
	uint64_t ino;
	int rc;

	lock();
	ino = ino_of(path);
	rc = how(path);
	if (rc == 0)
		put_name(TRACE_UNLINK, ino, parent_ino(path), 0, last_part(path));
	unlock();
	return rc;
}

int unlink(const char *path)
{
	return is_watched(path) ? remove_watched(path, real.unlink) : real.unlink(path);
}

int rmdir(const char *path)
{
	return is_watched(path) ? remove_watched(path, real.rmdir) : real.rmdir(path);
}

int remove(const char *path)
{
	return unlink(path) == 0 ? 0 : errno == EISDIR ? rmdir(path) : -1;
}

/* ---- memory, libraries --------------------------------------------------------------- */

void *mmap(void *where, size_t len, int prot, int flags, int fd, off_t at)
{
	struct file *f = file_of(fd);

	if (f != NULL && (prot & PROT_WRITE) != 0 && (flags & MAP_SHARED) != 0) {
		lock();
		put(TRACE_MAPPED, f->ino, 0, 0, NULL, 0);
		unlock();
	}
	return real.mmap(where, len, prot, flags, fd, at);
}

void *mmap64(void *where, size_t len, int prot, int flags, int fd, off_t at) __attribute__((alias("mmap")));

/* As in sqlite3.h, its handle as a void *. */
int sqlite3_exec(void *db, const char *sql, void *each, void *arg, char **ret_problem);
int sqlite3_exec(void *db, const char *sql, void *each, void *arg, char **ret_problem)
{
	const char *pages = getenv("POWER_WAL_PAGES");
	int rc = real.sqlite3_exec(db, sql, each, arg, ret_problem);

	if (rc == 0 && pages != NULL && strstr(sql, "wal_autocheckpoint") != NULL)
		real.sqlite3_wal_autocheckpoint(db, (int)strtol(pages, NULL, 10));
	return rc;
}
