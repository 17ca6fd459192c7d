/*
 * lulab backup keyring: the keys that open what is sealed, apart from the log that they open (integrity.md
 * section 12). store/keyring_backup.h has the file, and why it is not kept for long.
 */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "app/config.h"
#include "backup.h"
#include "base/clock.h"
#include "base/io.h"
#include "crypto/crypto.h"
#include "domain/event.h"
#include "settings.h"
#include "store/eventlog.h"
#include "store/keyring_backup.h"

#define PREFIX "lulab-keyring-"
#define KEEP_MS (KEYRING_BACKUP_DAYS * INT64_C(86400000))

/* Where the keys of a data directory are. */
struct places {
	char keys[PATH_MAX], root_key[PATH_MAX];
	struct keyring_options options;
};

static enum exit_status find_places(struct invocation *in, struct places *p)
{
	struct config_loaded config;
	const char *data = option_data_dir(in);
	enum exit_status status = settings_load(in, NULL, &config);
	int rc = 0;

	if (status == STATUS_OK) {
		rc = backup_join(p->keys, data, "keys");
		if (rc == 0 && config.values.root_key_file.len > 0)
			snprintf(p->root_key, sizeof(p->root_key), "%s", config.values.root_key_file.ptr);
		else if (rc == 0)
			rc = backup_join(p->root_key, data, "root.key");
	}
	config_finish(&config);
	p->options = (struct keyring_options){.dir = p->keys, .root_key_path = p->root_key, .clock = &clock_system,
	    .rng = &rng_system};
	if (status == STATUS_OK && (rc != 0 || crypto_init() != 0))
		status = command_fail(in, STATUS_FAILED, "cannot start");
	return status;
}

static int tell(struct invocation *in, const struct places *p, int rc, const char *what)
{
	if (rc == ERR_BAD_KEY)
		return command_fail(in, STATUS_NOT_VERIFIED, "%s: the key in %s does not open it", what, p->root_key);
	if (rc == ERR_CORRUPT)
		return command_fail(in, STATUS_NOT_VERIFIED, "%s: it is damaged, or no copy of a keyring", what);
	return command_fail_err(in, rc, "%s", what);
}

/* ---- create ----------------------------------------------------------------------- */

/* What is too old to be kept, so that erased keys go with it. */
static int remove_old(struct invocation *in, const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int rc = 0;

	if (d == NULL)
		return err_from_errno(errno);
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		char path[PATH_MAX];
		int64_t made_at_ms;

		if (!slice_starts_with(slice_str(entry->d_name), SLICE(PREFIX)) || backup_join(path, dir, entry->d_name) != 0 ||
		    keyring_backup_made_at(path, &made_at_ms) != 0 || clock_wall_ms(&clock_system) - made_at_ms <= KEEP_MS)
			continue;
		if (io_calls->unlink(path) != 0)
			rc = err_from_errno(errno);
		else
			command_note(in, "%s was older than %d days and is removed", path, KEYRING_BACKUP_DAYS);
	}
	closedir(d);
	return rc == 0 ? dir_sync(dir) : rc;
}

static int run_create(struct invocation *in)
{
	const char *to = option_text(in, "to");
	char name[64], made_at[32], path[PATH_MAX];
	struct keyring_backup told;
	struct places p;
	int rc, status;

	if (to == NULL)
		return command_fail_usage(in, "--to is needed: the directory where copies of the keyring are kept");
	status = find_places(in, &p);
	if (status != STATUS_OK)
		return status;
	backup_name(name, PREFIX, made_at);
	rc = dir_create(to, 0700);
	if (rc == 0)
		rc = backup_join(path, to, name);
	if (rc != 0)
		return command_fail_err(in, rc, "nothing can be kept in %s", to);
	rc = keyring_backup(&p.options, path, &told);
	if (rc != 0)
		return tell(in, &p, rc, p.keys);
	printf("%s\n", path);
	command_note(in, "ok: %" PRIu64 " keys, sealed by %s; of use for %d days", told.keys, p.root_key, KEYRING_BACKUP_DAYS);
	rc = remove_old(in, to);
	return rc == 0 ? STATUS_OK : command_fail_err(in, rc, "older copies in %s cannot be removed", to);
}

static const struct option create_options[] = {
    OPTION_DATA,
    {.name = "to", .kind = OPTION_DIR, .value = "DIR",
	.summary = "where copies of the keyring are kept: not where backups of the log are, nor root.key"},
    {0},
};

static const struct example create_examples[] = {
    {"lulab backup keyring create --to /mnt/keyrings", "daily, beside the running service"},
    {0},
};

static const struct command keyring_create = {
    .name = "create",
    .summary = "Copy the keyring into one file, sealed by the root key",
    .description =
	"Beside the running service or without it. The file gets its name when all of it was read back. Copies older than 7 days in "
	"DIR are removed: an erased person is gone for certain when the last copy with the key is. Exit status: 0 ok; 4 "
	"the keyring is damaged or the root key is not its own.",
    .options = create_options,
    .examples = create_examples,
    .run = run_create,
};

/* ---- verify ------------------------------------------------------------------------- */

static int run_verify(struct invocation *in)
{
	struct keyring_backup told;
	struct places p;
	int rc, status = find_places(in, &p);

	if (status != STATUS_OK)
		return status;
	rc = keyring_backup_check(in->arguments[0], p.root_key, &told);
	if (rc != 0)
		return tell(in, &p, rc, in->arguments[0]);
	printf("ok: %" PRIu64 " keys, %" PRIu64 " erased%s\n", told.keys, told.tombstones,
	    clock_wall_ms(&clock_system) - told.made_at_ms > KEEP_MS ? "; too old to be restored, and to be kept" : "");
	return STATUS_OK;
}

static const struct option data_options[] = {OPTION_DATA, {0}};
static const struct example verify_examples[] = {
    {"lulab backup keyring verify /mnt/keyrings/lulab-keyring-20261124T004617.123Z", "can it be opened with this root key?"},
    {0},
};

static const struct command keyring_verify = {
    .name = "verify",
    .summary = "Read all of a copy of the keyring",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = data_options,
    .examples = verify_examples,
    .run = run_verify,
};

/* ---- restore ------------------------------------------------------------------------ */

static int run_restore(struct invocation *in)
{
	const char *file = in->arguments[0];
	struct buf problem = BUF_INIT(1024);
	struct eventlog_options o = {.dir = option_data_dir(in), .clock = &clock_system, .type_number = event_type_number,
	    .problem = &problem, .before = true};
	struct eventlog *log = NULL;
	struct keyring_backup told;
	struct places p;
	int rc, status = find_places(in, &p);

	if (status != STATUS_OK)
		return status;
	rc = eventlog_open_readonly(&log, &o);
	if (rc != 0) {
		status = command_fail(in, status_of(rc), "the log in %s is needed, for it says who was erased: %s", o.dir,
		    problem.len > 0 ? problem.ptr : err_text(rc));
		buf_finish(&problem);
		return status;
	}
	rc = keyring_restore(&p.options, file, log, &told);
	eventlog_close(log);
	buf_finish(&problem);
	if (rc == ERR_EXISTS)
		return command_fail(in, STATUS_CONFLICT, "there is a keyring in %s, and nothing is overwritten: move it away", p.keys);
	if (rc == ERR_RANGE)
		return command_fail(in, STATUS_NOT_VERIFIED, "%s is older than %d days: with it, keys could come back that were destroyed",
		    file, KEYRING_BACKUP_DAYS);
	if (rc != 0)
		return tell(in, &p, rc, file);
	printf("ok: the keyring is in %s\n", p.keys);
	printf("%" PRIu64 " keys that it had were erased since, and are not in it\n", told.erased);
	printf("%" PRIu64 " people or meetings came after it was copied: what is sealed for them stays unreadable\n", told.lost);
	return STATUS_OK;
}

static const struct example restore_examples[] = {
    {"lulab backup keyring restore /mnt/keyrings/lulab-keyring-20261124T004617.123Z --data /var/lib/lulab",
	"after the log was restored and root.key put back"},
    {0},
};

static const struct command keyring_restore_command = {
    .name = "restore",
    .summary = "Make the keyring from a copy, where there is none",
    .description =
	"The log must be there, the newest that there is: whoever it says was erased stays erased. A copy older than 7 days is refused. "
	"The service must be stopped. Exit status: 0 ok; 4 refused or damaged; 5 there is a keyring already.",
    .arguments = "FILE",
    .arguments_min = 1,
    .arguments_max = 1,
    .options = data_options,
    .examples = restore_examples,
    .run = run_restore,
};

static const struct command *const commands[] = {&keyring_create, &keyring_verify, &keyring_restore_command, NULL};

const struct command backup_keyring_command = {
    .name = "keyring",
    .summary = "Copy and restore the keys that open what is sealed",
    .commands = commands,
};
