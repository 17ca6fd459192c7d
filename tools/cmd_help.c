/*
 * lulab help: about a command, or about all of them as a man page or as a
 * shell's completion script.
 */
#include <stdio.h>

#include "help.h"
#include "nearest.h"
#include "options.h"

enum { HELP_TEXT_MAX = 1 << 20 };

/* The command the arguments name, and its path; NULL after the complaint. */
static const struct command *named(const struct invocation *in, struct buf *path)
{
	const struct command *c = in->root;

	buf_append_str(path, c->name);
	for (unsigned i = 0; i < in->n_arguments; i++) {
		const struct command *next = command_find(c, in->arguments[i]);

		if (next == NULL) {
			struct nearest near = NEAREST_INIT(slice_str(in->arguments[i]));

			for (const struct command *const *s = c->commands; s != NULL && *s != NULL; s++)
				nearest_offer(&near, (*s)->name);
			command_fail(in, STATUS_USAGE, "there is no command \"%s %s\"%s%s%s", path->ptr,
			    in->arguments[i], near.name == NULL ? "" : "; did you mean \"",
			    near.name == NULL ? "" : near.name, near.name == NULL ? "" : "\"?");
			return NULL;
		}
		c = next;
		buf_printf(path, " %s", c->name);
	}
	return c;
}

static int run_help(struct invocation *in)
{
	struct buf text = BUF_INIT(HELP_TEXT_MAX), path = BUF_INIT(256);
	const char *shell = option_text(in, "completion");
	const struct command *c;
	int status = STATUS_OK;

	if (option_is_set(in, "man")) {
		help_write_man(&text, in->root);
	} else if (shell != NULL) {
		help_write_completion(&text, in->root, shell);
	} else {
		c = named(in, &path);
		if (c == NULL)
			status = STATUS_USAGE;
		else
			help_write(&text, c, path.ptr, command_colour(1));
	}
	if (text.rc != 0)
		status = command_fail_err(in, text.rc, "cannot write the help");
	else if (text.len > 0)
		fwrite(text.ptr, 1, text.len, stdout);
	buf_finish(&text);
	buf_finish(&path);
	return status;
}

extern const struct command cmd_help;

static const char *const shells[] = {"bash", "zsh", "fish", NULL};

static const struct option options[] = {
	{.name = "man", .kind = OPTION_FLAG, .summary = "print the man page"},
	{.name = "completion", .kind = OPTION_CHOICE, .value = "SHELL", .choices = shells,
	 .summary = "print the completion script of a shell"},
	{0},
};

static const struct example examples[] = {
	{"lulab help log verify", "explain one command"},
	{"lulab help --man > lulab.1", "make the man page"},
	{". <(lulab help --completion bash)", "complete commands with the Tab key, in this shell"},
	{0},
};

const struct command cmd_help = {
	.name = "help",
	.summary = "Explain a command",
	.arguments = "[COMMAND...]",
	.arguments_max = 4,
	.options = options,
	.examples = examples,
	.run = run_help,
};
