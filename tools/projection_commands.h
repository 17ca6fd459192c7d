/* What cmd_projection.c and its sub-commands in files of their own share. */
#ifndef LULAB_TOOLS_PROJECTION_COMMANDS_H
#define LULAB_TOOLS_PROJECTION_COMMANDS_H

#include "command.h"

/* STATUS_OK, or STATUS_NOT_FOUND after saying so and naming the nearest one. */
enum exit_status projection_check_name(const struct invocation *in, const char *name);

extern const struct command projection_skip;

#endif
