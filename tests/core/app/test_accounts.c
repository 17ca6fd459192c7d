/* How long who was wrong waits. */
#include "app/accounts.h"

#include "lib/run.h"

START_TEST(each_failure_doubles_the_wait_up_to_a_quarter_of_an_hour)
{
	ck_assert_int_eq(failures_wait_ms(4, 1000, 1000), 0);
	ck_assert_int_eq(failures_wait_ms(5, 1000, 1000), 1000);
	ck_assert_int_eq(failures_wait_ms(6, 1000, 1000), 2000);
	ck_assert_int_eq(failures_wait_ms(14, 1000, 1000), 512000);
	ck_assert_int_eq(failures_wait_ms(15, 1000, 1000), 900000);
	ck_assert_int_eq(failures_wait_ms(INT64_MAX, 1000, 1000), 900000);
	/* It runs from the last one. */
	ck_assert_int_eq(failures_wait_ms(6, 1000, 2500), 500);
	ck_assert_int_eq(failures_wait_ms(6, 1000, 3000), 0);
	ck_assert_int_eq(failures_wait_ms(15, 1000, 10000000), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("accounts");
	TCase *t = tcase_create("waits");

	tcase_add_test(t, each_failure_doubles_the_wait_up_to_a_quarter_of_an_hour);
	suite_add_tcase(suite, t);
	return run_suite(suite);
}
