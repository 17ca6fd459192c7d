/*
 * From Feishu's words to our events: which event of ours one of theirs is, and
 * where they keep each of our fields. One delivery is one event. Pure functions, any thread.
 *
 * Meetings begin and end when their start_time and end_time say, not when we are told: the same meeting is told
 * of by several events (meeting_ended, all_meeting_ended, participant_meeting_ended), which must agree.
 * Somebody who was removed from a meeting is the one who left; who removed them stays in extra.
 *
 * Sources: vendor-protocols 2.4, functional-spec 8.3.
 */
#ifndef LULAB_ADAPTERS_LARK_EVENTS_H
#define LULAB_ADAPTERS_LARK_EVENTS_H

#include "adapters/lark_wire.h"
#include "adapters/translate.h"

#define LARK_PLATFORM "FEISHU"

/* Ours for the vendor's name; NULL when we know none. */
const struct event_type_info *lark_event_type(struct slice vendor_event);

/* An event that lark_receive() or lark_event_parse() took. ERR_NOT_FOUND when we have no event for it; ERR_NOMEM. */
int lark_translate(const struct lark_received *r, struct arena *a, struct translated *ret);

/* By what a person is known, best first: union id, open id, user id. ret_kind is static ("lark.union_id"). */
bool lark_person_identity(const struct event_person *p, struct slice meeting_id, struct arena *a, struct slice *ret_kind,
    struct slice *ret_identity);

/*
 * What a repeat must say again: the event, its members sorted and without white space, in the arena. The same event may be
 * written differently on another way. ERR_NOMEM.
 */
int lark_told(const struct lark_received *r, struct arena *a, struct slice *ret);

#endif
