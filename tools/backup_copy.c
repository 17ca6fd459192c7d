/* Copying a log and what belongs to it, and what a backup says of itself; see backup.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backup.h"
#include "base/codec.h"
#include "base/io.h"
#include "base/planted.h"
#include "domain/event.h"
#include "store/eventlog.h"

#define MANIFEST_HEAD "lulab-backup/2\n"
#define MANIFEST_HEAD_1 "lulab-backup/1\n" /* knows no objects */
#define SMALL_FILE_MAX 4096

/* What else belongs to a log, none of it secret. */
static const char *const small_files[] = {"log.vkey", "origin", "signer.state"};

int backup_join(char ret[PATH_MAX], const char *dir, const char *name)
{
	return snprintf(ret, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? 0 : ERR_TOO_BIG;
}

int backup_partial(char ret[PATH_MAX], const char *path)
{
	const char *end = PLANTED(backup_in_place) ? "" : BACKUP_PARTIAL;

	return snprintf(ret, PATH_MAX, "%s%s", path, end) < PATH_MAX ? 0 : ERR_TOO_BIG;
}

/* ---- the manifest ---------------------------------------------------------------------------- */

int backup_manifest_write(const char *dir, const struct backup_manifest *m)
{
	struct buf text = BUF_INIT(SMALL_FILE_MAX);
	char path[PATH_MAX], root[2 * MERKLE_HASH_LEN + 1];
	int rc = backup_join(path, dir, BACKUP_MANIFEST);

	hex_encode(root, m->root.bytes, MERKLE_HASH_LEN);
	buf_printf(&text, MANIFEST_HEAD "%s\n%" PRIu64 "\n%s\n%s\n", m->origin, m->records, root, m->made_at);
	if (m->has_objects)
		buf_printf(&text, "%" PRIu64 "\n", m->n_objects);
	else
		buf_append_str(&text, "-\n");
	if (rc == 0)
		rc = text.rc;
	if (rc == 0)
		rc = file_create(path, buf_slice(&text), 0644);
	buf_finish(&text);
	return rc;
}

static bool take_text(char *ret, size_t size, struct slice line)
{
	return line.len > 0 && snprintf(ret, size, "%.*s", SLICE_ARG(line)) < (int)size;
}

/* The last line: how many objects there are, or that they were left out. */
static bool take_objects(struct backup_manifest *m, struct slice *rest)
{
	struct slice line;

	if (!slice_cut(*rest, '\n', &line, rest))
		return false;
	m->has_objects = !slice_is(line, "-");
	return !m->has_objects || slice_to_u64(line, &m->n_objects) == 0;
}

int backup_manifest_read(const char *dir, struct backup_manifest *ret)
{
	struct buf text = BUF_INIT(SMALL_FILE_MAX);
	struct slice origin, records, root, made, rest;
	struct backup_manifest m = {0};
	char path[PATH_MAX];
	bool old;
	int rc = backup_join(path, dir, BACKUP_MANIFEST);

	if (rc == 0)
		rc = file_read(&text, path);
	rest = buf_slice(&text);
	old = slice_starts_with(rest, SLICE(MANIFEST_HEAD_1));
	if (rc == 0 && !old && !slice_starts_with(rest, SLICE(MANIFEST_HEAD)))
		rc = ERR_CORRUPT;
	if (rc == 0) {
		rest = slice_of(rest.ptr + sizeof(MANIFEST_HEAD) - 1, rest.len - (sizeof(MANIFEST_HEAD) - 1));
		if (!slice_cut(rest, '\n', &origin, &rest) || !slice_cut(rest, '\n', &records, &rest) ||
		    !slice_cut(rest, '\n', &root, &rest) || !slice_cut(rest, '\n', &made, &rest) ||
		    (!old && !take_objects(&m, &rest)) || rest.len > 0 ||
		    !take_text(m.origin, sizeof(m.origin), origin) || slice_to_u64(records, &m.records) != 0 ||
		    hex_decode(m.root.bytes, MERKLE_HASH_LEN, root) != 0 || !take_text(m.made_at, sizeof(m.made_at), made))
			rc = ERR_CORRUPT;
	}
	if (rc == 0)
		*ret = m;
	buf_finish(&text);
	return rc;
}

/* ---- copying ------------------------------------------------------------------------------------ */

/* The store's copy call syncs nothing. */
static int sync_file(const char *path)
{
	int fd = io_calls->open(path, O_RDONLY | O_CLOEXEC, 0), rc = 0;

	if (fd < 0)
		return err_from_errno(errno);
	if (io_calls->fsync(fd) != 0)
		rc = err_from_errno(errno);
	io_calls->close(fd);
	return rc;
}

static int copy_store(const char *from, const char *to, struct buf *problem)
{
	struct eventlog_options o = {.dir = from, .clock = &clock_system, .type_number = event_type_number,
	    .problem = problem};
	struct eventlog *log = NULL;
	char dir[PATH_MAX], file[PATH_MAX];
	int rc = backup_join(dir, to, "log");

	if (rc == 0)
		rc = backup_join(file, dir, "data.mdb");
	if (rc == 0)
		rc = dir_create(dir, 0700);
	if (rc == 0)
		rc = eventlog_open_readonly(&log, &o);
	if (rc == 0)
		rc = eventlog_copy(log, dir);
	eventlog_close(log);
	if (rc == 0)
		rc = sync_file(file);
	return rc == 0 ? dir_sync(dir) : rc;
}

static int copy_small(const char *from, const char *to, const char *name)
{
	struct buf bytes = BUF_INIT(SMALL_FILE_MAX);
	char path[PATH_MAX];
	int rc = backup_join(path, from, name);

	if (rc == 0)
		rc = file_read(&bytes, path);
	if (rc == 0)
		rc = backup_join(path, to, name);
	if (rc == 0)
		rc = file_replace(path, buf_slice(&bytes), 0600);
	buf_finish(&bytes);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* The small files first: the signer's record must not be newer than the copy, or it would miss events that were never lost. */
static int copy_one(const char *from, const char *to, struct buf *problem)
{
	int rc = dir_create(to, 0700);

	for (size_t i = 0; rc == 0 && i < sizeof(small_files) / sizeof(small_files[0]); i++)
		rc = copy_small(from, to, small_files[i]);
	return rc == 0 ? copy_store(from, to, problem) : rc;
}

int backup_copy(const char *from, const char *to, struct buf *problem)
{
	int rc = copy_one(from, to, problem);

	for (unsigned n = 1; rc == 0; n++) {
		char old[PATH_MAX], copy[PATH_MAX];

		if (snprintf(old, sizeof(old), "%s/previous/%u", from, n) >= (int)sizeof(old) ||
		    snprintf(copy, sizeof(copy), "%s/previous/%u", to, n) >= (int)sizeof(copy))
			return ERR_TOO_BIG;
		if (!file_exists(old))
			break;
		rc = copy_one(old, copy, problem);
	}
	if (rc != 0 && problem->len == 0)
		buf_printf(problem, "%s cannot be copied to %s: %s", from, to, err_text(rc));
	return rc;
}
