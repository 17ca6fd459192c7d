/* Passwords, as commands ask for them: never an argument, which every user of the machine could read. */
#ifndef LULAB_TOOLS_SECRET_INPUT_H
#define LULAB_TOOLS_SECRET_INPUT_H

#include "command.h"

/*
 * Appends a password: typed twice at a terminal that shows nothing, else the
 * first line of stdin. Wipe it. STATUS_OK, or why not after it was told.
 */
enum exit_status secret_input(const struct invocation *in, const char *what, struct buf *ret);

#endif
