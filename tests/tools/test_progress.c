/* Progress lines off a terminal, with a clock moved by hand. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/run.h"
#include "progress.h"

/* A step: the clock moves by `s` seconds, then `done` is reported. */
struct step {
	unsigned s;
	uint64_t done;
};

static const struct {
	const char *says;
	uint64_t total;
	struct step steps[6];
	const char *printed;
} cases[] = {
	{"short work says nothing", 100, {{1, 50}, {1, 100}}, ""},
	{"rate and time left", 1000, {{9, 90}, {1, 100}},
	 "verifying: 100 of 1000 events, 10%, 10/s, 1:30 left\nverifying: 100 of 1000 events, 10%, 10/s, took 0:10\n"},
	{"no total, no share", 0, {{10, 50}}, "verifying: 50 events, 5/s\nverifying: 50 events, 5/s, took 0:10\n"},
	{"a line every ten seconds", 7500, {{10, 20}, {5, 21}, {5, 40}},
	 "verifying: 20 of 7500 events, 0%, 2/s, 1:02:20 left\n"
	 "verifying: 40 of 7500 events, 1%, 2/s, 1:02:10 left\n"
	 "verifying: 40 of 7500 events, 1%, 2/s, took 0:20\n"},
};

START_TEST(lines_are_printed)
{
	struct clock_manual clock;
	struct progress p;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	clock_manual_init(&clock, 0);
	progress_start(&p, out, &clock.clock, "verifying", "events", cases[_i].total);
	for (const struct step *s = cases[_i].steps; s->s != 0; s++) {
		clock_manual_advance(&clock, (int64_t)s->s * 1000000);
		progress_set(&p, s->done);
	}
	progress_finish(&p);
	progress_finish(&p);
	fclose(out);
	ck_assert_str_eq(text, cases[_i].printed);
	free(text);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("progress");
	TCase *t = tcase_create("progress");

	tcase_add_loop_test(t, lines_are_printed, 0, COUNT(cases));
	suite_add_tcase(s, t);
	return run_suite(s);
}
