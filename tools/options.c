/*
 * Parsing of the command line. Options may stand anywhere after the command,
 * as --name value, --name=value, -n value or -nvalue; "--" ends them.
 */
#include "options.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/config.h"
#include "nearest.h"

enum { PATH_TEXT_MAX = 256 };

const struct command *command_find(const struct command *group, const char *name)
{
	for (const struct command *const *c = group->commands; c != NULL && *c != NULL; c++)
		if (strcmp((*c)->name, name) == 0)
			return *c;
	return NULL;
}

static const struct option *option_find(const struct command *command, struct slice name)
{
	for (const struct option *o = command->options; o != NULL && o->name != NULL; o++)
		if (slice_is(name, o->name))
			return o;
	return NULL;
}

static const struct option *option_by_letter(const struct command *command, char letter)
{
	for (const struct option *o = command->options; o != NULL && o->name != NULL; o++)
		if (letter != 0 && o->letter == letter)
			return o;
	return NULL;
}

static int unknown_command(struct parsed *p, const char *name)
{
	struct nearest near = NEAREST_INIT(slice_str(name));

	for (const struct command *const *c = p->in.command->commands; *c != NULL; c++)
		nearest_offer(&near, (*c)->name);
	if (near.name != NULL)
		command_fail_usage(&p->in, "there is no command \"%s\"; did you mean \"%s\"?", name,
		    near.name);
	else
		command_fail_usage(&p->in, "there is no command \"%s\"", name);
	return ERR_INVALID;
}

static int unknown_option(struct parsed *p, struct slice name)
{
	struct nearest near = NEAREST_INIT(name);

	for (const struct option *o = p->in.command->options; o != NULL && o->name != NULL; o++)
		nearest_offer(&near, o->name);
	nearest_offer(&near, "help");
	if (near.name != NULL)
		command_fail_usage(&p->in, "there is no option --%.*s; did you mean --%s?",
		    SLICE_ARG(name), near.name);
	else
		command_fail_usage(&p->in, "there is no option --%.*s", SLICE_ARG(name));
	return ERR_INVALID;
}

static int check_number(struct parsed *p, const struct option *o, const char *value)
{
	uint64_t number = 0;
	int rc = slice_to_u64(slice_str(value), &number);

	if (rc == 0 && number >= o->min && (o->max == 0 || number <= o->max))
		return 0;
	if (rc != 0)
		command_fail_usage(&p->in, "--%s wants a whole number, not \"%s\"", o->name, value);
	else if (o->max == 0)
		command_fail_usage(&p->in, "--%s must be at least %llu", o->name,
		    (unsigned long long)o->min);
	else
		command_fail_usage(&p->in, "--%s must be from %llu to %llu", o->name,
		    (unsigned long long)o->min, (unsigned long long)o->max);
	return ERR_INVALID;
}

static int check_choice(struct parsed *p, const struct option *o, const char *value)
{
	struct nearest near = NEAREST_INIT(slice_str(value));
	struct buf all = BUF_INIT(1024);

	for (const char *const *c = o->choices; *c != NULL; c++) {
		if (strcmp(*c, value) == 0) {
			buf_finish(&all);
			return 0;
		}
		nearest_offer(&near, *c);
		buf_printf(&all, "%s%s", c == o->choices ? "" : ", ", *c);
	}
	if (near.name != NULL)
		command_fail_usage(&p->in, "--%s cannot be \"%s\"; did you mean \"%s\"?", o->name,
		    value, near.name);
	else
		command_fail_usage(&p->in, "--%s must be one of: %s", o->name,
		    all.ptr == NULL ? "" : all.ptr);
	buf_finish(&all);
	return ERR_INVALID;
}

static int give(struct parsed *p, const struct option *o, const char *value)
{
	int rc = 0;

	if (o->kind == OPTION_NUMBER)
		rc = check_number(p, o, value);
	else if (o->kind == OPTION_CHOICE)
		rc = check_choice(p, o, value);
	if (rc == 0)
		p->in.given[p->in.n_given++] = (struct option_given){o, value};
	return rc;
}

/*
 * One word that begins with '-'. *at is its index and moves past a value taken
 * from the next word.
 */
static int parse_option(struct parsed *p, int argc, char **argv, int *at)
{
	const char *word = argv[*at], *value = NULL;
	const struct option *o;
	struct slice name, tail;

	if (word[1] == '-') {
		if (slice_cut(slice_str(word + 2), '=', &name, &tail))
			value = tail.ptr;
		o = option_find(p->in.command, name);
		if (o == NULL && slice_is(name, "help")) {
			p->asked = ASKED_HELP;
			return 0;
		}
	} else {
		name = slice_of(word + 1, 1);
		o = option_by_letter(p->in.command, word[1]);
		if (o == NULL && strcmp(word, "-h") == 0) {
			p->asked = ASKED_HELP;
			return 0;
		}
		if (word[2] != '\0')
			value = word + 2;
	}
	if (o == NULL)
		return unknown_option(p, name);
	if (o->kind == OPTION_FLAG && value != NULL) {
		command_fail_usage(&p->in, "--%s takes no value", o->name);
		return ERR_INVALID;
	}
	if (o->kind != OPTION_FLAG && value == NULL) {
		if (*at + 1 >= argc) {
			command_fail_usage(&p->in, "--%s wants a value (%s)", o->name, o->value);
			return ERR_INVALID;
		}
		value = argv[++*at];
	}
	return give(p, o, value);
}

/* Walks down the sub-commands as far as words name them; *at is left at the first other word. */
static int descend(struct parsed *p, int argc, char **argv, int *at)
{
	while (p->in.command->commands != NULL && *at < argc && argv[*at][0] != '-') {
		const struct command *next = command_find(p->in.command, argv[*at]);

		if (next == NULL)
			return unknown_command(p, argv[*at]);
		p->in.command = next;
		if (buf_printf(&p->path, " %s", next->name) != 0)
			return p->path.rc;
		p->in.path = p->path.ptr;
		(*at)++;
	}
	return 0;
}

static int check_arguments(struct parsed *p)
{
	const struct command *c = p->in.command;

	if (c->commands != NULL) {
		/* Nothing was asked of a group: its help tells what can be. */
		p->asked = ASKED_HELP;
		return p->in.n_arguments == 0 ? ERR_INVALID : unknown_command(p, p->in.arguments[0]);
	}
	if (p->in.n_arguments >= c->arguments_min && p->in.n_arguments <= c->arguments_max)
		return 0;
	if (p->in.n_arguments < c->arguments_min)
		command_fail_usage(&p->in, "something is missing: %s %s", p->in.path, c->arguments);
	else if (c->arguments_max == 0)
		command_fail_usage(&p->in, "takes no arguments, but was given \"%s\"",
		    p->in.arguments[0]);
	else
		command_fail_usage(&p->in, "\"%s\" is one too many: %s %s",
		    p->in.arguments[c->arguments_max], p->in.path, c->arguments);
	return ERR_INVALID;
}

int parsed_init(struct parsed *p, const struct command *root, int argc, char **argv)
{
	int at = 1, rc;

	*p = (struct parsed){.path = BUF_INIT(PATH_TEXT_MAX)};
	p->in.root = p->in.command = root;
	p->in.path = root->name;
	p->arguments = calloc((size_t)argc + 1, sizeof(*p->arguments));
	p->in.given = calloc((size_t)argc + 1, sizeof(*p->in.given));
	p->in.arguments = p->arguments;
	if (p->arguments == NULL || p->in.given == NULL || buf_append_str(&p->path, root->name) != 0)
		return ERR_NOMEM;
	p->in.path = p->path.ptr;

	rc = descend(p, argc, argv, &at);
	for (bool options = true; rc == 0 && at < argc; at++) {
		if (!options || argv[at][0] != '-' || argv[at][1] == '\0') {
			p->arguments[p->in.n_arguments++] = argv[at];
		} else if (strcmp(argv[at], "--") == 0) {
			options = false;
		} else if (p->in.command == root && strcmp(argv[at], "--version") == 0) {
			p->asked = ASKED_VERSION;
			return 0;
		} else {
			rc = parse_option(p, argc, argv, &at);
		}
	}
	return rc != 0 || p->asked == ASKED_HELP ? rc : check_arguments(p);
}

void parsed_finish(struct parsed *p)
{
	buf_finish(&p->path);
	free(p->arguments);
	free(p->in.given);
	p->arguments = NULL;
	p->in = (struct invocation){0};
}

static const struct option *declared(const struct invocation *in, const char *name)
{
	const struct option *o = option_find(in->command, slice_str(name));

	assert(o != NULL);
	return o;
}

const char *option_nth(const struct invocation *in, const char *name, unsigned i)
{
	const struct option *o = declared(in, name);

	for (unsigned at = 0; at < in->n_given; at++)
		if (in->given[at].option == o && i-- == 0)
			return in->given[at].value;
	return NULL;
}

bool option_is_set(const struct invocation *in, const char *name)
{
	const struct option *o = declared(in, name);

	for (unsigned at = 0; at < in->n_given; at++)
		if (in->given[at].option == o)
			return true;
	return false;
}

const char *option_text(const struct invocation *in, const char *name)
{
	const struct option *o = declared(in, name);

	for (unsigned at = in->n_given; at > 0; at--)
		if (in->given[at - 1].option == o)
			return in->given[at - 1].value;
	return o->fallback;
}

uint64_t option_number(const struct invocation *in, const char *name)
{
	const char *text = option_text(in, name);
	uint64_t number = 0;
	int rc;

	assert(declared(in, name)->kind == OPTION_NUMBER);
	if (text == NULL)
		return 0;
	rc = slice_to_u64(slice_str(text), &number);
	assert(rc == 0);
	return number;
}

const char *option_data_dir(const struct invocation *in)
{
	static char dir[PATH_MAX];
	struct config_flag flags[] = {{"data", option_text(in, "data")}, {0}};
	struct config_sources sources = {.flags = flags, .environment = (const char *const *)environ};
	struct config_loaded config;

	/* Mistakes in other settings do not matter here; without memory for the settings, the default stays. */
	config_load(&config, &sources);
	snprintf(dir, sizeof(dir), "%.*s", SLICE_ARG(config.values.data));
	config_finish(&config);
	return dir[0] == '\0' ? "./data" : dir;
}
