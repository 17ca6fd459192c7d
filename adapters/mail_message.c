/* See mail_message.h. */
#include "mail_message.h"

#include "base/clock.h"
#include "base/codec.h"
#include "base/err.h"

#define LINE_BYTES 57   /* of base64: 76 characters */
#define NAME_MAX 200    /* bytes of an attachment's name */
#define TYPE_MAX 100
#define PIECE_CHARS 50  /* of an encoded name on a line */

/* ---- attachments ------------------------------------------------------------------------ */

static bool is_token(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if ((unsigned char)text.ptr[i] <= 0x20 || (unsigned char)text.ptr[i] >= 0x7f ||
		    strchr("()<>@,;:\\\"/[]?=", text.ptr[i]) != NULL)
			return false;
	return text.len > 0;
}

bool mail_attachment_ok(const struct mail_attachment *a)
{
	struct slice type, subtype;

	for (size_t i = 0; i < a->name.len; i++)
		if ((unsigned char)a->name.ptr[i] < 0x20 || a->name.ptr[i] == 0x7f || a->name.ptr[i] == '/' || a->name.ptr[i] == '\\')
			return false;
	return a->name.len > 0 && a->name.len <= NAME_MAX && a->content_type.len <= TYPE_MAX &&
	    slice_cut(a->content_type, '/', &type, &subtype) && is_token(type) && is_token(subtype) &&
	    !slice_eq_nocase(type, SLICE("multipart")) && !slice_eq_nocase(type, SLICE("message"));
}

/* Letters, digits and what else needs no quotes anywhere. */
static bool is_simple(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("._-", c) != NULL))
			return false;
	}
	return name.len <= PIECE_CHARS;
}

/*
 * RFC 2231: a name of other characters in numbered pieces, percent-encoded UTF-8. An escape is never
 * divided between two of them.
 */
static void put_name(struct buf *out, const char *parameter, struct slice name)
{
	struct buf encoded = BUF_INIT(3 * NAME_MAX + 1);
	struct slice rest;

	if (is_simple(name)) {
		buf_printf(out, ";\r\n %s=\"%.*s\"", parameter, SLICE_ARG(name));
		return;
	}
	percent_encode(&encoded, name);
	rest = buf_slice(&encoded);
	for (unsigned i = 0; rest.len > 0; i++) {
		size_t n = rest.len < PIECE_CHARS ? rest.len : PIECE_CHARS;

		if (n < rest.len && rest.ptr[n - 1] == '%')
			n -= 1;
		else if (n < rest.len && rest.ptr[n - 2] == '%')
			n -= 2;
		buf_printf(out, ";\r\n %s*%u*=%s%.*s", parameter, i, i == 0 ? "UTF-8''" : "", (int)n, rest.ptr);
		rest = slice_of(rest.ptr + n, rest.len - n);
	}
	if (encoded.rc != 0)
		out->rc = encoded.rc;
	buf_finish(&encoded);
}

/* ---- parts ------------------------------------------------------------------------------- */

static void put_base64(struct buf *out, struct slice bytes)
{
	for (size_t at = 0; at < bytes.len; at += LINE_BYTES) {
		base64_encode(out, slice_of(bytes.ptr + at, bytes.len - at < LINE_BYTES ? bytes.len - at : LINE_BYTES));
		buf_append_str(out, "\r\n");
	}
}

#define ENCODED "Content-Transfer-Encoding: base64\r\n\r\n"

static void put_text(struct buf *out, const char *type, struct slice text)
{
	buf_printf(out, "Content-Type: text/%s; charset=utf-8\r\n" ENCODED, type);
	put_base64(out, text);
}

/* What stands between the header and the attachments. `outer` ends what came before. */
static void put_body(struct buf *out, const struct mail_message *m)
{
	if (m->html.len == 0) {
		put_text(out, "plain", m->text);
		return;
	}
	buf_printf(out, "Content-Type: multipart/alternative;\r\n boundary=\"lulab-%s\"\r\n\r\n", m->id);
	buf_printf(out, "--lulab-%s\r\n", m->id);
	put_text(out, "plain", m->text);
	buf_printf(out, "--lulab-%s\r\n", m->id);
	put_text(out, "html", m->html);
	buf_printf(out, "--lulab-%s--\r\n", m->id);
}

static void put_attachment(struct buf *out, const struct mail_attachment *a)
{
	buf_printf(out, "Content-Type: %.*s", SLICE_ARG(a->content_type));
	put_name(out, "name", a->name);
	buf_append_str(out, "\r\nContent-Disposition: attachment");
	put_name(out, "filename", a->name);
	buf_append_str(out, "\r\n" ENCODED);
	put_base64(out, a->bytes);
}

/* ---- the message ---------------------------------------------------------------------------- */

int mail_write(struct buf *out, const struct mail_message *m)
{
	char date[TIME_TEXT_HTTP_LEN + 1];
	struct slice local, domain;

	time_format_http(date, m->date_us / 1000000);
	slice_cut(m->from.address, '@', &local, &domain);
	mail_put_addresses(out, "From", &m->from, 1);
	mail_put_addresses(out, "To", m->to, m->n_to);
	mail_put_addresses(out, "Cc", m->cc, m->n_cc);
	buf_append_str(out, "Subject: ");
	mail_put_words(out, m->subject);
	buf_printf(out, "\r\nMessage-ID: <%s@%.*s>\r\n", m->id, SLICE_ARG(domain));
	buf_printf(out, "Date: %.*s +0000\r\n", TIME_TEXT_HTTP_LEN - 4, date); /* without its " GMT" */
	buf_append_str(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n");
	if (m->n_attachments == 0) {
		put_body(out, m);
		return out->rc;
	}
	buf_printf(out, "Content-Type: multipart/mixed;\r\n boundary=\"lulab-%s-mixed\"\r\n\r\n--lulab-%s-mixed\r\n", m->id, m->id);
	put_body(out, m);
	for (size_t i = 0; i < m->n_attachments; i++) {
		buf_printf(out, "--lulab-%s-mixed\r\n", m->id);
		put_attachment(out, &m->attachments[i]);
	}
	buf_printf(out, "--lulab-%s-mixed--\r\n", m->id);
	return out->rc;
}
