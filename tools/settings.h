/* The settings, for commands: from the environment and .env, problems told on stderr. */
#ifndef LULAB_TOOLS_SETTINGS_H
#define LULAB_TOOLS_SETTINGS_H

#include "app/config.h"
#include "command.h"

/*
 * Loads the settings. STATUS_OK, or a status after every problem was written to
 * stderr. config_finish(ret) in any case.
 */
enum exit_status settings_load(const struct invocation *in, struct config_loaded *ret);

#endif
