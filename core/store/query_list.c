/*
 * The statement of a list, put together from the constant pieces that
 * tools/gen_projections.py has prepared, and the cursor that continues it.
 *
 * A cursor is base64url of   order 'a'|'d' 'i'|'t' value 0x1f key   : the number
 * of the sort, which way, the sort value (integer or text) and the key of the
 * last row. Nothing in it is trusted: a forged one finds other rows of the same
 * list, which its bearer may read anyway.
 */
#include <assert.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>

#include "base/codec.h"
#include "base/err.h"
#include "store/query_private.h"

#define CURSOR_BYTES_MAX 1024
#define PARAM_NAME_MAX 64

/* ---- the statement -------------------------------------------------------------- */

uint32_t list_variant(const struct list_request *rq, bool count)
{
	uint32_t v = 0;

	for (unsigned i = 0; rq->list->filters[i].name != NULL; i++)
		if (rq->filters[i].ptr != NULL)
			v |= 1u << i;
	v |= (uint32_t)rq->has_from << 12 | (uint32_t)rq->has_to << 13 | (uint32_t)(rq->search.len > 0) << 14;
	if (count)
		return v | 1u << 31;
	return v | (uint32_t)rq->has_cursor << 15 | (uint32_t)rq->descending << 16 | rq->sort << 17;
}

static void put_condition(struct buf *out, bool *any, const char *sql)
{
	buf_printf(out, "%s(%s)", *any ? " and " : " where ", sql);
	*any = true;
}

static void put_conditions(struct buf *out, const struct list_request *rq, bool cursor)
{
	const struct list_def *l = rq->list;
	bool any = false;

	if (l->where != NULL)
		put_condition(out, &any, l->where);
	for (unsigned i = 0; l->filters[i].name != NULL; i++)
		if (rq->filters[i].ptr != NULL)
			put_condition(out, &any, l->filters[i].sql);
	if (rq->has_from)
		put_condition(out, &any, l->range_from_sql);
	if (rq->has_to)
		put_condition(out, &any, l->range_to_sql);
	if (rq->search.len > 0)
		put_condition(out, &any, l->search_sql);
	if (cursor) { /* the first half says nothing new, but SQLite finds its place in an index on an expression by it */
		const char *column = l->sorts[rq->sort].column, *sign = rq->descending ? "<" : ">";

		buf_printf(out, "%s%s %s= :cursor_value and (%s, %s) %s (:cursor_value, :cursor_key)",
		    any ? " and " : " where ", column, sign, column, l->key, sign);
	}
}

int list_sql(struct buf *out, const struct list_request *rq, bool count)
{
	const struct list_def *l = rq->list;
	const char *column = l->sorts[rq->sort].column, *way = rq->descending ? "desc" : "asc";

	if (count) {
		buf_printf(out, "select count(*) from %s", l->from);
		put_conditions(out, rq, false);
		return out->rc;
	}
	buf_printf(out, "select %s, %s, %s from %s", l->key, column, l->select, l->from);
	put_conditions(out, rq, rq->has_cursor);
	return buf_printf(out, " order by %s %s, %s %s limit :limit offset :offset", column, way, l->key, way);
}

/* 0 when the statement has no such parameter. */
static int param(sqlite3_stmt *stmt, const char *name)
{
	char with_colon[PARAM_NAME_MAX];

	snprintf(with_colon, sizeof(with_colon), ":%s", name);
	return sqlite3_bind_parameter_index(stmt, with_colon);
}

static int bind_text(sqlite3_stmt *stmt, const char *name, struct slice text)
{
	return sqlite3_bind_text(stmt, param(stmt, name), text.ptr == NULL ? "" : text.ptr, (int)text.len, SQLITE_STATIC);
}

static bool truth(struct slice text)
{
	return slice_is(text, "true") || slice_is(text, "1");
}

static int bind_filter(sqlite3_stmt *stmt, const struct list_filter *f, struct slice value)
{
	int64_t number = 0;

	if (f->is_bool)
		return sqlite3_bind_int(stmt, param(stmt, f->name), truth(value));
	if (!f->is_integer)
		return bind_text(stmt, f->name, value);
	if (slice_to_i64(value, &number) != 0)
		return sqlite3_bind_null(stmt, param(stmt, f->name));
	return sqlite3_bind_int64(stmt, param(stmt, f->name), number);
}

static int bind_place(sqlite3_stmt *stmt, const struct list_request *rq)
{
	int code = SQLITE_OK;

	if (rq->has_cursor) {
		code = bind_text(stmt, "cursor_key", rq->cursor_key);
		if (code == SQLITE_OK)
			code = rq->cursor_is_integer ? sqlite3_bind_int64(stmt, param(stmt, "cursor_value"), rq->cursor_integer)
			                             : bind_text(stmt, "cursor_value", rq->cursor_text);
	}
	if (code == SQLITE_OK) /* one more than asked for tells whether there are more */
		code = sqlite3_bind_int64(stmt, param(stmt, "limit"), (sqlite3_int64)rq->limit + 1);
	if (code == SQLITE_OK)
		code = sqlite3_bind_int64(stmt, param(stmt, "offset"),
		    rq->has_cursor || rq->page == 0 ? 0 : (sqlite3_int64)(rq->page - 1) * rq->limit);
	return code;
}

int list_bind(struct sqlite3_stmt *stmt, const struct list_request *rq, bool count, struct slice search)
{
	const struct list_def *l = rq->list;
	int code = SQLITE_OK;

	for (unsigned i = 0; l->filters[i].name != NULL && code == SQLITE_OK; i++)
		if (rq->filters[i].ptr != NULL)
			code = bind_filter(stmt, &l->filters[i], rq->filters[i]);
	if (code == SQLITE_OK && rq->has_from)
		code = sqlite3_bind_int64(stmt, param(stmt, l->range_from), rq->from_ms);
	if (code == SQLITE_OK && rq->has_to)
		code = sqlite3_bind_int64(stmt, param(stmt, l->range_to), rq->to_ms);
	if (code == SQLITE_OK && rq->search.len > 0)
		code = bind_text(stmt, "search", search);
	if (code == SQLITE_OK && !count)
		code = bind_place(stmt, rq);
	return code == SQLITE_OK ? 0 : ERR_NOMEM;
}

/* ---- the cursor -------------------------------------------------------------------- */

int list_cursor(struct buf *out, const struct list_request *rq, struct sqlite3_stmt *stmt)
{
	bool integer = sqlite3_column_type(stmt, 1) == SQLITE_INTEGER;
	struct buf plain = BUF_INIT(CURSOR_BYTES_MAX);
	int rc;

	buf_printf(&plain, "%u%c%c", rq->sort, rq->descending ? 'd' : 'a', integer ? 'i' : 't');
	buf_append_str(&plain, (const char *)sqlite3_column_text(stmt, 1));
	buf_append_char(&plain, 0x1f);
	rc = buf_append_str(&plain, (const char *)sqlite3_column_text(stmt, 0));
	if (rc == 0)
		rc = base64url_encode(out, buf_slice(&plain));
	buf_finish(&plain);
	return rc;
}
