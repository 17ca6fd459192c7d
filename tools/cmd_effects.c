/* lulab effects: what is owed to the world, on the running service or its data directory (service.h). */
#include <inttypes.h>
#include <stdio.h>

#include "base/codec.h"
#include "base/json.h"
#include "service.h"
#include "table.h"

#define BODY_MAX 8192
#define ANSWER_MAX (8 << 20)
#define PATH_MAX_LEN 2048

/* ---- list, lanes -------------------------------------------------------------------------- */

static const struct table_column effect_columns[] = {{"ID", "id", TABLE_TEXT}, {"EFFECT", "effect", TABLE_TEXT},
    {"STATE", "state", TABLE_TEXT}, {"REASON", "reason", TABLE_TEXT}, {"TRIES", "attempt", TABLE_NUMBER},
    {"ANSWER", "status", TABLE_NUMBER}, {"CLASS", "class", TABLE_TEXT}, {"CAUSE", "cause", TABLE_NUMBER},
    {"UPDATED", "updatedAt", TABLE_TEXT}, {0}};

static const struct table_column lane_columns[] = {{"LANE", "lane", TABLE_TEXT}, {"PAUSED", "paused", TABLE_BOOL},
    {"NEIGHBOUR", "host", TABLE_TEXT}, {"BREAKER", "breaker", TABLE_TEXT}, {"RUNNING", "running", TABLE_NUMBER},
    {"WAITING", "waiting", TABLE_NUMBER}, {"DEAD", "dead", TABLE_NUMBER}, {"OLDEST", "oldestAt", TABLE_TEXT}, {0}};

static int run_list(struct invocation *in)
{
	static const char *const options[] = {"state", "lane", "effect", NULL};

	return service_list(in, &(struct service_list){"/api/v1/effects", options, effect_columns, "the effects"});
}

static int run_lanes(struct invocation *in)
{
	return service_list(in, &(struct service_list){"/api/v1/effects/lanes", NULL, lane_columns, "the lanes"});
}

static const struct table_column running_columns[] = {{"ID", "id", TABLE_TEXT}, {"EFFECT", "effect", TABLE_TEXT},
    {"TRY", "attempt", TABLE_NUMBER}, {"SINCE", "startedAt", TABLE_TEXT}, {"BYTES", "doneBytes", TABLE_NUMBER},
    {"OF", "totalBytes", TABLE_NUMBER}, {0}};

static int run_running(struct invocation *in)
{
	return service_list(in, &(struct service_list){"/api/v1/effects/running", NULL, running_columns, "what is being tried"});
}

/* ---- one effect ------------------------------------------------------------------------------- */

static enum exit_status ask_about(struct service *s, const char *method, const char *below, const char *suffix,
    struct slice body, struct buf *answer)
{
	struct buf path = BUF_INIT(PATH_MAX_LEN);
	enum exit_status status;

	buf_printf(&path, "/api/v1/effects%s", below);
	if (s->in->n_arguments > 0 && strcmp(s->in->arguments[0], "*") != 0) {
		buf_append_char(&path, '/');
		percent_encode(&path, slice_str(s->in->arguments[0]));
	}
	buf_append_str(&path, suffix);
	status = path.rc != 0 ? command_fail_usage(s->in, "the argument is too long")
	                      : service_ask(s, method, path.ptr, body, answer);
	buf_finish(&path);
	return status;
}

static int run_show(struct invocation *in)
{
	struct buf answer = BUF_INIT(ANSWER_MAX);
	struct json_value data;
	struct service s;
	enum exit_status status = service_open(&s, in);

	if (status == STATUS_OK)
		status = ask_about(&s, "GET", "", "", (struct slice){0}, &answer);
	if (status == STATUS_OK && json_member(json_root(buf_slice(&answer)), "data", &data))
		printf("%.*s\n", SLICE_ARG(data.text));
	service_close(&s);
	buf_finish(&answer);
	return status;
}

/* Every act has at most a reason to say. */
static int act(struct invocation *in, const char *below, const char *suffix, bool reason, const char *done)
{
	struct buf body = BUF_INIT(BODY_MAX);
	struct json_writer w = JSON_WRITER(&body);
	struct service s;
	enum exit_status status = service_open(&s, in);

	if (reason) {
		json_begin_object(&w);
		service_put_option(&w, in, "reason", "reason");
		json_end_object(&w);
	}
	if (status == STATUS_OK)
		status = ask_about(&s, "POST", below, suffix, buf_slice(&body), NULL);
	if (status == STATUS_OK)
		command_note(in, "%s", done);
	service_close(&s);
	buf_finish(&body);
	return status;
}

/* ---- retry, drop, pause, resume -------------------------------------------------------------------- */

static enum exit_status retry_all(struct service *s)
{
	struct buf body = BUF_INIT(BODY_MAX), answer = BUF_INIT(ANSWER_MAX);
	struct json_writer w = JSON_WRITER(&body);
	struct arena arena = ARENA_INIT(4096);
	struct json_value data;
	enum exit_status status;

	json_begin_object(&w);
	service_put_option(&w, s->in, "lane", "lane");
	service_put_option(&w, s->in, "effect", "effect");
	json_name(&w, "perMinute");
	json_put_u64(&w, option_number(s->in, "per-minute"));
	json_end_object(&w);
	status = service_ask(s, "POST", "/api/v1/effects/retry", buf_slice(&body), &answer);
	if (status == STATUS_OK && json_member(json_root(buf_slice(&answer)), "data", &data))
		printf("%.*s\n", SLICE_ARG(service_text(data, "count", &arena)));
	buf_finish(&body);
	buf_finish(&answer);
	arena_finish(&arena);
	return status;
}

static int run_retry(struct invocation *in)
{
	struct service s;
	enum exit_status status;

	if (in->n_arguments == 1)
		return act(in, "", "/retry", false, "it is wanted again");
	if (!option_is_set(in, "all"))
		return command_fail_usage(in, "name an effect, or say --all");
	status = service_open(&s, in);
	if (status == STATUS_OK)
		status = retry_all(&s);
	service_close(&s);
	return status;
}

static int run_drop(struct invocation *in)
{
	if (option_text(in, "reason") == NULL)
		return command_fail_usage(in, "--reason is missing: the log keeps why");
	return act(in, "", "/drop", true, "nobody tries it any more");
}

static int run_pause(struct invocation *in)
{
	bool all = strcmp(in->arguments[0], "*") == 0;

	if (option_text(in, "reason") == NULL)
		return command_fail_usage(in, "--reason is missing: the log keeps why");
	return act(in, all ? "" : "/lanes", "/pause", true, "nothing more is tried until it is resumed");
}

static int run_resume(struct invocation *in)
{
	bool all = strcmp(in->arguments[0], "*") == 0;

	return act(in, all ? "" : "/lanes", "/resume", false, "it goes on");
}

/* ---- replay ---------------------------------------------------------------------------------------- */

/* A position, or else a time. */
static void put_end(struct json_writer *w, const struct invocation *in, const char *option, const char *place, const char *time)
{
	const char *text = option_text(in, option);
	uint64_t position;

	if (text == NULL)
		return;
	if (slice_to_u64(slice_str(text), &position) == 0) {
		json_name(w, place);
		json_put_u64(w, position);
	} else {
		json_name(w, time);
		json_put_str(w, text);
	}
}

static void put_replay(struct buf *out, const struct invocation *in)
{
	struct json_writer w = JSON_WRITER(out);

	json_begin_object(&w);
	json_name(&w, "effect");
	json_put_str(&w, in->arguments[0]);
	put_end(&w, in, "from", "from", "fromTime");
	put_end(&w, in, "until", "to", "toTime");
	json_name(&w, "dryRun");
	json_put_bool(&w, option_is_set(in, "dry-run"));
	json_end_object(&w);
}

static int run_replay(struct invocation *in)
{
	struct buf body = BUF_INIT(BODY_MAX), answer = BUF_INIT(ANSWER_MAX);
	struct json_value data;
	struct service s;
	enum exit_status status = service_open(&s, in);

	put_replay(&body, in);
	if (status == STATUS_OK)
		status = service_ask(&s, "POST", "/api/v1/effects/replays", buf_slice(&body), &answer);
	if (status == STATUS_OK && json_member(json_root(buf_slice(&answer)), "data", &data))
		printf("%.*s\n", SLICE_ARG(data.text));
	service_close(&s);
	buf_finish(&body);
	buf_finish(&answer);
	return status;
}

/* ---- the commands -------------------------------------------------------------------------------------- */

#define OPTION_REASON \
	{.name = "reason", .kind = OPTION_TEXT, .value = "TEXT", .summary = "why; kept in the log for good, so name no person"}
#define OPTION_LANE {.name = "lane", .kind = OPTION_TEXT, .value = "LANE", .summary = "only those of this lane"}
#define OPTION_EFFECT {.name = "effect", .kind = OPTION_TEXT, .value = "NAME", .summary = "only those of this name, as mail.code"}

static const char *const states[] = {
	"WANTED", "TRYING", "WAITING", "DONE", "FAILED", "UNKNOWN", "DEAD", "CANCELLED", NULL};
static const struct option list_options[] = {
	{.name = "state", .kind = OPTION_CHOICE, .value = "STATE", .choices = states,
	 .summary = "WANTED, TRYING, WAITING, DONE, FAILED, UNKNOWN, DEAD or CANCELLED"},
	OPTION_LANE,
	OPTION_EFFECT,
	OPTION_JSON,
	OPTIONS_SERVICE,
	{0},
};
static const struct option lanes_options[] = {OPTION_JSON, OPTIONS_SERVICE, {0}};
static const struct option service_options[] = {OPTIONS_SERVICE, {0}};
static const struct option retry_options[] = {
	{.name = "all", .kind = OPTION_FLAG, .summary = "all dead ones that match, at most 1,000 at a time; prints how many"},
	OPTION_LANE,
	OPTION_EFFECT,
	{.name = "per-minute", .kind = OPTION_NUMBER, .value = "N", .fallback = "600", .min = 1, .max = 100000,
	 .summary = "of --all: so many are due a minute"},
	OPTIONS_SERVICE,
	{0},
};
static const struct option replay_options[] = {
	{.name = "from", .kind = OPTION_TEXT, .value = "WHERE", .summary = "position of the first event, or a time (default: the very first)"},
	{.name = "until", .kind = OPTION_TEXT, .value = "WHERE",
	 .summary = "position of the first event that is left out, or a time (default: now)"},
	{.name = "dry-run", .kind = OPTION_FLAG, .summary = "count only"},
	OPTIONS_SERVICE,
	{0},
};
static const struct option reason_options[] = {OPTION_REASON, OPTIONS_SERVICE, {0}};

static const struct example list_examples[] = {
	{"lulab effects list --state DEAD", "what was given up and waits for a person"}, {0}};
static const struct example show_examples[] = {
	{"lulab effects show 5f0c21a97f1f4a0e9b3d7c6b5a493827 | jq .attempts", "every attempt, and what was answered"}, {0}};
static const struct example lanes_examples[] = {{"lulab effects lanes", "which neighbours fail, and how much waits"}, {0}};
static const struct example running_examples[] = {{"lulab effects running", "how much of a recording has been fetched"}, {0}};
static const struct example retry_examples[] = {
	{"lulab effects retry 5f0c21a97f1f4a0e9b3d7c6b5a493827", "once more, with the same id"},
	{"lulab effects retry --all --lane mail --per-minute 60", "after the mail server was mended"},
	{0},
};
static const struct example drop_examples[] = {
	{"lulab effects drop 5f0c21a97f1f4a0e9b3d7c6b5a493827 --reason \"too late\"", "takes it off the list of dead ones"}, {0}};
static const struct example pause_examples[] = {
	{"lulab effects pause mail --reason \"the provider moves\"", "what is asked for meanwhile waits"},
	{"lulab effects pause '*' --reason maintenance", "every lane"},
	{0},
};
static const struct example resume_examples[] = {{"lulab effects resume mail", "all that waited is tried now"}, {0}};

static const struct example replay_examples[] = {
	{"lulab effects replay lark.meeting --from 2026-01-01T00:00:00+08:00 --dry-run | jq .count", "how many there would be"},
	{"lulab effects replay mail.summary --from 120000 --until 130000", "mails what was summarised before mail was set up"},
	{0},
};

static const struct command effects_list = {
	.name = "list",
	.summary = "Show what is owed to the world, the newest first",
	.description = SERVICE_WHERE,
	.options = list_options,
	.examples = list_examples,
	.run = run_list,
};

static const struct command effects_show = {
	.name = "show",
	.summary = "Show one effect and its attempts, as JSON",
	.description = SERVICE_WHERE,
	.arguments = "ID",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = service_options,
	.examples = show_examples,
	.run = run_show,
};

static const struct command effects_lanes = {
	.name = "lanes",
	.summary = "Show how each lane stands",
	.description = "Of a running service: a stopped one has none.",
	.options = lanes_options,
	.examples = lanes_examples,
	.run = run_lanes,
};

static const struct command effects_running = {
	.name = "running",
	.summary = "Show what is being tried at the moment, and how far it has come",
	.description = "Of a running service: a stopped one tries nothing.",
	.options = lanes_options,
	.examples = running_examples,
	.run = run_running,
};

static const struct command effects_retry = {
	.name = "retry",
	.summary = "Try what was given up once more",
	.description = SERVICE_WHERE,
	.arguments = "[ID]",
	.arguments_max = 1,
	.options = retry_options,
	.examples = retry_examples,
	.run = run_retry,
};

static const struct command effects_replay = {
	.name = "replay",
	.summary = "Want of events before what an effect is for that was switched on later",
	.description = "EFFECT is a name, as mail.summary, and is switched on now. What has been wanted before is left out, and so is what "
		"has expired; the rest is tried after what the present wants. Prints, as JSON, how many were found, expired, known "
		"already, and added (count). " SERVICE_WHERE,
	.arguments = "EFFECT",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = replay_options,
	.examples = replay_examples,
	.run = run_replay,
};

static const struct command effects_drop = {
	.name = "drop",
	.summary = "Let a dead effect be, or cancel one that waits",
	.description = SERVICE_WHERE,
	.arguments = "ID",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = reason_options,
	.examples = drop_examples,
	.run = run_drop,
};

static const struct command effects_pause = {
	.name = "pause",
	.summary = "Hold a lane, or all of them",
	.description = "LANE is a name as lulab effects lanes has it, or *. " SERVICE_WHERE,
	.arguments = "LANE",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = reason_options,
	.examples = pause_examples,
	.run = run_pause,
};

static const struct command effects_resume = {
	.name = "resume",
	.summary = "Let a paused lane go on",
	.description = "LANE is a name as lulab effects lanes has it, or *. " SERVICE_WHERE,
	.arguments = "LANE",
	.arguments_min = 1,
	.arguments_max = 1,
	.options = service_options,
	.examples = resume_examples,
	.run = run_resume,
};

static const struct command *const commands[] = {&effects_list, &effects_show, &effects_lanes, &effects_running, &effects_retry,
    &effects_replay, &effects_drop, &effects_pause, &effects_resume, NULL};

extern const struct command cmd_effects;
const struct command cmd_effects = {
	.name = "effects",
	.summary = "What is owed to the world: look, try again, let be, hold",
	.commands = commands,
};
