/*
 * Accounts by the hundred, from a CSV file: each row is what POST /api/v1/users
 * takes, one member a column. A thread of its own makes them one after the other, so that a row
 * that cannot be made stops no other, and says of each what became of it.
 *
 * One import at a time. What is known of them is in memory alone: after a restart
 * the file is sent again, and rows that were made are told as taken.
 */
#ifndef LULAB_APP_USER_IMPORT_H
#define LULAB_APP_USER_IMPORT_H

#include "app/app.h"
#include "base/json.h"
#include "domain/account.h"

#define IMPORT_BYTES_MAX (1 << 20)
#define IMPORT_ROWS_MAX 5000
#define IMPORTS_KEPT 8

struct user_imports;

/* In whose name it is done, and what they may. */
struct import_caller {
	const char *id; /* copied */
	bool may_grant, may_all;
};

int user_imports_open(struct user_imports **ret, struct app *app); /* ERR_NOMEM */
/* The one that runs ends after the row at hand; before what accounts are made with is closed. NULL is fine. */
void user_imports_close(struct user_imports *l);

/*
 * Looks the file through and starts: 0 with its id and how many rows it has. ERR_BUSY: another one runs. ERR_INVALID
 * with a sentence in *why, in the arena: the file is no CSV of accounts, or has too many rows.
 */
int user_import_start(struct user_imports *l, struct slice csv, const struct import_caller *caller, struct arena *arena,
    struct id *ret_id, size_t *ret_rows, struct said *why);

/* What became of one: an object, with `limit` rows from the `from`th (0 is the first) on. ERR_NOT_FOUND. Any thread. */
int user_import_write(struct user_imports *l, const struct id *id, size_t from, size_t limit, struct json_writer *w);

#endif
