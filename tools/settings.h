/* The settings, for commands: from the environment and .env, problems told on stderr. */
#ifndef LULAB_TOOLS_SETTINGS_H
#define LULAB_TOOLS_SETTINGS_H

#include "app/config.h"
#include "base/buf.h"
#include "command.h"

/*
 * Loads the settings. sources NULL = the environment and .env. STATUS_OK;
 * STATUS_USAGE after every problem was written to stderr; another status with its
 * reason. Unknown names are remarked on. config_finish(ret) in any case.
 */
enum exit_status settings_load(const struct invocation *in, const struct config_sources *sources,
    struct config_loaded *ret);

/* Appends "http://127.0.0.1:3000": how a command on this machine reaches the server these settings describe. */
int settings_url(const struct config *config, struct buf *url);

/* Appends where the service is that a command is to ask: --to without the slashes at its end, else settings_url(). */
int settings_service_url(const struct invocation *in, const struct config *config, struct buf *url);

/* Appends "Authorization: Bearer <token>" with the admin token of the data directory. Wipe the buffer. Says what is wrong. */
enum exit_status settings_admin_header(const struct invocation *in, struct buf *header);

#endif
