/*
 * The chunked body (RFC 9112 7.1), one byte class at a time. Sizes, extensions
 * and trailers are bounded; trailer fields are checked and then forgotten, so
 * none of them can pretend to be a head field.
 */
#include "net/http_parser.h"

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

/* Tokens, and what stands between and around them (RFC 9112 7.1.1), ASCII only: llhttp takes no more either. */
static bool is_extension(char c)
{
	return http_is_token(c) || c == ';' || c == '=' || c == '"' || c == ' ';
}

static void on_extension_byte(struct http_parser *p, char c)
{
	if (c == '\r')
		p->chunk = CHUNK_SIZE_LF;
	else if (!is_extension(c) || ++p->n_extension_bytes >= HTTP_CHUNK_EXTENSIONS_MAX)
		bad(p);
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
		}
		break;
	case CHUNK_TRAILER_NAME:
		if (c == ':')
			p->chunk = CHUNK_TRAILER_VALUE;
		else if (!http_is_token(c))
			bad(p);
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
	case CHUNK_END_LF:
		if (c == '\n')
			p->stage = HTTP_STAGE_DONE;
		else
			bad(p);
		break;
	case CHUNK_DATA:
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
