/* LMDB environments and their read transactions; see log_mdb.h. */
#include "store/log_mdb.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/io.h"
#include "base/planted.h"
#include "store/log_guard.h"

#define TABLES_MAX 80
#define MAP_BYTES_LEAST ((uint64_t)16 << 30)

int mdb_err(int code)
{
	switch (code) {
	case 0:
		return 0;
	case MDB_NOTFOUND:
		return ERR_NOT_FOUND;
	case MDB_KEYEXIST:
		return ERR_EXISTS;
	case MDB_CORRUPTED:
	case MDB_CURSOR_FULL: /* pages that lead to each other */
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
		return ERR_CORRUPT;
	case MDB_PANIC: /* after a write that failed: what is stored is none the worse */
		return ERR_IO;
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
		return ERR_VERSION;
	case MDB_READERS_FULL:
		return ERR_BUSY;
	case MDB_MAP_FULL:
		return ERR_DISK_FULL;
	case MDB_BAD_VALSIZE:
		return ERR_INVALID;
	default:
		return code > 0 ? err_from_errno(code) : ERR_IO;
	}
}

static int env_open(MDB_env **ret, const char *dir, uint64_t map_bytes, bool readonly)
{
	MDB_env *env = NULL;
	unsigned flags = MDB_NOTLS | (readonly ? MDB_RDONLY : 0);
	int dead, rc;

	flags |= PLANTED(nosync) ? MDB_NOSYNC : PLANTED(nometasync) ? MDB_NOMETASYNC : 0;
	rc = mdb_err(mdb_env_create(&env));
	if (rc != 0)
		return rc;
	log_guard(env);
	rc = mdb_err(mdb_env_set_maxdbs(env, TABLES_MAX));
	if (rc == 0)
		rc = mdb_err(mdb_env_set_maxreaders(env, LOG_READERS_MAX));
	if (rc == 0 && map_bytes != 0)
		rc = mdb_err(mdb_env_set_mapsize(env, map_bytes));
	if (rc == 0)
		rc = mdb_err(mdb_env_open(env, dir, flags, 0600));
	if (rc == 0)
		rc = mdb_err(mdb_reader_check(env, &dead));
	if (rc != 0)
		mdb_env_close(env);
	else
		*ret = env;
	return rc;
}

/* A file with the first pages of an empty environment, on disk when this returns 0. */
static int file_make(const char *path)
{
	MDB_env *env = NULL;
	int rc;

	rc = mdb_err(mdb_env_create(&env));
	if (rc != 0)
		return rc;
	rc = mdb_err(mdb_env_open(env, path, MDB_NOTLS | MDB_NOSUBDIR, 0600));
	if (rc == 0)
		rc = mdb_err(mdb_env_sync(env, 1));
	mdb_env_close(env);
	return rc;
}

/*
 * LMDB writes the first pages of a new file and does not sync them: after a
 * power cut there may be a file that is no environment, or one of half a page on which the
 * library's asserts fail. So it is made under another name and given its own when it is whole.
 */
static int env_make(const char *dir)
{
	char path[PATH_MAX], fresh[PATH_MAX + 8], lock[PATH_MAX + 16];
	struct stat st;
	bool there;
	int rc;

	if (snprintf(path, sizeof(path), "%s/data.mdb", dir) >= (int)sizeof(path))
		return ERR_TOO_BIG;
	/* A file without content was not made here: it has lost it. The library would take it for a new one. */
	if (stat(path, &st) == 0 && st.st_size == 0)
		return ERR_CORRUPT;
	rc = file_look(path, &there);
	if (rc != 0 || there)
		return rc;
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	snprintf(lock, sizeof(lock), "%s-lock", fresh);
	rc = tree_remove(fresh); /* from a start that got no further */
	if (rc == 0)
		rc = file_make(fresh);
	if (rc == 0 && io_calls->rename(fresh, path) != 0)
		rc = err_from_errno(errno);
	tree_remove(lock);
	return rc == 0 ? dir_sync(dir) : rc;
}

int log_env_open(struct log_env *e, const char *dir, uint64_t map_bytes, bool readonly)
{
	int rc;

	*e = (struct log_env){0};
	rc = readonly ? 0 : env_make(dir);
	if (rc != 0)
		return rc;
	rc = env_open(&e->env, dir, map_bytes, readonly);
	/* Address space may be rationed (a resource limit, a sanitizer): less of it will do for long. */
	while (rc == ERR_NOMEM && map_bytes / 2 >= MAP_BYTES_LEAST) {
		map_bytes /= 2;
		rc = env_open(&e->env, dir, map_bytes, readonly);
	}
	if (rc == 0)
		pthread_mutex_init(&e->lock, NULL);
	return rc;
}

uint64_t log_env_map_bytes(const struct log_env *e)
{
	MDB_envinfo info;

	return mdb_env_info(e->env, &info) == 0 ? info.me_mapsize : 0;
}

void log_env_close(struct log_env *e)
{
	if (e->env == NULL)
		return;
	assert(e->n_idle == e->n_made); /* a reader that outlives the map would read nothing */
	for (unsigned i = 0; i < e->n_idle; i++)
		mdb_txn_abort(e->idle[i]);
	mdb_env_close(e->env);
	pthread_mutex_destroy(&e->lock);
	*e = (struct log_env){0};
}

int log_env_read(struct log_env *e, MDB_txn **ret_txn)
{
	MDB_txn *txn = NULL;
	bool make = false;
	int rc;

	pthread_mutex_lock(&e->lock);
	if (e->n_idle > 0)
		txn = e->idle[--e->n_idle];
	else if (e->n_made < LOG_READERS_POOL) {
		make = true;
		e->n_made++;
	}
	pthread_mutex_unlock(&e->lock);

	if (txn == NULL && !make)
		return ERR_BUSY;
	rc = mdb_err(make ? mdb_txn_begin(e->env, NULL, MDB_RDONLY, &txn) : mdb_txn_renew(txn));
	if (rc == 0) {
		*ret_txn = txn;
		return 0;
	}
	if (!make)
		mdb_txn_abort(txn);
	pthread_mutex_lock(&e->lock);
	e->n_made--;
	pthread_mutex_unlock(&e->lock);
	return rc;
}

void log_env_done(struct log_env *e, MDB_txn **txn)
{
	if (*txn == NULL)
		return;
	mdb_txn_reset(*txn);
	pthread_mutex_lock(&e->lock);
	assert(e->n_idle < e->n_made);
	e->idle[e->n_idle++] = *txn;
	pthread_mutex_unlock(&e->lock);
	*txn = NULL;
}

unsigned log_env_readers(struct log_env *e)
{
	unsigned n;

	pthread_mutex_lock(&e->lock);
	n = e->n_made - e->n_idle;
	pthread_mutex_unlock(&e->lock);
	return n;
}

int log_table(MDB_txn *txn, const char *name, MDB_dbi *ret_dbi)
{
	unsigned flags = 0;

	/* mdb_dbi_open says EACCES, which would be read as a file's, for MDB_CREATE in a read transaction. */
	if (mdb_env_get_flags(mdb_txn_env(txn), &flags) == 0 && (flags & MDB_RDONLY) == 0)
		return mdb_err(mdb_dbi_open(txn, name, MDB_CREATE, ret_dbi));
	return mdb_err(mdb_dbi_open(txn, name, 0, ret_dbi));
}
