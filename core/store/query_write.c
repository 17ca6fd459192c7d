/*
 * Answers of the query pool as JSON, NDJSON and CSV, written row by row.
 *
 * A page of twenty meetings is some six hundred values, and writing them used to
 * cost as much as finding them. So JSON goes into the buffer by a pen: room is
 * made for a name and its value at once, names are ready with their quotes, and
 * what is ASCII without escapes is checked while it is copied.
 */
#include <sqlite3.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_text.h"
#include "store/query_private.h"

/* What time_format_ms() can write: years 1 to 9999. */
#define TIME_MS_MIN (-62135596800000)
#define TIME_MS_MAX 253402300799999
#define DAY_MS 86400000
#define DATE_LEN 11 /* "2026-11-23T" */
#define NUMBER_LEN_MAX 20

/* ---- cells ---------------------------------------------------------------------- */

/* A value of a row. The row's connection is this thread's alone, so SQLite has no lock on it to ask for. */
struct cell {
	const struct query_column *column;
	sqlite3_value *value;
	struct slice text; /* unless it is a number in the table */
	bool is_null;
};

static struct slice text_of(sqlite3_value *value)
{
	const unsigned char *text = sqlite3_value_text(value);

	return slice_of(text, text == NULL ? 0 : (size_t)sqlite3_value_bytes(value));
}

static bool is_text(const struct query_column *column)
{
	return column->kind == COLUMN_TEXT || column->kind == COLUMN_JSON || column->is_latest;
}

static void read_cell(struct cell *cell, sqlite3_stmt *stmt, int i, const struct query_column *column)
{
	cell->column = column;
	cell->value = sqlite3_column_value(stmt, i);
	cell->is_null = sqlite3_value_type(cell->value) == SQLITE_NULL;
	cell->text = (struct slice){0};
	if (cell->is_null || !is_text(column))
		return;
	cell->text = text_of(cell->value);
	if (!column->is_latest)
		return;
	cell->is_null = cell->text.len <= LATEST_DIGITS;
	if (!cell->is_null)
		cell->text = slice_of(cell->text.ptr + LATEST_DIGITS, cell->text.len - LATEST_DIGITS);
}

/* False when it is none. */
static bool integer_of(const struct cell *cell, int64_t *ret)
{
	if (cell->column->is_latest)
		return slice_to_i64(cell->text, ret) == 0;
	*ret = sqlite3_value_int64(cell->value);
	return true;
}

/* False when it cannot be written. */
static bool time_of(const struct cell *cell, int64_t *ret_ms)
{
	return integer_of(cell, ret_ms) && *ret_ms >= TIME_MS_MIN && *ret_ms <= TIME_MS_MAX;
}

static bool is_wanted(uint64_t fields, unsigned i)
{
	return fields == 0 || (fields >> i & 1) != 0;
}

/* ---- the pen --------------------------------------------------------------------- */

/* Where the next byte goes, and how far there is room. */
struct pen {
	struct buf *out;
	char *at, *end;
};

/* What was written becomes part of the buffer. */
static void pen_lift(struct pen *pen)
{
	if (pen->at != NULL)
		buf_commit(pen->out, (size_t)(pen->at - (pen->out->ptr + pen->out->len)));
	pen->at = pen->end = NULL;
}

/* Room for len bytes; false when there can be none, which the buffer remembers. */
static bool pen_room(struct pen *pen, size_t len)
{
	size_t spare;

	if (pen->at != NULL && (size_t)(pen->end - pen->at) >= len)
		return true;
	pen_lift(pen);
	pen->at = buf_reserve(pen->out, len);
	if (pen->at == NULL)
		return false;
	spare = pen->out->cap < pen->out->max ? pen->out->cap - 1 : pen->out->max;
	pen->end = pen->out->ptr + spare;
	return true;
}

static void pen_put(struct pen *pen, struct slice text)
{
	memcpy(pen->at, text.ptr, text.len);
	pen->at += text.len;
}

/* Copies up to the first byte that JSON writes otherwise, or that is not ASCII; gives how many. */
static size_t copy_plain(char *to, struct slice text)
{
	size_t i = 0;

	for (; text.len - i >= 8; i += 8) {
		uint64_t marks = json_mark_special(json_word(text.ptr + i));

		memcpy(to + i, text.ptr + i, 8);
		if (marks != 0)
			return i + json_first(marks);
	}
	for (; i < text.len; i++) {
		uint8_t c = (uint8_t)text.ptr[i];

		if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
			break;
		to[i] = (char)c;
	}
	return i;
}

/* Behind a name. */
static void pen_put_string(struct pen *pen, struct slice text)
{
	struct json_writer w = JSON_WRITER(pen->out);

	if (!pen_room(pen, text.len + 2))
		return;
	if (copy_plain(pen->at + 1, text) < text.len) {
		pen_lift(pen);
		json_put_string(&w, text);
		return;
	}
	*pen->at++ = '"';
	pen->at += text.len;
	*pen->at++ = '"';
}

static void pen_put_integer(struct pen *pen, int64_t value)
{
	char digits[NUMBER_LEN_MAX], *at = digits + sizeof(digits);
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do
		*--at = (char)('0' + rest % 10);
	while ((rest /= 10) != 0);
	if (value < 0)
		*--at = '-';
	pen_put(pen, slice_of(at, (size_t)(digits + sizeof(digits) - at)));
}

static void put_digits(char *at, unsigned value, unsigned n)
{
	for (; n-- > 0; value /= 10)
		at[n] = (char)('0' + value % 10);
}

static void pen_put_time(struct pen *pen, struct rows *rows, int64_t ms)
{
	int64_t day = ms / DAY_MS - (ms % DAY_MS < 0);
	unsigned of_day = (unsigned)(ms - day * DAY_MS);
	char text[TIME_TEXT_MS_LEN + 1], *at = pen->at;

	if (rows->date[0] == '\0' || rows->day != day) {
		time_format_ms(text, ms);
		memcpy(rows->date, text, DATE_LEN);
		rows->day = day;
	}
	at[0] = '"';
	memcpy(at + 1, rows->date, DATE_LEN);
	put_digits(at + 12, of_day / 3600000, 2);
	at[14] = ':';
	put_digits(at + 15, of_day / 60000 % 60, 2);
	at[17] = ':';
	put_digits(at + 18, of_day / 1000 % 60, 2);
	at[20] = '.';
	put_digits(at + 21, of_day % 1000, 3);
	at[24] = 'Z';
	at[25] = '"';
	pen->at += TIME_TEXT_MS_LEN + 2;
}

/* ---- JSON --------------------------------------------------------------------- */

/* There is room for numbers, times and words. */
static void pen_put_cell(struct pen *pen, struct rows *rows, const struct cell *cell)
{
	struct json_writer w = JSON_WRITER(pen->out);
	int64_t number = 0;

	if (cell->is_null || (cell->column->kind == COLUMN_TIME && !time_of(cell, &number)) ||
	    (cell->column->kind == COLUMN_INTEGER && !integer_of(cell, &number))) {
		pen_put(pen, SLICE("null"));
		return;
	}
	switch (cell->column->kind) {
	case COLUMN_INTEGER:
		pen_put_integer(pen, number);
		break;
	case COLUMN_REAL:
		pen_lift(pen);
		json_put_double(&w, sqlite3_value_double(cell->value));
		break;
	case COLUMN_BOOL:
		pen_put(pen, sqlite3_value_int(cell->value) != 0 ? SLICE("true") : SLICE("false"));
		break;
	case COLUMN_TIME:
		pen_put_time(pen, rows, number);
		break;
	case COLUMN_JSON:
		if (pen_room(pen, cell->text.len))
			pen_put(pen, cell->text);
		break;
	case COLUMN_TEXT:
	default:
		pen_put_string(pen, cell->text);
	}
}

static void json_put_row(struct rows *rows, sqlite3_stmt *stmt, int first)
{
	struct pen pen = {.out = &rows->q->out};
	const struct query_column *column = rows->columns;
	struct cell cell;
	char before = '{';
	int at = first;

	/* `at` is where the column stands in the statement, if it does. */
	for (unsigned i = 0; column->name != NULL; at += column->constant.ptr == NULL, i++, column++) {
		if (!is_wanted(rows->fields, i))
			continue;
		if (!pen_room(&pen, 1 + column->key.len + column->constant.len + TIME_TEXT_MS_LEN + 2))
			return;
		*pen.at++ = before;
		before = ',';
		pen_put(&pen, column->key);
		if (column->constant.ptr != NULL) {
			pen_put(&pen, column->constant);
			continue;
		}
		read_cell(&cell, stmt, at, column);
		pen_put_cell(&pen, rows, &cell);
	}
	pen_lift(&pen);
	buf_append_str(&rows->q->out, before == '{' ? "{}" : "}");
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

static void csv_put_cell(struct buf *out, const struct cell *cell)
{
	char time[TIME_TEXT_MS_LEN + 1];
	int64_t ms;

	if (cell->is_null)
		return;
	if (cell->column->kind == COLUMN_BOOL) {
		buf_append_str(out, sqlite3_value_int(cell->value) != 0 ? "true" : "false");
	} else if (cell->column->kind == COLUMN_TIME) {
		if (time_of(cell, &ms)) {
			time_format_ms(time, ms);
			buf_append(out, slice_of(time, TIME_TEXT_MS_LEN));
		}
	} else {
		csv_put(out, is_text(cell->column) ? cell->text : text_of(cell->value));
	}
}

/* The names when there is no statement. */
static void csv_put_row(struct rows *rows, sqlite3_stmt *stmt, int first)
{
	struct buf *out = &rows->q->out;
	struct cell cell;
	const struct query_column *column = rows->columns;
	bool comma = false;
	int at = first;

	for (unsigned i = 0; column->name != NULL; at += column->constant.ptr == NULL, i++, column++) {
		if (!is_wanted(rows->fields, i))
			continue;
		if (comma)
			buf_append_char(out, ',');
		comma = true;
		if (stmt == NULL) {
			csv_put(out, slice_str(column->name));
		} else if (column->constant.ptr == NULL) {
			read_cell(&cell, stmt, at, column);
			csv_put_cell(out, &cell);
		} else if (!slice_is(column->constant, "null")) {
			csv_put(out, column->constant);
		}
	}
	buf_append_str(out, "\r\n");
}

/* ---- any ------------------------------------------------------------------------------ */

void rows_begin(struct rows *rows, struct query *q, const struct query_column *columns, uint64_t fields)
{
	*rows = (struct rows){.q = q, .columns = columns, .fields = fields};
	if (q->format == QUERY_JSON && !q->single)
		buf_append_char(&q->out, '[');
	else if (q->format == QUERY_CSV && (q->list == NULL || !q->list->has_cursor))
		csv_put_row(rows, NULL, 0);
}

void rows_put(struct rows *rows, struct sqlite3_stmt *stmt, int first)
{
	struct query *q = rows->q;

	if (q->format == QUERY_CSV) {
		csv_put_row(rows, stmt, first);
		return;
	}
	if (q->format == QUERY_JSON && q->rows > 0)
		buf_append_char(&q->out, ',');
	json_put_row(rows, stmt, first);
	if (q->format == QUERY_NDJSON)
		buf_append_char(&q->out, '\n');
}

void rows_end(struct rows *rows)
{
	if (rows->q->format == QUERY_JSON && !rows->q->single)
		buf_append_char(&rows->q->out, ']');
}
