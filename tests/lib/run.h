/* The main() of a Check test: one suite, its verdict as the exit status. */
#ifndef LULAB_TESTS_RUN_H
#define LULAB_TESTS_RUN_H

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/slice.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/*
 * Check notes every assertion that holds in a file its parent process reads, with
 * nothing that keeps two threads apart. So only the first thread's are noted: those
 * of the others cost nothing, and one that fails ends the test as ever.
 */
static inline void mark_point_of_first_thread(const char *file, int line)
{
	if (gettid() == getpid())
		_mark_point(file, line);
}
#define _mark_point(file, line) mark_point_of_first_thread(file, line)

/* Runs the suite and frees it; returns what main() returns. */
static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	int n_failed;

	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Fails with both texts when they differ. */
#define ck_assert_slice_eq(a, b)                                                                   \
	do {                                                                                       \
		struct slice a_ = (a), b_ = (b);                                                   \
		ck_assert_msg(slice_eq(a_, b_), "\"%.*s\" is not \"%.*s\"", SLICE_ARG(a_),         \
		    SLICE_ARG(b_));                                                                \
	} while (0)

#endif
