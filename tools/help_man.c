/*
 * The man page, lulab(1): every command in one page, in man(7) markup.
 */
#include "help.h"

/* Text as roff takes it: a backslash and a hyphen have a meaning of their own, as has a dot at a line's start. */
static void roff(struct buf *out, const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '\\')
			buf_append_str(out, "\\e");
		else if (*c == '-')
			buf_append_str(out, "\\-");
		else if ((*c == '.' || *c == '\'') && c == text)
			buf_printf(out, "\\&%c", *c);
		else
			buf_append_char(out, *c);
	}
}

static void line(struct buf *out, const char *macro, const char *text)
{
	buf_append_str(out, macro);
	roff(out, text);
	buf_append_char(out, '\n');
}

static void option_entry(struct buf *out, const struct option *o)
{
	buf_append_str(out, ".TP\n");
	if (o->letter != 0)
		buf_printf(out, "\\fB\\-%c\\fR, ", o->letter);
	buf_append_str(out, "\\fB\\-\\-");
	roff(out, o->name);
	buf_append_str(out, "\\fR");
	if (o->value != NULL) {
		buf_append_str(out, " \\fI");
		roff(out, o->value);
		buf_append_str(out, "\\fR");
	}
	buf_append_char(out, '\n');
	roff(out, o->summary);
	if (o->kind == OPTION_CHOICE)
		for (const char *const *c = o->choices; *c != NULL; c++) {
			buf_append_str(out, c == o->choices ? ": " : ", ");
			roff(out, *c);
		}
	if (o->fallback != NULL) {
		buf_append_str(out, " (default: ");
		roff(out, o->fallback);
		buf_append_char(out, ')');
	}
	buf_append_char(out, '\n');
}

static void one_command(struct buf *out, const struct command *c, const char *path)
{
	line(out, ".SS ", path);
	line(out, "", c->summary);
	if (c->arguments != NULL) {
		buf_append_str(out, ".PP\n\\fB");
		roff(out, path);
		buf_append_str(out, "\\fR [\\fIOPTION\\fR...] ");
		line(out, "", c->arguments);
	}
	if (c->description != NULL)
		line(out, ".PP\n", c->description);
	for (const struct option *o = c->options; o != NULL && o->name != NULL; o++)
		option_entry(out, o);
	if (c->examples != NULL)
		buf_append_str(out, ".PP\nExamples:\n");
	for (const struct example *e = c->examples; e != NULL && e->line != NULL; e++) {
		line(out, ".TP\n", e->line);
		line(out, "", e->says);
	}
}

static void commands_below(struct buf *out, const struct command *group, const char *path)
{
	for (const struct command *const *c = group->commands; *c != NULL; c++) {
		struct buf name = BUF_INIT(256);

		if (buf_printf(&name, "%s %s", path, (*c)->name) != 0) {
			out->rc = name.rc;
			buf_finish(&name);
			return;
		}
		one_command(out, *c, name.ptr);
		if ((*c)->commands != NULL)
			commands_below(out, *c, name.ptr);
		buf_finish(&name);
	}
}

static const struct {
	const char *status, *says;
} statuses[] = {
	{"0", "done"},
	{"1", "failed"},
	{"2", "the command line was not understood"},
	{"3", "what was asked for does not exist"},
	{"4", "verification failed: a proof, a signature or a digest does not match"},
	{"5", "conflict with what is there already"},
	{"6", "not authorised"},
	{"7", "unavailable: not running, busy or out of reach; try again"},
	{"130", "interrupted by Ctrl-C"},
	{NULL, NULL},
};

void help_write_man(struct buf *out, const struct command *root)
{
	buf_append_str(out, ".TH LULAB 1 \"\" \"lulab " LULAB_VERSION "\" \"User Commands\"\n");
	buf_append_str(out, ".SH NAME\n");
	roff(out, root->name);
	buf_append_str(out, " \\- ");
	line(out, "", root->summary);
	buf_append_str(out, ".SH SYNOPSIS\n");
	buf_append_str(out, ".B lulab\n\\fICOMMAND\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n");
	buf_append_str(out, ".SH DESCRIPTION\n");
	line(out, "", root->description == NULL ? root->summary : root->description);
	buf_append_str(out, ".SH COMMANDS\n");
	commands_below(out, root, root->name);
	buf_append_str(out, ".SH EXIT STATUS\n");
	for (unsigned i = 0; statuses[i].status != NULL; i++) {
		line(out, ".TP\n", statuses[i].status);
		line(out, "", statuses[i].says);
	}
	buf_append_str(out,
	    ".SH ENVIRONMENT\nSettings are environment variables, read also from a file\n"
	    ".I .env\nin the working directory;\n.B lulab config show\nlists them all.\n"
	    ".TP\n.B NO_COLOR\nWhen set, nothing is coloured.\n");
}
