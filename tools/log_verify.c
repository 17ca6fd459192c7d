/* lulab log verify: the offline verifier (verify.h) as a command. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/verify.h"
#include "base/codec.h"
#include "base/io.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include "domain/policy.h"
#include "log_chain.h"
#include "log_commands.h"
#include "verify_watch.h"

#define KEY_FILE_MAX 8192
#define JSON_MAX (1u << 20)
#define RECORD_MAX 65535

/* ---- keys -------------------------------------------------------------------------- */

/* One more key, of the kind the option is for. */
static int add_key(struct invocation *in, struct verify_options *o, const char *option, enum note_key_type type,
    struct slice text)
{
	struct note_key *key = &o->keys[o->n_log_keys + o->n_witness_keys];
	int rc;

	if (o->n_log_keys + o->n_witness_keys == VERIFY_KEYS_MAX)
		return command_fail_usage(in, "at most %d keys", VERIFY_KEYS_MAX);
	rc = note_key_parse(key, text);
	if (rc == ERR_BAD_KEY)
		return command_fail_usage(in, "--%s: the id in the key is not that of the key; was it cut or retyped?", option);
	if (rc != 0 || key->type != type)
		return command_fail_usage(in, "--%s: not a %s of the form name+id+base64, nor a file with one", option,
		    type == NOTE_ED25519 ? "verifier key" : "witness key");
	if (type == NOTE_ED25519 && strcmp(key->name, o->keys[0].name) != 0)
		return command_fail_usage(in, "--key: all keys must be of one log, %s", o->keys[0].name);
	if (type == NOTE_ED25519)
		o->n_log_keys++;
	else
		o->n_witness_keys++;
	return STATUS_OK;
}

/* A verifier key as it is, or a file that holds some, one a line. */
static int add_keys_of(struct invocation *in, struct verify_options *o, const char *option, enum note_key_type type,
    const char *text)
{
	struct buf file = BUF_INIT(KEY_FILE_MAX);
	struct slice line, rest;
	struct note_key key;
	int status = STATUS_OK;

	if (note_key_parse(&key, slice_str(text)) != ERR_MALFORMED || file_read(&file, text) != 0)
		return add_key(in, o, option, type, slice_str(text));
	rest = slice_trim(buf_slice(&file));
	do {
		slice_cut(rest, '\n', &line, &rest);
		status = add_key(in, o, option, type, slice_trim(line));
	} while (status == STATUS_OK && rest.len > 0);
	buf_finish(&file);
	return status;
}

static int add_keys(struct invocation *in, struct verify_options *o, const char *option, enum note_key_type type)
{
	const char *text;
	int status = STATUS_OK;

	for (unsigned i = 0; status == STATUS_OK && (text = option_nth(in, option, i)) != NULL; i++)
		status = add_keys_of(in, o, option, type, text);
	return status;
}

/* Of the logs that this one succeeds. */
static int keys_before(struct invocation *in, struct note_key keys[VERIFY_KEYS_MAX], unsigned *ret_n)
{
	const char *text;
	unsigned n = 0;

	for (unsigned i = 0; (text = option_nth(in, "previous-key", i)) != NULL; i++)
		if (policy_keys(keys, VERIFY_KEYS_MAX, &n, NOTE_ED25519, text) != 0)
			return command_fail_usage(in, "--previous-key: not a log's verifier key, nor a file with one");
	*ret_n = n;
	return STATUS_OK;
}

/* Without --key the data directory's own: that shows the log agrees with itself, not who signed it. */
static int add_own_key(struct invocation *in, struct verify_options *o)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/log.vkey", option_data_dir(in));
	if (!file_exists(path))
		return command_fail_usage(in, "--key is needed: there is none in %s", path);
	if (add_keys_of(in, o, "key", NOTE_ED25519, path) != STATUS_OK)
		return STATUS_USAGE;
	command_note(in, "using the key in %s; an auditor gives the one he was handed, with --key", path);
	return STATUS_OK;
}

/* Log and witness keys and their number from one file, which the auditor keeps. */
static int take_policy(struct invocation *in, struct verify_options *o)
{
	struct policy *policy = malloc(sizeof(*policy));
	struct buf problem = BUF_INIT(8192);
	int rc, status = STATUS_OK;

	if (option_is_set(in, "key") || option_is_set(in, "witness") || option_is_set(in, "witnesses"))
		status = command_fail_usage(in, "--policy says all that --key, --witness and --witnesses say: give one or the others");
	rc = policy == NULL ? ERR_NOMEM : policy_read(policy, option_text(in, "policy"), &problem);
	if (status == STATUS_OK && rc != 0)
		status = command_fail_usage(in, "--policy: %s", problem.len > 0 ? problem.ptr : err_text(rc));
	if (status == STATUS_OK && policy->n_logs == 0)
		status = command_fail_usage(in, "--policy: %s has no log line", option_text(in, "policy"));
	for (unsigned i = 0; status == STATUS_OK && i < policy->n_logs; i++) {
		if (strcmp(policy->logs[i].name, policy->logs[0].name) != 0 || i == VERIFY_KEYS_MAX - POLICY_WITNESSES_MAX)
			status = command_fail_usage(in, "--policy: the log lines must be of one log");
		else
			o->keys[o->n_log_keys++] = policy->logs[i];
	}
	for (unsigned i = 0; status == STATUS_OK && i < policy->n_witnesses; i++)
		o->keys[o->n_log_keys + o->n_witness_keys++] = policy->witnesses[i].key;
	if (status == STATUS_OK)
		o->witnesses_needed = policy->quorum;
	buf_finish(&problem);
	free(policy);
	return status;
}

static int gather_keys(struct invocation *in, struct verify_options *o)
{
	int status;

	if (option_is_set(in, "policy"))
		return take_policy(in, o);
	status = add_keys(in, o, "key", NOTE_ED25519);
	if (status == STATUS_OK && o->n_log_keys == 0) {
		if (option_is_set(in, "export") || option_is_set(in, "proof"))
			return command_fail_usage(in, "--key is needed: the log's verifier key, as its operator handed it to you");
		status = add_own_key(in, o);
	}
	if (status == STATUS_OK)
		status = add_keys(in, o, "witness", NOTE_COSIGNATURE);
	o->witnesses_needed = option_is_set(in, "witnesses") ? (unsigned)option_number(in, "witnesses") : o->n_witness_keys;
	if (status == STATUS_OK && o->witnesses_needed > o->n_witness_keys)
		return command_fail_usage(in, "--witnesses asks for more than there are --witness keys");
	return status;
}

/* ---- the summary -------------------------------------------------------------------- */

static const char *verdict_of(const struct verify_summary *s)
{
	return s->n_evidence > 0 ? "bad" : s->n_unknown > 0 ? "unknown" : "good";
}

static void print_text(const struct verify_summary *s, const struct log_chain *chain, double seconds)
{
	char root[2 * MERKLE_HASH_LEN + 1];

	hex_encode(root, s->root.bytes, MERKLE_HASH_LEN);
	if (s->n_evidence > 0) {
		printf("NOT VERIFIED: %" PRIu64 " findings", s->n_evidence + s->n_unknown);
		if (s->has_bad)
			printf(", first bad index %" PRIu64, s->first_bad);
		printf("\n");
	} else if (s->n_unknown > 0) {
		printf("CANNOT TELL: %" PRIu64 " things could not be read\n", s->n_unknown);
	} else {
		printf("verified: every record, tile and checkpoint is as it was signed\n");
	}
	printf("log          %s\n", s->origin);
	printf("size         %" PRIu64 "\n", s->size);
	printf("root         %s\n", s->has_root ? root : "-");
	printf("checkpoints  %" PRIu64 "\n", s->checkpoints);
	printf("blobs        %" PRIu64 "\n", s->blobs);
	printf("read         %" PRIu64 " records, %.1f MB in %.2f s, %.0f records/s\n", s->records, (double)s->bytes / 1e6,
	    seconds, seconds > 0 ? (double)s->records / seconds : 0.0);
	if (s->keys_reached > 0)
		printf("keys         %u not given, named by the log under one that was\n", s->keys_reached);
	if (s->unsigned_records > 0)
		printf("unsigned     %" PRIu64 " newest records, no checkpoint covers them yet\n", s->unsigned_records);
	if (chain->is_successor)
		printf("succeeds     %s: %" PRIu64 " events of it were found, it had signed for %" PRIu64 " (%s)\n", chain->origin,
		    chain->found, chain->signed_size, chain->reason);
	if (s->open_erasures > 0)
		printf("erasures     %" PRIu64 " requested and not completed yet\n", s->open_erasures);
}

static void put_member(struct json_writer *w, const char *name, uint64_t value)
{
	json_name(w, name);
	json_put_u64(w, value);
}

static void put_chain(struct json_writer *w, const struct log_chain *chain)
{
	if (!chain->is_successor) {
		json_put_null(w);
		return;
	}
	json_begin_object(w);
	json_name(w, "origin");
	json_put_str(w, chain->origin);
	json_name(w, "reason");
	json_put_str(w, chain->reason);
	put_member(w, "found", chain->found);
	put_member(w, "signed", chain->signed_size);
	put_member(w, "verified", chain->n_verified);
	json_end_object(w);
}

static int print_json(const struct verify_summary *s, const struct log_chain *chain, double seconds, struct slice findings)
{
	struct buf out = BUF_INIT(2 * JSON_MAX);
	struct json_writer w = JSON_WRITER(&out);
	char root[2 * MERKLE_HASH_LEN + 1];
	int rc;

	hex_encode(root, s->root.bytes, MERKLE_HASH_LEN);
	json_begin_object(&w);
	json_name(&w, "verdict");
	json_put_str(&w, verdict_of(s));
	json_name(&w, "origin");
	json_put_str(&w, s->origin);
	put_member(&w, "size", s->size);
	json_name(&w, "root");
	json_put_str(&w, s->has_root ? root : NULL);
	json_name(&w, "firstBad");
	if (s->has_bad)
		json_put_u64(&w, s->first_bad);
	else
		json_put_null(&w);
	put_member(&w, "bad", s->n_evidence);
	put_member(&w, "unknown", s->n_unknown);
	put_member(&w, "records", s->records);
	put_member(&w, "unsigned", s->unsigned_records);
	put_member(&w, "bytes", s->bytes);
	put_member(&w, "blobs", s->blobs);
	put_member(&w, "checkpoints", s->checkpoints);
	put_member(&w, "tiles", s->tiles);
	put_member(&w, "keysReached", s->keys_reached);
	put_member(&w, "onceKeys", s->once_keys);
	put_member(&w, "openErasures", s->open_erasures);
	json_name(&w, "succeeds");
	put_chain(&w, chain);
	json_name(&w, "seconds");
	json_put_double(&w, seconds);
	json_name(&w, "findings");
	json_put_raw(&w, findings);
	json_end_object(&w);
	rc = buf_append_char(&out, '\n');
	if (rc == 0 && fwrite(out.ptr, 1, out.len, stdout) != out.len)
		rc = ERR_IO;
	buf_finish(&out);
	return rc;
}

static int status_of_summary(const struct verify_summary *s)
{
	if (s->n_evidence > 0)
		return STATUS_NOT_VERIFIED;
	return s->n_unknown > 0 ? STATUS_FAILED : STATUS_OK;
}

/* ---- a whole log ---------------------------------------------------------------------- */

static int verify_source(struct invocation *in, const struct verify_source *source, struct verify_options *o,
    const char *dir)
{
	struct buf findings = BUF_INIT(JSON_MAX);
	struct json_writer w = JSON_WRITER(&findings);
	bool json = option_is_set(in, "json");
	struct verify_watch watch = {.out = stdout, .findings = json ? &w : NULL};
	struct note_key before[VERIFY_KEYS_MAX];
	struct log_chain chain = {.dir = dir, .is_export = option_is_set(in, "export"), .keys = before,
	    .own_keys = !option_is_set(in, "export")};
	struct verify_summary summary;
	int64_t start_us = clock_monotonic_us(&clock_system);
	double seconds;
	int rc, status;

	status = keys_before(in, before, &chain.n_keys);
	if (status != STATUS_OK)
		return status;
	o->threads = (unsigned)option_number(in, "threads");
	json_begin_array(&w);
	verify_watch_start(&watch, o);
	rc = verify_log(source, o, &summary);
	if (rc == 0)
		rc = log_chain_verify(&chain, source, o, &summary);
	verify_watch_finish(&watch);
	json_end_array(&w);
	seconds = (double)(clock_monotonic_us(&clock_system) - start_us) / 1e6;
	if (rc == ERR_CANCELLED) {
		status = STATUS_INTERRUPTED;
	} else if (rc != 0) {
		status = command_fail_err(in, rc, "cannot verify");
	} else {
		status = status_of_summary(&summary);
		if (!json)
			print_text(&summary, &chain, seconds);
		else if (print_json(&summary, &chain, seconds, buf_slice(&findings)) != 0)
			status = command_fail(in, STATUS_FAILED, "cannot write the summary");
	}
	buf_finish(&findings);
	return status;
}

static int verify_export(struct invocation *in, struct verify_options *o)
{
	const char *dir = option_text(in, "export");
	struct verify_source source;
	int rc, status;

	rc = verify_export_open(&source, dir);
	if (rc != 0)
		return command_fail(in, STATUS_FAILED, "cannot read the export %s: %s", dir, err_text(rc));
	status = verify_source(in, &source, o, dir);
	verify_export_close(&source);
	return status;
}

static int verify_data(struct invocation *in, struct verify_options *o)
{
	struct verify_source source;
	int rc, status;

	rc = verify_data_open(&source, option_data_dir(in));
	if (rc != 0)
		return command_fail(in, STATUS_FAILED, "cannot read the log in %s: %s", option_data_dir(in), err_text(rc));
	status = verify_source(in, &source, o, option_data_dir(in));
	verify_data_close(&source);
	return status;
}

/* ---- one record with its proof ----------------------------------------------------------- */

/* A checkpoint signed by any of the log's keys given. */
static int open_checkpoint(const struct verify_options *o, struct slice bytes, struct checkpoint *ret)
{
	int rc = ERR_BAD_SIGNATURE;

	for (unsigned i = 0; rc != 0 && i < o->n_log_keys; i++)
		rc = checkpoint_open(ret, NULL, bytes, &o->keys[i], o->n_log_keys - i + o->n_witness_keys, NULL);
	return rc;
}

static bool proof_holds(const struct verify_options *o, struct slice proof_text, struct slice record,
    uint64_t *ret_index, const char **ret_why)
{
	struct checkpoint checkpoint;
	struct proof_file file;
	struct merkle_hash leaf;

	*ret_why = "the proof file is malformed";
	if (proof_file_parse(&file, proof_text) != 0)
		return false;
	*ret_index = file.index;
	*ret_why = "the checkpoint in the proof is not signed by the key given";
	if (open_checkpoint(o, file.checkpoint, &checkpoint) != 0)
		return false;
	*ret_why = "the record is not the one the proof is for";
	merkle_leaf(&leaf, record);
	return merkle_inclusion_holds(&file.proof, file.index, checkpoint.size, &leaf, &checkpoint.root);
}

static int verify_proof(struct invocation *in, const struct verify_options *o)
{
	struct buf proof = BUF_INIT(2 * NOTE_BYTES_MAX), record = BUF_INIT(RECORD_MAX);
	uint64_t index = 0;
	const char *why;
	int rc, status;

	if (!option_is_set(in, "record"))
		return command_fail_usage(in, "--proof needs --record FILE, the record it is for");
	rc = file_read(&proof, option_text(in, "proof"));
	if (rc == 0)
		rc = file_read(&record, option_text(in, "record"));
	if (rc != 0) {
		status = command_fail(in, STATUS_FAILED, "cannot read the proof or the record: %s", err_text(rc));
	} else if (!proof_holds(o, buf_slice(&proof), buf_slice(&record), &index, &why)) {
		status = command_fail(in, STATUS_NOT_VERIFIED, "%s", why);
	} else {
		printf("verified: this is record %" PRIu64 " of %s\n", index, o->keys[0].name);
		status = STATUS_OK;
	}
	buf_finish(&proof);
	buf_finish(&record);
	return status;
}

/* ---- the command ------------------------------------------------------------------------------ */

static int run_verify(struct invocation *in)
{
	struct verify_options *o = calloc(1, sizeof(*o));
	struct buf old = BUF_INIT(NOTE_BYTES_MAX);
	int rc, status;

	if (o == NULL || crypto_init() != 0) {
		free(o);
		return command_fail(in, STATUS_FAILED, "out of memory");
	}
	status = gather_keys(in, o);
	if (status == STATUS_OK && option_is_set(in, "old-checkpoint")) {
		rc = file_read(&old, option_text(in, "old-checkpoint"));
		if (rc != 0)
			status = command_fail(in, STATUS_FAILED, "cannot read %s: %s", option_text(in, "old-checkpoint"), err_text(rc));
		o->old_checkpoint = buf_slice(&old);
	}
	o->semantics = option_is_set(in, "semantics");
	if (status == STATUS_OK) {
		if (option_is_set(in, "proof"))
			status = verify_proof(in, o);
		else if (option_is_set(in, "export"))
			status = verify_export(in, o);
		else
			status = verify_data(in, o);
	}
	buf_finish(&old);
	free(o);
	return status;
}

static const struct option options[] = {
    {.name = "export", .kind = OPTION_DIR, .value = "DIR", .summary = "an export, made by `lulab log export`"},
    OPTION_DATA,
    {.name = "key", .kind = OPTION_TEXT, .value = "VKEY", .repeatable = true,
	.summary = "the log's verifier key, or a file that holds it"},
    {.name = "witness", .kind = OPTION_TEXT, .value = "VKEY", .repeatable = true,
	.summary = "a witness's verifier key, or a file that holds it"},
    {.name = "witnesses", .kind = OPTION_NUMBER, .value = "N", .max = VERIFY_KEYS_MAX,
	.summary = "how many of the witnesses must have signed (default: all given)"},
    {.name = "policy", .kind = OPTION_FILE, .value = "FILE",
	.summary = "log and witness keys, and how many must have signed, from a file"},
    {.name = "previous-key", .kind = OPTION_TEXT, .value = "VKEY", .repeatable = true,
	.summary = "the key of a log that this one succeeds, or a file that holds it"},
    {.name = "old-checkpoint", .kind = OPTION_FILE, .value = "FILE",
	.summary = "an older checkpoint you kept; the log must extend it"},
    {.name = "semantics", .kind = OPTION_FLAG,
	.summary = "also look for deliveries recorded twice and for erasures nobody requested"},
    {.name = "proof", .kind = OPTION_FILE, .value = "FILE", .summary = "check one record: its .tlog-proof"},
    {.name = "record", .kind = OPTION_FILE, .value = "FILE", .summary = "and the record itself"},
    {.name = "threads", .kind = OPTION_NUMBER, .value = "N", .fallback = "2", .min = 1, .max = 16,
	.summary = "threads to use"},
    {.name = "json", .kind = OPTION_FLAG, .summary = "print the findings and the summary as one JSON object"},
    {0},
};

static const struct example examples[] = {
    {"lulab log verify --export ./export --key log.vkey", "check an export, with nothing but the key you were handed"},
    {"lulab log verify --export ./export --key log.vkey --old-checkpoint last-year", "and that it extends what you saw before"},
    {"lulab log verify", "check the data directory itself, while the server runs"},
    {"lulab log verify --proof 17.tlog-proof --record 17.json --key log.vkey", "check one record"},
    {0},
};

const struct command log_verify = {
    .name = "verify",
    .summary = "Prove offline that nothing was changed or dropped",
    .description =
	"Reads every byte of the log: each record's form, place, time and blobs, its hash against the tiles, the tiles "
	"against each other, the tree against every checkpoint, and every signature. Names the first bad index. Keys the log "
	"changed to, or from, are found in it, starting from the one given.\n"
	"Exit status: 0 all good; 4 evidence of change or loss; 1 cannot tell, because something is missing or cannot be "
	"read; 2 wrong use. Read models are compared with the log by `lulab projection verify`.",
    .options = options,
    .examples = examples,
    .run = run_verify,
};
