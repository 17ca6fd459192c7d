/* See projection_skip.h. */
#include "store/projection_skip.h"

#include <inttypes.h>

#include "base/err.h"

static int check(const struct projection_skip *skip, const struct projection_status *s, struct arena *arena,
    const char **ret_why)
{
	const char *name = s->model->name;

	if (s->state != PROJECTION_STOPPED)
		*ret_why = arena_printf(arena, "%s has not stopped at an event: it is %s at position %" PRIu64, name,
		    projection_state_name(s->state), s->position);
	else if (s->err_position != skip->position)
		*ret_why = arena_printf(arena, "%s has stopped at position %" PRIu64 ", not at %" PRIu64, name,
		    s->err_position, skip->position);
	else
		return 0;
	return ERR_CONFLICT;
}

int projection_skip_draft(const struct projection_skip *skip, const struct projection_status *status,
    const struct event_context *ctx, struct arena *arena, struct event_draft *ret, const char **ret_why)
{
	struct event_projection_skipped data = {
	    .projection = slice_str(status->model->name),
	    .position = (int64_t)skip->position,
	    .reason = skip->reason,
	    .error = arena_dup(arena, slice_str(status->problem)),
	};
	struct event_meta meta = {
	    .source = skip->source, .actor = skip->actor, .has_once = true, .expect = EXPECT_ANY};
	int rc = check(skip, status, arena, ret_why);

	if (rc != 0)
		return rc;
	/* Told twice at the same moment, it is one decision. */
	event_once_key(meta.once, SLICE("projection.skipped"),
	    slice_str(arena_printf(arena, "%s %" PRIu64, status->model->name, skip->position)));
	return event_draft_make(ctx, EVENT_PROJECTION_SKIPPED, &data, &meta, arena, ret, NULL);
}
