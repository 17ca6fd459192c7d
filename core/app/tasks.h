/*
 * Tasks: work at a time somebody chose (functional-spec 11). A task fires
 * (task_scheduler.h), and that makes a run: an effect on a lane of our own, with its attempts, its dead letters and its place
 * in the log.
 *
 * What a task does is its kind. The program has a few (task_kinds.c), and an adapter may add some: struct adapter, `task_kinds`.
 * A kind is short work of our own; what goes outside is an effect of the vendor's lane, asked for by an event that the run
 * leaves behind (task_run_result()).
 */
#ifndef LULAB_APP_TASKS_H
#define LULAB_APP_TASKS_H

#include "app/app.h"
#include "domain/schema.h"
#include "store/effect.h"

struct task_run;
/* Blocking code on a thread of the lane. Ends with task_run_done() or one of the failures. */
typedef void task_fn(struct task_run *run);

struct task_kind {
	const char *name;              /* "cleanupExpiredData" */
	const char *summary;           /* for people: what it does */
	const struct schema *payload;  /* what it wants to know; NULL = nothing */
	const char *permission;        /* that whoever schedules it needs besides tasks:write; NULL = none */
	task_fn *run;
	/* Why it would come to nothing at the moment, static text for people, or NULL; may be NULL itself. May ask a read model: not for loops. */
	const char *(*unready)(struct app *app);
};

struct task_run {
	const char *id;               /* of the run: always the same, however often it is tried */
	struct app *app;
	void *state;                  /* of the adapter whose kind it is; NULL = of the program's own */
	const void *payload;          /* the struct of its schema; NULL when the kind has none */
	const struct event_task_fired *fired;
	const struct event *cause;    /* the event of it */
	struct arena *arena;
	/* Private. */
	struct effect_call *call;
	int64_t until_us; /* monotonic */
	struct slice result;
};

/* The time limit is over, or the service stops: come to an end soon, and say task_run_failed(run, ERR_TIMEOUT, ...). */
bool task_run_is_over(const struct task_run *run);

/* It is done. result: a JSON object of counts and ids for the history, in the arena; empty = nothing to tell. Nobody's data. */
void task_run_done(struct task_run *run, struct slice result);
/* It may work another time: tried again, as often as the task says. err tells the class; message: static, for people, may be NULL. */
void task_run_failed(struct task_run *run, int err, const char *message);
/* It will not work until somebody changes something: a dead letter at once. class: static, [a-z_]. */
void task_run_refused(struct task_run *run, const char *class, const char *message);
/* An event that is appended with the run's end; what it asks for is then somebody else's. Room for 14. ERR_RANGE past that. */
int task_run_result(struct task_run *run, const struct event_draft *draft);

/*
 * A span of time as payloads name it: from and to, instants; or so many days until it was due (0: not said; one when nothing is).
 * ERR_INVALID: it ends before it begins, or is said twice.
 */
int task_run_span(const struct task_run *run, struct slice from, struct slice to, int64_t days, int64_t *ret_from_ms,
    int64_t *ret_to_ms);

/* The effects of the lanes, closed by {0}; their state is the app. */
extern const struct effect task_effects[];

/* The program's own kinds, closed by {0}. */
extern const struct task_kind task_kinds[];

/* By name: an adapter's or our own. NULL: there is none. *ret_state may be NULL. */
const struct task_kind *task_kind_find(struct app *app, struct slice name, void **ret_state);
/* The i-th of all there are; NULL past the last. */
const struct task_kind *task_kind_at(struct app *app, unsigned i);

#endif
