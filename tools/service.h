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
#include "base/json.h"
#include "command.h"
#include "net/http_client.h"
#include "table.h"

struct app;

#define OPTIONS_SERVICE \
	OPTION_DATA, \
	{.name = "to", .kind = OPTION_TEXT, .value = "URL", \
	 .summary = "the running service (default: where the settings say it listens)"}, \
	{.name = "ca", .kind = OPTION_FILE, .value = "FILE", \
	 .summary = "certificate authority of the service (default: the system's)"}

/* For the description of a command that does. */
#define SERVICE_WHERE "A running service is asked with the admin token of its data directory; on the directory of a stopped " \
	"one the command does the same by itself."

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

/* A member of an answer as text: that of a string, in the arena or the answer; null is empty; anything else as JSON has it. */
struct slice service_text(struct json_value row, const char *name, struct arena *arena);
/* An option that was given, as a member of a body. */
void service_put_option(struct json_writer *w, const struct invocation *in, const char *option, const char *member);

/* All rows of what is answered in pages, or in one, as a table. */
struct service_list {
	const char *path;
	const char *const *options; /* those that are parameters of the same name, ends with NULL; may be NULL */
	const struct table_column *columns; /* TEXT, NUMBER, BOOL; named as the members */
	const char *what; /* "the accounts" */
};
/* For commands with OPTION_JSON and OPTIONS_SERVICE. */
enum exit_status service_list(struct invocation *in, const struct service_list *list);

#endif
