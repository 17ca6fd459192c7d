/* See succession.h. */
#include "store/succession.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "base/err.h"
#include "base/io.h"
#include "store/eventlog.h"

#define MARKER "succession"
#define SUCCESSOR "successor.tmp"
#define REASON_MAX 1024
#define LOGS_MAX 1000

/* What belongs to a log and moves with it. The log itself last: with it the change is complete. */
static const char *const parts[] = {"origin", "log.vkey", "signer.state", "signer.key", "log"};
/* What is wrong with the old one, and not with the new. */
static const char *const marks[] = {"restored", "log.damage", "signer.next.key"};
/* Made from a log, and made again. */
static const char *const folds[] = {"index", "read"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int join(char ret[PATH_MAX], const char *dir, const char *name)
{
	return snprintf(ret, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? 0 : ERR_TOO_BIG;
}

static int numbered(char ret[PATH_MAX], const char *data_dir, unsigned n)
{
	return snprintf(ret, PATH_MAX, "%s/previous/%u", data_dir, n) < PATH_MAX ? 0 : ERR_TOO_BIG;
}

int succession_begin(const char *data_dir)
{
	char path[PATH_MAX], text[16];
	unsigned n;
	int rc = 0;

	for (n = 1; n < LOGS_MAX && rc == 0; n++) {
		char log[PATH_MAX];
		bool is_there = true;

		rc = numbered(path, data_dir, n);
		if (rc == 0)
			rc = join(log, path, "log");
		if (rc == 0)
			rc = file_look(log, &is_there);
		if (rc == 0 && !is_there)
			break;
	}
	if (rc == 0)
		rc = dir_create(path, 0700);
	if (rc == 0)
		rc = join(path, data_dir, MARKER);
	snprintf(text, sizeof(text), "%u\n", n);
	return rc != 0 ? rc : file_create(path, slice_str(text), 0600);
}

int succession_is_under_way(const char *data_dir, bool *ret_is)
{
	char path[PATH_MAX];
	int rc = join(path, data_dir, MARKER);

	return rc == 0 ? file_look(path, ret_is) : rc;
}

static int move(const char *from_dir, const char *to_dir, const char *name)
{
	char from[PATH_MAX], to[PATH_MAX];
	bool is_there = false;
	int rc = join(from, from_dir, name);

	if (rc == 0)
		rc = join(to, to_dir, name);
	if (rc == 0)
		rc = file_look(from, &is_there);
	if (rc != 0 || !is_there)
		return rc;
	return io_calls->rename(from, to) == 0 ? 0 : err_from_errno(errno);
}

/*
 * As long as the new part waits, what lies in DATA is the old one; afterwards it is the new one, which must not be
 * laid over the old: so a look that fails says neither.
 */
static int change_places(const char *data_dir, const char *successor, const char *previous, const char *name)
{
	char waiting[PATH_MAX];
	bool is_waiting = false;
	int rc = join(waiting, successor, name);

	if (rc == 0)
		rc = file_look(waiting, &is_waiting);
	if (rc != 0 || !is_waiting)
		return rc;
	rc = move(data_dir, previous, name);
	/* The old one has its place on the disk before the new one takes it. */
	if (rc == 0)
		rc = dir_sync(previous);
	return rc == 0 ? move(successor, data_dir, name) : rc;
}

static int read_marker(const char *data_dir, unsigned *ret_n)
{
	struct buf text = BUF_INIT(16);
	char path[PATH_MAX];
	uint64_t n = 0;
	int rc = join(path, data_dir, MARKER);

	if (rc == 0)
		rc = file_read(&text, path);
	if (rc == 0 && (slice_to_u64(slice_trim(buf_slice(&text)), &n) != 0 || n == 0 || n > LOGS_MAX))
		rc = ERR_CORRUPT;
	*ret_n = (unsigned)n;
	buf_finish(&text);
	return rc;
}

int succession_finish(const char *data_dir, char *ret_previous)
{
	char successor[PATH_MAX], path[PATH_MAX];
	unsigned n;
	int rc = read_marker(data_dir, &n);

	if (rc == 0)
		rc = numbered(ret_previous, data_dir, n);
	if (rc == 0)
		rc = join(successor, data_dir, SUCCESSOR);
	for (size_t i = 0; rc == 0 && i < COUNT(folds); i++) {
		rc = join(path, data_dir, folds[i]);
		if (rc == 0)
			rc = tree_remove(path);
	}
	for (size_t i = 0; rc == 0 && i < COUNT(marks); i++)
		rc = move(data_dir, ret_previous, marks[i]);
	for (size_t i = 0; rc == 0 && i < COUNT(parts); i++)
		rc = change_places(data_dir, successor, ret_previous, parts[i]);
	if (rc == 0)
		rc = dir_sync(data_dir);
	if (rc == 0)
		rc = tree_remove(successor);
	if (rc == 0)
		rc = join(path, data_dir, MARKER);
	if (rc == 0 && io_calls->unlink(path) != 0)
		rc = err_from_errno(errno);
	return rc == 0 ? dir_sync(data_dir) : rc;
}

int restore_is_under_way(const char *data_dir, bool *ret_is)
{
	char path[PATH_MAX], log[PATH_MAX];
	bool begun = false, done = false;
	int rc = join(path, data_dir, "restore.tmp");

	if (rc == 0)
		rc = join(log, data_dir, "log");
	if (rc == 0)
		rc = file_look(path, &begun);
	if (rc == 0)
		rc = file_look(log, &done);
	if (rc == 0)
		*ret_is = begun && !done;
	return rc;
}

int log_refuse_restored(struct eventlog *log, const char *data_dir)
{
	struct buf reason = BUF_INIT(REASON_MAX);
	char path[PATH_MAX];
	int rc = join(path, data_dir, "restored");

	if (rc == 0)
		rc = file_read(&reason, path);
	if ((rc == 0 && slice_trim(buf_slice(&reason)).len == 0) || rc == ERR_TOO_BIG)
		eventlog_refuse(log, "it was restored from a backup; only a successor log may go on");
	else if (rc == 0)
		eventlog_refuse(log, reason.ptr);
	buf_finish(&reason);
	return rc == ERR_NOT_FOUND || rc == ERR_TOO_BIG ? 0 : rc;
}
