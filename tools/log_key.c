/* lulab log key: changing the key that signs checkpoints (store/log_keys.h) from the command line. */
#include <inttypes.h>
#include <stdio.h>

#include "base/io.h"
#include "crypto/crypto.h"
#include "domain/event.h"
#include "log_commands.h"
#include "store/checkpoint.h"
#include "store/log_keys.h"
#include "table.h"

#define TELL_LEN 512

/* ---- list ------------------------------------------------------------------------------- */

static const struct table_column columns[] = {{"KEY", "key", TABLE_TEXT}, {"STATE", "state", TABLE_TEXT},
    {"ADDED", "added", TABLE_TIME}, {"AT", "addedAt", TABLE_NUMBER}, {"RETIRED", "retired", TABLE_TIME},
    {"AT", "retiredAt", TABLE_NUMBER}, {0}};

static void put_key(struct table *t, const struct log_key *k)
{
	struct buf text = BUF_INIT(TELL_LEN);

	note_key_format(&text, &k->key);
	table_put(t, buf_slice(&text));
	table_put_str(t, k->retired ? "retired" : "signs");
	table_put_time(t, k->added_us);
	table_put_u64(t, k->added_at);
	if (k->retired) {
		table_put_time(t, k->retired_us);
		table_put_u64(t, k->retired_at);
	} else {
		table_put_none(t);
		table_put_none(t);
	}
	buf_finish(&text);
}

static int run_list(struct invocation *in)
{
	struct log_key keys[LOG_KEYS_MAX];
	struct eventlog *log;
	struct table *t;
	unsigned n;
	int status, rc;

	if (!log_tool_open(&log, in, &status))
		return status;
	rc = log_keys_list(log, keys, &n);
	if (rc == 0)
		rc = table_open(&t, stdout, columns, option_is_set(in, "json"));
	if (rc == 0) {
		for (unsigned i = 0; i < n; i++)
			put_key(t, &keys[i]);
		rc = table_close(t);
	}
	eventlog_close(log);
	return rc == 0 ? STATUS_OK : command_fail_err(in, rc, "cannot list the keys");
}

/* ---- what changes the log ------------------------------------------------------------------ */

struct change {
	struct log_key_change c;
	char origin[LOG_ORIGIN_MAX + 1];
};

static int open_change(struct invocation *in, struct change *ch)
{
	struct buf problem = BUF_INIT(1024);
	struct eventlog_options o = {.dir = option_data_dir(in), .clock = &clock_system, .type_number = event_type_number,
	    .existed = true, .problem = &problem};
	int rc, status = STATUS_OK;

	*ch = (struct change){.c = {.data_dir = o.dir, .origin = ch->origin, .reason = option_text(in, "reason"),
	    .clock = &clock_system, .rng = &rng_system}};
	rc = crypto_init();
	if (rc == 0)
		rc = signer_origin(ch->origin, o.dir);
	if (rc == ERR_NOT_FOUND)
		return command_fail(in, STATUS_NOT_FOUND, "nothing was signed in %s yet: name its directory with --data, or start "
		    "the service once", o.dir);
	if (rc == 0)
		rc = signer_record(o.dir, &o.signed_size, &o.signed_root);
	if (rc == 0)
		rc = eventlog_open(&ch->c.log, &o);
	if (rc == ERR_LOCKED)
		status = command_fail(in, STATUS_CONFLICT, "%s is in use: stop the service, change the key, start it again", o.dir);
	else if (rc != 0)
		status = command_fail(in, status_of(rc), "cannot open the log in %s: %s", o.dir,
		    problem.len > 0 ? problem.ptr : err_text(rc));
	buf_finish(&problem);
	return status;
}

/* A checkpoint of all there is, by the keys there are. */
static int sign(void *arg)
{
	struct change *ch = arg;
	struct signer_options o = {.data_dir = ch->c.data_dir, .origin = ch->origin, .log = signed_log_of(ch->c.log),
	    .clock = &clock_system, .rng = &rng_system};
	struct signer *signer = NULL;
	int rc = signer_start(&signer, &o);

	if (rc == 0)
		rc = signer_sign_now(signer, eventlog_size(ch->c.log));
	signer_stop(signer);
	return rc;
}

static void print_key(const struct log_key *k)
{
	struct buf text = BUF_INIT(TELL_LEN);

	if (note_key_format(&text, &k->key) == 0)
		printf("%s\n", text.ptr);
	buf_finish(&text);
}

static int fail_change(struct invocation *in, const struct change *ch, int rc)
{
	const char *refusal = eventlog_refusal(ch->c.log);

	if (refusal != NULL)
		return command_fail(in, STATUS_CONFLICT, "the log takes no records: %s", refusal);
	return command_fail_err(in, rc, "the key in %s cannot be changed; run the command again to go on", ch->c.data_dir);
}

static int run_add(struct invocation *in)
{
	char when[TIME_TEXT_MS_LEN + 1];
	struct log_key key;
	struct change ch;
	int status, rc;

	status = open_change(in, &ch);
	if (status != STATUS_OK)
		return status;
	rc = log_key_add(&ch.c, &key);
	if (rc == 0 || rc == ERR_EXISTS) {
		time_format_ms(when, (key.added_us + INT64_C(86400000000) * LOG_KEY_OVERLAP_DAYS) / 1000);
		when[10] = '\0'; /* the day */
	}
	if (rc == ERR_EXISTS) {
		status = command_fail(in, STATUS_CONFLICT, "a key was added at record %" PRIu64
		    " already; `lulab log key retire` ends the change, from %s on", key.added_at, when);
	} else if (rc != 0 || (rc = sign(&ch)) != 0) {
		status = fail_change(in, &ch, rc);
	} else {
		print_key(&key);
		command_note(in, "both keys sign from now on; tell auditors and witnesses the new one, and end the change with "
		    "`lulab log key retire` from %s on", when);
	}
	eventlog_close(ch.c.log);
	return status;
}

static int run_retire(struct invocation *in)
{
	char when[TIME_TEXT_MS_LEN + 1];
	struct log_key key;
	struct change ch;
	int64_t ready_us = 0;
	int status, rc;

	status = open_change(in, &ch);
	if (status != STATUS_OK)
		return status;
	rc = log_key_retire(&ch.c, sign, &ch, &key, &ready_us);
	if (rc == ERR_RANGE) {
		time_format_ms(when, ready_us / 1000);
		status = command_fail(in, STATUS_CONFLICT, "both keys must sign for %d days, so that every auditor can follow: the "
		    "old one can be retired from %s on", LOG_KEY_OVERLAP_DAYS, when);
	} else if (rc == ERR_NOT_FOUND) {
		status = command_fail(in, STATUS_NOT_FOUND, "there is no key to take the place of this one: `lulab log key add` "
		    "makes one");
	} else if (rc != 0 || (rc = sign(&ch)) != 0) {
		status = fail_change(in, &ch, rc);
	} else {
		print_key(&key);
		command_note(in, "this key alone signs from now on; it is in %s/log.vkey", ch.c.data_dir);
	}
	eventlog_close(ch.c.log);
	return status;
}

/* ---- the commands ------------------------------------------------------------------------------ */

static const struct option list_options[] = {OPTION_DATA, OPTION_JSON, {0}};
static const struct option change_options[] = {OPTION_DATA,
    {.name = "reason", .kind = OPTION_TEXT, .value = "TEXT", .summary = "why; it stays in the log for ever"}, {0}};

static const struct example list_examples[] = {{"lulab log key list", "the keys that sign or signed checkpoints"}, {0}};
static const struct example add_examples[] = {
    {"lulab log key add --reason 'yearly change'", "make a second key; both sign from now on"}, {0}};
static const struct example retire_examples[] = {
    {"lulab log key retire", "30 days after: the old key signs no more"}, {0}};

static const struct command key_list = {
    .name = "list",
    .summary = "Show the keys that sign or signed checkpoints",
    .options = list_options,
    .examples = list_examples,
    .run = run_list,
};

static const struct command key_add = {
    .name = "add",
    .summary = "Begin a change of the key: make a second one",
    .description = "Says so in the log and prints the new verifier key. From then on both keys sign, so that whoever trusts "
		   "the old one is led to the new one by the log itself. The service must be stopped.",
    .options = change_options,
    .examples = add_examples,
    .run = run_add,
};

static const struct command key_retire = {
    .name = "retire",
    .summary = "End a change of the key: the old one signs no more",
    .description = "Not before both have signed for 30 days. The service must be stopped.",
    .options = change_options,
    .examples = retire_examples,
    .run = run_retire,
};

static const struct command *const commands[] = {&key_list, &key_add, &key_retire, NULL};

const struct command log_key_command = {
    .name = "key",
    .summary = "Change the key that signs checkpoints",
    .commands = commands,
};
