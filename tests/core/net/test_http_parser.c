/* http_head.c, http_chunked.c, http_llhttp.c, http_target.c: bytes in, a request or a refusal out. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "lib/no_memory.h"
#include "lib/run.h"
#include "net/http_parser.h"

#define BODY_MAX 64

static struct http_limits limits;

/*
 * What came of the bytes, as one line of text: "400 bad_field", "wait", or
 * "GET /path fields=1 body=abc rest=3".
 */
static void describe(struct buf *out, const struct http_parser *p, size_t n_used, size_t n_given)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct http_target t;
	const char *code = NULL;
	int status;

	if (p->stage == HTTP_STAGE_REFUSED) {
		buf_printf(out, "%d %s", p->status, p->code);
		return;
	}
	if (p->stage != HTTP_STAGE_DONE) {
		buf_append_str(out, "wait");
		return;
	}
	status = http_target_parse(&t, p->head.target, p->head.host, p->head.is_options, &arena, &code);
	if (status != 0) {
		buf_printf(out, "%d %s", status, code);
	} else {
		buf_printf(out, "%.*s %.*s", SLICE_ARG(p->head.method), SLICE_ARG(t.path));
		for (size_t i = 0; i < t.n_query; i++)
			buf_printf(out, "%c%.*s=%.*s", i == 0 ? '?' : '&', SLICE_ARG(t.query[i].name),
			    SLICE_ARG(t.query[i].value));
		buf_printf(out, " fields=%zu", p->head.n_fields);
		for (size_t i = 0; i < p->head.n_fields; i++)
			buf_printf(out, " [%.*s|%.*s]", SLICE_ARG(p->fields[i].name), SLICE_ARG(p->fields[i].value));
		buf_printf(out, " body=%.*s rest=%zu%s", SLICE_ARG(buf_slice(&p->body)), n_given - n_used,
		    p->head.keep_alive ? "" : " close");
	}
	arena_finish(&arena);
}

/* Feeds until the parser has enough, in the given two pieces (or byte by byte when cut is SIZE_MAX). */
static void run(struct buf *out, struct slice bytes, size_t cut)
{
	struct http_parser p;
	size_t at = 0;

	http_parser_init(&p, &limits);
	while (at < bytes.len && (p.stage == HTTP_STAGE_HEAD || p.stage == HTTP_STAGE_BODY)) {
		size_t end = cut == SIZE_MAX ? at + 1 : at < cut ? cut : bytes.len;
		enum http_stage before = p.stage;

		at += http_parser_feed(&p, slice_of(bytes.ptr + at, end - at));
		if (before == HTTP_STAGE_HEAD && p.stage == HTTP_STAGE_BODY)
			http_parser_keep_body(&p, BODY_MAX);
	}
	describe(out, &p, at, bytes.len);
	http_parser_finish(&p);
}

/* The outcome, which must be the same wherever the bytes are cut. */
static void check(const char *says, struct slice bytes, const char *expected)
{
	struct buf whole = BUF_INIT(1 << 20), cut = BUF_INIT(1 << 20);

	run(&whole, bytes, bytes.len);
	ck_assert_msg(slice_is(buf_slice(&whole), expected), "%s: \"%s\" instead of \"%s\"", says, whole.ptr, expected);
	for (size_t at = 1; at < bytes.len; at++) {
		buf_clear(&cut);
		run(&cut, bytes, at);
		ck_assert_msg(slice_eq(buf_slice(&cut), buf_slice(&whole)), "%s, cut at %zu: \"%s\" instead of \"%s\"",
		    says, at, cut.ptr, whole.ptr);
	}
	buf_clear(&cut);
	run(&cut, bytes, SIZE_MAX);
	ck_assert_msg(slice_eq(buf_slice(&cut), buf_slice(&whole)), "%s, byte by byte: \"%s\"", says, cut.ptr);
	buf_finish(&whole);
	buf_finish(&cut);
}

#define GET "GET / HTTP/1.1\r\nHost: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

/* The list of integrity 22: each is refused, and what is least changed to make it good is taken. */
static const struct {
	const char *says;
	struct slice sent;
	const char *outcome;
	struct slice repaired;
} listed[] = {
	{"a lone CR before a hidden field", SLICE_INIT(POST "X:\rTransfer-Encoding: chunked\r\n\r\n"), "400 control_character",
	    SLICE_INIT(POST "X:\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"a folded length", SLICE_INIT(POST "Content-Length:\r\n 4\r\n\r\nabcd"), "400 bad_content_length",
	    SLICE_INIT(POST "Content-Length: 4\r\n\r\nabcd")},
	{"a length twice", SLICE_INIT(POST "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd"), "400 bad_content_length",
	    SLICE_INIT(POST "Content-Length: 4\r\n\r\nabcd")},
	{"a length with a sign", SLICE_INIT(POST "Content-Length: +4\r\n\r\nabcd"), "400 bad_content_length",
	    SLICE_INIT(POST "Content-Length: 4\r\n\r\nabcd")},
	{"a length in hex", SLICE_INIT(POST "Content-Length: 0x4\r\n\r\nabcd"), "400 bad_content_length",
	    SLICE_INIT(POST "Content-Length: 04\r\n\r\nabcd")},
	{"a length with a blank", SLICE_INIT(POST "Content-Length: 4 4\r\n\r\nabcd"), "400 bad_content_length",
	    SLICE_INIT(POST "Content-Length: 4 \r\n\r\nabcd")},
	{"a length of 20 digits", SLICE_INIT(POST "Content-Length: 00000000000000000004\r\n\r\nabcd"), "400 bad_content_length",
	    SLICE_INIT(POST "Content-Length: 000000000000000004\r\n\r\nabcd")},
	{"a length beside chunked", SLICE_INIT(POST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400 bad_transfer_encoding",
	    SLICE_INIT(POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"chunked beside a length", SLICE_INIT(POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n"), "400 bad_transfer_encoding",
	    SLICE_INIT(POST "Content-Length: 5\r\n\r\n0\r\n\r\n")},
	{"an unknown coding", SLICE_INIT(POST "Transfer-Encoding: xchunked\r\n\r\n"), "400 bad_transfer_encoding",
	    SLICE_INIT(POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"a list of codings", SLICE_INIT(POST "Transfer-Encoding: chunked, identity\r\n\r\n"), "400 bad_transfer_encoding",
	    SLICE_INIT(POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"identity after chunked", SLICE_INIT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n"), "400 bad_transfer_encoding",
	    SLICE_INIT(POST "Transfer-Encoding: chunked\r\nX: identity\r\n\r\n0\r\n\r\n")},
	{"chunked twice", SLICE_INIT(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"), "400 bad_transfer_encoding",
	    SLICE_INIT(POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"a vertical tab before chunked", SLICE_INIT(POST "Transfer-Encoding: \x0b" "chunked\r\n\r\n"), "400 control_character",
	    SLICE_INIT(POST "Transfer-Encoding: \tchunked\r\n\r\n0\r\n\r\n")},
	{"a blank before the colon", SLICE_INIT("GET / HTTP/1.1\r\nHost : a\r\n\r\n"), "400 bad_field",
	    SLICE_INIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"a blank before the first field", SLICE_INIT("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), "400 bad_field",
	    SLICE_INIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"an empty field name", SLICE_INIT(GET ": x\r\n\r\n"), "400 bad_field",
	    SLICE_INIT(GET "y: x\r\n\r\n")},
	{"no Host", SLICE_INIT("GET / HTTP/1.1\r\n\r\n"), "400 bad_host",
	    SLICE_INIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"two Hosts", SLICE_INIT(GET "Host: a\r\n\r\n"), "400 bad_host",
	    SLICE_INIT(GET "\r\n")},
	{"HTTP/2.0", SLICE_INIT("GET / HTTP/2.0\r\nHost: a\r\n\r\n"), "400 bad_version",
	    SLICE_INIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"no version", SLICE_INIT("GET /\r\n\r\n"), "400 bad_request_line",
	    SLICE_INIT("GET / HTTP/1.0\r\n\r\n")},
	{"chunked with HTTP/1.0", SLICE_INIT("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400 bad_transfer_encoding",
	    SLICE_INIT("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")},
	{"chunk data without its CRLF", SLICE_INIT(CHUNKED "5\r\nhelloXX0\r\n\r\n"), "400 bad_chunk",
	    SLICE_INIT(CHUNKED "5\r\nhello\r\n0\r\n\r\n")},
	{"a chunk size in C", SLICE_INIT(CHUNKED "0x5\r\nhello\r\n0\r\n\r\n"), "400 bad_chunk",
	    SLICE_INIT(CHUNKED "05\r\nhello\r\n0\r\n\r\n")},
	{"a chunk size of 17 digits", SLICE_INIT(CHUNKED "00000000000000005\r\nhello\r\n0\r\n\r\n"), "400 bad_chunk",
	    SLICE_INIT(CHUNKED "00000005\r\nhello\r\n0\r\n\r\n")},
	{"line feeds only", SLICE_INIT("GET / HTTP/1.1\nHost: a\n\n"), "400 bare_line_feed",
	    SLICE_INIT("GET / HTTP/1.1\r\nHost: a\r\n\r\n")},
	{"byte 0x01 in a value", SLICE_INIT(GET "X: a\x01z\r\n\r\n"), "400 control_character",
	    SLICE_INIT(GET "X: a z\r\n\r\n")},
};

START_TEST(the_refuse_list)
{
	struct buf repaired = BUF_INIT(1 << 20);

	check(listed[_i].says, listed[_i].sent, listed[_i].outcome);
	ck_assert_msg(strncmp(listed[_i].outcome, "400 ", 4) == 0, "%s", listed[_i].says);
	run(&repaired, listed[_i].repaired, listed[_i].repaired.len);
	ck_assert_msg(repaired.ptr[0] == 'G' || repaired.ptr[0] == 'P', "%s, repaired: \"%s\"", listed[_i].says, repaired.ptr);
	ck_assert_msg(memmem(repaired.ptr, repaired.len, " rest=0", 7) != NULL, "%s, repaired: \"%s\"", listed[_i].says,
	    repaired.ptr);
	check(listed[_i].says, listed[_i].repaired, repaired.ptr);
	buf_finish(&repaired);
}
END_TEST

static const struct {
	const char *says;
	struct slice sent;
	const char *outcome;
} refused[] = {
	/* Neighbours of those. */
	{"a length in a trailer", SLICE_INIT(CHUNKED "0\r\nContent-Length: 9\r\n\r\n"), "400 bad_chunk"},
	{"a coding in a trailer", SLICE_INIT(CHUNKED "0\r\nX: y\r\ntransfer-encoding: chunked\r\n\r\n"), "400 bad_chunk"},
	{"a Host in a trailer", SLICE_INIT(CHUNKED "0\r\nhOst: b\r\n\r\n"), "400 bad_chunk"},
	{"a hop's own field in a trailer", SLICE_INIT(CHUNKED "0\r\nConnection: close\r\n\r\n"), "400 bad_chunk"},
	{"a tab that hides keep-alive from others", SLICE_INIT("GET / HTTP/1.0\r\nConnection: keep-alive\t\r\n\r\n"), "400 bad_request"},
	{"a control character in a trailer", SLICE_INIT(CHUNKED "0\r\nX: a\x01\r\n\r\n"), "400 bad_chunk"},
	{"DEL in a trailer", SLICE_INIT(CHUNKED "0\r\nX: a\x7f\r\n\r\n"), "400 bad_chunk"},
	{"a method and nothing more", SLICE_INIT("GET\r\n\r\n"), "400 bad_request_line"},
	{"a method that is no token", SLICE_INIT("G(T / HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_request_line"},
	{"a line feed for the empty line", SLICE_INIT(GET "\n"), "400 bare_line_feed"},
	{"a slash in Host", SLICE_INIT("GET / HTTP/1.1\r\nHost: a/\r\n\r\n"), "400 bad_host"},
	{"a back quote in Host", SLICE_INIT("GET / HTTP/1.1\r\nHost: `\r\n\r\n"), "400 bad_host"},
	{"a brace in Host", SLICE_INIT("GET / HTTP/1.1\r\nHost: {\r\n\r\n"), "400 bad_host"},
	{"an extension behind one with a token", SLICE_INIT(CHUNKED "0;a=b;c\r\n\r\n"), "400 bad_chunk"},
	{"an extension without a name", SLICE_INIT(CHUNKED "0;\r\n\r\n"), "400 bad_chunk"},
	{"an extension with half a name", SLICE_INIT(CHUNKED "0;a,\r\n\r\n"), "400 bad_chunk"},
	{"an extension without a value", SLICE_INIT(CHUNKED "0;a=\r\n\r\n"), "400 bad_chunk"},
	{"an extension with half a value", SLICE_INIT(CHUNKED "0;a=b/\r\n\r\n"), "400 bad_chunk"},
	{"an extension whose quotes stay open", SLICE_INIT(CHUNKED "0;a=\"b\r\n\r\n"), "400 bad_chunk"},
	{"something behind the quotes of an extension", SLICE_INIT(CHUNKED "0;a=\"b\"c\r\n\r\n"), "400 bad_chunk"},
	{"a blank before an extension", SLICE_INIT(CHUNKED "0 ;a\r\n\r\n"), "400 bad_chunk"},
	{"one line feed among good ones", SLICE_INIT(GET "X: a\nY: b\r\n\r\n"), "400 bare_line_feed"},
	{"NUL in a value", SLICE_INIT(GET "X: a\0z\r\n\r\n"), "400 control_character"},
	{"DEL in a value", SLICE_INIT(GET "X: a\x7fz\r\n\r\n"), "400 control_character"},
	{"two CRs before the LF", SLICE_INIT(GET "X: a\r\r\n\r\n"), "400 control_character"},
	{"a folded value", SLICE_INIT(GET "X: a\r\n b\r\n\r\n"), "400 bad_field"},
	{"a field without a colon", SLICE_INIT(GET "X\r\n\r\n"), "400 bad_field"},
	{"a name with a blank inside", SLICE_INIT(GET "X Y: a\r\n\r\n"), "400 bad_field"},
	{"a length of nothing", SLICE_INIT(POST "Content-Length: \r\n\r\n"), "400 bad_content_length"},
	{"a negative length", SLICE_INIT(POST "Content-Length: -1\r\n\r\n"), "400 bad_content_length"},
	{"a list of lengths", SLICE_INIT(POST "Content-Length: 4, 4\r\n\r\nabcd"), "400 bad_content_length"},
	{"a length of 19 digits", SLICE_INIT(POST "Content-Length: 1000000000000000000\r\n\r\n"), "400 bad_content_length"},
	{"HTTP/1.2", SLICE_INIT("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), "400 bad_version"},
	{"lower-case http", SLICE_INIT("GET / http/1.1\r\nHost: a\r\n\r\n"), "400 bad_version"},
	{"two blanks before the version", SLICE_INIT("GET /  HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_version"},
	{"a blank after the version", SLICE_INIT("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), "400 bad_version"},
	{"two blanks after the method", SLICE_INIT("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_request_line"},
	{"tabs in the request line", SLICE_INIT("GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_request_line"},
	{"two empty lines before the request", SLICE_INIT("\r\n\r\n" GET "\r\n"), "400 bad_request_line"},
	{"an empty Host", SLICE_INIT("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "400 bad_host"},
	{"a Host with a user", SLICE_INIT("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n"), "400 bad_host"},
	{"a list of Hosts", SLICE_INIT("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), "400 bad_host"},
	{"a method nobody knows", SLICE_INIT("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), "501 unknown_method"},
	{"a method in lower case", SLICE_INIT("get / HTTP/1.1\r\nHost: a\r\n\r\n"), "501 unknown_method"},
	{"HTTP/2's preface", SLICE_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "400 bad_version"},
	{"an expectation nobody knows", SLICE_INIT(POST "Expect: tea\r\n\r\n"), "417 unknown_expectation"},
	{"a compressed body", SLICE_INIT(POST "Content-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"), "415 unsupported_content_encoding"},

	/* Targets. */
	{"another authority than Host", SLICE_INIT("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_target"},
	{"a scheme we do not speak", SLICE_INIT("GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_target"},
	{"a target without a slash", SLICE_INIT("GET x HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_request"},
	{"an asterisk with GET", SLICE_INIT("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_target"},
	{"a backslash", SLICE_INIT("GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_target"},
	{"an encoded backslash", SLICE_INIT("GET /a%5cb HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_path"},
	{"an encoded slash", SLICE_INIT("GET /a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_path"},
	{"an encoded NUL", SLICE_INIT("GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_path"},
	{"an encoded control character", SLICE_INIT("GET /a%0ab HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_path"},
	{"a broken escape", SLICE_INIT("GET /a%2 HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_path"},
	{"an escape that is no hex", SLICE_INIT("GET /a%zz HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_path"},
	{"a path that is no UTF-8", SLICE_INIT("GET /a%ff HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_path"},
	{"a path above the root", SLICE_INIT("GET /a/../../b HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_path"},
	{"a path above the root at once", SLICE_INIT("GET /.. HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_path"},
	{"a path above the root behind a dot", SLICE_INIT("GET /./../b HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_path"},
	{"a path above the root, encoded", SLICE_INIT("GET /%2e%2E/b HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_path"},
	{"a fragment", SLICE_INIT("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_target"},
	{"raw UTF-8", SLICE_INIT("GET /\xe4\xbd\xa0 HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_request"},
	{"an encoded NUL in the query", SLICE_INIT("GET /?a=%00 HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_query"},
	{"a broken escape in the query", SLICE_INIT("GET /?a=% HTTP/1.1\r\nHost: a\r\n\r\n"), "400 bad_query"},

	/* Bodies. */
	{"a known length over the limit", SLICE_INIT(POST "Content-Length: 65\r\n\r\n"), "413 body_too_big"},
	{"a chunk over the limit", SLICE_INIT(CHUNKED "41\r\n"), "413 body_too_big"},
	{"chunks over the limit", SLICE_INIT(CHUNKED "3e\r\naaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n3\r\n"), "413 body_too_big"},
	{"a chunk size of nothing", SLICE_INIT(CHUNKED "\r\n"), "400 bad_chunk"},
	{"a negative chunk size", SLICE_INIT(CHUNKED "-5\r\n"), "400 bad_chunk"},
	{"a blank before a chunk size", SLICE_INIT(CHUNKED " 5\r\nhello\r\n0\r\n\r\n"), "400 bad_chunk"},
	{"a blank after a chunk size", SLICE_INIT(CHUNKED "5 \r\nhello\r\n0\r\n\r\n"), "400 bad_chunk"},
	{"a chunk size ended by LF", SLICE_INIT(CHUNKED "5\nhello\r\n0\r\n\r\n"), "400 bad_chunk"},
	{"a chunk size of 9 digits", SLICE_INIT(CHUNKED "000000005\r\nhello\r\n0\r\n\r\n"), "400 bad_chunk"},
	{"a control character in an extension", SLICE_INIT(CHUNKED "5;a\x01=b\r\nhello\r\n0\r\n\r\n"), "400 bad_chunk"},
	{"a bare CR in an extension", SLICE_INIT(CHUNKED "5;a\rb\r\nhello\r\n0\r\n\r\n"), "400 bad_chunk"},
	{"a bare LF in an extension", SLICE_INIT(CHUNKED "5;a\nhello\r\n0\r\n\r\n"), "400 bad_chunk"},
	{"a trailer without a name", SLICE_INIT(CHUNKED "0\r\n: x\r\n\r\n"), "400 bad_chunk"},
	{"a folded trailer", SLICE_INIT(CHUNKED "0\r\nA: b\r\n c\r\n\r\n"), "400 bad_chunk"},
	{"nine trailers", SLICE_INIT(CHUNKED "0\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\na:\r\n\r\n"), "400 bad_chunk"},
	{"no CRLF after the trailers", SLICE_INIT(CHUNKED "0\r\nA: b\r\n\rX"), "400 bad_chunk"},
};

START_TEST(refused_heads_and_bodies)
{
	check(refused[_i].says, refused[_i].sent, refused[_i].outcome);
}
END_TEST

static const struct {
	const char *says;
	struct slice sent;
	const char *outcome;
} accepted[] = {
	{"a plain GET", SLICE_INIT(GET "\r\n"), "GET / fields=1 [Host|a] body= rest=0"},
	{"values lose blanks around them", SLICE_INIT(GET "X: \t a b\t \r\nY:c\r\n\r\n"), "GET / fields=3 [Host|a] [X|a b] [Y|c] body= rest=0"},
	{"an empty value", SLICE_INIT(GET "X:\r\n\r\n"), "GET / fields=2 [Host|a] [X|] body= rest=0"},
	{"bytes above 127 in a value", SLICE_INIT(GET "X: \xe4\xbd\xa0\r\n\r\n"), "GET / fields=2 [Host|a] [X|\xe4\xbd\xa0] body= rest=0"},
	{"one empty line before it", SLICE_INIT("\r\n" GET "\r\n"), "GET / fields=1 [Host|a] body= rest=0"},
	{"a body of a known length", SLICE_INIT(POST "Content-Length: 4\r\n\r\nabcd"), "POST / fields=2 [Host|a] [Content-Length|4] body=abcd rest=0"},
	{"a length with zeros in front", SLICE_INIT(POST "content-length: 004\r\n\r\nabcd"), "POST / fields=2 [Host|a] [content-length|004] body=abcd rest=0"},
	{"a body of no bytes", SLICE_INIT(POST "Content-Length: 0\r\n\r\n"), "POST / fields=2 [Host|a] [Content-Length|0] body= rest=0"},
	{"a body at the limit", SLICE_INIT(POST "Content-Length: 64\r\n\r\n"
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"), "POST / fields=2 [Host|a] [Content-Length|64] "
		"body=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef rest=0"},
	{"a body not whole yet", SLICE_INIT(POST "Content-Length: 4\r\n\r\nabc"), "wait"},
	{"a head not whole yet", SLICE_INIT(GET), "wait"},
	{"chunks", SLICE_INIT(CHUNKED "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"), "POST / fields=2 [Host|a] [Transfer-Encoding|chunked] body=hello world rest=0"},
	{"chunk sizes in either case and padded", SLICE_INIT(CHUNKED "0000000A\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n"), "POST / fields=2 [Host|a] [Transfer-Encoding|chunked] body=0123456789x rest=0"},
	{"extensions and trailers are forgotten", SLICE_INIT(CHUNKED "1;a=\"b; c=\";c;d=e\r\nx\r\n0;z\r\nX: 9\r\nHost-Is: b\r\n\r\n"), "POST / fields=2 [Host|a] [Transfer-Encoding|chunked] body=x rest=0"},
	{"Chunked in any case", SLICE_INIT(POST "transfer-encoding: Chunked\r\n\r\n0\r\n\r\n"), "POST / fields=2 [Host|a] [transfer-encoding|Chunked] body= rest=0"},
	{"close is heard", SLICE_INIT(GET "Connection: x, Close\r\n\r\n"), "GET / fields=2 [Host|a] [Connection|x, Close] body= rest=0 close"},
	{"HTTP/1.0 closes", SLICE_INIT("GET / HTTP/1.0\r\n\r\n"), "GET / fields=0 body= rest=0 close"},
	{"HTTP/1.0 that stays", SLICE_INIT("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), "GET / fields=1 [Connection|keep-alive] body= rest=0"},
	{"an absolute target", SLICE_INIT("GET http://A:80/x?y=z HTTP/1.1\r\nHost: a:80\r\n\r\n"), "GET /x?y=z fields=1 [Host|a:80] body= rest=0"},
	{"an absolute target without path", SLICE_INIT("GET http://a HTTP/1.1\r\nHost: a\r\n\r\n"), "GET / fields=1 [Host|a] body= rest=0"},
	{"OPTIONS of the server", SLICE_INIT("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), "OPTIONS * fields=1 [Host|a] body= rest=0"},
	{"an escaped path", SLICE_INIT("GET /%E4%BD%A0%20b+c HTTP/1.1\r\nHost: a\r\n\r\n"), "GET /\xe4\xbd\xa0 b+c fields=1 [Host|a] body= rest=0"},
	{"dots inside the root", SLICE_INIT("GET /a/../b/./c HTTP/1.1\r\nHost: a\r\n\r\n"), "GET /a/../b/./c fields=1 [Host|a] body= rest=0"},
	{"a query", SLICE_INIT("GET /?a=1&&b=x+y%26&c HTTP/1.1\r\nHost: a\r\n\r\n"), "GET /?a=1&b=x y&&c= fields=1 [Host|a] body= rest=0"},
	{"an IPv6 host", SLICE_INIT("GET / HTTP/1.1\r\nHost: [::1]:3000\r\n\r\n"), "GET / fields=1 [Host|[::1]:3000] body= rest=0"},
	{"a Host of all it may have", SLICE_INIT("GET / HTTP/1.1\r\nHost: AZaz09.-_~:[]\r\n\r\n"), "GET / fields=1 [Host|AZaz09.-_~:[]] body= rest=0"},
	{"names as long as those that mean something", SLICE_INIT(GET "Xost: a\r\nXxpect: a\r\nX-Abcdefgh: a\r\nX-Abcdefghijkl: a\r\n"
		"X-Abcdefghijklmn: a\r\nX-Abcdefghijklmno: a\r\n\r\n"),
	    "GET / fields=7 [Host|a] [Xost|a] [Xxpect|a] [X-Abcdefgh|a] [X-Abcdefghijkl|a] [X-Abcdefghijklmn|a] [X-Abcdefghijklmno|a] body= rest=0"},
	{"a trailer with a long name and a tab", SLICE_INIT(CHUNKED "0;abc=def\r\nX-Abcdefghijklmnopqrstuvwxyz:\ta\r\n\r\n"), "POST / fields=2 [Host|a] [Transfer-Encoding|chunked] body= rest=0"},
	{"an expectation we know", SLICE_INIT(POST "Expect: 100-continue\r\n\r\n"), "POST / fields=2 [Host|a] [Expect|100-continue] body= rest=0"},
	{"a body and the next request", SLICE_INIT(POST "Content-Length: 4\r\n\r\nabcdGET"), "POST / fields=2 [Host|a] [Content-Length|4] body=abcd rest=3"},
	{"identity is no coding", SLICE_INIT(POST "Content-Encoding: identity\r\n\r\n"), "POST / fields=2 [Host|a] [Content-Encoding|identity] body= rest=0"},
};

START_TEST(accepted_requests)
{
	check(accepted[_i].says, accepted[_i].sent, accepted[_i].outcome);
}
END_TEST

START_TEST(the_next_request_is_left_alone)
{
	struct slice two = SLICE(GET "\r\nGET / HTTP/1.1\r\n");
	struct http_parser p;

	http_parser_init(&p, &limits);
	ck_assert_uint_eq(http_parser_feed(&p, two), sizeof(GET "\r\n") - 1);
	ck_assert_int_eq(p.stage, HTTP_STAGE_DONE);
	ck_assert_uint_eq(http_parser_feed(&p, two), 0);
	http_parser_reset(&p);
	ck_assert(!http_parser_begun(&p));
	ck_assert_uint_eq(http_parser_feed(&p, two), sizeof(GET "\r\n") - 1);
	ck_assert_int_eq(p.stage, HTTP_STAGE_DONE);
	http_parser_finish(&p);
}
END_TEST

/* Something of exactly this size is let through, one byte more is not. */
static void check_limit(const char *says, const char *before, size_t n, const char *after, const char *outcome)
{
	struct buf bytes = BUF_INIT(1 << 20);

	buf_append_str(&bytes, before);
	for (size_t i = 0; i < n; i++)
		buf_append_char(&bytes, 'a');
	buf_append_str(&bytes, after);
	ck_assert_int_eq(bytes.rc, 0);
	for (int way = 0; way < 2; way++) {
		struct buf got = BUF_INIT(1 << 20);

		run(&got, buf_slice(&bytes), way == 0 ? bytes.len : SIZE_MAX);
		if (outcome != NULL)
			ck_assert_msg(slice_is(buf_slice(&got), outcome), "%s: \"%.60s\"", says, got.ptr);
		else
			ck_assert_msg(got.ptr[0] == 'G' || got.ptr[0] == 'P', "%s: \"%.60s\"", says, got.ptr);
		buf_finish(&got);
	}
	buf_finish(&bytes);
}

START_TEST(limits_and_their_status)
{
	struct buf many = BUF_INIT(1 << 20);

	check_limit("a target of 4 KiB", "GET /", 4095, " HTTP/1.1\r\nHost: a\r\n\r\n", NULL);
	check_limit("a target over 4 KiB", "GET /", 4096, " HTTP/1.1\r\nHost: a\r\n\r\n", "414 target_too_long");
	check_limit("a target that does not end", "GET /", 9000, "", "414 target_too_long");
	check_limit("a line of 8 KiB", GET "X: ", 8 * 1024 - 4, "\r\n\r\n", NULL);
	check_limit("a line over 8 KiB", GET "X: ", 8 * 1024 - 1, "\r\n\r\n", "431 field_too_long");
	check_limit("a line that does not end", GET "X: ", 8 * 1024, "", "431 field_too_long");
	check_limit("an extension of 255 bytes", CHUNKED "1;", 255, "\r\nx\r\n0\r\n\r\n", NULL);
	check_limit("extensions over 256 bytes", CHUNKED "1;", 256, "\r\nx\r\n0\r\n\r\n", "400 bad_chunk");
	check_limit("a trailer without end", CHUNKED "0\r\nA: ", 5000, "\r\n\r\n", "400 bad_chunk");

	buf_append_str(&many, GET);
	for (int i = 0; i < HTTP_FIELDS_MAX - 1; i++)
		buf_printf(&many, "X-%d: y\r\n", i);
	check_limit("64 fields", many.ptr, 0, "\r\n", NULL);
	check_limit("65 fields", many.ptr, 0, "X: y\r\n\r\n", "431 too_many_fields");
	buf_clear(&many);
	buf_append_str(&many, GET);
	for (int i = 0; i < 3; i++)
		buf_printf(&many, "X-%d: %05000d\r\n", i, 7);
	check_limit("a head of nearly 16 KiB", many.ptr, 0, "\r\n", NULL);
	buf_printf(&many, "X-3: %05000d\r\n", 7);
	check_limit("a head over 16 KiB", many.ptr, 0, "\r\n", "431 head_too_long");
	buf_clear(&many);
	buf_append_str(&many, "GET /?");
	for (int i = 0; i < HTTP_QUERY_MAX; i++)
		buf_printf(&many, "%sp%d=", i > 0 ? "&" : "", i);
	check_limit("64 parameters", many.ptr, 0, " HTTP/1.1\r\nHost: a\r\n\r\n", NULL);
	check_limit("65 parameters", many.ptr, 0, "&q HTTP/1.1\r\nHost: a\r\n\r\n", "400 too_many_parameters");
	buf_finish(&many);
}
END_TEST

START_TEST(a_target_without_memory_is_not_called_malformed)
{
	static const char *const targets[] = {"/a%20b", "/?p=1", "/?p=a+b", "/?p+q=1"};

	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct http_target t;
		const char *code = NULL;
		int status = 503;

		for (size_t room = 0; status == 503; room += 16) {
			struct arena small = ARENA_INIT(room);

			ck_assert_uint_lt(room, 65536);
			status = http_target_parse(&t, slice_str(targets[i]), SLICE("a"), false, &small, &code);
			if (status != 0) {
				ck_assert_msg(status == 503, "%s with %zu bytes: %d", targets[i], room, status);
				ck_assert_str_eq(code, "out_of_memory");
			}
			ck_assert_msg(status != 0 || room > 0, "%s needs no memory", targets[i]);
			arena_finish(&small);
		}
	}
}
END_TEST

START_TEST(a_discarded_body_is_counted_but_not_kept)
{
	struct http_parser p;

	http_parser_init(&p, &limits);
	http_parser_feed(&p, SLICE(CHUNKED));
	ck_assert_int_eq(p.stage, HTTP_STAGE_BODY);
	http_parser_discard_body(&p, 8);
	http_parser_feed(&p, SLICE("5\r\nhello\r\n"));
	ck_assert_int_eq(p.stage, HTTP_STAGE_BODY);
	ck_assert_uint_eq(p.body.len, 0);
	http_parser_feed(&p, SLICE("4\r\n"));
	ck_assert_int_eq(p.stage, HTTP_STAGE_REFUSED);
	ck_assert_int_eq(p.status, 413);
	http_parser_finish(&p);
}
END_TEST

START_TEST(limits_are_completed_and_clamped)
{
	struct http_limits wide = {.head_bytes_max = 1u << 30, .line_bytes_max = 1u << 30, .target_bytes_max = 1u << 30};
	struct http_limits small = {.head_bytes_max = 100, .line_bytes_max = 70, .target_bytes_max = 20};
	struct http_parser p;

	http_limits_complete(&wide);
	ck_assert_uint_eq(wide.head_bytes_max, UINT16_MAX - 1);
	ck_assert_uint_eq(wide.line_bytes_max, wide.head_bytes_max);
	ck_assert_uint_eq(wide.target_bytes_max, wide.line_bytes_max);
	/* A line too long that is also the one with which the head is: the line is told. */
	http_limits_complete(&small);
	http_parser_init(&p, &small);
	ck_assert(!http_parser_begun(&p));
	ck_assert_uint_eq(http_parser_feed(&p, SLICE("")), 0);
	http_parser_feed(&p, SLICE("GET / HTTP/1.1\r\nHost: a\r\n"));
	http_parser_feed(&p, SLICE("X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	ck_assert_int_eq(p.status, 431);
	ck_assert_str_eq(p.code, "field_too_long");
	http_parser_finish(&p);
	/* A request refused before it began. */
	http_parser_init(&p, &limits);
	http_parser_feed(&p, SLICE("\r\n\r\n"));
	ck_assert(http_parser_begun(&p));
	http_parser_finish(&p);
}
END_TEST

START_TEST(the_target_is_known_before_the_head_is_whole)
{
	struct http_parser p;
	struct slice target;

	http_parser_init(&p, &limits);
	ck_assert(!http_parser_target(&p, &target));
	http_parser_feed(&p, SLICE("GET /x"));
	ck_assert(http_parser_begun(&p));
	ck_assert(!http_parser_target(&p, &target));
	http_parser_feed(&p, SLICE(" HTTP/1.1\r\nHo"));
	ck_assert(http_parser_target(&p, &target));
	ck_assert_slice_eq(target, SLICE("/x"));
	http_parser_finish(&p);
	http_parser_init(&p, &limits);
	http_parser_feed(&p, SLICE("GET\r\n"));
	ck_assert(!http_parser_target(&p, &target));
	http_parser_finish(&p);
}
END_TEST

START_TEST(a_long_head_leaves_nothing_behind)
{
	struct buf head = BUF_INIT(1 << 16);
	struct http_parser p;

	buf_printf(&head, GET "X: %05000d\r\n\r\n", 7);
	http_parser_init(&p, &limits);
	http_parser_feed(&p, buf_slice(&head));
	ck_assert_int_eq(p.stage, HTTP_STAGE_DONE);
	http_parser_reset(&p);
	ck_assert_ptr_null(p.text.ptr);
	buf_finish(&head);
	http_parser_finish(&p);
}
END_TEST

static const char *const wanting[] = {
	GET "\r\n", POST "Content-Length: 4\r\n\r\nabcd", CHUNKED "4\r\nabcd\r\n0\r\n\r\n"};

/* At every allocation there is. */
START_TEST(want_of_memory_is_a_503)
{
	struct slice bytes = slice_str(wanting[_i]);
	bool wanted;
	int nth = 0;

	do {
		struct http_parser p;
		size_t at = 0;

		http_parser_init(&p, &limits);
		no_memory_in = nth++;
		while (at < bytes.len && (p.stage == HTTP_STAGE_HEAD || p.stage == HTTP_STAGE_BODY)) {
			enum http_stage before = p.stage;

			at += http_parser_feed(&p, slice_of(bytes.ptr + at, bytes.len - at));
			if (before == HTTP_STAGE_HEAD && p.stage == HTTP_STAGE_BODY)
				http_parser_keep_body(&p, BODY_MAX);
		}
		wanted = p.stage == HTTP_STAGE_REFUSED;
		ck_assert(wanted || p.stage == HTTP_STAGE_DONE);
		if (wanted)
			ck_assert_int_eq(p.status, 503);
		http_parser_finish(&p);
	} while (wanted);
	no_memory_in = -1;
	ck_assert_int_gt(nth, _i == 0 ? 1 : 2);
}
END_TEST

#define TOLD {.n_fields = 1, .target = {"/", 1}}
static const struct {
	const char *says, *head;
	struct http_head told;
	bool agrees;
} opinions[] = {
	{"as it is", GET "\r\n", TOLD, true},
	{"more behind the head", GET "\r\nX", TOLD, false},
	{"half a head", GET, TOLD, false},
	{"another number of fields", GET "X: y\r\n\r\n", TOLD, false},
	{"another target", "GET /x HTTP/1.1\r\nHost: a\r\n\r\n", TOLD, false},
	{"another major version", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", TOLD, false},
	{"another minor version", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", TOLD, false},
	{"a connection that ends", "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
	    {.n_fields = 1, .target = {"/", 1}, .http_1_0 = true, .keep_alive = true}, false},
	{"one that ends for both", "GET / HTTP/1.0\r\nHost: a\r\n\r\n", {.n_fields = 1, .target = {"/", 1}, .http_1_0 = true}, true},
	{"one that could go on", GET "\r\n", {.n_fields = 1, .target = {"/", 1}, .keep_alive = true}, true},
	{"chunks", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", TOLD, false},
	{"chunks for both", "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
	    {.n_fields = 1, .target = {"/", 1}, .chunked = true}, true},
	{"another length", "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n", TOLD, false},
	{"the same length", "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
	    {.n_fields = 1, .target = {"/", 1}, .content_length = 5}, true},
};

START_TEST(the_second_opinion_sees_every_difference)
{
	ck_assert_msg(http_llhttp_agrees(slice_str(opinions[_i].head), &opinions[_i].told) == opinions[_i].agrees, "%s",
	    opinions[_i].says);
}
END_TEST

START_TEST(repeated_parameters_are_found)
{
	struct http_field query[] = {
		{SLICE("a"), SLICE("1")}, {SLICE("b"), SLICE("2")}, {SLICE("A"), SLICE("3")}, {SLICE("b"), SLICE("2")}};

	ck_assert_ptr_null(http_query_repeated(query, 3).ptr);
	ck_assert_slice_eq(http_query_repeated(query, 4), SLICE("b"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_parser");
	TCase *tc = tcase_create("parser");

	http_limits_complete(&limits);
	tcase_add_loop_test(tc, the_refuse_list, 0, (int)COUNT(listed));
	tcase_add_loop_test(tc, refused_heads_and_bodies, 0, (int)COUNT(refused));
	tcase_add_loop_test(tc, accepted_requests, 0, (int)COUNT(accepted));
	tcase_add_test(tc, the_next_request_is_left_alone);
	tcase_add_test(tc, limits_and_their_status);
	tcase_add_test(tc, a_target_without_memory_is_not_called_malformed);
	tcase_add_test(tc, a_discarded_body_is_counted_but_not_kept);
	tcase_add_test(tc, repeated_parameters_are_found);
	tcase_add_test(tc, limits_are_completed_and_clamped);
	tcase_add_test(tc, the_target_is_known_before_the_head_is_whole);
	tcase_add_test(tc, a_long_head_leaves_nothing_behind);
	tcase_add_loop_test(tc, want_of_memory_is_a_503, 0, (int)COUNT(wanting));
	tcase_add_loop_test(tc, the_second_opinion_sees_every_difference, 0, (int)COUNT(opinions));
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
