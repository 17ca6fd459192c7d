/* See service.h. */
#include "service.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/app.h"
#include "base/io.h"
#include "base/json.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "process.h"
#include "settings.h"

#define URL_LEN_MAX 4096
#define ANSWER_LEN_MAX (8 << 20)
#define ASK_TIMEOUT_MS 600000 /* erasing makes every read model anew */

/* ---- one of our own ------------------------------------------------------------------------- */

/* What only a service for everybody needs is left out. */
static enum exit_status load_private(struct service *s)
{
	const struct config_flag flags[] = {
		{"data", option_data_dir(s->in)}, {"listen", "127.0.0.1:0"}, {"loops", "1"}, {0}};
	struct config_sources sources = {.flags = flags, .environment = (const char *const *)environ};
	enum exit_status status = settings_load(s->in, &sources, &s->config);

	s->config.values.tls_cert = s->config.values.tls_key = (struct slice){0};
	s->config.values.rate_limit = 0;
	return status;
}

/* *ret_running: another process has the directory, and nothing was told. */
static enum exit_status start_private(struct service *s, bool *ret_running)
{
	static const struct adapter *const none[] = {NULL};
	struct app_options options = {.config = &s->config.values, .adapters = none, .keep_signals = true};
	struct buf problem = BUF_INIT(8192);
	enum exit_status status = load_private(s);
	int rc;

	if (status != STATUS_OK)
		return status;
	s->app = calloc(1, sizeof(*s->app));
	rc = s->app == NULL ? ERR_NOMEM : app_start(s->app, &options, &problem);
	if (rc == 0)
		rc = buf_printf(&s->url, "http://%s", http_server_address(s->app->server));
	else {
		free(s->app);
		s->app = NULL;
	}
	*ret_running = rc == ERR_LOCKED;
	if (rc != 0 && !*ret_running)
		status = command_fail(s->in, status_of(rc), "%s", problem.len > 0 ? problem.ptr : err_text(rc));
	buf_finish(&problem);
	return status;
}

/* ---- the one that runs ------------------------------------------------------------------------ */

static enum exit_status find_running(struct service *s)
{
	enum exit_status status;

	config_finish(&s->config);
	s->config = (struct config_loaded){0};
	status = settings_load(s->in, NULL, &s->config);
	if (status != STATUS_OK)
		return status;
	if (settings_service_url(s->in, &s->config.values, &s->url) != 0)
		return command_fail_usage(s->in, "the address is too long");
	return STATUS_OK;
}

static bool log_is_there(const struct invocation *in)
{
	struct buf path = BUF_INIT(URL_LEN_MAX);
	bool there = buf_printf(&path, "%s/log", option_data_dir(in)) == 0 && file_exists(path.ptr);

	buf_finish(&path);
	return there;
}

enum exit_status service_open(struct service *s, const struct invocation *in)
{
	bool running = option_is_set(in, "to");
	enum exit_status status = STATUS_OK;

	*s = (struct service){.in = in, .url = BUF_INIT(URL_LEN_MAX), .authorization = BUF_INIT(8192)};
	process_prepare();
	log_set_level(LOG_LEVEL_ERROR);
	if (crypto_init() != 0 || http_client_create(&s->client) != 0)
		return command_fail(in, STATUS_FAILED, "the libraries do not start");
	if (!running && !log_is_there(in)) /* a mistyped name must not make one */
		return command_fail(in, STATUS_NOT_FOUND,
		    "there is no log in %s: name its directory with --data, or start the service once", option_data_dir(in));
	if (!running)
		status = start_private(s, &running);
	if (status == STATUS_OK && running)
		status = find_running(s);
	return status == STATUS_OK ? settings_admin_header(s->in, &s->authorization) : status;
}

void service_close(struct service *s)
{
	http_client_destroy(s->client);
	if (s->app != NULL)
		app_stop(s->app);
	free(s->app);
	config_finish(&s->config);
	buf_wipe(&s->authorization);
	buf_finish(&s->url);
}

/* ---- asking --------------------------------------------------------------------------------------- */

static enum exit_status status_of_answer(int http)
{
	switch (http) {
	case 400:
		return STATUS_USAGE;
	case 401:
	case 403:
		return STATUS_UNAUTHORISED;
	case 404:
	case 410:
		return STATUS_NOT_FOUND;
	case 409:
		return STATUS_CONFLICT;
	case 429:
	case 503:
		return STATUS_UNAVAILABLE;
	default:
		return http >= 200 && http < 300 ? STATUS_OK : STATUS_FAILED;
	}
}

/* The service's own sentence, and which members it means. */
static enum exit_status tell_refusal(struct service *s, const struct http_result *result)
{
	struct slice text = buf_slice(&result->body), detail = {0}, path, message;
	struct arena arena = ARENA_INIT(64 * 1024);
	struct json_value v, one, member;
	struct json_reader r;
	struct buf more = BUF_INIT(4096);
	enum exit_status status = status_of_answer(result->status);

	if (json_scan(text, NULL, NULL) == 0) {
		if (json_member(json_root(text), "detail", &v) && v.type == JSON_STRING)
			json_string(v, &arena, &detail);
		if (json_member(json_root(text), "errors", &v)) {
			json_enter(&r, v);
			while (json_next(&r, NULL, &one))
				if (json_member(one, "path", &member) && json_string(member, &arena, &path) == 0 &&
				    json_member(one, "message", &member) && json_string(member, &arena, &message) == 0)
					buf_printf(&more, "; %.*s: %.*s", SLICE_ARG(path), SLICE_ARG(message));
		}
	}
	if (detail.len > 0)
		command_fail(s->in, status, "%.*s%s", SLICE_ARG(detail), more.len > 0 ? more.ptr : "");
	else
		command_fail(s->in, status, "the service answers %d", result->status);
	buf_finish(&more);
	arena_finish(&arena);
	return status;
}

enum exit_status service_ask(struct service *s, const char *method, const char *path, struct slice body, struct buf *answer)
{
	/* The command before this one may have written what this one reads. */
	const char *const headers[] = {"Content-Type: application/json", "Lulab-Min-Position: newest", s->authorization.ptr, NULL};
	struct buf url = BUF_INIT(URL_LEN_MAX);
	struct http_call call = {.method = method, .headers = headers, .body = body, .has_body = body.len > 0,
	    .answer_max = ANSWER_LEN_MAX, .timeout_ms = ASK_TIMEOUT_MS, .ca_file = option_text(s->in, "ca")};
	struct http_result result = {0};
	enum exit_status status = STATUS_OK;
	int rc = buf_printf(&url, "%s%s", s->url.ptr, path);

	call.url = url.ptr;
	if (rc == 0)
		rc = http_client_call(s->client, &call, &result);
	if (rc != 0)
		status = command_fail(s->in, rc == ERR_INVALID ? STATUS_USAGE : status_of(rc),
		    "%s: %s%s%s; --to names another address of the service", s->url.ptr, err_text(rc),
		    result.message[0] == '\0' ? "" : ": ", result.message);
	else if (status_of_answer(result.status) != STATUS_OK)
		status = tell_refusal(s, &result);
	else if (answer != NULL && buf_append(answer, buf_slice(&result.body)) != 0)
		status = command_fail_err(s->in, answer->rc, "the answer of the service cannot be kept");
	if (status == STATUS_OK && answer != NULL && answer->len > 0 && json_scan(buf_slice(answer), NULL, NULL) != 0)
		status = command_fail(s->in, STATUS_FAILED, "the answer of the service is not understood");
	buf_wipe(&result.body);
	http_result_finish(&result);
	buf_finish(&url);
	return status;
}

enum exit_status service_find_user(struct service *s, const char *name, char ret_id[SERVICE_USER_LEN])
{
	struct buf body = BUF_INIT(4096), answer = BUF_INIT(ANSWER_LEN_MAX);
	struct json_writer w = JSON_WRITER(&body);
	struct arena arena = ARENA_INIT(65536);
	struct json_value data, v;
	struct slice id = {0};
	struct id as_id;
	enum exit_status status;

	if (id_parse(slice_str(name), &as_id) == 0) {
		snprintf(ret_id, SERVICE_USER_LEN, "%s", name);
		return STATUS_OK;
	}
	json_begin_object(&w);
	json_name(&w, "name");
	json_put_str(&w, name);
	json_end_object(&w);
	status = service_ask(s, "POST", "/api/v1/users/find", buf_slice(&body), &answer);
	if (status == STATUS_OK && (!json_member(json_root(buf_slice(&answer)), "data", &data) ||
	        !json_member(data, "id", &v) || json_string(v, &arena, &id) != 0 || id.len + 1 != SERVICE_USER_LEN))
		status = command_fail(s->in, STATUS_FAILED, "the answer of the service is not understood");
	if (status == STATUS_OK)
		snprintf(ret_id, SERVICE_USER_LEN, "%.*s", SLICE_ARG(id));
	arena_finish(&arena);
	buf_finish(&body);
	buf_finish(&answer);
	return status;
}
