/*
 * What is written to people by mail: the templates of schemas/mail, in the language of who reads
 * them, and their values. Pure.
 */
#ifndef LULAB_MAIL_TEMPLATE_H
#define LULAB_MAIL_TEMPLATE_H

#include "base/buf.h"

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

#endif
