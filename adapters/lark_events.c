/* See lark_events.h. */
#include "lark_events.h"

#include <stdlib.h>

#include "base/err.h"
#include "wire_json.h"

static const struct {
	const char *vendor;
	enum event_type type;
} events[] = {
	{"vc.meeting.meeting_started_v1", EVENT_MEETING_STARTED},
	{"vc.meeting.all_meeting_started_v1", EVENT_MEETING_STARTED},
	{"vc.meeting.participant_meeting_started_v1", EVENT_MEETING_STARTED},
	{"vc.meeting.meeting_ended_v1", EVENT_MEETING_ENDED},
	{"vc.meeting.all_meeting_ended_v1", EVENT_MEETING_ENDED},
	{"vc.meeting.participant_meeting_ended_v1", EVENT_MEETING_ENDED},
	{"vc.meeting.join_meeting_v1", EVENT_PARTICIPANT_JOINED},
	{"vc.meeting.participant_meeting_joined_v1", EVENT_PARTICIPANT_JOINED},
	{"vc.meeting.leave_meeting_v1", EVENT_PARTICIPANT_LEFT},
	{"vc.meeting.share_started_v1", EVENT_SCREEN_SHARE_STARTED},
	{"vc.meeting.share_ended_v1", EVENT_SCREEN_SHARE_STOPPED},
	{"vc.meeting.recording_started_v1", EVENT_RECORDING_STARTED},
	{"vc.meeting.recording_ended_v1", EVENT_RECORDING_STOPPED},
	{"vc.meeting.recording_ready_v1", EVENT_RECORDING_COMPLETED},
};

const struct event_type_info *lark_event_type(struct slice vendor_event)
{
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (slice_is(vendor_event, events[i].vendor))
			return event_type_by_id(events[i].type);
	return NULL;
}

/* --- people ---------------------------------------------------------------------------- */

static bool put_id(struct translating *t, struct event_person *p, struct slice name, struct json_value v)
{
	static const struct { struct slice vendor; size_t offset; } ids[] = {
		{SLICE_INIT("union_id"), offsetof(struct event_person, uuid)},
		{SLICE_INIT("open_id"), offsetof(struct event_person, open_id)},
		{SLICE_INIT("user_id"), offsetof(struct event_person, userid)},
	};

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
		if (json_name_is(name, ids[i].vendor))
			return translate_text(t, v, (struct slice *)(void *)((char *)p + ids[i].offset));
	return false;
}

static bool put_ids(struct translating *t, struct event_person *p, struct json_value v)
{
	struct json_reader r;
	struct slice name;
	struct json_value m;
	bool all = true;

	json_enter(&r, v);
	while (json_next(&r, &name, &m))
		all = (m.type == JSON_NULL || put_id(t, p, name, m)) && all;
	return all;
}

/* {"id":{union_id,user_id,open_id},"user_role":1,"user_type":1}; what has no place stays with the person. Where a
 * name is one of ours already nothing is taken: the whole goes to extra. */
static bool read_person(struct translating *t, struct json_value v, struct event_person *ret)
{
	struct buf extra = BUF_INIT(v.text.len + 16);
	struct json_writer w = JSON_WRITER(&extra);
	struct json_reader r;
	struct slice name;
	struct json_value m;
	bool any = false;

	if (v.type != JSON_OBJECT)
		return false;
	*ret = (struct event_person){0};
	json_begin_object(&w);
	json_enter(&r, v);
	while (t->rc == 0 && json_next(&r, &name, &m)) {
		if (m.type == JSON_NULL || (json_name_is(name, SLICE("id")) && m.type == JSON_OBJECT && put_ids(t, ret, m)))
			continue;
		if (schema_field_find(&schema_event_person, name) != NULL)
			return buf_wipe(&extra), false; /* as one of ours, which it need not be */
		any = true;
		if (json_string(json_value_of_name(name), t->arena, &name) != 0)
			t->rc = ERR_NOMEM;
		json_name_slice(&w, name);
		json_put_raw(&w, m.text);
	}
	json_end_object(&w);
	if (any) {
		ret->extra = arena_dup(t->arena, buf_slice(&extra));
		if (extra.rc != 0 || ret->extra.ptr == NULL)
			t->rc = ERR_NOMEM;
	}
	buf_wipe(&extra);
	return t->rc == 0;
}

static bool take_person(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = translate_field(t, p->field, SCHEMA_OBJECT);
	struct event_person person;

	if (f == NULL || !read_person(t, v, &person))
		return false;
	memcpy(translate_member(t, f), &person, sizeof(person));
	translate_present(t, f);
	return true;
}

/* Somebody removed is the one who left, and told beside who did it, which is then no more than a remark in extra. */
static bool take_operator(struct translating *t, const struct place *p, struct json_value v)
{
	const struct json_value *leaver = t->about;
	struct event_person left, person;
	struct slice kind, identity, other;

	if (leaver->text.len == 0 || !read_person(t, *leaver, &left) ||
	    !lark_person_identity(&left, SLICE(""), t->arena, &kind, &identity))
		return take_person(t, p, v);
	(void)take_person(t, p, *leaver);
	return read_person(t, v, &person) && lark_person_identity(&person, SLICE(""), t->arena, &kind, &other) &&
	    slice_eq(identity, other);
}

/* Where there is an operator too, it has been or will be looked at there. */
static bool take_leaver(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = translate_field(t, p->field, SCHEMA_OBJECT);

	if (t->about == NULL || f == NULL)
		return false;
	return schema_field_present(f, t->data) || take_person(t, p, v);
}

static bool take_host(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = translate_field(t, p->field, SCHEMA_LIST);
	struct translate_list list = {.items = arena_alloc(t->arena, sizeof(struct event_person)), .n = 1};

	if (list.items == NULL)
		t->rc = ERR_NOMEM;
	if (f == NULL || t->rc != 0 || !read_person(t, v, list.items))
		return false;
	memcpy(translate_member(t, f), &list, sizeof(list));
	return true;
}

bool lark_person_identity(const struct event_person *p, struct slice meeting_id, struct arena *a, struct slice *ret_kind,
    struct slice *ret_identity)
{
	const struct {
		const char *kind;
		struct slice id;
	} ids[] = {{"lark.union_id", p->uuid}, {"lark.open_id", p->open_id}, {"lark.user_id", p->userid}};

	(void)meeting_id;
	(void)a;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		if (ids[i].id.len > 0) {
			*ret_kind = slice_str(ids[i].kind);
			*ret_identity = ids[i].id;
			return true;
		}
	}
	return false;
}

/* --- recordings ------------------------------------------------------------------------- */

static bool is_token(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
			return false;
	}
	return text.len > 0 && text.len <= 64;
}

/* ".../minutes/<token>?...": the recording is known by that token. The address itself stays in extra. */
static bool take_url(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = translate_field(t, p->field, SCHEMA_LIST);
	struct event_recording_file *file = arena_calloc(t->arena, 1, sizeof(*file));
	struct translate_list list = {.items = file, .n = 1};
	struct slice url, rest, token = {0};

	if (file == NULL)
		t->rc = ERR_NOMEM;
	if (f == NULL || t->rc != 0 || v.type != JSON_STRING || !translate_text(t, v, &url))
		return false;
	slice_cut(url, '?', &url, &rest);
	slice_cut(url, '#', &url, &rest);
	for (size_t at = url.len; at > 0 && token.ptr == NULL; at--)
		if (url.ptr[at - 1] == '/')
			token = slice_of(url.ptr + at, url.len - at);
	if (!is_token(token))
		return false;
	file->record_file_id = token;
	memcpy(translate_member(t, f), &list, sizeof(list));
	return false;
}

/* --- places ------------------------------------------------------------------------------- */

enum object { IN_ENVELOPE, IN_HEADER, IN_EVENT, IN_MEETING };

static const struct place places[] = {
	{.in = IN_ENVELOPE, .vendor = SLICE_INIT("schema"), .form = AS_KNOWN},
	{.in = IN_ENVELOPE, .vendor = SLICE_INIT("header"), .form = AS_KNOWN},
	{.in = IN_ENVELOPE, .vendor = SLICE_INIT("event"), .form = AS_KNOWN},
	{.in = IN_ENVELOPE, .vendor = SLICE_INIT("token"), .form = AS_KNOWN}, /* a secret of ours */
	{.in = IN_HEADER, .vendor = SLICE_INIT("event_id"), .form = AS_KNOWN},
	{.in = IN_HEADER, .vendor = SLICE_INIT("event_type"), .form = AS_KNOWN},
	{.in = IN_HEADER, .vendor = SLICE_INIT("token"), .form = AS_KNOWN},
	{.in = IN_HEADER, .vendor = SLICE_INIT("create_time"), .form = AS_TIME, .field = "operate_time", .instant = "operate_at_ms"},
	{.in = IN_EVENT, .vendor = SLICE_INIT("operator"), .form = AS_OWN, .field = "operator", .take = take_operator},
	{.in = IN_EVENT, .vendor = SLICE_INIT("leave_user"), .form = AS_OWN, .field = "operator", .take = take_leaver},
	{.in = IN_EVENT, .vendor = SLICE_INIT("meeting"), .form = AS_OBJECT, .object = IN_MEETING},
	{.in = IN_EVENT, .vendor = SLICE_INIT("leave_reason"), .form = AS_INT, .field = "leave_reason"},
	{.in = IN_EVENT, .vendor = SLICE_INIT("url"), .form = AS_OWN, .field = "recording_files", .take = take_url},
	{.in = IN_MEETING, .vendor = SLICE_INIT("id"), .form = AS_TEXT, .field = "meeting_id"},
	{.in = IN_MEETING, .vendor = SLICE_INIT("topic"), .form = AS_TEXT, .field = "title"},
	{.in = IN_MEETING, .vendor = SLICE_INIT("meeting_no"), .form = AS_TEXT, .field = "meeting_code"},
	{.in = IN_MEETING, .vendor = SLICE_INIT("meeting_source"), .form = AS_INT, .field = "meeting_source"},
	{.in = IN_MEETING, .vendor = SLICE_INIT("meeting_sub_type"), .form = AS_INT, .field = "meeting_sub_type"},
	{.in = IN_MEETING, .vendor = SLICE_INIT("start_time"), .form = AS_TIME, .field = "start_time", .instant = "start_at_ms"},
	{.in = IN_MEETING, .vendor = SLICE_INIT("end_time"), .form = AS_TIME, .field = "end_time", .instant = "end_at_ms"},
	{.in = IN_MEETING, .vendor = SLICE_INIT("owner"), .form = AS_OWN, .field = "creator", .take = take_person},
	{.in = IN_MEETING, .vendor = SLICE_INIT("host_user"), .form = AS_OWN, .field = "hosts", .take = take_host},
};

static const char *const object_names[] = {
	[IN_ENVELOPE] = "envelope", [IN_HEADER] = "header", [IN_EVENT] = NULL, [IN_MEETING] = "meeting",
};

static const struct vocabulary vocabulary = {places, sizeof(places) / sizeof(places[0]), object_names};

/* --- what one member says about another ------------------------------------------------------ */

static void take_instant(struct translating *t, const char *instant, const char *text)
{
	int64_t at_ms;

	if (!translate_get_int(t, instant, &at_ms))
		return;
	translate_set_int(t, "operate_at_ms", at_ms);
	translate_set_text(t, "operate_time", translate_get_text(t, text));
}

static void take_duration(struct translating *t, struct json_value event)
{
	const struct schema_field *f = translate_field(t, "recording_files", SCHEMA_LIST);
	int64_t ms = wire_int(event, "duration", -1, t->arena);
	struct event_recording_file *file;
	struct translate_list list;

	if (f == NULL || ms < 0)
		return;
	memcpy(&list, translate_member(t, f), sizeof(list));
	file = list.items;
	if (list.n > 0) {
		file->duration_ms = ms;
		file->has_duration_ms = true;
	}
}

int lark_translate(const struct lark_received *r, struct arena *a, struct translated *ret)
{
	const struct event_type_info *type = lark_event_type(r->event_type);
	struct translating t;
	struct json_value header, leaver = {0};

	if (type == NULL || r->event.text.len == 0)
		return ERR_NOT_FOUND;
	if (translate_begin(&t, &vocabulary, type, a) == 0) {
		translate_set_text(&t, "platform", SLICE(LARK_PLATFORM));
		translate_set_text(&t, "vendor_event", r->event_type);
		translate_set_text(&t, "trace_id", r->event_id);
		translate_set_int(&t, "payload_index", 0);
		translate_walk(&t, IN_ENVELOPE, r->root);
		if (wire_member(r->root, "header", JSON_OBJECT, &header))
			translate_walk(&t, IN_HEADER, header);
		if (type->id == EVENT_PARTICIPANT_LEFT && !wire_member(r->event, "leave_user", JSON_OBJECT, &leaver))
			leaver = (struct json_value){0};
		t.about = &leaver;
		translate_walk(&t, IN_EVENT, r->event);
	}
	if (t.rc == 0 && type->id == EVENT_MEETING_STARTED)
		take_instant(&t, "start_at_ms", "start_time");
	if (t.rc == 0 && type->id == EVENT_MEETING_ENDED)
		take_instant(&t, "end_at_ms", "end_time");
	if (t.rc == 0 && type->id == EVENT_RECORDING_COMPLETED)
		take_duration(&t, r->event);
	return translate_end(&t, ret);
}

int lark_told(const struct lark_received *r, struct arena *a, struct slice *ret)
{
	struct buf out = BUF_INIT(2 * r->plain.len + 16);
	struct json_writer w = JSON_WRITER(&out);
	int rc = 0;

	buf_append(&out, r->event_type);
	if (r->event.text.len > 0)
		rc = json_put_sorted(&w, r->event, a);
	else
		rc = json_put_sorted(&w, r->root, a);
	if (rc == 0)
		rc = wire_keep(a, &out, ret);
	buf_finish(&out);
	return rc;
}
