/* The engine with a neighbour made up by the test: what is tried, in which order, and what the log says of it. */
#include "effect_rig.h"

/* ---- one effect --------------------------------------------------------------------------- */

START_TEST(an_attempt_is_in_the_log_before_it_is_made)
{
	start_engine();
	hold(true);
	want("AA");
	until_seen(1);
	ck_assert_uint_eq(count("effect.attempted"), 1);
	ck_assert_uint_eq(count("effect.done"), 0);
	hold(false);
	until_told("effect.done", 1);
	states_are("[{\"state\":\"DONE\",\"reason\":null,\"attempt\":1}]");
}
END_TEST

START_TEST(what_is_under_way_can_be_looked_at)
{
	struct effect_under_way seen[4];

	start_engine();
	ck_assert_uint_eq(effects_under_way(engine, seen, 4), 0);
	hold(true);
	want("AA");
	want("BB");
	until_seen(2);
	ck_assert_uint_eq(effects_under_way(engine, seen, 1), 1);
	ck_assert_uint_eq(effects_under_way(engine, seen, 4), 2);
	ck_assert_str_eq(seen[0].effect, "mail.code");
	ck_assert_str_eq(seen[0].lane, "mail");
	ck_assert_uint_eq(strlen(seen[0].id), ID_TEXT_LEN);
	ck_assert_uint_eq(seen[0].attempt, 1);
	ck_assert_uint_eq(seen[0].done, 7);
	ck_assert_uint_eq(seen[0].total, 9);
	hold(false);
	until_told("effect.done", 2);
	while (effects_under_way(engine, seen, 4) > 0)
		usleep(1000);
}
END_TEST

static const struct {
	const char *says;
	enum effect_outcome next[4];
	unsigned n_next;
	enum effect_class class;
	const char *last, *states;
	unsigned n_runs;
	const char *reason;              /* class of what is not done; NULL: some */
	int64_t repeat_ms, age_max_ms;   /* of the lane; 0: for ever */
} outcomes[] = {
	{"what may work later is tried again", {EFFECT_RETRY, EFFECT_RETRY}, 2, EFFECT_MAIL, "effect.done",
	    "[{\"state\":\"DONE\",\"reason\":null,\"attempt\":3}]", 3, NULL, 0, 0},
	{"what is not ready yet is asked for again", {EFFECT_NOT_YET, EFFECT_NOT_YET}, 2, EFFECT_HARMLESS, "effect.done",
	    "[{\"state\":\"DONE\",\"reason\":null,\"attempt\":3}]", 3, NULL, 0, 0},
	{"but not for ever", {EFFECT_RETRY, EFFECT_RETRY, EFFECT_RETRY, EFFECT_RETRY}, 4, EFFECT_MAIL, "effect.dead",
	    "[{\"state\":\"DEAD\",\"reason\":\"TRIES\",\"attempt\":4}]", 4, NULL, 0, 0},
	{"what nobody asked the neighbour for costs no try", {EFFECT_NOT_TRIED, EFFECT_RETRY, EFFECT_NOT_TRIED, EFFECT_NOT_TRIED}, 4,
	    EFFECT_MAIL, "effect.done", "[{\"state\":\"DONE\",\"reason\":null,\"attempt\":5}]", 5, NULL, 0, 0},
	{"what is refused for good is dead at once", {EFFECT_REFUSED}, 1, EFFECT_MAIL, "effect.dead",
	    "[{\"state\":\"DEAD\",\"reason\":\"REFUSED\",\"attempt\":1}]", 1, NULL, 0, 0},
	{"what cannot work is no dead letter", {EFFECT_FAILED}, 1, EFFECT_MAIL, "effect.failed",
	    "[{\"state\":\"FAILED\",\"reason\":null,\"attempt\":1}]", 1, NULL, 0, 0},
	{"an unknown mail goes again", {EFFECT_IS_UNKNOWN}, 1, EFFECT_MAIL, "effect.done",
	    "[{\"state\":\"DONE\",\"reason\":null,\"attempt\":2}]", 2, NULL, 0, 0},
	{"an unknown call is left to a person", {EFFECT_IS_UNKNOWN}, 1, EFFECT_ONCE, "effect.unknown",
	    "[{\"state\":\"UNKNOWN\",\"reason\":null,\"attempt\":1}]", 1, NULL, 0, 0},
	{"a run that says nothing is unknown", {EFFECT_NOT_SET}, 1, EFFECT_ONCE, "effect.unknown",
	    "[{\"state\":\"UNKNOWN\",\"reason\":null,\"attempt\":1}]", 1, NULL, 0, 0},
	{"an unknown call with a key goes again", {EFFECT_IS_UNKNOWN}, 1, EFFECT_KEYED, "effect.done",
	    "[{\"state\":\"DONE\",\"reason\":null,\"attempt\":2}]", 2, NULL, 0, 0},
	/* What is wanted here is days old. */
	{"but not when the neighbour has forgotten its key", {EFFECT_IS_UNKNOWN}, 1, EFFECT_KEYED, "effect.unknown",
	    "[{\"state\":\"UNKNOWN\",\"reason\":null,\"attempt\":1}]", 1, NULL, 1000, 0},
	{"what is too old is given up untried", {EFFECT_RETRY}, 1, EFFECT_MAIL, "effect.dead",
	    "[{\"state\":\"DEAD\",\"reason\":\"AGE\",\"attempt\":0}]", 0, NULL, 0, 1000},
	{"an answer that makes no sense is asked for twice", {EFFECT_RETRY, EFFECT_RETRY}, 2, EFFECT_MAIL, "effect.dead",
	    "[{\"state\":\"DEAD\",\"reason\":\"TRIES\",\"attempt\":2}]", 2, "malformed", 0, 0},
};

START_TEST(outcomes_lead_where_they_should)
{
	lane.class = outcomes[_i].class;
	lane.repeat_ms = outcomes[_i].repeat_ms;
	lane.age_max_ms = outcomes[_i].age_max_ms == 0 ? lane.age_max_ms : outcomes[_i].age_max_ms;
	peer.class = outcomes[_i].reason == NULL ? peer.class : outcomes[_i].reason;
	memcpy(peer.next, outcomes[_i].next, sizeof(outcomes[_i].next));
	peer.n_next = outcomes[_i].n_next;
	start_engine();
	want("AA");
	until_told(outcomes[_i].last, 1);
	states_are(outcomes[_i].states);
	ck_assert_msg(peer.n == outcomes[_i].n_runs, "%s: %u", outcomes[_i].says, peer.n);
	for (unsigned i = 1; i < peer.n; i++)
		ck_assert(peer.after_unknown[i] == (peer.next[i - 1] == EFFECT_IS_UNKNOWN));
}
END_TEST

START_TEST(what_is_too_late_is_not_tried)
{
	start_engine();
	want_until("AA", "1000");
	until_told("effect.dead", 1);
	states_are("[{\"state\":\"DEAD\",\"reason\":\"EXPIRED\",\"attempt\":0}]");
	ck_assert_uint_eq(peer.n, 0);
}
END_TEST

START_TEST(what_was_erased_is_cancelled)
{
	peer.erased = true;
	start_engine();
	want("AA");
	until_told("effect.cancelled", 1);
	states_are("[{\"state\":\"CANCELLED\",\"reason\":\"ERASED\",\"attempt\":0}]");
	ck_assert_uint_eq(peer.n, 0);
}
END_TEST

/* ---- many ------------------------------------------------------------------------------------ */

START_TEST(a_key_has_its_order_and_others_go_beside_it)
{
	uint64_t first[3], second;

	lane.concurrency = 4;
	start_engine();
	hold(true);
	for (int i = 0; i < 3; i++)
		first[i] = want("AA");
	second = want("BB");
	until_seen(2); /* one of each */
	wait_all(&f, projector);
	ck_assert_uint_eq(peer.n, 2);
	hold(false);
	until_told("effect.done", 4);
	/* The first two are on their way together, in either order. */
	ck_assert(peer.causes[0] == first[0] || peer.causes[0] == second);
	ck_assert_uint_eq(peer.causes[0] + peer.causes[1], first[0] + second);
	ck_assert_uint_eq(peer.causes[2], first[1]);
	ck_assert_uint_eq(peer.causes[3], first[2]);
}
END_TEST

START_TEST(a_failing_one_holds_its_key_alone)
{
	uint64_t a, b;

	peer.next[0] = EFFECT_RETRY;
	peer.n_next = 1;
	lane.concurrency = 1;
	start_engine();
	a = want("AA");
	b = want("AA");
	want("BB");
	until_told("effect.done", 3);
	/* The second of the key came after the first had worked. */
	for (unsigned i = 0, done_a = 0; i < peer.n; i++) {
		done_a += peer.causes[i] == a;
		if (peer.causes[i] == b)
			ck_assert_uint_eq(done_a, 2);
	}
}
END_TEST

START_TEST(no_more_at_a_time_than_the_lane_has)
{
	char key[8];

	start_engine();
	hold(true);
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "%02d", i);
		want(key);
	}
	until_seen(2);
	wait_all(&f, projector);
	hold(false);
	until_told("effect.done", 20);
	ck_assert_uint_eq(peer.n_running_max, 2);
	ck_assert_uint_eq(peer.n, 20);
}
END_TEST

START_TEST(a_batch_gathers_up_to_its_size)
{
	char key[8];

	lane.batch_max = 8;
	lane.batch_wait_ms = 600000; /* only full ones */
	lane.concurrency = 1;
	start_engine();
	for (int i = 0; i < 24; i++) {
		snprintf(key, sizeof(key), "%02d", i);
		clock_manual_set_wall(&f.clock, clock_wall_us(&clock_system)); /* they have not waited yet */
		want(key);
	}
	until_told("effect.done", 24);
	ck_assert_uint_eq(peer.n, 24);
	ck_assert_uint_eq(peer.n_batches, 3);
}
END_TEST

START_TEST(a_batch_that_does_not_fill_goes_when_it_has_waited)
{
	lane.batch_max = 8;
	lane.batch_wait_ms = 600000;
	batch_wait_max_ms = 20;
	lane.concurrency = 1;
	start_engine();
	clock_manual_set_wall(&f.clock, clock_wall_us(&clock_system));
	want("AA");
	want("BB");
	until_told("effect.done", 2);
	ck_assert_uint_le(peer.n_batches, 2);
	ck_assert_str_eq(peer.first_key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
}
END_TEST

START_TEST(what_is_ready_at_once_waits_for_no_clock)
{
	lane.batch_max = (unsigned)_i;
	lane.batch_wait_ms = 20;
	start_engine();
	/* The log's time is what it was before the clock was put back by an hour. */
	clock_manual_set_wall(&f.clock, clock_wall_us(&clock_system) + INT64_C(3600000000));
	want("AA");
	until_told("effect.done", 1);
	ck_assert_uint_eq(peer.n, 1);
}
END_TEST

START_TEST(a_batch_that_opens_the_breaker_may_end_well)
{
	char key[8];

	peer.next[0] = EFFECT_STOP;
	peer.n_next = 1;
	lane.batch_max = 6;
	lane.batch_wait_ms = 600000; /* the six, and then those that have waited so long */
	batch_wait_max_ms = 200;
	lane.concurrency = 1;
	start_engine();
	for (int i = 0; i < 6; i++) {
		snprintf(key, sizeof(key), "%02d", i);
		clock_manual_set_wall(&f.clock, clock_wall_us(&clock_system));
		want(key);
	}
	until_told("effect.done", 6);
	ck_assert_uint_ge(count("breaker.opened"), 1);
}
END_TEST

/* However many go together: one request failed. And one that was done among them says that the neighbour works. */
START_TEST(a_batch_is_one_call_of_the_neighbour)
{
	char key[8];

	for (int i = 0; i < 5; i++)
		peer.next[i] = EFFECT_RETRY;
	peer.n_next = 5;
	peer.host_failed = true;
	lane.batch_max = _i == 0 ? 5 : 1;
	lane.batch_wait_ms = 600000;
	batch_wait_max_ms = 200;
	lane.concurrency = 1;
	lane.tries_max = 100;
	start_engine();
	for (int i = 0; i < 5; i++) {
		snprintf(key, sizeof(key), "%02d", i);
		clock_manual_set_wall(&f.clock, clock_wall_us(&clock_system));
		want(key);
	}
	until_told("effect.done", 5);
	ck_assert_uint_eq(count("breaker.opened"), _i == 0 ? 0 : 1);
}
END_TEST

START_TEST(a_neighbour_that_fails_is_left_alone_and_tried_again)
{
	char key[8];

	lane.tries_max = 100;
	lane.concurrency = 1;
	peer.host_failed = true;
	peer.n_next = 5;
	for (int i = 0; i < 5; i++)
		peer.next[i] = EFFECT_RETRY;
	start_engine();
	for (int i = 0; i < 8; i++) {
		snprintf(key, sizeof(key), "%02d", i);
		want(key);
	}
	until_told("effect.done", 8);
	ck_assert_uint_eq(count("breaker.opened"), 1);
	ck_assert_uint_eq(count("breaker.probing"), 1);
	ck_assert_uint_eq(count("breaker.closed"), 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("effect");
	TCase *t = tcase_create("engine");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, an_attempt_is_in_the_log_before_it_is_made);
	tcase_add_test(t, what_is_under_way_can_be_looked_at);
	tcase_add_loop_test(t, outcomes_lead_where_they_should, 0, (int)COUNT(outcomes));
	tcase_add_test(t, what_is_too_late_is_not_tried);
	tcase_add_test(t, what_was_erased_is_cancelled);
	tcase_add_test(t, a_key_has_its_order_and_others_go_beside_it);
	tcase_add_test(t, a_failing_one_holds_its_key_alone);
	tcase_add_test(t, no_more_at_a_time_than_the_lane_has);
	tcase_add_test(t, a_batch_gathers_up_to_its_size);
	tcase_add_test(t, a_batch_that_does_not_fill_goes_when_it_has_waited);
	tcase_add_loop_test(t, what_is_ready_at_once_waits_for_no_clock, 0, 3);
	tcase_add_test(t, a_batch_that_opens_the_breaker_may_end_well);
	tcase_add_loop_test(t, a_batch_is_one_call_of_the_neighbour, 0, 2);
	tcase_add_test(t, a_neighbour_that_fails_is_left_alone_and_tried_again);
	suite_add_tcase(s, t);
	return run_suite(s);
}
