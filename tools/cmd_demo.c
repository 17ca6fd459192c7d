/*
 * lulab demo: has the simulator beside the service play a meeting, and tells what comes of it, line by line.
 *
 *     player thread:  accounts --> the simulator plays until the end of the meeting --> waits until those who came are known
 *                     --> the simulator plays the rest --> waits until nothing is owed --> the end is told
 *     main thread:    the event stream, from before the meeting to the end
 *
 * The simulator is found by DATA/simulator.json, which tools/run writes.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"
#include "demo.h"
#include "demo_story.h"

#define LINE_MAX_LEN 4096
#define TOTAL_MS 3600000
#define TIME_LEN 8 /* 10:00:00 */

void demo_rest(unsigned ms)
{
	const struct timespec span = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&span, NULL);
}

enum exit_status demo_no_simulator(struct demo *d, int rc)
{
	return command_fail(d->in, STATUS_UNAVAILABLE, "the simulator at %s does not play: %s; is tools/run still there?",
	    d->control.ptr, rc != 0 ? err_text(rc) : "it refuses");
}

int64_t demo_patience_ends_ms(const struct demo *d)
{
	return clock_monotonic_us(&clock_system) / 1000 + (int64_t)option_number(d->in, "patience") * 1000;
}

bool demo_is_past_ms(int64_t until_ms)
{
	return clock_monotonic_us(&clock_system) / 1000 > until_ms;
}

/* ---- the player ----------------------------------------------------------------------------- */

/* A number in an answer's member of a member. */
static bool number_in(struct slice answer, const char *outer, const char *inner, uint64_t *ret)
{
	struct json_value v;

	return json_member(json_root(answer), outer, &v) && json_member(v, inner, &v) && json_u64(v, ret) == 0;
}

static enum exit_status count_events(struct demo *d, uint64_t *ret)
{
	struct buf answer = BUF_INIT(DEMO_ANSWER_MAX);
	enum exit_status status = service_ask(&d->service, "GET", "/api/v1/events?limit=1", (struct slice){0}, &answer);

	if (status == STATUS_OK && !number_in(buf_slice(&answer), "pagination", "total", ret))
		status = command_fail(d->in, STATUS_FAILED, "the answer of the service is not understood");
	buf_finish(&answer);
	return status;
}

/* A command to the simulator's Tencent Meeting. What it answers in *ret_answer, empty before. */
static enum exit_status command(struct demo *d, const char *name, struct slice body, struct buf *ret_answer)
{
	const char *const headers[] = {"Content-Type: application/json", NULL};
	struct buf url = BUF_INIT(DEMO_URL_MAX);
	struct http_call call = {.method = "POST", .headers = headers, .has_body = true, .body = body, .timeout_ms = TOTAL_MS,
	    .flags = CLIENT_LOOPBACK_ONLY};
	struct http_result result = {0};
	enum exit_status status = STATUS_OK;
	int rc = buf_printf(&url, "%s/tencent/%s", d->control.ptr, name);

	call.url = url.ptr;
	rc = rc != 0 ? rc : http_client_call(d->service.client, &call, &result);
	if (rc != 0 || result.status != 200 || buf_append(ret_answer, buf_slice(&result.body)) != 0)
		status = demo_no_simulator(d, rc);
	http_result_finish(&result);
	buf_finish(&url);
	return status;
}

/* Until everybody has left. *ret_meeting: which it is, for the rest. */
static enum exit_status play_meeting(struct demo *d, struct buf *ret_meeting)
{
	struct buf url = BUF_INIT(DEMO_URL_MAX), body = BUF_INIT(DEMO_BODY_MAX), answer = BUF_INIT(DEMO_ANSWER_MAX);
	struct json_writer w = JSON_WRITER(&body);
	struct arena arena = ARENA_INIT(4096);
	struct json_value data;
	enum exit_status status;

	buf_printf(&url, "%s/webhooks/tencent", d->service.url.ptr);
	json_begin_object(&w);
	json_name(&w, "webhook");
	json_put_str(&w, url.ptr);
	json_name(&w, "pace");
	json_put_double(&w, (double)option_number(d->in, "pace") / 1000);
	json_name(&w, "pause");
	json_put_str(&w, "meeting.end");
	json_end_object(&w);
	status = command(d, "meeting", buf_slice(&body), &answer);
	if (status == STATUS_OK && json_scan(buf_slice(&answer), NULL, NULL) == 0 &&
	    json_member(json_root(buf_slice(&answer)), "data", &data))
		buf_append(ret_meeting, service_text(data, "meeting_id", &arena));
	arena_finish(&arena);
	buf_finish(&url);
	buf_finish(&body);
	buf_finish(&answer);
	return status;
}

/* Whoever is to get a mail must be known by then. */
static void wait_for_people(struct demo *d)
{
	int64_t until_ms = demo_patience_ends_ms(d);

	while (d->met < DEMO_PEOPLE && !d->over && !command_interrupted() && !demo_is_past_ms(until_ms))
		demo_rest(DEMO_LOOK_MS / 10);
}

static enum exit_status play_end(struct demo *d, struct slice meeting)
{
	struct buf body = BUF_INIT(DEMO_BODY_MAX), answer = BUF_INIT(DEMO_ANSWER_MAX);
	struct json_writer w = JSON_WRITER(&body);
	enum exit_status status;

	json_begin_object(&w);
	json_name(&w, "meeting_id");
	json_put_string(&w, meeting);
	json_end_object(&w);
	status = command(d, "go_on", buf_slice(&body), &answer);
	buf_finish(&body);
	buf_finish(&answer);
	return status;
}

static enum exit_status play(struct demo *d)
{
	struct buf meeting = BUF_INIT(DEMO_BODY_MAX);
	enum exit_status status = play_meeting(d, &meeting);

	if (status == STATUS_OK)
		wait_for_people(d);
	if (status == STATUS_OK && !command_interrupted())
		status = play_end(d, buf_slice(&meeting));
	buf_finish(&meeting);
	return status;
}

/* An open effect that this meeting asked for, and not one that is for later on purpose: times compare as texts. */
static bool is_owed(struct demo *d, struct json_value row)
{
	struct arena arena = ARENA_INIT(4096);
	struct slice ready = service_text(row, "readyAt", &arena), created = service_text(row, "createdAt", &arena);
	bool later = slice_is(service_text(row, "attempt", &arena), "0") && slice_cmp(ready, created) > 0;
	struct json_value v;
	uint64_t cause;
	bool is = ready.len > 0 && !later && json_member(row, "cause", &v) && json_u64(v, &cause) == 0 && cause >= d->from;

	arena_finish(&arena);
	return is;
}

static bool any_owed(struct demo *d, struct slice answer)
{
	struct json_value rows, row;
	struct json_reader r;

	if (!json_member(json_root(answer), "data", &rows))
		return false;
	json_enter(&r, rows);
	while (json_next(&r, NULL, &row))
		if (is_owed(d, row))
			return true;
	return false;
}

/* Until two looks in a row see nothing owed, or the patience is used up. */
static enum exit_status wait_for_effects(struct demo *d)
{
	int64_t until_ms = demo_patience_ends_ms(d);
	enum exit_status status = STATUS_OK;
	unsigned quiet = 0;

	while (status == STATUS_OK && quiet < 2 && !command_interrupted()) {
		struct buf answer = BUF_INIT(DEMO_ANSWER_MAX);

		status = service_ask(&d->service, "GET", "/api/v1/effects?limit=100", (struct slice){0}, &answer);
		quiet = status == STATUS_OK && !any_owed(d, buf_slice(&answer)) ? quiet + 1 : 0;
		buf_finish(&answer);
		if (quiet == 0 && demo_is_past_ms(until_ms)) {
			command_note(d->in, "something is still owed: lulab effects list");
			break;
		}
		demo_rest(DEMO_LOOK_MS);
	}
	return status;
}

/* Lets the stream tell what is in the log by now. */
static void end_stream(struct demo *d)
{
	uint64_t size = 0;

	if (d->status == STATUS_OK && count_events(d, &size) == STATUS_OK)
		for (unsigned i = 0; i < 50 && d->seen < size && !command_interrupted(); i++)
			demo_rest(DEMO_LOOK_MS / 3);
	d->over = true;
}

static void *run_player(void *arg)
{
	struct demo *d = arg;

	d->status = demo_people_come(d);
	if (d->status == STATUS_OK)
		d->status = play(d);
	if (d->status == STATUS_OK)
		d->status = wait_for_effects(d);
	end_stream(d);
	return NULL;
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* The time of the envelope, which is UTC, as this machine's: "18:03:04". */
static void put_time(struct buf *line, struct json_value event, struct arena *a)
{
	struct json_value v;
	struct slice text;

	if (json_member(event, "time", &v) && json_string(v, a, &text) == 0 && text.len >= 11 + TIME_LEN)
		buf_append(line, slice_of(text.ptr + 11, TIME_LEN));
}

static void tell(struct demo *d, struct slice event)
{
	struct arena arena = ARENA_INIT(65536);
	struct buf line = BUF_INIT(LINE_MAX_LEN);
	struct json_value root, data;

	if (json_scan(event, NULL, NULL) == 0 && (root = json_root(event), json_member(root, "data", &data))) {
		put_time(&line, root, &arena);
		buf_printf(&line, d->colour ? "  \033[1m%-21.*s\033[0m " : "  %-21.*s ", SLICE_ARG(buf_slice(&d->type)));
		if (demo_tell(buf_slice(&d->type), data, &line) && line.rc == 0) {
			printf("%.*s\n", SLICE_ARG(buf_slice(&line)));
			fflush(stdout);
		}
		if (slice_is(buf_slice(&d->type), "participant.joined"))
			demo_people_meet(d, data);
	}
	arena_finish(&arena);
	buf_finish(&line);
}

static void take_line(struct demo *d, struct slice line)
{
	int64_t position;

	if (slice_starts_with(line, SLICE("event: "))) {
		d->type.len = 0;
		buf_append(&d->type, slice_of(line.ptr + 7, line.len - 7));
	} else if (slice_starts_with(line, SLICE("data: ")))
		tell(d, slice_of(line.ptr + 6, line.len - 6));
	else if (slice_starts_with(line, SLICE("id: ")) && slice_to_i64(slice_of(line.ptr + 4, line.len - 4), &position) == 0)
		d->seen = (uint64_t)position + 1;
}

static int on_bytes(void *arg, struct slice bytes)
{
	struct demo *d = arg;
	size_t at = 0;

	buf_append(&d->pending, bytes);
	for (size_t i = 0; i < d->pending.len; i++) {
		if (d->pending.ptr[i] != '\n')
			continue;
		take_line(d, slice_of(d->pending.ptr + at, i - at));
		at = i + 1;
	}
	buf_consume(&d->pending, at);
	return command_interrupted() || d->pending.rc != 0 ? ERR_CANCELLED : 0;
}

static enum exit_status follow(struct demo *d)
{
	const char *const headers[] = {d->service.authorization.ptr, NULL};
	struct buf url = BUF_INIT(DEMO_URL_MAX);
	struct http_call call = {.headers = headers, .on_bytes = on_bytes, .arg = d, .timeout_ms = TOTAL_MS,
	    .answer_max = SIZE_MAX, .stopping = &d->over, .ca_file = option_text(d->in, "ca")};
	struct http_result result = {0};
	enum exit_status status = STATUS_OK;
	int rc;

	buf_printf(&url, "%s/api/v1/events/stream?from=%" PRIu64, d->service.url.ptr, d->from);
	call.url = url.ptr;
	rc = http_client_call(d->stream, &call, &result);
	if (command_interrupted())
		status = STATUS_INTERRUPTED;
	else if (rc != ERR_CANCELLED || !d->over)
		status = command_fail(d->in, STATUS_UNAVAILABLE, "the event stream ended: %s", rc != 0 ? err_text(rc) : "the service stops");
	http_result_finish(&result);
	buf_finish(&url);
	return status;
}

/* ---- the command ------------------------------------------------------------------------------- */

static enum exit_status find_simulator(struct demo *d)
{
	struct buf path = BUF_INIT(DEMO_URL_MAX), text = BUF_INIT(DEMO_BODY_MAX);
	struct arena arena = ARENA_INIT(65536);
	struct json_value v;
	struct slice url;
	enum exit_status status = STATUS_OK;

	buf_printf(&path, "%s/simulator.json", option_data_dir(d->in));
	if (file_read(&text, path.ptr) != 0 || json_scan(slice_trim(buf_slice(&text)), NULL, NULL) != 0 ||
	    !json_member(json_root(slice_trim(buf_slice(&text))), "control", &v) || json_string(v, &arena, &url) != 0 ||
	    buf_append(&d->control, url) != 0)
		status = command_fail(d->in, STATUS_UNAVAILABLE, "no simulator plays beside the service of %s: "
		    "./tools/run starts one while no vendor is configured", option_data_dir(d->in));
	arena_finish(&arena);
	buf_finish(&path);
	buf_finish(&text);
	return status;
}

static enum exit_status prepare(struct demo *d)
{
	enum exit_status status = find_simulator(d);

	if (status == STATUS_OK)
		status = service_open(&d->service, d->in);
	if (status == STATUS_OK && d->service.app != NULL)
		status = command_fail(d->in, STATUS_UNAVAILABLE, "the service does not run: start it with ./tools/run");
	if (status == STATUS_OK && http_client_create(&d->stream) != 0)
		status = command_fail(d->in, STATUS_FAILED, "the libraries do not start");
	d->linker = d->service;
	d->linker.client = NULL;
	if (status == STATUS_OK && http_client_create(&d->linker.client) != 0)
		status = command_fail(d->in, STATUS_FAILED, "the libraries do not start");
	if (status == STATUS_OK)
		status = demo_mail_begin(d, d->linker.client);
	return status == STATUS_OK ? count_events(d, &d->from) : status;
}

static enum exit_status tell_story(struct demo *d)
{
	enum exit_status status;
	pthread_t player;

	(void)command_interrupted(); /* from here on it is asked */
	if (pthread_create(&player, NULL, run_player, d) != 0)
		return command_fail(d->in, STATUS_FAILED, "no thread can be started");
	status = follow(d);
	d->over = true;
	pthread_join(player, NULL);
	demo_mail_tell(d, d->linker.client);
	return status == STATUS_OK ? d->status : status;
}

static int run_demo(struct invocation *in)
{
	struct demo d = {.in = in, .control = BUF_INIT(DEMO_URL_MAX), .pending = BUF_INIT(DEMO_ANSWER_MAX), .type = BUF_INIT(256),
	    .colour = command_colour(1)};
	enum exit_status status = prepare(&d);

	if (status == STATUS_OK)
		status = tell_story(&d);
	if (status == STATUS_OK)
		printf("That is all. The meeting, and what was made of it: lulab log tail, or %s/api/v1/meetings\n", d.service.url.ptr);
	http_client_destroy(d.stream);
	http_client_destroy(d.linker.client);
	service_close(&d.service);
	buf_finish(&d.control);
	buf_finish(&d.pending);
	buf_finish(&d.type);
	return status;
}

static const struct option options[] = {
	OPTIONS_SERVICE,
	{.name = "pace", .kind = OPTION_NUMBER, .value = "MS", .fallback = "700", .max = 60000,
	 .summary = "milliseconds between two things that happen in the meeting"},
	{.name = "patience", .kind = OPTION_NUMBER, .value = "SECONDS", .fallback = "60", .max = 3600,
	 .summary = "how long to wait for what the meeting asks for"},
	{0},
};

static const struct example examples[] = {
	{"lulab demo", "beside a ./tools/run in another terminal"},
	{"lulab demo --pace 0", "as fast as it goes"},
	{0},
};

const struct command cmd_demo = {
	.name = "demo",
	.summary = "Play a meeting and tell what comes of it",
	.description = "The simulator of the vendors that ./tools/run starts plays a meeting: people come and go, it ends, a "
	    "recording is made. The service fetches and stores it, and what was said, has it summed up, keeps the tables in Feishu "
	    "and mails the summary to those who came, have an account and have shown that its address is theirs: one of them "
	    "registers before, with a code that comes by mail. Each event is told as it comes in, and at the end the mail.",
	.options = options,
	.examples = examples,
	.run = run_demo,
};
