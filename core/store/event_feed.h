/*
 * The log as decoded events, for all read models at once. Decoding an event and
 * opening its seals costs more than most of what is done with it, so a thread
 * does it once and ahead of the readers:
 *
 *     log --> feed thread --> chunk, chunk, chunk ... --> projector
 *                                    |                --> projector
 *                                    +----------------->  projector
 *
 * Chunks lie in a ring of some thousand events: while a reader commits, the
 * thread goes on for as long as that takes. A reader that is further behind
 * than that (a read model being built while the others are live) decodes for
 * itself, and is served by the ring again when it has caught up.
 *
 * Only types that a model handles are decoded, only fields that a model binds
 * are opened. What was opened stays in memory until the ring comes round, or until
 * it has to be forgotten because somebody was erased.
 */
#ifndef LULAB_STORE_EVENT_FEED_H
#define LULAB_STORE_EVENT_FEED_H

#include "domain/event.h"
#include "store/projection.h"

struct event_feed;
struct eventlog;
struct feed_chunk;
struct feed_own;
struct sealer;

struct event_feed_options {
	struct eventlog *log;
	unsigned number;       /* of the log among those that it is read before (eventlog.h), 0 when it is the last */
	struct sealer *sealer; /* NULL: sealed fields are absent */
	const struct projection *const *models; /* ends with NULL; borrowed */
	unsigned readers_max; /* at once; 0: no thread and no ring, every reader decodes for itself */
	unsigned ahead;       /* how many events the ring goes ahead of the foremost reader; 0: as suits a projector */
	bool yields;          /* see thread_yield_to_others() */
};

/* Starts the thread, if any. The log and the sealer outlive the feed. */
int event_feed_open(struct event_feed **ret, const struct event_feed_options *options);
/* Every reader must be finished. NULL is fine. */
void event_feed_close(struct event_feed *feed);

/*
 * Wipes what was opened, but for what a reader holds, which goes when that lets go of it. What is asked for again is opened
 * again, with the keys there are then. Any thread.
 */
void event_feed_forget(struct event_feed *feed);

/* An event as a reader gets it. */
struct fed_event {
	uint64_t position;
	uint64_t place;     /* the same, told apart from the events of other logs */
	int64_t time_us;    /* when it was recorded */
	uint16_t type;
	uint32_t stream_version;
	int rc;             /* of decoding it; event is then not to be looked at */
	bool decoded;       /* false: no model handles its type, and there is only what is above */
	struct event event;
};

/* One reader's place. Embed it; one thread. */
struct feed_reader {
	struct event_feed *feed;
	const struct projection *model; /* what it opens when it decodes for itself */
	struct feed_chunk *chunk;       /* held until the reader is past it */
	uint64_t told;                  /* number of the last failure it was told */
	struct feed_own *own; /* for decoding by itself */
};

/* A zeroed reader may be finished, too. */
void feed_reader_init(struct feed_reader *r, struct event_feed *feed, const struct projection *model);
void feed_reader_finish(struct feed_reader *r);
/*
 * The event at a position below the end of the log; it stays until the next
 * call. Blocks while it is being decoded. An error is the log's (it could not be
 * read) or passes (no memory, keys that cannot be read just now), and whoever
 * asks again has it tried again; an event that cannot be decoded is told by its rc.
 */
int feed_reader_at(struct feed_reader *r, uint64_t position, const struct fed_event **ret);
/* Lets go of what it holds: to be called before a wait. */
void feed_reader_pause(struct feed_reader *r);

#endif
