/* Meetings and what belongs to them. */
#include <assert.h>

#include "app/answer.h"
#include "app/api.h"
#include "app/api_list.h"
#include "app/app.h"
#include "base/err.h"
#include "params.gen.h"

#define NO_SUCH_MEETING "There is no meeting with this id; GET /api/v1/meetings lists those there are."

static void list_meetings(struct http_request *rq)
{
	api_list(rq, "meetings", NULL, 0);
}

static void get_meeting(struct http_request *rq)
{
	api_one(rq, "meeting_by_id", http_request_param(rq, "id"), NO_SUCH_MEETING, false);
}

/* --- parts of a meeting: first whether it exists, then the part --------------------- */

typedef void meeting_part_fn(struct http_request *rq, struct slice id, struct slice stream);

struct part {
	struct http_request *rq;
	struct query query;
	meeting_part_fn *answer;
};

static void on_meeting(struct query *q)
{
	struct part *p = q->arg;
	struct http_request *rq = p->rq;
	meeting_part_fn *answer_part = p->answer;
	struct slice stream = {0};
	struct json_value v;
	int rc = q->rc;

	if (rc == 0 && json_member(json_root(buf_slice(&q->out)), "stream", &v) && v.type == JSON_STRING)
		rc = json_string(v, rq->arena, &stream);
	if (rc == 0)
		stream = arena_dup(rq->arena, stream); /* it may lie in the answer, which goes now */
	query_finish(q);
	if (rc != 0)
		answer_query_failure(rq, rc, NO_SUCH_MEETING);
	else
		answer_part(rq, http_request_param(rq, "id"), stream);
}

static void with_meeting(struct http_request *rq, meeting_part_fn *answer_part)
{
	struct part *p = arena_alloc(rq->arena, sizeof(*p));

	if (p == NULL) {
		http_problem_err(rq, ERR_NOMEM, NULL);
		return;
	}
	*p = (struct part){.rq = rq, .answer = answer_part};
	p->query = (struct query){.def = query_find("meeting_stream"), .n_params = 1, .single = true,
	    .wait_ms = MIN_POSITION_WAIT_MS, .port = loop_of(rq)->query_port, .cb = on_meeting, .arg = p};
	assert(p->query.def != NULL);
	p->query.params[0] = (struct query_param){.name = "id", .text = http_request_param(rq, "id")};
	if (answer_min_position(rq, &p->query.has_min_position, &p->query.min_position))
		query_start(app_of(rq)->queries, &p->query);
}

static void answer_participants(struct http_request *rq, struct slice id, struct slice stream)
{
	struct list_fixed of_meeting = {"meetingId", id};

	(void)stream;
	api_list(rq, "participants", &of_meeting, 1);
}

static void answer_recordings(struct http_request *rq, struct slice id, struct slice stream)
{
	struct list_fixed of_meeting = {"meetingId", id};

	(void)stream;
	api_list(rq, "recordings", &of_meeting, 1);
}

static void answer_events(struct http_request *rq, struct slice id, struct slice stream)
{
	(void)id;
	api_list_events(rq, stream);
}

static void list_participants(struct http_request *rq)
{
	with_meeting(rq, answer_participants);
}

static void list_recordings(struct http_request *rq)
{
	with_meeting(rq, answer_recordings);
}

static void list_events(struct http_request *rq)
{
	with_meeting(rq, answer_events);
}

static const struct api_list_doc meetings_doc = {"meetings", NULL}, participants_doc = {"participants", "meetingId"},
                                 recordings_doc = {"recordings", "meetingId"};

const struct route api_meetings_routes[] = {
	{HTTP_GET, "/api/v1/meetings", list_meetings, "meetings:read", .rate = RATE_MEETINGS, .answer = "MeetingList",
	    .tag = "meetings", .summary = "Meetings, filtered, searched and sorted", .extra = &meetings_doc},
	{HTTP_GET, "/api/v1/meetings/{id}", get_meeting, "meetings:read", .rate = RATE_MEETINGS, .answer = "Meeting",
	    .tag = "meetings", .summary = "One meeting"},
	{HTTP_GET, "/api/v1/meetings/{id}/participants", list_participants, "meetings:read", .rate = RATE_MEETINGS,
	    .answer = "ParticipantList", .tag = "meetings", .summary = "Who was there, one row for each stay",
	    .extra = &participants_doc},
	{HTTP_GET, "/api/v1/meetings/{id}/recordings", list_recordings, "meetings:read", .rate = RATE_MEETINGS,
	    .answer = "RecordingList", .tag = "meetings", .summary = "Recordings of a meeting", .extra = &recordings_doc},
	{HTTP_GET, "/api/v1/meetings/{id}/events", list_events, "meetings:read", .rate = RATE_MEETINGS,
	    .params = &schema_params_events, .answer = "EventList", .tag = "meetings",
	    .summary = "The events that made this meeting"},
	{0},
};
