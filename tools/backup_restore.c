/*
 * lulab backup restore: a backup becomes the log of a data directory that has none.
 *
 * The log is copied into DATA/restore.tmp, synced and verified there. Objects go to their places, each verified
 * and none replaced; then the small files move to theirs and the log last, so that a kill at any moment leaves either no log
 * (run it again; the service does not start on a half-restored directory) or the whole.
 *
 * What was restored is written again only when this machine's own signer says that nothing
 * newer was signed. Else DATA/restored makes it read-only: a successor goes on.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "backup.h"
#include "backup_objects.h"
#include "base/io.h"
#include "base/planted.h"
#include "crypto/crypto.h"
#include "store/checkpoint.h"

static const char *const parts[] = {"previous", "origin", "log.vkey", "signer.state"};
static const char *const folds[] = {"index", "read"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int move(const char *from_dir, const char *to_dir, const char *name)
{
	char from[PATH_MAX], to[PATH_MAX];
	int rc = backup_join(from, from_dir, name);

	if (rc == 0)
		rc = backup_join(to, to_dir, name);
	if (rc != 0 || !file_exists(from))
		return rc;
	/* What lies there already belongs to this machine, or to a run that was interrupted here. */
	if (file_exists(to))
		return 0;
	return io_calls->rename(from, to) == 0 ? 0 : err_from_errno(errno);
}

/* The sentence in DATA/restored: why the log may not be written. */
static int mark(const char *temporary, const struct backup_manifest *m)
{
	struct buf text = BUF_INIT(1024);
	char path[PATH_MAX];
	int rc = backup_join(path, temporary, "restored");

	buf_printf(&text, "restored from the backup of %s with %" PRIu64 " events, and nobody here can tell whether more "
	    "were signed; only a successor log may go on: lulab log succeed\n", m->made_at, m->records);
	if (rc == 0)
		rc = text.rc;
	if (rc == 0)
		rc = file_replace(path, buf_slice(&text), 0600);
	buf_finish(&text);
	return rc;
}

/* Puts everything in its place, the log last. */
static int put_in_place(const char *temporary, const char *data)
{
	char path[PATH_MAX];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < COUNT(folds); i++) {
		rc = backup_join(path, data, folds[i]);
		if (rc == 0)
			rc = tree_remove(path);
	}
	/* On the disk before anything else of it: a log without it would be taken for whole. */
	if (rc == 0)
		rc = move(temporary, data, "restored");
	if (rc == 0)
		rc = dir_sync(data);
	for (size_t i = 0; rc == 0 && i < COUNT(parts); i++)
		rc = move(temporary, data, parts[i]);
	if (rc == 0)
		rc = dir_sync(data);
	if (rc == 0)
		rc = move(temporary, data, "log");
	if (rc == 0)
		rc = dir_sync(data);
	return rc == 0 ? tree_remove(temporary) : rc;
}

static enum backup_outcome prepare(struct invocation *in, const char *dir, const char *temporary,
    const struct backup_manifest *m, struct buf *problem)
{
	struct verify_summary summary;
	struct merkle_hash root;
	enum backup_outcome outcome;
	int rc = tree_remove(temporary);

	if (rc == 0)
		rc = backup_copy(dir, temporary, problem);
	if (rc != 0) {
		if (problem->len == 0)
			buf_printf(problem, "%s cannot be written: %s", temporary, err_text(rc));
		return BACKUP_FAILED;
	}
	outcome = backup_verify_log(in, temporary, NULL, &summary, &root, problem);
	if (outcome == BACKUP_OK && (summary.records != m->records || !merkle_hash_eq(&root, &m->root))) {
		buf_printf(problem, "what was written to %s is not what was read", temporary);
		outcome = BACKUP_FAILED;
	}
	return outcome;
}

/* *ret_complete: by this machine's own record the backup misses nothing that was signed. */
static int compare_with_signer(const char *data, const struct backup_manifest *m, bool *ret_complete, struct buf *next)
{
	struct merkle_hash root;
	char path[PATH_MAX];
	uint64_t size;
	int rc = signer_record(data, &size, &root);

	/* A mark is left of a run that was interrupted: the record beside it came out of the backup. */
	if (rc == 0 && backup_join(path, data, "restored") == 0 && file_exists(path))
		rc = ERR_NOT_FOUND;
	*ret_complete = rc == 0 && size <= m->records;
	if (*ret_complete)
		buf_printf(next, "nothing that this machine signed is missing: start the service");
	else if (rc == 0)
		buf_printf(next, "%" PRIu64 " events were signed for here and %" PRIu64 " are restored: the rest is lost. The service "
		    "serves reads; to write again: lulab log succeed --reason TEXT, then start it", size, m->records);
	else
		buf_printf(next, "this machine has no record of what was signed, so newer events may be missing. The log can be read; to "
		    "write again: lulab log succeed --reason TEXT, then start the service");
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static enum backup_outcome restore_objects(const char *dir, const char *objects_dir, struct buf *problem, struct buf *next)
{
	struct backup_objects objects;
	enum backup_outcome outcome = backup_objects_restore(dir, objects_dir, &objects, problem);

	if (objects.n > 0)
		buf_printf(next, "%" PRIu64 " objects are in %s; ", objects.n, objects_dir);
	if (objects.n_missing > 0)
		buf_printf(next, "%" PRIu64 " that the log names are not in the backup; ", objects.n_missing);
	return outcome;
}

enum backup_outcome backup_restore(struct invocation *in, const char *dir, const char *data, const char *objects_dir,
    struct buf *problem, struct buf *ret_next)
{
	struct backup_manifest m;
	enum backup_outcome outcome = backup_verify(in, dir, option_text(in, "key"), &m, problem);
	char temporary[PATH_MAX];
	bool complete = false;
	int rc;

	if (outcome != BACKUP_OK)
		return outcome;
	rc = dir_create(data, 0700);
	if (rc == 0)
		rc = backup_join(temporary, data, RESTORE_DIR);
	if (rc == 0 && m.has_objects && objects_dir != NULL &&
	    (outcome = restore_objects(dir, objects_dir, problem, ret_next)) != BACKUP_OK)
		return outcome;
	if (rc == 0)
		rc = compare_with_signer(data, &m, &complete, ret_next);
	if (PLANTED(restore_in_place))
		snprintf(temporary, sizeof(temporary), "%s", data);
	else if (rc == 0 && (outcome = prepare(in, dir, temporary, &m, problem)) != BACKUP_OK)
		return outcome;
	if (PLANTED(restore_in_place))
		return backup_copy(dir, data, problem) == 0 ? BACKUP_OK : BACKUP_FAILED;
	if (rc == 0 && !complete)
		rc = mark(temporary, &m);
	if (rc == 0)
		rc = put_in_place(temporary, data);
	if (rc != 0)
		buf_printf(problem, "the log cannot be put into %s: %s", data, err_text(rc));
	return rc == 0 ? BACKUP_OK : BACKUP_FAILED;
}

static int run_restore(struct invocation *in)
{
	const char *data = option_data_dir(in);
	struct buf problem = BUF_INIT(8192), next = BUF_INIT(1024);
	enum backup_outcome outcome;
	bool without = option_is_set(in, "without-objects");
	char log[PATH_MAX], objects[PATH_MAX];

	if (crypto_init() != 0 || backup_join(log, data, "log") != 0)
		return command_fail(in, (enum exit_status)BACKUP_INCONCLUSIVE, "cannot start");
	if (file_exists(log))
		return command_fail(in, STATUS_CONFLICT, "there is a log in %s, and nothing is overwritten: restore into another "
		    "directory, or move this one away", data);
	if (!without && backup_objects_dir(in, objects) != STATUS_OK)
		return BACKUP_INCONCLUSIVE;
	outcome = backup_restore(in, in->arguments[0], data, without ? NULL : objects, &problem, &next);
	if (outcome == BACKUP_OK)
		printf("ok: the log is in %s\n%s\n", data, next.ptr);
	backup_tell(in, outcome, &problem);
	buf_finish(&problem);
	buf_finish(&next);
	return (int)outcome;
}

static const struct option options[] = {
    OPTION_DATA,
    {.name = "key", .kind = OPTION_TEXT, .value = "VKEY",
	.summary = "the log's verifier key, or a file that holds it (default: the one in the backup)"},
    BACKUP_OPTION_WITHOUT,
    {0},
};

static const struct example examples[] = {
    {"lulab backup restore /mnt/backup/lulab-20261124T004617.123Z --data /var/lib/lulab",
	"put it where there is no log; says what comes next"},
    {0},
};

const struct command backup_restore_command = {
    .name = "restore",
    .summary = "Put a backup where there is no log",
    .description =
	"The backup is verified, copied, and verified again where it was copied to; nothing is overwritten. Objects go to where the "
	"settings say that they lie (LULAB_STORAGE_DIR, else DATA/objects). Put root.key and signer.key "
	"back from where they are kept, then the keyring: `lulab backup keyring restore`. A log that is older than what this machine signed, or of which nobody "
	"here can tell, is read-only: `lulab log succeed` goes on under a new name. Killed at any moment, it is run again.\n"
	"Exit status: 0 ok; 4 failed; 1 inconclusive; 5 there is a log already.",
    .arguments = "BACKUP",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = options,
    .examples = examples,
    .run = run_restore,
};
