/*
 * See lib/failing.h. The linker's --wrap puts these before the libraries' own.
 * What fails has no effect, but for what has to end in any case: a commit
 * gives its transaction back, a close closes.
 */
#include "lib/failing.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <lmdb.h>
#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <uv.h>

#include "base/arena.h"

/*
 * libuv closes descriptors by a system call of its own that the thread sanitizer does not see, so a number that another
 * thread gets next looks to it like one that two threads have. Only what it keeps of descriptors is touched by these.
 */
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race_top:epoll_create1\nrace_top:epoll_ctl\nrace_top:epoll_wait\nrace_top:eventfd\nrace_top:pipe2\n";
}

#define OWN_FRAMES_MAX 5 /* of this file, in every stack; a sanitizer has one, too */
#define FRAMES 19
#define PLACES_MAX 32768 /* power of two */

enum { NOTHING, NOTING, FAILING };

static _Atomic int mode;
static _Atomic unsigned kinds;
static _Atomic(const char *) failed;

/* A place: the stack, and of it the address the call returns to, which is cheap to look at. */
struct place {
	uint64_t hash;
	const void *caller;
};

/* Those that were seen, by their hash, and those of this walk in their order; `lock` guards them. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t seen[PLACES_MAX];
static struct place places[PLACES_MAX / 2];
static unsigned n_seen, n_places;
static _Atomic(const void *) fails_caller;
static _Atomic uint64_t fails_hash;
static unsigned lasts; /* calls that fail in a row */
static _Atomic unsigned n_acts;
static _Thread_local unsigned left, left_of; /* calls of this thread that fail yet, in that act */
static _Thread_local bool inside; /* the test's own code: its calls neither count nor fail */
static const char *const *threads; /* names of those whose calls count, closed by NULL; NULL: all */
static _Thread_local const char *const *counted_for; /* what `counted` was found for */
static _Thread_local bool counted;

static int depth; /* frames of a stack that make a place */
static _Atomic(const void *) bottom; /* where act() returns to, run by run: what is beyond is ours */

/* From the call outwards: what is within differs between builds. */
static __attribute__((noinline)) uint64_t stack_hash(const void *caller)
{
	void *frames[FRAMES];
	uint64_t hash = 14695981039346656037u;
	int n, from = 0;

	inside = true; /* it may allocate */
	n = backtrace(frames, FRAMES < OWN_FRAMES_MAX + depth ? FRAMES : OWN_FRAMES_MAX + depth);
	inside = false;
	while (from < n && frames[from] != caller)
		from++;
	for (int i = from; i < n && i < from + depth && frames[i] != atomic_load(&bottom); i++)
		hash = (hash ^ (uint64_t)(uintptr_t)frames[i]) * 1099511628211u;
	return hash | 1;
}

static __attribute__((noinline)) void note(const void *caller)
{
	uint64_t hash = stack_hash(caller);
	unsigned i = (unsigned)hash & (PLACES_MAX - 1);

	pthread_mutex_lock(&lock);
	while (seen[i] != 0 && seen[i] != hash)
		i = (i + 1) & (PLACES_MAX - 1);
	if (seen[i] == 0 && n_seen < PLACES_MAX / 2) {
		seen[i] = hash;
		n_seen++;
		places[n_places++] = (struct place){hash, caller};
	}
	pthread_mutex_unlock(&lock);
}

static __attribute__((noinline)) bool is_the_place(const void *caller)
{
	return caller == atomic_load(&fails_caller) && stack_hash(caller) == atomic_load(&fails_hash);
}

static bool trace;

static void tell_stack(const char *name)
{
	void *frames[FRAMES];

	inside = true;
	fprintf(stderr, "failing: %s\n", name);
	backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
	inside = false;
}

static bool is_counted(void)
{
	char name[16] = "";

	if (threads == NULL)
		return true;
	if (counted_for != threads) {
		counted = false;
		pthread_getname_np(pthread_self(), name, sizeof(name));
		for (const char *const *one = threads; *one != NULL; one++)
			counted = counted || strcmp(*one, name) == 0;
		counted_for = threads;
	}
	return counted;
}

__attribute__((noinline)) bool failing_call(unsigned kind, const char *name, const void *caller)
{
	const char *none = NULL;
	int now = atomic_load(&mode);

	if (now == NOTHING || (kind & atomic_load(&kinds)) == 0 || inside || !is_counted())
		return false;
	if (now == NOTING)
		note(caller);
	else if (atomic_load(&failed) == NULL && is_the_place(caller) && atomic_compare_exchange_strong(&failed, &none, name)) {
		left = lasts;
		left_of = atomic_load(&n_acts);
	}
	if (left == 0 || left_of != atomic_load(&n_acts))
		return false;
	left--;
	if (trace)
		tell_stack(name);
	return true;
}

/* In a function that stands in for `name`. */
#define fails(kind, name) failing_call(kind, name, __builtin_return_address(0))

void failing_pause(void)
{
	inside = true;
}

void failing_go_on(void)
{
	inside = false;
}

static unsigned n_open(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	ck_assert_ptr_nonnull(dir);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return n;
}

/* Another thread may still be closing what it had. */
static void await_closed(unsigned n_before)
{
	uint64_t end_ns = uv_hrtime() + UINT64_C(20000000000);

	while (n_open() > n_before) {
		ck_assert_msg(uv_hrtime() < end_ns, "%u descriptors were open, %u are, after %s failed", n_before, n_open(),
		    failed == NULL ? "nothing" : failed);
		sched_yield();
	}
}

static __attribute__((noinline)) int act(const struct failing_walk *walk, int with)
{
	int rc;

	atomic_store(&bottom, __builtin_return_address(0));
	atomic_fetch_add(&n_acts, 1);
	atomic_store(&mode, with);
	rc = walk->act();
	atomic_store(&mode, NOTHING);
	return rc;
}

static void run(const struct failing_walk *walk, int with)
{
	unsigned n_before;
	int rc;

	if (walk->before != NULL)
		walk->before();
	n_before = n_open();
	atomic_store(&failed, NULL);
	rc = act(walk, with);
	if (with != NOTHING && !walk->runs_on)
		await_closed(n_before);
	if (walk->after != NULL)
		walk->after(rc, failed);
}

unsigned failing_walk(const struct failing_walk *walk)
{
	unsigned n = 0;
	void *warm_up[1];

	backtrace(warm_up, 1); /* loads a library the first time */
	trace = getenv("FAILING_TRACE") != NULL;
	atomic_store(&kinds, walk->kinds);
	threads = walk->threads;
	lasts = walk->lasts == 0 ? 1 : walk->lasts;
	depth = walk->depth == 0 ? FRAMES : (int)walk->depth;
	if (!walk->goes_on) {
		memset(seen, 0, sizeof(seen));
		n_seen = 0;
	}
	n_places = 0;
	run(walk, NOTHING); /* what a library opens once and keeps */
	run(walk, NOTING);
	for (unsigned i = 0; i < n_places; i++) {
		atomic_store(&fails_caller, places[i].caller);
		atomic_store(&fails_hash, places[i].hash);
		run(walk, FAILING);
		n += failed != NULL;
	}
	return n;
}

/* ---- the calls --------------------------------------------------------------------- */

/* Type, name, parameters, arguments; what it does and gives when it fails. */
#define CALL(kind, type, name, params, args, failure)                                              \
	type __real_##name params;                                                                 \
	type __wrap_##name params;                                                                 \
	type __wrap_##name params                                                                  \
	{                                                                                          \
		if (fails(FAILING_##kind, #name)) {                                                \
			failure;                                                                   \
		}                                                                                  \
		return __real_##name args;                                                         \
	}

#define IS(value) return (value)
#define ERRNO(number) errno = (number); return -1

CALL(MEMORY, void *, malloc, (size_t size), (size), IS(NULL))
CALL(MEMORY, void *, calloc, (size_t n, size_t size), (n, size), IS(NULL))
CALL(MEMORY, void *, realloc, (void *ptr, size_t size), (ptr, size), IS(NULL))
CALL(MEMORY, char *, strdup, (const char *text), (text), IS(NULL))

CALL(MEMORY, char *, strndup, (const char *text, size_t len), (text, len), IS(NULL))

CALL(ARENAS, void *, arena_alloc, (struct arena *a, size_t size), (a, size), IS(NULL))
CALL(ARENAS, void *, arena_calloc, (struct arena *a, size_t n, size_t size), (a, n, size), IS(NULL))

struct slice __real_arena_dup(struct arena *a, struct slice bytes);
struct slice __wrap_arena_dup(struct arena *a, struct slice bytes);
struct slice __wrap_arena_dup(struct arena *a, struct slice bytes)
{
	if (bytes.len > 0 && fails(FAILING_ARENAS, "arena_dup")) /* a copy of nothing takes no room */
		return (struct slice){0};
	return __real_arena_dup(a, bytes);
}

char *__wrap_arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *__wrap_arena_printf(struct arena *a, const char *format, ...)
{
	va_list args;
	char *text;
	int len;

	if (fails(FAILING_ARENAS, "arena_printf"))
		return NULL;
	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	text = len < 0 ? NULL : __real_arena_alloc(a, (size_t)len + 1);
	if (text == NULL)
		return NULL;
	va_start(args, format);
	vsnprintf(text, (size_t)len + 1, format, args);
	va_end(args);
	return text;
}

CALL(LMDB, int, mdb_env_create, (MDB_env **env), (env), IS(ENOMEM))
CALL(LMDB, int, mdb_env_set_mapsize, (MDB_env *env, size_t size), (env, size), IS(ENOMEM))
CALL(LMDB, int, mdb_env_set_maxdbs, (MDB_env *env, MDB_dbi n), (env, n), IS(EINVAL))
CALL(LMDB, int, mdb_env_set_maxreaders, (MDB_env *env, unsigned n), (env, n), IS(EINVAL))
CALL(LMDB, int, mdb_env_open, (MDB_env *env, const char *path, unsigned flags, mdb_mode_t access),
    (env, path, flags, access), IS(EIO))
CALL(LMDB, int, mdb_env_sync, (MDB_env *env, int force), (env, force), IS(EIO))
CALL(LMDB, int, mdb_env_copy, (MDB_env *env, const char *path), (env, path), IS(ENOSPC))
CALL(LMDB, int, mdb_reader_check, (MDB_env *env, int *dead), (env, dead), IS(EINVAL))
CALL(LMDB, int, mdb_txn_begin, (MDB_env *env, MDB_txn *parent, unsigned flags, MDB_txn **txn),
    (env, parent, flags, txn), IS(MDB_READERS_FULL))
CALL(LMDB, int, mdb_txn_renew, (MDB_txn *txn), (txn), IS(MDB_READERS_FULL))
CALL(LMDB, int, mdb_txn_commit, (MDB_txn *txn), (txn), mdb_txn_abort(txn); IS(EIO))
CALL(LMDB, int, mdb_dbi_open, (MDB_txn *txn, const char *name, unsigned flags, MDB_dbi *dbi), (txn, name, flags, dbi),
    IS(MDB_DBS_FULL))
CALL(LMDB, int, mdb_stat, (MDB_txn *txn, MDB_dbi dbi, MDB_stat *stat), (txn, dbi, stat), IS(EINVAL))
CALL(LMDB, int, mdb_get, (MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value), (txn, dbi, key, value), IS(EIO))
CALL(LMDB, int, mdb_put, (MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value, unsigned flags),
    (txn, dbi, key, value, flags), IS(MDB_MAP_FULL))
CALL(LMDB, int, mdb_del, (MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value), (txn, dbi, key, value), IS(EIO))
CALL(LMDB, int, mdb_cursor_open, (MDB_txn *txn, MDB_dbi dbi, MDB_cursor **c), (txn, dbi, c), IS(ENOMEM))
CALL(LMDB, int, mdb_cursor_get, (MDB_cursor *c, MDB_val *key, MDB_val *value, MDB_cursor_op op), (c, key, value, op),
    IS(EIO))
CALL(LMDB, int, mdb_cursor_put, (MDB_cursor *c, MDB_val *key, MDB_val *value, unsigned flags), (c, key, value, flags),
    IS(MDB_MAP_FULL))
CALL(LMDB, int, mdb_cursor_del, (MDB_cursor *c, unsigned flags), (c, flags), IS(EIO))

CALL(SQLITE, int, sqlite3_open_v2, (const char *path, sqlite3 **db, int flags, const char *vfs), (path, db, flags, vfs),
    *db = NULL; IS(SQLITE_CANTOPEN))
CALL(SQLITE, int, sqlite3_prepare_v2, (sqlite3 *db, const char *sql, int len, sqlite3_stmt **stmt, const char **tail),
    (db, sql, len, stmt, tail), *stmt = NULL; IS(SQLITE_NOMEM))
CALL(SQLITE, int, sqlite3_prepare_v3,
    (sqlite3 *db, const char *sql, int len, unsigned flags, sqlite3_stmt **stmt, const char **tail),
    (db, sql, len, flags, stmt, tail), *stmt = NULL; IS(SQLITE_NOMEM))
CALL(SQLITE, int, sqlite3_step, (sqlite3_stmt *stmt), (stmt), IS(SQLITE_IOERR_READ))
CALL(SQLITE, int, sqlite3_exec,
    (sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *arg, char **error),
    (db, sql, row, arg, error), IS(SQLITE_FULL))
CALL(SQLITE, int, sqlite3_bind_text, (sqlite3_stmt *stmt, int i, const char *text, int len, void (*end)(void *)),
    (stmt, i, text, len, end), IS(SQLITE_NOMEM))
CALL(SQLITE, int, sqlite3_bind_blob, (sqlite3_stmt *stmt, int i, const void *bytes, int len, void (*end)(void *)),
    (stmt, i, bytes, len, end), IS(SQLITE_NOMEM))
CALL(SQLITE, int, sqlite3_bind_int, (sqlite3_stmt *stmt, int i, int n), (stmt, i, n), IS(SQLITE_NOMEM))
CALL(SQLITE, int, sqlite3_bind_int64, (sqlite3_stmt *stmt, int i, sqlite3_int64 n), (stmt, i, n), IS(SQLITE_NOMEM))
CALL(SQLITE, int, sqlite3_bind_double, (sqlite3_stmt *stmt, int i, double n), (stmt, i, n), IS(SQLITE_NOMEM))
CALL(SQLITE, int, sqlite3_bind_null, (sqlite3_stmt *stmt, int i), (stmt, i), IS(SQLITE_NOMEM))
CALL(SQLITE, int, sqlite3_create_function_v2,
    (sqlite3 *db, const char *name, int n, int flags, void *arg, void (*call)(sqlite3_context *, int, sqlite3_value **),
        void (*step)(sqlite3_context *, int, sqlite3_value **), void (*final)(sqlite3_context *), void (*end)(void *)),
    (db, name, n, flags, arg, call, step, final, end), if (end != NULL) end(arg); IS(SQLITE_NOMEM))
CALL(SQLITE, void *, sqlite3_malloc, (int size), (size), IS(NULL))

CALL(FILES, ssize_t, read, (int fd, void *bytes, size_t len), (fd, bytes, len), ERRNO(EIO))
CALL(FILES, ssize_t, write, (int fd, const void *bytes, size_t len), (fd, bytes, len), ERRNO(ENOSPC))
CALL(FILES, size_t, fwrite, (const void *bytes, size_t size, size_t n, FILE *file), (bytes, size, n, file), errno = ENOSPC; IS(0))
CALL(FILES, int, fflush, (FILE *file), (file), ERRNO(EIO))
CALL(FILES, FILE *, fdopen, (int fd, const char *mode_text), (fd, mode_text), errno = ENOMEM; IS(NULL))
CALL(FILES, int, fsync, (int fd), (fd), ERRNO(EIO))
CALL(FILES, int, close, (int fd), (fd), __real_close(fd); ERRNO(EIO))
CALL(FILES, int, rename, (const char *from, const char *to), (from, to), ERRNO(EIO))
CALL(FILES, int, link, (const char *from, const char *to), (from, to), ERRNO(ENOSPC))
CALL(FILES, int, unlink, (const char *path), (path), ERRNO(EIO))
CALL(FILES, int, rmdir, (const char *path), (path), ERRNO(EIO))
CALL(FILES, int, mkdir, (const char *path, mode_t access), (path, access), ERRNO(ENOSPC))
CALL(FILES, int, stat64, (const char *path, struct stat *ret), (path, ret), ERRNO(EIO))
CALL(FILES, int, fstat64, (int fd, struct stat *ret), (fd, ret), ERRNO(EIO))
CALL(FILES, int, statvfs64, (const char *path, struct statvfs *ret), (path, ret), ERRNO(EIO))
CALL(FILES, int, access, (const char *path, int how), (path, how), ERRNO(EIO))
CALL(FILES, int, flock, (int fd, int how), (fd, how), ERRNO(ENOLCK))
CALL(FILES, DIR *, opendir, (const char *path), (path), errno = EMFILE; IS(NULL))

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	va_list args;
	mode_t access;

	if (fails(FAILING_FILES, "open")) {
		errno = EMFILE;
		return -1;
	}
	va_start(args, flags);
	access = va_arg(args, mode_t);
	va_end(args);
	return __real_open64(path, flags, access);
}

CALL(THREADS, int, pthread_create, (pthread_t *t, const pthread_attr_t *a, void *(*start)(void *), void *arg),
    (t, a, start, arg), IS(EAGAIN))
CALL(THREADS, int, uv_thread_create, (uv_thread_t *t, uv_thread_cb start, void *arg), (t, start, arg), IS(UV_EAGAIN))

CALL(LOOPS, int, uv_loop_init, (uv_loop_t *loop), (loop), IS(UV_EMFILE))
CALL(LOOPS, int, uv_async_init, (uv_loop_t *loop, uv_async_t *h, uv_async_cb cb), (loop, h, cb), IS(UV_EMFILE))
CALL(LOOPS, int, uv_signal_init, (uv_loop_t *loop, uv_signal_t *h), (loop, h), IS(UV_EMFILE))
CALL(LOOPS, int, uv_signal_start, (uv_signal_t *h, uv_signal_cb cb, int n), (h, cb, n), IS(UV_EINVAL))
CALL(LOOPS, int, uv_tcp_open, (uv_tcp_t *h, uv_os_sock_t fd), (h, fd), IS(UV_EMFILE))
CALL(LOOPS, int, uv_listen, (uv_stream_t *h, int backlog, uv_connection_cb cb), (h, backlog, cb), IS(UV_EADDRINUSE))
CALL(LOOPS, int, uv_write, (uv_write_t *w, uv_stream_t *h, const uv_buf_t *bufs, unsigned n, uv_write_cb cb),
    (w, h, bufs, n, cb), IS(UV_ENOMEM))
CALL(LOOPS, int, uv_try_write, (uv_stream_t *h, const uv_buf_t *bufs, unsigned n), (h, bufs, n), IS(UV_EPIPE))
CALL(LOOPS, int, socket, (int domain, int type, int protocol), (domain, type, protocol), ERRNO(EMFILE))
CALL(LOOPS, int, setsockopt, (int fd, int level, int name, const void *value, socklen_t len),
    (fd, level, name, value, len), ERRNO(ENOBUFS))
CALL(LOOPS, int, getsockname, (int fd, struct sockaddr *address, socklen_t *len), (fd, address, len), ERRNO(ENOBUFS))
