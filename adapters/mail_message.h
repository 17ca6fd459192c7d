/*
 * Mails as bytes: templates of schemas/mail filled in, and the message that
 * SMTP carries (RFC 5322, MIME, vendor-protocols.md 5). Pure; the same input
 * gives the same bytes, so that a mail that may have been sent is sent again as it was.
 */
#ifndef LULAB_MAIL_MESSAGE_H
#define LULAB_MAIL_MESSAGE_H

#include "base/arena.h"
#include "base/buf.h"

#define MAIL_BYTES_MAX ((size_t)1 << 20)
#define MAIL_WORDS_MAX 16

struct mail_template {
	const char *name, *language;
	const char *subject, *text, *html; /* {name} stands for a value */
	struct {
		const char *word, *means;
	} words[MAIL_WORDS_MAX + 1]; /* closed by {0} */
};
extern const struct mail_template mail_templates[]; /* closed by {0}; mail.gen.c */

/* In that language, else in zh-CN; NULL when there is no such mail. */
const struct mail_template *mail_template_find(const char *name, struct slice language);
/* How a word of the program is called; itself when the template has none. */
struct slice mail_word(const struct mail_template *t, struct slice word);

struct mail_value {
	const char *name;
	struct slice value;
};
/* Appends the text with its values; in_html: these are escaped. Values are closed by {0}; a name without one stays as it is. */
void mail_fill(struct buf *out, const char *text, const struct mail_value *values, bool in_html);

/* A name (may be empty) and an address. */
struct mail_address {
	struct slice name, address;
};
/* "a@b.c" or "Name <a@b.c>", borrowed. ERR_INVALID: it could not be written as it is. */
int mail_address_parse(struct slice text, struct mail_address *ret);

struct mail_message {
	struct mail_address from, to;
	const char *id;   /* of the effect: makes Message-ID and boundary */
	int64_t date_us;
	struct slice subject, text, html;
};
/* Appends the message, lines ended with CR LF. ERR_TOO_BIG, ERR_NOMEM. */
int mail_write(struct buf *out, const struct mail_message *m);

#endif
