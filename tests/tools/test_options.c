/* The command line against a small table of commands. Complaints go to stderr, and are the CLI tests' business. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/run.h"
#include "options.h"

static int run_nothing(struct invocation *in)
{
	(void)in;
	return STATUS_OK;
}

static const char *const colours[] = {"red", "green", NULL};

static const struct option options[] = {
	OPTION_DATA,
	OPTION_JSON,
	{.name = "follow", .letter = 'f', .kind = OPTION_FLAG, .summary = "go on"},
	{.name = "count", .letter = 'n', .kind = OPTION_NUMBER, .value = "N", .summary = "how many",
	 .fallback = "10", .min = 1, .max = 100},
	{.name = "set", .kind = OPTION_TEXT, .value = "P=V", .summary = "set", .repeatable = true},
	{.name = "colour", .kind = OPTION_CHOICE, .value = "COLOUR", .summary = "colour", .choices = colours},
	{0},
};
static const struct example examples[] = {{"t log show 1", "show"}, {0}};
static const struct command cmd_show = {.name = "show", .summary = "Show", .arguments = "POSITION [MORE]",
	.arguments_min = 1, .arguments_max = 2, .options = options, .examples = examples, .run = run_nothing};
static const struct command *const log_commands[] = {&cmd_show, NULL};
static const struct command cmd_log = {.name = "log", .summary = "Log", .commands = log_commands};
static const struct command *const root_commands[] = {&cmd_log, NULL};
static const struct command root = {.name = "t", .summary = "Test", .commands = root_commands};

enum { WORDS_MAX = 12 };

static const struct {
	const char *says;
	const char *words[WORDS_MAX];
	int rc;
	enum asked_for asked;
	const char *path, *argument;
	uint64_t count;
	bool follow;
	const char *set0, *set1;
} cases[] = {
	{"plain", {"t", "log", "show", "7"}, 0, ASKED_RUN, "t log show", "7", 10, false, NULL, NULL},
	{"options before and after", {"t", "log", "show", "-f", "7", "--count=3"}, 0, ASKED_RUN, "t log show",
	 "7", 3, true, NULL, NULL},
	{"letters with their value", {"t", "log", "show", "-n5", "7"}, 0, ASKED_RUN, "t log show", "7", 5, false,
	 NULL, NULL},
	{"letters and value apart", {"t", "log", "show", "-n", "5", "7"}, 0, ASKED_RUN, "t log show", "7", 5,
	 false, NULL, NULL},
	{"the last of two wins", {"t", "log", "show", "-n5", "-n6", "7"}, 0, ASKED_RUN, "t log show", "7", 6,
	 false, NULL, NULL},
	{"repeated ones keep their order", {"t", "log", "show", "--set", "a=1", "--set=b=2", "7"}, 0, ASKED_RUN,
	 "t log show", "7", 10, false, "a=1", "b=2"},
	{"two dashes end options", {"t", "log", "show", "--", "-f"}, 0, ASKED_RUN, "t log show", "-f", 10, false,
	 NULL, NULL},
	{"a dash alone is an argument", {"t", "log", "show", "-"}, 0, ASKED_RUN, "t log show", "-", 10, false,
	 NULL, NULL},
	{"help of a command", {"t", "log", "show", "--help"}, 0, ASKED_HELP, "t log show", NULL, 10, false, NULL,
	 NULL},
	{"help of a group", {"t", "log", "-h"}, 0, ASKED_HELP, "t log", NULL, 0, false, NULL, NULL},
	{"version", {"t", "--version"}, 0, ASKED_VERSION, "t", NULL, 0, false, NULL, NULL},
	{"a group alone", {"t", "log"}, ERR_INVALID, ASKED_HELP, "t log", NULL, 0, false, NULL, NULL},
	{"nothing at all", {"t"}, ERR_INVALID, ASKED_HELP, "t", NULL, 0, false, NULL, NULL},
	{"unknown command", {"t", "lgo"}, ERR_INVALID, ASKED_RUN, "t", NULL, 0, false, NULL, NULL},
	{"unknown option", {"t", "log", "show", "7", "--cuont", "3"}, ERR_INVALID, ASKED_RUN, "t log show", NULL,
	 10, false, NULL, NULL},
	{"unknown letter", {"t", "log", "show", "7", "-x"}, ERR_INVALID, ASKED_RUN, "t log show", NULL, 10, false,
	 NULL, NULL},
	{"version belongs to the top", {"t", "log", "show", "7", "--version"}, ERR_INVALID, ASKED_RUN,
	 "t log show", NULL, 10, false, NULL, NULL},
	{"not a number", {"t", "log", "show", "7", "--count", "x"}, ERR_INVALID, ASKED_RUN, "t log show", NULL, 10,
	 false, NULL, NULL},
	{"too small", {"t", "log", "show", "7", "--count", "0"}, ERR_INVALID, ASKED_RUN, "t log show", NULL, 10,
	 false, NULL, NULL},
	{"too big", {"t", "log", "show", "7", "--count", "101"}, ERR_INVALID, ASKED_RUN, "t log show", NULL, 10,
	 false, NULL, NULL},
	{"beyond 64 bits", {"t", "log", "show", "7", "--count", "18446744073709551617"}, ERR_INVALID, ASKED_RUN,
	 "t log show", NULL, 10, false, NULL, NULL},
	{"value missing", {"t", "log", "show", "7", "--count"}, ERR_INVALID, ASKED_RUN, "t log show", NULL, 10,
	 false, NULL, NULL},
	{"value not wanted", {"t", "log", "show", "7", "--json=yes"}, ERR_INVALID, ASKED_RUN, "t log show", NULL,
	 10, false, NULL, NULL},
	{"not among the choices", {"t", "log", "show", "7", "--colour", "blue"}, ERR_INVALID, ASKED_RUN,
	 "t log show", NULL, 10, false, NULL, NULL},
	{"argument missing", {"t", "log", "show"}, ERR_INVALID, ASKED_RUN, "t log show", NULL, 10, false, NULL,
	 NULL},
	{"one too many", {"t", "log", "show", "1", "2", "3"}, ERR_INVALID, ASKED_RUN, "t log show", NULL, 10,
	 false, NULL, NULL},
};

static bool same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

START_TEST(command_lines_are_parsed)
{
	char *argv[WORDS_MAX];
	struct parsed p;
	int argc = 0, rc;

	for (; argc < WORDS_MAX && cases[_i].words[argc] != NULL; argc++)
		argv[argc] = strdup(cases[_i].words[argc]);
	rc = parsed_init(&p, &root, argc, argv);
	ck_assert_msg(rc == cases[_i].rc, "%s: rc %d", cases[_i].says, rc);
	ck_assert_msg(p.asked == cases[_i].asked, "%s: asked %d", cases[_i].says, p.asked);
	ck_assert_str_eq(p.in.path, cases[_i].path);
	if (rc == 0 && p.asked == ASKED_RUN) {
		ck_assert_str_eq(p.in.arguments[0], cases[_i].argument);
		ck_assert_uint_eq(option_number(&p.in, "count"), cases[_i].count);
		ck_assert(option_is_set(&p.in, "follow") == cases[_i].follow);
		ck_assert(same(option_nth(&p.in, "set", 0), cases[_i].set0));
		ck_assert(same(option_nth(&p.in, "set", 1), cases[_i].set1));
		ck_assert(option_nth(&p.in, "set", 2) == NULL);
	}
	parsed_finish(&p);
	while (argc > 0)
		free(argv[--argc]);
}
END_TEST

START_TEST(data_directory_comes_from_flag_then_environment)
{
	char *plain[] = {(char *)"t", (char *)"log", (char *)"show", (char *)"1"};
	char *flagged[] = {(char *)"t", (char *)"log", (char *)"show", (char *)"1", (char *)"--data", (char *)"/d"};
	struct parsed p;

	unsetenv("LULAB_DATA");
	ck_assert_int_eq(parsed_init(&p, &root, 4, plain), 0);
	ck_assert_str_eq(option_data_dir(&p.in), "./data");
	setenv("LULAB_DATA", "/e", 1);
	ck_assert_str_eq(option_data_dir(&p.in), "/e");
	parsed_finish(&p);
	ck_assert_int_eq(parsed_init(&p, &root, 6, flagged), 0);
	ck_assert_str_eq(option_data_dir(&p.in), "/d");
	parsed_finish(&p);
	unsetenv("LULAB_DATA");
}
END_TEST

START_TEST(data_directory_comes_from_the_env_file_too)
{
	char *plain[] = {(char *)"t", (char *)"log", (char *)"show", (char *)"1"};
	char dir[] = "/tmp/lulab-options-XXXXXX";
	struct parsed p;
	FILE *file;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	file = fopen(".env", "w");
	ck_assert_ptr_nonnull(file);
	fputs("LULAB_DATA=/from/the/file\nPORT=nonsense\n", file);
	fclose(file);
	ck_assert_int_eq(parsed_init(&p, &root, 4, plain), 0);
	ck_assert_str_eq(option_data_dir(&p.in), "/from/the/file");
	setenv("LULAB_DATA", "/e", 1);
	ck_assert_str_eq(option_data_dir(&p.in), "/e");
	unsetenv("LULAB_DATA");
	parsed_finish(&p);
	unlink(".env");
	ck_assert_int_eq(chdir("/"), 0);
	rmdir(dir);
}
END_TEST

START_TEST(errors_have_their_exit_status)
{
	ck_assert_int_eq(status_of(0), STATUS_OK);
	ck_assert_int_eq(status_of(ERR_NOT_FOUND), STATUS_NOT_FOUND);
	ck_assert_int_eq(status_of(ERR_CORRUPT), STATUS_NOT_VERIFIED);
	ck_assert_int_eq(status_of(ERR_CONFLICT), STATUS_CONFLICT);
	ck_assert_int_eq(status_of(ERR_DENIED), STATUS_UNAUTHORISED);
	ck_assert_int_eq(status_of(ERR_NETWORK), STATUS_UNAVAILABLE);
	ck_assert_int_eq(status_of(ERR_NOMEM), STATUS_FAILED);
	ck_assert_int_eq(status_of(ERR_CANCELLED), STATUS_INTERRUPTED);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("options");
	TCase *t = tcase_create("options");

	/* The complaints of the bad lines would only clutter the test log. */
	if (freopen("/dev/null", "w", stderr) == NULL)
		return EXIT_FAILURE;
	tcase_add_loop_test(t, command_lines_are_parsed, 0, COUNT(cases));
	tcase_add_test(t, data_directory_comes_from_flag_then_environment);
	tcase_add_test(t, data_directory_comes_from_the_env_file_too);
	tcase_add_test(t, errors_have_their_exit_status);
	suite_add_tcase(s, t);
	return run_suite(s);
}
