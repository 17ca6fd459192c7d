/*
 * How our server frames what it is sent, for differential.mjs: reads inputs
 * from stdin, each a length (4 bytes, little-endian) and so many bytes, and
 * answers each with a line of JSON
 *
 *     {"requests":[[method, target, minor version, [[name, value], ...], body, end], ...], "then": "..."}
 *
 * Bytes are written as hex; `end` counts the bytes used up to the end of that request. `then`
 * is "refused <status> <code>", "head" or "body" (more bytes are wanted there), or "end".
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/codec.h"
#include "net/http_parser.h"

#define INPUT_MAX (1u << 20)
#define OUT_MAX ((size_t)16 << 20)

static void put_hex(struct buf *out, struct slice bytes)
{
	char *to;

	buf_append_char(out, '"');
	to = buf_reserve(out, 2 * bytes.len + 1);
	if (to == NULL)
		abort();
	hex_encode(to, bytes.ptr, bytes.len);
	buf_commit(out, 2 * bytes.len);
	buf_append_char(out, '"');
}

static void put_request(struct buf *out, const struct http_parser *p, size_t end)
{
	buf_append_char(out, '[');
	put_hex(out, p->head.method);
	buf_append_char(out, ',');
	put_hex(out, p->head.target);
	buf_printf(out, ",%d,[", p->head.http_1_0 ? 0 : 1);
	for (size_t i = 0; i < p->head.n_fields; i++) {
		buf_append_str(out, i == 0 ? "[" : ",[");
		put_hex(out, p->fields[i].name);
		buf_append_char(out, ',');
		put_hex(out, p->fields[i].value);
		buf_append_char(out, ']');
	}
	buf_append_str(out, "],");
	put_hex(out, buf_slice(&p->body));
	buf_printf(out, ",%zu]", end);
}

/* One request from `at` on; false when there is none to be had, and why is written. */
static bool take_request(struct http_parser *p, struct slice bytes, size_t *at, const char **ret_then, int *ret_status)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct http_target target;

	*ret_status = 0;
	while (*at < bytes.len && (p->stage == HTTP_STAGE_HEAD || p->stage == HTTP_STAGE_BODY)) {
		enum http_stage before = p->stage;

		*at += http_parser_feed(p, slice_of(bytes.ptr + *at, bytes.len - *at));
		if (before == HTTP_STAGE_HEAD && (p->stage == HTTP_STAGE_BODY || p->stage == HTTP_STAGE_DONE)) {
			*ret_status = http_target_parse(&target, p->head.target, p->head.host, p->head.is_options, &arena,
			    ret_then);
			if (*ret_status != 0)
				break;
			if (p->stage == HTTP_STAGE_BODY)
				http_parser_keep_body(p, INPUT_MAX);
		}
	}
	arena_finish(&arena);
	if (*ret_status != 0)
		return false;
	if (p->stage == HTTP_STAGE_REFUSED) {
		*ret_status = p->status;
		*ret_then = p->code;
		return false;
	}
	*ret_then = p->stage == HTTP_STAGE_BODY ? "body" : http_parser_begun(p) ? "head" : "end";
	return p->stage == HTTP_STAGE_DONE;
}

static void frame(struct buf *out, struct slice bytes)
{
	struct http_limits limits = {0};
	struct http_parser p;
	const char *then = "end";
	size_t at = 0;
	unsigned n = 0;
	int status;

	http_limits_complete(&limits);
	http_parser_init(&p, &limits);
	buf_append_str(out, "{\"requests\":[");
	while (take_request(&p, bytes, &at, &then, &status)) {
		if (n++ > 0)
			buf_append_char(out, ',');
		put_request(out, &p, at);
		if (!p.head.keep_alive) { /* whatever follows is never looked at */
			then = "end";
			break;
		}
		http_parser_reset(&p);
	}
	if (status != 0)
		buf_printf(out, "],\"then\":\"refused %d %s\"}\n", status, then);
	else
		buf_printf(out, "],\"then\":\"%s\"}\n", then);
	http_parser_finish(&p);
}

int main(void)
{
	struct buf out = BUF_INIT(OUT_MAX);
	static char input[INPUT_MAX];
	uint8_t head[4];

	while (fread(head, 1, sizeof(head), stdin) == sizeof(head)) {
		size_t len = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;

		if (len > INPUT_MAX || fread(input, 1, len, stdin) != len)
			return 2;
		buf_clear(&out);
		frame(&out, slice_of(input, len));
		if (out.rc != 0 || fwrite(out.ptr, 1, out.len, stdout) != out.len)
			return 2;
		/* Whoever asks in batches waits for the last answer of each. */
		fflush(stdout);
	}
	buf_finish(&out);
	return 0;
}
