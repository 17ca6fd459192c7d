/* lulab log cosign: what a witness is asked, as a file to be carried by hand. */
#include <inttypes.h>
#include <stdio.h>

#include "domain/cosign.h"
#include "log_commands.h"

static int make_request(struct eventlog *log, uint64_t old_size, struct buf *out, uint64_t *ret_size)
{
	struct tile_reader tiles = eventlog_tiles(log);
	struct cosign_request request = {.old_size = old_size};
	struct buf note = BUF_INIT(NOTE_BYTES_MAX);
	int rc;

	rc = eventlog_last_note(log, ret_size, &note);
	if (rc == 0)
		rc = merkle_consistency_make(&request.proof, old_size, *ret_size, &tiles);
	request.note = buf_slice(&note);
	if (rc == 0)
		rc = cosign_request_format(out, &request);
	buf_finish(&note);
	return rc;
}

static int run_request(struct invocation *in)
{
	struct buf out = BUF_INIT(COSIGN_REQUEST_MAX);
	struct eventlog *log;
	uint64_t size = 0;
	int rc, status = STATUS_OK;

	if (!log_tool_open(&log, in, &status))
		return status;
	rc = make_request(log, option_number(in, "old"), &out, &size);
	if (rc == ERR_NOT_FOUND)
		status = command_fail(in, STATUS_UNAVAILABLE, "no checkpoint was signed yet");
	else if (rc == ERR_RANGE)
		status = command_fail(in, STATUS_CONFLICT, "the newest checkpoint is of size %" PRIu64
		    "; a witness that has seen more saw events that are lost here", size);
	else if (rc != 0)
		status = command_fail_err(in, rc, "cannot make the request");
	else
		fwrite(out.ptr, 1, out.len, stdout);
	eventlog_close(log);
	buf_finish(&out);
	return status;
}

static const struct option options[] = {
    OPTION_DATA,
    {.name = "old", .kind = OPTION_NUMBER, .value = "SIZE", .fallback = "0",
	.summary = "the size the witness has seen; 0: it never saw this log"},
    {0},
};

static const struct example examples[] = {
    {"lulab log cosign --old 120 >request", "ask a witness that has seen 120 events for its signature"},
    {0},
};

const struct command log_cosign = {
    .name = "cosign",
    .summary = "Write what a witness has to see before it cosigns",
    .description =
	"The newest checkpoint and the proof that it extends what the witness saw, for a witness that is no service: an auditor "
	"answers it with `lulab witness cosign`.",
    .options = options,
    .examples = examples,
    .run = run_request,
};
