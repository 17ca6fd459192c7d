/*
 * The second opinion: llhttp 8.1, strict mode, no lenient flag. Our own checks
 * have passed the head already; llhttp must find its end at the same byte and
 * the same fields in it, else the head means different things to different
 * readers and is refused.
 */
#include "net/http_parser.h"

/* llhttp names its methods as we name ours. */
#define HTTP_GET LLHTTP_GET
#define HTTP_POST LLHTTP_POST
#define HTTP_PUT LLHTTP_PUT
#define HTTP_PATCH LLHTTP_PATCH
#define HTTP_DELETE LLHTTP_DELETE
#include <llhttp.h>

struct opinion {
	llhttp_t parser;
	size_t n_fields;
	size_t target_len;
	bool keep_alive;
};

static int on_url(llhttp_t *parser, const char *at, size_t len)
{
	struct opinion *o = parser->data;

	(void)at;
	o->target_len += len;
	return 0;
}

static int on_field_complete(llhttp_t *parser)
{
	struct opinion *o = parser->data;

	o->n_fields++;
	return 0;
}

/* 2: stop here, what follows is not yours to read. */
static int on_headers_complete(llhttp_t *parser)
{
	struct opinion *o = parser->data;

	o->keep_alive = llhttp_should_keep_alive(parser) != 0;
	return 2;
}

bool http_llhttp_agrees(struct slice head, const struct http_head *told)
{
	static const llhttp_settings_t settings = {
		.on_url = on_url,
		.on_header_field_complete = on_field_complete,
		.on_headers_complete = on_headers_complete,
	};
	struct opinion o = {.n_fields = 0};
	llhttp_errno_t rc;

	llhttp_init(&o.parser, HTTP_REQUEST, &settings);
	o.parser.data = &o;
	rc = llhttp_execute(&o.parser, head.ptr, head.len);
	return rc == HPE_PAUSED_UPGRADE && llhttp_get_error_pos(&o.parser) == head.ptr + head.len &&
	    o.n_fields == told->n_fields && o.target_len == told->target.len && o.parser.http_major == 1 &&
	    o.parser.http_minor == (told->http_1_0 ? 0 : 1) && (o.keep_alive || !told->keep_alive) &&
	    ((o.parser.flags & F_CHUNKED) != 0) == told->chunked &&
	    (told->chunked || o.parser.content_length == told->content_length);
}
