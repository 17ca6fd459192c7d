/* What the files of `lulab witness` share; cmd_witness.c has the list of its commands. */
#ifndef LULAB_TOOLS_WITNESS_COMMANDS_H
#define LULAB_TOOLS_WITNESS_COMMANDS_H

#include "command.h"

struct witness;

extern const struct command witness_serve_command;

/* The witness in --data, or NULL: the user was told why, and *ret_status is the exit status. */
struct witness *witness_tool_open(const struct invocation *in, int *ret_status);

#endif
