/*
 * What the programs here that a test commands have in common: options on the
 * command line, NAME=NUMBER, and commands over stdin, a line each, until it is
 * closed. What they answer goes to stdout, one line of JSON a command.
 */
#ifndef LULAB_TESTS_LOAD_CONTROL_H
#define LULAB_TESTS_LOAD_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct control_option {
	const char *name;
	uint64_t *to;
};

/* Takes the arguments of main(). False: one of them is no option; said on stderr. */
bool control_options(const struct control_option *options, size_t n, int argc, char **argv);

struct control {
	bool over; /* stdin was closed: the test wants no more */
	/* Private. */
	char line[4096];
	size_t len;
};

/* Reading never waits from here on; watch STDIN_FILENO. */
void control_init(struct control *c);

/* Reads what there is and hands on each whole line, without its end. */
void control_read(struct control *c, void (*command)(void *arg, const char *line), void *arg);

#endif
