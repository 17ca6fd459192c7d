/*
 * What the program's own roles give is the program's to say; the log keeps
 * what each gives from when on. Where the two differ, as after the first start
 * of a new release, the start appends the difference, and nothing a second time.
 *
 * The log itself is read, not a read model: that may just be made anew, for a new release.
 */
#include "app/roles.h"
#include "base/err.h"
#include "base/log.h"

#define ROLES_MAX 16
#define RECORD_BYTES_MAX 65536

/* Of each of the program's roles. */
struct standing {
	struct slice id;
	bool there, same; /* it has been made; it gives what the program says */
};

static size_t count_roles(void)
{
	size_t n = 0;

	while (system_roles[n].code != NULL)
		n++;
	return n;
}

static bool gives_the_same(const struct system_role *role, struct json_value permissions, struct arena *arena)
{
	struct json_reader r;
	struct json_value one;
	struct slice text;
	size_t n = 0;

	json_enter(&r, permissions);
	for (; json_next(&r, NULL, &one); n++)
		if (role->permissions[n] == NULL || json_string(one, arena, &text) != 0 ||
		    !slice_is(text, role->permissions[n]))
			return false;
	return role->permissions[n] == NULL;
}

static void note(struct standing *all, struct slice entry, struct arena *arena)
{
	struct json_value data, id, permissions;
	struct slice text;

	if (!json_member(json_root(entry), "data", &data) || !json_member(data, "role_id", &id) ||
	    !json_member(data, "permissions", &permissions) || json_string(id, arena, &text) != 0)
		return;
	for (size_t i = 0; system_roles[i].code != NULL; i++)
		if (slice_eq(text, all[i].id)) {
			all[i].there = true;
			all[i].same = gives_the_same(&system_roles[i], permissions, arena);
		}
}

static int read_log(struct eventlog *log, enum event_type type, struct standing *all)
{
	struct log_filter filter = {.type = (uint16_t)type};
	struct eventlog_cursor cursor;
	struct log_record record;
	int rc;

	eventlog_cursor_init(&cursor, log, 0, &filter);
	while ((rc = eventlog_cursor_next(&cursor, &record)) == 0) {
		struct arena arena = ARENA_INIT(RECORD_BYTES_MAX);

		note(all, record.entry, &arena);
		arena_finish(&arena);
	}
	eventlog_cursor_finish(&cursor);
	return rc == ERR_END ? 0 : rc;
}

/* Those before it, the oldest first, and the log itself. */
static int read_all(struct eventlog *log, enum event_type type, struct standing *all)
{
	int rc = 0;

	for (unsigned n = 1; rc == 0 && n <= eventlog_n_before(log); n++)
		rc = read_log(eventlog_before(log, n), type, all);
	return rc == 0 ? read_log(log, type, all) : rc;
}

static int add(struct app *app, struct arena *arena, const struct system_role *role, const struct standing *s,
    struct append *append, struct event_draft *draft)
{
	struct event_context ctx = {app->rng, app->clock, NULL};
	struct event_meta meta = {.source = SLICE("/"), .actor = SLICE("system"), .expect = EXPECT_ANY};
	struct system_role_event e;

	if (!system_role_event(arena, role, &e))
		return ERR_NOMEM;
	append->n_events++;
	return s->there ? event_draft_make(&ctx, EVENT_ROLE_CHANGED, &e.changed, &meta, arena, draft, NULL)
	                : event_draft_make(&ctx, EVENT_ROLE_CREATED, &e.created, &meta, arena, draft, NULL);
}

static int update(struct app *app, struct arena *arena)
{
	struct standing all[ROLES_MAX] = {{.there = false}};
	struct event_draft drafts[ROLES_MAX];
	struct append append = {.events = drafts};
	int rc = count_roles() > ROLES_MAX ? ERR_RANGE : 0;

	for (size_t i = 0; rc == 0 && system_roles[i].code != NULL; i++) {
		all[i].id = slice_str(system_role_id(arena, &system_roles[i]));
		rc = all[i].id.ptr == NULL ? ERR_NOMEM : 0;
	}
	if (rc == 0)
		rc = read_all(app->log, EVENT_ROLE_CREATED, all);
	if (rc == 0)
		rc = read_all(app->log, EVENT_ROLE_CHANGED, all);
	if (rc != 0 || !all[0].there) /* without an account there are none: they come with the first */
		return rc;
	for (size_t i = 0; rc == 0 && system_roles[i].code != NULL; i++)
		if (!all[i].same)
			rc = add(app, arena, &system_roles[i], &all[i], &append, &drafts[append.n_events]);
	return rc == 0 && append.n_events > 0 ? eventlog_append_wait(app->log, &append) : rc;
}

void system_roles_update(struct app *app)
{
	struct arena arena = ARENA_INIT(1 << 20);
	int rc = eventlog_refusal(app->log) == NULL ? update(app, &arena) : 0;

	arena_finish(&arena);
	if (rc != 0)
		log_warn("app", "the log could not be told what the roles of this release give; the roles are as they were",
		    "error", err_name(rc));
}
