/*
 * What history would have wanted of one effect, had it been switched on then.
 *
 * The read model `effects` itself says so: its statements carry the log into a file of their own, in which that one effect
 * is switched on from the first event of the range on and no other is, whatever the log says of switches.
 *
 *     log: .......... from ............ until
 *          switch off | switch on            --> rows of the file = wishes
 *
 * The log is read from its beginning, for statements may look at what others noted. Blocking code, one thread.
 */
#ifndef LULAB_STORE_EFFECT_REPLAY_H
#define LULAB_STORE_EFFECT_REPLAY_H

#include <stdatomic.h>

#include "base/buf.h"
#include "store/eventlog.h"

struct effect_replay;
struct sealer;

/* What is recorded: places (eventlog.h), those from `from` on and before `until`. One at a time in a data directory. */
struct effect_replay_options {
	struct eventlog *log;
	struct sealer *sealer;
	const char *dir;     /* the data directory */
	struct slice effect; /* its name */
	uint64_t from, until;
	int64_t now_ms;      /* nothing is ready before, and what had to be done by then is expired */
	const _Atomic bool *stopping;
};

/* Where the very first event is. */
uint64_t effect_replay_beginning(struct eventlog *log);
/* Where the first event is that was recorded at a time or later; the end of the log when there is none. The log's errors. */
int effect_replay_at(struct eventlog *log, int64_t time_us, uint64_t *ret_place);
/* Whether a place comes before another: those of logs before come first. */
bool effect_replay_is_before(uint64_t a, uint64_t b);

/* Reads the range. ERR_CANCELLED: it was to stop. Else the errors of a read model that is built; *problem tells more. */
int effect_replay_open(struct effect_replay **ret, const struct effect_replay_options *options, struct buf *problem);
void effect_replay_close(struct effect_replay *r); /* NULL is fine */
/* At a start: the file of a process that was ended is taken away. */
void effect_replay_clear(const char *dir);

/* One row that would be there; what it names is borrowed until the next one. */
struct effect_wish {
	struct slice id, lane, key, cause_type, cause_stream;
	uint64_t cause; /* place */
	int64_t priority, ready_at_ms, not_after_ms;
	bool has_not_after, expired;
};
/* The next, in the order in which they came; ERR_END after the last. */
int effect_replay_next(struct effect_replay *r, struct effect_wish *ret);

#endif
