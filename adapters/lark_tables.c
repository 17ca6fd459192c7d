/* See lark_tables.h. */
#include "lark_tables.h"

#include <stdlib.h>
#include <string.h>

#include "base/codec.h"
#include "wire_json.h"

const struct lark_table_decl lark_tables[LARK_TABLES] = {
	[LARK_USER] = {"USER", "LARK_TABLE_MEETING_USE", {
		{"uuid", LARK_TEXT, true}, {"userid", LARK_TEXT, false}, {"user_name", LARK_TEXT, false},
		{"phone_hase", LARK_TEXT, false}, {"is_enterprise_user", LARK_BOOL, false},
	}},
	[LARK_MEETING] = {"MEETING", "LARK_TABLE_MEETING_RECORD", {
		{"meeting_id", LARK_TEXT, true}, {"sub_meeting_id", LARK_TEXT, true}, {"platform", LARK_TEXT, false},
		{"subject", LARK_TEXT, false}, {"meeting_code", LARK_TEXT, false}, {"start_time", LARK_DATE, false},
		{"end_time", LARK_DATE, false}, {"creator", LARK_ONE_WAY, false}, {"participants", LARK_ONE_WAY, false},
		{"meeting_type", LARK_TEXT, false},
	}},
	[LARK_RECORDING] = {"RECORDING", "LARK_TABLE_MEETING_RECORDING", {
		{"record_file_id", LARK_TEXT, true}, {"meet", LARK_ONE_WAY, false}, {"participants", LARK_TEXT, false},
		{"start_time", LARK_DATE, false}, {"end_time", LARK_DATE, false}, {"fullsummary", LARK_TEXT, false},
		{"todo", LARK_TEXT, false}, {"ai_minutes", LARK_TEXT, false}, {"ai_meeting_transcripts", LARK_TEXT, false},
	}},
	[LARK_SUMMARY] = {"SUMMARY", "LARK_TABLE_PERSONAL_MEETING_SUMMARY", {
		{"meet_participant", LARK_ONE_WAY, true}, {"record_file", LARK_ONE_WAY, true},
		{"participant_summary", LARK_TEXT, false},
	}},
};

enum lark_table lark_table_of(struct slice name)
{
	unsigned t = 0;

	while (t < LARK_TABLES && !slice_is(name, lark_tables[t].name))
		t++;
	return (enum lark_table)t;
}

const struct lark_column *lark_column_of(enum lark_table table, struct slice name)
{
	for (const struct lark_column *c = lark_tables[table].columns; c->name != NULL; c++)
		if (slice_is(name, c->name))
			return c;
	return NULL;
}

/* ---- what a cell says ------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	size_t n = x->len < y->len ? x->len : y->len;
	int order = n == 0 ? 0 : memcmp(x->ptr, y->ptr, n);

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* Links are a set: the order in which they are read back is the vendor's. */
static int join_sorted(const struct slice *items, size_t n, struct arena *a, struct slice *ret)
{
	struct slice *sorted = arena_calloc(a, n + 1, sizeof(*sorted));
	struct buf out = BUF_INIT((size_t)1 << 20);

	if (sorted == NULL)
		return ERR_NOMEM;
	if (n > 0)
		memcpy(sorted, items, n * sizeof(*items));
	qsort(sorted, n, sizeof(*sorted), by_bytes);
	for (size_t i = 0; i < n; i++) {
		if (i > 0)
			buf_append_char(&out, ',');
		buf_append(&out, sorted[i]);
	}
	return wire_keep(a, &out, ret);
}

static int keep_number(int64_t n, struct arena *a, struct slice *ret)
{
	const char *text = arena_printf(a, "%lld", (long long)n);

	*ret = slice_str(text);
	return text == NULL ? ERR_NOMEM : 0;
}

int lark_said(const struct lark_field *f, struct arena *a, struct slice *ret)
{
	*ret = SLICE("");
	if (f->clear)
		return 0;
	switch (f->type) {
	case LARK_DATE:
		return keep_number(f->ms, a, ret);
	case LARK_BOOL:
		*ret = f->yes ? SLICE("true") : SLICE("");
		return 0;
	case LARK_ONE_WAY:
	case LARK_TWO_WAY:
		return join_sorted(f->items, f->n_items, a, ret);
	default:
		*ret = f->text;
		return 0;
	}
}

/* "a", or pieces [{"text":"a"},...], or an object with a text. */
static int text_there(struct json_value cell, struct arena *a, struct slice *ret)
{
	struct buf out = BUF_INIT((size_t)1 << 20);
	struct json_value piece;
	struct json_reader r;

	if (cell.type == JSON_STRING)
		return json_string(cell, a, ret);
	if (cell.type == JSON_OBJECT) {
		*ret = wire_text(cell, "text", a);
		return 0;
	}
	if (cell.type != JSON_ARRAY)
		return 0;
	json_enter(&r, cell);
	while (json_next(&r, NULL, &piece)) {
		struct slice text = SLICE("");

		if (piece.type == JSON_OBJECT)
			text = wire_text(piece, "text", a);
		else if (piece.type == JSON_STRING && json_string(piece, a, &text) != 0)
			text = SLICE("");
		buf_append(&out, text);
	}
	return wire_keep(a, &out, ret);
}

/* {"link_record_ids":[...]}, [ids], or [{"record_ids":[...]}] of older answers. */
static int links_there(struct json_value cell, struct arena *a, struct slice *ret)
{
	struct slice items[200];
	struct json_value list = cell, item, inner;
	struct json_reader r;
	size_t n = 0;

	if (cell.type == JSON_OBJECT && !wire_member(cell, "link_record_ids", JSON_ARRAY, &list))
		return 0;
	if (list.type != JSON_ARRAY)
		return 0;
	json_enter(&r, list);
	while (n < sizeof(items) / sizeof(items[0]) && json_next(&r, NULL, &item)) {
		if (item.type == JSON_STRING && json_string(item, a, &items[n]) == 0)
			n++;
		else if (item.type == JSON_OBJECT && wire_member(item, "record_ids", JSON_ARRAY, &inner))
			return links_there(inner, a, ret);
	}
	return join_sorted(items, n, a, ret);
}

int lark_said_there(struct json_value fields, const struct lark_column *column, struct arena *a, struct slice *ret)
{
	struct json_value cell;
	struct slice text;
	int64_t ms;

	*ret = SLICE("");
	if (!json_member(fields, column->name, &cell) || cell.type == JSON_NULL)
		return 0;
	switch (column->type) {
	case LARK_DATE:
		text = wire_text(fields, column->name, a);
		return slice_to_i64(text, &ms) == 0 ? keep_number(ms, a, ret) : 0;
	case LARK_BOOL:
		*ret = wire_bool(fields, column->name, a) ? SLICE("true") : SLICE("");
		return 0;
	case LARK_ONE_WAY:
		return links_there(cell, a, ret);
	default:
		return text_there(cell, a, ret);
	}
}

/* ---- what people may see ------------------------------------------------------------------- */

static bool names(const struct lark_field *f, const char *part)
{
	return memmem(f->name.ptr, f->name.len, part, strlen(part)) != NULL;
}

static bool is_phone(struct slice text)
{
	size_t digits = 0;

	for (size_t i = 0; i < text.len; i++) {
		if (i == 0 && text.ptr[0] == '+')
			continue;
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
		digits++;
	}
	return digits >= 6 && digits <= 15;
}

static bool is_email(struct slice text)
{
	struct slice local, domain, top, host;

	return slice_cut(text, '@', &local, &domain) && local.len > 0 && domain.len > 2 && slice_cut(domain, '.', &host, &top) &&
	    host.len > 0 && top.len > 0 && memchr(domain.ptr, '@', domain.len) == NULL && memchr(text.ptr, ' ', text.len) == NULL;
}

bool lark_field_fits(const struct lark_field *f)
{
	if (f->clear)
		return true;
	if (names(f, "\xe6\x97\xa5\xe6\x9c\x9f") || names(f, "\xe6\x97\xb6\xe9\x97\xb4") || f->type == LARK_DATE)
		return (f->type == LARK_DATE && f->ms >= 0) || (f->type == LARK_NUMBER && f->number >= 0);
	if (names(f, "\xe8\xaf\x84\xe5\x88\x86") || names(f, "\xe8\xbf\x9b\xe5\xba\xa6"))
		return f->type == LARK_NUMBER && f->number >= 0 && f->number <= 5;
	if (names(f, "\xe5\xa4\x8d\xe9\x80\x89\xe6\xa1\x86"))
		return f->type == LARK_BOOL;
	if (names(f, "\xe7\x94\xb5\xe8\xaf\x9d") || names(f, "\xe6\x89\x8b\xe6\x9c\xba"))
		return (f->type == LARK_TEXT || f->type == LARK_PHONE) && is_phone(f->text);
	if (names(f, "\xe9\x82\xae\xe7\xae\xb1") || names(f, "email"))
		return f->type == LARK_TEXT && is_email(f->text);
	return true;
}

/* ---- what a table has -------------------------------------------------------------------- */

int lark_columns_read(enum lark_table table, struct json_value data, struct arena *a, int64_t there[LARK_ROW_FIELDS_MAX],
    struct slice *ret_next_page)
{
	const struct lark_column *columns = lark_tables[table].columns;
	struct json_value list, item;
	struct json_reader r;

	if (data.text.len == 0 || data.type != JSON_OBJECT || !wire_member(data, "items", JSON_ARRAY, &list))
		return ERR_MALFORMED;
	json_enter(&r, list);
	while (wire_next(&r, &item)) {
		const struct lark_column *c = lark_column_of(table, wire_text(item, "field_name", a));

		if (c != NULL)
			there[c - columns] = wire_int(item, "type", 0, a);
	}
	*ret_next_page = wire_bool(data, "has_more", a) ? wire_text(data, "page_token", a) : SLICE("");
	return 0;
}

static bool takes(int64_t type, enum lark_field_type ours)
{
	if (ours == LARK_TEXT)
		return type == LARK_TEXT || type == LARK_SELECT;
	if (ours == LARK_ONE_WAY)
		return type == LARK_ONE_WAY || type == LARK_TWO_WAY;
	return type == (int64_t)ours;
}

const struct lark_column *lark_columns_unfit(enum lark_table table, const int64_t there[LARK_ROW_FIELDS_MAX])
{
	for (const struct lark_column *c = lark_tables[table].columns; c->name != NULL; c++)
		if (!takes(there[c - lark_tables[table].columns], c->type))
			return c;
	return NULL;
}

/* ---- requests about records ------------------------------------------------------------------ */

static void put_condition(struct json_writer *w, const struct lark_column *column, struct slice value)
{
	json_begin_object(w);
	json_name(w, "field_name");
	json_put_str(w, column->name);
	json_name(w, "operator");
	json_put_str(w, column->type == LARK_ONE_WAY ? "contains" : "is");
	json_name(w, "value");
	json_begin_array(w);
	json_put_string(w, value); /* as it is stored: a search in lower case misses it */
	json_end_array(w);
	json_end_object(w);
}

int lark_body_search_any(struct buf *out, enum lark_table table, const struct lark_column *column,
    const struct slice *values, size_t n)
{
	struct json_writer w = JSON_WRITER(out);

	json_begin_object(&w);
	json_name(&w, "field_names");
	json_begin_array(&w);
	for (const struct lark_column *c = lark_tables[table].columns; c->name != NULL; c++)
		json_put_str(&w, c->name);
	json_end_array(&w);
	json_name(&w, "filter");
	json_begin_object(&w);
	json_name(&w, "conjunction");
	json_put_str(&w, "or");
	json_name(&w, "conditions");
	json_begin_array(&w);
	for (size_t i = 0; i < n; i++)
		put_condition(&w, column, values[i]);
	json_end_array(&w);
	json_end_object(&w);
	json_name(&w, "automatic_fields");
	json_put_bool(&w, false);
	json_end_object(&w);
	return out->rc;
}

int lark_body_ids(struct buf *out, const struct slice *ids, size_t n)
{
	struct json_writer w = JSON_WRITER(out);

	json_begin_object(&w);
	json_name(&w, "record_ids");
	json_begin_array(&w);
	for (size_t i = 0; i < n; i++)
		json_put_string(&w, ids[i]);
	json_end_array(&w);
	json_end_object(&w);
	return out->rc;
}

static int put_record(struct json_writer *w, const struct lark_write *write)
{
	int rc;

	json_begin_object(w);
	if (write->record_id.len > 0) {
		json_name(w, "record_id");
		json_put_string(w, write->record_id);
	}
	json_name(w, "fields");
	rc = lark_put_fields(w, write->fields, write->n);
	if (rc == 0) /* else there is no value for the name, and no use for the rest */
		json_end_object(w);
	return rc;
}

int lark_body_create(struct buf *out, const struct lark_write *write)
{
	struct json_writer w = JSON_WRITER(out);
	int rc = put_record(&w, write);

	return rc != 0 ? rc : out->rc;
}

int lark_body_records(struct buf *out, const struct lark_write *writes, size_t n)
{
	struct json_writer w = JSON_WRITER(out);
	int rc = 0;

	json_begin_object(&w);
	json_name(&w, "records");
	json_begin_array(&w);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = put_record(&w, &writes[i]);
	if (rc != 0)
		return rc;
	json_end_array(&w);
	json_end_object(&w);
	return out->rc;
}

int lark_written_parse(struct json_value data, struct arena *a, struct lark_records *ret)
{
	struct lark_records records = {.page_token = SLICE("")};
	struct json_value list, item;
	struct json_reader r;
	bool one = data.text.len > 0 && wire_member(data, "record", JSON_OBJECT, &item);

	if (!one && (data.text.len == 0 || !wire_member(data, "records", JSON_ARRAY, &list)))
		return ERR_MALFORMED;
	records.items = arena_calloc(a, (one ? 1 : wire_count(list)) + 1, sizeof(*records.items));
	if (records.items == NULL)
		return ERR_NOMEM;
	if (!one)
		json_enter(&r, list);
	while (one || wire_next(&r, &item)) {
		struct lark_record *record = &records.items[records.n++];

		record->record_id = wire_text(item, "record_id", a);
		if (record->record_id.len == 0 || !wire_member(item, "fields", JSON_OBJECT, &record->fields))
			return ERR_MALFORMED;
		if (one)
			break;
	}
	*ret = records;
	return 0;
}
