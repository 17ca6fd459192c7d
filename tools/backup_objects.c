/* See backup_objects.h. */
#include "backup_objects.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/io.h"
#include "base/planted.h"
#include "object_list.h"
#include "settings.h"

#define DIR_NAME "objects"
#define MISSING_NAME "objects.missing"
#define MISSING_BYTES_MAX ((size_t)256 << 20)
#define COPY_LEN ((size_t)1 << 18)
#define REMOVED_WAIT_MS 1000 /* between a file's end and the event that tells it */
#define LOOK_MS 100

/* ---- one object -------------------------------------------------------------------------------- */

static int copy_bytes(int from, int to, char *bytes)
{
	ssize_t n, put;

	for (;;) {
		n = io_calls->read(from, bytes, COPY_LEN);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? 0 : err_from_errno(errno);
		for (ssize_t at = 0; at < n; at += put) {
			put = io_calls->write(to, bytes + at, (size_t)(n - at));
			if (put < 0 && errno == EINTR)
				put = 0;
			else if (put <= 0)
				return put == 0 ? ERR_IO : err_from_errno(errno);
		}
	}
}

static int copy_file(const char *from, const char *to)
{
	char *bytes = malloc(COPY_LEN);
	int in = bytes == NULL ? -1 : io_calls->open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW, 0), out, rc;

	if (in < 0) {
		rc = bytes == NULL ? ERR_NOMEM : err_from_errno(errno);
		free(bytes);
		return rc;
	}
	out = io_calls->open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	rc = out < 0 ? err_from_errno(errno) : copy_bytes(in, out, bytes);
	if (rc == 0 && io_calls->fsync(out) != 0)
		rc = err_from_errno(errno);
	if (out >= 0)
		io_calls->close(out);
	io_calls->close(in);
	free(bytes);
	return rc;
}

/* 0, ERR_NOT_FOUND, ERR_CORRUPT, or why it cannot be read. */
static int check(const char *path, const struct listed_object *o)
{
	char sha256[2 * SHA256_LEN + 1];
	uint64_t size;
	int rc = object_list_hash(path, sha256, &size);

	return rc == 0 && (size != o->size || strcmp(sha256, o->sha256) != 0) ? ERR_CORRUPT : rc;
}

/* Whole under its name or not at all. No object is called by a name that begins with a point. */
static int put(const char *from, const char *folder, const char *to, const struct listed_object *o)
{
	char partial[PATH_MAX];
	int rc = backup_join(partial, folder, ".partial");

	if (rc == 0 && io_calls->unlink(partial) != 0 && errno != ENOENT)
		rc = err_from_errno(errno);
	if (rc == 0 && io_calls->link(from, partial) != 0)
		rc = errno == ENOENT ? ERR_NOT_FOUND : copy_file(from, partial);
	if (rc == 0)
		rc = check(partial, o);
	if (rc == 0 && io_calls->rename(partial, to) != 0)
		rc = err_from_errno(errno);
	if (rc != 0)
		(void)io_calls->unlink(partial);
	return rc;
}

/* ---- all of them ---------------------------------------------------------------------------------- */

struct transfer {
	const char *from, *to; /* directories of objects */
	char folder[PATH_MAX]; /* of the last that was put, not synced yet; "" = none */
};

static int settle_folder(struct transfer *t, const char *next)
{
	int rc = t->folder[0] == '\0' ? 0 : dir_sync(t->folder);

	snprintf(t->folder, sizeof(t->folder), "%s", next);
	return rc == 0 && next[0] != '\0' ? dir_create(next, 0700) : rc;
}

/* ERR_EXISTS: another one is called that. */
static int transfer_one(struct transfer *t, const struct listed_object *o)
{
	char from[PATH_MAX], to[PATH_MAX], folder[PATH_MAX];
	int rc = 0;

	if (snprintf(from, sizeof(from), "%s/%.*s", t->from, SLICE_ARG(o->key)) >= (int)sizeof(from) ||
	    snprintf(to, sizeof(to), "%s/%.*s", t->to, SLICE_ARG(o->key)) >= (int)sizeof(to))
		return ERR_TOO_BIG;
	snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(to, '/') - to), to);
	if (strcmp(folder, t->folder) != 0)
		rc = settle_folder(t, folder);
	if (rc == 0 && file_exists(to))
		return check(to, o) == 0 ? 0 : ERR_EXISTS;
	return rc == 0 ? put(from, folder, to, o) : rc;
}

/* Those whose failure it goes on after are marked as missing; another one ends it and is told. */
static int transfer_all(struct transfer *t, struct object_list *l, bool (*goes_on)(int rc), struct buf *problem)
{
	int rc = dir_create(t->to, 0700);

	for (size_t i = 0; rc == 0 && i < l->n; i++) {
		struct listed_object *o = &l->items[i];

		if (!o->is_there || o->is_missing)
			continue;
		rc = transfer_one(t, o);
		if (rc == 0)
			continue;
		if (goes_on(rc)) {
			o->is_missing = true;
			rc = 0;
		} else {
			buf_printf(problem, "the object %.*s cannot be brought from %s to %s: %s", SLICE_ARG(o->key), t->from, t->to,
			    rc == ERR_EXISTS ? "another file is there" : err_text(rc));
		}
	}
	return rc == 0 ? settle_folder(t, "") : rc;
}

static void count(const struct object_list *l, struct backup_objects *ret)
{
	*ret = (struct backup_objects){0};
	for (size_t i = 0; i < l->n; i++) {
		ret->n_missing += l->items[i].is_missing;
		if (l->items[i].is_there && !l->items[i].is_missing) {
			ret->n++;
			ret->bytes += l->items[i].size;
		}
	}
}

/* ---- into a backup ---------------------------------------------------------------------------------- */

static bool is_lacking(int rc)
{
	return rc == ERR_NOT_FOUND || rc == ERR_CORRUPT;
}

/* One that was removed while this ran is told of by the log in use, a moment after its file is gone. */
static int wait_for_removed(struct object_list *l, const char *data, unsigned wait_ms, size_t *ret_missing)
{
	const struct timespec span = {.tv_nsec = LOOK_MS * 1000000L};
	int rc = 0;

	for (unsigned waited_ms = 0; rc == 0; waited_ms += LOOK_MS) {
		rc = object_list_settle(l, data, ret_missing);
		if (*ret_missing == 0 || waited_ms >= wait_ms)
			break;
		nanosleep(&span, NULL);
	}
	return rc;
}

/* Which the backup's log names and the backup has not: removed meanwhile, or lacking. */
static int write_missing(const struct object_list *l, const char *backup)
{
	struct buf text = BUF_INIT(MISSING_BYTES_MAX);
	char path[PATH_MAX];
	int rc = backup_join(path, backup, MISSING_NAME);

	for (size_t i = 0; !PLANTED(backup_forgets_objects) && i < l->n; i++)
		if (!l->items[i].is_there || l->items[i].is_missing)
			buf_printf(&text, "%s\n", l->items[i].id);
	if (rc == 0)
		rc = text.rc;
	if (rc == 0 && text.len > 0)
		rc = file_replace(path, buf_slice(&text), 0600);
	buf_finish(&text);
	return rc;
}

static const struct listed_object *first_missing(const struct object_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->items[i].is_missing)
			return &l->items[i];
	return NULL;
}

enum backup_outcome backup_objects_copy(const char *objects_dir, const char *data, const char *backup, bool lacking,
    struct backup_objects *ret, struct buf *problem)
{
	struct transfer t = {.from = objects_dir};
	struct object_list l = {0};
	char to[PATH_MAX];
	size_t missing = 0;
	int rc = backup_join(to, backup, DIR_NAME);

	t.to = to;
	if (rc == 0)
		rc = object_list_read(&l, backup);
	if (PLANTED(backup_forgets_objects) && l.n > 1)
		l.items[l.n / 2].is_there = false;
	if (rc == 0)
		rc = transfer_all(&t, &l, is_lacking, problem);
	if (rc == 0)
		rc = wait_for_removed(&l, data, lacking ? 0 : REMOVED_WAIT_MS, &missing);
	if (rc == 0)
		rc = write_missing(&l, backup);
	if (rc != 0 && problem->len == 0)
		buf_printf(problem, "the objects in %s cannot be backed up: %s", objects_dir, err_text(rc));
	if (rc == 0 && missing > 0 && !lacking)
		buf_printf(problem, "%zu objects are missing from %s or damaged, the first is %.*s: --lacking makes the backup "
		    "without them, --without-objects without any", missing, objects_dir, SLICE_ARG(first_missing(&l)->key));
	count(&l, ret);
	object_list_finish(&l);
	return rc == 0 && (missing == 0 || lacking) ? BACKUP_OK : BACKUP_FAILED;
}

/* ---- of a backup ----------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	return memcmp(a, b, ID_TEXT_LEN);
}

/* Marks what objects.missing names, lines sorted here. */
static int read_missing(struct object_list *l, const char *backup)
{
	struct buf text = BUF_INIT(MISSING_BYTES_MAX);
	char path[PATH_MAX];
	int rc = backup_join(path, backup, MISSING_NAME);

	if (rc == 0)
		rc = file_read(&text, path);
	if (rc == ERR_NOT_FOUND) /* none are */
		rc = 0;
	if (rc == 0 && text.len % (ID_TEXT_LEN + 1) != 0)
		rc = ERR_CORRUPT;
	if (rc == 0 && text.len > 0) {
		qsort(text.ptr, text.len / (ID_TEXT_LEN + 1), ID_TEXT_LEN + 1, by_id);
		for (size_t i = 0; i < l->n; i++)
			l->items[i].is_missing = bsearch(l->items[i].id, text.ptr, text.len / (ID_TEXT_LEN + 1), ID_TEXT_LEN + 1, by_id) != NULL;
	}
	buf_finish(&text);
	return rc;
}

static int list_of_backup(struct object_list *l, const char *backup, struct buf *problem)
{
	int rc = object_list_read(l, backup);

	if (rc == 0)
		rc = read_missing(l, backup);
	if (rc != 0)
		buf_printf(problem, "which objects belong to %s cannot be told: %s", backup, err_text(rc));
	return rc;
}

static enum backup_outcome outcome_of(int rc)
{
	return rc == 0 ? BACKUP_OK : rc == ERR_NOT_FOUND || rc == ERR_CORRUPT || rc == ERR_EXISTS ? BACKUP_FAILED : BACKUP_INCONCLUSIVE;
}

enum backup_outcome backup_objects_verify(const char *backup, struct backup_objects *ret, struct buf *problem)
{
	struct object_list l = {0};
	char path[PATH_MAX];
	int rc = list_of_backup(&l, backup, problem);

	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		const struct listed_object *o = &l.items[i];

		if (o->is_missing)
			continue;
		rc = snprintf(path, sizeof(path), "%s/" DIR_NAME "/%.*s", backup, SLICE_ARG(o->key)) < (int)sizeof(path) ? check(path, o) :
		    ERR_TOO_BIG;
		if (rc != 0)
			buf_printf(problem, "the object %.*s of the backup %s: %s", SLICE_ARG(o->key), backup, rc == ERR_CORRUPT ?
			    "it is not what was stored" : err_text(rc));
	}
	count(&l, ret);
	object_list_finish(&l);
	return outcome_of(rc);
}

static bool never(int rc)
{
	(void)rc;
	return false;
}

enum backup_outcome backup_objects_restore(const char *backup, const char *objects_dir, struct backup_objects *ret,
    struct buf *problem)
{
	struct transfer t = {.to = objects_dir};
	struct object_list l = {0};
	char from[PATH_MAX];
	int rc = backup_join(from, backup, DIR_NAME);

	t.from = from;
	if (rc == 0)
		rc = list_of_backup(&l, backup, problem);
	if (rc == 0)
		rc = transfer_all(&t, &l, never, problem);
	count(&l, ret);
	object_list_finish(&l);
	return rc == 0 ? BACKUP_OK : BACKUP_FAILED;
}

/* ---- where they lie ----------------------------------------------------------------------------------- */

enum exit_status backup_objects_dir(const struct invocation *in, char ret[PATH_MAX])
{
	struct config_loaded config = {0};
	enum exit_status status = settings_load(in, NULL, &config);
	int rc = 0;

	if (status == STATUS_OK && config.values.storage_dir.len > 0)
		rc = snprintf(ret, PATH_MAX, "%s", config.values.storage_dir.ptr) < PATH_MAX ? 0 : ERR_TOO_BIG;
	else if (status == STATUS_OK)
		rc = backup_join(ret, option_data_dir(in), DIR_NAME);
	config_finish(&config);
	return rc == 0 ? status : command_fail_err(in, rc, "the directory of objects has too long a name");
}
