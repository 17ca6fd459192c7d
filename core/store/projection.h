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
 *                                     as JSON text), else :position :time :stream :version :actor
 *                                     :type :id :source :data of its envelope (:envelope_source
 *                                     where the event has a field of that name)
 *     --   while exists (select ...)  the statements run only while this holds, which looks at the tables
 *                                     alone: for what most events do nothing to. It is not asked for each
 *                                     event but when rows were written since
 *     -- gather meetings              rows of this table are written once for many events, at the end of the
 *     --   max a, b                   transaction: an insert of an event into it is one without a conflict
 *     --   min c                      clause, and its columns become the greatest, least or sum of what was
 *     --   sum d                      inserted (NULL counts as nothing given), the others stay what they were
 *                                     first. An insert leaves out only columns that have a default or may be
 *                                     NULL, unless it follows one of the same event into the table.
 *                                     Statements of events cannot look at such a table; triggers on it and the
 *                                     commit can. Written in the order of the sections
 *     -- commit                       run at the end of every transaction, so once for many events while
 *                                     catching up: for what is costly to do for each, like a full-text index
 *     -- query meeting_by_id          an answer; "startAt:time" names and types a column
 *                                     (text, int, real, bool, time, json), :name is a parameter;
 *                                     "title:latest", "planAt:latest time" (int, json) write the value
 *                                     that latest() put behind its time, and nothing as null
 *     -- list meetings                an answer in pages; its clauses follow as comment lines:
 *     --   filter platform A|B|C, part int  equality, checked against the values
 *     --   filter status = processing_status A|B
 *     --   range startDate..endDate = begins_at     milliseconds; a bare end date is the whole day
 *     --   search meetings_search [on m.rowid]  an FTS5 table (row unindexed, text): texts of the row with that rowid
 *     --   sort -createdAt = created_at, ...    not null columns; the first is the default
 *     --   key m.id                             what makes the order total; id when not given
 *
 * The build fails, with file and line, on an unknown event or field and on SQL
 * that does not prepare against the file's own tables.
 */
#ifndef LULAB_STORE_PROJECTION_H
#define LULAB_STORE_PROJECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Where the value of a statement's parameter comes from. */
enum projection_source {
	PROJECTION_FIELD,    /* `path` in the event's data */
	PROJECTION_POSITION, /* integer; the place of the event, when it is of a log before (eventlog.h) */
	PROJECTION_BEFORE,   /* integer; what makes a position in the event's own log the place of it: 0 in the log itself */
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

/* How what events give a column becomes one value; in whatever portions it comes, the same. NULL is nothing given. */
enum gather_op {
	GATHER_FIRST, /* of the event that made the row */
	GATHER_KEY,
	GATHER_MAX,
	GATHER_MIN,
	GATHER_SUM,
};

#define GATHER_COLUMNS_MAX 64

struct gather_column {
	const char *name;
	bool is_integer;  /* else text */
	bool is_required; /* an event that names it gives a value */
	enum gather_op op;
};

/* A table whose rows are gathered and written once for many events. */
struct projection_gather {
	const struct gather_column *columns;
	unsigned n_columns;
	const char *upsert; /* ?1 is columns[0] */
	unsigned line;      /* in the .sql file, for messages */
};

/* What must hold of the tables that a statement runs. */
struct projection_condition {
	const char *sql; /* selects 0 or 1 */
	unsigned line;   /* in the .sql file, for messages */
};

/* Parameters are bound in order: binds[0] is ?1. */
struct projection_statement {
	const char *sql;
	const struct projection_bind *binds;
	unsigned n_binds;
	unsigned line; /* in the .sql file, for messages */
	/* Not NULL: the statement is a select of rows for this table; its i-th column is columns[column[i]]. */
	const struct projection_gather *into;
	const unsigned char *column;
	const struct projection_condition *condition; /* NULL: it runs for every event */
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

#define LATEST_DIGITS 16 /* of the time that latest() puts before a value */

struct query_column {
	const char *name; /* NULL ends a list */
	enum column_kind kind;
	bool is_latest;   /* text of latest(): the kind is that of what follows the digits; empty = null */
	struct slice key; /* the name as JSON has it before a value, "name": with its quotes */
	struct slice constant; /* of a list: JSON that every row has here, and the select has not; else ptr NULL */
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
	const char *const *values; /* those allowed, ends with NULL; NULL: any */
	bool is_integer, is_bool;  /* else text */
	const char *sql;           /* "processing_status = :status" */
};

struct list_sort {
	const char *name; /* as in sort=; NULL ends a list */
	bool descending;  /* the way it goes when it is the default */
	const char *column;
};

/*
 * A list. Its statements are put together from these constant pieces only, by
 * which parameters are present; the build has prepared each piece, and all of
 * them together. Conditions name their parameters: ":status", ":startDate",
 * ":search" (a JSON array of FTS5 expressions).
 */
struct list_def {
	const char *name;
	const struct projection *projection;
	const char *select; /* the named columns, without the word */
	const char *from;   /* tables, without the word */
	const char *where;  /* condition that always holds, or NULL */
	const char *key;    /* column; unique, not null */
	const struct list_filter *filters;
	const char *range_from, *range_to;         /* parameter names, or NULL */
	const char *range_from_sql, *range_to_sql; /* conditions */
	const char *search_sql;                    /* condition, or NULL when it cannot be searched */
	const struct list_sort *sorts;             /* not null columns; the first is the default */
	const struct query_column *columns;
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
	const char *const *ddl; /* statements, ends with NULL */
	const struct projection_handler *handlers; /* ascending by type */
	unsigned n_handlers;
	const struct projection_gather *gathers;
	unsigned n_gathers;
	const struct projection_condition *conditions;
	unsigned n_conditions;
	const struct projection_statement *commits;
	unsigned n_commits;
	const struct projection_table *tables;
	const struct query_def *const *queries; /* ends with NULL */
	const struct list_def *const *lists;    /* ends with NULL */
};

#define PROJECTION_NAME_MAX 32

/* All read models of the program, ends with NULL. */
extern const struct projection *const projections[];
/* Their queries, ascending by name. */
extern const struct query_def *const projections_queries[];
extern const unsigned projections_n_queries;

/* What a model does with events of this type; NULL when it passes them over. */
const struct projection_handler *projection_handler_of(const struct projection *model, uint16_t type);

/* By name over all read models; NULL when there is none. */
const struct projection *projection_find(const char *name);
const struct query_def *query_find(const char *name);
const struct list_def *list_find(const char *name);

#endif
