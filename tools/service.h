/*
 * The service, as commands ask things of it: the one that runs on the data
 * directory, through its API with the operator's token; when none runs, one of
 * their own, started for the time of the command behind a port of loopback that
 * only they know, without adapters and without signals. So what a command does is
 * what the API does, whoever runs.
 */
#ifndef LULAB_TOOLS_SERVICE_H
#define LULAB_TOOLS_SERVICE_H

#include "app/config.h"
#include "command.h"
#include "net/http_client.h"

struct app;

#define OPTIONS_SERVICE \
	OPTION_DATA, \
	{.name = "to", .kind = OPTION_TEXT, .value = "URL", \
	 .summary = "the running service (default: where the settings say it listens)"}, \
	{.name = "ca", .kind = OPTION_FILE, .value = "FILE", \
	 .summary = "certificate authority of the service (default: the system's)"}

struct service {
	const struct invocation *in;
	struct config_loaded config;
	struct app *app; /* of this command; NULL: another process is the service */
	struct http_client *client;
	struct buf url, authorization;
};

/* The command must declare OPTIONS_SERVICE. STATUS_OK, or why not after it was told. service_close() in any case. */
enum exit_status service_open(struct service *s, const struct invocation *in);
void service_close(struct service *s);

/*
 * Asks, with a JSON body unless it is empty. STATUS_OK with the answer's body in *answer (may be NULL), which was
 * empty; else what the service says has been told.
 */
enum exit_status service_ask(struct service *s, const char *method, const char *path, struct slice body, struct buf *answer);

/* The id of the account an argument means: an id, a user name, a mail address, a phone number. */
#define SERVICE_USER_LEN 33
enum exit_status service_find_user(struct service *s, const char *name, char ret_id[SERVICE_USER_LEN]);

#endif
