/*
 * Somebody was erased: which rows of Feishu's tables name them. What each row then is, is for whoever fills it
 * (lark_row_data.c); here they are only listed, a page an event, and the event asks for each, and for the next page.
 */
#include "app/fact.h"
#include "base/err.h"
#include "lark_out.h"
#include "wire_json.h"

#define PAGE 100       /* as the queries have it */
#define ROWS_MAX 500   /* of a page: with the recordings of its meetings */

static const struct {
	const char *query;
	enum lark_table table;
} lists[] = {
	{"lark_spoken_in", LARK_RECORDING}, {"lark_summaries_by", LARK_SUMMARY}, {"meetings_with", LARK_MEETING},
};
#define LISTS ((int64_t)(sizeof(lists) / sizeof(lists[0])))

struct page {
	struct slice person, after; /* after: the last row looked at */
	int64_t list;
	struct event_lark_person_forgotten_rows rows[ROWS_MAX];
	size_t n;
};

/* Where to go on: at the beginning, or where the event before this one came to. */
static bool begin(const struct effect_call *call, struct page *p)
{
	const struct event *cause = call->cause;

	p->after = SLICE("");
	if (cause->type == NULL || cause->data == NULL)
		return false;
	if (cause->type->id == EVENT_PRIVACY_ERASURE_COMPLETED) {
		p->person = ((const struct event_privacy_erasure_completed *)cause->data)->subject_id;
	} else if (cause->type->id == EVENT_LARK_PERSON_FORGOTTEN) {
		const struct event_lark_person_forgotten *before = cause->data;

		p->person = before->person;
		p->list = before->next_list;
		p->after = before->next_after;
	}
	return p->person.len > 0;
}

/* Those of them that have a record: the others never were there, or will be written without the person. */
static int add_rows(struct lark_sync *s, struct page *p, enum lark_table table, const struct slice *ids, size_t n)
{
	struct slice *records = arena_calloc(s->arena, n + 1, sizeof(*records));
	int rc = records == NULL ? ERR_NOMEM : n == 0 ? 0 : lark_records_of(s, table, ids, n, records);

	for (size_t i = 0; rc == 0 && i < n && p->n < ROWS_MAX; i++)
		if (records[i].len > 0)
			p->rows[p->n++] = (struct event_lark_person_forgotten_rows){slice_str(lark_tables[table].name), ids[i]};
	return rc;
}

static size_t read_ids(struct lark_sync *s, struct json_value rows, struct slice ids[ROWS_MAX])
{
	struct json_value row;
	struct json_reader r;
	size_t n = 0;

	json_enter(&r, rows);
	while (n < ROWS_MAX && wire_next(&r, &row))
		ids[n++] = wire_text(row, "row", s->arena);
	return n;
}

static int add_recordings(struct lark_sync *s, struct page *p, const struct slice *meetings, size_t n)
{
	struct slice *ids = arena_calloc(s->arena, ROWS_MAX, sizeof(*ids));
	struct json_value rows;
	int rc = ids == NULL ? ERR_NOMEM : n == 0 ? 0 : lark_ask_about(s, "lark_recordings_in", meetings, n, &rows);

	return rc != 0 || n == 0 ? rc : add_rows(s, p, LARK_RECORDING, ids, read_ids(s, rows, ids));
}

/* The next page of what there is. Its list is LISTS when that was all. */
static int turn(struct lark_sync *s, struct page *p)
{
	struct query_param of[] = {{.name = "person", .text = p->person}, {.name = "after", .text = p->after}};
	struct slice *ids = arena_calloc(s->arena, ROWS_MAX, sizeof(*ids));
	enum lark_table table = lists[p->list].table;
	struct json_value rows;
	size_t n = 0;
	int rc = ids == NULL ? ERR_NOMEM : lark_ask_model(s, lists[p->list].query, of, 2, &rows);

	if (rc == 0) {
		n = read_ids(s, rows, ids);
		rc = add_rows(s, p, table, ids, n);
	}
	if (rc == 0 && table == LARK_MEETING)
		rc = add_recordings(s, p, ids, n);
	if (rc != 0)
		return rc;
	p->after = n < PAGE ? SLICE("") : ids[n - 1];
	p->list += n < PAGE;
	return 0;
}

static int tell(struct lark_sync *s, struct effect_call *call, struct page *p)
{
	struct fact *f = arena_calloc(s->arena, 1, sizeof(*f));
	struct event_lark_person_forgotten data = {.person = p->person, .rows = {p->rows, p->n},
	    .effect_id = slice_str(call->id)};
	int rc;

	if (f == NULL)
		return ERR_NOMEM;
	if (p->list < LISTS) {
		data.has_next_list = true;
		data.next_list = p->list;
		data.next_after = p->after;
	}
	fact_begin(f, s->app, "/effects/lark", call->cause, s->arena);
	rc = fact_draft(f, EVENT_LARK_PERSON_FORGOTTEN, &data, &call->results[0]);
	call->n_results = rc == 0;
	return rc;
}

static void forget(struct lark_out *out, struct effect_call *call)
{
	struct lark_sync s = {.out = out, .app = out->app, .arena = call->arena, .position = eventlog_size(out->app->log) - 1};
	struct page *p = arena_calloc(call->arena, 1, sizeof(*p));
	int rc = p == NULL ? ERR_NOMEM : 0;

	if (rc == 0 && !begin(call, p)) {
		call->outcome = EFFECT_DONE;
		return;
	}
	while (rc == 0 && p->n == 0 && p->list < LISTS)
		rc = turn(&s, p);
	if (rc == 0 && p->n > 0)
		rc = tell(&s, call, p);
	call->outcome = rc == 0 ? EFFECT_DONE : EFFECT_RETRY;
	if (rc != 0) {
		call->class = "read_model";
		call->message = "Which rows name the person cannot be read at the moment.";
	}
}

void lark_forget(struct effect_call *calls, size_t n)
{
	for (size_t i = 0; i < n; i++)
		forget(calls[i].state, &calls[i]);
}
