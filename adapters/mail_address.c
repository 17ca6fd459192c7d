/* See mail_address.h. */
#include "mail_address.h"

#include "base/codec.h"
#include "base/err.h"

#define WORD_BYTES 39 /* of an encoded word: 52 characters of base64, 64 with what is around them */
#define PLAIN_MAX 60  /* of a text that needs no encoding, so that its line stays within 78 */
#define ADDRESS_MAX 254

/* Nothing that would end the header or the command it is written into. */
static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
			return false;
	return true;
}

static bool is_address(struct slice a)
{
	struct slice local, domain;

	for (size_t i = 0; i < a.len; i++)
		if ((unsigned char)a.ptr[i] <= 0x20 || (unsigned char)a.ptr[i] >= 0x7f || strchr("<>\"\\,;:()[]", a.ptr[i]) != NULL)
			return false;
	return a.len <= ADDRESS_MAX && slice_cut(a, '@', &local, &domain) && local.len > 0 && domain.len > 0 &&
	    memchr(domain.ptr, '@', domain.len) == NULL;
}

int mail_address_parse(struct slice text, struct mail_address *ret)
{
	struct mail_address m = {.address = slice_trim(text)};
	struct slice rest;

	if (slice_cut(slice_trim(text), '<', &m.name, &rest)) {
		m.name = slice_trim(m.name);
		if (m.name.len >= 2 && m.name.ptr[0] == '"' && m.name.ptr[m.name.len - 1] == '"')
			m.name = slice_of(m.name.ptr + 1, m.name.len - 2);
		if (!slice_cut(rest, '>', &m.address, &rest) || rest.len > 0)
			return ERR_INVALID;
	} else {
		m.name = (struct slice){0};
	}
	if (!is_address(m.address) || !is_plain(m.name))
		return ERR_INVALID;
	*ret = m;
	return 0;
}

/* ---- into headers ------------------------------------------------------------------- */

static bool is_ascii(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] < 0x20 || (unsigned char)text.ptr[i] > 0x7e)
			return false;
	return true;
}

/* How much of it goes into one word: whole characters only. */
static size_t word_len(struct slice text)
{
	size_t n = text.len < WORD_BYTES ? text.len : WORD_BYTES;

	while (n > 0 && n < text.len && ((unsigned char)text.ptr[n] & 0xc0) == 0x80)
		n--;
	return n;
}

/* RFC 2047: words on lines of their own, which a reader joins again. */
static void encode_words(struct buf *out, struct slice text)
{
	while (text.len > 0) {
		size_t n = word_len(text);

		n = n == 0 ? text.len : n; /* no UTF-8 at all */
		buf_append_str(out, "=?UTF-8?B?");
		base64_encode(out, slice_of(text.ptr, n));
		buf_append_str(out, "?=");
		text = slice_of(text.ptr + n, text.len - n);
		if (text.len > 0)
			buf_append_str(out, "\r\n ");
	}
}

/* What looks like an encoded word would be read as one. */
void mail_put_words(struct buf *out, struct slice text)
{
	if (is_ascii(text) && text.len <= PLAIN_MAX && memmem(text.ptr, text.len, "=?", 2) == NULL)
		buf_append(out, text);
	else
		encode_words(out, text);
}

void mail_put_addresses(struct buf *out, const char *header, const struct mail_address *all, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, i == 0 ? "%s: " : ",\r\n ", header);
		if (all[i].name.len > 0) {
			encode_words(out, all[i].name);
			buf_append_str(out, "\r\n <");
		}
		buf_append(out, all[i].address);
		buf_append_str(out, all[i].name.len > 0 ? ">" : "");
	}
	if (n > 0)
		buf_append_str(out, "\r\n");
}
