/*
 * Commands: requests that change something. A handler of one is ordinary
 * blocking code, read from top to bottom: it looks things up, decides, appends
 * and says what to answer, all on a thread of a job pool, while the loop goes on.
 *
 *     loop:   action_start() ----------------------------> the answer is sent
 *     thread:                  run: query, decide, append
 *
 * A command may have a second part on other threads (action_then()): what has to be
 * decided where nobody else decides, and then takes long.
 *
 * Between the two the request is the thread's alone. Answers for people exist in
 * two languages; an error is problem+json with the members existing clients
 * read (statusCode, message, error) beside it.
 */
#ifndef LULAB_APP_ACTION_H
#define LULAB_APP_ACTION_H

#include "app/app.h"
#include "app/job_pool.h"
#include "domain/account.h"
#include "domain/event.h"

#define ACTION_HEADERS_MAX 4
#define ACTION_EVENTS_MAX 16

struct action;
typedef void action_fn(struct action *c);

/*
 * Which threads. Those that hash passwords are few, so that others do not wait behind them. What changes rights,
 * organisations and their trees is decided by one thread, from its first look to its commit: this process alone appends, so
 * what such a command has seen still holds when its events are appended. No two of them make a circle together, or
 * take away the last administrator. What reads all of the log takes minutes and has one thread that nobody else waits for.
 */
enum action_lane { ACTION_QUICK, ACTION_HASHING, ACTION_DECISION, ACTION_LONG };

struct action {
	struct http_request *rq; /* read-only; its arena is the command's */
	struct app *app;
	struct arena *arena;

	/* The answer. */
	int status;
	struct buf body; /* JSON; empty with 204 */
	struct said said;
	const char *code; /* of an error */
	int err;          /* an ERR_* that is to be told in the usual way; 0 = none */
	struct problems problems;
	struct http_field headers[ACTION_HEADERS_MAX];
	size_t n_headers;
	bool has_position;
	uint64_t position; /* of the newest event that was appended */

	void *state; /* what the first part leaves to the second, in the arena */

	/* Private. */
	struct job job;
	action_fn *run;
	action_fn *then;
	enum action_lane lane;
};

/* Loop thread, last thing of a handler. 503 when too many wait. */
void action_start(struct http_request *rq, enum action_lane lane, action_fn *run);

/* ---- for run ------------------------------------------------------------- */

/*
 * Last thing of a run that sets no answer: `rest` goes on with the command on threads of that lane, and sets it. What was
 * appended stays, also when too many wait there and the client is told 503.
 */
void action_then(struct action *c, enum action_lane lane, action_fn *rest);

/* The body into the struct of its schema; false: the 400 is set. */
bool action_read(struct action *c, const struct schema *schema, void *ret);

/* Sets an error; false, so that `return action_fail(...)` reads well in checks. */
bool action_fail(struct action *c, int status, const char *code, const char *en, const char *zh);
bool action_fail_said(struct action *c, int status, const char *code, struct said said);
/* The usual answer to an ERR_*. */
bool action_fail_err(struct action *c, int err);
/* Did it go well? False: the usual answer is set. */
static inline bool action_ok(struct action *c, int rc)
{
	return rc == 0 || action_fail_err(c, rc);
}

/* What arena_printf() made; "" when it is NULL, and the error is set: nothing is appended any more, so it is as good as any. */
const char *action_made(struct action *c, const char *text);

/* Begins a JSON answer with this status; write it with a json_writer on &c->body. */
struct json_writer action_answer(struct action *c, int status);
void action_header(struct action *c, const char *name, const char *value); /* value in the arena; NULL: see action_made() */

/*
 * The first row of a named query as an object: 0, ERR_NOT_FOUND, or what the
 * query failed with. It sees every event up to now. Parameters are texts, or
 * integers where text.ptr is NULL.
 */
struct action_param {
	const char *name;
	struct slice text;
	int64_t integer;
};
int action_row(struct action *c, const char *query, const struct action_param *params, size_t n_params,
    struct json_value *ret_row);
/* All its rows, as an array. */
int action_rows(struct action *c, const char *query, const struct action_param *params, size_t n_params,
    struct json_value *ret_rows);

/* Members of a row; empty, false or 0 when null or absent. A text for which there is no memory is empty, too: the error is set. */
struct slice row_text(struct action *c, struct json_value row, const char *name);
bool row_bool(struct json_value row, const char *name);
int64_t row_i64(struct json_value row, const char *name);

/* Events that are appended together. Zero it with ACTION_EVENTS(c). */
struct action_events {
	struct action *c;
	struct seal_subject subject; /* the person whose fields are sealed */
	struct event_draft drafts[ACTION_EVENTS_MAX];
	uint64_t positions[ACTION_EVENTS_MAX];
	size_t n;
	int rc; /* of the first event that could not be made */
	struct append append;
};

/* Adds one. person: NULL when nothing in it is sealed. meta may be NULL: actor and source of the request, no conditions. */
void action_event(struct action_events *e, enum event_type type, const void *data, const struct id *person,
    const struct event_meta *meta);
/*
 * Appends them all or none and waits; e->append has the details. With an error set before, it appends nothing and gives
 * that. From a 0 on, what was decided before is not believed any more.
 */
int action_append(struct action_events *e);
struct event_meta action_meta(const struct action *c);

/* An event of the log, unsealed, in the arena, and when it was written. ERR_* of reading and decoding. */
int action_event_at(struct action *c, uint64_t position, struct event *ret_event, int64_t *ret_time_us);

#endif
