/*
 * From the vendor's words to our events: which event of ours a Tencent event
 * is, and where the vendor keeps each of our fields. One payload item is one
 * event. What has no place of ours is kept in `extra`, where it stood; a value
 * of a form we do not expect is kept there too. Pure functions, any thread.
 *
 * Sources: vendor-protocols 1.9, functional-spec 7.5.
 */
#ifndef LULAB_ADAPTERS_TENCENT_EVENTS_H
#define LULAB_ADAPTERS_TENCENT_EVENTS_H

#include "adapters/tencent_wire.h"
#include "domain/event.h"

#define TENCENT_PLATFORM "TENCENT_MEETING"

/* The names the vendor uses: "meeting.end", ... closed by NULL. */
extern const char *const tencent_event_names[];

/* Ours for the vendor's name; NULL when we know none. */
const struct event_type_info *tencent_event_type(struct slice vendor_event);

enum tencent_role { TENCENT_OPERATOR, TENCENT_CREATOR, TENCENT_TO_OPERATOR, TENCENT_ROLES };

/* One payload item translated. All of it in the arena, or borrowed from the vendor's text. */
struct tencent_fact {
	const struct event_type_info *type;
	void *data;               /* the struct of that type, but for subjects, raw and fingerprint */
	struct slice meeting_id;  /* empty when the vendor named no meeting */
	struct slice file_id;     /* first recording file; empty when there is none */
	const struct event_person *people[TENCENT_ROLES]; /* NULL when absent; they lie in data */
	bool seals_for_meeting;   /* something in data is sealed under the subject `meeting` */
};

/*
 * Item `index` of an envelope that tencent_parse() took. ERR_NOT_FOUND when we
 * have no event for it; ERR_NOMEM. Whether our schema accepts the result is
 * found out by event_draft_make().
 */
int tencent_translate(const struct tencent_envelope *e, size_t index, struct json_value item, struct arena *a,
    struct tencent_fact *ret);

/*
 * By what a person is known, best first: uuid, open id, user id, phone number,
 * and the id within one meeting. ret_kind is static ("tencent.uuid"). False
 * when nothing identifies them.
 */
bool tencent_person_identity(const struct event_person *p, struct slice meeting_id, struct arena *a,
    struct slice *ret_kind, struct slice *ret_identity);

/* Fills the members every delivery has, which translation leaves open; pointers may be NULL. */
struct tencent_seals {
	const struct event_subject *meeting, *people[TENCENT_ROLES], *raw;
	const struct event_blob *raw_blob;
	struct slice fingerprint;
};
void tencent_fact_seal(struct tencent_fact *fact, const struct tencent_seals *seals);

#endif
