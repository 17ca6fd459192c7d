/*
 * What every command shares: from the command line to an exit status.
 */
#include "command.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "help.h"
#include "options.h"

enum { HELP_TEXT_MAX = 1 << 20 };

static volatile sig_atomic_t interrupted;

enum exit_status status_of(int err)
{
	switch (err) {
	case 0:
		return STATUS_OK;
	case ERR_NOT_FOUND:
	case ERR_ERASED:
		return STATUS_NOT_FOUND;
	case ERR_BAD_SIGNATURE:
	case ERR_CORRUPT:
		return STATUS_NOT_VERIFIED;
	case ERR_CONFLICT:
	case ERR_TAKEN:
	case ERR_EXISTS:
		return STATUS_CONFLICT;
	case ERR_DENIED:
	case ERR_BAD_KEY:
		return STATUS_UNAUTHORISED;
	case ERR_BUSY:
	case ERR_LOCKED:
	case ERR_NETWORK:
	case ERR_TIMEOUT:
	case ERR_UNAVAILABLE:
		return STATUS_UNAVAILABLE;
	case ERR_CANCELLED:
		return STATUS_INTERRUPTED;
	default:
		return STATUS_FAILED;
	}
}

__attribute__((format(printf, 2, 0)))
static void complain(const struct invocation *in, const char *format, va_list args,
    const char *tail)
{
	fflush(stdout);
	fprintf(stderr, "%s: ", in->path);
	vfprintf(stderr, format, args);
	fprintf(stderr, "%s\n", tail);
}

enum exit_status command_fail(const struct invocation *in, enum exit_status status,
    const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(in, format, args, "");
	va_end(args);
	return status;
}

enum exit_status command_fail_err(const struct invocation *in, int err, const char *format, ...)
{
	char tail[128];
	va_list args;

	snprintf(tail, sizeof(tail), ": %s", err_text(err));
	va_start(args, format);
	complain(in, format, args, tail);
	va_end(args);
	return status_of(err);
}

enum exit_status command_fail_usage(const struct invocation *in, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(in, format, args, "");
	va_end(args);
	fprintf(stderr, "Try \"%s --help\".\n", in->path);
	return STATUS_USAGE;
}

void command_note(const struct invocation *in, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	complain(in, format, args, "");
	va_end(args);
}

static void on_signal(int number)
{
	(void)number;
	interrupted = 1;
}

bool command_interrupted(void)
{
	static bool installed;

	if (!installed) {
		/* Without SA_RESTART a blocking call returns; with SA_RESETHAND the second one kills. */
		struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

		sigaction(SIGINT, &action, NULL);
		sigaction(SIGTERM, &action, NULL);
		installed = true;
	}
	return interrupted != 0;
}

bool command_colour(int fd)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (no_color != NULL && no_color[0] != '\0')
		return false;
	return term != NULL && strcmp(term, "dumb") != 0 && isatty(fd) == 1;
}

/* Text is UTF-8 whatever the environment says: a table must stay aligned under LANG=C too. */
static void use_utf8(void)
{
	setlocale(LC_CTYPE, "");
	if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		setlocale(LC_CTYPE, "C.UTF-8");
}

static int print_help(const struct invocation *in, FILE *out)
{
	struct buf text = BUF_INIT(HELP_TEXT_MAX);

	help_write(&text, in->command, in->path, command_colour(fileno(out)));
	if (text.rc == 0)
		fwrite(text.ptr, 1, text.len, out);
	buf_finish(&text);
	return text.rc == 0 ? STATUS_OK : STATUS_FAILED;
}

/* What could not be written was not done: a full disk behind `lulab ... > file` must not look well. */
static int close_output(const struct invocation *in, int status)
{
	errno = 0;
	if (fflush(stdout) == 0 && ferror(stdout) == 0)
		return status;
	/* The cause of an earlier failure is gone by now; another error's must not stand in for it. */
	fprintf(stderr, "%s: cannot write the output: %s\n", in->path,
	    errno != 0 ? strerror(errno) : "no room where it goes, or nobody reads it");
	return status == STATUS_OK ? STATUS_FAILED : status;
}

int command_main(const struct command *root, int argc, char **argv)
{
	struct parsed p;
	int status, rc;

	use_utf8();
	rc = parsed_init(&p, root, argc, argv);
	if (rc == ERR_INVALID && p.asked == ASKED_HELP && p.in.n_arguments == 0)
		print_help(&p.in, stderr);
	if (rc != 0)
		status = rc == ERR_INVALID ? STATUS_USAGE : command_fail_err(&p.in, rc, "cannot start");
	else if (p.asked == ASKED_HELP)
		status = print_help(&p.in, stdout);
	else if (p.asked == ASKED_VERSION)
		status = printf("lulab %s\n", LULAB_VERSION) < 0 ? STATUS_FAILED : STATUS_OK;
	else
		status = p.in.command->run(&p.in);
	status = close_output(&p.in, status);
	parsed_finish(&p);
	return status;
}
