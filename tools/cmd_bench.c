/* lulab bench: how fast we are, and how fast the machine would let us be. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "command.h"
#include "crypto/crypto.h"

#define OPTIONS_COMMON \
	{.name = "seconds", .kind = OPTION_NUMBER, .value = "N", .fallback = "5", .min = 1, .max = 60, \
	 .summary = "how long each measurement takes (default 5)"}, \
	{.name = "dir", .kind = OPTION_DIR, .value = "DIR", \
	 .summary = "where the temporary data goes (default: TMPDIR, else /var/tmp)"}, \
	OPTION_JSON

static const char *parent_dir(const struct invocation *in)
{
	const char *dir = option_text(in, "dir");

	if (dir == NULL)
		dir = getenv("TMPDIR");
	return dir == NULL ? "/var/tmp" : dir;
}

static int begin(struct invocation *in, struct bench *b)
{
	int rc = crypto_init();

	if (rc == 0)
		rc = bench_init(b, parent_dir(in), (double)option_number(in, "seconds"));
	if (rc != 0)
		return command_fail_err(in, rc, "cannot make a temporary directory in %s", parent_dir(in));
	command_interrupted();
	return STATUS_OK;
}

static int end(struct invocation *in, struct bench *b, int rc)
{
	enum exit_status status = STATUS_OK;

	if (b->n_rows > 0 && bench_print(b, option_is_set(in, "json")) != 0 && rc == 0)
		rc = ERR_IO;
	if (command_interrupted())
		status = STATUS_INTERRUPTED;
	else if (rc != 0)
		status = command_fail_err(in, rc, "the measurement ended early, in %s", b->dir);
	bench_finish(b);
	return status;
}

/* ---- limits ---- */

static int run_limits(struct invocation *in)
{
	size_t record_len = (size_t)option_number(in, "record-bytes");
	static const unsigned batches[] = {1, 16, 64, 256};
	struct bench b;
	int rc = begin(in, &b);

	if (rc != STATUS_OK)
		return rc;
	bench_limit_sync(&b, &rc);
	for (size_t i = 0; rc == 0 && i < sizeof(batches) / sizeof(batches[0]); i++)
		bench_limit_lmdb(&b, batches[i], record_len, &rc);
	if (rc == 0)
		bench_limit_scan(&b, 200000, record_len, &rc);
	for (unsigned connections = 1; rc == 0 && connections <= 256; connections *= connections == 1 ? 64 : 4)
		bench_limit_ceiling(&b, connections, &rc);
	if (rc == 0)
		bench_limit_echo(&b, 64, 1024, &rc);
	return end(in, &b, rc);
}

static const struct option limits_options[] = {
    {.name = "record-bytes", .kind = OPTION_NUMBER, .value = "N", .fallback = "2048", .min = 16, .max = 65535,
	.summary = "size of the records in the LMDB limits (default 2048)"},
    OPTIONS_COMMON,
    {0},
};

static const struct example limits_examples[] = {
    {"lulab bench limits", "what disk, LMDB and HTTP allow here"},
    {"lulab bench limits --seconds 2 --json", "the same, quicker, for a program to read"},
    {0},
};

static const struct command cmd_limits = {
    .name = "limits",
    .summary = "Measure what the machine allows, without any of our code",
    .options = limits_options,
    .examples = limits_examples,
    .run = run_limits,
};

static const struct command *const commands[] = {&cmd_limits, NULL};

const struct command cmd_bench = {
    .name = "bench",
    .summary = "Measure speed against the limits of this machine",
    .description =
	"Every benchmark runs on a temporary data directory and on loopback, bounded in time, and "
	"compares itself with a limit measured in the same run: the same work in the fewest lines.",
    .commands = commands,
};
