/*
 * The chunked body (RFC 9112 7.1), one byte class at a time. Sizes, extensions
 * and trailers are bounded; trailer fields are checked and then forgotten, so
 * none of them can pretend to be a head field.
 */
#include "net/http_parser.h"

#include <assert.h>

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_text(char c)
{
	unsigned char u = (unsigned char)c;

	return u == '\t' || (u >= 0x20 && u != 0x7f);
}

static void bad(struct http_parser *p)
{
	http_parser_refuse(p, 400, "bad_chunk");
}

static void on_size_byte(struct http_parser *p, char c)
{
	int digit = hex_value(c);

	if (digit >= 0 && p->n_digits < HTTP_CHUNK_DIGITS_MAX) {
		p->body_left = p->body_left * 16 + (uint64_t)digit;
		p->n_digits++;
	} else if (p->n_digits == 0) {
		bad(p);
	} else if (c == '\r') {
		p->chunk = CHUNK_SIZE_LF;
	} else if (c == ';') {
		p->chunk = CHUNK_EXTENSION;
	} else {
		bad(p);
	}
}

/*
 * *( ";" token [ "=" ( token / quoted-string ) ] ), RFC 9112 7.1.1, without
 * white space between and with plain text between quotes. Readers that skip
 * extensions instead of reading them have disagreed about where they end.
 */
static void on_extension_byte(struct http_parser *p, char c)
{
	bool token = http_is_token(c);
	enum chunk_state ended = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
	bool ends = c == ';' || c == '\r';

	if (c != '\r' && ++p->n_extension_bytes >= HTTP_CHUNK_EXTENSIONS_MAX) {
		bad(p);
		return;
	}
	switch (p->chunk) {
	case CHUNK_EXTENSION:
		if (!token)
			bad(p);
		p->chunk = CHUNK_EXTENSION_NAME;
		break;
	case CHUNK_EXTENSION_NAME:
		if (ends || c == '=')
			p->chunk = ends ? ended : CHUNK_EXTENSION_VALUE;
		else if (!token)
			bad(p);
		break;
	case CHUNK_EXTENSION_VALUE:
		if (c == '"' || token)
			p->chunk = c == '"' ? CHUNK_EXTENSION_QUOTED : CHUNK_EXTENSION_TOKEN;
		else
			bad(p);
		break;
	case CHUNK_EXTENSION_QUOTED:
		if (c == '"')
			p->chunk = CHUNK_EXTENSION_END;
		else if (!token && c != ' ' && c != ';' && c != '=')
			bad(p);
		break;
	default: /* CHUNK_EXTENSION_TOKEN, and CHUNK_EXTENSION_END behind the closing quote */
		/* Another extension behind a token is good grammar, but llhttp 8 takes it for an error. */
		if (c == '\r' || (c == ';' && p->chunk == CHUNK_EXTENSION_END))
			p->chunk = ended;
		else if (!token || p->chunk == CHUNK_EXTENSION_END)
			bad(p);
		break;
	}
}

/* A trailer field must not say how messages are framed or for whom they are: this one was taken before it said so. */
static bool frames(const struct http_parser *p)
{
	static const struct slice names[] = {
		SLICE_INIT("content-length"), SLICE_INIT("transfer-encoding"), SLICE_INIT("host"),
		SLICE_INIT("connection"), SLICE_INIT("proxy-connection"), SLICE_INIT("upgrade")};
	struct slice name = slice_of(p->trailer_name, p->n_trailer_name);

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq_nocase(name, names[i]))
			return true;
	return false;
}

/* Names longer than any of those above are known by not fitting. */
static void keep_trailer_name(struct http_parser *p, char c)
{
	if (p->n_trailer_name < sizeof(p->trailer_name))
		p->trailer_name[p->n_trailer_name++] = c;
}

/* From the first byte of a trailer line to its end. */
static void on_trailer_byte(struct http_parser *p, char c)
{
	if (++p->n_trailer_bytes > HTTP_TRAILER_BYTES_MAX) {
		bad(p);
		return;
	}
	switch (p->chunk) {
	case CHUNK_TRAILER_START:
		if (c == '\r') {
			p->chunk = CHUNK_END_LF;
		} else if (!http_is_token(c) || p->n_trailers++ == HTTP_TRAILERS_MAX) {
			bad(p);
		} else {
			p->chunk = CHUNK_TRAILER_NAME;
			p->n_trailer_name = 0;
			keep_trailer_name(p, c);
		}
		break;
	case CHUNK_TRAILER_NAME:
		if (c == ':' && !frames(p))
			p->chunk = CHUNK_TRAILER_VALUE;
		else if (!http_is_token(c))
			bad(p);
		else
			keep_trailer_name(p, c);
		break;
	default:
		if (c == '\r')
			p->chunk = CHUNK_TRAILER_LF;
		else if (!is_text(c))
			bad(p);
		break;
	}
}

static void expect_byte(struct http_parser *p, char c, char expected, enum chunk_state next)
{
	if (c == expected)
		p->chunk = next;
	else
		bad(p);
}

static void on_framing_byte(struct http_parser *p, char c)
{
	switch (p->chunk) {
	case CHUNK_SIZE:
		on_size_byte(p, c);
		break;
	case CHUNK_EXTENSION:
	case CHUNK_EXTENSION_NAME:
	case CHUNK_EXTENSION_VALUE:
	case CHUNK_EXTENSION_TOKEN:
	case CHUNK_EXTENSION_QUOTED:
	case CHUNK_EXTENSION_END:
		on_extension_byte(p, c);
		break;
	case CHUNK_SIZE_LF:
		expect_byte(p, c, '\n', p->body_left > 0 ? CHUNK_DATA : CHUNK_TRAILER_START);
		/* Refused by its size, before the bytes come. */
		if (p->stage == HTTP_STAGE_BODY && p->body_left > p->body.max - p->body.len)
			http_parser_refuse(p, 413, "body_too_big");
		break;
	case CHUNK_DATA_CR:
		expect_byte(p, c, '\r', CHUNK_DATA_LF);
		break;
	case CHUNK_DATA_LF:
		p->n_digits = 0;
		expect_byte(p, c, '\n', CHUNK_SIZE);
		break;
	case CHUNK_TRAILER_START:
	case CHUNK_TRAILER_NAME:
	case CHUNK_TRAILER_VALUE:
		on_trailer_byte(p, c);
		break;
	case CHUNK_TRAILER_LF:
		expect_byte(p, c, '\n', CHUNK_TRAILER_START);
		break;
	default:
		assert(p->chunk == CHUNK_END_LF);
		if (c == '\n')
			p->stage = HTTP_STAGE_DONE;
		else
			bad(p);
		break;
	}
}

size_t http_chunked_feed(struct http_parser *p, struct slice bytes)
{
	size_t used = 0;

	while (used < bytes.len && p->stage == HTTP_STAGE_BODY) {
		struct slice data = slice_of(bytes.ptr + used, bytes.len - used);

		if (p->chunk != CHUNK_DATA) {
			on_framing_byte(p, bytes.ptr[used++]);
			continue;
		}
		if (data.len > p->body_left)
			data.len = (size_t)p->body_left;
		if (!http_parser_take_body(p, data))
			break;
		used += data.len;
		p->body_left -= data.len;
		if (p->body_left == 0)
			p->chunk = CHUNK_DATA_CR;
	}
	return used;
}
