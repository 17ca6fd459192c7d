/* Who is refused because he would wait too long. */
#include "lib/run.h"
#include "net/admission.h"

#define LIMIT_US 300000
#define MANY 20

static struct admission a;
static struct admission_wait waits[MANY];

static void setup(void)
{
	admission_init(&a);
	memset(waits, 0, sizeof(waits));
}

/* So many were handed over at that time. */
static void enter(unsigned n, int64_t now_us)
{
	for (unsigned i = 0; i < n; i++)
		admission_enter(&a, &waits[i], now_us);
}

static bool refuses(int64_t now_us)
{
	return admission_refuses(&a, now_us, LIMIT_US);
}

START_TEST(the_oldest_with_its_handler_tells)
{
	enter(MANY, 1000);
	ck_assert(!refuses(1000 + LIMIT_US - 1));
	ck_assert(refuses(1000 + LIMIT_US));
	/* The oldest was answered; the next one came later. */
	for (unsigned i = 0; i < MANY / 2; i++) {
		admission_leave(&a, &waits[i]);
		admission_enter(&a, &waits[i], 2000);
	}
	ck_assert(refuses(1000 + LIMIT_US));
	for (unsigned i = MANY / 2; i < MANY; i++)
		admission_leave(&a, &waits[i]);
	ck_assert(!refuses(2000 + LIMIT_US - 1));
	ck_assert(refuses(2000 + LIMIT_US));
}
END_TEST

START_TEST(few_make_no_queue)
{
	ck_assert(!refuses(1000 + 10 * LIMIT_US));
	enter(7, 1000);
	ck_assert(!refuses(1000 + 10 * LIMIT_US));
	admission_enter(&a, &waits[7], 1000 + 10 * LIMIT_US);
	ck_assert(refuses(1000 + 10 * LIMIT_US));
}
END_TEST

START_TEST(who_never_entered_may_leave)
{
	enter(1, 1000);
	admission_leave(&a, &waits[1]);
	admission_leave(&a, &waits[0]);
	admission_leave(&a, &waits[0]);
	enter(MANY, 5000);
	ck_assert(!refuses(5000 + LIMIT_US - 1));
	ck_assert(refuses(5000 + LIMIT_US));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("admission");
	TCase *tc = tcase_create("admission");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, the_oldest_with_its_handler_tells);
	tcase_add_test(tc, few_make_no_queue);
	tcase_add_test(tc, who_never_entered_may_leave);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
