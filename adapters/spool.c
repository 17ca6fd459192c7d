/* See spool.h. */
#include "spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "object_private.h"

#define SPOOL_DIR "spool"

int spool_take(struct spool *ret, const char *data_dir, struct object_call *o, struct slice key, uint64_t size, const char *name)
{
	const char *dir = arena_printf(o->arena, "%s/" SPOOL_DIR, data_dir);
	struct spool s = {.path = object_path(o, key)};
	int rc = 0;

	if (s.path == NULL && size > SPOOL_BYTES_MAX)
		return object_fail(o, ERR_TOO_BIG, "The file is too big to be fetched back from the storage.");
	if (s.path == NULL) {
		s.path = arena_printf(o->arena, "%s/" SPOOL_DIR "/%s", data_dir, name);
		s.is_copy = true;
		if (dir == NULL || s.path == NULL)
			return ERR_NOMEM;
		(void)mkdir(dir, 0700); /* it is there already, or the next step fails */
		rc = object_get_file(o, key, s.path);
		if (rc != 0)
			spool_drop(&s);
	}
	if (rc == 0)
		*ret = s;
	return rc;
}

void spool_drop(struct spool *s)
{
	if (s->is_copy)
		unlink(s->path);
	*s = (struct spool){0};
}

void spool_clean(const char *data_dir)
{
	int at = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd = at < 0 ? -1 : openat(at, SPOOL_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			unlinkat(fd, e->d_name, 0);
	if (dir != NULL)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	if (at >= 0)
		close(at);
}
