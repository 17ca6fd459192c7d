/* See projection_file.h. */
#include "store/projection_file.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/planted.h"
#include "store/event_feed.h"
#include "store/projection_apply.h"

static const char state_ddl[] =
    "create table projection_state ("
    " id integer primary key check (id = 1),"
    " model text not null,"
    " version text not null,"
    " position integer not null,"
    " last_hash blob not null,"
    " clean integer not null,"
    " problem text) strict";

struct projection_file {
	const struct projection *model;
	sqlite3 *db;
	uint64_t position;
	uint64_t began; /* where the transaction at hand began */
	sqlite3_int64 began_changes; /* and how many rows had been written by then */
	uint64_t saved; /* what is in the file */
	uint8_t last_hash[SHA256_LEN];
	struct projection_applier *applier;
	unsigned wal_pages, backfilled; /* of the WAL as it is now; see projection_file_keep_wal() */
	bool singly; /* nothing is gathered over several events */
	sqlite3_stmt **commits; /* model->n_commits */
	sqlite3_stmt *begin, *commit, *rollback, *save;
};

bool projection_file_is_lost(int err)
{
	return err == ERR_IO || err == ERR_CORRUPT || err == ERR_DISK_FULL || err == ERR_DENIED;
}

/* Texts of SQLite name tables and columns, never values. */
static int fail(struct buf *problem, sqlite3 *db, int code, const char *what)
{
	if (problem != NULL)
		buf_printf(problem, "%s: %s", what, db == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(db));
	return projection_sqlite_err(code);
}

/* The build has prepared every statement against these tables, so one that fails for what it says, not for what an
 * event holds, tells of a file that is no longer what was made. */
static int of_file(int rc)
{
	if (PLANTED(gone_is_kept))
		return rc;
	return rc == ERR_INVALID || rc == ERR_UNSUPPORTED ? ERR_CORRUPT : rc;
}

/* ---- open ------------------------------------------------------------------- */

static int run(sqlite3 *db, const char *sql, struct buf *problem, const char *what)
{
	int code = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? 0 : fail(problem, db, code, what);
}

static int prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret)
{
	return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
}

/* The first column of the first row as an integer; `otherwise` when there is no row. */
static int ask_integer(sqlite3 *db, const char *sql, int64_t otherwise, int64_t *ret)
{
	sqlite3_stmt *stmt = NULL;
	int code = prepare(db, sql, &stmt);

	*ret = otherwise;
	if (code == SQLITE_OK) {
		code = sqlite3_step(stmt);
		if (code == SQLITE_ROW)
			*ret = sqlite3_column_int64(stmt, 0);
	}
	sqlite3_finalize(stmt);
	return projection_sqlite_err(code);
}

/*
 * WAL with synchronous NORMAL: a power cut can take back the newest commits,
 * never tear one, and what it takes back is read from the log again. No
 * mmap_size: a shrinking file would end the process.
 *
 * Rows lie all over a file, so that a transaction writes a page for nearly each
 * of them: small pages halve what it writes. The cache is small, for SQLite
 * looks through all of it at each commit whose tree was balanced, and what
 * falls out of it is in the system's.
 */
int projection_connect_writer(sqlite3 **ret, const char *path, struct buf *problem)
{
	int code = projection_connect(ret, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);

	if (code != SQLITE_OK)
		return fail(problem, *ret, code, "cannot open the file");
	sqlite3_wal_autocheckpoint(*ret, PROJECTION_WAL_PAGES);
	return run(*ret,
	    "pragma page_size = 2048; pragma journal_mode = wal; pragma synchronous = normal; pragma mmap_size = 0;"
	    "pragma cache_size = -8192; pragma temp_store = memory;"
	    "pragma secure_delete = on; pragma foreign_keys = off; pragma recursive_triggers = off",
	    problem, "cannot set up the file");
}

static int create_tables(struct projection_file *f, struct buf *problem)
{
	sqlite3_stmt *stmt = NULL;
	int code, rc;

	rc = run(f->db, "begin", problem, "cannot start");
	for (unsigned i = 0; rc == 0 && f->model->ddl[i] != NULL; i++)
		rc = run(f->db, f->model->ddl[i], problem, "its tables cannot be made");
	if (rc == 0)
		rc = run(f->db, state_ddl, problem, "its state cannot be made");
	if (rc != 0)
		return rc;
	code = prepare(f->db, "insert into projection_state values (1, ?1, ?2, 0, zeroblob(32), 0, null)", &stmt);
	if (code == SQLITE_OK) {
		sqlite3_bind_text(stmt, 1, f->model->name, -1, SQLITE_STATIC);
		sqlite3_bind_text(stmt, 2, f->model->version, -1, SQLITE_STATIC);
		code = sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
	if (code != SQLITE_DONE)
		return fail(problem, f->db, code, "its state cannot be made");
	return run(f->db, "commit", problem, "cannot commit");
}

static bool column_is(sqlite3_stmt *stmt, int column, const char *text)
{
	const char *have = (const char *)sqlite3_column_text(stmt, column);

	return have != NULL && strcmp(have, text) == 0;
}

/* Ours, of this version; where it stands and whether it was left clean. */
static int read_state(struct projection_file *f, bool *ret_clean, struct buf *problem)
{
	sqlite3_stmt *stmt = NULL;
	int rc = 0, code = prepare(f->db, "select model, version, position, last_hash, clean from projection_state", &stmt);

	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code != SQLITE_ROW) {
		rc = fail(problem, f->db, code, "its state cannot be read");
		rc = rc == 0 || rc == ERR_INVALID ? ERR_CORRUPT : rc;
	} else if (!column_is(stmt, 0, f->model->name) || !column_is(stmt, 1, f->model->version) ||
	    sqlite3_column_bytes(stmt, 3) != SHA256_LEN || sqlite3_column_int64(stmt, 2) < 0) {
		if (problem != NULL)
			buf_append_str(problem, "it belongs to another read model or version");
		rc = ERR_CORRUPT;
	} else {
		f->position = f->saved = (uint64_t)sqlite3_column_int64(stmt, 2);
		memcpy(f->last_hash, sqlite3_column_blob(stmt, 3), SHA256_LEN);
		*ret_clean = sqlite3_column_int(stmt, 4) == 1;
	}
	sqlite3_finalize(stmt);
	return rc;
}

static int quick_check(struct projection_file *f, struct buf *problem)
{
	sqlite3_stmt *stmt = NULL;
	int rc = 0, code = prepare(f->db, "pragma quick_check(1)", &stmt);

	if (code == SQLITE_OK)
		code = sqlite3_step(stmt);
	if (code != SQLITE_ROW || !column_is(stmt, 0, "ok")) {
		if (problem != NULL)
			buf_append_str(problem, "it failed quick_check after an unclean stop");
		rc = ERR_CORRUPT;
	}
	sqlite3_finalize(stmt);
	return rc;
}

static int open_tables(struct projection_file *f, struct buf *problem)
{
	int64_t tables;
	bool clean = false;
	int rc;

	rc = ask_integer(f->db, "select count(*) from sqlite_schema", 0, &tables);
	if (rc != 0)
		return fail(problem, f->db, sqlite3_errcode(f->db), "it cannot be read");
	if (tables == 0)
		return create_tables(f, problem);
	rc = read_state(f, &clean, problem);
	if (rc == 0 && !clean)
		rc = quick_check(f, problem);
	if (rc == 0)
		rc = run(f->db, "update projection_state set clean = 0", problem, "it cannot be written");
	return rc;
}

static int prepare_all(struct projection_file *f, struct buf *problem)
{
	int code, rc = projection_applier_create(&f->applier, f->model, f->db, problem);

	if (rc != 0)
		return rc;
	f->commits = calloc(f->model->n_commits + 1, sizeof(*f->commits));
	if (f->commits == NULL)
		return ERR_NOMEM;
	code = prepare(f->db, "begin", &f->begin);
	for (unsigned i = 0; i < f->model->n_commits && code == SQLITE_OK; i++)
		code = prepare(f->db, f->model->commits[i].sql, &f->commits[i]);
	if (code == SQLITE_OK)
		code = prepare(f->db, "commit", &f->commit);
	if (code == SQLITE_OK)
		code = prepare(f->db, "rollback", &f->rollback);
	if (code == SQLITE_OK)
		code = prepare(f->db, "update projection_state set position = ?1, last_hash = ?2, problem = null", &f->save);
	return code == SQLITE_OK ? 0 : fail(problem, f->db, code, "its state cannot be prepared");
}

int projection_file_open(struct projection_file **ret, const struct projection *model, const char *path,
    struct buf *problem)
{
	struct projection_file *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return ERR_NOMEM;
	f->model = model;
	rc = projection_connect_writer(&f->db, path, problem);
	if (rc == 0)
		rc = open_tables(f, problem);
	if (rc == 0)
		rc = prepare_all(f, problem);
	rc = of_file(rc);
	if (rc == 0)
		*ret = f;
	else
		projection_file_close(f);
	return rc;
}

void projection_file_close(struct projection_file *f)
{
	if (f == NULL)
		return;
	projection_applier_destroy(f->applier);
	for (unsigned i = 0; f->commits != NULL && i < f->model->n_commits; i++)
		sqlite3_finalize(f->commits[i]);
	free(f->commits);
	sqlite3_finalize(f->begin);
	sqlite3_finalize(f->commit);
	sqlite3_finalize(f->rollback);
	/* Prepared last: when it is there the file was ours, and open without errors. */
	if (f->save != NULL)
		sqlite3_exec(f->db, "update projection_state set clean = 1", NULL, NULL, NULL);
	sqlite3_finalize(f->save);
	sqlite3_close(f->db);
	free(f);
}

/* ---- apply ---- */

int projection_file_apply(struct projection_file *f, const struct fed_event *event, struct buf *problem)
{
	int rc;

	if (event->place != f->position) {
		if (problem != NULL)
			buf_append_str(problem, "the log has a gap");
		return ERR_CORRUPT;
	}
	rc = projection_applier_run(f->applier, event, problem);
	if (rc == 0 && f->singly)
		rc = projection_applier_flush(f->applier, problem);
	if (rc == 0)
		f->position++;
	return rc;
}

void projection_file_singly(struct projection_file *f, bool singly)
{
	f->singly = singly;
}

void projection_file_skip(struct projection_file *f)
{
	f->position++;
}

void projection_file_move(struct projection_file *f, uint64_t place)
{
	f->position = place;
}

/* ---- transactions ----------------------------------------------------------------- */

static int run_plain(sqlite3_stmt *stmt)
{
	int code = sqlite3_step(stmt);
	int reset = sqlite3_reset(stmt);

	return projection_sqlite_err(code == SQLITE_DONE ? reset : code);
}

int projection_file_begin(struct projection_file *f)
{
	f->began = f->position;
	f->began_changes = sqlite3_total_changes64(f->db);
	return run_plain(f->begin);
}

int projection_file_flush(struct projection_file *f, struct buf *problem)
{
	int rc = projection_applier_flush(f->applier, problem);

	for (unsigned i = 0; i < f->model->n_commits && rc == 0; i++)
		rc = of_file(run_plain(f->commits[i]));
	return rc;
}

bool projection_file_changed(const struct projection_file *f)
{
	return sqlite3_total_changes64(f->db) != f->began_changes;
}

int projection_file_commit(struct projection_file *f, const uint8_t last_hash[SHA256_LEN])
{
	int rc = 0;

	if (PLANTED(rows_apart))
		rc = run_plain(f->commit) != 0 ? ERR_IO : run_plain(f->begin);
	if (rc == 0)
		rc = projection_sqlite_err(sqlite3_bind_int64(f->save, 1, (sqlite3_int64)f->position));
	if (rc == 0)
		rc = projection_sqlite_err(sqlite3_bind_blob(f->save, 2, last_hash, SHA256_LEN, SQLITE_STATIC));
	if (rc == 0)
		rc = run_plain(f->save);
	if (rc == 0)
		rc = run_plain(f->commit);
	if (rc != 0)
		return rc;
	f->saved = f->position;
	memcpy(f->last_hash, last_hash, SHA256_LEN);
	return 0;
}

void projection_file_pass(struct projection_file *f)
{
	if (!sqlite3_get_autocommit(f->db))
		run_plain(f->rollback);
	projection_applier_forget(f->applier);
}

void projection_file_rollback(struct projection_file *f)
{
	projection_file_pass(f);
	f->position = f->began;
}

/* ---- its WAL ------------------------------------------------------------------------ */

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct projection_file *f = arg;

	(void)db;
	(void)name;
	if ((unsigned)pages < f->wal_pages)
		f->backfilled = 0; /* it began anew */
	f->wal_pages = (unsigned)pages;
	return SQLITE_OK;
}

void projection_file_keep_wal(struct projection_file *f)
{
	sqlite3_wal_hook(f->db, on_commit, f); /* in place of the one that writes it into the file */
}

unsigned projection_file_wal_pages(const struct projection_file *f)
{
	return f->wal_pages - f->backfilled;
}

void projection_file_backfill(struct projection_file *f)
{
	int done;

	if (sqlite3_wal_checkpoint_v2(f->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, &done) == SQLITE_OK && done >= 0)
		f->backfilled = (unsigned)done < f->wal_pages ? (unsigned)done : f->wal_pages;
}

void projection_backfill(const char *path)
{
	sqlite3 *db = NULL;
	int code = projection_connect(&db, path, SQLITE_OPEN_READWRITE);

	/* Whoever has the file open for writing is the last to close it. */
	if (code == SQLITE_OK)
		code = sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	/* It learns with its first question that there is a WAL. */
	if (code == SQLITE_OK)
		code = sqlite3_exec(db, "pragma mmap_size = 0; pragma schema_version", NULL, NULL, NULL);
	if (code == SQLITE_OK)
		sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	sqlite3_close(db);
}

void projection_file_note(struct projection_file *f, struct slice problem)
{
	sqlite3_stmt *stmt = NULL;

	if (prepare(f->db, "update projection_state set problem = ?1", &stmt) == SQLITE_OK) {
		sqlite3_bind_text(stmt, 1, problem.ptr, (int)problem.len, SQLITE_STATIC);
		sqlite3_step(stmt);
	}
	sqlite3_finalize(stmt);
}

uint64_t projection_file_position(const struct projection_file *f)
{
	return f->position;
}

uint64_t projection_file_saved(const struct projection_file *f)
{
	return f->saved;
}

void projection_file_last_hash(const struct projection_file *f, uint8_t ret[SHA256_LEN])
{
	memcpy(ret, f->last_hash, SHA256_LEN);
}
