/*
 * What a read model is: the tables, folds and queries of one projections/x.sql,
 * as tools/gen_projections.py writes them into projections.gen.c. Constant data.
 *
 * A file has these sections; each starts at a line of its own:
 *
 *     -- table                        plain DDL
 *     -- on meeting.started, x.*      what such an event does to the rows; :name binds a
 *                                     field of the event (:operator_user_name = operator.user_name,
 *                                     :operator_subject = subjects.operator.id, objects and arrays
 *                                     as JSON text) or :position :time :stream :version :actor
 *                                     :type :id :source :data of its envelope
 *     -- query meeting_by_id          an answer; "startAt:time" names and types a column,
 *                                     :name is a parameter
 *     -- list meetings                an answer in pages; its clauses follow as comment lines:
 *     --   filter platform A|B|C            equality, checked against the values
 *     --   filter status = processing_status A|B
 *     --   range startDate..endDate = begins_at     milliseconds; a bare end date is the whole day
 *     --   search meetings_search             an FTS5 table with the columns (row unindexed, text)
 *     --   sort -createdAt = created_at, ...  not null columns; the first is the default
 *     --   key m.id                           what makes the order total
 *
 * The build fails, with file and line, on an unknown event or field and on SQL
 * that does not prepare against the file's own tables.
 */
#ifndef LULAB_STORE_PROJECTION_H
#define LULAB_STORE_PROJECTION_H

#include <stdbool.h>
#include <stdint.h>

/* Where the value of a statement's parameter comes from. */
enum projection_source {
	PROJECTION_FIELD,    /* `path` in the event's data */
	PROJECTION_POSITION, /* integer */
	PROJECTION_TIME,     /* when it was recorded, milliseconds */
	PROJECTION_STREAM,
	PROJECTION_VERSION, /* of the stream after the event, integer */
	PROJECTION_ACTOR,
	PROJECTION_TYPE, /* the event's name */
	PROJECTION_ID,
	PROJECTION_SOURCE,
	PROJECTION_DATA, /* as stored, sealed fields sealed */
};

struct projection_bind {
	enum projection_source source;
	const char *path; /* member names of PROJECTION_FIELD, joined with dots */
};

/* Parameters are bound in order: binds[0] is ?1. */
struct projection_statement {
	const char *sql;
	const struct projection_bind *binds;
	unsigned n_binds;
	unsigned line; /* in the .sql file, for messages */
};

struct projection_handler {
	uint16_t type; /* the event's x-id */
	const struct projection_statement *statements;
	unsigned n_statements;
};

/* How a column of an answer is written: NULL is null whatever the kind. */
enum column_kind {
	COLUMN_TEXT,
	COLUMN_INTEGER,
	COLUMN_REAL,
	COLUMN_BOOL, /* 0 or 1 */
	COLUMN_TIME, /* milliseconds since 1970, written as RFC 3339 UTC */
	COLUMN_JSON, /* text that is JSON already */
};

struct query_column {
	const char *name; /* NULL ends a list */
	enum column_kind kind;
};

struct projection;

/* A named query: bound by name, answers all its rows. */
struct query_def {
	const char *name;
	const struct projection *projection;
	const char *sql;
	const char *const *params; /* names in the order of their numbers, ends with NULL */
	const struct query_column *columns;
};

struct list_filter {
	const char *name;          /* of the parameter; NULL ends a list */
	const char *const *values; /* those allowed, ends with NULL; NULL: any text */
	bool is_integer, is_bool;
	const char *sql; /* a condition with ?NNN, constant text of the .sql file */
};

struct list_sort {
	const char *name; /* as in sort=; NULL ends a list */
	bool descending;  /* when it is the default: which way */
	bool is_text;     /* the column holds text, else an integer */
	const char *column;
};

/*
 * A list. Its statements are put together from these constant pieces only, by
 * which parameters are present; the build has prepared every combination.
 */
struct list_def {
	const char *name;
	const struct projection *projection;
	const char *select; /* up to and without "where"; one hidden column in front of the named ones: the key */
	const char *count;  /* the same for the total */
	const char *where;  /* condition that always holds, or NULL */
	const char *key;    /* unique, not null, text */
	const struct list_filter *filters;
	const char *range_from, *range_to;         /* parameter names, or NULL */
	const char *range_from_sql, *range_to_sql; /* conditions */
	const char *search_sql;                    /* condition, or NULL when it cannot be searched */
	const struct list_sort *sorts;             /* the first is the default */
	const struct query_column *columns;        /* the named ones */
};

/* A table's rows in the order of their key, for digests. */
struct projection_table {
	const char *name; /* NULL ends a list */
	const char *rows_sql;
};

struct projection {
	const char *name;    /* "meetings"; at most PROJECTION_NAME_MAX */
	const char *file;    /* "projections/meetings.sql" */
	const char *version; /* 16 hex digits of the file's hash */
	const char *ddl;
	const struct projection_handler *handlers; /* ascending by type */
	unsigned n_handlers;
	const struct projection_table *tables;
	const struct query_def *const *queries; /* ends with NULL */
	const struct list_def *const *lists;    /* ends with NULL */
};

#define PROJECTION_NAME_MAX 32

/* All read models of the program, ends with NULL. */
extern const struct projection *const projections[];

/* By name over all read models; NULL when there is none. */
const struct projection *projection_find(const char *name);
const struct query_def *query_find(const char *name);
const struct list_def *list_find(const char *name);

#endif
