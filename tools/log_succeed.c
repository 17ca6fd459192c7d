/*
 * lulab log succeed: a new log in the place of one that lost events.
 *
 * The new log is made whole in DATA/successor.tmp: its name, its key, its first
 * record (log.succeeded) and a checkpoint over it. Then the file DATA/succession
 * says that the two change places, every part of the old log moves to
 * DATA/previous/<n> and the new one's to where it was; from that file on the move
 * is only ever finished, by running the command again. The service does not start in between.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/io.h"
#include "crypto/crypto.h"
#include "domain/event.h"
#include "log_commands.h"
#include "store/checkpoint.h"
#include "store/succession.h"

#define NOTE_FILE_MAX 8192 /* what the event can hold */

/* What is known of the old log, and how the new one is made. */
struct succeed {
	struct invocation *in;
	const char *data;
	char temporary[PATH_MAX];
	char old_origin[LOG_ORIGIN_MAX + 1], new_origin[LOG_ORIGIN_MAX + 1];
	struct note_key old_key;
	bool has_old_key;
	struct buf note;
	uint64_t note_size, found;
	struct merkle_hash root;
	char refusal[512];
};

static int join(char ret[PATH_MAX], const char *dir, const char *name)
{
	return snprintf(ret, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? 0 : ERR_TOO_BIG;
}

/* ---- the old log ----------------------------------------------------------------------------- */

static void take_note(struct succeed *s, struct buf *note)
{
	struct note *parsed = malloc(sizeof(*parsed));
	struct checkpoint c;

	if (parsed != NULL && note_parse(parsed, buf_slice(note)) == 0 && checkpoint_parse(&c, parsed->text) == 0 &&
	    slice_is(c.origin, s->old_origin) && (s->note.len == 0 || c.size > s->note_size)) {
		buf_clear(&s->note);
		buf_append(&s->note, buf_slice(note));
		s->note_size = c.size;
	}
	free(parsed);
	buf_clear(note);
}

static struct slice first_line(struct slice text)
{
	struct slice line, rest;

	slice_cut(text, '\n', &line, &rest);
	return slice_trim(line);
}

/* One that was kept elsewhere must be of this log and by its key, and tells more than we know. */
static int take_given_note(struct succeed *s, struct buf *note)
{
	const char *path = option_text(s->in, "note");
	struct checkpoint c;
	int rc = file_read(note, path);

	if (rc != 0)
		return command_fail_err(s->in, rc, "cannot read %s", path);
	if (!s->has_old_key || checkpoint_open(&c, NULL, buf_slice(note), &s->old_key, 1, NULL) != 0)
		return command_fail(s->in, STATUS_NOT_VERIFIED, "%s is not a checkpoint of the log %s", path, s->old_origin);
	take_note(s, note);
	return STATUS_OK;
}

static int gather_notes(struct succeed *s, struct eventlog *log)
{
	struct buf note = BUF_INIT(NOTE_FILE_MAX), text = BUF_INIT(1024);
	int status = STATUS_OK;
	char path[PATH_MAX];
	uint64_t size;

	if (join(path, s->data, "log.vkey") == 0 && file_read(&text, path) == 0)
		s->has_old_key = note_key_parse(&s->old_key, first_line(buf_slice(&text))) == 0;
	if (eventlog_last_note(log, &size, &note) == 0)
		take_note(s, &note);
	buf_clear(&note);
	if (signer_last_note(s->data, &note) == 0)
		take_note(s, &note);
	buf_clear(&note);
	if (option_is_set(s->in, "note"))
		status = take_given_note(s, &note);
	if (status == STATUS_OK && s->note.len == 0)
		status = command_fail(s->in, STATUS_CONFLICT, "nothing was ever signed in %s: there is nothing to succeed", s->data);
	buf_finish(&note);
	buf_finish(&text);
	return status;
}

static int look_at_old(struct succeed *s)
{
	struct buf problem = BUF_INIT(1024);
	struct eventlog_options o = {.dir = s->data, .clock = &clock_system, .type_number = event_type_number,
	    .problem = &problem, .reserve_off = true};
	struct eventlog *log = NULL;
	int rc, status;

	if (!log_tool_open(&log, s->in, &status))
		return status;
	eventlog_close(log);
	rc = log_origin(s->old_origin, s->data, NULL, &rng_system);
	if (rc == ERR_CONFIG || rc == ERR_NOT_FOUND)
		rc = signer_origin(s->old_origin, s->data);
	if (rc != 0)
		return command_fail_err(s->in, rc, "cannot tell the name of the log in %s", s->data);
	rc = signer_record(s->data, &o.signed_size, &o.signed_root);
	if (rc == 0 || rc == ERR_NOT_FOUND)
		rc = eventlog_open(&log, &o);
	if (rc == ERR_LOCKED)
		status = command_fail(s->in, STATUS_CONFLICT, "the service runs on %s: stop it first", s->data);
	else if (rc != 0)
		status = command_fail(s->in, status_of(rc), "the log in %s cannot be opened: %s", s->data,
		    problem.len > 0 ? problem.ptr : err_text(rc));
	buf_finish(&problem);
	if (rc != 0)
		return status;
	rc = log_refuse_restored(log, s->data);
	if (rc != 0) {
		eventlog_close(log);
		return command_fail_err(s->in, rc, "whether the log in %s was restored cannot be told", s->data);
	}
	snprintf(s->refusal, sizeof(s->refusal), "%s", eventlog_refusal(log) == NULL ? "" : eventlog_refusal(log));
	eventlog_root(log, &s->found, &s->root);
	status = gather_notes(s, log);
	eventlog_close(log);
	return status;
}

/* ---- the new log ---------------------------------------------------------------------------- */

static int append_first(struct succeed *s, struct eventlog *log)
{
	struct arena a = ARENA_INIT(1 << 20);
	char root[2 * MERKLE_HASH_LEN + 1];
	struct event_log_succeeded data = {.origin = slice_str(s->old_origin), .note = buf_slice(&s->note),
	    .size = (int64_t)s->found, .reason = slice_str(option_text(s->in, "reason"))};
	struct event_context ctx = {&rng_system, &clock_system, NULL};
	struct event_meta meta = {.source = SLICE("/"), .actor = SLICE("system"), .expect = EXPECT_NONE};
	struct event_draft draft;
	struct append append = {.events = &draft, .n_events = 1};
	int rc;

	hex_encode(root, s->root.bytes, MERKLE_HASH_LEN);
	data.root = slice_str(root);
	rc = event_draft_make(&ctx, EVENT_LOG_SUCCEEDED, &data, &meta, &a, &draft, NULL);
	if (rc == 0)
		rc = eventlog_append_wait(log, &append);
	arena_finish(&a);
	return rc;
}

static int name_new(struct succeed *s)
{
	const char *wanted = option_text(s->in, "origin");
	char path[PATH_MAX];
	struct buf line = BUF_INIT(LOG_ORIGIN_MAX + 2);
	int rc = 0;

	if (wanted != NULL) {
		buf_printf(&line, "%s\n", wanted);
		rc = join(path, s->temporary, "origin");
		if (rc == 0)
			rc = file_create(path, buf_slice(&line), 0644);
	}
	if (rc == 0)
		rc = log_origin(s->new_origin, s->temporary, NULL, &rng_system);
	buf_finish(&line);
	return rc;
}

/* Whole, signed and on the disk; nobody sees it yet. */
static int make_new(struct succeed *s)
{
	struct eventlog_options o = {.dir = s->temporary, .clock = &clock_system, .type_number = event_type_number};
	struct signer_options so = {.data_dir = s->temporary, .origin = s->new_origin, .clock = &clock_system,
	    .rng = &rng_system};
	struct eventlog *log = NULL;
	struct signer *signer = NULL;
	char index[PATH_MAX];
	int rc;

	rc = tree_remove(s->temporary);
	if (rc == 0)
		rc = dir_create(s->temporary, 0700);
	if (rc == 0)
		rc = name_new(s);
	if (rc == 0)
		rc = eventlog_open(&log, &o);
	if (rc == 0)
		rc = append_first(s, log);
	if (rc == 0) {
		so.log = signed_log_of(log);
		rc = signer_start(&signer, &so);
	}
	if (rc == 0)
		rc = signer_sign_now(signer, 1);
	signer_stop(signer);
	eventlog_close(log);
	if (rc == 0)
		rc = join(index, s->temporary, "index");
	return rc == 0 ? tree_remove(index) : rc;
}

/* ---- the command ------------------------------------------------------------------------------- */

static int finish(struct invocation *in, const char *data)
{
	char previous[PATH_MAX];
	int rc = succession_finish(data, previous);

	if (rc != 0)
		return command_fail_err(in, rc, "the old and the new log could not change places; run this again to finish");
	printf("the old log lies in %s; it can be read with --data %s, and is exported with the new one\n", previous, previous);
	return STATUS_OK;
}

static int succeed(struct succeed *s)
{
	const char *wanted = option_text(s->in, "origin");
	int rc, status = look_at_old(s);

	if (status != STATUS_OK)
		return status;
	if (s->refusal[0] == '\0' && s->note_size <= s->found && !option_is_set(s->in, "force"))
		return command_fail(s->in, STATUS_CONFLICT, "nothing here says that events were lost: the log has %" PRIu64
		    " and signed for %" PRIu64 "; if a witness or an auditor knows more, use --force", s->found, s->note_size);
	if (wanted != NULL && strcmp(wanted, s->old_origin) == 0)
		return command_fail_usage(s->in, "--origin: a name is never used again; the old log has this one");
	if (join(s->temporary, s->data, "successor.tmp") != 0)
		return command_fail_usage(s->in, "the path of the data directory is too long");
	rc = make_new(s);
	if (rc == ERR_CONFIG)
		return command_fail_usage(s->in, "--origin: a log's name has no spaces and no '+': example.org/events-2");
	if (rc == 0)
		rc = succession_begin(s->data);
	if (rc != 0)
		return command_fail_err(s->in, rc, "cannot make a successor of %s", s->old_origin);
	status = finish(s->in, s->data);
	if (status == STATUS_OK)
		printf("%s succeeds %s: %" PRIu64 " events were found, its last checkpoint was of %" PRIu64 "\n", s->new_origin,
		    s->old_origin, s->found, s->note_size);
	return status;
}

static int run_succeed(struct invocation *in)
{
	struct succeed s = {.in = in, .data = option_data_dir(in), .note = BUF_INIT(NOTE_FILE_MAX)};
	bool is_under_way = false;
	int status;

	if (crypto_init() != 0)
		return command_fail(in, STATUS_FAILED, "cannot start");
	status = succession_is_under_way(s.data, &is_under_way);
	if (status != 0)
		return command_fail_err(in, status, "cannot look into %s", s.data);
	if (is_under_way)
		return finish(in, s.data);
	if (!option_is_set(in, "reason"))
		return command_fail_usage(in, "--reason is needed: it stays in the log for ever");
	status = succeed(&s);
	buf_finish(&s.note);
	return status;
}

static const struct option options[] = {
    OPTION_DATA,
    {.name = "reason", .kind = OPTION_TEXT, .value = "TEXT", .summary = "what happened, for whoever audits the log"},
    {.name = "origin", .kind = OPTION_TEXT, .value = "NAME",
	.summary = "the new log's name (default: a random one)"},
    {.name = "note", .kind = OPTION_FILE, .value = "FILE",
	.summary = "the old log's last checkpoint, when a newer one was kept elsewhere"},
    {.name = "force", .kind = OPTION_FLAG, .summary = "also when nothing on this machine says that events were lost"},
    {0},
};

static const struct example examples[] = {
    {"lulab log succeed --reason 'disk of 3 May broke, restored from the backup of 2 May'",
	"go on after a restore, under a new name"},
    {0},
};

const struct command log_succeed = {
    .name = "succeed",
    .summary = "Go on with a new log where the old one lost events",
    .description =
	"A log that is shorter than what was signed or witnessed is never written again: its name would stand for two "
	"histories. Its successor has a new name and a new key, and its first record holds the old log's last signed note, how much was "
	"found of it, and the reason. The old log stays in DATA/previous, is exported together with the new one and `lulab log verify` "
	"checks the link. The next start takes over its duplicate keys and its people, and read models begin "
	"with its events. The service must be stopped. Where LULAB_ORIGIN is set, set it to "
	"the new name.",
    .options = options,
    .examples = examples,
    .run = run_succeed,
};
