/*
 * Rows that are kept in step with tables in Feishu. An effect says that a row of ours
 * may differ from its record there; what is written is the row as it is now, so an effect
 * more or less does no harm, and two of one row never do.
 *
 *     fill (read models) --> look (by record id, else by key) --> compare --> create | update --> tell
 *
 * The lane has one thread, so that one writer alone writes to a base (the vendor refuses two at a table);
 * what it has to do is done together, table by table, those first that others link to.
 *
 * Three ways to compare a field: what we have, what is there, and what both had when they were last
 * compared. What was changed there by a person is left, and told of as a conflict; see lark.sql.
 */
#include "lark_out.h"

#include <stdlib.h>

#include "app/fact.h"
#include "base/codec.h"
#include "base/err.h"
#include "base/log.h"
#include "wire_json.h"

#define COMMITMENT_BYTES 9
#define BOTH_CHARS_MAX 500

/* ---- outcomes -------------------------------------------------------------------------------- */

void lark_row_end(struct lark_row *row, enum effect_outcome outcome, const char *class, const char *message)
{
	row->call->outcome = outcome;
	row->call->class = class;
	row->call->message = message;
	row->is_over = true;
}

void lark_row_unreadable(struct lark_row *row)
{
	lark_row_end(row, EFFECT_RETRY, "read_model", "What the row is made of cannot be read at the moment.");
}

/* ---- what is known of a row -------------------------------------------------------------------- */

static enum lark_row_state state_of(struct slice text)
{
	static const struct { const char *name; enum lark_row_state state; } states[] = {
		{"SYNCED", LARK_ROW_SYNCED}, {"CONFLICT", LARK_ROW_CONFLICT}, {"RESOLVING", LARK_ROW_RESOLVING},
		{"DROPPED", LARK_ROW_DROPPED}, {"BLANKED", LARK_ROW_BLANKED}};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (slice_is(text, states[i].name))
			return states[i].state;
	return LARK_ROW_NEW;
}

static void read_known(struct lark_sync *s, struct lark_row *row, struct json_value of)
{
	struct json_value list, item;
	struct json_reader r;

	row->state = state_of(wire_text(of, "state", s->arena));
	row->record_id = wire_text(of, "recordId", s->arena);
	if (row->record_id.len == 0 && row->state != LARK_ROW_DROPPED)
		row->state = LARK_ROW_NEW;
	if (wire_member(of, "fields", JSON_ARRAY, &list)) {
		json_enter(&r, list);
		while (row->n_known < LARK_ROW_FIELDS_MAX && wire_next(&r, &item))
			row->known[row->n_known++] = (struct lark_entry){wire_text(item, "name", s->arena),
			    wire_text(item, "ours", s->arena), wire_text(item, "theirs", s->arena)};
	}
	if (wire_member(of, "names", JSON_ARRAY, &list)) {
		json_enter(&r, list);
		while (row->n_names < LARK_ROW_FIELDS_MAX && json_next(&r, NULL, &item))
			if (json_string(item, s->arena, &row->names[row->n_names]) == 0)
				row->n_names++;
	}
}

static void check_fields(struct lark_sync *s, struct lark_row *row)
{
	for (size_t i = 0; i < row->n; i++)
		if (!lark_field_fits(&row->fields[i]))
			lark_row_end(row, EFFECT_REFUSED, "field",
			    arena_printf(s->arena, "Invalid field value for '%.*s'.", SLICE_ARG(row->fields[i].name)));
}

static void fill(struct lark_sync *s, struct lark_row *row)
{
	struct query_param params[] = {{.name = "table", .text = slice_str(lark_tables[row->table].name)},
	    {.name = "row", .text = row->row}};
	struct json_value rows, of;
	struct json_reader r;
	int rc = lark_ask_model(s, "lark_row", params, 2, &rows);

	row->record_id = SLICE("");
	if (rc == 0) {
		json_enter(&r, rows);
		if (wire_next(&r, &of))
			read_known(s, row, of);
		if (row->state == LARK_ROW_DROPPED) {
			lark_row_end(row, EFFECT_DONE, NULL, NULL);
			return;
		}
		rc = lark_row_fill(s, row);
	}
	if (rc != 0)
		lark_row_unreadable(row);
	else if (!row->is_over)
		check_fields(s, row);
}

/* ---- comparing ----------------------------------------------------------------------------------------- */

/* What tells equal values without telling them. */
static struct slice commit(struct lark_sync *s, struct slice name, struct slice text)
{
	struct buf all = BUF_INIT((size_t)8 << 20);
	uint8_t mac[SHA256_LEN];
	char *out = arena_alloc(s->arena, BASE64URL_LEN(COMMITMENT_BYTES) + 1);

	buf_append_str(&all, "lark/field");
	buf_append_char(&all, '\0');
	buf_append(&all, name);
	buf_append_char(&all, '\0');
	buf_append(&all, text);
	if (out == NULL || all.rc != 0) {
		buf_wipe(&all);
		return (struct slice){0};
	}
	sealer_fingerprint(s->app->sealer, buf_slice(&all), mac);
	buf_wipe(&all);
	base64url_encode_to(out, mac, COMMITMENT_BYTES);
	return slice_of(out, BASE64URL_LEN(COMMITMENT_BYTES));
}

static const struct lark_entry *known_of(const struct lark_row *row, struct slice name)
{
	for (size_t i = 0; i < row->n_known; i++)
		if (slice_eq(row->known[i].name, name))
			return &row->known[i];
	return NULL;
}

static bool is_disputed(const struct lark_row *row, struct slice name)
{
	for (size_t i = 0; i < row->n_names; i++)
		if (slice_eq(row->names[i], name))
			return true;
	return false;
}

enum verdict { THE_SAME, TO_WRITE, TO_KEEP, IN_CONFLICT };

static enum verdict judge(const struct lark_row *row, const struct lark_entry *now, bool is_empty_there)
{
	const struct lark_entry *known = known_of(row, now->name);
	bool disputed = is_disputed(row, now->name), changed_there;

	if (slice_eq(now->ours, now->theirs))
		return THE_SAME;
	if (!row->was_known) /* met for the first time: ours is what the table is for */
		return TO_WRITE;
	if (disputed && row->state == LARK_ROW_RESOLVING)
		return TO_WRITE;
	if (row->is_redacted && known != NULL && !slice_eq(now->ours, known->ours))
		return TO_WRITE; /* a name may have gone out of it */
	if (disputed && row->state == LARK_ROW_CONFLICT)
		return IN_CONFLICT;
	changed_there = known == NULL ? !is_empty_there
	                              : !slice_eq(now->theirs, known->theirs) && !slice_eq(now->theirs, known->ours);
	if (changed_there)
		return IN_CONFLICT;
	return known == NULL || !slice_eq(now->ours, known->ours) ? TO_WRITE : TO_KEEP;
}

/* What we had and have no more is to be empty there, too. */
static void add_gone(struct lark_row *row)
{
	for (size_t i = 0; i < row->n_known; i++) {
		const struct lark_column *column = lark_column_of(row->table, row->known[i].name);
		size_t k = 0;

		if (row->keeps != NULL && slice_is(row->known[i].name, row->keeps)) {
			row->now[row->n_now++] = row->known[i];
			continue;
		}
		while (k < row->n && !slice_eq(row->fields[k].name, row->known[i].name))
			k++;
		if (k == row->n && k < LARK_ROW_FIELDS_MAX && column != NULL)
			row->fields[row->n++] = (struct lark_field){.name = slice_str(column->name), .type = column->type, .clear = true};
	}
}

static void compare(struct lark_sync *s, struct lark_row *row)
{
	add_gone(row);
	for (size_t i = 0; i < row->n; i++) {
		const struct lark_field *f = &row->fields[i];
		struct lark_entry *now = &row->now[row->n_now];
		struct slice ours, theirs = SLICE("");
		int rc = lark_said(f, s->arena, &ours);

		if (rc == 0 && (row->was_known || row->was_found))
			rc = lark_said_there(row->there, lark_column_of(row->table, f->name), s->arena, &theirs);
		*now = (struct lark_entry){f->name, commit(s, f->name, ours), commit(s, f->name, theirs)};
		if (rc != 0 || now->ours.ptr == NULL || now->theirs.ptr == NULL) {
			lark_row_unreadable(row);
			return;
		}
		row->n_now++;
		switch (judge(row, now, theirs.len == 0)) {
		case TO_WRITE:
			row->writes[row->n_writes++] = *f;
			now->theirs = now->ours;
			break;
		case IN_CONFLICT:
			row->conflicts[row->n_conflicts] = f->name;
			row->both[row->n_conflicts][0] = ours;
			row->both[row->n_conflicts++][1] = theirs;
			break;
		case THE_SAME:
		case TO_KEEP:
			break;
		}
	}
}

/* Nothing of an erased person stays in what we wrote. */
static void blank(struct lark_row *row)
{
	for (const struct lark_column *c = lark_tables[row->table].columns; c->name != NULL && !row->is_gone; c++)
		row->writes[row->n_writes++] = (struct lark_field){.name = slice_str(c->name), .type = c->type, .clear = true};
}

/* ---- telling ------------------------------------------------------------------------------------------------ */

static bool is_as_told(const struct lark_row *row)
{
	if (row->state != (row->n_conflicts > 0 ? LARK_ROW_CONFLICT : LARK_ROW_SYNCED) || row->n_now != row->n_known ||
	    row->n_names != row->n_conflicts)
		return false;
	for (size_t i = 0; i < row->n_now; i++) {
		const struct lark_entry *known = known_of(row, row->now[i].name);

		if (known == NULL || !slice_eq(known->ours, row->now[i].ours) || !slice_eq(known->theirs, row->now[i].theirs))
			return false;
	}
	for (size_t i = 0; i < row->n_conflicts; i++)
		if (!is_disputed(row, row->conflicts[i]))
			return false;
	return true;
}

static int put_dependents(struct lark_sync *s, const struct lark_row *row, struct event_lark_row_synced_dependents **ret, size_t *ret_n)
{
	struct lark_dependent *list;
	int rc;

	*ret_n = 0;
	if (row->was_known || row->is_blank)
		return 0;
	rc = lark_row_dependents(s, row, &list, ret_n);
	*ret = arena_calloc(s->arena, *ret_n + 1, sizeof(**ret));
	if (rc != 0 || *ret == NULL)
		return rc != 0 ? rc : ERR_NOMEM;
	for (size_t i = 0; i < *ret_n; i++)
		(*ret)[i] = (struct event_lark_row_synced_dependents){slice_str(lark_tables[list[i].table].name), list[i].row};
	return 0;
}

static struct slice shortened(struct slice text)
{
	size_t n = 0, len = 0;

	while (len < text.len && n < BOTH_CHARS_MAX) {
		len++;
		while (len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
			len++;
		n++;
	}
	return slice_of(text.ptr, len);
}

/* Whose key seals what both sides have: the person's where it is about one; else a key of the row's own. */
static int seal_for(const struct lark_row *row, struct fact *f, struct event_subject *ret)
{
	const char *identity = arena_printf(f->arena, "%s/%.*s", lark_tables[row->table].name, SLICE_ARG(row->row));

	if (row->table == LARK_USER || row->table == LARK_SUMMARY)
		return fact_subject_known(f, "row", row->table == LARK_USER ? row->row : row->person, ret);
	return identity == NULL ? ERR_NOMEM : fact_subject(f, "row", SLICE("lark.row"), slice_str(identity), ret);
}

_Static_assert(sizeof(struct event_lark_row_synced_fields) == sizeof(struct lark_entry), "one is cast to the other");
_Static_assert(sizeof(struct event_lark_row_synced_dependents) == sizeof(struct event_lark_row_conflict_dependents), "likewise");

static int tell_conflict(struct lark_sync *s, struct lark_row *row, struct fact *f, struct event_draft *ret)
{
	struct event_lark_row_conflict data = {.table = slice_str(lark_tables[row->table].name), .row = row->row,
	    .record_id = row->record_id, .reason = row->is_gone ? SLICE("DELETED") : SLICE("CHANGED"),
	    .effect_id = slice_str(row->call->id), .has_subjects = true, .subjects.has_row = true};
	struct event_lark_row_synced_dependents *dependents;
	int rc = seal_for(row, f, &data.subjects.row);

	data.names.items = row->conflicts;
	data.names.n = row->n_conflicts;
	data.fields.items = (struct event_lark_row_conflict_fields *)(void *)row->now;
	data.fields.n = row->n_now;
	data.values.items = arena_calloc(s->arena, row->n_conflicts + 1, sizeof(*data.values.items));
	if (rc != 0 || data.values.items == NULL)
		return rc != 0 ? rc : ERR_NOMEM;
	for (size_t i = 0; i < row->n_conflicts; i++) {
		/* Names of several, each under their own key, are not told here. */
		if (row->table == LARK_RECORDING && (slice_is(row->conflicts[i], "participants") ||
		    slice_is(row->conflicts[i], "ai_meeting_transcripts")))
			continue;
		data.values.items[data.values.n++] = (struct event_lark_row_conflict_values){row->conflicts[i],
		    shortened(row->both[i][0]), shortened(row->both[i][1])};
	}
	rc = put_dependents(s, row, &dependents, &data.dependents.n);
	data.dependents.items = data.dependents.n == 0 ? NULL : (struct event_lark_row_conflict_dependents *)(void *)dependents;
	return rc == 0 ? fact_draft(f, EVENT_LARK_ROW_CONFLICT, &data, ret) : rc;
}

static int tell_synced(struct lark_sync *s, struct lark_row *row, struct fact *f, struct event_draft *ret)
{
	struct event_lark_row_synced data = {.table = slice_str(lark_tables[row->table].name), .row = row->row,
	    .record_id = row->record_id, .effect_id = slice_str(row->call->id)};
	int rc;

	data.did = row->is_blank ? SLICE("BLANKED") : row->was_created ? SLICE("CREATED")
	    : row->was_written ? SLICE("UPDATED") : SLICE("FOUND");
	data.fields.items = (struct event_lark_row_synced_fields *)(void *)row->now;
	data.fields.n = row->n_now;
	rc = put_dependents(s, row, &data.dependents.items, &data.dependents.n);
	return rc == 0 ? fact_draft(f, EVENT_LARK_ROW_SYNCED, &data, ret) : rc;
}

static void tell(struct lark_sync *s, struct lark_row *row)
{
	struct fact *f = arena_calloc(s->arena, 1, sizeof(*f));
	bool conflict = !row->is_blank && (row->n_conflicts > 0 || row->is_gone);
	int rc = f == NULL ? ERR_NOMEM : 0;

	if (!row->is_blank && !row->is_gone && is_as_told(row)) {
		lark_row_end(row, EFFECT_DONE, NULL, NULL);
		return;
	}
	if (conflict && row->is_gone && row->state == LARK_ROW_CONFLICT) { /* told before */
		lark_row_end(row, EFFECT_DONE, NULL, NULL);
		return;
	}
	if (rc == 0) {
		fact_begin(f, s->app, "/effects/lark", row->call->cause, s->arena);
		rc = conflict ? tell_conflict(s, row, f, &row->call->results[0]) : tell_synced(s, row, f, &row->call->results[0]);
	}
	if (rc == ERR_ERASED) { /* meanwhile; the erasure asks for the row again */
		lark_row_end(row, EFFECT_DONE, NULL, NULL);
	} else if (rc != 0) {
		lark_row_end(row, row->was_created || row->was_written ? EFFECT_IS_UNKNOWN : EFFECT_RETRY, "memory",
		    "What was written could not be told of.");
	} else {
		row->call->n_results = 1;
		lark_row_end(row, EFFECT_DONE, NULL, NULL);
	}
}

/* ---- a batch -------------------------------------------------------------------------------------------------- */

static void sync_table(struct lark_sync *s, enum lark_table t, struct lark_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fill(s, &rows[i]);
	for (size_t i = 0; i < n; i++) {
		if (rows[i].is_over)
			continue;
		if (lark_records_fit(s, t, rows, n))
			lark_records_look(s, t, rows, n);
		break;
	}
	for (size_t i = 0; i < n; i++) {
		if (rows[i].is_over)
			continue;
		if (rows[i].is_blank)
			blank(&rows[i]);
		else if (!rows[i].is_gone)
			compare(s, &rows[i]);
	}
	lark_records_write(s, t, rows, n);
}

static int by_table(const void *a, const void *b)
{
	const struct lark_row *x = a, *y = b;

	return (int)x->table - (int)y->table;
}

/* lark.user, lark.meeting, ...: the table is what the effect is called. */
static enum lark_table table_of(const struct effect_call *call)
{
	static const char *const names[LARK_TABLES] = {"lark.user", "lark.meeting", "lark.recording", "lark.summary"};
	unsigned t = 0;

	while (t < LARK_SUMMARY && strcmp(call->name, names[t]) != 0)
		t++;
	return (enum lark_table)t;
}

void lark_write_rows(struct effect_call *calls, size_t n)
{
	struct lark_out *out = calls[0].state;
	struct lark_sync s = {.out = out, .app = out->app, .arena = calls[0].arena, .n = n,
	    .position = eventlog_size(out->app->log) - 1};
	size_t done = 0;

	s.rows = arena_calloc(s.arena, n, sizeof(*s.rows));
	for (size_t i = 0; i < n; i++) {
		calls[i].outcome = EFFECT_RETRY;
		calls[i].class = "memory";
		if (s.rows != NULL)
			s.rows[i] = (struct lark_row){.call = &calls[i], .table = table_of(&calls[i]), .row = slice_str(calls[i].key),
			    .record_id = SLICE("")};
	}
	if (s.rows == NULL)
		return;
	qsort(s.rows, n, sizeof(*s.rows), by_table);
	while (done < n) {
		size_t end_of = done;

		while (end_of < n && s.rows[end_of].table == s.rows[done].table)
			end_of++;
		sync_table(&s, s.rows[done].table, &s.rows[done], end_of - done);
		done = end_of;
	}
	for (size_t i = 0; i < n; i++)
		if (!s.rows[i].is_over)
			tell(&s, &s.rows[i]);
}
