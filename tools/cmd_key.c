/* lulab key: the keys that personal data is sealed with; the end of one is the end of what is known of a person. */
#include <stdio.h>

#include "base/codec.h"
#include "base/json.h"
#include "service.h"

#define ANSWER_MAX (1 << 20)
#define PATH_MAX_LEN 2048

static enum exit_status erase(struct service *s, struct buf *answer)
{
	const char *ground = option_text(s->in, "ground");
	char id[SERVICE_USER_LEN];
	struct buf path = BUF_INIT(PATH_MAX_LEN);
	enum exit_status status = service_find_user(s, s->in->arguments[0], id);

	if (status == STATUS_OK) {
		buf_printf(&path, "/api/v1/users/%s?erase=true", id);
		if (ground != NULL) {
			buf_append_str(&path, "&ground=");
			percent_encode(&path, slice_str(ground));
		}
		status = path.rc != 0 ? command_fail_usage(s->in, "the ground is too long")
		                      : service_ask(s, "DELETE", path.ptr, (struct slice){0}, answer);
	}
	buf_finish(&path);
	return status;
}

static int run_erase(struct invocation *in)
{
	struct buf answer = BUF_INIT(ANSWER_MAX);
	struct json_value data;
	struct service s = {0};
	enum exit_status status;

	if (!option_is_set(in, "yes"))
		return command_fail_usage(in, "this cannot be undone, by nobody: add --yes to do it");
	status = service_open(&s, in);
	if (status == STATUS_OK)
		status = erase(&s, &answer);
	if (status == STATUS_OK && json_member(json_root(buf_slice(&answer)), "data", &data))
		printf("%.*s\n", SLICE_ARG(data.text));
	if (status == STATUS_OK)
		command_note(in, "erased; keep the receipt. Backups of the keys made before are to be removed within 7 days");
	service_close(&s);
	buf_finish(&answer);
	return status;
}

static const struct option erase_options[] = {
	{.name = "ground", .kind = OPTION_TEXT, .value = "TEXT",
	 .summary = "legal ground (default: request of the person); kept for good, so name no person"},
	{.name = "yes", .kind = OPTION_FLAG, .summary = "it cannot be undone, and shall be done"},
	OPTIONS_SERVICE,
	{0},
};

static const struct example erase_examples[] = {
	{"lulab key erase zhang_san --yes > receipt.json", "all that is known of the person is gone for good"},
	{"lulab key erase zhang@example.com --ground 'GDPR art. 17' --yes", "the ground stays in the log"},
	{0},
};

static const struct command key_erase = {
	.name = "erase",
	.summary = "Erase a person: destroy the keys their data is sealed with",
	.description = "USER is an id, a user name, a mail address or a phone number. The account, what it did and who its owner is on "
	               "the meeting platforms become unreadable: the keys are destroyed, the epoch of the keyring turned, and "
	               "every read model made anew. The log stays as it is and verifies. Prints a receipt, the record of the "
	               "erasure with a proof that it is in the log, signed by the log. A running service is asked with the "
	               "admin token of its data directory; on the directory of a stopped one the command does the same by itself.",
	.arguments = "USER",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = erase_options,
	.examples = erase_examples,
	.run = run_erase,
};

static const struct command *const commands[] = {&key_erase, NULL};

extern const struct command cmd_key;
const struct command cmd_key = {
	.name = "key",
	.summary = "The keys that personal data is sealed with",
	.commands = commands,
};
