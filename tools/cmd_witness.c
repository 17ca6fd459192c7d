/* lulab witness: a second pair of eyes on other people's logs, as a service or by hand. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/io.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include "witness.h"
#include "witness_commands.h"

#define KEY_FILE_MAX 1024

#define OPTION_WITNESS_DIR \
	{.name = "data", .kind = OPTION_DIR, .value = "DIR", .fallback = "./witness", \
	    .summary = "the witness's own directory"}

struct witness *witness_tool_open(const struct invocation *in, int *ret_status)
{
	struct buf problem = BUF_INIT(8192);
	struct witness *w = NULL;
	int rc = crypto_init();

	if (rc == 0)
		rc = witness_open(&w, option_text(in, "data"), &clock_system, &problem);
	if (rc != 0)
		*ret_status = command_fail(in, status_of(rc), "%s", problem.len > 0 ? problem.ptr : err_text(rc));
	buf_finish(&problem);
	return rc == 0 ? w : NULL;
}

static void print_key(const struct note_key *key, const char *before)
{
	struct buf text = BUF_INIT(KEY_FILE_MAX);

	if (note_key_format(&text, key) == 0)
		printf("%s%s\n", before, text.ptr);
	buf_finish(&text);
}

/* ---- init --------------------------------------------------------------------------------- */

static int run_init(struct invocation *in)
{
	struct note_key logs[POLICY_LOGS_MAX];
	const char *name = in->arguments[0], *dir = option_text(in, "data"), *text;
	struct witness *w;
	unsigned n = 0;
	int rc, status = STATUS_OK;

	if (crypto_init() != 0)
		return command_fail(in, STATUS_FAILED, "cannot start");
	for (unsigned i = 0; (text = option_nth(in, "log", i)) != NULL; i++) {
		rc = policy_keys(logs, POLICY_LOGS_MAX, &n, NOTE_ED25519, text);
		if (rc == ERR_TOO_BIG)
			return command_fail_usage(in, "--log: at most %d logs", POLICY_LOGS_MAX);
		if (rc != 0)
			return command_fail_usage(in, "--log: not a log's verifier key (name+id+base64), nor a file with one");
	}
	rc = witness_init(dir, name, logs, n, &rng_system);
	if (rc == ERR_EXISTS)
		return command_fail(in, STATUS_CONFLICT, "there is a witness in %s already; to serve more logs add lines to %s/logs",
		    dir, dir);
	if (rc == ERR_INVALID)
		return command_fail_usage(in, "a witness's name has no spaces and no '+': witness.example.org/w1");
	if (rc != 0)
		return command_fail_err(in, rc, "cannot make a witness in %s", dir);
	w = witness_tool_open(in, &status);
	if (w != NULL)
		print_key(witness_key(w), "");
	witness_close(w);
	return status;
}

static const struct option init_options[] = {
    OPTION_WITNESS_DIR,
    {.name = "log", .kind = OPTION_TEXT, .value = "VKEY", .repeatable = true,
	.summary = "a log to serve: its verifier key, or a file that holds it"},
    {0},
};

static const struct example init_examples[] = {
    {"lulab witness init witness.example.org/w1 --log log.vkey", "make a key and serve this log; prints the witness's key"},
    {0},
};

static const struct command witness_init_command = {
    .name = "init",
    .summary = "Make a witness: a directory, a key, the list of logs it serves",
    .description =
	"NAME goes into every signature; a host name and a path are usual. The key that is printed (and kept in "
	"DIR/witness.vkey) is for the operators of the logs and for auditors. More logs: add lines to DIR/logs and start "
	"the witness again.",
    .arguments = "NAME",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = init_options,
    .examples = init_examples,
    .run = run_init,
};

/* ---- status ------------------------------------------------------------------------------- */

static void json_log(struct json_writer *w, const char *origin, bool seen, uint64_t size, const char *root)
{
	json_begin_object(w);
	json_name(w, "origin");
	json_put_str(w, origin);
	json_name(w, "size");
	if (seen)
		json_put_u64(w, size);
	else
		json_put_null(w);
	json_name(w, "root");
	json_put_str(w, seen ? root : NULL);
	json_end_object(w);
}

static int run_status(struct invocation *in)
{
	struct buf out = BUF_INIT(65536), vkey = BUF_INIT(KEY_FILE_MAX);
	struct json_writer j = JSON_WRITER(&out);
	bool json = option_is_set(in, "json");
	const struct note_key *log;
	int status = STATUS_OK;
	struct witness *w = witness_tool_open(in, &status);

	if (w == NULL)
		return status;
	note_key_format(&vkey, witness_key(w));
	json_begin_object(&j);
	json_name(&j, "key");
	json_put_string(&j, buf_slice(&vkey));
	json_name(&j, "logs");
	json_begin_array(&j);
	if (!json)
		printf("key  %.*s\n", (int)vkey.len, vkey.ptr);
	for (unsigned i = 0; witness_log(w, i, &log); i++) {
		char root[2 * MERKLE_HASH_LEN + 1] = "-";
		struct merkle_hash hash;
		uint64_t size = 0;
		int rc = witness_seen(w, slice_str(log->name), &size, &hash);

		if (rc != 0 && rc != ERR_NOT_FOUND) {
			status = command_fail_err(in, rc, "what was seen of %s cannot be read", log->name);
			continue;
		}
		if (rc == 0)
			hex_encode(root, hash.bytes, sizeof(hash.bytes));
		json_log(&j, log->name, rc == 0, size, root);
		if (!json)
			printf("log  %s  size %" PRIu64 "  root %s\n", log->name, size, root);
	}
	json_end_array(&j);
	json_end_object(&j);
	if (json && buf_append_char(&out, '\n') == 0)
		fwrite(out.ptr, 1, out.len, stdout);
	witness_close(w);
	buf_finish(&out);
	buf_finish(&vkey);
	return status;
}

static const struct option status_options[] = {OPTION_WITNESS_DIR, OPTION_JSON, {0}};
static const struct example status_examples[] = {
    {"lulab witness status", "the witness's key, and how far it has seen each log"},
    {0},
};

static const struct command witness_status_command = {
    .name = "status",
    .summary = "Show the witness's key and what it remembers of each log",
    .options = status_options,
    .examples = status_examples,
    .run = run_status,
};

/* ---- cosign --------------------------------------------------------------------------------- */

static int run_cosign(struct invocation *in)
{
	struct buf request = BUF_INIT(COSIGN_REQUEST_MAX), answer = BUF_INIT(65536);
	const char *file = in->arguments[0];
	int rc, code, status = STATUS_OK;
	struct witness *w = witness_tool_open(in, &status);

	if (w == NULL)
		return status;
	rc = file_read(&request, strcmp(file, "-") == 0 ? "/dev/stdin" : file);
	if (rc != 0) {
		status = command_fail_err(in, rc, "cannot read the request %s", file);
	} else {
		code = witness_add_checkpoint(w, buf_slice(&request), &answer);
		if (code == 200)
			fwrite(answer.ptr, 1, answer.len, stdout);
		else if (code == 409)
			status = command_fail(in, STATUS_CONFLICT, "the witness has seen size %.*s: make the request from there",
			    (int)slice_trim(buf_slice(&answer)).len, answer.ptr);
		else
			status = command_fail(in, code == 500 ? STATUS_FAILED : STATUS_NOT_VERIFIED, "refused (%d): %.*s", code,
			    (int)slice_trim(buf_slice(&answer)).len, answer.ptr);
	}
	witness_close(w);
	buf_finish(&request);
	buf_finish(&answer);
	return status;
}

static const struct option cosign_options[] = {OPTION_WITNESS_DIR, {0}};
static const struct example cosign_examples[] = {
    {"lulab witness cosign request >>checkpoint", "sign a request that was carried by hand; the line goes under the checkpoint"},
    {0},
};

static const struct command witness_cosign_command = {
    .name = "cosign",
    .summary = "Do for a file what the service does for a request",
    .description =
	"FILE (- is standard input) holds what a log would POST: \"old SIZE\", the consistency proof, an empty line, "
	"the checkpoint; `lulab log cosign` makes one. The same checks in the same order, the same record: it may be used "
	"while the service runs. Exit status: 0 signed, the signature line is on stdout; 5 the witness has seen another "
	"size; 4 refused.",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = cosign_options,
    .examples = cosign_examples,
    .run = run_cosign,
};

/* ---- the group ------------------------------------------------------------------------------ */

static const struct command *const commands[] = {
    &witness_init_command, &witness_serve_command, &witness_cosign_command, &witness_status_command, NULL,
};

extern const struct command cmd_witness;
const struct command cmd_witness = {
    .name = "witness",
    .summary = "Watch over logs and cosign their checkpoints",
    .commands = commands,
};
