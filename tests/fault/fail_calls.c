/*
 * System calls and allocations that fail on demand, at a chosen ordinal, in the
 * program and in every library it uses.
 *
 * Put before the C library (LD_PRELOAD) of a service under test. The file named
 * by FAIL_CALLS is shared memory between the service and who tests it
 * (tests/fault/calls.py): the tester writes which kind of call shall fail, at
 * which ordinal and how; this side counts calls and notes who was hit.
 *
 *     OFFSET  SIZE  MEANING (numbers are little-endian u64)
 *          0     8  how many kinds there are; set when the library is ready
 *          8     8  armed: 1 + the number of the kind that fails, 0: none
 *         16     8  ordinal: of the first call that fails, 1 is the next one
 *         24     8  mode: 0 once, 1 from then on, 2 every second one from then on, 3 none fails but the
 *                   stack of each is noted, by which calls from one place can be told apart from others
 *         32     8  errno to give; 0: a short count instead
 *         40     8  fired: how many calls have failed
 *         48     8  blocks of memory allocated and not freed
 *         64   192  caller of abort(), else of the latest that failed: module+offset
 *        256   768  stack of the first that failed: module+offset, ...
 *       1024  32*n  per kind: its name (24 bytes) and its calls
 *       8192  4*n   mode 3: per call a hash of its stack
 *
 * What fails has no effect, except close(), which always closes. Calls of one
 * name that may fail in different ways are different kinds: by what the
 * descriptor is (read_file, read_socket, read_event).
 *
 * Its own functions bear other names than the library's, whose symbols they
 * take by label; so no header's declaration is in the way.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define KINDS(X) \
	X(malloc) X(calloc) X(realloc) X(memalign) X(mmap) X(mremap) \
	X(read_file) X(read_socket) X(read_event) X(pread) \
	X(write_log) X(write_file) X(write_socket) X(write_event) X(pwrite) X(writev_file) X(writev_socket) \
	X(fsync) X(fdatasync) X(ftruncate) X(open) X(close) X(lock) X(stat) X(access) \
	X(unlink) X(rename) X(link) X(mkdir) X(rmdir) X(statvfs) \
	X(socket) X(bind) X(listen) X(accept) X(shutdown) X(setsockopt) X(sockname) \
	X(epoll_create) X(epoll_ctl) X(epoll_wait) X(eventfd) X(pipe) X(thread)

enum kind {
#define X(name) KIND_##name,
	KINDS(X)
#undef X
	KIND_COUNT
};

enum mode { ONCE, FROM_THEN_ON, EVERY_SECOND, NOTE };

#define NOTED_MAX 65536
#define FRAMES_HASHED 24

struct control {
	_Atomic uint64_t n_kinds, armed, ordinal, mode, errnum, fired;
	_Atomic int64_t blocks;
	char unused[8];
	char latest[192];
	char site[768];
	struct {
		char name[24];
		_Atomic uint64_t calls;
	} kinds[KIND_COUNT];
	char rest[8192 - 1024 - KIND_COUNT * 32];
	uint32_t stacks[NOTED_MAX];
};
_Static_assert(offsetof(struct control, latest) == 64, "as described");
_Static_assert(offsetof(struct control, site) == 256, "as described");
_Static_assert(offsetof(struct control, kinds) == 1024, "as described");
_Static_assert(offsetof(struct control, stacks) == 8192, "as described");

#define LABEL(symbol) __asm__(symbol)
#define STATIC_TLS __attribute__((tls_model("initial-exec"))) /* or the first use would allocate */

static struct control *control;
static atomic_bool aborting;
static STATIC_TLS _Thread_local bool looking; /* at the stack, which allocates */

/* The system's own, under any of its names. */
#define REAL(number, ...) syscall(number, __VA_ARGS__)

/* "lulab+0x1234 ", at most 80 bytes; how many. */
static size_t note_frame(char *text, void *frame)
{
	const char *module = "?", *slash;
	uintptr_t base = 0;
	Dl_info info;

	if (dladdr(frame, &info) != 0 && info.dli_fname != NULL) {
		slash = strrchr(info.dli_fname, '/');
		module = slash != NULL ? slash + 1 : info.dli_fname;
		base = (uintptr_t)info.dli_fbase;
	}
	return (size_t)snprintf(text, 80, "%.40s+0x%lx ", module, (unsigned long)((uintptr_t)frame - base));
}

/* "lulab+0x1234 liblmdb.so.0+0x567": who made the call that fails. */
static void note_site(char *text, size_t len, int depth)
{
	void *frames[24];
	size_t used = 0;
	int n;

	looking = true;
	n = backtrace(frames, depth);
	text[0] = '\0';
	for (int i = 3; i < n && used < len - 80; i++) /* 3: ours */
		used += note_frame(text + used, frames[i]);
	looking = false;
}

/* Frames of ours first; the rest tells the place. */
static void note_stack(uint64_t n)
{
	void *frames[FRAMES_HASHED];
	uint32_t hash = 2166136261u;
	int depth;

	if (n > NOTED_MAX)
		return;
	looking = true;
	depth = backtrace(frames, FRAMES_HASHED);
	for (int i = 2; i < depth; i++)
		hash = (hash ^ (uint32_t)((uintptr_t)frames[i] ^ (uintptr_t)frames[i] >> 32)) * 16777619u;
	looking = false;
	control->stacks[n - 1] = hash | 1; /* 0: no call */
}

/* Counts the call; true when it is to fail, with errno set. `can_be_short` tells whether errno 0 makes sense here. */
static bool fails_or_short(enum kind kind, bool can_be_short)
{
	uint64_t n, ordinal, mode;

	if (control == NULL || looking)
		return false;
	n = atomic_fetch_add(&control->kinds[kind].calls, 1) + 1;
	if (atomic_load(&control->armed) != (uint64_t)kind + 1)
		return false;
	ordinal = atomic_load(&control->ordinal);
	mode = atomic_load(&control->mode);
	if (mode == NOTE) {
		note_stack(n);
		return false;
	}
	if (n < ordinal || (mode == ONCE && n != ordinal) || (mode == EVERY_SECOND && (n - ordinal) % 2 != 0))
		return false;
	if (atomic_load(&control->errnum) == 0 && !can_be_short)
		return false;
	if (atomic_fetch_add(&control->fired, 1) == 0)
		note_site(control->site, sizeof(control->site), 24);
	if (!atomic_load(&aborting))
		note_site(control->latest, sizeof(control->latest), 6);
	errno = (int)atomic_load(&control->errnum);
	return true;
}

__attribute__((noinline)) static bool fails(enum kind kind)
{
	return fails_or_short(kind, false);
}

/* How many bytes to move instead of len; -1: none, it fails. */
static ssize_t allowed(enum kind kind, size_t len)
{
	if (!fails_or_short(kind, len > 1))
		return (ssize_t)len;
	return errno == 0 ? (ssize_t)(len / 2) : -1;
}

__attribute__((constructor)) static void begin(void)
{
	static const char *const names[] = {
#define X(name) #name,
	    KINDS(X)
#undef X
	};
	const char *path = getenv("FAIL_CALLS");
	struct control *c;
	void *frame;
	int fd;

	if (path == NULL)
		return;
	backtrace(&frame, 1); /* its first use loads a library */
	fd = (int)REAL(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		abort();
	c = (struct control *)REAL(SYS_mmap, NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (c == MAP_FAILED)
		abort();
	REAL(SYS_close, fd);
	for (size_t i = 0; i < KIND_COUNT; i++)
		snprintf(c->kinds[i].name, sizeof(c->kinds[i].name), "%s", names[i]);
	atomic_store(&c->n_kinds, KIND_COUNT);
	control = c;
}

/* ---- memory ------------------------------------------------------------------------ */

#ifdef SANITIZED /* linked into the program: the sanitizer's are called, ours are found first */
/* What the C library keeps of a library that backtrace() loads. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:dl_open_worker_begin\n";
}

void *__interceptor_malloc(size_t size);
void *__interceptor_calloc(size_t n, size_t size);
void *__interceptor_realloc(void *ptr, size_t size);
int __interceptor_posix_memalign(void **ret, size_t align, size_t size);
void __interceptor_free(void *ptr);
int __interceptor_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
#define real_malloc __interceptor_malloc
#define real_calloc __interceptor_calloc
#define real_realloc __interceptor_realloc
#define real_free __interceptor_free
#define real_pthread_create __interceptor_pthread_create
static int real_memalign(void **ret, size_t align, size_t size)
{
	return __interceptor_posix_memalign(ret, align, size);
}
#else
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t align, size_t size);
void __libc_free(void *ptr);
#define real_malloc __libc_malloc
#define real_calloc __libc_calloc
#define real_realloc __libc_realloc
#define real_free __libc_free
static int real_memalign(void **ret, size_t align, size_t size)
{
	*ret = __libc_memalign(align, size);
	return *ret != NULL ? 0 : ENOMEM;
}

static int real_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	static int (*_Atomic next)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

	if (next == NULL) {
		int (*found)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

		*(void **)&found = dlsym(RTLD_NEXT, "pthread_create");
		next = found;
	}
	return next(ret, attr, run, arg);
}
#endif

static void *counted(void *ptr)
{
	if (ptr != NULL && control != NULL && !looking)
		atomic_fetch_add_explicit(&control->blocks, 1, memory_order_relaxed);
	return ptr;
}

void *call_malloc(size_t size) LABEL("malloc");
void *call_calloc(size_t n, size_t size) LABEL("calloc");
void *call_realloc(void *ptr, size_t size) LABEL("realloc");
int call_posix_memalign(void **ret, size_t align, size_t size) LABEL("posix_memalign");
void *call_aligned_alloc(size_t align, size_t size) LABEL("aligned_alloc");
void call_free(void *ptr) LABEL("free");

void *call_malloc(size_t size)
{
	return fails(KIND_malloc) ? NULL : counted(real_malloc(size));
}

void *call_calloc(size_t n, size_t size)
{
	return fails(KIND_calloc) ? NULL : counted(real_calloc(n, size));
}

void *call_realloc(void *ptr, size_t size)
{
	void *moved;

	if (fails(KIND_realloc))
		return NULL;
	moved = real_realloc(ptr, size);
	return ptr == NULL ? counted(moved) : moved;
}

int call_posix_memalign(void **ret, size_t align, size_t size)
{
	int rc = fails(KIND_memalign) ? ENOMEM : real_memalign(ret, align, size);

	if (rc == 0)
		counted(*ret);
	return rc;
}

void *call_aligned_alloc(size_t align, size_t size)
{
	void *ptr = NULL;

	return call_posix_memalign(&ptr, align, size) == 0 ? ptr : NULL;
}

void call_free(void *ptr)
{
	if (ptr != NULL && control != NULL && !looking)
		atomic_fetch_sub_explicit(&control->blocks, 1, memory_order_relaxed);
	real_free(ptr);
}

void *call_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset) LABEL("mmap");
void *call_mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset) LABEL("mmap64");
void *call_mremap(void *at, size_t old_len, size_t len, int flags, ...) LABEL("mremap");

void *call_mmap(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	return fails(KIND_mmap) ? MAP_FAILED : (void *)REAL(SYS_mmap, at, len, protection, flags, fd, offset);
}

void *call_mmap64(void *at, size_t len, int protection, int flags, int fd, off_t offset)
{
	return call_mmap(at, len, protection, flags, fd, offset);
}

void *call_mremap(void *at, size_t old_len, size_t len, int flags, ...)
{
	return fails(KIND_mremap) ? MAP_FAILED : (void *)REAL(SYS_mremap, at, old_len, len, flags);
}

/* ---- bytes ------------------------------------------------------------------------- */

static enum kind by_descriptor(int fd, enum kind file, enum kind socket, enum kind event)
{
	int old = errno;
	struct stat st;
	mode_t mode = REAL(SYS_fstat, fd, &st) == 0 ? st.st_mode & S_IFMT : S_IFREG;

	errno = old;
	return mode == S_IFREG || mode == S_IFDIR ? file : mode == S_IFSOCK ? socket : event;
}

ssize_t call_read(int fd, void *bytes, size_t len) LABEL("read");
ssize_t call_write(int fd, const void *bytes, size_t len) LABEL("write");
ssize_t call_writev(int fd, const struct iovec *parts, int n) LABEL("writev");
ssize_t call_pread(int fd, void *bytes, size_t len, off_t at) LABEL("pread");
ssize_t call_pread64(int fd, void *bytes, size_t len, off_t at) LABEL("pread64");
ssize_t call_pwrite(int fd, const void *bytes, size_t len, off_t at) LABEL("pwrite");
ssize_t call_pwrite64(int fd, const void *bytes, size_t len, off_t at) LABEL("pwrite64");

ssize_t call_read(int fd, void *bytes, size_t len)
{
	ssize_t n = allowed(by_descriptor(fd, KIND_read_file, KIND_read_socket, KIND_read_event), len);

	return n < 0 ? -1 : REAL(SYS_read, fd, bytes, n);
}

ssize_t call_write(int fd, const void *bytes, size_t len)
{
	enum kind kind = fd <= STDERR_FILENO ? KIND_write_log
	                                     : by_descriptor(fd, KIND_write_file, KIND_write_socket, KIND_write_event);
	ssize_t n = allowed(kind, len);

	return n < 0 ? -1 : REAL(SYS_write, fd, bytes, n);
}

ssize_t call_writev(int fd, const struct iovec *parts, int n)
{
	ssize_t len = allowed(by_descriptor(fd, KIND_writev_file, KIND_writev_socket, KIND_write_event),
	    n > 0 ? parts[0].iov_len : 0);

	if (len < 0)
		return -1;
	if (n > 0 && (size_t)len < parts[0].iov_len)
		return REAL(SYS_write, fd, parts[0].iov_base, len);
	return REAL(SYS_writev, fd, parts, n);
}

ssize_t call_pread(int fd, void *bytes, size_t len, off_t at)
{
	ssize_t n = allowed(KIND_pread, len);

	return n < 0 ? -1 : REAL(SYS_pread64, fd, bytes, n, at);
}

ssize_t call_pread64(int fd, void *bytes, size_t len, off_t at)
{
	return call_pread(fd, bytes, len, at);
}

ssize_t call_pwrite(int fd, const void *bytes, size_t len, off_t at)
{
	ssize_t n = allowed(KIND_pwrite, len);

	return n < 0 ? -1 : REAL(SYS_pwrite64, fd, bytes, n, at);
}

ssize_t call_pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
	return call_pwrite(fd, bytes, len, at);
}

/* ---- calls that do something or do not ------------------------------------------------ */

/* NAME(parameters) is the system call NUMBER(arguments) and of KIND. */
#define CALL(name, kind, number, parameters, ...) \
	int call_##name parameters LABEL(#name); \
	int call_##name parameters \
	{ \
		return fails(KIND_##kind) ? -1 : (int)REAL(number, __VA_ARGS__); \
	}

CALL(fsync, fsync, SYS_fsync, (int fd), fd)
CALL(fdatasync, fdatasync, SYS_fdatasync, (int fd), fd)
CALL(ftruncate, ftruncate, SYS_ftruncate, (int fd, off_t len), fd, len)
CALL(ftruncate64, ftruncate, SYS_ftruncate, (int fd, off_t len), fd, len)
CALL(flock, lock, SYS_flock, (int fd, int what), fd, what)
CALL(fstat, stat, SYS_fstat, (int fd, struct stat *st), fd, st)
CALL(fstat64, stat, SYS_fstat, (int fd, struct stat *st), fd, st)
CALL(stat, stat, SYS_stat, (const char *path, struct stat *st), path, st)
CALL(stat64, stat, SYS_stat, (const char *path, struct stat *st), path, st)
CALL(lstat, stat, SYS_lstat, (const char *path, struct stat *st), path, st)
CALL(lstat64, stat, SYS_lstat, (const char *path, struct stat *st), path, st)
CALL(__fxstat, stat, SYS_fstat, (int version, int fd, struct stat *st), ((void)version, fd), st)
CALL(access, access, SYS_access, (const char *path, int mode), path, mode)
CALL(unlink, unlink, SYS_unlink, (const char *path), path)
CALL(rename, rename, SYS_rename, (const char *from, const char *to), from, to)
CALL(link, link, SYS_link, (const char *from, const char *to), from, to)
CALL(mkdir, mkdir, SYS_mkdir, (const char *path, mode_t mode), path, mode)
CALL(rmdir, rmdir, SYS_rmdir, (const char *path), path)
CALL(socket, socket, SYS_socket, (int family, int type, int protocol), family, type, protocol)
CALL(bind, bind, SYS_bind, (int fd, const struct sockaddr *a, socklen_t len), fd, a, len)
CALL(listen, listen, SYS_listen, (int fd, int backlog), fd, backlog)
CALL(accept4, accept, SYS_accept4, (int fd, struct sockaddr *a, socklen_t *len, int flags), fd, a, len, flags)
CALL(shutdown, shutdown, SYS_shutdown, (int fd, int how), fd, how)
CALL(setsockopt, setsockopt, SYS_setsockopt, (int fd, int level, int name, const void *value, socklen_t len), fd, level,
    name, value, len)
CALL(getsockname, sockname, SYS_getsockname, (int fd, struct sockaddr *a, socklen_t *len), fd, a, len)
CALL(getpeername, sockname, SYS_getpeername, (int fd, struct sockaddr *a, socklen_t *len), fd, a, len)
CALL(epoll_create1, epoll_create, SYS_epoll_create1, (int flags), flags)
CALL(epoll_ctl, epoll_ctl, SYS_epoll_ctl, (int fd, int what, int of, void *event), fd, what, of, event)
CALL(epoll_pwait, epoll_wait, SYS_epoll_pwait, (int fd, void *events, int n, int timeout_ms, const void *signals), fd,
    events, n, timeout_ms, signals, _NSIG / 8)
CALL(epoll_wait, epoll_wait, SYS_epoll_wait, (int fd, void *events, int n, int timeout_ms), fd, events, n, timeout_ms)
CALL(eventfd, eventfd, SYS_eventfd2, (unsigned start, int flags), start, flags)
CALL(pipe2, pipe, SYS_pipe2, (int ends[2], int flags), ends, flags)

int call_close(int fd) LABEL("close");
int call_close(int fd)
{
	int rc = (int)REAL(SYS_close, fd);

	return fails(KIND_close) ? -1 : rc;
}

int call_open(const char *path, int flags, ...) LABEL("open");
int call_open64(const char *path, int flags, ...) LABEL("open64");

static int open_as(const char *path, int flags, mode_t mode)
{
	return fails(KIND_open) ? -1 : (int)REAL(SYS_openat, AT_FDCWD, path, flags, mode);
}

#define OPEN(name) \
	int call_##name(const char *path, int flags, ...) \
	{ \
		mode_t mode = 0; \
		va_list rest; \
		if ((flags & (O_CREAT | __O_TMPFILE)) != 0) { \
			va_start(rest, flags); \
			mode = va_arg(rest, mode_t); \
			va_end(rest); \
		} \
		return open_as(path, flags, mode); \
	}
OPEN(open)
OPEN(open64)

int call_fcntl(int fd, int what, ...) LABEL("fcntl");
int call_fcntl64(int fd, int what, ...) LABEL("fcntl64");

static int fcntl_as(int fd, int what, void *argument)
{
	/* Giving a lock back does not fail. */
	bool locks = (what == F_SETLK || what == F_SETLKW) && ((struct flock *)argument)->l_type != F_UNLCK;

	return locks && fails(KIND_lock) ? -1 : (int)REAL(SYS_fcntl, fd, what, argument);
}

#define FCNTL(name) \
	int call_##name(int fd, int what, ...) \
	{ \
		void *argument; \
		va_list rest; \
		va_start(rest, what); \
		argument = va_arg(rest, void *); \
		va_end(rest); \
		return fcntl_as(fd, what, argument); \
	}
FCNTL(fcntl)
FCNTL(fcntl64)

/* Not one system call but the library's: found behind us. */
int call_statvfs(const char *path, struct statvfs *ret) LABEL("statvfs64");
int call_statvfs(const char *path, struct statvfs *ret)
{
	int (*next)(const char *, struct statvfs *);

	if (fails(KIND_statvfs))
		return -1;
	*(void **)&next = dlsym(RTLD_NEXT, "statvfs64");
	return next(path, ret);
}

/* Who gives up is told, not who failed meanwhile on another thread. */
void call_abort(void) LABEL("abort") __attribute__((noreturn));
void call_abort(void)
{
	void (*next)(void);

	if (control != NULL && !atomic_exchange(&aborting, true))
		note_frame(control->latest, __builtin_return_address(0));
	*(void **)&next = dlsym(RTLD_NEXT, "abort");
	next();
	_exit(EXIT_FAILURE);
}

int call_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *), void *arg) LABEL("pthread_create");
int call_pthread_create(pthread_t *ret, const pthread_attr_t *attr, void *(*run)(void *), void *arg)
{
	return fails(KIND_thread) ? EAGAIN : real_pthread_create(ret, attr, run, arg);
}
