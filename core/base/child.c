/* See child.h. */
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "err.h"

#define LOOK_MS 100 /* how often `stopping` is looked at */
#define PIECE 16384
#define FILES_MAX 64

/* ---- finding it -------------------------------------------------------------------- */

static bool is_program(const char *path)
{
	return access(path, X_OK) == 0;
}

/* Before the fork: afterwards there is no memory to be had. */
static int find(const char *name, struct buf *path)
{
	const char *at = getenv("PATH");
	struct slice rest = slice_str(at == NULL || *at == '\0' ? "/usr/local/bin:/usr/bin:/bin" : at), dir;

	if (strchr(name, '/') != NULL) {
		buf_append_str(path, name);
		buf_append_char(path, '\0');
		return path->rc != 0 ? path->rc : is_program(path->ptr) ? 0 : ERR_NOT_FOUND;
	}
	while (rest.len > 0) {
		slice_cut(rest, ':', &dir, &rest);
		if (dir.len == 0 || dir.ptr[0] != '/')
			continue;
		buf_clear(path);
		buf_append(path, dir);
		buf_append_char(path, '/');
		buf_append_str(path, name);
		buf_append_char(path, '\0');
		if (path->rc != 0)
			return path->rc;
		if (is_program(path->ptr))
			return 0;
	}
	return ERR_NOT_FOUND;
}

bool child_exists(const char *name)
{
	struct buf path = BUF_INIT(4096);
	int rc = find(name, &path);

	buf_finish(&path);
	return rc == 0;
}

/* ---- the child: only what is safe after the fork of a program with threads ------------ */

static void limit(int what, rlim_t value)
{
	struct rlimit l = {value, value};

	if (setrlimit(what, &l) != 0)
		_exit(126);
}

static _Noreturn void become(const char *path, const char *const *argv, const struct child_limits *limits, int out)
{
	static const char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
	int null = open("/dev/null", O_RDWR);
	sigset_t none;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (null < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(null, 2) < 0)
		_exit(126);
	close_range(3, ~0u, 0);
	limit(RLIMIT_AS, limits->memory_bytes);
	limit(RLIMIT_CPU, limits->time_ms / 1000 + 1);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, 0); /* it writes to its pipe alone */
	limit(RLIMIT_NOFILE, FILES_MAX);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execve(path, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)environment);
	_exit(127);
}

/* ---- the parent ------------------------------------------------------------------------ */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* One piece; ERR_END at the end. */
static int read_piece(int fd, struct buf *out)
{
	char piece[PIECE];
	ssize_t n = read(fd, piece, sizeof(piece));

	if (n > 0)
		return buf_append(out, slice_of(piece, (size_t)n));
	return n == 0 ? ERR_END : errno == EINTR ? 0 : ERR_IO;
}

static int listen_to(int fd, const struct child_limits *limits, const _Atomic bool *stopping, struct buf *out)
{
	int64_t until_ms = now_ms() + limits->time_ms;
	int rc = 0;

	while (rc == 0) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int n = poll(&p, 1, LOOK_MS);

		if (stopping != NULL && atomic_load(stopping))
			return ERR_CANCELLED;
		if (now_ms() >= until_ms)
			return ERR_TIMEOUT;
		if (n > 0)
			rc = read_piece(fd, out);
	}
	return rc == ERR_END ? 0 : rc;
}

/* What closed its output may run on; it has no reason to. */
static int wait_for(pid_t pid, int rc)
{
	int status;

	if (rc != 0)
		kill(-pid, SIGKILL);
	if (rc != 0)
		kill(pid, SIGKILL); /* in case it has no group of its own yet */
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return rc != 0 ? rc : ERR_IO;
	if (rc != 0)
		return rc;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : ERR_INVALID;
}

int child_run(const char *const *argv, const struct child_limits *limits, const _Atomic bool *stopping, struct buf *out)
{
	struct buf path = BUF_INIT(4096);
	int fds[2], rc = find(argv[0], &path);
	pid_t pid;

	if (rc == 0 && pipe2(fds, O_CLOEXEC) != 0)
		rc = ERR_IO;
	if (rc != 0) {
		buf_finish(&path);
		return rc;
	}
	pid = fork();
	if (pid == 0)
		become(path.ptr, argv, limits, fds[1]);
	close(fds[1]);
	rc = pid < 0 ? ERR_NOMEM : listen_to(fds[0], limits, stopping, out);
	close(fds[0]);
	if (pid > 0)
		rc = wait_for(pid, rc);
	buf_finish(&path);
	return rc;
}
