/*
 * Backups of a log (integrity.md section 10), shared by the files of `lulab backup`.
 *
 *     DEST/<name>/backup      "lulab-backup/2\n", origin, records, root, time made, number of objects or "-": a line each; written
 *                             last. Those of /1 have no line of objects, and none
 *     DEST/<name>/log/        the store, as its copy call made it
 *     DEST/<name>/log.vkey    DEST/<name>/origin    DEST/<name>/signer.state
 *     DEST/<name>/previous/   the logs before, likewise
 *     DEST/<name>/objects/    what a local object store holds, unless it was left out (backup_objects.h)
 *
 * So a backup is laid out as a data directory, and every tool that reads one
 * reads it. No key is in it that signs or opens anything: the keyring and the root
 * key have backups of their own, or erasing a person would erase nothing.
 *
 * While it is made or restored it has another name, and it gets its own only when
 * every byte of it was verified and is on the disk.
 */
#ifndef LULAB_TOOLS_BACKUP_H
#define LULAB_TOOLS_BACKUP_H

#include <limits.h>

#include "audit/verify.h"
#include "command.h"

#define BACKUP_MANIFEST "backup"
#define BACKUP_PARTIAL ".partial" /* the end of a name that is no backup yet */
#define BACKUP_OPTION_WITHOUT \
	{.name = "without-objects", .kind = OPTION_FLAG, .summary = "leave out what the local object store holds"}
#define RESTORE_DIR "restore.tmp" /* in the data directory, while something is restored into it */

/* What became of it; the exit status of every command here. */
enum backup_outcome {
	BACKUP_OK = STATUS_OK,
	BACKUP_FAILED = STATUS_NOT_VERIFIED, /* there is no good backup, and it is known why */
	BACKUP_INCONCLUSIVE = STATUS_FAILED, /* something could not be read or decided: nobody knows */
};

/* What a backup says of itself. */
struct backup_manifest {
	char origin[NOTE_NAME_MAX + 1];
	uint64_t records;
	struct merkle_hash root;
	char made_at[32];
	bool has_objects;   /* false: they were left out */
	uint64_t n_objects; /* in it */
};

int backup_manifest_write(const char *dir, const struct backup_manifest *m);
/* ERR_NOT_FOUND: this is no (complete) backup; ERR_CORRUPT. */
int backup_manifest_read(const char *dir, struct backup_manifest *ret);

/* ret = dir/name; ERR_TOO_BIG. */
int backup_join(char ret[PATH_MAX], const char *dir, const char *name);

/* The name it has while it is no backup yet. */
int backup_partial(char ret[PATH_MAX], const char *path);

/*
 * Verifies the log in `dir` as `lulab log verify` would, with those before it. vkey NULL: by the log.vkey
 * in it. Fills *ret; *ret_root is the root of all records, signed for or not. Findings are told on stderr. What
 * is wrong, or cannot be told, is a sentence in *problem.
 */
enum backup_outcome backup_verify_log(struct invocation *in, const char *dir, const char *vkey,
    struct verify_summary *ret, struct merkle_hash *ret_root, struct buf *problem);

/* A whole backup: its manifest, its log, its objects, and that they agree. */
enum backup_outcome backup_verify(struct invocation *in, const char *dir, const char *vkey,
    struct backup_manifest *ret, struct buf *problem);

/*
 * Copies log and small files of a data directory or a backup to `to`, which is made; all
 * of it is on the disk when this returns 0. Without keys.
 */
int backup_copy(const char *from, const char *to, struct buf *problem);

/*
 * Restores a verified backup into `data`, which has no log, and its objects into objects_dir; NULL: without them. *ret_next: what is
 * to be done now.
 */
enum backup_outcome backup_restore(struct invocation *in, const char *dir, const char *data, const char *objects_dir,
    struct buf *problem, struct buf *ret_next);

/* Prints the outcome and gives it back. */
int backup_tell(struct invocation *in, enum backup_outcome outcome, const struct buf *problem);

/* "<prefix>20261124T004617.123Z": names sort by age. *ret_made_at: the time as it is written elsewhere. */
void backup_name(char ret[64], const char *prefix, char ret_made_at[32]);

extern const struct command backup_restore_command, backup_drill_command, backup_keyring_command;

#endif
