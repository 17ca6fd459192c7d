/* See secret_input.h. */
#include "secret_input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* One line without its end, byte by byte: what follows belongs to somebody else. */
static int read_line(int fd, struct buf *ret)
{
	char c;

	for (;;) {
		ssize_t n = read(fd, &c, 1);

		if (n < 0 && errno == EINTR)
			return ERR_CANCELLED;
		if (n < 0)
			return ERR_IO;
		if (n == 0 || c == '\n')
			break;
		if (buf_append_char(ret, c) != 0)
			return ret->rc;
	}
	if (ret->len > 0 && ret->ptr[ret->len - 1] == '\r')
		ret->len--;
	return 0;
}

/* At the terminal, without echo; the terminal is as before afterwards, also after Ctrl-C. */
static int ask(const char *prompt, struct buf *ret)
{
	struct termios before, silent;
	int rc;

	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return ERR_IO;
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	command_interrupted(); /* from here on Ctrl-C is noticed instead of deadly */
	if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) != 0)
		return ERR_IO;
	fprintf(stderr, "%s: ", prompt);
	rc = read_line(STDIN_FILENO, ret);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fputc('\n', stderr);
	return command_interrupted() ? ERR_CANCELLED : rc;
}

enum exit_status secret_input(const struct invocation *in, const char *what, struct buf *ret)
{
	struct buf again = BUF_INIT(1024);
	enum exit_status status = STATUS_OK;
	char prompt[128];
	int rc;

	snprintf(prompt, sizeof(prompt), "%s", what);
	if (isatty(STDIN_FILENO) != 1) {
		rc = read_line(STDIN_FILENO, ret);
	} else {
		rc = ask(prompt, ret);
		if (rc == 0)
			rc = ask("Once more", &again);
		if (rc == 0 && !slice_eq(buf_slice(ret), buf_slice(&again)))
			status = command_fail(in, STATUS_USAGE, "the two are not the same");
	}
	if (rc == ERR_CANCELLED)
		status = STATUS_INTERRUPTED;
	else if (rc != 0)
		status = command_fail_err(in, rc, "the password cannot be read");
	else if (status == STATUS_OK && ret->len == 0)
		status = command_fail_usage(in, "a password is needed on stdin: type it at a terminal, or pass it in a pipe");
	buf_wipe(&again);
	return status;
}
