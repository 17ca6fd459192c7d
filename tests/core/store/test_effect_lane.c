/* May a lane try something now? With a clock that the test moves. */
#include "store/effect_lane.h"

#include "lib/run.h"

static const struct effect_lane lane = {.name = "t", .per_minute = 60, .burst = 3, .base_ms = 1000, .cap_ms = 8000};

/* ---- token bucket ---------------------------------------------------------------- */

START_TEST(a_burst_then_one_a_second)
{
	struct lane_policy p;
	int64_t again_ms;

	lane_policy_init(&p, &lane, 1000);
	for (int i = 0; i < 3; i++) {
		ck_assert(lane_policy_allows(&p, 1000, false, &again_ms));
		lane_policy_start(&p, 1000, false);
	}
	ck_assert(!lane_policy_allows(&p, 1000, false, &again_ms));
	ck_assert_int_eq(again_ms, 2001);
	ck_assert(!lane_policy_allows(&p, 1500, false, &again_ms));
	ck_assert(lane_policy_allows(&p, 2001, false, &again_ms));
	lane_policy_start(&p, 2001, false);
	ck_assert(!lane_policy_allows(&p, 2500, false, &again_ms));
	/* A long rest fills no more than the burst. */
	for (int i = 0; i < 3; i++) {
		ck_assert(lane_policy_allows(&p, 900000, false, &again_ms));
		lane_policy_start(&p, 900000, false);
	}
	ck_assert(!lane_policy_allows(&p, 900000, false, &again_ms));
}
END_TEST

/* Over any minute no more than a burst and a minute's worth goes out, however often it is asked. */
START_TEST(a_minute_has_its_number)
{
	struct lane_policy p;
	int64_t again_ms;
	unsigned n = 0;

	lane_policy_init(&p, &lane, 0);
	for (int64_t t = 0; t < 600000; t += 7)
		if (lane_policy_allows(&p, t, false, &again_ms)) {
			lane_policy_start(&p, t, false);
			n++;
		}
	ck_assert_uint_le(n, 603);
	ck_assert_uint_ge(n, 598);
}
END_TEST

/* ---- retry budget ------------------------------------------------------------------ */

static const struct effect_lane free_lane = {.name = "f", .base_ms = 1000, .cap_ms = 8000};

START_TEST(repetitions_are_a_fifth_and_ten)
{
	struct lane_policy p;
	int64_t again_ms;
	unsigned n = 0;

	lane_policy_init(&p, &free_lane, 0);
	for (int i = 0; i < 50; i++)
		lane_policy_start(&p, 0, false);
	while (lane_policy_allows(&p, 100, true, &again_ms)) {
		lane_policy_start(&p, 100, true);
		n++;
	}
	ck_assert_uint_eq(n, 20);
	ck_assert_int_gt(again_ms, 100);
	ck_assert(lane_policy_allows(&p, 100, false, &again_ms)); /* first tries go on */
	ck_assert(!lane_policy_allows(&p, 59000, true, &again_ms));
	ck_assert(lane_policy_allows(&p, 61000, true, &again_ms)); /* the minute is over */
}
END_TEST

/* ---- breaker ------------------------------------------------------------------------- */

START_TEST(five_in_a_row_open_it)
{
	struct breaker b;
	int64_t again_ms;

	breaker_init(&b, 0);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(breaker_end(&b, 1000, true), BREAKER_STAYS);
	ck_assert_int_eq(breaker_end(&b, 1000, true), BREAKER_OPENS);
	ck_assert(!breaker_allows(&b, 1000, &again_ms));
	ck_assert_int_eq(again_ms, 31000);
	ck_assert(!breaker_allows(&b, 30999, &again_ms));
	ck_assert(breaker_allows(&b, 31000, &again_ms));
}
END_TEST

START_TEST(half_of_ten_open_it)
{
	struct breaker b;

	breaker_init(&b, 0);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(breaker_end(&b, 1000 + i, i % 2 == 1), BREAKER_STAYS);
	ck_assert_int_eq(breaker_end(&b, 1010, false), BREAKER_STAYS);
	ck_assert_int_eq(breaker_end(&b, 1011, true), BREAKER_OPENS); /* the tenth, five of them failed */
}
END_TEST

START_TEST(failures_of_an_hour_ago_do_not_count)
{
	struct breaker b;

	breaker_init(&b, 0);
	for (int i = 0; i < 40; i++) {
		ck_assert_int_eq(breaker_end(&b, i * 20000, i % 2 == 1), BREAKER_STAYS);
	}
}
END_TEST

START_TEST(three_probes_one_at_a_time_close_it)
{
	struct breaker b;
	int64_t again_ms;

	breaker_init(&b, 0);
	for (int i = 0; i < 5; i++)
		breaker_end(&b, 0, true);
	for (int i = 0; i < 3; i++) {
		ck_assert(breaker_allows(&b, 30000, &again_ms));
		ck_assert_int_eq(breaker_start(&b, 30000), i == 0 ? BREAKER_PROBES : BREAKER_STAYS);
		ck_assert(!breaker_allows(&b, 30000, &again_ms));
		ck_assert_int_eq(breaker_end(&b, 30000, false), i == 2 ? BREAKER_CLOSES : BREAKER_STAYS);
	}
	ck_assert_int_eq(b.state, BREAKER_CLOSED);
}
END_TEST

START_TEST(a_failed_probe_doubles_the_wait_up_to_ten_minutes)
{
	static const int64_t spans_ms[] = {60000, 120000, 240000, 480000, 600000, 600000};
	struct breaker b;
	int64_t now_ms = 0, again_ms;

	breaker_init(&b, 0);
	for (int i = 0; i < 5; i++)
		breaker_end(&b, now_ms, true);
	now_ms = 30000;
	for (size_t i = 0; i < COUNT(spans_ms); i++) {
		ck_assert(breaker_allows(&b, now_ms, &again_ms));
		breaker_start(&b, now_ms);
		ck_assert_int_eq(breaker_end(&b, now_ms, true), BREAKER_OPENS);
		ck_assert(!breaker_allows(&b, now_ms, &again_ms));
		ck_assert_int_eq(again_ms, now_ms + spans_ms[i]);
		now_ms = again_ms;
	}
}
END_TEST

START_TEST(a_call_from_before_says_nothing_to_an_open_one)
{
	struct breaker b;
	int64_t again_ms;

	breaker_init(&b, 0);
	for (int i = 0; i < 5; i++)
		breaker_end(&b, 0, true);
	ck_assert_int_eq(breaker_end(&b, 1, false), BREAKER_STAYS);
	ck_assert_int_eq(breaker_end(&b, 1, true), BREAKER_STAYS);
	ck_assert(!breaker_allows(&b, 29999, &again_ms));
	/* A probe that did not go out makes room for another. */
	breaker_start(&b, 30000);
	breaker_give_back(&b);
	ck_assert(breaker_allows(&b, 30000, &again_ms));
}
END_TEST

/* ---- delay ------------------------------------------------------------------------------- */

START_TEST(the_delay_doubles_and_is_drawn_from_all_of_it)
{
	static const int64_t minutes[] = {1, 5, 15, 60, 60};
	struct rng_test rng;

	rng_test_init(&rng, 7);
	for (unsigned tries = 0; tries < 6; tries++) {
		int64_t most = tries < 3 ? 1000 << tries : 8000, low = most, high = 0;

		for (int i = 0; i < 2000; i++) {
			int64_t d = lane_delay_ms(&lane, 0, tries, 0, &rng.rng);

			low = d < low ? d : low;
			high = d > high ? d : high;
		}
		ck_assert_int_ge(low, 0);
		ck_assert_int_lt(low, most / 20);
		ck_assert_int_gt(high, most - most / 20);
		ck_assert_int_le(high, most);
	}
	/* A neighbour may ask for more, an hour at most; a setting lowers the base. */
	ck_assert_int_eq(lane_delay_ms(&lane, 0, 1, 60000, &rng.rng), 60000);
	ck_assert_int_eq(lane_delay_ms(&lane, 0, 1, 86400000, &rng.rng), 3600000);
	ck_assert_int_le(lane_delay_ms(&lane, 10, 1, 0, &rng.rng), 20);
	for (unsigned i = 0; i < COUNT(minutes); i++) { /* vendor-protocols 1: what is not ready is asked for after 1, 5, 15, 60 minutes */
		ck_assert_int_eq(not_yet_delay_ms(0, i + 1), minutes[i] * 60000);
		ck_assert_int_eq(not_yet_delay_ms(20, i + 1), minutes[i] * 20);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("effect_lane");
	TCase *t = tcase_create("policy");

	tcase_add_test(t, a_burst_then_one_a_second);
	tcase_add_test(t, a_minute_has_its_number);
	tcase_add_test(t, repetitions_are_a_fifth_and_ten);
	tcase_add_test(t, five_in_a_row_open_it);
	tcase_add_test(t, half_of_ten_open_it);
	tcase_add_test(t, failures_of_an_hour_ago_do_not_count);
	tcase_add_test(t, three_probes_one_at_a_time_close_it);
	tcase_add_test(t, a_failed_probe_doubles_the_wait_up_to_ten_minutes);
	tcase_add_test(t, a_call_from_before_says_nothing_to_an_open_one);
	tcase_add_test(t, the_delay_doubles_and_is_drawn_from_all_of_it);
	suite_add_tcase(s, t);
	return run_suite(s);
}
