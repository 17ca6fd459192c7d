/* Answers of the query pool as JSON, NDJSON and CSV, written row by row. */
#include <sqlite3.h>

#include "base/clock.h"
#include "base/json.h"
#include "store/query_private.h"

/* What time_format_ms() can write: years 1 to 9999. */
#define TIME_MS_MIN (-62135596800000)
#define TIME_MS_MAX 253402300799999

static struct slice text_of(sqlite3_stmt *stmt, int i)
{
	const unsigned char *text = sqlite3_column_text(stmt, i);

	return slice_of(text, text == NULL ? 0 : (size_t)sqlite3_column_bytes(stmt, i));
}

/* Empty when it cannot be written. */
static struct slice time_of(sqlite3_stmt *stmt, int i, char text[TIME_TEXT_MS_LEN + 1])
{
	int64_t ms = sqlite3_column_int64(stmt, i);

	if (ms < TIME_MS_MIN || ms > TIME_MS_MAX)
		return SLICE("");
	time_format_ms(text, ms);
	return slice_of(text, TIME_TEXT_MS_LEN);
}

static bool is_wanted(uint64_t fields, unsigned i)
{
	return fields == 0 || (fields >> i & 1) != 0;
}

/* ---- JSON --------------------------------------------------------------------- */

static void json_put_column(struct json_writer *w, sqlite3_stmt *stmt, int i, enum column_kind kind)
{
	char time[TIME_TEXT_MS_LEN + 1];
	struct slice text;

	if (sqlite3_column_type(stmt, i) == SQLITE_NULL) {
		json_put_null(w);
		return;
	}
	switch (kind) {
	case COLUMN_INTEGER:
		json_put_i64(w, sqlite3_column_int64(stmt, i));
		break;
	case COLUMN_REAL:
		json_put_double(w, sqlite3_column_double(stmt, i));
		break;
	case COLUMN_BOOL:
		json_put_bool(w, sqlite3_column_int(stmt, i) != 0);
		break;
	case COLUMN_TIME:
		text = time_of(stmt, i, time);
		if (text.len == 0)
			json_put_null(w);
		else
			json_put_string(w, text);
		break;
	case COLUMN_JSON:
		json_put_raw(w, text_of(stmt, i));
		break;
	case COLUMN_TEXT:
	default:
		json_put_string(w, text_of(stmt, i));
	}
}

static void json_put_row(struct buf *out, sqlite3_stmt *stmt, int first, const struct query_column *columns,
    uint64_t fields)
{
	struct json_writer w = JSON_WRITER(out);

	json_begin_object(&w);
	for (unsigned i = 0; columns[i].name != NULL; i++) {
		if (!is_wanted(fields, i))
			continue;
		json_name(&w, columns[i].name);
		json_put_column(&w, stmt, first + (int)i, columns[i].kind);
	}
	json_end_object(&w);
}

/* ---- CSV (RFC 4180) --------------------------------------------------------------- */

static void csv_put(struct buf *out, struct slice text)
{
	bool quote = false;

	for (size_t i = 0; i < text.len && !quote; i++)
		quote = text.ptr[i] == '"' || text.ptr[i] == ',' || text.ptr[i] == '\n' || text.ptr[i] == '\r';
	if (!quote) {
		buf_append(out, text);
		return;
	}
	buf_append_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"')
			buf_append_char(out, '"');
		buf_append_char(out, text.ptr[i]);
	}
	buf_append_char(out, '"');
}

static void csv_put_column(struct buf *out, sqlite3_stmt *stmt, int i, enum column_kind kind)
{
	char time[TIME_TEXT_MS_LEN + 1];

	if (sqlite3_column_type(stmt, i) == SQLITE_NULL)
		return;
	if (kind == COLUMN_BOOL)
		buf_append_str(out, sqlite3_column_int(stmt, i) != 0 ? "true" : "false");
	else if (kind == COLUMN_TIME)
		buf_append(out, time_of(stmt, i, time));
	else
		csv_put(out, text_of(stmt, i));
}

static void csv_put_row(struct buf *out, sqlite3_stmt *stmt, int first, const struct query_column *columns,
    uint64_t fields)
{
	bool comma = false;

	for (unsigned i = 0; columns[i].name != NULL; i++) {
		if (!is_wanted(fields, i))
			continue;
		if (comma)
			buf_append_char(out, ',');
		comma = true;
		if (stmt == NULL)
			csv_put(out, slice_str(columns[i].name));
		else
			csv_put_column(out, stmt, first + (int)i, columns[i].kind);
	}
	buf_append_str(out, "\r\n");
}

/* ---- any ------------------------------------------------------------------------------ */

void rows_begin(struct buf *out, const struct query *q, const struct query_column *columns, uint64_t fields)
{
	if (q->format == QUERY_JSON && !q->single)
		buf_append_char(out, '[');
	else if (q->format == QUERY_CSV && (q->list == NULL || !q->list->has_cursor))
		csv_put_row(out, NULL, 0, columns, fields);
}

void rows_put(struct buf *out, const struct query *q, struct sqlite3_stmt *stmt, int first,
    const struct query_column *columns, uint64_t fields, uint64_t n)
{
	if (q->format == QUERY_CSV) {
		csv_put_row(out, stmt, first, columns, fields);
		return;
	}
	if (q->format == QUERY_JSON && n > 0)
		buf_append_char(out, ',');
	json_put_row(out, stmt, first, columns, fields);
	if (q->format == QUERY_NDJSON)
		buf_append_char(out, '\n');
}

void rows_end(struct buf *out, const struct query *q)
{
	if (q->format == QUERY_JSON && !q->single)
		buf_append_char(out, ']');
}
