/*
 * Files beside a model's own: those of older versions, one of which answers
 * until the new one has caught up; and a fresh one, made to take its place.
 */
#include "store/projector_private.h"

#include <dirent.h>
#include <string.h>

#include "base/err.h"
#include "base/io.h"

/* ---- of older versions ------------------------------------------------------- */

/* "<name>-<16 hex digits>.db", but not of this version. */
static bool is_old_file(const struct model *m, const char *entry)
{
	size_t name_len = strlen(m->def->name);

	return strncmp(entry, m->def->name, name_len) == 0 && entry[name_len] == '-' &&
	    strspn(entry + name_len + 1, "0123456789abcdef") == 16 && strcmp(entry + name_len + 17, ".db") == 0 &&
	    strncmp(entry + name_len + 1, m->def->version, 16) != 0;
}

typedef void old_file_fn(struct model *m, const char *path, void *arg);

static void each_old_file(struct model *m, old_file_fn *fn, void *arg)
{
	struct buf path = BUF_INIT(PROJECTOR_PATH_MAX);
	struct dirent *entry;
	DIR *dir;

	if (buf_printf(&path, "%s/read", m->p->options.dir) != 0)
		goto out;
	dir = opendir(path.ptr);
	if (dir == NULL)
		goto out;
	while ((entry = readdir(dir)) != NULL) {
		if (!is_old_file(m, entry->d_name))
			continue;
		buf_clear(&path);
		if (buf_printf(&path, "%s/read/%s", m->p->options.dir, entry->d_name) == 0)
			fn(m, path.ptr, arg);
	}
	closedir(dir);
out:
	buf_finish(&path);
}

struct best {
	struct buf *path;
	uint64_t position;
	bool any;
};

static void take_best(struct model *m, const char *path, void *arg)
{
	struct best *best = arg;
	struct sqlite3 *db = NULL;
	uint64_t position;

	(void)m;
	if (projection_open_readonly(&db, path) == 0 && projection_read_position(db, &position) == 0 &&
	    (!best->any || position > best->position)) {
		best->any = true;
		best->position = position;
		buf_clear(best->path);
		buf_append_str(best->path, path);
	}
	projection_close_readonly(db);
}

static void remove_old(struct model *m, const char *path, void *arg)
{
	(void)m;
	(void)arg;
	projection_file_remove(path);
}

bool model_best_old_file(struct model *m, struct buf *ret_path, uint64_t *ret_position)
{
	struct best best = {.path = ret_path};

	each_old_file(m, take_best, &best);
	*ret_position = best.position;
	return best.any;
}

void model_remove_old_files(struct model *m)
{
	each_old_file(m, remove_old, NULL);
}

/* ---- all of it anew ------------------------------------------------------------------ */

static int fresh_path(const struct model *m, struct buf *ret)
{
	return buf_printf(ret, "%s.new", m->path.ptr);
}

static void remove_beside(struct model *m, const char *suffix)
{
	struct buf path = BUF_INIT(PROJECTOR_PATH_MAX);

	if (buf_printf(&path, "%s%s", m->path.ptr, suffix) == 0)
		projection_file_remove(path.ptr);
	buf_finish(&path);
}

bool model_is_renewed(struct model *m)
{
	bool renewed;

	uv_mutex_lock(&m->p->lock);
	renewed = m->renewed;
	uv_mutex_unlock(&m->p->lock);
	return renewed;
}

/*
 * The model's thread. Nobody may open the old file once its -wal is gone, nor the new one while it is there: for that
 * moment no file answers. Readers that have the old one open keep what they have.
 */
void model_take_renewed(struct model *m)
{
	struct buf fresh = BUF_INIT(PROJECTOR_PATH_MAX);

	feed_reader_pause(&m->fold.reader);
	model_close(m);
	uv_mutex_lock(&m->p->lock);
	model_serve(m, SLICE(""), false);
	m->status.rebuilds++;
	uv_mutex_unlock(&m->p->lock);
	projection_file_remove(m->path.ptr);
	if (fresh_path(m, &fresh) == 0 && file_exists(fresh.ptr))
		io_calls->rename(fresh.ptr, m->path.ptr);
	remove_beside(m, ".bad");
	model_remove_old_files(m);
	model_open(m);
	uv_mutex_lock(&m->p->lock);
	m->renewed = false;
	uv_cond_broadcast(&m->p->changed);
	uv_mutex_unlock(&m->p->lock);
	buf_finish(&fresh);
}

static bool goes_on(void *arg, uint64_t done, uint64_t total)
{
	(void)done;
	(void)total;
	return !projector_is_stopping(arg);
}

/* An event that cannot be applied stops the model's own thread, too, which then begins without a fresh file. */
static int build_fresh(struct model *m)
{
	struct buf fresh = BUF_INIT(PROJECTOR_PATH_MAX);
	int rc = fresh_path(m, &fresh);

	if (rc == 0) {
		projection_file_remove(fresh.ptr);
		rc = projection_build(&m->p->options, m->def, fresh.ptr, UINT64_MAX, goes_on, m->p, NULL);
		if (rc != 0)
			projection_file_remove(fresh.ptr);
	}
	buf_finish(&fresh);
	return fold_is_event_error(rc) ? 0 : rc;
}

int projector_renew(struct projector *p)
{
	int rc = 0;

	event_feed_forget(p->feed);
	for (unsigned i = 0; rc == 0 && i < p->n_models; i++)
		rc = build_fresh(&p->models[i]);
	if (rc != 0) {
		for (unsigned i = 0; i < p->n_models; i++)
			remove_beside(&p->models[i], ".new");
		return rc;
	}
	uv_mutex_lock(&p->lock);
	for (unsigned i = 0; i < p->n_models; i++)
		p->models[i].renewed = true;
	for (unsigned i = 0; i < p->n_models; i++)
		while (p->models[i].renewed && !p->stopping)
			uv_cond_wait(&p->changed, &p->lock);
	rc = p->stopping ? ERR_CANCELLED : 0;
	uv_mutex_unlock(&p->lock);
	return rc;
}
