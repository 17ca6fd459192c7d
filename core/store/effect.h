/*
 * Effects: what events make happen outside. A row of the read model `effects`
 * is owed to the world; the engine here tries it until the log says what became
 * of it (integrity.md 15 and 16).
 *
 *     dispatcher: rows that may be tried now, by lane
 *     clerk:      effect.attempted of some, effect.done, .waiting, .unknown, ... of others, in one append
 *     workers:    run what is durably attempted
 *
 * Each lane has threads of its own, so that a neighbour that is down delays
 * nothing else; all that is tried of one key is tried in order. The engine holds
 * nothing that the log does not: after a crash what is owed is read again, and an effect
 * whose attempt has no outcome counts as unknown.
 */
#ifndef LULAB_STORE_EFFECT_H
#define LULAB_STORE_EFFECT_H

#include "base/clock.h"
#include "base/rng.h"
#include "domain/event.h"

struct eventlog;
struct projector;
struct query_pool;
struct sealer;

/* ---- what is declared ---------------------------------------------------------- */

/* Whether trying again after an attempt whose outcome is not known harms anybody. */
enum effect_class {
	EFFECT_KEYED,    /* the neighbour knows our id: repeated while its window lasts (repeat_ms) */
	EFFECT_READABLE, /* can be looked up: run does so first (call->after_unknown) */
	EFFECT_HARMLESS, /* reads, model calls */
	EFFECT_ONCE,     /* never repeated: a person decides */
	EFFECT_MAIL,     /* repeated, with the same Message-ID */
};

/* What effects of one neighbour share; the figures are those of integrity.md 16. Constant data. */
struct effect_lane {
	const char *name;      /* "mail" */
	enum effect_class class;
	unsigned concurrency;  /* threads */
	unsigned per_minute;   /* attempts, on average; 0 = any number */
	unsigned burst;        /* of them at once, after a rest */
	unsigned base_ms, cap_ms; /* of what is waited before a repetition */
	unsigned tries_max;
	int64_t age_max_ms;
	int64_t repeat_ms;     /* EFFECT_KEYED: how long the neighbour knows an id; 0 = as long as the age */
	unsigned batch_max;    /* effects one run may do together: those of one adapter that have the same run; 0 = 1 */
	unsigned batch_wait_ms; /* how long the oldest of them waits for others */
};

enum effect_outcome {
	EFFECT_NOT_SET, /* a run that says nothing: unknown */
	EFFECT_DONE,
	EFFECT_RETRY,   /* it certainly did not happen, and may later */
	EFFECT_NOT_TRIED, /* nothing was done for it, as when what it goes with was stopped, or a limit is reached: a RETRY that costs no try */
	EFFECT_NOT_YET, /* the neighbour is still making what is asked for: again after 1, 5, 15, then every 60 minutes */
	EFFECT_REFUSED, /* it will not happen until a person changes something: a dead letter at once */
	EFFECT_FAILED,  /* it will not happen, whoever asks: no dead letter */
	EFFECT_IS_UNKNOWN, /* it may have happened */
	EFFECT_STOP,    /* our settings are wrong (credentials): the neighbour is left alone for a while */
};

#define EFFECT_RESULTS_MAX 16

#define EFFECT_KEY_MAX 100

/* How far a long attempt has come. Told by its run, read by whoever looks; of the moment, the log has none of it. */
struct effect_progress {
	_Atomic uint64_t done, total; /* bytes; total 0 = not known */
};
/* p may be NULL. */
void effect_progress_tell(struct effect_progress *p, uint64_t done, uint64_t total);

/* One effect to be tried. Run reads the first part and fills in the second. */
struct effect_call {
	const char *id;         /* 32 hex digits; the idempotency key */
	const char *name;       /* "mail.code" */
	const char *key;        /* of its row, by which it is kept in order; "" when longer than EFFECT_KEY_MAX */
	unsigned attempt;       /* from 1 */
	bool after_unknown;     /* the attempt before may have happened */
	const struct event *cause; /* unsealed; of the log, in the arena */
	uint64_t cause_position;
	int64_t cause_us;       /* when it was recorded */
	int64_t not_after_ms;   /* 0 = any time */
	void *state;            /* of who declared the effect */
	void *thread;           /* what the lane's thread_open() gave */
	struct arena *arena;
	const struct clock *clock;
	const struct rng *rng;
	const _Atomic bool *stopping; /* the service stops: come to an end soon */
	struct effect_progress *progress; /* of all in the batch together */

	enum effect_outcome outcome;
	const char *class;      /* "smtp_temporary"; static, [a-z_]; NULL with EFFECT_DONE */
	const char *message;    /* for people, our own words; static or in the arena; NULL = none */
	int64_t status;         /* the neighbour's; 0 = none */
	const char *vendor_id;  /* of its request; in the arena; NULL = none */
	int64_t retry_after_ms; /* at least so long; 0 = the lane decides */
	bool host_failed;       /* counts against the neighbour: no answer, 5xx, 408, 429 */

	/* Events that tell what came of it; appended with effect.done or not at all. */
	struct event_draft results[EFFECT_RESULTS_MAX];
	size_t n_results;
};

/* Blocking code on a thread of the lane: n calls, 1 unless the lane has batches. */
typedef void effect_fn(struct effect_call *calls, size_t n);
/* Is it still wanted, or was what it needs erased? Before an attempt, touching nothing outside. */
typedef bool effect_wanted_fn(const struct effect_call *call);

struct effect {
	const char *name;
	const struct effect_lane *lane;
	effect_fn *run;
	effect_wanted_fn *wanted;         /* NULL = always */
	bool built_in;                    /* of the program itself: always acted upon, which projections/effects.sql says and the log does not */
	const char *(*off)(void *state);  /* why this one is not acted upon though its adapter is ready, static, or NULL; may be NULL */
	const char *(*host)(void *state); /* whose failures count together; NULL = the lane's own */
	void *(*thread_open)(void);       /* once a thread, before its first run; may be NULL */
	void (*thread_close)(void *thread);
};

/* ---- the engine ------------------------------------------------------------------ */

struct effects;

/* An effect and whose it is. */
struct effect_entry {
	const struct effect *effect;
	void *state;
	bool enabled; /* it is configured: such events are acted upon from now on */
	const char *why_not; /* static; else NULL */
};

#define EFFECTS_MAX 64

struct effects_options {
	struct eventlog *log;
	struct query_pool *queries;
	struct sealer *sealer;
	const struct clock *clock;
	const struct rng *rng;
	const struct effect_entry *entries; /* copied */
	unsigned n_entries;
	int64_t base_max_ms;    /* no lane's base is longer; 0 = as declared */
	int64_t breaker_ms;     /* how long one is open at first; 0 = 30 s */
	int64_t batch_wait_max_ms; /* no lane waits longer for a batch; 0 = as declared */
};

/*
 * Tells the log which effects are acted upon, where that changed (before
 * anything is accepted, so that nothing asked for from here on is missed), and
 * starts the threads. ERR_NOMEM, or the log's. A read-only log: nothing is tried.
 */
int effects_start(struct effects **ret, const struct effects_options *options);
/* Waits for what runs; what has not begun is found again by the next start. Before the query pool closes. NULL is fine. */
void effects_stop(struct effects *e);

/* ---- how it stands ------------------------------------------------------------------ */

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };
const char *breaker_state_name(enum breaker_state state); /* "closed", ... */

struct effect_lane_status {
	const struct effect_lane *lane;
	bool paused;
	enum breaker_state breaker; /* the worst of its neighbours */
	char host[64];              /* whose that is */
	unsigned running;           /* handed out and not back */
	uint64_t waiting;           /* open, not running; as of the last look */
	uint64_t dead;              /* and not closed */
	int64_t oldest_ms;          /* when the oldest open one was wanted; 0 = there is none */
	uint64_t attempts, done, retried, refused, failed, unknown; /* since the start */
};
/* The i-th lane; false past the last. Any thread. */
bool effects_status(struct effects *e, unsigned i, struct effect_lane_status *ret);

/* What is being tried at the moment. */
struct effect_under_way {
	char id[ID_TEXT_LEN + 1];
	const char *effect, *lane;
	unsigned attempt;
	int64_t since_ms; /* wall clock */
	uint64_t done, total; /* as effect_progress */
};
/* At most max of them; how many there are. Any thread. */
unsigned effects_under_way(struct effects *e, struct effect_under_way *ret, unsigned max);

/* The effect of that name, as it was given; NULL when this program has none. */
const struct effect_entry *effects_entry(const struct effects *e, struct slice name);
/* A lane of that name, or "*". */
bool effects_has_lane(struct effects *e, struct slice name);

#endif
