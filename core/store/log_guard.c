/* See log_guard.h. In a handler only the system calls that signal-safety(7) allows. */
#include "store/log_guard.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/planted.h"

#define LINE_LEN_MAX 4600 /* of /proc/self/maps: numbers, and a path */
#define FILE_NAME "/data.mdb"

static struct sigaction before_bus, before_segv;

static void say(const char *text, size_t len)
{
	ssize_t n = write(STDERR_FILENO, text, len);

	(void)n; /* there is nobody else to tell */
}

#define SAY(literal) say(literal, sizeof(literal) - 1)

static uintptr_t take_hex(const char **at)
{
	uintptr_t value = 0;

	for (;; (*at)++) {
		if (**at >= '0' && **at <= '9')
			value = value * 16 + (uintptr_t)(**at - '0');
		else if (**at >= 'a' && **at <= 'f')
			value = value * 16 + (uintptr_t)(**at - 'a' + 10);
		else
			return value;
	}
}

/* "from-to perms offset dev inode   path": the path when the address lies within and it is a store's file. */
static const char *path_of_line(const char *line, uintptr_t address)
{
	const size_t name_len = sizeof(FILE_NAME) - 1;
	uintptr_t from = take_hex(&line), to;
	const char *path;

	if (*line != '-')
		return NULL;
	line++;
	to = take_hex(&line);
	path = strchr(line, '/');
	if (address < from || address >= to || path == NULL)
		return NULL;
	return strlen(path) >= name_len && strcmp(path + strlen(path) - name_len, FILE_NAME) == 0 ? path : NULL;
}

/* Looks the address up in the maps of the process. */
static bool tell_file(uintptr_t address)
{
	char line[LINE_LEN_MAX + 1];
	size_t len = 0;
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && read(fd, line + len, 1) == 1) {
		const char *path;

		if (line[len] != '\n' && len < LINE_LEN_MAX) {
			len++;
			continue;
		}
		line[len] = '\0';
		len = 0;
		path = path_of_line(line, address);
		if (path == NULL)
			continue;
		SAY("lulab: ");
		say(path, strlen(path));
		SAY(": a part of this file is damaged or cannot be read; stopped. Look at the disk, then see "
		    "`lulab log verify`; what lies beside the log is made again by `lulab log reindex`.\n");
		return true;
	}
	return false;
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	(void)context;
	if (tell_file((uintptr_t)info->si_addr))
		_exit(LOG_STATUS_DAMAGED);
	/* Not ours: it happens again under whoever was there before. */
	sigaction(signal, signal == SIGBUS ? &before_bus : &before_segv, NULL);
}

static void on_assert(MDB_env *env, const char *message)
{
	const char *path = NULL;

	mdb_env_get_path(env, &path);
	SAY("lulab: ");
	if (path != NULL)
		say(path, strlen(path));
	SAY(FILE_NAME ": this file is damaged; stopped: ");
	say(message, strlen(message));
	SAY("\n");
	_exit(LOG_STATUS_DAMAGED);
}

static void set_handlers(void)
{
	struct sigaction action = {.sa_flags = SA_SIGINFO | SA_NODEFER};

	action.sa_sigaction = on_fault;
	sigemptyset(&action.sa_mask);
	sigaction(SIGBUS, &action, &before_bus);
	sigaction(SIGSEGV, &action, &before_segv);
}

void log_guard(MDB_env *env)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (PLANTED(pages_unseen))
		return;
	pthread_once(&once, set_handlers);
	mdb_env_set_assert(env, on_assert);
}
