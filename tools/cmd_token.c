/* lulab token: a log-in of an account without its password, for scripts and for trying things (service.h). */
#include <stdio.h>

#include "base/json.h"
#include "service.h"

static enum exit_status create(struct service *s, struct buf *answer)
{
	char id[SERVICE_USER_LEN], path[128];
	enum exit_status status = service_find_user(s, s->in->arguments[0], id);

	if (status != STATUS_OK)
		return status;
	snprintf(path, sizeof(path), "/api/v1/users/%s/tokens", id);
	return service_ask(s, "POST", path, (struct slice){0}, answer);
}

static int run_create(struct invocation *in)
{
	struct buf answer = BUF_INIT(65536);
	struct arena arena = ARENA_INIT(65536);
	struct slice token = {0};
	struct json_value v;
	struct service s;
	enum exit_status status = service_open(&s, in);

	if (status == STATUS_OK)
		status = create(&s, &answer);
	if (status == STATUS_OK && option_is_set(in, "json"))
		printf("%.*s\n", SLICE_ARG(buf_slice(&answer)));
	else if (status == STATUS_OK && json_member(json_root(buf_slice(&answer)), "accessToken", &v) &&
	    json_string(v, &arena, &token) == 0)
		printf("%.*s\n", SLICE_ARG(token));
	service_close(&s);
	arena_finish(&arena);
	buf_wipe(&answer);
	return status;
}

static const struct option create_options[] = {
	{.name = "json", .kind = OPTION_FLAG, .summary = "print the refresh token and both lifetimes, too"},
	OPTIONS_SERVICE,
	{0},
};

static const struct example create_examples[] = {
	{"lulab token create zhang_san", "an access token, good for ten minutes"},
	{"lulab token create robot --json | jq -r .refreshToken", "what a program gets new ones with"},
	{0},
};

static const struct command token_create = {
	.name = "create",
	.summary = "Make a log-in of an account and print its access token",
	.description = "USER is an id, a user name, a mail address or a phone number. The log-in is one as any other: it is in the "
	               "log, the account's owner sees it among their own and can end it. A running service is asked with the "
	               "admin token of its data directory; on the directory of a stopped one the command does the same by itself.",
	.arguments = "USER",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = create_options,
	.examples = create_examples,
	.run = run_create,
};

static const struct command *const commands[] = {&token_create, NULL};

extern const struct command cmd_token;
const struct command cmd_token = {
	.name = "token",
	.summary = "Access tokens of accounts",
	.commands = commands,
};
