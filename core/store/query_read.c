/*
 * One thread's way to the files: a connection for each read model, reopened
 * when another file answers for it, and the statements prepared on it.
 */
#include <assert.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "store/projection_file.h"
#include "store/projector.h"
#include "store/query_private.h"
#include "store/tokenizer.h"

#define STATEMENTS_MAX 64 /* kept for each connection; the one unused longest goes */
#define MODELS_MAX 32
#define SQL_BYTES_MAX 16384
#define SEARCH_BYTES_MAX 4096
#define PATH_BYTES_MAX 4096
#define CURSOR_BYTES_MAX 4096
#define KEY_BYTES_MAX 65536

struct statement {
	const void *def; /* query_def or list_def; NULL = free */
	uint32_t variant;
	uint64_t used;
	sqlite3_stmt *stmt;
	/* Of a count: its answer, for what was asked, when the file stood at this position (0: none). */
	uint64_t total, total_position;
	struct buf total_of;
};

struct connection {
	const struct projection *model; /* NULL = free */
	uint64_t generation;
	bool stale;
	sqlite3 *db;
	sqlite3_stmt *begin, *position, *rollback;
	struct statement statements[STATEMENTS_MAX];
};

struct reader {
	struct projector *projector;
	uint64_t clock; /* counts uses, for `used` */
	struct buf path, sql, search, key;
	struct connection connections[MODELS_MAX];
};

int reader_create(struct reader **ret, struct projector *projector)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return ERR_NOMEM;
	r->projector = projector;
	r->path = (struct buf)BUF_INIT(PATH_BYTES_MAX);
	r->sql = (struct buf)BUF_INIT(SQL_BYTES_MAX);
	r->search = (struct buf)BUF_INIT(SEARCH_BYTES_MAX);
	r->key = (struct buf)BUF_INIT(KEY_BYTES_MAX);
	*ret = r;
	return 0;
}

static void forget(struct statement *s)
{
	sqlite3_finalize(s->stmt);
	buf_finish(&s->total_of);
	*s = (struct statement){0};
}

static void disconnect(struct connection *c)
{
	for (unsigned i = 0; i < STATEMENTS_MAX; i++)
		forget(&c->statements[i]);
	sqlite3_finalize(c->begin);
	sqlite3_finalize(c->position);
	sqlite3_finalize(c->rollback);
	projection_close_readonly(c->db);
	*c = (struct connection){0};
}

void reader_destroy(struct reader *r)
{
	if (r == NULL)
		return;
	for (unsigned i = 0; i < MODELS_MAX; i++)
		disconnect(&r->connections[i]);
	buf_finish(&r->path);
	buf_finish(&r->sql);
	buf_finish(&r->search);
	buf_finish(&r->key);
	free(r);
}

/* ---- connections ------------------------------------------------------------------ */

/* What is around every answer. */
static int prepare_moment(struct connection *c)
{
	const struct {
		const char *sql;
		sqlite3_stmt **ret;
	} wanted[] = {{"begin", &c->begin}, {PROJECTION_POSITION_SQL, &c->position}, {"rollback", &c->rollback}};
	int code = SQLITE_OK;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]) && code == SQLITE_OK; i++)
		code = sqlite3_prepare_v3(c->db, wanted[i].sql, -1, SQLITE_PREPARE_PERSISTENT, wanted[i].ret, NULL);
	return projection_sqlite_err(code);
}

static bool is_of_version(struct slice path, const char *version)
{
	return path.len > 19 && memcmp(path.ptr + path.len - 19, version, 16) == 0;
}

static int connection_of(struct reader *r, const struct projection *model, struct connection **ret)
{
	struct connection *c = NULL;
	uint64_t generation;
	int rc;

	for (unsigned i = 0; i < MODELS_MAX && c == NULL; i++)
		if (r->connections[i].model == model || r->connections[i].model == NULL)
			c = &r->connections[i];
	assert(c != NULL);
	rc = projector_serving(r->projector, model, &r->path, &generation);
	if (rc == 0 && c->model == model && c->generation == generation) {
		*ret = c;
		return 0;
	}
	disconnect(c);
	if (rc == 0)
		rc = projection_open_readonly(&c->db, r->path.ptr);
	if (rc == 0)
		rc = prepare_moment(c);
	if (rc != 0) {
		disconnect(c);
		return rc == ERR_NOMEM ? rc : ERR_UNAVAILABLE;
	}
	c->model = model;
	c->generation = generation;
	c->stale = !is_of_version(buf_slice(&r->path), model->version);
	*ret = c;
	return 0;
}

static struct statement *slot_for(struct connection *c, const void *def, uint32_t variant)
{
	struct statement *oldest = &c->statements[0];

	for (unsigned i = 0; i < STATEMENTS_MAX; i++) {
		struct statement *s = &c->statements[i];

		if (s->def == def && s->variant == variant)
			return s;
		if (s->used < oldest->used)
			oldest = s;
	}
	forget(oldest);
	return oldest;
}

/* The file of an older version may lack what a newer statement asks for: then there is no answer until it is replaced. */
static int prepared(struct reader *r, struct connection *c, const struct query *q, bool count,
    struct statement **ret)
{
	const void *def = q->list != NULL ? (const void *)q->list->list : (const void *)q->def;
	uint32_t variant = q->list != NULL ? list_variant(q->list, count) : 0;
	struct statement *s = slot_for(c, def, variant);
	const char *sql;
	int rc, code;

	s->used = ++r->clock;
	*ret = s;
	if (s->def != NULL)
		return 0;
	buf_clear(&r->sql);
	rc = q->list != NULL ? list_sql(&r->sql, q->list, count) : 0;
	if (rc != 0)
		return rc;
	sql = q->list != NULL ? r->sql.ptr : q->def->sql;
	code = sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->stmt, NULL);
	if (code != SQLITE_OK)
		return (code & 0xff) == SQLITE_ERROR && c->stale ? ERR_UNAVAILABLE : projection_sqlite_err(code);
	s->def = def;
	s->variant = variant;
	return 0;
}

/* ---- answers ------------------------------------------------------------------------ */

static int bind_params(sqlite3_stmt *stmt, const struct query *q)
{
	int code = SQLITE_OK;

	for (unsigned i = 0; i < q->n_params && code == SQLITE_OK; i++) {
		const struct query_param *p = &q->params[i];
		char name[64];
		int index;

		snprintf(name, sizeof(name), ":%s", p->name);
		index = sqlite3_bind_parameter_index(stmt, name);
		assert(index > 0);
		if (p->is_null)
			code = sqlite3_bind_null(stmt, index);
		else if (p->is_integer)
			code = sqlite3_bind_int64(stmt, index, p->integer);
		else
			code = sqlite3_bind_text(stmt, index, p->text.ptr == NULL ? "" : p->text.ptr, (int)p->text.len,
			    SQLITE_STATIC);
	}
	return projection_sqlite_err(code);
}

static void done_with(sqlite3_stmt *stmt)
{
	sqlite3_reset(stmt);
	sqlite3_clear_bindings(stmt);
}

/* What decides a count besides its statement, so that equal texts have equal totals. */
static int count_key(struct buf *out, const struct list_request *rq)
{
	for (unsigned i = 0; rq->list->filters[i].name != NULL; i++) {
		buf_printf(out, "%u:%zu:", i, rq->filters[i].len);
		buf_append(out, rq->filters[i]);
	}
	buf_printf(out, "%" PRId64 ":%" PRId64 ":", rq->has_from ? rq->from_ms : 0, rq->has_to ? rq->to_ms : 0);
	return buf_append(out, rq->search);
}

/* Counting a long list takes longer than reading a page of it: between two changes of the file it is done once. */
static int count_rows(struct reader *r, struct connection *c, struct query *q)
{
	struct statement *s;
	sqlite3_stmt *stmt;
	int code, rc = prepared(r, c, q, true, &s);

	stmt = s == NULL ? NULL : s->stmt;
	buf_clear(&r->key);
	if (rc == 0)
		rc = count_key(&r->key, q->list);
	if (rc == 0 && s->total_position == q->rows_position && slice_eq(buf_slice(&s->total_of), buf_slice(&r->key))) {
		q->total = s->total;
		return 0;
	}
	if (rc == 0)
		rc = list_bind(stmt, q->list, true, buf_slice(&r->search));
	if (rc != 0)
		return rc;
	code = sqlite3_step(stmt);
	if (code == SQLITE_ROW) {
		q->total = s->total = (uint64_t)sqlite3_column_int64(stmt, 0);
		s->total_of.max = KEY_BYTES_MAX;
		buf_clear(&s->total_of);
		buf_append(&s->total_of, buf_slice(&r->key));
		s->total_position = s->total_of.rc == 0 ? q->rows_position : 0;
	}
	done_with(stmt);
	return projection_sqlite_err(code);
}

/* One row at a time, so that the last one written can give the cursor. */
static int read_list(struct query *q, sqlite3_stmt *stmt)
{
	const struct list_request *rq = q->list;
	struct rows rows;
	int code, rc;

	rows_begin(&rows, q, rq->list->columns, rq->fields);
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW && q->out.rc == 0) {
		if (q->rows == rq->limit) {
			q->more = true;
			break;
		}
		rows_put(&rows, stmt, 2);
		if (++q->rows == rq->limit) {
			buf_clear(&q->next_cursor);
			rc = list_cursor(&q->next_cursor, rq, stmt);
			if (rc != 0)
				return rc;
		}
	}
	rows_end(&rows);
	if (!q->more)
		buf_clear(&q->next_cursor);
	return q->out.rc != 0 ? q->out.rc : projection_sqlite_err(code);
}

static int read_query(struct query *q, sqlite3_stmt *stmt)
{
	struct rows rows;
	int code;

	rows_begin(&rows, q, q->def->columns, 0);
	while ((code = sqlite3_step(stmt)) == SQLITE_ROW && q->out.rc == 0) {
		rows_put(&rows, stmt, 0);
		q->rows++;
		if (q->single)
			break;
	}
	rows_end(&rows);
	if (q->out.rc != 0)
		return q->out.rc;
	if (q->single && code == SQLITE_DONE)
		return ERR_NOT_FOUND;
	return projection_sqlite_err(code);
}

static int read_rows(struct reader *r, struct connection *c, struct query *q)
{
	struct statement *s = NULL;
	sqlite3_stmt *stmt = NULL;
	int rc = 0;

	if (q->list != NULL && q->list->search.len > 0) {
		buf_clear(&r->search);
		rc = tokenizer_query(&r->search, q->list->search);
	}
	if (rc == 0 && q->list != NULL && q->list->want_total)
		rc = count_rows(r, c, q);
	if (rc == 0)
		rc = prepared(r, c, q, false, &s);
	if (rc == 0) {
		stmt = s->stmt;
		rc = q->list != NULL ? list_bind(stmt, q->list, false, buf_slice(&r->search)) : bind_params(stmt, q);
	}
	if (rc == 0)
		rc = q->list != NULL ? read_list(q, stmt) : read_query(q, stmt);
	if (stmt != NULL)
		done_with(stmt);
	return rc;
}

static int run(sqlite3_stmt *stmt)
{
	int code = sqlite3_step(stmt), reset = sqlite3_reset(stmt);

	return projection_sqlite_err(code == SQLITE_DONE ? reset : code);
}

static int read_position(struct connection *c, uint64_t *ret)
{
	int code = sqlite3_step(c->position);
	int64_t position = code == SQLITE_ROW ? sqlite3_column_int64(c->position, 0) : -1;

	sqlite3_reset(c->position);
	if (code != SQLITE_ROW && code != SQLITE_DONE)
		return projection_sqlite_err(code);
	*ret = (uint64_t)position;
	return position < 0 ? ERR_CORRUPT : 0;
}

/* Position, total and rows of one moment: one read transaction. */
static int read_moment(struct reader *r, struct connection *c, struct query *q)
{
	struct projector_stand stand = {0};
	int rc;

	/* Before the transaction: all that came since then and concerns these rows is seen by the file's own position. */
	projector_stand(r->projector, c->model, c->generation, &stand);
	rc = run(c->begin);
	if (rc == 0)
		rc = read_position(c, &q->rows_position);
	q->position = q->rows_position > stand.position ? q->rows_position : stand.position;
	if (rc == 0 && q->has_min_position && q->position <= q->min_position)
		rc = ERR_TIMEOUT;
	if (rc == 0)
		rc = read_rows(r, c, q);
	return run(c->rollback) == 0 ? rc : ERR_IO; /* a connection that cannot end its transaction begins no other */
}

static void try_answer(struct reader *r, struct query *q, struct connection **ret)
{
	const struct projection *model = q->list != NULL ? q->list->list->projection : q->def->projection;

	buf_clear(&q->out);
	buf_clear(&q->next_cursor);
	q->rows = q->total = 0;
	q->more = false;
	q->rc = connection_of(r, model, ret);
	if (q->rc != 0)
		return;
	q->stale = (*ret)->stale;
	q->generation = (*ret)->generation;
	q->rc = read_moment(r, *ret, q);
	if (q->rc == ERR_INVALID) /* the statements are the build's own: it is the file that is not what they were made for */
		q->rc = ERR_CORRUPT;
	if (projection_file_is_lost(q->rc)) { /* its projector will find out and build it anew */
		disconnect(*ret);
		q->rc = ERR_UNAVAILABLE;
	}
}

/* Whether another file has taken over since the connection was chosen. */
static bool has_moved(struct reader *r, const struct projection *model, uint64_t generation)
{
	uint64_t now;

	return projector_serving(r->projector, model, &r->path, &now) == 0 && now != generation;
}

/* At a swap the old file goes while somebody may be opening it: such an attempt is made again with the new one. */
void reader_answer(struct reader *r, struct query *q, size_t answer_max)
{
	const struct projection *model = q->list != NULL ? q->list->list->projection : q->def->projection;

	if (q->out.max == 0)
		q->out.max = answer_max;
	if (q->next_cursor.max == 0)
		q->next_cursor.max = CURSOR_BYTES_MAX;
	for (unsigned tries = 0; tries < 3; tries++) {
		struct connection *c = NULL;
		uint64_t generation = 0;

		projector_serving(r->projector, model, &r->path, &generation);
		try_answer(r, q, &c);
		if (q->rc != ERR_UNAVAILABLE || !has_moved(r, model, generation))
			break;
	}
}
