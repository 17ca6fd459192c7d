/* The text of the metrics, to the byte. */
#include <check.h>
#include <stdlib.h>

#include "app/metrics_text.h"

static struct buf out = BUF_INIT(65536);

static void setup(void)
{
	buf_clear(&out);
}

START_TEST(a_family)
{
	metric_head(&out, "x_total", "counter", "What x is.");
	metric_u64(&out, "x_total", NULL, 7);
	metric_u64(&out, "x_total", "a=\"b\"", UINT64_MAX);
	metric_double(&out, "y", NULL, 0.25);
	ck_assert_str_eq(out.ptr, "# HELP x_total What x is.\n# TYPE x_total counter\nx_total 7\n"
	                          "x_total{a=\"b\"} 18446744073709551615\ny 0.25\n");
}
END_TEST

START_TEST(labels_are_escaped)
{
	metric_label(&out, "route", SLICE("a\"b\\c\nd"));
	ck_assert_str_eq(out.ptr, "route=\"a\\\"b\\\\c\\nd\"");
}
END_TEST

START_TEST(a_histogram_is_cumulative)
{
	static const struct span_bounds bounds = {2, {1000, 100000}};
	struct span_histogram h = {0}, sum = {0};

	span_observe(&h, &bounds, 1000); /* a bound belongs to its bucket */
	span_observe(&h, &bounds, 1001);
	span_observe(&h, &bounds, 5000000);
	span_observe(&h, &bounds, -1); /* a clock that went back */
	span_add(&sum, &h);
	span_write(&out, "t_seconds", "route=\"/\"", &sum, &bounds);
	ck_assert_str_eq(out.ptr,
	    "t_seconds_bucket{route=\"/\",le=\"0.001\"} 2\nt_seconds_bucket{route=\"/\",le=\"0.1\"} 3\n"
	    "t_seconds_bucket{route=\"/\",le=\"+Inf\"} 4\nt_seconds_sum{route=\"/\"} 5.002001\n"
	    "t_seconds_count{route=\"/\"} 4\n");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("metrics_text");
	TCase *tc = tcase_create("text");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, a_family);
	tcase_add_test(tc, labels_are_escaped);
	tcase_add_test(tc, a_histogram_is_cumulative);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	buf_finish(&out);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
