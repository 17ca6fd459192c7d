/*
 * Help of a command, examples first: most people look for a line to copy, and
 * only then for what each option means.
 */
#include "help.h"

enum { WIDTH = 80, OPTION_COLUMN = 26 };

static const char *const bold[] = {"", "\033[1m"}, *const plain[] = {"", "\033[0m"};

static void heading(struct buf *out, const char *text, bool colour)
{
	buf_printf(out, "\n%s%s%s\n", bold[colour], text, plain[colour]);
}

/* Words of one line wrapped at WIDTH, every line indented. `at` is the column the first word starts in. */
static void wrapped_line(struct buf *out, struct slice rest, unsigned indent, unsigned at)
{
	struct slice word;

	for (bool more = true; more;) {
		more = slice_cut(rest, ' ', &word, &rest);
		if (at > indent && at + 1 + word.len > WIDTH) {
			buf_append_char(out, '\n');
			at = 0;
		}
		if (at < indent) {
			buf_printf(out, "%*s", (int)(indent - at), "");
			at = indent;
		} else if (at > indent) {
			buf_append_char(out, ' ');
			at++;
		}
		buf_append(out, word);
		at += (unsigned)word.len;
	}
	buf_append_char(out, '\n');
}

/* Line by line: a line's end in the text stays one. */
static void wrapped(struct buf *out, const char *text, unsigned indent, unsigned at)
{
	struct slice rest = slice_str(text), line;

	for (bool more = true; more; at = 0) {
		more = slice_cut(rest, '\n', &line, &rest);
		wrapped_line(out, line, indent, at);
	}
}

/* A name in the left column and its explanation in the right one. */
static void entry(struct buf *out, const char *name, const char *text)
{
	unsigned at = 2 + (unsigned)strlen(name);

	buf_printf(out, "  %s", name);
	if (at >= OPTION_COLUMN) {
		buf_append_char(out, '\n');
		at = 0;
	}
	buf_printf(out, "%*s", (int)(OPTION_COLUMN - at), "");
	wrapped(out, text, OPTION_COLUMN, OPTION_COLUMN);
}

static void option_entry(struct buf *out, const struct option *o)
{
	struct buf name = BUF_INIT(256), text = BUF_INIT(4096);

	buf_printf(&name, o->letter != 0 ? "-%c, " : "    ", o->letter);
	buf_printf(&name, "--%s%s%s", o->name, o->value == NULL ? "" : " ",
	    o->value == NULL ? "" : o->value);
	buf_append_str(&text, o->summary);
	if (o->kind == OPTION_CHOICE) {
		buf_append_str(&text, ": ");
		for (const char *const *c = o->choices; *c != NULL; c++)
			buf_printf(&text, "%s%s", c == o->choices ? "" : ", ", *c);
	}
	if (o->fallback != NULL)
		buf_printf(&text, " (default: %s)", o->fallback);
	if (o->repeatable)
		buf_append_str(&text, " (may be repeated)");
	if (name.rc == 0 && text.rc == 0)
		entry(out, name.ptr, text.ptr);
	else
		out->rc = ERR_TOO_BIG;
	buf_finish(&name);
	buf_finish(&text);
}

static void example(struct buf *out, const struct example *e)
{
	buf_printf(out, "  %s\n      %s\n", e->line, e->says);
}

/* A group without examples of its own shows the first one of each of its commands. */
static void examples(struct buf *out, const struct command *c, bool colour)
{
	heading(out, "Examples", colour);
	for (const struct example *e = c->examples; e != NULL && e->line != NULL; e++)
		example(out, e);
	if (c->examples != NULL)
		return;
	for (const struct command *const *s = c->commands; s != NULL && *s != NULL; s++)
		if ((*s)->examples != NULL)
			example(out, &(*s)->examples[0]);
}

static void usage(struct buf *out, const struct command *c, const char *path, bool colour)
{
	heading(out, "Usage", colour);
	buf_printf(out, "  %s%s%s%s%s\n", path, c->commands != NULL ? " COMMAND" : "",
	    c->options != NULL ? " [OPTION...]" : "", c->arguments != NULL ? " " : "",
	    c->arguments != NULL ? c->arguments : "");
}

static void sub_commands(struct buf *out, const struct command *c, const char *path, bool colour)
{
	if (c->commands == NULL)
		return;
	heading(out, "Commands", colour);
	for (const struct command *const *s = c->commands; *s != NULL; s++)
		entry(out, (*s)->name, (*s)->summary);
	buf_printf(out, "\nMore about one of them: %s COMMAND --help\n", path);
}

void help_write(struct buf *out, const struct command *c, const char *path, bool colour)
{
	buf_printf(out, "%s%s%s - %s\n", bold[colour], path, plain[colour], c->summary);
	examples(out, c, colour);
	usage(out, c, path, colour);
	if (c->description != NULL) {
		buf_append_char(out, '\n');
		wrapped(out, c->description, 0, 0);
	}
	if (c->options != NULL) {
		heading(out, "Options", colour);
		for (const struct option *o = c->options; o->name != NULL; o++)
			option_entry(out, o);
	}
	sub_commands(out, c, path, colour);
}
