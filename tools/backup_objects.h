/*
 * The objects of a local store in backups. A backup's log is copied first, so what it names as stored was there by then; an object
 * that is taken away while the backup is made is not needed, and the log in use says so.
 *
 *     DEST/<name>/objects/<key>       each that the backup's log names; a hard link where that can be, else a copy
 *     DEST/<name>/objects.missing     ids, a line each, of those that are not in it though the log names them, if any
 *
 * Every one is read from where it lies now, and its SHA-256 compared with what the log says.
 */
#ifndef LULAB_TOOLS_BACKUP_OBJECTS_H
#define LULAB_TOOLS_BACKUP_OBJECTS_H

#include "backup.h"

struct backup_objects {
	uint64_t n, bytes, n_missing;
};

/*
 * From the store in `objects_dir` into the backup in the making; data: whose log is in use. Missing or damaged ones fail it, unless
 * `lacking` lets it be made without them.
 */
enum backup_outcome backup_objects_copy(const char *objects_dir, const char *data, const char *backup, bool lacking,
    struct backup_objects *ret, struct buf *problem);

/* All of a backup, each byte. */
enum backup_outcome backup_objects_verify(const char *backup, struct backup_objects *ret, struct buf *problem);

/* Each to its place in `objects_dir`, none replaced. Again after a kill it goes on. */
enum backup_outcome backup_objects_restore(const char *backup, const char *objects_dir, struct backup_objects *ret,
    struct buf *problem);

/* Where a data directory's objects lie, by the settings. STATUS_OK, or what was told. */
enum exit_status backup_objects_dir(const struct invocation *in, char ret[PATH_MAX]);

#endif
