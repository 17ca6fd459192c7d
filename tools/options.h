/*
 * The command line against the table: finds the command that was named and
 * takes its options out of the arguments.
 */
#ifndef LULAB_TOOLS_OPTIONS_H
#define LULAB_TOOLS_OPTIONS_H

#include "command.h"

enum asked_for { ASKED_RUN, ASKED_HELP, ASKED_VERSION };

/* What parsing found; freed by parsed_finish(). */
struct parsed {
	struct invocation in; /* points into the rest and into argv */
	enum asked_for asked;
	struct buf path;
	char **arguments;
};

/*
 * 0, ERR_NOMEM, or ERR_INVALID after the complaint was written to stderr. In
 * every case `in.command` and `in.path` name the command as far as it was
 * understood. argv is borrowed until parsed_finish().
 */
int parsed_init(struct parsed *p, const struct command *root, int argc, char **argv);
void parsed_finish(struct parsed *p);

/* The sub-command of that name, or NULL. */
const struct command *command_find(const struct command *group, const char *name);

#endif
