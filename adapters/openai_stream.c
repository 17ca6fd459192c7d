/* Server-sent events, however they are cut, and the answers that come in them. */
#include "base/planted.h"
#include "openai_private.h"
#include "wire_json.h"

/* --- events ------------------------------------------------------------------------------------ */

static int end_event(struct sse_parser *p, sse_event_fn *on_event, void *arg)
{
	int rc = 0;

	if (p->has_data)
		rc = on_event(arg, buf_slice(&p->name), buf_slice(&p->data));
	buf_clear(&p->name);
	buf_clear(&p->data);
	p->has_data = false;
	return rc;
}

static int end_line(struct sse_parser *p, sse_event_fn *on_event, void *arg)
{
	struct slice line = buf_slice(&p->line), field, value;

	if (line.len == 0)
		return end_event(p, on_event, arg);
	slice_cut(line, ':', &field, &value);
	if (value.len > 0 && value.ptr[0] == ' ')
		value = slice_of(value.ptr + 1, value.len - 1);
	if (slice_is(field, "data")) {
		if (p->has_data)
			buf_append_char(&p->data, '\n');
		p->has_data = true;
		buf_append(&p->data, value);
	} else if (slice_is(field, "event")) {
		buf_clear(&p->name);
		buf_append(&p->name, value);
	} /* comments, ids and whatever else: nothing to us */
	buf_clear(&p->line);
	return p->data.rc != 0 ? p->data.rc : p->name.rc;
}

/* A byte order mark may be in front of it all. True: c was of it. */
static bool is_bom(struct sse_parser *p, char c)
{
	static const char bom[] = "\xef\xbb\xbf";

	if (p->bom_seen < 3 && c == bom[p->bom_seen]) {
		p->bom_seen++;
		return true;
	}
	if (p->bom_seen < 3) /* what only began like one is text */
		buf_append(&p->line, slice_of(bom, p->bom_seen));
	p->bom_seen = 4;
	return false;
}

static int take_byte(struct sse_parser *p, char c, sse_event_fn *on_event, void *arg)
{
	bool after_cr = p->after_cr;

	if (p->bom_seen < 4 && is_bom(p, c))
		return p->line.rc;
	p->after_cr = c == '\r' && !PLANTED(sse_crlf);
	if (c == '\n' && after_cr)
		return 0;
	if (c == '\n' || c == '\r')
		return end_line(p, on_event, arg);
	return buf_append_char(&p->line, c);
}

int sse_feed(struct sse_parser *p, struct slice piece, sse_event_fn *on_event, void *arg)
{
	for (size_t i = 0; i < piece.len && p->rc == 0; i++)
		p->rc = take_byte(p, piece.ptr[i], on_event, arg);
	return p->rc;
}

void sse_finish(struct sse_parser *p)
{
	buf_finish(&p->line);
	buf_finish(&p->name);
	buf_finish(&p->data);
}

/* --- answers ------------------------------------------------------------------------------------- */

void openai_stream_init(struct openai_stream *s, struct arena *scratch)
{
	*s = (struct openai_stream){
		.sse = SSE_PARSER(),
		.arena = scratch,
		.content = BUF_INIT(OPENAI_CONTENT_MAX),
		.refusal = BUF_INIT(OPENAI_CONTENT_MAX),
		.error_body = BUF_INIT(SSE_EVENT_MAX),
	};
}

void openai_stream_finish(struct openai_stream *s)
{
	sse_finish(&s->sse);
	buf_finish(&s->content);
	buf_finish(&s->refusal);
	buf_finish(&s->error_body);
}

static int fail(struct openai_stream *s, struct slice data)
{
	s->failed = true;
	buf_append(&s->error_body, data);
	return s->error_body.rc != 0 ? s->error_body.rc : ERR_CANCELLED;
}

static int take_chunk(struct openai_stream *s, struct json_value root)
{
	struct json_value choices, choice, delta;
	struct json_reader r;
	struct slice reason;

	openai_usage_of(root, s->arena, &s->usage);
	if (!wire_member(root, "choices", JSON_ARRAY, &choices))
		return 0;
	json_enter(&r, choices);
	if (!wire_next(&r, &choice)) /* the last one has the usage and no choice */
		return 0;
	if (wire_int(choice, "index", 0, s->arena) != 0)
		return 0;
	reason = wire_text(choice, "finish_reason", s->arena);
	if (reason.len > 0)
		s->finish = openai_finish_of(reason);
	if (wire_member(choice, "delta", JSON_OBJECT, &delta)) {
		buf_append(&s->content, wire_text(delta, "content", s->arena));
		buf_append(&s->refusal, wire_text(delta, "refusal", s->arena));
	}
	return 0;
}

static int take_response(struct openai_stream *s, struct json_value root, struct slice type, struct slice data)
{
	struct json_value response;
	bool has_response = wire_member(root, "response", JSON_OBJECT, &response);

	if (slice_is(type, "response.output_text.delta")) {
		buf_append(&s->content, wire_text(root, "delta", s->arena));
	} else if (slice_is(type, "response.refusal.delta")) {
		buf_append(&s->refusal, wire_text(root, "delta", s->arena));
	} else if (slice_is(type, "response.completed") || slice_is(type, "response.incomplete")) {
		s->done = true;
		s->finish = slice_is(type, "response.completed") ? OPENAI_STOP : OPENAI_LENGTH;
		if (has_response)
			openai_usage_of(response, s->arena, &s->usage);
	} else if (slice_is(type, "response.failed") || slice_is(type, "error")) {
		return fail(s, data);
	}
	return 0;
}

static int on_event(void *arg, struct slice name, struct slice data)
{
	struct openai_stream *s = arg;
	struct json_value root, error;
	struct slice type;
	int rc;

	(void)name; /* the type is in the data as well */
	if (s->done)
		return 0;
	if (slice_is(data, "[DONE]")) {
		s->done = true;
		return 0;
	}
	s->n_events++;
	arena_reset(s->arena);
	rc = wire_json_root(data, JSON_OBJECT, s->arena, &root);
	if (rc != 0)
		return rc;
	if (json_member(root, "error", &error) && error.type != JSON_NULL)
		return fail(s, data);
	type = wire_text(root, "type", s->arena);
	rc = type.len > 0 ? take_response(s, root, type, data) : take_chunk(s, root);
	if (rc == 0)
		rc = s->content.rc != 0 ? s->content.rc : s->refusal.rc;
	return rc;
}

int openai_stream_feed(struct openai_stream *s, struct slice piece)
{
	return sse_feed(&s->sse, piece, on_event, s);
}

int openai_stream_end(struct openai_stream *s, struct openai_answer *ret)
{
	if (s->sse.rc != 0)
		return s->sse.rc;
	if (!s->done && s->finish == OPENAI_UNFINISHED)
		return ERR_END;
	*ret = (struct openai_answer){.content = buf_slice(&s->content), .refusal = buf_slice(&s->refusal), .model = SLICE(""),
	    .id = SLICE(""), .finish = s->finish, .usage = s->usage};
	return 0;
}
