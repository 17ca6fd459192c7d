/*
 * Fuzz entry: bytes as a .env file, and, line by line, as the environment. No
 * other file is opened, whatever NAME_FILE says. Nothing wrong may be passed
 * over in silence, and no message may hold a value.
 */
#include <errno.h>

#include "base/err.h"
#include "base/io.h"
#include "app/config.h"
#include "crypto/crypto.h"
#include "fuzz.h"

#define PATH "fuzz.env"
#define FD 1000
#define LINES_MAX 64
#define LINE_MAX 4096

static struct slice file;

static int open_ours(const char *path, int flags, mode_t mode)
{
	(void)flags;
	(void)mode;
	if (strcmp(path, PATH) == 0)
		return FD;
	errno = ENOENT;
	return -1;
}

static struct slice left;

static ssize_t read_ours(int fd, void *bytes, size_t len)
{
	check(fd == FD);
	if (len > left.len)
		len = left.len;
	if (len > 0)
		memcpy(bytes, left.ptr, len);
	left = slice_of(left.ptr + len, left.len - len);
	return (ssize_t)len;
}

static int close_ours(int fd)
{
	check(fd == FD);
	left = file; /* for the next who opens it */
	return 0;
}

/* What is wrong is told in our words, which are ASCII; only a file that a setting names is called by its name. */
static void holds_no_value(const struct problems *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (strcmp(p->items[i].code, "file") != 0)
			for (const char *c = p->items[i].message; *c != '\0'; c++)
				check(*c >= ' ' && *c <= '~');
}

static void load(const struct config_sources *sources)
{
	struct config_loaded c;
	int rc = config_load(&c, sources);
	struct arena a = ARENA_INIT(1 << 20);

	check(rc == 0 || rc == ERR_INVALID || rc == ERR_NOMEM);
	check((rc == ERR_INVALID) == (c.problems.total > 0) || rc == ERR_NOMEM);
	holds_no_value(&c.problems);
	holds_no_value(&c.remarks);
	if (rc == 0)
		check(config_listen(&c.values, &a) != NULL);
	arena_finish(&a);
	config_finish(&c);
}

static void try_environment(struct slice text)
{
	static char lines[LINES_MAX][LINE_MAX];
	const char *environment[LINES_MAX + 1];
	struct config_sources sources = {.env_file = "", .environment = environment};
	struct slice line, rest = text;
	size_t n = 0;

	while (rest.len > 0 && n < LINES_MAX) {
		slice_cut(rest, '\n', &line, &rest);
		if (line.len >= LINE_MAX)
			continue;
		memcpy(lines[n], line.ptr, line.len);
		lines[n][line.len] = '\0';
		/* A directory of credentials is the system's, not a stranger's. */
		if (strncmp(lines[n], "CREDENTIALS_DIRECTORY", 21) != 0) {
			environment[n] = lines[n];
			n++;
		}
	}
	environment[n] = NULL;
	load(&sources);
}

void fuzz_one(struct slice input)
{
	static struct io ours;
	static const char *const none[] = {NULL};
	struct config_sources sources = {.env_file = PATH, .environment = none};

	check(crypto_init() == 0);
	ours = io_system;
	ours.open = open_ours;
	ours.read = read_ours;
	ours.close = close_ours;
	io_calls = &ours;
	file = left = input;
	load(&sources);
	try_environment(input);
	io_calls = &io_system;
}
