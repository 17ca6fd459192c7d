/*
 * From Tencent Meeting's words to our events: which event of ours one of theirs
 * is, and where they keep each of our fields. One payload item is one event.
 * Pure functions, any thread.
 *
 * Sources: vendor-protocols 1.9, functional-spec 7.5.
 */
#ifndef LULAB_ADAPTERS_TENCENT_EVENTS_H
#define LULAB_ADAPTERS_TENCENT_EVENTS_H

#include "adapters/tencent_wire.h"
#include "adapters/translate.h"

#define TENCENT_PLATFORM "TENCENT_MEETING"

/* The names the vendor uses: "meeting.end", ... closed by NULL. */
extern const char *const tencent_event_names[];

/* Ours for the vendor's name; NULL when we know none. */
const struct event_type_info *tencent_event_type(struct slice vendor_event);

/*
 * Item `index` of an envelope that tencent_parse() took. ERR_NOT_FOUND when we
 * have no event for it; ERR_NOMEM. Whether our schema accepts the result is
 * found out by event_draft_make().
 */
int tencent_translate(const struct tencent_envelope *e, size_t index, struct json_value item, struct arena *a,
    struct translated *ret);

/*
 * By what a person is known, best first: uuid, open id, user id, phone number,
 * and the id within one meeting. ret_kind is static ("tencent.uuid"). False
 * when nothing identifies them.
 */
bool tencent_person_identity(const struct event_person *p, struct slice meeting_id, struct arena *a,
    struct slice *ret_kind, struct slice *ret_identity);

#endif
