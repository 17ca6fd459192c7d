/* lulab webhook: play the vendor, and find out why a webhook was refused. */
#include "settings.h"
#include "table.h"
#include "webhook.h"
#include "webhook_samples.h"

struct webhook_secrets webhook_secrets_of(const struct invocation *in, const struct webhook_vendor *vendor,
    const struct config *config)
{
	const char *token = option_text(in, "token"), *aes_key = option_text(in, "aes-key");
	struct webhook_secrets s = vendor->secrets_of(config);

	if (token != NULL) {
		s.token = slice_str(token);
		s.token_old = (struct slice){0};
	}
	if (aes_key != NULL) {
		s.aes_key = slice_str(aes_key);
		s.aes_key_old = (struct slice){0};
	}
	return s;
}

static int run_list(struct invocation *in)
{
	static const struct table_column columns[] = {
		{"VENDOR", "vendor", TABLE_TEXT}, {"SAMPLE", "sample", TABLE_TEXT}, {"EVENT", "event", TABLE_TEXT}, {0}};
	struct table *t = NULL;
	int rc = table_open(&t, stdout, columns, option_is_set(in, "json"));

	for (const struct webhook_sample *s = webhook_samples; rc == 0 && s->name != NULL; s++) {
		table_put_str(t, s->vendor);
		table_put_str(t, s->name);
		table_put_str(t, s->event);
	}
	if (rc == 0)
		rc = table_close(t);
	return rc == 0 ? STATUS_OK : command_fail_err(in, rc, "cannot list the samples");
}

static const struct option list_options[] = {OPTION_JSON, {0}};
static const struct example list_examples[] = {
	{"lulab webhook list", "what `lulab webhook send --event` knows"}, {0}};

const struct command cmd_webhook_list = {
	.name = "list",
	.summary = "List the sample webhooks",
	.options = list_options,
	.examples = list_examples,
	.run = run_list,
};

extern const struct command cmd_webhook;

static const struct command *const commands[] = {
	&cmd_webhook_send, &cmd_webhook_list, &cmd_webhook_explain, NULL};

const struct command cmd_webhook = {
	.name = "webhook",
	.summary = "Send sample webhooks, and explain refused ones",
	.commands = commands,
};
