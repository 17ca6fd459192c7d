/* See mail_message.h. */
#include "mail_message.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"

#define WORD_BYTES 39   /* of an encoded word: 52 characters of base64, 64 with what is around them */
#define LINE_BYTES 57   /* of base64: 76 characters */
#define ADDRESS_MAX 254

/* ---- templates -------------------------------------------------------------------- */

const struct mail_template *mail_template_find(const char *name, struct slice language)
{
	const struct mail_template *found = NULL;

	for (const struct mail_template *t = mail_templates; t->name != NULL; t++) {
		if (strcmp(t->name, name) != 0)
			continue;
		if (slice_is(language, t->language))
			return t;
		if (strcmp(t->language, "zh-CN") == 0)
			found = t;
	}
	return found;
}

struct slice mail_word(const struct mail_template *t, struct slice word)
{
	for (size_t i = 0; t->words[i].word != NULL; i++)
		if (slice_is(word, t->words[i].word))
			return slice_str(t->words[i].means);
	return word;
}

static const struct mail_value *value_of(const struct mail_value *values, struct slice name)
{
	for (; values->name != NULL; values++)
		if (slice_is(name, values->name))
			return values;
	return NULL;
}

void mail_fill(struct buf *out, const char *text, const struct mail_value *values, bool in_html)
{
	while (*text != '\0') {
		const char *end = *text == '{' ? strchr(text, '}') : NULL;
		const struct mail_value *v = end == NULL ? NULL : value_of(values, slice_of(text + 1, (size_t)(end - text - 1)));

		if (v == NULL) {
			buf_append_char(out, *text++);
			continue;
		}
		if (in_html)
			markup_escape(out, v->value);
		else
			buf_append(out, v->value);
		text = end + 1;
	}
}

/* ---- addresses ----------------------------------------------------------------------- */

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

/* ---- the message ------------------------------------------------------------------------- */

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
static void put_words(struct buf *out, struct slice text)
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

static void put_address(struct buf *out, const char *header, const struct mail_address *a)
{
	buf_printf(out, "%s: ", header);
	if (a->name.len > 0) {
		put_words(out, a->name);
		buf_append_str(out, "\r\n <");
	}
	buf_append(out, a->address);
	buf_append_str(out, a->name.len > 0 ? ">\r\n" : "\r\n");
}

static void put_part(struct buf *out, const struct mail_message *m, const char *type, struct slice text)
{
	buf_printf(out, "--lulab-%s\r\nContent-Type: %s; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n", m->id,
	    type);
	for (size_t at = 0; at < text.len; at += LINE_BYTES) {
		base64_encode(out, slice_of(text.ptr + at, text.len - at < LINE_BYTES ? text.len - at : LINE_BYTES));
		buf_append_str(out, "\r\n");
	}
}

int mail_write(struct buf *out, const struct mail_message *m)
{
	char date[TIME_TEXT_HTTP_LEN + 1];
	struct slice local, domain;

	time_format_http(date, m->date_us / 1000000);
	slice_cut(m->from.address, '@', &local, &domain);
	put_address(out, "From", &m->from);
	put_address(out, "To", &m->to);
	buf_append_str(out, "Subject: ");
	if (is_ascii(m->subject) && m->subject.len <= 60)
		buf_append(out, m->subject);
	else
		put_words(out, m->subject);
	buf_printf(out, "\r\nMessage-ID: <%s@%.*s>\r\n", m->id, SLICE_ARG(domain));
	buf_printf(out, "Date: %.*s +0000\r\n", TIME_TEXT_HTTP_LEN - 4, date); /* without its " GMT" */
	buf_append_str(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
	buf_printf(out, "Content-Type: multipart/alternative;\r\n boundary=\"lulab-%s\"\r\n\r\n", m->id);
	put_part(out, m, "text/plain", m->text);
	put_part(out, m, "text/html", m->html);
	buf_printf(out, "--lulab-%s--\r\n", m->id);
	return out->rc;
}
