/*
 * One-time codes: six digits sent to a mail address or a telephone, which show
 * that somebody reads what arrives there (integrity.md 20).
 *
 * A code is good for five minutes, five wrong tries and one use; a new one ends
 * the one before. It travels in verification.requested, sealed under a key made
 * for that request alone; what becomes of it are events of the same stream, and
 * all limits are read from them:
 *
 *     verification.requested ---> used                 by what it was for, in the same append
 *                            +--> failed, failed, ...  the fifth ends it
 *                            +--> ended                its key is destroyed, whyever it was over
 *
 * Who checks at the same time is put in order by the log: a try, right or wrong,
 * counts only when it is the next event of the stream, else it is made again.
 * Trying consumes nothing: only code_use() does, in the append of what was asked for.
 *
 * For command threads (action.h).
 */
#ifndef LULAB_APP_CODES_H
#define LULAB_APP_CODES_H

#include "app/accounts.h"

#define CODE_DIGITS 6
#define CODE_LIFE_S 300

/* ---- destroying what is over, a thread of its own ------------------------- */

struct codes;

/* ERR_NOMEM. app: keyring, queries and log outlive it. */
int codes_open(struct codes **ret, struct app *app);
void codes_close(struct codes *codes); /* joins; NULL is fine */

/* ---- targets and purposes -------------------------------------------------- */

enum code_purpose { CODE_REGISTER, CODE_LOGIN, CODE_RESET_PASSWORD, CODE_CHANGE_CONTACT };

/* "register", ... as requests have it; the schema knows no other (asserted). */
enum code_purpose code_purpose_of(struct slice name);

/* Where a code goes. */
struct code_target {
	bool is_phone;
	struct slice address; /* the mail address as given, or the number in E.164 */
	struct slice key;     /* in its one spelling */
	struct slice digest;  /* of the key: also the claim of the account that has it */
};

/* False: it is neither, and the 400 is set. */
bool code_target_read(struct action *c, struct slice target, struct slice country_code, struct code_target *ret);
/* Of a name that was read already. False: no memory. */
bool code_target_of(struct action *c, const struct account_names *names, bool is_phone, struct code_target *ret);

/* ---- asking for one, trying it, using it ------------------------------------- */

/* Makes a code and gives it to who sends it; *ret_request_id for the client. False: the answer is set (429, ...).
 * All that a client can see is the same whether the target has an account or not. */
bool code_request(struct action *c, enum code_purpose purpose, const struct code_target *target,
    const struct caller *caller, struct slice *ret_request_id);

/* A code that was right a moment ago. */
struct code_right {
	struct slice request_id;
	enum code_purpose purpose;
	uint64_t version; /* of its stream then */
};

/*
 * Is it the code? request_id empty: of the newest request. 0 and *ret; ERR_DENIED whyever not (a wrong try has been
 * counted); ERR_* of looking.
 */
int code_check(struct action *c, enum code_purpose purpose, const struct code_target *target, struct slice request_id,
    struct slice code, struct code_right *ret);

/*
 * Adds verification.used to what it was for. Appending gives ERR_CONFLICT when somebody tried or used it meanwhile:
 * check again. user_id may be empty.
 */
void code_use(struct action_events *e, const struct code_right *right, struct slice user_id);
/* Once that is appended: its key can go. */
void code_used(struct action *c);

/* For who delivers it: appends the code in a request's sealed_code. ERR_ERASED when it is over, ERR_CORRUPT, ... Wipe it. Any thread. */
int code_unseal(struct app *app, struct slice request_id, struct slice sealed_code, struct buf *out);

/* The 400 or 401 that says a code was not right, nothing more. False. */
bool code_refuse(struct action *c, int status);
/* Is the text given one that could be a code? False: the 400 is set. */
bool code_text_check(struct action *c, struct slice code);

#endif
