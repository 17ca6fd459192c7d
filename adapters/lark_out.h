/*
 * What adapters/lark_out.c and its parts share: rows that are kept in step, and messages.
 *
 *     lark_out.c        settings, lanes, the table of effects
 *     lark_rows.c       what becomes of rows: filled, looked for, compared, written, told of
 *     lark_records.c    the requests for that, many rows at once
 *     lark_row_data.c   what a row is made of, out of the read models and the log
 *     lark_forget.c     which rows name somebody who was erased
 *     lark_messages.c   messages and cards
 *     lark_api.c        rows, conflicts and messages, as a person deals with them
 */
#ifndef LULAB_ADAPTERS_LARK_OUT_H
#define LULAB_ADAPTERS_LARK_OUT_H

#include "app/app.h"
#include "lark_client.h"
#include "lark_tables.h"
#include "store/effect_lane.h"

/* 80 % of what the vendor allows (vendor-protocols 2.5). */
#define LARK_READS_A_SECOND 16
#define LARK_WRITES_A_SECOND 40

struct lark_out {
	struct app *app;
	const char *unready;
	struct lark_client *client;
	const char *host;
	struct slice app_token, table_ids[LARK_TABLES];
	struct slice chat;

	/* The lane of tables has one thread; these are its own. */
	struct lark_columns {
		bool known;
		int64_t read_at_us; /* monotonic */
		int64_t there[LARK_ROW_FIELDS_MAX];
	} columns[LARK_TABLES];
	struct lark_pace {
		int64_t asked_at_us[LARK_WRITES_A_SECOND]; /* the last requests, monotonic; 0 = none yet */
		size_t next;
	} reads, writes;
	struct window asked; /* requests about tables, and repetitions within them */
};

extern const struct effect_lane lark_table_lane, lark_message_lane;
extern const struct route lark_routes[];

/* ---- rows ---------------------------------------------------------------------------------- */

enum lark_row_state { LARK_ROW_NEW, LARK_ROW_SYNCED, LARK_ROW_CONFLICT, LARK_ROW_RESOLVING, LARK_ROW_DROPPED, LARK_ROW_BLANKED };

/* Commitments to what both sides have in a field. */
struct lark_entry {
	struct slice name, ours, theirs;
};

/* A row on its way: one effect. */
struct lark_row {
	struct effect_call *call;
	enum lark_table table;
	struct slice row; /* our id of it */
	bool is_over;     /* its outcome is set */

	/* What it is to be; empty values are left out. */
	struct lark_field fields[LARK_ROW_FIELDS_MAX];
	size_t n;
	bool is_blank;    /* the person was erased: nothing of them stays there */
	const char *keeps; /* a field that is not told anew by those who do not know it; NULL: there is none */
	bool is_redacted; /* somebody it names was: ours counts, whatever a person wrote there */
	struct slice person; /* a summary: whose key seals what is told of it */

	/* What was known of it before. */
	enum lark_row_state state;
	struct slice record_id; /* empty: none is known */
	struct lark_entry known[LARK_ROW_FIELDS_MAX];
	size_t n_known;
	struct slice names[LARK_ROW_FIELDS_MAX]; /* fields in conflict */
	size_t n_names;

	/* What there is. */
	bool was_found, was_known; /* by its key; by its record id */
	struct json_value there;
	bool is_gone;     /* the record that was known is not there any more */

	/* What is decided. */
	struct lark_field writes[LARK_ROW_FIELDS_MAX];
	size_t n_writes;
	struct lark_entry now[LARK_ROW_FIELDS_MAX];
	size_t n_now;
	struct slice conflicts[LARK_ROW_FIELDS_MAX], both[LARK_ROW_FIELDS_MAX][2]; /* names; what we have, what they have */
	size_t n_conflicts;
	bool was_created, was_written;
};

/* Rows that are done together. */
struct lark_sync {
	struct lark_out *out;
	struct app *app;
	struct arena *arena;
	uint64_t position;  /* what read models must have seen */
	struct lark_row *rows;
	size_t n;
	bool is_stopped;    /* Feishu cannot be asked for more at the moment: */
	struct lark_reply stopped;
};

/* The rows of a named query, as an array in the arena. ERR_*, as queries fail. */
int lark_ask_model(struct lark_sync *s, const char *query, const struct query_param *params, size_t n,
    struct json_value *ret_rows);
/* The same of a query whose parameter `rows` is a list of ids. */
int lark_ask_about(struct lark_sync *s, const char *query, const struct slice *ids, size_t n, struct json_value *ret_rows);
/* The first of them; ERR_NOT_FOUND. */
int lark_ask_one(struct lark_sync *s, const char *query, const char *param, struct slice value, struct json_value *ret_row);

/* Which of these rows have a record; empty where there is none. *records has room for n. */
int lark_records_of(struct lark_sync *s, enum lark_table table, const struct slice *ids, size_t n, struct slice *records);
/* Which record a row is, told before or made by this very sync; empty: none. */
int lark_record_of(struct lark_sync *s, enum lark_table table, struct slice row, struct slice *ret_record_id);

/* Fills fields, is_blank; is_over with EFFECT_DONE where there is nothing to be written. */
int lark_row_fill(struct lark_sync *s, struct lark_row *row);
/* Other rows that name this one in a link and have been written without it. Ids in the arena. */
struct lark_dependent {
	enum lark_table table;
	struct slice row;
};
int lark_row_dependents(struct lark_sync *s, const struct lark_row *row, struct lark_dependent **ret, size_t *ret_n);

/* ---- lark_rows.c ---- */
void lark_row_end(struct lark_row *row, enum effect_outcome outcome, const char *class, const char *message);
void lark_row_unreadable(struct lark_row *row);

/* ---- lark_records.c: rows of one table; those that cannot go on have their outcome ---- */
/* Does the table take our rows? False: all are over. */
bool lark_records_fit(struct lark_sync *s, enum lark_table t, struct lark_row *rows, size_t n);
/* What is there, by record id where one is known, else by key. */
void lark_records_look(struct lark_sync *s, enum lark_table t, struct lark_row *rows, size_t n);
/* Makes and changes records: was_created, was_written. */
void lark_records_write(struct lark_sync *s, enum lark_table t, struct lark_row *rows, size_t n);

effect_fn lark_write_rows, lark_forget, lark_send_message, lark_send_card;

#endif
