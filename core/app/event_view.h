/*
 * An event as the API shows it: the envelope under the names of the API, and
 * its data. Sealed fields are opened for those who may see them; for others,
 * and where a key does not fit, they read {"$masked":true}; erased ones are absent.
 */
#ifndef LULAB_APP_EVENT_VIEW_H
#define LULAB_APP_EVENT_VIEW_H

#include "base/json.h"
#include "store/eventlog.h"
#include "store/seal.h"

struct event_view {
	struct sealer *sealer;
	bool personal; /* open what is sealed */
};

/* What a listing needs of an event besides its JSON. Slices point into the entry or the arena. */
struct event_shown {
	struct slice id, type, stream, source, actor, time;
};

/* Appends one JSON object. Errors of envelope_decode(), or ERR_NOMEM; ret_shown may be NULL. */
int event_view_write(const struct event_view *view, const struct log_record *record, struct arena *a,
    struct json_writer *w, struct event_shown *ret_shown);

#endif
