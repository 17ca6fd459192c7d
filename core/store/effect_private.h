/* What core/store/effect*.c share. */
#ifndef LULAB_STORE_EFFECT_PRIVATE_H
#define LULAB_STORE_EFFECT_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/arena.h"
#include "base/list.h"
#include "store/effect.h"
#include "store/effect_flights.h"
#include "store/effect_lane.h"
#include "store/eventlog.h"
#include "store/query.h"
#include "store/seal.h"

#define LANES_MAX 16
#define HOSTS_MAX 8
#define READY_MAX 1024  /* what the query gives */
#define BATCH_MAX 64
#define EFFECT_MODEL "effects"
#define EFFECT_ENDS_MAX 3 /* one that ends the process so often is poison */
#define CLASS_PROCESS_ENDED "process_ended"

enum row_state { ROW_WANTED, ROW_WAITING, ROW_UNKNOWN, ROW_TRYING };

/* A row of the read model, as far as the engine wants to know. */
struct effect_row {
	char id[ID_TEXT_LEN + 1];
	const struct effect_entry *entry; /* NULL: of an effect this program does not have */
	enum row_state state;
	uint64_t cause;
	unsigned attempt, tries, ends;
	char key[EFFECT_KEY_MAX + 1];
	uint64_t version; /* of its stream */
	int64_t ready_at_ms, not_after_ms, asked_at_ms;
	bool repetition; /* it failed before: the retry budget has a say. Asking again for what was not ready is none */
};

struct effect_task;

/* What a worker is at. */
struct workplace {
	const struct effect_task *task; /* NULL: nothing */
	int64_t since_ms;
	struct effect_progress progress;
};

/* Rows that are tried together, on their way round: dispatcher, clerk, worker, clerk, dispatcher. One of them has it. */
struct effect_task {
	struct list link;
	struct lane_host *host;
	enum breaker_move move;   /* that its start made */
	bool is_probe;            /* the breaker was not closed then */
	bool is_ahead;            /* no worker was free for it: its attempts are told while it waits */
	bool was_run;
	enum breaker_move end_move; /* that its end made, and until when */
	int64_t until_ms;
	uint64_t settled;         /* position of the last event that tells of them; 0: none does */
	struct arena arena;       /* all below, and what the calls come to need */
	struct effect_row *rows;
	unsigned n;
	struct effect_row **tried; /* the rows that are, after the clerk has sorted out the others */
	struct effect_call *calls; /* one for each of these */
	struct event *causes;
	unsigned n_tried;
};

struct lane_host {
	const char *name;
	struct breaker breaker;
};

struct lane {
	struct effects *engine;
	const struct effect_lane *decl;
	pthread_t *threads, clerk;
	unsigned n_threads;
	bool has_clerk;

	/* The dispatcher's alone. */
	struct effect_row ready[READY_MAX];
	unsigned n_ready, next;   /* in `ready` */
	bool more;                /* the query had more */
	uint64_t read_position;   /* events folded into `ready` */
	uint64_t read_rows, read_generation; /* and by which commit of which file (struct query) */
	int64_t read_ms;          /* monotonic: when */
	int64_t read_behind_ms;   /* the wall clock, by then */
	int64_t next_ready_ms;    /* wall clock: when the next row is due; 0 = none is known of */
	struct flights flights;
	bool was_read;
	int64_t alarmed_ms;       /* monotonic: when the operator was told of dead ones; 0 = of none */

	pthread_mutex_t lock;     /* guards all below */
	pthread_cond_t filled;    /* for workers: a task is announced, or all is to stop */
	pthread_cond_t due;       /* for the clerk: a task waits or has ended, or all is to stop */
	struct list waiting;      /* tasks handed out, */
	struct list announced;    /* whose attempts are in the log, */
	struct list ended;        /* that were run, */
	struct list back;         /* and whose outcomes are in the log */
	struct list spare;        /* tasks to use again */
	bool workers_gone;
	unsigned n_out;           /* tasks handed out and not back */
	unsigned fine_in_row;     /* tasks that were done, since the last one that was not */
	int64_t usual_us;         /* of a task, about */
	struct workplace *workplaces; /* one a thread */
	unsigned n_workplaces;    /* taken */
	struct lane_policy policy;
	struct lane_host hosts[HOSTS_MAX];
	unsigned n_hosts;
	int64_t held_until_ms;    /* monotonic: the log takes no events */
	struct effect_lane_status status;
};

struct effects {
	struct eventlog *log;
	struct query_pool *queries;
	struct sealer *sealer;
	const struct clock *clock;
	const struct rng *rng;
	int64_t base_max_ms, breaker_ms, batch_wait_max_ms;
	_Atomic int64_t ahead_ms; /* of the monotonic clock: the wall's, the most there was of it; see effects_behind_ms() */
	struct effect_entry entries[EFFECTS_MAX];
	unsigned n_entries;
	struct lane *lanes[LANES_MAX];
	unsigned n_lanes;
	_Atomic bool stopping;

	/* The dispatcher. */
	pthread_t thread;
	bool thread_started;
	uv_loop_t loop;
	uv_async_t wake;   /* a worker is back, or all is to stop */
	uv_timer_t timer;
	struct log_port *port;
	struct log_follower follower;
	struct eventlog_cursor cursor;
	const struct projection *model;
	uint64_t needed;   /* events the rows should hold: one more than the newest of interest */
	int64_t needed_ms; /* monotonic: since when */
	uint64_t bar;      /* and must: what was there at the start, and what was told of that */
	bool recovered;    /* what the process before left half done was told */
	bool lanes_known;  /* which are paused */
	bool breakers_known; /* which were open at the start */
	int64_t counted_ms;   /* monotonic: when lanes were last counted */
	uint64_t counted_at;  /* and what `needed` was then */
};

static inline int64_t mono_ms(const struct effects *e)
{
	return clock_monotonic_us(e->clock) / 1000;
}

/* ---- effect.c ---------------------------------------------------------------------------- */

/*
 * By how much the wall clock was put back, as far as this process, or the log's own time at its start, knows. Times to
 * repeat at are told and read with that added, so that a delay is as long as it was meant. Any thread.
 */
int64_t effects_behind_ms(struct effects *e);

/* ---- effect_rows.c: reading the read model; the dispatcher's ---------------------------- */

/* Runs a query that sees that many events: 0 with q->out the rows; finish q in any case. */
int rows_query(struct effects *e, struct query *q, const char *name, uint64_t needed);
/* Fills lane->ready with rows that were not handed out, as `needed` events tell of them. */
int rows_ready(struct effects *e, struct lane *lane, uint64_t needed);
/* Rows in TRYING at a start, at most max. */
int rows_trying(struct effects *e, struct effect_row *rows, unsigned max, unsigned *ret_n);
/* Which lanes are paused; once, which breakers were open. */
int rows_lanes(struct effects *e, bool with_breakers);
/* How many wait and are dead, for the status. */
int rows_counts(struct effects *e);

/* ---- effect_tell.c: events --------------------------------------------------------------- */

/* Events that are appended together. */
struct telling {
	struct effects *engine;
	struct arena *arena;
	struct event_draft *drafts; /* in the arena */
	size_t n, room;
	int rc; /* of the first that could not be made */
};
int telling_init(struct telling *t, struct effects *e, struct arena *arena, size_t room);
void tell_attempted(struct telling *t, const struct effect_row *row);
/* What became of the attempt that row->attempt + 1 was, with all that follows. now_ms: wall clock. */
void tell_outcome(struct telling *t, const struct effect_row *row, const struct effect_call *call, int64_t now_ms);
/* Its attempt is in the log, but nobody began with it: that costs no try. */
void tell_not_begun(struct telling *t, const struct effect_row *row, const struct effect_call *call, int64_t now_ms);
/* Of an attempt whose process ended; row is in TRYING. */
void tell_process_ended(struct telling *t, const struct effect_row *row, int64_t now_ms);
void tell_dead(struct telling *t, const struct effect_row *row, const char *reason);
void tell_cancelled(struct telling *t, const struct effect_row *row, const char *reason);
/* A move of a breaker; BREAKER_STAYS tells nothing. */
void tell_breaker(struct telling *t, const struct lane *lane, const struct lane_host *host, enum breaker_move move,
    int64_t until_ms, const char *reason);
/* Appends, and forgets them. *ret_position: of the newest. 0 when there were none. */
int telling_append(struct telling *t, uint64_t *ret_position);

/* ---- effect_task.c ----------------------------------------------------------------------- */

/* With the lane's lock. n rows from `first` on, copied; NULL without memory. */
struct effect_task *task_create(struct lane *lane, const struct effect_row *first, unsigned n);
/* With the lane's lock: it can be used again. */
void task_put_back(struct lane *lane, struct effect_task *task);
void task_destroy(struct effect_task *task);
/* What is too late or gone is told of, the others get their calls and, if nothing is wrong, are told to be attempted. */
int task_tell_start(struct effect_task *task, struct lane *lane, struct telling *t);
void task_tell_end(const struct effect_task *task, struct lane *lane, struct telling *t);
/* It was run, and each of its calls was done. */
bool task_is_done(const struct effect_task *task);
/* Of the last call that did not go well: in a batch others may have, and the breaker moves all the same. */
const char *task_reason(const struct effect_task *task);
/* How many events these are at most. */
size_t task_start_events(const struct effect_task *task);
size_t task_end_events(const struct effect_task *task);

/* ---- effect_clerk.c, effect_run.c: the threads of a lane ----------------------------------- */

void *effect_clerk(void *lane);
void *effect_worker(void *lane);

/* ---- effect_dispatch.c ----------------------------------------------------------------------- */

int dispatcher_start(struct effects *e);
void dispatcher_stop(struct effects *e);
struct lane_host *lane_host_of(struct lane *lane, const struct effect_entry *entry);

/* ---- effect_switch.c ----------------------------------------------------------------------- */

/* effect.enabled and .disabled where the log says otherwise. */
int switches_tell(struct effects *e);

#endif
