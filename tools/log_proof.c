/* lulab log proof: what convinces a stranger that one record is in the log. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/io.h"
#include "domain/note.h"
#include "log_commands.h"

struct proof_parts {
	struct buf checkpoint, record, file;
};

static int make_proof(struct eventlog *log, uint64_t position, struct proof_parts *p, uint64_t *ret_size)
{
	struct tile_reader tiles = eventlog_tiles(log);
	struct proof_file file = {.index = position};
	struct log_read read = {0};
	struct log_record record;
	int rc;

	rc = eventlog_last_note(log, ret_size, &p->checkpoint);
	if (rc == 0 && *ret_size <= position)
		rc = ERR_NOT_FOUND;
	if (rc == ERR_NOT_FOUND)
		return ERR_UNAVAILABLE;
	if (rc == 0)
		rc = merkle_inclusion_make(&file.proof, position, *ret_size, &tiles);
	if (rc == 0)
		rc = log_read_start(&read, log);
	if (rc == 0)
		rc = eventlog_read_one(&read, position, &record);
	if (rc == 0)
		rc = buf_append(&p->record, record.entry);
	log_read_stop(&read);
	file.checkpoint = buf_slice(&p->checkpoint);
	return rc != 0 ? rc : proof_file_format(&p->file, &file);
}

static int write_files(struct invocation *in, uint64_t position, const struct proof_parts *p)
{
	const char *dir = option_text(in, "out");
	char path[4096];
	int rc;

	rc = dir_create(dir, 0755);
	snprintf(path, sizeof(path), "%s/%" PRIu64 ".json", dir, position);
	if (rc == 0)
		rc = file_replace(path, buf_slice(&p->record), 0644);
	snprintf(path, sizeof(path), "%s/%" PRIu64 ".tlog-proof", dir, position);
	if (rc == 0)
		rc = file_replace(path, buf_slice(&p->file), 0644);
	if (rc != 0)
		return command_fail_err(in, rc, "cannot write %s", path);
	command_note(in, "wrote %s and the record beside it", path);
	return STATUS_OK;
}

static int run_proof(struct invocation *in)
{
	struct proof_parts p = {BUF_INIT(NOTE_BYTES_MAX), BUF_INIT(ENTRY_LEN_MAX), BUF_INIT(2 * NOTE_BYTES_MAX)};
	struct eventlog *log;
	uint64_t position, size = 0;
	int rc, status;

	if (slice_to_u64(slice_str(in->arguments[0]), &position) != 0)
		return command_fail_usage(in, "POSITION is a number: %s", in->arguments[0]);
	if (!log_tool_open(&log, in, &status))
		return status;
	rc = position < eventlog_size(log) ? make_proof(log, position, &p, &size) : ERR_NOT_FOUND;
	if (rc == ERR_UNAVAILABLE)
		status = command_fail(in, STATUS_UNAVAILABLE, "no checkpoint covers position %" PRIu64
		    " yet (the newest: %" PRIu64 "); a running server signs within a second", position, size);
	else if (rc == ERR_NOT_FOUND)
		status = command_fail(in, STATUS_NOT_FOUND, "there is no position %" PRIu64 ": the log has %" PRIu64 " events",
		    position, eventlog_size(log));
	else if (rc != 0)
		status = command_fail_err(in, rc, "cannot prove position %" PRIu64, position);
	else if (option_is_set(in, "out"))
		status = write_files(in, position, &p);
	else
		status = fwrite(p.file.ptr, 1, p.file.len, stdout) == p.file.len ? STATUS_OK :
		    command_fail(in, STATUS_FAILED, "cannot write the proof");
	eventlog_close(log);
	buf_finish(&p.checkpoint);
	buf_finish(&p.record);
	buf_finish(&p.file);
	return status;
}

static const struct option options[] = {
    OPTION_DATA,
    {.name = "out", .kind = OPTION_DIR, .value = "DIR", .summary = "write POSITION.tlog-proof and POSITION.json there"},
    {0},
};

static const struct example examples[] = {
    {"lulab log proof 17 --out ./proofs", "the record at position 17 and its proof, as two files"},
    {"lulab log proof 17", "print the proof"},
    {0},
};

const struct command log_proof = {
    .name = "proof",
    .summary = "Prove that one event is in the log",
    .description = "The proof is a C2SP .tlog-proof file: the hashes from the record up to the root, and the signed "
		   "checkpoint of that root. `lulab log verify --proof` checks it, and so can anybody else's tool.",
    .arguments = "POSITION",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = options,
    .examples = examples,
    .run = run_proof,
};
