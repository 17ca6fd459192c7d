/*
 * Completion scripts for bash, zsh and fish. Each gets the same facts, a row
 * per command: its path, what may follow it (sub-commands or options), and for
 * options with a value what that value may be.
 */
#include "help.h"

typedef void row_fn(struct buf *out, const struct command *c, const char *path);

/* Calls `row` for the command and everything below it. */
static void each(struct buf *out, const struct command *c, const char *path, row_fn *row)
{
	row(out, c, path);
	for (const struct command *const *s = c->commands; s != NULL && *s != NULL; s++) {
		struct buf name = BUF_INIT(256);

		if (buf_printf(&name, "%s %s", path, (*s)->name) == 0)
			each(out, *s, name.ptr, row);
		else
			out->rc = name.rc;
		buf_finish(&name);
	}
}

/* Inside single quotes of a shell: a quote ends them, is given, and begins them again. */
static void quoted(struct buf *out, const char *text)
{
	buf_append_char(out, '\'');
	for (; *text != '\0'; text++) {
		if (*text == '\'')
			buf_append_str(out, "'\\''");
		else
			buf_append_char(out, *text);
	}
	buf_append_char(out, '\'');
}

static void words(struct buf *out, const struct command *c)
{
	for (const struct command *const *s = c->commands; s != NULL && *s != NULL; s++)
		buf_printf(out, "%s ", (*s)->name);
	for (const struct option *o = c->options; o != NULL && o->name != NULL; o++)
		buf_printf(out, "--%s ", o->name);
	buf_append_str(out, "--help");
}

/* Paths of sub-commands as a pattern of words that lead on: "lulab log". */
static void group_row(struct buf *out, const struct command *c, const char *path)
{
	for (const struct command *const *s = c->commands; s != NULL && *s != NULL; s++)
		buf_printf(out, "\t\t'%s %s') at=\"$at $word\" ;;\n", path, (*s)->name);
}

static void words_row(struct buf *out, const struct command *c, const char *path)
{
	buf_printf(out, "\t'%s') offers='", path);
	words(out, c);
	buf_append_str(out, "' ;;\n");
}

/* Only options whose values are known: files, directories, choices. */
static void values_row(struct buf *out, const struct command *c, const char *path)
{
	for (const struct option *o = c->options; o != NULL && o->name != NULL; o++) {
		if (o->kind == OPTION_FLAG)
			continue;
		buf_printf(out, "\t'%s --%s') kind=", path, o->name);
		if (o->kind == OPTION_FILE)
			buf_append_str(out, "file");
		else if (o->kind == OPTION_DIR)
			buf_append_str(out, "dir");
		else
			buf_append_str(out, "words");
		buf_append_str(out, " offers='");
		for (const char *const *v = o->choices; v != NULL && *v != NULL; v++)
			buf_printf(out, "%s%s", v == o->choices ? "" : " ", *v);
		buf_append_str(out, "' ;;\n");
	}
}

/* The part bash and zsh share: from the words typed to $kind and $offers. */
static void shell_facts(struct buf *out, const struct command *root)
{
	buf_append_str(out, "\tfor word in \"${typed[@]}\"; do\n\t\tcase \"$at $word\" in\n");
	each(out, root, root->name, group_row);
	buf_append_str(out, "\t\tesac\n\tdone\n\tcase \"$at\" in\n");
	each(out, root, root->name, words_row);
	buf_append_str(out, "\tesac\n\tcase \"$at $previous\" in\n");
	each(out, root, root->name, values_row);
	buf_append_str(out, "\tesac\n");
}

static void bash(struct buf *out, const struct command *root)
{
	buf_printf(out,
	    "# bash completion of lulab; made by: lulab help --completion bash\n"
	    "_lulab() {\n"
	    "\tlocal word offers='' kind=words at=%s current=\"${COMP_WORDS[COMP_CWORD]}\"\n"
	    "\tlocal previous=\"${COMP_WORDS[COMP_CWORD-1]}\"\n"
	    "\tlocal -a typed=(\"${COMP_WORDS[@]:1:COMP_CWORD-1}\")\n", root->name);
	shell_facts(out, root);
	buf_append_str(out,
	    "\tcase $kind in\n"
	    "\tfile) mapfile -t COMPREPLY < <(compgen -f -- \"$current\") ;;\n"
	    "\tdir) mapfile -t COMPREPLY < <(compgen -d -- \"$current\") ;;\n"
	    "\t*) mapfile -t COMPREPLY < <(compgen -W \"$offers\" -- \"$current\") ;;\n"
	    "\tesac\n"
	    "}\n"
	    "complete -F _lulab lulab\n");
}

static void zsh(struct buf *out, const struct command *root)
{
	buf_printf(out,
	    "#compdef lulab\n"
	    "# zsh completion of lulab; made by: lulab help --completion zsh\n"
	    "_lulab() {\n"
	    "\tlocal word offers='' kind=words at=%s previous=\"${words[CURRENT-1]}\"\n"
	    "\tlocal -a typed=(\"${(@)words[2,CURRENT-1]}\")\n", root->name);
	shell_facts(out, root);
	buf_append_str(out,
	    "\tcase $kind in\n"
	    "\tfile) _files ;;\n"
	    "\tdir) _files -/ ;;\n"
	    "\t*) compadd -- ${=offers} ;;\n"
	    "\tesac\n"
	    "}\n"
	    /* Loaded from $fpath the file is the function's first call; sourced, it only declares it. */
	    "if [[ $funcstack[1] = _lulab ]]; then _lulab \"$@\"; else compdef _lulab lulab; fi\n");
}

static void fish_row(struct buf *out, const struct command *c, const char *path)
{
	for (const struct command *const *s = c->commands; s != NULL && *s != NULL; s++) {
		buf_printf(out, "complete -c lulab -f -n '__lulab_at \"%s\"' -a %s -d ", path,
		    (*s)->name);
		quoted(out, (*s)->summary);
		buf_append_char(out, '\n');
	}
	for (const struct option *o = c->options; o != NULL && o->name != NULL; o++) {
		buf_printf(out, "complete -c lulab -n '__lulab_at \"%s\"' -l %s", path, o->name);
		if (o->letter != 0)
			buf_printf(out, " -s %c", o->letter);
		if (o->kind == OPTION_FILE || o->kind == OPTION_DIR)
			buf_append_str(out, " -r");
		else if (o->kind != OPTION_FLAG)
			buf_append_str(out, " -x");
		if (o->kind == OPTION_CHOICE) {
			buf_append_str(out, " -a '");
			for (const char *const *v = o->choices; *v != NULL; v++)
				buf_printf(out, "%s ", *v);
			buf_append_char(out, '\'');
		}
		buf_append_str(out, " -d ");
		quoted(out, o->summary);
		buf_append_char(out, '\n');
	}
}

static void fish_path(struct buf *out, const struct command *c, const char *path)
{
	for (const struct command *const *s = c->commands; s != NULL && *s != NULL; s++)
		buf_printf(out, "\t\t\tcase '%s %s'\n\t\t\t\tset at \"$at $word\"\n", path, (*s)->name);
}

static void fish(struct buf *out, const struct command *root)
{
	buf_printf(out,
	    "# fish completion of lulab; made by: lulab help --completion fish\n"
	    "function __lulab_at\n"
	    "\tset -l at %s\n"
	    "\tfor word in (commandline -opc)[2..-1]\n"
	    "\t\tswitch \"$at $word\"\n", root->name);
	each(out, root, root->name, fish_path);
	buf_append_str(out, "\t\tend\n\tend\n\ttest \"$at\" = \"$argv[1]\"\nend\n");
	each(out, root, root->name, fish_row);
}

int help_write_completion(struct buf *out, const struct command *root, const char *shell)
{
	static const struct {
		const char *name;
		void (*write)(struct buf *out, const struct command *root);
	} shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};

	for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
		if (strcmp(shells[i].name, shell) != 0)
			continue;
		shells[i].write(out, root);
		return out->rc;
	}
	return ERR_INVALID;
}
