/* See projection_file.h. */
#include "store/projection_file.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "base/err.h"
#include "domain/event.h"
#include "store/eventlog.h"
#include "store/seal.h"
#include "store/sqlfn.h"
#include "store/tokenizer.h"

#define DECODE_BYTES_MAX (4u << 20)
#define BIND_BYTES_MAX (1u << 20)

static const char state_ddl[] =
    "create table projection_state ("
    " id integer primary key check (id = 1),"
    " model text not null,"
    " version text not null,"
    " position integer not null,"
    " last_hash blob not null,"
    " clean integer not null,"
    " problem text) strict";

/* One statement of a handler, ready to run. */
struct step {
	const struct projection_statement *from;
	sqlite3_stmt *stmt;
	struct schema_path *paths; /* by bind; only those of PROJECTION_FIELD are set */
};

struct handler {
	const struct event_type_info *type;
	const struct projection_handler *from;
	struct step *steps;
};

struct projection_file {
	const struct projection *model;
	sqlite3 *db;
	uint64_t position, committed;
	uint8_t last_hash[SHA256_LEN];
	struct handler *handlers; /* model->n_handlers, ascending by type */
	sqlite3_stmt **commits;    /* model->n_commits */
	sqlite3_stmt *begin, *commit, *rollback, *save;
	struct arena arena; /* of the event at hand */
	struct buf json;    /* of the parameter at hand */
};

/* What open() of a field needs to know to open only what the handler binds. */
struct opening {
	const struct seal_hooks *hooks;
	const struct handler *handler;
};

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

static int register_functions(sqlite3 *db)
{
	int rc = sqlfn_register(db);

	return rc != 0 ? rc : tokenizer_register(db);
}

/*
 * WAL with synchronous NORMAL: a power cut can take back the newest commits,
 * never tear one, and what it takes back is read from the log again. No
 * mmap_size: a shrinking file would end the process.
 */
static int connect_writer(sqlite3 **ret, const char *path, struct buf *problem)
{
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	int rc, code = sqlite3_open_v2(path, ret, flags, NULL);

	if (code != SQLITE_OK)
		return fail(problem, *ret, code, "cannot open the file");
	sqlite3_extended_result_codes(*ret, 1);
	sqlite3_busy_timeout(*ret, 2000);
	rc = register_functions(*ret);
	if (rc != 0)
		return rc;
	return run(*ret,
	    "pragma journal_mode = wal; pragma synchronous = normal; pragma mmap_size = 0;"
	    "pragma cache_size = -32768; pragma temp_store = memory; pragma wal_autocheckpoint = 4000;"
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
		f->position = f->committed = (uint64_t)sqlite3_column_int64(stmt, 2);
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

/* ---- statements --------------------------------------------------------------- */

/* The build has checked all this against the same declarations; a failure here is a broken build. */
static int prepare_step(struct projection_file *f, const struct handler *h, struct step *s, struct buf *problem)
{
	int code = prepare(f->db, s->from->sql, &s->stmt);

	if (code != SQLITE_OK)
		goto broken;
	s->paths = calloc(s->from->n_binds + 1, sizeof(*s->paths));
	if (s->paths == NULL)
		return ERR_NOMEM;
	assert(sqlite3_bind_parameter_count(s->stmt) == (int)s->from->n_binds);
	for (unsigned i = 0; i < s->from->n_binds; i++) {
		const struct projection_bind *b = &s->from->binds[i];

		if (b->source != PROJECTION_FIELD)
			continue;
		if (schema_path_find(h->type->schema, slice_str(b->path), &s->paths[i]) != 0) {
			if (problem != NULL)
				buf_printf(problem, "%s:%u: %s has no field %s", f->model->file, s->from->line, h->type->name,
				    b->path);
			return ERR_UNSUPPORTED;
		}
	}
	return 0;
broken:
	if (problem != NULL)
		buf_printf(problem, "%s:%u: %s", f->model->file, s->from->line, sqlite3_errmsg(f->db));
	return projection_sqlite_err(code) == ERR_INVALID ? ERR_UNSUPPORTED : projection_sqlite_err(code);
}

static int prepare_handler(struct projection_file *f, struct handler *h, const struct projection_handler *from,
    struct buf *problem)
{
	int rc = 0;

	h->from = from;
	h->type = event_type_by_id(from->type);
	h->steps = calloc(from->n_statements, sizeof(*h->steps));
	if (h->steps == NULL || h->type == NULL)
		return h->steps == NULL ? ERR_NOMEM : ERR_UNSUPPORTED;
	for (unsigned i = 0; i < from->n_statements && rc == 0; i++) {
		h->steps[i].from = &from->statements[i];
		rc = prepare_step(f, h, &h->steps[i], problem);
	}
	return rc;
}

static int prepare_all(struct projection_file *f, struct buf *problem)
{
	int rc = 0, code;

	f->handlers = calloc(f->model->n_handlers + 1, sizeof(*f->handlers));
	f->commits = calloc(f->model->n_commits + 1, sizeof(*f->commits));
	if (f->handlers == NULL || f->commits == NULL)
		return ERR_NOMEM;
	for (unsigned i = 0; i < f->model->n_handlers && rc == 0; i++)
		rc = prepare_handler(f, &f->handlers[i], &f->model->handlers[i], problem);
	if (rc != 0)
		return rc;
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
	f->arena = (struct arena)ARENA_INIT(DECODE_BYTES_MAX);
	f->json = (struct buf)BUF_INIT(BIND_BYTES_MAX);
	rc = connect_writer(&f->db, path, problem);
	if (rc == 0)
		rc = open_tables(f, problem);
	if (rc == 0)
		rc = prepare_all(f, problem);
	if (rc == 0)
		*ret = f;
	else
		projection_file_close(f);
	return rc;
}

static void finish_handler(struct handler *h)
{
	for (unsigned i = 0; h->steps != NULL && i < h->from->n_statements; i++) {
		sqlite3_finalize(h->steps[i].stmt);
		free(h->steps[i].paths);
	}
	free(h->steps);
}

void projection_file_close(struct projection_file *f)
{
	if (f == NULL)
		return;
	for (unsigned i = 0; f->handlers != NULL && i < f->model->n_handlers; i++)
		finish_handler(&f->handlers[i]);
	free(f->handlers);
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
	arena_finish(&f->arena);
	buf_finish(&f->json);
	free(f);
}

/* ---- apply ---------------------------------------------------------------------- */

static const struct handler *handler_of(const struct projection_file *f, uint16_t type)
{
	unsigned low = 0, high = f->model->n_handlers;

	while (low < high) {
		unsigned mid = (low + high) / 2;

		if (f->model->handlers[mid].type < type)
			low = mid + 1;
		else
			high = mid;
	}
	return low < f->model->n_handlers && f->model->handlers[low].type == type ? &f->handlers[low] : NULL;
}

/* Whether one path leads to the other or through it: "operator" and "operator.user_name". */
static bool overlaps(const char *a, const char *b)
{
	while (*a != '\0' && *a == *b) {
		a++;
		b++;
	}
	return (*a == '\0' && (*b == '\0' || *b == '.')) || (*b == '\0' && *a == '.');
}

static bool is_bound(const struct handler *h, const char *field)
{
	for (unsigned i = 0; i < h->from->n_statements; i++) {
		const struct projection_statement *s = &h->from->statements[i];

		for (unsigned k = 0; k < s->n_binds; k++)
			if (s->binds[k].source == PROJECTION_FIELD && overlaps(s->binds[k].path, field))
				return true;
	}
	return false;
}

/* Opening costs a decryption; fields no statement asks for stay shut, which looks like erased. */
static int open_bound(void *arg, const char *field, struct slice sealed, struct arena *arena, struct slice *ret_json)
{
	struct opening *o = arg;

	if (!is_bound(o->handler, field))
		return ERR_ERASED;
	return o->hooks->open(o->hooks->arg, field, sealed, arena, ret_json);
}

static int decode(struct projection_file *f, const struct handler *h, const struct log_record *record,
    struct sealer *sealer, struct event *ret)
{
	struct envelope envelope = {0};
	struct seal_scope scope = {.sealer = sealer};
	struct seal_hooks hooks = {0}, bound = {.open = open_bound};
	struct opening opening = {&hooks, h};
	int rc;

	arena_reset(&f->arena);
	rc = envelope_decode(record->entry, record->position, &f->arena, &envelope);
	if (rc != 0)
		return rc;
	if (sealer == NULL)
		return event_decode_data(&envelope, NULL, &f->arena, ret);
	scope.event_id = envelope.id;
	seal_scope_hooks(&hooks, &scope);
	bound.arg = &opening;
	return event_decode_data(&envelope, &bound, &f->arena, ret);
}

static int bind_slice(sqlite3_stmt *stmt, int i, struct slice text)
{
	return text.ptr == NULL ? sqlite3_bind_null(stmt, i)
	                        : sqlite3_bind_text(stmt, i, text.ptr, (int)text.len, SQLITE_STATIC);
}

/* Objects and lists as JSON, copied: the next parameter uses the same buffer. */
static int bind_json(struct projection_file *f, sqlite3_stmt *stmt, int i, const struct schema_field *field,
    const void *member)
{
	struct json_writer w = JSON_WRITER(&f->json);

	buf_clear(&f->json);
	if (schema_encode_field(field, member, &w) != 0 || f->json.rc != 0)
		return SQLITE_TOOBIG;
	return sqlite3_bind_text(stmt, i, f->json.ptr, (int)f->json.len, SQLITE_TRANSIENT);
}

static int bind_field(struct projection_file *f, sqlite3_stmt *stmt, int i, const struct schema_path *path,
    const void *data)
{
	const struct schema_field *field = path->fields[path->n - 1];
	const void *member = schema_path_get(path, data);

	if (member == NULL)
		return sqlite3_bind_null(stmt, i);
	switch (field->kind) {
	case SCHEMA_TEXT:
	case SCHEMA_JSON:
		return bind_slice(stmt, i, *(const struct slice *)member);
	case SCHEMA_INT:
		return sqlite3_bind_int64(stmt, i, *(const int64_t *)member);
	case SCHEMA_REAL:
		return sqlite3_bind_double(stmt, i, *(const double *)member);
	case SCHEMA_BOOL:
		return sqlite3_bind_int(stmt, i, *(const bool *)member);
	default:
		return bind_json(f, stmt, i, field, member);
	}
}

static int bind_one(struct projection_file *f, const struct step *s, unsigned k, const struct log_record *record,
    const struct event *event)
{
	const struct envelope *e = &event->envelope;
	int i = (int)k + 1;

	switch (s->from->binds[k].source) {
	case PROJECTION_FIELD:
		return bind_field(f, s->stmt, i, &s->paths[k], event->data);
	case PROJECTION_POSITION:
		return sqlite3_bind_int64(s->stmt, i, (sqlite3_int64)record->position);
	case PROJECTION_TIME:
		return sqlite3_bind_int64(s->stmt, i, e->time_us / 1000);
	case PROJECTION_STREAM:
		return bind_slice(s->stmt, i, e->subject);
	case PROJECTION_VERSION:
		return sqlite3_bind_int64(s->stmt, i, record->stream_version);
	case PROJECTION_ACTOR:
		return bind_slice(s->stmt, i, e->actor);
	case PROJECTION_TYPE:
		return bind_slice(s->stmt, i, e->type);
	case PROJECTION_ID:
		return bind_slice(s->stmt, i, e->id);
	case PROJECTION_SOURCE:
		return bind_slice(s->stmt, i, e->source);
	case PROJECTION_DATA:
		return bind_slice(s->stmt, i, e->data);
	}
	return SQLITE_MISUSE;
}

/* A statement may give rows (a select run for a function's effect does not exist here); they are passed over. */
static int run_step(struct projection_file *f, const struct step *s, const struct log_record *record,
    const struct event *event)
{
	int code = SQLITE_OK, reset;

	for (unsigned k = 0; k < s->from->n_binds && code == SQLITE_OK; k++)
		code = bind_one(f, s, k, record, event);
	if (code == SQLITE_OK)
		do
			code = sqlite3_step(s->stmt);
		while (code == SQLITE_ROW);
	reset = sqlite3_reset(s->stmt);
	return code == SQLITE_DONE ? reset : code;
}

int projection_file_apply(struct projection_file *f, const struct log_record *record, struct sealer *sealer,
    struct buf *problem)
{
	const struct handler *h = handler_of(f, record->type);
	struct event event = {0};
	int rc, code;

	if (record->position != f->position) {
		if (problem != NULL)
			buf_append_str(problem, "the log has a gap");
		return ERR_CORRUPT;
	}
	if (h == NULL) {
		f->position++;
		return 0;
	}
	rc = decode(f, h, record, sealer, &event);
	if (rc != 0 || event.data == NULL) {
		if (problem != NULL)
			buf_printf(problem, "%s cannot be read: %s", h->type->name, rc == 0 ? "unknown type" : err_text(rc));
		/* Whatever it is, it is the event's trouble (or its key's), not the file's. */
		return rc == 0 || projection_file_is_lost(rc) ? ERR_MALFORMED : rc;
	}
	for (unsigned i = 0; i < h->from->n_statements; i++) {
		code = run_step(f, &h->steps[i], record, &event);
		if (code == SQLITE_OK)
			continue;
		if (problem != NULL)
			buf_printf(problem, "%s:%u: %s: %s", f->model->file, h->steps[i].from->line, h->type->name,
			    sqlite3_errmsg(f->db));
		return projection_sqlite_err(code);
	}
	f->position++;
	return 0;
}

void projection_file_skip(struct projection_file *f)
{
	f->position++;
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
	return run_plain(f->begin);
}

int projection_file_commit(struct projection_file *f, const uint8_t last_hash[SHA256_LEN])
{
	int rc = 0;

	for (unsigned i = 0; i < f->model->n_commits && rc == 0; i++)
		rc = run_plain(f->commits[i]);
	sqlite3_bind_int64(f->save, 1, (sqlite3_int64)f->position);
	sqlite3_bind_blob(f->save, 2, last_hash, SHA256_LEN, SQLITE_STATIC);
	if (rc == 0)
		rc = run_plain(f->save);
	if (rc == 0)
		rc = run_plain(f->commit);
	if (rc != 0)
		return rc;
	f->committed = f->position;
	memcpy(f->last_hash, last_hash, SHA256_LEN);
	return 0;
}

void projection_file_rollback(struct projection_file *f)
{
	if (!sqlite3_get_autocommit(f->db))
		run_plain(f->rollback);
	f->position = f->committed;
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

void projection_file_last_hash(const struct projection_file *f, uint8_t ret[SHA256_LEN])
{
	memcpy(ret, f->last_hash, SHA256_LEN);
}

/* ---- readers ------------------------------------------------------------------------ */

int projection_open_readonly(struct sqlite3 **ret, const char *path)
{
	const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	sqlite3 *db = NULL;
	int rc = projection_sqlite_err(sqlite3_open_v2(path, &db, flags, NULL));

	if (rc == 0) {
		sqlite3_extended_result_codes(db, 1);
		sqlite3_busy_timeout(db, 2000);
		sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		rc = register_functions(db);
	}
	if (rc == 0)
		rc = projection_sqlite_err(sqlite3_exec(db, "pragma query_only = on; pragma mmap_size = 0;"
		    "pragma cache_size = -8192; pragma temp_store = memory", NULL, NULL, NULL));
	if (rc == 0)
		*ret = db;
	else
		sqlite3_close(db);
	return rc;
}

void projection_close_readonly(struct sqlite3 *db)
{
	sqlite3_close(db);
}

bool projection_read_problem(struct sqlite3 *db, struct buf *out)
{
	sqlite3_stmt *stmt = NULL;
	bool any = false;

	if (prepare(db, "select problem from projection_state where problem is not null", &stmt) == SQLITE_OK &&
	    sqlite3_step(stmt) == SQLITE_ROW) {
		any = true;
		buf_append(out, slice_of(sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0)));
	}
	sqlite3_finalize(stmt);
	return any;
}

int projection_read_position(struct sqlite3 *db, uint64_t *ret_position)
{
	int64_t position;
	int rc = ask_integer(db, "select position from projection_state where id = 1", -1, &position);

	if (rc == ERR_INVALID || (rc == 0 && position < 0))
		rc = ERR_CORRUPT;
	if (rc == 0)
		*ret_position = (uint64_t)position;
	return rc;
}
