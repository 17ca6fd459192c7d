/*
 * A keyring in one file, sealed by the root key, and a keyring made from such a file.
 *
 * What was erased must stay so (integrity.md section 12). So a file is refused when it is older than 7 days, and
 * before the keyring that is made from it is used for the first time, everything the log says was erased is made a
 * tombstone; the restored keyring begins with a new epoch. Persons whose keys were made after the backup are lost
 * with them: their ids become tombstones too, for nobody can open what was sealed for them.
 *
 *     OFFSET  SIZE  MEANING
 *          0    16  "lulab-keyring/1\n"
 *         16     8  when it was made, milliseconds since 1970, big-endian
 *         24    77  the file's own key, wrapped by the root key (key_store.h), label "backup/v1", name: those 8 bytes
 *        101        chunks: length (4, BE) of what follows: nonce (24), records sealed by the file's key (+ 16);
 *                   additional data "chunk/v1" 0, number of the chunk (8, BE), 1 for the last and else 0 (1)
 *
 * A record is one letter and what belongs to it: E epoch (4, BE) · K id (16), key (32), ascending in each kind ·
 * T id (16) of a tombstone · H id (16), horizon of the shredded deliveries · S length (1), name, wrapped secret (77).
 * One thread.
 */
#ifndef LULAB_STORE_KEYRING_BACKUP_H
#define LULAB_STORE_KEYRING_BACKUP_H

#include "base/buf.h"
#include "store/keyring.h"

#define KEYRING_BACKUP_DAYS 7 /* for which a file may be kept, and used */

struct eventlog;

/* What is in such a file, or became of it. */
struct keyring_backup {
	int64_t made_at_ms;
	uint64_t keys, tombstones; /* in the file */
	uint64_t erased;           /* of restoring: keys of the file that the log says were erased */
	uint64_t lost;             /* of restoring: ids in the log whose keys the file does not have */
};

/*
 * Writes the keyring in options->dir, which may be in use, to a file that is not there yet, and reads it back; the file has
 * its name only then. ERR_EXISTS, ERR_NOT_FOUND, ERR_BAD_KEY, ERR_DISK_FULL, ERR_IO.
 */
int keyring_backup(const struct keyring_options *options, const char *path, struct keyring_backup *ret);

/* Reads all of a file. ERR_BAD_KEY: another root key; ERR_CORRUPT: altered, or cut off. */
int keyring_backup_check(const char *path, const char *root_key_path, struct keyring_backup *ret);

/* When a file says it was made, without any key; ERR_CORRUPT when it is none. */
int keyring_backup_made_at(const char *path, int64_t *ret_made_at_ms);

/*
 * Makes the keyring in options->dir, which is not there, from a file, with what the log and those before it say of
 * erasures. ERR_EXISTS; ERR_RANGE: the file is older than KEYRING_BACKUP_DAYS. On the disk when it returns 0; killed
 * before, it can be run again.
 */
int keyring_restore(const struct keyring_options *options, const char *path, struct eventlog *log,
    struct keyring_backup *ret);

#endif
