/* lulab bench: how fast we are, and how fast the machine would let us be. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "bench_work.h"
#include "command.h"
#include "crypto/crypto.h"

#define OPTIONS_COMMON \
	{.name = "seconds", .kind = OPTION_NUMBER, .value = "N", .fallback = "5", .min = 1, .max = 60, \
	 .summary = "how long each measurement takes"}, \
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
	for (unsigned connections = 1; rc == 0 && connections <= 256; connections *= connections == 1 ? 64 : 4) {
		struct bench_row *ceiling = bench_limit_ceiling(&b, connections, &rc);

		if (rc == 0)
			bench_compare(bench_limit_floor(&b, connections, &rc), ceiling);
		if (rc == 0 && connections > 1)
			bench_compare(bench_limit_rows(&b, connections, &rc), ceiling);
	}
	if (rc == 0)
		bench_limit_echo(&b, 64, 1024, &rc);
	return end(in, &b, rc);
}

static const struct option limits_options[] = {
    {.name = "record-bytes", .kind = OPTION_NUMBER, .value = "N", .fallback = "2048", .min = 16, .max = 65535,
	.summary = "size of the records in the LMDB limits"},
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

/* ---- ingest, append, replay, query ---- */

static int run_ingest(struct invocation *in)
{
	struct bench b;
	int rc = begin(in, &b);

	return rc != STATUS_OK ? rc : end(in, &b, bench_ingest(&b, (double)option_number(in, "rate")));
}

static int run_append(struct invocation *in)
{
	struct bench b;
	int rc = begin(in, &b);

	return rc != STATUS_OK ? rc : end(in, &b, bench_append(&b, option_number(in, "events")));
}

static int run_replay(struct invocation *in)
{
	struct bench b;
	int rc = begin(in, &b);

	return rc != STATUS_OK ? rc : end(in, &b, bench_replay(&b, option_number(in, "events")));
}

static int run_query(struct invocation *in)
{
	struct bench b;
	int rc = begin(in, &b);

	return rc != STATUS_OK ? rc : end(in, &b, bench_query(&b, option_number(in, "meetings")));
}

static int run_login(struct invocation *in)
{
	struct bench b;
	int rc = begin(in, &b);

	return rc != STATUS_OK ? rc : end(in, &b, bench_login(&b));
}

static int run_effects(struct invocation *in)
{
	struct bench b;
	int rc = begin(in, &b);

	return rc != STATUS_OK ? rc : end(in, &b, bench_effects(&b, option_number(in, "effects"), option_text(in, "url")));
}

static const struct option login_options[] = {OPTIONS_COMMON, {0}};
static const struct option ingest_options[] = {
    {.name = "rate", .kind = OPTION_NUMBER, .value = "N", .fallback = "0", .min = 0, .max = 1000000,
	.summary = "only the open loop, at so many webhooks a second"},
    OPTIONS_COMMON,
    {0},
};

static const struct option append_options[] = {
    {.name = "events", .kind = OPTION_NUMBER, .value = "N", .fallback = "300000", .min = 1000, .max = 20000000,
	.summary = "how far the log grows"},
    OPTIONS_COMMON,
    {0},
};

static const struct option replay_options[] = {
    {.name = "events", .kind = OPTION_NUMBER, .value = "N", .fallback = "100000", .min = 1000, .max = 5000000,
	.summary = "how many events are replayed"},
    OPTIONS_COMMON,
    {0},
};

static const struct option query_options[] = {
    {.name = "meetings", .kind = OPTION_NUMBER, .value = "N", .fallback = "10000", .min = 100, .max = 1000000,
	.summary = "how many meetings the read models hold"},
    OPTIONS_COMMON,
    {0},
};

static const struct option effects_options[] = {
    {.name = "effects", .kind = OPTION_NUMBER, .value = "N", .fallback = "20000", .min = 100, .max = 1000000,
	.summary = "how many effects are done"},
    {.name = "url", .kind = OPTION_TEXT, .value = "URL", .fallback = "",
	.summary = "a neighbour to call in place of the one in this process, such as tools/lulab-sim"},
    OPTIONS_COMMON,
    {0},
};

static const struct example ingest_examples[] = {
    {"lulab bench ingest", "webhooks a second, and how long one waits"},
    {"lulab bench ingest --seconds 20 --json", "longer, for a program to read"},
    {"lulab bench ingest --rate 5000", "how late answers and read models are at a rate of your choice"},
    {0},
};

static const struct example login_examples[] = {
    {"lulab bench login", "log-ins a second beside bare password hashing"},
    {"lulab bench login --seconds 30 --json", "with more refusals to compare the times of"},
    {0},
};

static const struct example append_examples[] = {
    {"lulab bench append --events 1000000", "does an append get slower as the log grows?"},
    {0},
};

static const struct example replay_examples[] = {
    {"lulab bench replay --events 1000000", "an audit and a rebuild of a million events"},
    {0},
};

static const struct example query_examples[] = {
    {"lulab bench query --meetings 100000", "answers a second from a hundred thousand meetings"},
    {0},
};

static const struct example effects_examples[] = {
    {"lulab bench effects", "effects a second beside the bare HTTP client"},
    {"lulab bench effects --url http://127.0.0.1:8200/echo", "the same beside tools/lulab-sim --control-port 8200"},
    {0},
};

static const struct command cmd_ingest = {
    .name = "ingest",
    .summary = "Measure durable ingest of signed, encrypted webhooks over HTTP",
    .description =
	"Starts a server of its own and sends it unique webhooks of about 2 KB: one at a time, from 64 and "
	"from 256 connections, and at half of the highest rate in an open loop, where a request's time "
	"counts from the moment it was due.",
    .options = ingest_options,
    .examples = ingest_examples,
    .run = run_ingest,
};

static const struct command cmd_append = {
    .name = "append",
    .summary = "Measure appends into the event log itself",
    .description =
	"Appends and reads at the start of a new log and again when it has grown, and grows raw LMDB to as many "
	"records of the same size: that gets slower, too. \"kept of its rate\" compares the two. Both are there at "
	"once and are to fit into memory: some 2 KB an event.",
    .options = append_options,
    .examples = append_examples,
    .run = run_append,
};

static const struct command cmd_replay = {
    .name = "replay",
    .summary = "Measure reading the log again: audit and rebuild",
    .options = replay_options,
    .examples = replay_examples,
    .run = run_replay,
};

static const struct command cmd_query = {
    .name = "query",
    .summary = "Measure answers from the read models over HTTP",
    .options = query_options,
    .examples = query_examples,
    .run = run_query,
};

static const struct command cmd_login = {
    .name = "login",
    .summary = "Measure log-ins, what a token costs, and whether times give names away",
    .description =
	"Log-ins a second as a share of what bare Argon2id does on the same processors; answers a second to an "
	"access token and to an API key as a share of those to the operator's token; and the times of refused log-ins with and "
	"without an account, with Welch's t between them and between two kinds that are the same: the first should "
	"be as small as the second.",
    .options = login_options,
    .examples = login_examples,
    .run = run_login,
};

static const struct command cmd_effects = {
    .name = "effects",
    .summary = "Measure effects beside the HTTP client alone",
    .description =
	"Effects of one HTTP call each to a neighbour in this process that answers at once, as a share of the calls that the "
	"same client makes from as many threads without an engine. Each effect costs two durable events besides, "
	"before and after the call, and a change of the read model: the floor is that and nothing else.",
    .options = effects_options,
    .examples = effects_examples,
    .run = run_effects,
};

static const struct command *const commands[] = {
    &cmd_limits, &cmd_ingest, &cmd_append, &cmd_replay, &cmd_query, &cmd_login, &cmd_effects, NULL};

const struct command cmd_bench = {
    .name = "bench",
    .summary = "Measure speed against the limits of this machine",
    .description =
	"Every benchmark runs on a temporary data directory and on loopback, bounded in time, and "
	"compares itself with a limit measured in the same run: the same work in the fewest lines.",
    .commands = commands,
};
