/* The sub-commands of `lulab log`, one file or two each; cmd_log.c has the list. */
#ifndef LULAB_TOOLS_LOG_COMMANDS_H
#define LULAB_TOOLS_LOG_COMMANDS_H

#include "command.h"
#include "store/eventlog.h"

extern const struct command log_tail, log_show, log_stats, log_export, log_proof, log_verify, log_cosign, log_succeed,
    log_reindex, log_key_command;

/*
 * Opens the log in --data for reading; the server may be running. On failure
 * what to tell the user has been told and *ret_status is the exit status.
 */
bool log_tool_open(struct eventlog **ret_log, const struct invocation *in, int *ret_status);
/* The same in a directory that is not --data. */
bool log_tool_open_dir(struct eventlog **ret_log, const struct invocation *in, const char *dir, int *ret_status);

#endif
