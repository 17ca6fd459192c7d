/*
 * Everything the program can say about itself, made from the command table:
 * help with examples first, the man page, shell completions.
 */
#ifndef LULAB_TOOLS_HELP_H
#define LULAB_TOOLS_HELP_H

#include "command.h"

/* Help of one command. `path` is how one gets there: "lulab log". Errors stick in `out`. */
void help_write(struct buf *out, const struct command *command, const char *path, bool colour);

/* lulab(1) in man(7) markup, all commands in one page. */
void help_write_man(struct buf *out, const struct command *root);

/* shell: "bash", "zsh" or "fish"; ERR_INVALID for another. */
int help_write_completion(struct buf *out, const struct command *root, const char *shell);

#endif
