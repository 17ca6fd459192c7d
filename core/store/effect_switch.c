/*
 * Which effects are acted upon. An effect is wanted by events from the moment
 * on at which the log says so; history is not replayed into the world when an adapter is added or
 * configured later. Told at each start where the configuration is another than the log says.
 *
 * The log itself is read, by type: the read model may just be made anew.
 */
#include "store/effect_private.h"

#include "base/err.h"
#include "base/log.h"

struct standing {
	bool told, enabled;
	uint64_t at;
};

static void note(struct effects *e, struct standing *all, const struct log_record *record, bool enabled)
{
	struct json_value data, name;
	struct arena arena = ARENA_INIT(65536);
	struct slice text;

	if (json_member(json_root(record->entry), "data", &data) && json_member(data, "effect", &name) &&
	    json_string(name, &arena, &text) == 0)
		for (unsigned i = 0; i < e->n_entries; i++)
			if (slice_is(text, e->entries[i].effect->name) && (!all[i].told || record->position > all[i].at))
				all[i] = (struct standing){true, enabled, record->position};
	arena_finish(&arena);
}

static int read_all(struct effects *e, enum event_type type, bool enabled, struct standing *all)
{
	struct log_filter filter = {.type = (uint16_t)type};
	struct eventlog_cursor cursor;
	struct log_record record;
	int rc;

	eventlog_cursor_init(&cursor, e->log, 0, &filter);
	while ((rc = eventlog_cursor_next(&cursor, &record)) == 0)
		note(e, all, &record, enabled);
	eventlog_cursor_finish(&cursor);
	return rc == ERR_END ? 0 : rc;
}

static int add(struct effects *e, const struct effect_entry *entry, struct arena *arena, struct event_draft *ret)
{
	struct event_context ctx = {e->rng, e->clock, NULL};
	struct event_meta meta = {.source = SLICE("/effects"), .actor = SLICE("system"), .expect = EXPECT_ANY};
	struct event_effect_enabled enabled = {.effect = slice_str(entry->effect->name)};
	struct event_effect_disabled disabled = {.effect = enabled.effect, .reason = slice_str(entry->why_not)};

	return entry->enabled ? event_draft_make(&ctx, EVENT_EFFECT_ENABLED, &enabled, &meta, arena, ret, NULL)
	                      : event_draft_make(&ctx, EVENT_EFFECT_DISABLED, &disabled, &meta, arena, ret, NULL);
}

int switches_tell(struct effects *e)
{
	struct standing all[EFFECTS_MAX] = {{.told = false}};
	struct event_draft drafts[EFFECTS_MAX];
	struct append append = {.events = drafts};
	struct arena arena = ARENA_INIT(1 << 20);
	int rc = read_all(e, EVENT_EFFECT_ENABLED, true, all);

	if (rc == 0)
		rc = read_all(e, EVENT_EFFECT_DISABLED, false, all);
	/* What was never enabled needs no disabling. */
	for (unsigned i = 0; rc == 0 && i < e->n_entries; i++)
		if (!e->entries[i].effect->built_in && all[i].enabled != e->entries[i].enabled)
			rc = add(e, &e->entries[i], &arena, &drafts[append.n_events++]);
	if (rc == 0 && append.n_events > 0)
		rc = eventlog_append_wait(e->log, &append);
	arena_finish(&arena);
	return rc;
}
