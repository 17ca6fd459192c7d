/* The rules of single fields, with fields made for each, and how a breach is told when there is little memory. */
#include "domain/schema_rules.h"

#include "base/err.h"
#include "lib/run.h"

static struct arena arena;
static struct problems problems;
static struct check check;
static const struct place root = {.name = SLICE_INIT("x")};

static void setup(void)
{
	arena = (struct arena)ARENA_INIT(1 << 16);
	problems = (struct problems)PROBLEMS_INIT(&arena);
	check = (struct check){.arena = &arena, .problems = &problems};
}

static void teardown(void)
{
	arena_finish(&arena);
}

static const struct {
	const char *says;
	enum schema_format format;
	const char *text;
	bool fits;
} formats[] = {
	{"an instant", FORMAT_DATE_TIME, "2026-11-23T22:39:15Z", true},
	{"a day is no instant", FORMAT_DATE_TIME, "2026-11-23", false},
	{"no instant is so long", FORMAT_DATE_TIME, "2026-11-23T22:39:15.0000000000000000000000000000000000000000000Z", false},
	{"a day", FORMAT_DATE, "2026-11-23", true},
	{"an instant is no day", FORMAT_DATE, "2026-11-23T22:39:15Z", false},
	{"either: a day", FORMAT_DATE_OR_TIME, "2026-11-23", true},
	{"either: an instant", FORMAT_DATE_OR_TIME, "2026-11-23T22:39:15+08:00", true},
	{"neither", FORMAT_DATE_OR_TIME, "2026-11-2", false},
	{"base64url of all kinds of characters", FORMAT_BASE64URL, "azAZ09-_", true},
	{"base64url of nothing", FORMAT_BASE64URL, "", true},
	{"no text has such a length", FORMAT_BASE64URL, "abcde", false},
	{"padding", FORMAT_BASE64URL, "YQ==", false},
	{"before the digits", FORMAT_BASE64URL, "ab/c", false},
	{"behind the digits", FORMAT_BASE64URL, "ab:c", false},
	{"before the capitals", FORMAT_BASE64URL, "ab@c", false},
	{"behind the capitals", FORMAT_BASE64URL, "ab[c", false},
	{"before the letters", FORMAT_BASE64URL, "ab`c", false},
	{"behind the letters", FORMAT_BASE64URL, "ab{c", false},
	{"JSON", FORMAT_JSON, "{\"a\":[1]}", true},
	{"half a JSON", FORMAT_JSON, "{\"a\":[1", false},
};

START_TEST(a_text_has_its_format)
{
	struct schema_field f = {.kind = SCHEMA_TEXT, .format = (uint8_t)formats[_i].format};

	check_text(&check, &f, slice_str(formats[_i].text), &root);
	ck_assert_msg(check.failed == !formats[_i].fits, "%s", formats[_i].says);
	ck_assert_int_eq(check_result(&check), formats[_i].fits ? 0 : ERR_INVALID);
	if (check.failed)
		ck_assert_str_eq(problems.items[0].code, "format");
}
END_TEST

static const struct {
	double value;
	uint16_t flags;
	const char *code; /* NULL: fits */
} reals[] = {
	{-1e9, 0, NULL}, {-1, FIELD_MIN, "minimum"}, {0, FIELD_MIN, NULL}, {1.5, FIELD_MAX, NULL}, {1.6, FIELD_MAX, "maximum"},
	{1.6, FIELD_MIN, NULL}, {-1, FIELD_MAX, NULL},
};

START_TEST(a_real_number_has_its_bounds)
{
	struct schema_field f = {.kind = SCHEMA_REAL, .flags = reals[_i].flags, .real_min = 0, .real_max = 1.5};

	check_real(&check, &f, reals[_i].value, &root);
	ck_assert_uint_eq(problems.n, reals[_i].code == NULL ? 0 : 1);
	if (reals[_i].code != NULL)
		ck_assert_str_eq(problems.items[0].code, reals[_i].code);
}
END_TEST

START_TEST(one_choice_is_told_as_one)
{
	static const struct slice choices[] = {SLICE_INIT("a"), SLICE_INIT("b")};
	struct schema_field f = {.kind = SCHEMA_TEXT, .choices = choices, .n_choices = 1};

	check_text(&check, &f, SLICE("c"), &root);
	ck_assert_str_eq(problems.items[0].message, "must be a");
	f.n_choices = 2;
	check_text(&check, &f, SLICE("c"), &root);
	ck_assert_str_eq(problems.items[1].message, "must be one of a, b");
}
END_TEST

/* a{1,2}b+ */
static const struct schema_run runs[] = {
	{.set = {0, 0, 0, 1u << ('a' - 96)}, .min = 1, .max = 2},
	{.set = {0, 0, 0, 1u << ('b' - 96)}, .min = 1, .max = UINT32_MAX},
};
static const struct schema_pattern pattern = {.source = "^a{1,2}b+$", .runs = runs, .n_runs = COUNT(runs)};

static const struct {
	const char *text;
	bool matches;
} texts[] = {
	{"ab", true}, {"aabbb", true}, {"aaab", false}, {"a", false}, {"b", false}, {"", false}, {"abx", false},
	{"a\xe4\xbc\x9a", false}, {"\xff", false},
};

START_TEST(a_pattern_is_runs_of_characters)
{
	ck_assert_msg(pattern_matches(&pattern, slice_str(texts[_i].text)) == texts[_i].matches, "%s", texts[_i].text);
}
END_TEST

/* A pointer is cut at its longest, never wrong; names that are too long to unescape stand as they are. */
START_TEST(a_pointer_has_a_length)
{
	static char name[600];
	struct place at = {.up = &root, .name = {name, sizeof(name)}, .raw = true};

	memset(name, 'n', sizeof(name));
	check_tell(&check, &at, "type", "x");
	ck_assert_uint_le(strlen(problems.items[0].path), 512);
	ck_assert_int_eq(memcmp(problems.items[0].path, "x/", 2), 0);
}
END_TEST

START_TEST(what_cannot_be_kept_is_counted)
{
	unsigned kept = 0;

	/* The list, the path, the message: whichever has no place. */
	for (size_t max = 0; max < 4096; max += 8) {
		struct arena small = ARENA_INIT(max);
		struct problems few = PROBLEMS_INIT(&small);

		problems_add(&few, "a path that is long enough", "code", "a message that is %s", "long enough");
		ck_assert_uint_eq(few.total, 1);
		ck_assert_uint_le(few.n, 1);
		if (few.n == 1)
			ck_assert_str_eq(few.items[0].message, "a message that is long enough");
		kept += few.n == 1;
		arena_finish(&small);
	}
	ck_assert(kept > 0 && kept < 512);
}
END_TEST

START_TEST(a_hook_that_fails_ends_the_run)
{
	check.rc = ERR_IO;
	check_tell(&check, &root, "type", "x");
	ck_assert_int_eq(check_result(&check), ERR_IO);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schema_rules");
	TCase *t = tcase_create("rules");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, a_text_has_its_format, 0, COUNT(formats));
	tcase_add_loop_test(t, a_real_number_has_its_bounds, 0, COUNT(reals));
	tcase_add_test(t, one_choice_is_told_as_one);
	tcase_add_loop_test(t, a_pattern_is_runs_of_characters, 0, COUNT(texts));
	tcase_add_test(t, a_pointer_has_a_length);
	tcase_add_test(t, what_cannot_be_kept_is_counted);
	tcase_add_test(t, a_hook_that_fails_ends_the_run);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
