/*
 * Fuzz entry: bytes through the request parser. The first byte says where the
 * rest is cut in two; whole and cut must come to the same. What we take,
 * llhttp must not read as more, or as another body.
 */
#include "net/http_parser.h"
#include "fuzz.h"

#define HTTP_GET LLHTTP_GET
#define HTTP_POST LLHTTP_POST
#define HTTP_PUT LLHTTP_PUT
#define HTTP_PATCH LLHTTP_PATCH
#define HTTP_DELETE LLHTTP_DELETE
#include <llhttp.h>

#define BODY_MAX 4096

static size_t run(struct http_parser *p, struct slice bytes, size_t cut)
{
	size_t at = 0;

	while (at < bytes.len && (p->stage == HTTP_STAGE_HEAD || p->stage == HTTP_STAGE_BODY)) {
		enum http_stage before = p->stage;
		size_t end = at < cut ? cut : bytes.len;

		at += http_parser_feed(p, slice_of(bytes.ptr + at, end - at));
		if (before == HTTP_STAGE_HEAD && p->stage == HTTP_STAGE_BODY)
			http_parser_keep_body(p, BODY_MAX);
	}
	return at;
}

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
	return buf_append(parser->data, slice_of(at, len));
}

static int on_end(llhttp_t *parser)
{
	(void)parser;
	return HPE_PAUSED;
}

static void check_against_llhttp(const struct http_parser *p, struct slice bytes)
{
	static const llhttp_settings_t settings = {.on_body = on_body, .on_message_complete = on_end};
	struct buf body = BUF_INIT(BODY_MAX);
	llhttp_errno_t rc;
	llhttp_t parser;

	llhttp_init(&parser, HTTP_REQUEST, &settings);
	parser.data = &body;
	rc = llhttp_execute(&parser, bytes.ptr, bytes.len);
	/* It must not want more, nor see another body: that is what requests are smuggled through. */
	check(rc == HPE_PAUSED || rc == HPE_PAUSED_UPGRADE);
	if (rc == HPE_PAUSED && parser.upgrade == 0)
		check(slice_eq(buf_slice(&body), buf_slice(&p->body)) &&
		    llhttp_get_error_pos(&parser) == bytes.ptr + bytes.len);
	buf_finish(&body);
}

static void check_target(const struct http_parser *p)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct http_target t;
	const char *code = NULL;
	int status = http_target_parse(&t, p->head.target, p->head.host, p->head.is_options, &arena, &code);

	check(status == 0 ? t.path.len > 0 : code != NULL);
	if (status == 0)
		http_query_repeated(t.query, t.n_query);
	arena_finish(&arena);
}

void fuzz_one(struct slice input)
{
	static struct http_limits limits;
	struct http_parser whole, cut;
	struct slice bytes;
	size_t n_whole, n_cut;

	if (input.len < 2)
		return;
	http_limits_complete(&limits);
	bytes = slice_of(input.ptr + 1, input.len - 1);
	http_parser_init(&whole, &limits);
	http_parser_init(&cut, &limits);
	n_whole = run(&whole, bytes, bytes.len);
	n_cut = run(&cut, bytes, (uint8_t)input.ptr[0] % (bytes.len + 1));
	check(whole.stage == cut.stage && whole.status == cut.status);
	if (whole.stage == HTTP_STAGE_DONE) {
		check(n_whole == n_cut && slice_eq(buf_slice(&whole.body), buf_slice(&cut.body)));
		check(whole.head.n_fields == cut.head.n_fields);
		check_against_llhttp(&whole, slice_of(bytes.ptr, n_whole));
		check_target(&whole);
	}
	if (whole.stage == HTTP_STAGE_REFUSED)
		check(whole.status >= 400 && whole.code != NULL);
	http_parser_finish(&whole);
	http_parser_finish(&cut);
}
