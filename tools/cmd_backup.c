/* lulab backup: verified copies of the log, while the service runs or not. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "backup.h"
#include "backup_objects.h"
#include "base/clock.h"
#include "base/codec.h"
#include "base/io.h"
#include "base/json.h"
#include "crypto/crypto.h"
#include "table.h"

int backup_tell(struct invocation *in, enum backup_outcome outcome, const struct buf *problem)
{
	if (outcome == BACKUP_FAILED)
		command_note(in, "failed: %s", problem->len > 0 ? problem->ptr : "for a reason that is not known");
	else if (outcome == BACKUP_INCONCLUSIVE)
		command_note(in, "inconclusive: %s", problem->len > 0 ? problem->ptr : "out of memory");
	return (int)outcome;
}

/* ---- create ------------------------------------------------------------------------------------- */

void backup_name(char ret[64], const char *prefix, char ret_made_at[32])
{
	char time[TIME_TEXT_MS_LEN + 1];
	size_t n = 0;

	time_format_ms(time, clock_wall_ms(&clock_system));
	snprintf(ret_made_at, 32, "%s", time);
	n = (size_t)snprintf(ret, 32, "%s", prefix);
	for (const char *at = time; *at != '\0' && n < 63; at++)
		if (*at != '-' && *at != ':')
			ret[n++] = *at;
	ret[n] = '\0';
}

static enum backup_outcome copy_objects(struct invocation *in, const char *partial, struct backup_manifest *m,
    struct buf *problem)
{
	struct backup_objects objects;
	char dir[PATH_MAX];
	enum backup_outcome outcome;

	if (backup_objects_dir(in, dir) != STATUS_OK)
		return BACKUP_FAILED;
	outcome = backup_objects_copy(dir, option_data_dir(in), partial, option_is_set(in, "lacking"), &objects, problem);
	m->has_objects = true;
	m->n_objects = objects.n;
	if (outcome == BACKUP_OK && objects.n_missing > 0)
		command_note(in, "%" PRIu64 " objects that the log names are missing or damaged, and not in it", objects.n_missing);
	return outcome;
}

/* Copied, verified, described; nothing is a backup before the rename at the end. */
static enum backup_outcome make(struct invocation *in, const char *to, const char *path, const char *partial,
    struct backup_manifest *m, struct buf *problem)
{
	const char *data = option_data_dir(in);
	struct verify_summary summary;
	enum backup_outcome outcome;
	int rc = backup_copy(data, partial, problem);

	if (rc == ERR_NOT_FOUND && !file_exists(data))
		buf_printf(problem, "; name the data directory with --data");
	if (rc != 0)
		return BACKUP_FAILED;
	outcome = backup_verify_log(in, partial, option_text(in, "key"), &summary, &m->root, problem);
	if (outcome != BACKUP_OK)
		return outcome;
	if (!option_is_set(in, "without-objects"))
		outcome = copy_objects(in, partial, m, problem);
	if (outcome != BACKUP_OK)
		return outcome;
	m->records = summary.records;
	memcpy(m->origin, summary.origin, sizeof(m->origin));
	rc = backup_manifest_write(partial, m);
	if (rc == 0)
		rc = dir_sync(partial);
	if (rc == 0 && strcmp(partial, path) != 0 && io_calls->rename(partial, path) != 0)
		rc = err_from_errno(errno);
	if (rc == 0)
		rc = dir_sync(to);
	if (rc != 0)
		buf_printf(problem, "the backup %s cannot be completed: %s", path, err_text(rc));
	return rc == 0 ? BACKUP_OK : BACKUP_FAILED;
}

/* ", 12 objects" */
static const char *with_objects(const struct backup_manifest *m, char told[48])
{
	if (m->has_objects)
		snprintf(told, 48, ", %" PRIu64 " objects", m->n_objects);
	else
		snprintf(told, 48, ", no objects");
	return told;
}

static int run_create(struct invocation *in)
{
	const char *to = option_text(in, "to");
	char name[64], path[PATH_MAX], partial[PATH_MAX], told[48];
	struct buf problem = BUF_INIT(8192);
	struct backup_manifest m = {0};
	enum backup_outcome outcome = BACKUP_FAILED;
	int rc;

	if (to == NULL)
		return command_fail_usage(in, "--to is needed: the directory where the backups are kept");
	backup_name(name, "lulab-", m.made_at);
	rc = crypto_init();
	if (rc == 0)
		rc = dir_create(to, 0700);
	if (rc == 0)
		rc = backup_join(path, to, name);
	if (rc == 0)
		rc = backup_partial(partial, path);
	if (rc != 0)
		buf_printf(&problem, "nothing can be kept in %s: %s", to, err_text(rc));
	else
		outcome = make(in, to, path, partial, &m, &problem);
	if (outcome == BACKUP_OK) {
		printf("%s\n", path);
		command_note(in, "ok: %" PRIu64 " events of %s%s, every byte verified; no key is in it: see --help", m.records, m.origin,
		    with_objects(&m, told));
	} else if (rc == 0) {
		tree_remove(partial);
	}
	backup_tell(in, outcome, &problem);
	buf_finish(&problem);
	return (int)outcome;
}

#define OUTCOMES \
	"Exit status: 0 ok; 4 failed, there is no good backup; 1 inconclusive, something could not be read or decided."

static const struct option create_options[] = {
    OPTION_DATA,
    {.name = "to", .kind = OPTION_DIR, .value = "DIR", .summary = "where backups are kept; a new directory is made in it"},
    {.name = "key", .kind = OPTION_TEXT, .value = "VKEY",
	.summary = "verify by this key instead of the log.vkey that is copied along"},
    BACKUP_OPTION_WITHOUT,
    {.name = "lacking", .kind = OPTION_FLAG, .summary = "go on without objects that are missing or damaged already; they are listed in it"},
    {0},
};

static const struct example create_examples[] = {
    {"lulab backup create --to /mnt/backup", "copy the log beside the running service, and verify the copy"},
    {0},
};

static const struct command backup_create = {
    .name = "create",
    .summary = "Make a verified copy of the log",
    .description =
	"Copies the log while the service runs, syncs, verifies every byte of the copy as `lulab log verify` does, and only then "
	"gives it its name, which is printed. What ends in .partial is left of an interrupted run and is no backup.\n"
	"In it: the log and the logs before it, their names and verifier keys, what was signed, and every object of a local store that this "
	"log names (a hard link where that can be, else a copy; compared with what was stored). Not in it: what is made again (index, "
	"read models), and any key. `lulab backup keyring create` backs up the keyring (DATA/keys), into another place; root.key and "
	"signer.key are copied once, by hand, each to a place of its own.\n" OUTCOMES,
    .options = create_options,
    .examples = create_examples,
    .run = run_create,
};

/* ---- verify ---------------------------------------------------------------------------------------- */

static int run_verify(struct invocation *in)
{
	struct buf problem = BUF_INIT(8192);
	struct backup_manifest m;
	enum backup_outcome outcome;
	char told[48];

	if (crypto_init() != 0)
		return command_fail(in, (enum exit_status)BACKUP_INCONCLUSIVE, "cannot start");
	outcome = backup_verify(in, in->arguments[0], option_text(in, "key"), &m, &problem);
	if (outcome == BACKUP_OK)
		printf("ok: %" PRIu64 " events of %s%s, as they were at %s\n", m.records, m.origin, with_objects(&m, told), m.made_at);
	backup_tell(in, outcome, &problem);
	buf_finish(&problem);
	return (int)outcome;
}

static const struct option verify_options[] = {
    {.name = "key", .kind = OPTION_TEXT, .value = "VKEY",
	.summary = "the log's verifier key, or a file that holds it (default: the one in the backup)"},
    {0},
};

static const struct example verify_examples[] = {
    {"lulab backup verify /mnt/backup/lulab-20261124T004617.123Z", "is it still good?"},
    {0},
};

static const struct command backup_verify_command = {
    .name = "verify",
    .summary = "Verify every byte of a backup",
    .description = OUTCOMES,
    .arguments = "BACKUP",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = verify_options,
    .examples = verify_examples,
    .run = run_verify,
};

/* ---- list ------------------------------------------------------------------------------------------ */

static const struct table_column list_columns[] = {
	{"BACKUP", "backup", TABLE_TEXT},
	{"MADE", "made", TABLE_TEXT},
	{"EVENTS", "events", TABLE_NUMBER},
	{"OBJECTS", "objects", TABLE_NUMBER},
	{"LOG", "origin", TABLE_TEXT},
	{"PROBLEM", "problem", TABLE_WRAP},
	{0},
};

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void put_row(struct table *t, const char *path, const char *name)
{
	size_t len = strlen(name), end = sizeof(BACKUP_PARTIAL) - 1;
	bool partial = len > end && strcmp(name + len - end, BACKUP_PARTIAL) == 0;
	struct backup_manifest m;
	int rc = partial ? ERR_NOT_FOUND : backup_manifest_read(path, &m);

	table_put_str(t, name);
	table_put_str(t, rc == 0 ? m.made_at : NULL);
	if (rc == 0)
		table_put_u64(t, m.records);
	else
		table_put_str(t, NULL);
	if (rc == 0 && m.has_objects)
		table_put_u64(t, m.n_objects);
	else
		table_put_str(t, NULL);
	table_put_str(t, rc == 0 ? m.origin : NULL);
	table_put_str(t, partial ? "left of an interrupted run, or being made; no backup" : rc != 0 ? "no backup" : NULL);
}

static int run_list(struct invocation *in)
{
	const char *dir = in->arguments[0];
	struct dirent **entries = NULL;
	struct table *t = NULL;
	int n = scandir(dir, &entries, is_visible, by_name), rc;

	if (n < 0)
		return command_fail_err(in, err_from_errno(errno), "cannot read %s", dir);
	rc = table_open(&t, stdout, list_columns, option_is_set(in, "json"));
	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];

		if (rc == 0 && backup_join(path, dir, entries[i]->d_name) == 0)
			put_row(t, path, entries[i]->d_name);
		free(entries[i]);
	}
	free(entries);
	if (rc == 0)
		rc = table_close(t);
	return rc == 0 ? STATUS_OK : command_fail_err(in, rc, "cannot list");
}

static const struct option list_options[] = {OPTION_JSON, {0}};
static const struct example list_examples[] = {
    {"lulab backup list /mnt/backup", "what is there, by age; verify tells whether it is good"},
    {0},
};

static const struct command backup_list = {
    .name = "list",
    .summary = "List the backups in a directory",
    .arguments = "DIR",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = list_options,
    .examples = list_examples,
    .run = run_list,
};

/* ---- the group --------------------------------------------------------------------------------------- */

static const struct command *const commands[] = {
    &backup_create, &backup_verify_command, &backup_list, &backup_restore_command, &backup_drill_command,
    &backup_keyring_command, NULL,
};

extern const struct command cmd_backup;
const struct command cmd_backup = {
    .name = "backup",
    .summary = "Make, verify and restore copies of the log",
    .commands = commands,
};
