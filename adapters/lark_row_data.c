/* What a row is made of: read models tell what there is, the log has the long texts. See lark_out.h. */
#include "lark_out.h"

#include "app/fact.h"
#include "app/transcript.h"
#include "base/codec.h"
#include "base/err.h"
#include "wire_json.h"

#define MODEL_WAIT_MS 5000
#define PEOPLE_MAX 1000
#define DEPENDENTS_MAX 200
#define NAMES_MAX 4000
#define TOO_LONG "\n\n…（超出单元格长度，全文见 LuLab）"
#define CELL_TEXT_MAX (LARK_CELL_MAX - 100)

/* ---- asking ---------------------------------------------------------------------------------- */

int lark_ask_model(struct lark_sync *s, const char *query, const struct query_param *params, size_t n,
    struct json_value *ret_rows)
{
	struct query q = {.def = query_find(query), .has_min_position = true, .min_position = s->position, .wait_ms = MODEL_WAIT_MS};
	struct slice text;
	int rc;

	for (size_t i = 0; i < n; i++)
		q.params[q.n_params++] = params[i];
	rc = query_run(s->app->queries, &q);
	if (rc == 0 && q.stale)
		rc = ERR_UNAVAILABLE;
	if (rc == 0) {
		text = arena_dup(s->arena, buf_slice(&q.out));
		*ret_rows = json_root(text);
		rc = text.ptr == NULL ? ERR_NOMEM : 0;
	}
	query_finish(&q);
	return rc;
}

int lark_ask_one(struct lark_sync *s, const char *query, const char *param, struct slice value, struct json_value *ret_row)
{
	struct query_param of = {.name = param, .text = value};
	struct json_value rows;
	struct json_reader r;
	int rc = lark_ask_model(s, query, &of, 1, &rows);

	if (rc != 0)
		return rc;
	json_enter(&r, rows);
	return wire_next(&r, ret_row) ? 0 : ERR_NOT_FOUND;
}

static int put_ids(struct lark_sync *s, const struct slice *ids, size_t n, struct slice *ret)
{
	struct buf out = BUF_INIT((size_t)1 << 20);
	struct json_writer w = JSON_WRITER(&out);

	json_begin_array(&w);
	for (size_t i = 0; i < n; i++)
		json_put_string(&w, ids[i]);
	json_end_array(&w);
	return wire_keep(s->arena, &out, ret);
}

int lark_ask_about(struct lark_sync *s, const char *query, const struct slice *ids, size_t n, struct json_value *ret_rows)
{
	struct query_param of = {.name = "rows"};
	int rc = put_ids(s, ids, n, &of.text);

	return rc == 0 ? lark_ask_model(s, query, &of, 1, ret_rows) : rc;
}

int lark_records_of(struct lark_sync *s, enum lark_table table, const struct slice *ids, size_t n, struct slice *records)
{
	struct query_param params[] = {{.name = "table", .text = slice_str(lark_tables[table].name)}, {.name = "rows"}};
	struct json_value rows, row;
	struct json_reader r;
	int rc = put_ids(s, ids, n, &params[1].text);

	if (rc == 0)
		rc = lark_ask_model(s, "lark_records", params, 2, &rows);
	if (rc != 0)
		return rc;
	json_enter(&r, rows);
	while (wire_next(&r, &row)) {
		struct slice id = wire_text(row, "row", s->arena);

		for (size_t i = 0; i < n; i++)
			if (slice_eq(ids[i], id))
				records[i] = wire_text(row, "recordId", s->arena);
	}
	for (size_t k = 0; k < s->n; k++)
		for (size_t i = 0; i < n && s->rows[k].table == table; i++)
			if (records[i].len == 0 && slice_eq(ids[i], s->rows[k].row) && !s->rows[k].is_blank)
				records[i] = s->rows[k].record_id;
	return 0;
}

int lark_record_of(struct lark_sync *s, enum lark_table table, struct slice row, struct slice *ret_record_id)
{
	*ret_record_id = SLICE("");
	return row.len == 0 ? 0 : lark_records_of(s, table, &row, 1, ret_record_id);
}

/* ---- fields ------------------------------------------------------------------------------------ */

static struct lark_field *add(struct lark_row *row, const char *name)
{
	struct lark_field *f = &row->fields[row->n++];

	*f = (struct lark_field){.name = slice_str(name), .type = lark_column_of(row->table, slice_str(name))->type};
	return f;
}

static void add_text(struct lark_row *row, const char *name, struct slice text)
{
	if (text.len > 0)
		add(row, name)->text = text;
}

static void add_date(struct lark_row *row, const char *name, int64_t ms)
{
	if (ms > 0)
		add(row, name)->ms = ms;
}

/* Links to those that have a record. */
static int add_links(struct lark_row *row, struct arena *a, const char *name, const struct slice *records, size_t n)
{
	struct slice *items = arena_calloc(a, n + 1, sizeof(*items));
	size_t k = 0;

	if (items == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		bool is_new = records[i].len > 0;

		for (size_t j = 0; j < k && is_new; j++)
			is_new = !slice_eq(items[j], records[i]);
		if (is_new)
			items[k++] = records[i];
	}
	if (k > 0) {
		struct lark_field *f = add(row, name);

		f->items = items;
		f->n_items = k;
	}
	return 0;
}

static int nothing(struct lark_row *row)
{
	row->call->outcome = EFFECT_DONE;
	row->is_over = true;
	return 0;
}

/* Not more than a cell holds, and it says so. */
static struct slice cut(struct arena *a, struct slice text)
{
	size_t len = 0, n = 0;

	if (utf8_length(text) <= LARK_CELL_MAX)
		return text;
	while (len < text.len && n < CELL_TEXT_MAX) {
		len++;
		while (len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
			len++;
		n++;
	}
	return slice_str(arena_printf(a, "%.*s" TOO_LONG, (int)len, text.ptr));
}

/* ---- people ---------------------------------------------------------------------------------------- */

static int fill_user(struct lark_sync *s, struct lark_row *row)
{
	struct slice uuid, userid;
	struct json_value person, listed;
	bool is_listed;
	int rc = lark_ask_one(s, "platform_identity_by_id", "id", row->row, &person);

	if (rc == ERR_NOT_FOUND)
		return nothing(row);
	if (rc != 0)
		return rc;
	uuid = wire_text(person, "ptUnionId", s->arena);
	userid = wire_text(person, "ptUserId", s->arena);
	if (uuid.len == 0) { /* erased, or never told: then there is no record either */
		row->is_blank = row->record_id.len > 0 && row->state != LARK_ROW_BLANKED;
		return row->is_blank ? 0 : nothing(row);
	}
	rc = lark_ask_one(s, "lark_listed", "row", row->row, &listed);
	if (rc != 0 && rc != ERR_NOT_FOUND)
		return rc;
	is_listed = rc == 0;
	add_text(row, "uuid", uuid);
	add_text(row, "userid", userid);
	add_text(row, "user_name", wire_text(person, "displayName", s->arena));
	if (is_listed)
		add_text(row, "phone_hase", wire_text(listed, "phoneHash", s->arena));
	if (userid.len > 0 || (is_listed && wire_bool(listed, "isEnterpriseUser", s->arena)))
		add(row, "is_enterprise_user")->yes = true;
	return 0;
}

/* ---- meetings ---------------------------------------------------------------------------------------- */

static const struct { const char *code; const char *says; } types[] = {
	{"0", "一次性会议"}, {"1", "周期性会议"}, {"2", "微信专属会议"}, {"4", "Rooms投屏会议"}, {"5", "个人会议号会议"},
};

static struct slice type_text(struct slice type)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (slice_is(type, types[i].code))
			return slice_str(types[i].says);
	return type.len == 0 ? SLICE("") : SLICE("未知会议类型");
}

static struct slice platform_text(struct slice platform)
{
	if (slice_is(platform, "TENCENT_MEETING"))
		return SLICE("腾讯会议");
	return slice_is(platform, "FEISHU") ? SLICE("飞书会议") : platform;
}

/* Some events name the creator by less than others, and so by somebody we have no row of. Who was erased is not kept. */
static int keep_creator(struct lark_sync *s, struct lark_row *row, struct slice creator)
{
	struct json_value erased, one;
	struct json_reader r;
	int rc = lark_ask_about(s, "lark_erased", &creator, 1, &erased);

	if (rc == 0) {
		json_enter(&r, erased);
		row->keeps = wire_next(&r, &one) ? NULL : "creator";
	}
	return rc;
}

static int add_people(struct lark_sync *s, struct lark_row *row, struct slice creator)
{
	struct query_param of = {.name = "id", .text = row->row};
	struct slice *ids = arena_calloc(s->arena, PEOPLE_MAX + 1, sizeof(*ids));
	struct slice *records = arena_calloc(s->arena, PEOPLE_MAX + 1, sizeof(*records));
	struct json_value people, person;
	struct json_reader r;
	size_t n = 0;
	int rc = ids == NULL || records == NULL ? ERR_NOMEM : lark_ask_model(s, "meeting_people", &of, 1, &people);

	if (rc != 0)
		return rc;
	ids[n++] = creator; /* the first; empty where nobody told */
	json_enter(&r, people);
	while (n <= PEOPLE_MAX && wire_next(&r, &person))
		ids[n++] = wire_text(person, "ptUserId", s->arena);
	rc = lark_records_of(s, LARK_USER, ids, n, records);
	if (rc == 0 && creator.len > 0 && records[0].len == 0)
		rc = keep_creator(s, row, creator);
	if (rc == 0)
		rc = add_links(row, s->arena, "creator", records, 1);
	return rc == 0 ? add_links(row, s->arena, "participants", records, n) : rc;
}

static int fill_meeting(struct lark_sync *s, struct lark_row *row)
{
	struct json_value m;
	int rc = lark_ask_one(s, "meeting_to_share", "id", row->row, &m);

	if (rc != 0)
		return rc == ERR_NOT_FOUND ? nothing(row) : rc;
	add_text(row, "meeting_id", wire_text(m, "meetingId", s->arena));
	add_text(row, "sub_meeting_id", wire_text(m, "subMeetingId", s->arena));
	add_text(row, "platform", platform_text(wire_text(m, "platform", s->arena)));
	add_text(row, "subject", wire_text(m, "title", s->arena));
	add_text(row, "meeting_code", wire_text(m, "code", s->arena));
	add_date(row, "start_time", wire_int(m, "start", 0, s->arena));
	add_date(row, "end_time", wire_int(m, "end", 0, s->arena));
	add_text(row, "meeting_type", type_text(wire_text(m, "type", s->arena)));
	return add_people(s, row, wire_text(m, "creator", s->arena));
}

/* ---- recordings ------------------------------------------------------------------------------------------ */

/* Erased with its meeting: then it is left out. */
static bool is_lost(int rc)
{
	return rc == ERR_ERASED || rc == ERR_NOT_FOUND;
}

static int add_summary(struct lark_sync *s, struct lark_row *row, const char *name, int64_t at)
{
	const struct event_summary_stored *stored;
	struct buf text = BUF_INIT((size_t)8 << 20);
	struct slice kept = SLICE("");
	struct event event;
	int rc = fact_read(s->app, (uint64_t)at, s->arena, &event);

	if (rc != 0 || event.data == NULL)
		return is_lost(rc) ? 0 : rc;
	stored = event.data;
	if (!stored->has_text_blob) {
		add_text(row, name, cut(s->arena, stored->text));
		return 0;
	}
	rc = fact_blob_read(s->app, &event, (uint64_t)at, 0, "text_blob", &text);
	if (rc == 0)
		rc = wire_keep(s->arena, &text, &kept);
	buf_wipe(&text);
	if (rc == 0)
		add_text(row, name, cut(s->arena, kept));
	return is_lost(rc) ? 0 : rc;
}

static void add_speakers(struct lark_sync *s, struct lark_row *row, const struct transcript *t)
{
	struct buf names = BUF_INIT(NAMES_MAX);
	struct slice text = SLICE("");

	for (size_t i = 0; i < t->n_speakers; i++) {
		row->is_redacted = row->is_redacted || t->speakers[i].erased;
		if (t->speakers[i].name.len == 0)
			continue;
		if (names.len > 0)
			buf_append_char(&names, ',');
		buf_append(&names, t->speakers[i].name);
	}
	if (wire_keep(s->arena, &names, &text) == 0)
		add_text(row, "participants", text);
	buf_finish(&names);
}

static int add_transcript(struct lark_sync *s, struct lark_row *row, int64_t at)
{
	struct buf text = BUF_INIT(TRANSCRIPT_BYTES_MAX);
	struct transcript t;
	struct slice kept = SLICE("");
	struct event event;
	int rc = fact_read(s->app, (uint64_t)at, s->arena, &event);

	if (rc == 0 && event.data != NULL)
		rc = transcript_read(s->app, &event, (uint64_t)at, s->arena, &t);
	if (rc != 0 || event.data == NULL)
		return is_lost(rc) ? 0 : rc;
	add_speakers(s, row, &t);
	rc = transcript_write_text(&t, &text);
	if (rc == 0)
		rc = wire_keep(s->arena, &text, &kept);
	buf_wipe(&text);
	if (rc == 0)
		add_text(row, "ai_meeting_transcripts", cut(s->arena, kept));
	return rc;
}

/* Was anybody who came, or spoke? What a model wrote about it names people in clear. */
static int names_erased(struct lark_sync *s, struct slice meeting, bool *ret)
{
	struct query_param of = {.name = "id", .text = meeting};
	struct slice *ids = arena_calloc(s->arena, PEOPLE_MAX, sizeof(*ids));
	struct json_value people, person;
	struct json_reader r;
	size_t n = 0;
	int rc = ids == NULL ? ERR_NOMEM : lark_ask_model(s, "meeting_people", &of, 1, &people);

	if (rc != 0)
		return rc;
	json_enter(&r, people);
	while (n < PEOPLE_MAX && wire_next(&r, &person))
		ids[n++] = wire_text(person, "ptUserId", s->arena);
	rc = lark_ask_about(s, "lark_erased", ids, n, &people);
	if (rc == 0) {
		json_enter(&r, people);
		*ret = *ret || wire_next(&r, &person);
	}
	return rc;
}

static int fill_recording(struct lark_sync *s, struct lark_row *row)
{
	static const struct { const char *at, *field; } texts[] = {
		{"fullAt", "fullsummary"}, {"minutesAt", "ai_minutes"}, {"todoAt", "todo"}};
	struct slice meeting, record;
	struct json_value r;
	int64_t at;
	int rc = lark_ask_one(s, "lark_recording", "row", row->row, &r);

	if (rc != 0)
		return rc == ERR_NOT_FOUND ? nothing(row) : rc;
	add_text(row, "record_file_id", wire_text(r, "recordFileId", s->arena));
	if (row->n == 0)
		return nothing(row);
	meeting = wire_text(r, "meeting", s->arena);
	rc = lark_record_of(s, LARK_MEETING, meeting, &record);
	if (rc == 0)
		rc = add_links(row, s->arena, "meet", &record, 1);
	add_date(row, "start_time", wire_int(r, "startedAt", 0, s->arena));
	add_date(row, "end_time", wire_int(r, "endedAt", 0, s->arena));
	at = wire_int(r, "transcriptAt", -1, s->arena);
	if (rc == 0 && at >= 0)
		rc = add_transcript(s, row, at);
	if (rc == 0)
		rc = names_erased(s, meeting, &row->is_redacted);
	for (size_t i = 0; rc == 0 && !row->is_redacted && i < sizeof(texts) / sizeof(texts[0]); i++) {
		at = wire_int(r, texts[i].at, -1, s->arena);
		if (at >= 0)
			rc = add_summary(s, row, texts[i].field, at);
	}
	return rc;
}

/* ---- what each said ---------------------------------------------------------------------------------------- */

static int fill_summary(struct lark_sync *s, struct lark_row *row)
{
	struct slice person, recording;
	struct json_value r;
	struct event event;
	int64_t at;
	int rc = lark_ask_one(s, "lark_summary", "row", row->row, &r);

	if (rc != 0)
		return rc == ERR_NOT_FOUND ? nothing(row) : rc;
	row->person = wire_text(r, "person", s->arena);
	if (wire_bool(r, "isErased", s->arena)) {
		row->is_blank = row->record_id.len > 0 && row->state != LARK_ROW_BLANKED;
		return row->is_blank ? 0 : nothing(row);
	}
	rc = lark_record_of(s, LARK_USER, row->person, &person);
	if (rc == 0)
		rc = lark_record_of(s, LARK_RECORDING, wire_text(r, "recording", s->arena), &recording);
	if (rc != 0)
		return rc;
	if (person.len == 0 || recording.len == 0) /* asked for again when both are there */
		return nothing(row);
	at = wire_int(r, "at", 0, s->arena);
	rc = fact_read(s->app, (uint64_t)at, s->arena, &event);
	if (rc != 0 || event.data == NULL)
		return is_lost(rc) ? nothing(row) : rc;
	rc = add_links(row, s->arena, "meet_participant", &person, 1);
	if (rc == 0)
		rc = add_links(row, s->arena, "record_file", &recording, 1);
	add_text(row, "participant_summary", cut(s->arena, ((const struct event_summary_generated *)event.data)->content));
	return rc;
}

int lark_row_fill(struct lark_sync *s, struct lark_row *row)
{
	static int (*const fill[LARK_TABLES])(struct lark_sync *s, struct lark_row *row) = {
		[LARK_USER] = fill_user, [LARK_MEETING] = fill_meeting, [LARK_RECORDING] = fill_recording,
		[LARK_SUMMARY] = fill_summary};

	return fill[row->table](s, row);
}

/* ---- who waits for it ---------------------------------------------------------------------------------------- */

static bool comes_yet(const struct lark_sync *s, enum lark_table table, struct slice id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->rows[i].table == table && slice_eq(s->rows[i].row, id) && !s->rows[i].is_over)
			return true;
	return false;
}

struct dependents {
	struct lark_dependent *items;
	size_t n;
};

/* written_only: those that have no record come by themselves. */
static int add_dependents(struct lark_sync *s, struct dependents *d, enum lark_table table, const char *query, const char *param,
    const char *column, struct slice of, bool written_only)
{
	struct query_param p = {.name = param, .text = of};
	struct slice ids[DEPENDENTS_MAX], records[DEPENDENTS_MAX];
	struct json_value rows, row;
	struct json_reader r;
	size_t n = 0;
	int rc = lark_ask_model(s, query, &p, 1, &rows);

	if (rc != 0)
		return rc;
	json_enter(&r, rows);
	while (n < DEPENDENTS_MAX && wire_next(&r, &row)) {
		records[n] = SLICE("");
		ids[n++] = wire_text(row, column, s->arena);
	}
	rc = written_only && n > 0 ? lark_records_of(s, table, ids, n, records) : 0;
	for (size_t i = 0; rc == 0 && i < n && d->n < DEPENDENTS_MAX; i++)
		if ((!written_only || records[i].len > 0) && !comes_yet(s, table, ids[i]))
			d->items[d->n++] = (struct lark_dependent){table, ids[i]};
	return rc;
}

int lark_row_dependents(struct lark_sync *s, const struct lark_row *row, struct lark_dependent **ret, size_t *ret_n)
{
	struct dependents d = {.items = arena_calloc(s->arena, DEPENDENTS_MAX, sizeof(*d.items))};
	int rc = d.items == NULL ? ERR_NOMEM : 0;

	switch (rc == 0 ? row->table : LARK_TABLES) {
	case LARK_USER:
		rc = add_dependents(s, &d, LARK_MEETING, "meetings_of_person", "person", "meeting", row->row, true);
		if (rc == 0)
			rc = add_dependents(s, &d, LARK_SUMMARY, "lark_summaries_of", "row", "row", row->row, false);
		break;
	case LARK_MEETING:
		rc = add_dependents(s, &d, LARK_RECORDING, "lark_recordings_of", "row", "row", row->row, true);
		break;
	case LARK_RECORDING:
		rc = add_dependents(s, &d, LARK_SUMMARY, "lark_summaries_of", "row", "row", row->row, false);
		break;
	case LARK_SUMMARY:
	case LARK_TABLES:
		break;
	}
	*ret = d.items;
	*ret_n = d.n;
	return rc;
}
