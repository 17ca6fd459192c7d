/*
 * See tencent_events.h.
 *
 * `places` says for each value of the vendor's which member of ours it is, and
 * how it is read. An item is walked once, member by member; each is looked up
 * among the places of its object, and then among the fields of the event at
 * hand, which may lack it. What finds no place goes to `extra`.
 */
#include "tencent_events.h"

#include "base/err.h"

#define EXTRA_MAX (1024 * 1024)

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

/* --- places ---------------------------------------------------------------------- */

enum object { IN_ENVELOPE, IN_ITEM, IN_MEETING_INFO, IN_EXTEND_INFO, IN_RECORD_INFO };

enum form {
	AS_TEXT,   /* string, or the digits of a number */
	AS_INT,    /* number, or digits in a string */
	AS_TIME,   /* instant of any unit: <field>_at_ms, and <field>_time as written */
	AS_PERSON,
	AS_LIST,   /* of objects that our schema has too */
	AS_FILES,
	AS_OBJECT, /* walked by itself */
	AS_KNOWN,  /* taken elsewhere */
};

static const struct place {
	enum object in;
	struct slice vendor;
	enum form form;
	const char *field; /* ours; AS_TIME: the text's, the instant's being `instant` */
	const char *instant;
	enum object object; /* AS_OBJECT: which one begins here */
} places[] = {
	{IN_ENVELOPE, SLICE_INIT("event"), AS_KNOWN, NULL, NULL, 0},
	{IN_ENVELOPE, SLICE_INIT("trace_id"), AS_KNOWN, NULL, NULL, 0},
	{IN_ENVELOPE, SLICE_INIT("payload"), AS_KNOWN, NULL, NULL, 0},
	{IN_ENVELOPE, SLICE_INIT("result"), AS_INT, "result", NULL, 0},
	{IN_ITEM, SLICE_INIT("operate_time"), AS_TIME, "operate_time", "operate_at_ms", 0},
	{IN_ITEM, SLICE_INIT("operator"), AS_PERSON, "operator", NULL, 0},
	{IN_ITEM, SLICE_INIT("to_operator"), AS_PERSON, "to_operator", NULL, 0},
	{IN_ITEM, SLICE_INIT("meeting_info"), AS_OBJECT, NULL, NULL, IN_MEETING_INFO},
	{IN_ITEM, SLICE_INIT("recording_files"), AS_FILES, "recording_files", NULL, 0},
	{IN_ITEM, SLICE_INIT("rooms_info"), AS_LIST, "rooms", NULL, 0},
	{IN_ITEM, SLICE_INIT("meeting_end_type"), AS_INT, "meeting_end_type", NULL, 0},
	{IN_ITEM, SLICE_INIT("cancel_reason"), AS_TEXT, "cancel_reason", NULL, 0},
	{IN_ITEM, SLICE_INIT("extend_info"), AS_OBJECT, NULL, NULL, IN_EXTEND_INFO},
	{IN_ITEM, SLICE_INIT("record_info"), AS_OBJECT, NULL, NULL, IN_RECORD_INFO},
	{IN_ITEM, SLICE_INIT("job_id"), AS_TEXT, "job_id", NULL, 0},
	{IN_ITEM, SLICE_INIT("result"), AS_INT, "result", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("meeting_id"), AS_TEXT, "meeting_id", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("meeting_code"), AS_TEXT, "meeting_code", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("subject"), AS_TEXT, "title", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("creator"), AS_PERSON, "creator", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("hosts"), AS_LIST, "hosts", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("meeting_type"), AS_INT, "meeting_type", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("start_time"), AS_TIME, "start_time", "start_at_ms", 0},
	{IN_MEETING_INFO, SLICE_INIT("end_time"), AS_TIME, "end_time", "end_at_ms", 0},
	{IN_MEETING_INFO, SLICE_INIT("sub_meeting_id"), AS_TEXT, "sub_meeting_id", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("sub_meeting_start_time"), AS_TIME, "sub_meeting_start_time",
	    "sub_meeting_start_at_ms", 0},
	{IN_MEETING_INFO, SLICE_INIT("sub_meeting_end_time"), AS_TIME, "sub_meeting_end_time",
	    "sub_meeting_end_at_ms", 0},
	{IN_MEETING_INFO, SLICE_INIT("meeting_create_mode"), AS_INT, "meeting_create_mode", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("meeting_create_from"), AS_INT, "meeting_create_from", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("meeting_id_type"), AS_INT, "meeting_id_type", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("action_scene_type"), AS_INT, "action_scene_type", NULL, 0},
	{IN_MEETING_INFO, SLICE_INIT("media_set_type"), AS_INT, "media_set_type", NULL, 0},
	{IN_EXTEND_INFO, SLICE_INIT("customer_data"), AS_TEXT, "customer_data", NULL, 0},
	{IN_RECORD_INFO, SLICE_INIT("meeting_record_id"), AS_TEXT, "meeting_record_id", NULL, 0},
};
#define N_PLACES (sizeof(places) / sizeof(places[0]))

static const struct place *place_of(enum object in, struct slice raw_name)
{
	for (size_t i = 0; i < N_PLACES; i++)
		if (places[i].in == in && raw_name.len >= places[i].vendor.len && json_name_is(raw_name, places[i].vendor))
			return &places[i];
	return NULL;
}

/* --- one item -------------------------------------------------------------------- */

struct translating {
	const struct schema *schema;
	char *data;
	struct arena *arena;
	struct buf extra_text;
	struct json_writer extra;
	bool has_extra;
	int rc; /* ERR_NOMEM, once */
};

static void *member(struct translating *t, const struct schema_field *f)
{
	return t->data + f->offset;
}

static void set_present(struct translating *t, const struct schema_field *f)
{
	if (f->has_offset != 0)
		*(bool *)(void *)(t->data + f->has_offset) = true;
}

static const struct schema_field *field_of(struct translating *t, const char *name, enum schema_kind kind)
{
	const struct schema_field *f = name == NULL ? NULL : schema_field_find(t->schema, slice_str(name));

	return f != NULL && f->kind == kind ? f : NULL;
}

static void keep(struct translating *t, struct slice raw_name, struct json_value v)
{
	struct slice name;

	if (v.type == JSON_NULL)
		return;
	if (!t->has_extra) {
		t->has_extra = true;
		json_begin_object(&t->extra);
	}
	/* The raw name is between quotes in the text: as a string value its escapes are resolved. */
	if (json_string(json_value_of_name(raw_name), t->arena, &name) != 0) {
		t->rc = ERR_NOMEM;
		return;
	}
	json_name_slice(&t->extra, name);
	json_put_raw(&t->extra, v.text);
}

/* A string as it is, a number by its digits; false for other types. */
static bool text_of(struct translating *t, struct json_value v, struct slice *ret)
{
	if (v.type == JSON_NUMBER) {
		*ret = v.text;
		return true;
	}
	if (v.type != JSON_STRING)
		return false;
	if (json_string(v, t->arena, ret) != 0)
		t->rc = ERR_NOMEM;
	return t->rc == 0;
}

static bool int_of(struct translating *t, struct json_value v, int64_t *ret)
{
	struct slice text;

	if (v.type == JSON_NUMBER)
		return json_i64(v, ret) == 0;
	return v.type == JSON_STRING && text_of(t, v, &text) && slice_to_i64(text, ret) == 0;
}

static bool take_text(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = field_of(t, p->field, SCHEMA_TEXT);
	struct slice text;

	if (f == NULL || !text_of(t, v, &text))
		return false;
	/* An empty id is none: "sub_meeting_id": "" is how some senders say that there is no occurrence. */
	if (text.len > 0 || (f->flags & FIELD_MIN) == 0)
		*(struct slice *)member(t, f) = text;
	return true;
}

static bool set_int(struct translating *t, const char *name, int64_t value)
{
	const struct schema_field *f = field_of(t, name, SCHEMA_INT);

	if (f == NULL)
		return false;
	*(int64_t *)member(t, f) = value;
	set_present(t, f);
	return true;
}

static bool take_int(struct translating *t, const struct place *p, struct json_value v)
{
	int64_t value;

	return int_of(t, v, &value) && set_int(t, p->field, value);
}

static bool take_time(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = field_of(t, p->field, SCHEMA_TEXT);
	struct slice text;
	int64_t value;

	if (f == NULL || !int_of(t, v, &value) || value < 0 || !text_of(t, v, &text))
		return false;
	*(struct slice *)member(t, f) = text;
	return value == 0 || set_int(t, p->instant, tencent_ms_of(value)); /* 0 is "not set" */
}

/* Decodes with our schema of the member; persons and rooms gather what they do not know themselves. */
static bool take_object(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = field_of(t, p->field, SCHEMA_OBJECT);
	int rc;

	if (f == NULL || v.type != JSON_OBJECT)
		return false;
	rc = schema_decode_value(f->object, v, "", NULL, t->arena, member(t, f), NULL);
	if (rc == ERR_NOMEM)
		t->rc = rc;
	if (rc != 0) {
		memset(member(t, f), 0, f->object->size);
		return false;
	}
	set_present(t, f);
	return true;
}

/* How a list lies in a struct: items, n (domain/schema.h). */
struct any_list {
	void *items;
	size_t n;
};

static size_t count(struct json_value v)
{
	struct json_reader r;
	size_t n = 0;

	json_enter(&r, v);
	while (json_next(&r, NULL, &v))
		n++;
	return n;
}

static bool take_list(struct translating *t, const struct place *p, struct json_value v)
{
	const struct schema_field *f = field_of(t, p->field, SCHEMA_LIST);
	struct any_list list = {0};
	struct json_reader r;
	struct json_value one;

	if (f == NULL || v.type != JSON_ARRAY || f->item->kind != SCHEMA_OBJECT)
		return false;
	list.items = arena_calloc(t->arena, count(v) + 1, f->item_size);
	if (list.items == NULL) {
		t->rc = ERR_NOMEM;
		return false;
	}
	json_enter(&r, v);
	for (; json_next(&r, NULL, &one); list.n++)
		if (one.type != JSON_OBJECT || schema_decode_value(f->item->object, one, "", NULL, t->arena,
		                                   (char *)list.items + list.n * f->item_size, NULL) != 0)
			return false;
	memcpy(member(t, f), &list, sizeof(list));
	return true;
}

/* --- recording files: the vendor's times are in seconds, ours in milliseconds ----- */

static bool file_member(struct translating *t, struct event_recording_file *file, struct slice name,
    struct json_value v)
{
	int64_t value;

	if (json_name_is(name, SLICE("record_file_id")))
		return text_of(t, v, &file->record_file_id);
	if (json_name_is(name, SLICE("lang")))
		return text_of(t, v, &file->lang);
	if (!int_of(t, v, &value) || value < 0)
		return false;
	if (json_name_is(name, SLICE("start_time"))) {
		file->start_at_ms = tencent_ms_of(value);
		file->has_start_at_ms = true;
		return text_of(t, v, &file->start_time);
	}
	if (json_name_is(name, SLICE("end_time"))) {
		file->end_at_ms = tencent_ms_of(value);
		file->has_end_at_ms = true;
		return text_of(t, v, &file->end_time);
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
	const struct schema_field *f = field_of(t, p->field, SCHEMA_LIST);
	struct event_recording_file *files;
	struct any_list list = {0};
	struct json_reader r;
	struct json_value one;
	bool unknown = false;

	if (f == NULL || v.type != JSON_ARRAY)
		return false;
	files = arena_calloc(t->arena, count(v) + 1, sizeof(*files));
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
	memcpy(member(t, f), &list, sizeof(list));
	return !unknown;
}

/* --- the walk ---------------------------------------------------------------------- */

static void walk(struct translating *t, enum object in, struct json_value v);

static bool take(struct translating *t, const struct place *p, struct json_value v)
{
	switch (p->form) {
	case AS_TEXT:
		return take_text(t, p, v);
	case AS_INT:
		return take_int(t, p, v);
	case AS_TIME:
		return take_time(t, p, v);
	case AS_PERSON:
		return take_object(t, p, v);
	case AS_LIST:
		return take_list(t, p, v);
	case AS_FILES:
		return take_files(t, p, v);
	case AS_OBJECT:
		if (v.type != JSON_OBJECT)
			return false;
		walk(t, p->object, v);
		return true;
	case AS_KNOWN:
		return true;
	}
	return false;
}

static const char *const object_names[] = {
	[IN_MEETING_INFO] = "meeting_info", [IN_EXTEND_INFO] = "extend_info", [IN_RECORD_INFO] = "record_info",
};

static void walk(struct translating *t, enum object in, struct json_value v)
{
	struct json_reader r;
	struct slice name;
	struct json_value m;
	bool opened = false;

	json_enter(&r, v);
	while (t->rc == 0 && json_next(&r, &name, &m)) {
		const struct place *p = place_of(in, name);

		if (p != NULL && (m.type == JSON_NULL || take(t, p, m)))
			continue;
		if (in > IN_ITEM && !opened && m.type != JSON_NULL) {
			if (!t->has_extra)
				json_begin_object(&t->extra);
			t->has_extra = opened = true;
			json_name(&t->extra, object_names[in]);
			json_begin_object(&t->extra);
		}
		keep(t, name, m);
	}
	if (opened)
		json_end_object(&t->extra);
}

/* The envelope's own members belong to its first item; they cannot collide with the item's in extra. */
static void walk_envelope(struct translating *t, const struct tencent_envelope *e)
{
	struct json_reader r;
	struct slice name;
	struct json_value m;
	bool opened = false;

	json_enter(&r, e->root);
	while (t->rc == 0 && json_next(&r, &name, &m)) {
		const struct place *p = place_of(IN_ENVELOPE, name);

		if (m.type == JSON_NULL || (p != NULL && take(t, p, m)))
			continue;
		if (!opened) {
			if (!t->has_extra)
				json_begin_object(&t->extra);
			t->has_extra = opened = true;
			json_name(&t->extra, "envelope");
			json_begin_object(&t->extra);
		}
		keep(t, name, m);
	}
	if (opened)
		json_end_object(&t->extra);
}

static void set_slice(struct translating *t, const char *name, struct slice value)
{
	const struct schema_field *f = field_of(t, name, SCHEMA_TEXT);

	if (f != NULL && value.len > 0)
		*(struct slice *)member(t, f) = value;
}

static struct slice get_slice(struct translating *t, const char *name)
{
	const struct schema_field *f = field_of(t, name, SCHEMA_TEXT);

	return f == NULL ? (struct slice){0} : *(const struct slice *)member(t, f);
}

/* extra leaves the buffer for the arena. */
static void put_extra(struct translating *t)
{
	const struct schema_field *f = field_of(t, "extra", SCHEMA_JSON);
	struct slice text;

	if (!t->has_extra || t->rc != 0)
		return;
	json_end_object(&t->extra);
	text = arena_dup(t->arena, buf_slice(&t->extra_text));
	if (t->extra_text.rc != 0 || text.ptr == NULL)
		t->rc = ERR_NOMEM;
	else if (f != NULL)
		*(struct slice *)member(t, f) = text;
}

static const struct event_person *person(struct translating *t, const char *name)
{
	const struct schema_field *f = field_of(t, name, SCHEMA_OBJECT);

	return f != NULL && schema_field_present(f, t->data) ? member(t, f) : NULL;
}

static struct slice first_file(struct translating *t)
{
	const struct schema_field *f = field_of(t, "recording_files", SCHEMA_LIST);
	struct any_list list;

	if (f == NULL)
		return (struct slice){0};
	memcpy(&list, member(t, f), sizeof(list));
	return list.n == 0 ? (struct slice){0} : ((const struct event_recording_file *)list.items)[0].record_file_id;
}

static bool seals_for_meeting(struct translating *t)
{
	for (size_t i = 0; i < t->schema->n_fields; i++) {
		const struct schema_field *f = &t->schema->fields[i];

		if ((f->flags & FIELD_SEALED) != 0 && f->subject != NULL && strcmp(f->subject, "meeting") == 0 &&
		    schema_field_present(f, t->data))
			return true;
	}
	return false;
}

static void finish_fact(struct translating *t, struct tencent_fact *ret)
{
	*ret = (struct tencent_fact){.type = ret->type, .data = t->data};
	ret->meeting_id = get_slice(t, "meeting_id");
	ret->file_id = first_file(t);
	if (ret->meeting_id.len == 0)
		set_slice(t, "upload_file_id", ret->file_id);
	ret->people[TENCENT_OPERATOR] = person(t, "operator");
	ret->people[TENCENT_CREATOR] = person(t, "creator");
	ret->people[TENCENT_TO_OPERATOR] = person(t, "to_operator");
	ret->seals_for_meeting = seals_for_meeting(t);
}

int tencent_translate(const struct tencent_envelope *e, size_t index, struct json_value item, struct arena *a,
    struct tencent_fact *ret)
{
	const struct event_type_info *type = tencent_event_type(e->event);
	struct translating t = {.arena = a, .extra_text = BUF_INIT(EXTRA_MAX)};

	if (type == NULL)
		return ERR_NOT_FOUND;
	t.schema = type->schema;
	t.extra = JSON_WRITER(&t.extra_text);
	t.data = arena_alloc(a, type->schema->size);
	if (t.data == NULL)
		return ERR_NOMEM;
	set_slice(&t, "platform", SLICE(TENCENT_PLATFORM));
	set_slice(&t, "vendor_event", e->event);
	set_slice(&t, "trace_id", e->trace_id);
	set_int(&t, "payload_index", (int64_t)index);
	if (index == 0)
		walk_envelope(&t, e);
	walk(&t, IN_ITEM, item);
	put_extra(&t);
	buf_wipe(&t.extra_text);
	if (t.rc == 0) {
		ret->type = type;
		finish_fact(&t, ret);
	}
	return t.rc;
}

/* --- people and seals --------------------------------------------------------------- */

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

static void set_subject(const struct event_subject *from, struct event_subject *to, bool *ret_has)
{
	if (from == NULL)
		return;
	*to = *from;
	*ret_has = true;
}

void tencent_fact_seal(struct tencent_fact *fact, const struct tencent_seals *seals)
{
	struct translating t = {.schema = fact->type->schema, .data = fact->data};
	const struct schema_field *f = field_of(&t, "subjects", SCHEMA_OBJECT);
	struct event_subjects subjects = {0};

	set_slice(&t, "fingerprint", seals->fingerprint);
	set_subject(seals->meeting, &subjects.meeting, &subjects.has_meeting);
	set_subject(seals->people[TENCENT_OPERATOR], &subjects.operator, &subjects.has_operator);
	set_subject(seals->people[TENCENT_CREATOR], &subjects.creator, &subjects.has_creator);
	set_subject(seals->people[TENCENT_TO_OPERATOR], &subjects.to_operator, &subjects.has_to_operator);
	set_subject(seals->raw, &subjects.raw, &subjects.has_raw);
	if (f != NULL) {
		memcpy(member(&t, f), &subjects, sizeof(subjects));
		set_present(&t, f);
	}
	f = field_of(&t, "raw", SCHEMA_OBJECT);
	if (f != NULL && seals->raw_blob != NULL) {
		memcpy(member(&t, f), seals->raw_blob, sizeof(*seals->raw_blob));
		set_present(&t, f);
	}
}
