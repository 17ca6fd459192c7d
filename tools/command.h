/*
 * A command of the program is a table entry and the function it names. The
 * parser, the help, the man page and the shell completions all read the same
 * table, so what is declared here is all there is to keep in step.
 *
 *     static int run_show(struct invocation *in) { ... }
 *
 *     static const struct option options[] = {OPTION_DATA, OPTION_JSON, {0}};
 *     static const struct example examples[] = {
 *             {"lulab log show 42", "print the event at position 42"}, {0}};
 *     static const struct command cmd_show = {
 *             .name = "show", .summary = "Print one event",
 *             .arguments = "POSITION", .arguments_min = 1, .arguments_max = 1,
 *             .options = options, .examples = examples, .run = run_show};
 *
 *     static const struct command *const commands[] = {&cmd_show, NULL};
 *     const struct command cmd_log = {.name = "log", .summary = "...", .commands = commands};
 *
 * A top-level command `x` is `const struct command cmd_x` in tools/cmd_x.c,
 * and 'x' in the list of tools/meson.build. A command has either `run` or
 * sub-commands, never both.
 *
 * Contract of every command: data on stdout, everything else on stderr; --json
 * where something is listed; one of the exit statuses below.
 */
#ifndef LULAB_TOOLS_COMMAND_H
#define LULAB_TOOLS_COMMAND_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

/* arguments_max of a command that takes any number. */
#define ARGUMENTS_ANY UINT32_MAX

enum exit_status {
	STATUS_OK = 0,
	STATUS_FAILED = 1,
	STATUS_USAGE = 2,
	STATUS_NOT_FOUND = 3,
	STATUS_NOT_VERIFIED = 4, /* a proof, a signature, a digest did not match */
	STATUS_CONFLICT = 5,
	STATUS_UNAUTHORISED = 6,
	STATUS_UNAVAILABLE = 7,
	STATUS_INTERRUPTED = 130, /* Ctrl-C before the work was done, as shells have it */
};

enum option_kind {
	OPTION_FLAG,   /* present or not */
	OPTION_TEXT,   /* any value */
	OPTION_NUMBER, /* whole number within min..max (max 0: no upper bound) */
	OPTION_FILE,   /* a path; completion offers files */
	OPTION_DIR,    /* a path; completion offers directories */
	OPTION_CHOICE, /* one of `choices` */
};

struct option {
	const char *name;     /* "data" for --data; NULL ends a list */
	char letter;          /* 'f' for -f, or 0 */
	enum option_kind kind;
	const char *value;    /* what stands for the value in help: "DIR"; NULL for flags */
	const char *summary;  /* one line, no full stop */
	const char *fallback; /* what option_text/option_number give when it is absent, or NULL */
	bool repeatable;      /* otherwise the last one given wins */
	uint64_t min, max;    /* of OPTION_NUMBER */
	const char *const *choices; /* of OPTION_CHOICE; ends with NULL */
};

/* Options several commands share, spelled once. */
#define OPTION_DATA \
	{.name = "data", .kind = OPTION_DIR, .value = "DIR", \
	 .summary = "the data directory (default: LULAB_DATA, else ./data)"}
#define OPTION_JSON \
	{.name = "json", .kind = OPTION_FLAG, .summary = "print JSON instead of a table"}

struct example {
	const char *line; /* the whole command line; NULL ends a list */
	const char *says; /* what it does, lower case, no full stop */
};

struct invocation;

struct command {
	const char *name;        /* one word */
	const char *summary;     /* one line, no full stop */
	const char *description; /* paragraphs for help and man page, or NULL */
	const char *arguments;   /* "POSITION", "[NAME...]"; NULL when it takes none */
	unsigned arguments_min, arguments_max;
	const struct option *options;           /* ends with {0}; NULL when there are none */
	const struct example *examples;         /* ends with {0}; NULL only with sub-commands */
	const struct command *const *commands;  /* sub-commands, ends with NULL; or NULL */
	int (*run)(struct invocation *in);      /* gives an exit_status */
};

/* What the user typed, checked against the table. Valid while `run` runs. */
struct invocation {
	const struct command *root;
	const struct command *command;
	const char *path;         /* "lulab log show" */
	char *const *arguments;   /* n_arguments of them, options taken out */
	unsigned n_arguments;
	/* Private: use the functions below. */
	struct option_given {
		const struct option *option;
		const char *value;
	} *given;
	unsigned n_given;
};

/*
 * Values of options. The name must be one the command declares (asserted).
 * Text and numbers were checked while parsing; absent ones give the option's
 * fallback, and NULL or 0 without one.
 */
bool option_is_set(const struct invocation *in, const char *name);
const char *option_text(const struct invocation *in, const char *name);
uint64_t option_number(const struct invocation *in, const char *name);
/* The i-th value of a repeatable option in the order typed; NULL past the last. */
const char *option_nth(const struct invocation *in, const char *name, unsigned i);

/*
 * --data, else LULAB_DATA of the settings (the environment, then .env), else
 * "./data". The command must declare OPTION_DATA. Kept until the next call; main thread.
 */
const char *option_data_dir(const struct invocation *in);

/* The exit status that stands for an ERR_* (0 -> STATUS_OK, ERR_NOT_FOUND -> STATUS_NOT_FOUND, ...). */
enum exit_status status_of(int err);

/*
 * Ends a command badly: "lulab log show: <message>" on stderr, and gives the
 * status back so that a command can `return command_fail(...)`. The message
 * names the thing and, where there is one, the way out.
 */
enum exit_status command_fail(const struct invocation *in, enum exit_status status,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
/* As command_fail with status_of(err), and ": <err_text>" after the message. */
enum exit_status command_fail_err(const struct invocation *in, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* STATUS_USAGE, and a pointer to the command's help. */
enum exit_status command_fail_usage(const struct invocation *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A remark on stderr that does not end anything: "lulab log tail: <message>". */
void command_note(const struct invocation *in, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/*
 * True once Ctrl-C (or SIGTERM) was received. The first call installs the
 * handler, so a command that never asks simply dies, and one that asks must
 * go on asking; a second Ctrl-C always kills. Blocking calls return EINTR.
 */
bool command_interrupted(void);

/* Colour on this stream: it is a terminal, NO_COLOR is not set and TERM is not dumb. */
bool command_colour(int fd);

/* The whole program: parses argv, runs what it names, gives the exit status. */
int command_main(const struct command *root, int argc, char **argv);

#endif
