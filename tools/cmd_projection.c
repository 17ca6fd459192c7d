/*
 * lulab projection: the read models, which are folds of the log and can be made
 * again at any time. `status` and `verify` also work beside a running server.
 */
#include <inttypes.h>
#include <stdio.h>

#include "app/config.h"
#include "base/codec.h"
#include "base/io.h"
#include "command.h"
#include "crypto/crypto.h"
#include "domain/event.h"
#include "nearest.h"
#include "progress.h"
#include "projection_commands.h"
#include "settings.h"
#include "store/checkpoint.h"
#include "store/eventlog.h"
#include "store/keyring.h"
#include "store/projector.h"
#include "store/seal.h"
#include "table.h"

/* What all three need: the log, and the keys that open what is sealed in it. */
struct stores {
	const struct invocation *in;
	struct config_loaded config;
	struct eventlog *log;
	struct keyring *keyring;
	struct sealer *sealer;
	struct projector_options options;
};

static uint16_t type_number(struct slice name)
{
	const struct event_type_info *type = event_type_by_name(name);

	return type == NULL ? 0 : type->id;
}

static enum exit_status open_log(struct stores *s, bool exclusive)
{
	struct buf problem = BUF_INIT(1024);
	struct eventlog_options options = {
	    .dir = option_data_dir(s->in), .clock = &clock_system, .type_number = type_number, .problem = &problem,
	    .before = true};
	enum exit_status status = STATUS_OK;
	char path[4096];
	int rc;

	snprintf(path, sizeof(path), "%s/log", options.dir);
	if (exclusive && !file_exists(path)) /* opening for writing would make one */
		rc = ERR_NOT_FOUND;
	else
		rc = exclusive ? eventlog_open(&s->log, &options) : eventlog_open_readonly(&s->log, &options);
	if (rc == ERR_NOT_FOUND)
		status = command_fail(s->in, STATUS_NOT_FOUND, "there is no log in %s: name its directory with --data",
		    options.dir);
	else if (rc == ERR_LOCKED)
		status = command_fail(s->in, STATUS_CONFLICT,
		    "%s is in use by a running server, which looks after its read models itself: stop it first", options.dir);
	else if (rc != 0)
		status = command_fail_err(s->in, rc, "cannot open the log in %s", options.dir);
	buf_finish(&problem);
	return status;
}

static enum exit_status open_keys(struct stores *s)
{
	const char *dir = option_data_dir(s->in);
	char keys[4096], root_key[4096], origin[LOG_ORIGIN_MAX + 1];
	struct keyring_options options = {
	    .dir = keys, .root_key_path = root_key, .readonly = true, .clock = &clock_system, .rng = &rng_system};
	struct sealer_options seal = {.origin = origin, .rng = &rng_system};
	enum exit_status status = settings_load(s->in, NULL, &s->config);
	int rc;

	if (status != STATUS_OK)
		return status;
	snprintf(keys, sizeof(keys), "%s/keys", dir);
	if (s->config.values.root_key_file.len > 0)
		snprintf(root_key, sizeof(root_key), "%s", s->config.values.root_key_file.ptr);
	else
		snprintf(root_key, sizeof(root_key), "%s/root.key", dir);
	rc = log_origin(origin, dir, NULL, &rng_system);
	if (rc == 0)
		rc = keyring_open(&s->keyring, &options);
	seal.keyring = s->keyring;
	if (rc == 0)
		rc = sealer_create(&s->sealer, &seal);
	/* Without keys the rows would differ, and a rebuild would lose every name and title. */
	if (rc != 0)
		return command_fail_err(s->in, rc, "cannot open the keys in %s with %s", keys, root_key);
	return STATUS_OK;
}

static enum exit_status stores_open(struct stores *s, const struct invocation *in, bool exclusive)
{
	enum exit_status status;
	int rc = crypto_init();

	*s = (struct stores){.in = in};
	if (rc != 0)
		return command_fail_err(in, rc, "cannot start");
	status = open_log(s, exclusive);
	if (status == STATUS_OK)
		status = open_keys(s);
	s->options = (struct projector_options){
	    .dir = option_data_dir(in), .log = s->log, .sealer = s->sealer, .clock = &clock_system};
	return status;
}

static void stores_close(struct stores *s)
{
	sealer_destroy(s->sealer);
	keyring_close(s->keyring);
	eventlog_close(s->log);
	config_finish(&s->config);
}

/* ---- which ones ------------------------------------------------------------------ */

enum exit_status projection_check_name(const struct invocation *in, const char *name)
{
	struct nearest near = NEAREST_INIT(slice_str(name));

	if (projection_find(name) != NULL)
		return STATUS_OK;
	for (unsigned k = 0; projections[k] != NULL; k++)
		nearest_offer(&near, projections[k]->name);
	return command_fail(in, STATUS_NOT_FOUND, "there is no read model '%s'%s%s%s", name,
	    near.name != NULL ? "; did you mean " : "", near.name != NULL ? near.name : "",
	    near.name != NULL ? "?" : "");
}

static enum exit_status check_names(const struct invocation *in)
{
	enum exit_status status = STATUS_OK;

	for (unsigned i = 0; i < in->n_arguments && status == STATUS_OK; i++)
		status = projection_check_name(in, in->arguments[i]);
	return status;
}

static bool is_named(const struct invocation *in, const struct projection *model)
{
	bool named = in->n_arguments == 0;

	for (unsigned i = 0; i < in->n_arguments; i++)
		named |= projection_find(in->arguments[i]) == model;
	return named;
}

/* ---- status ----------------------------------------------------------------------- */

static const struct table_column status_columns[] = {
	{"MODEL", "model", TABLE_TEXT},
	{"STATE", "state", TABLE_TEXT},
	{"POSITION", "position", TABLE_NUMBER},
	{"BEHIND", "behind", TABLE_NUMBER},
	{"VERSION", "version", TABLE_TEXT},
	{"PROBLEM", "problem", TABLE_WRAP},
	{0},
};

/* A row; ways_out gets what to type where one has stopped. */
static bool put_status(struct table *t, const char *dir, const struct projection *model, uint64_t size,
    struct buf *ways_out)
{
	struct projection_status status;
	int rc = projection_inspect(dir, model, &status);
	uint64_t behind = size > status.position ? size - status.position : 0;
	const char *state = projection_state_name(status.state), *problem = status.problem;

	if (rc == ERR_NOT_FOUND) {
		state = "absent";
		problem = "it is made when the server starts, or by lulab projection rebuild";
	} else if (rc != 0) {
		state = "unreadable";
		problem = err_text(rc);
	} else if (status.state == PROJECTION_LIVE && behind > 0) {
		state = "behind";
	}
	if (status.state == PROJECTION_STOPPED)
		buf_printf(ways_out,
		    "%s%s has stopped. `lulab log show %" PRIu64 "` prints the event. When a newer program cannot apply it "
		    "either, let it be passed over: lulab projection skip %s %" PRIu64 " --reason TEXT",
		    ways_out->len > 0 ? "\n" : "", model->name, status.err_position, model->name, status.err_position);
	table_put_str(t, model->name);
	table_put_str(t, state);
	table_put_u64(t, status.position);
	table_put_u64(t, rc == 0 ? behind : size);
	table_put_str(t, model->version);
	table_put_str(t, problem[0] == '\0' ? NULL : problem);
	return status.state != PROJECTION_STOPPED && (rc == 0 || rc == ERR_NOT_FOUND);
}

static int run_status(struct invocation *in)
{
	struct stores s = {.in = in};
	struct table *t = NULL;
	bool good = true;
	struct buf ways_out = BUF_INIT(8192);
	enum exit_status status = check_names(in);
	int rc;

	if (status == STATUS_OK)
		status = open_log(&s, false);
	if (status != STATUS_OK)
		goto out;
	rc = table_open(&t, stdout, status_columns, option_is_set(in, "json"));
	for (unsigned i = 0; rc == 0 && projections[i] != NULL; i++)
		if (is_named(in, projections[i]))
			good &= put_status(t, option_data_dir(in), projections[i], eventlog_size(s.log), &ways_out);
	if (rc == 0)
		rc = table_close(t);
	if (ways_out.len > 0)
		command_note(in, "%s", ways_out.ptr);
	buf_finish(&ways_out);
	if (rc != 0)
		status = command_fail_err(in, rc, "cannot list");
	else
		status = good ? STATUS_OK : STATUS_FAILED;
out:
	stores_close(&s);
	return status;
}

/* ---- rebuild and verify --------------------------------------------------------------- */

static bool on_progress(void *arg, uint64_t done, uint64_t total)
{
	(void)total;
	progress_set(arg, done);
	return !command_interrupted();
}

static enum exit_status failed(const struct invocation *in, int rc, const char *verb, const struct projection *model,
    const struct buf *problem)
{
	if (rc == ERR_CANCELLED)
		return STATUS_INTERRUPTED;
	return command_fail_err(in, rc, "cannot %s %s%s%s", verb, model->name, problem->len > 0 ? ": " : "",
	    problem->len > 0 ? problem->ptr : "");
}

static int run_rebuild(struct invocation *in)
{
	struct stores s = {.in = in};
	enum exit_status status = check_names(in);

	if (status == STATUS_OK)
		status = stores_open(&s, in, true);
	for (unsigned i = 0; status == STATUS_OK && projections[i] != NULL; i++) {
		struct buf problem = BUF_INIT(1024);
		struct progress progress;
		int rc;

		if (!is_named(in, projections[i]))
			continue;
		progress_start(&progress, stderr, &clock_system, projections[i]->name, "events", eventlog_size(s.log));
		rc = projection_rebuild(&s.options, projections[i], on_progress, &progress, &problem);
		progress_finish(&progress);
		if (rc != 0)
			status = failed(in, rc, "rebuild", projections[i], &problem);
		else
			printf("%s: rebuilt from %llu events\n", projections[i]->name,
			    (unsigned long long)eventlog_size(s.log));
		buf_finish(&problem);
	}
	stores_close(&s);
	return status;
}

static const struct table_column verify_columns[] = {
	{"MODEL", "model", TABLE_TEXT},
	{"EQUAL", "equal", TABLE_BOOL},
	{"POSITION", "position", TABLE_NUMBER},
	{"STORED", "stored", TABLE_TEXT},
	{"FRESH", "fresh", TABLE_TEXT},
	{0},
};

static void put_digest(struct table *t, const uint8_t digest[SHA256_LEN], bool whole)
{
	char text[2 * SHA256_LEN + 1];

	hex_encode(text, digest, SHA256_LEN);
	table_put(t, slice_of(text, whole ? 2 * SHA256_LEN : 16));
}

static enum exit_status verify_one(struct stores *s, struct table *t, const struct projection *model)
{
	struct buf problem = BUF_INIT(1024);
	struct projection_verdict verdict = {0};
	bool json = option_is_set(s->in, "json");
	struct progress progress;
	enum exit_status status = STATUS_OK;
	int rc;

	progress_start(&progress, stderr, &clock_system, model->name, "events", eventlog_size(s->log));
	rc = projection_verify(&s->options, model, &verdict, on_progress, &progress, &problem);
	progress_finish(&progress);
	if (rc == ERR_NOT_FOUND)
		status = command_fail(s->in, STATUS_NOT_FOUND, "%s has not been built yet: lulab projection rebuild %s",
		    model->name, model->name);
	else if (rc != 0)
		status = failed(s->in, rc, "verify", model, &problem);
	buf_finish(&problem);
	if (rc != 0)
		return status;
	table_put_str(t, model->name);
	table_put_bool(t, verdict.equal);
	table_put_u64(t, verdict.position);
	put_digest(t, verdict.stored, json);
	put_digest(t, verdict.fresh, json);
	return verdict.equal ? STATUS_OK : STATUS_NOT_VERIFIED;
}

static int run_verify(struct invocation *in)
{
	struct stores s = {.in = in};
	struct table *t = NULL;
	enum exit_status status = check_names(in), one;
	int rc;

	if (status == STATUS_OK)
		status = stores_open(&s, in, false);
	if (status != STATUS_OK)
		goto out;
	rc = table_open(&t, stdout, verify_columns, option_is_set(in, "json"));
	for (unsigned i = 0; rc == 0 && projections[i] != NULL && status != STATUS_INTERRUPTED; i++) {
		if (!is_named(in, projections[i]))
			continue;
		one = verify_one(&s, t, projections[i]);
		if (one != STATUS_OK && status != STATUS_NOT_VERIFIED) /* the worst finding is what is told */
			status = one;
	}
	if (rc == 0)
		rc = table_close(t);
	if (rc != 0)
		status = command_fail_err(in, rc, "cannot list");
	else if (status == STATUS_NOT_VERIFIED)
		command_note(in, "a read model differs from what the log says: lulab projection rebuild makes it anew");
out:
	stores_close(&s);
	return status;
}

/* ---- the table ------------------------------------------------------------------------- */

static const struct option listing_options[] = {OPTION_DATA, OPTION_JSON, {0}};
static const struct option data_options[] = {OPTION_DATA, {0}};

static const struct example status_examples[] = {
	{"lulab projection status", "how far each read model has come"},
	{"lulab projection status --json --data /var/lib/lulab", "the same for scripts"},
	{0},
};

static const struct example rebuild_examples[] = {
	{"lulab projection rebuild meetings", "make one read model again from the log"},
	{"lulab projection rebuild", "make all of them again"},
	{0},
};

static const struct example verify_examples[] = {
	{"lulab projection verify", "fold the log afresh and compare the rows with those that are stored"},
	{"lulab projection verify attendance --json", "one of them, with whole digests"},
	{0},
};

static const struct command cmd_status = {
	.name = "status",
	.summary = "Show how far the read models have come",
	.description = "Reads the files of a running or a stopped server. Exit status 1 when a read model has stopped at "
	               "an event it cannot apply.",
	.arguments = "[MODEL...]",
	.arguments_max = 64,
	.options = listing_options,
	.examples = status_examples,
	.run = run_status,
};

static const struct command cmd_rebuild = {
	.name = "rebuild",
	.summary = "Make read models again from the log",
	.description = "The server must be stopped. The new file takes the place of the old one when it is complete; "
	               "an interrupted rebuild leaves the old one as it was.",
	.arguments = "[MODEL...]",
	.arguments_max = 64,
	.options = data_options,
	.examples = rebuild_examples,
	.run = run_rebuild,
};

static const struct command cmd_verify = {
	.name = "verify",
	.summary = "Compare read models with a fresh fold of the log",
	.description = "Folds the log into a new file up to where the stored one stands and compares SHA-256 digests over "
	               "all rows in key order. Works beside a running server. Exit status 4 when they differ.",
	.arguments = "[MODEL...]",
	.arguments_max = 64,
	.options = listing_options,
	.examples = verify_examples,
	.run = run_verify,
};

static const struct command *const commands[] = {&cmd_status, &cmd_rebuild, &cmd_verify, &projection_skip, NULL};

const struct command cmd_projection = {
	.name = "projection",
	.summary = "See, check and rebuild the read models",
	.commands = commands,
};
