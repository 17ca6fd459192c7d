/*
 * Who speaks in a transcript (functional-spec 7.9). The first that tells:
 *
 *     a participant with one of the ids
 *     somebody known with that userid; or whom the vendor knows by it
 *     the only participant of that name
 *     where the transcript has no id: the only one known of that name
 *
 * The best id, which is what identities are made of, is what all this is for: the transcript itself tells none that outlives the
 * meeting, or one of the enterprise alone.
 */
#include "tencent_out.h"

#include "app/erase.h"
#include "base/err.h"
#include "store/query.h"

#define PEOPLE_TRIES 5

/* ---- the meeting's list ------------------------------------------------------------------ */

/* A call that got nothing: is it worth another attempt of the whole? If not, the outcome is forgotten. */
static bool is_passing(struct effect_call *call, int64_t status)
{
	if ((call->outcome == EFFECT_RETRY || call->outcome == EFFECT_STOP) && call->attempt < PEOPLE_TRIES)
		return true;
	call->host_failed = false;
	call->retry_after_ms = 0;
	call->status = status;
	return false;
}

bool tencent_people_of_meeting(struct effect_call *call, const struct tencent_rest *rest, const struct tencent_operator *op,
    const struct tencent_told *told, struct tencent_people *ret)
{
	struct tencent_participant_list list;
	int64_t status = call->status;

	*ret = (struct tencent_people){0};
	if (tencent_get_participants(call, rest, op, told->meeting_id, told->sub_meeting_id, &list)) {
		*ret = (struct tencent_people){list.items, list.n};
		call->status = status;
		return true;
	}
	return !is_passing(call, status);
}

static bool same_id(struct slice a, struct slice b)
{
	return a.len > 0 && slice_eq(a, b);
}

static const struct tencent_participant *by_id(const struct tencent_people *people, const struct tencent_paragraph *p)
{
	for (size_t i = 0; i < people->n; i++) {
		const struct tencent_participant *one = &people->items[i];

		if (same_id(one->userid, p->userid) || same_id(one->open_id, p->open_id) || same_id(one->ms_open_id, p->ms_open_id))
			return one;
	}
	return NULL;
}

static const struct tencent_participant *by_name(const struct tencent_people *people, struct slice name)
{
	const struct tencent_participant *named = NULL;

	for (size_t i = 0; i < people->n; i++) {
		if (!same_id(people->items[i].user_name, name))
			continue;
		if (named != NULL && !tencent_same_person(named, &people->items[i]))
			return NULL; /* two of one name */
		named = &people->items[i];
	}
	return named;
}

void tencent_speaker(const struct tencent_people *people, const struct tencent_paragraph *p, struct slice uuid,
    struct event_person *ret)
{
	const struct tencent_participant *found = by_id(people, p);

	if (found == NULL && uuid.len == 0)
		found = by_name(people, p->user_name);
	*ret = found != NULL ? tencent_person_of(found)
	                     : (struct event_person){.userid = p->userid, .open_id = p->open_id, .ms_open_id = p->ms_open_id,
	                           .uuid = uuid};
	if (p->user_name.len > 0)
		ret->user_name = p->user_name; /* as they are called in this recording */
}

/* ---- those who are known, and the vendor's ------------------------------------------------- */

/* One identity of ours: its uuid and userid. ERR_NOT_FOUND. */
static int identity(struct effect_call *call, const char *query, const char *param, struct slice value, struct event_person *ret)
{
	const struct tencent_out *t = call->state;
	struct query q = {.def = query_find(query), .n_params = 2, .single = true,
	    .params = {{.name = "platform", .text = SLICE(TENCENT_PLATFORM)}, {.name = param, .text = value}}};
	struct slice *const texts[] = {&ret->uuid, &ret->userid};
	struct json_value v;
	struct slice row;
	int rc = query_run(t->app->queries, &q);

	if (rc == 0) {
		row = arena_dup(call->arena, buf_slice(&q.out));
		rc = row.ptr == NULL ? ERR_NOMEM : 0;
	}
	query_finish(&q);
	for (unsigned i = 0; rc == 0 && i < 2; i++)
		if (json_member(json_root(row), i == 0 ? "uuid" : "userid", &v) && v.type == JSON_STRING)
			rc = json_string(v, call->arena, texts[i]);
	return rc;
}

bool tencent_find_uuid(struct effect_call *call, const struct tencent_operator *op, struct slice userid, struct slice *ret)
{
	const struct tencent_out *t = call->state;
	struct event_person known = {0};
	union tencent_answer answer;
	int64_t status = call->status;
	int rc = identity(call, "identity_by_userid", "userid", userid, &known);

	*ret = known.uuid;
	if (rc == 0 && known.uuid.len > 0)
		return true;
	if (rc != 0 && rc != ERR_NOT_FOUND) {
		tencent_store_outcome(call, rc, 0);
		return false;
	}
	if (!tencent_get(call, &t->rest, op, TENCENT_USER, userid, &answer))
		return !is_passing(call, status);
	*ret = answer.user.uuid;
	return true;
}

bool tencent_who_speaks(struct effect_call *call, const struct tencent_operator *op, const struct tencent_people *people,
    const struct tencent_paragraph *p, struct event_person *ret)
{
	struct slice uuid = SLICE("");
	bool nameless = p->userid.len == 0 && p->open_id.len == 0 && p->user_name.len > 0;
	struct event_person known = {0};
	int rc = 0;

	if (p->userid.len > 0 && by_id(people, p) == NULL && !tencent_find_uuid(call, op, p->userid, &uuid))
		return false;
	tencent_speaker(people, p, uuid, ret);
	if (nameless && by_id(people, p) == NULL && by_name(people, p->user_name) == NULL)
		rc = identity(call, "identity_by_name", "name", p->user_name, &known);
	if (rc == 0 && known.uuid.len + known.userid.len > 0) {
		ret->uuid = known.uuid;
		ret->userid = known.userid;
	}
	if (rc != 0 && rc != ERR_NOT_FOUND)
		tencent_store_outcome(call, rc, 0);
	return rc == 0 || rc == ERR_NOT_FOUND;
}
