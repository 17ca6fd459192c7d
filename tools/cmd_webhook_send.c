/* lulab webhook send: makes, signs, encrypts and posts webhooks as the vendor does. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/io.h"
#include "base/json.h"
#include "base/rng.h"
#include "crypto/crypto.h"
#include "nearest.h"
#include "net/http_client.h"
#include "progress.h"
#include "settings.h"
#include "table.h"
#include "webhook.h"
#include "webhook_edit.h"
#include "webhook_samples.h"

enum { BODY_LEN_MAX = 4 << 20, ANSWER_LEN_MAX = 1 << 20, ANSWER_SHOWN_MAX = 80, OUTCOMES_MAX = 32, URL_LEN_MAX = 4096,
	NAMES_LEN_MAX = 8192 };

/* Requests that ended alike. */
struct outcome {
	const char *event;
	int status;
	char answer[ANSWER_SHOWN_MAX + 1];
	char trace_id[ID_TEXT_LEN + 1]; /* of the last one */
	uint64_t n;
	int64_t took_us, took_us_max;
};

struct sending {
	struct invocation *in;
	const struct webhook_vendor *vendor;
	struct webhook_secrets secrets; /* borrowed from options and settings */
	struct http_client *client; /* NULL with --print */
	struct buf url;
	struct outcome outcomes[OUTCOMES_MAX];
	unsigned n_outcomes;
	struct progress progress;
	uint64_t n_sent;
};

static void list_samples(const struct sending *s, struct buf *out)
{
	for (const struct webhook_sample *w = webhook_samples; w->name != NULL; w++)
		if (strcmp(w->vendor, s->vendor->name) == 0)
			buf_printf(out, "%s%s", out->len > 0 ? ", " : "", w->name);
}

static const struct webhook_sample *sample_find(const struct sending *s, const char *name)
{
	struct nearest near = NEAREST_INIT(slice_str(name));
	struct buf all = BUF_INIT(NAMES_LEN_MAX);

	for (const struct webhook_sample *w = webhook_samples; w->name != NULL; w++) {
		if (strcmp(w->vendor, s->vendor->name) != 0)
			continue;
		if (strcmp(w->name, name) == 0)
			return w;
		nearest_offer(&near, w->name);
	}
	list_samples(s, &all);
	if (near.name != NULL)
		command_fail(s->in, STATUS_NOT_FOUND, "there is no sample \"%s\" of %s; did you mean \"%s\"?", name,
		    s->vendor->title, near.name);
	else
		command_fail(s->in, STATUS_NOT_FOUND, "there is no sample \"%s\" of %s; there are: %.*s", name, s->vendor->title,
		    SLICE_ARG(buf_slice(&all)));
	buf_finish(&all);
	return NULL;
}

/* What makes one event differ from the sample. trace_id gets the one in use, at most 32 characters of it. */
static int edit(struct sending *s, cJSON *event, char trace_id[ID_TEXT_LEN + 1])
{
	const char *set;
	int rc = 0;

	if (!option_is_set(s->in, "as-is")) {
		struct id id = id_random(&rng_system);

		id_format(trace_id, &id);
		rc = s->vendor->freshen(event, trace_id, clock_wall_ms(&clock_system));
	}
	for (unsigned i = 0; rc == 0 && (set = option_nth(s->in, "set", i)) != NULL; i++) {
		rc = webhook_set(event, slice_str(set));
		if (rc == ERR_MALFORMED)
			return command_fail_usage(s->in, "--set wants path=value, not \"%s\"", set);
		if (rc == ERR_NOT_FOUND)
			return command_fail_usage(s->in, "--set %s: the path leads nowhere in this event", set);
	}
	if (rc != 0)
		return command_fail_err(s->in, rc, "cannot change the event");
	if (s->vendor->complete != NULL && s->vendor->complete(event, &s->secrets) != 0)
		return command_fail_err(s->in, ERR_NOMEM, "cannot change the event");
	snprintf(trace_id, ID_TEXT_LEN + 1, "%s", s->vendor->id_of(event));
	return STATUS_OK;
}

static void count(struct sending *s, const char *event, const char *trace_id, const struct http_result *result)
{
	struct slice body = slice_trim(buf_slice(&result->body));
	struct outcome *o = s->outcomes;
	char answer[ANSWER_SHOWN_MAX + 1];

	snprintf(answer, sizeof(answer), "%.*s", SLICE_ARG(body));
	while (o < s->outcomes + s->n_outcomes &&
	    (strcmp(o->event, event) != 0 || o->status != result->status || strcmp(o->answer, answer) != 0))
		o++;
	if (o == s->outcomes + OUTCOMES_MAX)
		o--; /* too many kinds: the last row takes the rest */
	else if (o == s->outcomes + s->n_outcomes) {
		s->n_outcomes++;
		*o = (struct outcome){.event = event, .status = result->status};
		memcpy(o->answer, answer, sizeof(answer));
	}
	snprintf(o->trace_id, sizeof(o->trace_id), "%s", trace_id);
	o->n++;
	o->took_us += result->duration_us;
	if (result->duration_us > o->took_us_max)
		o->took_us_max = result->duration_us;
}

static int post(struct sending *s, const char *event, const char *trace_id, const struct webhook_post *p)
{
	char lines[4][128];
	const char *headers[6] = {"Content-Type: application/json"};
	struct http_call call = {.url = s->url.ptr, .headers = headers, .body = buf_slice(&p->body),
		.has_body = true, .flags = CLIENT_PLAIN, .answer_max = ANSWER_LEN_MAX,
		.ca_file = option_text(s->in, "ca")};
	struct http_result result = {0};
	int rc, status = STATUS_OK;

	for (size_t i = 0; i < 4 && p->headers[i].name != NULL; i++) {
		snprintf(lines[i], sizeof(lines[i]), "%s: %s", p->headers[i].name, p->headers[i].value);
		headers[i + 1] = lines[i];
	}
	rc = http_client_call(s->client, &call, &result);
	if (rc == 0)
		count(s, event, trace_id, &result);
	else
		status = command_fail(s->in, rc == ERR_INVALID ? STATUS_USAGE : STATUS_UNAVAILABLE, "%s: %s%s%s",
		    s->url.ptr, err_text(rc), result.message[0] == '\0' ? "" : ": ", result.message);
	http_result_finish(&result);
	return status;
}

static void print(const struct sending *s, const struct webhook_post *p)
{
	printf("POST /%s HTTP/1.1\r\nContent-Type: application/json\r\n", s->vendor->path);
	for (size_t i = 0; i < 4 && p->headers[i].name != NULL; i++)
		printf("%s: %s\r\n", p->headers[i].name, p->headers[i].value);
	printf("Content-Length: %zu\r\n\r\n%.*s\n", p->body.len, SLICE_ARG(buf_slice(&p->body)));
}

/* Signs the text, then prints it, or posts it once or twice. */
static int deliver(struct sending *s, const char *event, const char *trace_id, const cJSON *tree, struct slice plain)
{
	struct webhook_post p = {.body = BUF_INIT(2 * BODY_LEN_MAX)};
	int times = option_is_set(s->in, "duplicate") ? 2 : 1, status = STATUS_OK;

	if (s->vendor->make(&s->secrets, tree, plain, &p) != 0)
		status = command_fail(s->in, STATUS_FAILED, "cannot sign the webhook");
	else if (s->client == NULL)
		print(s, &p);
	else
		for (int i = 0; i < times && status == STATUS_OK; i++)
			status = post(s, event, trace_id, &p);
	buf_finish(&p.body);
	return status;
}

static int send_one(struct sending *s, const char *event, struct slice json)
{
	char trace_id[ID_TEXT_LEN + 1] = "";
	struct json_error where = {0};
	cJSON *tree = NULL;
	char *text;
	int status, rc = json_tree(json, NULL, &tree, &where);

	if (rc != 0)
		return command_fail(s->in, STATUS_FAILED, "the event is not good JSON: %s at byte %zu",
		    where.reason == NULL ? err_text(rc) : where.reason, where.offset);
	status = edit(s, tree, trace_id);
	if (status == STATUS_OK) {
		text = cJSON_PrintUnformatted(tree);
		status = text == NULL ? (int)command_fail_err(s->in, ERR_NOMEM, "cannot make the event")
		                      : deliver(s, event, trace_id, tree, slice_str(text));
		cJSON_free(text);
	}
	cJSON_Delete(tree);
	progress_set(&s->progress, ++s->n_sent);
	return status;
}

/* Every event that was asked for, --count times. */
static int send_all(struct sending *s)
{
	const char *file = option_text(s->in, "file"), *event = option_text(s->in, "event");
	bool all = event != NULL && strcmp(event, "all") == 0;
	uint64_t times = option_number(s->in, "count");
	const struct webhook_sample *first = webhook_samples, *end = NULL;
	struct buf text = BUF_INIT(BODY_LEN_MAX);
	int status = STATUS_OK, rc = 0;

	if (file != NULL) {
		rc = file_read(&text, file);
		if (rc != 0)
			status = command_fail_err(s->in, rc, "cannot read %s", file);
	} else if (!all) {
		first = sample_find(s, event == NULL ? s->vendor->first : event);
		end = first == NULL ? NULL : first + 1;
		status = first == NULL ? STATUS_NOT_FOUND : STATUS_OK;
	}
	progress_start(&s->progress, stderr, &clock_system, "sending", "webhooks", file != NULL || end != NULL ? times : 0);
	for (uint64_t i = 0; status == STATUS_OK && i < times; i++) {
		if (file != NULL)
			status = send_one(s, file, buf_slice(&text));
		for (const struct webhook_sample *w = first;
		     file == NULL && status == STATUS_OK && w->name != NULL && w != end; w++)
			if (!all || strcmp(w->vendor, s->vendor->name) == 0)
				status = send_one(s, w->event, slice_str(w->json));
		if (status == STATUS_OK && command_interrupted())
			status = STATUS_INTERRUPTED;
	}
	progress_finish(&s->progress);
	buf_finish(&text);
	return status;
}

static int status_of_http(int http)
{
	if (http >= 200 && http < 300)
		return STATUS_OK;
	if (http == 401 || http == 403)
		return STATUS_UNAUTHORISED;
	if (http == 404)
		return STATUS_NOT_FOUND;
	return http == 429 || http == 503 ? STATUS_UNAVAILABLE : STATUS_FAILED;
}

static int report(struct sending *s, int status)
{
	static const struct table_column columns[] = {
		{"EVENT", "event", TABLE_TEXT}, {"STATUS", "status", TABLE_NUMBER}, {"ANSWER", "answer", TABLE_TEXT},
		{"SENT", "sent", TABLE_NUMBER}, {"MEAN µs", "meanUs", TABLE_NUMBER},
		{"MAX µs", "maxUs", TABLE_NUMBER}, {"LAST TRACE ID", "lastTraceId", TABLE_TEXT}, {0}};
	struct table *t = NULL;
	int rc;

	if (s->n_outcomes == 0)
		return status;
	rc = table_open(&t, stdout, columns, option_is_set(s->in, "json"));
	for (const struct outcome *o = s->outcomes; rc == 0 && o < s->outcomes + s->n_outcomes; o++) {
		table_put_str(t, o->event);
		table_put_i64(t, o->status);
		table_put_str(t, o->answer);
		table_put_u64(t, o->n);
		table_put_i64(t, o->took_us / (int64_t)o->n);
		table_put_i64(t, o->took_us_max);
		table_put_str(t, o->trace_id);
		if (status == STATUS_OK)
			status = status_of_http(o->status);
	}
	if (rc == 0)
		rc = table_close(t);
	if (rc != 0)
		return command_fail_err(s->in, rc, "cannot print the outcome");
	if (status == STATUS_UNAUTHORISED || status == STATUS_FAILED)
		command_note(s->in, "refused; to learn why: lulab webhook send ... --print > request.txt, "
		                    "then lulab webhook explain request.txt with the settings of the server");
	return status;
}

/* --to, with the webhook's path when it names only the host; else where the settings say the server listens. */
static int target(const struct sending *s, const struct config_loaded *config, struct buf *url)
{
	const char *to = option_text(s->in, "to"), *host;
	int rc = to == NULL ? settings_url(&config->values, url) : buf_append_str(url, to);

	if (rc != 0)
		return rc;
	host = strstr(url->ptr, "://");
	if (host == NULL)
		return ERR_INVALID;
	if (strchr(host + 3, '/') == NULL)
		return buf_printf(url, "/%s", s->vendor->path);
	return host[3 + strcspn(host + 3, "/") + 1] == '\0' ? buf_append_str(url, s->vendor->path) : 0;
}

static int open_client(struct sending *s, const struct config_loaded *config)
{
	int rc;

	if (option_is_set(s->in, "print"))
		return STATUS_OK;
	if (target(s, config, &s->url) != 0)
		return command_fail_usage(s->in, "--to wants a URL like http://127.0.0.1:3000");
	rc = http_client_create(&s->client);
	return rc == 0 ? STATUS_OK : (int)command_fail_err(s->in, rc, "cannot send");
}

static int take_secrets(struct sending *s, const struct config *config)
{
	int rc;

	s->secrets = webhook_secrets_of(s->in, s->vendor, config);
	rc = s->vendor->secrets_fit(&s->secrets);
	if (rc == ERR_NOT_FOUND)
		return command_fail(s->in, STATUS_UNAUTHORISED, "%s", s->vendor->no_secrets);
	if (rc != 0)
		return command_fail_usage(s->in, "%s", s->vendor->bad_secret);
	return STATUS_OK;
}

static int run_send(struct invocation *in)
{
	struct sending s = {.in = in, .vendor = webhook_vendor_find(in->arguments[0]), .url = BUF_INIT(URL_LEN_MAX)};
	struct config_loaded config;
	int status;

	if (s.vendor == NULL)
		return command_fail_usage(in, "\"%s\" is no vendor that is known here; there are: tencent, feishu",
		    in->arguments[0]);
	status = settings_load(in, NULL, &config);
	if (status == STATUS_OK && crypto_init() != 0)
		status = command_fail(in, STATUS_FAILED, "the cryptographic libraries do not start");
	if (status == STATUS_OK)
		status = take_secrets(&s, &config.values);
	if (status == STATUS_OK)
		status = open_client(&s, &config);
	if (status == STATUS_OK)
		status = send_all(&s);
	status = report(&s, status);
	http_client_destroy(s.client);
	buf_finish(&s.url);
	config_finish(&config);
	return status;
}

static const struct option options[] = {
	{.name = "event", .letter = 'e', .kind = OPTION_TEXT, .value = "SAMPLE",
	 .summary = "which sample to send, or \"all\" (default: that a meeting started); lulab webhook list shows them"},
	{.name = "file", .kind = OPTION_FILE, .value = "FILE", .summary = "an event of your own instead, as JSON"},
	{.name = "set", .kind = OPTION_TEXT, .value = "PATH=VALUE", .repeatable = true,
	 .summary = "change a member, as payload.0.meeting_info.subject=审计会"},
	{.name = "to", .kind = OPTION_TEXT, .value = "URL",
	 .summary = "the server (default: where the settings say it listens)"},
	OPTION_TOKEN,
	OPTION_AES_KEY,
	{.name = "count", .letter = 'n', .kind = OPTION_NUMBER, .value = "N", .fallback = "1", .min = 1,
	 .max = 100000000, .summary = "so many, each with a trace_id of its own"},
	{.name = "duplicate", .kind = OPTION_FLAG, .summary = "send each one twice, as the vendor's repeats do"},
	{.name = "as-is", .kind = OPTION_FLAG,
	 .summary = "keep trace_id and times instead of a new one and the present time"},
	{.name = "print", .kind = OPTION_FLAG, .summary = "print the request instead of sending it"},
	{.name = "ca", .kind = OPTION_FILE, .value = "FILE",
	 .summary = "certificate authority of the server (default: the system's)"},
	OPTION_JSON,
	{0},
};

static const struct example examples[] = {
	{"lulab webhook send tencent --event recording.completed", "send one to the server on this machine"},
	{"lulab webhook send tencent --event meeting.started --set payload.0.meeting_info.subject=审计会",
	 "with another title"},
	{"lulab webhook send tencent --event all --to http://127.0.0.1:3000", "one of every event"},
	{"lulab webhook send feishu --event url_verification", "Feishu's check of an address"},
	{"lulab webhook send tencent --count 1000 --duplicate", "a thousand, each of them twice"},
	{0},
};

const struct command cmd_webhook_send = {
	.name = "send",
	.summary = "Make, sign, encrypt and post a sample webhook",
	.arguments = "tencent|feishu",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = options,
	.examples = examples,
	.run = run_send,
};
