/* See tencent_events.h. */
#include "tencent_events.h"

#include "base/err.h"

/* --- names ----------------------------------------------------------------------- */

static const struct {
	const char *vendor;
	enum event_type type;
} events[] = {
	{"meeting.created", EVENT_MEETING_CREATED},
	{"meeting.updated", EVENT_MEETING_UPDATED},
	{"meeting.canceled", EVENT_MEETING_CANCELLED},
	{"meeting.started", EVENT_MEETING_STARTED},
	{"meeting.end", EVENT_MEETING_ENDED},
	{"meeting.participant-joined", EVENT_PARTICIPANT_JOINED},
	{"meeting.participant-left", EVENT_PARTICIPANT_LEFT},
	{"meeting.participant-jbh-waiting", EVENT_PARTICIPANT_WAITING_FOR_HOST},
	{"meeting.participant-joined-waiting-room", EVENT_PARTICIPANT_ENTERED_WAITING_ROOM},
	{"meeting.participant-left-waiting-room", EVENT_PARTICIPANT_LEFT_WAITING_ROOM},
	{"meeting.participant-admitted", EVENT_PARTICIPANT_ADMITTED},
	{"meeting.participant-put-in-waiting-room", EVENT_PARTICIPANT_MOVED_TO_WAITING_ROOM},
	{"meeting.share-screen-open", EVENT_SCREEN_SHARE_STARTED},
	{"meeting.share-screen-close", EVENT_SCREEN_SHARE_STOPPED},
	{"meeting.live-started", EVENT_LIVE_STARTED},
	{"meeting.live-stopped", EVENT_LIVE_STOPPED},
	{"recording.started", EVENT_RECORDING_STARTED},
	{"recording.paused", EVENT_RECORDING_PAUSED},
	{"recording.resumed", EVENT_RECORDING_RESUMED},
	{"recording.stopped", EVENT_RECORDING_STOPPED},
	{"recording.completed", EVENT_RECORDING_COMPLETED},
	{"recording.failed", EVENT_RECORDING_FAILED},
	{"recording.deleted", EVENT_RECORDING_DELETED},
	{"recording.updated", EVENT_RECORDING_UPDATED},
	{"smart.transcripts", EVENT_TRANSCRIPT_READY},
	{"smart.minutes", EVENT_MINUTES_READY},
	{"smart.fullsummary", EVENT_SUMMARY_READY},
};
#define N_EVENTS (sizeof(events) / sizeof(events[0]))

const char *const tencent_event_names[] = {
	"meeting.created", "meeting.updated", "meeting.canceled", "meeting.started", "meeting.end",
	"meeting.participant-joined", "meeting.participant-left", "meeting.participant-jbh-waiting",
	"meeting.participant-joined-waiting-room", "meeting.participant-left-waiting-room",
	"meeting.participant-admitted", "meeting.participant-put-in-waiting-room", "meeting.share-screen-open",
	"meeting.share-screen-close", "meeting.live-started", "meeting.live-stopped", "recording.started",
	"recording.paused", "recording.resumed", "recording.stopped", "recording.completed", "recording.failed",
	"recording.deleted", "recording.updated", "smart.transcripts", "smart.minutes", "smart.fullsummary", NULL,
};
_Static_assert(sizeof(tencent_event_names) / sizeof(tencent_event_names[0]) == N_EVENTS + 1, "one name an event");

const struct event_type_info *tencent_event_type(struct slice vendor_event)
{
	for (size_t i = 0; i < N_EVENTS; i++)
		if (slice_is(vendor_event, events[i].vendor))
			return event_type_by_id(events[i].type);
	return NULL;
}

/* --- recording files: the vendor's times are in seconds, ours in milliseconds ----- */

static bool file_member(struct translating *t, struct event_recording_file *file, struct slice name,
    struct json_value v)
{
	int64_t value;

	if (json_name_is(name, SLICE("record_file_id")))
		return translate_text(t, v, &file->record_file_id);
	if (json_name_is(name, SLICE("lang")))
		return translate_text(t, v, &file->lang);
	if (!translate_int(t, v, &value) || value < 0)
		return false;
	if (json_name_is(name, SLICE("start_time"))) {
		file->start_at_ms = tencent_ms_of(value);
		file->has_start_at_ms = true;
		return translate_text(t, v, &file->start_time);
	}
	if (json_name_is(name, SLICE("end_time"))) {
		file->end_at_ms = tencent_ms_of(value);
		file->has_end_at_ms = true;
		return translate_text(t, v, &file->end_time);
	}
	if (json_name_is(name, SLICE("total_size"))) {
		file->total_size = value;
		return file->has_total_size = true;
	}
	return false;
}

/* The whole file goes to extra too when it has members we do not know: they stay beside their id. */
static void take_file(struct translating *t, struct event_recording_file *file, struct json_value v, bool *ret_unknown)
{
	struct json_reader r;
	struct slice name;
	struct json_value m;

	json_enter(&r, v);
	while (json_next(&r, &name, &m))
		if (m.type != JSON_NULL && !file_member(t, file, name, m))
			*ret_unknown = true;
}

static bool take_files(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = translate_field(t, p->field, SCHEMA_LIST);
	struct event_recording_file *files;
	struct translate_list list = {0};
	struct json_reader r;
	struct json_value one;
	bool unknown = false;

	if (f == NULL || v.type != JSON_ARRAY)
		return false;
	files = arena_calloc(t->arena, translate_count(v) + 1, sizeof(*files));
	if (files == NULL) {
		t->rc = ERR_NOMEM;
		return false;
	}
	json_enter(&r, v);
	while (json_next(&r, NULL, &one)) {
		if (one.type != JSON_OBJECT) {
			unknown = true;
			continue;
		}
		take_file(t, &files[list.n], one, &unknown);
		if (files[list.n].record_file_id.len > 0)
			list.n++;
		else
			memset(&files[list.n], 0, sizeof(files[0]));
		unknown |= list.n == 0;
	}
	list.items = files;
	memcpy(translate_member(t, f), &list, sizeof(list));
	return !unknown;
}

/* --- places ---------------------------------------------------------------------- */

enum object { IN_ENVELOPE, IN_ITEM, IN_MEETING_INFO, IN_EXTEND_INFO, IN_RECORD_INFO };

static const struct place places[] = {
	{IN_ENVELOPE, SLICE_INIT("event"), AS_KNOWN, NULL, NULL, 0, NULL},
	{IN_ENVELOPE, SLICE_INIT("trace_id"), AS_KNOWN, NULL, NULL, 0, NULL},
	{IN_ENVELOPE, SLICE_INIT("payload"), AS_KNOWN, NULL, NULL, 0, NULL},
	{IN_ENVELOPE, SLICE_INIT("result"), AS_INT, "result", NULL, 0, NULL},
	{IN_ITEM, SLICE_INIT("operate_time"), AS_TIME, "operate_time", "operate_at_ms", 0, NULL},
	{IN_ITEM, SLICE_INIT("operator"), AS_PERSON, "operator", NULL, 0, NULL},
	{IN_ITEM, SLICE_INIT("to_operator"), AS_PERSON, "to_operator", NULL, 0, NULL},
	{IN_ITEM, SLICE_INIT("meeting_info"), AS_OBJECT, NULL, NULL, IN_MEETING_INFO, NULL},
	{IN_ITEM, SLICE_INIT("recording_files"), AS_OWN, "recording_files", NULL, 0, take_files},
	{IN_ITEM, SLICE_INIT("rooms_info"), AS_LIST, "rooms", NULL, 0, NULL},
	{IN_ITEM, SLICE_INIT("meeting_end_type"), AS_INT, "meeting_end_type", NULL, 0, NULL},
	{IN_ITEM, SLICE_INIT("cancel_reason"), AS_TEXT, "cancel_reason", NULL, 0, NULL},
	{IN_ITEM, SLICE_INIT("extend_info"), AS_OBJECT, NULL, NULL, IN_EXTEND_INFO, NULL},
	{IN_ITEM, SLICE_INIT("record_info"), AS_OBJECT, NULL, NULL, IN_RECORD_INFO, NULL},
	{IN_ITEM, SLICE_INIT("job_id"), AS_TEXT, "job_id", NULL, 0, NULL},
	{IN_ITEM, SLICE_INIT("result"), AS_INT, "result", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("meeting_id"), AS_TEXT, "meeting_id", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("meeting_code"), AS_TEXT, "meeting_code", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("subject"), AS_TEXT, "title", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("creator"), AS_PERSON, "creator", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("hosts"), AS_LIST, "hosts", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("meeting_type"), AS_INT, "meeting_type", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("start_time"), AS_TIME, "start_time", "start_at_ms", 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("end_time"), AS_TIME, "end_time", "end_at_ms", 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("sub_meeting_id"), AS_TEXT, "sub_meeting_id", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("sub_meeting_start_time"), AS_TIME, "sub_meeting_start_time",
	    "sub_meeting_start_at_ms", 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("sub_meeting_end_time"), AS_TIME, "sub_meeting_end_time",
	    "sub_meeting_end_at_ms", 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("meeting_create_mode"), AS_INT, "meeting_create_mode", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("meeting_create_from"), AS_INT, "meeting_create_from", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("meeting_id_type"), AS_INT, "meeting_id_type", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("action_scene_type"), AS_INT, "action_scene_type", NULL, 0, NULL},
	{IN_MEETING_INFO, SLICE_INIT("media_set_type"), AS_INT, "media_set_type", NULL, 0, NULL},
	{IN_EXTEND_INFO, SLICE_INIT("customer_data"), AS_TEXT, "customer_data", NULL, 0, NULL},
	{IN_RECORD_INFO, SLICE_INIT("meeting_record_id"), AS_TEXT, "meeting_record_id", NULL, 0, NULL},
};

/* The envelope's own members belong to its first item; under their name they cannot collide with the item's in extra. */
static const char *const object_names[] = {
	[IN_ENVELOPE] = "envelope", [IN_ITEM] = NULL, [IN_MEETING_INFO] = "meeting_info", [IN_EXTEND_INFO] = "extend_info",
	[IN_RECORD_INFO] = "record_info",
};

static const struct vocabulary vocabulary = {places, sizeof(places) / sizeof(places[0]), object_names};

int tencent_translate(const struct tencent_envelope *e, size_t index, struct json_value item, struct arena *a,
    struct translated *ret)
{
	const struct event_type_info *type = tencent_event_type(e->event);
	struct translating t;
	int rc;

	if (type == NULL)
		return ERR_NOT_FOUND;
	if (translate_begin(&t, &vocabulary, type, a) == 0) {
		translate_set_text(&t, "platform", SLICE(TENCENT_PLATFORM));
		translate_set_text(&t, "vendor_event", e->event);
		translate_set_text(&t, "trace_id", e->trace_id);
		translate_set_int(&t, "payload_index", (int64_t)index);
		if (index == 0)
			translate_walk(&t, IN_ENVELOPE, e->root);
		translate_walk(&t, IN_ITEM, item);
	}
	rc = translate_end(&t, ret);
	/* An uploaded file belongs to no meeting. */
	if (rc == 0 && ret->meeting_id.len == 0)
		translate_set_text(&t, "upload_file_id", ret->file_id);
	return rc;
}

/* --- people -------------------------------------------------------------------------- */

bool tencent_person_identity(const struct event_person *p, struct slice meeting_id, struct arena *a,
    struct slice *ret_kind, struct slice *ret_identity)
{
	const struct {
		const char *kind;
		struct slice id;
	} ids[] = {
		{"tencent.uuid", p->uuid}, {"tencent.open_id", p->open_id}, {"tencent.userid", p->userid},
		{"tencent.pstn", p->pstn_number},
	};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		if (ids[i].id.len > 0) {
			*ret_kind = slice_str(ids[i].kind);
			*ret_identity = ids[i].id;
			return true;
		}
	}
	if (p->ms_open_id.len == 0)
		return false;
	*ret_kind = SLICE("tencent.ms_open_id");
	*ret_identity = slice_str(arena_printf(a, "%.*s/%.*s", SLICE_ARG(meeting_id), SLICE_ARG(p->ms_open_id)));
	return ret_identity->ptr != NULL;
}
