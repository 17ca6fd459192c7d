/* See mail_template.h. */
#include "mail_template.h"

#include "base/codec.h"

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
