/* Bytes as hexadecimal, base64 and percent-encoded text, and back; what is UTF-8. */
#include "base/codec.h"

#include <assert.h>

#include "base/err.h"

static const char hex_digits[] = "0123456789abcdef";

void hex_encode(char *ret_text, const void *bytes, size_t len)
{
	const uint8_t *in = bytes;

	for (size_t i = 0; i < len; i++) {
		ret_text[2 * i] = hex_digits[in[i] >> 4];
		ret_text[2 * i + 1] = hex_digits[in[i] & 15];
	}
	ret_text[2 * len] = '\0';
}

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

int hex_decode(void *ret_bytes, size_t len, struct slice text)
{
	uint8_t *out = ret_bytes;

	if (text.len % 2 != 0 || text.len / 2 != len)
		return ERR_MALFORMED;
	for (size_t i = 0; i < len; i++) {
		int high = hex_value(text.ptr[2 * i]), low = hex_value(text.ptr[2 * i + 1]);

		if (high < 0 || low < 0)
			return ERR_MALFORMED;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return 0;
}

static const char alphabet_std[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char alphabet_url[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* Value + 1 of each character, so that 0, what is not named, means "not in the alphabet". */
#define LETTERS_AND_DIGITS                                                                         \
	['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, \
	24, 25, 26, ['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,    \
	44, 45, 46, 47, 48, 49, 50, 51, 52, ['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62
static const uint8_t values_std[256] = {LETTERS_AND_DIGITS, ['+'] = 63, ['/'] = 64};
static const uint8_t values_url[256] = {LETTERS_AND_DIGITS, ['-'] = 63, ['_'] = 64};

/* Returns the characters written, without a NUL. */
static size_t encode(char *out, const uint8_t *in, size_t len, const char *alphabet, bool pad)
{
	char *at = out;
	size_t i = 0;

	for (; i + 3 <= len; i += 3) {
		uint32_t v = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];

		*at++ = alphabet[v >> 18];
		*at++ = alphabet[v >> 12 & 63];
		*at++ = alphabet[v >> 6 & 63];
		*at++ = alphabet[v & 63];
	}
	if (i < len) {
		uint32_t v = (uint32_t)in[i] << 16 | (i + 1 < len ? (uint32_t)in[i + 1] << 8 : 0);

		*at++ = alphabet[v >> 18];
		*at++ = alphabet[v >> 12 & 63];
		if (i + 1 < len)
			*at++ = alphabet[v >> 6 & 63];
		else if (pad)
			*at++ = '=';
		if (pad)
			*at++ = '=';
	}
	return (size_t)(at - out);
}

static int encode_buf(struct buf *b, struct slice bytes, const char *alphabet, bool pad)
{
	char *out;

	if (b->rc != 0 || bytes.len == 0)
		return b->rc;
	if (bytes.len > SIZE_MAX / 4 - 4)
		return b->rc = ERR_TOO_BIG;
	out = buf_reserve(b, pad ? BASE64_LEN(bytes.len) : BASE64URL_LEN(bytes.len));
	if (out == NULL)
		return b->rc;
	buf_commit(b, encode(out, (const uint8_t *)bytes.ptr, bytes.len, alphabet, pad));
	return 0;
}

int base64_encode(struct buf *b, struct slice bytes)
{
	return encode_buf(b, bytes, alphabet_std, true);
}

int base64url_encode(struct buf *b, struct slice bytes)
{
	return encode_buf(b, bytes, alphabet_url, false);
}

void base64_encode_to(char *ret_text, const void *bytes, size_t len)
{
	ret_text[encode(ret_text, bytes, len, alphabet_std, true)] = '\0';
}

void base64url_encode_to(char *ret_text, const void *bytes, size_t len)
{
	ret_text[encode(ret_text, bytes, len, alphabet_url, false)] = '\0';
}

/* text without padding; unused_ok: bits no byte needs may be set. */
static int decode(uint8_t *out, struct slice text, const uint8_t *values, bool unused_ok)
{
	const uint8_t *in = (const uint8_t *)text.ptr;
	size_t left = text.len;
	uint32_t v;

	for (; left >= 4; left -= 4, in += 4) {
		uint32_t a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];

		/* 0 stands for what is not in the alphabet, and one less than that is more than 63. */
		if (((a - 1) | (b - 1) | (c - 1) | (d - 1)) > 63)
			return ERR_MALFORMED;
		v = (a << 18) + (b << 12) + (c << 6) + d - 0x41041;
		*out++ = (uint8_t)(v >> 16);
		*out++ = (uint8_t)(v >> 8);
		*out++ = (uint8_t)v;
	}
	if (left == 0)
		return 0;
	if (left == 1 || values[in[0]] == 0 || values[in[1]] == 0)
		return ERR_MALFORMED;
	v = (uint32_t)(values[in[0]] - 1) << 18 | (uint32_t)(values[in[1]] - 1) << 12;
	*out++ = (uint8_t)(v >> 16);
	if (left == 3) {
		if (values[in[2]] == 0)
			return ERR_MALFORMED;
		v |= (uint32_t)(values[in[2]] - 1) << 6;
		*out++ = (uint8_t)(v >> 8);
	}
	if (!unused_ok && (v & (left == 2 ? 0xffff : 0xff)) != 0)
		return ERR_MALFORMED;
	return 0;
}

/* Takes the padding off. Required: the text must fill a whole group of four with it. */
static int strip_padding(struct slice *text, bool required)
{
	size_t len = text->len, pad = 0;

	while (pad < 2 && pad < len && text->ptr[len - pad - 1] == '=')
		pad++;
	if ((required || pad > 0) && len % 4 != 0)
		return ERR_MALFORMED;
	text->len -= pad;
	return 0;
}

static int decode_buf(struct buf *b, struct slice text, const uint8_t *values, bool unused_ok)
{
	size_t len = BASE64URL_DECODED_LEN(text.len);
	char *out;
	int rc;

	if (b->rc != 0 || text.len == 0)
		return b->rc;
	out = buf_reserve(b, len);
	if (out == NULL)
		return b->rc;
	rc = decode((uint8_t *)out, text, values, unused_ok);
	if (rc != 0) {
		out[0] = '\0';
		return rc;
	}
	buf_commit(b, len);
	return 0;
}

int base64_decode(struct buf *b, struct slice text, unsigned flags)
{
	bool lenient = flags & BASE64_LENIENT;
	int rc = strip_padding(&text, !lenient);

	return rc != 0 ? rc : decode_buf(b, text, values_std, lenient);
}

int base64url_decode(struct buf *b, struct slice text)
{
	return decode_buf(b, text, values_url, false);
}

int base64_decode_to(void *ret_bytes, size_t len, struct slice text, unsigned flags)
{
	bool lenient = flags & BASE64_LENIENT;
	int rc = strip_padding(&text, !lenient);

	if (rc != 0 || BASE64URL_DECODED_LEN(text.len) != len)
		return ERR_MALFORMED;
	return decode(ret_bytes, text, values_std, lenient);
}

int base64url_decode_to(void *ret_bytes, size_t len, struct slice text)
{
	if (BASE64URL_DECODED_LEN(text.len) != len)
		return ERR_MALFORMED;
	return decode(ret_bytes, text, values_url, false);
}

static bool is_unreserved(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    c == '-' || c == '.' || c == '_' || c == '~';
}

int markup_escape(struct buf *b, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		switch (text.ptr[i]) {
		case '&':
			buf_append_str(b, "&amp;");
			break;
		case '<':
			buf_append_str(b, "&lt;");
			break;
		case '>':
			buf_append_str(b, "&gt;");
			break;
		case '"':
			buf_append_str(b, "&quot;");
			break;
		case '\'':
			buf_append_str(b, "&#39;");
			break;
		default:
			buf_append_char(b, text.ptr[i]);
		}
	}
	return b->rc;
}

int percent_encode(struct buf *b, struct slice bytes)
{
	static const char upper[] = "0123456789ABCDEF";

	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t c = (uint8_t)bytes.ptr[i];
		char escaped[3] = {'%', upper[c >> 4], upper[c & 15]};

		if (is_unreserved((char)c))
			buf_append_char(b, (char)c);
		else
			buf_append(b, slice_of(escaped, sizeof(escaped)));
	}
	return b->rc;
}

int percent_decode(struct buf *b, struct slice text, unsigned flags)
{
	size_t len_before = b->len;

	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '+' && (flags & PERCENT_FORM)) {
			c = ' ';
		} else if (c == '%') {
			uint8_t byte;

			if (text.len - i < 3 || hex_decode(&byte, 1, slice_of(text.ptr + i + 1, 2)) != 0 ||
			    byte == 0) {
				if (b->ptr != NULL) {
					b->len = len_before;
					b->ptr[b->len] = '\0';
				}
				return ERR_MALFORMED;
			}
			c = (char)byte;
			i += 2;
		}
		if (buf_append_char(b, c) != 0)
			break;
	}
	return b->rc;
}

/* Eight bytes without a high bit are eight characters; most text is just that. */
static size_t ascii_run(const uint8_t *at, size_t len)
{
	size_t n = 0;

	for (; len - n >= 8; n += 8) {
		uint64_t word;

		memcpy(&word, at + n, 8);
		if (word & 0x8080808080808080u)
			break;
	}
	while (n < len && at[n] < 0x80)
		n++;
	return n;
}

size_t utf8_sequence(const char *text, size_t len)
{
	const uint8_t *at = (const uint8_t *)text;
	uint8_t low = 0x80, high = 0xbf;
	size_t n;

	if (len == 0)
		return 0;
	if (at[0] < 0x80)
		return 1;
	if (at[0] >= 0xc2 && at[0] <= 0xdf)
		n = 2;
	else if (at[0] >= 0xe0 && at[0] <= 0xef)
		n = 3;
	else if (at[0] >= 0xf0 && at[0] <= 0xf4)
		n = 4;
	else
		return 0;
	/* The second byte's range keeps out overlong forms, surrogates and what is past U+10FFFF. */
	if (at[0] == 0xe0)
		low = 0xa0;
	else if (at[0] == 0xed)
		high = 0x9f;
	else if (at[0] == 0xf0)
		low = 0x90;
	else if (at[0] == 0xf4)
		high = 0x8f;
	if (len < n || at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

bool utf8_valid(struct slice text)
{
	size_t i = 0;

	while (i < text.len) {
		size_t n = ascii_run((const uint8_t *)text.ptr + i, text.len - i);

		i += n;
		if (i == text.len)
			break;
		n = utf8_sequence(text.ptr + i, text.len - i);
		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

size_t utf8_length(struct slice text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += ((uint8_t)text.ptr[i] & 0xc0) != 0x80;
	return n;
}
