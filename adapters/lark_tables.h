/*
 * The four tables that are kept in step in Feishu's Bitable: their fields, what a
 * cell says whichever way it is written, and the requests about many records. Pure
 * functions, any thread; what is returned lies in the arena or borrows from what was given.
 *
 * Sources: functional-spec 8.6, 8.8, 19.12; vendor-protocols 2.5.
 */
#ifndef LULAB_ADAPTERS_LARK_TABLES_H
#define LULAB_ADAPTERS_LARK_TABLES_H

#include "lark_wire.h"

/* In the order in which they are written: links name rows of the tables before. */
enum lark_table { LARK_USER, LARK_MEETING, LARK_RECORDING, LARK_SUMMARY, LARK_TABLES };

#define LARK_ROW_FIELDS_MAX 12

struct lark_column {
	const char *name;         /* NULL ends a table */
	enum lark_field_type type;
	bool is_key;              /* a record is ours when all of these are the same */
};

struct lark_table_decl {
	const char *name;    /* "USER", as events call it */
	const char *setting; /* which holds its id */
	struct lark_column columns[LARK_ROW_FIELDS_MAX + 1];
};
extern const struct lark_table_decl lark_tables[LARK_TABLES];

/* By name; LARK_TABLES when there is none. */
enum lark_table lark_table_of(struct slice name);
/* NULL when the table has none of that name. */
const struct lark_column *lark_column_of(enum lark_table table, struct slice name);

/* ---- what a cell says ------------------------------------------------------------------- */

/* One text for equal values, empty for an empty cell: of what is to be written, ... */
int lark_said(const struct lark_field *field, struct arena *a, struct slice *ret);
/* ... and of what was read, which has other forms. fields: those of a record. */
int lark_said_there(struct json_value fields, const struct lark_column *column, struct arena *a, struct slice *ret);

/*
 * Is the value one that people may see under this name? Names that contain 日期 or 时间 are times, 评分 and 进度 0 to 5,
 * 复选框 true or false, 电话 and 手机 international numbers, 邮箱 and email addresses.
 */
bool lark_field_fits(const struct lark_field *field);

/* ---- what a table has -------------------------------------------------------------------- */

/* A page of GET .../fields: for each column of the table that is there, *there[i] becomes its type. ERR_MALFORMED. */
int lark_columns_read(enum lark_table table, struct json_value data, struct arena *a, int64_t there[LARK_ROW_FIELDS_MAX],
    struct slice *ret_next_page);
/* The first column that is missing or of a type that does not take our values; NULL: all is well. */
const struct lark_column *lark_columns_unfit(enum lark_table table, const int64_t there[LARK_ROW_FIELDS_MAX]);

/* ---- requests about records ------------------------------------------------------------------ */

#define LARK_BATCH_MAX 50 /* conditions of a filter, too */

/* {"field_names":[...],"filter":{any of: column is value}}: all columns of the table. Links are asked with `contains`. */
int lark_body_search_any(struct buf *out, enum lark_table table, const struct lark_column *column,
    const struct slice *values, size_t n);
/* {"record_ids":[...]} */
int lark_body_ids(struct buf *out, const struct slice *ids, size_t n);

struct lark_write {
	struct slice record_id; /* empty: a new one */
	const struct lark_field *fields;
	size_t n;
};
/* {"fields":{...}} of one new record. ERR_INVALID: see lark_put_fields(); what was begun is of no use then. */
int lark_body_create(struct buf *out, const struct lark_write *write);
/* {"records":[{"record_id":...,"fields":{...}},...]} */
int lark_body_records(struct buf *out, const struct lark_write *writes, size_t n);

/* data.records, or data.record alone, of an answer. ERR_MALFORMED, ERR_NOMEM. */
int lark_written_parse(struct json_value data, struct arena *a, struct lark_records *ret);

#endif
