/* What readers and writers of a read model's file share: connections, error codes, where it stands. */
#include <pthread.h>
#include <sqlite3.h>

#include "base/err.h"
#include "base/io.h"
#include "store/projection_file.h"
#include "store/projection_wal.h"
#include "store/sqlfn.h"
#include "store/tokenizer.h"

#define BUSY_MS 2000

int projection_sqlite_err(int code)
{
	switch (code & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_NOMEM:
		return ERR_NOMEM;
	case SQLITE_FULL:
		return ERR_DISK_FULL;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
	case SQLITE_PROTOCOL:
		return ERR_IO;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_BUSY;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return ERR_DENIED;
	case SQLITE_INTERRUPT:
		return ERR_CANCELLED;
	default: /* a constraint, a function's error, a type that does not fit */
		return ERR_INVALID;
	}
}

int projection_register_functions(sqlite3 *db)
{
	int rc = sqlfn_register(db);

	return rc != 0 ? rc : tokenizer_register(db);
}

static pthread_once_t configured = PTHREAD_ONCE_INIT;
static const char *vfs;

/* Before the first connection of the process: the statistics of SQLite's allocator cost a lock shared by all threads
 * with every allocation, and nobody reads them. (Debian builds SQLite without lookaside memory.) */
static void configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	vfs = projection_wal_register();
}

int projection_connect(struct sqlite3 **ret, const char *path, int flags)
{
	int code;

	pthread_once(&configured, configure);
	code = sqlite3_open_v2(path, ret, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, vfs);
	if (code != SQLITE_OK)
		return code;
	sqlite3_extended_result_codes(*ret, 1);
	sqlite3_busy_timeout(*ret, BUSY_MS);
	return projection_register_functions(*ret) == 0 ? SQLITE_OK : SQLITE_NOMEM;
}

int projection_open_readonly(struct sqlite3 **ret, const char *path)
{
	sqlite3 *db = NULL;
	int code = projection_connect(&db, path, SQLITE_OPEN_READONLY);

	if (code == SQLITE_OK)
		code = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	if (code == SQLITE_OK)
		code = sqlite3_exec(db, "pragma query_only = on; pragma mmap_size = 0;"
		    "pragma cache_size = -8192; pragma temp_store = memory", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		*ret = db;
	else
		sqlite3_close(db);
	return projection_sqlite_err(code);
}

void projection_close_readonly(struct sqlite3 *db)
{
	sqlite3_close(db);
}

bool projection_read_problem(struct sqlite3 *db, struct buf *out)
{
	sqlite3_stmt *stmt = NULL;
	bool any = false;

	if (sqlite3_prepare_v2(db, "select problem from projection_state where problem is not null", -1, &stmt, NULL) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW) {
		any = true;
		buf_append(out, slice_of(sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0)));
	}
	sqlite3_finalize(stmt);
	return any;
}

static int read_number(struct sqlite3 *db, const char *sql, uint64_t *ret_position)
{
	sqlite3_stmt *stmt = NULL;
	int64_t position = -1;
	int rc, code = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (code == SQLITE_OK && (code = sqlite3_step(stmt)) == SQLITE_ROW)
		position = sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	rc = projection_sqlite_err(code);
	if (rc == ERR_INVALID || (rc == 0 && position < 0))
		rc = ERR_CORRUPT;
	if (rc == 0)
		*ret_position = (uint64_t)position;
	return rc;
}

int projection_read_position(struct sqlite3 *db, uint64_t *ret_position)
{
	return read_number(db, PROJECTION_POSITION_SQL, ret_position);
}

int projection_read_place(struct sqlite3 *db, uint64_t *ret_place)
{
	return read_number(db, "select position from projection_state where id = 1", ret_place);
}

void projection_file_remove(const char *path)
{
	static const char *const suffixes[] = {"", "-wal", "-shm"};
	struct buf name = BUF_INIT(4096);

	for (unsigned i = 0; i < 3; i++) {
		buf_clear(&name);
		if (buf_printf(&name, "%s%s", path, suffixes[i]) == 0)
			io_calls->unlink(name.ptr);
	}
	buf_finish(&name);
}
