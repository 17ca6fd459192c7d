/* Did you mean: near names are found, far ones are not guessed. */
#include <check.h>
#include <stdlib.h>

#include "lib/run.h"
#include "nearest.h"

static const char *const names[] = {"serve", "log", "projection", "webhook", "verify", NULL};

static const struct {
	const char *says, *typed, *meant;
} cases[] = {
	{"swapped letters", "sevre", "serve"},
	{"one letter missing", "webook", "webhook"},
	{"one letter too many", "logg", "log"},
	{"the beginning is enough", "proj", "projection"},
	{"letters in the other case", "VERIFY", "verify"},
	{"a typo beats a shared beginning", "veriyf", "verify"},
	{"something else altogether", "banana", NULL},
	{"one letter says nothing", "x", NULL},
	{"nothing says nothing", "", NULL},
	{"three letters allow one edit only", "lab", NULL},
};

START_TEST(nearest_is_found)
{
	struct nearest n = NEAREST_INIT(slice_str(cases[_i].typed));

	for (unsigned i = 0; names[i] != NULL; i++)
		nearest_offer(&n, names[i]);
	if (cases[_i].meant == NULL)
		ck_assert_msg(n.name == NULL, "%s: guessed %s", cases[_i].says, n.name);
	else
		ck_assert_str_eq(n.name, cases[_i].meant);
}
END_TEST

static const struct {
	const char *a, *b;
	unsigned distance;
} distances[] = {
	{"", "", 0},
	{"abc", "", 3},
	{"", "abc", 3},
	{"abc", "abc", 0},
	{"abc", "acb", 1},
	{"kitten", "sitting", 3},
	{"LULAB_LISTEN", "lulab_listen", 0},
	{"ca", "abc", 3},
};

START_TEST(distance_is_counted)
{
	struct slice a = slice_str(distances[_i].a), b = slice_str(distances[_i].b);

	ck_assert_uint_eq(edit_distance(a, b), distances[_i].distance);
	ck_assert_uint_eq(edit_distance(b, a), distances[_i].distance);
}
END_TEST

START_TEST(long_names_are_not_compared)
{
	char text[66];

	memset(text, 'a', 65);
	text[65] = '\0';
	ck_assert_uint_eq(edit_distance(slice_str(text), SLICE("a")), UINT32_MAX);
	ck_assert_uint_eq(edit_distance(slice_of(text, 64), slice_of(text, 64)), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("nearest");
	TCase *t = tcase_create("nearest");

	tcase_add_loop_test(t, nearest_is_found, 0, COUNT(cases));
	tcase_add_loop_test(t, distance_is_counted, 0, COUNT(distances));
	tcase_add_test(t, long_names_are_not_compared);
	suite_add_tcase(s, t);
	return run_suite(s);
}
