/*
 * lulab projection skip: a person decides that a read model passes over an event
 * it cannot apply. Whoever has the log open writes the decision into it: the running
 * server, asked through its API with the admin token, else this command itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/io.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include "net/http_client.h"
#include "projection_commands.h"
#include "settings.h"
#include "store/checkpoint.h"
#include "store/eventlog.h"
#include "store/projection_skip.h"

#define URL_LEN_MAX 4096
#define ANSWER_LEN_MAX (64 * 1024)

struct skipping {
	struct invocation *in;
	const struct projection *model;
	uint64_t position;
	const char *reason;
	uint64_t event; /* where the decision was recorded */
};

/* ---- on a stopped data directory ---------------------------------------------- */

static enum exit_status append_decision(struct skipping *s, struct eventlog *log)
{
	struct projection_skip skip = {.position = s->position, .reason = slice_str(s->reason),
	    .source = SLICE("/lulab/projection/skip"), .actor = SLICE("admin")};
	struct event_context ctx = {&rng_system, &clock_system, NULL};
	struct arena arena = ARENA_INIT(1 << 20);
	struct projection_status status;
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	enum exit_status exit_status = STATUS_OK;
	const char *why = NULL;
	int rc = projection_inspect(option_data_dir(s->in), s->model, &status);

	if (rc == ERR_NOT_FOUND) {
		exit_status = command_fail(s->in, STATUS_CONFLICT,
		    "%s has not been built yet, so it has stopped nowhere", s->model->name);
		goto out;
	}
	if (rc == 0)
		rc = projection_skip_draft(&skip, &status, &ctx, &arena, &draft, &why);
	if (rc == 0)
		rc = eventlog_append_wait(log, &append);
	s->event = append.position;
	if (rc != 0 && why != NULL)
		exit_status = command_fail(s->in, status_of(rc), "%s", why);
	else if (rc != 0)
		exit_status = command_fail_err(s->in, rc, "the decision cannot be recorded");
out:
	arena_finish(&arena);
	return exit_status;
}

/* *ret_running: a server has the directory, and nothing was told. */
static enum exit_status skip_here(struct skipping *s, bool *ret_running)
{
	struct buf problem = BUF_INIT(1024), path = BUF_INIT(URL_LEN_MAX);
	struct eventlog_options options = {.dir = option_data_dir(s->in), .clock = &clock_system,
	    .type_number = event_type_number, .problem = &problem};
	struct eventlog *log = NULL;
	enum exit_status status;
	int rc = buf_printf(&path, "%s/log", options.dir);
	bool exists = rc == 0 && file_exists(path.ptr); /* opening for writing would make one */

	if (rc == 0)
		rc = signer_record(options.dir, &options.signed_size, &options.signed_root);
	if (rc == ERR_NOT_FOUND && exists) /* nothing was signed yet */
		rc = 0;
	if (rc == 0)
		rc = exists ? eventlog_open(&log, &options) : ERR_NOT_FOUND;
	*ret_running = rc == ERR_LOCKED;
	if (rc == 0)
		status = append_decision(s, log);
	else if (rc == ERR_NOT_FOUND)
		status = command_fail(s->in, STATUS_NOT_FOUND, "there is no log in %s: name its directory with --data",
		    options.dir);
	else if (*ret_running)
		status = STATUS_OK;
	else
		status = command_fail(s->in, status_of(rc), "cannot open the log in %s: %s%s%s", options.dir, err_text(rc),
		    problem.len > 0 ? ": " : "", problem.len > 0 ? problem.ptr : "");
	eventlog_close(log);
	buf_finish(&problem);
	buf_finish(&path);
	return status;
}

/* ---- through the running server --------------------------------------------------- */

static int make_url(const struct skipping *s, const struct config *config, struct buf *url)
{
	int rc = settings_service_url(s->in, config, url);

	return rc != 0 ? rc : buf_printf(url, "/api/v1/projections/%s/skip", s->model->name);
}

static int make_body(const struct skipping *s, struct buf *body)
{
	struct json_writer w = JSON_WRITER(body);

	json_begin_object(&w);
	json_name(&w, "position");
	json_put_u64(&w, s->position);
	json_name(&w, "reason");
	json_put_str(&w, s->reason);
	json_end_object(&w);
	return body->rc;
}

static enum exit_status status_of_answer(int http)
{
	switch (http) {
	case 200:
		return STATUS_OK;
	case 401:
	case 403:
		return STATUS_UNAUTHORISED;
	case 404:
		return STATUS_NOT_FOUND;
	case 409:
		return STATUS_CONFLICT;
	case 429:
	case 503:
		return STATUS_UNAVAILABLE;
	default:
		return STATUS_FAILED;
	}
}

/* The server's own sentence, or the position of the event it made. */
static enum exit_status read_answer(struct skipping *s, const struct http_result *result)
{
	enum exit_status status = status_of_answer(result->status);
	struct slice text = buf_slice(&result->body), detail = {0};
	struct arena arena = ARENA_INIT(ANSWER_LEN_MAX);
	struct json_value data, v;
	bool good = json_scan(text, NULL, NULL) == 0;

	if (status == STATUS_OK) {
		if (!good || !json_member(json_root(text), "data", &data) || !json_member(data, "event", &v) ||
		    json_u64(v, &s->event) != 0)
			status = command_fail(s->in, STATUS_FAILED, "the server's answer is not understood");
	} else {
		if (good && json_member(json_root(text), "detail", &v))
			json_string(v, &arena, &detail);
		command_fail(s->in, status, "the server answers %d%s%.*s", result->status, detail.len > 0 ? ": " : "",
		    SLICE_ARG(detail));
	}
	arena_finish(&arena);
	return status;
}

static enum exit_status ask(struct skipping *s, const char *url, const char *authorization, struct slice body)
{
	const char *const headers[] = {"Content-Type: application/json", authorization, NULL};
	struct http_call call = {.url = url, .headers = headers, .body = body, .has_body = true,
	    .answer_max = ANSWER_LEN_MAX, .ca_file = option_text(s->in, "ca")};
	struct http_result result = {0};
	struct http_client *client = NULL;
	enum exit_status status;
	int rc = http_client_create(&client);

	if (rc == 0)
		rc = http_client_call(client, &call, &result);
	if (rc == 0)
		status = read_answer(s, &result);
	else
		status = command_fail(s->in, rc == ERR_INVALID ? STATUS_USAGE : status_of(rc),
		    "%s: %s%s%s; --to names another address of the server", url, err_text(rc),
		    result.message[0] == '\0' ? "" : ": ", result.message);
	http_result_finish(&result);
	http_client_destroy(client);
	return status;
}

static enum exit_status skip_there(struct skipping *s)
{
	struct buf url = BUF_INIT(URL_LEN_MAX), body = BUF_INIT(64 * 1024), authorization = BUF_INIT(8192);
	struct config_loaded config;
	enum exit_status status = settings_load(s->in, NULL, &config);

	if (status == STATUS_OK)
		status = settings_admin_header(s->in, &authorization);
	if (status == STATUS_OK && (make_url(s, &config.values, &url) != 0 || make_body(s, &body) != 0))
		status = command_fail_usage(s->in, "the reason or the address is too long");
	if (status == STATUS_OK)
		status = ask(s, url.ptr, authorization.ptr, buf_slice(&body));
	buf_wipe(&authorization);
	buf_finish(&url);
	buf_finish(&body);
	config_finish(&config);
	return status;
}

/* ---- the command --------------------------------------------------------------------- */

static int run_skip(struct invocation *in)
{
	struct skipping s = {.in = in, .reason = option_text(in, "reason")};
	bool running = option_is_set(in, "to");
	enum exit_status status = projection_check_name(in, in->arguments[0]);

	if (status != STATUS_OK)
		return status;
	s.model = projection_find(in->arguments[0]);
	if (slice_to_u64(slice_str(in->arguments[1]), &s.position) != 0 || s.position > INT64_MAX)
		return command_fail_usage(in, "\"%s\" is no position; lulab projection status shows where it has stopped",
		    in->arguments[1]);
	if (s.reason == NULL || s.reason[0] == '\0')
		return command_fail_usage(in, "--reason is needed: it stays in the log beside the decision");
	if (crypto_init() != 0)
		return command_fail(in, STATUS_FAILED, "the cryptographic libraries do not start");
	if (!running)
		status = skip_here(&s, &running);
	if (status == STATUS_OK && running)
		status = skip_there(&s);
	if (status == STATUS_OK)
		printf("%s passes over position %" PRIu64 "; recorded as event %" PRIu64 "\n", s.model->name, s.position,
		    s.event);
	return status;
}

static const struct option options[] = {
	{.name = "reason", .kind = OPTION_TEXT, .value = "TEXT", .summary = "why; kept in the log for good, so name no person"},
	OPTION_DATA,
	{.name = "to", .kind = OPTION_TEXT, .value = "URL",
	 .summary = "the running server (default: where the settings say it listens)"},
	{.name = "ca", .kind = OPTION_FILE, .value = "FILE",
	 .summary = "certificate authority of the server (default: the system's)"},
	{0},
};

static const struct example examples[] = {
	{"lulab projection status", "which read model has stopped, where and why"},
	{"lulab projection skip meetings 1742 --reason \"written by a faulty build, see incident 12\"",
	 "let it go on behind that event"},
	{0},
};

const struct command projection_skip = {
	.name = "skip",
	.summary = "Let a stopped read model pass over the event it cannot apply",
	.description = "The decision becomes an event, projection.skipped, which every later rebuild honours; the event "
	               "passed over stays in the log. A running server is asked with the admin token of its data "
	               "directory; the log of a stopped one is written to directly. Exit status 5 when the read model has "
	               "not stopped at this position.",
	.arguments = "MODEL POSITION",
	.arguments_min = 2,
	.arguments_max = 2,
	.options = options,
	.examples = examples,
	.run = run_skip,
};
