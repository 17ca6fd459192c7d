/* lulab log: the event log from outside, while the server runs or not. */
#include "crypto/crypto.h"
#include "domain/event.h"
#include "log_commands.h"

bool log_tool_open(struct eventlog **ret_log, const struct invocation *in, int *ret_status)
{
	return log_tool_open_dir(ret_log, in, option_data_dir(in), ret_status);
}

bool log_tool_open_dir(struct eventlog **ret_log, const struct invocation *in, const char *dir, int *ret_status)
{
	struct buf problem = BUF_INIT(1024);
	struct eventlog_options options = {
	    .dir = dir,
	    .clock = &clock_system,
	    .type_number = event_type_number,
	    .problem = &problem,
	};
	int rc = crypto_init();

	if (rc == 0)
		rc = eventlog_open_readonly(ret_log, &options);
	if (rc == ERR_NOT_FOUND)
		*ret_status = command_fail(in, STATUS_NOT_FOUND, "there is no log in %s: name its directory with --data",
		    options.dir);
	else if (rc != 0)
		*ret_status = command_fail_err(in, rc, "cannot read the log in %s", options.dir);
	buf_finish(&problem);
	return rc == 0;
}

static const struct command *const commands[] = {
    &log_tail,
    &log_show,
    &log_stats,
    &log_export,
    &log_proof,
    &log_verify,
    &log_cosign,
    &log_succeed,
    &log_reindex,
    &log_key_command,
    NULL,
};

const struct command cmd_log = {
    .name = "log",
    .summary = "Read, check and look after the event log",
    .commands = commands,
};
