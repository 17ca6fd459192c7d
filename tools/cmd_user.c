/* lulab user: accounts from the command line, on the running service or its data directory (service.h). */
#include <stdio.h>

#include "base/codec.h"
#include "base/json.h"
#include "secret_input.h"
#include "service.h"
#include "table.h"

#define BODY_MAX 8192
#define ANSWER_MAX (8 << 20)
#define PATH_MAX_LEN 2048
#define PASSWORD_MAX 1024

/* Asks for `path` below the account that the first argument means. */
static enum exit_status ask_about(struct service *s, const char *method, const char *suffix, struct slice body,
    struct buf *answer)
{
	char id[SERVICE_USER_LEN], path[128];
	enum exit_status status = service_find_user(s, s->in->arguments[0], id);

	if (status != STATUS_OK)
		return status;
	snprintf(path, sizeof(path), "/api/v1/users/%s%s", id, suffix);
	return service_ask(s, method, path, body, answer);
}

/* ---- create ---------------------------------------------------------------------------------- */

static void write_account(struct buf *body, const struct invocation *in, struct slice password)
{
	struct json_writer w = JSON_WRITER(body);

	json_begin_object(&w);
	json_name(&w, "username");
	json_put_str(&w, in->arguments[0]);
	service_put_option(&w, in, "email", "email");
	service_put_option(&w, in, "phone", "phone");
	service_put_option(&w, in, "name", "displayName");
	service_put_option(&w, in, "role", "role");
	if (password.len > 0) {
		json_name(&w, "password");
		json_put_string(&w, password);
	}
	json_end_object(&w);
}

static int run_create(struct invocation *in)
{
	struct buf password = BUF_INIT(PASSWORD_MAX), body = BUF_INIT(BODY_MAX), answer = BUF_INIT(ANSWER_MAX);
	struct arena arena = ARENA_INIT(4096);
	struct service s;
	enum exit_status status = service_open(&s, in);

	if (status == STATUS_OK && !option_is_set(in, "no-password"))
		status = secret_input(in, "Password of the new account", &password);
	write_account(&body, in, buf_slice(&password));
	if (status == STATUS_OK)
		status = service_ask(&s, "POST", "/api/v1/users", buf_slice(&body), &answer);
	if (status == STATUS_OK)
		printf("%.*s\n", SLICE_ARG(service_text(json_root(buf_slice(&answer)), "id", &arena)));
	service_close(&s);
	buf_wipe(&password);
	buf_wipe(&body);
	buf_finish(&answer);
	arena_finish(&arena);
	return status;
}

/* ---- passwd, disable, enable, grant -------------------------------------------------------------- */

static int run_passwd(struct invocation *in)
{
	struct buf password = BUF_INIT(PASSWORD_MAX), body = BUF_INIT(BODY_MAX);
	struct json_writer w = JSON_WRITER(&body);
	struct service s;
	enum exit_status status = service_open(&s, in);

	if (status == STATUS_OK)
		status = secret_input(in, "New password", &password);
	json_begin_object(&w);
	json_name(&w, "password");
	json_put_string(&w, buf_slice(&password));
	json_end_object(&w);
	if (status == STATUS_OK)
		status = ask_about(&s, "PUT", "/password", buf_slice(&body), NULL);
	if (status == STATUS_OK)
		command_note(in, "the password is set, and every log-in of the account has ended");
	service_close(&s);
	buf_wipe(&password);
	buf_wipe(&body);
	return status;
}

static int run_disable(struct invocation *in)
{
	struct buf body = BUF_INIT(BODY_MAX);
	struct json_writer w = JSON_WRITER(&body);
	struct service s;
	enum exit_status status = service_open(&s, in);

	json_begin_object(&w);
	service_put_option(&w, in, "reason", "reason");
	json_end_object(&w);
	if (status == STATUS_OK)
		status = ask_about(&s, "POST", "/disable", buf_slice(&body), NULL);
	if (status == STATUS_OK)
		command_note(in, "the account is disabled, and every log-in of it has ended");
	service_close(&s);
	buf_finish(&body);
	return status;
}

static int run_enable(struct invocation *in)
{
	struct service s;
	enum exit_status status = service_open(&s, in);

	if (status == STATUS_OK)
		status = ask_about(&s, "POST", "/enable", (struct slice){0}, NULL);
	if (status == STATUS_OK)
		command_note(in, "the account can be used");
	service_close(&s);
	return status;
}

static enum exit_status grant(struct service *s, bool revoke)
{
	struct buf body = BUF_INIT(BODY_MAX), path = BUF_INIT(PATH_MAX_LEN);
	struct json_writer w = JSON_WRITER(&body);
	char id[SERVICE_USER_LEN];
	enum exit_status status = service_find_user(s, s->in->arguments[0], id);

	buf_append_str(&path, "/api/v1/roles/");
	percent_encode(&path, slice_str(s->in->arguments[1]));
	buf_append_str(&path, "/users");
	if (revoke)
		buf_printf(&path, "/%s", id);
	json_begin_object(&w);
	json_name(&w, "userId");
	json_put_str(&w, id);
	json_end_object(&w);
	if (status == STATUS_OK)
		status = service_ask(s, revoke ? "DELETE" : "POST", path.ptr, revoke ? (struct slice){0} : buf_slice(&body), NULL);
	buf_finish(&body);
	buf_finish(&path);
	return status;
}

static int run_grant(struct invocation *in)
{
	struct service s;
	enum exit_status status = service_open(&s, in);

	if (status == STATUS_OK)
		status = grant(&s, option_is_set(in, "revoke"));
	service_close(&s);
	return status;
}

/* ---- list -------------------------------------------------------------------------------------------- */

static const struct table_column columns[] = {{"ID", "id", TABLE_TEXT}, {"USER NAME", "username", TABLE_TEXT},
    {"NAME", "displayName", TABLE_TEXT}, {"MAIL", "email", TABLE_TEXT}, {"PHONE", "phone", TABLE_TEXT},
    {"ROLE", "role", TABLE_TEXT}, {"STATE", "state", TABLE_TEXT}, {"LAST LOG-IN", "lastLoginAt", TABLE_TEXT}, {0}};

static int run_list(struct invocation *in)
{
	static const char *const options[] = {"search", "state", "role", NULL};

	return service_list(in, &(struct service_list){"/api/v1/users", options, columns, "the accounts"});
}

/* ---- the commands --------------------------------------------------------------------------------------- */

static const struct option create_options[] = {
	{.name = "email", .kind = OPTION_TEXT, .value = "ADDRESS", .summary = "mail address"},
	{.name = "phone", .kind = OPTION_TEXT, .value = "NUMBER", .summary = "phone number, +86 unless it says otherwise"},
	{.name = "name", .kind = OPTION_TEXT, .value = "TEXT", .summary = "what the person is called"},
	{.name = "role", .kind = OPTION_TEXT, .value = "CODE",
	 .summary = "SUPER_ADMIN, ADMIN, MEMBER (when none is given), AUDITOR or SERVICE"},
	{.name = "no-password", .kind = OPTION_FLAG, .summary = "they sign in with codes, or not at all"},
	OPTIONS_SERVICE,
	{0},
};
static const struct option service_options[] = {OPTIONS_SERVICE, {0}};
static const struct option disable_options[] = {
	{.name = "reason", .kind = OPTION_TEXT, .value = "TEXT", .summary = "why; kept in the log for good, so name no person"},
	OPTIONS_SERVICE,
	{0},
};
static const struct option grant_options[] = {
	{.name = "revoke", .kind = OPTION_FLAG, .summary = "take the role away instead"},
	OPTIONS_SERVICE,
	{0},
};
static const char *const states[] = {"ACTIVE", "DISABLED", "DELETED", "ERASED", NULL};
static const struct option list_options[] = {
	{.name = "search", .kind = OPTION_TEXT, .value = "WORDS", .summary = "words in what they are called"},
	{.name = "state", .kind = OPTION_CHOICE, .value = "STATE", .choices = states,
	 .summary = "ACTIVE, DISABLED, DELETED or ERASED (default: those that are not deleted)"},
	{.name = "role", .kind = OPTION_TEXT, .value = "CODE", .summary = "only those of this role"},
	OPTION_JSON,
	OPTIONS_SERVICE,
	{0},
};

static const struct example create_examples[] = {
	{"lulab user create zhang_san --role ADMIN", "asks for a password, prints the id"},
	{"pass show lulab | lulab user create zhang_san --email zhang@example.com", "takes it from a pipe"},
	{0},
};
static const struct example passwd_examples[] = {{"lulab user passwd zhang@example.com", "asks for the new password"}, {0}};
static const struct example disable_examples[] = {
	{"lulab user disable zhang_san --reason \"left the company\"", "ends every log-in at once"}, {0}};
static const struct example enable_examples[] = {{"lulab user enable zhang_san", "the account can be used again"}, {0}};
static const struct example grant_examples[] = {
	{"lulab user grant zhang_san AUDITOR", "they may read events and proofs"},
	{"lulab user grant zhang_san AUDITOR --revoke", "and may not any more"},
	{0},
};
static const struct example list_examples[] = {
	{"lulab user list", "who has an account"},
	{"lulab user list --search 张 --json | jq -r '.[].id'", "for programs"},
	{0},
};

static const struct command user_create = {
	.name = "create",
	.summary = "Give somebody an account",
	.description = "The password is asked for at the terminal, or is the first line of stdin; it is never an argument. "
	               SERVICE_WHERE,
	.arguments = "NAME",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = create_options,
	.examples = create_examples,
	.run = run_create,
};

static const struct command user_passwd = {
	.name = "passwd",
	.summary = "Give somebody a new password",
	.description = "USER is an id, a user name, a mail address or a phone number. Every log-in of the account ends. " SERVICE_WHERE,
	.arguments = "USER",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = service_options,
	.examples = passwd_examples,
	.run = run_passwd,
};

static const struct command user_disable = {
	.name = "disable",
	.summary = "Let an account not be used; ends its log-ins",
	.description = "USER is an id, a user name, a mail address or a phone number. " SERVICE_WHERE,
	.arguments = "USER",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = disable_options,
	.examples = disable_examples,
	.run = run_disable,
};

static const struct command user_enable = {
	.name = "enable",
	.summary = "Let a disabled account be used again",
	.description = "USER is an id, a user name, a mail address or a phone number. " SERVICE_WHERE,
	.arguments = "USER",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = service_options,
	.examples = enable_examples,
	.run = run_enable,
};

static const struct command user_grant = {
	.name = "grant",
	.summary = "Give an account a role of the whole system, or take it away",
	.description = "USER is an id, a user name, a mail address or a phone number; ROLE is SUPER_ADMIN, ADMIN, MEMBER, AUDITOR or "
	               "SERVICE. " SERVICE_WHERE,
	.arguments = "USER ROLE",
	.arguments_min = 2,
	.arguments_max = 2,
	.options = grant_options,
	.examples = grant_examples,
	.run = run_grant,
};

static const struct command user_list = {
	.name = "list",
	.summary = "Show who has an account",
	.description = SERVICE_WHERE,
	.options = list_options,
	.examples = list_examples,
	.run = run_list,
};

static const struct command *const commands[] = {
	&user_create, &user_passwd, &user_disable, &user_enable, &user_grant, &user_list, NULL};

extern const struct command cmd_user;
const struct command cmd_user = {
	.name = "user",
	.summary = "Accounts: make them, list them, close them",
	.commands = commands,
};
