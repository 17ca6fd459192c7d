/*
 * Accounts by the hundred, from a CSV file: each row is what POST /api/v1/users
 * takes, one member a column. A thread of its own makes them one after the other, so that a row
 * that cannot be made stops no other, and says of each what became of it.
 *
 *     user_import.started --> user_import.row_done, once a row --> the file's key is destroyed --> user_import.ended
 *
 * All that is known of an import is in the log: an account and the word that its row is done are
 * appended together, and after a start, however the program ended, the next row is the one
 * behind the last that is there. The file is kept sealed under a key of its own, until that is destroyed.
 *
 * One import at a time: the log sees to it, by a claim.
 */
#ifndef LULAB_APP_USER_IMPORT_H
#define LULAB_APP_USER_IMPORT_H

#include "app/action.h"
#include "app/user_import_file.h"

struct user_imports;

/* Read models run. Goes on with one that has not ended. ERR_NOMEM */
int user_imports_open(struct user_imports **ret, struct app *app);
/* After the row at hand; before what accounts are made with is closed. NULL is fine. */
void user_imports_close(struct user_imports *l);

/*
 * In the name of c's caller: looks the file through and starts; *ret_id in the arena. False: the answer is set, as also when another
 * one runs.
 */
bool user_import_start(struct action *c, struct slice csv, struct slice *ret_id, size_t *ret_rows);

#endif
