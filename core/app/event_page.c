/* See event_page.h. */
#include "event_page.h"

#include <inttypes.h>

#include "base/err.h"

#define ARENA_PER_PAGE (256 * 1024 * 1024)

static void csv_cell(struct buf *out, struct slice text)
{
	buf_append_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '"')
			buf_append_char(out, '"');
		buf_append_char(out, text.ptr[i]);
	}
	buf_append_char(out, '"');
}

static int write_csv(struct event_page *p, const struct log_record *record)
{
	struct buf json = BUF_INIT(1 << 20);
	struct json_writer w = JSON_WRITER(&json);
	struct event_shown shown;
	int rc = event_view_write(&p->view, record, &p->arena, &w, &shown);

	if (rc == 0) {
		struct json_value data;

		buf_printf(&p->out, "%" PRIu64, record->position);
		const struct slice cells[] = {shown.time, shown.type, shown.stream, shown.actor, shown.id};

		for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
			buf_append_char(&p->out, ',');
			csv_cell(&p->out, cells[i]);
		}
		buf_append_char(&p->out, ',');
		if (json_member(json_root(buf_slice(&json)), "data", &data))
			csv_cell(&p->out, data.text);
		rc = buf_append_str(&p->out, "\r\n");
	}
	buf_finish(&json);
	return rc;
}

static int write_json(struct event_page *p, const struct log_record *record)
{
	struct json_writer w = JSON_WRITER(&p->out);
	struct event_shown shown;
	size_t at;
	int rc;

	if (p->format == QUERY_JSON && !p->pieces && p->n > 0)
		buf_append_char(&p->out, ',');
	at = p->out.len;
	rc = event_view_write(&p->view, record, &p->arena, &w, &shown);
	if (rc == 0 && p->pieces) {
		struct slice type = arena_dup(&p->arena, shown.type);

		p->items[p->n] = (struct event_item){record->position, type, at, p->out.len - at};
	}
	if (p->format == QUERY_NDJSON)
		buf_append_char(&p->out, '\n');
	return rc == 0 ? p->out.rc : rc;
}

static int walk(struct event_page *p)
{
	size_t bytes_max = p->bytes_max == 0 ? EVENT_PAGE_BYTES_MAX : p->bytes_max;
	struct eventlog_cursor cursor;
	struct log_record record;
	int rc = 0;

	eventlog_cursor_init(&cursor, p->log, p->from, &p->filter);
	while (rc == 0 && p->n < p->limit && p->out.len < bytes_max) {
		rc = eventlog_cursor_next(&cursor, &record);
		if (rc != 0)
			break;
		if (p->skip > 0) {
			p->skip--;
			continue;
		}
		rc = p->format == QUERY_CSV ? write_csv(p, &record) : write_json(p, &record);
		if (rc == 0)
			p->n++;
	}
	p->next = eventlog_cursor_position(&cursor);
	p->more = rc == 0;
	/* A full page says "more" only when there is: one look ahead. */
	if (rc == 0 && !p->pieces && eventlog_cursor_next(&cursor, &record) == ERR_END)
		p->more = false;
	eventlog_cursor_finish(&cursor);
	return rc == ERR_END ? 0 : rc;
}

static void on_work(uv_work_t *work)
{
	struct event_page *p = work->data;

	p->size = eventlog_size(p->log);
	if (p->format == QUERY_CSV)
		buf_append_str(&p->out, "position,time,type,stream,actor,id,data\r\n");
	else if (p->format == QUERY_JSON && !p->pieces)
		buf_append_char(&p->out, '[');
	if (p->pieces)
		p->items = arena_calloc(&p->arena, p->limit, sizeof(*p->items));
	p->rc = p->pieces && p->items == NULL ? ERR_NOMEM : walk(p);
	if (p->format == QUERY_JSON && !p->pieces)
		buf_append_char(&p->out, ']');
	if (p->rc == 0 && p->want_total)
		p->rc = eventlog_count(p->log, &p->filter, p->total_from, &p->total);
	if (p->rc == 0)
		p->rc = p->out.rc;
}

static void on_done(uv_work_t *work, int status)
{
	struct event_page *p = work->data;

	if (status != 0)
		p->rc = ERR_CANCELLED;
	p->cb(p);
}

void event_page_start(struct event_page *p, uv_loop_t *loop)
{
	p->rc = 0;
	p->n = 0;
	p->more = false;
	p->items = NULL;
	if (p->out.max == 0)
		p->out = (struct buf)BUF_INIT(EVENT_PAGE_BYTES_MAX * 2);
	buf_clear(&p->out);
	p->arena.max = ARENA_PER_PAGE;
	arena_reset(&p->arena);
	p->work.data = p;
	uv_queue_work(loop, &p->work, on_work, on_done); /* fails only without a work function */
}

void event_page_finish(struct event_page *p)
{
	buf_finish(&p->out);
	arena_finish(&p->arena);
}
