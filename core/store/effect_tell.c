/* What became of effects, as events: the moves of integrity.md 15, and which of them follows from an outcome. */
#include "store/effect_private.h"

#include "base/err.h"

#define MALFORMED_MAX 2 /* answers that make no sense */
#define CLASS_MALFORMED "malformed"

int telling_init(struct telling *t, struct effects *e, struct arena *arena, size_t room)
{
	*t = (struct telling){
	    .engine = e, .arena = arena, .room = room, .drafts = arena_calloc(arena, room, sizeof(*t->drafts))};
	return t->drafts == NULL ? ERR_NOMEM : 0;
}

static void tell(struct telling *t, enum event_type type, const void *data, int64_t expect, struct slice causation)
{
	struct event_context ctx = {t->engine->rng, t->engine->clock, NULL};
	struct event_meta meta = {.source = SLICE("/effects"), .actor = SLICE("system"), .expect = expect, .causation = causation};
	int rc = t->n < t->room ? 0 : ERR_RANGE;

	if (rc == 0)
		rc = event_draft_make(&ctx, type, data, &meta, t->arena, &t->drafts[t->n], NULL);
	t->n += rc == 0;
	if (t->rc == 0)
		t->rc = rc;
}

/* All events of an effect begin with the same members. */
#define ABOUT(row, n) \
	.effect_id = slice_of((row)->id, ID_TEXT_LEN), .effect = slice_str((row)->entry->effect->name), \
	.lane = slice_str((row)->entry->effect->lane->name), .attempt = (n)
#define ANSWER(call) \
	.class = slice_str((call)->class), .status = (call)->status, .has_status = (call)->status != 0, \
	.vendor_id = slice_str((call)->vendor_id), .message = slice_str((call)->message)

static struct slice no_cause(void)
{
	return (struct slice){0};
}

void tell_attempted(struct telling *t, const struct effect_row *row)
{
	struct event_effect_attempted data = {ABOUT(row, row->attempt + 1)};

	tell(t, EVENT_EFFECT_ATTEMPTED, &data, (int64_t)row->version, no_cause());
}

static void give_up(struct telling *t, const struct effect_row *row, unsigned attempt, uint64_t version, const char *reason)
{
	struct event_effect_dead data = {ABOUT(row, attempt), .reason = slice_str(reason)};

	tell(t, EVENT_EFFECT_DEAD, &data, (int64_t)version, no_cause());
}

void tell_dead(struct telling *t, const struct effect_row *row, const char *reason)
{
	give_up(t, row, row->attempt, row->version, reason);
}

void tell_cancelled(struct telling *t, const struct effect_row *row, const char *reason)
{
	struct event_effect_cancelled data = {ABOUT(row, row->attempt), .reason = slice_str(reason)};

	tell(t, EVENT_EFFECT_CANCELLED, &data, (int64_t)row->version, no_cause());
}

/* Why there is no next try at that time, or NULL. tries: made, this one included. behind_ms: the wall clock's part of it. */
static const char *exhausted(const struct effect_row *row, const char *class, unsigned tries, int64_t retry_at_ms, int64_t behind_ms)
{
	const struct effect_lane *lane = row->entry->effect->lane;
	bool malformed = class != NULL && strcmp(class, CLASS_MALFORMED) == 0;

	if (row->not_after_ms != 0 && retry_at_ms - behind_ms >= row->not_after_ms)
		return "EXPIRED";
	if (tries >= lane->tries_max || (malformed && tries >= MALFORMED_MAX))
		return "TRIES";
	return retry_at_ms - row->asked_at_ms >= lane->age_max_ms ? "AGE" : NULL;
}

static void tell_waiting(struct telling *t, const struct effect_row *row, const struct effect_call *call,
    int64_t retry_at_ms, const char *dead)
{
	struct event_effect_waiting data = {ABOUT(row, call->attempt), ANSWER(call), .retry_at_ms = retry_at_ms,
	    .has_tried = call->outcome == EFFECT_NOT_TRIED, .tried = false};

	tell(t, EVENT_EFFECT_WAITING, &data, (int64_t)row->version + 1, call->cause->envelope.id);
	if (dead != NULL)
		give_up(t, row, call->attempt, row->version + 2, dead);
}

void tell_not_begun(struct telling *t, const struct effect_row *row, const struct effect_call *call, int64_t now_ms)
{
	struct event_effect_waiting data = {ABOUT(row, call->attempt), .class = SLICE("not_begun"),
	    .retry_at_ms = now_ms + effects_behind_ms(t->engine), .has_tried = true, .tried = false};

	tell(t, EVENT_EFFECT_WAITING, &data, (int64_t)row->version + 1, call->cause->envelope.id);
}

static bool may_repeat(const struct effect_row *row, int64_t retry_at_ms)
{
	const struct effect_lane *lane = row->entry->effect->lane;

	if (lane->class == EFFECT_ONCE)
		return false;
	return lane->class != EFFECT_KEYED || lane->repeat_ms == 0 || retry_at_ms - row->asked_at_ms < lane->repeat_ms;
}

static void tell_unknown(struct telling *t, const struct effect_row *row, const struct effect_call *call,
    int64_t retry_at_ms, int64_t behind_ms)
{
	struct event_effect_unknown data = {ABOUT(row, call->attempt), ANSWER(call), .retry_at_ms = retry_at_ms,
	    .repeat = may_repeat(row, retry_at_ms)};
	const char *dead = data.repeat ? exhausted(row, call->class, row->tries + 1, retry_at_ms, behind_ms) : NULL;

	tell(t, EVENT_EFFECT_UNKNOWN, &data, (int64_t)row->version + 1, call->cause->envelope.id);
	if (dead != NULL)
		give_up(t, row, call->attempt, row->version + 2, dead);
}

static void tell_done(struct telling *t, const struct effect_row *row, const struct effect_call *call)
{
	struct event_effect_done data = {ABOUT(row, call->attempt), .status = call->status, .has_status = call->status != 0,
	    .vendor_id = slice_str(call->vendor_id)};

	tell(t, EVENT_EFFECT_DONE, &data, (int64_t)row->version + 1, call->cause->envelope.id);
	for (size_t i = 0; i < call->n_results && t->n < t->room; i++)
		t->drafts[t->n++] = call->results[i];
}

static void tell_failed(struct telling *t, const struct effect_row *row, const struct effect_call *call)
{
	struct event_effect_failed data = {ABOUT(row, call->attempt), ANSWER(call)};

	tell(t, EVENT_EFFECT_FAILED, &data, (int64_t)row->version + 1, call->cause->envelope.id);
}

void tell_outcome(struct telling *t, const struct effect_row *row, const struct effect_call *call, int64_t now_ms)
{
	struct effects *e = t->engine;
	unsigned tries = row->tries + (call->outcome != EFFECT_NOT_TRIED);
	int64_t behind_ms = effects_behind_ms(e), retry_at_ms = now_ms + behind_ms + (call->outcome == EFFECT_NOT_YET ? not_yet_delay_ms(e->base_max_ms, tries) :
	    lane_delay_ms(row->entry->effect->lane, e->base_max_ms, tries, call->retry_after_ms, e->rng));

	switch (call->outcome) {
	case EFFECT_DONE:
		tell_done(t, row, call);
		break;
	case EFFECT_RETRY:
	case EFFECT_NOT_TRIED:
	case EFFECT_NOT_YET:
	case EFFECT_STOP:
		tell_waiting(t, row, call, retry_at_ms, exhausted(row, call->class, tries, retry_at_ms, behind_ms));
		break;
	case EFFECT_REFUSED:
		tell_waiting(t, row, call, now_ms, "REFUSED");
		break;
	case EFFECT_FAILED:
		tell_failed(t, row, call);
		break;
	case EFFECT_NOT_SET:
	case EFFECT_IS_UNKNOWN:
		tell_unknown(t, row, call, retry_at_ms, behind_ms);
		break;
	}
}

void tell_process_ended(struct telling *t, const struct effect_row *row, int64_t now_ms)
{
	struct event_effect_unknown data = {ABOUT(row, row->attempt), .class = SLICE(CLASS_PROCESS_ENDED),
	    .message = SLICE("The service ended while it was tried."), .retry_at_ms = now_ms,
	    .repeat = may_repeat(row, now_ms)};
	const char *dead = data.repeat ? exhausted(row, NULL, row->tries, now_ms, 0) : NULL;

	tell(t, EVENT_EFFECT_UNKNOWN, &data, (int64_t)row->version, no_cause());
	if (row->ends + 1 >= EFFECT_ENDS_MAX)
		dead = "POISON";
	if (dead != NULL)
		give_up(t, row, row->attempt, row->version + 1, dead);
}

void tell_breaker(struct telling *t, const struct lane *lane, const struct lane_host *host, enum breaker_move move,
    int64_t until_ms, const char *reason)
{
	struct slice name = slice_str(lane->decl->name), at = slice_str(host->name);
	struct event_breaker_opened opened = {.lane = name, .host = at, .reason = slice_str(reason), .until_ms = until_ms};
	struct event_breaker_probing probing = {.lane = name, .host = at};
	struct event_breaker_closed closed = {.lane = name, .host = at};

	if (move == BREAKER_OPENS)
		tell(t, EVENT_BREAKER_OPENED, &opened, EXPECT_ANY, no_cause());
	else if (move == BREAKER_PROBES)
		tell(t, EVENT_BREAKER_PROBING, &probing, EXPECT_ANY, no_cause());
	else if (move == BREAKER_CLOSES)
		tell(t, EVENT_BREAKER_CLOSED, &closed, EXPECT_ANY, no_cause());
}

int telling_append(struct telling *t, uint64_t *ret_position)
{
	struct append append = {.events = t->drafts, .n_events = t->n};
	int rc = t->rc;

	if (rc == 0 && t->n > 0)
		rc = eventlog_append_wait(t->engine->log, &append);
	if (rc == 0 && t->n > 0 && ret_position != NULL)
		*ret_position = append.position + append.n_appended - 1;
	return rc;
}
