/*
 * Facts: what the indexes are made of. Every event states a few, and states
 * them in its entry, so that the same facts can be drawn from a draft about to
 * be written and from a record read back, in the same order:
 *
 *     EVENT     the stream it is in        subject
 *     ONCE      its duplicate key          oncekey
 *     RELEASE   unique names given back    data.releases
 *     CLAIM     unique names taken         data.claims
 *     SUBJECT   reference -> subject id    data.subjects.*.ref, .id
 */
#ifndef LULAB_STORE_LOG_FACTS_H
#define LULAB_STORE_LOG_FACTS_H

#include "domain/event_draft.h"

enum fact_kind { FACT_EVENT, FACT_ONCE, FACT_RELEASE, FACT_CLAIM, FACT_SUBJECT };

struct log_fact {
	enum fact_kind kind;
	uint64_t position;
	struct slice key; /* stream name, once key, claim, or reference */
	uint16_t type;    /* EVENT */
	uint64_t stream;  /* EVENT: number of its stream, once known */
	uint32_t version; /* EVENT: events in the stream with this one, once known */
	struct id id;     /* SUBJECT */
};

/* Anything but 0 ends the walk and is its result. */
typedef int fact_sink(void *arg, const struct log_fact *fact);

int facts_of_draft(const struct event_draft *draft, uint64_t position, fact_sink *sink, void *arg);

/* The x-id of an event type's name, 0 when it is not known. */
typedef uint16_t type_number(struct slice name);

/*
 * As the entry tells them; keys are valid during the call of the sink only. The
 * type is numbered by `number`; where that is NULL or does not know it, header_type
 * is believed. ERR_MALFORMED, ERR_CORRUPT (not its position), ERR_VERSION, ERR_NOMEM.
 */
int facts_of_entry(struct slice entry, uint64_t position, uint16_t header_type, type_number *number,
    fact_sink *sink, void *arg);

/*
 * Before a draft is accepted: limits, that time and sequence are where it says,
 * the envelope, and that entry and draft tell the same facts. The sequence in it
 * is not looked at. number may be NULL. ERR_INVALID, ERR_TOO_BIG, ERR_NOMEM.
 *
 * The entry of one that event_draft_make() made is not read for it: that would cost
 * as much as making it. A test shows of each type of event that it would pass, and
 * builds for finding faults read it all the same.
 */
int facts_check_draft(const struct event_draft *draft, type_number *number);

/* When the entry says it was recorded. */
int facts_time(struct slice entry, uint64_t position, int64_t *ret_time_us);

#endif
