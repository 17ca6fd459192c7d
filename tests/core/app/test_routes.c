/* What no test from outside can see: routes that the document does not tell of. */
#include <check.h>
#include <string.h>

#include "app/app_http.h"
#include "lib/run.h"

START_TEST(a_route_that_is_not_in_the_document_is_open_to_all)
{
	size_t n = 0;

	for (const struct route *const *table = api_tables; *table != NULL; table++)
		for (const struct route *r = *table; r->method != HTTP_NONE; r++, n++)
			if ((r->flags & ROUTE_HIDDEN) != 0)
				ck_assert_msg((r->flags & ROUTE_PUBLIC) != 0, "%s is hidden, so tests/e2e/test_permissions.py does not see it",
				    r->path);
	ck_assert_uint_gt(n, 30);
}
END_TEST

START_TEST(what_is_open_to_all_asks_for_nothing)
{
	for (const struct route *const *table = api_tables; *table != NULL; table++)
		for (const struct route *r = *table; r->method != HTTP_NONE; r++)
			if ((r->flags & ROUTE_PUBLIC) != 0)
				ck_assert_msg(r->permission == NULL, "%s is public, so its permission is never looked at", r->path);
			else if ((r->flags & ROUTE_KEYS) != 0)
				ck_assert_msg(r->permission == NULL, "%s asks for a permission: that lets keys in, ROUTE_KEYS does not", r->path);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("routes");
	TCase *t = tcase_create("declared");

	tcase_add_test(t, a_route_that_is_not_in_the_document_is_open_to_all);
	tcase_add_test(t, what_is_open_to_all_asks_for_nothing);
	suite_add_tcase(s, t);
	return run_suite(s);
}
