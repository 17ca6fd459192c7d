/*
 * Passing over an event that a read model cannot apply. That is a person's
 * decision and itself an event, projection.skipped, behind the one it is about:
 * a running projector then goes on, and every later replay honours it.
 */
#ifndef LULAB_STORE_PROJECTION_SKIP_H
#define LULAB_STORE_PROJECTION_SKIP_H

#include "domain/event.h"
#include "store/projector.h"

struct projection_skip {
	uint64_t position;
	struct slice reason;
	struct slice source, actor; /* of the event: by which door, and who */
};

/*
 * The event that says so, when `status` is of a model that has stopped at just
 * this position; the draft lies in the arena. Otherwise ERR_CONFLICT, and *ret_why
 * (arena) tells how the model stands. Or an error of event_draft_make().
 */
int projection_skip_draft(const struct projection_skip *skip, const struct projection_status *status,
    const struct event_context *ctx, struct arena *arena, struct event_draft *ret, const char **ret_why);

#endif
