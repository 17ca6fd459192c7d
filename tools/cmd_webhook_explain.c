/* lulab webhook explain: a saved request, step by step, up to the one that failed. */
#include <stdio.h>

#include "base/clock.h"
#include "base/io.h"
#include "crypto/crypto.h"
#include "settings.h"
#include "table.h"
#include "webhook.h"

enum { REQUEST_LEN_MAX = 4 << 20, ARENA_LEN_MAX = 64 << 20 };

static const char *const result_names[] = {
	[STEP_OK] = "ok", [STEP_DOUBTFUL] = "doubtful", [STEP_FAILED] = "FAILED"};

static const struct table_column columns[] = {
	{"STEP", "step", TABLE_TEXT},
	{"RESULT", "result", TABLE_TEXT},
	{"FOUND", "found", TABLE_TEXT},
	{"LIKELY CAUSE", "cause", TABLE_WRAP},
	{0},
};

/* [VENDOR] [FILE]: the name of a vendor, when the first word is one. */
static const struct webhook_vendor *named(const struct invocation *in)
{
	return in->n_arguments > 0 ? webhook_vendor_find(in->arguments[0]) : NULL;
}

/* What the options say wins over what the file says. */
static int gather(const struct invocation *in, struct buf *file, struct buf *body,
    struct webhook_request *request)
{
	const struct {
		const char *option;
		struct slice *value;
	} given[] = {{"timestamp", &request->timestamp}, {"nonce", &request->nonce},
	    {"signature", &request->signature}, {"check-str", &request->check_str}};
	const char *body_path = option_text(in, "body"), *reason = "";
	unsigned at = named(in) != NULL ? 1 : 0;
	int rc = 0;

	if (in->n_arguments > at + 1)
		return command_fail_usage(in, at == 0 ? "\"%s\" is no vendor that is known here; there are: tencent, feishu"
		                                      : "give one request after \"%s\"", in->arguments[0]);
	if (in->n_arguments > at) {
		rc = file_read(file, in->arguments[at]);
		if (rc != 0)
			return command_fail_err(in, rc, "cannot read %s", in->arguments[at]);
		rc = webhook_request_parse(buf_slice(file), request, &reason);
		if (rc != 0)
			return command_fail(in, STATUS_FAILED, "%s: %s", in->arguments[at], reason);
	}
	if (body_path != NULL) {
		rc = file_read(body, body_path);
		if (rc != 0)
			return command_fail_err(in, rc, "cannot read %s", body_path);
		request->body = buf_slice(body);
	}
	for (size_t i = 0; i < sizeof(given) / sizeof(given[0]); i++)
		if (option_text(in, given[i].option) != NULL)
			*given[i].value = slice_str(option_text(in, given[i].option));
	if (in->n_arguments == at && body_path == NULL && request->check_str.ptr == NULL)
		return command_fail_usage(in, "give a saved request, or --body (or --check-str) with its headers");
	return STATUS_OK;
}

static int print(const struct invocation *in, const struct explanation *e)
{
	bool json = option_is_set(in, "json");
	const struct explain_step *last = &e->steps[e->n_steps - 1];
	struct table *t = NULL;
	int rc = table_open(&t, stdout, columns, json);

	for (unsigned i = 0; rc == 0 && i < e->n_steps; i++) {
		table_put_str(t, e->steps[i].name);
		table_put_str(t, result_names[e->steps[i].result]);
		table_put_str(t, e->steps[i].detail);
		table_put_str(t, e->steps[i].cause);
	}
	if (rc == 0)
		rc = table_close(t);
	if (rc != 0)
		return command_fail_err(in, rc, "cannot print the steps");
	if (e->http_status == 200)
		command_note(in, "the server takes this request");
	else
		command_note(in, "the server answers %d: it fails at \"%s\"", e->http_status, last->name);
	return e->http_status == 200 ? STATUS_OK : STATUS_NOT_VERIFIED;
}

static int run_explain(struct invocation *in)
{
	struct buf file = BUF_INIT(REQUEST_LEN_MAX), body = BUF_INIT(REQUEST_LEN_MAX);
	struct arena arena = ARENA_INIT(ARENA_LEN_MAX);
	struct webhook_request request = {0};
	struct webhook_secrets secrets;
	struct config_loaded config;
	struct explanation explanation;
	const struct webhook_vendor *vendor = named(in);
	int status, rc;

	status = settings_load(in, NULL, &config);
	if (status == STATUS_OK)
		status = gather(in, &file, &body, &request);
	if (status == STATUS_OK) {
		if (vendor == NULL)
			vendor = request.is_feishu ? &webhook_feishu : &webhook_tencent;
		secrets = webhook_secrets_of(in, vendor, &config.values);
		rc = crypto_init();
		if (rc == 0)
			rc = vendor->explain(&request, &secrets, clock_wall_ms(&clock_system), &arena, &explanation);
		status = rc == 0 ? print(in, &explanation) : (int)command_fail_err(in, rc, "cannot go through it");
	}
	config_finish(&config);
	arena_finish(&arena);
	buf_finish(&body);
	buf_finish(&file);
	return status;
}

static const struct option options[] = {
	{.name = "body", .kind = OPTION_FILE, .value = "FILE", .summary = "the body, byte for byte"},
	{.name = "timestamp", .kind = OPTION_TEXT, .value = "TEXT", .summary = "the header of that name"},
	{.name = "nonce", .kind = OPTION_TEXT, .value = "TEXT", .summary = "the header of that name"},
	{.name = "signature", .kind = OPTION_TEXT, .value = "TEXT", .summary = "the header of that name"},
	{.name = "check-str", .kind = OPTION_TEXT, .value = "TEXT",
	 .summary = "of a URL check, as it stood in the query string"},
	OPTION_TOKEN,
	OPTION_AES_KEY,
	OPTION_JSON,
	{0},
};

static const struct example examples[] = {
	{"lulab webhook explain request.txt", "headers, an empty line and the body, as a proxy saved them"},
	{"lulab webhook explain --body body.json --timestamp 1767051029171 --nonce 123 --signature ab12...",
	 "a body and headers copied from a log"},
	{"lulab webhook explain feishu --body body.json --timestamp 1767051029 --nonce 123 --signature ab12...", "the same of Feishu"},
	{"lulab webhook send tencent --event meeting.end --print | lulab webhook explain /dev/stdin",
	 "see what a good request looks like"},
	{0},
};

const struct command cmd_webhook_explain = {
	.name = "explain",
	.summary = "Tell at which step a webhook failed, and why",
	.description = "Takes the steps of the server and, where one fails, tries the usual causes: a token or "
	               "key of another application, a body re-encoded on the way, a clock. Exit status 0 when "
	               "the server would take the request, 4 when not. Whose request it is shows in its headers; "
	               "without any, say feishu.",
	.arguments = "[tencent|feishu] [REQUEST-FILE]",
	.arguments_max = 2,
	.options = options,
	.examples = examples,
	.run = run_explain,
};
