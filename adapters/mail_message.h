/*
 * Mails as bytes: the message that SMTP carries (RFC 5322, MIME, vendor-protocols.md 5). Pure; the same input
 * gives the same bytes, so that a mail that may have been sent is sent again as it was.
 *
 *     multipart/mixed                  when there are attachments
 *       multipart/alternative          when there is HTML
 *         text/plain, text/html
 *       application/pdf, ...           each with its name
 */
#ifndef LULAB_MAIL_MESSAGE_H
#define LULAB_MAIL_MESSAGE_H

#include "mail_address.h"

#define MAIL_BYTES_MAX ((size_t)1 << 20)        /* of a text, or of HTML */
#define MAIL_ATTACHED_MAX ((size_t)5 << 20)     /* of all attachments together */
#define MAIL_MESSAGE_MAX (3 * MAIL_BYTES_MAX + 3 * MAIL_ATTACHED_MAX / 2)

struct mail_attachment {
	struct slice name;         /* as the reader saves it: any UTF-8 without control characters */
	struct slice content_type; /* "application/pdf" */
	struct slice bytes;
};
/* Whether it could be written: a name without a path or control characters, a type and subtype, no parameters. */
bool mail_attachment_ok(const struct mail_attachment *a);

struct mail_message {
	struct mail_address from;
	const struct mail_address *to, *cc; /* as all who get it are told; who gets a copy unseen is in neither */
	size_t n_to, n_cc;
	const char *id;   /* hex digits: makes Message-ID and boundaries */
	int64_t date_us;
	struct slice subject, text, html; /* html empty: there is none */
	const struct mail_attachment *attachments;
	size_t n_attachments;
};
/* Appends the message, lines ended with CR LF. ERR_TOO_BIG, ERR_NOMEM. */
int mail_write(struct buf *out, const struct mail_message *m);

#endif
