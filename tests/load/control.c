/* See control.h. */
#include "load/control.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool take(const struct control_option *options, size_t n, const char *text)
{
	const char *equals = strchr(text, '=');

	for (size_t i = 0; equals != NULL && i < n; i++) {
		if (strncmp(text, options[i].name, (size_t)(equals - text)) == 0 &&
		    options[i].name[equals - text] == '\0') {
			*options[i].to = strtoull(equals + 1, NULL, 10);
			return true;
		}
	}
	return false;
}

bool control_options(const struct control_option *options, size_t n, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (!take(options, n, argv[i])) {
			fprintf(stderr, "%s: \"%s\" is no option\n", argv[0], argv[i]);
			return false;
		}
	}
	return true;
}

void control_init(struct control *c)
{
	*c = (struct control){0};
	fcntl(STDIN_FILENO, F_SETFL, fcntl(STDIN_FILENO, F_GETFL) | O_NONBLOCK);
}

void control_read(struct control *c, void (*command)(void *arg, const char *line), void *arg)
{
	ssize_t n = read(STDIN_FILENO, c->line + c->len, sizeof(c->line) - 1 - c->len);
	char *end;

	if (n < 0)
		return;
	c->over = n == 0;
	c->len += (size_t)n;
	c->line[c->len] = '\0';
	while ((end = memchr(c->line, '\n', c->len)) != NULL) {
		*end = '\0';
		command(arg, c->line);
		c->len -= (size_t)(end + 1 - c->line);
		memmove(c->line, end + 1, c->len + 1);
	}
}
