/*
 * Who was in a meeting, by the vendor's own list: each join becomes an event
 * sealed under its person's key, and the list's end is told when all of them are there.
 *
 * A list has more entries than one append takes, so they go in portions. Each has a once key of its own: a
 * run that was interrupted, and a later look at the same list, add what is new and nothing else. Of who was erased since, the
 * list tells that somebody was there, and no more.
 */
#include "tencent_out.h"

#include "app/erase.h"
#include "app/fact.h"
#include "base/err.h"

#define PORTION 200
#define PEOPLE_TRIES 5

/* ---- facts ------------------------------------------------------------------------------ */

struct event_person tencent_person_of(const struct tencent_participant *p)
{
	return (struct event_person){.userid = p->userid, .open_id = p->open_id, .uuid = p->uuid, .user_name = p->user_name,
	    .ms_open_id = p->ms_open_id};
}

/* Empty texts are absent ones. */
static void leave_out_empty(struct event_person *p)
{
	struct slice *texts[] = {&p->userid, &p->open_id, &p->uuid, &p->user_name, &p->ms_open_id};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i]->len == 0)
			*texts[i] = (struct slice){0};
}

static int listed(struct effect_call *call, const struct tencent_told *told, const struct tencent_participant *p,
    struct event_draft *ret)
{
	const struct tencent_out *t = call->state;
	struct event_participant_listed e = {.platform = SLICE(TENCENT_PLATFORM), .meeting_id = told->meeting_id,
	    .joined_at_ms = p->join_ms, .left_at_ms = p->left_ms, .has_left_at_ms = p->left_ms > 0, .device = p->instanceid,
	    .has_device = true, .user_role = p->user_role, .has_user_role = true, .join_type = p->join_type,
	    .has_join_type = true, .is_enterprise_user = p->is_enterprise_user, .has_is_enterprise_user = true,
	    .person = tencent_person_of(p), .has_person = true, .has_subjects = true, .subjects = {.has_person = true}};
	struct slice kind = SLICE("tencent.meeting"), identity = told->meeting_id, erased;
	struct fact f;
	const char *once;
	int rc;

	leave_out_empty(&e.person);
	if (told->sub_meeting_id.len > 0)
		e.sub_meeting_id = told->sub_meeting_id;
	if (p->phone_hash.len > 0)
		e.phone_hash = p->phone_hash;
	/* Somebody without any id is sealed under the meeting's key, as deliveries do. */
	(void)tencent_person_identity(&e.person, told->meeting_id, call->arena, &kind, &identity);
	fact_begin(&f, t->app, TENCENT_OUT_SOURCE, call->cause, call->arena);
	rc = erase_find(t->app, kind, identity, p->join_ms, call->arena, &erased);
	if (rc == 0 && erased.len > 0) {
		/* That somebody was there stays true; who it was does not come back. */
		e.has_person = false;
		e.phone_hash = (struct slice){0};
		e.subjects.person = (struct event_subject){.id = erased};
	} else if (rc == 0) {
		rc = fact_subject(&f, "person", kind, identity, &e.subjects.person);
	}
	once = arena_printf(call->arena, "%.*s/%.*s/%.*s=%.*s/%lld/%lld/%lld", SLICE_ARG(told->meeting_id),
	    SLICE_ARG(told->sub_meeting_id), SLICE_ARG(kind), SLICE_ARG(identity), (long long)p->instanceid,
	    (long long)p->join_ms, (long long)p->left_ms);
	if (rc == 0 && once == NULL)
		rc = ERR_NOMEM;
	if (rc == 0) {
		struct slice text = slice_str(once);
		struct slice digest = fact_fingerprint(&f, &text, 1); /* keys of the log tell nobody's id */

		if (digest.ptr == NULL)
			return ERR_NOMEM;
		fact_once(&f, "participant.listed", digest);
		rc = fact_draft(&f, EVENT_PARTICIPANT_LISTED, &e, ret);
	}
	return rc;
}

static int append_portion(struct effect_call *call, const struct tencent_told *told,
    const struct tencent_participant *items, size_t n)
{
	const struct tencent_out *t = call->state;
	struct event_draft drafts[PORTION];
	struct append append = {.events = drafts};
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		if (items[i].join_ms <= 0)
			continue; /* never came in */
		rc = listed(call, told, &items[i], &drafts[append.n_events]);
		append.n_events += rc == 0;
	}
	if (rc == 0 && append.n_events > 0)
		rc = eventlog_append_wait(t->app->log, &append);
	return rc;
}

bool tencent_same_person(const struct tencent_participant *a, const struct tencent_participant *b)
{
	if (a->uuid.len > 0 || b->uuid.len > 0)
		return slice_eq(a->uuid, b->uuid);
	if (a->userid.len > 0 || b->userid.len > 0)
		return slice_eq(a->userid, b->userid);
	if (a->open_id.len > 0 || b->open_id.len > 0)
		return slice_eq(a->open_id, b->open_id);
	return slice_eq(a->ms_open_id, b->ms_open_id);
}

static size_t count_people(const struct tencent_participant_list *list)
{
	size_t n = 0;

	for (size_t i = 0; i < list->n; i++) {
		size_t k = 0;

		while (k < i && !tencent_same_person(&list->items[k], &list->items[i]))
			k++;
		n += k == i;
	}
	return n;
}

static int fetched(struct effect_call *call, const struct tencent_told *told, const struct tencent_participant_list *list)
{
	const struct tencent_out *t = call->state;
	struct event_participants_fetched e = {.platform = SLICE(TENCENT_PLATFORM), .meeting_id = told->meeting_id,
	    .stays = (int64_t)list->n, .people = (int64_t)count_people(list), .pages = list->pages, .has_pages = true};
	struct fact f;
	struct slice *texts = arena_calloc(call->arena, 2 * list->n + 1, sizeof(*texts));

	if (texts == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < list->n; i++) {
		texts[2 * i] = list->items[i].uuid;
		texts[2 * i + 1] = slice_str(arena_printf(call->arena, "%lld/%lld", (long long)list->items[i].join_ms,
		    (long long)list->items[i].left_ms));
	}
	fact_begin(&f, t->app, TENCENT_OUT_SOURCE, call->cause, call->arena);
	if (told->sub_meeting_id.len > 0)
		e.sub_meeting_id = told->sub_meeting_id;
	e.list_digest = fact_fingerprint(&f, texts, 2 * list->n);
	if (e.list_digest.ptr == NULL)
		return ERR_NOMEM;
	fact_once(&f, "participants.fetched",
	    slice_str(arena_printf(call->arena, "%.*s/%.*s/%.*s", SLICE_ARG(told->meeting_id), SLICE_ARG(told->sub_meeting_id),
	        SLICE_ARG(e.list_digest))));
	return fact_draft(&f, EVENT_PARTICIPANTS_FETCHED, &e, &call->results[call->n_results]);
}

void tencent_fetch_participants(struct effect_call *calls, size_t n)
{
	struct effect_call *call = calls;
	const struct tencent_out *t = call->state;
	struct tencent_told told = tencent_told_of(call);
	struct tencent_participant_list list;
	struct tencent_operator op;
	int rc = 0;

	(void)n;
	if (!tencent_operator_of(call, &t->rest, told.creator, told.doer, &op) ||
	    !tencent_get_participants(call, &t->rest, &op, told.meeting_id, told.sub_meeting_id, &list))
		return;
	for (size_t i = 0; rc == 0 && i < list.n; i += PORTION)
		rc = append_portion(call, &told, list.items + i, list.n - i < PORTION ? list.n - i : PORTION);
	if (rc == 0)
		rc = tencent_link_people(call, told.meeting_id, list.items, list.n);
	if (rc == 0)
		rc = fetched(call, &told, &list);
	tencent_store_outcome(call, rc, 1);
}
