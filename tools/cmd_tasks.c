/* lulab tasks: what is to be done at its time, on the running service or its data directory (service.h). */
#include <stdio.h>
#include <string.h>

#include "base/codec.h"
#include "base/json.h"
#include "service.h"
#include "table.h"

#define BODY_MAX 8192
#define ANSWER_MAX (8 << 20)
#define PATH_MAX_LEN 2048
#define ALL "*"

/* ---- list, runs ----------------------------------------------------------------------------- */

static const struct table_column task_columns[] = {{"ID", "id", TABLE_TEXT}, {"NAME", "name", TABLE_TEXT},
    {"KIND", "kind", TABLE_TEXT}, {"STATUS", "status", TABLE_TEXT}, {"CRON", "cron", TABLE_TEXT},
    {"ZONE", "timezone", TABLE_TEXT}, {"NEXT", "nextRunAt", TABLE_TEXT}, {"LAST", "lastRunAt", TABLE_TEXT},
    {"RUNS", "runs", TABLE_NUMBER}, {"ERROR", "lastError", TABLE_TEXT}, {0}};

static const struct table_column run_columns[] = {{"RUN", "number", TABLE_NUMBER}, {"STATE", "state", TABLE_TEXT},
    {"WHY", "trigger", TABLE_TEXT}, {"DUE", "dueAt", TABLE_TEXT}, {"TRIES", "attempt", TABLE_NUMBER},
    {"STARTED", "startedAt", TABLE_TEXT}, {"ENDED", "endedAt", TABLE_TEXT}, {"PROGRESS", "progress", TABLE_TEXT},
    {"ERROR", "message", TABLE_TEXT}, {"ID", "id", TABLE_TEXT}, {0}};

static int run_list(struct invocation *in)
{
	static const char *const options[] = {"status", "kind", "search", NULL};

	return service_list(in, &(struct service_list){"/api/v1/tasks", options, task_columns, "the tasks"});
}

/* "/api/v1/tasks/ID/run"; of all: without the id. */
static int put_path(struct buf *path, const struct invocation *in, const char *suffix)
{
	buf_append_str(path, "/api/v1/tasks");
	if (strcmp(in->arguments[0], ALL) != 0) {
		buf_append_char(path, '/');
		percent_encode(path, slice_str(in->arguments[0]));
	}
	return buf_append_str(path, suffix);
}

static int run_runs(struct invocation *in)
{
	struct buf path = BUF_INIT(PATH_MAX_LEN);
	enum exit_status status;

	if (put_path(&path, in, "/runs") != 0)
		status = command_fail_usage(in, "the argument is too long");
	else
		status = service_list(in, &(struct service_list){path.ptr, NULL, run_columns, "the runs"});
	buf_finish(&path);
	return status;
}

/* ---- one task ---------------------------------------------------------------------------------- */

static enum exit_status ask_about(struct service *s, const char *method, const char *suffix, struct slice body,
    struct buf *answer)
{
	struct buf path = BUF_INIT(PATH_MAX_LEN);
	enum exit_status status = put_path(&path, s->in, suffix) != 0
	    ? command_fail_usage(s->in, "the argument is too long")
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
		status = ask_about(&s, "GET", "", (struct slice){0}, &answer);
	if (status == STATUS_OK && json_member(json_root(buf_slice(&answer)), "data", &data))
		printf("%.*s\n", SLICE_ARG(data.text));
	service_close(&s);
	buf_finish(&answer);
	return status;
}

static int run_run(struct invocation *in)
{
	struct buf answer = BUF_INIT(ANSWER_MAX);
	struct arena arena = ARENA_INIT(4096);
	struct json_value data;
	struct service s;
	enum exit_status status = service_open(&s, in);

	if (status == STATUS_OK)
		status = ask_about(&s, "POST", "/run", (struct slice){0}, &answer);
	if (status == STATUS_OK && json_member(json_root(buf_slice(&answer)), "data", &data))
		printf("%.*s\n", SLICE_ARG(service_text(data, "jobId", &arena)));
	service_close(&s);
	buf_finish(&answer);
	arena_finish(&arena);
	return status;
}

static int act(struct invocation *in, const char *method, const char *suffix, const char *done)
{
	struct buf body = BUF_INIT(BODY_MAX);
	struct json_writer w = JSON_WRITER(&body);
	struct service s;
	enum exit_status status = service_open(&s, in);

	if (strcmp(in->arguments[0], ALL) == 0) {
		json_begin_object(&w);
		service_put_option(&w, in, "reason", "reason");
		json_end_object(&w);
	}
	if (status == STATUS_OK)
		status = ask_about(&s, method, suffix, buf_slice(&body), NULL);
	if (status == STATUS_OK)
		command_note(in, "%s", done);
	service_close(&s);
	buf_finish(&body);
	return status;
}

static int run_pause(struct invocation *in)
{
	return act(in, "POST", "/pause", "it does not fire until it is resumed");
}

static int run_resume(struct invocation *in)
{
	return act(in, "POST", "/resume", "it fires again");
}

static int run_delete(struct invocation *in)
{
	if (strcmp(in->arguments[0], ALL) == 0)
		return command_fail_usage(in, "name one task");
	return act(in, "DELETE", "", "it is gone");
}

/* ---- the commands -------------------------------------------------------------------------------------- */

#define EXAMPLE_ID "5f0c21a97f1f4a0e9b3d7c6b5a493827"

static const char *const statuses[] = {"SCHEDULED", "RUNNING", "PAUSED", "COMPLETED", "FAILED", NULL};
static const struct option list_options[] = {
	{.name = "status", .kind = OPTION_CHOICE, .value = "STATUS", .choices = statuses,
	 .summary = "SCHEDULED, RUNNING, PAUSED, COMPLETED or FAILED"},
	{.name = "kind", .kind = OPTION_TEXT, .value = "KIND", .summary = "only those of this kind"},
	{.name = "search", .kind = OPTION_TEXT, .value = "TEXT", .summary = "only those with this in their name"},
	OPTION_JSON,
	OPTIONS_SERVICE,
	{0},
};
static const struct option runs_options[] = {OPTION_JSON, OPTIONS_SERVICE, {0}};
static const struct option service_options[] = {OPTIONS_SERVICE, {0}};
static const struct option reason_options[] = {
	{.name = "reason", .kind = OPTION_TEXT, .value = "TEXT", .summary = "of '*': why; kept in the log for good, so name no person"},
	OPTIONS_SERVICE,
	{0},
};

static const struct example list_examples[] = {
	{"lulab tasks list --status FAILED", "what did not work and will not be tried by itself"}, {0}};
static const struct example show_examples[] = {{"lulab tasks show " EXAMPLE_ID " | jq .nextRunAt", "when it is due next"}, {0}};
static const struct example runs_examples[] = {{"lulab tasks runs " EXAMPLE_ID, "when it ran, and what came of it"}, {0}};
static const struct example run_examples[] = {
	{"lulab effects show \"$(lulab tasks run " EXAMPLE_ID ")\"", "now, beside its schedule; then how that run stands"}, {0}};
static const struct example pause_examples[] = {
	{"lulab tasks pause " EXAMPLE_ID, "what it misses is up to its policy when it is resumed"},
	{"lulab tasks pause '*' --reason maintenance", "every task"},
	{0},
};
static const struct example resume_examples[] = {{"lulab tasks resume '*'", "those that were paused by themselves stay so"}, {0}};
static const struct example delete_examples[] = {{"lulab tasks delete " EXAMPLE_ID, "with all that it wanted to know"}, {0}};

#define ONE .arguments_min = 1, .arguments_max = 1

static const struct command tasks_list = {.name = "list", .summary = "Show the tasks, the newest first",
    .description = SERVICE_WHERE, .options = list_options, .examples = list_examples, .run = run_list};
static const struct command tasks_show = {.name = "show", .summary = "Show one task, as JSON", .description = SERVICE_WHERE,
    .arguments = "ID", ONE, .options = service_options, .examples = show_examples, .run = run_show};
static const struct command tasks_runs = {.name = "runs", .summary = "Show the history of a task",
    .description = SERVICE_WHERE, .arguments = "ID", ONE, .options = runs_options, .examples = runs_examples, .run = run_runs};
static const struct command tasks_run = {.name = "run", .summary = "Run a task now; prints the id of the run",
    .description = SERVICE_WHERE " Then it runs at the next start.", .arguments = "ID", ONE, .options = service_options,
    .examples = run_examples, .run = run_run};
static const struct command tasks_pause = {.name = "pause", .summary = "Let a task, or all of them, not fire",
    .description = SERVICE_WHERE, .arguments = "ID|'*'", ONE, .options = reason_options, .examples = pause_examples,
    .run = run_pause};
static const struct command tasks_resume = {.name = "resume", .summary = "Let a paused task, or all of them, fire again",
    .description = SERVICE_WHERE, .arguments = "ID|'*'", ONE, .options = reason_options, .examples = resume_examples,
    .run = run_resume};
static const struct command tasks_delete = {.name = "delete", .summary = "Delete a task; its payload is readable no more",
    .description = SERVICE_WHERE, .arguments = "ID", ONE, .options = service_options, .examples = delete_examples,
    .run = run_delete};

static const struct command *const commands[] = {
	&tasks_list, &tasks_show, &tasks_runs, &tasks_run, &tasks_pause, &tasks_resume, &tasks_delete, NULL};

extern const struct command cmd_tasks;
const struct command cmd_tasks = {
	.name = "tasks",
	.summary = "See and steer what is to be done at its time",
	.commands = commands,
};
